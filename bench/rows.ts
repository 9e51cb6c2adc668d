import { setTimeout as delay } from 'node:timers/promises'
import { idSlot, type LoadResult } from './load.ts'
import { memoryOf } from './instance.ts'
import { openDatabase } from './database.ts'
import { batchRequest, createRequest, median, readRequest, signRequest, type Stage } from './stage.ts'

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
}

/** Takes a row as soon as it is measured. */
export type Put = (row: Row) => void

type Times = Pick<LoadResult, 'rate' | 'p50' | 'p95' | 'p99' | 'max'>

const singleConnections = [1, 8, 32, 128, 512]
const batchConnections = [1, 4, 16]
const besideConnections = 128
const slowConnections = 32

/** The bare loop, the echo, and the bare route beside the real one, single signatures. */
export async function measureSingles(stage: Stage, put: Put): Promise<void> {
  const { instance, plan } = stage
  const section = 'single signatures'
  for (const connections of [32, 128]) {
    const echo = await stage.load('bare', signRequest(instance.token, `/echo/${idSlot}`), { connections })
    put({ ...plain(section, 'echo', connections, echo), note: `generator ${echo.ownMicroseconds.toFixed(1)} µs` })
  }
  for (const connections of singleConnections) {
    const [bare, real] = await alternate(plan.slices, [() => bareSign(stage, connections), () => realSign(stage, connections)])
    put(summary(section, 'bare route', connections, bare as LoadResult[]))
    put(compared(section, 'server', connections, real as LoadResult[], bare as LoadResult[], 'bare route'))
  }
}

/** Batches of 100 beside the bare loop; batches of 4; and what one more signature costs a caller who waits. */
export async function measureBatches(stage: Stage, put: Put): Promise<void> {
  const { instance, plan, keys } = stage
  const section = 'batches'
  const hundred = batchRequest(instance.token, repeat(keys, 100))
  const four = batchRequest(instance.token, keys.slice(0, 4))
  await checkBatch(stage, 100)
  const loops: number[] = []
  for (const connections of batchConnections) {
    const [loop, real] = await alternate<LoadResult | number>(Math.max(1, plan.slices - 1), [
      () => stage.loop(),
      () => stage.load('instance', hundred, { connections }),
    ])
    loops.push(...(loop as number[]))
    const results = (real as LoadResult[]).map((one) => ({ ...one, rate: one.rate * 100 }))
    put({
      ...summary(section, 'batch of 100', connections, results),
      ratio: median(results.map((one, i) => one.rate / (loop?.[i] as number))),
      ratioTo: 'bare loop',
    })
  }
  put({ ...nothing(section, 'bare loop, one process'), rate: median(loops) })
  for (const connections of batchConnections) {
    const results = [await stage.load('instance', four, { connections })]
    put(summary(section, 'batch of 4', connections, results.map((one) => ({ ...one, rate: one.rate * 4 }))))
  }
  const short = { slice: plan.slice / 2, warm: plan.warm / 2 }
  const [single, batch, parallel] = await alternate(plan.slices, [
    () => realSign(stage, 1, short),
    () => stage.load('instance', four, { connections: 1, ...short }),
    () => stage.load('instance', signRequest(instance.token), { connections: 4, together: true, ...short }),
  ])
  const waits = 'one caller who waits'
  put(summary(waits, 'one single request', 1, single as LoadResult[]))
  for (const [name, connections, results] of [['batch of 4', 1, batch], ['four parallel single requests', 4, parallel]] as const) {
    const scaled = (results as LoadResult[]).map((one) => ({ ...one, rate: one.rate * 4 }))
    const ratio = median(scaled.map((one, i) => one.p50 / (single?.[i] as LoadResult).p50))
    put({ ...summary(waits, name, connections, scaled), ratio, ratioTo: 'one single, p50' })
  }
}

/** Reads of a key, and making keys. */
export async function measureKeys(stage: Stage, put: Put): Promise<void> {
  const { instance } = stage
  for (const connections of [1, 32, 128]) {
    put(plain('keys', 'read a key', connections, await stage.load('instance', readRequest(instance.token), { connections })))
  }
  for (const connections of [1, 8]) {
    const made = await stage.load('instance', createRequest(instance.token), { connections, status: 201 })
    put(plain('keys', 'create a key', connections, made))
  }
}

