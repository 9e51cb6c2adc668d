import { readExportTerms } from '@popsigner/api/schemas/keys'
import { decodeTypeId, encodeTypeId, uuidBytes, uuidText } from '@popsigner/crypto/typeid'
import type { CreatedKey } from '@popsigner/custody/custodian'
import type { RequestContext } from '../http/access.ts'
import { Answer, type Handlers } from '../http/app.ts'
import { RequestFault } from '../http/request-fault.ts'
import { creationRecord, insertKeys, type NewKey, newKey, specOf, termsOf } from '../keys/create.ts'
import { cancelDeletion, scheduleDeletion } from '../keys/deletion.ts'
import { rotateKey } from '../keys/rotate.ts'
import { updateKey } from '../keys/update.ts'
import { findKey, type KeyRow, type KeyView, keyColumns, keyTables, tagOf, viewKey } from '../keys/view.ts'
import type { Credential } from '../tenants/credential.ts'
import type { OrganizationState } from '../tenants/organization.ts'
import {
  actorOf,
  currentKey,
  decodeCursor,
  encodeCursor,
  replayedLeaf,
  requestClaim,
  type Services,
  uuidForm,
} from './services.ts'

/** Keys that the signer is asked for at a time, so that signatures come in between. */
const keysAtOnce = 4

type KeyHandlers = Pick<
  Handlers,
  | 'keys.create'
  | 'keys.createBatch'
  | 'keys.list'
  | 'keys.get'
  | 'keys.update'
  | 'keys.delete'
  | 'keys.cancelDeletion'
  | 'keys.history'
  | 'keys.rotate'
>

/** Handlers of a key's making, life and end. */
export function keyHandlers(services: Services): KeyHandlers {
  const { pool, changes, signer, keeper } = services

  /** Makes keys, all or none, and answers their rows in order. `repeat` finds those of an earlier request. */
  async function create(
    context: RequestContext,
    body: unknown,
    keysFor: (credential: Credential) => NewKey[],
  ): Promise<KeyRow[]> {
    const { caller } = context
    await keeper.prove(caller.credential.organization)
    const changed = await changes.run(actorOf(caller), async (actor) => {
      const credential = { ...caller.credential, organization: actor.organization }
      const keys = keysFor(credential)
      // Made first and unused: the record needs the public key. What the transaction does not store never existed.
      const made: CreatedKey[] = []
      for (let i = 0; i < keys.length; i += keysAtOnce) {
        const some = keys.slice(i, i + keysAtOnce)
        made.push(...(await Promise.all(some.map((key) => makeKey(actor.organization, key)))))
      }
      return {
        records: keys.map((key, i) => creationRecord(key, made[i] as CreatedKey)),
        change: { keys: keys.length, keyLimit: actor.organization.plan.keys },
        claim: requestClaim(context, '', body),
        prepare: (client, records) =>
          insertKeys(
            client,
            actor.organization,
            keys.map((key, i) => ({ key, made: made[i] as CreatedKey })),
            records,
            actor.actor,
            'generated',
          ),
        write: async () => keys.map((key) => key.uuid),
      }
    })
    if (changed.kind === 'made') return rowsOf(changed.value, caller.credential)
    const count = keysFor(caller.credential).length
    const leaves = await Promise.all(
      Array.from({ length: count }, (_, i) =>
        replayedLeaf(services, caller.credential.organization, changed.index + i, 'key.created'),
      ),
    )
    return rowsOf(
      leaves.map((leaf) => uuidText(decodeTypeId(leaf.key, 'key') as Uint8Array)),
      caller.credential,
    )
  }

  function makeKey(organization: OrganizationState, key: NewKey): Promise<CreatedKey> {
    return signer.create(key.id, currentKey(organization), specOf(organization, key, 1))
  }

  async function rowsOf(ids: readonly string[], credential: Credential): Promise<KeyRow[]> {
    const { rows } = await pool.query<KeyRow>(
      `select ${keyColumns} from ${keyTables} where k.id = any ($1) and k.organization_id = $2`,
      [ids, credential.organization.id],
    )
    const byId = new Map(rows.map((row) => [row.id, row]))
    return ids.map((id) => {
      const row = byId.get(id)
      if (!row) throw new Error('a key that was made is not there')
      return row
    })
  }

  return {
    async 'keys.create'(context, { body }) {
      const [row] = await create(context, body, (credential) => [
        newKey(credential, body.name, body.namespace, body.metadata, termsOf(body, readExportTerms(body))),
      ])
      return tagged(row as KeyRow)
    },

    async 'keys.createBatch'(context, { body }) {
      const named =
        'keys' in body
          ? body.keys
          : Array.from({ length: body.count }, (_, i) => ({
              name: `${body.prefix}-${i + 1}`,
              namespace: body.namespace,
              metadata: body.metadata,
            }))
      refuseRepeatedNames(named, 'keys' in body)
      const terms = termsOf(body, readExportTerms(body))
      try {
        const rows = await create(context, body, (credential) =>
          named.map(({ name, namespace, metadata }) => newKey(credential, name, namespace, metadata, terms)),
        )
        return { keys: rows.map(viewKey) }
      } catch (error) {
        throw 'keys' in body ? placed(error, named, context.caller.credential) : error
      }
    },

    async 'keys.list'({ caller }, { query }) {
      const { credential } = caller
      const after = decodeCursor(query.cursor, uuidForm)
      const namespaces = namespaceFilter(credential, query.namespace)
      const { rows } = await pool.query<KeyRow>(
        `select ${keyColumns} from ${keyTables}
         where k.organization_id = $1 and ($2::uuid is null or k.id < $2) and ($3::uuid[] is null or k.namespace_id = any ($3))
           and ($4::text is null or k.name = $4) and ($5::text is null or k.algorithm = $5)
           and ($6::text is null or exists (select 1 from key_versions v where v.key_id = k.id and v.version = k.primary_version and v.state = $6))
         order by k.id desc limit $7`,
        [
          credential.organization.id,
          after,
          namespaces,
          query.name ?? null,
          query.algorithm ?? null,
          query.state ?? null,
          query.limit + 1,
        ],
      )
      const page = rows.slice(0, query.limit)
      return {
        keys: page.map(viewKey),
        next_cursor: rows.length > query.limit ? encodeCursor([(page.at(-1) as KeyRow).id]) : null,
      }
    },

    async 'keys.get'({ caller }, { params }) {
      return tagged(await findKey(pool, caller.credential, params.id))
    },

    async 'keys.update'(context, { params, body }) {
      const match = context.headers['if-match']
      if (match === undefined)
        throw new RequestFault('request.if_match_required', 'Send the ETag of the key as If-Match.')
      await updateKey(services, context, params.id, body, match)
      return tagged(await findKey(pool, context.caller.credential, params.id))
    },

    async 'keys.delete'(context, { params, query }) {
      const destroyAt = await scheduleDeletion(services, context, params.id, query.waiting_days)
      return { state: 'deactivated', destroy_at: destroyAt.toISOString() }
    },

    async 'keys.cancelDeletion'(context, { params }) {
      await cancelDeletion(services, context, params.id)
      return tagged(await findKey(pool, context.caller.credential, params.id))
    },

    async 'keys.history'({ caller }, { params, query }) {
      const key = await findKey(pool, caller.credential, params.id)
      const before = decodeCursor(query.cursor, /^[0-9]{1,15}$/)
      const { rows } = await pool.query<{
        record_id: string
        revision: string
        event: string
        actor: string
        name: string
        metadata: Record<string, string>
        state: KeyView['state']
        version: number
        uses: KeyView['uses']
        schemes: KeyView['schemes']
        rotate_every_days: number | null
        at: Date
      }>(
        `select record_id, revision, event, actor, name, metadata, state, version, uses, schemes, rotate_every_days, at from key_history
         where key_id = $1 and ($2::bigint is null or revision < $2) order by revision desc limit $3`,
        [key.id, before, query.limit + 1],
      )
      const page = rows.slice(0, query.limit)
      return {
        history: page.map(({ record_id, at, revision: _, ...entry }) => ({
          ...entry,
          record_id: encodeTypeId('rec', uuidBytes(record_id)),
          changed_at: at.toISOString(),
        })),
        next_cursor: rows.length > query.limit ? encodeCursor([(page.at(-1) as { revision: string }).revision]) : null,
      }
    },

    async 'keys.rotate'(context, { params, body }) {
      const { previous } = await rotateKey(services, context, params.id, body.keep_active)
      const row = await findKey(pool, context.caller.credential, params.id)
      const view = viewKey(row)
      const old = view.versions.find((version) => version.version === previous)
      if (!old) throw new Error('a rotated key without its previous version')
      return new Answer({ ...view, previous: old }, { headers: { etag: tagOf(row) } })
    },
  }
}

