import type { Material, SignAnswer, SignItem, SignResult } from './custodian.ts'
import { sealedLength } from './envelope.ts'
import { type RefusalCode, refusalCodes } from './faults.ts'
import { allocateFrame, answerBit, maxFrameLength, ops, payloadStart } from './protocol.ts'

/**
 * The frame of `sign`, the one operation with a layout of its own, since it is the one that runs at speed. Integers are
 * big-endian; what the signer hashes lies in the frame as it is hashed (a leaf behind RFC 6962's 0x00, a material
 * behind the length of its specification), so nothing is copied:
 *
 *     u8 layout (2)
 *     u8 n, n × (u8 length ‖ scheme name)
 *     u16 n, n × (u16 length ‖ material)                                  organization keys
 *     u16 n, n × (u16 organization key ‖ u16 length ‖ material)
 *     u16 n, n × (record id (16) ‖ u32 attempt ‖ u64 index ‖ u64 deadline ‖ u16 material ‖ u8 scheme ‖ u8 input
 *                 ‖ u32 length ‖ data ‖ u32 length ‖ 0x00 ‖ leaf ‖ u8 hashes [‖ u64 size ‖ hashes × 32])
 *
 * material = u32 length of the specification ‖ specification ‖ envelope. `hashes` is 255 without a proof. The answer:
 *
 *     u16 n, n × (u8 status [‖ u8 recovery id or 255 ‖ u16 length ‖ signature]) ‖ u16 n, n × organization id (16)
 *
 * with status 0 for signed, which alone has what is in brackets, else the position of the code in `refusalCodes` + 1.
 */
const layout = 2
const noProof = 255
/** Bytes of a result before its signature. */
const resultHead = 4

/** Most items of one frame. */
export const maxItems = 1000

/** Where things are in the frame, and the numbers that are not bytes. Offsets are into the payload. */
export interface FramedItem {
  readonly recordIdAt: number
  readonly attempt: number
  readonly index: number
  readonly deadline: number
  readonly material: number
  readonly scheme: string
  readonly input: Input
  readonly dataAt: number
  readonly dataEnd: number
  /** Of the 0x00 before the leaf. */
  readonly leafAt: number
  readonly leafEnd: number
  /** The size it is proven against, and the hashes from `proofAt` to `proofEnd`; -1 without a proof. */
  readonly proofSize: number
  readonly proofAt: number
  readonly proofEnd: number
}

/** Where a material is: `u32 length ‖ specification ‖ envelope` from `at` to `end`. */
export interface FramedMaterial {
  readonly organizationKey: number
  readonly at: number
  readonly specEnd: number
  readonly end: number
}

/** A frame whose structure is sound throughout: every offset is inside it and every reference has its target. */
export interface SignFrame {
  readonly organizationKeys: readonly FramedMaterial[]
  readonly materials: readonly FramedMaterial[]
  readonly items: readonly FramedItem[]
}

/** Kinds of input as they travel: by their place, so append only. */
const inputs = [
  { input: 'raw', hash: null },
  { input: 'raw', hash: 'sha256' },
  { input: 'raw', hash: 'keccak256' },
  { input: 'digest', hash: null },
  { input: 'transaction', hash: null },
  { input: 'message', hash: null },
  { input: 'raw', hash: 'sha384' },
] as const

/** A signature as the answer holds it. */
export interface Outcome {
  /** At most 65,535 bytes. */
  readonly signature: Uint8Array
  readonly recovery?: number
}

/** What is signed and how it is hashed first. */
export type Input = (typeof inputs)[number]

/** Reads the structure of a frame. `RangeError` when anything in it is out of bounds; then nothing of it is signed. */
export function readSignFrame(frame: Buffer): SignFrame {
  const cursor = { frame, at: 0 }
  if (u8(cursor) !== layout) throw new RangeError('sign: unknown layout')
  const schemes = Array.from({ length: u8(cursor) }, () => {
    const length = u8(cursor)
    const start = skip(cursor, length)
    return frame.toString('latin1', start, start + length)
  })
  const organizationKeys = readMaterials(cursor, null)
  const materials = readMaterials(cursor, organizationKeys.length)
  const count = u16(cursor)
  if (count > maxItems) throw new RangeError('sign: too many items')
  const items: FramedItem[] = []
  for (let i = 0; i < count; i++) items.push(readItem(cursor, schemes, materials.length))
  if (cursor.at !== frame.length) throw new RangeError('sign: bytes are left over')
  return { organizationKeys, materials, items }
}

/** The frame that answers request `id`: a result for each item, and the organizations whose statement is due. */
export function writeSignAnswer(
  id: number,
  outcomes: readonly (Outcome | RefusalCode)[],
  due: readonly Uint8Array[],
): Buffer {
  let length = 4 + outcomes.length + due.length * 16
  for (const outcome of outcomes) if (typeof outcome !== 'string') length += resultHead - 1 + outcome.signature.length
  const frame = allocateFrame(id, ops.sign | answerBit, length)
  let at = frame.writeUInt16BE(outcomes.length, payloadStart)
  for (const outcome of outcomes) {
    if (typeof outcome === 'string') {
      frame[at++] = refusalCodes.indexOf(outcome) + 1
      continue
    }
    const { signature, recovery } = outcome
    frame[at] = 0
    frame[at + 1] = recovery ?? 255
    frame[at + 2] = signature.length >> 8
    frame[at + 3] = signature.length & 255
    frame.set(signature, at + resultHead)
    at += resultHead + signature.length
  }
  at = frame.writeUInt16BE(due.length, at)
  for (const organization of due) {
    frame.set(organization, at)
    at += 16
  }
  return frame
}

