import assert from 'node:assert/strict'
import { type ProblemCode, problemDocument, problemOf, problemType } from '@popsigner/api/problems'
import { problemsOf, type RouteId, routeOf } from '@popsigner/api/routes'
import type { WireAnswer } from './wire.ts'

/**
 * Asserts that an answer is the problem of this code as the table has it: status, title, media type, request id, and the
 * headers that go with it; and that the route's row says that it can answer so (`null` for an answer of no route).
 */
export function assertProblem(answer: WireAnswer, code: ProblemCode, route: RouteId | null, what: string): void {
  const problem = problemOf(code)
  assert.equal(answer.body?.code, code, `${what}: ${answer.status} ${answer.text.slice(0, 400)}`)
  assert.equal(answer.status, problem.status, what)
  assert.match(answer.headers['content-type'] ?? '', /^application\/problem\+json/, what)
  const document = problemDocument.parse(answer.body)
  assert.equal(document.status, problem.status, what)
  assert.equal(document.title, problem.title, what)
  assert.equal(document.type, problemType(code), what)
  assert.equal(document.request_id, answer.headers['x-request-id'], what)
  assert.equal(answer.headers['cache-control'], 'no-store', what)
  assert.equal(answer.headers['x-content-type-options'], 'nosniff', what)
  if (problem.status === 401) assert.equal(answer.headers['www-authenticate'], 'Bearer', what)
  if (problem.retry) assert.match(answer.headers['retry-after'] ?? '', /^[1-9][0-9]*$/, what)
  if (route !== null)
    assert.ok(problemsOf(routeOf(route)).includes(code), `${what}: the row of ${route} does not have ${code}`)
}

/** Asserts that a problem's `errors[]` blames this field or something inside it. */
export function assertBlames(answer: WireAnswer, field: string, what: string): void {
  const fields = ((answer.body?.errors ?? []) as { field: string }[]).map((error) => error.field)
  const inside = fields.some((name) => name === field || name.startsWith(`${field}.`) || name.startsWith(`${field}[`))
  assert.ok(inside, `${what}: errors name ${fields.join(', ') || 'nothing'}, not ${field}`)
}
