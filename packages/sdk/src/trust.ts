/**
 * What a client believes about the server, and why.
 *
 * The first answer is trusted and kept; from then on the store decides. A key that changed is an error, and a
 * checkpoint is believed only with a proof that it extends the one that was kept. All comparisons of an answer are made
 * before anything of it is kept, so that an answer which is wrong in one thing pins nothing.
 */
import { fromBase64, hex } from '@popsigner/crypto/bytes'
import {
  cosignedAt,
  encodeVerifierKey,
  NOTE_COSIGNATURE,
  NOTE_ED25519,
  type VerifiedCheckpoint,
  type VerifierKey,
  verifyCheckpoint,
} from '@popsigner/transparency/checkpoint'
import { logName } from '@popsigner/transparency/events'
import { verifyConsistency } from '@popsigner/transparency/merkle'
import { PopSignerError, TrustError } from './errors.ts'
import { readVerifierKey } from './receipt.ts'
import type { CallOptions, Transport } from './transport.ts'
import type { TrustStore } from './trust-store.ts'

/** Keys that the caller has from elsewhere, as verifier keys: `<name>+<id>+<base64>`. */
export interface Pins {
  /** The log's key. */
  readonly logKey?: string
  /** The identity key of the instance's signer. */
  readonly identity?: string
}

/** The signer's identity, pinned. */
export interface PinnedIdentity {
  readonly instance: string
  /** `org_…` */
  readonly organization: string
  /** Name of the organization's log. */
  readonly log: string
  readonly key: VerifierKey
}

/** The keys of the organization's log, pinned. */
export interface PinnedLogKeys {
  readonly log: string
  readonly logKey: VerifierKey
  readonly identity: VerifierKey
}

/** A checkpoint that is signed by the pinned keys and consistent with all that were believed before. */
export interface BelievedCheckpoint {
  /** Name of the log. */
  readonly log: string
  /** How many records it covers. */
  readonly size: number
  readonly root: Uint8Array
  /**
   * Seconds since 1970 at which the instance cosigned it. An old time means that newer checkpoints are withheld, or
   * none was needed.
   */
  readonly cosignedAt: number
  /** The signed note. */
  readonly note: string
}

/** The trust of one client. */
export interface Trust {
  /** Asks who the signer is and compares it with what is pinned. `TrustError` for any difference. */
  identity(options?: CallOptions): Promise<PinnedIdentity>
  /** Asks for the keys of the log and compares them with what is pinned. `TrustError` for any difference. */
  logKeys(options?: CallOptions): Promise<PinnedLogKeys>
  /** The last checkpoint, believed. `TrustError` where it cannot be. */
  checkpoint(options?: CallOptions): Promise<BelievedCheckpoint>
  /**
   * Proves that a checkpoint, whose signatures are verified, is of the same history as the one that was kept; the
   * larger of the two is kept. `TrustError` where it cannot be proven.
   */
  believe(checkpoint: VerifiedCheckpoint, note: string, options?: CallOptions): Promise<void>
}

/** How often a comparison is made again because another process kept something meanwhile. */
const maxContentions = 10

