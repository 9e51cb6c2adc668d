import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ed25519 } from '@noble/curves/ed25519.js'
import { base64, hex } from '@popsigner/crypto/bytes'
import { sha256 } from '@popsigner/crypto/hash-native'
import fc from 'fast-check'
import type { LeafOf } from './events.ts'
import { leafHash } from './merkle.ts'
import { buildLeaf, type LeafRecord } from './record.ts'
import { sampleRecord } from './records.fixture.ts'
import {
  addToRuns,
  emptyChain,
  extendChain,
  NO_STATEMENT,
  type StatementBody,
  statementHash,
  statementMessage,
} from './statement.ts'
import { createStatementAuditor, type StatementProblemCode, type StatementReport } from './statements.ts'

const log = sampleRecord.log
const start = Date.parse('2026-11-20T10:00:00.000Z')

interface SignerState {
  count: number
  chain: Uint8Array
  runs: [number, number][]
  previous: string
}

/** A signer's side of it, and a log whose records can be tampered with between the two. */
function createWorld(secret = new Uint8Array(32).fill(3)) {
  const leaves: Uint8Array[] = []
  let state: SignerState = { count: 0, chain: emptyChain(), runs: [], previous: NO_STATEMENT }
  let seconds = 0
  const identity = ed25519.getPublicKey(secret)
  const at = (): string => new Date(start + seconds * 1000).toISOString()
  const world = {
    identity,
    leaves,
    wait(by: number) {
      seconds += by
    },
    append(record: LeafRecord): number {
      leaves.push(buildLeaf(record))
      return leaves.length - 1
    },
    /** A record of a signature, at the next index. */
    authorize(change: Partial<LeafOf<'key.signed'>> = {}): number {
      return world.append({
        ...sampleRecord,
        time: at(),
        digest: hex(sha256(Uint8Array.of(leaves.length, 1))),
        ...change,
      })
    },
    /** The signer signs what lies at `index`, or the leaf it is shown for it. */
    sign(index: number, leaf = leaves[index] as Uint8Array) {
      state.chain = extendChain(state.chain, index, leafHash(leaf, sha256), sha256)
      state.count += 1
      addToRuns(state.runs, index)
    },
    statement(change: Partial<StatementBody> = {}, by = secret): LeafOf<'signer.statement'> {
      const body: StatementBody = {
        log,
        signer: hex(identity),
        boot: '00'.repeat(16),
        count: state.count,
        chain: hex(state.chain),
        runs: state.runs,
        previous: state.previous,
        reason: 'minute',
        at: at(),
        ...change,
      }
      const signature = base64(ed25519.sign(statementMessage(body), by))
      state = { ...state, runs: [], previous: statementHash(body) }
      const { id, time } = { id: sampleRecord.id, time: at() }
      return { v: 1, id, time, event: 'signer.statement', actor: 'signer', ...body, signature }
    },
    state: (): SignerState => structuredClone(state),
    restore(earlier: SignerState) {
      state = structuredClone(earlier)
    },
    audit(signer = identity): StatementReport {
      const auditor = createStatementAuditor({ log, signer, hasher: sha256 })
      for (const leaf of leaves) auditor.add(leaf)
      assert.equal(auditor.nextIndex, leaves.length)
      return auditor.report()
    },
  }
  return world
}

const codes = (report: StatementReport): StatementProblemCode[] => report.problems.map(({ code }) => code)

