import { concat } from '@popsigner/crypto/bytes'
import type { Json, JsonObject } from '../chain.ts'
import { malformed, unsupported } from './refuse.ts'
import { type Payload, readFields, readPacked, writeField, writeVarint } from './wire.ts'

/**
 * Messages described once, for both their encodings: protobuf in the canonical form of ADR-027, and legacy amino JSON
 * (x/tx/signing/aminojson of the Cosmos SDK). A shape names every field of a message; what it does not name is refused.
 */

/** Where something is, for errors, and how deep. */
export interface Place {
  readonly path: string
  readonly depth: number
}

/** One kind of value in both encodings. What `read` and `fromAmino` refuse is a `ChainFault` that names the place. */
export interface Kind<T> {
  readonly wire: 'varint' | 'bytes'
  /** What proto3 leaves out and readers take for absent; `undefined` where absence is something of its own. */
  readonly zero: T | undefined
  read(payload: Payload, at: Place): T
  write(value: T): Payload
  fromAmino(json: Json, at: Place): T
  toAmino(value: T, purpose: Purpose): Json
}

/** What JSON is made for: to be signed, which refuses what has no amino form, or to be shown, with protobuf's type names. */
export type Purpose = 'sign' | 'show'

/** A numbered field: how often its kind may occur, and what JSON says where it does not. */
export interface Field<T> {
  readonly number: number
  read(payloads: readonly Payload[], at: Place): T
  write(value: T): readonly Payload[]
  /** `undefined` where JSON has no such name. */
  fromAmino(json: Json | undefined, at: Place): T
  toAmino(value: T, purpose: Purpose): Json | undefined
}

/** The fields of a message by their protobuf names, numbers ascending. */
// biome-ignore lint/suspicious/noExplicitAny: a shape holds fields of every kind; `Value` gives each its type back.
export type Shape = Readonly<Record<string, Field<any>>>

/** What a shape reads. */
export type Value<S extends Shape> = { readonly [N in keyof S]: S[N] extends Field<infer T> ? T : never }

/** How deep fields may lie in one another. A message inside a message takes two; a coin in a message that authz runs is at eight. */
const maxDepth = 24

/** Reads a message. Refuses an unknown field, one that occurs too often, and all that `readFields` refuses. */
export function readShape<S extends Shape>(shape: S, bytes: Uint8Array, at: Place): Value<S> {
  if (at.depth > maxDepth) throw malformed(at.path, `is nested deeper than ${maxDepth}`)
  const fields = readFields(bytes, at.path)
  const value: Record<string, unknown> = {}
  let known = 0
  for (const [name, field] of Object.entries(shape)) {
    const payloads = fields.filter(({ number }) => number === field.number).map(({ payload }) => payload)
    known += payloads.length
    value[name] = field.read(payloads, inside(at, name))
  }
  if (known !== fields.length) {
    const numbers = new Set(Object.values(shape).map(({ number }) => number))
    const unknown = fields.find(({ number }) => !numbers.has(number))
    throw unsupported(at.path, `has field ${unknown?.number}, which is not known`)
  }
  return value as Value<S>
}

/** The canonical bytes of a message. */
export function writeShape<S extends Shape>(shape: S, value: Value<S>): Uint8Array {
  const parts: Uint8Array[] = []
  for (const [name, field] of Object.entries(shape))
    for (const payload of field.write(value[name])) parts.push(writeField(field.number, payload))
  return concat(...parts)
}

/** Reads a message from amino JSON. Refuses an unknown name. */
export function shapeFromAmino<S extends Shape>(shape: S, json: Json, at: Place): Value<S> {
  if (at.depth > maxDepth) throw malformed(at.path, `is nested deeper than ${maxDepth}`)
  const object = asObject(json, at)
  for (const name of Object.keys(object))
    if (!Object.hasOwn(shape, name)) throw unsupported(`${at.path}.${name}`, 'is not known')
  const value: Record<string, unknown> = {}
  for (const [name, field] of Object.entries(shape)) value[name] = field.fromAmino(object[name], inside(at, name))
  return value as Value<S>
}

/** A message in amino JSON. */
export function shapeToAmino<S extends Shape>(shape: S, value: Value<S>, purpose: Purpose): JsonObject {
  const object: Record<string, Json> = {}
  for (const [name, field] of Object.entries(shape)) {
    const json = field.toAmino(value[name], purpose)
    if (json !== undefined) object[name] = json
  }
  return object
}

/** A field that is there or has its kind's zero, which protobuf then leaves out, and JSON unless it is `written` there. */
export function one<T>(number: number, kind: Kind<T>, zeroInJson: 'omitted' | 'written' = 'omitted'): Field<T> {
  const { zero } = kind
  if (zero === undefined) throw new TypeError('kind: has no zero')
  return {
    number,
    read: (payloads, at) => {
      const payload = single(payloads, at)
      if (payload === undefined) return zero
      const value = readOne(kind, payload, at)
      if (isZero(kind, value)) throw malformed(at.path, 'is written although it has its default')
      return value
    },
    write: (value) => (isZero(kind, value) ? [] : [kind.write(value)]),
    fromAmino: (json, at) => (json === undefined ? zero : kind.fromAmino(json, at)),
    toAmino: (value, purpose) =>
      isZero(kind, value) && zeroInJson === 'omitted' ? undefined : kind.toAmino(value, purpose),
  }
}

