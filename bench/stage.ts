import { randomBytes } from 'node:crypto'
import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { BareReady, LoopResult } from './bare.ts'
import type { BesideJob, BesideResult } from './beside.ts'
import { type Instance, startInstance } from './instance.ts'
import { freshSlot, idSlot, type LoadJob, type LoadResult } from './load.ts'
import { type Program, startProgram } from './programs.ts'

/** How long things are measured, in milliseconds, and how often. */
export interface Plan {
  /** Before each slice, sent and not measured: long enough that the projection has work as steady as the slice itself. */
  readonly warm: number
  readonly slice: number
  /** Slices of each side of a comparison, alternating; the median counts. */
  readonly slices: number
  readonly sustained: number
}

/** What all measurements work with. */
export interface Stage {
  readonly plan: Plan
  readonly instance: Instance
  readonly engine: string
  /** Ids of the keys that sign. */
  readonly keys: readonly string[]
  /** The first answers of each kind of measurement that were not the ones expected. */
  readonly refusals: readonly string[]
  /** Sends `request` from so many connections for a slice. Throws when no answer was good. */
  load(target: 'instance' | 'bare', request: string, options: LoadOptions): Promise<LoadResult>
  /** Signatures a second of the bare loop, over a slice. */
  loop(): Promise<number>
  /** Does `what` while `measure` runs. */
  beside<T>(what: BesideJob['what'], measure: () => Promise<T>): Promise<{ value: T; beside: BesideResult }>
}

export interface LoadOptions {
  readonly connections: number
  readonly ids?: readonly string[]
  readonly status?: number
  readonly together?: boolean
  /** Whether to wait afterwards until nothing is left for later. Default true. */
  readonly settle?: boolean
  /** In milliseconds, where the plan's do not fit. */
  readonly warm?: number
  readonly slice?: number
}

const signingKeys = 64
const dataBytes = 200

/** Starts an instance below `directory`, the comparison, the load generator and the other client. `track` is given what ends each. */
export async function setStage(
  plan: Plan,
  directory: string,
  track: (end: () => Promise<void>) => void,
): Promise<Stage> {
  const start = (file: string): Program => {
    const program = startProgram(file)
    track(program.close)
    return program
  }
  const bare = start('bare.ts')
  const [ready, instance] = await Promise.all([bare.next<BareReady>(), startInstance(track, directory)])
  const loader = start('load.ts')
  const other = start('beside.ts')
  const keys = await createKeys(instance, signingKeys)
  const refusals: string[] = []

  return {
    plan,
    instance,
    engine: ready.engine,
    keys,
    refusals,
    async load(target, request, { connections, ids, status, together, settle, warm, slice }) {
      const place = target === 'bare' ? { host: '127.0.0.1', port: ready.port } : instance
      const job: LoadJob = {
        host: place.host,
        port: place.port,
        connections,
        warmMilliseconds: warm ?? plan.warm,
        milliseconds: slice ?? plan.slice,
        request,
        ids: ids ?? keys,
        status: status ?? 200,
        together: together ?? false,
      }
      const result = await loader.ask<LoadResult>(job)
      if (result.bad > 0)
        refusals.push(
          `${result.bad} of ${result.bad + result.count} with ${connections} connections: ${result.firstBad}`,
        )
      if (result.count === 0)
        throw new Error(`no good answer came in the time of a slice; the first other: ${result.firstBad}`)
      // What was left for later is not a burden on the next.
      if (target === 'instance' && settle !== false) await instance.settled()
      return result
    },
    async loop() {
      const { signatures, milliseconds } = await bare.ask<LoopResult>({ milliseconds: plan.slice })
      return (signatures * 1000) / milliseconds
    },
    async beside(what, measure) {
      const { host, port, token } = instance
      const done = other.ask<BesideResult>({ what, host, port, token } satisfies BesideJob)
      done.catch(() => {})
      const value = await measure().finally(() => other.tell({ stop: true }))
      const result = { value, beside: await done }
      await instance.settled()
      return result
    },
  }
}

/** Makes so many keys, a hundred in a call, and gives their ids. */
export async function createKeys(instance: Instance, count: number): Promise<string[]> {
  const ids: string[] = []
  while (ids.length < count) {
    const prefix = `bench-${randomBytes(8).toString('hex')}`
    const body = {
      prefix,
      count: Math.min(100, count - ids.length),
      namespace: 'production',
      algorithm: 'secp256k1',
      exportable: false,
    }
    const { keys } = (await instance.call('POST', '/v1/keys/batch', body)) as { keys: { id: string }[] }
    ids.push(...keys.map((key) => key.id))
  }
  return ids
}

/** The median of write and fdatasync of 8 KiB in this directory, in milliseconds: what a commit costs at least. */
export function measureSync(directory: string): number {
  const file = join(directory, `popsigner-bench-sync-${process.pid}`)
  const handle = openSync(file, 'w', 0o600)
  try {
    const page = randomBytes(8192)
    const times = Array.from({ length: 50 }, () => {
      const began = performance.now()
      writeSync(handle, page)
      fdatasyncSync(handle)
      return performance.now() - began
    })
    return median(times)
  } finally {
    closeSync(handle)
    rmSync(file, { force: true })
  }
}

/** The middle of the values; of an even number of them the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const upper = sorted[Math.floor(sorted.length / 2)] ?? 0
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[sorted.length / 2 - 1] ?? 0)) / 2
}

const oneItem = { data: randomBytes(dataBytes).toString('base64'), encoding: 'base64' }

/** A request for one signature, with a key of its own each time. */
export function signRequest(token: string, path = `/v1/keys/${idSlot}/sign`): string {
  return httpRequest('POST', path, token, JSON.stringify(oneItem))
}

/** A request for as many signatures as there are ids. */
export function batchRequest(token: string, ids: readonly string[]): string {
  const requests = ids.map((key_id) => ({ key_id, data: randomBytes(dataBytes).toString('base64') }))
  return httpRequest('POST', '/v1/sign/batch', token, JSON.stringify({ requests, encoding: 'base64' }))
}

/** A request that signs a transfer of type 2 on eip155:1. */
export function transactionRequest(token: string): string {
  const transaction =
    '0x02f00109843b9aca008504a817c800825208943535353535353535353535353535353535353535880de0b6b3a764000080c0'
  return httpRequest(
    'POST',
    `/v1/keys/${idSlot}/sign-transaction`,
    token,
    JSON.stringify({ chain: 'eip155:1', transaction }),
  )
}

export function readRequest(token: string): string {
  return httpRequest('GET', `/v1/keys/${idSlot}`, token)
}

export function createRequest(token: string): string {
  const body = { name: `k-${freshSlot}`, namespace: 'production', algorithm: 'secp256k1', exportable: false }
  return httpRequest('POST', '/v1/keys', token, JSON.stringify(body))
}

function httpRequest(method: string, path: string, token: string, body?: string): string {
  const head = [
    `${method} ${path} HTTP/1.1`,
    'host: 127.0.0.1',
    `authorization: Bearer ${token}`,
    'user-agent: popsigner-bench',
  ]
  if (body === undefined) return `${head.join('\r\n')}\r\n\r\n`
  head.push(`idempotency-key: ${freshSlot}`, 'content-type: application/json', `content-length: ${body.length}`)
  return `${head.join('\r\n')}\r\n\r\n${body}`
}
