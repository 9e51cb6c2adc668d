import type { RequestContext } from '../http/access.ts'
import { RequestFault } from '../http/request-fault.ts'

/** Runs one request at a time for each idempotency key; `request.in_progress` for another meanwhile. `path` names what the route is about. */
export type Once = <T>(context: RequestContext, path: string, run: () => Promise<T>) => Promise<T>

/** The requests in progress of one server process. */
export function createOnce(): Once {
  const inProgress = new Set<string>()
  return async (context, path, run) => {
    if (context.idempotencyKey === null) return run()
    const name = `${context.caller.credential.apiKey} ${context.route} ${path} ${context.idempotencyKey}`
    if (inProgress.has(name))
      throw new RequestFault('request.in_progress', 'A request with this Idempotency-Key has not ended yet.', {
        retryAfterSeconds: 1,
      })
    inProgress.add(name)
    try {
      return await run()
    } finally {
      inProgress.delete(name)
    }
  }
}
