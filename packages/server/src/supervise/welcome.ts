import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { AdminRefusal, callAdmin } from './admin-client.ts'
import { writeDurably } from './data-directory.ts'

/** What the first start made. */
export interface FirstOrganization {
  readonly name: string
  /** The API key, in clear: printed once. */
  readonly token: string
}

const organizationName = 'default'

/** Names of the organizations there are, newest first. */
export async function organizationNames(adminSocket: string): Promise<string[]> {
  const { organizations } = await callAdmin(adminSocket, 'GET', 'organizations')
  return (organizations as { name: string }[]).map(({ name }) => name)
}

/** Directory in the data directory with the profile that `npx popsigner` uses where it finds this data directory. */
export const clientDirectory = 'client'

/**
 * Makes the organization `default` with the namespace `production` and an API key with every scope, by the admin socket.
 * An organization that an interrupted first start made already is used. The key is also kept as the
 * profile `default` in `<data>/client/profiles.json` (mode 0600, beside the key file, which is worth more), so that the
 * printed commands work as they stand.
 */
export async function makeFirstOrganization(
  adminSocket: string,
  dataDirectory: string,
  url: string,
): Promise<FirstOrganization> {
  try {
    await callAdmin(adminSocket, 'POST', 'organizations', { name: organizationName, namespaces: ['production'] })
  } catch (error) {
    if (!(error instanceof AdminRefusal) || error.status !== 409) throw error
  }
  const { token } = await callAdmin(adminSocket, 'POST', 'api-keys', { organization: organizationName, name: 'first' })
  if (typeof token !== 'string') throw new TypeError('token: expected the admin socket to answer one')
  mkdirSync(join(dataDirectory, clientDirectory), { recursive: true, mode: 0o700 })
  writeProfile(dataDirectory, { url, api_key: token, namespace: 'production' })
  return { name: organizationName, token }
}

/** Corrects the address in that profile, which is another when the port has changed. Without a profile, nothing. */
export function refreshProfile(dataDirectory: string, url: string): void {
  const file = join(dataDirectory, clientDirectory, 'profiles.json')
  if (!existsSync(file)) return
  const { profiles } = JSON.parse(readFileSync(file, 'utf8')) as { profiles?: { default?: Record<string, unknown> } }
  const profile = profiles?.default
  if (profile && profile['url'] !== url) writeProfile(dataDirectory, { ...profile, url })
}

function writeProfile(dataDirectory: string, profile: Record<string, unknown>): void {
  const text = JSON.stringify({ format: 1, profiles: { default: profile } }, null, 2)
  writeDurably(join(dataDirectory, clientDirectory, 'profiles.json'), `${text}\n`, 0o600)
}
