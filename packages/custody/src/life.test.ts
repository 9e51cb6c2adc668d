import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { algorithmFacts, algorithmNames } from '@popsigner/crypto/algorithm-facts'
import { hex, utf8 } from '@popsigner/crypto/bytes'
import { keccak256 } from '@popsigner/crypto/hash'
import { sha256 } from '@popsigner/crypto/hash-native'
import { type SignedInput, verifySignature } from '@popsigner/crypto/verify'
import type { SignerClient } from './client.ts'
import {
  connectTo,
  instance,
  makeItem,
  makeKey,
  makeLog,
  makePlace,
  newId,
  type Rig,
  signatureOf,
  startRig,
  startSigner,
} from './signer.fixture.ts'
import { parseSpec } from './spec.ts'

let rig: Rig
let client: SignerClient

before(async () => {
  rig = await startRig()
  client = rig.client
})
after(() => rig.close())

test('a key of every algorithm is made and signs a message; the signature verifies elsewhere', async () => {
  const log = await makeLog(client)
  for (const algorithm of algorithmNames) {
    const key = await makeKey(client, log, { algorithm })
    const message = utf8(`a message for ${algorithm}`)
    const { results } = await client.sign([makeItem(log, key, message)])
    const input: SignedInput = { message }
    assert.equal(verifySignature(algorithm, input, signatureOf(results[0]), key.publicKey), true)
  }
})

test('secp256k1 signs digests and messages hashed with either hash, the same bytes each time, with a recovery id', async () => {
  const log = await makeLog(client)
  const key = await makeKey(client, log)
  const message = utf8('one message')
  const items = [
    makeItem(log, key, message, 'raw', 'sha256'),
    makeItem(log, key, message, 'raw', 'keccak256'),
    makeItem(log, key, sha256(message), 'digest'),
  ]
  const { results } = await client.sign(items)
  const signatures = results.map(signatureOf)
  assert.equal(verifySignature('secp256k1', { message }, signatures[0] as Uint8Array, key.publicKey), true)
  const keccak = { digest: keccak256(message) }
  assert.equal(verifySignature('secp256k1', keccak, signatures[1] as Uint8Array, key.publicKey), true)
  assert.equal(hex(signatures[2] as Uint8Array), hex(signatures[0] as Uint8Array))
  for (const result of results) assert.ok(result.kind === 'signed' && result.recovery !== null && result.recovery <= 3)
})

test('the facts of hello are those of the instance', async () => {
  const facts = await client.hello()
  assert.equal(facts.instance, instance)
  assert.equal(hex(facts.identity), hex(rig.place.identity))
  assert.equal(facts.boot, rig.running.ready.boot)
  assert.deepEqual(
    facts.algorithms.map(({ name, schemes }) => ({ name, schemes: schemes.map((one) => ({ ...one })) })),
    algorithmFacts.map(({ name, schemes }) => ({
      name,
      schemes: schemes.map(({ ownKey: _, point: __, ...scheme }) => scheme),
    })),
  )
  assert.equal(facts.memory.locked, rig.running.ready.locked)
  assert.equal(facts.entropyHealthy, true)
  assert.equal(facts.ledger.replaced, false)
  assert.equal(facts.roots.length, 1)
})

test('a specification says what was asked for', async () => {
  const log = await makeLog(client)
  const key = newId()
  const made = await makeKey(client, log, { key, version: 3, uses: ['raw'], export: new Uint8Array(32).fill(7) })
  const spec = parseSpec(made.material.spec)
  assert.deepEqual(
    { ...spec, publicKey: hex(spec.publicKey as Uint8Array) },
    {
      instance,
      organization: log.organization,
      kind: 'signing-key',
      key,
      version: 3,
      generation: 1,
      algorithm: 'secp256k1',
      schemes: ['ecdsa'],
      uses: ['raw'],
      publicKey: hex(made.publicKey),
      origin: 'generated',
      export: new Uint8Array(32).fill(7),
      parent: null,
      path: null,
    },
  )
})

test('the same record id gives the same key, and with another specification a refusal', async () => {
  const log = await makeLog(client)
  const record = newId()
  const spec = {
    organization: log.organization,
    key: newId(),
    version: 1,
    algorithm: 'secp256k1',
    schemes: ['ecdsa'],
    uses: ['raw'],
    export: 'none',
  } as const
  const first = await client.create(record, log.keys.organizationKey, spec)
  assert.deepEqual(await client.create(record, log.keys.organizationKey, spec), first)
  const other = { ...spec, uses: ['digest'] } as const
  await assert.rejects(client.create(record, log.keys.organizationKey, other), { code: 'custody.record_reused' })
})

test('specifications that no key can have are refused by field', async () => {
  const log = await makeLog(client)
  const cases = [
    ['algorithm', { algorithm: 'rsa', schemes: ['pss'] }],
    ['schemes', { schemes: ['schnorr'] }],
    ['schemes', { schemes: [] }],
    ['uses', { uses: [] }],
    ['uses', { uses: ['raw', 'raw'] as const }],
    ['version', { version: 0 }],
    ['organization', { organization: newId() }],
  ] as const
  for (const [field, changes] of cases)
    await assert.rejects(makeKey(client, log, changes), { code: 'custody.spec_refused', detail: { field } })
})

test('many batches in flight are each answered in their own order', async () => {
  const log = await makeLog(client)
  const keys = await Promise.all(Array.from({ length: 4 }, () => makeKey(client, log)))
  const batches = Array.from({ length: 12 }, (_, b) =>
    Array.from({ length: 9 }, (_, i) => makeItem(log, keys[(b + i) % 4] as (typeof keys)[0], randomBytes(20 + i))),
  )
  const answers = await Promise.all(batches.map((items) => client.sign(items)))
  for (const [b, { results }] of answers.entries())
    for (const [i, result] of results.entries()) {
      const item = (batches[b] as (typeof batches)[0])[i] as (typeof batches)[0][0]
      const key = keys[(b + i) % 4] as (typeof keys)[0]
      assert.equal(verifySignature('secp256k1', { message: item.data }, signatureOf(result), key.publicKey), true)
    }
})

