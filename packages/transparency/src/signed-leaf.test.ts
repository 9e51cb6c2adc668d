import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { buildLeaf, type LeafOf } from './record.ts'
import { anyCommitment, anyHex, anyId, anyTime, sampleRecord } from './records.fixture.ts'
import { createSignedLeafBuilder, type SignedLeafFacts, type SignedLeafValues } from './signed-leaf.ts'

const maybe = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(value, { nil: undefined })

const anyFacts: fc.Arbitrary<SignedLeafFacts> = fc
  .record(
    {
      log: anyId('org').map((id) => `keys.example.com/${id}`),
      actor: fc.oneof(anyId('ak'), fc.constantFrom('host', 'system')),
      key: anyId('key'),
      version: fc.maxSafeNat(),
      public_key: fc.oneof(anyHex(32), anyHex(33)),
      algorithm: fc.constantFrom('secp256k1', 'ed25519', 'p256'),
      scheme: fc.constantFrom('ecdsa', 'pure'),
      input: fc.constantFrom('raw', 'digest', 'message', 'transaction'),
      hash: fc.constantFrom('sha256', 'keccak256'),
    } as const,
    { requiredKeys: ['log', 'actor', 'key', 'version', 'public_key', 'algorithm', 'scheme', 'input'] },
  )
  .map((facts) => ({ ...facts }) as SignedLeafFacts)

const anyValues = (digestLength: number): fc.Arbitrary<SignedLeafValues> =>
  fc.record({
    id: anyId('rec'),
    time: anyTime,
    digest: anyHex(digestLength),
    dataHash: anyHex(32),
    request: maybe(anyId('req')),
    address: maybe(anyCommitment),
    userAgent: maybe(anyCommitment),
    idempotency: maybe(anyHex(32)),
    chain: maybe(fc.constantFrom('eip155:1', 'cosmos:celestia')),
    effects: maybe(anyHex(32)),
    signMode: maybe(fc.constantFrom('direct', 'amino')),
  })

/** The same leaf as a record for `buildLeaf`. */
function recordOf(facts: SignedLeafFacts, values: SignedLeafValues): LeafOf<'key.signed'> {
  const { id, time, digest, dataHash, request, address, userAgent, idempotency, chain, effects, signMode } = values
  const optional = { request, address, user_agent: userAgent, idempotency, chain, effects, sign_mode: signMode }
  const present = Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined))
  return { v: 1, event: 'key.signed', ...facts, id, time, digest, data_hash: dataHash, ...present }
}

test('property: the bytes are those of buildLeaf', () => {
  fc.assert(
    fc.property(anyFacts, fc.constantFrom(20, 32, 64), (facts, digestLength) => {
      const build = createSignedLeafBuilder(facts, digestLength)
      for (const values of fc.sample(anyValues(digestLength), 3)) {
        const text = build(values)
        assert.deepEqual(Buffer.from(text, 'latin1'), Buffer.from(buildLeaf(recordOf(facts, values))))
      }
    }),
    { numRuns: 300 },
  )
})

test('a leaf with every optional field, one by one and all at once', () => {
  const { log, actor, key, version, public_key, algorithm, scheme, input, hash } = sampleRecord
  const facts = { log, actor, key, version, public_key, algorithm, scheme, input, hash } as SignedLeafFacts
  const build = createSignedLeafBuilder(facts)
  const [values] = fc.sample(anyValues(32), 1) as [SignedLeafValues]
  const optional = { request: 'req_01h455vb4pex5vsknk084sn02v', address: 'A'.repeat(43), userAgent: 'E'.repeat(43) }
  const ofChain = { chain: 'eip155:1', effects: '1'.repeat(64), signMode: 'direct' }
  const all = { ...optional, ...ofChain, idempotency: '0'.repeat(64) }
  const { id, time, digest, dataHash } = values
  for (const some of [{}, ...Object.entries(all).map(([name, value]) => ({ [name]: value })), all]) {
    const one = { id, time, digest, dataHash, ...some }
    assert.equal(build(one), new TextDecoder().decode(buildLeaf(recordOf(facts, one))))
  }
})

test('facts that no leaf may hold are refused when the template is made', () => {
  const { log, actor, key, version, public_key, algorithm, scheme, input } = sampleRecord
  const facts: SignedLeafFacts = { log, actor, key, version, public_key, algorithm, scheme, input }
  const refused: Partial<Record<keyof SignedLeafFacts, unknown>>[] = [
    { scheme: 'ecdsa","event":"x' },
    { scheme: 'e\\' },
    { algorithm: 'é' },
    { actor: 'ak_"' },
    { log: 'keys.example.com' + '"' },
    { key: undefined },
    { version: 1.5 },
    { version: 2 ** 53 },
    { public_key: 'XY' },
    { input: 'other' },
    { hash: '' },
  ]
  for (const change of refused)
    assert.throws(() => createSignedLeafBuilder({ ...facts, ...change } as SignedLeafFacts), RangeError)
  for (const length of [0, 65, 1.5, -1]) assert.throws(() => createSignedLeafBuilder(facts, length), RangeError)
})

test('a value of another form is refused, so that none can bring a field of its own', () => {
  const { log, actor, key, version, public_key, algorithm, scheme, input } = sampleRecord
  const build = createSignedLeafBuilder({ log, actor, key, version, public_key, algorithm, scheme, input })
  const { id, time, digest, data_hash: dataHash } = sampleRecord
  const good = { id, time, digest, dataHash }
  assert.ok(build(good).length > 0)
  const all = {
    request: 'x',
    address: 'x',
    userAgent: 'x',
    idempotency: 'x',
    id: 'x',
    time: 'x',
    digest: 'x',
    dataHash: 'x',
    effects: 'x',
    chain: 'eip155:1"',
    signMode: '',
  }
  for (const [name, value] of Object.entries(all)) assert.throws(() => build({ ...good, [name]: value }), RangeError)
})

test('a leaf costs little', () => {
  const { log, actor, key, version, public_key, algorithm, scheme, input, hash } = sampleRecord
  const build = createSignedLeafBuilder({
    log,
    actor,
    key,
    version,
    public_key,
    algorithm,
    scheme,
    input,
    hash,
  } as SignedLeafFacts)
  const { id, time, digest, data_hash: dataHash, request } = sampleRecord
  const address = 'A'.repeat(43)
  const into = Buffer.allocUnsafe(8_192)
  const values = { id, time, digest, dataHash, request, address, userAgent: address, idempotency: '0'.repeat(64) }
  const round = (): number => {
    const start = process.hrtime.bigint()
    for (let i = 0; i < 20_000; i++) into.write(build(values), 0, 'latin1')
    return Number(process.hrtime.bigint() - start) / 20_000
  }
  round()
  const best = Math.min(...Array.from({ length: 5 }, round))
  // Measured at 0.8 µs; the bound leaves room for a loaded machine.
  assert.ok(best < 6_000, `${best} ns a leaf`)
})
