/**
 * Checkpoints: C2SP `tlog-checkpoint` (the text), `signed-note` (its signatures) and `tlog-cosignature` (the instance's
 * timed signature). Signing is done elsewhere: this module makes the bytes to sign and the line to append.
 *
 * A log's key and origin are named `<instance>/<organization id>`; the instance's identity key, which cosigns, is named
 * `<instance>`. Nothing in a note may be used before `verifyNote` or `verifyCheckpoint` returned it.
 */
import { assertBytes, base64, concat, equal, fromBase64, fromHex, hex, utf8 } from '@popsigner/crypto/bytes'
import { sha256 } from '@popsigner/crypto/hash'
import { verifyEd25519 } from './ed25519.ts'
import { assertTreeNumber, HASH_LENGTH } from './merkle.ts'

/** Signature type of a log's own Ed25519 signature (C2SP signed-note §Signature types). */
export const NOTE_ED25519 = 0x01

/** Signature type of a timed Ed25519 cosignature (C2SP tlog-cosignature). */
export const NOTE_COSIGNATURE = 0x04

/** The signature types that are understood here. */
export type NoteAlgorithm = typeof NOTE_ED25519 | typeof NOTE_COSIGNATURE

/** One signature line of a note, not verified. */
export interface NoteSignature {
  readonly name: string
  /** Four bytes. */
  readonly keyId: Uint8Array
  /** What follows the key id: for a cosignature 8 bytes of time and 64 of signature. */
  readonly signature: Uint8Array
}

/** A note taken apart, not verified. */
export interface Note {
  /** The signed text, with its final newline. */
  readonly body: string
  readonly signatures: readonly NoteSignature[]
}

/** A checkpoint taken apart. Only as trustworthy as the note it came from. */
export interface Checkpoint extends Note {
  readonly origin: string
  readonly size: number
  readonly root: Uint8Array
  /** Lines after the root; ours have none. */
  readonly extensions: readonly string[]
}

/** A key that signatures of notes are verified with. */
export interface VerifierKey {
  readonly name: string
  readonly keyId: Uint8Array
  readonly algorithm: NoteAlgorithm
  /** 32 bytes. */
  readonly publicKey: Uint8Array
}

/** A signature that was verified. `unixSeconds` is there for cosignatures. */
export interface VerifiedSignature {
  readonly key: VerifierKey
  readonly unixSeconds?: number
}

/** A verified note: its text and who signed it, each key once (a cosignature with its latest time). */
export interface VerifiedNote extends Note {
  readonly signedBy: readonly VerifiedSignature[]
}

/** A verified checkpoint: the log's key signed it. `signedBy` lists what else was verified. */
export interface VerifiedCheckpoint extends Checkpoint {
  readonly signedBy: readonly VerifiedSignature[]
}

/** The most characters of a note that is read: room for 16 signatures of 5 kB, which C2SP asks for. */
const MAX_NOTE_LENGTH = 131_072

/** The most signature lines of a note that is read. */
const MAX_SIGNATURES = 100

/** The most that this code can count; C2SP allows times to 2^63 - 1. */
const MAX_SECONDS = BigInt(Number.MAX_SAFE_INTEGER)

/**
 * The text of a checkpoint that gets signed: origin, size and root, each with a newline (C2SP tlog-checkpoint).
 * `RangeError` for an origin that cannot name a key, a size that is no tree size, or a root that is not 32 bytes.
 */
export function checkpointBody(origin: string, size: number, root: Uint8Array): string {
  assertKeyName(origin, 'origin')
  assertTreeNumber(size, 'size')
  assertBytes(root, 'root', HASH_LENGTH)
  return `${origin}\n${size}\n${base64(root)}\n`
}

/**
 * What a timed cosignature signs: `cosignature/v1`, the time, and the whole body of the checkpoint (C2SP
 * tlog-cosignature §Ed25519 signed message). The time is in seconds since 1970.
 */
export function cosignatureMessage(body: string, unixSeconds: number): Uint8Array {
  assertTreeNumber(unixSeconds, 'unixSeconds')
  return utf8(`cosignature/v1\ntime ${unixSeconds}\n${body}`)
}

/** The four bytes that identify a key beside its name: SHA-256(name ‖ 0x0A ‖ algorithm ‖ key)[:4] (C2SP signed-note). */
export function noteKeyId(name: string, algorithm: number, publicKey: Uint8Array): Uint8Array {
  assertKeyName(name, 'name')
  return sha256(concat(utf8(`${name}\n`), Uint8Array.of(algorithm), publicKey)).slice(0, 4)
}

