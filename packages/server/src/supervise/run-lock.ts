import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Refusal, systemCode } from './refusal.ts'

/**
 * Takes the data directory for this process, or throws `Refusal` when another has it. The kernel holds the lock and lets
 * go of it when the process ends, however it ends. Node itself offers no file lock; SQLite's is the same on every
 * system and file system, and an empty file is all that it leaves behind.
 */
export function takeRunLock(dataDirectory: string): { release(): void } {
  const file = join(dataDirectory, 'run.lock')
  let lock: DatabaseSync | undefined
  try {
    lock = new DatabaseSync(file, { timeout: 0 })
    lock.exec('pragma locking_mode = exclusive; begin exclusive')
  } catch (error) {
    lock?.close()
    if (/locked/.test((error as Error).message)) {
      throw new Refusal(
        `Another server runs on the data directory ${dataDirectory}: stop it first, or set POPSIGNER_DATA_DIR to another directory.`,
      )
    }
    throw new Refusal(
      `The data directory ${dataDirectory} cannot be written (${systemCode(error) ?? 'unknown'}): set POPSIGNER_DATA_DIR to a directory that this user may write.`,
    )
  }
  const held = lock
  return { release: () => held.close() }
}
