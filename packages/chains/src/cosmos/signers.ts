import { base64, equal, hex } from '@popsigner/crypto/bytes'
import { ripemd160, sha256 } from '@popsigner/crypto/hash'
import { ChainFault } from '../fault.ts'
import { decodeAddress, encodeAddress, multisigAccount } from './address.ts'
import type { Any } from './any.ts'
import {
  amino,
  type Body,
  direct,
  multiSignatureShape,
  publicKey,
  type SignerInfo,
  singleKeyUrl,
  thresholdKeyUrl,
} from './envelope.ts'
import { malformed, unsupported } from './refuse.ts'
import { readShape, writeShape } from './shape.ts'

/** The place of one signer in a transaction. */
export interface Slot {
  /** `null` where neither a key nor a message that is understood says who it is. */
  readonly address: string | null
  /** As the transaction has it; `undefined` where the chain is trusted to know it. */
  readonly publicKey: Any | undefined
  /** The keys that can sign here: one, the members of a threshold key, none where the kind of key is not known. */
  readonly keys: readonly Uint8Array[]
  /** How many of them must; `null` for a single key. */
  readonly threshold: number | null
  readonly mode: number
  readonly sequence: bigint
  /** By position in `keys`; one entry where that is empty. */
  readonly signatures: readonly (Uint8Array | undefined)[]
}

/** The slots of an AuthInfo and the signatures of a TxRaw (one entry for each signer, empty where missing). */
export function readSlots(
  infos: readonly SignerInfo[],
  signatures: readonly Uint8Array[],
  expected: readonly string[] | undefined,
  prefix: string,
): readonly Slot[] {
  if (expected !== undefined && expected.length !== infos.length)
    throw malformed('transaction.auth_info.signer_infos', `must have ${expected.length} entries, as the messages say`)
  const slots = infos.map((info, i) => readSlot(info, signatures[i] as Uint8Array, expected?.[i], prefix, i))
  if (slots.some((one) => one.threshold !== null) && slots.some((one) => one.mode === direct))
    throw unsupported(
      'transaction.auth_info.signer_infos',
      'has a threshold key beside SIGN_MODE_DIRECT: each part of the one would make the other worthless',
    )
  return slots
}

/** The AuthInfo entries of slots. */
export function writeSlots(slots: readonly Slot[]): readonly SignerInfo[] {
  return slots.map((slot) => ({
    public_key: slot.publicKey,
    mode_info: { single: slot.threshold === null ? { mode: slot.mode } : undefined, multi: multiMode(slot) },
    sequence: slot.sequence,
  }))
}

/** The entries of TxRaw's `signatures`. */
export function writeSignatures(slots: readonly Slot[]): readonly Uint8Array[] {
  return slots.map((slot) => {
    const made = slot.signatures.filter((one) => one !== undefined)
    if (slot.threshold === null) return made[0] ?? new Uint8Array()
    return made.length === 0 ? new Uint8Array() : writeShape(multiSignatureShape, { signatures: made })
  })
}

/** Whether a slot needs no more signatures. */
export function isFilled(slot: Slot): boolean {
  return slot.signatures.filter((one) => one !== undefined).length >= (slot.threshold ?? 1)
}

/** RIPEMD-160 of SHA-256: the account of a secp256k1 key. */
export function accountOf(key: Uint8Array): Uint8Array {
  return ripemd160(sha256(key))
}

/** The Any of a secp256k1 key. */
export function singleKeyAny(key: Uint8Array): Any {
  const at = { path: 'publicKey', depth: 0 }
  return publicKey.fromAmino({ type: 'tendermint/PubKeySecp256k1', value: { key: base64(key) } }, at)
}

/**
 * Who must sign, in the order of the SDK: the signers of each message, then who pays the fee. `undefined` where a message is
 * not understood, since it may name signers.
 */
export function expectedSigners(body: Body, payer: string, prefix: string): readonly string[] | undefined {
  const found: string[] = []
  const add = (text: string, path: string): void => {
    const { prefix: has, account } = decodeAddress(text)
    if (has !== prefix && has !== `${prefix}valoper`)
      throw malformed(path, `is signed by ${has}1…, and addresses of this network begin with ${prefix}1`)
    const address = encodeAddress(account, prefix)
    if (!found.includes(address)) found.push(address)
  }
  for (const [i, { known }] of body.messages.entries()) {
    if (known === undefined) return undefined
    for (const one of known.type.signers(known.value)) add(one, `transaction.body.messages[${i}]`)
  }
  if (payer !== '') add(payer, 'transaction.auth_info.fee.payer')
  return found
}

/** A part of a slot that a key can sign. */
export interface Part {
  readonly slot: number
  readonly key: number
}

/**
 * Where this key has still to sign. `transaction.signer_mismatch` where nowhere, `transaction.already_signed` where it has
 * everywhere.
 */
export function openParts(slots: readonly Slot[], key: Uint8Array, prefix: string): readonly Part[] {
  const address = encodeAddress(accountOf(key), prefix)
  const parts: Part[] = []
  slots.forEach((slot, i) => {
    if (slot.publicKey === undefined && slot.address === address) parts.push({ slot: i, key: 0 })
    slot.keys.forEach((one, j) => {
      if (equal(one, key)) parts.push({ slot: i, key: j })
    })
  })
  if (parts.length === 0)
    throw new ChainFault('transaction.signer_mismatch', { signer: address, expected: addressesOf(slots, prefix) })
  const open = parts.filter((part) => slots[part.slot]?.signatures[part.key] === undefined)
  if (open.length === 0) throw new ChainFault('transaction.already_signed', { signer: address })
  return open
}

