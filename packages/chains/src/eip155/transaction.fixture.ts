import fc from 'fast-check'

const hexBytes = (min: number, max: number) =>
  fc.uint8Array({ minLength: min, maxLength: max }).map((bytes) => `0x${Buffer.from(bytes).toString('hex')}` as const)

const word = hexBytes(32, 32)
const quantity = (bits: number) =>
  fc.oneof(fc.constant(0n), fc.bigInt(0n, 2n ** 64n - 2n), fc.bigInt(0n, 2n ** BigInt(bits) - 1n))
const accessList = fc.array(fc.record({ address: hexBytes(20, 20), storageKeys: fc.array(word, { maxLength: 3 }) }), {
  maxLength: 3,
})

/** A random transaction, in the words that viem has for it, without signatures. */
export interface RandomTransaction {
  readonly type: 0 | 1 | 2 | 3 | 4
  readonly chainId: number
  readonly nonce: number
  readonly gas: bigint
  readonly to: `0x${string}` | null
  readonly value: bigint
  readonly data: `0x${string}`
  readonly accessList: readonly { readonly address: `0x${string}`; readonly storageKeys: readonly `0x${string}`[] }[]
  /** Gas price, or the larger and the smaller of both fees. */
  readonly fees: readonly [bigint, bigint]
  readonly maxFeePerBlobGas: bigint
  readonly blobVersionedHashes: readonly `0x${string}`[]
  readonly authorizations: readonly {
    readonly chainId: number
    readonly address: `0x${string}`
    readonly nonce: number
  }[]
}

/** Random transactions of every type, with corners such as zeros and the largest numbers. */
export const randomTransaction: fc.Arbitrary<RandomTransaction> = fc.record({
  type: fc.constantFrom(0 as const, 1 as const, 2 as const, 3 as const, 4 as const),
  chainId: fc.oneof(fc.constantFrom(1, 10, 137, 8453, 11155111), fc.integer({ min: 1, max: 2 ** 40 })),
  nonce: fc.oneof(fc.integer({ min: 0, max: 300 }), fc.maxSafeNat()),
  gas: fc.oneof(fc.bigInt(21_000n, 30_000_000n), fc.bigInt(0n, 2n ** 64n - 1n)),
  to: fc.oneof({ weight: 5, arbitrary: hexBytes(20, 20) }, { weight: 1, arbitrary: fc.constant(null) }),
  value: quantity(256),
  data: fc.oneof(hexBytes(0, 4), hexBytes(0, 120)),
  accessList,
  fees: fc.tuple(quantity(128), quantity(128)).map(([a, b]): readonly [bigint, bigint] => (a > b ? [a, b] : [b, a])),
  maxFeePerBlobGas: quantity(128),
  blobVersionedHashes: fc.array(
    word.map((hash) => `0x01${hash.slice(4)}` as const),
    { minLength: 1, maxLength: 6 },
  ),
  authorizations: fc.array(
    fc.record({
      chainId: fc.constantFrom(0, 1, 8453),
      address: hexBytes(20, 20),
      nonce: fc.integer({ min: 0, max: 1000 }),
    }),
    { minLength: 1, maxLength: 3 },
  ),
})
