import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { callAdmin } from '../packages/server/src/supervise/admin-client.ts'
import { databaseName, databasePort } from '../packages/server/src/supervise/postgres.ts'

const root = join(import.meta.dirname, '..')
const startMilliseconds = 60_000

/** An answer: status, headers and the parsed body (text where it is not JSON). */
export interface Answer {
  readonly status: number
  readonly headers: Headers
  // biome-ignore lint/suspicious/noExplicitAny: tests read bodies freely; a missing field fails them.
  readonly body: any
}

/** A real instance with everything it consists of, in a directory of its own. */
export interface TestInstance {
  readonly directory: string
  readonly url: string
  /** The first API key, with every scope. */
  readonly token: string
  readonly supervisor: ChildProcess
  /** Process ids of the running signer and server, and of PostgreSQL. */
  processes(): { signer: number; server: number; postgres: number }
  /** What the processes have written: JSON lines and the banner. */
  output(): string
  call(method: string, path: string, body?: unknown, options?: CallOptions): Promise<Answer>
  admin(method: 'GET' | 'POST', path: string, body?: object): Promise<Record<string, unknown>>
  /** A connection to the instance's database in the role of the server, which owns every table. */
  database(): Promise<pg.Client>
  /** SIGTERM, then waits. */
  stop(): Promise<number | null>
  /** Starts again on the same directory. */
  restart(): Promise<void>
  /** Stops and removes everything. */
  remove(): Promise<void>
}

export interface CallOptions {
  readonly token?: string | null
  readonly headers?: Record<string, string>
  /** Sent as it is, instead of `body` as JSON. */
  readonly raw?: string | Uint8Array
}

/** Starts an instance as `npm start` does; `environment` adds to what it is started with. */
export async function startInstance(environment: Record<string, string> = {}): Promise<TestInstance> {
  const parent = mkdtempSync(join(tmpdir(), 'popsigner-instance-'))
  // As root, PostgreSQL runs as nobody and has to get through.
  chmodSync(parent, 0o711)
  const directory = join(parent, 'data')
  let supervisor: ChildProcess
  let output = ''
  let url = ''
  let token = ''

  async function start(): Promise<void> {
    output = ''
    const clean = Object.fromEntries(
      Object.entries(process.env).filter(([name]) => !name.startsWith('POPSIGNER_') && name !== 'DATABASE_URL'),
    )
    supervisor = spawn(process.execPath, [join(root, 'packages/server/src/supervise/start.ts')], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...clean, POPSIGNER_DATA_DIR: directory, POPSIGNER_PORT: '0', ...environment },
    })
    for (const stream of [supervisor.stdout, supervisor.stderr])
      stream?.on('data', (chunk: Buffer) => {
        output += chunk.toString()
      })
    const until = Date.now() + startMilliseconds
    for (;;) {
      url = running()?.url ?? ''
      token ||= /psk_live_[0-9a-z]{84}/.exec(output)?.[0] ?? ''
      if (url !== '' && token !== '' && /In a second terminal|api-keys create/.test(output)) return
      if (supervisor.exitCode !== null || Date.now() > until) throw new Error(`the instance did not start:\n${output}`)
      await pause(50)
    }
  }

  function running(): {
    url: string | null
    adminSocket: string
    socketDirectory: string
    children: { pid: number }[]
  } | null {
    const file = join(directory, 'run.json')
    return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : null
  }

  function processes(): { signer: number; server: number; postgres: number } {
    const find = (program: string): number =>
      running()
        ?.children.map((child) => child.pid)
        .find((pid) => {
          const file = `/proc/${pid}/cmdline`
          return existsSync(file) && readFileSync(file, 'utf8').includes(program)
        }) ?? 0
    const pidFile = join(clusterDirectory(), 'postmaster.pid')
    return {
      signer: find('signer/main.ts'),
      server: find('server/src/main.ts'),
      postgres: existsSync(pidFile) ? Number(readFileSync(pidFile, 'utf8').split('\n')[0]) : 0,
    }
  }

  function clusterDirectory(): string {
    const { further_directory: furtherDirectory } = JSON.parse(
      readFileSync(join(directory, 'instance.json'), 'utf8'),
    ) as { further_directory: string | null }
    return join(furtherDirectory ?? directory, 'postgres')
  }

  const instance: TestInstance = {
    directory,
    get url() {
      return url
    },
    get token() {
      return token
    },
    get supervisor() {
      return supervisor
    },
    processes,
    output: () => output,
    call: (method, path, body, options) => call(url, token, method, path, body, options),
    admin: (method, path, body) => callAdmin(running()?.adminSocket ?? '', method, path, body),
    async database() {
      const client = new pg.Client({
        host: join(running()?.socketDirectory ?? '', 'db'),
        port: databasePort,
        database: databaseName,
        user: databaseName,
        password: readFileSync(join(directory, 'postgres.password'), 'utf8').trim(),
      })
      await client.connect()
      return client
    },
    stop() {
      if (supervisor.exitCode !== null || supervisor.signalCode !== null) return Promise.resolve(supervisor.exitCode)
      return new Promise((resolve) => {
        supervisor.once('exit', (code) => resolve(code))
        supervisor.kill('SIGTERM')
      })
    },
    restart: start,
    async remove() {
      await instance.stop()
      const further = existsSync(join(directory, 'instance.json'))
        ? (JSON.parse(readFileSync(join(directory, 'instance.json'), 'utf8')) as { further_directory: string | null })
            .further_directory
        : null
      if (further) rmSync(further, { recursive: true, force: true })
      rmSync(join(directory, '..'), { recursive: true, force: true })
    },
  }
  await start()
  return instance
}

/** One request to a server. */
export async function call(
  url: string,
  token: string,
  method: string,
  path: string,
  body?: unknown,
  options: CallOptions = {},
): Promise<Answer> {
  const credential = options.token === undefined ? token : options.token
  const response = await fetch(url + path, {
    method,
    headers: {
      ...(credential === null ? {} : { authorization: `Bearer ${credential}` }),
      ...(body === undefined && options.raw === undefined ? {} : { 'content-type': 'application/json' }),
      ...options.headers,
    },
    ...(options.raw !== undefined
      ? { body: options.raw as string }
      : body !== undefined
        ? { body: JSON.stringify(body) }
        : {}),
  })
  const text = await response.text()
  let parsed: unknown = text
  if (response.headers.get('content-type')?.includes('json')) parsed = JSON.parse(text)
  return { status: response.status, headers: response.headers, body: text === '' ? null : parsed }
}

/** Waits. */
export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}
