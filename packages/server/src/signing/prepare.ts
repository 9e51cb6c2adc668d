import { hash } from 'node:crypto'
import { amountInWords } from '@popsigner/chains/asset'
import type {
  Chain,
  Context,
  Json,
  JsonObject,
  Network,
  PreparedMessage,
  Signer,
  Warning,
} from '@popsigner/chains/chain'
import { chainOf } from '@popsigner/chains/chains'
import { type Effect, effectsHash } from '@popsigner/chains/effect'
import { describeEffect } from '@popsigner/chains/words'
import { base64, hex } from '@popsigner/crypto/bytes'
import { RequestFault } from '../http/request-fault.ts'
import type { SigningKey, SigningKeyVersion } from '../tenants/signing-key.ts'
import type { PreparedInput } from './decide.ts'
import type { Signature } from './signing.ts'

/** What a request says of a transaction. */
export interface GivenTransaction {
  readonly chain: string
  readonly transaction: string | { readonly [name: string]: unknown }
  readonly context?: { readonly abi?: readonly unknown[] | undefined } | undefined
}

/** What a request says of a message. */
export interface GivenMessage {
  readonly chain: string
  readonly convention: string
  readonly message: unknown
  readonly context?: GivenTransaction['context']
}

/** A transaction as its codec read it. */
export interface ReadTransaction {
  readonly chain: Chain
  readonly network: Network
  readonly tx: unknown
}

/** Signers by key version: a codec remembers what it computed for one. */
const signers = new WeakMap<SigningKeyVersion, Signer>()

/** The version of a key that is to sign; `key.version_not_found` where there is none. */
export function versionOf(key: SigningKey, number: number | undefined): SigningKeyVersion {
  const version = key.versions.get(number ?? key.primaryVersion)
  if (!version) throw new RequestFault('key.version_not_found', `The key has versions 1 to ${key.versions.size}.`)
  return version
}

/** A key version as codecs know it. */
export function signerOf(key: SigningKey, version: SigningKeyVersion): Signer {
  const known = signers.get(version)
  if (known) return known
  const signer = { algorithm: key.algorithm, publicKey: version.publicKey }
  signers.set(version, signer)
  return signer
}

/** Reads a transaction. Throws the codec's `ChainFault`. */
export function readTransaction(given: GivenTransaction, signer: Signer | null): ReadTransaction {
  const { chain, network } = chainOf(given.chain)
  const tx = chain.parse(given.transaction as string | JsonObject, network, contextOf(given.context, signer))
  return { chain, network, tx }
}

/** What has to be signed of it: one entry for each signature. */
export function inputsOf(
  { chain, network, tx }: ReadTransaction,
  signer: Signer,
  version: number,
): readonly PreparedInput[] {
  const common = {
    kind: 'transaction',
    dataHash: hash('sha256', chain.serialize(tx), 'hex'),
    chain: network.id,
    effects: hex(effectsHash(chain.effects(tx))),
    key_version: version,
  } as const
  return chain.messages(tx, signer).map((toSign) => ({ ...common, toSign }))
}

/** The transaction with the signatures that were made for `inputsOf`, in their order. */
export function attach(read: ReadTransaction, signer: Signer, made: readonly Signature[]): ReadTransaction {
  const { chain, tx } = read
  const signatures = made.map(({ signature, recovery }) => ({ signature, ...(recovery === null ? {} : { recovery }) }))
  return { ...read, tx: chain.attach(tx, signer, signatures) }
}

/** Reads a message under a convention of its chain. Throws the codec's `ChainFault`. */
export function readMessage(
  given: GivenMessage,
  signer: Signer,
): { prepared: PreparedMessage; network: Network; address: string | null } {
  const { chain, network } = chainOf(given.chain)
  const prepared = chain.message(given.convention, given.message as Json, network, contextOf(given.context, signer))
  return { prepared, network, address: chain.addresses(signer, network)[0]?.address ?? null }
}

/** What has to be signed of a message. */
export function messageInput(
  { data, toSign, effects }: PreparedMessage,
  network: Network,
  version: number,
): PreparedInput {
  return {
    kind: 'message',
    toSign,
    dataHash: hash('sha256', data, 'hex'),
    chain: network.id,
    effects: hex(effectsHash(effects)),
    key_version: version,
  }
}

/** Effects and warnings as the API answers them. */
export function viewMeaning(network: Network, effects: readonly Effect[], warnings: readonly Warning[]) {
  return {
    chain: network.id,
    effects: effects.map((effect) => ({ ...effect })),
    effects_text: effects.map(describeEffect),
    effects_hash: hex(effectsHash(effects)),
    warnings: [...warnings],
  }
}

/** A transaction as the API answers it. `made` are the signatures of this request: their records are named. */
export function viewTransaction({ chain, network, tx }: ReadTransaction, made: readonly Signature[] = []) {
  const fee = chain.fee(tx)
  const before = chain.signatures(tx)
  return {
    ...viewMeaning(network, chain.effects(tx), chain.warnings(tx)),
    fee: fee && { ...fee, text: amountInWords(fee.max, fee.asset) },
    details: { ...chain.details(tx) },
    signatures: before.map(({ signer, signature }) => {
      const own = made.find((one) => startsWith(signature, one.signature))
      return {
        signer,
        signature: base64(signature),
        ...(own ? { record_id: own.record, key_version: own.version } : {}),
      }
    }),
    transaction: chain.encode(tx),
    hash: chain.hash(tx),
    complete: chain.complete(tx),
  }
}

/** Chains write the 64 bytes first, and some a byte behind them. */
function startsWith(whole: Uint8Array, part: Uint8Array): boolean {
  return part.every((byte, i) => whole[i] === byte)
}

function contextOf(given: GivenTransaction['context'], signer: Signer | null): Context {
  return { ...(given as Context | undefined), ...(signer === null ? {} : { signer }) }
}
