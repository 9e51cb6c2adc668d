import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ed25519 } from '@noble/curves/ed25519.js'
import { p256 } from '@noble/curves/nist.js'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { base64, fromBase64, hex, utf8 } from '@popsigner/crypto/bytes'
import { keccak256, sha256 } from '@popsigner/crypto/hash'
import { encodeVerifierKey } from '@popsigner/transparency/checkpoint'
import { receiptText } from '@popsigner/transparency/receipt'
import { verifyReceipt } from './receipt.ts'
import { createTestLog, signedLeaf, testId } from './rogue-server.ts'

const secret = new Uint8Array(32).fill(7)
const data = utf8('what was signed')

/** One signature of each kind that the API makes: the leaf's fields, the data as it was given, the signature. */
const kinds = {
  'secp256k1 sha256': {
    fields: { algorithm: 'secp256k1', hash: 'sha256', digest: hex(sha256(data)) },
    publicKey: secp256k1.getPublicKey(secret, true),
    data,
    signature: secp256k1.sign(sha256(data), secret, { prehash: false }),
  },
  'secp256k1 keccak256': {
    fields: { algorithm: 'secp256k1', hash: 'keccak256', digest: hex(keccak256(data)) },
    publicKey: secp256k1.getPublicKey(secret, true),
    data,
    signature: secp256k1.sign(keccak256(data), secret, { prehash: false }),
  },
  'secp256k1 digest': {
    fields: { algorithm: 'secp256k1', input: 'digest', digest: hex(keccak256(data)) },
    publicKey: secp256k1.getPublicKey(secret, true),
    data: keccak256(data),
    signature: secp256k1.sign(keccak256(data), secret, { prehash: false }),
  },
  'secp256k1 transaction': {
    fields: {
      ...{ algorithm: 'secp256k1', input: 'transaction', digest: hex(keccak256(data)) },
      ...{ chain: 'eip155:1', effects: '11'.repeat(32) },
    },
    publicKey: secp256k1.getPublicKey(secret, true),
    data,
    signature: secp256k1.sign(keccak256(data), secret, { prehash: false }),
  },
  'p256 sha256': {
    fields: { algorithm: 'p256', hash: 'sha256', digest: hex(sha256(data)) },
    publicKey: p256.getPublicKey(secret, true),
    data,
    signature: p256.sign(sha256(data), secret, { prehash: false }),
  },
  'ed25519 message': {
    fields: { algorithm: 'ed25519', scheme: 'pure', digest: hex(sha256(data)) },
    publicKey: ed25519.getPublicKey(secret),
    data,
    signature: ed25519.sign(data, secret),
  },
}

type Kind = (typeof kinds)[keyof typeof kinds]

/** A log with this signature between other records, and its receipt. */
async function receiptOf(kind: Kind, change: Record<string, unknown> = {}) {
  const log = createTestLog()
  for (let i = 0; i < 3; i++) log.append({ event: 'auth.api_key_used' })
  const index = log.append(
    signedLeaf({ public_key: hex(kind.publicKey), data_hash: hex(sha256(kind.data)), ...kind.fields, ...change }),
  )
  for (let i = 0; i < 4; i++) log.append({ event: 'auth.api_key_used' })
  return { log, receipt: await log.receipt(index), recordId: testId('rec', index) }
}

/** The checks that failed. */
function failed(result: ReturnType<typeof verifyReceipt>): string[] {
  assert.equal(
    result.ok,
    result.checks.every(({ ok }) => ok),
  )
  const failures = result.checks.filter(({ ok }) => !ok)
  for (const { reason } of failures) assert.ok(reason)
  return failures.map(({ name }) => name)
}

