import type { Client } from 'pg'
import { ServerFault } from '../faults.ts'

/** Throws `ServerFault('database.unsafe')` when the database would not keep what it acknowledged through a crash. */
export async function refuseUnsafeDatabase(client: Client): Promise<void> {
  for (const setting of ['fsync', 'full_page_writes']) {
    const {
      rows: [row],
    } = await client.query<{ value: string }>('select current_setting($1) as value', [setting])
    if (row?.value !== 'on') throw new ServerFault('database.unsafe', { setting })
  }
}

/**
 * Names an empty database after the instance, and answers its term: PostgreSQL's timeline, which every promotion of a standby
 * raises, so that the signer's ledger refuses a primary that was left behind. Throws `ServerFault('database.instance_differs')`
 * when the database has another name.
 */
export async function readInstance(client: Client, name: string): Promise<{ term: number }> {
  await client.query('insert into instance (name) values ($1) on conflict do nothing', [name])
  const {
    rows: [row],
  } = await client.query<{ name: string; term: number }>(
    'select name, (select timeline_id from pg_control_checkpoint()) as term from instance',
  )
  if (row?.name !== name)
    throw new ServerFault('database.instance_differs', { database: row?.name ?? '', configured: name })
  return { term: row.term }
}
