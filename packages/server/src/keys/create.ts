import { ECDH } from 'node:crypto'
import { type AlgorithmName, factsOf, schemeOf, schemesOf } from '@popsigner/crypto/algorithm-facts'
import { canonicalJson } from '@popsigner/crypto/canonical-json'
import { keccak256, ripemd160, sha256 } from '@popsigner/crypto/hash'
import { encodeTypeId, uuidBytes, uuidText } from '@popsigner/crypto/typeid'
import type { CreatedKey, ExportRule, KeySpec, Use } from '@popsigner/custody/custodian'
import type { PoolClient } from 'pg'
import type { NewRecord, RecordId } from '../changes.ts'
import { RequestFault } from '../http/request-fault.ts'
import { newUuid } from '../ids.ts'
import type { Credential } from '../tenants/credential.ts'
import type { OrganizationState } from '../tenants/organization.ts'

/** What a caller decides about a new key. */
export interface KeyTerms {
  readonly algorithm: AlgorithmName
  /** none, any, or hex of SHA-256 of the only recipient's key. */
  readonly export: string
  readonly schemes: readonly string[]
  readonly uses: readonly Use[]
  readonly rotateEveryDays: number | null
}

/** A key to be made: its id is chosen before the custodian is asked. */
export interface NewKey {
  readonly id: Uint8Array
  readonly uuid: string
  readonly name: string
  /** uuid text. */
  readonly namespace: string
  readonly metadata: Readonly<Record<string, string>>
  readonly terms: KeyTerms
}

const everyUse: readonly Use[] = ['transaction', 'message', 'raw', 'digest']

/** The terms of a request, with what it left out. `path` is the field to blame. */
export function termsOf(
  request: {
    algorithm: AlgorithmName
    schemes?: readonly string[] | undefined
    uses?: readonly string[] | undefined
    rotate_every_days?: number | null
  },
  exportRule: string,
): KeyTerms {
  const facts = factsOf(request.algorithm)
  const wrong = request.schemes?.find((scheme) => schemeOf(facts, scheme) === undefined)
  if (wrong !== undefined) {
    throw new RequestFault('request.invalid', 'One field is not accepted.', {
      errors: [{ field: 'schemes', message: `must be ${schemesOf(facts)} for ${request.algorithm}` }],
    })
  }
  const schemes = request.schemes ?? [facts.schemes[0].name]
  const takesDigest = schemes.some((scheme) => schemeOf(facts, scheme)?.prehashed)
  if (!takesDigest && request.uses?.length === 1 && request.uses[0] === 'digest') {
    throw new RequestFault('request.invalid', 'One field is not accepted.', {
      errors: [
        {
          field: 'uses',
          message: `${request.algorithm} takes no digest, so a key for digests alone could sign nothing`,
        },
      ],
    })
  }
  return {
    algorithm: request.algorithm,
    export: exportRule,
    schemes,
    uses: (request.uses as readonly Use[] | undefined) ?? everyUse,
    rotateEveryDays: request.rotate_every_days ?? null,
  }
}

/** A key to be made in the namespace of that name. `field` is where the name stood in the request. */
export function newKey(
  credential: Credential,
  name: string,
  namespace: string,
  metadata: Record<string, string>,
  terms: KeyTerms,
): NewKey {
  const id = newUuid()
  return { id, uuid: uuidText(id), name, namespace: namespaceOf(credential, namespace), metadata, terms }
}

/** The id of a namespace by its name. Throws `namespace.not_found`. */
export function namespaceOf(credential: Credential, name: string): string {
  for (const [id, known] of credential.organization.namespaces) {
    if (known === name && (credential.namespaces === null || credential.namespaces.has(id))) return id
  }
  throw new RequestFault('namespace.not_found', `No namespace is named ${name}.`)
}

/** What the signer is told of a key's version. */
export function specOf(
  organization: OrganizationState,
  key: { id: Uint8Array; terms: Omit<KeyTerms, 'rotateEveryDays'> },
  version: number,
): KeySpec {
  const { algorithm, schemes, uses } = key.terms
  return {
    organization: organization.bytes,
    key: key.id,
    version,
    algorithm,
    schemes,
    uses,
    export: exportRule(key.terms.export),
  }
}

/** The rule as the envelope has it. */
export function exportRule(text: string): ExportRule {
  return text === 'none' || text === 'any' ? text : Buffer.from(text, 'hex')
}

/** The record of a key's making or import. */
export function creationRecord(key: NewKey, made: CreatedKey, wrappingKey?: string): NewRecord {
  const fields = {
    key: encodeTypeId('key', key.id),
    version: 1,
    public_key: Buffer.from(made.publicKey).toString('hex'),
    algorithm: key.terms.algorithm,
    schemes: [...key.terms.schemes],
    uses: [...key.terms.uses],
    export: key.terms.export,
    namespace: encodeTypeId('ns', uuidBytes(key.namespace)),
  }
  return {
    fields:
      wrappingKey === undefined
        ? { event: 'key.created', ...fields }
        : { event: 'key.imported', ...fields, wrapping_key: wrappingKey },
    texts: { name: key.name, metadata: canonicalJson(key.metadata) },
  }
}

