/**
 * Frames of the signer's socket: `u32be length ‖ u32be request id ‖ u8 op ‖ payload`, where `length` counts what
 * follows it. A request's answer has its id and the op with the highest bit set; a refusal has op 0xff. Several
 * requests may be in flight.
 */

/** The only version there is. It is part of the handshake, so both ends agree before the first frame. */
export const protocolVersion = 1

/** Longest frame in bytes, its length field not counted. */
export const maxFrameLength = 16 * 1024 * 1024

/** Operations by their number on the wire; numbers are never used again for something else. */
export const ops = {
  hello: 1,
  createLog: 2,
  create: 3,
  createWrappingKey: 4,
  import: 5,
  export: 6,
  sign: 7,
  narrow: 8,
  reseal: 9,
  destroy: 10,
  heads: 11,
  prove: 12,
  checkpoint: 13,
  statement: 14,
  roots: 15,
  rotateRoot: 16,
  resealOrganizationKey: 17,
  retireRoot: 18,
  rotateOrganizationKey: 19,
  hostNonce: 20,
  hostAction: 21,
} as const

/** Name of an operation. */
export type Op = keyof typeof ops

/** Set in the op of an answer. */
export const answerBit = 0x80
/** Op of a refusal: CBOR `{code, detail}`. */
export const refusalOp = 0xff

const headLength = 9

/** One frame. `payload` is a view of received memory: read it before returning, or copy it. */
export interface Frame {
  readonly id: number
  readonly op: number
  readonly payload: Buffer
}

/** The bytes of a frame. `RangeError` when the payload is too long for one. */
export function encodeFrame(id: number, op: number, payload: Uint8Array): Buffer {
  const frame = allocateFrame(id, op, payload.length)
  frame.set(payload, headLength)
  return frame
}

/** A frame with room for a payload of `length` bytes from `payloadStart` on, which the caller fills. */
export function allocateFrame(id: number, op: number, length: number): Buffer {
  if (length + headLength - 4 > maxFrameLength) throw new RangeError(`frame: longer than ${maxFrameLength} bytes`)
  const frame = Buffer.allocUnsafe(headLength + length)
  frame.writeUInt32BE(headLength - 4 + length, 0)
  frame.writeUInt32BE(id, 4)
  frame[8] = op
  return frame
}

/** Where the payload begins in what `allocateFrame` returns. */
export const payloadStart = headLength

/**
 * Cuts a byte stream into frames. Memory is bounded by one frame; a whole frame within one chunk is not copied. `push`
 * throws `RangeError` at a length that no frame has, after which the stream cannot be followed any further.
 */
export class FrameReader {
  readonly #onFrame: (frame: Frame) => void
  /** Bytes of a head that is not complete yet. */
  #head: Buffer = Buffer.alloc(0)
  /** The frame being filled, without its length field. */
  #body: Buffer | null = null
  #filled = 0

  constructor(onFrame: (frame: Frame) => void) {
    this.#onFrame = onFrame
  }

  /** Takes the next bytes and hands on every frame they complete, in order. */
  push(chunk: Buffer): void {
    let at = 0
    while (at < chunk.length) at = this.#body === null ? this.#begin(chunk, at) : this.#fill(chunk, at, this.#body)
  }

  #begin(chunk: Buffer, start: number): number {
    let at = start
    let length: number
    if (this.#head.length === 0 && chunk.length - at >= 4) {
      length = chunk.readUInt32BE(at)
      at += 4
    } else {
      const more = chunk.subarray(at, at + 4 - this.#head.length)
      this.#head = Buffer.concat([this.#head, more])
      at += more.length
      if (this.#head.length < 4) return at
      length = this.#head.readUInt32BE(0)
      this.#head = Buffer.alloc(0)
    }
    if (length < headLength - 4 || length > maxFrameLength) throw new RangeError('frame: a length that no frame has')
    if (chunk.length - at >= length) {
      this.#emit(chunk.subarray(at, at + length))
      return at + length
    }
    this.#body = Buffer.allocUnsafe(length)
    this.#filled = 0
    return at
  }

  #fill(chunk: Buffer, at: number, body: Buffer): number {
    const taken = chunk.copy(body, this.#filled, at, at + body.length - this.#filled)
    this.#filled += taken
    if (this.#filled === body.length) {
      this.#body = null
      this.#emit(body)
    }
    return at + taken
  }

  #emit(body: Buffer): void {
    this.#onFrame({ id: body.readUInt32BE(0), op: body[4] as number, payload: body.subarray(5) })
  }
}
