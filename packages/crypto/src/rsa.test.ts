import assert from 'node:assert/strict'
import { constants, generateKeyPairSync, type KeyObject, privateEncrypt } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Algorithm } from './algorithm.ts'
import { concat, equal, fromHex, utf8 } from './bytes.ts'
import { createEntropy, EntropyFailure, kernelSource } from './entropy.ts'
import { sha256 } from './hash.ts'
import { rsa2048, rsa4096 } from './rsa.ts'
import { Secret, SecretArena } from './secret.ts'
import { publicKeyOf, verifySignature } from './verify.ts'

const folder = join(import.meta.dirname, '../../../../shared/vectors/wycheproof')
const skip = existsSync(folder) ? false : 'shared vectors are not here'

interface PssFile {
  readonly testGroups: readonly {
    readonly publicKeyDer: string
    readonly tests: readonly { tcId: number; comment: string; msg: string; sig: string; result: string }[]
  }[]
}

for (const [row, file] of [
  [rsa2048, 'rsa_pss_2048_sha256_mgf1_32'],
  [rsa4096, 'rsa_pss_4096_sha256_mgf1_32'],
] as const)
  test(`Wycheproof ${file}: OpenSSL and plain JavaScript agree`, { skip }, () => {
    const { testGroups } = JSON.parse(readFileSync(join(folder, `${file}_test.json`), 'utf8')) as PssFile
    const seen = { valid: 0, invalid: 0 }
    for (const { publicKeyDer, tests } of testGroups)
      for (const { tcId, comment, msg, sig, result } of tests) {
        const [key, message, signature] = [fromHex(publicKeyDer), fromHex(msg), fromHex(sig)]
        assert.ok(row.isValidPublicKey(key))
        assert.equal(row.verify(signature, message, key, 'pss'), result === 'valid', `${tcId} ${comment}`)
        assert.equal(verifySignature(row.name, { message, scheme: 'pss' }, signature, key), result === 'valid', comment)
        seen[result as 'valid']++
      }
    assert.ok(seen.valid > 30 && seen.invalid > 30, JSON.stringify(seen))
  })

/** PKCS#8 as the row has it. */
function secretOf(row: Algorithm, key: KeyObject): Uint8Array {
  const secret = new Uint8Array(row.secretLength)
  secret.set(key.export({ format: 'der', type: 'pkcs8' }))
  return secret
}

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const secret = secretOf(rsa2048, privateKey)
const publicKey = rsa2048.publicKey(secret)

test('encodings of PKCS#1 v1.5 that are not the one there is are refused, by either code', () => {
  const message = utf8('message')
  const digest = sha256(message)
  const info = fromHex('3031300d060960864801650304020105000420')
  const filled = (length: number) => concat(Uint8Array.of(0, 1), new Uint8Array(length).fill(0xff), Uint8Array.of(0))
  const right = concat(filled(202), info, digest)
  const encodings: Record<string, Uint8Array> = {
    right,
    // RFC 8017 §9.2 has the parameters as NULL; without them another algorithm is named.
    'no parameters': concat(filled(204), fromHex('302f300b0609608648016503040201'), fromHex('0420'), digest),
    'bytes behind': concat(filled(194), info, digest, new Uint8Array(8)),
    'short filling': concat(filled(8), info, digest, new Uint8Array(194)),
    'another block type': right.map((byte, i) => (i === 1 ? 2 : byte)),
    'a zero in the filling': right.map((byte, i) => (i === 20 ? 0 : byte)),
    'another hash named': right.map((byte, i) => (i === right.length - 36 ? 2 : byte)),
    'another digest': concat(filled(202), info, sha256(digest)),
  }
  for (const [name, encoded] of Object.entries(encodings)) {
    assert.equal(encoded.length, 256, name)
    const signature = privateEncrypt({ key: privateKey, padding: constants.RSA_NO_PADDING }, encoded)
    assert.equal(rsa2048.verify(signature, message, publicKey, 'pkcs1v15'), name === 'right', name)
    assert.equal(
      verifySignature('rsa-2048', { message, scheme: 'pkcs1v15' }, signature, publicKey),
      name === 'right',
      name,
    )
  }
})

test('private keys that are not ours, or not in the one form, are refused', () => {
  assert.ok(rsa2048.isValidSecret(secret))
  assert.ok(equal(publicKeyOf('rsa-2048', secret), publicKey))
  const other = generateKeyPairSync('rsa', { modulusLength: 2048, publicExponent: 3 }).privateKey
  const onlyPss = generateKeyPairSync('rsa-pss', { modulusLength: 2048 }).privateKey
  const smaller = generateKeyPairSync('rsa', { modulusLength: 2040 }).privateKey
  const wrong = {
    'another exponent': secretOf(rsa2048, other),
    'for PSS alone': secretOf(rsa2048, onlyPss),
    'another size': secretOf(rsa2048, smaller),
    // The private exponent and the first prime: with one of them OpenSSL would still find its way.
    'parts of another': secret.map((byte, i) => (i === 400 || i === 700 ? byte ^ 1 : byte)),
    'bytes behind': secret.map((byte, i) => (i === secret.length - 1 ? 1 : byte)),
    'not DER': secret.map((byte, i) => (i === 0 ? 0x31 : byte)),
  }
  for (const [name, bytes] of Object.entries(wrong)) assert.equal(rsa2048.isValidSecret(bytes), false, name)
  for (const bytes of [wrong['another exponent'], wrong['for PSS alone'], wrong['another size'], wrong['not DER']]) {
    assert.throws(() => rsa2048.openSigner(bytes, new SecretArena(1)), RangeError)
    assert.throws(() => publicKeyOf('rsa-2048', bytes), RangeError)
  }
  assert.throws(() => publicKeyOf('rsa-2048', wrong['parts of another']), RangeError)
  assert.equal(rsa4096.isValidPublicKey(publicKey), false)
  assert.equal(rsa2048.isValidPublicKey(publicKey.map((byte, i) => (i === 293 ? 3 : byte))), false)
})

test('a key is made and signs on other threads, while this one goes on', async () => {
  const entropy = createEntropy(kernelSource)
  const made = Secret.allocate(rsa2048.secretLength)
  await rsa2048.generateLater?.(entropy, made)
  const signer = made.use((bytes) => rsa2048.openSigner(bytes, new SecretArena(1)))
  const key = made.spend((bytes) => {
    assert.ok(rsa2048.isValidSecret(bytes))
    return rsa2048.publicKey(bytes)
  })
  const message = utf8('later')
  for (const { name: scheme } of rsa2048.schemes) {
    const signature = (await signer.signLater?.(message, scheme))?.signature as Uint8Array
    assert.ok(rsa2048.verify(signature, message, key, scheme))
    assert.ok(verifySignature('rsa-2048', { message, scheme }, signature, key))
  }
  signer.close()
  assert.throws(() => signer.signLater?.(message), TypeError)
  let stuck = false
  const failing = createEntropy((into) => (stuck ? into.fill(1) : kernelSource(into)))
  stuck = true
  const none = Secret.allocate(rsa2048.secretLength)
  await assert.rejects(rsa2048.generateLater?.(failing, none) ?? Promise.resolve(), EntropyFailure)
  none.wipe()
})
