import { concat, equal } from '@popsigner/crypto/bytes'
import { sha256 } from '@popsigner/crypto/hash'
import type { Json, JsonObject } from '../chain.ts'
import { ChainFault } from '../fault.ts'
import { addressBytes, fromHex0x, hex0x, minimalBytes, parseAddress, toBigInt } from './bytes.ts'
import type { Rlp } from './rlp.ts'

/** An entry of an access list (EIP-2930): a contract, and slots of its storage as 32 bytes each. */
export interface Access {
  readonly address: string
  readonly storageKeys: readonly Uint8Array[]
}

/** An authorization (EIP-7702): its signer lets the code of `address` act as the account. `chainId` 0 means every network. */
export interface Authorization {
  readonly chainId: bigint
  readonly address: string
  readonly nonce: bigint
  readonly yParity: number
  readonly r: Uint8Array
  readonly s: Uint8Array
}

/** One kind of field: read from RLP or from JSON, and written back. `at` names the field in refusals. */
export interface FieldKind<T> {
  fromRlp(item: Rlp, at: string): T
  toRlp(value: T): Rlp
  fromJson(value: Json, at: string): T
  toJson(value: T): Json
}

const maxUint64 = 2n ** 64n - 1n
const maxUint256 = 2n ** 256n - 1n
/** The order of secp256k1, and half of it: the largest S (EIP-2). */
const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n
const halfOrder = order / 2n

/** Refuses, naming the field. */
export function malformed(field: string, reason: string): ChainFault {
  return new ChainFault('transaction.malformed', { field, reason })
}

/** A whole number from 0 to `max`, in RLP without leading zeros. In JSON 0x hex, decimal text, or a number below 2^53. */
function quantity(max: bigint): FieldKind<bigint> {
  const bounded = (value: bigint, at: string): bigint => {
    if (value > max) throw malformed(at, `it is above ${max}`)
    return value
  }
  return {
    fromRlp(item, at) {
      const bytes = bytesOf(item, at)
      if (bytes[0] === 0) throw malformed(at, 'the number has a leading zero')
      return bounded(toBigInt(bytes), at)
    },
    toRlp: minimalBytes,
    fromJson: (value, at) => bounded(parseQuantity(value, at), at),
    toJson: (value) => value.toString(),
  }
}

/** A whole number from JSON as clients write it: 0x hex without leading zeros, decimal text, or a number below 2^53. */
export function parseQuantity(value: Json, at: string): bigint {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return BigInt(value)
  if (
    typeof value === 'string' &&
    value.length <= 80 &&
    /^(?:0x(?:0|[1-9a-fA-F][0-9a-fA-F]*)|0|[1-9][0-9]*)$/.test(value)
  )
    return BigInt(value)
  throw malformed(at, 'expected a whole number: 0x hex or decimal text without leading zeros')
}

/** Bytes of any length, or of exactly `length`. */
function byteString(length?: number): FieldKind<Uint8Array> {
  const sized = (bytes: Uint8Array, at: string): Uint8Array => {
    if (length !== undefined && bytes.length !== length)
      throw malformed(at, `expected ${length} bytes, got ${bytes.length}`)
    return bytes
  }
  return {
    fromRlp: (item, at) => sized(bytesOf(item, at), at),
    toRlp: (value) => value,
    fromJson(value, at) {
      const bytes = typeof value === 'string' ? fromHex0x(value) : null
      if (bytes === null) throw malformed(at, 'expected hex behind 0x')
      return sized(bytes, at)
    },
    toJson: hex0x,
  }
}

const address: FieldKind<string> = {
  fromRlp: (item, at) => hexAddress(fixed20.fromRlp(item, at)),
  toRlp: addressBytes,
  fromJson(value, at) {
    const parsed = typeof value === 'string' ? parseAddress(value) : null
    if (parsed === null)
      throw malformed(at, 'expected an address: 0x and 40 hex digits, with the EIP-55 checksum if in mixed case')
    return parsed
  },
  toJson: (value) => value,
}

/** An address, or nothing where a contract is created. */
const recipient: FieldKind<string | null> = {
  fromRlp: (item, at) => (bytesOf(item, at).length === 0 ? null : address.fromRlp(item, at)),
  toRlp: (value) => (value === null ? new Uint8Array(0) : addressBytes(value)),
  fromJson: (value, at) => (value === null ? null : address.fromJson(value, at)),
  toJson: (value) => value,
}

