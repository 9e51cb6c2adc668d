import assert from 'node:assert/strict'
import { test } from 'node:test'
import { base64, hex } from '@popsigner/crypto/bytes'
import { sha256 } from '@popsigner/crypto/hash'
import { leafHash, rootOf } from '@popsigner/transparency/merkle'
import { committedFields, parseLeaf } from '@popsigner/transparency/record'
import { auditEntries, type LogEntry } from './audit-log.ts'
import { PopSigner } from './client.ts'
import { answersOf, createTestLog, fetchOf, type SeenRequest, signedLeaf, type TestLog } from './rogue-server.ts'

const digest = hex(sha256(new Uint8Array(0)))
const signature = signedLeaf({
  public_key: `02${'11'.repeat(32)}`,
  algorithm: 'secp256k1',
  hash: 'sha256',
  digest,
  data_hash: digest,
})

/** A log with signatures, two statements over them and one that is not yet covered. */
function longLog(): TestLog {
  const log = createTestLog()
  log.append({ event: 'auth.api_key_used' })
  const first = [log.append(signature), log.append(signature)]
  log.append({ event: 'auth.denied', code: 'auth.invalid', count: 3 })
  log.appendStatement(first)
  log.appendStatement([log.append(signature)])
  log.append(signature)
  return log
}

/** The entries as the list answers them. */
function entriesOf(log: TestLog): LogEntry[] {
  return log.leaves.map((bytes, leaf_index) => {
    const leaf = parseLeaf(bytes)
    const {
      id,
      event,
      actor,
      time,
      v: _v,
      log: _log,
      request,
      key,
      ...own
    } = leaf as typeof leaf & Record<string, never>
    const committed = committedFields(leaf)
    const metadata = Object.fromEntries(Object.entries(own).filter(([name]) => !committed.includes(name)))
    if (typeof metadata['data_hash'] === 'string') metadata['data_hash'] = `sha256:${metadata['data_hash']}` as never
    return {
      ...{
        id,
        event,
        actor,
        timestamp: time,
        request_id: request ?? null,
        key_id: key ?? null,
        ip_address: null,
        user_agent: null,
      },
      ...{ leaf_index, metadata, leaf_data: base64(bytes) },
    } as LogEntry
  })
}

function basisOf(log: TestLog, size = log.leaves.length) {
  const root = rootOf(log.leaves.slice(0, size).map((leaf) => leafHash(leaf)))
  return { checkpoint: { log: log.log, size, root }, identity: log.identity }
}

const codes = (audit: Awaited<ReturnType<typeof auditEntries>>) => audit.problems.map(({ code }) => code)

test('a whole log comes out well, with counts', async () => {
  const log = longLog()
  const audit = await auditEntries(entriesOf(log), basisOf(log))
  assert.deepEqual(audit.problems, [])
  assert.equal(audit.ok, true)
  assert.equal(audit.leaves, 8)
  assert.deepEqual(
    { ...audit.events },
    { 'auth.api_key_used': 1, 'key.signed': 4, 'auth.denied': 1, 'signer.statement': 2 },
  )
  assert.equal(audit.statements.attested, 3)
  assert.equal(audit.statements.pending, 1)
})

test('it reads to the size of the checkpoint and not further', async () => {
  const log = longLog()
  const audit = await auditEntries(entriesOf(log), basisOf(log, 5))
  assert.equal(audit.ok, true)
  assert.equal(audit.leaves, 5)
})

test('each change to a leaf, its order or its presence is found', async () => {
  const log = longLog()
  const basis = basisOf(log)
  const other = createTestLog()
  other.append({ event: 'auth.denied', code: 'auth.invalid', count: 4 })
  const entries = entriesOf(log)
  const with_ = (index: number, change: object) =>
    entries.map((entry, i) => (i === index ? { ...entry, ...change } : entry))
  for (const [name, list, expected] of [
    [
      'another leaf',
      with_(0, { leaf_data: base64(other.leaves[0] as Uint8Array) }),
      ['record.differs', 'root.differs'],
    ],
    ['bytes that are no leaf', with_(3, { leaf_data: base64(new Uint8Array(3)) }), ['root.differs', 'leaf.invalid']],
    ['no base64', with_(3, { leaf_data: '!' }), ['leaf.malformed']],
    ['no leaf at all', with_(3, { leaf_data: null }), ['leaf.malformed']],
    ['a hash of another length', with_(3, { leaf_data: null, leaf_hash: 'AAAA' }), ['leaf.malformed']],
    ['one left out', entries.toSpliced(3, 1), ['leaf.missing']],
    ['the last left out', entries.slice(0, -1), ['leaf.missing']],
    ['nothing', [], ['leaf.missing']],
    ['one twice', entries.toSpliced(3, 0, entries[3] as LogEntry), ['leaf.missing']],
    [
      'another hash for a removed one',
      with_(3, { leaf_data: null, leaf_hash: base64(new Uint8Array(32)) }),
      ['root.differs'],
    ],
  ] as const) {
    const audit = await auditEntries(list, basis)
    assert.equal(audit.ok, false, name)
    assert.deepEqual(codes(audit), expected, name)
  }
})

