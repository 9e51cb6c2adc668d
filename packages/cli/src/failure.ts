import { type ExitCode, exitCodes } from './exit-codes.ts'

/** A command to paste, and when it helps. */
export interface NextStep {
  readonly command: string
  readonly when: string
}

/** What a person is told about a command that did not do what it was asked. */
export interface FailureDetail {
  readonly exit: ExitCode
  /** The cause in one sentence. */
  readonly why?: string
  readonly next?: readonly NextStep[]
  /** Advice that is no command. */
  readonly advice?: string
  readonly docs?: string
  readonly request?: string
  /** The problem document of the API, where one was answered; it is what `--json` shows. */
  readonly problem?: Readonly<Record<string, unknown>>
  /** Stable name for `--json` where there is no problem document. */
  readonly code?: string
}

/** The end of a command that failed. `message` is what failed, without a full stop; it holds no secret. */
export class Failure extends Error {
  override name = 'Failure'
  readonly detail: FailureDetail

  constructor(what: string, detail: FailureDetail, cause?: unknown) {
    super(what, cause === undefined ? undefined : { cause })
    this.detail = detail
  }
}

/** Wrong usage: exit code 2, nothing was done. */
export function misuse(what: string, why: string, next: readonly NextStep[] = []): Failure {
  return new Failure(what, { exit: exitCodes.usage, why, next, code: 'cli.usage' })
}

/** The lines for standard error. The first says what failed; no line is left out because another is there. */
export function failureLines(failure: Failure): string[] {
  const { why, next = [], advice, docs, request } = failure.detail
  const lines = [`✕ ${failure.message}`]
  if (why !== undefined) lines.push(`  why:  ${why}`)
  if (advice !== undefined) lines.push(`  fix:  ${advice}`)
  for (const { command, when } of next) lines.push(`  fix:  ${command}    # ${when}`)
  if (docs !== undefined) lines.push(`  docs: ${docs}`)
  if (request !== undefined) lines.push(`  request: ${request}`)
  return lines
}

/** The object for standard error under `--json`: the problem document as it came, and what to do next. */
export function failureDocument(failure: Failure): Record<string, unknown> {
  const { problem, why, advice, code = 'cli.failed', next = [], exit } = failure.detail
  const document = problem ?? { code, title: failure.message, ...(why !== undefined && { detail: why }) }
  return { ...document, ...(advice !== undefined && { advice }), exit, next }
}
