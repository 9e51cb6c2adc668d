import assert from 'node:assert/strict'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { defaultMaxBodyBytes } from '@popsigner/api/route'
import { type RouteId, routeIds, routeOf } from '@popsigner/api/routes'
import { allScopes } from '@popsigner/api/scopes'
import { parseToken } from '../packages/server/src/tenants/token.ts'
import { malformedBodies, unknownFields, wrongTypes } from './attack/mutations.ts'
import {
  bearer,
  forgedToken,
  goodRequest,
  pathOf,
  type Target,
  type Things,
  targets,
  unknownThings,
} from './attack/targets.ts'
import { pause, startInstance, type TestInstance } from './instance.ts'
import { assertBlames, assertProblem } from './refusals.ts'
import { exchange, manyAddresses, nextAddress, send, type WireAnswer, type WireRequest } from './wire.ts'

// Every route, attacked from one table. Whatever comes is answered with a problem of that table: never with 500, never with
// a word of another organization, never with a secret.

let instance: TestInstance
/** Ids of this organization, and of another one. */
let own: Things
let foreign: Things
/** Every token that was handed out. */
const tokens: string[] = []
/** What came back, but for the answers in which a token is shown. */
const received: string[] = []

const scoped = routeIds.filter((id) => routeOf(id).scope !== null)
const withBody = routeIds.filter((id) => targets[id].body !== undefined)
const reading = routeIds.filter((id) => routeOf(id).method !== 'GET')
const rowOf = (id: RouteId): Target => targets[id]

before(async () => {
  instance = await startInstance()
  tokens.push(instance.token)
  await makeNamespace(instance.token, 'staging')
  own = await makeThings(instance.token)
  await instance.admin('POST', 'organizations', { name: 'rival', namespaces: ['production'] })
  const { token } = (await instance.admin('POST', 'api-keys', { organization: 'rival', name: 'all' })) as {
    token: string
  }
  tokens.push(token)
  foreign = await makeThings(token)
})
after(() => instance?.remove())

async function attack(asked: WireRequest): Promise<WireAnswer> {
  const answer = await send(instance.url, asked)
  received.push(answer.text)
  return answer
}

/** A request with a wrong credential. Each comes from an address of its own; where there is one only, the limit is waited for. */
async function attackWithout(asked: WireRequest): Promise<WireAnswer> {
  for (;;) {
    const answer = await attack({ ...asked, from: nextAddress() })
    if (manyAddresses || answer.body?.code !== 'auth.too_many_failures') return answer
    await pause(1_100)
  }
}

async function make(token: string, path: string, body: object): Promise<Record<string, string>> {
  const { status, body: made } = await instance.call('POST', path, body, { token })
  assert.ok(status === 200 || status === 201, JSON.stringify(made))
  return made
}

const makeNamespace = (token: string, name: string) => make(token, '/v1/namespaces', { name })

async function makeThings(token: string): Promise<Things> {
  const key = await make(token, '/v1/keys', { name: 'mine', namespace: 'production' })
  const signed = await make(token, `/v1/keys/${key['id']}/sign`, { data: 'aGk=' })
  const wrappingKey = await make(token, '/v1/keys/import/wrapping-key', {})
  const apiKey = await makeApiKey(token, { scopes: ['api:keys:read'] })
  const { body: list } = await instance.call('GET', '/v1/namespaces', undefined, { token })
  const namespace = list.namespaces.find((one: { name: string }) => one.name === 'production')
  return {
    key: key['id'] ?? '',
    record: signed['record_id'] ?? '',
    wrappingKey: wrappingKey['id'] ?? '',
    apiKey: apiKey.id,
    namespace: namespace.id,
  }
}

async function makeApiKey(by: string, terms: object): Promise<{ id: string; token: string }> {
  const { id = '', token = '' } = await make(by, '/v1/api-keys', { name: 'a', scopes: allScopes, ...terms })
  tokens.push(token)
  return { id, token }
}

