import type { Effect } from '../../effect.ts'
import { type Any, type AnyType, any } from '../any.ts'
import { address, bool, type Coin, coin, decimal18, enumeration, text, uint64 } from '../kinds.ts'
import { malformed } from '../refuse.ts'
import { type Kind, many, message, one, required, some } from '../shape.ts'
import { hashOf, type MessageType, messageType, moneyOf, type Where } from './message-type.ts'

const options: Readonly<Record<number, string>> = { 1: 'yes', 2: 'abstain', 3: 'no', 4: 'no_with_veto' }
const option = enumeration(options)

/** In v1 a weight is a decimal in protobuf, too. */
const weight: Kind<string> = {
  ...text,
  read: (payload, at) => checkWeight(text.read(payload, at), at.path),
  fromAmino: (json, at) => checkWeight(text.fromAmino(json, at), at.path),
}

const ballot = { proposal_id: required(1, uint64), voter: required(2, address) }
const deposit = { proposal_id: required(1, uint64), depositor: required(2, address), amount: some(3, coin) }

/** What a proposal of v1beta1 may carry and is understood; others are named by their type. */
const contents: ReadonlyMap<string, AnyType> = new Map([
  [
    '/cosmos.gov.v1beta1.TextProposal',
    {
      typeUrl: '/cosmos.gov.v1beta1.TextProposal',
      amino: 'cosmos-sdk/TextProposal',
      shape: { title: one(1, text), description: one(2, text) },
    },
  ],
])

/** cosmos.gov.v1beta1 and cosmos.gov.v1; `anyMessage` is what a proposal of v1 would run. */
export function gov(anyMessage: Kind<Any<MessageType>>): readonly MessageType[] {
  return [
    messageType({
      typeUrl: '/cosmos.gov.v1beta1.MsgVote',
      amino: 'cosmos-sdk/MsgVote',
      shape: { ...ballot, option: required(3, option) },
      signers: (value) => [value.voter],
      effects: (value) => [vote(value, [{ option: value.option, weight: '1' }])],
    }),
    messageType({
      typeUrl: '/cosmos.gov.v1.MsgVote',
      amino: 'cosmos-sdk/v1/MsgVote',
      shape: { ...ballot, option: required(3, option), metadata: one(4, text) },
      signers: (value) => [value.voter],
      effects: (value) => [vote(value, [{ option: value.option, weight: '1' }])],
    }),
    messageType({
      typeUrl: '/cosmos.gov.v1beta1.MsgVoteWeighted',
      amino: 'cosmos-sdk/MsgVoteWeighted',
      shape: { ...ballot, options: some(3, message({ option: required(1, option), weight: required(2, decimal18) })) },
      signers: (value) => [value.voter],
      effects: (value) => [
        vote(
          value,
          value.options.map((each) => ({
            option: each.option,
            weight: decimal18.toAmino(each.weight, 'show') as string,
          })),
        ),
      ],
    }),
    messageType({
      typeUrl: '/cosmos.gov.v1.MsgVoteWeighted',
      amino: 'cosmos-sdk/v1/MsgVoteWeighted',
      shape: {
        ...ballot,
        options: some(3, message({ option: required(1, option), weight: required(2, weight) })),
        metadata: one(4, text),
      },
      signers: (value) => [value.voter],
      effects: (value) => [vote(value, value.options)],
    }),
    ...(['v1beta1', 'v1'] as const).map((version) =>
      messageType({
        typeUrl: `/cosmos.gov.${version}.MsgDeposit`,
        amino: version === 'v1' ? 'cosmos-sdk/v1/MsgDeposit' : 'cosmos-sdk/MsgDeposit',
        shape: deposit,
        signers: (value) => [value.depositor],
        effects: (value, where) => deposits(value.depositor, String(value.proposal_id), value.amount, where),
      }),
    ),
    messageType({
      typeUrl: '/cosmos.gov.v1beta1.MsgSubmitProposal',
      amino: 'cosmos-sdk/MsgSubmitProposal',
      shape: {
        content: required(1, any(contents)),
        initial_deposit: many(2, coin, 'list'),
        proposer: required(3, address),
      },
      signers: (value) => [value.proposer],
      effects: (value, where) => [
        propose(value.proposer, value.content.known?.value['title'] ?? null, [value.content]),
        ...deposits(value.proposer, null, value.initial_deposit, where),
      ],
    }),
    messageType({
      typeUrl: '/cosmos.gov.v1.MsgSubmitProposal',
      amino: 'cosmos-sdk/v1/MsgSubmitProposal',
      shape: {
        messages: many(1, anyMessage),
        initial_deposit: many(2, coin, 'list'),
        proposer: required(3, address),
        metadata: one(4, text),
        title: one(5, text),
        summary: one(6, text),
        expedited: one(7, bool),
      },
      signers: (value) => [value.proposer],
      effects: (value, where) => [
        propose(value.proposer, value.title, value.messages),
        ...deposits(value.proposer, null, value.initial_deposit, where),
      ],
    }),
  ]
}

function vote(
  value: { readonly voter: string; readonly proposal_id: bigint },
  split: readonly { readonly option: number; readonly weight: string }[],
): Effect {
  return {
    kind: 'vote',
    voter: value.voter,
    proposal: String(value.proposal_id),
    options: split.map((each) => ({ option: options[each.option] as string, weight: short(each.weight) })),
  }
}

function deposits(depositor: string, proposal: string | null, coins: readonly Coin[], where: Where): readonly Effect[] {
  return coins.map((one) => ({ kind: 'deposit', depositor, proposal, ...moneyOf(one, where) }))
}

function propose(proposer: string, title: string | null, actions: readonly Any[]): Effect {
  return {
    kind: 'propose',
    proposer,
    title,
    actions: actions.map((one) => ({ name: one.typeUrl, hash: hashOf(one.bytes) })),
  }
}

/** A decimal without zeros at the end. */
function short(decimal: string): string {
  return decimal.includes('.') ? decimal.replace(/\.?0+$/, '') : decimal
}

function checkWeight(value: string, path: string): string {
  if (!/^[01](\.[0-9]{1,18})?$/.test(value)) throw malformed(path, 'must be a decimal between 0 and 1')
  return value
}
