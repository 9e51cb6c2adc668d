import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { type Config, readConfig } from './config.ts'
import { childIdentities } from './identities.ts'
import { initInstance } from './init.ts'
import { canEnter } from './postgres-binaries.ts'

const place = mkdtempSync(join(tmpdir(), 'popsigner-init-'))
chmodSync(place, 0o755)
after(() => rmSync(place, { recursive: true, force: true }))
const asRoot = { skip: process.getuid?.() !== 0 && 'needs root' }
const signer = childIdentities()?.signer ?? { uid: 0, gid: 0 }
let count = 0

/** Settings of an instance whose database is elsewhere, so that nothing but its custody is made. */
function configOf(sealKeyFile: (fresh: string) => string): Config {
  const fresh = join(place, String(++count))
  mkdirSync(fresh, { mode: 0o755 })
  const environment = {
    POPSIGNER_DATA_DIR: join(fresh, 'data'),
    POPSIGNER_SEAL_KEY_FILE: sealKeyFile(fresh),
    DATABASE_URL: 'postgres://popsigner@127.0.0.1/none',
  }
  return readConfig(environment, place, { plainHttp: false, unlockedMemory: false })
}

const init = (config: Config) => initInstance(config, () => {}, { name: 'keys.example.com' })

test('directories that are made for the key file: the last is the signer’s alone, those above can be passed', async () => {
  const config = configOf((fresh) => join(fresh, 'a/b/seal/root.key'))
  await init(config)
  const seal = dirname(config.sealKeyFile)
  const root = process.getuid?.() === 0
  assert.equal(statSync(seal).mode & 0o777, 0o700)
  assert.equal(statSync(config.sealKeyFile).mode & 0o777, 0o600)
  if (!root) return
  for (const path of [seal, config.sealKeyFile]) assert.equal(statSync(path).uid, signer.uid, path)
  for (const path of [dirname(seal), dirname(dirname(seal))])
    assert.deepEqual([statSync(path).uid, statSync(path).mode & 0o777], [0, 0o711], path)
  assert.ok(canEnter(seal, signer))
})

test(
  'a directory where the signer could not replace the key file is refused before anything is made',
  asRoot,
  async () => {
    const config = configOf((fresh) => join(fresh, 'seal/root.key'))
    const seal = dirname(config.sealKeyFile)
    mkdirSync(seal, { mode: 0o700 })
    await assert.rejects(init(config), {
      name: 'Refusal',
      message: `Started as root, the signer is user ${signer.uid}, which may not write in ${seal} to rotate the key file: chown ${signer.uid}:${signer.gid} ${seal}, or set POPSIGNER_SEAL_KEY_FILE to a path in a directory that does not exist yet.`,
    })
    assert.deepEqual([existsSync(config.dataDirectory), readdirSync(seal), statSync(seal).uid], [false, [], 0])
    // What the sentence says to do is enough.
    chownSync(seal, signer.uid, signer.gid)
    await init(config)
    assert.equal(statSync(config.sealKeyFile).uid, signer.uid)
  },
)

test('a directory that init did not make keeps its owner and mode', asRoot, async () => {
  const config = configOf((fresh) => join(fresh, 'root.key'))
  const seal = dirname(config.sealKeyFile)
  chmodSync(seal, 0o777)
  await init(config)
  assert.deepEqual([statSync(seal).uid, statSync(seal).mode & 0o777], [0, 0o777])
})

test('a path below a directory that only root may enter is refused', asRoot, async () => {
  const config = configOf((fresh) => join(fresh, 'closed/seal/root.key'))
  const closed = dirname(dirname(config.sealKeyFile))
  mkdirSync(closed, { mode: 0o700 })
  await assert.rejects(init(config), /which cannot enter \S+closed to rotate the key file: set POPSIGNER_SEAL_KEY_FILE/)
  mkdirSync(join(closed, 'seal'))
  await assert.rejects(init(config), /which cannot enter \S+closed to rotate/)
  const inData = configOf((fresh) => join(fresh, 'data/root.key'))
  await assert.rejects(init(inData), /cannot lie in \S+data itself, .*in a directory of its own\.$/)
  assert.ok(!existsSync(config.dataDirectory) && !existsSync(inData.dataDirectory))
})

test('an ordinary user is refused where it may not write the key file, and where it has no name', asRoot, (t) => {
  const nobody = { uid: 65_534, gid: 65_534 }
  if (!canEnter(import.meta.dirname, nobody)) return t.skip('another user cannot read this clone')
  const program = `
    const { readConfig } = await import(${JSON.stringify(join(import.meta.dirname, 'config.ts'))})
    const { initInstance } = await import(${JSON.stringify(join(import.meta.dirname, 'init.ts'))})
    const config = readConfig(process.env, '/', { plainHttp: false, unlockedMemory: false })
    await initInstance(config, () => {}).catch((error) => console.log(error.name + ': ' + error.message))`
  const run = (identity: { uid: number; gid: number }, sealKeyFile: string) => {
    const home = join(place, String(++count))
    mkdirSync(home)
    chownSync(home, identity.uid, identity.gid)
    const data = join(home, 'data')
    // Without a place for coverage, which that user could not write.
    const { NODE_V8_COVERAGE: _, ...env } = process.env
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
      ...identity,
      cwd: '/',
      encoding: 'utf8',
      env: { ...env, POPSIGNER_DATA_DIR: data, POPSIGNER_SEAL_KEY_FILE: sealKeyFile },
    })
    assert.ok(!existsSync(data), 'nothing is made')
    return `${stdout}${stderr}`
  }
  assert.match(
    run(nobody, join(place, 'seal/root.key')),
    /^Refusal: The key file cannot be made in \S+seal, since this user may not write in \S+: set POPSIGNER_SEAL_KEY_FILE.*\n$/,
  )
  assert.match(
    run({ uid: 54_321, gid: 54_321 }, ''),
    /^Refusal: User 54321 has no name in the system's list of users, which PostgreSQL asks for: start as a user that has one, or set DATABASE_URL.*\n$/,
  )
})
