import { cosmosAddress } from '@popsigner/crypto/address'
import { assertBytes, hex } from '@popsigner/crypto/bytes'
import { sha256 } from '@popsigner/crypto/hash'
import type { Address, AttachedSignature, Chain, Fee, JsonObject, Signer, ToSign, Warning } from '../chain.ts'
import type { Effect } from '../effect.ts'
import { ChainFault } from '../fault.ts'
import { encodeAddress } from './address.ts'
import { adr036 } from './adr036.ts'
import { publicKey, signModes } from './envelope.ts'
import { effectsOf } from './messages/message-type.ts'
import { anyMessage } from './messages/messages.ts'
import { assetOf, cosmosNetwork, prefixOf } from './network.ts'
import { unsupported } from './refuse.ts'
import { accountOf, fill, isFilled, openParts, type Part, type Slot, singleKeyAny } from './signers.ts'
import {
  type CosmosTx,
  digestOf,
  encodeTransaction,
  isComplete,
  parseTransaction,
  serializeTransaction,
  txRaw,
} from './transaction.ts'

/** Celestia and every other chain of the Cosmos SDK whose accounts are secp256k1 keys (CAIP-2 namespace `cosmos`). */
export const cosmos: Chain<CosmosTx> = {
  namespace: 'cosmos',
  conventions: ['adr036'],
  network: cosmosNetwork,
  parse: parseTransaction,
  serialize: serializeTransaction,
  encode: encodeTransaction,
  effects,
  fee,
  warnings,
  details,
  messages: (tx, signer) => toSign(tx, signer).map(({ what }) => what),
  attach,
  signatures,
  complete: isComplete,
  hash: (tx) => (isComplete(tx) ? hex(sha256(txRaw(tx))).toUpperCase() : null),
  addresses: (signer, network): readonly Address[] => {
    const prefix = prefixOf(network)
    if (signer.algorithm !== 'secp256k1' || prefix === undefined) return []
    return [{ kind: 'bech32', address: cosmosAddress(signer.publicKey, prefix) }]
  },
  message: (convention, message, network, context) => {
    if (convention !== 'adr036') throw new ChainFault('message.unsupported', { convention, known: ['adr036'] })
    return adr036(message, network, context)
  },
}

function effects(tx: CosmosTx): readonly Effect[] {
  return tx.body.messages.flatMap((message) => effectsOf(message, tx))
}

function fee(tx: CosmosTx): Fee | null {
  const [coin] = tx.fee.amount
  if (coin === undefined) return null
  return { asset: assetOf(tx.network, coin.denom), max: coin.amount, payer: payerOf(tx) }
}

/** Who has granted the fee pays it; else who is named; else the first signer. */
function payerOf(tx: CosmosTx): string | null {
  return tx.fee.granter || tx.fee.payer || tx.slots[0]?.address || null
}

function warnings(tx: CosmosTx): readonly Warning[] {
  if (tx.blobs !== undefined || !effects(tx).some(({ kind }) => kind === 'post_blob')) return []
  return [
    {
      code: 'blob.unchecked',
      text: 'What the share commitments stand for was not checked, since the blobs were not given.',
    },
  ]
}

function details(tx: CosmosTx): JsonObject {
  return {
    form: tx.form,
    chain_id: tx.chainId ?? null,
    account_number: tx.accountNumber === undefined ? null : String(tx.accountNumber),
    memo: tx.body.memo,
    timeout_height: String(tx.body.timeout_height),
    gas: String(tx.fee.gas_limit),
    fee_payer: tx.fee.payer === '' ? null : tx.fee.payer,
    fee_granter: tx.fee.granter === '' ? null : tx.fee.granter,
    signers: tx.slots.map((slot) => ({
      address: slot.address,
      sign_mode: signModes[slot.mode] as string,
      sequence: String(slot.sequence),
      public_key: slot.publicKey === undefined ? null : publicKey.toAmino(slot.publicKey, 'show'),
      threshold: slot.threshold,
      signed: isFilled(slot),
    })),
    messages: tx.body.messages.map((message) => anyMessage.toAmino(message, 'show')),
  }
}

function toSign(tx: CosmosTx, signer: Signer): readonly { readonly part: Part; readonly what: ToSign }[] {
  const key = keyOf(tx, signer)
  if (tx.form === 'amino' && tx.slots.length > 1)
    throw unsupported(
      'transaction',
      'has several signers: send it as TxRaw, since an amino document has no place for them',
    )
  return openParts(tx.slots, key, tx.prefix).map((part) => {
    const slot = tx.slots[part.slot] as Slot
    return { part, what: { digest: digestOf(tx, slot), signMode: signModes[slot.mode] as string } }
  })
}

function keyOf(tx: CosmosTx, signer: Signer): Uint8Array {
  if (signer.algorithm === 'secp256k1') return signer.publicKey
  const expected = tx.slots.flatMap(({ address }) => address ?? [])
  throw new ChainFault('transaction.signer_mismatch', { signer: `a key of ${signer.algorithm}`, expected })
}

function attach(tx: CosmosTx, signer: Signer, made: readonly { readonly signature: Uint8Array }[]): CosmosTx {
  const parts = toSign(tx, signer)
  if (made.length !== parts.length) throw new RangeError(`signatures: expected ${parts.length}, got ${made.length}`)
  let slots = tx.slots
  parts.forEach(({ part }, i) => {
    const signature = made[i]?.signature
    assertBytes(signature, 'signature', 64)
    slots = fill(slots, part, signature)
  })
  // An amino document does not say the public key, and a transaction that is sent has to.
  if (tx.form === 'amino')
    slots = slots.map((slot) => ({ ...slot, publicKey: singleKeyAny(signer.publicKey), keys: [signer.publicKey] }))
  return { ...tx, form: 'tx_raw', slots, withBlobs: true }
}

function signatures(tx: CosmosTx): readonly AttachedSignature[] {
  return tx.slots.flatMap((slot) =>
    slot.signatures.flatMap((signature, i) => {
      if (signature === undefined) return []
      const key = slot.keys[i]
      const signer =
        slot.threshold === null || key === undefined ? slot.address : encodeAddress(accountOf(key), tx.prefix)
      return [{ signer, signature }]
    }),
  )
}
