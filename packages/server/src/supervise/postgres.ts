import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  appendFileSync,
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { userInfo } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type Binaries, binariesFor, type Identity, packagedBinaries } from './postgres-binaries.ts'
import { isPostmasterOf, processMark, sendSignal, signalChild, waitForEnd } from './processes.ts'
import { Refusal } from './refusal.ts'

/** The one role and database that exist beside PostgreSQL's own; the role owns the database and is no superuser. */
export const databaseName = 'popsigner'

/** PostgreSQL's port here only names its socket file, since it listens on no network. */
export const databasePort = 5432

/** The longest file PostgreSQL makes in its socket directory; what a socket's path must have room for. */
export const databaseSocketName = `.s.PGSQL.${databasePort}`

// PostgreSQL's own limit is 1,023 bytes, for every file below the cluster as well.
const longestCluster = 900

/** Where a cluster lies and who runs it. */
export interface DatabasePlace {
  /** The cluster's directory. Belongs to `identity`, mode 0700. */
  readonly cluster: string
  /** A directory that may take a copy of PostgreSQL's binaries, if `identity` cannot reach the installed ones. */
  readonly binariesDirectory: string
  /** File of mode 0600 with the password of the role `popsigner`. Whoever reads it has the whole database. */
  readonly passwordFile: string
  /** Null: the user of this process. PostgreSQL refuses to run as root. */
  readonly identity: Identity | null
}

export interface StartDatabase extends DatabasePlace {
  /** Existing directory of mode 0700 that belongs to `identity` (or which only the server may enter as well). */
  readonly socketDirectory: string
  /** PostgreSQL's own messages are appended here. */
  readonly logFile: string
}

/** How to connect: over the unix socket in `socketDirectory`, with SCRAM. */
export interface DatabaseConnection {
  readonly socketDirectory: string
  readonly port: number
  readonly user: string
  readonly database: string
  readonly password: string
}

export interface RunningDatabase extends DatabaseConnection {
  readonly pid: number
  /** Settles when the postmaster has ended, whoever ended it. */
  readonly ended: Promise<void>
  /** Fast shutdown: aborts what is open, writes a checkpoint, ends. After `milliseconds` (10,000) it is killed. */
  stop(milliseconds?: number): Promise<void>
  /** Ends it at once, as a power cut would; the next start recovers. */
  kill(): void
}

/** The user and group called nobody. Throws `Refusal` where there is none. */
export function nobody(): Identity {
  const ask = (flag: string) =>
    Number.parseInt(spawnSync('id', [flag, 'nobody'], { encoding: 'utf8' }).stdout ?? '', 10)
  const uid = ask('-u')
  const gid = ask('-g')
  if (!(uid > 0) || !(gid > 0)) {
    throw new Refusal(
      'PostgreSQL does not run as root and there is no user called nobody to run it: start as another user, or set DATABASE_URL to a PostgreSQL of your own.',
    )
  }
  return { uid, gid }
}

/** Throws `Refusal` where this user has no name in the system's list, without which initdb makes no cluster. */
export function checkUserName(): void {
  try {
    userInfo()
  } catch {
    throw new Refusal(
      `User ${process.getuid?.()} has no name in the system's list of users, which PostgreSQL asks for: start as a user that has one, or set DATABASE_URL to a PostgreSQL of your own.`,
    )
  }
}

/**
 * Makes a cluster with the role and the database `popsigner`, and the password file. Refuses an existing one. It
 * appears under its name only when it is complete, so one that was interrupted can simply be made again.
 */
