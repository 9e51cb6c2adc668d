import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { decodeTypeId, uuidText } from '@popsigner/crypto/typeid'
import type pg from 'pg'
import { makeKey, makeTenant, type Tenant } from './crash/tenant.ts'
import { readHead } from './crash/whole-log.ts'
import { type Answer, pause, startInstance, type TestInstance } from './instance.ts'

// One organization's trouble is its own, and one item's is its own; limits are exact while many take from them at once.

let instance: TestInstance
let database: pg.Client
before(async () => {
  instance = await startInstance()
  database = await instance.database()
})
after(async () => {
  await database?.end()
  await instance.remove()
})

const uuidOf = (organization: string) => uuidText(decodeTypeId(organization, 'org') as Uint8Array)
const data = () => ({ data: Buffer.from(randomUUID()).toString('base64') })

test('an organization whose row is held for 3 s delays no other, and is answered busy itself', async (t) => {
  const held = await makeTenant(instance, 'held')
  const [key, heldKey] = await Promise.all([makeKey(instance, 'free-to-go'), makeKey(held, 'waiting')])
  await instance.call('POST', `/v1/keys/${key.id}/sign`, data())
  await held.call('POST', `/v1/keys/${heldKey.id}/sign`, data())

  await database.query('begin')
  await database.query('select 1 from organization_locks where organization_id = $1 for update', [
    uuidOf(held.organization),
  ])
  const until = Date.now() + 3_000
  let waits: number[] = []
  const others: Answer[] = []
  const busy: Answer[] = []
  async function again(into: Answer[], times: number[] | null, ask: (i: number) => Promise<Answer>): Promise<void> {
    for (let i = 0; Date.now() < until; i++) {
      const began = performance.now()
      into.push(await ask(i))
      times?.push(performance.now() - began)
      if (times) await pause(5)
    }
  }
  const lanes = <T>(n: number, lane: (n: number) => Promise<T>) => Array.from({ length: n }, (_, i) => lane(i))
  await Promise.all([
    // Everything that takes the lock: signatures, which share transactions, and changes, which have one each.
    ...lanes(20, () => again(busy, null, () => held.call('POST', `/v1/keys/${heldKey.id}/sign`, data()))),
    ...lanes(120, () =>
      again(busy, null, () => held.call('POST', '/v1/keys', { name: `n-${randomUUID()}`, namespace: 'production' })),
    ),
    pause(300).then(() =>
      Promise.all([
        ...lanes(4, () => again(others, waits, () => instance.call('POST', `/v1/keys/${key.id}/sign`, data()))),
        ...lanes(2, () => again(others, waits, () => instance.call('GET', `/v1/keys/${key.id}`))),
        ...lanes(2, () =>
          again(others, waits, () =>
            instance.call('POST', '/v1/keys', { name: `n-${randomUUID()}`, namespace: 'production' }),
          ),
        ),
      ]),
    ),
  ])
  await database.query('rollback')
  waits = waits.sort((a, b) => a - b)
  const [median, longest] = [waits[waits.length >> 1] as number, waits.at(-1) as number]
  t.diagnostic(
    `${waits.length} requests of another organization: median ${Math.round(median)} ms, longest ${Math.round(longest)} ms; ${busy.length} refusals`,
  )
  assert.deepEqual(
    [...new Set(others.map((a) => a.status))].sort((a, b) => a - b),
    [200, 201],
  )
  for (const answer of busy) {
    assert.equal(answer.status, 503, JSON.stringify(answer.body))
    assert.equal(answer.body.code, 'organization.busy')
    assert.ok(answer.headers.get('retry-after'))
  }
  assert.ok(
    longest < 1_500 && median < 500,
    `another organization waited ${Math.round(longest)} ms, ${Math.round(median)} ms at the median`,
  )
  assert.equal((await held.call('POST', `/v1/keys/${heldKey.id}/sign`, data())).status, 200)
})