/** Writes the rows of new keys, all in one go, beside their records. Throws `key.name_taken`. */
export async function insertKeys(
  client: PoolClient,
  organization: OrganizationState,
  keys: readonly { key: NewKey; made: CreatedKey }[],
  records: readonly RecordId[],
  actor: string,
  origin: 'generated' | 'imported',
): Promise<void> {
  const column = <T>(read: (entry: { key: NewKey; made: CreatedKey }, i: number) => T): T[] => keys.map(read)
  const accounts = column((e) => accountsOf(e.key.terms.algorithm, e.made.publicKey))
  try {
    await client.query(
      `insert into keys (id, organization_id, namespace_id, name, algorithm, schemes, uses, export, origin, metadata, primary_version, rotate_every_days, rotate_at, created_at, updated_at)
       select id, $1, namespace, name, algorithm, string_to_array(schemes, ','), string_to_array(uses, ','), export, $2, metadata::jsonb, 1, days,
         case when days is not null then $3::timestamptz + make_interval(days => days) end, $3, $3
       from unnest($4::uuid[], $5::uuid[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::integer[]) t (id, namespace, name, algorithm, schemes, uses, export, metadata, days)`,
      [
        organization.id,
        origin,
        records[0]?.at,
        column((e) => e.key.uuid),
        column((e) => e.key.namespace),
        column((e) => e.key.name),
        column((e) => e.key.terms.algorithm),
        column((e) => e.key.terms.schemes.join(',')),
        column((e) => e.key.terms.uses.join(',')),
        column((e) => e.key.terms.export),
        column((e) => JSON.stringify(e.key.metadata)),
        column((e) => e.key.terms.rotateEveryDays),
      ],
    )
  } catch (error) {
    throw nameTaken(error) ?? error
  }
  await client.query(
    `insert into key_versions (key_id, version, public_key, cosmos_account, ethereum_account, state, created_at)
     select id, 1, public_key, cosmos, ethereum, 'active', $1 from unnest($2::uuid[], $3::bytea[], $4::bytea[], $5::bytea[]) t (id, public_key, cosmos, ethereum)`,
    [
      records[0]?.at,
      column((e) => e.key.uuid),
      column((e) => Buffer.from(e.made.publicKey)),
      accounts.map(({ cosmos }) => cosmos),
      accounts.map(({ ethereum }) => ethereum),
    ],
  )
  await client.query(
    `insert into key_parts (key_id, version, custodian, spec, envelope, sealed_by)
     select id, 1, 'signer', spec, envelope, $1 from unnest($2::uuid[], $3::bytea[], $4::bytea[]) t (id, spec, envelope)`,
    [
      organization.currentOrganizationKey,
      column((e) => e.key.uuid),
      column((e) => Buffer.from(e.made.material.spec)),
      column((e) => Buffer.from(e.made.material.envelope)),
    ],
  )
  await writeHistory(
    client,
    keys.map(({ key }, i) => ({ key: key.uuid, record: records[i] as RecordId })),
    origin === 'generated' ? 'key.created' : 'key.imported',
    actor,
  )
}

/** What the addresses of a public key encode, 20 bytes each; null for an algorithm without addresses. */
export function accountsOf(
  algorithm: string,
  publicKey: Uint8Array,
): { cosmos: Buffer | null; ethereum: Buffer | null } {
  if (algorithm !== 'secp256k1') return { cosmos: null, ethereum: null }
  return {
    cosmos: Buffer.from(ripemd160(sha256(publicKey))),
    // OpenSSL finds the second coordinate in a tenth of the time that JavaScript takes.
    ethereum: Buffer.from(keccak256(uncompressed(publicKey).subarray(1)).subarray(12)),
  }
}

function uncompressed(publicKey: Uint8Array): Buffer {
  return ECDH.convertKey(publicKey, 'secp256k1', undefined, undefined, 'uncompressed') as Buffer
}

/** Notes how keys stand after a change, with the record of it. Reads what the same transaction has written. */
export async function writeHistory(
  client: PoolClient,
  entries: readonly { key: string; record: RecordId }[],
  event: string,
  actor: string,
): Promise<void> {
  await client.query(
    `insert into key_history (key_id, revision, record_id, event, actor, name, metadata, state, version, uses, schemes, rotate_every_days, at)
     select k.id, k.revision, t.record, $1, $2, k.name, k.metadata, v.state, k.primary_version, k.uses, k.schemes, k.rotate_every_days, $3
     from unnest($4::uuid[], $5::uuid[]) t (id, record) join keys k on k.id = t.id join key_versions v on v.key_id = k.id and v.version = k.primary_version`,
    [event, actor, entries[0]?.record.at, entries.map((e) => e.key), entries.map((e) => e.record.uuid)],
  )
}

/**
 * The refusal for a name that another key of the namespace has, with `{namespace, name}` as its cause (the namespace's id
 * as uuid text); null for any other error.
 */
export function nameTaken(error: unknown): RequestFault | null {
  const { code, constraint, detail } = error as { code?: string; constraint?: string; detail?: string }
  if (code !== '23505' || constraint !== 'keys_by_name') return null
  const [, namespace, name] = /\)=\([^,]+, ([^,]+), ([A-Za-z0-9._-]+)\)/.exec(detail ?? '') ?? []
  return new RequestFault(
    'key.name_taken',
    name ? `The namespace has a key named ${name}.` : 'The namespace has a key of this name.',
    {},
    { cause: { namespace, name } },
  )
}
