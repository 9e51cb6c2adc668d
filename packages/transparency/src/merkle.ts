/**
 * The Merkle tree of RFC 6962 §2.1 (RFC 9162 §2.1): SHA-256, leaves prefixed with 0x00, inner nodes with 0x01.
 *
 * Invariants of this folder: hashes are 32 bytes; sizes and indexes are safe integers (below 2^53), so halving is done by
 * arithmetic and never by 32-bit operators; what comes from outside is answered with `false`, `null` or a `RangeError`
 * with a reason, and every source file runs in a browser.
 */
import { assertBytes, equal } from '@popsigner/crypto/bytes'
import { sha256 } from '@popsigner/crypto/hash'

/** SHA-256 over the concatenation of its arguments. Servers pass a native one; the default is plain JavaScript. */
export type Hasher = (...parts: Uint8Array[]) => Uint8Array

/** Length of every hash in a tree, in bytes. */
export const HASH_LENGTH = 32

const LEAF_PREFIX = Uint8Array.of(0)
const NODE_PREFIX = Uint8Array.of(1)

/** SHA-256 in plain JavaScript over its arguments in order: the `Hasher` used where none is given. */
export const hashParts: Hasher = sha256

/** The root of a tree without leaves: SHA-256 of nothing (RFC 6962 §2.1). */
export const emptyRoot: Uint8Array = sha256(new Uint8Array(0))

/** Hash of one leaf's exact bytes: SHA-256(0x00 ‖ leaf) (RFC 6962 §2.1). */
export function leafHash(leaf: Uint8Array, hasher: Hasher = hashParts): Uint8Array {
  return hasher(LEAF_PREFIX, leaf)
}

/** Hash of an inner node: SHA-256(0x01 ‖ left ‖ right) (RFC 6962 §2.1). */
export function nodeHash(left: Uint8Array, right: Uint8Array, hasher: Hasher = hashParts): Uint8Array {
  return hasher(NODE_PREFIX, left, right)
}