function listOf<T>(item: FieldKind<T>, most?: number): FieldKind<readonly T[]> {
  const counted = <U>(items: readonly U[], at: string): readonly U[] => {
    if (most !== undefined && items.length > most)
      throw new ChainFault('transaction.too_large', { field: at, limit: most })
    return items
  }
  return {
    fromRlp: (value, at) => counted(itemsOf(value, at), at).map((one, i) => item.fromRlp(one, `${at}[${i}]`)),
    toRlp: (values) => values.map((one) => item.toRlp(one)),
    fromJson(value, at) {
      if (!Array.isArray(value)) throw malformed(at, 'expected a list')
      return counted(value as readonly Json[], at).map((one, i) => item.fromJson(one, `${at}[${i}]`))
    },
    toJson: (values) => values.map((one) => item.toJson(one)),
  }
}

/** A structure: a list in RLP, an object with exactly these names in JSON. */
function structure<T extends object>(fields: { readonly [name in keyof T]: FieldKind<T[name]> }): FieldKind<T> {
  const entries = Object.entries(fields) as [keyof T & string, FieldKind<T[keyof T]>][]
  return {
    fromRlp(item, at) {
      const items = itemsOf(item, at)
      if (items.length !== entries.length) throw malformed(at, `expected ${entries.length} fields, got ${items.length}`)
      return Object.fromEntries(
        entries.map(([name, kind], i) => [name, kind.fromRlp(items[i] as Rlp, `${at}.${name}`)]),
      ) as T
    },
    toRlp: (value) => entries.map(([name, kind]) => kind.toRlp(value[name])),
    fromJson(value, at) {
      const object = objectOf(value, at)
      for (const name of Object.keys(object))
        if (!Object.hasOwn(fields, name))
          throw new ChainFault('transaction.unsupported', { field: `${at}.${name}`, reason: 'there is no such field' })
      return Object.fromEntries(
        entries.map(([name, kind]) => {
          const one = object[name]
          if (one === undefined) throw malformed(`${at}.${name}`, 'it is missing')
          return [name, kind.fromJson(one, `${at}.${name}`)]
        }),
      ) as T
    },
    toJson: (value) => Object.fromEntries(entries.map(([name, kind]) => [name, kind.toJson(value[name])])),
  }
}

const fixed20 = byteString(20)
const bytes32 = byteString(32)

/** R or S: a scalar of secp256k1 above zero, 32 bytes here and without leading zeros in RLP. */
function scalar(max: bigint): FieldKind<Uint8Array> {
  const bounds = quantity(max)
  const padded = (value: bigint, at: string): Uint8Array => {
    if (value === 0n) throw malformed(at, 'it is zero')
    const bytes = minimalBytes(value)
    return concat(new Uint8Array(32 - bytes.length), bytes)
  }
  return {
    fromRlp: (item, at) => padded(bounds.fromRlp(item, at), at),
    toRlp: (value) => minimalBytes(toBigInt(value)),
    // Clients write 32 bytes here, with leading zeros.
    fromJson(value, at) {
      const bytes =
        typeof value === 'string' && value.length <= 66
          ? fromHex0x(value.length % 2 === 0 ? value : `0x0${value.slice(2)}`)
          : null
      if (bytes === null) throw malformed(at, 'expected hex behind 0x, of at most 32 bytes')
      const number = toBigInt(bytes)
      if (number > max) throw malformed(at, `it is above ${max}`)
      return padded(number, at)
    },
    toJson: hex0x,
  }
}

const parity: FieldKind<number> = {
  fromRlp: (item, at) => Number(quantity(1n).fromRlp(item, at)),
  toRlp: (value) => minimalBytes(BigInt(value)),
  fromJson: (value, at) => Number(quantity(1n).fromJson(value, at)),
  toJson: (value) => value,
}

/** A 32-byte hash of a blob's commitment behind its version, 1 (EIP-4844 §Helpers). */
const versionedHash: FieldKind<Uint8Array> = {
  ...bytes32,
  fromRlp: (item, at) => versioned(bytes32.fromRlp(item, at), at),
  fromJson: (value, at) => versioned(bytes32.fromJson(value, at), at),
}

