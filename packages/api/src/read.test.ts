import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { z } from 'zod'
import { fieldPath, readInput } from './read.ts'
import { routes } from './routes.ts'
import { maxMetadataEntries, maxSignItems, name, queryInteger, text, time } from './schemas/fields.ts'
import { readExportTerms } from './schemas/keys.ts'

const create = routes['keys.create'].body
const batch = routes['keys.createBatch'].body
const sign = routes['keys.sign'].body
const minimal = { name: 'sequencer', namespace: 'production' }

/** The fields that are refused, in order; an accepted value fails the test. */
function refused(schema: z.ZodType, value: unknown): string[] {
  const read = readInput(schema, value)
  assert.ok(!read.ok, 'was accepted')
  for (const { message } of read.errors) assert.doesNotMatch(message, /Invalid|expected|received/)
  return read.errors.map(({ field }) => field)
}

function accepted<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const read = readInput(schema, value)
  assert.ok(read.ok, JSON.stringify(read))
  return read.value
}

test('defaults are filled in', () => {
  assert.deepEqual(accepted(create, minimal), {
    ...minimal,
    algorithm: 'secp256k1',
    metadata: {},
    rotate_every_days: null,
  })
  assert.deepEqual(accepted(sign, { data: '' }), { data: '', encoding: 'base64', prehashed: false })
  assert.equal(accepted(routes['keys.delete'].query, {}).waiting_days, 7)
  assert.equal(accepted(routes['audit.list'].query, {}).limit, 100)
})

test('a field is named as a caller would write it', () => {
  assert.equal(fieldPath([]), 'body')
  assert.equal(fieldPath(['keys', 2, 'name']), 'keys[2].name')
  assert.equal(fieldPath(['x'.repeat(1000)]).length, 120)
})

test('a batch of keys names the key that is wrong, in both of its forms', () => {
  const keys = [minimal, minimal, { ...minimal, name: 'not a name' }]
  assert.deepEqual(refused(batch, { keys }), ['keys[2].name'])
  assert.deepEqual(refused(batch, { keys: Array(20).fill({ name: 1, namespace: 2 }) }).length, 40)
  assert.deepEqual(refused(batch, { prefix: 'worker', namespace: 'production' }), ['count'])
  assert.deepEqual(refused(batch, { prefix: 'worker', namespace: 'production', count: 101 }), ['count'])
  assert.deepEqual(refused(batch, { prefix: 'worker', namespace: 'production', count: 0 }), ['count'])
  assert.deepEqual(refused(batch, { keys: [] }), ['keys'])
  assert.deepEqual(refused(batch, { keys: Array(101).fill(minimal) }), ['keys'])
  assert.deepEqual(refused(batch, { keys: [minimal], prefix: 'worker' }), ['prefix'])
  assert.deepEqual(refused(batch, []), ['body'])
  assert.deepEqual(refused(batch, null), ['body'])
})

test('values of the wrong type are refused, never converted', () => {
  for (const value of [null, 'x', 1, true, []]) assert.deepEqual(refused(create, value), ['body'])
  assert.deepEqual(refused(create, undefined), ['body'])
  assert.deepEqual(refused(create, {}), ['name', 'namespace'])
  assert.deepEqual(refused(create, { ...minimal, exportable: 'true' }), ['exportable'])
  assert.deepEqual(refused(create, { ...minimal, algorithm: 'SECP256K1' }), ['algorithm'])
  assert.deepEqual(refused(create, { ...minimal, rotate_every_days: 1.5 }), ['rotate_every_days'])
  assert.deepEqual(refused(create, { ...minimal, rotate_every_days: '30' }), ['rotate_every_days'])
  assert.deepEqual(refused(sign, { data: 1 }), ['data'])
  assert.deepEqual(refused(sign, { data: '', key_version: 2 ** 53 }), ['key_version'])
  assert.deepEqual(refused(sign, { data: '', key_version: 0 }), ['key_version'])
  assert.deepEqual(refused(sign, { data: '', hash: null }), ['hash'])
})

test('a field called __proto__ is refused wherever it stands', () => {
  for (const body of [
    '{"name":"a","namespace":"b","__proto__":{}}',
    '{"name":"a","namespace":"b","metadata":{"__proto__":"x"}}',
  ]) {
    assert.match(refused(create, JSON.parse(body))[0] ?? '', /__proto__$/)
  }
  const item = '{"requests":[{"key_id":"x","data":""},{"key_id":"x","data":"","__proto__":{"hash":"keccak256"}}]}'
  assert.deepEqual(refused(routes['sign.batch'].body, JSON.parse(item)), ['requests[1].__proto__'])
})

test('metadata is a flat map of short texts', () => {
  const metadata = (value: unknown) => ({ ...minimal, metadata: value })
  assert.deepEqual(refused(create, metadata({ a: 1 })), ['metadata.a'])
  assert.deepEqual(refused(create, metadata({ a: { b: 'c' } })), ['metadata.a'])
  assert.deepEqual(refused(create, metadata({ a: 'x'.repeat(501) })), ['metadata.a'])
  assert.deepEqual(refused(create, metadata({ 'no spaces': 'x' })), ['metadata.no spaces'])
  assert.deepEqual(refused(create, metadata([])), ['metadata'])
  const entries = (length: number) => Object.fromEntries(Array.from({ length }, (_, index) => [`k${index}`, 'v']))
  accepted(create, metadata(entries(maxMetadataEntries)))
  assert.deepEqual(refused(create, metadata(entries(maxMetadataEntries + 1))), ['metadata'])
  for (const prefix of ['', 'Celestia', 'a b', 'x'.repeat(33), '1a']) {
    assert.deepEqual(refused(create, metadata({ address_prefix: prefix })), ['metadata.address_prefix'])
  }
  assert.equal(accepted(create, metadata({ address_prefix: 'osmo', constructor: 'x' })).metadata['constructor'], 'x')
})

