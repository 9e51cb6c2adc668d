/**
 * An envelope is `version (1) ‖ suite (1) ‖ sealing key id (16) ‖ nonce (24) ‖ ciphertext ‖ tag (16)`. Suite 1 is
 * XAES-256-GCM with the specification's bytes as authenticated data. What is sealed has 32 bytes, but for the private keys
 * of algorithms whose row says otherwise. Here is what may be read without a key; `sealing.ts` seals and opens, and is for the
 * signer alone.
 */
export const version = 1
export const suite = 1
/** Where the nonce begins: after the sealing key's id, which begins at 2. */
export const nonceStart = 18
/** Where the ciphertext begins. */
export const sealedStart = 42
const tagLength = 16

/** Most bytes of a secret. */
export const maxSecretLength = 4096

/** Length of the envelope of a secret of so many bytes. */
export function envelopeLength(secretLength = 32): number {
  return sealedStart + secretLength + tagLength
}

/** Length of the secret in an envelope of so many bytes, or null where none has that length. */
export function sealedLength(envelope: Uint8Array): number | null {
  const length = envelope.length - sealedStart - tagLength
  return length < 1 || length > maxSecretLength ? null : length
}

/**
 * Id of the key that sealed this envelope, as it says itself, or null for what is no envelope of a known version and
 * suite.
 */
export function sealedBy(envelope: Uint8Array): Uint8Array | null {
  if (sealedLength(envelope) === null || envelope[0] !== version || envelope[1] !== suite) return null
  return envelope.subarray(2, nonceStart)
}
