import { randomBytes } from 'node:crypto'
import {
  accessSync,
  chmodSync,
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import type { Identities } from './identities.ts'
import { canEnter } from './postgres-binaries.ts'
import { Refusal, systemCode } from './refusal.ts'

/** The version of the layout that this code writes and reads. Older code refuses a newer one. */
export const dataFormat = 1

/** `instance.json`: what an instance is. Nothing in it is secret. */
export interface Instance {
  readonly format: number
  /** In every envelope, leaf and checkpoint; never changes. */
  readonly name: string
  readonly created: string
  /** The one directory outside, where root's PostgreSQL could not reach the data directory; else null. */
  readonly furtherDirectory: string | null
}

/** What is found at the data directory's path. `unfinished`: an initialization that was interrupted, and holds no key. */
export type Found =
  | { readonly kind: 'absent' | 'empty' | 'unfinished' }
  | { readonly kind: 'instance'; readonly instance: Instance }

/** Present while a data directory is being made, so that an interrupted attempt can be told from damage. */
const unfinishedMark = 'initializing'

/** Further directories are beside one another here, where only root makes directories. */
const furtherPrefix = '/var/lib/popsigner-'

/** File in a further directory: the path of the data directory that it belongs to. */
const ownerMark = 'data-directory'

// What may lie in a directory that nobody has used yet: a volume's own folder, and our lock.
const harmless = new Set(['lost+found', 'run.lock', 'run.lock-journal'])

/** Looks, and changes nothing. Throws `Refusal` for what is damaged, foreign, newer, or another user's. */
export function inspectDataDirectory(path: string): Found {
  const names = listNames(path)
  if (names === null) return { kind: 'absent' }
  const owner = statSync(path).uid
  if (process.getuid !== undefined && owner !== process.getuid()) {
    throw new Refusal(
      `The data directory ${path} belongs to user ${owner}: start as that user, or set POPSIGNER_DATA_DIR to another directory.`,
    )
  }
  if (!names.includes('instance.json')) {
    if (!names.some((name) => !harmless.has(name))) return { kind: 'empty' }
    if (names.includes(unfinishedMark)) return { kind: 'unfinished' }
    throw new Refusal(
      `${path} is not empty and is no data directory of POPSigner (it has no instance.json): set POPSIGNER_DATA_DIR to another directory.`,
    )
  }
  return { kind: 'instance', instance: readInstance(path) }
}

/**
 * Makes the directory if need be, mode 0700; as root 0711, since the children that gave up root must pass through it to
 * what is theirs. Throws `Refusal` where this user may not.
 */
export function makeDataDirectory(path: string, identities: Identities | null): void {
  try {
    makeWithParents(path)
    accessSync(path, constants.W_OK | constants.X_OK)
    chmodSync(path, identities ? 0o711 : 0o700)
  } catch (error) {
    throw new Refusal(
      `The data directory ${path} cannot be written (${systemCode(error)}): set POPSIGNER_DATA_DIR to a directory that this user may write.`,
    )
  }
}

/**
 * Removes what an interrupted initialization left, also outside, and marks that one is under way. `furtherDirectory` is
 * where the database will lie if not in the data directory; it is noted before it is made.
 */
export function beginInstance(path: string, furtherDirectory: string | null): void {
  const mark = join(path, unfinishedMark)
  const earlier = existsSync(mark) ? readFileSync(mark, 'utf8').trim() : ''
  if (earlier !== '' && ownerOf(earlier) === realpathSync(path)) rmSync(earlier, { recursive: true, force: true })
  for (const name of listNames(path) ?? []) {
    if (!harmless.has(name)) rmSync(join(path, name), { recursive: true, force: true })
  }
  writeDurably(mark, furtherDirectory ?? '', 0o600)
}

/** Writes `instance.json` durably: from here on the directory is an instance. */
export function finishInstance(path: string, instance: Instance): void {
  const { format, name, created, furtherDirectory } = instance
  writeDurably(
    join(path, 'instance.json'),
    `${JSON.stringify({ format, name, created, further_directory: furtherDirectory }, null, 2)}\n`,
    0o644,
  )
  rmSync(join(path, unfinishedMark), { force: true })
}

/** A name for an instance that was given none. */
export function randomInstanceName(): string {
  return `popsigner-${randomBytes(6).toString('hex')}`
}

/** Throws `Refusal` unless the name can stand in a log's name: lower-case letters, digits, dots and hyphens, at most 63. */
export function checkInstanceName(name: string): string {
  if (!/^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$/.test(name)) {
    throw new Refusal(
      `"${name}" cannot be an instance's name: give --name 1 to 63 lower-case letters, digits, dots and hyphens, such as keys.example.com.`,
    )
  }
  return name
}

/**
 * Where PostgreSQL will keep its cluster: null for the data directory itself, else the path of a new directory outside,
 * chosen only where `nobody` cannot enter the data directory.
 */
export function chooseFurtherDirectory(dataDirectory: string, identities: Identities | null): string | null {
  if (identities === null || canEnter(dataDirectory, identities.database)) return null
  return `${furtherPrefix}${randomBytes(4).toString('hex')}`
}

/** Makes it, marked as this data directory's. Throws `Refusal` where the system does not let root. */
export function makeFurtherDirectory(directory: string, dataDirectory: string): void {
  try {
    mkdirSync(directory, { mode: 0o755 })
  } catch (error) {
    throw new Refusal(
      `PostgreSQL runs as nobody, which cannot enter ${dataDirectory}, and ${directory} cannot be made for it (${systemCode(error)}): set POPSIGNER_DATA_DIR to a directory that everyone may enter.`,
    )
  }
  chmodSync(directory, 0o755)
  claimFurtherDirectory(directory, dataDirectory)
}

/** Further directories of instances that once had their data directory at this path. */
export function abandonedFurtherDirectories(dataDirectory: string): string[] {
  const parent = dirname(furtherPrefix)
  const names = existsSync(parent) ? readdirSync(parent) : []
  const candidates = names.map((name) => join(parent, name)).filter((path) => path.startsWith(furtherPrefix))
  return candidates.filter((path) => ownerOf(path) === realpathSync(dataDirectory))
}

/** Throws `Refusal` when the further directory is gone, or belongs to another data directory that still exists. */
export function checkFurtherDirectory(directory: string, dataDirectory: string): void {
  const owner = ownerOf(directory)
  if (owner === null) {
    throw new Refusal(
      `The database of ${dataDirectory} should lie in ${directory}, which is missing or damaged: restore it from a copy made together with the data directory.`,
    )
  }
  const real = realpathSync(dataDirectory)
  if (owner === real) return
  if (existsSync(join(owner, 'instance.json'))) {
    throw new Refusal(
      `The database in ${directory} belongs to the data directory ${owner}, of which ${real} is a copy: start with POPSIGNER_DATA_DIR=${owner}, or remove the one you do not want.`,
    )
  }
  claimFurtherDirectory(directory, dataDirectory)
}

/** Writes a file so that after a power cut it is there whole or not at all. */
export function writeDurably(file: string, content: string | Uint8Array, mode: number): void {
  const temporary = `${file}.new`
  rmSync(temporary, { force: true })
  writeFileSync(temporary, content, { mode, flush: true })
  chmodSync(temporary, mode)
  renameSync(temporary, file)
  const directory = openSync(dirname(file), 'r')
  fsyncSync(directory)
  closeSync(directory)
}

// Node's own recursive form never returns where a file system lets nobody make directories, such as /proc.
function makeWithParents(path: string): void {
  if (existsSync(path)) return
  if (!existsSync(dirname(path))) makeWithParents(dirname(path))
  mkdirSync(path, { mode: 0o700 })
}

function ownerOf(furtherDirectory: string): string | null {
  try {
    return readFileSync(join(furtherDirectory, ownerMark), 'utf8').trim()
  } catch {
    return null
  }
}

function claimFurtherDirectory(directory: string, dataDirectory: string): void {
  writeDurably(join(directory, ownerMark), `${realpathSync(dataDirectory)}\n`, 0o600)
}

function readInstance(path: string): Instance {
  const damaged = (what: string) =>
    new Refusal(
      `${join(path, 'instance.json')} is damaged (${what}): restore it from a copy, or set POPSIGNER_DATA_DIR to another directory.`,
    )
  let value: unknown
  try {
    value = JSON.parse(readFileSync(join(path, 'instance.json'), 'utf8'))
  } catch (error) {
    throw damaged(systemCode(error) ?? 'it is no JSON')
  }
  const { format, name, created, further_directory } = (value ?? {}) as Record<string, unknown>
  if (!Number.isSafeInteger(format) || (format as number) < 1) throw damaged('it has no format')
  if ((format as number) > dataFormat) {
    throw new Refusal(
      `The data directory ${path} was written by a newer release (format ${format}, this release knows ${dataFormat}): start that release, or set POPSIGNER_DATA_DIR to another directory.`,
    )
  }
  if (typeof name !== 'string' || typeof created !== 'string') throw damaged('a field is missing')
  if (further_directory !== null && typeof further_directory !== 'string') throw damaged('a field is missing')
  return { format: format as number, name, created, furtherDirectory: further_directory }
}

function listNames(path: string): string[] | null {
  try {
    return readdirSync(path)
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return null
    if (systemCode(error) === 'ENOTDIR') throw new Refusal(`${path} is no directory: set POPSIGNER_DATA_DIR to one.`)
    throw new Refusal(
      `The data directory ${path} cannot be read (${systemCode(error)}): set POPSIGNER_DATA_DIR to a directory that this user may write.`,
    )
  }
}
