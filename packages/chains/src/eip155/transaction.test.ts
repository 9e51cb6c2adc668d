import assert from 'node:assert/strict'
import { test } from 'node:test'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { fromHex, hex } from '@popsigner/crypto/bytes'
import { Transaction } from 'ethers'
import fc from 'fast-check'
import {
  type Hex,
  keccak256,
  recoverTransactionAddress,
  serializeTransaction,
  type TransactionSerializable,
} from 'viem'
import { privateKeyToAccount, sign } from 'viem/accounts'
import { hashAuthorization } from 'viem/utils'
import type { JsonObject } from '../chain.ts'
import { ChainFault } from '../fault.ts'
import { describeEffect } from '../words.ts'
import { evm } from './evm.ts'
import { type RandomTransaction, randomTransaction } from './transaction.fixture.ts'

const secret = `0x${'5c'.repeat(32)}` as const
const account = privateKeyToAccount(secret)
const signer = { algorithm: 'secp256k1', publicKey: secp256k1.getPublicKey(fromHex(secret.slice(2)), true) }
const authorities = ['01', '02', '03'].map((byte) => `0x${byte.repeat(32)}` as const)

/** What EIPs forbid that the random fields may hold: the codec refuses it, the libraries differ. */
function isSound({ type, to, data }: RandomTransaction): boolean {
  return (type < 3 || to !== null) && (to !== null || data !== '0x')
}

async function toViem(random: RandomTransaction): Promise<TransactionSerializable> {
  const { type, chainId, nonce, gas, to, value, data, accessList, fees } = random
  const common = { chainId, nonce, gas, to, value, data }
  const dynamic = { ...common, accessList, maxFeePerGas: fees[0], maxPriorityFeePerGas: fees[1] }
  const { maxFeePerBlobGas, blobVersionedHashes } = random
  switch (type) {
    case 0:
      return { ...common, type: 'legacy', gasPrice: fees[0] }
    case 1:
      return { ...common, type: 'eip2930', gasPrice: fees[0], accessList }
    case 2:
      return { ...dynamic, type: 'eip1559' }
    case 3:
      return { ...dynamic, type: 'eip4844', maxFeePerBlobGas, blobVersionedHashes } as TransactionSerializable
    case 4: {
      const authorizationList = await Promise.all(
        random.authorizations.map(async (one, i) => {
          const { r, s, yParity } = await sign({ hash: hashAuthorization(one), privateKey: authorities[i] as Hex })
          return { ...one, r, s, yParity: yParity as number }
        }),
      )
      return { ...dynamic, type: 'eip7702', authorizationList }
    }
  }
}

/** As JSON-RPC clients write it; bigints and numbers as 0x hex. */
function toJson(tx: TransactionSerializable, type: number): JsonObject {
  const write = (value: unknown): unknown => {
    if (typeof value === 'bigint' || typeof value === 'number') return `0x${value.toString(16)}`
    if (Array.isArray(value)) return value.map(write)
    if (typeof value === 'object' && value !== null)
      return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, write(one)]))
    return value
  }
  return write({ ...tx, type }) as JsonObject
}

function signOurs(text: string | JsonObject, chainId: number): { signed: string; hash: string | null } {
  const tx = evm.parse(text, evm.network(String(chainId)), { signer })
  const signatures = evm.messages(tx, signer).map((one) => {
    assert.ok('digest' in one)
    const signature = secp256k1.sign(one.digest, fromHex(secret.slice(2)), { prehash: false, format: 'recovered' })
    return { signature: signature.slice(1), recovery: signature[0] as number }
  })
  const attached = evm.attach(tx, signer, signatures)
  return { signed: evm.encode(attached), hash: evm.hash(attached) }
}

test('random transactions of every type: viem, ethers and the codec have the same bytes, digest, signed bytes and hash', async () => {
  await fc.assert(
    fc.asyncProperty(randomTransaction.filter(isSound), async (random) => {
      const tx = await toViem(random)
      const unsigned = serializeTransaction(tx)
      const network = evm.network(String(random.chainId))
      const parsed = evm.parse(unsigned, network, { signer })
      assert.equal(evm.encode(parsed), unsigned)
      const [message] = evm.messages(parsed, signer)
      assert.ok(message && 'digest' in message)
      assert.equal(`0x${hex(message.digest)}`, keccak256(unsigned))

      const ours = signOurs(unsigned, random.chainId)
      const theirs = await account.signTransaction(tx)
      assert.equal(ours.signed, theirs)
      assert.equal(ours.hash, keccak256(theirs))
      assert.equal(await recoverTransactionAddress({ serializedTransaction: ours.signed as never }), account.address)
      const again = evm.parse(ours.signed, network, {})
      assert.equal(evm.encode(again), ours.signed)
      assert.equal(evm.signatures(again)[0]?.signer, account.address)

      const ethers = Transaction.from(ours.signed)
      assert.deepEqual([ethers.from, ethers.hash, ethers.serialized], [account.address, ours.hash, ours.signed])
      assert.equal(ethers.unsignedHash, keccak256(unsigned))
      // ethers writes its fields in JSON otherwise than JSON-RPC does.
      assert.equal(signOurs(toJson(tx, random.type), random.chainId).signed, ours.signed)
      if (random.type < 3) {
        const json = { ...(ethers.toJSON() as JsonObject), sig: null, hash: null, from: account.address }
        assert.equal(signOurs(json, random.chainId).signed, ours.signed)
      }
      for (const effect of evm.effects(again)) assert.ok(describeEffect(effect).length > 10)
    }),
    { numRuns: 150 },
  )
})

