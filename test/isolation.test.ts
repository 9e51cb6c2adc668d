import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, test } from 'node:test'
import type { ProblemCode } from '@popsigner/api/problems'
import { type AlgorithmName, algorithmNames, factsOf, hashNames } from '@popsigner/crypto/algorithm-facts'
import { fromHex, hex } from '@popsigner/crypto/bytes'
import { generateRecipient, openWith, type Recipient } from '@popsigner/crypto/hpke'
import { decodeTypeId } from '@popsigner/crypto/typeid'
import { publicKeyOf, verifySignature } from '@popsigner/crypto/verify'
import { exportAad, exportInfo, importInfo } from '@popsigner/crypto/wrapping'
import { type Answer, pause, startInstance, type TestInstance } from './instance.ts'
import { type Bound, defaultsFor, ruleOf, wrapForImport } from './moved-key.ts'
import { newPrivateKey } from './private-key.ts'

// What one caller, one namespace, one key, one state may not do to another, through the whole instance.

let instance: TestInstance
before(async () => {
  instance = await startInstance()
  await made('POST', '/v1/namespaces', { name: 'staging' })
})
after(() => instance?.remove())

const algorithms = algorithmNames
let names = 0
const name = () => `i-${++names}`
const sha256 = (bytes: Uint8Array | string) => createHash('sha256').update(bytes).digest()
const fromBase64 = (text: string) => new Uint8Array(Buffer.from(text, 'base64'))

function ask(method: string, path: string, body?: unknown, token = instance.token): Promise<Answer> {
  return instance.call(method, path, body, { token, headers: { 'if-match': '*' } })
}

// biome-ignore lint/suspicious/noExplicitAny: tests read bodies freely; a missing field fails them.
async function made(method: string, path: string, body?: unknown, token?: string): Promise<any> {
  const answer = await ask(method, path, body, token)
  assert.ok(answer.status < 300, `${method} ${path}: ${JSON.stringify(answer.body)}`)
  return answer.body
}

async function refused(
  code: ProblemCode,
  method: string,
  path: string,
  body?: unknown,
  token?: string,
): Promise<Answer> {
  const answer = await ask(method, path, body, token)
  assert.equal(answer.body?.code, code, `${method} ${path} ${JSON.stringify(body)}: ${JSON.stringify(answer.body)}`)
  return answer
}

const newKey = (terms: object = {}, token?: string) =>
  made('POST', '/v1/keys', { name: name(), namespace: 'production', ...terms }, token)
const newApiKey = (terms: object, token?: string) => made('POST', '/v1/api-keys', { name: name(), ...terms }, token)
const sign = (id: string, body: object = {}, token?: string) =>
  ask('POST', `/v1/keys/${id}/sign`, { data: 'aGk=', ...body }, token)

const inMinutes = (minutes: number) => new Date(Date.now() + minutes * 60_000).toISOString()

test('an API key makes and rotates only what lies within itself', async () => {
  const scopes = ['api:access:write', 'api:access:read', 'api:keys:read', 'api:keys:sign']
  const limited = await newApiKey({ scopes, namespaces: ['staging'], expires_at: inMinutes(60) })
  const within = { scopes: ['api:keys:read'], namespaces: ['staging'], expires_at: inMinutes(30) }
  const create = (terms: object, code: ProblemCode) =>
    refused(code, 'POST', '/v1/api-keys', { name: name(), ...within, ...terms }, limited.token)
  await create({ scopes: ['api:keys:read', 'api:keys:export'] }, 'scope.exceeds_caller')
  await create({ scopes: ['api:billing:read'] }, 'scope.exceeds_caller')
  await create({ namespaces: null }, 'scope.exceeds_caller')
  await create({ namespaces: ['production'] }, 'namespace.not_found')
  await create({ namespaces: ['staging', 'production'] }, 'namespace.not_found')
  await create({ expires_at: null }, 'scope.exceeds_caller')
  await create({ expires_at: inMinutes(61) }, 'scope.exceeds_caller')
  await create({ expires_at: '2026-01-01T00:00:00Z' }, 'request.invalid')
  const child = await newApiKey(within, limited.token)

  const rotate = (id: string, body: object, code: ProblemCode) =>
    refused(code, 'POST', `/v1/api-keys/${id}/rotate`, body, limited.token)
  for (const terms of [
    { scopes: ['api:keys:export'], namespaces: ['staging'], expires_at: inMinutes(5) },
    { ...within, namespaces: null },
    { ...within, namespaces: ['production'] },
    { ...within, expires_at: null },
    { ...within, expires_at: inMinutes(90) },
  ]) {
    const wider = await newApiKey(terms)
    await rotate(wider.id, {}, 'scope.exceeds_caller')
    // The token before it was not touched.
    assert.notEqual((await ask('GET', '/v1/keys', undefined, wider.token)).status, 401)
  }
  await rotate(child.id, { expires_at: null }, 'scope.exceeds_caller')
  await rotate(child.id, { expires_at: inMinutes(61) }, 'scope.exceeds_caller')
  await rotate(limited.id, { expires_at: inMinutes(61) }, 'scope.exceeds_caller')
  const again = await made('POST', `/v1/api-keys/${child.id}/rotate`, { grace_seconds: 1 }, limited.token)
  assert.deepEqual([again.id, again.scopes, again.namespaces], [child.id, within.scopes, within.namespaces])
  for (const token of [child.token, again.token])
    assert.equal((await ask('GET', '/v1/keys', undefined, token)).status, 200)
  await pause(1_300)
  assert.equal((await ask('GET', '/v1/keys', undefined, child.token)).status, 401)
  assert.equal((await ask('GET', '/v1/keys', undefined, again.token)).status, 200)
})

