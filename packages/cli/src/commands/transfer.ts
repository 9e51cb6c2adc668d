import { resolve } from 'node:path'
import {
  hasPem,
  keystoreVersions,
  type PrivateKeyFormat,
  readPrivateKey,
  writePrivateKey,
} from '@popsigner/sdk/key-encodings'
import type { CommandRow, Given } from '../command.ts'
import { misuse } from '../failure.ts'
import { findKey } from '../find.ts'
import { readInput, readSecret } from '../input.ts'
import { writePrivate } from '../profiles.ts'
import type { Session } from '../session.ts'
import { readTerms, termOptions } from './key-terms.ts'
import { showKey, whereOf } from './show-key.ts'

/** Commands that move private keys in and out. */
export const transferCommands: readonly CommandRow[] = [
  {
    path: 'keys import',
    summary: 'Import a private key',
    description:
      'Seals the private key to the signer’s wrapping key, which must be signed by the pinned identity of the signer, and sends only what is sealed. The key is hex, PEM (PKCS#8, SEC1, PKCS#1), JWK, or a keystore of Ethereum (version 3 for secp256k1, EIP-2335 for bls12-381) or of EigenLayer’s tools (bn254): from a file, from standard input, or asked for. Copies of it may exist elsewhere; the record of the import says that it was imported.',
    arguments: [{ name: '<name>', description: 'Name of the key, unique in its namespace.' }],
    options: [
      ...termOptions,
      { flags: '--from-file <path>', description: 'File with the private key; - for standard input.' },
      { flags: '--passphrase-file <path>', description: 'File with the password of a keystore.' },
    ],
    examples: [
      'popsigner keys import sequencer --from-file key.hex',
      'popsigner keys import issuer --algorithm rsa-3072 --from-file key.pem',
      'popsigner keys import validator --algorithm bls12-381 --from-file keystore.json --passphrase-file password.txt',
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
      const password = await readPassword(session, given)
      const privateKey = encoded(() => readPrivateKey(terms.algorithm ?? 'secp256k1', text, password))
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
      'Only for keys that were created exportable. With --to-file the key is sealed to a recipient made for this call, opened here and written as hex or as --format says (mode 0600). With --recipient it is sealed to that public key, and what is printed only its holder can open. From then on signatures can be made where no record is.',
    arguments: [
      { name: '<key>', description: 'Id, namespace/name, or a name that only one key has.', completes: 'keys' },
    ],
    options: [
      { flags: '--to-file <path>', description: 'Write the private key to this file, mode 0600.' },
      {
        flags: '--format <format>',
        description:
          'With --to-file: hex (the default), pem (PKCS#8), jwk, or keystore (version 3 for secp256k1 and bn254, EIP-2335 for bls12-381).',
        choices: ['hex', 'pem', 'jwk', 'keystore'],
      },
      { flags: '--passphrase-file <path>', description: 'File with the password that the keystore shall have.' },
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
      'popsigner keys export treasury --to-file key.pem --format pem',
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
      const format = (given.text('format') ?? 'hex') as PrivateKeyFormat
      const password = await readPassword(session, given)
      // Before the key leaves the signer: whether it can be written so.
      if (format === 'keystore' && (password === undefined || keystoreVersions[key.algorithm] === undefined))
        throw misuse(
          'that keystore cannot be written',
          'It needs --passphrase-file, and a key of secp256k1, bn254 or bls12-381.',
        )
      if ((format === 'pem' || format === 'jwk') && !hasPem(key.algorithm))
        throw misuse(`${key.algorithm} has no ${format}`, 'Write it as hex or keystore.')
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
        const options = {
          ...(password !== undefined && { password }),
          publicKey: exported.publicKey,
          ...(key.eth_address !== null && { address: key.eth_address }),
        }
        const text = writePrivateKey(exported.algorithm, exported.privateKey, format, options)
        writePrivate(resolve(terminal.directory, file ?? ''), text)
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

/** The password of `--passphrase-file`, without the line feed at its end; undefined where it was not given. */
async function readPassword(session: Session, given: Given): Promise<string | undefined> {
  const path = given.text('passphrase-file')
  if (path === undefined) return undefined
  return (await readInput(session.terminal, path)).toString('utf8').replace(/\r?\n$/, '')
}

/** What `read` answers; its `RangeError` as a usage `Failure`. */
function encoded<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof RangeError) throw misuse('that is no private key', `${error.message}.`)
    throw error
  }
}
