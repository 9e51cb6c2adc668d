import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  type AlgorithmName,
  algorithmFacts,
  digestLengths,
  factsOf,
  type HashName,
  hashNames,
  isAlgorithmName,
  schemeNames,
  schemeOf,
} from './algorithm-facts.ts'
import { type Algorithm, algorithm, algorithms, isAlgorithm } from './algorithms.ts'
import { hex, utf8 } from './bytes.ts'
import { createEntropy, EntropyFailure, kernelSource } from './entropy.ts'
import { hashWith } from './hash.ts'
import { sha256 } from './hash-native.ts'
import { createSecp256k1, loadEngine, loadNative, loadWasm } from './secp256k1.ts'
import { createSchnorr, loadWasmSchnorr } from './secp256k1-schnorr.ts'
import { SecretArena } from './secret.ts'
import { publicKeyOf, verifySignature } from './verify.ts'

const entropy = createEntropy(kernelSource)
const wasm = createSecp256k1(loadWasm())
const wasmSchnorr = createSchnorr(loadWasmSchnorr(), kernelSource)
const implementations: readonly Algorithm[] = [...algorithms, wasm, wasmSchnorr]
const label = (row: Algorithm) => `${row.name} by ${row.engine}`

/** Two keys of each row whose keys take long to make. */
const madeBefore = new Map<Algorithm, Uint8Array[]>()

function newSecret(row: Algorithm): Uint8Array {
  const made = madeBefore.get(row) ?? []
  if (row.generateLater && made.length === 2) return (made[0] as Uint8Array).slice()
  const secret = new Uint8Array(row.secretLength)
  row.generate(entropy, secret)
  madeBefore.set(row, [secret.slice(), ...made])
  return secret
}

/** The orders of the groups in which a secret is a scalar; any other secret has a test of its own. */
const orders: { readonly [name in AlgorithmName]?: bigint } = {
  secp256k1: 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n,
  'secp256k1-schnorr': 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n,
  p256: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
  'bls12-381': 0x73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001n,
  bn254: 0x30644e72e131a029b85045b68181585d2833e84879b9709143e1f593f0000001n,
  p384: 0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
}

test('one table: each row has the facts of its name, and an engine that is named', () => {
  assert.deepEqual(
    algorithms.map((row) => [row.name, row.engine, row.native]),
    [
      ['secp256k1', loadEngine(loadNative, loadWasm).engine, loadEngine(loadNative, loadWasm).native],
      ['secp256k1-schnorr', loadEngine(loadNative, loadWasm).engine, loadEngine(loadNative, loadWasm).native],
      ['ed25519', 'libsodium', true],
      ['p256', 'openssl', true],
      ['p384', 'openssl', true],
      ['rsa-2048', 'openssl', true],
      ['rsa-3072', 'openssl', true],
      ['rsa-4096', 'openssl', true],
      ['bls12-381', 'blst', true],
      ['bn254', 'mcl (wasm)', false],
    ],
  )
  for (const facts of algorithmFacts) {
    const row = algorithm(facts.name)
    assert.deepEqual({ ...row, ...facts }, { ...row })
    assert.equal(factsOf(facts.name), facts)
    assert.ok(isAlgorithm(facts.name) && isAlgorithmName(facts.name))
  }
  assert.equal(algorithmFacts.length, algorithms.length)
  for (const { schemes } of algorithmFacts)
    for (const scheme of schemes) {
      assert.ok(schemeNames.includes(scheme.name) && scheme.hashes.every((name) => hashNames.includes(name)))
      // What is read as the digest of either is of one length, and a library that hashes by itself knows one hash.
      assert.ok(new Set(scheme.hashes.map((name) => digestLengths[name])).size <= 1)
      assert.ok(scheme.input === 'digest' || scheme.hashes.length <= 1)
    }
  assert.equal(schemeOf(factsOf('ed25519'), 'ecdsa'), undefined)
})

