import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { layout } from './contract.ts'
import { isRunning, type ProcessMark, processMark } from './processes.ts'
import { findRunning, type Running } from './running.ts'

const place = mkdtempSync(join(tmpdir(), 'popsigner-start-'))
// Deep enough that no unix socket below it could have a name.
const data = join(place, 'x'.repeat(100), 'data')

interface Started {
  readonly process: ChildProcess
  readonly output: () => string
  readonly errors: () => string
  readonly exit: Promise<number | null>
}

let current: Started

before(async () => {
  current = start()
  await ready(current)
})

after(async () => {
  if (current.process.exitCode === null) current.process.kill('SIGTERM')
  await current.exit
  const outside = furtherDirectory()
  if (outside !== null) rmSync(outside, { recursive: true, force: true })
  rmSync(place, { recursive: true, force: true })
})

test('the first start makes an instance and prints one API key, on the error stream alone', () => {
  assert.match(current.errors(), /psk_live_[0-9a-z]+/)
  assert.doesNotMatch(current.output(), /psk_live_/)
  assert.match(current.errors(), /Without this file every key is lost/)
  const commands = current.errors().match(/^ {2}npx popsigner .+$/gm)
  assert.equal(commands?.length, 3)
  for (const line of current.output().trim().split('\n')) assert.equal(typeof JSON.parse(line), 'object', line)
})

test('it answers where it says that it listens', async () => {
  assert.equal((await fetch(`${running().url}/healthz`)).status, 200)
})

test('what is secret is closed to others', () => {
  for (const name of ['seal/root.key', layout.proofKey, layout.hostKey, layout.databasePassword, layout.running]) {
    assert.equal(statSync(join(data, name)).mode & 0o077, 0, name)
  }
})

test('as root each child has a user of its own', { skip: process.getuid?.() !== 0 && 'needs root' }, () => {
  const owners = running().children.map(({ pid }) => statSync(`/proc/${pid}`).uid)
  assert.deepEqual(
    owners.sort((a, b) => a - b),
    [60_906, 60_907],
  )
  assert.equal(statSync(join(data, 'seal/root.key')).uid, 60_906)
  assert.equal(statSync(`/proc/${postmaster()}`).uid, 65_534)
})

test('a second server on the same data directory is refused, and the first goes on', async () => {
  const second = start()
  assert.equal(await second.exit, 1)
  assert.match(second.errors().trim(), /^Another server runs on the data directory .*POPSIGNER_DATA_DIR.*$/)
  assert.equal((await fetch(`${running().url}/healthz`)).status, 200)
})

test('a taken port is refused before anything is made', async () => {
  const other = join(place, 'other')
  const refused = start({ POPSIGNER_DATA_DIR: other, POPSIGNER_PORT: new URL(running().url ?? '').port })
  assert.equal(await refused.exit, 1)
  assert.match(
    refused.errors().trim(),
    /^Port \d+ on 127\.0\.0\.1 is taken by another program: set POPSIGNER_PORT to a free one\.$/,
  )
  assert.ok(!existsSync(other))
})

test('whichever child is killed is started again, at the same address', async () => {
  const { url } = running()
  for (const victim of [...running().children.map(({ pid }) => pid), postmaster()]) {
    const mark = processMark(victim)
    assert.ok(mark)
    process.kill(victim, 'SIGKILL')
    await until(() => !isRunning(mark))
    await until(() => allRun())
  }
  assert.equal(running().url, url)
  await until(async () => (await fetch(`${url}/readyz`).catch(() => null))?.ok === true)
})

test('a killed supervisor takes signer and server with it, and the next start ends the orphaned PostgreSQL', async () => {
  const before = running()
  const orphan = postmaster()
  current.process.kill('SIGKILL')
  await current.exit
  await until(() => before.children.every((child) => !isRunning(child)))
  assert.ok(processMark(orphan), 'PostgreSQL is an orphan now')
  current = start()
  await ready(current)
  assert.notEqual(postmaster(), orphan)
  assert.equal(processMark(orphan), null)
  assert.ok(!existsSync(before.socketDirectory), 'the sockets of the run before are gone')
  assert.doesNotMatch(current.errors(), /psk_live_/)
  assert.match(current.errors(), /npx popsigner api-keys create --org default/)
  const profile = readFileSync(join(data, 'client/profiles.json'), 'utf8')
  assert.ok(profile.includes(`"${running().url}"`), 'the profile of the first start names the address of this one')
})

