import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { algorithmNames } from '@popsigner/crypto/algorithm-facts'
import { sha256 } from '@popsigner/crypto/hash-native'
import { decodeTypeId, encodeTypeId, uuidText } from '@popsigner/crypto/typeid'
import type { Material } from '@popsigner/custody/custodian'
import { buildLeaf } from '@popsigner/transparency/record'
import type pg from 'pg'
import { type LoadKey, said, startLoad } from './crash/load.ts'
import { becomeRogue } from './crash/rogue.ts'
import { makeKey } from './crash/tenant.ts'
import { openWholeLog } from './crash/whole-log.ts'
import { type Answer, pause, startInstance, type TestInstance } from './instance.ts'

// What ends, ends: after its time and not before, and in copies too. And sealing everything anew loses nothing.

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

const uuidOf = (id: string) => uuidText(decodeTypeId(id, 'key') as Uint8Array)
const sign = (id: string) => instance.call('POST', `/v1/keys/${id}/sign`, { data: 'aGk=' })
const stateOf = async (id: string): Promise<string> => (await instance.call('GET', `/v1/keys/${id}`)).body.state

/** Has the server look for what is due: a key that may be destroyed at once is found at once. */
async function lookForDueWork(): Promise<void> {
  const key = await makeKey(instance, `due-${randomUUID()}`)
  assert.equal((await instance.call('DELETE', `/v1/keys/${key.id}?waiting_days=0`)).status, 202)
  await destroyed(key.id)
}

async function destroyed(id: string): Promise<void> {
  const until = Date.now() + 60_000
  while ((await stateOf(id)) !== 'destroyed') {
    assert.ok(Date.now() < until, 'a key that was due is not destroyed')
    await pause(100)
  }
}

test('a deletion waits, signs nothing meanwhile, and can be cancelled', async () => {
  const key = await makeKey(instance, 'cancelled')
  await sign(key.id)
  const { body: second } = await instance.call('POST', `/v1/keys/${key.id}/rotate`, {})
  assert.equal(second.version, 2)
  const scheduled = await instance.call('DELETE', `/v1/keys/${key.id}`)
  assert.equal(scheduled.status, 202)
  assert.equal(scheduled.body.state, 'deactivated')
  const days = (Date.parse(scheduled.body.destroy_at) - Date.now()) / 86_400_000
  assert.ok(days > 6.9 && days < 7.1)
  assert.equal((await sign(key.id)).body.code, 'key.state_forbids')
  assert.equal((await instance.call('DELETE', `/v1/keys/${key.id}`)).body.code, 'key.state_forbids')
  const cancelled = await instance.call('POST', `/v1/keys/${key.id}/cancel-deletion`)
  assert.deepEqual([cancelled.status, cancelled.body.state, cancelled.body.destroy_at], [200, 'active', null])
  assert.deepEqual(
    cancelled.body.versions.map((v: { state: string }) => v.state),
    second.versions.map((v: { state: string }) => v.state),
  )
  assert.equal((await sign(key.id)).status, 200)
  assert.equal(
    (await instance.call('POST', `/v1/keys/${key.id}/cancel-deletion`)).body.code,
    'key.deletion_not_scheduled',
  )
})

test('a clock that jumped destroys nothing before days with a checkpoint have passed', async () => {
  const key = await makeKey(instance, 'clock')
  assert.equal((await instance.call('DELETE', `/v1/keys/${key.id}?waiting_days=3`)).status, 202)
  // As it looks to a clock that jumped a month ahead: due for weeks.
  await database.query(
    `update keys set destroy_at = destroy_at - interval '30 days', deletion_scheduled_at = deletion_scheduled_at - interval '30 days' where id = $1`,
    [uuidOf(key.id)],
  )
  await lookForDueWork()
  assert.equal(await stateOf(key.id), 'deactivated')
  // Two days of the last thirty and today may have seen a checkpoint; a third is missing still.
  await database.query(
    `insert into checkpoint_days (day) select (now() at time zone 'UTC')::date - n from unnest(array[4]) n`,
  )
  await lookForDueWork()
  assert.equal(await stateOf(key.id), 'deactivated')
  assert.equal((await instance.call('POST', `/v1/keys/${key.id}/cancel-deletion`)).status, 200)
  assert.equal((await sign(key.id)).status, 200)

  assert.equal((await instance.call('DELETE', `/v1/keys/${key.id}?waiting_days=3`)).status, 202)
  await database.query(
    `update keys set destroy_at = destroy_at - interval '30 days', deletion_scheduled_at = deletion_scheduled_at - interval '30 days' where id = $1`,
    [uuidOf(key.id)],
  )
  await database.query(
    `insert into checkpoint_days (day) select (now() at time zone 'UTC')::date - n from unnest(array[5, 6]) n on conflict do nothing`,
  )
  await lookForDueWork()
  await destroyed(key.id)
})

