import type { Effect, Grant } from '../../effect.ts'
import { type Any, type AnyType, any } from '../any.ts'
import { address, coin, enumeration, text, timestamp } from '../kinds.ts'
import { malformed } from '../refuse.ts'
import { type Kind, many, message, optional, required, type Shape, some, type Value } from '../shape.ts'
import { effectsOf, hashOf, type MessageType, messageType, moneyOf, type Where } from './message-type.ts'

type Limits = Pick<Grant, 'action' | 'limits' | 'only_to' | 'not_to'>

interface AuthorizationType<S extends Shape = Shape> extends AnyType<S> {
  limits(value: Value<S>, where: Where): Limits
}

/** What may be staked for another (cosmos.staking.v1beta1.AuthorizationType). */
const stakingActions: Readonly<Record<number, string>> = {
  1: '/cosmos.staking.v1beta1.MsgDelegate',
  2: '/cosmos.staking.v1beta1.MsgUndelegate',
  3: '/cosmos.staking.v1beta1.MsgBeginRedelegate',
  4: '/cosmos.staking.v1beta1.MsgCancelUnbondingDelegation',
}

const validators = message({ address: some(1, address) })

const authorizations: ReadonlyMap<string, AuthorizationType> = new Map(
  [
    authorization({
      typeUrl: '/cosmos.authz.v1beta1.GenericAuthorization',
      amino: 'cosmos-sdk/GenericAuthorization',
      shape: { msg: required(1, text) },
      limits: (value) => ({ action: value.msg, limits: null }),
    }),
    authorization({
      typeUrl: '/cosmos.bank.v1beta1.SendAuthorization',
      amino: 'cosmos-sdk/SendAuthorization',
      shape: { spend_limit: many(1, coin, 'list'), allow_list: many(2, address) },
      limits: (value, where) => ({
        action: '/cosmos.bank.v1beta1.MsgSend',
        limits: value.spend_limit.map((each) => moneyOf(each, where)),
        ...(value.allow_list.length === 0 ? {} : { only_to: value.allow_list }),
      }),
    }),
    authorization({
      typeUrl: '/cosmos.staking.v1beta1.StakeAuthorization',
      amino: null,
      shape: {
        max_tokens: optional(1, coin),
        allow_list: optional(2, validators),
        deny_list: optional(3, validators),
        authorization_type: required(4, enumeration(stakingActions)),
      },
      check: (value, at) => {
        if ((value.allow_list === undefined) === (value.deny_list === undefined))
          throw malformed(at.path, 'must have one of allow_list and deny_list')
      },
      limits: (value, where) => ({
        action: stakingActions[value.authorization_type] as string,
        limits: value.max_tokens === undefined ? null : [moneyOf(value.max_tokens, where)],
        ...(value.allow_list === undefined ? {} : { only_to: value.allow_list.address }),
        ...(value.deny_list === undefined ? {} : { not_to: value.deny_list.address }),
      }),
    }),
  ].map((row) => [row.typeUrl, row]),
)

const parties = { granter: required(1, address), grantee: required(2, address) }

/** cosmos.authz.v1beta1; `anyMessage` is what a grantee runs for its granters. */
export function authz(anyMessage: Kind<Any<MessageType>>): readonly MessageType[] {
  return [
    messageType({
      typeUrl: '/cosmos.authz.v1beta1.MsgGrant',
      amino: 'cosmos-sdk/MsgGrant',
      shape: {
        ...parties,
        grant: required(
          3,
          message({ authorization: required(1, any(authorizations)), expiration: optional(2, timestamp) }),
        ),
      },
      signers: (value) => [value.granter],
      effects: (value, where): readonly Effect[] => {
        const { known, typeUrl, bytes } = value.grant.authorization
        if (known === undefined)
          return [
            {
              kind: 'opaque',
              what: typeUrl,
              why: 'the type of the authorization is not known',
              subject: value.grantee,
              hash: hashOf(bytes),
            },
          ]
        const expires = value.grant.expiration === undefined ? null : String(value.grant.expiration.seconds)
        return [
          {
            kind: 'grant',
            granter: value.granter,
            grantee: value.grantee,
            ...known.type.limits(known.value, where),
            expires,
          },
        ]
      },
    }),
    messageType({
      typeUrl: '/cosmos.authz.v1beta1.MsgRevoke',
      amino: 'cosmos-sdk/MsgRevoke',
      shape: { ...parties, msg_type_url: required(3, text) },
      signers: (value) => [value.granter],
      effects: (value) => [
        { kind: 'revoke', granter: value.granter, grantee: value.grantee, action: value.msg_type_url },
      ],
    }),
    messageType({
      typeUrl: '/cosmos.authz.v1beta1.MsgExec',
      amino: 'cosmos-sdk/MsgExec',
      shape: { grantee: required(1, address), msgs: some(2, anyMessage) },
      signers: (value) => [value.grantee],
      effects: (value, where) => value.msgs.flatMap((inner) => effectsOf(inner, where)),
    }),
  ]
}

function authorization<S extends Shape>(row: AuthorizationType<S>): AuthorizationType {
  return row as unknown as AuthorizationType
}
