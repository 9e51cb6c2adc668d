import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AbiCoder } from 'ethers'
import fc from 'fast-check'
import {
  encodeAbiParameters,
  encodeFunctionData,
  erc20Abi,
  erc721Abi,
  type Hex,
  maxUint256,
  parseAbi,
  zeroAddress,
} from 'viem'
import type { Json } from '../chain.ts'
import type { Effect } from '../effect.ts'
import { describeEffect } from '../words.ts'
import { decodeArguments, typesOf } from './abi.ts'
import { parseParameters } from './abi-type.ts'
import { fromHex0x } from './bytes.ts'
import { evm } from './evm.ts'

const network = evm.network('1')
const [me, you, them, token] = ['11', '22', '33', '44'].map((byte) => `0x${byte.repeat(20)}`) as [Hex, Hex, Hex, Hex]
const erc1155Abi = parseAbi([
  'function safeTransferFrom(address from, address to, uint256 id, uint256 amount, bytes data)',
  'function safeBatchTransferFrom(address from, address to, uint256[] ids, uint256[] amounts, bytes data)',
])
const safeAbi = parseAbi([
  'function execTransaction(address to, uint256 value, bytes data, uint8 operation, uint256 safeTxGas, uint256 baseGas, uint256 gasPrice, address gasToken, address refundReceiver, bytes signatures)',
])

function read(data: Hex, value: bigint | number = 0, abi?: readonly Json[]) {
  const json = { to: token, from: me, data, value: String(value), nonce: 0, gas: 1, gasPrice: 1 }
  const tx = evm.parse(json, network, abi === undefined ? {} : { abi })
  return { effects: evm.effects(tx), warnings: evm.warnings(tx).map(({ code }) => code) }
}

/** The effects beside the call itself. */
function beside(data: Hex, value = 0): readonly Effect[] {
  return read(data, value).effects.filter(({ kind }) => kind !== 'call')
}

test('value alone, also of zero, is a transfer', () => {
  const asset = 'eip155:1/slip44:60'
  assert.deepEqual(read('0x', 5).effects, [{ kind: 'transfer', asset, from: me, to: token, amount: '5' }])
  assert.deepEqual(read('0x', 0).effects, [{ kind: 'transfer', asset, from: me, to: token, amount: '0' }])
  assert.equal(
    describeEffect({ kind: 'transfer', asset, from: null, to: you, amount: '1500000000000000000' }),
    `Transfer 1.5 ETH (1500000000000000000) from the signer to ${you}`,
  )
})

test('ERC-20: transfer, transferFrom, approve and permit', () => {
  const asset = `eip155:1/erc20:${token}`
  const data = encodeFunctionData({ abi: erc20Abi, functionName: 'transfer', args: [you, 7n] })
  assert.deepEqual(read(data, 3).effects, [
    { kind: 'transfer', asset: 'eip155:1/slip44:60', from: me, to: token, amount: '3' },
    {
      kind: 'call',
      from: me,
      contract: token,
      value: '3',
      selector: '0xa9059cbb',
      function: 'transfer(address,uint256)',
      arguments: [
        { name: 'to', type: 'address', value: you },
        { name: 'amount', type: 'uint256', value: '7' },
      ],
      known_by: 'standard',
      delegate: false,
    },
    { kind: 'transfer', asset, from: me, to: you, amount: '7' },
  ])
  const from = read(encodeFunctionData({ abi: erc20Abi, functionName: 'transferFrom', args: [you, them, 7n] }))
  assert.deepEqual(from.effects.at(-1), { kind: 'transfer', asset, from: you, to: them, amount: '7' })
  assert.deepEqual(from.warnings, ['token.ambiguous'])
  const approve = (amount: bigint) =>
    encodeFunctionData({ abi: erc20Abi, functionName: 'approve', args: [you, amount] })
  assert.deepEqual(beside(approve(9n)), [{ kind: 'allow', asset, owner: me, spender: you, amount: '9' }])
  assert.deepEqual(beside(approve(maxUint256)), [
    { kind: 'allow', asset, owner: me, spender: you, amount: 'unlimited' },
  ])
  const permit = parseAbi([
    'function permit(address owner, address spender, uint256 value, uint256 deadline, uint8 v, bytes32 r, bytes32 s)',
  ])
  const word = `0x${'00'.repeat(32)}` as const
  assert.deepEqual(beside(encodeFunctionData({ abi: permit, args: [you, them, 4n, 1n, 27, word, word] })), [
    { kind: 'allow', asset, owner: you, spender: them, amount: '4' },
  ])
})