/** Reads an answer to `count` items. `RangeError` when it is not one. Signatures are views of the answer. */
export function readSignAnswer(payload: Buffer, count: number): SignAnswer {
  const cursor = { frame: payload, at: 0 }
  if (u16(cursor) !== count) throw new RangeError('sign: malformed answer')
  const results: SignResult[] = []
  for (let i = 0; i < count; i++) {
    const status = u8(cursor)
    if (status === 0) {
      const recovery = u8(cursor)
      const length = u16(cursor)
      const signature = new Uint8Array(payload.buffer, payload.byteOffset + skip(cursor, length), length)
      results.push({ kind: 'signed', signature, recovery: recovery === 255 ? null : recovery })
    } else {
      const code = refusalCodes[status - 1]
      if (code === undefined) throw new RangeError('sign: malformed answer')
      results.push({ kind: 'refused', code })
    }
  }
  const due = u16(cursor)
  const dueAt = skip(cursor, due * 16)
  if (cursor.at !== payload.length) throw new RangeError('sign: malformed answer')
  const statementDue = Array.from(
    { length: due },
    (_, i) => new Uint8Array(payload.subarray(dueAt + i * 16, dueAt + 16 + i * 16)),
  )
  return { results, statementDue }
}

/** Bytes one item can take at most, besides its organization key; from this a client cuts a list into frames. */
export function framedLength(item: SignItem): number {
  const material = item.material.spec.length + item.material.envelope.length
  const proof = item.proof === undefined ? 0 : 8 + item.proof.path.length * 32
  return 64 + material + item.data.length + item.leaf.length + proof
}

/** Builds a frame. `RangeError` naming the field of an item that has no form in it, or when the frame is too long. */
export function writeSignFrame(id: number, items: readonly SignItem[]): Buffer {
  if (items.length > maxItems) throw new RangeError(`items: more than ${maxItems}`)
  const organizationKeys = new Map<Material, number>()
  const materials = new Map<Material, { readonly index: number; readonly organizationKey: number }>()
  const schemes = new Map<string, number>()
  let length = 8
  for (const item of items) {
    let organizationKey = organizationKeys.get(item.organizationKey)
    if (organizationKey === undefined) {
      organizationKey = organizationKeys.size
      organizationKeys.set(item.organizationKey, organizationKey)
      length += 6 + materialLength(item.organizationKey)
    }
    if (!materials.has(item.material)) {
      materials.set(item.material, { index: materials.size, organizationKey })
      length += 8 + materialLength(item.material)
    }
    if (!schemes.has(item.scheme)) {
      schemes.set(item.scheme, schemes.size)
      length += 1 + item.scheme.length
    }
    length += 50 + item.data.length + item.leaf.length
    if (item.proof !== undefined) length += 8 + item.proof.path.length * 32
  }
  if (length > maxFrameLength - payloadStart) throw new RangeError('items: longer than a frame')
  if (schemes.size > 255) throw new RangeError('items: more than 255 schemes')
  const frame = allocateFrame(id, ops.sign, length)
  let at = frame.writeUInt8(layout, payloadStart)
  at = frame.writeUInt8(schemes.size, at)
  for (const scheme of schemes.keys()) {
    at = frame.writeUInt8(scheme.length, at)
    at += frame.write(scheme, at, 'latin1')
  }
  at = frame.writeUInt16BE(organizationKeys.size, at)
  for (const material of organizationKeys.keys()) at = writeMaterial(frame, at, material)
  at = frame.writeUInt16BE(materials.size, at)
  for (const [material, { organizationKey }] of materials)
    at = writeMaterial(frame, frame.writeUInt16BE(organizationKey, at), material)
  at = frame.writeUInt16BE(items.length, at)
  for (const item of items) {
    const material = materials.get(item.material)?.index as number
    at = writeItem(frame, at, item, material, schemes.get(item.scheme) as number)
  }
  if (at !== frame.length) throw new RangeError('items: changed while they were written')
  return frame
}

function materialLength(material: Material): number {
  if (sealedLength(material.envelope) === null) throw new RangeError('envelope: not of a length that envelopes have')
  if (material.spec.length > 4096) throw new RangeError('spec: longer than any specification')
  return material.spec.length + material.envelope.length
}

function writeMaterial(frame: Buffer, start: number, { spec, envelope }: Material): number {
  let at = frame.writeUInt16BE(4 + spec.length + envelope.length, start)
  at = frame.writeUInt32BE(spec.length, at)
  frame.set(spec, at)
  frame.set(envelope, at + spec.length)
  return at + spec.length + envelope.length
}

