import { concat, fromUtf8, hex, utf8 } from '@popsigner/crypto/bytes'
import { canonicalJson } from '@popsigner/crypto/canonical-json'
import { keccak256, sha256 } from '@popsigner/crypto/hash'
import type { Json, Network, PreparedMessage, Warning } from '../chain.ts'
import type { Account, Effect, SignedMessage } from '../effect.ts'
import { ChainFault } from '../fault.ts'
import { fromHex0x, hex0x } from './bytes.ts'
import { opaque, type Reading, readSafeOrder } from './call.ts'
import type { FunctionTable } from './contract-abi.ts'
import { authorizationHash, readDelegation } from './effects.ts'
import { kinds } from './fields.ts'
import { safeOrder, safeTxType } from './safe.ts'
import { allow, erc20, transfer } from './tokens.ts'
import { parseTypedData, type TypedData } from './typed-data.ts'

/** What is to be signed of a message, and what it means. */
export type ReadMessage = Omit<PreparedMessage, 'encode'>

/** Whose message it is and where. */
interface Site {
  readonly network: Network
  readonly signer: Account
  readonly abi: FunctionTable
}

/** The most bytes a message may have. */
const maxBytes = 131_072

/** Types whose signature is the deed itself, by `encodeType`. */
const permitType = 'Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)'
const authorizedTransfer =
  'WithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)'

/** How a message is read under each convention. */
export const conventions: Readonly<Record<string, (message: Json, site: Site) => ReadMessage>> = {
  eip191: readPersonal,
  eip712: readTyped,
  eip7702: readAuthorization,
}

/** EIP-191 version 0x45 (`personal_sign`): text, or `{"raw": "0x…"}` for bytes. */
function readPersonal(message: Json, { signer }: Site): ReadMessage {
  const data = bounded(personalBytes(message))
  const prefix = utf8(`\x19Ethereum Signed Message:\n${data.length}`)
  const text = readable(data)
  const effects: Effect[] = [said('eip191', signer, data, text)]
  if (text === null) effects.push(opaque('message', 'it is no text that a person can read', null, data))
  return { data, toSign: { digest: keccak256(concat(prefix, data)) }, effects, warnings: [] }
}

function personalBytes(message: Json): Uint8Array {
  if (typeof message === 'string' && message.isWellFormed()) return utf8(message)
  const raw =
    typeof message === 'object' && message !== null && Object.keys(message).join() === 'raw'
      ? (message as { raw?: Json }).raw
      : null
  const bytes = typeof raw === 'string' ? fromHex0x(raw) : null
  if (bytes === null) throw refused('message', 'expected text, or {"raw": "0x…"} for bytes')
  return bytes
}

function readTyped(message: Json, { network, signer, abi }: Site): ReadMessage {
  const data = bounded(canonicalBytes(message))
  const typed = parseTypedData(message)
  const { name, version, chainId, verifyingContract } = typed.domain
  if (chainId !== undefined && chainId !== network.reference)
    throw new ChainFault('message.mismatch', {
      field: 'message.domain.chainId',
      expected: network.reference,
      found: chainId,
    })
  const meaning = meaningOf(typed, network.id, data, abi)
  const unbound: Warning[] =
    chainId === undefined
      ? [
          {
            code: 'typed_data.every_network',
            text: 'The domain has no chain id: the signature may be valid on other networks too.',
          },
        ]
      : []
  const effect: SignedMessage = {
    ...said('eip712', signer, data, canonicalJson((message as { message: Json }).message)),
    type: typed.primaryType,
    domain: {
      ...(name === undefined ? {} : { name }),
      ...(version === undefined ? {} : { version }),
      ...(chainId === undefined ? {} : { chain: network.id }),
      ...(verifyingContract === undefined ? {} : { contract: verifyingContract }),
    },
  }
  return {
    data,
    toSign: { digest: typed.digest },
    effects: [effect, ...meaning.effects],
    warnings: [...unbound, ...meaning.warnings],
  }
}

