import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { ed25519 } from '@noble/curves/ed25519.js'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { type AlgorithmName, algorithmNames, factsOf } from '@popsigner/crypto/algorithm-facts'
import { equal, fromHex, hex, utf8 } from '@popsigner/crypto/bytes'
import { sha256 } from '@popsigner/crypto/hash'
import { generateRecipient, openWith, sealTo } from '@popsigner/crypto/hpke'
import { publicKeyOf, verifySignature } from '@popsigner/crypto/verify'
import { exportAad, exportInfo, importAad, importInfo } from '@popsigner/crypto/wrapping'
import type { SignerClient } from './client.ts'
import type { CreatedKey, CreatedWrappingKey, ImportRequest, KeySpec, Material } from './custodian.ts'
import { sealedBy } from './envelope.ts'
import {
  connectTo,
  instance,
  makeItem,
  makeKey,
  makeLog,
  makePlace,
  newId,
  newSecret,
  type Rig,
  refusalOf,
  signatureOf,
  startRig,
  startSigner,
  TestLog,
} from './signer.fixture.ts'
import { parseSpec } from './spec.ts'
import { wrappingKeyMessage } from './wrapping-key.ts'

let rig: Rig
let client: SignerClient
let log: TestLog

beforeEach(async () => {
  rig = await startRig()
  client = rig.client
  log = await makeLog(client)
})
afterEach(() => rig.close())

async function restart(meanwhile?: () => void): Promise<void> {
  await rig.restart(meanwhile)
  await client.prove([await log.extension(0)])
}

async function outcome(key: CreatedKey, organizationKey: Material = log.keys.organizationKey): Promise<string> {
  const item = { ...makeItem(log, key, utf8('a message')), organizationKey }
  return refusalOf((await client.sign([item])).results[0])
}

test('a destroyed key is refused at once and after a restart, by every operation', async () => {
  const [key, kept] = [await makeKey(client, log, { export: 'any' }), await makeKey(client, log)]
  const { key: id } = parseSpec(key.material.spec)
  assert.equal(await outcome(key), 'signed')
  const { slotsUsed } = (await client.hello()).memory
  await client.destroy([id])
  assert.equal((await client.hello()).memory.slotsUsed, slotsUsed - 1, 'its slot is free')
  for (const moment of ['at once', 'after a restart']) {
    assert.equal(await outcome(key), 'custody.key_destroyed', moment)
    const refused = { code: 'custody.key_destroyed' }
    const { organizationKey } = log.keys
    await assert.rejects(client.export(organizationKey, key.material, generateRecipient().publicKey), refused)
    await assert.rejects(client.narrow(organizationKey, key.material, {}), refused)
    await assert.rejects(client.reseal(organizationKey, organizationKey, key.material), refused)
    await assert.rejects(makeKey(client, log, { key: id, version: 2 }), refused)
    assert.equal(await outcome(kept), 'signed', moment)
    await restart()
  }
})

test('narrowing raises the generation, and the older envelope is refused from then on', async () => {
  const key = await makeKey(client, log)
  const { organizationKey } = log.keys
  assert.equal(await outcome(key), 'signed')
  const material = await client.narrow(organizationKey, key.material, { uses: ['raw', 'message'] })
  const spec = parseSpec(material.spec)
  assert.deepEqual([spec.generation, spec.uses], [2, ['message', 'raw']])
  assert.equal(await outcome(key), 'custody.generation_old')
  assert.equal(await outcome({ ...key, material }), 'signed')
  await restart()
  assert.equal(await outcome(key), 'custody.generation_old')
  await assert.rejects(client.export(organizationKey, key.material, generateRecipient().publicKey), {
    code: 'custody.generation_old',
  })
  const digest = makeItem(log, { ...key, material }, new Uint8Array(32), 'digest')
  assert.equal(refusalOf((await client.sign([digest])).results[0]), 'custody.use_refused')
})

