import { ethereumAddress } from '@popsigner/crypto/address'
import { concat } from '@popsigner/crypto/bytes'
import { keccak256 } from '@popsigner/crypto/hash'
import { recoverPublicKey } from '@popsigner/crypto/recover'
import { ChainFault } from '../fault.ts'
import {
  type Access,
  type Authorization,
  type FieldKind,
  kinds,
  malformed,
  readSidecar,
  type Sidecar,
} from './fields.ts'
import { decodeRlp, encodeRlp, type Rlp } from './rlp.ts'

/** The types of EIP-2718 that are understood; 0 is the legacy form, which has no type byte. */
export type TransactionType = 0 | 1 | 2 | 3 | 4

/** A signature of a transaction: R and S (32 bytes each), and which of two points R is. */
export interface EvmSignature {
  readonly yParity: number
  readonly r: Uint8Array
  readonly s: Uint8Array
}

/** What a transaction says, over all types. A field that the type does not have is zero, empty or `null`. */
export interface Fields {
  readonly chainId: bigint
  readonly nonce: bigint
  readonly gasPrice: bigint
  readonly maxPriorityFeePerGas: bigint
  readonly maxFeePerGas: bigint
  readonly gas: bigint
  readonly to: string | null
  readonly value: bigint
  readonly data: Uint8Array
  readonly accessList: readonly Access[]
  readonly maxFeePerBlobGas: bigint
  readonly blobVersionedHashes: readonly Uint8Array[]
  readonly authorizationList: readonly Authorization[]
}

/** A transaction, understood whole. */
export interface EvmTransaction {
  readonly type: TransactionType
  readonly fields: Fields
  readonly sidecar: Sidecar | null
  readonly signature: EvmSignature | null
}

type FieldName = keyof Fields

/** How each field is read and written. */
export const fieldKinds: { readonly [name in FieldName]: FieldKind<Fields[name]> } = {
  chainId: kinds.chainId,
  nonce: kinds.nonce,
  gasPrice: kinds.amount,
  maxPriorityFeePerGas: kinds.amount,
  maxFeePerGas: kinds.amount,
  gas: kinds.gas,
  to: kinds.recipient,
  value: kinds.amount,
  data: kinds.data,
  accessList: kinds.accessList,
  maxFeePerBlobGas: kinds.amount,
  blobVersionedHashes: kinds.versionedHashes,
  authorizationList: kinds.authorizationList,
}

const dynamicFee = [
  'chainId',
  'nonce',
  'maxPriorityFeePerGas',
  'maxFeePerGas',
  'gas',
  'to',
  'value',
  'data',
  'accessList',
] as const

/** The fields of each type in the order of its RLP: EIP-155, 2930, 1559, 4844, 7702. The legacy form has its chain id behind. */
export const layouts: { readonly [type in TransactionType]: readonly FieldName[] } = {
  0: ['nonce', 'gasPrice', 'gas', 'to', 'value', 'data'],
  1: ['chainId', 'nonce', 'gasPrice', 'gas', 'to', 'value', 'data', 'accessList'],
  2: dynamicFee,
  3: [...dynamicFee, 'maxFeePerBlobGas', 'blobVersionedHashes'],
  4: [...dynamicFee, 'authorizationList'],
}

/** What a field is where its type does not have it. */
export const absent: Fields = {
  chainId: 0n,
  nonce: 0n,
  gasPrice: 0n,
  maxPriorityFeePerGas: 0n,
  maxFeePerGas: 0n,
  gas: 0n,
  to: null,
  value: 0n,
  data: new Uint8Array(0),
  accessList: [],
  maxFeePerBlobGas: 0n,
  blobVersionedHashes: [],
  authorizationList: [],
}

/** Nodes relay no transaction above this, blobs aside. */
const maxBytes = 131_072
/** A blob with its commitment and 128 proofs; at most nine in one transaction (EIP-7691). */
const maxBytesWithBlobs = maxBytes + 9 * 140_000

