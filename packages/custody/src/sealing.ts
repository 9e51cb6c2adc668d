import { assertBytes, concat } from '@popsigner/crypto/bytes'
import type { Entropy } from '@popsigner/crypto/entropy'
import { openXaes, sealXaes } from '@popsigner/crypto/xaes256gcm'
import { maxSecretLength, nonceStart, sealedBy, sealedLength, sealedStart, suite, version } from './envelope.ts'

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
