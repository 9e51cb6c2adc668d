import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { equal, fromHex, hex } from '@popsigner/crypto/bytes'
import { type CborValue, decodeCbor, encodeCbor } from '@popsigner/crypto/cbor'
import { sha256 } from '@popsigner/crypto/hash-native'
import { emptyRoot } from '@popsigner/transparency/merkle'
import type { Use } from './custodian.ts'
import { createFile, replaceFile } from './durable-file.ts'
import { CustodyFault } from './faults.ts'

/**
 * What must never go backwards, in one small file outside the database and outside every backup. The file is a row of
 * `u32be length ‖ deterministic CBOR map`, then SHA-256 of all before: first the head (format, instance, replaced_at,
 * term, floor), then maps with one of `logs`, `destroyed`, `erased`, `generations`, each of at most 2,048 entries.
 * Changes are made in memory first, where they hold at once, and `commit` makes them durable; whatever lets something
 * leave the signer (a checkpoint's signature, the answer to a destruction) waits for that.
 */
export interface Ledger {
  readonly instance: string
  /** When this ledger took the place of a missing one (milliseconds), null when `init` made it. */
  readonly replacedAt: number | null
  /** Highest term seen. */
  term: number
  /** Oldest root sequence still accepted. */
  floor: number
  /** By the organization's id in hex. */
  readonly logs: Map<string, LogState>
  /** Ids in hex that are refused for good. */
  readonly destroyed: Set<string>
  /** Ids of erased actors in hex. */
  readonly erased: Set<string>
  /** By `<key id in hex>:<version>`: what the last narrowing left. */
  readonly generations: Map<string, Narrowed>
  /** Whether the last write succeeded. */
  readonly healthy: boolean
  /**
   * Fulfilled when everything changed until now is on disk. Calls share one write; rejects with
   * `custody.ledger_failed`.
   */
  commit(): Promise<void>
  /** Notes a change that may wait: written within about a second. */
  touch(): void
  /** Writes what is left and stops writing. */
  close(): Promise<void>
}

/** A log in the ledger: its last checkpoint, and what the signer signed for it. */
export interface LogState {
  size: number
  root: Uint8Array
  /** Signatures made for this log, ever. */
  count: number
  /** chain_n = SHA-256(chain_{n-1} ‖ u64be(index) ‖ leaf hash), from 32 zero bytes. */
  readonly chain: Buffer
  /** Indexes signed since the last statement, as inclusive runs in the order of signing. */
  runs: [number, number][]
  /** SHA-256 of the body of the last statement issued, 32 zero bytes before the first. */
  previous: Uint8Array
  /** The last statement issued, until the log is known to have it. */
  pending: PendingStatement | null
  /** Checkpoints seen in this run, the newest last: repeats prove against one of them. Not in the file. */
  recent: { readonly size: number; readonly root: Uint8Array }[]
  /** Whether this run of the signer has yet to make its first statement. Not in the file. */
  restarted: boolean
}

/** A statement that was issued: its `previous`, and the record's fields as JSON. */
export interface PendingStatement {
  readonly previous: Uint8Array
  readonly json: string
}

/** What a key was narrowed to. */
export interface Narrowed {
  readonly generation: number
  readonly schemes: readonly string[]
  readonly uses: readonly Use[]
}

const format = 1
/** Entries in one map of the file, so that no map nears the decoder's limit. */
const sectionLimit = 2048
const touchDelayMs = 1000
/** Checkpoints of a log that repeats may prove against. */
const recentLimit = 16

/** The entry of a log that is empty. */
export function emptyLog(): LogState {
  return {
    size: 0,
    root: emptyRoot,
    count: 0,
    chain: Buffer.alloc(32),
    runs: [],
    previous: new Uint8Array(32),
    pending: null,
    recent: [],
    restarted: false,
  }
}

/** Moves a log's checkpoint. Whether the new one extends the old has been checked. */
export function moveLog(log: LogState, size: number, root: Uint8Array): void {
  log.size = size
  log.root = new Uint8Array(root)
  if (log.recent.at(-1)?.size === size) return
  log.recent.push({ size, root: log.root })
  if (log.recent.length > recentLimit) log.recent.shift()
}

/** Writes the ledger of a new instance. Fails with `EEXIST` where there is one. */
export async function createLedgerFile(path: string, instance: string): Promise<void> {
  await createFile(path, serialize({ ...emptyContent(instance, null), floor: 1 }))
}

/**
 * Opens the ledger. A missing file gives an empty ledger with `replacedAt` set, which is written with the first commit:
 * its logs then sign nothing until the host hands a checkpoint. `RangeError` for a damaged file or another instance's.
 */