test('a destroyed key is refused by the signer itself, its old rows put back or not', async () => {
  const key = await makeKey(instance, 'destroyed')
  assert.equal((await sign(key.id)).status, 200)
  const {
    rows: [row],
  } = await database.query('select * from keys where id = $1', [uuidOf(key.id)])
  const {
    rows: [part],
  } = await database.query('select * from key_parts where key_id = $1', [uuidOf(key.id)])
  assert.equal((await instance.call('DELETE', `/v1/keys/${key.id}?waiting_days=0`)).status, 202)
  await destroyed(key.id)
  const { rowCount } = await database.query('select 1 from key_parts where key_id = $1', [uuidOf(key.id)])
  assert.equal(rowCount, 0)
  assert.equal((await sign(key.id)).body.code, 'key.state_forbids')
  assert.equal((await instance.call('POST', `/v1/keys/${key.id}/cancel-deletion`)).status, 409)

  await database.query(
    'update keys set destroyed_at = null, destroying = false, destroy_at = null, revision = $2 where id = $1',
    [row.id, row.revision],
  )
  await database.query(`update key_versions set state = 'active' where key_id = $1`, [row.id])
  await database.query(
    'insert into key_parts (key_id, version, party, custodian, spec, envelope, sealed_by) values ($1, $2, $3, $4, $5, $6, $7)',
    [part.key_id, part.version, part.party, part.custodian, part.spec, part.envelope, part.sealed_by],
  )
  await database.end()
  await instance.stop()
  await instance.restart()
  const again = await sign(key.id)
  assert.deepEqual([again.status, again.body.code], [404, 'key.not_found'])
  const {
    body: { organization },
  } = await instance.call('GET', '/v1/signer')
  assert.equal(
    (await instance.call('POST', `/v1/keys/${key.id}/export`, { recipient_public_key: '04'.padEnd(130, '1') }))
      .status >= 400,
    true,
  )
  const log = await openWholeLog(instance)
  await pause(1_500)
  await log.read()
  const failed = log.leaves.find((leaf) => leaf.event === 'key.sign_failed')
  assert.ok(failed?.event === 'key.sign_failed' && failed.code === 'custody.key_destroyed')
  assert.ok(organization)
  database = await instance.database()
})