test('a namespace of the same name is another namespace', async () => {
  const first = await made('POST', '/v1/namespaces', { name: 'reused' })
  const bound = await newApiKey({
    scopes: ['api:keys:read', 'api:keys:sign', 'api:keys:write'],
    namespaces: ['reused'],
  })
  const old = await newKey({ namespace: 'reused' })
  await refused('namespace.not_empty', 'DELETE', `/v1/namespaces/${first.id}`)
  await made('DELETE', `/v1/keys/${old.id}?waiting_days=0`)
  await eventually(async () => (await made('GET', `/v1/keys/${old.id}`)).state === 'destroyed')
  assert.equal((await ask('DELETE', `/v1/namespaces/${first.id}`)).status, 204)
  assert.notEqual((await made('POST', '/v1/namespaces', { name: 'reused' })).id, first.id)
  const key = await newKey({ namespace: 'reused' })
  for (const [method, path, body] of [
    ['GET', `/v1/keys/${key.id}`],
    ['POST', `/v1/keys/${key.id}/sign`, { data: '' }],
  ] as const)
    await refused('key.not_found', method, path, body, bound.token)
  await refused('namespace.not_found', 'POST', '/v1/keys', { name: name(), namespace: 'reused' }, bound.token)
  assert.deepEqual((await made('GET', '/v1/namespaces', undefined, bound.token)).namespaces, [])
  assert.deepEqual(
    (await made('GET', '/v1/keys', undefined, bound.token)).keys.map((one: { id: string }) => one.id),
    [old.id],
  )
})

test('making a suspended key active needs more than writing keys', async () => {
  const key = await newKey()
  const writer = await newApiKey({ scopes: ['api:keys:write', 'api:keys:read'] })
  assert.equal((await made('PATCH', `/v1/keys/${key.id}`, { state: 'suspended' }, writer.token)).state, 'suspended')
  await refused('scope.missing', 'PATCH', `/v1/keys/${key.id}`, { state: 'active' }, writer.token)
  await refused('key.state_forbids', 'POST', `/v1/keys/${key.id}/rotate`, {}, writer.token)
  assert.equal((await made('GET', `/v1/keys/${key.id}`)).state, 'suspended')
  assert.equal((await made('PATCH', `/v1/keys/${key.id}`, { state: 'active' })).state, 'active')
})

test('once a suspension or a revocation is answered, nothing is signed, whatever was under way', async () => {
  for (const end of ['suspend', 'revoke'] as const) {
    const key = await newKey()
    const { id, token } = await newApiKey({ scopes: ['api:keys:sign'] })
    let stopped = false
    const load = Array.from({ length: 16 }, async () => {
      while (!stopped) await sign(key.id, {}, token)
    })
    await pause(150)
    if (end === 'suspend') await made('PATCH', `/v1/keys/${key.id}`, { state: 'suspended' })
    else assert.equal((await ask('DELETE', `/v1/api-keys/${id}`)).status, 204)
    const late = await Promise.all(Array.from({ length: 32 }, () => sign(key.id, {}, token)))
    stopped = true
    await Promise.all(load)
    const expected = end === 'suspend' ? ['key.state_forbids'] : ['auth.invalid', 'auth.too_many_failures']
    for (const answer of late)
      assert.ok(expected.includes(answer.body.code), `${end}: ${answer.status} ${JSON.stringify(answer.body)}`)
  }
  await pause(1_100)
})

// Moving keys.

interface Imported {
  // biome-ignore lint/suspicious/noExplicitAny: tests read bodies freely; a missing field fails them.
  readonly key: any
  readonly privateKey: Buffer
  readonly publicKey: Uint8Array
}

const secretOf = (seed: string) => sha256(seed)
const wrappingKey = () => made('POST', '/v1/keys/import/wrapping-key', {})

async function importKey(algorithm: AlgorithmName, change: Partial<Bound> = {}): Promise<Imported> {
  const privateKey = await newPrivateKey(algorithm)
  const publicKey = publicKeyOf(algorithm, privateKey)
  const wrapped = await wrapForImport(
    await wrappingKey(),
    { ...defaultsFor(algorithm, publicKey), ...change },
    privateKey,
  )
  return {
    key: await made('POST', '/v1/keys/import', { name: name(), namespace: 'production', ...wrapped }),
    privateKey,
    publicKey,
  }
}

// biome-ignore lint/suspicious/noExplicitAny: tests read bodies freely; a missing field fails them.
function openExported(sealed: any, recipient: Recipient, change: object = {}): Promise<Uint8Array | null> {
  const aad = exportAad({
    instance: sealed.instance,
    organization: decodeTypeId(sealed.organization, 'org') as Uint8Array,
    key: decodeTypeId(sealed.key_id, 'key') as Uint8Array,
    version: sealed.key_version,
    algorithm: sealed.algorithm,
    schemes: sealed.schemes,
    uses: sealed.uses,
    export: ruleOf(sealed.export),
    public_key: fromHex(sealed.public_key),
    ...change,
  })
  return openWith(
    recipient.privateKey,
    recipient.publicKey,
    fromBase64(sealed.enc),
    exportInfo,
    aad,
    fromBase64(sealed.ciphertext),
  )
}

const exportBody = (recipient: Recipient, version?: number) => ({
  recipient_public_key: hex(recipient.publicKey),
  ...(version === undefined ? {} : { key_version: version }),
})

