import type { Route } from '../route.ts'
import {
  apiKeyCreation,
  apiKeyList,
  apiKeyQuery,
  apiKeyRotation,
  issuedApiKey,
  namespace,
  namespaceCreation,
  namespaceList,
  namespaceQuery,
} from '../schemas/access.ts'
import { byId } from './parameters.ts'
import { sampleTime } from './samples.ts'

const sampleNamespace = { id: 'ns_01h455vb4pex5vsknk084sn02q', name: 'staging', keys: 0, created_at: sampleTime }

const sampleApiKey = {
  id: 'ak_01h455vb4pex5vsknk084sn02q',
  name: 'ci-bot',
  prefix: 'psk_live_4f2a91c0',
  scopes: ['api:keys:read', 'api:keys:sign'],
  namespaces: ['staging'],
  expires_at: '2027-02-18T00:00:00.000Z',
  last_used_at: null,
  grace_until: null,
  created_at: sampleTime,
}

/** Routes over namespaces and API keys. */
export const accessRoutes = {
  'namespaces.create': {
    method: 'POST',
    path: '/v1/namespaces',
    group: 'Namespaces',
    scope: 'api:namespaces:write',
    body: namespaceCreation,
    status: 201,
    response: namespace,
    errors: [
      'namespace.name_taken',
      'quota.namespaces_exceeded',
      'scope.exceeds_caller',
      'log.behind',
      'organization.busy',
      'clock.skewed',
    ],
    idempotent: true,
    summary: 'Create a namespace',
    description:
      'An environment inside the organization, such as `production`. An API key that is bound to namespaces cannot make another one.',
    example: { request: { name: 'staging' }, response: sampleNamespace, cli: 'popsigner namespaces create staging' },
  },
  'namespaces.list': {
    method: 'GET',
    path: '/v1/namespaces',
    group: 'Namespaces',
    scope: 'api:keys:read',
    query: namespaceQuery,
    status: 200,
    response: namespaceList,
    errors: [],
    idempotent: false,
    summary: 'List namespaces',
    description: 'Newest first. An API key that is bound to namespaces sees those only.',
    example: {
      response: { namespaces: [sampleNamespace], next_cursor: null },
      cli: 'popsigner namespaces list',
    },
  },
  'namespaces.delete': {
    method: 'DELETE',
    path: '/v1/namespaces/{id}',
    group: 'Namespaces',
    scope: 'api:namespaces:write',
    params: byId,
    status: 204,
    response: null,
    errors: ['namespace.not_found', 'namespace.not_empty', 'log.behind', 'organization.busy', 'clock.skewed'],
    idempotent: false,
    summary: 'Delete a namespace',
    description: 'Refused while it holds keys that are not destroyed.',
    example: {
      params: { id: sampleNamespace.id },
      response: null,
      cli: 'popsigner namespaces delete staging',
    },
  },
  'apiKeys.create': {
    method: 'POST',
    path: '/v1/api-keys',
    group: 'API keys',
    scope: 'api:access:write',
    body: apiKeyCreation,
    status: 201,
    response: issuedApiKey,
    errors: ['namespace.not_found', 'scope.exceeds_caller', 'log.behind', 'organization.busy', 'clock.skewed'],
    idempotent: true,
    summary: 'Create an API key',
    description:
      'Its scopes, namespaces and expiry must lie within those of the API key that asks. The token is shown in this answer and never again.',
    example: {
      request: {
        name: 'ci-bot',
        scopes: ['api:keys:read', 'api:keys:sign'],
        namespaces: ['staging'],
        expires_at: '2027-02-18T00:00:00Z',
      },
      response: { ...sampleApiKey, token: 'psk_live_…' },
      cli: 'popsigner api-keys create ci-bot --scope api:keys:read --scope api:keys:sign --namespace staging',
    },
  },
  'apiKeys.list': {
    method: 'GET',
    path: '/v1/api-keys',
    group: 'API keys',
    scope: 'api:access:read',
    query: apiKeyQuery,
    status: 200,
    response: apiKeyList,
    errors: [],
    idempotent: false,
    summary: 'List API keys',
    description:
      'Newest first, without their tokens. Revoked ones are not listed; the log keeps them. An API key that is bound to namespaces sees those bound within them.',
    example: { response: { api_keys: [sampleApiKey], next_cursor: null }, cli: 'popsigner api-keys list' },
  },
  'apiKeys.delete': {
    method: 'DELETE',
    path: '/v1/api-keys/{id}',
    group: 'API keys',
    scope: 'api:access:write',
    params: byId,
    status: 204,
    response: null,
    errors: ['scope.exceeds_caller', 'api_key.not_found', 'log.behind', 'organization.busy', 'clock.skewed'],
    idempotent: false,
    summary: 'Revoke an API key',
    description:
      'When this has been answered, nothing is signed with it any more, on any server. Reads end within a second.',
    example: {
      params: { id: sampleApiKey.id },
      response: null,
      cli: `popsigner api-keys revoke ${sampleApiKey.id}`,
    },
  },
  'apiKeys.rotate': {
    method: 'POST',
    path: '/v1/api-keys/{id}/rotate',
    group: 'API keys',
    scope: 'api:access:write',
    params: byId,
    body: apiKeyRotation,
    status: 200,
    response: issuedApiKey,
    errors: ['api_key.not_found', 'scope.exceeds_caller', 'log.behind', 'organization.busy', 'clock.skewed'],
    idempotent: true,
    summary: 'Rotate an API key',
    description:
      'The same API key gets a new token, shown in this answer and never again. The old token works until `grace_until`; after a leak, give `grace_seconds: 0`.',
    example: {
      params: { id: sampleApiKey.id },
      request: { grace_seconds: 3600 },
      response: { ...sampleApiKey, grace_until: '2026-11-20T15:02:11.482Z', token: 'psk_live_…' },
      cli: `popsigner api-keys rotate ${sampleApiKey.id} --grace-seconds 3600`,
    },
  },
} as const satisfies Record<string, Route>
