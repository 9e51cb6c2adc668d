/**
 * Proofs from tiles, as in C2SP `tlog-tiles`: tile (level, index) is up to 256 consecutive hashes, each the root of a
 * complete subtree of 256^level leaves, so level 0 holds leaf hashes. The tile's first hash has number 256·index.
 *
 * A proof is planned first (which ranges of leaves), its tiles are then read all at once, and the rest is computed
 * without waiting. A proof reads at most two tiles of each level: the one beside the leaf and the one at the right edge.
 */
import { assertBytes } from '@popsigner/crypto/bytes'
import {
  assertTreeNumber,
  createFrontier,
  emptyRoot,
  type Frontier,
  foldRight,
  HASH_LENGTH,
  type Hasher,
  hashParts,
  nodeHash,
} from './merkle.ts'

/** Hashes in a full tile. */
export const TILE_WIDTH = 256

/** Levels of a tree within one level of tiles: 2^8 = 256. */
const TILE_HEIGHT = 8

/** Where tiles come from. */
export interface TileSource {
  /**
   * The hashes of tile (`level`, `index`), joined: n·32 bytes, n from 0 to 256, as many as the tree has. More than a
   * proof's tree size covers is no harm: a proof uses only what lies within its size.
   */
  hashes(level: number, index: number): Promise<Uint8Array>
}

/** The leaves from `from` to before `to`. */
interface Range {
  readonly from: number
  readonly to: number
}

/** A complete subtree: 2^height leaves, beginning with leaf number·2^height. */
interface Subtree {
  readonly height: number
  readonly number: number
}

/**
 * The inclusion path of leaf `index` in the tree of `size` leaves, from the leaf's sibling upwards (RFC 6962 §2.1.1).
 * `RangeError` when `index` is not below `size`, or when the source has not the hashes for this size.
 */
export async function inclusionPath(
  source: TileSource,
  index: number,
  size: number,
  hasher: Hasher = hashParts,
): Promise<Uint8Array[]> {
  assertTreeNumber(index, 'index')
  assertTreeNumber(size, 'size')
  if (index >= size) throw new RangeError(`index: ${index} is not in a tree of ${size}`)
  const ranges: Range[] = []
  let from = 0
  let to = size
  while (to - from > 1) {
    const middle = from + powerBelow(to - from)
    if (index < middle) {
      ranges.push({ from: middle, to })
      to = middle
    } else {
      ranges.push({ from, to: middle })
      from = middle
    }
  }
  return rangeRoots(source, ranges.reverse(), hasher)
}

/**
 * The consistency path between the trees of `oldSize` and `newSize` leaves (RFC 6962 §2.1.2, PROOF). Empty for equal
 * sizes and for `oldSize` 0. `RangeError` when the sizes are in the wrong order or the source has too few hashes.
 */
export async function consistencyPath(
  source: TileSource,
  oldSize: number,
  newSize: number,
  hasher: Hasher = hashParts,
): Promise<Uint8Array[]> {
  assertTreeNumber(oldSize, 'oldSize')
  assertTreeNumber(newSize, 'newSize')
  if (oldSize > newSize) throw new RangeError(`oldSize: ${oldSize} is above newSize ${newSize}`)
  if (oldSize === 0 || oldSize === newSize) return []
  const ranges: Range[] = []
  let from = 0
  let to = newSize
  while (oldSize < to) {
    const middle = from + powerBelow(to - from)
    if (oldSize <= middle) {
      ranges.push({ from: middle, to })
      to = middle
    } else {
      ranges.push({ from, to: middle })
      from = middle
    }
  }
  // From 0, what is left is the old tree itself: its root is known to who asks, so the path leaves it out.
  if (from > 0) ranges.push({ from, to })
  return rangeRoots(source, ranges.reverse(), hasher)
}

/** The root of the tree of `size` leaves. `RangeError` when the source has not the hashes for this size. */
export async function rootAt(source: TileSource, size: number, hasher: Hasher = hashParts): Promise<Uint8Array> {
  assertTreeNumber(size, 'size')
  if (size === 0) return emptyRoot.slice()
  const [root] = await rangeRoots(source, [{ from: 0, to: size }], hasher)
  return root as Uint8Array
}