test('nothing is ever widened, and a narrowing whose answer was lost can be had again', async () => {
  const key = await makeKey(client, log, { uses: ['message', 'raw'] })
  const { organizationKey } = log.keys
  const refused = (field: string) => ({ code: 'custody.spec_refused', detail: { field } })
  await assert.rejects(client.narrow(organizationKey, key.material, { uses: ['raw', 'digest'] }), refused('uses'))
  await assert.rejects(client.narrow(organizationKey, key.material, { uses: [] }), refused('uses'))
  await assert.rejects(
    client.narrow(organizationKey, key.material, { schemes: ['ecdsa', 'schnorr'] }),
    refused('schemes'),
  )
  await assert.rejects(client.narrow(organizationKey, key.material, { schemes: [] }), refused('schemes'))
  const lost = await client.narrow(organizationKey, key.material, { uses: ['raw'] })
  // The database still has the first generation: asked again, it gets what the ledger has, and not what the envelope
  // had.
  const again = await client.narrow(organizationKey, key.material, {})
  assert.deepEqual([parseSpec(again.spec).generation, parseSpec(again.spec).uses], [2, ['raw']])
  const wider = await client.narrow(organizationKey, key.material, { uses: ['message', 'raw'] })
  assert.deepEqual(parseSpec(wider.spec).uses, ['raw'])
  for (const material of [lost, again, wider]) assert.equal(await outcome({ ...key, material }), 'signed')
  await assert.rejects(client.narrow(organizationKey, key.material, { uses: ['message'] }), refused('uses'))
})

test('narrowing one version leaves the others of the key as they are', async () => {
  const id = newId()
  const first = await makeKey(client, log, { key: id })
  const second = await makeKey(client, log, { key: id, version: 2 })
  await client.narrow(log.keys.organizationKey, second.material, { uses: ['raw'] })
  assert.equal(await outcome(first), 'signed')
  assert.equal(await outcome(second), 'custody.generation_old')
})

/** The same organization key after a rotation, with all it sealed. */
async function rotateAll(keys: readonly Material[]): Promise<{ organizationKey: Material; keys: Material[] }> {
  const old = log.keys.organizationKey
  const organizationKey = await client.rotateOrganizationKey(old)
  return { organizationKey, keys: await Promise.all(keys.map((key) => client.reseal(old, organizationKey, key))) }
}

test('an organization key is rotated while serving; destroyed, the old one opens nothing', async () => {
  const made = await makeKey(client, log)
  const { organizationKey, keys } = await rotateAll([made.material, log.keys.logKey])
  const [material, logKey] = keys as [Material, Material]
  assert.deepEqual(material.spec, made.material.spec, 'the specification does not change')
  assert.equal(parseSpec(organizationKey.spec).version, 2)
  assert.equal(await outcome(made), 'signed', 'both are open together')
  assert.equal(await outcome({ ...made, material }, organizationKey), 'signed')
  assert.equal(await outcome({ ...made, material }), 'custody.not_opened', 'each only under its own')
  assert.equal(await outcome(made, organizationKey), 'custody.not_opened')

  await client.destroy([parseSpec(log.keys.organizationKey.spec).key])
  for (const moment of ['at once', 'after a restart']) {
    assert.equal(await outcome(made), 'custody.key_destroyed', moment)
    assert.equal(await outcome({ ...made, material }, organizationKey), 'signed', moment)
    const { size } = log
    const from = (await client.heads([log.organization]))[0]?.size ?? -1
    const [note] = await client.checkpoint([{ ...(await log.extension(from, size)), organizationKey, logKey }])
    assert.equal(note?.kind, 'signed', moment)
    await rig.running.kill()
    const back = new Promise((resolve) => client.once('connected', resolve))
    await rig.start()
    await back
    await client.prove([await log.extension(size)])
  }
})

test('the root is rotated while serving; retired, the old one is refused for good, also from a copy of the key file', async () => {
  const key = await makeKey(client, log)
  const copy = readFileSync(join(rig.place.directory, 'seal/root.key'))
  const old = log.keys.organizationKey
  await assert.rejects(client.retireRoot(), { code: 'seal.rotation_state', detail: { roots: 1 } })
  const open = await client.rotateRoot()
  assert.deepEqual(
    open.map(({ sequence }) => sequence),
    [1, 2],
  )
  await assert.rejects(client.rotateRoot(), { code: 'seal.rotation_state', detail: { roots: 2 } })
  assert.equal(await outcome(key), 'signed')
  await restart()
  assert.equal((await client.roots()).length, 2, 'it was in the key file before it was answered')

  const organizationKey = await client.resealOrganizationKey(old)
  assert.deepEqual(organizationKey.spec, old.spec)
  assert.equal(hex(sealedBy(organizationKey.envelope) as Uint8Array), hex(open[1]?.id as Uint8Array))
  assert.equal(await outcome(key, organizationKey), 'signed')
  assert.deepEqual(
    (await client.retireRoot()).map(({ sequence }) => sequence),
    [2],
  )
  assert.equal(await outcome(key), 'custody.not_opened')
  assert.equal(await outcome(key, organizationKey), 'signed')
  await restart()
  assert.equal(await outcome(key), 'custody.not_opened')
  assert.equal(await outcome(key, organizationKey), 'signed')
  assert.equal(hex((await client.hello()).identity), hex(rig.place.identity), 'the identity came along')

  await rig.running.kill('SIGTERM')
  writeFileSync(join(rig.place.directory, 'seal/root.key'), copy)
  await assert.rejects(startSigner(rig.place), /no root that the ledger still accepts/)
})

