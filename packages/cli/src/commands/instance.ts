import type { CommandRow } from '../command.ts'
import type { Session } from '../session.ts'

/** Commands that make and run an instance. What they need of the server is loaded when they run. */
export const instanceCommands: readonly CommandRow[] = [
  {
    path: 'init',
    summary: 'Make an instance in an empty data directory',
    description:
      'Makes key file, signer identity and database in POPSIGNER_DATA_DIR (default .popsigner here), and refuses where there is an instance already. Without the key file every key is lost: copy it to another disk than the data. The name is in every envelope, record and checkpoint, and never changes.',
    options: [
      { flags: '--name <name>', description: 'Name of the instance, such as keys.example.com. Default: random.' },
    ],
    examples: [
      'popsigner init --name keys.example.com',
      'POPSIGNER_DATA_DIR=/var/lib/popsigner popsigner init --name keys.example.com',
    ],
    speaksTo: 'none',
    run: async (session, given) => {
      const { initInstance } = await import('@popsigner/server/supervise/init')
      const config = await readConfig(session, { plainHttp: true, unlockedMemory: false })
      const name = given.text('name')
      const instance = await initInstance(config, session.output.note, name === undefined ? {} : { name })
      if (session.output.json) {
        session.output.object({
          name: instance.name,
          created: instance.created,
          data_directory: config.dataDirectory,
          key_file: config.sealKeyFile,
        })
      } else
        session.output.fields([
          ['name', instance.name],
          ['data directory', config.dataDirectory],
          ['key file', config.sealKeyFile],
        ])
      session.output.warn('Without the key file every key is lost. Copy it now, to another disk than the data.')
      session.output.note('Start it: popsigner serve. Then: popsigner orgs create <name>')
    },
  },
  {
    path: 'serve',
    summary: 'Run the instance',
    description:
      'Starts PostgreSQL, the signer and the server of the instance in POPSIGNER_DATA_DIR and runs until a signal ends it: SIGTERM or Ctrl-C drains, a second one ends it at once. Creates nothing and prints no key. Settings are POPSIGNER_* variables: popsigner help environment. A host other than loopback needs a TLS certificate.',
    options: [
      {
        flags: '--insecure-plain-http',
        description: 'Serve plain HTTP on a host other than loopback, behind a proxy of your own.',
      },
      { flags: '--insecure-unlocked-memory', description: 'Start although opened keys may be swapped to disk.' },
    ],
    examples: ['popsigner serve', 'POPSIGNER_PORT=8443 popsigner serve'],
    speaksTo: 'none',
    run: async (session, given) => {
      const { serve } = await import('@popsigner/server/supervise/serve')
      const insecure = {
        plainHttp: given.flag('insecure-plain-http'),
        unlockedMemory: given.flag('insecure-unlocked-memory'),
      }
      return serve(await readConfig(session, insecure))
    },
  },
]

async function readConfig({ terminal }: Session, insecure: { plainHttp: boolean; unlockedMemory: boolean }) {
  const config = await import('@popsigner/server/supervise/config')
  return config.readConfig(terminal.environment, terminal.directory, insecure)
}
