/**
 * The client of POPSigner. Runs in Node and in browsers; `@popsigner/sdk/file-store` is for Node alone.
 *
 * The class that calls the server, what verifies without it, and the errors of both.
 */
export type { Call, Input, Output, RouteId } from '@popsigner/api/routes'
export {
  type AlgorithmFacts,
  type AlgorithmName,
  algorithmFacts,
  algorithmNames,
  type HashName,
  hashNames,
  type SchemeFacts,
  type SchemeName,
  schemeNames,
} from '@popsigner/crypto/algorithm-facts'
export { publicKeyOf, type SignedInput, verifySignature } from '@popsigner/crypto/verify'
export type { VerifierKey } from '@popsigner/transparency/checkpoint'
export type { Receipt } from '@popsigner/transparency/receipt'
export type { LeafRecord } from '@popsigner/transparency/record'
export type { StatementReport } from '@popsigner/transparency/statements'
export type { ApiKey, ApiKeyCalls, Namespace, NamespaceCalls } from './access.ts'
export type { AuditCalls, LogRecord, VerifiedReceipt } from './audit.ts'
export {
  type AuditLogOptions,
  auditEntries,
  type LogAudit,
  type LogEntry,
  type LogProblem,
  type LogProblemCode,
} from './audit-log.ts'
export { allowPlainHttp } from './base-url.ts'
export { PopSigner, type PopSignerOptions } from './client.ts'
export {
  type AggregateVerification,
  type Data,
  type Signing,
  type SigningBatch,
  type SigningItem,
  signatureBytes,
  type Verification,
} from './data.ts'
export {
  NetworkError,
  type NetworkErrorCode,
  PopSignerError,
  type Refusal,
  TrustError,
  type TrustErrorCode,
  type TrustErrorDetail,
} from './errors.ts'
export type { Key, KeyCalls } from './keys.ts'
export type { ListOptions } from './pages.ts'
export {
  type Evidence,
  type ReceiptCheck,
  type ReceiptCheckName,
  type ReceiptResult,
  type ReceiptVerification,
  verifyReceipt,
} from './receipt.ts'
export type { DecodedTransaction, SignedTransaction, TransactionCalls } from './transactions.ts'
export type { ExportedPrivateKey, ExportKeyOptions, ImportKeyOptions, KeyToImport } from './transfer.ts'
export { type AnswerFacts, answerFacts, type CallOptions } from './transport.ts'
export type { BelievedCheckpoint, Pins } from './trust.ts'
export { createMemoryStore, type TrustStore } from './trust-store.ts'
