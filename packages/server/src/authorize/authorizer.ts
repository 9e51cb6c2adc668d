import type { Pool, PoolClient, QueryResult } from 'pg'
import type { RecordRow } from '../log/record-rows.ts'
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
  /** The claim of an idempotency key and the hash of the body, both uuid text; or neither. */
  readonly claim: string | null
  readonly body: string | null
  /** A claim to let go of, because the record that it led to came to nothing. */
  readonly release?: string | null
  /** What the search table will say of the record, where that is at hand; otherwise it is read from the leaf. */
  readonly row?: RecordRow
  /** Hex of the leaf's hash in the log, where that is at hand. */
  readonly leafHash?: string
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
  status: 'done' | 'epoch' | 'keys' | 'namespaces' | 'locked' | 'careful'
  first_index: string
  current_epoch: string
  outcomes: string[] | null
  replayed_index: string[] | null
  replayed_match: boolean[] | null
}

const maximumBatch = 1000
const uniqueViolation = '23505'
const flightsPerOrganization = 2

const text = `select * from authorize(${Array.from({ length: 23 }, (_, i) => `$${i + 1}`).join(',')})`

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
    const { epoch, stamp } = (queue.pending[0] as Entry).item
    for (let i = 1; i < n; i++) {
      const { item } = queue.pending[i] as Entry
      if (item.epoch !== epoch || !isSameMonth(item.stamp, stamp)) n = i
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

  async function attempt(groups: Entry[][], careful = false): Promise<void> {
    const started = performance.now()
    let rows: AuthorizeRow[]
    try {
      const { rows: answered } = await pool.query(statement(groups.map(itemsOf), careful, {}))
      rows = answered as AuthorizeRow[]
    } catch (error) {
      // Nothing was written. Some claim exists: the items are taken one by one, so that it stops no other.
      if (!careful && sqlState(error) === uniqueViolation) await attempt(groups, true)
      else await recover(groups, error)
      return
    }
    const committedAt = Date.now()
    observe?.(
      groups.reduce((n, g) => n + g.length, 0),
      (performance.now() - started) / 1000,
    )
    const again: Entry[][] = []
    groups.forEach((entries, i) => {
      const row = rows[i] as AuthorizeRow
      if (row.status === 'careful') again.push(entries)
      else answer(entries, row, committedAt)
    })
    if (again.length > 0) await attempt(again, true)
  }

  function answer(entries: Entry[], row: AuthorizeRow, committedAt: number): void {
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
    // An error would end the caller's transaction: few items are taken one by one from the beginning.
    const { rows } = (await client.query(statement([items], true, change))) as QueryResult<AuthorizeRow>
    return read(rows[0] as AuthorizeRow, items.length, Date.now())
  } catch (error) {
    const refusal = refusalOf(sqlState(error))
    if (!refusal) throw error
    return items.map(() => refusal)
  }
}

/** The statement that authorizes these groups; `careful` as in the SQL function, which has more to say of each parameter. */
function statement(
  groups: readonly (readonly AuthorizeItem[])[],
  careful: boolean,
  change: OrganizationChange,
): { name: string; text: string; values: unknown[] } {
  // The database locks in id order; sending them so keeps its answers in the order of the groups.
  const sums = groups.map(sumUp)
  const items = groups.length === 1 ? (groups[0] as readonly AuthorizeItem[]) : groups.flat()
  const claimed = sums.some((sum) => sum.claims > 0)
  const { leaves, texts } = joinBytes(items, sums)
  const released = items.flatMap((item) => item.release ?? [])
  return {
    name: 'authorize',
    text,
    values: [
      careful,
      new Date(stampOf(items)),
      groups.map((g) => (g[0] as AuthorizeItem).organization),
      groups.map((g) => g.length),
      groups.map((g) => (g[0] as AuthorizeItem).epoch),
      sums.map((sum) => sum.limit),
      sums.map((sum) => sum.charge),
      sums.map((sum) => sum.claims),
      sums.map((sum) => sum.leafBytes),
      sums.map((sum) => sum.textBytes),
      leaves,
      texts,
      claimed || careful ? listOf(items, (item) => item.claim ?? 'NULL') : '{}',
      claimed || careful ? listOf(items, (item) => item.body ?? 'NULL') : '{}',
      careful ? listOf(items, (item) => item.charge) : '{}',
      careful ? listOf(items, (item) => item.leaf.length + 2) : '{}',
      careful ? listOf(items, (item) => item.texts.length) : '{}',
      released.length === 0 ? null : released,
      change.bump ?? false,
      change.keys ?? 0,
      change.keyLimit ?? null,
      change.namespaces ?? 0,
      change.namespaceLimit ?? null,
    ],
  }
}

interface Sum {
  charge: number
  claims: number
  /** Of the group's signatures. Records that cost nothing travel among them and name none. */
  limit: number | null
  leafBytes: number
  textBytes: number
}

function sumUp(items: readonly AuthorizeItem[]): Sum {
  const sum: Sum = { charge: 0, claims: 0, limit: null, leafBytes: 0, textBytes: 0 }
  for (const item of items) {
    sum.charge += item.charge
    if (item.claim !== null) sum.claims++
    if (item.charge > 0) sum.limit = item.limit
    sum.leafBytes += item.leaf.length + 2
    sum.textBytes += item.texts.length
  }
  return sum
}

/** The leaves, each behind its length, and the texts' references, as `batches` has them. */
function joinBytes(items: readonly AuthorizeItem[], sums: readonly Sum[]): { leaves: Buffer; texts: Buffer } {
  const leaves = Buffer.allocUnsafe(sums.reduce((n, sum) => n + sum.leafBytes, 0))
  const texts = Buffer.allocUnsafe(sums.reduce((n, sum) => n + sum.textBytes, 0))
  let at = 0
  let textAt = 0
  for (const { leaf, texts: references } of items) {
    leaves[at] = leaf.length >>> 8
    leaves[at + 1] = leaf.length
    leaves.set(leaf, at + 2)
    at += leaf.length + 2
    texts.set(references, textAt)
    textAt += references.length
  }
  return { leaves, texts }
}

/** An array literal of values that need no quotes. */
function listOf(items: readonly AuthorizeItem[], read: (item: AuthorizeItem) => string | number): string {
  let list = '{'
  for (let i = 0; i < items.length; i++) list += (i === 0 ? '' : ',') + read(items[i] as AuthorizeItem)
  return `${list}}`
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
  if (row.status === 'careful') throw new TypeError('status: nothing was asked yet that can be answered')
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

function itemsOf(entries: readonly Entry[]): AuthorizeItem[] {
  return entries.map((entry) => entry.item)
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

const dayMilliseconds = 86_400_000

/** Whether two times (milliseconds) are in one calendar month of UTC, in which signatures count together. */
export function isSameMonth(a: number, b: number): boolean {
  if (Math.floor(a / dayMilliseconds) === Math.floor(b / dayMilliseconds)) return true
  return new Date(a).toISOString().slice(0, 7) === new Date(b).toISOString().slice(0, 7)
}
