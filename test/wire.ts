import { request } from 'node:http'
import { connect } from 'node:net'

/** An answer as it came over the wire. Names of headers are in lower case; of one that stands twice the last is kept. */
export interface WireAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly text: string
  // biome-ignore lint/suspicious/noExplicitAny: tests read bodies freely; a missing field fails them.
  readonly body: any
}

export interface WireRequest {
  readonly method: string
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
  /** Address to come from; another one than 127.0.0.1 only where `manyAddresses` says so. */
  readonly from?: string
}

/** Whether every address of 127.0.0.0/8 can be come from. Elsewhere than on Linux only 127.0.0.1 can. */
export const manyAddresses = process.platform === 'linux'

let lastAddress = 1

/** Another loopback address at every call, so that limits by address do not count what a test does on purpose. */
export function nextAddress(): string {
  if (!manyAddresses) return '127.0.0.1'
  lastAddress++
  return `127.1.${(lastAddress >> 8) & 255}.${lastAddress & 255}`
}

/** One request by Node's own client, with exactly these headers. */
export function send(base: string, { method, path, headers, body, from }: WireRequest): Promise<WireAnswer> {
  return new Promise((resolve, reject) => {
    const { port } = new URL(base)
    // Node's client announces no body of a DELETE, which would then be read as a second request.
    const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }
    const outgoing = request(
      {
        host: '127.0.0.1',
        port,
        method,
        path,
        headers: { ...length, ...headers },
        ...(from === undefined ? {} : { localAddress: from }),
      },
      (incoming) => {
        const chunks: Buffer[] = []
        incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
        incoming.on('error', reject)
        incoming.on('end', () => {
          const given = Object.entries(incoming.headers).map(([name, value]) => [name, String(value)])
          resolve(answerOf(incoming.statusCode ?? 0, Object.fromEntries(given), Buffer.concat(chunks).toString()))
        })
      },
    )
    outgoing.on('error', reject)
    if (body === undefined) outgoing.end()
    else outgoing.end(body)
  })
}

/**
 * Writes bytes to a connection and answers what came back on it, one entry for each answer, when it is closed or has been
 * quiet for so many milliseconds after something came, or when nothing came for `patienceMilliseconds`.
 */
export function exchange(
  base: string,
  bytes: string | Uint8Array,
  quietMilliseconds = 100,
  patienceMilliseconds = 5_000,
): Promise<WireAnswer[]> {
  return new Promise((resolve) => {
    const socket = connect(Number(new URL(base).port), '127.0.0.1')
    let received = Buffer.alloc(0)
    const end = () => {
      clearTimeout(timer)
      socket.destroy()
      resolve(readAnswers(received))
    }
    let timer = setTimeout(end, patienceMilliseconds)
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk])
      clearTimeout(timer)
      timer = setTimeout(end, quietMilliseconds)
    })
    socket.on('error', end)
    socket.on('close', end)
    socket.write(bytes)
  })
}

function readAnswers(received: Buffer): WireAnswer[] {
  const answers: WireAnswer[] = []
  let rest = received
  for (;;) {
    const end = rest.indexOf('\r\n\r\n')
    if (end < 0) return answers
    const [line = '', ...fields] = rest.subarray(0, end).toString('latin1').split('\r\n')
    const headers = Object.fromEntries(
      fields.map((field) => [
        field.slice(0, field.indexOf(':')).toLowerCase(),
        field.slice(field.indexOf(':') + 1).trim(),
      ]),
    )
    const length = Number(headers['content-length'] ?? 0)
    answers.push(answerOf(Number(line.split(' ')[1]), headers, rest.subarray(end + 4, end + 4 + length).toString()))
    rest = rest.subarray(end + 4 + length)
  }
}

function answerOf(status: number, headers: Record<string, string>, text: string): WireAnswer {
  const json = headers['content-type']?.includes('json') === true && text !== ''
  return { status, headers, text, body: json ? JSON.parse(text) : text }
}
