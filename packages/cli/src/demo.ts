/**
 * `npm run demo`: the story on one screen, against a server that exists only for it. Keys, signatures for Celestia, receipts,
 * and a record that somebody with the database's password rewrites. Everything is deleted at the end.
 */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Secp256k1, Secp256k1Signature, sha256 } from '@cosmjs/crypto'
import { encodePubkey, makeAuthInfoBytes, makeSignBytes, makeSignDoc, Registry } from '@cosmjs/proto-signing'
import { type Key, PopSigner, type Receipt, verifyReceipt } from '@popsigner/sdk'
import { MsgSend } from 'cosmjs-types/cosmos/bank/v1beta1/tx'
import pg from 'pg'
import { openAdmin } from './admin.ts'
import { checkWords } from './commands/receipt.ts'
import { trustStore } from './connect.ts'
import { wantsColor } from './terminal.ts'
import { startThrowAwayServer, type ThrowAwayServer } from './throw-away-server.ts'

interface Signed {
  readonly key: Key
  readonly message: Uint8Array
  readonly signature: string
  readonly record: string
}

const color = wantsColor({ environment: process.env, errIsTerminal: process.stdout.isTTY === true } as never)
const paint = (code: number, text: string): string => (color ? `\u001b[${code}m${text}\u001b[0m` : text)
const say = (text = ''): void => void process.stdout.write(text === '' ? '\n' : `  ${text}\n`)
const good = (text: string): void => say(`${paint(32, '✓')} ${text}`)
const bad = (text: string): void => say(`${paint(31, '✕')} ${text}`)
let steps = 0

function step(title: string): void {
  steps++
  process.stdout.write(`\n${paint(1, `${steps}  ${title}`)}\n\n`)
}

async function timed<T>(work: () => Promise<T>): Promise<[T, string]> {
  const began = performance.now()
  const value = await work()
  return [value, inWords(performance.now() - began)]
}

/** The last value and the median time of 15 rounds, after as many that warm up connections, keys and this program. */
async function median<T>(work: () => Promise<T>): Promise<[T, string]> {
  for (let round = 1; round < 15; round++) await work()
  const times: number[] = []
  for (;;) {
    const began = performance.now()
    const value = await work()
    if (times.push(performance.now() - began) === 15) return [value, inWords(times.sort((a, b) => a - b)[7] ?? 0)]
  }
}

function inWords(milliseconds: number): string {
  return milliseconds < 1000 ? `${milliseconds.toFixed(1)} ms` : `${(milliseconds / 1000).toFixed(1)} s`
}

process.stdout.write(
  '\nPOPSigner, from a key to a proof. The server runs in a temporary directory and is deleted at the end.\n',
)

step('A server: PostgreSQL, the signer and the API, each its own process')
const interrupt = new AbortController()
process.on('SIGINT', () => interrupt.abort(new Error('interrupted')))
// Nobody reads on, as with `| head`: the server must be gone all the same.
process.stdout.on('error', () => interrupt.abort(new Error('interrupted')))
try {
  const [server, startTime] = await timed(() => startThrowAwayServer('demo.example', interrupt.signal))
  try {
    await Promise.race([play(server, startTime), once(interrupt.signal, 'abort')])
  } finally {
    await server.stop()
  }
} catch (error) {
  if (!interrupt.signal.aborted) throw error
}
process.stdout.write('\nThe server and its data are gone. Your own: npm start\n\n')
process.exit(interrupt.signal.aborted ? 130 : 0)

