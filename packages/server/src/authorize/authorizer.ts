import type { Pool, PoolClient, QueryResult } from 'pg'
import { findRecord } from './find-record.ts'

/** One thing to make durable: a leaf, what it costs, and what it must not repeat. */
export interface AuthorizeItem {
  /** The organization, as uuid text. */
  readonly organization: string
  /** The epoch that the item was decided under. */
  readonly epoch: number
  /** The record's id, as 16 bytes: by it a commit of unknown outcome is looked up. */
  readonly record: Uint8Array
  /** Milliseconds: the time that stands in the leaf. */
  readonly stamp: number
  readonly leaf: Uint8Array
  /** What opens the leaf's commitments (see `encodeTexts`). */
  readonly texts: Uint8Array
  /** Signatures taken from the quota: 1, 0, or -1 to give one back. */
  readonly charge: -1 | 0 | 1
  readonly limit: number | null
  /** The claim of an idempotency key and the hash of the body, both uuid text; or neither. A charge of -1 lets go of it. */
  readonly claim: string | null
  readonly body: string | null
  /** What the search table will say of the record, where that is at hand; otherwise it is read from the leaf. */
  readonly row?: RecordRow
}

/** A record as the search table has it: ids as uuid text, numbers as decimal text. */
export interface RecordRow {
  readonly id: string
  readonly time: string
  readonly event: string
  readonly actor: string
  readonly key: string | null
  /** The first 8 bytes of data_hash as a signed number. */
  readonly dataHash: string | null
  /** Ids of texts. */
  readonly address: string | null
  readonly userAgent: string | null
  /** Hex. */
  readonly leafHash: string
}

/** What one transaction appended to one log: the items whose leaves stand from index `first` on. */
export interface AppendedBatch {
  readonly first: number
  readonly items: readonly AuthorizeItem[]
}

/** What a whole organization's share of a transaction changes besides its log. */
export interface OrganizationChange {
  /** Raise the epoch: everything decided before is decided again. */
  readonly bump?: boolean
  readonly keys?: number
  readonly keyLimit?: number | null
  readonly namespaces?: number
  readonly namespaceLimit?: number | null
}

/** An item's answer. Everything but `authorized` means that nothing of the item was written. */
export type Authorization =
  | { readonly status: 'authorized'; readonly index: number; readonly epoch: number; readonly committedAt: number }
  | { readonly status: 'replayed'; readonly index: number; readonly sameBody: boolean; readonly epoch: number }
  | { readonly status: 'epoch'; readonly epoch: number }
  | { readonly status: 'quota' }
  | { readonly status: 'keys' }
  | { readonly status: 'namespaces' }
  | { readonly status: 'busy' }
  | { readonly status: 'skewed' }
  | { readonly status: 'unavailable' }

/** Something that can run the authorizing statement: the pool for a batch on its own, a client inside a transaction. */
type Connection = Pick<PoolClient, 'query'>

interface Entry {
  readonly item: AuthorizeItem
  readonly settle: (authorization: Authorization) => void
}

interface Queue {
  pending: Entry[]
  flights: number
  /** Its row was held when last tried: until that clears it flies alone, so that it delays nobody. */
  held: boolean
}

interface AuthorizeRow {
  status: 'done' | 'epoch' | 'keys' | 'namespaces' | 'locked'
  first_index: string
  current_epoch: string
  outcomes: string[] | null
  replayed_index: string[] | null
  replayed_match: boolean[] | null
}

const maximumBatch = 1000
const flightsPerOrganization = 2

const text = `select * from authorize($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16,$17,$18)`

export interface AuthorizerOptions {
  /** Its connections must have `lock_timeout` set (250 ms): it bounds how long a held organization can wait. */
  readonly pool: Pool
  /** Transactions under way at once; at most the pool's size. */
  readonly flights: number
  /** Told of every organization whose log grew, with its new size, and by what where that is known. */
  readonly onAppended: (organization: string, size: number, batch?: AppendedBatch) => void
  readonly observe?: (items: number, seconds: number) => void
}

export interface Authorizer {
  /** Answers when the item is durable, or refused. Never throws for one item. */
  submit(item: AuthorizeItem): Promise<Authorization>
  /** The same with a callback, for the signing path. */
  enqueue(item: AuthorizeItem, settle: (authorization: Authorization) => void): void
  /** Waits until nothing is in flight. */
  idle(): Promise<void>
}

/**
 * Group commit without timers: whatever arrives for an organization while two of its transactions are under way is the next
 * batch. Organizations share a transaction when they are ready together; one whose row is held elsewhere is set apart, waits
 * at most the lock timeout, and is then answered `busy`.
 */
