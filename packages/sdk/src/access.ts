import type { Call, Output } from '@popsigner/api/routes'
import { eachOf, type ListOptions } from './pages.ts'
import type { CallOptions, Transport } from './transport.ts'

/** A namespace as the API answers it. */
export type Namespace = Output<'namespaces.create'>

/** An API key as the API lists it, without its token. */
export type ApiKey = Output<'apiKeys.list'>['api_keys'][number]

/** Calls over namespaces. Ids are TypeIDs, `ns_…`. */
export interface NamespaceCalls {
  create(namespace: Call<'namespaces.create'>['body'], options?: CallOptions): Promise<Namespace>
  list(query?: NonNullable<Call<'namespaces.list'>['query']>, options?: ListOptions): Promise<Output<'namespaces.list'>>
  all(options?: ListOptions): AsyncGenerator<Namespace, void, void>
  /** Refused while it holds keys. */
  delete(id: string, options?: CallOptions): Promise<null>
}

/** Calls over API keys. Ids are TypeIDs, `ak_…`; they are no secrets, tokens are. */
export interface ApiKeyCalls {
  /** The token is in this answer and never again; a repeat that the server knows answers null in its place. */
  create(apiKey: Call<'apiKeys.create'>['body'], options?: CallOptions): Promise<Output<'apiKeys.create'>>
  list(query?: NonNullable<Call<'apiKeys.list'>['query']>, options?: ListOptions): Promise<Output<'apiKeys.list'>>
  all(options?: ListOptions): AsyncGenerator<ApiKey, void, void>
  /** Revokes it: when this has answered, nothing is signed with it any more. */
  delete(id: string, options?: CallOptions): Promise<null>
  rotate(
    id: string,
    body?: NonNullable<Call<'apiKeys.rotate'>['body']>,
    options?: CallOptions,
  ): Promise<Output<'apiKeys.rotate'>>
}

/** The calls over namespaces of one client. */
export function createNamespaceCalls({ call }: Transport): NamespaceCalls {
  const list: NamespaceCalls['list'] = (query = {}, options) => call('namespaces.list', { query }, options)
  return {
    create: (body, options) => call('namespaces.create', { body }, options),
    list,
    all: (options) =>
      eachOf(
        (cursor) => list(cursor === undefined ? {} : { cursor }, options),
        ({ namespaces }) => namespaces,
      ),
    delete: (id, options) => call('namespaces.delete', { params: { id } }, options),
  }
}

/** The calls over API keys of one client. */
export function createApiKeyCalls({ call }: Transport): ApiKeyCalls {
  const list: ApiKeyCalls['list'] = (query = {}, options) => call('apiKeys.list', { query }, options)
  return {
    create: (body, options) => call('apiKeys.create', { body }, options),
    list,
    all: (options) =>
      eachOf(
        (cursor) => list(cursor === undefined ? {} : { cursor }, options),
        ({ api_keys }) => api_keys,
      ),
    delete: (id, options) => call('apiKeys.delete', { params: { id } }, options),
    rotate: (id, body = {}, options) => call('apiKeys.rotate', { params: { id }, body }, options),
  }
}
