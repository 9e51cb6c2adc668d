import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { exitCodes } from './exit-codes.ts'
import { Failure, misuse } from './failure.ts'
import { canAsk, type Terminal } from './terminal.ts'

/** Bytes that a person gave, and whether they came as text on the command line. */
export interface Given {
  readonly bytes: Buffer
  readonly literal: boolean
}

/** Reads a value: `@path` is the content of a file, `-` is standard input, anything else is the text itself. */
export async function readValue(terminal: Terminal, value: string): Promise<Given> {
  if (value === '-') return { bytes: await readAll(terminal.stdin), literal: false }
  if (value.startsWith('@')) return { bytes: readFile(terminal, value.slice(1)), literal: false }
  return { bytes: Buffer.from(value, 'utf8'), literal: true }
}

/** The content of a file named on the command line; `-` is standard input. Throws `Failure` when it cannot be read. */
export async function readInput(terminal: Terminal, path: string): Promise<Buffer> {
  return path === '-' ? readAll(terminal.stdin) : readFile(terminal, path)
}

/** The lines of a file or of standard input (`-`), as they come. */
export async function* readLines(terminal: Terminal, path: string): AsyncGenerator<string> {
  if (path !== '-') {
    yield* readFile(terminal, path).toString('utf8').split('\n')
    return
  }
  for await (const line of createInterface({ input: terminal.stdin, crlfDelay: Number.POSITIVE_INFINITY })) yield line
}

/**
 * A secret: from a file, from standard input, or asked for without showing what is typed. Never taken from a flag, which
 * every user of the machine can read.
 */
export async function readSecret(terminal: Terminal, question: string, source: string | undefined): Promise<string> {
  if (source !== undefined && source !== '-')
    return readFile(terminal, source.replace(/^@/, '')).toString('utf8').trim()
  if (source === '-' || !terminal.inIsTerminal) return (await readAll(terminal.stdin)).toString('utf8').trim()
  if (!canAsk(terminal))
    throw misuse('A secret is needed', 'There is nobody to ask.', [
      { command: '… < file', when: 'to give it on standard input' },
    ])
  return askHidden(terminal, question)
}

/** Asks, and answers the line that was typed. */
export function ask(terminal: Terminal, question: string): Promise<string> {
  terminal.err(question)
  const lines = createInterface({ input: terminal.stdin, terminal: false })
  return new Promise((done) => {
    let answer = ''
    lines.once('line', (line) => {
      answer = line
      lines.close()
    })
    lines.once('close', () => done(answer.trim()))
  })
}

type RawMode = Readable & { setRawMode?(on: boolean): unknown }

async function askHidden(terminal: Terminal, question: string): Promise<string> {
  const stdin = terminal.stdin as RawMode
  if (stdin.setRawMode === undefined) return ask(terminal, question)
  terminal.err(question)
  stdin.setRawMode(true)
  try {
    let typed = ''
    for await (const chunk of stdin) {
      for (const character of String(chunk)) {
        if (character === '\r' || character === '\n' || character === '\u0004') return typed
        if (character === '\u0003')
          throw new Failure('interrupted', { exit: exitCodes.interrupted, code: 'cli.interrupted' })
        if (character === '\u007f' || character === '\b') typed = typed.slice(0, -1)
        else typed += character
      }
    }
    return typed
  } finally {
    stdin.setRawMode(false)
    terminal.err('\n')
  }
}

async function readAll(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(Buffer.from(chunk as Uint8Array))
  return Buffer.concat(chunks)
}

function readFile(terminal: Terminal, path: string): Buffer {
  try {
    return readFileSync(resolve(terminal.directory, path))
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    const why =
      code === 'ENOENT'
        ? 'There is no such file.'
        : code === 'EISDIR'
          ? 'It is a directory.'
          : `The system says ${code ?? 'no'}.`
    throw new Failure(`${path} cannot be read`, { exit: exitCodes.usage, code: 'cli.file', why }, error)
  }
}
