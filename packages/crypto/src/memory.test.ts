import assert from 'node:assert/strict'
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync, readSync } from 'node:fs'
import { test } from 'node:test'

/**
 * Where a secret lies while it is used, and after. A child process makes one, works with it and says it back masked, so that
 * what this process looks for in the child's memory is nowhere but where the code put it.
 */

const skip = canReadMemory() ? false : 'left out: the memory of another process cannot be read here'
const mask = 0x5a
const at = (module: string) => JSON.stringify(import.meta.resolve(`./${module}.ts`))

const setup = `
  import { algorithm } from ${at('algorithms')}
  import { createEntropy, kernelSource } from ${at('entropy')}
  import { openInto, sealTo } from ${at('hpke-native')}
  import { uncompressedPublicKey } from ${at('p256')}
  import { SecretArena } from ${at('secret')}
  import { openXaes, sealXaes } from ${at('xaes256gcm')}
  const entropy = createEntropy(kernelSource)
  const arena = new SecretArena(8)
  const masked = (secret) => secret.use((bytes) => Array.from(bytes, (byte) => byte ^ ${mask}).join())
  const none = new Uint8Array(0)
  let answer = ''
`
const finish = `
  process.stdout.write(answer + '\\n')
  setInterval(() => {}, 1000)
`
const signing = (name: string) => `
  const row = algorithm('${name}')
  const secret = arena.take(row.secretLength)
  secret.use((bytes) => row.generate(entropy, bytes))
  answer = masked(secret)
  secret.use((bytes) => row.publicKey(bytes))
  globalThis.signer = secret.use((bytes) => row.openSigner(bytes, arena))
  secret.wipe()
  for (let i = 0; i < 500; i++) globalThis.signer.sign(new Uint8Array(32))
`
const sealing = `
  const secret = arena.take(32)
  secret.use((bytes) => entropy.fill(bytes))
  answer = masked(secret)
  const sealingKey = arena.take(32)
  sealingKey.use((bytes) => entropy.fill(bytes))
  for (let i = 0; i < 200; i++) {
    const nonce = new Uint8Array(24).fill(i)
    const sealed = sealingKey.use((key) => secret.use((bytes) => sealXaes(key, nonce, bytes, none)))
    arena.take(32).spend((into) => sealingKey.use((key) => openXaes(key, nonce, sealed, none, into)))
    // The other way round: the secret as the key.
    secret.use((key) => openXaes(key, nonce, sealXaes(key, nonce, nonce, none), none))
  }
  secret.wipe()
`
const moving = (which: 'plaintext' | 'privateKey') => `
  const secret = arena.take(32)
  const other = arena.take(32)
  const [plaintext, privateKey] = ${which === 'plaintext' ? '[secret, other]' : '[other, secret]'}
  privateKey.use((bytes) => algorithm('p256').generate(entropy, bytes))
  plaintext.use((bytes) => entropy.fill(bytes))
  answer = masked(secret)
  const publicKey = privateKey.use(uncompressedPublicKey)
  for (let i = 0; i < 100; i++) {
    const { enc, ciphertext } = plaintext.use((bytes) => sealTo(publicKey, none, none, bytes))
    arena.take(32).spend((into) => privateKey.use((key) => openInto(into, key, publicKey, enc, none, none, ciphertext)))
  }
  secret.wipe()
`

/** Whether this process may read the memory of its children. */
function canReadMemory(): boolean {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'])
  try {
    closeSync(openSync(`/proc/${child.pid}/mem`, 'r'))
    return true
  } catch {
    return false
  } finally {
    child.kill('SIGKILL')
  }
}

interface Found {
  readonly locked: number
  readonly elsewhere: number
}

/** Counts the secret in the child's memory, in both byte orders. */
async function search(work: string): Promise<Found> {
  const child = spawn(process.execPath, ['--secure-heap=65536', '--input-type=module', '-e', setup + work + finish])
  try {
    const said = await firstLine(child)
    const bytes = Buffer.from(said.split(',').map((byte) => Number(byte) ^ mask))
    return searchMemory(child.pid as number, [bytes, Buffer.from(bytes).reverse()])
  } finally {
    child.kill('SIGKILL')
    await once(child, 'close')
  }
}

async function firstLine(child: ChildProcessWithoutNullStreams): Promise<string> {
  let said = ''
  let errors = ''
  child.stderr.on('data', (chunk) => {
    errors += chunk
  })
  for await (const chunk of child.stdout) {
    said += chunk
    if (said.endsWith('\n')) return said
  }
  throw new Error(errors)
}

function searchMemory(pid: number, needles: readonly Buffer[]): Found {
  const found = { locked: 0, elsewhere: 0 }
  const memory = openSync(`/proc/${pid}/mem`, 'r')
  const regions = readFileSync(`/proc/${pid}/smaps`, 'utf8').split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m)
  for (const region of regions) {
    const [, from, to, access] = /^([0-9a-f]+)-([0-9a-f]+) (\S+)/.exec(region) ?? []
    if (from === undefined || to === undefined || !access?.startsWith('r') || /\[(vvar|vsyscall)/.test(region)) continue
    const start = Number.parseInt(from, 16)
    const content = Buffer.alloc(Number.parseInt(to, 16) - start)
    let length: number
    try {
      length = readSync(memory, content, 0, content.length, start)
    } catch {
      continue
    }
    for (const needle of needles)
      for (let i = content.indexOf(needle); i >= 0 && i < length; i = content.indexOf(needle, i + 1))
        found[/^VmFlags:.* lo/m.test(region) ? 'locked' : 'elsewhere']++
  }
  closeSync(memory)
  return found
}

test('control: a copy on the heap is found', { skip }, async () => {
  const found = await search(
    'const secret = arena.take(32); secret.use((bytes) => entropy.fill(bytes)); answer = masked(secret); globalThis.copy = secret.use((bytes) => bytes.slice())',
  )
  assert.ok(found.elsewhere > 0 && found.locked === 1, JSON.stringify(found))
})

for (const name of ['secp256k1', 'secp256k1-schnorr', 'ed25519', 'p256', 'p384', 'bn254'])
  test(`an open ${name} key lies in locked memory and nowhere else`, { skip }, async () => {
    const { locked, elsewhere } = await search(signing(name))
    // OpenSSL's objects are freed when the garbage collector finds them: that of the public key may still be there.
    assert.ok(locked === 1 || (name.startsWith('p') && locked === 2), `locked ${locked}`)
    assert.equal(elsewhere, 0)
  })

test('sealing and opening leave neither key nor plaintext behind', { skip }, async () => {
  assert.deepEqual(await search(sealing), { locked: 0, elsewhere: 0 })
})

test('moving a key leaves neither the key nor the private key it moved by behind', { skip }, async () => {
  assert.deepEqual(await search(moving('plaintext')), { locked: 0, elsewhere: 0 })
  const { elsewhere } = await search(moving('privateKey'))
  assert.equal(elsewhere, 0)
})
