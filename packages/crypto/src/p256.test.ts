import assert from 'node:assert/strict'
import { test } from 'node:test'
import { p256 as noble } from '@noble/curves/nist.js'
import fc from 'fast-check'
import { fromHex, hex, utf8 } from './bytes.ts'
import { sha256 } from './hash.ts'
import { openPublicKey, p256, uncompressedPublicKey } from './p256.ts'
import { SecretArena } from './secret.ts'
import { verifySignature } from './verify.ts'

test('RFC 6979 A.2.5: the public key, and the published signatures verify', () => {
  const secret = fromHex('c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721')
  const publicKey = p256.publicKey(secret)
  assert.equal(hex(publicKey), '0360fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6')
  for (const [message, signature] of [
    [
      'sample',
      'efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8',
    ],
    [
      'test',
      'f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083',
    ],
  ] as const) {
    assert.ok(p256.verify(fromHex(signature), utf8(message), publicKey))
    assert.ok(verifySignature('p256', { message: utf8(message) }, fromHex(signature), publicKey))
  }
})

test('agrees with noble on random input, in both directions, whichever half S is in', () => {
  const arena = new SecretArena(1)
  const halves = { low: 0, high: 0 }
  fc.assert(
    fc.property(fc.uint8Array(), fc.uint8Array({ minLength: 32, maxLength: 32 }), (message, secret) => {
      fc.pre(p256.isValidSecret(secret))
      assert.equal(p256.isValidSecret(secret), noble.utils.isValidSecretKey(secret))
      const publicKey = p256.publicKey(secret)
      assert.deepEqual(publicKey, noble.getPublicKey(secret, true))
      assert.deepEqual(uncompressedPublicKey(secret), noble.getPublicKey(secret, false))
      const { signature } = p256.openSigner(secret, arena).sign(message)
      assert.ok(noble.verify(signature, sha256(message), publicKey, { prehash: false, lowS: false }))
      assert.ok(p256.verify(noble.sign(message, secret, { lowS: false }), message, publicKey))
      halves[(signature[32] as number) < 0x80 ? 'low' : 'high']++
    }),
  )
  assert.ok(halves.low > 0 && halves.high > 0)
})

test('public keys have one form, 33 bytes; points that are none are refused', () => {
  const secret = new Uint8Array(32).fill(1)
  const publicKey = p256.publicKey(secret)
  const uncompressed = uncompressedPublicKey(secret)
  assert.ok(p256.isValidPublicKey(publicKey))
  assert.ok(openPublicKey(uncompressed))
  assert.equal(p256.isValidPublicKey(uncompressed), false)
  for (const first of [0, 1, 4, 5, 6, 7]) {
    const other = publicKey.slice()
    other[0] = first
    assert.equal(p256.isValidPublicKey(other), false)
  }
  for (const first of [2, 3, 6, 7]) {
    const other = uncompressed.slice()
    other[0] = first
    assert.equal(openPublicKey(other), null)
  }
  const offCurve = uncompressed.slice()
  offCurve[64] = (offCurve[64] as number) ^ 1
  assert.equal(openPublicKey(offCurve), null)
  // x at and above the prime.
  const prime = 'ffffffff00000001000000000000000000000000ffffffffffffffffffffffff'
  assert.equal(p256.isValidPublicKey(fromHex(`02${prime}`)), false)
  assert.equal(p256.isValidPublicKey(fromHex(`02${'ff'.repeat(32)}`)), false)
})
