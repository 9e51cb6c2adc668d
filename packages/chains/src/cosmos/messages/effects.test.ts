import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { concat, fromBase64, utf8 } from '@popsigner/crypto/bytes'
import type { Effect } from '../../effect.ts'
import { ChainFault } from '../../fault.ts'
import { describeEffect } from '../../words.ts'
import { cosmosNetwork } from '../network.ts'
import { effectsOf } from './message-type.ts'
import { anyMessage } from './messages.ts'

const rows: readonly { type_url: string; value: string; amino: string }[] = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../../vectors/cosmos-sdk/amino.json'), 'utf8'),
)
const where = { network: cosmosNetwork('celestia'), prefix: 'celestia' }
const at = { path: 'message', depth: 0 }
const granter = 'celestia1qyqszqgpqyqszqgpqyqszqgpqyqszqgpreswh3'
const grantee = 'celestia1qgpqyqszqgpqyqszqgpqyqszqgpqyqszjaktu8'
const asset = 'cosmos:celestia/denom:utia'
const vote = '/cosmos.gov.v1.MsgVote'
/** 2030-01-02T03:04:05Z */
const expires = '1893553445'

/** The effects of the vectors' messages of a type whose JSON has all of these texts. */
function effects(type: string, ...texts: readonly string[]): readonly Effect[] {
  const row = rows.find((one) => one.type_url.endsWith(type) && texts.every((text) => one.amino.includes(text)))
  assert.ok(row !== undefined, `${type} ${texts}`)
  return effectsOf(read(row.type_url, fromBase64(row.value)), where)
}

function read(typeUrl: string, bytes: Uint8Array) {
  return anyMessage.read(anyMessage.write({ typeUrl, bytes, known: undefined }), at)
}

test('grants say what may be done, how much, to whom and until when', () => {
  const grant = { kind: 'grant', granter, grantee }
  assert.deepEqual(effects('MsgGrant', 'Generic', '05Z'), [{ ...grant, action: vote, limits: null, expires }])
  const send = { ...grant, action: '/cosmos.bank.v1beta1.MsgSend', limits: [{ asset, amount: '8' }], expires: null }
  assert.deepEqual(effects('MsgGrant', 'allow_list'), [{ ...send, only_to: [grantee] }])
  assert.deepEqual(effects('MsgRevoke'), [{ kind: 'revoke', granter, grantee, action: vote }])
})

test('a staking grant names its validators; both lists, or none, are refused', () => {
  const validator = 'celestiavaloper1qvpsxqcrqvpsxqcrqvpsxqcrqvpsxqcrkj4nqq'
  const list = concat(Uint8Array.of(10, validator.length), utf8(validator))
  const listed = (number: number) => concat(Uint8Array.of((number << 3) | 2, list.length), list)
  const one = (authorization: Uint8Array) => {
    const url = utf8('/cosmos.staking.v1beta1.StakeAuthorization')
    const any = concat(field(1, url), field(2, authorization))
    return read(
      '/cosmos.authz.v1beta1.MsgGrant',
      concat(field(1, utf8(granter)), field(2, utf8(grantee)), field(3, field(1, any))),
    )
  }
  const kind = Uint8Array.of(0x20, 1)
  const grant = {
    kind: 'grant',
    granter,
    grantee,
    action: '/cosmos.staking.v1beta1.MsgDelegate',
    limits: null,
    expires: null,
  }
  assert.deepEqual(effectsOf(one(concat(listed(2), kind)), where), [{ ...grant, only_to: [validator] }])
  assert.deepEqual(effectsOf(one(concat(listed(3), kind)), where), [{ ...grant, not_to: [validator] }])
  assert.throws(() => one(kind), ChainFault)
  assert.throws(() => one(concat(listed(2), listed(3), kind)), ChainFault)
})

test('an authorization or allowance of unknown type is opaque', () => {
  const any = concat(field(1, utf8('/x.Y')), field(2, Uint8Array.of(8, 1)))
  const parties = concat(field(1, utf8(granter)), field(2, utf8(grantee)))
  for (const [type, value] of [
    ['/cosmos.authz.v1beta1.MsgGrant', field(3, field(1, any))],
    ['/cosmos.feegrant.v1beta1.MsgGrantAllowance', field(3, any)],
  ] as const) {
    const [effect, ...more] = effectsOf(read(type, concat(parties, value)), where)
    assert.ok(effect?.kind === 'opaque' && more.length === 0)
    assert.deepEqual([effect.what, effect.subject], ['/x.Y', grantee])
  }
})

