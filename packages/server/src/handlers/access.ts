import type { Output } from '@popsigner/api/routes'
import { decodeTypeId, encodeTypeId, uuidBytes, uuidText } from '@popsigner/crypto/typeid'
import type { Pool } from 'pg'
import type { Handlers } from '../http/app.ts'
import { RequestFault } from '../http/request-fault.ts'
import { newUuid } from '../ids.ts'
import { namespaceOf } from '../keys/create.ts'
import { type ApiKeyTerms, apiKeyRecord, insertApiKey } from '../tenants/api-keys.ts'
import type { Credential } from '../tenants/credential.ts'
import { createToken, tokenPrefix } from '../tenants/token.ts'
import { actorOf, decodeCursor, encodeCursor, replayedLeaf, requestClaim, type Services, uuidForm } from './services.ts'

type AccessHandlers = Pick<
  Handlers,
  | 'namespaces.create'
  | 'namespaces.list'
  | 'namespaces.delete'
  | 'apiKeys.create'
  | 'apiKeys.list'
  | 'apiKeys.delete'
  | 'apiKeys.rotate'
>
type NamespaceView = Output<'namespaces.create'>
type ApiKeyView = Output<'apiKeys.list'>['api_keys'][number]

/** Handlers of namespaces and API keys: who may come in, and where to. */
export function accessHandlers(services: Services): AccessHandlers {
  const { pool, changes } = services

  return {
    async 'namespaces.create'(context, { body }) {
      const { caller } = context
      if (caller.credential.namespaces)
        throw new RequestFault('scope.exceeds_caller', 'The API key is bound to namespaces, so it cannot make others.')
      const changed = await changes.run(actorOf(caller), async ({ organization }) => {
        const id = newUuid()
        const text = encodeTypeId('ns', id)
        return {
          records: [{ fields: { event: 'namespace.created', namespace: text }, texts: { name: body.name } }],
          change: { bump: true, namespaces: 1, namespaceLimit: organization.plan.namespaces },
          claim: requestClaim(context, '', body),
          async write(client, records) {
            try {
              await client.query(
                'insert into namespaces (id, organization_id, name, created_at) values ($1, $2, $3, $4)',
                [uuidText(id), organization.id, body.name, records[0]?.at],
              )
            } catch (error) {
              if ((error as { code?: string }).code === '23505')
                throw new RequestFault('namespace.name_taken', `The organization has a namespace named ${body.name}.`)
              throw error
            }
            return text
          },
        }
      })
      const id =
        changed.kind === 'made'
          ? changed.value
          : (await replayedLeaf(services, caller.credential.organization, changed.index, 'namespace.created')).namespace
      const [view] = await namespaceViews(
        pool,
        caller.credential,
        uuidText(decodeTypeId(id, 'ns') as Uint8Array),
        null,
        1,
      )
      if (!view) throw new RequestFault('namespace.not_found', 'The namespace has been deleted since.')
      return view
    },

    async 'namespaces.list'({ caller }, { query }) {
      const views = await namespaceViews(
        pool,
        caller.credential,
        null,
        decodeCursor(query.cursor, uuidForm),
        query.limit + 1,
      )
      const page = views.slice(0, query.limit)
      const last = page.at(-1)
      return {
        namespaces: page,
        next_cursor:
          views.length > query.limit && last
            ? encodeCursor([uuidText(decodeTypeId(last.id, 'ns') as Uint8Array)])
            : null,
      }
    },

    async 'namespaces.delete'(context, { params }) {
      const { credential } = context.caller
      await changes.run(actorOf(context.caller), async ({ organization }) => {
        const bytes = decodeTypeId(params.id, 'ns')
        const id = bytes && uuidText(bytes)
        const name = id === null ? undefined : organization.namespaces.get(id)
        if (!id || name === undefined || (credential.namespaces && !credential.namespaces.has(id)))
          throw new RequestFault('namespace.not_found', 'No namespace has this id.')
        return {
          records: [{ fields: { event: 'namespace.deleted', namespace: params.id }, texts: { name } }],
          change: { bump: true, namespaces: -1 },
          claim: null,
          async write(client) {
            const {
              rows: [held],
            } = await client.query<{ n: string }>(
              `select count(*) as n from keys k where namespace_id = $1 and exists (select 1 from key_versions v where v.key_id = k.id and v.state <> 'destroyed')`,
              [id],
            )
            if (Number(held?.n) > 0)
              throw new RequestFault('namespace.not_empty', `The namespace holds ${held?.n} keys.`)
            // Destroyed keys stay readable under the name their namespace had: the row stays, the name becomes free.
            await client.query('update namespaces set deleted_at = now() where id = $1', [id])
          },
        }
      })
      return null
    },

    async 'apiKeys.create'(context, { body }) {
      const { caller } = context
      const expiresAt = expiryOf(body.expires_at)
      const id = newUuid()
      const { text, stored } = await createToken(id)
      const changed = await changes.run(actorOf(caller), async ({ organization }) => {
        const credential = { ...caller.credential, organization }
        const terms = termsWithin(credential, {
          name: body.name,
          scopes: body.scopes,
          namespaces: body.namespaces?.map((name) => namespaceOf(credential, name)) ?? null,
          expiresAt,
        })
        return {
          records: [apiKeyRecord(id, terms)],
          change: { bump: true },
          claim: requestClaim(context, '', body),
          async write(client, records) {
            await insertApiKey(
              client,
              organization.id,
              id,
              terms,
              stored,
              records[0]?.at as Date,
              caller.credential.apiKey,
            )
            return encodeTypeId('ak', id)
          },
        }
      })
      if (changed.kind === 'made') return { ...(await apiKeyView(pool, caller.credential, changed.value)), token: text }
      const leaf = await replayedLeaf(services, caller.credential.organization, changed.index, 'api_key.created')
      return { ...(await apiKeyView(pool, caller.credential, leaf.api_key)), token: null }
    },

    async 'apiKeys.list'({ caller }, { query }) {
      const after = decodeCursor(query.cursor, uuidForm)
      const rows = await apiKeyRows(pool, caller.credential, null, after, query.limit + 1)
      const page = rows.slice(0, query.limit)
      return {
        api_keys: page.map((row) => viewApiKey(row)),
        next_cursor: rows.length > query.limit ? encodeCursor([(page.at(-1) as ApiKeyRow).id]) : null,
      }
    },

    async 'apiKeys.delete'(context, { params }) {
      await changes.run(actorOf(context.caller), async ({ organization }) => {
        const row = await findApiKey(pool, context.caller.credential, params.id)
        refuseBeyond(context.caller.credential, row.namespaces)
        return {
          records: [{ fields: { event: 'api_key.revoked', api_key: params.id }, texts: { name: row.name } }],
          change: { bump: true },
          claim: null,
          async write(client, records) {
            const { rowCount } = await client.query(
              'update api_keys set revoked_at = $3 where id = $1 and organization_id = $2 and revoked_at is null',
              [row.id, organization.id, records[0]?.at],
            )
            if (rowCount !== 1) throw notFound()
          },
        }
      })
      return null
    },

    async 'apiKeys.rotate'(context, { params, body }) {
      const { caller } = context
      const bytes = decodeTypeId(params.id, 'ak')
      if (!bytes) throw notFound()
      const { text, stored } = await createToken(bytes)
      const changed = await changes.run(actorOf(caller), async ({ organization }) => {
        const row = await findApiKey(pool, caller.credential, params.id)
        const expiresAt = body.expires_at === undefined ? row.expires_at : expiryOf(body.expires_at)
        termsWithin(
          { ...caller.credential, organization },
          { name: row.name, scopes: row.scopes, namespaces: row.namespaces, expiresAt },
        )
        const graceUntil = new Date(Date.now() + body.grace_seconds * 1000)
        return {
          records: [
            {
              fields: {
                event: 'api_key.rotated',
                api_key: params.id,
                grace_until: graceUntil.toISOString(),
                ...(expiresAt ? { expires_at: expiresAt.toISOString() } : {}),
              },
              texts: { name: row.name },
            },
          ],
          change: { bump: true },
          claim: requestClaim(context, params.id, body),
          async write(client) {
            const { rowCount } = await client.query(
              `update api_keys set previous_hash = hash, previous_fingerprint = fingerprint, grace_until = $3, hash = $4, fingerprint = $5, expires_at = $6
               where id = $1 and organization_id = $2 and revoked_at is null`,
              [row.id, organization.id, graceUntil, stored.hash, stored.fingerprint, expiresAt],
            )
            if (rowCount !== 1) throw notFound()
          },
        }
      })
      return { ...(await apiKeyView(pool, caller.credential, params.id)), token: changed.kind === 'made' ? text : null }
    },
  }
}

