import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { utf8 } from '@popsigner/crypto/bytes'
import { canonicalJson } from '@popsigner/crypto/canonical-json'
import { decodeCbor, encodeCbor } from '@popsigner/crypto/cbor'
import { encodeTypeId } from '@popsigner/crypto/typeid'
import type { SignerClient } from './client.ts'
import type { CreatedKey, Material, SignItem } from './custodian.ts'
import { makeItem, makeKey, makeLog, newId, type Rig, refusalOf, startRig, type TestLog } from './signer.fixture.ts'
import { encodeSpec, parseSpec } from './spec.ts'

let rig: Rig
let client: SignerClient
let log: TestLog
let key: CreatedKey

before(async () => {
  rig = await startRig()
  client = rig.client
  log = await makeLog(client)
  key = await makeKey(client, log)
})
after(() => rig.close())

const message = utf8('the message')

async function outcome(changes: Partial<SignItem>, of: CreatedKey = key): Promise<string> {
  const { results } = await client.sign([{ ...makeItem(log, of, message), ...changes }])
  return refusalOf(results[0])
}

/** An item whose leaf says something else in these fields. */
function withLeaf(changes: Record<string, unknown>): SignItem {
  const item = makeItem(log, key, message)
  const leaf = { ...(JSON.parse(Buffer.from(item.leaf).toString()) as object), ...changes }
  // Through JSON, where a field that is undefined is no field.
  return { ...item, leaf: utf8(canonicalJson(JSON.parse(JSON.stringify(leaf)) as never)) }
}

test('the item of these tests is signed as it is', async () => {
  assert.equal(await outcome({}), 'signed')
})

test('a leaf that differs from the item in any field is refused', async () => {
  const other = 'ab'.repeat(32)
  const cases: [string, unknown][] = [
    ['digest', other],
    ['data_hash', other],
    ['id', encodeTypeId('rec', newId())],
    ['key', encodeTypeId('key', newId())],
    ['version', 2],
    ['version', '1'],
    ['public_key', `02${other}`],
    ['algorithm', 'ed25519'],
    ['scheme', 'pure'],
    ['input', 'digest'],
    ['hash', 'keccak256'],
    ['hash', undefined],
    ['log', `keys.example.com/${encodeTypeId('org', newId())}`],
    ['log', `elsewhere.example.com/${encodeTypeId('org', log.organization)}`],
    ['event', 'key.exported'],
    ['v', 2],
    ['unknown_field', 'x'],
  ]
  for (const [field, value] of cases) {
    const { results } = await client.sign([withLeaf({ [field]: value })])
    assert.equal(refusalOf(results[0]), 'custody.leaf_mismatch', `${field} ${String(value)}`)
  }
})

test('an item that differs from its leaf in any field is refused', async () => {
  assert.equal(await outcome({ recordId: newId() }), 'custody.leaf_mismatch')
  assert.equal(await outcome({ data: utf8('another message') }), 'custody.leaf_mismatch')
  assert.equal(await outcome({ hash: 'keccak256' }), 'custody.leaf_mismatch')
  assert.equal(await outcome({ input: 'digest', hash: null, data: new Uint8Array(32) }), 'custody.leaf_mismatch')
  const second = await makeKey(client, log)
  assert.equal(await outcome({ material: second.material }), 'custody.leaf_mismatch')
})

test('bytes that are not the canonical form of the leaf are refused', async () => {
  const text = Buffer.from(makeItem(log, key, message).leaf).toString()
  const forms = [
    ` ${text}`,
    `${text} `,
    text.replace('"v":1', '"v":1.0'),
    text.replace('"v":1', '"v":1,"v":1'),
    text.replace('"v":1', '"v": 1'),
    `{"v":1,${text.slice(1).replace(',"v":1', '')}`,
    text.slice(0, -1),
    'null',
    '[]',
    '1',
    '',
  ]
  for (const form of forms)
    assert.equal(await outcome({ leaf: utf8(form) }), 'custody.leaf_mismatch', form.slice(0, 20))
})

test('a deadline that has passed, or lies too far ahead, is refused', async () => {
  assert.equal(await outcome({ deadline: Date.now() - 1 }), 'custody.deadline')
  assert.equal(await outcome({ deadline: Date.now() + 120_000 }), 'custody.deadline')
  assert.equal(await outcome({ deadline: 0 }), 'custody.deadline')
})

