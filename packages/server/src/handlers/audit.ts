import { isIP } from 'node:net'
import type { Input, Output } from '@popsigner/api/routes'
import { sha256 } from '@popsigner/crypto/hash-native'
import { decodeTypeId, encodeTypeId, uuidBytes, uuidText } from '@popsigner/crypto/typeid'
import { CustodyFault } from '@popsigner/custody/faults'
import {
  encodeVerifierKey,
  NOTE_COSIGNATURE,
  NOTE_ED25519,
  parseCheckpoint,
  verifierKey,
} from '@popsigner/transparency/checkpoint'
import { receiptText } from '@popsigner/transparency/receipt'
import { commitmentSalt, type LeafRecord, parseLeaf } from '@popsigner/transparency/record'
import { consistencyPath, inclusionPath } from '@popsigner/transparency/tiles'
import { bech32 } from '@scure/base'
import type { Pool } from 'pg'
import { Answer, type Handlers } from '../http/app.ts'
import { RequestFault } from '../http/request-fault.ts'
import type { StoredCheckpoint } from '../log/keeper.ts'
import { decodeTexts, type TextReference } from '../log/leaves.ts'
import { actorsOfOurs, dataHashColumn } from '../log/projection.ts'
import type { Credential } from '../tenants/credential.ts'
import { decodeCursor, encodeCursor, type Services } from './services.ts'

type AuditHandlers = Pick<
  Handlers,
  | 'audit.list'
  | 'audit.get'
  | 'audit.receipt'
  | 'audit.checkpoint'
  | 'audit.consistency'
  | 'audit.logKey'
  | 'signer.get'
>
type RecordView = Output<'audit.get'>
type Query = Input<'audit.list'>['query']

const coverMilliseconds = 2_000
/** A record younger than this may not be projected yet when it is asked for. */
const youngMilliseconds = 60_000
const commonFields: ReadonlySet<string> = new Set([
  'v',
  'log',
  'id',
  'time',
  'event',
  'actor',
  'request',
  'address',
  'user_agent',
  'key',
  'name',
  'metadata',
])

interface RecordRow {
  index: string
  id: string
  batch: string
  batch_size: number
  leaf: Buffer
  /** Where the leaf was removed: its hash. */
  removed: Buffer | null
  time: Date
  ip_address: string | null
  user_agent: string | null
}

const recordColumns = `r.index, r.id, r.batch, b.size as batch_size, substring(b.leaves from r.leaf_offset + 1 for r.leaf_length) as leaf,
  case when r.leaf_length = 0 then substring(b.leaves from r.leaf_offset + 1 for 32) end as removed, r.time,
  ip.value as ip_address, agent.value as user_agent`
const recordTables = `records r join batches b on b.organization_id = r.organization_id and b.tree_size = r.batch
  left join texts ip on ip.id = r.address left join texts agent on agent.id = r.user_agent`

