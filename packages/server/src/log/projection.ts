import type { Pool, PoolClient } from 'pg'
import { decodeTypeId, uuidText } from '@popsigner/crypto/typeid'
import { decodeTexts, eachLeaf } from './leaves.ts'
import { hashLeaf, LogTree, storeTiles } from './tree.ts'

/** Batches taken into one step, so that a step stays short and its memory bounded. */
const batchesPerStep = 40

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

interface Columns {
  readonly index: number[]
  readonly id: string[]
  readonly time: string[]
  readonly event: string[]
  readonly actor: string[]
  readonly key: string[]
  readonly dataHash: string[]
  readonly address: string[]
  readonly userAgent: string[]
  readonly batch: number[]
  readonly offset: number[]
  readonly length: number[]
}

/**
 * Brings an organization's searchable records and Merkle tree up to its batches, in steps of a transaction each. One process
 * at a time does it for an organization; where another is at it, this answers what that one has reached. `tree` is the
 * caller's, as of its last call; the tree that is answered takes its place.
 */
export async function project(pool: Pool, organization: string, tree: LogTree | undefined): Promise<LogTree> {
  let current = tree
  for (;;) {
    const client = await pool.connect()
    try {
      await client.query('begin')
      const { rows: [lock] } = await client.query<{ mine: boolean }>('select pg_try_advisory_xact_lock(731003, hashtext($1)) as mine', [organization])
      const { rows: [position] } = await client.query<{ size: string }>('select size from projections where organization_id = $1', [organization])
      const size = Number(position?.size ?? 0)
      if (current?.size !== size) current = await LogTree.load(pool, organization, size)
      const grown = lock?.mine === true && (await step(client, organization, size, current))
      await client.query('commit')
      client.release()
      if (!grown) return current
    } catch (error) {
      client.release(true)
      throw error
    }
  }
}

/** One step; true when there may be more. A failure leaves `tree` ahead of the database: the caller's next call reloads it. */
async function step(client: PoolClient, organization: string, size: number, tree: LogTree): Promise<boolean> {
  const { rows } = await client.query<{ tree_size: string; size: number; leaves: Buffer; texts: Buffer }>({
    name: 'batches-after',
    text: 'select tree_size, size, leaves, texts from batches where organization_id = $1 and tree_size > $2 order by tree_size limit $3',
    values: [organization, size, batchesPerStep],
  })
  if (rows.length === 0) return false
  const columns: Columns = { index: [], id: [], time: [], event: [], actor: [], key: [], dataHash: [], address: [], userAgent: [], batch: [], offset: [], length: [] }
  const hashes: Buffer[] = []
  let reached = size
  for (const row of rows) {
    const first = Number(row.tree_size) - row.size
    if (first !== reached) throw new Error('the log has a gap')
    const texts = decodeTexts(row.texts)
    eachLeaf(row.leaves, (leaf, place, offset) => {
      hashes.push(hashLeaf(leaf))
      const said = JSON.parse(leaf.toString('latin1')) as ProjectedLeaf
      const references = texts[place] ?? []
      columns.index.push(first + place)
      columns.id.push(uuidOf(said.id, 'rec'))
      columns.time.push(said.time)
      columns.event.push(said.event)
      columns.actor.push(actorsOfOurs[said.actor] ?? uuidOf(said.actor, 'ak'))
      columns.key.push(said.key === undefined ? 'NULL' : uuidOf(said.key, 'key'))
      columns.dataHash.push(said.data_hash === undefined ? 'NULL' : dataHashColumn(said.data_hash))
      columns.address.push(references.find((r) => r.field === 'address')?.id.toString() ?? 'NULL')
      columns.userAgent.push(references.find((r) => r.field === 'user_agent')?.id.toString() ?? 'NULL')
      columns.batch.push(Number(row.tree_size))
      columns.offset.push(offset)
      columns.length.push(leaf.length)
    }, (hash) => hashes.push(hash))
    reached = Number(row.tree_size)
  }
  const tiles = tree.append(hashes)
  await storeTiles(client, organization, tiles)
  await client.query({
    name: 'project',
    text: `insert into records (organization_id, index, id, time, event, actor, key_id, data_hash, address, user_agent, batch, leaf_offset, leaf_length)
      select $1, * from unnest($2::bigint[], $3::uuid[], $4::timestamptz[], $5::text[], $6::uuid[], $7::uuid[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::integer[], $13::integer[])`,
    values: [organization, ...Object.values(columns).map((column: (string | number)[]) => `{${column.join(',')}}`)],
  })
  await client.query({
    name: 'projected',
    text: 'insert into projections (organization_id, size) values ($1, $2) on conflict (organization_id) do update set size = excluded.size',
    values: [organization, reached],
  })
  return rows.length === batchesPerStep
}

/** The signed 64-bit number of the first 8 bytes of a hash in hex: what `records.data_hash` holds. */
export function dataHashColumn(hex: string): string {
  return BigInt.asIntN(64, BigInt(`0x${hex.slice(0, 16)}`)).toString()
}

function uuidOf(text: string, prefix: string): string {
  const bytes = decodeTypeId(text, prefix)
  if (!bytes) throw new Error('an id in a leaf is malformed')
  return uuidText(bytes)
}
