import { utf8 } from '@popsigner/crypto/bytes'
import { canonicalJson } from '@popsigner/crypto/canonical-json'
import { sha256 } from '@popsigner/crypto/hash'

/**
 * The vocabulary of effects: what a transaction or a message would do, in words that a rule can judge.
 *
 * Plain JSON, so that its canonical form (RFC 8785) has one hash. Amounts, ids and heights are decimal text; addresses stand in
 * the chain's canonical text; assets are CAIP-19 ids; bytes are lower-case hex behind `0x`. The union is closed: a codec has no
 * other words, and what it cannot say in these is `opaque`. Kinds and fields are append-only.
 */
export type Effect =
  | Transfer
  | Allow
  | Call
  | Create
  | DelegateCode
  | PostBlob
  | Stake
  | Redelegate
  | Claim
  | Vote
  | Grant
  | Revoke
  | Bridge
  | Supply
  | Close
  | SignedMessage
  | Opaque
  | Deposit
  | Propose
  | Redirect

/** An address; `null` is the signer where the bytes alone do not tell who that is. */
export type Account = string | null

/** Value moves. `amount` is `1` for a token that exists once, whose asset id then has a token id. */
export interface Transfer {
  readonly kind: 'transfer'
  readonly asset: string
  readonly from: Account
  readonly to: Account
  readonly amount: string
}

/** Another account may move value of `owner` from now on, up to `amount` in all; `unlimited` also for all tokens of a collection. */
export interface Allow {
  readonly kind: 'allow'
  readonly asset: string
  readonly owner: Account
  readonly spender: string
  /** `0` takes an allowance back. */
  readonly amount: string
  /** Until when it can be used, where it ends by itself: seconds since 1970. */
  readonly expires?: string
}

/** A contract runs, with all that its code may do in the name of `from`. */
export interface Call {
  readonly kind: 'call'
  readonly from: Account
  readonly contract: string
  /** In the native asset's smallest unit. A value above zero is a `transfer` as well. */
  readonly value: string
  /** EVM: the first four bytes of the calldata; `null` where it has fewer. */
  readonly selector: string | null
  /** The signature of the function (`transfer(address,uint256)`), where it is known. */
  readonly function: string | null
  /** By position; `null` where the function is not known. */
  readonly arguments: readonly Argument[] | null
  /** Where the function is known from: the standard of a token or wallet, or the ABI that the caller gave. */
  readonly known_by: 'standard' | 'caller' | null
  /** True where the code runs as `from` itself, with its storage and its funds (EVM: DELEGATECALL from a Safe). */
  readonly delegate: boolean
}

/** One argument of a call. Numbers are decimal text; lists and structures nest. */
export interface Argument {
  readonly name: string | null
  readonly type: string
  readonly value: ArgumentValue
}

/** Text, truth, or a list of such. */
export type ArgumentValue = string | boolean | readonly ArgumentValue[]

/** A contract comes into being and its constructor runs. */
export interface Create {
  readonly kind: 'create'
  readonly from: Account
  readonly value: string
  /** Where it will be; `null` where the bytes alone do not tell. */
  readonly contract: string | null
  /** The chain's hash of the code that runs (EVM: Keccak-256 of the init code). */
  readonly code_hash: string
}

/** An account takes the code of another (EIP-7702): that code may do all that the account may. */
export interface DelegateCode {
  readonly kind: 'delegate_code'
  readonly account: Account
  /** `null` takes the code away again. */
  readonly to: string | null
  /** CAIP-2 id; `null` on every network. */
  readonly network: string | null
  readonly nonce: string
}

/** Data is published. */
export interface PostBlob {
  readonly kind: 'post_blob'
  readonly from: Account
  /** Celestia: the namespace, hex. */
  readonly namespace: string | null
  /** Its length, where the transaction tells. */
  readonly bytes: number | null
  /** What the chain stores of it: the versioned hash (EIP-4844), the share commitment (Celestia). */
  readonly commitment: string
}

/** Value is bound to a validator, or begins to come back from it. */
export interface Stake {
  readonly kind: 'stake' | 'unstake'
  readonly asset: string
  readonly delegator: Account
  readonly validator: string
  readonly amount: string
  /** `stake` of value that was on its way back: the height at which its way back began (Cosmos). */
  readonly unbonding_since?: string
}

/** Bound value goes from one validator to another. */
export interface Redelegate {
  readonly kind: 'redelegate'
  readonly asset: string
  readonly delegator: Account
  readonly from: string
  readonly to: string
  readonly amount: string
}

