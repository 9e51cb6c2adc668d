import { hash } from 'node:crypto'
import { createRequire } from 'node:module'
import type { Algorithm } from './algorithm.ts'
import { factsOf } from './algorithm-facts.ts'
import { assertBytes, concat, utf8 } from './bytes.ts'
import { kernelSource } from './entropy.ts'
import { sha256 } from './hash-native.ts'
import { loadEngine } from './secp256k1.ts'
import { Secret } from './secret.ts'

/**
 * Schnorr signatures over secp256k1 (BIP-340) of digests of 32 bytes, under x-only public keys.
 *
 * The auxiliary randomness of each signature is 32 bytes from the kernel, as BIP-340 §Default Signing recommends: a fault in
 * one of two signatures over the same digest then tells nothing about the key, and a repeat has other bytes.
 *
 * The native library has no such signatures; they are put together from its scalars and points, which run in constant time,
 * with every secret value in locked memory. Where it has no build, libsecp256k1 as WebAssembly signs whole, at a quarter
 * of the rate and with copies of the secret in memory that is not locked; the row then says so in `engine` and `native`.
 */

/** What the row needs of a library; arguments have been checked. */
export interface SchnorrEngine {
  readonly engine: string
  readonly native: boolean
  isValidSecret(secret: Uint8Array): boolean
  publicKey(secret: Uint8Array): Uint8Array
  sign(digest: Uint8Array, secret: Uint8Array, auxiliary: Uint8Array): Uint8Array
}

interface Libsecp256k1 {
  privateKeyVerify(secret: Uint8Array): boolean
  publicKeyCreate(secret: Uint8Array, compressed: true): Uint8Array
  /** Each changes its first argument; the last two throw for a tweak at or above the order. */
  privateKeyNegate(secret: Uint8Array): Uint8Array
  privateKeyTweakAdd(secret: Uint8Array, tweak: Uint8Array): Uint8Array
  privateKeyTweakMul(secret: Uint8Array, tweak: Uint8Array): Uint8Array
}

interface TinySecp256k1 {
  isPrivate(secret: Uint8Array): boolean
  isXOnlyPoint(publicKey: Uint8Array): boolean
  xOnlyPointFromScalar(secret: Uint8Array): Uint8Array
  signSchnorr(digest: Uint8Array, secret: Uint8Array, auxiliary: Uint8Array): Uint8Array
  verifySchnorr(digest: Uint8Array, publicKey: Uint8Array, signature: Uint8Array): boolean
}

const require = createRequire(import.meta.url)
const tiny = require('tiny-secp256k1') as TinySecp256k1

/** The row, by the fastest engine that this platform has. */
export const secp256k1Schnorr: Algorithm = createSchnorr(loadEngine(loadNativeSchnorr, loadWasmSchnorr), kernelSource)

/** The row over an engine and a source of auxiliary randomness, 32 bytes at a time: the published vectors fix it. */
export function createSchnorr(engine: SchnorrEngine, auxiliarySource: (into: Uint8Array) => void): Algorithm {
  const auxiliary = new Uint8Array(32)
  const assertSecret = (secret: Uint8Array): void => {
    assertBytes(secret, 'secret', 32)
    if (!engine.isValidSecret(secret)) throw new RangeError('secret: not a scalar below the order of the group')
  }
  return {
    ...factsOf('secp256k1-schnorr'),
    engine: engine.engine,
    native: engine.native,
    memory: engine.native ? 'locked' : 'copies',
    constantTime: 'libsecp256k1',
    generate(entropy, secret) {
      assertBytes(secret, 'secret', 32)
      do entropy.fill(secret)
      while (!engine.isValidSecret(secret))
    },
    isValidSecret: (secret) => isBytes(secret, 32) && engine.isValidSecret(secret),
    publicKey(secret) {
      assertSecret(secret)
      return engine.publicKey(secret)
    },
    isValidPublicKey: (publicKey) => isBytes(publicKey, 32) && tiny.isXOnlyPoint(publicKey),
    openSigner(secret, arena) {
      assertSecret(secret)
      const held = arena.take(32)
      held.use((bytes) => bytes.set(secret))
      return {
        sign(digest) {
          assertBytes(digest, 'digest', 32)
          auxiliarySource(auxiliary)
          return { signature: held.use((bytes) => engine.sign(digest, bytes, auxiliary)) }
        },
        close: () => held.wipe(),
      }
    },
    verify(signature, digest, publicKey) {
      if (!isBytes(signature, 64) || !isBytes(digest, 32) || !isBytes(publicKey, 32)) return false
      try {
        return tiny.verifySchnorr(digest, publicKey, signature)
      } catch {
        // The library throws for a public key that is no point, and for R or S out of range.
        return false
      }
    },
  }
}

