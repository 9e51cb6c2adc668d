import assert from 'node:assert/strict'
import { test } from 'node:test'
import { base64, hex } from '@popsigner/crypto/bytes'
import { encodeVerifierKey } from '@popsigner/transparency/checkpoint'
import { PopSigner } from './client.ts'
import { type Answers, answersOf, createTestLog, fetchOf, problem, type TestLog, testId } from './rogue-server.ts'
import type { Pins } from './trust.ts'
import { createMemoryStore, type TrustStore } from './trust-store.ts'

const url = 'https://keys.example.com'

function grow(log: TestLog, count: number): void {
  for (let i = 0; i < count; i++) log.append({ event: 'auth.api_key_used' })
}

function clientOf(answers: Answers, more: { trust?: TrustStore; pins?: Pins; apiKey?: string } = {}) {
  const { fetch, seen } = fetchOf(answers)
  return { client: new PopSigner({ url, apiKey: 'psk_live_a', fetch, retries: 0, ...more }), seen }
}

/** A client that has met this log before, at its present size, and its store. */
async function acquainted(log: TestLog): Promise<TrustStore> {
  const trust = createMemoryStore()
  await clientOf(answersOf(log), { trust }).client.audit.verifiedCheckpoint()
  return trust
}

test('the first checkpoint is kept, the next is believed with a proof, and none is asked for between equal ones', async () => {
  const log = createTestLog()
  grow(log, 3)
  const trust = createMemoryStore()
  const { client, seen } = clientOf(answersOf(log), { trust })
  assert.equal((await client.audit.verifiedCheckpoint()).size, 3)
  assert.equal((await client.audit.verifiedCheckpoint()).size, 3)
  grow(log, 10)
  const believed = await client.audit.verifiedCheckpoint()
  assert.equal(believed.size, 13)
  assert.equal(believed.cosignedAt, 1_795_000_000)
  assert.equal(await trust.get(`checkpoint:${log.log}`), log.note())
  assert.deepEqual(
    seen.map(({ path }) => path).filter((path) => path.includes('consistency')),
    ['/v1/audit/consistency?old_size=3&new_size=13'],
  )
})

test('a smaller log is refused, also where it is a beginning of the kept one', async () => {
  const log = createTestLog()
  grow(log, 9)
  const trust = await acquainted(log)
  const kept = log.note()
  log.leaves.length = 4
  const { client } = clientOf(answersOf(log), { trust })
  await assert.rejects(client.audit.verifiedCheckpoint(), {
    name: 'TrustError',
    code: 'checkpoint.behind',
    detail: { log: log.log, kept, offered: log.note() },
  })
  assert.equal(await trust.get(`checkpoint:${log.log}`), kept)
})

test('an old checkpoint is refused, also from a server that proves its place in the history', async () => {
  const log = createTestLog()
  grow(log, 9)
  const trust = await acquainted(log)
  const stale = { ...answersOf(log), 'GET /v1/audit/checkpoint': { checkpoint: log.note(4) } }
  await assert.rejects(clientOf(stale, { trust }).client.audit.verifiedCheckpoint(), { code: 'checkpoint.behind' })
})

test('a changed history is refused, of any size and whatever proof comes with it', async () => {
  const log = createTestLog()
  grow(log, 9)
  const trust = await acquainted(log)
  const kept = log.note()
  for (const size of [9, 12, 16]) {
    const other = createTestLog()
    other.append({ event: 'auth.denied', code: 'auth.invalid', count: 1 })
    grow(other, size - 1)
    const { client } = clientOf(answersOf(other), { trust })
    await assert.rejects(client.audit.verifiedCheckpoint(), { name: 'TrustError', code: 'checkpoint.inconsistent' })
    for (const path of [[], ['AA=='], [base64(new Uint8Array(32))], ['!']]) {
      const lie = { ...answersOf(other), 'GET /v1/audit/consistency': { old_size: 9, new_size: size, path } }
      await assert.rejects(clientOf(lie, { trust }).client.audit.verifiedCheckpoint(), {
        code: 'checkpoint.inconsistent',
      })
    }
  }
  assert.equal(await trust.get(`checkpoint:${log.log}`), kept)
})