test('unknown names are refused, those of object properties too', () => {
  for (const name of ['', 'rsa', 'SECP256K1', 'constructor', '__proto__', 'toString']) {
    assert.equal(isAlgorithm(name), false)
    assert.equal(isAlgorithmName(name), false)
    assert.throws(() => algorithm(name), {
      name: 'RangeError',
      message: `algorithm: expected one of ${algorithms.map((row) => row.name).join(', ')}`,
    })
  }
})

test('where native secp256k1 does not load, WebAssembly does, and says so', () => {
  const missing = () => {
    throw new Error('No native build was found')
  }
  const engine = loadEngine(missing, loadWasm)
  assert.deepEqual([engine.engine, engine.native], ['tiny-secp256k1 (wasm)', false])
  assert.equal(loadEngine(loadNative, loadWasm).engine, 'libsecp256k1')
  assert.throws(() => loadEngine(missing, missing))
})

for (const row of implementations) {
  test(`${label(row)}: signs what plain JavaScript verifies, and verifies what was signed`, () => {
    const arena = new SecretArena(2)
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (message) => {
        const secret = newSecret(row)
        const publicKey = row.publicKey(secret)
        assert.equal(publicKey.length, row.publicKeyLength)
        assert.deepEqual(publicKeyOf(row.name, secret), publicKey)
        assert.ok(row.isValidPublicKey(publicKey))
        const signer = row.openSigner(secret, arena)
        for (const scheme of row.schemes) {
          // A point is at hand: the half in G1 of the key whose row signs points.
          const asked = scheme.point ? publicKey.slice(0, 64) : scheme.ownKey ? publicKey : message
          const input = scheme.input === 'digest' ? hashWith(scheme.hashes[0] as HashName, asked) : asked
          const { signature } = signer.sign(input, scheme.name)
          assert.equal(signature.length, row.signatureLength)
          assert.ok(row.verify(signature, input, publicKey, scheme.name))
          assert.ok(verifySignature(row.name, { message: asked, scheme: scheme.name }, signature, publicKey))
          for (const other of row.schemes)
            if (other !== scheme) assert.equal(row.verify(signature, input, publicKey, other.name), false)
          const again = signer.sign(input, scheme.name).signature
          if (scheme.deterministic) assert.deepEqual(again, signature)
          else assert.notDeepEqual(again, signature)
        }
        signer.close()
      }),
      { numRuns: row.slow ? 10 : 40 },
    )
    assert.equal(arena.available, 2)
  })

  test(`${label(row)}: a changed bit of signature, input or public key does not verify, by either code`, () => {
    const secret = newSecret(row)
    const input = sha256(utf8('message'))
    const publicKey = row.publicKey(secret)
    const { signature } = row.openSigner(secret, new SecretArena(1)).sign(input)
    const plain = (s: Uint8Array, i: Uint8Array, k: Uint8Array) =>
      verifySignature(row.name, row.schemes[0].input === 'digest' ? { digest: i } : { message: i }, s, k)
    assert.ok(row.verify(signature, input, publicKey) && plain(signature, input, publicKey))
    const parts = [signature, input, publicKey]
    parts.forEach((part, which) => {
      for (let bit = 0; bit < part.length * 8; bit += 7) {
        const changed = parts.map((bytes) => bytes.slice()) as [Uint8Array, Uint8Array, Uint8Array]
        const target = changed[which] as Uint8Array
        target[bit >> 3] = (target[bit >> 3] as number) ^ (1 << (bit & 7))
        assert.equal(row.verify(...changed), false)
        assert.equal(plain(...changed), false)
      }
    })
  })

  test(`${label(row)}: verify answers false for whatever is malformed`, () => {
    const publicKey = row.publicKey(newSecret(row))
    const input = new Uint8Array(32)
    const size = row.signatureLength
    const signature = new Uint8Array(size).fill(1)
    for (const length of [0, size - 1, size + 1])
      assert.equal(row.verify(new Uint8Array(length), input, publicKey), false)
    for (const byte of [0, 0xff]) assert.equal(row.verify(new Uint8Array(size).fill(byte), input, publicKey), false)
    for (const length of [0, 31, 32, 33, 65, row.publicKeyLength])
      assert.equal(row.verify(signature, input, new Uint8Array(length)), false)
    for (const bad of [null, undefined, 'a', {}, []] as unknown[] as Uint8Array[]) {
      assert.equal(row.verify(bad, input, publicKey), false)
      assert.equal(row.verify(signature, bad, publicKey), false)
      assert.equal(row.verify(signature, input, bad), false)
      assert.equal(row.isValidPublicKey(bad), false)
      assert.equal(row.isValidSecret(bad), false)
    }
  })

  test(`${label(row)}: secrets out of range are refused`, () => {
    const arena = new SecretArena(1)
    const order = orders[row.name]
    const size = row.secretLength
    const refused: Uint8Array[] = [new Uint8Array(size)]
    if (order !== undefined) {
      for (const value of [order, order + 1n, 2n ** BigInt(8 * size) - 1n]) refused.push(bytesOf(value, size))
      for (const value of [1n, order - 1n, order - 2n ** 128n]) assert.ok(row.isValidSecret(bytesOf(value, size)))
    }
    for (const secret of refused) {
      assert.equal(row.isValidSecret(secret), false)
      assert.throws(() => row.publicKey(secret), RangeError)
      assert.throws(() => row.openSigner(secret, arena), RangeError)
    }
    for (const length of [0, size - 1, size + 1]) {
      assert.equal(row.isValidSecret(new Uint8Array(length).fill(1)), false)
      assert.throws(() => row.publicKey(new Uint8Array(length).fill(1)), RangeError)
    }
    assert.equal(arena.available, 1)
  })

  test(`${label(row)}: a handle needs only its own copy, and ends`, () => {
    const arena = new SecretArena(1)
    const secret = newSecret(row)
    const publicKey = row.publicKey(secret)
    const signer = row.openSigner(secret, arena)
    secret.fill(0)
    const input = sha256(utf8('a'))
    assert.ok(row.verify(signer.sign(input).signature, input, publicKey))
    signer.close()
    signer.close()
    assert.throws(() => signer.sign(input), TypeError)
    assert.equal(arena.available, 1)
    assert.throws(() => row.openSigner(newSecret(row), arena).sign('text' as unknown as Uint8Array), TypeError)
  })

  if (row.generateLater) continue
  test(`${label(row)}: generate draws again while a value is out of range, and stops when entropy fails`, () => {
    let draws = 0
    const secret = new Uint8Array(row.secretLength)
    const invalidFirst = {
      healthy: true,
      fill(into: Uint8Array) {
        if (draws++ === 0) into.fill(orders[row.name] === undefined ? 0 : 0xff)
        else kernelSource(into)
      },
    }
    row.generate(invalidFirst, secret)
    assert.ok(draws >= 2)
    assert.ok(row.isValidSecret(secret))
    let stuck = false
    const failing = createEntropy((into) => (stuck ? into.fill(1) : kernelSource(into)))
    stuck = true
    assert.throws(() => row.generate(failing, secret), EntropyFailure)
    assert.ok(secret.every((byte) => byte === 0))
    assert.throws(() => row.generate(entropy, new Uint8Array(row.secretLength - 1)), RangeError)
  })
}

test('secp256k1 takes digests of 32 bytes only', () => {
  const signer = algorithm('secp256k1').openSigner(newSecret(algorithm('secp256k1')), new SecretArena(1))
  for (const length of [0, 31, 33, 64]) assert.throws(() => signer.sign(new Uint8Array(length)), RangeError)
})

test('native and WebAssembly secp256k1 give the same bytes', () => {
  const native = createSecp256k1(loadNative())
  const arena = new SecretArena(2)
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (digest) => {
      const secret = newSecret(native)
      const signers = [native.openSigner(secret, arena), wasm.openSigner(secret, arena)] as const
      assert.deepEqual(signers[0].sign(digest), signers[1].sign(digest))
      assert.equal(hex(native.publicKey(secret)), hex(wasm.publicKey(secret)))
      for (const signer of signers) signer.close()
    }),
  )
})

function bytesOf(value: bigint, length: number): Uint8Array {
  return new Uint8Array(Buffer.from(value.toString(16).padStart(2 * length, '0'), 'hex'))
}
