import { hash } from 'node:crypto'
import type { SchemeFacts } from '@popsigner/crypto/algorithm-facts'
import { type Algorithm, algorithm, isAlgorithm, type SigningHandle } from '@popsigner/crypto/algorithms'
import { equal, hex } from '@popsigner/crypto/bytes'
import { Secret, type SecretArena, slotLength } from '@popsigner/crypto/secret'
import { encodeTypeId } from '@popsigner/crypto/typeid'
import type { MaterialKind, Use } from '../custodian.ts'
import { sealedBy, sealedLength } from '../envelope.ts'
import type { RefusalCode } from '../faults.ts'
import type { RootKey } from '../key-file.ts'
import type { Ledger } from '../ledger.ts'
import { openInto } from '../sealing.ts'
import { parseSpec, type Spec } from '../spec.ts'

/**
 * Opened keys, in locked memory.
 *
 * A key is found by SHA-256 over the length of its specification, the specification and the envelope: what is found was
 * opened from these very bytes, so a hit proves what a miss would. What can change meanwhile (destroyed ids,
 * generations, the organization key it comes with) is compared at every use. A key that is put out has its slot zeroed
 * at once, and its handle refuses from then on.
 */
export interface Keyring {
  /** Open roots, oldest first. */
  readonly roots: readonly RootKey[]
  /** Keys open now, and the most there can be. */
  readonly used: number
  readonly slots: number
  /** An organization key, under the root that sealed it. */
  organizationKey(material: PackedMaterial): OpenedOrganizationKey | RefusalCode
  /** A key that signs, sealed by this organization key: a signing key or a log key, as `kind` says. */
  signer(
    organizationKey: OpenedOrganizationKey,
    material: PackedMaterial,
    kind: SigningKind,
  ): OpenedSigner | RefusalCode
  /**
   * Opens a secret outside the cache, for operations that move it. The caller wipes it. `null` stands for the root as
   * the key it is sealed by. `older` also opens what the ledger knows a narrower generation of.
   */
  secret(
    under: OpenedOrganizationKey | null,
    material: PackedMaterial,
    kind: MaterialKind,
    older?: 'older',
  ): OpenedSecret | RefusalCode
  /** Empty locked memory, 32 bytes unless told: a slot, or for what is longer than one an allocation of its own. */
  take(length?: number): Secret
  /** Puts out every key that has one of these ids (hex), or was sealed by one. */
  forget(ids: ReadonlySet<string>): void
  /** Puts out every key. */
  clear(): void
  /** Replaces the roots and wipes those that are no longer there. */
  setRoots(roots: readonly RootKey[]): void
}

/** The kinds of key that sign. */
export type SigningKind = 'signing-key' | 'log-key'

/** A material as one run of bytes, `u32be length ‖ specification ‖ envelope`, and its two parts as views of it. */
export interface PackedMaterial {
  readonly packed: Uint8Array
  readonly spec: Uint8Array
  readonly envelope: Uint8Array
}

/** An organization key while it is open. */
export interface OpenedOrganizationKey {
  readonly kind: 'organization-key'
  readonly spec: Spec
  readonly idHex: string
  readonly organization: Uint8Array
  readonly organizationHex: string
  /** `<instance>/<organization id>`. */
  readonly log: string
  readonly secret: Secret
  /** Set when the key is put out: then look it up again. */
  closed: boolean
}

/** A signing handle with the texts that its leaves must hold. */
export interface OpenedSigner {
  readonly kind: SigningKind
  readonly spec: Spec
  readonly idHex: string
  readonly sealedByHex: string
  readonly generationId: string
  readonly algorithm: Algorithm
  readonly handle: SigningHandle
  readonly keyText: string
  readonly publicKeyHex: string
  /** The schemes of its algorithm that its envelope allows. */
  readonly schemes: ReadonlyMap<string, SchemeFacts>
  readonly uses: readonly Use[]
  /** Set when the key is put out: then look it up again. */
  closed: boolean
}

/** A secret that was opened to be moved. */
export interface OpenedSecret {
  readonly spec: Spec
  readonly secret: Secret
}

interface Entry {
  readonly opened: OpenedOrganizationKey | OpenedSigner
  /** Set by a hit, taken away by a sweep: the second chance of CLOCK. */
  recent: boolean
}

