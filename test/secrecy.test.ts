import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { type AlgorithmName, algorithmNames, factsOf } from '@popsigner/crypto/algorithm-facts'
import { algorithm as rowOf } from '@popsigner/crypto/algorithms'
import { generateRecipient } from '@popsigner/crypto/hpke'
import { publicKeyOf } from '@popsigner/crypto/verify'
import { parseToken } from '../packages/server/src/tenants/token.ts'
import { pause, startInstance, type TestInstance } from './instance.ts'
import { defaultsFor, wrapForImport } from './moved-key.ts'
import { canSearch, type Found, familyOf, searchMemory } from './search-memory.ts'

// Where private keys lie while a whole instance works with them: in locked memory of the signer, and nowhere else. The test
// knows the keys because it imports them; that is the one way a private key can be known outside.

const algorithms = algorithmNames.filter((name) => rowOf(name).memory === 'locked')
const keysEach = 2

let instance: TestInstance
/** Why memory cannot be searched here; undefined where it can. */
let leftOut: string | undefined
const answered: string[] = []

/** A private key in use: its bytes, and the id under which it was imported. */
const known: { readonly secret: Buffer; readonly what: string; readonly id: string }[] = []
/** Secrets that no process may still have: refused, destroyed. */
const gone: { readonly secret: Buffer; readonly what: string }[] = []
const tokens: string[] = []

before(async () => {
  instance = await startInstance()
  if (process.platform !== 'linux') leftOut = 'left out: only Linux has /proc/<pid>/mem'
  else if (!canSearch(instance.processes().signer))
    leftOut = 'left out: this user may not read the memory of the processes'
  else if (!(await ask('GET', '/v1/signer')).locked_memory) leftOut = 'left out: memory is not locked here'
  if (leftOut === undefined) await work()
})
after(() => instance?.remove())

// biome-ignore lint/suspicious/noExplicitAny: tests read bodies freely; a missing field fails them.
async function ask(method: string, path: string, body?: unknown, refused = false): Promise<any> {
  const answer = await instance.call(method, path, body, { headers: { 'if-match': '*' } })
  answered.push(JSON.stringify(answer.body))
  assert.equal(answer.status >= 400, refused, `${method} ${path}: ${JSON.stringify(answer.body)}`)
  return answer.body
}

/** A private key whose bytes tell themselves from all others; below the order of every group. */
function newSecret(algorithm: AlgorithmName): Buffer {
  const secret = randomBytes(factsOf(algorithm).secretLength)
  secret[0] = (secret[0] as number) & 0x1f
  return secret
}

async function importKey(
  algorithm: (typeof algorithms)[number],
  secret: Buffer,
  publicKey = publicKeyOf(algorithm, secret),
  refused = false,
): Promise<string> {
  const wrapping = await ask('POST', '/v1/keys/import/wrapping-key', {})
  const wrapped = await wrapForImport(wrapping, defaultsFor(algorithm, publicKey, 'any'), secret)
  const imported = await ask(
    'POST',
    '/v1/keys/import',
    { name: `k-${answered.length}`, namespace: 'production', ...wrapped },
    refused,
  )
  return imported.id
}

