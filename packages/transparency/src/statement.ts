/**
 * What a signer says it signed: the body of a `signer.statement` and the chain in it.
 *
 * For each log the signer keeps a count of the signatures it made and a chain over their leaves, in the order it signed
 * them: chain_0 is 32 zero bytes, chain_n = SHA-256(chain_{n-1} ‖ index as 8 bytes, big-endian ‖ leaf hash). Both run
 * over the whole life of the log's signer. A statement has both as they stand, and in `runs` the indexes signed since the
 * statement before it. A repeat of a signature that was made before is not counted.
 */
import { assertBytes, concat, hex, utf8 } from '@popsigner/crypto/bytes'
import { canonicalJson } from '@popsigner/crypto/canonical-json'
import type { Run } from './events.ts'
import { assertTreeNumber, HASH_LENGTH, type Hasher, hashParts } from './merkle.ts'

/** What a statement's signature covers, apart from the label before it. The leaf of a `signer.statement` has it all. */
export interface StatementBody {
  /** The log's name. */
  readonly log: string
  /** The signer's identity key, hex of 32 bytes. */
  readonly signer: string
  /** Hex of 16 bytes that the signer drew when it started. */
  readonly boot: string
  /** How many signatures of this log the signer has made in all. */
  readonly count: number
  /** The chain after them, hex of 32 bytes. */
  readonly chain: string
  /** The indexes signed since the statement before, in the order signed; runs have both ends inclusive. */
  readonly runs: readonly Run[]
  /** `statementHash` of the statement before, in hex; 64 zeros for the first. */
  readonly previous: string
  readonly reason: 'minute' | 'restart' | 'runs'
  /** The signer's clock: `YYYY-MM-DDTHH:MM:SS.sssZ`. */
  readonly at: string
}

const LABEL = utf8('popsigner/v1/statement\n')

/** The chain before the first signature: 32 zero bytes. */
export function emptyChain(): Uint8Array {
  return new Uint8Array(HASH_LENGTH)
}

/** `previous` of the first statement: 64 zeros. */
export const NO_STATEMENT = '0'.repeat(2 * HASH_LENGTH)

/** The chain after one more signature, whose leaf lies at `index` of the log. */
export function extendChain(
  chain: Uint8Array,
  index: number,
  leafHash: Uint8Array,
  hasher: Hasher = hashParts,
): Uint8Array {
  assertBytes(chain, 'chain', HASH_LENGTH)
  assertBytes(leafHash, 'leafHash', HASH_LENGTH)
  assertTreeNumber(index, 'index')
  const position = new Uint8Array(8)
  const view = new DataView(position.buffer)
  view.setUint32(0, Math.floor(index / 2 ** 32))
  view.setUint32(4, index % 2 ** 32)
  return hasher(chain, position, leafHash)
}

/**
 * The bytes that a statement's Ed25519 signature covers: `popsigner/v1/statement`, a newline, and the canonical JSON
 * (RFC 8785) of exactly the nine fields of the body. Other properties of `body` are left out.
 */
export function statementMessage(body: StatementBody): Uint8Array {
  const { log, signer, boot, count, chain, runs, previous, reason, at } = body
  return concat(LABEL, utf8(canonicalJson({ log, signer, boot, count, chain, runs, previous, reason, at })))
}

/** What the next statement names as `previous`: SHA-256 of `statementMessage`, in hex. */
export function statementHash(body: StatementBody, hasher: Hasher = hashParts): string {
  return hex(hasher(statementMessage(body)))
}

/** Adds an index to runs in place: the last run grows when the index follows it, otherwise a new one begins. */
export function addToRuns(runs: [number, number][], index: number): void {
  const last = runs.at(-1)
  if (last && last[1] + 1 === index) last[1] = index
  else runs.push([index, index])
}