for (const [name, kind] of Object.entries(kinds)) {
  test(`${name}: receipt, data and signature fit together, as JSON and as text`, async () => {
    const { log, receipt, recordId } = await receiptOf(kind)
    const options = {
      logKey: log.logKey,
      identity: log.identity,
      recordId,
      ...{ data: kind.data, signature: kind.signature, publicKey: kind.publicKey },
    }
    const result = verifyReceipt(receipt, options)
    assert.deepEqual(failed(result), [])
    assert.deepEqual(
      result.checks.map((check) => check.name),
      [
        'receipt',
        'leaf',
        'log',
        'checkpoint',
        'cosignature',
        'inclusion',
        'record',
        'event',
        'public_key',
        'data',
        'signature',
      ],
    )
    assert.equal(result.leaf?.id, recordId)
    assert.deepEqual(failed(verifyReceipt(receiptText(receipt), options)), [])
    // Keys and signature as text, as a command has them.
    const asText = {
      logKey: encodeVerifierKey(log.logKey),
      identity: encodeVerifierKey(log.identity),
      signature: base64(kind.signature),
      publicKey: hex(kind.publicKey),
    }
    assert.deepEqual(failed(verifyReceipt(receipt, { ...options, ...asText })), [])
  })

  test(`${name}: any changed bit of data or signature, and another key, is refused`, async () => {
    const { log, receipt } = await receiptOf(kind)
    const { logKey } = log
    for (let bit = 0; bit < kind.data.length * 8; bit++) {
      const other = flip(kind.data, bit)
      assert.ok(failed(verifyReceipt(receipt, { logKey, data: other })).includes('data'))
    }
    for (let bit = 0; bit < 512; bit += 3)
      assert.deepEqual(
        failed(verifyReceipt(receipt, { logKey, data: kind.data, signature: flip(kind.signature, bit) })),
        ['signature'],
      )
    const publicKey = flip(kind.publicKey, 9)
    assert.deepEqual(failed(verifyReceipt(receipt, { logKey, publicKey })), ['public_key'])
    for (const signature of ['', '!', base64(kind.signature).slice(4), new Uint8Array(0), kind.signature.slice(1)])
      assert.deepEqual(failed(verifyReceipt(receipt, { logKey, data: kind.data, signature })), ['signature'])
  })
}

test('an ed25519 signature is not called valid without its message', async () => {
  const kind = kinds['ed25519 message']
  const { log, receipt } = await receiptOf(kind)
  assert.deepEqual(failed(verifyReceipt(receipt, { logKey: log.logKey, signature: kind.signature })), ['signature'])
  const ecdsa = kinds['p256 sha256']
  const other = await receiptOf(ecdsa)
  assert.deepEqual(failed(verifyReceipt(other.receipt, { logKey: other.log.logKey, signature: ecdsa.signature })), [])
})

test('a leaf that says how the data was hashed and lies, or says what is not known, is refused', async () => {
  const kind = kinds['secp256k1 sha256']
  const evidence = { data: kind.data, signature: kind.signature }
  for (const [change, expected] of [
    [{ hash: 'keccak256' }, ['data']],
    [{ digest: hex(keccak256(data)) }, ['data', 'signature']],
    [{ data_hash: hex(sha256(utf8('other'))) }, ['data']],
    [{ hash: 'blake3' }, ['data']],
    [{ input: 'digest' }, ['data']],
    [{ input: 'transaction' }, ['data']],
    [{ algorithm: 'p256' }, ['signature']],
    [{ algorithm: 'ml-dsa-65' }, ['data', 'signature']],
    [{ scheme: 'schnorr' }, ['data', 'signature']],
    [{ algorithm: 'ed25519', scheme: 'pure' }, ['data', 'signature']],
    [{ digest: '00'.repeat(20) }, ['data', 'signature']],
  ] as const) {
    const { log, receipt } = await receiptOf(kind, change)
    assert.deepEqual(
      failed(verifyReceipt(receipt, { logKey: log.logKey, ...evidence })),
      expected,
      JSON.stringify(change),
    )
  }
})

test('high S is no signature of this instance', async () => {
  const kind = kinds['secp256k1 sha256']
  const { log, receipt } = await receiptOf(kind)
  const { r, s } = secp256k1.Signature.fromBytes(kind.signature)
  const high = new secp256k1.Signature(r, secp256k1.Point.Fn.ORDER - s).toBytes()
  assert.deepEqual(failed(verifyReceipt(receipt, { logKey: log.logKey, data: kind.data, signature: high })), [
    'signature',
  ])
})

