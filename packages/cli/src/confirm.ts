import { exitCodes } from './exit-codes.ts'
import { Failure } from './failure.ts'
import { ask } from './input.ts'
import { canAsk, printable, type Terminal } from './terminal.ts'

/** An act that is not simply undone. */
export interface Act {
  /** What will happen, as a sentence without a full stop: `Suspend production/treasury`. */
  readonly what: string
  /** What it means for whoever relies on it. */
  readonly consequence: string
  /** Whom it concerns: organization, namespace and server, as lines. */
  readonly where: readonly string[]
  /** What must be typed where it cannot be undone; null where `y` is enough. */
  readonly name: string | null
}

/** The flags `--yes` and `--confirm`. */
export interface Consent {
  readonly yes: boolean
  readonly confirm: string | undefined
}

/**
 * Asks before an act. What interrupts somebody is asked for with [y/N], or allowed by `--yes`; what cannot be undone
 * needs the name typed, or given with `--confirm`, and `--yes` does not stand in for it. Where nobody can be asked it is
 * refused. Throws `Failure` unless there is consent.
 */
export async function confirm(terminal: Terminal, act: Act, consent: Consent): Promise<void> {
  const { what, consequence, where, name } = act
  if (name !== null && consent.confirm !== undefined) {
    if (consent.confirm === name) return
    throw refusal(
      what,
      `--confirm is ${JSON.stringify(consent.confirm)} and the name is ${JSON.stringify(name)}.`,
      name,
    )
  }
  if (name === null && (consent.yes || consent.confirm !== undefined)) return
  if (!canAsk(terminal)) {
    throw refusal(
      what,
      name === null
        ? 'It needs a yes, and there is nobody to ask.'
        : 'It cannot be undone, and there is nobody to ask.',
      name,
    )
  }
  for (const line of [...where, `${what}.`, consequence]) terminal.err(`${printable(line)}\n`)
  if (name === null) {
    const answer = await ask(terminal, 'Go on? [y/N] ')
    if (/^y(es)?$/i.test(answer)) return
    throw new Failure('nothing was done', {
      exit: exitCodes.failed,
      code: 'cli.not_confirmed',
      why: 'The answer was no.',
    })
  }
  const answer = await ask(terminal, `This cannot be undone. Type ${name} to go on: `)
  if (answer === name) return
  throw new Failure('nothing was done', {
    exit: exitCodes.failed,
    code: 'cli.not_confirmed',
    why: `What was typed is not ${name}.`,
  })
}

function refusal(what: string, why: string, name: string | null): Failure {
  const flag = name === null ? '--yes' : `--confirm=${name}`
  return new Failure(`refused without consent: ${what}`, {
    exit: exitCodes.usage,
    code: 'cli.consent_needed',
    why,
    next: [{ command: `… ${flag}`, when: 'if you are sure: the same command with it' }],
  })
}