test('a key that is imported signs as itself, and comes out again as the same bytes', async () => {
  const { public_key: identity, instance: own } = await made('GET', '/v1/signer')
  for (const algorithm of algorithms) {
    const wrapping = await wrappingKey()
    const { signature, ...facts } = wrapping
    const message = Buffer.from(
      `popsigner/v1/wrapping-key\n${JSON.stringify(Object.fromEntries(Object.entries(facts).sort()))}`,
    )
    assert.ok(
      verifySignature('ed25519', { message }, fromBase64(signature), fromHex(identity)),
      'the identity has signed the wrapping key',
    )
    assert.equal(wrapping.instance, own)

    const { key, privateKey, publicKey } = await importKey(algorithm, { export: 'any' })
    assert.equal(key.public_key, hex(publicKey))
    assert.equal(key.exportable, true)
    const { body: signed } = await sign(key.id)
    assert.ok(verifySignature(algorithm, { message: Buffer.from('hi') }, fromBase64(signed.signature), publicKey))
    const recipient = generateRecipient()
    const sealed = await made('POST', `/v1/keys/${key.id}/export`, exportBody(recipient))
    assert.deepEqual(Buffer.from((await openExported(sealed, recipient)) as Uint8Array), privateKey)
    // It opens for nobody else, and as nothing else.
    assert.equal(await openExported(sealed, generateRecipient()), null)
    for (const change of [
      { version: 2 },
      { uses: ['raw'] },
      { export: 'none' as const },
      { instance: 'x' },
      { organization: new Uint8Array(16) },
      { key: new Uint8Array(16) },
    ]) {
      assert.equal(await openExported(sealed, recipient, change), null, JSON.stringify(change))
    }
    const record = await made('GET', `/v1/audit/logs/${sealed.record_id}`)
    assert.deepEqual(
      [record.event, record.key_id, record.metadata.recipient],
      ['key.exported', key.id, hex(sha256(recipient.publicKey))],
    )
  }
})

test('a key that is not exportable stays, also when the database says otherwise', async () => {
  const pinned = generateRecipient()
  const other = generateRecipient()
  const none = await newKey()
  const bound = await newKey({ export: hex(sha256(pinned.publicKey)) })
  assert.equal(bound.exportable, true)
  await refused('key.not_exportable', 'POST', `/v1/keys/${none.id}/export`, exportBody(other))
  await refused('export.recipient_not_allowed', 'POST', `/v1/keys/${bound.id}/export`, exportBody(other))
  const sealed = await made('POST', `/v1/keys/${bound.id}/export`, exportBody(pinned))
  const opened = (await openExported(sealed, pinned)) as Uint8Array
  assert.equal(hex(publicKeyOf('secp256k1', opened)), bound.public_key)
  await refused('request.invalid', 'PATCH', `/v1/keys/${none.id}`, { export: 'any' })

  // Whoever writes the database: the rule is in the envelope.
  const database = await instance.database()
  try {
    await database.query(`update keys set export = 'any' where name = any ($1)`, [[none.name, bound.name]])
  } finally {
    await database.end()
  }
  for (const id of [none.id, bound.id])
    await refused('key.not_exportable', 'POST', `/v1/keys/${id}/export`, exportBody(other))
})

test('an export needs a recipient on the curve, a version that there is, and the scope', async () => {
  const key = await newKey({ exportable: true })
  const recipient = generateRecipient()
  const off = Buffer.from(recipient.publicKey)
  off[64] = (off[64] as number) ^ 1
  await refused('export.recipient_invalid', 'POST', `/v1/keys/${key.id}/export`, {
    recipient_public_key: off.toString('hex'),
  })
  await refused('request.invalid', 'POST', `/v1/keys/${key.id}/export`, {
    recipient_public_key: hex(recipient.publicKey).slice(0, 66),
  })
  await refused('key.version_not_found', 'POST', `/v1/keys/${key.id}/export`, exportBody(recipient, 2))
  const { token } = await newApiKey({ scopes: ['api:keys:read', 'api:keys:write', 'api:keys:sign'] })
  await refused('scope.missing', 'POST', `/v1/keys/${key.id}/export`, exportBody(recipient), token)
})

test('an import that is not what its owner bound is refused, and leaves the wrapping key for another try', async () => {
  const privateKey = secretOf('bound')
  const bound = defaultsFor('secp256k1', publicKeyOf('secp256k1', privateKey))
  const wrapping = await wrappingKey()
  const body = { name: name(), namespace: 'production', ...(await wrapForImport(wrapping, bound, privateKey)) }
  const flipped = (text: string) => {
    const bytes = Buffer.from(text, 'base64')
    bytes[bytes.length - 1] = (bytes[bytes.length - 1] as number) ^ 1
    return bytes.toString('base64')
  }
  const changes: object[] = [
    { export: 'any' },
    { export: 'a'.repeat(64) },
    { uses: ['raw', 'digest'] },
    { uses: ['digest', 'raw', 'message', 'transaction'] },
    { algorithm: 'p256' },
    { public_key: hex(publicKeyOf('secp256k1', secretOf('another'))) },
    { public_key: `02${'ff'.repeat(32)}` },
    { ciphertext: flipped(body.ciphertext) },
    { enc: flipped(body.enc) },
    { wrapping_key_id: (await wrappingKey()).id },
    await wrapForImport(wrapping, bound, privateKey, exportInfo),
    await wrapForImport(wrapping, bound, privateKey, Buffer.concat([importInfo, Buffer.of(0)])),
    await wrapForImport({ ...wrapping, instance: 'another' }, bound, privateKey),
    await wrapForImport(
      { ...wrapping, organization: wrapping.organization.replace(/.$/, (last: string) => (last === '0' ? '1' : '0')) },
      bound,
      privateKey,
    ),
  ]
  for (const change of changes) await refused('import.cannot_open', 'POST', '/v1/keys/import', { ...body, ...change })
  await refused('request.invalid', 'POST', '/v1/keys/import', { ...body, schemes: ['pure'] })
  await refused('request.invalid', 'POST', '/v1/keys/import', { ...body, algorithm: 'ed25519' })
  const key = await made('POST', '/v1/keys/import', body)
  assert.equal(key.public_key, bound.public_key)
  await refused('wrapping_key.used', 'POST', '/v1/keys/import', { ...body, name: name() })
  const record = (await made('GET', `/v1/keys/${key.id}/history`)).history[0]
  assert.equal((await made('GET', `/v1/audit/logs/${record.record_id}`)).event, 'key.imported')
})

