import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  createMultisigThresholdPubkey,
  encodeSecp256k1Pubkey,
  makeSignDoc as makeStdSignDoc,
  pubkeyToAddress,
  serializeSignDoc,
} from '@cosmjs/amino'
import { Secp256k1, Secp256k1Signature, sha256 } from '@cosmjs/crypto'
import { fromBase64 } from '@cosmjs/encoding'
import {
  encodePubkey,
  makeAuthInfoBytes,
  makeSignBytes,
  makeSignDoc,
  type OfflineDirectSigner,
  Registry,
} from '@cosmjs/proto-signing'
import { AminoTypes, createDefaultAminoConverters, defaultRegistryTypes } from '@cosmjs/stargate'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { shareCommitment } from '@popsigner/chains/celestia/commitment'
import { PopSigner } from '@popsigner/sdk'
import { createCosmosSigner } from '@popsigner/sdk/cosmjs'
import { MultiSignature } from 'cosmjs-types/cosmos/crypto/multisig/v1beta1/multisig'
import { AuthInfo, TxBody, TxRaw } from 'cosmjs-types/cosmos/tx/v1beta1/tx'
import { startInstance, type TestInstance } from './instance.ts'

// A real server signs what cosmjs builds, and cosmjs verifies what comes back.

let instance: TestInstance
let client: PopSigner
const keys: { readonly id: string; readonly address: string; readonly publicKey: Uint8Array }[] = []
before(async () => {
  instance = await startInstance()
  client = new PopSigner({ url: instance.url, apiKey: instance.token })
  for (const name of ['alice', 'bob']) {
    const { id, public_key } = await client.keys.create({ name, namespace: 'production' })
    const { addresses } = await client.keys.addresses(id, { chain: 'cosmos:celestia' })
    keys.push({ id, address: addresses[0]?.address as string, publicKey: Buffer.from(public_key, 'hex') })
  }
})
after(() => instance.remove())

const registry = new Registry(defaultRegistryTypes)
const types = new AminoTypes(createDefaultAminoConverters())
const fee = { amount: [{ denom: 'utia', amount: '2000' }], gas: '100000' }

type Key = (typeof keys)[number]
const alice = () => keys[0] as Key
const bob = () => keys[1] as Key

function send(from: Key, to: Key) {
  return {
    typeUrl: '/cosmos.bank.v1beta1.MsgSend',
    value: { fromAddress: from.address, toAddress: to.address, amount: [{ denom: 'utia', amount: '1500000' }] },
  }
}

function document(messages: readonly ReturnType<typeof send>[], signers: readonly Key[], accountNumber: number) {
  const body = registry.encodeTxBody({ messages: [...messages], memo: 'm' })
  const infos = signers.map(({ publicKey }) => ({
    pubkey: encodePubkey(encodeSecp256k1Pubkey(publicKey)),
    sequence: 7,
  }))
  const auth = makeAuthInfoBytes(infos, fee.amount, Number(fee.gas), undefined, undefined)
  return makeSignDoc(body, auth, 'celestia', accountNumber)
}

async function verifies(signature: Uint8Array, bytes: Uint8Array, key: Key): Promise<boolean> {
  return Secp256k1.verifySignature(Secp256k1Signature.fromFixedLength(signature), sha256(bytes), key.publicKey)
}

const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64')

test('a SignDoc comes back as the transaction, its effects in words, its record with chain and sign mode', async () => {
  const doc = document([send(alice(), bob())], [alice()], 12)
  const bytes = makeSignBytes(doc)
  const body = { chain: 'cosmos:celestia', transaction: base64(bytes) }
  const decoded = await client.transactions.decode(body)
  assert.deepEqual(decoded.effects_text, [`Transfer 1.5 TIA (1500000) from ${alice().address} to ${bob().address}`])
  const answer = await client.transactions.sign(alice().id, body)
  assert.equal(answer.complete, true)
  assert.equal(answer.effects_hash, decoded.effects_hash)
  assert.equal(answer.fee?.text, '0.002 TIA (2000)')
  const raw = TxRaw.decode(fromBase64(answer.transaction))
  assert.deepEqual([raw.bodyBytes, raw.authInfoBytes], [doc.bodyBytes, doc.authInfoBytes])
  assert.ok(await verifies(raw.signatures[0] as Uint8Array, bytes, alice()))
  assert.equal(
    answer.hash,
    Buffer.from(sha256(fromBase64(answer.transaction)))
      .toString('hex')
      .toUpperCase(),
  )
  const receipt = await client.audit.verifiedReceipt(answer.record_id)
  const leaf = receipt.leaf as unknown as Record<string, unknown>
  assert.deepEqual(
    [leaf['event'], leaf['input'], leaf['chain'], leaf['sign_mode'], leaf['effects']],
    ['key.signed', 'transaction', 'cosmos:celestia', 'direct', answer.effects_hash],
  )
  assert.equal(leaf['digest'], Buffer.from(sha256(bytes)).toString('hex'))
})

