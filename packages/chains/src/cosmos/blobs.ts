import { equal, fromBase64 } from '@popsigner/crypto/bytes'
import { type Blob, shareCommitment } from '../celestia/commitment.ts'
import { whyNoBlobNamespace } from '../celestia/namespace.ts'
import type { Json } from '../chain.ts'
import { ChainFault } from '../fault.ts'
import { decodeAddress } from './address.ts'
import type { Body } from './envelope.ts'
import { bytes, text, uint32 } from './kinds.ts'
import { type PayForBlobs, payForBlobsUrl } from './messages/blob.ts'
import { many, message, one, required, writeShape } from './shape.ts'

/** What Celestia takes as one transaction, blobs included (CIP-28), and so the most that is hashed here. */
const maxBlobBytes = 2 * 1024 * 1024

const blobTxShape = {
  tx: required(1, bytes),
  blobs: many(
    2,
    message({
      namespace_id: one(1, bytes),
      data: one(2, bytes),
      share_version: one(3, uint32),
      namespace_version: one(4, uint32),
      signer: one(5, bytes),
    }),
  ),
  type_id: required(3, text),
}

/**
 * The blobs that a caller gave, checked against the one `MsgPayForBlobs` of the transaction: number, namespace, size, share
 * version, signer, and the share commitment, which is computed here. `context.malformed` where anything differs.
 */
export function checkBlobs(given: readonly Json[], body: Body): readonly Blob[] {
  const [first] = body.messages
  if (body.messages.length !== 1 || first?.known === undefined || first.typeUrl !== payForBlobsUrl)
    throw refuse('context.blobs', `belong to a transaction whose only message is ${payForBlobsUrl}`)
  const paid = first.known.value as PayForBlobs
  if (given.length !== paid.namespaces.length)
    throw refuse('context.blobs', `must be ${paid.namespaces.length}, as many as the message pays for`)
  const total = given.reduce((sum: number, one) => sum + sizeOf(one), 0)
  if (total > maxBlobBytes)
    throw new ChainFault('transaction.too_large', { field: 'context.blobs', limit: maxBlobBytes })
  return given.map((one, i) => {
    const blob = readBlob(one, `context.blobs[${i}]`)
    compare(blob, paid, i)
    return blob
  })
}

/** A transaction with its blobs, as Celestia's nodes take it (BlobTx of go-square). */
export function blobTx(tx: Uint8Array, blobs: readonly Blob[]): Uint8Array {
  return writeShape(blobTxShape, {
    tx,
    blobs: blobs.map((blob) => ({
      namespace_id: blob.namespace.subarray(1),
      data: blob.data,
      share_version: blob.shareVersion,
      namespace_version: blob.namespace[0] as number,
      signer: blob.signer ?? new Uint8Array(),
    })),
    type_id: 'BLOB',
  })
}

function compare(blob: Blob, paid: PayForBlobs, i: number): void {
  const path = `context.blobs[${i}]`
  if (!equal(blob.namespace, paid.namespaces[i] as Uint8Array))
    throw refuse(`${path}.namespace`, 'is not the one that the message pays for')
  if (blob.data.length !== paid.blob_sizes[i])
    throw refuse(`${path}.data`, `has ${blob.data.length} bytes, and the message pays for ${paid.blob_sizes[i]}`)
  if (blob.shareVersion !== paid.share_versions[i])
    throw refuse(`${path}.share_version`, 'is not the one that the message pays for')
  if (blob.signer !== undefined && !equal(blob.signer, decodeAddress(paid.signer).account))
    throw refuse(`${path}.signer`, 'is not the account that signs the message')
  if (!equal(shareCommitment(blob), paid.share_commitments[i] as Uint8Array))
    throw refuse(`${path}.data`, 'is not what the share commitment of the message stands for')
}

function readBlob(json: Json, path: string): Blob {
  if (json === null || typeof json !== 'object' || Array.isArray(json)) throw refuse(path, 'must be an object')
  const object = json as { readonly [name: string]: Json }
  for (const name of Object.keys(object))
    if (!['namespace', 'data', 'share_version', 'signer'].includes(name))
      throw refuse(`${path}.${name}`, 'is not known')
  const namespace = readBytes(object['namespace'], `${path}.namespace`)
  const why = whyNoBlobNamespace(namespace)
  if (why !== undefined) throw refuse(`${path}.namespace`, why)
  const data = readBytes(object['data'], `${path}.data`)
  if (data.length === 0) throw refuse(`${path}.data`, 'is empty')
  const shareVersion = object['share_version'] ?? 0
  if (shareVersion !== 0 && shareVersion !== 1) throw refuse(`${path}.share_version`, 'must be 0 or 1')
  if (shareVersion === 0 && object['signer'] !== undefined)
    throw refuse(`${path}.signer`, 'belongs to share version 1 only')
  const signer = shareVersion === 0 ? undefined : readBytes(object['signer'], `${path}.signer`)
  if (signer !== undefined && signer.length !== 20) throw refuse(`${path}.signer`, 'must have 20 bytes')
  return { namespace, data, shareVersion, signer }
}

function readBytes(json: Json | undefined, path: string): Uint8Array {
  try {
    if (typeof json === 'string') return fromBase64(json)
  } catch {
    // Said below, for text of any kind.
  }
  throw refuse(path, 'must be base64 with padding')
}

/** How many bytes a blob's text stands for, before any of it is decoded. */
function sizeOf(json: Json): number {
  const data = json !== null && typeof json === 'object' && 'data' in json ? json['data'] : ''
  return typeof data === 'string' ? Math.floor((data.length / 4) * 3) : 0
}

function refuse(field: string, reason: string): ChainFault {
  return new ChainFault('context.malformed', { field, reason })
}
