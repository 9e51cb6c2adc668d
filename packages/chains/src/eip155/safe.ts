import type { ArgumentValue } from '../effect.ts'
import { selectorOf } from './contract-abi.ts'
import { functionOf } from './tokens.ts'

/** What a Safe is told to do: the call it makes, or (operation 1) the code that it runs as itself, and what it pays back for gas. */
export interface SafeOrder {
  readonly to: string
  readonly value: bigint
  readonly data: string
  readonly delegate: boolean
  /** The price the Safe pays per gas, in `gasToken` (the zero address: the native coin); 0 where it pays none. */
  readonly gasPrice: bigint
  readonly gasToken: string
}

/** The function by which anybody hands a Safe an order that its owners signed. Safe contracts 1.1 to 1.4, `Safe.sol`. */
export const execTransaction = functionOf(
  'execTransaction(address to,uint256 value,bytes data,uint8 operation,uint256 safeTxGas,uint256 baseGas,uint256 gasPrice,address gasToken,address refundReceiver,bytes signatures)',
)

export const execTransactionSelector: string = selectorOf(execTransaction.signature)

/** The EIP-712 type that the owners of a Safe sign: `encodeType` of it. Safe contracts 1.0 and later. */
export const safeTxType =
  'SafeTx(address to,uint256 value,bytes data,uint8 operation,uint256 safeTxGas,uint256 baseGas,uint256 gasPrice,address gasToken,address refundReceiver,uint256 nonce)'

/** The order in the arguments of `execTransaction`, or in the fields of `SafeTx`, which begin alike; `null` for an operation that there is not. */
export function safeOrder(values: readonly ArgumentValue[]): SafeOrder | null {
  const [to, value, data, operation, , , gasPrice, gasToken] = values as readonly string[]
  if (operation !== '0' && operation !== '1') return null
  return {
    to: to as string,
    value: BigInt(value as string),
    data: data as string,
    delegate: operation === '1',
    gasPrice: BigInt(gasPrice as string),
    gasToken: gasToken as string,
  }
}
