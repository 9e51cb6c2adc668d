import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { sha256 } from '@popsigner/crypto/hash-native'
import { verifyConsistency } from '@popsigner/transparency/merkle'
import {
  type AnsweredSignature,
  type Asked,
  insist,
  isSignature,
  type LoadKey,
  said,
  signaturesOf,
  startLoad,
  type Trouble,
} from './crash/load.ts'
import { type HandedOut, openWholeLog, readHead } from './crash/whole-log.ts'
import { call, pause, startInstance, type TestInstance } from './instance.ts'

// kill -9 at random moments under load: nothing that was answered is lost, nothing is signed without its record, nothing is
// charged twice. POPSIGNER_CRASH_ROUNDS sets the number of rounds; each round says what it killed and what clients saw.

const rounds = Number(process.env['POPSIGNER_CRASH_ROUNDS'] ?? 20)
const victims = ['server', 'signer', 'postgres', 'supervisor', 'backend'] as const
type Victim = (typeof victims)[number]

let instance: TestInstance
before(async () => {
  instance = await startInstance()
})
after(() => instance.remove())

test(`${rounds} rounds of kill -9 under load`, async (t) => {
  const log = await openWholeLog(instance)
  const { body: signer } = await instance.call('GET', '/v1/signer')
  const organization: string = signer.organization
  const keys = await makeKeys()
  const checkpoints: HandedOut[] = []
  const recordOf = new Map<string, string>()
  for (let round = 0; round < rounds; round++) {
    const victim = victims[round % victims.length] as Victim
    const asynchronous = Math.floor(round / victims.length) % 2 === 1
    await setSynchronousCommit(asynchronous ? 'off' : 'on')
    const load = startLoad(instance, keys, { clients: 6, pauseMilliseconds: 8 })
    const watcher = watchCheckpoints(checkpoints, log)
    await pause(600 + randomInt(900))
    await kill(victim)
    await pause(300 + randomInt(700))
    if (victim === 'supervisor') await instance.restart()
    await untilReady()
    await load.stop()
    await watcher.stop()
    const { trouble, asked } = load
    const line = `round ${round + 1}: killed ${victim}${asynchronous ? ', synchronous_commit off' : ''}; ${asked.length} requests; refused: ${said(trouble.refused)}; lost: ${said(trouble.lost)}; longest ${Math.round(trouble.longest)} ms`
    t.diagnostic(line)
    assert.deepEqual(trouble.wrong, [], line)

    const later: Trouble = { lost: new Map(), refused: new Map(), wrong: [], longest: 0 }
    await eachOf(asked, 8, (one) => insist(instance, one, later))
    assert.deepEqual(later.wrong, [], `${line}; refused afterwards: ${said(later.refused)}`)
    await checkRound(asked, recordOf)
    await checkLog()
  }

  /** Every answer against every other of the same request, and against the log. */
  async function checkRound(asked: readonly Asked[], records: Map<string, string>): Promise<void> {
    const database = await instance.database()
    const head = await readHead(database, organization)
    await database.end()
    await log.readTo(head.size)
    for (const one of asked) {
      if (one.kind === 'create') {
        const ids = new Set(one.answers.map((answer) => answer.id as string))
        assert.equal(ids.size, 1, 'a repeated creation answered another key')
        const [id] = ids as Set<string>
        assert.ok(log.created.has(id as string), 'a key that was answered has no record')
        assert.equal((await instance.call('GET', `/v1/keys/${id}`)).status, 200, 'a key that was answered is lost')
        continue
      }
      one.items.forEach((item, i) => {
        const answers = one.answers
          .map((answer) => signaturesOf(one, answer)[i])
          .filter((s): s is AnsweredSignature => s !== undefined)
        const [first] = answers
        assert.ok(first, 'a request that was repeated to its end has no answer')
        for (const answer of answers) {
          assert.equal(answer.record_id, first.record_id, 'a repeat named another record')
          assert.ok(isSignature(item, answer), 'an answer is no signature over the data')
          if (item.key.algorithm !== 'p256') assert.equal(answer.signature, first.signature, 'a repeat has other bytes')
        }
        const record = log.signed.get(first.record_id)
        assert.ok(record, 'a signature was answered without its record')
        assert.equal(record.leaf.key, item.key.id)
        assert.equal(record.leaf.data_hash, Buffer.from(sha256(item.data)).toString('hex'))
        assert.ok(
          !log.failed.has(first.record_id),
          'a signature was answered whose record is said to have failed, and its quota given back',
        )
        assert.equal(records.get(first.record_id), undefined, 'two requests were answered with one record')
        records.set(first.record_id, one.idempotencyKey)
      })
    }
    // What was authorized for a request beyond its items was charged a second time, unless the signer refused it.
    const charged = new Map<string, number>()
    for (const [id, { leaf }] of log.signed) {
      if (leaf.idempotency !== undefined && !log.failed.has(id))
        charged.set(leaf.idempotency, (charged.get(leaf.idempotency) ?? 0) + 1)
    }
    for (const one of asked) {
      if (one.kind !== 'create')
        assert.equal(
          charged.get(Buffer.from(sha256(Buffer.from(one.idempotencyKey))).toString('hex')),
          one.items.length,
          'a repeat was charged again',
        )
    }
    const month = new Date().toISOString().slice(0, 7)
    const count = [...log.signed].filter(([id, { leaf }]) => leaf.time.startsWith(month) && !log.failed.has(id)).length
    if (log.leaves[0]?.time.startsWith(month)) assert.equal(head.used, count, 'the usage is not what the log says')
  }

  /** The log against every checkpoint that was ever handed out, and against what the signer states. */
  async function checkLog(): Promise<void> {
    let before: HandedOut | undefined
    for (const checkpoint of checkpoints.sort((a, b) => a.size - b.size)) {
      await log.readTo(checkpoint.size)
      assert.deepEqual(
        Buffer.from(log.rootAt(checkpoint.size)),
        Buffer.from(checkpoint.root),
        'the log is not that of a checkpoint',
      )
      if (before) {
        const { status, body } = await instance.call(
          'GET',
          `/v1/audit/consistency?old_size=${before.size}&new_size=${checkpoint.size}`,
        )
        assert.equal(status, 200)
        const path = body.path.map((hash: string) => new Uint8Array(Buffer.from(hash, 'base64')))
        assert.ok(verifyConsistency(before.size, checkpoint.size, before.root, checkpoint.root, path))
      }
      before = checkpoint
    }
    // Old ones were compared; the newest goes on to the next round.
    if (before) checkpoints.splice(0, checkpoints.length, before)
    assert.deepEqual(log.audit().problems, [])
  }
})

