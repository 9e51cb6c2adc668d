/**
 * The event table: one row for each event that can be in a log, one entry for each of its fields.
 *
 * A field stands in the leaf in clear only if its row says so: ids, digests, numbers, times and codes. Every other text
 * (names, addresses) stands as a commitment. Rows are append-only, and so are their optional fields: a leaf once written
 * must stay readable. Class `lasting` is kept as long as the organization; `activity` until its retention ends.
 */

/** What `v` says in every leaf of this form. */
export const LEAF_VERSION = 1

/** One field of a row: whether it must be there, whether it is a commitment, and which values it takes. */
export interface Field<T, Required extends boolean = boolean> {
  readonly required: Required
  /** True where the leaf holds a commitment (43 characters of base64url) and the value is kept beside the log. */
  readonly committed: boolean
  /** The form in words, for refusals and documentation. */
  readonly form: string
  readonly check: (value: unknown) => value is T
}

/** One row: how long records of the event are kept, and its fields beside the common ones. */
export interface EventRow {
  readonly class: 'activity' | 'lasting'
  readonly fields: Readonly<Record<string, Field<unknown>>>
}

/** A run of log indexes, both inclusive. */
export type Run = readonly [from: number, to: number]

/** A field that may be absent. */
function optional<T>(field: Field<T, true>): Field<T, false> {
  return { ...field, required: false }
}

function field<T>(form: string, check: (value: unknown) => boolean, committed = false): Field<T, true> {
  return { required: true, committed, form, check: check as (value: unknown) => value is T }
}

function text<T extends string = string>(form: string, pattern: RegExp): Field<T, true> {
  return field<T>(form, (value) => typeof value === 'string' && pattern.test(value))
}

/** TypeID: `prefix_` and 26 characters of lower-case Crockford base32, of which the first is at most 7 (128 bits). */
const ID_SUFFIX = '[0-7][0-9a-hjkmnp-tv-z]{25}'

function id(prefix: string): Field<string, true> {
  return text(`a TypeID with the prefix ${prefix}`, new RegExp(`^${prefix}_${ID_SUFFIX}$`))
}

/** Lower-case hex of exactly `bytes` bytes. */
function hexOf(bytes: number): Field<string, true> {
  return text(`lower-case hex of ${bytes} bytes`, new RegExp(`^(?:[0-9a-f]{2}){${bytes}}$`))
}

/** A short name from a table of ours or of a specification: an algorithm, a scheme, an error code, a chain. */
const code = text(
  'a code: 1 to 128 letters, digits and . _ : / -, beginning with a letter or digit',
  /^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$/,
)

const integer = field<number>(
  'a whole number from 0 to 2^53 - 1',
  (value) => Number.isSafeInteger(value) && (value as number) >= 0 && !Object.is(value, -0),
)

const truth = field<boolean>('true or false', (value) => typeof value === 'boolean')

const time = field<string>('a time as YYYY-MM-DDTHH:MM:SS.sssZ', isTime)

/** The value as it stands in the leaf: SHA-256 in base64url, whose last character carries four bits. */
const committedText = field<string>(
  'a commitment: 43 characters of base64url',
  (value) => typeof value === 'string' && /^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/.test(value),
  true,
)

/** Hex of up to 4,096 bytes, for keys of any algorithm. */
const publicKey = text('a public key in lower-case hex', /^(?:[0-9a-f]{2}){1,4096}$/)

const exportRule = text("'none', 'any' or the lower-case hex of 32 bytes", /^(?:none|any|[0-9a-f]{64})$/)

function oneOf<const T extends string>(...values: readonly T[]): Field<T, true> {
  return field<T>(`one of ${values.join(', ')}`, (value) => values.includes(value as T))
}

function listOf<T>(item: Field<T, true>, most: number): Field<readonly T[], true> {
  return field<readonly T[]>(
    `a list of at most ${most}, none twice, each ${item.form}`,
    (value) =>
      Array.isArray(value) &&
      value.length <= most &&
      value.every((one) => item.check(one)) &&
      new Set(value).size === value.length,
  )
}

/** The most runs of one statement. With indexes of ten digits that many fit into a leaf; with the largest, some 200. */
export const MAX_RUNS = 256

const runs = field<readonly Run[]>(
  `a list of at most ${MAX_RUNS} pairs [from, to] with from <= to`,
  (value) =>
    Array.isArray(value) &&
    value.length <= MAX_RUNS &&
    value.every((run: unknown) => {
      if (!Array.isArray(run) || run.length !== 2) return false
      const [from, to] = run as unknown[]
      return integer.check(from) && integer.check(to) && from <= to
    }),
)

