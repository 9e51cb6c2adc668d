import { randomBytes } from 'node:crypto'
import type { ProblemCode } from '@popsigner/api/problems'
import { type RouteId, routeOf } from '@popsigner/api/routes'
import { encodeTypeId } from '@popsigner/crypto/typeid'
import { newUuid } from '../../packages/server/src/ids.ts'
import { createToken, parseToken } from '../../packages/server/src/tenants/token.ts'
import type { WireRequest } from '../wire.ts'

/** What ids a route's path or body may name, and what they stand for in one organization. */
export interface Things {
  readonly key: string
  readonly namespace: string
  readonly apiKey: string
  readonly record: string
  readonly wrappingKey: string
}

/** One route as a target: a request that would be good, and what is attacked in it. */
export interface Target {
  /** What `{id}` names. */
  readonly subject?: keyof Things
  readonly query?: (things: Things) => Record<string, string>
  /** Every field of the body, so that each can be attacked. */
  readonly body?: (things: Things) => Record<string, unknown>
  readonly headers?: Readonly<Record<string, string>>
  /** What an API key that is bound to another namespace gets; `open` where the route is about none. */
  readonly bound: ProblemCode | 'open'
}

/** An unsigned transaction of type 2 for eip155:1. */
const transaction =
  '0x02f00109843b9aca008504a817c800825208943535353535353535353535353535353535353535880de0b6b3a764000080c0'
const data = { data: 'aGVsbG8=', encoding: 'base64', prehashed: false, hash: 'sha256', scheme: 'ecdsa', key_version: 1 }
const terms = {
  algorithm: 'secp256k1',
  exportable: false,
  export: 'none',
  schemes: ['ecdsa'],
  uses: ['raw', 'digest'],
  rotate_every_days: 30,
}
const named = { name: 'attacked', namespace: 'production', metadata: { chain: 'celestia' } }
const point =
  '046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5'
const pageAfter = (place: string) => ({
  limit: '2',
  cursor: Buffer.from(JSON.stringify([place])).toString('base64url'),
})
/** Lists by id, and lists by position. */
const page = pageAfter('01999999-0000-7000-8000-000000000000')
const positions = pageAfter('1')