/** Everything that touches a private key: import, signatures one by one and in batches, export, narrowing, destruction. */
async function work(): Promise<void> {
  for (const algorithm of algorithms) {
    for (let i = 0; i < keysEach; i++) {
      const secret = newSecret(algorithm)
      known.push({ secret, what: algorithm, id: await importKey(algorithm, secret) })
    }
    // It is opened, found to be no key of that public key, and refused.
    const refused = newSecret(algorithm)
    await importKey(algorithm, refused, publicKeyOf(algorithm, newSecret(algorithm)), true)
    gone.push({ secret: refused, what: `${algorithm} refused` })
    const destroyed = newSecret(algorithm)
    const id = await importKey(algorithm, destroyed)
    await ask('POST', `/v1/keys/${id}/sign`, { data: 'aGk=' })
    await ask('DELETE', `/v1/keys/${id}?waiting_days=0`)
    // OpenSSL's objects are zeroed when Node's garbage collector finds them.
    if (rowOf(algorithm).engine !== 'openssl') gone.push({ secret: destroyed, what: `${algorithm} destroyed` })
    const until = Date.now() + 10_000
    while ((await ask('GET', `/v1/keys/${id}`)).state !== 'destroyed') {
      assert.ok(Date.now() < until, 'a key was not destroyed within 10 s')
      await pause(50)
    }
  }
  for (let i = 0; i < 3; i++)
    tokens.push(
      (await ask('POST', '/v1/api-keys', { name: `a-${i}`, scopes: ['api:keys:read', 'api:keys:sign'] })).token,
    )
  answered.length = 0
  await Promise.all(
    Array.from({ length: 16 }, async (_, client) => {
      for (let round = 0; round < 20; round++) {
        const { id } = known[(client + round) % known.length] as (typeof known)[number]
        await ask('POST', `/v1/keys/${id}/sign`, { data: `${client} ${round}`, encoding: 'utf8' })
        if (round % 10 === 0)
          await ask('POST', '/v1/sign/batch', {
            requests: known.flatMap((key) => Array.from({ length: 10 }, () => ({ key_id: key.id, data: 'aGk=' }))),
          })
      }
    }),
  )
  for (const { id } of known) {
    await ask('POST', `/v1/keys/${id}/export`, {
      recipient_public_key: Buffer.from(generateRecipient().publicKey).toString('hex'),
    })
  }
  // A key that is opened again under a narrower envelope, and then made to sign again.
  for (const { id } of known) {
    await ask('PATCH', `/v1/keys/${id}`, { uses: ['raw'] })
    await ask('POST', `/v1/keys/${id}/sign`, { data: 'aGk=' })
  }
  for (const token of tokens) assert.equal((await instance.call('GET', '/v1/keys', undefined, { token })).status, 200)
  // Idle: the statements and checkpoints of what was signed are made by then.
  await pause(2_500)
}

const both = (secret: Uint8Array): Buffer[] => [Buffer.from(secret), Buffer.from(secret).reverse()]

/** What was found, in words that do not hold the secret. */
function words(found: readonly Found[], names: readonly string[]): string {
  return found
    .map(({ needle, locked, place, around }) => `${names[needle]}${locked ? ' (locked)' : ''} at ${place}: ${around}`)
    .join('\n')
}

test('control: the search finds what lies in ordinary memory', (t) => {
  if (leftOut) return t.skip(leftOut)
  const planted = randomBytes(32)
  const copy = Buffer.from(planted)
  const found = searchMemory(process.pid, both(planted))
  assert.ok(found.filter((one) => one.needle === 0 && !one.locked).length >= 2, copy.length.toString())
  const name = Buffer.from('popsigner', 'latin1')
  for (const pid of Object.values(instance.processes()))
    assert.ok(searchMemory(pid, [name]).length > 0, `process ${pid}`)
})

test('in the signer, keys lie in locked memory only, where the search finds them while they are open', (t) => {
  if (leftOut) return t.skip(leftOut)
  const { signer } = instance.processes()
  const found = searchMemory(
    signer,
    known.flatMap(({ secret }) => both(secret)),
  )
  const names = known.flatMap(({ what }) => [what, `${what} reversed`])
  for (let i = 0; i < known.length; i++) {
    assert.ok(
      found.some(({ needle, locked }) => locked && Math.floor(needle / 2) === i),
      `${known[i]?.what} is open and not found`,
    )
  }
  const elsewhere = found.filter(({ locked }) => !locked)
  assert.equal(elsewhere.length, 0, words(elsewhere, names))
})

test('in the signer, nothing is left of keys that were refused or destroyed, and nothing of the root outside locked memory', (t) => {
  if (leftOut) return t.skip(leftOut)
  const { signer } = instance.processes()
  const found = searchMemory(
    signer,
    gone.flatMap(({ secret }) => both(secret)),
  )
  assert.equal(
    found.length,
    0,
    words(
      found,
      gone.flatMap(({ what }) => [what, `${what} reversed`]),
    ),
  )
  // docs/formats.md: magic, a count, then for each root its sequence, id and key.
  const root = readFileSync(join(instance.directory, 'seal/root.key')).subarray(29, 61)
  const roots = searchMemory(signer, both(root))
  assert.ok(
    roots.some(({ locked }) => locked),
    'the root is open and not found',
  )
  assert.equal(roots.filter(({ locked }) => !locked).length, 0, words(roots, ['root', 'root reversed']))
})

test('server, supervisor and PostgreSQL have no byte string of a private key, in any of their processes', (t) => {
  if (leftOut) return t.skip(leftOut)
  const { server, postgres } = instance.processes()
  const all = [...known, ...gone]
  const needles = all.flatMap(({ secret }) => [
    ...both(secret),
    Buffer.from(secret.toString('hex')),
    Buffer.from(secret.toString('base64').slice(0, 42)),
  ])
  const names = all.flatMap(({ what }) => [what, `${what} reversed`, `${what} hex`, `${what} base64`])
  const others = new Set([server, instance.supervisor.pid as number, ...familyOf(postgres)])
  assert.ok(others.size > 5, 'the processes of PostgreSQL are there')
  for (const pid of others) {
    if (!canSearch(pid)) continue
    const found = searchMemory(pid, needles)
    assert.equal(found.length, 0, `process ${pid}: ${words(found, names)}`)
  }
})

