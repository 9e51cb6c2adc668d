import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { PopSigner, TrustError } from '@popsigner/sdk'
import { routeOf } from '@popsigner/sdk/routes'
import { exitCodes } from './exit-codes.ts'
import { Failure } from './failure.ts'
import { withWayBack } from './lost-records.ts'
import { namesMilliseconds } from './names.ts'
import { type Ran, type RunOptions, runCommand } from './test-script.ts'
import { startThrowAwayServer, type ThrowAwayServer } from './throw-away-server.ts'
import { scopes } from './topics.ts'
import { rows } from './tree.ts'

let server: ThrowAwayServer
let token = ''

/** Runs a command beside the server, with the API key unless another environment is given. It calls what its row says. */
async function popsigner(words: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const environment: Record<string, string> = {
    ...server.environment,
    POPSIGNER_API_KEY: token,
    ...options.environment,
  }
  if (environment['POPSIGNER_DEBUG'] !== undefined)
    return runCommand(server.directory, words, { ...options, environment })
  const ran = await runCommand(server.directory, words, {
    ...options,
    environment: { ...environment, POPSIGNER_DEBUG: 'api' },
  })
  const row = rows
    .filter(({ path }) => `${words.join(' ')} `.startsWith(`${path} `))
    .sort((a, b) => b.path.length - a.path.length)[0]
  const declared = [...(row?.calls ?? []), ...(row?.also ?? []).flatMap((also) => ('route' in also ? also.route : []))]
  const stderr = ran.stderr.replace(/^> (\w+) (\S+) → .*\n/gm, (line, method: string, url: string) => {
    const { pathname } = new URL(url)
    const known = declared.map(routeOf).some((route) => {
      const form = new RegExp(`^${route.path.replaceAll(/\{[^}]+\}/g, '[^/]+')}$`)
      return route.method === method && form.test(pathname)
    })
    assert.ok(
      known || ran.stderr.includes('"checkpoint.'),
      `popsigner ${row?.path} calls more than its row says: ${line}`,
    )
    return ''
  })
  return { ...ran, stderr }
}

/** The same with `--json`, which must succeed: what it printed. */
async function answer<T = Record<string, unknown>>(...words: readonly string[]): Promise<T> {
  const ran = await popsigner([...words, '--json'])
  assert.equal(ran.exit, 0, `${words.join(' ')}: ${ran.stderr}`)
  assert.equal(ran.stderr, '', words.join(' '))
  return JSON.parse(ran.stdout) as T
}

async function fails(
  exit: number,
  ...words: readonly string[]
): Promise<{ code: string; next: { command: string }[] }> {
  const ran = await popsigner([...words, '--json'])
  assert.equal(ran.exit, exit, `${words.join(' ')}: ${ran.stdout}${ran.stderr}`)
  assert.equal(ran.stdout, '')
  return JSON.parse(ran.stderr) as { code: string; next: { command: string }[] }
}

before(async () => {
  server = await startThrowAwayServer('cli.test')
  const none = { environment: { POPSIGNER_API_KEY: '' } }
  assert.equal((await popsigner(['orgs', 'create', 'main'], none)).exit, 0)
  const issued = await popsigner(['api-keys', 'create', 'first', '--org', 'main', '--reveal'], none)
  assert.equal(issued.exit, 0, issued.stderr)
  // The token is all of the data.
  assert.match(issued.stdout, /^psk_live_[0-9a-z]+\n$/)
  assert.match(issued.stderr, /shown this once/)
  token = issued.stdout.trim()
})

after(() => server.stop())

test('the three commands of the banner work as they are printed', async () => {
  const created = await popsigner(['keys', 'create', 'first'])
  assert.equal(created.exit, 0, created.stderr)
  assert.match(created.stdout, /^name +production\/first$/m)
  const signed = await popsigner(['sign', 'first', '--data', 'hello', '--receipt', 'receipt.json'])
  assert.equal(signed.exit, 0, signed.stderr)
  assert.match(signed.stdout, /^[A-Za-z0-9+/]{86}==\n$/)
  assert.match(signed.stderr, /pinned its key: cli\.test\/org_/)
  writeFileSync(join(server.directory, 'signature.txt'), signed.stdout)

  // Offline: no server and no API key.
  const offline = { environment: { POPSIGNER_API_KEY: '', POPSIGNER_URL: 'http://127.0.0.1:1' } }
  const verified = await popsigner(
    ['audit', 'verify', 'receipt.json', '--data', 'hello', '--signature', '@signature.txt'],
    offline,
  )
  assert.equal(verified.exit, 0, verified.stdout)
  assert.match(verified.stdout, /✓ the signature is over this data under the key in the record/)
  assert.doesNotMatch(verified.stdout, /✕/)
})

