import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, statSync, writeSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Environment } from './environment.ts'
import { exitCodes } from './exit-codes.ts'
import { Failure } from './failure.ts'

/** A server and the API key for it, saved by `popsigner login`. The key is sent to no other server. */
export interface Profile {
  readonly url: string
  readonly apiKey: string
  readonly namespace: string | null
}

/** The directory of profiles and pinned keys. It need not exist. */
export function configDirectory(environment: Environment, directory: string): string {
  const own = environment['POPSIGNER_CONFIG_DIR']
  if (own) return resolve(directory, own)
  const xdg = environment['XDG_CONFIG_HOME']
  return join(xdg ? resolve(directory, xdg) : join(environment['HOME'] || homedir(), '.config'), 'popsigner')
}

/** Path of the file with the profiles. */
export function profilesFile(config: string): string {
  return join(config, 'profiles.json')
}

/** What `profiles.json` holds. */
export interface Profiles {
  readonly byName: ReadonlyMap<string, Profile>
  /** The one that is used where none is named, as `popsigner switch` chose it; not always one that exists. */
  readonly current: string
}

/** All saved profiles. Throws `Failure` for a damaged file and for one that others can read. */
export function readProfiles(config: string): Profiles {
  const file = profilesFile(config)
  let text: string
  try {
    text = readFileSync(file, 'utf8')
    const { mode } = statSync(file)
    if ((mode & 0o077) !== 0) throw refused(file, 'Others can read it, and it holds API keys.', `chmod 600 '${file}'`)
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? ''))
      return { byName: new Map(), current: 'default' }
    throw error
  }
  try {
    const {
      format,
      profiles,
      current = 'default',
    } = JSON.parse(text) as {
      format: unknown
      current?: unknown
      profiles: Record<string, Record<string, unknown>>
    }
    if (format !== 1) throw new Error('format')
    if (typeof current !== 'string') throw new Error('current')
    const byName = new Map(Object.entries(profiles).map(([name, profile]) => [name, parseProfile(profile)] as const))
    return { byName, current }
  } catch {
    throw refused(file, 'It is no file of profiles of this release.', 'popsigner login')
  }
}

/** Replaces the saved profiles: mode 0600, whole or not at all. */
export function writeProfiles(config: string, { byName, current }: Profiles): void {
  mkdirSync(config, { recursive: true, mode: 0o700 })
  const content = Object.fromEntries(
    [...byName].map(([name, { url, apiKey, namespace }]) => [name, { url, api_key: apiKey, namespace }]),
  )
  writePrivate(profilesFile(config), `${JSON.stringify({ format: 1, current, profiles: content }, null, 2)}\n`)
}

/** Writes a file that only its owner may read (0600), whole or not at all. An existing file is replaced. */
export function writePrivate(file: string, content: string): void {
  const temporary = `${file}.${process.pid}.new`
  const descriptor = openSync(temporary, 'wx', 0o600)
  try {
    writeSync(descriptor, content)
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
  renameSync(temporary, file)
}

function parseProfile(profile: Record<string, unknown>): Profile {
  const { url, api_key: apiKey, namespace = null } = profile
  if (typeof url !== 'string' || typeof apiKey !== 'string') throw new Error('profile')
  if (namespace !== null && typeof namespace !== 'string') throw new Error('namespace')
  return { url, apiKey, namespace }
}

function refused(file: string, why: string, command: string): Failure {
  return new Failure(`${file} is not used`, {
    exit: exitCodes.failed,
    code: 'cli.profiles',
    why,
    next: [{ command, when: 'to put it right' }],
  })
}