test('ERC-721 and ERC-1155', () => {
  const nft = (id: number) => `eip155:1/erc721:${token}/${id}`
  assert.deepEqual(
    beside(encodeFunctionData({ abi: erc721Abi, functionName: 'safeTransferFrom', args: [me, you, 5n] })),
    [{ kind: 'transfer', asset: nft(5), from: me, to: you, amount: '1' }],
  )
  assert.deepEqual(
    beside(encodeFunctionData({ abi: erc721Abi, functionName: 'safeTransferFrom', args: [me, you, 5n, '0x01'] })),
    [{ kind: 'transfer', asset: nft(5), from: me, to: you, amount: '1' }],
  )
  const operator = (on: boolean) =>
    encodeFunctionData({ abi: erc721Abi, functionName: 'setApprovalForAll', args: [you, on] })
  const collection = `eip155:1/erc721:${token}`
  assert.deepEqual(beside(operator(true)), [
    { kind: 'allow', asset: collection, owner: me, spender: you, amount: 'unlimited' },
  ])
  assert.deepEqual(beside(operator(false)), [
    { kind: 'allow', asset: collection, owner: me, spender: you, amount: '0' },
  ])
  const one = encodeFunctionData({ abi: erc1155Abi, functionName: 'safeTransferFrom', args: [me, you, 5n, 6n, '0x'] })
  assert.deepEqual(beside(one), [
    { kind: 'transfer', asset: `eip155:1/erc1155:${token}/5`, from: me, to: you, amount: '6' },
  ])
  const batch = (ids: bigint[], amounts: bigint[]) =>
    beside(
      encodeFunctionData({
        abi: erc1155Abi,
        functionName: 'safeBatchTransferFrom',
        args: [me, you, ids, amounts, '0x'],
      }),
    )
  assert.deepEqual(
    batch([1n, 2n], [3n, 4n]).map((effect) => effect.kind === 'transfer' && [effect.asset, effect.amount]),
    [
      [`eip155:1/erc1155:${token}/1`, '3'],
      [`eip155:1/erc1155:${token}/2`, '4'],
    ],
  )
  assert.deepEqual(
    batch([1n, 2n], [3n]).map(({ kind }) => kind),
    ['opaque'],
  )
})

test('calldata that is not what the function takes, to the last byte, is opaque beside the call', () => {
  const data = encodeFunctionData({ abi: erc20Abi, functionName: 'transfer', args: [you, 7n] })
  const dirty = data.replace(`${'00'.repeat(12)}22`, `01${'00'.repeat(11)}22`) as Hex
  for (const bad of [`${data}00`, data.slice(0, -2), dirty, '0x01', '0xdeadbeef', '0xa9059cbb'] as Hex[]) {
    const { effects } = read(bad)
    assert.deepEqual(
      effects.map(({ kind }) => kind),
      ['call', 'opaque'],
      bad,
    )
    const [call] = effects
    assert.ok(call?.kind === 'call' && call.function === null && call.arguments === null)
  }
})

test('the ABI of the caller explains what no standard does, is named as a claim, and cannot explain a standard away', () => {
  const abi = [
    {
      type: 'function',
      name: 'swap',
      inputs: [
        {
          name: 'route',
          type: 'tuple[]',
          components: [
            { name: 'pool', type: 'address' },
            { name: 'amount', type: 'int128' },
          ],
        },
      ],
    },
    {
      type: 'function',
      name: 'transfer',
      inputs: [
        { name: 'innocent', type: 'address' },
        { name: 'note', type: 'uint256' },
      ],
    },
    { type: 'event', name: 'Swapped', inputs: [] },
  ]
  const swap = parseAbi(['struct Step { address pool; int128 amount; }', 'function swap(Step[] route)'])
  const data = encodeFunctionData({ abi: swap, args: [[{ pool: you, amount: -5n }]] })
  const [call, ...rest] = read(data, 0, abi).effects
  assert.deepEqual(rest, [])
  assert.ok(call?.kind === 'call')
  assert.deepEqual(
    [call.function, call.known_by, call.arguments],
    ['swap((address,int128)[])', 'caller', [{ name: 'route', type: '(address,int128)[]', value: [[you, '-5']] }]],
  )
  assert.match(describeEffect(call), /by the ABI that was given/)
  const transfer = read(encodeFunctionData({ abi: erc20Abi, functionName: 'transfer', args: [you, 7n] }), 0, abi)
  assert.deepEqual(
    transfer.effects.map(({ kind }) => kind),
    ['call', 'transfer'],
  )
  const tooLong = `${data}00` as Hex
  assert.deepEqual(
    read(tooLong, 0, abi).effects.map(({ kind }) => kind),
    ['call', 'opaque'],
  )
})

