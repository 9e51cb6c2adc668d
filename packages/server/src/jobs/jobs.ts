import { encodeTypeId, uuidBytes } from '@popsigner/crypto/typeid'
import type { Pool } from 'pg'
import type { Changes } from '../changes.ts'
import type { Services } from '../handlers/services.ts'
import { actorOfOurs } from '../host/actors.ts'
import { RequestFault } from '../http/request-fault.ts'
import { writeHistory } from '../keys/create.ts'
import { finishNarrowing, hasNarrowings, leftNarrowings } from '../keys/narrowing.ts'
import { rotation } from '../keys/rotate.ts'
import { type KeyRow, keyColumns, keyTables } from '../keys/view.ts'
import { errorFields, type Log } from '../log.ts'
import type { Organizations } from '../tenants/organization.ts'
import { removeExpiredRecords } from './retention.ts'

const everyMilliseconds = 30_000
/** When to look again for a narrowing that seemed to be under way. */
const soonMilliseconds = 1_000
const rowsPerStep = 100
const claimsPerStep = 20_000
/** How long backups and write-ahead logs are taken to be kept: until then a destroyed key's copies can be opened with the root. */
const backupDays = 30

export interface Jobs {
  /** Looks now for what is due. */
  wake(): void
  close(): Promise<void>
}

/**
 * What happens by itself: finishing narrowings that a crash interrupted, destroying keys whose waiting period has passed, rotating those that are due, forgetting idempotency
 * keys after 24 hours, removing records whose retention has passed. Nothing is queued: what is due stands in the rows themselves, and every step can be repeated.
 */
export function createJobs(services: Services, organizations: Organizations, log: Log): Jobs {
  const { pool } = services
  let running: Promise<void> | undefined
  let again = false
  let closed = false
  let soon: NodeJS.Timeout | undefined

  async function run(): Promise<void> {
    const client = await pool.connect()
    try {
      const {
        rows: [lock],
      } = await client.query<{ mine: boolean }>('select pg_try_advisory_lock(731004) as mine')
      if (!lock?.mine) return
      try {
        for (const left of await leftNarrowings(pool))
          await attempt('finishing a narrowing failed', async () =>
            finishNarrowing(services, await systemOf(left.key.organization_id), left),
          )
        for (const key of await due(pool, dueForDestruction))
          await attempt('destroying a key failed', () => destroy(key))
        for (const key of await due(pool, dueForRotation)) await attempt('rotating a key failed', () => rotate(key))
        await forgetClaims(pool)
        await attempt('removing expired records failed', () => removeExpiredRecords(pool))
        if (!soon && (await hasNarrowings(pool))) {
          soon = setTimeout(() => {
            soon = undefined
            wake()
          }, soonMilliseconds)
        }
      } finally {
        await client.query('select pg_advisory_unlock(731004)')
      }
    } finally {
      client.release()
    }
  }

  async function attempt(sentence: string, step: () => Promise<void>): Promise<void> {
    try {
      await step()
    } catch (error) {
      log.warn(sentence, error instanceof RequestFault ? { code: error.code } : errorFields(error))
    }
  }

  /** The row is marked, then the signer refuses the id for good, then envelope and state go with the record of it. */
  async function destroy(key: KeyRow): Promise<void> {
    const actor = await systemOf(key.organization_id)
    // An older copy of the database may say that a key is to be destroyed whose deletion was cancelled since.
    await services.keeper.prove(actor.organization)
    const { rowCount } = await pool.query(
      'update keys set destroying = true where id = $1 and destroy_at is not null and destroy_at <= now()',
      [key.id],
    )
    if (rowCount !== 1) return
    await services.signer.destroy([uuidBytes(key.id)])
    const recoverableUntil = new Date(Date.now() + backupDays * 86_400_000).toISOString()
    await services.changes.run(actor, async () => ({
      records: [
        {
          fields: {
            event: 'key.deleted',
            key: encodeTypeId('key', uuidBytes(key.id)),
            versions: key.versions.length,
            recoverable_until: recoverableUntil,
          },
        },
      ],
      change: { bump: true, keys: -1 },
      claim: null,
      async write(client, records) {
        const record = records[0] as (typeof records)[number]
        const { rowCount: changed } = await client.query(
          'update keys set destroy_at = null, rotate_at = null, rotate_every_days = null, deletion_states = null, destroyed_at = $2, updated_at = $2, revision = revision + 1 where id = $1 and destroying and destroy_at is not null',
          [key.id, record.at],
        )
        if (changed !== 1) throw new RequestFault('key.state_forbids', 'The key is destroyed already.')
        await client.query('delete from key_parts where key_id = $1', [key.id])
        await client.query(`update key_versions set state = 'destroyed' where key_id = $1`, [key.id])
        await writeHistory(client, [{ key: key.id, record }], 'key.deleted', 'system')
      },
    }))
  }

  async function rotate(key: KeyRow): Promise<void> {
    await services.changes.run(await systemOf(key.organization_id), (actor) =>
      rotation(services, actor, key, false, null),
    )
  }

  async function systemOf(organization: string): Promise<Parameters<Changes['run']>[0]> {
    const state = await organizations.get(organization, 0)
    if (!state) throw new Error('a key of an organization that is not there')
    return actorOfOurs(pool, organizations, state, 'system')
  }

  function wake(): void {
    if (closed) return
    if (running) {
      again = true
      return
    }
    running = run()
      .catch((error: unknown) => log.warn('looking for due work failed', errorFields(error)))
      .finally(() => {
        running = undefined
        if (again) {
          again = false
          wake()
        }
      })
  }

  const timer = setInterval(wake, everyMilliseconds)
  return {
    wake,
    async close() {
      closed = true
      clearInterval(timer)
      await running
      clearTimeout(soon)
    },
  }
}

// A waiting period counts days on which a checkpoint was signed: a clock that jumps a week ahead passes one.
const dueForDestruction = `k.destroy_at <= now() and (select count(*) from checkpoint_days d
  where d.day > (k.deletion_scheduled_at at time zone 'UTC')::date and d.day <= (now() at time zone 'UTC')::date) >= k.waiting_days`

const dueForRotation = `k.rotate_at <= now() and k.destroy_at is null
  and exists (select 1 from key_versions v where v.key_id = k.id and v.version = k.primary_version and v.state = 'active')`

async function due(pool: Pool, condition: string): Promise<KeyRow[]> {
  const { rows } = await pool.query<KeyRow>(
    `select ${keyColumns} from ${keyTables} where ${condition} limit ${rowsPerStep}`,
  )
  return rows
}

async function forgetClaims(pool: Pool): Promise<void> {
  await pool.query(
    `delete from idempotency where ctid = any (array(select ctid from idempotency where time < now() - interval '24 hours' limit ${claimsPerStep}))`,
  )
}
