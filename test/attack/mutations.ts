/** A body with one thing wrong in it, and the field that is to be blamed. */
export interface Mutation {
  readonly field: string
  readonly wrong: string
  readonly body: unknown
}

const wrongValues: readonly unknown[] = [
  null,
  true,
  0.5,
  -1,
  'x\u0000',
  '',
  [],
  [null],
  {},
  { a: 1 },
  Number.MAX_SAFE_INTEGER,
]

/** `body` with each of its fields, however deep, replaced by values of every other type. */
export function wrongTypes(body: unknown): Mutation[] {
  return placesOf(body, []).flatMap((path) =>
    wrongValues
      .filter(
        (value) =>
          typeof value !== typeof at(body, path) || kindOf(value) !== kindOf(at(body, path)) || value === 'x\u0000',
      )
      .map((value) => ({ field: fieldOf(path), wrong: JSON.stringify(value), body: replaced(body, path, value) })),
  )
}

/** `body` with an unknown field in each of its objects. */
export function unknownFields(body: unknown): Mutation[] {
  return [[], ...placesOf(body, [])]
    .filter((path) => kindOf(at(body, path)) === 'object')
    .map((path) => ({
      field: fieldOf([...path, 'no_such_field']),
      wrong: 'unknown field',
      body: replaced(body, path, { ...(at(body, path) as object), no_such_field: 'x' }),
    }))
}

type Path = readonly (string | number)[]

function placesOf(value: unknown, path: Path): Path[] {
  if (typeof value !== 'object' || value === null) return []
  const entries: [string | number, unknown][] = Array.isArray(value)
    ? value.map((item, i) => [i, item])
    : Object.entries(value)
  return entries.flatMap(([step, inner]) => [[...path, step], ...placesOf(inner, [...path, step])])
}

function at(value: unknown, path: Path): unknown {
  return path.reduce<unknown>((inner, step) => (inner as Record<string | number, unknown>)[step], value)
}

function replaced(value: unknown, path: Path, by: unknown): unknown {
  const [step, ...rest] = path
  if (step === undefined) return by
  const inner = replaced((value as Record<string | number, unknown>)[step], rest, by)
  return Array.isArray(value) ? value.with(step as number, inner) : { ...(value as object), [step]: inner }
}

function kindOf(value: unknown): string {
  return value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value
}

function fieldOf(path: Path): string {
  return path.reduce<string>(
    (text, step) => (typeof step === 'number' ? `${text}[${step}]` : text === '' ? step : `${text}.${step}`),
    '',
  )
}

/** Bodies that no reader may take, with the code of the refusal: name, bytes. */
export const malformedBodies: readonly (readonly [string, Uint8Array])[] = (
  [
    ['a name twice', '{"name":"a","name":"b"}'],
    ['a name twice, once escaped', '{"name":"a","na\\u006de":"b"}'],
    ['a name twice, nested', '{"a":{"b":[{"c":1,"c":2}]}}'],
    ['a name twice, nested and escaped', '{"a":[{"\\u0063":1,"c":2}]}'],
    ['an empty name twice', '{"":1,"":1}'],
    ['2^53', '{"a":9007199254740992}'],
    ['-2^53', '{"a":[-9007199254740992]}'],
    ['a number beyond 2^53 with an exponent', '{"a":1e16}'],
    ['a number that is infinite', '{"a":1e400}'],
    ['__proto__', '{"__proto__":{"scopes":[]}}'],
    ['__proto__ escaped', '{"\\u005f_proto__":1}'],
    ['__proto__ nested', '{"a":[{"__proto__":1}]}'],
    ['nesting of 17', `${'['.repeat(17)}${']'.repeat(17)}`],
    ['nesting of 100,000', `${'['.repeat(100_000)}${']'.repeat(100_000)}`],
    ['objects nested 10,000 deep', `${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`],
    ['half of a surrogate pair', '{"a":"\\ud800"}'],
    ['half of a surrogate pair in a name', '{"\\uDC00":1}'],
    ['nothing but a brace', '{'],
    ['text after the end', '{} {}'],
    ['a comment', '{/**/}'],
    ['single quotes', "{'a':1}"],
    ['NaN', '{"a":NaN}'],
    ['a control character in a string', '{"a":"\u0001"}'],
    ['NUL in a string', '{"a":"\u0000"}'],
    ['a NUL byte', '\u0000'],
    ['a byte order mark', '\ufeff{}'],
    ['UTF-8 that is none', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])],
    ['a surrogate in UTF-8', Buffer.from([0x7b, 0x22, 0xed, 0xa0, 0x80, 0x22, 0x3a, 0x31, 0x7d])],
    ['an overlong slash', Buffer.from([0x7b, 0x22, 0xc0, 0xaf, 0x22, 0x3a, 0x31, 0x7d])],
    ['UTF-16', Buffer.from('{}', 'utf16le')],
  ] as const
).map(([name, body]) => [name, Buffer.from(body as string)] as const)
