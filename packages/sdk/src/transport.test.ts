import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PopSigner } from './client.ts'
import { NetworkError, PopSignerError } from './errors.ts'
import { problem } from './rogue-server.ts'
import { createTransport, sleep, type TransportPorts } from './transport.ts'

/** A transport over a list of outcomes, one an attempt, and what it did. */
function over(
  outcomes: (Response | Error | (() => Response | Error))[],
  settings: { retries?: number; apiKey?: string | null } = {},
) {
  const sent: { url: string; init: RequestInit & { headers: Record<string, string> } }[] = []
  const pauses: number[] = []
  const ports: TransportPorts = {
    fetch: async (input, init) => {
      sent.push({ url: String(input), init: init as never })
      const outcome = outcomes.shift()
      const value = typeof outcome === 'function' ? outcome() : outcome
      if (value === undefined) throw new Error('the test expected no further request')
      if (value instanceof Error) throw value
      return value
    },
    sleep: async (milliseconds) => void pauses.push(milliseconds),
    random: () => 0.5,
  }
  const transport = createTransport(
    {
      url: 'https://keys.example.com',
      apiKey: 'psk_live_test',
      fingerprint: '00',
      retries: 3,
      timeoutMilliseconds: 1_000,
      ...settings,
    },
    ports,
  )
  return { transport, sent, pauses }
}

const signed = () => Response.json({ signature: 'AA==' })
const down = () => new TypeError('fetch failed')
const sign = { params: { id: 'key_1' }, body: { data: 'AA==' } }

test('a request carries the API key, refuses redirects and is JSON', async () => {
  const { transport, sent } = over([signed()])
  await transport.call('keys.sign', sign)
  const [{ url, init } = assert.fail()] = sent
  assert.equal(url, 'https://keys.example.com/v1/keys/key_1/sign')
  assert.equal(init.method, 'POST')
  assert.equal(init.redirect, 'error')
  assert.equal(init.headers['authorization'], 'Bearer psk_live_test')
  assert.equal(init.headers['content-type'], 'application/json')
  assert.equal(init.body, '{"data":"AA=="}')
})

test('the API key goes to no route that needs none, and a route that needs one is not called without', async () => {
  const { transport, sent } = over([Response.json({ status: 'ok' })])
  await transport.call('system.health', {})
  assert.equal(sent[0]?.init.headers['authorization'], undefined)
  const bare = over([], { apiKey: null })
  await assert.rejects(bare.transport.call('keys.list', {}), TypeError)
  assert.equal(bare.sent.length, 0)
})

test('one idempotency key for all attempts of a call, another for the next call', async () => {
  const { transport, sent } = over([down(), problem(503, 'custody.unavailable'), signed(), signed()])
  await transport.call('keys.sign', sign)
  await transport.call('keys.sign', sign)
  const keys = sent.map(({ init }) => init.headers['idempotency-key'])
  assert.match(keys[0] ?? '', /^[0-9a-f]{32}$/)
  assert.deepEqual(keys.slice(0, 3), [keys[0], keys[0], keys[0]])
  assert.notEqual(keys[3], keys[0])
})

test('an idempotency key can be named where the route takes one, and nowhere else', async () => {
  const { transport, sent } = over([signed()])
  await transport.call('keys.sign', sign, { idempotencyKey: 'order-7' })
  assert.equal(sent[0]?.init.headers['idempotency-key'], 'order-7')
  await assert.rejects(transport.call('keys.list', {}, { idempotencyKey: 'order-7' }), RangeError)
  for (const bad of ['', 'a b', 'ü', 'x'.repeat(256), 'a\r\nx: y'])
    await assert.rejects(transport.call('keys.sign', sign, { idempotencyKey: bad }), RangeError)
  assert.equal(sent.length, 1)
})

