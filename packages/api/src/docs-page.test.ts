import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { Script } from 'node:vm'
import { docsPage, docsPolicy, errorsPage } from './docs-page.ts'
import { docsScript } from './docs-script.ts'
import { openApiDocument } from './openapi.ts'
import { routeIds } from './routes.ts'

const sha256 = (text: string) => createHash('sha256').update(text).digest('base64')

test('the policy names exactly the style and the script that stand in the page', () => {
  const policy = docsPolicy(sha256)
  for (const tag of ['style', 'script']) {
    const inline = [...docsPage().matchAll(new RegExp(`<${tag}>(.*?)</${tag}>`, 'gs'))].map(
      (match) => match[1] as string,
    )
    assert.equal(inline.length, 1)
    assert.ok(policy.includes(`${tag}-src 'sha256-${sha256(inline[0] as string)}'`))
  }
  assert.match(policy, /^default-src 'none'; /)
  assert.doesNotMatch(policy, /unsafe/)
})

test('the pages load nothing and carry no inline handlers, styles or markup sinks', () => {
  for (const html of [docsPage(), errorsPage()]) {
    assert.doesNotMatch(html, /<(?:link|img|iframe|object|base)\b|\bsrc=|url\(|@import|https?:\/\//)
    assert.doesNotMatch(html, /\son\w+="|\sstyle="/)
  }
  assert.doesNotMatch(
    docsScript,
    /innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|localStorage|sessionStorage|cookie/,
  )
  assert.equal(errorsPage().includes('<script'), false)
  assert.doesNotThrow(() => new Script(docsScript))
})

const chromium = ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find((path) => existsSync(path))

test('in a browser the page lists every route and sends what was tried', {
  skip: chromium ? false : 'Chromium is not here',
}, async () => {
  const seen: { method: string; url: string; authorization: string | undefined; body: string }[] = []
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (part) => (body += part))
    request.on('end', () => {
      const url = request.url as string
      if (url === '/docs') {
        response.setHeader('content-type', 'text/html; charset=utf-8')
        response.setHeader('content-security-policy', docsPolicy(sha256))
        response.end(docsPage())
      } else if (url === '/openapi.json') {
        response.setHeader('content-type', 'application/json')
        response.end(JSON.stringify(openApiDocument({ version: '0.1.0' })))
      } else {
        seen.push({ method: request.method as string, url, authorization: request.headers.authorization, body })
        response.writeHead(url === '/v1/keys' ? 201 : 404, { 'content-type': 'application/json' })
        response.end(
          url === '/v1/keys'
            ? '{"id":"key_01kzzzzzzzzzzzzzzzzzzzzzzz","name":"<img src=x onerror=alert(1)>"}'
            : '{"code":"key.not_found"}',
        )
      }
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    await tryInBrowser(server, seen)
  } finally {
    server.closeAllConnections()
    server.close()
  }
})

async function tryInBrowser(
  server: Server,
  seen: readonly { method: string; url: string; authorization: string | undefined }[],
) {
  const { chromium: launcher } = await import('playwright-core')
  const browser = await launcher.launch({ executablePath: chromium as string, args: ['--no-sandbox'] })
  try {
    const page = await browser.newPage({ viewport: { width: 375, height: 800 } })
    const faults: string[] = []
    page.on('pageerror', (error) => faults.push(error.message))
    page.on('console', (message) => {
      if (message.type() === 'error' && !message.text().includes('404')) faults.push(message.text())
    })
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/docs`)
    await page.waitForSelector('article')
    const shown = await page
      .locator('article')
      .evaluateAll((nodes) => nodes.map((node) => (node as unknown as { id: string }).id))
    assert.deepEqual([...shown].sort(), [...routeIds].sort())
    assert.equal(await page.evaluate('document.documentElement.scrollWidth'), 375, 'wider than a phone')

    const create = page.locator('[id="keys.create"]')
    await create.getByText('Try it').click()
    await create.getByRole('button', { name: 'Send request' }).click()
    await create.getByText('Put an API key').waitFor()
    assert.deepEqual(seen, [], 'nothing is sent without an API key')

    await page.fill('#api-key', 'psk_live_test')
    await create.getByRole('button', { name: 'Send request' }).click()
    await create.getByText('201 Created').waitFor()
    assert.equal(await page.locator('img').count(), 0, 'an answer is text')

    const batchBody = await page.locator('[id="sign.batch"] textarea').inputValue()
    assert.equal(batchBody.split('key_01kzzzzzzzzzzzzzzzzzzzzzzz').length, 3, 'examples name the key that was made')

    const sign = page.locator('[id="keys.sign"]')
    await sign.getByText('Try it').click()
    await sign.getByRole('button', { name: 'Send request' }).click()
    await sign.getByRole('link', { name: 'key.not_found' }).first().waitFor()
    assert.deepEqual(
      seen.map(({ method, url, authorization }) => `${method} ${url} ${authorization}`),
      ['POST /v1/keys Bearer psk_live_test', 'POST /v1/keys/key_01kzzzzzzzzzzzzzzzzzzzzzzz/sign Bearer psk_live_test'],
    )
    assert.equal(
      await page.evaluate('JSON.stringify([localStorage.length, sessionStorage.length, document.cookie])'),
      '[0,0,""]',
    )
    assert.deepEqual(faults, [])
  } finally {
    await browser.close()
  }
}
