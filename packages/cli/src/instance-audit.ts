import { type AuditCalls, createAuditCalls } from '@popsigner/sdk/audit'
import { encodeQuery, fillPath } from '@popsigner/sdk/base-url'
import { PopSignerError } from '@popsigner/sdk/errors'
import { routeOf } from '@popsigner/sdk/routes'
import type { CallParts, Transport } from '@popsigner/sdk/transport'
import { createTrust } from '@popsigner/sdk/trust'
import type { TrustStore } from '@popsigner/sdk/trust-store'
import type { Admin } from './admin.ts'
import { Failure } from './failure.ts'

/**
 * The calls over the instance's own log, made at the admin socket. What comes is believed as from any server: against pinned
 * keys and the checkpoint that was kept.
 */
export function instanceAudit(admin: Admin, store: TrustStore): AuditCalls {
  const transport: Transport = {
    url: `unix:${admin.dataDirectory}`,
    fingerprint: null,
    async call(id, parts) {
      const { params, query } = parts as CallParts
      try {
        const path = `log${fillPath(routeOf(id).path, params)}${encodeQuery(query)}`
        return (await admin.call('GET', path)) as never
      } catch (error) {
        throw refusalOf(error) ?? error
      }
    },
    callText: () => Promise.reject(new TypeError('the admin socket answers JSON')),
  }
  return createAuditCalls(transport, createTrust(transport, store))
}

/** The refusal as an API client has it, by whose code the one who believes goes on. */
function refusalOf(error: unknown): PopSignerError | null {
  const problem = error instanceof Failure ? error.detail.problem : undefined
  if (problem === undefined) return null
  const text = (name: string): string => String(problem[name] ?? '')
  return new PopSignerError(
    {
      code: text('code'),
      title: text('title'),
      detail: text('detail'),
      status: Number(problem['status']),
      requestId: text('request_id'),
      errors: (problem['errors'] ?? []) as PopSignerError['errors'],
      retryAfterSeconds: null,
    },
    1,
  )
}
