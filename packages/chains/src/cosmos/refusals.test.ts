import assert from 'node:assert/strict'
import { test } from 'node:test'
import { base64, concat } from '@popsigner/crypto/bytes'
import { AuthInfo, SignDoc, TxBody, TxRaw } from 'cosmjs-types/cosmos/tx/v1beta1/tx'
import type { Context } from '../chain.ts'
import { ChainFault, type ChainFaults } from '../fault.ts'
import { celestia, makeDocument, parse, testKey } from './cosmjs.fixture.ts'
import { cosmos } from './cosmos.ts'

const [alice, bob] = [testKey(1), testKey(2)]
const send = (from: string, to = bob.address) => ({
  typeUrl: '/cosmos.bank.v1beta1.MsgSend',
  value: { fromAddress: from, toAddress: to, amount: [{ denom: 'utia', amount: '5' }] },
})
const { doc, bytes } = makeDocument({ messages: [send(alice.address)], signers: [{ key: alice }] })

function refused(
  given: Uint8Array | string,
  code: keyof ChainFaults,
  name: string,
  context: Context = {},
  at = celestia,
): void {
  const text = typeof given === 'string' ? given : base64(given)
  assert.throws(
    () => cosmos.parse(text, at, context),
    (fault) => fault instanceof ChainFault && fault.code === code,
    name,
  )
}

function withAuth(change: (auth: AuthInfo) => void, messages = doc.bodyBytes): Uint8Array {
  const auth = AuthInfo.decode(doc.authInfoBytes)
  change(auth)
  return SignDoc.encode({ ...doc, bodyBytes: messages, authInfoBytes: AuthInfo.encode(auth).finish() }).finish()
}

function withBody(change: (body: TxBody) => void): Uint8Array {
  const body = TxBody.decode(doc.bodyBytes)
  change(body)
  return SignDoc.encode({ ...doc, bodyBytes: TxBody.encode(body).finish() }).finish()
}

test('bytes that are no canonical transaction', () => {
  refused('', 'transaction.malformed', 'nothing')
  refused('zz', 'transaction.malformed', 'no base64')
  refused(base64(bytes).replace(/=*$/, ''), 'transaction.malformed', 'base64 without padding')
  refused('A'.repeat(400_000), 'transaction.too_large', 'too large')
  refused(bytes.subarray(0, -2).subarray(0, 50), 'transaction.malformed', 'cut short')
  refused(concat(bytes, Uint8Array.of(0)), 'transaction.malformed', 'a byte left over')
  refused(concat(bytes, Uint8Array.of(0x28, 1)), 'transaction.unsupported', 'a field more')
  refused(concat(bytes, bytes.subarray(-2)), 'transaction.malformed', 'a field twice')
  refused(concat(bytes.subarray(-2), bytes.subarray(0, -2)), 'transaction.malformed', 'fields in another order')
  refused(concat(bytes.subarray(0, -1), Uint8Array.of(0x8c, 0)), 'transaction.malformed', 'a varint too long')
  refused(
    concat(bytes.subarray(0, -1), new Uint8Array(10).fill(0xff)),
    'transaction.malformed',
    'a varint without an end',
  )
  refused(concat(bytes.subarray(0, -1), Uint8Array.of(0)), 'transaction.malformed', 'a default that is written')
  refused(
    concat(bytes.subarray(0, -2), Uint8Array.of(0x21, 0, 0, 0, 0, 0, 0, 0, 1)),
    'transaction.malformed',
    'a fixed64',
  )
  refused(concat(bytes.subarray(0, -2), Uint8Array.of(0x22, 1, 12)), 'transaction.malformed', 'another wire type')
})