/** Reads the bytes of a transaction, signed or not, with blobs or without. Refusals name the field. */
export function parseTransaction(bytes: Uint8Array): EvmTransaction {
  const type = typeOf(bytes)
  const limit = type === 3 ? maxBytesWithBlobs : maxBytes
  if (bytes.length > limit) throw new ChainFault('transaction.too_large', { field: 'transaction', limit })
  const item = decodeRlp(type === 0 ? bytes : bytes.subarray(1), 'transaction')
  if (item instanceof Uint8Array) throw malformed('transaction', 'expected a list, got bytes')
  if (type === 0) return parseLegacy(item)
  if (type === 3 && item[0] !== undefined && !(item[0] instanceof Uint8Array))
    return parseWithBlobs(item[0], item.slice(1))
  return parseTyped(type, item)
}

/** The bytes, with the signature and the blobs if there are any: what `parseTransaction` read, and what is broadcast. */
export function serializeTransaction(tx: EvmTransaction): Uint8Array {
  const payload = payloadOf(tx)
  if (tx.type === 0) return encodeRlp(payload)
  if (tx.sidecar === null) return concat(Uint8Array.of(tx.type), encodeRlp(payload))
  const { version, blobs, commitments, proofs } = tx.sidecar
  const wrapped = [payload, ...(version === 0 ? [] : [Uint8Array.of(version)]), blobs, commitments, proofs]
  return concat(Uint8Array.of(tx.type), encodeRlp(wrapped))
}

/** What a signature of the transaction is over: Keccak-256 of its unsigned form, without blobs. */
export function signingHash(tx: EvmTransaction): Uint8Array {
  return keccak256(serializeTransaction({ ...tx, sidecar: null, signature: null }))
}

/** Its hash on the chain: Keccak-256 of its signed form, without blobs. */
export function transactionHash(tx: EvmTransaction): Uint8Array {
  return keccak256(serializeTransaction({ ...tx, sidecar: null }))
}

/** The address whose key made a signature over a digest; `transaction.malformed` naming `at` where no key can have. */
export function signerOf(signature: EvmSignature, digest: Uint8Array, at: string): string {
  const publicKey = recoverPublicKey(concat(signature.r, signature.s), signature.yParity, digest)
  if (publicKey === null) throw malformed(at, 'no key can have made it')
  return ethereumAddress(publicKey)
}

/** What holds between the fields of a transaction, whatever it was read from. */
export function checkFields(type: TransactionType, fields: Fields): Fields {
  if (fields.chainId === 0n) throw malformed('transaction.chainId', 'it is zero')
  if (fields.maxPriorityFeePerGas > fields.maxFeePerGas)
    throw malformed('transaction.maxPriorityFeePerGas', 'it is above maxFeePerGas')
  if (type >= 3 && fields.to === null)
    throw malformed('transaction.to', `a transaction of type ${type} cannot create a contract`)
  if (type === 3 && fields.blobVersionedHashes.length === 0)
    throw malformed('transaction.blobVersionedHashes', 'it is empty')
  if (type === 4 && fields.authorizationList.length === 0)
    throw malformed('transaction.authorizationList', 'it is empty')
  return fields
}

function typeOf(bytes: Uint8Array): TransactionType {
  const first = bytes[0]
  if (first === undefined) throw malformed('transaction', 'it is empty')
  if (first >= 0xc0) return 0
  if (first >= 1 && first <= 4) return first as TransactionType
  throw new ChainFault('transaction.unsupported', {
    field: 'transaction.type',
    reason: `type ${first} is not known; known are the legacy form and types 1 to 4`,
  })
}

