import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { bn254 as noble } from '@noble/curves/bn254.js'
import fc from 'fast-check'
import { bn254 } from './bn254.ts'
import { mcl } from './bn254-mcl.ts'
import { isBn254Point } from './bn254-plain.ts'
import { concat, fromHex, hex } from './bytes.ts'
import { SecretArena } from './secret.ts'
import { publicKeyOf, verifySignature } from './verify.ts'

const file = join(import.meta.dirname, '../vectors/bn254-eigenlayer/bn254.json')
interface Vector {
  readonly [field: string]: string
}
const vectors = (JSON.parse(readFileSync(file, 'utf8')) as { sign: Vector[] }).sign
const arena = new SecretArena(8)
const { Fp, Fp2 } = noble.fields
const word = (value: bigint) => fromHex(value.toString(16).padStart(64, '0'))

/** One vector, its fields as bytes. */
function read(vector: Vector) {
  const field = (name: string) => fromHex(vector[name] as string)
  return {
    secret: field('private_key'),
    publicKey: concat(field('public_key_g1'), field('public_key_g2')),
    digest: field('digest'),
    point: field('point'),
    signature: field('signature'),
  }
}

test('eigensdk-go and this make the same keys and signatures, by both schemes', () => {
  assert.equal(vectors.length, 32)
  for (const vector of vectors) {
    const { secret, publicKey, digest, point, signature } = read(vector)
    assert.equal(hex(bn254.publicKey(secret)), hex(publicKey), vector['name'])
    assert.equal(hex(publicKeyOf('bn254', secret)), hex(publicKey))
    assert.ok(bn254.isValidPublicKey(publicKey))
    const signer = bn254.openSigner(secret, arena)
    assert.equal(hex(signer.sign(digest).signature), hex(signature), vector['name'])
    assert.equal(hex(signer.sign(point, 'g1').signature), hex(signature), vector['name'])
    signer.close()
    assert.ok(bn254.verify(signature, digest, publicKey))
    assert.ok(bn254.verify(signature, point, publicKey, 'g1'))
    assert.ok(verifySignature('bn254', { digest }, signature, publicKey))
    assert.ok(verifySignature('bn254', { message: point, scheme: 'g1' }, signature, publicKey))
  }
})

test('mcl and noble multiply any point alike', () => {
  fc.assert(
    fc.property(fc.bigInt(1n, noble.fields.Fr.ORDER - 1n), fc.bigInt(1n, noble.fields.Fr.ORDER - 1n), (key, other) => {
      const { x, y } = noble.G1.Point.BASE.multiply(other).toAffine()
      const product = noble.G1.Point.BASE.multiply((key * other) % noble.fields.Fr.ORDER).toAffine()
      const signer = bn254.openSigner(word(key), arena)
      const { signature } = signer.sign(concat(word(x), word(y)), 'g1')
      signer.close()
      assert.equal(hex(signature), hex(concat(word(product.x), word(product.y))))
    }),
    { numRuns: 30 },
  )
})

test('what is no point of the curve is signed by nobody and verifies nowhere', () => {
  const { secret, publicKey, point, signature } = read(vectors[8] as Vector)
  const [x, y] = [point.subarray(0, 32), point.subarray(32)]
  const bad = {
    'the point at infinity': new Uint8Array(64),
    'off the curve': concat(x, word(1n)),
    'x and y exchanged': concat(y, x),
    'x not reduced': concat(word(Fp.ORDER + 1n), word(2n)),
    'y not reduced': concat(word(1n), word(Fp.ORDER + 2n)),
    'the modulus for 0': concat(word(Fp.ORDER), word(Fp.ORDER)),
    'all ones': new Uint8Array(64).fill(0xff),
  }
  const signer = bn254.openSigner(secret, arena)
  for (const [what, bytes] of Object.entries(bad)) {
    assert.equal(isBn254Point(bytes), false, what)
    assert.throws(() => signer.sign(bytes, 'g1'), { name: 'RangeError', message: 'message: not a point of the curve' })
    assert.equal(bn254.verify(signature, bytes, publicKey, 'g1'), false, what)
    assert.equal(bn254.verify(bytes, point, publicKey, 'g1'), false, what)
    assert.equal(verifySignature('bn254', { message: bytes, scheme: 'g1' }, signature, publicKey), false, what)
    assert.equal(verifySignature('bn254', { message: point, scheme: 'g1' }, bytes, publicKey), false, what)
    assert.equal(bn254.isValidPublicKey(concat(bytes, publicKey.subarray(64))), false, what)
  }
  for (const length of [0, 32, 63, 65, 128]) {
    assert.equal(isBn254Point(new Uint8Array(length)), false)
    assert.throws(() => signer.sign(new Uint8Array(length), 'g1'), RangeError)
  }
  for (const length of [0, 31, 33, 64]) assert.throws(() => signer.sign(new Uint8Array(length)), RangeError)
  assert.throws(() => signer.sign(new Uint8Array(32), 'ecdsa'), RangeError)
  signer.close()
})

