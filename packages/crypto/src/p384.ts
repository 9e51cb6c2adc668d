import type { Algorithm } from './algorithm.ts'
import { fromHex } from './bytes.ts'
import { createNistCurve } from './nist-curve.ts'

/** ECDSA over P-384 with SHA-384, by OpenSSL. */
export const p384: Algorithm = createNistCurve({
  name: 'p384',
  hash: 'sha384',
  // SEC 2 §2.5.1.
  order: fromHex('ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973'),
  identifier: fromHex('06052b81040022'),
}).row
