import { z } from 'zod'
import { algorithmName, maxSecretLength, publicKeyText, scheme } from './algorithms.ts'
import {
  base64,
  base64Of,
  defaultWaitingDays,
  hex,
  keyId,
  keyVersion,
  lookupId,
  maxBatchKeys,
  maxMetadataEntries,
  maxWaitingDays,
  name,
  nextCursor,
  organizationId,
  page,
  queryInteger,
  recordId,
  text,
  time,
  wrappingKeyId,
} from './fields.ts'

/** What a key may be asked for. */
export const use = z.enum(['transaction', 'message', 'raw', 'digest']).meta({
  id: 'Use',
  description:
    '`raw`: data that the server hashes as asked; `digest`: a digest made by the caller (`prehashed`); `transaction` and `message`: bytes whose meaning the server decodes.',
})

/** State of a key version after SP 800-57. */
const keyState = z.enum(['pre_active', 'active', 'suspended', 'deactivated', 'compromised', 'destroyed']).meta({
  id: 'KeyState',
  description:
    '`pre_active`: nothing. `active`: everything. `suspended`: verify. `deactivated`: verify and export. `compromised`: verify. `destroyed`: its public parts can be read.',
})

function distinct(values: readonly string[]): boolean {
  return new Set(values).size === values.length
}

const schemes = z.array(scheme).min(1).max(16).refine(distinct, 'must not name a scheme twice')
const uses = z.array(use).min(1).max(4).refine(distinct, 'must not name a use twice')

const metadataKey = z
  .string()
  .regex(/^[a-zA-Z0-9][a-zA-Z0-9._-]{0,63}$/, 'must be 1 to 64 letters, digits, dots, dashes or underscores')
const cosmosPrefix = /^[a-z][a-z0-9]{0,31}$/

/** Texts of the caller's own beside a key. */
export const metadata = z
  .record(metadataKey, text(500))
  .refine(
    (entries) => Object.keys(entries).length <= maxMetadataEntries,
    `must have at most ${maxMetadataEntries} entries`,
  )
  .refine(
    (entries) => !Object.hasOwn(entries, 'address_prefix') || cosmosPrefix.test(entries['address_prefix'] ?? ''),
    { path: ['address_prefix'], message: 'must be 1 to 32 lower-case letters and digits and begin with a letter' },
  )
  .meta({
    id: 'Metadata',
    description: `Texts of your own, at most ${maxMetadataEntries}, each up to 500 characters. \`address_prefix\` names the Cosmos chain of \`address\`; without it the prefix is \`celestia\`.`,
    examples: [{ chain: 'celestia', network: 'mainnet' }],
  })

const exportTerms = z.union([z.literal('none'), z.literal('any'), hex(32)], 'must be none, any, or 64 hex digits')

const rotateEveryDays = z
  .int()
  .min(1)
  .max(3650)
  .nullable()
  .describe('The key is rotated by itself this many days after its newest version was made; `null` for never.')

const derivedFields = {
  public_key_g1: hex(64)
    .nullable()
    .describe('The part of `public_key` in G1, x ‖ y as in EIP-196; `null` unless the algorithm is bn254.'),
  public_key_g2: hex(128)
    .nullable()
    .describe(
      'The part of `public_key` in G2, x1 ‖ x0 ‖ y1 ‖ y0 with imaginary parts (1) first, as in EIP-197 and in `G2Point` of EigenLayer’s `BN254.sol`; `null` unless the algorithm is bn254.',
    ),
  address: z
    .string()
    .nullable()
    .describe(
      'Cosmos address (bech32), `celestia1…` unless `metadata.address_prefix` says otherwise; `null` unless the algorithm is secp256k1.',
    ),
  eth_address: z
    .string()
    .regex(/^0x[0-9a-fA-F]{40}$/)
    .nullable()
    .describe('Ethereum address with EIP-55 checksum; `null` unless the algorithm is secp256k1.'),
}

/** One generation of a key's material. */
const keyVersionInfo = z
  .strictObject({
    version: keyVersion,
    state: keyState,
    public_key: publicKeyText,
    ...derivedFields,
    created_at: time,
  })
  .meta({ id: 'KeyVersion' })

const keyFields = {
  id: keyId,
  name: name.describe('Name of the key, unique in its namespace.'),
  namespace: name.describe('Name of the namespace.'),
  algorithm: algorithmName,
  public_key: publicKeyText,
  ...derivedFields,
  exportable: z.boolean().describe('Whether the key can leave the signer at all; false where `export` is `none`.'),
  export: exportTerms.describe(
    'Who can be given the key: `none`; `any` recipient; or SHA-256 (hex) of the one recipient’s public key. Sealed into the envelope.',
  ),
  schemes: schemes.describe('How the key signs.'),
  uses: uses.describe('What the key may be asked for. It can be narrowed, never widened.'),
  state: keyState.describe('State of the primary version.'),
  version: keyVersion.describe('The primary version: the one that signs when no `key_version` is named.'),
  versions: z.array(keyVersionInfo).describe('Every version, newest first.'),
  metadata,
  rotate_every_days: rotateEveryDays,
  destroy_at: time.nullable().describe('When the key will be destroyed, if a deletion is scheduled.'),
  created_at: time,
  updated_at: time,
}

