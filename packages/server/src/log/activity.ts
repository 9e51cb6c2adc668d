import { encodeTypeId } from '@popsigner/crypto/typeid'
import { buildLeaf, type LeafInput } from '@popsigner/transparency/record'
import type { Authorizer } from '../authorize/authorizer.ts'
import { newUuid } from '../ids.ts'
import type { Caller } from '../signing/signing.ts'
import type { Organizations } from '../tenants/organization.ts'
import { commit } from './commitments.ts'

const flushMilliseconds = 1_000
const useMilliseconds = 60_000
const maximumAttempts = 5
const maximumPending = 10_000

/** Records that nobody waits for: that an API key was used, and that something was refused. */
export interface Activity {
  /** At most one record a minute for each API key and address. */
  used(caller: Caller): void
  /** At most one record a second for each actor, code and key, with their number. */
  denied(caller: Caller, event: 'key.sign_denied' | 'auth.denied', code: string, key: string | null): void
  /** Hands over what is pending. */
  close(): Promise<void>
}

interface Denial {
  readonly caller: Caller
  readonly event: 'key.sign_denied' | 'auth.denied'
  readonly code: string
  readonly key: string | null
  count: number
}

/** Collects them in memory and appends them once a second. `onUsed` is told of an API key's use as often as a record is made. */
export function createActivity(
  authorizer: Authorizer,
  organizations: Organizations,
  onUsed: (apiKey: string, at: number) => void,
): Activity {
  const uses = new Map<string, number>()
  let denials = new Map<string, Denial>()

  function append(caller: Caller, make: (common: Common) => LeafInput, attempt = 0): Promise<void> {
    const record = newUuid()
    const id = encodeTypeId('rec', record)
    const stamp = Date.now()
    const { organization, actor } = caller.credential
    const leaf = buildLeaf(
      make({
        log: organization.log,
        id,
        time: new Date(stamp).toISOString(),
        actor,
        request: caller.request,
        address: commit(caller.address, id),
        user_agent: commit(caller.userAgent, id),
      }),
    )
    const epoch = organizations.peek(organization.id)?.epoch ?? organization.epoch
    return authorizer
      .submit({
        organization: organization.id,
        epoch,
        record,
        stamp,
        leaf,
        texts: caller.texts,
        charge: 0,
        limit: null,
        claim: null,
        body: null,
      })
      .then((answer) => {
        if (answer.status === 'epoch' && attempt < maximumAttempts) {
          organizations.supersede(organization.id, answer.epoch)
          return organizations.get(organization.id, Number.POSITIVE_INFINITY).then(
            () => append(caller, make, attempt + 1),
            // Without a database there is no record of it.
            () => {},
          )
        }
        return undefined
      })
  }

  async function flush(): Promise<void> {
    const due = denials
    denials = new Map()
    await Promise.all(
      [...due.values()].map(({ caller, event, code, key, count }) =>
        append(caller, (common) =>
          event === 'auth.denied'
            ? { ...common, event, code, count }
            : { ...common, event, code, count, ...(key === null ? {} : { key }) },
        ),
      ),
    )
  }

  const timer = setInterval(() => {
    void flush()
    const now = Date.now()
    for (const [name, at] of uses) if (now - at >= useMilliseconds) uses.delete(name)
  }, flushMilliseconds)

  return {
    used(caller) {
      const name = `${caller.credential.apiKey} ${caller.address.id}`
      const now = Date.now()
      const last = uses.get(name)
      if (last !== undefined && now - last < useMilliseconds) return
      if (uses.size >= maximumPending) return
      uses.set(name, now)
      onUsed(caller.credential.apiKey, now)
      void append(caller, (common) => ({ ...common, event: 'auth.api_key_used' }))
    },
    denied(caller, event, code, key) {
      const name = `${caller.credential.apiKey} ${event} ${code} ${key}`
      const pending = denials.get(name)
      if (pending) pending.count++
      else if (denials.size < maximumPending) denials.set(name, { caller, event, code, key, count: 1 })
    },
    async close() {
      clearInterval(timer)
      await flush()
    },
  }
}

interface Common {
  readonly log: string
  readonly id: string
  readonly time: string
  readonly actor: string
  readonly request: string
  readonly address: string
  readonly user_agent: string
}
