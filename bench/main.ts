/** `npm run bench`: measures this machine's server against the bare library and the bare route, and against the goals. */
import { statfsSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { judge } from './goals.ts'
import { watchOthers } from './others.ts'
import {
  measureBatches,
  measureBeside,
  measureKeys,
  measureManyKeys,
  measureRates,
  measureSingles,
  measureSustained,
  measureTransactions,
  type Row,
} from './rows.ts'
import { createKeys, measureSync, type Plan, setStage } from './stage.ts'
import { goalLines, heading, line } from './table.ts'

const usage = `usage: npm run bench -- [--quick] [--json] [--large] [--directory <path>]

  --quick       under 50 s, with short slices: for a look, not for a figure
  --json        one object on standard output: rows and goals
  --large       also fills the database with a million keys and ten million records (16 GB) and measures again
  --directory   where the instance lies while it runs (default: the system's temporary directory)
`

const full: Plan = { warm: 600, slice: 1_500, slices: 4, sustained: 60_000 }
const quick: Plan = { warm: 250, slice: 400, slices: 2, sustained: 3_000 }
const warmUpMilliseconds = { full: 6_000, quick: 2_500 }
const largeKeys = 1_000_000
const largeRecords = 10_000_000
const manyKeys = 25_000

const ends: (() => Promise<void>)[] = []
let ending: Promise<void> | undefined

function endAll(): Promise<void> {
  ending ??= Promise.allSettled(ends.toReversed().map((end) => end())).then(() => {})
  return ending
}

let askedAt: number | undefined
function interrupt(code: number): void {
  // The wrapper passes on what a terminal sends to both.
  if (askedAt !== undefined && performance.now() - askedAt < 400) return
  if (askedAt !== undefined) process.exit(code)
  askedAt = performance.now()
  say('\nEnding: the processes are stopped and their files removed.')
  void endAll().then(() => process.exit(code))
}
process.on('SIGINT', () => interrupt(130))
process.on('SIGTERM', () => interrupt(143))
process.on('SIGHUP', () => interrupt(129))
if (process.connected) process.once('disconnect', () => interrupt(1))

try {
  const failed = await bench(process.argv.slice(2))
  await endAll()
  process.exit(failed)
} catch (error) {
  if (askedAt === undefined) {
    await endAll()
    say(`The bench ended: ${error instanceof Error ? error.message : String(error)}`)
    process.exit(1)
  }
}

async function bench(args: string[]): Promise<number> {
  const options = readOptions(args)
  if (options === null) return 2
  const began = performance.now()
  const plan = options.quick ? quick : full
  const directory = resolve(options.directory)
  const rows: Row[] = []
  const print = (text: string): void => void (options.json ? process.stderr : process.stdout).write(`${text}\n`)
  const put = (row: Row): void => {
    print(line(row, rows.at(-1)))
    rows.push(row)
  }
  if (options.large) refuseSmallDisk(directory)
  const synced = measureSync(directory)
  const othersSince = watchOthers()
  const stage = await setStage(plan, directory, (end) => ends.push(end))
  const { model = 'unknown' } = cpus()[0] ?? {}
  print(`${model.trim()}, ${cpus().length} cores, Node ${process.versions.node}; secp256k1 by ${stage.engine}`)
  print(`8 KiB written and synced in ${directory}: ${synced.toFixed(2)} ms; clients and server share this machine`)
  print(`\n${heading()}`)
  await warmUp(stage, options.quick ? warmUpMilliseconds.quick : warmUpMilliseconds.full)

  await measureSingles(stage, put)
  await measureBatches(stage, put)
  await measureTransactions(stage, put)
  await measureKeys(stage, put)
  await measureBeside(stage, put)
  await measureSustained(stage, put)
  if (options.large) await measureLarge(stage, put, print)

  const others = othersSince()
  const goals = judge(rows)
  print(`\n${goalLines(goals)}`)
  for (const refusal of stage.refusals.slice(0, 5)) print(`\nrefused: ${refusal}`)
  print(`\n${Math.round((performance.now() - began) / 1000)} s`)
  if (others !== null && others > 0.05)
    print(
      `Other programs used ${Math.round(others * 100)} % of the processors meanwhile: these are not the figures of this machine.`,
    )
  if (options.json) {
    const machine = {
      cpu: model.trim(),
      cores: cpus().length,
      node: process.versions.node,
      engine: stage.engine,
      sync_ms: synced,
      others,
    }
    process.stdout.write(`${JSON.stringify({ machine, rows, goals })}\n`)
  }
  return stage.refusals.length === 0 ? 0 : 1
}

async function measureLarge(
  stage: Awaited<ReturnType<typeof setStage>>,
  put: (row: Row) => void,
  print: (text: string) => void,
): Promise<void> {
  const { fill } = await import('./fill.ts')
  const many = await createKeys(stage.instance, manyKeys)
  const before = 'before filling'
  await measureRates(stage, put, before)
  await measureManyKeys(stage, put, many, before)
  const began = performance.now()
  await fill(stage.instance, largeKeys, largeRecords, (step) => say(`  filling: ${step}`))
  const seconds = Math.round((performance.now() - began) / 1000)
  print(
    `\nfilled with ${largeKeys.toLocaleString('en')} keys and ${largeRecords.toLocaleString('en')} records in ${seconds} s`,
  )
  await stage.instance.settled()
  const after = 'after filling'
  await measureRates(stage, put, after)
  await measureManyKeys(stage, put, many, after)
}

/** What compiles only once it is used is not measured. */
async function warmUp(stage: Awaited<ReturnType<typeof setStage>>, milliseconds: number): Promise<void> {
  const { signRequest } = await import('./stage.ts')
  const { idSlot } = await import('./load.ts')
  const { token } = stage.instance
  await stage.load('bare', signRequest(token, `/sign/${idSlot}`), {
    connections: 128,
    warm: 0,
    slice: milliseconds / 3,
  })
  await stage.load('instance', signRequest(token), { connections: 128, warm: 0, slice: milliseconds })
}

function readOptions(args: string[]): { quick: boolean; json: boolean; large: boolean; directory: string } | null {
  try {
    const { values } = parseArgs({
      args,
      options: {
        quick: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        large: { type: 'boolean', default: false },
        directory: { type: 'string', default: tmpdir() },
      },
    })
    return values
  } catch (error) {
    say(`${(error as Error).message}\n\n${usage}`)
    return null
  }
}

function refuseSmallDisk(directory: string): void {
  const { bavail, bsize } = statfsSync(directory)
  if (bavail * bsize < 30e9)
    throw new Error(`--large needs 30 GB free in ${directory}: free them, or name another place with --directory`)
}

function say(text: string): void {
  process.stderr.write(`${text}\n`)
}