/** The scalars and points of native libsecp256k1. Throws where there is no build for the platform. */
export function loadNativeSchnorr(): SchnorrEngine {
  const library = require('secp256k1/bindings') as Libsecp256k1
  const tagged = (tag: string): Uint8Array => concat(sha256(utf8(tag)), sha256(utf8(tag)))
  const tags = {
    auxiliary: tagged('BIP0340/aux'),
    nonce: tagged('BIP0340/nonce'),
    challenge: tagged('BIP0340/challenge'),
  }
  // Signing is synchronous: one working place is enough for all keys. d and k (32 each), then what is hashed (160).
  const working = Secret.allocate(224)

  /** §Default Signing, its names. Fails, with a chance of 2^-127, where a hash is at or above the order. */
  function sign(digest: Uint8Array, secret: Uint8Array, auxiliary: Uint8Array, place: Uint8Array): Uint8Array {
    const d = place.subarray(0, 32)
    const k = place.subarray(32, 64)
    const hashed = place.subarray(64)
    d.set(secret)
    const point = library.publicKeyCreate(d, true)
    if (point[0] === 3) library.privateKeyNegate(d)
    // t = d xor the hash of the auxiliary randomness
    const masked = sha256(tags.auxiliary, auxiliary)
    for (let i = 0; i < 32; i++) hashed[64 + i] = (d[i] as number) ^ (masked[i] as number)
    hashed.set(tags.nonce)
    hashed.set(point.subarray(1), 96)
    hashed.set(digest, 128)
    hashInto(k, hashed)
    const nonce = library.publicKeyCreate(k, true)
    if (nonce[0] === 3) library.privateKeyNegate(k)
    hashed.set(tags.challenge)
    hashed.set(nonce.subarray(1), 64)
    hashed.set(point.subarray(1), 96)
    // s = k + e·d
    library.privateKeyTweakMul(d, sha256(hashed))
    library.privateKeyTweakAdd(d, k)
    const signature = new Uint8Array(64)
    signature.set(nonce.subarray(1))
    signature.set(d, 32)
    return signature
  }

  return {
    engine: 'libsecp256k1',
    native: true,
    isValidSecret: (secret) => library.privateKeyVerify(secret),
    publicKey: (secret) => library.publicKeyCreate(secret, true).slice(1),
    sign: (digest, secret, auxiliary) =>
      working.use((place) => {
        try {
          return sign(digest, secret, auxiliary, place)
        } finally {
          place.fill(0)
        }
      }),
  }
}

/** libsecp256k1 as WebAssembly. */
export function loadWasmSchnorr(): SchnorrEngine {
  return {
    engine: 'tiny-secp256k1 (wasm)',
    native: false,
    isValidSecret: (secret) => tiny.isPrivate(secret),
    publicKey: (secret) => tiny.xOnlyPointFromScalar(secret),
    sign: (digest, secret, auxiliary) => tiny.signSchnorr(digest, secret, auxiliary),
  }
}

/** SHA-256 into memory of the caller's; the copy that Node makes is wiped. */
function hashInto(into: Uint8Array, bytes: Uint8Array): void {
  const digest = hash('sha256', bytes, 'buffer')
  into.set(digest)
  digest.fill(0)
}

function isBytes(value: unknown, length: number): boolean {
  return value instanceof Uint8Array && value.length === length
}