test('the chain, the message and the hash are what the format says', () => {
  const index = 2 ** 40 + 7
  const leaf = new Uint8Array(32).fill(9)
  const position = Buffer.alloc(8)
  position.writeBigUInt64BE(BigInt(index))
  assert.deepEqual(extendChain(emptyChain(), index, leaf), sha256(new Uint8Array(32), position, leaf))
  const world = createWorld()
  const statement = world.statement()
  assert.equal(
    new TextDecoder().decode(statementMessage(statement)),
    `popsigner/v1/statement\n{"at":"2026-11-20T10:00:00.000Z","boot":"${'00'.repeat(16)}","chain":"${'0'.repeat(64)}",` +
      `"count":0,"log":"${log}","previous":"${'0'.repeat(64)}","reason":"minute","runs":[],"signer":"${hex(world.identity)}"}`,
  )
  assert.equal(statementHash(statement), hex(sha256(statementMessage(statement))))
  assert.throws(() => extendChain(new Uint8Array(31), 0, leaf), RangeError)
  assert.throws(() => extendChain(emptyChain(), -1, leaf), RangeError)
  assert.throws(() => extendChain(emptyChain(), 0, leaf.slice(1)), RangeError)
  const runs: [number, number][] = []
  for (const one of [3, 4, 5, 7, 6, 8]) addToRuns(runs, one)
  assert.deepEqual(runs, [
    [3, 5],
    [7, 7],
    [6, 6],
    [8, 8],
  ])
})

test('an honest log, signed out of order, with records of other events between', () => {
  const world = createWorld()
  for (let minute = 0; minute < 4; minute++) {
    const indexes = Array.from({ length: 9 }, () => world.authorize())
    world.append(cancelled)
    for (const index of [...indexes.slice(4), ...indexes.slice(0, 4).reverse()]) world.sign(index)
    world.wait(60)
    world.append(world.statement())
  }
  const report = world.audit()
  assert.deepEqual(codes(report), [])
  assert.equal(report.attested, 36)
  assert.equal(report.statements, 4)
  assert.equal(report.pending + report.neverSigned + report.attestedNotInLog, 0)
  assert.equal(report.lastStatementAt, new Date(start + 240_000).toISOString())
})

test('honest gaps: authorized and never signed is counted and is no problem', () => {
  const world = createWorld()
  const indexes = Array.from({ length: 10 }, () => world.authorize())
  for (const index of indexes.filter((one) => one % 3 !== 0)) world.sign(index)
  world.append(world.statement())
  assert.deepEqual([world.audit().pending, world.audit().neverSigned], [4, 0])
  assert.equal(world.audit().oldestPending, new Date(start).toISOString())
  world.wait(300)
  world.sign(world.authorize())
  world.append(world.statement())
  const report = world.audit()
  assert.deepEqual(codes(report), [])
  assert.deepEqual([report.pending, report.neverSigned, report.attested], [0, 4, 7])
})

test('a statement claims what was signed just before it was made, and a later one what came after', () => {
  const world = createWorld()
  const [a, b] = [world.authorize(), world.authorize()]
  world.sign(a)
  const first = world.statement()
  world.sign(b)
  world.wait(9)
  world.append(first)
  world.wait(60)
  world.append(world.statement())
  assert.deepEqual(codes(world.audit()), [])
})

test('a crashed signer goes on from its ledger: what it forgot is unattested, not wrong', () => {
  const world = createWorld()
  for (const _ of [1, 2, 3]) world.sign(world.authorize())
  const ledger = world.state()
  for (const _ of [1, 2]) world.sign(world.authorize())
  world.restore(ledger)
  world.append(world.statement({ reason: 'restart', boot: '11'.repeat(16) }))
  const report = world.audit()
  assert.deepEqual(codes(report), [])
  assert.deepEqual([report.attested, report.pending], [3, 2])
})

test('a signature beside the log: the count does not come out', () => {
  const world = createWorld()
  world.sign(world.authorize())
  const beside = world.state()
  world.sign(1, buildLeaf({ ...sampleRecord, version: 66 }))
  // A signer that also hid the index from its runs.
  const { count, chain } = world.state()
  world.restore({ ...beside, count, chain })
  world.append(world.statement())
  const report = world.audit()
  assert.deepEqual(codes(report), ['statement.count'])
  assert.equal(report.attestedNotInLog, 1)
})

test('a signature beside the log: its index is not in the log yet, or holds another event', () => {
  const world = createWorld()
  world.append(cancelled)
  world.sign(0)
  world.sign(70, buildLeaf(sampleRecord))
  world.append(world.statement())
  const report = world.audit()
  assert.deepEqual(codes(report), ['statement.run', 'statement.run'])
  assert.equal(report.attestedNotInLog, 2)
})

