import { readFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import type { TestInstance } from './instance.ts'

/** Rotates the root key: the last line that the admin socket answers to it, its result or the problem. */
export function rotateSeal(instance: TestInstance, body: object): Promise<unknown> {
  const { adminSocket } = JSON.parse(readFileSync(join(instance.directory, 'run.json'), 'utf8')) as {
    adminSocket: string
  }
  const content = JSON.stringify(body)
  return new Promise((resolve, reject) => {
    const ask = request(
      {
        socketPath: adminSocket,
        method: 'POST',
        path: '/admin/v1/seal/rotate',
        headers: { 'content-type': 'application/json', 'content-length': content.length },
      },
      (answer) => {
        let text = ''
        answer.on('data', (chunk: Buffer) => {
          text += chunk.toString()
        })
        answer.once('end', () => resolve(JSON.parse(text.trim().split('\n').at(-1) ?? 'null')))
        answer.once('error', reject)
      },
    )
    ask.once('error', reject)
    ask.end(content)
  })
}