test('an ABI that is none is refused with the entry', () => {
  const refused = (abi: Json) =>
    assert.throws(() => read('0x', 0, abi as readonly Json[]), { code: 'context.malformed' }, JSON.stringify(abi))
  refused([1])
  refused([{ name: 'x' }])
  refused([{ type: 'function', name: 'a b', inputs: [] }])
  refused([{ type: 'function', name: 'f' }])
  for (const type of [
    'uint',
    'uint7',
    'uint264',
    'bytes33',
    'address[0]',
    'address[99999]',
    'tuple',
    'fixed128x18',
    'x[',
    `uint8${'[]'.repeat(20)}`,
  ])
    refused([{ type: 'function', name: 'f', inputs: [{ name: 'a', type }] }])
  // Two functions with the selector 0x42966c68.
  refused([
    { type: 'function', name: 'burn', inputs: [{ type: 'uint256' }] },
    { type: 'function', name: 'collate_propagate_storage', inputs: [{ type: 'bytes16' }] },
  ])
})

test('a Safe: the effects of the inner call with the Safe as the actor; foreign code as itself is opaque and warned of', () => {
  const inner = encodeFunctionData({ abi: erc20Abi, functionName: 'transfer', args: [them, 7n] })
  const exec = (to: Hex, data: Hex, operation: number, gasPrice = 0n) =>
    encodeFunctionData({
      abi: safeAbi,
      args: [to, 2n, data, operation, 0n, 0n, gasPrice, zeroAddress, zeroAddress, '0x'],
    })
  const safe = read(exec(you, inner, 0))
  assert.deepEqual(
    safe.effects.map((effect) => [effect.kind, 'from' in effect ? effect.from : null]),
    [
      ['call', me],
      ['transfer', token],
      ['call', token],
      ['transfer', token],
    ],
  )
  assert.deepEqual(safe.effects[3], {
    kind: 'transfer',
    asset: `eip155:1/erc20:${you}`,
    from: token,
    to: them,
    amount: '7',
  })
  const delegated = read(exec(you, inner, 1))
  assert.deepEqual(
    delegated.effects.map(({ kind }) => kind),
    ['call', 'call', 'opaque'],
  )
  assert.ok(delegated.effects[1]?.kind === 'call' && delegated.effects[1].delegate)
  assert.deepEqual(delegated.warnings, ['safe.delegate_call'])
  assert.deepEqual(
    read(exec(you, inner, 2)).effects.map(({ kind }) => kind),
    ['call', 'opaque'],
  )
  assert.deepEqual(
    read(exec(you, '0x', 0, 1n)).effects.map(({ kind }) => kind),
    ['call', 'transfer', 'opaque'],
  )
  let nested: Hex = '0x'
  for (let i = 0; i < 8; i++) nested = exec(you, nested, 0)
  assert.equal(read(nested).effects.at(-1)?.kind, 'opaque')
})

test('creating a contract says where it will be', () => {
  const json = {
    from: '0x6ac7ea33f8831ea9dcc53393aaa88b25a785dbf0',
    data: '0x6001',
    value: '1',
    nonce: 1,
    gas: 1,
    gasPrice: 1,
  }
  // The addresses that the first nonces of this account give are in the documentation of many clients.
  const [moved, created] = evm.effects(evm.parse(json, network, {}))
  assert.ok(moved?.kind === 'transfer' && created?.kind === 'create')
  assert.equal(created.contract, '0x343c43A37D37dfF08AE8C4A11544c718AbB4fCF8')
  assert.equal(moved.to, created.contract)
  const { from: _, ...anonymous } = json
  assert.deepEqual(
    evm.effects(evm.parse(anonymous, network, {})).map(({ kind }) => kind),
    ['create'],
  )
})

