import type { CommandRow, Given } from '../command.ts'
import { connect } from '../connect.ts'
import { exitCodes } from '../exit-codes.ts'
import { Failure, misuse } from '../failure.ts'
import { readSecret } from '../input.ts'
import { configDirectory, profilesFile, readProfiles, writeProfiles } from '../profiles.ts'
import type { Session } from '../session.ts'
import { checkToken, defaultUrl, parseUrl, readSettings, tokenPrefix } from '../settings.ts'

/** Commands about who is asking, and of whom. */
export const accountCommands: readonly CommandRow[] = [
  {
    path: 'login',
    summary: 'Save an API key and the address of its server',
    description:
      'Asks for the API key, or takes it from standard input or a file; never from a flag. It is tried before it is saved. The profile lies in profiles.json (mode 0600) under POPSIGNER_CONFIG_DIR. The one called default is used where POPSIGNER_API_KEY is not set.',
    options: [
      { flags: '--namespace <name>', description: 'The namespace of commands that take one and are given none.' },
      { flags: '--from-file <path>', description: 'File that holds the API key; - for standard input.' },
    ],
    examples: [
      'popsigner login --url https://keys.example.com',
      'popsigner login --profile staging --from-file key.txt',
    ],
    speaksTo: 'api',
    run: login,
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
      const profiles = new Map(readProfiles(config))
      if (!profiles.delete(name)) {
        throw new Failure(`there is no profile ${JSON.stringify(name)}`, {
          exit: exitCodes.notFound,
          code: 'cli.profile_unknown',
        })
      }
      writeProfiles(config, profiles)
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
    path: 'signer',
    summary: 'Show who the signer is and what it can do',
    description:
      'Its identity key, which is pinned on first use, and what each algorithm does on that machine: the library, whether it is native, which hashes it takes.',
    examples: ['popsigner signer', 'popsigner signer --json'],
    speaksTo: 'api',
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
  const profiles = new Map(readProfiles(config))
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
  writeProfiles(config, profiles)
  if (output.json) output.object({ profile: name, url, organization: signer.organization, instance: signer.instance })
  output.note(
    `✓ saved as profile ${name} in ${profilesFile(config)}: ${signer.organization} @ ${signer.instance}, ${url}`,
  )
}
