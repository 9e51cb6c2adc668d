import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeSecp256k1Pubkey } from '@cosmjs/amino'
import { encodePubkey, makeAuthInfoBytes, makeSignBytes, makeSignDoc } from '@cosmjs/proto-signing'
import { base64, concat, fromHex, hex, utf8 } from '@popsigner/crypto/bytes'
import { sha256 } from '@popsigner/crypto/hash'
import { TxBody, TxRaw } from 'cosmjs-types/cosmos/tx/v1beta1/tx'
import { type Blob, shareCommitment } from '../celestia/commitment.ts'
import type { Json, JsonObject } from '../chain.ts'
import { ChainFault } from '../fault.ts'
import { blobTx } from './blobs.ts'
import { celestia, parse, sign, testKey } from './cosmjs.fixture.ts'
import { cosmos } from './cosmos.ts'
import { accountOf } from './signers.ts'

const alice = testKey(1)
const namespace = fromHex(`${'00'.repeat(19)}0102030405060708090a`)
const blobs: readonly Blob[] = [
  { namespace, data: utf8('some data'), shareVersion: 0, signer: undefined },
  { namespace, data: new Uint8Array(2000).fill(7), shareVersion: 1, signer: accountOf(alice.publicKey) },
]
const given: readonly JsonObject[] = blobs.map((blob) => ({
  namespace: base64(blob.namespace),
  data: base64(blob.data),
  share_version: blob.shareVersion,
  ...(blob.signer === undefined ? {} : { signer: base64(blob.signer) }),
}))

/** A field of protobuf by hand: its number, wire type 2, its length in one or two bytes, its bytes. */
function field(number: number, bytes: Uint8Array): Uint8Array {
  const length = bytes.length < 128 ? [bytes.length] : [(bytes.length & 127) | 128, bytes.length >> 7]
  return concat(Uint8Array.of((number << 3) | 2, ...length), bytes)
}

/** MsgPayForBlobs for these blobs, byte by byte: cosmjs does not know the type. */
function payForBlobs(paid: readonly Blob[]): Uint8Array {
  return concat(
    field(1, utf8(alice.address)),
    ...paid.map((blob) => field(2, blob.namespace)),
    field(
      3,
      Uint8Array.from(
        paid.flatMap(({ data: { length } }) => (length < 128 ? [length] : [(length & 127) | 128, length >> 7])),
      ),
    ),
    ...paid.map((blob) => field(4, shareCommitment(blob))),
    field(
      8,
      Uint8Array.from(paid, (blob) => blob.shareVersion),
    ),
  )
}

function document(value: Uint8Array, more: readonly Uint8Array[] = []): Uint8Array {
  const body = TxBody.encode(
    TxBody.fromPartial({
      messages: [value, ...more].map((one) => ({ typeUrl: '/celestia.blob.v1.MsgPayForBlobs', value: one })),
    }),
  ).finish()
  const pubkey = encodePubkey(encodeSecp256k1Pubkey(alice.publicKey))
  const auth = makeAuthInfoBytes(
    [{ pubkey, sequence: 7 }],
    [{ denom: 'utia', amount: '1' }],
    90_000,
    undefined,
    undefined,
  )
  return makeSignBytes(makeSignDoc(body, auth, 'celestia', 12))
}

test('blobs that were given are checked and go out with the signed transaction', () => {
  const bytes = document(payForBlobs(blobs))
  const tx = parse(bytes, { blobs: given })
  assert.deepEqual(cosmos.warnings(tx), [])
  assert.equal(cosmos.encode(tx), base64(bytes))
  assert.deepEqual(
    cosmos.effects(tx),
    blobs.map((blob) => ({
      kind: 'post_blob',
      from: alice.address,
      namespace: `0x${hex(namespace)}`,
      bytes: blob.data.length,
      commitment: `0x${hex(shareCommitment(blob))}`,
    })),
  )
  const [what] = cosmos.messages(tx, alice.signer)
  const signed = cosmos.attach(tx, alice.signer, [sign(alice, what as never)])
  const without = parse(bytes)
  assert.deepEqual(cosmos.messages(without, alice.signer), [what])
  const raw = cosmos.serialize(cosmos.attach(without, alice.signer, [sign(alice, what as never)]))
  assert.equal(TxRaw.decode(raw).signatures.length, 1)
  assert.equal(hex(cosmos.serialize(signed)), hex(blobTx(raw, blobs)))
  // The hash of a blob transaction is that of the transaction inside.
  assert.equal(cosmos.hash(signed), hex(sha256(raw)).toUpperCase())
})

test('without its blobs the commitment of a message is signed with a warning', () => {
  const tx = parse(document(payForBlobs(blobs)))
  assert.deepEqual(
    cosmos.warnings(tx).map(({ code }) => code),
    ['blob.unchecked'],
  )
})

