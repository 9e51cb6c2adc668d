import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { PopSigner } from '@popsigner/sdk'
import { createEthersSigner, type PopSignerEthers } from '@popsigner/sdk/ethers'
import { createViemAccount } from '@popsigner/sdk/viem'
import { hashMessage as ethersHashMessage, JsonRpcProvider, TypedDataEncoder } from 'ethers'
import {
  type Address,
  concatHex,
  createPublicClient,
  createWalletClient,
  type Hex,
  hashMessage,
  hashTypedData,
  http,
  type LocalAccount,
  numberToHex,
  pad,
  parseEther,
  parseSignature,
} from 'viem'
import { foundry } from 'viem/chains'
import { hashAuthorization, recoverAuthorizationAddress } from 'viem/utils'
import { type Anvil, startAnvil } from './anvil.ts'
import { makeKey } from './crash/tenant.ts'
import { startInstance, type TestInstance } from './instance.ts'

// A real node mines what the adapters of the SDK sign, through a real server.

/** Calls the precompile at 1 with its calldata and answers what that answers; behind the code that creates it. */
const ecrecover: Hex = ('0x601880600b6000396000f336600060003760206000608060006001' + '5afa5060206000f3') as Hex

/** The blob of zeros: its commitment and its proof are the point at infinity, so they hold without the trusted setup. */
const zeroBlob = {
  blob: `0x${'00'.repeat(131_072)}`,
  commitment: `0xc0${'00'.repeat(47)}`,
  proof: `0xc0${'00'.repeat(47)}`,
} as const
/** 0x01, then SHA-256 of that commitment without its first byte. */
const zeroHash = '0x010657f37554c781402a22917dee2f75def7ab966d7b770905398eba3c444014'

let instance: TestInstance
let anvil: Anvil
let client: PopSigner
let keyId: string
let account: LocalAccount
let signer: PopSignerEthers
let contract: Address
const node = () => createPublicClient({ chain: foundry, transport: http(anvil.url) })
const wallet = () => createWalletClient({ account, chain: foundry, transport: http(anvil.url) })

before(async () => {
  ;[instance, anvil] = await Promise.all([startInstance(), startAnvil()])
  client = new PopSigner({ url: instance.url, apiKey: instance.token })
  keyId = (await makeKey(instance, 'evm', { uses: ['transaction', 'message'] })).id
  account = await createViemAccount(client, { keyId, chainId: foundry.id })
  const provider = new JsonRpcProvider(anvil.url, foundry.id, {
    staticNetwork: true,
    pollingInterval: 50,
    cacheTimeout: -1,
  })
  signer = await createEthersSigner(client, { keyId, chainId: foundry.id }, provider)
  assert.equal(signer.address, account.address)
  await anvil.rpc('anvil_setBalance', account.address, numberToHex(parseEther('1000')))
})
after(async () => {
  signer.provider?.destroy()
  anvil.stop()
  await instance.remove()
})

/** Waits until it is mined; and the server reads from the raw transaction what the node has of it. */
async function mined(hash: Hex, type: number): Promise<void> {
  const receipt = await node().waitForTransactionReceipt({ hash, pollingInterval: 50 })
  assert.equal(receipt.status, 'success')
  const raw = await anvil.rpc<string>('eth_getRawTransactionByHash', hash)
  const read = await client.transactions.decode({ chain: `eip155:${foundry.id}`, transaction: raw })
  assert.deepEqual([read.hash, read.complete, read.details['type']], [hash, true, type])
  assert.equal(read.signatures[0]?.signer, account.address)
}

test('a contract is created, where the effects said', async () => {
  const nonce = await node().getTransactionCount({ address: account.address })
  const request = { from: account.address, data: ecrecover, nonce, gas: 200_000, gasPrice: '3000000000' }
  const signed = await client.transactions.sign(keyId, { chain: `eip155:${foundry.id}`, transaction: request })
  const created = signed.effects.find(({ kind }) => kind === 'create') as { contract: Address } | undefined
  assert.ok(created)
  const hash = await anvil.rpc<Hex>('eth_sendRawTransaction', signed.transaction)
  assert.equal(hash, signed.hash)
  await mined(hash, 0)
  contract = created.contract
  assert.ok(((await node().getCode({ address: contract })) ?? '0x').length > 10)
})

test('viem: types 0 to 4 are mined', async () => {
  const to = `0x${'42'.repeat(20)}` as const
  await mined(await wallet().sendTransaction({ type: 'legacy', to, value: 1n }), 0)
  await mined(
    await wallet().sendTransaction({ type: 'eip2930', to, value: 2n, accessList: [{ address: to, storageKeys: [] }] }),
    1,
  )
  await mined(await wallet().sendTransaction({ to, value: 3n, data: '0xdeadbeef' }), 2)
  const blobs = { sidecars: [zeroBlob], blobVersionedHashes: [zeroHash], maxFeePerBlobGas: 10n ** 9n } as const
  await mined(await wallet().sendTransaction({ type: 'eip4844', to, ...blobs } as never), 3)
  const authorization = await wallet().signAuthorization({ contractAddress: contract, executor: 'self' })
  assert.equal(await recoverAuthorizationAddress({ authorization }), account.address)
  await mined(await wallet().sendTransaction({ to, authorizationList: [authorization] }), 4)
  assert.equal(
    await node().getCode({ address: account.address }),
    concatHex(['0xef0100', contract.toLowerCase() as Hex]),
  )
  assert.equal(await node().getBalance({ address: to }), 6n)
})

