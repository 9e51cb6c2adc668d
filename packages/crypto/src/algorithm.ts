import type { AlgorithmFacts, SchemeName } from './algorithm-facts.ts'
import type { Entropy } from './entropy.ts'
import type { Secret, SecretArena } from './secret.ts'

/** A signature, and for secp256k1 the recovery id (0 to 3) that gives the public key back. */
export interface Signature {
  /** In the form of the algorithm's row. */
  readonly signature: Uint8Array
  readonly recovery?: number
}

/** An opened key. */
export interface SigningHandle {
  /**
   * Signs the input of the scheme: a digest, or the message; the row's first scheme unless one is named. The answer is a new
   * array. `RangeError` for a digest of another length or a scheme that the row does not have, `TypeError` after `close`.
   */
  sign(input: Uint8Array, scheme?: SchemeName): Signature
  /** The same on another thread, where signing would hold up this one. `input` must not change meanwhile. */
  signLater?(input: Uint8Array, scheme?: SchemeName): Promise<Signature>
  /** Wipes what the handle holds. A second call does nothing. */
  close(): void
}

/** One row of the algorithm table. Secrets lie in locked memory, and are only read but for `generate`. */
export interface Algorithm extends AlgorithmFacts {
  /** Which library signs. It is shown to people: a slower one never replaces another in silence. */
  readonly engine: string
  /** Whether that library is native code that takes the secret from where it lies. */
  readonly native: boolean
  /**
   * Where an opened key lies: `locked` in locked memory and nowhere else; `copies` where the library also keeps some of it in
   * memory of its own that is not locked. Without `--secure-heap` that is so of every key that OpenSSL holds.
   */
  readonly memory: 'locked' | 'copies'
  /** Whose word it is that signing takes the same time for every key. Nothing was measured. */
  readonly constantTime: string
  /** Fills `secret` with a new key from `entropy`, drawing again where a value is out of range. Throws `EntropyFailure`. */
  generate(entropy: Entropy, secret: Uint8Array): void
  /** The same on another thread, where it takes longer than a signature. */
  generateLater?(entropy: Entropy, secret: Secret): Promise<void>
  /** `false` for whatever is no private key of the row: zeros, a scalar at or above the group's order. */
  isValidSecret(secret: Uint8Array): boolean
  /** The public key of a valid secret; `RangeError` for one that is not. */
  publicKey(secret: Uint8Array): Uint8Array
  /** Whether the bytes are one public key that keys can have, in the one form that is used here. */
  isValidPublicKey(publicKey: Uint8Array): boolean
  /**
   * Opens a signing handle. It keeps a copy in `arena` (or in OpenSSL's secure heap), so the caller wipes its own.
   * `RangeError` for a secret that is not valid, and when the arena is full.
   */
  openSigner(secret: Uint8Array, arena: SecretArena): SigningHandle
  /**
   * Whether the signature is over this input (as `sign` takes it) under this key by this scheme, the first unless one is
   * named. Never throws: whatever is malformed is `false`.
   */
  verify(signature: Uint8Array, input: Uint8Array, publicKey: Uint8Array, scheme?: SchemeName): boolean
}
