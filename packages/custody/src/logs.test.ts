import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { fromHex, hex, utf8 } from '@popsigner/crypto/bytes'
import { encodeCbor } from '@popsigner/crypto/cbor'
import { encodeTypeId } from '@popsigner/crypto/typeid'
import { NOTE_COSIGNATURE, NOTE_ED25519, verifierKey, verifyCheckpoint } from '@popsigner/transparency/checkpoint'
import { buildLeaf, type LeafInput } from '@popsigner/transparency/record'
import { statementHash } from '@popsigner/transparency/statement'
import { createStatementAuditor, type StatementReport } from '@popsigner/transparency/statements'
import type { SignerClient } from './client.ts'
import type { SignItem, Statement } from './custodian.ts'
import { encodeHostAction, hostMac } from './host-action.ts'
import { openLedger } from './ledger.ts'
import {
  connectTo,
  instance,
  makeItem,
  makeKey,
  makeLog,
  newId,
  type Rig,
  refusalOf,
  signatureOf,
  startRig,
  startSigner,
  type TestLog,
} from './signer.fixture.ts'

let rig: Rig
let client: SignerClient

beforeEach(async () => {
  rig = await startRig()
  client = rig.client
})
afterEach(async () => {
  await client.close()
  await rig.close()
})

async function checkpoint(log: TestLog, from: number, size: number = log.size) {
  const [result] = await client.checkpoint([{ ...(await log.extension(from, size)), ...log.keys }])
  return result
}

async function fill(log: TestLog, count: number): Promise<SignItem[]> {
  const key = await makeKey(client, log)
  return Array.from({ length: count }, (_, i) => makeItem(log, key, Uint8Array.of(i)))
}

const ledgerPath = (): string => join(rig.place.directory, 'custody/ledger')
const readLedger = () => openLedger(ledgerPath(), instance, 0)

test('a checkpoint is a signed note of the log, cosigned by the instance with its time', async () => {
  const log = await makeLog(client)
  await fill(log, 5)
  const result = await checkpoint(log, 0)
  assert.equal(result?.kind, 'signed')
  const logKey = verifierKey(log.name, NOTE_ED25519, log.keys.logPublicKey)
  const identity = verifierKey(instance, NOTE_COSIGNATURE, rig.place.identity)
  const verified = verifyCheckpoint(result?.kind === 'signed' ? result.note : '', logKey, [identity])
  assert.equal(verified?.size, 5)
  assert.equal(hex(verified?.root ?? new Uint8Array(0)), hex(log.root()))
  const cosigned = verified?.signedBy.find(({ key }) => key === identity)?.unixSeconds ?? 0
  assert.ok(Math.abs(cosigned - Date.now() / 1000) < 5)
})

test('a checkpoint that does not extend the ledger is refused, and nothing of that log is signed any more', async () => {
  const log = await makeLog(client)
  const items = await fill(log, 4)
  assert.equal((await checkpoint(log, 0))?.kind, 'signed')
  const more = await fill(log, 3)
  assert.equal((await checkpoint(log, 4))?.kind, 'signed')
  assert.equal((await checkpoint(log, 7))?.kind, 'signed', 'the same size and root again')

  const older = await checkpoint(log, 4, 5)
  assert.deepEqual(older?.kind === 'refused' && [older.code, older.head?.size], ['log.moved', 7])
  const [smaller] = await client.checkpoint([{ ...(await log.extension(7)), size: 5, root: log.root(5), ...log.keys }])
  assert.equal(smaller?.kind === 'refused' && smaller.code, 'log.behind')

  const fork = {
    organization: log.organization,
    from: 7,
    size: 8,
    root: new Uint8Array(32).fill(1),
    path: [log.root(7)],
  }
  const [forked] = await client.checkpoint([{ ...fork, ...log.keys }])
  assert.equal(forked?.kind === 'refused' && forked.code, 'log.behind')
  const { results } = await client.sign([more[0] as SignItem])
  assert.equal(refusalOf(results[0]), 'log.unproven')
  assert.equal((await client.prove([await log.extension(7)]))[0]?.kind, 'proven')
  assert.equal(refusalOf((await client.sign([items[0] as SignItem])).results[0]), 'signed')
})

test('one refused log of a list stops no other', async () => {
  const logs = [await makeLog(client), await makeLog(client), await makeLog(client)]
  for (const log of logs) await fill(log, 2)
  const requests = await Promise.all(logs.map(async (log) => ({ ...(await log.extension(0)), ...log.keys })))
  requests[1] = { ...(requests[1] as (typeof requests)[0]), from: 1 }
  requests[2] = { ...(requests[2] as (typeof requests)[0]), logKey: (logs[0] as TestLog).keys.logKey }
  const results = await client.checkpoint(requests)
  const kinds = results.map((result) => (result.kind === 'signed' ? 'signed' : result.code))
  assert.deepEqual(kinds, ['signed', 'log.moved', 'custody.not_opened'])
})

