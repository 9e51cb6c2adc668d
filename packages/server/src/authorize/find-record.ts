import { encodeTypeId } from '@popsigner/crypto/typeid'
import type { Pool } from 'pg'
import { eachLeaf } from '../log/leaves.ts'

const attempts = 20
const pauseMilliseconds = 250
/** Batches among which a record is looked for, from the newest on. */
const batchesBack = 50_000

/**
 * Finds where records stand in an organization's log, by their ids, after a commit whose outcome is unknown. `stamp` is the
 * earliest of all that were to be committed with them: the time that their batch has. It takes the organization's lock
 * first, so that a transaction still on its way has ended when it looks. Answers an index or null for each record, with the
 * present epoch and size; null when the database could not be asked in 20 attempts, about 5 s.
 */
export async function findRecord(
  pool: Pool,
  organization: string,
  records: readonly Uint8Array[],
  stamp: number,
): Promise<{ indexes: (number | null)[]; epoch: number; size: number } | null> {
  const wanted = new Map(records.map((id, i) => [encodeTypeId('rec', id), i]))
  for (let attempt = 0; attempt < attempts; attempt++) {
    try {
      const client = await pool.connect()
      try {
        await client.query('begin')
        await client.query('select 1 from organization_locks where organization_id = $1 for update', [organization])
        // Leaves are read only where the time is right: all of them may be many megabytes.
        const { rows } = await client.query<{ tree_size: string; size: number; leaves: Buffer }>(
          `select tree_size, size, leaves from (
             select tree_size, size, time, leaves from batches where organization_id = $1 order by tree_size desc limit ${batchesBack}
           ) newest where time = $2`,
          [organization, new Date(stamp)],
        )
        const {
          rows: [head],
        } = await client.query<{ tree_size: string; epoch: string }>(
          'select tree_size, epoch from batches where organization_id = $1 order by tree_size desc limit 1',
          [organization],
        )
        await client.query('commit')
        const indexes = new Array<number | null>(records.length).fill(null)
        for (const row of rows) {
          const first = Number(row.tree_size) - row.size
          eachLeaf(row.leaves, (leaf, i) => {
            const id = /"id":"(rec_[0-9a-z]{26})"/.exec(leaf.toString('latin1'))?.[1]
            const position = id === undefined ? undefined : wanted.get(id)
            if (position !== undefined) indexes[position] = first + i
          })
        }
        return { indexes, epoch: Number(head?.epoch ?? 0), size: Number(head?.tree_size ?? 0) }
      } finally {
        client.release(true)
      }
    } catch {
      await new Promise((resolve) => setTimeout(resolve, pauseMilliseconds))
    }
  }
  return null
}