test('the table has every route and no other', () => {
  assert.deepEqual(Object.keys(targets).sort(), [...routeIds].sort())
  for (const id of routeIds) {
    const route = routeOf(id)
    assert.equal(rowOf(id).subject !== undefined, route.path.includes('{id}'), id)
    assert.equal(rowOf(id).query !== undefined, route.query !== undefined, id)
    assert.equal(rowOf(id).body !== undefined, route.body !== undefined, id)
  }
})

test('the good requests of the table are read without a complaint', () => {
  for (const id of routeIds) {
    const { body, query } = rowOf(id)
    if (body) assert.ok(routeOf(id).body?.safeParse(body(own)).success, id)
    if (query) assert.ok(routeOf(id).query?.safeParse(query(own)).success, id)
  }
})

test('without credentials every route that needs some answers 401, and reads no body', async () => {
  for (const id of scoped) {
    const good = goodRequest(id, own, null)
    assertProblem(await attack(good), 'auth.missing', id, id)
    for (const authorization of [
      'Basic cG9wOnBvcA==',
      'Bearer',
      tokens[0] as string,
      `Bearer${tokens[0]}`,
      `Digest Bearer ${tokens[0]}`,
    ]) {
      assertProblem(
        await attack({ ...good, headers: { ...good.headers, authorization } }),
        'auth.missing',
        id,
        `${id} ${authorization.slice(0, 12)}`,
      )
    }
    if (routeOf(id).method === 'GET') continue
    // A body that is announced and never sent, and one that no reader would take.
    const head = `${good.method} ${good.path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n`
    for (const rest of [
      'Content-Length: 100\r\n\r\n',
      'Transfer-Encoding: chunked\r\n\r\n',
      'Content-Length: 3\r\n\r\n{{{',
    ]) {
      const [answer] = await exchange(instance.url, head + rest, 5)
      assertProblem(answer as WireAnswer, 'auth.missing', id, `${id} with ${rest.trim()}`)
    }
  }
})

test('a token that is malformed, mistyped, unknown or wrong in its secret answers 401 alike', async () => {
  const token = instance.token
  const wrong: [string, string][] = [
    ['malformed', 'psk_live_0'],
    ['in upper case', token.toUpperCase()],
    ['with a wrong checksum', token.slice(0, -1) + (token.endsWith('0') ? '1' : '0')],
    ['with a changed secret', token.slice(0, 50) + (token[50] === '0' ? '1' : '0') + token.slice(51)],
    ['too long', `${token}0`],
    ['twice', `${token}, Bearer ${token}`],
    ['never made', await forgedToken()],
    ['with the id of another', await forgedToken(token)],
  ]
  for (const id of scoped) {
    const answers = await Promise.all(wrong.map(([, text]) => attackWithout(goodRequest(id, own, text))))
    for (const [i, answer] of answers.entries()) assertProblem(answer, 'auth.invalid', id, `${id} ${wrong[i]?.[0]}`)
    assert.equal(new Set(answers.map(comparable)).size, 1, `${id}: ${answers.map(comparable).join('\n')}`)
  }
})

test('an API key that is expired, revoked, or rotated without grace opens no route', async () => {
  const expired = await makeApiKey(instance.token, { expires_at: new Date(Date.now() + 1_500).toISOString() })
  const revoked = await makeApiKey(instance.token, {})
  const rotated = await makeApiKey(instance.token, {})
  for (const { token } of [expired, revoked, rotated]) {
    // So that everything about it is cached.
    for (const id of ['keys.get', 'keys.sign'] as const)
      assert.equal((await attack(goodRequest(id, own, token))).status, 200, id)
  }
  assert.equal((await instance.call('DELETE', `/v1/api-keys/${revoked.id}`)).status, 204)
  const { token: successor = '' } = await make(instance.token, `/v1/api-keys/${rotated.id}/rotate`, {
    grace_seconds: 0,
  })
  tokens.push(successor)
  // What signs is refused from the answer on; reads within a second.
  for (const id of ['keys.sign', 'sign.batch', 'keys.create', 'keys.update'] as const) {
    for (const { token } of [revoked, rotated])
      assertProblem(await attackWithout(goodRequest(id, own, token)), 'auth.invalid', id, id)
  }
  assert.equal((await attack(goodRequest('keys.sign', own, successor))).status, 200)
  await pause(1_600)
  for (const id of scoped) {
    assertProblem(await attack(goodRequest(id, own, expired.token)), 'auth.expired', id, `${id} expired`)
    for (const [what, { token }] of [
      ['revoked', revoked],
      ['rotated', rotated],
    ] as const) {
      assertProblem(await attackWithout(goodRequest(id, own, token)), 'auth.invalid', id, `${id} ${what}`)
    }
  }
})

