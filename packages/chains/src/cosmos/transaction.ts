import { isCosmosPrefix } from '@popsigner/crypto/address'
import { base64, fromBase64, utf8 } from '@popsigner/crypto/bytes'
import { sha256 } from '@popsigner/crypto/hash'
import type { Blob } from '../celestia/commitment.ts'
import type { Context, JsonObject, Network } from '../chain.ts'
import { ChainFault } from '../fault.ts'
import { decodeAddress } from './address.ts'
import { parseSortedJson, sortedJson, sortedJsonBytes } from './amino-json.ts'
import { blobTx, checkBlobs } from './blobs.ts'
import {
  amino,
  authInfoShape,
  type Body,
  bodyShape,
  type CosmosFee,
  direct,
  maxChainIdLength,
  signDocShape,
  stdSignDocShape,
  txRawShape,
} from './envelope.ts'
import { prefixOf, referenceOf } from './network.ts'
import { malformed, unsupported } from './refuse.ts'
import { readShape, shapeFromAmino, shapeToAmino, writeShape } from './shape.ts'
import { expectedSigners, isFilled, readSlots, type Slot, writeSignatures, writeSlots } from './signers.ts'
import { readFields } from './wire.ts'

/** A transaction without its blobs may have so many bytes. Nodes take less (x/auth, TxSizeCostPerByte). */
const maxBytes = 256 * 1024

/** Which of three documents it was given as, or has become: both `sign_doc` and `amino` become `tx_raw` once signed. */
type Form = 'sign_doc' | 'amino' | 'tx_raw'

export interface CosmosTx {
  readonly form: Form
  readonly network: Network
  /** How addresses begin there. */
  readonly prefix: string
  /** `undefined` where neither the document nor the network's id tells. */
  readonly chainId: string | undefined
  /** Of the account of whoever signs next. */
  readonly accountNumber: bigint | undefined
  readonly body: Body
  readonly fee: CosmosFee
  readonly slots: readonly Slot[]
  readonly blobs: readonly Blob[] | undefined
  /** Whether the blobs go into its bytes: once it was signed here. */
  readonly withBlobs: boolean
}

const root = { path: 'transaction', depth: 0 }

/** Reads base64 of a SignDoc, a StdSignDoc or a TxRaw, or a StdSignDoc as JSON. */
export function parseTransaction(given: string | JsonObject, network: Network, context: Context): CosmosTx {
  checkNames(context)
  if (typeof given !== 'string') return readStdSignDoc(utf8(sortedJson(given)), network, context)
  if (given.length > (maxBytes / 3) * 4 + 4)
    throw new ChainFault('transaction.too_large', { field: 'transaction', limit: maxBytes })
  let bytes: Uint8Array
  try {
    bytes = fromBase64(given)
  } catch {
    throw malformed('transaction', 'must be base64 with padding')
  }
  if (bytes.length === 0) throw malformed('transaction', 'is empty')
  // No protobuf message begins with 0x7b: it would be a group, which none of them has.
  if (bytes[0] === 0x7b) return readStdSignDoc(bytes, network, context)
  return isSignDoc(bytes) ? readSignDoc(bytes, network, context) : readTxRaw(bytes, network, context)
}

/** The transaction's bytes: as they were read, or TxRaw once it was signed, with its blobs around it where they were given. */
export function serializeTransaction(tx: CosmosTx): Uint8Array {
  if (tx.form === 'amino') return sortedJsonBytes(stdSignDoc(tx, tx.slots[0] as Slot))
  if (tx.form === 'sign_doc') return signDoc(tx)
  const raw = txRaw(tx)
  return tx.withBlobs && tx.blobs !== undefined && isComplete(tx) ? blobTx(raw, tx.blobs) : raw
}

/** TxRaw, whose hash is the transaction's. */
export function txRaw(tx: CosmosTx): Uint8Array {
  return writeShape(txRawShape, { ...inner(tx), signatures: writeSignatures(tx.slots) })
}

/** Whether no signature is missing. */
export function isComplete(tx: CosmosTx): boolean {
  return tx.form === 'tx_raw' && tx.slots.every(isFilled)
}

