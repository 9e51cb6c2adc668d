import { createHash } from 'node:crypto'
import { closeSync, readSync } from 'node:fs'
import { assertBytes, concat, equal, utf8 } from '@popsigner/crypto/bytes'
import type { Entropy } from '@popsigner/crypto/entropy'
import type { Secret, SecretArena } from '@popsigner/crypto/secret'
import { createFile, openPrivateFile, replaceFile } from './durable-file.ts'

/**
 * The key file: `"PSROOT" 0x00 0x01 ‖ u8 count ‖ count × (u32be sequence ‖ id (16) ‖ key (32)) ‖ SHA-256 of all
 * before`. Whoever reads it and the database has every key; without it every key is lost. One root, and two while a
 * rotation is under way.
 */
export interface RootKey {
  /** From 1, rising by one with each rotation. */
  readonly sequence: number
  /** 16 random bytes. */
  readonly id: Uint8Array
  /** 32 bytes in locked memory. */
  readonly key: Secret
}

const magic = concat(utf8('PSROOT'), Uint8Array.of(0, 1))

/** Most roots a key file may hold. */
export const maxRoots = 8

/** A fresh root key. */
export function makeRoot(sequence: number, entropy: Entropy, arena: Pick<SecretArena, 'take'>): RootKey {
  const id = new Uint8Array(16)
  entropy.fill(id)
  const key = arena.take(32)
  key.use((bytes) => entropy.fill(bytes))
  return { sequence, id, key }
}

/** Writes the first key file. Fails with `EEXIST` where there is one: what it holds may be somebody's only copy. */
export async function createKeyFile(path: string, roots: readonly RootKey[]): Promise<void> {
  await createFile(path, layOut(roots))
}

/** Replaces the key file, durably before the promise is fulfilled. */
export async function replaceKeyFile(path: string, roots: readonly RootKey[]): Promise<void> {
  await replaceFile(path, layOut(roots))
}

/**
 * Reads the roots, oldest first, the keys straight into locked memory. `FileNotPrivate` where others may read it;
 * `RangeError` for anything but a whole key file. The caller wipes the keys.
 */
export function readKeyFile(path: string, owners: readonly number[], arena: SecretArena): RootKey[] {
  const file = openPrivateFile(path, owners)
  const roots: RootKey[] = []
  try {
    const sum = createHash('sha256')
    const head = readExactly(file, new Uint8Array(magic.length + 1))
    sum.update(head)
    const count = head[magic.length] as number
    if (!equal(head.subarray(0, magic.length), magic)) throw new RangeError('key file: of another format')
    if (count < 1 || count > maxRoots) throw new RangeError('key file: damaged')
    for (let i = 0; i < count; i++) {
      const about = readExactly(file, new Uint8Array(20))
      sum.update(about)
      const root = {
        sequence: new DataView(about.buffer).getUint32(0),
        id: about.slice(4),
        key: arena.take(32),
      }
      roots.push(root)
      root.key.use((bytes) => sum.update(readExactly(file, bytes)))
      const before = roots.at(-2)
      if (root.sequence < 1 || (before !== undefined && before.sequence >= root.sequence))
        throw new RangeError('key file: damaged')
    }
    const trailer = readExactly(file, new Uint8Array(32))
    if (!equal(trailer, sum.digest()) || readSync(file, new Uint8Array(1)) !== 0)
      throw new RangeError('key file: damaged')
    return roots
  } catch (error) {
    for (const root of roots) root.key.wipe()
    throw error
  } finally {
    closeSync(file)
  }
}

/** The file's parts; the keys are lent as they lie, so they must not be wiped before the write is over. */
function layOut(roots: readonly RootKey[]): Uint8Array[] {
  if (roots.length < 1 || roots.length > maxRoots) throw new RangeError(`roots: expected 1 to ${maxRoots}`)
  const parts: Uint8Array[] = [concat(magic, Uint8Array.of(roots.length))]
  for (const { sequence, id, key } of roots) {
    assertBytes(id, 'id', 16)
    const about = new Uint8Array(20)
    new DataView(about.buffer).setUint32(0, sequence)
    about.set(id, 4)
    parts.push(about)
    key.use((bytes) => parts.push(bytes))
  }
  const sum = createHash('sha256')
  for (const part of parts) sum.update(part)
  parts.push(sum.digest())
  return parts
}

function readExactly(file: number, into: Uint8Array): Uint8Array {
  let filled = 0
  while (filled < into.length) {
    const read = readSync(file, into, filled, into.length - filled, null)
    if (read === 0) throw new RangeError('key file: damaged')
    filled += read
  }
  return into
}
