import { allScopes } from '@popsigner/api/scopes'
import { encodeTypeId, uuidText } from '@popsigner/crypto/typeid'
import type { SignerClient } from '@popsigner/custody/client'
import { sealedBy } from '@popsigner/custody/envelope'
import { parseSpec } from '@popsigner/custody/spec'
import type { Pool } from 'pg'
import { authorizeWithin } from '../authorize/authorizer.ts'
import { type Actor, type Changes, type NewRecord, prepareRecords, storeTexts } from '../changes.ts'
import { RequestFault } from '../http/request-fault.ts'
import { newUuid } from '../ids.ts'
import { createCommitter } from '../log/commitments.ts'
import { type Keeper, signerIsThere } from '../log/keeper.ts'
import { actorsOfOurs } from '../log/projection.ts'
import { plan } from '../plans.ts'
import { type ApiKeyTerms, apiKeyRecord, insertApiKey } from '../tenants/api-keys.ts'
import type { OrganizationState, Organizations } from '../tenants/organization.ts'
import { createToken } from '../tenants/token.ts'
import { actorOfOurs, insertActorsOfOurs } from './actors.ts'

/** What the host works with. */
export interface HostServices {
  readonly instance: string
  readonly pool: Pool
  readonly signer: SignerClient
  readonly organizations: Organizations
  readonly changes: Changes
  readonly keeper: Keeper
}

/** An organization as the host sees it. */
export interface HostOrganization {
  readonly id: string
  readonly name: string
  readonly plan: string
  readonly created_at: string
}

/** Makes an organization with its keys, its log and its namespaces. Throws `RequestFault` for a name that is taken. */
export async function createOrganization(
  services: HostServices,
  name: string,
  planName: string,
  namespaces: readonly string[],
): Promise<HostOrganization> {
  const { pool, signer, instance, organizations, keeper } = services
  const id = newUuid()
  const uuid = uuidText(id)
  const text = encodeTypeId('org', id)
  const {
    rows: [taken],
  } = await pool.query('select 1 from organizations where name = $1', [name])
  if (taken) throw nameTaken(name)
  await signerIsThere(signer)
  const made = await signer.createLog(id)
  const organizationKey = parseSpec(made.organizationKey.spec).key
  const client = await pool.connect()
  try {
    await client.query('begin')
    const at = new Date()
    await client.query(
      'insert into organizations (id, name, plan, log_public_key, created_at) values ($1, $2, $3, $4, $5)',
      [uuid, name, planName, Buffer.from(made.logPublicKey), at],
    )
    await client.query('insert into organization_locks (organization_id) values ($1)', [uuid])
    for (const [kind, material, materialId] of [
      ['organization-key', made.organizationKey, organizationKey],
      ['log-key', made.logKey, parseSpec(made.logKey.spec).key],
    ] as const) {
      await client.query(
        'insert into organization_materials (organization_id, kind, id, spec, envelope, current) values ($1, $2, $3, $4, $5, true)',
        [uuid, kind, uuidText(materialId), Buffer.from(material.spec), Buffer.from(material.envelope)],
      )
    }
    await insertActorsOfOurs(client, uuid)
    const {
      rows: [erasure],
    } = await client.query<{ erasure_key: Buffer }>(
      'select erasure_key from actors where organization_id = $1 and actor = $2',
      [uuid, actorsOfOurs['host']],
    )
    const state: OrganizationState = {
      id: uuid,
      bytes: id,
      text,
      name,
      log: `${instance}/${text}`,
      planName,
      plan: plan(planName),
      epoch: 0,
      logPublicKey: Buffer.from(made.logPublicKey),
      logKey: made.logKey,
      organizationKeys: new Map(),
      currentOrganizationKey: uuidText(organizationKey),
      namespaces: new Map(),
      credentials: new Map(),
      keys: new Map(),
      checkedAt: 0,
    }
    const committer = createCommitter(
      pool,
      uuid,
      actorsOfOurs['host'] as string,
      (erasure as { erasure_key: Buffer }).erasure_key,
    )
    const spaces = namespaces.map((namespace) => ({ id: newUuid(), name: namespace }))
    const records: NewRecord[] = [
      { fields: { event: 'organization.created', organization: text, plan: planName }, texts: { name } },
      ...spaces.map(
        (space): NewRecord => ({
          fields: { event: 'namespace.created', namespace: encodeTypeId('ns', space.id) },
          texts: { name: space.name },
        }),
      ),
    ]
    const host: Actor = {
      organization: state,
      actor: 'host',
      committer,
      texts: [],
      renew: () => Promise.reject(new TypeError('an organization that is being made')),
    }
    const { items } = prepareRecords(host, records, await storeTexts(host, records), null, at.getTime())
    const answers = await authorizeWithin(client, items, { namespaces: spaces.length })
    if (answers.some((answer) => answer.status !== 'authorized'))
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
  } catch (error) {
    await client.query('rollback').catch(() => {})
    if ((error as { code?: string }).code === '23505') throw nameTaken(name)
    throw error
  } finally {
    client.release()
  }
  await organizations.get(uuid, 0)
  keeper.appended(uuid, 1 + namespaces.length)
  return { id: text, name, plan: planName, created_at: new Date().toISOString() }
}