function writeItem(frame: Buffer, start: number, item: SignItem, material: number, scheme: number): number {
  const input = inputs.findIndex((known) => known.input === item.input && known.hash === item.hash)
  if (input === -1) throw new RangeError('input: only raw data has a hash')
  if (item.recordId.length !== 16) throw new RangeError('recordId: expected 16 bytes')
  frame.set(item.recordId, start)
  let at = frame.writeUInt32BE(item.attempt, start + 16)
  at = writeU64(frame, item.index, at, 'index')
  at = writeU64(frame, item.deadline, at, 'deadline')
  at = frame.writeUInt16BE(material, at)
  frame[at++] = scheme
  frame[at++] = input
  at = frame.writeUInt32BE(item.data.length, at)
  frame.set(item.data, at)
  at = frame.writeUInt32BE(item.leaf.length, at + item.data.length)
  frame[at++] = 0
  frame.set(item.leaf, at)
  at += item.leaf.length
  if (item.proof === undefined) {
    frame[at] = noProof
    return at + 1
  }
  if (item.proof.path.length >= noProof) throw new RangeError('proof: too many hashes')
  frame[at++] = item.proof.path.length
  at = writeU64(frame, item.proof.size, at, 'proof.size')
  for (const hash of item.proof.path) {
    if (hash.length !== 32) throw new RangeError('proof.path: expected hashes of 32 bytes')
    frame.set(hash, at)
    at += 32
  }
  return at
}

interface Cursor {
  readonly frame: Buffer
  at: number
}

function readMaterials(cursor: Cursor, organizationKeys: number | null): FramedMaterial[] {
  const count = u16(cursor)
  const materials: FramedMaterial[] = []
  for (let i = 0; i < count; i++) {
    const organizationKey = organizationKeys === null ? 0 : u16(cursor)
    if (organizationKeys !== null && organizationKey >= organizationKeys)
      throw new RangeError('sign: no such organization key')
    const length = u16(cursor)
    const at = skip(cursor, length)
    const specEnd = length < 4 ? Number.POSITIVE_INFINITY : at + 4 + cursor.frame.readUInt32BE(at)
    if (specEnd > at + length) throw new RangeError('sign: malformed material')
    materials.push({ organizationKey, at, specEnd, end: at + length })
  }
  return materials
}

function readItem(cursor: Cursor, schemes: readonly string[], materials: number): FramedItem {
  const recordIdAt = skip(cursor, 16)
  const attempt = u32(cursor)
  const index = u64(cursor)
  const deadline = u64(cursor)
  const material = u16(cursor)
  const scheme = schemes[u8(cursor)]
  const input = inputs[u8(cursor)]
  const dataLength = u32(cursor)
  const dataAt = skip(cursor, dataLength)
  const leafLength = u32(cursor)
  const leafAt = skip(cursor, leafLength + 1)
  const hashes = u8(cursor)
  const proofSize = hashes === noProof ? -1 : u64(cursor)
  const proofAt = hashes === noProof ? cursor.at : skip(cursor, hashes * 32)
  if (material >= materials || scheme === undefined || input === undefined)
    throw new RangeError('sign: an item refers to nothing')
  if (attempt === 0 || cursor.frame[leafAt] !== 0) throw new RangeError('sign: malformed item')
  return {
    recordIdAt,
    attempt,
    index,
    deadline,
    material,
    scheme,
    input,
    dataAt,
    dataEnd: dataAt + dataLength,
    leafAt,
    leafEnd: leafAt + 1 + leafLength,
    proofSize,
    proofAt,
    proofEnd: cursor.at,
  }
}

/** The hashes of an item's proof, views of the frame. */
export function readPath(frame: Buffer, item: FramedItem): Uint8Array[] {
  const path: Uint8Array[] = []
  for (let at = item.proofAt; at < item.proofEnd; at += 32) path.push(frame.subarray(at, at + 32))
  return path
}

function writeU64(frame: Buffer, value: number, at: number, name: string): number {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`${name}: expected a whole number below 2^53`)
  frame.writeUInt32BE(Math.floor(value / 0x1_0000_0000), at)
  return frame.writeUInt32BE(value % 0x1_0000_0000, at + 4)
}

function readU64(frame: Buffer, at: number): number {
  const value = frame.readUInt32BE(at) * 0x1_0000_0000 + frame.readUInt32BE(at + 4)
  if (!Number.isSafeInteger(value)) throw new RangeError('sign: a number past 2^53')
  return value
}

function u8(cursor: Cursor): number {
  return cursor.frame[skip(cursor, 1)] as number
}

function u16(cursor: Cursor): number {
  return cursor.frame.readUInt16BE(skip(cursor, 2))
}

function u32(cursor: Cursor): number {
  return cursor.frame.readUInt32BE(skip(cursor, 4))
}

function u64(cursor: Cursor): number {
  return readU64(cursor.frame, skip(cursor, 8))
}

/** Moves over `length` bytes and answers where they begin. */
function skip(cursor: Cursor, length: number): number {
  const start = cursor.at
  if (length > cursor.frame.length - start) throw new RangeError('sign: the frame ends early')
  cursor.at = start + length
  return start
}
