import { Fault } from '@popsigner/crypto/fault'

/**
 * Why the signer did not sign one item. The order is the wire format (a code travels as its position + 1): append only.
 */
export const refusalCodes = [
  'custody.leaf_mismatch',
  'custody.deadline',
  'custody.use_refused',
  'custody.scheme_refused',
  'custody.key_destroyed',
  'custody.generation_old',
  'custody.not_opened',
  'custody.wrong_kind',
  'custody.proof_stale',
  'custody.input_refused',
  'custody.statement_due',
  'custody.ledger_failed',
  'custody.sign_failed',
  'log.behind',
  'log.unproven',
] as const

/** One of `refusalCodes`. */
export type RefusalCode = (typeof refusalCodes)[number]

/** Every code a custody call can fail with, and its detail. Codes are append-only; every detail is safe to show. */
export interface CustodyFaults extends Record<RefusalCode, null> {
  /** No signer is connected, or the connection was lost with the request in flight: the outcome is unknown. */
  'custody.unavailable': null
  /** The two ends of the socket did not prove themselves to each other. `reason` says which step failed. */
  'custody.handshake_failed': { reason: 'version' | 'role' | 'proof' | 'silence' | 'malformed' }
  /** The signer's ledger has seen a higher term than this server's database. */
  'custody.term_behind': { term: number }
  /** The payload of a request is not what its operation takes. */
  'custody.request_refused': { reason: string }
  /** The entropy source failed its health tests: no key is made until the signer is replaced. */
  'custody.entropy_failed': null
  /** A repeated record id came with another specification. */
  'custody.record_reused': null
  /** A specification that no key can have, or a change that would widen one. */
  'custody.spec_refused': { field: string }
  /** The wrapped key does not open under the specification given, or is no valid key of its algorithm. */
  'custody.import_refused': null
  /** The envelope forbids this export. */
  'custody.export_refused': null
  /** The organization's log is in the ledger already. */
  'log.exists': null
  /** The ledger stands at another size than the request says: ask for the head and prove from there. */
  'log.moved': { size: number }
  /** The frame's host MAC is wrong, or its nonce is unknown or used. */
  'custody.host_refused': null
  /** A rotation is under way already, or there is none to finish. */
  'seal.rotation_state': { roots: number }
  /** Another failure inside the signer; its own log has the reason. */
  'custody.failed': null
}

/** A refusal by the signer or by its client that the caller can act on. */
export class CustodyFault<C extends keyof CustodyFaults = keyof CustodyFaults> extends Fault<C, CustodyFaults[C]> {}
