import type { CommandRow } from './command.ts'
import { clientVariables, foreignVariables, serverVariables } from './environment.ts'
import { exitCodeMeanings } from './exit-codes.ts'
import type { Output } from './output.ts'

/** What an API key can be allowed to do. A test holds the names against the server's OpenAPI document. */
export const scopes: Readonly<Record<string, string>> = {
  'api:keys:read':
    'List keys, read them and their history, verify signatures, list namespaces, read the facts of the signer.',
  'api:keys:write': 'Create, import, change, rotate and delete keys.',
  'api:keys:sign': 'Sign with keys.',
  'api:keys:export': 'Export keys that were created exportable.',
  'api:namespaces:write': 'Create and delete namespaces.',
  'api:audit:read': 'Read records, receipts, checkpoints and consistency proofs.',
  'api:access:read': 'List API keys.',
  'api:access:write': 'Create, rotate and revoke API keys; make a suspended key active again.',
  'api:billing:read': 'Read invoices and usage.',
  'api:billing:write': 'Change the subscription.',
}

/** Pages of `popsigner help` that belong to no command. */
export const topicCommands: readonly CommandRow[] = [
  topic('exit-codes', 'What the exit codes mean', (output) => {
    if (output.json) return output.object(exitCodeMeanings.map(([code, meaning]) => ({ code, meaning })))
    for (const [code, meaning] of exitCodeMeanings) output.line(`${String(code).padStart(3)}  ${meaning}`)
  }),
  topic('environment', 'The variables that are read', (output) => {
    const parts = { command: clientVariables, server: serverVariables, other: foreignVariables }
    if (output.json) return output.object(parts)
    output.line(
      'A setting is taken from the flag, else from the environment, else from the profile, else it has its default.',
    )
    for (const [title, variables] of [
      ['The command:', clientVariables],
      ['init, serve and host commands:', serverVariables],
      ['Honoured as well:', foreignVariables],
    ] as const) {
      output.line(`\n${title}`)
      for (const [name, meaning] of Object.entries(variables)) output.line(`  ${name}\n      ${meaning}`)
    }
    output.line('\nAny other POPSIGNER_ variable is an error.')
  }),
  topic('formatting', 'What is printed, and how scripts read it', (output) => {
    if (output.json) return output.object({ formatting })
    for (const line of formatting) output.line(line)
  }),
  topic('scopes', 'What an API key can be allowed to do', (output) => {
    if (output.json) return output.object(scopes)
    for (const [name, meaning] of Object.entries(scopes)) output.line(`${name.padEnd(22)}  ${meaning}`)
  }),
]

const formatting: readonly string[] = [
  'Standard output is data and nothing else; what people read, questions and progress go to standard error.',
  'With --json an object is what the API answers, unchanged; a list is one array; a stream (sign batch, audit watch, audit list --all, seal rotate) is one object a line.',
  'With --json an error is one line of JSON on standard error: the problem document of the API, with exit and next, a list of {command, when}.',
  'Without it, tables have aligned columns and a header at a terminal; elsewhere they are tab-separated and have none. An empty value is –.',
  'Values that take data: text as it stands, @file for the bytes of a file, - for standard input.',
  'Control characters in foreign text are shown as U+001B.',
  'Times are UTC. Signatures are base64, keys and digests lower-case hex.',
]

function topic(name: string, summary: string, print: (output: Output) => void): CommandRow {
  return {
    path: `help ${name}`,
    summary,
    description: 'A page of help.',
    examples: [`popsigner help ${name}`, `popsigner help ${name} --json`],
    speaksTo: 'none',
    run: async ({ output }) => print(output),
  }
}