test('a signature beside the log: another leaf was shown to the signer for an index of the log', () => {
  const world = createWorld()
  const index = world.authorize()
  world.sign(index, buildLeaf({ ...sampleRecord, version: 66 }))
  world.append(world.statement())
  assert.deepEqual(codes(world.audit()), ['statement.chain'])
})

test('a repeated index is claimed once only, in one statement and across two', () => {
  const once = createWorld()
  const index = once.authorize()
  once.sign(index)
  once.sign(index)
  once.append(once.statement())
  assert.deepEqual(codes(once.audit()), ['statement.run'])
  const twice = createWorld()
  twice.sign(twice.authorize())
  twice.append(twice.statement())
  twice.sign(0)
  twice.append(twice.statement())
  const report = twice.audit()
  assert.deepEqual(codes(report), ['statement.run'])
  assert.equal(report.attestedNotInLog, 1)
})

test('a dropped statement shows in the next one, and what follows is checked again', () => {
  const world = createWorld()
  world.sign(world.authorize())
  world.statement()
  world.sign(world.authorize())
  world.append(world.statement())
  world.sign(world.authorize())
  world.append(world.statement())
  const report = world.audit()
  assert.deepEqual(codes(report), ['statement.previous'])
  assert.equal(report.attested, 2)
  assert.equal(report.pending, 1)
})

test('a statement that is repeated in the log shows', () => {
  const world = createWorld()
  world.sign(world.authorize())
  const statement = world.statement()
  world.append(statement)
  world.append(statement)
  assert.deepEqual(codes(world.audit()), ['statement.previous', 'statement.run'])
})

test('a changed record shows as a changed chain, a changed order too', () => {
  const world = createWorld()
  for (const index of [world.authorize(), world.authorize(), world.authorize()]) world.sign(index)
  world.append(world.statement())
  const leaves = [...world.leaves]
  const swap = (index: number, leaf: Uint8Array): StatementProblemCode[] => {
    world.leaves.splice(0, world.leaves.length, ...leaves)
    world.leaves[index] = leaf
    return codes(world.audit())
  }
  assert.deepEqual(swap(1, buildLeaf({ ...sampleRecord, time: '2026-11-20T10:00:00.001Z' })), ['statement.chain'])
  assert.deepEqual(swap(1, buildLeaf(cancelled)), ['statement.run'])
  world.leaves.splice(
    0,
    4,
    leaves[1] as Uint8Array,
    leaves[0] as Uint8Array,
    leaves[2] as Uint8Array,
    leaves[3] as Uint8Array,
  )
  assert.deepEqual(codes(world.audit()), ['statement.chain'])
})

test('a statement by another identity, or changed after signing, is passed over and reported', () => {
  const world = createWorld()
  world.sign(world.authorize())
  world.append(world.statement())
  const other = ed25519.getPublicKey(new Uint8Array(32).fill(4))
  const foreign = world.audit(other)
  assert.deepEqual(codes(foreign), ['statement.signer'])
  assert.deepEqual([foreign.attested, foreign.pending, foreign.statements], [0, 1, 0])
  const forged = createWorld()
  forged.sign(forged.authorize())
  forged.append(forged.statement({}, new Uint8Array(32).fill(4)))
  assert.deepEqual(codes(forged.audit()), ['statement.signature'])
  const changed = createWorld()
  changed.authorize()
  const statement = changed.statement()
  changed.append({ ...statement, runs: [[0, 0]], count: 1 })
  assert.deepEqual(codes(changed.audit()), ['statement.signature'])
})

test('leaves of another log and leaves that are none are reported with their index', () => {
  const world = createWorld()
  world.authorize({ log: 'keys.example.com/org_01h455vb4pex5vsknk084sn02w' })
  world.leaves.push(Uint8Array.of(1, 2, 3))
  assert.deepEqual(
    world.audit().problems.map(({ code, index }) => [code, index]),
    [
      ['leaf.foreign', 0],
      ['leaf.invalid', 1],
    ],
  )
})

