import { secp256k1 } from '@noble/curves/secp256k1.js'
import { assertBytes } from './bytes.ts'

/**
 * The public key (33 bytes) that made an ECDSA signature of secp256k1 (64 bytes: R, S) over a 32-byte digest, by its recovery
 * id; `null` where there is none. Plain JavaScript. S above half the order is not refused here. SEC 1 §4.1.6.
 */
export function recoverPublicKey(signature: Uint8Array, recovery: number, digest: Uint8Array): Uint8Array | null {
  assertBytes(signature, 'signature', 64)
  assertBytes(digest, 'digest', 32)
  if (recovery !== 0 && recovery !== 1) return null
  try {
    return secp256k1.Signature.fromBytes(signature, 'compact')
      .addRecoveryBit(recovery)
      .recoverPublicKey(digest)
      .toBytes(true)
  } catch {
    return null
  }
}
