/** Rows of the search table `records` in PostgreSQL's binary COPY format: its chapter on COPY, section "Binary Format". */

/** A record as the search table has it. */
export interface RecordRow {
  /** 16 bytes. */
  readonly id: Uint8Array
  /** Milliseconds. */
  readonly time: number
  readonly event: string
  /** 16 bytes. */
  readonly actor: Uint8Array
  /** 16 bytes. */
  readonly key: Uint8Array | null
  /** Hex of data_hash, of which the column holds the first 8 bytes. */
  readonly dataHash: string | null
  /** Ids of texts. */
  readonly address: bigint | null
  readonly userAgent: bigint | null
}

/** Where a record's leaf lies: the size of the log after its batch, and its place in the bytes of that. */
export interface LeafPlace {
  readonly index: number
  readonly batch: number
  readonly offset: number
  readonly length: number
}

/** The statement that takes rows as `RecordRowWriter` writes them between `copyHeader` and `copyTrailer`. */
export const copyRecords =
  'copy records (organization_id, index, id, time, event, actor, key_id, data_hash, address, user_agent, batch, leaf_offset, leaf_length) from stdin (format binary)'

/** Before the rows: the signature, no flags, no extension. */
export const copyHeader: Buffer = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1')
/** After the rows. */
export const copyTrailer: Buffer = Buffer.from([0xff, 0xff])

const fields = 13
/** Of a row whose event has no letters and of which nothing is null. */
const fixedLength = 2 + fields * 4 + 4 * 16 + 6 * 8 + 2 * 4
const uuidLength = 16
/** The first millisecond of PostgreSQL's timestamps, 2000-01-01. */
const epochMilliseconds = 946_684_800_000
const twoTo32 = 0x1_0000_0000

/** Writes rows of one organization (16 bytes) into a buffer of its own. */
export class RecordRowWriter {
  readonly #organization: Uint8Array
  #bytes: Buffer
  #at = 0

  constructor(organization: Uint8Array, rows: number) {
    this.#organization = organization
    this.#bytes = Buffer.allocUnsafeSlow(rows * (fixedLength + 16))
  }

  /** The rows so far, without header and trailer. */
  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#at)
  }

  add(row: RecordRow, place: LeafPlace): void {
    this.#reserve(fixedLength + row.event.length)
    this.#at = this.#bytes.writeUInt16BE(fields, this.#at)
    this.#uuid(this.#organization)
    this.#integer64(place.index)
    this.#uuid(row.id)
    this.#integer64((row.time - epochMilliseconds) * 1000)
    this.#text(row.event)
    this.#uuid(row.actor)
    this.#uuid(row.key)
    this.#hash(row.dataHash)
    this.#bigint(row.address)
    this.#bigint(row.userAgent)
    this.#integer64(place.batch)
    this.#integer32(place.offset)
    this.#integer32(place.length)
  }

  #reserve(length: number): void {
    if (this.#at + length <= this.#bytes.length) return
    const larger = Buffer.allocUnsafeSlow(2 * this.#bytes.length + length)
    this.#bytes.copy(larger, 0, 0, this.#at)
    this.#bytes = larger
  }

  #uuid(id: Uint8Array | null): void {
    if (id === null) this.#null()
    else {
      this.#bytes.writeInt32BE(uuidLength, this.#at)
      this.#bytes.set(id, this.#at + 4)
      this.#at += 4 + uuidLength
    }
  }

  #text(text: string): void {
    this.#at = this.#bytes.writeInt32BE(text.length, this.#at)
    this.#at += this.#bytes.write(text, this.#at, 'latin1')
  }

  #hash(hex: string | null): void {
    if (hex === null) this.#null()
    else {
      this.#at = this.#bytes.writeInt32BE(8, this.#at)
      this.#at += this.#bytes.write(hex.slice(0, 16), this.#at, 'hex')
    }
  }

  #bigint(value: bigint | null): void {
    if (value === null) this.#null()
    else {
      this.#at = this.#bytes.writeBigInt64BE(value, this.#bytes.writeInt32BE(8, this.#at))
    }
  }

  #integer64(value: number): void {
    this.#at = this.#bytes.writeInt32BE(8, this.#at)
    this.#at = this.#bytes.writeInt32BE(Math.floor(value / twoTo32), this.#at)
    this.#at = this.#bytes.writeUInt32BE(value - Math.floor(value / twoTo32) * twoTo32, this.#at)
  }

  #integer32(value: number): void {
    this.#at = this.#bytes.writeInt32BE(value, this.#bytes.writeInt32BE(4, this.#at))
  }

  #null(): void {
    this.#at = this.#bytes.writeInt32BE(-1, this.#at)
  }
}
