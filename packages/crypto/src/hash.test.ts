import assert from 'node:assert/strict'
import { createHash, createHmac } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { fromHex, hex, utf8 } from './bytes.ts'
import * as plain from './hash.ts'
import * as native from './hash-native.ts'

const anyBytes = fc.uint8Array({ maxLength: 300 })

test('plain and native hashes agree, in parts and whole', () => {
  fc.assert(
    fc.property(anyBytes, fc.array(anyBytes, { maxLength: 4 }), (key, parts) => {
      const whole = new Uint8Array(Buffer.concat(parts))
      const expected = new Uint8Array(createHash('sha256').update(whole).digest())
      for (const { sha256, hmacSha256 } of [plain, native]) {
        assert.deepEqual(sha256(...parts), expected)
        assert.deepEqual(sha256(whole), expected)
        assert.deepEqual(hmacSha256(key, ...parts), new Uint8Array(createHmac('sha256', key).update(whole).digest()))
      }
      assert.deepEqual(plain.ripemd160(whole), new Uint8Array(createHash('ripemd160').update(whole).digest()))
    }),
  )
})

test('published digests', () => {
  assert.equal(hex(plain.sha256(utf8('abc'))), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
  // Keccak-256 of nothing, the hash of an empty account's code in the Ethereum yellow paper; SHA3-256 would be a7ffc6f8….
  assert.equal(hex(plain.keccak256(utf8(''))), 'c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470')
  assert.equal(hex(plain.ripemd160(utf8('abc'))), '8eb208f7e05d987a9b044a8e98c6b087f15a0bfc')
  // RFC 4231 §4.3, test case 2.
  for (const { hmacSha256 } of [plain, native])
    assert.equal(
      hex(hmacSha256(utf8('Jefe'), utf8('what do ya want '), utf8('for nothing?'))),
      '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
    )
})

test('native digests are plain arrays, whose slice copies', () => {
  const digest = native.sha256(fromHex('00'))
  assert.equal(Object.getPrototypeOf(digest), Uint8Array.prototype)
  digest.slice(0, 4).fill(0)
  assert.equal(hex(digest), '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d')
})
