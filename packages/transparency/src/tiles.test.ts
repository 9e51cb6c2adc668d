import assert from 'node:assert/strict'
import { test } from 'node:test'
import { concat, hex, utf8 } from '@popsigner/crypto/bytes'
import { sha256 as native } from '@popsigner/crypto/hash-native'
import fc from 'fast-check'
import { createFrontier, emptyRoot, leafHash, nodeHash, verifyConsistency, verifyInclusion } from './merkle.ts'
import { consistencyPath, frontierAt, inclusionPath, rootAt, TILE_WIDTH, type TileSource, tileRoot } from './tiles.ts'

interface CountingSource extends TileSource {
  reads: string[]
}

/** Tiles over real leaves, made once and cut to the tree's size at each read. */
function createTiles(hashes: readonly Uint8Array[]): (size: number) => CountingSource {
  const levels: Uint8Array[][] = [[...hashes]]
  for (let below = levels[0] as Uint8Array[]; below.length >= TILE_WIDTH; below = levels.at(-1) as Uint8Array[]) {
    const above: Uint8Array[] = []
    for (let i = 0; i + TILE_WIDTH <= below.length; i += TILE_WIDTH)
      above.push(tileRoot(concat(...below.slice(i, i + TILE_WIDTH)), native))
    levels.push(above)
  }
  return (size) => {
    const reads: string[] = []
    return {
      reads,
      async hashes(level, index) {
        reads.push(`${level}/${index}`)
        const complete = Math.floor(size / TILE_WIDTH ** level)
        return concat(...(levels[level] ?? []).slice(index * TILE_WIDTH, Math.min((index + 1) * TILE_WIDTH, complete)))
      },
    }
  }
}

const all = Array.from({ length: 65_537 }, (_, i) => leafHash(utf8(`leaf ${i}`), native))
const tilesOf = createTiles(all)
const sizes = [1, 2, 3, 255, 256, 257, 511, 512, 513, 1000, 65_279, 65_280, 65_535, 65_536, 65_537]
const roots = new Map<number, Uint8Array>()
{
  const frontier = createFrontier(undefined, native)
  for (const hash of all) {
    frontier.append(hash)
    if (sizes.includes(frontier.size)) roots.set(frontier.size, frontier.root())
  }
}

test('roots from tiles are those of the frontier, at and around every tile boundary', async () => {
  assert.equal(hex(await rootAt(tilesOf(0), 0)), hex(emptyRoot))
  for (const size of sizes)
    assert.equal(hex(await rootAt(tilesOf(size), size, native)), hex(roots.get(size) as Uint8Array))
})

test('a frontier from tiles goes on where the log stands', async () => {
  for (const size of [0, ...sizes.filter((one) => one < all.length)]) {
    const frontier = await frontierAt(tilesOf(size), size, native)
    if (size > 0) assert.equal(hex(frontier.root()), hex(roots.get(size) as Uint8Array))
    while (frontier.size < Math.min(size + 300, all.length)) frontier.append(all[frontier.size] as Uint8Array)
    assert.equal(hex(frontier.root()), hex(await rootAt(tilesOf(frontier.size), frontier.size, native)))
  }
})

test('inclusion of the first, the last and the leaves beside boundaries; few tiles are read, each once', async () => {
  for (const size of sizes) {
    const root = roots.get(size) as Uint8Array
    const levels = Math.ceil(Math.log(size) / Math.log(TILE_WIDTH)) || 1
    for (const index of new Set([0, 1, 254, 255, 256, 257, 65_279, 65_535, 65_536, size - 2, size - 1])) {
      if (index < 0 || index >= size) continue
      const source = tilesOf(size)
      const path = await inclusionPath(source, index, size, native)
      assert.ok(verifyInclusion(index, size, all[index] as Uint8Array, path, root, native), `${index} in ${size}`)
      assert.ok(source.reads.length <= 2 * levels, `${source.reads} for ${index} in ${size}`)
      assert.equal(new Set(source.reads).size, source.reads.length)
    }
  }
})

test('consistency between every two of these sizes', async () => {
  for (const [i, newSize] of sizes.entries())
    for (const oldSize of [0, ...sizes.slice(0, i + 1)]) {
      const source = tilesOf(newSize)
      const path = await consistencyPath(source, oldSize, newSize, native)
      const oldRoot = oldSize === 0 ? emptyRoot : (roots.get(oldSize) as Uint8Array)
      assert.ok(verifyConsistency(oldSize, newSize, oldRoot, roots.get(newSize) as Uint8Array, path, native))
      assert.ok(source.reads.length <= 6, `${source.reads} from ${oldSize} to ${newSize}`)
      if (oldSize === 0 || oldSize === newSize) assert.deepEqual([path, source.reads], [[], []])
    }
})

