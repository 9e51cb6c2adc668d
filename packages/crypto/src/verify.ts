import { ed25519 } from '@noble/curves/ed25519.js'
import { p256 } from '@noble/curves/nist.js'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { type AlgorithmName, factsOf, type HashName, isAlgorithmName } from './algorithm-facts.ts'
import { assertBytes } from './bytes.ts'
import { keccak256, sha256 } from './hash.ts'

/**
 * What a signature is over: the message, with the hash where one may be chosen; or the digest that went into the signature.
 * A message without `hash` is hashed with the first of the algorithm's row.
 */
export type SignedInput =
  | { readonly message: Uint8Array; readonly hash?: HashName | undefined }
  | { readonly digest: Uint8Array }

/**
 * Whether `signature` (64 bytes) is over this input under this public key, in plain JavaScript and independent of the code
 * that signs. The answer is that of the algorithm's own `verify`: high S is `false` for secp256k1 and accepted for P-256;
 * an Ed25519 public key lies in the group of prime order, and the equation is checked without the cofactor (RFC 8032 §5.1.7).
 *
 * Malformed signatures and public keys are `false`. `RangeError` where the question makes no sense: an algorithm without a
 * row, a hash that the row does not have, a digest for Ed25519, or one that is not 32 bytes.
 */
export function verifySignature(
  algorithm: AlgorithmName,
  input: SignedInput,
  signature: Uint8Array,
  publicKey: Uint8Array,
): boolean {
  if (!isAlgorithmName(algorithm)) throw new RangeError('algorithm: not in the table')
  const facts = factsOf(algorithm)
  const signed = algorithm === 'ed25519' ? wholeMessage(input) : digestOf(facts.hashes, input)
  if (!isBytes(signature, facts.signatureLength) || !isBytes(publicKey, facts.publicKeyLength)) return false
  try {
    switch (algorithm) {
      case 'secp256k1':
        return secp256k1.verify(signature, signed, publicKey, { prehash: false, lowS: true })
      case 'p256':
        return p256.verify(signature, signed, publicKey, { prehash: false, lowS: false })
      case 'ed25519':
        return verifyEd25519(signature, signed, publicKey)
    }
  } catch {
    return false
  }
}

/** The library multiplies by the cofactor; where both points lie in the group of prime order that makes no difference. */
function verifyEd25519(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean {
  const key = ed25519.Point.fromBytes(publicKey)
  if (key.is0() || !key.isTorsionFree()) return false
  if (!ed25519.Point.fromBytes(signature.subarray(0, 32)).isTorsionFree()) return false
  return ed25519.verify(signature, message, publicKey, { zip215: false })
}

function wholeMessage(input: SignedInput): Uint8Array {
  if ('digest' in input) throw new RangeError('input: ed25519 signs messages, not digests')
  if (input.hash !== undefined) throw new RangeError('hash: ed25519 has none to choose')
  assertBytes(input.message, 'message')
  return input.message
}

function digestOf(hashes: readonly HashName[], input: SignedInput): Uint8Array {
  if ('digest' in input) {
    assertBytes(input.digest, 'digest', 32)
    return input.digest
  }
  const hash = input.hash ?? hashes[0]
  if (hash === undefined || !hashes.includes(hash)) throw new RangeError(`hash: expected one of ${hashes.join(', ')}`)
  assertBytes(input.message, 'message')
  return hash === 'keccak256' ? keccak256(input.message) : sha256(input.message)
}

function isBytes(value: unknown, length: number): boolean {
  return value instanceof Uint8Array && value.length === length
}
