/**
 * What a custodian is asked and answers. Ids are the 16 bytes of the UUID; sizes, indexes and counts are safe integers;
 * times are milliseconds since 1970 unless named otherwise.
 */
import type { HashName, SchemeFacts } from '@popsigner/crypto/algorithm-facts'
import type { CustodyFaults, RefusalCode } from './faults.ts'

/** What an envelope holds (DESIGN.md section 4). Each operation names the kind it takes. */
export type MaterialKind =
  | 'organization-key'
  | 'signing-key'
  | 'seed'
  | 'log-key'
  | 'identity'
  | 'wrapping-key'
  | 'secret'

/** What a key may be asked for. */
export type Use = 'transaction' | 'message' | 'raw' | 'digest'

/** Who may receive the key: nobody, anybody, or the holder of the public key with this SHA-256 (32 bytes). */
export type ExportRule = 'none' | 'any' | Uint8Array

/**
 * A sealed key: its specification (deterministic CBOR, the authenticated data) and its envelope. Store both as they
 * are.
 */
export interface Material {
  readonly spec: Uint8Array
  readonly envelope: Uint8Array
}

/** What the caller decides about a new key. `schemes` and `uses` can later only be narrowed. */
export interface KeySpec {
  /** 16 bytes. */
  readonly organization: Uint8Array
  /** Id of the key, 16 bytes. */
  readonly key: Uint8Array
  /** From 1. */
  readonly version: number
  readonly algorithm: string
  readonly schemes: readonly string[]
  readonly uses: readonly Use[]
  readonly export: ExportRule
}

/** A key that was just made or imported: sealed and unused. */
export interface CreatedKey {
  readonly material: Material
  readonly publicKey: Uint8Array
}

/** What a new organization gets: its organization key (sealed by the root) and its log key (sealed by the former). */
export interface CreatedLog {
  readonly organizationKey: Material
  readonly logKey: Material
  /** Ed25519, 32 bytes. */
  readonly logPublicKey: Uint8Array
}

/** Proof that a leaf is in the log at its index, against a checkpoint of `size` that the ledger holds. */
export interface InclusionProof {
  readonly size: number
  readonly path: readonly Uint8Array[]
}

/** One signature to make, authorized and recorded already. */
export interface SignItem {
  /** 16 bytes of the record's id. */
  readonly recordId: Uint8Array
  /** 1 for the first time; above that `proof` is needed and the signature is not counted again. */
  readonly attempt: number
  /** The canonical bytes of the `key.signed` leaf. */
  readonly leaf: Uint8Array
  /** Position of the leaf in the organization's log. */
  readonly index: number
  /** Refused after this time, and when it lies more than 60 s ahead. */
  readonly deadline: number
  readonly organizationKey: Material
  /** Give the same object for the same key within a batch: it then travels once. */
  readonly material: Material
  readonly scheme: string
  /**
   * `raw`: `data` is the message. `digest`: `data` is the digest that goes into the signature. `transaction` and `message`: `data` is what a chain's
   * codec says is to be signed, a digest of 32 bytes where the algorithm signs digests, otherwise the message.
   */
  readonly input: Use
  /** What the message is hashed with, as the leaf says; null where it is signed whole, and for whatever is not `raw`. */
  readonly hash: HashName | null
  readonly data: Uint8Array
  readonly proof?: InclusionProof
}

/** What became of one item. `unknown`: the connection was lost after the item was sent. */
export type SignResult =
  | { readonly kind: 'signed'; readonly signature: Uint8Array; readonly recovery: number | null }
  | { readonly kind: 'refused'; readonly code: RefusalCode }
  | { readonly kind: 'unknown' }

/**
 * Answer to a batch: a result per item in the same order, and the organizations whose statement should be fetched now.
 */
export interface SignAnswer {
  readonly results: readonly SignResult[]
  readonly statementDue: readonly Uint8Array[]
}

/** One row of the signer's algorithm table. */
export interface AlgorithmFacts {
  readonly name: string
  readonly engine: string
  readonly native: boolean
  readonly schemes: readonly Omit<SchemeFacts, 'ownKey' | 'point'>[]
}

