/**
 * Reads a whole log and checks all of it: that its leaves are those of a believed checkpoint, that what the server
 * lists is what the leaves say, and that the signer's statements agree with the signatures in it.
 */
import type { Output } from '@popsigner/api/routes'
import { equal, fromBase64, hex } from '@popsigner/crypto/bytes'
import { canonicalJson } from '@popsigner/crypto/canonical-json'
import type { VerifierKey } from '@popsigner/transparency/checkpoint'
import { createFrontier, leafHash } from '@popsigner/transparency/merkle'
import { committedFields, type LeafRecord, parseLeaf } from '@popsigner/transparency/record'
import {
  createStatementAuditor,
  type StatementProblemCode,
  type StatementReport,
} from '@popsigner/transparency/statements'
import { NetworkError } from './errors.ts'
import { type CallOptions, sleep, type Transport } from './transport.ts'
import type { BelievedCheckpoint, Trust } from './trust.ts'

/**
 * An entry of the log as the list answers it with `include=leaf`. Of a record that was removed at the end of its
 * retention only `leaf_index` and `leaf_hash` are left.
 */
export type LogEntry = Partial<Omit<Output<'audit.get'>, 'leaf_index'>> & {
  readonly leaf_index: number
  /** The leaf's bytes, base64. */
  readonly leaf_data?: string | null
  /** The leaf's hash, base64. Looked at only where there is no `leaf_data`. */
  readonly leaf_hash?: string | null
}

/**
 * What is wrong with the log.
 *
 * - `leaf.missing`: the list leaves out leaves that the checkpoint covers; nothing behind them can be checked.
 * - `leaf.malformed`: neither a leaf nor a hash. `record.differs`: the list says something else than the leaf.
 * - `root.differs`: the leaves are not those of the checkpoint.
 * - The others are those of the statements' audit.
 */
export type LogProblemCode =
  | 'leaf.missing'
  | 'leaf.malformed'
  | 'record.differs'
  | 'root.differs'
  | StatementProblemCode

/** One mismatch. `index` is the position in the log where it showed. */
export interface LogProblem {
  readonly code: LogProblemCode
  readonly index: number
  /** A sentence for people. */
  readonly detail: string
}

/** What came out. */
export interface LogAudit {
  /** True when the whole log was read, its root is the checkpoint's, and nothing speaks against it. */
  readonly ok: boolean
  readonly log: string
  /** The checkpoint's size and root (hex): what all was compared with. */
  readonly size: number
  readonly root: string
  /** Leaves read. */
  readonly leaves: number
  /** Of these, removed at the end of their retention: their hashes are checked, nothing else can be. */
  readonly removed: number
  /** Records by event. */
  readonly events: Readonly<Record<string, number>>
  /** In the order found; at most 1,000 of the log and as many of its statements. `problemCount` counts them all. */
  readonly problems: readonly LogProblem[]
  readonly problemCount: number
  readonly statements: StatementReport
}

/** How a log is audited. */
export interface AuditLogOptions extends Omit<CallOptions, 'idempotencyKey' | 'ifMatch'> {
  /** Called after each page with how many leaves have been read, and of how many. */
  readonly onProgress?: (read: number, size: number) => void
}

/** What the entries are held against. */
export interface AuditBasis {
  /** Believed beforehand: its signatures are not looked at here. */
  readonly checkpoint: Pick<BelievedCheckpoint, 'log' | 'size' | 'root'>
  /** The signer's identity key, pinned. */
  readonly identity: VerifierKey
}

const maxProblems = 1_000
const pageSize = 1_000

/**
 * The list follows the log by about a second; so often and so far apart it is asked again for what is not there yet.
 */
const maxWaits = 20
const waitMilliseconds = 250

/**
 * Fetches and believes the last checkpoint, then walks the log from its first leaf to that size. A mismatch is part of
 * the answer; `TrustError` is thrown only where keys or checkpoint cannot be believed to begin with. An API key that is
 * bound to namespaces sees a part of the log, which comes out as `leaf.missing`.
 */
export async function auditLog(transport: Transport, trust: Trust, options: AuditLogOptions = {}): Promise<LogAudit> {
  const { onProgress, ...callOptions } = options
  const checkpoint = await trust.checkpoint(callOptions)
  const { identity } = await trust.logKeys(callOptions)
  return auditEntries(walk(transport, checkpoint.size, onProgress, callOptions), { checkpoint, identity })
}

/**
 * Audits entries that come in the order of the log, from its first leaf on; reads no further than the checkpoint's
 * size. Offline, and never throws for what the entries hold.
 */
