import { z } from 'zod'
import { algorithmName, hashName, scheme } from './algorithms.ts'
import { hex, organizationId, text } from './fields.ts'

/** `GET /v1/signer`: who the signer is, to pin on first use, and what it can do. */
export const signer = z
  .strictObject({
    instance: z.string().describe('Name of the instance. It never changes.'),
    organization: organizationId.describe('Id of the organization that asks.'),
    public_key: hex(32).describe('Ed25519 identity key of the signer: it signs wrapping keys and statements.'),
    verifier_key: z.string().describe('Verifier key of its cosignatures on checkpoints.'),
    log: z.string().describe('Name of the organization’s log: `<instance>/<organization id>`.'),
    algorithms: z.array(
      z
        .strictObject({
          name: algorithmName,
          engine: z.string().describe('The library that signs.'),
          native: z.boolean().describe('False where a slower engine stands in for the native library.'),
          schemes: z
            .array(
              z
                .strictObject({
                  name: scheme,
                  input: z.enum(['digest', 'message']).describe('What the library takes.'),
                  hashes: z.array(hashName).describe('What `hash` may be. The first is the default.'),
                  prehashed: z.boolean().describe('Whether a caller may give the digest.'),
                  deterministic: z.boolean().describe('Whether the same input gives the same signature.'),
                })
                .meta({ id: 'SchemeFacts' }),
            )
            .describe('How its keys sign. The first is the default.'),
        })
        .meta({ id: 'AlgorithmFacts' }),
    ),
    locked_memory: z.boolean().describe('Whether opened keys lie in memory that is never swapped out.'),
  })
  .meta({ id: 'Signer' })

/** `GET /healthz`. */
export const health = z.strictObject({ status: z.literal('ok') }).meta({ id: 'Health' })

/** `GET /readyz`, when every check passes; otherwise the answer is the problem `instance.not_ready`. */
export const readiness = z
  .strictObject({
    status: z.literal('ready'),
    instance: z.string(),
    version: z.string().describe('Version of the server.'),
    checks: z.array(
      z.strictObject({
        name: text(64).describe('What was looked at, such as `database`, `signer` or `log`.'),
        ok: z.literal(true),
        detail: z.string().describe('What was found: the engine of an algorithm, a restart, a missing standby.'),
      }),
    ),
  })
  .meta({ id: 'Readiness' })

/** `GET /openapi.json`. */
export const openApi = z.looseObject({ openapi: z.literal('3.1.1') }).meta({ id: 'OpenApi' })

/** The answer of a page: HTML. */
export const html = z.string()
