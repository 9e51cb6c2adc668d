import { z } from 'zod'
import { describeProblem, type ProblemCode, problemCodes, problemDocument, problemOf, problemType } from './problems.ts'
import { defaultMaxBodyBytes, type Route, type RouteGroup } from './route.ts'
import { problemsOf, type RouteId, routeIds, routelessProblems, routeOf } from './routes.ts'
import { scopes } from './scopes.ts'

type Json = Record<string, unknown>

const groups: Readonly<Record<RouteGroup, string>> = {
  Keys: 'Create keys, read them, change what they may do, rotate and delete them.',
  Signing: 'Sign and verify, one by one or in batches.',
  Transactions: 'Say what a transaction or a message of a chain would do, and sign it.',
  'Import and export': 'Bring a key in or give one out, sealed from the one process to the other.',
  Namespaces: 'Environments inside the organization.',
  'API keys': 'Bearer tokens with scopes.',
  Audit: 'Records of what was done, and proof of them.',
  Instance: 'The instance itself: who signs, whether it is ready, and this description.',
}

const introduction = `Keys, signatures, and proof of what was signed.

- **Authentication.** \`Authorization: Bearer psk_live_…\`. Each route names the scope it needs.
- **Ids** are typed and sort by time: \`key_01h455vb4pex5vsknk084sn02q\`. What belongs to another organization answers as what does not exist.
- **Lists** are newest first and take \`limit\` and \`cursor\`; the answer has \`next_cursor\`.
- **Bodies** are JSON in UTF-8. Unknown fields are refused, and so is a field that stands twice. A missing body is read as \`{}\`. Whole numbers past 2^53 travel as strings.
- **Problems** are \`application/problem+json\` (RFC 9457). Branch on \`code\`; \`detail\` is for people. \`retry\` in x-problems says whether the same request may succeed later.
- **Idempotency-Key** on the POST routes that take it is good for 24 hours within one API key and route. The same key and body: the same record and no second charge. Another body: 422. A secret that is shown once is \`null\` in a repeat.
- **Batches** keep the order of the request.`