/** Handlers that read the log and prove what is in it. */
export function auditHandlers(services: Services): AuditHandlers {
  const { pool, keeper, signer, instance } = services

  async function find(credential: Credential, id: string): Promise<RecordRow> {
    const bytes = decodeTypeId(id, 'rec')
    if (!bytes) throw notFound()
    const { organization } = credential
    const look = async (): Promise<RecordRow | undefined> => {
      const {
        rows: [row],
      } = await pool.query<RecordRow>(
        `select ${recordColumns} from ${recordTables} where r.organization_id = $1 and r.id = $2 and ${visible(credential, 3)}`,
        [organization.id, uuidText(bytes), ...visibleValues(credential)],
      )
      return row
    }
    const row = await look()
    if (row) return readable(row)
    const made = Number(BigInt(`0x${Buffer.from(bytes.subarray(0, 6)).toString('hex')}`))
    if (Math.abs(Date.now() - made) > youngMilliseconds) throw notFound()
    await keeper.refresh(organization.id)
    return readable((await look()) ?? refuse(notFound()))
  }

  return {
    async 'audit.list'({ caller }, { query }) {
      const { credential } = caller
      const descending = query.order === 'desc'
      const after = decodeCursor(query.cursor, /^[0-9]{1,16}$/)
      const { where, values } = await conditions(pool, credential, query)
      const place = after === null ? 'true' : `r.index ${descending ? '<' : '>'} $${values.push(after)}`
      const { rows } = await pool.query<RecordRow>(
        `select ${recordColumns} from ${recordTables} where ${where} and ${place} order by r.index ${query.order} limit ${query.limit + 1}`,
        values,
      )
      const page = rows.slice(0, query.limit)
      return {
        logs: page.map((row) => {
          if (row.leaf.length === 0) return viewRemoved(row)
          return { ...viewRecord(row), ...(query.include === 'leaf' ? { leaf_data: row.leaf.toString('base64') } : {}) }
        }),
        next_cursor: rows.length > query.limit ? encodeCursor([(page.at(-1) as RecordRow).index]) : null,
      }
    },

    async 'audit.get'({ caller }, { params }) {
      return viewRecord(await find(caller.credential, params.id))
    },

    async 'audit.receipt'(context, { params }) {
      const { credential } = context.caller
      const type = acceptedType(context.headers.accept)
      const row = await find(credential, params.id)
      const index = Number(row.index)
      const checkpoint = await covering(credential, index + 1)
      const tree = await keeper.tree(credential.organization.id, checkpoint.size)
      const path = await inclusionPath(tree, index, checkpoint.size, sha256)
      const openings = await openingsOf(pool, credential, row)
      const receipt = {
        record: viewRecord(row),
        leaf_data: row.leaf.toString('base64'),
        leaf_index: index,
        tree_size: checkpoint.size,
        inclusion_path: path.map((hash) => Buffer.from(hash).toString('base64')),
        checkpoint: checkpoint.note,
        ...(Object.keys(openings).length === 0 ? {} : { openings }),
      }
      return type === 'text'
        ? new Answer<typeof receipt | string>(receiptText(receipt), { type: 'text/plain; charset=utf-8' })
        : receipt
    },

    async 'audit.checkpoint'({ caller }) {
      const checkpoint =
        (await keeper.checkpoint(caller.credential.organization.id)) ?? (await covering(caller.credential, 1))
      const { origin, size, root } = parseCheckpoint(checkpoint.note)
      return { origin, size, root: Buffer.from(root).toString('base64'), checkpoint: checkpoint.note }
    },

    async 'audit.consistency'({ caller }, { query }) {
      const tree = await keeper.refresh(caller.credential.organization.id)
      if (query.old_size > query.new_size) throw new RequestFault('log.range_invalid', 'old_size is above new_size.')
      if (query.new_size > tree.size) throw new RequestFault('log.range_invalid', `The log has ${tree.size} records.`)
      const path = await consistencyPath(tree, query.old_size, query.new_size, sha256)
      return {
        old_size: query.old_size,
        new_size: query.new_size,
        path: path.map((hash) => Buffer.from(hash).toString('base64')),
      }
    },

    'audit.logKey'({ caller }) {
      const { organization } = caller.credential
      const identity = identityOf()
      return {
        origin: organization.log,
        public_key: organization.logPublicKey.toString('hex'),
        verifier_key: encodeVerifierKey(verifierKey(organization.log, NOTE_ED25519, organization.logPublicKey)),
        instance: {
          name: instance,
          public_key: identity.toString('hex'),
          verifier_key: encodeVerifierKey(verifierKey(instance, NOTE_COSIGNATURE, identity)),
        },
      }
    },

    'signer.get'({ caller }) {
      const identity = identityOf()
      const capabilities = signer.capabilities
      if (!capabilities) throw new CustodyFault('custody.unavailable', null)
      return {
        instance,
        organization: caller.credential.organization.text,
        public_key: identity.toString('hex'),
        verifier_key: encodeVerifierKey(verifierKey(instance, NOTE_COSIGNATURE, identity)),
        log: caller.credential.organization.log,
        algorithms: capabilities.algorithms as Output<'signer.get'>['algorithms'],
        locked_memory: capabilities.memory.locked,
      }
    },
  }

  function identityOf(): Buffer {
    const identity = signer.capabilities?.identity
    if (!identity) throw new CustodyFault('custody.unavailable', null)
    return Buffer.from(identity)
  }

  async function covering(credential: Credential, size: number): Promise<StoredCheckpoint> {
    const checkpoint = await keeper.covering(credential.organization.id, size, coverMilliseconds)
    if (checkpoint) return checkpoint
    if (keeper.behind().includes(credential.organization.id))
      throw new RequestFault('log.behind', 'The log does not extend what the signer has seen.', {
        retryAfterSeconds: 5,
      })
    throw new RequestFault('receipt.not_ready', 'No checkpoint covers the record yet.', { retryAfterSeconds: 1 })
  }
}

