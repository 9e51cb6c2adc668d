import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AlgorithmName } from '@popsigner/crypto/algorithm-facts'
import { fromHex, hex } from '@popsigner/crypto/bytes'
import { generateRecipient } from '@popsigner/crypto/hpke'
import { publicKeyOf, verifySignature } from '@popsigner/crypto/verify'
import { exportInfo, importInfo } from '@popsigner/crypto/wrapping'
import { algorithms, ask, fromBase64, instance, made, name, newApiKey, newKey, refused, sha256, sign } from './asked.ts'
import { type Bound, defaultsFor, exportBody, openExported, wrapForImport } from './moved-key.ts'
import { newPrivateKey } from './private-key.ts'

// Keys on their way in and out: what their owner bound, and what the envelope allows, through the whole instance.

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

test('a key that is imported signs as itself, and comes out again as the same bytes', async () => {
  const { public_key: identity, instance: own } = await made('GET', '/v1/signer')
  for (const algorithm of algorithms) {
    const wrapping = await wrappingKey()
    const { signature, ...facts } = wrapping
    const message = Buffer.from(
      `popsigner/v1/wrapping-key\n${JSON.stringify(Object.fromEntries(Object.entries(facts).sort(([a], [b]) => (a < b ? -1 : 1))))}`,
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
