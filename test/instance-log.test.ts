import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { decodeTypeId, uuidText } from '@popsigner/crypto/typeid'
import { openLedger } from '@popsigner/custody/ledger'
import { decodeVerifierKey } from '@popsigner/transparency/checkpoint'
import { instanceOrganization } from '@popsigner/transparency/events'
import { verifyReceipt } from '@popsigner/transparency/receipt'
import { type LeafRecord, parseLeaf } from '@popsigner/transparency/record'
import { acceptCheckpointMac } from '../packages/server/src/host-recovery.ts'
import { eachLeaf } from '../packages/server/src/log/leaves.ts'
import { AdminRefusal } from '../packages/server/src/supervise/admin-client.ts'
import { makeKey } from './crash/tenant.ts'
import { rotateSeal } from './host-acts.ts'
import { pause, startInstance, type TestInstance } from './instance.ts'

// What the host does is in the instance's own log, and what it does to an organization in that one's as well: both or neither.

let instance: TestInstance
let name: string
before(async () => {
  instance = await startInstance()
  name = JSON.parse(readFileSync(join(instance.directory, 'instance.json'), 'utf8')).name
})
after(() => instance.remove())

const nil = '00000000-0000-0000-0000-000000000000'

test('every act of the host is in the instance’s log and in the organization’s, each proven by its receipt', async () => {
  const { id } = await instance.admin('POST', 'organizations', { name: 'acme', namespaces: ['production', 'staging'] })
  const { token } = await instance.admin('POST', 'api-keys', { organization: 'acme', name: 'first' })
  await instance.admin('POST', 'api-keys', {
    organization: 'acme',
    name: 'one',
    namespaces: ['staging'],
    scopes: ['api:keys:read'],
  })
  await rotateSeal(instance, {})
  await rotateSeal(instance, { organization_keys: true })
  await accept('acme')
  await accept(name)

  const own = await recordsOf((path) => instance.admin('GET', `log${path}`))
  const theirs = await recordsOf(
    async (path) => (await instance.call('GET', path, undefined, { token: token as string })).body,
  )
  assert.deepEqual(
    own.filter(({ leaf }) => touched(leaf) === id).map(({ leaf }) => essence(leaf)),
    theirs.filter(({ leaf }) => leaf.actor === 'host').map(({ leaf }) => essence(leaf)),
  )
  assert.deepEqual(counted(own.filter(({ leaf }) => touched(leaf) === id)), {
    'organization.created': 1,
    'namespace.created': 2,
    'api_key.created': 2,
    'seal.rotated': 4,
    'log.rollback_accepted': 1,
  })
  // What is the instance's own names nobody: its keys sealed anew, and its log accepted; it begins with itself.
  const [first, ...more] = own.filter(({ leaf }) => [undefined, instanceOrganization].includes(touched(leaf)))
  assert.deepEqual([first?.leaf.event, first?.leaf.actor, first?.index], ['organization.created', 'system', 0])
  assert.deepEqual(counted(more), { 'seal.rotated': 4, 'log.rollback_accepted': 1 })
  for (const { leaf } of own) assert.equal(leaf.log, name)

  const keys = (await instance.admin('GET', 'log/v1/audit/log-key')) as unknown as LogKey
  assert.equal(keys.origin, name)
  for (const { leaf, receipt } of [...own, ...theirs.filter((one) => one.leaf.actor === 'host')]) {
    const theirKeys = (await instance.call('GET', '/v1/audit/log-key', undefined, { token: token as string }))
      .body as LogKey
    const { verifier_key, instance: signer } = leaf.log === name ? keys : theirKeys
    const verified = verifyReceipt(receipt, decodeVerifierKey(verifier_key), {
      identity: decodeVerifierKey(signer.verifier_key),
    })
    assert.ok(verified.ok, JSON.stringify(verified.checks))
    const wrong = leaf.log === name ? theirKeys : keys
    assert.equal(verifyReceipt(receipt, decodeVerifierKey(wrong.verifier_key)).ok, false)
  }
})

