import { hex, utf8 } from '@popsigner/crypto/bytes'
import { keccak256 } from '@popsigner/crypto/hash'
import type { Json } from '../chain.ts'
import { ChainFault } from '../fault.ts'
import { type AbiParameter, parseParameters, typeText } from './abi-type.ts'

/** A function of a contract. */
export interface AbiFunction {
  /** `transfer(address,uint256)` */
  readonly signature: string
  readonly parameters: readonly AbiParameter[]
}

/** Functions by selector: 8 lower-case hex digits. */
export type FunctionTable = ReadonlyMap<string, AbiFunction>

/** Functions, events and errors that one ABI may have. */
const maxEntries = 2_048

/** The selector of a signature: the first four bytes of its Keccak-256, as 8 hex digits. */
export function selectorOf(signature: string): string {
  return hex(keccak256(utf8(signature)).subarray(0, 4))
}

/**
 * The functions of a JSON ABI as compilers write it; what is no function is passed over. `context.malformed` naming the entry
 * that is none, and where two functions have one selector, since it could then mean either.
 */
export function parseAbi(abi: readonly Json[]): FunctionTable {
  if (abi.length > maxEntries) throw refused('context.abi', `more than ${maxEntries} entries`)
  const table = new Map<string, AbiFunction>()
  for (const [i, entry] of abi.entries()) {
    const at = `context.abi[${i}]`
    if (typeof entry !== 'object' || entry === null) throw refused(at, 'expected an object')
    const { type, name, inputs } = entry as { type?: unknown; name?: unknown; inputs?: unknown }
    if (typeof type !== 'string') throw refused(`${at}.type`, 'expected text')
    if (type !== 'function') continue
    if (typeof name !== 'string' || !/^[A-Za-z_$][A-Za-z0-9_$]{0,127}$/.test(name))
      throw refused(`${at}.name`, 'not the name of a function')
    const parameters = parseParameters(inputs, `${at}.inputs`)
    if (typeof parameters === 'string') throw refused(at, parameters)
    const signature = `${name}(${parameters.map((one) => typeText(one.type)).join(',')})`
    const selector = selectorOf(signature)
    const other = table.get(selector)
    if (other !== undefined && other.signature !== signature)
      throw refused(at, `${signature} and ${other.signature} have the same selector`)
    table.set(selector, { signature, parameters })
  }
  return table
}

function refused(field: string, reason: string): ChainFault {
  return new ChainFault('context.malformed', { field, reason })
}