test('tiles of a tree that has grown give the proofs of the smaller size', async () => {
  for (const size of [1, 255, 257, 1000, 65_535])
    for (const index of [0, size >> 1, size - 1]) {
      const path = await inclusionPath(tilesOf(all.length), index, size, native)
      assert.deepEqual(path, await inclusionPath(tilesOf(size), index, size, native))
    }
})

test('property: random sizes and indexes prove and verify; another index, size or bit does not', async () => {
  const prefix = createFrontier(undefined, native)
  const small: Uint8Array[] = [emptyRoot]
  for (const hash of all.slice(0, 2_000)) {
    prefix.append(hash)
    small.push(prefix.root())
  }
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 2, max: 2_000 }), fc.nat(), fc.nat(), fc.nat(), async (size, a, b, bit) => {
      const index = a % size
      const root = small[size] as Uint8Array
      const leaf = all[index] as Uint8Array
      const path = await inclusionPath(tilesOf(size), index, size, native)
      assert.ok(verifyInclusion(index, size, leaf, path, root, native))
      const other = b % size
      if (other !== index) assert.ok(!verifyInclusion(other, size, leaf, path, root, native))
      const changed = path.map((hash) => hash.slice())
      const hash = changed[b % path.length] as Uint8Array
      hash[(bit >> 3) % 32] = (hash[(bit >> 3) % 32] as number) ^ (1 << (bit & 7))
      assert.ok(!verifyInclusion(index, size, leaf, changed, root, native))
      const oldSize = 1 + (b % size)
      const proof = await consistencyPath(tilesOf(size), oldSize, size, native)
      assert.ok(verifyConsistency(oldSize, size, small[oldSize] as Uint8Array, root, proof, native))
      const wrong = 1 + ((oldSize + a) % size)
      if (wrong !== oldSize)
        assert.ok(!verifyConsistency(wrong, size, small[oldSize] as Uint8Array, root, proof, native))
    }),
  )
})

/**
 * A tree of 2^40 + 2^24 + 300 leaves, too large to make: all leaves are the same, so a complete subtree's root depends on
 * its height only.
 */
test('trees past 2^32 leaves, with tiles of six levels', async () => {
  const leaf = leafHash(utf8('same'), native)
  const complete: Uint8Array[] = [leaf]
  for (let height = 1; height <= 48; height++) {
    const below = complete.at(-1) as Uint8Array
    complete.push(nodeHash(below, below, native))
  }
  const size = 2 ** 40 + 2 ** 24 + 300
  const reads: string[] = []
  const source: TileSource = {
    async hashes(level, index) {
      reads.push(`${level}/${index}`)
      const count = Math.min(TILE_WIDTH, Math.floor(size / TILE_WIDTH ** level) - index * TILE_WIDTH)
      return concat(...Array.from({ length: count }, () => complete[8 * level] as Uint8Array))
    },
  }
  const root = await rootAt(source, size, native)
  for (const index of [0, 2 ** 32 + 5, 2 ** 40 - 1, 2 ** 40, 2 ** 40 + 2 ** 24 + 255, size - 1]) {
    reads.length = 0
    const path = await inclusionPath(source, index, size, native)
    assert.ok(verifyInclusion(index, size, leaf, path, root, native), String(index))
    assert.ok(reads.length <= 12)
  }
  for (const oldSize of [1, 300, 2 ** 32, 2 ** 33 + 7, 2 ** 40, 2 ** 40 + 1, size - 1]) {
    const path = await consistencyPath(source, oldSize, size, native)
    assert.ok(verifyConsistency(oldSize, size, await rootAt(source, oldSize, native), root, path, native))
  }
  const frontier = await frontierAt(source, size, native)
  assert.equal(hex(frontier.root()), hex(root))
  frontier.append(leaf)
  assert.equal(frontier.size, size + 1)
})

test('misuse and sources that fall short are refused', async () => {
  const source = tilesOf(300)
  await assert.rejects(inclusionPath(source, 300, 300), RangeError)
  await assert.rejects(inclusionPath(source, -1, 300), RangeError)
  await assert.rejects(inclusionPath(source, 0, 2 ** 53), RangeError)
  await assert.rejects(consistencyPath(source, 301, 300), RangeError)
  await assert.rejects(inclusionPath(source, 0, 301), /has 44 hashes, 45 are needed/)
  await assert.rejects(rootAt({ hashes: async () => new Uint8Array(33) }, 1), /are no tile/)
  await assert.rejects(rootAt({ hashes: async () => new Uint8Array(257 * 32) }, 1), /are no tile/)
  await assert.rejects(rootAt({ hashes: async () => Promise.reject(new Error('gone')) }, 1), /gone/)
  assert.throws(() => tileRoot(new Uint8Array(255 * 32)), RangeError)
})
