import { assertBytes, concat, fromUtf8, utf8 } from './bytes.ts'

/**
 * Deterministic CBOR (RFC 8949 §4.2.1), the part of it that our formats use: integers, byte strings, text, arrays, maps
 * with text keys, `true`, `false` and `null`. Every value has one encoding, and the decoder accepts no other.
 */
export type CborValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | readonly CborValue[]
  | { readonly [key: string]: CborValue }

/** How deep arrays and maps may lie in one another. */
const maxDepth = 16
/** The longest input that is decoded, in bytes: that of one frame of the signer's protocol. */
const maxLength = 16 * 1024 * 1024

const unsigned = 0
const negative = 1
const byteString = 2
const textString = 3
const array = 4
const map = 5
const simple = 7

const simpleFalse = 0xf4
const simpleTrue = 0xf5
const simpleNull = 0xf6

/**
 * The one encoding of a value. Numbers must be safe integers, `bigint`s lie within -2^64 to 2^64-1; maps are plain objects.
 * `TypeError` for a value that has no form here (`undefined`, a class instance), `RangeError` for a number or nesting
 * outside the limits. Secrets do not belong in here: the pieces are not wiped.
 */
export function encodeCbor(value: CborValue): Uint8Array {
  const parts: Uint8Array[] = []
  write(value, parts, 0)
  return concat(...parts)
}

/**
 * The value of bytes that are exactly one deterministic encoding. Whole numbers past 2^53 come back as `bigint`, maps as
 * objects without a prototype. `RangeError` for anything else: longer heads than needed, indefinite lengths, keys out of
 * order or repeated or not text, floats, tags, other simple values, bytes left over, nesting deeper than 16.
 */
export function decodeCbor(bytes: Uint8Array): CborValue {
  assertBytes(bytes, 'bytes')
  if (bytes.length > maxLength) throw new RangeError(`cbor: longer than ${maxLength} bytes`)
  // A plain view, since `slice` of a `Buffer` would share the input's memory.
  const input = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)
  const cursor: Cursor = { bytes: input, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length), at: 0 }
  const value = read(cursor, 0)
  if (cursor.at !== bytes.length) throw new RangeError('cbor: bytes are left over')
  return value
}

interface Cursor {
  readonly bytes: Uint8Array
  readonly view: DataView
  at: number
}

function write(value: CborValue, parts: Uint8Array[], depth: number): void {
  if (value === null) parts.push(Uint8Array.of(simpleNull))
  else if (typeof value === 'boolean') parts.push(Uint8Array.of(value ? simpleTrue : simpleFalse))
  else if (typeof value === 'number') {
    if (!Number.isSafeInteger(value) || Object.is(value, -0)) throw new RangeError('cbor: not a safe integer')
    parts.push(value < 0 ? head(negative, -1 - value) : head(unsigned, value))
  } else if (typeof value === 'bigint') {
    parts.push(value < 0n ? head(negative, -1n - value) : head(unsigned, value))
  } else if (typeof value === 'string') {
    const text = utf8(value)
    parts.push(head(textString, text.length), text)
  } else if (value instanceof Uint8Array) parts.push(head(byteString, value.length), value)
  else if (typeof value !== 'object') throw new TypeError(`cbor: a value of type ${typeof value} has no form`)
  else if (depth === maxDepth) throw new RangeError(`cbor: nested deeper than ${maxDepth}`)
  else if (Array.isArray(value)) {
    parts.push(head(array, value.length))
    for (const item of value as readonly CborValue[]) write(item, parts, depth + 1)
  } else writeMap(value as { readonly [key: string]: CborValue }, parts, depth)
}

function writeMap(value: { readonly [key: string]: CborValue }, parts: Uint8Array[], depth: number): void {
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null)
    throw new TypeError('cbor: only plain objects, arrays and bytes have a form')
  const entries = Object.keys(value).map((name) => ({ name, key: encodeText(name) }))
  entries.sort((a, b) => compare(a.key, b.key))
  parts.push(head(map, entries.length))
  for (const { name, key } of entries) {
    parts.push(key)
    write(value[name] as CborValue, parts, depth + 1)
  }
}

function encodeText(text: string): Uint8Array {
  const bytes = utf8(text)
  return concat(head(textString, bytes.length), bytes)
}