test('the ledger has a checkpoint before its signature leaves: kill -9 after the answer loses nothing', async () => {
  const log = await makeLog(client)
  await fill(log, 3)
  for (let round = 0; round < 4; round++) {
    const from = (await client.heads([log.organization]))[0]?.size ?? -1
    makeItem(log, await makeKey(client, log), Uint8Array.of(round))
    assert.equal((await checkpoint(log, from))?.kind, 'signed')
    await rig.running.kill('SIGKILL')
    const kept = readLedger().logs.get(hex(log.organization))
    assert.equal(kept?.size, log.size)
    assert.equal(hex(kept?.root ?? new Uint8Array(0)), hex(log.root()))
    const back = new Promise((resolve) => client.once('connected', resolve))
    await rig.start()
    await back
    assert.equal((await client.prove([await log.extension(log.size)]))[0]?.kind, 'proven')
  }
})

test('after a connect nothing is signed for a log before it is proven', async () => {
  const log = await makeLog(client)
  const items = await fill(log, 3)
  await checkpoint(log, 0)
  await rig.restart()
  const sign = async (): Promise<string> => refusalOf((await client.sign([items[0] as SignItem])).results[0])
  assert.equal(await sign(), 'log.unproven')
  await assert.rejects(makeKey(client, log), { code: 'log.unproven' })
  const second = await connectTo(rig.place)
  assert.equal((await client.prove([await log.extension(3)]))[0]?.kind, 'proven')
  assert.equal(await sign(), 'signed')
  assert.equal(refusalOf((await second.sign([items[1] as SignItem])).results[0]), 'log.unproven')
  await second.close()
})

test("yesterday's database: a log that is shorter than the ledger's is behind", async () => {
  const log = await makeLog(client)
  const items = await fill(log, 10)
  await checkpoint(log, 0)
  await rig.restart()
  const [head] = await client.heads([log.organization])
  assert.equal(head?.size, 10)
  const yesterday = { organization: log.organization, from: 10, size: 6, root: log.root(6), path: [] }
  const [result] = await client.prove([yesterday])
  assert.equal(result?.kind === 'refused' && result.code, 'log.behind')
  assert.equal(refusalOf((await client.sign([items[0] as SignItem])).results[0]), 'log.unproven')
})

function host(action: { size: number; root: Uint8Array; organization: Uint8Array }) {
  const content = encodeHostAction({ action: 'accept-checkpoint', ...action })
  const key = new Uint8Array(readFileSync(join(rig.place.directory, 'custody/host.key')))
  return { content, mac: (nonce: Uint8Array) => hostMac(key, nonce, content) }
}

test('a lost ledger beside a log that is not empty signs nothing until the host hands a checkpoint', async () => {
  const log = await makeLog(client)
  const items = await fill(log, 4)
  await checkpoint(log, 0)
  await rig.restart(() => rmSync(ledgerPath()))
  assert.equal(client.capabilities?.ledger.replaced, true)
  const sign = async (): Promise<string> => refusalOf((await client.sign([items[0] as SignItem])).results[0])
  assert.equal(await sign(), 'log.behind')
  assert.equal((await client.heads([log.organization]))[0], null)
  const extension = await log.extension(0)
  const [refused] = await client.prove([extension])
  assert.equal(refused?.kind === 'refused' && refused.code, 'log.behind')
  // Beginning the log anew is no way around the host, nor is another start.
  await assert.rejects(client.createLog(log.organization), { code: 'log.behind' })
  await rig.restart()
  await assert.rejects(client.createLog(log.organization), { code: 'log.behind' })
  assert.equal(await sign(), 'log.behind')

  const { content, mac } = host({ organization: log.organization, size: 4, root: log.root() })
  const forged = await client.hostNonce()
  await assert.rejects(client.hostAction(forged, content, new Uint8Array(32)), { code: 'custody.host_refused' })
  await assert.rejects(client.hostAction(forged, content, mac(forged)), { code: 'custody.host_refused' })
  const invented = new Uint8Array(32).fill(5)
  await assert.rejects(client.hostAction(invented, content, mac(invented)), { code: 'custody.host_refused' })
  const nonce = await client.hostNonce()
  const other = host({ organization: log.organization, size: 3, root: log.root(3) })
  await assert.rejects(client.hostAction(nonce, other.content, mac(nonce)), { code: 'custody.host_refused' })
  assert.equal(await sign(), 'log.behind')

  const good = await client.hostNonce()
  await client.hostAction(good, content, mac(good))
  await assert.rejects(client.hostAction(good, content, mac(good)), { code: 'custody.host_refused' })
  assert.equal(await sign(), 'log.unproven')
  assert.equal((await client.prove([await log.extension(4)]))[0]?.kind, 'proven')
  assert.equal(await sign(), 'signed')
  // A new organization is no concern of the lost ledger.
  assert.equal((await makeLog(client)).size, 0)
})

