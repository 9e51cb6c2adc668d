import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { hex, utf8 } from '@popsigner/crypto/bytes'
import { ed25519 } from '@popsigner/crypto/ed25519'
import { createEntropy, kernelSource } from '@popsigner/crypto/entropy'
import { Secret, SecretArena } from '@popsigner/crypto/secret'
import { SignerClient } from './client.ts'
import { createIdentity, readIdentity } from './identity-file.ts'
import { makeRoot } from './key-file.ts'
import { openLedger } from './ledger.ts'
import { createKeyring } from './signer/keyring.ts'
import { createSignerServer } from './signer/serve.ts'
import { instance, makeItem, makeKey, makeLog, refusalOf } from './signer.fixture.ts'

test('with a source that fails its health tests no key is made any more; what exists goes on signing', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'entropy-'))
  let stuck = false
  const entropy = createEntropy((into) => (stuck ? into.fill(0x55) : kernelSource(into)))
  const arena = new SecretArena(64)
  const root = makeRoot(1, entropy, arena)
  const identityFile = join(directory, 'identity')
  const seed = arena.take(32)
  await createIdentity(identityFile, instance, seed, root, entropy)
  seed.wipe()
  const ledger = openLedger(join(directory, 'ledger'), instance, 0)
  const keyring = createKeyring({ instance, arena, ledger, roots: [root] })
  const identity = readIdentity(identityFile, instance, [root], () => arena.take(32))
  const publicKey = identity.spec.publicKey as Uint8Array
  const signer = {
    instance,
    boot: randomBytes(16).toString('hex'),
    entropy,
    ledger,
    keyring,
    identity: {
      publicKey,
      publicKeyHex: hex(publicKey),
      handle: identity.secret.spend((bytes) => ed25519.openSigner(bytes, arena)),
    },
    keyFile: join(directory, 'root.key'),
    identityFile,
    hostKey: Secret.allocate(32),
    hostNonces: new Map(),
    made: new Map(),
    memory: { locked: true, limitBytes: null, secureHeapBytes: 0 },
    rootsBusy: false,
    now: Date.now,
  }
  const lines: string[] = []
  const proof = Secret.allocate(32)
  const { server, drain } = createSignerServer(signer, proof, (_, message) => lines.push(message))
  const socket = join(directory, 's.sock')
  await new Promise<void>((resolve) => server.listen(socket, resolve))
  const client = new SignerClient({ socket, instance, proof: new Uint8Array(32), term: 0 })
  try {
    await client.connect()
    const log = await makeLog(client)
    const key = await makeKey(client, log)
    stuck = true
    const failed = { code: 'custody.entropy_failed' }
    await assert.rejects(makeKey(client, log), failed)
    stuck = false
    await assert.rejects(makeKey(client, log), failed, 'it stays failed')
    await assert.rejects(client.hostNonce(), failed)
    assert.equal((await client.hello()).entropyHealthy, false)
    assert.equal(refusalOf((await client.sign([makeItem(log, key, utf8('x'))])).results[0]), 'signed')
    assert.ok(lines.includes('An operation failed.'))
  } finally {
    await client.close()
    await drain()
    await ledger.close()
    rmSync(directory, { recursive: true, force: true })
  }
})
