import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import {
  checkMajor,
  type DatabaseConnection,
  initDatabase,
  nobody,
  type RunningDatabase,
  type StartDatabase,
  startDatabase,
  stopOrphan,
} from './postgres.ts'
import { isPostmasterOf } from './processes.ts'

const root = mkdtempSync(join(tmpdir(), 'popsigner-pg-'))
const identity = process.getuid?.() === 0 ? nobody() : null
const place: StartDatabase = {
  cluster: join(root, 'cluster, with "odd" name'),
  binariesDirectory: root,
  passwordFile: join(root, 'password'),
  identity,
  socketDirectory: join(root, 'run, too'),
  logFile: join(root, 'postgres.log'),
}
let database: RunningDatabase

before(async () => {
  chmodSync(root, 0o711)
  mkdirSync(place.socketDirectory, { mode: 0o755 })
  if (identity) chownSync(place.socketDirectory, identity.uid, identity.gid)
  initDatabase(place)
  database = await startDatabase(place)
})

after(async () => {
  await database?.stop()
  rmSync(root, { recursive: true, force: true })
})

test('the role owns its database, is no superuser, and every commit is durable', async () => {
  const answer = await query(
    database,
    `select current_user as name, rolsuper or rolcreatedb or rolcreaterole or rolreplication or rolbypassrls as mighty,
       current_setting('fsync') as fsync, current_setting('full_page_writes') as pages, current_setting('synchronous_commit') as commit,
       current_setting('listen_addresses') as network, current_setting('data_checksums') as checksums
     from pg_roles where rolname = current_user`,
  )
  assert.deepEqual(answer, {
    name: 'popsigner',
    mighty: false,
    fsync: 'on',
    pages: 'on',
    commit: 'on',
    network: '',
    checksums: 'on',
  })
  await query(database, 'create table kept (n int)')
})

test('the password is asked for, kept closed, and nobody else can log in', async () => {
  assert.equal(statSync(place.passwordFile).mode & 0o777, 0o600)
  for (const wrong of [
    { password: 'guess' },
    { password: '' },
    { user: 'postgres' },
    { database: 'postgres' },
    { user: 'postgres', database: 'postgres' },
  ]) {
    await assert.rejects(query({ ...database, ...wrong }, 'select 1 as one'))
  }
})

test('an existing cluster is not made again', () => {
  assert.throws(() => initDatabase(place), /There is a PostgreSQL cluster .* already; nothing was changed/)
})

test('a second postmaster stops the one an earlier supervisor left, and the data is there', async () => {
  const orphan = database
  database = await startDatabase(place)
  await orphan.ended
  assert.notEqual(database.pid, orphan.pid)
  assert.deepEqual(await query(database, 'select count(*)::int as rows from kept'), { rows: 0 })
})

test('after kill -9 what was committed is there', async () => {
  await query(database, 'insert into kept values (7)')
  database.kill()
  await database.ended
  database = await startDatabase(place)
  assert.deepEqual(await query(database, 'select n from kept'), { n: 7 })
})

test('a pid file that names a process of another kind leaves that process alone', async () => {
  const stranger = spawn('sleep', ['60'], { stdio: 'ignore' })
  const cluster = join(root, 'stranger')
  mkdirSync(cluster)
  try {
    writeFileSync(join(cluster, 'postmaster.pid'), `${stranger.pid}\n${cluster}\n`)
    assert.equal(await stopOrphan(cluster), false)
    writeFileSync(join(cluster, 'postmaster.pid'), `${database.pid}\n${cluster}\n`)
    assert.equal(await stopOrphan(cluster), false, 'the postmaster of another cluster is left alone, too')
    assert.ok(isPostmasterOf(database.pid, place.cluster))
    assert.equal(stranger.exitCode, null)
  } finally {
    stranger.kill('SIGKILL')
    await once(stranger, 'close')
  }
})

test('another major version, a missing cluster and a missing password are refused in a sentence', async () => {
  const other = join(root, 'other')
  mkdirSync(other)
  assert.throws(() => checkMajor(other, '18'), /missing or damaged/)
  writeFileSync(join(other, 'PG_VERSION'), '17\n')
  assert.throws(() => checkMajor(other, '18'), /made by PostgreSQL 17 and this release brings 18/)
  await assert.rejects(startDatabase({ ...place, cluster: other }), /made by PostgreSQL 17/)
  await assert.rejects(startDatabase({ ...place, passwordFile: join(root, 'none') }), /password file .* is missing/)
})

test('a PostgreSQL that cannot start says why', async () => {
  const sockets = join(root, 'missing')
  await database.stop()
  await assert.rejects(
    startDatabase({ ...place, socketDirectory: sockets }),
    /PostgreSQL did not start: its last words are in/,
  )
  database = await startDatabase(place)
})

test('a test database is gone with the process that asked for it, also when that is killed', async () => {
  const program = `import { startTestDatabase } from ${JSON.stringify(join(import.meta.dirname, 'test-database.ts'))}
    const { socketDirectory, pid } = await startTestDatabase(); process.stdout.write(JSON.stringify({ socketDirectory, pid }))`
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  const { socketDirectory } = JSON.parse(line.toString()) as { socketDirectory: string }
  const directory = dirname(socketDirectory)
  assert.ok(readFileSync(join(directory, 'cluster', 'postmaster.pid'), 'utf8'))
  child.kill('SIGKILL')
  for (let turn = 0; existsSync(directory) && turn < 100; turn++) await delay(100)
  assert.ok(!existsSync(directory))
})

async function query(
  { socketDirectory, port, user, database: name, password }: DatabaseConnection,
  text: string,
): Promise<unknown> {
  const client = new pg.Client({ host: socketDirectory, port, user, database: name, password })
  await client.connect()
  try {
    return (await client.query(text)).rows[0]
  } finally {
    await client.end()
  }
}
