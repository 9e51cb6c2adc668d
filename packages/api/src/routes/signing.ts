import type { Route } from '../route.ts'
import {
  aggregateSignature,
  aggregateVerification,
  aggregation,
  signature,
  signatures,
  signing,
  signingBatch,
  verification,
  verificationResult,
} from '../schemas/signing.ts'
import { byId } from './parameters.ts'
import { sampleBytes, sampleKeyId, sampleKeyId2, sampleSignature, sampleSigned } from './samples.ts'

/** Routes that sign and verify. */
export const signingRoutes = {
  'keys.sign': {
    method: 'POST',
    path: '/v1/keys/{id}/sign',
    group: 'Signing',
    scope: 'api:keys:sign',
    params: byId,
    body: signing,
    // 1 MiB in hex is 2 MiB of text; the rest is room for JSON escapes in utf8.
    maxBodyBytes: 3_145_728,
    status: 200,
    response: signature,
    errors: [
      'key.not_found',
      'key.version_not_found',
      'key.state_forbids',
      'key.use_not_allowed',
      'key.scheme_not_allowed',
      'sign.hash_not_allowed',
      'sign.digest_length',
      'sign.data_invalid',
      'quota.signatures_exceeded',
      'log.behind',
      'organization.busy',
      'clock.skewed',
      'custody.unavailable',
      'custody.refused',
    ],
    idempotent: true,
    summary: 'Sign',
    description:
      'The record is durable before the key is touched, and its id comes with the signature. Repeated with the same `Idempotency-Key`, the answer names the same record and takes no second quota; the signature is made again: the same bytes where the scheme is `deterministic` in `GET /v1/signer`, otherwise another valid one over the same digest.',
    example: {
      params: { id: sampleKeyId },
      request: { data: 'aGVsbG8=', encoding: 'base64', prehashed: false },
      response: sampleSigned,
      cli: `popsigner sign ${sampleKeyId} --data hello --encoding utf8`,
    },
  },
  'sign.batch': {
    method: 'POST',
    path: '/v1/sign/batch',
    group: 'Signing',
    scope: 'api:keys:sign',
    body: signingBatch,
    maxBodyBytes: 8_388_608,
    status: 200,
    response: signatures,
    errors: ['log.behind', 'organization.busy', 'clock.skewed', 'custody.unavailable'],
    idempotent: true,
    summary: 'Sign several inputs',
    description:
      'At most 1,000 items, for the same key or different ones. Each item answers for itself and in its place: a signature, or `{key_id, error}` with a code of `POST /v1/keys/{id}/sign`. The batch itself answers 200. Quota is taken in the order of the items.',
    example: {
      request: {
        requests: [
          { key_id: sampleKeyId, data: 'aGVsbG8=' },
          { key_id: sampleKeyId2, data: 'd29ybGQ=' },
        ],
        encoding: 'base64',
        prehashed: false,
      },
      response: {
        signatures: [
          sampleSigned,
          {
            key_id: sampleKeyId2,
            error: {
              code: 'key.state_forbids',
              title: 'The state of the key does not allow this.',
              detail: 'The key version is suspended; it can verify.',
            },
          },
        ],
      },
      cli: 'popsigner sign batch requests.json',
    },
  },
  'keys.verify': {
    method: 'POST',
    path: '/v1/keys/{id}/verify',
    group: 'Signing',
    scope: 'api:keys:read',
    params: byId,
    body: verification,
    maxBodyBytes: 3_145_728,
    status: 200,
    response: verificationResult,
    errors: [
      'key.not_found',
      'key.version_not_found',
      'key.state_forbids',
      'key.scheme_not_allowed',
      'sign.hash_not_allowed',
      'sign.digest_length',
      'sign.data_invalid',
    ],
    idempotent: false,
    summary: 'Verify a signature',
    description:
      'Whether the signature is over this data under this key. It needs no private key and leaves no record.',
    example: {
      params: { id: sampleKeyId },
      request: { data: 'aGVsbG8=', encoding: 'base64', prehashed: false, signature: sampleSignature },
      response: { valid: true },
      cli: `popsigner verify ${sampleKeyId} --data hello --encoding utf8 --signature '${sampleSignature}'`,
    },
  },
  'signatures.aggregate': {
    method: 'POST',
    path: '/v1/signatures/aggregate',
    group: 'Signing',
    scope: 'api:keys:read',
    body: aggregation,
    status: 200,
    response: aggregateSignature,
    errors: [],
    idempotent: false,
    summary: 'Aggregate BLS signatures',
    description:
      'One signature that stands for many, by the ciphersuite of Ethereum. A signature that is no point of the group is refused by its place, as `signatures[2]`. It needs no private key and leaves no record.',
    example: {
      request: { signatures: [sampleBytes(96), sampleBytes(96)] },
      response: { signature: sampleBytes(96) },
      cli: `popsigner signatures aggregate '${sampleBytes(96)}' '${sampleBytes(96)}'`,
    },
  },
  'signatures.verifyAggregate': {
    method: 'POST',
    path: '/v1/signatures/verify-aggregate',
    group: 'Signing',
    scope: 'api:keys:read',
    body: aggregateVerification,
    maxBodyBytes: 3_145_728,
    status: 200,
    response: verificationResult,
    errors: ['sign.data_invalid'],
    idempotent: false,
    summary: 'Verify an aggregated BLS signature',
    description:
      'Whether the signature stands for those of all these keys, each over its message or all over the only one. A malformed key or signature is not valid. It needs no private key and leaves no record.',
    example: {
      request: {
        public_keys: ['a4'.repeat(48)],
        messages: [{ data: 'aGVsbG8=', encoding: 'base64' }],
        signature: sampleBytes(96),
      },
      response: { valid: true },
      cli: `popsigner signatures verify-aggregate '${sampleBytes(96)}' --public-key ${'a4'.repeat(48)} --data hello`,
    },
  },
} as const satisfies Record<string, Route>
