import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import {
  beginInstance,
  checkFurtherDirectory,
  checkInstanceName,
  dataFormat,
  finishInstance,
  inspectDataDirectory,
  makeDataDirectory,
  randomInstanceName,
} from './data-directory.ts'
import { processMark } from './processes.ts'
import { takeRunLock } from './run-lock.ts'
import { clearEarlierRun, findRunning, writeRunning } from './running.ts'
import { makeSocketDirectories, removeSocketDirectories } from './sockets.ts'

const place = mkdtempSync(join(tmpdir(), 'popsigner-data-'))
after(() => rmSync(place, { recursive: true, force: true }))
let count = 0
const fresh = () => join(place, String(++count), 'data')
const instance = {
  format: dataFormat,
  name: 'keys.example.com',
  created: '2030-01-01T00:00:00.000Z',
  furtherDirectory: null,
}

test('a directory is absent, empty, unfinished, and then an instance', () => {
  const path = fresh()
  assert.deepEqual(inspectDataDirectory(path), { kind: 'absent' })
  makeDataDirectory(path, null)
  assert.equal(statSync(path).mode & 0o777, 0o700)
  mkdirSync(join(path, 'lost+found'))
  assert.deepEqual(inspectDataDirectory(path), { kind: 'empty' })
  beginInstance(path, null)
  mkdirSync(join(path, 'seal'))
  assert.deepEqual(inspectDataDirectory(path), { kind: 'unfinished' })
  beginInstance(path, null)
  assert.ok(!existsSync(join(path, 'seal')), 'what an interrupted attempt left is removed')
  assert.ok(existsSync(join(path, 'lost+found')), 'what was never ours is left')
  finishInstance(path, instance)
  assert.deepEqual(inspectDataDirectory(path), { kind: 'instance', instance })
})

test('what an interrupted attempt made outside is removed, and nothing that only looks so', () => {
  const [path, outside, foreign] = [fresh(), fresh(), fresh()]
  for (const directory of [path, outside, foreign]) mkdirSync(directory, { recursive: true })
  writeFileSync(join(outside, 'data-directory'), `${path}\n`)
  writeFileSync(join(foreign, 'data-directory'), '/somewhere/else\n')
  beginInstance(path, foreign)
  beginInstance(path, outside)
  beginInstance(path, null)
  assert.deepEqual([existsSync(outside), existsSync(foreign)], [false, true])
})

test('a foreign directory is refused and left as it is', () => {
  const path = fresh()
  mkdirSync(path, { recursive: true })
  writeFileSync(join(path, 'thesis.txt'), 'mine')
  assert.throws(() => inspectDataDirectory(path), /is no data directory of POPSigner.*set POPSIGNER_DATA_DIR/)
  assert.equal(readFileSync(join(path, 'thesis.txt'), 'utf8'), 'mine')
  assert.throws(() => inspectDataDirectory(join(path, 'thesis.txt')), /is no directory: set POPSIGNER_DATA_DIR/)
})

