import { hex } from '@popsigner/crypto/bytes'
import { decodeTypeId, uuidBytes, uuidText } from '@popsigner/crypto/typeid'
import type { Material } from '@popsigner/custody/custodian'
import { CustodyFault } from '@popsigner/custody/faults'
import { parseSpec } from '@popsigner/custody/spec'
import type { OrganizationState } from '../tenants/organization.ts'
import { actorOfOurs } from './actors.ts'
import { type HostServices, listOrganizations, sealerOf } from './organizations.ts'

const rowsPerStep = 200
/** How often a rotation meets keys that are being narrowed before it gives up, and how long it waits each time. */
const maximumNarrowed = 500
const narrowedMilliseconds = 20

/** How far a rotation has come. */
export interface RotationProgress {
  readonly step: string
  readonly done: number
  readonly total: number
}

/** What a rotation did. */
export interface RotationResult {
  readonly root: string
  readonly organizations: number
  readonly envelopes: number
}

/**
 * Rotates the root key while serving, and with it, if asked, the key of every organization. Each row is a step of its own, so a
 * rotation that was interrupted goes on where it stopped when it is started again. When no envelope needs it any more the old
 * root is refused for good.
 */
export async function rotateSeal(
  services: HostServices,
  organizationKeys: boolean,
  report: (progress: RotationProgress) => void,
): Promise<RotationResult> {
  const { pool, signer, organizations } = services
  const known = await listOrganizations(pool)
  let envelopes = 0
  for (const [i, entry] of known.entries()) {
    const organization = await stateOf(services, entry.id)
    const unfinished = organization.organizationKeys.size > 1
    if (organizationKeys || unfinished) envelopes += await rotateOrganizationKey(services, organization, unfinished)
    report({ step: 'organization keys', done: i + 1, total: known.length })
  }
  const before = await signer.roots()
  const roots = before.length > 1 ? before : await signer.rotateRoot()
  const root = roots.at(-1)
  const previous = roots.at(-2)
  if (!root || !previous) throw new Error('a rotation without two roots')
  for (const [i, entry] of known.entries()) {
    const organization = await stateOf(services, entry.id)
    for (const [id, material] of organization.organizationKeys) {
      const sealed = await signer.resealOrganizationKey(material)
      await pool.query(
        'update organization_materials set spec = $3, envelope = $4 where organization_id = $1 and id = $2 and envelope = $5',
        [organization.id, id, Buffer.from(sealed.spec), Buffer.from(sealed.envelope), Buffer.from(material.envelope)],
      )
      envelopes++
    }
    const host = await actorOfOurs(pool, organizations, organization, 'host')
    // Raising the epoch makes every server read the new envelopes.
    await services.changes.run(host, async () => ({
      records: [{ fields: { event: 'seal.rotated', root: hex(root.id), previous: hex(previous.id), step: 'root' } }],
      change: { bump: true },
      claim: null,
      write: async () => {},
    }))
    report({ step: 'root', done: i + 1, total: known.length })
  }
  await signer.retireRoot()
  return { root: hex(root.id), organizations: known.length, envelopes }
}

async function stateOf(services: HostServices, text: string): Promise<OrganizationState> {
  const {
    rows: [row],
  } = await services.pool.query<{ id: string }>('select id from organizations where id = $1', [
    uuidText(decodeTypeId(text, 'org') as Uint8Array),
  ])
  const state = row && (await services.organizations.get(row.id, 0))
  if (!state) throw new Error('an organization that was just listed is gone')
  return state
}

