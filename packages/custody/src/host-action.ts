import { assertBytes, concat, utf8 } from '@popsigner/crypto/bytes'
import { decodeCbor, encodeCbor } from '@popsigner/crypto/cbor'
import { hmacSha256 } from '@popsigner/crypto/hash-native'

/**
 * What only the host may tell the signer. The server forwards it: the MAC is made with the host key file, which the
 * server cannot read, over a nonce that the signer gave out once.
 */
export interface AcceptCheckpoint {
  readonly action: 'accept-checkpoint'
  /** 16 bytes. */
  readonly organization: Uint8Array
  readonly size: number
  /** 32 bytes. */
  readonly root: Uint8Array
}

const label = concat(utf8('popsigner/v1/host'), Uint8Array.of(0))

/**
 * The deterministic CBOR of an action: the content of the frame. `RangeError` naming the field that is out of range.
 */
export function encodeHostAction(action: AcceptCheckpoint): Uint8Array {
  assertBytes(action.organization, 'organization', 16)
  assertBytes(action.root, 'root', 32)
  if (!Number.isSafeInteger(action.size) || action.size < 0) throw new RangeError('size: expected a tree size')
  return encodeCbor({
    action: action.action,
    organization: action.organization,
    size: action.size,
    root: action.root,
  })
}

/** The action of these bytes. `RangeError` for any other encoding, an unknown action or field. */
export function parseHostAction(content: Uint8Array): AcceptCheckpoint {
  const map = decodeCbor(content) as { readonly [key: string]: unknown } | null
  if (map === null || typeof map !== 'object' || Array.isArray(map) || Object.keys(map).length !== 4)
    throw new RangeError('action: expected a map of four fields')
  const { action, organization, size, root } = map as unknown as AcceptCheckpoint
  if (action !== 'accept-checkpoint') throw new RangeError('action: unknown')
  const parsed = { action, organization, size, root }
  encodeHostAction(parsed)
  return parsed
}

/** HMAC-SHA-256(host key, "popsigner/v1/host" 0x00 ‖ nonce ‖ content). Both keys and nonces are 32 bytes. */
export function hostMac(hostKey: Uint8Array, nonce: Uint8Array, content: Uint8Array): Uint8Array {
  assertBytes(hostKey, 'hostKey', 32)
  assertBytes(nonce, 'nonce', 32)
  return hmacSha256(hostKey, label, nonce, content)
}
