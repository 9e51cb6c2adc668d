import { closeSync, mkdirSync, openSync, renameSync, statSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'

type Value = string | number | boolean | null | undefined
type Level = 'debug' | 'info' | 'warn' | 'error'

/** Where the lines of all processes meet. */
export interface Journal {
  /** A line of the supervisor's own: a constant sentence and scalar fields. */
  note(level: Level, message: string, fields?: Record<string, Value>): void
  /** A line that a child wrote: passed on with the child's name; what is no JSON object is wrapped in one. */
  pass(process: string, line: string): void
}

/**
 * JSON lines to `write`. With `people`, warnings and errors are also told there in words, for a terminal whose JSON goes
 * to a file.
 */
export function createJournal(write: (line: string) => void, level: string, people?: (line: string) => void): Journal {
  const levels = ['debug', 'info', 'warn', 'error']
  const least = levels.indexOf(level)
  const tell = (lineLevel: unknown, process: string, message: unknown, detail: unknown): void => {
    if (people && (lineLevel === 'warn' || lineLevel === 'error'))
      people(`${process}: ${message}${detail ? ` (${detail})` : ''}`)
  }
  return {
    note(lineLevel, message, fields = {}) {
      if (levels.indexOf(lineLevel) < least) return
      write(
        JSON.stringify({
          level: lineLevel,
          time: new Date().toISOString(),
          process: 'supervisor',
          ...fields,
          msg: message,
        }),
      )
      tell(lineLevel, typeof fields['child'] === 'string' ? fields['child'] : 'supervisor', message, fields['reason'])
    },
    pass(process, line) {
      const fields = parseObject(line)
      if (fields === null) {
        write(JSON.stringify({ level: 'error', time: new Date().toISOString(), process, msg: line }))
        tell('error', process, line, undefined)
        return
      }
      write(`{"process":${JSON.stringify(process)},${line.trim().slice(1)}`)
      tell(fields['level'], process, fields['msg'], fields['code'] ?? fields['error'])
    },
  }
}

/** Appends lines to a file, which is put aside as `<file>.1` when it has grown past 20 MB. */
export function openLogFile(file: string): (line: string) => void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  let descriptor = openSync(file, 'a', 0o600)
  let size = statSync(file).size
  return (line) => {
    if (size > 20_000_000) {
      closeSync(descriptor)
      renameSync(file, `${file}.1`)
      descriptor = openSync(file, 'a', 0o600)
      size = 0
    }
    size += writeSync(descriptor, `${line}\n`)
  }
}

function parseObject(line: string): Record<string, unknown> | null {
  if (!/^\s*\{\s*"/.test(line)) return null
  try {
    return JSON.parse(line) as Record<string, unknown>
  } catch {
    return null
  }
}