test('a changed byte is refused, or gives another digest; nothing but a refusal is thrown', async () => {
  await fc.assert(
    fc.asyncProperty(
      randomTransaction.filter(isSound),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      async (random, at, flip) => {
        const bytes = fromHex(serializeTransaction(await toViem(random)).slice(2))
        const network = evm.network(String(random.chainId))
        const before = digestOf(`0x${hex(bytes)}`, network.reference)
        const i = at % bytes.length
        bytes[i] = (bytes[i] as number) ^ flip
        const after = digestOf(`0x${hex(bytes)}`, network.reference)
        assert.notEqual(after, before)
      },
    ),
    { numRuns: 1500 },
  )
})

test('a changed byte of a signed transaction is refused, or is of another signer or another transaction', async () => {
  await fc.assert(
    fc.asyncProperty(
      randomTransaction.filter(isSound),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      async (random, at, flip) => {
        const signed = fromHex((await account.signTransaction(await toViem(random))).slice(2))
        const network = evm.network(String(random.chainId))
        const hash = evm.hash(evm.parse(`0x${hex(signed)}`, network, {}))
        const i = at % signed.length
        signed[i] = (signed[i] as number) ^ flip
        const read = refusedOr(() => evm.parse(`0x${hex(signed)}`, network, {}))
        if (read instanceof ChainFault) return
        assert.notEqual(evm.hash(read), hash)
        assert.notEqual(evm.signatures(read)[0]?.signer, account.address)
      },
    ),
    { numRuns: 150 },
  )
})

test('random bytes and random JSON are refused, quickly', () => {
  const network = evm.network('1')
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), fc.integer({ min: 0, max: 4 }), (bytes, type) => {
      const text = `0x${type === 0 ? '' : `0${type}`}${hex(bytes)}`
      const read = refusedOr(() => evm.parse(text, network, {}))
      if (!(read instanceof ChainFault)) assert.equal(evm.encode(read), text)
    }),
    { numRuns: 5000 },
  )
  const names = [
    'type',
    'nonce',
    'to',
    'value',
    'gas',
    'gasPrice',
    'data',
    'input',
    'accessList',
    'maxFeePerGas',
    'chainId',
  ]
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom(...names), fc.jsonValue({ maxDepth: 3 }), { maxKeys: 9 }), (json) => {
      refusedOr(() => evm.parse(json as JsonObject, network, {}))
    }),
    { numRuns: 3000 },
  )
})

test('lists in one another, and lengths that are not there, cost nothing', () => {
  const nested = 'c1'.repeat(120_000)
  const started = performance.now()
  for (const text of [
    `0x${nested}`,
    `0x02f8ff${'c0'.repeat(255)}`,
    '0x02fbffffffff',
    '0xffffffffffffffffff',
    `0x02${'b8ff'.repeat(60_000)}`,
    `0x02fa01fbd0${'80'.repeat(130_000)}`,
  ])
    assert.throws(() => evm.parse(text, evm.network('1'), {}), { code: 'transaction.malformed' })
  assert.throws(() => evm.parse(`0x02${'00'.repeat(131_072)}`, evm.network('1'), {}), { code: 'transaction.too_large' })
  assert.throws(() => evm.parse(`0x${'00'.repeat(2_000_001)}`, evm.network('1'), {}), { code: 'transaction.too_large' })
  assert.ok(performance.now() - started < 1000)
})

function digestOf(text: string, reference: string): string | null {
  const read = refusedOr(() => evm.parse(text, evm.network(reference), { signer }))
  if (read instanceof ChainFault) return null
  const [message] = evm.messages(read, signer)
  return message && 'digest' in message ? hex(message.digest) : null
}

function refusedOr<T>(read: () => T): T | ChainFault {
  try {
    return read()
  } catch (error) {
    if (error instanceof ChainFault) return error
    throw error
  }
}
