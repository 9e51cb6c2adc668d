import { readdirSync, readFileSync } from 'node:fs'

/**
 * Memory of a process and all that descend from it, in bytes: the sum of their proportional set sizes, so that what they
 * share counts once. Null where the system does not tell (it does on Linux).
 */
export function memoryOf(pid: number): number | null {
  if (process.platform !== 'linux') return null
  let kilobytes = 0
  for (const one of descendants(pid)) {
    try {
      kilobytes += Number(/^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${one}/smaps_rollup`, 'latin1'))?.[1] ?? 0)
    } catch {
      // It has ended meanwhile.
    }
  }
  return kilobytes * 1024
}

/** A process and all that descend from it now. Only itself where the system does not tell. */
export function descendants(pid: number): number[] {
  if (process.platform !== 'linux') return [pid]
  const children = new Map<number, number[]>()
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1')
      const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
      children.set(parent, [...(children.get(parent) ?? []), Number(name)])
    } catch {
      // It has ended meanwhile.
    }
  }
  const found = [pid]
  for (let i = 0; i < found.length; i++) found.push(...(children.get(found[i] as number) ?? []))
  return found
}
