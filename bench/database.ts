import pg from 'pg'
import type { Instance } from './instance.ts'

/** A connection to an instance's database, for what no route tells. */
export interface BenchDatabase {
  readonly client: pg.Client
  /** How long the oldest batch that the projection has not reached has been there, in milliseconds; 0 when there is none. */
  oldestWaiting(): Promise<number>
  end(): Promise<void>
}

/** Connects as the role that owns the tables. */
export async function openDatabase(instance: Instance): Promise<BenchDatabase> {
  const client = new pg.Client(instance.database)
  // When the instance is ended meanwhile, the query that waits says so.
  client.on('error', () => {})
  await client.connect()
  return {
    client,
    async oldestWaiting() {
      const { rows } = await client.query<{ age: number | null }>({
        name: 'oldest-waiting',
        text: `select max(waiting.age)::float8 as age from organizations o
                 left join projections p on p.organization_id = o.id
                 cross join lateral (
                   select extract(epoch from clock_timestamp() - b.time) * 1000 as age from batches b
                   where b.organization_id = o.id and b.tree_size > coalesce(p.size, 0) order by b.tree_size limit 1) waiting`,
      })
      return Math.max(0, rows[0]?.age ?? 0)
    },
    end: () => client.end(),
  }
}
