import type { z } from 'zod'
import type { ProblemCode } from './problems.ts'
import type { Route } from './route.ts'
import { accessRoutes } from './routes/access.ts'
import { auditRoutes } from './routes/audit.ts'
import { keyRoutes } from './routes/keys.ts'
import { signingRoutes } from './routes/signing.ts'
import { systemRoutes } from './routes/system.ts'
import { transactionRoutes } from './routes/transactions.ts'
import { transferRoutes } from './routes/transfer.ts'

/**
 * Every route, by id. The server mounts this table, the SDK calls by it, the OpenAPI document is made from it and the
 * tests attack each of its rows; a route that is not here does not exist. `/metrics` has a listener of its own.
 */
export const routes = {
  ...keyRoutes,
  ...signingRoutes,
  ...transactionRoutes,
  ...transferRoutes,
  ...accessRoutes,
  ...auditRoutes,
  ...systemRoutes,
} as const satisfies Record<string, Route>

/** The id of a route, such as `keys.create`. */
export type RouteId = keyof typeof routes

/** Every route id, in the order of the documentation. */
export const routeIds = Object.keys(routes) as readonly RouteId[]

/** The row of a route, typed as a row and not as the literal it is. */
export function routeOf(id: RouteId): Route {
  return routes[id]
}

type Part<R extends RouteId, P extends 'params' | 'query' | 'body'> =
  (typeof routes)[R] extends Record<P, infer S extends z.ZodType> ? S : undefined

type Parsed<S> = S extends z.ZodType ? z.output<S> : undefined

/** What a handler is given: parsed, with defaults filled in. A part that the route does not have is `undefined`. */
export interface Input<R extends RouteId> {
  params: Parsed<Part<R, 'params'>>
  query: Parsed<Part<R, 'query'>>
  body: Parsed<Part<R, 'body'>>
}

type Given<S, P extends string> = S extends z.ZodType
  ? Record<never, never> extends z.input<S>
    ? { [K in P]?: z.input<S> }
    : { [K in P]: z.input<S> }
  : unknown

/** What a caller gives: a part may be left out where the route lacks it or every field of it has a default. */
export type Call<R extends RouteId> = Given<Part<R, 'params'>, 'params'> &
  Given<Part<R, 'query'>, 'query'> &
  Given<Part<R, 'body'>, 'body'>

/** What a route answers on success; `null` for 204. */
export type Output<R extends RouteId> = (typeof routes)[R]['response'] extends infer S extends z.ZodType
  ? z.output<S>
  : null

/** Problems that have no route: where no row fits the request, and those of the host's commands on the admin socket. */
export const routelessProblems = [
  'route.not_found',
  'method.not_allowed',
  'organization.not_found',
  'organization.name_taken',
  'host.refused',
] as const satisfies readonly ProblemCode[]

/**
 * Every problem that a route can answer, each once: its own, and those of its kind (credentials, a body, idempotency).
 */
export function problemsOf(route: Route): readonly ProblemCode[] {
  const codes = new Set<ProblemCode>(['request.malformed', 'request.invalid', 'internal.error'])
  if (route.method !== 'GET') {
    codes.add('request.too_large')
    codes.add('request.unsupported_media_type')
  }
  if (route.scope !== null) {
    for (const code of authenticatedProblems) codes.add(code)
  }
  if (route.idempotent) {
    codes.add('request.in_progress')
    codes.add('idempotency.body_mismatch')
  }
  for (const code of route.errors) codes.add(code)
  return [...codes]
}

const authenticatedProblems = [
  'auth.missing',
  'auth.invalid',
  'auth.expired',
  'auth.too_many_failures',
  'scope.missing',
  'rate.limited',
  'database.unavailable',
  'instance.not_ready',
] as const satisfies readonly ProblemCode[]
