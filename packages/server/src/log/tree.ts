import { sha256 } from '@popsigner/crypto/hash-native'
import { leafHash } from '@popsigner/transparency/merkle'
import { TILE_WIDTH, type TileSource, tileRoot } from '@popsigner/transparency/tiles'
import type { Pool, PoolClient } from 'pg'
import { eachLeaf } from './leaves.ts'

const cachedTiles = 512

/** A tile that became complete and is to be stored. */
export interface CompleteTile {
  readonly level: number
  readonly index: number
  readonly root: Buffer
  readonly hashes: Buffer
}

/** The right edge of an organization's tree: of each level the hashes since its last complete tile. */
interface Edge {
  size: number
  /** By level: how many complete tiles lie before, and the hashes after them. */
  levels: { tiles: number; hashes: Buffer[] }[]
}

type Database = Pick<Pool | PoolClient, 'query'>

/** The Merkle tree of one organization: complete tiles in the database, the edge in memory. */
export class LogTree implements TileSource {
  readonly #database: Pool
  readonly #organization: string
  readonly #complete = new Map<string, Buffer>()
  #edge: Edge

  private constructor(database: Pool, organization: string, edge: Edge) {
    this.#database = database
    this.#organization = organization
    this.#edge = edge
  }

  /**
   * The tree as far as it is projected, from the tiles and the leaves after the last complete one. It is read through
   * `client`; `pool` is for what is read of it later.
   */
  static async load(pool: Pool, client: Database, organization: string, size: number): Promise<LogTree> {
    const levels: Edge['levels'] = []
    const { rows: full } = await client.query<{ level: number; tiles: string }>(
      'select level, max(index) + 1 as tiles from tiles where organization_id = $1 group by level',
      [organization],
    )
    const tilesAt = new Map(full.map((row) => [row.level, Number(row.tiles)]))
    const first = (tilesAt.get(0) ?? 0) * TILE_WIDTH
    levels.push({ tiles: tilesAt.get(0) ?? 0, hashes: await readLeafHashes(client, organization, first, size) })
    for (let level = 1; (tilesAt.get(level - 1) ?? 0) > 0; level++) {
      const before = tilesAt.get(level) ?? 0
      const { rows } = await client.query<{ root: Buffer }>(
        'select root from tiles where organization_id = $1 and level = $2 and index >= $3 order by index',
        [organization, level - 1, before * TILE_WIDTH],
      )
      levels.push({ tiles: before, hashes: rows.map((row) => row.root) })
    }
    return new LogTree(pool, organization, { size, levels })
  }

  /** Leaves that are in the tree. */
  get size(): number {
    return this.#edge.size
  }

  /** Adds leaf hashes and answers the tiles that this completes. The caller stores them, or drops this tree if it cannot. */
  append(hashes: readonly Buffer[]): CompleteTile[] {
    const complete: CompleteTile[] = []
    for (const hash of hashes) this.#add(0, hash, complete)
    this.#edge.size += hashes.length
    return complete
  }

  #add(level: number, hash: Buffer, complete: CompleteTile[]): void {
    const edge = this.#edge.levels[level] ?? { tiles: 0, hashes: [] }
    this.#edge.levels[level] = edge
    edge.hashes.push(hash)
    if (edge.hashes.length < TILE_WIDTH) return
    const hashes = Buffer.concat(edge.hashes)
    const root = Buffer.from(tileRoot(hashes, sha256))
    complete.push({ level, index: edge.tiles, root, hashes })
    this.#remember(level, edge.tiles, hashes)
    edge.tiles++
    edge.hashes = []
    this.#add(level + 1, root, complete)
  }

  async hashes(level: number, index: number): Promise<Uint8Array> {
    const edge = this.#edge.levels[level]
    if (!edge || index > edge.tiles) return new Uint8Array(0)
    if (index === edge.tiles) return Buffer.concat(edge.hashes)
    const cached = this.#complete.get(`${level}/${index}`)
    if (cached) return cached
    const {
      rows: [row],
    } = await this.#database.query<{ hashes: Buffer }>(
      'select hashes from tiles where organization_id = $1 and level = $2 and index = $3',
      [this.#organization, level, index],
    )
    if (!row) throw new Error('a tile of the log is missing')
    this.#remember(level, index, row.hashes)
    return row.hashes
  }

  #remember(level: number, index: number, hashes: Buffer): void {
    if (this.#complete.size >= cachedTiles) this.#complete.delete(this.#complete.keys().next().value as string)
    this.#complete.set(`${level}/${index}`, hashes)
  }
}

/** Stores complete tiles. Storing one twice is no harm: it cannot have changed. */
export async function storeTiles(
  client: Database,
  organization: string,
  tiles: readonly CompleteTile[],
): Promise<void> {
  for (const tile of tiles) {
    await client.query(
      'insert into tiles (organization_id, level, index, root, hashes) values ($1, $2, $3, $4, $5) on conflict do nothing',
      [organization, tile.level, tile.index, tile.root, tile.hashes],
    )
  }
}

/** The leaf hashes from `first` to before `size`, from the batches. */
async function readLeafHashes(
  database: Database,
  organization: string,
  first: number,
  size: number,
): Promise<Buffer[]> {
  const hashes: Buffer[] = []
  if (first >= size) return hashes
  const { rows } = await database.query<{ tree_size: string; size: number; leaves: Buffer }>(
    'select tree_size, size, leaves from batches where organization_id = $1 and tree_size > $2 and tree_size - size < $3 order by tree_size',
    [organization, first, size],
  )
  for (const row of rows) {
    const start = Number(row.tree_size) - row.size
    const put = (hash: Buffer, place: number) => {
      const index = start + place
      if (index >= first && index < size) hashes[index - first] = hash
    }
    eachLeaf(row.leaves, (leaf, place) => put(hashLeaf(leaf), place), put)
  }
  return hashes
}

/** The leaf hash of a leaf's bytes. */
export function hashLeaf(leaf: Uint8Array): Buffer {
  const hash = leafHash(leaf, sha256)
  return Buffer.from(hash.buffer, hash.byteOffset, hash.length)
}
