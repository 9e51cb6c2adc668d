/**
 * Compares what the signer says it signed (`signer.statement`) with what the log says was authorized (`key.signed`).
 *
 * The log may hold signatures that were never made: authorized, then refused by the signer, too late, or lost with a
 * process. Those are counted and are no fault. What must never be is the reverse: a signature that the signer made and
 * the log does not hold, which shows as an index that is no unclaimed signature, a count or a chain that does not come
 * out, or a statement that is missing between two others.
 */
import { assertBytes, fromBase64, fromHex, hex } from '@popsigner/crypto/bytes'
import { verifyEd25519 } from './ed25519.ts'
import { HASH_LENGTH, type Hasher, hashParts, leafHash } from './merkle.ts'
import { type LeafOf, parseLeaf } from './record.ts'
import { emptyChain, extendChain, NO_STATEMENT, statementHash, statementMessage } from './statement.ts'

/**
 * What is wrong.
 *
 * - `leaf.invalid`: a leaf that is not one. `leaf.foreign`: a leaf of another log.
 * - `statement.signer`: by another identity. `statement.signature`: not signed by it. Such a statement is passed over.
 * - `statement.previous`: does not name the statement before it: one was dropped, repeated or exchanged.
 * - `statement.run`: claims an index that is no signature record before it, or that was claimed already.
 * - `statement.count`: the count is not the one before plus the indexes claimed: something was signed beside the log.
 * - `statement.chain`: another leaf was signed than the log has at one of these indexes, or in another order.
 */
export type StatementProblemCode =
  | 'leaf.invalid'
  | 'leaf.foreign'
  | 'statement.signer'
  | 'statement.signature'
  | 'statement.previous'
  | 'statement.run'
  | 'statement.count'
  | 'statement.chain'

/** One thing found. `index` is that of the leaf or statement where it showed. */
export interface StatementProblem {
  readonly code: StatementProblemCode
  readonly index: number
  /** A sentence for people. */
  readonly detail: string
}

/** What an audit found so far. */
export interface StatementReport {
  /** Empty when nothing speaks against the signer and the log. */
  readonly problems: readonly StatementProblem[]
  /** Problems found in all: `problems` keeps the first 1,000. */
  readonly problemCount: number
  /** Valid statements read. */
  readonly statements: number
  /** Signature records that a statement covers. */
  readonly attested: number
  /** Signatures that statements cover and the log does not hold, as far as they can be counted. */
  readonly attestedNotInLog: number
  /** Signature records that no statement covers yet, but one still may. */
  readonly pending: number
  /** `time` of the oldest of these, or null. One that is minutes old means that statements are being withheld. */
  readonly oldestPending: string | null
  /** Signature records that no statement can cover any more: authorized, but never signed. No fault. */
  readonly neverSigned: number
  /** `at` of the last valid statement, or null. */
  readonly lastStatementAt: string | null
  /** How often the host accepted the loss of records (`log.rollback_accepted`): statements then claim what is lost. */
  readonly rollbacks: number
}

/** Reads a log from its first leaf on, in order. */
export interface StatementAuditor {
  /** The index that comes next. */
  readonly nextIndex: number
  /** Takes the next leaf's exact bytes. What is wrong with it goes into the report; nothing is thrown. */
  add(leaf: Uint8Array): void
  /** Takes the next leaf where only its hash is left (its record's retention has ended): it may be a signature or not. */
  addRemoved(leafHash: Uint8Array): void
  report(): StatementReport
}

/** What an audit needs to know. */
export interface StatementAudit {
  /** The log's name; leaves of another one are a problem. */
  readonly log: string
  /** The public half of the signer's identity key (32 bytes), pinned by the caller. */
  readonly signer: Uint8Array
  readonly hasher?: Hasher
}

/** A leaf that a statement may claim. */
interface Unclaimed {
  readonly hash: Uint8Array
  /** Null where the leaf is removed: then it is not known to be a signature, and is not counted as one. */
  readonly time: string | null
  /** When it was committed, at the latest: milliseconds since 1970; infinite until a leaf with a time follows. */
  latest: number
}

/**
 * How much older than a statement an unclaimed record must be before no later statement may claim it. The signer refuses
 * an item 10 s after its commit, a record's time is at most 2 s from the database's clock, and a statement claims all
 * that was signed before it; the rest of the minute is for clocks that differ.
 */
const CLAIMABLE_MILLISECONDS = 60_000

const MAX_PROBLEMS = 1_000

/**
 * Starts an audit with the log's first leaf. Memory is bounded by the signatures since the last statement and those of
 * about a minute before it. Whether the leaves are those of a checkpoint is for the caller to compare (`createFrontier`).
 */