/** What has been earned is paid out. */
export interface Claim {
  readonly kind: 'claim'
  readonly account: Account
  /** Where it is from, if from one place. */
  readonly validator: string | null
  readonly what: 'rewards' | 'commission'
}

/** A vote on a proposal; several options where it is split, `weight` as decimal text of a share of one. */
export interface Vote {
  readonly kind: 'vote'
  readonly voter: Account
  readonly proposal: string
  readonly options: readonly { readonly option: string; readonly weight: string }[]
}

/** Another account may act in the name of `granter`, or have its fees paid. */
export interface Grant {
  readonly kind: 'grant'
  readonly granter: Account
  readonly grantee: string
  /** What may be done: the chain's name of the action, or `fees`. */
  readonly action: string
  /** What the grant is bound to, as far as the codec understands it; `null` where it has no bounds. */
  readonly limits: readonly { readonly asset: string; readonly amount: string }[] | null
  readonly expires: string | null
  /** Whom value may go to, or which validators it may be staked with; without it, anyone. */
  readonly only_to?: readonly string[]
  /** Whom not. */
  readonly not_to?: readonly string[]
  /** Fees: of which actions only. */
  readonly only_for?: readonly string[]
  /** What may be spent in each such time, beside `limits` for all of it. */
  readonly period?: {
    readonly seconds: string
    readonly limits: readonly { readonly asset: string; readonly amount: string }[]
  }
}

/** Such a grant ends. */
export interface Revoke {
  readonly kind: 'revoke'
  readonly granter: Account
  readonly grantee: string
  readonly action: string
}

/** Value leaves the network. */
export interface Bridge {
  readonly kind: 'bridge'
  readonly asset: string
  readonly from: Account
  /** In the other network's text, unchecked. */
  readonly to: string
  readonly amount: string
  /** The way it goes: port and channel, or the contract. */
  readonly through: string
  /** What goes with it, where there is such; the other network may act on it (ICS-20: forwarding, contracts). */
  readonly memo?: string
}

/** Value comes into being or ceases to be. */
export interface Supply {
  readonly kind: 'mint' | 'burn'
  readonly asset: string
  readonly account: Account
  readonly amount: string
}

/** An account ends, and what it holds goes to another. */
export interface Close {
  readonly kind: 'close'
  readonly account: Account
  readonly to: Account
}

/** A message is signed. What it permits elsewhere stands in effects of its own where the codec knows. */
export interface SignedMessage {
  readonly kind: 'message'
  readonly signer: Account
  readonly convention: string
  /** The text, where it is one that a person can read. */
  readonly text: string | null
  /** SHA-256 of the message as the caller gave it. */
  readonly hash: string
  /** EIP-712: what the signature is bound to, and the type that is signed. */
  readonly domain?: {
    readonly name?: string
    readonly version?: string
    readonly chain?: string
    readonly contract?: string
  }
  readonly type?: string
}

/** Something that the codec does not understand. It may do anything that the signer may. */
export interface Opaque {
  readonly kind: 'opaque'
  /** What it is: `calldata`, a message's type URL, the program of an instruction. */
  readonly what: string
  /** Why it is not understood. */
  readonly why: string
  /** Where it goes: a contract, a program; `null` where it has no one place. */
  readonly subject: string | null
  /** SHA-256 of its bytes. */
  readonly hash: string
}

/** Value is put behind a proposal, and is lost where its vote fails. */
export interface Deposit {
  readonly kind: 'deposit'
  readonly asset: string
  readonly depositor: Account
  /** `null` is the proposal that the same message makes. */
  readonly proposal: string | null
  readonly amount: string
}

/** Something is put to a vote. What it would do, it does in the name of the network if it passes, not of the signer. */
export interface Propose {
  readonly kind: 'propose'
  readonly proposer: Account
  readonly title: string | null
  /** The chain's names of the actions, and SHA-256 of the bytes of each. */
  readonly actions: readonly { readonly name: string; readonly hash: string }[]
}

/** What an account earns is paid to another from now on. */
export interface Redirect {
  readonly kind: 'redirect'
  readonly account: Account
  readonly to: string
  readonly what: 'rewards'
}

/** SHA-256 of the canonical JSON of the effects: what a record says as `effects`. */
export function effectsHash(effects: readonly Effect[]): Uint8Array {
  return sha256(utf8(canonicalJson(effects)))
}
