import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  type AminoMsg,
  encodeSecp256k1Pubkey,
  makeSignDoc,
  Secp256k1Wallet,
  type StdFee,
  type StdSignDoc,
  serializeSignDoc,
} from '@cosmjs/amino'
import { encodePubkey, makeAuthInfoBytes } from '@cosmjs/proto-signing'
import { AminoTypes, createDefaultAminoConverters } from '@cosmjs/stargate'
import { base64, fromBase64, hex, utf8 } from '@popsigner/crypto/bytes'
import { sha256 } from '@popsigner/crypto/hash'
import { SignMode } from 'cosmjs-types/cosmos/tx/signing/v1beta1/signing'
import { TxBody, TxRaw } from 'cosmjs-types/cosmos/tx/v1beta1/tx'
import type { JsonObject } from '../chain.ts'
import { ChainFault } from '../fault.ts'
import { celestia, makeDocument, parse, registry, sign, testKey } from './cosmjs.fixture.ts'
import { cosmos } from './cosmos.ts'
import { referenceOf } from './network.ts'

const [alice, bob] = [testKey(1), testKey(2)]
const valoper = 'celestiavaloper1qvpsxqcrqvpsxqcrqvpsxqcrqvpsxqcrkj4nqq'
const fee: StdFee = { amount: [{ denom: 'utia', amount: '2000' }], gas: '100000' }
const types = new AminoTypes(createDefaultAminoConverters())
const coin = { denom: 'utia', amount: '5' }

/** Messages of every module that cosmjs has an amino form of. */
const messages = [
  {
    typeUrl: '/cosmos.bank.v1beta1.MsgSend',
    value: { fromAddress: alice.address, toAddress: bob.address, amount: [coin] },
  },
  {
    typeUrl: '/cosmos.bank.v1beta1.MsgMultiSend',
    value: { inputs: [{ address: alice.address, coins: [coin] }], outputs: [{ address: bob.address, coins: [coin] }] },
  },
  ...['MsgDelegate', 'MsgUndelegate'].map((name) => ({
    typeUrl: `/cosmos.staking.v1beta1.${name}`,
    value: { delegatorAddress: alice.address, validatorAddress: valoper, amount: coin },
  })),
  {
    typeUrl: '/cosmos.staking.v1beta1.MsgBeginRedelegate',
    value: {
      delegatorAddress: alice.address,
      validatorSrcAddress: valoper,
      validatorDstAddress: valoper,
      amount: coin,
    },
  },
  {
    typeUrl: '/cosmos.staking.v1beta1.MsgCancelUnbondingDelegation',
    value: { delegatorAddress: alice.address, validatorAddress: valoper, amount: coin, creationHeight: 4n },
  },
  {
    typeUrl: '/cosmos.distribution.v1beta1.MsgWithdrawDelegatorReward',
    value: { delegatorAddress: alice.address, validatorAddress: valoper },
  },
  {
    typeUrl: '/cosmos.distribution.v1beta1.MsgSetWithdrawAddress',
    value: { delegatorAddress: alice.address, withdrawAddress: bob.address },
  },
  { typeUrl: '/cosmos.distribution.v1beta1.MsgFundCommunityPool', value: { amount: [coin], depositor: alice.address } },
  { typeUrl: '/cosmos.gov.v1beta1.MsgVote', value: { proposalId: 5n, voter: alice.address, option: 4 } },
  { typeUrl: '/cosmos.gov.v1beta1.MsgDeposit', value: { proposalId: 5n, depositor: alice.address, amount: [coin] } },
  ...[
    { timeoutHeight: { revisionNumber: 1n, revisionHeight: 0n }, timeoutTimestamp: 0n, memo: '' },
    { timeoutHeight: { revisionNumber: 1n, revisionHeight: 2n }, timeoutTimestamp: 3n, memo: '<&>' },
    { timeoutHeight: undefined, timeoutTimestamp: 3n, memo: '' },
  ].map((rest) => ({
    typeUrl: '/ibc.applications.transfer.v1.MsgTransfer',
    value: {
      sourcePort: 'transfer',
      sourceChannel: 'channel-0',
      token: coin,
      sender: alice.address,
      receiver: 'osmo1x',
      ...rest,
    },
  })),
]

