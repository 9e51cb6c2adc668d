import { closeSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs'

/** One place where a needle was found. */
export interface Found {
  /** Index of the needle. */
  readonly needle: number
  /** Whether the mapping is locked into memory (`lo` in its VmFlags). */
  readonly locked: boolean
  /** The mapping: range, rights, name; and the place in it. */
  readonly place: string
  /** What lies around it, in printable characters, without the needle itself. */
  readonly around: string
}

const stepBytes = 16 << 20
const aroundBytes = 48

/** Whether the memory of this process can be read. */
export function canSearch(pid: number): boolean {
  try {
    closeSync(openSync(`/proc/${pid}/mem`, 'r'))
    readFileSync(`/proc/${pid}/smaps`)
    return true
  } catch {
    return false
  }
}

/** A process and all that descend from it. */
export function familyOf(pid: number): number[] {
  const parents = new Map<number, number>()
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    try {
      parents.set(Number(name), Number(/\) \S (\d+)/.exec(readFileSync(`/proc/${name}/stat`, 'latin1'))?.[1]))
    } catch {
      // It has ended meanwhile.
    }
  }
  const family = [pid]
  for (const one of family) for (const [child, parent] of parents) if (parent === one) family.push(child)
  return family
}

/** Every place in all readable memory of a process where one of these byte strings lies. */
export function searchMemory(pid: number, needles: readonly Uint8Array[]): Found[] {
  const found: Found[] = []
  const longest = Math.max(...needles.map((needle) => needle.length))
  const memory = openSync(`/proc/${pid}/mem`, 'r')
  const buffer = Buffer.allocUnsafeSlow(stepBytes + longest)
  try {
    for (const block of readFileSync(`/proc/${pid}/smaps`, 'latin1').split(/\n(?=[0-9a-f]+-[0-9a-f]+ )/)) {
      const [, from = '', to = '', rights = '', name = ''] =
        /^([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+ *(.*)/.exec(block) ?? []
      // What was never touched holds nothing.
      if (!rights.startsWith('r') || name.startsWith('[v') || /^Rss: +0 kB$/m.test(block)) continue
      const [start, end] = [Number.parseInt(from, 16), Number.parseInt(to, 16)]
      const locked = /^VmFlags:.* lo( |$)/m.test(block)
      for (let at = start; at < end; at += stepBytes) {
        const length = readSome(memory, buffer, Math.min(stepBytes + longest - 1, end - at), at)
        const bytes = buffer.subarray(0, length)
        needles.forEach((needle, i) => {
          for (
            let place = bytes.indexOf(needle);
            place >= 0 && place < stepBytes;
            place = bytes.indexOf(needle, place + 1)
          ) {
            const around = Buffer.concat([
              bytes.subarray(Math.max(0, place - aroundBytes), place),
              Buffer.from('|'),
              bytes.subarray(place + needle.length, place + needle.length + aroundBytes),
            ])
            found.push({
              needle: i,
              locked,
              place: `${from}-${to} ${rights} ${name} +${(at + place - start).toString(16)}`,
              around: around.toString('latin1').replace(/[^ -~]/g, '.'),
            })
          }
        })
      }
    }
  } finally {
    buffer.fill(0)
    closeSync(memory)
  }
  return found
}

function readSome(memory: number, into: Buffer, length: number, position: number): number {
  try {
    return readSync(memory, into, 0, length, position)
  } catch {
    // Page by page, where one of them cannot be read.
    into.fill(0, 0, length)
    for (let at = 0; at < length; at += 4096) {
      try {
        readSync(memory, into, at, Math.min(4096, length - at), position + at)
      } catch {
        // It stays zeros.
      }
    }
    return length
  }
}
