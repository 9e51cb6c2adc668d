import { p256 } from '@noble/curves/nist.js'
import { AEAD_AES_256_GCM, CipherSuite, KDF_HKDF_SHA256, KEM_DHKEM_P256_HKDF_SHA256 } from 'hpke'
import { assertBytes, base64url, equal } from './bytes.ts'

/**
 * HPKE (RFC 9180) in base mode: DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-256-GCM, one message a context. Runs wherever
 * there is WebCrypto, and is for callers who hold their own key anyway: private keys and plaintexts pass through memory
 * that is neither locked nor wiped. The signer uses `hpke-native`.
 */

const suite = new CipherSuite(KEM_DHKEM_P256_HKDF_SHA256, KDF_HKDF_SHA256, AEAD_AES_256_GCM)

/** What `sealTo` answers. */
export interface Sealed {
  /** The encapsulated key, 65 bytes (SEC1 uncompressed). */
  readonly enc: Uint8Array
  /** As long as the plaintext, and a tag of 16 bytes. */
  readonly ciphertext: Uint8Array
}

/** A key pair to receive with. */
export interface Recipient {
  /** 32 bytes, the scalar, big-endian. */
  readonly privateKey: Uint8Array
  /** 65 bytes, SEC1 uncompressed. */
  readonly publicKey: Uint8Array
}

/** A new key pair. The caller wipes the private key. */
export function generateRecipient(): Recipient {
  const privateKey = p256.utils.randomSecretKey()
  return { privateKey, publicKey: p256.getPublicKey(privateKey, false) }
}

/** Seals for one recipient (65 bytes, SEC1 uncompressed). Rejects with `RangeError` for a public key that is no point. */
export async function sealTo(
  recipientPublicKey: Uint8Array,
  info: Uint8Array,
  aad: Uint8Array,
  plaintext: Uint8Array,
): Promise<Sealed> {
  assertBytes(recipientPublicKey, 'recipientPublicKey', 65)
  assertBytes(plaintext, 'plaintext')
  const recipient = await readPublicKey(recipientPublicKey)
  const { encapsulatedSecret, ciphertext } = await suite.Seal(recipient, plaintext, { info, aad })
  return { enc: encapsulatedSecret, ciphertext }
}

/**
 * The plaintext, or `null` for anything that was not sealed for this key with this `info` and `aad`. The caller wipes it.
 * Rejects with `RangeError` where the private key (32 bytes) is not valid or `publicKey` (65 bytes) is not its own.
 */
export async function openWith(
  privateKey: Uint8Array,
  publicKey: Uint8Array,
  enc: Uint8Array,
  info: Uint8Array,
  aad: Uint8Array,
  ciphertext: Uint8Array,
): Promise<Uint8Array | null> {
  assertBytes(privateKey, 'privateKey', 32)
  assertBytes(publicKey, 'publicKey', 65)
  assertBytes(enc, 'enc')
  assertBytes(ciphertext, 'ciphertext')
  if (!p256.utils.isValidSecretKey(privateKey)) throw new RangeError('privateKey: not a scalar below the order')
  if (!equal(p256.getPublicKey(privateKey, false), publicKey))
    throw new RangeError('publicKey: not that of the private key')
  // Given with its public half, since not every WebCrypto computes that from a bare scalar.
  const jwk = {
    kty: 'EC',
    crv: 'P-256',
    d: base64url(privateKey),
    x: base64url(publicKey.subarray(1, 33)),
    y: base64url(publicKey.subarray(33)),
  }
  const algorithm = { name: 'ECDH', namedCurve: 'P-256' }
  const keyPair = {
    privateKey: await crypto.subtle.importKey('jwk', jwk, algorithm, false, ['deriveBits']),
    publicKey: await readPublicKey(publicKey),
  }
  try {
    return await suite.Open(keyPair, enc, ciphertext, { info, aad })
  } catch {
    return null
  }
}

async function readPublicKey(bytes: Uint8Array) {
  try {
    return await suite.DeserializePublicKey(bytes)
  } catch {
    throw new RangeError('publicKey: not a point of the curve')
  }
}
