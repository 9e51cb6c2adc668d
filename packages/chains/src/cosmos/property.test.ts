import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { encodeSecp256k1Pubkey } from '@cosmjs/amino'
import { encodePubkey, makeAuthInfoBytes, makeSignBytes, makeSignDoc } from '@cosmjs/proto-signing'
import { base64, concat, fromBase64, fromUtf8, utf8 } from '@popsigner/crypto/bytes'
import { canonicalJson } from '@popsigner/crypto/canonical-json'
import { TxBody, TxRaw } from 'cosmjs-types/cosmos/tx/v1beta1/tx'
import fc from 'fast-check'
import { ChainFault } from '../fault.ts'
import { celestia, testKey } from './cosmjs.fixture.ts'
import { cosmos } from './cosmos.ts'

const key = testKey(1)
const rows: readonly { type_url: string; value: string }[] = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../vectors/cosmos-sdk/amino.json'), 'utf8'),
)

/** Transactions with every message of the SDK's vectors, whose signers are not ours, in each of three forms. */
const samples: readonly string[] = rows.flatMap(({ type_url, value }) => {
  const body = TxBody.encode(
    TxBody.fromPartial({
      messages: [{ typeUrl: type_url, value: fromBase64(value) }],
      memo: 'memo',
      timeoutHeight: 9n,
    }),
  ).finish()
  const auth = (mode: number) =>
    makeAuthInfoBytes(
      [{ pubkey: encodePubkey(encodeSecp256k1Pubkey(key.publicKey)), sequence: 7 }],
      [{ denom: 'utia', amount: '2000' }],
      100_000,
      key.address,
      undefined,
      mode,
    )
  const signDoc = base64(makeSignBytes(makeSignDoc(body, withoutKey(auth(1)), 'celestia', 300)))
  const raw = TxRaw.encode({
    bodyBytes: body,
    authInfoBytes: withoutKey(auth(127)),
    signatures: [new Uint8Array(64).fill(5)],
  }).finish()
  return [signDoc, base64(raw)].filter((text) => said(text) !== null)
})

/** The signer's key taken out, so that the one whom the message names is taken for the signer. */
function withoutKey(auth: Uint8Array): Uint8Array {
  const at = auth.indexOf(0x0a, 2)
  const length = auth[at + 1] as number
  const rest = concat(auth.subarray(0, at), auth.subarray(at + 2 + length))
  rest[1] = (rest[1] as number) - 2 - length
  return rest
}

/** All that the codec says of a transaction, or `null` where it refuses it. Anything else that is thrown is a failure. */
function said(text: string): string | null {
  try {
    const tx = cosmos.parse(text, celestia, {})
    assert.equal(cosmos.encode(tx), text, 'parse and serialize are inverse')
    const effects = cosmos.effects(tx)
    assert.ok(effects.length > 0)
    const signatures = cosmos.signatures(tx).map(({ signature }) => base64(signature))
    return canonicalJson({ effects, fee: cosmos.fee(tx), details: cosmos.details(tx), signatures })
  } catch (fault) {
    if (fault instanceof ChainFault) return null
    throw fault
  }
}

test('a changed, added or missing byte is refused or says something else', () => {
  assert.ok(samples.length > 60, `${samples.length} samples`)
  for (const sample of samples) {
    const bytes = fromBase64(sample)
    const before = said(sample)
    for (let i = 0; i < bytes.length; i++) {
      const flipped = bytes.slice()
      flipped[i] = (flipped[i] as number) ^ (1 << (i % 8))
      assert.notEqual(said(base64(flipped)), before, `${sample} at ${i}`)
      if (i % 7 === 0) {
        assert.notEqual(said(base64(bytes.subarray(0, i))), before)
        assert.notEqual(said(base64(concat(bytes.subarray(0, i), Uint8Array.of(0), bytes.subarray(i)))), before)
      }
    }
  }
})

test('an amino document with a changed character is refused or says something else', () => {
  const document = {
    account_number: '12',
    chain_id: 'celestia',
    fee: { amount: [], gas: '1' },
    memo: 'm',
    sequence: '7',
  }
  let count = 0
  for (const { amino } of rows as unknown as readonly { amino: string }[]) {
    const text = JSON.stringify({ ...document, msgs: ['@'] })
    // Sorted by hand: msgs stand before sequence.
    const sorted = text.replace(/,"sequence":"7","msgs":\["@"\]/, `,"msgs":[${amino}],"sequence":"7"`)
    const before = said(base64(utf8(sorted)))
    if (before === null) continue
    count++
    const bytes = utf8(sorted)
    for (let i = 0; i < bytes.length; i++) {
      const changed = bytes.slice()
      changed[i] = (changed[i] as number) ^ (1 << (i % 7))
      assert.notEqual(said(base64(changed)), before, `${fromUtf8(bytes)} at ${i}`)
    }
  }
  assert.ok(count > 25, `${count} documents`)
})

test('arbitrary bytes and arbitrary JSON are refused, and nothing else is thrown', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => void said(base64(bytes))),
    { numRuns: 3000 },
  )
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      try {
        cosmos.parse(value as never, celestia, {})
      } catch (fault) {
        assert.ok(fault instanceof ChainFault, String(fault))
      }
    }),
    { numRuns: 2000 },
  )
})

test('parts of transactions in any mixture are refused or read back as they were', () => {
  const piece = fc.constantFrom(...samples).chain((sample) => {
    const bytes = fromBase64(sample)
    return fc
      .tuple(fc.nat(bytes.length), fc.nat(bytes.length))
      .map(([a, b]) => bytes.subarray(Math.min(a, b), Math.max(a, b)))
  })
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 4 }), (pieces) => void said(base64(concat(...pieces)))),
    { numRuns: 3000 },
  )
})

test('the largest and the deepest input is answered within two seconds', () => {
  const worst: Uint8Array[] = [
    new Uint8Array(262_144).fill(0x0a),
    Uint8Array.from({ length: 262_144 }, (_, i) => (i % 2 === 0 ? 0x1a : 0)),
    utf8(`{"msgs":${'['.repeat(130_000)}${']'.repeat(130_000)}}`),
    utf8(`${'{"a":'.repeat(40_000)}1${'}'.repeat(40_000)}`),
    nested(),
  ]
  for (const bytes of worst) {
    const start = performance.now()
    assert.equal(said(base64(bytes)), null)
    assert.ok(performance.now() - start < 2000)
  }
})

/** An authz message in an authz message, two hundred times. */
function nested(): Uint8Array {
  const url = '/cosmos.authz.v1beta1.MsgExec'
  let value: Uint8Array = new Uint8Array()
  for (let i = 0; i < 200; i++) {
    const wrapped = TxBody.encode(TxBody.fromPartial({ messages: [{ typeUrl: url, value }] })).finish()
    // The messages of a body are field 1, those of MsgExec field 2.
    value = concat(Uint8Array.of(0x0a, key.address.length), utf8(key.address), Uint8Array.of(0x12), wrapped.subarray(1))
  }
  const body = TxBody.encode(TxBody.fromPartial({ messages: [{ typeUrl: url, value }] })).finish()
  return makeSignBytes(makeSignDoc(body, new Uint8Array([1]), 'celestia', 1))
}
