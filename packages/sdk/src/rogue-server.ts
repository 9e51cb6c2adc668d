/**
 * For tests: a server that says whatever a test makes it say, over real leaves, proofs and signatures. The real server
 * cannot play this part, since it lies nowhere.
 */
import { ed25519 } from '@noble/curves/ed25519.js'
import { base64, concat, hex, utf8 } from '@popsigner/crypto/bytes'
import { canonicalJson } from '@popsigner/crypto/canonical-json'
import { encodeTypeId } from '@popsigner/crypto/typeid'
import {
  assembleNote,
  checkpointBody,
  cosignatureLine,
  cosignatureMessage,
  encodeVerifierKey,
  NOTE_COSIGNATURE,
  NOTE_ED25519,
  noteSignatureLine,
  type VerifierKey,
  verifierKey,
} from '@popsigner/transparency/checkpoint'
import { leafHash, rootOf } from '@popsigner/transparency/merkle'
import type { Receipt } from '@popsigner/transparency/receipt'
import { buildLeaf, type LeafInput } from '@popsigner/transparency/record'
import {
  emptyChain,
  extendChain,
  NO_STATEMENT,
  statementHash,
  statementMessage,
} from '@popsigner/transparency/statement'
import { consistencyPath, inclusionPath } from '@popsigner/transparency/tiles'

/** An id for tests: always the same for the same number. */
export function testId(prefix: string, number: number): string {
  const bytes = new Uint8Array(16).fill(0x11)
  new DataView(bytes.buffer).setUint32(12, number)
  return encodeTypeId(prefix, bytes)
}

/** A log with its keys, as one organization of one instance has it. At most 256 leaves. */
export interface TestLog {
  readonly instance: string
  readonly organization: string
  readonly log: string
  readonly logKey: VerifierKey
  readonly identity: VerifierKey
  readonly leaves: Uint8Array[]
  /** Appends a leaf; its `log` and id are filled in. Answers its index. */
  append(leaf: Record<string, unknown>): number
  /**
   * A statement over the signatures at these indexes, as the signer would make it; `change` falsifies it after the
   * signing.
   */
  appendStatement(indexes: readonly number[], change?: { readonly before?: object; readonly after?: object }): number
  note(size?: number, unixSeconds?: number): string
  receipt(index: number, size?: number): Promise<Receipt>
  consistency(oldSize: number, newSize: number): Promise<string[]>
  sign(message: Uint8Array): Uint8Array
}

/** Starts a log. Logs of the same seed have the same keys. */
export function createTestLog(
  seed = 1,
  instance = 'keys.example.com',
  organization: string = testId('org', 1),
): TestLog {
  const log = `${instance}/${organization}`
  const logSecret = new Uint8Array(32).fill(seed)
  const identitySecret = new Uint8Array(32).fill(seed + 100)
  const logKey = verifierKey(log, NOTE_ED25519, ed25519.getPublicKey(logSecret))
  const identity = verifierKey(instance, NOTE_COSIGNATURE, ed25519.getPublicKey(identitySecret))
  const leaves: Uint8Array[] = []
  const source = {
    hashes: async (level: number) =>
      level === 0 ? concat(...leaves.map((leaf) => leafHash(leaf))) : new Uint8Array(0),
  }
  let count = 0
  let chain = emptyChain()
  let previous = NO_STATEMENT
  const append: TestLog['append'] = (leaf) => {
    const index = leaves.length
    const time = new Date(Date.UTC(2026, 10, 20, 14, 0, index)).toISOString()
    leaves.push(
      buildLeaf({ log, id: testId('rec', index), time, actor: testId('ak', 1), ...leaf } as unknown as LeafInput),
    )
    return index
  }
  return {
    ...{ instance, organization, log, logKey, identity, leaves, append },
    appendStatement(indexes, change = {}) {
      for (const index of indexes) chain = extendChain(chain, index, leafHash(leaves[index] as Uint8Array))
      count += indexes.length
      const body = {
        ...{ log, signer: hex(identity.publicKey), boot: '00'.repeat(16), count, chain: hex(chain) },
        runs: indexes.map((index) => [index, index] as const),
        ...{
          previous,
          reason: 'minute' as const,
          at: new Date(Date.UTC(2026, 10, 20, 14, 1, leaves.length)).toISOString(),
        },
        ...change.before,
      }
      previous = statementHash(body)
      const signature = base64(ed25519.sign(statementMessage(body), identitySecret))
      return append({ ...body, event: 'signer.statement', actor: 'signer', signature, ...change.after })
    },
    note(size = leaves.length, unixSeconds = 1_795_000_000) {
      const body = checkpointBody(log, size, rootOf(leaves.slice(0, size).map((leaf) => leafHash(leaf))))
      return assembleNote(body, [
        noteSignatureLine(log, logKey.publicKey, ed25519.sign(utf8(body), logSecret)),
        cosignatureLine(
          instance,
          identity.publicKey,
          unixSeconds,
          ed25519.sign(cosignatureMessage(body, unixSeconds), identitySecret),
        ),
      ])
    },
    async receipt(index, size = leaves.length) {
      const path = await inclusionPath(source, index, size)
      return {
        leaf_data: base64(leaves[index] as Uint8Array),
        ...{ leaf_index: index, tree_size: size, inclusion_path: path.map(base64), checkpoint: this.note(size) },
      }
    },
    async consistency(oldSize, newSize) {
      return (await consistencyPath(source, oldSize, newSize)).map(base64)
    },
    sign: (message) => ed25519.sign(message, identitySecret),
  }
}

