import type { Readable } from 'node:stream'
import type { Environment } from './environment.ts'

/** The world around a command: everything it may read and write, so that a test can give it another one. */
export interface Terminal {
  readonly environment: Environment
  /** Working directory; relative paths are taken from it. */
  readonly directory: string
  readonly stdin: Readable
  /** Writes to standard output, which carries data and nothing else. */
  out(text: string): void
  /** Writes to standard error: what people read. */
  err(text: string): void
  readonly inIsTerminal: boolean
  readonly outIsTerminal: boolean
  readonly errIsTerminal: boolean
  /** Width of the terminal in columns. */
  readonly columns: number
}

/** Whether colours are wanted on standard error, after NO_COLOR, CLICOLOR_FORCE and TERM. */
export function wantsColor({ environment, errIsTerminal }: Terminal): boolean {
  if ((environment['NO_COLOR'] ?? '') !== '') return false
  if ((environment['CLICOLOR_FORCE'] ?? '0') !== '0') return true
  return errIsTerminal && environment['TERM'] !== 'dumb'
}

/** Whether a line may redraw itself. */
export function mayRedraw({ environment, errIsTerminal }: Terminal): boolean {
  return errIsTerminal && environment['TERM'] !== 'dumb' && (environment['ACCESSIBLE'] ?? '') === ''
}

/** Whether a question can be asked and answered. */
export function canAsk({ environment, inIsTerminal, errIsTerminal }: Terminal): boolean {
  const forbidden = environment['POPSIGNER_NO_PROMPT'] ?? ''
  return inIsTerminal && errIsTerminal && (forbidden === '' || forbidden === '0')
}

/**
 * Foreign text made safe to show: control characters, which could move the cursor or rewrite what stands above, and
 * characters that turn the direction of writing are shown as `U+202E`.
 */
export function printable(text: string): string {
  return text.replace(
    /[\p{Cc}\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/gu,
    (character) => `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`,
  )
}
