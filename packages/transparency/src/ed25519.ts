/** Ed25519 verification for notes and statements, in plain JavaScript. */
import { ed25519 } from '@noble/curves/ed25519.js'

/**
 * True when `signature` is over `message` under `publicKey` by the strict rules of RFC 8032 §5.1.7: encodings must be
 * canonical and the key must not be of small order. Never throws.
 */
export function verifyEd25519(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean {
  if (signature.length !== 64 || publicKey.length !== 32) return false
  return ed25519.verify(signature, message, publicKey, { zip215: false })
}
