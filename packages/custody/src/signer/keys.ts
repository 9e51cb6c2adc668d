import { schemeOf } from '@popsigner/crypto/algorithm-facts'
import { algorithm, isAlgorithm } from '@popsigner/crypto/algorithms'
import { equal, hex } from '@popsigner/crypto/bytes'
import { sha256 } from '@popsigner/crypto/hash-native'
import { openInto, sealTo } from '@popsigner/crypto/hpke-native'
import { p256, uncompressedPublicKey } from '@popsigner/crypto/p256'
import type { Secret } from '@popsigner/crypto/secret'
import { exportAad, exportInfo, importAad, importInfo } from '@popsigner/crypto/wrapping'
import type { CreatedKey, KeySpec, Material, Use } from '../custodian.ts'
import { CustodyFault } from '../faults.ts'
import { seal } from '../sealing.ts'
import { assertSpec, encodeSpec, maxPublicKeyLength, type Spec } from '../spec.ts'
import { wrappingKeyMessage } from '../wrapping-key.ts'
import {
  generationId,
  isRefusal,
  type OpenedOrganizationKey,
  type OpenedSecret,
  type PackedMaterial,
} from './keyring.ts'
import {
  bytes,
  bytesUpTo,
  type Fields,
  fields,
  keySpec,
  listOf,
  material,
  names,
  nullable,
  readPayload,
  refuse,
  text,
  uses,
} from './payload.ts'
import type { Session, Signer } from './state.ts'

/** What a wrapping key is, in its specification: the KEM of RFC 9180 that takes it. */
const wrappingAlgorithm = 'dhkem-p256'
/** Most bytes of a wrapped key. */
const maxWrappedLength = 8192
/** Keys remembered by record id, for repeated requests. */
const madeLimit = 1024
/** Most ids of one destroy. */
const destroyLimit = 1000

const createFields = { record: bytes(16), organization_key: material, spec: keySpec }
const wrappingKeyFields = { organization_key: material, id: bytes(16), expires_at: text }
const importFields = {
  record: bytes(16),
  organization_key: material,
  wrapping_key: material,
  spec: keySpec,
  public_key: bytesUpTo(maxPublicKeyLength),
  wrapped: fields({ enc: bytes(65), ciphertext: bytesUpTo(maxWrappedLength) }),
}
const exportFields = { organization_key: material, material, recipient: bytes(65) }
const narrowFields = { organization_key: material, material, schemes: nullable(names), uses: nullable(uses) }
const resealFields = { from: material, to: material, material }
const destroyFields = { ids: listOf(bytes(16), destroyLimit) }

/** Makes a key. The same record id gives the same key, within one run of the signer. */
export function create(signer: Signer, session: Session, payload: Uint8Array): Fields | Promise<Fields> {
  const { record, organization_key, spec } = readPayload(payload, createFields)
  const under = openOrganizationKey(signer, session, organization_key)
  const sealed = checkSpec(signer, spec, under)
  return makeOnce(signer, record, payload, () => {
    const row = algorithm(spec.algorithm)
    const secret = signer.keyring.take(row.secretLength)
    const keep = (by: OpenedOrganizationKey): CreatedKey =>
      sealKey(signer, by, { ...sealed, publicKey: secret.use(row.publicKey), origin: 'generated' }, secret)
    if (row.generateLater !== undefined)
      return (
        row
          .generateLater(signer.entropy, secret)
          // Opened again: it may have been put out meanwhile.
          .then(() => keep(openOrganizationKey(signer, session, organization_key)))
          .finally(() => secret.wipe())
      )
    try {
      secret.use((into) => row.generate(signer.entropy, into))
      return keep(under)
    } finally {
      secret.wipe()
    }
  })
}

/** Makes a P-256 key that a caller can wrap a key for, and signs its public half with the identity. */
export function createWrappingKey(signer: Signer, session: Session, payload: Uint8Array): Fields {
  const { organization_key, id, expires_at } = readPayload(payload, wrappingKeyFields)
  const under = openOrganizationKey(signer, session, organization_key)
  const secret = signer.keyring.take()
  try {
    secret.use((into) => p256.generate(signer.entropy, into))
    const publicKey = secret.use(uncompressedPublicKey)
    const spec = {
      ...blankSpec(signer, under, id),
      kind: 'wrapping-key',
      algorithm: wrappingAlgorithm,
      publicKey,
    } as const
    const { material: made } = sealKey(signer, under, { ...spec, origin: 'generated' }, secret)
    const message = wrappingKeyMessage({
      instance: signer.instance,
      organization: under.organization,
      id,
      publicKey,
      expiresAt: expires_at,
    })
    return {
      material: materialFields(made),
      public_key: publicKey,
      signature: signer.identity.handle.sign(message).signature,
    }
  } finally {
    secret.wipe()
  }
}

/**
 * Takes a wrapped key in. It opens only under the specification that its owner bound, and has to be a key of its
 * algorithm.
 */