/** Every organization, newest first. */
export async function listOrganizations(pool: Pool): Promise<HostOrganization[]> {
  const { rows } = await pool.query<{ id: string; name: string; plan: string; created_at: Date }>(
    'select id, name, plan, created_at from organizations order by id desc',
  )
  return rows.map((row) => ({
    id: encodeTypeId('org', Buffer.from(row.id.replaceAll('-', ''), 'hex')),
    name: row.name,
    plan: row.plan,
    created_at: row.created_at.toISOString(),
  }))
}

/** The organization of that id or name. Throws `RequestFault` when there is none. */
export async function findOrganization(
  services: Pick<HostServices, 'pool' | 'organizations'>,
  idOrName: string,
): Promise<OrganizationState> {
  const known = (await listOrganizations(services.pool)).find((one) => one.id === idOrName || one.name === idOrName)
  const {
    rows: [row],
  } = known
    ? await services.pool.query<{ id: string }>('select id from organizations where name = $1', [known.name])
    : { rows: [] }
  const state = row && (await services.organizations.get(row.id, 0))
  if (!state) throw new RequestFault('organization.not_found', 'No organization has this id or name.')
  return state
}

/** Makes an API key of an organization, as the host. `scopes` null stands for all of them. */
export async function createApiKey(
  services: HostServices,
  idOrName: string,
  asked: {
    name: string
    scopes: readonly string[] | null
    namespaces: readonly string[] | null
    expiresAt: Date | null
  },
) {
  const organization = await findOrganization(services, idOrName)
  const id = newUuid()
  const { text, stored } = await createToken(id)
  await services.changes.run(
    await actorOfOurs(services.pool, services.organizations, organization, 'host'),
    async (actor) => {
      const terms: ApiKeyTerms = {
        name: asked.name,
        scopes: asked.scopes ?? allScopes,
        namespaces: asked.namespaces?.map((name) => namespaceId(actor.organization, name)) ?? null,
        expiresAt: asked.expiresAt,
      }
      return {
        records: [apiKeyRecord(id, terms)],
        change: { bump: true },
        claim: null,
        write: (client, records) =>
          insertApiKey(client, organization.id, id, terms, stored, records[0]?.at as Date, null),
      }
    },
  )
  return {
    id: encodeTypeId('ak', id),
    organization: organization.text,
    name: asked.name,
    scopes: asked.scopes ?? allScopes,
    namespaces: asked.namespaces,
    expires_at: asked.expiresAt?.toISOString() ?? null,
    token: text,
  }
}

function namespaceId(organization: OrganizationState, name: string): string {
  for (const [id, known] of organization.namespaces) if (known === name) return id
  throw new RequestFault('namespace.not_found', `No namespace is named ${name}.`)
}

function nameTaken(name: string): RequestFault {
  return new RequestFault('organization.name_taken', `An organization is named ${name}.`)
}

/** The id (uuid text) of the key that sealed an envelope. */
export function sealerOf(envelope: Uint8Array): string {
  const id = sealedBy(envelope)
  if (!id) throw new Error('an envelope without its sealing key')
  return uuidText(id)
}
