import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { openWholeLog } from './crash/whole-log.ts'
import { type Answer, pause, startInstance, type TestInstance } from './instance.ts'

// A narrowing that is in the signer's ledger and whose transaction did not commit: the key signs again by itself, as narrow
// as the ledger has it, and the log says so.

let instance: TestInstance
before(async () => {
  instance = await startInstance()
})
after(() => instance.remove())

const narrower = (id: string): Promise<Answer> =>
  instance.call('PATCH', `/v1/keys/${id}`, { uses: ['raw'] }, { headers: { 'if-match': '*' } })

/** A key of two active versions. */
async function makeKey(name: string): Promise<string> {
  const { body } = await instance.call('POST', '/v1/keys', { name, namespace: 'production' })
  assert.equal((await instance.call('POST', `/v1/keys/${body.id}/rotate`, { keep_active: true })).status, 200)
  return body.id
}

/** Signs with both versions until neither is refused for the time being: what the answers were. */
async function signSoon(id: string): Promise<string[]> {
  const seen = new Set<string>()
  const until = Date.now() + 20_000
  for (;;) {
    const answers = await Promise.all(
      [1, 2].map((version) =>
        instance
          .call('POST', `/v1/keys/${id}/sign`, { data: '00', encoding: 'hex', key_version: version })
          .catch(() => ({ status: 503, body: { code: 'no answer' } })),
      ),
    )
    if (answers.every(({ status }) => status === 200)) return [...seen]
    for (const { status, body } of answers) {
      if (status === 200) continue
      assert.equal(status, 503, JSON.stringify(body))
      seen.add(body.code)
    }
    assert.ok(Date.now() < until, `the key signs no more: ${[...seen]}`)
    await pause(50)
  }
}

/** What must be true of a key whose narrowing was finished by itself. */
async function isNarrow(id: string): Promise<void> {
  const { body: key } = await instance.call('GET', `/v1/keys/${id}`)
  assert.deepEqual(key.uses, ['raw'])
  const digest = await instance.call('POST', `/v1/keys/${id}/sign`, {
    ...{ data: '00'.repeat(32), encoding: 'hex', prehashed: true },
  })
  assert.equal(digest.body.code, 'key.use_not_allowed')
  const { body: history } = await instance.call('GET', `/v1/keys/${id}/history`)
  const [last] = history.history
  assert.deepEqual([last.event, last.actor, last.uses], ['key.updated', 'system', ['raw']])
  const log = await openWholeLog(instance)
  let leaves: typeof log.leaves = []
  // Read up to the checkpoint, which comes within a second.
  for (let turn = 0; turn < 40 && leaves.length === 0; turn++) {
    await pause(100)
    await log.read()
    leaves = log.leaves.filter((leaf) => leaf.event === 'key.updated' && leaf.key === id)
  }
  assert.deepEqual(
    leaves.map((leaf) => leaf.event === 'key.updated' && [leaf.actor, leaf.change, leaf.uses, leaf.schemes]),
    [['system', ['schemes', 'uses'], ['raw'], ['ecdsa']]],
  )
  const database = await instance.database()
  const { rows } = await database.query('select 1 from narrowings')
  await database.end()
  assert.equal(rows.length, 0, 'the intention was left behind')
}

/** Lets `body` run in front of every change of a key's envelope. */
async function beforeEnvelopes(body: string): Promise<{ remove(): Promise<void> }> {
  const database = await instance.database()
  await database.query(
    `create function held() returns trigger language plpgsql as $$ begin ${body}; return new; end $$`,
  )
  await database.query('create trigger held before update on key_parts for each row execute function held()')
  return {
    async remove() {
      await database.query(
        `select pg_terminate_backend(pid) from pg_stat_activity where wait_event = 'PgSleep' and usename = current_user`,
      )
      await database.query('drop trigger held on key_parts')
      await database.query('drop function held()')
      await database.end()
    },
  }
}

test('the server is killed between the ledger and the commit', async () => {
  const id = await makeKey('killed')
  const held = await beforeEnvelopes('perform pg_sleep(60)')
  const lost = narrower(id).catch(() => null)
  const database = await instance.database()
  for (let turn = 0; ; turn++) {
    const { rows } = await database.query(`select 1 from pg_stat_activity where wait_event = 'PgSleep'`)
    if (rows.length > 0) break
    assert.ok(turn < 200, 'the narrowing did not reach the database')
    await pause(20)
  }
  await database.end()
  process.kill(instance.processes().server, 'SIGKILL')
  assert.equal(await lost, null)
  await held.remove()
  await signSoon(id)
  // Its record by the system is made only where the ledger was ahead of the database.
  await isNarrow(id)
})

test('the database refuses what is already in the ledger', async () => {
  const id = await makeKey('refused')
  const held = await beforeEnvelopes(`raise exception 'held'`)
  assert.equal((await narrower(id)).status, 500)
  await held.remove()
  const seen = await signSoon(id)
  assert.deepEqual(seen, ['organization.busy'])
  await isNarrow(id)
})

test('a narrowing that never reached the signer leaves nothing, and changes nothing', async () => {
  const id = await makeKey('early')
  const { body: other } = await instance.call('POST', '/v1/keys', { name: 'taken', namespace: 'production' })
  const change = { uses: ['raw'], name: other.name }
  const refused = await instance.call('PATCH', `/v1/keys/${id}`, change, { headers: { 'if-match': '*' } })
  assert.equal(refused.body.code, 'key.name_taken')
  const database = await instance.database()
  let left = 1
  for (let turn = 0; turn < 100 && left > 0; turn++) {
    await pause(50)
    left = (await database.query('select 1 from narrowings')).rows.length
  }
  await database.end()
  assert.equal(left, 0)
  const { body: key } = await instance.call('GET', `/v1/keys/${id}`)
  assert.ok(key.uses.includes('digest'))
  assert.deepEqual(await signSoon(id), [])
})
