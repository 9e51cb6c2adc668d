import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { ed25519 } from '@noble/curves/ed25519.js'
import { fromBase64, hex, utf8 } from '@popsigner/crypto/bytes'
import fc from 'fast-check'
import {
  assembleNote,
  checkpointBody,
  cosignatureLine,
  cosignatureMessage,
  cosignedAt,
  decodeVerifierKey,
  encodeVerifierKey,
  NOTE_COSIGNATURE,
  NOTE_ED25519,
  noteKeyId,
  noteSignatureLine,
  parseCheckpoint,
  parseNote,
  verifierKey,
  verifyCheckpoint,
  verifyNote,
} from './checkpoint.ts'
import { emptyRoot } from './merkle.ts'

const notes = JSON.parse(readFileSync(join(import.meta.dirname, '../vectors/notes.json'), 'utf8')) as {
  go: {
    keys: { peter: string; enoch: string }
    secret: string
    text: string
    signatures: { peter: string; enoch: string }
    badKeys: string[]
  }
  sumdb: { key: string; checkpoint: string }[]
  c2sp: { checkpoint: string; cosignatureSeconds: number }
  witnessed: { logKey: string; witnessKeys: string[]; unixSeconds: number; checkpoint: string }[]
}
const { go } = notes
const peter = decodeVerifierKey(go.keys.peter)
const enoch = decodeVerifierKey(go.keys.enoch)

test('golang.org/x/mod/sumdb/note: keys', () => {
  assert.equal(hex(peter.keyId), 'c74f20a3')
  assert.equal(encodeVerifierKey(peter), go.keys.peter)
  for (let i = 0; i <= go.keys.peter.length; i++)
    for (let j = i + 1; j <= go.keys.peter.length; j++)
      if (i !== 0 || j !== go.keys.peter.length)
        assert.throws(() => decodeVerifierKey(go.keys.peter.slice(i, j)), RangeError)
  for (let i = 0; i < go.keys.peter.length; i++) {
    const changed = String.fromCharCode(go.keys.peter.charCodeAt(i) + 1)
    assert.throws(() => decodeVerifierKey(go.keys.peter.slice(0, i) + changed + go.keys.peter.slice(i + 1)), RangeError)
  }
  for (const bad of go.badKeys) assert.throws(() => decodeVerifierKey(bad), RangeError)
})

test('golang.org/x/mod/sumdb/note: signing makes the published note', () => {
  const secret = fromBase64(go.secret).slice(1)
  const line = noteSignatureLine('PeterNeumann', ed25519.getPublicKey(secret), ed25519.sign(utf8(go.text), secret))
  assert.equal(line, go.signatures.peter)
  assert.equal(assembleNote(go.text, [line]), `${go.text}\n${go.signatures.peter}`)
})

test('golang.org/x/mod/sumdb/note: opening', () => {
  const both = `${go.text}\n${go.signatures.peter}${go.signatures.enoch}`
  assert.deepEqual(verifyNote(both, [peter])?.signedBy, [{ key: peter }])
  assert.equal(verifyNote(both, [peter])?.body, go.text)
  assert.deepEqual(verifyNote(both, [peter, enoch])?.signedBy, [{ key: peter }, { key: enoch }])
  assert.equal(verifyNote(both, []), null)
  assert.throws(() => verifyNote(both, [enoch, peter, enoch]), TypeError)
  const repeated = `${go.text}\n${go.signatures.peter}${go.signatures.peter}${go.signatures.enoch}`
  assert.deepEqual(verifyNote(repeated, [peter])?.signedBy, [{ key: peter }])
  const spoilt = `${go.signatures.peter.slice(0, 60)}ABCD${go.signatures.peter.slice(60)}`
  assert.equal(verifyNote(`${go.text}\n${spoilt}`, [peter]), null)
  assert.equal(verifyNote(`${go.text}\n${go.signatures.enoch}${spoilt}`, [peter, enoch]), null)
  assert.equal(verifyNote(`${go.text}\n${spoilt}${go.signatures.enoch}`, [enoch])?.signedBy.length, 1)
  assert.ok(verifyNote(`${go.text}\n${go.signatures.peter.repeat(100)}`, [peter]))
  assert.equal(verifyNote(`${go.text}\n${go.signatures.peter.repeat(101)}`, [peter]), null)
  const { peter: line } = go.signatures
  for (const bad of [
    '',
    '\n\n',
    go.text,
    `${go.text}\n`,
    `${go.text}\n${line.slice(0, -1)}`,
    `\x01${go.text}\n${line}`,
    `\ud800${go.text}\n${line}`,
    `${go.text}\n${line.replace('PeterNeumann', 'Bad Name')}`,
    `${go.text}\n${line.replace('PeterNeumann', 'Bad\u00a0Name')}`,
    `${go.text}\n${line.replace('PeterNeumann', 'Bad+Name')}`,
    `${go.text}\n${line.replace('—', '-')}`,
    `${go.text}\n${line}Unexpected line.\n`,
    `${go.text}\n${line.replaceAll('\n', '\r\n')}`,
    `${go.text}\n— PeterNeumann x08gow==\n`,
    `${'x'.repeat(131_072)}\n\n${line}`,
  ]) {
    assert.equal(verifyNote(bad, [peter]), null)
    assert.throws(() => parseNote(bad), RangeError)
  }
})