test('a receipt that was tampered with, by the check that finds it', async () => {
  const kind = kinds['secp256k1 sha256']
  const { log, receipt, recordId } = await receiptOf(kind)
  const options = { logKey: log.logKey, identity: log.identity, recordId, data: kind.data, signature: kind.signature }
  const leaf = fromBase64(receipt.leaf_data)
  const otherLeaf = (from: string, to: string) => base64(utf8(new TextDecoder().decode(leaf).replace(from, to)))
  const foreign = createTestLog(2)
  const named = createTestLog(1, 'keys.example.com', testId('org', 2))
  for (const [name, change, expected] of [
    ['a field of the leaf', { leaf_data: otherLeaf('"version":1', '"version":2') }, ['inclusion']],
    [
      'a space in the leaf',
      { leaf_data: base64(utf8(`${new TextDecoder().decode(leaf)} `)) },
      ['leaf', 'log', 'inclusion'],
    ],
    ['another index', { leaf_index: receipt.leaf_index - 1 }, ['inclusion']],
    ['another size', { tree_size: receipt.tree_size - 1 }, ['inclusion']],
    ['a shorter path', { inclusion_path: receipt.inclusion_path.slice(1) }, ['inclusion']],
    ['another hash in the path', { inclusion_path: receipt.inclusion_path.toReversed() }, ['inclusion']],
    ['a checkpoint of a foreign key', { checkpoint: foreign.note(0) }, ['checkpoint', 'cosignature', 'inclusion']],
    ['a checkpoint of another log', { checkpoint: named.note(0) }, ['checkpoint', 'cosignature', 'inclusion']],
    [
      'a checkpoint with a changed size',
      { checkpoint: receipt.checkpoint.replace('\n8\n', '\n9\n') },
      ['checkpoint', 'cosignature', 'inclusion'],
    ],
    [
      'no cosignature',
      {
        checkpoint: receipt.checkpoint
          .split('\n')
          .filter((line) => !line.startsWith('— keys.example.com '))
          .join('\n'),
      },
      ['cosignature'],
    ],
    ['an unknown field', { note: 1 }, ['receipt']],
    [
      'an opening of nothing',
      { openings: { address: { salt: base64(new Uint8Array(32)), value: '127.0.0.1' } } },
      ['openings'],
    ],
  ] as const) {
    assert.deepEqual(failed(verifyReceipt({ ...receipt, ...change }, options)), expected, name)
  }
  for (const nothing of [null, undefined, 7, [], {}, '', 'c2sp.org/tlog-proof@v1\n'])
    assert.deepEqual(failed(verifyReceipt(nothing, options)), ['receipt'])
})

test('what stands beside the leaf changes nothing', async () => {
  const { log, receipt } = await receiptOf(kinds['p256 sha256'])
  const record = { id: testId('rec', 9), event: 'key.created', public_key: '00' }
  const result = verifyReceipt({ ...receipt, record }, { logKey: log.logKey })
  assert.equal(result.ok, true)
  assert.equal(result.leaf?.event, 'key.signed')
})

test('a receipt of another record, or of no signature, is refused where one was asked for', async () => {
  const { log, receipt } = await receiptOf(kinds['p256 sha256'])
  const { logKey } = log
  assert.deepEqual(failed(verifyReceipt(receipt, { logKey, recordId: testId('rec', 0) })), ['record'])
  assert.deepEqual(failed(verifyReceipt(await log.receipt(0), { logKey })), [])
  assert.deepEqual(failed(verifyReceipt(await log.receipt(0), { logKey, data })), ['event'])
})

test('keys of the wrong kind are misuse', async () => {
  const { log, receipt } = await receiptOf(kinds['p256 sha256'])
  assert.throws(() => verifyReceipt(receipt, { logKey: log.identity }), RangeError)
  assert.throws(() => verifyReceipt(receipt, { logKey: log.logKey, identity: log.logKey }), RangeError)
  assert.throws(() => verifyReceipt(receipt, { logKey: 'not a key' }), RangeError)
  assert.throws(() => verifyReceipt(receipt, { logKey: log.logKey, data: 'text' as never }), TypeError)
})

function flip(bytes: Uint8Array, bit: number): Uint8Array {
  const other = bytes.slice()
  other[bit >> 3] = (other[bit >> 3] as number) ^ (1 << (bit & 7))
  return other
}
