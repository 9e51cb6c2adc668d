import { secureHeapUsed } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { lockedMemoryLimit, slotLength, verifyLocked } from '@popsigner/crypto/secret'

/** Whether the process's secrets lie in locked memory in fact, and what stands against it if not. */
export interface MemoryState {
  readonly locked: boolean
  readonly limitBytes: number | null
  readonly secureHeapBytes: number
  /** One sentence that names what to change, null when everything is locked. */
  readonly problem: string | null
}

/** Looks at the arena of so many slots, the secure heap and the kernel's count of locked memory. */
export function inspectMemory(slots: number): MemoryState {
  const limitBytes = lockedMemoryLimit(readOrEmpty('/proc/self/limits'))
  const heapBytes = secureHeapUsed()?.total ?? 0
  const needed = slots * slotLength + heapBytes
  // The kernel's count says whether OpenSSL's heap is locked, which OpenSSL does not.
  const counted = /^VmLck:\s+(\d+) kB$/m.exec(readOrEmpty('/proc/self/status'))
  const enough = counted === null || Number(counted[1]) * 1024 >= needed
  const limit = limitBytes === null ? 'unknown' : `${limitBytes} bytes`
  let problem: string | null = null
  if (!verifyLocked() || !enough)
    problem =
      `The limit of locked memory (RLIMIT_MEMLOCK, ulimit -l) is ${limit}, and ${needed} bytes are needed for keys: ` +
      'raise it, or start with --insecure-unlocked-memory.'
  else if (heapBytes === 0)
    problem =
      "OpenSSL's secure heap could not be made and P-256 keys would lie in ordinary memory: " +
      'start with --insecure-unlocked-memory to allow that.'
  return { locked: problem === null, limitBytes, secureHeapBytes: heapBytes, problem }
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    // Not Linux: the kernel is asked by verifyLocked alone.
    return ''
  }
}
