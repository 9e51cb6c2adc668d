import { resolve } from 'node:path'
import type { ApiKey } from '@popsigner/sdk'
import type { CommandRow, Given, OptionRow } from '../command.ts'
import { misuse } from '../failure.ts'
import { collect, findApiKey } from '../find.ts'
import { writePrivate } from '../profiles.ts'
import { checkMayReveal, type Session } from '../session.ts'
import { whereOf } from './show-key.ts'

/** An API key with its token, as API and host answer it. */
export type IssuedApiKey = ApiKey & { readonly token: string | null }

/** Where a token goes; see `checkMayReveal`. */
export const tokenOptions = [
  { flags: '--to-file <path>', description: 'Write the token to this file (mode 0600) and print it nowhere.' },
  { flags: '--reveal', description: 'Print the token although standard output is no terminal.' },
] as const satisfies readonly OptionRow[]

/** Commands over API keys. */
export const apiKeyCommands: readonly CommandRow[] = [
  {
    path: 'api-keys create',
    summary: 'Create an API key',
    description:
      'The token is shown this once. Scopes, namespaces and expiry must lie within those of the API key that asks. With --org the host makes one for an organization, over the admin socket of the server in POPSIGNER_DATA_DIR; scopes are then all of them unless named.',
    arguments: [{ name: '<name>', description: 'What it is for.' }],
    options: [
      {
        flags: '--scope <scope>',
        description: 'What it may do; several times or with commas. popsigner help scopes lists them.',
        many: 'commas',
      },
      {
        flags: '--namespace <name>',
        description: 'Bind it to this namespace; several times or with commas. Default: all.',
        many: 'commas',
        completes: 'namespaces',
      },
      {
        flags: '--expires-at <time>',
        description: 'When it stops working, such as 2027-02-18T00:00:00Z. Default: never.',
      },
      {
        flags: '--org <organization>',
        description: 'Host only: the organization, by name or id.',
        completes: 'organizations',
      },
      ...tokenOptions,
    ],
    examples: [
      'popsigner api-keys create ci-bot --scope api:keys:read,api:keys:sign --namespace staging',
      'popsigner api-keys create me --org main --to-file key.txt',
    ],
    speaksTo: 'api',
    calls: ['apiKeys.create'],
    run: createApiKey,
  },
  {
    path: 'api-keys list',
    summary: 'List API keys',
    description: 'Newest first, without their tokens. Revoked ones are not listed; the log keeps them.',
    examples: ['popsigner api-keys list', 'popsigner api-keys list --json'],
    speaksTo: 'api',
    calls: ['apiKeys.list'],
    run: async ({ output, client, signal }) => {
      const apiKeys = await collect(client().apiKeys.all({ signal }))
      if (output.json) return output.object(apiKeys)
      output.table(
        ['ID', 'NAME', 'PREFIX', 'SCOPES', 'NAMESPACES', 'EXPIRES AT (UTC)', 'LAST USED (UTC)'],
        apiKeys.map((key) => [
          key.id,
          key.name,
          key.prefix,
          key.scopes.join(','),
          key.namespaces === null ? 'all' : key.namespaces.join(','),
          key.expires_at ?? 'never',
          key.last_used_at,
        ]),
      )
    },
  },
  {
    path: 'api-keys rotate',
    summary: 'Give an API key a new token',
    description:
      'The new token is shown this once. The old one works until the grace time ends: a day unless given; 0 after a leak.',
    arguments: [{ name: '<api-key>', description: 'Its id, or a name that only one has.', completes: 'api-keys' }],
    options: [
      {
        flags: '--grace-seconds <seconds>',
        description: 'How long the old token still works, at most 7 days.',
        whole: [0, 604_800],
      },
      { flags: '--expires-at <time>', description: 'A new expiry.' },
      ...tokenOptions,
    ],
    examples: [
      'popsigner api-keys rotate ci-bot --to-file key.txt',
      'popsigner api-keys rotate ci-bot --grace-seconds 0 --yes',
    ],
    speaksTo: 'api',
    calls: ['apiKeys.rotate'],
    also: [{ route: 'apiKeys.list' }, { route: 'signer.get', when: 'to name the organization before it asks' }],
    asks: 'yes',
    run: async (session, given) => {
      checkMayReveal(session, given)
      const apiKey = await findApiKey(session, given.argument(0))
      const grace = given.number('grace-seconds')
      const expiry = given.text('expires-at')
      if (grace === 0) {
        await session.consent({
          what: `Rotate the API key ${apiKey.name} (${apiKey.prefix}…) without grace`,
          consequence: 'Whoever uses the old token is refused from now on.',
          where: await whereOf(session, null),
          name: null,
        })
      }
      const issued = await session.client().apiKeys.rotate(apiKey.id, {
        ...(grace !== undefined && { grace_seconds: grace }),
        ...(expiry !== undefined && { expires_at: expiry }),
      })
      showIssued(session, given, issued)
    },
  },
  {
    path: 'api-keys revoke',
    summary: 'Revoke an API key',
    description: 'When this has been answered nothing is signed with it any more, on any server.',
    arguments: [{ name: '<api-key>', description: 'Its id, or a name that only one has.', completes: 'api-keys' }],
    examples: ['popsigner api-keys revoke ci-bot', 'popsigner api-keys revoke ak_01h455vb4pex5vsknk084sn02q --yes'],
    speaksTo: 'api',
    calls: ['apiKeys.delete'],
    also: [{ route: 'apiKeys.list' }, { route: 'signer.get', when: 'to name the organization before it asks' }],
    asks: 'yes',
    run: async (session, given) => {
      const { id, name, prefix } = await findApiKey(session, given.argument(0))
      await session.consent({
        what: `Revoke the API key ${name} (${prefix}…)`,
        consequence: 'Whoever uses it is refused from now on. It cannot be brought back; another can be made.',
        where: await whereOf(session, null),
        name: null,
      })
      await session.client().apiKeys.delete(id)
      if (session.output.json) session.output.object({ id, name, revoked: true })
      session.output.note(`✓ revoked ${name}`)
    },
  },
]

