import { type CborValue, decodeCbor, encodeCbor } from '@popsigner/crypto/cbor'
import type { ExportRule, MaterialKind, Use } from './custodian.ts'

/**
 * What an envelope is about: its authenticated data. Every field is always there, `null` where it does not apply, so
 * that nothing about a key can be left open (DESIGN.md section 4).
 */
export interface Spec {
  readonly instance: string
  readonly organization: Uint8Array | null
  readonly kind: MaterialKind
  /** Id of the thing sealed, 16 bytes. */
  readonly key: Uint8Array
  readonly version: number
  /** From 1; each narrowing raises it by one. */
  readonly generation: number
  readonly algorithm: string | null
  readonly schemes: readonly string[]
  readonly uses: readonly Use[]
  readonly publicKey: Uint8Array | null
  readonly origin: 'generated' | 'imported' | 'derived' | null
  readonly export: ExportRule
  readonly parent: Uint8Array | null
  readonly path: string | null
}

const kinds: readonly MaterialKind[] = [
  'organization-key',
  'signing-key',
  'seed',
  'log-key',
  'identity',
  'wrapping-key',
  'secret',
]

/** Most bytes of a public key; an RSA key of 4,096 bits has 550. */
export const maxPublicKeyLength = 1024

const origins = ['generated', 'imported', 'derived'] as const

/** Every use there is, in the order in which they are written. */
export const allUses: readonly Use[] = ['transaction', 'message', 'raw', 'digest']

/**
 * What an instance may be called: it stands in envelopes, leaves and the names of note keys, where `+` and spaces
 * cannot.
 */
const instanceForm = /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/
const nameForm = /^[a-z0-9][a-z0-9-]{0,31}$/
const fieldCount = 14

/** Whether a text can be the name of an instance: lower-case letters, digits, dots and hyphens, at most 253. */
export function isInstanceName(text: string): boolean {
  return instanceForm.test(text)
}

/** The deterministic CBOR of a specification. `RangeError` naming the field that no specification can have. */
export function encodeSpec(spec: Spec): Uint8Array {
  assertSpec(spec)
  return encodeCbor({
    instance: spec.instance,
    organization: spec.organization,
    kind: spec.kind,
    key: spec.key,
    version: spec.version,
    generation: spec.generation,
    algorithm: spec.algorithm,
    schemes: [...spec.schemes],
    uses: [...spec.uses],
    public_key: spec.publicKey,
    origin: spec.origin,
    export: spec.export,
    parent: spec.parent,
    path: spec.path,
  })
}

/**
 * The specification of these bytes. `RangeError` for another encoding, a missing or unknown field, or a value outside
 * its set.
 */
export function parseSpec(bytes: Uint8Array): Spec {
  const map = decodeCbor(bytes)
  if (map === null || typeof map !== 'object' || Array.isArray(map) || map instanceof Uint8Array)
    throw new RangeError('spec: expected a map')
  const fields = map as { readonly [key: string]: CborValue }
  if (Object.keys(fields).length !== fieldCount) throw new RangeError('spec: a field is missing or unknown')
  const spec = {
    instance: fields['instance'],
    organization: fields['organization'],
    kind: fields['kind'],
    key: fields['key'],
    version: fields['version'],
    generation: fields['generation'],
    algorithm: fields['algorithm'],
    schemes: fields['schemes'],
    uses: fields['uses'],
    publicKey: fields['public_key'],
    origin: fields['origin'],
    export: fields['export'],
    parent: fields['parent'],
    path: fields['path'],
  } as unknown as Spec
  assertSpec(spec)
  return spec
}

/** Throws `RangeError` naming the first field with a value that no specification can have. */
export function assertSpec(spec: Spec): void {
  need(typeof spec.instance === 'string' && isInstanceName(spec.instance), 'instance')
  need(spec.organization === null || isBytes(spec.organization, 16), 'organization')
  need(kinds.includes(spec.kind), 'kind')
  need(isBytes(spec.key, 16), 'key')
  need(isCount(spec.version), 'version')
  need(isCount(spec.generation), 'generation')
  need(spec.algorithm === null || (typeof spec.algorithm === 'string' && nameForm.test(spec.algorithm)), 'algorithm')
  need(isNameList(spec.schemes), 'schemes')
  need(isNameList(spec.uses) && spec.uses.every((use) => allUses.includes(use)), 'uses')
  need(
    spec.publicKey === null || (spec.publicKey instanceof Uint8Array && spec.publicKey.length <= maxPublicKeyLength),
    'public_key',
  )
  need(spec.origin === null || origins.includes(spec.origin), 'origin')
  need(spec.export === 'none' || spec.export === 'any' || isBytes(spec.export, 32), 'export')
  need(spec.parent === null || isBytes(spec.parent, 16), 'parent')
  need(spec.path === null || (typeof spec.path === 'string' && spec.path.length <= 256), 'path')
}

function need(condition: boolean, field: string): asserts condition {
  if (!condition) throw new RangeError(`spec.${field}: not a value it can have`)
}

function isBytes(value: unknown, length: number): value is Uint8Array {
  return value instanceof Uint8Array && value.length === length
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 1 && (value as number) <= 0xffff_ffff
}

function isNameList(value: unknown): boolean {
  return (
    Array.isArray(value) &&
    value.length <= 16 &&
    new Set(value).size === value.length &&
    value.every((name) => typeof name === 'string' && nameForm.test(name))
  )
}
