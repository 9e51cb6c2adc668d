import { concat } from '@popsigner/crypto/bytes'
import type { CborValue } from '@popsigner/crypto/cbor'
import { decodeCbor } from '@popsigner/crypto/cbor'
import type { ExportRule, KeySpec, Material, Use } from '../custodian.ts'
import { sealedLength } from '../envelope.ts'
import { CustodyFault } from '../faults.ts'
import { allUses } from '../spec.ts'
import type { PackedMaterial } from './keyring.ts'

/** A decoded map. */
export type Fields = { readonly [key: string]: CborValue }

/** Checks a value of a payload, or throws the fault that names it. */
export type Reader<T> = (value: CborValue | undefined, name: string) => T

const maxSpecLength = 4096

/** Reads a payload that is a map of exactly these fields. Everything else is `custody.request_refused`. */
export function readPayload<R extends Readonly<Record<string, Reader<unknown>>>>(
  payload: Uint8Array,
  readers: R,
): { [K in keyof R]: ReturnType<R[K]> } {
  let value: CborValue
  try {
    value = decodeCbor(payload)
  } catch {
    throw refuse('payload')
  }
  return fields(readers)(value, 'payload')
}

/** A map of exactly these fields. */
export function fields<R extends Readonly<Record<string, Reader<unknown>>>>(
  readers: R,
): Reader<{ [K in keyof R]: ReturnType<R[K]> }> {
  const names = Object.keys(readers)
  return (value, name) => {
    if (value === null || typeof value !== 'object' || Array.isArray(value) || value instanceof Uint8Array)
      throw refuse(name)
    const map = value as Fields
    for (const key of Object.keys(map)) if (!Object.hasOwn(readers, key)) throw refuse(`${name}: a field too many`)
    const read = names.map((key) => [key, (readers[key] as Reader<unknown>)(map[key], key)] as const)
    return Object.fromEntries(read) as { [K in keyof R]: ReturnType<R[K]> }
  }
}

/** Bytes of exactly this length. */
export function bytes(length: number): Reader<Uint8Array> {
  return (value, name) => {
    if (!(value instanceof Uint8Array) || value.length !== length) throw refuse(name)
    return value
  }
}

/** A list of at most `most` items. */
export function listOf<T>(item: Reader<T>, most: number): Reader<T[]> {
  return (value, name) => {
    if (!Array.isArray(value) || value.length > most) throw refuse(name)
    return (value as readonly CborValue[]).map((one, i) => item(one, `${name}[${i}]`))
  }
}

/** What `reader` takes, or null. */
export function nullable<T>(reader: Reader<T>): Reader<T | null> {
  return (value, name) => (value === null ? null : reader(value, name))
}

/** A whole number from 0 to 2^53 - 1. */
export const size: Reader<number> = (value, name) => {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw refuse(name)
  return value
}

/** A short text. */
export const text: Reader<string> = (value, name) => {
  if (typeof value !== 'string' || value.length > 256) throw refuse(name)
  return value
}

/** Bytes of up to so many. */
export function bytesUpTo(most: number): Reader<Uint8Array> {
  return (value, name) => {
    if (!(value instanceof Uint8Array) || value.length > most) throw refuse(name)
    return value
  }
}

const envelopeBytes: Reader<Uint8Array> = (value, name) => {
  if (!(value instanceof Uint8Array) || sealedLength(value) === null) throw refuse(name)
  return value
}

/** A material, packed as the keyring takes it. */
export const material: Reader<PackedMaterial> = (value, name) =>
  pack(fields({ spec: bytesUpTo(maxSpecLength), envelope: envelopeBytes })(value, name))

/** Scheme names. */
export const names: Reader<string[]> = listOf(text, 16)

/** Uses. */
export const uses: Reader<Use[]> = (value, name) => {
  const list = names(value, name)
  if (!list.every((use) => (allUses as readonly string[]).includes(use))) throw refuse(name)
  return list as Use[]
}

const exportRule: Reader<ExportRule> = (value, name) =>
  value === 'none' || value === 'any' ? value : bytes(32)(value, name)

/** What a caller decides about a new key. */
export const keySpec: Reader<KeySpec> = fields({
  organization: bytes(16),
  key: bytes(16),
  version: size,
  algorithm: text,
  schemes: names,
  uses,
  export: exportRule,
})

/** One run of bytes out of a material's two, as the cache's name of it is computed. */
export function pack({ spec, envelope }: Material): PackedMaterial {
  const length = new Uint8Array(4)
  new DataView(length.buffer).setUint32(0, spec.length)
  const packed = concat(length, spec, envelope)
  return { packed, spec: packed.subarray(4, 4 + spec.length), envelope: packed.subarray(4 + spec.length) }
}

/** The fault for a payload that its operation does not take; `reason` names the field, never its value. */
export function refuse(reason: string): CustodyFault<'custody.request_refused'> {
  return new CustodyFault('custody.request_refused', { reason })
}
