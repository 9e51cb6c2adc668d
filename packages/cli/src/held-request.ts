/**
 * `--print-request` and `--dry-run`: the command does all that comes before its own request, which is kept here instead
 * of being sent. What only reads on the way there (a key looked up by its name) is sent; what changes anything never is.
 */
import { type RouteId, routeOf } from '@popsigner/sdk/routes'
import type { Act } from './confirm.ts'
import type { Output } from './output.ts'
import { printable } from './terminal.ts'

/** What is shown instead of being done. */
export type Showing = 'request' | 'dry-run'

/** A request that was not sent. The headers are without the credential. */
export interface HeldRequest {
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | null
}

/** Keeps the first request that is of one of these routes, or that is no GET; the others go to `send`. */
export interface Holder {
  readonly fetch: typeof globalThis.fetch
  held(): HeldRequest | null
}

/** Starts to hold for a command that is there to call `routes`. What is held fails for the caller. */
export function createHolder(routes: readonly RouteId[], send: typeof globalThis.fetch): Holder {
  const own = routes.map(routeOf).map(({ method, path }) => ({ method, form: pathForm(path) }))
  let held: HeldRequest | null = null
  return {
    held: () => held,
    async fetch(input, init = {}) {
      const url = String(input)
      const method = init.method ?? 'GET'
      const { pathname } = new URL(url)
      const isOwn = own.some((route) => route.method === method && route.form.test(pathname))
      if (method === 'GET' && !isOwn) return send(input, init)
      const { authorization: _, ...headers } = init.headers as Record<string, string>
      held ??= { method, url, headers, body: typeof init.body === 'string' ? init.body : null }
      throw new Error('the request is shown and not sent')
    },
  }
}

// The path of the server's own address may stand before it.
function pathForm(path: string): RegExp {
  return new RegExp(`${path.replaceAll('.', '\\.').replaceAll(/\{[^}]+\}/g, '[^/]+')}$`)
}

/** Shows what was held. `token` is how a shell gets the API key; the key itself is in no output. */
export function showHeld(output: Output, showing: Showing, request: HeldRequest, token: string): void {
  const { method, url, headers, body } = request
  if (showing === 'dry-run') {
    const content: unknown = body === null ? null : JSON.parse(body)
    if (output.json) {
      output.object({ dry_run: true, method, url, body: content })
      return
    }
    output.line(printable(`${method} ${url}`))
    if (content !== null) output.line(printable(JSON.stringify(content)))
    output.note('Nothing was changed. Whether the server would allow it was not asked.')
    return
  }
  const authorization = `Bearer ${token}`
  if (output.json) {
    output.object({ method, url, headers: { ...headers, authorization }, body })
    return
  }
  const parts = [
    `curl --request ${method} ${quote(url)}`,
    ...Object.entries(headers).map(([name, value]) => `--header ${quote(`${name}: ${value}`)}`),
    ...(body === null ? [] : [`--data-raw ${quote(body)}`]),
    // From standard input: what stands on the command line is seen by every user of the machine.
    `--header @- <<END\nauthorization: ${authorization}\nEND`,
  ]
  output.line(parts.join(' \\\n  '))
  output.note('Not sent.')
}

/** Says what a command would have asked consent for. */
export function noteAct(output: Output, { what, consequence, where }: Act): void {
  for (const line of [...where, `${what}.`, consequence]) output.note(printable(line))
}

/** A text as one word of a shell. */
export function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}