test('amino JSON of MsgPayForBlobs says the same as protobuf', () => {
  const value = payForBlobs(blobs)
  const amino = {
    account_number: '12',
    chain_id: 'celestia',
    fee: { amount: [{ amount: '1', denom: 'utia' }], gas: '90000' },
    memo: '',
    msgs: [
      {
        type: '/celestia.blob.v1.MsgPayForBlobs',
        value: {
          blob_sizes: blobs.map(({ data }) => data.length),
          namespaces: blobs.map((blob) => base64(blob.namespace)),
          share_commitments: blobs.map((blob) => base64(shareCommitment(blob))),
          share_versions: blobs.map((blob) => blob.shareVersion),
          signer: alice.address,
        },
      },
    ],
    sequence: '7',
  }
  const tx = cosmos.parse(amino, celestia, { blobs: given })
  assert.deepEqual(cosmos.effects(tx), cosmos.effects(parse(document(value))))
  const signed = cosmos.attach(tx, alice.signer, [sign(alice, cosmos.messages(tx, alice.signer)[0] as never)])
  assert.deepEqual(cosmos.details(signed)['messages'], cosmos.details(parse(document(value)))['messages'])
})

test('blobs that are not the ones paid for are refused, each with the field that differs', () => {
  const [first, second] = given as readonly [JsonObject, JsonObject]
  const bytes = document(payForBlobs(blobs))
  const bad: readonly [readonly Json[], string][] = [
    [[first], 'context.blobs'],
    [[second, first], 'context.blobs[0].data'],
    [[{ ...first, data: base64(utf8('some date')) }, second], 'context.blobs[0].data'],
    [[{ ...first, data: base64(utf8('some data.')) }, second], 'context.blobs[0].data'],
    [[{ ...first, data: '' }, second], 'context.blobs[0].data'],
    [[{ ...first, data: 'c29tZSBkYXRh=' }, second], 'context.blobs[0].data'],
    [[{ ...first, namespace: base64(fromHex(`${'00'.repeat(28)}04`)) }, second], 'context.blobs[0].namespace'],
    [[{ ...first, namespace: base64(fromHex(`${'00'.repeat(27)}0104`)) }, second], 'context.blobs[0].namespace'],
    [[{ ...first, share_version: 2 }, second], 'context.blobs[0].share_version'],
    [[{ ...first, signer: base64(new Uint8Array(20)) }, second], 'context.blobs[0].signer'],
    [[{ ...first, index: 0 }, second], 'context.blobs[0].index'],
    [[first, { ...second, signer: base64(new Uint8Array(20)) }], 'context.blobs[1].signer'],
    [[first, { ...second, signer: base64(new Uint8Array(19)) }], 'context.blobs[1].signer'],
    [[first, 'blob'], 'context.blobs[1]'],
  ]
  for (const [context, field] of bad)
    assert.throws(
      () => parse(bytes, { blobs: context }),
      (fault) =>
        fault instanceof ChainFault &&
        fault.code === 'context.malformed' &&
        'field' in fault.detail &&
        fault.detail.field === field,
      field,
    )
  const huge = { ...first, data: 'A'.repeat(3_000_000) }
  assert.throws(() => parse(bytes, { blobs: [huge, second] }), { code: 'transaction.too_large' })
  const two = document(payForBlobs(blobs), [payForBlobs(blobs)])
  assert.throws(() => parse(two, { blobs: given }), { code: 'context.malformed' })
})

test('a message that celestia-app would refuse is refused', () => {
  const [blob] = blobs as readonly [Blob, Blob]
  const parts = {
    signer: field(1, utf8(alice.address)),
    namespaces: field(2, namespace),
    sizes: field(3, Uint8Array.of(9)),
    commitments: field(4, shareCommitment(blob)),
    versions: field(8, Uint8Array.of(0)),
  }
  const built = (changes: Partial<typeof parts>) => document(concat(...Object.values({ ...parts, ...changes })))
  assert.ok(parse(built({})))
  const none = new Uint8Array()
  const bad: readonly [string, Partial<typeof parts>][] = [
    ['no signer', { signer: none }],
    ['no namespace', { namespaces: none }],
    ['a reserved namespace', { namespaces: field(2, fromHex(`${'00'.repeat(28)}04`)) }],
    ['no size', { sizes: none }],
    ['two sizes', { sizes: field(3, Uint8Array.of(9, 9)) }],
    ['a size of zero', { sizes: field(3, Uint8Array.of(0)) }],
    ['sizes that are not packed', { sizes: Uint8Array.of(0x18, 9) }],
    ['sizes in two fields', { sizes: concat(field(3, Uint8Array.of(9)), field(3, Uint8Array.of(9))) }],
    ['an empty list that is written', { sizes: field(3, none) }],
    ['a size that is longer than it needs to be', { sizes: field(3, Uint8Array.of(0x89, 0)) }],
    ['a short commitment', { commitments: field(4, new Uint8Array(31)) }],
    ['share version 2', { versions: field(8, Uint8Array.of(2)) }],
    ['no share version', { versions: none }],
  ]
  for (const [name, changes] of bad) assert.throws(() => parse(built(changes)), ChainFault, name)
})
