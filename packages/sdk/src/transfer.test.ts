import assert from 'node:assert/strict'
import { test } from 'node:test'
import { p256 } from '@noble/curves/nist.js'
import { base64, fromBase64, fromHex, hex } from '@popsigner/crypto/bytes'
import { generateRecipient, openWith, sealTo } from '@popsigner/crypto/hpke'
import { decodeTypeId } from '@popsigner/crypto/typeid'
import { publicKeyOf } from '@popsigner/crypto/verify'
import { exportAad, exportInfo, importAad, importInfo } from '@popsigner/crypto/wrapping'
import { PopSigner } from './client.ts'
import {
  type Answers,
  answersOf,
  createTestLog,
  fetchOf,
  type SeenRequest,
  testId,
  wrappingKeyOf,
} from './rogue-server.ts'

const log = createTestLog()
const privateKey = new Uint8Array(32).map((_, i) => i + 1)
const organization = decodeTypeId(log.organization, 'org') as Uint8Array
const keyId = testId('key', 1)

function clientOf(answers: Answers) {
  const { fetch, seen } = fetchOf({ ...answersOf(log), ...answers })
  return { client: new PopSigner({ url: 'https://keys.example.com', apiKey: 'psk_live_a', fetch, retries: 0 }), seen }
}

/** What a server answers to an import, out of what it was given. */
const imported = ({ body }: SeenRequest) => {
  const { algorithm, public_key, export: rule } = body as Record<string, string>
  return { id: keyId, algorithm, public_key, export: rule }
}

for (const algorithm of ['secp256k1', 'p256', 'ed25519'] as const)
  test(`${algorithm}: an imported key is sealed to the wrapping key with all that it is bound to`, async () => {
    const wrapping = generateRecipient()
    const answers = {
      'POST /v1/keys/import/wrapping-key': wrappingKeyOf(log, wrapping.publicKey),
      'POST /v1/keys/import': imported,
    }
    const { client, seen } = clientOf(answers)
    const given = privateKey.slice()
    const key = await client.keys.importKey({
      privateKey: given,
      name: 'cold',
      namespace: 'production',
      algorithm,
      uses: ['digest', 'raw'],
    })
    assert.equal(key.id, keyId)
    assert.deepEqual(given, privateKey)
    const body = seen.at(-1)?.body as Record<string, never>
    const publicKey = publicKeyOf(algorithm, privateKey)
    assert.deepEqual(
      { ...body, enc: '', ciphertext: '' },
      {
        ...{
          name: 'cold',
          namespace: 'production',
          algorithm,
          export: 'none',
          public_key: hex(publicKey),
          wrapping_key_id: testId('wk', 1),
        },
        ...{ schemes: [algorithm === 'ed25519' ? 'pure' : 'ecdsa'], uses: ['raw', 'digest'], enc: '', ciphertext: '' },
      },
    )
    const bound = {
      ...{
        instance: log.instance,
        organization,
        wrapping_key: decodeTypeId(testId('wk', 1), 'wk') as Uint8Array,
        algorithm,
      },
      ...{
        schemes: [algorithm === 'ed25519' ? 'pure' : 'ecdsa'],
        uses: ['raw', 'digest'],
        export: 'none' as const,
        public_key: publicKey,
      },
    }
    const open = (aad: Uint8Array) =>
      openWith(
        wrapping.privateKey,
        wrapping.publicKey,
        fromBase64(body['enc'] as never),
        importInfo,
        aad,
        fromBase64(body['ciphertext'] as never),
      )
    assert.deepEqual(await open(importAad(bound)), privateKey)
    assert.equal(await open(importAad({ ...bound, export: 'any' })), null)
    assert.equal(await open(importAad({ ...bound, uses: ['raw'] })), null)
    assert.equal(JSON.stringify(seen).includes(hex(privateKey)), false)
    assert.equal(JSON.stringify(seen).includes(base64(privateKey)), false)
  })

test('nothing is sealed to a wrapping key that the pinned identity did not sign for this organization', async () => {
  const { publicKey } = generateRecipient()
  const right = wrappingKeyOf(log, publicKey)
  const others = [
    { ...right, public_key: hex(generateRecipient().publicKey) },
    { ...right, id: testId('wk', 2) },
    { ...right, expires_at: new Date(Date.now() + 7_200_000).toISOString() },
    { ...right, signature: base64(new Uint8Array(64)) },
    { ...right, signature: '' },
    { ...right, signature: undefined },
    wrappingKeyOf(createTestLog(2), publicKey),
    wrappingKeyOf(log, publicKey, { organization: testId('org', 2) }),
    wrappingKeyOf(log, publicKey, { instance: 'other.example.com' }),
    wrappingKeyOf(log, publicKey, { expires_at: new Date(Date.now() - 1_000).toISOString() }),
    wrappingKeyOf(log, publicKey, { expires_at: 'never' }),
    wrappingKeyOf(log, publicKey, { id: testId('key', 1) }),
  ]
  for (const [i, wrapping] of others.entries()) {
    const { client, seen } = clientOf({
      'POST /v1/keys/import/wrapping-key': wrapping,
      'POST /v1/keys/import': imported,
    })
    await assert.rejects(
      client.keys.importKey({ privateKey, name: 'a', namespace: 'b' }),
      { name: 'TrustError', code: 'wrapping_key.invalid' },
      `case ${i}`,
    )
    assert.equal(
      seen.some(({ path }) => path === '/v1/keys/import'),
      false,
    )
  }
})

