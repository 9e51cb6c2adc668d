/**
 * A client that does something else beside the load until it is told to stop: streams the whole audit log, or keeps the
 * custodian at its slow calls. A program of its own.
 */
import { randomBytes } from 'node:crypto'
import { Agent, request } from 'node:http'
import { createEntropy, kernelSource } from '@popsigner/crypto/entropy'
import { generateRecipient, sealTo } from '@popsigner/crypto/hpke'
import { secp256k1 } from '@popsigner/crypto/secp256k1'
import { decodeTypeId } from '@popsigner/crypto/typeid'
import { importAad, importInfo } from '@popsigner/crypto/wrapping'

/** What to do, and where. */
export interface BesideJob {
  readonly what: 'stream' | 'custody'
  readonly host: string
  readonly port: number
  readonly token: string
}

/** What was done until the stop. */
export interface BesideResult {
  readonly milliseconds: number
  /** Records read (`stream`), or keys made, imported and exported (`custody`). */
  readonly count: number
  /** The longest single call, in milliseconds. */
  readonly longest: number
}

const keysAtOnce = 100

/** Does it until `stopped` answers true. */
async function work(job: BesideJob, stopped: () => boolean): Promise<BesideResult> {
  const agent = new Agent({ keepAlive: true })
  const start = performance.now()
  let count = 0
  let longest = 0

  async function call(method: string, path: string, body?: object): Promise<string> {
    const began = performance.now()
    const text = await send(job, agent, method, path, body)
    longest = Math.max(longest, performance.now() - began)
    return text
  }

  async function stream(): Promise<void> {
    let cursor = ''
    while (!stopped()) {
      const page = await call('GET', `/v1/audit/logs?order=asc&include=leaf&limit=1000${cursor}`)
      // What a client makes of the records is its own affair: here they are only received.
      const next = /"next_cursor":(?:"([^"]+)"|null)\}$/.exec(page.slice(-200))
      if (!next) throw new Error('a page of the log has no next_cursor')
      count += 1000
      cursor = next[1] === undefined ? '' : `&cursor=${encodeURIComponent(next[1])}`
    }
  }

  async function transfer(): Promise<void> {
    const entropy = createEntropy(kernelSource)
    const recipient = generateRecipient()
    const secret = Buffer.alloc(32)
    while (!stopped()) {
      const name = `import-${randomBytes(12).toString('hex')}`
      const wrapping = JSON.parse(await call('POST', '/v1/keys/import/wrapping-key', {}))
      secp256k1.generate(entropy, secret)
      const publicKey = secp256k1.publicKey(secret)
      const aad = importAad({
        instance: wrapping.instance,
        organization: decodeTypeId(wrapping.organization, 'org') as Uint8Array,
        wrapping_key: decodeTypeId(wrapping.id, 'wk') as Uint8Array,
        algorithm: 'secp256k1',
        schemes: ['ecdsa'],
        uses: ['transaction', 'message', 'raw', 'digest'],
        export: 'any',
        public_key: publicKey,
      })
      const { enc, ciphertext } = await sealTo(Buffer.from(wrapping.public_key, 'hex'), importInfo, aad, secret)
      const body = {
        name,
        namespace: 'production',
        algorithm: 'secp256k1',
        exportable: true,
        wrapping_key_id: wrapping.id,
      }
      const sealed = {
        enc: Buffer.from(enc).toString('base64'),
        ciphertext: Buffer.from(ciphertext).toString('base64'),
      }
      const key = JSON.parse(
        await call('POST', '/v1/keys/import', {
          ...body,
          ...sealed,
          public_key: Buffer.from(publicKey).toString('hex'),
        }),
      )
      await call('POST', `/v1/keys/${key.id}/export`, {
        recipient_public_key: Buffer.from(recipient.publicKey).toString('hex'),
      })
      count += 2
    }
  }

  async function create(): Promise<void> {
    while (!stopped()) {
      const prefix = `batch-${randomBytes(12).toString('hex')}`
      await call('POST', '/v1/keys/batch', {
        prefix,
        count: keysAtOnce,
        namespace: 'production',
        algorithm: 'secp256k1',
        exportable: false,
      })
      count += keysAtOnce
    }
  }

  async function createOne(): Promise<void> {
    while (!stopped()) {
      const name = `one-${randomBytes(12).toString('hex')}`
      await call('POST', '/v1/keys', { name, namespace: 'production', algorithm: 'secp256k1', exportable: false })
      count++
    }
  }

  await Promise.all(job.what === 'stream' ? [stream()] : [transfer(), create(), createOne()])
  agent.destroy()
  return { milliseconds: performance.now() - start, count, longest }
}

function send(
  { host, port, token }: BesideJob,
  agent: Agent,
  method: string,
  path: string,
  body?: object,
): Promise<string> {
  const content = body === undefined ? '' : JSON.stringify(body)
  const headers = {
    authorization: `Bearer ${token}`,
    ...(content === '' ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(content) }),
  }
  return new Promise((resolve, reject) => {
    const call = request({ host, port, method, path, agent, headers }, (answer) => {
      const chunks: Buffer[] = []
      answer.on('data', (chunk: Buffer) => chunks.push(chunk))
      answer.once('error', reject)
      answer.once('end', () => {
        const text = Buffer.concat(chunks).toString('latin1')
        if ((answer.statusCode ?? 500) < 400) resolve(text)
        else reject(new Error(`${method} ${path}: ${answer.statusCode} ${text.slice(0, 400)}`))
      })
    })
    call.once('error', reject)
    call.end(content)
  })
}

if (import.meta.main) {
  let stopped = false
  process.on('disconnect', () => process.exit(0))
  process.on('message', (word: BesideJob | { stop: true }) => {
    if ('stop' in word) {
      stopped = true
      return
    }
    stopped = false
    work(word, () => stopped).then(
      (result) => process.send?.({ result }),
      (error: Error) => process.send?.({ error: error.message }),
    )
  })
}
