/**
 * The load generator: a fixed number of keep-alive connections, each with one request under way. As a program it takes jobs
 * from the process that started it, one at a time, so that its event loop is nobody else's.
 */
import { randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { createHistogram } from './histogram.ts'

/** Stands in a request for a text of this length that no request had before. */
export const freshSlot = '@'.repeat(24)
/** Stands in a request for the next of the job's ids. */
export const idSlot = '%'.repeat(30)

/** What to send, from how many connections, for how long. */
export interface LoadJob {
  readonly host: string
  readonly port: number
  readonly connections: number
  /** Sent and not measured, before. */
  readonly warmMilliseconds: number
  readonly milliseconds: number
  /** A whole HTTP request in ASCII, with `freshSlot` and `idSlot` where they belong. */
  readonly request: string
  /** Ids of 30 characters, taken in turn by all connections together. */
  readonly ids: readonly string[]
  /** The status of a good answer. */
  readonly status: number
  /** The connections send together and wait for one another: what is measured is a round of all. */
  readonly together?: boolean
}

/** Times in milliseconds. */
export interface LoadResult {
  /** Good answers in the measured time; rounds, where they were sent together. */
  readonly count: number
  /** The same in a second. */
  readonly rate: number
  readonly p50: number
  readonly p95: number
  readonly p99: number
  readonly max: number
  /** Answers of another status, warm-up included. */
  readonly bad: number
  /** The first of them, status line and body. */
  readonly firstBad: string | null
  /** What the generator itself used of a processor for an answer, in microseconds. */
  readonly ownMicroseconds: number
}

const lateMilliseconds = 10_000
const readBytes = 256 * 1024
const zero = 0x30
const nine = 0x39

/** Runs a job to its end. Rejects when a connection cannot be made or is lost, and when an answer does not come within 10 s. */
export async function runLoad(job: LoadJob): Promise<LoadResult> {
  const histogram = createHistogram()
  // Every read is over before the next begins, so one buffer serves all connections.
  const buffer = Buffer.allocUnsafe(readBytes)
  const ids = job.ids.map((id) => Buffer.from(id, 'latin1'))
  const run = randomBytes(4).toString('hex')
  const lanes: Lane[] = []
  let nextId = 0
  let bad = 0
  let firstBad: string | null = null
  let begin = Number.POSITIVE_INFINITY
  let end = Number.POSITIVE_INFINITY
  let busy = 0
  let roundStart = 0
  let usage: NodeJS.CpuUsage | undefined
  let finish: () => void = () => {}
  let fail: (error: Error) => void = () => {}
  const over = new Promise<void>((resolve, reject) => {
    finish = resolve
    fail = reject
  })
  over.catch(() => {})

  function send(lane: Lane, now: number): void {
    for (const at of lane.freshAt) advance(lane.request, at)
    const id = ids[nextId]
    if (id) {
      for (const at of lane.idAt) lane.request.set(id, at)
      nextId = nextId + 1 === ids.length ? 0 : nextId + 1
    }
    lane.sentAt = now
    busy++
    // The bytes may be changed for the next request: when its answer is there this one was read to its end.
    lane.socket.write(lane.request)
  }

  function answered(lane: Lane, good: boolean): void {
    const now = performance.now()
    busy--
    if (job.together === true && busy > 0) return
    if (good && now >= begin && now < end) {
      usage ??= process.cpuUsage()
      histogram.record((now - (job.together === true ? roundStart : lane.sentAt)) * 1000)
    }
    if (now >= end) {
      if (busy === 0) finish()
    } else if (job.together === true) {
      roundStart = now
      for (const one of lanes) send(one, now)
    } else {
      send(lane, now)
    }
  }

  function refused(text: string): void {
    bad++
    firstBad ??= text.slice(0, 400)
  }

  try {
    await Promise.all(
      Array.from({ length: job.connections }, async (_, i) => {
        const request = Buffer.from(job.request, 'latin1')
        const freshAt = slotsOf(job.request, freshSlot)
        for (const at of freshAt) request.write(`${run}${String(i).padStart(4, '0')}${'0'.repeat(12)}`, at, 'latin1')
        const lane: Lane = {
          socket: undefined as unknown as Socket,
          request,
          freshAt,
          idAt: slotsOf(job.request, idSlot),
          sentAt: 0,
          reading: null,
        }
        lane.socket = await open(
          job,
          buffer,
          (length) => receive(lane, buffer, length, job.status, answered, refused),
          fail,
        )
        lanes.push(lane)
      }),
    )
    const start = performance.now()
    begin = start + job.warmMilliseconds
    end = begin + job.milliseconds
    roundStart = start
    for (const lane of lanes) send(lane, start)
    const late = setTimeout(
      () => fail(new Error(`${busy} answers did not come`)),
      job.warmMilliseconds + job.milliseconds + lateMilliseconds,
    )
    await over.finally(() => clearTimeout(late))
    const { user, system } = process.cpuUsage(usage)
    const milliseconds = (share: number): number => histogram.percentile(share) / 1000
    return {
      count: histogram.count,
      rate: (histogram.count * 1000) / job.milliseconds,
      p50: milliseconds(0.5),
      p95: milliseconds(0.95),
      p99: milliseconds(0.99),
      max: histogram.max / 1000,
      bad,
      firstBad,
      ownMicroseconds: histogram.count === 0 ? 0 : (user + system) / histogram.count,
    }
  } finally {
    for (const lane of lanes) lane.socket.destroy()
  }
}

interface Lane {
  socket: Socket
  readonly request: Buffer
  readonly freshAt: readonly number[]
  readonly idAt: readonly number[]
  sentAt: number
  /** An answer that came in part: the head so far, or how many bytes of the body are missing. */
  reading: { head: Buffer | null; missing: number; text: string | null } | null
}

function open(
  job: LoadJob,
  buffer: Buffer,
  read: (length: number) => void,
  fail: (error: Error) => void,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const onread = {
      buffer,
      callback(length: number): boolean {
        read(length)
        return true
      },
    }
    const socket = connect({ host: job.host, port: job.port, noDelay: true, onread })
    socket.once('connect', () => resolve(socket))
    socket.on('error', (error) => {
      reject(error)
      fail(error)
    })
    socket.on('end', () => fail(new Error('the server closed a connection')))
  })
}

