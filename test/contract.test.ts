import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { openApiDocument } from '@popsigner/api/openapi'
import { type RouteId, routeIds, routeOf } from '@popsigner/api/routes'
import { allScopes } from '@popsigner/api/scopes'
import { generateRecipient } from '@popsigner/crypto/hpke'
import { encodeTypeId } from '@popsigner/crypto/typeid'
import { publicKeyOf } from '@popsigner/crypto/verify'
import { newUuid } from '../packages/server/src/ids.ts'
import { pause, startInstance, type TestInstance } from './instance.ts'
import { defaultsFor, wrapForImport } from './moved-key.ts'
import { assertProblem } from './refusals.ts'
import { send, type WireAnswer } from './wire.ts'

// What the contract says, held against what a running instance does: every route on its good path, and what it says of
// headers, lists, conditions and repeats.

let instance: TestInstance
/** An API key of an organization on a hosted plan. */
let hosted: string
const walked = new Set<RouteId>()
let markerKey: Promise<string> | undefined

before(async () => {
  instance = await startInstance()
  await instance.admin('POST', 'organizations', { name: 'hosted', plan: 'enterprise' })
  hosted = ((await instance.admin('POST', 'api-keys', { organization: 'hosted', name: 'all' })) as { token: string })
    .token
})
after(() => instance?.remove())

interface Asked {
  readonly id?: string
  readonly query?: Record<string, string>
  readonly body?: unknown
  readonly headers?: Record<string, string>
  readonly token?: string
}