const anyId = text('a TypeID', new RegExp(`^[a-z]{1,16}_${ID_SUFFIX}$`))

/** `<instance>/<organization id>`, or `<instance>` alone for the instance's own log. At most 253 + 31 characters. */
const log = field<string>('<instance> or <instance>/<organization id>', (value) => {
  if (typeof value !== 'string') return false
  const slash = value.indexOf('/')
  if (slash < 0) return isInstanceName(value)
  return isInstanceName(value.slice(0, slash)) && id('org').check(value.slice(slash + 1))
})

/** The fields of every leaf. Without `request`, nobody's request led to the record. */
export const commonFields = {
  v: field<typeof LEAF_VERSION>('1', (value) => value === LEAF_VERSION),
  log,
  id: id('rec'),
  time,
  event: code,
  actor: text('an API key id, host, system or signer', new RegExp(`^(?:ak_${ID_SUFFIX}|host|system|signer)$`)),
  request: optional(id('req')),
  address: optional(committedText),
  user_agent: optional(committedText),
} as const

const versionOfKey = { key: id('key'), version: integer } as const

const keyFacts = {
  ...versionOfKey,
  public_key: publicKey,
  algorithm: code,
  schemes: listOf(code, 16),
  uses: listOf(oneOf('transaction', 'message', 'raw', 'digest'), 4),
  export: exportRule,
  namespace: id('ns'),
  name: committedText,
  metadata: optional(committedText),
} as const

const apiKeyFacts = {
  api_key: id('ak'),
  scopes: optional(listOf(code, 64)),
  namespaces: optional(listOf(id('ns'), 256)),
  expires_at: optional(time),
  grace_until: optional(time),
} as const

/**
 * All events, by name.
 *
 * - `key.signed`: authorized and handed to the custodian. `digest` is what goes into the signature, or SHA-256 of the
 *   message where the scheme takes it whole; `data_hash` is SHA-256 of the caller's data, `idempotency` of the
 *   Idempotency-Key; `hash` is absent where the caller gave the digest or the scheme takes the message whole. `policy`
 *   (hash), `rule` and `approvals` say how it was judged. Of a `transaction` or `message`, `data_hash` is that of the transaction or
 *   message as the caller gave it, `effects` SHA-256 of the canonical JSON of what it would do, `chain` the CAIP-2 id, and `sign_mode` the
 *   way the document was put together, where the chain has several; it has no `hash`.
 * - `key.sign_failed`: the custodian said that it did not make the signature of the `key.signed` named by `record`.
 * - `key.rotated`: `version` is the new primary one, `previous` the one before it.
 * - `key.deleted`: `versions` is how many were destroyed; copies can be opened until `recoverable_until`, if given.
 * - `seal.rotated`: one step of a rotation; `root` and `previous` are ids of root keys, `organization_key` of the other.
 * - `signer.statement`: what the signer says it signed; see `statement.ts`. `signature` is Ed25519 by `signer` over
 *   `statementMessage` of the fields from `log` to `at`.
 * - `log.rollback_accepted`: the host accepted that records after `size` are lost, `lost_size` being the size known before.
 */
