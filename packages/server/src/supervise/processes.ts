import { type ChildProcess, execFileSync } from 'node:child_process'
import { readFileSync, readlinkSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

/** A process that can be told from a later one with the same number. */
export interface ProcessMark {
  readonly pid: number
  /** When it began, in the system's own notation; comparable only with another mark of the same machine and boot. */
  readonly started: string
}

/**
 * The mark of a living process, or null when there is none with this number. A zombie counts as gone: it holds
 * neither files nor sockets.
 */
export function processMark(pid: number): ProcessMark | null {
  if (!Number.isSafeInteger(pid) || pid <= 0) return null
  if (process.platform === 'linux') {
    try {
      // The command in parentheses may itself hold spaces and parentheses: fields are counted from the last one.
      const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      if (fields[0] === 'Z' || fields[0] === 'X') return null
      return { pid, started: `${bootId()}/${fields[19]}` }
    } catch {
      return null
    }
  }
  const [state = '', ...started] = ps(pid, 'state=,lstart=').split(/\s+/)
  return state === '' || state.startsWith('Z') ? null : { pid, started: started.join(' ') }
}

/** Whether the process that was marked is still there, and not another one that was given its number. */
export function isRunning(mark: ProcessMark): boolean {
  return processMark(mark.pid)?.started === mark.started
}

/** Waits until the marked process is gone; false when it is still there after `milliseconds`. */
export async function waitForEnd(mark: ProcessMark, milliseconds: number): Promise<boolean> {
  const deadline = performance.now() + milliseconds
  while (isRunning(mark)) {
    if (performance.now() >= deadline) return false
    await delay(10)
  }
  return true
}

/** Sends a signal to a process, or to a process group when `pid` is negative; false when there is none any more. */
export function sendSignal(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal)
  } catch {
    return false
  }
}

/**
 * Signals a child of ours, or with `group` all of the process group it leads; nothing once it has ended, since its number may
 * be another's by then.
 */
export function signalChild(child: ChildProcess, signal: NodeJS.Signals, group = false): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  sendSignal(group ? -child.pid : child.pid, signal)
}

/**
 * Whether this process is the postmaster of that cluster: its program is called postgres and it works in the
 * cluster's directory (Linux), or was started with it (elsewhere).
 */
export function isPostmasterOf(pid: number, cluster: string): boolean {
  if (processMark(pid) === null) return false
  if (process.platform === 'linux') {
    try {
      return (
        readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === 'postgres' && readlinkSync(`/proc/${pid}/cwd`) === cluster
      )
    } catch {
      return false
    }
  }
  const command = ps(pid, 'command=')
  return command.includes('postgres') && command.includes(cluster)
}

let knownBootId: string | undefined

function bootId(): string {
  knownBootId ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  return knownBootId
}

function ps(pid: number, format: string): string {
  try {
    return execFileSync('ps', ['-o', format, '-p', String(pid)], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim()
  } catch {
    return ''
  }
}
