import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, test } from 'node:test'
import { canonicalJson } from '@popsigner/crypto/canonical-json'
import { PopSigner } from '@popsigner/sdk'
import { Transaction } from 'ethers'
import { type Hex, hexToBytes, recoverTransactionAddress, serializeTransaction } from 'viem'
import { makeKey } from './crash/tenant.ts'
import { pause, startInstance, type TestInstance } from './instance.ts'

// Transactions and messages through the whole instance: what is recorded, what is refused, what a repeat gets.

let instance: TestInstance
let client: PopSigner
let key: { id: string; public_key: string }
let address: string
const chain = 'eip155:1'
const to = '0x3535353535353535353535353535353535353535'
const sha256 = (data: string | Uint8Array) => createHash('sha256').update(data).digest('hex')

function unsigned(nonce: number, chainId = 1): Hex {
  return serializeTransaction({
    type: 'eip1559',
    chainId,
    nonce,
    to,
    value: 5n,
    gas: 21_000n,
    maxFeePerGas: 9n,
    maxPriorityFeePerGas: 1n,
  })
}

before(async () => {
  instance = await startInstance()
  client = new PopSigner({ url: instance.url, apiKey: instance.token, retries: 0 })
  key = await makeKey(instance, 'evm')
  address = (await client.keys.addresses(key.id, { chain })).addresses[0]?.address ?? ''
})
after(() => instance.remove())

async function refused(promise: Promise<unknown>, code: string, field?: string): Promise<void> {
  await assert.rejects(promise, (error: { code?: string; errors?: { field: string }[] }) => {
    assert.equal(error.code, code)
    if (field !== undefined) assert.equal(error.errors?.[0]?.field, field)
    return true
  })
}

test('a signed transaction has a record with chain, effects and the hash of what was given, and its receipt is verified', async () => {
  const transaction = unsigned(1)
  const signed = await client.transactions.sign(key.id, { chain, transaction })
  assert.equal(await recoverTransactionAddress({ serializedTransaction: signed.transaction as never }), address)
  assert.equal(Transaction.from(signed.transaction).hash, signed.hash)
  assert.equal(signed.effects_hash, sha256(canonicalJson(signed.effects)))
  assert.deepEqual(signed.effects, [{ kind: 'transfer', asset: 'eip155:1/slip44:60', from: address, to, amount: '5' }])
  assert.deepEqual(
    [signed.complete, signed.signatures.length, signed.signatures[0]?.record_id],
    [true, 1, signed.record_id],
  )
  const { leaf } = await client.audit.verifiedReceipt(signed.record_id, {
    data: hexToBytes(transaction),
    publicKey: key.public_key,
    // Without V behind R and S.
    signature: Buffer.from(signed.signatures[0]?.signature ?? '', 'base64').subarray(0, 64),
  })
  assert.ok(leaf.event === 'key.signed')
  assert.deepEqual(
    [leaf.input, leaf.chain, leaf.effects, leaf.data_hash, leaf.hash, leaf.sign_mode],
    ['transaction', chain, signed.effects_hash, sha256(hexToBytes(transaction)), undefined, undefined],
  )
  const message = await client.transactions.signMessage(key.id, { chain, convention: 'eip191', message: 'hello' })
  const said = await client.audit.record(message.record_id)
  assert.deepEqual(
    [said.metadata['input'], said.metadata['chain'], said.metadata['effects'], said.metadata['data_hash']],
    ['message', chain, message.effects_hash, `sha256:${sha256('hello')}`],
  )
})

