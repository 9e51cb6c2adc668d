import { assertBytes, concat } from '@popsigner/crypto/bytes'
import type { Entropy } from '@popsigner/crypto/entropy'
import { openXaes, sealXaes } from '@popsigner/crypto/xaes256gcm'

/**
 * An envelope is `version (1) ‖ suite (1) ‖ sealing key id (16) ‖ nonce (24) ‖ ciphertext ‖ tag (16)`. Suite 1 is
 * XAES-256-GCM with the specification's bytes as authenticated data. What is sealed has 32 bytes, but for the private keys
 * of algorithms whose row says otherwise.
 */
const version = 1
const suite = 1
const nonceStart = 18
const sealedStart = 42
const tagLength = 16

/** Most bytes of a secret. */
const maxSecretLength = 4096

/** Length of the envelope of a secret of so many bytes. */
export function envelopeLength(secretLength = 32): number {
  return sealedStart + secretLength + tagLength
}

/** Length of the secret in an envelope of so many bytes, or null where none has that length. */
export function sealedLength(envelope: Uint8Array): number | null {
  const length = envelope.length - sealedStart - tagLength
  return length < 1 || length > maxSecretLength ? null : length
}

/** A key that seals: its id (16 bytes, in every envelope it made) and its 32 bytes. */
export interface SealingKey {
  readonly id: Uint8Array
  readonly bytes: Uint8Array
}

/** Seals a secret of at most 4,096 bytes under a fresh random nonce. `spec` has to be given again, the same to the bit, to open it. */
export function seal(by: SealingKey, entropy: Entropy, secret: Uint8Array, spec: Uint8Array): Uint8Array {
  assertBytes(by.id, 'by.id', 16)
  assertBytes(secret, 'secret')
  if (secret.length < 1 || secret.length > maxSecretLength) throw new RangeError('secret: of no length that is sealed')
  const nonce = new Uint8Array(sealedStart - nonceStart)
  entropy.fill(nonce)
  return concat(Uint8Array.of(version, suite), by.id, nonce, sealXaes(by.bytes, nonce, secret, spec))
}

/**
 * Id of the key that sealed this envelope, as it says itself, or null for what is no envelope of a known version and
 * suite.
 */
export function sealedBy(envelope: Uint8Array): Uint8Array | null {
  if (sealedLength(envelope) === null || envelope[0] !== version || envelope[1] !== suite) return null
  return envelope.subarray(2, nonceStart)
}

/**
 * Opens into `into` (locked memory, of `sealedLength` bytes) and answers whether that worked; otherwise `into` holds zeros. False
 * for another key, another specification and any changed bit alike: no more is said.
 */
export function openInto(into: Uint8Array, by: SealingKey, envelope: Uint8Array, spec: Uint8Array): boolean {
  const id = sealedBy(envelope)
  if (id === null || into.length !== sealedLength(envelope) || id.some((byte, i) => byte !== by.id[i])) {
    into.fill(0)
    return false
  }
  const nonce = envelope.subarray(nonceStart, sealedStart)
  // The two bytes before the id are fixed by the check above, the id by the choice of the key: all of the envelope is
  // bound.
  return openXaes(by.bytes, nonce, envelope.subarray(sealedStart), spec, into) !== null
}
