import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fromBase64, fromHex, hex, utf8 } from '@popsigner/crypto/bytes'
import { sha256 as native } from '@popsigner/crypto/hash-native'
import fc from 'fast-check'
import { createFrontier, emptyRoot, leafHash, nodeHash, rootOf, verifyConsistency, verifyInclusion } from './merkle.ts'

const own = JSON.parse(readFileSync(join(import.meta.dirname, '../vectors/rfc6962.json'), 'utf8')) as {
  leaves: string[]
  roots: string[]
}
const leaves = own.leaves.map(fromHex)

test('RFC 6962: roots of the trees of 0 to 8 leaves', () => {
  for (const [size, root] of own.roots.entries())
    assert.equal(hex(rootOf(leaves.slice(0, size).map((leaf) => leafHash(leaf)))), root)
  assert.equal(hex(emptyRoot), own.roots[0])
})

test('the native hasher gives the same tree', () => {
  for (const [size, root] of own.roots.entries())
    assert.equal(
      hex(
        rootOf(
          leaves.slice(0, size).map((leaf) => leafHash(leaf, native)),
          native,
        ),
      ),
      root,
    )
})

const shared = join(import.meta.dirname, '../../../../shared/vectors/merkle/testdata')
const here = existsSync(shared)

interface Inclusion {
  leafIdx: number
  treeSize: number
  root: string
  leafHash: string
  proof: string[] | null
  wantErr: boolean
}

interface Consistency {
  size1: number
  size2: number
  root1: string
  root2: string
  proof: string[] | null
  wantErr: boolean
}

function vectors<T>(kind: string): [string, T][] {
  return readdirSync(join(shared, kind), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.json'))
    .map((name) => [name, JSON.parse(readFileSync(join(shared, kind, name), 'utf8')) as T])
}

test('transparency-dev inclusion vectors', { skip: here ? false : 'shared vectors are not here' }, () => {
  const all = vectors<Inclusion>('inclusion')
  assert.equal(all.length, 98)
  for (const [name, { leafIdx, treeSize, root, leafHash: leaf, proof, wantErr }] of all) {
    const path = (proof ?? []).map(fromBase64)
    assert.equal(verifyInclusion(leafIdx, treeSize, fromBase64(leaf), path, fromBase64(root)), !wantErr, name)
  }
})

test('transparency-dev consistency vectors', { skip: here ? false : 'shared vectors are not here' }, () => {
  const all = vectors<Consistency>('consistency')
  assert.equal(all.length, 98)
  for (const [name, { size1, size2, root1, root2, proof, wantErr }] of all) {
    const path = (proof ?? []).map(fromBase64)
    // The one file whose roots are words: what is not 32 bytes is no root here, whichever sizes stand beside it.
    const words = name === join('additional', 'sizes-are-equal-one-and-proof-is-empty.json')
    assert.equal(verifyConsistency(size1, size2, fromBase64(root1), fromBase64(root2), path), !wantErr && !words, name)
  }
})

test('a frontier has the root of the whole list at every size, and goes on from its hashes', () => {
  const hashes = Array.from({ length: 70 }, (_, i) => leafHash(utf8(`leaf ${i}`)))
  let frontier = createFrontier()
  for (const [i, hash] of hashes.entries()) {
    frontier.append(hash)
    assert.equal(frontier.size, i + 1)
    assert.equal(hex(frontier.root()), hex(naiveRoot(hashes.slice(0, i + 1))))
    frontier = createFrontier({ size: frontier.size, hashes: frontier.hashes() })
  }
})

test('a frontier refuses what does not fit', () => {
  assert.throws(() => createFrontier({ size: 3, hashes: [emptyRoot] }), RangeError)
  assert.throws(() => createFrontier({ size: -1, hashes: [] }), RangeError)
  assert.throws(() => createFrontier({ size: 2 ** 53, hashes: [emptyRoot] }), RangeError)
  assert.throws(() => createFrontier({ size: 1, hashes: [new Uint8Array(31)] }), RangeError)
  assert.throws(() => createFrontier().append(new Uint8Array(33)), RangeError)
  const full = createFrontier({ size: Number.MAX_SAFE_INTEGER, hashes: Array.from({ length: 53 }, () => emptyRoot) })
  assert.throws(() => full.append(emptyRoot), RangeError)
})

test('what a frontier hands out is not its own memory', () => {
  const frontier = createFrontier()
  const hash = leafHash(utf8('a'))
  frontier.append(hash)
  const root = frontier.root()
  hash.fill(0)
  frontier.hashes()[0]?.fill(0)
  assert.equal(hex(frontier.root()), hex(root))
  root.fill(0)
  assert.notEqual(hex(frontier.root()), hex(root))
})

test('verification answers false for malformed numbers and hashes', () => {
  const leaf = leafHash(utf8('a'))
  assert.equal(verifyInclusion(0, 1, leaf, [], leaf), true)
  for (const [index, size] of [
    [-1, 1],
    [1, 1],
    [0.5, 1],
    [0, Number.NaN],
    [0, 2 ** 53],
    ['0', 1],
    [0n, 1n],
  ] as [number, number][])
    assert.equal(verifyInclusion(index, size, leaf, [], leaf), false)
  assert.equal(verifyInclusion(0, 1, leaf.slice(1), [], leaf), false)
  assert.equal(verifyInclusion(0, 1, leaf, [], leaf.slice(1)), false)
  assert.equal(verifyInclusion(0, 2, leaf, [new Uint8Array(31)], leaf), false)
  assert.equal(verifyInclusion(0, 1, leaf, null as unknown as Uint8Array[], leaf), false)
  assert.equal(verifyConsistency(1, 1, leaf, leaf, []), true)
  assert.equal(verifyConsistency(0, 1, emptyRoot, leaf, []), true)
  assert.equal(verifyConsistency(0, 1, leaf, leaf, []), false)
  assert.equal(verifyConsistency(0, 0, emptyRoot, emptyRoot, []), true)
  assert.equal(verifyConsistency(0, 0, leaf, leaf, []), false)
  assert.equal(verifyConsistency(0, 1, emptyRoot, leaf, [leaf]), false)
  assert.equal(verifyConsistency(2, 1, leaf, leaf, []), false)
  assert.equal(verifyConsistency(1, 2 ** 53, leaf, leaf, [leaf]), false)
  assert.equal(verifyConsistency(1, 2, leaf, leaf.slice(1), [leaf]), false)
})

test('an inner node is not a leaf', () => {
  const [a, b] = [leafHash(utf8('a')), leafHash(utf8('b'))]
  const joined = new Uint8Array([...a, ...b])
  assert.notEqual(hex(leafHash(joined)), hex(nodeHash(a, b)))
})

test('property: proofs from the definition verify, and no changed one does', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 90 }), fc.nat(), fc.nat(), fc.nat(), (size, a, b, bit) => {
      const hashes = Array.from({ length: size }, (_, i) => leafHash(utf8(`${i}`)))
      const root = naiveRoot(hashes)
      const index = a % size
      const leaf = hashes[index] as Uint8Array
      const path = naivePath(index, hashes)
      assert.ok(verifyInclusion(index, size, leaf, path, root))
      for (const changed of changes(path, bit)) assert.ok(!verifyInclusion(index, size, leaf, changed, root))
      assert.ok(!verifyInclusion(index, size, flip(leaf, bit), path, root))
      assert.ok(!verifyInclusion(index, size, leaf, path, flip(root, bit)))
      const other = b % size
      if (other !== index) assert.ok(!verifyInclusion(other, size, leaf, path, root))
      const oldSize = 1 + (b % size)
      const oldRoot = naiveRoot(hashes.slice(0, oldSize))
      const proof = oldSize === size ? [] : naiveSubproof(oldSize, hashes, true)
      assert.ok(verifyConsistency(oldSize, size, oldRoot, root, proof))
      for (const changed of changes(proof, bit)) assert.ok(!verifyConsistency(oldSize, size, oldRoot, root, changed))
      assert.ok(!verifyConsistency(oldSize, size, flip(oldRoot, bit), root, proof))
      assert.ok(!verifyConsistency(oldSize, size, oldRoot, flip(root, bit), proof))
    }),
  )
})

