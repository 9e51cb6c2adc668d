import assert from 'node:assert/strict'
import { createDecipheriv } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { expand, extract } from '@noble/hashes/hkdf.js'
import { sha256 as nobleSha256 } from '@noble/hashes/sha2.js'
import type { AlgorithmName } from './algorithm-facts.ts'
import { algorithm } from './algorithms.ts'
import { concat, fromHex, hex } from './bytes.ts'
import { hashWith, sha256 } from './hash.ts'
import { hmacSha256 } from './hash-native.ts'
import { createSecp256k1, loadWasm } from './secp256k1.ts'
import { verifySignature } from './verify.ts'

interface Case {
  readonly tcId: number
  readonly comment: string
  readonly result: 'valid' | 'invalid' | 'acceptable'
  readonly [field: string]: unknown
}
interface Group {
  readonly tests: readonly Case[]
  readonly publicKey?: { readonly uncompressed: string; readonly pk: string }
  readonly ivSize?: number
  readonly keySize?: number
}

const folder = join(import.meta.dirname, '../../../../shared/vectors/wycheproof')
const skip = existsSync(folder) ? false : 'shared vectors are not here'
const order = {
  secp256k1: 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n,
  p256: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
}
const hashes = { secp256k1: 'sha256', p256: 'sha256', p384: 'sha384' } as const

function load(name: string): readonly Group[] {
  return (JSON.parse(readFileSync(join(folder, `${name}_test.json`), 'utf8')) as { testGroups: readonly Group[] })
    .testGroups
}

/** R and S of a signature in DER, `size` bytes each; `null` for what is not strict DER of two numbers that fit. */
function fromDer(der: Uint8Array, size: number): Uint8Array | null {
  const numbers: Uint8Array[] = []
  if (der[0] !== 0x30 || der.length < 2 || der[1] !== der.length - 2 || der.length > 0x81) return null
  for (let at = 2; at < der.length; ) {
    const length = der[at + 1] ?? 0
    const number = der.subarray(at + 2, at + 2 + length)
    const [first = 0x80, second = 0x80] = number
    if (der[at] !== 2 || length === 0 || number.length !== length) return null
    if (first >= 0x80 || (first === 0 && length > 1 && second < 0x80)) return null
    const digits = first === 0 ? number.subarray(1) : number
    if (digits.length > size) return null
    numbers.push(concat(new Uint8Array(size - digits.length), digits))
    at += 2 + length
  }
  return numbers.length === 2 ? concat(...numbers) : null
}

function compress(uncompressed: Uint8Array): Uint8Array {
  const size = (uncompressed.length - 1) / 2
  return concat(Uint8Array.of(2 + ((uncompressed[2 * size] as number) & 1)), uncompressed.subarray(1, 1 + size))
}

for (const [name, file] of [
  ['secp256k1', 'ecdsa_secp256k1_sha256'],
  ['p256', 'ecdsa_secp256r1_sha256'],
  ['p384', 'ecdsa_secp384r1_sha384'],
] as const)
  test(`Wycheproof ${file}: native, WebAssembly and plain JavaScript agree; high S is refused for secp256k1`, {
    skip,
  }, () => {
    const rows = name === 'secp256k1' ? [algorithm(name), createSecp256k1(loadWasm())] : [algorithm(name)]
    const size = name === 'p384' ? 48 : 32
    const seen = { accepted: 0, refused: 0, highS: 0, notDer: 0 }
    for (const group of load(file)) {
      const publicKey = compress(fromHex(group.publicKey?.uncompressed ?? ''))
      for (const { tcId, comment, result, msg, sig } of group.tests) {
        const signature = fromDer(fromHex(sig as string), size)
        if (signature === null) {
          assert.equal(result, 'invalid', `${tcId} ${comment}`)
          seen.notDer++
          continue
        }
        const s = BigInt(`0x${hex(signature.subarray(size))}`)
        // The general file takes both halves of S. secp256k1 here takes the lower one, so those cases are refused.
        const high = name === 'secp256k1' && result === 'valid' && s > order.secp256k1 / 2n
        const expected = result === 'valid' && !high
        const message = fromHex(msg as string)
        for (const row of rows)
          assert.equal(
            row.verify(signature, row.schemes[0].input === 'digest' ? sha256(message) : message, publicKey),
            expected,
            `${row.engine} ${tcId} ${comment}`,
          )
        assert.equal(verifySignature(name, { message }, signature, publicKey), expected, `noble ${tcId} ${comment}`)
        assert.equal(verifySignature(name, { digest: hashWith(hashes[name], message) }, signature, publicKey), expected)
        if (high) seen.highS++
        else seen[expected ? 'accepted' : 'refused']++
      }
    }
    assert.ok(seen.accepted > 90 && seen.refused > 50 && seen.notDer > 50, JSON.stringify(seen))
    assert.equal(seen.highS > 0, name === 'secp256k1', JSON.stringify(seen))
  })

