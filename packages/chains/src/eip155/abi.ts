import { checksumAddress } from '@popsigner/crypto/address'
import { fromUtf8 } from '@popsigner/crypto/bytes'
import type { ArgumentValue } from '../effect.ts'
import type { AbiParameter, AbiType } from './abi-type.ts'
import { hex0x, toBigInt } from './bytes.ts'

/**
 * Decodes arguments that are exactly what an encoder of the ABI writes: heads, then tails in order without gaps, padding of
 * zeros, nothing behind. `null` for all other bytes, which a contract may still read as something. Each byte
 * is read once, so the work is bounded by their number.
 */
export function decodeArguments(types: readonly AbiType[], data: Uint8Array): readonly ArgumentValue[] | null {
  try {
    const { values, end } = decodeSequence((i) => types[i] as AbiType, types.length, data, 0)
    return end === data.length ? values : null
  } catch (error) {
    if (error instanceof NotCanonical) return null
    throw error
  }
}

/** The types of parameters. */
export function typesOf(parameters: readonly AbiParameter[]): readonly AbiType[] {
  return parameters.map(({ type }) => type)
}

/** Types that take one word, in place. */
type WordType = Extract<AbiType, { kind: 'uint' | 'int' | 'fixed_bytes' }> | { readonly kind: 'address' | 'bool' }

class NotCanonical extends Error {}

/** Values that lie one after the other from `start`: each in the head, or in the tail that the head points to. */
function decodeSequence(
  typeAt: (i: number) => AbiType,
  count: number,
  data: Uint8Array,
  start: number,
): { values: ArgumentValue[]; end: number } {
  let head = 0
  for (let i = 0; i < count && head <= data.length; i++) head += headLength(typeAt(i))
  if (head > data.length - start) throw new NotCanonical()
  let tail = head
  let at = start
  const values: ArgumentValue[] = []
  for (let i = 0; i < count; i++) {
    const type = typeAt(i)
    if (isDynamic(type)) {
      if (readNumber(data, at) !== tail) throw new NotCanonical()
      const { value, end } = decodeValue(type, data, start + tail)
      values.push(value)
      tail = end - start
      at += 32
    } else {
      const { value, end } = decodeValue(type, data, at)
      values.push(value)
      at = end
    }
  }
  return { values, end: start + tail }
}

function decodeValue(type: AbiType, data: Uint8Array, at: number): { value: ArgumentValue; end: number } {
  switch (type.kind) {
    case 'array': {
      const start = type.length === null ? at + 32 : at
      const count = type.length ?? readNumber(data, at)
      // Every element takes 32 bytes at least, so a count that cannot be there is found before anything is made for it.
      if (count > (data.length - start) / 32) throw new NotCanonical()
      const { values, end } = decodeSequence(() => type.of, count, data, start)
      return { value: values, end }
    }
    case 'tuple': {
      const { values, end } = decodeSequence((i) => (type.fields[i] as AbiParameter).type, type.fields.length, data, at)
      return { value: values, end }
    }
    case 'bytes':
    case 'string': {
      const length = readNumber(data, at)
      const end = at + 32 + Math.ceil(length / 32) * 32
      if (end > data.length) throw new NotCanonical()
      const bytes = data.subarray(at + 32, at + 32 + length)
      requireZeros(data, at + 32 + length, end)
      return { value: type.kind === 'string' ? text(bytes) : hex0x(bytes), end }
    }
    default:
      return { value: decodeWord(type as WordType, wordAt(data, at)), end: at + 32 }
  }
}

function decodeWord(type: WordType, word: Uint8Array): ArgumentValue {
  const number = toBigInt(word)
  switch (type.kind) {
    case 'uint':
      if (BigInt.asUintN(type.bits, number) !== number) throw new NotCanonical()
      return number.toString()
    case 'int': {
      const signed = BigInt.asIntN(256, number)
      if (BigInt.asIntN(type.bits, signed) !== signed) throw new NotCanonical()
      return signed.toString()
    }
    case 'bool':
      if (number > 1n) throw new NotCanonical()
      return number === 1n
    case 'address':
      requireZeros(word, 0, 12)
      return checksumAddress(word.subarray(12))
    case 'fixed_bytes':
      requireZeros(word, type.size, 32)
      return hex0x(word.subarray(0, type.size))
  }
}

function headLength(type: AbiType): number {
  if (isDynamic(type)) return 32
  if (type.kind === 'array') return (type.length as number) * headLength(type.of)
  if (type.kind === 'tuple') return type.fields.reduce((length, field) => length + headLength(field.type), 0)
  return 32
}

function isDynamic(type: AbiType): boolean {
  if (type.kind === 'bytes' || type.kind === 'string') return true
  if (type.kind === 'array') return type.length === null || isDynamic(type.of)
  return type.kind === 'tuple' && type.fields.some((field) => isDynamic(field.type))
}

function wordAt(data: Uint8Array, at: number): Uint8Array {
  if (at + 32 > data.length) throw new NotCanonical()
  return data.subarray(at, at + 32)
}

/** A length or an offset. What is past the data is refused before it is a number that is not exact. */
function readNumber(data: Uint8Array, at: number): number {
  const word = wordAt(data, at)
  requireZeros(word, 0, 28)
  const number =
    ((word[28] as number) << 24) | ((word[29] as number) << 16) | ((word[30] as number) << 8) | (word[31] as number)
  if (number < 0 || number > data.length) throw new NotCanonical()
  return number
}

function requireZeros(data: Uint8Array, from: number, to: number): void {
  for (let i = from; i < to; i++) if (data[i] !== 0) throw new NotCanonical()
}

function text(bytes: Uint8Array): string {
  try {
    return fromUtf8(bytes)
  } catch {
    throw new NotCanonical()
  }
}