test('a run of astronomic length is refused without walking it', () => {
  const world = createWorld()
  world.authorize()
  world.append(world.statement({ runs: [[0, Number.MAX_SAFE_INTEGER - 1]], count: 5 }))
  const report = world.audit()
  assert.ok(codes(report).includes('statement.run'))
  assert.equal(report.attested, 0)
})

test('claiming a record long after it could be signed is reported', () => {
  const world = createWorld()
  const late = world.authorize()
  world.wait(120)
  world.append(world.statement())
  world.wait(60)
  world.sign(late)
  world.append(world.statement())
  const report = world.audit()
  assert.deepEqual(codes(report), ['statement.run'])
  assert.equal(report.neverSigned, 1)
})

test('removed leaves can be claimed by their hash and are not counted where they are not', () => {
  const world = createWorld()
  for (let minute = 0; minute < 3; minute++) {
    const indexes = [world.authorize(), world.authorize(), world.authorize()]
    world.sign(indexes[2] as number)
    world.wait(60)
    world.append(world.statement())
    // Signed after the statement was made but claimed by the next, as happens at the edge of a minute.
    world.sign(world.authorize())
  }
  world.wait(60)
  world.append(world.statement())
  const auditor = createStatementAuditor({ log, signer: world.identity, hasher: sha256 })
  for (const leaf of world.leaves) {
    if (new TextDecoder().decode(leaf).includes('"event":"key.signed"')) auditor.addRemoved(leafHash(leaf))
    else auditor.add(leaf)
  }
  const report = auditor.report()
  assert.deepEqual(codes(report), [])
  assert.deepEqual([report.attested, report.pending, report.neverSigned], [6, 0, 0])
  assert.throws(() => auditor.addRemoved(new Uint8Array(31)), RangeError)
})

test('an accepted loss is counted, and what the signer signed in it shows', () => {
  const world = createWorld()
  world.sign(world.authorize())
  world.append(world.statement())
  world.sign(world.authorize())
  world.leaves.pop()
  world.append(rollback)
  world.append(world.statement())
  const report = world.audit()
  assert.equal(report.rollbacks, 1)
  assert.deepEqual(codes(report), ['statement.run'])
})

test('property: any honest history is without problems, and all of it is accounted for', () => {
  const steps = fc.array(fc.constantFrom('authorize', 'sign', 'skip', 'statement'), { maxLength: 120 })
  fc.assert(
    fc.property(steps, (history) => {
      const world = createWorld()
      const open: { index: number; second: number }[] = []
      let signed = 0
      let authorized = 0
      for (const [second, step] of history.entries()) {
        world.wait(1)
        if (step === 'statement') world.append(world.statement())
        else if (step === 'authorize') {
          open.push({ index: world.authorize(), second })
          authorized += 1
        } else {
          const item = step === 'sign' ? open.pop() : open.shift()
          // The signer refuses what is older than its deadline.
          if (step === 'skip' || !item || second - item.second > 10) continue
          world.sign(item.index)
          signed += 1
        }
      }
      world.append(world.statement())
      const report = world.audit()
      assert.deepEqual(codes(report), [])
      assert.equal(report.attested, signed)
      assert.equal(report.attested + report.pending + report.neverSigned, authorized)
    }),
    { numRuns: 60 },
  )
})

const cancelled: LeafOf<'key.deletion_cancelled'> = {
  v: 1,
  log,
  id: sampleRecord.id,
  time: sampleRecord.time,
  event: 'key.deletion_cancelled',
  actor: 'host',
  key: sampleRecord.key,
}

const rollback: LeafOf<'log.rollback_accepted'> = {
  v: 1,
  log,
  id: sampleRecord.id,
  time: sampleRecord.time,
  event: 'log.rollback_accepted',
  actor: 'host',
  size: 2,
  root: '00'.repeat(32),
  lost_size: 3,
}
