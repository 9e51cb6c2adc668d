/** Reads answers that may come from anywhere: bounded, and nothing in them is taken at its word. */
import type { Refusal } from './errors.ts'

/** The largest answer that is read, in characters. A page of 1,000 records with their leaves is below 16 MiB. */
const maxAnswerCharacters = 67_108_864

/** The longest text of a problem that is kept. */
const maxProblemText = 2_000

/** The body as text. Rejects for one that is not UTF-8 or is longer than 64 Mi characters, without reading on. */
export async function readText(response: Response): Promise<string> {
  if (response.body === null) return ''
  const decoder = new TextDecoder('utf-8', { fatal: true })
  const reader = response.body.getReader()
  let text = ''
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return text + decoder.decode()
    text += decoder.decode(value, { stream: true })
    if (text.length > maxAnswerCharacters) {
      await reader.cancel()
      throw new RangeError('answer: too long')
    }
  }
}

/** The problem document of an answer, or null where it is none. */
export function readProblem(response: Response, text: string): Omit<Refusal, 'retryAfterSeconds'> | null {
  if (!(response.headers.get('content-type') ?? '').toLowerCase().startsWith('application/problem+json')) return null
  let document: unknown
  try {
    document = JSON.parse(text)
  } catch {
    return null
  }
  if (!isObject(document)) return null
  const { code, title, detail, request_id, errors } = document
  if (typeof code !== 'string' || !/^[a-z_]{1,40}\.[a-z_]{1,60}$/.test(code)) return null
  return {
    code,
    title: plain(title),
    detail: plain(detail),
    status: response.status,
    requestId: typeof request_id === 'string' ? plain(request_id) : response.headers.get('x-request-id'),
    errors: Array.isArray(errors)
      ? errors.filter(isObject).map(({ field, message }) => ({ field: plain(field), message: plain(message) }))
      : [],
  }
}

/** Seconds of a `Retry-After` header (RFC 9110 §10.2.3): a number, or a date from now on. Null for anything else. */
export function readRetryAfter(header: string | null, now: number = Date.now()): number | null {
  if (header === null) return null
  if (/^\d{1,9}$/.test(header.trim())) return Number(header)
  if (!/^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/.test(header)) return null
  const time = Date.parse(header)
  return Number.isNaN(time) ? null : Math.max(0, Math.ceil((time - now) / 1_000))
}

// Problems are printed at terminals: no control characters, and no more than a person reads.
function plain(value: unknown): string {
  return typeof value === 'string' ? value.slice(0, maxProblemText).replaceAll(/\p{Cc}/gu, ' ') : ''
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
