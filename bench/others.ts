import { readFileSync } from 'node:fs'
import { descendants } from './processes.ts'

/**
 * Begins to watch how busy the processors are, and answers what asks: the share of them (0 to 1) that was used since by
 * programs other than this one and what it started, and by other guests of the same host. Null where the system does not tell.
 */
export function watchOthers(): () => number | null {
  const first = readBusy()
  return () => {
    const last = readBusy()
    if (first === null || last === null) return null
    const ours = last.ours - first.ours
    return Math.max(0, (last.busy - first.busy - ours) / (last.total - first.total))
  }
}

/** All in the kernel's ticks. */
function readBusy(): { total: number; busy: number; ours: number } | null {
  if (process.platform !== 'linux') return null
  const fields = (readFileSync('/proc/stat', 'latin1').split('\n', 1)[0] ?? '')
    .trim()
    .split(/\s+/)
    .slice(1, 9)
    .map(Number)
  const total = fields.reduce((sum, value) => sum + value, 0)
  const idle = (fields[3] ?? 0) + (fields[4] ?? 0)
  return { total, busy: total - idle, ours: descendants(process.pid).reduce((sum, pid) => sum + ticksOf(pid), 0) }
}

function ticksOf(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // utime, stime, and those of children that have ended: fields 14 to 17.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields.slice(11, 15).reduce((sum, value) => sum + Number(value), 0)
  } catch {
    return 0
  }
}