test('a retirement that broke off between ledger and key file is finished by the next start', async () => {
  await client.rotateRoot()
  const both = readFileSync(join(rig.place.directory, 'seal/root.key'))
  await client.retireRoot()
  const one = readFileSync(join(rig.place.directory, 'seal/root.key'))
  assert.ok(one.length < both.length)
  await restart(() => writeFileSync(join(rig.place.directory, 'seal/root.key'), both))
  assert.deepEqual(
    (await client.roots()).map(({ sequence }) => sequence),
    [2],
  )
  assert.equal(hex(readFileSync(join(rig.place.directory, 'seal/root.key'))), hex(one))
})

test('an organization key of another organization cannot be the target of a reseal', async () => {
  const key = await makeKey(client, log)
  const other = await makeLog(client)
  const { organizationKey } = log.keys
  await assert.rejects(client.reseal(organizationKey, other.keys.organizationKey, key.material), {
    code: 'custody.not_opened',
  })
  await assert.rejects(client.reseal(organizationKey, organizationKey, organizationKey), { code: 'custody.wrong_kind' })
})

async function wrap(
  spec: KeySpec,
  wrapping: CreatedWrappingKey,
  id: Uint8Array,
  secret: Uint8Array,
  publicKey: Uint8Array,
) {
  const { organization, algorithm, schemes, uses } = spec
  const bound = {
    instance,
    organization,
    wrapping_key: id,
    algorithm,
    schemes,
    uses,
    export: spec.export,
    public_key: publicKey,
  }
  return sealTo(wrapping.publicKey, importInfo, importAad(bound), secret)
}

async function importRequest(
  algorithm: AlgorithmName,
  secret: Uint8Array,
  publicKey: Uint8Array,
): Promise<ImportRequest> {
  const id = newId()
  const wrappingKey = await client.createWrappingKey(log.keys.organizationKey, id, '2030-01-01T00:00:00.000Z')
  const spec: KeySpec = {
    organization: log.organization,
    key: newId(),
    version: 1,
    algorithm,
    schemes: [factsOf(algorithm).schemes[0].name],
    uses: ['raw'],
    export: 'any',
  }
  return {
    recordId: newId(),
    organizationKey: log.keys.organizationKey,
    wrappingKey: wrappingKey.material,
    spec,
    publicKey,
    wrapped: await wrap(spec, wrappingKey, id, secret, publicKey),
  }
}

test('a key of every algorithm is imported, signs, and comes out again as it went in', async () => {
  for (const algorithm of algorithmNames) {
    const secret = await newSecret(algorithm)
    const publicKey = publicKeyOf(algorithm, secret)
    const request = await importRequest(algorithm, secret, publicKey)
    const key = await client.import(request)
    assert.equal(hex(key.publicKey), hex(publicKey))
    assert.equal(parseSpec(key.material.spec).origin, 'imported')
    assert.deepEqual(await client.import(request), key, 'the same record gives the same key')
    const message = utf8('imported')
    const { results } = await client.sign([makeItem(log, key, message)])
    assert.equal(verifySignature(algorithm, { message }, signatureOf(results[0]), publicKey), true)

    const recipient = generateRecipient()
    const { enc, ciphertext } = await client.export(log.keys.organizationKey, key.material, recipient.publicKey)
    const { organization, key: id, version, schemes, uses } = request.spec
    const bound = {
      instance,
      organization,
      key: id,
      version,
      algorithm,
      schemes,
      uses,
      export: 'any',
      public_key: publicKey,
    } as const
    const opened = await openWith(
      recipient.privateKey,
      recipient.publicKey,
      enc,
      exportInfo,
      exportAad(bound),
      ciphertext,
    )
    assert.equal(hex(opened ?? new Uint8Array(0)), hex(secret))
  }
})

