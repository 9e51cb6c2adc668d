/**
 * One call of one route: the request out of the route table, attempts, and what became of them.
 *
 * A request is repeated when the server says that the same one may succeed later (`retry` in the problem table), or
 * when no answer came and repeating cannot do a second thing: reads, deletions (RFC 9110 §9.2.2), and routes that
 * honour `Idempotency-Key`, which is made once for a call and sent with each attempt.
 */
import { isProblemCode, problemOf } from '@popsigner/api/problems'
import type { Route } from '@popsigner/api/route'
import { type Call, type Output, type RouteId, routeOf } from '@popsigner/api/routes'
import { hex } from '@popsigner/crypto/bytes'
import { readProblem, readRetryAfter, readText } from './answer.ts'
import { encodeQuery, fillPath } from './base-url.ts'
import { NetworkError, PopSignerError } from './errors.ts'

/** What may be said about one call beside its content. */
export interface CallOptions {
  /** Ends the call; its `reason` is thrown. What was sent by then may still be done. */
  readonly signal?: AbortSignal
  /** Instead of the one that is made for this call, where the route takes one: 1 to 255 visible ASCII characters. */
  readonly idempotencyKey?: string
  /** How often to repeat, instead of the client's number. */
  readonly retries?: number
  /** For each attempt, instead of the client's time. */
  readonly timeoutMilliseconds?: number
  /** The ETag that a change needs, or `*`. */
  readonly ifMatch?: string
}

/** What came with an answer. */
export interface AnswerFacts {
  /** The version of the thing answered, for `ifMatch`; null where the route has none. */
  readonly etag: string | null
  readonly requestId: string | null
}

/** The parts of any call; which ones a route takes is in `Call`. */
export interface CallParts {
  readonly params?: Readonly<Record<string, unknown>>
  readonly query?: Readonly<Record<string, unknown>>
  readonly body?: unknown
}

/** Sends the calls of one client. */
export interface Transport {
  readonly url: string
  /** Text that names the API key without telling it: SHA-256, shortened. Null without an API key. */
  readonly fingerprint: string | null
  call<R extends RouteId>(route: R, parts: Call<R>, options?: CallOptions): Promise<Output<R>>
  /** The same, for what the route answers as `accept`: the text as it came. */
  callText(route: RouteId, parts: CallParts, accept: string, options?: CallOptions): Promise<string>
}

/** What a transport needs from outside. */
export interface TransportPorts {
  readonly fetch: typeof globalThis.fetch
  /** Waits; rejects with the signal's reason when that is aborted. */
  readonly sleep: (milliseconds: number, signal?: AbortSignal) => Promise<void>
  /** From 0 to below 1. */
  readonly random: () => number
}

/** What holds for every call. */
export interface TransportSettings {
  readonly url: string
  readonly apiKey: string | null
  readonly fingerprint: string | null
  readonly retries: number
  readonly timeoutMilliseconds: number
}

/** The first pause before a repeat, doubled each time up to `maxPauseMilliseconds`. Half of each pause is random. */
export const firstPauseMilliseconds = 100
const maxPauseMilliseconds = 5_000

/** A `Retry-After` beyond this is not waited for: the refusal is thrown, and says how long. */
export const maxRetryAfterSeconds = 30

const facts = new WeakMap<object, AnswerFacts>()

/** What came with an answer of this SDK: its ETag and the request's id. Null for any other object, and for copies. */
export function answerFacts(answer: object): AnswerFacts | null {
  return facts.get(answer) ?? null
}

/** Starts a transport. `settings.url` is what `readBaseUrl` returned. */
export function createTransport(settings: TransportSettings, ports: TransportPorts): Transport {
  assertCount(settings.retries, 'retries', 0, 20)
  assertTimeout(settings.timeoutMilliseconds)

  async function run(id: RouteId, parts: CallParts, accept: string | null, options: CallOptions): Promise<unknown> {
    const route = routeOf(id)
    const request = prepare(settings, route, parts, accept, options)
    const retries = options.retries ?? settings.retries
    const timeout = options.timeoutMilliseconds ?? settings.timeoutMilliseconds
    assertCount(retries, 'retries', 0, 20)
    assertTimeout(timeout)
    for (let attempts = 1; ; attempts++) {
      options.signal?.throwIfAborted()
      try {
        return await attempt(ports.fetch, route, request, { timeout, attempts, accept, signal: options.signal })
      } catch (error) {
        const pause = pauseAfter(error, id, route, attempts, ports.random)
        if (pause === null || attempts > retries) throw error
        await ports.sleep(pause, options.signal)
      }
    }
  }

  return {
    url: settings.url,
    fingerprint: settings.fingerprint,
    call: async <R extends RouteId>(id: R, parts: Call<R>, options: CallOptions = {}) =>
      (await run(id, parts as CallParts, null, options)) as Output<R>,
    callText: async (id, parts, accept, options = {}) => (await run(id, parts, accept, options)) as string,
  }
}

/** Waits; rejects with the signal's reason as soon as that is aborted. */
export function sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason)
      return
    }
    const abort = (): void => {
      clearTimeout(timer)
      reject(signal?.reason)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', abort)
      resolve()
    }, milliseconds)
    signal?.addEventListener('abort', abort, { once: true })
  })
}

interface Prepared {
  readonly url: string
  readonly init: RequestInit
}

