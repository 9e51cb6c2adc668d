import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { allocateOffHeap, lockedMemoryLimit, Secret, SecretArena, verifyLocked } from './secret.ts'

test('a secret lends its bytes until it is wiped', () => {
  const secret = Secret.allocate(32)
  assert.equal(secret.length, 32)
  const lent = secret.use((bytes) => {
    assert.ok(bytes.every((byte) => byte === 0))
    return bytes.fill(7)
  })
  assert.equal(
    secret.use((bytes) => bytes[31]),
    7,
  )
  secret.wipe()
  secret.wipe()
  assert.equal(secret.wiped, true)
  assert.equal(lent.length, 0)
  assert.throws(() => secret.use(() => 0), { name: 'TypeError', message: 'secret: used after it was wiped' })
  assert.throws(() => secret.length, TypeError)
})

test('lent bytes are a plain array, whose slice copies', () => {
  using secret = Secret.allocate(4)
  secret.use((bytes) => {
    assert.equal(Object.getPrototypeOf(bytes), Uint8Array.prototype)
    bytes.slice().fill(1)
    assert.equal(bytes[0], 0)
  })
})

test('spend and using wipe, also after an error', () => {
  const arena = new SecretArena(1)
  assert.throws(() =>
    arena.take().spend(() => {
      throw new Error('inside')
    }),
  )
  assert.equal(arena.available, 1)
  assert.equal(
    arena.take(32).spend((bytes) => bytes.length),
    32,
  )
  {
    using secret = arena.take()
    secret.use((bytes) => bytes.fill(1))
    assert.equal(arena.available, 0)
  }
  assert.equal(arena.available, 1)
  assert.ok(arena.take().use((bytes) => bytes.every((byte) => byte === 0)))
})

test('bytes do not cross an await', () => {
  using secret = Secret.allocate(1)
  assert.throws(() => secret.use(async () => 1), { name: 'TypeError', message: 'secret: fn must be synchronous' })
})

test('an arena refuses when it is full, and slots do not overlap', () => {
  const arena = new SecretArena(3)
  const secrets = [arena.take(), arena.take(32), arena.take()]
  assert.throws(() => arena.take(), { name: 'RangeError', message: 'arena: all 3 slots are taken' })
  for (const [i, secret] of secrets.entries()) secret.use((bytes) => bytes.fill(i + 1))
  for (const [i, secret] of secrets.entries()) assert.ok(secret.use((bytes) => bytes.every((byte) => byte === i + 1)))
  secrets[1]?.wipe()
  secrets[1]?.wipe()
  assert.equal(arena.available, 1)
  arena.take()
  assert.throws(() => arena.take(), RangeError)
  for (const length of [0, 65, 1.5]) assert.throws(() => new SecretArena(1).take(length), RangeError)
  for (const slots of [0, -1, 1.5]) assert.throws(() => new SecretArena(slots), RangeError)
  assert.throws(() => Secret.allocate(0), RangeError)
})

test('a closed arena has no bytes left', () => {
  const arena = new SecretArena(2)
  const secret = arena.take()
  arena.close()
  arena.close()
  assert.equal(secret.length, 0)
  assert.throws(() => arena.take(), TypeError)
})

test('a secret shows in no dump of the object', () => {
  using secret = Secret.allocate(4)
  secret.use((bytes) => bytes.fill(0xab))
  assert.equal(JSON.stringify({ secret }), '{"secret":{}}')
  assert.doesNotMatch(inspect(secret, { depth: 9, showHidden: true }), /ab|171/)
})

test('memory is locked, and verifyLocked says so where it is not', { skip: process.platform !== 'linux' }, () => {
  const locked = () => Number(/^VmLck:\s+(\d+) kB/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1])
  const before = locked()
  const arena = new SecretArena(4096)
  assert.ok(locked() - before >= 256)
  assert.equal(verifyLocked(), true)
  arena.close()

  const script = `const { SecretArena, verifyLocked } = await import(${JSON.stringify(import.meta.resolve('./secret.ts'))})
    new SecretArena(4096)
    process.stdout.write(String(verifyLocked()))`
  // Root may lock without limit, by a capability that has to go for a refusal to be seen.
  const drop = process.getuid?.() === 0 ? 'setpriv --bounding-set -ipc_lock ' : ''
  const command = `ulimit -l 64 && ${drop}"$0" --input-type=module -e "$1"`
  const { stdout, stderr } = spawnSync('bash', ['-c', command, process.execPath, script], { encoding: 'utf8' })
  assert.equal(stdout, 'false', stderr)
})

test('the limit is read from the kernel’s text', () => {
  const line = (value: string) =>
    `Limit  Soft Limit  Hard Limit  Units\nMax locked memory         ${value}   bytes     \n`
  assert.equal(lockedMemoryLimit(line('8388608              8388608')), 8388608)
  assert.equal(lockedMemoryLimit(line('unlimited            unlimited')), null)
  assert.equal(lockedMemoryLimit(''), null)
})

test('temporary copies lie outside the heap of JavaScript', () => {
  // On the heap, a typed array gets a buffer of its own only when one is asked for; then the two are different memory.
  const bytes = allocateOffHeap(32)
  const buffer = bytes.buffer
  bytes.fill(5)
  assert.equal(new Uint8Array(buffer)[31], 5)
  assert.equal(buffer.byteLength, 32)
})
