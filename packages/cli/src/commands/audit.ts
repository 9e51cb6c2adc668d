import { writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { LogRecord } from '@popsigner/sdk'
import type { CommandRow, Given } from '../command.ts'
import { misuse } from '../failure.ts'
import { findKeyId } from '../find.ts'
import type { Session } from '../session.ts'
import { printable } from '../terminal.ts'
import { dataOptions } from './data.ts'
import { forgetCommand } from './forget.ts'
import { fetchReceipt, verifyFile } from './receipt.ts'
import { verifyLog } from './verify-log.ts'

/** Commands over the log. */
export const auditCommands: readonly CommandRow[] = [
  {
    path: 'audit list',
    summary: 'List records',
    description:
      'Newest first. What proves a record is its receipt; the list is for searching. A record is there within a second.',
    options: [
      { flags: '--event-type <event>', description: 'Only this event, such as key.signed.' },
      { flags: '--key <key>', description: 'Only records of this key, by id or name.', completes: 'keys' },
      {
        flags: '--actor <actor>',
        description: 'Only what this actor did: the id of an API key, host, system or signer.',
      },
      { flags: '--data-hash <sha256>', description: 'Only signatures over data with this SHA-256 (hex).' },
      {
        flags: '--address <address>',
        description: 'Only records of the key with this address, or of requests from this network address.',
      },
      {
        flags: '--since <time>',
        description: 'Only records of this time or later, such as 2026-11-20T14:00:00Z, or 10m, 2h, 3d ago.',
      },
      { flags: '--until <time>', description: 'Only records before this time.' },
      { flags: '--limit <number>', description: 'How many; 50 unless given.', whole: [1, 1000] },
      { flags: '--all', description: 'All that fit, page after page; with --json a line each.' },
    ],
    examples: ['popsigner audit list --event-type key.signed --since 10m', 'popsigner audit list --key first --json'],
    speaksTo: 'api',
    calls: ['audit.list'],
    also: [{ route: 'keys.list', when: 'a key is given by its name, with --key' }],
    run: listRecords,
  },
  {
    path: 'audit get',
    summary: 'Show a record',
    description: 'One record with its event’s own fields.',
    arguments: [{ name: '<record>', description: 'Its id, rec_….' }],
    examples: [
      'popsigner audit get rec_01h455vb4pex5vsknk084sn02q',
      'popsigner audit get rec_01h455vb4pex5vsknk084sn02q --json',
    ],
    speaksTo: 'api',
    calls: ['audit.get'],
    run: async ({ client, output }, given) => {
      const record = await client().audit.record(given.argument(0))
      if (output.json) return output.object(record)
      output.fields([
        ['id', record.id],
        ['event', record.event],
        ['time', record.timestamp],
        ['key', record.key_id],
        ['actor', record.actor],
        ['address', record.ip_address],
        ['user agent', record.user_agent],
        ['request', record.request_id],
        ['leaf index', record.leaf_index],
        ...Object.entries(record.metadata).map(
          ([name, value]) => [name, typeof value === 'string' ? value : JSON.stringify(value)] as const,
        ),
      ])
    },
  },
  {
    path: 'audit receipt',
    summary: 'Get the receipt of a record',
    description:
      'Prints the receipt, verified against the pinned key of the log; the key is pinned the first time. Keep it: popsigner audit verify checks it offline, for as long as you like.',
    arguments: [{ name: '<record>', description: 'Its id, rec_….' }],
    options: [
      { flags: '--text', description: 'As c2sp.org/tlog-proof@v1 text instead of JSON.' },
      { flags: '--to-file <path>', description: 'Write it to this file instead.' },
    ],
    examples: [
      'popsigner audit receipt rec_01h455vb4pex5vsknk084sn02q > receipt.json',
      'popsigner audit receipt rec_01h455vb4pex5vsknk084sn02q --text',
    ],
    speaksTo: 'api',
    calls: ['audit.receipt'],
    also: [
      { route: 'audit.logKey', when: 'its keys are not pinned yet' },
      { route: 'audit.consistency' },
      { route: 'signer.get', when: 'its keys are not pinned yet' },
    ],
    run: async (session, given) => {
      const id = given.argument(0)
      const { receipt } = await fetchReceipt(session, id)
      const text = given.flag('text') ? await session.client().audit.receiptText(id) : null
      const file = given.text('to-file')
      if (file !== undefined)
        writeFileSync(resolve(session.terminal.directory, file), text ?? `${JSON.stringify(receipt, null, 2)}\n`)
      else if (text === null) session.output.object(receipt)
      else if (session.output.json) session.output.object({ receipt: text })
      else session.terminal.out(text)
      session.output.note(`✓ verified${file === undefined ? '' : ` and written to ${file}`}`)
    },
  },
  {
    path: 'audit verify',
    summary: 'Verify a receipt offline, or the whole log',
    description:
      'With a receipt: checks leaf, proof and checkpoint without asking any server, against the log’s key that was pinned when a receipt was fetched, or against --log-key. With --data and --signature also that the signature is over that data under the public key in the record. Without a receipt: walks the whole log of the organization, rebuilds its tree, and compares what the signer says it signed with what the log holds. Exit code 7 when anything does not hold.',
    arguments: [{ name: '[receipt]', description: 'File with a receipt, JSON or text; - for standard input.' }],
    options: [
      { flags: '--signature <base64>', description: 'The signature: base64, or @file, or - for standard input.' },
      ...dataOptions.slice(0, 2),
      { flags: '--public-key <hex>', description: 'The public key that must have signed, lower-case hex.' },
      {
        flags: '--log-key <key>',
        description: 'The log’s verifier key, from elsewhere than the server; text or @file.',
      },
      { flags: '--identity-key <key>', description: 'The instance’s verifier key, from elsewhere; text or @file.' },
    ],
    examples: [
      'popsigner audit verify receipt.json',
      'popsigner audit verify receipt.json --data hello --signature @signature.txt',
      'popsigner audit verify',
    ],
    speaksTo: 'api',
    calls: ['audit.list'],
    also: [
      { route: 'audit.checkpoint' },
      { route: 'audit.logKey', when: 'its keys are not pinned yet' },
      { route: 'audit.consistency' },
      { route: 'signer.get', when: 'its keys are not pinned yet' },
    ],
    run: (session, given) =>
      given.optionalArgument(0) === undefined ? verifyLog(session) : verifyFile(session, given),
  },
  {
    path: 'audit log-key',
    summary: 'Show the key of the log, and pin it',
    description:
      'Compare it with what others were told: who pins the wrong key believes the wrong log. A key that differs from the pinned one is an error.',
    examples: ['popsigner audit log-key', 'popsigner audit log-key --json'],
    speaksTo: 'api',
    calls: ['audit.logKey'],
    also: [
      { route: 'audit.checkpoint' },
      { route: 'audit.consistency' },
      { route: 'signer.get', when: 'its keys are not pinned yet' },
    ],
    run: async ({ client, output }) => {
      // Fetching the checkpoint compares both keys with what is pinned, or pins them.
      await client().audit.verifiedCheckpoint()
      const key = await client().audit.logKey()
      if (output.json) return output.object(key)
      output.fields([
        ['log key', key.verifier_key],
        ['instance key', key.instance.verifier_key],
      ])
    },
  },
  {
    path: 'audit watch',
    summary: 'Follow the log',
    description:
      'Prints records as they come. Every checkpoint must prove that it extends the one before; the last one of every log is kept. Ends with Ctrl-C, or with exit code 7 when the log is not what it was.',
    options: [{ flags: '--from-start', description: 'Begin with the first record instead of now.' }],
    examples: ['popsigner audit watch', 'popsigner audit watch --json'],
    speaksTo: 'api',
    calls: ['audit.list'],
    also: [
      { route: 'audit.checkpoint' },
      { route: 'audit.logKey', when: 'its keys are not pinned yet' },
      { route: 'audit.consistency' },
      { route: 'signer.get', when: 'its keys are not pinned yet' },
    ],
    run: watch,
  },
  forgetCommand,
]

async function listRecords(session: Session, given: Given): Promise<void> {
  const { output, signal } = session
  const key = given.text('key')
  const text = (name: string, field: string): Record<string, string> => {
    const value = given.text(name)
    return value === undefined ? {} : { [field]: value }
  }
  const query = {
    ...text('event-type', 'event_type'),
    ...text('actor', 'actor'),
    ...text('data-hash', 'data_hash'),
    ...text('address', 'address'),
    ...(key !== undefined && { key_id: await findKeyId(session, key) }),
    ...(given.text('since') !== undefined && { start_time: readTime(given.text('since') ?? '') }),
    ...(given.text('until') !== undefined && { end_time: readTime(given.text('until') ?? '') }),
  }
  const { audit } = session.client()
  if (given.flag('all')) {
    for await (const record of audit.all({ ...query, limit: 1000 }, { signal })) showRecord(session, record)
    return
  }
  const page = await audit.logs({ ...query, limit: given.number('limit') ?? 50 }, { signal })
  if (output.json) output.object(page.logs)
  else output.table(['TIME (UTC)', 'EVENT', 'RECORD', 'INDEX', 'KEY', 'ACTOR', 'FROM'], page.logs.map(recordRow))
  if (page.next_cursor !== null) output.note('There are more: --all lists them.')
}

/** A time as given, or so long ago (`90s`, `10m`, `2h`, `3d`). Throws a usage `Failure` for anything else. */
export function readTime(text: string, now: number = Date.now()): string {
  const ago = /^(\d{1,6})([smhd])$/.exec(text)
  const seconds: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 }
  if (ago) return new Date(now - Number(ago[1]) * (seconds[ago[2] ?? ''] ?? 0) * 1000).toISOString()
  if (/^\d{4}-\d\d-\d\dT/.test(text) && !Number.isNaN(Date.parse(text))) return text
  throw misuse(
    `${JSON.stringify(text)} is no time`,
    'Write it as 2026-11-20T14:00:00Z, or as 10m, 2h or 3d for so long ago.',
  )
}

