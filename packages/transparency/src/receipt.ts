/**
 * Receipts: a record, the proof that it is in its organization's log, and the checkpoint the proof leads to.
 *
 * A receipt is judged by the log's key, which the verifier has from elsewhere, and by the bytes in `leaf_data`. The
 * `record` beside them is for people to read and is not looked at.
 */
import { equal, fromBase64 } from '@popsigner/crypto/bytes'
import { cosignedAt, type VerifiedCheckpoint, type VerifierKey, verifyCheckpoint } from './checkpoint.ts'
import { isTreeNumber, leafHash, verifyInclusion } from './merkle.ts'
import { committedFields, type LeafRecord, opensCommitment, parseLeaf } from './record.ts'
import { parseTlogProof, serializeTlogProof } from './tlog-proof.ts'

/** A receipt as the API answers it. */
export interface Receipt {
  /** The record as the API shows it. Never verified and never to be believed. */
  readonly record?: unknown
  /** The leaf's exact bytes, base64. */
  readonly leaf_data: string
  /** The leaf's position in the log, from 0. */
  readonly leaf_index: number
  /** The size of the tree that the proof is for: the checkpoint's. */
  readonly tree_size: number
  /** Hashes from the leaf's sibling upwards, base64. */
  readonly inclusion_path: readonly string[]
  /** The signed note. */
  readonly checkpoint: string
  /** What the leaf's commitments stand for, by field; the proof does not need it. The salt is base64 of 32 bytes. */
  readonly openings?: Readonly<Record<string, { readonly salt: string; readonly value: string }>>
}

/** The checks, in the order they are made. */
export type ReceiptCheckName = 'receipt' | 'leaf' | 'log' | 'checkpoint' | 'cosignature' | 'inclusion' | 'openings'

/** One check and how it came out. `reason` is a sentence for people where it failed. */
export interface ReceiptCheck {
  readonly name: ReceiptCheckName
  readonly ok: boolean
  readonly reason?: string
}

/** What a receipt proves. `ok` is true only when every check that was made came out well. */
export interface ReceiptResult {
  readonly ok: boolean
  /**
   * `receipt`: well formed. `leaf`: canonical bytes of a known event. `log`: the leaf names the log of the key.
   * `checkpoint`: of that log and signed by the key. `cosignature`: made when `identity` was given. `inclusion`: the
   * leaf is where the receipt says. `openings`: made when there are any; each opens its commitment.
   */
  readonly checks: readonly ReceiptCheck[]
  /** The leaf's content; there only when `ok`. */
  readonly leaf?: LeafRecord
  readonly checkpoint?: VerifiedCheckpoint
  /** Seconds since 1970 at which the instance cosigned the checkpoint; null where `identity` was not given. */
  readonly cosignedAt?: number | null
  /** The opened texts by field; there only when `ok`. */
  readonly opened?: Readonly<Record<string, string>>
}

/** What `verifyReceipt` may also be told. */
export interface ReceiptOptions {
  /** The instance's identity key (algorithm 0x04). Where it is given, its cosignature must be there. */
  readonly identity?: VerifierKey
}

const FIELDS = ['record', 'leaf_data', 'leaf_index', 'tree_size', 'inclusion_path', 'checkpoint', 'openings']

/**
 * Verifies a receipt, offline. Never throws for what the receipt holds, whatever it is. `logKey` must be pinned or come
 * from somewhere else than the receipt: with a key that came along, a receipt proves nothing.
 */
export function verifyReceipt(receipt: unknown, logKey: VerifierKey, options: ReceiptOptions = {}): ReceiptResult {
  const parsed = parseReceipt(receipt)
  if (typeof parsed === 'string') return { ok: false, checks: [{ name: 'receipt', ok: false, reason: parsed }] }
  return verifyParts(parsed, logKey, options)
}

/**
 * Verifies the text form (C2SP tlog-proof), whose extra line has the leaf's bytes, in the same way. `leaf` gives the
 * bytes for a text without that line, and must equal it where both are there.
 */
export function verifyReceiptText(
  text: string,
  logKey: VerifierKey,
  options: ReceiptOptions & { readonly leaf?: Uint8Array } = {},
): ReceiptResult {
  let parts: Parts
  try {
    const { extra, index, path, checkpoint } = parseTlogProof(text)
    const leaf = options.leaf ?? extra
    if (!leaf) return { ok: false, checks: [{ name: 'receipt', ok: false, reason: 'The proof has no leaf.' }] }
    if (extra && !equal(leaf, extra))
      return { ok: false, checks: [{ name: 'receipt', ok: false, reason: 'The proof is of another leaf.' }] }
    parts = { leaf, index, path, checkpoint, openings: [] }
  } catch (error) {
    return { ok: false, checks: [{ name: 'receipt', ok: false, reason: sentence(error) }] }
  }
  return verifyParts(parts, logKey, options)
}

