import { concat, utf8 } from '@popsigner/crypto/bytes'
import { keccak256 } from '@popsigner/crypto/hash'
import type { Json, JsonObject } from '../chain.ts'
import type { ArgumentValue } from '../effect.ts'
import { ChainFault } from '../fault.ts'
import { type AbiType, elementaryType, splitArray } from './abi-type.ts'
import { addressBytes, fromHex0x, hex0x, parseAddress, word } from './bytes.ts'

/** Typed data (EIP-712 with lists and nested structures, "v4"), understood whole. */
export interface TypedData {
  readonly primaryType: string
  /** `encodeType` of the primary type: its fields, then those of the types it refers to. */
  readonly encodedType: string
  /** The domain's fields by name, as text. */
  readonly domain: Readonly<Record<string, string>>
  /** The values of the message in the order of the type's fields. */
  readonly values: readonly ArgumentValue[]
  /** What is signed: Keccak-256 of 0x1901, the domain's hash and the message's. */
  readonly digest: Uint8Array
}

interface Member {
  readonly name: string
  readonly type: string
}

type Types = ReadonlyMap<string, readonly Member[]>

/** EIP-712 §Definition of domainSeparator: the fields that a domain can have, in their order. */
const domainFields: readonly Member[] = [
  { name: 'name', type: 'string' },
  { name: 'version', type: 'string' },
  { name: 'chainId', type: 'uint256' },
  { name: 'verifyingContract', type: 'address' },
  { name: 'salt', type: 'bytes32' },
]

const maxTypes = 128
const maxMembers = 128
/** How deep structures and lists may lie in one another. */
const maxDepth = 16

/**
 * Reads `{types, primaryType, domain, message}` as wallets take it. Every field of every structure must be there and no other;
 * numbers are exact and in range; `EIP712Domain` may be left out of `types` and is then what the domain has.
 * `message.malformed` naming the field.
 */
export function parseTypedData(json: Json): TypedData {
  const root = objectOf(json, 'message', ['types', 'primaryType', 'domain', 'message'])
  const domain = objectOf(root['domain'] as Json, 'message.domain')
  const types = parseTypes(root['types'] as Json, domain)
  const primaryType = root['primaryType']
  if (typeof primaryType !== 'string' || !types.has(primaryType) || primaryType === 'EIP712Domain')
    throw refused('message.primaryType', 'expected the name of one of the types, other than EIP712Domain')
  const hasher = new Hasher(types)
  const separator = hasher.structure('EIP712Domain', domain, 'message.domain', 0)
  const content = hasher.structure(primaryType, root['message'] as Json, 'message.message', 0)
  return {
    primaryType,
    encodedType: hasher.encodeType(primaryType),
    domain: Object.fromEntries(
      (types.get('EIP712Domain') ?? []).map(({ name }, i) => [name, separator.values[i] as string]),
    ),
    values: content.values,
    digest: keccak256(concat(Uint8Array.of(0x19, 0x01), separator.hash, content.hash)),
  }
}

/** A value as it is hashed, and as it is told. */
interface Encoded {
  readonly word: Uint8Array
  readonly value: ArgumentValue
}

class Hasher {
  readonly #types: Types
  readonly #typeHashes = new Map<string, Uint8Array>()

  constructor(types: Types) {
    this.#types = types
  }

  /** EIP-712 §Definition of encodeType. */
  encodeType(name: string): string {
    const reached = new Set<string>()
    const open = [name]
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      if (reached.has(next)) continue
      reached.add(next)
      for (const { type } of this.#types.get(next) ?? []) {
        const base = splitArray(type)?.base ?? ''
        if (this.#types.has(base)) open.push(base)
      }
    }
    reached.delete(name)
    return [name, ...[...reached].sort()].map((one) => this.#text(one)).join('')
  }

  /** EIP-712 §Definition of hashStruct. */
  structure(name: string, json: Json, at: string, depth: number): { hash: Uint8Array; values: ArgumentValue[] } {
    if (depth > maxDepth) throw refused(at, `structures and lists lie deeper than ${maxDepth}`)
    const members = this.#types.get(name) ?? []
    const object = objectOf(
      json,
      at,
      members.map((member) => member.name),
    )
    const encoded = members.map((member) =>
      this.#value(member.type, object[member.name] as Json, `${at}.${member.name}`, depth + 1),
    )
    return {
      hash: keccak256(wordsOf(encoded, this.#typeHash(name))),
      values: encoded.map((one) => one.value),
    }
  }

  /** EIP-712 §Definition of encodeData. */
  #value(type: string, json: Json, at: string, depth: number): Encoded {
    if (depth > maxDepth) throw refused(at, `structures and lists lie deeper than ${maxDepth}`)
    const bracket = type.lastIndexOf('[')
    if (bracket !== -1) return this.#list(type.slice(0, bracket), type.slice(bracket + 1, -1), json, at, depth)
    if (this.#types.has(type)) {
      const { hash, values } = this.structure(type, json, at, depth)
      return { word: hash, value: values }
    }
    return atomic(elementaryType(type) as AbiType, json, at)
  }

  #list(of: string, length: string, json: Json, at: string, depth: number): Encoded {
    if (!Array.isArray(json)) throw refused(at, 'expected a list')
    if (length !== '' && json.length !== Number(length))
      throw refused(at, `expected ${length} entries, got ${json.length}`)
    const encoded = (json as readonly Json[]).map((one, i) => this.#value(of, one, `${at}[${i}]`, depth + 1))
    return { word: keccak256(wordsOf(encoded)), value: encoded.map((one) => one.value) }
  }

  #typeHash(name: string): Uint8Array {
    const known = this.#typeHashes.get(name)
    if (known !== undefined) return known
    const hash = keccak256(utf8(this.encodeType(name)))
    this.#typeHashes.set(name, hash)
    return hash
  }

  #text(name: string): string {
    return `${name}(${(this.#types.get(name) ?? []).map((member) => `${member.type} ${member.name}`).join(',')})`
  }
}

