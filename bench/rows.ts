import { setTimeout as delay } from 'node:timers/promises'
import type { BesideResult } from './beside.ts'
import { openDatabase } from './database.ts'
import { idSlot, type LoadResult } from './load.ts'
import { memoryOf } from './processes.ts'
import {
  batchRequest,
  createRequest,
  type LoadOptions,
  median,
  readRequest,
  type Stage,
  signRequest,
  transactionRequest,
} from './stage.ts'

/** One line of the table. Times in milliseconds; what was not measured is null. */
export interface Row {
  readonly section: string
  readonly name: string
  readonly connections: number | null
  /** A second: signatures where they are made, else what the name says. */
  readonly rate: number | null
  readonly p50: number | null
  readonly p95: number | null
  readonly p99: number | null
  readonly max: number | null
  /** Median of the ratios of neighbouring slices, and to which row. */
  readonly ratio: number | null
  readonly ratioTo: string | null
  readonly note: string | null
  /** Answers that were not the ones expected, warm-up included. */
  readonly refused: number
}

/** Takes a row as soon as it is measured. */
export type Put = (row: Row) => void

type Times = Pick<LoadResult, 'rate' | 'p50' | 'p95' | 'p99' | 'max' | 'bad'>

const singleConnections = [1, 8, 32, 128, 512]
const batchConnections = [1, 4, 16]
const besideConnections = 128
const slowConnections = 32

/** The echo, and the bare route beside the real one, single signatures. */
export async function measureSingles(stage: Stage, put: Put): Promise<void> {
  const { instance } = stage
  const section = 'single signatures'
  for (const connections of [32, 128]) {
    const echo = await stage.load('bare', signRequest(instance.token, `/echo/${idSlot}`), { connections })
    put({ ...plain(section, 'echo', connections, echo), note: `generator ${echo.ownMicroseconds.toFixed(1)} µs` })
  }
  for (const connections of singleConnections) await measureSingle(stage, put, section, connections)
}

async function measureSingle(stage: Stage, put: Put, section: string, connections: number): Promise<void> {
  const [bare, real] = await alternate(stage.plan.slices, [
    () => bareSign(stage, connections),
    () => realSign(stage, connections),
  ])
  put(summary(section, 'bare route', connections, bare))
  put(compared(section, 'server', connections, real, bare, 'bare route'))
}

/** Batches of 100 beside the bare loop; batches of 4; and what one more signature costs a caller who waits. */
export async function measureBatches(stage: Stage, put: Put): Promise<void> {
  const { instance, plan, keys } = stage
  const section = 'batches'
  await checkBatch(stage, 100)
  for (const connections of batchConnections) await measureHundreds(stage, put, section, connections)
  const four = batchRequest(instance.token, keys.slice(0, 4))
  for (const connections of batchConnections) {
    const result = await stage.load('instance', four, { connections })
    put(summary(section, 'batch of 4', connections, perItem([result], 4)))
  }
  const waits = 'one caller who waits'
  const short = { slice: plan.slice / 2, warm: plan.warm / 2 }
  const [single, batch, parallel] = await alternate(plan.slices, [
    () => realSign(stage, 1, short),
    () => stage.load('instance', four, { connections: 1, ...short }),
    () => stage.load('instance', signRequest(instance.token), { connections: 4, together: true, ...short }),
  ])
  put(summary(waits, 'one single request', 1, single))
  const putRatio = (name: string, connections: number, slices: readonly LoadResult[]): void => {
    const ratio = ratioOf(
      slices.map((one) => one.p50),
      single.map((one) => one.p50),
    )
    put({ ...summary(waits, name, connections, perItem(slices, 4)), ratio, ratioTo: 'one single, p50' })
  }
  putRatio('batch of 4', 1, batch)
  putRatio('four parallel single requests', 4, parallel)
}

async function measureHundreds(stage: Stage, put: Put, section: string, connections: number): Promise<void> {
  const request = batchRequest(stage.instance.token, repeat(stage.keys, 100))
  const [loop, slices] = await alternate(Math.max(1, stage.plan.slices - 1), [
    () => stage.loop(),
    () => stage.load('instance', request, { connections }),
  ])
  const real = perItem(slices, 100)
  put({ ...nothing(section, 'bare loop, one process'), rate: median(loop) })
  const ratio = ratioOf(
    real.map((one) => one.rate),
    loop,
  )
  put({ ...summary(section, 'batch of 100', connections, real), ratio, ratioTo: 'bare loop' })
}

