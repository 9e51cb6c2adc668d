import { type AnyType, any } from './any.ts'
import { address, bytes, coin, enumeration, text, uint32, uint64 } from './kinds.ts'
import { anyMessage } from './messages/messages.ts'
import { malformed, unsupported } from './refuse.ts'
import { type Kind, many, message, one, optional, required, some, type Value } from './shape.ts'

/**
 * What a transaction is put together from (cosmos.tx.v1beta1). Fields that are not here are refused with all others: extension
 * options, tips, unordered transactions.
 */
export const bodyShape = { messages: some(1, anyMessage), memo: one(2, text), timeout_height: one(3, uint64) }
export type Body = Value<typeof bodyShape>

const feeShape = {
  amount: many(1, coin, 'list'),
  gas_limit: one(2, uint64),
  payer: one(3, address),
  granter: one(4, address),
}
export type CosmosFee = Value<typeof feeShape>

/** cosmos.tx.signing.v1beta1.SignMode, those that are signed here. */
export const signModes: Readonly<Record<number, 'direct' | 'amino'>> = { 1: 'direct', 127: 'amino' }
export const direct = 1
export const amino = 127

const mode: Kind<number> = {
  ...enumeration({}),
  read: (payload, at) => {
    if (signModes[Number(payload)] === undefined)
      throw unsupported(at.path, 'must be SIGN_MODE_DIRECT or SIGN_MODE_LEGACY_AMINO_JSON')
    return Number(payload)
  },
}
const single = message({ mode: required(1, mode) })
const multi = message({
  bitarray: required(1, message({ extra_bits_stored: one(1, uint32), elems: required(2, bytes) })),
  mode_infos: many(2, message({ single: required(1, single) })),
})

const singleKey: AnyType = {
  typeUrl: '/cosmos.crypto.secp256k1.PubKey',
  amino: 'tendermint/PubKeySecp256k1',
  shape: { key: required(1, bytes) },
  check: (value, at) => {
    if (value['key'].length !== 33) throw malformed(`${at.path}.key`, 'must have 33 bytes')
  },
}
const members = any(new Map([[singleKey.typeUrl, singleKey]]))
const thresholdKey: AnyType = {
  typeUrl: '/cosmos.crypto.multisig.LegacyAminoPubKey',
  amino: 'tendermint/PubKeyMultisigThreshold',
  shape: { threshold: required(1, uint32), public_keys: some(2, members) },
}
export const singleKeyUrl: string = singleKey.typeUrl
export const thresholdKeyUrl: string = thresholdKey.typeUrl

/** Keys by their type URL; a signer with another kind of key may stand beside ours. */
export const publicKey = any(
  new Map([
    [singleKey.typeUrl, singleKey],
    [thresholdKey.typeUrl, thresholdKey],
  ]),
)

const signerInfo = message({
  public_key: optional(1, publicKey),
  mode_info: required(2, message({ single: optional(1, single), multi: optional(2, multi) })),
  sequence: one(3, uint64),
})

export const authInfoShape = { signer_infos: some(1, signerInfo), fee: required(2, message(feeShape)) }
export type AuthInfo = Value<typeof authInfoShape>
export type SignerInfo = AuthInfo['signer_infos'][number]

/** CometBFT's MaxChainIDLen. */
export const maxChainIdLength = 50

export const signDocShape = {
  body_bytes: required(1, bytes),
  auth_info_bytes: required(2, bytes),
  chain_id: required(3, text),
  account_number: one(4, uint64),
}

export const txRawShape = {
  body_bytes: required(1, bytes),
  auth_info_bytes: required(2, bytes),
  signatures: many(3, bytes),
}

/** cosmos.crypto.multisig.v1beta1.MultiSignature */
export const multiSignatureShape = { signatures: some(1, bytes) }

/** StdSignDoc (x/auth/migrations/legacytx), which exists in JSON only; its numbers mean nothing. */
export const stdSignDocShape = {
  account_number: one(1, uint64, 'written'),
  chain_id: required(2, text),
  fee: required(
    3,
    message({
      amount: many(1, coin, 'list'),
      gas: one(2, uint64, 'written'),
      payer: one(3, address),
      granter: one(4, address),
    }),
  ),
  memo: one(4, text, 'written'),
  msgs: some(5, anyMessage),
  sequence: one(6, uint64, 'written'),
  timeout_height: one(7, uint64),
}
