import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ask, eventually, made, name, newKey, refused, sign } from './asked.ts'

// What is told of keys: addresses, histories, and names that are taken, through the whole instance.

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

test('bn254: both public keys are told apart in every version; a point is signed if it is one', async () => {
  const key = await newKey({ algorithm: 'bn254', schemes: ['digest', 'g1'] })
  const rotated = await made('POST', `/v1/keys/${key.id}/rotate`)
  for (const view of [key, rotated, ...rotated.versions]) {
    assert.match(view.public_key_g1, /^[0-9a-f]{128}$/)
    assert.match(view.public_key_g2, /^[0-9a-f]{256}$/)
    assert.equal(view.public_key, view.public_key_g1 + view.public_key_g2)
  }
  assert.notEqual(rotated.public_key_g2, key.public_key_g2)
  const other = await newKey()
  assert.deepEqual([other.public_key_g1, other.public_key_g2], [null, null])
  const ask = (data: string) => ({ data, encoding: 'hex', scheme: 'g1' })
  const path = `/v1/keys/${key.id}/sign`
  const { signature } = await made('POST', path, ask(rotated.public_key_g1))
  const verification = { ...ask(rotated.public_key_g1), signature }
  assert.deepEqual(await made('POST', `/v1/keys/${key.id}/verify`, verification), { valid: true })
  for (const data of ['', '00'.repeat(64), '11'.repeat(64), 'ff'.repeat(64), rotated.public_key_g1.slice(2)]) {
    await refused('sign.data_invalid', 'POST', path, ask(data))
    const asked = { ...verification, data }
    assert.deepEqual(await made('POST', `/v1/keys/${key.id}/verify`, asked), { valid: false })
  }
  await refused('sign.hash_not_allowed', 'POST', path, { ...ask(rotated.public_key_g1), prehashed: true })
  await refused('sign.hash_not_allowed', 'POST', path, { ...ask(rotated.public_key_g1), hash: 'sha256' })
  await made('PATCH', `/v1/keys/${key.id}`, { schemes: ['digest'] })
  await refused('key.scheme_not_allowed', 'POST', path, ask(rotated.public_key_g1))
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
