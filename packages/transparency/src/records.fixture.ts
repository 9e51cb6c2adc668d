/** Records for tests: one to read, and arbitrary ones of every event. */
import { base64, base64url, hex } from '@popsigner/crypto/bytes'
import { encodeTypeId } from '@popsigner/crypto/typeid'
import fc from 'fast-check'
import { commonFields, type EventName, events, type LeafOf, type LeafRecord } from './events.ts'

export const sampleRecord: LeafOf<'key.signed'> = {
  v: 1,
  log: 'keys.example.com/org_01h455vb4pex5vsknk084sn02t',
  id: 'rec_01h455vb4pex5vsknk084sn02r',
  time: '2026-11-20T10:00:00.000Z',
  event: 'key.signed',
  actor: 'ak_01h455vb4pex5vsknk084sn02q',
  request: 'req_01h455vb4pex5vsknk084sn02v',
  key: 'key_01h455vb4pex5vsknk084sn02s',
  version: 1,
  public_key: `02${'11'.repeat(32)}`,
  algorithm: 'secp256k1',
  scheme: 'ecdsa',
  input: 'raw',
  hash: 'sha256',
  digest: 'cd'.repeat(32),
  data_hash: 'ab'.repeat(32),
}

const anyBytes = (length: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ minLength: length, maxLength: length })
export const anyHex = (length: number): fc.Arbitrary<string> => anyBytes(length).map(hex)
export const anyId = (prefix: string): fc.Arbitrary<string> => anyBytes(16).map((id) => encodeTypeId(prefix, id))
export const anyCommitment: fc.Arbitrary<string> = anyBytes(32).map(base64url)
export const anyTime: fc.Arbitrary<string> = fc
  .date({ min: new Date(0), max: new Date('9999-12-31T23:59:59.999Z'), noInvalidDate: true })
  .map((date) => date.toISOString())
const anyCode = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._:/-]{0,40}$/)
const anyInteger = fc.maxSafeNat()

/** Values by field, for fields that mean the same in every event. Written beside the table, not from it. */
const values: Record<string, fc.Arbitrary<unknown>> = {
  v: fc.constant(1),
  log: anyId('org').map((id) => `keys.example.com/${id}`),
  id: anyId('rec'),
  time: anyTime,
  actor: fc.oneof(anyId('ak'), fc.constantFrom('host', 'system', 'signer')),
  request: anyId('req'),
  address: anyCommitment,
  user_agent: anyCommitment,
  name: anyCommitment,
  metadata: anyCommitment,
  key: anyId('key'),
  version: anyInteger,
  public_key: anyHex(33),
  algorithm: anyCode,
  scheme: anyCode,
  input: fc.constantFrom('raw', 'digest', 'message', 'transaction'),
  hash: anyCode,
  digest: anyHex(32),
  data_hash: anyHex(32),
  idempotency: anyHex(32),
  policy: anyHex(32),
  rule: anyCode,
  approvals: fc.uniqueArray(anyId('apr'), { maxLength: 4 }),
  effects: anyHex(32),
  chain: fc.constant('eip155:1'),
  sign_mode: anyCode,
  record: anyId('rec'),
  code: anyCode,
  count: anyInteger,
  namespace: anyId('ns'),
  wrapping_key: anyId('wk'),
  change: fc.uniqueArray(anyCode, { maxLength: 4 }),
  schemes: fc.uniqueArray(anyCode, { maxLength: 4 }),
  uses: fc.subarray(['transaction', 'message', 'raw', 'digest']),
  export: fc.oneof(fc.constantFrom('none', 'any'), anyHex(32)),
  state: anyCode,
  generation: anyInteger,
  rotate_every_days: anyInteger,
  kept_active: fc.boolean(),
  recipient: anyHex(32),
  destroy_at: anyTime,
  waiting_days: anyInteger,
  versions: anyInteger,
  recoverable_until: anyTime,
  api_key: anyId('ak'),
  scopes: fc.uniqueArray(anyCode, { maxLength: 4 }),
  namespaces: fc.uniqueArray(anyId('ns'), { maxLength: 4 }),
  expires_at: anyTime,
  grace_until: anyTime,
  organization: anyId('org'),
  plan: anyCode,
  step: anyCode,
  organization_key: anyHex(16),
  signer: anyHex(32),
  boot: anyHex(16),
  runs: fc.array(
    fc.tuple(anyInteger, anyInteger).map(([a, b]) => (a < b ? [a, b] : [b, a])),
    { maxLength: 8 },
  ),
  reason: fc.constantFrom('minute', 'restart', 'runs'),
  at: anyTime,
  signature: anyBytes(64).map(base64),
  size: anyInteger,
  lost_size: anyInteger,
}

/** Where a name means something else in one event. */
const exceptions: Record<string, fc.Arbitrary<unknown>> = {
  'key.rotated previous': anyInteger,
  'api_key.rotated previous': anyId('ak'),
  'seal.rotated previous': anyHex(16),
  'seal.rotated root': anyHex(16),
  'signer.statement previous': anyHex(32),
  'signer.statement chain': anyHex(32),
  'log.rollback_accepted root': anyHex(32),
}

/** Any record of one event, with any of its optional fields. */
export function anyRecord(event: EventName): fc.Arbitrary<LeafRecord> {
  const fields = { ...commonFields, ...events[event].fields }
  const shape: Record<string, fc.Arbitrary<unknown>> = {}
  for (const name of Object.keys(fields)) {
    const value = name === 'event' ? fc.constant(event) : (exceptions[`${event} ${name}`] ?? values[name])
    if (!value) throw new Error(`records.fixture: no values for ${event} ${name}`)
    shape[name] = value
  }
  const required = Object.entries(fields).flatMap(([name, field]) => (field.required ? [name] : []))
  return fc.record(shape, { requiredKeys: required }).map((record) => ({ ...record }) as unknown as LeafRecord)
}
