import { address, type Coin, coin } from '../kinds.ts'
import { malformed, unsupported } from '../refuse.ts'
import { message, required, some } from '../shape.ts'
import { type MessageType, messageType, moneyOf } from './message-type.ts'

const party = message({ address: required(1, address), coins: some(2, coin) })

/** cosmos.bank.v1beta1 */
export const bank: readonly MessageType[] = [
  messageType({
    typeUrl: '/cosmos.bank.v1beta1.MsgSend',
    amino: 'cosmos-sdk/MsgSend',
    shape: { from_address: required(1, address), to_address: required(2, address), amount: some(3, coin) },
    signers: (value) => [value.from_address],
    effects: (value, where) =>
      value.amount.map((one) => ({
        kind: 'transfer',
        from: value.from_address,
        to: value.to_address,
        ...moneyOf(one, where),
      })),
  }),
  messageType({
    typeUrl: '/cosmos.bank.v1beta1.MsgMultiSend',
    amino: 'cosmos-sdk/MsgMultiSend',
    shape: { inputs: some(1, party), outputs: some(2, party) },
    check: (value, at) => {
      // Since v0.47 the SDK takes one sender only; of several it could not be said who pays whom.
      if (value.inputs.length > 1)
        throw unsupported(`${at.path}.inputs`, 'must have one entry, as the bank module demands')
      if (totals(value.inputs.flatMap(({ coins }) => coins)) !== totals(value.outputs.flatMap(({ coins }) => coins)))
        throw malformed(`${at.path}.outputs`, 'do not add up to the inputs')
    },
    signers: (value) => value.inputs.map((one) => one.address),
    effects: (value, where) =>
      value.outputs.flatMap((output) =>
        output.coins.map((one) => ({
          kind: 'transfer' as const,
          from: value.inputs[0]?.address ?? null,
          to: output.address,
          ...moneyOf(one, where),
        })),
      ),
  }),
]

function totals(coins: readonly Coin[]): string {
  const sums = new Map<string, bigint>()
  for (const { denom, amount } of coins) sums.set(denom, (sums.get(denom) ?? 0n) + BigInt(amount))
  return [...sums]
    .map(([denom, sum]) => `${denom} ${sum}`)
    .sort()
    .join()
}
