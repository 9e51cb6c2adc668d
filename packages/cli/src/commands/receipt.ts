import { type Evidence, type ReceiptCheckName, type VerifiedReceipt, verifyReceipt } from '@popsigner/sdk'
import type { Given } from '../command.ts'
import { trustStore } from '../connect.ts'
import { exitCodes } from '../exit-codes.ts'
import { Failure, misuse } from '../failure.ts'
import { readInput } from '../input.ts'
import { configDirectory } from '../profiles.ts'
import type { Session } from '../session.ts'
import { printable } from '../terminal.ts'
import { readData, readSignature } from './data.ts'

/** What each check of a receipt establishes, in words. */
export const checkWords: Readonly<Record<ReceiptCheckName, string>> = {
  receipt: 'the receipt is well formed',
  leaf: 'the leaf is the canonical form of a known event',
  log: 'the leaf belongs to the log of the pinned key',
  checkpoint: 'the checkpoint is signed by the log’s key',
  cosignature: 'the instance cosigned the checkpoint, with a time',
  inclusion: 'the leaf is in the tree of the checkpoint',
  openings: 'names and addresses are the ones the leaf commits to',
  record: 'it is the record that was asked for',
  event: 'the record is of a signature',
  public_key: 'the expected key signed',
  data: 'the record is of this data',
  signature: 'the signature is over this data under the key in the record',
}

/** Fetches a receipt and verifies it against the pinned keys. Says so when a log's key is pinned by it for the first time. */
export async function fetchReceipt(
  session: Session,
  record: string,
  evidence: Evidence = {},
): Promise<VerifiedReceipt> {
  const store = trustStore(session.settings().config)
  const before = await store.all()
  const verified = await session.client().audit.verifiedReceipt(record, evidence, { signal: session.signal })
  for (const [name, key] of Object.entries(await store.all())) {
    if (name.startsWith('log_key:') && before[name] === undefined) {
      session.output.note(`! met this log for the first time and pinned its key: ${key}`)
    }
  }
  return verified
}

/** `popsigner audit verify <receipt>`: every check, made here, against keys that did not come with it. Answers the exit code. */
export async function verifyFile(session: Session, given: Given): Promise<number> {
  const { output, terminal } = session
  const text = (await readInput(terminal, given.argument(0))).toString('utf8')
  const receipt = parseReceipt(text)
  const data = given.text('data') === undefined ? undefined : (await readData(session, given)).data
  const signature = await readSignature(session, given)
  const publicKey = given.text('public-key')
  const log = originOf(receipt)
  const keys = await pinnedKeys(session, given, log)
  let result: ReturnType<typeof verifyReceipt>
  try {
    result = verifyReceipt(receipt, {
      ...keys,
      ...(data !== undefined && { data }),
      ...(signature !== undefined && { signature }),
      ...(publicKey !== undefined && { publicKey }),
    })
  } catch (error) {
    if (error instanceof RangeError) throw misuse('a key is not accepted', `${error.message}.`)
    throw error
  }
  if (output.json) {
    const { ok, checks, leaf } = result
    output.object({
      ok,
      log,
      checks,
      ...(leaf && { leaf }),
      ...(result.cosignedAt && { cosigned_at: new Date(result.cosignedAt * 1000).toISOString() }),
    })
    return result.ok ? exitCodes.done : exitCodes.notValid
  }
  for (const { name, ok, reason } of result.checks)
    output.line(ok ? `✓ ${checkWords[name]}` : `✕ ${name}: ${printable(reason ?? '')}`)
  if (!result.ok) {
    output.line('The receipt does not hold.')
    return exitCodes.notValid
  }
  const { leaf, checkpoint, cosignedAt } = result
  output.line('')
  output.fields([
    ['log', log],
    ['record', leaf?.id],
    ['event', leaf?.event],
    ['time', leaf?.time],
    ...(leaf?.event === 'key.signed'
      ? ([
          ['public key', leaf.public_key],
          ['digest', leaf.digest],
        ] as const)
      : []),
    [
      'checkpoint',
      `${checkpoint?.size} records${cosignedAt ? `, cosigned ${new Date(cosignedAt * 1000).toISOString()}` : ''}`,
    ],
  ])
  if (data === undefined || signature === undefined) {
    output.note('Not compared with a signature: add --data and --signature for that.')
  }
  return exitCodes.done
}

function parseReceipt(text: string): unknown {
  if (text.startsWith('c2sp.org/tlog-proof@')) return text
  try {
    return JSON.parse(text)
  } catch {
    throw misuse('the file holds no receipt', 'It is neither JSON nor c2sp.org/tlog-proof@v1 text.')
  }
}

/** The name of the log that a receipt claims to be of: only to look up which key is pinned for it. */
function originOf(receipt: unknown): string {
  const note =
    typeof receipt === 'string'
      ? (receipt.split('\n\n')[1] ?? '')
      : String((receipt as { checkpoint?: unknown } | null)?.checkpoint ?? '')
  return note.split('\n', 1)[0] ?? ''
}

/** The keys to verify with: as given, else as pinned. Throws `Failure` where there are none. */
async function pinnedKeys(session: Session, given: Given, log: string): Promise<{ logKey: string; identity?: string }> {
  const read = async (name: string): Promise<string | undefined> => {
    const value = given.text(name)
    if (value === undefined) return undefined
    return (value.startsWith('@') ? (await readInput(session.terminal, value.slice(1))).toString('utf8') : value).trim()
  }
  const { terminal } = session
  const givenLogKey = await read('log-key')
  const givenIdentity = await read('identity-key')
  const store = trustStore(configDirectory(terminal.environment, terminal.directory))
  const logKey = givenLogKey ?? (await store.get(`log_key:${log}`)) ?? undefined
  // A key of one's own for the log comes without the pinned identity: the two need not be of one instance.
  const identity =
    givenIdentity ??
    (givenLogKey === undefined ? await store.get(`identity:${log.split('/', 1)[0]}`) : null) ??
    undefined
  if (logKey !== undefined) return { logKey, ...(identity !== undefined && { identity }) }
  throw new Failure('the key of this log is not pinned', {
    exit: exitCodes.failed,
    code: 'cli.log_key_unknown',
    why: `The receipt names the log ${printable(log.slice(0, 300)) || '(none)'}, and by a key that came with it a receipt proves nothing.`,
    next: [
      { command: '… --log-key <verifier key>', when: 'if you have it from elsewhere' },
      { command: 'popsigner audit log-key', when: 'to trust the server with it this once' },
    ],
  })
}