test('random values of random types: what viem and ethers encode is decoded, a changed byte is not taken for the same', () => {
  interface Typed {
    readonly parameter: { readonly type: string; readonly name: string; readonly components?: readonly unknown[] }
    readonly value: fc.Arbitrary<unknown>
  }
  const leaf: fc.Arbitrary<Typed> = fc.constantFrom<Typed>(
    { parameter: { type: 'uint256', name: 'a' }, value: fc.bigInt(0n, maxUint256) },
    { parameter: { type: 'uint8', name: 'a' }, value: fc.bigInt(0n, 255n) },
    { parameter: { type: 'int64', name: 'a' }, value: fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n) },
    { parameter: { type: 'bool', name: 'a' }, value: fc.boolean() },
    { parameter: { type: 'string', name: 'a' }, value: fc.string() },
    { parameter: { type: 'bytes', name: 'a' }, value: hexOf(0, 70) },
    { parameter: { type: 'bytes4', name: 'a' }, value: hexOf(4, 4) },
  )
  const array = (of: fc.Arbitrary<Typed>) =>
    fc.tuple(of, fc.constantFrom('', '2')).map(
      ([{ parameter, value }, length]): Typed => ({
        parameter: { ...parameter, type: `${parameter.type}[${length}]` },
        value: fc.array(value, length === '' ? { maxLength: 3 } : { minLength: 2, maxLength: 2 }),
      }),
    )
  const tuple = (of: fc.Arbitrary<Typed>) =>
    fc.array(of, { minLength: 1, maxLength: 3 }).map(
      (fields): Typed => ({
        parameter: {
          type: 'tuple',
          name: 'a',
          components: fields.map((one, i) => ({ ...one.parameter, name: `f${i}` })),
        },
        value: fc.tuple(...fields.map((one) => one.value)),
      }),
    )
  const { any } = fc.letrec<{ any: Typed }>((tie) => ({
    any: fc.oneof({ maxDepth: 3 }, leaf, array(tie('any')), tuple(tie('any'))),
  }))
  const sample = any.chain((one) => fc.tuple(fc.constant(one.parameter), one.value))
  fc.assert(
    fc.property(
      fc.array(sample, { minLength: 1, maxLength: 3 }),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      (pairs, at, flip) => {
        const parameters = pairs.map(([parameter]) => parameter)
        const encoded = AbiCoder.defaultAbiCoder().encode(
          parameters as never,
          pairs.map(([, value]) => value),
        ) as Hex
        assert.equal(
          encodeAbiParameters(parameters as never, pairs.map(([parameter, value]) => named(parameter, value)) as never),
          encoded,
        )
        const parsed = parseParameters(parameters, 'x')
        assert.ok(typeof parsed !== 'string')
        const bytes = fromHex0x(encoded) as Uint8Array
        const values = decodeArguments(typesOf(parsed), bytes)
        assert.deepEqual(
          values,
          pairs.map(([, value]) => plain(value)),
        )
        bytes[at % bytes.length] = (bytes[at % bytes.length] as number) ^ flip
        assert.notDeepEqual(decodeArguments(typesOf(parsed), bytes), values)
      },
    ),
    { numRuns: 600 },
  )

  function plain(value: unknown): unknown {
    if (Array.isArray(value)) return value.map(plain)
    return typeof value === 'bigint' ? value.toString() : value
  }
})

/** viem takes the fields of a structure by name. */
function named(
  parameter: { readonly type: string; readonly components?: readonly unknown[] },
  value: unknown,
): unknown {
  const bracket = parameter.type.lastIndexOf('[')
  if (bracket !== -1)
    return (value as unknown[]).map((one) => named({ ...parameter, type: parameter.type.slice(0, bracket) }, one))
  if (parameter.type !== 'tuple') return value
  const components = parameter.components as { readonly name: string; readonly type: string }[]
  return Object.fromEntries(components.map((one, i) => [one.name, named(one, (value as unknown[])[i])]))
}

function hexOf(min: number, max: number): fc.Arbitrary<string> {
  return fc.uint8Array({ minLength: min, maxLength: max }).map((bytes) => `0x${Buffer.from(bytes).toString('hex')}`)
}
