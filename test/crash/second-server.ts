import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { ServerConfiguration } from '../../packages/server/src/supervise/contract.ts'
import { databaseName, databasePort } from '../../packages/server/src/supervise/postgres.ts'
import { type Answer, type CallOptions, call, type TestInstance } from '../instance.ts'

/** A server process of its own on an instance's database and signer. */
export interface SecondServer {
  readonly url: string
  readonly token: string
  readonly process: ChildProcess
  call(method: string, path: string, body?: unknown, options?: CallOptions): Promise<Answer>
  /** What it wrote to its log. */
  output(): string
  stop(): Promise<void>
}

/** Where an instance's parts are reached: what its supervisor tells its children. */
export function connectionFacts(instance: TestInstance): {
  readonly name: string
  readonly sockets: string
  readonly password: string
  readonly proofFile: string
} {
  const read = (file: string) => readFileSync(join(instance.directory, file), 'utf8')
  return {
    name: JSON.parse(read('instance.json')).name as string,
    sockets: JSON.parse(read('run.json')).socketDirectory as string,
    password: read('postgres.password').trim(),
    proofFile: join(instance.directory, 'custody/proof.key'),
  }
}

/** Starts a second server beside the instance's own and waits until it is ready. */
export async function startSecondServer(instance: TestInstance): Promise<SecondServer> {
  const { name, sockets, password, proofFile } = connectionFacts(instance)
  const directory = mkdtempSync(join(tmpdir(), 'popsigner-second-'))
  const configuration: ServerConfiguration = {
    instance: name,
    host: '127.0.0.1',
    port: 0,
    tls: null,
    metrics: null,
    logLevel: 'info',
    proofFile,
    database: {
      socketDirectory: join(sockets, 'db'),
      port: databasePort,
      user: databaseName,
      database: databaseName,
      password,
    },
    signerSocket: join(sockets, 'signer/signer.sock'),
    adminSocket: join(directory, 'admin.sock'),
  }
  const child = spawn(process.execPath, [join(import.meta.dirname, '../../packages/server/src/main.ts')], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'] },
  })
  let output = ''
  child.stderr.on('data', (chunk: Buffer) => {
    output += chunk.toString()
  })
  child.stdin.write(`${JSON.stringify(configuration)}\n`)
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const line = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', resolve)
    void gone.then(() => reject(new Error(`the second server did not start:\n${output}`)))
  })
  const url = `http://127.0.0.1:${(JSON.parse(line) as { port: number }).port}`
  return {
    url,
    token: instance.token,
    process: child,
    output: () => output,
    call: (method, path, body, options) => call(url, instance.token, method, path, body, options),
    async stop() {
      child.kill('SIGTERM')
      await gone
      rmSync(directory, { recursive: true, force: true })
    },
  }
}
