/**
 * What an API key may be allowed to do, one sentence each, in the words that OpenAPI, the CLI and the docs show.
 * Append-only: a scope that was given out keeps its meaning.
 */
export const scopes = {
  'api:keys:read':
    'List keys, read them and their history, verify signatures, list namespaces, read the facts of the signer.',
  'api:keys:write': 'Create, import, change, rotate and delete keys.',
  'api:keys:sign': 'Sign with keys.',
  'api:keys:export': 'Export keys whose `export` allows it, sealed to the recipient’s key.',
  'api:namespaces:write': 'Create and delete namespaces.',
  'api:audit:read': 'Read records, receipts, checkpoints and consistency proofs.',
  'api:access:read': 'List API keys.',
  'api:access:write': 'Create, rotate and revoke API keys; make a suspended key active again.',
  'api:billing:read': 'Read invoices and usage.',
  'api:billing:write': 'Change the subscription.',
} as const

/** One of the scopes of the table. */
export type Scope = keyof typeof scopes

/** Every scope, in the order of the table. */
export const allScopes = Object.keys(scopes) as readonly Scope[]

/** Whether `text` names a scope of the table. */
export function isScope(text: string): text is Scope {
  return Object.hasOwn(scopes, text)
}