test('a list longer than a frame is cut and answered whole', async () => {
  const log = await makeLog(client)
  const key = await makeKey(client, log)
  const large = Array.from({ length: 5 }, () => makeItem(log, key, new Uint8Array(1_500_000)))
  const many = Array.from({ length: 1200 }, (_, i) => makeItem(log, key, Uint8Array.of(i & 255)))
  for (const items of [large, many]) {
    const { results } = await client.sign(items)
    assert.equal(results.length, items.length)
    assert.ok(results.every(({ kind }) => kind === 'signed'))
  }
  await assert.rejects(client.sign([makeItem(log, key, new Uint8Array(17 * 1024 * 1024))]), RangeError)
})

test('more keys than slots: every signature is by its own key', async () => {
  const small = await makePlace()
  const signer = await startSigner(small, { arenaSlots: 64 })
  const other = await connectTo(small)
  try {
    const log = await makeLog(other)
    const algorithms = algorithmNames
    const keys = await Promise.all(
      Array.from({ length: 150 }, (_, i) => makeKey(other, log, { algorithm: algorithms[i % 3] as string })),
    )
    for (let round = 0; round < 2; round++) {
      const items = keys.map((key, i) => makeItem(log, key, Uint8Array.of(i, round)))
      const { results } = await other.sign(items)
      for (const [i, result] of results.entries()) {
        const key = keys[i] as (typeof keys)[0]
        const algorithm = algorithms[i % 3] as (typeof algorithms)[0]
        const message = Uint8Array.of(i, round)
        assert.equal(verifySignature(algorithm, { message }, signatureOf(result), key.publicKey), true)
      }
    }
    const { memory } = await other.hello()
    assert.ok(memory.slotsUsed <= memory.slots)
  } finally {
    await other.close()
    await signer.kill('SIGTERM')
    small.remove()
  }
})

test('what it writes is private to its user', () => {
  for (const path of ['seal/root.key', 'custody/identity', 'custody/ledger', 's.sock'])
    assert.equal(statSync(join(rig.place.directory, path)).mode & 0o077, 0, path)
})

test('it ends when standard input closes, and on SIGTERM, answering what is in flight', async () => {
  const other = await makePlace()
  try {
    const first = await startSigner(other)
    const ended = new Promise((resolve) => first.child.once('exit', resolve))
    first.child.stdin?.end()
    assert.equal(await ended, 0)

    const second = await startSigner(other)
    const c = await connectTo(other)
    const log = await makeLog(c)
    const request = c.checkpoint([{ ...(await log.extension(0)), ...log.keys }])
    await new Promise((resolve) => setImmediate(resolve))
    const [answer, code] = await Promise.all([request, second.kill('SIGTERM')])
    assert.equal(answer[0]?.kind, 'signed')
    assert.equal(code, 0)
    await c.close()
  } finally {
    other.remove()
  }
})

test('the client comes back to a signer that was started again, and says so', async () => {
  const other = await makePlace()
  let signer = await startSigner(other)
  const c = await connectTo(other)
  try {
    const log = await makeLog(c)
    const key = await makeKey(c, log)
    const lost = new Promise((resolve) => c.once('disconnected', resolve))
    await signer.kill()
    await lost
    assert.equal(c.capabilities, null)
    await assert.rejects(c.sign([makeItem(log, key, utf8('x'))]), { code: 'custody.unavailable' })
    const back = new Promise((resolve) => c.once('connected', resolve))
    signer = await startSigner(other)
    await back
    const [proven] = await c.prove([await log.extension(0)])
    assert.equal(proven?.kind, 'proven')
    const { results } = await c.sign([makeItem(log, key, utf8('x'))])
    assert.equal(results[0]?.kind, 'signed')
  } finally {
    await c.close()
    await signer.kill('SIGTERM')
    other.remove()
  }
})

test('a second signer on the same socket does not start, and does no harm', async () => {
  await assert.rejects(startSigner(rig.place), /Another signer listens/)
  assert.ok(existsSync(rig.place.config.socket))
  assert.equal((await client.hello()).boot, rig.running.ready.boot)
})

test('the files of another instance, damaged ones and ones that others can read are refused', async () => {
  const other = await makePlace()
  try {
    await assert.rejects(startSigner(other, { instance: 'elsewhere.example.com' }), /of another instance/)
    const ledger = join(other.directory, 'custody/ledger')
    const { chmodSync, writeFileSync } = await import('node:fs')
    const bytes = readFileSync(ledger)
    bytes[10] = (bytes[10] as number) ^ 1
    writeFileSync(ledger, bytes)
    await assert.rejects(startSigner(other), /ledger: damaged/)
    rmSync(ledger)
    chmodSync(join(other.directory, 'seal/root.key'), 0o640)
    await assert.rejects(startSigner(other), /can be read by others/)
    chmodSync(join(other.directory, 'seal/root.key'), 0o600)
    const key = readFileSync(join(other.directory, 'seal/root.key'))
    key[40] = (key[40] as number) ^ 1
    writeFileSync(join(other.directory, 'seal/root.key'), key)
    await assert.rejects(startSigner(other), /key file: damaged/)
    const unknown = { nonsense: 1 } as object
    await assert.rejects(startSigner(other, unknown), /nonsense is unknown/)
  } finally {
    other.remove()
  }
})
