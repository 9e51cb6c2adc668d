import { writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { HashName, PopSigner, SchemeName } from '@popsigner/sdk'
import type { CommandRow, Given } from '../command.ts'
import { exitCodes } from '../exit-codes.ts'
import { Failure, misuse } from '../failure.ts'
import { findKeyId } from '../find.ts'
import { readInput, readValue } from '../input.ts'
import type { Session } from '../session.ts'
import { printable } from '../terminal.ts'
import { dataOptions, type Encoding, hashing, readData, readSignature, schemeOption } from './data.ts'
import { fetchReceipt } from './receipt.ts'

type Answer = Awaited<ReturnType<PopSigner['signBatch']>>['signatures'][number]

/** Most items of one request. */
const batchSize = 1_000

/** Commands that sign and verify. */
export const signCommands: readonly CommandRow[] = [
  {
    path: 'sign',
    summary: 'Sign data with a key',
    description:
      'Prints the signature in base64. The record of it is durable before the key is touched. With --receipt the receipt is fetched, verified and written as well; the log’s key is pinned the first time.',
    arguments: [
      { name: '<key>', description: 'Id, namespace/name, or a name that only one key has.', completes: 'keys' },
    ],
    options: [
      ...dataOptions,
      schemeOption,
      {
        flags: '--key-version <number>',
        description: 'The version that signs. Default: the primary one.',
        whole: [1, 2_147_483_647],
      },
      { flags: '--receipt <file>', description: 'Write the receipt to this file.' },
    ],
    examples: [
      'popsigner sign first --data hello',
      'popsigner sign first --data hello --receipt receipt.json > signature.txt',
      'popsigner sign first --data @transaction.bin --json',
    ],
    speaksTo: 'api',
    calls: ['keys.sign'],
    also: [
      { route: 'keys.list', when: 'a key is given by its name' },
      { route: 'audit.receipt', when: 'with --receipt' },
      { route: 'audit.logKey', when: 'with --receipt' },
      { route: 'audit.consistency', when: 'with --receipt' },
      { route: 'signer.get', when: 'with --receipt, where its keys are not pinned yet' },
    ],
    run: signOne,
  },
  {
    path: 'sign batch',
    summary: 'Sign many items',
    description:
      'Reads one JSON object a line: {"key": …, "data": …, "encoding"?, "hash"?, "prehashed"?, "scheme"?, "key_version"?}, where key is an id or a name (key_id is accepted as well) and encoding is base64 unless given, as in the API. A file that holds one JSON array, or an object with requests, works too. Sends up to 1,000 items in a request. Each item answers for itself, in order; if any failed the exit code is 8. With --json every answer is a line of its own.',
    arguments: [{ name: '<file>', description: 'The items; - for standard input.' }],
    examples: [
      'popsigner sign batch items.ndjson > signatures.tsv',
      'echo \'{"key":"first","data":"hello","encoding":"utf8"}\' | popsigner sign batch -',
    ],
    speaksTo: 'api',
    calls: ['sign.batch'],
    also: [{ route: 'keys.list', when: 'a key is given by its name' }],
    run: signMany,
  },
  {
    path: 'verify',
    summary: 'Ask the server whether a signature is valid',
    description:
      'Exit code 0 when it is, 7 when it is not. To check without trusting the server, use popsigner audit verify with a receipt.',
    arguments: [
      { name: '<key>', description: 'Id, namespace/name, or a name that only one key has.', completes: 'keys' },
    ],
    options: [
      ...dataOptions,
      schemeOption,
      { flags: '--signature <base64>', description: 'The signature: base64, or @file, or - for standard input.' },
      {
        flags: '--key-version <number>',
        description: 'The version that signed. Default: the primary one.',
        whole: [1, 2_147_483_647],
      },
    ],
    examples: [
      'popsigner verify first --data hello --signature @signature.txt',
      'popsigner sign first --data hello | popsigner verify first --data hello --signature -',
    ],
    speaksTo: 'api',
    calls: ['keys.verify'],
    also: [{ route: 'keys.list', when: 'a key is given by its name' }],
    run: async (session, given) => {
      const signature = await readSignature(session, given)
      if (signature === undefined) throw misuse('a signature is needed', 'Give it with --signature.')
      const data = await readData(session, given)
      const version = given.number('key-version')
      const id = await findKeyId(session, given.argument(0))
      const answer = await session.client().keys.verify(id, {
        ...data,
        ...hashing(given),
        signature: signature.toString('base64'),
        ...(version !== undefined && { key_version: version }),
      })
      if (session.output.json) session.output.object(answer)
      else session.output.line(answer.valid ? 'valid' : 'not valid')
      return answer.valid ? exitCodes.done : exitCodes.notValid
    },
  },
]

/** Commands over BLS signatures of any origin. */
export const signatureCommands: readonly CommandRow[] = [
  {
    path: 'signatures aggregate',
    summary: 'Aggregate BLS signatures',
    description: 'Prints one signature of bls12-381 that stands for all that are given, in base64.',
    arguments: [{ name: '<signatures...>', description: 'Signatures in base64, @file, or - for standard input.' }],
    examples: ['popsigner signatures aggregate @first.txt @second.txt', 'popsigner signatures aggregate @first.txt -'],
    speaksTo: 'api',
    calls: ['signatures.aggregate'],
    run: async (session, given) => {
      const signatures = await Promise.all(given.arguments().map((text) => signatureOf(session, text)))
      const answer = await session.client().aggregateSignatures(signatures)
      if (session.output.json) session.output.object(answer)
      else session.output.line(answer.signature)
    },
  },
  {
    path: 'signatures verify-aggregate',
    summary: 'Ask the server whether an aggregated BLS signature is valid',
    description:
      'Over one message that all keys signed, whose proofs of possession must have been verified before. Exit code 0 when it is, 7 when it is not.',
    arguments: [
      { name: '<signature>', description: 'The aggregated signature: base64, @file, or - for standard input.' },
    ],
    options: [
      ...dataOptions.slice(0, 2),
      {
        flags: '--public-key <hex>',
        description: 'A public key of bls12-381 in hex; several times or with commas.',
        many: 'commas',
      },
    ],
    examples: [
      'popsigner signatures verify-aggregate @sum.txt --public-key a4… --public-key b3… --data hello',
      'popsigner signatures verify-aggregate @sum.txt --public-key a4…,b3… --data @message.bin',
    ],
    speaksTo: 'api',
    calls: ['signatures.verifyAggregate'],
    run: async (session, given) => {
      const publicKeys = [...(given.list('public-key') ?? [])].map((key) => key.toLowerCase())
      if (publicKeys.length === 0) throw misuse('no public key is given', 'Name each with --public-key.')
      const answer = await session.client().verifyAggregate({
        publicKeys,
        messages: [await readData(session, given)],
        signature: await signatureOf(session, given.argument(0)),
      })
      if (session.output.json) session.output.object(answer)
      else session.output.line(answer.valid ? 'valid' : 'not valid')
      return answer.valid ? exitCodes.done : exitCodes.notValid
    },
  },
]

async function signatureOf(session: Session, text: string): Promise<string> {
  return (await readValue(session.terminal, text)).bytes.toString('latin1').trim()
}

async function signOne(session: Session, given: Given): Promise<void> {
  const data = await readData(session, given)
  const version = given.number('key-version')
  const name = given.argument(0)
  const id = await findKeyId(session, name)
  const answer = await session.client().keys.sign(id, {
    ...data,
    ...hashing(given),
    ...(version !== undefined && { key_version: version }),
  })
  const { output } = session
  // The signature first: whatever becomes of the receipt, it was made.
  if (output.json) output.object(answer)
  else output.line(answer.signature)
  output.note(`✓ signed with ${name} v${answer.key_version}  record ${answer.record_id}`)
  const file = given.text('receipt')
  if (file === undefined) return
  const { receipt } = await fetchReceipt(session, answer.record_id, {
    data: data.data,
    signature: Buffer.from(answer.signature, 'base64'),
  })
  writeFileSync(resolve(session.terminal.directory, file), `${JSON.stringify(receipt, null, 2)}\n`)
  output.note(`✓ receipt verified and written to ${file}`)
}

interface BatchItem {
  readonly key_id: string
  readonly data: string
  readonly encoding: Encoding
  readonly prehashed?: boolean
  readonly hash?: HashName
  readonly scheme?: SchemeName
  readonly key_version?: number
}

async function signMany(session: Session, given: Given): Promise<number> {
  const items = parseItems((await readInput(session.terminal, given.argument(0))).toString('utf8'))
  if (items.length === 0) throw misuse('there is nothing to sign', 'The file holds no items.')
  const ids = await resolveNames(session, items)
  const requests = items.map(
    ({ key: _, ...item }, place) =>
      ({ ...item, key_id: ids[place] ?? '', encoding: item['encoding'] ?? 'base64' }) as unknown as BatchItem,
  )
  const progress = session.progress('items', requests.length)
  let failed = 0
  for (let from = 0; from < requests.length; from += batchSize) {
    const { signatures } = await session
      .client()
      .signBatch({ requests: requests.slice(from, from + batchSize) }, { signal: session.signal })
    for (const answer of signatures) {
      if ('error' in answer) failed++
      showAnswer(session, answer)
    }
    progress.update(Math.min(from + batchSize, requests.length), failed)
  }
  progress.end()
  if (failed === 0) {
    session.output.note(`✓ ${progress.summary()}`)
    return exitCodes.done
  }
  throw new Failure(`${failed} of ${requests.length} items were not signed`, {
    exit: exitCodes.partly,
    code: 'cli.batch_partly',
    why: 'Each failed item has its code in its place; the others are signed.',
  })
}

function showAnswer({ output }: Session, answer: Answer): void {
  if (output.json) output.element(answer)
  else if ('error' in answer)
    output.line(`${printable(answer.key_id)}\t✕ ${answer.error.code}\t${printable(answer.error.detail)}`)
  else output.line(`${answer.key_id}\t${answer.signature}\t${answer.record_id}`)
}

const itemFields = ['key', 'key_id', 'data', 'encoding', 'prehashed', 'hash', 'scheme', 'key_version']

function parseItems(text: string): Record<string, unknown>[] {
  const whole = text.trimStart()
  const listed = whole.startsWith('[') || /^\{\s*"requests"/.test(whole)
  const values: [unknown, string][] = []
  if (listed) {
    const parsed = parseJson(text, 'the file') as unknown[] | { requests: unknown[] }
    const list = Array.isArray(parsed) ? parsed : parsed.requests
    if (!Array.isArray(list)) throw misuse('requests is no list', 'It must be a JSON array of items.')
    values.push(...list.map((value, place): [unknown, string] => [value, `item ${place + 1}`]))
  } else {
    for (const [place, line] of text.split('\n').entries()) {
      if (line.trim() !== '') values.push([parseJson(line, `line ${place + 1}`), `line ${place + 1}`])
    }
  }
  return values.map(([value, where]) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw misuse(`${where} is no item`, 'Each must be a JSON object.')
    const item = value as Record<string, unknown>
    const unknown = Object.keys(item).find((name) => !itemFields.includes(name))
    if (unknown !== undefined)
      throw misuse(`${where} has a field ${JSON.stringify(unknown)}`, `Its fields are ${itemFields.join(', ')}.`)
    if (
      typeof (item['key'] ?? item['key_id']) !== 'string' ||
      (item['key'] !== undefined && item['key_id'] !== undefined)
    ) {
      throw misuse(`${where} names no key`, 'Give key: an id or a name.')
    }
    if (typeof item['data'] !== 'string')
      throw misuse(`${where} has no data`, 'Give data as text in the encoding that is named.')
    return item
  })
}

function parseJson(text: string, where: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw misuse(`${where} is not JSON`, 'The items are JSON objects, one a line.', [
      { command: 'popsigner sign batch --help', when: 'to see their form' },
    ])
  }
}

/** The id of each item's key; a name is looked up once. */
async function resolveNames(session: Session, items: readonly Record<string, unknown>[]): Promise<string[]> {
  const found = new Map<string, Promise<string>>()
  return Promise.all(
    items.map(async ({ key, key_id: id }) => {
      if (typeof id === 'string') return id
      const name = String(key)
      const known = found.get(name) ?? findKeyId(session, name)
      found.set(name, known)
      return known
    }),
  )
}
