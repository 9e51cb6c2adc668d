/**
 * The leaf: a record as bytes. A leaf is one JSON object in the canonical form of RFC 8785, at most 8,192 bytes; its hash
 * in the log is `leafHash` over exactly these bytes. `events.ts` is the table of what each event carries.
 *
 * Whoever verifies takes every field from these bytes and believes no copy beside them. Bytes that are not canonical,
 * and fields, events or values that the table does not have, are refused, never dropped.
 */
import { assertBytes, base64url, utf8 } from '@popsigner/crypto/bytes'
import { canonicalJson, parseCanonicalJson } from '@popsigner/crypto/canonical-json'
import { hmacSha256 } from '@popsigner/crypto/hash'
import { commonFields, type EventName, events, LEAF_VERSION, type LeafOf, type LeafRecord } from './events.ts'
import { type Hasher, hashParts } from './merkle.ts'

export type { EventName, LeafOf, LeafRecord } from './events.ts'

/** The most bytes a leaf may have. */
export const MAX_LEAF_BYTES = 8_192

/** Length in bytes of a commitment's salt and of an erasure key. */
export const SALT_LENGTH = 32

const COMMIT_LABEL = utf8('popsigner/v1/commit')
const ZERO = Uint8Array.of(0)

/**
 * The exact bytes of a record's leaf. `RangeError` for a field its event does not have, one that is missing, a value of
 * another form, or more than 8,192 bytes; the message names the field and never the value. `v` may be left out.
 */
export function buildLeaf(record: LeafRecord | LeafInput): Uint8Array {
  const complete = { v: LEAF_VERSION, ...record }
  checkRecord(complete)
  const bytes = utf8(canonicalJson(complete))
  if (bytes.length > MAX_LEAF_BYTES) throw new RangeError(`leaf: ${bytes.length} bytes are more than ${MAX_LEAF_BYTES}`)
  return bytes
}

/**
 * Reads a leaf's bytes, from wherever they come. `RangeError` with a short reason when they are not canonical, longer
 * than 8,192 bytes, or not exactly what the event's row allows. Which log it belongs to is for the caller to compare.
 */
export function parseLeaf(bytes: Uint8Array): LeafRecord {
  assertBytes(bytes, 'leaf')
  if (bytes.length > MAX_LEAF_BYTES) throw new RangeError(`leaf: ${bytes.length} bytes are more than ${MAX_LEAF_BYTES}`)
  let value: unknown
  try {
    value = parseCanonicalJson(bytes)
  } catch (cause) {
    throw new RangeError('leaf: not canonical JSON', { cause })
  }
  checkRecord(value)
  return value
}

/** A record to build a leaf from: `LeafRecord`, with `v` left to this module. */
export type LeafInput = { [E in EventName]: Omit<LeafOf<E>, 'v'> }[EventName]

/**
 * A commitment to one field's text, as it stands in the leaf: base64url without padding (43 characters) of
 * SHA-256(`popsigner/v1/commit` ‖ 0x00 ‖ field ‖ 0x00 ‖ salt ‖ value), texts in UTF-8, the salt 32 bytes.
 * It binds because field names hold no zero byte and the salt has a fixed length; it hides as long as the salt is secret.
 * `RangeError` for a salt of another length, a zero byte in `field`, or a value with a lone surrogate.
 */
export function commitment(field: string, salt: Uint8Array, value: string, hasher: Hasher = hashParts): string {
  assertBytes(salt, 'salt', SALT_LENGTH)
  if (field.includes('\0')) throw new RangeError('field: holds a zero byte')
  return base64url(hasher(COMMIT_LABEL, ZERO, utf8(field), ZERO, salt, utf8(value)))
}

/**
 * The salt of one commitment: HMAC-SHA-256(erasure key, record id ‖ 0x00 ‖ field). Deleting the actor's erasure key
 * (32 bytes) makes every salt under it, and so every commitment, unopenable. Secret until the field is opened.
 */
export function commitmentSalt(
  erasureKey: Uint8Array,
  recordId: string,
  field: string,
  hmac: (key: Uint8Array, ...parts: Uint8Array[]) => Uint8Array = hmacSha256,
): Uint8Array {
  assertBytes(erasureKey, 'erasureKey', SALT_LENGTH)
  return hmac(erasureKey, utf8(recordId), ZERO, utf8(field))
}

/** Does this salt and value open the commitment? False, never an error, for a salt of another length. */
export function opensCommitment(field: string, salt: Uint8Array, value: string, committed: string): boolean {
  if (salt.length !== SALT_LENGTH || field.includes('\0') || !value.isWellFormed()) return false
  return commitment(field, salt, value) === committed
}

/** The names of a record's fields that hold commitments, in the table's order. */
export function committedFields(record: LeafRecord): string[] {
  const fields = { ...commonFields, ...events[record.event].fields }
  return Object.entries(fields).flatMap(([name, field]) =>
    field.committed && Object.hasOwn(record, name) ? [name] : [],
  )
}

function checkRecord(value: unknown): asserts value is LeafRecord {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new RangeError('leaf: not an object')
  const record = value as Record<string, unknown>
  const event = record['event']
  if (typeof event !== 'string' || !Object.hasOwn(events, event)) throw new RangeError('leaf: unknown event')
  const row = events[event as EventName].fields as Record<string, (typeof commonFields)['request']>
  for (const name of Object.keys(record))
    if (!Object.hasOwn(commonFields, name) && !Object.hasOwn(row, name))
      throw new RangeError(`leaf: ${event} has no field ${JSON.stringify(name.slice(0, 40))}`)
  for (const fields of [commonFields, row])
    for (const [name, field] of Object.entries(fields)) {
      if (!Object.hasOwn(record, name)) {
        if (field.required) throw new RangeError(`leaf: ${name} is missing`)
      } else if (!field.check(record[name])) throw new RangeError(`leaf: ${name} is not ${field.form}`)
    }
}