/** A key as every route answers it. */
export const key = z
  .strictObject(keyFields)
  .meta({ id: 'Key', description: 'A key: what it is, what it may do, and its public parts.' })

/** The answer to a rotation: the key with its new primary version, and the version it replaced. */
export const rotatedKey = z
  .strictObject({
    ...keyFields,
    previous: keyVersionInfo.describe('The version that was primary until now.'),
  })
  .meta({ id: 'RotatedKey' })

/** `GET /v1/keys`. */
export const keyQuery = z.strictObject({
  namespace: name.optional().describe('Only keys of this namespace.'),
  name: name.optional().describe('Only the key of this name.'),
  algorithm: algorithmName.optional().describe('Only keys of this algorithm.'),
  state: keyState.optional().describe('Only keys whose primary version has this state.'),
  ...page(100, 50),
})

export const keyList = z.strictObject({ keys: z.array(key), next_cursor: nextCursor }).meta({ id: 'KeyList' })

const exportableCost =
  'Whether the key can ever be exported, sealed to a recipient. It cannot be changed later. Exportable means that whoever gets an API key with `api:keys:export`, or the server itself, can take the key away and sign with it where no record is made.'

/** Terms of a new key, the same for one, for a batch and for an import. */
const creationTerms = {
  algorithm: algorithmName.default('secp256k1'),
  exportable: z.boolean().optional().describe(`${exportableCost} Default: false.`),
  export: exportTerms
    .optional()
    .describe(
      'Instead of `exportable`: `none`, `any`, or SHA-256 (hex) of the only recipient’s public key (its 65 bytes).',
    ),
  schemes: schemes.optional().describe('How the key may sign. Default: the first scheme of the algorithm.'),
  uses: uses.optional().describe('What the key may be asked for. Default: everything.'),
  rotate_every_days: rotateEveryDays.default(null),
}

interface ExportTerms {
  readonly exportable?: boolean | undefined
  readonly export?: string | undefined
}

function exportAgrees(terms: ExportTerms): boolean {
  return terms.exportable === undefined || terms.export === undefined || terms.exportable === (terms.export !== 'none')
}

const exportDisagrees = { path: ['export'], message: 'must not contradict exportable' }

/** What the envelope says about export, out of the two fields of a request: `none`, `any`, or 64 hex digits. */
export function readExportTerms(terms: ExportTerms): string {
  return terms.export ?? (terms.exportable === true ? 'any' : 'none')
}

const ownFields = {
  name: name.describe('Name of the key, unique in its namespace: letters, digits, `.`, `_`, `-`.'),
  namespace: name.describe('Name of the namespace.'),
  metadata: metadata.default({}),
}

/** `POST /v1/keys`. */
export const keyCreation = z
  .strictObject({ ...ownFields, ...creationTerms })
  .refine(exportAgrees, exportDisagrees)
  .meta({ id: 'KeyCreation' })

/** `POST /v1/keys/batch`: keys named one by one, or numbered. Settings beside the list hold for all of them. */
const namedKeys = z
  .strictObject({
    keys: z.array(z.strictObject(ownFields)).min(1).max(maxBatchKeys).describe('The keys to create, in this order.'),
    ...creationTerms,
  })
  .refine(exportAgrees, exportDisagrees)
  .meta({ id: 'NamedKeys', description: 'Keys named one by one.' })

const numberedKeys = z
  .strictObject({
    prefix: name.max(120).describe('The keys are named `<prefix>-1`, `<prefix>-2` and so on.'),
    count: z.int().min(1).max(maxBatchKeys).describe('How many.'),
    namespace: name.describe('Name of the namespace.'),
    metadata: metadata.default({}),
    ...creationTerms,
  })
  .refine(exportAgrees, exportDisagrees)
  .meta({ id: 'NumberedKeys', description: 'Keys with a common prefix, numbered from 1.' })

export const keyBatch = z.union([namedKeys, numberedKeys]).meta({ id: 'KeyBatch' })

export const createdKeys = z
  .strictObject({ keys: z.array(key).describe('The keys, in the order of the request.') })
  .meta({ id: 'CreatedKeys' })

/** `PATCH /v1/keys/{id}`. A field that is left out stays as it is. */
export const keyChange = z
  .strictObject({
    name: name.optional().describe('A new name.'),
    metadata: metadata.optional().describe('Replaces all of the metadata.'),
    state: z
      .enum(['active', 'suspended', 'deactivated', 'compromised'])
      .optional()
      .describe(
        'A new state, of every version that can take it. States are left only forwards; suspended → active needs `api:access:write`.',
      ),
    uses: uses.optional().describe('A subset of the present uses.'),
    schemes: schemes.optional().describe('A subset of the present schemes.'),
    rotate_every_days: rotateEveryDays.optional(),
  })
  .refine((change) => Object.keys(change).length > 0, 'must change something')
  .meta({ id: 'KeyChange' })

