import { assertBytes, fromHex } from './bytes.ts'

const digits = '0123456789abcdefghjkmnpqrstvwxyz'
const values = new Int8Array(128).fill(-1)
for (let i = 0; i < digits.length; i++) values[digits.charCodeAt(i)] = i

/** Every pair of digits, by its ten bits: ids are made for each signature, and half the steps is half the time. */
const digitPairs = Array.from({ length: 1024 }, (_, i) => digits.charAt(i >> 5) + digits.charAt(i & 31))
const hexPairs = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0'))

const prefixForm = /^[a-z]([a-z_]{0,61}[a-z])?$/
const uuidForm = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** Digits in the part behind the prefix: 128 bits in base 32, the first digit holding three. */
const suffixLength = 26

/** The text of an id: `<prefix>_` and 26 lower-case digits of Crockford's base 32 (TypeID 0.3). `id` has 16 bytes. */
export function encodeTypeId(prefix: string, id: Uint8Array): string {
  assertBytes(id, 'id', 16)
  if (!prefixForm.test(prefix)) throw new RangeError('prefix: expected lower-case letters')
  let text = `${prefix}_`
  // 130 bits: two zero bits, then the id, ten at a time.
  let held = 0
  let bits = 2
  for (let i = 0; i < 16; i++) {
    held = ((held << 8) | (id[i] as number)) & 0x3ffff
    bits += 8
    if (bits >= 10) {
      bits -= 10
      text += digitPairs[(held >> bits) & 0x3ff]
    }
  }
  return text
}

/**
 * The 16 bytes of an id with exactly this prefix, or `null` for any other text: another prefix, upper case, a wrong
 * length, a digit outside the alphabet, more than 128 bits. Each id has one text.
 */
export function decodeTypeId(text: string, prefix: string): Uint8Array | null {
  if (typeof text !== 'string' || text.length !== prefix.length + 1 + suffixLength) return null
  if (!text.startsWith(prefix) || text.charAt(prefix.length) !== '_') return null
  const id = new Uint8Array(16)
  let held = 0
  let bits = -2
  let at = 0
  for (let i = prefix.length + 1; i < text.length; i++) {
    const value = values[text.charCodeAt(i)] ?? -1
    if (value < 0) return null
    if (bits === -2 && value > 7) return null
    held = ((held << 5) | value) & 0x1fff
    bits += 5
    if (bits >= 8) {
      bits -= 8
      id[at++] = (held >> bits) & 0xff
    }
  }
  return id
}

/** The same 16 bytes as PostgreSQL's `uuid` writes them: lower-case hexadecimal with hyphens (RFC 9562 §4). */
export function uuidText(id: Uint8Array): string {
  assertBytes(id, 'id', 16)
  let text = ''
  for (let i = 0; i < 16; i++) {
    if (i === 4 || i === 6 || i === 8 || i === 10) text += '-'
    text += hexPairs[id[i] as number]
  }
  return text
}

/** The 16 bytes of a UUID in that form. `RangeError` for any other text. */
export function uuidBytes(text: string): Uint8Array {
  if (!uuidForm.test(text)) throw new RangeError('uuid: expected lower-case hexadecimal with hyphens')
  return fromHex(text.replaceAll('-', ''))
}