function head(major: number, argument: number | bigint): Uint8Array {
  const top = major << 5
  if (argument < 24) return Uint8Array.of(top | Number(argument))
  if (argument < 0x100) return Uint8Array.of(top | 24, Number(argument))
  if (argument < 0x10000) return Uint8Array.of(top | 25, Number(argument) >> 8, Number(argument) & 0xff)
  const wide = argument >= 0x1_0000_0000
  if (argument > 0xffff_ffff_ffff_ffffn) throw new RangeError('cbor: the integer needs more than 64 bits')
  const bytes = new Uint8Array(wide ? 9 : 5)
  bytes[0] = top | (wide ? 27 : 26)
  const view = new DataView(bytes.buffer)
  if (wide) view.setBigUint64(1, BigInt(argument))
  else view.setUint32(1, Number(argument))
  return bytes
}

function read(cursor: Cursor, depth: number): CborValue {
  const first = byteAt(cursor)
  const major = first >> 5
  if (major === simple) {
    if (first === simpleNull) return null
    if (first === simpleTrue) return true
    if (first === simpleFalse) return false
    throw new RangeError('cbor: floats and other simple values are not accepted')
  }
  const argument = readArgument(cursor, first & 31)
  switch (major) {
    case unsigned:
      return argument
    case negative:
      return readNegative(argument)
    case byteString:
      return take(cursor, argument).slice()
    case textString:
      return fromUtf8(take(cursor, argument))
    case array:
      return readArray(cursor, argument, depth)
    case map:
      return readMap(cursor, argument, depth)
    default:
      throw new RangeError('cbor: tags are not accepted')
  }
}

function readNegative(argument: number | bigint): number | bigint {
  const value = -1n - BigInt(argument)
  return value >= BigInt(Number.MIN_SAFE_INTEGER) ? Number(value) : value
}

function readArray(cursor: Cursor, argument: number | bigint, depth: number): CborValue[] {
  const length = countOf(cursor, argument, 1, depth)
  const items: CborValue[] = []
  for (let i = 0; i < length; i++) items.push(read(cursor, depth + 1))
  return items
}

function readMap(cursor: Cursor, argument: number | bigint, depth: number): { [key: string]: CborValue } {
  const length = countOf(cursor, argument, 2, depth)
  const entries = Object.create(null) as { [key: string]: CborValue }
  let previous: Uint8Array | null = null
  for (let i = 0; i < length; i++) {
    const start = cursor.at
    if (start < cursor.bytes.length && (cursor.bytes[start] as number) >> 5 !== textString)
      throw new RangeError('cbor: a key is not text')
    const name = read(cursor, depth + 1) as string
    const key = cursor.bytes.subarray(start, cursor.at)
    if (previous !== null && compare(previous, key) >= 0) throw new RangeError('cbor: keys repeat or are out of order')
    previous = key
    entries[name] = read(cursor, depth + 1)
  }
  return entries
}

/** The number of items an array or map announces; refused where the input is too short to hold them, before any is read. */
function countOf(cursor: Cursor, argument: number | bigint, bytesEach: number, depth: number): number {
  if (depth === maxDepth) throw new RangeError(`cbor: nested deeper than ${maxDepth}`)
  if (argument > (cursor.bytes.length - cursor.at) / bytesEach) throw new RangeError('cbor: the input ends early')
  return Number(argument)
}

function readArgument(cursor: Cursor, info: number): number | bigint {
  if (info < 24) return info
  if (info > 27) throw new RangeError('cbor: indefinite lengths and reserved heads are not accepted')
  const at = cursor.at
  const width = 1 << (info - 24)
  take(cursor, width)
  if (info === 24) return atLeast(cursor.view.getUint8(at), 24)
  if (info === 25) return atLeast(cursor.view.getUint16(at), 0x100)
  if (info === 26) return atLeast(cursor.view.getUint32(at), 0x10000)
  const value = cursor.view.getBigUint64(at)
  if (value < 0x1_0000_0000n) throw new RangeError('cbor: a head is longer than needed')
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value
}

function atLeast(value: number, least: number): number {
  if (value < least) throw new RangeError('cbor: a head is longer than needed')
  return value
}

function take(cursor: Cursor, length: number | bigint): Uint8Array {
  if (length > cursor.bytes.length - cursor.at) throw new RangeError('cbor: the input ends early')
  const bytes = cursor.bytes.subarray(cursor.at, cursor.at + Number(length))
  cursor.at += Number(length)
  return bytes
}

function byteAt(cursor: Cursor): number {
  const byte = cursor.bytes[cursor.at]
  if (byte === undefined) throw new RangeError('cbor: the input ends early')
  cursor.at++
  return byte
}

function compare(a: Uint8Array, b: Uint8Array): number {
  const shorter = Math.min(a.length, b.length)
  for (let i = 0; i < shorter; i++) {
    const difference = (a[i] as number) - (b[i] as number)
    if (difference !== 0) return difference
  }
  return a.length - b.length
}
