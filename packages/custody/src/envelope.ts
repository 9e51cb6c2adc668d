/**
 * An envelope is `version (1) ‖ suite (1) ‖ sealing key id (16) ‖ nonce (24) ‖ ciphertext ‖ tag (16)`. Suite 1 is
 * XAES-256-GCM with the specification's bytes as authenticated data. What is sealed today is always 32 bytes long. Here is
 * what may be read without a key; `sealing.ts` seals and opens, and is for the signer alone.
 */
export const version = 1
export const suite = 1
/** Where the nonce begins: after the sealing key's id, which begins at 2. */
export const nonceStart = 18
/** Where the ciphertext begins. */
export const sealedStart = 42
const tagLength = 16

/** Length of a sealed secret in bytes. */
export const secretLength = 32
/** Length of the envelope of one, in bytes. */
export const envelopeLength: number = sealedStart + secretLength + tagLength

/**
 * Id of the key that sealed this envelope, as it says itself, or null for what is no envelope of a known version and
 * suite.
 */
export function sealedBy(envelope: Uint8Array): Uint8Array | null {
  if (envelope.length !== envelopeLength || envelope[0] !== version || envelope[1] !== suite) return null
  return envelope.subarray(2, nonceStart)
}
