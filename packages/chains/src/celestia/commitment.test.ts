import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { base64, equal, fromBase64, fromHex, utf8 } from '@popsigner/crypto/bytes'
import { blobTx } from '../cosmos/blobs.ts'
import { type Blob, shareCommitment } from './commitment.ts'
import { whyNoBlobNamespace } from './namespace.ts'

interface Row {
  readonly namespace: string
  readonly seed: number
  readonly size: number
  readonly share_version: 0 | 1
  readonly signer?: string
  readonly commitment: string
  readonly blob_tx?: string
}

const rows: readonly Row[] = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../vectors/go-square/commitments.json'), 'utf8'),
)

test('share commitments are those of go-square, from one byte to the largest blob', () => {
  assert.equal(rows.length, 64)
  for (const row of rows) assert.equal(base64(shareCommitment(blobOf(row))), row.commitment, `${row.size} bytes`)
})

test('a blob transaction is the one of go-square', () => {
  const given = rows.filter((row) => row.blob_tx !== undefined)
  assert.ok(given.length > 20)
  for (const row of given) assert.equal(base64(blobTx(utf8('any transaction'), [blobOf(row)])), row.blob_tx)
})

test('the commitment that the README of celestia-types prints', () => {
  const namespace = fromBase64('AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAQIDBAU=')
  const data = utf8('some data to store on blockchain')
  const commitment = shareCommitment({ namespace, data, shareVersion: 0, signer: undefined })
  assert.equal(base64(commitment), 'm0A4feU6Fqd5Zy9td3M7lntG8A3PKqe6YdugmAsWz28=')
})

test('every part of a blob is in its commitment', () => {
  const row = rows.find((one) => one.size === 1000 && one.share_version === 1) as Row
  const blob = blobOf(row)
  const signer = blob.signer as Uint8Array
  const flipped = (bytes: Uint8Array, at: number) => bytes.map((byte, i) => (i === at ? byte ^ 1 : byte))
  const others: readonly Blob[] = [
    { ...blob, namespace: flipped(blob.namespace, 28) },
    { ...blob, data: flipped(blob.data, 0) },
    { ...blob, data: flipped(blob.data, 999) },
    { ...blob, data: blob.data.subarray(0, 999) },
    { ...blob, signer: flipped(signer, 19) },
    { ...blob, shareVersion: 0, signer: undefined },
  ]
  for (const other of others) assert.ok(!equal(shareCommitment(other), shareCommitment(blob)))
})

test('a namespace is refused where celestia-app refuses it', () => {
  const zeros = (count: number) => '00'.repeat(count)
  const good = fromHex(`${zeros(19)}0102030405060708090a`)
  assert.equal(whyNoBlobNamespace(good), undefined)
  assert.equal(whyNoBlobNamespace(fromHex(`${zeros(27)}0100`)), undefined)
  const bad: readonly [string, RegExp][] = [
    [zeros(28), /29 bytes/],
    [`01${zeros(27)}01`, /version 0/],
    [`${'ff'.repeat(28)}fe`, /version 0/],
    [`${zeros(18)}01${zeros(9)}01`, /18 zero/],
    [`${zeros(28)}ff`, /reserved/],
    [`${zeros(28)}04`, /reserved/],
  ]
  for (const [text, why] of bad) assert.match(whyNoBlobNamespace(fromHex(text)) ?? '', why)
})

function blobOf(row: Row): Blob {
  return {
    namespace: fromBase64(row.namespace),
    data: fill(row.seed, row.size),
    shareVersion: row.share_version,
    signer: row.signer === undefined ? undefined : fromBase64(row.signer),
  }
}

/** The generator that the vectors' README describes. */
function fill(seed: number, length: number): Uint8Array {
  let state = seed
  return Uint8Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state >>> 24
  })
}
