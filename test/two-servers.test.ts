import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { algorithmNames } from '@popsigner/crypto/algorithm-facts'
import { verifyConsistency } from '@popsigner/transparency/merkle'
import { insist, isSignature, type LoadKey, said, signaturesOf, startLoad } from './crash/load.ts'
import { type SecondServer, startSecondServer } from './crash/second-server.ts'
import { makeKey } from './crash/tenant.ts'
import { type HandedOut, openWholeLog, readHead } from './crash/whole-log.ts'
import { type Answer, type CallOptions, pause, startInstance, type TestInstance } from './instance.ts'

// Two servers on one database and one signer, which tell each other nothing.

let instance: TestInstance
let second: SecondServer
before(async () => {
  instance = await startInstance()
  second = await startSecondServer(instance)
})
after(async () => {
  await second?.stop()
  await instance.remove()
})

const data = () => ({ data: Buffer.from(randomUUID()).toString('base64') })
const servers = () => [instance, second]
type Ask = (method: string, path: string, body?: unknown, options?: CallOptions) => Promise<Answer>

/** Signs through both servers without a pause; answers what was asked after `close` was called, once `end` is. */
function hammer(ask: (call: Ask) => Promise<Answer>): {
  close(): void
  end(): Promise<{ before: Answer[]; after: Answer[] }>
} {
  let closed = false
  let ended = false
  const found = { before: [] as Answer[], after: [] as Answer[] }
  const lanes = servers().flatMap((server) =>
    Array.from({ length: 4 }, async () => {
      while (!ended) {
        const into = closed ? found.after : found.before
        into.push(await ask(server.call))
      }
    }),
  )
  return {
    close: () => {
      closed = true
    },
    async end() {
      ended = true
      await Promise.all(lanes)
      return found
    },
  }
}

for (const [through, name] of [
  [0, 'first'],
  [1, 'second'],
] as const) {
  test(`an API key that was revoked through the ${name} server signs nothing after the answer, through either`, async () => {
    const key = await makeKey(instance, `revoked-${name}`)
    const { body: made } = await instance.call('POST', '/v1/api-keys', {
      name: `short-lived-${name}`,
      scopes: ['api:keys:sign', 'api:keys:read'],
    })
    const load = hammer((call) => call('POST', `/v1/keys/${key.id}/sign`, data(), { token: made.token }))
    await pause(1_000)
    const revoked = await (servers()[through] as TestInstance).call('DELETE', `/v1/api-keys/${made.id}`)
    load.close()
    assert.equal(revoked.status, 204)
    await pause(1_000)
    const { before, after } = await load.end()
    assert.ok(before.filter((a) => a.status === 200).length > 20 && after.length > 20)
    assert.deepEqual(
      [...new Set(after.map((a) => a.status))].filter((status) => status !== 429),
      [401],
    )
    // Failed authentications are limited: their second has to pass.
    await pause(1_500)
    for (const server of servers()) {
      // A cache may serve reads, for a second at most.
      assert.equal((await server.call('GET', `/v1/keys/${key.id}`, undefined, { token: made.token })).status, 401)
    }
  })

  test(`a key that was suspended through the ${name} server signs nothing after the answer, through either, repeats included`, async () => {
    const key = await makeKey(instance, `suspended-${name}`)
    const again = { 'idempotency-key': randomUUID() }
    const body = data()
    assert.equal((await instance.call('POST', `/v1/keys/${key.id}/sign`, body, { headers: again })).status, 200)
    const load = hammer((call) => call('POST', `/v1/keys/${key.id}/sign`, data()))
    await pause(1_000)
    const suspended = await (servers()[through] as TestInstance).call(
      'PATCH',
      `/v1/keys/${key.id}`,
      { state: 'suspended' },
      { headers: { 'if-match': '*' } },
    )
    load.close()
    assert.equal(suspended.status, 200)
    for (const server of servers()) {
      const repeated = await server.call('POST', `/v1/keys/${key.id}/sign`, body, { headers: again })
      assert.equal(repeated.body.code, 'key.state_forbids')
    }
    await pause(700)
    const { before, after } = await load.end()
    assert.ok(before.filter((a) => a.status === 200).length > 20 && after.length > 20)
    assert.deepEqual([...new Set(after.map((a) => a.body.code))], ['key.state_forbids'])
  })
}