function parseLegacy(items: readonly Rlp[]): EvmTransaction {
  const layout = layouts[0]
  if (items.length === layout.length) throw withoutChainId()
  if (items.length !== layout.length + 3)
    throw malformed('transaction', `expected ${layout.length + 3} fields, got ${items.length}`)
  const [v, r, s] = items.slice(layout.length) as [Rlp, Rlp, Rlp]
  const number = kinds.v.fromRlp(v, 'transaction.v')
  const unsigned = isEmpty(r) && isEmpty(s)
  if (!unsigned && (number === 27n || number === 28n)) throw withoutChainId()
  if (!unsigned && number < 37n) throw malformed('transaction.v', 'it is no v of EIP-155')
  const chainId = unsigned ? number : (number - 35n) / 2n
  return {
    type: 0,
    fields: checkFields(0, {
      ...readFields(layout, items),
      chainId: kinds.chainId.fromRlp(kinds.chainId.toRlp(chainId), 'transaction.v'),
    }),
    sidecar: null,
    signature: unsigned ? null : readSignature(Number((number - 35n) % 2n), r, s),
  }
}

function withoutChainId(): ChainFault {
  return new ChainFault('transaction.unsupported', {
    field: 'transaction.v',
    reason: 'it has no chain id and would be valid on every network; put the chain id in as EIP-155 says',
  })
}

function parseTyped(type: 1 | 2 | 3 | 4, items: readonly Rlp[]): EvmTransaction {
  const layout = layouts[type]
  const signed = items.length === layout.length + 3
  if (!signed && items.length !== layout.length)
    throw malformed(
      'transaction',
      `expected ${layout.length} fields, or ${layout.length + 3} with a signature, got ${items.length}`,
    )
  const [parity, r, s] = items.slice(layout.length) as [Rlp, Rlp, Rlp]
  return {
    type,
    fields: checkFields(type, readFields(layout, items)),
    sidecar: null,
    signature: signed ? readSignature(kinds.parity.fromRlp(parity, 'transaction.yParity'), r, s) : null,
  }
}

function parseWithBlobs(payload: readonly Rlp[], rest: readonly Rlp[]): EvmTransaction {
  const tx = parseTyped(3, payload)
  const version = rest.length === 4 ? kinds.gas.fromRlp(rest[0] as Rlp, 'transaction.wrapper_version') : 0n
  if (rest.length === 4 && version !== 1n)
    throw new ChainFault('transaction.unsupported', { field: 'transaction.wrapper_version', reason: 'it is not 1' })
  const parts = rest.slice(rest.length - 3)
  if (parts.length !== 3 || rest.length > 4)
    throw malformed('transaction', 'expected the transaction, then blobs, commitments and proofs')
  const names = ['blobs', 'commitments', 'proofs']
  const sidecar = readSidecar(
    (name, kind) => kind.fromRlp(parts[names.indexOf(name)] as Rlp, `transaction.${name}`),
    version === 1n ? 1 : 0,
    tx.fields.blobVersionedHashes,
  )
  return { ...tx, sidecar }
}

function readFields(layout: readonly FieldName[], items: readonly Rlp[]): Fields {
  const fields: Record<string, unknown> = { ...absent }
  layout.forEach((name, i) => {
    fields[name] = fieldKinds[name].fromRlp(items[i] as Rlp, `transaction.${name}`)
  })
  return fields as unknown as Fields
}

function readSignature(yParity: number, r: Rlp, s: Rlp): EvmSignature {
  return { yParity, r: kinds.r.fromRlp(r, 'transaction.r'), s: kinds.s.fromRlp(s, 'transaction.s') }
}

function payloadOf({ type, fields, signature }: EvmTransaction): readonly Rlp[] {
  const items = layouts[type].map((name) => (fieldKinds[name] as FieldKind<unknown>).toRlp(fields[name]))
  if (type === 0) {
    const v = signature === null ? fields.chainId : fields.chainId * 2n + 35n + BigInt(signature.yParity)
    items.push(kinds.v.toRlp(v), ...(signature === null ? [new Uint8Array(0), new Uint8Array(0)] : scalars(signature)))
  } else if (signature !== null) {
    items.push(kinds.parity.toRlp(signature.yParity), ...scalars(signature))
  }
  return items
}

function scalars({ r, s }: EvmSignature): readonly Rlp[] {
  return [kinds.r.toRlp(r), kinds.s.toRlp(s)]
}

function isEmpty(item: Rlp): boolean {
  return item instanceof Uint8Array && item.length === 0
}
