import { encodeTypeId } from '@popsigner/crypto/typeid'
import type { Pool } from 'pg'
import { eachLeaf } from '../log/leaves.ts'

const attempts = 20
const pauseMilliseconds = 250

/**
 * Finds where records stand in an organization's log, by their ids, after a commit whose outcome is unknown. It takes the
 * organization's lock first, so that a transaction still on its way has ended when it looks. Answers an index or null for
 * each record, with the present epoch and size; null when the database could not be asked within 5 s.
 */
export async function findRecord(
  pool: Pool,
  organization: string,
  records: readonly Uint8Array[],
): Promise<{ indexes: (number | null)[]; epoch: number; size: number } | null> {
  const wanted = new Map(records.map((id, i) => [encodeTypeId('rec', id), i]))
  for (let attempt = 0; attempt < attempts; attempt++) {
    try {
      const client = await pool.connect()
      try {
        await client.query('begin')
        await client.query('select 1 from organization_locks where organization_id = $1 for update', [organization])
        // Ids carry their time: what is older than the oldest of them by a minute cannot hold them.
        const { rows } = await client.query<{ tree_size: string; size: number; epoch: string; leaves: Buffer }>(
          `select tree_size, size, epoch, leaves from batches where organization_id = $1
             and (time > now() - interval '1 minute' or tree_size = (select max(tree_size) from batches where organization_id = $1))
           order by tree_size desc limit 2000`,
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
        return { indexes, epoch: Number(rows[0]?.epoch ?? 0), size: Number(rows[0]?.tree_size ?? 0) }
      } finally {
        client.release(true)
      }
    } catch {
      await new Promise((resolve) => setTimeout(resolve, pauseMilliseconds))
    }
  }
  return null
}