/** `GET /v1/keys/{id}/history`. */
export const keyHistory = z
  .strictObject({
    history: z.array(
      z
        .strictObject({
          record_id: recordId,
          event: z.string().describe('The event of the record, such as `key.updated`.'),
          changed_at: time,
          actor: z.string().describe('Who changed it: the id of an API key, `host` or `system`.'),
          name: z.string().nullable().describe('The name from this record on; `null` if it was erased.'),
          metadata: metadata.nullable().describe('The metadata from this record on; `null` if it was erased.'),
          state: keyState.describe('The state of the primary version from this record on.'),
          version: keyVersion.describe('The primary version from this record on.'),
          uses,
          schemes,
          rotate_every_days: rotateEveryDays,
        })
        .meta({ id: 'KeyHistoryEntry' }),
    ),
    next_cursor: nextCursor,
  })
  .meta({ id: 'KeyHistory' })

export const keyHistoryQuery = z.strictObject(page(100, 50))

/** `DELETE /v1/keys/{id}`. */
export const keyDeletionQuery = z.strictObject({
  waiting_days: queryInteger(0, maxWaitingDays)
    .default(defaultWaitingDays)
    .describe('Days until the key is destroyed, in which it can be brought back. 0 only on the plan `self_hosted`.'),
})

export const keyDeletion = z
  .strictObject({
    state: z.enum(['deactivated', 'destroyed']).describe('`destroyed` only after a waiting period of 0 days.'),
    destroy_at: time.describe('When the key is destroyed.'),
  })
  .meta({ id: 'KeyDeletion' })

/** `POST /v1/keys/{id}/rotate`. */
export const keyRotation = z
  .strictObject({
    keep_active: z
      .boolean()
      .default(false)
      .describe('Leave the old version active, so that it can still sign when named. Otherwise it is deactivated.'),
  })
  .meta({ id: 'KeyRotation' })

/** A P-256 public key for HPKE: 65 bytes, uncompressed. */
const hpkePublicKey = z.string().regex(/^04[0-9a-f]{128}$/, 'must be 65 bytes of lower-case hex that begin with 04')

const sealedFields = {
  enc: base64Of(65).describe('HPKE encapsulated key, base64 of 65 bytes.'),
  ciphertext: base64(maxSecretLength + 16).describe(
    'HPKE ciphertext of the private key, base64: 16 bytes longer than the key, which has 32 but for algorithms that say otherwise in docs/formats.md.',
  ),
}

/** `POST /v1/keys/import/wrapping-key`. */
export const wrappingKey = z
  .strictObject({
    id: wrappingKeyId.describe('Id of the wrapping key; it goes into the request and into the authenticated data.'),
    public_key: hpkePublicKey.describe('P-256 public key, 65 bytes of hex.'),
    instance: z.string().describe('Name of the instance, for the authenticated data.'),
    organization: organizationId.describe('Id of the organization, for the authenticated data.'),
    expires_at: time.describe('The wrapping key is good for one import until then.'),
    signature: base64(64).describe(
      'Ed25519 signature of the signer’s identity key over `popsigner/v1/wrapping-key`, a line feed and the canonical JSON (RFC 8785) of `{expires_at, id, instance, organization, public_key}`.',
    ),
  })
  .meta({ id: 'WrappingKey' })

/** `POST /v1/keys/import`. */
export const keyImport = z
  .strictObject({
    ...ownFields,
    ...creationTerms,
    public_key: publicKeyText.describe('Public key of the imported key, part of the authenticated data.'),
    wrapping_key_id: lookupId.describe('Id of the wrapping key it is sealed to.'),
    ...sealedFields,
  })
  .refine(exportAgrees, exportDisagrees)
  .meta({ id: 'KeyImport' })

/** `POST /v1/keys/{id}/export`. */
export const keyExport = z
  .strictObject({
    recipient_public_key: hpkePublicKey.describe('P-256 public key of the recipient, 65 bytes of hex.'),
    key_version: keyVersion.optional().describe('The version to export. Default: the primary one.'),
  })
  .meta({ id: 'KeyExport' })

export const exportedKey = z
  .strictObject({
    ...sealedFields,
    public_key: publicKeyText,
    key_version: keyVersion,
    key_id: keyId,
    instance: z.string().describe('Name of the instance.'),
    organization: organizationId,
    algorithm: algorithmName,
    schemes,
    uses,
    export: exportTerms,
    record_id: recordId.describe('The record of the export.'),
  })
  .meta({
    id: 'ExportedKey',
    description: 'The sealed key, and everything of which its authenticated data is made.',
  })
