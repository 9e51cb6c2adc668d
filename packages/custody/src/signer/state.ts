import type { SigningHandle } from '@popsigner/crypto/algorithms'
import type { Entropy } from '@popsigner/crypto/entropy'
import type { Secret } from '@popsigner/crypto/secret'
import type { CreatedKey } from '../custodian.ts'
import type { Ledger } from '../ledger.ts'
import type { Keyring } from './keyring.ts'

/** All that a running signer has. One of it exists in the process; operations are functions over it. */
export interface Signer {
  readonly instance: string
  /** 16 random bytes of this run, in hex. */
  readonly boot: string
  readonly entropy: Entropy
  readonly ledger: Ledger
  readonly keyring: Keyring
  readonly identity: Identity
  readonly keyFile: string
  readonly identityFile: string
  readonly hostKey: Secret
  /** Nonces given out for host actions and not used yet, in hex, with the time they end. */
  readonly hostNonces: Map<string, number>
  /** Keys made lately by record id in hex, so that a repeated request gets the same key. */
  readonly made: Map<string, { readonly request: string; readonly key: CreatedKey | Promise<CreatedKey> }>
  /** Whether the arena and the secure heap are locked in fact, and the process's limit. */
  readonly memory: { readonly locked: boolean; readonly limitBytes: number | null; readonly secureHeapBytes: number }
  /** Set while a root rotation or retirement writes the key file: a second one is refused. */
  rootsBusy: boolean
  /** Milliseconds since 1970. */
  readonly now: () => number
}

/** The signer's own Ed25519 key, which signs statements, cosignatures and wrapping keys. */
export interface Identity {
  readonly publicKey: Uint8Array
  readonly publicKeyHex: string
  readonly handle: SigningHandle
}

/** What the signer remembers of one connection. */
export interface Session {
  /** Set by hello; nothing else is answered before. */
  greeted: boolean
  /** Organizations (hex) whose log was proven on this connection to extend the ledger. */
  readonly proven: Set<string>
}