test('a damaged or newer instance.json is refused in a sentence', () => {
  const path = fresh()
  makeDataDirectory(path, null)
  for (const text of [
    '',
    '{',
    'null',
    '[]',
    '{}',
    '{"format":0}',
    '{"format":1}',
    '{"format":"1","name":"x"}',
    '{"format":1,"name":"x","created":"y"}',
  ]) {
    writeFileSync(join(path, 'instance.json'), text)
    assert.throws(() => inspectDataDirectory(path), /instance\.json is damaged \(.*restore it from a copy/, text)
  }
  writeFileSync(join(path, 'instance.json'), `{"format":${dataFormat + 1},"anything":"new"}`)
  assert.throws(() => inspectDataDirectory(path), /was written by a newer release/)
})

test('a directory where nobody may write is refused, also where the system never says no twice', () => {
  assert.throws(() => makeDataDirectory('/proc/keys/data', null), /cannot be written.*set POPSIGNER_DATA_DIR/)
})

test('an instance has a name that can stand in a log', () => {
  assert.equal(checkInstanceName(randomInstanceName()).length, 'popsigner-'.length + 12)
  for (const name of ['', 'Keys', 'a b', 'a/b', 'a+b', '-a', 'a.', 'x'.repeat(64), 'ключ'])
    assert.throws(() => checkInstanceName(name), /--name/, name)
})

test('the directory outside belongs to one data directory, follows it when it moves, and is not shared with a copy', () => {
  const [first, copy, outside] = [fresh(), fresh(), fresh()]
  for (const path of [first, copy, outside]) mkdirSync(path, { recursive: true })
  assert.throws(() => checkFurtherDirectory(outside, first), /missing or damaged/)
  writeFileSync(join(outside, 'data-directory'), `${first}\n`)
  writeFileSync(join(first, 'instance.json'), '{}')
  checkFurtherDirectory(outside, first)
  assert.throws(() => checkFurtherDirectory(outside, copy), /of which .* is a copy/)
  rmSync(first, { recursive: true })
  checkFurtherDirectory(outside, copy)
  assert.equal(readFileSync(join(outside, 'data-directory'), 'utf8').trim(), copy)
})

test('the run lock is for one process, and ends with it however it ends', async () => {
  const path = fresh()
  makeDataDirectory(path, null)
  const program = `import { takeRunLock } from ${JSON.stringify(join(import.meta.dirname, 'run-lock.ts'))}
    takeRunLock(${JSON.stringify(path)}); process.stdout.write('held'); setInterval(() => {}, 1000)`
  const other = spawn(process.execPath, ['--input-type=module-typescript', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  try {
    await once(other.stdout, 'data')
    assert.throws(() => takeRunLock(path), /Another server runs on the data directory/)
    assert.deepEqual(inspectDataDirectory(path), { kind: 'empty' }, 'a lock does not make a directory foreign')
  } finally {
    other.kill('SIGKILL')
    await once(other, 'close')
  }
  takeRunLock(path).release()
  takeRunLock(path).release()
})

test('the children of a killed supervisor are ended, a stranger with such a number is not', async () => {
  const path = fresh()
  makeDataDirectory(path, null)
  const child = spawn('sleep', ['60'], { stdio: 'ignore', detached: true })
  const stranger = spawn('sleep', ['60'], { stdio: 'ignore' })
  try {
    const mark = processMark(child.pid ?? 0)
    assert.ok(mark)
    const gone = { pid: 1, started: 'never' }
    writeRunning(path, {
      supervisor: gone,
      children: [mark, { pid: stranger.pid ?? 0, started: 'another time' }],
      socketDirectory: join(path, 'run'),
      adminSocket: join(path, 'run/admin/admin.sock'),
      url: null,
    })
    assert.equal(findRunning(path), null)
    const ended = once(child, 'close')
    await clearEarlierRun(path)
    assert.deepEqual(await ended, [null, 'SIGKILL'])
    assert.notEqual(processMark(stranger.pid ?? 0), null)
    await clearEarlierRun(path)
  } finally {
    child.kill('SIGKILL')
    stranger.kill('SIGKILL')
  }
})

test('sockets lie in the data directory while the path is short, else where nobody can guess', () => {
  const short = mkdtempSync('/tmp/ps-')
  const long = join(place, 'x'.repeat(120))
  try {
    const inside = makeSocketDirectories(short, null)
    assert.equal(inside.root, join(short, 'run'))
    makeDataDirectory(long, null)
    const [one, two] = [makeSocketDirectories(long, null), makeSocketDirectories(long, null)]
    assert.ok(one.root.length < 80 && one.root !== two.root)
    for (const path of [inside.root, inside.admin, inside.database, inside.signer, one.root, one.signer]) {
      assert.equal(statSync(path).mode & 0o777, 0o700, path)
    }
    for (const { root } of [one, two]) {
      removeSocketDirectories(root, long)
      assert.ok(!existsSync(root))
    }
    removeSocketDirectories('/tmp', short)
    assert.ok(existsSync('/tmp'))
  } finally {
    rmSync(short, { recursive: true, force: true })
  }
})

test('a socket directory that others may enter, or that is a link, is refused', () => {
  const path = mkdtempSync('/tmp/ps-')
  try {
    mkdirSync(join(path, 'run'))
    chmodSync(join(path, 'run'), 0o755)
    assert.throws(() => makeSocketDirectories(path, null), /closed to others/)
    rmSync(join(path, 'run'), { recursive: true })
    symlinkSync(place, join(path, 'run'))
    assert.throws(() => makeSocketDirectories(path, null), /closed to others/)
  } finally {
    rmSync(path, { recursive: true, force: true })
  }
})
