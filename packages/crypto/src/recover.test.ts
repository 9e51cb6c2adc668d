import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { recoverPublicKey } from './recover.ts'
import { secp256k1 } from './secp256k1.ts'
import { SecretArena } from './secret.ts'

test('the key that signed comes back from digest, signature and recovery id, and from no other', () => {
  const arena = new SecretArena(2)
  for (let i = 0; i < 50; i++) {
    const secret = randomBytes(32)
    const signer = secp256k1.openSigner(secret, arena)
    const digest = createHash('sha256').update(`message ${i}`).digest()
    const { signature, recovery = -1 } = signer.sign(digest)
    assert.deepEqual(recoverPublicKey(signature, recovery, digest), secp256k1.publicKey(secret))
    assert.notDeepEqual(recoverPublicKey(signature, 1 - recovery, digest), secp256k1.publicKey(secret))
    signer.close()
  }
})

test('what no key can have signed gives null', () => {
  const digest = new Uint8Array(32).fill(1)
  assert.equal(recoverPublicKey(new Uint8Array(64), 0, digest), null)
  assert.equal(recoverPublicKey(new Uint8Array(64).fill(0xff), 0, digest), null)
  assert.equal(recoverPublicKey(new Uint8Array(64).fill(1), 2, digest), null)
  assert.throws(() => recoverPublicKey(new Uint8Array(63), 0, digest), RangeError)
})
