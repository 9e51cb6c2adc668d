import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { PopSigner } from '@popsigner/sdk'
import { decodeVerifierKey } from '@popsigner/transparency/checkpoint'
import { verifyReceipt } from '@popsigner/transparency/receipt'
import { pause, startInstance, type TestInstance } from './instance.ts'

// Retention removes signatures, denials and sign-ins once their month is closed and their days have passed, and nothing else.

let instance: TestInstance
before(async () => {
  instance = await startInstance()
})
after(() => instance.remove())

test('expired activity answers 410, its hash stays, and every proof still holds', async () => {
  await instance.admin('POST', 'organizations', { name: 'hosted', plan: 'free' })
  const { token } = (await instance.admin('POST', 'api-keys', { organization: 'hosted', name: 'ci' })) as {
    token: string
  }
  const call = (method: string, path: string, body?: unknown) => instance.call(method, path, body, { token })
  const { body: key } = await call('POST', '/v1/keys', { name: 'old', namespace: 'production' })
  const { body: signed } = await call('POST', `/v1/keys/${key.id}/sign`, { data: 'aGk=' })
  const { body: receipt } = await call('GET', `/v1/audit/logs/${signed.record_id}/receipt`)
  const { body: logKey } = await call('GET', '/v1/audit/log-key')

  await call('POST', `/v1/keys/${key.id}/sign`, { data: 'aGk=' })

  // Two months pass, with a checkpoint on each day; the signer and its ledger see nothing of it.
  const database = await instance.database()
  await database.query(`update batches set time = time - interval '62 days', period = (date_trunc('month', now()) - interval '2 months')::date
    where organization_id = (select id from organizations where name = 'hosted') and tree_size < (select max(tree_size) from batches b where b.organization_id = batches.organization_id)`)
  await database.query(
    `insert into checkpoint_days select (now() - make_interval(days => d))::date from generate_series(0, 70) d on conflict do nothing`,
  )
  await database.end()
  assert.equal(await instance.stop(), 0)
  await instance.restart()

  let gone = await call('GET', `/v1/audit/logs/${signed.record_id}`)
  for (let i = 0; i < 100 && gone.status !== 410; i++) {
    await pause(100)
    gone = await call('GET', `/v1/audit/logs/${signed.record_id}`)
  }
  assert.equal(gone.status, 410, instance.output())
  assert.equal(gone.body.code, 'record.expired')
  const kept = await call('GET', '/v1/audit/logs?event_type=key.created')
  assert.equal(kept.body.logs.length, 1, 'what concerns the life of a key stays')
  assert.ok(verifyReceipt(receipt, decodeVerifierKey(logKey.verifier_key)).ok, 'a receipt fetched before stays valid')
  const client = new PopSigner({ url: instance.url, apiKey: token })
  const audit = await client.audit.auditLog()
  assert.deepEqual(audit.problems, [])
  const removed = await call('GET', '/v1/audit/logs?order=asc&include=leaf')
  assert.ok(
    removed.body.logs.some(
      (log: { leaf_data: string | null; leaf_hash?: string }) => log.leaf_data === null && log.leaf_hash,
    ),
  )
})
