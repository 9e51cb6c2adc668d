import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { decodeTypeId, encodeTypeId, uuidBytes, uuidText } from './typeid.ts'

test('the vectors of the TypeID specification (0.3, valid.yml)', () => {
  for (const [text, prefix, uuid] of [
    ['prefix_00000000000000000000000000', 'prefix', '00000000-0000-0000-0000-000000000000'],
    ['prefix_00000000000000000000000001', 'prefix', '00000000-0000-0000-0000-000000000001'],
    ['prefix_0000000000000000000000000a', 'prefix', '00000000-0000-0000-0000-00000000000a'],
    ['prefix_0000000000000000000000000g', 'prefix', '00000000-0000-0000-0000-000000000010'],
    ['prefix_00000000000000000000000010', 'prefix', '00000000-0000-0000-0000-000000000020'],
    ['prefix_7zzzzzzzzzzzzzzzzzzzzzzzzz', 'prefix', 'ffffffff-ffff-ffff-ffff-ffffffffffff'],
    ['prefix_0123456789abcdefghjkmnpqrs', 'prefix', '0110c853-1d09-52d8-d73e-1194e95b5f19'],
    ['prefix_01h455vb4pex5vsknk084sn02q', 'prefix', '01890a5d-ac96-774b-bcce-b302099a8057'],
    ['pre_fix_00000000000000000000000000', 'pre_fix', '00000000-0000-0000-0000-000000000000'],
  ] as const) {
    assert.equal(encodeTypeId(prefix, uuidBytes(uuid)), text)
    const id = decodeTypeId(text, prefix)
    assert.ok(id)
    assert.equal(uuidText(id), uuid)
  }
})

test('every id has one text, and every text that decodes is that of its id', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (id) => {
      assert.deepEqual(decodeTypeId(encodeTypeId('key', id), 'key'), id)
      assert.deepEqual(uuidBytes(uuidText(id)), id)
    }),
  )
  const suffix = fc.string({ unit: fc.constantFrom(...'0127zaAilou_-'.split('')), minLength: 25, maxLength: 27 })
  fc.assert(
    fc.property(suffix, (text) => {
      const id = decodeTypeId(`key_${text}`, 'key')
      if (id !== null) assert.equal(encodeTypeId('key', id), `key_${text}`)
    }),
    { numRuns: 2000 },
  )
})

test('other texts are null', () => {
  const good = 'key_01h455vb4pex5vsknk084sn02q'
  assert.ok(decodeTypeId(good, 'key'))
  for (const text of [
    '',
    'key_',
    good.toUpperCase(),
    good.replace('q', 'Q'),
    'key_81h455vb4pex5vsknk084sn02q',
    'key_01h455vb4pex5vsknk084sn02',
    'key_01h455vb4pex5vsknk084sn02qq',
    'key_01h455vb4pex5vsknk084sn02l',
    'key_01h455vb4pex5vsknk084sn02\u0131',
    'key-01h455vb4pex5vsknk084sn02q',
    'keys_01h455vb4pex5vsknk084sn02q',
    ` ${good}`,
    `${good} `,
  ])
    assert.equal(decodeTypeId(text, 'key'), null, text)
  assert.equal(decodeTypeId(good, 'rec'), null)
  assert.equal(decodeTypeId(undefined as unknown as string, 'key'), null)
})

test('misuse throws', () => {
  assert.throws(() => encodeTypeId('key', new Uint8Array(15)), RangeError)
  for (const prefix of ['', 'Key', '_key', 'key_', 'k1'])
    assert.throws(() => encodeTypeId(prefix, new Uint8Array(16)), RangeError)
  assert.throws(() => uuidText(new Uint8Array(17)), RangeError)
  for (const text of [
    '',
    '01890a5dac96774bbcceb302099a8057',
    '01890A5D-AC96-774B-BCCE-B302099A8057',
    '{01890a5d-ac96-774b-bcce-b302099a8057}',
  ])
    assert.throws(() => uuidBytes(text), RangeError)
})
