import { concat } from '@popsigner/crypto/bytes'
import { malformed } from './refuse.ts'

/**
 * Protobuf's wire format in the one form that the Cosmos SDK writes (ADR-027): fields ascend, varints are as short as they
 * can be, nothing is left over. Only the wire types its messages use: varint (0) and length-delimited (2).
 */

/** What follows a tag: a varint, or the bytes of a length-delimited field. */
export type Payload = bigint | Uint8Array

interface WireField {
  readonly number: number
  readonly payload: Payload
}

/** Fields are numbered up to 2^29 - 1 (Protocol Buffers, Assigning Field Numbers). */
const maxFieldNumber = 0x1fff_ffff

/** The fields of a message in the order of the bytes. Refuses groups, fixed-width types, descending numbers and a cut-off end. */
export function readFields(bytes: Uint8Array, path: string): readonly WireField[] {
  const fields: WireField[] = []
  let at = 0
  let last = 0
  while (at < bytes.length) {
    const tag = readVarint(bytes, at, path)
    at = tag.next
    const number = Number(tag.value >> 3n)
    const wireType = Number(tag.value & 7n)
    if (number === 0 || number > maxFieldNumber) throw malformed(path, 'has a field number that does not exist')
    if (number < last) throw malformed(path, `has field ${number} after field ${last}: fields must ascend`)
    last = number
    if (wireType === 0) {
      const varint = readVarint(bytes, at, path)
      at = varint.next
      fields.push({ number, payload: varint.value })
    } else if (wireType === 2) {
      const length = readVarint(bytes, at, path)
      if (length.value > BigInt(bytes.length - length.next)) throw malformed(path, 'ends in the middle of a field')
      at = length.next + Number(length.value)
      fields.push({ number, payload: bytes.subarray(length.next, at) })
    } else {
      throw malformed(path, `has field ${number} with wire type ${wireType}, which no message here uses`)
    }
  }
  return fields
}

/** A field as bytes: tag, then varint or length and content. */
export function writeField(number: number, payload: Payload): Uint8Array {
  if (typeof payload === 'bigint') return concat(writeVarint(BigInt(number) << 3n), writeVarint(payload))
  return concat(writeVarint((BigInt(number) << 3n) | 2n), writeVarint(BigInt(payload.length)), payload)
}

/** Varints one after the other, as a packed repeated field holds them. Refuses a cut-off end. */
export function readPacked(bytes: Uint8Array, path: string): readonly bigint[] {
  const values: bigint[] = []
  let at = 0
  while (at < bytes.length) {
    const { value, next } = readVarint(bytes, at, path)
    values.push(value)
    at = next
  }
  return values
}

/** The shortest varint of a number from 0 to 2^64 - 1. */
export function writeVarint(value: bigint): Uint8Array {
  const bytes: number[] = []
  let rest = value
  while (rest > 0x7fn) {
    bytes.push(Number(rest & 0x7fn) | 0x80)
    rest >>= 7n
  }
  bytes.push(Number(rest))
  return Uint8Array.from(bytes)
}

function readVarint(bytes: Uint8Array, start: number, path: string): { value: bigint; next: number } {
  let value = 0n
  for (let i = 0; i < 10; i++) {
    const byte = bytes[start + i]
    if (byte === undefined) throw malformed(path, 'ends in the middle of a varint')
    value |= BigInt(byte & 0x7f) << BigInt(7 * i)
    if (byte < 0x80) {
      if (byte === 0 && i > 0) throw malformed(path, 'has a varint that is longer than it needs to be')
      if (value >= 1n << 64n) break
      return { value, next: start + i + 1 }
    }
  }
  throw malformed(path, 'has a varint of more than 64 bits')
}