test('names are plain and never look like an id', () => {
  for (const good of ['a', 'worker-1', 'A.b_c', '0', 'x'.repeat(128), 'key_1', 'key_01h455vb4pex5vsknk084sn02'])
    accepted(name, good)
  for (const bad of [
    '',
    '-a',
    '.a',
    'a b',
    'a/b',
    'ä',
    'a\n',
    'x'.repeat(129),
    'key_01h455vb4pex5vsknk084sn02q',
    'ns_00000000000000000000000000',
  ]) {
    refused(name, bad)
  }
})

test('text holds nothing that cannot be stored or shown', () => {
  accepted(text(10), 'Größe 🔑')
  for (const bad of ['\u0000', 'a\u0007', '\u009f', '\ud800', 'x\udc00y', 'x'.repeat(11)]) refused(text(10), bad)
})

test('times in answers are UTC with milliseconds', () => {
  accepted(time, '2026-11-20T14:02:11.482Z')
  for (const bad of ['2026-11-20T14:02:11Z', '2026-11-20T14:02:11.482+00:00', '2026-02-30T00:00:00.000Z', '2026-11-20'])
    refused(time, bad)
})

test('whole numbers of a query are decimal digits or a number, within their limits', () => {
  const limit = queryInteger(1, 100)
  assert.equal(accepted(limit, '100'), 100)
  assert.equal(accepted(limit, 7), 7)
  for (const bad of [
    '0',
    '101',
    '-1',
    '+1',
    '1.0',
    '1e2',
    '0x1',
    '01',
    '',
    ' 1',
    ['1', '2'],
    true,
    0,
    1.5,
    '99999999999999999999',
  ]) {
    refused(limit, bad)
  }
  const size = queryInteger(0, Number.MAX_SAFE_INTEGER)
  assert.equal(accepted(size, '9007199254740991'), Number.MAX_SAFE_INTEGER)
  refused(size, '9007199254740992')
})

test('export and exportable may not contradict one another', () => {
  const hash = 'ab'.repeat(32)
  const terms = (value: object) => readExportTerms(accepted(create, { ...minimal, ...value }))
  assert.equal(terms({}), 'none')
  assert.equal(terms({ exportable: false }), 'none')
  assert.equal(terms({ exportable: true }), 'any')
  assert.equal(terms({ export: hash }), hash)
  assert.equal(terms({ export: hash, exportable: true }), hash)
  for (const value of [
    { exportable: false, export: 'any' },
    { exportable: false, export: hash },
    { exportable: true, export: 'none' },
    { export: hash.toUpperCase() },
    { export: 'some' },
  ]) {
    assert.deepEqual(refused(create, { ...minimal, ...value }), ['export'])
  }
})

test('uses and schemes are sets with something in them', () => {
  for (const uses of [[], ['raw', 'raw'], ['sign'], 'raw']) {
    assert.match(refused(create, { ...minimal, uses })[0] ?? '', /^uses/)
  }
  assert.deepEqual(refused(routes['keys.update'].body, {}), ['body'])
  assert.deepEqual(refused(routes['keys.update'].body, { state: 'destroyed' }), ['state'])
  assert.deepEqual(refused(routes['keys.update'].body, { algorithm: 'p256' }), ['algorithm'])
})

test('an item of a batch may name any key; the batch itself has limits', () => {
  const item = { key_id: 'not an id', data: 'aGVsbG8=' }
  accepted(routes['sign.batch'].body, { requests: Array(maxSignItems).fill(item) })
  assert.deepEqual(refused(routes['sign.batch'].body, { requests: Array(maxSignItems + 1).fill(item) }), ['requests'])
  assert.deepEqual(refused(routes['sign.batch'].body, { requests: [] }), ['requests'])
  assert.deepEqual(refused(routes['sign.batch'].body, { requests: [item, { ...item, nonce: 1 }] }), [
    'requests[1].nonce',
  ])
})

test('filters of records are refused where they could never match', () => {
  const query = routes['audit.list'].query
  const bad = {
    actor: 'me',
    data_hash: 'zz',
    start_time: 'yesterday',
    key_id: 'key_',
    event_type: 'signed',
    address: 'a\u0000',
    limit: '1001',
  }
  assert.deepEqual(refused(query, bad).sort(), Object.keys(bad).sort())
  accepted(query, { actor: 'host', data_hash: `sha256:${'0'.repeat(64)}`, end_time: '2026-11-20T14:02:11+01:00' })
})

test('messages never repeat a value', () => {
  const secret = 'psk_live_secret'
  const read = readInput(create, {
    name: `${secret} `,
    namespace: 1,
    algorithm: secret,
    metadata: { a: [secret] },
    export: secret,
  })
  assert.ok(!read.ok)
  assert.equal(JSON.stringify(read.errors).includes(secret), false)
})

test('at most fifty errors are reported', () => {
  const read = readInput(batch, { keys: Array(100).fill({}) })
  assert.ok(!read.ok)
  assert.equal(read.errors.length, 50)
})
