import type { z } from 'zod'
import type { ProblemCode } from './problems.ts'
import type { Scope } from './scopes.ts'

/** The group a route stands under in the documentation. */
export type RouteGroup =
  | 'Keys'
  | 'Signing'
  | 'Transactions'
  | 'Import and export'
  | 'Namespaces'
  | 'API keys'
  | 'Audit'
  | 'Instance'

/** One route of the API. Everything that is said about it anywhere is derived from this row. */
export interface Route {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  /** Parameters stand in braces, `/v1/keys/{id}`; each is plain text. */
  readonly path: string
  readonly group: RouteGroup
  /** The scope an API key needs; null for the routes that take no credentials. */
  readonly scope: Scope | null
  readonly params?: z.ZodType
  /** A route without this takes no query. */
  readonly query?: z.ZodType
  /** A missing body is read as `{}`. A route without this takes no body but an empty one or `{}`. */
  readonly body?: z.ZodType
  /** Largest body in bytes; `defaultMaxBodyBytes` where it is left out. */
  readonly maxBodyBytes?: number
  readonly status: 200 | 201 | 202 | 204
  readonly response: z.ZodType | null
  /** Media types of the answer; JSON where it is left out. The first is the one without `Accept`. */
  readonly produces?: readonly string[]
  /** What this route can answer beyond `problemsOf` adds for every route of its kind. */
  readonly errors: readonly ProblemCode[]
  /** Whether `Idempotency-Key` is honoured. */
  readonly idempotent: boolean
  /** Whether `If-Match` is needed. */
  readonly conditional?: true
  /** Whether the answer carries an `ETag`. */
  readonly tagged?: true
  /** One line, an imperative without a full stop. */
  readonly summary: string
  readonly description: string
  readonly example: {
    readonly params?: Readonly<Record<string, string>>
    readonly query?: Readonly<Record<string, string>>
    readonly request?: unknown
    readonly response: unknown
    /** The same as a command. */
    readonly cli?: string
  }
}

/** Largest body of a route that names none, in bytes. */
export const defaultMaxBodyBytes = 262_144
