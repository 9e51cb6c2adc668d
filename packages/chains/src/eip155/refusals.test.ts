import assert from 'node:assert/strict'
import { test } from 'node:test'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { fromHex } from '@popsigner/crypto/bytes'
import { commitmentToVersionedHash, type Hex, serializeTransaction, toHex, toRlp } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import type { JsonObject } from '../chain.ts'
import { chainOf } from '../chains.ts'
import { evm } from './evm.ts'

const mainnet = evm.network('1')
const signerOf = (byte: string) => ({
  algorithm: 'secp256k1',
  publicKey: secp256k1.getPublicKey(fromHex(byte.repeat(32)), true),
})
const account = privateKeyToAccount(`0x${'5c'.repeat(32)}`)
const signer = signerOf('5c')
const to = '0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826'
const good = { to, value: '0x1', nonce: 1, gas: 21_000, maxFeePerGas: '2', maxPriorityFeePerGas: '1' }

function refusal(transaction: string | JsonObject, code: string, field?: string): void {
  assert.throws(
    () => evm.parse(transaction, mainnet, {}),
    (error: { code?: string; detail?: { field?: string } }) => {
      assert.equal(error.code, code, JSON.stringify(error))
      if (field !== undefined) assert.equal(error.detail?.field, field)
      return true
    },
  )
}

test('bytes that are no transaction that is known', () => {
  refusal('', 'transaction.malformed')
  refusal('0x', 'transaction.malformed')
  refusal('0x0', 'transaction.malformed')
  refusal('02c0', 'transaction.malformed')
  refusal('0x05c0', 'transaction.unsupported', 'transaction.type')
  refusal('0x7ec0', 'transaction.unsupported', 'transaction.type')
  refusal('0x00c0', 'transaction.unsupported', 'transaction.type')
  refusal('0xc0', 'transaction.malformed')
})

test('numbers, lists and lengths in another spelling, and bytes left over', () => {
  const typed = (fields: readonly unknown[]) => `0x02${toRlp(fields as Hex[]).slice(2)}`
  const fields = ['0x01', '0x', '0x01', '0x02', '0x5208', to, '0x', '0x', []]
  evm.parse(typed(fields), mainnet, {})
  const change = (i: number, value: unknown) => typed(fields.map((one, at) => (at === i ? value : one)))
  refusal(`${typed(fields)}00`, 'transaction.malformed', 'transaction')
  refusal(typed(fields).slice(0, -2), 'transaction.malformed')
  refusal(change(1, '0x00'), 'transaction.malformed', 'transaction.nonce')
  refusal(change(1, '0x0001'), 'transaction.malformed', 'transaction.nonce')
  refusal(change(1, '0xffffffffffffffff'), 'transaction.malformed', 'transaction.nonce')
  refusal(change(4, '0x010000000000000000'), 'transaction.malformed', 'transaction.gas')
  refusal(change(6, `0x01${'00'.repeat(32)}`), 'transaction.malformed', 'transaction.value')
  refusal(change(5, to.slice(0, -2)), 'transaction.malformed', 'transaction.to')
  refusal(change(7, []), 'transaction.malformed', 'transaction.data')
  refusal(change(8, '0x'), 'transaction.malformed', 'transaction.accessList')
  refusal(change(8, [[to]]), 'transaction.malformed', 'transaction.accessList[0]')
  refusal(change(8, [[to, ['0x01']]]), 'transaction.malformed', 'transaction.accessList[0].storageKeys[0]')
  refusal(change(2, '0x03'), 'transaction.malformed', 'transaction.maxPriorityFeePerGas')
  refusal(change(0, '0x'), 'transaction.malformed', 'transaction.chainId')
  refusal(change(0, '0x02'), 'transaction.chain_mismatch')
  refusal(typed([...fields, '0x']), 'transaction.malformed')
  refusal(typed([...fields, '0x02', '0x01', '0x01']), 'transaction.malformed', 'transaction.yParity')
  refusal(typed([...fields, '0x', '0x', '0x01']), 'transaction.malformed', 'transaction.r')
  // EIP-2: the larger S of the two.
  refusal(typed([...fields, '0x', '0x01', `0x${'fe'.repeat(32)}`]), 'transaction.malformed', 'transaction.s')
  // A single byte with a length, and a length in the long form.
  refusal(
    typed(fields).replace(/^0x02(..)01/, (_, length) => `0x02${(Number.parseInt(length, 16) + 1).toString(16)}8101`),
    'transaction.malformed',
  )
  refusal(
    typed(fields).replace(/^0x02(..)/, (_, length) => `0x02f8${(Number.parseInt(length, 16) - 0xc0).toString(16)}`),
    'transaction.malformed',
  )
})

