import { type ChildProcess, spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { pause } from './instance.ts'

/** An Ethereum node of its own that mines at once. */
export interface Anvil {
  readonly url: string
  rpc<T>(method: string, ...parameters: unknown[]): Promise<T>
  stop(): void
}

/** Starts one; chain id 31337 unless named. Fails where there is no binary for this machine. */
export async function startAnvil(chainId = 31_337): Promise<Anvil> {
  const port = await freePort()
  const architecture = process.arch === 'arm64' ? 'arm64' : 'amd64'
  const tool = dirname(createRequire(import.meta.url).resolve('@foundry-rs/anvil/package.json'))
  const program = join(tool, `../anvil-${process.platform}-${architecture}/bin/anvil`)
  const child: ChildProcess = spawn(
    program,
    ['--port', String(port), '--chain-id', String(chainId), '--hardfork', 'prague', '--silent'],
    { stdio: 'ignore' },
  )
  let failed: unknown
  child.once('error', (error) => {
    failed = error
  })
  const url = `http://127.0.0.1:${port}`
  const anvil: Anvil = {
    url,
    async rpc(method, ...params) {
      const response = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
      })
      const { result, error } = (await response.json()) as { result: never; error?: { message: string } }
      if (error) throw new Error(`${method}: ${error.message}`)
      return result
    },
    stop: () => void child.kill('SIGTERM'),
  }
  for (let i = 0; i < 100; i++) {
    if (failed !== undefined) throw failed
    try {
      await anvil.rpc('eth_chainId')
      return anvil
    } catch {
      await pause(50)
    }
  }
  anvil.stop()
  throw new Error('anvil did not start')
}

function freePort(): Promise<number> {
  const server = createServer()
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })
}
