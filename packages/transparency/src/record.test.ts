import assert from 'node:assert/strict'
import { test } from 'node:test'
import { utf8 } from '@popsigner/crypto/bytes'
import { canonicalJson } from '@popsigner/crypto/canonical-json'
import { hmacSha256, sha256 } from '@popsigner/crypto/hash-native'
import fc from 'fast-check'
import { type EventName, events, isEventName, isInstanceName, logName } from './events.ts'
import {
  buildLeaf,
  commitment,
  commitmentSalt,
  committedFields,
  type LeafRecord,
  MAX_LEAF_BYTES,
  opensCommitment,
  parseLeaf,
} from './record.ts'
import { anyRecord, sampleRecord } from './records.fixture.ts'

test('the leaf of a signature, byte for byte', () => {
  assert.equal(
    new TextDecoder().decode(buildLeaf(sampleRecord)),
    '{"actor":"ak_01h455vb4pex5vsknk084sn02q","algorithm":"secp256k1","data_hash":"' +
      `${'ab'.repeat(32)}","digest":"${'cd'.repeat(32)}","event":"key.signed","hash":"sha256",` +
      '"id":"rec_01h455vb4pex5vsknk084sn02r","input":"raw","key":"key_01h455vb4pex5vsknk084sn02s",' +
      `"log":"keys.example.com/org_01h455vb4pex5vsknk084sn02t","public_key":"02${'11'.repeat(32)}",` +
      '"request":"req_01h455vb4pex5vsknk084sn02v","scheme":"ecdsa","time":"2026-11-20T10:00:00.000Z","v":1,"version":1}',
  )
})

test('property: parse gives back what build took, for every event', () => {
  for (const event of Object.keys(events) as EventName[])
    fc.assert(
      fc.property(anyRecord(event), (record) => {
        const leaf = buildLeaf(record)
        assert.deepEqual(parseLeaf(leaf), record)
        assert.deepEqual(buildLeaf(parseLeaf(leaf)), leaf)
      }),
      { numRuns: 25 },
    )
})

test('property: a changed byte is refused or reads as another record', () => {
  const leaf = buildLeaf(sampleRecord)
  fc.assert(
    fc.property(fc.nat(leaf.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const changed = leaf.slice()
      changed[at] = (changed[at] as number) ^ change
      let parsed: LeafRecord
      try {
        parsed = parseLeaf(changed)
      } catch (error) {
        assert.ok(error instanceof RangeError)
        return
      }
      assert.notDeepEqual(parsed, sampleRecord)
      assert.deepEqual(buildLeaf(parsed), changed)
    }),
    { numRuns: 1_000 },
  )
})

test('bytes of the same record in another spelling are refused', () => {
  const text = new TextDecoder().decode(buildLeaf(sampleRecord))
  const spellings = [
    ` ${text}`,
    `${text}\n`,
    `\ufeff${text}`,
    text.replace('"v":1,', '"v":1, '),
    text.replace('"v":1', '"v":1.0'),
    text.replace('"v":1', '"v":1e0'),
    text.replace('ecdsa', '\\u0065cdsa'),
    text.replace('"v":1,"version":1', '"version":1,"v":1'),
    text.replace('"v":1,', '"v":1,"v":1,'),
    text.replace('"v":1,', '"v":2,"v":1,'),
    text.slice(0, -1),
    `[${text}]`,
    'null',
    '',
  ]
  for (const spelling of spellings) assert.throws(() => parseLeaf(utf8(spelling)), RangeError, spelling)
  assert.throws(() => parseLeaf(Uint8Array.of(...utf8(text.slice(0, -1)), 0xff, 0x7d)), RangeError)
  assert.throws(() => parseLeaf(text as unknown as Uint8Array), TypeError)
})