async function namespaceViews(
  pool: Pool,
  credential: Credential,
  id: string | null,
  after: string | null,
  limit: number,
): Promise<NamespaceView[]> {
  const { rows } = await pool.query<{ id: string; name: string; keys: string; created_at: Date }>(
    `select id, name, created_at,
       (select count(*) from keys k where k.namespace_id = n.id and exists (select 1 from key_versions v where v.key_id = k.id and v.state <> 'destroyed')) as keys
     from namespaces n where organization_id = $1 and deleted_at is null and ($2::uuid is null or id = $2) and ($3::uuid is null or id < $3) and ($4::uuid[] is null or id = any ($4))
     order by id desc limit $5`,
    [credential.organization.id, id, after, credential.namespaces && [...credential.namespaces], limit],
  )
  return rows.map((row) => ({
    id: encodeTypeId('ns', uuidBytes(row.id)),
    name: row.name,
    keys: Number(row.keys),
    created_at: row.created_at.toISOString(),
  }))
}

interface ApiKeyRow {
  id: string
  name: string
  scopes: ApiKeyView['scopes']
  namespaces: string[] | null
  namespace_names: string[] | null
  expires_at: Date | null
  last_used_at: Date | null
  grace_until: Date | null
  created_at: Date
}

async function apiKeyRows(
  pool: Pool,
  credential: Credential,
  id: string | null,
  after: string | null,
  limit: number,
): Promise<ApiKeyRow[]> {
  const { rows } = await pool.query<ApiKeyRow>(
    `select k.id, k.name, k.scopes, k.namespaces, k.expires_at, k.grace_until, k.created_at, u.last_used_at,
       (select array_agg(n.name order by n.name) from namespaces n where n.id = any (k.namespaces)) as namespace_names
     from api_keys k left join api_key_uses u on u.api_key_id = k.id
     where k.organization_id = $1 and k.revoked_at is null and ($2::uuid is null or k.id = $2) and ($3::uuid is null or k.id < $3)
       and ($5::uuid[] is null or k.namespaces <@ $5) order by k.id desc limit $4`,
    // One that is bound to namespaces lists only API keys that are bound within them.
    [
      credential.organization.id,
      id,
      after,
      limit,
      id === null && credential.namespaces ? [...credential.namespaces] : null,
    ],
  )
  return rows
}

