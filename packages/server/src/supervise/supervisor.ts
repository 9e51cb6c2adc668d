import type { ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type Child, type ChildProgram, startChild } from './child.ts'
import { baseUrl, type Config } from './config.ts'
import type { Instance } from './data-directory.ts'
import { childIdentities } from './identities.ts'
import type { Journal } from './journal.ts'
import { type RunningDatabase, startDatabase } from './postgres.ts'
import { processMark, signalChild } from './processes.ts'
import { checkPortFree, checkWhole, connectionOf, databasePlace, serverProgram, signerProgram } from './programs.ts'
import { Refusal } from './refusal.ts'
import { clearEarlierRun, removeRunning, writeRunning } from './running.ts'
import {
  adminSocketName,
  makeSocketDirectories,
  removeSocketDirectories,
  type SocketDirectories,
  signerSocketName,
} from './sockets.ts'

/** The processes of one instance. */
export interface Supervisor {
  /** Starts all of them; rejects with a `Refusal` when one does not start, and then `stop` is still to be called. */
  start(): Promise<{ readonly url: string; readonly adminSocket: string }>
  /** Drains: the server finishes what is in flight, then the signer ends, then PostgreSQL. Good at any moment, also during `start`. */
  stop(): Promise<void>
  /** Ends all of them at once. Nothing that was answered is lost. */
  kill(): void
}

/** Waiting times between attempts to start again what ended, doubling. */
const firstPause = 100
const longestPause = 5_000

/** A child that ran this long had not ended because it was started: the next pause is the first again. */
const steadyMilliseconds = 10_000

/**
 * PostgreSQL (unless DATABASE_URL names another), the signer and the server on a data directory whose run lock the
 * caller holds. Whichever ends is started again.
 */
export function createSupervisor(config: Config, instance: Instance, journal: Journal): Supervisor {
  const children = new Map<string, Child>()
  let sockets: SocketDirectories | undefined
  let adminSocket = ''
  let url: string | null = null
  let database: { postmaster: ChildProcess; running: Promise<RunningDatabase> } | undefined
  let stopping = false
  let starting: Promise<unknown> = Promise.resolve()

  function start() {
    const started = startAll()
    starting = started.catch(() => {})
    return started
  }

  async function startAll() {
    const identities = childIdentities()
    checkWhole(config, instance)
    await clearEarlierRun(config.dataDirectory)
    await checkPortFree(config)
    refuseWhileStopping()
    sockets = makeSocketDirectories(config.dataDirectory, identities)
    adminSocket = join(sockets.admin, adminSocketName)
    const signerSocket = join(sockets.signer, signerSocketName)
    const place = config.databaseUrl === null ? databasePlace(config, instance, identities, sockets.database) : null
    const openDatabase = () => {
      if (place === null) throw new TypeError('database: the one at DATABASE_URL is not ours to start')
      const running = startDatabase(place, (postmaster) => {
        database = { postmaster, running }
        if (stopping) signalChild(postmaster, 'SIGINT')
      })
      return running
    }

    // PostgreSQL and the signer do not need one another to start.
    const signer = signerProgram(config, instance, identities, signerSocket)
    const [opened, signing] = await Promise.allSettled([place ? openDatabase() : undefined, startOne(signer)])
    if (opened.status === 'rejected') throw opened.reason
    if (signing.status === 'rejected') throw signing.reason
    const connection = config.databaseUrl === null ? connectionOf(opened.value) : { url: config.databaseUrl }
    let server = serverProgram(config, instance, identities, { database: connection, signerSocket, adminSocket })
    const serving = await startOne(server)
    const { port = config.port } = (await serving.ready) as { port?: number }
    // A free port that was taken once is kept when the server starts again.
    server = { ...server, configuration: { ...server.configuration, port } }
    url = baseUrl(config, port)
    publish()
    void keep('signer', signing.value, () => startOne(signer))
    void keep('server', serving, () => startOne(server))
    if (opened.value) void keep('postgres', opened.value, openDatabase)
    return { url, adminSocket }
  }

  async function startOne(program: ChildProgram): Promise<Child> {
    refuseWhileStopping()
    const child = startChild(program, journal)
    children.set(program.name, child)
    publish()
    await child.ready
    return child
  }

  async function keep<T extends { readonly ended: Promise<unknown> }>(
    name: string,
    first: T,
    again: () => Promise<T>,
  ): Promise<void> {
    let current: T | null = first
    let pause = firstPause
    while (current !== null) {
      const since = performance.now()
      const reason = await current.ended
      if (stopping) return
      if (performance.now() - since > steadyMilliseconds) pause = firstPause
      journal.note('error', 'ended and is started again', {
        child: name,
        reason: typeof reason === 'string' ? reason : undefined,
      })
      current = null
      while (current === null && !stopping) {
        await delay(pause)
        pause = Math.min(pause * 2, longestPause)
        current = stopping
          ? null
          : await again().catch((error: Error) => {
              if (!stopping) journal.note('error', 'did not start', { child: name, reason: error.message })
              return null
            })
      }
      if (current !== null) journal.note('info', 'was started again', { child: name })
    }
  }

  async function stop() {
    stopping = true
    for (const name of ['server', 'signer']) {
      const child = children.get(name)
      child?.drain()
      await child?.ended
    }
    if (database) signalChild(database.postmaster, 'SIGINT')
    await starting
    await (await database?.running.catch(() => null))?.stop()
    if (!sockets) return
    removeSocketDirectories(sockets.root, config.dataDirectory)
    removeRunning(config.dataDirectory)
  }

  function kill() {
    stopping = true
    for (const child of children.values()) child.kill()
    if (database) signalChild(database.postmaster, 'SIGKILL', true)
  }

  function refuseWhileStopping() {
    if (stopping) throw new Refusal('The start was ended by a signal.')
  }

  function publish() {
    if (!sockets) return
    const supervisor = processMark(process.pid) ?? { pid: process.pid, started: '' }
    const marks = [...children.values()].map((child) => child.mark)
    writeRunning(config.dataDirectory, { supervisor, children: marks, socketDirectory: sockets.root, adminSocket, url })
  }

  return { start, stop, kill }
}
