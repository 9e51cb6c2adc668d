import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { fromHex } from '@popsigner/crypto/bytes'
import type { Json, JsonObject } from '../chain.ts'
import { decodeArguments, typesOf } from './abi.ts'
import { parseParameters } from './abi-type.ts'
import { hex0x } from './bytes.ts'
import { evm } from './evm.ts'
import { decodeRlp, encodeRlp, type Rlp } from './rlp.ts'
import { parseTypedData } from './typed-data.ts'

const folder = join(import.meta.dirname, '../../vectors')

function cases<T>(name: string): readonly T[] {
  return JSON.parse(
    gunzipSync(readFileSync(join(folder, 'ethersproject-testcases', `${name}.json.gz`))).toString('utf8'),
  )
}

const bytes = (text: string) => fromHex(text.slice(2))

/** Signs the bytes with the codec as the server does, by another library. */
function sign(unsigned: string, privateKey: string, chain: string): { text: string; hash: string | null } {
  const secret = bytes(privateKey)
  const signer = { algorithm: 'secp256k1', publicKey: secp256k1.getPublicKey(secret, true) }
  const tx = evm.parse(unsigned, evm.network(chain), { signer })
  assert.equal(evm.encode(tx), unsigned)
  const signatures = evm.messages(tx, signer).map((one) => {
    assert.ok('digest' in one)
    const signed = secp256k1.sign(one.digest, secret, { prehash: false, format: 'recovered' })
    return { signature: signed.slice(1), recovery: signed[0] as number }
  })
  const attached = evm.attach(tx, signer, signatures)
  assert.equal(evm.complete(attached), true)
  return { text: evm.encode(attached), hash: evm.hash(attached) }
}

test('EIP-155 §Example: signing data, hash and the signed transaction', () => {
  const { eip155 } = JSON.parse(readFileSync(join(folder, 'eips/eips.json'), 'utf8'))
  const tx = evm.parse(eip155.fields, evm.network('1'), {})
  assert.equal(evm.encode(tx), eip155.signingData)
  const publicKey = secp256k1.getPublicKey(bytes(eip155.privateKey), true)
  const [message] = evm.messages(tx, { algorithm: 'secp256k1', publicKey })
  assert.ok(message && 'digest' in message)
  assert.equal(hex0x(message.digest), eip155.signingHash)
  assert.equal(sign(eip155.signingData, eip155.privateKey, '1').text, eip155.signed)
})

test('EIP-712 example: the encoded type and the digest', () => {
  const { eip712 } = JSON.parse(readFileSync(join(folder, 'eips/eips.json'), 'utf8'))
  const typed = parseTypedData(eip712.typedData)
  assert.equal(typed.encodedType, eip712.encodedType)
  assert.equal(hex0x(typed.digest), eip712.digest)
})

test('RLP: ethers test cases, both ways', () => {
  const toRlp = (value: unknown): Rlp => (Array.isArray(value) ? value.map(toRlp) : bytes(value as string))
  const depth = (value: unknown): number => (Array.isArray(value) ? 1 + Math.max(0, ...value.map(depth)) : 0)
  let count = 0
  for (const { name, decoded, encoded } of cases<{ name: string; decoded: unknown; encoded: string }>('rlp-coder')) {
    assert.equal(hex0x(encodeRlp(toRlp(decoded))), encoded, name)
    if (depth(decoded) > 8) continue
    assert.deepEqual(encodeRlp(decodeRlp(bytes(encoded), 'transaction')), bytes(encoded), name)
    count++
  }
  assert.ok(count > 40)
})

test('legacy transactions with a chain id, signed as ethers signed them; without one they are refused', () => {
  interface Case {
    readonly name: string
    readonly privateKey: string
    readonly gasLimit?: string
    readonly unsignedTransaction: string
    readonly signedTransaction: string
    readonly unsignedTransactionChainId5: string
    readonly signedTransactionChainId5: string
  }
  let count = 0
  for (const one of cases<Case>('transactions')) {
    if ((one.gasLimit ?? '').length > 18) {
      assert.throws(() => evm.parse(one.unsignedTransactionChainId5, evm.network('5'), {}), {
        code: 'transaction.malformed',
      })
      continue
    }
    const signed = one.signedTransactionChainId5
    assert.equal(sign(one.unsignedTransactionChainId5, one.privateKey, '5').text, signed, one.name)
    assert.equal(evm.encode(evm.parse(signed, evm.network('5'), {})), signed, one.name)
    for (const without of [one.unsignedTransaction, one.signedTransaction])
      assert.throws(() => evm.parse(without, evm.network('5'), {}), { code: 'transaction.unsupported' })
    count++
  }
  assert.ok(count > 700, String(count))
})