function flip(bytes: Uint8Array, bit: number): Uint8Array {
  const copy = bytes.slice()
  const at = (bit >> 3) % copy.length
  copy[at] = (copy[at] as number) ^ (1 << (bit & 7))
  return copy
}

function changes(path: readonly Uint8Array[], bit: number): Uint8Array[][] {
  const changed = path.map((_, i) => path.map((hash, j) => (i === j ? flip(hash, bit) : hash)))
  changed.push([...path, emptyRoot], [emptyRoot, ...path])
  if (path.length > 0) changed.push(path.slice(1), path.slice(0, -1))
  return changed
}

/** The definitions of RFC 6962 §2.1, by recursion as they stand there. */
function naiveRoot(hashes: readonly Uint8Array[]): Uint8Array {
  if (hashes.length === 0) return emptyRoot
  if (hashes.length === 1) return hashes[0] as Uint8Array
  const k = split(hashes.length)
  return nodeHash(naiveRoot(hashes.slice(0, k)), naiveRoot(hashes.slice(k)))
}

function naivePath(index: number, hashes: readonly Uint8Array[]): Uint8Array[] {
  if (hashes.length <= 1) return []
  const k = split(hashes.length)
  return index < k
    ? [...naivePath(index, hashes.slice(0, k)), naiveRoot(hashes.slice(k))]
    : [...naivePath(index - k, hashes.slice(k)), naiveRoot(hashes.slice(0, k))]
}

function naiveSubproof(oldSize: number, hashes: readonly Uint8Array[], whole: boolean): Uint8Array[] {
  if (oldSize === hashes.length) return whole ? [] : [naiveRoot(hashes)]
  const k = split(hashes.length)
  return oldSize <= k
    ? [...naiveSubproof(oldSize, hashes.slice(0, k), whole), naiveRoot(hashes.slice(k))]
    : [...naiveSubproof(oldSize - k, hashes.slice(k), false), naiveRoot(hashes.slice(0, k))]
}

function split(size: number): number {
  let k = 1
  while (k * 2 < size) k *= 2
  return k
}
