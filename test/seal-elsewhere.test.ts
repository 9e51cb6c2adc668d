import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { runCommand } from '../packages/cli/src/test-script.ts'
import { makeKey } from './crash/tenant.ts'
import { startInstance, type TestInstance } from './instance.ts'

// The key file on another disk, in a directory that did not exist.

const place = mkdtempSync(join(tmpdir(), 'popsigner-seal-'))
const keyFile = join(place, 'etc/seal/root.key')
let instance: TestInstance
before(async () => {
  chmodSync(place, 0o711)
  instance = await startInstance({ POPSIGNER_SEAL_KEY_FILE: keyFile })
})
after(async () => {
  await instance.remove()
  rmSync(place, { recursive: true, force: true })
})

test('the root key is rotated where the key file lies outside the data directory', async () => {
  const key = await makeKey(instance, 'kept')
  const old = readFileSync(keyFile)
  const rotated = await runCommand(place, ['seal', 'rotate', '--yes'], {
    environment: { POPSIGNER_DATA_DIR: instance.directory },
  })
  assert.equal(rotated.exit, 0, rotated.stderr)
  assert.notDeepEqual(readFileSync(keyFile), old)
  const sign = () => instance.call('POST', `/v1/keys/${key.id}/sign`, { data: 'aGk=' })
  assert.equal((await sign()).status, 200)
  await instance.stop()
  await instance.restart()
  assert.equal((await sign()).status, 200)
})
