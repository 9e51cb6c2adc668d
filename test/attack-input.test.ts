import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaultMaxBodyBytes } from '@popsigner/api/route'
import { routeIds, routeOf } from '@popsigner/api/routes'
import { malformedBodies, unknownFields, wrongTypes } from './attack/mutations.ts'
import { attack, instance, own, reading, rowOf, scoped, testNothingLeaked, withBody } from './attack/scene.ts'
import { goodRequest } from './attack/targets.ts'
import { assertBlames, assertProblem } from './refusals.ts'
import { exchange, type WireAnswer } from './wire.ts'

// Every route, attacked from one table: what bodies and queries may not be.
// Whatever comes is answered with a problem of that table: never with 500, never with a word of another
// organization, never with a secret.

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
  const lookups = ['requests[0].key_id', 'key_id', 'wrapping_key_id']
  const texts = ['requests[0].data', 'messages[0].data', 'data', 'requests[0].transaction', 'transaction', 'message']
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
      'keys.signMessage: message = -1',
      'keys.signMessage: message = 0.5',
      'keys.signMessage: message = 9007199254740991',
      'keys.signMessage: message = []',
      'keys.signMessage: message = [null]',
      'keys.signMessage: message = null',
      'keys.signMessage: message = true',
      'keys.signMessage: message = {"a":1}',
      'keys.signMessage: message = {}',
      'keys.signTransaction: transaction = {"a":1}',
      'keys.signTransaction: transaction = {}',
      'keys.update: metadata.no_such_field = unknown field',
      'keys.update: rotate_every_days = null',
      'transactions.decode: transaction = {"a":1}',
      'transactions.decode: transaction = {}',
      'transactions.signBatch: requests[0].transaction = {"a":1}',
      'transactions.signBatch: requests[0].transaction = {}',
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

testNothingLeaked()