/** Keys longer than a slot that are open at a time. OpenSSL takes 1,792 bytes of its secure heap for RSA of 4,096 bits. */
const longLimit = 512

/** Slots that are never filled by the cache: for the secrets that operations hold for the length of a call. */
const reservedSlots = 16

/** Opens nothing yet. The arena is used by nothing else from now on; `roots` are wiped with it. */
export function createKeyring(ports: {
  readonly instance: string
  readonly arena: SecretArena
  readonly ledger: Ledger
  readonly roots: readonly RootKey[]
}): Keyring {
  const { instance, arena, ledger } = ports
  if (arena.slots < 2 * reservedSlots) throw new RangeError(`arena: expected at least ${2 * reservedSlots} slots`)
  const most = arena.slots - reservedSlots
  const cache = new Map<string, Entry>()
  let roots = ports.roots

  function organizationKey(material: PackedMaterial): OpenedOrganizationKey | RefusalCode {
    const id = cacheId(material)
    const found = lookUp(id)
    if (found !== undefined) {
      if (found.kind !== 'organization-key') return 'custody.wrong_kind'
      return ledger.destroyed.has(found.idHex) ? 'custody.key_destroyed' : found
    }
    makeRoom()
    const opened = secret(null, material, 'organization-key')
    if (typeof opened === 'string') return opened
    const { spec } = opened
    const organization = spec.organization as Uint8Array
    const entry: OpenedOrganizationKey = {
      kind: 'organization-key',
      spec,
      idHex: hex(spec.key),
      organization,
      organizationHex: hex(organization),
      log: `${instance}/${encodeTypeId('org', organization)}`,
      secret: opened.secret,
      closed: false,
    }
    cache.set(id, { opened: entry, recent: true })
    return entry
  }

  function signer(
    under: OpenedOrganizationKey,
    material: PackedMaterial,
    kind: SigningKind,
  ): OpenedSigner | RefusalCode {
    const id = cacheId(material)
    const found = lookUp(id)
    if (found !== undefined) {
      if (found.kind !== kind) return 'custody.wrong_kind'
      if (found.sealedByHex !== under.idHex) return 'custody.not_opened'
      return standing(found.idHex, found.generationId, found.spec.generation) ?? found
    }
    const opened = secret(under, material, kind)
    if (typeof opened === 'string') return opened
    const { spec } = opened
    const row = algorithm(spec.algorithm as string)
    makeRoom()
    if (row.secretLength > slotLength) makeRoomForLong()
    let handle: SigningHandle
    try {
      handle = opened.secret.spend((bytes) => row.openSigner(bytes, arena))
    } catch {
      // OpenSSL's heap is full until the garbage collector comes by: this item fails, and no other.
      return 'custody.sign_failed'
    }
    const entry: OpenedSigner = {
      kind,
      spec,
      idHex: hex(spec.key),
      sealedByHex: under.idHex,
      generationId: generationId(spec),
      algorithm: row,
      handle,
      keyText: encodeTypeId('key', spec.key),
      publicKeyHex: hex(spec.publicKey as Uint8Array),
      schemes: new Map(
        row.schemes.filter(({ name }) => spec.schemes.includes(name)).map((scheme) => [scheme.name, scheme]),
      ),
      uses: spec.uses,
      closed: false,
    }
    cache.set(id, { opened: entry, recent: true })
    return entry
  }

  function secret(
    under: OpenedOrganizationKey | null,
    { spec: bytes, envelope }: PackedMaterial,
    kind: MaterialKind,
    older?: 'older',
  ): OpenedSecret | RefusalCode {
    const spec = readSpec(bytes)
    if (spec === null || spec.instance !== instance) return 'custody.not_opened'
    const by = sealedBy(envelope)
    const root = under === null && by !== null ? roots.find(({ id }) => equal(id, by)) : undefined
    const sealing =
      under === null ? root && { id: root.id, secret: root.key } : { id: under.spec.key, secret: under.secret }
    if (sealing === undefined || (root !== undefined && root.sequence < ledger.floor)) return 'custody.not_opened'
    if (under !== null && (spec.organization === null || !equal(spec.organization, under.organization)))
      return 'custody.not_opened'
    if (spec.kind !== kind) return 'custody.wrong_kind'
    const refusal = standing(hex(spec.key), generationId(spec), spec.generation)
    if (refusal !== null && (refusal !== 'custody.generation_old' || older === undefined)) return refusal
    const length = sealedLength(envelope)
    if (length === null) return 'custody.not_opened'
    const held = take(length)
    const open = held.use((into) =>
      sealing.secret.use((key) => openInto(into, { id: sealing.id, bytes: key }, envelope, bytes)),
    )
    if (open) return { spec, secret: held }
    held.wipe()
    return 'custody.not_opened'
  }

  function standing(idHex: string, generation: string, has: number): RefusalCode | null {
    if (ledger.destroyed.has(idHex)) return 'custody.key_destroyed'
    const narrowed = ledger.generations.size === 0 ? undefined : ledger.generations.get(generation)
    return narrowed !== undefined && has < narrowed.generation ? 'custody.generation_old' : null
  }

  function lookUp(id: string): OpenedOrganizationKey | OpenedSigner | undefined {
    const entry = cache.get(id)
    if (entry === undefined) return undefined
    entry.recent = true
    return entry.opened
  }

  function take(length = 32): Secret {
    return length > slotLength ? Secret.allocate(length) : arena.take(length)
  }

  /** Room for one more key, by putting out the first that was not used since the last sweep came by. */
  function makeRoom(): void {
    while (cache.size >= most || arena.available <= reservedSlots) {
      const next = cache.entries().next()
      if (next.done === true) return
      const [id, entry] = next.value
      cache.delete(id)
      if (entry.recent) cache.set(id, { opened: entry.opened, recent: false })
      else close(entry.opened)
    }
  }

  /** Keys that are longer than a slot lie in OpenSSL's secure heap, which is small. */
  function makeRoomForLong(): void {
    let open = 0
    let first: string | undefined
    for (const [id, { opened }] of cache) {
      if (opened.kind === 'organization-key' || opened.algorithm.secretLength <= slotLength) continue
      first ??= id
      open++
    }
    if (first === undefined || open < longLimit) return
    close((cache.get(first) as Entry).opened)
    cache.delete(first)
  }

  return {
    get roots() {
      return roots
    },
    get used() {
      return cache.size
    },
    slots: most,
    organizationKey,
    signer,
    secret,
    take,
    forget(ids) {
      for (const [id, { opened }] of cache) {
        const sealed = opened.kind !== 'organization-key' && ids.has(opened.sealedByHex)
        if (!sealed && !ids.has(opened.idHex)) continue
        cache.delete(id)
        close(opened)
      }
    },
    clear() {
      for (const { opened } of cache.values()) close(opened)
      cache.clear()
    },
    setRoots(next) {
      const gone = roots.filter((root) => !next.includes(root))
      roots = next
      for (const { key } of gone) key.wipe()
    },
  }
}

