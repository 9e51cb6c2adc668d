import type { Effect } from '../../effect.ts'
import { address, coin, natural63 } from '../kinds.ts'
import { required } from '../shape.ts'
import { type MessageType, messageType, moneyOf } from './message-type.ts'

const bond = {
  delegator_address: required(1, address),
  validator_address: required(2, address),
  amount: required(3, coin),
}

/** cosmos.staking.v1beta1: what delegators do. */
export const staking: readonly MessageType[] = [
  bonding('MsgDelegate', 'stake'),
  bonding('MsgUndelegate', 'unstake'),
  messageType({
    typeUrl: '/cosmos.staking.v1beta1.MsgBeginRedelegate',
    amino: 'cosmos-sdk/MsgBeginRedelegate',
    shape: {
      delegator_address: required(1, address),
      validator_src_address: required(2, address),
      validator_dst_address: required(3, address),
      amount: required(4, coin),
    },
    signers: (value) => [value.delegator_address],
    effects: (value, where) => [
      {
        kind: 'redelegate',
        delegator: value.delegator_address,
        from: value.validator_src_address,
        to: value.validator_dst_address,
        ...moneyOf(value.amount, where),
      },
    ],
  }),
  messageType({
    typeUrl: '/cosmos.staking.v1beta1.MsgCancelUnbondingDelegation',
    amino: 'cosmos-sdk/MsgCancelUnbondingDelegation',
    shape: { ...bond, creation_height: required(4, natural63) },
    signers: (value) => [value.delegator_address],
    effects: (value, where) => [
      {
        kind: 'stake',
        delegator: value.delegator_address,
        validator: value.validator_address,
        ...moneyOf(value.amount, where),
        unbonding_since: String(value.creation_height),
      },
    ],
  }),
]

function bonding(name: string, kind: 'stake' | 'unstake'): MessageType {
  return messageType({
    typeUrl: `/cosmos.staking.v1beta1.${name}`,
    amino: `cosmos-sdk/${name}`,
    shape: bond,
    signers: (value) => [value.delegator_address],
    effects: (value, where): readonly Effect[] => [
      {
        kind,
        delegator: value.delegator_address,
        validator: value.validator_address,
        ...moneyOf(value.amount, where),
      },
    ],
  })
}
