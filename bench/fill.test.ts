import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromBase64 } from '@popsigner/crypto/bytes'
import { decodeVerifierKey } from '@popsigner/transparency/checkpoint'
import { verifyConsistency } from '@popsigner/transparency/merkle'
import { verifyReceipt } from '@popsigner/transparency/receipt'
import { openDatabase } from './database.ts'
import { fill } from './fill.ts'
import { startInstance } from './instance.ts'
import { createKeys } from './stage.ts'

test('a filled instance signs, and its log still extends what was handed out before', async () => {
  let remove = async (): Promise<void> => {}
  try {
    const instance = await startInstance((end) => {
      remove = end
    })
    const [key] = await createKeys(instance, 1)
    const requests = Array.from({ length: 700 }, () => ({ key_id: key, data: 'AAAA' }))
    await instance.call('POST', '/v1/sign/batch', { requests })
    await instance.settled()
    const before = await instance.call('GET', '/v1/audit/checkpoint')
    const schema = await readSchema(instance)

    await fill(instance, 1_000, 200_000, () => {})
    assert.deepEqual(await readSchema(instance), schema)

    const { record_id } = await instance.call('POST', `/v1/keys/${key}/sign`, { data: 'AAAA' })
    const receipt = await instance.call('GET', `/v1/audit/logs/${record_id}/receipt`)
    assert.ok(receipt.leaf_index >= before.size + 200_000)
    const { verifier_key } = await instance.call('GET', '/v1/audit/log-key')
    const verified = verifyReceipt(receipt, decodeVerifierKey(verifier_key))
    assert.ok(verified.ok, JSON.stringify(verified))

    const after = await instance.call('GET', '/v1/audit/checkpoint')
    const { path } = await instance.call('GET', `/v1/audit/consistency?old_size=${before.size}&new_size=${after.size}`)
    const hashes = path.map((hash: string) => fromBase64(hash))
    assert.ok(verifyConsistency(before.size, after.size, fromBase64(before.root), fromBase64(after.root), hashes))

    const page = await instance.call('GET', '/v1/audit/logs?order=asc&include=leaf&limit=1000')
    assert.equal(page.logs.length, 1_000)
    const { keys } = await instance.call('GET', '/v1/keys?limit=100')
    assert.equal(keys.length, 100)
  } finally {
    await remove()
  }
})

/** Every index and constraint: filling drops and makes them again. */
async function readSchema(instance: Awaited<ReturnType<typeof startInstance>>): Promise<unknown[]> {
  const { client, end } = await openDatabase(instance)
  try {
    const { rows } = await client.query(
      `select indexdef as text from pg_indexes where schemaname = 'public'
       union all select conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) from pg_constraint where connamespace = 'public'::regnamespace
       order by text`,
    )
    return rows
  } finally {
    await end()
  }
}
