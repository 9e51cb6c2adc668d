import { bls12_381 } from '@noble/curves/bls12-381.js'
import type { SchemeName } from './algorithm-facts.ts'
import { equal, utf8 } from './bytes.ts'
import type { PlainAlgorithm } from './plain-algorithms.ts'

/** BLS12-381 in plain JavaScript, by noble: verification by either scheme, and the public key of a private key. */

const domains: { readonly [scheme in string]?: string } = {
  signature: 'BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_',
  'proof-of-possession': 'BLS_POP_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_',
}
const { longSignatures: noble } = bls12_381

/** The row. */
export const plainBls12381: PlainAlgorithm = {
  verify(signature, message, publicKey, scheme) {
    if (scheme === 'proof-of-possession' && !equal(message, publicKey)) return false
    checkPlainPublicKey(publicKey)
    const key = bls12_381.G1.Point.fromBytes(publicKey)
    const point = bls12_381.G2.Point.fromBytes(signature)
    point.assertValidity()
    if (point.is0()) return false
    return noble.verify(point, noble.hash(message, domainOf(scheme)), key)
  },
  publicKey: (secret) => noble.getPublicKey(secret).toBytes(),
}

/** Throws for a public key that is no point, the point at infinity, or not in the group. */
export function checkPlainPublicKey(publicKey: Uint8Array): void {
  const key = bls12_381.G1.Point.fromBytes(publicKey)
  key.assertValidity()
  if (key.is0()) throw new RangeError('publicKey: the point at infinity')
}

/** A signature; the number that the secret is stays in memory until it is collected. */
export function signPlainBls12381(secret: Uint8Array, message: Uint8Array, scheme: SchemeName): Uint8Array {
  return noble.sign(noble.hash(message, domainOf(scheme)), secret).toBytes()
}

function domainOf(scheme: string): Uint8Array {
  const domain = domains[scheme]
  if (domain === undefined) throw new RangeError('scheme: not one of the row')
  return utf8(domain)
}
