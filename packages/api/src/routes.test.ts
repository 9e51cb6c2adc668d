import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import { readInput } from './read.ts'
import { problemsOf, routeIds, routeOf, routes } from './routes.ts'
import { allScopes, isScope } from './scopes.ts'

test('the routes are these; one more or one less is a change of the contract', () => {
  assert.deepEqual(
    routeIds.map(
      (id) => `${id} ${routeOf(id).method} ${routeOf(id).path} ${routeOf(id).scope ?? '-'} ${routeOf(id).status}`,
    ),
    [
      'keys.create POST /v1/keys api:keys:write 201',
      'keys.list GET /v1/keys api:keys:read 200',
      'keys.get GET /v1/keys/{id} api:keys:read 200',
      'keys.update PATCH /v1/keys/{id} api:keys:write 200',
      'keys.delete DELETE /v1/keys/{id} api:keys:write 202',
      'keys.cancelDeletion POST /v1/keys/{id}/cancel-deletion api:keys:write 200',
      'keys.history GET /v1/keys/{id}/history api:keys:read 200',
      'keys.createBatch POST /v1/keys/batch api:keys:write 201',
      'keys.rotate POST /v1/keys/{id}/rotate api:keys:write 200',
      'keys.sign POST /v1/keys/{id}/sign api:keys:sign 200',
      'sign.batch POST /v1/sign/batch api:keys:sign 200',
      'keys.verify POST /v1/keys/{id}/verify api:keys:read 200',
      'signatures.aggregate POST /v1/signatures/aggregate api:keys:read 200',
      'signatures.verifyAggregate POST /v1/signatures/verify-aggregate api:keys:read 200',
      'transactions.decode POST /v1/transactions/decode api:keys:read 200',
      'keys.signTransaction POST /v1/keys/{id}/sign-transaction api:keys:sign 200',
      'transactions.signBatch POST /v1/sign-transaction/batch api:keys:sign 200',
      'keys.signMessage POST /v1/keys/{id}/sign-message api:keys:sign 200',
      'keys.addresses GET /v1/keys/{id}/addresses api:keys:read 200',
      'keys.createWrappingKey POST /v1/keys/import/wrapping-key api:keys:write 201',
      'keys.import POST /v1/keys/import api:keys:write 201',
      'keys.export POST /v1/keys/{id}/export api:keys:export 200',
      'namespaces.create POST /v1/namespaces api:namespaces:write 201',
      'namespaces.list GET /v1/namespaces api:keys:read 200',
      'namespaces.delete DELETE /v1/namespaces/{id} api:namespaces:write 204',
      'apiKeys.create POST /v1/api-keys api:access:write 201',
      'apiKeys.list GET /v1/api-keys api:access:read 200',
      'apiKeys.delete DELETE /v1/api-keys/{id} api:access:write 204',
      'apiKeys.rotate POST /v1/api-keys/{id}/rotate api:access:write 200',
      'audit.list GET /v1/audit/logs api:audit:read 200',
      'audit.get GET /v1/audit/logs/{id} api:audit:read 200',
      'audit.receipt GET /v1/audit/logs/{id}/receipt api:audit:read 200',
      'audit.checkpoint GET /v1/audit/checkpoint api:audit:read 200',
      'audit.consistency GET /v1/audit/consistency api:audit:read 200',
      'audit.logKey GET /v1/audit/log-key api:audit:read 200',
      'signer.get GET /v1/signer api:keys:read 200',
      'system.health GET /healthz - 200',
      'system.ready GET /readyz - 200',
      'system.openapi GET /openapi.json - 200',
      'system.docs GET /docs - 200',
      'system.docsErrors GET /docs/errors - 200',
    ],
  )
})