/** A leaf of a signature by this key over this data, for `append`. */
export function signedLeaf(fields: Record<string, unknown>): Record<string, unknown> {
  return { event: 'key.signed', key: testId('key', 1), version: 1, scheme: 'ecdsa', input: 'raw', ...fields }
}

/** What a request was, for those who look at it. */
export interface SeenRequest {
  readonly method: string
  /** With the query. */
  readonly path: string
  readonly headers: Headers
  readonly body: unknown
}

/** Answers by `METHOD /path`, without the query. A function is asked each time; a `Response` is answered as it is. */
export type Answers = Record<string, unknown>

/** A fetch that gives these answers, and what it was asked. 404 for everything else. */
export function fetchOf(answers: Answers): { fetch: typeof globalThis.fetch; seen: SeenRequest[] } {
  const seen: SeenRequest[] = []
  const fetch: typeof globalThis.fetch = async (input, init = {}) => {
    const url = new URL(String(input))
    const body = typeof init.body === 'string' ? (JSON.parse(init.body) as unknown) : undefined
    const request = {
      method: init.method ?? 'GET',
      path: `${url.pathname}${url.search}`,
      headers: new Headers(init.headers),
      body,
    }
    seen.push(request)
    init.signal?.throwIfAborted()
    const answer = answers[`${request.method} ${url.pathname}`]
    const value = typeof answer === 'function' ? await (answer as (request: SeenRequest) => unknown)(request) : answer
    if (value === undefined) return problem(404, 'route.not_found')
    if (value instanceof Response) return value
    const status =
      request.method === 'POST' && /keys(?:\/batch|\/import.*)?$|namespaces$/.test(url.pathname) ? 201 : 200
    return Response.json(value, { status, headers: { 'x-request-id': 'req_1', etag: '"7"' } })
  }
  return { fetch, seen }
}

/** A refusal as the API gives it. */
export function problem(
  status: number,
  code: string,
  headers: Record<string, string> = {},
  more: object = {},
): Response {
  const body = {
    type: `/docs/errors#${code}`,
    title: 'A title.',
    status,
    detail: 'A detail.',
    code,
    request_id: 'req_1',
    ...more,
  }
  return new Response(JSON.stringify(body), {
    status,
    headers: { 'content-type': 'application/problem+json', ...headers },
  })
}

/** The answers of an honest server over this log. */
export function answersOf(test: TestLog): Answers {
  return {
    'GET /v1/signer': {
      ...{
        instance: test.instance,
        organization: test.organization,
        log: test.log,
        algorithms: [],
        locked_memory: true,
      },
      ...{ public_key: hex(test.identity.publicKey), verifier_key: encodeVerifierKey(test.identity) },
    },
    'GET /v1/audit/log-key': {
      ...{ origin: test.log, public_key: hex(test.logKey.publicKey), verifier_key: encodeVerifierKey(test.logKey) },
      instance: {
        name: test.instance,
        public_key: hex(test.identity.publicKey),
        verifier_key: encodeVerifierKey(test.identity),
      },
    },
    'GET /v1/audit/checkpoint': () => ({
      origin: test.log,
      size: test.leaves.length,
      root: '',
      checkpoint: test.note(),
    }),
    'GET /v1/audit/consistency': async ({ path }: SeenRequest) => {
      const query = new URL(path, 'http://localhost').searchParams
      const [from, to] = [Number(query.get('old_size')), Number(query.get('new_size'))]
      if (from > to || to > test.leaves.length) return problem(400, 'log.range_invalid')
      return { old_size: from, new_size: to, path: await test.consistency(from, to) }
    },
  }
}

/** A wrapping key as the signer signs it. */
export function wrappingKeyOf(
  test: TestLog,
  publicKey: Uint8Array,
  change: Record<string, unknown> = {},
): Record<string, unknown> {
  const key = {
    expires_at: new Date(Date.now() + 3_600_000).toISOString(),
    id: testId('wk', 1),
    instance: test.instance,
    organization: test.organization,
    public_key: hex(publicKey),
    ...change,
  }
  return { ...key, signature: base64(test.sign(utf8(`popsigner/v1/wrapping-key\n${canonicalJson(key)}`))) }
}
