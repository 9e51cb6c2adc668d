import type { SignerClient } from '@popsigner/custody/client'
import type { Pool } from 'pg'
import type { Keeper } from './log/keeper.ts'

/** What was looked at, whether it is well, and what was found. */
export interface Check {
  readonly name: string
  readonly ok: boolean
  readonly detail: string
}

/** Looks at database, signer and logs. Never rejects: what cannot be asked is a check that failed. */
export async function readReadiness(
  pool: Pool,
  signer: SignerClient,
  keeper: Keeper,
  signerStarts: () => number,
): Promise<readonly Check[]> {
  return [...(await databaseChecks(pool)), ...(await signerChecks(signer, signerStarts())), logCheck(keeper)]
}

async function databaseChecks(pool: Pool): Promise<Check[]> {
  try {
    const {
      rows: [row],
    } = await pool.query<{ version: string; standbys: string; recovery: boolean }>(
      `select current_setting('server_version') as version, current_setting('synchronous_standby_names') as standbys, pg_is_in_recovery() as recovery`,
    )
    return [
      {
        name: 'database',
        ok: row?.recovery === false,
        detail: row?.recovery ? 'PostgreSQL is in recovery and takes no writes' : `PostgreSQL ${row?.version}`,
      },
      {
        name: 'standby',
        ok: true,
        detail: row?.standbys
          ? `synchronous standbys: ${row.standbys}`
          : 'no synchronous standby: a failover may lose records, which the ledger would notice',
      },
    ]
  } catch {
    return [{ name: 'database', ok: false, detail: 'the database does not answer' }]
  }
}

async function signerChecks(signer: SignerClient, starts: number): Promise<Check[]> {
  const facts = signer.capabilities && (await signer.hello().catch(() => null))
  if (!facts) return [{ name: 'signer', ok: false, detail: 'no signer is connected' }]
  const engines = facts.algorithms
    .map((row) => `${row.name} by ${row.engine}${row.native ? '' : ' (slower: no native build here)'}`)
    .join(', ')
  return [
    {
      name: 'signer',
      ok: true,
      detail: `${engines}${starts > 1 ? `; connected ${starts} times since this server started` : ''}`,
    },
    {
      name: 'memory',
      ok: true,
      detail: facts.memory.locked
        ? 'opened keys lie in locked memory'
        : 'opened keys lie in memory that may be swapped out (--insecure-unlocked-memory)',
    },
    {
      name: 'entropy',
      ok: facts.entropyHealthy,
      detail: facts.entropyHealthy ? 'health tests pass' : 'the entropy source failed its health tests; no key is made',
    },
    {
      name: 'ledger',
      ok: facts.ledger.healthy,
      detail: facts.ledger.healthy ? `${facts.ledger.logs} logs` : 'the ledger cannot be written; nothing is signed',
    },
  ]
}

function logCheck(keeper: Keeper): Check {
  const behind = keeper.behind().length
  return {
    name: 'log',
    ok: behind === 0,
    detail:
      behind === 0
        ? 'every log looked at extends the ledger'
        : `${behind} ${behind === 1 ? 'log does' : 'logs do'} not extend the ledger: see popsigner recover accept-rollback`,
  }
}
