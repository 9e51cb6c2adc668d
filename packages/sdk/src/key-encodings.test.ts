import assert from 'node:assert/strict'
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { type AlgorithmName, algorithmNames, factsOf } from '@popsigner/crypto/algorithm-facts'
import { fromHex, hex } from '@popsigner/crypto/bytes'
import { keccak256 } from '@popsigner/crypto/hash'
import { publicKeyOf } from '@popsigner/crypto/verify'
import { hasPem, keystoreVersions, readPrivateKey, writePrivateKey, writePublicKey } from './key-encodings.ts'
import { openKeystore, sealKeystore } from './keystore.ts'

const folder = join(import.meta.dirname, '../vectors/eip2335')
const text = readFileSync(join(folder, 'keystores.json'), 'utf8')
const vectors = JSON.parse(text) as { password: string; secret: string; keystores: { pubkey: string }[] }

/** A private key made by OpenSSL, or for pairings a number that is one. */
function newSecret(algorithm: AlgorithmName): Uint8Array {
  if (!hasPem(algorithm)) return fromHex(vectors.secret)
  const curve = { secp256k1: 'secp256k1', 'secp256k1-schnorr': 'secp256k1', p256: 'prime256v1', p384: 'secp384r1' }
  const made = algorithm.startsWith('rsa-')
    ? generateKeyPairSync('rsa', { modulusLength: Number(algorithm.slice(4)) })
    : algorithm === 'ed25519'
      ? generateKeyPairSync('ed25519')
      : generateKeyPairSync('ec', { namedCurve: curve[algorithm as keyof typeof curve] })
  return readPrivateKey(algorithm, String(made.privateKey.export({ format: 'pem', type: 'pkcs8' })))
}

test('the vectors are those that their README states', () => {
  const digest = createHash('sha256').update(text).digest('hex')
  assert.ok(readFileSync(join(folder, 'README.md'), 'utf8').includes(digest))
})

test('eigensdk-go: its keystore opens, and has the public key that it names', () => {
  const file = join(import.meta.dirname, '../vectors/eigensdk/keystore.json')
  const keystore = readFileSync(file, 'utf8')
  const readme = readFileSync(join(file, '../README.md'), 'utf8')
  assert.ok(readme.includes(createHash('sha256').update(keystore).digest('hex')))
  const opened = readPrivateKey('bn254', keystore, 'testpassword')
  const publicKey = hex(publicKeyOf('bn254', opened))
  const [x, y] = [publicKey.slice(0, 64), publicKey.slice(64, 128)].map((part) => BigInt(`0x${part}`))
  assert.equal(JSON.parse(keystore).pubKey, `E([${x},${y}])`)
  assert.throws(() => readPrivateKey('bn254', keystore, 'Testpassword'), /does not open/)
  assert.throws(() => readPrivateKey('secp256k1', keystore, 'testpassword'), RangeError)
})

test('EIP-2335: both keystores open, with their password alone', () => {
  for (const keystore of vectors.keystores) {
    const opened = readPrivateKey('bls12-381', JSON.stringify(keystore), vectors.password)
    assert.equal(hex(opened), vectors.secret)
    assert.equal(hex(publicKeyOf('bls12-381', opened)), keystore.pubkey)
  }
  const [scrypt] = vectors.keystores
  assert.throws(() => readPrivateKey('bls12-381', JSON.stringify(scrypt), 'testpassword'), /does not open/)
  assert.throws(() => readPrivateKey('bls12-381', JSON.stringify(scrypt)), /password/)
  assert.throws(() => readPrivateKey('secp256k1', JSON.stringify(scrypt), vectors.password), RangeError)
})

test('what was sealed opens, what was changed does not, in both versions', () => {
  const secret = fromHex(vectors.secret)
  for (const version of [3, 4] as const) {
    const keystore = JSON.parse(JSON.stringify(sealKeystore(version, secret, 'pass', { publicKey: 'ab' })))
    assert.equal(hex(openKeystore(keystore, 'pass')), vectors.secret)
    assert.throws(() => openKeystore(keystore, 'Pass'), /does not open/)
    if (version === 3) keystore.crypto.ciphertext = '00'.repeat(32)
    else keystore.crypto.cipher.message = '00'.repeat(32)
    assert.throws(() => openKeystore(keystore, 'pass'), /does not open/)
    const kdf = version === 3 ? keystore.crypto.kdfparams : keystore.crypto.kdf.params
    kdf.n = 2 ** 30
    assert.throws(() => openKeystore(keystore, 'pass'), /too large/)
  }
  // Web3 Secret Storage: the sum is Keccak-256 over the second half of the derived key and the ciphertext.
  const own = sealKeystore(3, secret, 'pass') as { crypto: { mac: string; ciphertext: string } }
  assert.notEqual(own.crypto.mac, hex(keccak256(fromHex(own.crypto.ciphertext))))
})

for (const algorithm of algorithmNames)
  test(`${algorithm}: each encoding comes back as the same key, and OpenSSL reads it`, () => {
    const secret = newSecret(algorithm)
    assert.equal(secret.length, factsOf(algorithm).secretLength)
    const publicKey = hex(publicKeyOf(algorithm, secret))
    assert.deepEqual(readPrivateKey(algorithm, writePrivateKey(algorithm, secret, 'hex')), secret)
    if (!hasPem(algorithm)) {
      assert.throws(() => writePrivateKey(algorithm, secret, 'pem'), RangeError)
      assert.throws(() => writePublicKey(algorithm, publicKey, 'jwk'), RangeError)
    } else {
      const pem = writePrivateKey(algorithm, secret, 'pem')
      const jwk = writePrivateKey(algorithm, secret, 'jwk')
      assert.deepEqual(readPrivateKey(algorithm, pem), secret)
      assert.deepEqual(readPrivateKey(algorithm, jwk), secret)
      const own = createPublicKey(createPrivateKey(pem)).export({ format: 'jwk' })
      const read = createPublicKey(writePublicKey(algorithm, publicKey, 'pem')).export({ format: 'jwk' })
      // An x-only key stands for the point with even Y.
      if (algorithm === 'secp256k1-schnorr') assert.equal(read.x, own.x)
      else assert.deepEqual(read, own)
      assert.deepEqual(JSON.parse(writePublicKey(algorithm, publicKey, 'jwk')), read)
      const type = algorithm.startsWith('rsa-') ? 'pkcs1' : 'sec1'
      if (algorithm !== 'ed25519')
        assert.deepEqual(
          readPrivateKey(algorithm, String(createPrivateKey(pem).export({ format: 'pem', type }))),
          secret,
        )
      for (const other of algorithmNames)
        if (other !== algorithm && !(algorithm.startsWith('secp256k1') && other.startsWith('secp256k1')))
          assert.throws(() => readPrivateKey(other, pem), RangeError, other)
    }
    if (keystoreVersions[algorithm] !== undefined) {
      const keystore = writePrivateKey(algorithm, secret, 'keystore', { password: 'pass' })
      assert.deepEqual(readPrivateKey(algorithm, keystore, 'pass'), secret)
    } else assert.throws(() => writePrivateKey(algorithm, secret, 'keystore', { password: 'pass' }), RangeError)
    for (const bad of ['', 'zz', '00', '{}', '[]', '-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----'])
      if (!(algorithm.startsWith('rsa-') && bad === '00'))
        assert.throws(() => readPrivateKey(algorithm, bad), RangeError)
  })
