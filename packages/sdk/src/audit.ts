import type { Call, Output } from '@popsigner/api/routes'
import type { Receipt } from '@popsigner/transparency/receipt'
import { type AuditLogOptions, auditLog, type LogAudit } from './audit-log.ts'
import { TrustError } from './errors.ts'
import { eachOf, type ListOptions } from './pages.ts'
import { type Evidence, type ReceiptResult, verifyReceipt } from './receipt.ts'
import type { CallOptions, Transport } from './transport.ts'
import type { BelievedCheckpoint, Trust } from './trust.ts'

/** A record as the API lists it: for reading. What proves something is its leaf, in the receipt. */
export type LogRecord = Output<'audit.get'>

type RecordQuery = NonNullable<Call<'audit.list'>['query']>

/** A receipt that holds: the record's leaf is in the log that is pinned. */
export interface VerifiedReceipt extends ReceiptResult {
  readonly ok: true
  readonly leaf: NonNullable<ReceiptResult['leaf']>
  /** The receipt as it came, to keep. */
  readonly receipt: Receipt
}

/** Calls that read the log, and those that check it. Ids are TypeIDs, `rec_…`. */
export interface AuditCalls {
  /** One page of records, newest first. */
  logs(query?: RecordQuery, options?: ListOptions): Promise<Output<'audit.list'>>
  /** Every record that fits, page after page. */
  all(query?: Omit<RecordQuery, 'cursor'>, options?: ListOptions): AsyncGenerator<LogRecord, void, void>
  record(id: string, options?: CallOptions): Promise<LogRecord>
  /** The receipt as the server gives it, not verified. */
  receipt(id: string, options?: CallOptions): Promise<Output<'audit.receipt'>>
  /** The same as `c2sp.org/tlog-proof@v1` text, not verified. */
  receiptText(id: string, options?: CallOptions): Promise<string>
  /** The last checkpoint, not verified. */
  checkpoint(options?: CallOptions): Promise<Output<'audit.checkpoint'>>
  consistency(query: Call<'audit.consistency'>['query'], options?: CallOptions): Promise<Output<'audit.consistency'>>
  /** The log's key as the server names it, not compared with what is pinned. */
  logKey(options?: CallOptions): Promise<Output<'audit.logKey'>>
  /**
   * The last checkpoint, believed: signed by the pinned log key, cosigned by the pinned identity, and an extension of
   * the one that was kept, which it replaces. `TrustError` otherwise, and the kept one stays.
   */
  verifiedCheckpoint(options?: CallOptions): Promise<BelievedCheckpoint>
  /**
   * Fetches the receipt of this record and verifies it against the pinned keys, its checkpoint against the kept one.
   * With a signature and its data also that the signature is over that data under the public key in the leaf.
   * `TrustError` `receipt.invalid` where any check fails.
   */
  verifiedReceipt(id: string, evidence?: Evidence, options?: CallOptions): Promise<VerifiedReceipt>
  /** Reads the whole log and checks all of it. See `auditLog` in `audit-log.ts`. */
  auditLog(options?: AuditLogOptions): Promise<LogAudit>
}

/** The calls over the log of one client. */
export function createAuditCalls(transport: Transport, trust: Trust): AuditCalls {
  const { call } = transport
  const logs: AuditCalls['logs'] = (query = {}, options) => call('audit.list', { query }, options)
  return {
    logs,
    all: (query = {}, options) =>
      eachOf(
        (cursor) => logs(cursor === undefined ? query : { ...query, cursor }, options),
        (page) => page.logs,
      ),
    record: (id, options) => call('audit.get', { params: { id } }, options),
    receipt: (id, options) => call('audit.receipt', { params: { id } }, options),
    receiptText: (id, options) => transport.callText('audit.receipt', { params: { id } }, 'text/plain', options),
    checkpoint: (options) => call('audit.checkpoint', {}, options),
    consistency: (query, options) => call('audit.consistency', { query }, options),
    logKey: (options) => call('audit.logKey', {}, options),
    verifiedCheckpoint: (options) => trust.checkpoint(options),
    verifiedReceipt: async (id, evidence = {}, options) => {
      const receipt = (await call('audit.receipt', { params: { id } }, options)) as Receipt
      const { logKey, identity } = await trust.logKeys(options)
      const result = verifyReceipt(receipt, { ...evidence, logKey, identity, recordId: id })
      const failed = result.checks.find((check) => !check.ok)
      if (!result.ok || result.leaf === undefined || result.checkpoint === undefined)
        throw new TrustError('receipt.invalid', failed?.reason ?? 'The receipt does not hold.', {
          record: id,
          check: failed?.name ?? '',
        })
      await trust.believe(result.checkpoint, receipt.checkpoint, options)
      return { ...result, ok: true, leaf: result.leaf, receipt }
    },
    auditLog: (options) => auditLog(transport, trust, options),
  }
}
