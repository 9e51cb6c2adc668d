import type { Call, Output } from '@popsigner/api/routes'
import { type Signing, signingBody, type Verification, verificationBody } from './data.ts'
import { eachOf, type ListOptions } from './pages.ts'
import {
  type ExportedPrivateKey,
  type ExportKeyOptions,
  exportKey,
  type ImportKeyOptions,
  importKey,
  type KeyToImport,
} from './transfer.ts'
import { answerFacts, type CallOptions, type Transport } from './transport.ts'
import type { Trust } from './trust.ts'

/** A key as the API answers it. */
export type Key = Output<'keys.get'>

type KeyQuery = NonNullable<Call<'keys.list'>['query']>
type HistoryQuery = NonNullable<Call<'keys.history'>['query']>

/** Calls over keys. Ids are TypeIDs, `key_…`. */
export interface KeyCalls {
  create(key: Call<'keys.create'>['body'], options?: CallOptions): Promise<Output<'keys.create'>>
  /** At most 100 keys, all or none. */
  createBatch(keys: Call<'keys.createBatch'>['body'], options?: CallOptions): Promise<Output<'keys.createBatch'>>
  /** One page, newest first. */
  list(query?: KeyQuery, options?: ListOptions): Promise<Output<'keys.list'>>
  /** Every key, page after page. */
  all(query?: Omit<KeyQuery, 'cursor'>, options?: ListOptions): AsyncGenerator<Key, void, void>
  get(id: string, options?: CallOptions): Promise<Key>
  /**
   * Changes a key. Given a key as this SDK answered it, the change is refused (`key.changed`) where somebody changed
   * the key since; given an id, `ifMatch` must be named, `*` for a change whatever the key is now.
   */
  update(
    key: Key | string,
    change: NonNullable<Call<'keys.update'>['body']>,
    options?: CallOptions,
  ): Promise<Output<'keys.update'>>
  /** Schedules the deletion: 7 days unless `waiting_days` says otherwise. */
  delete(
    id: string,
    query?: NonNullable<Call<'keys.delete'>['query']>,
    options?: CallOptions,
  ): Promise<Output<'keys.delete'>>
  cancelDeletion(id: string, options?: CallOptions): Promise<Output<'keys.cancelDeletion'>>
  rotate(
    id: string,
    body?: NonNullable<Call<'keys.rotate'>['body']>,
    options?: CallOptions,
  ): Promise<Output<'keys.rotate'>>
  /** One page of what the key was, newest first. */
  history(id: string, query?: HistoryQuery, options?: ListOptions): Promise<Output<'keys.history'>>
  /** All of it, page after page. */
  wholeHistory(id: string, options?: ListOptions): AsyncGenerator<Output<'keys.history'>['history'][number], void, void>
  /** The addresses that the key has, on the network with this CAIP-2 id or on the main one of each chain. */
  addresses(
    id: string,
    query?: NonNullable<Call<'keys.addresses'>['query']>,
    options?: CallOptions,
  ): Promise<Output<'keys.addresses'>>
  sign(id: string, signing: Signing, options?: CallOptions): Promise<Output<'keys.sign'>>
  /** Asks the server. To check without it: `verifySignature` with the key's public key. */
  verify(id: string, verification: Verification, options?: CallOptions): Promise<Output<'keys.verify'>>
  /** The route as it is, for what was sealed elsewhere; `importKey` does all of it. */
  import(key: Call<'keys.import'>['body'], options?: CallOptions): Promise<Output<'keys.import'>>
  /** The route as it is; its answer is not checked. `importKey` checks it against the pinned identity. */
  importWrappingKey(options?: CallOptions): Promise<Output<'keys.createWrappingKey'>>
  /** The route as it is, for a recipient elsewhere; `exportKey` does all of it. */
  export(id: string, body: Call<'keys.export'>['body'], options?: CallOptions): Promise<Output<'keys.export'>>
  /** Seals a private key to the signer and imports it. See `importKey` in `transfer.ts`. */
  importKey(key: KeyToImport, options?: ImportKeyOptions): Promise<Key>
  /** Exports a key to a recipient made for this call and opens it. See `exportKey` in `transfer.ts`. */
  exportKey(id: string, options?: ExportKeyOptions): Promise<ExportedPrivateKey>
}

/** The calls over keys of one client. */
export function createKeyCalls(transport: Transport, trust: Trust): KeyCalls {
  const { call } = transport
  const list: KeyCalls['list'] = (query = {}, options) => call('keys.list', { query }, options)
  const history: KeyCalls['history'] = (id, query = {}, options) =>
    call('keys.history', { params: { id }, query }, options)
  return {
    create: (body, options) => call('keys.create', { body }, options),
    createBatch: (body, options) => call('keys.createBatch', { body }, options),
    list,
    all: (query = {}, options) =>
      eachOf(
        (cursor) => list(cursor === undefined ? query : { ...query, cursor }, options),
        ({ keys }) => keys,
      ),
    get: (id, options) => call('keys.get', { params: { id } }, options),
    update: async (key, body, options = {}) => {
      const id = typeof key === 'string' ? key : key.id
      const etag = typeof key === 'string' ? null : (answerFacts(key)?.etag ?? null)
      const ifMatch = options.ifMatch ?? etag
      return call('keys.update', { params: { id }, body }, ifMatch === null ? options : { ...options, ifMatch })
    },
    delete: (id, query = {}, options) => call('keys.delete', { params: { id }, query }, options),
    cancelDeletion: (id, options) => call('keys.cancelDeletion', { params: { id } }, options),
    rotate: (id, body = {}, options) => call('keys.rotate', { params: { id }, body }, options),
    history,
    wholeHistory: (id, options) =>
      eachOf(
        (cursor) => history(id, cursor === undefined ? {} : { cursor }, options),
        (page) => page.history,
      ),
    addresses: (id, query = {}, options) => call('keys.addresses', { params: { id }, query }, options),
    sign: async (id, signing, options) => call('keys.sign', { params: { id }, body: signingBody(signing) }, options),
    verify: async (id, verification, options) =>
      call('keys.verify', { params: { id }, body: verificationBody(verification) }, options),
    import: (body, options) => call('keys.import', { body }, options),
    importWrappingKey: (options) => call('keys.createWrappingKey', {}, options),
    export: (id, body, options) => call('keys.export', { params: { id }, body }, options),
    importKey: (key, options) => importKey(transport, trust, key, options),
    exportKey: (id, options) => exportKey(transport, id, options),
  }
}
