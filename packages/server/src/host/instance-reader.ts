import { readInput } from '@popsigner/api/read'
import { type Input, type RouteId, routeOf } from '@popsigner/api/routes'
import { auditHandlers, type LogReader, logRoutes } from '../handlers/audit.ts'
import { RequestFault } from '../http/request-fault.ts'
import { instanceState, instanceUuid } from './instance-log.ts'
import type { HostServices } from './new-organization.ts'

/** Answers a GET of one of the API's routes over a log, by path and query, with what the instance's own log says. */
export type ReadInstanceLog = (path: string, query: Readonly<Record<string, unknown>>) => Promise<unknown>

/**
 * How the host reads the instance's own log: by the API's routes over a log, with their paths, parameters and answers, at the
 * admin socket and nowhere else. Throws `RequestFault` as they do.
 */
export function createInstanceReader(services: HostServices): ReadInstanceLog {
  const handlers = auditHandlers(services)
  return async (path, query) => {
    for (const id of logRoutes) {
      const found = new RegExp(`^${routeOf(id).path.replace(/\{(\w+)\}/, '(?<$1>[^/]+)')}$`).exec(path)
      if (!found) continue
      const input = readParts(id, { ...found.groups }, query)
      const organization = await instanceState(services)
      const reader: LogReader = {
        headers: {},
        caller: { credential: { organization, apiKey: instanceUuid, namespaces: null } },
      }
      return handlers[id](reader, input as never)
    }
    throw new RequestFault('route.not_found', 'No route over a log has this path.')
  }
}

function readParts(id: RouteId, params: object, query: object): Input<RouteId> {
  const route = routeOf(id)
  const parts = { params: {}, query: {} }
  for (const [part, value] of Object.entries({ params, query }) as ['params' | 'query', object][]) {
    const schema = route[part]
    if (!schema) {
      const [unknown] = Object.keys(value)
      if (unknown !== undefined) throw refused([{ field: unknown.slice(0, 120), message: 'is not a known field' }])
      continue
    }
    const reading = readInput(schema, value)
    if (!reading.ok) throw refused(reading.errors)
    parts[part] = reading.value as object
  }
  return parts as unknown as Input<RouteId>
}

function refused(errors: readonly { field: string; message: string }[]): RequestFault {
  return new RequestFault('request.invalid', 'One field is not accepted.', { errors: [...errors] })
}
