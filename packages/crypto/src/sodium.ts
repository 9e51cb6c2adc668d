import { createRequire } from 'node:module'

/** The functions of libsodium that this package uses. Arrays are read and filled in place; nothing is copied. */
export interface Sodium {
  /** Locked memory between guard pages, left out of core dumps. Whether locking worked is for `sodium_mlock` to say. */
  sodium_malloc(length: number): Uint8Array
  /** Wipes and gives back the very object that `sodium_malloc` gave; ignores any other. Every view of it then has length 0. */
  sodium_free(memory: Uint8Array): void
  /** Locks memory, again where it is locked already; throws where the kernel refuses. */
  sodium_mlock(memory: Uint8Array): void
  randombytes_buf(into: Uint8Array): void
  crypto_sign_seed_keypair(publicKey: Uint8Array, secretKey: Uint8Array, seed: Uint8Array): void
  crypto_sign_detached(signature: Uint8Array, message: Uint8Array, secretKey: Uint8Array): void
  crypto_sign_verify_detached(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean
  crypto_core_ed25519_is_valid_point(point: Uint8Array): boolean
}

const require = createRequire(import.meta.url)

/** libsodium. Loading this module throws where there is no build for the platform; nothing stands in for it. */
export const sodium: Sodium = require('sodium-native') as Sodium