export function initDatabase(place: DatabasePlace): void {
  if (existsSync(place.cluster))
    throw new Refusal(`There is a PostgreSQL cluster in ${place.cluster} already; nothing was changed.`)
  if (Buffer.byteLength(place.cluster) > longestCluster) {
    throw new Refusal(`PostgreSQL takes no path as long as ${place.cluster}: set POPSIGNER_DATA_DIR to a shorter one.`)
  }
  const binaries = binariesFor(place.identity, place.binariesDirectory)
  const unfinished = `${place.cluster}.new`
  rmSync(unfinished, { recursive: true, force: true })
  mkdirSync(unfinished, { mode: 0o700 })
  if (place.identity) chownSync(unfinished, place.identity.uid, place.identity.gid)

  run(binaries, 'initdb', place.identity, [
    ...['-D', unfinished, '--username=postgres', '--encoding=UTF8', '--locale=C', '--locale-provider=builtin'],
    ...['--builtin-locale=C.UTF-8', '--data-checksums', '--no-instructions'],
    // The superuser gets no password and no line in pg_hba.conf: nobody can log in as it, only single-user mode is left.
    ...['--auth-local=reject', '--auth-host=reject'],
  ])
  writeFileSync(join(unfinished, 'pg_hba.conf'), `local ${databaseName} ${databaseName} scram-sha-256\n`)
  appendFileSync(join(unfinished, 'postgresql.conf'), settings)

  const password = randomBytes(32).toString('base64url')
  run(
    binaries,
    'postgres',
    place.identity,
    [
      '--single',
      '-D',
      unfinished,
      '-c',
      'password_encryption=scram-sha-256',
      '-c',
      'log_min_messages=panic',
      'postgres',
    ],
    `create role ${databaseName} login nosuperuser nocreatedb nocreaterole password '${password}'\ncreate database ${databaseName} owner ${databaseName}\n`,
  )
  writeFileSync(place.passwordFile, `${password}\n`, { mode: 0o600, flush: true })
  chmodSync(place.passwordFile, 0o600)
  renameSync(unfinished, place.cluster)
}

/**
 * Starts the cluster in a process group of its own and returns when it takes connections. A postmaster that an
 * earlier supervisor left behind is stopped first. Throws `Refusal` for a cluster of another major version, a missing
 * password file or a PostgreSQL that ends at once. `spawned` hears of the process before it takes connections, so that it
 * can be ended while it recovers.
 */
export async function startDatabase(
  place: StartDatabase,
  spawned?: (postmaster: ChildProcess) => void,
): Promise<RunningDatabase> {
  checkMajor(place.cluster, packagedBinaries().major)
  const password = readPassword(place.passwordFile)
  await stopOrphan(place.cluster)
  const binaries = binariesFor(place.identity, place.binariesDirectory)
  const child = spawnPostmaster(binaries, place)
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
  spawned?.(child)
  const pid = await whenReady(child, place)
  return {
    socketDirectory: place.socketDirectory,
    port: databasePort,
    user: databaseName,
    database: databaseName,
    password,
    pid,
    ended,
    async stop(milliseconds = 10_000) {
      signalChild(child, 'SIGINT')
      const late = setTimeout(() => signalChild(child, 'SIGKILL', true), milliseconds)
      await ended
      clearTimeout(late)
    },
    kill: () => signalChild(child, 'SIGKILL', true),
  }
}

/**
 * Stops the postmaster named in the cluster's `postmaster.pid`, if that process is in fact this cluster's; answers
 * whether there was one. Another process that was given the same number since is left alone.
 */
export async function stopOrphan(cluster: string): Promise<boolean> {
  const pid = postmasterStatus(cluster)?.pid
  if (pid === undefined || !isPostmasterOf(pid, realpathSync(cluster))) return false
  const mark = processMark(pid)
  if (mark === null) return false
  for (const signal of ['SIGINT', 'SIGQUIT', 'SIGKILL'] as const) {
    sendSignal(pid, signal)
    if (await waitForEnd(mark, 5_000)) return true
  }
  throw new Refusal(
    `PostgreSQL (process ${pid}) from an earlier run still holds ${cluster} and does not end: stop it, then start again.`,
  )
}

/** Throws `Refusal` unless the cluster is one of this major version. */
export function checkMajor(cluster: string, major: string): void {
  let found: string
  try {
    found = readFileSync(join(cluster, 'PG_VERSION'), 'utf8').trim()
  } catch {
    throw new Refusal(
      `The PostgreSQL cluster ${cluster} is missing or damaged: restore it from a copy, or set POPSIGNER_DATA_DIR to another directory.`,
    )
  }
  if (found !== major) {
    throw new Refusal(
      `The database in ${cluster} was made by PostgreSQL ${found} and this release brings ${major}: start the release that made it, move the data with pg_dump, or set DATABASE_URL to a PostgreSQL ${found} that serves it.`,
    )
  }
}

