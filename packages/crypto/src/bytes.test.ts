import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import * as bytes from './bytes.ts'

const anyBytes = fc.uint8Array({ maxLength: 200 })

test('every encoding gives back what it was given, and agrees with Node', () => {
  fc.assert(
    fc.property(anyBytes, (value) => {
      assert.deepEqual(bytes.fromHex(bytes.hex(value)), value)
      assert.deepEqual(bytes.fromBase64(bytes.base64(value)), value)
      assert.deepEqual(bytes.fromBase64url(bytes.base64url(value)), value)
      assert.equal(bytes.hex(value), Buffer.from(value).toString('hex'))
      assert.equal(bytes.base64(value), Buffer.from(value).toString('base64'))
      assert.equal(bytes.base64url(value), Buffer.from(value).toString('base64url'))
    }),
  )
})

test('a text that decodes is the one encoding of its bytes', () => {
  const digits = fc.string({ unit: fc.constantFrom(...'ABCDwxyz0189+/-_='.split('')), maxLength: 12 })
  fc.assert(
    fc.property(digits, (text) => {
      for (const [decode, encode] of [
        [bytes.fromBase64, bytes.base64],
        [bytes.fromBase64url, bytes.base64url],
      ] as const) {
        let decoded: Uint8Array
        try {
          decoded = decode(text)
        } catch (error) {
          assert.ok(error instanceof RangeError)
          continue
        }
        assert.equal(encode(decoded), text)
      }
    }),
    { numRuns: 2000 },
  )
})

test('text that is nearly an encoding is refused', () => {
  for (const text of ['0', 'gg', '0x00', ' 00', '00 ', '0\u0130', '－1'])
    assert.throws(() => bytes.fromHex(text), RangeError, text)
  for (const text of ['AA', 'AA=', 'A===', 'AB==', 'AAB=', 'AA==AA==', 'AA-_', 'AAA\n', '====', '=AAA'])
    assert.throws(() => bytes.fromBase64(text), RangeError, text)
  for (const text of ['A', 'AB', 'AAB', 'AA==', 'AA+/', 'AAAAA', 'AA '])
    assert.throws(() => bytes.fromBase64url(text), RangeError, text)
  for (const decode of [bytes.fromHex, bytes.fromBase64, bytes.fromBase64url])
    assert.throws(() => decode(undefined as unknown as string), TypeError)
  assert.deepEqual(bytes.fromHex('aBCdEF'), Uint8Array.of(0xab, 0xcd, 0xef))
})

test('text with a lone surrogate and malformed UTF-8 are refused, in both directions', () => {
  assert.throws(() => bytes.utf8('a\ud800'), RangeError)
  assert.throws(() => bytes.utf8(1 as unknown as string), TypeError)
  for (const text of ['ff', 'c080', 'eda080', 'f4908080', 'e282']) {
    assert.throws(() => bytes.fromUtf8(bytes.fromHex(text)), RangeError, text)
  }
  assert.equal(bytes.fromUtf8(bytes.utf8('\ufeffé€😀')), '\ufeffé€😀')
})

test('equal compares all bytes and the length', () => {
  fc.assert(
    fc.property(anyBytes, anyBytes, (a, b) => {
      assert.equal(bytes.equal(a, b), Buffer.compare(a, b) === 0)
      assert.ok(bytes.equal(a, a.slice()))
    }),
  )
  assert.equal(bytes.equal(Uint8Array.of(1, 2), Uint8Array.of(1)), false)
  assert.equal(bytes.equal(Uint8Array.of(0x80), Uint8Array.of(0)), false)
})

test('concat joins in order, into new memory', () => {
  const part = Uint8Array.of(1)
  const joined = bytes.concat(part, Uint8Array.of(), Uint8Array.of(2, 3))
  part[0] = 9
  assert.deepEqual(joined, Uint8Array.of(1, 2, 3))
  assert.deepEqual(bytes.concat(), Uint8Array.of())
})

test('assertBytes names the argument', () => {
  assert.throws(() => bytes.assertBytes('aa', 'digest'), {
    name: 'TypeError',
    message: 'digest: expected bytes, got string',
  })
  assert.throws(() => bytes.assertBytes([1], 'digest'), TypeError)
  assert.throws(() => bytes.assertBytes(new Uint8Array(31), 'digest', 32), {
    name: 'RangeError',
    message: 'digest: expected 32 bytes, got 31',
  })
  bytes.assertBytes(Buffer.alloc(32), 'digest', 32)
})
