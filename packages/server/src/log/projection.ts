import { once } from 'node:events'
import { decodeTypeId, uuidBytes } from '@popsigner/crypto/typeid'
import type { Pool, PoolClient } from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import type { AppendedBatch } from '../authorize/authorizer.ts'
import { decodeTexts, eachLeaf, type TextReference } from './leaves.ts'
import { copyHeader, copyRecords, copyTrailer, type RecordRow, RecordRowWriter } from './record-rows.ts'
import { hashLeaf, LogTree, storeTiles } from './tree.ts'

/** Batches taken into one step, so that a step stays short and its memory bounded. */
const batchesPerStep = 40
const leavesPerStep = 5_000

/** Who stands for host, system and signer in the columns that hold an actor's uuid. */
export const actorsOfOurs: Readonly<Record<string, string>> = {
  host: '00000000-0000-0000-0000-000000000001',
  system: '00000000-0000-0000-0000-000000000002',
  signer: '00000000-0000-0000-0000-000000000003',
}

/** The fields of a leaf that the projection needs. Its own leaves are canonical: they were checked when they were built. */
interface ProjectedLeaf {
  readonly id: string
  readonly time: string
  readonly event: string
  readonly actor: string
  readonly key?: string
  readonly data_hash?: string
}

/** A batch as the search table and the tree take it. */
export interface ProjectedBatch {
  readonly first: number
  /** The log's size after it. */
  readonly end: number
  /** Rows as COPY takes them. */
  readonly rows: Buffer
  /** 32 bytes for each leaf. */
  readonly hashes: Buffer
}

/** Batches that this process has just committed, by the index of their first leaf: they need not be read back. */
export type RecentBatches = Map<number, ProjectedBatch>

const hashLength = 32

/**
 * Brings an organization's searchable records and Merkle tree up to the batches that were there when it began, in steps of a
 * transaction each; what comes in meanwhile is the next call's. One process at a time does it for an organization; where
 * another is at it, this answers what that one has reached. `tree` is the caller's, as of its last call; the tree that is
 * answered takes its place. What is taken from `recent` is removed from it.
 */
export async function project(
  pool: Pool,
  organization: string,
  tree: LogTree | undefined,
  recent?: RecentBatches,
): Promise<LogTree> {
  let current = tree
  let target: number | undefined
  for (;;) {
    const client = await pool.connect()
    try {
      // Nothing is lost with it: what a crash takes back is projected again.
      await client.query('begin; set local synchronous_commit = off')
      const {
        rows: [position],
      } = await client.query<{ mine: boolean; size: string | null; head: string | null }>({
        name: 'position',
        text: `select pg_try_advisory_xact_lock(731003, hashtext($1::text)) as mine, (select size from projections where organization_id = $1::uuid) as size,
          (select tree_size from batches where organization_id = $1::uuid order by tree_size desc limit 1) as head`,
        values: [organization],
      })
      const size = Number(position?.size ?? 0)
      target ??= Number(position?.head ?? 0)
      if (current?.size !== size) current = await LogTree.load(pool, client, organization, size)
      const reached = position?.mine === true ? await step(client, organization, size, current, recent) : null
      await client.query('commit')
      client.release()
      if (reached === null || reached >= target) return current
    } catch (error) {
      client.release(true)
      throw error
    }
  }
}

/** One step: the size it has reached, or null when there was nothing. A failure leaves `tree` ahead of the database: the caller's next call reloads it. */
async function step(
  client: PoolClient,
  organization: string,
  size: number,
  tree: LogTree,
  recent: RecentBatches | undefined,
): Promise<number | null> {
  const recentOnes = takeRecent(recent, size)
  const batches = recentOnes.length > 0 ? recentOnes : await readBatches(client, organization, size)
  const reached = batches.at(-1)?.end
  if (reached === undefined) return null
  await storeTiles(client, organization, tree.append(batches.flatMap(({ hashes }) => hashesIn(hashes))))
  await copy(
    client,
    batches.map(({ rows }) => rows),
  )
  await client.query({
    name: 'projected',
    text: 'insert into projections (organization_id, size) values ($1, $2) on conflict (organization_id) do update set size = excluded.size',
    values: [organization, reached],
  })
  return reached
}

async function copy(client: PoolClient, rows: readonly Buffer[]): Promise<void> {
  const stream = client.query(copyFrom(copyRecords))
  stream.write(copyHeader)
  for (const some of rows) stream.write(some)
  stream.end(copyTrailer)
  await once(stream, 'finish')
}

