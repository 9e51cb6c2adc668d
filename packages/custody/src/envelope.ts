import { assertBytes, concat } from '@popsigner/crypto/bytes'
import type { Entropy } from '@popsigner/crypto/entropy'
import { openXaes, sealXaes } from '@popsigner/crypto/xaes256gcm'

/**
 * An envelope is `version (1) ‖ suite (1) ‖ sealing key id (16) ‖ nonce (24) ‖ ciphertext ‖ tag (16)`. Suite 1 is
 * XAES-256-GCM with the specification's bytes as authenticated data. What is sealed today is always 32 bytes long.
 */
const version = 1
const suite = 1
const nonceStart = 18
const sealedStart = 42
const tagLength = 16

/** Length of a sealed secret in bytes. */
export const secretLength = 32
/** Length of the envelope of one, in bytes. */
export const envelopeLength: number = sealedStart + secretLength + tagLength

/** A key that seals: its id (16 bytes, in every envelope it made) and its 32 bytes. */
export interface SealingKey {
  readonly id: Uint8Array
  readonly bytes: Uint8Array
}

/** Seals 32 bytes under a fresh random nonce. `spec` has to be given again, the same to the bit, to open it. */
export function seal(by: SealingKey, entropy: Entropy, secret: Uint8Array, spec: Uint8Array): Uint8Array {
  assertBytes(by.id, 'by.id', 16)
  assertBytes(secret, 'secret', secretLength)
  const nonce = new Uint8Array(sealedStart - nonceStart)
  entropy.fill(nonce)
  return concat(Uint8Array.of(version, suite), by.id, nonce, sealXaes(by.bytes, nonce, secret, spec))
}

/**
 * Id of the key that sealed this envelope, as it says itself, or null for what is no envelope of a known version and
 * suite.
 */
export function sealedBy(envelope: Uint8Array): Uint8Array | null {
  if (envelope.length !== envelopeLength || envelope[0] !== version || envelope[1] !== suite) return null
  return envelope.subarray(2, nonceStart)
}

/**
 * Opens into `into` (32 bytes of locked memory) and answers whether that worked; otherwise `into` holds zeros. False
 * for another key, another specification and any changed bit alike: no more is said.
 */
export function openInto(into: Uint8Array, by: SealingKey, envelope: Uint8Array, spec: Uint8Array): boolean {
  const id = sealedBy(envelope)
  if (id === null || id.some((byte, i) => byte !== by.id[i])) {
    into.fill(0)
    return false
  }
  const nonce = envelope.subarray(nonceStart, sealedStart)
  // The two bytes before the id are fixed by the check above, the id by the choice of the key: all of the envelope is
  // bound.
  return openXaes(by.bytes, nonce, envelope.subarray(sealedStart), spec, into) !== null
}