test('a receipt that was changed, or is of other data, is refused with 7', async () => {
  const receipt = JSON.parse(readFileSync(join(server.directory, 'receipt.json'), 'utf8')) as Record<string, unknown>
  const leaf = Buffer.from(String(receipt['leaf_data']), 'base64').toString()
  const changed = Buffer.from(
    leaf.replace(/"digest":"./, (found) => `"digest":"${found.endsWith('a') ? 'b' : 'a'}`),
  ).toString('base64')
  writeFileSync(join(server.directory, 'changed.json'), JSON.stringify({ ...receipt, leaf_data: changed }))
  const ran = await popsigner(['audit', 'verify', 'changed.json'])
  assert.equal(ran.exit, 7)
  assert.match(ran.stdout, /✕ inclusion/)
  const other = await popsigner(['audit', 'verify', 'receipt.json', '--data', 'hellO', '--json'])
  assert.equal(other.exit, 7)
  assert.equal((JSON.parse(other.stdout) as { ok: boolean }).ok, false)
  const unknown = { environment: { POPSIGNER_CONFIG_DIR: join(server.directory, 'elsewhere') } }
  assert.equal(
    (await popsigner(['audit', 'verify', 'receipt.json'], unknown)).exit,
    1,
    'without a pinned key nothing is proven',
  )
  const { verifier_key: key } = await answer<{ verifier_key: string }>('audit', 'log-key')
  assert.equal((await popsigner(['audit', 'verify', 'receipt.json', '--log-key', key], unknown)).exit, 0)
})

test('receipts as JSON and as text, from a file and from standard input', async () => {
  const [record] = await answer<{ id: string }[]>('audit', 'list', '--event-type', 'key.signed', '--limit', '1')
  const id = record?.id ?? ''
  for (const form of [[], ['--text']]) {
    const { stdout, exit, stderr } = await popsigner(['audit', 'receipt', id, ...form])
    assert.equal(exit, 0, stderr)
    const verified = await popsigner(['audit', 'verify', '-'], { stdin: stdout })
    assert.equal(verified.exit, 0, verified.stdout + verified.stderr)
  }
  assert.equal((await popsigner(['audit', 'receipt', id, '--to-file', 'kept.json'])).exit, 0)
  assert.equal((await answer<{ id: string }>('audit', 'get', id)).id, id)
  assert.equal((await fails(6, 'audit', 'get', 'rec_00000000000000000000000000')).code, 'record.not_found')
})

test('the whole log is verified', async () => {
  const ran = await popsigner(['audit', 'verify'])
  assert.equal(ran.exit, 0, ran.stdout)
  assert.match(ran.stdout, /✓ the \d+ records are those of the checkpoint [0-9a-f]{64}/)
  assert.equal((await answer<{ ok: boolean }>('audit', 'verify')).ok, true)
})

test('keys: batch, list, get by every name, history', async () => {
  const workers = await answer<{ id: string; name: string }[]>('keys', 'create', 'worker', '--count', '4')
  assert.deepEqual(
    workers.map(({ name }) => name),
    ['worker-1', 'worker-2', 'worker-3', 'worker-4'],
  )
  await answer('keys', 'create-batch', 'alice', 'bob', '--algorithm', 'ed25519', '--metadata', 'note=a,b=c')
  const alice = await answer<{ id: string; algorithm: string; metadata: Record<string, string> }>(
    'keys',
    'get',
    'production/alice',
  )
  assert.equal(alice.algorithm, 'ed25519')
  assert.deepEqual(alice.metadata, { note: 'a,b=c' })
  assert.equal((await answer<{ id: string }>('keys', 'get', alice.id)).id, alice.id)
  assert.equal((await answer<{ id: string }>('keys', 'get', 'alice')).id, alice.id)
  assert.equal((await fails(6, 'keys', 'get', 'nobody')).code, 'key.not_found')
  assert.equal((await fails(6, 'keys', 'get', 'key_00000000000000000000000000')).code, 'key.not_found')
  assert.equal((await fails(1, 'keys', 'create', 'alice')).code, 'key.name_taken')
  assert.equal((await fails(2, 'keys', 'create', 'not a name')).code, 'request.invalid')
  const page = await popsigner(['keys', 'list', '--limit', '2'])
  assert.equal(page.stdout.trim().split('\n').length, 2)
  assert.match(page.stderr, /--all lists them/)
  assert.equal((await answer<unknown[]>('keys', 'list', '--all')).length, 7)
  const header = await popsigner(['keys', 'list', '--name', 'alice'], { terminals: ['out'] })
  assert.match(header.stdout, /^ID +NAME +ALGORITHM/)
  assert.equal((await answer<unknown[]>('keys', 'history', 'alice')).length, 1)
})

test('names that two keys have are not guessed', async () => {
  await answer('namespaces', 'create', 'staging')
  assert.equal((await fails(2, 'keys', 'create', 'nowhere')).code, 'cli.usage')
  await answer('keys', 'create', 'alice', '--namespace', 'staging')
  const refused = await fails(2, 'sign', 'alice', '--data', 'x')
  assert.deepEqual(refused.next.map(({ command }) => command).sort(), ['… production/alice', '… staging/alice'])
  const { length } = await answer<unknown[]>('namespaces', 'list')
  assert.equal(length, 2)
  assert.equal((await fails(1, 'namespaces', 'delete', 'staging')).code, 'namespace.not_empty')
  assert.equal((await fails(6, 'namespaces', 'delete', 'nothing')).code, 'namespace.not_found')
  assert.equal(
    (await popsigner(['keys', 'delete', 'staging/alice', '--waiting-days', '0', '--confirm', 'alice'])).exit,
    0,
  )
  // The signer destroys it right after the answer.
  for (let turn = 0; turn < 100 && (await answer('keys', 'get', 'staging/alice'))['state'] !== 'destroyed'; turn++)
    await delay(20)
  const deleted = await popsigner(['namespaces', 'delete', 'staging'])
  assert.equal(deleted.exit, 0, deleted.stderr)
  assert.match(deleted.stderr, /Undo it: popsigner namespaces create staging/)
})

test('sign and verify in every encoding', async () => {
  const data = Buffer.from([0, 1, 254, 255])
  writeFileSync(join(server.directory, 'data.bin'), data)
  const digest = createHash('sha256').update(data).digest('hex')
  const signatures = [
    await answer<{ signature: string }>('sign', 'first', '--data', '@data.bin'),
    await answer<{ signature: string }>('sign', 'first', '--data', data.toString('hex'), '--encoding', 'hex'),
    await answer<{ signature: string }>('sign', 'first', '--data', data.toString('base64'), '--encoding', 'base64'),
    await answer<{ signature: string }>('sign', 'first', '--data', digest, '--encoding', 'hex', '--prehashed'),
  ].map(({ signature }) => signature)
  assert.equal(new Set(signatures).size, 1)
  const piped = await popsigner(['sign', 'first', '--data', '-', '--json'], { stdin: 'hello' })
  assert.equal(
    (JSON.parse(piped.stdout) as { signature: string }).signature,
    readFileSync(join(server.directory, 'signature.txt'), 'utf8').trim(),
  )
  const [signature = ''] = signatures
  assert.deepEqual(await answer('verify', 'first', '--data', '@data.bin', '--signature', signature), { valid: true })
  const wrong = await popsigner(['verify', 'first', '--data', 'other', '--signature', signature])
  assert.equal(wrong.exit, 7)
  assert.equal(wrong.stdout, 'not valid\n')
  assert.equal((await fails(2, 'sign', 'first', '--data', 'zz', '--encoding', 'hex')).code, 'cli.usage')
  assert.equal((await fails(2, 'sign', 'alice', '--data', 'x', '--hash', 'sha256')).code, 'sign.hash_not_allowed')
  assert.equal((await fails(2, 'sign', 'first')).code, 'cli.usage')
})

test('batches: order, names, forms of input, items that fail', async () => {
  const lines = [1, 2, 3, 4].map((i) => JSON.stringify({ key: `worker-${i}`, data: `item ${i}`, encoding: 'utf8' }))
  writeFileSync(join(server.directory, 'items.ndjson'), `${lines.join('\n')}\n`)
  const ran = await popsigner(['sign', 'batch', 'items.ndjson', '--json'])
  assert.equal(ran.exit, 0, ran.stderr)
  const answers = ran.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { signature: string; key_id: string })
  assert.equal(answers.length, 4)
  const listed = await popsigner(['sign', 'batch', '-', '--json'], { stdin: `[${lines.join(',')}]` })
  assert.deepEqual(listed.stdout.match(/"signature":"[^"]*"/g), ran.stdout.match(/"signature":"[^"]*"/g))
  const [first] = answers
  const partly = await popsigner(['sign', 'batch', '-'], {
    stdin: `${JSON.stringify({ key_id: 'key_00000000000000000000000000', data: 'AA==' })}\n${JSON.stringify({ key_id: first?.key_id, data: 'AA==' })}\n`,
  })
  assert.equal(partly.exit, 8)
  assert.match(partly.stdout, /^key_0+\t✕ key\.not_found\t.*\nkey_\S+\t\S{88}\trec_\S+\n$/)
  for (const [stdin, why] of [
    ['{"key":"first"}', /no data/],
    ['{"key":"first","data":"","x":1}', /field \\?"x/],
    ['nothing', /not JSON/],
    ['', /nothing to sign/],
  ] as const) {
    const refused = await popsigner(['sign', 'batch', '-'], { stdin })
    assert.equal(refused.exit, 2)
    assert.match(refused.stderr, why)
  }
})

test('what interrupts is asked for, what cannot be undone needs the name', async () => {
  const suspend = ['keys', 'update', 'worker-1', '--state', 'suspended']
  assert.equal((await fails(2, ...suspend)).code, 'cli.consent_needed')
  const no = await popsigner(suspend, { stdin: '\n', terminals: ['in', 'err'] })
  assert.equal(no.exit, 1)
  assert.match(
    no.stderr,
    /^organization +org_.*\nnamespace +production\nserver +http:.*\nSuspend production\/worker-1\.\nIt signs nothing .*\nGo on\? \[y\/N\]/,
  )
  assert.equal(
    (await popsigner(suspend, { stdin: 'y\n', terminals: ['in', 'err'], environment: { POPSIGNER_NO_PROMPT: '1' } }))
      .exit,
    2,
  )
  const yes = await popsigner(suspend, { stdin: 'y\n', terminals: ['in', 'err'] })
  assert.equal(yes.exit, 0, yes.stderr)
  const undo = /Undo it: popsigner (.*)/.exec(yes.stderr)?.[1]?.split(' ') ?? []
  assert.equal((await fails(1, 'sign', 'worker-1', '--data', 'x')).code, 'key.state_forbids')
  assert.equal((await popsigner(undo)).exit, 0)

  const destroy = ['keys', 'update', 'worker-1', '--state', 'deactivated']
  assert.equal((await fails(2, ...destroy, '--yes')).code, 'cli.consent_needed', '--yes does not stand in for the name')
  assert.equal((await fails(2, ...destroy, '--confirm', 'worker-2')).code, 'cli.consent_needed')
  assert.equal((await popsigner(destroy, { stdin: 'yes\n', terminals: ['in', 'err'] })).exit, 1)
  assert.equal((await popsigner(destroy, { stdin: 'worker-1\n', terminals: ['in', 'err'] })).exit, 0)
  const narrowed = await answer<{ uses: string[] }>(
    'keys',
    'update',
    'worker-2',
    '--use',
    'raw',
    '--confirm',
    'worker-2',
  )
  assert.deepEqual(narrowed.uses, ['raw'])
  assert.equal(
    (await fails(3, 'sign', 'worker-2', '--data', 'aa'.repeat(32), '--encoding', 'hex', '--prehashed')).code,
    'key.use_not_allowed',
  )
})

test('metadata is merged, and a change of nothing is refused', async () => {
  await answer('keys', 'update', 'worker-3', '--metadata', 'a=1', '--metadata', 'b=2')
  const changed = await answer<{ metadata: object; rotate_every_days: number }>(
    'keys',
    'update',
    'worker-3',
    '--metadata',
    'a=',
    '--metadata',
    'c=3',
    '--rotate-every-days',
    '30',
  )
  assert.deepEqual(changed.metadata, { b: '2', c: '3' })
  assert.equal(changed.rotate_every_days, 30)
  assert.equal(
    (await answer<{ rotate_every_days: null }>('keys', 'update', 'worker-3', '--rotate-every-days', '0'))
      .rotate_every_days,
    null,
  )
  assert.equal((await fails(2, 'keys', 'update', 'worker-3')).code, 'cli.usage')
})

test('rotate, delete and bring back', async () => {
  assert.equal((await fails(2, 'keys', 'rotate', 'worker-3')).code, 'cli.consent_needed')
  const rotated = await answer<{ version: number; previous: { state: string } }>(
    'keys',
    'rotate',
    'worker-3',
    '--keep-active',
  )
  assert.equal(rotated.version, 2)
  assert.equal(rotated.previous.state, 'active')
  assert.equal(
    (await answer<{ key_version: number }>('sign', 'worker-3', '--data', 'x', '--key-version', '1')).key_version,
    1,
  )
  assert.equal(
    (await answer<{ previous: { state: string } }>('keys', 'rotate', 'worker-3', '--yes')).previous.state,
    'deactivated',
  )
  const deleted = await popsigner(['keys', 'delete', 'worker-3', '--yes'])
  assert.equal(deleted.exit, 0, deleted.stderr)
  assert.match(deleted.stdout, /^state +deactivated$/m)
  const undo = /popsigner (keys cancel-deletion .*)/.exec(deleted.stderr)?.[1]?.split(' ') ?? []
  assert.equal((await answer<{ state: string }>(...undo)).state, 'active')
  assert.equal(
    (await fails(2, 'keys', 'delete', 'worker-3', '--waiting-days', '0', '--yes')).code,
    'cli.consent_needed',
  )
})

test('import and export move the same key, and only where it may', async () => {
  const hex = '11'.repeat(32)
  const imported = await popsigner(['keys', 'import', 'mine', '--exportable', '--json'], { stdin: `0x${hex}\n` })
  assert.equal(imported.exit, 0, imported.stderr)
  assert.equal((await fails(2, 'keys', 'export', 'mine')).code, 'cli.usage')
  assert.equal((await fails(2, 'keys', 'export', 'mine', '--to-file', 'key.hex', '--yes')).code, 'cli.consent_needed')
  const exported = await popsigner(['keys', 'export', 'mine', '--to-file', 'key.hex', '--confirm', 'mine'])
  assert.equal(exported.exit, 0, exported.stderr)
  assert.equal(readFileSync(join(server.directory, 'key.hex'), 'utf8'), `${hex}\n`)
  assert.equal(statSync(join(server.directory, 'key.hex')).mode & 0o777, 0o600)
  assert.doesNotMatch(exported.stdout + exported.stderr, new RegExp(hex))
  const recipient = `04${'00'.repeat(64)}`
  assert.equal(
    (await fails(2, 'keys', 'export', 'mine', '--recipient', recipient, '--confirm', 'mine')).code,
    'export.recipient_invalid',
  )
  assert.equal(
    (await fails(3, 'keys', 'export', 'first', '--to-file', 'no.hex', '--confirm', 'first')).code,
    'key.not_exportable',
  )
  const short = await popsigner(['keys', 'import', 'short'], { stdin: '1234' })
  assert.equal(short.exit, 2)
  assert.doesNotMatch(short.stderr, /1234/)
})

test('API keys: create, list, rotate, revoke', async () => {
  const created = await popsigner([
    'api-keys',
    'create',
    'ci',
    '--scope',
    'api:keys:read,api:keys:sign',
    '--namespace',
    'production',
    '--to-file',
    'ci.txt',
    '--json',
  ])
  assert.equal(created.exit, 0, created.stderr)
  assert.equal((JSON.parse(created.stdout) as { token: null }).token, null)
  const file = join(server.directory, 'ci.txt')
  assert.equal(statSync(file).mode & 0o777, 0o600)
  const ci = { environment: { POPSIGNER_API_KEY: readFileSync(file, 'utf8').trim() } }
  assert.equal((await popsigner(['sign', 'first', '--data', 'x'], ci)).exit, 0)
  const denied = await popsigner(['audit', 'list'], ci)
  assert.equal(denied.exit, 4)
  assert.match(denied.stderr, /api:audit:read.*\n?.*POPSIGNER_API_KEY in the environment/)
  assert.match(denied.stderr, /request: req_/)
  assert.match(denied.stderr, /docs: .*\/docs\/errors#scope\.missing/)
  assert.ok((await answer<{ name: string }[]>('api-keys', 'list')).some(({ name }) => name === 'ci'))
  assert.equal(
    (await popsigner(['api-keys', 'rotate', 'ci', '--grace-seconds', '0', '--yes', '--to-file', 'ci2.txt'])).exit,
    0,
  )
  assert.equal((await popsigner(['whoami'], ci)).exit, 4)
  assert.equal((await fails(2, 'api-keys', 'revoke', 'ci')).code, 'cli.consent_needed')
  assert.equal((await popsigner(['api-keys', 'revoke', 'ci', '--yes'])).exit, 0)
  assert.equal((await fails(6, 'api-keys', 'revoke', 'ci', '--yes')).code, 'api_key.not_found')
  assert.equal((await fails(2, 'api-keys', 'create', 'none', '--reveal')).code, 'cli.usage')
})

test('what --print-scopes says is what a command needs', async () => {
  const scoped = async (scope: string) => {
    const issued = await popsigner(['api-keys', 'create', 'scoped', '--scope', scope, '--reveal'])
    return { environment: { POPSIGNER_API_KEY: issued.stdout.trim() } }
  }
  const { id } = await answer<{ id: string }>('keys', 'create', 'scoped')
  const names = 'by its name'
  for (const [words, when] of [
    [['sign', id, '--data', 'x'], '–'],
    [['sign', 'scoped', '--data', 'x', '--receipt', 'scoped.json'], 'with --receipt'],
    [['sign', 'scoped', '--data', 'x'], names],
    [['keys', 'rotate', id, '--yes'], '–'],
    [['keys', 'delete', 'scoped', '--yes'], names],
    [['audit', 'list', '--key', 'scoped'], names],
    [['audit', 'verify'], '–'],
    [['api-keys', 'list'], '–'],
  ] as const) {
    const needed = await answer<{ scope: string; when: string | null }[]>(...words, '--print-scopes')
    const scope = needed.flatMap((one) => (one.when === null || one.when.includes(when) ? one.scope : []))
    const ran = await popsigner(words, await scoped(scope.join(',')))
    assert.equal(ran.exit, 0, `${words.join(' ')}: ${ran.stderr}`)
    for (const left of scope) {
      const fewer = scope.filter((one) => one !== left)
      if (fewer.length > 0)
        assert.equal(
          (await popsigner(words, await scoped(fewer.join(',')))).exit,
          4,
          `${words.join(' ')} without ${left}`,
        )
    }
  }
})

test('a request that is shown runs as it is printed, and a dry run changes nothing', async () => {
  const shown = await popsigner(['keys', 'create', 'by-curl', '--metadata', "note=it's $HOME", '--print-request'])
  assert.doesNotMatch(shown.stdout, /psk_live_/)
  const before = await answer<unknown[]>('keys', 'list', '--all')
  for (const words of [
    ['keys', 'create', 'dry'],
    ['keys', 'import', 'dry'],
    ['keys', 'rotate', 'by-name-of-nobody'],
    ['keys', 'delete', 'first', '--waiting-days', '0'],
    ['keys', 'update', 'first', '--state', 'compromised'],
  ])
    await popsigner([...words, '--dry-run'], { stdin: '11'.repeat(32) })
  const dry = await popsigner(['keys', 'update', 'production/first', '--state', 'compromised', '--dry-run'])
  assert.equal(dry.exit, 0, dry.stderr)
  assert.match(dry.stdout, /^PATCH http:\S+\/v1\/keys\/key_\S+\n\{"state":"compromised"\}\n$/)
  assert.match(dry.stderr, /^organization +org_.*\nnamespace +production\n.*\nMake production\/first compromised\.\n/)
  assert.equal((await popsigner(['keys', 'rotate', 'nobody', '--dry-run'])).exit, 6)
  assert.deepEqual(await answer('keys', 'list', '--all'), before)
  const { stdout } = await promisify(execFile)('sh', ['-c', shown.stdout.replace('curl ', 'curl --silent ')], {
    env: { ...process.env, POPSIGNER_API_KEY: token },
  })
  assert.equal((JSON.parse(stdout) as { metadata: { note: string } }).metadata.note, "it's $HOME")
})

test('completion in bash: names from the server, ids, values of options, and nothing of a server that is slow', async () => {
  const program = join(server.directory, 'popsigner')
  writeFileSync(program, `#!/bin/sh\nexec '${process.execPath}' '${join(import.meta.dirname, 'main.ts')}' "$@"\n`, {
    mode: 0o755,
  })
  const script = (await popsigner(['completion', 'bash'])).stdout
  const complete = async (url: string, ...words: readonly string[]): Promise<string[]> => {
    const line = `${script}\nCOMP_WORDS=(popsigner "$@"); COMP_CWORD=$#; _popsigner; printf '%s\\n' "\${COMPREPLY[@]}"`
    const env = {
      ...{ ...server.environment, PATH: `${server.directory}:${process.env['PATH']}` },
      ...{ POPSIGNER_API_KEY: token, POPSIGNER_URL: url },
    }
    const { stdout } = await promisify(execFile)('bash', ['-c', line, 'bash', ...words], { env })
    return stdout.split('\n').filter((one) => one !== '')
  }
  const until = async (expected: string, ...words: readonly string[]): Promise<void> => {
    // The first answer of a server that is busy can be late.
    let found: string[] = []
    for (let turn = 0; turn < 10 && !found.includes(expected); turn++) found = await complete(server.url, ...words)
    assert.ok(found.includes(expected), `${words.join(' ')}: ${found.join(' ')}`)
    assert.ok(found.every((one) => one.startsWith(words.at(-1) ?? '')))
  }
  const { id } = await answer<{ id: string }>('keys', 'get', 'first')
  await until('first', 'keys', 'get', 'fi')
  await until('first', 'sign', '')
  await until(id, 'keys', 'get', 'key_')
  await until('production/first', 'keys', 'rotate', 'production/')
  await until('production', 'keys', 'create', 'x', '--namespace', 'pro')
  await until('main', 'api-keys', 'create', 'x', '--org', 'ma')
  await until('--key-version', 'sign', 'first', '--key')
  const silent = createServer(() => {}).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  const began = performance.now()
  const { port } = silent.address() as AddressInfo
  const late = { environment: { POPSIGNER_URL: `http://127.0.0.1:${port}` } }
  assert.deepEqual(await popsigner(['completion', 'names', 'keys'], late), { exit: 0, stdout: '', stderr: '' })
  assert.ok(performance.now() - began < namesMilliseconds + 350)
  silent.close()
  silent.closeAllConnections()
})

