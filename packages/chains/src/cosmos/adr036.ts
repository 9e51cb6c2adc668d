import { base64, fromBase64, fromUtf8, hex, utf8 } from '@popsigner/crypto/bytes'
import { sha256 } from '@popsigner/crypto/hash'
import type { Context, Json, Network, PreparedMessage } from '../chain.ts'
import type { Effect } from '../effect.ts'
import { ChainFault } from '../fault.ts'
import { encodeAddress } from './address.ts'
import { sortedJsonBytes } from './amino-json.ts'
import { prefixOf } from './network.ts'
import { accountOf } from './signers.ts'

/** More is a file, not a message. */
const maxBytes = 64 * 1024

/**
 * An arbitrary message under ADR-036: text, or `{"raw": base64}` for bytes. What is signed is an amino document without chain, fee and
 * sequence, whose only message no chain executes, so that the signature can never be that of a transaction. The signature is base64.
 */
export function adr036(message: Json, network: Network, context: Context): PreparedMessage {
  const { signer } = context
  if (signer?.algorithm !== 'secp256k1')
    throw new ChainFault('context.malformed', {
      field: 'context.signer',
      reason: 'must be a secp256k1 key: it is part of what is signed',
    })
  const prefix = prefixOf(network) ?? context.address_prefix
  if (prefix === undefined)
    throw new ChainFault('context.malformed', {
      field: 'context.address_prefix',
      reason: `is needed: how addresses begin on ${network.id} is not known here`,
    })
  const data = readMessage(message)
  const address = encodeAddress(accountOf(signer.publicKey), prefix)
  const document = {
    account_number: '0',
    chain_id: '',
    fee: { amount: [], gas: '0' },
    memo: '',
    msgs: [{ type: 'sign/MsgSignData', value: { data: base64(data), signer: address } }],
    sequence: '0',
  }
  return {
    data,
    toSign: { digest: sha256(sortedJsonBytes(document)), signMode: 'amino' },
    effects: effectsOf(data, address),
    warnings: [],
    encode: ({ signature }) => base64(signature),
  }
}

function effectsOf(data: Uint8Array, signer: string): readonly Effect[] {
  const text = textOf(data)
  const hash = `0x${hex(sha256(data))}`
  const said: Effect = { kind: 'message', signer, convention: 'adr036', text, hash }
  if (text !== null) return [said]
  return [said, { kind: 'opaque', what: 'message', why: 'it is no text that a person can read', subject: null, hash }]
}

function readMessage(message: Json): Uint8Array {
  const bytes = typeof message === 'string' ? readText(message) : readBase64(message)
  if (bytes.length > maxBytes) throw refuse(`must have at most ${maxBytes} bytes`)
  return bytes
}

function readText(text: string): Uint8Array {
  try {
    return utf8(text)
  } catch {
    throw refuse('has a lone surrogate')
  }
}

function readBase64(message: Json): Uint8Array {
  const object = message !== null && typeof message === 'object' && !Array.isArray(message) ? message : {}
  const entries = Object.entries(object)
  const [name, value] = entries[0] ?? []
  if (entries.length !== 1 || name !== 'raw' || typeof value !== 'string')
    throw refuse('must be text, or {"raw": base64} for bytes')
  try {
    return fromBase64(value)
  } catch {
    throw refuse('must be base64 with padding')
  }
}

function textOf(data: Uint8Array): string | null {
  try {
    const text = fromUtf8(data)
    return /[^\P{Cc}\t\n\r]/u.test(text) ? null : text
  } catch {
    return null
  }
}

function refuse(reason: string): ChainFault {
  return new ChainFault('message.malformed', { field: 'message', reason })
}