for (const id of routeIds) {
  const route = routeOf(id)

  test(`${id}: its example is accepted by its own schemas`, () => {
    const given = { params: route.example.params, query: route.example.query, body: route.example.request }
    for (const part of ['params', 'query', 'body'] as const) {
      const schema = route[part]
      if (schema === undefined) assert.equal(given[part], undefined, `${part} of an example without a schema`)
      else
        assert.deepEqual(
          readInput(schema, given[part] ?? {}).ok,
          true,
          JSON.stringify(readInput(schema, given[part] ?? {})),
        )
    }
    if (route.response === null) assert.equal(route.example.response, null)
    else assert.deepEqual(route.response.parse(route.example.response), route.example.response)
  })

  test(`${id}: a field that is not in a schema is refused, in requests and in answers`, () => {
    for (const part of ['params', 'query', 'body'] as const) {
      const schema = route[part]
      if (schema === undefined) continue
      const given = part === 'body' ? route.example.request : route.example[part]
      const read = readInput(schema, { ...(given as object | undefined), no_such_field: 1 })
      assert.ok(!read.ok)
      assert.deepEqual(read.errors, [{ field: 'no_such_field', message: 'is not a known field' }])
    }
    if (route.response === null || typeof route.example.response !== 'object' || id === 'system.openapi') return
    assert.equal(route.response.safeParse({ ...route.example.response, no_such_field: 1 }).success, false)
  })

  test(`${id}: path and params, method and body, scope and errors agree`, () => {
    const inPath = [...route.path.matchAll(/\{(\w+)\}/g)].map((match) => match[1])
    const inParams = route.params === undefined ? [] : Object.keys((route.params as z.ZodObject).shape)
    assert.deepEqual(inParams, inPath)
    if (route.body !== undefined) assert.notEqual(route.method, 'GET')
    if (route.scope !== null) assert.ok(isScope(route.scope))
    assert.equal(route.scope === null, !route.path.startsWith('/v1/'))
    assert.equal(route.status === 204, route.response === null)
    assert.match(route.summary, /^[A-Z].*[^.]$/)
    assert.match(route.description, /^\S.*\.$/s)
    if (inPath.length > 0)
      assert.ok(
        problemsOf(route).some((code) => code.endsWith('.not_found')),
        'an id can be unknown',
      )
    assert.equal(new Set(problemsOf(route)).size, problemsOf(route).length)
  })
}

test('what creates or signs takes an Idempotency-Key', () => {
  const without = routeIds.filter((id) => routeOf(id).method === 'POST' && !routeOf(id).idempotent)
  assert.deepEqual(without, [
    'keys.cancelDeletion',
    'keys.verify',
    'signatures.aggregate',
    'signatures.verifyAggregate',
    'transactions.decode',
  ])
  for (const id of routeIds) if (routeOf(id).idempotent) assert.equal(routeOf(id).method, 'POST')
})

test('every scope but those of billing is needed by a route', () => {
  const needed = new Set(routeIds.map((id) => routeOf(id).scope))
  assert.deepEqual(
    allScopes.filter((scope) => !needed.has(scope)),
    ['api:billing:read', 'api:billing:write'],
  )
})

test('no two rows stand at one method and path', () => {
  const places = routeIds.map((id) => `${routeOf(id).method} ${routeOf(id).path.replace(/\{\w+\}/g, '{}')}`)
  assert.equal(new Set(places).size, places.length)
})

test('every field of a request says what it is', () => {
  const bare: string[] = []
  for (const id of routeIds) {
    for (const part of ['query', 'body'] as const) {
      const schema = routes[id] as Partial<Record<typeof part, z.ZodType>>
      if (schema[part] !== undefined) findBare(`${id} ${part}`, schema[part], bare)
    }
  }
  assert.deepEqual(bare, [])
})

function findBare(place: string, schema: z.ZodType, bare: string[]): void {
  if (schema instanceof z.ZodUnion) for (const option of schema.options) findBare(place, option as z.ZodType, bare)
  if (!(schema instanceof z.ZodObject)) return
  for (const [name, field] of Object.entries(schema.shape as Record<string, z.ZodType>)) {
    let inner = field
    let described = inner.description !== undefined
    while (!described && 'unwrap' in inner) {
      inner = (inner as z.ZodOptional<z.ZodType>).unwrap()
      described = inner.description !== undefined
    }
    if (!described) bare.push(`${place}: ${name}`)
  }
}
