import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { sha256 } from '@popsigner/crypto/hash-native'
import { decodeTypeId, encodeTypeId } from '@popsigner/crypto/typeid'
import { verifySignature } from '@popsigner/crypto/verify'
import { SignerClient } from '@popsigner/custody/client'
import type { SignItem } from '@popsigner/custody/custodian'
import { CustodyFault } from '@popsigner/custody/faults'
import { parseSpec } from '@popsigner/custody/spec'
import { buildLeaf, type LeafInput } from '@popsigner/transparency/record'
import { becomeRogue, type Rogue } from './crash/rogue.ts'
import { connectionFacts } from './crash/second-server.ts'
import { makeKey } from './crash/tenant.ts'
import { openWholeLog, readHead, type WholeLog } from './crash/whole-log.ts'
import { pause, startInstance, type TestInstance } from './instance.ts'

// A control plane that lies: it has the database, the proof key and the signer's socket, and no key.

let instance: TestInstance
let rogue: Rogue
let log: WholeLog
let key: { id: string; public_key: string }
let narrow: { id: string; public_key: string }
let foreign: { id: string; public_key: string }
before(async () => {
  instance = await startInstance()
  key = await makeKey(instance, 'honest')
  foreign = await makeKey(instance, 'another')
  narrow = await makeKey(instance, 'messages-only', { uses: ['message'] })
  const { body } = await instance.call('GET', '/v1/signer')
  assert.equal((await instance.call('POST', `/v1/keys/${key.id}/sign`, { data: 'aGk=' })).status, 200)
  rogue = await becomeRogue(instance, body.organization)
  log = await openWholeLog(instance)
  await pause(1_500)
  await proveAll()
})
after(async () => {
  await rogue?.close()
  await instance.remove()
})

async function proveAll(): Promise<void> {
  for (let i = 0; i < 50; i++) {
    await log.read()
    // A signer that was killed is back within seconds.
    const result = rogue.signer.capabilities && (await rogue.signer.prove([await rogue.extension(log)]))[0]
    if (result?.kind === 'proven') return
    // The log and its checkpoint go on meanwhile.
    await pause(200)
  }
  assert.fail('the log was not proven')
}

/** An item that is right in all of its parts, but for what the test changes. */
async function item(
  changes: { leaf?: Record<string, unknown>; item?: Partial<SignItem>; of?: { id: string; public_key: string } } = {},
): Promise<SignItem> {
  const of = changes.of ?? key
  const data = randomBytes(20)
  const digest = Buffer.from(sha256(data)).toString('hex')
  const recordId = decodeTypeId(encodeTypeId('rec', newId()), 'rec') as Uint8Array
  const material = await rogue.materialOf(of.id)
  const leaf = buildLeaf({
    event: 'key.signed',
    log: log.leaves[0]?.log,
    id: encodeTypeId('rec', recordId),
    time: new Date().toISOString(),
    actor: 'system',
    key: of.id,
    version: 1,
    public_key: of.public_key,
    algorithm: 'secp256k1',
    scheme: 'ecdsa',
    input: 'raw',
    hash: 'sha256',
    digest,
    data_hash: digest,
    ...changes.leaf,
  } as LeafInput)
  return {
    recordId,
    attempt: 1,
    leaf,
    index: log.leaves.length,
    deadline: Date.now() + 10_000,
    organizationKey: rogue.organizationKey,
    material,
    scheme: 'ecdsa',
    input: 'raw',
    hash: 'sha256',
    data,
    ...changes.item,
  }
}

function newId(): Uint8Array {
  const id = randomBytes(16)
  id.writeUIntBE(Date.now(), 0, 6)
  id[6] = ((id[6] as number) & 0x0f) | 0x70
  id[8] = ((id[8] as number) & 0x3f) | 0x80
  return new Uint8Array(id)
}

