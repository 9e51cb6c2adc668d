/** The text of C2SP `tlog-proof` (v1): an inclusion proof and the checkpoint it leads to, in one file. */
import { assertBytes, base64, fromBase64 } from '@popsigner/crypto/bytes'
import { assertTreeNumber, HASH_LENGTH } from './merkle.ts'

/** An inclusion proof with its checkpoint. Nothing in it is verified. */
export interface TlogProof {
  /** Extra data, which nothing in the format authenticates. Ours is the leaf: what is proven is its hash. */
  readonly extra?: Uint8Array
  /** The leaf's position in the log, from 0. */
  readonly index: number
  /** From the leaf's sibling upwards, 32 bytes each. */
  readonly path: readonly Uint8Array[]
  /** The checkpoint, a signed note, as it was issued. */
  readonly checkpoint: string
}

const FIRST_LINE = 'c2sp.org/tlog-proof@v1'

/** Longest path that a tree below 2^53 leaves can need. */
const MAX_PATH = 53

/** Writes the text (C2SP tlog-proof §Format). `RangeError` for an index or a hash that cannot be one. */
export function serializeTlogProof(proof: TlogProof): string {
  assertTreeNumber(proof.index, 'index')
  for (const hash of proof.path) assertBytes(hash, 'path', HASH_LENGTH)
  const lines = [FIRST_LINE]
  if (proof.extra) lines.push(`extra ${base64(proof.extra)}`)
  lines.push(`index ${proof.index}`, ...proof.path.map(base64), '', proof.checkpoint)
  return lines.join('\n')
}

/** Reads the text without verifying it. `RangeError` with a short reason for what is not in this form. */
export function parseTlogProof(text: string): TlogProof {
  const split = text.indexOf('\n\n')
  if (split < 0) throw new RangeError('tlog-proof: has no checkpoint')
  const [first, ...lines] = text.slice(0, split).split('\n')
  if (first !== FIRST_LINE) throw new RangeError('tlog-proof: not of version 1')
  const extra = lines[0]?.startsWith('extra ')
    ? fromBase64((lines.shift() as string).slice('extra '.length))
    : undefined
  const index = /^index (0|[1-9][0-9]{0,15})$/.exec(lines.shift() ?? '')?.[1]
  if (index === undefined || !Number.isSafeInteger(Number(index))) throw new RangeError('tlog-proof: has no index')
  if (lines.length > MAX_PATH) throw new RangeError('tlog-proof: its path is too long')
  const path = lines.map((line) => {
    const hash = fromBase64(line)
    if (hash.length !== HASH_LENGTH) throw new RangeError('tlog-proof: a hash is not 32 bytes')
    return hash
  })
  const checkpoint = text.slice(split + 2)
  return extra ? { extra, index: Number(index), path, checkpoint } : { index: Number(index), path, checkpoint }
}