/** The words one after the other, behind `first` if it is given. A list may have more than a call takes arguments. */
function wordsOf(encoded: readonly Encoded[], first?: Uint8Array): Uint8Array {
  const start = first === undefined ? 0 : 32
  const bytes = new Uint8Array(start + 32 * encoded.length)
  if (first !== undefined) bytes.set(first)
  for (const [i, { word }] of encoded.entries()) bytes.set(word, start + 32 * i)
  return bytes
}

function parseTypes(json: Json, domain: JsonObject): Types {
  const given = objectOf(json, 'message.types')
  const names = Object.keys(given)
  if (names.length > maxTypes) throw refused('message.types', `more than ${maxTypes} types`)
  const types = new Map<string, readonly Member[]>()
  for (const name of names) {
    const at = `message.types.${name.slice(0, 64)}`
    if (!/^[A-Za-z_$][A-Za-z0-9_$]{0,127}$/.test(name) || elementaryType(name) !== null)
      throw refused(at, 'not the name of a type')
    types.set(name, parseMembers(given[name] as Json, at))
  }
  if (!types.has('EIP712Domain'))
    types.set(
      'EIP712Domain',
      domainFields.filter(({ name }) => Object.hasOwn(domain, name)),
    )
  for (const { name, type } of types.get('EIP712Domain') ?? []) {
    if (!domainFields.some((known) => known.name === name && known.type === type))
      throw refused(`message.types.EIP712Domain.${name}`, 'a domain has no such field, or of another type')
  }
  for (const [name, members] of types) {
    for (const member of members) {
      const base = splitArray(member.type)?.base
      if (base === undefined || (elementaryType(base) === null && !types.has(base)))
        throw refused(`message.types.${name}.${member.name}`, 'its type is neither elementary nor one of the types')
    }
  }
  return types
}

function parseMembers(json: Json, at: string): readonly Member[] {
  if (!Array.isArray(json) || json.length > maxMembers)
    throw refused(at, `expected a list of at most ${maxMembers} fields`)
  const members = (json as readonly Json[]).map((one, i) => {
    const { name, type } = objectOf(one, `${at}[${i}]`, ['name', 'type'])
    if (typeof name !== 'string' || !/^[A-Za-z_$][A-Za-z0-9_$]{0,127}$/.test(name))
      throw refused(`${at}[${i}].name`, 'not the name of a field')
    if (typeof type !== 'string' || type.length > 256) throw refused(`${at}[${i}].type`, 'not a type')
    return { name, type }
  })
  if (new Set(members.map((member) => member.name)).size !== members.length) throw refused(at, 'a field is there twice')
  return members
}

function atomic(type: AbiType, json: Json, at: string): Encoded {
  switch (type.kind) {
    case 'uint':
    case 'int': {
      const value = integer(json, type.kind === 'int', type.bits)
      if (value === null)
        throw refused(
          at,
          `expected a whole number of ${type.kind}${type.bits}: decimal text, 0x hex, or a number below 2^53`,
        )
      return { word: word(value), value: value.toString() }
    }
    case 'bool':
      if (typeof json !== 'boolean') throw refused(at, 'expected true or false')
      return { word: word(json ? 1n : 0n), value: json }
    case 'address': {
      const address = typeof json === 'string' ? parseAddress(json) : null
      if (address === null)
        throw refused(at, 'expected an address: 0x and 40 hex digits, with the EIP-55 checksum if in mixed case')
      return { word: concat(new Uint8Array(12), addressBytes(address)), value: address }
    }
    case 'string':
      if (typeof json !== 'string' || !json.isWellFormed()) throw refused(at, 'expected text')
      return { word: keccak256(utf8(json)), value: json }
    default: {
      const bytes = typeof json === 'string' ? fromHex0x(json) : null
      if (bytes === null) throw refused(at, 'expected hex behind 0x')
      const value = hex0x(bytes)
      if (type.kind === 'bytes') return { word: keccak256(bytes), value }
      if (type.kind !== 'fixed_bytes' || bytes.length !== type.size)
        throw refused(at, 'it has another number of bytes than its type')
      return { word: concat(bytes, new Uint8Array(32 - bytes.length)), value }
    }
  }
}

function integer(json: Json, signed: boolean, bits: number): bigint | null {
  const isText = typeof json === 'string' && json.length <= 80 && /^(?:-?(?:0|[1-9][0-9]*)|0x[0-9a-fA-F]+)$/.test(json)
  if (!isText && !(typeof json === 'number' && Number.isSafeInteger(json))) return null
  const value = BigInt(json as string | number)
  const wrapped = signed ? BigInt.asIntN(bits, value) : BigInt.asUintN(bits, value)
  return wrapped === value ? value : null
}

/** The object that a value is, with exactly these names if they are given. */
function objectOf(json: Json | undefined, at: string, names?: readonly string[]): JsonObject {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw refused(at, 'expected an object')
  const object = json as JsonObject
  if (names !== undefined) {
    for (const name of Object.keys(object))
      if (!names.includes(name)) throw refused(`${at}.${name.slice(0, 64)}`, 'there is no such field')
    for (const name of names) if (!Object.hasOwn(object, name)) throw refused(`${at}.${name}`, 'it is missing')
  }
  return object
}

function refused(field: string, reason: string): ChainFault {
  return new ChainFault('message.malformed', { field, reason })
}
