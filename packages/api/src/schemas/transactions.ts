import { z } from 'zod'
import { type ProblemCode, problemCodes } from '../problems.ts'
import { base64, hex, keyId, keyVersion, lookupId, recordId } from './fields.ts'

/** Most items of `POST /v1/sign-transaction/batch`. */
export const maxTransactions = 1_000

/** More text than the longest transaction has: nine blobs with their proofs, in hex. */
const maxTransactionText = 4_000_000

const chain = z
  .string()
  .regex(/^[-a-z0-9]{3,8}:[-_a-zA-Z0-9]{1,32}$/, 'must be a CAIP-2 id such as eip155:1')
  .meta({ description: 'The network, as a CAIP-2 id.', examples: ['eip155:1'] })

/** Whatever JSON has: the codec of the chain reads it. */
const anyJson = z.unknown().refine((value) => value !== undefined, 'is required')

const transaction = z
  .union([z.string().max(maxTransactionText), z.record(z.string(), anyJson)])
  .describe(
    'The transaction in the text of its chain (EVM: hex behind `0x`, signed or not; Cosmos: base64 of a SignDoc, a StdSignDoc or a TxRaw), or the JSON that clients write: for EVM networks the fields of `eth_sendTransaction`, numbers as 0x hex, decimal text or JSON numbers; for Cosmos a StdSignDoc.',
  )

const context = z
  .strictObject({
    abi: z
      .array(anyJson)
      .optional()
      .describe(
        'EVM: the ABI of the contract that is called, as compilers write it. The standards of tokens outrank it.',
      ),
    account_number: z
      .string()
      .regex(/^(?:0|[1-9][0-9]{0,19})$/, 'must be a whole number as text')
      .optional()
      .describe('Cosmos: the number of the signer’s account, in decimal, for a TxRaw, which does not tell it.'),
    address_prefix: z
      .string()
      .regex(/^[a-z][a-z0-9]{0,50}$/, 'must be lower-case letters and digits, a letter first')
      .optional()
      .describe('Cosmos: how addresses begin, on a chain where that is not known.'),
    blobs: z
      .array(anyJson)
      .max(1_000)
      .optional()
      .describe(
        'Celestia: the blobs that the transaction pays for, in its order: `{namespace, data, share_version, signer}`, bytes as base64. They are compared with the message, and go out with the signed transaction.',
      ),
  })
  .meta({
    id: 'TransactionContext',
    description:
      'What the bytes do not tell. It changes what is told of them; of what is signed, only the account number of a Cosmos TxRaw.',
  })

const namedVersion = keyVersion.optional().describe('The version that signs. Default: the primary one.')

/** `POST /v1/transactions/decode`. */
export const decoding = z
  .strictObject({
    chain,
    transaction,
    context: context.optional(),
    key_id: lookupId
      .optional()
      .describe('The key that will sign: effects then name its address where the bytes do not tell.'),
  })
  .meta({ id: 'Decoding' })

const effects = z
  .array(
    z
      .looseObject({ kind: z.string().describe('Which effect it is; the other fields are those of the kind.') })
      .meta({ id: 'Effect' }),
  )
  .describe('All that it would do, in order; never empty. What is not understood has the kind `opaque`.')

const meaning = {
  chain,
  effects,
  effects_text: z.array(z.string()).describe('Each effect in a sentence, in the same order.'),
  effects_hash: hex(32).describe(
    'SHA-256 of the canonical JSON (RFC 8785) of `effects`; the record has it as `effects`.',
  ),
  warnings: z
    .array(z.strictObject({ code: z.string(), text: z.string() }).meta({ id: 'TransactionWarning' }))
    .describe('What a person should know before it is signed, and no effect says.'),
}

const decoded = {
  ...meaning,
  fee: z
    .strictObject({
      asset: z.string().describe('CAIP-19 id.'),
      max: z.string().describe('The most that the limits in the transaction let be taken, in the smallest unit.'),
      text: z.string().describe('The same in the unit that people use.'),
      payer: z.string().nullable().describe('`null` where the bytes do not tell.'),
    })
    .nullable()
    .meta({ id: 'TransactionFee' }),
  details: z.record(z.string(), anyJson).describe('The fields of the transaction: type, nonce, limits.'),
  signatures: z
    .array(
      z
        .strictObject({
          signer: z.string().nullable().describe('The address that it is from, where the transaction tells.'),
          signature: base64(8_192).describe(
            'In base64, as the chain writes it. EVM: R ‖ S ‖ V, 65 bytes; Cosmos: R ‖ S, 64 bytes.',
          ),
          record_id: recordId.optional().describe('The record, where the signature was made by this request.'),
          key_version: keyVersion.optional(),
        })
        .meta({ id: 'TransactionSignature' }),
    )
    .describe('The signatures that the transaction carries.'),
  transaction: z
    .string()
    .describe('The transaction with them, in the text of its chain: what is broadcast once it is complete.'),
  hash: z
    .string()
    .nullable()
    .describe('The chain’s name of it; `null` while a signature that is part of it is missing.'),
  complete: z.boolean().describe('Whether no signer is missing.'),
}