test('no API key sees it or is of it, and it is no organization', async () => {
  const [record] = ((await instance.admin('GET', 'log/v1/audit/logs')) as unknown as Page).logs
  for (const path of [`/v1/audit/logs/${record?.id}`, `/v1/audit/logs/${record?.id}/receipt`]) {
    const { status, body } = await instance.call('GET', path)
    assert.deepEqual([status, body.code], [404, 'record.not_found'])
  }
  const listed = (await instance.call('GET', '/v1/audit/logs?limit=1000')).body as Page
  const own = (await instance.admin('GET', 'log/v1/audit/logs?limit=1000')) as unknown as Page
  const ids = new Set(own.logs.map(({ id }) => id))
  assert.deepEqual(
    listed.logs.filter(({ id }) => ids.has(id)),
    [],
  )
  for (const path of ['/admin/v1/log/v1/audit/logs', '/log/v1/audit/logs'])
    assert.equal((await instance.call('GET', path)).status, 404)

  const { organizations } = (await instance.admin('GET', 'organizations')) as { organizations: { id: string }[] }
  assert.ok(!organizations.some(({ id }) => id === instanceOrganization))
  for (const organization of [instanceOrganization, name, '(instance)'])
    await refused('organization.not_found', 'POST', 'api-keys', { organization, name: 'none' })
  await refused('organization.name_taken', 'POST', 'organizations', { name })
  await refused('route.not_found', 'GET', 'log/v1/keys')
  await refused('request.invalid', 'GET', 'log/v1/audit/logs?limit=x')
  await refused('request.invalid', 'GET', 'log/v1/audit/log-key?limit=1')
  await refused('record.not_found', 'GET', `log/v1/audit/logs/${listed.logs[0]?.id}/receipt`)
  await makeKey(instance, 'whose')
  const database = await instance.database()
  try {
    for (const move of [
      'update api_keys set organization_id = $1',
      'update namespaces set organization_id = $1',
      'update keys set organization_id = $1',
    ])
      await assert.rejects(database.query(move, [nil]), /_of_tenants/)
  } finally {
    await database.end()
  }
})

test('an act that one of the two logs cannot take is in neither', async () => {
  const { id } = await instance.admin('POST', 'organizations', { name: 'held' })
  const database = await instance.database()
  try {
    for (const held of [nil, uuidText(decodeTypeId(id as string, 'org') as Uint8Array)]) {
      const before = await bothLogs()
      await database.query('begin')
      await database.query('select 1 from organization_locks where organization_id = $1 for update', [held])
      await refused('organization.busy', 'POST', 'api-keys', { organization: 'held', name: 'none' })
      await database.query('rollback')
      assert.deepEqual(await bothLogs(), before)
    }
    await instance.admin('POST', 'api-keys', { organization: 'held', name: 'then' })
  } finally {
    await database.end()
  }
})

test('kill -9 amid acts of the host leaves each of them in both logs or in neither', async () => {
  let made = 0
  for (const victim of ['server', 'postgres', 'server', 'postgres', 'server', 'postgres'] as const) {
    let stop = false
    const lanes = Array.from({ length: 3 }, async (_, lane) => {
      while (!stop) {
        const organization = `crash-${made++}`
        await instance
          .admin('POST', 'organizations', { name: organization, namespaces: ['production'] })
          .then(() => instance.admin('POST', 'api-keys', { organization, name: `of-${lane}` }))
          .catch(() => pause(20))
      }
    })
    await pause(400 + Math.random() * 400)
    process.kill(instance.processes()[victim], 'SIGKILL')
    await pause(200)
    stop = true
    await Promise.all(lanes)
    await untilReady()
    const { own, theirs } = await bothLogs()
    assert.ok(own.length > 0)
    assert.deepEqual(own, theirs)
  }
})

test('an instance from before this log begins it at its next start', async () => {
  await instance.admin('POST', 'api-keys', { organization: 'default', name: 'before' })
  await forgetInDatabase()
  await instance.stop()
  const ledger = openLedger(join(instance.directory, 'custody/ledger'), name, 0)
  assert.ok(ledger.logs.delete('0'.repeat(32)))
  await ledger.commit()
  await ledger.close()
  await instance.restart()
  await untilReady()
  await instance.admin('POST', 'api-keys', { organization: 'default', name: 'after' })
  const own = await recordsOf((path) => instance.admin('GET', `log${path}`))
  assert.deepEqual(
    own.map(({ leaf }) => [leaf.event, leaf.actor]),
    [
      ['organization.created', 'system'],
      ['api_key.created', 'host'],
    ],
  )
})

test('a database from before this log, under a ledger that has it, is behind until the host accepts that', async () => {
  await instance.admin('POST', 'api-keys', { organization: 'default', name: 'lost' })
  await pause(1_500)
  await forgetInDatabase()
  await instance.stop()
  await instance.restart()
  const until = Date.now() + 20_000
  while ((await instance.call('GET', '/readyz')).status !== 503 && Date.now() < until) await pause(100)
  await refused('log.behind', 'GET', 'log/v1/audit/checkpoint')
  // Organizations sign on, and what the host does to them is recorded.
  await instance.admin('POST', 'api-keys', { organization: 'default', name: 'meanwhile' })
  await accept(name)
  await untilReady()
  const own = await recordsOf((path) => instance.admin('GET', `log${path}`))
  assert.deepEqual(
    own.map(({ leaf }) => leaf.event),
    ['organization.created', 'api_key.created', 'log.rollback_accepted'],
  )
})