/** Seals everything of an organization under a new key of its own, then ends the old one. Answers how many envelopes it was. */
async function rotateOrganizationKey(
  services: HostServices,
  organization: OrganizationState,
  unfinished: boolean,
): Promise<number> {
  const { pool, signer, changes, organizations } = services
  const host = await actorOfOurs(pool, organizations, organization, 'host')
  if (!unfinished) {
    const old = organization.organizationKeys.get(organization.currentOrganizationKey) as Material
    const made = await signer.rotateOrganizationKey(old)
    const id = uuidText(parseSpec(made.spec).key)
    await changes.run(host, async () => ({
      records: [
        {
          fields: {
            event: 'seal.rotated',
            organization_key: hex(uuidBytes(id)),
            previous: hex(uuidBytes(organization.currentOrganizationKey)),
            step: 'organization-key',
          },
        },
      ],
      change: { bump: true },
      claim: null,
      async write(client) {
        await client.query(
          `update organization_materials set current = false where organization_id = $1 and kind = 'organization-key'`,
          [organization.id],
        )
        await client.query(
          `insert into organization_materials (organization_id, kind, id, spec, envelope, current) values ($1, 'organization-key', $2, $3, $4, true)`,
          [organization.id, id, Buffer.from(made.spec), Buffer.from(made.envelope)],
        )
      },
    }))
  }
  const state = (await organizations.get(organization.id, 0)) ?? organization
  const to = state.organizationKeys.get(state.currentOrganizationKey) as Material
  let envelopes = 0
  for (const [id, from] of state.organizationKeys) {
    if (id === state.currentOrganizationKey) continue
    envelopes += await resealParts(services, state, id, from, to)
    if (sealerOf(state.logKey.envelope) === id) {
      const sealed = await signer.reseal(from, to, state.logKey)
      await pool.query(
        `update organization_materials set spec = $2, envelope = $3 where organization_id = $1 and kind = 'log-key' and current`,
        [state.id, Buffer.from(sealed.spec), Buffer.from(sealed.envelope)],
      )
      envelopes++
    }
    await changes.run(host, async () => ({
      records: [
        {
          fields: {
            event: 'seal.rotated',
            organization_key: hex(uuidBytes(state.currentOrganizationKey)),
            previous: hex(uuidBytes(id)),
            step: 'organization-key-retired',
          },
        },
      ],
      change: { bump: true },
      claim: null,
      async write(client) {
        await client.query('delete from wrapping_keys where organization_id = $1 and sealed_by = $2', [state.id, id])
        await client.query('delete from organization_materials where organization_id = $1 and id = $2', [state.id, id])
      },
    }))
    // From here nothing sealed by it opens again, wherever a copy of it lies.
    await signer.destroy([uuidBytes(id)])
  }
  return envelopes
}

async function resealParts(
  { pool, signer }: HostServices,
  organization: OrganizationState,
  id: string,
  from: Material,
  to: Material,
): Promise<number> {
  let count = 0
  let narrowed = 0
  for (;;) {
    const { rows } = await pool.query<{
      key_id: string
      version: number
      party: number
      spec: Buffer
      envelope: Buffer
    }>(
      `select p.key_id, p.version, p.party, p.spec, p.envelope from key_parts p join keys k on k.id = p.key_id where k.organization_id = $1 and p.sealed_by = $2 limit $3`,
      [organization.id, id, rowsPerStep],
    )
    if (rows.length === 0) return count
    for (const row of rows) {
      const sealed = await resealUnlessChanged(signer, from, to, { spec: row.spec, envelope: row.envelope })
      if (sealed === 'destroyed') {
        // In a database that was put back, or between the two halves of a destruction: it opens never again.
        await pool.query('delete from key_parts where key_id = $1 and version = $2 and party = $3 and envelope = $4', [
          row.key_id,
          row.version,
          row.party,
          row.envelope,
        ])
        continue
      }
      if (sealed === 'narrowed') {
        // By a transaction that has yet to end: the row is read again.
        if (++narrowed > maximumNarrowed) throw new Error('a key is narrower in the ledger than in the database')
        await new Promise((resolve) => setTimeout(resolve, narrowedMilliseconds))
        continue
      }
      // Compared with what was read: a narrowing meanwhile is not undone.
      await pool.query(
        'update key_parts set spec = $4, envelope = $5, sealed_by = $6 where key_id = $1 and version = $2 and party = $3 and envelope = $7',
        [
          row.key_id,
          row.version,
          row.party,
          Buffer.from(sealed.spec),
          Buffer.from(sealed.envelope),
          organization.currentOrganizationKey,
          row.envelope,
        ],
      )
      count++
    }
  }
}

/** Seals a key anew, unless it was narrowed since its envelope was read, or the ledger says that it was destroyed. */
async function resealUnlessChanged(
  signer: HostServices['signer'],
  from: Material,
  to: Material,
  material: Material,
): Promise<Material | 'narrowed' | 'destroyed'> {
  try {
    return await signer.reseal(from, to, material)
  } catch (error) {
    if (error instanceof CustodyFault && error.code === 'custody.generation_old') return 'narrowed'
    if (error instanceof CustodyFault && error.code === 'custody.key_destroyed') return 'destroyed'
    throw error
  }
}