/** What the contract in the domain takes the signature for, where the type is known to the last field. */
function meaningOf(
  { encodedType, domain, values, primaryType }: TypedData,
  network: string,
  data: Uint8Array,
  abi: FunctionTable,
): Reading {
  const contract = domain['verifyingContract']
  if (contract !== undefined) {
    const asset = erc20({ network, contract })
    const [first, second, third, , fifth] = values as readonly string[]
    if (encodedType === permitType)
      return { effects: [allow(asset, first as string, second, third as string, fifth)], warnings: [] }
    if (encodedType === `Transfer${authorizedTransfer}` || encodedType === `Receive${authorizedTransfer}`)
      return { effects: [transfer(asset, first as string, second, third)], warnings: [] }
    const order = encodedType === safeTxType ? safeOrder(values) : null
    if (order !== null) return readSafeOrder(contract, network, order, abi, 0)
  }
  const why = `what a contract does on a signed ${primaryType} of this form is not known here`
  return { effects: [opaque('typed data', why, contract ?? null, data)], warnings: [] }
}

/** EIP-7702: `{"chainId", "address", "nonce"}`. */
function readAuthorization(message: Json, { network, signer }: Site): ReadMessage {
  const data = bounded(canonicalBytes(message))
  const object =
    typeof message === 'object' && message !== null && !Array.isArray(message)
      ? (message as Record<string, Json>)
      : null
  if (object === null || Object.keys(object).sort().join() !== 'address,chainId,nonce')
    throw refused('message', 'expected {"chainId", "address", "nonce"}')
  const authorization = asMessage(() => ({
    chainId: kinds.chainId.fromJson(object['chainId'] as Json, 'message.chainId'),
    address: kinds.address.fromJson(object['address'] as Json, 'message.address'),
    nonce: kinds.nonce.fromJson(object['nonce'] as Json, 'message.nonce'),
  }))
  const { chainId } = authorization
  if (chainId !== 0n && chainId.toString() !== network.reference)
    throw new ChainFault('message.mismatch', {
      field: 'message.chainId',
      expected: network.reference,
      found: chainId.toString(),
    })
  return { data, toSign: { digest: authorizationHash(authorization) }, ...readDelegation(authorization, signer) }
}

/** Fields of transactions are read here for a message: the refusal says so. */
function asMessage<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof ChainFault && error.code === 'transaction.malformed')
      throw new ChainFault('message.malformed', error.detail as { field: string; reason: string })
    throw error
  }
}

function said(convention: string, signer: Account, data: Uint8Array, text: string | null): SignedMessage {
  return { kind: 'message', signer, convention, text, hash: hex(sha256(data)) }
}

/** The text of bytes that are UTF-8 without control characters but line ends and tabs; `null` for others. */
function readable(data: Uint8Array): string | null {
  try {
    const text = fromUtf8(data)
    return /[^\P{Cc}\t\n\r]/u.test(text) ? null : text
  } catch {
    return null
  }
}

function canonicalBytes(message: Json): Uint8Array {
  try {
    return utf8(canonicalJson(message))
  } catch {
    throw refused('message', 'it is nested too deep, or has text that is not well-formed')
  }
}

function bounded(data: Uint8Array): Uint8Array {
  if (data.length > maxBytes) throw new ChainFault('transaction.too_large', { field: 'message', limit: maxBytes })
  return data
}

function refused(field: string, reason: string): ChainFault {
  return new ChainFault('message.malformed', { field, reason })
}

/** A signature as `ecrecover` and wallets take it: R, S, then 27 or 28; 65 bytes of hex. */
export function encodeSignature(signature: Uint8Array, recovery: number | undefined): string {
  if (signature.length !== 64 || (recovery !== 0 && recovery !== 1))
    throw new RangeError('signature: expected 64 bytes and a recovery id of 0 or 1')
  return hex0x(concat(signature, Uint8Array.of(27 + recovery)))
}
