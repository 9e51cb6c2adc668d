import assert from 'node:assert/strict'
import { createPublicKey } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import { fromHex, hex, utf8 } from './bytes.ts'
import { generateRecipient, openWith, sealTo } from './hpke.ts'
import * as native from './hpke-native.ts'
import { openPrivateKey, uncompressedPublicKey } from './p256.ts'

const file = new URL('../vectors/rfc9180/a3-base.json', import.meta.url)
const vector = JSON.parse(readFileSync(file, 'utf8')) as Record<
  'info' | 'skEm' | 'pkEm' | 'skRm' | 'pkRm' | 'pt' | 'aad' | 'ct',
  string
>
const info = utf8('popsigner/import/v1')
const aad = utf8('what is moved')

test('RFC 9180 A.3.1: encapsulation, key schedule, first message', () => {
  const aes128Gcm = { id: 1, cipher: 'aes-128-gcm', keyLength: 16 } as const
  const privateKey = openPrivateKey(fromHex(vector.skEm))
  const ephemeral = { privateKey, publicKey: createPublicKey(privateKey) }
  const [recipient, theirInfo, theirAad] = [fromHex(vector.pkRm), fromHex(vector.info), fromHex(vector.aad)]
  const sealed = native.sealFrom(ephemeral, recipient, theirInfo, theirAad, fromHex(vector.pt), aes128Gcm)
  assert.equal(hex(uncompressedPublicKey(fromHex(vector.skRm))), vector.pkRm)
  assert.equal(hex(sealed.enc), vector.pkEm)
  assert.equal(hex(sealed.ciphertext), vector.ct)
  const into = new Uint8Array(vector.pt.length / 2)
  const secret = fromHex(vector.skRm)
  assert.ok(native.openInto(into, secret, recipient, sealed.enc, theirInfo, theirAad, sealed.ciphertext, aes128Gcm))
  assert.equal(hex(into), vector.pt)
})

test('two independent implementations open what the other sealed', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array(), fc.uint8Array(), fc.uint8Array(), async (plaintext, anyInfo, anyAad) => {
      const { privateKey, publicKey } = generateRecipient()
      assert.deepEqual(uncompressedPublicKey(privateKey), publicKey)
      const ours = native.sealTo(publicKey, anyInfo, anyAad, plaintext)
      const theirs = await sealTo(publicKey, anyInfo, anyAad, plaintext)
      assert.deepEqual(await openWith(privateKey, publicKey, ours.enc, anyInfo, anyAad, ours.ciphertext), plaintext)
      const into = new Uint8Array(plaintext.length)
      assert.ok(native.openInto(into, privateKey, publicKey, theirs.enc, anyInfo, anyAad, theirs.ciphertext))
      assert.deepEqual(into, plaintext)
    }),
    { numRuns: 50 },
  )
})

test('any changed byte of key, info, authenticated data, enc or ciphertext fails to open, by either code', async () => {
  const { privateKey, publicKey } = generateRecipient()
  const other = generateRecipient()
  const plaintext = new Uint8Array(32).fill(7)
  const { enc, ciphertext } = native.sealTo(publicKey, info, aad, plaintext)
  const open = async (e: Uint8Array, i: Uint8Array, a: Uint8Array, c: Uint8Array) => {
    const into = new Uint8Array(32).fill(1)
    const opened = native.openInto(into, privateKey, publicKey, e, i, a, c)
    if (!opened) assert.ok(into.every((byte) => byte === 0))
    const library = await openWith(privateKey, publicKey, e, i, a, c)
    assert.equal(opened, library !== null)
    return opened
  }
  assert.ok(await open(enc, info, aad, ciphertext))
  const parts = [enc, info, aad, ciphertext] as const
  for (let part = 0; part < 4; part++)
    for (let at = 0; at < (parts[part] as Uint8Array).length; at += part === 0 ? 4 : 1) {
      const changed = parts.map((bytes) => bytes.slice()) as [Uint8Array, Uint8Array, Uint8Array, Uint8Array]
      const target = changed[part] as Uint8Array
      target[at] = (target[at] as number) ^ 0x40
      assert.equal(await open(...changed), false)
    }
  for (const length of [0, 15, 16, 47, 49]) assert.equal(await open(enc, info, aad, new Uint8Array(length)), false)
  for (const length of [0, 33, 64, 66]) assert.equal(await open(new Uint8Array(length), info, aad, ciphertext), false)
  const into = new Uint8Array(32)
  assert.equal(native.openInto(into, other.privateKey, other.publicKey, enc, info, aad, ciphertext), false)
  assert.equal(native.openInto(into, privateKey, other.publicKey, enc, info, aad, ciphertext), false)
})

test('keys that are none are refused', async () => {
  const { privateKey, publicKey } = generateRecipient()
  const offCurve = publicKey.slice()
  offCurve[40] = (offCurve[40] as number) ^ 1
  const { enc, ciphertext } = native.sealTo(publicKey, info, aad, new Uint8Array(1))
  for (const bad of [offCurve, new Uint8Array(65), publicKey.slice(0, 33)]) {
    assert.throws(() => native.sealTo(bad, info, aad, new Uint8Array(1)), RangeError)
    await assert.rejects(sealTo(bad, info, aad, new Uint8Array(1)), RangeError)
    await assert.rejects(openWith(privateKey, bad, enc, info, aad, ciphertext), RangeError)
  }
  await assert.rejects(openWith(privateKey, generateRecipient().publicKey, enc, info, aad, ciphertext), RangeError)
  for (const bad of [new Uint8Array(32), new Uint8Array(32).fill(0xff), privateKey.slice(1)]) {
    assert.throws(() => native.openInto(new Uint8Array(1), bad, publicKey, enc, info, aad, ciphertext), RangeError)
    await assert.rejects(openWith(bad, publicKey, enc, info, aad, ciphertext), RangeError)
  }
})
