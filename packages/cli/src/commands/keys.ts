import { algorithmNames, type Key, schemeNames } from '@popsigner/sdk'
import { hasPem, type PublicKeyFormat, writePublicKey } from '@popsigner/sdk/key-encodings'
import type { ArgumentRow, CommandRow, Given } from '../command.ts'
import { misuse } from '../failure.ts'
import { collect, findKey, findKeyId } from '../find.ts'
import type { Session } from '../session.ts'
import { readMetadata, readTerms, termOptions, uses } from './key-terms.ts'
import { showKey, showKeys, whereOf } from './show-key.ts'

const keyArgument: ArgumentRow = {
  name: '<key>',
  description: 'Id, namespace/name, or a name that only one key has.',
  completes: 'keys',
}

const states = ['pre_active', 'active', 'suspended', 'deactivated', 'compromised', 'destroyed']

/** Commands over keys, but for import and export. */
export const keyCommands: readonly CommandRow[] = [
  {
    path: 'keys create',
    summary: 'Create a key, or several that are numbered',
    description:
      'The private key is made inside the signer and never leaves it unless --exportable is given. With --count the name is a prefix: <name>-1, <name>-2 and so on, all or none.',
    arguments: [{ name: '<name>', description: 'Name of the key, unique in its namespace; the prefix with --count.' }],
    options: [
      ...termOptions,
      { flags: '--count <number>', description: 'Create so many, numbered from 1.', whole: [1, 100] },
    ],
    examples: ['popsigner keys create first', 'popsigner keys create worker --count 4 --namespace production'],
    speaksTo: 'api',
    calls: ['keys.create', 'keys.createBatch'],
    also: [{ route: 'namespaces.list', when: 'no namespace is named or set' }],
    run: async (session, given) => {
      const name = given.argument(0)
      const count = given.number('count')
      if (count !== undefined) return createNumbered(session, given, name, count)
      const terms = await readTerms(session, given)
      const key = await session.client().keys.create({ name, ...terms })
      showKey(session, key)
      session.output.note(
        `✓ created ${key.namespace}/${key.name}. Sign with it: popsigner sign ${key.name} --data hello`,
      )
    },
  },
  {
    path: 'keys create-batch',
    summary: 'Create several keys at once, all or none',
    description: 'Either numbered names (--prefix and --count) or names one by one. At most 100.',
    arguments: [{ name: '[names...]', description: 'The names, where they are not numbered.' }],
    options: [
      ...termOptions,
      { flags: '--prefix <name>', description: 'Numbered names: <prefix>-1, <prefix>-2 and so on.' },
      { flags: '--count <number>', description: 'How many numbered names.', whole: [1, 100] },
    ],
    examples: [
      'popsigner keys create-batch --prefix worker --count 4',
      'popsigner keys create-batch alice bob --namespace staging',
    ],
    speaksTo: 'api',
    calls: ['keys.createBatch'],
    also: [{ route: 'namespaces.list', when: 'no namespace is named or set' }],
    run: async (session, given) => {
      const prefix = given.text('prefix')
      const count = given.number('count')
      const names = given.arguments()
      if ((prefix === undefined) !== (count === undefined) || (prefix === undefined) === (names.length === 0)) {
        throw misuse('the keys are not named', 'Give --prefix together with --count, or the names; not both.', [
          { command: 'popsigner keys create-batch --prefix worker --count 4', when: 'for worker-1 to worker-4' },
        ])
      }
      if (prefix !== undefined && count !== undefined) return createNumbered(session, given, prefix, count)
      const { namespace, metadata, ...terms } = await readTerms(session, given)
      const keys = names.map((name) => ({ name, namespace, ...(metadata && { metadata }) }))
      showKeys(session, (await session.client().keys.createBatch({ keys, ...terms })).keys)
    },
  },
  {
    path: 'keys addresses',
    summary: 'List the addresses of a key',
    description:
      'Of each version, the primary one first. Without --chain on the main network of each chain that is known.',
    arguments: [keyArgument],
    options: [{ flags: '--chain <id>', description: 'The network as a CAIP-2 id: eip155:1.' }],
    examples: ['popsigner keys addresses treasury', 'popsigner keys addresses treasury --chain eip155:8453'],
    speaksTo: 'api',
    calls: ['keys.addresses'],
    also: [{ route: 'keys.list', when: 'a key is given by its name' }],
    run: async (session, given) => {
      const chain = given.text('chain')
      const id = await findKeyId(session, given.argument(0))
      const { addresses } = await session.client().keys.addresses(id, chain === undefined ? {} : { chain })
      if (session.output.json) session.output.object(addresses)
      else
        session.output.table(
          ['ADDRESS', 'NETWORK', 'KIND', 'VERSION'],
          addresses.map((one) => [one.address, one.chain, one.kind, one.key_version]),
        )
    },
  },
  {
    path: 'keys list',
    summary: 'List keys',
    description: 'Newest first. Without --all one page; what is left out is said on standard error.',
    options: [
      { flags: '--namespace <name>', description: 'Only keys of this namespace.', completes: 'namespaces' },
      { flags: '--name <name>', description: 'Only keys of this name.' },
      { flags: '--algorithm <name>', description: 'Only keys of this algorithm.', choices: algorithmNames },
      { flags: '--state <state>', description: 'Only keys in this state.', choices: states },
      { flags: '--limit <number>', description: 'How many; 50 unless given.', whole: [1, 100] },
      { flags: '--all', description: 'All of them, page after page.' },
    ],
    examples: ['popsigner keys list', 'popsigner keys list --namespace production --state active --json'],
    speaksTo: 'api',
    calls: ['keys.list'],
    run: async (session, given) => {
      const { algorithm, state, ...filter } = pick(given, ['namespace', 'name', 'algorithm', 'state'])
      const query = {
        ...filter,
        ...(algorithm && { algorithm: algorithm as Key['algorithm'] }),
        ...(state && { state: state as Key['state'] }),
      }
      const { keys } = session.client()
      if (given.flag('all'))
        return showKeys(session, await collect(keys.all({ ...query, limit: 100 }, { signal: session.signal })))
      const page = await keys.list({ ...query, limit: given.number('limit') ?? 50 })
      showKeys(session, page.keys)
      if (page.next_cursor !== null) session.output.note('There are more: --all lists them.')
    },
  },
  {
    path: 'keys get',
    summary: 'Show a key',
    description: 'What the key is, what it may do, its addresses and its versions.',
    arguments: [keyArgument],
    options: [
      {
        flags: '--format <format>',
        description: 'Print the public key alone: hex, pem (SPKI) or jwk.',
        choices: ['hex', 'pem', 'jwk'],
      },
    ],
    examples: [
      'popsigner keys get production/first',
      'popsigner keys get first --json',
      'popsigner keys get first --format pem',
    ],
    speaksTo: 'api',
    calls: ['keys.get', 'keys.list'],
    run: async (session, given) => {
      const key = await findKey(session, given.argument(0))
      const format = given.text('format') as PublicKeyFormat | undefined
      if (format === undefined) return showKey(session, key)
      if (format !== 'hex' && !hasPem(key.algorithm))
        throw misuse(`${key.algorithm} has no ${format}`, 'Its public key is bytes: --format hex.')
      session.output.line(writePublicKey(key.algorithm, key.public_key, format).trimEnd())
    },
  },
  {
    path: 'keys update',
    summary: 'Change a key',
    description:
      'Changes what is named and leaves the rest. States are left only forwards, but for suspended to active. Uses and schemes can only be narrowed. The change is refused if somebody else changed the key in between.',
    arguments: [keyArgument],
    options: [
      { flags: '--name <name>', description: 'A new name.' },
      {
        flags: '--state <state>',
        description: 'A new state.',
        choices: ['active', 'suspended', 'deactivated', 'compromised'],
      },
      {
        flags: '--use <use>',
        description: 'All uses that it keeps; several times or with commas.',
        many: 'commas',
        choices: uses,
      },
      {
        flags: '--scheme <scheme>',
        description: 'All schemes that it keeps; several times or with commas.',
        many: 'commas',
        choices: schemeNames,
      },
      {
        flags: '--metadata <name=value>',
        description: 'Sets one text and leaves the others; an empty value removes it. Several times.',
        many: 'whole',
      },
      {
        flags: '--rotate-every-days <days>',
        description: 'Rotate by itself after so many days; 0 for never.',
        whole: [0, 3650],
      },
    ],
    examples: [
      'popsigner keys update first --state suspended',
      'popsigner keys update first --metadata network=mainnet',
    ],
    speaksTo: 'api',
    calls: ['keys.update'],
    also: [
      { route: 'keys.get' },
      { route: 'keys.list', when: 'a key is given by its name' },
      { route: 'signer.get', when: 'to name the organization before it asks' },
      { scope: 'api:access:write', when: 'to make a suspended key active' },
    ],
    asks: 'name',
    run: updateKey,
  },
  {
    path: 'keys rotate',
    summary: 'Make a new version of a key',
    description:
      'The new version has another public key and other addresses, and signs from now on. The old one is deactivated for good unless --keep-active leaves it active, to sign when named.',
    arguments: [keyArgument],
    options: [{ flags: '--keep-active', description: 'Leave the old version active.' }],
    examples: ['popsigner keys rotate first --keep-active', 'popsigner keys rotate production/first --yes'],
    speaksTo: 'api',
    calls: ['keys.rotate'],
    also: [
      { route: 'keys.get' },
      { route: 'keys.list', when: 'a key is given by its name' },
      { route: 'signer.get', when: 'to name the organization before it asks' },
    ],
    asks: 'yes',
    run: async (session, given) => {
      const key = await findKey(session, given.argument(0))
      if (!given.flag('keep-active')) {
        await session.consent({
          what: `Rotate ${key.namespace}/${key.name}`,
          consequence: `Version ${key.version} signs no more; its addresses have no key that signs. --keep-active leaves it active.`,
          where: await whereOf(session, key.namespace),
          name: null,
        })
      }
      const rotated = await session.client().keys.rotate(key.id, { keep_active: given.flag('keep-active') })
      showKey(session, rotated)
      session.output.note(
        `✓ version ${rotated.version} signs now; version ${rotated.previous.version} is ${rotated.previous.state}`,
      )
    },
  },
  {
    path: 'keys delete',
    summary: 'Schedule the destruction of a key',
    description:
      'The key signs no more from now on, and is destroyed after the waiting period (7 days unless given). Until then keys cancel-deletion brings it back. 0 days destroys it at once.',
    arguments: [keyArgument],
    options: [
      { flags: '--waiting-days <days>', description: 'From 0 to 30; 0 only on the plan self_hosted.', whole: [0, 30] },
    ],
    examples: [
      'popsigner keys delete first --waiting-days 7',
      'popsigner keys delete first --waiting-days 0 --confirm first',
    ],
    speaksTo: 'api',
    calls: ['keys.delete'],
    also: [
      { route: 'keys.get' },
      { route: 'keys.list', when: 'a key is given by its name' },
      { route: 'signer.get', when: 'to name the organization before it asks' },
    ],
    asks: 'name',
    run: async (session, given) => {
      const key = await findKey(session, given.argument(0))
      const days = given.number('waiting-days')
      await session.consent({
        what:
          days === 0
            ? `Destroy ${key.namespace}/${key.name}`
            : `Delete ${key.namespace}/${key.name} after ${days ?? 7} days`,
        consequence:
          days === 0
            ? 'Every version is destroyed now. What its addresses hold cannot be moved any more.'
            : 'It signs no more from now on.',
        where: await whereOf(session, key.namespace),
        name: days === 0 ? key.name : null,
      })
      const deletion = await session.client().keys.delete(key.id, days === undefined ? {} : { waiting_days: days })
      if (session.output.json) session.output.object(deletion)
      else
        session.output.fields([
          ['id', key.id],
          ['state', deletion.state],
          ['destroy at', deletion.destroy_at],
        ])
      session.output.note(
        days === 0
          ? '✓ it is being destroyed; its records stay'
          : `Undo it until then: popsigner keys cancel-deletion ${key.id}`,
      )
    },
  },
  {
    path: 'keys cancel-deletion',
    summary: 'Bring back a key that waits to be destroyed',
    description: 'Ends the waiting period; the key has the state again that it had before.',
    arguments: [keyArgument],
    examples: ['popsigner keys cancel-deletion first', 'popsigner keys cancel-deletion key_01h455vb4pex5vsknk084sn02q'],
    speaksTo: 'api',
    calls: ['keys.cancelDeletion'],
    also: [{ route: 'keys.list', when: 'a key is given by its name' }],
    run: async (session, given) => {
      const id = await findKeyId(session, given.argument(0))
      showKey(session, await session.client().keys.cancelDeletion(id))
    },
  },
  {
    path: 'keys history',
    summary: 'Show what a key was',
    description: 'Every former name, metadata, state and use, each with the record that changed it, newest first.',
    arguments: [keyArgument],
    examples: ['popsigner keys history first', 'popsigner keys history first --json'],
    speaksTo: 'api',
    calls: ['keys.history'],
    also: [{ route: 'keys.list', when: 'a key is given by its name' }],
    run: async (session, given) => {
      const id = await findKeyId(session, given.argument(0))
      const history = await collect(session.client().keys.wholeHistory(id, { signal: session.signal }))
      if (session.output.json) return session.output.object(history)
      session.output.table(
        ['CHANGED AT (UTC)', 'EVENT', 'NAME', 'STATE', 'VERSION', 'USES', 'BY', 'RECORD'],
        history.map((entry) => [
          entry.changed_at,
          entry.event,
          entry.name,
          entry.state,
          entry.version,
          entry.uses.join(','),
          entry.actor,
          entry.record_id,
        ]),
      )
    },
  },
]

