import { concat } from '@popsigner/crypto/bytes'
import { sha256 } from '@popsigner/crypto/hash'
import { namespaceLength } from './namespace.ts'

/** A blob as it is posted. */
export interface Blob {
  /** Version and id, 29 bytes. */
  readonly namespace: Uint8Array
  /** At least one byte. */
  readonly data: Uint8Array
  readonly shareVersion: 0 | 1
  /** The account that posts it, 20 bytes; with share version 1 and only with it (CIP-21). */
  readonly signer: Uint8Array | undefined
}

/** Bytes of a share. Specifications: Celestia, Shares. */
const shareLength = 512
const sequenceLength = 4

/** How many subtree roots a commitment may need before subtrees grow. Specifications: Celestia, Consensus, constants. */
const subtreeRootThreshold = 64

const leafPrefix = Uint8Array.of(0)
const nodePrefix = Uint8Array.of(1)

/**
 * The share commitment of a blob, 32 bytes: the Merkle root (RFC 6962) over the roots of namespaced Merkle trees that split its
 * shares into a mountain range. Specifications: Celestia, Data Square Layout, Blob Share Commitment Rules.
 */
export function shareCommitment(blob: Blob): Uint8Array {
  const shares = splitIntoShares(blob)
  const width = subtreeWidth(shares.length)
  const roots: Uint8Array[] = []
  for (let at = 0; at < shares.length; ) {
    const size = Math.min(width, powerOfTwoUpTo(shares.length - at))
    roots.push(namespacedRoot(blob.namespace, shares.slice(at, at + size)))
    at += size
  }
  return merkleRoot(roots)
}

/** The blob in shares: namespace, info byte, in the first the length and the signer, then data; the last is filled with zeros. */
function splitIntoShares(blob: Blob): readonly Uint8Array[] {
  const shares: Uint8Array[] = []
  let at = 0
  while (at < blob.data.length) {
    const share = new Uint8Array(shareLength)
    share.set(blob.namespace)
    const first = at === 0
    share[namespaceLength] = (blob.shareVersion << 1) | (first ? 1 : 0)
    let head = namespaceLength + 1
    if (first) {
      new DataView(share.buffer).setUint32(head, blob.data.length)
      head += sequenceLength
      if (blob.signer !== undefined) {
        share.set(blob.signer, head)
        head += blob.signer.length
      }
    }
    const part = blob.data.subarray(at, at + shareLength - head)
    share.set(part, head)
    shares.push(share)
    at += part.length
  }
  return shares
}

/** The widest subtree for so many shares (ADR-013 of celestia-app). */
function subtreeWidth(shares: number): number {
  const wanted = powerOfTwoFrom(Math.ceil(shares / subtreeRootThreshold))
  const smallestSquare = powerOfTwoFrom(Math.ceil(Math.sqrt(shares)))
  return Math.min(wanted, smallestSquare)
}

/** The root of a namespaced Merkle tree whose leaves share one namespace: least and greatest namespace, then the hash. */
function namespacedRoot(namespace: Uint8Array, shares: readonly Uint8Array[]): Uint8Array {
  let level = shares.map((share) => concat(namespace, namespace, sha256(leafPrefix, namespace, share)))
  while (level.length > 1) {
    const next: Uint8Array[] = []
    for (let i = 0; i < level.length; i += 2) {
      const [left, right] = [level[i] as Uint8Array, level[i + 1] as Uint8Array]
      next.push(concat(namespace, namespace, sha256(nodePrefix, left, right)))
    }
    level = next
  }
  return level[0] as Uint8Array
}

function merkleRoot(leaves: readonly Uint8Array[]): Uint8Array {
  if (leaves.length === 1) return sha256(leafPrefix, leaves[0] as Uint8Array)
  const split = powerOfTwoUpTo(leaves.length - 1)
  return sha256(nodePrefix, merkleRoot(leaves.slice(0, split)), merkleRoot(leaves.slice(split)))
}

function powerOfTwoFrom(least: number): number {
  let power = 1
  while (power < least) power *= 2
  return power
}

function powerOfTwoUpTo(most: number): number {
  const power = powerOfTwoFrom(most)
  return power === most ? power : power / 2
}
