import { randomFillSync } from 'node:crypto'
import { encodeTypeId } from '@popsigner/crypto/typeid'

/** The kinds of thing that have an id, by the prefix of its text form. */
export type IdPrefix = 'org' | 'ns' | 'key' | 'ak' | 'rec' | 'req' | 'wk'

// Random bytes are drawn from the kernel 4 KiB at a time: a call for every id costs more than the id.
const pool = Buffer.allocUnsafeSlow(4096)
let used = pool.length
let lastMilliseconds = 0
let counter = 0

/**
 * A new UUIDv7 (RFC 9562 §5.7), 16 bytes. Ids of one process rise: the 12 bits after the time count within a millisecond
 * (method 1 of §6.2), and when they are used up the time runs ahead by one.
 */
export function newUuid(): Uint8Array {
  if (used + 8 > pool.length) {
    randomFillSync(pool)
    used = 0
  }
  const now = Date.now()
  if (now > lastMilliseconds) {
    lastMilliseconds = now
    counter = pool.readUInt16BE(used) & 0x7ff
  } else if (++counter > 0xfff) {
    lastMilliseconds++
    counter = 0
  }
  const id = new Uint8Array(16)
  const high = Math.floor(lastMilliseconds / 0x10000)
  id[0] = high >>> 24
  id[1] = high >>> 16
  id[2] = high >>> 8
  id[3] = high
  id[4] = lastMilliseconds >>> 8
  id[5] = lastMilliseconds
  id[6] = 0x70 | (counter >>> 8)
  id[7] = counter
  for (let i = 0; i < 8; i++) id[8 + i] = pool[used + i] as number
  id[8] = ((id[8] as number) & 0x3f) | 0x80
  used += 8
  return id
}

/** A new id in its text form, `key_01h455vb4pex5vsknk084sn02q`. */
export function newId(prefix: IdPrefix): string {
  return encodeTypeId(prefix, newUuid())
}
