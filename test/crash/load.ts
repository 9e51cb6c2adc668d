import { randomUUID } from 'node:crypto'
import type { AlgorithmName } from '@popsigner/crypto/algorithm-facts'
import { algorithm } from '@popsigner/crypto/algorithms'
import { hashWith } from '@popsigner/crypto/hash'
import { type Answer, call, pause } from '../instance.ts'
import type { Reader } from './whole-log.ts'

/** A key to sign with. */
export interface LoadKey {
  readonly id: string
  readonly algorithm: AlgorithmName
  readonly publicKey: string
}

/** A request of the load: sent once, and again as often as it takes, always with the same Idempotency-Key. */
export interface Asked {
  readonly kind: 'sign' | 'batch' | 'create'
  readonly path: string
  readonly body: Record<string, unknown>
  readonly idempotencyKey: string
  /** What is signed, in the order of the items; empty for a creation. */
  readonly items: readonly { readonly key: LoadKey; readonly data: Buffer }[]
  /** The successful answers so far, the first of all of them included. */
  readonly answers: Answer['body'][]
}

/** What went on beside successes. */
export interface Trouble {
  /** Connections lost, by the error's text. */
  readonly lost: Map<string, number>
  /** Refusals, by status and code. */
  readonly refused: Map<string, number>
  /** Answers that must never be, in full. */
  readonly wrong: string[]
  /** The longest that a request waited for whatever answer it got, in milliseconds. */
  longest: number
}

export interface Load {
  readonly asked: readonly Asked[]
  readonly trouble: Trouble
  /** Lets every client finish what it has in flight, then stops. */
  stop(): Promise<void>
}

/** A request that does not succeed for so long will not. */
const patienceMilliseconds = 60_000

/** Clients that sign one by one and in batches and create keys, until stopped. Each waits for its answer before it goes on. */
export function startLoad(
  reader: Reader,
  keys: readonly LoadKey[],
  options: { readonly clients: number; readonly pauseMilliseconds: number },
): Load {
  const asked: Asked[] = []
  const trouble: Trouble = { lost: new Map(), refused: new Map(), wrong: [], longest: 0 }
  let stopped = false

  async function client(number: number): Promise<void> {
    for (let i = 0; !stopped; i++) {
      const one = ask(number, i)
      asked.push(one)
      // Half of those that fail are tried once more soon, while all is still in disorder, the others later.
      if (!(await send(reader, one, trouble))) {
        await pause(100 * Math.random())
        if (Math.random() < 0.5) await send(reader, one, trouble)
      }
      await pause(options.pauseMilliseconds * 2 * Math.random())
    }
  }

  function ask(client: number, i: number): Asked {
    const some = (n: number) =>
      Array.from({ length: n }, (_, k) => ({
        key: keys[(client + i + k) % keys.length] as LoadKey,
        data: Buffer.from(`${client} ${i} ${k} ${randomUUID()}`),
      }))
    if (i % 11 === 7)
      return {
        kind: 'create',
        path: '/v1/keys',
        body: { name: `made-${randomUUID()}`, namespace: 'production' },
        idempotencyKey: randomUUID(),
        items: [],
        answers: [],
      }
    if (i % 4 === 3) {
      const items = some(5)
      return {
        kind: 'batch',
        path: '/v1/sign/batch',
        idempotencyKey: randomUUID(),
        items,
        answers: [],
        body: { requests: items.map(({ key, data }) => ({ key_id: key.id, data: data.toString('base64') })) },
      }
    }
    const items = some(1)
    const { key, data } = items[0] as (typeof items)[number]
    return {
      kind: 'sign',
      path: `/v1/keys/${key.id}/sign`,
      body: { data: data.toString('base64') },
      idempotencyKey: randomUUID(),
      items,
      answers: [],
    }
  }

  const running = Array.from({ length: options.clients }, (_, number) => client(number))
  return {
    asked,
    trouble,
    async stop() {
      stopped = true
      await Promise.all(running)
    },
  }
}

/** Sends it once; whether there was an answer that needs no other try. A refusal without Retry-After is noted as wrong. */
async function send(reader: Reader, one: Asked, trouble: Trouble): Promise<boolean> {
  const began = performance.now()
  let answer: Answer
  try {
    answer = await call(reader.url, reader.token, 'POST', one.path, one.body, {
      headers: { 'idempotency-key': one.idempotencyKey },
    })
  } catch (error) {
    count(
      trouble.lost,
      String(((error as Error).cause as { code?: string } | undefined)?.code ?? (error as Error).message),
    )
    return false
  } finally {
    trouble.longest = Math.max(trouble.longest, performance.now() - began)
  }
  if (answer.status === 200 || answer.status === 201) {
    one.answers.push(answer.body)
    const refusals: { code: string }[] =
      one.kind !== 'batch'
        ? []
        : answer.body.signatures.flatMap((s: { error?: { code: string } }) => (s.error ? [s.error] : []))
    for (const { code } of refusals) {
      count(trouble.refused, `item ${code}`)
      if (!retryable.test(code)) trouble.wrong.push(`${one.path}: an item was answered ${code}`)
    }
    return refusals.length === 0
  }
  count(trouble.refused, `${answer.status} ${answer.body?.code} ${answer.body?.detail}`)
  const expected =
    (answer.status === 503 || answer.body?.code === 'request.in_progress') && answer.headers.get('retry-after') !== null
  if (!expected) trouble.wrong.push(`${one.path}: ${answer.status} ${JSON.stringify(answer.body)}`)
  return false
}

const retryable =
  /^(custody\.unavailable|database\.unavailable|organization\.busy|receipt\.not_ready|clock\.skewed|log\.behind)$/

/** Sends it until it succeeds. */
export async function insist(reader: Reader, one: Asked, trouble: Trouble): Promise<void> {
  const until = Date.now() + patienceMilliseconds
  while (!(await send(reader, one, trouble))) {
    if (Date.now() > until)
      throw new Error(
        `${one.path} does not succeed any more; refused: ${said(trouble.refused)}, lost: ${said(trouble.lost)}`,
      )
    await pause(200)
  }
}

/** A signature as it was answered. */
export interface AnsweredSignature {
  readonly key_id: string
  readonly signature: string
  readonly public_key: string
  readonly record_id: string
}

/** The signature of each item in one answer; undefined where the item was refused. */
export function signaturesOf(one: Asked, answer: Answer['body']): (AnsweredSignature | undefined)[] {
  if (one.kind === 'sign') return [answer]
  if (one.kind === 'batch')
    return answer.signatures.map((s: AnsweredSignature & { error?: unknown }) => (s.error ? undefined : s))
  return []
}

/** Whether the signature is the key's over the item's data. */
export function isSignature(
  { key, data }: Asked['items'][number],
  { signature, public_key }: AnsweredSignature,
): boolean {
  const row = algorithm(key.algorithm)
  const [scheme] = row.schemes
  return (
    public_key === key.publicKey &&
    row.verify(
      Buffer.from(signature, 'base64'),
      scheme.input === 'digest' ? hashWith(scheme.hashes[0] ?? 'sha256', data) : data,
      Buffer.from(key.publicKey, 'hex'),
    )
  )
}

/** Counts as one line. */
export function said(counts: ReadonlyMap<string, number>): string {
  return [...counts].map(([name, n]) => `${name} ×${n}`).join(', ') || 'none'
}

function count(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1)
}