function document(msgs: readonly AminoMsg[], memo = ''): StdSignDoc {
  return makeSignDoc(msgs, fee, 'celestia', memo, 12, 7)
}

for (const message of messages)
  test(`amino and direct say the same of ${message.typeUrl}`, () => {
    const amino = types.toAmino(message)
    const bytes = serializeSignDoc(document([amino]))
    const tx = parse(bytes)
    assert.equal(cosmos.encode(tx), base64(bytes))
    const direct = parse(makeDocument({ messages: [message], signers: [{ key: alice }] }).bytes)
    assert.deepEqual(cosmos.effects(tx), cosmos.effects(direct))
    assert.deepEqual(cosmos.fee(tx), cosmos.fee(direct))
    const [what] = cosmos.messages(tx, alice.signer)
    assert.ok(what !== undefined && 'digest' in what)
    assert.equal(what.signMode, 'amino')
    assert.equal(hex(what.digest), hex(sha256(bytes)))
  })

test('a signed amino document is the transaction that cosmjs makes of it', async () => {
  const wallet = await Secp256k1Wallet.fromKey(alice.secret, 'celestia')
  const message = messages[0] as (typeof messages)[number]
  const doc = document([types.toAmino(message)], 'a <b> & \u2028c')
  const tx = cosmos.parse(doc as unknown as JsonObject, celestia, {})
  const [what] = cosmos.messages(tx, alice.signer)
  const ours = sign(alice, what as never)
  const signed = cosmos.attach(tx, alice.signer, [ours])
  const theirs = await wallet.signAmino(alice.address, document([types.toAmino(message)], 'plain'))
  const plain = parse(serializeSignDoc(theirs.signed))
  assert.equal(
    base64(sign(alice, cosmos.messages(plain, alice.signer)[0] as never).signature),
    theirs.signature.signature,
  )

  const raw = TxRaw.decode(cosmos.serialize(signed))
  assert.deepEqual(
    TxBody.decode(raw.bodyBytes),
    TxBody.decode(registry.encodeTxBody({ messages: [message], memo: doc.memo })),
  )
  const pubkey = encodePubkey(encodeSecp256k1Pubkey(alice.publicKey))
  const auth = makeAuthInfoBytes(
    [{ pubkey, sequence: 7 }],
    fee.amount,
    100_000,
    undefined,
    undefined,
    SignMode.SIGN_MODE_LEGACY_AMINO_JSON,
  )
  assert.equal(hex(raw.authInfoBytes), hex(auth))
  assert.equal(cosmos.complete(signed), true)
  // The transaction signs to the same bytes as the document did.
  const again = cosmos.parse(cosmos.encode(signed), celestia, { account_number: '12' })
  assert.deepEqual(cosmos.effects(again), cosmos.effects(tx))
  assert.throws(() => cosmos.messages(again, alice.signer), { code: 'transaction.already_signed' })
  const emptied = TxRaw.encode({ ...raw, signatures: [new Uint8Array()] }).finish()
  const open = parse(emptied, { account_number: '12' })
  assert.deepEqual(cosmos.messages(open, alice.signer), [what])
})