/** A field that must be there: a message that the SDK always writes, or a scalar whose zero means nothing. */
export function required<T>(number: number, kind: Kind<T>): Field<T> {
  return {
    number,
    read: (payloads, at) => {
      const payload = single(payloads, at)
      if (payload === undefined) throw malformed(at.path, 'is missing')
      const value = readOne(kind, payload, at)
      if (isZero(kind, value)) throw malformed(at.path, 'is empty')
      return value
    },
    write: (value) => [kind.write(value)],
    fromAmino: (json, at) => {
      if (json === undefined) throw malformed(at.path, 'is missing')
      const value = kind.fromAmino(json, at)
      if (isZero(kind, value)) throw malformed(at.path, 'is empty')
      return value
    },
    toAmino: (value, purpose) => kind.toAmino(value, purpose),
  }
}

/** A field that may be absent, which JSON then says with no name or with `absent`. */
export function optional<T>(number: number, kind: Kind<T>, absent?: Json): Field<T | undefined> {
  const there = required(number, kind)
  return {
    number,
    read: (payloads, at) => (payloads.length === 0 ? undefined : there.read(payloads, at)),
    write: (value) => (value === undefined ? [] : there.write(value)),
    fromAmino: (json, at) => (json === undefined ? undefined : there.fromAmino(json, at)),
    toAmino: (value, purpose) => (value === undefined ? absent : there.toAmino(value, purpose)),
  }
}

/** A repeated field. JSON has no name for an empty one, or `[]` (`amino.encoding` `legacy_coins` with `dont_omitempty`). */
export function many<T>(number: number, kind: Kind<T>, empty: 'omitted' | 'list' = 'omitted'): Field<readonly T[]> {
  return {
    number,
    read: (payloads, at) => payloads.map((payload, i) => readOne(kind, payload, item(at, i))),
    write: (values) => values.map((value) => kind.write(value)),
    fromAmino: (json, at) => asList(json ?? [], at).map((one, i) => kind.fromAmino(one, item(at, i))),
    toAmino: (values, purpose) =>
      values.length === 0 && empty === 'omitted' ? undefined : values.map((value) => kind.toAmino(value, purpose)),
  }
}

/** A repeated field with at least one entry. */
export function some<T>(number: number, kind: Kind<T>): Field<readonly T[]> {
  const field = many(number, kind)
  const checked = (values: readonly T[], at: Place): readonly T[] => {
    if (values.length === 0) throw malformed(at.path, 'is empty')
    return values
  }
  return {
    ...field,
    read: (payloads, at) => checked(field.read(payloads, at), at),
    fromAmino: (json, at) => checked(field.fromAmino(json, at), at),
  }
}

/** Numbers that share one field (proto3's packed encoding). */
export function packed<T>(number: number, kind: Kind<T>): Field<readonly T[]> {
  const field = many(number, kind)
  return {
    ...field,
    read: (payloads, at) => {
      const payload = single(payloads, at)
      if (payload === undefined) return []
      if (typeof payload === 'bigint') throw malformed(at.path, 'must be packed')
      if (payload.length === 0) throw malformed(at.path, 'is written although it is empty')
      return readPacked(payload, at.path).map((value, i) => kind.read(value, item(at, i)))
    },
    write: (values) =>
      values.length === 0 ? [] : [concat(...values.map((value) => writeVarint(kind.write(value) as bigint)))],
  }
}

/** A message inside a message. */
export function message<S extends Shape>(shape: S): Kind<Value<S>> {
  return {
    wire: 'bytes',
    zero: undefined,
    read: (payload, at) => readShape(shape, payload as Uint8Array, at),
    write: (value) => writeShape(shape, value),
    fromAmino: (json, at) => shapeFromAmino(shape, json, at),
    toAmino: (value, purpose) => shapeToAmino(shape, value, purpose),
  }
}

export function inside(at: Place, name: string): Place {
  return { path: `${at.path}.${name}`, depth: at.depth + 1 }
}

/** JSON that must be an object. */
export function asObject(json: Json, at: Place): JsonObject {
  if (json === null || typeof json !== 'object' || Array.isArray(json)) throw malformed(at.path, 'must be an object')
  return json as JsonObject
}

function item(at: Place, index: number): Place {
  return { path: `${at.path}[${index}]`, depth: at.depth }
}

function asList(json: Json, at: Place): readonly Json[] {
  if (!Array.isArray(json)) throw malformed(at.path, 'must be a list')
  return json
}

function single(payloads: readonly Payload[], at: Place): Payload | undefined {
  if (payloads.length > 1) throw malformed(at.path, 'is there more than once')
  return payloads[0]
}

function readOne<T>(kind: Kind<T>, payload: Payload, at: Place): T {
  if ((typeof payload === 'bigint') !== (kind.wire === 'varint')) throw malformed(at.path, 'has the wrong wire type')
  return kind.read(payload, at)
}

function isZero<T>(kind: Kind<T>, value: T): boolean {
  if (kind.zero instanceof Uint8Array) return (value as Uint8Array).length === 0
  return kind.zero !== undefined && kind.zero === value
}
