import { fromUtf8 } from './bytes.ts'

/** How deep arrays and objects may lie in one another. Our own documents need five. */
const maxDepth = 64

/**
 * JSON in the canonical form of RFC 8785.
 *
 * Nothing is dropped or converted: `undefined`, functions, `bigint`, dates and class instances are a `TypeError`; numbers
 * that are not finite, text with a lone surrogate and nesting deeper than 64 are a `RangeError`.
 */
export function canonicalJson(value: unknown): string {
  return serialize(value, 0)
}

/** The value of bytes that are exactly the canonical form of some JSON (RFC 8785). `RangeError` for all other bytes. */
export function parseCanonicalJson(bytes: Uint8Array): unknown {
  const text = fromUtf8(bytes)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new RangeError('json: not JSON')
  }
  // Comparing texts also finds repeated names, other spellings of a number, and numbers that do not fit a double.
  if (canonicalJson(value) !== text) throw new RangeError('json: not in canonical form')
  return value
}

function serialize(value: unknown, depth: number): string {
  switch (typeof value) {
    case 'string':
      return quote(value)
    case 'number':
      // ECMAScript's own text of a number is the one that RFC 8785 §3.2.2.3 asks for.
      if (!Number.isFinite(value)) throw new RangeError('json: the number is not finite')
      return Object.is(value, -0) ? '0' : String(value)
    case 'boolean':
      return value ? 'true' : 'false'
    case 'object':
      if (value === null) return 'null'
      if (depth === maxDepth) throw new RangeError(`json: nested deeper than ${maxDepth}`)
      return Array.isArray(value) ? serializeArray(value, depth) : serializeObject(value, depth)
    default:
      throw new TypeError(`json: a value of type ${typeof value} has no form`)
  }
}

function serializeArray(values: readonly unknown[], depth: number): string {
  let text = '['
  for (let i = 0; i < values.length; i++) text += (i === 0 ? '' : ',') + serialize(values[i], depth + 1)
  return `${text}]`
}

function serializeObject(value: object, depth: number): string {
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null)
    throw new TypeError('json: only plain objects and arrays have a form')
  // The default order is by UTF-16 code unit, which RFC 8785 §3.2.3 asks for.
  const names = Object.keys(value).sort()
  let text = '{'
  for (let i = 0; i < names.length; i++) {
    const name = names[i] as string
    text += `${i === 0 ? '' : ','}${quote(name)}:${serialize((value as Record<string, unknown>)[name], depth + 1)}`
  }
  return `${text}}`
}

function quote(text: string): string {
  if (!text.isWellFormed()) throw new RangeError('json: the text has a lone surrogate')
  return JSON.stringify(text)
}