function recordRow(record: LogRecord): (string | number | null)[] {
  return [record.timestamp, record.event, record.id, record.leaf_index, record.key_id, record.actor, record.ip_address]
}

function showRecord({ output }: Session, record: LogRecord): void {
  if (output.json) output.element(record)
  else
    output.line(
      recordRow(record)
        .map((cell) => (cell === null ? '–' : printable(String(cell))))
        .join('\t'),
    )
}

async function watch(session: Session, given: Given): Promise<never> {
  const { audit } = session.client()
  const { output, signal } = session
  let next = given.flag('from-start') ? 0 : null
  let size = -1
  for (;;) {
    const checkpoint = await audit.verifiedCheckpoint({ signal })
    if (checkpoint.size !== size) {
      output.note(`✓ checkpoint ${checkpoint.size}  ${new Date(checkpoint.cosignedAt * 1000).toISOString()}`)
      size = checkpoint.size
    }
    next ??= checkpoint.size
    if (next < size) next = await showSince(session, next)
    await delay(1000, undefined, { signal })
  }
}

/** Shows the records from this index on, oldest first, and answers the index after the last one. */
async function showSince(session: Session, from: number): Promise<number> {
  const { audit } = session.client()
  const { signal } = session
  let next = from
  const show = (record: LogRecord): void => {
    showRecord(session, record)
    next = record.leaf_index + 1
  }
  if (from === 0) {
    for await (const record of audit.all({ limit: 1000, order: 'asc' }, { signal })) show(record)
    return next
  }
  // From the newest one backwards: what is already shown may be long.
  const fresh: LogRecord[] = []
  for await (const record of audit.all({ limit: 1000 }, { signal })) {
    if (record.leaf_index < from) break
    fresh.push(record)
  }
  for (const record of fresh.reverse()) show(record)
  return next
}