export const decodedTransaction = z.strictObject(decoded).meta({ id: 'DecodedTransaction' })

/** `POST /v1/keys/{id}/sign-transaction`. */
export const transactionSigning = z
  .strictObject({ chain, transaction, context: context.optional(), key_version: namedVersion })
  .meta({ id: 'TransactionSigning' })

const signedFields = {
  key_id: keyId,
  key_version: keyVersion.describe('The version that signed.'),
  record_id: recordId.describe('The record of the signature; of the first, where there are several.'),
  ...decoded,
}

export const signedTransaction = z.strictObject(signedFields).meta({ id: 'SignedTransaction' })

/** `POST /v1/sign-transaction/batch`. */
export const transactionBatch = z
  .strictObject({
    requests: z
      .array(
        z
          .strictObject({
            key_id: lookupId.describe('Id of the key.'),
            chain,
            transaction,
            context: context.optional(),
            key_version: namedVersion,
          })
          .meta({ id: 'TransactionItem' }),
      )
      .min(1)
      .max(maxTransactions)
      .describe(`At most ${maxTransactions} items. The whole body is at most 2 MiB.`),
  })
  .meta({ id: 'TransactionBatch' })

const transactionFailure = z
  .strictObject({
    key_id: z.string().describe('As it stood in the request.'),
    error: z.strictObject({
      code: z.enum(problemCodes as [ProblemCode, ...ProblemCode[]]),
      title: z.string(),
      detail: z.string(),
    }),
  })
  .meta({ id: 'TransactionFailure' })

export const signedTransactions = z
  .strictObject({
    transactions: z
      .array(z.union([signedTransaction, transactionFailure]))
      .describe('One answer for each item, in the order of the request.'),
  })
  .meta({ id: 'SignedTransactions' })

/** `POST /v1/keys/{id}/sign-message`. */
export const messageSigning = z
  .strictObject({
    chain,
    convention: z
      .string()
      .regex(/^[a-z0-9-]{1,64}$/, 'must be lower-case letters, digits and dashes')
      .meta({
        description: 'How the message is signed. EVM: `eip191`, `eip712`, `eip7702`. Cosmos: `adr036`.',
        examples: ['eip191'],
      }),
    message: anyJson.describe(
      'What the convention takes. `eip191`: text, or `{"raw": "0x…"}` for bytes. `eip712`: `{types, primaryType, domain, message}`. `eip7702`: `{chainId, address, nonce}`. `adr036`: text, or `{"raw": base64}` for bytes.',
    ),
    context: context.optional(),
    key_version: namedVersion,
  })
  .meta({ id: 'MessageSigning' })

export const signedMessage = z
  .strictObject({
    key_id: keyId,
    key_version: keyVersion.describe('The version that signed.'),
    record_id: recordId.describe('The record of this signature.'),
    ...meaning,
    signer: z.string().nullable().describe('The address of the key there.'),
    signature: z
      .string()
      .describe(
        'As verifiers of the convention take it. EVM: 65 bytes in hex behind `0x`, the last 27 or 28; Cosmos: 64 bytes in base64.',
      ),
  })
  .meta({ id: 'SignedMessage' })

/** Query of `GET /v1/keys/{id}/addresses`. */
export const addressQuery = z.strictObject({
  chain: chain.optional().describe('The network, as a CAIP-2 id. Default: the main one of each chain that is known.'),
})

export const addresses = z
  .strictObject({
    addresses: z
      .array(
        z
          .strictObject({
            key_version: keyVersion,
            chain,
            kind: z.string().describe('Which form it is, where a chain has several.'),
            address: z.string(),
          })
          .meta({ id: 'KeyAddress' }),
      )
      .describe('Of every version, the primary one first. Empty where the chain knows no keys of this algorithm.'),
  })
  .meta({ id: 'KeyAddresses' })
