import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import { test } from 'node:test'
import { crc32 } from 'node:zlib'
import { algorithms } from '@popsigner/crypto/algorithms'
import { errorsMarkdown } from '../packages/api/src/errors-page.ts'
import { problemCodes } from '../packages/api/src/problems.ts'
import { scopes } from '../packages/api/src/scopes.ts'
import { clientVariables, foreignVariables, serverVariables } from '../packages/cli/src/environment.ts'
import { exitCodeMeanings } from '../packages/cli/src/exit-codes.ts'
import { rows as commands } from '../packages/cli/src/tree.ts'
import { concat, equal, fromBase64, fromHex, hex, utf8 } from '../packages/crypto/src/bytes.ts'
import { decodeCbor } from '../packages/crypto/src/cbor.ts'
import { sha256 } from '../packages/crypto/src/hash.ts'
import { secp256k1 } from '../packages/crypto/src/secp256k1.ts'
import { decodeTypeId, encodeTypeId, uuidBytes } from '../packages/crypto/src/typeid.ts'
import { importAad } from '../packages/crypto/src/wrapping.ts'
import { openXaes } from '../packages/crypto/src/xaes256gcm.ts'
import { refusalCodes } from '../packages/custody/src/faults.ts'
import { answerGreeting, greet, judgeClient } from '../packages/custody/src/handshake.ts'
import { encodeHostAction, hostMac } from '../packages/custody/src/host-action.ts'
import { ops } from '../packages/custody/src/protocol.ts'
import { createMetrics } from '../packages/server/src/metrics.ts'
import { parseToken } from '../packages/server/src/tenants/token.ts'
import { decodeVerifierKey } from '../packages/transparency/src/checkpoint.ts'
import { commonFields, events } from '../packages/transparency/src/events.ts'
import { leafHash, nodeHash } from '../packages/transparency/src/merkle.ts'
import { type Receipt, receiptText, verifyReceipt, verifyReceiptText } from '../packages/transparency/src/receipt.ts'
import { commitment, commitmentSalt, parseLeaf } from '../packages/transparency/src/record.ts'
import { createStatementAuditor } from '../packages/transparency/src/statements.ts'
import { algorithmList } from './algorithm-list.ts'

