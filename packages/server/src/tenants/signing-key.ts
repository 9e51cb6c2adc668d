import { decodeTypeId, uuidText } from '@popsigner/crypto/typeid'
import type { Material } from '@popsigner/custody/custodian'
import type { Pool } from 'pg'
import { type OrganizationState, rememberKey } from './organization.ts'

/** States of a key version (SP 800-57 part 1 §7). */
export type KeyVersionState = 'pre_active' | 'active' | 'suspended' | 'deactivated' | 'compromised' | 'destroyed'

/** A version of a key with everything a signature needs. */
export interface SigningKeyVersion {
  readonly version: number
  readonly state: KeyVersionState
  readonly publicKey: Buffer
  readonly publicKeyHex: string
  /** Null once destroyed. */
  readonly material: Material | null
  /** The organization key that seals it, uuid text. */
  readonly sealedBy: string
}

/** A key as the signing path knows it. */
export interface SigningKey {
  /** uuid text. */
  readonly id: string
  readonly bytes: Uint8Array
  /** `key_…` */
  readonly text: string
  /** uuid text. */
  readonly namespace: string
  readonly algorithm: string
  readonly schemes: readonly string[]
  readonly uses: readonly string[]
  readonly export: string
  readonly primaryVersion: number
  readonly versions: ReadonlyMap<number, SigningKeyVersion>
}

/**
 * Reads the key of this id (`key_…`) of the organization into the state; null when the id is malformed or another's. A key read
 * under a newer epoch than the state's is not kept: the authorizing transaction will send its signature back for a new decision.
 */
export async function findSigningKey(pool: Pool, state: OrganizationState, text: string): Promise<SigningKey | null> {
  const bytes = decodeTypeId(text, 'key')
  if (!bytes) return null
  const id = uuidText(bytes)
  const { rows } = await pool.query<{
    namespace_id: string
    algorithm: string
    schemes: string[]
    uses: string[]
    export: string
    primary_version: number
    version: number
    state: KeyVersionState
    public_key: Buffer
    spec: Buffer | null
    envelope: Buffer | null
    sealed_by: string | null
    epoch: string | null
  }>({
    name: 'signing-key',
    text: `select k.namespace_id, k.algorithm, k.schemes, k.uses, k.export, k.primary_version, v.version, v.state, v.public_key,
        p.spec, p.envelope, p.sealed_by,
        (select epoch from batches b where b.organization_id = k.organization_id order by tree_size desc limit 1) as epoch
      from keys k join key_versions v on v.key_id = k.id left join key_parts p on p.key_id = v.key_id and p.version = v.version
      where k.id = $1 and k.organization_id = $2`,
    values: [id, state.id],
  })
  const first = rows[0]
  if (!first) return null
  const key: SigningKey = {
    id,
    bytes,
    text,
    namespace: first.namespace_id,
    algorithm: first.algorithm,
    schemes: first.schemes,
    uses: first.uses,
    export: first.export,
    primaryVersion: first.primary_version,
    versions: new Map(
      rows.map((row) => [
        row.version,
        {
          version: row.version,
          state: row.state,
          publicKey: row.public_key,
          publicKeyHex: row.public_key.toString('hex'),
          material: row.spec && row.envelope ? { spec: row.spec, envelope: row.envelope } : null,
          sealedBy: row.sealed_by ?? '',
        },
      ]),
    ),
  }
  if (Number(first.epoch ?? 0) === state.epoch) rememberKey(state, key)
  return key
}