test('the host may accept a loss: the ledger goes back, and every connection proves the log again', async () => {
  const log = await makeLog(client)
  const items = await fill(log, 8)
  await checkpoint(log, 0)
  const nonce = await client.hostNonce()
  const { content, mac } = host({ organization: log.organization, size: 5, root: log.root(5) })
  await client.hostAction(nonce, content, mac(nonce))
  assert.equal((await client.heads([log.organization]))[0]?.size, 5)
  assert.equal(refusalOf((await client.sign([items[0] as SignItem])).results[0]), 'log.unproven')
  assert.equal((await client.prove([await log.extension(5, 6)]))[0]?.kind, 'proven')
})

test('while the ledger cannot be written no checkpoint leaves and nothing is signed; then it goes on by itself', async () => {
  const log = await makeLog(client)
  const items = await fill(log, 2)
  const sign = async (): Promise<string> => refusalOf((await client.sign([items[0] as SignItem])).results[0])
  assert.equal(await sign(), 'signed')
  const beside = `${ledgerPath()}.new`
  mkdirSync(beside)
  await assert.rejects(checkpoint(log, 0), { code: 'custody.ledger_failed' })
  assert.equal(await sign(), 'custody.ledger_failed')
  assert.equal((await client.hello()).ledger.healthy, false)
  rmSync(beside, { recursive: true })
  await new Promise((resolve) => setTimeout(resolve, 1500))
  assert.equal(await sign(), 'signed')
  assert.equal((await checkpoint(log, 2))?.kind, 'signed', 'the head had moved in memory')
})

test('what the host authorized but is no action is refused', async () => {
  const key = new Uint8Array(readFileSync(join(rig.place.directory, 'custody/host.key')))
  const contents = [
    encodeCbor({ action: 'accept-all', organization: newId(), size: 0, root: new Uint8Array(32) }),
    encodeCbor({ action: 'accept-checkpoint', organization: newId(), size: 0, root: new Uint8Array(31) }),
    encodeCbor({ action: 'accept-checkpoint', organization: newId(), size: 0 }),
    encodeCbor(null),
    new Uint8Array(0),
  ]
  for (const content of contents) {
    const nonce = await client.hostNonce()
    const action = client.hostAction(nonce, content, hostMac(key, nonce, content))
    await assert.rejects(action, { code: 'custody.request_refused' })
  }
})

test('a damaged ledger stops the start, and the term of a promotion never goes back', async () => {
  await client.close()
  client = await connectTo(rig.place, 7)
  await client.close()
  await rig.running.kill()
  await rig.start()
  await assert.rejects(connectTo(rig.place, 6), { code: 'custody.term_behind', detail: { term: 7 } })
  client = await connectTo(rig.place, 7)
  await rig.running.kill()
  writeFileSync(ledgerPath(), readFileSync(ledgerPath()).subarray(0, -1))
  await assert.rejects(startSigner(rig.place), /ledger: damaged/)
})

test('a repeat needs a proof of its leaf against a checkpoint of the ledger, and is not counted again', async () => {
  const log = await makeLog(client)
  const [item] = (await fill(log, 6)) as [SignItem]
  const first = await client.sign([item])
  assert.equal((await checkpoint(log, 0))?.kind, 'signed')
  const again = { ...item, attempt: 2, deadline: Date.now() + 10_000 }
  const outcome = async (changes: Partial<SignItem>): Promise<string> =>
    refusalOf((await client.sign([{ ...again, ...changes }])).results[0])
  const path = await log.inclusion(0, 6)
  assert.equal(await outcome({}), 'custody.proof_stale')
  assert.equal(await outcome({ proof: { size: 5, path } }), 'custody.proof_stale')
  assert.equal(await outcome({ proof: { size: 6, path: path.slice(1) } }), 'custody.proof_stale')
  assert.equal(await outcome({ proof: { size: 6, path: path.map(() => new Uint8Array(32)) } }), 'custody.proof_stale')
  assert.equal(await outcome({ index: 1, proof: { size: 6, path } }), 'custody.proof_stale')

  const proven = { ...again, proof: { size: 6, path } }
  const repeat = await client.sign([proven])
  assert.deepEqual(signatureOf(repeat.results[0]), signatureOf(first.results[0]))
  makeItem(log, await makeKey(client, log), utf8('more'))
  await checkpoint(log, 6)
  assert.deepEqual(
    signatureOf((await client.sign([proven])).results[0]),
    signatureOf(first.results[0]),
    'an older checkpoint',
  )
  const [answer] = await client.statement([{ organization: log.organization, last: null }])
  assert.deepEqual([answer?.statement?.count, answer?.statement?.runs], [1, [[0, 0]]])
})

