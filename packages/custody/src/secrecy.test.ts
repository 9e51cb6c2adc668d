import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, chownSync, closeSync, existsSync, mkdirSync, openSync, readFileSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { algorithmNames, factsOf } from '@popsigner/crypto/algorithm-facts'
import { algorithm as rowOf } from '@popsigner/crypto/algorithms'
import { utf8 } from '@popsigner/crypto/bytes'
import { generateRecipient, sealTo } from '@popsigner/crypto/hpke'
import { publicKeyOf } from '@popsigner/crypto/verify'
import { importAad, importInfo } from '@popsigner/crypto/wrapping'
import type { CreatedKey } from './custodian.ts'
import { connectTo, instance, makeItem, makeLog, makePlace, newId, newSecret, startSigner } from './signer.fixture.ts'
import { signerArguments } from './signer-process.ts'
import { parseSpec } from './spec.ts'

const searchable = existsSync('/proc/self/smaps') && process.platform === 'linux'

/** Where in a process's memory these bytes are, in either byte order: in locked mappings and elsewhere. */
function search(pid: number, needles: readonly Uint8Array[]): { locked: number; elsewhere: number; places: string[] } {
  const both = needles.flatMap((needle) => [Buffer.from(needle), Buffer.from(needle).reverse()])
  const found = { locked: 0, elsewhere: 0, places: [] as string[] }
  const memory = openSync(`/proc/${pid}/mem`, 'r')
  for (const block of readFileSync(`/proc/${pid}/smaps`, 'latin1').split(/\n(?=[0-9a-f]+-[0-9a-f]+ )/)) {
    const [, from = '', to = '', rights = '', name = ''] =
      /^([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+ *(.*)/.exec(block) ?? []
    if (!rights.startsWith('rw') || /\[v/.test(name)) continue
    const start = Number.parseInt(from, 16)
    const bytes = Buffer.alloc(Number.parseInt(to, 16) - start)
    try {
      for (let at = 0; at < bytes.length; at += 1 << 20)
        readSync(memory, bytes, at, Math.min(1 << 20, bytes.length - at), start + at)
    } catch {
      continue
    }
    const locked = /^VmFlags:.* lo( |$)/m.test(block)
    for (const needle of both)
      for (let at = bytes.indexOf(needle); at !== -1; at = bytes.indexOf(needle, at + 1)) {
        found[locked ? 'locked' : 'elsewhere']++
        found.places.push(`${locked ? 'locked' : 'not locked'} ${name}`)
      }
  }
  closeSync(memory)
  return found
}

test('keys lie in locked memory only, and nowhere once they are destroyed', {
  skip: searchable ? false : 'needs /proc/<pid>/mem',
}, async (t) => {
  const place = await makePlace()
  const running = await startSigner(place)
  const client = await connectTo(place)
  try {
    if (!running.ready.locked) return t.skip('memory is not locked here')
    const log = await makeLog(client)
    const keys: { key: CreatedKey; secret: Uint8Array }[] = []
    for (const algorithm of algorithmNames) {
      if (rowOf(algorithm).memory === 'copies') continue
      const secret = await newSecret(algorithm)
      const publicKey = publicKeyOf(algorithm, secret)
      const id = newId()
      const wrappingKey = await client.createWrappingKey(log.keys.organizationKey, id, '2030-01-01T00:00:00.000Z')
      const schemes = [factsOf(algorithm).schemes[0].name]
      const spec = {
        organization: log.organization,
        key: newId(),
        version: 1,
        algorithm,
        schemes,
        uses: ['raw'],
        export: 'any',
      } as const
      const { organization, uses } = spec
      const bound = {
        instance,
        organization,
        wrapping_key: id,
        algorithm,
        schemes,
        uses,
        export: 'any',
        public_key: publicKey,
      } as const
      const wrapped = await sealTo(wrappingKey.publicKey, importInfo, importAad(bound), secret)
      const { organizationKey } = log.keys
      const request = {
        recordId: newId(),
        organizationKey,
        wrappingKey: wrappingKey.material,
        spec,
        publicKey,
        wrapped,
      }
      keys.push({ key: await client.import(request), secret })
    }
    for (let round = 0; round < 40; round++)
      await client.sign(keys.map(({ key }) => makeItem(log, key, Uint8Array.of(round))))
    for (const { key } of keys)
      await client.export(log.keys.organizationKey, key.material, generateRecipient().publicKey)

    const pid = running.child.pid as number
    const organizations = search(pid, [log.organization])
    assert.ok(organizations.elsewhere > 0, 'the search finds what lies in ordinary memory')
    for (const { key, secret } of keys) {
      const { algorithm } = parseSpec(key.material.spec)
      const { locked, elsewhere, places } = search(pid, [secret])
      assert.ok(locked > 0, `${algorithm}: the search finds the open key in locked memory`)
      assert.equal(elsewhere, 0, `${algorithm}: ${places.join(', ')}`)
    }
    const root = readFileSync(join(place.directory, 'seal/root.key')).subarray(29, 61)
    assert.equal(search(pid, [root]).elsewhere, 0, 'root')

    await client.destroy(keys.map(({ key }) => parseSpec(key.material.spec).key))
    for (const { key, secret } of keys) {
      // OpenSSL's objects are freed, zeroed, when Node's garbage collector finds them.
      if (rowOf(parseSpec(key.material.spec).algorithm as string).engine === 'openssl') continue
      assert.deepEqual(search(pid, [secret]), { locked: 0, elsewhere: 0, places: [] })
    }
  } finally {
    await client.close()
    await running.kill('SIGTERM')
    place.remove()
  }
})

const nobody = 65534

test('with too small a lock limit the signer names it and does not start, unless told', {
  skip: process.getuid?.() !== 0 && 'needs root to become another user',
}, async (t) => {
  const place = await makePlace()
  try {
    chmodSync(place.directory, 0o755)
    for (const path of [
      'seal',
      'custody',
      'seal/root.key',
      'custody/identity',
      'custody/ledger',
      'custody/proof.key',
      'custody/host.key',
    ])
      chownSync(join(place.directory, path), nobody, nobody)
    const run = join(place.directory, 'run')
    mkdirSync(run, 0o700)
    chownSync(run, nobody, nobody)
    const start = (changes: object) => {
      const config = JSON.stringify({ ...place.config, socket: join(run, 's.sock'), ...changes })
      const shell = `ulimit -l 256; echo '${config}' | exec "$0" "$@"`
      // Without a place for coverage, which that user could not write.
      const { NODE_V8_COVERAGE: _, ...env } = process.env
      const as = { cwd: place.directory, env, uid: nobody, gid: nobody, encoding: 'utf8', timeout: 20_000 } as const
      return spawnSync('sh', ['-c', shell, process.execPath, ...signerArguments], as)
    }
    const refused = start({})
    if (refused.status !== 1 || /EACCES|Permission denied|Cannot find module/.test(refused.stderr))
      return t.skip('another user cannot read this clone')
    assert.match(refused.stderr, /RLIMIT_MEMLOCK.* 262144 bytes/)
    // Only what a person can set: the limit, and the flag of `serve`.
    assert.match(refused.stderr, /are needed for keys: raise it, or start with --insecure-unlocked-memory\./)
    assert.equal(refused.stdout, '')
    const told = start({ allowUnlockedMemory: true })
    assert.match(told.stdout, /"ready":true.*"locked":false/)
    assert.match(told.stderr, /memory is not locked/)
  } finally {
    place.remove()
  }
})

test('started as root it becomes the user it is told, who may write what it writes and nobody else may', {
  skip: process.getuid?.() !== 0 && 'needs root',
}, async () => {
  const place = await makePlace()
  try {
    chmodSync(place.directory, 0o711)
    const running = await startSigner(place, { uid: nobody, gid: nobody })
    const status = readFileSync(`/proc/${running.child.pid}/status`, 'utf8')
    assert.match(status, /^Uid:\s+65534\s+65534\s+65534\s+65534$/m)
    assert.match(status, /^Groups:\s*$/m)
    const client = await connectTo(place)
    const log = await makeLog(client)
    await client.rotateRoot()
    const [note] = await client.checkpoint([{ ...(await log.extension(0)), ...log.keys }])
    assert.equal(note?.kind, 'signed')
    assert.equal(
      (
        await client.sign([
          makeItem(
            log,
            await client.create(newId(), log.keys.organizationKey, {
              organization: log.organization,
              key: newId(),
              version: 1,
              algorithm: 'p256',
              schemes: ['ecdsa'],
              uses: ['raw'],
              export: 'none',
            }),
            utf8('x'),
          ),
        ])
      ).results[0]?.kind,
      'signed',
    )
    await client.close()
    await running.kill()
  } finally {
    place.remove()
  }
})
