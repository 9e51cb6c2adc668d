import { Fault } from '@popsigner/crypto/fault'

/** Refusals of the process itself, before any request: what an operator can act on. */
export interface ServerFaults {
  'database.newer': { database: number; code: number }
  'database.unsafe': { setting: string }
  'database.instance_differs': { database: string; configured: string }
  'configuration.invalid': { field: string; reason: string }
}

/** A refusal to start or to go on; `code` and `detail` are safe to print. */
export class ServerFault<C extends keyof ServerFaults> extends Fault<C, ServerFaults[C]> {}