test('numbers that are no private key are refused', async () => {
  const order = {
    secp256k1: 'fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141',
    p256: 'ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551',
  } as const
  for (const algorithm of ['secp256k1', 'p256'] as const) {
    const above = (BigInt(`0x${order[algorithm]}`) + 1n).toString(16)
    const below = (BigInt(`0x${order[algorithm]}`) - 1n).toString(16)
    const one = publicKeyOf(algorithm, fromHex(`${'0'.repeat(63)}1`))
    for (const scalar of ['0'.repeat(64), order[algorithm], above, 'f'.repeat(64)]) {
      const wrapped = await wrapForImport(await wrappingKey(), defaultsFor(algorithm, one), fromHex(scalar))
      await refused('import.cannot_open', 'POST', '/v1/keys/import', {
        name: name(),
        namespace: 'production',
        ...wrapped,
      })
    }
    for (const scalar of [below, `${'0'.repeat(63)}1`]) {
      const wrapped = await wrapForImport(
        await wrappingKey(),
        defaultsFor(algorithm, publicKeyOf(algorithm, fromHex(scalar))),
        fromHex(scalar),
      )
      const key = await made('POST', '/v1/keys/import', { name: name(), namespace: 'production', ...wrapped })
      assert.equal((await sign(key.id)).status, 200)
    }
  }
  const wrapping = await wrappingKey()
  const short = await wrapForImport(
    wrapping,
    defaultsFor('secp256k1', publicKeyOf('secp256k1', secretOf('short'))),
    secretOf('short').subarray(1),
  )
  await refused('request.invalid', 'POST', '/v1/keys/import', { name: name(), namespace: 'production', ...short })
})

test('a wrapping key is good once and for an hour', async () => {
  const privateKey = secretOf('once')
  const wrapping = await wrappingKey()
  assert.ok(Math.abs(Date.parse(wrapping.expires_at) - Date.now() - 3_600_000) < 60_000)
  const wrapped = await wrapForImport(
    wrapping,
    defaultsFor('secp256k1', publicKeyOf('secp256k1', privateKey)),
    privateKey,
  )
  const racing = await Promise.all(
    Array.from({ length: 5 }, () =>
      ask('POST', '/v1/keys/import', { name: name(), namespace: 'production', ...wrapped }),
    ),
  )
  assert.equal(
    racing.filter((answer) => answer.status === 201).length,
    1,
    JSON.stringify(racing.map((answer) => answer.body)),
  )
  for (const answer of racing.filter((one) => one.status !== 201)) assert.equal(answer.body.code, 'wrapping_key.used')

  const old = await wrappingKey()
  const late = await wrapForImport(old, defaultsFor('secp256k1', publicKeyOf('secp256k1', privateKey)), privateKey)
  const database = await instance.database()
  try {
    await database.query(`update wrapping_keys set expires_at = now() - interval '1 second' where public_key = $1`, [
      Buffer.from(old.public_key, 'hex'),
    ])
  } finally {
    await database.end()
  }
  await refused('wrapping_key.expired', 'POST', '/v1/keys/import', { name: name(), namespace: 'production', ...late })
})

// Uses, states, versions.

test('uses are kept, narrowed and never widened, also when the database says otherwise', async () => {
  const digest = { data: 'ab'.repeat(32), encoding: 'hex', prehashed: true }
  const raw = await newKey({ uses: ['raw'] })
  assert.equal((await sign(raw.id)).status, 200)
  assert.equal((await sign(raw.id, digest)).body.code, 'key.use_not_allowed')
  const digests = await newKey({ uses: ['digest', 'transaction'] })
  assert.equal((await sign(digests.id)).body.code, 'key.use_not_allowed')
  assert.equal((await sign(digests.id, digest)).status, 200)
  const key = await newKey()
  await refused('key.widening_refused', 'PATCH', `/v1/keys/${raw.id}`, { uses: ['raw', 'digest'] })
  await refused('key.widening_refused', 'PATCH', `/v1/keys/${raw.id}`, { schemes: ['pure'] })
  await refused('request.invalid', 'PATCH', `/v1/keys/${raw.id}`, { uses: [] })
  assert.deepEqual((await made('PATCH', `/v1/keys/${key.id}`, { uses: ['raw', 'message'] })).uses, ['raw', 'message'])
  assert.equal((await sign(key.id, digest)).body.code, 'key.use_not_allowed')
  assert.deepEqual((await made('PATCH', `/v1/keys/${key.id}`, { uses: ['raw'] })).uses, ['raw'])
  assert.equal((await sign(key.id)).status, 200)
  for (const terms of [
    { schemes: ['pure'] },
    { schemes: ['ecdsa', 'ecdsa'] },
    { uses: ['raw', 'raw'] },
    { algorithm: 'ed25519', schemes: ['ecdsa'] },
    { algorithm: 'p256', uses: ['digest'] },
  ]) {
    await refused('request.invalid', 'POST', '/v1/keys', { name: name(), namespace: 'production', ...terms })
  }
  // A new version has what was left.
  await made('POST', `/v1/keys/${key.id}/rotate`, {})
  assert.equal((await sign(key.id, digest)).body.code, 'key.use_not_allowed')

  const database = await instance.database()
  try {
    await database.query(`update keys set uses = '{transaction,message,raw,digest}' where name = any ($1)`, [
      [raw.name, key.name],
    ])
  } finally {
    await database.end()
  }
  await newApiKey({ scopes: ['api:keys:read'] }) // Raises the epoch, so that the rows are read again.
  for (const id of [raw.id, key.id]) {
    const { status, body } = await sign(id, digest)
    assert.deepEqual([status, body.code], [500, 'custody.refused'], JSON.stringify(body))
  }
})

