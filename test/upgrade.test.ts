import assert from 'node:assert/strict'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { algorithmNames } from '@popsigner/crypto/algorithm-facts'
import { verifySignature } from '@popsigner/crypto/verify'
import { decodeVerifierKey } from '@popsigner/transparency/checkpoint'
import { verifyReceipt } from '@popsigner/transparency/receipt'
import { makeKey } from './crash/tenant.ts'
import { openWholeLog } from './crash/whole-log.ts'
import { call, startInstance, type TestInstance } from './instance.ts'
import { type Served, serve } from './serve.ts'

// An instance with data, started by newer code, which has one more migration; then by the older code again.

const root = join(import.meta.dirname, '..')
const newer = mkdtempSync(join(tmpdir(), 'popsigner-newer-'))
const migrations = 'packages/server/src/database/migrations'
const present = Math.max(...readdirSync(join(root, migrations)).map((name) => Number.parseInt(name, 10)))
const algorithms = algorithmNames
let instance: TestInstance
let running: Served | undefined
before(async () => {
  copyClone()
  instance = await startInstance()
})
after(async () => {
  await running?.stop()
  await instance.remove()
  rmSync(newer, { recursive: true, force: true })
})

test('newer code finds everything, signs with it, and its log extends the one before; older code then refuses', async () => {
  for (const algorithm of algorithms) await makeKey(instance, algorithm, { algorithm })
  const { body: found } = await instance.call('GET', '/v1/keys')
  const { body: signed } = await instance.call('POST', `/v1/keys/${found.keys[0].id}/sign`, { data: 'aGk=' })
  const { body: receipt } = await instance.call('GET', `/v1/audit/logs/${signed.record_id}/receipt`)
  const { body: logKey } = await instance.call('GET', '/v1/audit/log-key')
  const reader = { url: instance.url, token: instance.token }
  const log = await openWholeLog(reader)
  const before = await log.checkpoint()
  assert.ok(before)
  assert.equal(await instance.stop(), 0)

  running = await serve(newer, instance.directory)
  assert.ok(running.url, running.errors)
  reader.url = running.url
  await hasColumn(running)
  const ask = (method: string, path: string, body?: unknown) => call(reader.url, reader.token, method, path, body)
  assert.deepEqual((await ask('GET', '/v1/keys')).body.keys, found.keys)
  assert.deepEqual((await ask('GET', '/v1/audit/log-key')).body, logKey)
  const { body: again } = await ask('GET', `/v1/audit/logs/${signed.record_id}/receipt`)
  assert.equal(again.leaf_data, receipt.leaf_data)
  const identity = decodeVerifierKey(logKey.instance.verifier_key)
  for (const one of [receipt, again])
    assert.equal(verifyReceipt(one, decodeVerifierKey(logKey.verifier_key), { identity }).ok, true)
  for (const key of found.keys) {
    const { status, body } = await ask('POST', `/v1/keys/${key.id}/sign`, { data: 'aGk=' })
    assert.equal(status, 200, JSON.stringify(body))
    const signature = new Uint8Array(Buffer.from(body.signature, 'base64'))
    assert.ok(
      verifySignature(key.algorithm, { message: Buffer.from('hi') }, signature, Buffer.from(key.public_key, 'hex')),
    )
  }
  await ask('GET', `/v1/audit/logs/${signed.record_id}/receipt`)
  await log.readTo(before.size + found.keys.length)
  assert.deepEqual(Buffer.from(log.rootAt(before.size)), Buffer.from(before.root))
  assert.equal(log.audit().problemCount, 0)
  assert.equal(await running.stop(), 0)

  const files = ['instance.json', 'seal/root.key', 'custody/identity', 'custody/ledger'].map((name) =>
    join(instance.directory, name),
  )
  const kept = files.map((file) => readFileSync(file))
  const refused = await serve(root, instance.directory)
  assert.equal(refused.url, null)
  assert.equal(await refused.ended, 1)
  assert.match(
    refused.errors,
    new RegExp(
      `^The database has schema ${present + 1} and this version knows ${present}: start the newer version[^\\n]*\\n$`,
    ),
  )
  assert.deepEqual(
    files.map((file) => readFileSync(file)),
    kept,
  )

  running = await serve(newer, instance.directory)
  assert.ok(running.url, running.errors)
  reader.url = running.url
  await hasColumn(running)
  assert.deepEqual((await ask('GET', '/v1/keys')).body.keys.length, found.keys.length)
  assert.equal((await ask('POST', `/v1/keys/${found.keys[0].id}/sign`, { data: 'aGk=' })).status, 200)
  await log.read()
  assert.equal(log.audit().problemCount, 0)
})

async function hasColumn(served: Served): Promise<void> {
  const database = await served.database()
  try {
    const { rows } = await database.query('select name, colour from organizations')
    assert.deepEqual(rows, [{ name: 'default', colour: 'none' }])
  } finally {
    await database.end()
  }
}

/** This clone with one more migration. Its packages find each other, and everything else in the installation here. */
function copyClone(): void {
  cpSync(join(root, 'packages'), join(newer, 'packages'), { recursive: true })
  const modules = join(newer, 'node_modules')
  mkdirSync(join(modules, '@popsigner'), { recursive: true })
  for (const name of readdirSync(join(root, 'node_modules')))
    if (name !== '@popsigner' && name !== 'popsigner')
      symlinkSync(join(root, 'node_modules', name), join(modules, name))
  for (const name of readdirSync(join(root, 'node_modules/@popsigner')))
    symlinkSync(join('../../packages', name), join(modules, '@popsigner', name))
  const next = String(present + 1).padStart(4, '0')
  writeFileSync(
    join(newer, migrations, `${next}-test.sql`),
    "alter table organizations add column colour text not null default 'none';\n",
  )
}