test('bytes that are no private key, and terms that contradict, are refused before any request', async () => {
  const { client, seen } = clientOf({})
  const order = fromHex('fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141')
  for (const bytes of [new Uint8Array(32), order, new Uint8Array(31), new Uint8Array(33)])
    await assert.rejects(client.keys.importKey({ privateKey: bytes, name: 'a', namespace: 'b' }), (error) => {
      assert.ok(error instanceof RangeError)
      assert.equal(error.cause, undefined)
      return true
    })
  await assert.rejects(
    client.keys.importKey({ privateKey, name: 'a', namespace: 'b', exportable: false, export: 'any' }),
    RangeError,
  )
  await assert.rejects(client.keys.importKey({ privateKey: 'key' as never, name: 'a', namespace: 'b' }), TypeError)
  assert.equal(seen.length, 0)
})

test('an import that comes back as another key is told', async () => {
  const wrapping = wrappingKeyOf(log, generateRecipient().publicKey)
  const answers = {
    'POST /v1/keys/import/wrapping-key': wrapping,
    'POST /v1/keys/import': (request: SeenRequest) => ({ ...imported(request), export: 'any' }),
  }
  await assert.rejects(clientOf(answers).client.keys.importKey({ privateKey, name: 'a', namespace: 'b' }), {
    code: 'import.mismatch',
  })
})

/** An export as the signer seals it, to the recipient in the request; `change` is what the server says else. */
function exporting(change: Record<string, unknown> = {}, secret: Uint8Array = privateKey) {
  return async ({ body }: SeenRequest) => {
    const publicKey = publicKeyOf('secp256k1', privateKey)
    const facts = {
      instance: log.instance,
      algorithm: 'secp256k1',
      schemes: ['ecdsa'],
      uses: ['raw'],
      export: 'any' as const,
    }
    const bound = {
      ...facts,
      organization,
      key: decodeTypeId(keyId, 'key') as Uint8Array,
      version: 1,
      public_key: publicKey,
    }
    const recipient = fromHex((body as { recipient_public_key: string }).recipient_public_key)
    const { enc, ciphertext } = await sealTo(recipient, exportInfo, exportAad(bound), secret)
    return {
      ...facts,
      ...{
        enc: base64(enc),
        ciphertext: base64(ciphertext),
        public_key: hex(publicKey),
        key_version: 1,
        key_id: keyId,
      },
      ...{ organization: log.organization, record_id: testId('rec', 1) },
      ...change,
    }
  }
}

const route = `POST /v1/keys/${keyId}/export`

test('an exported key is opened and is the private key of its public key', async () => {
  const { client } = clientOf({ [route]: exporting() })
  const out = await client.keys.exportKey(keyId)
  assert.deepEqual(out.privateKey, privateKey)
  assert.deepEqual(
    { ...out, privateKey: null },
    {
      privateKey: null,
      algorithm: 'secp256k1',
      publicKey: hex(publicKeyOf('secp256k1', privateKey)),
      keyVersion: 1,
      recordId: testId('rec', 1),
    },
  )
})

test('a recipient of the caller is used and stays theirs', async () => {
  const recipient = generateRecipient()
  const before = recipient.privateKey.slice()
  const { client, seen } = clientOf({ [route]: exporting() })
  assert.deepEqual((await client.keys.exportKey(keyId, { recipient })).privateKey, privateKey)
  assert.deepEqual(recipient.privateKey, before)
  assert.equal(
    (seen[0]?.body as Record<string, string> | undefined)?.['recipient_public_key'],
    hex(p256.getPublicKey(before, false)),
  )
})

test('what came out and is something else is refused', async () => {
  for (const [answer, code, options] of [
    [exporting({ key_id: testId('key', 2) }), 'export.mismatch'],
    [exporting({}), 'export.mismatch', { keyVersion: 2 }],
    [exporting({}), 'export.mismatch', { publicKey: '00' }],
    [exporting({ algorithm: 'rsa' }), 'export.mismatch'],
    [exporting({}, new Uint8Array(32).fill(9)), 'export.mismatch'],
    [exporting({}, new Uint8Array(32)), 'export.mismatch'],
    [exporting({}, new Uint8Array(31).fill(9)), 'export.mismatch'],
    [exporting({ uses: ['raw', 'digest'] }), 'export.cannot_open'],
    [exporting({ export: 'none' }), 'export.cannot_open'],
    [exporting({ instance: 'other.example.com' }), 'export.cannot_open'],
    [exporting({ organization: 'org_1' }), 'export.cannot_open'],
    [exporting({ public_key: hex(publicKeyOf('secp256k1', new Uint8Array(32).fill(9))) }), 'export.cannot_open'],
    [exporting({ ciphertext: base64(new Uint8Array(48)) }), 'export.cannot_open'],
    [exporting({ enc: '!' }), 'export.cannot_open'],
  ] as const)
    await assert.rejects(clientOf({ [route]: answer }).client.keys.exportKey(keyId, options ?? {}), {
      name: 'TrustError',
      code,
    })
})
