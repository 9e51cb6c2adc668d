import { ethereumAddress } from '@popsigner/crypto/address'
import { concat } from '@popsigner/crypto/bytes'
import type { Chain, Context, Network, PreparedMessage, Signature, Signer, Warning } from '../chain.ts'
import type { Account, Effect } from '../effect.ts'
import { ChainFault } from '../fault.ts'
import { fromHex0x, hex0x } from './bytes.ts'
import { type FunctionTable, parseAbi } from './contract-abi.ts'
import { blobLength, readEffects, warningsOf } from './effects.ts'
import { malformed } from './fields.ts'
import { detailsOf, parseJson } from './json.ts'
import { conventions, encodeSignature } from './messages.ts'
import { nativeAsset } from './native.ts'
import {
  type EvmTransaction,
  parseTransaction,
  serializeTransaction,
  signerOf,
  signingHash,
  transactionHash,
} from './transaction.ts'

/** A transaction on a network, with whose it is and what it does. */
interface EvmOnNetwork {
  readonly network: Network
  readonly tx: EvmTransaction
  /** Who signed it, or `from` of the JSON, or the signer the caller names. */
  readonly from: Account
  readonly effects: readonly Effect[]
  readonly warnings: readonly Warning[]
}

const noFunctions: FunctionTable = new Map()

/** More hex digits than the largest transaction has. */
const maxText = 4_000_000

/**
 * Ethereum and the networks that are made like it: legacy transactions with a chain id (EIP-155) and types 1 to 4 (EIP-2930, 1559,
 * 4844, 7702); messages by EIP-191, EIP-712 and EIP-7702.
 *
 * The bytes are the one encoding of what they say, or refused. A legacy transaction without a chain id is refused: it would be valid
 * on every network. A transaction that carries a signature is of whoever made that.
 */
export const evm: Chain<EvmOnNetwork> = {
  namespace: 'eip155',
  conventions: Object.keys(conventions),

  network(reference) {
    if (!/^[1-9][0-9]{0,15}$/.test(reference) || !Number.isSafeInteger(Number(reference)))
      throw new ChainFault('chain.unsupported', { chain: `eip155:${reference.slice(0, 64)}` })
    return { id: `eip155:${reference}`, namespace: 'eip155', reference }
  },

  parse(transaction, network, context) {
    const abi = functionsOf(context)
    const read =
      typeof transaction === 'string'
        ? { tx: parseText(transaction), from: null }
        : parseJson(transaction, BigInt(network.reference))
    const { tx } = read
    if (tx.fields.chainId.toString() !== network.reference)
      throw new ChainFault('transaction.chain_mismatch', { expected: network.id, found: `eip155:${tx.fields.chainId}` })
    const from =
      tx.signature === null
        ? (read.from ?? signerAddress(context))
        : signerOf(tx.signature, signingHash(tx), 'transaction.signature')
    const { effects, warnings } = readEffects(tx, network.id, from, abi)
    return { network, tx, from, effects, warnings: [...warningsOf(tx), ...warnings] }
  },

  serialize: ({ tx }) => serializeTransaction(tx),
  encode: ({ tx }) => hex0x(serializeTransaction(tx)),
  effects: ({ effects }) => effects,
  warnings: ({ warnings }) => warnings,
  details: ({ tx }) => detailsOf(tx),

  fee({ tx: { fields }, network, from }) {
    const price = fields.gasPrice + fields.maxFeePerGas
    const blobs = BigInt(fields.blobVersionedHashes.length * blobLength) * fields.maxFeePerBlobGas
    return { asset: nativeAsset(network.id), max: (fields.gas * price + blobs).toString(), payer: from }
  },

  messages({ tx, from }, signer) {
    const address = requireAddress(signer)
    if (from !== null && from !== address)
      throw new ChainFault('transaction.signer_mismatch', { signer: address, expected: [from] })
    if (tx.signature !== null) throw new ChainFault('transaction.already_signed', { signer: address })
    return [{ digest: signingHash(tx) }]
  },

  attach(on, signer, signatures) {
    const [one] = signatures
    if (one === undefined || signatures.length !== 1) throw new RangeError('signatures: expected one')
    const { signature, recovery } = one
    if (signature.length !== 64 || (recovery !== 0 && recovery !== 1))
      throw new RangeError('signatures: expected 64 bytes and a recovery id of 0 or 1')
    const tx = { ...on.tx, signature: { yParity: recovery, r: signature.slice(0, 32), s: signature.slice(32) } }
    return { ...on, tx, from: requireAddress(signer) }
  },

  signatures({ tx, from }) {
    if (tx.signature === null) return []
    const { r, s, yParity } = tx.signature
    return [{ signer: from, signature: concat(r, s, Uint8Array.of(27 + yParity)) }]
  },

  complete: ({ tx }) => tx.signature !== null,
  hash: ({ tx }) => (tx.signature === null ? null : hex0x(transactionHash(tx))),

  addresses({ algorithm, publicKey }) {
    return algorithm === 'secp256k1' ? [{ kind: 'account', address: ethereumAddress(publicKey) }] : []
  },

  message(convention, message, network, context): PreparedMessage {
    const read = Object.hasOwn(conventions, convention) ? conventions[convention] : undefined
    if (read === undefined)
      throw new ChainFault('message.unsupported', { convention: convention.slice(0, 64), known: evm.conventions })
    const prepared = read(message, { network, signer: signerAddress(context), abi: functionsOf(context) })
    return { ...prepared, encode: ({ signature, recovery }: Signature) => encodeSignature(signature, recovery) }
  },
}

function parseText(text: string): EvmTransaction {
  if (text.length > maxText) throw new ChainFault('transaction.too_large', { field: 'transaction', limit: maxText / 2 })
  const bytes = fromHex0x(text)
  if (bytes === null) throw malformed('transaction', 'expected hex behind 0x, or the JSON of an unsigned transaction')
  return parseTransaction(bytes)
}

/** Which functions the caller says the contract has. A codec takes no other context. */
function functionsOf({ signer, abi, ...rest }: Context): FunctionTable {
  for (const [name, value] of Object.entries(rest))
    if (value !== undefined)
      throw new ChainFault('context.malformed', { field: `context.${name}`, reason: 'EVM networks take only abi' })
  return abi === undefined ? noFunctions : parseAbi(abi)
}

function signerAddress({ signer }: Context): Account {
  return signer === undefined ? null : requireAddress(signer)
}

/** Deriving an address takes as long as several signatures, and is asked for several times on the way of one. */
const addresses = new WeakMap<Signer, string>()

function requireAddress(signer: Signer): string {
  if (signer.algorithm !== 'secp256k1')
    throw new ChainFault('transaction.signer_mismatch', {
      signer: `a key of ${signer.algorithm}`,
      expected: ['a key of secp256k1'],
    })
  const known = addresses.get(signer)
  if (known !== undefined) return known
  const address = ethereumAddress(signer.publicKey)
  addresses.set(signer, address)
  return address
}
