import type { AlgorithmFacts } from './algorithm-facts.ts'
import type { Entropy } from './entropy.ts'
import type { SecretArena } from './secret.ts'

/** A signature, and for secp256k1 the recovery id (0 to 3) that gives the public key back. */
export interface Signature {
  /** 64 bytes: R, then S, big-endian (ECDSA); RFC 8032 §5.1.6 (Ed25519). */
  readonly signature: Uint8Array
  readonly recovery?: number
}

/** An opened key. */
export interface SigningHandle {
  /**
   * Signs the input of the algorithm's row: a 32-byte digest for secp256k1, else the message. The answer is a new array.
   * `RangeError` for a digest of another length, `TypeError` after `close`.
   */
  sign(input: Uint8Array): Signature
  /** Wipes what the handle holds. A second call does nothing. */
  close(): void
}

/** One row of the algorithm table. Secrets are 32 bytes that lie in locked memory, and are only read but for `generate`. */
export interface Algorithm extends AlgorithmFacts {
  /** Which library signs. It is shown to people: a slower one never replaces another in silence. */
  readonly engine: string
  /** Whether that library is native code that takes the secret from where it lies. */
  readonly native: boolean
  /** Fills `secret` with a new key from `entropy`, drawing again where a value is out of range. Throws `EntropyFailure`. */
  generate(entropy: Entropy, secret: Uint8Array): void
  /** `false` for zeros, and for a scalar at or above the group's order. */
  isValidSecret(secret: Uint8Array): boolean
  /** The public key of a valid secret; `RangeError` for one that is not. */
  publicKey(secret: Uint8Array): Uint8Array
  /** Whether the bytes are one point that keys can have, in the one form that is used here. */
  isValidPublicKey(publicKey: Uint8Array): boolean
  /**
   * Opens a signing handle. It keeps a copy in `arena` (or in OpenSSL's secure heap), so the caller wipes its own.
   * `RangeError` for a secret that is not valid, and when the arena is full.
   */
  openSigner(secret: Uint8Array, arena: SecretArena): SigningHandle
  /** Whether the signature is over this input under this key. Never throws: whatever is malformed is `false`. */
  verify(signature: Uint8Array, input: Uint8Array, publicKey: Uint8Array): boolean
}
