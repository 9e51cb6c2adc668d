import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { algorithmNames } from '@popsigner/crypto/algorithm-facts'
import { verifySignature } from '@popsigner/crypto/verify'
import { type Ran, runCommand } from '../packages/cli/src/test-script.ts'
import { makeKey } from './crash/tenant.ts'
import { type Answer, call, pause, startInstance, type TestInstance } from './instance.ts'
import { type Served, serve } from './serve.ts'

// A copy as docs/running.md says it is made, brought to another directory, as on a new machine.

const root = join(import.meta.dirname, '..')
const algorithms = algorithmNames
const place = mkdtempSync(join(tmpdir(), 'popsigner-restore-'))
const restored = join(place, 'data')
const keyFile = join(place, 'root.key')
let origin: TestInstance
let copy: Served | undefined
const keys: { id: string; algorithm: (typeof algorithms)[number]; public_key: string }[] = []

before(async () => {
  // As root, PostgreSQL runs as nobody and has to get through.
  chmodSync(place, 0o711)
  origin = await startInstance()
  for (const algorithm of algorithms) keys.push(await makeKey(origin, algorithm, { algorithm }))
})
after(async () => {
  await copy?.stop()
  await origin.remove()
  rmSync(place, { recursive: true, force: true })
})

test('what the documentation lists is copied with the server stopped, and the ledger is not in it', async () => {
  await client(origin.url, origin.directory, 'sign', 'ed25519', '--data', 'before', '--receipt', 'before.json')
  assert.equal(await origin.stop(), 0)
  const documented = /^tar --create [\s\S]*? \.$/m.exec(readFileSync(join(root, 'docs/running.md'), 'utf8'))?.[0] ?? ''
  const command = documented.replace('/var/lib/popsigner/data', origin.directory)
  assert.ok(command.includes(origin.directory), 'the page has the command, with a directory to replace')
  execFileSync('sh', ['-c', command], { cwd: place })
  execFileSync('cp', ['-p', join(origin.directory, 'seal/root.key'), keyFile])
  const names = execFileSync('tar', ['-tf', 'popsigner.tar'], { cwd: place, encoding: 'utf8' }).split('\n')
  for (const name of ['./instance.json', './custody/identity', './postgres/PG_VERSION']) assert.ok(names.includes(name))
  for (const name of names) assert.doesNotMatch(name, /^\.\/(custody\/ledger|seal|run|logs)/)

  // What is signed after the copy is what a restore loses.
  await origin.restart()
  for (let i = 0; i < 5; i++) assert.equal((await sign(origin.url, keys[0])).status, 200)
  await client(origin.url, origin.directory, 'sign', 'ed25519', '--data', 'after', '--receipt', 'after.json')
  assert.equal(await origin.stop(), 0)
})

test('without the key file it refuses in one sentence', async () => {
  mkdirSync(restored, { mode: 0o700 })
  const unpack = ['--extract', '--file', 'popsigner.tar', '--preserve-permissions', '--numeric-owner']
  execFileSync('tar', [...unpack, '--directory', restored], { cwd: place })
  const refused = await serve(root, restored)
  assert.equal(refused.url, null)
  assert.equal(await refused.ended, 1)
  assert.match(
    refused.errors,
    /^The key file \S+root\.key is missing and without it no key can be opened: put it back.*\n$/,
  )
  assert.ok(!existsSync(join(restored, 'custody/ledger')))
})

test('the restored database signs nothing until the host hands the last checkpoint that it extends', async () => {
  mkdirSync(join(restored, 'seal'), { mode: 0o700 })
  execFileSync('cp', ['-p', keyFile, join(restored, 'seal/root.key')])
  if (process.getuid?.() === 0) execFileSync('chown', ['60906:60906', join(restored, 'seal')])
  copy = await serve(root, restored)
  assert.ok(copy.url, copy.errors)
  await signsNothing()
  const ready = await call(copy.url, origin.token, 'GET', '/readyz')
  assert.equal(ready.status, 503)
  assert.match(JSON.stringify(ready.body.errors), /do(es)? not extend the ledger/)

  // Nothing to compare with: it says so before it asks.
  const alone = await popsigner('recover', 'accept-rollback', 'default')
  assert.equal(alone.exit, 2)
  assert.match(alone.stderr, /^! The log of default is compared with no checkpoint and the signer has no memory of it/)
  writeFileSync(join(place, 'junk.json'), '{"checkpoint":"none"}')
  assert.equal((await accept('junk.json')).exit, 2)
  const note = (JSON.parse(readFileSync(join(place, 'before.json'), 'utf8')) as { checkpoint: string }).checkpoint
  writeFileSync(join(place, 'forged.txt'), note.replace(/^\d+$/m, '1'))
  const forged = await accept('forged.txt')
  assert.equal(forged.exit, 7)
  assert.match(forged.stderr, /not signed by that log’s key/)
  const behind = await accept('after.json')
  assert.equal(behind.exit, 7)
  assert.match(behind.stderr, /The checkpoint covers \d+ records and the database has \d+: at least \d+ are lost/)
  await signsNothing()

  // The signed note alone is as good as the receipt that holds it.
  writeFileSync(join(place, 'before.txt'), note)
  const accepted = await accept('before.txt')
  assert.equal(accepted.exit, 0, accepted.stderr)
  assert.match(accepted.stderr, /✓ the log of default extends the checkpoint of \d+ records in before\.txt/)
})