async function play({ url, environment, directory }: ThrowAwayServer, startTime: string): Promise<void> {
  const admin = await openAdmin(environment, directory)
  await admin.call('POST', 'organizations', { name: 'rollup', namespaces: ['production'] })
  const { token } = await admin.call('POST', 'api-keys', {
    organization: 'rollup',
    name: 'demo',
    scopes: null,
    namespaces: null,
    expires_at: null,
  })
  const store = trustStore(join(directory, 'config'))
  const client = new PopSigner({ url, apiKey: String(token), trust: store })
  good(`${url}, new instance demo.example, made and started in ${startTime}`)
  good('organization rollup with the namespace production, and an API key')

  step('Four worker keys in one call')
  const [{ keys }, createTime] = await timed(() =>
    client.keys.createBatch({ prefix: 'worker', count: 4, namespace: 'production' }),
  )
  for (const key of keys) say(`${key.name}  ${key.address}`)
  say()
  good(`made inside the signer in ${createTime}; the private keys never leave it`)

  step('Four Celestia transactions, built by cosmjs, signed in parallel')
  const documents = keys.map((key, place) => celestiaSignBytes(key, keys[(place + 1) % 4] ?? key, place))
  for (const [place, key] of keys.entries())
    say(`${key.name} sends ${(place + 1) * 1000} utia to worker-${((place + 1) % 4) + 1} on celestia`)
  say()
  const sign = (place: number) => client.keys.sign(at(keys, place).id, { data: at(documents, place) })
  const [, oneTime] = await median(() => sign(0))
  const [parallel, parallelTime] = await median(() => Promise.all([0, 1, 2, 3].map(sign)))
  const signed = parallel.map(
    (answer, place): Signed => ({
      key: at(keys, place),
      message: at(documents, place),
      signature: answer.signature,
      record: answer.record_id,
    }),
  )
  for (const { key, signature } of signed) say(`${key.name}  ${signature}`)
  say()
  good(`four at once: ${parallelTime}; one alone: ${oneTime} (medians of 15)`)
  good('each has its record on disk before the key was touched')

  step('The same four in one batch')
  const requests = keys.map((key, place) => ({ key_id: key.id, data: at(documents, place) }))
  const [{ signatures }, batchTime] = await median(() => client.signBatch({ requests }))
  const same = signatures.every(
    (answer, place) => 'signature' in answer && answer.signature === at(signed, place).signature,
  )
  if (!same) throw new Error('the batch gave other signatures')
  good(`${batchTime} (median of 15), and the same bytes as before: the nonce is that of RFC 6979`)

  step('Verified by cosmjs, which knows nothing of POPSigner')
  for (const one of signed) {
    const fixed = Secp256k1Signature.fromFixedLength(Buffer.from(one.signature, 'base64'))
    const valid = Secp256k1.verifySignature(fixed, sha256(one.message), Buffer.from(one.key.public_key, 'hex'))
    if (!valid) throw new Error('cosmjs does not accept the signature')
    good(`${one.key.name}: cosmjs accepts the signature over the sign doc`)
  }

  step('Receipts: fetched once, verified without the server')
  const receipts: Receipt[] = []
  for (const { record } of signed) receipts.push((await client.audit.verifiedReceipt(record)).receipt)
  const { origin } = await client.audit.checkpoint()
  const logKey = (await store.get(`log_key:${origin}`)) ?? ''
  const identity = (await store.get('identity:demo.example')) ?? ''
  say(`log      ${origin}`)
  say(`its key  ${logKey.slice(origin.length + 1)}  (pinned when the first receipt came)`)
  say()
  for (const [place, receipt] of receipts.entries()) {
    const { key, message, signature } = at(signed, place)
    const { checks, ok } = verifyReceipt(receipt, {
      logKey,
      identity,
      data: message,
      signature,
      publicKey: key.public_key,
    })
    if (!ok) throw new Error('a receipt does not hold')
    if (place === 0) for (const { name } of checks) good(checkWords[name])
    else good(`${key.name}: ${checks.length} checks, all of them hold`)
  }
  const whole = await client.audit.auditLog()
  good(`the whole log: ${whole.leaves} records, its tree rebuilt, equal to the signed checkpoint`)

  step('Somebody with the database’s password rewrites history')
  const victim = at(signed, 1)
  const changed = await rewriteRecord(environment['POPSIGNER_DATA_DIR'] ?? '', victim)
  say(`record   ${victim.record}  (the signature of ${victim.key.name})`)
  say(`before   "digest":"${changed.before}"`)
  say(`now      "digest":"${changed.after}"`)
  say()
  const after = await client.audit.auditLog()
  if (after.ok) throw new Error('the tampering was not found')
  for (const { code, detail } of after.problems) bad(`${code}: ${detail}`)
  const refused = await client.audit.verifiedReceipt(victim.record).then(
    () => null,
    (error: Error) => error,
  )
  if (refused === null) throw new Error('a receipt of the rewritten record was believed')
  bad(`a receipt of it, fetched now: ${refused.message}`)
  const kept = verifyReceipt(at(receipts, 1), { logKey, identity, data: victim.message, signature: victim.signature })
  if (!kept.ok) throw new Error('the receipt that was kept does not hold any more')
  good('the receipt that was fetched before still proves what was signed')
}

/** The bytes to sign of a transfer on Celestia, as cosmjs makes them. */
function celestiaSignBytes(from: Key, to: Key, place: number): Uint8Array {
  const registry = new Registry()
  const send = MsgSend.fromPartial({
    fromAddress: from.address ?? '',
    toAddress: to.address ?? '',
    amount: [{ denom: 'utia', amount: String((place + 1) * 1000) }],
  })
  const body = registry.encode({
    typeUrl: '/cosmos.tx.v1beta1.TxBody',
    value: { messages: [{ typeUrl: '/cosmos.bank.v1beta1.MsgSend', value: send }], memo: '' },
  })
  const pubkey = encodePubkey({
    type: 'tendermint/PubKeySecp256k1',
    value: Buffer.from(from.public_key, 'hex').toString('base64'),
  })
  const auth = makeAuthInfoBytes(
    [{ pubkey, sequence: 0n }],
    [{ denom: 'utia', amount: '2000' }],
    100_000,
    undefined,
    undefined,
  )
  return makeSignBytes(makeSignDoc(body, auth, 'celestia', BigInt(place + 1)))
}

/** Changes one digit of the digest in a record where the log lies, as the owner of the database can. */
async function rewriteRecord(dataDirectory: string, { record }: Signed): Promise<{ before: string; after: string }> {
  const { socketDirectory } = JSON.parse(readFileSync(join(dataDirectory, 'run.json'), 'utf8')) as {
    socketDirectory: string
  }
  const password = readFileSync(join(dataDirectory, 'postgres.password'), 'utf8').trim()
  const database = new pg.Client({
    host: join(socketDirectory, 'db'),
    port: 5432,
    user: 'popsigner',
    database: 'popsigner',
    password,
  })
  await database.connect()
  try {
    const { rows } = await database.query<{ tree_size: string; leaves: Buffer }>(
      'select tree_size, leaves from batches',
    )
    for (const { tree_size: size, leaves } of rows) {
      const start = leaves.indexOf(`"id":"${record}"`)
      if (start < 0) continue
      // Canonical JSON sorts its names: the digest of this leaf is the last one before its id.
      const digest = leaves.lastIndexOf('"digest":"', start) + '"digest":"'.length
      const before = leaves.toString('latin1', digest, digest + 64)
      const after = `${before.startsWith('0') ? '1' : '0'}${before.slice(1)}`
      leaves.write(after, digest, 'latin1')
      await database.query('update batches set leaves = $1 where tree_size = $2', [leaves, size])
      return { before, after }
    }
  } finally {
    await database.end()
  }
  throw new Error('the record is not in the database')
}

function at<T>(list: readonly T[], place: number): T {
  const one = list[place]
  if (one === undefined) throw new RangeError(`place ${place}: not in the list`)
  return one
}
