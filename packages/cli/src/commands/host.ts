import type { CheckpointVerdict, OfferedLog } from '@popsigner/server/host-recovery'
import { readHostKey } from '../admin.ts'
import type { CommandRow, Given } from '../command.ts'
import { exitCodes } from '../exit-codes.ts'
import { Failure, misuse } from '../failure.ts'
import { readInput } from '../input.ts'
import type { Session } from '../session.ts'

const hostOnly =
  'For whoever runs the instance: speaks to the running server over its admin socket, which it finds through POPSIGNER_DATA_DIR (default .popsigner here).'

interface Organization {
  readonly id: string
  readonly name: string
  readonly plan: string
  readonly created_at: string
}

/** Commands with the host's power. No network route has it. */
export const hostCommands: readonly CommandRow[] = [
  {
    path: 'orgs create',
    summary: 'Create an organization',
    description: `A tenant with its own log, keys and API keys. ${hostOnly}`,
    arguments: [{ name: '<name>', description: 'Its name.' }],
    options: [
      { flags: '--plan <plan>', description: 'Default: self_hosted.' },
      {
        flags: '--namespace <name>',
        description: 'Create these namespaces as well; several times or with commas.',
        many: 'commas',
      },
    ],
    examples: ['popsigner orgs create acme', 'popsigner orgs create acme --namespace production,staging'],
    speaksTo: 'host',
    run: async (session, given) => {
      const plan = given.text('plan')
      const namespaces = given.list('namespace')
      const body = { name: given.argument(0), ...(plan !== undefined && { plan }), ...(namespaces && { namespaces }) }
      const organization = (await (
        await session.admin()
      ).call('POST', 'organizations', body)) as unknown as Organization
      if (session.output.json) return session.output.object(organization)
      session.output.fields([
        ['id', organization.id],
        ['name', organization.name],
        ['plan', organization.plan],
      ])
      session.output.note(`An API key for it: popsigner api-keys create first --org ${organization.name}`)
    },
  },
  {
    path: 'orgs list',
    summary: 'List the organizations of the instance',
    description: hostOnly,
    examples: ['popsigner orgs list', 'popsigner orgs list --json'],
    speaksTo: 'host',
    run: async (session) => {
      const { organizations } = (await (await session.admin()).call('GET', 'organizations')) as {
        organizations?: Organization[]
      }
      if (session.output.json) return session.output.object(organizations ?? [])
      session.output.table(
        ['ID', 'NAME', 'PLAN', 'CREATED AT (UTC)'],
        (organizations ?? []).map(({ id, name, plan, created_at }) => [id, name, plan, created_at]),
      )
    },
  },
  {
    path: 'status',
    summary: 'Show the state of the instance that runs here',
    description: `Processes, database, signer and log. ${hostOnly} Exit code 75 where none runs or a part is not ready.`,
    examples: ['popsigner status', 'popsigner status --json'],
    speaksTo: 'host',
    run: async (session) => {
      const status = await (await session.admin()).call('GET', 'status')
      if (session.output.json) session.output.object(status)
      else session.output.fields(flatten(status))
      return status['status'] === undefined || status['status'] === 'ready' || status['ready'] === true
        ? exitCodes.done
        : exitCodes.tryLater
    },
  },
  {
    path: 'seal rotate',
    summary: 'Rotate the root key',
    description: `Makes a new root key and seals everything under it, while serving; then the old one is refused for good. It answers wear, not theft: after a theft rotate the organization keys as well (--organization-keys) and replace the signing keys. Copy the new key file afterwards. ${hostOnly}`,
    options: [
      {
        flags: '--organization-keys',
        description: 'New organization keys as well, so that copies of old envelopes cannot be opened.',
      },
    ],
    examples: ['popsigner seal rotate', 'popsigner seal rotate --organization-keys --yes'],
    speaksTo: 'host',
    asks: 'yes',
    run: rotateSeal,
  },
  {
    path: 'recover accept-rollback',
    summary: 'Accept that records of an organization are lost',
    description: `For a database that is older than the signer’s ledger: a restored copy, a lost failover. Until then nothing of the organization is signed. What was signed after the database’s last record is in no log any more; the acceptance is itself a record. Proved to the signer with the host’s key file. With --checkpoint the database’s log must prove that it extends the last checkpoint somebody kept; without it, it is compared with nothing. ${hostOnly}`,
    arguments: [{ name: '<organization>', description: 'Its name or id.', completes: 'organizations' }],
    options: [
      {
        flags: '--checkpoint <file>',
        description: 'The last checkpoint that anybody has: a signed note, or a receipt as JSON; - for standard input.',
      },
    ],
    examples: [
      'popsigner recover accept-rollback acme --checkpoint receipt.json',
      'popsigner recover accept-rollback acme --confirm acme',
    ],
    speaksTo: 'host',
    asks: 'name',
    run: acceptRollback,
  },
]

