import type { PopSigner } from '@popsigner/sdk'
import type { RouteId } from '@popsigner/sdk/routes'
import { type Admin, openAdmin } from './admin.ts'
import type { Given } from './command.ts'
import { type Act, confirm } from './confirm.ts'
import { connect, fetchOf } from './connect.ts'
import { exitCodes } from './exit-codes.ts'
import { Failure, misuse } from './failure.ts'
import { createHolder, type HeldRequest, noteAct, type Showing } from './held-request.ts'
import type { JqFilter } from './jq.ts'
import { createOutput, createProgress, type Output, type Progress } from './output.ts'
import { readSettings, type Settings } from './settings.ts'
import type { Terminal } from './terminal.ts'

/** What a command is given: its output, and on demand the server it speaks to. */
export interface Session {
  readonly terminal: Terminal
  readonly output: Output
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal
  /** Where the server is and who asks; read when first wanted. */
  settings(): Settings
  /** The client for the API. Throws `Failure` (not signed in) without an API key. */
  client(): PopSigner
  /** The host's socket of the running server. */
  admin(): Promise<Admin>
  /** Asks for consent; see `confirm`. What `where` adds stands before the server's address. */
  consent(act: Act): Promise<void>
  /** Starts a count; on Ctrl-C its summary is the last line. */
  progress(unit: string, total: number | null): Progress
  /** What is shown instead of being done, and the request it comes to, once the command has got that far. */
  readonly showing: Showing | null
  held(): HeldRequest | null
  /** What was done when the command was interrupted, or null. */
  interruptedAt(): string | null
}

/** Opens the session of one call. */
export function openSession(terminal: Terminal, given: SessionFlags, ports: SessionPorts): Session {
  const { signal, filter, calls } = ports
  const output = createOutput(terminal, given.json, filter)
  const holder = given.showing === null ? null : createHolder(calls, fetchOf(terminal))
  let settings: Settings | undefined
  let client: PopSigner | undefined
  let progress: Progress | undefined
  const session: Session = {
    terminal,
    output,
    signal,
    settings: () => (settings ??= readSettings(terminal.environment, terminal.directory, given)),
    client() {
      if (client !== undefined) return client
      const read = session.settings()
      if (read.apiKey === null) throw notSignedIn()
      client = connect(terminal, read, holder?.fetch)
      return client
    },
    async admin() {
      if (holder !== null)
        throw misuse(
          'the host’s commands have no request to show',
          'They speak over the admin socket and not to the API; leave the option out.',
        )
      return openAdmin(terminal.environment, terminal.directory)
    },
    consent: async (act) => (holder === null ? confirm(terminal, act, given) : noteAct(output, act)),
    held: () => holder?.held() ?? null,
    showing: given.showing,
    progress(unit, total) {
      progress = createProgress(terminal, unit, total)
      return progress
    },
    interruptedAt: () => progress?.summary() ?? null,
  }
  return session
}

/** What a session is opened with beside its flags. */
export interface SessionPorts {
  readonly signal: AbortSignal
  /** What `--jq` makes of the data. */
  readonly filter: JqFilter | null
  /** The routes that the command is there to call. */
  readonly calls: readonly RouteId[]
}

/** The common flags of a call. */
export interface SessionFlags {
  readonly json: boolean
  readonly jq: string | undefined
  readonly url: string | undefined
  readonly profile: string | undefined
  readonly yes: boolean
  readonly confirm: string | undefined
  readonly showing: Showing | null
}

/** The common flags out of what was parsed; one that the command does not have is as if not given. */
export function sessionFlags(given: Given, has: (name: string) => boolean): SessionFlags {
  const text = (name: string): string | undefined => (has(name) ? given.text(name) : undefined)
  const flag = (name: string): boolean => has(name) && given.flag(name)
  return {
    json: given.flag('json') || given.text('jq') !== undefined,
    jq: given.text('jq'),
    url: text('url'),
    profile: text('profile'),
    yes: flag('yes'),
    confirm: text('confirm'),
    showing: flag('print-request') ? 'request' : flag('dry-run') ? 'dry-run' : null,
  }
}

/** Whether a secret may be printed: to a terminal, or where `--reveal` asks for it. Throws a usage `Failure` otherwise. */
export function checkMayReveal(session: Session, given: Given): void {
  if (session.showing !== null) return
  if (given.text('to-file') !== undefined || given.flag('reveal') || session.terminal.outIsTerminal) return
  throw new Failure('the secret would go where it may be kept', {
    exit: exitCodes.usage,
    code: 'cli.secret_to_pipe',
    why: 'Standard output is no terminal, and the secret is shown this once.',
    next: [
      { command: '… --to-file <path>', when: 'to write it to a file of mode 0600' },
      { command: '… --reveal', when: 'to print it nevertheless' },
    ],
  })
}

/** There is no API key to use. */
export function notSignedIn(): Failure {
  return new Failure('not signed in', {
    exit: exitCodes.notPermitted,
    code: 'cli.not_signed_in',
    why: 'POPSIGNER_API_KEY is not set and no profile is saved.',
    next: [
      { command: 'export POPSIGNER_API_KEY=psk_live_…', when: 'for this shell' },
      { command: 'popsigner login', when: 'to save it in a profile' },
      { command: 'popsigner api-keys create me --org <organization>', when: 'on the host: to make another one' },
    ],
  })
}
