/** A real instance in a temporary directory, run by the command itself, for tests and the demo. */
import { spawn } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

/** What runs, and how to end it. */
export interface ThrowAwayServer {
  /** Holds `data` and whatever its user puts there; removed by `stop`. */
  readonly directory: string
  readonly dataDirectory: string
  readonly url: string
  /** Variables for commands that speak to it. */
  readonly environment: Readonly<Record<string, string>>
  /** Drains, and removes everything. */
  stop(): Promise<void>
}

const main = join(import.meta.dirname, 'main.ts')

/**
 * Makes an instance called `name` and serves it on a free port. Throws an `Error` with its last words if it does not start,
 * and the signal's reason, leaving nothing behind, when that is aborted meanwhile.
 */
export async function startThrowAwayServer(name: string, signal?: AbortSignal): Promise<ThrowAwayServer> {
  const directory = mkdtempSync(join(tmpdir(), 'popsigner-'))
  // As root, PostgreSQL runs as nobody and passes through; what it finds is closed to it but for its own.
  chmodSync(directory, 0o711)
  const dataDirectory = join(directory, 'data')
  const own = Object.entries(process.env).filter(
    ([variable]) => !variable.startsWith('POPSIGNER_') && variable !== 'DATABASE_URL',
  )
  const environment = { ...Object.fromEntries(own), POPSIGNER_DATA_DIR: dataDirectory, POPSIGNER_PORT: '0' } as Record<
    string,
    string
  >
  const start = (words: readonly string[]) => {
    // Its channel tells it when this process is gone, however it went.
    const child = spawn(process.execPath, [main, ...words], {
      cwd: directory,
      env: environment,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    })
    let said = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        said = (said + String(chunk)).slice(-4_000)
      })
    }
    const ended = new Promise<number | null>((done) => child.once('exit', (code) => done(code)))
    const end = (): void => void child.kill('SIGTERM')
    signal?.addEventListener('abort', end, { once: true })
    void ended.then(() => signal?.removeEventListener('abort', end))
    return { child, ended, words: () => said }
  }
  const remove = (): void => rmSync(directory, { recursive: true, force: true })
  try {
    const init = start(['init', '--name', name])
    if ((await init.ended) !== 0) throw new Error(init.words())
    signal?.throwIfAborted()
    const server = start(['serve'])
    let over = false
    void server.ended.then(() => (over = true))
    let url: string | null = null
    while (url === null && !over) {
      await delay(20)
      url = readUrl(dataDirectory)
    }
    if (over) signal?.throwIfAborted()
    if (url === null) throw new Error(server.words())
    return {
      directory,
      dataDirectory,
      url,
      environment: {
        POPSIGNER_DATA_DIR: dataDirectory,
        POPSIGNER_URL: url,
        POPSIGNER_CONFIG_DIR: join(directory, 'config'),
      },
      async stop() {
        server.child.kill('SIGTERM')
        await server.ended
        remove()
      },
    }
  } catch (error) {
    remove()
    throw error
  }
}

function readUrl(dataDirectory: string): string | null {
  try {
    return (JSON.parse(readFileSync(join(dataDirectory, 'run.json'), 'utf8')) as { url: string | null }).url
  } catch {
    return null
  }
}
