import type { DecodedTransaction, PopSigner } from '@popsigner/sdk'
import type { ArgumentRow, CommandRow, Given, OptionRow } from '../command.ts'
import { exitCodes } from '../exit-codes.ts'
import { Failure, misuse } from '../failure.ts'
import { findKeyId } from '../find.ts'
import { readInput, readValue } from '../input.ts'
import type { Session } from '../session.ts'
import { printable } from '../terminal.ts'

type Json = Record<string, unknown>
type BatchAnswer = Awaited<ReturnType<PopSigner['transactions']['signBatch']>>['transactions'][number]

const keyArgument: ArgumentRow = {
  name: '<key>',
  description: 'Id, namespace/name, or a name that only one key has.',
  completes: 'keys',
}
const transactionArgument = {
  name: '<transaction>',
  description:
    'Hex behind 0x (EVM), base64 (Cosmos), or JSON as clients write it; @file for the content of a file, - for standard input.',
}
const chainOption: OptionRow = { flags: '--chain <id>', description: 'The network as a CAIP-2 id: eip155:1.' }
const abiOption: OptionRow = {
  flags: '--abi <file>',
  description: 'The ABI of the contract that is called, as JSON: explains its calldata.',
}
const prefixOption: OptionRow = {
  flags: '--address-prefix <text>',
  description: 'Cosmos: how addresses begin, where that is not known.',
}
/** What a transaction does not tell, beside an ABI. */
const contextOptions: readonly OptionRow[] = [
  { flags: '--account-number <number>', description: 'Cosmos: the number of the signer’s account, for a TxRaw.' },
  prefixOption,
  {
    flags: '--blobs <file>',
    description: 'Celestia: the blobs that are paid for, as a JSON list: checks them, and sends them along.',
  },
]
const versionOption: OptionRow = {
  flags: '--key-version <number>',
  description: 'The version that signs. Default: the primary one.',
  whole: [1, 2_147_483_647],
}

/** Most items of one request. */
const batchSize = 1_000

/** Commands over transactions and messages of chains. */
export const transactionCommands: readonly CommandRow[] = [
  {
    path: 'transaction decode',
    summary: 'Say what a transaction would do',
    description:
      'Prints its effects in words, its fee and what to know before signing. Signs nothing. With --key it says whose account it is where the bytes do not tell.',
    arguments: [transactionArgument],
    options: [
      chainOption,
      abiOption,
      ...contextOptions,
      { flags: '--key <key>', description: 'The key that would sign it.', completes: 'keys' },
    ],
    examples: [
      'popsigner transaction decode --chain eip155:1 @unsigned.hex',
      'popsigner transaction decode --chain eip155:1 --abi router.json --key treasury -',
    ],
    speaksTo: 'api',
    calls: ['transactions.decode'],
    also: [{ route: 'keys.list', when: 'a key is given by its name' }],
    run: async (session, given) => {
      const key = given.text('key')
      const body = {
        ...(await readTransaction(session, given, given.argument(0))),
        ...(key !== undefined && { key_id: await findKeyId(session, key) }),
      }
      const read = await session.client().transactions.decode(body)
      if (session.output.json) session.output.object(read)
      else showMeaning(session, read)
    },
  },
  {
    path: 'transaction sign',
    summary: 'Sign a transaction',
    description:
      'Prints the transaction with its signature, ready to be broadcast; what it does stands on standard error. It is refused unless it is understood whole. popsigner transaction decode shows the same without signing.',
    arguments: [keyArgument, transactionArgument],
    options: [chainOption, abiOption, ...contextOptions, versionOption],
    examples: [
      'popsigner transaction sign treasury --chain eip155:1 @unsigned.hex > signed.hex',
      'popsigner transaction sign treasury --chain eip155:8453 @transaction.json --json',
      'popsigner transaction sign worker --chain cosmos:celestia --blobs blobs.json @signdoc.b64',
    ],
    speaksTo: 'api',
    calls: ['keys.signTransaction'],
    also: [{ route: 'keys.list', when: 'a key is given by its name' }],
    run: async (session, given) => {
      const name = given.argument(0)
      const version = given.number('key-version')
      const transaction = await readTransaction(session, given, given.argument(1))
      const id = await findKeyId(session, name)
      const signed = await session
        .client()
        .transactions.sign(id, { ...transaction, ...(version !== undefined && { key_version: version }) })
      const { output } = session
      if (output.json) output.object(signed)
      else output.line(signed.transaction)
      for (const text of signed.effects_text) output.note(`  ${printable(text)}`)
      for (const { text } of signed.warnings) output.warn(printable(text))
      output.note(
        `✓ signed with ${name} v${signed.key_version}  record ${signed.record_id}  hash ${signed.hash ?? '–'}`,
      )
    },
  },
  {
    path: 'transaction sign-batch',
    summary: 'Sign many transactions',
    description:
      'Reads one JSON object a line: {"key": …, "chain": …, "transaction": …, "context"?, "key_version"?}, where key is an id or a name (key_id is accepted as well). A file that holds one JSON array, or an object with requests, works too. Each item answers for itself, in order; if any failed the exit code is 8. With --json every answer is a line of its own.',
    arguments: [{ name: '<file>', description: 'The items; - for standard input.' }],
    examples: [
      'popsigner transaction sign-batch items.ndjson > signed.tsv',
      'jq -c .items[] items.json | popsigner transaction sign-batch -',
    ],
    speaksTo: 'api',
    calls: ['transactions.signBatch'],
    also: [{ route: 'keys.list', when: 'a key is given by its name' }],
    run: signMany,
  },
  {
    path: 'sign-message',
    summary: 'Sign a message by a convention of a chain',
    description:
      'Prints the signature as verifiers of the convention take it. eip191 takes text (or, with --raw, hex), adr036 text (or, with --raw, base64); eip712 the JSON {types, primaryType, domain, message}; eip7702 the JSON {chainId, address, nonce}.',
    arguments: [keyArgument, { name: '<message>', description: 'The text or JSON; @file, or - for standard input.' }],
    options: [
      chainOption,
      { flags: '--convention <name>', description: 'eip191 (the default), eip712, eip7702 or adr036.' },
      { flags: '--raw', description: 'The message is bytes: hex behind 0x for eip191, base64 for adr036.' },
      prefixOption,
      versionOption,
    ],
    examples: [
      'popsigner sign-message treasury --chain eip155:1 hello',
      'popsigner sign-message treasury --chain eip155:1 --convention eip712 @permit.json',
    ],
    speaksTo: 'api',
    calls: ['keys.signMessage'],
    also: [{ route: 'keys.list', when: 'a key is given by its name' }],
    run: signMessage,
  },
]