test('amino JSON in any other form than the signed one is refused', () => {
  const good = new TextDecoder().decode(serializeSignDoc(document([types.toAmino(messages[0] as never)])))
  assert.ok(parse(utf8(good)))
  const bad: readonly [string, string, string][] = [
    ['a space', good.replace(':', ': '), 'transaction.malformed'],
    ['a name twice', good.replace('"memo":""', '"memo":"","memo":""'), 'transaction.malformed'],
    ['names that are not sorted', good.replace('"memo":"",', '').replace('{', '{"memo":"",'), 'transaction.malformed'],
    ['an unknown name', good.replace('"memo":""', '"memo":"","mood":""'), 'transaction.unsupported'],
    [
      'a default that is written',
      good.replace('"sequence":"7"', '"sequence":"7","timeout_height":"0"'),
      'transaction.malformed',
    ],
    ['a default that is missing', good.replace('"memo":"",', ''), 'transaction.malformed'],
    ['a number with a zero before it', good.replace('"sequence":"7"', '"sequence":"07"'), 'transaction.malformed'],
    ['a number that is no text', good.replace('"sequence":"7"', '"sequence":7'), 'transaction.malformed'],
    ['an escape that Go does not write', good.replace('"memo":""', '"memo":"\\u0061"'), 'transaction.malformed'],
    ['a sign that Go escapes', good.replace('"memo":""', '"memo":"<"'), 'transaction.malformed'],
    ['bytes left over', `${good} `, 'transaction.malformed'],
    ['an unknown message', good.replace('cosmos-sdk/MsgSend', 'cosmos-sdk/MsgSent'), 'transaction.unsupported'],
    ['an unknown field of a message', good.replace('"to_address"', '"to_addresz"'), 'transaction.unsupported'],
    ['another chain', good.replace('"chain_id":"celestia"', '"chain_id":"mocha-4"'), 'transaction.chain_mismatch'],
    ['no JSON', good.slice(0, -1), 'transaction.malformed'],
    ['upper-case addresses', good.replace(bob.address, bob.address.toUpperCase()), 'transaction.malformed'],
  ]
  for (const [name, text, code] of bad) {
    assert.notEqual(text, good, name)
    assert.throws(
      () => parse(utf8(text)),
      (fault) => fault instanceof ChainFault && fault.code === code,
      name,
    )
  }
})

test('an amino document with two signers has no place for them', () => {
  const other = {
    typeUrl: '/cosmos.bank.v1beta1.MsgSend',
    value: { fromAddress: bob.address, toAddress: alice.address, amount: [coin] },
  }
  const tx = parse(serializeSignDoc(document([types.toAmino(messages[0] as never), types.toAmino(other)])))
  assert.equal(cosmos.effects(tx).length, 2)
  assert.throws(() => cosmos.messages(tx, alice.signer), { code: 'transaction.unsupported' })
})

test('what amino JSON cannot say is signed directly only', () => {
  const unknown = Uint8Array.from(fromBase64('CgFh'))
  const { doc } = makeDocument({
    messages: [messages[0] as never],
    signers: [{ key: alice }],
    mode: SignMode.SIGN_MODE_LEGACY_AMINO_JSON,
  })
  const body = TxBody.decode(doc.bodyBytes)
  body.messages.push({ typeUrl: '/x.MsgY', value: unknown })
  const bytes = TxRaw.encode({
    bodyBytes: TxBody.encode(body).finish(),
    authInfoBytes: doc.authInfoBytes,
    signatures: [new Uint8Array()],
  }).finish()
  const tx = parse(bytes, { account_number: '1' })
  assert.equal(cosmos.effects(tx).at(-1)?.kind, 'opaque')
  assert.throws(() => cosmos.messages(tx, alice.signer), { code: 'transaction.unsupported' })
})

test('what is signed of a transaction is what x/tx of the SDK signs, from a SignDoc and from the document itself', () => {
  const rows: readonly { sign_doc: string; amino: string }[] = JSON.parse(
    readFileSync(join(import.meta.dirname, '../../vectors/cosmos-sdk/documents.json'), 'utf8'),
  )
  assert.equal(rows.length, 4)
  for (const row of rows) {
    const chainId = (JSON.parse(row.amino) as { chain_id: string }).chain_id
    const network = cosmos.network(referenceOf(chainId))
    const context = { address_prefix: 'celestia' }
    const direct = cosmos.parse(row.sign_doc, network, context)
    const amino = cosmos.parse(base64(utf8(row.amino)), network, context)
    assert.equal(cosmos.encode(direct), row.sign_doc)
    assert.deepEqual(cosmos.effects(amino), cosmos.effects(direct))
    for (const tx of [direct, amino]) {
      const [what] = cosmos.messages(tx, alice.signer)
      assert.ok(what !== undefined && 'digest' in what)
      assert.equal(hex(what.digest), hex(sha256(utf8(row.amino))))
    }
    const signature = sign(alice, cosmos.messages(direct, alice.signer)[0] as never)
    const signed = [direct, amino].map((tx) => cosmos.encode(cosmos.attach(tx, alice.signer, [signature])))
    assert.equal(signed[0], signed[1])
  }
})
