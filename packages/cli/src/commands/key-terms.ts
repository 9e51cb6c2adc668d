import { algorithmNames, type Key, schemeNames } from '@popsigner/sdk'
import type { Given, OptionRow } from '../command.ts'
import { misuse } from '../failure.ts'
import { chooseNamespace } from '../find.ts'
import type { Session } from '../session.ts'

/** What a key can be asked for. */
export const uses = ['transaction', 'message', 'raw', 'digest']

/** What may be said about a key when it is made, however it is made. */
export const termOptions: readonly OptionRow[] = [
  {
    flags: '--namespace <name>',
    description: 'Default: POPSIGNER_NAMESPACE, the profile’s, or the only one there is.',
    completes: 'namespaces',
  },
  {
    flags: '--algorithm <name>',
    description: 'secp256k1 unless given. It never changes.',
    choices: algorithmNames,
  },
  {
    flags: '--scheme <scheme>',
    description:
      'How the key may sign; several times or with commas. Default: the first scheme of its algorithm (popsigner signer lists them).',
    many: 'commas',
    choices: schemeNames,
  },
  {
    flags: '--exportable',
    description:
      'The key can be exported, to anyone with api:keys:export. Its cost: whoever gets such an API key, or the server itself, can take the key away and sign with it where no record is made. It cannot be changed later.',
  },
  { flags: '--export-to <sha256>', description: 'Exportable to one recipient only: SHA-256 (hex) of its public key.' },
  {
    flags: '--use <use>',
    description: 'What the key may be asked for; several times or with commas. Default: everything.',
    many: 'commas',
    choices: uses,
  },
  { flags: '--metadata <name=value>', description: 'A text of your own; several times.', many: 'whole' },
  {
    flags: '--rotate-every-days <days>',
    description: 'Rotate the key by itself after so many days.',
    whole: [1, 3650],
  },
]

/** The terms of new keys, as the API takes them. */
export async function readTerms(session: Session, given: Given) {
  const exportTo = given.text('export-to')
  if (exportTo !== undefined && given.flag('exportable')) {
    throw misuse(
      '--exportable and --export-to contradict each other',
      'The first is for anyone, the second for one recipient.',
    )
  }
  const metadata = readMetadata(given.list('metadata'))
  const algorithm = given.text('algorithm') as Key['algorithm'] | undefined
  const days = given.number('rotate-every-days')
  return {
    namespace: await chooseNamespace(session, given.text('namespace')),
    ...(algorithm !== undefined && { algorithm }),
    ...(exportTo === undefined ? given.flag('exportable') && { exportable: true } : { export: exportTo.toLowerCase() }),
    ...(given.list('scheme') && { schemes: [...(given.list('scheme') ?? [])] as Key['schemes'] }),
    ...(given.list('use') && { uses: [...(given.list('use') ?? [])] as Key['uses'] }),
    ...(metadata !== undefined && { metadata }),
    ...(days !== undefined && { rotate_every_days: days }),
  }
}

/** `name=value` pairs as metadata; undefined where none was given. Throws a usage `Failure` for one without a name. */
export function readMetadata(pairs: readonly string[] | undefined): Record<string, string> | undefined {
  if (pairs === undefined) return undefined
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf('=')
      if (at < 1) throw misuse(`--metadata ${pair} is not accepted`, 'Write it as name=value.')
      return [pair.slice(0, at), pair.slice(at + 1)] as const
    }),
  )
}