/** An API key that is bound to namespaces sees the records of keys in those, and its own. */
function visible(credential: Credential, first: number): string {
  return credential.namespaces === null
    ? 'true'
    : `(r.actor = $${first} or exists (select 1 from keys k where k.id = r.key_id and k.namespace_id = any ($${first + 1})))`
}

function visibleValues(credential: Credential): unknown[] {
  return credential.namespaces === null ? [] : [credential.apiKey, [...credential.namespaces]]
}

async function conditions(
  pool: Pool,
  credential: Credential,
  query: Query,
): Promise<{ where: string; values: unknown[] }> {
  const values: unknown[] = [credential.organization.id]
  const parts = ['r.organization_id = $1']
  // What retention removed is of use only to who recomputes the log.
  if (query.include !== 'leaf') parts.push('r.leaf_length > 0')
  const add = (condition: (place: string) => string, value: unknown): void => {
    parts.push(condition(`$${values.push(value)}`))
  }
  if (credential.namespaces) {
    parts.push(visible(credential, values.length + 1))
    values.push(...visibleValues(credential))
  }
  if (query.start_time) add((p) => `r.time >= ${p}`, new Date(query.start_time))
  if (query.end_time) add((p) => `r.time < ${p}`, new Date(query.end_time))
  // The second condition is what lets the index of rare events be used.
  if (query.event_type)
    add(
      (p) =>
        rare(query.event_type as string)
          ? `r.event = ${p} and r.event not in ('key.signed', 'auth.api_key_used')`
          : `r.event = ${p}`,
      query.event_type,
    )
  if (query.key_id) add((p) => `r.key_id = ${p}`, uuidOf(query.key_id, 'key'))
  if (query.actor) add((p) => `r.actor = ${p}`, actorsOfOurs[query.actor] ?? uuidOf(query.actor, 'ak'))
  if (query.data_hash) {
    const hex = query.data_hash.replace(/^sha256:/, '')
    add((p) => `r.data_hash = ${p}`, dataHashColumn(hex))
    // The column holds the first 8 bytes; the leaf has them all.
    add(
      (p) => `position(${p} in convert_from(substring(b.leaves from r.leaf_offset + 1 for r.leaf_length), 'UTF8')) > 0`,
      `"data_hash":"${hex}"`,
    )
  }
  if (query.address !== undefined) {
    if (isIP(query.address)) {
      const { rows } = await pool.query<{ id: string }>(
        `select id from texts where organization_id = $1 and field = 'address' and value = $2`,
        [credential.organization.id, query.address],
      )
      add(
        (p) => `r.address = any (${p}::bigint[])`,
        rows.map((row) => row.id),
      )
    } else {
      add(
        (p) => `r.key_id = any (${p}::uuid[])`,
        await keysWithAddress(pool, credential.organization.id, query.address),
      )
    }
  }
  return { where: parts.join(' and '), values }
}

function rare(event: string): boolean {
  return event !== 'key.signed' && event !== 'auth.api_key_used'
}

/** The keys of the organization that have a version with this Cosmos or Ethereum address. */
async function keysWithAddress(pool: Pool, organization: string, address: string): Promise<string[]> {
  let column = 'ethereum_account'
  let account: Buffer
  if (/^0x[0-9a-fA-F]{40}$/.test(address)) account = Buffer.from(address.slice(2), 'hex')
  else {
    const decoded = bech32.decodeUnsafe(address)
    const bytes = decoded && bech32.fromWordsUnsafe(decoded.words)
    if (!bytes)
      throw new RequestFault('request.invalid', 'One field is not accepted.', {
        errors: [{ field: 'address', message: 'must be a network address, or a Cosmos or Ethereum address' }],
      })
    column = 'cosmos_account'
    account = Buffer.from(bytes)
  }
  const { rows } = await pool.query<{ id: string }>(
    `select distinct k.id from key_versions v join keys k on k.id = v.key_id where v.${column} = $1 and k.organization_id = $2`,
    [account, organization],
  )
  return rows.map((row) => row.id)
}

