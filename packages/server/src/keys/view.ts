import type { Output } from '@popsigner/api/routes'
import { checksumAddress, encodeCosmosAddress } from '@popsigner/crypto/address'
import type { AlgorithmName } from '@popsigner/crypto/algorithm-facts'
import { decodeTypeId, encodeTypeId, uuidBytes, uuidText } from '@popsigner/crypto/typeid'
import type { Pool, PoolClient } from 'pg'
import { RequestFault } from '../http/request-fault.ts'
import type { Credential } from '../tenants/credential.ts'
import type { KeyVersionState } from '../tenants/signing-key.ts'

/** A key as the API answers it. */
export type KeyView = Output<'keys.get'>
type VersionView = KeyView['versions'][number]

/** A key's rows. */
export interface KeyRow {
  id: string
  organization_id: string
  namespace_id: string
  namespace: string
  name: string
  algorithm: AlgorithmName
  schemes: KeyView['schemes']
  uses: KeyView['uses']
  export: string
  metadata: Record<string, string>
  primary_version: number
  rotate_every_days: number | null
  rotate_at: Date | null
  destroy_at: Date | null
  deletion_states: Record<string, KeyVersionState> | null
  revision: string
  created_at: Date
  updated_at: Date
  versions: {
    version: number
    state: KeyVersionState
    public_key: string
    /** What the addresses encode, hex; null for an algorithm without addresses. */
    cosmos_account: string | null
    ethereum_account: string | null
    created_at: string
    generation: number
  }[]
}

/** The columns of `KeyRow`; `k` is `keys`. */
export const keyColumns = `k.id, k.organization_id, k.namespace_id, n.name as namespace, k.name, k.algorithm, k.schemes, k.uses, k.export, k.metadata,
  k.primary_version, k.rotate_every_days, k.rotate_at, k.destroy_at, k.deletion_states, k.revision, k.created_at, k.updated_at,
  (select json_agg(json_build_object('version', v.version, 'state', v.state, 'public_key', encode(v.public_key, 'hex'), 'cosmos_account', encode(v.cosmos_account, 'hex'), 'ethereum_account', encode(v.ethereum_account, 'hex'), 'created_at', v.created_at, 'generation', v.generation) order by v.version desc)
     from key_versions v where v.key_id = k.id) as versions`

export const keyTables = 'keys k join namespaces n on n.id = k.namespace_id'

/**
 * The rows of the key that a path names, as far as the credential may know of it. Throws `key.not_found` alike for an id that
 * is malformed, unknown, another organization's, or in a namespace that the API key may not use.
 */
export async function findKey(client: Pool | PoolClient, credential: Credential, id: string): Promise<KeyRow> {
  const bytes = decodeTypeId(id, 'key')
  if (bytes) {
    const {
      rows: [row],
    } = await client.query<KeyRow>({
      name: 'key',
      text: `select ${keyColumns} from ${keyTables} where k.id = $1 and k.organization_id = $2`,
      values: [uuidText(bytes), credential.organization.id],
    })
    if (row && (credential.namespaces === null || credential.namespaces.has(row.namespace_id))) return row
  }
  throw new RequestFault('key.not_found', 'No key has this id.')
}

/** A key's rows as the API answers them. */
export function viewKey(row: KeyRow): KeyView {
  const versions = row.versions.map((version) => viewVersion(row, version))
  const primary = versions.find((version) => version.version === row.primary_version)
  if (!primary) throw new Error('a key without its primary version')
  return {
    id: encodeTypeId('key', uuidBytes(row.id)),
    name: row.name,
    namespace: row.namespace,
    algorithm: row.algorithm,
    public_key: primary.public_key,
    public_key_g1: primary.public_key_g1,
    public_key_g2: primary.public_key_g2,
    address: primary.address,
    eth_address: primary.eth_address,
    exportable: row.export !== 'none',
    export: row.export,
    schemes: row.schemes,
    uses: row.uses,
    state: primary.state,
    version: primary.version,
    versions,
    metadata: row.metadata,
    rotate_every_days: row.rotate_every_days,
    destroy_at: row.destroy_at?.toISOString() ?? null,
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
  }
}

/** One version of a key as the API answers it. */
export function viewVersion(
  row: Pick<KeyRow, 'algorithm' | 'metadata'>,
  version: KeyRow['versions'][number],
): VersionView {
  const { cosmos_account: cosmos, ethereum_account: ethereum } = version
  // 64 and 128 bytes in hex, one after the other.
  const isPair = row.algorithm === 'bn254'
  const derived = {
    public_key_g1: isPair ? version.public_key.slice(0, 128) : null,
    public_key_g2: isPair ? version.public_key.slice(128) : null,
    address: cosmos && encodeCosmosAddress(Buffer.from(cosmos, 'hex'), row.metadata['address_prefix'] ?? 'celestia'),
    eth_address: ethereum && checksumAddress(Buffer.from(ethereum, 'hex')),
  }
  return {
    version: version.version,
    state: version.state,
    public_key: version.public_key,
    ...derived,
    created_at: new Date(version.created_at).toISOString(),
  }
}

/** The ETag of a key: it changes with every change of the key. */
export function tagOf(row: Pick<KeyRow, 'id' | 'revision'>): string {
  return `"${encodeTypeId('key', uuidBytes(row.id))}.${row.revision}"`
}
