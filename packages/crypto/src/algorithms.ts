import type { Algorithm } from './algorithm.ts'
import { bls12381 } from './bls12-381.ts'
import { bn254 } from './bn254.ts'
import { ed25519 } from './ed25519.ts'
import { p256 } from './p256.ts'
import { p384 } from './p384.ts'
import { rsa2048, rsa3072, rsa4096 } from './rsa.ts'
import { secp256k1 } from './secp256k1.ts'
import { secp256k1Schnorr } from './secp256k1-schnorr.ts'

export type { Algorithm, Signature, SigningHandle } from './algorithm.ts'

/** One row per algorithm. */
export const algorithms: readonly Algorithm[] = [
  secp256k1,
  secp256k1Schnorr,
  ed25519,
  p256,
  p384,
  rsa2048,
  rsa3072,
  rsa4096,
  bls12381,
  bn254,
]

const rows: ReadonlyMap<string, Algorithm> = new Map(algorithms.map((row) => [row.name, row]))

/** Resolves a name once, at the edge; code below holds an `Algorithm`. `RangeError` for a name that is not in the table. */
export function algorithm(name: string): Algorithm {
  const row = rows.get(name)
  if (row === undefined) throw new RangeError(`algorithm: expected one of ${[...rows.keys()].join(', ')}`)
  return row
}

/** Whether the table has a row of this name. */
export function isAlgorithm(name: string): boolean {
  return rows.has(name)
}