interface LogKey {
  readonly origin: string
  readonly verifier_key: string
  readonly instance: { readonly verifier_key: string }
}

interface Page {
  readonly logs: readonly { readonly id: string; readonly leaf_index: number; readonly leaf_data: string }[]
}

interface Proven {
  readonly leaf: LeafRecord
  readonly index: number
  readonly receipt: unknown
}

/** All records of a log, oldest first, with their receipts. */
async function recordsOf(get: (path: string) => Promise<unknown>): Promise<Proven[]> {
  await pause(1_000)
  const { logs } = (await get('/v1/audit/logs?order=asc&include=leaf&limit=1000')) as Page
  const proven: Proven[] = []
  for (const { id, leaf_index: index, leaf_data } of logs) {
    const receipt = (await get(`/v1/audit/logs/${id}/receipt`)) as { leaf_data: string }
    assert.equal(receipt.leaf_data, leaf_data)
    proven.push({ leaf: parseLeaf(Buffer.from(leaf_data, 'base64')), index, receipt })
  }
  return proven
}

function touched(leaf: LeafRecord): string | undefined {
  return (leaf as { organization?: string }).organization
}

/** What both logs must say of an act; ids of records, and commitments under keys of the log's own, differ. */
function essence(leaf: LeafRecord): object {
  const { id, log, organization, name: commitment, ...same } = leaf as unknown as Record<string, unknown>
  return same
}

function counted(records: readonly Proven[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { leaf } of records) counts[leaf.event] = (counts[leaf.event] ?? 0) + 1
  return counts
}

/** What the host did to organizations, as the instance's log has it and as theirs do, as sorted texts. */
async function bothLogs(): Promise<{ own: string[]; theirs: string[] }> {
  const database = await instance.database()
  try {
    const { rows } = await database.query<{ organization_id: string; leaves: Buffer }>(
      'select organization_id, leaves from batches',
    )
    const own: string[] = []
    const theirs: string[] = []
    for (const row of rows) {
      eachLeaf(row.leaves, (bytes) => {
        const leaf = parseLeaf(bytes)
        if (leaf.actor !== 'host') return
        if (row.organization_id !== nil) theirs.push(`${leaf.log.split('/')[1]} ${JSON.stringify(essence(leaf))}`)
        else if (touched(leaf)) own.push(`${touched(leaf)} ${JSON.stringify(essence(leaf))}`)
      })
    }
    return { own: own.sort(), theirs: theirs.sort() }
  } finally {
    await database.end()
  }
}

async function accept(log: string): Promise<void> {
  const offered = (await instance.admin('GET', `recover/${log}`)) as unknown as {
    organization: string
    database: { size: number; root: string }
    nonce: string
  }
  const { organization, nonce, database } = offered
  const hostKey = readFileSync(join(instance.directory, 'custody/host.key'))
  const mac = acceptCheckpointMac(hostKey, { organization, nonce, ...database })
  await instance.admin('POST', 'recover', { organization, nonce, mac, ...database })
}

async function refused(code: string, method: 'GET' | 'POST', path: string, body?: object): Promise<void> {
  await assert.rejects(
    instance.admin(method, path, body),
    (error: unknown) => error instanceof AdminRefusal && error.problem['code'] === code,
    `${method} ${path} ${JSON.stringify(body)}`,
  )
}

async function untilReady(): Promise<void> {
  const until = Date.now() + 30_000
  for (;;) {
    const status = await instance.call('GET', '/readyz').then(
      (answer) => answer.status,
      () => 0,
    )
    if (status === 200) return
    if (Date.now() > until) throw new Error('the instance does not come back')
    await pause(100)
  }
}

/** Takes everything of the instance's log out of the database, as one that was made before it. */
async function forgetInDatabase(): Promise<void> {
  const database = await instance.database()
  try {
    for (const table of ['checkpoints', 'records', 'projections', 'tiles', 'batches', 'texts', 'actors'])
      await database.query(`delete from ${table} where organization_id = $1`, [nil])
    await database.query('delete from organization_materials where organization_id = $1', [nil])
    await database.query('delete from organization_locks where organization_id = $1', [nil])
    await database.query('delete from organizations where id = $1', [nil])
    for (const table of ['api_keys', 'namespaces', 'keys'])
      await database.query(`alter table ${table} drop constraint ${table}_of_tenants`)
    await database.query('delete from migrations where version = 5')
  } finally {
    await database.end()
  }
}