/** A verifier key from its parts. `RangeError` for a name that cannot be one or a key that is not 32 bytes. */
export function verifierKey(name: string, algorithm: NoteAlgorithm, publicKey: Uint8Array): VerifierKey {
  assertBytes(publicKey, 'publicKey', 32)
  return { name, algorithm, publicKey: publicKey.slice(), keyId: noteKeyId(name, algorithm, publicKey) }
}

/** The text form of a verifier key: `<name>+<key id in hex>+<base64(algorithm ‖ key)>` (C2SP signed-note). */
export function encodeVerifierKey(key: VerifierKey): string {
  return `${key.name}+${hex(key.keyId)}+${base64(concat(Uint8Array.of(key.algorithm), key.publicKey))}`
}

/** Reads the text form of a verifier key. `RangeError` unless it is well formed and its key id is the one of its key. */
export function decodeVerifierKey(text: string): VerifierKey {
  // The base64 part may hold a plus sign; the name may not.
  const [, name = '', id = '', encoded = ''] = /^([^+]*)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]*)$/.exec(text) ?? []
  const bytes = fromBase64(encoded)
  const algorithm = bytes[0]
  if (algorithm !== NOTE_ED25519 && algorithm !== NOTE_COSIGNATURE)
    throw new RangeError('verifier key: malformed, or not of a known algorithm')
  const key = verifierKey(name, algorithm, bytes.subarray(1))
  if (!equal(key.keyId, fromHex(id))) throw new RangeError('verifier key: its key id is not the one of its key')
  return key
}

/** The signature line of a log's own key, with its newline. `signature` is Ed25519 over the note's body. */
export function noteSignatureLine(name: string, publicKey: Uint8Array, signature: Uint8Array): string {
  assertBytes(signature, 'signature', 64)
  const key = verifierKey(name, NOTE_ED25519, publicKey)
  return `— ${name} ${base64(concat(key.keyId, signature))}\n`
}

/** The line of a timed cosignature, with its newline. `signature` is Ed25519 over `cosignatureMessage`. */
export function cosignatureLine(
  name: string,
  publicKey: Uint8Array,
  unixSeconds: number,
  signature: Uint8Array,
): string {
  assertBytes(signature, 'signature', 64)
  assertTreeNumber(unixSeconds, 'unixSeconds')
  const key = verifierKey(name, NOTE_COSIGNATURE, publicKey)
  const time = new Uint8Array(8)
  new DataView(time.buffer).setBigUint64(0, BigInt(unixSeconds))
  return `— ${name} ${base64(concat(key.keyId, time, signature))}\n`
}

/** The whole note: the body, an empty line and the signature lines as the two functions above make them. */
export function assembleNote(body: string, lines: readonly string[]): string {
  return `${body}\n${lines.join('')}`
}

/** Takes a note apart without verifying it. `RangeError` for what is no note (C2SP signed-note §Format). */
export function parseNote(text: string): Note {
  if (text.length > MAX_NOTE_LENGTH) throw new RangeError('note: too long')
  if (!text.isWellFormed()) throw new RangeError('note: not well-formed Unicode')
  if (hasControls(text)) throw new RangeError('note: holds a control character')
  const split = text.lastIndexOf('\n\n')
  if (split < 0 || !text.endsWith('\n')) throw new RangeError('note: has no signatures')
  const lines = text.slice(split + 2, -1).split('\n')
  if (lines.length > MAX_SIGNATURES) throw new RangeError('note: has too many signatures')
  return { body: text.slice(0, split + 1), signatures: lines.map(parseSignatureLine) }
}

/** Takes a checkpoint apart without verifying it. `RangeError` for what is none; a size above 2^53 - 1 is refused. */
export function parseCheckpoint(text: string): Checkpoint {
  const note = parseNote(text)
  const [origin = '', size = '', root = '', ...extensions] = note.body.slice(0, -1).split('\n')
  if (origin === '') throw new RangeError('checkpoint: has no origin')
  if (!/^(?:0|[1-9][0-9]{0,15})$/.test(size) || !Number.isSafeInteger(Number(size)))
    throw new RangeError('checkpoint: its size is not a whole number below 2^53')
  if (extensions.includes('')) throw new RangeError('checkpoint: has an empty line')
  const rootBytes = fromBase64(root)
  if (rootBytes.length !== HASH_LENGTH) throw new RangeError('checkpoint: its root is not 32 bytes')
  return { ...note, origin, size: Number(size), root: rootBytes, extensions }
}