/** Whether an opened key is a refusal instead. */
export function isRefusal(opened: object | RefusalCode): opened is RefusalCode {
  return typeof opened === 'string'
}

/** How the ledger names a key version whose uses were narrowed. */
export function generationId(spec: Pick<Spec, 'key' | 'version'>): string {
  return `${hex(spec.key)}:${spec.version}`
}

function close(opened: OpenedOrganizationKey | OpenedSigner): void {
  opened.closed = true
  if (opened.kind === 'organization-key') opened.secret.wipe()
  else opened.handle.close()
}

function cacheId(material: PackedMaterial): string {
  // As text of single bytes: half the time of any other form, and a Map needs text.
  return hash('sha256', material.packed, 'binary')
}

/** The specification, or null for bytes that are none, or none of its kind: that is not told from a wrong envelope. */
function readSpec(bytes: Uint8Array): Spec | null {
  let spec: Spec
  try {
    spec = parseSpec(bytes)
  } catch {
    return null
  }
  const signs = spec.kind === 'signing-key' || spec.kind === 'log-key'
  const complete = spec.algorithm !== null && isAlgorithm(spec.algorithm) && spec.publicKey !== null
  if (signs && !complete) return null
  return spec.kind === 'organization-key' && spec.organization === null ? null : spec
}
