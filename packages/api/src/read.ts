import type { z } from 'zod'
import type { FieldError } from './problems.ts'

/** What became of a value that was held against a schema: the parsed value, or what is wrong with it by field. */
export type Reading<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly errors: readonly FieldError[] }

/** Most entries that are reported of one value. */
const maxErrors = 50

/** No schema is deeper than this; what lies below is refused by it anyway. */
const maxDepth = 8

/** Longest field path that is reported; a caller's own field names can be long. */
const maxFieldLength = 120

/**
 * Holds `value` against `schema`. Never throws. The messages say what a field must be and never repeat the value, since it
 * may be a secret; the names of unknown fields are repeated, shortened.
 */
export function readInput<S extends z.ZodType>(schema: S, value: unknown): Reading<z.output<S>> {
  const lost = findProto(value, [])
  if (lost !== null) return { ok: false, errors: [{ field: fieldPath(lost), message: 'is not a known field' }] }
  const parsed = schema.safeParse(value, { error: describeIssue })
  if (parsed.success) return { ok: true, value: parsed.data }
  const errors = new Map<string, string>()
  collect(parsed.error.issues, [], errors)
  // What is said of the whole follows from what is wrong inside it.
  if (errors.size > 1) errors.delete(fieldPath([]))
  return { ok: false, errors: Array.from(errors, ([field, message]) => ({ field, message })) }
}

/** Writes a path as a caller would: `keys[2].name`. The value itself is called `body`. */
export function fieldPath(path: readonly PropertyKey[]): string {
  let text = ''
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`
    else text += text === '' ? String(step) : `.${String(step)}`
  }
  return text === '' ? 'body' : text.slice(0, maxFieldLength)
}

// A field named __proto__ is an own property after JSON.parse, and a parser that copies records would drop it unseen.
function findProto(value: unknown, path: readonly PropertyKey[]): readonly PropertyKey[] | null {
  if (typeof value !== 'object' || value === null || path.length > maxDepth) return null
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) {
      const item: unknown = value[index]
      const found = typeof item === 'object' && item !== null ? findProto(item, [...path, index]) : null
      if (found !== null) return found
    }
    return null
  }
  if (Object.hasOwn(value, '__proto__')) return [...path, '__proto__']
  for (const [name, item] of Object.entries(value)) {
    const found = typeof item === 'object' && item !== null ? findProto(item, [...path, name]) : null
    if (found !== null) return found
  }
  return null
}

// Only for what the schemas themselves say nothing about; their own messages come first.
function describeIssue(issue: z.core.$ZodRawIssue): string | undefined {
  if (issue.input === undefined && issue.code !== 'custom') return 'is required'
  switch (issue.code) {
    case 'invalid_type':
      return `must be ${articles[issue.expected as string] ?? `of type ${issue.expected}`}`
    case 'invalid_value':
      return `must be ${listOf(issue.values as readonly unknown[])}`
    case 'too_big':
      return `must ${limit(issue.origin as string, 'at most', Number(issue.maximum))}`
    case 'too_small':
      return `must ${limit(issue.origin as string, 'at least', Number(issue.minimum))}`
    default:
      return undefined
  }
}

const articles: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  object: 'an object',
  array: 'a list',
  record: 'an object',
}

const sizes: Readonly<Record<string, readonly [string, string]>> = {
  string: ['character', 'characters'],
  array: ['entry', 'entries'],
}

function limit(origin: string, bound: string, value: number): string {
  const unit = sizes[origin]
  return unit === undefined ? `be ${bound} ${value}` : `have ${bound} ${value} ${unit[value === 1 ? 0 : 1]}`
}

function listOf(values: readonly unknown[]): string {
  const texts = values.map(String)
  const last = texts.pop() ?? ''
  return texts.length === 0 ? last : `${texts.join(', ')} or ${last}`
}

// The first message about a field stands for it; the later ones follow from it.
function collect(
  issues: readonly z.core.$ZodIssue[],
  prefix: readonly PropertyKey[],
  errors: Map<string, string>,
): void {
  const report = (path: readonly PropertyKey[], message: string) => {
    const field = fieldPath(path)
    if (errors.size < maxErrors && !errors.has(field)) errors.set(field, message)
  }
  for (const issue of issues) {
    const path = [...prefix, ...issue.path]
    if (issue.code === 'unrecognized_keys') {
      for (const name of issue.keys) report([...path, name], 'is not a known field')
    } else if (issue.code === 'invalid_key') {
      report(path, issue.issues[0]?.message ?? 'is not a valid name')
    } else if (issue.code === 'invalid_union' && (looksInside(issue) || issue.message === defaultMessage)) {
      collect(closest(issue.errors), path, errors)
    } else {
      report(path, issue.message)
    }
  }
}

// What zod says where a schema has no words of its own.
const defaultMessage = 'Invalid input'

// A union of plain values has one message of its own; only where a branch looked into an object is there more to say.
function looksInside(issue: z.core.$ZodIssueInvalidUnion): boolean {
  return issue.errors.some((branch) =>
    branch.some((inner) => inner.path.length > 0 || inner.code === 'unrecognized_keys'),
  )
}

// The branch that the caller meant: the one that knows most of the fields given, then the one that misses fewest.
function closest(branches: readonly (readonly z.core.$ZodIssue[])[]): readonly z.core.$ZodIssue[] {
  const unknown = (branch: readonly z.core.$ZodIssue[]) =>
    branch.reduce((sum, issue) => sum + (issue.code === 'unrecognized_keys' ? issue.keys.length : 0), 0)
  const missing = (branch: readonly z.core.$ZodIssue[]) =>
    branch.filter((issue) => issue.path.length === 1 && issue.message === 'is required').length
  const ranked = [...branches].sort((a, b) => unknown(a) - unknown(b) || missing(a) - missing(b) || a.length - b.length)
  return ranked[0] ?? []
}