export function importKey(signer: Signer, session: Session, payload: Uint8Array): Fields | Promise<Fields> {
  const { record, organization_key, wrapping_key, spec, public_key, wrapped } = readPayload(payload, importFields)
  const under = openOrganizationKey(signer, session, organization_key)
  const sealed = checkSpec(signer, spec, under)
  const row = algorithm(spec.algorithm)
  return makeOnce(signer, record, payload, () => {
    const wrapping = mustOpen(signer.keyring.secret(under, wrapping_key, 'wrapping-key'))
    const secret = signer.keyring.take(row.secretLength)
    try {
      const aad = importAad({ ...boundFields(sealed, under, public_key), wrapping_key: wrapping.spec.key })
      const recipient = wrapping.spec.publicKey as Uint8Array
      const opened = secret.use((into) =>
        wrapping.secret.use((own) => openInto(into, own, recipient, wrapped.enc, importInfo, aad, wrapped.ciphertext)),
      )
      // One refusal for all: what failed inside the wrapping is nobody's business but its maker's.
      const valid = opened && secret.use((key) => row.isValidSecret(key) && equal(row.publicKey(key), public_key))
      if (!valid) throw new CustodyFault('custody.import_refused', null)
      return sealKey(signer, under, { ...sealed, publicKey: public_key, origin: 'imported' }, secret)
    } finally {
      secret.wipe()
      wrapping.secret.wipe()
    }
  })
}

/** Wraps a key for a recipient, if its envelope allows that one. */
export function exportKey(signer: Signer, session: Session, payload: Uint8Array): Fields {
  const { organization_key, material: sealed, recipient } = readPayload(payload, exportFields)
  const under = openOrganizationKey(signer, session, organization_key)
  const { spec, secret } = mustOpen(signer.keyring.secret(under, sealed, 'signing-key'))
  try {
    const rule = spec.export
    const allowed = rule === 'any' || (rule !== 'none' && equal(rule, sha256(recipient)))
    if (!allowed) throw new CustodyFault('custody.export_refused', null)
    const publicKey = spec.publicKey as Uint8Array
    const aad = exportAad({ ...boundFields(spec, under, publicKey), key: spec.key, version: spec.version })
    const { enc, ciphertext } = secret.use((key) => wrapFor(recipient, aad, key))
    return { enc, ciphertext, public_key: publicKey }
  } finally {
    secret.wipe()
  }
}

/**
 * Narrows a key: its next generation, after which the ledger refuses every older one. Given an envelope that is older
 * already (the answer to a narrowing was lost), what the ledger has is narrowed further, or sealed again as it is.
 */
export async function narrow(signer: Signer, session: Session, payload: Uint8Array): Promise<Fields> {
  const request = readPayload(payload, narrowFields)
  const under = openOrganizationKey(signer, session, request.organization_key)
  const { spec, secret } = mustOpen(signer.keyring.secret(under, request.material, 'signing-key', 'older'))
  let made: CreatedKey
  try {
    const schemes = request.schemes ?? spec.schemes
    const wanted = request.uses ?? spec.uses
    if (!schemes.every((one) => spec.schemes.includes(one)))
      throw new CustodyFault('custody.spec_refused', { field: 'schemes' })
    if (!wanted.every((one) => spec.uses.includes(one)))
      throw new CustodyFault('custody.spec_refused', { field: 'uses' })
    const id = generationId(spec)
    const known = signer.ledger.generations.get(id)
    const base = known !== undefined && known.generation > spec.generation ? known : spec
    const next = {
      schemes: base.schemes.filter((one) => schemes.includes(one)),
      uses: base.uses.filter((one: Use) => wanted.includes(one)),
    }
    if (next.schemes.length === 0) throw new CustodyFault('custody.spec_refused', { field: 'schemes' })
    if (next.uses.length === 0) throw new CustodyFault('custody.spec_refused', { field: 'uses' })
    const same = next.schemes.length === base.schemes.length && next.uses.length === base.uses.length
    const generation = same ? base.generation : base.generation + 1
    made = sealKey(signer, under, { ...spec, ...next, generation }, secret)
    if (generation > 1) signer.ledger.generations.set(id, { generation, ...next })
  } finally {
    secret.wipe()
  }
  await signer.ledger.commit()
  return createdFields(made)
}

/** Seals the same key, specification and all, under another key of the same organization. */
export function reseal(signer: Signer, session: Session, payload: Uint8Array): Fields {
  const request = readPayload(payload, resealFields)
  const to = openOrganizationKey(signer, session, request.to)
  const from = openOrganizationKey(signer, session, request.from)
  if (!equal(from.organization, to.organization)) throw new CustodyFault('custody.not_opened', null)
  // Any kind that an organization key seals; the kind stays what it is.
  for (const kind of ['signing-key', 'log-key', 'wrapping-key'] as const) {
    const opened = signer.keyring.secret(from, request.material, kind)
    if (opened === 'custody.wrong_kind') continue
    const { spec, secret } = mustOpen(opened)
    try {
      return createdFields(sealKey(signer, to, spec, secret))
    } finally {
      secret.wipe()
    }
  }
  throw new CustodyFault('custody.wrong_kind', null)
}

