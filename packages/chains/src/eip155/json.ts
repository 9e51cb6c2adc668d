import { equal } from '@popsigner/crypto/bytes'
import type { Json, JsonObject } from '../chain.ts'
import { ChainFault } from '../fault.ts'
import { kinds, malformed, parseQuantity, readSidecar } from './fields.ts'
import {
  absent,
  checkFields,
  type EvmTransaction,
  type Fields,
  fieldKinds,
  layouts,
  type TransactionType,
} from './transaction.ts'

/** Names under which clients write a field, beside its own. */
const otherNames: Readonly<Record<string, keyof Fields>> = { gasLimit: 'gas', input: 'data' }

/** Types by the names that viem has for them. */
const typeNames: Readonly<Record<string, TransactionType>> = {
  legacy: 0,
  eip2930: 1,
  eip1559: 2,
  eip4844: 3,
  eip7702: 4,
}

/** What may be absent: the rest decides what the transaction does or costs, and is not guessed. */
const optional: ReadonlySet<keyof Fields> = new Set(['chainId', 'to', 'value', 'data', 'accessList'])

/**
 * Reads an unsigned transaction as clients write it in JSON: the fields of `eth_sendTransaction` (`gas` or `gasLimit`, `data` or
 * `input`), numbers as 0x hex, decimal text or numbers below 2^53. `null` is as if it were not there. A field that is not
 * known, or that the type does not have, is refused. The type may be left out where the fields tell it; the chain id too,
 * and is then `chainId`. Answers the transaction and `from`, if it is there.
 */
export function parseJson(
  json: JsonObject,
  chainId: bigint,
): { readonly tx: EvmTransaction; readonly from: string | null } {
  const given = new Map(Object.entries(json).filter(([, value]) => value !== null))
  const type = takeType(given)
  const from = take(given, 'from')
  const sidecar = {
    blobs: take(given, 'blobs'),
    commitments: take(given, 'commitments'),
    proofs: take(given, 'proofs'),
  }
  const fields = checkFields(type, takeFields(given, type, chainId))
  const withBlobs = Object.values(sidecar).some((value) => value !== undefined)
  for (const name of given.keys()) throw unknownField(name, type)
  if (withBlobs && type !== 3) throw unknownField('blobs', type)
  const tx: EvmTransaction = {
    type,
    fields,
    signature: null,
    sidecar: withBlobs
      ? readSidecar(
          (name, kind) => kind.fromJson(sidecar[name] ?? [], `transaction.${name}`),
          versionOf(sidecar),
          fields.blobVersionedHashes,
        )
      : null,
  }
  return { tx, from: from === undefined ? null : kinds.address.fromJson(from, 'transaction.from') }
}

/** The fields as JSON, in the order of the type. */
export function detailsOf(tx: EvmTransaction): JsonObject {
  const names: (keyof Fields)[] = tx.type === 0 ? ['chainId', ...layouts[0]] : [...layouts[tx.type]]
  const fields = names.map((name) => [
    name,
    (fieldKinds[name] as { toJson(value: unknown): Json }).toJson(tx.fields[name]),
  ])
  return { type: tx.type, ...(Object.fromEntries(fields) as JsonObject) }
}

function takeType(given: Map<string, Json>): TransactionType {
  const written = take(given, 'type')
  if (written !== undefined) {
    const named = typeof written === 'string' && Object.hasOwn(typeNames, written) ? typeNames[written] : undefined
    const type = named ?? Number(parseQuantity(written, 'transaction.type'))
    if (!Object.hasOwn(layouts, type))
      throw new ChainFault('transaction.unsupported', { field: 'transaction.type', reason: 'known are types 0 to 4' })
    return type as TransactionType
  }
  if (given.has('authorizationList')) return 4
  if (given.has('blobVersionedHashes') || given.has('maxFeePerBlobGas')) return 3
  if (given.has('maxFeePerGas') || given.has('maxPriorityFeePerGas')) return 2
  if (given.has('gasPrice')) return given.has('accessList') ? 1 : 0
  throw malformed('transaction.maxFeePerGas', 'it is missing: give maxFeePerGas and maxPriorityFeePerGas, or gasPrice')
}

function takeFields(given: Map<string, Json>, type: TransactionType, chainId: bigint): Fields {
  const fields: Record<string, unknown> = { ...absent, chainId }
  const names: readonly (keyof Fields)[] = type === 0 ? ['chainId', ...layouts[0]] : layouts[type]
  for (const name of names) {
    const values = [name, ...Object.keys(otherNames).filter((other) => otherNames[other] === name)].flatMap(
      (written) => {
        const value = take(given, written)
        return value === undefined ? [] : [fieldKinds[name].fromJson(value, `transaction.${written}`)]
      },
    )
    const [value, again] = values
    if (again !== undefined && !isSame(value, again))
      throw malformed(`transaction.${name}`, 'it is there under two names that differ')
    if (value !== undefined) fields[name] = value
    else if (!optional.has(name)) throw malformed(`transaction.${name}`, 'it is missing')
  }
  const read = fields as unknown as Fields
  if (read.to === null && read.data.length === 0)
    throw malformed('transaction.to', 'it is missing, and there is no code to create a contract from')
  return read
}

function isSame(a: unknown, b: unknown): boolean {
  return a instanceof Uint8Array && b instanceof Uint8Array ? equal(a, b) : a === b
}

function versionOf({ blobs, proofs }: { readonly blobs: Json | undefined; readonly proofs: Json | undefined }): 0 | 1 {
  return Array.isArray(blobs) && Array.isArray(proofs) && proofs.length !== blobs.length ? 1 : 0
}

function take(given: Map<string, Json>, name: string): Json | undefined {
  const value = given.get(name)
  given.delete(name)
  return value
}

function unknownField(name: string, type: TransactionType): ChainFault {
  const signed = ['r', 's', 'v', 'yParity', 'hash', 'signature', 'sig'].includes(name)
  return new ChainFault('transaction.unsupported', {
    field: `transaction.${name.slice(0, 64)}`,
    reason: signed ? 'give a signed transaction as 0x hex' : `a transaction of type ${type} has no such field`,
  })
}
