import type { Duplex } from 'node:stream'
import { describeProblem, type ProblemCode, problemOf, problemType } from '@popsigner/api/problems'
import { readInput } from '@popsigner/api/read'
import { defaultMaxBodyBytes, type Route } from '@popsigner/api/route'
import { type Input, type Output, type RouteId, routeIds, routeOf } from '@popsigner/api/routes'
import { decodeTypeId } from '@popsigner/crypto/typeid'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { newId } from '../ids.ts'
import type { Log } from '../log.ts'
import { errorFields } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import type { Access, RequestContext } from './access.ts'
import { type Bulk, isBulk } from './bulk.ts'
import { faultOf } from './faults-of.ts'
import { RequestFault } from './request-fault.ts'
import { parseStrictJson } from './strict-json.ts'

/** Node's limit for the head of a request, in bytes. */
const maximumHeadBytes = 16_384

/** What a handler answers with when the body alone does not say it: headers, another status, or a text of another type. */
export class Answer<T> {
  readonly body: T
  readonly more: {
    readonly status?: number
    readonly headers?: Readonly<Record<string, string>>
    readonly type?: string
  }

  constructor(body: T, more: Answer<T>['more']) {
    this.body = body
    this.more = more
  }
}

/** Answers one route. `context` is null for routes without credentials. */
export type Handler<R extends RouteId> = (
  context: RequestContext,
  input: Input<R>,
) => Promise<Output<R> | Answer<Output<R> | string>> | Output<R> | Answer<Output<R> | string>

/** One handler for every row of the route table: a row without one does not compile. */
export type Handlers = { readonly [R in RouteId]: Handler<R> }

export interface AppOptions {
  readonly handlers: Handlers
  readonly access: Access
  readonly metrics: Metrics
  readonly bulk: Bulk
  readonly log: Log
  readonly https?: { readonly cert: Buffer; readonly key: Buffer }
}

/** The HTTP server with every route mounted; not listening yet. */
export function createApp({ handlers, access, metrics, bulk, log, https }: AppOptions): FastifyInstance {
  const app = Fastify({
    logger: false,
    bodyLimit: defaultMaxBodyBytes,
    exposeHeadRoutes: false,
    // As long as a head can be: an id of any length is answered like any other that does not exist.
    routerOptions: { maxParamLength: maximumHeadBytes, ignoreTrailingSlash: false },
    requestTimeout: 30_000,
    keepAliveTimeout: 75_000,
    forceCloseConnections: 'idle',
    genReqId: requestId,
    clientErrorHandler: (_error: Error, socket: Duplex) => refuseUnread(socket, metrics),
    frameworkErrors: (error: Error, request: FastifyRequest, reply: FastifyReply) => {
      setHeaders(request, reply)
      refuse(request, reply, error)
    },
    // Node's own answer to a missing Host has no body; `begin` below gives the one that every refusal has.
    http: { requireHostHeader: false },
    ...(https ? { https: { ...https, minVersion: 'TLSv1.3', requireHostHeader: false } } : {}),
  } as object) as unknown as FastifyInstance
  // Further headers would be dropped unseen, an Idempotency-Key among them; their size is limited anyway.
  app.server.maxHeadersCount = 0
  app.server.on('checkExpectation', (_request, response) => refuseUnread(response.socket as Duplex, metrics))
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    try {
      refuseCoding(request)
      done(null, body.length === 0 ? undefined : parseStrictJson(body as Buffer))
    } catch (error) {
      done(error as Error)
    }
  })
  app.addHook('onRequest', (request, reply, done) => {
    setHeaders(request, reply)
    const hostless = request.headers.host === undefined && request.raw.httpVersion === '1.1'
    done(hostless ? new RequestFault('request.malformed', 'The request has no Host header.') : undefined)
  })

  function refuse(request: FastifyRequest, reply: FastifyReply, error: unknown): void {
    const fault = faultOf(error)
    if (fault.code === 'internal.error')
      log.error('a request failed', { request: request.id, route: request.routeOptions.url, ...errorFields(error) })
    const problem = problemOf(fault.code)
    const { text, errors, retryAfterSeconds, headers } = fault.detail
    const document = describeProblem(fault.code, text, request.id, errors)
    if (retryAfterSeconds !== undefined || problem.retry)
      void reply.header('retry-after', String(retryAfterSeconds ?? 1))
    if (problem.status === 401) void reply.header('www-authenticate', 'Bearer')
    if (headers) void reply.headers(headers)
    metrics.refused(fault.code)
    void reply.code(problem.status).type('application/problem+json').send(JSON.stringify(document))
  }

  app.setErrorHandler((error, request, reply) => refuse(request, reply, error))
  app.setNotFoundHandler((request, reply) => {
    const methods = methodsOf(request.url)
    refuse(
      request,
      reply,
      methods.length > 0
        ? new RequestFault('method.not_allowed', `This path takes ${methods.join(' and ')}.`, {
            headers: { allow: methods.join(', ') },
          })
        : new RequestFault('route.not_found', 'No route has this path.'),
    )
  })

  for (const id of routeIds) mount(app, id, handlers[id] as Handler<RouteId>, access, metrics, bulk)
  return app
}

