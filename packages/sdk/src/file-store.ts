/**
 * A trust store in a file, for Node. JSON, one object of names and texts, mode 0600, replaced as a whole: a crash
 * leaves the old file or the new one. Processes take turns by a lock file beside it.
 */

import { randomBytes } from 'node:crypto'
import { chmod, lstat, mkdir, open, readFile, rename, rm, stat, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { TrustStore } from './trust-store.ts'

/** A store in a file that can also be looked at and forgotten, which only a person should do. */
export interface FileStore extends TrustStore {
  /** Everything that is kept, by name. */
  all(): Promise<Readonly<Record<string, string>>>
  /** Forgets what is kept under a name: the next answer will be trusted anew. False where nothing was. */
  forget(name: string): Promise<boolean>
}

/** How long one process waits for another, and after what age a lock was left behind by one that died. */
const lockWaitMilliseconds = 5_000
const lockAgeMilliseconds = 10_000
const lockPauseMilliseconds = 20

/**
 * The store in this file, which is made at the first `put`, its directory too (0700). An `Error` that names the file
 * where it cannot be read, is not of this form, belongs to another user or can be written by one: what was trusted is
 * never taken for lost, since then a changed key would be trusted as a first one.
 */
export function createFileStore(path: string): FileStore {
  // Within one process the calls wait for each other here; the lock is for other processes.
  let turn: Promise<unknown> = Promise.resolve()
  function change<T>(apply: (texts: Map<string, string>) => { changed: boolean; answer: T }): Promise<T> {
    const done = turn.then(() =>
      locked(path, async () => {
        const texts = await read(path)
        const { changed, answer } = apply(texts)
        if (changed) await write(path, texts)
        return answer
      }),
    )
    turn = done.catch(() => undefined)
    return done
  }
  return {
    async get(name) {
      return (await read(path)).get(name) ?? null
    },
    put: (name, value, previous) =>
      change((texts) => {
        if ((texts.get(name) ?? null) !== previous) return { changed: false, answer: false }
        texts.set(name, value)
        return { changed: true, answer: true }
      }),
    async all() {
      return Object.fromEntries(await read(path))
    },
    forget: (name) =>
      change((texts) => {
        const changed = texts.delete(name)
        return { changed, answer: changed }
      }),
  }
}

async function read(path: string): Promise<Map<string, string>> {
  let text: string
  try {
    const { mode, uid } = await stat(path)
    // On systems without users neither says anything.
    if (process.getuid !== undefined) {
      if ((mode & 0o022) !== 0)
        throw new Error(`${path}: can be written by other users; chmod 600 it and look at what it says`)
      if (uid !== process.getuid() && process.getuid() !== 0) throw new Error(`${path}: belongs to another user`)
    }
    text = await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new Map()
    throw error
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    value = null
  }
  if (
    typeof value !== 'object' ||
    value === null ||
    Array.isArray(value) ||
    !Object.values(value).every((one) => typeof one === 'string')
  )
    throw new Error(`${path}: not a trust store; restore it, or move it away to trust everything anew`)
  return new Map(Object.entries(value as Record<string, string>))
}

async function write(path: string, texts: ReadonlyMap<string, string>): Promise<void> {
  const temporary = `${path}.${randomBytes(8).toString('hex')}.tmp`
  try {
    const file = await open(temporary, 'wx', 0o600)
    try {
      await file.writeFile(
        `${JSON.stringify(Object.fromEntries([...texts].sort(([a], [b]) => (a < b ? -1 : 1))), null, 2)}\n`,
      )
      await file.sync()
    } finally {
      await file.close()
    }
    await chmod(temporary, 0o600)
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
  const directory = await open(dirname(path), 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

/** Runs while no other process does. A lock that a dead process left is taken over after ten seconds. */
async function locked<T>(path: string, run: () => Promise<T>): Promise<T> {
  const lock = `${path}.lock`
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const deadline = Date.now() + lockWaitMilliseconds + lockAgeMilliseconds
  for (;;) {
    try {
      await (await open(lock, 'wx', 0o600)).close()
      break
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      if (Date.now() > deadline) throw new Error(`${lock}: held by another process; remove it if there is none`)
      const age = await lstat(lock).then(
        ({ mtimeMs }) => Date.now() - mtimeMs,
        () => 0,
      )
      if (age > lockAgeMilliseconds) await unlink(lock).catch(() => undefined)
      else await delay(lockPauseMilliseconds)
    }
  }
  try {
    return await run()
  } finally {
    await rm(lock, { force: true })
  }
}
