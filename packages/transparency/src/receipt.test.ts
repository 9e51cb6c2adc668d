import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ed25519 } from '@noble/curves/ed25519.js'
import { base64, fromBase64, utf8 } from '@popsigner/crypto/bytes'
import {
  assembleNote,
  checkpointBody,
  cosignatureLine,
  cosignatureMessage,
  NOTE_COSIGNATURE,
  NOTE_ED25519,
  noteSignatureLine,
  verifierKey,
} from './checkpoint.ts'
import { leafHash, rootOf } from './merkle.ts'
import { type Receipt, type ReceiptOptions, receiptText, verifyReceipt, verifyReceiptText } from './receipt.ts'
import { buildLeaf, commitment, commitmentSalt } from './record.ts'
import { sampleRecord } from './records.fixture.ts'
import { inclusionPath } from './tiles.ts'

const secrets = { log: new Uint8Array(32).fill(1), identity: new Uint8Array(32).fill(2) }
const origin = sampleRecord.log
const logKey = verifierKey(origin, NOTE_ED25519, ed25519.getPublicKey(secrets.log))
const identity = verifierKey('keys.example.com', NOTE_COSIGNATURE, ed25519.getPublicKey(secrets.identity))

const salt = commitmentSalt(new Uint8Array(32).fill(7), sampleRecord.id, 'address')
const address = commitment('address', salt, '203.0.113.9')
const leaf = buildLeaf({ ...sampleRecord, address })

function checkpointOf(hashes: readonly Uint8Array[]): string {
  const body = checkpointBody(origin, hashes.length, rootOf(hashes))
  return assembleNote(body, [
    noteSignatureLine(origin, logKey.publicKey, ed25519.sign(utf8(body), secrets.log)),
    cosignatureLine(
      identity.name,
      identity.publicKey,
      1_700_000_000,
      ed25519.sign(cosignatureMessage(body, 1_700_000_000), secrets.identity),
    ),
  ])
}

async function makeReceipt(bytes: Uint8Array, index = 5, size = 11): Promise<Receipt> {
  const hashes = Array.from({ length: size }, (_, i) => leafHash(i === index ? bytes : utf8(`leaf ${i}`)))
  const joined = Uint8Array.from(hashes.flatMap((hash) => [...hash]))
  const path = await inclusionPath({ hashes: async (level) => (level === 0 ? joined : new Uint8Array(0)) }, index, size)
  return {
    record: { anything: true },
    leaf_data: base64(bytes),
    leaf_index: index,
    tree_size: size,
    inclusion_path: path.map(base64),
    checkpoint: checkpointOf(hashes),
    openings: { address: { salt: base64(salt), value: '203.0.113.9' } },
  }
}

const receipt = await makeReceipt(leaf)

function failed(changed: unknown, key = logKey, options: ReceiptOptions = {}): string[] {
  const result = verifyReceipt(changed, key, options)
  assert.equal(result.ok, false)
  assert.equal(result.leaf, undefined)
  const bad = result.checks.filter(({ ok }) => !ok)
  for (const { reason } of bad) assert.match(reason ?? '', /^[A-Za-z].*\.$/)
  return bad.map(({ name }) => name)
}

test('a good receipt says what was signed, when, and what its commitments stand for', () => {
  const result = verifyReceipt(receipt, logKey, { identity })
  assert.equal(result.ok, true)
  assert.deepEqual(
    result.checks.map(({ name }) => name),
    ['receipt', 'leaf', 'log', 'checkpoint', 'cosignature', 'inclusion', 'openings'],
  )
  assert.deepEqual(result.leaf, { ...sampleRecord, address })
  assert.equal(result.checkpoint?.size, 11)
  assert.equal(result.cosignedAt, 1_700_000_000)
  assert.deepEqual(result.opened, { address: '203.0.113.9' })
  const plain = verifyReceipt(JSON.parse(JSON.stringify({ ...receipt, openings: undefined })), logKey)
  assert.equal(plain.ok, true)
  assert.equal(plain.cosignedAt, null)
})

test('the record beside the leaf is not looked at', () => {
  assert.equal(verifyReceipt({ ...receipt, record: 'anything' }, logKey).ok, true)
  const { record: _, ...without } = receipt
  assert.equal(verifyReceipt(without, logKey).ok, true)
})