test('type 3 and 4: what they must have', () => {
  const typed = (type: number, fields: readonly unknown[]) => `0x0${type}${toRlp(fields as Hex[]).slice(2)}`
  const common = ['0x01', '0x', '0x01', '0x02', '0x5208', to, '0x', '0x', []]
  const hash = `0x01${'00'.repeat(31)}`
  evm.parse(typed(3, [...common, '0x01', [hash]]), mainnet, {})
  refusal(typed(3, [...common, '0x01', []]), 'transaction.malformed', 'transaction.blobVersionedHashes')
  refusal(
    typed(3, [...common, '0x01', [`0x02${'00'.repeat(31)}`]]),
    'transaction.unsupported',
    'transaction.blobVersionedHashes[0]',
  )
  refusal(typed(3, [...common.with(5, '0x'), '0x01', [hash]]), 'transaction.malformed', 'transaction.to')
  refusal(typed(4, [...common, []]), 'transaction.malformed', 'transaction.authorizationList')
  const authorization = ['0x01', to, '0x', '0x', '0x01', '0x01']
  refusal(
    typed(4, [...common, Array(65).fill(authorization)]),
    'transaction.too_large',
    'transaction.authorizationList',
  )
  // R that is on no point: nobody signed the authorization.
  refusal(
    typed(4, [...common, [['0x01', to, '0x', '0x', '0x05', '0x01']]]),
    'transaction.malformed',
    'transaction.authorizationList[0]',
  )
})

test('blobs beside the transaction: as many as it names, of the commitments that it names', () => {
  const commitment = toHex(new Uint8Array(48).fill(7))
  const sidecars = [
    { blob: toHex(new Uint8Array(131_072).fill(1)), commitment, proof: toHex(new Uint8Array(48).fill(9)) },
  ]
  const tx = {
    type: 'eip4844',
    chainId: 1,
    nonce: 1,
    gas: 21_000n,
    maxFeePerGas: 2n,
    maxPriorityFeePerGas: 1n,
    maxFeePerBlobGas: 3n,
    to,
    blobVersionedHashes: [commitmentToVersionedHash({ commitment })],
  } as const
  const wrapped = serializeTransaction({ ...tx, sidecars } as never) as Hex
  const canonical = serializeTransaction({ ...tx, sidecars: false } as never)
  const read = evm.parse(wrapped, mainnet, { signer })
  assert.equal(evm.encode(read), wrapped)
  assert.deepEqual(evm.messages(read, signer), evm.messages(evm.parse(canonical, mainnet, { signer }), signer))
  assert.deepEqual(evm.warnings(read), [])
  assert.equal(evm.warnings(evm.parse(canonical, mainnet, {}))[0]?.code, 'blobs.absent')
  assert.deepEqual(evm.effects(read)[0], {
    kind: 'post_blob',
    from: account.address,
    namespace: null,
    bytes: 131_072,
    commitment: tx.blobVersionedHashes[0],
  })
  assert.equal(evm.fee(read)?.max, String(21_000 * 2 + 131_072 * 3))
  const json = {
    ...good,
    blobs: [sidecars[0]?.blob ?? ''],
    commitments: [commitment],
    proofs: [sidecars[0]?.proof ?? ''],
  }
  const written = { ...json, nonce: 1, value: 0, maxFeePerBlobGas: 3, blobVersionedHashes: tx.blobVersionedHashes }
  assert.equal(evm.encode(evm.parse(written, mainnet, {})), wrapped)
  refusal(
    { ...written, commitments: [toHex(new Uint8Array(48))] },
    'transaction.malformed',
    'transaction.commitments[0]',
  )
  refusal({ ...written, proofs: [] }, 'transaction.malformed', 'transaction.proofs')
  refusal({ ...json }, 'transaction.unsupported', 'transaction.blobs')
  refusal(wrapped.replace('07'.repeat(48), '08'.repeat(48)), 'transaction.malformed', 'transaction.commitments[0]')
})

