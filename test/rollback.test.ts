import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { decodeTypeId } from '@popsigner/crypto/typeid'
import { encodeHostAction, hostMac } from '@popsigner/custody/host-action'
import { AdminRefusal } from '../packages/server/src/supervise/admin-client.ts'
import { makeKey } from './crash/tenant.ts'
import { openWholeLog, readHead } from './crash/whole-log.ts'
import { type Answer, pause, startInstance, type TestInstance } from './instance.ts'

// An older database under the ledger of today, and a ledger that is gone: nothing is signed until the host accepts it.

let instance: TestInstance
let organization: string
let key: { id: string }
let other: { id: string }
before(async () => {
  instance = await startInstance()
  key = await makeKey(instance, 'kept')
  other = await makeKey(instance, 'destroyed-later')
  organization = (await instance.call('GET', '/v1/signer')).body.organization
})
after(() => instance.remove())

const sign = (headers: Record<string, string> = {}) =>
  instance.call('POST', `/v1/keys/${key.id}/sign`, { data: 'aGk=' }, { headers })

test('yesterday’s copy of the database under today’s ledger signs nothing until the host accepts the loss', async () => {
  assert.equal((await sign()).status, 200)
  await covered()
  await instance.stop()
  copyCluster()
  await instance.restart()
  for (let i = 0; i < 5; i++) assert.equal((await sign({ 'idempotency-key': `lost-${i}` })).status, 200)
  await covered()
  await instance.stop()
  putBack()
  await instance.restart()

  await signsNothing()
  const made = await instance.call('POST', '/v1/keys', { name: 'none', namespace: 'production' })
  assert.deepEqual([made.status, made.body.code], [503, 'log.behind'])
  const receipt = await instance.call('GET', '/v1/audit/checkpoint')
  assert.ok(receipt.status === 200 || receipt.body.code === 'log.behind')

  // The older database may want a key destroyed whose deletion was cancelled since: that too has to wait.
  const due = await instance.call('DELETE', `/v1/keys/${other.id}?waiting_days=0`)
  assert.equal(due.status, 202)
  await pause(1_500)
  assert.equal((await instance.call('GET', `/v1/keys/${other.id}`)).body.state, 'deactivated')

  const offered = (await instance.admin('GET', `recover/${organization}`)) as unknown as Recovery
  assert.ok(offered.ledger && offered.ledger.size > offered.database.size)
  await recoveryRefused(offered, randomBytes(32))
  // A nonce is good for one try, right or wrong; and what was authorized for another log is no authorization.
  await recoveryRefused(offered, hostKey())
  const again = (await instance.admin('GET', `recover/${organization}`)) as unknown as Recovery
  await recoveryRefused({ ...again, macOver: { size: again.database.size - 1, root: again.database.root } }, hostKey())
  await signsNothing()

  const third = (await instance.admin('GET', `recover/${organization}`)) as unknown as Recovery
  const accepted = await recover(third, hostKey())
  assert.deepEqual([accepted['size'], accepted['lost_size']], [third.database.size, third.ledger?.size])
  await signsAgain()
  const log = await openWholeLog(instance)
  await covered()
  await log.read()
  const said = log.leaves.find((leaf) => leaf.event === 'log.rollback_accepted')
  assert.ok(said?.event === 'log.rollback_accepted')
  assert.deepEqual(
    [said.actor, said.size, said.root, said.lost_size],
    ['host', third.database.size, third.database.root, third.ledger?.size],
  )
  const checkpoint = await log.checkpoint()
  assert.deepEqual(Buffer.from(log.rootAt(checkpoint?.size ?? -1)), Buffer.from(checkpoint?.root ?? []))
  assert.equal(log.audit().rollbacks, 1)
})

test('a database that is exchanged under the running server signs nothing either', async () => {
  await covered()
  await instance.stop()
  copyCluster()
  await instance.restart()
  for (let i = 0; i < 5; i++) assert.equal((await sign()).status, 200)
  await covered()
  // As a failover to a standby that had not got everything: the server only sees its connections end.
  instance.supervisor.kill('SIGSTOP')
  const { postgres } = instance.processes()
  let exchanged = false
  let stop = false
  const after: Answer[] = []
  const lanes = Array.from({ length: 4 }, async () => {
    while (!stop) {
      const late = exchanged
      const answer = await sign()
      if (late) after.push(answer)
    }
  })
  await pause(300)
  process.kill(postgres, 'SIGKILL')
  while (existsSync(`/proc/${postgres}`) && !/\) Z /.test(readFileSync(`/proc/${postgres}/stat`, 'latin1')))
    await pause(20)
  await pause(500)
  putBack()
  exchanged = true
  instance.supervisor.kill('SIGCONT')
  const until = Date.now() + 30_000
  while (Date.now() < until && !after.some((answer) => answer.body.code === 'log.behind')) await pause(50)
  await pause(1_500)
  stop = true
  await Promise.all(lanes)
  assert.deepEqual(
    new Set(after.filter((answer) => answer.status === 200)).size,
    0,
    'a signature was made on the older database',
  )
  await signsNothing()
  await recover((await instance.admin('GET', `recover/${organization}`)) as unknown as Recovery, hostKey())
  await signsAgain()
})

