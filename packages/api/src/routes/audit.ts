import type { Route } from '../route.ts'
import {
  checkpoint,
  consistency,
  consistencyQuery,
  logKey,
  receipt,
  record,
  recordList,
  recordQuery,
} from '../schemas/audit.ts'
import { byId } from './parameters.ts'
import {
  sampleBytes,
  sampleCheckpoint,
  sampleIdentity,
  sampleKeyId,
  sampleOrigin,
  sampleRecord,
  sampleRecordId,
} from './samples.ts'

/** Routes that read the log and prove what is in it. */
export const auditRoutes = {
  'audit.list': {
    method: 'GET',
    path: '/v1/audit/logs',
    group: 'Audit',
    scope: 'api:audit:read',
    query: recordQuery,
    status: 200,
    response: recordList,
    errors: [],
    idempotent: false,
    summary: 'List records',
    description:
      'Newest first. The list is a projection of the log that is written within a second; what proves a record is its receipt. An API key that is bound to namespaces sees the records of keys in those, and its own.',
    example: {
      query: { event_type: 'key.signed', key_id: sampleKeyId, limit: '100' },
      response: { logs: [sampleRecord], next_cursor: null },
      cli: `popsigner audit list --event-type key.signed --key ${sampleKeyId}`,
    },
  },
  'audit.get': {
    method: 'GET',
    path: '/v1/audit/logs/{id}',
    group: 'Audit',
    scope: 'api:audit:read',
    params: byId,
    status: 200,
    response: record,
    errors: ['record.not_found', 'record.expired'],
    idempotent: false,
    summary: 'Read a record',
    description: 'One record in the shape of the list.',
    example: { params: { id: sampleRecordId }, response: sampleRecord },
  },
  'audit.receipt': {
    method: 'GET',
    path: '/v1/audit/logs/{id}/receipt',
    group: 'Audit',
    scope: 'api:audit:read',
    params: byId,
    status: 200,
    response: receipt,
    produces: ['application/json', 'text/plain'],
    errors: ['record.not_found', 'record.expired', 'receipt.not_ready', 'request.not_acceptable', 'log.behind'],
    idempotent: false,
    summary: 'Get the receipt of a record',
    description:
      'Leaf, inclusion proof and checkpoint: proof that the record is in the log, for anyone who has the log’s key. Waits up to 2 seconds for a checkpoint that covers the record. With `Accept: text/plain` the same as `c2sp.org/tlog-proof@v1`.',
    example: {
      params: { id: sampleRecordId },
      response: {
        record: sampleRecord,
        leaf_data: btoa('{"v":1}'),
        leaf_index: 40,
        tree_size: 41,
        inclusion_path: [sampleBytes(32), sampleBytes(32)],
        checkpoint: sampleCheckpoint,
        openings: { address: { salt: sampleBytes(32), value: '127.0.0.1' } },
      },
      cli: `popsigner audit receipt ${sampleRecordId} > receipt.json`,
    },
  },
  'audit.checkpoint': {
    method: 'GET',
    path: '/v1/audit/checkpoint',
    group: 'Audit',
    scope: 'api:audit:read',
    status: 200,
    response: checkpoint,
    errors: ['receipt.not_ready', 'log.behind'],
    idempotent: false,
    summary: 'Get the last checkpoint',
    description:
      'The signed head of the log. Keep it: whoever holds an old checkpoint finds every change to the history it covers, by asking for consistency.',
    example: {
      response: { origin: sampleOrigin, size: 41, root: sampleBytes(32), checkpoint: sampleCheckpoint },
      cli: 'popsigner audit watch',
    },
  },
  'audit.consistency': {
    method: 'GET',
    path: '/v1/audit/consistency',
    group: 'Audit',
    scope: 'api:audit:read',
    query: consistencyQuery,
    status: 200,
    response: consistency,
    errors: ['log.range_invalid', 'log.behind'],
    idempotent: false,
    summary: 'Prove that the log has only grown',
    description:
      'An RFC 6962 consistency proof between two sizes of the log, each of them at most that of the last checkpoint.',
    example: {
      query: { old_size: '40', new_size: '41' },
      response: { old_size: 40, new_size: 41, path: [sampleBytes(32)] },
      cli: 'popsigner audit watch',
    },
  },
  'audit.logKey': {
    method: 'GET',
    path: '/v1/audit/log-key',
    group: 'Audit',
    scope: 'api:audit:read',
    status: 200,
    response: logKey,
    errors: [],
    idempotent: false,
    summary: 'Get the key of the log',
    description:
      'The public keys that verify checkpoints. Pin them on first use; a receipt is never verified with a key that comes with it.',
    example: {
      response: {
        origin: sampleOrigin,
        public_key: sampleIdentity,
        verifier_key: `${sampleOrigin}+4d9e0a1b+${sampleBytes(33)}`,
        instance: {
          name: 'keys.example.com',
          public_key: sampleIdentity,
          verifier_key: `keys.example.com+5c1b7f20+${sampleBytes(33)}`,
        },
      },
    },
  },
} as const satisfies Record<string, Route>
