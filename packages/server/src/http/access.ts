import type { Route } from '@popsigner/api/route'
import type { RouteId } from '@popsigner/api/routes'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { RateLimiterMemory, type RateLimiterRes } from 'rate-limiter-flexible'
import type { Activity } from '../log/activity.ts'
import type { Text } from '../log/commitments.ts'
import type { Metrics } from '../metrics.ts'
import { type Caller, textsOf } from '../signing/signing.ts'
import { type Admission, CredentialFault, type Credentials } from '../tenants/credential.ts'
import { faultOf } from './faults-of.ts'
import { RequestFault } from './request-fault.ts'

const maximumAgeMilliseconds = 1_000
const failuresPerSecond = 10
const maximumUserAgent = 256
const maximumIdempotencyKey = 255

/** What a handler knows of the request beside its input. */
export interface RequestContext {
  /** `req_…` */
  readonly request: string
  readonly route: RouteId
  readonly idempotencyKey: string | null
  readonly headers: FastifyRequest['headers']
  /** The id that the path names, as it stands there. */
  readonly subject: string | null
  /** Present on every route with a scope. */
  readonly caller: Caller
}

/** Decides who may come in, and remembers who was refused. */
export interface Access {
  admit(request: FastifyRequest, reply: FastifyReply, route: Route, id: RouteId, done: (error?: Error) => void): void
  context(request: FastifyRequest, id: RouteId): RequestContext
  refused(context: RequestContext, error: unknown): void
}

/** Routes that sign: the authorizing transaction compares the epoch, so that no look at the database is needed before. */
const comparesEpoch: ReadonlySet<RouteId> = new Set<RouteId>(['keys.sign', 'sign.batch'])

