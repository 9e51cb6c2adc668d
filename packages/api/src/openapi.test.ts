import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { curlExample, openApiDocument } from './openapi.ts'
import { problemCodes } from './problems.ts'
import { problemsOf, routeIds, routeOf } from './routes.ts'

type Node = Record<string, unknown>

const document = openApiDocument({ version: '1.2.3' }) as Node & {
  paths: Record<string, Record<string, Node>>
  components: Record<string, Record<string, Node>>
}
const operations = Object.values(document.paths).flatMap((path) => Object.values(path))

function at(pointer: string): unknown {
  let node: unknown = document
  for (const step of pointer.slice(2).split('/')) node = (node as Node | undefined)?.[step.replaceAll('~1', '/')]
  return node
}

function* walk(node: unknown): Generator<Node> {
  if (typeof node !== 'object' || node === null) return
  if (!Array.isArray(node)) yield node as Node
  for (const child of Object.values(node)) yield* walk(child)
}

test('every reference resolves and every component is referred to', () => {
  const used = new Set<string>()
  for (const node of walk(document)) {
    if (typeof node['$ref'] !== 'string') continue
    assert.notEqual(at(node['$ref']), undefined, node['$ref'])
    used.add(node['$ref'])
  }
  for (const kind of ['schemas', 'parameters', 'headers'] as const) {
    for (const name of Object.keys(document.components[kind] ?? {})) {
      assert.ok(used.has(`#/components/${kind}/${name}`), `${kind} ${name} is not used`)
    }
  }
})

test('every route is there once under its id, with its scope', () => {
  assert.deepEqual(operations.map((operation) => String(operation['operationId'])).sort(), [...routeIds].sort())
  for (const id of routeIds) {
    const route = routeOf(id)
    const operation = document.paths[route.path]?.[route.method.toLowerCase()] as Node
    assert.deepEqual(operation['security'], route.scope === null ? [] : [{ apiKey: [route.scope] }])
  }
})

test('every problem a route can answer is there with an example', () => {
  for (const id of routeIds) {
    const route = routeOf(id)
    const responses = document.paths[route.path]?.[route.method.toLowerCase()]?.['responses'] as Record<string, Node>
    const found: string[] = []
    for (const response of Object.values(responses)) {
      const problem = (response['content'] as Record<string, Node> | undefined)?.['application/problem+json']
      if (problem !== undefined) found.push(...Object.keys(problem['examples'] as Node))
    }
    assert.deepEqual(found.sort(), [...problemsOf(route)].sort())
  }
  assert.deepEqual(Object.keys(document.components['examples'] ?? {}), problemCodes)
})

test('nothing of the schema library shows through', () => {
  for (const node of walk(document)) {
    assert.equal('$schema' in node || '$defs' in node, false)
    if ('openapi' in node)
      assert.ok(node === document || node['openapi'] === '3.1.1' || 'const' in (node['openapi'] as Node))
  }
  assert.equal(JSON.stringify(document).includes('__schema'), false)
  assert.equal(document['openapi'], '3.1.1')
})

test('examples are valid under the schemas of the document, as an independent validator reads them', () => {
  // The 2020-12 dialect of ajv. It is in the tree as a dependency of other tools.
  const { default: Ajv } = createRequire(import.meta.url)('ajv/dist/2020.js') as {
    default: new (options: object) => Validator
  }
  const ajv = new Ajv({ strict: false, validateFormats: false, allErrors: true })
  ajv.addSchema(document, 'https://popsigner.invalid/openapi.json')
  let checked = 0
  for (const node of walk(document.paths)) {
    const json = node['application/json'] as Node | undefined
    if (json?.['schema'] === undefined || json['example'] === undefined) continue
    const schema = JSON.parse(
      JSON.stringify(json['schema']).replaceAll('"#/', '"https://popsigner.invalid/openapi.json#/'),
    )
    const validate = ajv.compile(schema)
    assert.ok(validate(json['example']), JSON.stringify(validate.errors))
    assert.equal(validate([]), false)
    checked++
  }
  assert.ok(checked > 40, String(checked))
})

interface Validator {
  addSchema(schema: object, id: string): void
  compile(schema: object): { (value: unknown): boolean; errors?: unknown }
}

test('two calls answer equal documents that share nothing', () => {
  const other = openApiDocument({ version: '1.2.3' })
  assert.deepEqual(other, document)
  ;(other['info'] as Node)['title'] = 'changed'
  assert.equal((document['info'] as Node)['title'], 'POPSigner')
})

test('curl examples quote what a shell would read', () => {
  assert.equal(
    curlExample(routeOf('keys.update')),
    `curl -sS "$POPSIGNER_URL/v1/keys/key_01h455vb4pex5vsknk084sn02q" \\\n  -X PATCH \\\n  -H "Authorization: Bearer $POPSIGNER_API_KEY" \\\n  -H 'If-Match: *' \\\n  -H 'Content-Type: application/json' \\\n  -d '{"state":"suspended"}'`,
  )
  assert.equal(curlExample(routeOf('system.health')), 'curl -sS "$POPSIGNER_URL/healthz"')
  const quoted = { ...routeOf('keys.create'), example: { request: { name: "a'b" }, response: {} } }
  assert.match(curlExample(quoted), /-d '\{"name":"a'\\''b"\}'$/)
})
