import { isUtf8 } from 'node:buffer'
import { RequestFault } from './request-fault.ts'

const maximumDepth = 16

const QUOTE = 0x22
const BACKSLASH = 0x5c

/**
 * The value of a JSON body, refusing what `JSON.parse` lets through and two readers could understand differently: bytes that
 * are not UTF-8, a name twice in one object, halves of surrogate pairs, whole numbers beyond 2^53, `__proto__`, nesting beyond 16.
 * Throws `RequestFault('request.malformed')`.
 */
export function parseStrictJson(body: Buffer): unknown {
  if (!isUtf8(body)) throw malformed('The body is not UTF-8.')
  const text = body.toString('utf8')
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw malformed('The body is not JSON.')
  }
  // It is JSON: the scan only has to find its way through strings, and may trust the rest.
  scan(text)
  return value
}

function scan(text: string): void {
  const names: (Set<string> | null)[] = []
  let expectName = false
  for (let at = 0; at < text.length; at++) {
    const c = text.charCodeAt(at)
    if (c === QUOTE) {
      const end = endOfString(text, at)
      const set = names[names.length - 1]
      const raw = text.slice(at + 1, end)
      // Bytes in UTF-8 hold none, so only an escape can bring one in.
      if (/\\u[dD]/.test(raw) && !(JSON.parse(text.slice(at, end + 1)) as string).isWellFormed())
        throw malformed('The body has half of a surrogate pair.')
      if (expectName && set) {
        const name = raw.includes('\\') ? (JSON.parse(text.slice(at, end + 1)) as string) : raw
        if (name === '__proto__') throw malformed('The body has a field named __proto__.')
        if (set.has(name)) throw malformed('The body names a field twice in one object.')
        set.add(name)
        expectName = false
      }
      at = end
    } else if (c === 0x7b || c === 0x5b) {
      if (names.length >= maximumDepth) throw malformed(`The body nests deeper than ${maximumDepth}.`)
      names.push(c === 0x7b ? new Set() : null)
      expectName = c === 0x7b
    } else if (c === 0x7d || c === 0x5d) {
      names.pop()
    } else if (c === 0x2c) {
      expectName = names[names.length - 1] !== null
    } else if (c === 0x2d || (c >= 0x30 && c <= 0x39)) {
      at = endOfNumber(text, at) - 1
    }
  }
}

function endOfString(text: string, start: number): number {
  let end = start
  for (;;) {
    end = text.indexOf('"', end + 1)
    let slashes = 0
    while (text.charCodeAt(end - 1 - slashes) === BACKSLASH) slashes++
    if (slashes % 2 === 0) return end
  }
}

function endOfNumber(text: string, start: number): number {
  let end = start + 1
  let c = text.charCodeAt(end)
  while ((c >= 0x30 && c <= 0x39) || c === 0x2e || c === 0x65 || c === 0x45 || c === 0x2b || c === 0x2d)
    c = text.charCodeAt(++end)
  const number = Number(text.slice(start, end))
  if (Math.abs(number) > Number.MAX_SAFE_INTEGER)
    throw malformed('The body has a number beyond 2^53; write it as a string.')
  return end
}

function malformed(detail: string): RequestFault {
  return new RequestFault('request.malformed', detail)
}
