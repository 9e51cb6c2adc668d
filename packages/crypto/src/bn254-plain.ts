import { bn254 } from '@noble/curves/bn254.js'
import { concat } from './bytes.ts'
import type { PlainAlgorithm } from './plain-algorithms.ts'

/**
 * BN254 (EIP-196, EIP-197) in plain JavaScript, by noble: the points as bytes, EigenLayer's map of a digest to a point, verification
 * and the public key of a private key.
 *
 * Coordinates are 32 bytes each, big-endian, below the modulus. A point of G1 is x ‖ y. A point of G2 is x1 ‖ x0 ‖ y1 ‖ y0 with
 * x = x0 + x1·i: the order of EIP-197, of the pairing precompile and of `G2Point` in EigenLayer's `BN254.sol`. A public key is
 * both of its points, the one of G1 first.
 */

type G1 = InstanceType<typeof bn254.G1.Point>
type G2 = InstanceType<typeof bn254.G2.Point>

const { G1, G2, fields } = bn254
const { Fp, Fp12, Fr } = fields
const coordinateLength = 32

/** The row. */
export const plainBn254: PlainAlgorithm = {
  verify(signature, signed, publicKey, scheme) {
    const key = publicPoints(publicKey)
    const point = scheme === 'g1' ? pointOfG1(signed) : mapped(signed)
    return isPaired(pointOfG1(signature), point, key.g2) && isPaired(key.g1, G1.Point.BASE, key.g2)
  },
  publicKey(secret) {
    const scalar = Fr.fromBytes(secret)
    const one = G1.Point.BASE.multiply(scalar).toAffine()
    const two = G2.Point.BASE.multiply(scalar).toAffine()
    return concat(...[one.x, one.y, two.x.c1, two.x.c0, two.y.c1, two.y.c0].map((n) => Fp.toBytes(n)))
  },
}

/** Whether these bytes are a point of G1: 64 bytes, on the curve, not at infinity. */
export function isBn254Point(bytes: Uint8Array): boolean {
  try {
    pointOfG1(bytes)
    return true
  } catch {
    return false
  }
}

function pointOfG1(bytes: Uint8Array): G1 {
  const [x, y] = coordinates(bytes, 2) as [bigint, bigint]
  const point = G1.Point.fromAffine({ x, y })
  // The cofactor is 1: what is on the curve is in the group.
  point.assertValidity()
  if (point.is0()) throw new RangeError('point: the one at infinity')
  return point
}

/** Throws for points that are none, at infinity, or outside the group of prime order. */
function publicPoints(bytes: Uint8Array): { readonly g1: G1; readonly g2: G2 } {
  const g1 = pointOfG1(bytes.subarray(0, 2 * coordinateLength))
  const [x1, x0, y1, y0] = coordinates(bytes.subarray(2 * coordinateLength), 4) as [bigint, bigint, bigint, bigint]
  const g2 = G2.Point.fromAffine({ x: { c0: x0, c1: x1 }, y: { c0: y0, c1: y1 } })
  g2.assertValidity()
  if (g2.is0() || !g2.isTorsionFree()) throw new RangeError('publicKey: not in the group')
  return { g1, g2 }
}

/** `hashToG1` of `BN254.sol`: from x = digest mod p upwards the first with a point, and of its two the one with y = (x³ + 3)^((p + 1) / 4). */
function mapped(digest: Uint8Array): G1 {
  if (digest.length !== 32) throw new RangeError('digest: expected 32 bytes')
  for (let x = Fp.create(big(digest)); ; x = Fp.add(x, 1n)) {
    const square = Fp.add(Fp.mul(Fp.sqr(x), x), 3n)
    const y = Fp.pow(square, (Fp.ORDER + 1n) / 4n)
    if (Fp.eql(Fp.sqr(y), square)) return G1.Point.fromAffine({ x, y })
  }
}

/** Whether `multiple` is to `point` as `key` is to the base of G2: e(multiple, base) = e(point, key). */
function isPaired(multiple: G1, point: G1, key: G2): boolean {
  const product = bn254.pairingBatch([
    { g1: multiple.negate(), g2: G2.Point.BASE },
    { g1: point, g2: key },
  ])
  return Fp12.eql(product, Fp12.ONE)
}

function coordinates(bytes: Uint8Array, count: number): bigint[] {
  if (bytes.length !== count * coordinateLength) throw new RangeError('point: of another length')
  return Array.from({ length: count }, (_, i) => {
    const value = big(bytes.subarray(i * coordinateLength, (i + 1) * coordinateLength))
    if (!Fp.isValid(value)) throw new RangeError('point: a coordinate is at or above the modulus')
    return value
  })
}

function big(bytes: Uint8Array): bigint {
  return bytes.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n)
}
