import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { rawSecp256k1PubkeyToRawAddress } from '@cosmjs/amino'
import { toBech32 } from '@cosmjs/encoding'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { bech32 } from '@scure/base'
import fc from 'fast-check'
import { checksumAddress, cosmosAddress, ethereumAddress, isCosmosPrefix } from './address.ts'
import { fromBase64, fromHex, hex } from './bytes.ts'

const generator = fromHex('0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798')

test('EIP-55 test cases', () => {
  const addresses = JSON.parse(
    readFileSync(new URL('../vectors/eip55/addresses.json', import.meta.url), 'utf8'),
  ) as string[]
  assert.equal(addresses.length, 8)
  for (const address of addresses) assert.equal(checksumAddress(fromHex(address.slice(2))), address)
})

test('Ethereum addresses of well-known keys', () => {
  for (const [secret, address] of [
    // The scalars 1 and 2, and the first account of Hardhat and Anvil.
    ['0000000000000000000000000000000000000000000000000000000000000001', '0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf'],
    ['0000000000000000000000000000000000000000000000000000000000000002', '0x2B5AD5c4795c026514f8317c7a215E218DcCD6cF'],
    ['ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80', '0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266'],
  ] as const)
    assert.equal(ethereumAddress(secp256k1.getPublicKey(fromHex(secret), true)), address)
})

test('Cosmos addresses: a published one, and BIP-173’s program for the generator', () => {
  const published = fromBase64('AtQaCqFnshaZQp6rIkvAPyzThvCvXSDO+9AzbxVErqJP')
  assert.equal(cosmosAddress(published, 'cosmos'), 'cosmos1h806c7khnvmjlywdrkdgk2vrayy2mmvf9rxk2r')
  const program = bech32.fromWords(bech32.decode(cosmosAddress(generator) as `${string}1${string}`).words)
  assert.equal(hex(program), '751e76e8199196d454941c45d1b3a323f1433bd6')
  assert.ok(cosmosAddress(generator).startsWith('celestia1'))
})

test('agrees with cosmjs on random keys and prefixes', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      fc.constantFrom('celestia', 'cosmos', 'osmo', 'inj', 'c4e', 'a', 'a'.repeat(51)),
      (secret, prefix) => {
        fc.pre(secp256k1.utils.isValidSecretKey(secret))
        const publicKey = secp256k1.getPublicKey(secret, true)
        assert.equal(cosmosAddress(publicKey, prefix), toBech32(prefix, rawSecp256k1PubkeyToRawAddress(publicKey), 90))
      },
    ),
  )
})

test('what is no prefix and no key is refused', () => {
  for (const prefix of ['', 'Celestia', '1a', 'a_b', 'a b', 'a\n', 'é', 'a'.repeat(52)]) {
    assert.equal(isCosmosPrefix(prefix), false, prefix)
    assert.throws(() => cosmosAddress(generator, prefix), RangeError)
  }
  assert.equal(isCosmosPrefix('celestia'), true)
  assert.throws(() => cosmosAddress(generator.slice(1)), RangeError)
  assert.throws(() => ethereumAddress(new Uint8Array(33)), RangeError)
  assert.throws(() => ethereumAddress(new Uint8Array(65)), RangeError)
  assert.throws(() => checksumAddress(new Uint8Array(32)), RangeError)
})
