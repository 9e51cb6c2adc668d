import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ProblemCode } from '@popsigner/api/problems'
import { ask, eventually, inMinutes, made, name, newApiKey, newKey, refused, sign } from './asked.ts'
import { pause } from './instance.ts'

// What one caller, one namespace, one moment may not do to another, through the whole instance.

test('an API key makes and rotates only what lies within itself', async () => {
  const scopes = ['api:access:write', 'api:access:read', 'api:keys:read', 'api:keys:sign']
  const limited = await newApiKey({ scopes, namespaces: ['staging'], expires_at: inMinutes(60) })
  const within = { scopes: ['api:keys:read'], namespaces: ['staging'], expires_at: inMinutes(30) }
  const create = (terms: object, code: ProblemCode) =>
    refused(code, 'POST', '/v1/api-keys', { name: name(), ...within, ...terms }, limited.token)
  await create({ scopes: ['api:keys:read', 'api:keys:export'] }, 'scope.exceeds_caller')
  await create({ scopes: ['api:billing:read'] }, 'scope.exceeds_caller')
  await create({ namespaces: null }, 'scope.exceeds_caller')
  await create({ namespaces: ['production'] }, 'namespace.not_found')
  await create({ namespaces: ['staging', 'production'] }, 'namespace.not_found')
  await create({ expires_at: null }, 'scope.exceeds_caller')
  await create({ expires_at: inMinutes(61) }, 'scope.exceeds_caller')
  await create({ expires_at: '2026-01-01T00:00:00Z' }, 'request.invalid')
  const child = await newApiKey(within, limited.token)

  const rotate = (id: string, body: object, code: ProblemCode) =>
    refused(code, 'POST', `/v1/api-keys/${id}/rotate`, body, limited.token)
  for (const terms of [
    { scopes: ['api:keys:export'], namespaces: ['staging'], expires_at: inMinutes(5) },
    { ...within, namespaces: null },
    { ...within, namespaces: ['production'] },
    { ...within, expires_at: null },
    { ...within, expires_at: inMinutes(90) },
  ]) {
    const wider = await newApiKey(terms)
    await rotate(wider.id, {}, 'scope.exceeds_caller')
    // The token before it was not touched.
    assert.notEqual((await ask('GET', '/v1/keys', undefined, wider.token)).status, 401)
  }
  await rotate(child.id, { expires_at: null }, 'scope.exceeds_caller')
  await rotate(child.id, { expires_at: inMinutes(61) }, 'scope.exceeds_caller')
  await rotate(limited.id, { expires_at: inMinutes(61) }, 'scope.exceeds_caller')
  const again = await made('POST', `/v1/api-keys/${child.id}/rotate`, { grace_seconds: 1 }, limited.token)
  assert.deepEqual([again.id, again.scopes, again.namespaces], [child.id, within.scopes, within.namespaces])
  for (const token of [child.token, again.token])
    assert.equal((await ask('GET', '/v1/keys', undefined, token)).status, 200)
  await pause(1_300)
  assert.equal((await ask('GET', '/v1/keys', undefined, child.token)).status, 401)
  assert.equal((await ask('GET', '/v1/keys', undefined, again.token)).status, 200)
})

test('a namespace of the same name is another namespace', async () => {
  const first = await made('POST', '/v1/namespaces', { name: 'reused' })
  const bound = await newApiKey({
    scopes: ['api:keys:read', 'api:keys:sign', 'api:keys:write'],
    namespaces: ['reused'],
  })
  const old = await newKey({ namespace: 'reused' })
  await refused('namespace.not_empty', 'DELETE', `/v1/namespaces/${first.id}`)
  await made('DELETE', `/v1/keys/${old.id}?waiting_days=0`)
  await eventually(async () => (await made('GET', `/v1/keys/${old.id}`)).state === 'destroyed')
  assert.equal((await ask('DELETE', `/v1/namespaces/${first.id}`)).status, 204)
  assert.notEqual((await made('POST', '/v1/namespaces', { name: 'reused' })).id, first.id)
  const key = await newKey({ namespace: 'reused' })
  for (const [method, path, body] of [
    ['GET', `/v1/keys/${key.id}`],
    ['POST', `/v1/keys/${key.id}/sign`, { data: '' }],
  ] as const)
    await refused('key.not_found', method, path, body, bound.token)
  await refused('namespace.not_found', 'POST', '/v1/keys', { name: name(), namespace: 'reused' }, bound.token)
  assert.deepEqual((await made('GET', '/v1/namespaces', undefined, bound.token)).namespaces, [])
  assert.deepEqual(
    (await made('GET', '/v1/keys', undefined, bound.token)).keys.map((one: { id: string }) => one.id),
    [old.id],
  )
})

test('making a suspended key active needs more than writing keys', async () => {
  const key = await newKey()
  const writer = await newApiKey({ scopes: ['api:keys:write', 'api:keys:read'] })
  assert.equal((await made('PATCH', `/v1/keys/${key.id}`, { state: 'suspended' }, writer.token)).state, 'suspended')
  await refused('scope.missing', 'PATCH', `/v1/keys/${key.id}`, { state: 'active' }, writer.token)
  await refused('key.state_forbids', 'POST', `/v1/keys/${key.id}/rotate`, {}, writer.token)
  assert.equal((await made('GET', `/v1/keys/${key.id}`)).state, 'suspended')
  assert.equal((await made('PATCH', `/v1/keys/${key.id}`, { state: 'active' })).state, 'active')
})

test('once a suspension or a revocation is answered, nothing is signed, whatever was under way', async () => {
  for (const end of ['suspend', 'revoke'] as const) {
    const key = await newKey()
    const { id, token } = await newApiKey({ scopes: ['api:keys:sign'] })
    let stopped = false
    const load = Array.from({ length: 16 }, async () => {
      while (!stopped) await sign(key.id, {}, token)
    })
    await pause(150)
    if (end === 'suspend') await made('PATCH', `/v1/keys/${key.id}`, { state: 'suspended' })
    else assert.equal((await ask('DELETE', `/v1/api-keys/${id}`)).status, 204)
    const late = await Promise.all(Array.from({ length: 32 }, () => sign(key.id, {}, token)))
    stopped = true
    await Promise.all(load)
    const expected = end === 'suspend' ? ['key.state_forbids'] : ['auth.invalid', 'auth.too_many_failures']
    for (const answer of late)
      assert.ok(expected.includes(answer.body.code), `${end}: ${answer.status} ${JSON.stringify(answer.body)}`)
  }
  await pause(1_100)
})
