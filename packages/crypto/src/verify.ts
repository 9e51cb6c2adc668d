import {
  type AlgorithmName,
  digestLengths,
  factsOf,
  type HashName,
  isAlgorithmName,
  type SchemeFacts,
  type SchemeName,
  schemeOf,
  schemesOf,
} from './algorithm-facts.ts'
import { assertBytes } from './bytes.ts'
import { hashWith } from './hash.ts'
import { plainAlgorithms } from './plain-algorithms.ts'

/**
 * What a signature is over: the message, with the hash where one may be chosen; or the digest that went into the signature.
 * A message without `hash` is hashed with the first of the scheme; without `scheme` it is the algorithm's first.
 */
export type SignedInput =
  | {
      readonly message: Uint8Array
      readonly hash?: HashName | undefined
      readonly scheme?: SchemeName | undefined
    }
  | { readonly digest: Uint8Array; readonly scheme?: SchemeName | undefined }

/**
 * Whether `signature` is over this input under this public key, in plain JavaScript and independent of the code that
 * signs. The answer is that of the algorithm's own `verify`: high S is `false` for secp256k1 and accepted for P-256;
 * an Ed25519 public key lies in the group of prime order, and the equation is checked without the cofactor (RFC 8032 §5.1.7).
 *
 * Malformed signatures and public keys are `false`. `RangeError` where the question makes no sense: an algorithm without a
 * row, a scheme or hash that the row does not have, a digest where the message is signed whole, or one of another length.
 */
export function verifySignature(
  algorithm: AlgorithmName,
  input: SignedInput,
  signature: Uint8Array,
  publicKey: Uint8Array,
): boolean {
  if (!isAlgorithmName(algorithm)) throw new RangeError('algorithm: not in the table')
  const facts = factsOf(algorithm)
  const scheme = input.scheme === undefined ? facts.schemes[0] : schemeOf(facts, input.scheme)
  if (scheme === undefined) throw new RangeError(`scheme: expected ${schemesOf(facts)}`)
  const signed = scheme.hashes.length === 0 ? wholeMessage(algorithm, input) : digestOf(scheme, input)
  if (!isBytes(signature, facts.signatureLength) || !isBytes(publicKey, facts.publicKeyLength)) return false
  try {
    return plainAlgorithms[algorithm].verify(signature, signed, publicKey, scheme.name)
  } catch {
    return false
  }
}

/**
 * The public key of a private key, both in the form of the algorithm's row. `RangeError` for bytes that are no private key
 * of it. In plain JavaScript: numbers made of the key stay in memory until they are collected.
 */
export function publicKeyOf(algorithm: AlgorithmName, privateKey: Uint8Array): Uint8Array {
  assertBytes(privateKey, 'privateKey', factsOf(algorithm).secretLength)
  try {
    return plainAlgorithms[algorithm].publicKey(privateKey)
  } catch {
    // Without the cause: what a library says about a number may hold the number.
    throw new RangeError(`privateKey: not a private key of ${algorithm}`)
  }
}

function wholeMessage(algorithm: AlgorithmName, input: SignedInput): Uint8Array {
  if ('digest' in input) throw new RangeError(`input: ${algorithm} signs messages, not digests`)
  if (input.hash !== undefined) throw new RangeError(`hash: ${algorithm} has none to choose`)
  assertBytes(input.message, 'message')
  return input.message
}

function digestOf({ hashes }: SchemeFacts, input: SignedInput): Uint8Array {
  if ('digest' in input) {
    // All hashes of a scheme have digests of one length.
    assertBytes(input.digest, 'digest', digestLengths[hashes[0] as HashName])
    return input.digest
  }
  const hash = input.hash ?? hashes[0]
  if (hash === undefined || !hashes.includes(hash)) throw new RangeError(`hash: expected one of ${hashes.join(', ')}`)
  assertBytes(input.message, 'message')
  return hashWith(hash, input.message)
}

function isBytes(value: unknown, length: number): boolean {
  return value instanceof Uint8Array && value.length === length
}