function mount(
  app: FastifyInstance,
  id: RouteId,
  handler: Handler<RouteId>,
  access: Access,
  metrics: Metrics,
  bulk: Bulk,
): void {
  const route = routeOf(id)
  const observe = metrics.route(id)
  app.route({
    method: route.method,
    url: route.path.replaceAll(/\{(\w+)\}/g, ':$1'),
    bodyLimit: route.maxBodyBytes ?? defaultMaxBodyBytes,
    ...(route.scope === null
      ? {}
      : { onRequest: (request, reply, done) => access.admit(request, reply, route, id, done) }),
    handler: async (request, reply) => {
      const started = performance.now()
      const context = access.context(request, id)
      try {
        const input = read(route, request) as Input<RouteId>
        const answered = await (isBulk(id)
          ? bulk.run(context.caller.credential.organization.id, async () => handler(context, input))
          : handler(context, input))
        const answer = answered instanceof Answer ? answered : undefined
        const body = answer ? answer.body : answered
        reply.code(answer?.more.status ?? route.status)
        if (answer?.more.headers) reply.headers(answer.more.headers)
        observe(performance.now() - started)
        if (body === null) return reply.send()
        if (typeof body === 'string') return reply.type(answer?.more.type ?? 'text/plain; charset=utf-8').send(body)
        return reply.type('application/json; charset=utf-8').send(JSON.stringify(body))
      } catch (error) {
        access.refused(context, error)
        throw error
      }
    },
  })
}

function read(route: Route, request: FastifyRequest): { params: unknown; query: unknown; body: unknown } {
  const errors: { field: string; message: string }[] = []
  const part = (schema: Route['body'], value: unknown): unknown => {
    if (!schema) return undefined
    const reading = readInput(schema, value)
    if (reading.ok) return reading.value
    errors.push(...reading.errors)
    return undefined
  }
  const input = {
    params: part(route.params, request.params),
    query: part(route.query, request.query),
    body: part(route.body, request.body === undefined ? {} : request.body),
  }
  if (!route.query && request.query && Object.keys(request.query).length > 0) {
    for (const name of Object.keys(request.query))
      errors.push({ field: name.slice(0, 120), message: 'is not a known field' })
  }
  // Fastify does not read the body of a GET: that there is one is seen by its headers.
  const unread = route.method === 'GET' && hasBody(request)
  if (unread || (!route.body && request.body !== undefined && !isEmptyObject(request.body)))
    errors.push({ field: 'body', message: 'this route takes none' })
  if (errors.length > 0)
    throw new RequestFault(
      'request.invalid',
      errors.length === 1 ? 'One field is not accepted.' : `${errors.length} fields are not accepted.`,
      { errors },
    )
  return input
}

function hasBody({ headers }: FastifyRequest): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

/** Refuses bodies that are not plain UTF-8: what is written in another coding would be read as something else. */
function refuseCoding(request: FastifyRequest): void {
  const coding = request.headers['content-encoding']
  if (coding !== undefined)
    throw new RequestFault('request.unsupported_media_type', 'The body must not have a Content-Encoding.')
  const charset = /;\s*charset\s*=\s*"?([^";\s]*)/i.exec(request.headers['content-type'] ?? '')?.[1]
  if (charset !== undefined && !/^utf-?8$/i.test(charset))
    throw new RequestFault('request.unsupported_media_type', 'The body must be in UTF-8.')
}

function setHeaders(request: FastifyRequest, reply: FastifyReply): void {
  reply.header('x-request-id', request.id)
  reply.header('cache-control', 'no-store')
  reply.header('x-content-type-options', 'nosniff')
}

/** Answers a request of which not even the head could be read, and ends its connection. */
function refuseUnread(socket: Duplex, metrics: Metrics): void {
  if (!socket.writable) return void socket.destroy()
  const id = newId('req')
  const body = JSON.stringify(
    describeProblem(
      'request.malformed',
      'The request cannot be read: its head is malformed or too large, or it came too slowly.',
      id,
    ),
  )
  metrics.refused('request.malformed')
  socket.end(
    `HTTP/1.1 400 Bad Request\r\nContent-Type: application/problem+json; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(body)}\r\n` +
      `X-Request-Id: ${id}\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n${body}`,
  )
}

function isEmptyObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length === 0
}

function requestId(request: { headers: Record<string, string | string[] | undefined> }): string {
  const given = request.headers['x-request-id']
  return typeof given === 'string' && decodeTypeId(given, 'req') ? given : newId('req')
}

function methodsOf(url: string): string[] {
  const path = url.split('?', 1)[0] as string
  const methods = new Set<string>()
  for (const id of routeIds) {
    const route = routeOf(id)
    if (new RegExp(`^${route.path.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(path)) methods.add(route.method)
  }
  return [...methods]
}

/** What `type` names, for pages that link to it. */
export function problemLink(code: ProblemCode): string {
  return problemType(code)
}
