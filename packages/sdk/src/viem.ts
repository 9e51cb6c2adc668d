/** A viem account whose signatures are made by POPSigner. `viem` is an optional peer dependency, needed by this entry alone. */
import {
  type LocalAccount,
  parseSignature,
  recoverTransactionAddress,
  type SerializeTransactionFn,
  serializeTransaction,
  type TransactionSerializable,
} from 'viem'
import { toAccount } from 'viem/accounts'
import type { PopSigner } from './client.ts'
import { type EvmKeyOptions, openEvmKey } from './evm-key.ts'

/**
 * A viem account of a key, for `createWalletClient` and whatever else takes a `LocalAccount`.
 *
 * The server is sent what viem serialized and signs what it has read in it; what comes back is checked to be of this account
 * before it is handed on. Typed data and authorizations are read by the server as well; a bare hash is not signed.
 */
export async function createViemAccount(client: PopSigner, options: EvmKeyOptions): Promise<LocalAccount> {
  const key = await openEvmKey(client, options)
  return toAccount({
    address: key.address,
    async signMessage({ message }) {
      return key.signMessage('eip191', typeof message === 'string' ? message : { raw: rawHex(message.raw) })
    },
    async signTransaction(transaction, options) {
      const serializer = (options?.serializer ??
        serializeTransaction) as SerializeTransactionFn<TransactionSerializable>
      const { chainId } = transaction
      if (chainId === undefined) throw new TypeError('transaction: chainId is missing')
      // The blobs are not part of what is signed, and would travel for nothing.
      const bare = 'sidecars' in transaction ? { ...transaction, sidecars: false as const } : transaction
      const { r, s, yParity } = await key.signTransaction(await serializer(bare), chainId)
      const signature = { r, s, yParity, v: BigInt(27 + yParity) }
      const signed = await serializer(bare, signature)
      const signer = await recoverTransactionAddress({ serializedTransaction: signed as never })
      if (signer !== key.address) throw new RangeError(`signature: it is of ${signer} and not of ${key.address}`)
      return (await serializer(transaction, signature)) as never
    },
    async signTypedData(typed) {
      const { domain, types, primaryType, message } = typed as unknown as {
        readonly domain?: { readonly chainId?: number | bigint }
        readonly types: object
        readonly primaryType: string
        readonly message: object
      }
      return key.signMessage('eip712', plain({ domain: domain ?? {}, types, primaryType, message }), domain?.chainId)
    },
    async signAuthorization({ chainId, nonce, ...rest }) {
      const address = (rest.contractAddress ?? rest.address) as `0x${string}`
      const signature = await key.signMessage(
        'eip7702',
        { chainId, address, nonce },
        chainId === 0 ? undefined : chainId,
      )
      const { r, s, yParity } = parseSignature(signature)
      return { address, chainId, nonce, r, s, yParity } as never
    },
  })
}

function rawHex(raw: `0x${string}` | Uint8Array): string {
  return typeof raw === 'string' ? raw : `0x${[...raw].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`
}

/** As JSON: bigints as decimal text. */
function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (_, one: unknown) => (typeof one === 'bigint' ? one.toString() : one)))
}
