import { decodeAddress, encodeAddress, moduleAddress } from '../address.ts'
import { address, coin } from '../kinds.ts'
import { required, some } from '../shape.ts'
import { type MessageType, messageType, moneyOf } from './message-type.ts'

/** cosmos.distribution.v1beta1 */
export const distribution: readonly MessageType[] = [
  messageType({
    typeUrl: '/cosmos.distribution.v1beta1.MsgSetWithdrawAddress',
    amino: 'cosmos-sdk/MsgModifyWithdrawAddress',
    shape: { delegator_address: required(1, address), withdraw_address: required(2, address) },
    signers: (value) => [value.delegator_address],
    effects: (value) => [
      { kind: 'redirect', account: value.delegator_address, to: value.withdraw_address, what: 'rewards' },
    ],
  }),
  messageType({
    typeUrl: '/cosmos.distribution.v1beta1.MsgWithdrawDelegatorReward',
    amino: 'cosmos-sdk/MsgWithdrawDelegationReward',
    shape: { delegator_address: required(1, address), validator_address: required(2, address) },
    signers: (value) => [value.delegator_address],
    effects: (value) => [
      { kind: 'claim', account: value.delegator_address, validator: value.validator_address, what: 'rewards' },
    ],
  }),
  messageType({
    typeUrl: '/cosmos.distribution.v1beta1.MsgWithdrawValidatorCommission',
    amino: 'cosmos-sdk/MsgWithdrawValCommission',
    shape: { validator_address: required(1, address) },
    signers: (value) => [value.validator_address],
    effects: (value, where) => [
      {
        kind: 'claim',
        account: encodeAddress(decodeAddress(value.validator_address).account, where.prefix),
        validator: value.validator_address,
        what: 'commission',
      },
    ],
  }),
  messageType({
    typeUrl: '/cosmos.distribution.v1beta1.MsgFundCommunityPool',
    amino: 'cosmos-sdk/MsgFundCommunityPool',
    shape: { amount: some(1, coin), depositor: required(2, address) },
    signers: (value) => [value.depositor],
    effects: (value, where) =>
      value.amount.map((one) => ({
        kind: 'transfer',
        from: value.depositor,
        // The pool is money that this module's account holds.
        to: moduleAddress('distribution', where.prefix),
        ...moneyOf(one, where),
      })),
  }),
]
