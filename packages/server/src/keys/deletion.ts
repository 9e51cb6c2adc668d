import { encodeTypeId, uuidBytes } from '@popsigner/crypto/typeid'
import { actorOf, type Services } from '../handlers/services.ts'
import type { RequestContext } from '../http/access.ts'
import { RequestFault } from '../http/request-fault.ts'
import { writeHistory } from './create.ts'
import { findKey, type KeyRow } from './view.ts'

const dayMilliseconds = 86_400_000

/** Schedules a key's destruction and deactivates all of its versions at once. Answers when it will be. */
export async function scheduleDeletion(
  services: Services,
  context: RequestContext,
  id: string,
  waitingDays: number,
): Promise<Date> {
  const { pool, changes, wakeJobs } = services
  const changed = await changes.run(actorOf(context.caller), async (actor) => {
    const key = await findKey(pool, context.caller.credential, id)
    if (key.versions.every((version) => version.state === 'destroyed'))
      throw new RequestFault('key.state_forbids', 'The key is destroyed.')
    if (key.destroy_at)
      throw new RequestFault(
        'key.state_forbids',
        `The deletion of the key is scheduled for ${key.destroy_at.toISOString()} already.`,
      )
    if (waitingDays === 0 && !actor.organization.plan.immediateDeletion) {
      throw new RequestFault(
        'waiting_days.not_allowed',
        `The plan ${actor.organization.planName} needs a waiting period of at least 1 day.`,
      )
    }
    const destroyAt = new Date(Date.now() + waitingDays * dayMilliseconds)
    return {
      records: [
        {
          fields: {
            event: 'key.deletion_scheduled',
            key: encodeTypeId('key', uuidBytes(key.id)),
            destroy_at: destroyAt.toISOString(),
            waiting_days: waitingDays,
          },
        },
      ],
      change: { bump: true },
      claim: null,
      async write(client, records) {
        const record = records[0] as (typeof records)[number]
        const states = Object.fromEntries(key.versions.map((version) => [version.version, version.state]))
        const { rowCount } = await client.query(
          `update keys set destroy_at = $3, waiting_days = $4, deletion_scheduled_at = $5, deletion_states = $6, updated_at = $5, revision = revision + 1 where id = $1 and revision = $2`,
          [key.id, key.revision, destroyAt, waitingDays, record.at, states],
        )
        refuseUnlessOne(rowCount)
        await client.query(
          `update key_versions set state = 'deactivated' where key_id = $1 and state in ('pre_active', 'active', 'suspended')`,
          [key.id],
        )
        await writeHistory(client, [{ key: key.id, record }], 'key.deletion_scheduled', actor.actor)
        return destroyAt
      },
    }
  })
  if (changed.kind !== 'made') throw new TypeError('a deletion has no idempotency key')
  if (waitingDays === 0) wakeJobs()
  return changed.value
}

/** Undoes a scheduled deletion: each version has again the state it had. */
export async function cancelDeletion(services: Services, context: RequestContext, id: string): Promise<void> {
  const { pool, changes } = services
  await changes.run(actorOf(context.caller), async (actor) => {
    const key: KeyRow = await findKey(pool, context.caller.credential, id)
    if (!key.destroy_at) throw new RequestFault('key.deletion_not_scheduled', 'The key has no destroy_at.')
    return {
      records: [{ fields: { event: 'key.deletion_cancelled', key: encodeTypeId('key', uuidBytes(key.id)) } }],
      change: { bump: true },
      claim: null,
      async write(client, records) {
        const record = records[0] as (typeof records)[number]
        // Destroying marks the row first: once that has happened there is no way back.
        const { rowCount } = await client.query(
          `update keys set destroy_at = null, waiting_days = null, deletion_scheduled_at = null, deletion_states = null, updated_at = $3, revision = revision + 1
           where id = $1 and revision = $2 and not destroying`,
          [key.id, key.revision, record.at],
        )
        refuseUnlessOne(rowCount)
        for (const [version, state] of Object.entries(key.deletion_states ?? {})) {
          await client.query('update key_versions set state = $3 where key_id = $1 and version = $2', [
            key.id,
            Number(version),
            state,
          ])
        }
        await writeHistory(client, [{ key: key.id, record }], 'key.deletion_cancelled', actor.actor)
      },
    }
  })
}

function refuseUnlessOne(rowCount: number | null): void {
  if (rowCount !== 1)
    throw new RequestFault('organization.busy', 'The key was changed while this request was under way; try again.', {
      retryAfterSeconds: 1,
    })
}
