/**
 * Verifies receipts without a server: that the record is in the log of a key known beforehand, and, with a signature
 * and its data, that the signature is what the record says was signed.
 */
import {
  type AlgorithmName,
  digestLengths,
  factsOf,
  type HashName,
  isAlgorithmName,
  type SchemeFacts,
  schemeOf,
} from '@popsigner/crypto/algorithm-facts'
import { equal, fromBase64, fromHex, hex } from '@popsigner/crypto/bytes'
import { hashWith, sha256 } from '@popsigner/crypto/hash'
import { verifySignature } from '@popsigner/crypto/verify'
import {
  decodeVerifierKey,
  NOTE_COSIGNATURE,
  NOTE_ED25519,
  type NoteAlgorithm,
  type VerifierKey,
} from '@popsigner/transparency/checkpoint'
import {
  type ReceiptCheckName as BaseCheckName,
  type ReceiptResult as BaseResult,
  verifyReceipt as verifyReceiptObject,
  verifyReceiptText,
} from '@popsigner/transparency/receipt'
import type { LeafOf, LeafRecord } from '@popsigner/transparency/record'

/** The checks, in the order they are made; those of transparency's `ReceiptResult` come first. */
export type ReceiptCheckName = BaseCheckName | 'record' | 'event' | 'public_key' | 'data' | 'signature'

/** One check and how it came out. `reason` is a sentence for people where it failed. */
export interface ReceiptCheck {
  readonly name: ReceiptCheckName
  readonly ok: boolean
  readonly reason?: string
}

/** What a receipt proves. `ok` is true only when every check that was made came out well. */
export interface ReceiptResult extends Omit<BaseResult, 'checks'> {
  /**
   * Those of the receipt itself, and then: `record`: the leaf is of the record that was asked for. `event`: it is a
   * signature's. `public_key`: of the key that was expected. `data`: the record is of this data. `signature`: it is
   * valid over what the leaf says was signed, under the public key in the leaf. The further ones are made where they
   * were asked for and the receipt itself holds.
   */
  readonly checks: readonly ReceiptCheck[]
}

/** What a receipt of a signature can be compared with. */
export interface Evidence {
  /** The signature, or base64 of it. Where the message is signed whole it can be checked only with `data`. */
  readonly signature?: Uint8Array | string
  /** The data as it was given for signing: the message, or the digest where `prehashed` was set. */
  readonly data?: Uint8Array
  /** The public key that must have signed, bytes or lower-case hex. Without it, any key of the organization will do. */
  readonly publicKey?: Uint8Array | string
}

/** What `verifyReceipt` is told beside the receipt. */
export interface ReceiptVerification extends Evidence {
  /** The log's verifier key, pinned or from elsewhere: a receipt proves nothing by a key that came with it. */
  readonly logKey: VerifierKey | string
  /** The instance's identity key. Where it is given, its cosignature must be on the checkpoint. */
  readonly identity?: VerifierKey | string
  /** `rec_…`: the record that the receipt must be of. */
  readonly recordId?: string
}

/**
 * Verifies a receipt, as JSON or as `c2sp.org/tlog-proof@v1` text, offline. Never throws for what the receipt, a
 * signature or the data holds; `RangeError` for keys that are none of the kind, `TypeError` for data that is not bytes.
 */
export function verifyReceipt(receipt: unknown, options: ReceiptVerification): ReceiptResult {
  const logKey = readVerifierKey(options.logKey, NOTE_ED25519, 'logKey')
  const base =
    options.identity === undefined ? {} : { identity: readVerifierKey(options.identity, NOTE_COSIGNATURE, 'identity') }
  if (options.data !== undefined && !(options.data instanceof Uint8Array))
    throw new TypeError(`data: expected bytes, got ${typeof options.data}`)
  const result =
    typeof receipt === 'string' ? verifyReceiptText(receipt, logKey, base) : verifyReceiptObject(receipt, logKey, base)
  if (!result.ok || result.leaf === undefined) return result
  const checks = [...result.checks, ...checkLeaf(result.leaf, options)]
  if (checks.every(({ ok }) => ok)) return { ...result, checks }
  return { ok: false, checks }
}

/** A verifier key of this kind (0x01 a log's, 0x04 an instance's), from its text too. `RangeError` for any other. */
export function readVerifierKey(key: VerifierKey | string, algorithm: NoteAlgorithm, name: string): VerifierKey {
  let read: VerifierKey
  try {
    read = typeof key === 'string' ? decodeVerifierKey(key.trim()) : key
  } catch {
    throw new RangeError(`${name}: expected a verifier key, <name>+<id>+<base64>`)
  }
  if (read.algorithm !== algorithm)
    throw new RangeError(`${name}: expected ${algorithm === NOTE_ED25519 ? "a log's key" : "an instance's key"}`)
  return read
}