test('uses, states, versions, namespaces: what a key may not sign it does not, and nothing is recorded of it', async () => {
  const messages = await makeKey(instance, 'messages', { uses: ['message', 'raw', 'digest'] })
  const transactions = await makeKey(instance, 'transactions', { uses: ['transaction'] })
  const p256 = await makeKey(instance, 'p256', { algorithm: 'p256' })
  const before = (await client.audit.logs({ event_type: 'key.signed', limit: 1 })).logs[0]?.leaf_index
  await refused(client.transactions.sign(messages.id, { chain, transaction: unsigned(1) }), 'key.use_not_allowed')
  const message = { chain, convention: 'eip191', message: 'x' }
  await refused(client.transactions.signMessage(transactions.id, message), 'key.use_not_allowed')
  await refused(client.transactions.sign(p256.id, { chain, transaction: unsigned(1) }), 'transaction.signer_mismatch')
  await refused(client.transactions.signMessage(p256.id, message), 'transaction.signer_mismatch')
  assert.deepEqual(await client.keys.addresses(p256.id), { addresses: [] })
  await refused(
    client.transactions.sign(key.id, { chain, transaction: unsigned(1), key_version: 2 }),
    'key.version_not_found',
  )
  await client.keys.update(transactions.id, { state: 'suspended' }, { ifMatch: '*' })
  await refused(client.transactions.sign(transactions.id, { chain, transaction: unsigned(1) }), 'key.state_forbids')
  assert.equal((await client.audit.logs({ event_type: 'key.signed', limit: 1 })).logs[0]?.leaf_index, before)
  // That it was refused is: under the key, at most a second later.
  await pause(1_500)
  const { logs } = await client.audit.logs({ event_type: 'key.sign_denied' })
  const denied = logs.map((record) => `${record.key_id} ${record.metadata['code']}`)
  assert.ok(denied.includes(`${messages.id} key.use_not_allowed`), denied.join('\n'))
  assert.ok(denied.includes(`${transactions.id} key.use_not_allowed`), denied.join('\n'))
})

test('what is not understood whole, or is not this key’s, is refused with the field', async () => {
  const sign = (transaction: string | Record<string, unknown>, more: object = {}) =>
    client.transactions.sign(key.id, { chain, transaction, ...more } as never)
  await refused(sign(`${unsigned(1)}00`), 'transaction.malformed', 'transaction')
  await refused(sign(`0x05${unsigned(1).slice(4)}`), 'transaction.unsupported', 'transaction.type')
  await refused(sign(unsigned(1, 10)), 'transaction.chain_mismatch')
  await refused(sign({ to, nonce: 1, gas: 21_000, gasPrice: 1, from: to }), 'transaction.signer_mismatch')
  await refused(
    sign({ to, nonce: 1, gas: 21_000, gasPrice: 1, gasprice: 1 }),
    'transaction.unsupported',
    'transaction.gasprice',
  )
  await refused(sign(`0x02${'00'.repeat(140_000)}`), 'transaction.too_large', 'transaction')
  await refused(sign(unsigned(1), { chain: 'solana:mainnet' }), 'chain.unsupported')
  await refused(sign(unsigned(1), { chain: 'mainnet' }), 'request.invalid', 'chain')
  await refused(
    sign(unsigned(1), { context: { abi: [{ type: 'function' }] } }),
    'context.malformed',
    'context.abi[0].name',
  )
  const { transaction } = await client.transactions.sign(key.id, { chain, transaction: unsigned(2) })
  await refused(sign(transaction), 'transaction.already_signed')
  const other = await makeKey(instance, 'other')
  await refused(client.transactions.sign(other.id, { chain, transaction }), 'transaction.signer_mismatch')
  await refused(
    client.transactions.signMessage(key.id, { chain, convention: 'adr036', message: 'x' }),
    'message.unsupported',
  )
  await refused(
    client.transactions.signMessage(key.id, { chain, convention: 'eip712', message: {} }),
    'message.malformed',
    'message.types',
  )
  await refused(client.transactions.decode({ chain, transaction: '0x' }), 'transaction.malformed', 'transaction')
})

