import type { Effect } from './effect.ts'

/** A value that JSON has. */
export type Json = string | number | boolean | null | readonly Json[] | JsonObject

/** An object that JSON has. */
export interface JsonObject {
  readonly [name: string]: Json
}

/** A network by its CAIP-2 id: `eip155:1` has the namespace `eip155` and the reference `1`. */
export interface Network {
  readonly id: string
  readonly namespace: string
  readonly reference: string
}

/** Whose signature is wanted: the name of an algorithm and a public key in the algorithm's own form (SEC1 compressed for secp256k1). */
export interface Signer {
  readonly algorithm: string
  readonly publicKey: Uint8Array
}

/** What a caller may give beside the bytes. A codec refuses an entry that it does not take, with `context.malformed`. */
export interface Context {
  /** Who will sign. Without it, effects say `null` where the bytes alone do not tell the account. */
  readonly signer?: Signer
  /** EVM: the ABI of the contract that is called (JSON as compilers write it). A claim: known functions outrank it. */
  readonly abi?: readonly Json[]
  /** Cosmos: the number of the signer's account, decimal text. A transaction that carries signatures (`TxRaw`) does not tell it. */
  readonly account_number?: string
  /** Cosmos: how addresses begin, on a chain that is not in the table. */
  readonly address_prefix?: string
  /** Celestia: the blobs that the transaction pays for, in its order: `{namespace, data, share_version, signer}`, bytes as base64. */
  readonly blobs?: readonly Json[]
}

/** One thing to sign: 32 bytes that are signed as they are (ECDSA, Schnorr), or a message that the scheme takes whole (Ed25519). */
export type ToSign = ({ readonly digest: Uint8Array } | { readonly message: Uint8Array }) & {
  /** How the document was put together, where a chain has several ways; it stands in the record (Cosmos: `direct`, `amino`). */
  readonly signMode?: string
}

/** A signature as the key's algorithm makes it, in the order of `messages`; `recovery` is 0 or 1 for secp256k1. */
export interface Signature {
  readonly signature: Uint8Array
  readonly recovery?: number
}

/** A signature that a transaction carries. */
export interface AttachedSignature {
  /** The address that it is from, in the chain's text; `null` where the transaction does not tell. */
  readonly signer: string | null
  /** In the form that the chain writes. */
  readonly signature: Uint8Array
}

/** What a transaction costs its payer beside its effects. Amounts are decimal text in the asset's smallest unit. */
export interface Fee {
  /** CAIP-19 id. */
  readonly asset: string
  /** The most that the limits in the transaction let be taken. A rollup may charge for data beside it. */
  readonly max: string
  /** The address that pays; `null` where that is the signer and the bytes do not tell who it is. */
  readonly payer: string | null
}

/** Something that a person should know before signing, and that no effect says. Codes are `noun.state` and append-only. */
export interface Warning {
  readonly code: string
  readonly text: string
}

/** An address that a public key has on a network. */
export interface Address {
  /** Which of several forms it is, where a chain has several (`p2wpkh`); otherwise the name of the only one. */
  readonly kind: string
  readonly address: string
}

/** A message that is to be signed by a convention of the chain, understood whole. */
export interface PreparedMessage {
  /** What the record's `data_hash` covers: the caller's message as bytes. */
  readonly data: Uint8Array
  readonly toSign: ToSign
  readonly effects: readonly Effect[]
  readonly warnings: readonly Warning[]
  /** The signature in the form that verifiers of the convention take. */
  encode(signature: Signature): string
}

/**
 * A codec: what the transactions of one CAIP-2 namespace mean. All functions are pure and total; what they refuse is a
 * `ChainFault`, and nothing of an input that is not understood whole is answered.
 *
 * `Tx` is the codec's own: bytes that were parsed, what the caller said beside them, and the signatures so far. `serialize`
 * of what `parse` answered gives the bytes that were parsed; for JSON, the canonical bytes of what it says.
 */
export interface Chain<Tx = unknown> {
  /** The CAIP-2 namespace: `eip155`, `cosmos`, `bip122`, `solana`. */
  readonly namespace: string
  /** Conventions for signing messages, by the name callers give. */
  readonly conventions: readonly string[]
  /** The network of a CAIP-2 reference. `chain.unsupported` for one that the namespace cannot have. */
  network(reference: string): Network
  /** Reads a transaction in the chain's text (hex or base64) or as the JSON its clients write. */
  parse(transaction: string | JsonObject, network: Network, context: Context): Tx
  /** The transaction's bytes, with the signatures so far. */
  serialize(tx: Tx): Uint8Array
  /** Those bytes in the text that `parse` takes. */
  encode(tx: Tx): string
  /** All that it would do, in order. Never empty: what is not understood is `opaque`. */
  effects(tx: Tx): readonly Effect[]
  /** `null` where the chain takes none. */
  fee(tx: Tx): Fee | null
  warnings(tx: Tx): readonly Warning[]
  /** What is neither effect nor fee: type, nonce, limits. For people and for programs that compare; not for rules. */
  details(tx: Tx): JsonObject
  /**
   * What this signer has to sign: one entry for most chains, several for Bitcoin's inputs.
   * `transaction.signer_mismatch` where it is none of the signers, `transaction.already_signed` where nothing is left to sign.
   */
  messages(tx: Tx, signer: Signer): readonly ToSign[]
  /** The transaction with one signature for each entry of `messages`. `RangeError` for another number of them. */
  attach(tx: Tx, signer: Signer, signatures: readonly Signature[]): Tx
  /** The signatures that it carries. */
  signatures(tx: Tx): readonly AttachedSignature[]
  /** Whether it can be broadcast: no signer is missing. */
  complete(tx: Tx): boolean
  /** What the chain will call it, in its own text; `null` while a signature that is part of it is missing. */
  hash(tx: Tx): string | null
  /** The addresses of a public key there; empty where the chain does not know the algorithm. */
  addresses(signer: Signer, network: Network): readonly Address[]
  /** Reads a message under one of `conventions`. */
  message(convention: string, message: Json, network: Network, context: Context): PreparedMessage
}
