import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { after, before, beforeEach, test } from 'node:test'
import pg from 'pg'
import { migrate } from '../database/migrate.ts'
import type { RunningDatabase } from '../supervise/postgres.ts'
import { startTestDatabase } from '../supervise/test-database.ts'
import { type Authorization, type AuthorizeItem, createAuthorizer, isSameMonth } from './authorizer.ts'

let database: RunningDatabase
let pool: pg.Pool
let organization: string

before(async () => {
  database = await startTestDatabase()
  const { socketDirectory: host, port, user, database: name, password } = database
  pool = new pg.Pool({ host, port, user, database: name, password, max: 4, options: '-c lock_timeout=250' })
  const client = new pg.Client({ host, port, user, database: name, password })
  await client.connect()
  await migrate(client)
  await client.end()
})

after(async () => {
  await pool?.end()
  await database?.stop()
})

beforeEach(async () => {
  organization = randomUUID()
  await pool.query('insert into organization_locks values ($1)', [organization])
})

function item(fields: Partial<AuthorizeItem> = {}): AuthorizeItem {
  return {
    organization,
    epoch: 0,
    record: randomBytes(16),
    stamp: Date.now(),
    leaf: Buffer.from(`{"id":"${randomUUID()}"}`),
    texts: Buffer.of(0),
    charge: 1,
    limit: null,
    claim: null,
    body: null,
    ...fields,
  }
}

/** Submits together, so that they share a transaction. */
function submit(items: readonly AuthorizeItem[]): Promise<Authorization[]> {
  const authorizer = createAuthorizer({ pool, flights: 2, onAppended: () => {} })
  return Promise.all(items.map((one) => authorizer.submit(one)))
}

const indexes = (answers: readonly Authorization[]): (number | string)[] =>
  answers.map((answer) => (answer.status === 'authorized' ? answer.index : answer.status))

async function head(): Promise<{ tree_size: string; used: string; leaves: Buffer; period: string }> {
  const { rows } = await pool.query(
    'select tree_size, used, leaves, period::text from batches where organization_id = $1 order by tree_size desc limit 1',
    [organization],
  )
  return rows[0]
}

test('a claim that exists stops none of its neighbours, and their leaves are the ones appended', async () => {
  const claim = randomUUID()
  const body = randomUUID()
  assert.deepEqual(indexes(await submit([item({ claim, body })])), [0])
  const fresh = [item({ claim: randomUUID(), body }), item({ claim: randomUUID(), body })] as const
  const answers = await submit([
    fresh[0],
    item({ claim, body }),
    item({ claim, body: randomUUID() }),
    fresh[1],
    item({ leaf: Buffer.from('{"no":"claim"}') }),
  ])
  assert.deepEqual(indexes(answers), [1, 'replayed', 'replayed', 2, 3])
  const [, same, other] = answers
  assert.deepEqual(same, { status: 'replayed', index: 0, sameBody: true, epoch: 0 })
  assert.deepEqual(other, { status: 'replayed', index: 0, sameBody: false, epoch: 0 })
  const { tree_size, used, leaves } = await head()
  assert.deepEqual([tree_size, used], ['4', '4'])
  const expected = [fresh[0].leaf, fresh[1].leaf, Buffer.from('{"no":"claim"}')].flatMap((leaf) => [
    Buffer.from([leaf.length >> 8, leaf.length]),
    leaf,
  ])
  assert.deepEqual(leaves, Buffer.concat(expected as Buffer[]))
})

test('a claim twice in one transaction is one record', async () => {
  const claim = randomUUID()
  const body = randomUUID()
  const answers = await submit([item({ claim, body }), item({ claim, body })])
  assert.deepEqual(indexes(answers), [0, 'replayed'])
})

test('a claim of more than 24 hours ago is free again', async () => {
  const claim = randomUUID()
  const body = randomUUID()
  await submit([item({ claim, body })])
  await pool.query("update idempotency set time = time - interval '25 hours' where organization_id = $1", [
    organization,
  ])
  assert.deepEqual(indexes(await submit([item({ claim, body: randomUUID() })])), [1])
})

test('a quota is taken in the order of the items, and a claim that got nothing is not taken', async () => {
  const claim = randomUUID()
  const body = randomUUID()
  const limited = [item({ limit: 2 }), item({ limit: 2 }), item({ limit: 2, claim, body }), item({ charge: 0 })]
  assert.deepEqual(indexes(await submit(limited)), [0, 1, 'quota', 2])
  assert.equal((await head()).used, '2')
  assert.deepEqual(indexes(await submit([item({ charge: -1 })])), [3])
  assert.deepEqual(indexes(await submit([item({ limit: 2, claim, body })])), [4])
})

test('a claim is let go of with the record that its own came to nothing', async () => {
  const claim = randomUUID()
  const body = randomUUID()
  await submit([item({ claim, body })])
  await submit([item({ charge: -1, release: claim })])
  assert.deepEqual(indexes(await submit([item({ claim, body })])), [2])
})

test('a claim is not let go of by what is not written itself', async () => {
  const claim = randomUUID()
  const body = randomUUID()
  await submit([item({ claim, body })])
  assert.deepEqual(indexes(await submit([item({ epoch: 7, charge: -1, release: claim })])), ['epoch'])
  assert.deepEqual(indexes(await submit([item({ claim, body })])), ['replayed'])
})

test('an item decided under another epoch writes nothing', async () => {
  assert.deepEqual(await submit([item({ epoch: 7 })]), [{ status: 'epoch', epoch: 0 }])
  assert.equal(await head(), undefined)
})

test('organizations in one transaction have each their own answer', async () => {
  const other = randomUUID()
  await pool.query('insert into organization_locks values ($1)', [other])
  const claim = randomUUID()
  const body = randomUUID()
  await submit([item({ claim, body })])
  const answers = await submit([
    item({ claim, body }),
    item({ organization: other }),
    item({ organization: other, epoch: 3 }),
    item(),
  ])
  assert.deepEqual(indexes(answers), ['replayed', 0, 'epoch', 1])
})

test('a month that has begun counts by itself, and one that is over takes nothing more', async () => {
  await submit([item({ limit: 5 }), item({ limit: 5 })])
  // As if that had been last month, and then as if the next had begun.
  await pool.query("update batches set period = period - interval '1 month' where organization_id = $1", [organization])
  await submit([item({ limit: 5 })])
  assert.equal((await head()).used, '1')
  await pool.query("update batches set period = period + interval '2 months' where organization_id = $1", [
    organization,
  ])
  assert.deepEqual(indexes(await submit([item({ limit: 5 })])), ['epoch'])
  assert.equal((await head()).tree_size, '3')
})

test('a time far from the database’s writes nothing', async () => {
  assert.deepEqual(indexes(await submit([item({ stamp: Date.now() - 10_000 })])), ['skewed'])
})

test('months are those of UTC', () => {
  const at = Date.parse('2026-11-30T23:59:59.999Z')
  assert.equal(isSameMonth(at, at + 1), false)
  assert.equal(isSameMonth(at, at - 29 * 86_400_000), true)
  assert.equal(isSameMonth(at, Date.parse('2025-11-30T23:59:59.999Z')), false)
})