/** A leaf that this instance wrote: it was checked when it was built, and whoever verifies checks it again. */
function readOwnLeaf(leaf: Buffer): LeafRecord {
  return JSON.parse(leaf.toString('utf8')) as LeafRecord
}

function viewRecord(row: RecordRow): RecordView {
  const leaf: LeafRecord & { key?: string } = readOwnLeaf(row.leaf)
  const metadata: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(leaf)) {
    if (!commonFields.has(name)) metadata[name] = name === 'data_hash' ? `sha256:${String(value)}` : value
  }
  return {
    id: leaf.id,
    event: leaf.event,
    key_id: leaf.key ?? null,
    actor: leaf.actor,
    ip_address: row.ip_address,
    user_agent: row.user_agent,
    timestamp: leaf.time,
    request_id: leaf.request ?? null,
    leaf_index: Number(row.index),
    metadata: metadata as RecordView['metadata'],
  }
}

/** What is left of a record that retention removed: its place, and the hash that keeps every proof whole. */
function viewRemoved(row: RecordRow): Output<'audit.list'>['logs'][number] {
  return {
    id: encodeTypeId('rec', uuidBytes(row.id)),
    event: 'record.removed',
    key_id: null,
    actor: 'system',
    ip_address: null,
    user_agent: null,
    timestamp: row.time.toISOString(),
    request_id: null,
    leaf_index: Number(row.index),
    leaf_data: null,
    leaf_hash: (row.removed as Buffer).toString('base64'),
    metadata: {},
  }
}

/** What opens the record's commitments: every text that is kept, with its salt. */
async function openingsOf(
  pool: Pool,
  credential: Credential,
  row: RecordRow,
): Promise<Record<string, { salt: string; value: string }>> {
  const leaf = parseLeaf(row.leaf)
  const actor = actorsOfOurs[leaf.actor] ?? uuidOf(leaf.actor, 'ak')
  const {
    rows: [batch],
  } = await pool.query<{ texts: Buffer; erasure_key: Buffer | null }>(
    `select texts, (select erasure_key from actors a where a.organization_id = b.organization_id and a.actor = $3) as erasure_key
     from batches b where organization_id = $1 and tree_size = $2`,
    [credential.organization.id, row.batch, actor],
  )
  if (!batch?.erasure_key) return {}
  const references: TextReference[] =
    decodeTexts(batch.texts)[Number(row.index) - (Number(row.batch) - row.batch_size)] ?? []
  const { rows: texts } = await pool.query<{ id: string; value: string }>(
    'select id, value from texts where id = any ($1::bigint[]) and organization_id = $2',
    [references.map((r) => r.id.toString()), credential.organization.id],
  )
  const openings: Record<string, { salt: string; value: string }> = {}
  for (const reference of references) {
    const text = texts.find((t) => t.id === reference.id.toString())
    if (text)
      openings[reference.field] = {
        salt: Buffer.from(commitmentSalt(batch.erasure_key, leaf.id, reference.field)).toString('base64'),
        value: text.value,
      }
  }
  return openings
}

function acceptedType(accept: string | undefined): 'json' | 'text' {
  if (accept === undefined) return 'json'
  const types = accept.split(',').map((part) => part.split(';', 1)[0]?.trim().toLowerCase())
  for (const type of types) {
    if (type === 'application/json' || type === '*/*' || type === 'application/*') return 'json'
    if (type === 'text/plain' || type === 'text/*') return 'text'
  }
  throw new RequestFault('request.not_acceptable', 'This route answers application/json and text/plain.')
}

/** A record whose leaf retention has removed has a hash in its place. */
function readable(row: RecordRow): RecordRow {
  if (row.leaf.length === 0)
    throw new RequestFault('record.expired', 'The record was removed when its retention ended.')
  return row
}

function uuidOf(text: string, prefix: string): string {
  const bytes = decodeTypeId(text, prefix)
  if (!bytes)
    throw new RequestFault('request.invalid', 'One field is not accepted.', {
      errors: [{ field: `${prefix}_id`, message: 'is no id' }],
    })
  return uuidText(bytes)
}

function notFound(): RequestFault {
  return new RequestFault('record.not_found', 'No record has this id.')
}

function refuse(fault: RequestFault): never {
  throw fault
}
