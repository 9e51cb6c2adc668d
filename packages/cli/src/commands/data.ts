import { type HashName, hashNames, type SchemeName, schemeNames } from '@popsigner/sdk'
import type { Given, OptionRow } from '../command.ts'
import { misuse } from '../failure.ts'
import { readValue } from '../input.ts'
import type { Session } from '../session.ts'

/** How data can be written. */
export type Encoding = 'base64' | 'hex' | 'utf8'

/** How data stands on the command line; the same wherever data is given. */
export const dataOptions: readonly OptionRow[] = [
  { flags: '--data <data>', description: 'The data: text, @file for the bytes of a file, or - for standard input.' },
  {
    flags: '--encoding <encoding>',
    description:
      'How the data is written: utf8 (text as it stands; the default), hex or base64. Bytes of a file need none.',
    choices: ['utf8', 'hex', 'base64'],
  },
  { flags: '--prehashed', description: 'The data is the digest itself, where the scheme takes one.' },
  { flags: '--hash <hash>', description: 'The hash of the data, where the scheme has several.', choices: hashNames },
]

/** The data of a command as bytes. Throws a usage `Failure` where there is none or it is not written as said. */
export async function readData(session: Session, given: Given): Promise<{ data: Uint8Array }> {
  const text = given.text('data')
  if (text === undefined) {
    throw misuse('there is nothing to sign', 'Give the data.', [
      { command: '… --data hello', when: 'for text' },
      { command: '… --data @file', when: 'for the bytes of a file' },
    ])
  }
  const { bytes, literal } = await readValue(session.terminal, text)
  const encoding = given.text('encoding') as Encoding | undefined
  if (encoding === undefined || encoding === 'utf8') return { data: bytes }
  return { data: decode(literal ? text : bytes.toString('latin1').trim(), encoding) }
}

/** The signature of `--signature` as bytes, or undefined when it was not given. */
export async function readSignature(session: Session, given: Given): Promise<Buffer | undefined> {
  const text = given.text('signature')
  if (text === undefined) return undefined
  const { bytes } = await readValue(session.terminal, text)
  return decode(bytes.toString('latin1').trim(), 'base64')
}

function decode(text: string, encoding: 'hex' | 'base64'): Buffer {
  const written = encoding === 'hex' ? text.replace(/^0x/i, '').toLowerCase() : text
  const bytes = Buffer.from(written, encoding)
  // Node drops what it cannot read; what does not read back the same was not in this encoding.
  if (bytes.toString(encoding) === written) return bytes
  throw misuse(
    `the value is not ${encoding}`,
    encoding === 'hex' ? 'It must be whole bytes of hex digits.' : 'It must be base64 with padding.',
  )
}

/** How data is signed; for the commands that ask the server. */
export const schemeOption: OptionRow = {
  flags: '--scheme <scheme>',
  description: 'How it is signed. Default: the first of the key’s schemes.',
  choices: schemeNames,
}

/** What a command says about hash and scheme, as the API takes it. */
export function hashing(given: Given): { prehashed?: boolean; hash?: HashName; scheme?: SchemeName } {
  const hash = given.text('hash') as HashName | undefined
  const scheme = given.text('scheme') as SchemeName | undefined
  return {
    ...(given.flag('prehashed') && { prehashed: true }),
    ...(hash !== undefined && { hash }),
    ...(scheme !== undefined && { scheme }),
  }
}
