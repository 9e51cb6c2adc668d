/**
 * Runs the scripts in `testdata/*.txt`, for tests. A script is a file of commands, in the manner of Go's testscript, and of
 * files (`-- name --` and what follows) that are there when it runs, in an empty working directory:
 *
 *     popsigner keys create      runs the command with these words; '…' keeps spaces
 *     exit 2                     the code must be this (0 unless a line says so)
 *     stdout 'regex'             standard output of the last command matches, line by line; ! stdout . for nothing at all
 *     stderr 'regex'
 *     cmp stdout name            standard output is exactly this file
 *     env NAME=value             for what follows; an empty value unsets it
 *     stdin 'text' | @name       what the next command reads; terminal is said by `terminal`
 *     chmod 644 name             the file's mode; files are 0600
 *     terminal in out err        which streams of the next command are a terminal
 */
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { run } from './run.ts'

/** What a command of a script left behind. */
export interface Ran {
  readonly exit: number
  readonly stdout: string
  readonly stderr: string
}

/** How a command is run: another signal, other streams. */
export interface RunOptions {
  readonly environment?: Readonly<Record<string, string>>
  readonly stdin?: string
  readonly terminals?: readonly string[]
  readonly signal?: AbortSignal
}

/** Runs one command in this process, in `directory`, with nothing of this process's environment. */
export async function runCommand(directory: string, words: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const { environment = {}, stdin = '', terminals = [], signal = new AbortController().signal } = options
  let stdout = ''
  let stderr = ''
  const exit = await run(
    words,
    {
      environment: { HOME: directory, ...environment },
      directory,
      stdin: Readable.from(stdin === '' ? [] : [Buffer.from(stdin)]),
      out: (text) => {
        stdout += text
      },
      err: (text) => {
        stderr += text
      },
      inIsTerminal: terminals.includes('in'),
      outIsTerminal: terminals.includes('out'),
      errIsTerminal: terminals.includes('err'),
      columns: 80,
    },
    signal,
  )
  return { exit, stdout, stderr }
}

/** Runs a script in an empty `directory`. Throws an `Error` that names the line which does not hold. */
export async function runScript(text: string, directory: string): Promise<void> {
  const [script = '', ...files] = text.split(/^-- (\S+) --\n/m)
  for (let i = 0; i < files.length; i += 2) {
    const path = join(directory, files[i] ?? '')
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, files[i + 1] ?? '', { mode: 0o600 })
  }
  const environment: Record<string, string> = {}
  let last: Ran | undefined
  let checkedExit = true
  let stdin = ''
  let terminals: string[] = []
  for (const [number, line] of script.split('\n').entries()) {
    const fail = (why: string): never => {
      throw new Error(`line ${number + 1}: ${line}\n${why}\n--- stdout\n${last?.stdout}--- stderr\n${last?.stderr}`)
    }
    const [verb, ...words] = splitWords(line)
    if (verb === undefined || verb.startsWith('#')) continue
    if (verb !== 'exit' && !checkedExit) {
      if (last?.exit !== 0) fail(`the command before ended with ${last?.exit}`)
      checkedExit = true
    }
    const negated = verb === '!'
    const what = negated ? words.shift() : verb
    if (what === 'popsigner') {
      last = await runCommand(directory, words, { environment, stdin, terminals })
      checkedExit = false
      stdin = ''
      terminals = []
    } else if (what === 'exit') {
      if (String(last?.exit) !== words[0]) fail(`it ended with ${last?.exit}`)
      checkedExit = true
    } else if (what === 'env') {
      const [name = '', value = ''] = (words[0] ?? '').split(/=(.*)/s)
      if (value === '') delete environment[name]
      else environment[name] = value
    } else if (what === 'stdin') {
      const given = words[0] ?? ''
      stdin = given.startsWith('@') ? readFileSync(join(directory, given.slice(1)), 'utf8') : given
    } else if (what === 'terminal') terminals = words
    else if (what === 'chmod') chmodSync(join(directory, words[1] ?? ''), Number.parseInt(words[0] ?? '', 8))
    else if (what === 'cmp') {
      if (last?.stdout !== readFileSync(join(directory, words[1] ?? ''), 'utf8')) fail('they differ')
    } else if (what === 'stdout' || what === 'stderr') {
      if (new RegExp(words[0] ?? '', 'm').test(last?.[what] ?? '') === negated)
        fail(negated ? 'it matches' : 'it does not match')
    } else fail('no such verb')
  }
  if (!checkedExit && last?.exit !== 0) throw new Error(`the last command ended with ${last?.exit}\n${last?.stderr}`)
}

function splitWords(line: string): string[] {
  return [...line.matchAll(/'([^']*)'|(\S+)/g)].map((match) => match[1] ?? match[2] ?? '')
}