test('a repeat names the same record through the other server', async () => {
  const key = await makeKey(instance, 'repeated')
  for (const [one, other] of [
    [instance, second],
    [second, instance],
  ] as const) {
    const headers = { 'idempotency-key': randomUUID() }
    const body = data()
    const first = await one.call('POST', `/v1/keys/${key.id}/sign`, body, { headers })
    let repeat = await other.call('POST', `/v1/keys/${key.id}/sign`, body, { headers })
    for (let i = 0; i < 20 && repeat.status === 503; i++) {
      await pause(300)
      repeat = await other.call('POST', `/v1/keys/${key.id}/sign`, body, { headers })
    }
    assert.equal(repeat.status, 200, JSON.stringify(repeat.body))
    assert.deepEqual(repeat.body, first.body)
  }
})

test('both sign at once into one consistent log, also while the signer is killed', async (t) => {
  const {
    body: { organization },
  } = await instance.call('GET', '/v1/signer')
  const keys: LoadKey[] = await Promise.all(
    algorithmNames.map(async (algorithm) => {
      const key = await makeKey(instance, `both-${algorithm}`, { algorithm })
      return { id: key.id, algorithm, publicKey: key.public_key }
    }),
  )
  const logs = await Promise.all(servers().map((server) => openWholeLog(server)))
  const loads = servers().map((server) => startLoad(server, keys, { clients: 5, pauseMilliseconds: 15 }))
  const handedOut: HandedOut[] = []
  const receipts = new Map<string, number>()
  for (let i = 0; i < 40; i++) {
    await pause(150)
    if (i === 13 || i === 26) process.kill(instance.processes().signer, 'SIGKILL')
    for (const [n, log] of logs.entries()) {
      const checkpoint = await log.checkpoint()
      if (checkpoint) handedOut.push(checkpoint)
      // A receipt for what the other has just signed.
      const record = loads[1 - n]?.asked.findLast((one) => one.kind === 'sign' && one.answers.length > 0)?.answers[0]
        ?.record_id
      if (record === undefined) continue
      const { status } = await (servers()[n] as TestInstance).call('GET', `/v1/audit/logs/${record}/receipt`)
      receipts.set(String(status), (receipts.get(String(status)) ?? 0) + 1)
    }
  }
  await Promise.all(loads.map((load) => load.stop()))
  t.diagnostic(
    `${loads.map((load) => `${load.asked.length} requests, refused ${said(load.trouble.refused)}`).join('; ')}; receipts: ${said(receipts)}`,
  )
  for (const { trouble } of loads) assert.deepEqual([trouble.wrong, [...trouble.lost]], [[], []])
  assert.deepEqual(
    [...receipts.keys()].filter((status) => status !== '200' && status !== '503'),
    [],
  )
  const repeated = new Set(loads.flatMap(({ asked }) => asked.slice(-800)))
  // The last of them again through the other server.
  await Promise.all(
    loads.map(async ({ asked, trouble }, n) => {
      for (const one of asked.filter((one) => repeated.has(one)))
        await insist(servers()[1 - n] as TestInstance, one, trouble)
      assert.deepEqual(trouble.wrong, [])
    }),
  )

  const database = await instance.database()
  const head = await readHead(database, organization)
  await database.end()
  for (const log of logs) {
    await log.readTo(head.size)
    for (const { asked } of loads) {
      for (const one of asked) {
        one.items.forEach((item, i) => {
          const ids = new Set<string>()
          for (const answer of one.answers) {
            const signature = signaturesOf(one, answer)[i]
            if (!signature) continue
            assert.ok(isSignature(item, signature))
            ids.add(signature.record_id)
          }
          // Not all were repeated to their end, and an item of a batch may have met a signer that was gone.
          if (ids.size === 0 && !repeated.has(one)) return
          assert.equal(ids.size, 1)
          assert.ok(log.signed.has([...ids][0] as string))
        })
      }
    }
    let before: HandedOut | undefined
    for (const checkpoint of handedOut.sort((a, b) => a.size - b.size)) {
      assert.deepEqual(Buffer.from(log.rootAt(checkpoint.size)), Buffer.from(checkpoint.root))
      if (before) {
        const { body } = await instance.call(
          'GET',
          `/v1/audit/consistency?old_size=${before.size}&new_size=${checkpoint.size}`,
        )
        assert.ok(
          verifyConsistency(
            before.size,
            checkpoint.size,
            before.root,
            checkpoint.root,
            body.path.map((hash: string) => new Uint8Array(Buffer.from(hash, 'base64'))),
          ),
        )
      }
      before = checkpoint
    }
    assert.ok(handedOut.length > 4)
    const report = log.audit()
    assert.deepEqual(report.problems, [])
    assert.ok(report.statements >= 2)
  }
  assert.equal(
    head.used,
    (logs[0] as (typeof logs)[number]).signed.size - (logs[0] as (typeof logs)[number]).failed.size,
  )
})