test('fields and events that the table does not have are refused by name', () => {
  const refuses = (change: object, reason: RegExp): void => {
    const record = { ...sampleRecord, ...change } as LeafRecord
    assert.throws(() => buildLeaf(record), { name: 'RangeError', message: reason })
    assert.throws(() => parseLeaf(utf8(canonicalJson(record))), { name: 'RangeError', message: reason })
  }
  refuses({ memo: 'hello' }, /key\.signed has no field "memo"/)
  refuses({ ['__proto__x']: 1 }, /has no field/)
  refuses({ name: 'A'.repeat(43) }, /has no field "name"/)
  refuses({ event: 'key.forged' }, /unknown event/)
  refuses({ event: 'toString' }, /unknown event/)
  refuses({ event: 'key.created' }, /has no field|is missing/)
  refuses({ v: 2 }, /v is not 1/)
  refuses({ version: '1' }, /version is not a whole number/)
  refuses({ version: 1.5 }, /version/)
  refuses({ version: 2 ** 53 }, /version/)
  refuses({ version: -1 }, /version/)
  refuses({ digest: 'CD'.repeat(32) }, /digest/)
  refuses({ digest: '' }, /digest/)
  refuses({ data_hash: 'ab'.repeat(31) }, /data_hash/)
  refuses({ id: 'rec_81h455vb4pex5vsknk084sn02q' }, /id/)
  refuses({ id: 'rec_01h455vb4pex5vsknk084sn02u' }, /id/)
  refuses({ id: 'key_01h455vb4pex5vsknk084sn02q' }, /id/)
  refuses({ time: '2026-02-30T00:00:00.000Z' }, /time/)
  refuses({ time: '2026-11-20T10:00:00Z' }, /time/)
  refuses({ time: '2026-11-20T24:00:00.000Z' }, /time/)
  refuses({ actor: 'root' }, /actor/)
  refuses({ log: 'Keys.example.com/org_01h455vb4pex5vsknk084sn02t' }, /log/)
  refuses({ log: 'keys.example.com/ns_01h455vb4pex5vsknk084sn02t' }, /log/)
  refuses({ address: '127.0.0.1' }, /address is not a commitment/)
  refuses({ address: 'B'.repeat(43) }, /address/)
  refuses({ input: 'anything' }, /input/)
  refuses({ scheme: 'ecdsa"' }, /scheme/)
  refuses({ scheme: null }, /scheme/)
  refuses({ approvals: ['key_01h455vb4pex5vsknk084sn02q', 'key_01h455vb4pex5vsknk084sn02q'] }, /approvals/)
  const { digest: _, ...without } = sampleRecord
  assert.throws(() => buildLeaf(without as LeafRecord), /digest is missing/)
  assert.throws(() => buildLeaf({ ...sampleRecord, hash: undefined } as unknown as LeafRecord), RangeError)
  const polluted = JSON.parse(`{"__proto__":1,${new TextDecoder().decode(buildLeaf(sampleRecord)).slice(1)}`)
  assert.throws(() => buildLeaf(polluted), /has no field "__proto__"/)
})

test('runs and exports have their own forms', () => {
  const statement = fc.sample(anyRecord('signer.statement'), 1)[0] as LeafRecord
  for (const runs of [[[1]], [[2, 1]], [[0, 1, 2]], [['0', '1']], [[-1, 1]], [[0, 2 ** 53]], {}, [{}], 'x'])
    assert.throws(() => buildLeaf({ ...statement, runs } as unknown as LeafRecord), /runs/)
  assert.throws(
    () =>
      buildLeaf({ ...statement, runs: Array.from({ length: 257 }, (_, i) => [i * 2, i * 2]) } as unknown as LeafRecord),
    /runs/,
  )
  const created = fc.sample(anyRecord('key.created'), 1)[0] as LeafRecord
  for (const rule of ['some', '', 'ab'.repeat(31), null])
    assert.throws(() => buildLeaf({ ...created, export: rule } as unknown as LeafRecord), /export/)
})

test('128 runs of the largest indexes fit into a leaf', () => {
  const statement = fc.sample(anyRecord('signer.statement'), 1)[0] as LeafRecord
  const top = Number.MAX_SAFE_INTEGER
  const runs = Array.from({ length: 128 }, (_, i) => [top - 2 * i, top - 2 * i])
  assert.ok(buildLeaf({ ...statement, runs } as unknown as LeafRecord).length < MAX_LEAF_BYTES)
})

