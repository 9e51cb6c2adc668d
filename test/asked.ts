/**
 * One instance for the tests of a file, and what they ask of it. Importing this starts it before the first test, with the
 * namespaces `production` and `staging`, and removes it after the last.
 */

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before } from 'node:test'
import type { ProblemCode } from '@popsigner/api/problems'
import { algorithmNames } from '@popsigner/crypto/algorithm-facts'
import { type Answer, pause, startInstance, type TestInstance } from './instance.ts'

export let instance: TestInstance
before(async () => {
  instance = await startInstance()
  await made('POST', '/v1/namespaces', { name: 'staging' })
})
after(() => instance?.remove())

export const algorithms = algorithmNames
let names = 0
export const name = () => `i-${++names}`
export const sha256 = (bytes: Uint8Array | string) => createHash('sha256').update(bytes).digest()
export const fromBase64 = (text: string) => new Uint8Array(Buffer.from(text, 'base64'))

export function ask(method: string, path: string, body?: unknown, token = instance.token): Promise<Answer> {
  return instance.call(method, path, body, { token, headers: { 'if-match': '*' } })
}

// biome-ignore lint/suspicious/noExplicitAny: tests read bodies freely; a missing field fails them.
export async function made(method: string, path: string, body?: unknown, token?: string): Promise<any> {
  const answer = await ask(method, path, body, token)
  assert.ok(answer.status < 300, `${method} ${path}: ${JSON.stringify(answer.body)}`)
  return answer.body
}

export async function refused(
  code: ProblemCode,
  method: string,
  path: string,
  body?: unknown,
  token?: string,
): Promise<Answer> {
  const answer = await ask(method, path, body, token)
  assert.equal(answer.body?.code, code, `${method} ${path} ${JSON.stringify(body)}: ${JSON.stringify(answer.body)}`)
  return answer
}

export const newKey = (terms: object = {}, token?: string) =>
  made('POST', '/v1/keys', { name: name(), namespace: 'production', ...terms }, token)
export const newApiKey = (terms: object, token?: string) =>
  made('POST', '/v1/api-keys', { name: name(), ...terms }, token)
export const sign = (id: string, body: object = {}, token?: string) =>
  ask('POST', `/v1/keys/${id}/sign`, { data: 'aGk=', ...body }, token)

export const inMinutes = (minutes: number) => new Date(Date.now() + minutes * 60_000).toISOString()

/** Waits until it is so, for a while. */
export async function eventually(condition: () => Promise<boolean>): Promise<void> {
  const until = Date.now() + 10_000
  while (!(await condition())) {
    assert.ok(Date.now() < until, 'it was not so within 10 s')
    await pause(50)
  }
}