test('then every key that was there before is there and signs', async () => {
  const url = copy?.url ?? ''
  for (const key of keys) {
    const signed = await sign(url, key)
    assert.equal(signed.status, 200, JSON.stringify(signed.body))
    assert.equal(signed.body.public_key, key.public_key)
    const signature = new Uint8Array(Buffer.from(signed.body.signature, 'base64'))
    const input = { message: Buffer.from('hi') }
    assert.ok(verifySignature(key.algorithm, input, signature, Buffer.from(key.public_key, 'hex')))
  }
})

test('who kept a newer checkpoint is told, and goes on by forgetting it', async () => {
  // Records are searched a second later than they are made.
  await pause(1_500)
  const told = await popsigner('audit', 'verify')
  assert.equal(told.exit, 7, told.stdout)
  assert.match(told.stderr, /its host accepted a loss \(rec_\w+\), which an attacker can say as well/)
  const [, command = ''] = /fix: {2}popsigner (audit forget \S+) /.exec(told.stderr) ?? []
  const unasked = await popsigner(...command.split(' '))
  assert.equal(unasked.exit, 2, 'it asks, and there is nobody')
  const forgotten = await popsigner(...command.split(' '), '--yes')
  assert.equal(forgotten.exit, 0, forgotten.stderr)
  const kept = (JSON.parse(readFileSync(join(place, 'after.json'), 'utf8')) as { checkpoint: string }).checkpoint
  assert.equal(forgotten.stdout.trim().split('\n')[0], kept.split('\n')[0], 'what is forgotten is printed')
  assert.equal((await popsigner(...command.split(' '), '--yes')).exit, 6, 'there is nothing more to forget')
  const whole = await popsigner('audit', 'verify')
  assert.equal(whole.exit, 0, whole.stdout + whole.stderr)
  assert.match(whole.stdout, /losses accepted by the host +1/)
})

test('a database with another history than the checkpoint is not accepted', async () => {
  for (let i = 0; i < 20; i++) assert.equal((await sign(copy?.url ?? '', keys[0])).status, 200)
  const fork = await accept('after.json')
  assert.equal(fork.exit, 7)
  assert.match(fork.stderr, /are not those of the checkpoint: this database has another history/)
})

function sign(url: string, key: { id: string } | undefined): Promise<Answer> {
  return call(url, origin.token, 'POST', `/v1/keys/${key?.id}/sign`, { data: 'hi', encoding: 'utf8' })
}

async function signsNothing(): Promise<void> {
  // At first the server may not have asked the signer yet.
  const until = Date.now() + 10_000
  let answer = await sign(copy?.url ?? '', keys[0])
  while (answer.body.code !== 'log.behind' && Date.now() < until) answer = await sign(copy?.url ?? '', keys[0])
  assert.deepEqual([answer.status, answer.body.code], [503, 'log.behind'])
}

function accept(checkpoint: string): Promise<Ran> {
  return popsigner('recover', 'accept-rollback', 'default', '--confirm', 'default', '--checkpoint', checkpoint)
}

/** A command beside the restored instance, by somebody who met the one before. */
function popsigner(...words: string[]): Promise<Ran> {
  return command(copy?.url ?? '', restored, words)
}

async function client(url: string, directory: string, ...words: string[]): Promise<void> {
  const ran = await command(url, directory, words)
  assert.equal(ran.exit, 0, ran.stderr)
}

function command(url: string, directory: string, words: string[]): Promise<Ran> {
  return runCommand(place, words, {
    environment: {
      POPSIGNER_DATA_DIR: directory,
      POPSIGNER_URL: url,
      POPSIGNER_API_KEY: origin.token,
      POPSIGNER_CONFIG_DIR: join(place, 'config'),
    },
  })
}
