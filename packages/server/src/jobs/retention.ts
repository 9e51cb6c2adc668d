import { type EventName, events } from '@popsigner/transparency/events'
import type { Pool, PoolClient } from 'pg'
import { decodeTexts, eachLeaf, encodeTexts } from '../log/leaves.ts'
import { hashLeaf } from '../log/tree.ts'
import { plans } from '../plans.ts'

const batchesPerStep = 200

/**
 * Removes records of class `activity` whose retention has passed: the leaf's bytes and what opens it go, its hash stays, so
 * that every proof still holds. A record is removed when its month is closed (the bill is made from the log) and the plan's
 * number of days on which a checkpoint was signed lie between it and today.
 */
export async function removeExpiredRecords(pool: Pool): Promise<void> {
  for (const [name, { retentionDays }] of Object.entries(plans)) {
    if (retentionDays === null) continue
    const { rows: organizations } = await pool.query<{ id: string; cutoff: Date | null }>(
      `select id, (select day from checkpoint_days order by day desc offset $2 limit 1)::timestamp at time zone 'UTC' as cutoff
       from organizations where plan = $1`,
      [name, retentionDays],
    )
    for (const { id, cutoff } of organizations) if (cutoff) await removeOf(pool, id, cutoff)
  }
}

async function removeOf(pool: Pool, organization: string, cutoff: Date): Promise<void> {
  const { rows } = await pool.query<{ tree_size: string }>(
    `select tree_size from batches where organization_id = $1
       and tree_size > coalesce((select size from retentions where organization_id = $1), 0)
       and tree_size <= (select size from projections where organization_id = $1)
       and time < $2 and period < date_trunc('month', now() at time zone 'UTC')
     order by tree_size limit $3`,
    [organization, cutoff, batchesPerStep],
  )
  for (const { tree_size } of rows) {
    const client = await pool.connect()
    try {
      await client.query('begin')
      await rewriteBatch(client, organization, tree_size)
      await client.query(
        'insert into retentions (organization_id, size) values ($1, $2) on conflict (organization_id) do update set size = excluded.size',
        [organization, tree_size],
      )
      await client.query('commit')
    } catch (error) {
      await client.query('rollback').catch(() => {})
      throw error
    } finally {
      client.release()
    }
  }
}

/** Writes a batch anew with the leaves that stay, and moves the search table's rows along. */
async function rewriteBatch(client: PoolClient, organization: string, treeSize: string): Promise<void> {
  const {
    rows: [batch],
  } = await client.query<{ size: number; leaves: Buffer; texts: Buffer }>(
    'select size, leaves, texts from batches where organization_id = $1 and tree_size = $2 for update',
    [organization, treeSize],
  )
  if (!batch) return
  const texts = decodeTexts(batch.texts)
  const parts: Buffer[] = []
  const references: Buffer[] = []
  const places: { offset: number; length: number }[] = []
  let at = 0
  const put = (length: number, bytes: Buffer, place: number): void => {
    const head = Buffer.alloc(2)
    head.writeUInt16BE(length)
    parts.push(head, bytes)
    references.push(encodeTexts(length === 0 ? [] : (texts[place] ?? [])))
    places.push({ offset: at + 2, length })
    at += 2 + bytes.length
  }
  eachLeaf(
    batch.leaves,
    (leaf, place) => {
      const { event } = JSON.parse(leaf.toString('utf8')) as { event: EventName }
      if (events[event].class === 'activity') put(0, hashLeaf(leaf), place)
      else put(leaf.length, leaf, place)
    },
    (hash, place) => put(0, Buffer.from(hash), place),
  )
  await client.query('update batches set leaves = $3, texts = $4 where organization_id = $1 and tree_size = $2', [
    organization,
    treeSize,
    Buffer.concat(parts),
    Buffer.concat(references),
  ])
  const first = Number(treeSize) - batch.size
  await client.query(
    `update records r set leaf_offset = t.place, leaf_length = t.length,
       event = case when t.length = 0 then 'record.removed' else event end,
       key_id = case when t.length = 0 then null else key_id end, data_hash = case when t.length = 0 then null else data_hash end,
       address = case when t.length = 0 then null else address end, user_agent = case when t.length = 0 then null else user_agent end
     from unnest($2::bigint[], $3::integer[], $4::integer[]) t (index, place, length) where r.organization_id = $1 and r.index = t.index`,
    [organization, places.map((_, i) => first + i), places.map((p) => p.offset), places.map((p) => p.length)],
  )
}
