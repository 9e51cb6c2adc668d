import assert from 'node:assert/strict'
import { test } from 'node:test'
import canonicalize from 'canonicalize'
import fc from 'fast-check'
import { utf8 } from './bytes.ts'
import { canonicalJson, parseCanonicalJson } from './canonical-json.ts'

test('RFC 8785 §3.2.2 and §3.2.3: literals, numbers, strings, order', () => {
  const source = `{
    "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
    "string": "\\u20ac$\\u000F\\u000aA'\\u0042\\u0022\\u005c\\\\\\"\\/",
    "literals": [null, true, false]
  }`
  assert.equal(
    canonicalJson(JSON.parse(source)),
    '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],' +
      '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
  )
  const order = {
    '\u20ac': 'Euro Sign',
    '\r': 'Carriage Return',
    '\ufb33': 'Hebrew Letter Dalet With Dagesh',
    '1': 'One',
    '\ud83d\ude00': 'Emoji: Grinning Face',
    '\u0080': 'Control',
    '\u00f6': 'Latin Small Letter O With Diaeresis',
  }
  const values = Object.values(JSON.parse(canonicalJson(Object.entries(order))) as [string, string][])
  assert.equal(values.length, 7)
  assert.equal(
    canonicalJson(order),
    '{"\\r":"Carriage Return","1":"One","\u0080":"Control","ö":"Latin Small Letter O With Diaeresis",' +
      '"€":"Euro Sign","😀":"Emoji: Grinning Face","\ufb33":"Hebrew Letter Dalet With Dagesh"}',
  )
})

test('RFC 8785 appendix B: numbers from their bits', () => {
  const view = new DataView(new ArrayBuffer(8))
  for (const [bits, text] of [
    ['0000000000000000', '0'],
    ['8000000000000000', '0'],
    ['0000000000000001', '5e-324'],
    ['8000000000000001', '-5e-324'],
    ['7fefffffffffffff', '1.7976931348623157e+308'],
    ['ffefffffffffffff', '-1.7976931348623157e+308'],
    ['4340000000000000', '9007199254740992'],
    ['c340000000000000', '-9007199254740992'],
    ['4430000000000000', '295147905179352830000'],
    ['44b52d02c7e14af5', '9.999999999999997e+22'],
    ['44b52d02c7e14af6', '1e+23'],
    ['44b52d02c7e14af7', '1.0000000000000001e+23'],
    ['444b1ae4d6e2ef4e', '999999999999999700000'],
    ['444b1ae4d6e2ef4f', '999999999999999900000'],
    ['444b1ae4d6e2ef50', '1e+21'],
    ['3eb0c6f7a0b5ed8c', '9.999999999999997e-7'],
    ['3eb0c6f7a0b5ed8d', '0.000001'],
    ['41b3de4355555553', '333333333.3333332'],
    ['41b3de4355555554', '333333333.33333325'],
    ['41b3de4355555555', '333333333.3333333'],
    ['41b3de4355555556', '333333333.3333334'],
    ['41b3de4355555557', '333333333.33333343'],
    ['becbf647612f3696', '-0.0000033333333333333333'],
    ['43143ff3c1cb0959', '1424953923781206.2'],
  ] as const) {
    view.setBigUint64(0, BigInt(`0x${bits}`))
    assert.equal(canonicalJson(view.getFloat64(0)), text, bits)
  }
  for (const number of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])
    assert.throws(() => canonicalJson(number), RangeError)
})

test('agrees with an independent implementation, and comes back', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const text = canonicalJson(value)
      assert.equal(text, canonicalize(value))
      assert.equal(canonicalJson(parseCanonicalJson(utf8(text))), text)
    }),
    { numRuns: 500 },
  )
})

test('nothing is dropped or converted', () => {
  for (const value of [undefined, () => 1, Symbol('a'), 1n, new Date(0), new Map(), new Uint8Array(1), Object(1)]) {
    assert.throws(() => canonicalJson(value), TypeError)
    assert.throws(() => canonicalJson({ a: [value] }), TypeError)
  }
  assert.throws(() => canonicalJson('\ud800'), RangeError)
  assert.throws(() => canonicalJson({ '\udc00': 1 }), RangeError)
  assert.throws(() => canonicalJson(JSON.parse('['.repeat(65) + ']'.repeat(65))), RangeError)
  assert.equal(canonicalJson({ toJSON: 'kept' }), '{"toJSON":"kept"}')
})

test('bytes that are not the canonical form are refused', () => {
  for (const text of [
    '',
    ' {}',
    '{} ',
    '{}\n',
    '{"b":1,"a":2}',
    '{"a":1,"a":1}',
    '{"a":1,"a":2}',
    '1.0',
    '1e0',
    '-0',
    '12345678901234567890',
    '"\\u0061"',
    '"\\/"',
    '{"a": 1}',
    '\ufeff{}',
    'NaN',
    'undefined',
    '[1,]',
    '{"a":1',
    '"\\ud800"',
    '['.repeat(100_000),
    `${'['.repeat(65)}${']'.repeat(65)}`,
  ])
    assert.throws(() => parseCanonicalJson(utf8(text)), RangeError, text.slice(0, 40))
  assert.throws(() => parseCanonicalJson(Uint8Array.of(0x22, 0xff, 0x22)), RangeError)
  const parsed = parseCanonicalJson(utf8('{"__proto__":{"a":1}}')) as Record<string, unknown>
  assert.deepEqual(Object.keys(parsed), ['__proto__'])
  assert.equal((parsed as { a?: unknown }).a, undefined)
})
