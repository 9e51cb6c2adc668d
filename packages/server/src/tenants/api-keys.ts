import { randomBytes } from 'node:crypto'
import { encodeTypeId, uuidBytes, uuidText } from '@popsigner/crypto/typeid'
import type { PoolClient } from 'pg'
import type { NewRecord } from '../changes.ts'
import type { StoredSecret } from './token.ts'

/** What an API key may do. */
export interface ApiKeyTerms {
  readonly name: string
  readonly scopes: readonly string[]
  /** Ids (uuid text), or null for all. */
  readonly namespaces: readonly string[] | null
  readonly expiresAt: Date | null
}

/** The record of an API key's making. `id` has 16 bytes. */
export function apiKeyRecord(id: Uint8Array, terms: ApiKeyTerms): NewRecord {
  return {
    fields: {
      event: 'api_key.created',
      api_key: encodeTypeId('ak', id),
      scopes: [...terms.scopes],
      ...(terms.namespaces === null
        ? {}
        : { namespaces: terms.namespaces.map((namespace) => encodeTypeId('ns', uuidBytes(namespace))) }),
      ...(terms.expiresAt === null ? {} : { expires_at: terms.expiresAt.toISOString() }),
    },
    texts: { name: terms.name },
  }
}

/** Writes an API key and the erasure key of the actor that it is. `createdBy` is null for the host. */
export async function insertApiKey(
  client: PoolClient,
  organization: string,
  id: Uint8Array,
  terms: ApiKeyTerms,
  stored: StoredSecret,
  at: Date,
  createdBy: string | null,
): Promise<void> {
  await client.query(
    'insert into api_keys (id, organization_id, name, hash, fingerprint, scopes, namespaces, expires_at, created_at, created_by) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)',
    [
      uuidText(id),
      organization,
      terms.name,
      stored.hash,
      stored.fingerprint,
      terms.scopes,
      terms.namespaces,
      terms.expiresAt,
      at,
      createdBy,
    ],
  )
  await client.query('insert into actors (organization_id, actor, erasure_key) values ($1, $2, $3)', [
    organization,
    uuidText(id),
    randomBytes(32),
  ])
}
