import type { ApiKey, Key, Namespace } from '@popsigner/sdk'
import { exitCodes } from './exit-codes.ts'
import { Failure, misuse } from './failure.ts'
import type { Session } from './session.ts'

/** All that an iteration brings. */
export async function collect<T>(source: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const one of source) found.push(one)
  return found
}

const idForm = (prefix: string): RegExp => new RegExp(`^${prefix}_[0-7][0-9a-hjkmnp-tv-z]{25}$`)
const keyIdForm = idForm('key')

/** The id of a key named by id, by `namespace/name`, or by a name that only one key has. Asks the server only for names. */
export async function findKeyId(session: Session, text: string): Promise<string> {
  return keyIdForm.test(text) ? text : (await findKey(session, text)).id
}

/** A key named by id, by `namespace/name`, or by a name that only one key has. */
export async function findKey(session: Session, text: string): Promise<Key> {
  const client = session.client()
  if (keyIdForm.test(text)) return client.keys.get(text)
  const slash = text.indexOf('/')
  const namespace = slash < 0 ? undefined : text.slice(0, slash)
  const name = text.slice(slash + 1)
  const { keys } = await client.keys.list({ name, ...(namespace !== undefined && { namespace }) })
  const living = keys.filter((key) => key.state !== 'destroyed')
  const found = living.length > 0 ? living : keys
  if (found.length === 1 && found[0]) return found[0]
  if (found.length === 0) {
    throw new Failure(`no key is named ${text}`, {
      exit: exitCodes.notFound,
      code: 'key.not_found',
      why: 'None of this name can be seen with this API key.',
      next: [
        { command: 'popsigner keys list', when: 'to see the keys' },
        { command: `popsigner keys create ${name}`, when: 'to create it' },
      ],
    })
  }
  throw misuse(
    `${found.length} keys are named ${name}`,
    'Name the one that is meant by its namespace or id.',
    found.map((key) => ({ command: `… ${key.namespace}/${key.name}`, when: key.id })),
  )
}

/** The namespace a command works in: as given, else as set, else the only one there is. */
export async function chooseNamespace(session: Session, given: string | undefined): Promise<string> {
  const set = given ?? session.settings().namespace?.value
  if (set !== undefined) return set
  const { namespaces } = await session.client().namespaces.list()
  if (namespaces.length === 1 && namespaces[0]) return namespaces[0].name
  throw misuse(
    'a namespace must be named',
    namespaces.length === 0
      ? 'There is none that this API key may use.'
      : `There are ${namespaces.length}: ${namespaces.map(({ name }) => name).join(', ')}.`,
    [
      { command: '… --namespace <name>', when: 'for this command' },
      { command: 'export POPSIGNER_NAMESPACE=<name>', when: 'for this shell' },
    ],
  )
}

/** A namespace by name or id. */
export async function findNamespace(session: Session, text: string): Promise<Namespace> {
  for await (const namespace of session.client().namespaces.all({ signal: session.signal })) {
    if (namespace.id === text || namespace.name === text) return namespace
  }
  throw notThere('namespace', text, 'popsigner namespaces list')
}

/** An API key by id, or by a name that only one has. */
export async function findApiKey(session: Session, text: string): Promise<ApiKey> {
  const all = await collect(session.client().apiKeys.all({ signal: session.signal }))
  const found = all.filter(({ id, name }) => id === text || name === text)
  if (found.length === 1 && found[0]) return found[0]
  if (found.length === 0) throw notThere('API key', text, 'popsigner api-keys list')
  throw misuse(
    `${found.length} API keys are named ${text}`,
    'Name the one that is meant by its id.',
    found.map(({ id, prefix }) => ({ command: `… ${id}`, when: prefix })),
  )
}

function notThere(what: string, text: string, command: string): Failure {
  return new Failure(`no ${what} is named ${text}`, {
    exit: exitCodes.notFound,
    code: `${what.toLowerCase().replace(' ', '_')}.not_found`,
    next: [{ command, when: 'to see them' }],
  })
}