test('an envelope that is not understood whole', () => {
  const extension = { typeUrl: '/x.Y', value: new Uint8Array() }
  refused(
    withBody((body) => body.extensionOptions.push(extension)),
    'transaction.unsupported',
    'an extension option',
  )
  refused(
    withBody((body) => body.nonCriticalExtensionOptions.push(extension)),
    'transaction.unsupported',
    'another',
  )
  refused(
    withBody((body) => body.messages.pop()),
    'transaction.malformed',
    'no message',
  )
  refused(
    withAuth((auth) => Object.assign(auth, { fee: undefined })),
    'transaction.malformed',
    'no fee',
  )
  refused(
    withAuth((auth) => auth.signerInfos.pop()),
    'transaction.malformed',
    'no signer',
  )
  refused(
    withAuth((auth) => Object.assign(auth, { tip: { amount: [], tipper: 'x' } })),
    'transaction.unsupported',
    'a tip',
  )
  for (const mode of [0, 2, 3, 191])
    refused(
      withAuth((auth) => Object.assign(auth.signerInfos[0]?.modeInfo?.single ?? {}, { mode })),
      mode === 0 ? 'transaction.malformed' : 'transaction.unsupported',
      `sign mode ${mode}`,
    )
  const two = [
    { denom: 'uatom', amount: '1' },
    { denom: 'utia', amount: '1' },
  ]
  refused(
    withAuth((auth) => Object.assign(auth.fee ?? {}, { amount: two })),
    'transaction.unsupported',
    'a fee in two coins',
  )
  const key = { typeUrl: '/cosmos.crypto.secp256k1.PubKey', value: concat(Uint8Array.of(10, 32), new Uint8Array(32)) }
  refused(
    withAuth((auth) => Object.assign(auth.signerInfos[0] ?? {}, { publicKey: key })),
    'transaction.malformed',
    'a short key',
  )
})

test('values that a chain would read in another way than we do', () => {
  const bad: readonly [string, string, string, { denom: string; amount: string }][] = [
    ['an upper-case address', alice.address.toUpperCase(), bob.address, { denom: 'utia', amount: '1' }],
    ['an address with a wrong checksum', `${alice.address.slice(0, -1)}q`, bob.address, { denom: 'utia', amount: '1' }],
    ['no receiver', alice.address, '', { denom: 'utia', amount: '1' }],
    ['a receiver that is no address', alice.address, 'bob', { denom: 'utia', amount: '1' }],
    ['a negative amount', alice.address, bob.address, { denom: 'utia', amount: '-1' }],
    ['a zero before an amount', alice.address, bob.address, { denom: 'utia', amount: '01' }],
    ['a fraction', alice.address, bob.address, { denom: 'utia', amount: '1.5' }],
    ['an amount past 256 bits', alice.address, bob.address, { denom: 'utia', amount: `${2n ** 256n}` }],
    ['no amount', alice.address, bob.address, { denom: 'utia', amount: '' }],
    ['no coin', alice.address, bob.address, { denom: '', amount: '1' }],
    ['a coin with a space', alice.address, bob.address, { denom: 'u tia', amount: '1' }],
  ]
  for (const [name, fromAddress, toAddress, coin] of bad) {
    const message = { typeUrl: '/cosmos.bank.v1beta1.MsgSend', value: { fromAddress, toAddress, amount: [coin] } }
    refused(makeDocument({ messages: [message], signers: [{ key: alice }] }).bytes, 'transaction.malformed', name)
  }
})

test('transactions for others', () => {
  assert.throws(() => cosmos.messages(parse(bytes), bob.signer), {
    code: 'transaction.signer_mismatch',
    detail: { signer: bob.address, expected: [alice.address] },
  })
  const ed25519 = { algorithm: 'ed25519', publicKey: new Uint8Array(32) }
  assert.throws(() => cosmos.messages(parse(bytes), ed25519), { code: 'transaction.signer_mismatch' })
  refused(bytes, 'transaction.chain_mismatch', 'another network', {}, cosmos.network('mocha-4'))
  const foreign = makeDocument({ messages: [send(bob.address)], signers: [{ key: alice }] })
  refused(foreign.bytes, 'transaction.malformed', 'a signer that is not the one of the message')
  const more = makeDocument({ messages: [send(alice.address), send(bob.address)], signers: [{ key: alice }] })
  refused(more.bytes, 'transaction.malformed', 'a signer too few')
  const osmo = testKey(1, 'osmo')
  const elsewhere = makeDocument({ messages: [send(osmo.address)], signers: [{ key: alice }] })
  refused(elsewhere.bytes, 'transaction.malformed', 'addresses of another chain')
})

