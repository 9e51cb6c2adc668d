import { z } from 'zod'
import { type ProblemCode, problemCodes } from '../problems.ts'
import { digestForms, digestLength, hashName, maxSignatureLength, scheme, signatureForms } from './algorithms.ts'
import { base64, base64Of, hex, keyId, keyVersion, lookupId, maxDataBytes, maxSignItems, recordId } from './fields.ts'

/** How `data` is written. */
const dataEncoding = z
  .enum(['base64', 'hex', 'utf8'])
  .meta({ id: 'DataEncoding', description: 'How `data` is written. base64 is canonical and padded.' })

// Hex is the longest way to write the same bytes; what they decode to is measured by the server.
const data = z
  .string()
  .max(maxDataBytes * 2)
  .describe('What to sign, at most 1 MiB decoded.')

const prehashed = z.boolean().describe(`\`data\` is the digest itself (${digestLength} bytes). ${digestForms}`)

const namedScheme = scheme
  .optional()
  .describe('How it is signed: one of the schemes of the key. Default: the first of them.')

const namedVersion = keyVersion.optional().describe('The version that signs. Default: the primary one.')

/** `POST /v1/keys/{id}/sign`. */
export const signing = z
  .strictObject({
    data,
    encoding: dataEncoding.default('base64'),
    prehashed: prehashed.default(false),
    hash: hashName.optional(),
    scheme: namedScheme,
    key_version: namedVersion,
  })
  .meta({ id: 'Signing' })

const signatureFields = {
  key_id: keyId,
  signature: base64(maxSignatureLength).describe(`Base64. ${signatureForms}`),
  public_key: z.string().describe('Public key of the version that signed, lower-case hex.'),
  key_version: keyVersion.describe('The version that signed.'),
  recovery_id: z
    .int()
    .min(0)
    .max(3)
    .optional()
    .describe('secp256k1 only: which of the public keys that fit is this one.'),
  record_id: recordId.describe('The record of this signature; its receipt is there within a second.'),
}

/** A signature with what is needed to check it. */
export const signature = z.strictObject(signatureFields).meta({ id: 'Signature' })

/** `POST /v1/sign/batch`. What stands beside the list holds for items that do not say otherwise. */
export const signingBatch = z
  .strictObject({
    requests: z
      .array(
        z
          .strictObject({
            key_id: lookupId.describe('Id of the key.'),
            data,
            encoding: dataEncoding.optional(),
            prehashed: prehashed.optional(),
            hash: hashName.optional(),
            scheme: namedScheme,
            key_version: namedVersion,
          })
          .meta({ id: 'SigningItem' }),
      )
      .min(1)
      .max(maxSignItems)
      .describe(`At most ${maxSignItems} items. The whole body is at most 8 MiB.`),
    encoding: dataEncoding.default('base64'),
    prehashed: prehashed.default(false),
    hash: hashName.optional(),
    scheme: namedScheme,
  })
  .meta({ id: 'SigningBatch' })

/** Why one item of a batch was not signed. */
const signingFailure = z
  .strictObject({
    key_id: z.string().describe('As it stood in the request.'),
    error: z.strictObject({
      code: z.enum(problemCodes as [ProblemCode, ...ProblemCode[]]),
      title: z.string(),
      detail: z.string(),
    }),
  })
  .meta({ id: 'SigningFailure' })

export const signatures = z
  .strictObject({
    signatures: z
      .array(z.union([signature, signingFailure]))
      .describe('One answer for each item, in the order of the request.'),
  })
  .meta({ id: 'Signatures' })

/** `POST /v1/keys/{id}/verify`. */
export const verification = z
  .strictObject({
    data: data.describe('What was signed, at most 1 MiB decoded.'),
    encoding: dataEncoding.default('base64'),
    prehashed: prehashed.default(false),
    hash: hashName.optional(),
    scheme: scheme.optional().describe('How it was signed. Default: the first scheme of the key.'),
    signature: base64(1024).describe('The signature in base64. One of the wrong length is not valid.'),
    key_version: keyVersion.optional().describe('The version that signed. Default: the primary one.'),
  })
  .meta({ id: 'Verification' })

/** Most parts of an aggregate of BLS signatures. */
export const maxAggregated = 128

const blsSignature = base64Of(96).describe('A BLS signature: 96 bytes in base64.')

/** `POST /v1/signatures/aggregate`. */
export const aggregation = z
  .strictObject({
    signatures: z
      .array(blsSignature)
      .min(1)
      .max(maxAggregated)
      .describe(`BLS signatures of keys of bls12-381, of any origin; at most ${maxAggregated}.`),
  })
  .meta({ id: 'Aggregation' })

export const aggregateSignature = z
  .strictObject({ signature: blsSignature.describe('The signature that stands for all of them.') })
  .meta({ id: 'AggregateSignature' })

/** `POST /v1/signatures/verify-aggregate`. */
export const aggregateVerification = z
  .strictObject({
    public_keys: z
      .array(hex(48))
      .min(1)
      .max(maxAggregated)
      .describe('Public keys of bls12-381 in lower-case hex, of any origin.'),
    messages: z
      .array(z.strictObject({ data, encoding: dataEncoding.default('base64') }))
      .min(1)
      .max(maxAggregated)
      .describe(
        'One message that all keys signed, or one for each key in their order. For one message, proofs of possession of all keys must have been verified before: without, a key can be made up so that it cancels the others.',
      ),
    signature: blsSignature.describe('The aggregated signature.'),
  })
  .refine(({ messages, public_keys }) => messages.length === 1 || messages.length === public_keys.length, {
    path: ['messages'],
    message: 'must be one, or as many as public_keys',
  })
  .meta({ id: 'AggregateVerification' })

export const verificationResult = z
  .strictObject({
    valid: z.boolean().describe('For secp256k1 a signature with high S is not valid: this instance never makes one.'),
  })
  .meta({ id: 'VerificationResult' })