test('uses and schemes that the envelope does not have are refused', async () => {
  const onlyDigest = await makeKey(client, log, { uses: ['digest'] })
  const onlyRaw = await makeKey(client, log, { uses: ['raw'] })
  const digest = async (of: CreatedKey): Promise<string> =>
    refusalOf((await client.sign([makeItem(log, of, new Uint8Array(32).fill(1), 'digest')])).results[0])
  assert.equal(await outcome({}, onlyDigest), 'custody.use_refused')
  assert.equal(await digest(onlyRaw), 'custody.use_refused')
  assert.equal(await digest(onlyDigest), 'signed')
  assert.equal(await outcome({ scheme: 'schnorr' }), 'custody.scheme_refused')
  const transactions = await makeKey(client, log, { uses: ['transaction', 'message'] })
  assert.equal(await outcome({}, transactions), 'custody.use_refused')
})

test('digests of another length, hashes that a row does not have and given digests where none are taken are refused', async () => {
  for (const length of [0, 31, 33, 64]) {
    const item = makeItem(log, key, new Uint8Array(32), 'digest')
    const { results } = await client.sign([{ ...item, data: new Uint8Array(length) }])
    assert.equal(refusalOf(results[0]), 'custody.input_refused')
  }
  const ed25519 = await makeKey(client, log, { algorithm: 'ed25519', uses: ['raw', 'digest'] })
  const p256 = await makeKey(client, log, { algorithm: 'p256', uses: ['raw', 'digest'] })
  assert.equal(await outcome({ hash: 'sha256' }, ed25519), 'custody.input_refused')
  assert.equal(await outcome({ hash: null }, p256), 'custody.input_refused')
  assert.equal(await outcome({ hash: 'keccak256' }, p256), 'custody.input_refused')
  for (const made of [ed25519, p256])
    assert.equal(await outcome({ input: 'digest', hash: null, data: new Uint8Array(32) }, made), 'custody.use_refused')
})

test('a transaction and a message: for the uses of the key only, and only where the leaf names chain, effects and data', async () => {
  const digest = new Uint8Array(32).fill(7)
  const ed25519 = await makeKey(client, log, { algorithm: 'ed25519', uses: ['transaction'] })
  const onlyMessage = await makeKey(client, log, { uses: ['message'] })
  const ask = async (of: CreatedKey, data: Uint8Array, input: 'transaction' | 'message', changes: object = {}) => {
    const item = makeItem(log, of, data, input)
    const leaf = { ...(JSON.parse(Buffer.from(item.leaf).toString()) as object), ...changes }
    const text = canonicalJson(JSON.parse(JSON.stringify(leaf)) as never)
    return refusalOf((await client.sign([{ ...item, leaf: utf8(text) }])).results[0])
  }
  assert.equal(await ask(key, digest, 'transaction'), 'signed')
  assert.equal(await ask(key, digest, 'message'), 'signed')
  assert.equal(await ask(ed25519, message, 'transaction'), 'signed')
  assert.equal(await ask(ed25519, message, 'message'), 'custody.use_refused')
  assert.equal(await ask(onlyMessage, digest, 'transaction'), 'custody.use_refused')
  assert.equal(await ask(key, message, 'transaction'), 'custody.input_refused')
  // What was given to the codec is not here, so its hash may be any.
  assert.equal(await ask(key, digest, 'transaction', { data_hash: 'ab'.repeat(32) }), 'signed')
  const wrong = [
    { digest: 'ab'.repeat(32) },
    { input: 'message' },
    { input: 'digest' },
    { chain: undefined },
    { effects: undefined },
    { effects: 'ab' },
    { data_hash: undefined },
    { hash: 'sha256' },
  ]
  for (const change of wrong)
    assert.equal(await ask(key, digest, 'transaction', change), 'custody.leaf_mismatch', JSON.stringify(change))
  const sent = await client.sign([{ ...makeItem(log, key, digest, 'transaction'), input: 'message' }])
  assert.equal(refusalOf(sent.results[0]), 'custody.leaf_mismatch')
})