function ask(route: RouteId, { id, query, body, headers, token = instance.token }: Asked = {}): Promise<WireAnswer> {
  const { method, path, scope } = routeOf(route)
  return send(instance.url, {
    method,
    path: path.replace('{id}', id ?? '') + (query ? `?${new URLSearchParams(query)}` : ''),
    headers: {
      ...(scope === null ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
}

/** Asks what has to succeed, and holds the answer against the row of the route. */
// biome-ignore lint/suspicious/noExplicitAny: tests read bodies freely; a missing field fails them.
async function good(route: RouteId, asked: Asked = {}): Promise<any> {
  const row = routeOf(route)
  const answer = await ask(route, asked)
  assert.equal(answer.status, row.status, `${route}: ${answer.text.slice(0, 400)}`)
  walked.add(route)
  const { headers } = answer
  assert.match(headers['x-request-id'] ?? '', /^req_[0-7][0-9a-z]{25}$/, route)
  assert.equal(headers['cache-control'], 'no-store', route)
  assert.equal(headers['x-content-type-options'], 'nosniff', route)
  assert.equal(headers['retry-after'], undefined, route)
  if (row.tagged) assert.match(headers['etag'] ?? '', /^"[!#-~]+"$/, route)
  else assert.equal(headers['etag'], undefined, route)
  for (const name of ['x-ratelimit-limit', 'x-ratelimit-remaining', 'x-ratelimit-reset']) {
    assert.equal(headers[name] !== undefined, asked.token === hosted, `${route} ${name}`)
  }
  if (row.response === null) {
    assert.equal(answer.text, '', route)
    return null
  }
  assert.equal(headers['content-type']?.split(';')[0], row.produces?.[0] ?? 'application/json', route)
  // Strict objects: a field that the schema does not have fails here, and so does one that is missing.
  assert.deepEqual(row.response.parse(answer.body), answer.body, route)
  return answer.body
}

let names = 0
const name = () => `n-${++names}`
const newKey = (terms: object = {}, token?: string) =>
  good('keys.create', { body: { name: name(), namespace: 'production', ...terms }, ...(token ? { token } : {}) })

async function importBody(exportRule = 'none') {
  const privateKey = Buffer.alloc(32, 7)
  const wrapping = await good('keys.createWrappingKey')
  const wrapped = await wrapForImport(
    wrapping,
    defaultsFor('secp256k1', publicKeyOf('secp256k1', privateKey), exportRule),
    privateKey,
  )
  return { name: name(), namespace: 'production', ...wrapped }
}

test('every route answers its good path as its row says', async () => {
  const space = await good('namespaces.create', { body: { name: 'staging' } })
  await good('namespaces.list')
  const key = await newKey({ metadata: { chain: 'celestia', address_prefix: 'cosmos' }, exportable: true })
  assert.match(key.address, /^cosmos1/)
  for (const algorithm of ['ed25519', 'p256']) assert.equal((await newKey({ algorithm })).address, null)
  await good('keys.createBatch', { body: { prefix: 'worker', count: 3, namespace: 'staging', algorithm: 'ed25519' } })
  await good('keys.createBatch', {
    body: {
      keys: [
        { name: 'left', namespace: 'staging' },
        { name: 'right', namespace: 'production', metadata: { a: 'b' } },
      ],
    },
  })
  await good('keys.list', { query: { namespace: 'staging', algorithm: 'ed25519', state: 'active', limit: '2' } })
  const { id } = key
  await good('keys.get', { id })
  await good('keys.update', { id, body: { metadata: {}, rotate_every_days: 30 }, headers: { 'if-match': '*' } })
  const signed = await good('keys.sign', { id, body: { data: '00ff', encoding: 'hex', hash: 'keccak256' } })
  await good('sign.batch', {
    body: {
      requests: [
        { key_id: id, data: 'aGk=' },
        { key_id: 'nothing', data: 'aGk=' },
        { key_id: id, data: '!' },
      ],
    },
  })
  assert.deepEqual(
    await good('keys.verify', {
      id,
      body: { data: '00ff', encoding: 'hex', hash: 'keccak256', signature: signed.signature },
    }),
    { valid: true },
  )
  const unsigned = transactionOf(9)
  const read = await good('transactions.decode', { body: { chain: 'eip155:1', transaction: unsigned, key_id: id } })
  const ofChain = await good('keys.signTransaction', { id, body: { chain: 'eip155:1', transaction: read.transaction } })
  assert.deepEqual([ofChain.complete, ofChain.effects_hash], [true, read.effects_hash])
  const { transactions } = await good('transactions.signBatch', {
    body: {
      requests: [
        { key_id: id, chain: 'eip155:1', transaction: unsigned },
        { key_id: id, chain: 'eip155:10', transaction: read.transaction },
        { key_id: 'nothing', chain: 'eip155:1', transaction: unsigned },
      ],
    },
  })
  assert.equal(transactions[0].transaction, ofChain.transaction)
  assert.deepEqual(
    [transactions[1].error.code, transactions[2].error.code],
    ['transaction.chain_mismatch', 'key.not_found'],
  )
  await good('keys.signMessage', { id, body: { chain: 'eip155:1', convention: 'eip191', message: 'hello' } })
  await good('keys.addresses', { id, query: { chain: 'eip155:1' } })
  const parts = await Promise.all(
    [0, 1].map(async () => {
      const key = await newKey({ algorithm: 'bls12-381' })
      return { key, ...(await good('keys.sign', { id: key.id, body: { data: 'aGk=' } })) }
    }),
  )
  const { signature: sum } = await good('signatures.aggregate', {
    body: { signatures: parts.map(({ signature }) => signature) },
  })
  const aggregate = { public_keys: parts.map(({ key }) => key.public_key), signature: sum }
  for (const [messages, valid] of [
    [[{ data: 'aGk=' }], true],
    [[{ data: 'aGk=' }, { data: 'hi', encoding: 'utf8' }], true],
    [[{ data: 'aGo=' }], false],
  ] as const)
    assert.deepEqual(await good('signatures.verifyAggregate', { body: { ...aggregate, messages } }), { valid })
  await good('keys.rotate', { id, body: { keep_active: true } })
  await good('keys.import', { body: await importBody() })
  await good('keys.export', {
    id,
    body: { recipient_public_key: Buffer.from(generateRecipient().publicKey).toString('hex'), key_version: 1 },
  })
  await good('keys.delete', { id, query: { waiting_days: '1' } })
  await good('keys.cancelDeletion', { id })
  await good('keys.history', { id, query: { limit: '3' } })
  const issued = await good('apiKeys.create', {
    body: { name: 'ci', scopes: ['api:keys:read'], namespaces: ['staging'], expires_at: '2090-01-01T00:00:00Z' },
  })
  await good('apiKeys.rotate', { id: issued.id, body: { grace_seconds: 60 } })
  await good('apiKeys.list')
  await good('apiKeys.delete', { id: issued.id })
  const other = await good('namespaces.create', { body: { name: 'short-lived' } })
  await good('namespaces.delete', { id: other.id })
  assert.equal(space.keys, 0)
  const { tree_size } = await good('audit.receipt', { id: signed.record_id })
  await good('audit.get', { id: signed.record_id })
  await good('audit.list', { query: { include: 'leaf', order: 'asc', limit: '1000' } })
  const { size } = await good('audit.checkpoint')
  assert.ok(size >= tree_size)
  await good('audit.consistency', { query: { old_size: '1', new_size: String(tree_size) } })
  await good('audit.consistency', { query: { old_size: '0', new_size: '0' } })
  for (const route of [
    'audit.logKey',
    'signer.get',
    'system.health',
    'system.ready',
    'system.openapi',
    'system.docs',
    'system.docsErrors',
  ] as const)
    await good(route)
  assert.deepEqual(
    routeIds.filter((route) => !walked.has(route)),
    [],
  )
})

test('the OpenAPI document that is served is the one that the table makes', async () => {
  const { version } = JSON.parse(readFileSync(new URL('../packages/server/package.json', import.meta.url), 'utf8'))
  const served = await good('system.openapi')
  assert.deepEqual(served, JSON.parse(JSON.stringify(openApiDocument({ version }))))
  for (const id of routeIds) {
    const { path, method, status } = routeOf(id)
    const operation = served.paths[path]?.[method.toLowerCase()]
    assert.equal(operation?.operationId, id)
    assert.ok(operation.responses[status], id)
  }
  // What every reference points at is there.
  for (const [, target = ''] of JSON.stringify(served).matchAll(/"\$ref":"#\/([^"]+)"/g)) {
    // biome-ignore lint/suspicious/noExplicitAny: a walk through a document.
    const found = target.split('/').reduce<any>((inner, step) => inner?.[step], served)
    assert.ok(found, target)
  }
})

test('the pages bring a policy that lets nothing foreign in', async () => {
  for (const route of ['system.docs', 'system.docsErrors'] as const) {
    const { headers, text } = await ask(route)
    assert.match(headers['content-security-policy'] ?? '', /default-src 'none'/)
    assert.doesNotMatch(headers['content-security-policy'] ?? '', /unsafe|https?:/)
    assert.doesNotMatch(text, /(?:src|href)="https?:/)
  }
})

test('a request id that is given comes back and stands in the record; any other text is replaced', async () => {
  const { id } = await newKey()
  const given = encodeTypeId('req', newUuid())
  const answer = await ask('keys.sign', { id, body: { data: 'aGk=' }, headers: { 'x-request-id': given } })
  assert.equal(answer.headers['x-request-id'], given)
  assert.equal((await good('audit.get', { id: answer.body.record_id })).request_id, given)
  for (const text of ['x', `${given}0`, given.toUpperCase(), `${given}, ${given}`, "'; drop table"]) {
    const refused = await ask('keys.get', { id: 'x', headers: { 'x-request-id': text } })
    assertProblem(refused, 'key.not_found', 'keys.get', text)
    assert.notEqual(refused.headers['x-request-id'], text)
  }
})

test('on a hosted plan every answer says what is left of the rate', async () => {
  const key = await newKey({}, hosted)
  for (const asked of [
    () => ask('keys.get', { id: key.id, token: hosted }),
    () => ask('keys.get', { id: 'x', token: hosted }),
    () => ask('keys.create', { body: {}, token: hosted }),
  ]) {
    const { headers } = await asked()
    assert.equal(headers['x-ratelimit-limit'], '1000')
    assert.match(headers['x-ratelimit-remaining'] ?? '', /^[0-9]{1,3}$/)
    assert.match(headers['x-ratelimit-reset'] ?? '', /^[01]$/)
  }
  await good('keys.sign', { id: key.id, body: { data: 'aGk=' }, token: hosted })
  await good('keys.list', { token: hosted })
})

test('a change needs the tag of what was read, and each change makes another', async () => {
  const { id } = await newKey()
  const tags = new Set<string>()
  const tag = async () => {
    const { headers } = await ask('keys.get', { id })
    tags.add(headers['etag'] as string)
    return headers['etag'] as string
  }
  const change = (match: string | null, body: object = { metadata: {} }) =>
    ask('keys.update', { id, body, headers: match === null ? {} : { 'if-match': match } })

  assertProblem(await change(null), 'request.if_match_required', 'keys.update', 'none')
  const first = await tag()
  const changed = await change(first)
  assert.equal(changed.status, 200)
  assert.equal(changed.headers['etag'], await tag())
  assert.notEqual(changed.headers['etag'], first)
  for (const match of [first, `W/${await tag()}`, '"x"', first.slice(1, -1), '**', '""'])
    assertProblem(await change(match), 'key.changed', 'keys.update', match)
  assert.equal((await change(`"x", ${await tag()}`)).status, 200)
  assert.equal((await change('*')).status, 200)
  // What is refused changes nothing, the tag neither.
  const before = await tag()
  assertProblem(
    await change('*', { uses: ['raw', 'digest'], state: 'active' }),
    'key.state_forbids',
    'keys.update',
    'active → active',
  )
  assert.equal(await tag(), before)
  for (const [route, body] of [
    ['keys.rotate', {}],
    ['keys.delete', undefined],
    ['keys.cancelDeletion', undefined],
  ] as const) {
    const known = tags.size
    const answer = await ask(route, { id, ...(body ? { body } : {}) })
    assert.ok(answer.status < 300, answer.text)
    const now = await tag()
    if (routeOf(route).tagged) assert.equal(answer.headers['etag'], now)
    assert.ok(tags.size > known, route)
  }
  const same = await tag()
  const racing = await Promise.all(Array.from({ length: 6 }, (_, i) => change(same, { metadata: { n: String(i) } })))
  assert.equal(racing.filter((answer) => answer.status === 200).length, 1)
  for (const answer of racing.filter((one) => one.status !== 200))
    assertProblem(answer, 'key.changed', 'keys.update', 'racing')
})

test('lists are newest first, and pages neither repeat nor lose while rows are added', async () => {
  const { id } = await newKey()
  for (let i = 0; i < 4; i++)
    await good('keys.update', { id, body: { metadata: { i: String(i) } }, headers: { 'if-match': '*' } })
  const add: Record<string, () => Promise<unknown>> = {
    'keys.list': () => newKey(),
    'namespaces.list': () => good('namespaces.create', { body: { name: name() } }),
    'apiKeys.list': () => good('apiKeys.create', { body: { name: name(), scopes: ['api:keys:read'] } }),
    'keys.history': () =>
      good('keys.update', { id, body: { metadata: { now: name() } }, headers: { 'if-match': '*' } }),
    'audit.list': () => good('keys.sign', { id, body: { data: 'aGk=' } }),
  }
  const lists = {
    'keys.list': ['keys', 'id', {}],
    'namespaces.list': ['namespaces', 'id', {}],
    'apiKeys.list': ['api_keys', 'id', {}],
    'keys.history': ['history', 'record_id', {}],
    'audit.list': ['logs', 'id', { end_time: '2090-01-01T00:00:00Z' }],
  } as const
  for (const [route, [field, idField, query]] of Object.entries(lists) as [RouteId, (typeof lists)['keys.list']][]) {
    for (let i = 0; i < 4; i++) await add[route]?.()
    if (route === 'audit.list') await settled()
    const whole = await good(route, { id, query: { ...query, limit: '100' } })
    const all = whole[field].map((row: Record<string, string>) => row[idField]) as string[]
    assert.ok(all.length >= 5, route)
    assert.equal(whole.next_cursor, null, route)
    if (route !== 'audit.list') assert.deepEqual(all, [...all].sort().reverse(), route)
    else
      assert.deepEqual(
        whole.logs.map((row: { leaf_index: number }) => row.leaf_index),
        whole.logs.map((row: { leaf_index: number }) => row.leaf_index).sort((a: number, b: number) => b - a),
      )
    const paged: string[] = []
    let cursor: string | null = null
    do {
      const page: Record<string, Record<string, string>[]> & { next_cursor: string | null } = await good(route, {
        id,
        query: { ...query, limit: '2', ...(cursor === null ? {} : { cursor }) },
      })
      paged.push(...(page[field] as Record<string, string>[]).map((row) => row[idField] as string))
      cursor = page.next_cursor
      if (paged.length <= 4) await add[route]?.()
    } while (cursor !== null)
    assert.deepEqual(paged, all, route)
  }
  // The other way round, from the beginning of the log.
  const ascending = await good('audit.list', { query: { order: 'asc', limit: '3' } })
  assert.deepEqual(
    ascending.logs.map((row: { leaf_index: number }) => row.leaf_index),
    [0, 1, 2],
  )
  const next = await good('audit.list', { query: { order: 'asc', limit: '3', cursor: ascending.next_cursor } })
  assert.equal(next.logs[0].leaf_index, 3)
  for (const route of ['keys.list', 'namespaces.list', 'apiKeys.list', 'audit.list'] as const) {
    const wrong =
      route === 'audit.list'
        ? ['["a"]', '[1.5]', '["-1"]', '[]', '{}', 'x', '[["1"]]x']
        : ['[1]', '["x"]', '["01999999-0000-7000-8000-00000000000G"]', '[]']
    for (const text of wrong)
      assertProblem(
        await ask(route, { query: { cursor: Buffer.from(text).toString('base64url') } }),
        'request.invalid',
        route,
        text,
      )
  }
})

test('records are found by every filter', async () => {
  const key = await newKey()
  const before = new Date().toISOString()
  const signed = await good('keys.sign', { id: key.id, body: { data: 'filtered', encoding: 'utf8' } })
  const hash = (await good('audit.get', { id: signed.record_id })).metadata.data_hash
  const issued = await good('apiKeys.create', { body: { name: name(), scopes: ['api:keys:sign'] } })
  const by = await good('keys.sign', {
    id: key.id,
    body: { data: 'by another', encoding: 'utf8' },
    token: issued.token,
  })
  await settled()
  const find = async (query: Record<string, string>) =>
    (await good('audit.list', { query: { limit: '1000', ...query } })).logs.map(
      (row: { id: string }) => row.id,
    ) as string[]
  assert.deepEqual(await find({ key_id: key.id, event_type: 'key.signed' }), [by.record_id, signed.record_id])
  for (const query of [{ data_hash: hash }, { data_hash: hash.slice(7) }] as Record<string, string>[])
    assert.deepEqual(await find(query), [signed.record_id])
  for (const address of [key.address, key.eth_address, key.eth_address.toLowerCase()])
    assert.deepEqual(await find({ address, event_type: 'key.signed' }), [by.record_id, signed.record_id], address)
  assert.ok((await find({ address: '127.0.0.1' })).includes(signed.record_id))
  assert.deepEqual(await find({ address: '192.0.2.1' }), [])
  assert.deepEqual(await find({ actor: issued.id, event_type: 'key.signed' }), [by.record_id])
  assert.ok((await find({ actor: 'host' })).length > 0)
  assert.deepEqual(await find({ key_id: key.id, end_time: before, event_type: 'key.signed' }), [])
  assert.deepEqual(await find({ key_id: key.id, start_time: before, event_type: 'key.signed' }), [
    by.record_id,
    signed.record_id,
  ])
  assert.deepEqual(await find({ event_type: 'no.such_event' }), [])
})

test('a receipt comes as JSON or as text, as it is asked for', async () => {
  const { id } = await newKey()
  const { record_id } = await good('keys.sign', { id, body: { data: 'aGk=' } })
  for (const accept of ['application/json', '*/*', 'application/*;q=0.5', 'text/html, application/json']) {
    assert.match(
      (await ask('audit.receipt', { id: record_id, headers: { accept } })).headers['content-type'] ?? '',
      /^application\/json/,
      accept,
    )
  }
  for (const accept of ['text/plain', 'text/*', 'text/plain; charset=utf-8, application/json']) {
    const { headers, text } = await ask('audit.receipt', { id: record_id, headers: { accept } })
    assert.match(headers['content-type'] ?? '', /^text\/plain/, accept)
    assert.match(text, /^c2sp\.org\/tlog-proof@v1\n/)
  }
  assertProblem(
    await ask('audit.receipt', { id: record_id, headers: { accept: 'application/xml' } }),
    'request.not_acceptable',
    'audit.receipt',
    'xml',
  )
})

/** An unsigned transaction in the JSON that clients write. */
function transactionOf(nonce: number): object {
  return { to: `0x${'35'.repeat(20)}`, nonce, gas: 21_000, gasPrice: '20000000000', value: '1' }
}

interface Repeatable {
  /** The request, and the same with something else in it; the other is null where there is nothing to be different. */
  make(): Promise<{ id?: string; body: object; other: object | null }>
  /** What must be the same in a repeat. */
  // biome-ignore lint/suspicious/noExplicitAny: tests read bodies freely; a missing field fails them.
  same(body: any): unknown
}

const recipient = Buffer.from(generateRecipient().publicKey).toString('hex')
const keyBody = () => ({ name: name(), namespace: 'production' })
const repeatable: Partial<Record<RouteId, Repeatable>> = {
  'keys.create': {
    make: async () => {
      const body = keyBody()
      return { body, other: { ...body, algorithm: 'p256' } }
    },
    same: (key) => key,
  },
  'keys.createBatch': {
    make: async () => {
      const body = { prefix: name(), count: 3, namespace: 'production' }
      return { body, other: { ...body, count: 2 } }
    },
    same: (batch) => batch,
  },
  'keys.rotate': {
    make: async () => ({ id: (await newKey()).id, body: { keep_active: true }, other: { keep_active: false } }),
    same: ({ id, version, public_key, previous }) => ({ id, version, public_key, previous }),
  },
  'keys.sign': {
    make: async () => ({ id: (await newKey()).id, body: { data: 'aGk=' }, other: { data: 'aGo=' } }),
    same: (signed) => signed,
  },
  'sign.batch': {
    make: async () => {
      const { id } = await newKey()
      return {
        body: {
          requests: [
            { key_id: id, data: 'aGk=' },
            { key_id: id, data: '' },
          ],
        },
        other: { requests: [{ key_id: id, data: 'aGk=' }] },
      }
    },
    same: (signed) => signed,
  },
  'keys.signTransaction': {
    make: async () => {
      const body = { chain: 'eip155:1', transaction: transactionOf(1) }
      return { id: (await newKey()).id, body, other: { ...body, transaction: transactionOf(2) } }
    },
    same: (signed) => signed,
  },
  'transactions.signBatch': {
    make: async () => {
      const { id } = await newKey()
      const request = { key_id: id, chain: 'eip155:1' }
      const [one, two] = [1, 2].map((nonce) => ({ ...request, transaction: transactionOf(nonce) }))
      return { body: { requests: [one, two] }, other: { requests: [one] } }
    },
    same: (signed) => signed,
  },
  'keys.signMessage': {
    make: async () => {
      const body = { chain: 'eip155:1', convention: 'eip191', message: 'hello' }
      return { id: (await newKey()).id, body, other: { ...body, message: 'hellO' } }
    },
    same: (signed) => signed,
  },
  'keys.createWrappingKey': { make: async () => ({ body: {}, other: null }), same: (key) => key },
  'keys.import': {
    make: async () => {
      const body = await importBody()
      return { body, other: { ...body, name: name() } }
    },
    same: (key) => key,
  },
  'keys.export': {
    make: async () => ({
      id: (await newKey({ exportable: true })).id,
      body: { recipient_public_key: recipient },
      other: { recipient_public_key: recipient, key_version: 1 },
    }),
    same: ({ record_id, public_key, key_version }) => ({ record_id, public_key, key_version }),
  },
  'namespaces.create': {
    make: async () => ({ body: { name: name() }, other: { name: name() } }),
    same: (space) => space,
  },
  'apiKeys.create': {
    make: async () => {
      const body = { name: name(), scopes: ['api:keys:read'] }
      return { body, other: { ...body, scopes: ['api:keys:sign'] } }
    },
    same: ({ token: _, ...key }) => key,
  },
  'apiKeys.rotate': {
    make: async () => ({
      id: (await good('apiKeys.create', { body: { name: name(), scopes: ['api:keys:read'] } })).id,
      body: { grace_seconds: 60 },
      other: { grace_seconds: 61 },
    }),
    same: ({ token: _, ...key }) => key,
  },
}

test('every route that honours Idempotency-Key is looked at', () => {
  assert.deepEqual(Object.keys(repeatable).sort(), routeIds.filter((id) => routeOf(id).idempotent).sort())
})

for (const [route, { make, same }] of Object.entries(repeatable) as [RouteId, Repeatable][]) {
  test(`${route}: a repeat is the same request, and another body is not`, async () => {
    const { id, body, other } = await make()
    const key = name()
    const asked = (sent: unknown, idempotency = key) => ({
      ...(id ? { id } : {}),
      body: sent,
      headers: { 'idempotency-key': idempotency },
    })
    const first = await good(route, asked(body))
    const from = await settled()
    const repeated = await good(route, asked(body))
    assert.deepEqual(same(repeated), same(first))
    if ('token' in first) {
      assert.match(first.token, /^psk_live_/)
      assert.equal(repeated.token, null)
    }
    // The same fields in another order and with other spaces are the same body.
    const turned = JSON.stringify(Object.fromEntries(Object.entries(body).reverse()), null, 3)
    assert.deepEqual(same(await good(route, asked(turned))), same(first))
    if (other) assertProblem(await ask(route, asked(other)), 'idempotency.body_mismatch', route, 'another body')
    // No repeat has made a record. (That an API key was used, or something refused, is one a minute or a second later.)
    const to = await settled()
    const { logs } = await good('audit.list', { query: { limit: '1000' } })
    const between = logs.filter((row: { leaf_index: number }) => row.leaf_index > from && row.leaf_index < to) as {
      event: string
    }[]
    assert.deepEqual(
      between.map((row) => row.event).filter((event) => !/^(auth\.|key\.sign_denied|signer\.)/.test(event)),
      [],
    )
    // Another API key's Idempotency-Key is another.
    const theirs = await ask(route, {
      ...asked(body),
      token: (await good('apiKeys.create', { body: { name: name(), scopes: allScopes } })).token,
    })
    assert.notEqual(theirs.body?.code, 'idempotency.body_mismatch')
    if (theirs.status < 300 && route !== 'keys.sign' && route !== 'sign.batch')
      assert.notDeepEqual(same(theirs.body), same(first))
    if (route === 'keys.sign') assert.notEqual(theirs.body.record_id, first.record_id)
  })

  test(`${route}: of duplicates that come together one is done, and the others say so`, async () => {
    const { id, body } = await make()
    const key = name()
    const answers = await Promise.all(
      Array.from({ length: 6 }, () => ask(route, { ...(id ? { id } : {}), body, headers: { 'idempotency-key': key } })),
    )
    const done = answers.filter((answer) => answer.status === routeOf(route).status)
    assert.ok(done.length > 0, answers.map((answer) => answer.text).join('\n'))
    for (const answer of answers) if (!done.includes(answer)) assertProblem(answer, 'request.in_progress', route, route)
    for (const answer of done) assert.deepEqual(same(answer.body), same(done[0]?.body))
    if (done.some((answer) => 'token' in answer.body))
      assert.equal(done.filter((answer) => answer.body.token !== null).length, 1)
  })
}

test('a signature by a row that is not deterministic is made again over the same digest', async () => {
  const { id } = await newKey({ algorithm: 'p256' })
  const asked = { id, body: { data: 'aGk=' }, headers: { 'idempotency-key': name() } }
  const [first, second] = [await good('keys.sign', asked), await good('keys.sign', asked)]
  assert.equal(second.record_id, first.record_id)
  for (const { signature } of [first, second])
    assert.deepEqual(await good('keys.verify', { id, body: { data: 'aGk=', signature } }), { valid: true })
})

test('a repeat is decided under the state of now', async () => {
  const { id } = await newKey()
  const asked = { id, body: { data: 'aGk=' }, headers: { 'idempotency-key': name() } }
  const first = await good('keys.sign', asked)
  await good('keys.update', { id, body: { state: 'suspended' }, headers: { 'if-match': '*' } })
  assertProblem(await ask('keys.sign', asked), 'key.state_forbids', 'keys.sign', 'suspended')
  await good('keys.update', { id, body: { state: 'active' }, headers: { 'if-match': '*' } })
  assert.deepEqual(await good('keys.sign', asked), first)
  // After a rotation it is made by the version of the first time, if that may still sign.
  const parts = await Promise.all(
    [0, 1].map(async () => {
      const key = await newKey({ algorithm: 'bls12-381' })
      return { key, ...(await good('keys.sign', { id: key.id, body: { data: 'aGk=' } })) }
    }),
  )
  const { signature: sum } = await good('signatures.aggregate', {
    body: { signatures: parts.map(({ signature }) => signature) },
  })
  const aggregate = { public_keys: parts.map(({ key }) => key.public_key), signature: sum }
  for (const [messages, valid] of [
    [[{ data: 'aGk=' }], true],
    [[{ data: 'aGk=' }, { data: 'hi', encoding: 'utf8' }], true],
    [[{ data: 'aGo=' }], false],
  ] as const)
    assert.deepEqual(await good('signatures.verifyAggregate', { body: { ...aggregate, messages } }), { valid })
  await good('keys.rotate', { id, body: { keep_active: true } })
  assert.deepEqual(await good('keys.sign', asked), first)
  await good('keys.rotate', { id, body: {} })
  assert.deepEqual(await good('keys.sign', asked), first)
})

/** Makes a record, waits until the list has it, and with it all before; answers its index. */
async function settled(): Promise<number> {
  markerKey ??= newKey({ name: 'marker' }).then((key) => key.id as string)
  const { record_id } = await good('keys.sign', { id: await markerKey, body: { data: '' } })
  const until = Date.now() + 5_000
  for (;;) {
    const { logs } = await good('audit.list', { query: { limit: '20', event_type: 'key.signed' } })
    const found = logs.find((row: { id: string }) => row.id === record_id)
    if (found) return found.leaf_index
    assert.ok(Date.now() < until, 'a record was not listed within 5 s')
    await pause(20)
  }
}