const root = join(import.meta.dirname, '..')
const pages = [
  ...['README.md', 'CONTRIBUTING.md', 'SECURITY.md'],
  ...readdirSync(join(root, 'changelog')).map((name) => `changelog/${name}`),
  ...readdirSync(join(root, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
].filter((name) => name.endsWith('.md'))

/** A page, its tables without the spaces that align their columns. */
const text = (page: string): string =>
  readFileSync(join(root, page), 'utf8').replaceAll(/^\|.*\|$/gm, (row) =>
    row.replaceAll(/ {2,}/g, ' ').replaceAll(/-{3,}/g, '---'),
  )
const formats = text('docs/formats.md')

test('every link within the project leads to a file and a heading that exist', () => {
  let links = 0
  for (const page of pages) {
    for (const [, target = ''] of withoutCode(text(page)).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue
      links++
      const [path = '', anchor] = target.split('#')
      const file = path === '' ? join(root, page) : resolve(root, dirname(page), path)
      assert.ok(existsSync(file), `${page}: ${target}`)
      if (anchor === undefined || !file.endsWith('.md')) continue
      assert.ok(headings(readFileSync(file, 'utf8')).includes(anchor), `${page}: ${target}`)
    }
  }
  assert.ok(links > 40, 'the links were read')
})

test('every path of the project that is named exists', () => {
  for (const page of pages) {
    for (const [, path = ''] of text(page).matchAll(/`((?:packages|docs|test|scripts|bench|changelog)\/[\w./-]+)`/g))
      assert.ok(existsSync(join(root, path)), `${page}: ${path}`)
  }
})

test('the page of errors is the table of errors', () => {
  assert.equal(text('docs/errors.md'), errorsMarkdown())
  assert.deepEqual(
    headings(text('docs/errors.md')).slice(1),
    problemCodes.map((code) => code.replace('.', '')),
  )
})

test('every variable is documented, and no other', () => {
  const known = Object.keys({ ...serverVariables, ...clientVariables })
  const running = text('docs/running.md')
  for (const name of [...Object.keys(serverVariables), 'DATABASE_URL']) {
    assert.match(running, new RegExp(`^\\| \`${name}\` \\|`, 'm'), `docs/running.md lacks ${name}`)
    assert.match(text('README.md'), new RegExp(`^\\| \`${name}\` \\|`, 'm'), `README.md lacks ${name}`)
  }
  for (const name of [...Object.keys(clientVariables), ...Object.keys(foreignVariables)])
    assert.ok(text('docs/cli.md').includes(`\`${name}\``), `docs/cli.md lacks ${name}`)
  for (const page of pages)
    for (const [name] of text(page).matchAll(/\bPOPSIGNER_[A-Z_]+\b/g))
      assert.ok(known.includes(name), `${page}: ${name}`)
})

test('every event and field is documented as the table has it', () => {
  assert.ok(formats.includes(commonTable()), `docs/formats.md should have:\n${commonTable()}`)
  assert.ok(formats.includes(eventList()), `docs/formats.md should have:\n${eventList()}`)
})

test('every algorithm is documented as the table has it', () => {
  const page = text('docs/algorithms.md')
  for (const { name, schemes, engine, native, memory, constantTime } of algorithms)
    for (const scheme of schemes) {
      const row = page.split('\n').find((line) => line.startsWith(`| \`${name}\` | \`${scheme.name}\` |`))
      const cells = row?.split('|').map((cell) => cell.trim()) ?? []
      assert.deepEqual([cells[8], cells[9]], native ? [memory, constantTime] : [cells[8], cells[9]], name)
      assert.ok(cells[3] === engine || !native, name)
    }
  assert.ok(formats.includes(algorithmList()), `docs/formats.md should have:\n${algorithmList()}`)
})

test('every operation of the signer and every refusal is documented, by its number', () => {
  for (const [name, number] of Object.entries(ops))
    assert.match(formats, new RegExp(`^\\| ${number} \\| \`${name}\` \\|`, 'm'))
  const list = refusalCodes.map((code, i) => `${i + 1} \`${code}\``).join(', ')
  assert.ok(formats.replaceAll('\n', ' ').includes(list), `docs/formats.md should have:\n${list}`)
})

test('scopes, exit codes, metrics and commands are documented', () => {
  const cli = text('docs/cli.md')
  for (const scope of Object.keys(scopes)) assert.ok(text('docs/sdk.md').includes(`\`${scope}\``), scope)
  for (const [code] of exitCodeMeanings) assert.match(cli, new RegExp(`^\\| ${code} \\|`, 'm'))
  for (const { path } of commands) assert.ok(cli.includes(`popsigner ${path}`), `docs/cli.md lacks popsigner ${path}`)
  const { registry } = createMetrics({ lagSeconds: () => 0, signerConnected: () => true, logsBehind: () => 0 })
  for (const { name } of registry.getMetricsAsArray()) assert.ok(text('docs/running.md').includes(`\`${name}\``), name)
})

test('code that is shown parses', () => {
  let blocks = 0
  for (const page of pages) {
    for (const [, language = '', code = ''] of text(page).matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)) {
      blocks++
      if (language === 'json') JSON.parse(code)
      else if (language === 'ts') stripTypeScriptTypes(code)
      else assert.ok(['sh', 'ini', 'nginx', 'dockerfile', 'sql', 'text'].includes(language), `${page}: ${language}`)
    }
  }
  assert.ok(blocks > 5, 'the blocks were read')
})

test('commands that are shown are commands', () => {
  const paths = commands.map(({ path }) => path)
  for (const page of pages) {
    for (const [, line = ''] of text(page).matchAll(/^\s*(?:npx |sudo -E npx )?popsigner ([a-z].*)$/gm)) {
      const known = paths.some((path) => line === path || line.startsWith(`${path} `))
      assert.ok(known, `${page}: popsigner ${line}`)
    }
  }
})

test('the tests that the threat model names exist, and hold what it says they hold', () => {
  const page = text('docs/threat-model.md')
  let named = 0
  for (const [, title = '', path = ''] of page.matchAll(/"([^"]+)" \(`([\w./-]+\.test\.ts)`\)/g)) {
    named++
    assert.ok(text(path).includes(title), `${path} has no test "${title}"`)
  }
  assert.ok(named > 20, 'the tests were read')
})