test('what is no point of the curve is refused where the scheme signs points, and points where it was not granted', async () => {
  const points = await makeKey(client, log, { algorithm: 'bn254', schemes: ['g1'], uses: ['raw', 'digest'] })
  const base = new Uint8Array(64)
  base[31] = 1
  base[63] = 2
  const asked = async (data: Uint8Array): Promise<string> =>
    refusalOf((await client.sign([makeItem(log, points, data)])).results[0])
  assert.equal(await asked(base), 'signed')
  const off = base.slice()
  off[63] = 3
  for (const data of [off, new Uint8Array(64), new Uint8Array(32), new Uint8Array(0), new Uint8Array(65)])
    assert.equal(await asked(data), 'custody.input_refused')
  const digests = await makeKey(client, log, { algorithm: 'bn254' })
  assert.equal(await outcome({ scheme: 'g1', hash: null, data: base }, digests), 'custody.scheme_refused')
})

test('an item that is refused fails none of its neighbours', async () => {
  const good = makeItem(log, key, message)
  const { results } = await client.sign([good, withLeaf({ version: 9 }), makeItem(log, key, message)])
  assert.deepEqual(results.map(refusalOf), ['signed', 'custody.leaf_mismatch', 'signed'])
})

test('a specification changed in any field does not open, be the key open already or not', async () => {
  const spec = parseSpec(key.material.spec)
  const changes: Record<keyof typeof spec, unknown> = {
    instance: 'elsewhere.example.com',
    organization: newId(),
    kind: 'secret',
    key: newId(),
    version: 2,
    generation: 2,
    algorithm: 'p256',
    schemes: ['ecdsa', 'schnorr'],
    uses: ['raw'],
    publicKey: new Uint8Array(33).fill(2),
    origin: 'imported',
    export: 'any',
    parent: newId(),
    path: 'm/0',
  }
  for (const [field, value] of Object.entries(changes)) {
    const relabelled = { ...key.material, spec: encodeSpec({ ...spec, [field]: value }) }
    const expected = field === 'kind' ? 'custody.wrong_kind' : 'custody.not_opened'
    assert.equal(await outcome({ material: relabelled }), expected, `${field}, open`)
    const closed = await makeKey(client, log)
    const other = encodeSpec({ ...parseSpec(closed.material.spec), [field]: value })
    assert.equal(await outcome({ material: { ...closed.material, spec: other } }), expected, `${field}, not open`)
  }
  assert.equal(await outcome({}), 'signed')
})

test('a specification with a field missing, unknown or of another encoding does not open', async () => {
  const fields = decodeCbor(key.material.spec) as Record<string, never>
  const { path: _, ...missing } = fields
  const specs = [
    encodeCbor({ ...fields, purpose: 'consensus' }),
    encodeCbor(missing),
    encodeCbor(null),
    encodeCbor([]),
    new Uint8Array(0),
    new Uint8Array([...key.material.spec, 0]),
  ]
  for (const spec of specs) assert.equal(await outcome({ material: { ...key.material, spec } }), 'custody.not_opened')
})

test('the organization key of another organization opens nothing', async () => {
  const other = await makeLog(client)
  assert.equal(await outcome({ organizationKey: other.keys.organizationKey }), 'custody.not_opened')
  const fresh = await makeKey(client, log)
  assert.equal(await outcome({ organizationKey: other.keys.organizationKey }, fresh), 'custody.not_opened')
  // The same attack with the specification relabelled to the other organization.
  const spec = encodeSpec({ ...parseSpec(fresh.material.spec), organization: other.organization })
  const material = { ...fresh.material, spec }
  assert.equal(await outcome({ organizationKey: other.keys.organizationKey, material }), 'custody.not_opened')
})

test('materials of other kinds sign nothing, and an operation takes only its own', async () => {
  const swapped = async (material: Material): Promise<string> => outcome({ material })
  assert.equal(await swapped(log.keys.logKey), 'custody.wrong_kind')
  assert.equal(await swapped(log.keys.organizationKey), 'custody.wrong_kind')
  assert.equal(await outcome({ organizationKey: key.material }), 'custody.wrong_kind')
  const wrapping = await client.createWrappingKey(log.keys.organizationKey, newId(), '2030-01-01T00:00:00.000Z')
  assert.equal(await swapped(wrapping.material), 'custody.wrong_kind')
  const recipient = wrapping.publicKey
  for (const material of [log.keys.logKey, wrapping.material])
    await assert.rejects(client.export(log.keys.organizationKey, material, recipient), { code: 'custody.wrong_kind' })
  const request = { ...(await log.extension(0)), organizationKey: log.keys.organizationKey, logKey: key.material }
  const [signed] = await client.checkpoint([request])
  assert.deepEqual(signed?.kind === 'refused' && signed.code, 'custody.wrong_kind')
})