test('a removed record is checked by its hash', async () => {
  const log = longLog()
  const entries = entriesOf(log).map((entry, i) =>
    i === 3 ? { leaf_index: 3, leaf_data: null, leaf_hash: base64(leafHash(log.leaves[3] as Uint8Array)) } : entry,
  )
  const audit = await auditEntries(entries, basisOf(log))
  assert.deepEqual(audit.problems, [])
  assert.equal(audit.removed, 1)
  assert.equal(audit.ok, true)
})

test('a list that says something else than the leaves is found, field by field', async () => {
  const log = longLog()
  const entries = entriesOf(log)
  const signed = entries[1] as LogEntry
  for (const change of [
    { id: entries[2]?.id },
    { event: 'key.sign_denied' },
    { actor: 'host' },
    { timestamp: '2026-11-20T14:00:09.000Z' },
    { key_id: null },
    { request_id: 'req_1' },
    { metadata: { ...signed.metadata, digest: '00'.repeat(32) } },
    { metadata: { ...signed.metadata, data_hash: `sha256:${'00'.repeat(32)}` } },
    { metadata: { ...signed.metadata, version: 2 } },
    { metadata: { ...signed.metadata, approved: true } },
  ] as object[]) {
    const audit = await auditEntries(entries.toSpliced(1, 1, { ...signed, ...change }), basisOf(log))
    assert.deepEqual(codes(audit), ['record.differs'], JSON.stringify(change))
    assert.equal(audit.ok, false)
    assert.equal(audit.problems[0]?.index, 1)
  }
})

test('what the signer says it signed is compared with the log', async () => {
  for (const [change, expected] of [
    [{ before: { count: 9 } }, ['statement.count']],
    [{ before: { chain: '00'.repeat(32) } }, ['statement.chain']],
    [{ before: { previous: '11'.repeat(32) } }, ['statement.previous']],
    [{ after: { count: 2 } }, ['statement.signature']],
    [{ before: { runs: [[1, 1]] } }, ['statement.run']],
  ] as const) {
    const log = createTestLog()
    log.append({ event: 'auth.api_key_used' })
    log.append({ event: 'auth.api_key_used' })
    const signed = log.append(signature)
    log.appendStatement([signed], change)
    const audit = await auditEntries(entriesOf(log), basisOf(log))
    assert.deepEqual(codes(audit).slice(0, 1), expected, JSON.stringify(change))
    assert.equal(audit.ok, false)
  }
  const log = longLog()
  const audit = await auditEntries(entriesOf(log), { ...basisOf(log), identity: createTestLog(2).identity })
  assert.deepEqual(codes(audit), ['statement.signer', 'statement.signer'])
})

test('a client walks page after page, waits for a list that is behind, and stops at the checkpoint', async () => {
  const log = longLog()
  const entries = entriesOf(log)
  let listed = 5
  const page = ({ path }: SeenRequest) => {
    const query = new URL(path, 'http://localhost').searchParams
    assert.equal(query.get('order'), 'asc')
    assert.equal(query.get('include'), 'leaf')
    const from = Number(query.get('cursor') ?? 0)
    const to = Math.min(from + 3, listed)
    const logs = entries.slice(from, to)
    const next_cursor = to < listed ? String(to) : null
    if (next_cursor === null) listed = entries.length
    return { logs, next_cursor }
  }
  const { fetch, seen } = fetchOf({ ...answersOf(log), 'GET /v1/audit/logs': page })
  const client = new PopSigner({ url: 'https://keys.example.com', apiKey: 'psk_live_a', fetch, retries: 0 })
  const progress: number[] = []
  const audit = await client.audit.auditLog({ onProgress: (read) => progress.push(read) })
  assert.deepEqual(audit.problems, [])
  assert.equal(audit.ok, true)
  assert.deepEqual(progress, [3, 5, 6, 8])
  assert.equal(seen.filter(({ path }) => path.startsWith('/v1/audit/logs')).length, 4)
})

test('a list that never gets there is told, not waited for without end', { timeout: 30_000 }, async () => {
  const log = longLog()
  const logs = entriesOf(log).slice(0, 2)
  const { fetch } = fetchOf({ ...answersOf(log), 'GET /v1/audit/logs': { logs, next_cursor: null } })
  const audit = await new PopSigner({ url: 'https://keys.example.com', apiKey: 'psk_live_a', fetch }).audit.auditLog()
  assert.deepEqual(codes(audit), ['leaf.missing'])
  assert.equal(audit.problems[0]?.index, 2)
})