test('SIGTERM drains, leaves no process and no socket, and answers 0', async () => {
  const before = running()
  const marks = [...before.children, processMark(postmaster()) as ProcessMark]
  current.process.kill('SIGTERM')
  assert.equal(await current.exit, 0)
  assert.deepEqual(marks.filter(isRunning), [])
  assert.match(current.output(), /the server is draining/)
  assert.doesNotMatch(current.output(), /the signer is not connected/, 'what a drain does itself is no warning')
  assert.ok(!existsSync(before.socketDirectory))
  assert.equal(findRunning(data), null)
})

test('a missing key file, a newer format and another PostgreSQL are refused in one sentence, with nothing changed', async () => {
  const key = join(data, 'seal/root.key')
  const instance = join(data, 'instance.json')
  const version = join(cluster(), 'PG_VERSION')
  const cases: [string, string | null, RegExp][] = [
    [key, null, /^The key file .*root\.key is missing.*POPSIGNER_SEAL_KEY_FILE.*$/],
    [
      instance,
      readFileSync(instance, 'utf8').replace('"format": 1', '"format": 99'),
      /^The data directory .* was written by a newer release.*$/,
    ],
    [version, '17\n', /^The database in .* was made by PostgreSQL 17 and this release brings 18.*$/],
  ]
  for (const [file, content, sentence] of cases) {
    const kept = readFileSync(file)
    const { uid, gid, mode } = statSync(file)
    if (content === null) rmSync(file)
    else writeFileSync(file, content)
    const before = readdirSync(data).sort()
    const refused = start()
    assert.equal(await refused.exit, 1)
    assert.match(refused.errors().trim(), sentence)
    assert.deepEqual(readdirSync(data).sort(), before)
    writeFileSync(file, kept, { mode })
    if (process.getuid?.() === 0) chownSync(file, uid, gid)
  }
  current = start()
  await ready(current)
})

function start(environment: Record<string, string> = {}): Started {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'start.ts')], {
    env: { ...process.env, POPSIGNER_DATA_DIR: data, POPSIGNER_PORT: '0', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  let errors = ''
  child.stdout.on('data', (chunk) => {
    output += chunk
  })
  child.stderr.on('data', (chunk) => {
    errors += chunk
  })
  const exit = once(child, 'close').then(([code]) => code as number | null)
  return { process: child, output: () => output, errors: () => errors, exit }
}

async function ready(started: Started): Promise<void> {
  await until(() => started.process.exitCode !== null || started.errors().includes('npx popsigner'))
  assert.equal(started.process.exitCode, null, started.errors())
}

function running(): Running {
  const found = findRunning(data)
  assert.ok(found)
  return found
}

function allRun(): boolean {
  const pid = Number.parseInt(existsSync(pidFile()) ? readFileSync(pidFile(), 'utf8') : '', 10)
  return running().children.length === 2 && running().children.every(isRunning) && processMark(pid) !== null
}

function furtherDirectory(): string | null {
  const { further_directory } = JSON.parse(readFileSync(join(data, 'instance.json'), 'utf8')) as {
    further_directory: string | null
  }
  return further_directory
}

function cluster(): string {
  return join(furtherDirectory() ?? data, layout.cluster)
}

function pidFile(): string {
  return join(cluster(), 'postmaster.pid')
}

function postmaster(): number {
  return Number.parseInt(readFileSync(pidFile(), 'utf8'), 10)
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let turn = 0; turn < 300; turn++) {
    if (await condition()) return
    await delay(50)
  }
  assert.fail('waited 15 s in vain')
}
