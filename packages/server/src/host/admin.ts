import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { describeProblem, problemOf } from '@popsigner/api/problems'
import { allScopes, isScope } from '@popsigner/api/scopes'
import { base64, fromHex, hex } from '@popsigner/crypto/bytes'
import { sha256 } from '@popsigner/crypto/hash-native'
import { CustodyFault } from '@popsigner/custody/faults'
import { encodeHostAction } from '@popsigner/custody/host-action'
import { encodeVerifierKey, NOTE_COSIGNATURE, NOTE_ED25519, verifierKey } from '@popsigner/transparency/checkpoint'
import { consistencyPath, rootAt } from '@popsigner/transparency/tiles'
import { faultOf } from '../http/faults-of.ts'
import { RequestFault } from '../http/request-fault.ts'
import { parseStrictJson } from '../http/strict-json.ts'
import { newId } from '../ids.ts'
import { errorFields, type Log } from '../log.ts'
import { plans } from '../plans.ts'
import { actorOfOurs } from './actors.ts'
import {
  createApiKey,
  createOrganization,
  findOrganization,
  type HostServices,
  listOrganizations,
} from './organizations.ts'
import { rotateSeal } from './seal.ts'

const maximumBody = 65_536

/** What `status` answers beside what this room knows. */
export type ReadStatus = () => Promise<Record<string, unknown>>

type Body = Readonly<Record<string, unknown>>
type Respond = (value: unknown) => void
type AdminHandler = (body: Body, respond: Respond, parameter: string, query: Body) => Promise<unknown>

/**
 * The admin socket: HTTP over a unix socket that only the host may open, which is all the authentication there is. No network
 * route has its power. Its answers and problems have the forms of the API's.
 */
export function createAdmin(services: HostServices, status: ReadStatus, log: Log): Server {
  const { pool, keeper, signer } = services
  let rotating = false

  const handlers: Readonly<Record<string, AdminHandler>> = {
    'GET status': async () => status(),
    'GET organizations': async () => ({ organizations: await listOrganizations(pool) }),
    'POST organizations': async (body) => {
      only(body, 'name', 'plan', 'namespaces')
      const plan = body['plan'] === undefined ? 'self_hosted' : text(body, 'plan')
      if (!Object.hasOwn(plans, plan)) throw invalid('plan', `must be ${Object.keys(plans).join(', ')}`)
      return createOrganization(services, name(body, 'name'), plan, names(body, 'namespaces') ?? ['production'])
    },
    'POST api-keys': async (body) => {
      only(body, 'organization', 'name', 'scopes', 'namespaces', 'expires_at')
      const scopes = texts(body, 'scopes')
      const unknown = scopes?.find((scope) => !isScope(scope))
      if (unknown !== undefined) throw invalid('scopes', `must be among ${allScopes.join(', ')}`)
      const expires =
        body['expires_at'] === undefined || body['expires_at'] === null ? null : new Date(text(body, 'expires_at'))
      if (expires && !(expires.getTime() > Date.now()))
        throw invalid('expires_at', 'must be a time to come such as 2027-01-01T00:00:00Z')
      return createApiKey(services, text(body, 'organization'), {
        name: name(body, 'name'),
        scopes,
        namespaces: names(body, 'namespaces'),
        expiresAt: expires,
      })
    },
    'POST seal/rotate': async (body, respond) => {
      only(body, 'organization_keys')
      if (body['organization_keys'] !== undefined && typeof body['organization_keys'] !== 'boolean')
        throw invalid('organization_keys', 'must be true or false')
      if (rotating) throw new RequestFault('organization.busy', 'A rotation is under way.', { retryAfterSeconds: 5 })
      rotating = true
      try {
        return { result: await rotateSeal(services, body['organization_keys'] === true, respond) }
      } finally {
        rotating = false
      }
    },
    'GET recover': async (_body, _respond, parameter, query) => {
      only(query, 'size')
      const from = query['size'] === undefined ? null : Number(text(query, 'size'))
      if (from !== null && !(Number.isSafeInteger(from) && from >= 0)) throw invalid('size', 'must be a tree size')
      const organization = await findOrganization(services, parameter)
      const [head] = await signer.heads([organization.bytes])
      const tree = await keeper.refresh(organization.id)
      const root = await rootAt(tree, tree.size, sha256)
      const identity = signer.capabilities?.identity
      if (!identity) throw new CustodyFault('custody.unavailable', null)
      return {
        organization: organization.text,
        log: organization.log,
        log_key: encodeVerifierKey(verifierKey(organization.log, NOTE_ED25519, organization.logPublicKey)),
        identity_key: encodeVerifierKey(verifierKey(services.instance, NOTE_COSIGNATURE, identity)),
        consistency:
          from === null || from > tree.size
            ? null
            : (await consistencyPath(tree, from, tree.size, sha256)).map((hash) => base64(hash)),
        ledger: head ? { size: head.size, root: hex(head.root) } : null,
        database: { size: tree.size, root: hex(root) },
        nonce: hex(await signer.hostNonce()),
      }
    },
    'POST recover': async (body) => {
      only(body, 'organization', 'size', 'root', 'nonce', 'mac')
      const organization = await findOrganization(services, text(body, 'organization'))
      const size = body['size']
      if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0)
        throw invalid('size', 'must be a tree size')
      const [lost] = await signer.heads([organization.bytes])
      try {
        await signer.hostAction(
          bytes(body, 'nonce'),
          encodeHostAction({
            action: 'accept-checkpoint',
            organization: organization.bytes,
            size,
            root: bytes(body, 'root'),
          }),
          bytes(body, 'mac'),
        )
      } catch (error) {
        if (error instanceof CustodyFault && error.code === 'custody.host_refused')
          throw new RequestFault('host.refused', 'The MAC was not made with the host key.')
        throw error
      }
      keeper.forget(organization.id)
      await keeper.prove(organization)
      const host = await actorOfOurs(pool, services.organizations, organization, 'host')
      await services.changes.run(host, async () => ({
        records: [
          { fields: { event: 'log.rollback_accepted', size, root: text(body, 'root'), lost_size: lost?.size ?? 0 } },
        ],
        change: { bump: true },
        claim: null,
        write: async () => {},
      }))
      return { organization: organization.text, size, lost_size: lost?.size ?? 0 }
    },
  }

  return createServer((request, response) => {
    void answer(request, response, handlers, log)
  })
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  handlers: Readonly<Record<string, AdminHandler>>,
  log: Log,
): Promise<void> {
  const id = newId('req')
  let streaming = false
  const respond: Respond = (value) => {
    if (!streaming) response.writeHead(200, { 'content-type': 'application/x-ndjson' })
    streaming = true
    response.write(`${JSON.stringify(value)}\n`)
  }
  try {
    const [target = '', search = ''] = (request.url ?? '').split('?', 2)
    const path = target.replace(/^\/admin\/v1\//, '')
    const exact = search === '' ? handlers[`${request.method} ${path}`] : undefined
    const slash = path.indexOf('/')
    const handler = exact ?? (slash > 0 ? handlers[`${request.method} ${path.slice(0, slash)}`] : undefined)
    if (!handler) throw new RequestFault('route.not_found', 'No host command has this path.')
    const value = await handler(
      await readBody(request),
      respond,
      exact ? '' : decodeURIComponent(path.slice(slash + 1)),
      Object.fromEntries(new URLSearchParams(search)),
    )
    if (streaming) response.end(`${JSON.stringify(value)}\n`)
    else response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value))
  } catch (error) {
    const fault = faultOf(error)
    if (fault.code === 'internal.error') log.error('a host command failed', { request: id, ...errorFields(error) })
    const document = JSON.stringify(describeProblem(fault.code, fault.detail.text, id, fault.detail.errors))
    if (streaming) response.end(`${document}\n`)
    else response.writeHead(problemOf(fault.code).status, { 'content-type': 'application/problem+json' }).end(document)
  }
}

