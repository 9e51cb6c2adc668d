import type { RouteId } from '@popsigner/api/routes'

/** Routes whose requests take long, many times as long as a signature. */
const bulkRoutes: ReadonlySet<RouteId> = new Set<RouteId>([
  'audit.list',
  'keys.create',
  'keys.createBatch',
  'keys.import',
  'keys.export',
  'keys.rotate',
])

/** How long an organization's bulk work rests after a step during which signatures were asked for, in steps. */
const restFactor = 6
const longestRestMilliseconds = 1_000

/** Whether the route's requests run as bulk work. */
export function isBulk(route: RouteId): boolean {
  return bulkRoutes.has(route)
}

/** Keeps bulk work from delaying signatures. */
export interface Bulk {
  /** Runs `task` after what the organization has there already. */
  run<T>(organization: string, task: () => Promise<T>): Promise<T>
}

/**
 * One request of bulk work at a time for each organization, and a rest after it that is as long as signatures can use: none
 * while nobody signs. `signatures` counts those that were asked for in this process.
 */
export function createBulk(signatures: () => number): Bulk {
  const lanes = new Map<string, Promise<void>>()

  async function run<T>(organization: string, task: () => Promise<T>): Promise<T> {
    const before = lanes.get(organization)
    let leave = (): void => {}
    const mine = new Promise<void>((resolve) => {
      leave = resolve
    })
    lanes.set(organization, mine)
    await before
    const began = performance.now()
    const count = signatures()
    try {
      return await task()
    } finally {
      // Each lane takes its share of the same processor.
      const rest = signatures() === count ? 0 : (performance.now() - began) * restFactor * lanes.size
      if (rest === 0) end()
      else setTimeout(end, Math.min(rest, longestRestMilliseconds))
    }

    function end(): void {
      leave()
      if (lanes.get(organization) === mine) lanes.delete(organization)
    }
  }

  return { run }
}
