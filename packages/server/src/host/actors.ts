import { randomBytes } from 'node:crypto'
import type { Pool, PoolClient } from 'pg'
import type { Actor } from '../changes.ts'
import { createCommitter } from '../log/commitments.ts'
import { actorsOfOurs } from '../log/projection.ts'
import type { OrganizationState, Organizations } from '../tenants/organization.ts'

/** Gives an organization the erasure keys of host, system and signer, under which their records commit. */
export async function insertActorsOfOurs(client: PoolClient, organization: string): Promise<void> {
  for (const actor of Object.values(actorsOfOurs)) {
    await client.query('insert into actors (organization_id, actor, erasure_key) values ($1, $2, $3)', [
      organization,
      actor,
      randomBytes(32),
    ])
  }
}

/** The host or the system as the author of changes to an organization. */
export async function actorOfOurs(
  pool: Pool,
  organizations: Organizations,
  organization: OrganizationState,
  name: 'host' | 'system',
): Promise<Actor> {
  const uuid = actorsOfOurs[name] as string
  const {
    rows: [row],
  } = await pool.query<{ erasure_key: Buffer }>(
    'select erasure_key from actors where organization_id = $1 and actor = $2',
    [organization.id, uuid],
  )
  if (!row) throw new Error('an organization without its own actors')
  const committer = createCommitter(pool, organization.id, uuid, row.erasure_key)
  const as = (state: OrganizationState): Actor => ({
    organization: state,
    actor: name,
    committer,
    texts: [],
    renew: async () => as((await organizations.get(organization.id, 0)) ?? state),
  })
  return as(organization)
}
