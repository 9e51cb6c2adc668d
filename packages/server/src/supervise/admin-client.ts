import { request } from 'node:http'

/** An answer of the admin socket that is no success: the problem document's `code` and `detail`. */
export class AdminRefusal extends Error {
  override name = 'AdminRefusal'
  readonly status: number
  readonly problem: Readonly<Record<string, unknown>>

  constructor(status: number, problem: Record<string, unknown>) {
    super(String(problem['detail'] ?? problem['title'] ?? `the admin socket answered ${status}`))
    this.status = status
    this.problem = problem
  }
}

/**
 * One call to the running server's admin socket, with the host's power: whoever may open the socket is the host.
 * Throws `AdminRefusal` for an answer of 400 or more, and the system's error when nobody listens.
 */
export function callAdmin(
  socket: string,
  method: 'GET' | 'POST',
  path: string,
  body?: object,
): Promise<Record<string, unknown>> {
  const content = body === undefined ? '' : JSON.stringify(body)
  return new Promise((resolve, reject) => {
    const headers =
      content === '' ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(content) }
    const call = request({ socketPath: socket, method, path: `/admin/v1/${path}`, headers, agent: false }, (answer) => {
      const chunks: Buffer[] = []
      answer.on('data', (chunk: Buffer) => chunks.push(chunk))
      answer.once('error', reject)
      answer.once('end', () => {
        const value = parse(Buffer.concat(chunks).toString('utf8'))
        const status = answer.statusCode ?? 0
        if (status < 400) resolve(value)
        else reject(new AdminRefusal(status, value))
      })
    })
    call.once('error', reject)
    call.end(content)
  })
}

function parse(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}