/** Starts the trust of a client. `RangeError` for a pin that is no key of its kind. */
export function createTrust(transport: Transport, store: TrustStore, pins: Pins = {}): Trust {
  const pinnedLogKey = pins.logKey === undefined ? null : encoded(pins.logKey, NOTE_ED25519, 'pins.logKey')
  const pinnedIdentity = pins.identity === undefined ? null : encoded(pins.identity, NOTE_COSIGNATURE, 'pins.identity')
  let knownIdentity: PinnedIdentity | null = null
  let knownLogKeys: PinnedLogKeys | null = null

  /** What an answer says about account and identity, as it is compared and kept. */
  function claims(log: string, instance: string, identity: string): Claim[] {
    return [
      {
        name: `account:${transport.url}#${transport.fingerprint ?? ''}`,
        value: log,
        given: null,
        code: 'log.changed',
        message: 'this API key has led to another log before',
      },
      {
        name: `identity:${instance}`,
        value: identity,
        given: pinnedIdentity,
        code: 'identity.changed',
        message: `the signer of ${instance} has another identity key than the pinned one`,
      },
    ]
  }

  async function identity(options?: CallOptions): Promise<PinnedIdentity> {
    if (knownIdentity !== null) return knownIdentity
    const answer = await transport.call('signer.get', {}, options)
    const { instance, organization } = answer
    const log = nameLog(instance, organization)
    if (answer.log !== log) throw new TrustError('trust.invalid', 'the signer names a log of another form')
    const key = offered(answer.verifier_key, NOTE_COSIGNATURE, instance, answer.public_key)
    await keep(store, claims(log, instance, encodeVerifierKey(key)))
    knownIdentity = { instance, organization, log, key }
    return knownIdentity
  }

  async function logKeys(options?: CallOptions): Promise<PinnedLogKeys> {
    if (knownLogKeys !== null) return knownLogKeys
    const answer = await transport.call('audit.logKey', {}, options)
    const log = answer.origin
    const instance = String(answer.instance?.name)
    if (log !== nameLog(instance, String(log).slice(instance.length + 1)))
      throw new TrustError('trust.invalid', 'the log is not named after the instance and an organization')
    const logKey = offered(answer.verifier_key, NOTE_ED25519, log, answer.public_key)
    const cosigner = offered(answer.instance.verifier_key, NOTE_COSIGNATURE, instance, answer.instance.public_key)
    await keep(store, [
      ...claims(log, instance, encodeVerifierKey(cosigner)),
      {
        name: `log_key:${log}`,
        value: encodeVerifierKey(logKey),
        given: pinnedLogKey,
        code: 'log_key.changed',
        message: `the log ${log} has another key than the pinned one`,
      },
    ])
    knownLogKeys = { log, logKey, identity: cosigner }
    return knownLogKeys
  }

  async function checkpoint(options?: CallOptions): Promise<BelievedCheckpoint> {
    const keys = await logKeys(options)
    // Read before the request: whatever the server answers afterwards must not be smaller.
    const before = await keptCheckpoint(keys)
    const { checkpoint: note } = await transport.call('audit.checkpoint', {}, options)
    const offeredCheckpoint = verifyCheckpoint(String(note), keys.logKey, [keys.identity])
    const time = offeredCheckpoint === null ? null : cosignedAt(offeredCheckpoint, keys.identity)
    if (offeredCheckpoint === null || time === null)
      throw new TrustError(
        'checkpoint.invalid',
        'the checkpoint is not signed by the log and cosigned by the instance',
        {
          log: keys.log,
        },
      )
    if (before !== null && offeredCheckpoint.size < before.checkpoint.size) throw behind(keys.log, before, note)
    await believe(offeredCheckpoint, note, options)
    return { log: keys.log, size: offeredCheckpoint.size, root: offeredCheckpoint.root, cosignedAt: time, note }
  }

  async function believe(offer: VerifiedCheckpoint, note: string, options?: CallOptions): Promise<void> {
    const keys = await logKeys(options)
    if (offer.origin !== keys.log)
      throw new TrustError('checkpoint.invalid', 'the checkpoint is of another log', { log: keys.log })
    const name = `checkpoint:${keys.log}`
    for (let i = 0; i < maxContentions; i++) {
      const kept = await keptCheckpoint(keys)
      if (kept === null) {
        if (await store.put(name, note, null)) return
        continue
      }
      await proveConsistency(keys.log, kept, offer, note, options)
      if (offer.size <= kept.checkpoint.size || (await store.put(name, note, kept.note))) return
    }
    throw new Error('trust: the store changes faster than it can be compared')
  }

  async function keptCheckpoint({ log, logKey, identity: cosigner }: PinnedLogKeys): Promise<Kept | null> {
    const note = await store.get(`checkpoint:${log}`)
    if (note === null) return null
    const kept = verifyCheckpoint(note, logKey, [cosigner])
    if (kept === null)
      throw new TrustError('trust.invalid', 'the kept checkpoint is not signed by the pinned key', { log })
    return { checkpoint: kept, note }
  }

  /** `TrustError` unless one of the two checkpoints extends the other. */
  async function proveConsistency(
    log: string,
    kept: Kept,
    offer: VerifiedCheckpoint,
    note: string,
    options?: CallOptions,
  ): Promise<void> {
    const [older, newer] = offer.size < kept.checkpoint.size ? [offer, kept.checkpoint] : [kept.checkpoint, offer]
    let path: Uint8Array[] = []
    // Nothing is to be proven by a path between equal sizes, or from the empty log.
    if (older.size > 0 && older.size < newer.size) {
      try {
        const query = { old_size: older.size, new_size: newer.size }
        const answer = await transport.call('audit.consistency', { query }, options)
        path = answer.path.map((hash) => fromBase64(hash))
      } catch (error) {
        const refused = error instanceof PopSignerError && error.code === 'log.range_invalid'
        if (refused && newer === kept.checkpoint) throw behind(log, kept, note)
        if (!refused && !(error instanceof RangeError) && !(error instanceof TypeError)) throw error
        throw inconsistent(log, kept, note)
      }
    }
    if (!verifyConsistency(older.size, newer.size, older.root, newer.root, path)) throw inconsistent(log, kept, note)
  }

  return { identity, logKeys, checkpoint, believe }
}