test('an import under any other specification than the caller bound is refused', async () => {
  const secret = secp256k1.utils.randomSecretKey()
  const request = await importRequest('secp256k1', secret, secp256k1.getPublicKey(secret))
  const other = await client.createWrappingKey(log.keys.organizationKey, newId(), '2030-01-01T00:00:00.000Z')
  const changes: Partial<ImportRequest>[] = [
    { spec: { ...request.spec, export: 'none' } },
    { spec: { ...request.spec, export: new Uint8Array(32) } },
    { spec: { ...request.spec, uses: ['raw', 'digest'] } },
    { spec: { ...request.spec, algorithm: 'p256' } },
    { publicKey: secp256k1.getPublicKey(secp256k1.utils.randomSecretKey()) },
    { wrappingKey: other.material },
    { wrapped: { ...request.wrapped, enc: generateRecipient().publicKey } },
    {
      wrapped: {
        ...request.wrapped,
        ciphertext: request.wrapped.ciphertext.map((byte, i) => (i === 3 ? byte ^ 1 : byte)),
      },
    },
    { wrapped: { ...request.wrapped, enc: new Uint8Array(65).fill(4) } },
  ]
  for (const [i, change] of changes.entries()) {
    const changed = client.import({ ...request, ...change, recordId: newId() })
    await assert.rejects(changed, { code: 'custody.import_refused' }, `change ${i}`)
  }
  assert.equal((await client.import(request)).publicKey.length, 33)
})

test('secrets that are no key, and public keys of another secret, are refused although they were wrapped well', async () => {
  const orders = {
    secp256k1: 'fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141',
    p256: 'ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551',
  } as const
  const any = secp256k1.getPublicKey(secp256k1.utils.randomSecretKey())
  for (const algorithm of ['secp256k1', 'p256'] as const)
    for (const secret of [new Uint8Array(32), fromHex(orders[algorithm]), new Uint8Array(32).fill(255)])
      await assert.rejects(client.import(await importRequest(algorithm, secret, any)), {
        code: 'custody.import_refused',
      })
  const zero = await importRequest('ed25519', new Uint8Array(32), ed25519.getPublicKey(new Uint8Array(32)))
  await assert.rejects(client.import(zero), { code: 'custody.import_refused' })
  const mismatch = await importRequest('secp256k1', secp256k1.utils.randomSecretKey(), any)
  await assert.rejects(client.import(mismatch), { code: 'custody.import_refused' })
  const short = await importRequest('secp256k1', secp256k1.utils.randomSecretKey().subarray(1), any)
  await assert.rejects(client.import(short), { code: 'custody.import_refused' })
})

test('export is refused by the signer where the envelope says none, or names another recipient', async () => {
  const { organizationKey } = log.keys
  const [pinned, other] = [generateRecipient(), generateRecipient()]
  const refused = { code: 'custody.export_refused' }
  const none = await makeKey(client, log)
  await assert.rejects(client.export(organizationKey, none.material, other.publicKey), refused)
  const one = await makeKey(client, log, { export: sha256(pinned.publicKey) })
  await assert.rejects(client.export(organizationKey, one.material, other.publicKey), refused)
  assert.equal((await client.export(organizationKey, one.material, pinned.publicKey)).ciphertext.length, 48)
  const any = await makeKey(client, log, { export: 'any' })
  await assert.rejects(client.export(organizationKey, any.material, new Uint8Array(65).fill(4)), {
    code: 'custody.request_refused',
  })
})

test('a wrapping key is signed by the identity', async () => {
  const id = newId()
  const expiresAt = '2030-01-01T00:00:00.000Z'
  const { publicKey, signature } = await client.createWrappingKey(log.keys.organizationKey, id, expiresAt)
  const facts = { instance, organization: log.organization, id, publicKey, expiresAt }
  assert.equal(ed25519.verify(signature, wrappingKeyMessage(facts), rig.place.identity), true)
  const later = wrappingKeyMessage({ ...facts, expiresAt: '2031-01-01T00:00:00.000Z' })
  assert.equal(ed25519.verify(signature, later, rig.place.identity), false)
})

test('beginning a log twice is refused, and an unknown organization makes no keys', async () => {
  await assert.rejects(client.createLog(log.organization), { code: 'log.exists' })
  const stranger = await makePlace()
  const signer = await startSigner(stranger)
  const other = await connectTo(stranger)
  try {
    const theirs = await makeLog(other)
    await assert.rejects(makeKey(client, new TestLog(theirs.organization, theirs.keys)), { code: 'custody.not_opened' })
    assert.equal(equal(theirs.organization, log.organization), false)
  } finally {
    await other.close()
    await signer.kill('SIGTERM')
    stranger.remove()
  }
})
