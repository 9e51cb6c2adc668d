import type { Input } from '@popsigner/api/routes'
import { canonicalJson } from '@popsigner/crypto/canonical-json'
import { encodeTypeId, uuidBytes } from '@popsigner/crypto/typeid'
import type { Narrowing, Use } from '@popsigner/custody/custodian'
import type { NewRecord } from '../changes.ts'
import { actorOf, type Services } from '../handlers/services.ts'
import type { RequestContext } from '../http/access.ts'
import { RequestFault } from '../http/request-fault.ts'
import { nameTaken, writeHistory } from './create.ts'
import { beginNarrowing, narrow } from './narrowing.ts'
import { findKey, type KeyRow, tagOf } from './view.ts'

type KeyChange = Input<'keys.update'>['body']

/** Where a version's state may go (SP 800-57): only forwards, but for suspended → active. */
const transitions: Readonly<Record<string, readonly string[]>> = {
  pre_active: ['active', 'compromised'],
  active: ['suspended', 'deactivated', 'compromised'],
  suspended: ['active', 'deactivated', 'compromised'],
  deactivated: ['compromised'],
  compromised: [],
  destroyed: [],
}

/** Changes a key as the caller asks, if its ETag is still `match`; `*` stands for whatever it is. */
export async function updateKey(
  services: Services,
  context: RequestContext,
  id: string,
  change: KeyChange,
  match: string,
): Promise<void> {
  const { pool, changes, wakeJobs } = services
  const changing = changes.run(actorOf(context.caller), async (actor) => {
    const key = await findKey(pool, context.caller.credential, id)
    if (match !== '*' && !match.split(',').some((tag) => tag.trim() === tagOf(key))) {
      throw new RequestFault('key.changed', 'The ETag of the key is no longer the one in If-Match.')
    }
    const primary = key.versions.find(
      (version) => version.version === key.primary_version,
    ) as KeyRow['versions'][number]
    if (primary.state === 'destroyed')
      throw new RequestFault('key.state_forbids', 'The key is destroyed; nothing of it can be changed.')
    judgeState(context, key, primary.state, change.state)
    const narrower = judgeNarrowing(key, change)
    const narrowing = narrower && { change: narrower, intent: await beginNarrowing(pool, key.id) }
    return {
      records: [recordOf(key, change, primary.version)],
      change: { bump: true },
      claim: null,
      async write(client, records) {
        try {
          const { rowCount } = await client.query(
            `update keys set name = coalesce($3, name), metadata = coalesce($4, metadata), uses = coalesce($5, uses), schemes = coalesce($6, schemes),
               rotate_every_days = case when $7 then $8::integer else rotate_every_days end,
               rotate_at = case when $7 then (select v.created_at from key_versions v where v.key_id = id and v.version = primary_version) + make_interval(days => $8::integer) else rotate_at end,
               updated_at = $9, revision = revision + 1
             where id = $1 and revision = $2`,
            [
              key.id,
              key.revision,
              change.name ?? null,
              change.metadata ?? null,
              change.uses ?? null,
              change.schemes ?? null,
              change.rotate_every_days !== undefined,
              change.rotate_every_days ?? null,
              records[0]?.at,
            ],
          )
          if (rowCount !== 1)
            throw new RequestFault('key.changed', 'The key was changed while this request was under way.')
        } catch (error) {
          throw nameTaken(error) ?? error
        }
        if (change.state !== undefined) {
          // Of every version that can take it: a suspended key signs with none of them.
          await client.query('update key_versions set state = $2 where key_id = $1 and state = any ($3)', [
            key.id,
            change.state,
            Object.keys(transitions).filter((from) => transitions[from]?.includes(change.state as string)),
          ])
        }
        await writeHistory(
          client,
          [{ key: key.id, record: records[0] as (typeof records)[number] }],
          'key.updated',
          actor.actor,
        )
        // When nothing but the commit can fail any more: from here on the ledger refuses the wider envelope, whatever the rows say.
        if (narrowing) await narrow(services, client, actor.organization, key.id, narrowing.intent, narrowing.change)
      },
    }
  })
  // What is left of a narrowing that failed halfway is looked at without waiting for the next round.
  if (change.uses ?? change.schemes) changing.catch(wakeJobs)
  await changing
}

function judgeState(context: RequestContext, key: KeyRow, from: string, to: string | undefined): void {
  if (to === undefined) return
  if (key.destroy_at)
    throw new RequestFault('key.state_forbids', 'The deletion of the key is scheduled; cancel it first.')
  if (!transitions[from]?.includes(to))
    throw new RequestFault('key.state_forbids', `The key is ${from}; it cannot become ${to}.`)
  if (from === 'suspended' && to === 'active' && !context.caller.credential.scopes.has('api:access:write')) {
    throw new RequestFault('scope.missing', 'Making a suspended key active needs the scope api:access:write.')
  }
}

function judgeNarrowing(key: KeyRow, change: KeyChange): Narrowing | null {
  const wider =
    change.uses?.find((use) => !key.uses.includes(use)) ??
    change.schemes?.find((scheme) => !key.schemes.includes(scheme))
  if (wider !== undefined) throw new RequestFault('key.widening_refused', `The key does not have ${wider}.`)
  const uses =
    change.uses !== undefined && change.uses.length < key.uses.length ? { uses: [...change.uses] as Use[] } : {}
  const schemes =
    change.schemes !== undefined && change.schemes.length < key.schemes.length ? { schemes: [...change.schemes] } : {}
  return 'uses' in uses || 'schemes' in schemes ? { ...uses, ...schemes } : null
}

function recordOf(key: KeyRow, change: KeyChange, version: number): NewRecord {
  const { name, metadata, rotate_every_days, ...rest } = change
  return {
    fields: {
      event: 'key.updated',
      key: encodeTypeId('key', uuidBytes(key.id)),
      change: Object.keys(change).sort(),
      ...(rest.state === undefined ? {} : { state: rest.state, version }),
      ...(rest.uses === undefined ? {} : { uses: rest.uses }),
      ...(rest.schemes === undefined ? {} : { schemes: rest.schemes }),
      // The leaf has a number or nothing; that it was taken away is in `change`.
      ...(rotate_every_days === undefined || rotate_every_days === null ? {} : { rotate_every_days }),
    },
    texts: {
      ...(name === undefined ? {} : { name }),
      ...(metadata === undefined ? {} : { metadata: canonicalJson(metadata) }),
    },
  }
}
