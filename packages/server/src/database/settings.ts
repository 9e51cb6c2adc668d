import type { PoolConfig } from 'pg'
import type { ServerConfiguration } from '../supervise/contract.ts'

/** How long a transaction waits for a lock: after that the organization that is held is answered busy. */
const lockTimeoutMilliseconds = 250
const connectTimeoutMilliseconds = 3_000

/** Connection settings for `pg`, for our own database or one that a URL names. */
export function connectionSettings(database: ServerConfiguration['database']): PoolConfig {
  const common: PoolConfig = {
    application_name: 'popsigner',
    connectionTimeoutMillis: connectTimeoutMilliseconds,
    keepAlive: true,
    lock_timeout: lockTimeoutMilliseconds,
  }
  if ('url' in database) return { ...common, connectionString: database.url }
  return {
    ...common,
    host: database.socketDirectory,
    port: database.port,
    user: database.user,
    password: database.password,
    database: database.database,
  }
}
