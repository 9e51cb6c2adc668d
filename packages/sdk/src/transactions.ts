import type { Call, Output } from '@popsigner/api/routes'
import type { CallOptions, Transport } from './transport.ts'

type DecodeBody = Call<'transactions.decode'>['body']
type SignBody = Call<'keys.signTransaction'>['body']
type BatchBody = Call<'transactions.signBatch'>['body']
type MessageBody = Call<'keys.signMessage'>['body']

/** What a transaction would do, as the API answers it. */
export type DecodedTransaction = Output<'transactions.decode'>

/** A transaction with its signature, as the API answers it. */
export type SignedTransaction = Output<'keys.signTransaction'>

/** Calls over transactions and messages of chains. `chain` is a CAIP-2 id, `eip155:1`. */
export interface TransactionCalls {
  /** What a transaction would do. Signs nothing. */
  decode(transaction: DecodeBody, options?: CallOptions): Promise<DecodedTransaction>
  /** Signs a transaction with the key of this id; refused unless it is understood whole. */
  sign(id: string, transaction: SignBody, options?: CallOptions): Promise<SignedTransaction>
  /** Up to 1,000 in one request; each answers for itself, in its place, with the signed transaction or an error. */
  signBatch(batch: BatchBody, options?: CallOptions): Promise<Output<'transactions.signBatch'>>
  /** Signs a message under a convention of its chain. */
  signMessage(id: string, message: MessageBody, options?: CallOptions): Promise<Output<'keys.signMessage'>>
}

/** The calls over transactions of one client. */
export function createTransactionCalls({ call }: Transport): TransactionCalls {
  return {
    decode: (body, options) => call('transactions.decode', { body }, options),
    sign: (id, body, options) => call('keys.signTransaction', { params: { id }, body }, options),
    signBatch: (body, options) => call('transactions.signBatch', { body }, options),
    signMessage: (id, body, options) => call('keys.signMessage', { params: { id }, body }, options),
  }
}