test('public keys: both points in their groups and of one private key, or none', () => {
  const { publicKey, digest, signature } = read(vectors[8] as Vector)
  const other = read(vectors[9] as Vector).publicKey
  // On the curve over Fp2 and outside the group, whose cofactor is not 1.
  let outside: Uint8Array | undefined
  for (let i = 1n; outside === undefined; i++) {
    const x = { c0: i, c1: 1n }
    const square = Fp2.add(Fp2.mul(Fp2.sqr(x), x), noble.G2.Point.CURVE().b)
    try {
      const y = Fp2.sqrt(square)
      if (!noble.G2.Point.fromAffine({ x, y }).isTorsionFree())
        outside = concat(word(x.c1), word(x.c0), word(y.c1), word(y.c0))
    } catch {}
  }
  const halves = [96, 64, 160, 128].map((at) => publicKey.subarray(at, at + 32))
  for (const [what, bad] of Object.entries({
    'outside the group': concat(publicKey.subarray(0, 64), outside),
    'of two keys': concat(other.subarray(0, 64), publicKey.subarray(64)),
    'of two keys, the other way': concat(publicKey.subarray(0, 64), other.subarray(64)),
    'real parts first': concat(publicKey.subarray(0, 64), ...halves),
    infinity: concat(publicKey.subarray(0, 64), new Uint8Array(128)),
    'not reduced': concat(publicKey.subarray(0, 64), new Uint8Array(128).fill(0xff)),
    'the part in G1 alone': publicKey.subarray(0, 64),
    'the part in G2 alone': publicKey.subarray(64),
  })) {
    assert.equal(bn254.isValidPublicKey(bad), false, what)
    assert.equal(bn254.verify(signature, digest, bad), false, what)
    assert.equal(verifySignature('bn254', { digest }, signature, bad), false, what)
  }
  assert.equal(bn254.verify(signature, digest, other), false)
  // The negative of a signature is a point as well.
  const negative = concat(signature.subarray(0, 32), word(Fp.ORDER - BigInt(`0x${hex(signature.subarray(32))}`)))
  assert.ok(isBn254Point(negative))
  assert.equal(bn254.verify(negative, digest, publicKey), false)
  assert.equal(verifySignature('bn254', { digest }, negative, publicKey), false)
})

test('mcl’s memory after a call does not depend on the key, nor on what blinded it', () => {
  const after = (run: () => unknown): Buffer => {
    run()
    return Buffer.from(mcl.wasmMemory.buffer.slice(0))
  }
  const [one, two] = [read(vectors[8] as Vector), read(vectors[9] as Vector)].map(({ secret }) =>
    bn254.openSigner(secret, arena),
  )
  const digest = randomBytes(32)
  const signed = after(() => one?.sign(digest))
  assert.deepEqual(
    after(() => one?.sign(digest)),
    signed,
  )
  assert.deepEqual(
    after(() => two?.sign(digest)),
    signed,
  )
  assert.deepEqual(
    after(() => two?.sign(read(vectors[8] as Vector).point, 'g1')),
    signed,
  )
  assert.deepEqual(
    after(() => bn254.publicKey(read(vectors[10] as Vector).secret)),
    signed,
  )
  assert.throws(() => one?.sign(new Uint8Array(64).fill(1), 'g1'), RangeError)
  assert.deepEqual(Buffer.from(mcl.wasmMemory.buffer.slice(0)), signed)
  one?.close()
  two?.close()
})

test('no call goes deeper on the stack than what is wiped', () => {
  const memory = new Uint8Array(mcl.wasmMemory.buffer)
  const top = mcl.stackSave()
  const painted = memory.subarray(top - 200_000, top)
  painted.fill(0xa5)
  const { secret, publicKey, digest, signature } = read(vectors[8] as Vector)
  const signer = bn254.openSigner(secret, arena)
  signer.sign(digest)
  signer.close()
  bn254.publicKey(secret)
  // What lies deeper is as it was, and control: what does not was wiped.
  assert.ok(painted.subarray(0, 200_000 - 65_536).every((byte) => byte === 0xa5))
  assert.ok(memory.subarray(top - 65_536, top).every((byte) => byte === 0))
  assert.ok(bn254.verify(signature, digest, publicKey))
  painted.fill(0)
})
