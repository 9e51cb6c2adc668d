import type { Effect, Grant } from '../../effect.ts'
import { type Any, type AnyType, any } from '../any.ts'
import { address, type Coin, coin, duration, text, timestamp } from '../kinds.ts'
import { many, message, optional, required, type Shape, some, type Value } from '../shape.ts'
import { hashOf, type MessageType, messageType, moneyOf, type Where } from './message-type.ts'

type Bounds = Pick<Grant, 'limits' | 'expires' | 'period' | 'only_for'>

interface AllowanceType<S extends Shape = Shape> extends AnyType<S> {
  /** `undefined` where an allowance inside is of a type that is not known. */
  bounds(value: Value<S>, where: Where): Bounds | undefined
}

const basic = { spend_limit: many(1, coin, 'list'), expiration: optional(2, timestamp) }

const allowances: Map<string, AllowanceType> = new Map()
const anyAllowance = any(allowances)

for (const row of [
  allowance({
    typeUrl: '/cosmos.feegrant.v1beta1.BasicAllowance',
    amino: 'cosmos-sdk/BasicAllowance',
    shape: basic,
    bounds: basicBounds,
  }),
  allowance({
    typeUrl: '/cosmos.feegrant.v1beta1.PeriodicAllowance',
    amino: 'cosmos-sdk/PeriodicAllowance',
    shape: {
      basic: required(1, message(basic)),
      period: required(2, duration),
      period_spend_limit: many(3, coin, 'list'),
      period_can_spend: many(4, coin, 'list'),
      period_reset: required(5, timestamp),
    },
    bounds: (value, where) => ({
      ...basicBounds(value.basic, where),
      period: { seconds: String(value.period.seconds), limits: limitsOf(value.period_spend_limit, where) },
    }),
  }),
  allowance({
    typeUrl: '/cosmos.feegrant.v1beta1.AllowedMsgAllowance',
    amino: 'cosmos-sdk/AllowedMsgAllowance',
    shape: { allowance: required(1, anyAllowance), allowed_messages: some(2, text) },
    bounds: (value, where) => {
      const inner = boundsOf(value.allowance, where)
      return inner && { ...inner, only_for: value.allowed_messages }
    },
  }),
])
  allowances.set(row.typeUrl, row)

const parties = { granter: required(1, address), grantee: required(2, address) }

/** cosmos.feegrant.v1beta1 */
export const feegrant: readonly MessageType[] = [
  messageType({
    typeUrl: '/cosmos.feegrant.v1beta1.MsgGrantAllowance',
    amino: 'cosmos-sdk/MsgGrantAllowance',
    shape: { ...parties, allowance: required(3, anyAllowance) },
    signers: (value) => [value.granter],
    effects: (value, where): readonly Effect[] => {
      const bounds = boundsOf(value.allowance, where)
      if (bounds !== undefined)
        return [{ kind: 'grant', granter: value.granter, grantee: value.grantee, action: 'fees', ...bounds }]
      return [
        {
          kind: 'opaque',
          what: value.allowance.typeUrl,
          why: 'the type of the allowance is not known',
          subject: value.grantee,
          hash: hashOf(value.allowance.bytes),
        },
      ]
    },
  }),
  messageType({
    typeUrl: '/cosmos.feegrant.v1beta1.MsgRevokeAllowance',
    amino: 'cosmos-sdk/MsgRevokeAllowance',
    shape: parties,
    signers: (value) => [value.granter],
    effects: (value) => [{ kind: 'revoke', granter: value.granter, grantee: value.grantee, action: 'fees' }],
  }),
]

function allowance<S extends Shape>(row: AllowanceType<S>): AllowanceType {
  return row as unknown as AllowanceType
}

function boundsOf(given: Any<AllowanceType>, where: Where): Bounds | undefined {
  return given.known?.type.bounds(given.known.value, where)
}

function basicBounds(value: Value<typeof basic>, where: Where): Bounds {
  return {
    // No limit at all is what an empty list means to the feegrant module.
    limits: value.spend_limit.length === 0 ? null : limitsOf(value.spend_limit, where),
    expires: value.expiration === undefined ? null : String(value.expiration.seconds),
  }
}

function limitsOf(
  coins: readonly Coin[],
  where: Where,
): readonly { readonly asset: string; readonly amount: string }[] {
  return coins.map((each) => moneyOf(each, where))
}