test('signer and PostgreSQL never learn an API key', (t) => {
  if (leftOut) return t.skip(leftOut)
  const { signer, postgres } = instance.processes()
  const secrets = tokens.map((token) => parseToken(token)?.secret as Uint8Array)
  const needles = [
    ...secrets.map((secret) => Buffer.from(secret)),
    ...secrets.map((secret) => Buffer.from(Buffer.from(secret).toString('hex'))),
    ...tokens.map((token) => Buffer.from(token.slice(40))),
  ]
  for (const pid of [signer, ...familyOf(postgres)]) {
    if (!canSearch(pid)) continue
    const found = searchMemory(pid, needles)
    assert.equal(
      found.length,
      0,
      `process ${pid}: ${words(
        found,
        needles.map(() => 'API key'),
      )}`,
    )
  }
})

test('no file of the data directory, no log line and no answer has a private key or an API key in it', (t) => {
  if (leftOut) return t.skip(leftOut)
  const all = [...known, ...gone].map(({ secret }) => secret)
  const secrets = [...all, ...tokens.map((token) => Buffer.from(parseToken(token)?.secret as Uint8Array))]
  const binary = secrets.flatMap(both)
  const text = secrets.flatMap((secret) => [
    ...both(secret).flatMap((bytes) => [
      bytes.toString('hex'),
      bytes.toString('hex').toUpperCase(),
      bytes.toString('base64').slice(0, 42),
      bytes.toString('base64url').slice(0, 42),
    ]),
    [...secret].join(','),
  ])
  const words = [...text, ...tokens.map((token) => token.slice(40))]
  const files = readdirSync(instance.directory, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  )
  assert.ok(files.length > 100)
  for (const file of files) {
    const path = join(file.parentPath, file.name)
    const content = readFileSync(path)
    for (const needle of binary) assert.ok(!content.includes(needle), `${path} has a secret`)
    for (const word of words) assert.ok(!content.includes(word), `${path} has a secret as text`)
  }
  const output = instance.output()
  assert.ok(output.includes('"msg"'), 'there are log lines')
  for (const word of words) {
    assert.ok(!output.includes(word), 'the output has a secret as text')
    assert.ok(!answered.some((answer) => answer.includes(word)), 'an answer has a secret as text')
  }
})

test('a private key that is sent by mistake is repeated in no answer and no log line', async () => {
  const secret = newSecret('secp256k1')
  const forms = [secret.toString('hex'), secret.toString('base64'), `0x${secret.toString('hex')}`]
  const key = await ask('POST', '/v1/keys', { name: 'mistaken', namespace: 'production' })
  const from = answered.length
  for (const form of forms) {
    const wrapping = {
      wrapping_key_id: form,
      enc: form,
      ciphertext: form,
      public_key: form,
      name: `${form}=`,
      namespace: `${form}/`,
    }
    await ask('POST', '/v1/keys/import', wrapping, true)
    await ask('POST', '/v1/keys', { name: 'x', namespace: form.slice(0, 20), metadata: { 'private key': form } }, true)
    await ask('POST', '/v1/keys', { name: 'x', namespace: 'production', algorithm: form }, true)
    await ask('POST', `/v1/keys/${key.id}/sign`, { data: `${form}!`, encoding: 'hex' }, true)
    await ask('POST', `/v1/keys/${key.id}/sign`, form, true)
    await ask('PATCH', `/v1/keys/${key.id}`, { state: form }, true)
    await ask('GET', `/v1/keys/${encodeURIComponent(form)}`, undefined, true)
    await ask('GET', `/v1/keys?cursor=${encodeURIComponent(form)}`, undefined, true)
    await ask('GET', `/v1/${encodeURIComponent(form)}`, undefined, true)
    const { status } = await instance.call('POST', '/v1/keys', undefined, { raw: `{"${form}: 1}` })
    assert.equal(status, 400)
    await instance.call('GET', '/v1/keys', undefined, { token: form, headers: { 'x-request-id': form } })
  }
  const written = [...answered.slice(from), instance.output()].join('\n')
  for (const form of [secret.toString('hex'), secret.toString('base64').slice(0, 42)])
    assert.ok(!written.includes(form))
})
