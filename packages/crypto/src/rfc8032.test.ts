import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { ed25519 as noble } from '@noble/curves/ed25519.js'
import { sha512 } from '@noble/hashes/sha2.js'
import fc from 'fast-check'
import { concat, fromHex, hex, utf8 } from './bytes.ts'
import { ed25519 } from './ed25519.ts'
import { SecretArena } from './secret.ts'
import { verifySignature } from './verify.ts'

const file = new URL('../vectors/rfc8032/ed25519.json', import.meta.url)
const vectors = JSON.parse(readFileSync(file, 'utf8')) as readonly {
  name: string
  secret: string
  publicKey: string
  message: string
  signature: string
}[]

for (const vector of vectors)
  test(`RFC 8032 §7.1 ${vector.name}`, () => {
    const secret = fromHex(vector.secret)
    const publicKey = ed25519.publicKey(secret)
    const message = fromHex(vector.message)
    const { signature } = ed25519.openSigner(secret, new SecretArena(1)).sign(message)
    assert.equal(hex(publicKey), vector.publicKey)
    assert.equal(hex(signature), vector.signature)
    assert.ok(ed25519.verify(signature, message, publicKey))
    assert.ok(verifySignature('ed25519', { message }, signature, publicKey))
  })

test('agrees with noble on random input', () => {
  const arena = new SecretArena(1)
  fc.assert(
    fc.property(fc.uint8Array(), fc.uint8Array({ minLength: 32, maxLength: 32 }), (message, secret) => {
      fc.pre(ed25519.isValidSecret(secret))
      const signer = ed25519.openSigner(secret, arena)
      assert.deepEqual(signer.sign(message).signature, noble.sign(message, secret))
      signer.close()
      assert.deepEqual(ed25519.publicKey(secret), noble.getPublicKey(secret))
    }),
  )
})

/** A point of order 8 (RFC 7748's curve has eight points of low order; this is one that generates them). */
const torsion = noble.Point.fromHex('26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05')

test('public keys of small or mixed order, and not canonical ones, are refused by both', () => {
  const good = noble.Point.fromBytes(ed25519.publicKey(new Uint8Array(32).fill(1)))
  const refused = [
    '0100000000000000000000000000000000000000000000000000000000000000',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    '0000000000000000000000000000000000000000000000000000000000000000',
    hex(torsion.toBytes()),
    hex(good.add(torsion).toBytes()),
    // The neutral point, its y written as the prime plus one.
    'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    '0200000000000000000000000000000000000000000000000000000000000000',
  ]
  for (const text of refused) {
    assert.equal(ed25519.isValidPublicKey(fromHex(text)), false, text)
    const signature = new Uint8Array(64)
    signature[0] = 1
    assert.equal(ed25519.verify(signature, utf8('a'), fromHex(text)), false)
    assert.equal(verifySignature('ed25519', { message: utf8('a') }, signature, fromHex(text)), false)
  }
})

test('a signature that only the equation with the cofactor accepts is refused by both', () => {
  const { scalar, prefix, pointBytes } = noble.utils.getExtendedPublicKey(new Uint8Array(32).fill(5))
  const message = utf8('message')
  const reduce = (bytes: Uint8Array) => BigInt(`0x${hex(bytes.slice().reverse())}`) % noble.Point.Fn.ORDER
  const r = reduce(sha512(concat(prefix, message)))
  const sign = (commitment: InstanceType<typeof noble.Point>) => {
    const R = commitment.toBytes()
    const k = reduce(sha512(concat(R, pointBytes, message)))
    const S = (r + k * scalar) % noble.Point.Fn.ORDER
    return concat(R, fromHex(S.toString(16).padStart(64, '0')).reverse())
  }
  const ordinary = sign(noble.Point.BASE.multiply(r))
  const twisted = sign(noble.Point.BASE.multiply(r).add(torsion))
  assert.ok(noble.verify(twisted, message, pointBytes, { zip215: true }))
  for (const [signature, valid] of [
    [ordinary, true],
    [twisted, false],
  ] as const) {
    assert.equal(ed25519.verify(signature, message, pointBytes), valid)
    assert.equal(verifySignature('ed25519', { message }, signature, pointBytes), valid)
  }
})
