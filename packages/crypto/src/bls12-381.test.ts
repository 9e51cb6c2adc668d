import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { bls12_381 } from '@noble/curves/bls12-381.js'
import fc from 'fast-check'
import { bls12381, createBls, loadNobleEngine } from './bls12-381.ts'
import { aggregateBls, verifyAggregateBls } from './bls12-381-aggregate.ts'
import { fromHex, hex, utf8 } from './bytes.ts'
import { SecretArena } from './secret.ts'
import { publicKeyOf, verifySignature } from './verify.ts'

const vectors = JSON.parse(
  readFileSync(join(import.meta.dirname, '../vectors/ethereum-bls12-381/bls.json'), 'utf8'),
) as {
  sign: { name: string; private_key: string; public_key: string; message: string; signature: string }[]
  sign_refused: { private_key: string }[]
  fast_aggregate_verify: { public_keys: string[]; message: string; signature: string }[]
  deserialization_G2_refused: { signature: string }[]
}
const rows = [bls12381, createBls(loadNobleEngine())]
const arena = new SecretArena(8)

for (const { name, private_key, public_key, message, signature } of vectors.sign)
  test(`${name}: blst and noble`, () => {
    for (const row of rows) {
      const secret = fromHex(private_key)
      assert.equal(hex(row.publicKey(secret)), public_key)
      const signer = row.openSigner(secret, arena)
      assert.equal(hex(signer.sign(fromHex(message)).signature), signature, row.engine)
      signer.close()
      assert.ok(row.verify(fromHex(signature), fromHex(message), fromHex(public_key)))
    }
    assert.equal(hex(publicKeyOf('bls12-381', fromHex(private_key))), public_key)
    assert.ok(verifySignature('bls12-381', { message: fromHex(message) }, fromHex(signature), fromHex(public_key)))
  })

test('keys and points that are none are refused, by blst and by noble', () => {
  const [first] = vectors.sign
  if (first === undefined) throw new Error('no vectors')
  const { private_key, message, signature, public_key } = first
  // A point of the curve that is not in the group, the one at infinity, and one that is not compressed.
  let outside: Uint8Array | undefined
  for (let x = 1; outside === undefined; x++) {
    const bytes = new Uint8Array(48)
    bytes[0] = 0x80
    bytes[47] = x
    try {
      const point = bls12_381.G1.Point.fromHex(hex(bytes))
      if (!point.isTorsionFree()) outside = bytes
    } catch (error) {
      if (/subgroup|torsion/i.test(String(error))) outside = bytes
    }
  }
  const infinity = new Uint8Array(48)
  infinity[0] = 0xc0
  const points = [outside, infinity, fromHex(public_key).map((byte, i) => (i === 0 ? byte & 0x7f : byte))]
  const infiniteSignature = new Uint8Array(96)
  infiniteSignature[0] = 0xc0
  const malformed = vectors.deserialization_G2_refused.map((one) => fromHex(one.signature))
  for (const row of rows) {
    for (const { private_key: secret } of vectors.sign_refused) assert.equal(row.isValidSecret(fromHex(secret)), false)
    for (const point of points) {
      assert.equal(row.isValidPublicKey(point), false, `${row.engine} ${hex(point)}`)
      assert.equal(row.verify(fromHex(signature), fromHex(message), point), false)
      assert.equal(row.verify(infiniteSignature, fromHex(message), point), false)
    }
    for (const bad of [...malformed, infiniteSignature])
      assert.equal(row.verify(bad, fromHex(message), fromHex(public_key)), false)
    assert.ok(row.isValidSecret(fromHex(private_key)))
  }
  for (const point of points)
    assert.equal(verifySignature('bls12-381', { message: fromHex(message) }, fromHex(signature), point), false)
  for (const bad of malformed) assert.equal(aggregateBls([fromHex(signature), bad]), 1)
})

test('a proof of possession is over the own public key alone, and no signature', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 31 }), (number) => {
      const secret = new Uint8Array(32)
      new DataView(secret.buffer).setUint32(28, number)
      const publicKey = bls12381.publicKey(secret)
      const signer = bls12381.openSigner(secret, arena)
      const proof = signer.sign(publicKey, 'proof-of-possession').signature
      const { longSignatures } = bls12_381
      const point = longSignatures.hash(publicKey, utf8('BLS_POP_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_'))
      assert.equal(hex(longSignatures.sign(point, secret).toBytes()), hex(proof))
      assert.ok(bls12381.verify(proof, publicKey, publicKey, 'proof-of-possession'))
      assert.equal(bls12381.verify(proof, publicKey, publicKey, 'signature'), false)
      const signature = signer.sign(publicKey, 'signature').signature
      assert.equal(bls12381.verify(signature, publicKey, publicKey, 'proof-of-possession'), false)
      assert.throws(() => signer.sign(utf8('else'), 'proof-of-possession'), RangeError)
      assert.throws(() => signer.sign(publicKey, 'pss'), RangeError)
      signer.close()
    }),
    { numRuns: 4 },
  )
})

test('signatures are aggregated as published, and as noble does', () => {
  for (const { public_keys, message, signature } of vectors.fast_aggregate_verify) {
    const parts = public_keys.map((key) => {
      const found = vectors.sign.find((one) => one.public_key === key && one.message === message)
      return fromHex(found?.signature ?? '')
    })
    assert.equal(hex(aggregateBls(parts) as Uint8Array), signature)
    const keys = public_keys.map(fromHex)
    const messages = [fromHex(message)]
    assert.ok(verifyAggregateBls(fromHex(signature), messages, keys))
    assert.equal(verifyAggregateBls(fromHex(signature), messages, keys.slice(1)), false)
    assert.equal(verifyAggregateBls(fromHex(signature), messages, [...keys, keys[0] as Uint8Array]), false)
    assert.equal(verifyAggregateBls(fromHex(signature), [utf8('else')], keys), false)
    assert.equal(verifyAggregateBls(fromHex(signature), messages, []), false)
    assert.throws(() => verifyAggregateBls(fromHex(signature), [], keys), RangeError)
  }
  // Each over a message of its own.
  const some = ['sign_case_11b8c7cad5238946', 'sign_case_84d45c9c7cca6b92', 'sign_case_d0e28d7e76eb6e9c'].map(
    (name) => vectors.sign.find((one) => one.name === name) as (typeof vectors.sign)[number],
  )
  const sum = aggregateBls(some.map((one) => fromHex(one.signature))) as Uint8Array
  const noble = bls12_381.longSignatures.aggregateSignatures(
    some.map((one) => bls12_381.longSignatures.Signature.fromBytes(fromHex(one.signature))),
  )
  assert.equal(hex(sum), hex(noble.toBytes()))
  const messages = some.map((one) => fromHex(one.message))
  const keys = some.map((one) => fromHex(one.public_key))
  assert.ok(verifyAggregateBls(sum, messages, keys))
  assert.equal(verifyAggregateBls(sum, messages.toReversed(), keys), false)
})
