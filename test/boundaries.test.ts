import assert from 'node:assert/strict'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { dirname, join, relative, resolve } from 'node:path'
import { test } from 'node:test'

const root = join(import.meta.dirname, '..')

interface Row {
  /** Packages of this workspace that it may import. */
  readonly rooms: readonly string[]
  readonly libraries: readonly string[]
  /** Modules of Node. `true`: all. */
  readonly node: readonly string[] | true
}

/** Who may import whom. The order of the lines is the order of the layers. */
const allowed: Record<string, Row> = {
  crypto: {
    rooms: [],
    libraries: [
      '@chainsafe/blst',
      '@noble/curves',
      '@noble/hashes',
      '@scure/base',
      'canonicalize',
      'cbor2',
      'hpke',
      'mcl-wasm',
      'secp256k1',
      'sodium-native',
      'tiny-secp256k1',
    ],
    // No I/O, clock or environment. `fs` only where the operating system says how much memory is locked (secret.ts).
    node: ['node:crypto', 'node:module', 'node:util', 'node:fs'],
  },
  transparency: { rooms: ['crypto'], libraries: ['@noble/curves', '@noble/hashes'], node: [] },
  // No I/O, clock or environment, and plain JavaScript: an approver's browser decodes with the same codecs.
  chains: { rooms: ['crypto'], libraries: ['@scure/base'], node: [] },
  custody: { rooms: ['crypto', 'transparency'], libraries: [], node: true },
  api: { rooms: [], libraries: ['zod'], node: [] },
  server: {
    rooms: ['crypto', 'chains', 'transparency', 'custody', 'api'],
    libraries: [
      '@node-rs/argon2',
      '@scure/base',
      'fastify',
      'pg',
      'pg-copy-streams',
      'pino',
      'prom-client',
      'rate-limiter-flexible',
    ],
    node: true,
  },
  sdk: { rooms: ['api', 'transparency', 'crypto'], libraries: ['@noble/curves'], node: [] },
  cli: { rooms: ['sdk', 'server'], libraries: ['commander', 'jq-web'], node: true },
}

/** Files that may import more than their package's row, each with its reason. */
const exceptions: Record<string, readonly string[]> = {
  // Names and sizes of algorithms: data without an import, which a second list here would have to repeat.
  'packages/api/src/schemas/algorithms.ts': ['@popsigner/crypto/algorithm-facts'],
  // What Node keeps in a file; a browser is given another store, and the SDK's entry does not reach this one.
  'packages/sdk/src/file-store.ts': ['node:fs/promises', 'node:path', 'node:crypto', 'node:timers/promises'],
  // Adapters: entries of their own, whose library whoever uses them has.
  'packages/sdk/src/viem.ts': ['viem'],
  'packages/sdk/src/ethers.ts': ['ethers'],
  'packages/sdk/src/cosmjs.ts': ['@cosmjs/amino', '@cosmjs/proto-signing', '@popsigner/chains'],
  // Encodings of other programs: what OpenSSL reads and writes, and keystores. The SDK's entry reaches neither.
  'packages/sdk/src/key-encodings.ts': ['node:crypto'],
  'packages/sdk/src/keystore.ts': ['node:crypto'],
  // The story is played with real sign docs and checked by another implementation.
  'packages/cli/src/demo.ts': [
    '@cosmjs/amino',
    '@cosmjs/crypto',
    '@cosmjs/encoding',
    '@cosmjs/proto-signing',
    'cosmjs-types',
    'pg',
  ],
}

interface Import {
  readonly file: string
  readonly specifier: string
  readonly typeOnly: boolean
}

test('every import of every package stands in the table', () => {
  const found = imports(false)
  assert.ok(found.length > 100, 'the sources were read')
  const wrong = found.filter((one) => !isAllowed(one)).map(({ file, specifier }) => `${file} imports ${specifier}`)
  assert.deepEqual(wrong, [])
})

test('the table would notice an import that goes up, out or around', () => {
  const bad = [
    ['packages/crypto/src/x.ts', '@popsigner/custody/client'],
    ['packages/crypto/src/x.ts', 'node:net'],
    ['packages/transparency/src/x.ts', 'node:crypto'],
    ['packages/transparency/src/x.ts', '@popsigner/server/log'],
    ['packages/chains/src/x.ts', '@popsigner/custody/client'],
    ['packages/chains/src/x.ts', 'node:crypto'],
    ['packages/sdk/src/x.ts', '@popsigner/custody/client'],
    ['packages/api/src/x.ts', 'fastify'],
    ['packages/api/src/x.ts', '@popsigner/crypto/algorithm-facts'],
    ['packages/api/src/schemas/algorithms.ts', '@popsigner/crypto/bytes'],
    ['packages/cli/src/x.ts', '@popsigner/custody/client'],
    ['packages/server/src/x.ts', '../../custody/src/client.ts'],
    ['packages/crypto/src/x.ts', 'secp256k1'],
  ]
  for (const [file = '', specifier = ''] of bad) {
    assert.equal(isAllowed({ file, specifier, typeOnly: false }), false, `${file} imports ${specifier}`)
  }
})