test('sum.golang.org: checkpoints verify under its key, and not when changed', () => {
  for (const { key, checkpoint } of notes.sumdb) {
    const log = decodeVerifierKey(key)
    // The origin of this log is not its key's name, so it is verified as a note.
    assert.equal(verifyNote(checkpoint, [log])?.signedBy.length, 1)
    assert.equal(parseCheckpoint(checkpoint).origin, 'go.sum database tree')
    assert.equal(verifyCheckpoint(checkpoint, log), null)
    const size = String(parseCheckpoint(checkpoint).size)
    assert.equal(verifyNote(checkpoint.replace(`\n${size}\n`, `\n${Number(size) + 1}\n`), [log]), null)
  }
})

test('C2SP: the example of tlog-cosignature is read as it says', () => {
  const checkpoint = parseCheckpoint(notes.c2sp.checkpoint)
  assert.equal(checkpoint.origin, 'example.com/behind-the-sofa')
  assert.equal(checkpoint.size, 20_852_163)
  assert.deepEqual(checkpoint.extensions, [])
  assert.equal(checkpoint.body, checkpointBody(checkpoint.origin, checkpoint.size, checkpoint.root))
  const [, cosignature] = checkpoint.signatures
  assert.ok(cosignature)
  assert.equal(cosignature.name, 'witness.example.com/w1')
  assert.equal(cosignature.signature.length, 72)
  const view = new DataView(cosignature.signature.buffer)
  assert.equal(Number(view.getBigUint64(0)), notes.c2sp.cosignatureSeconds)
  assert.equal(
    new TextDecoder().decode(cosignatureMessage(checkpoint.body, notes.c2sp.cosignatureSeconds)),
    'cosignature/v1\ntime 1679315147\nexample.com/behind-the-sofa\n20852163\n' +
      'CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n',
  )
})

test('checkpoints of other logs, cosigned by public witnesses', () => {
  for (const { logKey: log, witnessKeys, unixSeconds, checkpoint } of notes.witnessed) {
    const witnesses = witnessKeys.map(decodeVerifierKey)
    const verified = verifyCheckpoint(checkpoint, decodeVerifierKey(log), witnesses)
    assert.ok(verified)
    for (const witness of witnesses) {
      assert.equal(cosignedAt(verified, witness), unixSeconds)
      const changed = checkpoint.replace('1432088532', '1432088533')
      assert.equal(verifyNote(changed, [witness]), null)
    }
  }
})

const secrets = { log: new Uint8Array(32).fill(1), identity: new Uint8Array(32).fill(2) }
const origin = 'keys.example.com/org_01h455vb4pex5vsknk084sn02t'
const logKey = verifierKey(origin, NOTE_ED25519, ed25519.getPublicKey(secrets.log))
const identity = verifierKey('keys.example.com', NOTE_COSIGNATURE, ed25519.getPublicKey(secrets.identity))

function sign(body: string, times: readonly number[]): string {
  return assembleNote(body, [
    noteSignatureLine(origin, logKey.publicKey, ed25519.sign(utf8(body), secrets.log)),
    ...times.map((time) =>
      cosignatureLine(
        identity.name,
        identity.publicKey,
        time,
        ed25519.sign(cosignatureMessage(body, time), secrets.identity),
      ),
    ),
  ])
}

test('our checkpoints: signed by the log, cosigned by the instance', () => {
  const body = checkpointBody(origin, 7, emptyRoot)
  const text = sign(body, [1_700_000_000])
  const verified = verifyCheckpoint(text, logKey, [identity])
  assert.ok(verified)
  assert.equal(verified.size, 7)
  assert.deepEqual(verified.root, emptyRoot)
  assert.equal(cosignedAt(verified, identity), 1_700_000_000)
  assert.ok(verifyCheckpoint(text, logKey))
  const twice = verifyCheckpoint(sign(body, [1_700_000_005, 1_700_000_000]), logKey, [identity])
  assert.ok(twice)
  assert.equal(cosignedAt(twice, identity), 1_700_000_005)
  const alone = verifyCheckpoint(sign(body, []), logKey, [identity])
  assert.ok(alone)
  assert.equal(cosignedAt(alone, identity), null)
})

