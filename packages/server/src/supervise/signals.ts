import { setTimeout as delay } from 'node:timers/promises'
import type { Journal } from './journal.ts'
import type { Supervisor } from './supervisor.ts'

/** A start that a signal ended before it was over. */
export class Interrupted extends Error {
  override name = 'Interrupted'
}

export interface Ending {
  /** Rejects with `Interrupted` when an end is asked for; never fulfilled. */
  readonly requested: Promise<never>
  /** The exit code once everything has ended: 0 drained, 1 the time ran out, 130 a second signal ended it at once. */
  readonly done: Promise<number>
}

/** From the first signal until what still runs is ended by force. */
const drainMilliseconds = 10_000

/** A terminal's Ctrl-C reaches npm, the wrapper and us, and each passes it on: what comes this close together is one. */
const oneSignalMilliseconds = 400

/**
 * Ends the supervisor's processes on SIGINT, SIGTERM, SIGHUP, or when the wrapper that started us has gone: drains, and
 * ends at once on a second signal or after 10 s.
 */
export function endBySignal(supervisor: Supervisor, journal: Journal, say: (line: string) => void): Ending {
  let askedAt: number | undefined
  let force: (code: number) => void = () => {}
  let interrupt: (error: Interrupted) => void = () => {}
  let finish: (code: number) => void = () => {}
  const requested = new Promise<never>((_, reject) => {
    interrupt = reject
  })
  requested.catch(() => {})
  const done = new Promise<number>((resolve) => {
    finish = resolve
  })
  const forced = new Promise<number>((resolve) => {
    force = resolve
  })

  const end = async (reason: string) => {
    const now = performance.now()
    if (askedAt !== undefined) {
      if (now - askedAt > oneSignalMilliseconds) force(130)
      return
    }
    askedAt = now
    journal.note('info', 'drains', { reason })
    say('Ending: what is in flight is finished first. Ctrl-C again ends at once.')
    interrupt(new Interrupted())
    const late = setTimeout(force, drainMilliseconds, 1)
    const stopped = supervisor.stop().then(
      () => 0,
      () => 1,
    )
    let code = await Promise.race([stopped, forced])
    clearTimeout(late)
    if (code !== 0) {
      journal.note('warn', 'ends what still runs', { reason: code === 1 ? 'the drain took too long' : 'asked twice' })
      supervisor.kill()
      await Promise.race([stopped, delay(2_000)])
      code = Math.max(code, 1)
    }
    finish(code)
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void end(signal))
  if (process.connected) process.once('disconnect', () => void end('the process that started this one is gone'))
  return { requested, done }
}