test('a narrowing that is refused leaves the key as it was', async () => {
  const taken = await newKey()
  const key = await newKey({ exportable: true })
  await refused('key.name_taken', 'PATCH', `/v1/keys/${key.id}`, { name: taken.name, uses: ['raw'] })
  assert.deepEqual((await made('GET', `/v1/keys/${key.id}`)).uses, key.uses)
  assert.equal((await sign(key.id, { data: 'ab'.repeat(32), encoding: 'hex', prehashed: true })).status, 200)
  await made('POST', `/v1/keys/${key.id}/export`, exportBody(generateRecipient()))
})

test('keys that are narrowed while they sign, and while the organization changes, go on signing', async () => {
  const keys = await Promise.all(Array.from({ length: 4 }, () => newKey()))
  let stopped = false
  const seen = new Map<string, number>()
  const load = keys.flatMap((key) =>
    Array.from({ length: 3 }, async () => {
      while (!stopped) {
        const { status, body } = await sign(key.id)
        const what = `${status} ${body.code ?? ''}`
        seen.set(what, (seen.get(what) ?? 0) + 1)
      }
    }),
  )
  await Promise.all(
    keys.map(async (key) => {
      for (const uses of [['raw', 'digest', 'message'], ['raw', 'digest'], ['raw']]) {
        const changes = await Promise.all([
          ask('PATCH', `/v1/keys/${key.id}`, { uses }),
          ask('POST', '/v1/api-keys', { name: name(), scopes: ['api:keys:read'] }),
        ])
        // Held too long by the other changes: it can be tried again, and is.
        if (changes[0].status !== 200) {
          assert.ok(
            ['organization.busy', 'key.changed'].includes(changes[0].body.code),
            JSON.stringify(changes[0].body),
          )
          await eventually(async () => (await ask('PATCH', `/v1/keys/${key.id}`, { uses })).status === 200)
        }
      }
    }),
  )
  stopped = true
  await Promise.all(load)
  assert.deepEqual(
    [...seen.keys()].filter((what) => what !== '200 ' && what !== '503 organization.busy'),
    [],
    JSON.stringify([...seen]),
  )
  for (const key of keys) {
    assert.deepEqual((await made('GET', `/v1/keys/${key.id}`)).uses, ['raw'])
    assert.equal((await sign(key.id)).status, 200)
  }
})

test('each state allows what it allows, and is left only forwards', async () => {
  const recipient = generateRecipient()
  const may: Record<string, { sign: boolean; verify: boolean; export: boolean }> = {
    active: { sign: true, verify: true, export: true },
    suspended: { sign: false, verify: true, export: false },
    deactivated: { sign: false, verify: true, export: true },
    compromised: { sign: false, verify: true, export: false },
    pre_active: { sign: false, verify: false, export: false },
    destroyed: { sign: false, verify: false, export: false },
  }
  const next: Record<string, string[]> = {
    active: ['suspended', 'deactivated', 'compromised'],
    suspended: ['active', 'deactivated', 'compromised'],
    deactivated: ['compromised'],
    compromised: [],
    pre_active: ['active', 'compromised'],
    destroyed: [],
  }
  for (const [state, allowed] of Object.entries(may)) {
    const key = await newKey({ exportable: true })
    const { body: signed } = await sign(key.id)
    if (state === 'destroyed') {
      await made('DELETE', `/v1/keys/${key.id}?waiting_days=0`)
      await eventually(async () => (await made('GET', `/v1/keys/${key.id}`)).state === 'destroyed')
    } else if (state === 'pre_active') {
      const database = await instance.database()
      await database.query(`update key_versions set state = 'pre_active' where public_key = $1`, [
        Buffer.from(key.public_key, 'hex'),
      ])
      await database.end()
      await newApiKey({ scopes: ['api:keys:read'] })
    } else if (state !== 'active') await made('PATCH', `/v1/keys/${key.id}`, { state })
    const { body: read } = await ask('GET', `/v1/keys/${key.id}`)
    assert.deepEqual([read.state, read.public_key, read.address], [state, key.public_key, key.address])
    const outcome = async (answer: Promise<Answer>) => {
      const { status, body } = await answer
      if (status !== 200) assert.ok(body.code === 'key.state_forbids', `${state}: ${JSON.stringify(body)}`)
      return status === 200
    }
    assert.equal(await outcome(sign(key.id)), allowed.sign, `${state}: sign`)
    assert.equal(
      await outcome(ask('POST', `/v1/keys/${key.id}/verify`, { data: 'aGk=', signature: signed.signature })),
      allowed.verify,
      `${state}: verify`,
    )
    assert.equal(
      await outcome(ask('POST', `/v1/keys/${key.id}/export`, exportBody(recipient))),
      allowed.export,
      `${state}: export`,
    )
    const batch = await made('POST', '/v1/sign/batch', { requests: [{ key_id: key.id, data: '' }] })
    assert.equal(batch.signatures[0].error === undefined, allowed.sign)
    for (const to of ['active', 'suspended', 'deactivated', 'compromised']) {
      if (!next[state]?.includes(to)) await refused('key.state_forbids', 'PATCH', `/v1/keys/${key.id}`, { state: to })
    }
    await refused('request.invalid', 'PATCH', `/v1/keys/${key.id}`, { state: 'destroyed' })
    if (state !== 'active') await refused('key.state_forbids', 'POST', `/v1/keys/${key.id}/rotate`, {})
    const last = next[state]?.at(0)
    if (last !== undefined) assert.equal((await made('PATCH', `/v1/keys/${key.id}`, { state: last })).state, last)
  }
})

