import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { routes } from '@popsigner/api/routes'
import { algorithmNames } from '@popsigner/crypto/algorithm-facts'
import { verifySignature } from '@popsigner/crypto/verify'
import { decodeVerifierKey } from '@popsigner/transparency/checkpoint'
import { verifyReceipt } from '@popsigner/transparency/receipt'
import { startInstance, type TestInstance } from './instance.ts'

// The main job, end to end, through all processes: a key, a signature, a record, its proof.

let instance: TestInstance
before(async () => {
  instance = await startInstance()
})
after(() => instance.remove())

const bytes = (text: string) => new Uint8Array(Buffer.from(text, 'base64'))

test('a key of each algorithm signs, the signature verifies elsewhere, and its receipt verifies offline', async () => {
  const { body: logKey } = await instance.call('GET', '/v1/audit/log-key')
  for (const algorithm of algorithmNames) {
    const key = await instance.call('POST', '/v1/keys', { name: algorithm, namespace: 'production', algorithm })
    assert.equal(key.status, 201)
    routes['keys.create'].response.parse(key.body)
    const signed = await instance.call('POST', `/v1/keys/${key.body.id}/sign`, { data: 'hello', encoding: 'utf8' })
    assert.equal(signed.status, 200)
    assert.equal(signed.body.public_key, key.body.public_key)
    const input = { message: Buffer.from('hello') }
    assert.ok(verifySignature(algorithm, input, bytes(signed.body.signature), Buffer.from(key.body.public_key, 'hex')))
    const receipt = await instance.call('GET', `/v1/audit/logs/${signed.body.record_id}/receipt`)
    routes['audit.receipt'].response.parse(receipt.body)
    const result = verifyReceipt(receipt.body, decodeVerifierKey(logKey.verifier_key), {
      identity: decodeVerifierKey(logKey.instance.verifier_key),
    })
    assert.deepEqual(
      result.checks.filter((check) => !check.ok),
      [],
    )
    assert.equal(result.leaf?.event, 'key.signed')
    assert.equal(result.opened?.['address'], '127.0.0.1')
  }
})

test('a digest is signed through every row that takes one, and refused by the others', async () => {
  const digest = Buffer.alloc(32, 7)
  for (const algorithm of algorithmNames) {
    const { body: key } = await instance.call('POST', '/v1/keys', {
      name: `digest-${algorithm}`,
      namespace: 'production',
      algorithm,
    })
    const signed = await instance.call('POST', `/v1/keys/${key.id}/sign`, {
      data: digest.toString('hex'),
      encoding: 'hex',
      prehashed: true,
    })
    if (algorithm === 'secp256k1') {
      assert.equal(signed.status, 200)
      assert.ok(
        verifySignature(algorithm, { digest }, bytes(signed.body.signature), Buffer.from(key.public_key, 'hex')),
      )
    } else {
      assert.equal(signed.status, 400)
      assert.equal(signed.body.code, 'sign.hash_not_allowed')
    }
  }
})

test('a suspended key signs nothing, its earlier signatures verify', async () => {
  const { body: key } = await instance.call('POST', '/v1/keys', { name: 'suspended', namespace: 'production' })
  const { body: signed } = await instance.call('POST', `/v1/keys/${key.id}/sign`, { data: 'aGk=' })
  const suspended = await instance.call(
    'PATCH',
    `/v1/keys/${key.id}`,
    { state: 'suspended' },
    { headers: { 'if-match': '*' } },
  )
  assert.equal(suspended.body.state, 'suspended')
  const refused = await instance.call('POST', `/v1/keys/${key.id}/sign`, { data: 'aGk=' })
  assert.equal(refused.status, 409)
  assert.equal(refused.body.code, 'key.state_forbids')
  const verified = await instance.call('POST', `/v1/keys/${key.id}/verify`, {
    data: 'aGk=',
    signature: signed.signature,
  })
  assert.deepEqual(verified.body, { valid: true })
})

test('a second start finds everything again', async () => {
  const { body: before } = await instance.call('GET', '/v1/keys')
  assert.equal(await instance.stop(), 0)
  await instance.restart()
  const { body: after } = await instance.call('GET', '/v1/keys')
  assert.deepEqual(after.keys, before.keys)
  const signed = await instance.call('POST', `/v1/keys/${after.keys.at(-1).id}/sign`, { data: 'aGk=' })
  assert.equal(signed.status, 200)
})
