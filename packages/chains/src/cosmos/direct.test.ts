import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DirectSecp256k1Wallet, type EncodeObject } from '@cosmjs/proto-signing'
import { base64, fromBase64, hex } from '@popsigner/crypto/bytes'
import { sha256 } from '@popsigner/crypto/hash'
import { TxRaw } from 'cosmjs-types/cosmos/tx/v1beta1/tx'
import type { Effect } from '../effect.ts'
import { celestia, cosmjsVerifies, makeDocument, parse, registry, sign, testKey } from './cosmjs.fixture.ts'
import { cosmos } from './cosmos.ts'

const [alice, bob, carol] = [testKey(1), testKey(2), testKey(3)]
const coin = (amount: string, denom = 'utia') => ({ denom, amount })
const send: EncodeObject = {
  typeUrl: '/cosmos.bank.v1beta1.MsgSend',
  value: { fromAddress: alice.address, toAddress: bob.address, amount: [coin('1500000')] },
}

test('one signer: the bytes that cosmjs signs, its signature, its transaction and its hash', async () => {
  const { doc, bytes } = makeDocument({ messages: [send], signers: [{ key: alice }], memo: 'hello' })
  const tx = parse(bytes)
  assert.equal(cosmos.encode(tx), base64(bytes))
  const [what] = cosmos.messages(tx, alice.signer)
  assert.ok(what !== undefined && 'digest' in what)
  assert.equal(what.signMode, 'direct')
  assert.equal(hex(what.digest), hex(sha256(bytes)))

  const wallet = await DirectSecp256k1Wallet.fromKey(alice.secret, 'celestia')
  const { signature } = await wallet.signDirect(alice.address, doc)
  const ours = sign(alice, what)
  assert.equal(base64(ours.signature), signature.signature)
  assert.ok(await cosmjsVerifies(ours.signature, what.digest, alice))

  const signed = cosmos.attach(tx, alice.signer, [ours])
  const raw = TxRaw.encode({
    bodyBytes: doc.bodyBytes,
    authInfoBytes: doc.authInfoBytes,
    signatures: [fromBase64(signature.signature)],
  }).finish()
  assert.equal(cosmos.encode(signed), base64(raw))
  assert.equal(cosmos.complete(tx), false)
  assert.equal(cosmos.complete(signed), true)
  assert.equal(cosmos.hash(tx), null)
  assert.equal(cosmos.hash(signed), hex(sha256(raw)).toUpperCase())
  assert.deepEqual(cosmos.signatures(signed), [{ signer: alice.address, signature: ours.signature }])
})

test('effects, fee and details of a transfer', () => {
  const { bytes } = makeDocument({ messages: [send], signers: [{ key: alice }], memo: 'hello', granter: carol.address })
  const tx = parse(bytes)
  assert.deepEqual(cosmos.effects(tx), [
    { kind: 'transfer', asset: 'cosmos:celestia/denom:utia', from: alice.address, to: bob.address, amount: '1500000' },
  ])
  assert.deepEqual(cosmos.fee(tx), { asset: 'cosmos:celestia/denom:utia', max: '2000', payer: carol.address })
  assert.deepEqual(cosmos.warnings(tx), [])
  const details = cosmos.details(tx)
  assert.equal(details['memo'], 'hello')
  assert.equal(details['account_number'], '12')
  assert.equal(details['fee_granter'], carol.address)
  assert.deepEqual(details['signers'], [
    {
      address: alice.address,
      sign_mode: 'direct',
      sequence: '7',
      public_key: { type: '/cosmos.crypto.secp256k1.PubKey', value: { key: base64(alice.publicKey) } },
      threshold: null,
      signed: false,
    },
  ])
  assert.deepEqual(details['messages'], [
    {
      type: '/cosmos.bank.v1beta1.MsgSend',
      value: { amount: [{ amount: '1500000', denom: 'utia' }], from_address: alice.address, to_address: bob.address },
    },
  ])
})