async function createNumbered(session: Session, given: Given, prefix: string, count: number): Promise<void> {
  const terms = await readTerms(session, given)
  showKeys(session, (await session.client().keys.createBatch({ prefix, count, ...terms })).keys)
}

async function updateKey(session: Session, given: Given): Promise<void> {
  const { keys } = session.client()
  // Read by id: a key out of a list has no ETag, and what is merged below must be what the ETag stands for.
  const key = await keys.get(await findKeyId(session, given.argument(0)))
  const state = given.text('state') as 'active' | 'suspended' | 'deactivated' | 'compromised' | undefined
  const name = given.text('name')
  const metadata = readMetadata(given.list('metadata'))
  const days = given.number('rotate-every-days')
  const narrowedUses = given.list('use')
  const narrowedSchemes = given.list('scheme')
  const kept = [...(narrowedUses ?? []), ...(narrowedSchemes ?? [])]
  const change = {
    ...(name !== undefined && { name }),
    ...(state !== undefined && { state }),
    ...(narrowedUses !== undefined && { uses: [...narrowedUses] as Key['uses'] }),
    ...(narrowedSchemes !== undefined && { schemes: [...narrowedSchemes] as Key['schemes'] }),
    ...(metadata !== undefined && { metadata: mergeMetadata(key.metadata, metadata) }),
    ...(days !== undefined && { rotate_every_days: days === 0 ? null : days }),
  }
  if (Object.keys(change).length === 0)
    throw misuse('nothing is changed', 'Name what to change, such as --state suspended.')
  const what = `${key.namespace}/${key.name}`
  if (state === 'deactivated' || state === 'compromised' || kept.length > 0) {
    await session.consent({
      what: kept.length === 0 ? `Make ${what} ${state}` : `Narrow ${what} to ${kept.join(', ')}`,
      consequence: kept.length === 0 ? 'It never signs again.' : 'What it loses it does not get back.',
      where: await whereOf(session, key.namespace),
      name: key.name,
    })
  } else if (state === 'suspended') {
    await session.consent({
      what: `Suspend ${what}`,
      consequence: 'It signs nothing until it is made active again.',
      where: await whereOf(session, key.namespace),
      name: null,
    })
  }
  showKey(session, await keys.update(key, change))
  if (state === 'suspended') session.output.note(`Undo it: popsigner keys update ${key.id} --state active`)
}

function mergeMetadata(
  before: Readonly<Record<string, string>>,
  changes: Readonly<Record<string, string>>,
): Record<string, string> {
  return Object.fromEntries(Object.entries({ ...before, ...changes }).filter(([, value]) => value !== ''))
}

/** The given ones of these options. */
function pick(given: Given, names: readonly string[]): Record<string, string> {
  const pairs = names.map((name) => [name, given.text(name)] as const)
  return Object.fromEntries(pairs.filter((pair): pair is readonly [string, string] => pair[1] !== undefined))
}
