import { spawn } from 'node:child_process'
import { rmSync } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Journal } from './journal.ts'
import { type ProcessMark, processMark, signalChild } from './processes.ts'
import { Refusal } from './refusal.ts'

/** A Node process that takes one JSON line on its input, and says on its output when it is ready. */
export interface ChildProgram {
  /** In the log. */
  readonly name: string
  /** The TypeScript file it runs. */
  readonly file: string
  readonly nodeOptions?: readonly string[]
  readonly directory: string
  readonly environment: Readonly<Record<string, string>>
  readonly configuration: object
  /** The socket that it makes: what one that was killed has left there is removed first. */
  readonly socket: string
}

export interface Child {
  readonly mark: ProcessMark
  /**
   * The fields of its ready line. Rejects with a `Refusal`, the child's own sentence or its last words, when it ends before.
   */
  readonly ready: Promise<Readonly<Record<string, unknown>>>
  /** How it ended (`exit 1`, `SIGKILL`), once it has. */
  readonly ended: Promise<string>
  /** SIGTERM: it drains and ends. */
  drain(): void
  kill(): void
}

/** How long a child may take to say that it is ready. */
const readyMilliseconds = 60_000

/**
 * Starts the program in a process group of its own, so that a terminal's Ctrl-C reaches the supervisor alone. Its input
 * stays open: when the supervisor is gone, whatever became of it, the child reads the end and stops by itself.
 */
export function startChild(program: ChildProgram, journal: Journal): Child {
  rmSync(program.socket, { force: true })
  const child = spawn(process.execPath, [...(program.nodeOptions ?? []), program.file], {
    cwd: program.directory,
    env: program.environment,
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  // A child that ends while it is being written to is noticed by its end.
  child.stdin.on('error', () => {})
  child.stdin.write(`${JSON.stringify(program.configuration)}\n`)

  let lastWords = ''
  createInterface({ input: child.stderr }).on('line', (line) => {
    if (line.trim() === '') return
    lastWords = line
    journal.pass(program.name, line)
  })
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message))
    child.once('close', (code, signal) => resolve(signal ?? `exit ${code}`))
  })
  const spoken = new Promise<Record<string, unknown>>((resolve) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      const message = parseLine(line)
      if (message?.['ready'] === true || typeof message?.['refusal'] === 'string') resolve(message)
      else journal.pass(program.name, line)
    })
  })
  const pid = child.pid ?? 0
  const kill = () => signalChild(child, 'SIGKILL', true)
  const ready = async () => {
    const late = setTimeout(kill, readyMilliseconds)
    const first = await Promise.race([spoken, ended])
    clearTimeout(late)
    if (typeof first === 'string')
      throw new Refusal(`The ${program.name} did not start (${first}): ${sentenceOf(lastWords)}`)
    if (typeof first['refusal'] !== 'string') return first
    await ended
    throw new Refusal(first['refusal'])
  }
  return {
    mark: processMark(pid) ?? { pid, started: 'gone' },
    ready: ready(),
    ended,
    drain: () => signalChild(child, 'SIGTERM'),
    kill,
  }
}

function sentenceOf(line: string): string {
  const { msg, error } = parseLine(line) ?? {}
  const sentence = typeof error === 'string' ? error : msg
  return typeof sentence === 'string' ? sentence : line || 'it said nothing.'
}

function parseLine(line: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null
  } catch {
    return null
  }
}