/** Checks credentials, scope and rate, in this order, before a body is read. */
export function createAccess(credentials: Credentials, activity: Activity, metrics: Metrics): Access {
  const callers = new WeakMap<FastifyRequest, Caller>()
  const failures = new RateLimiterMemory({ points: failuresPerSecond, duration: 1 })
  const rates = new Map<number, RateLimiterMemory>()

  async function admit(request: FastifyRequest, reply: FastifyReply, route: Route, id: RouteId): Promise<void> {
    const header = request.headers.authorization
    const address = request.socket.remoteAddress ?? 'unknown'
    const admission =
      (comparesEpoch.has(id) ? credentials.recall(header) : undefined) ??
      (await authenticate(header, request.id, address, userAgentOf(request)))
    const known = admission.credential
    const caller =
      callerNow(admission, request.id, address, userAgentOf(request)) ??
      (await callerOf(admission, request.id, address, userAgentOf(request)))
    callers.set(request, caller)
    const limit = known.organization.plan.requestsPerSecond
    if (limit !== null) await takeRate(known.organization.id, limit, reply)
    if (route.scope !== null && !known.scopes.has(route.scope)) {
      const fault = new RequestFault('scope.missing', `This needs the scope ${route.scope}.`)
      activity.denied(caller, 'auth.denied', fault.code, null)
      throw fault
    }
    activity.used(caller)
  }

  async function authenticate(
    header: string | undefined,
    request: string,
    address: string,
    agent: string,
  ): Promise<Admission> {
    // What was found right before costs nothing to look at: those who guess behind the same address do not lock it out.
    if (!credentials.isProven(header)) {
      const spent = await failures.get(address)
      if (spent && spent.consumedPoints >= failuresPerSecond) throw tooManyFailures()
    }
    try {
      return await credentials.authenticate(header, maximumAgeMilliseconds)
    } catch (error) {
      if (error instanceof CredentialFault) {
        metrics.authenticationFailed(error.code)
        await noteDenial(error, request, address, agent)
        // Requests that came together have all passed the look above: they are counted here.
        if (error.code === 'auth.invalid')
          await failures.consume(address).catch(() => Promise.reject(tooManyFailures()))
      }
      throw error
    }
  }

  /** A refused credential whose organization is known is a record there; any other is a metric. */
  async function noteDenial(fault: CredentialFault, request: string, address: string, agent: string): Promise<void> {
    const { organization, actor } = fault.detail
    const admission = organization !== null && actor !== null ? await credentials.former(organization, actor) : null
    if (admission) activity.denied(await callerOf(admission, request, address, agent), 'auth.denied', fault.code, null)
  }

  async function takeRate(organization: string, limit: number, reply: FastifyReply): Promise<void> {
    let limiter = rates.get(limit)
    if (!limiter) {
      limiter = new RateLimiterMemory({ points: limit, duration: 1 })
      rates.set(limit, limiter)
    }
    const taken = await limiter.consume(organization).catch((refusal: RateLimiterRes) => refusal)
    reply.header('x-ratelimit-limit', String(limit))
    reply.header('x-ratelimit-remaining', String(Math.max(0, taken.remainingPoints)))
    reply.header('x-ratelimit-reset', String(Math.ceil(taken.msBeforeNext / 1000)))
    if (taken.consumedPoints > limit)
      throw new RequestFault('rate.limited', `The plan allows ${limit} requests a second.`, { retryAfterSeconds: 1 })
  }

  function callerNow(admission: Admission, request: string, address: string, agent: string): Caller | undefined {
    const { committer } = admission.credential
    const addressText = committer.recall('address', address)
    const userAgent = addressText && committer.recall('user_agent', agent)
    return userAgent ? assemble(admission, request, addressText as Text, userAgent) : undefined
  }

  async function callerOf(admission: Admission, request: string, address: string, agent: string): Promise<Caller> {
    const { committer } = admission.credential
    const [addressText, userAgent] = await Promise.all([
      committer.text('address', address),
      committer.text('user_agent', agent),
    ])
    return assemble(admission, request, addressText, userAgent)
  }

  function assemble(admission: Admission, request: string, address: Text, userAgent: Text): Caller {
    return {
      credential: admission.credential,
      request,
      address,
      userAgent,
      texts: encoded(address, userAgent),
      renew: async () => assemble(await credentials.renew(admission), request, address, userAgent),
    }
  }

  const encodings = new WeakMap<Text, WeakMap<Text, Uint8Array>>()
  function encoded(address: Text, userAgent: Text): Uint8Array {
    let byAgent = encodings.get(address)
    if (!byAgent) {
      byAgent = new WeakMap()
      encodings.set(address, byAgent)
    }
    let bytes = byAgent.get(userAgent)
    if (!bytes) {
      bytes = textsOf(address, userAgent)
      byAgent.set(userAgent, bytes)
    }
    return bytes
  }

  return {
    admit(request, reply, route, id, done) {
      admit(request, reply, route, id).then(() => done(), done)
    },
    context(request, id) {
      return {
        request: request.id,
        route: id,
        idempotencyKey: idempotencyKeyOf(request),
        headers: request.headers,
        subject: (request.params as { id?: string } | undefined)?.id ?? null,
        caller: callers.get(request) as Caller,
      }
    },
    refused(context, error) {
      const fault = faultOf(error)
      // What failed here, and what the caller only wrote wrongly, was not denied.
      if (!context.caller || !deniedCodes.test(fault.code)) return
      // A key that was not found may be any text: naming it would let a caller write as many records as it can think of ids.
      const key =
        fault.code !== 'key.not_found' && context.subject?.startsWith('key_') === true ? context.subject : null
      activity.denied(
        context.caller,
        signingRoutes.has(context.route) ? 'key.sign_denied' : 'auth.denied',
        fault.code,
        signingRoutes.has(context.route) ? key : null,
      )
    },
  }
}

function tooManyFailures(): RequestFault {
  return new RequestFault(
    'auth.too_many_failures',
    `More than ${failuresPerSecond} failed authentications came from this address within a second.`,
    { retryAfterSeconds: 1 },
  )
}

/** Routes that sign with the key in their path. */
const signingRoutes: ReadonlySet<RouteId> = new Set(['keys.sign', 'keys.signTransaction', 'keys.signMessage'])

const deniedCodes =
  /^(scope\.|quota\.|key\.(state_forbids|use_not_allowed|not_exportable|not_found)|export\.recipient_not_allowed|waiting_days\.)/

function userAgentOf(request: FastifyRequest): string {
  const text = request.headers['user-agent'] ?? ''
  return text.toWellFormed().slice(0, maximumUserAgent).toWellFormed()
}

function idempotencyKeyOf(request: FastifyRequest): string | null {
  const key = request.headers['idempotency-key']
  if (key === undefined) return null
  if (
    typeof key !== 'string' ||
    key.length === 0 ||
    key.length > maximumIdempotencyKey ||
    !/^[\x21-\x7e]+$/.test(key)
  ) {
    throw new RequestFault('request.invalid', 'One field is not accepted.', {
      errors: [{ field: 'Idempotency-Key', message: `must be 1 to ${maximumIdempotencyKey} visible ASCII characters` }],
    })
  }
  return key
}
