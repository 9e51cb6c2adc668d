import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { chmod, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { createFileStore } from './file-store.ts'
import { createMemoryStore } from './trust-store.ts'

const directory = await mkdtemp(join(tmpdir(), 'popsigner-trust-'))
after(() => rm(directory, { recursive: true }))

for (const [name, create] of [
  ['memory', () => createMemoryStore()],
  ['file', (n: number) => createFileStore(join(directory, `store-${n}`, 'trust.json'))],
] as const)
  test(`${name}: puts only in place of what is there`, async () => {
    const store = create(1)
    assert.equal(await store.get('a'), null)
    assert.equal(await store.put('a', '1', 'x'), false)
    assert.equal(await store.put('a', '1', null), true)
    assert.equal(await store.put('a', '2', null), false)
    assert.equal(await store.put('a', '2', '1'), true)
    assert.equal(await store.get('a'), '2')
    assert.equal(await store.get('toString'), null)
    assert.equal(await store.put('__proto__', '3', null), true)
    assert.equal(await store.get('__proto__'), '3')
    const results = await Promise.all(Array.from({ length: 20 }, (_, i) => store.put('b', String(i), null)))
    assert.equal(results.filter(Boolean).length, 1)
  })

test('the file is for its owner only, is found again and leaves nothing beside it', async () => {
  const path = join(directory, 'made', 'trust.json')
  await createFileStore(path).put('log_key:a/b', 'key', null)
  assert.equal((await stat(path)).mode & 0o777, 0o600)
  assert.equal((await stat(join(directory, 'made'))).mode & 0o777, 0o700)
  assert.equal(await createFileStore(path).get('log_key:a/b'), 'key')
  assert.deepEqual(await readdir(join(directory, 'made')), ['trust.json'])
  assert.deepEqual(JSON.parse(await readFile(path, 'utf8')), { 'log_key:a/b': 'key' })
  assert.equal(await createFileStore(path).forget('log_key:a/b'), true)
  assert.equal(await createFileStore(path).forget('log_key:a/b'), false)
  assert.deepEqual(await createFileStore(path).all(), {})
})

test('what cannot be read is never taken for empty', async () => {
  const path = join(directory, 'damaged.json')
  for (const text of ['', '{', '[]', 'null', '{"a":1}']) {
    await writeFile(path, text, { mode: 0o600 })
    await assert.rejects(createFileStore(path).get('a'), /not a trust store/)
    await assert.rejects(createFileStore(path).put('a', '1', null), /not a trust store/)
    assert.equal(await readFile(path, 'utf8'), text)
  }
  await writeFile(path, '{}')
  await chmod(path, 0o666)
  await assert.rejects(createFileStore(path).get('a'), /can be written by other users/)
})

test('a lock that a dead process left is taken over', async () => {
  const path = join(directory, 'locked.json')
  await writeFile(`${path}.lock`, '')
  const old = new Date(Date.now() - 60_000)
  await utimes(`${path}.lock`, old, old)
  assert.equal(await createFileStore(path).put('a', '1', null), true)
})

test('processes that put at once do not lose each other’s texts', { timeout: 60_000 }, async () => {
  const path = join(directory, 'shared', 'trust.json')
  const script = `
    import { createFileStore } from ${JSON.stringify(new URL('./file-store.ts', import.meta.url).href)}
    const store = createFileStore(${JSON.stringify(path)})
    for (let i = 0; i < 20; i++) if (!(await store.put(process.argv[1] + i, 'x', null))) process.exit(1)
  `
  const codes = await Promise.all(
    ['a', 'b', 'c', 'd'].map(
      (name) =>
        new Promise((resolve) => {
          spawn(process.execPath, ['--input-type=module', '-e', script, name], { stdio: 'inherit' }).on('exit', resolve)
        }),
    ),
  )
  assert.deepEqual(codes, [0, 0, 0, 0])
  assert.equal(Object.keys(await createFileStore(path).all()).length, 80)
})
