import { Fault } from '@popsigner/crypto/fault'

/**
 * Every code that a codec refuses with, and its detail. Codes are append-only; every detail is safe to show. `field` is
 * where in the input it is (`transaction.gasPrice`, `context.abi[2]`, `message.domain`), `reason` says what is wrong there.
 */
export interface ChainFaults {
  /** There is no codec for the network, or the codec does not know it. */
  'chain.unsupported': { chain: string }
  /** The bytes or the JSON are no canonical transaction: cut short, with bytes left over, with another spelling of a number. */
  'transaction.malformed': { field: string; reason: string }
  /** A transaction type, version or field that the codec does not understand. It is refused, never dropped. */
  'transaction.unsupported': { field: string; reason: string }
  /** More bytes, or more of something inside, than the codec takes. */
  'transaction.too_large': { field: string; limit: number }
  /** The transaction is for another network than the one the caller named. */
  'transaction.chain_mismatch': { expected: string; found: string }
  /** The key does not sign this transaction. `expected` are the addresses that do, where the transaction says so. */
  'transaction.signer_mismatch': { signer: string; expected: readonly string[] }
  /** It carries the signature of this key already. */
  'transaction.already_signed': { signer: string }
  /** What the caller gave beside the transaction is not what this codec takes. */
  'context.malformed': { field: string; reason: string }
  /** The chain has no such convention for signing messages. */
  'message.unsupported': { convention: string; known: readonly string[] }
  /** The message is not what its convention takes. */
  'message.malformed': { field: string; reason: string }
  /** The message is for another network, or for another signer, than the caller named. */
  'message.mismatch': { field: string; expected: string; found: string }
}

/** A refusal by a codec that the caller can act on. */
export class ChainFault<C extends keyof ChainFaults = keyof ChainFaults> extends Fault<C, ChainFaults[C]> {}