test('what is not in its leaf is refused, one by one', async () => {
  const other = Buffer.from(sha256(Buffer.from('another message'))).toString('hex')
  const refused: [string, SignItem][] = [
    ['custody.leaf_mismatch', await item({ item: { data: Buffer.from('another message') } })],
    ['custody.leaf_mismatch', await item({ leaf: { digest: other } })],
    ['custody.leaf_mismatch', await item({ leaf: { data_hash: other } })],
    ['custody.leaf_mismatch', await item({ leaf: { key: foreign.id } })],
    ['custody.leaf_mismatch', await item({ leaf: { public_key: foreign.public_key } })],
    ['custody.leaf_mismatch', await item({ leaf: { version: 2 } })],
    [
      'custody.leaf_mismatch',
      await item({ leaf: { log: log.leaves[0]?.log.replace(/.$/, (c) => (c === '0' ? '1' : '0')) } }),
    ],
    ['custody.leaf_mismatch', await item({ leaf: { hash: 'keccak256' } })],
    ['custody.leaf_mismatch', await item({ item: { recordId: newId() } })],
    ['custody.leaf_mismatch', await item({ item: { material: await rogue.materialOf(foreign.id) } })],
    ['custody.leaf_mismatch', await item({ item: { input: 'digest', hash: null, data: randomBytes(32) } })],
    ['custody.leaf_mismatch', await item({ item: { leaf: new Uint8Array(Buffer.from('{}')) } })],
    [
      'custody.leaf_mismatch',
      await item({
        item: {
          leaf: log.leaves.length > 0 ? new Uint8Array(Buffer.from(JSON.stringify(log.leaves[0]))) : new Uint8Array(),
        },
      }),
    ],
    ['custody.use_refused', await item({ of: narrow })],
    ['custody.deadline', await item({ item: { deadline: Date.now() - 1 } })],
    ['custody.deadline', await item({ item: { deadline: Date.now() + 3_600_000 } })],
    ['custody.proof_stale', await item({ item: { attempt: 2, proof: { size: log.leaves.length, path: [] } } })],
    ['custody.wrong_kind', await item({ item: { material: rogue.logKey } })],
  ]
  const { results } = await rogue.signer.sign(refused.map(([, one]) => one))
  assert.deepEqual(
    results.map((result) => (result.kind === 'refused' ? result.code : result.kind)),
    refused.map(([code]) => code),
  )
})

test('an envelope cannot be relabelled: not its key, its uses, its export or its organization', async () => {
  const material = await rogue.materialOf(narrow.id)
  const spec = Buffer.from(material.spec)
  const widened = Buffer.from(spec.toString('latin1').replace('none', 'any!'), 'latin1')
  assert.notDeepEqual(widened, spec)
  const { results } = await rogue.signer.sign([
    await item({ of: narrow, item: { material: { spec: widened, envelope: material.envelope } } }),
    await item({
      item: {
        material: {
          spec: (await rogue.materialOf(key.id)).spec,
          envelope: (await rogue.materialOf(foreign.id)).envelope,
        },
      },
    }),
  ])
  assert.deepEqual(
    results.map((result) => (result.kind === 'refused' ? result.code : result.kind)),
    ['custody.not_opened', 'custody.not_opened'],
  )
  await assert.rejects(
    rogue.signer.export(rogue.organizationKey, await rogue.materialOf(key.id), new Uint8Array(65)),
    (error: unknown) => error instanceof CustodyFault && error.code === 'custody.export_refused',
  )
  await assert.rejects(
    rogue.signer.narrow(rogue.organizationKey, material, { uses: ['message', 'raw'] }),
    (error: unknown) => error instanceof CustodyFault && error.code === 'custody.spec_refused',
  )
  assert.equal(parseSpec(material.spec).export, 'none')
})

test('a checkpoint of another history is not signed, and that connection signs nothing more', async () => {
  const extension = await rogue.extension(log)
  const request = { ...extension, organizationKey: rogue.organizationKey, logKey: rogue.logKey }
  const forged = await rogue.signer.checkpoint([
    { ...request, size: request.size + 1, root: new Uint8Array(randomBytes(32)) },
  ])
  assert.equal(forged[0]?.kind === 'refused' && forged[0].code, 'log.behind')
  const shorter = await rogue.signer.checkpoint([
    { ...request, size: Math.max(0, request.from - 1), root: log.rootAt(Math.max(0, request.from - 1)), path: [] },
  ])
  assert.equal(shorter[0]?.kind === 'refused' && shorter[0].code, 'log.behind')
  const { results } = await rogue.signer.sign([await item()])
  assert.equal(results[0]?.kind === 'refused' && results[0].code, 'log.unproven')
  await proveAll()
})