test('a StdSignDoc as JSON is signed in amino JSON, and its record says so', async () => {
  const std = makeStdSignDoc([types.toAmino(send(alice(), bob()))], fee, 'celestia', 'a & b', 12, 7)
  const answer = await client.transactions.sign(alice().id, {
    chain: 'cosmos:celestia',
    transaction: std as unknown as Record<string, string>,
  })
  const { signatures } = TxRaw.decode(fromBase64(answer.transaction))
  assert.ok(await verifies(signatures[0] as Uint8Array, serializeSignDoc(std), alice()))
  const receipt = await client.audit.verifiedReceipt(answer.record_id)
  assert.equal((receipt.leaf as unknown as Record<string, unknown>)['sign_mode'], 'amino')
})

test('two of three members of a threshold key sign, one after the other', async () => {
  const members = [alice(), bob(), { publicKey: secp256k1.getPublicKey(new Uint8Array(32).fill(9)) }]
  const threshold = createMultisigThresholdPubkey(
    members.map(({ publicKey }) => encodeSecp256k1Pubkey(publicKey)),
    2,
    true,
  )
  const address = pubkeyToAddress(threshold, 'celestia')
  const message = send({ ...alice(), address }, bob())
  const auth = AuthInfo.fromPartial({
    signerInfos: [
      {
        publicKey: encodePubkey(threshold),
        modeInfo: { multi: { bitarray: { extraBitsStored: 3, elems: Uint8Array.of(0) }, modeInfos: [] } },
        sequence: 7n,
      },
    ],
    fee: { amount: fee.amount, gasLimit: BigInt(fee.gas) },
  })
  const body = registry.encodeTxBody({ messages: [message], memo: '' })
  const raw = { bodyBytes: body, authInfoBytes: AuthInfo.encode(auth).finish(), signatures: [new Uint8Array()] }
  const given = { chain: 'cosmos:celestia', context: { account_number: '12' } }
  const first = await client.transactions.sign(bob().id, { ...given, transaction: base64(TxRaw.encode(raw).finish()) })
  assert.equal(first.complete, false)
  const second = await client.transactions.sign(alice().id, { ...given, transaction: first.transaction })
  assert.equal(second.complete, true)
  const signed = serializeSignDoc(makeStdSignDoc([types.toAmino(message)], fee, 'celestia', '', 12, 7))
  const { signatures } = MultiSignature.decode(TxRaw.decode(fromBase64(second.transaction)).signatures[0] as Uint8Array)
  assert.equal(signatures.length, 2)
  assert.ok(await verifies(signatures[0] as Uint8Array, signed, alice()))
  assert.ok(await verifies(signatures[1] as Uint8Array, signed, bob()))
  const again = await instance.call('POST', `/v1/keys/${alice().id}/sign-transaction`, {
    ...given,
    transaction: second.transaction,
  })
  assert.equal(again.body.code, 'transaction.already_signed')
})

test('the largest blob is checked, and goes out with the transaction that pays for it', async () => {
  const namespace = Buffer.from(`${'00'.repeat(19)}0102030405060708090a`, 'hex')
  const data = Buffer.alloc(1_900_000, 7)
  const commitment = shareCommitment({ namespace, data, shareVersion: 0, signer: undefined })
  const field = (number: number, bytes: Uint8Array) => [Uint8Array.of((number << 3) | 2, bytes.length), bytes]
  const size = Uint8Array.of((data.length & 127) | 128, ((data.length >> 7) & 127) | 128, data.length >> 14)
  const value = Buffer.concat([
    ...field(1, Buffer.from(alice().address)),
    ...field(2, namespace),
    ...field(3, size),
    ...field(4, commitment),
    ...field(8, Uint8Array.of(0)),
  ])
  const body = TxBody.encode(
    TxBody.fromPartial({ messages: [{ typeUrl: '/celestia.blob.v1.MsgPayForBlobs', value }] }),
  ).finish()
  const { authInfoBytes } = document([], [alice()], 12)
  const transaction = base64(makeSignBytes(makeSignDoc(body, authInfoBytes, 'celestia', 12)))
  const blobs = [{ namespace: base64(namespace), data: base64(data) }]
  const answer = await client.transactions.sign(alice().id, {
    chain: 'cosmos:celestia',
    transaction,
    context: { blobs },
  })
  assert.deepEqual(answer.warnings, [])
  const posted = Buffer.from(fromBase64(answer.transaction))
  assert.ok(posted.includes(data) && posted.subarray(-6).equals(Buffer.from('\x1a\x04BLOB', 'latin1')))
  const other = { ...blobs[0], data: base64(Buffer.alloc(1_900_000, 8)) }
  const refused = await instance.call('POST', `/v1/keys/${alice().id}/sign-transaction`, {
    chain: 'cosmos:celestia',
    transaction,
    context: { blobs: [other] },
  })
  assert.equal(refused.body.code, 'context.malformed')
  const unchecked = await client.transactions.decode({ chain: 'cosmos:celestia', transaction })
  assert.deepEqual(
    unchecked.warnings.map(({ code }) => code),
    ['blob.unchecked'],
  )
})

