import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { routes } from '@popsigner/api/routes'
import { algorithmNames, factsOf, type SchemeName, schemeNames } from '@popsigner/crypto/algorithm-facts'
import { verifySignature } from '@popsigner/crypto/verify'
import { verifyReceipt as verifyEvidence } from '@popsigner/sdk'
import { decodeVerifierKey } from '@popsigner/transparency/checkpoint'
import { verifyReceipt } from '@popsigner/transparency/receipt'
import { startInstance, type TestInstance } from './instance.ts'

// The main job, end to end, through all processes: a key, a signature, a record, its proof.

let instance: TestInstance
before(async () => {
  instance = await startInstance()
})
after(() => instance.remove())

/** What this scheme can be asked to sign. */
function messageFor(scheme: SchemeName, publicKey: string): Buffer {
  if (scheme === 'g1') return Buffer.from(`${'1'.padStart(64, '0')}${'2'.padStart(64, '0')}`, 'hex')
  return scheme === 'proof-of-possession' ? Buffer.from(publicKey, 'hex') : Buffer.from('hello')
}

const bytes = (text: string) => new Uint8Array(Buffer.from(text, 'base64'))

test('a key of each algorithm signs, the signature verifies elsewhere, and its receipt verifies offline', async () => {
  const { body: logKey } = await instance.call('GET', '/v1/audit/log-key')
  for (const algorithm of algorithmNames) {
    const { schemes, signatureLength } = factsOf(algorithm)
    const names = schemes.map(({ name }) => name)
    const key = await instance.call('POST', '/v1/keys', {
      name: algorithm,
      namespace: 'production',
      algorithm,
      schemes: names,
    })
    assert.equal(key.status, 201, JSON.stringify(key.body))
    routes['keys.create'].response.parse(key.body)
    for (const scheme of names) {
      const data = messageFor(scheme, key.body.public_key).toString('base64')
      const { status, body } = await instance.call('POST', `/v1/keys/${key.body.id}/sign`, { data, scheme })
      assert.equal(status, 200, `${algorithm} ${scheme} ${JSON.stringify(body)}`)
      assert.equal(bytes(body.signature).length, signatureLength)
      const message = bytes(data)
      const publicKey = Buffer.from(key.body.public_key, 'hex')
      assert.ok(verifySignature(algorithm, { message, scheme }, bytes(body.signature), publicKey))
      const verified = { data, scheme, signature: body.signature }
      assert.deepEqual((await instance.call('POST', `/v1/keys/${key.body.id}/verify`, verified)).body, { valid: true })
      const { body: receipt } = await instance.call('GET', `/v1/audit/logs/${body.record_id}/receipt`)
      const evidence = { logKey: logKey.verifier_key, data: message, signature: bytes(body.signature), publicKey }
      assert.ok(verifyEvidence(receipt, evidence).ok, `${algorithm} ${scheme}`)
      const other = message.map((byte, i) => (i === 0 ? byte ^ 1 : byte))
      assert.equal(verifyEvidence(receipt, { ...evidence, data: other }).ok, false)
    }
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

test('a scheme that a key was not granted is refused, by the server and by the signer, as is one that its row lacks', async () => {
  for (const algorithm of algorithmNames) {
    const { schemes } = factsOf(algorithm)
    const terms = { name: `granted-${algorithm}`, namespace: 'production', algorithm }
    const { body: key } = await instance.call('POST', '/v1/keys', terms)
    assert.deepEqual(key.schemes, [schemes[0].name], 'the first one unless named')
    for (const scheme of schemeNames) {
      if (scheme === schemes[0].name) continue
      const single = { data: 'aGk=', scheme }
      const refused = await instance.call('POST', `/v1/keys/${key.id}/sign`, single)
      assert.deepEqual([refused.status, refused.body.code], [403, 'key.scheme_not_allowed'], `${algorithm} ${scheme}`)
      const { body } = await instance.call('POST', '/v1/sign/batch', {
        requests: [
          { key_id: key.id, ...single },
          { key_id: key.id, data: 'aGk=' },
        ],
      })
      assert.equal(body.signatures[0].error.code, 'key.scheme_not_allowed')
      assert.ok(body.signatures[1].signature)
      const created = await instance.call('POST', '/v1/keys', { ...terms, name: 'never', schemes: [scheme] })
      const has = schemes.some(({ name }) => name === scheme)
      if (!has) assert.equal(created.status, 400)
      else await instance.call('DELETE', `/v1/keys/${created.body.id}?waiting_days=0`)
      if (has) break
    }
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
    if (factsOf(algorithm).schemes[0].prehashed) {
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
