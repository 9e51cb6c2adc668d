import { hash as digest } from 'node:crypto'
import { Fault } from '@popsigner/crypto/fault'
import { encodeTypeId, uuidBytes, uuidText } from '@popsigner/crypto/typeid'
import type { Pool } from 'pg'
import { type Committer, createCommitter } from '../log/commitments.ts'
import type { OrganizationState, Organizations } from './organization.ts'
import { checkSecret, fingerprintOf, parseToken, type StoredSecret } from './token.ts'

/** Who is asking: an API key of an organization, as of the organization's epoch. */
export interface Credential {
  readonly organization: OrganizationState
  /** uuid text. */
  readonly apiKey: string
  /** The same, 16 bytes. */
  readonly bytes: Uint8Array
  /** `ak_…`, the actor of every record it causes. */
  readonly actor: string
  readonly scopes: ReadonlySet<string>
  /** Namespace ids (uuid text) it is limited to, or null for all. */
  readonly namespaces: ReadonlySet<string> | null
  /** Milliseconds, or null. */
  readonly expiresAt: number | null
  /** Fingerprints (hex) of the secrets that are good, each with the millisecond it ends, if it does. */
  readonly secrets: ReadonlyMap<string, number | null>
  /** Makes the commitments of this actor's texts. */
  readonly committer: Committer
}

/** Why a credential was not accepted. `organization` is known only once the secret was found right. */
export class CredentialFault extends Fault<
  'auth.missing' | 'auth.invalid' | 'auth.expired',
  { organization: string | null; actor: string | null }
> {}

/** Tokens whose secret was checked by Argon2id in this process; the state of the API key is looked at apart from that. */
const maximumTokens = 50_000

/** A credential, and which of its API key's secrets was shown. */
export interface Admission {
  readonly credential: Credential
  /** Hex. */
  readonly fingerprint: string
}

export interface Credentials {
  /**
   * The credential of an `Authorization` header, as of an epoch at most `maximumAge` milliseconds old. Rejects with
   * `CredentialFault`. With `maximumAge` infinite the caller compares the epoch itself.
   */
  authenticate(header: string | undefined, maximumAge: number): Promise<Admission>
  /** The same without waiting, when everything is at hand; undefined otherwise. */
  recall(header: string | undefined): Admission | undefined
  /** Whether the token's secret was found right in this process before; its API key may have been revoked since. */
  isProven(header: string | undefined): boolean
  /** A credential that was good a moment ago, under the present epoch. Rejects with `CredentialFault` when it no longer is. */
  renew(admission: Admission): Promise<Admission>
  /** An API key that may not come in any more, as the actor of the record of that. Null when it never was one. */
  former(organization: string, apiKey: string): Promise<Admission | null>
}

