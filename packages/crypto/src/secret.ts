import { sodium } from './sodium.ts'

/**
 * Secrets in memory that is locked, guarded and wiped.
 *
 * A `Secret` owns its bytes: it lends them to a function and wipes them at its end. Secrets that live long take a slot of a
 * `SecretArena`, because every allocation of its own costs a locked page and two guards, and the lock limit is small.
 */

/** The bytes of one slot: the longest form of a secret that a signing handle keeps (Ed25519, RFC 8032 §5.1.5). */
export const slotLength = 64

/** What was allocated and not yet given back: the array that is used here, and the one that libsodium made and takes back. */
const allocations = new Map<Uint8Array, Uint8Array>()

/** A secret with an owner and an end. Its bytes are reachable only through `use`, and show in no log or dump of the object. */
export class Secret {
  #bytes: Uint8Array | null
  readonly #release: () => void

  /** Takes over `bytes`, which lie in locked memory. They are zeroed at the end, and then `release` gives them back. */
  constructor(bytes: Uint8Array, release: () => void) {
    this.#bytes = bytes
    this.#release = release
  }

  /** A secret of `length` zero bytes in an allocation of its own: a locked page and two guards. For the few that live long. */
  static allocate(length: number): Secret {
    const memory = allocate(length)
    return new Secret(memory, () => release(memory))
  }

  /** Length in bytes. */
  get length(): number {
    return this.#lent().length
  }

  /** Whether the bytes are gone. */
  get wiped(): boolean {
    return this.#bytes === null
  }

  /**
   * Lends the bytes to a synchronous function, to read or to fill. They must not be kept, nor cross an `await`.
   * `TypeError` after the end, and where `fn` answers a promise.
   */
  use<T>(fn: (bytes: Uint8Array) => T): T {
    const result = fn(this.#lent())
    if (result instanceof Promise) throw new TypeError('secret: fn must be synchronous')
    return result
  }

  /** Lends the bytes once, then wipes them whatever happened. */
  spend<T>(fn: (bytes: Uint8Array) => T): T {
    try {
      return this.use(fn)
    } finally {
      this.wipe()
    }
  }

  /** Zeroes the bytes and gives their memory back. A second call does nothing. */
  wipe(): void {
    if (this.#bytes === null) return
    this.#bytes.fill(0)
    this.#bytes = null
    this.#release()
  }

  [Symbol.dispose](): void {
    this.wipe()
  }

  #lent(): Uint8Array {
    if (this.#bytes === null) throw new TypeError('secret: used after it was wiped')
    return this.#bytes
  }
}

/** Room for a fixed number of secrets of up to 64 bytes in one allocation of locked memory. */
export class SecretArena {
  readonly slots: number
  #memory: Uint8Array | null
  readonly #free: number[]

  /** Allocates `slots` times 64 bytes. Whether the kernel locked them, `verifyLocked` says. */
  constructor(slots: number) {
    if (!Number.isSafeInteger(slots) || slots < 1) throw new RangeError('slots: expected a whole number from 1')
    this.slots = slots
    this.#memory = allocate(slots * slotLength)
    this.#free = Array.from({ length: slots }, (_, i) => slots - 1 - i)
  }

  /** Slots that hold nothing. */
  get available(): number {
    return this.#free.length
  }

  /** A secret of `length` zero bytes, 64 unless told. `RangeError` when every slot is taken; wiping a secret frees its slot. */
  take(length: number = slotLength): Secret {
    if (!Number.isSafeInteger(length) || length < 1 || length > slotLength)
      throw new RangeError(`length: expected 1 to ${slotLength} bytes, got ${length}`)
    if (this.#memory === null) throw new TypeError('arena: used after it was closed')
    const slot = this.#free.pop()
    if (slot === undefined) throw new RangeError(`arena: all ${this.slots} slots are taken`)
    const start = slot * slotLength
    return new Secret(this.#memory.subarray(start, start + length), () => this.#free.push(slot))
  }

  /** Wipes every slot and gives the memory back. Secrets that are still held then have no bytes. */
  close(): void {
    if (this.#memory === null) return
    release(this.#memory)
    this.#memory = null
  }
}

/**
 * Whether all memory allocated here and not yet given back is locked, that is, never written to swap. The kernel is asked
 * to lock it again: where it refused at allocation (`RLIMIT_MEMLOCK`), which libsodium does not report, it refuses now.
 */
export function verifyLocked(): boolean {
  for (const memory of allocations.values()) {
    try {
      sodium.sodium_mlock(memory)
    } catch {
      return false
    }
  }
  return true
}

/**
 * The soft limit of locked memory in bytes out of the text of `/proc/self/limits`, which the caller reads since this
 * package does no I/O; `null` where there is none (`unlimited`) or the text does not say.
 */
export function lockedMemoryLimit(limits: string): number | null {
  const match = /^Max locked memory +(\d+) /m.exec(limits)
  return match === null ? null : Number(match[1])
}

/**
 * Zero bytes for a short-lived copy of a secret that a library forces; the caller wipes them. Not locked, but outside the
 * JavaScript heap: there V8 keeps arrays of up to 64 bytes, and leaves copies behind when it moves them or lends them to
 * native code, which no `fill` reaches.
 */
export function allocateOffHeap(length: number): Uint8Array {
  return new Uint8Array(new ArrayBuffer(length))
}

function allocate(length: number): Uint8Array {
  if (!Number.isSafeInteger(length) || length < 1)
    throw new RangeError('length: expected a whole number of bytes from 1')
  const buffer = sodium.sodium_malloc(length)
  // Not as the `Buffer` that it is, whose `slice` shares memory where that of a `Uint8Array` copies.
  const memory = new Uint8Array(buffer.buffer, buffer.byteOffset, length)
  // libsodium fills new memory with 0xdb; here a secret begins as zeros.
  memory.fill(0)
  allocations.set(memory, buffer)
  return memory
}

function release(memory: Uint8Array): void {
  const buffer = allocations.get(memory)
  if (buffer === undefined) return
  allocations.delete(memory)
  memory.fill(0)
  sodium.sodium_free(buffer)
}