/** Everything that is the same for each attempt, the idempotency key above all. */
function prepare(
  settings: TransportSettings,
  route: Route,
  parts: CallParts,
  accept: string | null,
  options: CallOptions,
): Prepared {
  const headers: Record<string, string> = { accept: accept ?? route.produces?.[0] ?? 'application/json' }
  if (route.scope !== null) {
    if (settings.apiKey === null) throw new TypeError('apiKey: this call needs one')
    headers['authorization'] = `Bearer ${settings.apiKey}`
  }
  if (options.idempotencyKey !== undefined) {
    if (!route.idempotent) throw new RangeError('idempotencyKey: this route takes none')
    if (!/^[\x21-\x7e]{1,255}$/.test(options.idempotencyKey))
      throw new RangeError('idempotencyKey: expected 1 to 255 visible ASCII characters')
  }
  if (route.idempotent) headers['idempotency-key'] = options.idempotencyKey ?? randomText()
  if (route.conditional) {
    if (options.ifMatch === undefined)
      throw new TypeError('ifMatch: this change needs the ETag of what it changes, or *')
    headers['if-match'] = options.ifMatch
  } else if (options.ifMatch !== undefined) throw new RangeError('ifMatch: this route takes none')
  const init: RequestInit = {
    method: route.method,
    headers,
    // Following a redirect would carry the API key to where nobody chose to send it.
    redirect: 'error',
    credentials: 'omit',
    cache: 'no-store',
    referrerPolicy: 'no-referrer',
  }
  if (route.body !== undefined || route.method === 'POST' || route.method === 'PATCH') {
    headers['content-type'] = 'application/json'
    init.body = JSON.stringify(parts.body ?? {})
  }
  return { url: `${settings.url}${fillPath(route.path, parts.params)}${encodeQuery(parts.query)}`, init }
}

interface Attempt {
  readonly timeout: number
  readonly attempts: number
  readonly accept: string | null
  readonly signal: AbortSignal | undefined
}

async function attempt(
  fetch: typeof globalThis.fetch,
  route: Route,
  { url, init }: Prepared,
  { timeout, attempts, accept, signal }: Attempt,
): Promise<unknown> {
  const timer = new AbortController()
  const timeoutId = setTimeout(() => timer.abort(), timeout)
  let response: Response
  let text: string
  try {
    response = await fetch(url, { ...init, signal: signal ? AbortSignal.any([signal, timer.signal]) : timer.signal })
    text = await readText(response)
  } catch (cause) {
    signal?.throwIfAborted()
    if (timer.signal.aborted)
      throw new NetworkError('network.timeout', `no answer within ${timeout} ms`, { attempts, cause })
    throw new NetworkError('network.failed', `no answer from ${new URL(url).origin}`, { attempts, cause })
  } finally {
    clearTimeout(timeoutId)
  }
  return readAnswer(route, response, text, attempts, accept !== null)
}

function readAnswer(route: Route, response: Response, text: string, attempts: number, asText: boolean): unknown {
  const { status } = response
  const invalid = (message: string) => new NetworkError('network.answer_invalid', message, { attempts, status })
  if (status !== route.status) {
    const problem = readProblem(response, text)
    if (problem === null) throw invalid(`an answer with status ${status} that is none of this API`)
    throw new PopSignerError(
      { ...problem, retryAfterSeconds: readRetryAfter(response.headers.get('retry-after')) },
      attempts,
    )
  }
  if (route.response === null) return null
  const json = (response.headers.get('content-type') ?? '').toLowerCase().startsWith('application/json')
  if (asText || (route.produces?.[0] ?? 'application/json') !== 'application/json') {
    if (json) throw invalid('an answer in another form than was asked for')
    return text
  }
  let answer: unknown
  try {
    answer = JSON.parse(text)
  } catch {
    throw invalid('an answer that is not JSON')
  }
  if (typeof answer !== 'object' || answer === null || Array.isArray(answer))
    throw invalid('an answer that is no object')
  facts.set(answer, { etag: response.headers.get('etag'), requestId: response.headers.get('x-request-id') })
  return answer
}

/** Milliseconds to wait before the request is repeated, or null where it must not be. */
function pauseAfter(error: unknown, id: RouteId, route: Route, attempts: number, random: () => number): number | null {
  const longest = Math.min(maxPauseMilliseconds, firstPauseMilliseconds * 2 ** (attempts - 1))
  const pause = longest / 2 + random() * (longest / 2)
  if (error instanceof NetworkError) return canRepeat(id, route) ? pause : null
  if (!(error instanceof PopSignerError)) return null
  if (!isProblemCode(error.code) || !problemOf(error.code).retry) return null
  if (error.retryAfterSeconds === null) return pause
  if (error.retryAfterSeconds > maxRetryAfterSeconds) return null
  return Math.max(pause, error.retryAfterSeconds * 1_000)
}

/** Routes that only compute: repeated freely. */
const pureRoutes: readonly RouteId[] = ['keys.verify', 'signatures.aggregate', 'signatures.verifyAggregate']

/** Whether doing it twice does nothing that doing it once does not. */
function canRepeat(id: RouteId, route: Route): boolean {
  // Verifying is a POST for the size of what it takes; it changes nothing.
  return route.method === 'GET' || route.method === 'DELETE' || route.idempotent || pureRoutes.includes(id)
}

function randomText(): string {
  return hex(crypto.getRandomValues(new Uint8Array(16)))
}

function assertCount(value: number, name: string, least: number, most: number): void {
  if (!Number.isInteger(value) || value < least || value > most)
    throw new RangeError(`${name}: expected a whole number from ${least} to ${most}`)
}

// Timers of browsers and Node take at most 2^31 - 1 milliseconds, and fire at once for more.
function assertTimeout(value: number): void {
  assertCount(value, 'timeoutMilliseconds', 1, 2_147_483_647)
}
