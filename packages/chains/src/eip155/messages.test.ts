import assert from 'node:assert/strict'
import { test } from 'node:test'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { fromHex, hex } from '@popsigner/crypto/bytes'
import { TypedDataEncoder, verifyMessage } from 'ethers'
import fc from 'fast-check'
import {
  encodeFunctionData,
  erc20Abi,
  type Hex,
  hashMessage,
  hashTypedData,
  recoverTypedDataAddress,
  zeroAddress,
} from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { hashAuthorization } from 'viem/utils'
import type { Json, JsonObject } from '../chain.ts'
import { ChainFault } from '../fault.ts'
import { describeEffect } from '../words.ts'
import { evm } from './evm.ts'

const network = evm.network('1')
const secret = '5c'.repeat(32)
const account = privateKeyToAccount(`0x${secret}`)
const signer = { algorithm: 'secp256k1', publicKey: secp256k1.getPublicKey(fromHex(secret), true) }
const [you, them, contract] = ['22', '33', '44'].map((byte) => `0x${byte.repeat(20)}`) as [Hex, Hex, Hex]

function prepare(convention: string, message: Json) {
  const prepared = evm.message(convention, message, network, { signer })
  assert.ok('digest' in prepared.toSign)
  return { ...prepared, digest: `0x${hex(prepared.toSign.digest)}` as Hex }
}

function sign(convention: string, message: Json): Hex {
  const prepared = prepare(convention, message)
  const signed = secp256k1.sign(fromHex(prepared.digest.slice(2)), fromHex(secret), {
    prehash: false,
    format: 'recovered',
  })
  return prepared.encode({ signature: signed.slice(1), recovery: signed[0] as number }) as Hex
}

test('EIP-191: digest and signature as viem and ethers have them, for text and for bytes', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(fc.string({ unit: 'binary' }), fc.string()),
      fc.uint8Array({ maxLength: 80 }),
      async (text, bytes) => {
        fc.pre(text.isWellFormed())
        assert.equal(prepare('eip191', text).digest, hashMessage(text))
        const raw = `0x${hex(bytes)}` as const
        assert.equal(prepare('eip191', { raw }).digest, hashMessage({ raw }))
      },
    ),
  )
  assert.equal(sign('eip191', 'hello'), await account.signMessage({ message: 'hello' }))
  assert.equal(verifyMessage('hello', sign('eip191', 'hello')), account.address)
})

test('EIP-191: text that people can read stands in the effect; bytes are opaque', () => {
  const [said, ...rest] = prepare('eip191', 'log me in\nplease').effects
  assert.deepEqual(rest, [])
  assert.ok(said?.kind === 'message')
  assert.deepEqual([said.text, said.signer, said.convention], ['log me in\nplease', account.address, 'eip191'])
  assert.deepEqual(
    prepare('eip191', { raw: `0x${'ab'.repeat(32)}` }).effects.map(({ kind }) => kind),
    ['message', 'opaque'],
  )
  assert.deepEqual(
    prepare('eip191', 'a\u0000b').effects.map(({ kind }) => kind),
    ['message', 'opaque'],
  )
  const fooling = describeEffect({ ...said, text: 'x"\u202E: Transfer 0 ETH' })
  assert.ok(fooling.includes('\\"\\u{202e}'), fooling)
})

const types = {
  Permit: [
    ['owner', 'address'],
    ['spender', 'address'],
    ['value', 'uint256'],
    ['nonce', 'uint256'],
    ['deadline', 'uint256'],
  ],
}
const members = (list: readonly (readonly string[])[]) => list.map(([name = '', type = '']) => ({ name, type }))
const permit = {
  types: { Permit: members(types.Permit) },
  primaryType: 'Permit',
  domain: { name: 'USD', version: '2', chainId: 1, verifyingContract: contract },
  message: { owner: account.address, spender: you, value: '9', nonce: 0, deadline: '1700000000' },
}