/** OpenAPI 3.1.1 of the whole route table. `version` is that of the server. Made once at start; the object is fresh at every call. */
export function openApiDocument({ version }: { readonly version: string }): Json {
  const schemas: Json = {}
  const paths: Record<string, Json> = {}
  for (const id of routeIds) {
    const route = routeOf(id)
    const path = paths[route.path] ?? {}
    path[route.method.toLowerCase()] = describeRoute(id, route, schemas)
    paths[route.path] = path
  }
  addSchema(problemDocument, 'output', schemas)
  return {
    openapi: '3.1.1',
    info: {
      title: 'POPSigner',
      summary: 'Holds keys, signs with them, and proves what was signed.',
      description: introduction,
      version,
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/', description: 'This instance' }],
    tags: Object.entries(groups).map(([name, description]) => ({ name, description })),
    paths,
    components: {
      schemas,
      parameters: headerParameters,
      headers: responseHeaders,
      examples: problemExamples(),
      securitySchemes: {
        apiKey: {
          type: 'http',
          scheme: 'bearer',
          bearerFormat: 'psk_live_…',
          description: 'An API key. The scope in a route’s requirement is the one it needs.',
        },
      },
    },
    'x-scopes': scopes,
    'x-problems': Object.fromEntries(
      problemCodes.map((code) => {
        const { status, title, retry, cause, fix } = problemOf(code)
        return [code, { status, title, retry, cause, fix, type: problemType(code) }]
      }),
    ),
    'x-routeless-problems': routelessProblems,
  }
}

/** The request of a route's example as a curl command; the API key stands in `$POPSIGNER_API_KEY`. */
export function curlExample(route: Route): string {
  const path = route.path.replace(
    /\{(\w+)\}/g,
    (_, parameter: string) => route.example.params?.[parameter] ?? parameter,
  )
  const query = new URLSearchParams(route.example.query as Record<string, string> | undefined).toString()
  const lines = [`curl -sS "$POPSIGNER_URL${path}${query === '' ? '' : `?${query}`}"`]
  if (route.method !== 'GET' && !(route.method === 'POST' && route.example.request !== undefined)) {
    lines.push(`-X ${route.method}`)
  }
  if (route.scope !== null) lines.push('-H "Authorization: Bearer $POPSIGNER_API_KEY"')
  if (route.idempotent) lines.push('-H "Idempotency-Key: $(uuidgen)"')
  if (route.conditional) lines.push("-H 'If-Match: *'")
  if (route.example.request !== undefined) {
    lines.push(
      "-H 'Content-Type: application/json'",
      `-d '${JSON.stringify(route.example.request).replaceAll("'", "'\\''")}'`,
    )
  }
  return lines.join(' \\\n  ')
}

function describeRoute(id: RouteId, route: Route, schemas: Json): Json {
  const operation: Json = {
    operationId: id,
    tags: [route.group],
    summary: route.summary,
    description: route.description,
    parameters: describeParameters(route, schemas),
    responses: describeResponses(route, schemas),
    security: route.scope === null ? [] : [{ apiKey: [route.scope] }],
    'x-idempotent': route.idempotent,
    'x-codeSamples': [
      { lang: 'shell', label: 'curl', source: curlExample(route) },
      ...(route.example.cli === undefined ? [] : [{ lang: 'shell', label: 'CLI', source: `npx ${route.example.cli}` }]),
    ],
  }
  if (route.scope !== null) operation['x-scope'] = route.scope
  if (route.body !== undefined) {
    operation['x-max-body-bytes'] = route.maxBodyBytes ?? defaultMaxBodyBytes
    operation['requestBody'] = {
      required: !route.body.safeParse({}).success,
      content: {
        'application/json': { schema: addSchema(route.body, 'input', schemas), example: route.example.request ?? {} },
      },
    }
  }
  return operation
}

function describeParameters(route: Route, schemas: Json): Json[] {
  const parameters: Json[] = []
  for (const [, parameter] of route.path.matchAll(/\{(\w+)\}/g)) {
    const example = route.example.params?.[parameter as string]
    parameters.push({
      name: parameter,
      in: 'path',
      required: true,
      description: 'Id. A malformed one is answered like one that does not exist.',
      schema: { type: 'string' },
      ...(example === undefined ? {} : { example }),
    })
  }
  if (route.query !== undefined) parameters.push(...describeQuery(route, route.query, schemas))
  if (route.idempotent) parameters.push({ $ref: '#/components/parameters/IdempotencyKey' })
  if (route.conditional) parameters.push({ $ref: '#/components/parameters/IfMatch' })
  parameters.push({ $ref: '#/components/parameters/RequestId' })
  return parameters
}

function describeQuery(route: Route, query: z.ZodType, schemas: Json): Json[] {
  const object = addSchema(query, 'input', schemas) as { properties: Record<string, Json>; required?: string[] }
  return Object.entries(object.properties).map(([name, schema]) => {
    const { description, ...rest } = schema
    const example = route.example.query?.[name]
    return {
      name,
      in: 'query',
      required: object.required?.includes(name) ?? false,
      description,
      schema: rest,
      ...(example === undefined ? {} : { example: rest['type'] === 'integer' ? Number(example) : example }),
    }
  })
}

function describeResponses(route: Route, schemas: Json): Json {
  const responses: Json = { [route.status]: describeSuccess(route, schemas) }
  const byStatus = new Map<number, ProblemCode[]>()
  for (const code of problemsOf(route)) {
    const { status } = problemOf(code)
    byStatus.set(status, [...(byStatus.get(status) ?? []), code])
  }
  for (const [status, codes] of [...byStatus].sort(([a], [b]) => a - b)) responses[status] = describeFailure(codes)
  return responses
}

function describeSuccess(route: Route, schemas: Json): Json {
  const headers: Json = { 'X-Request-Id': headerRef('RequestId') }
  if (route.scope !== null) Object.assign(headers, rateHeaders)
  if (route.tagged) headers['ETag'] = headerRef('ETag')
  if (route.response === null) return { description: 'Done; no body.', headers }
  const schema = addSchema(route.response, 'output', schemas)
  const content: Json = {}
  for (const type of route.produces ?? ['application/json']) {
    content[type] =
      type === 'application/json' ? { schema, example: route.example.response } : { schema: { type: 'string' } }
  }
  return { description: successes[route.status], headers, content }
}

const successes: Readonly<Record<number, string>> = {
  200: 'Done.',
  201: 'Created.',
  202: 'Accepted.',
  204: 'Done; no body.',
}

function describeFailure(codes: readonly ProblemCode[]): Json {
  const headers: Json = { 'X-Request-Id': headerRef('RequestId') }
  if (codes.some((code) => problemOf(code).retry)) headers['Retry-After'] = headerRef('RetryAfter')
  if (codes.some((code) => problemOf(code).status === 401)) headers['WWW-Authenticate'] = headerRef('WwwAuthenticate')
  return {
    description: codes.map((code) => `\`${code}\`: ${problemOf(code).title}`).join('\n\n'),
    headers,
    content: {
      'application/problem+json': {
        schema: { allOf: [{ $ref: '#/components/schemas/Problem' }, { properties: { code: { enum: [...codes] } } }] },
        examples: Object.fromEntries(codes.map((code) => [code, { $ref: `#/components/examples/${code}` }])),
      },
    },
  }
}

function headerRef(name: keyof typeof responseHeaders): Json {
  return { $ref: `#/components/headers/${name}` }
}

const headerParameters = {
  IdempotencyKey: {
    name: 'Idempotency-Key',
    in: 'header',
    required: false,
    description:
      'Text of your own, 1 to 255 printable ASCII characters, new for every new request. Good for 24 hours within one API key and route.',
    schema: { type: 'string', minLength: 1, maxLength: 255, pattern: '^[\\x21-\\x7e]+$' },
    example: '5b0f4a6e-54c8-4a8c-9a54-0c1f6c0f7a11',
  },
  IfMatch: {
    name: 'If-Match',
    in: 'header',
    required: true,
    description: 'The `ETag` of the key as it was read, or `*` to change it whatever it is now.',
    schema: { type: 'string', minLength: 1, maxLength: 255 },
    example: '*',
  },
  RequestId: {
    name: 'X-Request-Id',
    in: 'header',
    required: false,
    description: 'A `req_…` id of your own for this request. One of any other form is replaced.',
    schema: { type: 'string', maxLength: 255 },
  },
}

const responseHeaders = {
  RequestId: {
    description: 'Id of the request, also in the server’s log and in the record.',
    schema: { type: 'string' },
  },
  ETag: { description: 'Changes whenever the key changes.', schema: { type: 'string' } },
  RetryAfter: {
    description: 'Seconds to wait before the same request is sent again.',
    schema: { type: 'integer', minimum: 0 },
  },
  WwwAuthenticate: { description: '`Bearer`.', schema: { type: 'string' } },
  RateLimit: {
    description: 'Requests a second that the plan allows. Absent without a limit.',
    schema: { type: 'integer' },
  },
  RateRemaining: { description: 'How many of them are left. Absent without a limit.', schema: { type: 'integer' } },
  RateReset: {
    description: 'Seconds until all of them are there again. Absent without a limit.',
    schema: { type: 'integer' },
  },
}

const rateHeaders = {
  'X-RateLimit-Limit': headerRef('RateLimit'),
  'X-RateLimit-Remaining': headerRef('RateRemaining'),
  'X-RateLimit-Reset': headerRef('RateReset'),
}

function problemExamples(): Json {
  const requestId = 'req_01h455vb4pex5vsknk084sn02q'
  const errors = {
    'request.invalid': [{ field: 'keys[2].name', message: 'is required' }],
    'instance.not_ready': [{ field: 'signer', message: 'is being started again' }],
  } as Readonly<Record<string, { field: string; message: string }[]>>
  return Object.fromEntries(
    problemCodes.map((code) => {
      const { title, example } = problemOf(code)
      return [code, { summary: title, value: describeProblem(code, example, requestId, errors[code]) }]
    }),
  )
}

/** Adds a schema and those it refers to to the components, and answers the reference or the schema itself. */
function addSchema(schema: z.ZodType, io: 'input' | 'output', schemas: Json): Json {
  const { $schema: _, $defs, ...own } = z.toJSONSchema(schema, { io, unrepresentable: 'any', override: tidy }) as Json
  for (const [name, definition] of Object.entries(($defs ?? {}) as Json)) {
    const moved = moveRefs(definition)
    if (name in schemas && JSON.stringify(schemas[name]) !== JSON.stringify(moved)) {
      throw new TypeError(`schema ${name} has two meanings`)
    }
    schemas[name] = moved
  }
  return moveRefs(own) as Json
}

function tidy({ jsonSchema }: { jsonSchema: Json }): void {
  const replacement = jsonSchema['openapi']
  if (replacement !== undefined) {
    delete jsonSchema['anyOf']
    delete jsonSchema['openapi']
    Object.assign(jsonSchema, replacement)
  }
  // The format says the same in a word.
  if (jsonSchema['format'] === 'date-time') delete jsonSchema['pattern']
}

function moveRefs(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(moveRefs)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [
      name,
      name === '$ref' && typeof item === 'string' ? item.replace('#/$defs/', '#/components/schemas/') : moveRefs(item),
    ]),
  )
}
