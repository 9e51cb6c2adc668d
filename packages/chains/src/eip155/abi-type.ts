/** A type of the contract ABI (Solidity documentation, "Contract ABI Specification"). No type takes zero bytes. */
export type AbiType =
  | { readonly kind: 'uint' | 'int'; readonly bits: number }
  | { readonly kind: 'address' | 'bool' | 'string' | 'bytes' }
  | { readonly kind: 'fixed_bytes'; readonly size: number }
  | { readonly kind: 'array'; readonly of: AbiType; readonly length: number | null }
  | { readonly kind: 'tuple'; readonly fields: readonly AbiParameter[] }

/** A parameter of a function, or a field of a structure. */
export interface AbiParameter {
  readonly name: string | null
  readonly type: AbiType
}

/** How deep types may nest. */
const maxDepth = 12
/** Fixed arrays above this are in no contract; a bound keeps sizes exact. */
const maxFixedLength = 65_536

/** The elementary type of this name; `null` where there is none. `uint` and `int` without bits are refused: they have no one text. */
export function elementaryType(name: string): AbiType | null {
  if (name === 'address' || name === 'bool' || name === 'string' || name === 'bytes') return { kind: name }
  const integer = /^(u?int)([1-9][0-9]{0,2})$/.exec(name)
  if (integer) {
    const bits = Number(integer[2])
    return bits <= 256 && bits % 8 === 0 ? { kind: integer[1] as 'uint' | 'int', bits } : null
  }
  const bytes = /^bytes([1-9][0-9]?)$/.exec(name)
  if (bytes) return Number(bytes[1]) <= 32 ? { kind: 'fixed_bytes', size: Number(bytes[1]) } : null
  return null
}

/**
 * Parts a type's text into its base and its dimensions, innermost first: `uint8[2][]` gives `uint8` and `[2, null]`.
 * `null` for brackets that are no dimensions, for a length of zero, and for more than 12 of them.
 */
export function splitArray(
  text: string,
): { readonly base: string; readonly lengths: readonly (number | null)[] } | null {
  const at = text.indexOf('[')
  if (at === -1) return { base: text, lengths: [] }
  const brackets = text.slice(at)
  if (!/^(?:\[(?:[1-9][0-9]{0,4})?\])+$/.test(brackets)) return null
  const lengths = [...brackets.matchAll(/\[([0-9]*)\]/g)].map(([, length]) => (length === '' ? null : Number(length)))
  if (lengths.length > maxDepth || lengths.some((length) => length !== null && length > maxFixedLength)) return null
  return { base: text.slice(0, at), lengths }
}

/** The type with these dimensions around it. */
export function arrayOf(type: AbiType, lengths: readonly (number | null)[]): AbiType {
  return lengths.reduce<AbiType>((of, length) => ({ kind: 'array', of, length }), type)
}

/** Reads parameters as a JSON ABI writes them; a string says what is wrong, and where. */
export function parseParameters(value: unknown, at: string, depth = 0): readonly AbiParameter[] | string {
  if (!Array.isArray(value) || value.length > 256) return `${at}: expected a list of at most 256 parameters`
  if (depth > maxDepth) return `${at}: structures lie deeper than ${maxDepth}`
  const parameters: AbiParameter[] = []
  for (const [i, one] of value.entries()) {
    const parameter = parseParameter(one, `${at}[${i}]`, depth)
    if (typeof parameter === 'string') return parameter
    parameters.push(parameter)
  }
  return parameters
}

/** The type as it stands in a function's signature: structures as their fields in parentheses. */
export function typeText(type: AbiType): string {
  switch (type.kind) {
    case 'uint':
    case 'int':
      return `${type.kind}${type.bits}`
    case 'fixed_bytes':
      return `bytes${type.size}`
    case 'array':
      return `${typeText(type.of)}[${type.length ?? ''}]`
    case 'tuple':
      return `(${type.fields.map((field) => typeText(field.type)).join(',')})`
    default:
      return type.kind
  }
}

function parseParameter(value: unknown, at: string, depth: number): AbiParameter | string {
  if (typeof value !== 'object' || value === null) return `${at}: expected an object`
  const { name, type, components } = value as { name?: unknown; type?: unknown; components?: unknown }
  if (name !== undefined && (typeof name !== 'string' || name.length > 128))
    return `${at}.name: expected text of at most 128 characters`
  const split = typeof type === 'string' && type.length <= 256 ? splitArray(type) : null
  if (split === null) return `${at}.type: not a type of the ABI`
  const base = split.base === 'tuple' ? parseTuple(components, `${at}.components`, depth) : elementaryType(split.base)
  if (base === null) return `${at}.type: not a type of the ABI`
  if (typeof base === 'string') return base
  return { name: name === undefined || name === '' ? null : name, type: arrayOf(base, split.lengths) }
}

function parseTuple(components: unknown, at: string, depth: number): AbiType | string {
  const fields = parseParameters(components, at, depth + 1)
  if (typeof fields === 'string') return fields
  return fields.length === 0 ? `${at}: a structure without fields` : { kind: 'tuple', fields }
}
