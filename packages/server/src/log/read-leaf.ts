import type { Pool, PoolClient } from 'pg'
import { eachLeaf } from './leaves.ts'

/** The leaf at an index of an organization's log, from the batches; null where there is none, or retention removed it. */
export async function readLeaf(pool: Pool | PoolClient, organization: string, index: number): Promise<Buffer | null> {
  const {
    rows: [row],
  } = await pool.query<{ tree_size: string; size: number; leaves: Buffer }>(
    'select tree_size, size, leaves from batches where organization_id = $1 and tree_size > $2 order by tree_size limit 1',
    [organization, index],
  )
  if (!row) return null
  const wanted = index - (Number(row.tree_size) - row.size)
  let found: Buffer | null = null
  eachLeaf(row.leaves, (leaf, place) => {
    if (place === wanted) found = leaf
  })
  return found
}
