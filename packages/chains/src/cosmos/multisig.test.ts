import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  createMultisigThresholdPubkey,
  encodeSecp256k1Pubkey,
  makeSignDoc,
  pubkeyToAddress,
  type StdFee,
  serializeSignDoc,
} from '@cosmjs/amino'
import { encodePubkey } from '@cosmjs/proto-signing'
import { AminoTypes, createDefaultAminoConverters } from '@cosmjs/stargate'
import { base64, hex } from '@popsigner/crypto/bytes'
import { sha256 } from '@popsigner/crypto/hash'
import { MultiSignature } from 'cosmjs-types/cosmos/crypto/multisig/v1beta1/multisig'
import { SignMode } from 'cosmjs-types/cosmos/tx/signing/v1beta1/signing'
import { AuthInfo, SignDoc, TxRaw } from 'cosmjs-types/cosmos/tx/v1beta1/tx'
import { ChainFault } from '../fault.ts'
import { celestia, cosmjsVerifies, parse, registry, sign, type TestKey, testKey } from './cosmjs.fixture.ts'
import { cosmos } from './cosmos.ts'

const keys = Array.from({ length: 9 }, (_, i) => testKey(i + 1))
const stranger = testKey(77)
const fee: StdFee = { amount: [{ denom: 'utia', amount: '2000' }], gas: '100000' }
const types = new AminoTypes(createDefaultAminoConverters())
const threshold = createMultisigThresholdPubkey(
  keys.map(({ publicKey }) => encodeSecp256k1Pubkey(publicKey)),
  3,
  true,
)
const address = pubkeyToAddress(threshold, 'celestia')
const message = {
  typeUrl: '/cosmos.bank.v1beta1.MsgSend',
  value: { fromAddress: address, toAddress: stranger.address, amount: [{ denom: 'utia', amount: '5' }] },
}
const body = registry.encodeTxBody({ messages: [message], memo: 'm' })
/** What every member signs, by cosmjs. */
const signed = serializeSignDoc(makeSignDoc([types.toAmino(message)], fee, 'celestia', 'm', 12, 7))

/**
 * The transaction with these members' signatures, put together from cosmjs' encoders. Its `makeMultisignedTx` cannot be used: it
 * reads addresses with a limit that the `@scure/base` of this workspace refuses.
 */
function theirs(members: readonly TestKey[]): Uint8Array {
  const signing = keys.map((key) => members.includes(key))
  const made = keys.filter((key) => members.includes(key)).map((key) => sign(key, { digest: sha256(signed) }).signature)
  const single = { mode: SignMode.SIGN_MODE_LEGACY_AMINO_JSON }
  const auth = AuthInfo.fromPartial({
    signerInfos: [
      {
        publicKey: encodePubkey(threshold),
        modeInfo: {
          // The first member is the highest bit; nine members need two bytes, of which the second has one bit.
          multi: {
            bitarray: { extraBitsStored: 1, elems: bitsOf(signing) },
            modeInfos: made.map(() => ({ single })),
          },
        },
        sequence: 7n,
      },
    ],
    fee: { amount: [...fee.amount], gasLimit: BigInt(fee.gas) },
  })
  const signature = made.length === 0 ? new Uint8Array() : MultiSignature.encode({ signatures: made }).finish()
  return TxRaw.encode({
    bodyBytes: body,
    authInfoBytes: AuthInfo.encode(auth).finish(),
    signatures: [signature],
  }).finish()
}

function bitsOf(signing: readonly boolean[]): Uint8Array {
  const text = signing.map(Number).join('').padEnd(16, '0')
  return Uint8Array.of(Number.parseInt(text.slice(0, 8), 2), Number.parseInt(text.slice(8), 2))
}

