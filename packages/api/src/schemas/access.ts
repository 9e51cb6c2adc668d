import { z } from 'zod'
import { allScopes, type Scope } from '../scopes.ts'
import {
  apiKeyId,
  count,
  defaultGraceSeconds,
  givenTime,
  maxGraceSeconds,
  name,
  namespaceId,
  nextCursor,
  page,
  time,
} from './fields.ts'

/** An environment inside the organization. */
export const namespace = z
  .strictObject({
    id: namespaceId,
    name,
    keys: count.describe('How many keys it holds that are not destroyed.'),
    created_at: time,
  })
  .meta({ id: 'Namespace' })

/** `POST /v1/namespaces`. */
export const namespaceCreation = z
  .strictObject({ name: name.describe('Name of the namespace, unique in the organization.') })
  .meta({ id: 'NamespaceCreation' })

export const namespaceQuery = z.strictObject(page(100, 50))

export const namespaceList = z
  .strictObject({ namespaces: z.array(namespace), next_cursor: nextCursor })
  .meta({ id: 'NamespaceList' })

/** A scope of the table. */
const scopeName = z.enum(allScopes as [Scope, ...Scope[]]).meta({ id: 'Scope' })

const scopeList = z
  .array(scopeName)
  .min(1)
  .max(allScopes.length)
  .refine((list) => new Set(list).size === list.length, 'must not name a scope twice')

const namespaceNames = z
  .array(name)
  .min(1)
  .max(100)
  .refine((list) => new Set(list).size === list.length, 'must not name a namespace twice')
  .nullable()

const apiKeyFields = {
  id: apiKeyId,
  name,
  prefix: z.string().describe('The first characters of the token, to recognise it by. Not a secret.'),
  scopes: scopeList,
  namespaces: z
    .array(name)
    .nullable()
    .describe('Names of the namespaces it is bound to; `null` for all, also those made later.'),
  expires_at: time.nullable(),
  last_used_at: time.nullable().describe('Good to a minute.'),
  grace_until: time.nullable().describe('After a rotation: until when the token before it still works.'),
  created_at: time,
}

/** An API key without its secret. */
export const apiKey = z.strictObject(apiKeyFields).meta({ id: 'ApiKey' })

/** An API key with its secret: the answer of the two routes that make one. */
export const issuedApiKey = z
  .strictObject({
    ...apiKeyFields,
    token: z
      .string()
      .nullable()
      .describe(
        'The bearer token, `psk_live_…`. Shown this once; a repeat with the same Idempotency-Key answers `null`.',
      ),
  })
  .meta({ id: 'IssuedApiKey' })

const expiry = givenTime
  .nullable()
  .describe('When it stops working; `null` for never. At most the expiry of the API key that asks.')

/** `POST /v1/api-keys`. */
export const apiKeyCreation = z
  .strictObject({
    name: name.describe('What it is for.'),
    scopes: scopeList.describe('At most the scopes of the API key that asks.'),
    namespaces: namespaceNames
      .default(null)
      .describe('Names of the namespaces it is bound to; `null` for all. At most those of the API key that asks.'),
    expires_at: expiry.default(null),
  })
  .meta({ id: 'ApiKeyCreation' })

export const apiKeyQuery = z.strictObject(page(100, 50))

export const apiKeyList = z
  .strictObject({ api_keys: z.array(apiKey), next_cursor: nextCursor })
  .meta({ id: 'ApiKeyList' })

/** `POST /v1/api-keys/{id}/rotate`. */
export const apiKeyRotation = z
  .strictObject({
    grace_seconds: z
      .int()
      .min(0)
      .max(maxGraceSeconds)
      .default(defaultGraceSeconds)
      .describe(
        'How long the token before it still works, in seconds; 0 ends it at once. Default: a day; at most 7 days.',
      ),
    expires_at: expiry.optional().describe('A new expiry; left out, it stays as it is.'),
  })
  .meta({ id: 'ApiKeyRotation' })