test('a repeat gets the same record and the same bytes, and takes no second quota; another body is refused', async () => {
  const post = (path: string, body: unknown, name: string) =>
    instance.call('POST', path, body, { headers: { 'idempotency-key': name } })
  const path = `/v1/keys/${key.id}/sign-transaction`
  const body = { chain, transaction: unsigned(3) }
  const first = await post(path, body, 'once')
  assert.equal(first.status, 200)
  assert.deepEqual((await post(path, body, 'once')).body, first.body)
  assert.equal((await post(path, { ...body, transaction: unsigned(4) }, 'once')).body.code, 'idempotency.body_mismatch')
  const requests = [5, 6].map((nonce) => ({ key_id: key.id, chain, transaction: unsigned(nonce) }))
  const batch = await post('/v1/sign-transaction/batch', { requests }, 'batch')
  assert.deepEqual((await post('/v1/sign-transaction/batch', { requests }, 'batch')).body, batch.body)
  const message = { chain, convention: 'eip191', message: 'again' }
  const said = await post(`/v1/keys/${key.id}/sign-message`, message, 'said')
  assert.deepEqual((await post(`/v1/keys/${key.id}/sign-message`, message, 'said')).body, said.body)

  // After a rotation a repeat is still of the version, and so of the address, of the first time.
  const rotated = await makeKey(instance, 'rotated')
  const own = `/v1/keys/${rotated.id}/sign-transaction`
  const old = await post(own, body, 'rotated')
  assert.equal((await instance.call('POST', `/v1/keys/${rotated.id}/rotate`, { keep_active: true })).status, 200)
  assert.deepEqual((await post(own, body, 'rotated')).body, old.body)
  const fresh = await post(own, body, 'fresh')
  assert.notEqual(fresh.body.signatures[0].signer, old.body.signatures[0].signer)
})

test('a repeat of a batch signs nothing twice, also where an item that was refused no longer is', async () => {
  const growing = await makeKey(instance, 'growing')
  const requests = [
    { key_id: growing.id, chain, transaction: unsigned(7), key_version: 2 },
    { key_id: key.id, chain, transaction: unsigned(8) },
  ]
  const send = () =>
    instance.call('POST', '/v1/sign-transaction/batch', { requests }, { headers: { 'idempotency-key': 'shifts' } })
  const first = await send()
  assert.equal(first.body.transactions[0].error.code, 'key.version_not_found')
  assert.equal((await instance.call('POST', `/v1/keys/${growing.id}/rotate`, { keep_active: true })).status, 200)
  const second = await send()
  assert.equal(second.status, 200, JSON.stringify(second.body))
  assert.equal(second.body.transactions[0].key_version, 2)
  assert.deepEqual(second.body.transactions[1], first.body.transactions[1])
})

test('a batch answers each item in its place, in the order of the request', async () => {
  const requests = Array.from({ length: 60 }, (_, nonce) => ({ key_id: key.id, chain, transaction: unsigned(nonce) }))
  const mixed = [
    ...requests,
    { key_id: key.id, chain, transaction: '0x' },
    { key_id: 'nothing', chain, transaction: unsigned(1) },
  ]
  const { transactions } = await client.transactions.signBatch({ requests: mixed })
  for (const [i, one] of transactions.slice(0, 60).entries()) {
    assert.ok('transaction' in one)
    assert.equal(one.details['nonce'], String(i))
    assert.equal(Transaction.from(one.transaction).from, address)
  }
  assert.deepEqual(
    transactions.slice(60).map((one) => 'error' in one && one.error.code),
    ['transaction.malformed', 'key.not_found'],
  )
  const records = new Set(transactions.flatMap((one) => ('record_id' in one ? [one.record_id] : [])))
  assert.equal(records.size, 60)
})

test('decoding takes a key to say who signs, signs nothing, and needs only to read', async () => {
  const read = await client.transactions.decode({ chain, transaction: unsigned(1) })
  assert.deepEqual([read.effects[0]?.['from'], read.complete, read.hash, read.signatures], [null, false, null, []])
  const known = await client.transactions.decode({ chain, transaction: unsigned(1), key_id: key.id })
  assert.equal(known.effects[0]?.['from'], address)
  assert.equal(known.transaction, unsigned(1))
  await refused(client.transactions.decode({ chain, transaction: unsigned(1), key_id: 'nothing' }), 'key.not_found')
})