test('login saves what works, and nothing else', async () => {
  const none = { POPSIGNER_API_KEY: '', POPSIGNER_CONFIG_DIR: join(server.directory, 'login') }
  const bad = await popsigner(['login'], { stdin: `psk_live_${'0'.repeat(84)}\n`, environment: none })
  assert.equal(bad.exit, 4, bad.stderr)
  assert.equal(
    (await popsigner(['login', '--namespace', 'production'], { stdin: `${token}\n`, environment: none })).exit,
    0,
  )
  assert.equal(statSync(join(server.directory, 'login', 'profiles.json')).mode & 0o777, 0o600)
  const me = await popsigner(['whoami', '--json'], { environment: { ...none, POPSIGNER_URL: '' } })
  assert.equal(me.exit, 0, me.stderr)
  const { api_key_from: from, url } = JSON.parse(me.stdout) as Record<string, string>
  assert.equal(from, 'profile default')
  assert.equal(url, server.url)
})

test('the host: status, organizations, rotation of the root, recovery', async () => {
  assert.equal((await popsigner(['status'])).exit, 0)
  assert.equal((await answer('status'))['instance'], 'cli.test')
  assert.deepEqual(
    (await answer<{ name: string }[]>('orgs', 'list')).map(({ name }) => name),
    ['main'],
  )
  await answer('orgs', 'create', 'other', '--plan', 'free', '--namespace', 'one')
  assert.equal((await fails(2, 'orgs', 'create', 'third', '--plan', 'golden')).code, 'request.invalid')
  assert.equal((await fails(2, 'seal', 'rotate')).code, 'cli.consent_needed')
  const rotated = await popsigner(['seal', 'rotate', '--organization-keys', '--yes', '--json'])
  assert.equal(rotated.exit, 0, rotated.stderr)
  for (const line of rotated.stdout.trim().split('\n')) JSON.parse(line)
  assert.equal((await popsigner(['sign', 'first', '--data', 'after'])).exit, 0)
  assert.equal((await fails(2, 'recover', 'accept-rollback', 'main', '--yes')).code, 'cli.consent_needed')
  const accepted = await popsigner(['recover', 'accept-rollback', 'main', '--confirm', 'main'])
  assert.equal(accepted.exit, 0, accepted.stderr)
  assert.equal((await popsigner(['sign', 'first', '--data', 'again'])).exit, 0)
  const recover = ['recover', 'accept-rollback', 'main', '--confirm', 'main']
  assert.match(accepted.stderr, /^! The log of main is compared with no checkpoint: give the last one/)
  const compared = await popsigner([...recover, '--checkpoint', 'receipt.json'])
  assert.equal(compared.exit, 0, compared.stderr)
  assert.match(compared.stderr, /^✓ the log of main extends the checkpoint of \d+ records in receipt\.json/)
  assert.equal((await fails(2, ...recover, '--checkpoint', 'signature.txt')).code, 'cli.usage')
  const again = await popsigner([...recover, '--checkpoint', 'receipt.json', '--json'])
  const receipt = JSON.parse(readFileSync(join(server.directory, 'receipt.json'), 'utf8')) as { tree_size: number }
  assert.equal((JSON.parse(again.stdout) as { compared_with: number }).compared_with, receipt.tree_size)
  // A checkpoint of one organization says nothing about another's log.
  const other = ['recover', 'accept-rollback', 'other', '--confirm', 'other', '--checkpoint', 'receipt.json']
  assert.equal((await fails(7, ...other)).code, 'checkpoint.invalid')
})

