import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { ed25519 } from '@noble/curves/ed25519.js'
import { p256 } from '@noble/curves/nist.js'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { base64, fromBase64, hex, utf8 } from '@popsigner/crypto/bytes'
import { sha256 } from '@popsigner/crypto/hash'
import { generateRecipient, openWith } from '@popsigner/crypto/hpke'
import { decodeTypeId } from '@popsigner/crypto/typeid'
import { publicKeyOf } from '@popsigner/crypto/verify'
import { importAad, importInfo } from '@popsigner/crypto/wrapping'
import { encodeVerifierKey } from '@popsigner/transparency/checkpoint'
import { build } from 'esbuild'
import { type Browser, chromium } from 'playwright-core'
import type * as Sdk from './index.ts'
import { answersOf, createTestLog, fetchOf, signedLeaf, testId, wrappingKeyOf } from './rogue-server.ts'

const executablePath = '/usr/bin/chromium'
const skip = existsSync(executablePath) ? false : `${executablePath} is not here: apt-get install chromium`

/** The page's own names: what runs in it is written here and looked up there. */
declare const sdk: typeof Sdk
declare const location: { readonly origin: string }

async function bundle(): Promise<string> {
  const { outputFiles, warnings } = await build({
    entryPoints: [new URL('./index.ts', import.meta.url).pathname],
    ...{
      bundle: true,
      write: false,
      platform: 'browser',
      format: 'iife',
      globalName: 'sdk',
      target: 'es2024',
      logLevel: 'silent',
    },
  })
  assert.deepEqual(warnings, [])
  return outputFiles[0]?.text ?? ''
}

