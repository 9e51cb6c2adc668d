import { createCipheriv, createDecipheriv } from 'node:crypto'
import { assertBytes } from './bytes.ts'
import { allocateOffHeap } from './secret.ts'

/**
 * XAES-256-GCM (C2SP `XAES-256-GCM`): AES-256-GCM under a key derived for each nonce, so that random nonces of 24 bytes
 * have no practical limit. Not key-committing.
 */

/** Bytes of the tag at the end of what `sealXaes` answers. */
const tagLength = 16
const blockLength = 16

/** Ciphertext and 16-byte tag. `key` has 32 bytes, `nonce` 24: random, and never used twice with one key. */
export function sealXaes(key: Uint8Array, nonce: Uint8Array, plaintext: Uint8Array, aad: Uint8Array): Uint8Array {
  assertArguments(key, nonce, aad)
  assertBytes(plaintext, 'plaintext')
  const derived = deriveKey(key, nonce)
  try {
    const cipher = createCipheriv('aes-256-gcm', derived, nonce.subarray(12), { authTagLength: tagLength })
    cipher.setAAD(aad)
    const sealed = new Uint8Array(plaintext.length + tagLength)
    sealed.set(cipher.update(plaintext))
    // Ending the cipher also frees OpenSSL's copy of the key.
    cipher.final()
    sealed.set(cipher.getAuthTag(), plaintext.length)
    return sealed
  } finally {
    derived.fill(0)
  }
}

/**
 * The plaintext, or `null` for anything that `sealXaes` did not make with this key, nonce and `aad`; no more is said.
 *
 * The plaintext is written to `into` where one is given (exactly 16 bytes shorter than `sealed`, for instance locked
 * memory), which is then the answer and holds zeros after a failure. Otherwise a new array is the answer, which the caller
 * wipes. The copies made on the way are wiped here.
 */
export function openXaes(
  key: Uint8Array,
  nonce: Uint8Array,
  sealed: Uint8Array,
  aad: Uint8Array,
  into?: Uint8Array,
): Uint8Array | null {
  assertArguments(key, nonce, aad)
  assertBytes(sealed, 'sealed')
  const length = sealed.length - tagLength
  if (length < 0) {
    into?.fill(0)
    return null
  }
  if (into !== undefined) assertBytes(into, 'into', length)
  const derived = deriveKey(key, nonce)
  let opened: Buffer | null = null
  try {
    const decipher = createDecipheriv('aes-256-gcm', derived, nonce.subarray(12), { authTagLength: tagLength })
    decipher.setAAD(aad)
    decipher.setAuthTag(sealed.subarray(length))
    opened = decipher.update(sealed.subarray(0, length))
    decipher.final()
    const plaintext = into ?? allocateOffHeap(length)
    plaintext.set(opened)
    return plaintext
  } catch {
    into?.fill(0)
    return null
  } finally {
    derived.fill(0)
    // Also what did not authenticate: it is the plaintext of some other sealing, or of none.
    opened?.fill(0)
  }
}

/** The key for AES-256-GCM: CMAC of two blocks with the first half of the nonce (§Detailed key derivation algorithm). */
function deriveKey(key: Uint8Array, nonce: Uint8Array): Uint8Array {
  const cipher = createCipheriv('aes-256-ecb', key, null).setAutoPadding(false)
  const subkey = cipher.update(new Uint8Array(blockLength))
  const carry = (subkey[0] as number) >> 7
  for (let i = 0; i < blockLength; i++) subkey[i] = ((subkey[i] as number) << 1) | ((subkey[i + 1] ?? 0) >> 7)
  // 0x87 stands for the reduction polynomial; multiplied, so that no branch depends on the secret bit.
  subkey[blockLength - 1] = (subkey[blockLength - 1] as number) ^ (carry * 0x87)

  const blocks = allocateOffHeap(2 * blockLength)
  for (const counter of [1, 2]) {
    const block = blocks.subarray((counter - 1) * blockLength, counter * blockLength)
    block.set([0, counter, 0x58, 0])
    block.set(nonce.subarray(0, 12), 4)
    for (let i = 0; i < blockLength; i++) block[i] = (block[i] as number) ^ (subkey[i] as number)
  }
  const derived = cipher.update(blocks)
  cipher.final()
  subkey.fill(0)
  blocks.fill(0)
  return derived
}

function assertArguments(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array): void {
  assertBytes(key, 'key', 32)
  assertBytes(nonce, 'nonce', 24)
  assertBytes(aad, 'aad')
}
