import { decodeTypeId, uuidText } from '@popsigner/crypto/typeid'
import { instanceOrganization } from '@popsigner/transparency/events'
import type { Actor } from '../changes.ts'
import type { OrganizationState } from '../tenants/organization.ts'
import { actorOfOurs } from './actors.ts'
import { type HostServices, insertOrganization } from './new-organization.ts'

const instanceBytes = decodeTypeId(instanceOrganization, 'org') as Uint8Array

/** Under which id the database has the instance's own log, beside those of organizations. */
export const instanceUuid: string = uuidText(instanceBytes)

/**
 * The instance as the owner of its own log, which is begun where there is none: at the first start, and at the next one of an
 * instance that is older than this log. Rejects with `CustodyFault` while there is no signer to begin it.
 */
export async function instanceState(services: HostServices): Promise<OrganizationState> {
  const { organizations } = services
  const known = await organizations.get(instanceUuid, 0)
  if (known) return known
  try {
    await insertOrganization(services, {
      id: instanceBytes,
      // No organization can be named like this.
      name: '(instance)',
      plan: 'self_hosted',
      namespaces: [],
      by: 'system',
      instance: null,
    })
  } catch (error) {
    // Another server, or another act of the host, was at it.
    if ((error as { code?: string }).code !== '23505') throw error
  }
  const begun = await organizations.get(instanceUuid, 0)
  if (!begun) throw new Error('the instance has no log')
  return begun
}

/** The host as the author of records in the instance's own log. */
export async function hostOfInstance(services: HostServices): Promise<Actor> {
  return actorOfOurs(services.pool, services.organizations, await instanceState(services), 'host')
}

/** The host as the author of changes to an organization, or to the instance. Both logs have what it does to the former. */
export async function hostOf(services: HostServices, organization: OrganizationState): Promise<Actor> {
  if (organization.id === instanceUuid) return hostOfInstance(services)
  const own = await actorOfOurs(services.pool, services.organizations, organization, 'host')
  return recordedIn(await hostOfInstance(services), own)
}

function recordedIn(instance: Actor, own: Actor): Actor {
  return { ...own, instance, renew: async () => recordedIn(await instance.renew(), await own.renew()) }
}
