import { checksumAddress } from '@popsigner/crypto/address'
import { keccak256 } from '@popsigner/crypto/hash'
import type { Warning } from '../chain.ts'
import type { Account, Effect } from '../effect.ts'
import { addressBytes, hex0x, minimalBytes } from './bytes.ts'
import { type Reading, readCall } from './call.ts'
import type { FunctionTable } from './contract-abi.ts'
import type { Authorization } from './fields.ts'
import { nativeAsset } from './native.ts'
import { encodeRlp } from './rlp.ts'
import { transfer } from './tokens.ts'
import { type EvmTransaction, signerOf } from './transaction.ts'

/** Bytes of a blob (EIP-4844 §Parameters: 4096 field elements of 32 bytes). */
export const blobLength = 131_072

/** What a transaction does: code that accounts take on, blobs, then the call or the contract it creates. */
export function readEffects(tx: EvmTransaction, network: string, from: Account, abi: FunctionTable): Reading {
  const { fields } = tx
  const delegations = fields.authorizationList.map((one, i) => readAuthorization(one, i))
  const blobs = fields.blobVersionedHashes.map(
    (hash): Effect => ({ kind: 'post_blob', from, namespace: null, bytes: blobLength, commitment: hex0x(hash) }),
  )
  const { to, value, data } = fields
  const call: Reading =
    to === null
      ? { effects: readCreation(tx, network, from), warnings: [] }
      : readCall({ network, from, contract: to, value, data, delegate: false }, abi)
  return {
    effects: [...delegations.flatMap((one) => one.effects), ...blobs, ...call.effects],
    warnings: [...delegations.flatMap((one) => one.warnings), ...call.warnings],
  }
}

/** What an authorization does (EIP-7702), and a warning where it holds on every network. */
export function readDelegation(
  { chainId, address, nonce }: Pick<Authorization, 'chainId' | 'address' | 'nonce'>,
  account: Account,
): Reading {
  const everywhere = chainId === 0n
  return {
    effects: [
      {
        kind: 'delegate_code',
        account,
        to: /^0x0{40}$/.test(address) ? null : address,
        network: everywhere ? null : `eip155:${chainId}`,
        nonce: nonce.toString(),
      },
    ],
    warnings: everywhere
      ? [
          {
            code: 'authorization.every_network',
            text: 'The authorization has the chain id 0: it can be used on every network.',
          },
        ]
      : [],
  }
}

/** What is hashed and signed of an authorization: 0x05, then the list of its three fields (EIP-7702 §Parameters). */
export function authorizationHash({
  chainId,
  address,
  nonce,
}: Pick<Authorization, 'chainId' | 'address' | 'nonce'>): Uint8Array {
  const list = encodeRlp([minimalBytes(chainId), addressBytes(address), minimalBytes(nonce)])
  const bytes = new Uint8Array(1 + list.length)
  bytes[0] = 5
  bytes.set(list, 1)
  return keccak256(bytes)
}

function readAuthorization(one: Authorization, i: number): Reading {
  const account = signerOf(one, authorizationHash(one), `transaction.authorizationList[${i}]`)
  return readDelegation(one, account)
}

function readCreation({ fields }: EvmTransaction, network: string, from: Account): readonly Effect[] {
  // Without the signer there is no address to move the value to; `create` says it.
  const contract = from === null ? null : contractAddress(from, fields.nonce)
  const moved =
    contract === null || fields.value === 0n
      ? []
      : [transfer(nativeAsset(network), from, contract, fields.value.toString())]
  return [
    ...moved,
    { kind: 'create', from, value: fields.value.toString(), contract, code_hash: hex0x(keccak256(fields.data)) },
  ]
}

/** Where an account's transaction with this nonce puts a contract: the last 20 bytes of Keccak-256 of both in a list. */
function contractAddress(from: string, nonce: bigint): string {
  return checksumAddress(keccak256(encodeRlp([addressBytes(from), minimalBytes(nonce)])).subarray(12))
}

/** Warnings that concern the transaction as such. */
export function warningsOf(tx: EvmTransaction): readonly Warning[] {
  return tx.sidecar === null && tx.type === 3
    ? [{ code: 'blobs.absent', text: 'The blobs are not with the transaction; nodes take it only with them.' }]
    : []
}