async function rotateSeal(session: Session, given: Given): Promise<void> {
  const { output } = session
  const all = given.flag('organization-keys')
  const admin = await session.admin()
  await session.consent({
    what: all ? 'Rotate the root key and every organization key' : 'Rotate the root key',
    consequence: 'Copies of the key file made until now open nothing that is sealed from now on.',
    where: [`data directory  ${admin.dataDirectory}`],
    name: null,
  })
  const counts = new Map<string, ReturnType<Session['progress']>>()
  let result: Record<string, unknown> | undefined
  await admin.stream('seal/rotate', { organization_keys: all }, (line) => {
    if (output.json) output.element(line)
    if (line['result'] !== undefined) result = line['result'] as Record<string, unknown>
    const { step, done, total } = line
    if (typeof step !== 'string' || typeof done !== 'number') return
    const progress = counts.get(step) ?? session.progress(step, typeof total === 'number' ? total : null)
    counts.set(step, progress)
    progress.update(done)
  })
  for (const progress of counts.values()) progress.end()
  if (result === undefined) {
    throw new Failure('the rotation did not end', {
      exit: exitCodes.failed,
      code: 'seal.interrupted',
      why: 'The connection to the server ended. Both root keys are kept until everything is sealed under the new one.',
      next: [{ command: 'popsigner seal rotate', when: 'to go on' }],
    })
  }
  if (!output.json) output.fields(flatten(result))
  output.note('✓ rotated. Copy the new key file now, to another disk than the data: without it every key is lost.')
}

interface RecoverState extends OfferedLog {
  readonly organization: string
  readonly ledger: { readonly size: number; readonly root: string } | null
  readonly nonce: string
}