/** SHA-256 of what a slot signs, under its mode. */
export function digestOf(tx: CosmosTx, slot: Slot): Uint8Array {
  if (tx.accountNumber === undefined)
    throw contextFault('context.account_number', 'is needed: a transaction that carries signatures does not tell it')
  return sha256(slot.mode === direct ? signDoc(tx) : sortedJsonBytes(stdSignDoc(tx, slot)))
}

function readSignDoc(bytes: Uint8Array, network: Network, context: Context): CosmosTx {
  const doc = readShape(signDocShape, bytes, root)
  if (context.account_number !== undefined && context.account_number !== String(doc.account_number))
    throw contextFault('context.account_number', `must be ${doc.account_number}, as the transaction says`)
  checkChainId(doc.chain_id, network)
  return readInner(
    doc,
    { form: 'sign_doc', chainId: doc.chain_id, accountNumber: doc.account_number },
    network,
    context,
  )
}

function readTxRaw(bytes: Uint8Array, network: Network, context: Context): CosmosTx {
  const raw = readShape(txRawShape, bytes, root)
  const accountNumber = context.account_number
  if (
    accountNumber !== undefined &&
    (!/^(0|[1-9][0-9]{0,19})$/.test(accountNumber) || BigInt(accountNumber) >= 1n << 64n)
  )
    throw contextFault('context.account_number', 'must be a whole number as text')
  const known = {
    form: 'tx_raw' as const,
    chainId: network.reference.startsWith('hashed-') ? undefined : network.reference,
    accountNumber: accountNumber === undefined ? undefined : BigInt(accountNumber),
  }
  return readInner(raw, known, network, context, raw.signatures)
}

function readInner(
  bytes: { readonly body_bytes: Uint8Array; readonly auth_info_bytes: Uint8Array },
  known: Pick<CosmosTx, 'form' | 'chainId' | 'accountNumber'>,
  network: Network,
  context: Context,
  signatures?: readonly Uint8Array[],
): CosmosTx {
  const body = readShape(bodyShape, bytes.body_bytes, { path: 'transaction.body', depth: 1 })
  const auth = readShape(authInfoShape, bytes.auth_info_bytes, { path: 'transaction.auth_info', depth: 1 })
  const given = signatures ?? auth.signer_infos.map(() => new Uint8Array())
  if (given.length !== auth.signer_infos.length)
    throw malformed(
      'transaction.signatures',
      `must have ${auth.signer_infos.length} entries, empty where one is missing`,
    )
  const prefix = readPrefix(body, network, context)
  const slots = readSlots(auth.signer_infos, given, expectedSigners(body, auth.fee.payer, prefix), prefix)
  return { ...known, network, prefix, body, slots, ...rest(body, auth.fee, context) }
}

function readStdSignDoc(bytes: Uint8Array, network: Network, context: Context): CosmosTx {
  if (bytes.length > maxBytes) throw new ChainFault('transaction.too_large', { field: 'transaction', limit: maxBytes })
  const json = parseSortedJson(bytes)
  const doc = shapeFromAmino(stdSignDocShape, json, root)
  if (sortedJson(shapeToAmino(stdSignDocShape, doc, 'sign')) !== sortedJson(json))
    throw malformed(
      'transaction',
      'writes a field as the SDK would not: one with its default, or a number in another spelling',
    )
  checkChainId(doc.chain_id, network)
  if (context.account_number !== undefined && context.account_number !== String(doc.account_number))
    throw contextFault('context.account_number', `must be ${doc.account_number}, as the transaction says`)
  const body = { messages: doc.msgs, memo: doc.memo, timeout_height: doc.timeout_height }
  const prefix = readPrefix(body, network, context)
  const { gas: gas_limit, ...fee } = doc.fee
  // All messages of an amino document are understood, so they name all signers.
  const signers = expectedSigners(body, fee.payer, prefix) as readonly string[]
  return {
    form: 'amino',
    network,
    prefix,
    chainId: doc.chain_id,
    accountNumber: doc.account_number,
    body,
    slots: signers.map((address) => ({
      address,
      publicKey: undefined,
      keys: [],
      threshold: null,
      mode: amino,
      sequence: doc.sequence,
      signatures: [undefined],
    })),
    ...rest(body, { ...fee, gas_limit }, context),
  }
}

