import assert from 'node:assert/strict'
import { test } from 'node:test'
import { routeIds, routeOf } from '@popsigner/api/routes'
import { allScopes } from '@popsigner/api/scopes'
import {
  attack,
  attackWithout,
  comparable,
  foreign,
  instance,
  make,
  makeApiKey,
  own,
  rowOf,
  scoped,
  testNothingLeaked,
  tokens,
} from './attack/scene.ts'
import { bearer, forgedToken, goodRequest, pathOf, targets, unknownThings } from './attack/targets.ts'
import { pause } from './instance.ts'
import { assertProblem } from './refusals.ts'
import { exchange, manyAddresses, nextAddress, type WireAnswer } from './wire.ts'

// Every route, attacked from one table: whose credentials open which route, and whose ids it finds.
// Whatever comes is answered with a problem of that table: never with 500, never with a word of another
// organization, never with a secret.

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

testNothingLeaked()
