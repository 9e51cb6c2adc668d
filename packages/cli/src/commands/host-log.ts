import { writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { AuditCalls } from '@popsigner/sdk'
import type { CommandRow } from '../command.ts'
import { trustStore } from '../connect.ts'
import { instanceAudit } from '../instance-audit.ts'
import { configDirectory } from '../profiles.ts'
import type { Session } from '../session.ts'
import { recordQuery, searchOptions, showRecords } from './audit.ts'
import { fetchReceipt } from './receipt.ts'
import { verifyLog } from './verify-log.ts'

const about =
  'The instance’s own log has every act of the host, also those that an organization’s log has. For whoever runs the instance: read over the admin socket of the running server, which is found through POPSIGNER_DATA_DIR (default .popsigner here); no API key reaches it.'

/** Commands over the instance's own log. */
export const hostLogCommands: readonly CommandRow[] = [
  {
    path: 'host log list',
    summary: 'List the acts of the host',
    description: `Newest first. ${about}`,
    options: searchOptions,
    examples: ['popsigner host log list', 'popsigner host log list --event-type seal.rotated --json'],
    speaksTo: 'host',
    run: async (session, given) => showRecords(session, given, await auditOf(session), recordQuery(given)),
  },
  {
    path: 'host log receipt',
    summary: 'Get the receipt of an act of the host',
    description: `Prints the receipt, verified against the pinned key of the log; the key is pinned the first time. popsigner audit verify checks it offline. ${about}`,
    arguments: [{ name: '<record>', description: 'Its id, rec_….' }],
    options: [{ flags: '--to-file <path>', description: 'Write it to this file instead.' }],
    examples: ['popsigner host log receipt rec_01h455vb4pex5vsknk084sn02q > act.json'],
    speaksTo: 'host',
    run: async (session, given) => {
      const { receipt } = await fetchReceipt(session, given.argument(0), {}, await auditOf(session))
      const file = given.text('to-file')
      if (file === undefined) session.output.object(receipt)
      else writeFileSync(resolve(session.terminal.directory, file), `${JSON.stringify(receipt, null, 2)}\n`)
      session.output.note(`✓ verified${file === undefined ? '' : ` and written to ${file}`}`)
    },
  },
  {
    path: 'host log checkpoint',
    summary: 'Print the last checkpoint of the instance’s log',
    description: `The signed note, after checking that it extends the one that was kept. Keep it elsewhere: after a loss popsigner recover accept-rollback compares the database with it. ${about}`,
    examples: ['popsigner host log checkpoint > checkpoint.txt', 'popsigner host log checkpoint --json'],
    speaksTo: 'host',
    run: async (session) => {
      const { log, size, root, cosignedAt, note } = await (await auditOf(session)).verifiedCheckpoint()
      const time = new Date(cosignedAt * 1000).toISOString()
      if (session.output.json)
        session.output.object({
          log,
          size,
          root: Buffer.from(root).toString('hex'),
          cosigned_at: time,
          checkpoint: note,
        })
      else session.terminal.out(note)
    },
  },
  {
    path: 'host log verify',
    summary: 'Verify the whole log of the instance',
    description: `Reads all of it and rebuilds its tree. Exit code 7 when anything does not hold. ${about}`,
    examples: ['popsigner host log verify', 'popsigner host log verify --json'],
    speaksTo: 'host',
    run: async (session) => verifyLog(session, await auditOf(session)),
  },
  {
    path: 'host log key',
    summary: 'Show the key of the instance’s log, and pin it',
    description: `For those who verify its receipts and checkpoints elsewhere. ${about}`,
    examples: ['popsigner host log key', 'popsigner host log key --json'],
    speaksTo: 'host',
    run: async (session) => {
      const audit = await auditOf(session)
      // Fetching the checkpoint compares both keys with what is pinned, or pins them.
      await audit.verifiedCheckpoint()
      const key = await audit.logKey()
      if (session.output.json) return session.output.object(key)
      session.output.fields([
        ['log key', key.verifier_key],
        ['instance key', key.instance.verifier_key],
      ])
    },
  },
]

async function auditOf(session: Session): Promise<AuditCalls> {
  const { environment, directory } = session.terminal
  return instanceAudit(await session.admin(), trustStore(configDirectory(environment, directory)))
}