test('a rotation makes a new primary version; the old one signs only where it was kept active', async () => {
  const key = await newKey({ exportable: true })
  const { body: first } = await sign(key.id)
  const kept = await made('POST', `/v1/keys/${key.id}/rotate`, { keep_active: true })
  assert.deepEqual(
    [kept.version, kept.previous.version, kept.previous.state, kept.previous.address],
    [2, 1, 'active', key.address],
  )
  assert.notEqual(kept.public_key, key.public_key)
  assert.notEqual(kept.address, key.address)
  for (const [version, publicKey] of [
    [undefined, kept.public_key],
    [2, kept.public_key],
    [1, key.public_key],
  ] as const) {
    const { body } = await sign(key.id, version === undefined ? {} : { key_version: version })
    assert.deepEqual([body.public_key, body.key_version], [publicKey, version ?? 2])
    assert.ok(
      verifySignature('secp256k1', { message: Buffer.from('hi') }, fromBase64(body.signature), fromHex(publicKey)),
    )
  }
  assert.equal((await sign(key.id, { key_version: 3 })).body.code, 'key.version_not_found')
  const verify = (signature: string, version?: number) =>
    made('POST', `/v1/keys/${key.id}/verify`, { data: 'aGk=', signature, ...(version ? { key_version: version } : {}) })
  assert.deepEqual(await verify(first.signature), { valid: false })
  assert.deepEqual(await verify(first.signature, 1), { valid: true })

  const third = await made('POST', `/v1/keys/${key.id}/rotate`)
  assert.deepEqual(
    third.versions.map((one: { version: number; state: string }) => [one.version, one.state]),
    [
      [3, 'active'],
      [2, 'deactivated'],
      [1, 'active'],
    ],
  )
  assert.equal((await sign(key.id, { key_version: 2 })).body.code, 'key.state_forbids')
  assert.equal((await sign(key.id, { key_version: 1 })).status, 200)
  const recipient = generateRecipient()
  for (const version of [1, 2, 3]) {
    const sealed = await made('POST', `/v1/keys/${key.id}/export`, exportBody(recipient, version))
    const opened = (await openExported(sealed, recipient)) as Uint8Array
    assert.equal(
      hex(publicKeyOf('secp256k1', opened)),
      third.versions.find((one: { version: number }) => one.version === version).public_key,
    )
  }
})

test('a deletion deactivates at once, is undone to the states before, and after its time nothing is left but what is public', async () => {
  const key = await newKey()
  await made('POST', `/v1/keys/${key.id}/rotate`, { keep_active: true })
  await made('PATCH', `/v1/keys/${key.id}`, { state: 'suspended' })
  await refused('key.deletion_not_scheduled', 'POST', `/v1/keys/${key.id}/cancel-deletion`)
  const scheduled = await ask('DELETE', `/v1/keys/${key.id}`)
  assert.equal(scheduled.status, 202)
  assert.ok(Math.abs(Date.parse(scheduled.body.destroy_at) - Date.now() - 7 * 86_400_000) < 60_000)
  const states = async () =>
    (await made('GET', `/v1/keys/${key.id}`)).versions.map((one: { state: string }) => one.state)
  assert.deepEqual(await states(), ['deactivated', 'deactivated'])
  for (const version of [1, 2])
    assert.equal((await sign(key.id, { key_version: version })).body.code, 'key.state_forbids')
  await refused('key.state_forbids', 'DELETE', `/v1/keys/${key.id}`)
  await refused('key.state_forbids', 'PATCH', `/v1/keys/${key.id}`, { state: 'active' })
  await refused('key.state_forbids', 'POST', `/v1/keys/${key.id}/rotate`)
  const back = await made('POST', `/v1/keys/${key.id}/cancel-deletion`)
  assert.equal(back.destroy_at, null)
  assert.deepEqual(await states(), ['suspended', 'suspended'])
  for (const version of [1, 2])
    assert.equal((await sign(key.id, { key_version: version })).body.code, 'key.state_forbids')
  for (const days of ['31', '-1', '1.5', ''])
    await refused('request.invalid', 'DELETE', `/v1/keys/${key.id}?waiting_days=${days}`)

  await made('DELETE', `/v1/keys/${key.id}?waiting_days=0`)
  await eventually(async () => (await states())[0] === 'destroyed')
  assert.deepEqual(await states(), ['destroyed', 'destroyed'])
  for (const [method, path, body] of [
    ['PATCH', '', { name: name() }],
    ['DELETE', ''],
    ['POST', '/rotate'],
    ['POST', '/sign', { data: '' }],
  ] as const) {
    await refused('key.state_forbids', method, `/v1/keys/${key.id}${path}`, body)
  }
  await refused('key.deletion_not_scheduled', 'POST', `/v1/keys/${key.id}/cancel-deletion`)
  const { history } = await made('GET', `/v1/keys/${key.id}/history`)
  assert.deepEqual(
    history.map((entry: { event: string }) => entry.event),
    [
      'key.deleted',
      'key.deletion_scheduled',
      'key.deletion_cancelled',
      'key.deletion_scheduled',
      'key.updated',
      'key.rotated',
      'key.created',
    ],
  )
  const record = await made('GET', `/v1/audit/logs/${history[0].record_id}`)
  assert.equal(record.actor, 'system')
  assert.ok(Date.parse(record.metadata.recoverable_until) > Date.now())
  const database = await instance.database()
  try {
    const { rows } = await database.query(
      'select 1 from key_parts p join key_versions v on v.key_id = p.key_id where v.public_key = $1',
      [Buffer.from(key.public_key, 'hex')],
    )
    assert.equal(rows.length, 0, 'the envelope is deleted')
  } finally {
    await database.end()
  }
})