async function createApiKey(session: Session, given: Given): Promise<void> {
  checkMayReveal(session, given)
  const name = given.argument(0)
  const scopes = given.list('scope')
  const namespaces = given.list('namespace')
  const expiresAt = given.text('expires-at') ?? null
  const organization = given.text('org')
  if (organization !== undefined) {
    const body = { organization, name, scopes: scopes ?? null, namespaces: namespaces ?? null, expires_at: expiresAt }
    showIssued(
      session,
      given,
      (await (await session.admin()).call('POST', 'api-keys', body)) as unknown as IssuedApiKey,
    )
    return
  }
  if (scopes === undefined) {
    throw misuse('the API key would have no scopes', 'Name what it may do.', [
      { command: `popsigner api-keys create ${name} --scope api:keys:read,api:keys:sign`, when: 'for one that signs' },
      { command: 'popsigner help scopes', when: 'to see all scopes' },
    ])
  }
  const issued = await session.client().apiKeys.create({
    name,
    scopes: [...scopes] as ApiKey['scopes'],
    namespaces: namespaces ? [...namespaces] : null,
    expires_at: expiresAt,
  })
  showIssued(session, given, issued)
}

/** Prints the token, which is the data, on standard output or into a file; everything else is for people. */
function showIssued(session: Session, given: Given, issued: IssuedApiKey): void {
  const { output, terminal } = session
  const file = given.text('to-file')
  if (file !== undefined && issued.token !== null) writePrivate(resolve(terminal.directory, file), `${issued.token}\n`)
  if (output.json) {
    output.object(file === undefined ? issued : { ...issued, token: null })
    return
  }
  if (file === undefined) output.line(issued.token ?? '')
  const where = issued.namespaces === null ? 'all namespaces' : issued.namespaces.join(', ')
  output.note(
    `✓ ${issued.name} (${issued.id}): ${issued.scopes.join(' ')}; ${where}, expires ${issued.expires_at ?? 'never'}`,
  )
  if (issued.grace_until) output.note(`  the token before it works until ${issued.grace_until}`)
  output.note(
    file === undefined
      ? '! This token is shown this once. Keep it where only you can read it.'
      : `  the token is in ${file} (mode 0600)`,
  )
}
