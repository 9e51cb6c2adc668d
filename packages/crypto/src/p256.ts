import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto'
import type { Algorithm } from './algorithm.ts'
import { factsOf } from './algorithm-facts.ts'
import { assertBytes, concat, fromHex } from './bytes.ts'
import type { Entropy } from './entropy.ts'
import { allocateOffHeap } from './secret.ts'

/**
 * ECDSA over P-256 with SHA-256 (FIPS 186-5), by OpenSSL: random nonces, S as it comes.
 *
 * An opened key is an OpenSSL key object. Its scalar lies in OpenSSL's secure heap where the process was started with
 * `--secure-heap`; otherwise in ordinary memory, which is neither locked nor guarded. Node frees it, zeroed, when the
 * garbage collector finds it, so `close` ends the use of the handle, and the memory follows later. A secure heap that is
 * full makes opening and signing throw; OpenSSL does not fall back to ordinary memory.
 */

/** The order of the group (SEC 2 §2.4.2), big-endian. */
const order = fromHex('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551')

/** `ECPrivateKey` (RFC 5915 §3) up to the scalar: version 1, an octet string of 32 bytes. */
const privateKeyHead = fromHex('30310201010420')
/** The rest: the curve's name; OpenSSL computes the public key, which is left out. */
const privateKeyTail = fromHex('a00a06082a8648ce3d030107')
/** `SubjectPublicKeyInfo` (RFC 5480 §2) up to a compressed point. */
const compressedHead = fromHex('3039301306072a8648ce3d020106082a8648ce3d030107032200')
/** `SubjectPublicKeyInfo` up to an uncompressed point. */
const uncompressedHead = fromHex('3059301306072a8648ce3d020106082a8648ce3d030107034200')

/** The row of P-256. */
export const p256: Algorithm = {
  ...factsOf('p256'),
  engine: 'openssl',
  native: true,
  generate: generateSecret,
  isValidSecret,
  publicKey(secret) {
    const point = uncompressedPublicKey(secret)
    const publicKey = point.slice(0, 33)
    publicKey[0] = 2 + ((point[64] as number) & 1)
    return publicKey
  },
  isValidPublicKey: (publicKey) =>
    publicKey instanceof Uint8Array && publicKey.length === 33 && openPublicKey(publicKey) !== null,
  openSigner(secret) {
    let key: KeyObject | null = openPrivateKey(secret)
    return {
      sign(message) {
        assertBytes(message, 'message')
        if (key === null) throw new TypeError('signer: used after it was closed')
        const signature = sign('sha256', message, { key, dsaEncoding: 'ieee-p1363' })
        return { signature: new Uint8Array(signature.buffer, signature.byteOffset, signature.length) }
      },
      close() {
        key = null
      },
    }
  },
  verify(signature, message, publicKey) {
    if (!(signature instanceof Uint8Array) || signature.length !== 64 || !(message instanceof Uint8Array)) return false
    if (!(publicKey instanceof Uint8Array) || publicKey.length !== 33) return false
    const key = openPublicKey(publicKey)
    return key !== null && verify('sha256', message, { key, dsaEncoding: 'ieee-p1363' }, signature)
  },
}

/** The public key of a valid secret as 65 bytes, SEC1 uncompressed, which HPKE wants. `RangeError` for another secret. */
export function uncompressedPublicKey(secret: Uint8Array): Uint8Array {
  const info = createPublicKey(openPrivateKey(secret)).export({ format: 'der', type: 'spki' })
  return new Uint8Array(info.subarray(uncompressedHead.length))
}

/** OpenSSL's object of a secret. `RangeError` for one that is not valid. */
export function openPrivateKey(secret: Uint8Array): KeyObject {
  assertBytes(secret, 'secret', 32)
  if (!isValidSecret(secret)) throw new RangeError('secret: not a scalar below the order of the group')
  const der = allocateOffHeap(privateKeyHead.length + 32 + privateKeyTail.length)
  try {
    der.set(privateKeyHead)
    der.set(secret, privateKeyHead.length)
    der.set(privateKeyTail, privateKeyHead.length + 32)
    return createPrivateKey({ key: der as Buffer, format: 'der', type: 'sec1' })
  } finally {
    der.fill(0)
  }
}

/** OpenSSL's object of a public key of 33 or 65 bytes (SEC1), or `null` where the bytes are no point of the curve. */
export function openPublicKey(publicKey: Uint8Array): KeyObject | null {
  const compressed = publicKey.length === 33 && (publicKey[0] === 2 || publicKey[0] === 3)
  const uncompressed = publicKey.length === 65 && publicKey[0] === 4
  if (!compressed && !uncompressed) return null
  const der = Buffer.from(concat(compressed ? compressedHead : uncompressedHead, publicKey))
  try {
    return createPublicKey({ key: der, format: 'der', type: 'spki' })
  } catch {
    return null
  }
}

function generateSecret(entropy: Entropy, secret: Uint8Array): void {
  assertBytes(secret, 'secret', 32)
  do entropy.fill(secret)
  while (!isValidSecret(secret))
}

/** From 1 to the order less 1. Takes the same time for every value. */
function isValidSecret(secret: Uint8Array): boolean {
  if (!(secret instanceof Uint8Array) || secret.length !== 32) return false
  let borrow = 0
  let bits = 0
  for (let i = 31; i >= 0; i--) {
    borrow = ((secret[i] as number) - (order[i] as number) - borrow) >>> 31
    bits |= secret[i] as number
  }
  return (borrow & 1 & ((bits | -bits) >>> 31)) === 1
}
