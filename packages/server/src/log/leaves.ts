/**
 * How leaves lie in a row of `batches`: each as u16 big-endian length and its bytes. A leaf that retention removed is length 0
 * followed by its 32-byte leaf hash, so that the tree can always be computed.
 */

export interface RemovedLeaf {
  readonly hash: Buffer
}

/** Calls `each` for every present leaf with its place in the batch, its byte offset and whether it was removed. */
export function eachLeaf(
  leaves: Buffer,
  each: (leaf: Buffer, place: number, offset: number) => void,
  removed?: (hash: Buffer, place: number) => void,
): void {
  let at = 0
  for (let place = 0; at < leaves.length; place++) {
    const length = leaves.readUInt16BE(at)
    at += 2
    if (length === 0) {
      removed?.(leaves.subarray(at, at + 32), place)
      at += 32
    } else {
      each(leaves.subarray(at, at + length), place, at)
      at += length
    }
  }
}

/** A text that opens a commitment: which field of the leaf, and the id of its row in `texts`. */
export interface TextReference {
  readonly field: TextField
  readonly id: bigint
}

/** The committed fields, in the order of the byte that names them in `batches.texts`. Append only. */
export const textFields = ['address', 'user_agent', 'name', 'metadata'] as const
export type TextField = (typeof textFields)[number]

/** One leaf's references: u8 count, then for each u8 field and u64 text id. */
export function encodeTexts(references: readonly TextReference[]): Buffer {
  const bytes = Buffer.allocUnsafe(1 + references.length * 9)
  bytes[0] = references.length
  references.forEach((reference, i) => {
    bytes[1 + i * 9] = textFields.indexOf(reference.field)
    bytes.writeBigUInt64BE(reference.id, 2 + i * 9)
  })
  return bytes
}

/** The references of every leaf of a batch, in order. */
export function decodeTexts(bytes: Buffer): TextReference[][] {
  const leaves: TextReference[][] = []
  for (let at = 0; at < bytes.length; ) {
    const references: TextReference[] = []
    for (let n = bytes[at++] as number; n > 0; n--) {
      const field = textFields[bytes[at] as number]
      if (!field) throw new RangeError('texts: unknown field')
      references.push({ field, id: bytes.readBigUInt64BE(at + 1) })
      at += 9
    }
    leaves.push(references)
  }
  return leaves
}
