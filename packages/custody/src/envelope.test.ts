import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { decodeCbor, encodeCbor } from '@popsigner/crypto/cbor'
import { createEntropy, kernelSource } from '@popsigner/crypto/entropy'
import { openXaes } from '@popsigner/crypto/xaes256gcm'
import fc from 'fast-check'
import { envelopeLength, sealedBy } from './envelope.ts'
import { openInto, seal } from './sealing.ts'
import { encodeSpec, parseSpec, type Spec } from './spec.ts'

const entropy = createEntropy(kernelSource)
const by = { id: new Uint8Array(randomBytes(16)), bytes: new Uint8Array(randomBytes(32)) }

const specs = fc.record(
  {
    instance: fc.constantFrom('a', 'keys.example.com', 'x-1.y'),
    organization: fc.option(fc.uint8Array({ minLength: 16, maxLength: 16 })),
    kind: fc.constantFrom('organization-key', 'signing-key', 'seed', 'log-key', 'identity', 'wrapping-key', 'secret'),
    key: fc.uint8Array({ minLength: 16, maxLength: 16 }),
    version: fc.integer({ min: 1, max: 0xffff_ffff }),
    generation: fc.integer({ min: 1, max: 1000 }),
    algorithm: fc.constantFrom('secp256k1', 'ed25519', null),
    schemes: fc.subarray(['ecdsa', 'pss', 'pure']),
    uses: fc.subarray(['transaction', 'message', 'raw', 'digest'] as const),
    publicKey: fc.option(fc.uint8Array({ maxLength: 64 })),
    origin: fc.constantFrom('generated', 'imported', 'derived', null),
    export: fc.oneof(fc.constantFrom('none', 'any'), fc.uint8Array({ minLength: 32, maxLength: 32 })),
    parent: fc.option(fc.uint8Array({ minLength: 16, maxLength: 16 })),
    path: fc.option(fc.string({ maxLength: 20, unit: 'grapheme-ascii' })),
  },
  { noNullPrototype: true },
) as fc.Arbitrary<Spec>

test('a specification comes back from its bytes as it went in', () => {
  fc.assert(fc.property(specs, (spec) => assert.deepEqual({ ...parseSpec(encodeSpec(spec)) }, spec)))
})

test('what was sealed opens, and with any bit of envelope or specification changed it does not', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), specs, fc.nat(), (secret, spec, at) => {
      const encoded = encodeSpec(spec)
      const envelope = seal(by, entropy, secret, encoded)
      const into = new Uint8Array(32)
      assert.equal(openInto(into, by, envelope, encoded), true)
      assert.deepEqual(into, secret)

      const bits = 8 * (envelope.length + encoded.length)
      const changed = [envelope.slice(), encoded.slice()] as const
      const bit = at % bits
      const target = bit < 8 * envelope.length ? changed[0] : changed[1]
      const place = bit < 8 * envelope.length ? bit : bit - 8 * envelope.length
      target[place >> 3] = (target[place >> 3] as number) ^ (1 << (place & 7))
      assert.equal(openInto(into, by, changed[0], changed[1]), false)
      assert.deepEqual(into, new Uint8Array(32))
    }),
    { numRuns: 300 },
  )
})

test('every single bit of one envelope counts', () => {
  const spec = encodeSpec({ ...blank, kind: 'secret' })
  const envelope = seal(by, entropy, new Uint8Array(32).fill(9), spec)
  const into = new Uint8Array(32)
  for (let bit = 0; bit < 8 * envelope.length; bit++) {
    const changed = envelope.slice()
    changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7))
    assert.equal(openInto(into, by, changed, spec), false, `bit ${bit}`)
  }
  for (const length of [0, 1, 41, 89, 91]) {
    const cut = new Uint8Array(length)
    cut.set(envelope.subarray(0, length))
    assert.equal(openInto(into, by, cut, spec), false)
  }
})

test('another key, also under the same id, does not open it', () => {
  const spec = encodeSpec({ ...blank, kind: 'secret' })
  const envelope = seal(by, entropy, new Uint8Array(32), spec)
  const into = new Uint8Array(32)
  assert.equal(openInto(into, { ...by, bytes: new Uint8Array(randomBytes(32)) }, envelope, spec), false)
  assert.equal(openInto(into, { ...by, id: new Uint8Array(16) }, envelope, spec), false)
})

test('the layout is the documented one: version, suite, id, nonce, XAES-256-GCM over the specification', () => {
  const spec = encodeSpec({ ...blank, kind: 'secret' })
  const secret = new Uint8Array(randomBytes(32))
  const envelope = seal(by, entropy, secret, spec)
  assert.equal(envelope.length, envelopeLength())
  assert.equal(envelopeLength(), 1 + 1 + 16 + 24 + 32 + 16)
  assert.deepEqual([...envelope.subarray(0, 2)], [1, 1])
  assert.deepEqual(sealedBy(envelope), by.id)
  assert.deepEqual(openXaes(by.bytes, envelope.subarray(18, 42), envelope.subarray(42), spec), secret)
})

test('values and fields that no specification has are refused by name', () => {
  const cases: [keyof Spec, unknown][] = [
    ['instance', 'Upper.example'],
    ['instance', 'a+b'],
    ['instance', ''],
    ['organization', new Uint8Array(15)],
    ['kind', 'signing'],
    ['key', null],
    ['version', 0],
    ['version', 1.5],
    ['generation', 0],
    ['algorithm', 'SECP'],
    ['schemes', ['a', 'a']],
    ['uses', ['sign']],
    ['publicKey', 'text'],
    ['origin', 'found'],
    ['export', 'some'],
    ['export', new Uint8Array(31)],
    ['parent', new Uint8Array(17)],
    ['path', 1],
  ]
  for (const [field, value] of cases)
    assert.throws(() => encodeSpec({ ...blank, [field]: value } as Spec), RangeError, String(field))
  const fields = decodeCbor(encodeSpec(blank)) as Record<string, never>
  assert.throws(() => parseSpec(encodeCbor({ ...fields, more: null })), /missing or unknown/)
  const { parent, ...rest } = fields
  assert.throws(() => parseSpec(encodeCbor({ ...rest, parents: parent } as never)), RangeError)
})

const blank: Spec = {
  instance: 'keys.example.com',
  organization: new Uint8Array(16),
  kind: 'signing-key',
  key: new Uint8Array(16),
  version: 1,
  generation: 1,
  algorithm: 'secp256k1',
  schemes: ['ecdsa'],
  uses: ['raw'],
  publicKey: new Uint8Array(33),
  origin: 'generated',
  export: 'none',
  parent: null,
  path: null,
}
