import { z } from 'zod'

/**
 * The building blocks of every schema: ids, names, encodings, times, pages. Text that a caller chooses holds no control
 * character and no lone surrogate, so whatever is accepted can be stored, put into canonical JSON and shown.
 */

/** Characters of one id: the prefix, `_`, and 26 characters of Crockford base32, of which the first is at most 7. */
const idSuffix = '[0-7][0-9a-hjkmnp-tv-z]{25}'

/** Largest decoded `data` of one signature, in bytes. */
export const maxDataBytes = 1_048_576

/** Most items of `POST /v1/sign/batch`. */
export const maxSignItems = 1_000

/** Most keys of `POST /v1/keys/batch`. */
export const maxBatchKeys = 100

/** Most entries of `metadata`. */
export const maxMetadataEntries = 32

/** Longest waiting period of a deletion, in days; the default is `defaultWaitingDays`. */
export const maxWaitingDays = 30
export const defaultWaitingDays = 7

/** How long the old secret of a rotated API key keeps working, in seconds, if the caller names nothing. */
export const defaultGraceSeconds = 86_400
export const maxGraceSeconds = 604_800

/** Most consecutive hashes that a consistency or inclusion proof over 2^53 leaves can have. */
const maxProofHashes = 128

function id(prefix: string, description: string, example: string) {
  return z
    .string()
    .regex(new RegExp(`^${prefix}_${idSuffix}$`), `must be an id that begins with ${prefix}_`)
    .meta({ description, examples: [example] })
}

/** Ids as they stand in answers and filters. Ids in a path or of an item to sign are plain text: one that is
 * malformed is answered like one that is unknown. */
export const organizationId = id('org', 'Id of the organization.', 'org_01h455vb4pex5vsknk084sn02q')
export const namespaceId = id('ns', 'Id of the namespace.', 'ns_01h455vb4pex5vsknk084sn02q')
export const keyId = id('key', 'Id of the key.', 'key_01h455vb4pex5vsknk084sn02q')
export const apiKeyId = id('ak', 'Id of the API key; not a secret.', 'ak_01h455vb4pex5vsknk084sn02q')
export const recordId = id('rec', 'Id of the record in the organization’s log.', 'rec_01h455vb4pex5vsknk084sn02q')
export const requestId = id('req', 'Id of the request, also in `X-Request-Id`.', 'req_01h455vb4pex5vsknk084sn02q')
export const wrappingKeyId = id('wk', 'Id of the wrapping key.', 'wk_01h455vb4pex5vsknk084sn02q')

/** An id that the caller names and the server looks up. Its shape is not judged here, see above. */
export const lookupId = z.string().max(256)

const namePattern = /^(?!(?:org|ns|key|ak|rec|req|wk)_[0-9a-z]{26}$)[a-zA-Z0-9][a-zA-Z0-9._-]{0,127}$/

/** The name of a key, namespace or API key. It never looks like an id, so that a command can take either. */
export const name = z
  .string()
  .regex(
    namePattern,
    'must be 1 to 128 letters, digits, dots, dashes or underscores, begin with a letter or digit, and not look like an id',
  )

/** Free text of at most `length` characters without control characters and lone surrogates. */
export function text(length: number) {
  return z
    .string()
    .max(length)
    .regex(/^[^\p{Cc}\p{Cs}]*$/u, 'must not contain control characters or broken Unicode')
}

const base64Pattern = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

/** Standard base64 with padding, of at most `bytes` bytes. */
export function base64(bytes: number) {
  return z
    .string()
    .max(Math.ceil(bytes / 3) * 4)
    .regex(base64Pattern, 'must be base64 with padding')
}

/** Standard base64 with padding, of exactly `bytes` bytes. */
export function base64Of(bytes: number) {
  const whole = Math.floor(bytes / 3) * 4
  const rest = ['', '[A-Za-z0-9+/]{2}==', '[A-Za-z0-9+/]{3}='][bytes % 3]
  return z
    .string()
    .regex(new RegExp(`^[A-Za-z0-9+/]{${whole}}${rest}$`), `must be ${bytes} bytes in base64 with padding`)
}

/** Lower-case hex of exactly `bytes` bytes. */
export function hex(bytes: number) {
  return z.string().regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`), `must be ${bytes} bytes of lower-case hex`)
}

/** A proof path: SHA-256 hashes in base64. */
export const hashPath = z.array(base64(32)).max(maxProofHashes)

/** A time in an answer: UTC with milliseconds. */
export const time = z.iso
  .datetime({ precision: 3, error: 'must be a time such as 2026-11-20T14:02:11.482Z' })
  .meta({ examples: ['2026-11-20T14:02:11.482Z'] })

/** The last time with a year of four digits. */
const lastMilliseconds = Date.parse('9999-12-31T23:59:59.999Z')

/** A time that a caller gives: RFC 3339 with `Z` or an offset. */
export const givenTime = z.iso
  .datetime({ offset: true, error: 'must be a time such as 2026-11-20T14:02:11Z' })
  // With a negative offset it can lie behind the last year of four digits, and no record or answer has more.
  .refine((given) => Date.parse(given) <= lastMilliseconds, 'must be a time such as 2026-11-20T14:02:11Z')
  .meta({ examples: ['2026-11-20T14:02:11Z'] })

/** A whole number that fits a JSON number exactly. */
export const count = z.int().min(0).max(Number.MAX_SAFE_INTEGER)

/** The number of a key version, from 1. */
export const keyVersion = z.int().min(1).max(2_147_483_647)

/**
 * A whole number in a query string. A client written in code gives a number; on the wire it is decimal digits without
 * sign, exponent or leading zero.
 */
export function queryInteger(minimum: number, maximum: number) {
  const whole = z.int().min(minimum).max(maximum)
  const message = `must be a whole number from ${minimum} to ${maximum}`
  const digits = z
    .string()
    .regex(/^(?:0|[1-9][0-9]{0,15})$/, message)
    .transform(Number)
    .pipe(whole)
  return z.union([whole, digits], message).meta({ openapi: { type: 'integer', minimum, maximum } })
}

/** Query fields of every list. `limit` is at most `maximum`. */
export function page(maximum: number, preset: number) {
  return {
    limit: queryInteger(1, maximum).default(preset).describe(`How many to answer, at most ${maximum}.`),
    cursor: text(512).min(1).optional().describe('`next_cursor` of the answer before this one.'),
  }
}

/** The field with which every list ends. */
export const nextCursor = z
  .string()
  .nullable()
  .describe('Pass it as `cursor` for the next page; `null` on the last one.')