test('members sign one after the other, in any order, and the transaction is that of cosmjs', async () => {
  const [a, b, c] = [keys[8], keys[0], keys[4]] as [TestKey, TestKey, TestKey]
  let text = base64(theirs([]))
  for (const [i, key] of [a, b, c].entries()) {
    const tx = cosmos.parse(text, celestia, { account_number: '12' })
    assert.equal(cosmos.encode(tx), text)
    assert.equal(cosmos.complete(tx), false)
    const [what, ...more] = cosmos.messages(tx, key.signer)
    assert.ok(what !== undefined && 'digest' in what && more.length === 0)
    assert.equal(what.signMode, 'amino')
    assert.equal(hex(what.digest), hex(sha256(signed)))
    const signature = sign(key, what)
    assert.ok(await cosmjsVerifies(signature.signature, what.digest, key))
    const next = cosmos.attach(tx, key.signer, [signature])
    assert.equal(cosmos.hash(next) === null, i < 2)
    text = cosmos.encode(next)
    assert.equal(text, base64(theirs([a, b, c].slice(0, i + 1))))
  }
  const whole = cosmos.parse(text, celestia, {})
  assert.equal(cosmos.complete(whole), true)
  assert.deepEqual(
    cosmos.signatures(whole).map(({ signer }) => signer),
    [b, c, a].map((key) => key.address),
  )
  assert.throws(() => cosmos.messages(cosmos.parse(text, celestia, { account_number: '12' }), a.signer), {
    code: 'transaction.already_signed',
  })
})

test('a SignDoc carries a threshold key as well, and says the account number itself', () => {
  const raw = TxRaw.decode(theirs([]))
  const doc = SignDoc.encode({
    bodyBytes: raw.bodyBytes,
    authInfoBytes: raw.authInfoBytes,
    chainId: 'celestia',
    accountNumber: 12n,
  })
  const tx = parse(doc.finish())
  const [what] = cosmos.messages(tx, (keys[3] as TestKey).signer)
  assert.ok(what !== undefined && 'digest' in what)
  assert.equal(hex(what.digest), hex(sha256(signed)))
})

test('a key that is no member is told who is', () => {
  const tx = parse(theirs([]), { account_number: '12' })
  assert.throws(
    () => cosmos.messages(tx, stranger.signer),
    (fault) =>
      fault instanceof ChainFault &&
      fault.code === 'transaction.signer_mismatch' &&
      JSON.stringify(fault.detail) ===
        JSON.stringify({ signer: stranger.address, expected: keys.map((key) => key.address) }),
  )
})

test('bits, modes and signatures that do not fit each other are refused', () => {
  const raw = TxRaw.decode(theirs(keys.slice(0, 2)))
  const altered = (change: (auth: AuthInfo) => void, signatures = raw.signatures): Uint8Array => {
    const auth = AuthInfo.decode(raw.authInfoBytes)
    change(auth)
    return TxRaw.encode({ ...raw, authInfoBytes: AuthInfo.encode(auth).finish(), signatures }).finish()
  }
  const multiOf = (auth: AuthInfo) =>
    auth.signerInfos[0]?.modeInfo?.multi as NonNullable<NonNullable<AuthInfo['signerInfos'][0]['modeInfo']>['multi']>
  const bits = (auth: AuthInfo) => multiOf(auth).bitarray as { extraBitsStored: number; elems: Uint8Array }
  assert.ok(parse(altered(() => {})))
  const bad: readonly [string, Uint8Array][] = [
    ['a bit too many', altered((auth) => bits(auth).elems.set([0xe0]))],
    ['a bit of nobody', altered((auth) => bits(auth).elems.set([0x40], 1))],
    ['too few bits', altered((auth) => Object.assign(bits(auth), { extraBitsStored: 0 }))],
    ['a mode too few', altered((auth) => multiOf(auth).modeInfos.pop())],
    ['no signature', altered(() => {}, [new Uint8Array()])],
    ['no entry', altered(() => {}, [])],
    ['an entry too many', altered(() => {}, [...raw.signatures, new Uint8Array()])],
    ['direct', altered((auth) => Object.assign(multiOf(auth).modeInfos[0]?.single ?? {}, { mode: 1 }))],
    [
      'a single mode',
      altered((auth) => Object.assign(auth.signerInfos[0] ?? {}, { modeInfo: { single: { mode: 127 } } })),
    ],
  ]
  for (const [name, bytes] of bad) assert.throws(() => parse(bytes), ChainFault, name)
})
