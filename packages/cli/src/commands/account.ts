import { resolve } from 'node:path'
import type { CommandRow, Given } from '../command.ts'
import { connect } from '../connect.ts'
import { exitCodes } from '../exit-codes.ts'
import { Failure, misuse } from '../failure.ts'
import { readSecret } from '../input.ts'
import { configDirectory, profilesFile, readProfiles, writePrivate, writeProfiles } from '../profiles.ts'
import { checkMayReveal, notSignedIn, type Session } from '../session.ts'
import {
  checkToken,
  defaultUrl,
  localProfile,
  parseUrl,
  readSettings,
  tokenPrefix,
  unknownProfile,
} from '../settings.ts'
import { tokenOptions } from './api-keys.ts'

/** Commands about who is asking, and of whom. */
export const accountCommands: readonly CommandRow[] = [
  {
    path: 'login',
    summary: 'Save an API key and the address of its server',
    description:
      'Asks for the API key, or takes it from standard input or a file; never from a flag. It is tried before it is saved. The profile lies in profiles.json (mode 0600) under POPSIGNER_CONFIG_DIR. It is called default unless --profile names it otherwise; popsigner switch says which one is used.',
    options: [
      {
        flags: '--namespace <name>',
        description: 'The namespace of commands that take one and are given none.',
        completes: 'namespaces',
      },
      { flags: '--from-file <path>', description: 'File that holds the API key; - for standard input.' },
    ],
    examples: [
      'popsigner login --url https://keys.example.com',
      'popsigner login --profile staging --from-file key.txt',
    ],
    speaksTo: 'api',
    also: [{ route: 'signer.get' }],
    run: login,
  },
  {
    path: 'switch',
    summary: 'Use another saved profile from now on',
    description:
      'The profile of commands that name none. Without a name: lists the saved ones. A flag, the environment, and what the first start left beside a server outrank it.',
    arguments: [{ name: '[profile]', description: 'Name of a saved profile.', completes: 'profiles' }],
    examples: ['popsigner switch staging', 'popsigner switch'],
    speaksTo: 'none',
    run: async (session, given) => switchProfile(session, given),
  },
  {
    path: 'logout',
    summary: 'Remove a saved profile',
    description: 'Removes the API key from this machine. It stays valid: revoke it with popsigner api-keys revoke.',
    examples: ['popsigner logout', 'popsigner logout --profile staging'],
    speaksTo: 'api',
    run: async ({ terminal, output }, given) => {
      const config = configDirectory(terminal.environment, terminal.directory)
      const name = given.text('profile') ?? (terminal.environment['POPSIGNER_PROFILE'] || 'default')
      const { byName, current } = readProfiles(config)
      const profiles = new Map(byName)
      if (!profiles.delete(name)) {
        throw new Failure(`there is no profile ${JSON.stringify(name)}`, {
          exit: exitCodes.notFound,
          code: 'cli.profile_unknown',
        })
      }
      writeProfiles(config, { byName: profiles, current: current === name ? 'default' : current })
      if (output.json) output.object({ profile: name, removed: true })
      output.note(`✓ removed profile ${name}. The API key stays valid: popsigner api-keys revoke ends it.`)
    },
  },
  {
    path: 'whoami',
    summary: 'Show the server, the API key in use, and where they come from',
    description:
      'Asks the server for instance and organization unless --offline is given. Shows the first characters of the API key and no more.',
    options: [{ flags: '--offline', description: 'Ask no server.' }],
    examples: ['popsigner whoami', 'popsigner whoami --offline --json'],
    speaksTo: 'api',
    also: [{ route: 'signer.get', when: 'without --offline' }],
    run: async (session, given) => {
      const { url, apiKey, namespace, profile } = session.settings()
      const signer = given.flag('offline') ? null : await session.client().signer({ signal: session.signal })
      if (session.output.json) {
        session.output.object({
          url: url.value,
          url_from: url.from,
          api_key: apiKey && tokenPrefix(apiKey.value),
          api_key_from: apiKey?.from ?? null,
          profile,
          namespace: namespace?.value ?? null,
          ...(signer && { instance: signer.instance, organization: signer.organization }),
        })
      } else {
        session.output.fields([
          ['server', `${url.value}  (${url.from})`],
          ['API key', apiKey && `${tokenPrefix(apiKey.value)}…  (${apiKey.from})`],
          ['namespace', namespace && `${namespace.value}  (${namespace.from})`],
          ...(signer
            ? ([
                ['instance', signer.instance],
                ['organization', signer.organization],
              ] as const)
            : []),
        ])
      }
      return apiKey === null ? exitCodes.notPermitted : exitCodes.done
    },
  },
  {
    path: 'auth token',
    summary: 'Print the API key in use',
    description: 'For programs that want it on standard input, such as the curl command that --print-request shows.',
    options: tokenOptions,
    examples: ['popsigner auth token --reveal', 'popsigner auth token --to-file key.txt'],
    speaksTo: 'api',
    run: async (session, given) => {
      checkMayReveal(session, given)
      const { apiKey } = session.settings()
      if (apiKey === null) throw notSignedIn()
      const file = given.text('to-file')
      if (file !== undefined) writePrivate(resolve(session.terminal.directory, file), `${apiKey.value}\n`)
      const token = file === undefined ? apiKey.value : null
      if (session.output.json) return session.output.object({ token, from: apiKey.from })
      if (token !== null) session.output.line(token)
    },
  },
  {
    path: 'signer',
    summary: 'Show who the signer is and what it can do',
    description:
      'Its identity key, which is pinned on first use, and what each algorithm does on that machine: the library, whether it is native, which hashes it takes.',
    examples: ['popsigner signer', 'popsigner signer --json'],
    speaksTo: 'api',
    calls: ['signer.get'],
    run: async ({ client, output }) => {
      const signer = await client().signer()
      if (output.json) return output.object(signer)
      output.fields([
        ['instance', signer.instance],
        ['organization', signer.organization],
        ['log', signer.log],
        ['identity', signer.verifier_key],
        ['locked memory', signer.locked_memory ? 'yes' : 'no: opened keys may be swapped to disk'],
        ...signer.algorithms.flatMap(({ name, engine, native, schemes }) =>
          schemes.map(
            (scheme, place) =>
              [
                place === 0 ? name : '',
                [
                  scheme.name,
                  engine,
                  native ? 'native' : 'no native engine',
                  scheme.deterministic ? 'deterministic' : 'random',
                  ...scheme.hashes,
                  ...(scheme.prehashed ? ['digests'] : []),
                ].join(', '),
              ] as const,
          ),
        ),
      ])
    },
  },
]

