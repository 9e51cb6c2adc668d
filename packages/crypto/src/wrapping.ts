import { assertBytes, utf8 } from './bytes.ts'
import { encodeCbor } from './cbor.ts'

/** The `info` of HPKE when a key is moved in. */
export const importInfo: Uint8Array = utf8('popsigner/import/v1')
/** The `info` of HPKE when a key is moved out. */
export const exportInfo: Uint8Array = utf8('popsigner/export/v1')

/** What is moved, however it travels. Ids have 16 bytes. */
export interface MovedKey {
  /** Name of the instance. */
  readonly instance: string
  readonly organization: Uint8Array
  readonly algorithm: string
  readonly schemes: readonly string[]
  readonly uses: readonly string[]
  /** Who may have the key later: nobody, anybody, or the holder of the key with this SHA-256 (32 bytes). */
  readonly export: 'none' | 'any' | Uint8Array
  /** In the form of the algorithm's row. */
  readonly public_key: Uint8Array
}

export interface ImportedKey extends MovedKey {
  readonly wrapping_key: Uint8Array
}

export interface ExportedKey extends MovedKey {
  readonly key: Uint8Array
  /** From 1. */
  readonly version: number
}

const movedFields = ['instance', 'organization', 'algorithm', 'schemes', 'uses', 'export', 'public_key']

/** The authenticated data of an import: a deterministic CBOR map of exactly these fields. `RangeError` for any other field. */
export function importAad(fields: ImportedKey): Uint8Array {
  assertFields(fields, [...movedFields, 'wrapping_key'])
  assertMoved(fields)
  assertBytes(fields.wrapping_key, 'wrapping_key', 16)
  return encodeCbor({ ...fields })
}

/** The authenticated data of an export, in the same form. */
export function exportAad(fields: ExportedKey): Uint8Array {
  assertFields(fields, [...movedFields, 'key', 'version'])
  assertMoved(fields)
  assertBytes(fields.key, 'key', 16)
  if (!Number.isSafeInteger(fields.version) || fields.version < 1)
    throw new RangeError('version: expected a number from 1')
  return encodeCbor({ ...fields })
}

function assertMoved(fields: MovedKey): void {
  assertText(fields.instance, 'instance')
  assertBytes(fields.organization, 'organization', 16)
  assertText(fields.algorithm, 'algorithm')
  assertTexts(fields.schemes, 'schemes')
  assertTexts(fields.uses, 'uses')
  if (fields.export !== 'none' && fields.export !== 'any') assertBytes(fields.export, 'export', 32)
  assertBytes(fields.public_key, 'public_key')
}

function assertFields(fields: object, names: readonly string[]): void {
  for (const name of Object.keys(fields)) if (!names.includes(name)) throw new RangeError(`${name}: not a field`)
}

function assertText(value: unknown, name: string): void {
  if (typeof value !== 'string') throw new TypeError(`${name}: expected a string, got ${typeof value}`)
}

function assertTexts(values: unknown, name: string): void {
  if (!Array.isArray(values)) throw new TypeError(`${name}: expected a list of strings`)
  for (const value of values) assertText(value, name)
}