test('worked examples: ids, API key, handshake, host action, authenticated data of an import', () => {
  const first = Uint8Array.from({ length: 16 }, (_, i) => i)
  const filled = (value: number): Uint8Array => new Uint8Array(32).fill(value)
  const id = uuidBytes('01890a5d-96c4-7d5e-8f10-21324354657a')
  assert.ok(formats.includes(`\`${encodeTypeId('key', id)}\` is`))

  const token = /^psk_live_\w+$/m.exec(formats)?.[0] ?? ''
  const secret = Uint8Array.from({ length: 32 }, (_, i) => 16 + i)
  assert.ok(formats.includes(`\`${crc32(concat(first, secret)).toString(16).padStart(8, '0')}\``))
  assert.deepEqual({ ...parseToken(token) }, { id: first, secret })

  const secrets = { proof: filled(1), instance: 'keys.example.com' }
  const answer = answerGreeting(greet(filled(2)), filled(3), secrets)
  const verdict = judgeClient(filled(2), answer, secrets)
  assert.ok(typeof verdict !== 'string')
  assert.ok(formats.includes(`\`${hex(answer.slice(-32))}\``))
  assert.ok(formats.includes(`\`${hex(verdict.slice(1))}\``))

  const content = encodeHostAction({ action: 'accept-checkpoint', organization: first, size: 5, root: filled(4) })
  assert.ok(formats.includes(`\`${hex(hostMac(filled(1), filled(2), content))}\``))

  const aad = importAad({
    instance: 'keys.example.com',
    organization: first,
    wrapping_key: first,
    algorithm: 'ed25519',
    schemes: ['pure'],
    uses: ['raw'],
    export: 'none',
    public_key: filled(7),
  })
  assert.ok(formats.replaceAll('\n', '').includes(hex(aad)))
})

const example = JSON.parse(text('docs/examples/instance.json')) as {
  readonly log_key_verifier: string
  readonly identity_verifier: string
  readonly key_file: string
  readonly identity_file: string
  readonly ledger_file: string
  readonly organization_key: ExampleMaterial
  readonly log_key: ExampleMaterial
  readonly signing_key: ExampleMaterial
  readonly batches: readonly { readonly tree_size: number; readonly leaves: string; readonly texts: string }[]
  readonly actors: readonly { readonly actor: string; readonly erasure_key: string }[]
  readonly texts: readonly {
    readonly id: string
    readonly actor: string
    readonly field: string
    readonly value: string
  }[]
}
interface ExampleMaterial {
  readonly spec: string
  readonly envelope: string
}
const receipt = JSON.parse(text('docs/examples/receipt.json')) as Receipt
const signature = fromBase64(text('docs/examples/signature.txt').trim())

