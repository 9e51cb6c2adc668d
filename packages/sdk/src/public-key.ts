import { ed25519 } from '@noble/curves/ed25519.js'
import { p256 } from '@noble/curves/nist.js'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import type { AlgorithmName } from '@popsigner/crypto/algorithm-facts'
import { assertBytes } from '@popsigner/crypto/bytes'

/**
 * The public key of a private key (32 bytes), in the form of the algorithm's row. `RangeError` for bytes that are no
 * private key of it. In plain JavaScript: numbers made of the key stay in memory until they are collected.
 */
export function publicKeyOf(algorithm: AlgorithmName, privateKey: Uint8Array): Uint8Array {
  assertBytes(privateKey, 'privateKey', 32)
  try {
    switch (algorithm) {
      case 'secp256k1':
        return secp256k1.getPublicKey(privateKey, true)
      case 'p256':
        return p256.getPublicKey(privateKey, true)
      case 'ed25519':
        return ed25519.getPublicKey(privateKey)
    }
  } catch {
    // Without the cause: what a library says about a number may hold the number.
    throw new RangeError(`privateKey: not a private key of ${algorithm}`)
  }
}
