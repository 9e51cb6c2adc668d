import { z } from 'zod'
import {
  base64,
  count,
  givenTime,
  hashPath,
  hex,
  keyId,
  nextCursor,
  page,
  queryInteger,
  recordId,
  requestId,
  text,
  time,
} from './fields.ts'

/** One record, in the shape that people search. What proves something is its leaf, in the receipt. */
export const record = z
  .strictObject({
    id: recordId,
    event: z.string().describe('What happened, such as `key.signed`.'),
    key_id: keyId.nullable(),
    actor: z.string().describe('Who: the id of an API key, `host`, `system` or `signer`.'),
    ip_address: z
      .string()
      .nullable()
      .describe('Network address of the actor; `null` if there is none or it was erased.'),
    user_agent: z.string().nullable().describe('User agent of the actor; `null` if there is none or it was erased.'),
    timestamp: time.describe('When the server stamped it.'),
    request_id: requestId.nullable(),
    leaf_index: count.describe('Its position in the organization’s log, from 0.'),
    metadata: z
      .record(z.string(), z.unknown())
      .describe(
        'The event’s own fields: for `key.signed` version, public key, algorithm, scheme, input, digest and `data_hash`.',
      ),
  })
  .meta({ id: 'Record' })

/** `GET /v1/audit/logs`. */
export const recordQuery = z.strictObject({
  start_time: givenTime.optional().describe('Only records of this time or later.'),
  end_time: givenTime.optional().describe('Only records before this time.'),
  event_type: z
    .string()
    .regex(/^[a-z_]{1,32}\.[a-z_]{1,32}$/, 'must be an event such as key.signed')
    .optional()
    .describe('Only this event, such as `key.signed`.'),
  key_id: keyId.optional().describe('Only records of this key.'),
  data_hash: z
    .string()
    .regex(/^(?:sha256:)?[0-9a-f]{64}$/, 'must be 64 lower-case hex digits, with or without sha256: before them')
    .optional()
    .describe('Only signatures over data with this SHA-256.'),
  address: text(128)
    .min(1)
    .optional()
    .describe(
      'Only records of the key that has this Cosmos or Ethereum address, in any of its versions; or, for a network address, of requests that came from it.',
    ),
  actor: z
    .string()
    .regex(
      /^(?:ak_[0-7][0-9a-hjkmnp-tv-z]{25}|host|system|signer)$/,
      'must be the id of an API key, host, system or signer',
    )
    .optional()
    .describe('Only what this actor did: the id of an API key, `host`, `system` or `signer`.'),
  order: z
    .enum(['asc', 'desc'])
    .default('desc')
    .describe('`desc`: newest first. `asc`: from the beginning of the log.'),
  include: z.enum(['leaf']).optional().describe('`leaf` adds the exact bytes of each record’s leaf.'),
  ...page(1000, 100),
})

export const recordList = z
  .strictObject({
    logs: z.array(
      record
        .extend({
          leaf_data: base64(8192)
            .nullable()
            .optional()
            .describe('With `include=leaf`: the exact bytes of the leaf in base64; `null` where retention removed it.'),
          leaf_hash: base64(32)
            .optional()
            .describe(
              'With `include=leaf`, of a record that retention removed: the hash of its leaf. `event` is then `record.removed`.',
            ),
        })
        .meta({ id: 'ListedRecord' }),
    ),
    next_cursor: nextCursor,
  })
  .meta({ id: 'RecordList' })

const checkpointText = z
  .string()
  .describe(
    'The checkpoint: a signed note (C2SP tlog-checkpoint) with the log’s signature and a timed cosignature of the instance.',
  )

/** `GET /v1/audit/logs/{id}/receipt`. */
export const receipt = z
  .strictObject({
    record: record.describe('For reading only; a verifier takes every field from `leaf_data`.'),
    leaf_data: base64(8192).describe('The exact bytes of the leaf: canonical JSON (RFC 8785) in base64.'),
    leaf_index: count,
    tree_size: count.describe('Size of the tree that the checkpoint names.'),
    inclusion_path: hashPath.describe('RFC 6962 inclusion proof, base64 of 32 bytes each.'),
    checkpoint: checkpointText,
    openings: z
      .record(
        z.string(),
        z.strictObject({
          salt: base64(32),
          value: z.string(),
        }),
      )
      .optional()
      .describe('Opens the commitments of the leaf, by field. The proof does not need them.'),
  })
  .meta({ id: 'Receipt' })

/** `GET /v1/audit/checkpoint`. */
export const checkpoint = z
  .strictObject({
    origin: z.string().describe('Name of the log: `<instance>/<organization id>`.'),
    size: count,
    root: base64(32).describe('Root hash of the tree.'),
    checkpoint: checkpointText,
  })
  .meta({ id: 'Checkpoint' })

/** `GET /v1/audit/consistency`. */
export const consistencyQuery = z.strictObject({
  old_size: queryInteger(0, Number.MAX_SAFE_INTEGER).describe('Size of the checkpoint you kept.'),
  new_size: queryInteger(0, Number.MAX_SAFE_INTEGER).describe('Size of a later checkpoint.'),
})

export const consistency = z
  .strictObject({
    old_size: count,
    new_size: count,
    path: hashPath.describe('RFC 6962 consistency proof, base64 of 32 bytes each.'),
  })
  .meta({ id: 'Consistency' })

const ed25519Key = hex(32).describe('Ed25519 public key, lower-case hex.')

/** `GET /v1/audit/log-key`: what a client pins on first use. */
export const logKey = z
  .strictObject({
    origin: z.string().describe('Name of the log and of its key: `<instance>/<organization id>`.'),
    public_key: ed25519Key,
    verifier_key: z.string().describe('The same as a verifier key of signed notes: `<name>+<hash>+<base64>`.'),
    instance: z
      .strictObject({
        name: z.string().describe('Name of the instance.'),
        public_key: ed25519Key,
        verifier_key: z.string().describe('Verifier key of its cosignatures.'),
      })
      .describe('The identity key of the instance’s signer, which cosigns checkpoints with a time.'),
  })
  .meta({ id: 'LogKey' })
