import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeSignDoc as makeStdSignDoc } from '@cosmjs/amino'
import { makeSignBytes, makeSignDoc } from '@cosmjs/proto-signing'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { base64, hex } from '@popsigner/crypto/bytes'
import { createCosmosSigner } from './cosmjs.ts'
import { PopSigner } from './index.ts'
import { fetchOf, testId } from './rogue-server.ts'

const id = testId('key', 1)
const secret = new Uint8Array(32).fill(1)
const publicKey = hex(secp256k1.getPublicKey(secret))
const address = 'celestia10xcqpzrky6eff2g52qdye53xkk9jxkvrs2tv6w'
const doc = makeSignDoc(Uint8Array.of(1), Uint8Array.of(2), 'celestia', 12)
const std = makeStdSignDoc([{ type: 'x', value: {} }], { amount: [], gas: '1' }, 'celestia', '', 12, 7)

/** A signer beside a server that answers these signatures, of the address unless another is named. */
async function signerOf(signatures: readonly object[], algorithm = 'secp256k1') {
  const { fetch, seen } = fetchOf({
    [`GET /v1/keys/${id}`]: { id, algorithm, public_key: publicKey, version: 3 },
    [`POST /v1/keys/${id}/sign-transaction`]: { signatures },
    [`POST /v1/keys/${id}/sign-message`]: { signature: base64(new Uint8Array(64)) },
  })
  const client = new PopSigner({ url: 'https://keys.example.com', apiKey: 'psk_live_a', fetch })
  return { seen, signer: await createCosmosSigner(client, { keyIds: [id], prefix: 'celestia' }) }
}

const signed = (bytes: Uint8Array, by = secret) => base64(secp256k1.sign(bytes, by, { prehash: true }))

test('the document, the network and the version of the key are what is sent', async () => {
  const bytes = makeSignBytes(doc)
  const { signer, seen } = await signerOf([{ signer: address, signature: signed(bytes) }])
  const { signature } = await signer.signDirect(address, doc)
  assert.equal(signature.signature, signed(bytes))
  assert.deepEqual(seen.at(-1)?.body, {
    chain: 'cosmos:celestia',
    transaction: base64(bytes),
    context: { address_prefix: 'celestia' },
    key_version: 3,
  })
})

test('a signature over something else, by somebody else or of another form is not handed on', async () => {
  const bytes = makeSignBytes(doc)
  const answers: readonly (readonly object[])[] = [
    [],
    [{ signer: address, signature: signed(Uint8Array.of(1)) }],
    [{ signer: address, signature: signed(bytes, new Uint8Array(32).fill(2)) }],
    [{ signer: 'celestia1other', signature: signed(bytes) }],
    [{ signer: address, signature: base64(new Uint8Array(64)) }],
    [{ signer: address, signature: '' }],
  ]
  for (const answer of answers) {
    const { signer } = await signerOf(answer)
    await assert.rejects(signer.signDirect(address, doc), RangeError)
    await assert.rejects(signer.signAmino(address, std), RangeError)
  }
})

test('keys of other algorithms, addresses of other keys, and messages for no chain are refused', async () => {
  await assert.rejects(signerOf([], 'ed25519'), RangeError)
  const { signer } = await signerOf([])
  await assert.rejects(signer.signDirect('celestia1other', doc), RangeError)
  const value = { signer: address, data: 'aGk=' }
  const message = makeStdSignDoc([{ type: 'sign/MsgSignData', value }], { amount: [], gas: '0' }, '', '', 0, 0)
  await assert.rejects(signer.signAmino(address, message), TypeError)
})