test('several messages and a fee payer: two sign, each with an account number of its own', async () => {
  const reply = {
    typeUrl: send.typeUrl,
    value: { fromAddress: bob.address, toAddress: carol.address, amount: [coin('2')] },
  }
  const parts = {
    messages: [send, reply, send],
    signers: [{ key: alice }, { key: bob, sequence: 3 }, { key: carol, sequence: 0 }],
    payer: carol.address,
  }
  const first = makeDocument({ ...parts, accountNumber: 12 })
  const tx = parse(first.bytes)
  assert.equal(cosmos.effects(tx).length, 3)
  assert.equal(cosmos.fee(tx)?.payer, carol.address)
  const [what] = cosmos.messages(tx, alice.signer)
  let current = cosmos.attach(tx, alice.signer, [sign(alice, what as never)])
  assert.equal(cosmos.complete(current), false)

  for (const [key, accountNumber] of [
    [bob, 13],
    [carol, 0],
  ] as const) {
    const again = cosmos.parse(cosmos.encode(current), celestia, { account_number: String(accountNumber) })
    assert.equal(cosmos.encode(again), cosmos.encode(current))
    const [next] = cosmos.messages(again, key.signer)
    assert.ok(next !== undefined && 'digest' in next)
    // What cosmjs would sign for that account.
    assert.equal(hex(next.digest), hex(sha256(makeDocument({ ...parts, accountNumber }).bytes)))
    current = cosmos.attach(again, key.signer, [sign(key, next)])
  }
  assert.equal(cosmos.complete(current), true)
  const raw = TxRaw.decode(cosmos.serialize(current))
  const digests = [12, 13, 0].map((accountNumber) => sha256(makeDocument({ ...parts, accountNumber }).bytes))
  for (const [i, key] of [alice, bob, carol].entries())
    assert.ok(await cosmjsVerifies(raw.signatures[i] as Uint8Array, digests[i] as Uint8Array, key))
})

test('a message of unknown type is opaque, beside one that is known', () => {
  const unknown = { typeUrl: '/cosmwasm.wasm.v1.MsgExecuteContract', value: Uint8Array.of(10, 1, 97) }
  const { bytes } = makeDocument({ messages: [send], signers: [{ key: alice }] })
  registry.register(unknown.typeUrl, {
    encode: () => ({ finish: () => unknown.value }),
    fromPartial: (value: unknown) => value,
  } as never)
  const mixed = makeDocument({ messages: [send, { typeUrl: unknown.typeUrl, value: {} }], signers: [{ key: alice }] })
  const effects = cosmos.effects(parse(mixed.bytes))
  assert.deepEqual(effects[0], cosmos.effects(parse(bytes))[0])
  assert.deepEqual(effects[1], {
    kind: 'opaque',
    what: unknown.typeUrl,
    why: 'the type of the message is not known',
    subject: null,
    hash: `0x${hex(sha256(unknown.value))}`,
  })
  const [what] = cosmos.messages(parse(mixed.bytes), alice.signer)
  assert.ok(what !== undefined && 'digest' in what)
})

