import { spawn } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { initDatabase, nobody, type RunningDatabase, startDatabase } from './postgres.ts'

/**
 * Starts a throw-away PostgreSQL for tests, with fsync on as everywhere, in a temporary directory. `stop()` ends it and
 * removes the directory; when the calling process ends without that, by whatever means, a watching shell does both.
 */
export async function startTestDatabase(): Promise<RunningDatabase> {
  const directory = mkdtempSync(join(tmpdir(), 'popsigner-test-'))
  const identity = process.getuid?.() === 0 ? nobody() : null
  const socketDirectory = join(directory, 'run')
  chmodSync(directory, 0o711)
  mkdirSync(socketDirectory, { mode: 0o755 })
  if (identity) chownSync(socketDirectory, identity.uid, identity.gid)
  const place = {
    cluster: join(directory, 'cluster'),
    binariesDirectory: directory,
    passwordFile: join(directory, 'password'),
    identity,
    socketDirectory,
    logFile: join(directory, 'postgres.log'),
  }
  try {
    initDatabase(place)
    const database = await startDatabase(place)
    const dismiss = watch(database.pid, directory)
    return {
      ...database,
      async stop(milliseconds) {
        await database.stop(milliseconds)
        dismiss()
        rmSync(directory, { recursive: true, force: true })
      },
    }
  } catch (error) {
    rmSync(directory, { recursive: true, force: true })
    throw error
  }
}

// The shell's standard input is a pipe from this process: it reads its end when this process is gone. PostgreSQL is gone
// when its pid file is; asking for the process would wait for ever where nobody collects orphans.
function watch(pid: number, directory: string): () => void {
  const script =
    'read -r word; [ "$word" = stopped ] && exit; kill -QUIT "$1"; for turn in 1 2 3 4 5 6 7 8 9 10; do [ -e "$2/cluster/postmaster.pid" ] || break; sleep 0.2; done; kill -KILL -"$1"; rm -rf -- "$2"'
  const shell = spawn('/bin/sh', ['-c', script, 'sh', String(pid), directory], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
    cwd: '/',
  })
  shell.unref()
  const input = shell.stdin
  if (input && 'unref' in input && typeof input.unref === 'function') input.unref()
  return () => input?.end('stopped\n')
}