test('a way back to a log that lost records is named where the host may have accepted it', async () => {
  const issue = async (...words: readonly string[]) =>
    (await popsigner(['api-keys', 'create', 'way-back', '--reveal', ...words])).stdout.trim()
  const failure = new Failure('the log is smaller than it was', { exit: exitCodes.notValid, advice: 'none offered' })
  const lost = new TrustError('checkpoint.behind', 'the log is smaller than it was', { log: 'cli.test/org_x' })
  const wayBack = (apiKey: string, url = server.url, error = lost) =>
    withWayBack(failure, error, () => new PopSigner({ url, apiKey }))
  const next = [
    { command: 'popsigner audit forget cli.test/org_x', when: 'only if they say so: believes the log as it is now' },
  ]
  // Records are searched a second later than they are made.
  for (let i = 0; i < 50 && (await wayBack(token)).detail.next === undefined; i++) await delay(100)
  const known = await wayBack(token)
  assert.match(known.detail.advice ?? '', /^the server’s log says that its host accepted a loss \(rec_\w+\)/)
  assert.deepEqual([known.detail.next, known.detail.exit], [next, exitCodes.notValid])
  assert.equal(await wayBack(await issue('--org', 'other')), failure, 'nothing was accepted there')
  for (const unknown of [
    await wayBack(await issue('--namespace', 'production')),
    await wayBack(token, 'http://127.0.0.1:1'),
  ]) {
    assert.match(unknown.detail.advice ?? '', /cannot be read from the log. It may be an attack/)
    assert.deepEqual(unknown.detail.next, next)
  }
  const changed = new TrustError('log_key.changed', 'another key', { log: 'cli.test/org_x' })
  assert.equal(await wayBack(token, server.url, changed), failure)
})