export async function auditEntries(
  entries: AsyncIterable<LogEntry> | Iterable<LogEntry>,
  { checkpoint, identity }: AuditBasis,
): Promise<LogAudit> {
  const frontier = createFrontier()
  const auditor = createStatementAuditor({ log: checkpoint.log, signer: identity.publicKey })
  const events: Record<string, number> = Object.create(null) as Record<string, number>
  const problems: LogProblem[] = []
  let found = 0
  let removed = 0
  let malformed = false
  const problem = (code: LogProblemCode, index: number, detail: string): void => {
    found += 1
    if (problems.length < maxProblems) problems.push({ code, index, detail })
  }

  for await (const entry of entries) {
    const index = frontier.size
    if (index >= checkpoint.size) break
    if (entry.leaf_index !== index) break
    const leaf = readEntry(entry)
    if (leaf === null) {
      problem('leaf.malformed', index, 'The entry has neither the bytes of a leaf nor its hash.')
      malformed = true
      break
    }
    frontier.append(leaf.hash)
    if (leaf.bytes === null) {
      removed += 1
      auditor.addRemoved(leaf.hash)
      continue
    }
    auditor.add(leaf.bytes)
    const record = readLeaf(leaf.bytes)
    // The statements' audit reports a leaf that is none.
    if (record === null) continue
    events[record.event] = (events[record.event] ?? 0) + 1
    const different = firstDifference(entry, record)
    if (different !== null) problem('record.differs', index, `The list says another ${different} than the leaf.`)
  }

  const whole = frontier.size === checkpoint.size
  if (!whole && !malformed)
    problem(
      'leaf.missing',
      frontier.size,
      `The log has ${checkpoint.size} leaves; the list leaves out the one at ${frontier.size}.`,
    )
  if (whole && !equal(frontier.root(), checkpoint.root))
    problem('root.differs', checkpoint.size, 'The leaves are not those that the checkpoint covers.')
  const statements = auditor.report()
  return {
    ok: whole && found === 0 && statements.problemCount === 0,
    log: checkpoint.log,
    size: checkpoint.size,
    root: hex(checkpoint.root),
    leaves: frontier.size,
    removed,
    events,
    problems: [...problems, ...statements.problems],
    problemCount: found + statements.problemCount,
    statements,
  }
}

/** The log's entries in order, page after page, until `size` leaves have come or the list does not go on. */
async function* walk(
  transport: Transport,
  size: number,
  onProgress: AuditLogOptions['onProgress'],
  options: CallOptions,
): AsyncGenerator<LogEntry, void, void> {
  let cursor: string | undefined
  let next = 0
  for (let waits = 0; next < size; ) {
    const query = {
      order: 'asc',
      include: 'leaf',
      limit: pageSize,
      ...(cursor === undefined ? {} : { cursor }),
    } as const
    const page = await transport.call('audit.list', { query }, options)
    if (!Array.isArray(page.logs))
      throw new NetworkError('network.answer_invalid', 'a page without records', { attempts: 1 })
    const before = next
    for (const entry of page.logs as readonly LogEntry[]) {
      // The page that was last is asked for again until the list has caught up: what was seen of it is passed over.
      if (entry.leaf_index < next) continue
      yield entry
      next = entry.leaf_index + 1
    }
    onProgress?.(Math.min(next, size), size)
    if (next > before) waits = 0
    if (typeof page.next_cursor === 'string' && page.next_cursor !== cursor) {
      cursor = page.next_cursor
      if (next > before) continue
    }
    if (next >= size || ++waits > maxWaits) return
    await sleep(waitMilliseconds, options.signal)
  }
}

/** The leaf of an entry: its bytes, or only its hash where it was removed. Null where the entry has neither. */
function readEntry({ leaf_data, leaf_hash }: LogEntry): { bytes: Uint8Array | null; hash: Uint8Array } | null {
  try {
    if (typeof leaf_data === 'string') {
      const bytes = fromBase64(leaf_data)
      return { bytes, hash: leafHash(bytes) }
    }
    const hash = fromBase64(leaf_hash as string)
    return hash.length === 32 ? { bytes: null, hash } : null
  } catch {
    return null
  }
}

function readLeaf(bytes: Uint8Array): LeafRecord | null {
  try {
    return parseLeaf(bytes)
  } catch {
    return null
  }
}

/** The name of the first field in which the list says something else than the leaf, or null. */
function firstDifference(entry: LogEntry, leaf: LeafRecord): string | null {
  const fields = leaf as unknown as Readonly<Record<string, unknown>>
  const listed: readonly (readonly [string, unknown, unknown])[] = [
    ['id', entry.id, leaf.id],
    ['event', entry.event, leaf.event],
    ['timestamp', entry.timestamp, leaf.time],
    ['actor', entry.actor, leaf.actor],
    ['request_id', entry.request_id ?? null, leaf.request ?? null],
    ['key_id', entry.key_id ?? null, fields['key'] ?? null],
  ]
  for (const [name, said, meant] of listed) if (said !== meant) return name
  const committed = committedFields(leaf)
  for (const [name, said] of Object.entries(entry.metadata ?? {})) {
    // Texts that the leaf holds as commitments are shown opened; a receipt proves those.
    if (committed.includes(name)) continue
    const value = fields[name]
    const text = name === 'data_hash' && typeof said === 'string' ? said.replace(/^sha256:/, '') : said
    if (value === undefined || !sameJson(text, value)) return `metadata.${name.slice(0, 40)}`
  }
  return null
}

function sameJson(a: unknown, b: unknown): boolean {
  try {
    return canonicalJson(a) === canonicalJson(b)
  } catch {
    return false
  }
}
