import { hex } from '@popsigner/crypto/bytes'
import { whyNoBlobNamespace } from '../../celestia/namespace.ts'
import { address, bytes, uint32 } from '../kinds.ts'
import { malformed, unsupported } from '../refuse.ts'
import { type Place, packed, required, some, type Value } from '../shape.ts'
import { type MessageType, messageType } from './message-type.ts'

export const payForBlobsUrl = '/celestia.blob.v1.MsgPayForBlobs'

const shape = {
  signer: required(1, address),
  namespaces: some(2, bytes),
  blob_sizes: packed(3, uint32),
  share_commitments: some(4, bytes),
  share_versions: packed(8, uint32),
}

/** celestia.blob.v1.MsgPayForBlobs as it is read. */
export type PayForBlobs = Value<typeof shape>

/** celestia.blob.v1 */
export const blob: readonly MessageType[] = [
  messageType({
    typeUrl: payForBlobsUrl,
    // celestia-app registers it under its URL.
    amino: payForBlobsUrl,
    shape,
    check,
    signers: (value) => [value.signer],
    effects: (value) =>
      value.namespaces.map((namespace, i) => ({
        kind: 'post_blob',
        from: value.signer,
        namespace: `0x${hex(namespace)}`,
        bytes: value.blob_sizes[i] ?? null,
        commitment: `0x${hex(value.share_commitments[i] ?? new Uint8Array())}`,
      })),
  }),
]

/** What celestia-app demands of the message without its blobs (x/blob, ValidateBasic). */
function check(value: PayForBlobs, at: Place): void {
  const count = value.namespaces.length
  for (const name of ['blob_sizes', 'share_commitments', 'share_versions'] as const)
    if (value[name].length !== count)
      throw malformed(`${at.path}.${name}`, `must have as many entries as namespaces, ${count}`)
  value.namespaces.forEach((namespace, i) => {
    const why = whyNoBlobNamespace(namespace)
    if (why !== undefined) throw malformed(`${at.path}.namespaces[${i}]`, why)
  })
  value.blob_sizes.forEach((size, i) => {
    if (size === 0) throw malformed(`${at.path}.blob_sizes[${i}]`, 'must be above 0')
  })
  value.share_commitments.forEach((commitment, i) => {
    if (commitment.length !== 32) throw malformed(`${at.path}.share_commitments[${i}]`, 'must have 32 bytes')
  })
  value.share_versions.forEach((version, i) => {
    if (version > 1) throw unsupported(`${at.path}.share_versions[${i}]`, 'must be 0 or 1')
  })
}