test('pauses double with jitter and end with the number of retries', async () => {
  const { transport, pauses, sent } = over([down, down, down, down].map((make) => make()))
  await assert.rejects(transport.call('keys.get', { params: { id: 'key_1' } }), (error) => {
    assert.ok(error instanceof NetworkError)
    assert.equal(error.code, 'network.failed')
    assert.equal(error.attempts, 4)
    return true
  })
  assert.equal(sent.length, 4)
  assert.deepEqual(pauses, [75, 150, 300])
})

test('Retry-After is waited for, as seconds; one that is too long is not', async () => {
  const { transport, pauses } = over([
    problem(429, 'rate.limited', { 'retry-after': '2' }),
    signed(),
    problem(429, 'rate.limited', { 'retry-after': '31' }),
  ])
  await transport.call('keys.sign', sign)
  assert.deepEqual(pauses, [2_000])
  await assert.rejects(transport.call('keys.sign', sign), (error) => {
    assert.ok(error instanceof PopSignerError)
    assert.equal(error.retryAfterSeconds, 31)
    assert.equal(error.attempts, 1)
    return true
  })
})

for (const [status, code] of [
  [401, 'auth.invalid'],
  [403, 'scope.missing'],
  [404, 'key.not_found'],
  [409, 'key.name_taken'],
  [422, 'idempotency.body_mismatch'],
  [500, 'internal.error'],
  [503, 'log.behind'],
  [503, 'made.up_later'],
] as const)
  test(`${status} ${code} is never repeated, whatever Retry-After says`, async () => {
    const { transport, sent } = over([problem(status, code, { 'retry-after': '1' })])
    await assert.rejects(transport.call('keys.sign', sign), { name: 'PopSignerError', code, status })
    assert.equal(sent.length, 1)
  })

test('a lost connection is not repeated where that could do a second thing', async () => {
  const change = over([down()])
  await assert.rejects(
    change.transport.call('keys.update', { params: { id: 'key_1' }, body: { name: 'a' } }, { ifMatch: '*' }),
    NetworkError,
  )
  assert.equal(change.sent.length, 1)
  const cancel = over([down()])
  await assert.rejects(cancel.transport.call('keys.cancelDeletion', { params: { id: 'key_1' } }), NetworkError)
  assert.equal(cancel.sent.length, 1)
})

test('a lost connection is repeated for verifying and for deleting', async () => {
  const verify = over([down(), Response.json({ valid: true })])
  const body = { data: 'AA==', signature: 'AA==' }
  assert.deepEqual(await verify.transport.call('keys.verify', { params: { id: 'key_1' }, body }), { valid: true })
  const remove = over([down(), new Response(null, { status: 204 })])
  assert.equal(await remove.transport.call('apiKeys.delete', { params: { id: 'ak_1' } }), null)
})

test('an answer that is none of this API is a network error', async () => {
  for (const answer of [
    () => new Response('<h1>Bad gateway</h1>', { status: 502, headers: { 'content-type': 'text/html' } }),
    () => new Response('{"keys":[', { headers: { 'content-type': 'application/json' } }),
    () => Response.json([]),
    () => Response.json({ code: 'key.not_found' }, { status: 404 }),
    () => Response.json({}, { status: 201 }),
    () => new Response('{"code":7}', { status: 404, headers: { 'content-type': 'application/problem+json' } }),
  ]) {
    const { transport } = over([answer], { retries: 0 })
    await assert.rejects(transport.call('keys.list', {}), { name: 'NetworkError', code: 'network.answer_invalid' })
  }
})

test('a problem keeps its fields, and no control characters', async () => {
  const errors = [{ field: 'keys[2].name', message: 'is\u001b[31m required' }]
  const { transport } = over([problem(400, 'request.invalid', {}, { errors, detail: 'One\nfield.' })])
  await assert.rejects(transport.call('keys.list', {}), (error) => {
    assert.ok(error instanceof PopSignerError)
    assert.equal(error.requestId, 'req_1')
    assert.equal(error.title, 'A title.')
    assert.equal(error.detail, 'One field.')
    assert.deepEqual(error.errors, [{ field: 'keys[2].name', message: 'is [31m required' }])
    return true
  })
})