test('what is kept of a log is forgotten with consent, printed, and trusted anew', async () => {
  assert.equal((await popsigner(['audit', 'verify'])).exit, 0)
  assert.equal((await fails(2, 'audit', 'forget')).code, 'cli.consent_needed')
  const no = await popsigner(['audit', 'forget'], { stdin: 'n\n', terminals: ['in', 'err'] })
  assert.equal(no.exit, 1)
  assert.match(no.stderr, /only after a loss that the host told you of/)
  const { log, forgotten } = await answer<{ log: string; forgotten: Record<string, string> }>(
    ...['audit', 'forget', '--keys', '--yes'],
  )
  assert.deepEqual(Object.keys(forgotten), [`checkpoint:${log}`, `log_key:${log}`, 'identity:cli.test'])
  assert.ok(forgotten[`checkpoint:${log}`]?.startsWith(`${log}\n`))
  assert.equal((await fails(6, 'audit', 'forget', '--keys', '--yes')).code, 'cli.nothing_kept')
  assert.equal((await popsigner(['audit', 'verify'])).exit, 0)
})

test('the list of records: filters, and times as people say them', async () => {
  const all = await answer<{ event: string }[]>('audit', 'list', '--limit', '1000')
  const signed = await answer<{ event: string }[]>(
    'audit',
    'list',
    '--event-type',
    'key.signed',
    '--key',
    'first',
    '--since',
    '10m',
  )
  assert.ok(signed.length > 0 && signed.length < all.length)
  assert.ok(signed.every(({ event }) => event === 'key.signed'))
  assert.deepEqual(await answer('audit', 'list', '--since', '2099-01-01T00:00:00Z'), [])
  const streamed = await popsigner(['audit', 'list', '--all', '--json'])
  assert.ok(
    streamed.stdout
      .trim()
      .split('\n')
      .every((line) => JSON.parse(line)),
  )
  assert.equal((await fails(2, 'audit', 'list', '--since', 'yesterday')).code, 'cli.usage')
  const hash = createHash('sha256').update('hello').digest('hex')
  assert.ok((await answer<unknown[]>('audit', 'list', '--data-hash', hash)).length >= 1)
})

