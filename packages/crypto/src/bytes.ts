const hexDigits = '0123456789abcdef'
const base64Digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
const base64urlDigits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

const hexPairs: readonly string[] = Array.from(
  { length: 256 },
  (_, byte) => hexDigits.charAt(byte >> 4) + hexDigits.charAt(byte & 15),
)
const hexValues = valuesOf(hexDigits)
for (let digit = 10; digit < 16; digit++) hexValues[hexDigits.charAt(digit).toUpperCase().charCodeAt(0)] = digit
const base64Values = valuesOf(base64Digits)
const base64urlValues = valuesOf(base64urlDigits)

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Throws `TypeError` for anything but bytes and `RangeError` for a length other than `length`, naming the argument. */
export function assertBytes(value: unknown, name: string, length?: number): asserts value is Uint8Array {
  if (!(value instanceof Uint8Array)) throw new TypeError(`${name}: expected bytes, got ${typeof value}`)
  if (length !== undefined && value.length !== length)
    throw new RangeError(`${name}: expected ${length} bytes, got ${value.length}`)
}

/** The parts one after the other, in a new array. The copy is the caller's to wipe where a part is secret. */
export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0
  for (const part of parts) length += part.length
  const joined = new Uint8Array(length)
  let at = 0
  for (const part of parts) {
    joined.set(part, at)
    at += part.length
  }
  return joined
}

/** Whether both hold the same bytes. The time taken depends on the lengths only. */
export function equal(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  let difference = 0
  for (let i = 0; i < a.length; i++) difference |= (a[i] as number) ^ (b[i] as number)
  return difference === 0
}

/** Lower-case hexadecimal. Not for secrets: a string cannot be wiped. */
export function hex(bytes: Uint8Array): string {
  let text = ''
  for (let i = 0; i < bytes.length; i++) text += hexPairs[bytes[i] as number]
  return text
}

/** The bytes of hexadecimal text in either case. `RangeError` for an odd length or any other character. */
export function fromHex(text: string): Uint8Array {
  if (typeof text !== 'string') throw new TypeError(`text: expected a string, got ${typeof text}`)
  if (text.length % 2 !== 0) throw new RangeError('hex: the number of digits is odd')
  const bytes = new Uint8Array(text.length / 2)
  for (let i = 0; i < bytes.length; i++) {
    const value = (valueAt(hexValues, text, 2 * i) << 4) | valueAt(hexValues, text, 2 * i + 1)
    if (value < 0) throw new RangeError('hex: a character is not a hexadecimal digit')
    bytes[i] = value
  }
  return bytes
}

/** Base64 with padding (RFC 4648 §4). */
export function base64(bytes: Uint8Array): string {
  const text = encode64(bytes, base64Digits)
  return text + '='.repeat((4 - (text.length % 4)) % 4)
}

/** The bytes of canonical, padded base64 (RFC 4648 §4, §3.5); `RangeError` for any other text, so that bytes have one text. */
export function fromBase64(text: string): Uint8Array {
  if (typeof text !== 'string') throw new TypeError(`text: expected a string, got ${typeof text}`)
  if (text.length % 4 !== 0) throw new RangeError('base64: the length is not a multiple of four')
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0
  return decode64(text, text.length - padding, base64Values, 'base64')
}

/** Base64 with the URL alphabet and no padding (RFC 4648 §5). */
export function base64url(bytes: Uint8Array): string {
  return encode64(bytes, base64urlDigits)
}

/** The bytes of canonical, unpadded base64url (RFC 4648 §5); `RangeError` for any other text. */
export function fromBase64url(text: string): Uint8Array {
  if (typeof text !== 'string') throw new TypeError(`text: expected a string, got ${typeof text}`)
  return decode64(text, text.length, base64urlValues, 'base64url')
}

/** UTF-8. `RangeError` for text with a lone surrogate, which would otherwise become the bytes of another text. */
export function utf8(text: string): Uint8Array {
  if (typeof text !== 'string') throw new TypeError(`text: expected a string, got ${typeof text}`)
  if (!text.isWellFormed()) throw new RangeError('utf8: the text has a lone surrogate')
  return encoder.encode(text)
}

/** The text of UTF-8 bytes, a byte order mark included; `RangeError` where they are not well-formed UTF-8. */
export function fromUtf8(bytes: Uint8Array): string {
  assertBytes(bytes, 'bytes')
  try {
    return decoder.decode(bytes)
  } catch {
    throw new RangeError('utf8: the bytes are not well-formed')
  }
}

function valuesOf(digits: string): Int8Array {
  const values = new Int8Array(128).fill(-1)
  for (let i = 0; i < digits.length; i++) values[digits.charCodeAt(i)] = i
  return values
}

function valueAt(values: Int8Array, text: string, at: number): number {
  return values[text.charCodeAt(at)] ?? -1
}

function encode64(bytes: Uint8Array, digits: string): string {
  let text = ''
  let held = 0
  let bits = 0
  for (let i = 0; i < bytes.length; i++) {
    held = ((held << 8) | (bytes[i] as number)) & 0xffff
    bits += 8
    while (bits >= 6) {
      bits -= 6
      text += digits.charAt((held >> bits) & 63)
    }
  }
  return bits === 0 ? text : text + digits.charAt((held << (6 - bits)) & 63)
}

function decode64(text: string, length: number, values: Int8Array, name: string): Uint8Array {
  if (length % 4 === 1) throw new RangeError(`${name}: no bytes have this length`)
  const bytes = new Uint8Array((length * 6) >>> 3)
  let held = 0
  let bits = 0
  let at = 0
  for (let i = 0; i < length; i++) {
    const value = valueAt(values, text, i)
    if (value < 0) throw new RangeError(`${name}: a character is not in the alphabet`)
    held = ((held << 6) | value) & 0xfff
    bits += 6
    if (bits >= 8) {
      bits -= 8
      bytes[at++] = (held >> bits) & 0xff
    }
  }
  // Bits that belong to no byte must be zero, or two texts would stand for the same bytes.
  if ((held & ((1 << bits) - 1)) !== 0) throw new RangeError(`${name}: the last digit has bits that belong to no byte`)
  return bytes
}
