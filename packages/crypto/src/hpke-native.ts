import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto'
import { assertBytes, concat, fromHex, utf8 } from './bytes.ts'
import type { Sealed } from './hpke.ts'
import { openPrivateKey, openPublicKey } from './p256.ts'
import { allocateOffHeap } from './secret.ts'

/**
 * HPKE (RFC 9180) in base mode for the same suite as `hpke`, for the signer: synchronous, keys as OpenSSL objects, and every
 * temporary copy (shared secret, key schedule, plaintext) wiped before the call ends.
 */

const version = utf8('HPKE-v1')
/** §4.1: `KEM` and the id of DHKEM(P-256, HKDF-SHA256). */
const kemSuite = concat(utf8('KEM'), fromHex('0010'))
const baseMode = Uint8Array.of(0)
const empty = new Uint8Array(0)

/** An AEAD of §7.3. */
export interface Aead {
  readonly id: number
  readonly cipher: 'aes-128-gcm' | 'aes-256-gcm'
  readonly keyLength: number
}

/** The one that is used. */
const aes256Gcm: Aead = { id: 2, cipher: 'aes-256-gcm', keyLength: 32 }

/** Bytes of a shared secret, and of the output of HKDF-SHA256. */
const secretLength = 32
const nonceLength = 12
const tagLength = 16
const pointLength = 65

/** Seals for one recipient (65 bytes, SEC1 uncompressed). `RangeError` for a public key that is no point of the curve. */
export function sealTo(
  recipientPublicKey: Uint8Array,
  info: Uint8Array,
  aad: Uint8Array,
  plaintext: Uint8Array,
): Sealed {
  return sealFrom(generateKeyPairSync('ec', { namedCurve: 'prime256v1' }), recipientPublicKey, info, aad, plaintext)
}

/**
 * `sealTo` with a given ephemeral key pair, which must never be used twice, and a given AEAD. For the published vectors:
 * RFC 9180 has P-256 with AES-128-GCM only (A.3).
 */
export function sealFrom(
  ephemeral: { readonly privateKey: KeyObject; readonly publicKey: KeyObject },
  recipientPublicKey: Uint8Array,
  info: Uint8Array,
  aad: Uint8Array,
  plaintext: Uint8Array,
  aead: Aead = aes256Gcm,
): Sealed {
  assertBytes(recipientPublicKey, 'recipientPublicKey', pointLength)
  assertBytes(plaintext, 'plaintext')
  const recipient = openPublicKey(recipientPublicKey)
  if (recipient === null) throw new RangeError('recipientPublicKey: not a point of the curve')
  const enc = new Uint8Array(ephemeral.publicKey.export({ format: 'der', type: 'spki' }).subarray(-pointLength))
  return withContext(aead, ephemeral.privateKey, recipient, enc, recipientPublicKey, info, (key, nonce) => {
    const cipher = createCipheriv(aead.cipher, key, nonce, { authTagLength: tagLength })
    cipher.setAAD(aad)
    const ciphertext = new Uint8Array(plaintext.length + tagLength)
    ciphertext.set(cipher.update(plaintext))
    cipher.final()
    ciphertext.set(cipher.getAuthTag(), plaintext.length)
    return { enc, ciphertext }
  })
}

/**
 * Writes the plaintext to `into` (16 bytes shorter than `ciphertext`, for instance locked memory) and answers whether it
 * could: `false`, and zeros, for anything that was not sealed for this key with this `info` and `aad`. `publicKey` (65
 * bytes) is that of the private key (32 bytes); with another one nothing opens. `RangeError` for a private key out of range.
 */
export function openInto(
  into: Uint8Array,
  privateKey: Uint8Array,
  publicKey: Uint8Array,
  enc: Uint8Array,
  info: Uint8Array,
  aad: Uint8Array,
  ciphertext: Uint8Array,
  aead: Aead = aes256Gcm,
): boolean {
  assertBytes(into, 'into')
  assertBytes(publicKey, 'publicKey', pointLength)
  assertBytes(enc, 'enc')
  assertBytes(ciphertext, 'ciphertext')
  into.fill(0)
  const recipient = openPrivateKey(privateKey)
  const sender = enc.length === pointLength ? openPublicKey(enc) : null
  if (sender === null || ciphertext.length !== into.length + tagLength) return false
  return withContext(aead, recipient, sender, enc, publicKey, info, (key, nonce) => {
    const decipher = createDecipheriv(aead.cipher, key, nonce, { authTagLength: tagLength })
    decipher.setAAD(aad)
    decipher.setAuthTag(ciphertext.subarray(into.length))
    const opened = decipher.update(ciphertext.subarray(0, into.length))
    try {
      decipher.final()
      into.set(opened)
      return true
    } catch {
      return false
    } finally {
      opened.fill(0)
    }
  })
}

/** Lends key and nonce of the first message of a context (§4.1 Encap and Decap, §5.1 KeySchedule), then wipes everything. */
function withContext<T>(
  aead: Aead,
  own: KeyObject,
  other: KeyObject,
  enc: Uint8Array,
  recipientPublicKey: Uint8Array,
  info: Uint8Array,
  fn: (key: Uint8Array, nonce: Uint8Array) => T,
): T {
  assertBytes(info, 'info')
  // §5.1: `HPKE`, and the ids of KEM, KDF (HKDF-SHA256) and AEAD.
  const suite = concat(utf8('HPKE'), Uint8Array.of(0, 0x10, 0, 1, 0, aead.id))
  const wipe: Uint8Array[] = []
  const held = (bytes: Uint8Array): Uint8Array => {
    wipe.push(bytes)
    return bytes
  }
  try {
    const dh = held(diffieHellman({ privateKey: own, publicKey: other }))
    const eae = held(labeledExtract(kemSuite, empty, 'eae_prk', dh))
    const shared = held(labeledExpand(kemSuite, eae, 'shared_secret', concat(enc, recipientPublicKey), secretLength))

    const pskIdHash = labeledExtract(suite, empty, 'psk_id_hash', empty)
    const infoHash = labeledExtract(suite, empty, 'info_hash', info)
    const context = concat(baseMode, pskIdHash, infoHash)
    const secret = held(labeledExtract(suite, shared, 'secret', empty))
    const key = held(labeledExpand(suite, secret, 'key', context, aead.keyLength))
    const nonce = held(labeledExpand(suite, secret, 'base_nonce', context, nonceLength))
    return fn(key, nonce)
  } finally {
    for (const bytes of wipe) bytes.fill(0)
  }
}

/** §4 LabeledExtract: HMAC with the salt as key. */
function labeledExtract(suiteId: Uint8Array, salt: Uint8Array, label: string, keyMaterial: Uint8Array): Uint8Array {
  return createHmac('sha256', salt).update(version).update(suiteId).update(utf8(label)).update(keyMaterial).digest()
}

/** §4 LabeledExpand for at most 32 bytes, which is one block of HKDF-Expand (RFC 5869 §2.3). */
function labeledExpand(
  suiteId: Uint8Array,
  key: Uint8Array,
  label: string,
  info: Uint8Array,
  length: number,
): Uint8Array {
  const labeled = concat(Uint8Array.of(0, length), version, suiteId, utf8(label), info, Uint8Array.of(1))
  const block = createHmac('sha256', key).update(labeled).digest()
  const expanded = allocateOffHeap(length)
  expanded.set(block.subarray(0, length))
  block.fill(0)
  return expanded
}
