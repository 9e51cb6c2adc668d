import type { Call, Output, RouteId } from '@popsigner/api/routes'
import { base64, hex, utf8 } from '@popsigner/crypto/bytes'
import { sha256 } from '@popsigner/crypto/hash'
import { type ApiKeyCalls, createApiKeyCalls, createNamespaceCalls, type NamespaceCalls } from './access.ts'
import { type AuditCalls, createAuditCalls } from './audit.ts'
import { allowPlainHttp, readBaseUrl } from './base-url.ts'
import { type AggregateVerification, aggregateVerificationBody, batchBody, type SigningBatch } from './data.ts'
import { createKeyCalls, type KeyCalls } from './keys.ts'
import { createTransactionCalls, type TransactionCalls } from './transactions.ts'
import { type CallOptions, createTransport, sleep, type Transport } from './transport.ts'
import { createTrust, type Pins } from './trust.ts'
import { createMemoryStore, type TrustStore } from './trust-store.ts'

/** What a client is made of. */
export interface PopSignerOptions {
  /** Where the server is: https, or http on this machine. */
  readonly url: string
  /** The bearer token, `psk_live_…`. Without it only `health`, `ready` and the documentation can be called. */
  readonly apiKey?: string
  /** Instead of the platform's own; it must honour `redirect: 'error'` and `signal`. */
  readonly fetch?: typeof globalThis.fetch
  /**
   * Where pinned keys and the last checkpoint are kept. Default: in memory, so that each process trusts the first
   * answer anew; `@popsigner/sdk/file-store` keeps them in a file. Whoever writes it decides what this client believes.
   */
  readonly trust?: TrustStore
  /** Keys known from elsewhere. With them not even the first answer is trusted. */
  readonly pins?: Pins
  /** How often a call is repeated where that is safe; 3 unless named, at most 20. */
  readonly retries?: number
  /** For each attempt; 30,000 unless named. */
  readonly timeoutMilliseconds?: number
  readonly [allowPlainHttp]?: true
}

/** A client of one POPSigner server with one API key. Makes no request before the first call. */
export class PopSigner {
  readonly keys: KeyCalls
  readonly transactions: TransactionCalls
  readonly namespaces: NamespaceCalls
  readonly apiKeys: ApiKeyCalls
  readonly audit: AuditCalls
  readonly #transport: Transport

  /** `TypeError` or `RangeError` naming the option that cannot be. */
  constructor(options: PopSignerOptions) {
    const url = readBaseUrl(options.url, options[allowPlainHttp] === true)
    const apiKey = options.apiKey ?? null
    // The message must not repeat it: it is a secret, wrong or not.
    if (apiKey !== null && (typeof apiKey !== 'string' || !/^[\x21-\x7e]{1,512}$/.test(apiKey)))
      throw new TypeError('apiKey: expected a token such as psk_live_…')
    const fetch = options.fetch ?? globalThis.fetch
    const transport = createTransport(
      {
        url,
        apiKey,
        fingerprint: apiKey === null ? null : hex(sha256(utf8(`popsigner/sdk/account\n${apiKey}`)).subarray(0, 16)),
        retries: options.retries ?? 3,
        timeoutMilliseconds: options.timeoutMilliseconds ?? 30_000,
      },
      // Called as a plain function: browsers refuse their fetch as a method of anything else.
      { fetch: (input, init) => fetch(input, init), sleep, random: Math.random },
    )
    const trust = createTrust(transport, options.trust ?? createMemoryStore(), options.pins)
    this.#transport = transport
    this.keys = createKeyCalls(transport, trust)
    this.transactions = createTransactionCalls(transport)
    this.namespaces = createNamespaceCalls(transport)
    this.apiKeys = createApiKeyCalls(transport)
    this.audit = createAuditCalls(transport, trust)
  }

  /** Any route of the table, by id. The calls below and in the groups are made of this. */
  call<R extends RouteId>(route: R, parts: Call<R>, options?: CallOptions): Promise<Output<R>> {
    return this.#transport.call(route, parts, options)
  }

  /**
   * Up to 1,000 signatures in one request; each item answers for itself, in its place, with a signature or an error.
   */
  async signBatch(batch: SigningBatch, options?: CallOptions): Promise<Output<'sign.batch'>> {
    return this.#transport.call('sign.batch', { body: batchBody(batch) }, options)
  }

  /** One BLS signature that stands for many: bytes, or base64. The server adds them; no key is needed. */
  async aggregateSignatures(
    signatures: readonly (Uint8Array | string)[],
    options?: CallOptions,
  ): Promise<Output<'signatures.aggregate'>> {
    const body = { signatures: signatures.map((one) => (typeof one === 'string' ? one : base64(one))) }
    return this.#transport.call('signatures.aggregate', { body }, options)
  }

  /** Asks the server whether an aggregated BLS signature stands for those of these keys over one message, or one each. */
  async verifyAggregate(
    verification: AggregateVerification,
    options?: CallOptions,
  ): Promise<Output<'signatures.verifyAggregate'>> {
    const body = aggregateVerificationBody(verification)
    return this.#transport.call('signatures.verifyAggregate', { body }, options)
  }

  /** Who the signer is, as the server says; not compared with what is pinned. */
  signer(options?: CallOptions): Promise<Output<'signer.get'>> {
    return this.#transport.call('signer.get', {}, options)
  }

  /** Whether the server runs. */
  health(options?: CallOptions): Promise<Output<'system.health'>> {
    return this.#transport.call('system.health', {}, options)
  }

  /** Whether the instance can sign; `PopSignerError` `instance.not_ready` with what fails in `errors`. Not repeated. */
  ready(options?: CallOptions): Promise<Output<'system.ready'>> {
    return this.#transport.call('system.ready', {}, { retries: 0, ...options })
  }

  /** The OpenAPI 3.1 document. */
  openapi(options?: CallOptions): Promise<Output<'system.openapi'>> {
    return this.#transport.call('system.openapi', {}, options)
  }

  /** The reference as HTML. */
  docs(options?: CallOptions): Promise<string> {
    return this.#transport.call('system.docs', {}, options)
  }

  /** The page about problem codes as HTML. */
  docsErrors(options?: CallOptions): Promise<string> {
    return this.#transport.call('system.docsErrors', {}, options)
  }
}