function checkLeaf(leaf: LeafRecord, { recordId, publicKey, data, signature }: ReceiptVerification): ReceiptCheck[] {
  const checks: ReceiptCheck[] = []
  const check = (name: ReceiptCheckName, reason: string | null): void => {
    checks.push(reason === null ? { name, ok: true } : { name, ok: false, reason })
  }
  if (recordId !== undefined) check('record', leaf.id === recordId ? null : `The receipt is of the record ${leaf.id}.`)
  if (publicKey === undefined && data === undefined && signature === undefined) return checks
  check('event', leaf.event === 'key.signed' ? null : `The record is of ${leaf.event}, not of a signature.`)
  if (leaf.event !== 'key.signed') return checks
  if (publicKey !== undefined) {
    const expected = typeof publicKey === 'string' ? publicKey : hex(publicKey)
    check('public_key', leaf.public_key === expected ? null : 'Another key signed.')
  }
  if (data !== undefined) check('data', judgeData(leaf, data))
  if (signature !== undefined) check('signature', judgeSignature(leaf, signature, data))
  return checks
}

/** Null where the record is of this data, otherwise why not. */
function judgeData(leaf: LeafOf<'key.signed'>, data: Uint8Array): string | null {
  if (hex(sha256(data)) !== leaf.data_hash) return 'The record is of other data.'
  // How a transaction or message becomes the digest is for the chain's codec to say.
  if (leaf.input === 'transaction' || leaf.input === 'message') {
    const whole = leaf.hash === undefined && leaf.chain !== undefined && leaf.effects !== undefined
    return whole ? null : 'The record of a transaction or message lacks its chain or effects, or names a hash.'
  }
  const digest = digestOf(leaf, data)
  if (digest === null) return 'How the data became the digest in the record is not understood.'
  return equal(digest, fromHex(leaf.digest)) ? null : 'The digest in the record is not that of the data.'
}

/** What the leaf's `digest` must be for this data; null where the leaf says something that is not known here. */
function digestOf(leaf: LeafOf<'key.signed'>, data: Uint8Array): Uint8Array | null {
  const scheme = rowOf(leaf)?.scheme
  if (scheme === undefined) return null
  if (leaf.input === 'digest')
    return scheme.prehashed && leaf.hash === undefined && data.length === digestLengthOf(scheme) ? data : null
  if (leaf.input !== 'raw') return null
  // A scheme that takes the message whole has no hash to name; its leaf holds SHA-256 of the message.
  if (scheme.hashes.length === 0) return leaf.hash === undefined ? sha256(data) : null
  const hash = scheme.hashes.find((name) => name === leaf.hash)
  return hash === undefined ? null : hashWith(hash, data)
}

/** Null where the signature is valid over what the record says was signed, otherwise why not. */
function judgeSignature(
  leaf: LeafOf<'key.signed'>,
  given: Uint8Array | string,
  data: Uint8Array | undefined,
): string | null {
  const row = rowOf(leaf)
  if (row === null) return 'The algorithm or scheme in the record is not known here.'
  let signature: Uint8Array
  try {
    signature = typeof given === 'string' ? fromBase64(given.trim()) : given
  } catch {
    return 'The signature is not base64.'
  }
  const publicKey = fromHex(leaf.public_key)
  const invalid = 'The signature is not over this under the public key in the record.'
  const { algorithm, scheme } = row
  if (scheme.hashes.length === 0) {
    if (leaf.input !== 'raw') return `${algorithm} signs the message itself, which the chain's codec makes.`
    if (data === undefined)
      return `${algorithm} signs the message itself: the signature can be checked only with the data.`
    return verifySignature(algorithm, { message: data, scheme: scheme.name }, signature, publicKey) ? null : invalid
  }
  const digest = fromHex(leaf.digest)
  if (digest.length !== digestLengthOf(scheme))
    return 'The digest in the record has another length than those of this algorithm.'
  return verifySignature(algorithm, { digest, scheme: scheme.name }, signature, publicKey) ? null : invalid
}

/** The leaf's algorithm and scheme where they are known here, otherwise null. */
function rowOf({
  algorithm,
  scheme: name,
}: LeafOf<'key.signed'>): { readonly algorithm: AlgorithmName; readonly scheme: SchemeFacts } | null {
  if (!isAlgorithmName(algorithm)) return null
  const scheme = schemeOf(factsOf(algorithm), name)
  return scheme === undefined ? null : { algorithm, scheme }
}

/** All hashes of a scheme have digests of one length. */
function digestLengthOf({ hashes }: SchemeFacts): number {
  return digestLengths[hashes[0] as HashName]
}