/** A frontier that goes on from the tree of `size` leaves. `RangeError` when the source has too few hashes. */
export async function frontierAt(source: TileSource, size: number, hasher: Hasher = hashParts): Promise<Frontier> {
  assertTreeNumber(size, 'size')
  const edge = subtreesOf({ from: 0, to: size }).map((subtree) => [subtree])
  const hashes = await subtreeRoots(source, edge, hasher)
  return createFrontier({ size, hashes }, hasher)
}

/** The root over a full tile: 256 joined hashes (8,192 bytes), which is one hash of the level above. */
export function tileRoot(hashes: Uint8Array, hasher: Hasher = hashParts): Uint8Array {
  assertBytes(hashes, 'hashes', TILE_WIDTH * HASH_LENGTH)
  return completeRoot(hashes, 0, TILE_WIDTH, hasher)
}

async function rangeRoots(source: TileSource, ranges: readonly Range[], hasher: Hasher): Promise<Uint8Array[]> {
  return subtreeRoots(source, ranges.map(subtreesOf), hasher)
}

/** One root for each group of adjacent subtrees; every tile is read once, all of them at the same time. */
async function subtreeRoots(
  source: TileSource,
  groups: readonly (readonly Subtree[])[],
  hasher: Hasher,
): Promise<Uint8Array[]> {
  const tiles = new Map<string, Uint8Array>()
  const places = groups.map((group) => group.map(placeOf))
  const wanted = new Map(places.flat().map((place) => [`${place.level}/${place.tile}`, place]))
  await Promise.all(
    Array.from(wanted, async ([name, { level, tile }]) => {
      tiles.set(name, await source.hashes(level, tile))
    }),
  )
  return places.map((group) => {
    const roots = group.map(({ level, tile, first, count }) => {
      const hashes = tiles.get(`${level}/${tile}`) as Uint8Array
      checkTile(hashes, level, tile, first + count)
      return completeRoot(hashes, first, count, hasher)
    })
    return foldRight(roots, hasher)
  })
}

function checkTile(hashes: Uint8Array, level: number, tile: number, needed: number): void {
  assertBytes(hashes, `tile ${level}/${tile}`)
  const count = hashes.length / HASH_LENGTH
  if (!Number.isInteger(count) || count > TILE_WIDTH)
    throw new RangeError(`tile ${level}/${tile}: ${hashes.length} bytes are no tile`)
  if (count < needed) throw new RangeError(`tile ${level}/${tile}: has ${count} hashes, ${needed} are needed`)
}

/** Splits a range into complete subtrees, largest first. Its start must be a multiple of the largest, as all here are. */
function subtreesOf(range: Range): Subtree[] {
  const subtrees: Subtree[] = []
  let at = range.from
  while (at < range.to) {
    const height = Math.floor(log2(range.to - at))
    const leaves = 2 ** height
    subtrees.push({ height, number: at / leaves })
    at += leaves
  }
  return subtrees
}

/** Which hashes of which tile lie under a subtree's root: from one hash (height 8·level) to half a tile. */
function placeOf({ height, number }: Subtree): { level: number; tile: number; first: number; count: number } {
  const level = Math.floor(height / TILE_HEIGHT)
  const count = 2 ** (height % TILE_HEIGHT)
  const hash = number * count
  return { level, tile: Math.floor(hash / TILE_WIDTH), first: hash % TILE_WIDTH, count }
}

/** The root over `count` hashes, a power of two, from the hash numbered `first`. */
function completeRoot(hashes: Uint8Array, first: number, count: number, hasher: Hasher): Uint8Array {
  if (count === 1) return hashes.slice(first * HASH_LENGTH, (first + 1) * HASH_LENGTH)
  let row: Uint8Array[] = []
  for (let i = first; i < first + count; i++) row.push(hashes.subarray(i * HASH_LENGTH, (i + 1) * HASH_LENGTH))
  while (row.length > 1) {
    const above: Uint8Array[] = []
    for (let i = 0; i < row.length; i += 2) above.push(nodeHash(row[i] as Uint8Array, row[i + 1] as Uint8Array, hasher))
    row = above
  }
  return row[0] as Uint8Array
}

/** The largest power of two below `value`, which is at least 2. */
function powerBelow(value: number): number {
  return 2 ** Math.floor(log2(value - 1))
}

/** Exponent of the largest power of two not above `value`, exact to 2^53 where `Math.log2` rounds up. */
function log2(value: number): number {
  const guess = Math.floor(Math.log2(value))
  return 2 ** guess > value ? guess - 1 : guess
}
