import type { Algorithm } from './algorithm.ts'
import { factsOf } from './algorithm-facts.ts'
import { assertBytes } from './bytes.ts'
import { allocateOffHeap } from './secret.ts'
import { sodium } from './sodium.ts'

/** Ed25519, PureEdDSA (RFC 8032 §5.1), by libsodium from locked memory. The secret is the 32-byte seed. */
export const ed25519: Algorithm = {
  ...factsOf('ed25519'),
  engine: 'libsodium',
  native: true,
  memory: 'locked',
  constantTime: 'libsodium',
  generate(entropy, secret) {
    assertBytes(secret, 'secret', 32)
    do entropy.fill(secret)
    while (!isValidSecret(secret))
  },
  isValidSecret,
  publicKey(secret) {
    assertSecret(secret)
    const publicKey = new Uint8Array(32)
    const expanded = allocateOffHeap(64)
    sodium.crypto_sign_seed_keypair(publicKey, expanded, secret)
    expanded.fill(0)
    return publicKey
  },
  isValidPublicKey,
  openSigner(secret, arena) {
    assertSecret(secret)
    const held = arena.take(64)
    held.use((expanded) => sodium.crypto_sign_seed_keypair(new Uint8Array(32), expanded, secret))
    return {
      sign(message) {
        assertBytes(message, 'message')
        const signature = new Uint8Array(64)
        held.use((expanded) => sodium.crypto_sign_detached(signature, message, expanded))
        return { signature }
      },
      close: () => held.wipe(),
    }
  },
  verify(signature, message, publicKey) {
    if (!(signature instanceof Uint8Array) || signature.length !== 64 || !(message instanceof Uint8Array)) return false
    // With a public key of mixed order, verifiers that multiply by the cofactor and those that do not would disagree.
    return isValidPublicKey(publicKey) && sodium.crypto_sign_verify_detached(signature, message, publicKey)
  },
}

/** Any seed gives a key. Zeros are refused, since they mean that something was never filled. */
function isValidSecret(secret: Uint8Array): boolean {
  if (!(secret instanceof Uint8Array) || secret.length !== 32) return false
  let bits = 0
  for (let i = 0; i < secret.length; i++) bits |= secret[i] as number
  return bits !== 0
}

/** A canonical encoding of a point in the group of prime order, other than the neutral one. */
function isValidPublicKey(publicKey: Uint8Array): boolean {
  if (!(publicKey instanceof Uint8Array) || publicKey.length !== 32) return false
  return sodium.crypto_core_ed25519_is_valid_point(publicKey)
}

function assertSecret(secret: Uint8Array): void {
  assertBytes(secret, 'secret', 32)
  if (!isValidSecret(secret)) throw new RangeError('secret: zeros are not a key')
}
