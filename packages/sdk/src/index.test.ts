import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type RouteId, routeIds, routeOf } from '@popsigner/api/routes'
import * as sdk from './index.ts'
import { fetchOf, testId } from './rogue-server.ts'

test('the exports are these', () => {
  assert.deepEqual(Object.keys(sdk).sort(), [
    'NetworkError',
    'PopSigner',
    'PopSignerError',
    'TrustError',
    'algorithmFacts',
    'algorithmNames',
    'allowPlainHttp',
    'answerFacts',
    'auditEntries',
    'createMemoryStore',
    'hashNames',
    'publicKeyOf',
    'schemeNames',
    'signatureBytes',
    'verifyReceipt',
    'verifySignature',
  ])
  const client = new sdk.PopSigner({ url: 'https://keys.example.com' })
  assert.deepEqual(Object.keys(client).sort(), ['apiKeys', 'audit', 'keys', 'namespaces', 'transactions'])
  assert.deepEqual(Object.keys(client.keys).sort(), [
    ...[
      'addresses',
      'all',
      'cancelDeletion',
      'create',
      'createBatch',
      'delete',
      'export',
      'exportKey',
      'get',
      'history',
      'import',
    ],
    ...['importKey', 'importWrappingKey', 'list', 'rotate', 'sign', 'update', 'verify', 'wholeHistory'],
  ])
  assert.deepEqual(Object.keys(client.transactions).sort(), ['decode', 'sign', 'signBatch', 'signMessage'])
  assert.deepEqual(Object.keys(client.namespaces).sort(), ['all', 'create', 'delete', 'list'])
  assert.deepEqual(Object.keys(client.apiKeys).sort(), ['all', 'create', 'delete', 'list', 'rotate'])
  assert.deepEqual(Object.keys(client.audit).sort(), [
    ...['all', 'auditLog', 'checkpoint', 'consistency', 'logKey', 'logs', 'receipt', 'receiptText', 'record'],
    ...['verifiedCheckpoint', 'verifiedReceipt'],
  ])
})

const id = testId('key', 1)
const data = new Uint8Array(3)

/** A method for each route. That one is missing does not compile. */
const methods: Record<RouteId, (client: sdk.PopSigner) => Promise<unknown>> = {
  'keys.create': ({ keys }) => keys.create({ name: 'a', namespace: 'b' }),
  'keys.list': ({ keys }) => keys.list({ namespace: 'b' }),
  'keys.get': ({ keys }) => keys.get(id),
  'keys.update': ({ keys }) => keys.update(id, { state: 'suspended' }, { ifMatch: '*' }),
  'keys.delete': ({ keys }) => keys.delete(id, { waiting_days: 7 }),
  'keys.cancelDeletion': ({ keys }) => keys.cancelDeletion(id),
  'keys.history': ({ keys }) => keys.history(id),
  'keys.createBatch': ({ keys }) => keys.createBatch({ prefix: 'a', count: 2, namespace: 'b' }),
  'keys.rotate': ({ keys }) => keys.rotate(id, { keep_active: true }),
  'keys.sign': ({ keys }) => keys.sign(id, { data }),
  'sign.batch': (client) => client.signBatch({ requests: [{ key_id: id, data }] }),
  'signatures.aggregate': (client) => client.aggregateSignatures([new Uint8Array(96), 'AAAA']),
  'signatures.verifyAggregate': (client) =>
    client.verifyAggregate({ publicKeys: ['00'], messages: [{ data }], signature: new Uint8Array(96) }),
  'keys.verify': ({ keys }) => keys.verify(id, { data, signature: new Uint8Array(64) }),
  'transactions.decode': ({ transactions }) => transactions.decode({ chain: 'eip155:1', transaction: '0x' }),
  'keys.signTransaction': ({ transactions }) => transactions.sign(id, { chain: 'eip155:1', transaction: '0x' }),
  'transactions.signBatch': ({ transactions }) =>
    transactions.signBatch({ requests: [{ key_id: id, chain: 'eip155:1', transaction: '0x' }] }),
  'keys.signMessage': ({ transactions }) =>
    transactions.signMessage(id, { chain: 'eip155:1', convention: 'eip191', message: 'a' }),
  'keys.addresses': ({ keys }) => keys.addresses(id, { chain: 'eip155:1' }),
  'keys.createWrappingKey': ({ keys }) => keys.importWrappingKey(),
  'keys.import': ({ keys }) =>
    keys.import({ name: 'a', namespace: 'b', public_key: '', wrapping_key_id: '', enc: '', ciphertext: '' }),
  'keys.export': ({ keys }) => keys.export(id, { recipient_public_key: '04' }),
  'namespaces.create': ({ namespaces }) => namespaces.create({ name: 'a' }),
  'namespaces.list': ({ namespaces }) => namespaces.list(),
  'namespaces.delete': ({ namespaces }) => namespaces.delete(id),
  'apiKeys.create': ({ apiKeys }) => apiKeys.create({ name: 'a', scopes: ['api:keys:read'] }),
  'apiKeys.list': ({ apiKeys }) => apiKeys.list(),
  'apiKeys.delete': ({ apiKeys }) => apiKeys.delete(id),
  'apiKeys.rotate': ({ apiKeys }) => apiKeys.rotate(id, { grace_seconds: 0 }),
  'audit.list': ({ audit }) => audit.logs({ event_type: 'key.signed' }),
  'audit.get': ({ audit }) => audit.record(id),
  'audit.receipt': ({ audit }) => audit.receipt(id),
  'audit.checkpoint': ({ audit }) => audit.checkpoint(),
  'audit.consistency': ({ audit }) => audit.consistency({ old_size: 1, new_size: 2 }),
  'audit.logKey': ({ audit }) => audit.logKey(),
  'signer.get': (client) => client.signer(),
  'system.health': (client) => client.health(),
  'system.ready': (client) => client.ready(),
  'system.openapi': (client) => client.openapi(),
  'system.docs': (client) => client.docs(),
  'system.docsErrors': (client) => client.docsErrors(),
}