// What is signed.

test('hash and prehashed are taken where the algorithm takes them, and what is signed is what they say', async () => {
  const message = Buffer.from('what is signed')
  for (const algorithm of algorithms) {
    const key = await newKey({ algorithm })
    const publicKey = fromHex(key.public_key)
    const scheme = factsOf(algorithm).schemes[0]
    for (const hash of [undefined, ...hashNames] as const) {
      const body = { data: message.toString('base64'), ...(hash ? { hash } : {}) }
      const { status, body: answer } = await sign(key.id, body)
      const taken = hash === undefined || scheme.hashes.includes(hash)
      assert.deepEqual(
        [status, answer.code],
        taken ? [200, undefined] : [400, 'sign.hash_not_allowed'],
        `${algorithm} ${hash}`,
      )
      const verify = await ask('POST', `/v1/keys/${key.id}/verify`, { ...body, signature: answer.signature ?? '' })
      assert.deepEqual(
        [verify.status, verify.body.valid ?? verify.body.code],
        taken ? [200, true] : [400, 'sign.hash_not_allowed'],
      )
      if (!taken) continue
      const signature = fromBase64(answer.signature)
      assert.ok(verifySignature(algorithm, { message, hash }, signature, publicKey), `${algorithm} ${hash}`)
      for (const other of scheme.hashes)
        if (other !== (hash ?? scheme.hashes[0]))
          assert.ok(!verifySignature(algorithm, { message, hash: other }, signature, publicKey))
      assert.equal(answer.recovery_id !== undefined, algorithm === 'secp256k1')
    }
    for (const length of [31, 32, 33, 0, 64]) {
      const { body } = await sign(key.id, {
        data: Buffer.alloc(length, 5).toString('hex'),
        encoding: 'hex',
        prehashed: true,
      })
      const expected = !scheme.prehashed ? 'sign.hash_not_allowed' : length === 32 ? undefined : 'sign.digest_length'
      assert.equal(body.code, expected, `${algorithm} prehashed ${length}`)
      if (body.signature)
        assert.ok(verifySignature(algorithm, { digest: Buffer.alloc(32, 5) }, fromBase64(body.signature), publicKey))
    }
  }
})

test('data that is not what its encoding says is refused, and the largest is signed', async () => {
  const key = await newKey()
  const wrong = {
    base64: ['a', 'aGk', 'aGk=\n', 'aGl=', 'aG k=', 'aGk==', '_-__', '===='],
    hex: ['a', '0x00', 'zz', ' 00', '00 '],
  }
  for (const [encoding, texts] of Object.entries(wrong))
    for (const data of texts)
      assert.equal((await sign(key.id, { data, encoding })).body.code, 'sign.data_invalid', `${encoding} ${data}`)
  for (const [data, encoding] of [
    ['', 'base64'],
    ['', 'hex'],
    ['', 'utf8'],
    ['\u0000', 'utf8'],
    ['🔑\u2028', 'utf8'],
    ['AbCd', 'hex'],
  ])
    assert.equal((await sign(key.id, { data, encoding })).status, 200, `${encoding} ${data}`)
  const mebibyte = 1024 * 1024
  for (const [encoding, text] of [
    ['utf8', 'a'],
    ['hex', '00'],
  ] as const) {
    assert.equal((await sign(key.id, { data: text.repeat(mebibyte), encoding })).status, 200)
    const { status, body } = await sign(key.id, { data: text.repeat(mebibyte + 1), encoding })
    assert.ok(
      status === 400 && ['sign.data_invalid', 'request.invalid'].includes(body.code),
      `${encoding}: ${JSON.stringify(body)}`,
    )
  }
})

test('verify is false for a signature with high S, and for all that is none', async () => {
  const orders: { readonly [name in AlgorithmName]?: bigint } = {
    secp256k1: 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n,
    p256: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
  }
  for (const algorithm of algorithms) {
    const key = await newKey({ algorithm })
    const other = await newKey({ algorithm })
    const { body: signed } = await sign(key.id)
    const verify = async (signature: string, change: object = {}) =>
      (await made('POST', `/v1/keys/${key.id}/verify`, { data: 'aGk=', signature, ...change })).valid
    assert.equal(await verify(signed.signature), true)
    const bytes = Buffer.from(signed.signature, 'base64')
    const with64 = (r: bigint, s: bigint) =>
      Buffer.from(r.toString(16).padStart(64, '0') + s.toString(16).padStart(64, '0'), 'hex').toString('base64')
    const wrong = [
      '',
      'AA==',
      bytes.subarray(0, -1).toString('base64'),
      Buffer.concat([bytes, Buffer.of(0)]).toString('base64'),
      Buffer.alloc(bytes.length).toString('base64'),
      Buffer.alloc(bytes.length, 255).toString('base64'),
      Buffer.concat([bytes.subarray(32), bytes.subarray(0, 32)]).toString('base64'),
      (await sign(other.id)).body.signature,
      ...[0, 31, 32, bytes.length - 1].map((at) =>
        Buffer.from(bytes.map((byte, i) => (i === at ? byte ^ 1 : byte))).toString('base64'),
      ),
    ]
    const n = orders[algorithm]
    if (n !== undefined) {
      const [r, s] = [
        BigInt(`0x${bytes.subarray(0, 32).toString('hex')}`),
        BigInt(`0x${bytes.subarray(32).toString('hex')}`),
      ]
      const turned = with64(r, n - s)
      // The instance makes no high S for secp256k1; for P-256 both are signatures (FIPS 186-5).
      assert.equal(await verify(turned), algorithm === 'p256')
      wrong.push(
        with64(0n, s),
        with64(r, 0n),
        with64(n, s),
        with64(r, n),
        with64(n - 1n, n - 1n),
        with64(r, s + n < 1n << 256n ? s + n : n),
      )
      if (algorithm === 'secp256k1') assert.ok(s <= n / 2n)
    }
    for (const signature of wrong) assert.equal(await verify(signature), false, `${algorithm} ${signature}`)
    assert.equal(await verify(signed.signature, { data: 'aGo=' }), false)
    assert.equal(
      (await ask('POST', `/v1/keys/${key.id}/verify`, { data: 'aGk=', signature: 'a' })).body.code,
      'request.invalid',
    )
  }
})