async function readBody(request: IncomingMessage): Promise<Body> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > maximumBody) throw new RequestFault('request.too_large', 'The body is too large.')
    chunks.push(chunk)
  }
  if (size === 0) return {}
  const value = parseStrictJson(Buffer.concat(chunks))
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new RequestFault('request.malformed', 'The body must be an object.')
  return value as Body
}

function only(body: Body, ...fields: string[]): void {
  const unknown = Object.keys(body).find((field) => !fields.includes(field))
  if (unknown !== undefined) throw invalid(unknown.slice(0, 120), 'is not a known field')
}

function text(body: Body, field: string): string {
  const value = body[field]
  if (typeof value !== 'string' || value === '' || value.length > 256) throw invalid(field, 'must be text')
  return value
}

function name(body: Body, field: string): string {
  return checkName(text(body, field), field)
}

function checkName(value: string, field: string): string {
  if (!/^[a-zA-Z0-9][a-zA-Z0-9._-]{0,127}$/.test(value))
    throw invalid(field, 'must be 1 to 128 letters, digits, dots, dashes or underscores')
  return value
}

function texts(body: Body, field: string): string[] | null {
  const value = body[field]
  if (value === undefined || value === null) return null
  if (!Array.isArray(value) || value.length === 0 || !value.every((one) => typeof one === 'string'))
    throw invalid(field, 'must be a list of texts')
  return value as string[]
}

function names(body: Body, field: string): string[] | null {
  const list = texts(body, field)
  for (const one of list ?? []) checkName(one, field)
  return list
}

function bytes(body: Body, field: string): Uint8Array {
  try {
    return fromHex(text(body, field))
  } catch {
    throw invalid(field, 'must be hex')
  }
}

function invalid(field: string, message: string): RequestFault {
  return new RequestFault('request.invalid', 'One field is not accepted.', { errors: [{ field, message }] })
}