interface Kept {
  readonly checkpoint: VerifiedCheckpoint
  readonly note: string
}

interface Claim {
  readonly name: string
  readonly value: string
  /** What the caller has from elsewhere, or null. */
  readonly given: string | null
  readonly code: 'log.changed' | 'identity.changed' | 'log_key.changed'
  readonly message: string
}

/** Compares every claim with what is given and kept, then keeps those that are new. */
async function keep(store: TrustStore, claims: readonly Claim[]): Promise<void> {
  const fresh: Claim[] = []
  for (const claim of claims) {
    if (claim.given !== null && claim.given !== claim.value) throw changed(claim, claim.given)
    const kept = await store.get(claim.name)
    if (kept === null) fresh.push(claim)
    else if (kept !== claim.value) throw changed(claim, kept)
  }
  for (const claim of fresh) {
    if (await store.put(claim.name, claim.value, null)) continue
    const kept = await store.get(claim.name)
    if (kept !== claim.value) throw changed(claim, kept ?? '')
  }
}

function changed({ code, message, name, value }: Claim, kept: string): TrustError {
  return new TrustError(code, message, { name, kept, offered: value })
}

function behind(log: string, kept: Kept, note: string): TrustError {
  return new TrustError('checkpoint.behind', `the log ${log} is smaller than it was: records are lost`, {
    ...{ log, kept: kept.note, offered: note },
  })
}

function inconsistent(log: string, kept: Kept, note: string): TrustError {
  return new TrustError('checkpoint.inconsistent', `the log ${log} is no extension of the one that was kept`, {
    ...{ log, kept: kept.note, offered: note },
  })
}

/** A key as the server offers it: of this kind and name, and the same in both its forms. */
function offered(
  text: string,
  algorithm: typeof NOTE_ED25519 | typeof NOTE_COSIGNATURE,
  name: string,
  publicKey: string,
): VerifierKey {
  let key: VerifierKey
  try {
    key = readVerifierKey(String(text), algorithm, 'verifier_key')
  } catch {
    throw new TrustError('trust.invalid', `the key of ${name} is none`)
  }
  if (key.name !== name || hex(key.publicKey) !== publicKey)
    throw new TrustError('trust.invalid', `the key of ${name} has another name, or two values`)
  return key
}

function nameLog(instance: string, organization: string): string {
  try {
    return logName(instance, organization)
  } catch {
    throw new TrustError('trust.invalid', 'the server names no instance or no organization')
  }
}

function encoded(key: string, algorithm: typeof NOTE_ED25519 | typeof NOTE_COSIGNATURE, name: string): string {
  return encodeVerifierKey(readVerifierKey(key, algorithm, name))
}