test('what is given beside a transaction', () => {
  refused(bytes, 'context.malformed', 'an ABI', { abi: [] })
  refused(bytes, 'context.malformed', 'another account number', { account_number: '13' })
  refused(bytes, 'context.malformed', 'another prefix', { address_prefix: 'osmo' })
  refused(bytes, 'context.malformed', 'a prefix that is none', { address_prefix: 'C' })
  refused(bytes, 'context.malformed', 'blobs of nothing', { blobs: [] })
  const raw = TxRaw.encode({ ...doc, signatures: [new Uint8Array()] }).finish()
  for (const accountNumber of ['', '01', '-1', '1.0', 'x', `${2n ** 64n}`])
    refused(raw, 'context.malformed', accountNumber, { account_number: accountNumber })
  assert.throws(() => cosmos.messages(parse(raw), alice.signer), { code: 'context.malformed' })
  refused(
    TxRaw.encode({ ...doc, signatures: [new Uint8Array(63)] }).finish(),
    'transaction.malformed',
    'a short signature',
  )
  refused(TxRaw.encode({ ...doc, signatures: [] }).finish(), 'transaction.malformed', 'no place for a signature')
  const full = parse(TxRaw.encode({ ...doc, signatures: [new Uint8Array(64)] }).finish(), { account_number: '12' })
  assert.throws(() => cosmos.messages(full, alice.signer), { code: 'transaction.already_signed' })
})

test('chains that are not in the table take their prefix from the messages or from the caller', () => {
  const heard = testKey(1, 'heard')
  const network = cosmos.network('heard-1')
  const document = makeDocument({
    messages: [send(heard.address, testKey(2, 'heard').address)],
    signers: [{ key: heard }],
    chainId: 'heard-1',
  })
  const text = base64(document.bytes)
  assert.equal(cosmos.messages(cosmos.parse(text, network, {}), heard.signer).length, 1)
  assert.deepEqual(cosmos.addresses(heard.signer, network), [])
  assert.deepEqual(cosmos.addresses(alice.signer, celestia), [{ kind: 'bech32', address: alice.address }])
  refused(text, 'transaction.malformed', 'a prefix that the messages do not have', { address_prefix: 'seen' }, network)
})

/** CAIP-2 of namespaces/cosmos, Test Cases. */
const references: readonly [string, string][] = [
  ['cosmoshub-3', 'cosmoshub-3'],
  ['Binance-Chain-Tigris', 'Binance-Chain-Tigris'],
  ['x', 'x'],
  ['hash-', 'hash-'],
  ['hashed', 'hashed'],
  ['hashed-', 'hashed-c904589232422def'],
  ['hashed-123', 'hashed-99df5cd68192b33e'],
  ['123456789012345678901234567890123456789012345678', 'hashed-0204c92a0388779d'],
  [' ', 'hashed-36a9e7f1c95b82ff'],
  ['wonderland🧝‍♂️', 'hashed-843d2fc87f40eeb9'],
]
for (const [chainId, reference] of references)
  test(`the network of the chain id ${JSON.stringify(chainId)} is cosmos:${reference}`, () => {
    const document = makeDocument({ messages: [send(alice.address)], signers: [{ key: alice }], chainId })
    const tx = cosmos.parse(base64(document.bytes), cosmos.network(reference), {})
    assert.equal(cosmos.details(tx)['chain_id'], chainId)
    refused(document.bytes, 'transaction.chain_mismatch', chainId, {}, cosmos.network(`${reference.slice(0, 30)}0`))
  })

test('references that no chain has', () => {
  for (const reference of ['', 'a'.repeat(33), 'a b', 'é', 'a_b'])
    assert.throws(() => cosmos.network(reference), { code: 'chain.unsupported' })
})
