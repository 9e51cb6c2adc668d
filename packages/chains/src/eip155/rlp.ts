import { ChainFault } from '../fault.ts'

/** What RLP encodes: bytes, or a list of such (Ethereum yellow paper, appendix B). */
export type Rlp = Uint8Array | readonly Rlp[]

/** How deep lists may lie in one another. A transaction needs five: sidecar, payload, access list, entry, keys. */
const maxDepth = 8

/**
 * Reads one item that takes all of `bytes`. `transaction.malformed` naming `field` for whatever is not the one encoding of
 * something: lengths with leading zeros or in a longer form than needed, single bytes with a length, bytes left over.
 * The parts are views of `bytes`.
 */
export function decodeRlp(bytes: Uint8Array, field: string): Rlp {
  const { item, end } = read(bytes, 0, bytes.length, field, 0)
  if (end !== bytes.length) throw malformed(field, `${bytes.length - end} bytes are left over after the transaction`)
  return item
}

/** The encoding of an item. */
export function encodeRlp(item: Rlp): Uint8Array {
  const bytes = new Uint8Array(encodedLength(item))
  write(bytes, 0, item)
  return bytes
}

function read(bytes: Uint8Array, at: number, limit: number, field: string, depth: number): { item: Rlp; end: number } {
  const first = bytes[at]
  if (first === undefined || at >= limit) throw malformed(field, 'it ends early')
  if (first < 0x80) return { item: bytes.subarray(at, at + 1), end: at + 1 }
  const isList = first >= 0xc0
  const { start, end } = span(bytes, at, first - (isList ? 0xc0 : 0x80), limit, field)
  if (!isList) {
    if (end - start === 1 && (bytes[start] as number) < 0x80) throw malformed(field, 'a single byte has a length')
    return { item: bytes.subarray(start, end), end }
  }
  if (depth === maxDepth) throw malformed(field, `lists lie deeper than ${maxDepth}`)
  const items: Rlp[] = []
  for (let next = start; next < end; ) {
    const one = read(bytes, next, end, field, depth + 1)
    items.push(one.item)
    next = one.end
  }
  return { item: items, end }
}

/** Where the content behind the first byte lies: `code` is below 56 for a length, above for the length of a length. */
function span(
  bytes: Uint8Array,
  at: number,
  code: number,
  limit: number,
  field: string,
): { start: number; end: number } {
  if (code < 56) return within(at + 1, code, limit, field)
  const size = code - 55
  within(at + 1, size, limit, field)
  if (bytes[at + 1] === 0) throw malformed(field, 'a length has a leading zero')
  // Four bytes are more than any transaction has; more could not be counted exactly.
  if (size > 4) throw malformed(field, 'it ends early')
  let length = 0
  for (let i = 0; i < size; i++) length = length * 256 + (bytes[at + 1 + i] as number)
  if (length < 56) throw malformed(field, 'a length stands in a longer form than needed')
  return within(at + 1 + size, length, limit, field)
}

function within(start: number, length: number, limit: number, field: string): { start: number; end: number } {
  if (length > limit - start) throw malformed(field, 'it ends early')
  return { start, end: start + length }
}

function encodedLength(item: Rlp): number {
  if (item instanceof Uint8Array) {
    if (item.length === 1 && (item[0] as number) < 0x80) return 1
    return headLength(item.length) + item.length
  }
  const length = contentLength(item)
  return headLength(length) + length
}

function contentLength(items: readonly Rlp[]): number {
  let length = 0
  for (const item of items) length += encodedLength(item)
  return length
}

function headLength(length: number): number {
  return length < 56 ? 1 : 1 + bytesOf(length)
}

function bytesOf(length: number): number {
  return Math.ceil((32 - Math.clz32(length)) / 8)
}

function write(bytes: Uint8Array, start: number, item: Rlp): number {
  if (item instanceof Uint8Array) {
    const plain = item.length === 1 && (item[0] as number) < 0x80
    const at = plain ? start : writeHead(bytes, start, 0x80, item.length)
    bytes.set(item, at)
    return at + item.length
  }
  let at = writeHead(bytes, start, 0xc0, contentLength(item))
  for (const one of item) at = write(bytes, at, one)
  return at
}

function writeHead(bytes: Uint8Array, at: number, base: number, length: number): number {
  if (length < 56) {
    bytes[at] = base + length
    return at + 1
  }
  const size = bytesOf(length)
  bytes[at] = base + 55 + size
  for (let i = 0; i < size; i++) bytes[at + 1 + i] = (length >>> (8 * (size - 1 - i))) & 0xff
  return at + 1 + size
}

function malformed(field: string, reason: string): ChainFault {
  return new ChainFault('transaction.malformed', { field, reason })
}
