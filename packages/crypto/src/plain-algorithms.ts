import { ed25519 } from '@noble/curves/ed25519.js'
import { p256, p384 } from '@noble/curves/nist.js'
import { schnorr, secp256k1 } from '@noble/curves/secp256k1.js'
import type { AlgorithmName, SchemeName } from './algorithm-facts.ts'
import { plainBls12381 } from './bls12-381-plain.ts'
import { plainBn254 } from './bn254-plain.ts'
import { createPlainRsa } from './rsa-plain.ts'

/**
 * What is known of each algorithm without the code that signs: verification and public keys in plain JavaScript, by other
 * libraries. Callers have compared lengths with the facts; both functions may throw for what is malformed.
 */
export interface PlainAlgorithm {
  /** `signed` is the digest where the scheme has hashes, else the message. */
  verify(signature: Uint8Array, signed: Uint8Array, publicKey: Uint8Array, scheme: SchemeName): boolean
  /** Numbers made of the secret stay in memory until they are collected. */
  publicKey(secret: Uint8Array): Uint8Array
}

/** One row per algorithm. */
export const plainAlgorithms: { readonly [name in AlgorithmName]: PlainAlgorithm } = {
  secp256k1: {
    verify: (signature, digest, publicKey) =>
      secp256k1.verify(signature, digest, publicKey, { prehash: false, lowS: true }),
    publicKey: (secret) => secp256k1.getPublicKey(secret, true),
  },
  'secp256k1-schnorr': {
    verify: (signature, digest, publicKey) => schnorr.verify(signature, digest, publicKey),
    publicKey: (secret) => schnorr.getPublicKey(secret),
  },
  ed25519: { verify: verifyEd25519, publicKey: (secret) => ed25519.getPublicKey(secret) },
  p256: {
    verify: (signature, digest, publicKey) =>
      p256.verify(signature, digest, publicKey, { prehash: false, lowS: false }),
    publicKey: (secret) => p256.getPublicKey(secret, true),
  },
  p384: {
    verify: (signature, digest, publicKey) =>
      p384.verify(signature, digest, publicKey, { prehash: false, lowS: false }),
    publicKey: (secret) => p384.getPublicKey(secret, true),
  },
  'rsa-2048': createPlainRsa(2048),
  'rsa-3072': createPlainRsa(3072),
  'rsa-4096': createPlainRsa(4096),
  'bls12-381': plainBls12381,
  bn254: plainBn254,
}

/** The library multiplies by the cofactor; where both points lie in the group of prime order that makes no difference. */
function verifyEd25519(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean {
  const key = ed25519.Point.fromBytes(publicKey)
  if (key.is0() || !key.isTorsionFree()) return false
  if (!ed25519.Point.fromBytes(signature.subarray(0, 32)).isTorsionFree()) return false
  return ed25519.verify(signature, message, publicKey, { zip215: false })
}