async function acceptRollback(session: Session, given: Given): Promise<void> {
  const { output } = session
  const name = given.argument(0)
  const admin = await session.admin()
  const { acceptCheckpointMac, compareWithCheckpoint, findCheckpoint } = await import('@popsigner/server/host-recovery')
  const file = given.text('checkpoint')
  const kept = file === undefined ? undefined : findCheckpoint((await readInput(session.terminal, file)).toString())
  if (kept === null)
    throw misuse(
      'the file holds no checkpoint',
      'It is neither a signed note nor JSON with one as "checkpoint", as a receipt has it.',
      [{ command: 'popsigner audit receipt <record> --to-file receipt.json', when: 'to make such a file' }],
    )
  const query = kept === undefined ? '' : `?size=${kept.size}`
  const state = (await admin.call('GET', `recover/${encodeURIComponent(name)}${query}`)) as unknown as RecoverState
  const { ledger, database } = state
  if (kept === undefined) {
    const alone =
      ledger === null ? ' and the signer has no memory of it, so that nothing tells an old copy from the newest' : ''
    output.note(
      `! The log of ${name} is compared with no checkpoint${alone}: give the last one that anybody kept with --checkpoint <file>.`,
    )
  } else {
    const verdict = compareWithCheckpoint(kept.note, state)
    if (verdict !== 'extended') throw notExtended(verdict, name, kept.size, state)
    output.note(`✓ the log of ${name} extends the checkpoint of ${kept.size} records in ${file}`)
  }
  await session.consent({
    what: `Accept the database of ${name} as it is`,
    consequence: `Its log has ${database.size} records; the signer has ${ledger === null ? 'no memory of it' : `seen ${ledger.size}`}. What was lost stays lost.`,
    where: [
      `organization    ${state.organization}`,
      `log             ${state.log}`,
      `data directory  ${admin.dataDirectory}`,
      `compared with   ${kept === undefined ? 'no checkpoint' : `the checkpoint of ${kept.size} records in ${file}, which it extends`}`,
    ],
    name,
  })
  const hostKey = readHostKey(admin.dataDirectory)
  let mac: string
  try {
    mac = acceptCheckpointMac(hostKey, {
      organization: state.organization,
      size: database.size,
      root: database.root,
      nonce: state.nonce,
    })
  } finally {
    hostKey.fill(0)
  }
  const { organization, nonce } = state
  const answer = await admin.call('POST', 'recover', {
    organization,
    size: database.size,
    root: database.root,
    nonce,
    mac,
  })
  if (output.json) output.object({ ...answer, compared_with: kept?.size ?? null })
  else
    output.fields([
      ['organization', organization],
      ['log', state.log],
      ['size', database.size],
      ['root', database.root],
    ])
  output.note(`✓ ${name} signs again. The acceptance is in its log; tell whoever kept a checkpoint.`)
}

/** A database's log that does not extend the checkpoint which was handed: nothing is accepted. */
function notExtended(
  verdict: Exclude<CheckpointVerdict, 'extended'>,
  name: string,
  size: number,
  { log, database }: RecoverState,
): Failure {
  const whys: Readonly<Record<typeof verdict, string>> = {
    unsigned: `It is not of ${log}, or not signed by that log’s key and by this instance.`,
    behind: `The checkpoint covers ${size} records and the database has ${database.size}: at least ${size - database.size} are lost.`,
    fork: `Its first ${size} records are not those of the checkpoint: this database has another history.`,
  }
  return new Failure(`the log of ${name} does not extend the checkpoint; nothing was accepted`, {
    exit: exitCodes.notValid,
    code: verdict === 'unsigned' ? 'checkpoint.invalid' : `checkpoint.${verdict === 'fork' ? 'inconsistent' : verdict}`,
    why: whys[verdict],
    ...(verdict === 'behind' && {
      advice:
        'Restore a newer copy. If there is none, accept without --checkpoint, and tell whoever kept that checkpoint.',
    }),
    ...(verdict === 'fork' && { advice: 'Restore another copy, and find out where this one comes from.' }),
  })
}

/** The leaves of an answer as lines: `signer.restarts  0`. */
function flatten(value: Record<string, unknown>, prefix = ''): [string, string | number | boolean | null][] {
  return Object.entries(value).flatMap(([name, one]): [string, string | number | boolean | null][] => {
    const path = prefix === '' ? name : `${prefix}.${name}`
    if (Array.isArray(one)) {
      return one.flatMap((entry, place): [string, string | number | boolean | null][] => {
        const { name: label, ok, detail } = (entry ?? {}) as Record<string, unknown>
        if (typeof label === 'string' && typeof ok === 'boolean')
          return [[`${path}.${label}`, `${ok ? '✓' : '✕'} ${String(detail ?? '')}`]]
        return typeof entry === 'object' && entry !== null
          ? flatten(entry as Record<string, unknown>, `${path}.${place}`)
          : [[`${path}.${place}`, String(entry)]]
      })
    }
    if (typeof one === 'object' && one !== null) return flatten(one as Record<string, unknown>, path)
    return [[path, one as string | number | boolean | null]]
  })
}
