import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Secp256k1Wallet, serializeSignDoc } from '@cosmjs/amino'
import { base64, hex, utf8 } from '@popsigner/crypto/bytes'
import { sha256 } from '@popsigner/crypto/hash'
import type { JsonObject } from '../chain.ts'
import { celestia, cosmjsVerifies, sign, testKey } from './cosmjs.fixture.ts'
import { cosmos } from './cosmos.ts'

const alice = testKey(1)
const context = { signer: alice.signer }

/** The document of ADR-036 as a client builds it. */
function document(data: Uint8Array) {
  return {
    chain_id: '',
    account_number: '0',
    sequence: '0',
    fee: { gas: '0', amount: [] },
    msgs: [{ type: 'sign/MsgSignData', value: { signer: alice.address, data: base64(data) } }],
    memo: '',
  }
}

for (const text of ['', 'hello', 'ADR-036: <b>é</b> & "quotes"\n'])
  test(`ADR-036 of ${JSON.stringify(text)} is what cosmjs signs`, async () => {
    const prepared = cosmos.message('adr036', text, celestia, context)
    assert.ok('digest' in prepared.toSign)
    assert.equal(hex(prepared.toSign.digest), hex(sha256(serializeSignDoc(document(utf8(text))))))
    const wallet = await Secp256k1Wallet.fromKey(alice.secret, 'celestia')
    const { signature } = await wallet.signAmino(alice.address, document(utf8(text)))
    const ours = sign(alice, prepared.toSign)
    assert.equal(prepared.encode(ours), signature.signature)
    assert.ok(await cosmjsVerifies(ours.signature, prepared.toSign.digest, alice))
    assert.deepEqual(prepared.effects, [
      { kind: 'message', signer: alice.address, convention: 'adr036', text, hash: `0x${hex(sha256(utf8(text)))}` },
    ])
  })

test('bytes that are no text are signed as bytes and are opaque', () => {
  const data = Uint8Array.of(0, 255, 1)
  const prepared = cosmos.message('adr036', { raw: base64(data) }, celestia, context)
  assert.ok('digest' in prepared.toSign)
  assert.equal(hex(prepared.toSign.digest), hex(sha256(serializeSignDoc(document(data)))))
  assert.deepEqual(
    prepared.effects.map(({ kind }) => kind),
    ['message', 'opaque'],
  )
})

test('messages of another shape, and keys that no address has, are refused', () => {
  for (const message of [
    null,
    1,
    true,
    [],
    {},
    { raw: 'x' },
    { raw: 1 },
    { raw: '', more: '' },
    '\ud800',
    'x'.repeat(70_000),
  ])
    assert.throws(() => cosmos.message('adr036', message, celestia, context), { code: 'message.malformed' })
  assert.throws(() => cosmos.message('eip191', 'x', celestia, context), { code: 'message.unsupported' })
  assert.throws(() => cosmos.message('adr036', 'x', celestia, {}), { code: 'context.malformed' })
  const ed25519 = { signer: { algorithm: 'ed25519', publicKey: new Uint8Array(32) } }
  assert.throws(() => cosmos.message('adr036', 'x', celestia, ed25519), { code: 'context.malformed' })
  assert.throws(() => cosmos.message('adr036', 'x', cosmos.network('unheard-of-1'), context), {
    code: 'context.malformed',
  })
  const other = cosmos.message('adr036', 'x', cosmos.network('unheard-of-1'), { ...context, address_prefix: 'heard' })
  assert.match(JSON.stringify(other.effects), /"heard1/)
})

test('the document of a message is no transaction', () => {
  const given = { ...document(utf8('x')), chain_id: 'celestia' } as unknown as JsonObject
  assert.throws(() => cosmos.parse(given, celestia, context), { code: 'transaction.unsupported' })
  assert.throws(() => cosmos.parse(document(utf8('x')) as unknown as JsonObject, celestia, context), {
    code: /transaction/,
  })
})
