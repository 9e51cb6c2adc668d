/** What a plan allows; null is no limit. */
export interface Plan {
  readonly keys: number | null
  readonly signaturesPerMonth: number | null
  readonly namespaces: number | null
  /** Days that records of signatures, denials and sign-ins are kept. */
  readonly retentionDays: number | null
  /** Requests a second for the whole organization. A batch counts once. */
  readonly requestsPerSecond: number | null
  /** Whether a key may be destroyed without waiting. */
  readonly immediateDeletion: boolean
}

/** The plans of the source document, and the one of an instance of one's own. Data: nothing else knows their names. */
export const plans: Readonly<Record<string, Plan>> = Object.freeze({
  __proto__: null,
  free: {
    keys: 3,
    signaturesPerMonth: 10_000,
    namespaces: 1,
    retentionDays: 7,
    requestsPerSecond: 1000,
    immediateDeletion: false,
  },
  pro: {
    keys: 25,
    signaturesPerMonth: 500_000,
    namespaces: 5,
    retentionDays: 90,
    requestsPerSecond: 1000,
    immediateDeletion: false,
  },
  enterprise: {
    keys: null,
    signaturesPerMonth: null,
    namespaces: null,
    retentionDays: 365,
    requestsPerSecond: 1000,
    immediateDeletion: false,
  },
  self_hosted: {
    keys: null,
    signaturesPerMonth: null,
    namespaces: null,
    retentionDays: null,
    requestsPerSecond: null,
    immediateDeletion: true,
  },
} as unknown as Record<string, Plan>)

/** The plan of that name; throws `RangeError` naming the ones there are. */
export function plan(name: string): Plan {
  const found = plans[name]
  if (!found) throw new RangeError(`plan: expected one of ${Object.keys(plans).join(', ')}`)
  return found
}
