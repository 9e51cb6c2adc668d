import { encodeTypeId, uuidText } from '@popsigner/crypto/typeid'
import { buildLeaf, type LeafInput } from '@popsigner/transparency/record'
import type { Pool, PoolClient } from 'pg'
import {
  type Authorization,
  type AuthorizeItem,
  authorizeWithin,
  type OrganizationChange,
} from './authorize/authorizer.ts'
import { findRecord } from './authorize/find-record.ts'
import { RequestFault } from './http/request-fault.ts'
import { newUuid } from './ids.ts'
import type { Committer } from './log/commitments.ts'
import { commit, type Text } from './log/commitments.ts'
import { encodeTexts, type TextField } from './log/leaves.ts'
import { type Claim, refusalOf } from './signing/signing.ts'
import type { OrganizationState, Organizations } from './tenants/organization.ts'

const maximumDecisions = 6

/** The fields every leaf has; the rest is the event's own. */
type CommonField = 'v' | 'log' | 'id' | 'time' | 'actor' | 'request' | 'address' | 'user_agent'
type EventFields<L> = L extends unknown ? Omit<L, CommonField | 'name' | 'metadata'> : never

/** A record to append: its event's own fields in clear, and the texts that it commits to. */
export interface NewRecord {
  readonly fields: EventFields<LeafInput>
  readonly texts?: { readonly name?: string; readonly metadata?: string }
}

/** Who makes a change: a caller of the API, the host at the admin socket, or the system itself. */
export interface Actor {
  readonly organization: OrganizationState
  /** `ak_…`, `host` or `system`. */
  readonly actor: string
  readonly committer: Committer
  readonly request?: string
  readonly texts: readonly Text[]
  /** The same under the present epoch. Rejects when it may no longer act. */
  renew(): Promise<Actor>
}

/** A record's id, as text and as the database has it. */
export interface RecordId {
  readonly text: string
  readonly uuid: string
  readonly at: Date
}

/** One change: what it records, what it counts, and the rows it writes beside that. */
export interface Change<T> {
  readonly records: readonly NewRecord[]
  readonly change: OrganizationChange
  readonly claim: Claim | null
  /** Runs in the authorizing transaction, after the records are in. Throwing undoes everything. */
  write(client: PoolClient, records: readonly RecordId[]): Promise<T>
}

/** A change made, or the index of the record that an earlier request with the same idempotency key led to. */
export type Changed<T> =
  | { readonly kind: 'made'; readonly value: T }
  | { readonly kind: 'replayed'; readonly index: number }

export interface Changes {
  /**
   * Makes a change as `decide` says, deciding anew whenever the organization's epoch has moved meanwhile. Rejects with
   * `RequestFault` for what is refused, after which nothing was written.
   */
  run<T>(actor: Actor, decide: (actor: Actor) => Promise<Change<T>>): Promise<Changed<T>>
}

/** Changes through `pool`, whose connections have `lock_timeout` set. */
export function createChanges(
  pool: Pool,
  organizations: Organizations,
  onAppended: (organization: string, size: number) => void,
): Changes {
  async function attempt<T>(actor: Actor, change: Change<T>): Promise<Changed<T> | { kind: 'epoch'; epoch: number }> {
    const stamp = Date.now()
    const { items, ids } = await prepareRecords(actor, change.records, change.claim, stamp)
    const client = await pool.connect()
    let broken = false
    try {
      await client.query('begin')
      const answers = await authorizeWithin(client, items, change.change)
      const refused = answers.find((answer) => answer.status !== 'authorized')
      if (refused) {
        await client.query('rollback')
        return settle(refused)
      }
      const value = await change.write(client, ids)
      try {
        await client.query('commit')
      } catch (error) {
        broken = true
        // The commit may have happened: the record says so.
        const found = await findRecord(pool, actor.organization.id, [items[0]?.record as Uint8Array])
        if (typeof found?.indexes[0] !== 'number') throw error
      }
      const last = answers.at(-1) as Extract<Authorization, { status: 'authorized' }>
      if (change.change.bump) organizations.supersede(actor.organization.id, -1)
      onAppended(actor.organization.id, last.index + 1)
      return { kind: 'made', value }
    } catch (error) {
      if (!broken)
        await client.query('rollback').catch(() => {
          broken = true
        })
      throw error
    } finally {
      client.release(broken)
    }
  }

  return {
    async run(first, decide) {
      let actor = first
      for (let i = 0; i < maximumDecisions; i++) {
        const result = await attempt(actor, await decide(actor))
        if (result.kind !== 'epoch') return result
        organizations.supersede(actor.organization.id, result.epoch)
        actor = await actor.renew()
      }
      throw new RequestFault('organization.busy', 'The organization is being changed; try again.', {
        retryAfterSeconds: 1,
      })
    },
  }
}

function settle(answer: Authorization): { kind: 'epoch'; epoch: number } | { kind: 'replayed'; index: number } {
  switch (answer.status) {
    case 'epoch':
      return { kind: 'epoch', epoch: answer.epoch }
    case 'replayed':
      if (answer.sameBody) return { kind: 'replayed', index: answer.index }
      throw new RequestFault(
        'idempotency.body_mismatch',
        'This Idempotency-Key was used in the last 24 hours with another body.',
      )
    case 'authorized':
      throw new TypeError('settle: nothing was refused')
    default:
      throw refusalOf(answer)
  }
}

/** The items that append these records, and their ids. The claim goes with the first. */
export async function prepareRecords(
  actor: Actor,
  records: readonly NewRecord[],
  claim: Claim | null,
  stamp: number,
): Promise<{ items: AuthorizeItem[]; ids: RecordId[] }> {
  const made = await Promise.all(records.map((record) => leafOf(actor, record, stamp)))
  return {
    items: made.map(
      ({ id, leaf, texts }, i): AuthorizeItem => ({
        organization: actor.organization.id,
        epoch: actor.organization.epoch,
        record: id,
        stamp,
        leaf,
        texts,
        charge: 0,
        limit: null,
        claim: i === 0 ? (claim?.claim ?? null) : null,
        body: i === 0 ? (claim?.body ?? null) : null,
      }),
    ),
    ids: made.map(({ id }): RecordId => ({ text: encodeTypeId('rec', id), uuid: uuidText(id), at: new Date(stamp) })),
  }
}

async function leafOf(
  actor: Actor,
  record: NewRecord,
  stamp: number,
): Promise<{ id: Uint8Array; leaf: Uint8Array; texts: Uint8Array }> {
  const id = newUuid()
  const text = encodeTypeId('rec', id)
  const own = await Promise.all(
    Object.entries(record.texts ?? {}).map(([field, value]) =>
      actor.committer.text(field as TextField, value as string),
    ),
  )
  const texts = [...actor.texts, ...own]
  const commitments = Object.fromEntries(texts.map((t) => [t.field, commit(t, text)]))
  const leaf = buildLeaf({
    ...record.fields,
    ...commitments,
    log: actor.organization.log,
    id: text,
    time: new Date(stamp).toISOString(),
    actor: actor.actor,
    ...(actor.request === undefined ? {} : { request: actor.request }),
  } as LeafInput)
  return { id, leaf, texts: encodeTexts(texts) }
}
