import { encodeTypeId, uuidBytes } from '@popsigner/crypto/typeid'
import type { Material } from '@popsigner/custody/custodian'
import type { Pool } from 'pg'
import { type Plan, plan } from '../plans.ts'
import type { Credential } from './credential.ts'
import type { SigningKey } from './signing-key.ts'

/** Keys of one organization kept ready to sign; the least recently loaded go first. */
const maximumKeys = 20_000

/**
 * What this process knows of an organization, all of it as of one epoch. It is never brought up to date in place: when the
 * epoch has risen the whole state is dropped and read again, so nothing in it can be older than the rest.
 */
export interface OrganizationState {
  /** uuid text. */
  readonly id: string
  readonly bytes: Uint8Array
  /** `org_…` */
  readonly text: string
  readonly name: string
  /** `<instance>/<org_…>` */
  readonly log: string
  readonly planName: string
  readonly plan: Plan
  readonly epoch: number
  readonly logPublicKey: Buffer
  readonly logKey: Material
  /** By id (uuid text); during a rotation there are two. */
  readonly organizationKeys: ReadonlyMap<string, Material>
  readonly currentOrganizationKey: string
  /** Namespace names by id (uuid text). */
  readonly namespaces: ReadonlyMap<string, string>
  /** Credentials by API key id (uuid text), as of this epoch. */
  readonly credentials: Map<string, Credential>
  /** Keys by id (`key_…`), as of this epoch. */
  readonly keys: Map<string, SigningKey>
  /** When the epoch was last compared with the database's, in milliseconds. */
  checkedAt: number
}

export interface Organizations {
  /** The organization, as of an epoch that was the database's at most `maximumAge` milliseconds ago. Null when there is none. */
  get(id: string, maximumAge?: number): Promise<OrganizationState | null>
  /** The cached state whatever its age, for what compares the epoch itself. */
  peek(id: string): OrganizationState | undefined
  /** Forgets what is known of an organization as of any other epoch than this one. */
  supersede(id: string, epoch: number): void
}

/** Bounds a state's keys after one was added. */
export function rememberKey(state: OrganizationState, key: SigningKey): void {
  if (state.keys.size >= maximumKeys) {
    const oldest = state.keys.keys().next().value
    if (oldest !== undefined) state.keys.delete(oldest)
  }
  state.keys.set(key.text, key)
}

/** Reads organizations and keeps them; one reading at a time for each. */
export function createOrganizations(pool: Pool, instance: string): Organizations {
  const states = new Map<string, OrganizationState>()
  const loading = new Map<string, Promise<OrganizationState | null>>()

  async function load(id: string): Promise<OrganizationState | null> {
    const {
      rows: [row],
    } = await pool.query<{
      name: string
      plan: string
      log_public_key: Buffer
      epoch: string | null
      materials: { kind: string; id: string; spec: string; envelope: string; current: boolean }[] | null
      namespaces: { id: string; name: string }[] | null
    }>(
      `select o.name, o.plan, o.log_public_key,
         (select epoch from batches b where b.organization_id = o.id order by tree_size desc limit 1) as epoch,
         (select json_agg(json_build_object('kind', kind, 'id', m.id, 'spec', encode(spec, 'hex'), 'envelope', encode(envelope, 'hex'), 'current', current))
            from organization_materials m where m.organization_id = o.id and kind in ('organization-key', 'log-key')) as materials,
         (select json_agg(json_build_object('id', n.id, 'name', n.name)) from namespaces n where n.organization_id = o.id and n.deleted_at is null) as namespaces
       from organizations o where o.id = $1`,
      [id],
    )
    if (!row) return null
    const organizationKeys = new Map<string, Material>()
    let logKey: Material | undefined
    let current = ''
    for (const m of row.materials ?? []) {
      const material = { spec: Buffer.from(m.spec, 'hex'), envelope: Buffer.from(m.envelope, 'hex') }
      if (m.kind === 'organization-key') organizationKeys.set(m.id, material)
      if (m.kind === 'organization-key' && m.current) current = m.id
      if (m.kind === 'log-key' && m.current) logKey = material
    }
    if (!logKey || !current) throw new Error('an organization without its keys')
    const bytes = uuidBytes(id)
    const text = encodeTypeId('org', bytes)
    return {
      id,
      bytes,
      text,
      name: row.name,
      log: `${instance}/${text}`,
      planName: row.plan,
      plan: plan(row.plan),
      epoch: Number(row.epoch ?? 0),
      logPublicKey: row.log_public_key,
      logKey,
      organizationKeys,
      currentOrganizationKey: current,
      namespaces: new Map((row.namespaces ?? []).map((n) => [n.id, n.name])),
      credentials: new Map(),
      keys: new Map(),
      checkedAt: Date.now(),
    }
  }

  async function refresh(id: string): Promise<OrganizationState | null> {
    const known = states.get(id)
    if (known) {
      const asked = Date.now()
      const {
        rows: [head],
      } = await pool.query<{ epoch: string }>({
        name: 'epoch',
        text: 'select epoch from batches where organization_id = $1 order by tree_size desc limit 1',
        values: [id],
      })
      if (Number(head?.epoch ?? 0) === known.epoch && states.get(id) === known) {
        known.checkedAt = asked
        return known
      }
    }
    const state = await load(id)
    if (state) states.set(id, state)
    else states.delete(id)
    return state
  }

  return {
    peek: (id) => states.get(id),
    supersede(id, epoch) {
      if (states.get(id)?.epoch !== epoch) states.delete(id)
    },
    get(id, maximumAge = 1000) {
      const known = states.get(id)
      if (known && Date.now() - known.checkedAt <= maximumAge) return Promise.resolve(known)
      let pending = loading.get(id)
      if (!pending) {
        pending = refresh(id).finally(() => loading.delete(id))
        loading.set(id, pending)
      }
      return pending
    },
  }
}