async function signMessage(session: Session, given: Given): Promise<void> {
  const name = given.argument(0)
  const convention = given.text('convention') ?? 'eip191'
  const text = await readText(session, given.argument(1))
  const takesText = convention === 'eip191' || convention === 'adr036'
  const message = takesText ? (given.flag('raw') ? { raw: text.trim() } : text) : parse(text, 'the message')
  const version = given.number('key-version')
  const prefix = given.text('address-prefix')
  const id = await findKeyId(session, name)
  const signed = await session.client().transactions.signMessage(id, {
    chain: chainOf(given),
    convention,
    message,
    ...(prefix !== undefined && { context: { address_prefix: prefix } }),
    ...(version !== undefined && { key_version: version }),
  })
  const { output } = session
  if (output.json) output.object(signed)
  else output.line(signed.signature)
  for (const one of signed.effects_text) output.note(`  ${printable(one)}`)
  for (const warning of signed.warnings) output.warn(printable(warning.text))
  output.note(`✓ signed with ${name} v${signed.key_version}  record ${signed.record_id}`)
}

async function signMany(session: Session, given: Given): Promise<number> {
  const items = parseItems((await readInput(session.terminal, given.argument(0))).toString('utf8'))
  if (items.length === 0) throw misuse('there is nothing to sign', 'The file holds no items.')
  const ids = new Map<string, Promise<string>>()
  const requests = await Promise.all(
    items.map(async ({ key, key_id, ...item }) => {
      const name = String(key ?? key_id)
      const id = typeof key_id === 'string' ? Promise.resolve(key_id) : (ids.get(name) ?? findKeyId(session, name))
      ids.set(name, id)
      return { ...item, key_id: await id } as unknown as { key_id: string; chain: string; transaction: string }
    }),
  )
  const progress = session.progress('transactions', requests.length)
  let failed = 0
  for (let from = 0; from < requests.length; from += batchSize) {
    const { transactions } = await session
      .client()
      .transactions.signBatch({ requests: requests.slice(from, from + batchSize) }, { signal: session.signal })
    for (const answer of transactions) {
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
  throw new Failure(`${failed} of ${requests.length} transactions were not signed`, {
    exit: exitCodes.partly,
    code: 'cli.batch_partly',
    why: 'Each failed item has its code in its place; the others are signed.',
  })
}

function showAnswer({ output }: Session, answer: BatchAnswer): void {
  if (output.json) output.element(answer)
  else if ('error' in answer)
    output.line(`${printable(answer.key_id)}\t✕ ${answer.error.code}\t${printable(answer.error.detail)}`)
  else output.line(`${answer.key_id}\t${answer.transaction}\t${answer.record_id}`)
}

function showMeaning({ output }: Session, read: DecodedTransaction): void {
  for (const text of read.effects_text) output.line(printable(text))
  for (const { text } of read.warnings) output.warn(printable(text))
  output.fields([
    ['network', read.chain],
    ['fee', read.fee === null ? null : `at most ${read.fee.text}`],
    ...Object.entries(read.details).map(([name, value]) => [name, shorten(value)] as const),
    ['complete', read.complete ? 'yes' : 'no'],
    ...read.signatures.map(({ signer }) => ['signed by', signer] as const),
    ['hash', read.hash],
  ])
}

/** A value on one line; the JSON output has it whole. */
function shorten(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return text.length > 80 ? `${text.slice(0, 77)}…` : text
}

async function readTransaction(session: Session, given: Given, argument: string) {
  const text = (await readText(session, argument)).trim()
  const context = await readContext(session, given)
  return {
    chain: chainOf(given),
    transaction: text.startsWith('{') ? (parse(text, 'the transaction') as Json) : text,
    ...(Object.keys(context).length > 0 && { context }),
  }
}

async function readContext(session: Session, given: Given) {
  const file = async (name: string) => (await readInput(session.terminal, name)).toString('utf8')
  const [abi, blobs] = [given.text('abi'), given.text('blobs')]
  const [account, prefix] = [given.text('account-number'), given.text('address-prefix')]
  return {
    ...(abi !== undefined && { abi: readAbi(await file(abi)) }),
    ...(blobs !== undefined && { blobs: readBlobs(await file(blobs)) }),
    ...(account !== undefined && { account_number: account }),
    ...(prefix !== undefined && { address_prefix: prefix }),
  }
}

function readBlobs(text: string): unknown[] {
  const blobs = parse(text, 'the file of blobs')
  if (Array.isArray(blobs)) return blobs
  throw misuse('the blobs are no list', 'It must be a JSON array of {namespace, data, share_version, signer}.')
}

/** An ABI, or what compilers write around it: `{"abi": […]}`. */
function readAbi(text: string): unknown[] {
  const parsed = parse(text, 'the ABI')
  const abi = Array.isArray(parsed) ? parsed : (parsed as { abi?: unknown } | null)?.abi
  if (!Array.isArray(abi)) throw misuse('the ABI is no list', 'It must be a JSON array, or an object with abi.')
  return abi
}

function chainOf(given: Given): string {
  const chain = given.text('chain')
  if (chain === undefined)
    throw misuse('the network is not named', 'Nothing is signed for a network that was not meant.', [
      { command: '… --chain eip155:1', when: 'for Ethereum' },
    ])
  return chain
}

async function readText(session: Session, argument: string): Promise<string> {
  return (await readValue(session.terminal, argument)).bytes.toString('utf8')
}

const itemFields = ['key', 'key_id', 'chain', 'transaction', 'context', 'key_version']

function parseItems(text: string): Json[] {
  const whole = text.trimStart()
  const listed = whole.startsWith('[') || /^\{\s*"requests"/.test(whole)
  const parsed = listed ? (parse(text, 'the file') as unknown[] | { requests: unknown[] }) : []
  const list = listed ? (Array.isArray(parsed) ? parsed : parsed.requests) : null
  if (listed && !Array.isArray(list)) throw misuse('requests is no list', 'It must be a JSON array of items.')
  const values =
    list ?? text.split('\n').flatMap((line, at) => (line.trim() === '' ? [] : [parse(line, `line ${at + 1}`)]))
  return values.map((value, at) => {
    const item = value as Json
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw misuse(`item ${at + 1} is no item`, 'Each must be a JSON object.')
    const unknown = Object.keys(item).find((name) => !itemFields.includes(name))
    if (unknown !== undefined)
      throw misuse(`item ${at + 1} has a field ${JSON.stringify(unknown)}`, `Its fields are ${itemFields.join(', ')}.`)
    if ((typeof item['key'] === 'string') === (typeof item['key_id'] === 'string'))
      throw misuse(`item ${at + 1} names no key`, 'Give key: an id or a name.')
    for (const name of ['chain', 'transaction'])
      if (item[name] === undefined) throw misuse(`item ${at + 1} has no ${name}`, `Each names its ${name}.`)
    return item
  })
}

function parse(text: string, where: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw misuse(`${where} is not JSON`, 'It cannot be read.')
  }
}