test('EIP-712: a permit is an allowance, an authorized transfer a transfer', async () => {
  const prepared = prepare('eip712', permit)
  assert.equal(prepared.digest, hashTypedData(permit as never))
  assert.equal(
    await recoverTypedDataAddress({
      ...(permit as never as Parameters<typeof hashTypedData>[0]),
      signature: sign('eip712', permit),
    }),
    account.address,
  )
  assert.deepEqual(prepared.effects.slice(1), [
    {
      kind: 'allow',
      asset: `eip155:1/erc20:${contract}`,
      owner: account.address,
      spender: you,
      amount: '9',
      expires: '1700000000',
    },
  ])
  assert.match(describeEffect(prepared.effects[1] as never), /until 2023-11-14T22:13:20.000Z/)
  const fields = members([
    ['from', 'address'],
    ['to', 'address'],
    ['value', 'uint256'],
    ['validAfter', 'uint256'],
    ['validBefore', 'uint256'],
    ['nonce', 'bytes32'],
  ])
  const moved = prepare('eip712', {
    ...permit,
    types: { TransferWithAuthorization: fields },
    primaryType: 'TransferWithAuthorization',
    message: { from: you, to: them, value: '8', validAfter: 0, validBefore: 1, nonce: `0x${'00'.repeat(32)}` },
  })
  assert.deepEqual(moved.effects[1], {
    kind: 'transfer',
    asset: `eip155:1/erc20:${contract}`,
    from: you,
    to: them,
    amount: '8',
  })
})

test('EIP-712: a form that is not known to the last field is opaque', () => {
  const other = {
    ...permit,
    types: { Permit: [...permit.types.Permit, { name: 'more', type: 'bool' }] },
    message: { ...permit.message, more: true },
  }
  const { effects } = prepare('eip712', other)
  assert.deepEqual(
    effects.map(({ kind }) => kind),
    ['message', 'opaque'],
  )
  const { verifyingContract: _, ...nowhere } = permit.domain
  assert.deepEqual(
    prepare('eip712', { ...permit, domain: nowhere }).effects.map(({ kind }) => kind),
    ['message', 'opaque'],
  )
  const { chainId: __, ...everywhere } = permit.domain
  assert.deepEqual(
    prepare('eip712', { ...permit, domain: everywhere }).warnings.map(({ code }) => code),
    ['typed_data.every_network'],
  )
})

test('EIP-712: a SafeTx is what the Safe does, and foreign code as itself is warned of', () => {
  const safeTx = (operation: number, data: Hex) => ({
    types: {
      SafeTx: members([
        ['to', 'address'],
        ['value', 'uint256'],
        ['data', 'bytes'],
        ['operation', 'uint8'],
        ['safeTxGas', 'uint256'],
        ['baseGas', 'uint256'],
        ['gasPrice', 'uint256'],
        ['gasToken', 'address'],
        ['refundReceiver', 'address'],
        ['nonce', 'uint256'],
      ]),
    },
    primaryType: 'SafeTx',
    domain: { chainId: 1, verifyingContract: contract },
    message: {
      to: you,
      value: 0,
      data,
      operation,
      safeTxGas: 0,
      baseGas: 0,
      gasPrice: 0,
      gasToken: zeroAddress,
      refundReceiver: zeroAddress,
      nonce: 4,
    },
  })
  const data = encodeFunctionData({ abi: erc20Abi, functionName: 'transfer', args: [them, 7n] })
  const prepared = prepare('eip712', safeTx(0, data))
  assert.equal(prepared.digest, hashTypedData(safeTx(0, data) as never))
  assert.deepEqual(
    prepared.effects.map(({ kind }) => kind),
    ['message', 'call', 'transfer'],
  )
  assert.deepEqual(prepared.effects[2], {
    kind: 'transfer',
    asset: `eip155:1/erc20:${you}`,
    from: contract,
    to: them,
    amount: '7',
  })
  const delegated = prepare('eip712', safeTx(1, data))
  assert.deepEqual(
    delegated.effects.map(({ kind }) => kind),
    ['message', 'call', 'opaque'],
  )
  assert.deepEqual(
    delegated.warnings.map(({ code }) => code),
    ['safe.delegate_call'],
  )
})