test('ethers: types 0 to 4 are mined', async () => {
  const to = `0x${'43'.repeat(20)}`
  const send = async (request: object, type: number) => {
    const { hash } = await signer.sendTransaction({ to, ...request } as never)
    await mined(hash as Hex, type)
  }
  await send({ type: 0, value: 1n }, 0)
  await send({ type: 1, value: 1n, accessList: [] }, 1)
  await send({ type: 2, value: 1n }, 2)
  const { blob: data, commitment, proof } = zeroBlob
  const fees = { maxFeePerBlobGas: 10n ** 9n, maxFeePerGas: 10n ** 10n, maxPriorityFeePerGas: 1n, gasLimit: 50_000 }
  await send({ type: 3, blobs: [{ data, commitment, proof }], blobVersionedHashes: [zeroHash], ...fees }, 3)
  const nonce = await signer.getNonce()
  const authorization = await signer.authorize({
    address: `0x${'00'.repeat(20)}`,
    chainId: foundry.id,
    nonce: nonce + 1,
  })
  await send({ type: 4, authorizationList: [authorization], gasLimit: 100_000 }, 4)
  assert.equal(await node().getCode({ address: account.address }), undefined)
})

/** Whose signature it is, says a contract. */
async function recovered(digest: string, signature: string): Promise<string> {
  const { r, s, v } = parseSignature(signature as Hex)
  const data = concatHex([digest as Hex, pad(numberToHex(v ?? 0n), { size: 32 }), r, s])
  const { data: answer = '0x' } = await node().call({ to: contract, data })
  return answer
}

test('messages of both adapters are recovered by ecrecover in a contract', async () => {
  const expected = pad(account.address.toLowerCase() as Hex, { size: 32 })
  const typed = {
    domain: { name: 'Test', version: '1', chainId: foundry.id, verifyingContract: contract },
    types: {
      Order: [
        { name: 'to', type: 'address' },
        { name: 'amount', type: 'uint256' },
        { name: 'tags', type: 'string[]' },
      ],
    },
    primaryType: 'Order' as const,
    message: { to: contract, amount: 2n ** 200n, tags: ['a', 'b'] },
  } as const
  assert.equal(await recovered(hashMessage('hello'), await account.signMessage({ message: 'hello' })), expected)
  const raw = '0x00ff' as const
  assert.equal(await recovered(hashMessage({ raw }), await account.signMessage({ message: { raw } })), expected)
  assert.equal(await recovered(hashTypedData(typed), await account.signTypedData(typed)), expected)
  assert.equal(await recovered(ethersHashMessage('hello'), await signer.signMessage('hello')), expected)
  assert.equal(
    await recovered(ethersHashMessage(Uint8Array.of(0, 255)), await signer.signMessage(Uint8Array.of(0, 255))),
    expected,
  )
  const types = { Order: [...typed.types.Order] }
  const signature = await signer.signTypedData(typed.domain, types, typed.message)
  assert.equal(await recovered(TypedDataEncoder.hash(typed.domain, types, typed.message), signature), expected)
  const authorization = await account.signAuthorization?.({ chainId: 0, address: contract, nonce: 7 })
  assert.ok(authorization)
  assert.equal(await recoverAuthorizationAddress({ authorization }), account.address)
  const ofEthers = await signer.authorize({ address: contract, chainId: 0, nonce: 7 })
  assert.equal(
    await recovered(hashAuthorization({ chainId: 0, address: contract, nonce: 7 }), ofEthers.signature.serialized),
    expected,
  )
  assert.notEqual(await recovered(hashMessage('hellO'), await account.signMessage({ message: 'hello' })), expected)
})

test('an adapter refuses what is not of its account, and stays at its version when the key is rotated', async () => {
  await assert.rejects(signer.signTransaction({ from: contract, to: contract }), TypeError)
  await assert.rejects(account.signTransaction({ to: contract, type: 'eip1559' } as never), TypeError)
  const ed25519 = await makeKey(instance, 'no-evm', { algorithm: 'ed25519' })
  await assert.rejects(createViemAccount(client, { keyId: ed25519.id }), RangeError)
  await client.keys.rotate(keyId, { keep_active: true })
  const { addresses } = await client.keys.addresses(keyId, { chain: 'eip155:1' })
  assert.deepEqual(
    addresses.map(({ key_version }) => key_version),
    [2, 1],
  )
  assert.equal(addresses[1]?.address, account.address)
  await mined(await wallet().sendTransaction({ to: contract, value: 0n }), 2)
  const renewed = await createViemAccount(client, { keyId })
  assert.equal(renewed.address, addresses[0]?.address)
})
