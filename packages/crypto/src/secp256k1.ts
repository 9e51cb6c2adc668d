import { createRequire } from 'node:module'
import type { Algorithm, Signature } from './algorithm.ts'
import { factsOf } from './algorithm-facts.ts'
import { assertBytes } from './bytes.ts'
import { kernelSource } from './entropy.ts'
import { allocateOffHeap } from './secret.ts'

/**
 * ECDSA over secp256k1: nonces by RFC 6979 with SHA-256, S in the lower half of the order, with a recovery id.
 *
 * libsecp256k1 signs from locked memory. Where it has no build, the same library as WebAssembly does, at about a third of
 * the rate; the row then says so in `engine` and `native`. WebAssembly has its own memory, which is not locked: the secret
 * is copied there for each call and zeroed after it.
 */

/** What the row needs of a library; arguments have been checked. */
interface Engine {
  readonly engine: string
  readonly native: boolean
  isValidSecret(secret: Uint8Array): boolean
  publicKey(secret: Uint8Array): Uint8Array
  isValidPublicKey(publicKey: Uint8Array): boolean
  sign(digest: Uint8Array, secret: Uint8Array): Signature
  /** `false` for S in the upper half. */
  verify(signature: Uint8Array, digest: Uint8Array, publicKey: Uint8Array): boolean
}

interface Libsecp256k1 {
  contextRandomize(seed: Uint8Array): void
  privateKeyVerify(secret: Uint8Array): boolean
  publicKeyCreate(secret: Uint8Array, compressed: true): Uint8Array
  publicKeyVerify(publicKey: Uint8Array): boolean
  ecdsaSign(digest: Uint8Array, secret: Uint8Array): { readonly signature: Uint8Array; readonly recid: number }
  ecdsaVerify(signature: Uint8Array, digest: Uint8Array, publicKey: Uint8Array): boolean
}

interface TinySecp256k1 {
  isPrivate(secret: Uint8Array): boolean
  pointFromScalar(secret: Uint8Array, compressed: true): Uint8Array | null
  isPointCompressed(publicKey: Uint8Array): boolean
  signRecoverable(
    digest: Uint8Array,
    secret: Uint8Array,
  ): { readonly signature: Uint8Array; readonly recoveryId: number }
  verify(digest: Uint8Array, publicKey: Uint8Array, signature: Uint8Array, strict: true): boolean
}

const require = createRequire(import.meta.url)

/** The row of secp256k1, by the fastest engine that this platform has. */
export const secp256k1: Algorithm = createSecp256k1(loadEngine(loadNative, loadWasm))

/** The row over a given engine, which must sign deterministically and with low S. */
export function createSecp256k1(engine: Engine): Algorithm {
  const { isValidSecret, isValidPublicKey } = engine
  return {
    ...factsOf('secp256k1'),
    engine: engine.engine,
    native: engine.native,
    memory: engine.native ? 'locked' : 'copies',
    constantTime: 'libsecp256k1',
    generate(entropy, secret) {
      assertBytes(secret, 'secret', 32)
      do entropy.fill(secret)
      while (!isValidSecret(secret))
    },
    isValidSecret: (secret) => isBytes(secret, 32) && isValidSecret(secret),
    publicKey(secret) {
      assertSecret(engine, secret)
      return engine.publicKey(secret)
    },
    isValidPublicKey: (publicKey) => isBytes(publicKey, 33) && isValidPublicKey(publicKey),
    openSigner(secret, arena) {
      assertSecret(engine, secret)
      const held = arena.take(32)
      held.use((bytes) => bytes.set(secret))
      return {
        sign(digest) {
          assertBytes(digest, 'digest', 32)
          return held.use((bytes) => engine.sign(digest, bytes))
        },
        close: () => held.wipe(),
      }
    },
    verify(signature, digest, publicKey) {
      if (!isBytes(signature, 64) || !isBytes(digest, 32) || !isBytes(publicKey, 33)) return false
      try {
        return engine.verify(signature, digest, publicKey)
      } catch {
        // The libraries throw for R or S at or above the order, and for a public key that is no point.
        return false
      }
    },
  }
}

/** The first engine, or the second where the first does not load. Exported for its test. */
export function loadEngine<E>(first: () => E, second: () => E): E {
  try {
    return first()
  } catch {
    return second()
  }
}

/** libsecp256k1 as native code. Throws where there is no build for the platform. */
export function loadNative(): Engine {
  // The package's own entry would fall back to plain JavaScript without a word; this one throws.
  const library = require('secp256k1/bindings') as Libsecp256k1
  // Blinds the multiplications with the base point against side channels. The seed is not needed again.
  const seed = allocateOffHeap(32)
  kernelSource(seed)
  library.contextRandomize(seed)
  seed.fill(0)
  return {
    engine: 'libsecp256k1',
    native: true,
    isValidSecret: (secret) => library.privateKeyVerify(secret),
    publicKey: (secret) => library.publicKeyCreate(secret, true),
    isValidPublicKey: (publicKey) => library.publicKeyVerify(publicKey),
    sign(digest, secret) {
      const { signature, recid } = library.ecdsaSign(digest, secret)
      return { signature, recovery: recid }
    },
    verify: (signature, digest, publicKey) => library.ecdsaVerify(signature, digest, publicKey),
  }
}

/** libsecp256k1 as WebAssembly. */
export function loadWasm(): Engine {
  const library = require('tiny-secp256k1') as TinySecp256k1
  return {
    engine: 'tiny-secp256k1 (wasm)',
    native: false,
    isValidSecret: (secret) => library.isPrivate(secret),
    publicKey: (secret) => library.pointFromScalar(secret, true) as Uint8Array,
    isValidPublicKey: (publicKey) => library.isPointCompressed(publicKey),
    sign(digest, secret) {
      const { signature, recoveryId } = library.signRecoverable(digest, secret)
      return { signature, recovery: recoveryId }
    },
    verify: (signature, digest, publicKey) => library.verify(digest, publicKey, signature, true),
  }
}

function assertSecret(engine: Engine, secret: Uint8Array): void {
  assertBytes(secret, 'secret', 32)
  if (!engine.isValidSecret(secret)) throw new RangeError('secret: not a scalar below the order of the group')
}

function isBytes(value: unknown, length: number): boolean {
  return value instanceof Uint8Array && value.length === length
}
