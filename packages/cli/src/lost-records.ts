import type { PopSigner } from '@popsigner/sdk'
import type { TrustError } from '@popsigner/sdk/errors'
import { Failure } from './failure.ts'

const waitMilliseconds = 5_000

/**
 * What helps where a log is no extension of the checkpoint kept here. It may be an attack, or a loss that the host
 * accepted, which the server's log then says; the server alone is not to be believed in this, so the way back is named with
 * a warning, and not at all where the log has no such record. Any other failure comes back as it is.
 */
export async function withWayBack(failure: Failure, error: TrustError, client: () => PopSigner): Promise<Failure> {
  const { log } = error.detail
  if (!['checkpoint.behind', 'checkpoint.inconsistent'].includes(error.code) || typeof log !== 'string') return failure
  const accepted = await findAcceptedLoss(client).catch(() => undefined)
  if (accepted === null) return failure
  const advice =
    accepted === undefined
      ? 'whether the host accepted a loss cannot be read from the log. It may be an attack: keep the output, and ask whoever runs the instance by another channel.'
      : `the server’s log says that its host accepted a loss (${accepted}), which an attacker can say as well: keep the output, and ask whoever runs the instance by another channel.`
  return new Failure(
    failure.message,
    {
      ...failure.detail,
      advice,
      next: [{ command: `popsigner audit forget ${log}`, when: 'only if they say so: believes the log as it is now' }],
    },
    error,
  )
}

/** The id of the record that says so; null where the log has none; undefined where this API key cannot see it. */
async function findAcceptedLoss(client: () => PopSigner): Promise<string | null | undefined> {
  const find = async (event: string): Promise<string | undefined> => {
    const page = await client().audit.logs(
      { event_type: event, limit: 1 },
      { retries: 0, timeoutMilliseconds: waitMilliseconds },
    )
    return page.logs[0]?.id
  }
  const accepted = await find('log.rollback_accepted')
  if (accepted !== undefined) return accepted
  // Every log begins with this one: an API key that does not see it, being bound to namespaces, would not see the other.
  return (await find('organization.created')) === undefined ? undefined : null
}
