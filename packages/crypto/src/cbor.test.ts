import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as cbor2 from 'cbor2'
import fc from 'fast-check'
import { fromHex, hex } from './bytes.ts'
import { type CborValue, decodeCbor, encodeCbor } from './cbor.ts'

/** RFC 8949 appendix A: what this subset has, encoding and value. */
const accepted: readonly (readonly [string, CborValue])[] = [
  ['00', 0],
  ['01', 1],
  ['0a', 10],
  ['17', 23],
  ['1818', 24],
  ['1819', 25],
  ['1864', 100],
  ['1903e8', 1000],
  ['1a000f4240', 1000000],
  ['1b000000e8d4a51000', 1000000000000],
  ['1bffffffffffffffff', 18446744073709551615n],
  ['3bffffffffffffffff', -18446744073709551616n],
  ['20', -1],
  ['29', -10],
  ['3863', -100],
  ['3903e7', -1000],
  ['f4', false],
  ['f5', true],
  ['f6', null],
  ['40', new Uint8Array(0)],
  ['4401020304', Uint8Array.of(1, 2, 3, 4)],
  ['60', ''],
  ['6161', 'a'],
  ['6449455446', 'IETF'],
  ['62225c', '"\\'],
  ['62c3bc', 'ü'],
  ['63e6b0b4', '水'],
  ['64f0908591', '𐅑'],
  ['80', []],
  ['83010203', [1, 2, 3]],
  ['8301820203820405', [1, [2, 3], [4, 5]]],
  ['98190102030405060708090a0b0c0d0e0f101112131415161718181819', Array.from({ length: 25 }, (_, i) => i + 1)],
  ['a0', {}],
  ['a26161016162820203', { a: 1, b: [2, 3] }],
  ['826161a161626163', ['a', { b: 'c' }]],
  ['a56161614161626142616361436164614461656145', { a: 'A', b: 'B', c: 'C', d: 'D', e: 'E' }],
]

/** RFC 8949 appendix A: well-formed, but outside this subset or not deterministic. */
const refused = [
  'c249010000000000000000', // tag 2, bignum
  'c349010000000000000000',
  'f90000', // floats
  'f93c00',
  'fa47c35000',
  'fb3ff199999999999a',
  'f97c00',
  'f97e00',
  'f7', // undefined
  'f0', // other simple values
  'f8ff',
  'c074323031332d30332d32315432303a30343a30305a', // tags
  'c11a514b67b0',
  'd818456449455446',
  'd82076687474703a2f2f7777772e6578616d706c652e636f6d',
  'a201020304', // keys that are not text
  '5f42010243030405ff', // indefinite lengths
  '7f657374726561646d696e67ff',
  '9fff',
  '9f018202039f0405ffff',
  '83018202039f0405ff',
  'bf61610161629f0203ffff',
  'bf6346756ef563416d7421ff',
]

test('RFC 8949 appendix A: accepted forms', () => {
  for (const [bytes, value] of accepted) {
    assert.equal(hex(encodeCbor(value)), bytes)
    const decoded = decodeCbor(fromHex(bytes))
    assert.equal(hex(encodeCbor(decoded)), bytes)
    if (typeof value !== 'object' || value === null) assert.equal(decoded, value)
  }
  assert.deepEqual({ ...(decodeCbor(fromHex('a26161016162820203')) as object) }, { a: 1, b: [2, 3] })
})

test('RFC 8949 appendix A: refused forms', () => {
  for (const bytes of refused) assert.throws(() => decodeCbor(fromHex(bytes)), RangeError, bytes)
})