test('the address follows metadata.address_prefix, in every version, and is found by it', async () => {
  const key = await newKey({ metadata: { address_prefix: 'osmo' } })
  assert.match(key.address, /^osmo1[02-9ac-hj-np-z]{38}$/)
  assert.match(key.eth_address, /^0x[0-9a-fA-F]{40}$/)
  await sign(key.id)
  const changed = await made('PATCH', `/v1/keys/${key.id}`, { metadata: { chain: 'x' } })
  assert.match(changed.address, /^celestia1/)
  assert.equal(changed.eth_address, key.eth_address)
  const rotated = await made('POST', `/v1/keys/${key.id}/rotate`)
  const again = await made('PATCH', `/v1/keys/${key.id}`, { metadata: { address_prefix: 'cosmos' } })
  for (const version of again.versions) assert.match(version.address, /^cosmos1/)
  assert.equal(again.versions[0].eth_address, rotated.eth_address)
  for (const address_prefix of ['', 'Cosmos', '1a', 'a'.repeat(33), 'co-smos', 'co smos'])
    await refused('request.invalid', 'PATCH', `/v1/keys/${key.id}`, { metadata: { address_prefix } })
  await eventually(async () => {
    for (const address of [key.address, changed.address, key.eth_address, again.address]) {
      const { logs } = await made('GET', `/v1/audit/logs?address=${address}&limit=1000`)
      if (!logs.some((row: { event: string; key_id: string }) => row.event === 'key.signed' && row.key_id === key.id))
        return false
    }
    return true
  })
})

test('the history has every name, metadata and state that a key had, each with its record', async () => {
  const key = await newKey({ metadata: { a: '1' }, rotate_every_days: 10 })
  const second = name()
  await made('PATCH', `/v1/keys/${key.id}`, { name: second })
  await made('PATCH', `/v1/keys/${key.id}`, { metadata: { b: '2' }, rotate_every_days: null })
  await made('PATCH', `/v1/keys/${key.id}`, { state: 'suspended' })
  const { history } = await made('GET', `/v1/keys/${key.id}/history`)
  const rows = history.map(
    (entry: { name: string; metadata: object; state: string; rotate_every_days: number | null }) => [
      entry.name,
      entry.metadata,
      entry.state,
      entry.rotate_every_days,
    ],
  )
  assert.deepEqual(rows, [
    [second, { b: '2' }, 'suspended', null],
    [second, { b: '2' }, 'active', null],
    [second, { a: '1' }, 'active', 10],
    [key.name, { a: '1' }, 'active', 10],
  ])
  for (const entry of history) {
    const record = await made('GET', `/v1/audit/logs/${entry.record_id}`)
    assert.deepEqual([record.event, record.key_id, record.timestamp], [entry.event, key.id, entry.changed_at])
  }
  // The name that was given up is free.
  await newKey({ name: key.name })
  await refused('key.name_taken', 'PATCH', `/v1/keys/${key.id}`, { name: key.name })
})

test('keys are made all or none, and the one that is in the way is named', async () => {
  const taken = await newKey()
  const count = async () => (await made('GET', '/v1/keys?limit=100&namespace=staging')).keys.length
  const before = await count()
  const batch = (keys: object[]) => ask('POST', '/v1/keys/batch', { keys })
  const { body: conflict } = await batch([
    { name: name(), namespace: 'staging' },
    { name: taken.name, namespace: 'staging' },
    { name: taken.name, namespace: 'production' },
  ])
  assert.equal(conflict.code, 'key.name_taken')
  assert.deepEqual(
    conflict.errors.map((error: { field: string }) => error.field),
    ['keys[2].name'],
  )
  const { body: lost } = await batch([
    { name: name(), namespace: 'staging' },
    { name: name(), namespace: 'nowhere' },
  ])
  assert.deepEqual([lost.code, lost.errors?.[0].field], ['namespace.not_found', 'keys[1].namespace'])
  const twice = name()
  const { body: repeated } = await batch([
    { name: twice, namespace: 'staging' },
    { name: twice, namespace: 'staging' },
  ])
  assert.deepEqual([repeated.code, repeated.errors?.[0].field], ['request.invalid', 'keys[1].name'])
  assert.equal(
    (await batch(Array.from({ length: 101 }, () => ({ name: name(), namespace: 'staging' })))).body.code,
    'request.invalid',
  )
  assert.equal(await count(), before)
  const hundred = await made('POST', '/v1/keys/batch', { prefix: 'hundred', count: 100, namespace: 'staging' })
  assert.deepEqual(
    hundred.keys.map((key: { name: string }) => key.name),
    Array.from({ length: 100 }, (_, i) => `hundred-${i + 1}`),
  )
  assert.equal(new Set(hundred.keys.map((key: { public_key: string }) => key.public_key)).size, 100)
})

async function eventually(condition: () => Promise<boolean>): Promise<void> {
  const until = Date.now() + 10_000
  while (!(await condition())) {
    assert.ok(Date.now() < until, 'it was not so within 10 s')
    await pause(50)
  }
}
