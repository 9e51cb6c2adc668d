import { fromHex, hex } from '@popsigner/crypto/bytes'
import { decodeTypeId } from '@popsigner/crypto/typeid'
import { encodeHostAction, hostMac } from '@popsigner/custody/host-action'

/** What the host accepts as an organization's log: ids and hashes as the admin socket has them. */
export interface AcceptedLog {
  /** `org_…` */
  readonly organization: string
  readonly size: number
  /** Hex of 32 bytes. */
  readonly root: string
  /** Hex of the nonce that the signer gave out for this. */
  readonly nonce: string
}

/**
 * The MAC, in hex, by which the signer knows that the host accepts this log. `hostKey` is the 32 bytes of the host's key
 * file, which the server cannot read; they stay the caller's, to wipe. `RangeError` naming a field that is malformed.
 */
export function acceptCheckpointMac(hostKey: Uint8Array, { organization, size, root, nonce }: AcceptedLog): string {
  const id = decodeTypeId(organization, 'org')
  if (id === null) throw new RangeError('organization: expected an organization id')
  const content = encodeHostAction({ action: 'accept-checkpoint', organization: id, size, root: fromHex(root) })
  return hex(hostMac(hostKey, fromHex(nonce), content))
}
