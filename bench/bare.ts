/**
 * What the server is compared with, in a process of its own: a route that echoes the same JSON, the same route signing in
 * process with nothing else, and a loop over the library alone.
 */
import { hash, randomBytes } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { loadEngine, loadNative, loadWasm } from '@popsigner/crypto/secp256k1'
import Fastify from 'fastify'

/** What the program answers once it listens. */
export interface BareReady {
  readonly port: number
  /** The engine's name; the slower one where there is no native build. */
  readonly engine: string
}

/** How many signatures a loop made, and in which time. */
export interface LoopResult {
  readonly signatures: number
  readonly milliseconds: number
}

if (import.meta.main) {
  process.on('disconnect', () => process.exit(0))
  const engine = loadEngine(loadNative, loadWasm)
  const secret = newSecret()
  const publicKey = Buffer.from(engine.publicKey(secret)).toString('hex')
  const text = { type: 'string' }
  const schema = {
    params: { type: 'object', properties: { id: text } },
    body: {
      type: 'object',
      required: ['data'],
      properties: { data: text, encoding: text, prehashed: { type: 'boolean' } },
    },
    response: {
      200: {
        type: 'object',
        properties: {
          key_id: text,
          signature: text,
          public_key: text,
          key_version: { type: 'integer' },
          recovery_id: { type: 'integer' },
          record_id: text,
        },
      },
    },
  }
  type Shape = { Params: { id: string }; Body: { data: string } }
  const rest = { public_key: publicKey, key_version: 1, recovery_id: 0, record_id: 'rec_01h455vb4pex5vsknk084sn02q' }

  const app = Fastify()
  app.post<Shape>('/echo/:id', { schema }, async ({ params, body }) => ({
    ...rest,
    key_id: params.id,
    signature: body.data.slice(0, 88),
  }))
  app.post<Shape>('/sign/:id', { schema }, async ({ params, body }) => {
    const digest = hash('sha256', Buffer.from(body.data, 'base64'), 'buffer')
    const { signature, recovery } = engine.sign(digest, secret)
    return {
      key_id: params.id,
      signature: Buffer.from(signature.buffer, signature.byteOffset, signature.length).toString('base64'),
      public_key: publicKey,
      key_version: 1,
      recovery_id: recovery,
      record_id: rest.record_id,
    }
  })
  await app.listen({ host: '127.0.0.1', port: 0 })

  process.on('message', ({ milliseconds }: { milliseconds: number }) => {
    const digest = randomBytes(32)
    const start = performance.now()
    let signatures = 0
    for (; performance.now() - start < milliseconds; signatures++) engine.sign(digest, secret)
    process.send?.({ result: { signatures, milliseconds: performance.now() - start } satisfies LoopResult })
  })
  const { port } = app.server.address() as AddressInfo
  process.send?.({ result: { port, engine: engine.engine } satisfies BareReady })

  function newSecret(): Buffer {
    for (;;) {
      const candidate = randomBytes(32)
      if (engine.isValidSecret(candidate)) return candidate
    }
  }
}