test('watching the log shows what comes, and Ctrl-C ends it with 130', async () => {
  const controller = new AbortController()
  const watching = popsigner(['audit', 'watch', '--from-start', '--json'], { signal: controller.signal })
  setTimeout(() => controller.abort(new Error('interrupted')), 2_500)
  const { exit, stdout, stderr } = await watching
  assert.equal(exit, 130, stderr)
  const records = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { leaf_index: number })
  assert.deepEqual(
    records.map(({ leaf_index: index }) => index),
    records.map((_, index) => index),
  )
  assert.match(stderr, /"code":"cli\.interrupted"/)
})

test('signer facts, requests made visible, and scopes as the server has them', async () => {
  assert.equal((await answer('signer'))['instance'], 'cli.test')
  const traced = await popsigner(['whoami'], { environment: { POPSIGNER_DEBUG: 'api' } })
  assert.match(traced.stderr, /^> GET http:\/\/127\.0\.0\.1:\d+\/v1\/signer → 200 req_\S+ in \d+ ms$/m)
  assert.doesNotMatch(traced.stderr, /psk_live_/)
  const document = (await (await fetch(`${server.url}/openapi.json`)).json()) as {
    components: { schemas: { Scope: { enum: string[] } } }
  }
  assert.deepEqual(document.components.schemas.Scope.enum, Object.keys(scopes))
})