test('EIP-712: random types and values have the digest that viem and ethers compute', () => {
  const leaf = fc.constantFrom(
    ['uint256', fc.bigInt(0n, 2n ** 256n - 1n).map(String)] as const,
    ['int16', fc.integer({ min: -32768, max: 32767 })] as const,
    ['bool', fc.boolean()] as const,
    ['string', fc.string()] as const,
    ['bytes', fc.uint8Array({ maxLength: 40 }).map((bytes) => `0x${hex(bytes)}`)] as const,
    ['bytes5', fc.uint8Array({ minLength: 5, maxLength: 5 }).map((bytes) => `0x${hex(bytes)}`)] as const,
    ['address', fc.uint8Array({ minLength: 20, maxLength: 20 }).map((bytes) => `0x${hex(bytes)}`)] as const,
  )
  type Field = readonly [string, fc.Arbitrary<unknown>]
  const lists = leaf.chain(([type, value]) =>
    fc.constantFrom<Field>(
      [type, value],
      [`${type}[]`, fc.array(value as fc.Arbitrary<unknown>, { maxLength: 3 })],
      [
        `${type}[2][]`,
        fc.array(fc.array(value as fc.Arbitrary<unknown>, { minLength: 2, maxLength: 2 }), { maxLength: 2 }),
      ],
    ),
  )
  const inner = fc.array(lists, { minLength: 1, maxLength: 3 })
  const sample = fc.tuple(inner, inner).chain(([ofOuter, ofInner]) => {
    const innerValue = fc
      .tuple(...ofInner.map(([, value]) => value))
      .map((values) => Object.fromEntries(values.map((value, i) => [`i${i}`, value])))
    const outerValue = fc.tuple(
      innerValue,
      fc.array(innerValue, { maxLength: 2 }),
      ...ofOuter.map(([, value]) => value),
    )
    return outerValue.map(([one, many, ...rest]) => ({
      types: {
        Outer: [
          { name: 'one', type: 'Inner' },
          { name: 'many', type: 'Inner[]' },
          ...ofOuter.map(([type], i) => ({ name: `o${i}`, type })),
        ],
        Inner: ofInner.map(([type], i) => ({ name: `i${i}`, type })),
      },
      primaryType: 'Outer',
      domain: { name: 'random', chainId: 1 },
      message: { one, many, ...Object.fromEntries(rest.map((value, i) => [`o${i}`, value])) },
    }))
  })
  fc.assert(
    fc.property(sample, (typed) => {
      const { digest } = prepare('eip712', typed as unknown as JsonObject)
      assert.equal(digest, TypedDataEncoder.hash(typed.domain, typed.types, typed.message))
      assert.equal(digest, hashTypedData(typed as never))
    }),
    { numRuns: 300 },
  )
})

test('EIP-712: what is missing, unknown, out of range or on another network is refused with the field', () => {
  const refused = (change: object, field: string, code = 'message.malformed') =>
    assert.throws(
      () => prepare('eip712', { ...permit, ...change } as never),
      (error: ChainFault<'message.malformed'>) => error.code === code && error.detail.field === field,
      field,
    )
  const message = (change: object) => ({ message: { ...permit.message, ...change } })
  refused({ extra: 1 }, 'message.extra')
  refused({ domain: { ...permit.domain, chainId: 2 } }, 'message.domain.chainId', 'message.mismatch')
  refused({ domain: { ...permit.domain, httpOrigin: 'x' } }, 'message.domain.httpOrigin')
  refused({ primaryType: 'Nothing' }, 'message.primaryType')
  refused({ primaryType: 'EIP712Domain' }, 'message.primaryType')
  refused(message({ more: 1 }), 'message.message.more')
  refused(message({ value: '-1' }), 'message.message.value')
  refused(message({ value: (2n ** 256n).toString() }), 'message.message.value')
  refused(message({ value: 2 ** 53 }), 'message.message.value')
  refused(message({ spender: '0x22' }), 'message.message.spender')
  refused(message({ owner: null }), 'message.message.owner')
  refused({ message: { owner: you } }, 'message.message.spender')
  refused({ types: { Permit: [{ name: 'a', type: 'Gone' }] } }, 'message.types.Permit.a')
  refused({ types: { Permit: [{ name: 'a', type: 'uint' }] } }, 'message.types.Permit.a')
  refused(
    {
      types: {
        Permit: [
          { name: 'a', type: 'bool' },
          { name: 'a', type: 'bool' },
        ],
      },
    },
    'message.types.Permit',
  )
  refused({ types: { uint8: [] } }, 'message.types.uint8')
  refused(
    { types: { ...permit.types, EIP712Domain: [{ name: 'name', type: 'bytes' }] } },
    'message.types.EIP712Domain.name',
  )
  let deep: unknown = true
  for (let i = 0; i < 40; i++) deep = { next: deep }
  refused(
    { types: { Permit: [{ name: 'next', type: 'Permit' }] }, message: deep },
    `message.message${'.next'.repeat(17)}`,
  )
})