test('sealing everything anew under load, keys narrowed meanwhile, loses no request; old envelopes open no more', async (t) => {
  const algorithms = algorithmNames
  const keys: LoadKey[] = await Promise.all(
    algorithms.map(async (algorithm) => {
      const key = await makeKey(instance, `sealed-${algorithm}`, { algorithm })
      return { id: key.id, algorithm, publicKey: key.public_key }
    }),
  )
  const { status, body: many } = await instance.call('POST', '/v1/keys/batch', {
    prefix: 'many',
    count: 100,
    namespace: 'production',
  })
  assert.equal(status, 201)
  const {
    body: { organization },
  } = await instance.call('GET', '/v1/signer')
  const before = await becomeRogue(instance, organization)
  const first = keys[0] as LoadKey
  const old = { organizationKey: before.organizationKey, material: await before.materialOf(first.id) }
  await before.close()
  const oldRoot = readFileSync(join(instance.directory, 'seal/root.key'))

  const load = startLoad(instance, keys, { clients: 8, pauseMilliseconds: 4 })
  const narrowed: Answer[] = []
  let rotating = true
  const narrower = (async () => {
    for (const key of many.keys as { id: string }[]) {
      if (!rotating) break
      narrowed.push(
        await instance.call(
          'PATCH',
          `/v1/keys/${key.id}`,
          { uses: ['raw', 'message'] },
          { headers: { 'if-match': '*' } },
        ),
      )
      await pause(10)
    }
  })()
  await pause(300)
  const results = [
    await rotateSeal({}),
    await rotateSeal({ organization_keys: true }),
    await rotateSeal({ organization_keys: true }),
  ]
  rotating = false
  await narrower
  await pause(500)
  await load.stop()
  const { trouble, asked } = load
  t.diagnostic(
    `${asked.length} requests, ${narrowed.length} narrowed; refused: ${said(trouble.refused)}; lost: ${said(trouble.lost)}; longest ${Math.round(trouble.longest)} ms; ${JSON.stringify(results.at(-1))}`,
  )
  for (const result of results) assert.ok((result as { result?: unknown }).result, JSON.stringify(result))
  assert.deepEqual([trouble.wrong, [...trouble.refused], [...trouble.lost]], [[], [], []])
  for (const answer of narrowed) assert.equal(answer.status, 200, JSON.stringify(answer.body))
  // Nothing was left behind under a key that is gone.
  for (const key of [...keys, ...(many.keys as { id: string }[])]) assert.equal((await sign(key.id)).status, 200)
  const {
    rows: [left],
  } = await database.query<{ n: string; keys: string }>(
    `select (select count(*) from key_parts p where p.sealed_by not in (select id from organization_materials where kind = 'organization-key')) as n,
       (select count(*) from organization_materials where kind = 'organization-key') as keys`,
  )
  assert.deepEqual([left?.n, left?.keys], ['0', '1'])
  assert.notDeepEqual(readFileSync(join(instance.directory, 'seal/root.key')), oldRoot)

  const rogue = await becomeRogue(instance, organization)
  const log = await openWholeLog(instance)
  for (let i = 0; i < 20; i++) {
    await log.read()
    const [proven] = await rogue.signer.prove([await rogue.extension(log)])
    if (proven?.kind === 'proven') break
    await pause(200)
  }
  const now = { organizationKey: rogue.organizationKey, material: await rogue.materialOf(first.id) }
  const outcome = async ({
    organizationKey,
    material,
  }: {
    organizationKey: Material
    material: Material
  }): Promise<string> => {
    const data = Buffer.from('an old envelope')
    const digest = Buffer.from(sha256(data)).toString('hex')
    const recordId = decodeTypeId(log.leaves.at(-1)?.id ?? '', 'rec') as Uint8Array
    const leaf = buildLeaf({
      event: 'key.signed',
      log: log.leaves[0]?.log as string,
      id: encodeTypeId('rec', recordId),
      time: new Date().toISOString(),
      actor: 'system',
      key: first.id,
      version: 1,
      public_key: first.publicKey,
      algorithm: 'secp256k1',
      scheme: 'ecdsa',
      input: 'raw',
      hash: 'sha256',
      digest,
      data_hash: digest,
    })
    const {
      results: [result],
    } = await rogue.signer.sign([
      {
        recordId,
        attempt: 1,
        leaf,
        index: log.leaves.length,
        deadline: Date.now() + 10_000,
        organizationKey,
        material,
        scheme: 'ecdsa',
        input: 'raw',
        hash: 'sha256',
        data,
      },
    ])
    return result?.kind === 'refused' ? result.code : (result?.kind ?? 'none')
  }
  assert.match(await outcome(old), /^custody\.(key_destroyed|not_opened)$/)
  assert.match(
    await outcome({ organizationKey: now.organizationKey, material: old.material }),
    /^custody\.(key_destroyed|not_opened)$/,
  )
  // The same question with what is there now: it was the envelope that did not open.
  assert.equal(await outcome(now), 'signed')
  await rogue.close()
})

/** The last line that the admin socket answers to a rotation: its result, or the problem. */
function rotateSeal(body: object): Promise<unknown> {
  const { adminSocket } = JSON.parse(readFileSync(join(instance.directory, 'run.json'), 'utf8')) as {
    adminSocket: string
  }
  const content = JSON.stringify(body)
  return new Promise((resolve, reject) => {
    const ask = request(
      {
        socketPath: adminSocket,
        method: 'POST',
        path: '/admin/v1/seal/rotate',
        headers: { 'content-type': 'application/json', 'content-length': content.length },
      },
      (answer) => {
        let text = ''
        answer.on('data', (chunk: Buffer) => {
          text += chunk.toString()
        })
        answer.once('end', () => resolve(JSON.parse(text.trim().split('\n').at(-1) ?? 'null')))
        answer.once('error', reject)
      },
    )
    ask.once('error', reject)
    ask.end(content)
  })
}
