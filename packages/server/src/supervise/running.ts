import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { layout } from './contract.ts'
import { isRunning, type ProcessMark, sendSignal, waitForEnd } from './processes.ts'
import { removeSocketDirectories } from './sockets.ts'

/** `run.json`: what runs on a data directory, for the host's commands and for the next start. */
export interface Running {
  readonly supervisor: ProcessMark
  /** Signer and server; PostgreSQL keeps its own pid file. */
  readonly children: readonly ProcessMark[]
  readonly socketDirectory: string
  readonly adminSocket: string
  /** Null until the server listens. */
  readonly url: string | null
}

/** What runs on this data directory now, or null. Throws the system's error when the file may not be read. */
export function findRunning(dataDirectory: string): Running | null {
  const found = readRunning(dataDirectory)
  return found && isRunning(found.supervisor) ? found : null
}

/** Replaces `run.json`. */
export function writeRunning(dataDirectory: string, running: Running): void {
  const file = join(dataDirectory, layout.running)
  writeFileSync(`${file}.new`, `${JSON.stringify(running, null, 2)}\n`, { mode: 0o600 })
  renameSync(`${file}.new`, file)
}

export function removeRunning(dataDirectory: string): void {
  rmSync(join(dataDirectory, layout.running), { force: true })
}

/**
 * Waits for the children of a supervisor that was killed, which end by themselves; after 3 s they are killed. Removes
 * its sockets. To be called with the run lock held.
 */
export async function clearEarlierRun(dataDirectory: string): Promise<void> {
  const earlier = readRunning(dataDirectory)
  if (earlier === null) return
  const ends = earlier.children.map(async (child) => {
    if (await waitForEnd(child, 3_000)) return
    sendSignal(child.pid, 'SIGKILL')
    await waitForEnd(child, 3_000)
  })
  await Promise.all(ends)
  removeSocketDirectories(earlier.socketDirectory, dataDirectory)
  removeRunning(dataDirectory)
}

function readRunning(dataDirectory: string): Running | null {
  let text: string
  try {
    text = readFileSync(join(dataDirectory, layout.running), 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
  try {
    return JSON.parse(text) as Running
  } catch {
    return null
  }
}