test('an API key with every scope but the one that a route needs is refused by it, whatever else is wrong', async () => {
  const needed = new Set(scoped.map((id) => routeOf(id).scope))
  const without = new Map<string, string>()
  for (const scope of needed) {
    const { token } = await makeApiKey(instance.token, { scopes: allScopes.filter((other) => other !== scope) })
    without.set(scope as string, token)
  }
  for (const id of scoped) {
    const token = without.get(routeOf(id).scope as string) as string
    for (const things of [own, foreign, unknownThings()]) {
      assertProblem(await attack(goodRequest(id, things, token)), 'scope.missing', id, id)
    }
    if (routeOf(id).method === 'GET') continue
    const good = goodRequest(id, own, token)
    assertProblem(
      await attack({ ...good, headers: { ...good.headers, 'content-type': 'application/json' }, body: '{{' }),
      'scope.missing',
      id,
      id,
    )
  }
})

test('an id of another organization answers exactly as one that nothing has, and as one that is malformed', async () => {
  for (const id of routeIds) {
    const { subject } = rowOf(id)
    if (subject === undefined) continue
    const nobodys = await attack(goodRequest(id, { ...own, [subject]: unknownThings()[subject] }, instance.token))
    assert.match(String(nobodys.body.code), /\.not_found$/, id)
    assertProblem(nobodys, nobodys.body.code, id, id)
    const theirs = await attack(goodRequest(id, { ...own, [subject]: foreign[subject] }, instance.token))
    assert.equal(comparable(theirs), comparable(nobodys), id)
    const malformed = [
      own[subject].toUpperCase(),
      `${own[subject]}0`,
      own[subject].slice(0, -1),
      `x${own[subject]}`,
      'x',
      '%00',
      '%0d%0aX-A:%20b',
      '..%2f..',
      '%F0%9F%94%91',
      '%27%20or%201=1--',
      'a'.repeat(300),
      'a'.repeat(10_000),
      ...Object.values({ ...own, [subject]: 'x' }),
    ]
    for (const text of malformed) {
      const answer = await attack(goodRequest(id, { ...own, [subject]: text }, instance.token))
      assert.equal(comparable(answer), comparable(nobodys), `${id} ${text.slice(0, 40)}`)
    }
  }
})

test('ids of another organization in bodies and queries find nothing', async () => {
  const { token } = instance
  const item = async (key: string) =>
    (await attack(goodRequest('sign.batch', { ...own, key }, token))).body.signatures[0].error
  assert.deepEqual(await item(foreign.key), await item(unknownThings().key))
  assert.equal((await item(foreign.key)).code, 'key.not_found')

  const importing = (wrappingKey: string) => attack(goodRequest('keys.import', { ...own, wrappingKey }, token))
  const nobodys = await importing(unknownThings().wrappingKey)
  assertProblem(nobodys, 'wrapping_key.not_found', 'keys.import', 'keys.import')
  assert.equal(comparable(await importing(foreign.wrappingKey)), comparable(nobodys))

  for (const query of [{ key_id: foreign.key }, { actor: foreign.apiKey }]) {
    const { status, body } = await attack({
      method: 'GET',
      path: pathOf('audit.list', '', query),
      headers: bearer(token),
    })
    assert.deepEqual([status, body], [200, { logs: [], next_cursor: null }])
  }
  const { body: theirs } = await instance.call('GET', '/v1/audit/logs?limit=1000')
  const text = JSON.stringify(theirs)
  for (const id of Object.values(foreign)) assert.ok(!text.includes(id), id)
  for (const id of ['keys.list', 'namespaces.list', 'apiKeys.list'] as const) {
    const { text: list } = await attack({ method: 'GET', path: routeOf(id).path, headers: bearer(token) })
    for (const thing of Object.values(foreign)) assert.ok(!list.includes(thing), `${id} ${thing}`)
  }
})