/** Appends a statement's record as the server does, and answers the hash that the next request names. */
function record(log: TestLog, statement: Statement): Uint8Array {
  const common = { id: encodeTypeId('rec', newId()), time: new Date().toISOString(), actor: 'signer' }
  log.append(buildLeaf({ ...common, ...statement, event: 'signer.statement' } as LeafInput))
  return fromHex(statementHash(statement))
}

function audit(log: TestLog): StatementReport {
  const auditor = createStatementAuditor({ log: log.name, signer: rig.place.identity })
  for (const leaf of log.leaves) auditor.add(leaf)
  return auditor.report()
}

test('statements account for every signature, across restarts, as an auditor reads them', async () => {
  const log = await makeLog(client)
  const ask = async (last: Uint8Array | null): Promise<Statement | null> =>
    (await client.statement([{ organization: log.organization, last }]))[0]?.statement ?? null
  assert.equal(await ask(null), null)
  const items = await fill(log, 6)
  const order = [items[2], items[3], items[0], items[5]] as SignItem[]
  await client.sign(order)
  const first = (await ask(null)) as Statement
  assert.deepEqual(first.runs, [
    [2, 3],
    [0, 0],
    [5, 5],
  ])
  assert.deepEqual([first.count, first.reason, first.boot], [4, 'minute', rig.running.ready.boot])
  assert.deepEqual(await ask(null), first, 'a statement that did not reach the log is answered again')
  let last = record(log, first)
  assert.equal(await ask(last), null, 'nothing was signed since')

  await client.sign([items[1] as SignItem])
  await rig.restart(undefined, 'SIGTERM')
  await client.prove([await log.extension(0)])
  await client.sign([items[4] as SignItem])
  const second = (await ask(last)) as Statement
  assert.deepEqual(
    [second.count, second.reason, second.runs],
    [
      6,
      'restart',
      [
        [1, 1],
        [4, 4],
      ],
    ],
  )
  assert.equal(second.previous, statementHash(first))
  await rig.restart()
  assert.deepEqual(await ask(last), second, 'it was on disk before it was answered')
  last = record(log, second)
  const third = (await ask(last)) as Statement
  assert.deepEqual([third.count, third.reason, third.runs], [6, 'restart', []])
  record(log, third)

  const report = audit(log)
  assert.deepEqual(report.problems, [])
  assert.deepEqual([report.statements, report.attested, report.attestedNotInLog], [3, 6, 0])
})

test('a control plane that signs beside the log shows in the next statement', async () => {
  const log = await makeLog(client)
  const items = await fill(log, 3)
  await client.sign(items)
  const key = await makeKey(client, log)
  const beside = makeItem(log, key, utf8('beside the log'))
  log.leaves.pop()
  await client.sign([beside])
  const [answer] = await client.statement([{ organization: log.organization, last: null }])
  record(log, answer?.statement as Statement)
  const report = audit(log)
  assert.ok(report.problems.length > 0)
  assert.equal(report.attestedNotInLog, 1)
})

test('after 128 runs the answer asks for a statement, and without one the 193rd run is refused', async () => {
  const log = await makeLog(client)
  const items = (await fill(log, 400)).filter((_, i) => i % 2 === 0)
  const early = await client.sign(items.slice(0, 127))
  assert.deepEqual(early.statementDue, [])
  const due = await client.sign(items.slice(127, 192))
  assert.deepEqual(due.statementDue.map(hex), [hex(log.organization)])
  assert.ok(due.results.every(({ kind }) => kind === 'signed'))
  assert.equal(refusalOf((await client.sign([items[192] as SignItem])).results[0]), 'custody.statement_due')
  const [answer] = await client.statement([{ organization: log.organization, last: null }])
  assert.deepEqual([answer?.statement?.reason, answer?.statement?.runs.length], ['runs', 192])
  assert.equal(refusalOf((await client.sign([items[192] as SignItem])).results[0]), 'signed')
  record(log, answer?.statement as Statement)
  assert.deepEqual(audit(log).problems, [])
})
