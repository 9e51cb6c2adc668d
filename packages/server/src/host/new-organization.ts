import { encodeTypeId, uuidText } from '@popsigner/crypto/typeid'
import type { SignerClient } from '@popsigner/custody/client'
import type { CreatedLog } from '@popsigner/custody/custodian'
import { parseSpec } from '@popsigner/custody/spec'
import { logName } from '@popsigner/transparency/events'
import type { Pool, PoolClient } from 'pg'
import { authorizeWithin } from '../authorize/authorizer.ts'
import {
  type Actor,
  appendCopy,
  type Changes,
  copyForInstance,
  isRefused,
  type NewRecord,
  prepareRecords,
  sizeAfter,
  storeTexts,
} from '../changes.ts'
import { RequestFault } from '../http/request-fault.ts'
import { newUuid } from '../ids.ts'
import { createCommitter } from '../log/commitments.ts'
import { type Keeper, signerIsThere } from '../log/keeper.ts'
import { actorsOfOurs } from '../log/projection.ts'
import { plan } from '../plans.ts'
import type { OrganizationState, Organizations } from '../tenants/organization.ts'
import { insertActorsOfOurs } from './actors.ts'

/** What the host works with. */
export interface HostServices {
  readonly instance: string
  readonly pool: Pool
  readonly signer: SignerClient
  readonly organizations: Organizations
  readonly changes: Changes
  readonly keeper: Keeper
}

/** What an organization begins with, and who makes it. */
export interface NewOrganization {
  /** 16 bytes. */
  readonly id: Uint8Array
  readonly name: string
  readonly plan: string
  readonly namespaces: readonly string[]
  readonly by: 'host' | 'system'
  /** The host in the instance's own log; null for that log itself. */
  readonly instance: Actor | null
}

/**
 * Has the signer begin the log and stores it with all that comes first, in one transaction. Rejects with the database's
 * 23505 where id or name are taken.
 */
export async function insertOrganization(services: HostServices, made: NewOrganization): Promise<void> {
  const { pool, signer, organizations, keeper } = services
  await signerIsThere(signer)
  const log = await signer.createLog(made.id)
  const uuid = uuidText(made.id)
  const at = new Date()
  const client = await pool.connect()
  try {
    await client.query('begin')
    await insertRows(client, made, log, at)
    const {
      rows: [erasure],
    } = await client.query<{ erasure_key: Buffer }>(
      'select erasure_key from actors where organization_id = $1 and actor = $2',
      [uuid, actorsOfOurs[made.by]],
    )
    const committer = createCommitter(
      pool,
      uuid,
      actorsOfOurs[made.by] as string,
      (erasure as { erasure_key: Buffer }).erasure_key,
    )
    const author: Actor = {
      organization: firstState(services.instance, made, log),
      actor: made.by,
      committer,
      texts: [],
      ...(made.instance && { instance: made.instance }),
      renew: () => Promise.reject(new TypeError('an organization that is being made')),
    }
    const spaces = made.namespaces.map((name) => ({ id: newUuid(), name }))
    const records = firstRecords(made, spaces)
    const { items } = prepareRecords(author, records, await storeTexts(author, records), null, at.getTime())
    const copied = await appendCopy(client, await copyForInstance(author, records), at.getTime())
    const answers = await authorizeWithin(client, items, { namespaces: spaces.length })
    if ([...copied, ...answers].some(isRefused))
      throw new RequestFault('organization.busy', 'The organization could not be made; try again.', {
        retryAfterSeconds: 1,
      })
    for (const space of spaces)
      await client.query('insert into namespaces (id, organization_id, name, created_at) values ($1, $2, $3, $4)', [
        uuidText(space.id),
        uuid,
        space.name,
        at,
      ])
    await client.query('commit')
    if (made.instance) keeper.appended(made.instance.organization.id, sizeAfter(copied))
  } catch (error) {
    await client.query('rollback').catch(() => {})
    throw error
  } finally {
    client.release()
  }
  await organizations.get(uuid, 0)
  keeper.appended(uuid, 1 + made.namespaces.length)
}

async function insertRows(client: PoolClient, made: NewOrganization, log: CreatedLog, at: Date): Promise<void> {
  const uuid = uuidText(made.id)
  await client.query(
    'insert into organizations (id, name, plan, log_public_key, created_at) values ($1, $2, $3, $4, $5)',
    [uuid, made.name, made.plan, Buffer.from(log.logPublicKey), at],
  )
  await client.query('insert into organization_locks (organization_id) values ($1)', [uuid])
  for (const [kind, material] of [
    ['organization-key', log.organizationKey],
    ['log-key', log.logKey],
  ] as const) {
    await client.query(
      'insert into organization_materials (organization_id, kind, id, spec, envelope, current) values ($1, $2, $3, $4, $5, true)',
      [uuid, kind, uuidText(parseSpec(material.spec).key), Buffer.from(material.spec), Buffer.from(material.envelope)],
    )
  }
  await insertActorsOfOurs(client, uuid)
}

function firstRecords(made: NewOrganization, spaces: readonly { id: Uint8Array; name: string }[]): NewRecord[] {
  return [
    {
      fields: { event: 'organization.created', organization: encodeTypeId('org', made.id), plan: made.plan },
      texts: { name: made.name },
    },
    ...spaces.map(
      (space): NewRecord => ({
        fields: { event: 'namespace.created', namespace: encodeTypeId('ns', space.id) },
        texts: { name: space.name },
      }),
    ),
  ]
}

function firstState(instance: string, made: NewOrganization, log: CreatedLog): OrganizationState {
  const text = encodeTypeId('org', made.id)
  return {
    id: uuidText(made.id),
    bytes: made.id,
    text,
    name: made.name,
    log: logName(instance, text),
    planName: made.plan,
    plan: plan(made.plan),
    epoch: 0,
    logPublicKey: Buffer.from(log.logPublicKey),
    logKey: log.logKey,
    organizationKeys: new Map(),
    currentOrganizationKey: uuidText(parseSpec(log.organizationKey.spec).key),
    namespaces: new Map(),
    credentials: new Map(),
    keys: new Map(),
    checkedAt: 0,
  }
}
