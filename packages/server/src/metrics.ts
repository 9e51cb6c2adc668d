import { Counter, Gauge, Histogram, Registry } from 'prom-client'

/** Counters of the process. No label names a tenant, a key or an address. */
export interface Metrics {
  readonly registry: Registry
  /** Observes answers of one route, in milliseconds. */
  route(id: string): (milliseconds: number) => void
  refused(code: string): void
  signature(outcome: 'signed' | 'refused' | 'failed' | 'unknown'): void
  batch(items: number, seconds: number): void
  authenticationFailed(code: string): void
}

/** Metrics in a registry of their own. `lag` and `signerRestarts` are read when they are scraped. */
export function createMetrics(read: {
  lagSeconds: () => number
  signerConnected: () => boolean
  logsBehind: () => number
}): Metrics {
  const registry = new Registry()
  const registers = [registry]
  const duration = new Histogram({
    name: 'popsigner_request_seconds',
    help: 'Time of successful answers by route.',
    labelNames: ['route'],
    registers,
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5],
  })
  const refusals = new Counter({
    name: 'popsigner_refusals_total',
    help: 'Answers that are problems, by code.',
    labelNames: ['code'],
    registers,
  })
  const signatures = new Counter({
    name: 'popsigner_signatures_total',
    help: 'Signing items by how they ended.',
    labelNames: ['outcome'],
    registers,
  })
  const failures = new Counter({
    name: 'popsigner_authentication_failures_total',
    help: 'Requests whose credential was refused.',
    labelNames: ['code'],
    registers,
  })
  const batchItems = new Histogram({
    name: 'popsigner_authorize_batch_items',
    help: 'Items in an authorizing transaction.',
    registers,
    buckets: [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000],
  })
  const batchSeconds = new Histogram({
    name: 'popsigner_authorize_seconds',
    help: 'Time of an authorizing transaction.',
    registers,
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1],
  })
  gauge('popsigner_projection_lag_seconds', 'Age of the oldest record that is not searchable yet.', read.lagSeconds)
  gauge('popsigner_signer_connected', '1 while a signer is connected.', () => (read.signerConnected() ? 1 : 0))
  gauge('popsigner_logs_behind', 'Organizations whose log does not extend the ledger.', read.logsBehind)
  gauge('popsigner_resident_bytes', 'Resident memory of this process.', () => process.memoryUsage.rss())
  gauge('popsigner_heap_bytes', 'What of it JavaScript objects have.', () => process.memoryUsage().heapTotal)
  gauge(
    'popsigner_external_bytes',
    'What of it buffers outside of the heap have.',
    () => process.memoryUsage().external,
  )

  function gauge(name: string, help: string, value: () => number): void {
    // Made for its registration: the registry asks it for its value.
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(value())
      },
    })
  }

  // Found by their labels once: that takes as long as counting ten.
  const outcomes = {
    signed: signatures.labels('signed'),
    refused: signatures.labels('refused'),
    failed: signatures.labels('failed'),
    unknown: signatures.labels('unknown'),
  }

  return {
    registry,
    route(id) {
      const observer = duration.labels(id)
      return (milliseconds) => observer.observe(milliseconds / 1000)
    },
    refused: (code) => refusals.inc({ code }),
    signature: (outcome) => outcomes[outcome].inc(),
    batch(items, seconds) {
      batchItems.observe(items)
      batchSeconds.observe(seconds)
    },
    authenticationFailed: (code) => failures.inc({ code }),
  }
}