test('two signers: the first answer is what the second sends', async () => {
  const messages = [send(alice(), bob()), send(bob(), alice())]
  const bytes = (accountNumber: number) => makeSignBytes(document(messages, [alice(), bob()], accountNumber))
  const first = await client.transactions.sign(alice().id, { chain: 'cosmos:celestia', transaction: base64(bytes(12)) })
  assert.deepEqual([first.complete, first.hash], [false, null])
  const second = await client.transactions.sign(bob().id, {
    chain: 'cosmos:celestia',
    transaction: first.transaction,
    context: { account_number: '13' },
  })
  assert.equal(second.complete, true)
  const { signatures } = TxRaw.decode(fromBase64(second.transaction))
  assert.ok(await verifies(signatures[0] as Uint8Array, bytes(12), alice()))
  assert.ok(await verifies(signatures[1] as Uint8Array, bytes(13), bob()))
  assert.deepEqual(
    second.signatures.map(({ signer, record_id }) => [signer, record_id !== undefined]),
    [
      [alice().address, false],
      [bob().address, true],
    ],
  )
})

test('what is refused says why, and leaves no signature', async () => {
  const chain = 'cosmos:celestia'
  const transaction = base64(makeSignBytes(document([send(alice(), bob())], [alice()], 12)))
  const call = (id: string, body: object) => instance.call('POST', `/v1/keys/${id}/sign-transaction`, body)
  const foreign = await call(bob().id, { chain, transaction })
  assert.equal(foreign.body.code, 'transaction.signer_mismatch')
  assert.match(foreign.body.detail, new RegExp(alice().address))
  const cases: readonly [object, string][] = [
    [{ chain: 'cosmos:mocha-4', transaction }, 'transaction.chain_mismatch'],
    [{ chain: 'cosmos:a_b', transaction }, 'chain.unsupported'],
    [{ chain, transaction: `${transaction.slice(0, -4)}AAAA` }, 'transaction.malformed'],
    [{ chain, transaction, context: { account_number: '13' } }, 'context.malformed'],
    [{ chain, transaction, context: { blobs: [] } }, 'context.malformed'],
  ]
  for (const [body, code] of cases) {
    const answer = await call(alice().id, body)
    assert.equal(answer.body.code, code)
    assert.ok(answer.status >= 400 && answer.status < 500)
  }
})

test('cosmjs signs through the SDK: directly, in amino JSON, and ADR-036', async () => {
  const options = { keyIds: [alice().id, bob().id], prefix: 'celestia', chainId: 'celestia' }
  const signer = await createCosmosSigner(client, options)
  assert.deepEqual(
    (await signer.getAccounts()).map(({ address }) => address),
    [alice().address, bob().address],
  )
  const doc = document([send(bob(), alice())], [bob()], 12)
  const direct = await (signer as OfflineDirectSigner).signDirect(bob().address, doc)
  assert.ok(await verifies(fromBase64(direct.signature.signature), makeSignBytes(direct.signed), bob()))

  const std = makeStdSignDoc([types.toAmino(send(bob(), alice()))], fee, 'celestia', 'a <b>', 12, 7)
  const amino = await signer.signAmino(bob().address, std)
  assert.ok(await verifies(fromBase64(amino.signature.signature), serializeSignDoc(amino.signed), bob()))
  assert.deepEqual(amino.signature.pub_key, encodeSecp256k1Pubkey(bob().publicKey))

  const value = { signer: alice().address, data: base64(Buffer.from('hello')) }
  const message = makeStdSignDoc([{ type: 'sign/MsgSignData', value }], { amount: [], gas: '0' }, '', '', 0, 0)
  const said = await signer.signAmino(alice().address, message)
  assert.ok(await verifies(fromBase64(said.signature.signature), serializeSignDoc(message), alice()))

  await assert.rejects(signer.signAmino('celestia1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq', std), RangeError)
})