export const events = {
  'key.created': { class: 'lasting', fields: keyFacts },
  'key.imported': { class: 'lasting', fields: { ...keyFacts, wrapping_key: id('wk') } },
  'key.updated': {
    class: 'lasting',
    fields: {
      key: id('key'),
      change: listOf(code, 16),
      state: optional(code),
      version: optional(integer),
      uses: optional(keyFacts.uses),
      schemes: optional(keyFacts.schemes),
      generation: optional(integer),
      rotate_every_days: optional(integer),
      name: optional(committedText),
      metadata: optional(committedText),
    },
  },
  'key.rotated': {
    class: 'lasting',
    fields: { ...versionOfKey, public_key: publicKey, previous: integer, kept_active: truth },
  },
  'key.signed': {
    class: 'activity',
    fields: {
      ...versionOfKey,
      public_key: publicKey,
      algorithm: code,
      scheme: code,
      input: oneOf('raw', 'digest', 'message', 'transaction'),
      hash: optional(code),
      digest: text('lower-case hex of 1 to 64 bytes', /^(?:[0-9a-f]{2}){1,64}$/),
      data_hash: hexOf(32),
      idempotency: optional(hexOf(32)),
      policy: optional(hexOf(32)),
      rule: optional(code),
      approvals: optional(listOf(anyId, 64)),
      effects: optional(hexOf(32)),
      chain: optional(code),
      sign_mode: optional(code),
    },
  },
  'key.sign_failed': { class: 'activity', fields: { record: id('rec'), ...versionOfKey, code } },
  'key.sign_denied': { class: 'activity', fields: { key: optional(id('key')), code, count: integer } },
  'key.exported': { class: 'lasting', fields: { ...versionOfKey, recipient: hexOf(32) } },
  'key.deletion_scheduled': {
    class: 'lasting',
    fields: { key: id('key'), destroy_at: time, waiting_days: integer },
  },
  'key.deletion_cancelled': { class: 'lasting', fields: { key: id('key') } },
  'key.deleted': {
    class: 'lasting',
    fields: { key: id('key'), versions: integer, recoverable_until: optional(time) },
  },
  'namespace.created': { class: 'lasting', fields: { namespace: id('ns'), name: committedText } },
  'namespace.deleted': { class: 'lasting', fields: { namespace: id('ns'), name: optional(committedText) } },
  'api_key.created': { class: 'lasting', fields: { ...apiKeyFacts, name: committedText } },
  'api_key.rotated': {
    class: 'lasting',
    fields: { ...apiKeyFacts, previous: optional(id('ak')), name: optional(committedText) },
  },
  'api_key.revoked': { class: 'lasting', fields: { ...apiKeyFacts, name: optional(committedText) } },
  'auth.api_key_used': { class: 'activity', fields: {} },
  'auth.denied': { class: 'activity', fields: { code, count: integer } },
  'organization.created': { class: 'lasting', fields: { organization: id('org'), plan: code, name: committedText } },
  'seal.rotated': {
    class: 'lasting',
    fields: {
      step: code,
      root: optional(hexOf(16)),
      previous: optional(hexOf(16)),
      organization_key: optional(hexOf(16)),
    },
  },
  'signer.statement': {
    class: 'lasting',
    fields: {
      signer: hexOf(32),
      boot: hexOf(16),
      count: integer,
      chain: hexOf(32),
      runs,
      previous: hexOf(32),
      reason: oneOf('minute', 'restart', 'runs'),
      at: time,
      signature: text('base64 of 64 bytes', /^[A-Za-z0-9+/]{85}[AQgw]==$/),
    },
  },
  'log.rollback_accepted': { class: 'lasting', fields: { size: integer, root: hexOf(32), lost_size: integer } },
} as const satisfies Record<string, EventRow>

/** The name of an event. */
export type EventName = keyof typeof events

type ValuesOf<Fields> = {
  readonly [K in keyof Fields as Fields[K] extends Field<unknown, true> ? K : never]: Fields[K] extends Field<infer T>
    ? T
    : never
} & {
  readonly [K in keyof Fields as Fields[K] extends Field<unknown, true> ? never : K]?: Fields[K] extends Field<infer T>
    ? T
    : never
}

/** A leaf's content for one event, as `parseLeaf` returns it. */
export type LeafOf<E extends EventName> = Omit<ValuesOf<typeof commonFields>, 'event'> & {
  readonly event: E
} & ValuesOf<(typeof events)[E]['fields']>

/** A leaf's content: a union over all events, told apart by `event`. */
export type LeafRecord = { [E in EventName]: LeafOf<E> }[EventName]

/** True for the name of an event in the table. */
export function isEventName(value: string): value is EventName {
  return Object.hasOwn(events, value)
}

/**
 * True for a text that can name an instance: 1 to 253 lower-case letters, digits, dots and hyphens, as in a host name,
 * neither beginning nor ending with a dot or hyphen. It is part of every log's name, so it can never change.
 */
export function isInstanceName(value: string): boolean {
  return /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/.test(value)
}

/**
 * The name of an organization's log: its checkpoints' origin, its key's name and every leaf's `log`.
 * `RangeError` for an instance name or organization id that cannot be one.
 */
export function logName(instance: string, organization: string): string {
  if (!isInstanceName(instance)) throw new RangeError('instance: not an instance name')
  if (!id('org').check(organization)) throw new RangeError('organization: not an organization id')
  return `${instance}/${organization}`
}

function isTime(value: unknown): value is string {
  if (typeof value !== 'string' || !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(value)) return false
  const milliseconds = Date.parse(value)
  // A day that the month does not have parses as one of the next month: only what reads back the same is a time.
  return !Number.isNaN(milliseconds) && new Date(milliseconds).toISOString() === value
}
