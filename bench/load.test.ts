import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { createHistogram } from './histogram.ts'
import { freshSlot, idSlot, type LoadJob, runLoad } from './load.ts'

const first = `key_${'a'.repeat(26)}`
const second = `key_${'b'.repeat(26)}`

/** A server that remembers what it was asked, and answers as `answer` says. */
async function listen(answer: (n: number) => { status: number; body: string; milliseconds?: number }): Promise<{
  job: LoadJob
  asked: { url: string; key: string; body: string }[]
  [Symbol.asyncDispose](): Promise<void>
}> {
  const asked: { url: string; key: string; body: string }[] = []
  const server = createServer((request, response) => {
    let text = ''
    request.on('data', (chunk: Buffer) => {
      text += chunk.toString()
    })
    request.on('end', () => {
      const { status, body, milliseconds } = answer(asked.length)
      asked.push({ url: request.url ?? '', key: String(request.headers['idempotency-key']), body: text })
      const send = (): void => void response.writeHead(status, { 'content-length': Buffer.byteLength(body) }).end(body)
      if (milliseconds === undefined) send()
      else setTimeout(send, milliseconds)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const request = `POST /${idSlot} HTTP/1.1\r\nhost: here\r\nidempotency-key: ${freshSlot}\r\ncontent-length: 4\r\n\r\nbody`
  return {
    job: {
      host: '127.0.0.1',
      port,
      connections: 3,
      warmMilliseconds: 50,
      milliseconds: 250,
      request,
      ids: [first, second],
      status: 200,
    },
    asked,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

test('every request is whole, has a key that none had before, and takes the next id', async () => {
  await using server = await listen(() => ({ status: 200, body: '{}' }))
  const result = await runLoad(server.job)
  assert.ok(result.count > 10)
  assert.equal(result.bad, 0)
  assert.equal(new Set(server.asked.map((one) => one.key)).size, server.asked.length)
  assert.ok(server.asked.every((one) => /^[0-9a-f]{8}\d{16}$/.test(one.key) && one.body === 'body'))
  const taken = server.asked.filter((one) => one.url === `/${first}`).length
  assert.ok(Math.abs(taken * 2 - server.asked.length) <= 1)
})

test('answers of another status are counted apart, and the first is kept', async () => {
  await using server = await listen((n) =>
    n % 2 === 1 ? { status: 503, body: `{"n":${n}}` } : { status: 200, body: '{}' },
  )
  const result = await runLoad({ ...server.job, warmMilliseconds: 0 })
  assert.ok(result.bad > 5 && Math.abs(result.bad - result.count) <= 4, `${result.bad} and ${result.count}`)
  assert.match(result.firstBad ?? '', /^503[\s\S]*\{"n":1\}$/)
})

test('a body that comes in several reads is one answer', async () => {
  await using server = await listen(() => ({ status: 200, body: 'x'.repeat(3_000_000) }))
  const result = await runLoad(server.job)
  assert.equal(result.bad, 0)
  assert.ok(server.asked.length >= result.count && server.asked.length <= result.count + 50)
})

test('together: what is measured is the slowest of a round', async () => {
  await using server = await listen((n) => ({ status: 200, body: '{}', milliseconds: n % 3 === 0 ? 40 : 1 }))
  const result = await runLoad({ ...server.job, milliseconds: 400, together: true })
  assert.ok(result.p50 >= 38 && result.count >= 4 && result.count <= 11, JSON.stringify(result))
})

test('a connection that is refused, and a server that goes away, reject', async () => {
  const server = await listen(() => ({ status: 200, body: '{}', milliseconds: 5_000 }))
  const running = assert.rejects(runLoad(server.job), /closed|ECONNRESET/)
  setTimeout(() => void server[Symbol.asyncDispose](), 100)
  await running
  await assert.rejects(runLoad(server.job), /ECONNREFUSED/)
})

test('the histogram keeps every time to within 1/128', () => {
  const histogram = createHistogram()
  assert.equal(histogram.percentile(0.5), 0)
  const values = Array.from({ length: 10_000 }, (_, i) => Math.floor(1.002 ** i % 5_000_000)).sort((a, b) => a - b)
  for (const value of values) histogram.record(value)
  assert.equal(histogram.count, values.length)
  assert.equal(histogram.max, values.at(-1))
  for (const share of [0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 1]) {
    const exact = values[Math.max(0, Math.ceil(share * values.length) - 1)] as number
    const kept = histogram.percentile(share)
    assert.ok(kept >= exact && kept <= exact * (1 + 1 / 128) + 1, `${share}: ${kept} for ${exact}`)
  }
})