test('JSON: what is unknown, missing, doubled or misspelt', () => {
  evm.parse(good, mainnet, {})
  refusal({ ...good, gasPrice: 1 }, 'transaction.unsupported', 'transaction.gasPrice')
  refusal({ ...good, note: 'x' }, 'transaction.unsupported', 'transaction.note')
  refusal({ ...good, r: '0x1' }, 'transaction.unsupported', 'transaction.r')
  refusal({ ...good, type: 9 }, 'transaction.unsupported', 'transaction.type')
  refusal({ ...good, nonce: null }, 'transaction.malformed', 'transaction.nonce')
  refusal({ ...good, gas: '0x01' }, 'transaction.malformed', 'transaction.gas')
  refusal({ ...good, value: '1.5' }, 'transaction.malformed', 'transaction.value')
  refusal({ ...good, value: 1e21 }, 'transaction.malformed', 'transaction.value')
  refusal({ ...good, value: -1 }, 'transaction.malformed', 'transaction.value')
  refusal({ ...good, to: to.toLowerCase().replace('cd', 'Cd') }, 'transaction.malformed', 'transaction.to')
  refusal({ ...good, to: null }, 'transaction.malformed', 'transaction.to')
  refusal({ ...good, data: '0x01', input: '0x02' }, 'transaction.malformed', 'transaction.data')
  refusal({ ...good, chainId: 2 }, 'transaction.chain_mismatch')
  refusal({ to, nonce: 1, gas: 21_000 }, 'transaction.malformed', 'transaction.maxFeePerGas')
  refusal({ ...good, blobs: [] }, 'transaction.unsupported', 'transaction.blobs')
  assert.equal(
    evm.encode(evm.parse({ ...good, data: '0x01', input: '0x01' }, mainnet, {})),
    evm.encode(evm.parse({ ...good, data: '0x01', gas: null, gasLimit: '21000' }, mainnet, {})),
  )
})

test('a key that does not sign it, and one that has', async () => {
  const signed = await account.signTransaction({ to, nonce: 1, gas: 21_000n, gasPrice: 1n, chainId: 1, type: 'legacy' })
  const tx = evm.parse(signed, mainnet, { signer })
  assert.throws(() => evm.messages(tx, signer), { code: 'transaction.already_signed' })
  assert.throws(() => evm.messages(tx, signerOf('01')), { code: 'transaction.signer_mismatch' })
  const unsigned = evm.parse({ ...good, from: account.address }, mainnet, { signer: signerOf('01') })
  assert.throws(() => evm.messages(unsigned, signerOf('01')), { code: 'transaction.signer_mismatch' })
  assert.throws(() => evm.messages(unsigned, { algorithm: 'ed25519', publicKey: new Uint8Array(32) }), {
    code: 'transaction.signer_mismatch',
  })
  assert.throws(() => evm.attach(unsigned, signer, []), RangeError)
})

test('networks by CAIP-2 id', () => {
  assert.equal(chainOf('eip155:8453').network.reference, '8453')
  for (const id of [
    'eip155',
    'eip155:',
    'eip155:0',
    'eip155:01',
    'eip155:0x1',
    'eip155:9007199254740993',
    'EIP155:1',
    ':1',
    'x:1',
  ])
    assert.throws(() => chainOf(id), { code: 'chain.unsupported' }, id)
})