test('nobody without the proof key is heard', async () => {
  const { name, sockets } = connectionFacts(instance)
  const client = new SignerClient({
    socket: `${sockets}/signer/signer.sock`,
    instance: name,
    proof: randomBytes(32),
    term: 1,
  })
  await assert.rejects(
    client.connect(),
    (error: unknown) => error instanceof CustodyFault && error.code === 'custody.handshake_failed',
  )
  await client.close()
})

test('what the signer refused is recorded as failed and given back, and a repeat is a new record with a charge of its own', async () => {
  const refused = await makeKey(instance, 'refused-first')
  // The ledger knows of a narrowing that the database does not: the envelope there is refused.
  await rogue.signer.narrow(rogue.organizationKey, await rogue.materialOf(refused.id), { uses: ['raw'] })
  const headers = { 'idempotency-key': 'once' }
  const sign = () => instance.call('POST', `/v1/keys/${refused.id}/sign`, { data: 'aGk=' }, { headers })
  const first = await sign()
  assert.deepEqual([first.status, first.body.code], [503, 'organization.busy'])
  assert.equal(
    (await instance.call('PATCH', `/v1/keys/${refused.id}`, { uses: ['raw'] }, { headers: { 'if-match': '*' } }))
      .status,
    200,
  )
  const second = await sign()
  assert.equal(second.status, 200, JSON.stringify(second.body))
  await pause(1_500)
  await log.read()
  const records = [...log.signed].filter(([, { leaf }]) => leaf.key === refused.id)
  assert.equal(records.length, 2)
  assert.deepEqual(
    records.map(([id]) => [id === second.body.record_id, log.failed.has(id)]),
    [
      [false, true],
      [true, false],
    ],
  )
  const third = await sign()
  assert.deepEqual(third.body, second.body)
  const database = await instance.database()
  const head = await readHead(database, encodeTypeId('org', rogue.organization))
  await database.end()
  assert.equal(head.used, log.signed.size - log.failed.size)
})

for (const [what, make, found] of [
  [
    'for a leaf that is nowhere in the log',
    async () => item({ item: { index: log.leaves.length + 50 } }),
    /statement\.(run|count)/,
  ],
  [
    'once more for a record that is in the log, at its place',
    async () => {
      const { body } = await instance.call('POST', `/v1/keys/${key.id}/sign`, { data: 'aGk=' })
      await pause(1_500)
      await proveAll()
      const signed = log.signed.get(body.record_id)
      assert.ok(signed)
      const leaf = buildLeaf(signed.leaf)
      return item({
        item: {
          recordId: decodeTypeId(signed.leaf.id, 'rec') as Uint8Array,
          leaf,
          index: signed.index,
          data: Buffer.from('hi'),
        },
      })
    },
    /statement\.(run|count)/,
  ],
  [
    'for another leaf at the place of an honest one',
    async () => {
      const place = log.leaves.findIndex((leaf) => leaf.event === 'key.signed')
      return item({ item: { index: place } })
    },
    /statement\.(run|count|chain)/,
  ],
] as const) {
  test(`a signature made beside the log, ${what}, is found by whoever audits the statements`, async () => {
    await proveAll()
    const before = await auditNow()
    const one = await make()
    const {
      results: [result],
    } = await rogue.signer.sign([one])
    assert.equal(result?.kind, 'signed')
    if (result?.kind === 'signed') {
      assert.ok(
        verifySignature('secp256k1', { message: one.data }, result.signature, Buffer.from(key.public_key, 'hex')),
        'the lie was no lie',
      )
    }
    // The signer's count is on disk within a second; after a restart its statement is due at once.
    await pause(2_000)
    process.kill(instance.processes().signer, 'SIGKILL')
    const until = Date.now() + 30_000
    let report = await auditNow()
    while (report.statements <= before.statements && Date.now() < until) {
      await pause(300)
      report = await auditNow()
    }
    assert.ok(report.statements > before.statements, 'the signer stated nothing after its restart')
    const problems = report.problems.slice(before.problems.length)
    assert.ok(problems.length > 0 && problems.every(({ code }) => found.test(code)), JSON.stringify(report))
  })
}

async function auditNow() {
  const whole = await openWholeLog(instance)
  await whole.read()
  return whole.audit()
}
