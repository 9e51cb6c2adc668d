import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fromBase64, fromHex, hex, utf8 } from '@popsigner/crypto/bytes'
import { sha256 } from '@popsigner/crypto/hash-native'
import { decodeVerifierKey } from './checkpoint.ts'
import { verifyEd25519 } from './ed25519.ts'
import { events } from './events.ts'
import { emptyRoot, leafHash } from './merkle.ts'
import { type Receipt, receiptText, verifyReceipt, verifyReceiptText } from './receipt.ts'
import { buildLeaf, commitment, commitmentSalt, parseLeaf } from './record.ts'
import { emptyChain, extendChain, type StatementBody, statementHash, statementMessage } from './statement.ts'

const folder = join(import.meta.dirname, '../vectors')
const own = JSON.parse(readFileSync(join(folder, 'own.json'), 'utf8')) as {
  leaves: Record<string, string>
  commitment: Record<'erasureKey' | 'record' | 'field' | 'value' | 'salt' | 'commitment', string>
  statement: { body: StatementBody; message: string; signature: string; hash: string }
  logKey: string
  identity: string
  receipt: Receipt
  text: string
}

test('the vectors are the ones their README names', () => {
  const readme = readFileSync(join(folder, 'README.md'), 'utf8')
  for (const name of readdirSync(folder).filter((one) => one.endsWith('.json')))
    assert.ok(readme.includes(`${hex(sha256(readFileSync(join(folder, name))))}  ${name}\n`), name)
})

test('frozen: a leaf of every event reads and is written as the first version wrote it', () => {
  assert.deepEqual(Object.keys(own.leaves).sort(), Object.keys(events).sort())
  for (const [event, text] of Object.entries(own.leaves)) {
    const record = parseLeaf(utf8(text))
    assert.equal(record.event, event)
    assert.deepEqual(buildLeaf(record), utf8(text))
  }
})

test('frozen: commitments', () => {
  const { erasureKey, record, field, value, salt, commitment: committed } = own.commitment
  assert.equal(hex(commitmentSalt(fromHex(erasureKey), record, field)), salt)
  assert.equal(commitment(field, fromHex(salt), value), committed)
})

test('frozen: statements and their chain', () => {
  const { body, message, signature, hash } = own.statement
  assert.deepEqual(statementMessage(body), utf8(message))
  assert.ok(verifyEd25519(fromBase64(signature), utf8(message), fromHex(body.signer)))
  assert.equal(statementHash(body), hash)
  const leaves = Object.values(own.leaves)
  let chain = emptyChain()
  const [first, second] = body.runs as [[number, number], [number, number]]
  chain = extendChain(chain, first[0], leafHash(utf8(leaves[first[0]] as string)))
  chain = extendChain(chain, second[0], leafHash(utf8(leaves[0] as string)))
  assert.equal(hex(chain), body.chain)
})

test('frozen: receipts, as JSON and as text', () => {
  const logKey = decodeVerifierKey(own.logKey)
  const identity = decodeVerifierKey(own.identity)
  for (const result of [
    verifyReceipt(own.receipt, logKey, { identity }),
    verifyReceiptText(own.text, logKey, { identity }),
  ]) {
    assert.ok(result.ok)
    assert.equal(result.leaf?.event, 'key.signed')
    assert.equal(result.cosignedAt, 1_763_632_800)
  }
  assert.equal(receiptText(own.receipt), own.text)
})

test('Ed25519 verification answers false for other lengths', () => {
  const key = decodeVerifierKey(own.identity).publicKey
  assert.equal(verifyEd25519(new Uint8Array(63), emptyRoot, key), false)
  assert.equal(verifyEd25519(new Uint8Array(64), emptyRoot, key.slice(1)), false)
  // Not a point on the curve.
  assert.equal(verifyEd25519(new Uint8Array(64), emptyRoot, new Uint8Array(32).fill(0xff)), false)
})