/** Every route of the table. A route that is missing here does not compile, and fails the suite. */
export const targets: Readonly<Record<RouteId, Target>> = {
  'keys.create': { body: () => ({ ...named, ...terms }), bound: 'namespace.not_found' },
  'keys.list': {
    query: () => ({ namespace: 'production', name: 'attacked', algorithm: 'p256', state: 'active', ...page }),
    bound: 'namespace.not_found',
  },
  'keys.get': { subject: 'key', bound: 'key.not_found' },
  'keys.update': {
    subject: 'key',
    headers: { 'if-match': '*' },
    body: () => ({
      name: 'attacked',
      metadata: { chain: 'x' },
      state: 'suspended',
      uses: ['raw'],
      schemes: ['ecdsa'],
      rotate_every_days: 3,
    }),
    bound: 'key.not_found',
  },
  'keys.delete': { subject: 'key', query: () => ({ waiting_days: '7' }), bound: 'key.not_found' },
  'keys.cancelDeletion': { subject: 'key', bound: 'key.not_found' },
  'keys.history': { subject: 'key', query: () => positions, bound: 'key.not_found' },
  'keys.createBatch': {
    body: () => ({ keys: [named, { ...named, name: 'attacked-too' }], ...terms }),
    bound: 'namespace.not_found',
  },
  'keys.rotate': { subject: 'key', body: () => ({ keep_active: true }), bound: 'key.not_found' },
  'keys.sign': { subject: 'key', body: () => data, bound: 'key.not_found' },
  'sign.batch': {
    body: ({ key }) => ({
      requests: [{ key_id: key, ...data }],
      encoding: 'base64',
      prehashed: false,
      hash: 'sha256',
      scheme: 'ecdsa',
    }),
    bound: 'open',
  },
  'keys.verify': {
    subject: 'key',
    body: () => ({ ...data, signature: Buffer.alloc(64, 1).toString('base64') }),
    bound: 'key.not_found',
  },
  'transactions.decode': {
    body: ({ key }) => ({ chain: 'eip155:1', transaction, context: { abi: [] }, key_id: key }),
    bound: 'key.not_found',
  },
  'keys.signTransaction': {
    subject: 'key',
    body: () => ({ chain: 'eip155:1', transaction, context: { abi: [] }, key_version: 1 }),
    bound: 'key.not_found',
  },
  'transactions.signBatch': {
    body: ({ key }) => ({
      requests: [{ key_id: key, chain: 'eip155:1', transaction, context: { abi: [] }, key_version: 1 }],
    }),
    bound: 'open',
  },
  'keys.signMessage': {
    subject: 'key',
    body: () => ({ chain: 'eip155:1', convention: 'eip191', message: 'hello', context: { abi: [] }, key_version: 1 }),
    bound: 'key.not_found',
  },
  'keys.addresses': { subject: 'key', query: () => ({ chain: 'eip155:1' }), bound: 'key.not_found' },
  'signatures.aggregate': {
    body: () => ({ signatures: [Buffer.alloc(96, 1).toString('base64')] }),
    bound: 'request.invalid',
  },
  'signatures.verifyAggregate': {
    body: () => ({
      public_keys: ['11'.repeat(48)],
      messages: [{ data: 'aGVsbG8=', encoding: 'base64' }],
      signature: Buffer.alloc(96, 1).toString('base64'),
    }),
    bound: 'open',
  },
  'keys.createWrappingKey': { bound: 'open' },
  'keys.import': {
    body: ({ wrappingKey }) => ({
      ...named,
      ...terms,
      public_key: `02${'11'.repeat(32)}`,
      wrapping_key_id: wrappingKey,
      enc: Buffer.from(point, 'hex').toString('base64'),
      ciphertext: Buffer.alloc(48).toString('base64'),
    }),
    bound: 'namespace.not_found',
  },
  'keys.export': {
    subject: 'key',
    body: () => ({ recipient_public_key: point, key_version: 1 }),
    bound: 'key.not_found',
  },
  'namespaces.create': { body: () => ({ name: 'attacked' }), bound: 'scope.exceeds_caller' },
  'namespaces.list': { query: () => page, bound: 'open' },
  'namespaces.delete': { subject: 'namespace', bound: 'namespace.not_found' },
  'apiKeys.create': {
    body: () => ({
      name: 'attacked',
      scopes: ['api:keys:read'],
      namespaces: ['production'],
      expires_at: '2090-01-01T00:00:00Z',
    }),
    bound: 'namespace.not_found',
  },
  'apiKeys.list': { query: () => page, bound: 'open' },
  'apiKeys.delete': { subject: 'apiKey', bound: 'open' },
  'apiKeys.rotate': {
    subject: 'apiKey',
    body: () => ({ grace_seconds: 10, expires_at: '2090-01-01T00:00:00Z' }),
    bound: 'scope.exceeds_caller',
  },
  'audit.list': {
    query: ({ key, apiKey }) => ({
      start_time: '2026-01-01T00:00:00Z',
      end_time: '2090-01-01T00:00:00Z',
      event_type: 'key.signed',
      key_id: key,
      data_hash: 'a'.repeat(64),
      address: '127.0.0.1',
      actor: apiKey,
      order: 'asc',
      include: 'leaf',
      ...positions,
    }),
    bound: 'open',
  },
  'audit.get': { subject: 'record', bound: 'record.not_found' },
  'audit.receipt': { subject: 'record', bound: 'record.not_found' },
  'audit.checkpoint': { bound: 'open' },
  'audit.consistency': { query: () => ({ old_size: '1', new_size: '2' }), bound: 'open' },
  'audit.logKey': { bound: 'open' },
  'signer.get': { bound: 'open' },
  'system.health': { bound: 'open' },
  'system.ready': { bound: 'open' },
  'system.openapi': { bound: 'open' },
  'system.docs': { bound: 'open' },
  'system.docsErrors': { bound: 'open' },
}

/** Ids of the right form that nothing has. */
export function unknownThings(): Things {
  return {
    key: encodeTypeId('key', newUuid()),
    namespace: encodeTypeId('ns', newUuid()),
    apiKey: encodeTypeId('ak', newUuid()),
    record: encodeTypeId('rec', newUuid()),
    wrappingKey: encodeTypeId('wk', newUuid()),
  }
}

/** The path of a route with this id in it, which is written as it is. */
export function pathOf(id: RouteId, subject: string, query?: Record<string, string>): string {
  const text = query === undefined ? '' : `?${new URLSearchParams(query)}`
  return routeOf(id).path.replace('{id}', subject) + text
}

/** The good request of a route: with `things`, and as the bearer of `token`. */
export function goodRequest(
  id: RouteId,
  things: Things,
  token: string | null,
): WireRequest & { readonly headers: Record<string, string> } {
  const { subject, query, body, headers } = targets[id]
  return {
    method: routeOf(id).method,
    path: pathOf(id, subject === undefined ? '' : things[subject], query?.(things)),
    headers: { ...bearer(token), ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body(things)) }),
  }
}

export function bearer(token: string | null): Record<string, string> {
  return token === null ? {} : { authorization: `Bearer ${token}` }
}

/** A token of the right form, with a right checksum, that was never handed out; with the id of `like`, if one is given. */
export async function forgedToken(like?: string): Promise<string> {
  const id = like === undefined ? randomBytes(16) : (parseToken(like)?.id as Uint8Array)
  return (await createToken(id)).text
}