/** Takes what was read for one connection: an answer, or a part of one. */
function receive(
  lane: Lane,
  buffer: Buffer,
  length: number,
  wanted: number,
  answered: (lane: Lane, good: boolean) => void,
  refused: (text: string) => void,
): void {
  const partial = lane.reading
  if (partial && partial.head === null) {
    partial.missing -= length
    if (partial.text !== null) partial.text += buffer.toString('latin1', 0, length)
    if (partial.missing > 0) return
    if (partial.text !== null) refused(partial.text)
    lane.reading = null
    answered(lane, partial.text === null)
    return
  }
  const head = partial?.head ? Buffer.concat([partial.head, buffer.subarray(0, length)]) : buffer
  const available = partial?.head ? head.length : length
  // A short text is searched faster than the bytes: an answer's head is some 300 of them.
  const text = head.toString('latin1', 0, Math.min(available, 2048))
  const headEnd = text.indexOf('\r\n\r\n')
  if (headEnd < 0) {
    lane.reading = { head: Buffer.from(head.subarray(0, available)), missing: 0, text: null }
    return
  }
  const lengthAt = text.indexOf('content-length: ')
  const bodyLength =
    lengthAt < 0 || lengthAt > headEnd ? 0 : Number.parseInt(text.slice(lengthAt + 16, lengthAt + 26), 10)
  const missing = headEnd + 4 + bodyLength - available
  const good = Number.parseInt(text.slice(9, 12), 10) === wanted
  if (missing > 0) {
    lane.reading = { head: null, missing, text: good ? null : text }
    return
  }
  lane.reading = null
  if (!good) refused(text.slice(9, headEnd).split('\r\n', 1)[0] + text.slice(headEnd + 2))
  answered(lane, good)
}

/** Counts up the 12 digits at the end of a fresh text. */
function advance(request: Buffer, at: number): void {
  for (let place = at + freshSlot.length - 1; place >= at + freshSlot.length - 12; place--) {
    if (request[place] !== nine) {
      request[place] = (request[place] ?? zero) + 1
      return
    }
    request[place] = zero
  }
}

function slotsOf(request: string, slot: string): number[] {
  const found: number[] = []
  for (let at = request.indexOf(slot); at >= 0; at = request.indexOf(slot, at + slot.length)) found.push(at)
  return found
}

if (import.meta.main) {
  process.on('disconnect', () => process.exit(0))
  process.on('message', (job: LoadJob) => {
    runLoad(job).then(
      (result) => process.send?.({ result }),
      (error: Error) => process.send?.({ error: error.message }),
    )
  })
}