for (const route of routeIds)
  test(`${route} is reached by a method`, async () => {
    const { fetch, seen } = fetchOf({})
    const client = new sdk.PopSigner({ url: 'https://keys.example.com', apiKey: 'psk_live_a', fetch, retries: 0 })
    await assert.rejects(methods[route](client), { name: 'PopSignerError', code: 'route.not_found' })
    const { method, path } = routeOf(route)
    assert.equal(seen.length, 1)
    assert.equal(seen[0]?.method, method)
    const form = new RegExp(`^${path.replaceAll(/[.]/g, '\\.').replaceAll(/\{[^}]+\}/g, id)}(?:\\?.*)?$`)
    assert.match(seen[0]?.path ?? '', form)
  })

test('a text receipt is asked for as text', async () => {
  const text = 'c2sp.org/tlog-proof@v1\n'
  const { fetch, seen } = fetchOf({
    [`GET /v1/audit/logs/${id}/receipt`]: new Response(text, { headers: { 'content-type': 'text/plain' } }),
  })
  const client = new sdk.PopSigner({ url: 'https://keys.example.com', apiKey: 'psk_live_a', fetch })
  assert.equal(await client.audit.receiptText(id), text)
  assert.equal(seen[0]?.headers.get('accept'), 'text/plain')
})

test('bytes are encoded; text needs its encoding', async () => {
  const { fetch, seen } = fetchOf({ [`POST /v1/keys/${id}/sign`]: {}, 'POST /v1/sign/batch': {} })
  const client = new sdk.PopSigner({ url: 'https://keys.example.com', apiKey: 'psk_live_a', fetch })
  await client.keys.sign(id, { data: Uint8Array.of(0, 255), prehashed: true })
  assert.deepEqual(seen[0]?.body, { data: 'AP8=', encoding: 'base64', prehashed: true })
  await client.keys.sign(id, { data: 'é', encoding: 'utf8', hash: 'keccak256' })
  assert.deepEqual(seen[1]?.body, { data: 'é', encoding: 'utf8', hash: 'keccak256' })
  await client.signBatch({
    prehashed: true,
    requests: [
      { key_id: id, data },
      { key_id: id, data: '00', encoding: 'hex' },
    ],
  })
  assert.deepEqual(seen[2]?.body, {
    prehashed: true,
    requests: [
      { key_id: id, data: 'AAAA', encoding: 'base64' },
      { key_id: id, data: '00', encoding: 'hex' },
    ],
  })
  await assert.rejects(client.keys.sign(id, { data: 'abcd' } as never), TypeError)
  await assert.rejects(client.keys.sign(id, { data, encoding: 'hex' } as never), TypeError)
  await assert.rejects(client.signBatch({ requests: [{ key_id: id, data: 7 } as never] }), /requests\[0\]/)
  assert.equal(seen.length, 3)
})

test('a key that was read brings its ETag to its change; a copy of it does not', async () => {
  const { fetch, seen } = fetchOf({
    [`GET /v1/keys/${id}`]: { id, name: 'a' },
    [`PATCH /v1/keys/${id}`]: { id, name: 'b' },
  })
  const client = new sdk.PopSigner({ url: 'https://keys.example.com', apiKey: 'psk_live_a', fetch })
  const key = await client.keys.get(id)
  assert.deepEqual(key, { id, name: 'a' })
  assert.deepEqual(sdk.answerFacts(key), { etag: '"7"', requestId: 'req_1' })
  await client.keys.update(key, { name: 'b' })
  assert.equal(seen[1]?.headers.get('if-match'), '"7"')
  await assert.rejects(client.keys.update({ ...key }, { name: 'b' }), TypeError)
  await assert.rejects(client.keys.update(id, { name: 'b' }), TypeError)
})

test('lists are followed to their end, and not in a circle', async () => {
  const pages: Record<string, unknown> = { '': { keys: [1, 2], next_cursor: 'x' }, x: { keys: [3], next_cursor: null } }
  const { fetch, seen } = fetchOf({
    'GET /v1/keys': ({ path }: { path: string }) =>
      pages[new URL(path, 'http://localhost').searchParams.get('cursor') ?? ''],
    'GET /v1/namespaces': { namespaces: [1], next_cursor: 'x' },
  })
  const client = new sdk.PopSigner({ url: 'https://keys.example.com', apiKey: 'psk_live_a', fetch })
  const keys: unknown[] = []
  for await (const key of client.keys.all({ namespace: 'b' })) keys.push(key)
  assert.deepEqual(keys, [1, 2, 3])
  assert.deepEqual(
    seen.map(({ path }) => path),
    ['/v1/keys?namespace=b', '/v1/keys?namespace=b&cursor=x'],
  )
  await assert.rejects(async () => {
    for await (const namespace of client.namespaces.all()) assert.equal(namespace, 1)
  }, sdk.NetworkError)
})

test('signatureBytes answers the bytes or nothing', () => {
  assert.equal(sdk.signatureBytes({ signature: `${'A'.repeat(86)}==` }).length, 64)
  assert.equal(sdk.signatureBytes({ signature: 'AAAA' }).length, 3)
  assert.throws(() => sdk.signatureBytes({ signature: '!' }), RangeError)
})
