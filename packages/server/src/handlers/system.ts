import { createHash } from 'node:crypto'
import { docsPage, docsPolicy, errorsPage } from '@popsigner/api/docs-page'
import { openApiDocument } from '@popsigner/api/openapi'
import type { Output } from '@popsigner/api/routes'
import { Answer, type Handlers } from '../http/app.ts'
import { RequestFault } from '../http/request-fault.ts'
import type { Check } from '../readiness.ts'

type SystemHandlers = Pick<
  Handlers,
  'system.health' | 'system.ready' | 'system.openapi' | 'system.docs' | 'system.docsErrors'
>

/** Handlers about the instance itself. `checks` looks at its parts. */
export function systemHandlers(
  instance: string,
  version: string,
  checks: () => Promise<readonly Check[]>,
): SystemHandlers {
  const document = openApiDocument({ version }) as Output<'system.openapi'>
  const headers = {
    'content-security-policy': docsPolicy((text) => createHash('sha256').update(text).digest('base64')),
  }
  const page = (html: string): Answer<string> => new Answer(html, { type: 'text/html; charset=utf-8', headers })
  return {
    'system.health': () => ({ status: 'ok' }),
    async 'system.ready'() {
      const found = await checks()
      const failed = found.filter((check) => !check.ok)
      if (failed.length > 0) {
        throw new RequestFault('instance.not_ready', `Not ready: ${failed.map((check) => check.name).join(', ')}.`, {
          errors: failed.map((check) => ({ field: check.name, message: check.detail })),
          retryAfterSeconds: 1,
        })
      }
      return {
        status: 'ready',
        instance,
        version,
        checks: found.map(({ name, detail }) => ({ name, ok: true, detail })),
      }
    },
    'system.openapi': () => document,
    'system.docs': () => page(docsPage()),
    'system.docsErrors': () => page(errorsPage()),
  }
}
