import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { databaseName, databasePort } from '../packages/server/src/supervise/postgres.ts'
import { pause } from './instance.ts'

const startMilliseconds = 60_000

/** A start of some code on some data directory. */
export interface Served {
  /** Null where it refused. */
  readonly url: string | null
  /** What it wrote on the error stream: a refusal, or the banner. */
  readonly errors: string
  /** Its exit code, once it has ended. */
  readonly ended: Promise<number | null>
  /** A connection to its database in the role of the server. */
  database(): Promise<pg.Client>
  /** SIGTERM, then waits. */
  stop(): Promise<number | null>
}

/** Runs `npm start` of the clone in `root` on a data directory until it listens or ends. */
export async function serve(root: string, directory: string): Promise<Served> {
  const clean = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith('POPSIGNER_') && name !== 'DATABASE_URL'),
  )
  const supervisor = spawn(process.execPath, [join(root, 'packages/server/src/supervise/start.ts')], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...clean, POPSIGNER_DATA_DIR: directory, POPSIGNER_PORT: '0' },
  })
  let errors = ''
  supervisor.stderr.on('data', (chunk) => {
    errors += chunk
  })
  let over = false
  const ended = new Promise<number | null>((done) => supervisor.once('close', done))
  void ended.then(() => {
    over = true
  })
  const until = Date.now() + startMilliseconds
  while (!over && !errors.includes('npx popsigner')) {
    if (Date.now() > until) {
      supervisor.kill('SIGKILL')
      throw new Error(`neither listens nor ends:\n${errors}`)
    }
    await pause(50)
  }
  const running = over
    ? null
    : (JSON.parse(readFileSync(join(directory, 'run.json'), 'utf8')) as { url: string; socketDirectory: string })
  return {
    url: running?.url ?? null,
    errors,
    ended,
    async database() {
      const client = new pg.Client({
        host: join(running?.socketDirectory ?? '', 'db'),
        port: databasePort,
        database: databaseName,
        user: databaseName,
        password: readFileSync(join(directory, 'postgres.password'), 'utf8').trim(),
      })
      await client.connect()
      return client
    },
    stop() {
      supervisor.kill('SIGTERM')
      return ended
    },
  }
}