/** True for what can be a tree size or a leaf index here: a whole number from 0 to 2^53 − 1. */
export function isTreeNumber(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

/**
 * The right edge of a tree: the roots of its complete subtrees, largest first, one for each bit set in `size`.
 * It is all that appending needs. Holds at most 53 hashes.
 */
export interface Frontier {
  /** How many leaves have been appended. */
  readonly size: number
  /** Adds the hash of the next leaf (not the leaf). `RangeError` for another length than 32 bytes. */
  append(leafHash: Uint8Array): void
  /** The root of the tree as it is now. */
  root(): Uint8Array
  /** Copies of the subtree roots, largest first: with `size`, what `createFrontier` needs to go on from here. */
  hashes(): Uint8Array[]
}

/**
 * Starts a frontier: empty, or where another one stood. `RangeError` when the number of hashes is not the number of
 * bits set in `size`. The hashes are taken at their word: compare `root()` with a checkpoint before you rely on them.
 */
export function createFrontier(
  start: { size: number; hashes: readonly Uint8Array[] } = { size: 0, hashes: [] },
  hasher: Hasher = hashParts,
): Frontier {
  assertTreeNumber(start.size, 'start.size')
  if (start.hashes.length !== bitsSet(start.size)) throw new RangeError('start.hashes: do not fit start.size')
  for (const hash of start.hashes) assertBytes(hash, 'start.hashes', HASH_LENGTH)
  const edge: Uint8Array[] = start.hashes.map((hash) => hash.slice())
  let size = start.size
  return {
    get size() {
      return size
    },
    append(hash) {
      assertBytes(hash, 'leafHash', HASH_LENGTH)
      if (size === Number.MAX_SAFE_INTEGER) throw new RangeError('leafHash: the tree is full')
      let node: Uint8Array = hash.slice()
      // Each trailing one of the size is a complete subtree as large as the one in hand: they merge, as in a carry.
      for (let rest = size; rest % 2 === 1; rest = (rest - 1) / 2)
        node = nodeHash(edge.pop() as Uint8Array, node, hasher)
      edge.push(node)
      size += 1
    },
    root() {
      return foldRight(edge, hasher)
    },
    hashes() {
      return edge.map((hash) => hash.slice())
    },
  }
}

/** The root over leaf hashes that are all at hand (RFC 6962 §2.1, MTH). For anything long, use a frontier or tiles. */
export function rootOf(leafHashes: readonly Uint8Array[], hasher: Hasher = hashParts): Uint8Array {
  const frontier = createFrontier(undefined, hasher)
  for (const hash of leafHashes) frontier.append(hash)
  return frontier.root()
}

/**
 * Joins roots of adjacent complete subtrees, largest first, to the root over all of them. No hashes give the empty
 * tree's root. It is how a right edge becomes a root; whether the hashes are such an edge is the caller's to know.
 */
export function foldRight(hashes: readonly Uint8Array[], hasher: Hasher = hashParts): Uint8Array {
  const last = hashes.at(-1)
  if (last === undefined) return emptyRoot.slice()
  let node = last
  for (let i = hashes.length - 2; i >= 0; i--) node = nodeHash(hashes[i] as Uint8Array, node, hasher)
  return node.slice()
}

/**
 * Does `path` prove that the leaf with this hash is at `index` of the tree of `size` leaves with this root?
 * Never throws: malformed numbers or hashes are `false`. The caller must have `size` and `root` from a checkpoint whose
 * signature it checked (RFC 9162 §2.1.3.2).
 */
export function verifyInclusion(
  index: number,
  size: number,
  leafHash: Uint8Array,
  path: readonly Uint8Array[],
  root: Uint8Array,
  hasher: Hasher = hashParts,
): boolean {
  if (!isTreeNumber(index) || !isTreeNumber(size) || index >= size) return false
  if (!isHash(leafHash) || !isHash(root) || !isPath(path)) return false
  let at = index
  let last = size - 1
  let node = leafHash
  for (const sibling of path) {
    if (last === 0) return false
    if (at % 2 === 1 || at === last) {
      node = nodeHash(sibling, node, hasher)
      // A right edge without a sibling rises until it is a right child.
      while (at % 2 === 0 && at !== 0) {
        at = half(at)
        last = half(last)
      }
    } else {
      node = nodeHash(node, sibling, hasher)
    }
    at = half(at)
    last = half(last)
  }
  return last === 0 && equal(node, root)
}

/**
 * Does `path` prove that the tree of `newSize` leaves begins with the tree of `oldSize` leaves? Never throws.
 * Equal sizes need equal roots and an empty path. The empty tree begins every tree: `oldSize` 0 needs an empty path and
 * the empty tree's root as `oldRoot`, and says nothing about `newRoot` (RFC 9162 §2.1.4.2).
 */
export function verifyConsistency(
  oldSize: number,
  newSize: number,
  oldRoot: Uint8Array,
  newRoot: Uint8Array,
  path: readonly Uint8Array[],
  hasher: Hasher = hashParts,
): boolean {
  if (!isTreeNumber(oldSize) || !isTreeNumber(newSize) || oldSize > newSize) return false
  if (!isHash(oldRoot) || !isHash(newRoot) || !isPath(path)) return false
  if (oldSize === 0 && !equal(oldRoot, emptyRoot)) return false
  if (oldSize === newSize) return path.length === 0 && equal(oldRoot, newRoot)
  if (oldSize === 0) return path.length === 0
  if (path.length === 0) return false
  let at = oldSize - 1
  let last = newSize - 1
  while (at % 2 === 1) {
    at = half(at)
    last = half(last)
  }
  // Where the old size is a power of two its root is a node of the new tree, so the path does not repeat it.
  const rest = at === 0 ? path : path.slice(1)
  let oldNode = at === 0 ? oldRoot : (path[0] as Uint8Array)
  let newNode = oldNode
  for (const sibling of rest) {
    if (last === 0) return false
    if (at % 2 === 1 || at === last) {
      oldNode = nodeHash(sibling, oldNode, hasher)
      newNode = nodeHash(sibling, newNode, hasher)
      while (at % 2 === 0 && at !== 0) {
        at = half(at)
        last = half(last)
      }
    } else {
      newNode = nodeHash(newNode, sibling, hasher)
    }
    at = half(at)
    last = half(last)
  }
  return last === 0 && equal(oldNode, oldRoot) && equal(newNode, newRoot)
}

/** Throws `RangeError` naming the argument unless it is a whole number from 0 to 2^53 − 1. */
export function assertTreeNumber(value: unknown, name: string): asserts value is number {
  if (!isTreeNumber(value)) throw new RangeError(`${name}: expected a whole number from 0 to 2^53 - 1`)
}

function half(value: number): number {
  return Math.floor(value / 2)
}

function bitsSet(value: number): number {
  let count = 0
  for (let rest = value; rest > 0; rest = half(rest)) count += rest % 2
  return count
}

function isHash(value: unknown): value is Uint8Array {
  return value instanceof Uint8Array && value.length === HASH_LENGTH
}

function isPath(value: unknown): value is readonly Uint8Array[] {
  return Array.isArray(value) && value.every(isHash)
}