test('EIP-7702: an authorization is signed as viem signs it, for this network or for every one', async () => {
  const { r, s, yParity } = await account.signAuthorization({ chainId: 1, address: you, nonce: 5 })
  const signature = sign('eip7702', { chainId: 1, address: you, nonce: 5 })
  assert.equal(signature, `${r}${s.slice(2)}${(27 + (yParity as number)).toString(16)}`)
  assert.equal(
    prepare('eip7702', { chainId: 0, address: you, nonce: '0x5' }).digest,
    hashAuthorization({ chainId: 0, address: you, nonce: 5 }),
  )
  assert.deepEqual(prepare('eip7702', { chainId: 0, address: zeroAddress, nonce: 5 }).effects, [
    { kind: 'delegate_code', account: account.address, to: null, network: null, nonce: '5' },
  ])
  assert.deepEqual(
    prepare('eip7702', { chainId: 0, address: you, nonce: 5 }).warnings.map(({ code }) => code),
    ['authorization.every_network'],
  )
  assert.throws(() => prepare('eip7702', { chainId: 2, address: you, nonce: 5 }), { code: 'message.mismatch' })
  assert.throws(() => prepare('eip7702', { chainId: 1, address: you }), { code: 'message.malformed' })
  assert.throws(() => prepare('eip7702', { chainId: 1, address: you, nonce: -1 }), { code: 'message.malformed' })
})

test('conventions that there are not, and messages that are too long', () => {
  assert.throws(() => prepare('adr036', 'x'), { code: 'message.unsupported' })
  assert.throws(() => prepare('constructor', 'x'), { code: 'message.unsupported' })
  assert.throws(() => prepare('eip191', 'x'.repeat(131_073)), { code: 'transaction.too_large' })
  for (const message of [1, null, [], { raw: 'x' }, { raw: '0x', more: 1 }, '\ud800'])
    assert.throws(() => prepare('eip191', message), { code: 'message.malformed' })
})

test('the longest lists and the most types that fit are read in bounded time', () => {
  const typed = (type: string, value: Json, more: JsonObject = {}) =>
    ({
      types: { List: [{ name: 'a', type }], ...more },
      primaryType: 'List',
      domain: {},
      message: { a: value },
    }) as Json
  const started = performance.now()
  prepare('eip712', typed('uint8[]', Array(65_000).fill(1)))
  prepare('eip712', typed('Empty[]', Array(40_000).fill({}), { Empty: [] }))
  const chain = Array.from({ length: 120 }, (_, i) => [
    `T${i}`,
    Array.from({ length: 16 }, (_, j) => ({ name: `m${j}`, type: `T${Math.min(i + 1 + (j % 3), 120)}[]` })),
  ])
  const empty = Object.fromEntries(Array.from({ length: 16 }, (_, j) => [`m${j}`, []]))
  prepare('eip712', typed('T0', empty, { ...Object.fromEntries(chain), T120: [] }))
  assert.ok(performance.now() - started < 5_000, `${performance.now() - started} ms`)
})

test('random JSON is refused, never thrown over', () => {
  fc.assert(
    fc.property(
      fc.constantFrom('eip191', 'eip712', 'eip7702'),
      fc.jsonValue({ maxDepth: 4 }),
      (convention, message) => {
        try {
          prepare(convention, message as Json)
        } catch (error) {
          if (!(error instanceof ChainFault)) throw error
        }
      },
    ),
    { numRuns: 2000 },
  )
})