test('a caller that gives up is not kept waiting, neither by an attempt nor by a pause', async () => {
  const hang: typeof globalThis.fetch = (_, init) =>
    new Promise((_resolve, reject) => init?.signal?.addEventListener('abort', () => reject(init.signal?.reason)))
  const settings = {
    url: 'https://keys.example.com',
    apiKey: 'psk',
    fingerprint: '',
    retries: 3,
    timeoutMilliseconds: 60_000,
  }
  const reason = new Error('enough')
  const abort = new AbortController()
  const pending = createTransport(settings, { fetch: hang, sleep, random: () => 1 }).call(
    'keys.list',
    {},
    { signal: abort.signal },
  )
  abort.abort(reason)
  await assert.rejects(pending, (error) => error === reason)
  const again = new AbortController()
  const limited: typeof globalThis.fetch = async () => problem(429, 'rate.limited', { 'retry-after': '30' })
  const paused = createTransport(settings, { fetch: limited, sleep, random: () => 1 }).call(
    'keys.list',
    {},
    { signal: again.signal },
  )
  setTimeout(() => again.abort(reason), 20)
  await assert.rejects(paused, (error) => error === reason)
  await assert.rejects(
    createTransport(settings, { fetch: hang, sleep, random: () => 1 }).call(
      'keys.list',
      {},
      { timeoutMilliseconds: 20, retries: 0 },
    ),
    {
      code: 'network.timeout',
    },
  )
})

test('ids cannot lead to another route', async () => {
  const { transport, sent } = over([Response.json({})])
  for (const id of ['', '.', '..', '\ud800'])
    await assert.rejects(transport.call('keys.get', { params: { id } }), RangeError, JSON.stringify(id))
  await assert.rejects(transport.call('keys.get', { params: { id: 7 as never } }), TypeError)
  await transport.call('keys.get', { params: { id: '../audit/logs?x=1#y' } })
  assert.equal(new URL(sent[0]?.url ?? '').pathname, '/v1/keys/..%2Faudit%2Flogs%3Fx%3D1%23y')
})

test('a change needs an ETag', async () => {
  const { transport, sent } = over([Response.json({})])
  await assert.rejects(transport.call('keys.update', { params: { id: 'key_1' }, body: { name: 'a' } }), TypeError)
  await transport.call('keys.update', { params: { id: 'key_1' }, body: { name: 'a' } }, { ifMatch: '"3"' })
  assert.equal(sent[0]?.init.headers['if-match'], '"3"')
})

test('an address is https, or http on this machine', () => {
  const apiKey = 'psk_live_secret'
  for (const url of [
    'https://keys.example.com',
    'https://keys.example.com/signer/',
    'http://127.0.0.1:8080',
    'http://localhost:1',
    'http://[::1]:2',
    'http://0x7f.1',
  ])
    assert.ok(new PopSigner({ url, apiKey }))
  for (const url of [
    'http://keys.example.com',
    'http://127.0.0.1.example.com',
    'http://localhost.example.com',
    'http://128.0.0.1',
    'http://0.0.0.0',
    'ftp://127.0.0.1',
    'https://user:word@keys.example.com',
    'https://keys.example.com?a=b',
    'https://keys.example.com#a',
  ])
    assert.throws(() => new PopSigner({ url, apiKey }), RangeError, url)
  for (const url of ['', 'keys.example.com', 7])
    assert.throws(() => new PopSigner({ url: url as string, apiKey }), TypeError)
})

test('a malformed API key is refused without being repeated', () => {
  for (const apiKey of ['', 'psk live', 'psk\r\nx: y', 'ü'])
    assert.throws(
      () => new PopSigner({ url: 'https://keys.example.com', apiKey }),
      (error) => error instanceof TypeError && (apiKey === '' || !error.message.includes(apiKey)),
    )
})
