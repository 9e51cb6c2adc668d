import { closeSync, fstatSync, openSync } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * Replaces a small file such that after a crash at any moment either the old or the new content is there, and the new
 * one once the promise is fulfilled: a file beside it, fsync, rename, fsync of the directory. The parts are written
 * from where they lie, so locked memory is not copied. Mode 0600. One writer at a time.
 */
export async function replaceFile(path: string, parts: readonly Uint8Array[]): Promise<void> {
  const beside = `${path}.new`
  await rm(beside, { force: true })
  await writeNew(beside, parts)
  await rename(beside, path)
  await syncDirectory(dirname(path))
}

/** Writes a file that must not exist yet, as durably. Fails with `EEXIST` otherwise. */
export async function createFile(path: string, parts: readonly Uint8Array[]): Promise<void> {
  await writeNew(path, parts)
  await syncDirectory(dirname(path))
}

/** Thrown for a file of secrets that others could read or that belongs to somebody else. */
export class FileNotPrivate extends Error {}

/**
 * Opens a file of secrets for reading, and answers its descriptor: the checks are made on what was opened, not on what
 * the name means later. `FileNotPrivate` when group or others have any right to it, or it is owned by a user not in
 * `owners`.
 */
export function openPrivateFile(path: string, owners: readonly number[]): number {
  const file = openSync(path, 'r')
  const { mode, uid } = fstatSync(file)
  const problem =
    (mode & 0o170000) !== 0o100000
      ? 'is not a plain file'
      : (mode & 0o077) !== 0
        ? `can be read by others: set its mode to 0600`
        : owners.includes(uid)
          ? null
          : `belongs to another user (uid ${uid})`
  if (problem === null) return file
  closeSync(file)
  throw new FileNotPrivate(`${path} ${problem}`)
}

/** The users whose files this process believes: itself, root, and the user it is about to become. */
export function trustedOwners(next?: number): number[] {
  const self = process.geteuid?.() ?? 0
  return next === undefined ? [self, 0] : [self, 0, next]
}

async function writeNew(path: string, parts: readonly Uint8Array[]): Promise<void> {
  const file = await open(path, 'wx', 0o600)
  try {
    for (const part of parts) await file.writeFile(part)
    await file.sync()
  } finally {
    await file.close()
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}