// Small in memory and generous in write-ahead log. One may change them in postgresql.conf; what must hold is given on
// the command line, which outranks the file.
const settings = `
# Set by POPSigner when it made this cluster; change what you like. Durability and access are set at every start.
shared_buffers = 64MB
work_mem = 8MB
maintenance_work_mem = 64MB
effective_cache_size = 2GB
max_connections = 64
max_wal_size = 2GB
min_wal_size = 256MB
checkpoint_timeout = 15min
wal_compression = on
wal_level = minimal
max_wal_senders = 0
max_logical_replication_workers = 0
random_page_cost = 1.1
io_method = sync
max_parallel_workers_per_gather = 0
jit = off
log_checkpoints = off
log_timezone = 'UTC'
timezone = 'UTC'
`

function spawnPostmaster(binaries: Binaries, place: StartDatabase): ChildProcess {
  const forced = {
    listen_addresses: '',
    port: String(databasePort),
    // A list of quoted names, so that commas and spaces in a path stay part of it.
    unix_socket_directories: `"${place.socketDirectory.replaceAll('"', '""')}"`,
    // The directory decides who may reach the socket; the password decides who may log in.
    unix_socket_permissions: '0777',
    fsync: 'on',
    full_page_writes: 'on',
    synchronous_commit: 'on',
    password_encryption: 'scram-sha-256',
    logging_collector: 'off',
    log_destination: 'stderr',
    cluster_name: databaseName,
  }
  rotateLog(place.logFile)
  const log = openSync(place.logFile, 'a', 0o600)
  try {
    return spawn(
      join(binaries.root, 'bin', 'postgres'),
      ['-D', place.cluster, ...Object.entries(forced).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
      {
        ...place.identity,
        cwd: '/',
        detached: true,
        stdio: ['ignore', log, log],
        env: { PATH: '/usr/bin:/bin', LC_ALL: 'C' },
      },
    )
  } finally {
    closeSync(log)
  }
}

async function whenReady(child: ChildProcess, place: StartDatabase): Promise<number> {
  let failure: Error | undefined
  child.once('error', (error) => {
    failure = error
  })
  // Crash recovery of a large cluster takes its time and is no failure, so there is no deadline: the process itself ends
  // when it cannot go on.
  while (failure === undefined && child.exitCode === null && child.signalCode === null) {
    const status = postmasterStatus(place.cluster)
    if (status !== null && status.pid === child.pid && status.ready) return status.pid
    await delay(5)
  }
  throw new Refusal(
    `PostgreSQL did not start${failure ? ` (${failure.message})` : ''}: its last words are in ${place.logFile}: ${lastLine(place.logFile)}`,
  )
}

/** What `postmaster.pid` says: line 1 is the process, line 8 its state. Null when there is no such file. */
function postmasterStatus(cluster: string): { pid: number; ready: boolean } | null {
  let lines: string[]
  try {
    lines = readFileSync(join(cluster, 'postmaster.pid'), 'utf8').split('\n')
  } catch {
    return null
  }
  const pid = Number.parseInt(lines[0] ?? '', 10)
  return pid > 0 ? { pid, ready: lines[7]?.trim() === 'ready' } : null
}

function readPassword(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch {
    throw new Refusal(
      `The database's password file ${file} is missing or unreadable: restore it from a copy of the data directory.`,
    )
  }
}

function run(binaries: Binaries, program: string, identity: Identity | null, args: string[], input = ''): void {
  const { status, error, stdout, stderr } = spawnSync(join(binaries.root, 'bin', program), args, {
    ...identity,
    cwd: '/',
    input,
    encoding: 'utf8',
    env: { PATH: '/usr/bin:/bin', LC_ALL: 'C' },
  })
  if (status === 0) return
  const words = `${stderr ?? ''}\n${stdout ?? ''}`.trim().split('\n').at(-1) ?? ''
  throw new Refusal(`PostgreSQL's ${program} failed${error ? ` (${error.message})` : ''}: ${words}`)
}

function rotateLog(file: string): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  if ((statSync(file, { throwIfNoEntry: false })?.size ?? 0) > 10_000_000) renameSync(file, `${file}.1`)
}

function lastLine(file: string): string {
  return readFileSync(file, 'utf8').trim().split('\n').at(-1) ?? ''
}
