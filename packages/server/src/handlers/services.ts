import { hash } from 'node:crypto'
import { canonicalJson } from '@popsigner/crypto/canonical-json'
import type { SignerClient } from '@popsigner/custody/client'
import type { Material } from '@popsigner/custody/custodian'
import type { EventName } from '@popsigner/transparency/events'
import { type LeafOf, parseLeaf } from '@popsigner/transparency/record'
import type { Pool } from 'pg'
import type { Actor, Changes } from '../changes.ts'
import type { RequestContext } from '../http/access.ts'
import { RequestFault } from '../http/request-fault.ts'
import type { Keeper } from '../log/keeper.ts'
import { readLeaf } from '../log/read-leaf.ts'
import { type Caller, type Claim, claimsOf, type Signing } from '../signing/signing.ts'
import type { OrganizationState } from '../tenants/organization.ts'

/** What handlers work with. */
export interface Services {
  readonly instance: string
  readonly pool: Pool
  readonly changes: Changes
  readonly signer: SignerClient
  readonly keeper: Keeper
  readonly signing: Signing
  /** Looks soon for keys that are due to be destroyed. */
  readonly wakeJobs: () => void
}

/** The caller of a request as the author of changes. */
export function actorOf(caller: Caller): Actor {
  return {
    organization: caller.credential.organization,
    actor: caller.credential.actor,
    committer: caller.credential.committer,
    request: caller.request,
    texts: [caller.address, caller.userAgent],
    renew: async () => actorOf(await caller.renew()),
  }
}

/** The claim of the request's idempotency key over its canonical body; null when it has none. */
export function requestClaim(context: RequestContext, path: string, body: unknown): Claim | null {
  if (context.idempotencyKey === null) return null
  return claimsOf(
    context.caller.credential.actor,
    `${context.route} ${path}`,
    context.idempotencyKey,
    hash('sha256', canonicalJson(body), 'hex'),
  )(0)
}

/** The leaf that an earlier request with the same idempotency key led to. Throws when it is of another event. */
export async function replayedLeaf<E extends EventName>(
  services: Services,
  organization: OrganizationState,
  index: number,
  ...events: E[]
): Promise<LeafOf<E>> {
  const bytes = await readLeaf(services.pool, organization.id, index)
  if (!bytes) throw new RequestFault('record.expired', 'The record of the first time was removed.')
  const leaf = parseLeaf(bytes)
  if (!(events as string[]).includes(leaf.event))
    throw new RequestFault('idempotency.body_mismatch', 'This Idempotency-Key was used with another request.')
  return leaf as LeafOf<E>
}

/** The organization key that seals what is made now. */
export function currentKey(organization: OrganizationState): Material {
  const material = organization.organizationKeys.get(organization.currentOrganizationKey)
  if (!material) throw new Error('an organization without its current key')
  return material
}

/** Encodes the place after which a list goes on. */
export function encodeCursor(parts: readonly (string | number)[]): string {
  return Buffer.from(JSON.stringify(parts)).toString('base64url')
}

/** The place that a cursor names, as `count` texts or numbers of the given kinds. Throws `request.invalid`. */
export function decodeCursor(cursor: string | undefined, form: RegExp): string | null {
  if (cursor === undefined) return null
  try {
    const parts = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8')) as unknown
    if (Array.isArray(parts) && parts.length === 1 && form.test(String(parts[0]))) return String(parts[0])
  } catch {
    // It is refused below like any other that this server did not make.
  }
  throw new RequestFault('request.invalid', 'One field is not accepted.', {
    errors: [{ field: 'cursor', message: 'must be a next_cursor of this list' }],
  })
}

/** The form of a uuid in a cursor. */
export const uuidForm = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