test('a proof that cannot be fetched leaves the kept checkpoint and is the error it is', async () => {
  const log = createTestLog()
  grow(log, 2)
  const trust = await acquainted(log)
  const kept = log.note()
  grow(log, 2)
  for (const [answer, code] of [
    [() => problem(503, 'log.behind'), 'log.behind'],
    [() => problem(400, 'log.range_invalid'), 'checkpoint.inconsistent'],
  ] as const) {
    const { client } = clientOf({ ...answersOf(log), 'GET /v1/audit/consistency': answer }, { trust })
    await assert.rejects(client.audit.verifiedCheckpoint(), { code })
    assert.equal(await trust.get(`checkpoint:${log.log}`), kept)
  }
})

test('a checkpoint that the log or the instance did not sign is refused', async () => {
  const log = createTestLog()
  grow(log, 2)
  const lines = log.note().split('\n')
  const without = (start: string) => `${lines.filter((line) => !line.startsWith(start)).join('\n')}`
  for (const checkpoint of [
    createTestLog(2).note(0),
    createTestLog(1, 'keys.example.com', testId('org', 2)).note(0),
    without('— keys.example.com '),
    without(`— ${log.log} `),
    log.note().replace('\n2\n', '\n3\n'),
    '',
  ]) {
    const trust = createMemoryStore()
    const { client } = clientOf({ ...answersOf(log), 'GET /v1/audit/checkpoint': { checkpoint } }, { trust })
    await assert.rejects(client.audit.verifiedCheckpoint(), { name: 'TrustError', code: 'checkpoint.invalid' })
    assert.equal(await trust.get(`checkpoint:${log.log}`), null)
  }
})

test('a changed log key or identity is refused and pins nothing', async () => {
  const log = createTestLog()
  grow(log, 2)
  const trust = await acquainted(log)
  const other = createTestLog(2)
  const mine = answersOf(log)['GET /v1/audit/log-key'] as Record<string, unknown>
  const theirs = answersOf(other)['GET /v1/audit/log-key'] as Record<string, unknown>
  const before = await everything(trust, log)
  for (const [answer, code] of [
    [{ ...theirs, instance: mine['instance'] }, 'log_key.changed'],
    [{ ...mine, instance: theirs['instance'] }, 'identity.changed'],
    [theirs, 'identity.changed'],
  ] as const) {
    const { client } = clientOf({ ...answersOf(log), 'GET /v1/audit/log-key': answer }, { trust })
    await assert.rejects(client.audit.verifiedCheckpoint(), { name: 'TrustError', code })
    assert.deepEqual(await everything(trust, log), before)
  }
  const { client } = clientOf(answersOf(other), { trust })
  await assert.rejects(client.keys.importKey({ privateKey: new Uint8Array(32).fill(1), name: 'a', namespace: 'b' }), {
    code: 'identity.changed',
  })
})

test('an API key that led to one log does not lead to another; another API key may', async () => {
  const log = createTestLog()
  grow(log, 2)
  const trust = await acquainted(log)
  const other = createTestLog(1, 'keys.example.com', testId('org', 2))
  grow(other, 1)
  await assert.rejects(clientOf(answersOf(other), { trust }).client.audit.verifiedCheckpoint(), { code: 'log.changed' })
  assert.equal(
    (await clientOf(answersOf(other), { trust, apiKey: 'psk_live_b' }).client.audit.verifiedCheckpoint()).size,
    1,
  )
  // Another organization of the instance is of the same signer.
  const impostor = createTestLog(3, 'keys.example.com', testId('org', 3))
  await assert.rejects(
    clientOf(answersOf(impostor), { trust, apiKey: 'psk_live_c' }).client.audit.verifiedCheckpoint(),
    { code: 'identity.changed' },
  )
})

test('keys that the caller has from elsewhere rule the first answer too', async () => {
  const log = createTestLog()
  grow(log, 1)
  const other = createTestLog(2)
  const pins = { logKey: encodeVerifierKey(log.logKey), identity: encodeVerifierKey(log.identity) }
  assert.equal((await clientOf(answersOf(log), { pins }).client.audit.verifiedCheckpoint()).size, 1)
  await assert.rejects(
    clientOf(answersOf(log), { pins: { logKey: encodeVerifierKey(other.logKey) } }).client.audit.verifiedCheckpoint(),
    { code: 'log_key.changed' },
  )
  await assert.rejects(
    clientOf(answersOf(log), {
      pins: { identity: encodeVerifierKey(other.identity) },
    }).client.audit.verifiedCheckpoint(),
    { code: 'identity.changed' },
  )
  assert.throws(() => clientOf({}, { pins: { logKey: pins.identity } }), RangeError)
})

