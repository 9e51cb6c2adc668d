import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { secp256k1 as noble } from '@noble/curves/secp256k1.js'
import fc from 'fast-check'
import { fromHex, hex, utf8 } from './bytes.ts'
import { keccak256, sha256 } from './hash.ts'
import { createSecp256k1, loadNative, loadWasm } from './secp256k1.ts'
import { SecretArena } from './secret.ts'

const file = new URL('../vectors/rfc6979-secp256k1/secp256k1.json', import.meta.url)
const vectors = JSON.parse(readFileSync(file, 'utf8')) as readonly {
  secret: string
  message: string
  signature: string
}[]
const order = noble.Point.Fn.ORDER

for (const engine of [loadNative(), loadWasm()]) {
  const row = createSecp256k1(engine)

  test(`published secp256k1 signatures, with low S, by ${row.engine}`, () => {
    for (const { secret, message, signature } of vectors) {
      const s = BigInt(`0x${signature.slice(64)}`)
      const low = (s > order / 2n ? order - s : s).toString(16).padStart(64, '0')
      const signed = row.openSigner(fromHex(secret), new SecretArena(1)).sign(sha256(utf8(message)))
      assert.equal(hex(signed.signature), signature.slice(0, 64) + low)
    }
  })

  test(`signature, recovery id and public key agree with noble on random input, by ${row.engine}`, () => {
    const arena = new SecretArena(1)
    fc.assert(
      fc.property(
        fc.uint8Array(),
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        fc.boolean(),
        (message, secret, keccak) => {
          fc.pre(row.isValidSecret(secret))
          const digest = keccak ? keccak256(message) : sha256(message)
          const signer = row.openSigner(secret, arena)
          const { signature, recovery } = signer.sign(digest)
          signer.close()
          const expected = noble.sign(digest, secret, { prehash: false, lowS: true, format: 'recovered' })
          assert.equal(recovery, expected[0])
          assert.deepEqual(signature, expected.slice(1))
          assert.deepEqual(row.publicKey(secret), noble.getPublicKey(secret, true))
          const recovered = noble.recoverPublicKey(expected, digest, { prehash: false })
          assert.deepEqual(recovered, row.publicKey(secret))
          const high = signature.slice()
          high.set(fromHex((order - BigInt(`0x${hex(signature.subarray(32))}`)).toString(16).padStart(64, '0')), 32)
          assert.equal(row.verify(high, digest, row.publicKey(secret)), false)
        },
      ),
    )
  })
}