test('what each kind of message does', () => {
  const valoper = 'celestiavaloper1qvpsxqcrqvpsxqcrqvpsxqcrqvpsxqcrkj4nqq'
  const asset = 'cosmos:celestia/denom:utia'
  const cases: readonly [EncodeObject, readonly Effect[]][] = [
    [
      {
        typeUrl: '/cosmos.bank.v1beta1.MsgMultiSend',
        value: {
          inputs: [{ address: alice.address, coins: [coin('5')] }],
          outputs: [
            { address: bob.address, coins: [coin('2')] },
            { address: carol.address, coins: [coin('3')] },
          ],
        },
      },
      [
        { kind: 'transfer', asset, from: alice.address, to: bob.address, amount: '2' },
        { kind: 'transfer', asset, from: alice.address, to: carol.address, amount: '3' },
      ],
    ],
    [
      {
        typeUrl: '/cosmos.staking.v1beta1.MsgDelegate',
        value: { delegatorAddress: alice.address, validatorAddress: valoper, amount: coin('7') },
      },
      [{ kind: 'stake', asset, delegator: alice.address, validator: valoper, amount: '7' }],
    ],
    [
      {
        typeUrl: '/cosmos.staking.v1beta1.MsgCancelUnbondingDelegation',
        value: { delegatorAddress: alice.address, validatorAddress: valoper, amount: coin('7'), creationHeight: 99n },
      },
      [{ kind: 'stake', asset, delegator: alice.address, validator: valoper, amount: '7', unbonding_since: '99' }],
    ],
    [
      {
        typeUrl: '/cosmos.distribution.v1beta1.MsgSetWithdrawAddress',
        value: { delegatorAddress: alice.address, withdrawAddress: bob.address },
      },
      [{ kind: 'redirect', account: alice.address, to: bob.address, what: 'rewards' }],
    ],
    [
      {
        typeUrl: '/cosmos.distribution.v1beta1.MsgFundCommunityPool',
        value: { depositor: alice.address, amount: [coin('9')] },
      },
      [
        {
          kind: 'transfer',
          asset,
          from: alice.address,
          // The account that cosmos1jv65s3grqf6v6jl3dp4t6c9t9rk99cd88lyufl is on the Cosmos Hub.
          to: 'celestia1jv65s3grqf6v6jl3dp4t6c9t9rk99cd8k44vnj',
          amount: '9',
        },
      ],
    ],
    [
      {
        typeUrl: '/cosmos.gov.v1beta1.MsgVoteWeighted',
        value: {
          proposalId: 3n,
          voter: alice.address,
          options: [
            { option: 1, weight: '700000000000000000' },
            { option: 3, weight: '300000000000000000' },
          ],
        },
      },
      [
        {
          kind: 'vote',
          voter: alice.address,
          proposal: '3',
          options: [
            { option: 'yes', weight: '0.7' },
            { option: 'no', weight: '0.3' },
          ],
        },
      ],
    ],
    [
      {
        typeUrl: '/ibc.applications.transfer.v1.MsgTransfer',
        value: {
          sourcePort: 'transfer',
          sourceChannel: 'channel-0',
          token: coin('4', 'ibc/27394FB092D2ECCD56123C74F36E4C1F926001CEADA9CA97EA622B25F41E5EB2'),
          sender: alice.address,
          receiver: 'osmo1anything',
          timeoutTimestamp: 1n,
          memo: '{"forward":{}}',
        },
      },
      [
        {
          kind: 'bridge',
          asset: 'cosmos:celestia/denom:ibc%2F27394FB092D2ECCD56123C74F36E4C1F926001CEADA9CA97EA622B25F41E5EB2',
          from: alice.address,
          to: 'osmo1anything',
          amount: '4',
          through: 'transfer/channel-0',
          memo: '{"forward":{}}',
        },
      ],
    ],
    [
      {
        typeUrl: '/cosmos.authz.v1beta1.MsgExec',
        value: {
          grantee: alice.address,
          msgs: [registry.encodeAsAny({ ...send, value: { ...send.value, fromAddress: carol.address } })],
        },
      },
      [{ kind: 'transfer', asset, from: carol.address, to: bob.address, amount: '1500000' }],
    ],
  ]
  for (const [message, expected] of cases) {
    const { bytes } = makeDocument({ messages: [message], signers: [{ key: alice }] })
    const tx = parse(bytes)
    assert.deepEqual(cosmos.effects(tx), expected, message.typeUrl)
    assert.equal(cosmos.encode(tx), base64(bytes), message.typeUrl)
    assert.equal(cosmos.messages(tx, alice.signer).length, 1)
  }
})