async function findApiKey(pool: Pool, credential: Credential, text: string): Promise<ApiKeyRow> {
  const bytes = decodeTypeId(text, 'ak')
  const [row] = bytes ? await apiKeyRows(pool, credential, uuidText(bytes), null, 1) : []
  if (!row) throw notFound()
  return row
}

async function apiKeyView(pool: Pool, credential: Credential, text: string): Promise<ApiKeyView> {
  return viewApiKey(await findApiKey(pool, credential, text))
}

function viewApiKey(row: ApiKeyRow): ApiKeyView {
  const id = encodeTypeId('ak', uuidBytes(row.id))
  const grace = row.grace_until && row.grace_until.getTime() > Date.now() ? row.grace_until.toISOString() : null
  return {
    id,
    name: row.name,
    prefix: `${tokenPrefix}${tokenIdText(row.id)}`,
    scopes: row.scopes,
    namespaces: row.namespaces === null ? null : (row.namespace_names ?? []),
    expires_at: row.expires_at?.toISOString() ?? null,
    last_used_at: row.last_used_at?.toISOString() ?? null,
    grace_until: grace,
    created_at: row.created_at.toISOString(),
  }
}

/** The first digits of a token: those that its id alone decides. */
function tokenIdText(uuid: string): string {
  const digits = '0123456789abcdefghjkmnpqrstvwxyz'
  let text = ''
  let value = BigInt(`0x${uuid.replaceAll('-', '')}`) >> 3n
  for (let i = 0; i < 25; i++) {
    text = digits.charAt(Number(value & 31n)) + text
    value >>= 5n
  }
  return text
}

/** The terms, if they lie within the caller's own. Throws `scope.exceeds_caller`. */
function termsWithin(caller: Credential, terms: ApiKeyTerms): ApiKeyTerms {
  const scope = terms.scopes.find((wanted) => !caller.scopes.has(wanted))
  if (scope !== undefined)
    throw new RequestFault('scope.exceeds_caller', `The caller does not have the scope ${scope}.`)
  refuseBeyond(caller, terms.namespaces)
  if (caller.expiresAt !== null && (terms.expiresAt === null || terms.expiresAt.getTime() > caller.expiresAt)) {
    throw new RequestFault('scope.exceeds_caller', `The caller expires at ${new Date(caller.expiresAt).toISOString()}.`)
  }
  return terms
}

/** The expiry that a request names. Throws `request.invalid` for one that has passed. */
function expiryOf(text: string | null): Date | null {
  if (text === null) return null
  const time = new Date(text)
  if (time.getTime() <= Date.now()) {
    throw new RequestFault('request.invalid', 'One field is not accepted.', {
      errors: [{ field: 'expires_at', message: 'must be a time to come' }],
    })
  }
  return time
}

function notFound(): RequestFault {
  return new RequestFault('api_key.not_found', 'No API key has this id.')
}

/** Throws `scope.exceeds_caller` for an API key that reaches beyond the caller's namespaces. */
function refuseBeyond(caller: Credential, namespaces: readonly string[] | null): void {
  if (caller.namespaces && (namespaces === null || namespaces.some((id) => !caller.namespaces?.has(id)))) {
    throw new RequestFault('scope.exceeds_caller', 'The caller is bound to fewer namespaces.')
  }
}