export function openLedger(path: string, instance: string, now: number): Ledger {
  const content = read(path, instance) ?? emptyContent(instance, now)
  for (const log of content.logs.values()) log.restarted = true
  let healthy = true
  let running: Promise<void> | null = null
  let queued: Promise<void> | null = null
  let timer: NodeJS.Timeout | null = null

  async function write(): Promise<void> {
    if (timer !== null) clearTimeout(timer)
    timer = null
    try {
      await replaceFile(path, serialize(content))
      healthy = true
    } catch (error) {
      healthy = false
      // Until a write succeeds nothing is signed, so it is tried again without being asked.
      touch()
      throw new CustodyFault('custody.ledger_failed', null, { cause: error })
    }
  }
  function start(): Promise<void> {
    const writing = write().finally(() => {
      if (running === writing) running = null
    })
    running = writing
    return writing
  }
  function commit(): Promise<void> {
    if (running === null) return start()
    // What is being written may be older than this call: wait for the next write, which all callers of now share.
    queued ??= running
      .catch(() => undefined)
      .then(() => {
        queued = null
        return start()
      })
    return queued
  }
  function touch(): void {
    timer ??= setTimeout(() => {
      timer = null
      commit().catch(() => undefined)
    }, touchDelayMs)
  }

  async function close(): Promise<void> {
    await commit()
    if (timer !== null) clearTimeout(timer)
  }
  const rest = { commit, touch, close }
  return Object.defineProperty(Object.assign(content, rest), 'healthy', { get: () => healthy }) as Content &
    typeof rest &
    Pick<Ledger, 'healthy'>
}

interface Content {
  readonly instance: string
  readonly replacedAt: number | null
  term: number
  floor: number
  readonly logs: Map<string, LogState>
  readonly destroyed: Set<string>
  readonly erased: Set<string>
  readonly generations: Map<string, Narrowed>
}

function emptyContent(instance: string, replacedAt: number | null): Content {
  return {
    instance,
    replacedAt,
    term: 0,
    floor: 0,
    logs: new Map(),
    destroyed: new Set(),
    erased: new Set(),
    generations: new Map(),
  }
}

function serialize(content: Content): Uint8Array[] {
  const { instance, term, floor } = content
  const parts: Uint8Array[] = []
  const add = (map: { readonly [key: string]: CborValue }): void => {
    const body = encodeCbor(map)
    const length = new Uint8Array(4)
    new DataView(length.buffer).setUint32(0, body.length)
    parts.push(length, body)
  }
  add({ format, instance, replaced_at: content.replacedAt, term, floor })
  for (const some of sections(content.logs))
    add({ logs: Object.fromEntries(some.map(([id, log]) => [id, logToCbor(log)])) })
  for (const some of sections(content.destroyed)) add({ destroyed: some.map(fromHex) })
  for (const some of sections(content.erased)) add({ erased: some.map(fromHex) })
  for (const some of sections(content.generations))
    add({ generations: Object.fromEntries(some.map(([id, narrowed]) => [id, { ...narrowed }])) })
  const sum = createHash('sha256')
  for (const part of parts) sum.update(part)
  return [...parts, sum.digest()]
}

function* sections<T>(entries: Iterable<T>): Generator<T[]> {
  let some: T[] = []
  for (const entry of entries) {
    some.push(entry)
    if (some.length < sectionLimit) continue
    yield some
    some = []
  }
  if (some.length > 0) yield some
}

function logToCbor(log: LogState): CborValue {
  return {
    size: log.size,
    root: log.root,
    count: log.count,
    chain: log.chain,
    runs: log.runs,
    previous: log.previous,
    pending: log.pending === null ? null : { previous: log.pending.previous, json: log.pending.json },
  }
}

function read(path: string, instance: string): Content | null {
  let bytes: Uint8Array
  try {
    bytes = new Uint8Array(readFileSync(path))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
  const body = bytes.subarray(0, -32)
  if (bytes.length < 33 || !equal(sha256(body), bytes.subarray(-32))) throw new RangeError('ledger: damaged')
  // The sum was made by this program: what it covers has this shape unless another format wrote it.
  const [head, ...rest] = split(body).map(decodeCbor) as unknown as [LedgerHead, ...Partial<LedgerSection>[]]
  if (head.format !== format) throw new RangeError('ledger: of another format')
  if (head.instance !== instance) throw new RangeError('ledger: of another instance')
  const content = { ...emptyContent(instance, head.replaced_at), term: head.term, floor: head.floor }
  for (const section of rest) {
    for (const [id, log] of Object.entries(section.logs ?? {})) content.logs.set(id, logFromCbor(log))
    for (const id of section.destroyed ?? []) content.destroyed.add(hex(id))
    for (const id of section.erased ?? []) content.erased.add(hex(id))
    for (const [id, narrowed] of Object.entries(section.generations ?? {})) content.generations.set(id, narrowed)
  }
  return content
}

function split(bytes: Uint8Array): Uint8Array[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const parts: Uint8Array[] = []
  for (let at = 0; at < bytes.length; ) {
    const end = at + 4 + view.getUint32(at)
    parts.push(bytes.subarray(at + 4, end))
    at = end
  }
  return parts
}

interface LedgerHead {
  readonly format: number
  readonly instance: string
  readonly replaced_at: number | null
  readonly term: number
  readonly floor: number
}

interface LedgerSection {
  readonly logs: Record<string, StoredLog>
  readonly destroyed: readonly Uint8Array[]
  readonly erased: readonly Uint8Array[]
  readonly generations: Record<string, Narrowed>
}

type StoredLog = Omit<LogState, 'chain' | 'recent' | 'restarted'> & { readonly chain: Uint8Array }

function logFromCbor(log: StoredLog): LogState {
  return { ...log, chain: Buffer.from(log.chain), recent: [{ size: log.size, root: log.root }], restarted: true }
}