test('worked example: the leaf, its hash, the proof by hand, and the whole receipt', () => {
  const leaf = fromBase64(receipt.leaf_data)
  const shown = /^\{"actor":[\s\S]*?\}$/m.exec(formats)?.[0].replaceAll('\n', '') ?? ''
  assert.deepEqual(utf8(shown), leaf)
  assert.ok(formats.includes(`this leaf of ${leaf.length} bytes`))

  const [first, second] = receipt.inclusion_path.map(fromBase64) as [Uint8Array, Uint8Array]
  const hash = sha256(concat(Uint8Array.of(0), leaf))
  const inner = sha256(concat(Uint8Array.of(1), first, hash))
  const top = sha256(concat(Uint8Array.of(1), second, inner))
  assert.deepEqual([hash, inner, top], [leafHash(leaf), nodeHash(first, hash), nodeHash(second, inner)])
  for (const value of [hash, first, inner, second, top]) assert.ok(formats.includes(`\`${hex(value)}\``))
  assert.equal(receipt.checkpoint.split('\n')[2], Buffer.from(top).toString('base64'))
  assert.ok(formats.includes(receipt.checkpoint.split('\n')[2] as string))

  for (const key of [example.log_key_verifier, example.identity_verifier]) assert.ok(formats.includes(key))
  const logKey = decodeVerifierKey(example.log_key_verifier)
  const identity = decodeVerifierKey(example.identity_verifier)
  const result = verifyReceipt(receipt, logKey, { identity })
  assert.deepEqual(
    result.checks.filter(({ ok }) => !ok),
    [],
  )
  assert.equal(verifyReceiptText(receiptText(receipt), logKey, { identity }).ok, true)
  assert.ok(result.leaf?.event === 'key.signed')
  assert.equal(result.leaf.data_hash, hex(sha256(utf8('hello'))))
  assert.ok(secp256k1.verify(signature, fromHex(result.leaf.digest), fromHex(result.leaf.public_key)))
})

test('worked example: from the key file to the private key of that signature, read by this page alone', () => {
  const file = fromHex(example.key_file)
  assert.deepEqual(file.slice(0, 9), concat(utf8('PSROOT'), Uint8Array.of(0, 1, 1)))
  assert.deepEqual(file.slice(-32), sha256(file.slice(0, -32)))
  const rootId = file.slice(13, 29)
  const organizationKey = open(example.organization_key, rootId, file.slice(29, 61))
  const organizationKeyId = decodeSpec(example.organization_key)['key'] as Uint8Array
  const secret = open(example.signing_key, organizationKeyId, organizationKey)
  const spec = decodeSpec(example.signing_key)
  const leaf = parseLeaf(fromBase64(receipt.leaf_data))
  assert.ok(leaf.event === 'key.signed')
  assert.deepEqual(spec['key'], decodeTypeId(leaf.key, 'key'))
  assert.equal(hex(spec['public_key'] as Uint8Array), leaf.public_key)
  assert.equal(hex(secp256k1.publicKey(secret)), leaf.public_key)
  open(example.log_key, organizationKeyId, organizationKey)
  assert.equal(documentedSpecFields().join(), Object.keys(spec).sort().join())

  const identity = fromHex(example.identity_file)
  assert.deepEqual(identity.slice(0, 8), concat(utf8('PSIDEN'), Uint8Array.of(0, 1)))
  const length = new DataView(identity.buffer, identity.byteOffset).getUint32(8)
  const sealed = { spec: hex(identity.slice(12, 12 + length)), envelope: hex(identity.slice(12 + length)) }
  open(sealed, rootId, file.slice(29, 61))
  const publicKey = decodeVerifierKey(example.identity_verifier).publicKey
  assert.deepEqual(decodeSpec(sealed)['public_key'], publicKey)
})