function tagged(row: KeyRow): Answer<KeyView> {
  return new Answer(viewKey(row), { headers: { etag: tagOf(row) } })
}

/** The namespaces to look in: the one that was named, those the API key is bound to, or null for all. */
function namespaceFilter(credential: Credential, name: string | undefined): string[] | null {
  if (name === undefined) return credential.namespaces ? [...credential.namespaces] : null
  for (const [id, known] of credential.organization.namespaces) {
    if (known === name && (credential.namespaces === null || credential.namespaces.has(id))) return [id]
  }
  throw new RequestFault('namespace.not_found', `No namespace is named ${name}.`)
}

function refuseRepeatedNames(named: readonly { name: string; namespace: string }[], listed: boolean): void {
  const seen = new Set<string>()
  const errors = named.flatMap(({ name, namespace }, i) => {
    const full = `${namespace}/${name}`
    const repeated = seen.has(full)
    seen.add(full)
    return repeated ? [{ field: listed ? `keys[${i}].name` : 'prefix', message: 'stands twice in this request' }] : []
  })
  if (errors.length > 0) throw new RequestFault('request.invalid', 'A name stands twice.', { errors })
}

/** The same refusal with the place in the request that it is about. */
function placed(
  error: unknown,
  named: readonly { name: string; namespace: string }[],
  { organization }: Credential,
): unknown {
  if (!(error instanceof RequestFault)) return error
  const field = error.code === 'key.name_taken' ? 'name' : error.code === 'namespace.not_found' ? 'namespace' : null
  if (!field) return error
  const taken = error.cause as { namespace?: string; name?: string } | undefined
  const i = named.findIndex((key) =>
    field === 'name'
      ? key.name === taken?.name && key.namespace === organization.namespaces.get(taken.namespace ?? '')
      : error.detail.text.endsWith(` ${key.namespace}.`),
  )
  return i < 0
    ? error
    : new RequestFault(error.code, error.detail.text, {
        errors: [
          {
            field: `keys[${i}].${field}`,
            message: field === 'name' ? 'is taken in its namespace' : 'is not a namespace',
          },
        ],
      })
}
