import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromBase64, utf8 } from '@popsigner/crypto/bytes'
import fc from 'fast-check'
import { parseTlogProof, serializeTlogProof, type TlogProof } from './tlog-proof.ts'

/** The example of C2SP tlog-proof, its abbreviated signatures as they stand and its extra line made valid base64. */
const example = `c2sp.org/tlog-proof@v1
extra YWdlLXYxLjIuMS1kYXJ3aW4tYXJtNjQudGFyLmd6
index 73894
gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=
B95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=
EKNzoDWG8LGC0Yp9o+sv3qllpMP9uHQ9B20KNL+Q1zs=
RoopEkOdqkYqMB4MJXrbt/hMjOxsVn0IrWjpz1ZMMes=
AHCioX9nLjsrse6YhjRRmk1WUEirVOLLRoOQ6vfO5vk=

example.com/fancylog
109482
sFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=

— example.com/fancylog hI2DJw1roloI
`

test('C2SP: the example is read and written again', () => {
  const proof = parseTlogProof(example)
  assert.equal(proof.index, 73_894)
  assert.equal(proof.path.length, 5)
  assert.deepEqual(proof.path[0], fromBase64('gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ='))
  assert.deepEqual(proof.extra, utf8('age-v1.2.1-darwin-arm64.tar.gz'))
  assert.ok(proof.checkpoint.startsWith('example.com/fancylog\n109482\n'))
  assert.equal(serializeTlogProof(proof), example)
})

test('property: parse gives back what serialize took', () => {
  const bytes = fc.uint8Array({ minLength: 32, maxLength: 32 })
  const proofs = fc.record(
    {
      extra: fc.uint8Array({ maxLength: 100 }),
      index: fc.maxSafeNat(),
      path: fc.array(bytes, { maxLength: 53 }),
      checkpoint: fc.constant('a\n1\nAAAA\n\n— a AAAA\n'),
    },
    { requiredKeys: ['index', 'path', 'checkpoint'] },
  )
  fc.assert(
    fc.property(proofs, (proof) => {
      assert.deepEqual(parseTlogProof(serializeTlogProof(proof as TlogProof)), { ...proof })
    }),
  )
})

test('other texts are refused', () => {
  for (const text of [
    '',
    '\n\n',
    example.replace('@v1', '@v2'),
    example.replace('index 73894', 'index 073894'),
    example.replace('index 73894', 'index -1'),
    example.replace('index 73894', 'index 9007199254740992'),
    example.replace('index 73894', 'index'),
    example.replace('index 73894\n', ''),
    example.replace('extra ', 'extra  '),
    example.replace('gSKy', 'gS y'),
    example.replace('gSKyXoYZ', ''),
    example.replace('PlQ=\n', 'PlR=\n'),
    example.replaceAll('\n', '\r\n'),
    example.replace('index 73894\n', `index 73894\n${'AHCioX9nLjsrse6YhjRRmk1WUEirVOLLRoOQ6vfO5vk=\n'.repeat(49)}`),
    example.split('\n\n')[0] as string,
  ])
    assert.throws(() => parseTlogProof(text), RangeError, text)
  assert.throws(() => serializeTlogProof({ index: -1, path: [], checkpoint: '' }), RangeError)
  assert.throws(() => serializeTlogProof({ index: 0, path: [new Uint8Array(31)], checkpoint: '' }), RangeError)
})
