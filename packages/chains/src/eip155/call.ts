import { fromHex, hex } from '@popsigner/crypto/bytes'
import { sha256 } from '@popsigner/crypto/hash'
import type { Warning } from '../chain.ts'
import type { Argument, ArgumentValue, Effect, Opaque } from '../effect.ts'
import { decodeArguments, typesOf } from './abi.ts'
import { typeText } from './abi-type.ts'
import { hex0x } from './bytes.ts'
import type { AbiFunction, FunctionTable } from './contract-abi.ts'
import { nativeAsset } from './native.ts'
import { execTransaction, execTransactionSelector, type SafeOrder, safeOrder } from './safe.ts'
import { type CallSite, standardFunctions, transfer } from './tokens.ts'

/** Effects and warnings, in order. */
export interface Reading {
  readonly effects: readonly Effect[]
  readonly warnings: readonly Warning[]
}

/** A call as it is made: by an account, or by a Safe in an order within an order. */
export interface CallInput extends CallSite {
  readonly value: bigint
  readonly data: Uint8Array
  /** The code runs as the caller itself (DELEGATECALL). */
  readonly delegate: boolean
}

/** How many orders may lie in one another: a Safe that owns a Safe is found in practice, more is not. */
const maxOrders = 4

/**
 * What a call does. Without data it moves value and nothing else. Otherwise it is a `call`, a `transfer` of its value if that is not
 * zero, and what the function is known to do: by the token standards first, by the caller's ABI only where they do not know it.
 * Calldata that neither explains to the last byte is `opaque` beside the call.
 */
export function readCall(input: CallInput, abi: FunctionTable, depth = 0): Reading {
  const { network, from, contract, value, data, delegate } = input
  const asset = nativeAsset(network)
  const moved = value > 0n && !delegate ? [transfer(asset, from, contract, value.toString())] : []
  if (data.length === 0 && !delegate)
    return { effects: [transfer(asset, from, contract, value.toString())], warnings: [] }
  const known = delegate ? null : knownFunction(input, abi, depth)
  const called: Effect = {
    kind: 'call',
    from,
    contract,
    value: delegate ? '0' : value.toString(),
    selector: data.length < 4 ? null : hex0x(data.subarray(0, 4)),
    function: known?.function.signature ?? null,
    arguments: known?.arguments ?? null,
    known_by: known?.knownBy ?? null,
    delegate,
  }
  const rest = known ?? { effects: [opaqueCall(input, abi)], warnings: [] }
  return { effects: [...moved, called, ...rest.effects], warnings: rest.warnings }
}

/** What a Safe does under an order of its owners: the inner call with the Safe as the actor, and what it pays back for gas. */
export function readSafeOrder(
  safe: string,
  network: string,
  order: SafeOrder,
  abi: FunctionTable,
  depth: number,
): Reading {
  const inner = readCall(
    {
      network,
      from: safe,
      contract: order.to,
      value: order.value,
      data: fromHex(order.data.slice(2)),
      delegate: order.delegate,
    },
    abi,
    depth,
  )
  const warnings: Warning[] = order.delegate
    ? [
        {
          code: 'safe.delegate_call',
          text: `The Safe ${safe} runs the code of ${order.to} as itself: it can take everything, and the Safe over.`,
        },
      ]
    : []
  const refund: Effect[] =
    order.gasPrice === 0n
      ? []
      : [
          opaque(
            'gas refund',
            'the Safe pays for the gas that was used, at a price in the order',
            order.gasToken,
            new Uint8Array(0),
          ),
        ]
  return { effects: [...inner.effects, ...refund], warnings: [...warnings, ...inner.warnings] }
}

/** Something that is not understood, with SHA-256 of its bytes. */
export function opaque(what: string, why: string, subject: string | null, bytes: Uint8Array): Opaque {
  return { kind: 'opaque', what, why, subject, hash: hex(sha256(bytes)) }
}

interface Known extends Reading {
  readonly function: AbiFunction
  readonly arguments: readonly Argument[]
  readonly knownBy: 'standard' | 'caller'
}

function knownFunction(input: CallInput, abi: FunctionTable, depth: number): Known | null {
  const { data, network, contract } = input
  if (data.length < 4) return null
  const selector = hex(data.subarray(0, 4))
  if (selector === execTransactionSelector) {
    const read = decode(execTransaction, data)
    const order = read && depth < maxOrders ? safeOrder(read.values) : null
    return read && order && { ...read, ...readSafeOrder(contract, network, order, abi, depth + 1), knownBy: 'standard' }
  }
  const standard = standardFunctions.get(selector)
  if (standard !== undefined) {
    const read = decode(standard, data)
    const meaning = read && standard.mean(input, read.values)
    return read && meaning && { ...read, ...meaning, knownBy: 'standard' }
  }
  const claimed = abi.get(selector)
  const read = claimed === undefined ? null : decode(claimed, data)
  return read && { ...read, effects: [], warnings: [], knownBy: 'caller' }
}

function decode(
  fn: AbiFunction,
  data: Uint8Array,
): { function: AbiFunction; arguments: Argument[]; values: readonly ArgumentValue[] } | null {
  const values = decodeArguments(typesOf(fn.parameters), data.subarray(4))
  if (values === null) return null
  return { function: fn, values, arguments: argumentsOf(fn.parameters, values) }
}

/** Values with the names and types of their parameters. */
function argumentsOf(parameters: AbiFunction['parameters'], values: readonly ArgumentValue[]): Argument[] {
  return parameters.map(({ name, type }, i) => ({ name, type: typeText(type), value: values[i] as ArgumentValue }))
}

function opaqueCall({ data, contract, delegate }: CallInput, abi: FunctionTable): Effect {
  if (delegate) return opaque('delegate call', 'foreign code runs as the account itself', contract, data)
  if (data.length < 4) return opaque('calldata', 'it is shorter than a selector', contract, data)
  const selector = hex(data.subarray(0, 4))
  const known = selector === execTransactionSelector || standardFunctions.has(selector) || abi.has(selector)
  const why = known
    ? `the bytes behind the selector 0x${selector} are not what its function takes`
    : `the function 0x${selector} is of no standard that is known here, and no ABI was given that has it`
  return opaque('calldata', why, contract, data)
}