test('more than 8,192 bytes are refused, building and reading', () => {
  const created = fc.sample(anyRecord('key.created'), 1)[0] as LeafRecord
  const fits = { ...created, public_key: 'ab'.repeat(3_000) } as LeafRecord
  assert.ok(buildLeaf(fits).length <= MAX_LEAF_BYTES)
  const large = { ...created, public_key: 'ab'.repeat(4_000) } as LeafRecord
  assert.throws(() => buildLeaf(large), /are more than 8192/)
  assert.throws(() => parseLeaf(utf8(canonicalJson(large))), /are more than 8192/)
  assert.throws(() => parseLeaf(utf8(`${'['.repeat(4_000)}${']'.repeat(4_000)}`)), RangeError)
})

test('a commitment is what the format says, and opens with its salt and value only', () => {
  const erasureKey = Uint8Array.from({ length: 32 }, (_, i) => i)
  const salt = commitmentSalt(erasureKey, 'rec_01h455vb4pex5vsknk084sn02r', 'address')
  assert.deepEqual(salt, hmacSha256(erasureKey, utf8('rec_01h455vb4pex5vsknk084sn02r\0address')))
  const value = '2001:db8::1'
  const committed = commitment('address', salt, value)
  const bytes = sha256(utf8('popsigner/v1/commit\0address\0'), salt, utf8(value))
  assert.equal(committed, Buffer.from(bytes).toString('base64url'))
  assert.equal(commitment('address', salt, value, sha256), committed)
  assert.deepEqual(commitmentSalt(erasureKey, 'rec_01h455vb4pex5vsknk084sn02r', 'address', hmacSha256), salt)
  assert.ok(opensCommitment('address', salt, value, committed))
  assert.ok(!opensCommitment('user_agent', salt, value, committed))
  assert.ok(!opensCommitment('address', salt, `${value} `, committed))
  assert.ok(!opensCommitment('address', salt.slice(1), value, committed))
  assert.ok(!opensCommitment('address', salt, '\ud800', committed))
  assert.ok(!opensCommitment('addr\0ess', salt, value, committed))
  assert.throws(() => commitment('address', salt.slice(1), value), RangeError)
  assert.throws(() => commitment('a\0b', salt, value), RangeError)
  assert.throws(() => commitment('address', salt, '\ud800'), RangeError)
  assert.throws(() => commitmentSalt(salt.slice(1), 'rec', 'address'), RangeError)
})

test('the committed fields of a record are those its row says and it has', () => {
  assert.deepEqual(committedFields(sampleRecord), [])
  const address = commitment('address', new Uint8Array(32), 'x')
  assert.deepEqual(committedFields({ ...sampleRecord, address }), ['address'])
  const created = fc.sample(anyRecord('organization.created'), 1)[0] as LeafRecord
  assert.ok(committedFields(created).includes('name'))
  assert.ok(!committedFields(created).includes('plan'))
})

test('names of logs', () => {
  assert.equal(
    logName('keys.example.com', 'org_01h455vb4pex5vsknk084sn02t'),
    'keys.example.com/org_01h455vb4pex5vsknk084sn02t',
  )
  assert.throws(() => logName('keys.example.com/', 'org_01h455vb4pex5vsknk084sn02t'), RangeError)
  assert.throws(() => logName('keys.example.com', 'ns_01h455vb4pex5vsknk084sn02t'), RangeError)
  for (const name of ['a', 'a-b.c', '0', 'a'.repeat(253)]) assert.ok(isInstanceName(name), name)
  for (const name of ['', '.', '-a', 'a-', 'A', 'a b', 'a/b', 'a+b', 'ä', 'a'.repeat(254), 'a\n'])
    assert.ok(!isInstanceName(name), name)
  assert.ok(isEventName('key.signed'))
  assert.ok(!isEventName('constructor'))
})

test('every event has a class, and the signing ones are activity', () => {
  const activity = Object.entries(events).flatMap(([name, row]) => (row.class === 'activity' ? [name] : []))
  assert.deepEqual(activity.sort(), [
    'auth.api_key_used',
    'auth.denied',
    'key.sign_denied',
    'key.sign_failed',
    'key.signed',
  ])
})
