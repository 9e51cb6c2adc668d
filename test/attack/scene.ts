/**
 * One instance with two organizations, for a file of attacks: what is theirs, and every answer that came back. Importing this
 * starts it before the first test and removes it after the last.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { type RouteId, routeIds, routeOf } from '@popsigner/api/routes'
import { allScopes } from '@popsigner/api/scopes'
import { parseToken } from '../../packages/server/src/tenants/token.ts'
import { pause, startInstance, type TestInstance } from '../instance.ts'
import { manyAddresses, nextAddress, send, type WireAnswer, type WireRequest } from '../wire.ts'
import { type Target, type Things, targets } from './targets.ts'

export let instance: TestInstance
/** Ids of this organization, and of another one. */
export let own: Things
export let foreign: Things
/** Every token that was handed out. */
export const tokens: string[] = []
/** What came back, but for the answers in which a token is shown. */
const received: string[] = []

export const scoped = routeIds.filter((id) => routeOf(id).scope !== null)
export const withBody = routeIds.filter((id) => targets[id].body !== undefined)
export const reading = routeIds.filter((id) => routeOf(id).method !== 'GET')
export const rowOf = (id: RouteId): Target => targets[id]

before(async () => {
  instance = await startInstance()
  tokens.push(instance.token)
  await makeNamespace(instance.token, 'staging')
  own = await makeThings(instance.token)
  await instance.admin('POST', 'organizations', { name: 'rival', namespaces: ['production'] })
  const { token } = (await instance.admin('POST', 'api-keys', { organization: 'rival', name: 'all' })) as {
    token: string
  }
  tokens.push(token)
  foreign = await makeThings(token)
})
after(() => instance?.remove())

export async function attack(asked: WireRequest): Promise<WireAnswer> {
  const answer = await send(instance.url, asked)
  received.push(answer.text)
  return answer
}

/** A request with a wrong credential. Each comes from an address of its own; where there is one only, the limit is waited for. */
export async function attackWithout(asked: WireRequest): Promise<WireAnswer> {
  for (;;) {
    const answer = await attack({ ...asked, from: nextAddress() })
    if (manyAddresses || answer.body?.code !== 'auth.too_many_failures') return answer
    await pause(1_100)
  }
}

export async function make(token: string, path: string, body: object): Promise<Record<string, string>> {
  const { status, body: made } = await instance.call('POST', path, body, { token })
  assert.ok(status === 200 || status === 201, JSON.stringify(made))
  return made
}

const makeNamespace = (token: string, name: string) => make(token, '/v1/namespaces', { name })

async function makeThings(token: string): Promise<Things> {
  const key = await make(token, '/v1/keys', { name: 'mine', namespace: 'production' })
  const signed = await make(token, `/v1/keys/${key['id']}/sign`, { data: 'aGk=' })
  const wrappingKey = await make(token, '/v1/keys/import/wrapping-key', {})
  const apiKey = await makeApiKey(token, { scopes: ['api:keys:read'] })
  const { body: list } = await instance.call('GET', '/v1/namespaces', undefined, { token })
  const namespace = list.namespaces.find((one: { name: string }) => one.name === 'production')
  return {
    key: key['id'] ?? '',
    record: signed['record_id'] ?? '',
    wrappingKey: wrappingKey['id'] ?? '',
    apiKey: apiKey.id,
    namespace: namespace.id,
  }
}

export async function makeApiKey(by: string, terms: object): Promise<{ id: string; token: string }> {
  const { id = '', token = '' } = await make(by, '/v1/api-keys', { name: 'a', scopes: allScopes, ...terms })
  tokens.push(token)
  return { id, token }
}

/** The last test of each file. */
export function testNothingLeaked(): void {
  test('nothing failed inside, and no answer and no line of the log has a token in it', async () => {
    const lines = instance
      .output()
      .split('\n')
      .filter((line) => line.startsWith('{'))
    assert.ok(lines.length > 0)
    assert.deepEqual(
      lines.filter((line) => /"level":"(error|fatal)"/.test(line)),
      [],
    )
    const written = [...lines, ...logFiles(join(instance.directory, 'logs'))].join('\n')
    const answered = received.join('\n')
    assert.ok(!/psk_live_[0-9a-z]{30}/.test(written), 'the log has a token')
    assert.ok(!/psk_live_[0-9a-z]{30}/.test(answered), 'an answer has a token')
    for (const token of tokens) {
      const secret = parseToken(token)?.secret as Uint8Array
      for (const encoding of ['hex', 'base64', 'base64url'] as const) {
        const text = Buffer.from(secret).toString(encoding)
        assert.ok(
          !written.includes(text) && !answered.includes(text),
          `the secret of a token stands somewhere in ${encoding}`,
        )
      }
    }
    // The one that the start shows stands in its output once.
    assert.equal(instance.output().split(instance.token).length, 2)
  })
}

function logFiles(directory: string): string[] {
  if (!statSync(directory, { throwIfNoEntry: false })?.isDirectory()) return []
  return readdirSync(directory).map((name) => readFileSync(join(directory, name), 'utf8'))
}

/** What of an answer must not tell two cases apart: all of it but its id and the time. */
export function comparable({ status, headers, body }: WireAnswer): string {
  const { date: _, 'x-request-id': __, ...rest } = headers
  return JSON.stringify({ status, headers: rest, body: { ...body, request_id: '' } })
}
