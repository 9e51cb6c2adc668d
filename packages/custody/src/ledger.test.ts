import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { concat, hex } from '@popsigner/crypto/bytes'
import { encodeCbor } from '@popsigner/crypto/cbor'
import { createEntropy, kernelSource } from '@popsigner/crypto/entropy'
import { sha256 } from '@popsigner/crypto/hash-native'
import { SecretArena } from '@popsigner/crypto/secret'
import { openPrivateFile, trustedOwners } from './durable-file.ts'
import { createKeyFile, makeRoot, readKeyFile, replaceKeyFile } from './key-file.ts'
import { createLedgerFile, emptyLog, moveLog, openLedger } from './ledger.ts'
import { createKeyBytes, initializeCustody } from './signer/init.ts'

const instance = 'keys.example.com'
const entropy = createEntropy(kernelSource)

async function inDirectory(work: (directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'ledger-'))
  try {
    await work(directory)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

test('everything in a ledger comes back, also past the entries of one section', async () => {
  await inDirectory(async (directory) => {
    const path = join(directory, 'ledger')
    await createLedgerFile(path, instance)
    const ledger = openLedger(path, instance, 5)
    assert.equal(ledger.replacedAt, null)
    ledger.term = 3
    ledger.floor = 2
    const id = (i: number): string => i.toString(16).padStart(32, '0')
    for (let i = 0; i < 5000; i++) {
      const log = emptyLog()
      moveLog(log, i, new Uint8Array(32).fill(i))
      log.count = i
      log.chain.fill(i)
      log.runs = [[i, i + 1]]
      if (i % 2 === 0) log.pending = { previous: new Uint8Array(32), json: '{}' }
      ledger.logs.set(id(i), log)
      ledger.destroyed.add(id(i))
      ledger.erased.add(id(i + 1))
      ledger.generations.set(`${id(i)}:1`, { generation: 2, schemes: ['ecdsa'], uses: ['raw'] })
    }
    await ledger.close()
    const again = openLedger(path, instance, 5)
    assert.deepEqual([again.term, again.floor, again.logs.size], [3, 2, 5000])
    assert.deepEqual([...again.destroyed], [...ledger.destroyed])
    assert.deepEqual([...again.erased], [...ledger.erased])
    assert.deepEqual(
      { ...again.generations.get(`${id(4999)}:1`) },
      { generation: 2, schemes: ['ecdsa'], uses: ['raw'] },
    )
    const log = again.logs.get(id(4998))
    assert.deepEqual(
      [log?.size, log?.count, log?.runs, log?.pending?.json, log?.restarted],
      [4998, 4998, [[4998, 4999]], '{}', true],
    )
    assert.equal(hex(log?.chain ?? new Uint8Array(0)), hex(new Uint8Array(32).fill(4998)))
  })
})

test('a commit covers every change before it, however many there are at a time', async () => {
  await inDirectory(async (directory) => {
    const path = join(directory, 'ledger')
    const ledger = openLedger(path, instance, 77)
    assert.equal(ledger.replacedAt, 77)
    await Promise.all(
      Array.from({ length: 50 }, async (_, i) => {
        await new Promise((resolve) => setTimeout(resolve, i % 7))
        ledger.destroyed.add(i.toString(16).padStart(32, '0'))
        await ledger.commit()
        assert.ok(openLedger(path, instance, 0).destroyed.has(i.toString(16).padStart(32, '0')))
      }),
    )
    assert.equal(openLedger(path, instance, 0).replacedAt, 77, 'the loss is not forgotten')
  })
})

test('a touch is written within about a second', async () => {
  await inDirectory(async (directory) => {
    const path = join(directory, 'ledger')
    const ledger = openLedger(path, instance, 1)
    ledger.term = 9
    ledger.touch()
    ledger.touch()
    await new Promise((resolve) => setTimeout(resolve, 1400))
    assert.equal(openLedger(path, instance, 0).term, 9)
  })
})

test('a write that fails is a fault, shows, and is made good when it can be', async () => {
  await inDirectory(async (directory) => {
    const path = join(directory, 'gone/ledger')
    const ledger = openLedger(path, instance, 1)
    await assert.rejects(ledger.commit(), { code: 'custody.ledger_failed' })
    assert.equal(ledger.healthy, false)
    mkdirSync(join(directory, 'gone'))
    await new Promise((resolve) => setTimeout(resolve, 1400))
    assert.equal(ledger.healthy, true)
    assert.equal(openLedger(path, instance, 0).replacedAt, 1)
  })
})

test('any changed byte of a ledger, another instance and another format are refused', async () => {
  await inDirectory(async (directory) => {
    const path = join(directory, 'ledger')
    await createLedgerFile(path, instance)
    const bytes = readFileSync(path)
    for (let at = 0; at < bytes.length; at++) {
      const changed = Buffer.from(bytes)
      changed[at] = (changed[at] as number) ^ 0x10
      writeFileSync(path, changed)
      assert.throws(() => openLedger(path, instance, 0), /damaged/)
    }
    for (const cut of [0, 1, 32, 33, bytes.length - 1]) {
      writeFileSync(path, bytes.subarray(0, cut))
      assert.throws(() => openLedger(path, instance, 0), /damaged/)
    }
    writeFileSync(path, bytes)
    assert.throws(() => openLedger(path, 'elsewhere.example.com', 0), /another instance/)
    const head = encodeCbor({ format: 2, instance, replaced_at: null, term: 0, floor: 0 })
    const body = concat(Uint8Array.of(0, 0, 0, head.length), head)
    writeFileSync(path, concat(body, sha256(body)))
    assert.throws(() => openLedger(path, instance, 0), /another format/)
  })
})

test('a key file comes back, and any changed byte of it is refused', async () => {
  await inDirectory(async (directory) => {
    const path = join(directory, 'root.key')
    const arena = new SecretArena(16)
    const roots = [makeRoot(1, entropy, arena), makeRoot(2, entropy, arena)]
    await createKeyFile(path, roots.slice(0, 1))
    await assert.rejects(createKeyFile(path, roots), { code: 'EEXIST' })
    await replaceKeyFile(path, roots)
    const owners = trustedOwners()
    const read = readKeyFile(path, owners, arena)
    const content = (list: typeof roots) => list.map(({ sequence, id, key }) => [sequence, hex(id), key.use(hex)])
    assert.deepEqual(content(read), content(roots))
    for (const { key } of read) key.wipe()

    const bytes = readFileSync(path)
    assert.equal(bytes.length, 8 + 1 + 2 * 52 + 32)
    const free = arena.available
    for (let at = 0; at < bytes.length; at++) {
      const changed = Buffer.from(bytes)
      changed[at] = (changed[at] as number) ^ 1
      writeFileSync(path, changed)
      assert.throws(() => readKeyFile(path, owners, arena), RangeError, `byte ${at}`)
    }
    for (const other of [bytes.subarray(0, -1), Buffer.concat([bytes, Buffer.of(0)]), Buffer.alloc(0)]) {
      writeFileSync(path, other)
      assert.throws(() => readKeyFile(path, owners, arena), RangeError)
    }
    assert.equal(arena.available, free, 'what was read before the refusal is wiped')
    await assert.rejects(replaceKeyFile(path, []), RangeError)
  })
})

test('a secret file is read only when it is private and of a trusted owner', async () => {
  await inDirectory(async (directory) => {
    const path = join(directory, 'proof.key')
    await createKeyBytes(path, entropy)
    assert.equal(readFileSync(path).length, 32)
    await assert.rejects(createKeyBytes(path, entropy), { code: 'EEXIST' })
    for (const mode of [0o640, 0o604, 0o620, 0o777]) {
      chmodSync(path, mode)
      assert.throws(() => openPrivateFile(path, trustedOwners()), /can be read by others/)
    }
    chmodSync(path, 0o600)
    assert.throws(() => openPrivateFile(path, [12345]), /belongs to another user/)
    assert.throws(() => openPrivateFile(directory, trustedOwners()), /is not a plain file/)
  })
})

test('a new custody replaces nothing that exists', async () => {
  await inDirectory(async (root) => {
    const places = { directory: join(root, 'custody'), keyFile: join(root, 'seal/root.key'), instance, entropy }
    await assert.rejects(initializeCustody({ ...places, instance: 'Not A Name' }), RangeError)
    const identity = await initializeCustody(places)
    assert.equal(identity.length, 32)
    const before = ['seal/root.key', 'custody/identity', 'custody/ledger'].map((path) =>
      hex(readFileSync(join(root, path))),
    )
    await assert.rejects(initializeCustody(places), { code: 'EEXIST' })
    renameSync(places.keyFile, `${places.keyFile}.aside`)
    await assert.rejects(initializeCustody(places), { code: 'EEXIST' })
    const after = ['seal/root.key.aside', 'custody/identity', 'custody/ledger'].map((path) =>
      hex(readFileSync(join(root, path))),
    )
    assert.deepEqual(after, before)
  })
})