/** Answer to hello: who the signer is and what it can. */
export interface Capabilities {
  readonly protocol: number
  readonly instance: string
  /** The highest term the ledger has seen, after this hello. */
  readonly term: number
  /** 16 random bytes of this run of the signer, as hex. */
  readonly boot: string
  /** The signer's Ed25519 identity, 32 bytes. */
  readonly identity: Uint8Array
  /** Open roots, oldest first; the last one seals. */
  readonly roots: readonly Root[]
  readonly algorithms: readonly AlgorithmFacts[]
  readonly memory: {
    /** Whether the arena is locked in fact. */
    readonly locked: boolean
    /** The process's lock limit in bytes, null when unlimited or unknown. */
    readonly limitBytes: number | null
    readonly slots: number
    readonly slotsUsed: number
    /** Bytes of OpenSSL's secure heap, 0 without `--secure-heap`. */
    readonly secureHeapBytes: number
  }
  readonly entropyHealthy: boolean
  readonly ledger: {
    /**
     * True when the signer started without a ledger: logs it does not know sign nothing until the host hands a
     * checkpoint.
     */
    readonly replaced: boolean
    readonly healthy: boolean
    /** Oldest root sequence still accepted. */
    readonly floor: number
    readonly logs: number
  }
}

/** A root key that is open. */
export interface Root {
  /** 16 bytes, as in the envelopes it sealed. */
  readonly id: Uint8Array
  readonly sequence: number
}

/** Where the ledger says a log stands. */
export interface LogHead {
  readonly size: number
  /** 32 bytes. */
  readonly root: Uint8Array
}

/** Proof that the organization's log, now of `size` and `root`, extends the ledger's head of size `from`. */
export interface LogExtension {
  readonly organization: Uint8Array
  /** The ledger's size, from `heads` or from the last checkpoint. */
  readonly from: number
  readonly size: number
  readonly root: Uint8Array
  /** RFC 6962 consistency path; empty when `from` is 0 or equal to `size`. */
  readonly path: readonly Uint8Array[]
}

/** A checkpoint to sign. */
export interface CheckpointRequest extends LogExtension {
  readonly organizationKey: Material
  readonly logKey: Material
}

/** Why a log's extension was refused. With `log.moved`, `head` is where the ledger stands. */
export interface LogRefusal {
  readonly kind: 'refused'
  readonly code: 'log.behind' | 'log.moved' | 'custody.not_opened' | 'custody.wrong_kind' | 'custody.key_destroyed'
  readonly head: LogHead | null
}

/** The signed note (checkpoint, log signature, cosignature with its time), or why not. */
export type CheckpointResult = { readonly kind: 'signed'; readonly note: string } | LogRefusal

/** Whether the log is now proven on this connection. */
export type ProveResult = { readonly kind: 'proven' } | LogRefusal

/** Asks for a log's next statement. */
export interface StatementRequest {
  readonly organization: Uint8Array
  /**
   * `statementHash` of the newest `signer.statement` in the log (32 bytes), null when there is none. When the signer's
   * last statement is newer than this one it was lost on the way, and is answered again byte for byte.
   */
  readonly last: Uint8Array | null
}

/** The fields of a `signer.statement` record, ready for the leaf. */
export interface Statement {
  readonly log: string
  /** The identity's public key, hex. */
  readonly signer: string
  readonly boot: string
  readonly count: number
  readonly chain: string
  readonly runs: readonly (readonly [number, number])[]
  readonly previous: string
  readonly reason: 'minute' | 'restart' | 'runs'
  readonly at: string
  /** Base64, over `statementMessage` of all fields before. */
  readonly signature: string
}

/** A statement, or null when nothing was signed since the last one (or the log is not in the ledger). */
export interface StatementResult {
  readonly organization: Uint8Array
  readonly statement: Statement | null
}

/** A key wrapped by HPKE for the signer. */
export interface WrappedKey {
  /** 65 bytes. */
  readonly enc: Uint8Array
  readonly ciphertext: Uint8Array
}

/** An import: the key's specification as the caller bound it (`publicKey` included), and the wrapped key. */
export interface ImportRequest {
  readonly recordId: Uint8Array
  readonly organizationKey: Material
  readonly wrappingKey: Material
  readonly spec: KeySpec
  readonly publicKey: Uint8Array
  readonly wrapped: WrappedKey
}

/** A new wrapping key. `signature` is the identity's, over `wrappingKeyMessage`. */
export interface CreatedWrappingKey {
  readonly material: Material
  /** P-256, uncompressed SEC1, 65 bytes. */
  readonly publicKey: Uint8Array
  readonly signature: Uint8Array
}

/**
 * A narrowing: what remains. Absent: as it is. With neither, a key that was narrowed in the ledger but not in the
 * database is resealed as the ledger has it.
 */
export interface Narrowing {
  readonly schemes?: readonly string[]
  readonly uses?: readonly Use[]
}

/** A custody failure as the server sees it. */
export type CustodyCode = keyof CustodyFaults
