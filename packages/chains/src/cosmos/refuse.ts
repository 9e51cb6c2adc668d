import { ChainFault } from '../fault.ts'

/** The fault of bytes or JSON that are not what they should be. `field` is a path such as `transaction.body.messages[0]`. */
export function malformed(field: string, reason: string): ChainFault {
  return new ChainFault('transaction.malformed', { field, reason })
}

/** The fault of something that exists and is not understood here. */
export function unsupported(field: string, reason: string): ChainFault {
  return new ChainFault('transaction.unsupported', { field, reason })
}