/** The text form of a receipt (C2SP tlog-proof), its leaf in the extra line. `RangeError` for a malformed receipt. */
export function receiptText(receipt: Receipt): string {
  const parsed = parseReceipt(receipt)
  if (typeof parsed === 'string') throw new RangeError(`receipt: ${parsed}`)
  const { leaf, index, path, checkpoint } = parsed
  return serializeTlogProof({ extra: leaf, index, path, checkpoint })
}

interface Parts {
  readonly leaf: Uint8Array
  readonly index: number
  /** Absent in the text form, which takes the size from the checkpoint. */
  readonly size?: number
  readonly path: readonly Uint8Array[]
  readonly checkpoint: string
  readonly openings: readonly { readonly field: string; readonly salt: Uint8Array; readonly value: string }[]
}

function verifyParts(parts: Parts, logKey: VerifierKey, options: ReceiptOptions): ReceiptResult {
  const checks: ReceiptCheck[] = [{ name: 'receipt', ok: true }]
  const check = (name: ReceiptCheckName, ok: boolean, reason: string): void => {
    checks.push(ok ? { name, ok } : { name, ok, reason })
  }
  let leaf: LeafRecord | null = null
  let leafReason = ''
  try {
    leaf = parseLeaf(parts.leaf)
  } catch (error) {
    leafReason = sentence(error)
  }
  check('leaf', leaf !== null, leafReason)
  check('log', leaf?.log === logKey.name, 'The leaf does not belong to the log of this key.')
  const { identity } = options
  const checkpoint = verifyCheckpoint(parts.checkpoint, logKey, identity ? [identity] : [])
  check('checkpoint', checkpoint !== null, 'The checkpoint is not of this log, or its key did not sign it.')
  const time = identity && checkpoint ? cosignedAt(checkpoint, identity) : null
  if (identity) check('cosignature', time !== null, 'The instance did not cosign the checkpoint.')
  const included =
    checkpoint !== null &&
    (parts.size === undefined || parts.size === checkpoint.size) &&
    verifyInclusion(parts.index, checkpoint.size, leafHash(parts.leaf), parts.path, checkpoint.root)
  check('inclusion', included, 'The proof does not lead from the leaf to the checkpoint.')
  if (parts.openings.length > 0) {
    const wrong = leaf === null ? parts.openings[0] : parts.openings.find((one) => !opens(leaf, one))
    check('openings', wrong === undefined, `The opening of ${JSON.stringify(wrong?.field)} does not fit the leaf.`)
  }
  if (!checks.every(({ ok }) => ok) || leaf === null || checkpoint === null) return { ok: false, checks }
  const opened = Object.fromEntries(parts.openings.map(({ field, value }) => [field, value]))
  return { ok: true, checks, leaf, checkpoint, cosignedAt: time, opened }
}

function opens(leaf: LeafRecord, { field, salt, value }: Parts['openings'][number]): boolean {
  // Only a field whose row says commitment is opened: a code or id in clear is never taken for one.
  if (!committedFields(leaf).includes(field)) return false
  return opensCommitment(field, salt, value, (leaf as unknown as Record<string, string>)[field] as string)
}

/** The parts of a receipt, or a sentence that says what is wrong with its form. */
function parseReceipt(receipt: unknown): Parts | string {
  if (!isObject(receipt)) return 'The receipt is not an object.'
  const unknown = Object.keys(receipt).find((name) => !FIELDS.includes(name))
  if (unknown !== undefined) return `The receipt has an unknown field ${JSON.stringify(unknown.slice(0, 40))}.`
  const { leaf_data, leaf_index, tree_size, inclusion_path, checkpoint, openings = {} } = receipt
  if (typeof leaf_data !== 'string') return 'leaf_data is not text.'
  if (!isTreeNumber(leaf_index)) return 'leaf_index is not a whole number.'
  if (!isTreeNumber(tree_size)) return 'tree_size is not a whole number.'
  if (!Array.isArray(inclusion_path) || inclusion_path.length > 64) return 'inclusion_path is not a list of hashes.'
  if (typeof checkpoint !== 'string') return 'checkpoint is not text.'
  if (!isObject(openings)) return 'openings is not an object.'
  try {
    return {
      leaf: fromBase64(leaf_data),
      index: leaf_index,
      size: tree_size,
      path: inclusion_path.map((hash) => fromBase64(hash as string)),
      checkpoint,
      openings: Object.entries(openings).map(([field, opening]) => {
        if (!isObject(opening) || Object.keys(opening).some((name) => name !== 'salt' && name !== 'value'))
          throw new RangeError('an opening is not an object of salt and value')
        const { salt, value } = opening
        if (typeof salt !== 'string' || typeof value !== 'string')
          throw new RangeError('an opening is not an object of salt and value')
        return { field, salt: fromBase64(salt), value }
      }),
    }
  } catch (error) {
    return sentence(error)
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function sentence(error: unknown): string {
  const text = error instanceof Error ? error.message : 'malformed'
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`
}