export function createStatementAuditor(audit: StatementAudit): StatementAuditor {
  assertBytes(audit.signer, 'signer', 32)
  const hasher = audit.hasher ?? hashParts
  const signer = hex(audit.signer)
  const unclaimed = new Map<number, Unclaimed>()
  const problems: StatementProblem[] = []
  let problemCount = 0
  /** Removed leaves since the last one with a time. */
  let undated: Unclaimed[] = []
  let next = 0
  let count = 0
  let chain = emptyChain()
  let previous = NO_STATEMENT
  let rollbacks = 0
  let statements = 0
  let attested = 0
  let attestedNotInLog = 0
  let neverSigned = 0
  let lastStatementAt: string | null = null

  function problem(code: StatementProblemCode, index: number, detail: string): void {
    problemCount += 1
    if (problems.length < MAX_PROBLEMS) problems.push({ code, index, detail })
  }

  /** Checks one statement against the state, then takes over what it says, so that one fault is reported once. */
  function judge(statement: LeafOf<'signer.statement'>, index: number): void {
    if (statement.signer !== signer) {
      problem('statement.signer', index, 'The statement is by another signer.')
      return
    }
    if (!verifyEd25519(fromBase64(statement.signature), statementMessage(statement), audit.signer)) {
      problem('statement.signature', index, 'The signer did not sign this statement.')
      return
    }
    statements += 1
    const inOrder = statement.previous === previous
    if (!inOrder) problem('statement.previous', index, 'The statement does not name the one before it in the log.')
    const claimed = claim(statement, index)
    // Without the statement before, neither count nor chain has a beginning to compare with.
    if (inOrder) {
      const expected = count + claimed.total
      if (statement.count !== expected) {
        problem('statement.count', index, `The signer counts ${statement.count} signatures, the log ${expected}.`)
        attestedNotInLog += Math.max(0, statement.count - expected)
      }
      // With an index that the log cannot show, or another count, the chain cannot come out and says nothing more.
      else if (claimed.chain !== null && hex(claimed.chain) !== statement.chain)
        problem('statement.chain', index, 'The signer signed other leaves than the log has, or in another order.')
    }
    count = statement.count
    chain = fromHex(statement.chain)
    previous = statementHash(statement, hasher)
    lastStatementAt = statement.at
    retire(Date.parse(statement.at) - CLAIMABLE_MILLISECONDS)
  }

  /** Takes the indexes of a statement's runs out of the unclaimed; `chain` is null when one was not among them. */
  function claim(statement: LeafOf<'signer.statement'>, index: number): { total: number; chain: Uint8Array | null } {
    let total = 0
    let extended: Uint8Array | null = chain
    for (const [from, to] of statement.runs) {
      const length = to - from + 1
      total += length
      // A run longer than all that is unclaimed is not walked: its length is the signer's word, up to 2^53.
      const walkable = length <= unclaimed.size + 1
      let missing = walkable ? 0 : length
      for (let at = from; walkable && at <= to; at++) {
        const leaf = unclaimed.get(at)
        if (!leaf) {
          missing += 1
          continue
        }
        unclaimed.delete(at)
        attested += 1
        if (extended !== null) extended = extendChain(extended, at, leaf.hash, hasher)
      }
      if (missing === 0) continue
      extended = null
      attestedNotInLog += missing
      problem(
        'statement.run',
        index,
        `The signer signed ${missing} of the indexes ${from} to ${to}, which are no unclaimed signatures in the log.`,
      )
    }
    return { total, chain: extended }
  }

  /** Gives up on records from before `before` (milliseconds since 1970): who signs them now signs too late. */
  function retire(before: number): void {
    for (const [index, { time, latest }] of unclaimed) {
      if (latest >= before) break
      unclaimed.delete(index)
      if (time !== null) neverSigned += 1
    }
  }

  return {
    get nextIndex() {
      return next
    },
    add(bytes) {
      const index = next++
      let leaf: ReturnType<typeof parseLeaf>
      try {
        leaf = parseLeaf(bytes)
      } catch (error) {
        problem('leaf.invalid', index, error instanceof Error ? error.message : 'malformed')
        return
      }
      if (leaf.log !== audit.log) {
        problem('leaf.foreign', index, 'The leaf names another log.')
        return
      }
      // Leaves are committed in the order of their indexes, so what has no time of its own was not later than this one.
      const latest = Date.parse(leaf.time)
      for (const removed of undated) removed.latest = latest
      undated = []
      if (leaf.event === 'key.signed') unclaimed.set(index, { hash: leafHash(bytes, hasher), time: leaf.time, latest })
      else if (leaf.event === 'signer.statement') judge(leaf, index)
      else if (leaf.event === 'log.rollback_accepted') rollbacks += 1
    },
    addRemoved(hash) {
      assertBytes(hash, 'leafHash', HASH_LENGTH)
      const removed = { hash, time: null, latest: Number.POSITIVE_INFINITY }
      undated.push(removed)
      unclaimed.set(next++, removed)
    },
    report() {
      const pending = [...unclaimed.values()].filter(({ time }) => time !== null)
      return {
        problems: [...problems],
        problemCount,
        statements,
        attested,
        attestedNotInLog,
        pending: pending.length,
        oldestPending: pending[0]?.time ?? null,
        neverSigned,
        lastStatementAt,
        rollbacks,
      }
    },
  }
}
