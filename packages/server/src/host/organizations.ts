import { allScopes } from '@popsigner/api/scopes'
import { encodeTypeId, uuidText } from '@popsigner/crypto/typeid'
import { sealedBy } from '@popsigner/custody/envelope'
import { instanceOrganization } from '@popsigner/transparency/events'
import type { Pool } from 'pg'
import { RequestFault } from '../http/request-fault.ts'
import { newUuid } from '../ids.ts'
import { type ApiKeyTerms, apiKeyRecord, insertApiKey } from '../tenants/api-keys.ts'
import type { OrganizationState } from '../tenants/organization.ts'
import { createToken } from '../tenants/token.ts'
import { hostOf, hostOfInstance, instanceState, instanceUuid } from './instance-log.ts'
import { type HostServices, insertOrganization } from './new-organization.ts'

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
  const { pool, instance } = services
  const {
    rows: [taken],
  } = await pool.query('select 1 from organizations where name = $1', [name])
  // The instance's own name is that of its own log.
  if (taken || name === instance) throw nameTaken(name)
  const id = newUuid()
  try {
    const hosts = await hostOfInstance(services)
    await insertOrganization(services, { id, name, plan: planName, namespaces, by: 'host', instance: hosts })
  } catch (error) {
    if ((error as { code?: string }).code === '23505') throw nameTaken(name)
    throw error
  }
  return { id: encodeTypeId('org', id), name, plan: planName, created_at: new Date().toISOString() }
}

/** Every organization, newest first. The instance, whose own log is kept like theirs, is none. */
export async function listOrganizations(pool: Pool): Promise<HostOrganization[]> {
  const { rows } = await pool.query<{ id: string; name: string; plan: string; created_at: Date }>(
    'select id, name, plan, created_at from organizations where id <> $1 order by id desc',
    [instanceUuid],
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

/** Whose log that is: an organization by its id or name, or the instance by its own. Throws `RequestFault` when there is none. */
export async function findLog(services: HostServices, idOrName: string): Promise<OrganizationState> {
  return idOrName === services.instance || idOrName === instanceOrganization
    ? instanceState(services)
    : findOrganization(services, idOrName)
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
  await services.changes.run(await hostOf(services, organization), async (actor) => {
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
  })
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
