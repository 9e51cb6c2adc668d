import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { utf8 } from '@popsigner/crypto/bytes'
import { verifySignature } from '@popsigner/crypto/verify'
import type { SignerClient } from './client.ts'
import {
  connectTo,
  makeItem,
  makeKey,
  makeLog,
  makePlace,
  newId,
  type Place,
  type RunningSigner,
  refusalOf,
  signatureOf,
  startSigner,
  type TestLog,
} from './signer.fixture.ts'
import { parseSpec } from './spec.ts'

// Keys that sign, or are made, on other threads of the signer.

let place: Place
let running: RunningSigner
let client: SignerClient
let log: TestLog
before(async () => {
  place = await makePlace()
  running = await startSigner(place)
  client = await connectTo(place)
  log = await makeLog(client)
})
after(async () => {
  await client.close()
  await running.kill()
  place.remove()
})

test('fast signatures are answered while slow ones and new RSA keys are under way', async () => {
  const fast = await makeKey(client, log)
  const slow = await makeKey(client, log, { algorithm: 'rsa-4096' })
  const order: string[] = []
  const made = makeKey(client, log, { algorithm: 'rsa-4096' }).then(() => order.push('made'))
  const slowItems = Array.from({ length: 200 }, (_, i) => makeItem(log, slow, utf8(`slow ${i}`)))
  const slowly = client.sign(slowItems).then(({ results }) => {
    order.push('slow')
    return results
  })
  for (let i = 0; i < 20; i++) {
    const message = utf8(`fast ${i}`)
    const { results } = await client.sign([makeItem(log, fast, message)])
    assert.ok(verifySignature('secp256k1', { message }, signatureOf(results[0]), fast.publicKey))
    order.push('fast')
  }
  const results = await slowly
  await made
  assert.deepEqual(
    order.slice(0, 20),
    Array.from({ length: 20 }, () => 'fast'),
  )
  for (const [i, result] of results.entries())
    assert.ok(verifySignature('rsa-4096', { message: utf8(`slow ${i}`) }, signatureOf(result), slow.publicKey))
  // What was counted is what was signed, in the order of the frames.
  const [statement] = await client.statement([{ organization: log.organization, last: null }])
  assert.equal(statement?.statement?.count, 220)
})

test('a key that is destroyed while it signs releases nothing more', async () => {
  const key = await makeKey(client, log, { algorithm: 'rsa-4096' })
  const items = Array.from({ length: 40 }, (_, i) => makeItem(log, key, utf8(`${i}`)))
  const signing = client.sign(items)
  await client.destroy([parseSpec(key.material.spec).key])
  const { results } = await signing
  const outcomes = new Set(results.map((result) => (result.kind === 'signed' ? 'signed' : refusalOf(result))))
  assert.ok(outcomes.has('custody.key_destroyed'), [...outcomes].join())
  const { results: later } = await client.sign([makeItem(log, key, utf8('later'))])
  assert.equal(refusalOf(later[0]), 'custody.key_destroyed')
})

test('the same record id makes the same RSA key, also when it is asked for twice at once', async () => {
  const spec = {
    organization: log.organization,
    key: newId(),
    version: 1,
    algorithm: 'rsa-2048',
    schemes: ['pss', 'pkcs1v15'],
    uses: ['raw'],
    export: 'none',
  } as const
  const record = newId()
  const [one, two] = await Promise.all([1, 2].map(() => client.create(record, log.keys.organizationKey, spec)))
  assert.deepEqual(one, two)
  assert.deepEqual(await client.create(record, log.keys.organizationKey, spec), one)
})