test('Wycheproof ed25519: native and plain JavaScript agree', { skip }, () => {
  let count = 0
  for (const group of load('ed25519')) {
    const publicKey = fromHex(group.publicKey?.pk ?? '')
    for (const { tcId, comment, result, msg, sig } of group.tests) {
      const message = fromHex(msg as string)
      const signature = fromHex(sig as string)
      assert.equal(algorithm('ed25519').verify(signature, message, publicKey), result === 'valid', `${tcId} ${comment}`)
      assert.equal(
        verifySignature('ed25519', { message }, signature, publicKey),
        result === 'valid',
        `${tcId} ${comment}`,
      )
      count++
    }
  }
  assert.ok(count > 100)
})

test('Wycheproof aes_gcm: the cipher below XAES-256-GCM and HPKE, as they call it', { skip }, () => {
  let count = 0
  for (const group of load('aes_gcm')) {
    if (group.keySize !== 256 || group.ivSize !== 96) continue
    for (const { tcId, comment, result, key, iv, aad, msg, ct, tag } of group.tests) {
      const [k, n, a, t] = [key, iv, aad, tag].map((text) => fromHex(text as string)) as [
        Uint8Array,
        Uint8Array,
        Uint8Array,
        Uint8Array,
      ]
      let opened: string | null = null
      try {
        const decipher = createDecipheriv('aes-256-gcm', k, n, { authTagLength: 16 }).setAAD(a).setAuthTag(t)
        opened = decipher.update(ct as string, 'hex', 'hex') + decipher.final('hex')
      } catch {}
      assert.equal(opened, result === 'valid' ? msg : null, `${tcId} ${comment}`)
      count++
    }
  }
  assert.ok(count > 50)
})

test('Wycheproof hkdf_sha256: native HMAC composes to HKDF, as does noble', { skip }, () => {
  let count = 0
  for (const group of load('hkdf_sha256'))
    for (const { tcId, comment, result, ikm, salt, info, size, okm } of group.tests) {
      if (result !== 'valid') continue
      const input = fromHex(ikm as string)
      const saltBytes = fromHex(salt as string)
      const infoBytes = fromHex(info as string)
      const key = hmacSha256(saltBytes, input)
      let block: Uint8Array = new Uint8Array(0)
      let output: Uint8Array = new Uint8Array(0)
      for (let i = 1; output.length < (size as number); i++) {
        block = hmacSha256(key, block, infoBytes, Uint8Array.of(i))
        output = concat(output, block)
      }
      assert.equal(hex(output.subarray(0, size as number)), okm, `${tcId} ${comment}`)
      assert.deepEqual(extract(nobleSha256, input, saltBytes), key)
      assert.equal(hex(expand(nobleSha256, key, infoBytes, size as number)), okm)
      count++
    }
  assert.ok(count > 50)
})

test('a question that makes no sense is misuse, not a signature that does not verify', () => {
  const signature = new Uint8Array(64)
  const publicKey = new Uint8Array(33)
  const message = new Uint8Array(32)
  const verify = (name: string, input: unknown) =>
    verifySignature(name as AlgorithmName, input as { message: Uint8Array }, signature, publicKey)
  assert.throws(() => verify('rsa', { message }), RangeError)
  assert.throws(() => verify('__proto__', { message }), RangeError)
  assert.throws(() => verify('ed25519', { digest: message }), RangeError)
  assert.throws(() => verify('ed25519', { message, hash: 'sha256' }), RangeError)
  assert.throws(() => verify('p256', { message, hash: 'keccak256' }), RangeError)
  assert.throws(() => verify('secp256k1', { message, hash: 'sha512' }), RangeError)
  assert.throws(() => verify('secp256k1', { digest: new Uint8Array(31) }), RangeError)
  assert.throws(() => verify('secp256k1', { message: 'text' }), TypeError)
  assert.equal(verify('secp256k1', { message, hash: 'keccak256' }), false)
  assert.equal(verifySignature('ed25519', { message }, new Uint8Array(63), new Uint8Array(32)), false)
})
