import type { FieldError, ProblemCode } from '@popsigner/api/problems'

/** What a refusal carries, as the problem document has it (RFC 9457). */
export interface Refusal {
  /** The stable name of the problem; branch on this. A server newer than this SDK may name others. */
  readonly code: ProblemCode | (string & {})
  /** The same sentence for every occurrence of the code. */
  readonly title: string
  /** What went wrong this time. */
  readonly detail: string
  readonly status: number
  /** Null where the answer named none. */
  readonly requestId: string | null
  /** With `request.invalid`, one entry for each field; otherwise empty. */
  readonly errors: readonly FieldError[]
  /** The seconds of `Retry-After`, null where the answer had none. */
  readonly retryAfterSeconds: number | null
}

/** The server refused. Everything in it is safe to show to the caller. */
export class PopSignerError extends Error implements Refusal {
  readonly code: ProblemCode | (string & {})
  readonly title: string
  readonly detail: string
  readonly status: number
  readonly requestId: string | null
  readonly errors: readonly FieldError[]
  readonly retryAfterSeconds: number | null
  /** How often the request was sent. */
  readonly attempts: number

  constructor(refusal: Refusal, attempts: number) {
    super(`${refusal.code}: ${refusal.detail === '' ? refusal.title : refusal.detail}`)
    this.name = 'PopSignerError'
    this.code = refusal.code
    this.title = refusal.title
    this.detail = refusal.detail
    this.status = refusal.status
    this.requestId = refusal.requestId
    this.errors = refusal.errors
    this.retryAfterSeconds = refusal.retryAfterSeconds
    this.attempts = attempts
  }
}

/**
 * Why there is no answer of the server. `network.failed`: not reached, or the connection was lost. `network.timeout`:
 * no whole answer in time. `network.answer_invalid`: an answer that is none of this API, as proxies give.
 */
export type NetworkErrorCode = 'network.failed' | 'network.timeout' | 'network.answer_invalid'

/**
 * There is no answer. Whether the server did what was asked is not known: it may have been the answer that got lost.
 */
export class NetworkError extends Error {
  readonly code: NetworkErrorCode
  /** The status of an answer that is none of this API, otherwise null. */
  readonly status: number | null
  /** How often the request was sent. */
  readonly attempts: number

  constructor(code: NetworkErrorCode, message: string, facts: { attempts: number; status?: number; cause?: unknown }) {
    super(`${code}: ${message}`, facts.cause === undefined ? undefined : { cause: facts.cause })
    this.name = 'NetworkError'
    this.code = code
    this.status = facts.status ?? null
    this.attempts = facts.attempts
  }
}

/**
 * What a server said that contradicts what is pinned, or cannot be proven. Never retried, never passed over.
 *
 * - `log_key.changed`, `identity.changed`: another key than the pinned one. `log.changed`: this API key led to another
 *   log.
 * - `trust.invalid`: what the server or the store answered cannot be a key or a log's name.
 * - `checkpoint.invalid`: not of the log, or not signed by its key and the instance.
 * - `checkpoint.behind`: smaller than the one that was kept: the log lost records.
 * - `checkpoint.inconsistent`: not an extension of the one that was kept: history was changed, or there are two.
 * - `receipt.invalid`: a receipt that proves nothing, or is of another record.
 * - `wrapping_key.invalid`: not signed by the pinned identity; nothing was sealed to it.
 * - `import.mismatch`: the imported key is not the one that was sealed.
 * - `export.cannot_open`, `export.mismatch`: what came back cannot be opened, or is not the private key of the public
 *   key.
 */
export type TrustErrorCode =
  | 'log_key.changed'
  | 'identity.changed'
  | 'log.changed'
  | 'trust.invalid'
  | 'checkpoint.invalid'
  | 'checkpoint.behind'
  | 'checkpoint.inconsistent'
  | 'receipt.invalid'
  | 'wrapping_key.invalid'
  | 'import.mismatch'
  | 'export.cannot_open'
  | 'export.mismatch'

/** Texts that say what was compared: pinned and offered keys, checkpoints to keep as evidence. No secrets. */
export type TrustErrorDetail = Readonly<Record<string, string | number>>

/** The server is not, or no longer, what was trusted. */
export class TrustError extends Error {
  readonly code: TrustErrorCode
  readonly detail: TrustErrorDetail

  constructor(code: TrustErrorCode, message: string, detail: TrustErrorDetail = {}) {
    super(`${code}: ${message}`)
    this.name = 'TrustError'
    this.code = code
    this.detail = detail
  }
}