test('the SDK is bundled for a browser without any module of Node', async () => {
  const code = await bundle()
  assert.doesNotMatch(code, /require\(["'](?:node:|fs|crypto|path)/)
  // The check itself: a module that does use Node cannot be bundled so.
  const entryPoints = [new URL('./file-store.ts', import.meta.url).pathname]
  await assert.rejects(
    build({ entryPoints, bundle: true, write: false, platform: 'browser', logLevel: 'silent' }),
    /node:fs/,
  )
})

test('in Chromium', { skip, timeout: 120_000 }, async (t) => {
  const log = createTestLog()
  const secret = new Uint8Array(32).fill(7)
  const data = utf8('what was signed')
  const signatures = {
    secp256k1: base64(secp256k1.sign(sha256(data), secret, { prehash: false })),
    p256: base64(p256.sign(sha256(data), secret, { prehash: false })),
    ed25519: base64(ed25519.sign(data, secret)),
  }
  const publicKeys = {
    secp256k1: hex(publicKeyOf('secp256k1', secret)),
    p256: hex(publicKeyOf('p256', secret)),
    ed25519: hex(publicKeyOf('ed25519', secret)),
  }
  for (const algorithm of ['secp256k1', 'p256', 'ed25519'] as const) {
    const terms = algorithm === 'ed25519' ? { scheme: 'pure' } : { hash: 'sha256' }
    const digest = hex(sha256(data))
    log.append(signedLeaf({ algorithm, public_key: publicKeys[algorithm], digest, data_hash: digest, ...terms }))
  }
  const wrapping = generateRecipient()
  const { fetch, seen } = fetchOf({
    ...answersOf(log),
    'POST /v1/keys/import/wrapping-key': wrappingKeyOf(log, wrapping.publicKey),
    'POST /v1/keys/import': ({ body }: { body: Record<string, string> }) => ({ ...body, id: testId('key', 1) }),
    [`GET /v1/audit/logs/${testId('rec', 1)}/receipt`]: () => log.receipt(1),
  })
  const code = await bundle()
  const server = createServer(async (request, response) => {
    if (request.url === '/') {
      response.setHeader('content-type', 'text/html')
      response.end('<!doctype html><meta charset="utf-8"><title>SDK</title><script src="/sdk.js"></script>')
    } else if (request.url === '/sdk.js') {
      response.setHeader('content-type', 'text/javascript')
      response.end(code)
    } else {
      let body = ''
      for await (const chunk of request) body += chunk
      const init = { method: request.method ?? 'GET', ...(body === '' ? {} : { body }) }
      const answer = await fetch(`http://127.0.0.1${request.url}`, init)
      response.writeHead(answer.status, Object.fromEntries(answer.headers))
      response.end(await answer.text())
    }
  })
  let browser: Browser | undefined
  t.after(async () => {
    await browser?.close()
    server.close()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  // Chromium's sandbox does not start as root, where containers run tests.
  browser = await chromium.launch({ executablePath, args: process.getuid?.() === 0 ? ['--no-sandbox'] : [] })
  const page = await browser.newPage()
  const errors: unknown[] = []
  page.on('pageerror', (error) => errors.push(error))
  await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)

  await t.test('a signature of each algorithm is verified, and a changed one is not', async () => {
    const results = await page.evaluate(
      ({ signatures, publicKeys, text }) => {
        const message = new TextEncoder().encode(text)
        const fromHex = (digits: string) =>
          Uint8Array.from(digits.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16))
        return (['secp256k1', 'p256', 'ed25519'] as const).map((algorithm) => {
          const signature = sdk.signatureBytes({ signature: signatures[algorithm] })
          const verify = () => sdk.verifySignature(algorithm, { message }, signature, fromHex(publicKeys[algorithm]))
          const right = verify()
          signature[5] = (signature[5] ?? 0) ^ 1
          return [right, verify()]
        })
      },
      { signatures, publicKeys, text: 'what was signed' },
    )
    assert.deepEqual(results, [
      [true, false],
      [true, false],
      [true, false],
    ])
  })

  await t.test('a receipt is verified with its signature, and a tampered one is not', async () => {
    const receipts = await Promise.all([0, 1, 2].map((index) => log.receipt(index)))
    const results = await page.evaluate(
      ({ receipts, signatures, logKey, identity, text }) => {
        const data = new TextEncoder().encode(text)
        return receipts.map((receipt, i) => {
          const signature = signatures[i] ?? ''
          const right = sdk.verifyReceipt(receipt, { logKey, identity, data, signature })
          const wrong = sdk.verifyReceipt(
            { ...receipt, leaf_index: (receipt.leaf_index + 1) % 3 },
            { logKey, identity },
          )
          return [right.ok, right.checks.length, wrong.ok]
        })
      },
      {
        ...{
          receipts,
          signatures: [signatures.secp256k1, signatures.p256, signatures.ed25519],
          text: 'what was signed',
        },
        ...{ logKey: encodeVerifierKey(log.logKey), identity: encodeVerifierKey(log.identity) },
      },
    )
    assert.deepEqual(results, [
      [true, 9, false],
      [true, 9, false],
      [true, 9, false],
    ])
  })

  await t.test('a client fetches and verifies a receipt, and seals an import that the signer can open', async () => {
    const { record, given } = await page.evaluate(
      async (id) => {
        const client = new sdk.PopSigner({ url: location.origin, apiKey: 'psk_live_a' })
        const { leaf } = await client.audit.verifiedReceipt(id)
        const privateKey = new Uint8Array(32).fill(9)
        await client.keys.importKey({ privateKey, name: 'cold', namespace: 'production', algorithm: 'ed25519' })
        return { record: leaf.id, given: [...privateKey] }
      },
      testId('rec', 1),
    )
    assert.equal(record, testId('rec', 1))
    assert.deepEqual(given, Array(32).fill(9))
    const body = seen.find(({ path }) => path === '/v1/keys/import')?.body as Record<string, string>
    const aad = importAad({
      ...{ instance: log.instance, organization: decodeTypeId(log.organization, 'org') as Uint8Array },
      ...{ wrapping_key: decodeTypeId(testId('wk', 1), 'wk') as Uint8Array, algorithm: 'ed25519', schemes: ['pure'] },
      ...{ uses: ['transaction', 'message', 'raw', 'digest'], export: 'none' },
      public_key: publicKeyOf('ed25519', new Uint8Array(32).fill(9)),
    })
    const [enc, ciphertext] = [fromBase64(body['enc'] ?? ''), fromBase64(body['ciphertext'] ?? '')]
    assert.deepEqual(
      await openWith(wrapping.privateKey, wrapping.publicKey, enc, importInfo, aad, ciphertext),
      new Uint8Array(32).fill(9),
    )
  })

  assert.deepEqual(errors, [])
})