function rest(body: Body, fee: CosmosFee, context: Context): Pick<CosmosTx, 'fee' | 'blobs' | 'withBlobs'> {
  if (fee.amount.length > 1) throw unsupported('transaction.fee.amount', 'must be in one coin')
  return { fee, blobs: context.blobs && checkBlobs(context.blobs, body), withBlobs: false }
}

/**
 * Both have two fields of bytes and a third. A chain id has at most 50 bytes and is there once; a signature is empty or longer, and
 * an account number follows none.
 */
function isSignDoc(bytes: Uint8Array): boolean {
  const fields = readFields(bytes, 'transaction')
  const third = fields.filter(({ number }) => number === 3).map(({ payload }) => payload)
  if (fields.some(({ number }) => number === 4)) return true
  const [only] = third
  return third.length === 1 && only instanceof Uint8Array && only.length > 0 && only.length <= maxChainIdLength
}

function checkChainId(chainId: string, network: Network): void {
  if (referenceOf(chainId) !== network.reference)
    throw new ChainFault('transaction.chain_mismatch', {
      expected: network.id,
      found: `cosmos:${referenceOf(chainId)}`,
    })
}

function readPrefix(body: Body, network: Network, context: Context): string {
  const { address_prefix: addressPrefix } = context
  if (addressPrefix !== undefined && !isCosmosPrefix(addressPrefix))
    throw contextFault('context.address_prefix', 'must be lower-case letters and digits, a letter first')
  const known = prefixOf(network)
  if (known !== undefined) {
    if (addressPrefix !== undefined && addressPrefix !== known)
      throw contextFault('context.address_prefix', `must be ${known} on ${network.id}`)
    return known
  }
  if (addressPrefix !== undefined) return addressPrefix
  for (const { known: one } of body.messages) {
    const [signer] = one === undefined ? [] : one.type.signers(one.value)
    if (signer !== undefined) return decodeAddress(signer).prefix.replace(/valoper$/, '')
  }
  throw contextFault('context.address_prefix', `is needed: how addresses begin on ${network.id} is not known here`)
}

function inner(tx: CosmosTx): { body_bytes: Uint8Array; auth_info_bytes: Uint8Array } {
  return {
    body_bytes: writeShape(bodyShape, tx.body),
    auth_info_bytes: writeShape(authInfoShape, { signer_infos: writeSlots(tx.slots), fee: tx.fee }),
  }
}

function signDoc(tx: CosmosTx): Uint8Array {
  return writeShape(signDocShape, {
    ...inner(tx),
    chain_id: chainIdOf(tx),
    account_number: tx.accountNumber as bigint,
  })
}

function stdSignDoc(tx: CosmosTx, slot: Slot): JsonObject {
  const { gas_limit: gas, ...fee } = tx.fee
  const doc = {
    account_number: tx.accountNumber as bigint,
    chain_id: chainIdOf(tx),
    fee: { ...fee, gas },
    memo: tx.body.memo,
    msgs: tx.body.messages,
    sequence: slot.sequence,
    timeout_height: tx.body.timeout_height,
  }
  return shapeToAmino(stdSignDocShape, doc, 'sign')
}

function chainIdOf(tx: CosmosTx): string {
  if (tx.chainId === undefined)
    throw unsupported(
      'transaction',
      'must be a SignDoc on a network whose CAIP-2 id is a hash: the chain id is part of what is signed',
    )
  return tx.chainId
}

function checkNames({ signer, account_number, address_prefix, blobs, ...rest }: Context): void {
  for (const [name, value] of Object.entries(rest))
    if (value !== undefined) throw contextFault(`context.${name}`, 'is not for Cosmos chains')
}

function contextFault(field: string, reason: string): ChainFault {
  return new ChainFault('context.malformed', { field, reason })
}

/** Base64 of the transaction's bytes. */
export function encodeTransaction(tx: CosmosTx): string {
  return base64(serializeTransaction(tx))
}
