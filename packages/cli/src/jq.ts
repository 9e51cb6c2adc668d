import { createRequire } from 'node:module'
import { exitCodes } from './exit-codes.ts'
import { Failure, misuse } from './failure.ts'

/** A jq filter: JSON in, and what `jq -r -c` prints of it, each output on a line; empty where there is none. */
export type JqFilter = (json: string) => string

/** The part of jq-web that is used; the package has no types. */
interface Jq {
  raw(json: string, filter: string, flags: readonly string[]): string | { readonly stdout: string } | undefined
}

/**
 * Loads jq (WebAssembly, only where it is asked for). Throws a usage `Failure` with jq's own words for an expression that
 * does not compile, so that nothing was done by then; the filter throws another `Failure` where it does not fit the data.
 */
export async function loadJq(expression: string): Promise<JqFilter> {
  const require = createRequire(import.meta.url)
  const jq = (await require('jq-web')) as Jq
  const run = (json: string, filter: string): string => {
    try {
      const answer = jq.raw(json, filter, ['-r', '-c']) ?? ''
      return typeof answer === 'string' ? answer : answer.stdout
    } catch (error) {
      throw refusalOf(error as Error)
    }
  }
  // Compiled and not run. The line's end is for an expression that ends in a comment.
  run('null', `if false then (${expression}\n) else empty end`)
  // With a space in front, what begins with a dash is an expression and never a flag of jq.
  return (json) => run(json, ` ${expression}`)
}

// jq's exit codes: 2 and 3 for its own usage and for expressions that do not compile, 5 for what fails on the data.
function refusalOf(error: Error): Failure {
  const [first = '', ...words] = error.message.trim().split('\n')
  const said = words.find((line) => line.startsWith('jq: error')) ?? words[0] ?? first
  const why = said.replace(/^jq: error(?: \(at [^)]*\))?: /, '').replace(/ at <top-level>, line \d+:$/, '')
  if (/: [23]$/.test(first)) return misuse('the expression of --jq is not accepted', `jq says: ${why}.`)
  return new Failure('the expression of --jq does not fit the data', {
    exit: exitCodes.failed,
    code: 'cli.jq',
    why: `jq says: ${why}. What the command does is done; only its output is missing.`,
    next: [{ command: '… --json', when: 'to see what a command prints that changes nothing' }],
  })
}
