import { existsSync, rmSync } from 'node:fs'
import { flushCompileCache } from 'node:module'
import { join } from 'node:path'
import { banner } from './banner.ts'
import type { Config } from './config.ts'
import { layout } from './contract.ts'
import { type Instance, inspectDataDirectory, makeDataDirectory } from './data-directory.ts'
import { childIdentities } from './identities.ts'
import { createJournal, type Journal, openLogFile } from './journal.ts'
import { Refusal } from './refusal.ts'
import { takeRunLock } from './run-lock.ts'
import { endBySignal, Interrupted } from './signals.ts'
import { createSupervisor } from './supervisor.ts'
import { makeFirstOrganization, organizationNames, refreshProfile } from './welcome.ts'

/**
 * Runs an existing instance until a signal ends it, and answers the exit code (`Ending.done`). Creates no instance.
 * At a terminal a person reads text on standard output and the JSON lines go to `<data>/logs/popsigner.log`; otherwise
 * the JSON lines are standard output and the text is on standard error. Throws `Refusal` when it does not start.
 */
export async function serve(config: Config): Promise<number> {
  const found = inspectDataDirectory(config.dataDirectory)
  if (found.kind !== 'instance') {
    throw new Refusal(
      `There is no instance in ${config.dataDirectory}: make one with popsigner init, or set POPSIGNER_DATA_DIR to where one is.`,
    )
  }
  makeDataDirectory(config.dataDirectory, childIdentities())
  const lock = takeRunLock(config.dataDirectory)
  try {
    return await run(config, found.instance)
  } finally {
    lock.release()
  }
}

async function run(config: Config, instance: Instance): Promise<number> {
  const terminal = process.stdout.isTTY === true
  // Whoever read us may be gone; that is no reason to stop signing.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
  const say = (line: string) => void (terminal ? process.stdout : process.stderr).write(`${line}\n`)
  const journal = terminal
    ? createJournal(openLogFile(join(config.dataDirectory, layout.logs, 'popsigner.log')), config.logLevel, say)
    : createJournal((line) => void process.stdout.write(`${line}\n`), config.logLevel)
  warnOfInsecureFlags(config, journal)

  const supervisor = createSupervisor(config, instance, journal)
  const ending = endBySignal(supervisor, journal, say)
  const began = performance.now()
  const clock = setInterval(() => say(`still starting: ${Math.round((performance.now() - began) / 1000)} s`), 4_000)
  try {
    const { url, adminSocket } = await Promise.race([supervisor.start(), ending.requested])
    journal.note('info', 'ready', { instance: instance.name, url })
    const welcome = join(config.dataDirectory, layout.welcome)
    const first = existsSync(welcome) ? await makeFirstOrganization(adminSocket, config.dataDirectory, url) : null
    if (first === null) refreshProfile(config.dataDirectory, url)
    say(banner(config, instance, url, process.cwd(), first, await organizationNames(adminSocket)))
    rmSync(welcome, { force: true })
    flushCompileCache()
  } catch (error) {
    if (!(error instanceof Interrupted)) {
      await stopWithin(supervisor, 5_000)
      throw error
    }
  } finally {
    clearInterval(clock)
  }
  return await ending.done
}

async function stopWithin(supervisor: { stop(): Promise<void>; kill(): void }, milliseconds: number): Promise<void> {
  const late = setTimeout(() => supervisor.kill(), milliseconds)
  await supervisor.stop()
  clearTimeout(late)
}

function warnOfInsecureFlags({ insecure, host, tls }: Config, journal: Journal): void {
  if (insecure.plainHttp && tls === null) {
    journal.note(
      'warn',
      'serves plain HTTP by --insecure-plain-http: everything between here and the proxy can be read and changed',
      { host },
    )
  }
  if (insecure.unlockedMemory) {
    journal.note('warn', 'keys may lie in memory that is swapped to disk, by --insecure-unlocked-memory')
  }
}