/** Takes what this process has committed itself, as far as it goes on from `size` without a gap. */
function takeRecent(recent: RecentBatches | undefined, size: number): ProjectedBatch[] {
  const batches: ProjectedBatch[] = []
  let reached = size
  for (let batch = recent?.get(reached); batch && reached - size < leavesPerStep; batch = recent?.get(reached)) {
    recent?.delete(reached)
    batches.push(batch)
    reached = batch.end
  }
  return batches
}

/** What the projection needs of a batch that was just committed, and nothing that would hold on to its requests. */
export function projectBatch(organization: string, { first, items }: AppendedBatch): ProjectedBatch {
  const end = first + items.length
  const writer = new RecordRowWriter(uuidBytes(organization), items.length)
  const hashes = Buffer.allocUnsafeSlow(items.length * hashLength)
  let offset = 0
  for (let i = 0; i < items.length; i++) {
    const { leaf, leafHash, row, texts } = items[i] as AppendedBatch['items'][number]
    if (leafHash === undefined) hashes.set(hashLeaf(leaf), i * hashLength)
    else hashes.write(leafHash, i * hashLength, 'hex')
    const place = { index: first + i, batch: end, offset: offset + 2, length: leaf.length }
    writer.add(row ?? rowOf(leaf, decodeTexts(Buffer.from(texts))[0] ?? []), place)
    offset += leaf.length + 2
  }
  return { first, end, rows: writer.bytes, hashes }
}

/** Reads the next batches from the database: another server's, or what a crash left. */
async function readBatches(client: PoolClient, organization: string, size: number): Promise<ProjectedBatch[]> {
  const { rows } = await client.query<{ tree_size: string; size: number; leaves: Buffer; texts: Buffer }>({
    name: 'batches-after',
    text: 'select tree_size, size, leaves, texts from batches where organization_id = $1 and tree_size > $2 order by tree_size limit $3',
    values: [organization, size, batchesPerStep],
  })
  let reached = size
  return rows.map((batch) => {
    const end = Number(batch.tree_size)
    const first = end - batch.size
    if (first !== reached) throw new Error('the log has a gap')
    reached = end
    const texts = decodeTexts(batch.texts)
    const writer = new RecordRowWriter(uuidBytes(organization), batch.size)
    const hashes: Buffer[] = []
    eachLeaf(
      batch.leaves,
      (leaf, place, offset) => {
        hashes.push(hashLeaf(leaf))
        writer.add(rowOf(leaf, texts[place] ?? []), { index: first + place, batch: end, offset, length: leaf.length })
      },
      (hash) => hashes.push(hash),
    )
    return { first, end, rows: writer.bytes, hashes: Buffer.concat(hashes) }
  })
}

function hashesIn(joined: Buffer): Buffer[] {
  return Array.from({ length: joined.length / hashLength }, (_, i) =>
    joined.subarray(i * hashLength, (i + 1) * hashLength),
  )
}

/** What the search table says of a record, from its leaf. */
function rowOf(leaf: Uint8Array, texts: readonly TextReference[]): RecordRow {
  const said = JSON.parse(Buffer.from(leaf.buffer, leaf.byteOffset, leaf.length).toString('latin1')) as ProjectedLeaf
  const ours = actorsOfOurs[said.actor]
  return {
    id: bytesOf(said.id, 'rec'),
    time: Date.parse(said.time),
    event: said.event,
    actor: ours === undefined ? bytesOf(said.actor, 'ak') : uuidBytes(ours),
    key: said.key === undefined ? null : bytesOf(said.key, 'key'),
    dataHash: said.data_hash ?? null,
    address: texts.find((r) => r.field === 'address')?.id ?? null,
    userAgent: texts.find((r) => r.field === 'user_agent')?.id ?? null,
  }
}

/** The signed 64-bit number of the first 8 bytes of a hash in hex: what `records.data_hash` holds. */
export function dataHashColumn(hex: string): string {
  return BigInt.asIntN(64, BigInt(`0x${hex.slice(0, 16)}`)).toString()
}

function bytesOf(text: string, prefix: string): Uint8Array {
  const bytes = decodeTypeId(text, prefix)
  if (!bytes) throw new Error('an id in a leaf is malformed')
  return bytes
}
