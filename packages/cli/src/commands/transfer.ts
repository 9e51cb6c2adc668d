import { resolve } from 'node:path'
import type { CommandRow } from '../command.ts'
import { misuse } from '../failure.ts'
import { findKey } from '../find.ts'
import { readSecret } from '../input.ts'
import { writePrivate } from '../profiles.ts'
import { readTerms, termOptions } from './key-terms.ts'
import { showKey, whereOf } from './show-key.ts'

/** Commands that move private keys in and out. */
export const transferCommands: readonly CommandRow[] = [
  {
    path: 'keys import',
    summary: 'Import a private key',
    description:
      'Seals the private key to the signer’s wrapping key, which must be signed by the pinned identity of the signer, and sends only what is sealed. The key is 32 bytes in hex: from a file, from standard input, or asked for. Copies of it may exist elsewhere; the record of the import says that it was imported.',
    arguments: [{ name: '<name>', description: 'Name of the key, unique in its namespace.' }],
    options: [
      ...termOptions,
      { flags: '--from-file <path>', description: 'File with the private key in hex; - for standard input.' },
    ],
    examples: [
      'popsigner keys import sequencer --from-file key.hex',
      'popsigner keys import sequencer --algorithm ed25519 --namespace production < key.hex',
    ],
    speaksTo: 'api',
    calls: ['keys.import'],
    also: [
      { route: 'keys.createWrappingKey' },
      { route: 'signer.get', when: 'the signer’s identity is not pinned yet' },
      { route: 'namespaces.list', when: 'no namespace is named or set' },
    ],
    run: async (session, given) => {
      const terms = await readTerms(session, given)
      const text = await readSecret(session.terminal, 'Private key (hex, not shown): ', given.text('from-file'))
      const digits = text.replace(/^0x/i, '')
      if (!/^[0-9a-fA-F]{64}$/.test(digits))
        throw misuse('that is no private key', 'It must be 32 bytes in hex: 64 digits.')
      const privateKey = Buffer.from(digits, 'hex')
      try {
        showKey(session, await session.client().keys.importKey({ name: given.argument(0), ...terms, privateKey }))
      } finally {
        privateKey.fill(0)
      }
      session.output.note('✓ imported. Whoever else has a copy of the private key can sign where no record is made.')
    },
  },
  {
    path: 'keys export',
    summary: 'Export a private key',
    description:
      'Only for keys that were created exportable. With --to-file the key is sealed to a recipient made for this call, opened here and written as hex (mode 0600). With --recipient it is sealed to that public key, and what is printed only its holder can open. From then on signatures can be made where no record is.',
    arguments: [
      { name: '<key>', description: 'Id, namespace/name, or a name that only one key has.', completes: 'keys' },
    ],
    options: [
      { flags: '--to-file <path>', description: 'Write the private key to this file, in hex, mode 0600.' },
      {
        flags: '--recipient <hex>',
        description: 'P-256 public key of the recipient: 65 bytes of hex that begin with 04.',
      },
      {
        flags: '--key-version <number>',
        description: 'The version to export. Default: the primary one.',
        whole: [1, 2_147_483_647],
      },
    ],
    examples: [
      'popsigner keys export treasury --to-file key.hex',
      'popsigner keys export treasury --recipient 04… --confirm treasury > sealed.json',
    ],
    speaksTo: 'api',
    calls: ['keys.export'],
    also: [
      { route: 'keys.get' },
      { route: 'keys.list', when: 'a key is given by its name' },
      { route: 'signer.get', when: 'the signer’s identity is not pinned yet' },
    ],
    asks: 'name',
    run: async (session, given) => {
      const file = given.text('to-file')
      const recipient = given.text('recipient')
      if ((file === undefined) === (recipient === undefined)) {
        throw misuse('it is not said where the key goes', 'Give either --to-file or --recipient.', [
          { command: '… --to-file key.hex', when: 'to have the private key here' },
          { command: '… --recipient <public key>', when: 'to have it sealed for somebody else' },
        ])
      }
      const key = await findKey(session, given.argument(0))
      const version = given.number('key-version')
      await session.consent({
        what: `Export ${key.namespace}/${key.name}`,
        consequence:
          'Whoever has the exported key signs where no record is made, for as long as its addresses are in use.',
        where: await whereOf(session, key.namespace),
        name: key.name,
      })
      const { keys } = session.client()
      const { output, terminal } = session
      if (recipient !== undefined) {
        const sealed = await keys.export(key.id, {
          recipient_public_key: recipient.toLowerCase(),
          ...(version !== undefined && { key_version: version }),
        })
        return output.object(sealed)
      }
      const publicKey = key.versions.find((one) => one.version === (version ?? key.version))?.public_key
      const exported = await keys.exportKey(key.id, {
        ...(version !== undefined && { keyVersion: version }),
        ...(publicKey !== undefined && { publicKey }),
      })
      try {
        writePrivate(resolve(terminal.directory, file ?? ''), `${Buffer.from(exported.privateKey).toString('hex')}\n`)
      } finally {
        exported.privateKey.fill(0)
      }
      if (output.json) {
        output.object({
          key_id: key.id,
          key_version: exported.keyVersion,
          public_key: exported.publicKey,
          record_id: exported.recordId,
          file,
        })
      } else
        output.fields([
          ['key', key.id],
          ['version', exported.keyVersion],
          ['record', exported.recordId],
        ])
      output.note(`✓ the private key is in ${file} (mode 0600)`)
    },
  },
]