/**
 * Verifies a note: null unless a given key signed it. Signatures of other keys are passed over; one that names a given
 * key (name and id) and does not verify spoils the whole note. Never throws for what `text` holds. `TypeError` when two
 * of the given keys have the same name and id.
 */
export function verifyNote(text: string, keys: readonly VerifierKey[]): VerifiedNote | null {
  let note: Note
  try {
    note = parseNote(text)
  } catch {
    return null
  }
  return withSignatures(note, keys)
}

/**
 * Verifies a log's checkpoint: null unless its origin is the name of `logKey` and that key signed it. `others`, such as
 * the instance's identity key, are verified where they signed, and must verify then. Never throws for what `text` holds.
 */
export function verifyCheckpoint(
  text: string,
  logKey: VerifierKey,
  others: readonly VerifierKey[] = [],
): VerifiedCheckpoint | null {
  let checkpoint: Checkpoint
  try {
    checkpoint = parseCheckpoint(text)
  } catch {
    return null
  }
  if (checkpoint.origin !== logKey.name) return null
  const verified = withSignatures(checkpoint, [logKey, ...others])
  if (!verified?.signedBy.some(({ key }) => key === logKey)) return null
  return verified
}

/** The time in seconds since 1970 at which `identity` cosigned, or null where it did not. */
export function cosignedAt(note: Pick<VerifiedNote, 'signedBy'>, identity: VerifierKey): number | null {
  return note.signedBy.find(({ key }) => key === identity)?.unixSeconds ?? null
}

function withSignatures<N extends Note>(
  note: N,
  keys: readonly VerifierKey[],
): (N & { signedBy: VerifiedSignature[] }) | null {
  const known = new Map<string, VerifierKey>()
  for (const key of keys) {
    const label = `${key.name}+${hex(key.keyId)}`
    if (known.has(label)) throw new TypeError(`keys: ${label} is there twice`)
    known.set(label, key)
  }
  const found = new Map<VerifierKey, VerifiedSignature>()
  for (const { name, keyId, signature } of note.signatures) {
    const key = known.get(`${name}+${hex(keyId)}`)
    if (!key) continue
    const verified = verifyLine(note.body, key, signature)
    if (!verified) return null
    if ((verified.unixSeconds ?? 0) >= (found.get(key)?.unixSeconds ?? 0)) found.set(key, verified)
  }
  return found.size === 0 ? null : { ...note, signedBy: [...found.values()] }
}

function verifyLine(body: string, key: VerifierKey, signature: Uint8Array): VerifiedSignature | null {
  if (key.algorithm === NOTE_ED25519)
    return signature.length === 64 && verifyEd25519(signature, utf8(body), key.publicKey) ? { key } : null
  if (signature.length !== 72) return null
  const seconds = new DataView(signature.buffer, signature.byteOffset).getBigUint64(0)
  if (seconds > MAX_SECONDS) return null
  const unixSeconds = Number(seconds)
  const message = cosignatureMessage(body, unixSeconds)
  return verifyEd25519(signature.subarray(8), message, key.publicKey) ? { key, unixSeconds } : null
}

function parseSignatureLine(line: string): NoteSignature {
  const [, name = '', encoded = ''] = /^— ([^ ]+) ([A-Za-z0-9+/=]+)$/.exec(line) ?? []
  if (!isKeyName(name)) throw new RangeError('note: malformed signature line')
  const bytes = fromBase64(encoded)
  if (bytes.length < 5) throw new RangeError('note: malformed signature line')
  return { name, keyId: bytes.slice(0, 4), signature: bytes.slice(4) }
}

/** Key names are not empty and hold no plus sign, Unicode space or control character (C2SP signed-note §Format). */
function isKeyName(name: string): boolean {
  return name !== '' && name.isWellFormed() && !hasControls(name, true) && !/[+\p{White_Space}]/u.test(name)
}

function assertKeyName(name: string, argument: string): void {
  if (!isKeyName(name)) throw new RangeError(`${argument}: not a key name`)
}

function hasControls(text: string, newlineToo = false): boolean {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit < 0x20 && (newlineToo || unit !== 0x0a)) return true
  }
  return false
}