test('an API key that is bound to another namespace finds what lies in this one as little as what does not exist', async () => {
  const { token } = await makeApiKey(instance.token, { namespaces: ['staging'] })
  for (const id of scoped) {
    const { bound, subject } = rowOf(id)
    const answer = await attack(goodRequest(id, id === 'apiKeys.delete' ? unknownThings() : own, token))
    if (bound === 'open') {
      if (answer.status >= 400 && id !== 'apiKeys.delete') assert.fail(`${id}: ${answer.text}`)
      continue
    }
    assertProblem(answer, bound, id, id)
    if (subject === undefined || !bound.endsWith('.not_found')) continue
    assert.equal(
      comparable(answer),
      comparable(await attack(goodRequest(id, { ...own, [subject]: unknownThings()[subject] }, token))),
      id,
    )
  }
  const { body: batch } = await attack(goodRequest('sign.batch', own, token))
  assert.equal(batch.signatures[0].error.code, 'key.not_found')
  for (const path of ['/v1/audit/logs?limit=1000', '/v1/keys', '/v1/namespaces']) {
    const { status, text } = await attack({ method: 'GET', path, headers: bearer(token) })
    assert.equal(status, 200)
    for (const thing of [own.key, own.record, own.namespace]) assert.ok(!text.includes(thing), `${path} ${thing}`)
  }
})

test('wrong types and unknown fields are refused, and the field is named', async () => {
  const accepted: string[] = []
  for (const id of withBody) {
    const good = goodRequest(id, own, instance.token)
    const body = JSON.parse(String(good.body)) as object
    for (const { field, wrong, body: mutated } of [...wrongTypes(body), ...unknownFields(body)]) {
      const what = `${id}: ${field} = ${wrong}`
      if (routeOf(id).body?.safeParse(mutated).success) {
        // What is documented to be taken is not sent: it would be done.
        accepted.push(what)
        continue
      }
      const answer = await attack({ ...good, body: JSON.stringify(mutated) })
      assertProblem(answer, 'request.invalid', id, what)
      assertBlames(answer, field, what)
    }
    for (const whole of ['null', '[]', '"x"', '1', 'true', '[{}]']) {
      const answer = await attack({ ...good, body: whole })
      assertProblem(answer, 'request.invalid', id, `${id}: ${whole}`)
      assertBlames(answer, 'body', `${id}: ${whole}`)
    }
  }
  const lookups = ['requests[0].key_id', 'wrapping_key_id']
  const texts = ['requests[0].data', 'messages[0].data', 'data']
  assert.deepEqual(
    accepted
      .filter(
        (what) =>
          !lookups.some((name) => what.includes(`: ${name} = "`)) &&
          !texts.some((name) => what.includes(`: ${name} = "`)),
      )
      .sort(),
    [
      'apiKeys.create: expires_at = null',
      'apiKeys.create: namespaces = null',
      'apiKeys.rotate: expires_at = null',
      'keys.create: metadata.no_such_field = unknown field',
      'keys.create: rotate_every_days = null',
      'keys.createBatch: keys[0].metadata.no_such_field = unknown field',
      'keys.createBatch: keys[1].metadata.no_such_field = unknown field',
      'keys.createBatch: rotate_every_days = null',
      'keys.import: metadata.no_such_field = unknown field',
      'keys.import: rotate_every_days = null',
      'keys.update: metadata.no_such_field = unknown field',
      'keys.update: rotate_every_days = null',
    ],
  )
})