test('a checkpoint is refused without the signature of its log', () => {
  const body = checkpointBody(origin, 7, emptyRoot)
  const text = sign(body, [1_700_000_000])
  const [head = '', signatures = ''] = text.split('\n\n')
  const [first = '', second = ''] = signatures.trimEnd().split('\n')
  assert.equal(verifyCheckpoint(`${head}\n\n${second}\n`, logKey, [identity]), null)
  const other = verifierKey(`${origin.slice(0, -1)}0`, NOTE_ED25519, logKey.publicKey)
  assert.equal(verifyCheckpoint(text, other, [identity]), null)
  // The same key under the other signature type has another id, so its line is not taken for this one.
  assert.equal(verifyCheckpoint(text, verifierKey(origin, NOTE_COSIGNATURE, logKey.publicKey)), null)
  assert.notDeepEqual(noteKeyId(origin, 1, logKey.publicKey), noteKeyId(origin, 4, logKey.publicKey))
  const wrongTime = ed25519.sign(cosignatureMessage(body, 5), secrets.identity)
  const spoilt = cosignatureLine(identity.name, identity.publicKey, 6, wrongTime)
  assert.equal(verifyCheckpoint(`${head}\n\n${first}\n${spoilt}`, logKey, [identity]), null)
  assert.ok(verifyCheckpoint(`${head}\n\n${first}\n${spoilt}`, logKey))
})

test('property: no changed character verifies', () => {
  const text = sign(checkpointBody(origin, 1_234_567, emptyRoot), [1_700_000_000])
  fc.assert(
    fc.property(fc.nat(text.length - 1), fc.integer({ min: 0x20, max: 0x7e }), (at, code) => {
      const changed = text.slice(0, at) + String.fromCharCode(code) + text.slice(at + 1)
      if (changed !== text) {
        const verified = verifyCheckpoint(changed, logKey, [identity])
        // A line that no longer names the identity is passed over, as one by a stranger is.
        assert.ok(verified === null || cosignedAt(verified, identity) === null)
        if (verified) assert.equal(verified.body, checkpointBody(origin, 1_234_567, emptyRoot))
      }
    }),
    { numRuns: 500 },
  )
})

test('checkpoints with other texts are refused', () => {
  const line = noteSignatureLine(origin, logKey.publicKey, new Uint8Array(64))
  const root = checkpointBody('o', 0, emptyRoot).split('\n')[2]
  for (const body of [
    `${origin}\n7\n`,
    `\n7\n${root}\n`,
    `${origin}\n07\n${root}\n`,
    `${origin}\n+7\n${root}\n`,
    `${origin}\n-7\n${root}\n`,
    `${origin}\n\n${root}\n`,
    `${origin}\n9007199254740992\n${root}\n`,
    `${origin}\n18446744073709551615\n${root}\n`,
    `${origin}\n7\n${root?.slice(0, -1)}\n`,
    `${origin}\n7\nAAAA\n`,
    `${origin}\n7\n${root}\n\nextension\n`,
  ])
    assert.throws(() => parseCheckpoint(`${body}\n${line}`), RangeError, body)
  assert.deepEqual(parseCheckpoint(`${origin}\n9007199254740991\n${root}\nmore\n\n${line}`).extensions, ['more'])
})

test('misuse is refused', () => {
  for (const name of ['', 'a b', 'a+b', 'a\nb', 'a\u2003b', 'a\x7f '])
    assert.throws(() => checkpointBody(name, 1, emptyRoot), RangeError)
  assert.throws(() => checkpointBody(origin, 2 ** 53, emptyRoot), RangeError)
  assert.throws(() => checkpointBody(origin, 1, emptyRoot.slice(1)), RangeError)
  assert.throws(() => cosignatureMessage('x\n', 1.5), RangeError)
  assert.throws(() => noteSignatureLine(origin, logKey.publicKey, new Uint8Array(63)), RangeError)
  assert.throws(() => cosignatureLine(origin, logKey.publicKey, -1, new Uint8Array(64)), RangeError)
  assert.throws(() => verifierKey(origin, NOTE_ED25519, new Uint8Array(31)), RangeError)
})

test('a key of small order verifies nothing', () => {
  // The neutral element: with ZIP-215 rules it would verify R = [S]B for every message.
  const key = verifierKey(
    'weak',
    NOTE_ED25519,
    Uint8Array.from({ length: 32 }, (_, i) => (i === 0 ? 1 : 0)),
  )
  const signature = new Uint8Array(64)
  signature[0] = 1
  assert.equal(verifyNote(`hello\n\n${noteSignatureLine('weak', key.publicKey, signature)}`, [key]), null)
})