/** The slots with one more signature. */
export function fill(slots: readonly Slot[], part: Part, signature: Uint8Array): readonly Slot[] {
  return slots.map((slot, i) =>
    i === part.slot
      ? { ...slot, signatures: slot.signatures.map((one, j) => (j === part.key ? signature : one)) }
      : slot,
  )
}

function addressesOf(slots: readonly Slot[], prefix: string): readonly string[] {
  return slots.flatMap((slot) =>
    slot.threshold === null
      ? slot.address === null
        ? []
        : [slot.address]
      : slot.keys.map((key) => encodeAddress(accountOf(key), prefix)),
  )
}

function readSlot(
  info: SignerInfo,
  signature: Uint8Array,
  expected: string | undefined,
  prefix: string,
  index: number,
): Slot {
  const path = `transaction.auth_info.signer_infos[${index}]`
  const { single, multi } = info.mode_info
  if ((single === undefined) === (multi === undefined)) throw malformed(`${path}.mode_info`, 'must be single or multi')
  const type = info.public_key?.known?.type.typeUrl
  if ((multi !== undefined) !== (type === thresholdKeyUrl))
    throw malformed(`${path}.mode_info`, 'must be multi for a threshold key, and for no other')
  const base = { publicKey: info.public_key, sequence: info.sequence }
  if (multi !== undefined) {
    const { keys, threshold } = readThresholdKey(info.public_key as Any, path)
    const address = encodeAddress(multisigAccount(threshold, keys), prefix)
    checkExpected(address, expected, path)
    return {
      ...base,
      address,
      keys,
      threshold,
      mode: amino,
      signatures: readParts(multi, signature, keys.length, index),
    }
  }
  const keys = type === singleKeyUrl ? [info.public_key?.known?.value['key'] as Uint8Array] : []
  const address = keys[0] === undefined ? (expected ?? null) : encodeAddress(accountOf(keys[0]), prefix)
  if (address !== null) checkExpected(address, expected, path)
  if (signature.length !== 0 && signature.length !== 64 && (info.public_key === undefined || keys.length > 0))
    throw malformed(`transaction.signatures[${index}]`, 'must be empty or have 64 bytes')
  return {
    ...base,
    address,
    keys,
    threshold: null,
    mode: single?.mode as number,
    signatures: [signature.length === 0 ? undefined : signature],
  }
}

function checkExpected(address: string, expected: string | undefined, path: string): void {
  if (expected !== undefined && expected !== address)
    throw malformed(path, `is ${address}, and the messages are signed by ${expected} in that place`)
}

function readThresholdKey(key: Any, path: string): { keys: readonly Uint8Array[]; threshold: number } {
  const value = key.known?.value as { threshold: number; public_keys: readonly Any[] }
  const keys = value.public_keys.map((one, i) => {
    if (one.known === undefined) throw unsupported(`${path}.public_key.public_keys[${i}]`, 'must be a secp256k1 key')
    return one.known.value['key'] as Uint8Array
  })
  if (value.threshold > keys.length) throw malformed(`${path}.public_key.threshold`, 'is above the number of keys')
  if (new Set(keys.map(hex)).size !== keys.length) throw malformed(`${path}.public_key.public_keys`, 'has a key twice')
  return { keys, threshold: value.threshold }
}

/** The members' signatures, by the bits that say whose they are (CompactBitArray: the first is the highest of its byte). */
function readParts(
  multi: NonNullable<SignerInfo['mode_info']['multi']>,
  signature: Uint8Array,
  count: number,
  index: number,
): readonly (Uint8Array | undefined)[] {
  const path = `transaction.auth_info.signer_infos[${index}].mode_info.multi`
  const { elems, extra_bits_stored: extra } = multi.bitarray
  if (elems.length !== Math.ceil(count / 8) || extra !== count % 8)
    throw malformed(`${path}.bitarray`, `must have ${count} bits, one for each key`)
  if (multi.mode_infos.some((one) => one.single.mode !== amino))
    throw unsupported(`${path}.mode_infos`, 'must be SIGN_MODE_LEGACY_AMINO_JSON, the only one for threshold keys here')
  const at = { path: `transaction.signatures[${index}]`, depth: 1 }
  const made = signature.length === 0 ? [] : readShape(multiSignatureShape, signature, at).signatures
  const marked = Array.from({ length: elems.length * 8 }, (_, i) => bit(elems, i))
  if (marked.slice(count).some((one) => one)) throw malformed(`${path}.bitarray`, 'has bits that belong to no key')
  const set = marked.filter((one) => one).length
  if (set !== made.length || set !== multi.mode_infos.length)
    throw malformed(path, 'must have as many bits, modes and signatures as each other')
  for (const [i, one] of made.entries())
    if (one.length !== 64) throw malformed(`${at.path}.signatures[${i}]`, 'must have 64 bytes')
  let next = 0
  return marked.slice(0, count).map((one) => (one ? made[next++] : undefined))
}

function multiMode(slot: Slot): SignerInfo['mode_info']['multi'] {
  if (slot.threshold === null) return undefined
  const elems = new Uint8Array(Math.ceil(slot.signatures.length / 8))
  slot.signatures.forEach((one, i) => {
    if (one !== undefined) elems[i >> 3] = (elems[i >> 3] as number) | (0x80 >> (i & 7))
  })
  return {
    bitarray: { extra_bits_stored: slot.signatures.length % 8, elems },
    mode_infos: slot.signatures.filter((one) => one !== undefined).map(() => ({ single: { mode: amino } })),
  }
}

function bit(elems: Uint8Array, index: number): boolean {
  return ((elems[index >> 3] as number) & (0x80 >> (index & 7))) !== 0
}