test('names and keys that cannot be are refused', async () => {
  const log = createTestLog()
  const right = answersOf(log)['GET /v1/audit/log-key'] as { instance: object }
  for (const wrong of [
    { ...right, public_key: hex(log.identity.publicKey) },
    { ...right, verifier_key: encodeVerifierKey(log.identity) },
    { ...right, verifier_key: `${encodeVerifierKey(log.logKey)}A` },
    { ...right, origin: `${log.log}x` },
    { ...right, origin: 7 },
    { ...right, instance: { ...right.instance, name: 'other.example.com' } },
    { ...right, instance: undefined },
  ])
    await assert.rejects(clientOf({ 'GET /v1/audit/log-key': wrong }).client.audit.verifiedCheckpoint(), {
      name: 'TrustError',
      code: 'trust.invalid',
    })
})

test('a verified receipt moves the kept checkpoint on, and an older one of the same history is believed', async () => {
  const log = createTestLog()
  grow(log, 5)
  const trust = createMemoryStore()
  const receipts = { [`GET /v1/audit/logs/${testId('rec', 2)}/receipt`]: () => log.receipt(2) }
  const { client } = clientOf({ ...answersOf(log), ...receipts }, { trust })
  const { leaf, receipt } = await client.audit.verifiedReceipt(testId('rec', 2))
  assert.equal(leaf.id, testId('rec', 2))
  assert.equal(receipt.tree_size, 5)
  grow(log, 4)
  await client.audit.verifiedReceipt(testId('rec', 2))
  assert.equal(await trust.get(`checkpoint:${log.log}`), log.note(9))
  const old = await log.receipt(2, 6)
  const late = clientOf({ ...answersOf(log), [`GET /v1/audit/logs/${testId('rec', 2)}/receipt`]: old }, { trust })
  assert.equal((await late.client.audit.verifiedReceipt(testId('rec', 2))).receipt.tree_size, 6)
  assert.equal(await trust.get(`checkpoint:${log.log}`), log.note(9))
})

test('a receipt of another record, or of another history, is refused', async () => {
  const log = createTestLog()
  grow(log, 5)
  const trust = await acquainted(log)
  const route = `GET /v1/audit/logs/${testId('rec', 2)}/receipt`
  const swapped = clientOf({ ...answersOf(log), [route]: await log.receipt(3) }, { trust })
  await assert.rejects(swapped.client.audit.verifiedReceipt(testId('rec', 2)), {
    code: 'receipt.invalid',
    detail: { record: testId('rec', 2), check: 'record' },
  })
  // The same keys, signing a second history: everything in the receipt holds but its past.
  const fork = createTestLog()
  fork.append({ event: 'auth.denied', code: 'auth.invalid', count: 1 })
  for (const size of [4, 7]) {
    while (fork.leaves.length < size) grow(fork, 1)
    const forked = clientOf({ ...answersOf(fork), [route]: await fork.receipt(2) }, { trust })
    await assert.rejects(forked.client.audit.verifiedReceipt(testId('rec', 2)), {
      code: size < 5 ? 'checkpoint.behind' : 'checkpoint.inconsistent',
    })
  }
})

test('two processes that believe at once keep the larger checkpoint', async () => {
  const log = createTestLog()
  grow(log, 2)
  const trust = await acquainted(log)
  grow(log, 3)
  const smaller = { ...answersOf(log), 'GET /v1/audit/checkpoint': { checkpoint: log.note() } }
  grow(log, 3)
  const larger = answersOf(log)
  const sizes = await Promise.all(
    [clientOf(smaller, { trust }), clientOf(larger, { trust })].map(({ client }) => client.audit.verifiedCheckpoint()),
  )
  assert.deepEqual(
    sizes.map(({ size }) => size),
    [5, 8],
  )
  assert.equal(await trust.get(`checkpoint:${log.log}`), log.note(8))
})

async function everything(trust: TrustStore, log: TestLog): Promise<(string | null)[]> {
  return Promise.all(
    [`identity:${log.instance}`, `log_key:${log.log}`, `checkpoint:${log.log}`].map((name) => trust.get(name)),
  )
}