test('RFC 8949 §4.2.1 and appendix F: not deterministic, or not well-formed', () => {
  for (const bytes of [
    '', // nothing
    '1817', // heads longer than needed
    '190017',
    '1900ff',
    '1a0000ffff',
    '1b00000000ffffffff',
    '3817',
    '580100',
    '780161',
    '9800',
    'b800',
    '0000', // bytes left over
    'a0f6',
    'a2616201616101', // keys out of order
    'a262616101616201', // longer key first
    'a2616101616101', // a key twice
    'a1', // ends early
    'a16161',
    '82 01'.replace(' ', ''),
    '41',
    '61',
    '18',
    '19ff',
    '1a0000',
    '1b000000',
    '5bffffffffffffffff',
    '9bffffffffffffffff',
    'bbffffffffffffffff',
    '9a00ffffff',
    '1c', // reserved
    '1f',
    'fc',
    'ff',
    '61ff', // not UTF-8
    '63eda080',
    `${'81'.repeat(17)}00`, // too deep
    'a1f600',
    'a1417800',
    'a1',
    'a1a000',
  ])
    assert.throws(() => decodeCbor(fromHex(bytes)), RangeError, bytes)
  assert.ok(decodeCbor(fromHex(`${'81'.repeat(16)}00`)))
  assert.throws(() => decodeCbor(new Uint8Array(16 * 1024 * 1024 + 1)), RangeError)
})

test('whatever decodes is the one encoding of what it decodes to', () => {
  let decoded = 0
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 12 }),
    fc
      .array(fc.constantFrom(0xa1, 0xa2, 0x61, 0x62, 0x81, 0x41, 0x18, 0x20, 0x60, 0xf6), { maxLength: 8 })
      .map((a) => Uint8Array.from(a)),
  )
  fc.assert(
    fc.property(bytes, (input) => {
      let value: CborValue
      try {
        value = decodeCbor(input)
      } catch (error) {
        assert.ok(error instanceof RangeError)
        return
      }
      decoded++
      assert.deepEqual(encodeCbor(value), input)
    }),
    { numRuns: 20_000 },
  )
  assert.ok(decoded > 100)
})

const value = fc.letrec<{ value: CborValue }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', maxDepth: 4 },
    fc.constantFrom(null, true, false),
    fc.maxSafeInteger(),
    fc.bigInt({ min: -(2n ** 64n), max: 2n ** 64n - 1n }),
    fc.string({ unit: 'grapheme' }),
    fc.uint8Array(),
    fc.array(tie('value'), { maxLength: 5 }),
    fc.dictionary(fc.string({ unit: 'grapheme' }), tie('value'), { maxKeys: 5 }),
  ),
})).value

test('values come back, in the form that an independent encoder gives them', () => {
  fc.assert(
    fc.property(value, (input) => {
      const bytes = encodeCbor(input)
      assert.deepEqual(encodeCbor(decodeCbor(bytes)), bytes)
      assert.equal(hex(bytes), hex(cbor2.encode(input, { ...cbor2.cdeEncodeOptions, collapseBigInts: true })))
    }),
    { numRuns: 500 },
  )
})

test('any changed bit decodes to something else or not at all', () => {
  const bytes = encodeCbor({
    instance: 'a',
    organization: new Uint8Array(16),
    version: 300,
    uses: ['raw', 'digest'],
    path: null,
  })
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const changed = bytes.slice()
    changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7))
    try {
      assert.notDeepEqual(encodeCbor(decodeCbor(changed)), bytes)
    } catch (error) {
      assert.ok(error instanceof RangeError)
    }
  }
})

test('values without a form are refused, not converted', () => {
  const refuse = (input: unknown, error: new () => Error) => {
    assert.throws(() => encodeCbor(input as CborValue), error)
    assert.throws(() => encodeCbor({ a: [input as CborValue] }), error)
  }
  for (const input of [undefined, () => 1, Symbol('a'), new Map(), new Date(0)]) refuse(input, TypeError)
  for (const input of [0.5, -0, Number.NaN, 2 ** 53, 2n ** 64n, -(2n ** 64n) - 1n, '\ud800']) refuse(input, RangeError)
  const loop: CborValue[] = []
  loop.push(loop)
  assert.throws(() => encodeCbor(loop), RangeError)
})

test('keys have no power, and byte strings no tie to the input', () => {
  const map = decodeCbor(fromHex('a1695f5f70726f746f5f5fa1616101')) as { [key: string]: CborValue }
  assert.deepEqual(Object.keys(map), ['__proto__'])
  assert.equal(Object.getPrototypeOf(map), null)
  const input = Buffer.from('4101', 'hex')
  const bytes = decodeCbor(input) as Uint8Array
  input.fill(0)
  assert.deepEqual(bytes, Uint8Array.of(1))
})