/** A transfer on an EVM network: read, signed, and answered with what it does. */
export async function measureTransactions(stage: Stage, put: Put): Promise<void> {
  for (const connections of [1, 32, 128]) {
    const signed = await stage.load('instance', transactionRequest(stage.instance.token), { connections })
    put(plain('transactions', 'sign an EVM transfer', connections, signed))
  }
}

/** Reads of a key, and making keys. */
export async function measureKeys(stage: Stage, put: Put): Promise<void> {
  const { token } = stage.instance
  for (const connections of [1, 32, 128]) {
    put(plain('keys', 'read a key', connections, await stage.load('instance', readRequest(token), { connections })))
  }
  for (const connections of [1, 8]) {
    const made = await stage.load('instance', createRequest(token), { connections, status: 201 })
    put(plain('keys', 'create a key', connections, made))
  }
}

/** Single signatures with and without a client that streams the log, and with and without slow custodian calls. */
export async function measureBeside(stage: Stage, put: Put): Promise<void> {
  await measureOneBeside(stage, put, 'stream', besideConnections, (one) => one.rate)
  await measureOneBeside(stage, put, 'custody', slowConnections, (one) => one.p99)
}

async function measureOneBeside(
  stage: Stage,
  put: Put,
  what: 'stream' | 'custody',
  connections: number,
  read: (one: LoadResult) => number,
): Promise<void> {
  const name = what === 'stream' ? 'beside streaming' : 'beside slow custodian calls'
  const [without, both] = await alternate(stage.plan.slices, [
    () => realSign(stage, connections),
    () => stage.beside(what, () => realSign(stage, connections, { settle: false })),
  ])
  const beside = both.map((one) => one.value)
  put(summary(name, 'without', connections, without))
  const ratioTo = what === 'stream' ? 'without' : 'without, p99'
  put({ ...summary(name, name, connections, beside), ratio: ratioOf(beside.map(read), without.map(read)), ratioTo })
  const sum = (of: (one: BesideResult) => number): number => both.reduce((total, one) => total + of(one.beside), 0)
  put({
    ...nothing(name, what === 'stream' ? 'records streamed' : 'keys made, imported, exported'),
    rate: (sum((one) => one.count) * 1000) / sum((one) => one.milliseconds),
    max: Math.max(...both.map((one) => one.beside.longest)),
  })
}

/** Signing for long, and how far the search table falls behind and what memory all processes take meanwhile. */
export async function measureSustained(stage: Stage, put: Put): Promise<void> {
  const { instance, plan } = stage
  const section = `sustained for ${Math.round(plan.sustained / 1000)} s`
  const database = await openDatabase(instance)
  let running = true
  let reported = 0
  const ages: number[] = []
  let memory = memoryOf(instance.supervisor)
  const watch = async (): Promise<void> => {
    for (let n = 0; running; n++) {
      await delay(200)
      ages.push(await database.oldestWaiting())
      reported = Math.max(reported, await instance.lagMilliseconds())
      if (n % 20 === 0 && memory !== null) memory = Math.max(memory, memoryOf(instance.supervisor) ?? 0)
    }
  }
  const watching = watch()
  try {
    const result = await stage.load('instance', signRequest(instance.token), {
      connections: 128,
      slice: plan.sustained,
    })
    running = false
    await watching
    put(plain(section, 'server', 128, result))
  } finally {
    running = false
    await watching.catch(() => {})
    await database.end()
  }
  ages.sort((a, b) => a - b)
  const share = (part: number): number => ages[Math.min(ages.length - 1, Math.floor(part * ages.length))] ?? 0
  put({
    ...nothing(section, 'projection behind the log'),
    p50: share(0.5),
    p95: share(0.95),
    p99: share(0.99),
    max: Math.max(reported, ages.at(-1) ?? 0),
  })
  if (memory !== null) put({ ...nothing(section, 'memory of all processes, MB'), max: memory / 1e6 })
}

/** The rates that must not depend on how much lies in the database. `section` says when. */
export async function measureRates(stage: Stage, put: Put, section: string): Promise<void> {
  const { token } = stage.instance
  for (const connections of [128, 512]) await measureSingle(stage, put, section, connections)
  await measureHundreds(stage, put, section, 4)
  const [echo, read] = await alternate(stage.plan.slices, [
    () => stage.load('bare', signRequest(token, `/echo/${idSlot}`), { connections: 32 }),
    () => stage.load('instance', readRequest(token), { connections: 32 }),
  ])
  put(compared(section, 'read a key', 32, read, echo, 'echo'))
  const made = await stage.load('instance', createRequest(token), { connections: 1, status: 201 })
  put(plain(section, 'create a key', 1, made))
}

