import { join, resolve } from 'node:path'
import type { Environment } from './environment.ts'
import { exitCodes } from './exit-codes.ts'
import { Failure, misuse } from './failure.ts'
import { configDirectory, type Profile, profilesFile, readProfiles } from './profiles.ts'

/** A value and where it comes from, in words for a message: `POPSIGNER_URL in the environment`. */
export interface Sourced<T> {
  readonly value: T
  readonly from: string
}

/** How a command reaches the server: flag, then environment, then profile, then default. */
export interface Settings {
  readonly config: string
  readonly url: Sourced<string>
  readonly apiKey: Sourced<string> | null
  readonly namespace: Sourced<string> | null
  /** Name of the profile that anything was taken from. */
  readonly profile: string | null
}

/** Flags that outrank everything else. */
export interface ConnectionFlags {
  readonly url?: string | undefined
  readonly profile?: string | undefined
}

export const defaultUrl = 'http://127.0.0.1:8080'
const tokenForm = /^psk_live_[0-9a-z]{16,}$/

/**
 * Reads the settings. A profile that was named must exist. Where neither an API key nor an address is set, the one that the
 * first start left in the data directory here steps in, else the current one (`popsigner switch`): so a key from the environment never
 * goes to the server of a profile nobody asked for. A profile's API key goes to that profile's address only.
 */
export function readSettings(environment: Environment, directory: string, flags: ConnectionFlags): Settings {
  const config = configDirectory(environment, directory)
  const value = (name: string): string | undefined => environment[name] || undefined
  const named = flags.profile ?? value('POPSIGNER_PROFILE')
  const key = value('POPSIGNER_API_KEY')
  const givenUrl = flags.url ?? value('POPSIGNER_URL')
  const implied = named === undefined && key === undefined && givenUrl === undefined
  const local = implied ? localProfile(environment, directory) : null
  const saved = (implied && local === null) || named !== undefined ? readProfiles(config) : null
  const name = named ?? (saved?.byName.has(saved.current) ? saved.current : null)
  const profile = local?.profile ?? (name === null ? null : (saved?.byName.get(name) ?? null))
  if (name !== null && profile === null) throw unknownProfile(name, [...(saved?.byName.keys() ?? [])])

  const profileSource = local === null ? `profile ${name}` : local.from
  const url: Sourced<string> =
    givenUrl === undefined
      ? profile === null
        ? { value: defaultUrl, from: 'default' }
        : { value: profile.url, from: profileSource }
      : { value: parseUrl(givenUrl), from: flags.url === undefined ? 'POPSIGNER_URL in the environment' : '--url' }
  if (key !== undefined) checkToken(key, 'POPSIGNER_API_KEY')
  if (key === undefined && profile !== null && url.value !== profile.url) {
    throw misuse(
      `The API key of profile ${name} is not sent to ${url.value}`,
      `It was saved for ${profile.url}, and ${url.from} names another address.`,
      [{ command: `popsigner login --profile <name> --url ${url.value}`, when: 'to save an API key for that address' }],
    )
  }
  const namespace = value('POPSIGNER_NAMESPACE')
  return {
    config,
    url,
    apiKey:
      key !== undefined
        ? { value: key, from: 'POPSIGNER_API_KEY in the environment' }
        : profile && { value: profile.apiKey, from: profileSource },
    namespace:
      namespace !== undefined
        ? { value: namespace, from: 'POPSIGNER_NAMESPACE in the environment' }
        : profile?.namespace
          ? { value: profile.namespace, from: profileSource }
          : null,
    profile: name,
  }
}

/**
 * What `npm start` left in the data directory for commands run beside it. Only for a server on this machine: a directory
 * from elsewhere must not lead a command, and what it is given to import, to anybody's server.
 */
export function localProfile(environment: Environment, directory: string): { profile: Profile; from: string } | null {
  const client = join(resolve(directory, environment['POPSIGNER_DATA_DIR'] || '.popsigner'), 'client')
  let profile: Profile | undefined
  try {
    profile = readProfiles(client).byName.get('default')
  } catch (error) {
    // Another user's data directory: its host commands say so, others go on without.
    if ((error as NodeJS.ErrnoException).code === 'EACCES') return null
    throw error
  }
  if (profile === undefined || !isLoopback(new URL(profile.url).hostname)) return null
  return { profile, from: `what the first start left in ${profilesFile(client)}` }
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host)
}

/** An address of a server, without a slash at the end. Throws a usage failure for anything else. */
export function parseUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null
  if (
    url === null ||
    !/^https?:$/.test(url.protocol) ||
    url.username !== '' ||
    url.password !== '' ||
    url.search !== '' ||
    url.hash !== ''
  ) {
    throw misuse(
      'The address of the server is not accepted',
      'It must be http:// or https:// with a host, and hold no credentials or query.',
      [{ command: `export POPSIGNER_URL=${defaultUrl}`, when: 'for a server on this machine' }],
    )
  }
  if (url.protocol === 'http:' && !isLoopback(url.hostname)) {
    throw misuse(
      `${url.origin} is not spoken to`,
      'Plain http would show the API key to everyone on the way; http is for this machine only.',
      [{ command: `export POPSIGNER_URL=https://${url.host}`, when: 'if the server has a certificate' }],
    )
  }
  return url.href.replace(/\/+$/, '')
}

/** Throws a usage failure unless `text` looks like an API key. The text is not repeated. */
export function checkToken(text: string, source: string): void {
  if (tokenForm.test(text)) return
  throw misuse(`${source} holds no API key`, 'An API key begins with psk_live_ and has no spaces.', [
    { command: 'popsigner help environment', when: 'to see where an API key is taken from' },
  ])
}

/** The part of an API key that may be shown, as the server lists it. */
export function tokenPrefix(token: string): string {
  return token.slice(0, 'psk_live_'.length + 8)
}

/** A profile that was named is not saved. */
export function unknownProfile(name: string, known: readonly string[]): Failure {
  const list = known.length === 0 ? 'No profile is saved.' : `Saved are: ${known.join(', ')}.`
  return new Failure(`There is no profile ${JSON.stringify(name)}`, {
    exit: exitCodes.usage,
    code: 'cli.profile_unknown',
    why: list,
    next: [{ command: `popsigner login --profile ${name}`, when: 'to save one' }],
  })
}
