import type { Pool } from 'pg'
import { eachLeaf } from './leaves.ts'

/** Indexes of one log that are read together, and the leaves found at them. */
interface Reading {
  readonly indexes: number[]
  readonly leaves: Promise<ReadonlyMap<number, Buffer>>
}

const readings = new WeakMap<Pool, Map<string, Reading>>()

/**
 * The leaf at an index of an organization's log, from the batches; null where there is none, or retention removed it. What
 * is asked for in the same turn is read together: repeats of a batch would otherwise each read the row that has them all.
 */
export async function readLeaf(pool: Pool, organization: string, index: number): Promise<Buffer | null> {
  const waiting = readings.get(pool) ?? new Map<string, Reading>()
  readings.set(pool, waiting)
  let reading = waiting.get(organization)
  if (!reading) {
    const indexes: number[] = []
    const leaves = new Promise<void>((resolve) => setImmediate(resolve)).then(() => {
      waiting.delete(organization)
      return readLeaves(pool, organization, indexes)
    })
    reading = { indexes, leaves }
    waiting.set(organization, reading)
  }
  reading.indexes.push(index)
  return (await reading.leaves).get(index) ?? null
}

async function readLeaves(pool: Pool, organization: string, indexes: readonly number[]): Promise<Map<number, Buffer>> {
  const { rows } = await pool.query<{ tree_size: string; size: number; leaves: Buffer }>(
    `select tree_size, size, leaves from batches where organization_id = $1 and tree_size in (
       select (select tree_size from batches where organization_id = $1 and tree_size > i order by tree_size limit 1) from unnest($2::bigint[]) i)`,
    [organization, indexes],
  )
  const wanted = new Set(indexes)
  const found = new Map<number, Buffer>()
  for (const row of rows) {
    const first = Number(row.tree_size) - row.size
    eachLeaf(row.leaves, (leaf, place) => {
      if (wanted.has(first + place)) found.set(first + place, leaf)
    })
  }
  return found
}