/** Signing and reading with more keys than any cache of the server or the signer holds. */
export async function measureManyKeys(stage: Stage, put: Put, ids: readonly string[], section: string): Promise<void> {
  const { token } = stage.instance
  const signed = await stage.load('instance', signRequest(token), { connections: 128, ids })
  put(plain(section, `server, ${ids.length} keys in turn`, 128, signed))
  const read = await stage.load('instance', readRequest(token), { connections: 32, ids })
  put(plain(section, `read a key, ${ids.length} in turn`, 32, read))
}

function realSign(stage: Stage, connections: number, more: Partial<LoadOptions> = {}): Promise<LoadResult> {
  return stage.load('instance', signRequest(stage.instance.token), { connections, ...more })
}

function bareSign(stage: Stage, connections: number): Promise<LoadResult> {
  // It defers nothing, so that a short warm-up is enough.
  const request = signRequest(stage.instance.token, `/sign/${idSlot}`)
  return stage.load('bare', request, { connections, warm: Math.min(200, stage.plan.warm) })
}

/** Runs the tasks in turn, so often; answers the results of each. */
async function alternate<T extends readonly (() => Promise<unknown>)[]>(
  times: number,
  tasks: readonly [...T],
): Promise<{ [K in keyof T]: Awaited<ReturnType<T[K]>>[] }> {
  const results: unknown[][] = tasks.map(() => [])
  for (let i = 0; i < times; i++) for (const [k, task] of tasks.entries()) results[k]?.push(await task())
  return results as { [K in keyof T]: Awaited<ReturnType<T[K]>>[] }
}

/** The median of the ratios of neighbours: what drifts with the machine drifts in both. */
function ratioOf(values: readonly number[], to: readonly number[]): number {
  return median(values.map((value, i) => value / (to[i] ?? Number.NaN)))
}

/** The same slices, counting the items of their batches. */
function perItem(slices: readonly LoadResult[], items: number): LoadResult[] {
  return slices.map((one) => ({ ...one, rate: one.rate * items }))
}

/** A batch answers 200 whatever its items: here one is looked at. */
async function checkBatch({ instance, keys }: Stage, count: number): Promise<void> {
  const requests = repeat(keys, count).map((key_id) => ({ key_id, data: 'AAAA' }))
  const { signatures } = (await instance.call('POST', '/v1/sign/batch', { requests })) as {
    signatures: { signature?: string }[]
  }
  const failed = signatures.find((one) => typeof one.signature !== 'string')
  if (signatures.length !== count || failed) throw new Error(`a batch was not signed: ${JSON.stringify(failed)}`)
}

function repeat<T>(values: readonly T[], count: number): T[] {
  return Array.from({ length: count }, (_, i) => values[i % values.length] as T)
}

function nothing(section: string, name: string): Row {
  return {
    section,
    name,
    connections: null,
    rate: null,
    p50: null,
    p95: null,
    p99: null,
    max: null,
    ratio: null,
    ratioTo: null,
    note: null,
    refused: 0,
  }
}

function plain(section: string, name: string, connections: number, { rate, p50, p95, p99, max, bad }: Times): Row {
  return { ...nothing(section, name), connections, rate, p50, p95, p99, max, refused: bad }
}

function summary(section: string, name: string, connections: number, slices: readonly Times[]): Row {
  const of = (read: (one: Times) => number): number => median(slices.map(read))
  return plain(section, name, connections, {
    rate: of((one) => one.rate),
    p50: of((one) => one.p50),
    p95: of((one) => one.p95),
    p99: of((one) => one.p99),
    max: Math.max(...slices.map((one) => one.max)),
    bad: slices.reduce((sum, one) => sum + one.bad, 0),
  })
}

function compared(
  section: string,
  name: string,
  connections: number,
  slices: readonly Times[],
  others: readonly Times[],
  to: string,
): Row {
  const ratio = ratioOf(
    slices.map((one) => one.rate),
    others.map((one) => one.rate),
  )
  return { ...summary(section, name, connections, slices), ratio, ratioTo: to }
}
