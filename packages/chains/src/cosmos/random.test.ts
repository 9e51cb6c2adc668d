import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeSignDoc, serializeSignDoc } from '@cosmjs/amino'
import type { EncodeObject } from '@cosmjs/proto-signing'
import { AminoTypes, createDefaultAminoConverters } from '@cosmjs/stargate'
import { base64, fromBase64, hex } from '@popsigner/crypto/bytes'
import { sha256 } from '@popsigner/crypto/hash'
import { SignMode } from 'cosmjs-types/cosmos/tx/signing/v1beta1/signing'
import { TxBody, TxRaw } from 'cosmjs-types/cosmos/tx/v1beta1/tx'
import { MsgTransfer } from 'cosmjs-types/ibc/applications/transfer/v1/tx'
import fc from 'fast-check'
import { cosmjsVerifies, makeDocument, parse, registry, sign, testKey } from './cosmjs.fixture.ts'
import { cosmos } from './cosmos.ts'

const keys = Array.from({ length: 5 }, (_, i) => testKey(i + 1))
const [signer] = keys as [(typeof keys)[0]]
const types = new AminoTypes(createDefaultAminoConverters())
const valoper = 'celestiavaloper1qvpsxqcrqvpsxqcrqvpsxqcrqvpsxqcrkj4nqq'

const uint64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n })
const safe = fc.nat({ max: Number.MAX_SAFE_INTEGER })
const denom = fc.stringMatching(/^[a-zA-Z][a-zA-Z0-9/:._-]{2,40}$/)
const coin = fc.record({ denom, amount: fc.bigInt({ min: 0n, max: (1n << 255n) - 1n }).map(String) })
const account = fc.constantFrom(...keys.map(({ address }) => address))
/** Without what cosmjs does not escape as Go does, and what Go has escaped in two ways. */
const text = fc.string({ unit: 'binary', maxLength: 40 }).map((one) => one.replaceAll(/[\b\f\u2028\u2029]/g, ''))

const message: fc.Arbitrary<EncodeObject> = fc.oneof(
  fc
    .record({ toAddress: account, amount: fc.array(coin, { minLength: 1, maxLength: 3 }) })
    .map((value) => ({ typeUrl: '/cosmos.bank.v1beta1.MsgSend', value: { ...value, fromAddress: signer.address } })),
  fc.record({ name: fc.constantFrom('MsgDelegate', 'MsgUndelegate'), amount: coin }).map(({ name, amount }) => ({
    typeUrl: `/cosmos.staking.v1beta1.${name}`,
    value: { delegatorAddress: signer.address, validatorAddress: valoper, amount },
  })),
  fc
    .record({ proposalId: fc.bigInt({ min: 1n, max: (1n << 64n) - 1n }), option: fc.integer({ min: 1, max: 4 }) })
    .map((value) => ({ typeUrl: '/cosmos.gov.v1beta1.MsgVote', value: { ...value, voter: signer.address } })),
  fc
    .record({
      token: coin,
      memo: text,
      receiver: text.filter((one) => one !== ''),
      timeoutTimestamp: uint64,
      timeoutHeight: fc.option(fc.record({ revisionNumber: uint64, revisionHeight: uint64 }), { nil: undefined }),
    })
    .map((value) => ({
      typeUrl: '/ibc.applications.transfer.v1.MsgTransfer',
      value: MsgTransfer.fromPartial({
        ...value,
        sourcePort: 'transfer',
        sourceChannel: 'channel-7',
        sender: signer.address,
      } as never),
    })),
)

const transaction = fc.record({
  messages: fc.array(message, { minLength: 1, maxLength: 4 }),
  memo: text,
  sequence: safe,
  accountNumber: safe,
  fee: coin,
})

test('random transactions sign and read as cosmjs has them, directly and in amino JSON', async () => {
  await fc.assert(
    fc.asyncProperty(transaction, async ({ fee, sequence, accountNumber, ...rest }) => {
      const parts = { ...rest, accountNumber, fee: [fee], signers: [{ key: signer, sequence }] }
      const { doc, bytes } = makeDocument(parts)
      const direct = parse(bytes)
      const [what] = cosmos.messages(direct, signer.signer)
      assert.ok(what !== undefined && 'digest' in what)
      assert.equal(hex(what.digest), hex(sha256(bytes)))
      const signature = sign(signer, what)
      assert.ok(await cosmjsVerifies(signature.signature, what.digest, signer))
      const signed = cosmos.serialize(cosmos.attach(direct, signer.signer, [signature]))
      const raw = TxRaw.encode({ ...doc, signatures: [signature.signature] }).finish()
      assert.equal(hex(signed), hex(raw))

      const msgs = rest.messages.map((one) => types.toAmino(one))
      const std = { amount: [fee], gas: '100000' }
      const amino = serializeSignDoc(makeSignDoc(msgs, std, 'celestia', rest.memo, accountNumber, sequence))
      const document = makeDocument({ ...parts, mode: SignMode.SIGN_MODE_LEGACY_AMINO_JSON })
      const [digest] = cosmos.messages(parse(document.bytes), signer.signer)
      assert.ok(digest !== undefined && 'digest' in digest)
      assert.equal(hex(digest.digest), hex(sha256(amino)))
      const read = parse(amino)
      assert.equal(cosmos.encode(read), base64(amino))
      assert.deepEqual(cosmos.effects(read), cosmos.effects(direct))
      assert.deepEqual(cosmos.fee(read), cosmos.fee(direct))
    }),
    { numRuns: 150 },
  )
})

test('effects have the amounts, the receivers and the memos that cosmjs decodes', () => {
  fc.assert(
    fc.property(transaction, ({ fee, sequence, accountNumber, ...rest }) => {
      const { doc, bytes } = makeDocument({ ...rest, accountNumber, fee: [fee], signers: [{ key: signer, sequence }] })
      const { messages, memo } = TxBody.decode(doc.bodyBytes)
      const expected = messages.flatMap(({ typeUrl, value }) => {
        const decoded = registry.decode({ typeUrl, value })
        const coins = [decoded.amount ?? decoded.token ?? []].flat() as { denom: string; amount: string }[]
        if (coins.length === 0) return [[String(decoded.proposalId), decoded.voter]]
        return coins.map((one) => [one.amount, decoded.toAddress ?? decoded.validatorAddress ?? decoded.receiver])
      })
      const tx = parse(bytes)
      const said = cosmos.effects(tx).map((effect) => {
        if (effect.kind === 'vote') return [effect.proposal, effect.voter]
        if (effect.kind === 'stake' || effect.kind === 'unstake') return [effect.amount, effect.validator]
        return effect.kind === 'transfer' || effect.kind === 'bridge' ? [effect.amount, effect.to] : []
      })
      assert.deepEqual(said, expected)
      assert.equal(cosmos.details(tx)['memo'], memo)
      assert.equal(cosmos.fee(tx)?.max, fee.amount)
      assert.deepEqual(fromBase64(cosmos.encode(tx)), bytes)
    }),
    { numRuns: 300 },
  )
})
