import { fromBase64, hex } from '@popsigner/crypto/bytes'
import type { PopSigner } from './client.ts'

/** What an adapter of an EVM library is made of. */
export interface EvmKeyOptions {
  /** The key, `key_…`; it needs the uses `transaction` and `message` for what is asked of it. */
  readonly keyId: string
  /**
   * The version that signs, so that the address stays the same when the key is rotated. Default: the primary one at the time when the
   * adapter is made.
   */
  readonly keyVersion?: number
  /** The network that a message is said to be for where it names none; the record has it. Default: 1. */
  readonly chainId?: number | bigint
}

/** R, S and the parity of a signature; hex behind `0x`. */
export interface EvmSignature {
  readonly r: `0x${string}`
  readonly s: `0x${string}`
  readonly yParity: 0 | 1
}

/** A key as the adapters use it: its address, and signatures over what the server itself has read. */
export interface EvmKey {
  readonly address: `0x${string}`
  /** Signs the unsigned bytes of a transaction (hex behind `0x`). */
  signTransaction(unsigned: string, chainId: number | bigint): Promise<EvmSignature>
  /** Signs a message: 65 bytes of hex, the last 27 or 28. Without a chain id that of the options is named. */
  signMessage(
    convention: 'eip191' | 'eip712' | 'eip7702',
    message: unknown,
    chainId?: number | bigint,
  ): Promise<`0x${string}`>
}

/** Asks for the key's address. `RangeError` for a key that has none on EVM networks. */
export async function openEvmKey(client: PopSigner, options: EvmKeyOptions): Promise<EvmKey> {
  const network = (chainId: number | bigint = options.chainId ?? 1): string => `eip155:${chainId}`
  const { addresses } = await client.keys.addresses(options.keyId, { chain: network() })
  const found = addresses.find((one) => options.keyVersion === undefined || one.key_version === options.keyVersion)
  if (found === undefined) throw new RangeError('keyId: the key, or this version of it, has no address on EVM networks')
  const { address, key_version } = found as { address: `0x${string}`; key_version: number }
  return {
    address,
    async signTransaction(transaction, chainId) {
      const signed = await client.transactions.sign(options.keyId, {
        chain: network(chainId),
        transaction,
        key_version,
      })
      return splitSignature(signed.signatures[0]?.signature ?? '')
    },
    async signMessage(convention, message, chainId) {
      const body = { chain: network(chainId), convention, message: message as string, key_version }
      return (await client.transactions.signMessage(options.keyId, body)).signature as `0x${string}`
    },
  }
}

function splitSignature(text: string): EvmSignature {
  const bytes = fromBase64(text)
  const v = bytes[64]
  if (bytes.length !== 65 || (v !== 27 && v !== 28))
    throw new RangeError('signature: expected 65 bytes, the last 27 or 28')
  return { r: `0x${hex(bytes.subarray(0, 32))}`, s: `0x${hex(bytes.subarray(32, 64))}`, yParity: v === 27 ? 0 : 1 }
}