test('a transaction of Celestia is signed, decoded with what it does not tell, and a message under ADR-036', async () => {
  await answer('keys', 'create', 'celestial')
  const chain = ['--chain', 'cosmos:celestia']
  const [own] = await answer<{ address: string }[]>('keys', 'addresses', 'celestial', ...chain)
  const address = own?.address ?? ''
  assert.match(address, /^celestia1/)
  const amount = [{ amount: '1500000', denom: 'utia' }]
  const value = { amount, from_address: address, to_address: address }
  const document = {
    account_number: '12',
    chain_id: 'celestia',
    fee: { amount: [{ amount: '2000', denom: 'utia' }], gas: '100000' },
    memo: '',
    msgs: [{ type: 'cosmos-sdk/MsgSend', value }],
    sequence: '7',
  }
  const signed = await popsigner(['transaction', 'sign', 'celestial', ...chain, JSON.stringify(document)])
  assert.equal(signed.exit, 0, signed.stderr)
  assert.match(signed.stderr, new RegExp(`Transfer 1.5 TIA \\(1500000\\) from ${address} to ${address}`))
  const transaction = signed.stdout.trim()
  const known = [...chain, '--account-number', '12', '--address-prefix', 'celestia']
  const decoded = await popsigner(['transaction', 'decode', ...known, transaction])
  assert.equal(decoded.exit, 0, decoded.stderr)
  assert.match(decoded.stdout, /^complete +yes$/m)
  const again = await fails(1, 'transaction', 'sign', 'celestial', ...known, transaction)
  assert.equal(again.code, 'transaction.already_signed')
  writeFileSync(join(server.directory, 'blobs.json'), '[]')
  const blobs = await fails(2, 'transaction', 'decode', ...chain, '--blobs', 'blobs.json', transaction)
  assert.equal(blobs.code, 'context.malformed')
  const message = await popsigner(['sign-message', 'celestial', ...chain, '--convention', 'adr036', 'hello'])
  assert.match(message.stdout, /^[A-Za-z0-9+/]{86}==\n$/)
  assert.match(message.stderr, /Sign a message \(adr036\) as celestia1\w+: "hello"/)
})

