import type { NameKind } from './command.ts'
import { configDirectory, readProfiles } from './profiles.ts'
import type { Session } from './session.ts'

/** How long a shell waits for names after a person pressed the key: a server that is slower is not waited for. */
export const namesMilliseconds = 150

/** Every kind of names. */
export const nameKinds: readonly NameKind[] = ['keys', 'namespaces', 'api-keys', 'organizations', 'profiles']

/** Most names that are offered. */
const limit = 100

/**
 * The names of a kind that begin with `prefix`, for completion: of the newest hundred that the server has. None where it is
 * slow, not reachable, or does not allow it: a person who is typing is told nothing.
 */
export async function namesOf(session: Session, kind: NameKind, prefix: string): Promise<readonly string[]> {
  const late = AbortSignal.timeout(namesMilliseconds)
  const names = await Promise.race([
    read(session, kind, prefix, late).catch(() => []),
    new Promise<readonly string[]>((done) => late.addEventListener('abort', () => done([]), { once: true })),
  ])
  // A shell takes them apart at spaces and expands what it finds in them.
  return [...new Set(names)].filter((name) => name.startsWith(prefix) && /^[\w./@:+-]+$/.test(name)).sort()
}

async function read(session: Session, kind: NameKind, prefix: string, signal: AbortSignal): Promise<readonly string[]> {
  const options = { signal, retries: 0 }
  switch (kind) {
    case 'profiles': {
      const { environment, directory } = session.terminal
      return [...readProfiles(configDirectory(environment, directory)).byName.keys()]
    }
    case 'organizations': {
      const { organizations } = (await (await session.admin()).call('GET', 'organizations')) as {
        organizations: { id: string; name: string }[]
      }
      return organizations.map(({ id, name }) => (prefix.startsWith('org_') ? id : name))
    }
    case 'namespaces': {
      const { namespaces } = await session.client().namespaces.list({ limit }, options)
      return namespaces.map(({ id, name }) => (prefix.startsWith('ns_') ? id : name))
    }
    case 'api-keys': {
      const { api_keys: all } = await session.client().apiKeys.list({ limit }, options)
      return all.map(({ id, name }) => (prefix.startsWith('ak_') ? id : name))
    }
    case 'keys': {
      const { keys } = await session.client().keys.list({ limit }, options)
      const living = keys.filter(({ state }) => state !== 'destroyed')
      if (prefix.startsWith('key_')) return living.map(({ id }) => id)
      const whole = living.map(({ namespace, name }) => `${namespace}/${name}`)
      if (prefix.includes('/')) return whole
      // A name that several have names none of them.
      return living.map(({ name }, place) =>
        living.filter((key) => key.name === name).length === 1 ? name : (whole[place] ?? ''),
      )
    }
  }
}
