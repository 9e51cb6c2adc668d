import { readFileSync } from 'node:fs'
import { request } from 'node:http'
import { join, resolve } from 'node:path'
import type { Environment } from './environment.ts'
import { exitCodeOf, exitCodes } from './exit-codes.ts'
import { Failure } from './failure.ts'

/** The running server of a data directory, spoken to over its admin socket. Whoever may open that is the host. */
export interface Admin {
  readonly dataDirectory: string
  /** One call. Throws `Failure` with the problem document for an answer that is no success. */
  call(method: 'GET' | 'POST', path: string, body?: object): Promise<Record<string, unknown>>
  /** A call that is answered line by line (NDJSON). */
  stream(path: string, body: object, line: (value: Record<string, unknown>) => void): Promise<void>
}

/** The data directory that host commands mean: POPSIGNER_DATA_DIR, else `.popsigner` here. */
export function dataDirectoryOf(environment: Environment, directory: string): string {
  return resolve(directory, environment['POPSIGNER_DATA_DIR'] || '.popsigner')
}

/** Finds the running server. Throws `Failure` (try later) where none runs, and where its files are another user's. */
export async function openAdmin(environment: Environment, directory: string): Promise<Admin> {
  const dataDirectory = dataDirectoryOf(environment, directory)
  const socket = await socketOf(dataDirectory)
  return {
    dataDirectory,
    async call(method, path, body) {
      let text = ''
      await exchange(socket, method, path, body, (chunk) => {
        text += chunk
      })
      return text === '' ? {} : (JSON.parse(text) as Record<string, unknown>)
    },
    async stream(path, body, take) {
      let rest = ''
      let problem: Failure | undefined
      const line = (value: Record<string, unknown>): void => {
        // What fails after the first line can no longer be told by the status.
        if (typeof value['code'] === 'string' && typeof value['status'] === 'number')
          problem = refusalFrom(value['status'], value)
        else take(value)
      }
      await exchange(socket, 'POST', path, body, (chunk) => {
        const lines = (rest + chunk).split('\n')
        rest = lines.pop() ?? ''
        for (const one of lines) if (one !== '') line(JSON.parse(one) as Record<string, unknown>)
      })
      if (rest !== '') line(JSON.parse(rest) as Record<string, unknown>)
      if (problem) throw problem
    },
  }
}

/** The 32 bytes with which the host proves itself to the signer. Throws `Failure` where this user may not read them. */
export function readHostKey(dataDirectory: string): Buffer {
  const file = join(dataDirectory, 'custody/host.key')
  try {
    return readFileSync(file)
  } catch (error) {
    throw notHost(file, error)
  }
}

async function socketOf(dataDirectory: string): Promise<string> {
  // Loaded here: most commands have nothing to do with the server's own files.
  const { findRunning } = await import('@popsigner/server/supervise/running')
  let running: ReturnType<typeof findRunning>
  try {
    running = findRunning(dataDirectory)
  } catch (error) {
    throw notHost(join(dataDirectory, 'run.json'), error)
  }
  if (running === null) {
    throw new Failure('no server runs on this data directory', {
      exit: exitCodes.tryLater,
      code: 'host.not_running',
      why: `There is no running server in ${dataDirectory} (POPSIGNER_DATA_DIR, else .popsigner in the working directory).`,
      next: [
        { command: 'npm start', when: 'to start one here' },
        { command: 'export POPSIGNER_DATA_DIR=<directory>', when: 'if it lies elsewhere' },
      ],
    })
  }
  return running.adminSocket
}

function exchange(
  socket: string,
  method: string,
  path: string,
  body: object | undefined,
  data: (text: string) => void,
): Promise<void> {
  const content = body === undefined ? '' : JSON.stringify(body)
  const headers =
    content === '' ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(content) }
  return new Promise((done, fail) => {
    const call = request({ socketPath: socket, method, path: `/admin/v1/${path}`, headers, agent: false }, (answer) => {
      answer.setEncoding('utf8')
      answer.once('error', fail)
      if ((answer.statusCode ?? 0) < 400) {
        // A line that is no JSON throws in the listener; it must end the call and not the process.
        answer.on('data', (chunk: string) => {
          try {
            data(chunk)
          } catch (error) {
            answer.destroy(error as Error)
          }
        })
        answer.once('end', done)
        return
      }
      let text = ''
      answer.on('data', (chunk: string) => {
        text += chunk
      })
      answer.once('end', () => fail(refusalOf(answer.statusCode ?? 500, text)))
    })
    call.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EACCES' || error.code === 'EPERM') return fail(notHost(socket, error))
      const why = `Its admin socket ${socket} is not answered (${error.code ?? error.message}).`
      return fail(
        new Failure('the server does not answer', { exit: exitCodes.tryLater, code: 'host.unreachable', why }, error),
      )
    })
    call.end(content)
  })
}

function refusalOf(status: number, text: string): Failure {
  let problem: Record<string, unknown> = {}
  try {
    problem = JSON.parse(text) as Record<string, unknown>
  } catch {
    // A body that is no problem document says nothing; the status is left.
  }
  return refusalFrom(status, problem)
}

function refusalFrom(status: number, problem: Record<string, unknown>): Failure {
  const code = typeof problem['code'] === 'string' ? problem['code'] : 'host.refused'
  const { title = `the server answered ${status}`, detail, request_id: request, errors } = problem
  const fields = Array.isArray(errors)
    ? errors.map(({ field, message }: { field?: unknown; message?: unknown }) => `${field} ${message}`).join('; ')
    : ''
  return new Failure(String(title).replace(/\.$/, ''), {
    exit: exitCodeOf(code, status),
    code,
    ...(problem['code'] !== undefined && { problem }),
    ...(fields !== '' ? { why: `${fields}.` } : typeof detail === 'string' && { why: detail }),
    ...(typeof request === 'string' && { request }),
  })
}

function notHost(file: string, cause: unknown): Failure {
  return new Failure(
    'only the host may do this',
    {
      exit: exitCodes.notPermitted,
      code: 'host.not_permitted',
      why: `${file} cannot be read (${(cause as NodeJS.ErrnoException).code ?? 'unknown'}): host commands are for whoever runs the instance.`,
      next: [{ command: 'sudo -E npx popsigner …', when: 'if root started the server' }],
    },
    cause,
  )
}
