import { createRequire } from 'node:module'
import type { Algorithm } from './algorithm.ts'
import { factsOf } from './algorithm-facts.ts'
import { checkPlainPublicKey, plainBls12381, signPlainBls12381 } from './bls12-381-plain.ts'
import { assertBytes, equal } from './bytes.ts'
import { loadEngine } from './secp256k1.ts'

/**
 * BLS signatures over BLS12-381 with public keys of minimal size (draft-irtf-cfrg-bls-signature), by the ciphersuite of Ethereum:
 * `BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_`. Both schemes take the message whole; `proof-of-possession` (§3.3) takes the key's
 * own public key and nothing else.
 *
 * blst signs. It keeps a copy of the secret in memory of its own, which is not locked, and frees it, zeroed, when Node's garbage
 * collector finds the object. It cannot sign under another domain, so proofs of possession are made by noble in JavaScript:
 * the number that the secret is then lies in V8's heap until it is collected. That happens for no key that was not created with
 * the scheme `proof-of-possession`. Where blst has no build, noble signs everything, at a fiftieth of the rate.
 */

const secretLength = 32
const require = createRequire(import.meta.url)

interface BlsEngine {
  readonly engine: string
  readonly native: boolean
  /** Throws for zero, and for a scalar at or above the order. */
  open(secret: Uint8Array): { readonly publicKey: Uint8Array; sign(message: Uint8Array): Uint8Array }
  /** Throws for a point that is malformed, at infinity, or not in the group. */
  checkPublicKey(publicKey: Uint8Array): void
  verify(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean
}

/** The functions of blst that are used here. */
export interface Blst {
  readonly SecretKey: {
    fromBytes(bytes: Uint8Array): { toPublicKey(): BlstPoint; sign(message: Uint8Array): BlstPoint }
  }
  readonly PublicKey: { fromBytes(bytes: Uint8Array, validate: boolean): BlstPoint }
  readonly Signature: { fromBytes(bytes: Uint8Array, validate: boolean, infinityCheck?: boolean): BlstPoint }
  aggregateSignatures(signatures: readonly BlstPoint[]): BlstPoint
  verify(message: Uint8Array, publicKey: BlstPoint, signature: BlstPoint): boolean
  aggregateVerify(messages: readonly Uint8Array[], publicKeys: readonly BlstPoint[], signature: BlstPoint): boolean
  fastAggregateVerify(message: Uint8Array, publicKeys: readonly BlstPoint[], signature: BlstPoint): boolean
}

interface BlstPoint {
  toBytes(compressed?: boolean): Uint8Array
}

/** blst. Throws where there is no build for the platform. */
export function loadBlst(): Blst {
  return require('@chainsafe/blst') as Blst
}

/** The row, by the fastest engine that this platform has. */
export const bls12381: Algorithm = createBls(loadEngine(loadBlstEngine, loadNobleEngine))

/** The row over an engine. */
export function createBls(engine: BlsEngine): Algorithm {
  function isValidSecret(secret: Uint8Array): boolean {
    if (!isBytes(secret, secretLength)) return false
    try {
      engine.open(secret)
      return true
    } catch {
      return false
    }
  }

  function open(secret: Uint8Array): ReturnType<BlsEngine['open']> {
    assertBytes(secret, 'secret', secretLength)
    try {
      return engine.open(secret)
    } catch {
      throw new RangeError('secret: not a scalar below the order of the group')
    }
  }

  return {
    ...factsOf('bls12-381'),
    engine: engine.engine,
    native: engine.native,
    memory: 'copies',
    constantTime: engine.native ? 'blst; nobody for proofs of possession' : 'nobody',
    generate(entropy, secret) {
      assertBytes(secret, 'secret', secretLength)
      do entropy.fill(secret)
      while (!isValidSecret(secret))
    },
    isValidSecret,
    publicKey: (secret) => open(secret).publicKey,
    isValidPublicKey(publicKey) {
      if (!isBytes(publicKey, 48)) return false
      try {
        engine.checkPublicKey(publicKey)
        return true
      } catch {
        return false
      }
    },
    openSigner(secret, arena) {
      let key: ReturnType<BlsEngine['open']> | null = open(secret)
      const held = arena.take(secretLength)
      held.use((bytes) => bytes.set(secret))
      return {
        sign(message, scheme = 'signature') {
          assertBytes(message, 'message')
          if (key === null) throw new TypeError('signer: used after it was closed')
          if (scheme === 'signature') return { signature: key.sign(message) }
          if (scheme !== 'proof-of-possession') throw new RangeError('scheme: not one of the row')
          if (!equal(message, key.publicKey)) throw new RangeError('message: a proof is over the own public key')
          return { signature: held.use((bytes) => signPlainBls12381(bytes, message, scheme)) }
        },
        close() {
          key = null
          held.wipe()
        },
      }
    },
    verify(signature, message, publicKey, scheme = 'signature') {
      if (!isBytes(signature, 96) || !(message instanceof Uint8Array) || !isBytes(publicKey, 48)) return false
      try {
        return scheme === 'signature'
          ? engine.verify(signature, message, publicKey)
          : plainBls12381.verify(signature, message, publicKey, scheme)
      } catch {
        return false
      }
    },
  }
}

function loadBlstEngine(): BlsEngine {
  const blst = loadBlst()
  return {
    engine: 'blst',
    native: true,
    open(secret) {
      const key = blst.SecretKey.fromBytes(secret)
      return { publicKey: key.toPublicKey().toBytes(), sign: (message) => key.sign(message).toBytes() }
    },
    checkPublicKey: (publicKey) => void blst.PublicKey.fromBytes(publicKey, true),
    verify: (signature, message, publicKey) =>
      blst.verify(message, blst.PublicKey.fromBytes(publicKey, true), blst.Signature.fromBytes(signature, true, true)),
  }
}

/** noble, in JavaScript. Exported for its test. */
export function loadNobleEngine(): BlsEngine {
  return {
    engine: 'noble (JavaScript)',
    native: false,
    open(secret) {
      const own = secret.slice()
      return {
        publicKey: plainBls12381.publicKey(own),
        sign: (message) => signPlainBls12381(own, message, 'signature'),
      }
    },
    checkPublicKey: checkPlainPublicKey,
    verify: (signature, message, publicKey) => plainBls12381.verify(signature, message, publicKey, 'signature'),
  }
}

function isBytes(value: unknown, length: number): boolean {
  return value instanceof Uint8Array && value.length === length
}
