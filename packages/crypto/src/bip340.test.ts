import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { schnorr } from '@noble/curves/secp256k1.js'
import fc from 'fast-check'
import { fromHex, hex } from './bytes.ts'
import { createSchnorr, loadNativeSchnorr, loadWasmSchnorr } from './secp256k1-schnorr.ts'
import { SecretArena } from './secret.ts'
import { publicKeyOf, verifySignature } from './verify.ts'

const file = join(import.meta.dirname, '../vectors/bip340/test-vectors.csv')
const lines = readFileSync(file, 'utf8').trim().split(/\r?\n/).slice(1)

test('there are vectors of both kinds', () => {
  assert.equal(lines.length, 19)
  assert.ok(lines.filter((line) => line.includes(',FALSE,')).length >= 10)
})

for (const engine of [loadNativeSchnorr(), loadWasmSchnorr()])
  for (const line of lines) {
    const [id = '', secret = '', publicKey = '', auxiliary = '', message = '', signature = '', result = '', why = ''] =
      line.split(',')
    test(`BIP-340 #${id} ${result} ${why} by ${engine.engine}`, () => {
      const [key, input, signed] = [fromHex(publicKey), fromHex(message), fromHex(signature)]
      const row = createSchnorr(engine, (into) => into.set(fromHex(auxiliary)))
      const valid = result === 'TRUE'
      if (input.length !== 32) {
        assert.equal(row.verify(signed, input, key), false)
        assert.throws(() => verifySignature('secp256k1-schnorr', { digest: input }, signed, key), RangeError)
        assert.equal(schnorr.verify(signed, input, key), valid)
        return
      }
      assert.equal(row.verify(signed, input, key), valid)
      assert.equal(verifySignature('secp256k1-schnorr', { digest: input }, signed, key), valid)
      if (secret === '') return
      assert.equal(hex(row.publicKey(fromHex(secret))), publicKey.toLowerCase())
      assert.equal(hex(publicKeyOf('secp256k1-schnorr', fromHex(secret))), publicKey.toLowerCase())
      const signer = row.openSigner(fromHex(secret), new SecretArena(1))
      assert.equal(hex(signer.sign(input).signature), signature.toLowerCase())
    })
  }

test('native and WebAssembly give the same bytes, which verify elsewhere', () => {
  const arena = new SecretArena(2)
  const bytes = fc.uint8Array({ minLength: 32, maxLength: 32 })
  fc.assert(
    fc.property(bytes, bytes, bytes, (secret, digest, auxiliary) => {
      const rows = [loadNativeSchnorr(), loadWasmSchnorr()].map((engine) =>
        createSchnorr(engine, (into) => into.set(auxiliary)),
      )
      const [native, wasm] = rows.map((row) => {
        if (!row.isValidSecret(secret)) return 'no secret'
        const signer = row.openSigner(secret, arena)
        const { signature } = signer.sign(digest)
        signer.close()
        assert.ok(schnorr.verify(signature, digest, row.publicKey(secret)))
        return hex(signature)
      })
      assert.equal(native, wasm)
    }),
    { numRuns: 50 },
  )
})