/** Refuses ids for good. Holds at once, and is on disk before the answer. */
export async function destroy(signer: Signer, _session: Session, payload: Uint8Array): Promise<Fields> {
  const ids = new Set(readPayload(payload, destroyFields).ids.map(hex))
  for (const id of ids) signer.ledger.destroyed.add(id)
  signer.keyring.forget(ids)
  await signer.ledger.commit()
  return {}
}

/** The organization key of a request; its log has to be proven on this connection. Throws the refusal. */
export function openOrganizationKey(signer: Signer, session: Session, sealed: PackedMaterial): OpenedOrganizationKey {
  const opened = signer.keyring.organizationKey(sealed)
  if (isRefusal(opened)) throw new CustodyFault(opened, null)
  if (!signer.ledger.logs.has(opened.organizationHex)) throw new CustodyFault('log.behind', null)
  if (!session.proven.has(opened.organizationHex)) throw new CustodyFault('log.unproven', null)
  return opened
}

/**
 * Seals what is in `secret` under an organization key. `RangeError` of a specification becomes `custody.spec_refused`.
 */
export function sealKey(
  signer: Signer,
  under: Pick<OpenedOrganizationKey, 'spec' | 'secret'>,
  spec: Spec,
  secret: Secret,
): CreatedKey {
  const encoded = encodeSpec(spec)
  const envelope = under.secret.use((key) =>
    secret.use((bytes) => seal({ id: under.spec.key, bytes: key }, signer.entropy, bytes, encoded)),
  )
  return { material: { spec: encoded, envelope }, publicKey: spec.publicKey as Uint8Array }
}

/** A specification in which nothing is allowed yet. */
export function blankSpec(
  signer: Signer,
  under: Pick<OpenedOrganizationKey, 'organization'> | null,
  key: Uint8Array,
): Omit<Spec, 'kind'> {
  return {
    instance: signer.instance,
    organization: under?.organization ?? null,
    key,
    version: 1,
    generation: 1,
    algorithm: null,
    schemes: [],
    uses: [],
    publicKey: null,
    origin: null,
    export: 'none',
    parent: null,
    path: null,
  }
}

/** A material as it travels. */
export function materialFields({ spec, envelope }: Material): Fields {
  return { spec, envelope }
}

function createdFields({ material: made, publicKey }: CreatedKey): Fields {
  return { material: materialFields(made), public_key: publicKey }
}

function checkSpec(signer: Signer, wanted: KeySpec, under: OpenedOrganizationKey): Spec {
  const refused = (field: string): CustodyFault => new CustodyFault('custody.spec_refused', { field })
  if (!equal(wanted.organization, under.organization)) throw refused('organization')
  if (!isAlgorithm(wanted.algorithm)) throw refused('algorithm')
  const row = algorithm(wanted.algorithm)
  if (wanted.schemes.length === 0 || !wanted.schemes.every((one) => schemeOf(row, one) !== undefined))
    throw refused('schemes')
  if (wanted.uses.length === 0) throw refused('uses')
  if (signer.ledger.destroyed.has(hex(wanted.key))) throw new CustodyFault('custody.key_destroyed', null)
  const { version, algorithm: name, schemes, uses: wantedUses, export: rule } = wanted
  const spec: Spec = {
    ...blankSpec(signer, under, wanted.key),
    kind: 'signing-key',
    version,
    algorithm: name,
    schemes,
    uses: wantedUses,
    export: rule,
  }
  try {
    assertSpec(spec)
  } catch (error) {
    throw refused(/^spec\.([a-z_]+)/.exec((error as Error).message)?.[1] ?? 'spec')
  }
  return spec
}

/** What wrapping binds, of a key on its way in or out. */
function boundFields(spec: Spec, under: OpenedOrganizationKey, publicKey: Uint8Array) {
  return {
    instance: spec.instance,
    organization: under.organization,
    algorithm: spec.algorithm as string,
    schemes: spec.schemes,
    uses: spec.uses,
    export: spec.export,
    public_key: publicKey,
  }
}

function wrapFor(recipient: Uint8Array, aad: Uint8Array, key: Uint8Array): { enc: Uint8Array; ciphertext: Uint8Array } {
  try {
    return sealTo(recipient, exportInfo, aad, key)
  } catch (error) {
    throw error instanceof RangeError ? refuse('recipient') : error
  }
}

function makeOnce(
  signer: Signer,
  record: Uint8Array,
  payload: Uint8Array,
  make: () => CreatedKey | Promise<CreatedKey>,
): Fields | Promise<Fields> {
  const id = hex(record)
  const request = hex(sha256(payload))
  const before = signer.made.get(id)
  if (before !== undefined && before.request !== request) throw new CustodyFault('custody.record_reused', null)
  const key = before?.key ?? make()
  signer.made.set(id, { request, key })
  if (signer.made.size > madeLimit) signer.made.delete(signer.made.keys().next().value as string)
  if (!(key instanceof Promise)) return createdFields(key)
  return key.then(createdFields, (error: unknown) => {
    signer.made.delete(id)
    throw error
  })
}

function mustOpen(opened: OpenedSecret | Parameters<typeof isRefusal>[0]): OpenedSecret {
  if (isRefusal(opened)) throw new CustodyFault(opened, null)
  return opened as OpenedSecret
}