export function createAuthorizer({
  pool,
  flights: maximumFlights,
  onAppended,
  observe,
}: AuthorizerOptions): Authorizer {
  const queues = new Map<string, Queue>()
  const ready = new Set<string>()
  const waitingForIdle: (() => void)[] = []
  let flights = 0
  let scheduled = false

  function enqueue(item: AuthorizeItem, settle: (authorization: Authorization) => void): void {
    let queue = queues.get(item.organization)
    if (!queue) {
      queue = { pending: [], flights: 0, held: false }
      queues.set(item.organization, queue)
    }
    queue.pending.push({ item, settle })
    ready.add(item.organization)
    schedule()
  }

  function schedule(): void {
    if (scheduled) return
    scheduled = true
    setImmediate(depart)
  }

  function depart(): void {
    scheduled = false
    const shared: Entry[][] = []
    const boarded: string[] = []
    let seats = maximumBatch
    for (const organization of ready) {
      if (flights >= maximumFlights) break
      const queue = queues.get(organization) as Queue
      if (queue.pending.length === 0) {
        ready.delete(organization)
        continue
      }
      if (queue.flights >= (queue.held ? 1 : flightsPerOrganization)) continue
      if (queue.held) {
        fly([board(queue, maximumBatch)], [organization])
        continue
      }
      if (seats === 0) continue
      const entries = board(queue, seats)
      seats -= entries.length
      shared.push(entries)
      boarded.push(organization)
    }
    if (shared.length > 0) fly(shared, boarded)
  }

  /** Takes a queue's first items, of one calendar month only: a batch's signatures count in one period. */
  function board(queue: Queue, seats: number): Entry[] {
    let n = Math.min(queue.pending.length, seats)
    const month = monthOf((queue.pending[0] as Entry).item.stamp)
    for (let i = 1; i < n; i++) {
      const entry = queue.pending[i] as Entry
      if (entry.item.epoch !== (queue.pending[0] as Entry).item.epoch || monthOf(entry.item.stamp) !== month) n = i
    }
    const entries = n === queue.pending.length ? queue.pending : queue.pending.slice(0, n)
    queue.pending = n === queue.pending.length ? [] : queue.pending.slice(n)
    return entries
  }

  function fly(groups: Entry[][], organizations: string[]): void {
    flights++
    for (const organization of organizations) (queues.get(organization) as Queue).flights++
    void attempt(groups).finally(() => {
      flights--
      for (const organization of organizations) {
        const queue = queues.get(organization) as Queue
        queue.flights--
        if (queue.pending.length > 0) ready.add(organization)
        else if (queue.flights === 0) {
          queues.delete(organization)
          ready.delete(organization)
        }
      }
      if (ready.size > 0) depart()
      if (flights === 0 && ready.size === 0) for (const resolve of waitingForIdle.splice(0)) resolve()
    })
  }

  async function attempt(groups: Entry[][]): Promise<void> {
    const started = performance.now()
    let rows: AuthorizeRow[]
    try {
      rows = (
        await pool.query(
          statement(
            groups.map((g) => g.map((e) => e.item)),
            groups.length === 1,
            {},
          ),
        )
      ).rows as AuthorizeRow[]
    } catch (error) {
      await recover(groups, error)
      return
    }
    const committedAt = Date.now()
    observe?.(
      groups.reduce((n, g) => n + g.length, 0),
      (performance.now() - started) / 1000,
    )
    groups.forEach((entries, i) => {
      const row = rows[i] as AuthorizeRow
      const organization = (entries[0] as Entry).item.organization
      const queue = queues.get(organization) as Queue
      queue.held = row.status === 'locked'
      if (queue.held) {
        queue.pending = entries.concat(queue.pending)
        return
      }
      const answers = read(row, entries.length, committedAt)
      for (let k = 0; k < entries.length; k++) (entries[k] as Entry).settle(answers[k] as Authorization)
      const appended = appendedBy(entries, answers)
      if (appended) onAppended(organization, appended.first + appended.items.length, appended)
    })
  }

  /** The statement failed: a lock not had, a refusal of the clock, or a connection lost with the outcome unknown. */
  async function recover(groups: Entry[][], error: unknown): Promise<void> {
    const code = sqlState(error)
    const refusal = refusalOf(code)
    if (refusal) {
      if (refusal.status === 'busy') for (const entries of groups) hold(entries)
      for (const entry of groups.flat()) entry.settle(refusal)
      return
    }
    const stamp = stampOf(groups.flat().map((entry) => entry.item))
    for (const entries of groups) {
      const organization = (entries[0] as Entry).item.organization
      const records = entries.map((entry) => entry.item.record)
      const found = await findRecord(pool, organization, records, stamp)
      const committedAt = Date.now()
      entries.forEach((entry, i) => {
        const index = found?.indexes[i]
        entry.settle(
          index === undefined || index === null || found === null
            ? { status: 'unavailable' }
            : { status: 'authorized', index, epoch: found.epoch, committedAt },
        )
      })
      if (found && found.size > 0) onAppended(organization, found.size)
    }
  }

  function hold(entries: Entry[]): void {
    const queue = queues.get((entries[0] as Entry).item.organization)
    if (queue) queue.held = true
  }

  return {
    enqueue,
    submit: (item) => new Promise((resolve) => enqueue(item, resolve)),
    idle: () =>
      flights === 0 && ready.size === 0 ? Promise.resolve() : new Promise((resolve) => waitingForIdle.push(resolve)),
  }
}

