import { TrustError } from '@popsigner/sdk/errors'
import { CommanderError } from 'commander'
import manifest from '../package.json' with { type: 'json' }
import { buildParser, type CommandRow, type Given, optionName, optionsOf, usageFailure } from './command.ts'
import { checkEnvironment } from './environment.ts'
import { exitCodes } from './exit-codes.ts'
import { Failure, failureDocument, failureLines, misuse } from './failure.ts'
import { quote, showHeld } from './held-request.ts'
import { loadJq } from './jq.ts'
import { withWayBack } from './lost-records.ts'
import { neededScopes } from './needed-scopes.ts'
import { createOutput, paint } from './output.ts'
import { failureOf } from './refusals.ts'
import { openSession, type Session, sessionFlags } from './session.ts'
import { printable, type Terminal, wantsColor } from './terminal.ts'
import { groups, rows } from './tree.ts'

/**
 * Runs one command and answers its exit code. `words` are the arguments after the program's name. Never throws. When
 * `signal` is aborted, what was done so far is said and the code is that of an interruption.
 */
export async function run(words: readonly string[], terminal: Terminal, signal: AbortSignal): Promise<number> {
  let session: Session | undefined
  let exit: number = exitCodes.done
  try {
    refuseSecrets(words)
    checkEnvironment(terminal.environment)
    const asked = askedScopes(words)
    if (asked !== null) {
      showScopes(asked, terminal, words)
      return exitCodes.done
    }
    const parser = buildParser(
      groups,
      rows,
      async (row, given) => {
        const has = (name: string): boolean => optionsOf(row).some(({ flags }) => optionName(flags) === name)
        const flags = sessionFlags(given, has)
        const filter = flags.jq === undefined ? null : await loadJq(flags.jq)
        session = openSession(terminal, flags, { signal, filter, calls: row.calls ?? [] })
        const answer = await orAborted(runOrShow(row, session, given), signal)
        if (typeof answer === 'number') exit = answer
      },
      (text) => terminal.out(text),
      terminal.columns,
    )
    parser.version(manifest.version, '--version', 'Show the version.')
    await parser.parseAsync([...words], { from: 'user' })
    return exit
  } catch (error) {
    const failure =
      error instanceof CommanderError ? usageFailure(error, knownWords(words)) : await toFailure(error, session, signal)
    if (failure === null) return exitCodes.done
    const done = signal.aborted ? null : session?.interruptedAt()
    if (done && (failure as Failure).detail.exit !== exitCodes.partly) session?.output.note(`Done until then: ${done}.`)
    report(failure as Failure, terminal, session?.output.json ?? words.some((word) => /^--(json|jq)(=|$)/.test(word)))
    return (failure as Failure).detail.exit
  }
}

/** Runs a command, or shows the request it comes to; what then fails because that was not sent is no failure. */
async function runOrShow(row: CommandRow, session: Session, given: Given): Promise<unknown> {
  const { showing } = session
  if (showing === null) return row.run(session, given)
  try {
    await row.run(session, given)
  } catch (error) {
    if (session.held() === null) throw error
  }
  const held = session.held()
  if (held === null) session.output.note('It makes no request.')
  else showHeld(session.output, showing, held, tokenReference(session))
  return undefined
}

/** How a shell gets the API key that this command would use. */
function tokenReference({ settings, terminal }: Session): string {
  const { apiKey, profile } = settings()
  if (terminal.environment['POPSIGNER_API_KEY'] || apiKey === null) return '$POPSIGNER_API_KEY'
  // Started by npx, it is in no PATH but npx's.
  const program = terminal.environment['npm_command'] === 'exec' ? 'npx popsigner' : 'popsigner'
  return `$(${program} auth token --reveal${profile === null ? '' : ` --profile ${quote(profile)}`})`
}

/** The scopes of the command that is named, for `--print-scopes`, which needs none of its arguments. Null for anything else. */
function askedScopes(words: readonly string[]): CommandRow | null {
  const end = words.indexOf('--')
  if (!(end < 0 ? words : words.slice(0, end)).includes('--print-scopes')) return null
  const path = knownWords(words).join(' ')
  return rows.find((row) => row.path === path && (row.calls ?? row.also) !== undefined) ?? null
}

function showScopes(row: CommandRow, terminal: Terminal, words: readonly string[]): void {
  const scopes = neededScopes(row)
  const output = createOutput(terminal, words.includes('--json'))
  if (output.json) output.object(scopes)
  else for (const { scope, when } of scopes) output.line(when === null ? scope : `${scope}\t${when}`)
}

/** A promise that also ends when the signal does. */
function orAborted(work: Promise<unknown>, signal: AbortSignal): Promise<unknown> {
  const aborted = new Promise<never>((_, fail) => {
    if (signal.aborted) fail(signal.reason)
    signal.addEventListener('abort', () => fail(signal.reason), { once: true })
  })
  aborted.catch(() => {})
  return Promise.race([work, aborted])
}

async function toFailure(error: unknown, session: Session | undefined, signal: AbortSignal): Promise<Failure> {
  if (signal.aborted) {
    const done = session?.interruptedAt()
    return new Failure('interrupted', {
      exit: exitCodes.interrupted,
      code: 'cli.interrupted',
      ...(done && { why: `Done until then: ${done}.` }),
    })
  }
  let settings = null
  try {
    settings = session?.settings() ?? null
  } catch {
    // The settings are what failed; there is no server to name.
  }
  const failure = failureOf(error, settings)
  return session && error instanceof TrustError ? withWayBack(failure, error, () => session.client()) : failure
}

function report(failure: Failure, terminal: Terminal, json: boolean): void {
  if (json) terminal.err(`${JSON.stringify(failureDocument(failure))}\n`)
  else
    terminal.err(
      `${failureLines(failure)
        .map((line) => paint(line.split('\n').map(printable).join('\n'), wantsColor(terminal)))
        .join('\n')}\n`,
    )
}

/** Refuses an API key on the command line before anything is parsed, and never repeats it. */
function refuseSecrets(words: readonly string[]): void {
  const flag = words.find((word) => /^--(api-?key|token)(=|$)/.test(word))
  if (flag === undefined && !words.some((word) => word.includes('psk_live_'))) return
  throw misuse(
    'an API key is not taken from the command line',
    'Every user of this machine can read it there, and the shell keeps it in its history. If it was a real one, rotate it.',
    [
      { command: 'export POPSIGNER_API_KEY="$(cat <file>)"', when: 'for this shell' },
      { command: 'popsigner login', when: 'to save it in a profile' },
    ],
  )
}

/** The words that name a command, for the help to point at. */
function knownWords(words: readonly string[]): readonly string[] {
  const paths = rows.map(({ path }) => `${path} `)
  let known = ''
  for (const word of words) {
    const longer = `${known}${word} `
    if (!paths.some((path) => path.startsWith(longer))) break
    known = longer
  }
  return known === '' ? [] : known.trim().split(' ')
}
