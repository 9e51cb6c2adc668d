import type { ProblemCode } from '../problems.ts'
import type { Route } from '../route.ts'
import {
  addresses,
  addressQuery,
  decodedTransaction,
  decoding,
  messageSigning,
  signedMessage,
  signedTransaction,
  signedTransactions,
  transactionBatch,
  transactionSigning,
} from '../schemas/transactions.ts'
import { byId } from './parameters.ts'
import {
  sampleKeyId,
  sampleKeyId2,
  sampleMessage,
  sampleRecordId,
  sampleTransaction,
  sampleTransactionJson,
  sampleUnsigned,
  sampleUnsignedEffectsHash,
} from './samples.ts'

const codecProblems = [
  'chain.unsupported',
  'transaction.malformed',
  'transaction.unsupported',
  'transaction.too_large',
  'transaction.chain_mismatch',
  'context.malformed',
] as const satisfies readonly ProblemCode[]

const signingProblems = [
  'key.not_found',
  'key.version_not_found',
  'key.state_forbids',
  'key.use_not_allowed',
  'quota.signatures_exceeded',
  'log.behind',
  'organization.busy',
  'clock.skewed',
  'custody.unavailable',
  'custody.refused',
] as const satisfies readonly ProblemCode[]

/** A transaction of nine blobs in hex is 2.6 MB of text. */
const maxBodyBytes = 3_145_728

/** Routes that read transactions and messages of chains, and sign them. */
export const transactionRoutes = {
  'transactions.decode': {
    method: 'POST',
    path: '/v1/transactions/decode',
    group: 'Transactions',
    scope: 'api:keys:read',
    body: decoding,
    maxBodyBytes,
    status: 200,
    response: decodedTransaction,
    errors: [...codecProblems, 'transaction.signer_mismatch', 'key.not_found'],
    idempotent: false,
    summary: 'Say what a transaction would do',
    description:
      'Reads a transaction, signed or not, and answers its effects, fee and warnings. It is understood whole or refused. Nothing is signed and no record is made.',
    example: {
      request: { chain: 'eip155:1', transaction: sampleUnsigned },
      response: {
        ...sampleTransaction,
        effects: [{ ...sampleTransaction.effects[0], from: null }],
        effects_text: [
          'Transfer 1 ETH (1000000000000000000) from the signer to 0x3535353535353535353535353535353535353535',
        ],
        effects_hash: sampleUnsignedEffectsHash,
        fee: { ...sampleTransaction.fee, payer: null },
        signatures: [],
        transaction: sampleUnsigned,
        hash: null,
        complete: false,
      },
      cli: `popsigner transaction decode --chain eip155:1 ${sampleUnsigned}`,
    },
  },
  'keys.signTransaction': {
    method: 'POST',
    path: '/v1/keys/{id}/sign-transaction',
    group: 'Transactions',
    scope: 'api:keys:sign',
    params: byId,
    body: transactionSigning,
    maxBodyBytes,
    status: 200,
    response: signedTransaction,
    errors: [...codecProblems, 'transaction.signer_mismatch', 'transaction.already_signed', ...signingProblems],
    idempotent: true,
    summary: 'Sign a transaction',
    description:
      'Reads the transaction, signs what it says is to be signed, and answers it with the signature. Each signature has its record, with the use `transaction`, the network and the hash of the effects; the key needs that use. A transaction that is not understood whole, that another key signs or that is signed already is refused, and nothing is signed.',
    example: {
      params: { id: sampleKeyId },
      request: { chain: 'eip155:1', transaction: sampleTransactionJson },
      response: { key_id: sampleKeyId, key_version: 1, record_id: sampleRecordId, ...sampleTransaction },
      cli: `popsigner transaction sign ${sampleKeyId} --chain eip155:1 ${sampleUnsigned}`,
    },
  },
  'transactions.signBatch': {
    method: 'POST',
    path: '/v1/sign-transaction/batch',
    group: 'Transactions',
    scope: 'api:keys:sign',
    body: transactionBatch,
    maxBodyBytes: 2_097_152,
    status: 200,
    response: signedTransactions,
    errors: ['log.behind', 'organization.busy', 'clock.skewed', 'custody.unavailable'],
    idempotent: true,
    summary: 'Sign several transactions',
    description:
      'Each item answers for itself and in its place: the transaction with its signature, or `{key_id, error}` with a code of `POST /v1/keys/{id}/sign-transaction`. Quota is taken in the order of the items.',
    example: {
      request: {
        requests: [
          { key_id: sampleKeyId, chain: 'eip155:1', transaction: sampleTransactionJson },
          { key_id: sampleKeyId2, chain: 'eip155:10', transaction: sampleUnsigned },
        ],
      },
      response: {
        transactions: [
          { key_id: sampleKeyId, key_version: 1, record_id: sampleRecordId, ...sampleTransaction },
          {
            key_id: sampleKeyId2,
            error: {
              code: 'transaction.chain_mismatch',
              title: 'The transaction is for another network.',
              detail: 'The transaction is for eip155:1 and not for eip155:10.',
            },
          },
        ],
      },
      cli: 'popsigner transaction sign-batch requests.json',
    },
  },
  'keys.signMessage': {
    method: 'POST',
    path: '/v1/keys/{id}/sign-message',
    group: 'Transactions',
    scope: 'api:keys:sign',
    params: byId,
    body: messageSigning,
    maxBodyBytes: 1_048_576,
    status: 200,
    response: signedMessage,
    errors: [
      'chain.unsupported',
      'context.malformed',
      'message.unsupported',
      'message.malformed',
      'message.mismatch',
      'transaction.too_large',
      'transaction.signer_mismatch',
      ...signingProblems,
    ],
    idempotent: true,
    summary: 'Sign a message',
    description:
      'Reads a message under one of the chain’s conventions and signs it. What it permits elsewhere is in its effects where that is known: a permit is an allowance, the order to a Safe is what the Safe does. The key needs the use `message`.',
    example: {
      params: { id: sampleKeyId },
      request: { chain: 'eip155:1', convention: 'eip191', message: 'hello' },
      response: sampleMessage,
      cli: `popsigner sign-message ${sampleKeyId} --chain eip155:1 --convention eip191 hello`,
    },
  },
  'keys.addresses': {
    method: 'GET',
    path: '/v1/keys/{id}/addresses',
    group: 'Keys',
    scope: 'api:keys:read',
    params: byId,
    query: addressQuery,
    status: 200,
    response: addresses,
    errors: ['key.not_found', 'chain.unsupported'],
    idempotent: false,
    summary: 'List the addresses of a key',
    description: 'The addresses that the key has on a network, for each of its versions.',
    example: {
      params: { id: sampleKeyId },
      query: { chain: 'eip155:1' },
      response: {
        addresses: [
          {
            key_version: 1,
            chain: 'eip155:1',
            kind: 'account',
            address: '0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf',
          },
        ],
      },
      cli: `popsigner keys addresses ${sampleKeyId} --chain eip155:1`,
    },
  },
} as const satisfies Record<string, Route>
