import { type ChildProcess, spawn } from 'node:child_process'
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { callAdmin } from '../packages/server/src/supervise/admin-client.ts'
import { descendants } from './processes.ts'

/** A running throw-away instance, with everything that a real one has: its own PostgreSQL with fsync on, signer, supervisor. */
export interface Instance {
  readonly host: string
  readonly port: number
  readonly url: string
  /** An API key with every scope. */
  readonly token: string
  readonly supervisor: number
  /** How to connect to its database, as the role that owns the tables. */
  readonly database: { host: string; port: number; user: string; database: string; password: string }
  /** One call to the API. Throws for an answer of 400 or more. */
  // biome-ignore lint/suspicious/noExplicitAny: answers are read where the call is made.
  call(method: string, path: string, body?: object): Promise<any>
  /** How long the oldest record has waited for the projection, in milliseconds. */
  lagMilliseconds(): Promise<number>
  /** Waits until nothing waits for the projection, so that one measurement leaves no work to the next. */
  settled(): Promise<void>
  /** Ends every process and removes every file. Can be called at any time, and twice. */
  remove(): Promise<void>
}

const startFile = join(import.meta.dirname, '..', 'packages', 'server', 'src', 'supervise', 'start.ts')
const dataName = 'data'
const prefix = 'popsigner-bench-'
const ownerMark = 'owner'
const startMilliseconds = 60_000
const stopMilliseconds = 15_000
const settleMilliseconds = 20_000

/**
 * Starts an instance in a new directory below `parent` (the system's temporary one). `track` is given what removes it
 * before anything is made, so that an interruption leaves nothing.
 */
export async function startInstance(
  track: (remove: () => Promise<void>) => void,
  parent = tmpdir(),
): Promise<Instance> {
  removeAbandoned(parent)
  const place = mkdtempSync(join(parent, prefix))
  writeFileSync(join(place, ownerMark), String(process.pid))
  // Started by root, PostgreSQL is another user, who must pass through.
  chmodSync(place, 0o711)
  const data = join(place, dataName)
  const logFile = join(place, 'log')
  let supervisor: ChildProcess | undefined
  let removal: Promise<void> | undefined
  const remove = (): Promise<void> => {
    removal ??= removeAll(supervisor, place)
    return removal
  }
  track(remove)

  const log = openSync(logFile, 'w')
  const environment = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith('POPSIGNER_') && name !== 'DATABASE_URL'),
  )
  supervisor = spawn(process.execPath, [startFile], {
    // A group of its own: Ctrl-C is ours to pass on. By the channel it notices when we were killed.
    detached: true,
    stdio: ['ignore', log, log, 'ipc'],
    env: { ...environment, POPSIGNER_DATA_DIR: data, POPSIGNER_PORT: '0', POPSIGNER_LOG_LEVEL: 'info' },
  })
  closeSync(log)
  const running = await whenRunning(supervisor, data, logFile)
  const { hostname, port } = new URL(running.url)
  const lagMilliseconds = async (): Promise<number> =>
    Number((await callAdmin(running.adminSocket, 'GET', 'status'))['projection_lag_ms'])
  return {
    host: hostname,
    port: Number(port),
    url: running.url,
    token: running.token,
    supervisor: supervisor.pid as number,
    get database() {
      const password = readFileSync(join(data, 'postgres.password'), 'utf8').trim()
      return {
        host: join(running.socketDirectory, 'db'),
        port: 5432,
        user: 'popsigner',
        database: 'popsigner',
        password,
      }
    },
    async call(method, path, body) {
      const response = await fetch(running.url + path, {
        method,
        headers: {
          authorization: `Bearer ${running.token}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      const text = await response.text()
      if (response.status >= 400) throw new Error(`${method} ${path}: ${response.status} ${text}`)
      return JSON.parse(text)
    },
    lagMilliseconds,
    async settled() {
      const until = performance.now() + settleMilliseconds
      while ((await lagMilliseconds()) > 0 && performance.now() < until) await delay(20)
    },
    remove,
  }
}

interface Running {
  readonly url: string
  readonly adminSocket: string
  readonly socketDirectory: string
  readonly token: string
}

async function whenRunning(supervisor: ChildProcess, data: string, logFile: string): Promise<Running> {
  const until = performance.now() + startMilliseconds
  while (supervisor.exitCode === null && supervisor.signalCode === null && performance.now() < until) {
    const running = readJson(join(data, 'run.json'))
    const profiles = readJson(join(data, 'client', 'profiles.json')) as {
      profiles?: { default?: { api_key?: string } }
    } | null
    const token = profiles?.profiles?.default?.api_key
    // The mark goes when the start is over.
    if (running?.['url'] && token !== undefined && !existsSync(join(data, 'welcome'))) {
      return { ...(running as Omit<Running, 'token'> & Record<string, unknown>), token }
    }
    await delay(20)
  }
  throw new Error(
    `The instance did not start. Its last words:\n${readFileSync(logFile, 'utf8').split('\n').slice(-12).join('\n')}`,
  )
}

async function removeAll(supervisor: ChildProcess | undefined, place: string): Promise<void> {
  if (supervisor?.pid !== undefined && supervisor.exitCode === null && supervisor.signalCode === null) {
    const ended = new Promise((resolve) => supervisor.once('exit', resolve))
    const family = descendants(supervisor.pid)
    supervisor.kill('SIGTERM')
    const late = setTimeout(() => {
      for (const pid of family) {
        try {
          process.kill(pid, 'SIGKILL')
        } catch {
          // Gone.
        }
      }
    }, stopMilliseconds)
    await ended
    clearTimeout(late)
  }
  removeFiles(place)
}

function removeFiles(place: string): void {
  const further = readJson(join(place, dataName, 'instance.json'))?.['further_directory']
  if (typeof further === 'string') rmSync(further, { recursive: true, force: true })
  rmSync(place, { recursive: true, force: true })
}

/** What a bench that was killed has left there: up to 16 GB. Its processes have ended by themselves. */
function removeAbandoned(parent: string): void {
  for (const name of readdirSync(parent)) {
    if (!name.startsWith(prefix)) continue
    try {
      process.kill(Number(readFileSync(join(parent, name, ownerMark), 'utf8')), 0)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ESRCH') removeFiles(join(parent, name))
    }
  }
}

function readJson(file: string): Record<string, unknown> | null {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>
  } catch {
    return null
  }
}
