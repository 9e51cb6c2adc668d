import type { KeyObject } from 'node:crypto'
import type { Algorithm } from './algorithm.ts'
import { fromHex } from './bytes.ts'
import { createNistCurve, type NistCurve } from './nist-curve.ts'

const curve: NistCurve = createNistCurve({
  name: 'p256',
  hash: 'sha256',
  // SEC 2 §2.4.2.
  order: fromHex('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551'),
  identifier: fromHex('06082a8648ce3d030107'),
})

/** ECDSA over P-256 with SHA-256, by OpenSSL. */
export const p256: Algorithm = curve.row

/** The public key of a valid secret as 65 bytes, SEC1 uncompressed, which HPKE wants. `RangeError` for another secret. */
export const uncompressedPublicKey: (secret: Uint8Array) => Uint8Array = curve.uncompressedPublicKey

/** OpenSSL's object of a secret. `RangeError` for one that is not valid. */
export const openPrivateKey: (secret: Uint8Array) => KeyObject = curve.openPrivateKey

/** OpenSSL's object of a public key of 33 or 65 bytes (SEC1), or `null` where the bytes are no point of the curve. */
export const openPublicKey: (publicKey: Uint8Array) => KeyObject | null = curve.openPublicKey
