import { encodeTypeId, uuidText } from '@popsigner/crypto/typeid'
import { CustodyFault } from '@popsigner/custody/faults'
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

/** Under one change after another of the organization. */
const maximumDecisions = 20
/** Changes of one organization that have a connection at a time; its lock lets one of them on anyway. */
const changesPerOrganization = 2

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
  /**
   * Runs in the authorizing transaction, before the organization is locked where it can, so that nobody is held up by it. It
   * writes only rows that nothing can depend on before the commit, those of new keys. Throwing undoes everything.
   */
  prepare?(client: PoolClient, records: readonly RecordId[]): Promise<void>
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

/** The changes of one organization that are under way, and those that wait for them. */
interface Lane {
  running: number
  readonly waiting: { go(): void; refuse(fault: RequestFault): void }[]
}

/** Changes through `pool`, whose connections have `lock_timeout` set. */
export function createChanges(
  pool: Pool,
  organizations: Organizations,
  onAppended: (organization: string, size: number) => void,
): Changes {
  const lanes = new Map<string, Lane>()

  /** Runs `step` when few others of the organization's are under way: one that is held must not take every connection. */
  async function inLane<T>(organization: string, step: (lane: Lane) => Promise<T>): Promise<T> {
    const lane = lanes.get(organization) ?? { running: 0, waiting: [] }
    lanes.set(organization, lane)
    if (lane.running < changesPerOrganization) lane.running++
    else await new Promise<void>((go, refuse) => lane.waiting.push({ go, refuse }))
    try {
      return await step(lane)
    } finally {
      const next = lane.waiting.shift()
      if (next) next.go()
      else if (--lane.running === 0) lanes.delete(organization)
    }
  }

  async function attempt<T>(
    actor: Actor,
    change: Change<T>,
    lane: Lane,
    prepareFirst: boolean,
  ): Promise<Changed<T> | { kind: 'epoch'; epoch: number }> {
    // Before there is a connection: those who hold one and want another could wait for each other.
    const texts = await storeTexts(actor, change.records)
    let client: PoolClient | undefined = await pool.connect()
    let broken = false
    try {
      // Whoever waited for the connection is stamped when it is there.
      const stamp = Date.now()
      const { items, ids } = prepareRecords(actor, change.records, texts, change.claim, stamp)
      await client.query('begin')
      // A repeat would meet what the first request wrote.
      const prepares = prepareFirst && !(change.claim && (await isClaimed(client, actor.organization.id, change.claim)))
      if (prepares) await change.prepare?.(client, ids)
      const answers = await authorizeWithin(client, items, change.change)
      const refused = answers.find((answer) => answer.status !== 'authorized')
      if (refused) {
        // Those behind it would wait as long, one after the other, for the same answer.
        if (refused.status === 'busy') for (const one of lane.waiting.splice(0)) one.refuse(refusalOf(refused))
        await client.query('rollback')
        return settle(refused)
      }
      if (!prepares) await change.prepare?.(client, ids)
      const value = await change.write(client, ids)
      try {
        await client.query('commit')
      } catch (error) {
        client.release(true)
        client = undefined
        // The commit may have happened: the record says so.
        const found = await findRecord(pool, actor.organization.id, [items[0]?.record as Uint8Array], stamp)
        if (typeof found?.indexes[0] !== 'number') throw error
      }
      const last = answers.at(-1) as Extract<Authorization, { status: 'authorized' }>
      if (change.change.bump) organizations.supersede(actor.organization.id, -1)
      onAppended(actor.organization.id, last.index + 1)
      return { kind: 'made', value }
    } catch (error) {
      await client?.query('rollback').catch(() => {
        broken = true
      })
      // What collided may be what the same request wrote, sent twice at once.
      if (client && !broken && prepareFirst && change.prepare && change.claim) {
        if (await isClaimed(client, actor.organization.id, change.claim)) {
          client.release()
          client = undefined
          return attempt(actor, change, lane, false)
        }
      }
      throw refusedLock(error) ?? error
    } finally {
      client?.release(broken)
    }
  }

  return {
    async run(first, decide) {
      let actor = first
      for (let i = 0; i < maximumDecisions; i++) {
        const now = actor
        let change: Awaited<ReturnType<typeof decide>>
        try {
          change = await decide(now)
        } catch (error) {
          if (i > 0 || !isRetired(error)) throw error
          organizations.supersede(now.organization.id, -1)
          actor = await now.renew()
          continue
        }
        // Whom an epoch has passed by once goes the shorter way, which holds the organization for longer.
        const result = await inLane(now.organization.id, (lane) => attempt(now, change, lane, i === 0))
        if (result.kind !== 'epoch') return result
        organizations.supersede(now.organization.id, result.epoch)
        actor = await now.renew()
      }
      throw new RequestFault('organization.busy', 'The organization is being changed; try again.', {
        retryAfterSeconds: 1,
      })
    },
  }
}

async function isClaimed(client: PoolClient, organization: string, { claim }: Claim): Promise<boolean> {
  const { rowCount } = await client.query({
    name: 'is-claimed',
    text: 'select 1 from idempotency where organization_id = $1 and claim = $2',
    values: [organization, claim],
  })
  return rowCount === 1
}

/** The refusal for a row that another change held for too long. */
function refusedLock(error: unknown): RequestFault | null {
  const { code } = error as { code?: string }
  return code === '55P03' || code === '40P01' ? refusalOf({ status: 'busy' }) : null
}

/** Whether the signer refused a sealing key: a rotation may have ended it since the state was read. */
function isRetired(error: unknown): boolean {
  return (
    error instanceof CustodyFault && (error.code === 'custody.key_destroyed' || error.code === 'custody.not_opened')
  )
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

/** The texts that records commit to, stored: for each record those of the actor, then its own. */
export function storeTexts(actor: Actor, records: readonly NewRecord[]): Promise<(readonly Text[])[]> {
  return Promise.all(
    records.map(async ({ texts = {} }) => {
      const own = Object.entries(texts).map(([field, value]) => actor.committer.text(field as TextField, value))
      return [...actor.texts, ...(await Promise.all(own))]
    }),
  )
}

/** The items that append these records with their texts (`storeTexts`), and their ids. The claim goes with the first. */
export function prepareRecords(
  actor: Actor,
  records: readonly NewRecord[],
  texts: readonly (readonly Text[])[],
  claim: Claim | null,
  stamp: number,
): { items: AuthorizeItem[]; ids: RecordId[] } {
  const made = records.map((record, i) => leafOf(actor, record, texts[i] as readonly Text[], stamp))
  return {
    items: made.map(
      ({ id, leaf, references }, i): AuthorizeItem => ({
        organization: actor.organization.id,
        epoch: actor.organization.epoch,
        record: id,
        stamp,
        leaf,
        texts: references,
        charge: 0,
        limit: null,
        claim: i === 0 ? (claim?.claim ?? null) : null,
        body: i === 0 ? (claim?.body ?? null) : null,
      }),
    ),
    ids: made.map(({ id }): RecordId => ({ text: encodeTypeId('rec', id), uuid: uuidText(id), at: new Date(stamp) })),
  }
}

function leafOf(
  actor: Actor,
  record: NewRecord,
  texts: readonly Text[],
  stamp: number,
): { id: Uint8Array; leaf: Uint8Array; references: Uint8Array } {
  const id = newUuid()
  const text = encodeTypeId('rec', id)
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
  return { id, leaf, references: encodeTexts(texts) }
}
