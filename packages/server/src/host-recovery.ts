import { equal, fromBase64, fromHex, hex } from '@popsigner/crypto/bytes'
import { decodeTypeId } from '@popsigner/crypto/typeid'
import { encodeHostAction, hostMac } from '@popsigner/custody/host-action'
import { decodeVerifierKey, parseCheckpoint, verifyCheckpoint } from '@popsigner/transparency/checkpoint'
import { verifyConsistency } from '@popsigner/transparency/merkle'

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

/** A database's log as the admin socket offers it to be accepted, and what proves that it extends a checkpoint. */
export interface OfferedLog {
  readonly log: string
  readonly database: { readonly size: number; readonly root: string }
  /** Verifier keys of the log and of the signer's identity. */
  readonly log_key: string
  readonly identity_key: string
  /** From the size that was asked for; base64. Null where the database's log is smaller than that. */
  readonly consistency: readonly string[] | null
}

/**
 * The signed note in what somebody kept: the note itself, or JSON with the note as `checkpoint`, as receipts have it.
 * Its size is not verified yet. Null where there is none.
 */
export function findCheckpoint(text: string): { readonly note: string; readonly size: number } | null {
  try {
    const note: unknown = text.trimStart().startsWith('{')
      ? (JSON.parse(text) as { checkpoint?: unknown }).checkpoint
      : text
    return typeof note === 'string' ? { note, size: parseCheckpoint(note).size } : null
  } catch {
    return null
  }
}

/** `unsigned`: not by the log's key and the instance. `behind`: it covers more than the database. `fork`: another history. */
export type CheckpointVerdict = 'extended' | 'unsigned' | 'behind' | 'fork'

/** Whether the database's log extends this checkpoint. */
export function compareWithCheckpoint(note: string, offered: OfferedLog): CheckpointVerdict {
  const checkpoint = verifyCheckpoint(note, decodeVerifierKey(offered.log_key), [
    decodeVerifierKey(offered.identity_key),
  ])
  if (checkpoint === null || checkpoint.origin !== offered.log) return 'unsigned'
  const { size, root } = offered.database
  if (checkpoint.size > size) return 'behind'
  if (checkpoint.size === size) return equal(checkpoint.root, fromHex(root)) ? 'extended' : 'fork'
  const path = (offered.consistency ?? []).map(fromBase64)
  return verifyConsistency(checkpoint.size, size, checkpoint.root, fromHex(root), path) ? 'extended' : 'fork'
}