test('query fields that are unknown, repeated or wrong are refused by name, and so is a query where none is taken', async () => {
  for (const id of routeIds) {
    const good = goodRequest(id, own, instance.token)
    const attacked = async (field: string, query: string, what: string) => {
      const answer = await attack({
        method: good.method,
        path: `${good.path.split('?')[0]}?${query}`,
        headers: good.headers,
        ...(good.body ? { body: good.body } : {}),
      })
      assertProblem(answer, 'request.invalid', id, what)
      assertBlames(answer, field, what)
    }
    for (const name of ['no_such_field', '__proto__', 'constructor', 'a%00b', 'limit[]'])
      await attacked(decodeURIComponent(name), `${name}=1`, `${id} ${name}`)
    for (const [name, value] of Object.entries(rowOf(id).query?.(own) ?? {})) {
      const others = Object.entries(rowOf(id).query?.(own) ?? {}).filter(
        ([other]) => other !== name && other !== 'cursor',
      )
      const rest = others.map(([other, given]) => `&${other}=${encodeURIComponent(given)}`).join('')
      await attacked(
        name,
        `${name}=${encodeURIComponent(value)}&${name}=${encodeURIComponent(value)}${rest}`,
        `${id} ${name} twice`,
      )
      for (const wrong of [
        '',
        '%00',
        '%ff%00',
        '9007199254740993',
        '-1',
        '1e3',
        '%20',
        'x'.repeat(3000),
        '%5B%5D',
        '%E2%98%83%0a',
      ]) {
        const parsed = routeOf(id).query?.safeParse({
          ...Object.fromEntries(others),
          [name]: decodeURIComponent(wrong.replace('%ff', '')),
        })
        if (!parsed?.success || name === 'cursor')
          await attacked(name, `${name}=${wrong}${rest}`, `${id} ${name}=${wrong.slice(0, 20)}`)
      }
    }
  }
})

test('a body that two readers could read differently is refused by every route that reads one', async () => {
  for (const id of reading) {
    const good = goodRequest(id, own, instance.token)
    for (const [what, body] of malformedBodies) {
      const answer = await attack({ ...good, headers: { ...good.headers, 'content-type': 'application/json' }, body })
      assertProblem(answer, 'request.malformed', id, `${id}: ${what}`)
    }
    if (rowOf(id).body !== undefined) continue
    const answer = await attack({
      ...good,
      headers: { ...good.headers, 'content-type': 'application/json' },
      body: '{"a":1}',
    })
    assertProblem(answer, 'request.invalid', id, `${id}: a body where none is taken`)
    assertBlames(answer, 'body', id)
  }
  for (const id of scoped.filter((one) => routeOf(one).method === 'GET')) {
    const good = goodRequest(id, own, instance.token)
    const answer = await attack({
      ...good,
      headers: { ...good.headers, 'content-type': 'application/json', 'content-length': '2' },
      body: '{}',
    })
    assertProblem(answer, 'request.invalid', id, `${id}: a body on GET`)
  }
})

test('other media types, codings and character sets are refused by every route that reads a body', async () => {
  for (const id of reading) {
    const good = goodRequest(id, own, instance.token)
    const { 'content-type': _, ...bare } = good.headers
    const wrong: Record<string, string>[] = [
      {},
      { 'content-type': 'text/plain' },
      { 'content-type': 'application/x-www-form-urlencoded' },
      { 'content-type': 'multipart/form-data; boundary=x' },
      { 'content-type': 'application/jsonx' },
      { 'content-type': 'application/json-patch+json' },
      { 'content-type': 'application/json, text/plain' },
      { 'content-type': ';' },
      { 'content-type': 'application/json; charset=utf-16' },
      { 'content-type': 'application/json; charset="iso-8859-1"' },
      { 'content-type': 'application/json', 'content-encoding': 'gzip' },
      { 'content-type': 'application/json', 'content-encoding': 'identity' },
    ]
    for (const headers of wrong) {
      const answer = await attack({ ...good, headers: { ...bare, ...headers }, body: '{}' })
      assertProblem(answer, 'request.unsupported_media_type', id, `${id} ${JSON.stringify(headers)}`)
    }
  }
})