test('a transaction is decoded, signed and batched; a message is signed; addresses are listed', async () => {
  await answer('keys', 'create', 'treasury')
  const unsigned =
    '0x02f00109843b9aca008504a817c800825208943535353535353535353535353535353535353535880de0b6b3a764000080c0'
  const chain = ['--chain', 'eip155:1']
  const addresses = await answer<{ address: string; chain: string }[]>('keys', 'addresses', 'treasury')
  const address = addresses[0]?.address ?? ''
  assert.match(address, /^0x[0-9a-fA-F]{40}$/)
  const decoded = await popsigner(['transaction', 'decode', ...chain, '--key', 'treasury', unsigned])
  assert.equal(decoded.exit, 0, decoded.stderr)
  assert.match(decoded.stdout, new RegExp(`^Transfer 1 ETH \\(1000000000000000000\\) from ${address} to 0x3535`, 'm'))
  assert.match(decoded.stdout, /^fee +at most 0.00042 ETH \(420000000000000\)$/m)
  assert.match(decoded.stdout, /^complete +no$/m)
  writeFileSync(join(server.directory, 'unsigned.hex'), `${unsigned}\n`)
  const signed = await popsigner(['transaction', 'sign', 'treasury', ...chain, '@unsigned.hex'])
  assert.equal(signed.exit, 0, signed.stderr)
  assert.match(signed.stdout, /^0x02f873[0-9a-f]+\n$/)
  assert.match(signed.stderr, /Transfer 1 ETH[\s\S]*✓ signed with treasury v1 {2}record rec_\w+ {2}hash 0x/)
  const json = JSON.stringify({ to: address, nonce: 1, gas: 21000, gasPrice: '1' })
  const read = await answer<{ complete: boolean; signatures: { signer: string }[] }>(
    ...['transaction', 'sign', 'treasury', ...chain, json],
  )
  assert.deepEqual([read.complete, read.signatures[0]?.signer], [true, address])
  const again = await fails(1, 'transaction', 'sign', 'treasury', ...chain, signed.stdout.trim())
  assert.equal(again.code, 'transaction.already_signed')
  assert.equal((await fails(2, 'transaction', 'decode', ...chain, `${unsigned}00`)).code, 'transaction.malformed')
  const items = [unsigned, '0x', unsigned].map((transaction) => ({ key: 'treasury', chain: 'eip155:1', transaction }))
  const batch = await popsigner(['transaction', 'sign-batch', '-'], {
    stdin: items.map((item) => JSON.stringify(item)).join('\n'),
  })
  assert.equal(batch.exit, 8)
  const lines = batch.stdout.trim().split('\n')
  assert.equal(lines.length, 3)
  assert.equal(lines[0]?.split('\t')[1], signed.stdout.trim())
  assert.match(lines[1] ?? '', /✕ transaction.malformed/)
  const message = await popsigner(['sign-message', 'treasury', ...chain, 'hello'])
  assert.match(message.stdout, /^0x[0-9a-f]{128}1[bc]\n$/)
  assert.match(message.stderr, /Sign a message \(eip191\) as 0x\w+: "hello"/)
  const raw = await answer<{ effects: { kind: string }[] }>('sign-message', 'treasury', ...chain, '--raw', '0x00')
  assert.deepEqual(
    raw.effects.map(({ kind }) => kind),
    ['message', 'opaque'],
  )
})
