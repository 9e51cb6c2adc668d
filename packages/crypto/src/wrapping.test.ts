import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromUtf8, hex } from './bytes.ts'
import { decodeCbor } from './cbor.ts'
import { type ExportedKey, exportAad, exportInfo, type ImportedKey, importAad, importInfo } from './wrapping.ts'

const moved = {
  instance: 'keys.example.com',
  organization: new Uint8Array(16).fill(1),
  algorithm: 'secp256k1',
  schemes: ['ecdsa'],
  uses: ['transaction', 'message', 'raw', 'digest'],
  export: 'none',
  public_key: new Uint8Array(33).fill(2),
} as const
const imported: ImportedKey = { ...moved, wrapping_key: new Uint8Array(16).fill(3) }
const exported: ExportedKey = { ...moved, key: new Uint8Array(16).fill(4), version: 1 }

test('the bytes are frozen', () => {
  assert.equal(fromUtf8(importInfo), 'popsigner/import/v1')
  assert.equal(fromUtf8(exportInfo), 'popsigner/export/v1')
  assert.equal(
    hex(importAad(imported)),
    'a8647573657384' +
      '6b7472616e73616374696f6e676d6573736167656372617766646967657374' +
      '666578706f7274646e6f6e6567736368656d6573816565636473' +
      '6168696e7374616e6365706b6579732e6578616d706c652e636f6d' +
      '69616c676f726974686d69736563703235366b31' +
      '6a7075626c69635f6b65795821' +
      '02'.repeat(33) +
      '6c6f7267616e697a6174696f6e50' +
      '01'.repeat(16) +
      '6c7772617070696e675f6b657950' +
      '03'.repeat(16),
  )
})

test('what is bound comes back whole, and any difference is another text', () => {
  const decoded = decodeCbor(exportAad(exported)) as Record<string, unknown>
  assert.deepEqual({ ...decoded }, exported)
  const texts = [
    exported,
    { ...exported, version: 2 },
    { ...exported, export: 'any' },
    { ...exported, export: new Uint8Array(32) },
    { ...exported, schemes: [] },
    { ...exported, uses: ['raw'] },
    { ...exported, instance: 'other' },
  ].map((fields) => hex(exportAad(fields as ExportedKey)))
  assert.equal(new Set(texts).size, texts.length)
})

test('unknown fields and wrong types are refused', () => {
  for (const [fields, error] of [
    [{ ...imported, extra: 1 }, RangeError],
    [{ ...imported, key: new Uint8Array(16) }, RangeError],
    [{ ...imported, wrapping_key: undefined }, TypeError],
    [{ ...imported, organization: new Uint8Array(15) }, RangeError],
    [{ ...imported, export: 'some' }, TypeError],
    [{ ...imported, export: new Uint8Array(31) }, RangeError],
    [{ ...imported, uses: 'raw' }, TypeError],
    [{ ...imported, uses: [1] }, TypeError],
    [{ ...imported, instance: 1 }, TypeError],
    [{ ...imported, public_key: 'aa' }, TypeError],
  ] as const)
    assert.throws(() => importAad(fields as unknown as ImportedKey), error)
  for (const version of [0, 1.5, -1, 2 ** 53]) assert.throws(() => exportAad({ ...exported, version }), RangeError)
  assert.throws(() => exportAad(imported as unknown as ExportedKey), RangeError)
})
