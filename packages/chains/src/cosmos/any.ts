import { base64 } from '@popsigner/crypto/bytes'
import type { Json } from '../chain.ts'
import { bytes, text } from './kinds.ts'
import { malformed, unsupported } from './refuse.ts'
import {
  asObject,
  inside,
  type Kind,
  one,
  type Place,
  readShape,
  required,
  type Shape,
  shapeFromAmino,
  shapeToAmino,
  type Value,
  writeShape,
} from './shape.ts'

/** A type that an Any may hold. */
export interface AnyType<S extends Shape = Shape> {
  /** `/cosmos.bank.v1beta1.MsgSend` */
  readonly typeUrl: string
  /** Its name in amino JSON; `null` where the type is known in protobuf only. */
  readonly amino: string | null
  readonly shape: S
  /** Refuses a value that its fields alone cannot refuse. */
  check?(value: Value<S>, at: Place): void
}

/** A message with its type. `known` is undefined where the type is not in the table: then nothing is known but the bytes. */
export interface Any<T extends AnyType = AnyType> {
  readonly typeUrl: string
  readonly bytes: Uint8Array
  readonly known: { readonly type: T; readonly value: Value<Shape> } | undefined
}

const anyShape = { type_url: required(1, text), value: one(2, bytes) }

/** Any of the types in a table, which may still grow until the first value is read; others are kept as bytes. */
export function any<T extends AnyType>(table: ReadonlyMap<string, T>): Kind<Any<T>> {
  const build = (type: T, value: Value<Shape>, at: Place): Any<T> => {
    type.check?.(value, inside(at, 'value'))
    return { typeUrl: type.typeUrl, bytes: writeShape(type.shape, value), known: { type, value } }
  }
  return {
    wire: 'bytes',
    zero: undefined,
    read: (payload, at) => {
      const { type_url, value } = readShape(anyShape, payload as Uint8Array, at)
      const type = table.get(type_url)
      if (type === undefined) return { typeUrl: type_url, bytes: value, known: undefined }
      return build(type, readShape(type.shape, value, inside(at, 'value')), at)
    },
    write: (value) => writeShape(anyShape, { type_url: value.typeUrl, value: value.bytes }),
    fromAmino: (json, at) => {
      const object = asObject(json, at)
      if (Object.keys(object).some((name) => name !== 'type' && name !== 'value') || object['value'] === undefined)
        throw malformed(at.path, 'must have type and value and nothing else')
      const type = [...table.values()].find(({ amino }) => amino !== null && amino === object['type'])
      if (type === undefined)
        throw unsupported(`${at.path}.type`, 'is not known in amino JSON; send the transaction as protobuf')
      return build(type, shapeFromAmino(type.shape, object['value'], inside(at, 'value')), at)
    },
    toAmino: (value, purpose): Json => {
      if (purpose === 'show')
        return {
          type: value.typeUrl,
          value: value.known ? shapeToAmino(value.known.type.shape, value.known.value, purpose) : base64(value.bytes),
        }
      if (value.known === undefined || value.known.type.amino === null)
        throw unsupported(
          'transaction.body.messages',
          `has ${value.typeUrl}, which has no amino JSON here: sign it in SIGN_MODE_DIRECT`,
        )
      return {
        type: value.known.type.amino,
        value: shapeToAmino(value.known.type.shape, value.known.value, purpose),
      }
    },
  }
}
