import { pino } from 'pino'

type Value = string | number | bigint | boolean | null | undefined

/** A log line is a constant sentence and flat fields. Bytes, secrets and whole objects do not type-check. */
export type Log = Record<'debug' | 'info' | 'warn' | 'error', (message: string, fields?: Record<string, Value>) => void>

/** JSON lines on stderr, where the supervisor takes them. `level` is one of pino's names. */
export function createLog(level: string): Log {
  const logger = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    pino.destination({ dest: 2, sync: true }),
  )
  const at = (name: 'debug' | 'info' | 'warn' | 'error') => (message: string, fields?: Record<string, Value>) =>
    logger[name](fields ?? {}, message)
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

/** What of an unknown error may be logged: its name and, for the database, the SQLSTATE. Messages may quote data. */
export function errorFields(error: unknown): Record<string, Value> {
  if (!(error instanceof Error)) return { error: typeof error }
  const code = (error as { code?: unknown }).code
  const frame = error.stack
    ?.split('\n')
    .find((line) => line.trimStart().startsWith('at '))
    ?.trim()
  return { error: error.name, code: typeof code === 'string' ? code : undefined, at: frame }
}
