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

/** Names an empty database after the instance. Throws `ServerFault('database.instance_differs')` when it has another name. */
export async function readInstance(client: Client, name: string): Promise<void> {
  await client.query('insert into instance (name) values ($1) on conflict do nothing', [name])
  const {
    rows: [row],
  } = await client.query<{ name: string }>('select name from instance')
  if (row?.name !== name)
    throw new ServerFault('database.instance_differs', { database: row?.name ?? '', configured: name })
}