function versioned(hash: Uint8Array, at: string): Uint8Array {
  if (hash[0] !== 1)
    throw new ChainFault('transaction.unsupported', { field: at, reason: 'the version of the hash is not 1' })
  return hash
}

/** The versioned hash of a commitment (48 bytes). EIP-4844 §Helpers. */
export function versionedHashOf(commitment: Uint8Array): Uint8Array {
  const hash = sha256(commitment)
  hash[0] = 1
  return hash
}

/** The kinds that fields of transactions have. */
export const kinds = {
  /** Above this an EIP-155 `v` would not fit 64 bits, and numbers in JSON would not be exact. */
  chainId: quantity(BigInt(Number.MAX_SAFE_INTEGER)),
  /** EIP-2681: one below the largest number of 64 bits. */
  nonce: quantity(maxUint64 - 1n),
  gas: quantity(maxUint64),
  amount: quantity(maxUint256),
  /** A legacy `v`: EIP-155 puts the chain id into it. */
  v: quantity(2n ** 56n),
  data: byteString(),
  recipient,
  accessList: listOf(structure<Access>({ address, storageKeys: listOf(bytes32) })),
  versionedHashes: listOf(versionedHash),
  authorizationList: listOf(
    structure<Authorization>({
      chainId: quantity(BigInt(Number.MAX_SAFE_INTEGER)),
      address,
      nonce: quantity(maxUint64 - 1n),
      yParity: parity,
      r: scalar(order - 1n),
      s: scalar(halfOrder),
    }),
    // Whose each is takes as long to find as several signatures.
    64,
  ),
  address,
  parity,
  r: scalar(order - 1n),
  s: scalar(halfOrder),
} as const

/** Blobs with what proves them (EIP-4844 §Networking): not covered by the signature but through the versioned hashes. */
export interface Sidecar {
  /** 0: a proof for each blob (EIP-4844). 1: 128 cell proofs for each (EIP-7594). */
  readonly version: 0 | 1
  readonly blobs: readonly Uint8Array[]
  readonly commitments: readonly Uint8Array[]
  readonly proofs: readonly Uint8Array[]
}

const sidecarFields = {
  blobs: listOf(byteString(131_072)),
  commitments: listOf(byteString(48)),
  proofs: listOf(byteString(48)),
}

/**
 * A sidecar whose commitments are those that the transaction names. That the blobs are what the commitments are to is
 * not checked here (it needs the trusted setup of KZG): the signature is over the versioned hashes alone.
 */
export function readSidecar(
  read: <T>(name: 'blobs' | 'commitments' | 'proofs', kind: FieldKind<T>) => T,
  version: 0 | 1,
  hashes: readonly Uint8Array[],
): Sidecar {
  const blobs = read('blobs', sidecarFields.blobs)
  const commitments = read('commitments', sidecarFields.commitments)
  const proofs = read('proofs', sidecarFields.proofs)
  if (commitments.length !== hashes.length)
    throw malformed('transaction.commitments', `expected ${hashes.length}, got ${commitments.length}`)
  if (blobs.length !== hashes.length)
    throw malformed('transaction.blobs', `expected ${hashes.length}, got ${blobs.length}`)
  const wanted = hashes.length * (version === 0 ? 1 : 128)
  if (proofs.length !== wanted) throw malformed('transaction.proofs', `expected ${wanted}, got ${proofs.length}`)
  commitments.forEach((commitment, i) => {
    if (!equal(versionedHashOf(commitment), hashes[i] as Uint8Array))
      throw malformed(`transaction.commitments[${i}]`, 'the versioned hash in the transaction is of another commitment')
  })
  return { version, blobs, commitments, proofs }
}

/** The object that a JSON value is. */
export function objectOf(value: Json, at: string): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw malformed(at, 'expected an object')
  return value as JsonObject
}

function bytesOf(item: Rlp, at: string): Uint8Array {
  if (!(item instanceof Uint8Array)) throw malformed(at, 'expected bytes, got a list')
  return item
}

function itemsOf(item: Rlp, at: string): readonly Rlp[] {
  if (item instanceof Uint8Array) throw malformed(at, 'expected a list, got bytes')
  return item
}

function hexAddress(bytes: Uint8Array): string {
  return parseAddress(hex0x(bytes)) as string
}