test('each package declares the packages and libraries that its sources import', () => {
  for (const room of Object.keys(allowed)) {
    const manifest = JSON.parse(readFileSync(join(root, 'packages', room, 'package.json'), 'utf8')) as {
      dependencies?: Record<string, string>
    }
    const used = new Set(
      imports(false)
        .filter(({ file }) => file.startsWith(`packages/${room}/`) && !exceptions[file])
        .map(({ specifier }) => packageOf(specifier))
        .filter((name) => name !== null),
    )
    for (const name of used) assert.ok(manifest.dependencies?.[name], `packages/${room}/package.json lacks ${name}`)
  }
})

test('what the SDK and the log import is plain JavaScript, all the way down', () => {
  for (const room of ['transparency', 'chains', 'sdk', 'api']) {
    for (const file of sources(join(root, 'packages', room, 'src'), false)) {
      const path = relative(root, file)
      if (exceptions[path] || path.endsWith('.fixture.ts')) continue
      const reached = reachable(file)
      const native = [...reached].filter(([, specifiers]) =>
        specifiers.some(
          (name) => isBuiltin(name) || /^(sodium-native|secp256k1|tiny-secp256k1|@chainsafe\/blst)/.test(name),
        ),
      )
      assert.deepEqual(
        native.map(([name]) => relative(root, name)),
        [],
        `${path} reaches native code`,
      )
    }
  }
})

test("the server's way to the signer loads no engine that holds keys", () => {
  const reached = reachable(join(root, 'packages/custody/src/client.ts'))
  for (const [file, specifiers] of reached) {
    assert.ok(
      !specifiers.some((name) => /^(sodium-native|secp256k1|tiny-secp256k1|@chainsafe\/blst)/.test(name)),
      `client.ts reaches ${relative(root, file)}`,
    )
  }
})

test('crypto has no entry point for all algorithms, and no package but the SDK has an index', () => {
  for (const room of Object.keys(allowed)) {
    const names = readdirSync(join(root, 'packages', room, 'src'))
    if (room !== 'sdk') assert.ok(!names.includes('index.ts'), `packages/${room}/src/index.ts`)
  }
})

function isAllowed({ file, specifier, typeOnly }: Import): boolean {
  const room = file.split('/')[1] ?? ''
  const row = allowed[room]
  if (!row) return false
  if (exceptions[file]?.some((name) => specifier === name || specifier.startsWith(`${name}/`))) return true
  if (specifier.startsWith('.'))
    return resolve(root, dirname(file), specifier).startsWith(`${join(root, 'packages', room)}/`)
  if (isBuiltin(specifier)) return specifier.startsWith('node:') && (row.node === true || row.node.includes(specifier))
  // Without its native half it falls back to slow JavaScript in silence.
  if (specifier === 'secp256k1') return typeOnly
  const name = packageOf(specifier)
  const own = /^@popsigner\/([a-z]+)$/.exec(name ?? '')?.[1]
  return own === undefined ? name !== null && row.libraries.includes(name) : own === room || row.rooms.includes(own)
}

/** The files that this one loads at run time, and what each of them imports. Inside the workspace only. */
function reachable(start: string): Map<string, string[]> {
  const reached = new Map<string, string[]>()
  const open = [start]
  for (let file = open.pop(); file !== undefined; file = open.pop()) {
    if (reached.has(file)) continue
    const specifiers = importsOf(file).filter(({ typeOnly }) => !typeOnly)
    reached.set(
      file,
      specifiers.map(({ specifier }) => specifier),
    )
    for (const { specifier } of specifiers) {
      const own = /^@popsigner\/([a-z]+)\/(.+)$/.exec(specifier)
      if (specifier.startsWith('.')) open.push(resolve(dirname(file), specifier))
      else if (own) open.push(join(root, 'packages', own[1] ?? '', 'src', `${own[2]}.ts`))
    }
  }
  return reached
}

function packageOf(specifier: string): string | null {
  if (specifier.startsWith('.') || isBuiltin(specifier)) return null
  const [scope = '', name = ''] = specifier.split('/')
  return scope.startsWith('@') ? `${scope}/${name}` : scope
}

function imports(tests: boolean): Import[] {
  return Object.keys(allowed).flatMap((room) => sources(join(root, 'packages', room, 'src'), tests).flatMap(importsOf))
}

// Imports and exports from, dynamic imports, and what createRequire loads.
function importsOf(path: string): Import[] {
  const text = readFileSync(path, 'utf8').replaceAll(/^\s*(\/\/|\*|\/\*).*$/gm, '')
  const file = relative(root, path)
  const statements = text.matchAll(/^\s*(?:import|export)\s+(type\s)?(?:[\w\s{},*$]*?\sfrom\s+)?'([^']+)'/gm)
  const calls = text.matchAll(/\b(?:import|require)\(\s*'([^']+)'\s*\)/g)
  return [
    ...[...statements].map((found) => ({ file, specifier: found[2] ?? '', typeOnly: found[1] !== undefined })),
    ...[...calls].map((found) => ({ file, specifier: found[1] ?? '', typeOnly: false })),
  ]
}

function sources(folder: string, tests: boolean): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name)
    if (statSync(path).isDirectory()) return sources(path, tests)
    if (!name.endsWith('.ts')) return []
    return tests || !/\.(test|fixture)\.ts$/.test(name) ? [path] : []
  })
}