test('typed transactions, signed as ethers signed them', () => {
  interface Case {
    readonly name: string
    readonly address: string
    readonly key: string
    readonly signed: string
    readonly unsigned: string
    readonly tx: {
      readonly chainId?: string | number
      readonly maxFeePerGas?: string
      readonly maxPriorityFeePerGas?: string
    }
  }
  let count = 0
  for (const one of cases<Case>('typed-transactions')) {
    const { chainId, maxFeePerGas = '0x0', maxPriorityFeePerGas = '0x0' } = one.tx
    const network = evm.network(chainId === undefined ? '1' : String(Number(chainId)))
    if (chainId === undefined || BigInt(maxPriorityFeePerGas) > BigInt(maxFeePerGas)) {
      assert.throws(() => evm.parse(one.unsigned, network, {}), { code: 'transaction.malformed' }, one.name)
      continue
    }
    assert.equal(sign(one.unsigned, one.key, network.reference).text, one.signed, one.name)
    const [attached] = evm.signatures(evm.parse(one.signed, network, {}))
    assert.equal(attached?.signer?.toLowerCase(), one.address.toLowerCase(), one.name)
    count++
  }
  assert.ok(count > 500, String(count))
})

test('EIP-712: ethers test cases', () => {
  interface Case {
    readonly name: string
    readonly domain: JsonObject
    readonly types: JsonObject
    readonly primaryType: string
    readonly data: Json
    readonly digest: string
  }
  const all = cases<Case>('eip712')
  for (const { name, domain, types, primaryType, data, digest } of all)
    assert.equal(hex0x(parseTypedData({ domain, types, primaryType, message: data }).digest), digest, name)
  assert.ok(all.length > 1000)
})

test('the contract ABI: what compiled Solidity answered is decoded to the last byte', () => {
  interface Case {
    readonly name: string
    readonly types: string
    readonly values: string
    readonly result: string
  }
  type Value = { readonly type: string; readonly value: unknown }
  const all = cases<Case>('contract-interface-abi2')
  for (const { name, types, values, result } of all) {
    const parameters = parseParameters((JSON.parse(types) as string[]).map(abiOf), 'types')
    assert.ok(typeof parameters !== 'string', `${name}: ${parameters}`)
    assert.deepEqual(
      decodeArguments(typesOf(parameters), bytes(result)),
      (JSON.parse(values) as Value[]).map(plain),
      name,
    )
    assert.equal(decodeArguments(typesOf(parameters), bytes(`${result}00`)), null, name)
  }
  assert.ok(all.length > 300)

  function plain(value: unknown): unknown {
    if (Array.isArray(value)) return value.map(plain)
    const { type, value: inner } = value as Value
    if (type === 'tuple') return (inner as unknown[]).map(plain)
    if (type === 'boolean') return inner
    if (type === 'number') return BigInt(inner as string).toString()
    return type === 'buffer' ? (inner as string).toLowerCase() : inner
  }
})

/** `tuple(string,uint8[2])[]` as a JSON ABI writes it. */
function abiOf(type: string): { type: string; components?: unknown[] } {
  const tuple = /^tuple\((.*)\)((?:\[[0-9]*\])*)$/.exec(type)
  // The cases write the aliases of Solidity, which no compiler writes into an ABI.
  if (!tuple) return { type: type.replace(/^(u?int)(?![0-9])/, '$1256') }
  const parts: string[] = []
  let depth = 0
  let start = 0
  const inner = tuple[1] ?? ''
  for (let i = 0; i <= inner.length; i++) {
    const letter = inner[i] ?? ','
    if (letter === '(') depth++
    if (letter === ')') depth--
    if (letter === ',' && depth === 0) {
      parts.push(inner.slice(start, i))
      start = i + 1
    }
  }
  return { type: `tuple${tuple[2]}`, components: parts.map(abiOf) }
}