test('items that fail never fail their neighbours, and a repeat makes anew only what was refused', async () => {
  const [good, suspended] = await Promise.all([makeKey(instance, 'good'), makeKey(instance, 'soon-suspended')])
  const suspend = (state: string) =>
    instance.call('PATCH', `/v1/keys/${suspended.id}`, { state }, { headers: { 'if-match': '*' } })
  assert.equal((await suspend('suspended')).status, 200)
  const body = {
    requests: [
      { key_id: good.id, ...data() },
      { key_id: suspended.id, ...data() },
      { key_id: 'key_01h455vb4pex5vsknk084sn02q', ...data() },
      { key_id: good.id, data: 'YWJj', prehashed: true },
      { key_id: good.id, ...data(), key_version: 7 },
      { key_id: good.id, ...data() },
    ],
  }
  const headers = { 'idempotency-key': randomUUID() }
  const first = await instance.call('POST', '/v1/sign/batch', body, { headers })
  assert.equal(first.status, 200)
  const codes = (answer: Answer) =>
    answer.body.signatures.map((s: { error?: { code: string } }) => s.error?.code ?? 'signed')
  assert.deepEqual(codes(first), [
    'signed',
    'key.state_forbids',
    'key.not_found',
    'sign.digest_length',
    'key.version_not_found',
    'signed',
  ])
  assert.equal((await suspend('active')).status, 200)
  const second = await instance.call('POST', '/v1/sign/batch', body, { headers })
  assert.deepEqual(codes(second), [
    'signed',
    'signed',
    'key.not_found',
    'sign.digest_length',
    'key.version_not_found',
    'signed',
  ])
  for (const i of [0, 5]) assert.deepEqual(second.body.signatures[i], first.body.signatures[i])
})

test('the quota of signatures is exact under concurrency and taken in the order of the items', async () => {
  const free = await makeTenant(instance, 'quota', 'free')
  const key = await makeKey(free, 'one')
  const left = async (n: number) => {
    await database.query('begin')
    await database.query('select 1 from organization_locks where organization_id = $1 for update', [
      uuidOf(free.organization),
    ])
    await database.query(
      'update batches set used = $2 where organization_id = $1 and tree_size = (select max(tree_size) from batches where organization_id = $1)',
      [uuidOf(free.organization), 10_000 - n],
    )
    await database.query('commit')
  }
  const batch = (n: number) =>
    free.call('POST', '/v1/sign/batch', { requests: Array.from({ length: n }, () => ({ key_id: key.id, ...data() })) })

  await left(3)
  const { body } = await batch(8)
  assert.deepEqual(
    body.signatures.map((s: { error?: { code: string } }) => s.error?.code ?? 'signed'),
    [...Array(3).fill('signed'), ...Array(5).fill('quota.signatures_exceeded')],
  )

  // Denials and uses are records too and travel in the same transactions: they must not loosen the limit.
  await left(40)
  let signed = 0
  const until = Date.now() + 5_000
  await Promise.all(
    Array.from({ length: 12 }, async () => {
      while (Date.now() < until) {
        const answer = await batch(7)
        if (answer.status === 429) await pause(50)
        else signed += answer.body.signatures.filter((s: { error?: unknown }) => !s.error).length
      }
    }),
  )
  assert.equal(signed, 40)
  assert.equal((await readHead(database, free.organization)).used, 10_000)
  await pause(1_100)
  const over = await free.call('POST', `/v1/keys/${key.id}/sign`, data())
  assert.equal(over.body.code, 'quota.signatures_exceeded')
})

test('the quota of keys is exact under concurrent creations, and a batch is all or nothing', async () => {
  const free: Tenant = await makeTenant(instance, 'three-keys', 'free')
  const few = await free.call('POST', '/v1/keys/batch', { prefix: 'k', count: 4, namespace: 'production' })
  assert.equal(few.body.code, 'quota.keys_exceeded')
  const made = await Promise.all(
    Array.from({ length: 16 }, () =>
      free.call('POST', '/v1/keys', { name: `k-${randomUUID()}`, namespace: 'production' }),
    ),
  )
  assert.equal(made.filter((a) => a.status === 201).length, 3)
  for (const answer of made.filter((a) => a.status !== 201)) assert.equal(answer.body.code, 'quota.keys_exceeded')
  assert.equal((await free.call('GET', '/v1/keys')).body.keys.length, 3)
  assert.equal((await readHead(database, free.organization)).keys, 3)
})
