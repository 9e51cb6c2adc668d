/**
 * A narrowing is durable in the signer's ledger before its transaction commits, so that what was answered holds whatever the
 * database says later. A crash in between leaves a key that the ledger knows narrower than the rows do, and that signs
 * nothing. So the intention comes first, in a transaction of its own, and is deleted by the narrowing; the jobs look at what
 * is left, and bring the rows to where the ledger is.
 */
import { encodeTypeId, uuidBytes, uuidText } from '@popsigner/crypto/typeid'
import type { Material, Narrowing } from '@popsigner/custody/custodian'
import { parseSpec, type Spec } from '@popsigner/custody/spec'
import type { Pool, PoolClient } from 'pg'
import type { Actor } from '../changes.ts'
import type { Services } from '../handlers/services.ts'
import { RequestFault } from '../http/request-fault.ts'
import { newUuid } from '../ids.ts'
import type { OrganizationState } from '../tenants/organization.ts'
import { writeHistory } from './create.ts'
import { type KeyRow, keyColumns, keyTables } from './view.ts'

/** A narrowing whose transaction did not commit, or has not yet. */
export interface BegunNarrowing {
  readonly intent: string
  readonly key: KeyRow
}

/** Narrowings younger than this are taken to be under way. */
const underWay = `interval '1 second'`
const perStep = 100

/** Notes that a key is about to be narrowed. Durable when it answers the intention's id. */
export async function beginNarrowing(pool: Pool, key: string): Promise<string> {
  const intent = uuidText(newUuid())
  await pool.query('insert into narrowings (id, key_id) values ($1, $2)', [intent, key])
  return intent
}

/**
 * Narrows every version of a key, and takes the intention away with it. Throws `organization.busy` where a job took it
 * first: the ledger must not move without one.
 */
export async function narrow(
  services: Services,
  client: PoolClient,
  organization: OrganizationState,
  key: string,
  intent: string,
  change: Narrowing,
): Promise<void> {
  const { rowCount } = await client.query('delete from narrowings where id = $1', [intent])
  if (rowCount !== 1)
    throw new RequestFault('organization.busy', 'The key is being changed; try again.', { retryAfterSeconds: 1 })
  // Locked: what a rotation seals anew meanwhile would be overwritten with an envelope under the key that it ends.
  for (const { version, material } of await sealNarrower(services, client, organization, key, change, 'for update')) {
    await client.query('update key_parts set spec = $3, envelope = $4 where key_id = $1 and version = $2', [
      key,
      version,
      Buffer.from(material.spec),
      Buffer.from(material.envelope),
    ])
    await client.query('update key_versions set generation = $3 where key_id = $1 and version = $2', [
      key,
      version,
      parseSpec(material.spec).generation,
    ])
  }
}

/** Narrowings that nobody seems to be at any more. */
export async function leftNarrowings(pool: Pool): Promise<BegunNarrowing[]> {
  const { rows } = await pool.query<KeyRow & { intent: string }>(
    `select i.id as intent, ${keyColumns} from narrowings i join ${keyTables.replace('keys k', 'keys k on k.id = i.key_id')}
     where i.begun_at < now() - ${underWay} order by i.begun_at limit ${perStep}`,
  )
  return rows.map(({ intent, ...key }) => ({ intent, key: key as KeyRow }))
}

/** Whether any narrowing is noted, under way or left. */
export async function hasNarrowings(pool: Pool): Promise<boolean> {
  const { rows } = await pool.query('select 1 from narrowings limit 1')
  return rows.length > 0
}

/** Brings a key to where the ledger is, with a record of it; where the two agree, takes the intention away. */
export async function finishNarrowing(
  services: Services,
  system: Actor,
  { intent, key }: BegunNarrowing,
): Promise<void> {
  const { pool } = services
  await services.keeper.prove(system.organization)
  const has = (await sealNarrower(services, pool, system.organization, key.id, {})).map(({ version, material }) => ({
    version,
    spec: parseSpec(material.spec),
  }))
  const ahead = has.some(
    ({ version, spec }) => spec.generation > (key.versions.find((one) => one.version === version)?.generation ?? 0),
  )
  if (!ahead) {
    await pool.query('delete from narrowings where id = $1', [intent])
    return
  }
  // The signer may have been stopped between two versions: all of them were meant.
  const uses = remaining(key.uses, has, 'uses')
  const schemes = remaining(key.schemes, has, 'schemes')
  await services.changes.run(system, async (actor) => ({
    records: [
      {
        fields: {
          event: 'key.updated',
          key: encodeTypeId('key', uuidBytes(key.id)),
          change: ['schemes', 'uses'],
          uses,
          schemes,
        },
      },
    ],
    change: { bump: true },
    claim: null,
    async write(client, records) {
      const { rowCount } = await client.query(
        'update keys set uses = $3, schemes = $4, updated_at = $5, revision = revision + 1 where id = $1 and revision = $2',
        [key.id, key.revision, uses, schemes, records[0]?.at],
      )
      if (rowCount !== 1) throw new RequestFault('key.changed', 'The key was changed meanwhile.')
      await narrow(services, client, actor.organization, key.id, intent, { uses, schemes })
      const record = records[0] as (typeof records)[number]
      await writeHistory(client, [{ key: key.id, record }], 'key.updated', 'system')
    },
  }))
}

function remaining<F extends 'uses' | 'schemes'>(
  before: KeyRow[F],
  versions: readonly { readonly spec: Spec }[],
  field: F,
): KeyRow[F] {
  return before.filter((one) =>
    versions.every(({ spec }) => (spec[field] as readonly string[]).includes(one)),
  ) as KeyRow[F]
}

/** Every version of a key, sealed as narrow as `change` and the ledger have it; with an empty one nothing is narrowed. */
async function sealNarrower(
  services: Services,
  client: Pool | PoolClient,
  organization: OrganizationState,
  key: string,
  change: Narrowing,
  lock: '' | 'for update' = '',
): Promise<{ version: number; material: Material }[]> {
  const { rows } = await client.query<{ version: number; spec: Buffer; envelope: Buffer; sealed_by: string }>(
    `select version, spec, envelope, sealed_by from key_parts where key_id = $1 order by version ${lock}`,
    [key],
  )
  return Promise.all(
    rows.map(async ({ version, spec, envelope, sealed_by }) => {
      const sealedBy = organization.organizationKeys.get(sealed_by)
      if (!sealedBy) throw new Error('a key sealed by an unknown organization key')
      return { version, material: await services.signer.narrow(sealedBy, { spec, envelope }, change) }
    }),
  )
}