async function login(session: Session, given: Given): Promise<void> {
  const { terminal, output } = session
  const name = given.text('profile') ?? (terminal.environment['POPSIGNER_PROFILE'] || 'default')
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name))
    throw misuse('that is no name of a profile', 'Use letters, digits, dots, dashes and underscores.')
  const config = configDirectory(terminal.environment, terminal.directory)
  const { byName, current } = readProfiles(config)
  const profiles = new Map(byName)
  const url = parseUrl(
    given.text('url') ?? (terminal.environment['POPSIGNER_URL'] || profiles.get(name)?.url || defaultUrl),
  )
  const apiKey = await readSecret(terminal, `API key for ${url} (not shown): `, given.text('from-file'))
  checkToken(apiKey, 'what was given')
  const namespace = given.text('namespace') ?? null
  const settings = {
    ...readSettings({ ...terminal.environment, POPSIGNER_API_KEY: apiKey, POPSIGNER_PROFILE: '' }, terminal.directory, {
      url,
    }),
    apiKey: { value: apiKey, from: 'what was just given' },
  }
  const signer = await connect(terminal, settings).signer({ signal: session.signal })
  profiles.set(name, { url, apiKey, namespace })
  writeProfiles(config, { byName: profiles, current })
  if (output.json) output.object({ profile: name, url, organization: signer.organization, instance: signer.instance })
  output.note(
    `✓ saved as profile ${name} in ${profilesFile(config)}: ${signer.organization} @ ${signer.instance}, ${url}`,
  )
  if (name !== current && profiles.has(current))
    output.note(`The profile in use is ${current}. Use this one: popsigner switch ${name}`)
}

function switchProfile({ terminal, output }: Session, given: Given): void {
  const config = configDirectory(terminal.environment, terminal.directory)
  const { byName, current } = readProfiles(config)
  const name = given.optionalArgument(0)
  if (name !== undefined) {
    if (!byName.has(name)) throw unknownProfile(name, [...byName.keys()])
    writeProfiles(config, { byName, current: name })
  }
  const used = name ?? current
  const profiles = [...byName].map(([one, { url, namespace }]) => ({
    name: one,
    url,
    namespace,
    current: one === used,
  }))
  if (output.json) output.object(name === undefined ? profiles : profiles.find((one) => one.current))
  else if (byName.size === 0) output.note('No profile is saved: popsigner login saves one.')
  else if (name === undefined)
    output.table(
      ['', 'NAME', 'SERVER', 'NAMESPACE'],
      profiles.map((one) => [one.current ? '*' : ' ', one.name, one.url, one.namespace]),
    )
  else output.note(`✓ profile ${used}: ${byName.get(used)?.url}`)
  if (!byName.has(used)) return
  const outranking = ['POPSIGNER_API_KEY', 'POPSIGNER_PROFILE', 'POPSIGNER_URL'].find(
    (one) => terminal.environment[one],
  )
  const local = localProfile(terminal.environment, terminal.directory)
  if (outranking !== undefined) output.warn(`${outranking} in the environment outranks it.`)
  else if (local !== null) output.warn(`In this directory ${local.from} outranks it; --profile ${used} does not.`)
}
