import { encodeSecp256k1Pubkey } from '@cosmjs/amino'
import { Secp256k1 } from '@cosmjs/crypto'
import {
  type EncodeObject,
  encodePubkey,
  makeAuthInfoBytes,
  makeSignBytes,
  makeSignDoc,
  Registry,
} from '@cosmjs/proto-signing'
import { defaultRegistryTypes } from '@cosmjs/stargate'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { cosmosAddress } from '@popsigner/crypto/address'
import { SignMode } from 'cosmjs-types/cosmos/tx/signing/v1beta1/signing'
import type { SignDoc } from 'cosmjs-types/cosmos/tx/v1beta1/tx'
import type { Context, Signature, Signer, ToSign } from '../chain.ts'
import { cosmos } from './cosmos.ts'

/** Transactions and signatures as a client with cosmjs makes them, for the tests of this folder. */

/** A key pair of the tests: 32 bytes of one value. */
export interface TestKey {
  readonly secret: Uint8Array
  readonly signer: Signer
  readonly publicKey: Uint8Array
  readonly address: string
}

/** The key whose secret is `value` in each byte; its address is one of Celestia's. */
export function testKey(value: number, prefix = 'celestia'): TestKey {
  const secret = new Uint8Array(32).fill(value)
  const publicKey = secp256k1.getPublicKey(secret)
  return { secret, publicKey, signer: { algorithm: 'secp256k1', publicKey }, address: cosmosAddress(publicKey, prefix) }
}

/** Signs as the platform's signer does: 64 bytes, low S. */
export function sign(key: TestKey, what: ToSign): Signature {
  if (!('digest' in what)) throw new TypeError('Cosmos chains sign digests')
  return { signature: secp256k1.sign(what.digest, key.secret, { prehash: false, lowS: true }) }
}

export const registry: Registry = new Registry(defaultRegistryTypes)
export const celestia = cosmos.network('celestia')

export interface Parts {
  readonly messages: readonly EncodeObject[]
  readonly signers: readonly { readonly key: TestKey; readonly sequence?: number }[]
  readonly memo?: string
  readonly mode?: SignMode
  readonly granter?: string
  readonly payer?: string
  readonly chainId?: string
  readonly accountNumber?: number
  readonly fee?: readonly { readonly denom: string; readonly amount: string }[]
}

/** A SignDoc made by cosmjs, and the bytes that it signs. */
export function makeDocument(parts: Parts): { readonly doc: SignDoc; readonly bytes: Uint8Array } {
  const body = registry.encodeTxBody({ messages: [...parts.messages], memo: parts.memo ?? '' })
  const signers = parts.signers.map(({ key, sequence }) => ({
    pubkey: encodePubkey(encodeSecp256k1Pubkey(key.publicKey)),
    sequence: sequence ?? 7,
  }))
  const fee = parts.fee ?? [{ denom: 'utia', amount: '2000' }]
  const auth = makeAuthInfoBytes(
    signers,
    fee,
    100_000,
    parts.granter,
    parts.payer,
    parts.mode ?? SignMode.SIGN_MODE_DIRECT,
  )
  const doc = makeSignDoc(body, auth, parts.chainId ?? 'celestia', parts.accountNumber ?? 12)
  return { doc, bytes: makeSignBytes(doc) }
}

/** What the codec makes of bytes on Celestia. */
export function parse(bytes: Uint8Array, context: Context = {}): ReturnType<typeof cosmos.parse> {
  return cosmos.parse(Buffer.from(bytes).toString('base64'), celestia, context)
}

/** Whether cosmjs takes a signature over a digest. */
export async function cosmjsVerifies(signature: Uint8Array, digest: Uint8Array, key: TestKey): Promise<boolean> {
  const { Secp256k1Signature } = await import('@cosmjs/crypto')
  return Secp256k1.verifySignature(Secp256k1Signature.fromFixedLength(signature), digest, key.publicKey)
}