/**
 * Authorizes items of one organization inside a transaction that the caller has open, so that rows it writes beside them
 * stand or fall with them. A lock that is not had within the lock timeout answers `busy`, a skewed clock `skewed`; any other
 * database error is thrown. After anything but `authorized` the caller rolls back.
 */
export async function authorizeWithin(
  client: Connection,
  items: readonly AuthorizeItem[],
  change: OrganizationChange,
): Promise<Authorization[]> {
  try {
    const { rows } = (await client.query(statement([items], true, change))) as QueryResult<AuthorizeRow>
    return read(rows[0] as AuthorizeRow, items.length, Date.now())
  } catch (error) {
    const refusal = refusalOf(sqlState(error))
    if (!refusal) throw error
    return items.map(() => refusal)
  }
}

function statement(
  groups: readonly (readonly AuthorizeItem[])[],
  wait: boolean,
  change: OrganizationChange,
): { name: string; text: string; values: unknown[] } {
  // The database locks in id order; sending them so keeps its answers in the order of the groups.
  const items = groups.length === 1 ? (groups[0] as readonly AuthorizeItem[]) : groups.flat()
  let charges = '{'
  let claims = '{'
  let bodies = '{'
  let lengths = '{'
  let textLengths = '{'
  let size = 0
  let textSize = 0
  for (let i = 0; i < items.length; i++) {
    const item = items[i] as AuthorizeItem
    const comma = i === 0 ? '' : ','
    charges += comma + item.charge
    claims += comma + (item.claim ?? 'NULL')
    bodies += comma + (item.body ?? 'NULL')
    lengths += comma + (item.leaf.length + 2)
    textLengths += comma + item.texts.length
    size += item.leaf.length + 2
    textSize += item.texts.length
  }
  const leaves = Buffer.allocUnsafe(size)
  const texts = Buffer.allocUnsafe(textSize)
  let at = 0
  let textAt = 0
  for (let i = 0; i < items.length; i++) {
    const { leaf, texts: references } = items[i] as AuthorizeItem
    leaves[at] = leaf.length >>> 8
    leaves[at + 1] = leaf.length
    leaves.set(leaf, at + 2)
    at += leaf.length + 2
    texts.set(references, textAt)
    textAt += references.length
  }
  const first = groups.map((g) => g[0] as AuthorizeItem)
  return {
    name: 'authorize',
    text,
    values: [
      wait,
      first.map((i) => i.organization),
      groups.map((g) => g.length),
      first.map((i) => i.epoch),
      groups.map(limitOf),
      new Date(stampOf(items)),
      `${charges}}`,
      `${claims}}`,
      `${bodies}}`,
      `${lengths}}`,
      leaves,
      `${textLengths}}`,
      texts,
      change.bump ?? false,
      change.keys ?? 0,
      change.keyLimit ?? null,
      change.namespaces ?? 0,
      change.namespaceLimit ?? null,
    ],
  }
}

/** The limit of a group's signatures. Records that cost nothing travel among them and name none. */
function limitOf(items: readonly AuthorizeItem[]): number | null {
  return items.find((item) => item.charge > 0)?.limit ?? null
}

/** The time that a statement with these items gives to its batches. */
function stampOf(items: readonly AuthorizeItem[]): number {
  let stamp = Number.POSITIVE_INFINITY
  for (const item of items) if (item.stamp < stamp) stamp = item.stamp
  return stamp
}

function read(row: AuthorizeRow, count: number, committedAt: number): Authorization[] {
  const epoch = Number(row.current_epoch)
  const answers = new Array<Authorization>(count)
  if (row.status !== 'done') {
    const answer: Authorization =
      row.status === 'epoch'
        ? { status: 'epoch', epoch }
        : row.status === 'locked'
          ? { status: 'busy' }
          : { status: row.status }
    return answers.fill(answer)
  }
  const first = Number(row.first_index)
  for (let i = 0; i < count; i++) {
    const outcome = row.outcomes === null ? first + i : Number(row.outcomes[i])
    answers[i] =
      outcome >= 0
        ? { status: 'authorized', index: outcome, epoch, committedAt }
        : outcome === -1
          ? { status: 'quota' }
          : {
              status: 'replayed',
              index: Number(row.replayed_index?.[i]),
              sameBody: row.replayed_match?.[i] === true,
              epoch,
            }
  }
  return answers
}

function appendedBy(entries: readonly Entry[], answers: readonly Authorization[]): AppendedBatch | null {
  const items: AuthorizeItem[] = []
  let first = -1
  for (let i = 0; i < entries.length; i++) {
    const answer = answers[i] as Authorization
    if (answer.status !== 'authorized') continue
    if (first < 0) first = answer.index
    items.push((entries[i] as Entry).item)
  }
  return first < 0 ? null : { first, items }
}

function sqlState(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === 'string' ? code : undefined
}

/** Errors after which the database is known to have written nothing. */
function refusalOf(code: string | undefined): Authorization | null {
  if (code === '55P03' || code === '40P01') return { status: 'busy' }
  if (code === 'PS001') return { status: 'skewed' }
  return null
}

function monthOf(milliseconds: number): number {
  const date = new Date(milliseconds)
  return date.getUTCFullYear() * 12 + date.getUTCMonth()
}
