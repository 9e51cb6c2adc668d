import { type Blst, loadBlst } from './bls12-381.ts'

/**
 * Aggregation of BLS signatures by the ciphersuite of Ethereum (draft-irtf-cfrg-bls-signature §2.8, §2.9, §3.3.4): a signature that
 * stands for many, and its verification. Whoever verifies one over a message that several keys signed must have seen a proof of
 * possession of each of these keys; without, a key can be made up so that it cancels the others.
 */

/** The sum of these signatures (96 bytes each, at least one), or the place of the first that is no point of the group. */
export function aggregateBls(signatures: readonly Uint8Array[]): Uint8Array | number {
  const blst = loadBlst()
  const points: ReturnType<Blst['aggregateSignatures']>[] = []
  for (const [place, signature] of signatures.entries()) {
    try {
      if (signature.length !== 96) return place
      points.push(blst.Signature.fromBytes(signature, true, true))
    } catch {
      return place
    }
  }
  return blst.aggregateSignatures(points).toBytes()
}

/**
 * Whether the signature is the sum of those by each of these keys over its message, or over the only one. Whatever is malformed
 * is `false`, and so is a list of no keys. `RangeError` where there are neither one message nor as many as keys.
 */
export function verifyAggregateBls(
  signature: Uint8Array,
  messages: readonly Uint8Array[],
  publicKeys: readonly Uint8Array[],
): boolean {
  if (messages.length !== 1 && messages.length !== publicKeys.length)
    throw new RangeError('messages: expected one, or as many as there are keys')
  if (publicKeys.length === 0 || signature.length !== 96) return false
  const blst = loadBlst()
  try {
    const point = blst.Signature.fromBytes(signature, true, true)
    const keys = publicKeys.map((key) => {
      if (key.length !== 48) throw new RangeError('publicKey: expected 48 bytes')
      return blst.PublicKey.fromBytes(key, true)
    })
    return messages.length === 1
      ? blst.fastAggregateVerify(messages[0] as Uint8Array, keys, point)
      : blst.aggregateVerify(messages, keys, point)
  } catch {
    return false
  }
}