/** Checks API keys in the order checksum, row, fingerprint, Argon2id. */
export function createCredentials(pool: Pool, organizations: Organizations): Credentials {
  const proven = new Map<string, Proven>()

  async function prove(text: string): Promise<Proven> {
    const token = parseToken(text)
    if (!token) throw invalid()
    const apiKey = uuidText(token.id)
    const {
      rows: [row],
    } = await pool.query<StoredSecrets>(
      'select organization_id, hash, fingerprint, previous_hash, previous_fingerprint from api_keys where id = $1',
      [apiKey],
    )
    const stored = row === undefined ? null : storedSecretOf(row, token.secret)
    const right = stored !== null && (await checkSecret(token.secret, stored))
    token.secret.fill(0)
    if (!row || !stored || !right) throw invalid()
    return { organization: row.organization_id, apiKey, fingerprint: stored.fingerprint.toString('hex') }
  }

  async function load(state: OrganizationState, apiKey: string): Promise<Credential | null> {
    const {
      rows: [row],
    } = await pool.query<{
      scopes: string[]
      namespaces: string[] | null
      expires_at: Date | null
      erasure_key: Buffer | null
      fingerprint: Buffer
      previous_fingerprint: Buffer | null
      grace_until: Date | null
    }>(
      `select scopes, namespaces, expires_at, erasure_key, fingerprint, previous_fingerprint, grace_until from api_keys k
         left join actors a on a.organization_id = k.organization_id and a.actor = k.id
       where k.id = $1 and k.organization_id = $2 and revoked_at is null`,
      [apiKey, state.id],
    )
    if (!row?.erasure_key) return null
    const secrets = new Map<string, number | null>([[row.fingerprint.toString('hex'), null]])
    if (row.previous_fingerprint && row.grace_until)
      secrets.set(row.previous_fingerprint.toString('hex'), row.grace_until.getTime())
    const credential: Credential = {
      organization: state,
      apiKey,
      bytes: uuidBytes(apiKey),
      actor: actorText(apiKey),
      scopes: new Set(row.scopes),
      namespaces: row.namespaces ? new Set(row.namespaces) : null,
      expiresAt: row.expires_at?.getTime() ?? null,
      secrets,
      committer: createCommitter(pool, state.id, apiKey, row.erasure_key),
    }
    state.credentials.set(apiKey, credential)
    return credential
  }

  function recall(header: string | undefined): Admission | undefined {
    const text = bearer(header)
    const known = text === null ? undefined : proven.get(digest('sha256', text, 'base64'))
    if (!known) return undefined
    const credential = organizations.peek(known.organization)?.credentials.get(known.apiKey)
    return credential && stateOf(credential, known.fingerprint) === 'good'
      ? { credential, fingerprint: known.fingerprint }
      : undefined
  }

  function isProven(header: string | undefined): boolean {
    const text = bearer(header)
    return text !== null && proven.has(digest('sha256', text, 'base64'))
  }

  async function authenticate(header: string | undefined, maximumAge: number): Promise<Admission> {
    const text = bearer(header)
    if (text === null) throw new CredentialFault('auth.missing', { organization: null, actor: null })
    const name = digest('sha256', text, 'base64')
    let known = proven.get(name)
    if (!known) {
      known = await prove(text)
      if (proven.size >= maximumTokens) proven.delete(proven.keys().next().value as string)
      proven.set(name, known)
    }
    return admit(known, await organizations.get(known.organization, maximumAge))
  }

  /** The state is as fresh as the caller needs it; only the API key's own row may still have to be read. */
  async function admit(
    { organization, apiKey, fingerprint }: Proven,
    state: OrganizationState | null,
  ): Promise<Admission> {
    const credential = state && (state.credentials.get(apiKey) ?? (await load(state, apiKey)))
    const answer = credential ? stateOf(credential, fingerprint) : 'invalid'
    if (!credential || answer === 'invalid') throw new CredentialFault('auth.invalid', { organization, actor: apiKey })
    if (answer === 'expired') throw new CredentialFault('auth.expired', { organization, actor: apiKey })
    return { credential, fingerprint }
  }

  async function renew({ credential, fingerprint }: Admission): Promise<Admission> {
    const organization = credential.organization.id
    return admit(
      { organization, apiKey: credential.apiKey, fingerprint },
      await organizations.get(organization, Number.POSITIVE_INFINITY),
    )
  }

  async function former(organization: string, apiKey: string): Promise<Admission | null> {
    const state = await organizations.get(organization, Number.POSITIVE_INFINITY)
    const {
      rows: [row],
    } = await pool.query<{ erasure_key: Buffer }>(
      'select erasure_key from actors where organization_id = $1 and actor = $2',
      [organization, apiKey],
    )
    if (!state || !row) return null
    const credential: Credential = {
      organization: state,
      apiKey,
      bytes: uuidBytes(apiKey),
      actor: actorText(apiKey),
      scopes: new Set(),
      namespaces: new Set(),
      expiresAt: 0,
      secrets: new Map(),
      committer: createCommitter(pool, organization, apiKey, row.erasure_key),
    }
    return { credential, fingerprint: '' }
  }

  return { authenticate, recall, isProven, renew, former }
}

/** A token whose secret was found right in this process, and which of its API key's secrets it was. */
interface Proven {
  readonly organization: string
  readonly apiKey: string
  readonly fingerprint: string
}

interface StoredSecrets extends StoredSecret {
  readonly organization_id: string
  readonly previous_hash: string | null
  readonly previous_fingerprint: Buffer | null
}

/** The stored secret to check against: the present one, or the one before it where only that fits. */
function storedSecretOf(row: StoredSecrets, secret: Uint8Array): StoredSecret {
  if (row.previous_hash && row.previous_fingerprint && fingerprintOf(secret).equals(row.previous_fingerprint)) {
    return { hash: row.previous_hash, fingerprint: row.previous_fingerprint }
  }
  return row
}

function stateOf(credential: Credential, fingerprint: string): 'good' | 'expired' | 'invalid' {
  const now = Date.now()
  const ends = credential.secrets.get(fingerprint)
  if (ends === undefined || (ends !== null && ends <= now)) return 'invalid'
  return credential.expiresAt !== null && credential.expiresAt <= now ? 'expired' : 'good'
}

function actorText(apiKey: string): string {
  return encodeTypeId('ak', uuidBytes(apiKey))
}

function bearer(header: string | undefined): string | null {
  // The name of a scheme has no case (RFC 9110 §11.1).
  return header !== undefined && /^bearer /i.test(header) ? header.slice(7) : null
}

function invalid(): CredentialFault {
  return new CredentialFault('auth.invalid', { organization: null, actor: null })
}
