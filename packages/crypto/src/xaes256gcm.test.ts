import assert from 'node:assert/strict'
import { createCipheriv, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { shake128 } from '@noble/hashes/sha3.js'
import fc from 'fast-check'
import { fromHex, hex, utf8 } from './bytes.ts'
import { openXaes, sealXaes } from './xaes256gcm.ts'

interface Vectors {
  readonly vectors: readonly { key: string; nonce: string; plaintext: string; aad: string; ciphertext: string }[]
  readonly accumulated: readonly { iterations: number; hash: string }[]
}

const file = new URL('../vectors/c2sp-xaes256gcm/xaes256gcm.json', import.meta.url)
const { vectors, accumulated } = JSON.parse(readFileSync(file, 'utf8')) as Vectors

test('C2SP XAES-256-GCM vectors, most significant bit clear and set', () => {
  for (const vector of vectors) {
    const key = fromHex(vector.key)
    const sealed = sealXaes(key, utf8(vector.nonce), utf8(vector.plaintext), utf8(vector.aad))
    assert.equal(hex(sealed), vector.ciphertext)
    assert.deepEqual(openXaes(key, utf8(vector.nonce), sealed, utf8(vector.aad)), utf8(vector.plaintext))
  }
})

test('C2SP XAES-256-GCM accumulated random vectors', () => {
  for (const { iterations, hash } of accumulated) {
    const source = shake128.create({})
    const sink = shake128.create({})
    for (let i = 0; i < iterations; i++) {
      const key = source.xof(32)
      const nonce = source.xof(24)
      const plaintext = source.xof(source.xof(1)[0] as number)
      const aad = source.xof(source.xof(1)[0] as number)
      const sealed = sealXaes(key, nonce, plaintext, aad)
      sink.update(sealed)
      if (i % 100 === 0) assert.deepEqual(openXaes(key, nonce, sealed, aad), plaintext)
    }
    assert.equal(hex(sink.xof(32)), hash)
  }
})

test('agrees with CMAC as OpenSSL composes it from CBC, on random input', () => {
  // For one whole block, CMAC is CBC over the block with K1 folded in; K1 comes from the doubled encryption of zeros.
  const derive = (key: Uint8Array, nonce: Uint8Array) => {
    const block = (input: Uint8Array) => {
      const cipher = createCipheriv('aes-256-cbc', key, new Uint8Array(16)).setAutoPadding(false)
      return BigInt(`0x${cipher.update(input, undefined, 'hex')}${cipher.final('hex')}`)
    }
    const l = block(new Uint8Array(16))
    const k1 = ((l << 1n) & ((1n << 128n) - 1n)) ^ (l >> 127n ? 0x87n : 0n)
    const part = (counter: number) => {
      const message = BigInt(`0x${hex(Uint8Array.of(0, counter, 0x58, 0))}${hex(nonce.subarray(0, 12))}`)
      const input = fromHex((message ^ k1).toString(16).padStart(32, '0'))
      return block(input).toString(16).padStart(32, '0')
    }
    return fromHex(part(1) + part(2))
  }
  const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })
  fc.assert(
    fc.property(bytes(32), bytes(24), fc.uint8Array(), fc.uint8Array(), (key, nonce, plaintext, aad) => {
      const cipher = createCipheriv('aes-256-gcm', derive(key, nonce), nonce.subarray(12)).setAAD(aad)
      const expected = Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()])
      assert.deepEqual(sealXaes(key, nonce, plaintext, aad), new Uint8Array(expected))
    }),
  )
})

test('any changed bit of key, nonce, sealed bytes or authenticated data fails to open, and leaves zeros', () => {
  const parts: Uint8Array[] = [randomBytes(32), randomBytes(24), new Uint8Array(0), utf8('what it is')]
  const [key, nonce, , aad] = parts as [Uint8Array, Uint8Array, Uint8Array, Uint8Array]
  parts[2] = sealXaes(key, nonce, new Uint8Array(32).fill(3), aad)
  for (let part = 0; part < parts.length; part++) {
    for (let bit = 0; bit < (parts[part] as Uint8Array).length * 8; bit++) {
      const changed = parts.map((bytes) => bytes.slice()) as [Uint8Array, Uint8Array, Uint8Array, Uint8Array]
      const target = changed[part] as Uint8Array
      target[bit >> 3] = (target[bit >> 3] as number) ^ (1 << (bit & 7))
      const into = new Uint8Array(32).fill(1)
      assert.equal(openXaes(...changed, into), null)
      assert.ok(into.every((byte) => byte === 0))
    }
  }
})

test('opens into the array it is given', () => {
  const key = randomBytes(32)
  const nonce = randomBytes(24)
  const sealed = sealXaes(key, nonce, utf8('secret'), utf8(''))
  const into = new Uint8Array(6)
  assert.equal(openXaes(key, nonce, sealed, utf8(''), into), into)
  assert.deepEqual(into, utf8('secret'))
  for (const length of [5, 7])
    assert.throws(() => openXaes(key, nonce, sealed, utf8(''), new Uint8Array(length)), RangeError)
})

test('what is too short is not opened, and misuse throws', () => {
  const key = new Uint8Array(32)
  const nonce = new Uint8Array(24)
  const none = new Uint8Array(0)
  for (let length = 0; length < 17; length++) assert.equal(openXaes(key, nonce, new Uint8Array(length), none), null)
  assert.equal(openXaes(key, nonce, sealXaes(key, nonce, none, none), none)?.length, 0)
  assert.throws(() => sealXaes(new Uint8Array(16), nonce, none, none), RangeError)
  assert.throws(() => sealXaes(key, new Uint8Array(12), none, none), RangeError)
  assert.throws(() => openXaes(key, nonce, none, 'aad' as unknown as Uint8Array), TypeError)
})