test('worked example: the log out of the batches, its statement, its commitments, and the ledger', () => {
  const identity = decodeVerifierKey(example.identity_verifier)
  const log = example.log_key_verifier.split('+')[0] as string
  const auditor = createStatementAuditor({ log, signer: identity.publicKey })
  let index = 0
  for (const batch of example.batches) {
    const leaves = Buffer.from(batch.leaves, 'hex')
    const references = Buffer.from(batch.texts, 'hex')
    let at = 0
    for (let place = 0; place < leaves.length; ) {
      const length = leaves.readUInt16BE(place)
      const bytes = new Uint8Array(leaves.subarray(place + 2, place + 2 + length))
      place += 2 + length
      const leaf = parseLeaf(bytes)
      assert.equal(index++ === receipt.leaf_index, equal(bytes, fromBase64(receipt.leaf_data)))
      auditor.add(bytes)
      for (let n = references[at++] as number; n > 0; n--, at += 9) {
        const field = ['address', 'user_agent', 'name', 'metadata'][references[at] as number] as string
        const found = example.texts.find(({ id }) => id === String(references.readBigUInt64BE(at + 1)))
        const key = example.actors.find(({ actor }) => actor === found?.actor)?.erasure_key ?? ''
        const salt = commitmentSalt(fromHex(key), leaf.id, field)
        assert.equal((leaf as unknown as Record<string, string>)[field], commitment(field, salt, found?.value ?? ''))
      }
    }
    assert.equal(index, batch.tree_size)
  }
  const report = auditor.report()
  assert.deepEqual([report.problemCount, report.statements, report.attested, report.pending], [0, 1, 1, 0])

  const file = Buffer.from(example.ledger_file, 'hex')
  assert.deepEqual(new Uint8Array(file.subarray(-32)), sha256(new Uint8Array(file.subarray(0, -32))))
  const sections: Record<string, unknown>[] = []
  for (let at = 0; at < file.length - 32; ) {
    const length = file.readUInt32BE(at)
    sections.push(decodeCbor(new Uint8Array(file.subarray(at + 4, at + 4 + length))) as Record<string, unknown>)
    at += 4 + length
  }
  assert.deepEqual(Object.keys(sections[0] ?? {}).sort(), ['floor', 'format', 'instance', 'replaced_at', 'term'])
  assert.deepEqual(Object.keys(sections[1] ?? {}), ['logs'])
})

function open(material: ExampleMaterial, sealedBy: Uint8Array, key: Uint8Array): Uint8Array {
  const envelope = fromHex(material.envelope)
  assert.equal(envelope.length, 90)
  assert.deepEqual(envelope.slice(0, 18), concat(Uint8Array.of(1, 1), sealedBy))
  const secret = openXaes(key, envelope.slice(18, 42), envelope.slice(42), fromHex(material.spec))
  assert.ok(secret)
  return secret
}

function decodeSpec(material: ExampleMaterial): Record<string, unknown> {
  return decodeCbor(fromHex(material.spec)) as Record<string, unknown>
}

function documentedSpecFields(): string[] {
  const section = /^## Specification$([\s\S]*?)^## /m.exec(formats)?.[1] ?? ''
  return [...section.matchAll(/^\| `(\w+)` \|/gm)].map(([, name = '']) => name).sort()
}

/** Blocks and spans of code removed: what looks like a link in them is none. */
function withoutCode(page: string): string {
  return page.replaceAll(/^```[\s\S]*?^```$/gm, '').replaceAll(/`[^`\n]*`/g, '')
}

/** The anchors of a page's headings, as GitHub and Markdown viewers make them. */
function headings(page: string): string[] {
  return [...page.replaceAll(/^```[\s\S]*?^```$/gm, '').matchAll(/^#+ (.+)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  )
}

function fieldText(
  name: string,
  field: { readonly required: boolean; readonly committed: boolean; readonly form: string },
): string {
  return `\`${name}\`${field.required ? '' : ' (may be absent)'} ${field.committed ? 'a commitment' : short(field.form)}`
}

/** A form in as few words as the page needs, which says once what a code and a number are. */
function short(form: string): string {
  return form
    .replace(/a code: .*$/, 'a code')
    .replace('a whole number from 0 to 2^53 - 1', 'a number')
    .replaceAll('<', '&lt;')
}

function commonTable(): string {
  const lines = Object.entries(commonFields).map(
    ([name, field]) =>
      `| \`${name}\` | ${field.required ? 'yes' : 'no'} | ${field.committed ? 'a commitment' : short(field.form)} |`,
  )
  return ['| Field | Always there | Is |', '| --- | --- | --- |', ...lines].join('\n')
}

function eventList(): string {
  return Object.entries(events)
    .map(([name, row]) => {
      const fields = Object.entries(row.fields).map(([field, value]) => fieldText(field, value))
      return `- \`${name}\` (${row.class}): ${fields.length === 0 ? 'only the common fields' : fields.join('; ')}`
    })
    .join('\n')
}
