import assert from 'node:assert/strict'
import { test } from 'node:test'
import { routeIds, routeOf } from '@popsigner/api/routes'
import { attack, instance, own, testNothingLeaked } from './attack/scene.ts'
import { bearer, goodRequest } from './attack/targets.ts'
import { assertBlames, assertProblem } from './refusals.ts'
import { exchange, type WireAnswer } from './wire.ts'

// Every route, attacked from one table: what headers, paths and connections may not be.
// Whatever comes is answered with a problem of that table: never with 500, never with a word of another
// organization, never with a secret.

test('headers that cannot be read, or say two things, are refused with a problem document', async () => {
  const line = `GET /v1/keys/${own.key} HTTP/1.1\r\n`
  const rest = `Host: x\r\nAuthorization: Bearer ${instance.token}\r\n`
  const wrong: Record<string, string> = {
    'a head that is too large': `${line}${rest}X-A: ${'a'.repeat(20_000)}\r\n\r\n`,
    'a path that is too long': `GET /v1/keys/${'a'.repeat(20_000)} HTTP/1.1\r\n${rest}\r\n`,
    'more headers than fit': `${line}${rest}${'a:b\r\n'.repeat(20_000)}\r\n`,
    'NUL in a header': `${line}${rest}X-A: a\0b\r\n\r\n`,
    'a line feed alone': `${line}${rest}X-A: a\nX-B: c\r\n\r\n`,
    'a folded header': `${line}${rest}X-A: a\r\n b\r\n\r\n`.replace('X-A: a\r\n b', 'X-A\r\n : b'),
    'a space before the colon': `${line}${rest}X-A : b\r\n\r\n`,
    'no Host': `${line}${rest.replace('Host: x\r\n', '')}\r\n`,
    'an expectation': `${line}${rest}Expect: 200-ok\r\n\r\n`,
    'a path that cannot be decoded': `GET /v1/keys/%zz HTTP/1.1\r\n${rest}\r\n`,
    'a path in no UTF-8': `GET /v1/keys/%ff%fe HTTP/1.1\r\n${rest}\r\n`,
    'a control character in the path': `GET /v1/keys/a\x01b HTTP/1.1\r\n${rest}\r\n`,
    'HTTP/2 without asking': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    'no HTTP at all': '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
    'an unknown method': `STEAL /v1/keys HTTP/1.1\r\n${rest}\r\n`,
  }
  for (const [what, bytes] of Object.entries(wrong)) {
    const answers = await exchange(instance.url, bytes)
    assert.equal(answers.length, 1, what)
    assertProblem(answers[0] as WireAnswer, 'request.malformed', null, what)
  }
  // What may fail for its form fails at the header by name.
  const { token } = instance
  for (const key of ['', 'a b', 'a'.repeat(256), 'ä']) {
    const head = `POST /v1/namespaces HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nIdempotency-Key: ${key}\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n{"name":"n-1"}`
    const [answer] = await exchange(instance.url, head)
    assertProblem(answer as WireAnswer, 'request.invalid', 'namespaces.create', key.slice(0, 10))
    assertBlames(answer as WireAnswer, 'Idempotency-Key', key.slice(0, 10))
  }
})

test('a great many headers hide none of those that count', async () => {
  const many = 'a:b\r\n'.repeat(2_500)
  const [answer] = await exchange(
    instance.url,
    `GET /v1/keys/${own.key} HTTP/1.1\r\nHost: x\r\n${many}Authorization: Bearer ${instance.token}\r\n\r\n`,
  )
  assert.equal(answer?.status, 200, answer?.text)
})

test('a second request cannot be hidden in a first', async () => {
  const head = `POST /v1/keys/${own.key}/verify HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${instance.token}\r\nContent-Type: application/json\r\n`
  const hidden = `DELETE /v1/keys/${own.key} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${instance.token}\r\n\r\n`
  const smuggled = [
    `Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${hidden}`,
    `Transfer-Encoding: chunked\r\nContent-Length: ${hidden.length + 5}\r\n\r\n0\r\n\r\n${hidden}`,
    `Content-Length: 0\r\nContent-Length: ${hidden.length}\r\n\r\n${hidden}`,
    `Content-Length: 0, ${hidden.length}\r\n\r\n${hidden}`,
    `Content-Length: +0\r\n\r\n${hidden}`,
    `Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${hidden}`,
    `Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n${hidden}`,
    `Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n${hidden}`,
    `Transfer-Encoding: chunked\r\n\r\n0;\n${hidden}`,
    `Transfer-Encoding: chunked\r\n\r\n-1\r\n${hidden}`,
  ]
  for (const rest of smuggled) {
    const answers = await exchange(instance.url, head + rest)
    assert.equal(answers.length, 1, rest.slice(0, 60))
    assertProblem(answers[0] as WireAnswer, 'request.malformed', null, rest.slice(0, 60))
  }
  const { body: key } = await instance.call('GET', `/v1/keys/${own.key}`)
  assert.equal(key.destroy_at, null)
})

test('paths and methods that no row has are refused, and the methods that there are named', async () => {
  const headers = bearer(instance.token)
  for (const path of [
    '/',
    '/v1',
    '/v1/',
    '/v1/keys/',
    '/V1/keys',
    '/v1//keys',
    '/v1/keys/x/sign/',
    '/admin/v1/status',
    '/.env',
    '/v1/keys/../keys',
  ]) {
    const answer = await attack({ method: 'GET', path, headers })
    if (path === '/v1/keys/') assertProblem(answer, 'key.not_found', 'keys.get', path)
    else assertProblem(answer, 'route.not_found', null, path)
  }
  const paths = new Map<string, Set<string>>()
  for (const id of routeIds)
    paths.set(routeOf(id).path, (paths.get(routeOf(id).path) ?? new Set()).add(routeOf(id).method))
  for (const [path, methods] of paths) {
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND']) {
      // A path of its own is one of `/v1/keys/{id}` too.
      if (methods.has(method) || /^\/v1\/keys\/(batch|import)$/.test(path)) continue
      const answer = await attack({ method, path: path.replace('{id}', own.key), headers })
      assertProblem(answer, 'method.not_allowed', null, `${method} ${path}`)
      assert.deepEqual(answer.headers['allow']?.split(', ').sort(), [...methods].sort(), `${method} ${path}`)
    }
  }
})

test('callers that are slow keep nobody waiting', async () => {
  const head = `POST /v1/keys/${own.key}/sign HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${instance.token}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"data"`
  const slow = Array.from({ length: 100 }, () => exchange(instance.url, head, 100, 2_000))
  const started = performance.now()
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => attack(goodRequest('keys.sign', own, instance.token))),
  )
  assert.deepEqual(new Set(answers.map((answer) => answer.status)), new Set([200]))
  assert.ok(performance.now() - started < 3_000)
  for (const answered of await Promise.all(slow)) assert.deepEqual(answered, [])
})

testNothingLeaked()