/** Single signatures with and without a client that streams the log, and with and without slow custodian calls. */
export async function measureBeside(stage: Stage, put: Put): Promise<void> {
  for (const [what, name, connections] of [
    ['stream', 'streaming', besideConnections],
    ['custody', 'slow custodian calls', slowConnections],
  ] as const) {
    const without: LoadResult[] = []
    const beside: LoadResult[] = []
    let done = 0
    let longest = 0
    let milliseconds = 0
    for (let i = 0; i < stage.plan.slices; i++) {
      without.push(await realSign(stage, connections))
      const both = await stage.beside(what, () => realSign(stage, connections))
      beside.push(both.value)
      done += both.beside.count
      milliseconds += both.beside.milliseconds
      longest = Math.max(longest, both.beside.longest)
    }
    const section = `beside ${name}`
    put(summary(section, 'without', connections, without))
    const row = compared(section, `beside ${name}`, connections, beside, without, 'without')
    if (what === 'custody') {
      const ratio = median(beside.map((one, i) => one.p99 / (without[i] as LoadResult).p99))
      put({ ...row, ratio, ratioTo: 'without, p99' })
    } else put(row)
    const unit = what === 'stream' ? 'records streamed' : 'keys made, imported, exported'
    put({ ...nothing(section, unit), rate: (done * 1000) / milliseconds, max: longest })
  }
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
    const result = await stage.load('instance', signRequest(instance.token), { connections: 128, slice: plan.sustained })
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

/** The rates that must not depend on how much lies in the database. `when` names them. */
export async function measureRates(stage: Stage, put: Put, when: string): Promise<void> {
  const { instance, plan, keys } = stage
  for (const connections of [128, 512]) {
    const [bare, real] = await alternate(plan.slices, [() => bareSign(stage, connections), () => realSign(stage, connections)])
    put(compared(when, 'server', connections, real as LoadResult[], bare as LoadResult[], 'bare route'))
  }
  const hundred = batchRequest(instance.token, repeat(keys, 100))
  const [loop, batch] = await alternate<LoadResult | number>(plan.slices, [() => stage.loop(), () => stage.load('instance', hundred, { connections: 4 })])
  const batches = (batch as LoadResult[]).map((one) => ({ ...one, rate: one.rate * 100 }))
  put({
    ...summary(when, 'batch of 100', 4, batches),
    ratio: median(batches.map((one, i) => one.rate / (loop?.[i] as number))),
    ratioTo: 'bare loop',
  })
  const echo = signRequest(instance.token, `/echo/${idSlot}`)
  const [idle, read] = await alternate(plan.slices, [
    () => stage.load('bare', echo, { connections: 32 }),
    () => stage.load('instance', readRequest(instance.token), { connections: 32 }),
  ])
  put(compared(when, 'read a key', 32, read as LoadResult[], idle as LoadResult[], 'echo'))
  put(plain(when, 'create a key', 1, await stage.load('instance', createRequest(instance.token), { connections: 1, status: 201 })))
}

/** Signing and reading with more keys than any cache of the server or the signer holds. */
export async function measureManyKeys(stage: Stage, put: Put, ids: readonly string[], section: string): Promise<void> {
  const { token } = stage.instance
  put(plain(section, `server, ${ids.length} keys in turn`, 128, await stage.load('instance', signRequest(token), { connections: 128, ids })))
  put(plain(section, `read a key, ${ids.length} in turn`, 32, await stage.load('instance', readRequest(token), { connections: 32, ids })))
}

function realSign(stage: Stage, connections: number, times: { warm?: number; slice?: number } = {}): Promise<LoadResult> {
  return stage.load('instance', signRequest(stage.instance.token), { connections, ...times })
}

function bareSign(stage: Stage, connections: number): Promise<LoadResult> {
  // It defers nothing, so that a short warm-up is enough.
  return stage.load('bare', signRequest(stage.instance.token, `/sign/${idSlot}`), { connections, warm: Math.min(200, stage.plan.warm) })
}

/** Runs the tasks in turn, so often; answers the results of each. */
async function alternate<T>(times: number, tasks: readonly (() => Promise<T>)[]): Promise<T[][]> {
  const results: T[][] = tasks.map(() => [])
  for (let i = 0; i < times; i++) for (const [k, task] of tasks.entries()) results[k]?.push(await task())
  return results
}

/** A batch answers 200 whatever its items: here one is looked at. */
async function checkBatch({ instance, keys }: Stage, count: number): Promise<void> {
  const requests = repeat(keys, count).map((key_id) => ({ key_id, data: 'AAAA' }))
  const { signatures } = (await instance.call('POST', '/v1/sign/batch', { requests })) as { signatures: { signature?: string }[] }
  const failed = signatures.find((one) => typeof one.signature !== 'string')
  if (signatures.length !== count || failed) throw new Error(`a batch was not signed: ${JSON.stringify(failed)}`)
}

function repeat<T>(values: readonly T[], count: number): T[] {
  return Array.from({ length: count }, (_, i) => values[i % values.length] as T)
}

function nothing(section: string, name: string): Row {
  return { section, name, connections: null, rate: null, p50: null, p95: null, p99: null, max: null, ratio: null, ratioTo: null, note: null }
}

function plain(section: string, name: string, connections: number, { rate, p50, p95, p99, max }: Times): Row {
  return { ...nothing(section, name), connections, rate, p50, p95, p99, max }
}

function summary(section: string, name: string, connections: number, slices: readonly Times[]): Row {
  const of = (read: (one: Times) => number): number => median(slices.map(read))
  return plain(section, name, connections, {
    rate: of((one) => one.rate),
    p50: of((one) => one.p50),
    p95: of((one) => one.p95),
    p99: of((one) => one.p99),
    max: Math.max(...slices.map((one) => one.max)),
  })
}

function compared(section: string, name: string, connections: number, slices: readonly Times[], others: readonly Times[], to: string): Row {
  const ratio = median(slices.map((one, i) => one.rate / (others[i] as Times).rate))
  return { ...summary(section, name, connections, slices), ratio, ratioTo: to }
}
