import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type AlgorithmName, factsOf, hashNames } from '@popsigner/crypto/algorithm-facts'
import { fromHex } from '@popsigner/crypto/bytes'
import { verifySignature } from '@popsigner/crypto/verify'
import { algorithms, ask, fromBase64, made, newKey, sign } from './asked.ts'

// What is signed is what was given, as its encoding and hash say, through the whole instance.

test('hash and prehashed are taken where the algorithm takes them, and what is signed is what they say', async () => {
  const message = Buffer.from('what is signed')
  for (const algorithm of algorithms) {
    const key = await newKey({ algorithm })
    const publicKey = fromHex(key.public_key)
    const scheme = factsOf(algorithm).schemes[0]
    for (const hash of [undefined, ...hashNames] as const) {
      const body = { data: message.toString('base64'), ...(hash ? { hash } : {}) }
      const { status, body: answer } = await sign(key.id, body)
      const taken = hash === undefined || scheme.hashes.includes(hash)
      assert.deepEqual(
        [status, answer.code],
        taken ? [200, undefined] : [400, 'sign.hash_not_allowed'],
        `${algorithm} ${hash}`,
      )
      const verify = await ask('POST', `/v1/keys/${key.id}/verify`, { ...body, signature: answer.signature ?? '' })
      assert.deepEqual(
        [verify.status, verify.body.valid ?? verify.body.code],
        taken ? [200, true] : [400, 'sign.hash_not_allowed'],
      )
      if (!taken) continue
      const signature = fromBase64(answer.signature)
      assert.ok(verifySignature(algorithm, { message, hash }, signature, publicKey), `${algorithm} ${hash}`)
      for (const other of scheme.hashes)
        if (other !== (hash ?? scheme.hashes[0]))
          assert.ok(!verifySignature(algorithm, { message, hash: other }, signature, publicKey))
      assert.equal(answer.recovery_id !== undefined, algorithm === 'secp256k1')
    }
    for (const length of [31, 32, 33, 0, 64]) {
      const { body } = await sign(key.id, {
        data: Buffer.alloc(length, 5).toString('hex'),
        encoding: 'hex',
        prehashed: true,
      })
      const expected = !scheme.prehashed ? 'sign.hash_not_allowed' : length === 32 ? undefined : 'sign.digest_length'
      assert.equal(body.code, expected, `${algorithm} prehashed ${length}`)
      if (body.signature)
        assert.ok(verifySignature(algorithm, { digest: Buffer.alloc(32, 5) }, fromBase64(body.signature), publicKey))
    }
  }
})

test('data that is not what its encoding says is refused, and the largest is signed', async () => {
  const key = await newKey()
  const wrong = {
    base64: ['a', 'aGk', 'aGk=\n', 'aGl=', 'aG k=', 'aGk==', '_-__', '===='],
    hex: ['a', '0x00', 'zz', ' 00', '00 '],
  }
  for (const [encoding, texts] of Object.entries(wrong))
    for (const data of texts)
      assert.equal((await sign(key.id, { data, encoding })).body.code, 'sign.data_invalid', `${encoding} ${data}`)
  for (const [data, encoding] of [
    ['', 'base64'],
    ['', 'hex'],
    ['', 'utf8'],
    ['\u0000', 'utf8'],
    ['🔑\u2028', 'utf8'],
    ['AbCd', 'hex'],
  ])
    assert.equal((await sign(key.id, { data, encoding })).status, 200, `${encoding} ${data}`)
  const mebibyte = 1024 * 1024
  for (const [encoding, text] of [
    ['utf8', 'a'],
    ['hex', '00'],
  ] as const) {
    assert.equal((await sign(key.id, { data: text.repeat(mebibyte), encoding })).status, 200)
    const { status, body } = await sign(key.id, { data: text.repeat(mebibyte + 1), encoding })
    assert.ok(
      status === 400 && ['sign.data_invalid', 'request.invalid'].includes(body.code),
      `${encoding}: ${JSON.stringify(body)}`,
    )
  }
})

test('verify is false for a signature with high S, and for all that is none', async () => {
  const orders: { readonly [name in AlgorithmName]?: bigint } = {
    secp256k1: 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n,
    p256: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
  }
  for (const algorithm of algorithms) {
    const key = await newKey({ algorithm })
    const other = await newKey({ algorithm })
    const { body: signed } = await sign(key.id)
    const verify = async (signature: string, change: object = {}) =>
      (await made('POST', `/v1/keys/${key.id}/verify`, { data: 'aGk=', signature, ...change })).valid
    assert.equal(await verify(signed.signature), true)
    const bytes = Buffer.from(signed.signature, 'base64')
    const with64 = (r: bigint, s: bigint) =>
      Buffer.from(r.toString(16).padStart(64, '0') + s.toString(16).padStart(64, '0'), 'hex').toString('base64')
    const wrong = [
      '',
      'AA==',
      bytes.subarray(0, -1).toString('base64'),
      Buffer.concat([bytes, Buffer.of(0)]).toString('base64'),
      Buffer.alloc(bytes.length).toString('base64'),
      Buffer.alloc(bytes.length, 255).toString('base64'),
      Buffer.concat([bytes.subarray(32), bytes.subarray(0, 32)]).toString('base64'),
      (await sign(other.id)).body.signature,
      ...[0, 31, 32, bytes.length - 1].map((at) =>
        Buffer.from(bytes.map((byte, i) => (i === at ? byte ^ 1 : byte))).toString('base64'),
      ),
    ]
    const n = orders[algorithm]
    if (n !== undefined) {
      const [r, s] = [
        BigInt(`0x${bytes.subarray(0, 32).toString('hex')}`),
        BigInt(`0x${bytes.subarray(32).toString('hex')}`),
      ]
      const turned = with64(r, n - s)
      // The instance makes no high S for secp256k1; for P-256 both are signatures (FIPS 186-5).
      assert.equal(await verify(turned), algorithm === 'p256')
      wrong.push(
        with64(0n, s),
        with64(r, 0n),
        with64(n, s),
        with64(r, n),
        with64(n - 1n, n - 1n),
        with64(r, s + n < 1n << 256n ? s + n : n),
      )
      if (algorithm === 'secp256k1') assert.ok(s <= n / 2n)
    }
    for (const signature of wrong) assert.equal(await verify(signature), false, `${algorithm} ${signature}`)
    assert.equal(await verify(signed.signature, { data: 'aGo=' }), false)
    assert.equal(
      (await ask('POST', `/v1/keys/${key.id}/verify`, { data: 'aGk=', signature: 'a' })).body.code,
      'request.invalid',
    )
  }
})
