/** An ethers signer whose signatures are made by POPSigner. `ethers` is an optional peer dependency, needed by this entry alone. */
import {
  AbstractSigner,
  type Authorization,
  type AuthorizationRequest,
  type BigNumberish,
  copyRequest,
  getAddress,
  getBigInt,
  hexlify,
  type Provider,
  resolveAddress,
  resolveProperties,
  Signature,
  Transaction,
  type TransactionLike,
  type TransactionRequest,
  type TypedDataDomain,
  TypedDataEncoder,
  type TypedDataField,
} from 'ethers'
import type { PopSigner } from './client.ts'
import { type EvmKey, type EvmKeyOptions, openEvmKey } from './evm-key.ts'

/**
 * An ethers signer of a key.
 *
 * The server is sent what ethers serialized and signs what it has read in it; what comes back is checked to be of this address
 * before it is handed on. A bare hash is not signed.
 */
export class PopSignerEthers extends AbstractSigner {
  readonly address: string
  readonly #key: EvmKey

  /** See `createEthersSigner`. */
  constructor(key: EvmKey, provider: Provider | null = null) {
    super(provider)
    this.#key = key
    this.address = key.address
  }

  async getAddress(): Promise<string> {
    return this.address
  }

  connect(provider: Provider | null): PopSignerEthers {
    return new PopSignerEthers(this.#key, provider)
  }

  async signTransaction(request: TransactionRequest): Promise<string> {
    // Sending, ethers hands over a `Transaction`, whose fields are not its own properties.
    const given = copyRequest(request)
    const { from, to, ...rest } = await resolveProperties({
      ...given,
      to: given.to ? resolveAddress(given.to, this) : undefined,
      from: given.from ? resolveAddress(given.from, this) : undefined,
    })
    if (from && getAddress(from) !== this.address)
      throw new TypeError(`from: the transaction is of ${from} and this signer of ${this.address}`)
    const transaction = Transaction.from({ ...rest, ...(to ? { to } : {}) } as TransactionLike<string>)
    const { r, s, yParity } = await this.#key.signTransaction(transaction.unsignedSerialized, transaction.chainId)
    transaction.signature = Signature.from({ r, s, yParity })
    if (transaction.from !== this.address)
      throw new RangeError(`signature: it is of ${transaction.from} and not of ${this.address}`)
    return transaction.serialized
  }

  async signMessage(message: string | Uint8Array): Promise<string> {
    return this.#key.signMessage('eip191', typeof message === 'string' ? message : { raw: hexlify(message) })
  }

  async signTypedData(
    domain: TypedDataDomain,
    types: Record<string, TypedDataField[]>,
    value: Record<string, unknown>,
  ): Promise<string> {
    const populated = await TypedDataEncoder.resolveNames(domain, types, value, async (name) =>
      resolveAddress(name, this),
    )
    const payload = TypedDataEncoder.getPayload(populated.domain, types, populated.value)
    const { chainId } = populated.domain
    return this.#key.signMessage('eip712', payload, chainId ? getBigInt(chainId) : undefined)
  }

  override async authorize(request: AuthorizationRequest): Promise<Authorization> {
    const {
      address,
      chainId = 0,
      nonce = 0,
    } = (await resolveProperties({
      ...request,
      address: resolveAddress(request.address, this),
    })) as { address: string; chainId?: BigNumberish; nonce?: BigNumberish }
    const said = { chainId: getBigInt(chainId), address: getAddress(address), nonce: getBigInt(nonce) }
    const message = { ...said, chainId: said.chainId.toString(), nonce: said.nonce.toString() }
    const signature = await this.#key.signMessage('eip7702', message, said.chainId === 0n ? undefined : said.chainId)
    return { ...said, signature: Signature.from(signature) }
  }
}

/** An ethers signer of a key, with a provider if one is given. Asks the server for the key's address. */
export async function createEthersSigner(
  client: PopSigner,
  options: EvmKeyOptions,
  provider: Provider | null = null,
): Promise<PopSignerEthers> {
  return new PopSignerEthers(await openEvmKey(client, options), provider)
}