test('fee grants say their limits, their period and what they are for', () => {
  const grant = { kind: 'grant', granter, grantee, action: 'fees' }
  const limits = [{ asset, amount: '8' }]
  assert.deepEqual(effects('MsgGrantAllowance', 'BasicAllowance', '"8"'), [{ ...grant, limits, expires }])
  assert.deepEqual(effects('MsgGrantAllowance', '"spend_limit":[]'), [{ ...grant, limits: null, expires: null }])
  assert.deepEqual(effects('MsgGrantAllowance', 'Periodic'), [
    { ...grant, limits, expires: null, period: { seconds: '3600', limits: [{ asset, amount: '1' }] } },
  ])
  assert.deepEqual(effects('MsgGrantAllowance', 'AllowedMsg'), [
    { ...grant, limits, expires, only_for: ['/celestia.blob.v1.MsgPayForBlobs'] },
  ])
  assert.deepEqual(effects('MsgRevokeAllowance'), [{ kind: 'revoke', granter, grantee, action: 'fees' }])
})

test('a proposal says what it would do, and is no doing of it', () => {
  const [proposal, deposit, ...more] = effects('v1.MsgSubmitProposal', 'MsgSend')
  assert.equal(more.length, 0)
  assert.ok(proposal?.kind === 'propose')
  assert.deepEqual([proposal.title, proposal.actions.map(({ name }) => name)], ['t', ['/cosmos.bank.v1beta1.MsgSend']])
  assert.deepEqual(deposit, { kind: 'deposit', depositor: granter, proposal: null, asset, amount: '1' })
  const [text] = effects('v1beta1.MsgSubmitProposal', 'line')
  assert.ok(text?.kind === 'propose')
  assert.deepEqual([text.title, text.actions[0]?.name], ['t', '/cosmos.gov.v1beta1.TextProposal'])
  assert.deepEqual(effects('v1.MsgDeposit', '1000'), [
    { kind: 'deposit', depositor: granter, proposal: '12', asset, amount: '1000' },
  ])
})

test('every effect of the vectors has words, with amounts in the unit people use', () => {
  const words = [
    ...effects('MsgSend', '10000000'),
    ...effects('MsgCancelUnbondingDelegation'),
    ...effects('MsgSetWithdrawAddress'),
    ...effects('v1.MsgSubmitProposal', 'MsgSend'),
    ...effects('MsgGrant', 'allow_list'),
    ...effects('MsgGrantAllowance', 'Periodic'),
    ...effects('MsgGrantAllowance', 'AllowedMsg'),
  ].map(describeEffect)
  assert.deepEqual(
    words.map((text) => text.replaceAll(granter, 'A').replaceAll(grantee, 'B')),
    [
      'Transfer 0.000001 TIA (1) from A to B',
      'Transfer 1000000000000000000000000000000 of cosmos:celestia/denom:ibc%2F27394FB092D2ECCD56123C74F36E4C1F926001CEADA9CA97EA622B25F41E5EB2 from A to B',
      'Stake 0.000007 TIA (7) of A again, unstaked at height 123456789012, with celestiavaloper1qvpsxqcrqvpsxqcrqvpsxqcrqvpsxqcrkj4nqq',
      'Pay the rewards of A to B from now on',
      'Propose "t" as A, which would do "/cosmos.bank.v1beta1.MsgSend"',
      'Put 0.000001 TIA (1) of A behind the proposal made here',
      'Let B do "/cosmos.bank.v1beta1.MsgSend" for A, up to 0.000008 TIA (8), only to B',
      'Let B have fees paid by A, up to 0.000008 TIA (8) and 0.000001 TIA (1) every 3600 s',
      'Let B have fees paid by A, up to 0.000008 TIA (8), only for "/celestia.blob.v1.MsgPayForBlobs" until 2030-01-02T03:04:05.000Z',
    ],
  )
})

/** A length-delimited field by hand. */
function field(number: number, bytes: Uint8Array): Uint8Array {
  assert.ok(bytes.length < 16384)
  const length = bytes.length < 128 ? [bytes.length] : [(bytes.length & 127) | 128, bytes.length >> 7]
  return concat(Uint8Array.of((number << 3) | 2, ...length), bytes)
}
