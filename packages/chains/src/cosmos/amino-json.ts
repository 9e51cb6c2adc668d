import { fromUtf8, utf8 } from '@popsigner/crypto/bytes'
import type { Json } from '../chain.ts'
import { malformed } from './refuse.ts'

/** How deep amino JSON may nest; the shapes refuse less. */
const maxDepth = 64

/**
 * JSON as the SDK signs it (sdk.MustSortJSON): names sorted, no spaces, and what Go's encoding/json escapes. Refuses U+0008
 * and U+000C in text, which Go has written in two ways, and numbers that are not whole.
 */
export function sortedJson(value: Json, depth = 0): string {
  if (depth > maxDepth) throw malformed('transaction', `is nested deeper than ${maxDepth}`)
  if (typeof value === 'string') return quote(value)
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value) || Object.is(value, -0))
      throw malformed('transaction', 'has a number that is not whole')
    return String(value)
  }
  if (value === null || typeof value === 'boolean') return String(value)
  if (Array.isArray(value)) return `[${value.map((one) => sortedJson(one, depth + 1)).join(',')}]`
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${entries.map(([name, one]) => `${quote(name)}:${sortedJson(one, depth + 1)}`).join(',')}}`
}

/** The value of bytes that are exactly that form of it: no spaces, no name twice, no other spelling. */
export function parseSortedJson(bytes: Uint8Array): Json {
  let text: string
  let value: Json
  try {
    text = fromUtf8(bytes)
    value = JSON.parse(text)
  } catch {
    throw malformed('transaction', 'begins as JSON and is none')
  }
  if (sortedJson(value) !== text)
    throw malformed('transaction', 'is not the canonical JSON that is signed: names sorted, no spaces, < > & escaped')
  return value
}

/** The bytes that are signed. */
export function sortedJsonBytes(value: Json): Uint8Array {
  return utf8(sortedJson(value))
}

function quote(text: string): string {
  if (!text.isWellFormed()) throw malformed('transaction', 'has text with a lone surrogate')
  if (/[\b\f]/.test(text))
    throw malformed('transaction', 'has U+0008 or U+000C in a text, which JSON of the SDK writes in two ways')
  return JSON.stringify(text).replaceAll(
    /[<>&\u2028\u2029]/g,
    (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