test('after all of it the signer’s statements cover every signature that it made', async (t) => {
  const log = await openWholeLog(instance)
  await log.read()
  const report = log.audit()
  t.diagnostic(JSON.stringify({ ...report, problems: report.problems.length }))
  assert.deepEqual(report.problems, [])
  assert.equal(report.attestedNotInLog, 0)
})

async function makeKeys(): Promise<LoadKey[]> {
  return Promise.all(
    ['secp256k1', 'secp256k1', 'ed25519', 'p256'].map(async (algorithm, i) => {
      const { status, body } = await instance.call('POST', '/v1/keys', {
        name: `load-${i}`,
        namespace: 'production',
        algorithm,
      })
      assert.equal(status, 201)
      return { id: body.id, algorithm: body.algorithm, publicKey: body.public_key }
    }),
  )
}

/** As if the host had set it: for every session that is opened from now on, and all present ones are ended. */
async function setSynchronousCommit(value: 'on' | 'off'): Promise<void> {
  const database = await instance.database()
  await database.query(`alter database popsigner set synchronous_commit = ${value}`)
  await database.query(
    `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`,
  )
  await database.end()
  await untilReady()
}

async function kill(victim: Victim): Promise<void> {
  if (victim === 'supervisor') {
    const gone = new Promise((resolve) => instance.supervisor.once('exit', resolve))
    instance.supervisor.kill('SIGKILL')
    await gone
    return
  }
  const { postgres, ...others } = instance.processes()
  const pid = victim === 'backend' ? backendOf(postgres) : victim === 'postgres' ? postgres : others[victim]
  assert.ok(pid > 0, `no ${victim} to kill`)
  process.kill(pid, 'SIGKILL')
}

/** A process of PostgreSQL's that serves a connection; killing one makes the postmaster end all of them and recover. */
function backendOf(postmaster: number): number {
  for (const name of readdirSync('/proc')) {
    try {
      const parent = / \S (\d+) /.exec(readFileSync(`/proc/${name}/stat`, 'latin1').replace(/^.*\)/, ''))?.[1]
      if (Number(parent) === postmaster && /popsigner popsigner/.test(readFileSync(`/proc/${name}/cmdline`, 'latin1')))
        return Number(name)
    } catch {
      // No process, or gone meanwhile.
    }
  }
  return 0
}

async function untilReady(): Promise<void> {
  const until = Date.now() + 60_000
  let last = ''
  while (Date.now() < until) {
    try {
      const { status, body } = await call(instance.url, instance.token, 'GET', '/readyz')
      if (status === 200) return
      last = JSON.stringify(body)
    } catch (error) {
      last = String(error)
    }
    await pause(50)
  }
  throw new Error(`the instance does not come back: ${last}\n${instance.output().slice(-3000)}`)
}

function watchCheckpoints(
  into: HandedOut[],
  log: { checkpoint(): Promise<HandedOut | null> },
): { stop(): Promise<void> } {
  let stopped = false
  const running = (async () => {
    while (!stopped) {
      const found = await log.checkpoint().catch((error: Error) => {
        if (error.name === 'TypeError' || /50[03]/.test(error.message)) return null
        throw error
      })
      if (found && found.size !== into.at(-1)?.size) into.push(found)
      await pause(100)
    }
  })()
  return {
    async stop() {
      stopped = true
      await running
    },
  }
}

/** Runs `each` over all, `lanes` at a time. */
async function eachOf<T>(all: readonly T[], lanes: number, each: (one: T) => Promise<void>): Promise<void> {
  let next = 0
  await Promise.all(
    Array.from({ length: lanes }, async () => {
      while (next < all.length) await each(all[next++] as T)
    }),
  )
}