test('each change fails the check that is about it', async () => {
  const other = base64(buildLeaf({ ...sampleRecord, address, version: 2 }))
  assert.deepEqual(failed({ ...receipt, leaf_data: other }), ['inclusion'])
  assert.deepEqual(failed({ ...receipt, leaf_index: 4 }), ['inclusion'])
  assert.deepEqual(failed({ ...receipt, leaf_index: 11 }), ['inclusion'])
  assert.deepEqual(failed({ ...receipt, tree_size: 12 }), ['inclusion'])
  assert.deepEqual(failed({ ...receipt, inclusion_path: receipt.inclusion_path.slice(1) }), ['inclusion'])
  assert.deepEqual(failed({ ...receipt, inclusion_path: [] }), ['inclusion'])
  const forged = receipt.checkpoint.replace('\n11\n', '\n12\n')
  assert.deepEqual(failed({ ...receipt, checkpoint: forged }), ['checkpoint', 'inclusion'])
  const later = await makeReceipt(leaf, 5, 13)
  assert.deepEqual(failed({ ...receipt, checkpoint: later.checkpoint }), ['inclusion'])
  const [body = ''] = receipt.checkpoint.split('\n\n')
  const alone = `${body}\n\n${receipt.checkpoint.split('\n\n')[1]?.split('\n')[0]}\n`
  assert.deepEqual(failed({ ...receipt, checkpoint: alone }, logKey, { identity }), ['cosignature'])
  assert.equal(verifyReceipt({ ...receipt, checkpoint: alone }, logKey).ok, true)
})

test('a leaf that is not canonical is refused although its hash is in the tree', async () => {
  const spaced = utf8(new TextDecoder().decode(leaf).replace('"v":1', '"v": 1'))
  assert.deepEqual(failed(await makeReceipt(spaced)), ['leaf', 'log', 'openings'])
})

test('a leaf that names another log is refused although this log holds it', async () => {
  const foreign = buildLeaf({ ...sampleRecord, log: 'keys.example.com/org_01h455vb4pex5vsknk084sn02w' })
  const { openings: _, ...without } = await makeReceipt(foreign)
  assert.deepEqual(failed(without), ['log'])
})

test('another key of the same name proves nothing', () => {
  const other = verifierKey(origin, NOTE_ED25519, ed25519.getPublicKey(secrets.identity))
  assert.deepEqual(failed(receipt, other), ['checkpoint', 'inclusion'])
})

test('openings that do not fit are refused', () => {
  const open = (openings: unknown): string[] => failed({ ...receipt, openings })
  assert.deepEqual(open({ address: { salt: base64(salt), value: '203.0.113.8' } }), ['openings'])
  assert.deepEqual(open({ address: { salt: base64(salt.map((byte) => byte ^ 1)), value: '203.0.113.9' } }), [
    'openings',
  ])
  assert.deepEqual(open({ address: { salt: base64(salt.slice(1)), value: '203.0.113.9' } }), ['openings'])
  assert.deepEqual(open({ user_agent: { salt: base64(salt), value: 'x' } }), ['openings'])
  assert.deepEqual(open({ key: { salt: base64(salt), value: sampleRecord.key } }), ['openings'])
  assert.deepEqual(open(JSON.parse('{"__proto__":{"salt":"AAAA","value":"x"}}')), ['openings'])
  assert.deepEqual(open({ address: { salt: base64(salt), value: '203.0.113.9', more: 1 } }), ['receipt'])
  assert.deepEqual(open({ address: 'x' }), ['receipt'])
  assert.deepEqual(open([]), ['receipt'])
})

test('what is no receipt is answered, not thrown', () => {
  const changes: Record<string, unknown>[] = [
    { extra: 1 },
    { leaf_data: 1 },
    { leaf_data: '!' },
    { leaf_data: `${receipt.leaf_data}=` },
    { leaf_index: '5' },
    { leaf_index: -1 },
    { tree_size: 2 ** 53 },
    { tree_size: null },
    { inclusion_path: 'x' },
    { inclusion_path: [1] },
    { inclusion_path: Array.from({ length: 65 }, () => base64(salt)) },
    { checkpoint: null },
  ]
  for (const change of changes) assert.deepEqual(failed({ ...receipt, ...change }), ['receipt'])
  for (const nothing of [null, undefined, 1, 'x', [], [receipt], new Map()])
    assert.deepEqual(failed(nothing), ['receipt'])
  assert.deepEqual(failed({ ...receipt, checkpoint: '' }), ['checkpoint', 'inclusion'])
  assert.deepEqual(failed({ ...receipt, leaf_data: '' }), ['leaf', 'log', 'inclusion', 'openings'])
})

test('the text form proves the same', () => {
  const text = receiptText(receipt)
  const result = verifyReceiptText(text, logKey, { identity })
  assert.equal(result.ok, true)
  assert.deepEqual(result.leaf, { ...sampleRecord, address })
  assert.equal(result.cosignedAt, 1_700_000_000)
  assert.equal(verifyReceiptText(text, logKey, { leaf }).ok, true)
  const without = text.replace(/extra .*\n/, '')
  assert.equal(verifyReceiptText(without, logKey, { leaf }).ok, true)
  assert.equal(verifyReceiptText(without, logKey).ok, false)
  assert.equal(verifyReceiptText(text, logKey, { leaf: leaf.slice(1) }).ok, false)
  assert.equal(verifyReceiptText(text.replace('index 5', 'index 4'), logKey).ok, false)
  assert.equal(verifyReceiptText('', logKey).ok, false)
  assert.throws(() => receiptText({ ...receipt, leaf_index: -1 }), RangeError)
  assert.deepEqual(fromBase64(receipt.leaf_data), leaf)
})
