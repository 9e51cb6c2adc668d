import { routeOf } from '@popsigner/sdk/routes'
import type { CommandRow } from './command.ts'

/** A scope that a command needs, and in which case; null where it always does. */
export interface NeededScope {
  readonly scope: string
  readonly when: string | null
}

/** The scopes of a command, out of the routes it calls: each once, those that it always needs first. */
export function neededScopes(row: CommandRow): readonly NeededScope[] {
  const all: NeededScope[] = (row.calls ?? []).map((route) => ({ scope: routeOf(route).scope ?? '', when: null }))
  for (const also of row.also ?? []) {
    const scope = 'scope' in also ? also.scope : (routeOf(also.route).scope ?? '')
    all.push({ scope, when: also.when ?? null })
  }
  const always = new Set(all.filter(({ when }) => when === null).map(({ scope }) => scope))
  const cases = new Map<string, string[]>()
  for (const { scope, when } of all) {
    if (when === null || always.has(scope)) continue
    cases.set(scope, [...new Set([...(cases.get(scope) ?? []), when])])
  }
  return [
    ...[...always].map((scope) => ({ scope, when: null })),
    ...[...cases].map(([scope, whens]) => ({ scope, when: whens.join(', or ') })),
  ].filter(({ scope }) => scope !== '')
}