test('a ledger that is gone signs nothing until the host hands a checkpoint', async () => {
  await covered()
  await instance.stop()
  rmSync(join(instance.directory, 'custody/ledger'))
  await instance.restart()
  await signsNothing()
  // An organization that is newer than the loss is none of its business.
  const { id } = await instance.admin('POST', 'organizations', { name: 'newer' })
  assert.ok(id)
  const offered = (await instance.admin('GET', `recover/${organization}`)) as unknown as Recovery
  assert.equal(offered.ledger, null)
  await recoveryRefused(offered, randomBytes(32))
  await recover((await instance.admin('GET', `recover/${organization}`)) as unknown as Recovery, hostKey())
  await signsAgain()
  await instance.stop()
  await instance.restart()
  await signsAgain()
})

interface Recovery {
  readonly ledger: { readonly size: number; readonly root: string } | null
  readonly database: { readonly size: number; readonly root: string }
  readonly nonce: string
  /** What the MAC is made over, where that is not what is sent. */
  readonly macOver?: { readonly size: number; readonly root: string }
}

function hostKey(): Uint8Array {
  return readFileSync(join(instance.directory, 'custody/host.key'))
}

function recover(
  { database, nonce, macOver = database }: Recovery,
  host: Uint8Array,
): Promise<Record<string, unknown>> {
  const content = encodeHostAction({
    action: 'accept-checkpoint',
    organization: decodeTypeId(organization, 'org') as Uint8Array,
    size: macOver.size,
    root: Buffer.from(macOver.root, 'hex'),
  })
  const mac = Buffer.from(hostMac(host, Buffer.from(nonce, 'hex'), content)).toString('hex')
  return instance.admin('POST', 'recover', { organization, ...database, nonce, mac })
}

async function recoveryRefused(offered: Recovery, host: Uint8Array): Promise<void> {
  await assert.rejects(
    recover(offered, host),
    (error: unknown) => error instanceof AdminRefusal && error.problem['code'] === 'host.refused',
  )
}

async function signsNothing(): Promise<void> {
  // At first the server may not have asked the signer yet.
  const until = Date.now() + 10_000
  let answer = await sign()
  while (answer.status !== 200 && answer.body.code !== 'log.behind' && Date.now() < until) answer = await sign()
  for (let i = 0; i < 3; i++) {
    assert.deepEqual([answer.status, answer.body.code], [503, 'log.behind'])
    const batch = await instance.call('POST', '/v1/sign/batch', { requests: [{ key_id: key.id, data: 'aGk=' }] })
    assert.equal(batch.body.signatures[0].error?.code, 'log.behind')
    answer = await sign()
  }
  await pause(1_000)
  const ready = await instance.call('GET', '/readyz')
  assert.equal(ready.status, 503)
  const check = (ready.body.errors as { field: string; message: string }[]).find(({ field }) => field === 'log')
  assert.match(check?.message ?? '', /ledger.*recover/)
}

async function signsAgain(): Promise<void> {
  const until = Date.now() + 10_000
  let answer = await sign()
  while (answer.status !== 200 && Date.now() < until) {
    await pause(200)
    answer = await sign()
  }
  assert.equal(answer.status, 200, JSON.stringify(answer.body))
  let ready = await instance.call('GET', '/readyz')
  // What was found is remembered for a moment.
  while (ready.status !== 200 && Date.now() < until) {
    await pause(200)
    ready = await instance.call('GET', '/readyz')
  }
  assert.equal(ready.status, 200, JSON.stringify(ready.body))
}

/** Waits until a checkpoint covers everything there is, and nothing more comes. */
async function covered(): Promise<void> {
  const database = await instance.database()
  try {
    const until = Date.now() + 15_000
    let calm = 0
    let last = -1
    while (Date.now() < until && calm < 5) {
      const { size } = await readHead(database, organization)
      const { body } = await instance.call('GET', '/v1/audit/checkpoint')
      calm = body.size === size && size === last ? calm + 1 : 0
      last = size
      await pause(300)
    }
    assert.ok(calm >= 5, 'no checkpoint covers the log')
  } finally {
    await database.end()
  }
}

function cluster(): string {
  const { furtherDirectory } = JSON.parse(readFileSync(join(instance.directory, 'instance.json'), 'utf8')) as {
    furtherDirectory?: string | null
  }
  return join(furtherDirectory ?? instance.directory, 'postgres')
}

function copyCluster(): void {
  rmSync(`${cluster()}.copy`, { recursive: true, force: true })
  execFileSync('cp', ['-a', cluster(), `${cluster()}.copy`])
}

function putBack(): void {
  rmSync(cluster(), { recursive: true })
  renameSync(`${cluster()}.copy`, cluster())
}
