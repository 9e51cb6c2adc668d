import { hex } from '@popsigner/crypto/bytes'
import { sha256 } from '@popsigner/crypto/hash'
import type { Network } from '../../chain.ts'
import type { Effect } from '../../effect.ts'
import type { Any, AnyType } from '../any.ts'
import type { Coin } from '../kinds.ts'
import { assetOf } from '../network.ts'
import type { Shape, Value } from '../shape.ts'

/** What effects need to know beside the message. */
export interface Where {
  readonly network: Network
  /** How addresses begin there. */
  readonly prefix: string
}

/** A message that is understood whole. */
export interface MessageType<S extends Shape = Shape> extends AnyType<S> {
  /** Whose signatures it needs, as its `cosmos.msg.v1.signer` option says; an address or a validator's. */
  signers(value: Value<S>): readonly string[]
  /** All that it would do; never empty. */
  effects(value: Value<S>, where: Where): readonly Effect[]
}

/** A row of the table of messages: it checks the types that the table then forgets. */
export function messageType<S extends Shape>(row: MessageType<S>): MessageType {
  return row as unknown as MessageType
}

/** The effects of a message of any type. */
export function effectsOf(message: Any<MessageType>, where: Where): readonly Effect[] {
  if (message.known !== undefined) return message.known.type.effects(message.known.value, where)
  return [
    {
      kind: 'opaque',
      what: message.typeUrl,
      why: 'the type of the message is not known',
      subject: null,
      hash: hashOf(message.bytes),
    },
  ]
}

/** Asset and amount of a coin, as effects have them. */
export function moneyOf(coin: Coin, where: Where): { readonly asset: string; readonly amount: string } {
  return { asset: assetOf(where.network, coin.denom), amount: coin.amount }
}

/** SHA-256 of bytes that are not understood, as effects have it. */
export function hashOf(bytes: Uint8Array): string {
  return `0x${hex(sha256(bytes))}`
}
