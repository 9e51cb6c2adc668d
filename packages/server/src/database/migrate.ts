import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Client } from 'pg'
import { ServerFault } from '../faults.ts'

const directory = join(import.meta.dirname, 'migrations')

/** Read when the module loads: after the process has given up its privileges the files may be out of reach. */
const migrations = readdirSync(directory)
  .filter((name) => /^\d{4}-[a-z-]+\.sql$/.test(name))
  .sort()
  .map((name) => ({ name, version: Number(name.slice(0, 4)), sql: readFileSync(join(directory, name), 'utf8') }))

/** The version a database has when every migration known here is applied. */
export const schemaVersion = migrations.at(-1)?.version ?? 0

/**
 * Applies what the database lacks, in order, each in a transaction of its own, under an advisory lock so that two servers
 * starting at once do it once. Throws `ServerFault('database.newer')` when the database is ahead of this code.
 */
export async function migrate(client: Client): Promise<void> {
  await client.query('select pg_advisory_lock(731002)')
  try {
    await client.query(
      'create table if not exists migrations (version integer primary key, name text not null, applied_at timestamptz not null default now())',
    )
    const { rows } = await client.query<{ version: number | null }>('select max(version) as version from migrations')
    const present = rows[0]?.version ?? 0
    if (present > schemaVersion) throw new ServerFault('database.newer', { database: present, code: schemaVersion })
    for (const migration of migrations) {
      if (migration.version <= present) continue
      await client.query('begin')
      try {
        await client.query(migration.sql)
        await client.query('insert into migrations (version, name) values ($1, $2)', [
          migration.version,
          migration.name,
        ])
        await client.query('commit')
      } catch (error) {
        await client.query('rollback')
        throw error
      }
    }
  } finally {
    await client.query('select pg_advisory_unlock(731002)')
  }
}
