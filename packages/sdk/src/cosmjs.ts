/**
 * Signers of cosmjs whose signatures are made by POPSigner. `@cosmjs/amino` and `@cosmjs/proto-signing` are optional peer
 * dependencies, needed by this entry alone.
 */
import { encodeSecp256k1Signature, type OfflineAminoSigner, type StdSignDoc, serializeSignDoc } from '@cosmjs/amino'
import { makeSignBytes, type OfflineDirectSigner } from '@cosmjs/proto-signing'
import { referenceOf } from '@popsigner/chains/cosmos/network'
import { cosmosAddress } from '@popsigner/crypto/address'
import { base64, fromBase64, fromHex } from '@popsigner/crypto/bytes'
import { verifySignature } from '@popsigner/crypto/verify'
import type { PopSigner } from './client.ts'

/** What a signer of cosmjs is made of. */
export interface CosmosSignerOptions {
  /** The keys, `key_…`, of secp256k1; they need the use `transaction`, and `message` for ADR-036. */
  readonly keyIds: readonly string[]
  /** How addresses begin: `celestia`. */
  readonly prefix: string
  /** The chain id that an ADR-036 message is said to be for, since its document names none; the record has it. */
  readonly chainId?: string
}

/** Signs directly and in amino JSON; cosmjs signs directly where it finds both. */
export type CosmosSigner = OfflineDirectSigner & OfflineAminoSigner

interface Account {
  readonly keyId: string
  readonly version: number
  readonly address: string
  readonly publicKey: Uint8Array
}

/**
 * A signer for `SigningStargateClient` and whatever else takes an `OfflineSigner`, with the versions of the keys that are primary now.
 *
 * The server is sent the document that cosmjs would sign, and signs what it has read in it; what comes back is checked to be over that
 * document before it is handed on. `RangeError` for a key of another algorithm, and for an address that is of none of the keys.
 */
export async function createCosmosSigner(client: PopSigner, options: CosmosSignerOptions): Promise<CosmosSigner> {
  const accounts = await Promise.all(options.keyIds.map((keyId) => openAccount(client, keyId, options.prefix)))
  const accountOf = (address: string): Account => {
    const account = accounts.find((one) => one.address === address)
    if (account === undefined) throw new RangeError(`signerAddress: ${address} is the address of none of the keys`)
    return account
  }
  const sign = async (account: Account, chainId: string, document: Uint8Array): Promise<Uint8Array> => {
    const { signatures } = await client.transactions.sign(account.keyId, {
      chain: `cosmos:${referenceOf(chainId)}`,
      transaction: base64(document),
      context: { address_prefix: options.prefix },
      key_version: account.version,
    })
    return fromBase64(signatures.find(({ signer }) => signer === account.address)?.signature ?? '')
  }
  const signMessage = async (account: Account, data: string): Promise<Uint8Array> => {
    const { chainId } = options
    if (chainId === undefined) throw new TypeError('chainId: is needed for ADR-036, whose document names no chain')
    const { signature } = await client.transactions.signMessage(account.keyId, {
      chain: `cosmos:${referenceOf(chainId)}`,
      convention: 'adr036',
      message: { raw: data },
      context: { address_prefix: options.prefix },
      key_version: account.version,
    })
    return fromBase64(signature)
  }
  return {
    getAccounts: async () => accounts.map(({ address, publicKey: pubkey }) => ({ address, pubkey, algo: 'secp256k1' })),
    async signDirect(signerAddress, signDoc) {
      const account = accountOf(signerAddress)
      const document = makeSignBytes(signDoc)
      const signature = checked(await sign(account, signDoc.chainId, document), document, account)
      return { signed: signDoc, signature: encodeSecp256k1Signature(account.publicKey, signature) }
    },
    async signAmino(signerAddress, signDoc) {
      const account = accountOf(signerAddress)
      const document = serializeSignDoc(signDoc)
      const data = messageIn(signDoc)
      const signature =
        data === null ? await sign(account, signDoc.chain_id, document) : await signMessage(account, data)
      return {
        signed: signDoc,
        signature: encodeSecp256k1Signature(account.publicKey, checked(signature, document, account)),
      }
    },
  }
}

async function openAccount(client: PopSigner, keyId: string, prefix: string): Promise<Account> {
  const key = await client.keys.get(keyId)
  if (key.algorithm !== 'secp256k1') throw new RangeError(`keyIds: ${keyId} is a key of ${key.algorithm}`)
  const publicKey = fromHex(key.public_key)
  return { keyId, version: key.version, address: cosmosAddress(publicKey, prefix), publicKey }
}

/** The base64 of an ADR-036 document's data; `null` for a transaction. */
function messageIn({ msgs, chain_id }: StdSignDoc): string | null {
  const [first] = msgs
  if (chain_id !== '' || first?.type !== 'sign/MsgSignData') return null
  return (first.value as { readonly data: string }).data
}

function checked(signature: Uint8Array, document: Uint8Array, { address, publicKey }: Account): Uint8Array {
  if (!verifySignature('secp256k1', { message: document, hash: 'sha256' }, signature, publicKey))
    throw new RangeError(`signature: it is not of ${address} over the document`)
  return signature
}
