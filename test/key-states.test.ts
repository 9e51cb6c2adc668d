import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromHex, hex } from '@popsigner/crypto/bytes'
import { generateRecipient } from '@popsigner/crypto/hpke'
import { publicKeyOf, verifySignature } from '@popsigner/crypto/verify'
import { ask, eventually, fromBase64, instance, made, name, newApiKey, newKey, refused, sign } from './asked.ts'
import type { Answer } from './instance.ts'
import { exportBody, openExported } from './moved-key.ts'

// What a key may be asked for, and the states it goes through, through the whole instance.

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