test('a body that is too large is refused by what is announced, and by what comes', async () => {
  for (const id of reading) {
    const good = goodRequest(id, own, instance.token)
    const limit = routeOf(id).maxBodyBytes ?? defaultMaxBodyBytes
    const head = `${good.method} ${good.path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${instance.token}\r\nContent-Type: application/json\r\n`
    const [announced] = await exchange(instance.url, `${head}Content-Length: ${limit + 1}\r\n\r\n`)
    assertProblem(announced as WireAnswer, 'request.too_large', id, id)
    if (limit > defaultMaxBodyBytes && id !== 'keys.sign') continue
    const chunk = ' '.repeat(limit + 1)
    const [sent] = await exchange(
      instance.url,
      `${head}Transfer-Encoding: chunked\r\n\r\n${chunk.length.toString(16)}\r\n${chunk}\r\n0\r\n\r\n`,
    )
    assertProblem(sent as WireAnswer, 'request.too_large', id, `${id} in chunks`)
  }
})

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

test('after ten failed authentications in a second an address waits, and neither others nor known API keys do', async () => {
  await pause(1_100)
  const from = nextAddress()
  const good = goodRequest('keys.get', own, instance.token)
  assert.equal((await attack({ ...good, from })).status, 200)
  const forged = await Promise.all(Array.from({ length: 40 }, () => forgedToken()))
  const answers = await Promise.all(forged.map((token) => attack({ ...goodRequest('keys.get', own, token), from })))
  const refused = answers.filter((answer) => answer.status === 401)
  const limited = answers.filter((answer) => answer.status === 429)
  assert.equal(refused.length + limited.length, 40)
  assert.ok(refused.length >= 10 && refused.length <= 20, `${refused.length} of 40 were looked at`)
  for (const answer of limited) assertProblem(answer, 'auth.too_many_failures', 'keys.get', 'keys.get')
  for (const answer of refused) assertProblem(answer, 'auth.invalid', 'keys.get', 'keys.get')
  // Behind a proxy all callers have one address: whoever guesses there must not shut out those who are known.
  assert.equal((await attack({ ...good, from })).status, 200)
  if (manyAddresses)
    assertProblem(
      await attack({ ...goodRequest('keys.get', own, forged[0] as string), from: nextAddress() }),
      'auth.invalid',
      'keys.get',
      'elsewhere',
    )
  await pause(1_200)
  assertProblem(
    await attack({ ...goodRequest('keys.get', own, forged[0] as string), from }),
    'auth.invalid',
    'keys.get',
    'later',
  )
})

test('nothing failed inside, and no answer and no line of the log has a token in it', async () => {
  const lines = instance
    .output()
    .split('\n')
    .filter((line) => line.startsWith('{'))
  assert.ok(lines.length > 0)
  assert.deepEqual(
    lines.filter((line) => /"level":"(error|fatal)"/.test(line)),
    [],
  )
  const written = [...lines, ...logFiles(join(instance.directory, 'logs'))].join('\n')
  const answered = received.join('\n')
  assert.ok(!/psk_live_[0-9a-z]{30}/.test(written), 'the log has a token')
  assert.ok(!/psk_live_[0-9a-z]{30}/.test(answered), 'an answer has a token')
  for (const token of tokens) {
    const secret = parseToken(token)?.secret as Uint8Array
    for (const encoding of ['hex', 'base64', 'base64url'] as const) {
      const text = Buffer.from(secret).toString(encoding)
      assert.ok(
        !written.includes(text) && !answered.includes(text),
        `the secret of a token stands somewhere in ${encoding}`,
      )
    }
  }
  // The one that the start shows stands in its output once.
  assert.equal(instance.output().split(instance.token).length, 2)
})

function logFiles(directory: string): string[] {
  if (!statSync(directory, { throwIfNoEntry: false })?.isDirectory()) return []
  return readdirSync(directory).map((name) => readFileSync(join(directory, name), 'utf8'))
}

/** What of an answer must not tell two cases apart: all of it but its id and the time. */
function comparable({ status, headers, body }: WireAnswer): string {
  const { date: _, 'x-request-id': __, ...rest } = headers
  return JSON.stringify({ status, headers: rest, body: { ...body, request_id: '' } })
}
