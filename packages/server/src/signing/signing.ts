import { hash as digestOf } from 'node:crypto'
import { type AlgorithmName, factsOf } from '@popsigner/crypto/algorithm-facts'
import { sha256 } from '@popsigner/crypto/hash-native'
import { createLane } from '@popsigner/crypto/lane'
import { decodeTypeId, encodeTypeId, uuidText } from '@popsigner/crypto/typeid'
import type { SignerClient } from '@popsigner/custody/client'
import type { InclusionProof, Material, SignItem, SignResult } from '@popsigner/custody/custodian'
import type { RefusalCode } from '@popsigner/custody/faults'
import { buildLeaf, type LeafOf, parseLeaf } from '@popsigner/transparency/record'
import { createSignedLeafBuilder, type SignedLeafBuilder } from '@popsigner/transparency/signed-leaf'
import { inclusionPath } from '@popsigner/transparency/tiles'
import type { Pool } from 'pg'
import { type Authorization, type AuthorizeItem, type Authorizer, isSameMonth } from '../authorize/authorizer.ts'
import { faultOf } from '../http/faults-of.ts'
import { RequestFault } from '../http/request-fault.ts'
import { newUuid } from '../ids.ts'
import { commit, type Text } from '../log/commitments.ts'
import type { Keeper } from '../log/keeper.ts'
import { encodeTexts } from '../log/leaves.ts'
import { readLeaf } from '../log/read-leaf.ts'
import type { Credential } from '../tenants/credential.ts'
import type { OrganizationState, Organizations } from '../tenants/organization.ts'
import { findSigningKey, type SigningKey, type SigningKeyVersion } from '../tenants/signing-key.ts'
import { type Decision, decide, type SigningInput } from './decide.ts'

/** How long after its commit a signature may still be made. */
const deadlineMilliseconds = 10_000
/** Under one change after another of the organization a signature is decided again so often, which takes about a second. */
const maximumDecisions = 20
const coverMilliseconds = 2_000
/** How often an item is handed over again when the signer refused it for what has changed since it was decided. */
const maximumHandOvers = 4
const changingMilliseconds = 50
/** Items of one frame to the signer: few enough that answering begins while it signs. */
const itemsPerFrame = 32
/** Of a frame of slow ones, and how many such frames are under way: a fast signature waits for no more than these. */
const slowItemsPerFrame = 2
const slowFrames = 2
/** How long a signature waits for a statement that has to be made first. */
const statementWaitMilliseconds = 3_000

/** Who asks, and how it stands in the record. */
export interface Caller {
  readonly credential: Credential
  /** `req_…` */
  readonly request: string
  readonly address: Text
  readonly userAgent: Text
  /** The caller's references, encoded once for all records of the request. */
  readonly texts: Uint8Array
  /** The same caller under the present epoch. Rejects when the credential is no longer good. */
  renew(): Promise<Caller>
}

/** The claim of an idempotency key for one item. */
export interface Claim {
  /** uuid text. */
  readonly claim: string
  /** uuid text. */
  readonly body: string
  /** Hex of SHA-256 of the Idempotency-Key. */
  readonly key: string
}

/** A signature, as the API answers it. */
export interface Signature {
  readonly key: string
  readonly signature: Uint8Array
  readonly recovery: number | null
  readonly publicKey: string
  readonly version: number
  readonly record: string
}

export interface SigningOptions {
  readonly pool: Pool
  readonly organizations: Organizations
  readonly authorizer: Authorizer
  readonly signer: SignerClient
  readonly keeper: Keeper
  /** Told how each item ended, for the metrics. */
  readonly observe: (outcome: 'signed' | 'refused' | 'failed' | 'unknown') => void
  /** Told of an error that nobody meant for a caller. */
  readonly onError: (error: unknown) => void
}

export interface Signing {
  /** The key of this id as signatures are decided on it; null where the caller has none. */
  find(caller: Caller, keyId: string): Promise<SigningKey | null>
  /** One signature, or why there is none. Never rejects for what the item itself can be refused for. */
  sign(caller: Caller, keyId: string, input: SigningInput, claim: Claim | null): Promise<Signature | RequestFault>
  /** The same for many, an answer for each. Their quota is taken in this order. */
  signAll(caller: Caller, asked: readonly AskedSignature[]): Promise<(Signature | RequestFault)[]>
}

/** One item of a batch. */
export interface AskedSignature {
  /** `key_…`, or whatever the caller wrote there. */
  readonly key: string
  readonly input: SigningInput
  readonly claim: Claim | null
}

interface Waiting {
  readonly item: SignItem
  /** Whether its algorithm is slow. */
  readonly slow: boolean
  readonly organization: string
  readonly settle: (result: SignResult) => void
}

/** Authorize, then sign: a decision, a durable record, and only then the custodian. */
export function createSigning(options: SigningOptions): Signing {
  const { pool, organizations, authorizer, signer, keeper, observe, onError } = options
  const builders = new WeakMap<SigningKeyVersion, Map<string, SignedLeafBuilder>>()
  let departing: Waiting[] = []
  const slowLane = createLane(slowFrames)

  /** What one commit authorized goes to the custodian in frames: while it signs the second, the first is answered. */
  function handOver(waiting: Waiting): void {
    departing.push(waiting)
    if (departing.length === 1) queueMicrotask(depart)
  }

  function depart(): void {
    const slow = departing.filter((waiting) => waiting.slow)
    const fast = slow.length === 0 ? departing : departing.filter((waiting) => !waiting.slow)
    departing = []
    for (let i = 0; i < fast.length; i += itemsPerFrame) void sendFrame(fast.slice(i, i + itemsPerFrame))
    for (let i = 0; i < slow.length; i += slowItemsPerFrame) {
      const batch = slow.slice(i, i + slowItemsPerFrame)
      void slowLane(() => sendFrame(batch))
    }
  }

  function sendFrame(batch: readonly Waiting[]): Promise<void> {
    return signer.sign(batch.map((w) => w.item)).then(
      ({ results, statementDue }) => {
        const due = new Set(statementDue.map((id) => uuidText(id)))
        for (let i = 0; i < batch.length; i++) {
          const waiting = batch[i] as Waiting
          waiting.settle(results[i] as SignResult)
        }
        for (const organization of new Set(batch.map((w) => w.organization)))
          keeper.signed(organization, due.has(organization))
      },
      () => {
        for (const waiting of batch) waiting.settle({ kind: 'unknown' })
      },
    )
  }

  function builderOf(caller: Caller, key: SigningKey, decision: Decision): SignedLeafBuilder {
    let byActor = builders.get(decision.version)
    if (!byActor) {
      byActor = new Map()
      builders.set(decision.version, byActor)
    }
    const name = `${caller.credential.actor} ${decision.scheme.name} ${decision.input} ${decision.hash}`
    let builder = byActor.get(name)
    if (!builder) {
      const facts = {
        log: caller.credential.organization.log,
        actor: caller.credential.actor,
        key: key.text,
        version: decision.version.version,
        public_key: decision.version.publicKeyHex,
        algorithm: key.algorithm,
        scheme: decision.scheme.name,
        input: decision.input,
        ...(decision.hash === null ? {} : { hash: decision.hash }),
      }
      builder = createSignedLeafBuilder(facts, decision.digest.length / 2)
      byActor.set(name, builder)
    }
    return builder
  }

  function itemFor(
    caller: Caller,
    key: SigningKey,
    decision: Decision,
    claim: Claim | null,
  ): { item: AuthorizeItem; record: string } {
    const record = newUuid()
    const id = encodeTypeId('rec', record)
    const stamp = Date.now()
    const leaf = builderOf(
      caller,
      key,
      decision,
    )({
      id,
      time: timeText(stamp),
      digest: decision.digest,
      dataHash: decision.dataHash,
      request: caller.request,
      address: commit(caller.address, id),
      userAgent: commit(caller.userAgent, id),
      idempotency: claim?.key,
      ...decision.ofChain,
    })
    const { organization } = caller.credential
    // RFC 6962 §2.1: a leaf is hashed with a zero byte before it.
    const bytes = Buffer.allocUnsafe(leaf.length + 1)
    bytes[0] = 0
    bytes.write(leaf, 1, 'latin1')
    return {
      record: id,
      item: {
        organization: organization.id,
        epoch: organization.epoch,
        record,
        stamp,
        leaf: bytes.subarray(1),
        texts: caller.texts,
        charge: 1,
        limit: organization.plan.signaturesPerMonth,
        claim: claim?.claim ?? null,
        body: claim?.body ?? null,
        row: {
          id: record,
          time: stamp,
          event: 'key.signed',
          actor: caller.credential.bytes,
          key: key.bytes,
          dataHash: decision.dataHash,
          address: caller.address.id,
          userAgent: caller.userAgent.id,
        },
        leafHash: digestOf('sha256', bytes, 'hex'),
      },
    }
  }

  async function sign(
    first: Caller,
    keyId: string,
    input: SigningInput,
    claim: Claim | null,
  ): Promise<Signature | RequestFault> {
    let caller = first
    for (let attempt = 0; attempt < maximumDecisions; attempt++) {
      const key = await keyFor(caller, keyId)
      if (!key) return keyNotFound()
      const decision = decide(key, input)
      if (decision instanceof RequestFault) return decision
      const { organization } = caller.credential
      if (!keeper.isProven(organization.id)) await keeper.prove(organization)
      const deciding = caller
      const made = await new Promise<Signature | RequestFault | Again>((done, failed) =>
        pursue(deciding, key, input, claim, decision, done, failed),
      )
      if (!(made instanceof Again)) return made
      if (made.epoch === null) continue
      organizations.supersede(organization.id, made.epoch)
      caller = await caller.renew()
    }
    return changing()
  }

  /**
   * One item from its decision to its signature. Where nothing is in the way, every item of a batch, this is three calls and no
   * promise: a signature that makes ten of them on its way takes a tenth more time.
   */
  function pursue(
    caller: Caller,
    key: SigningKey,
    input: SigningInput,
    claim: Claim | null,
    decision: Decision,
    done: (made: Signature | RequestFault | Again) => void,
    failed: (error: unknown) => void,
  ): void {
    const { item, record } = itemFor(caller, key, decision, claim)
    const { organization } = caller.credential
    authorizer.enqueue(item, (answer) => {
      if (answer.status === 'epoch') done(new Again(answer.epoch))
      else if (answer.status === 'replayed') {
        if (answer.sameBody) repeat(caller, key.text, input, claim as Claim, answer.index).then(done, failed)
        else done(bodyMismatch())
      } else if (answer.status !== 'authorized') done(refusalOf(answer))
      else {
        const sealed = sealedFor(organization, decision.version)
        if (sealed === null || !keeper.isProven(organization.id))
          finish(caller, key, decision, item, record, answer).then(done, failed)
        else {
          const settle = (result: SignResult): void => {
            if (result.kind === 'signed') done(signatureOf(key, decision, record, result))
            else finish(caller, key, decision, item, record, answer, { first: result }).then(done, failed)
          }
          handOver({
            settle,
            slow: factsOf(key.algorithm as AlgorithmName).slow,
            organization: organization.id,
            item: signItemOf(decision, item, sealed, answer, undefined),
          })
        }
      }
    })
  }

  async function signAll(first: Caller, asked: readonly AskedSignature[]): Promise<(Signature | RequestFault)[]> {
    const made = new Array<Signature | RequestFault>(asked.length).fill(changing())
    let open = asked.map((_, i) => i)
    let caller = first
    try {
      for (let attempt = 0; attempt < maximumDecisions && open.length > 0; attempt++) {
        const now = caller
        const { organization } = now.credential
        // All keys are at hand before the first item is enqueued: the items go in the order of the request.
        const names = [...new Set(open.map((i) => (asked[i] as AskedSignature).key))]
        const keys = new Map(await Promise.all(names.map(async (name) => [name, await keyFor(now, name)] as const)))
        if (!keeper.isProven(organization.id)) await keeper.prove(organization)
        const again: number[] = []
        let epoch: number | null = null
        await new Promise<void>((resolve) => {
          let pending = open.length
          for (const i of open) {
            const settle = (one: Signature | RequestFault | Again): void => {
              if (one instanceof Again) {
                again.push(i)
                epoch = one.epoch ?? epoch
              } else made[i] = one
              if (--pending === 0) resolve()
            }
            const { key: name, input, claim } = asked[i] as AskedSignature
            const key = keys.get(name)
            const decision = key ? decide(key, input) : keyNotFound()
            if (!key || decision instanceof RequestFault) settle(decision as RequestFault)
            else pursue(now, key, input, claim, decision, settle, (error) => settle(refusalFor(error)))
          }
        })
        open = again.sort((a, b) => a - b)
        if (epoch === null) continue
        organizations.supersede(organization.id, epoch)
        caller = await caller.renew()
      }
    } catch (error) {
      for (const i of open) made[i] = refusalFor(error)
    }
    return made
  }

  async function keyFor(caller: Caller, id: string): Promise<SigningKey | null> {
    const { organization, namespaces } = caller.credential
    const key = organization.keys.get(id) ?? (await findSigningKey(pool, organization, id))
    return key && (namespaces === null || namespaces.has(key.namespace)) ? key : null
  }

  /** An authorized item, handed over until it is signed or known not to be. `first` is what came of the first time. */
  async function finish(
    caller: Caller,
    key: SigningKey,
    decision: Decision,
    item: AuthorizeItem,
    record: string,
    at: { index: number; committedAt: number },
    { repeated, first }: { repeated?: Repeated; first?: SignResult } = {},
  ): Promise<Signature | RequestFault> {
    const { organization } = caller.credential
    let sealed = sealedFor(organization, decision.version)
    let result = first
    for (let i = 0; i < maximumHandOvers && sealed; i++) {
      const handedOver = sealed
      if (i > 0 || result === undefined) {
        // A connection that was lost since may have come back to another database: it is looked at before anything is signed.
        if (!keeper.isProven(organization.id)) await keeper.prove(organization)
        result = await new Promise<SignResult>((settle) =>
          handOver({
            settle,
            slow: factsOf(key.algorithm as AlgorithmName).slow,
            organization: organization.id,
            item: signItemOf(decision, item, handedOver, at, repeated),
          }),
        )
      }
      if (result.kind !== 'refused') break
      if (result.code === 'custody.statement_due' && Date.now() < at.committedAt + statementWaitMilliseconds) {
        // The keeper was told, and fetches it.
        await new Promise((resolve) => setTimeout(resolve, changingMilliseconds))
        i--
      } else if (result.code === 'log.unproven') keeper.unprove(organization.id)
      else if (sealedAnew.has(result.code))
        sealed = await sealedNow(organization.id, key, decision, handedOver.material)
      else break
    }
    if (result === undefined) return new RequestFault('custody.refused', 'The key has no material that can be opened.')
    if (result.kind === 'signed') return signatureOf(key, decision, record, result)
    if (result.kind === 'unknown') {
      observe('unknown')
      return unavailable()
    }
    observe('failed')
    // Before the answer: a repeat must find that the record came to nothing.
    if (!repeated) await recordFailure(caller, item, key, decision.version.version, result.code)
    return custodyRefusal(result.code)
  }

  function signatureOf(
    key: SigningKey,
    { version }: Decision,
    record: string,
    { signature, recovery }: Extract<SignResult, { kind: 'signed' }>,
  ): Signature {
    observe('signed')
    return { key: key.text, signature, recovery, publicKey: version.publicKeyHex, version: version.version, record }
  }

  /** The version as it is sealed now, when a rotation or a narrowing has changed that since; null when it is the same. */
  async function sealedNow(
    organization: string,
    key: SigningKey,
    decision: Decision,
    before: Material,
  ): Promise<Sealed | null> {
    for (let i = 0; i < maximumHandOvers; i++) {
      organizations.supersede(organization, -1)
      const state = await organizations.get(organization, 0)
      const version = state && (await findSigningKey(pool, state, key.text))?.versions.get(decision.version.version)
      const now = version?.state === 'active' ? sealedFor(state as OrganizationState, version) : null
      if (!now || !Buffer.from(now.material.envelope).equals(before.envelope)) return now
      // Refused by the ledger already, and the transaction that says why is on its way.
      await new Promise((resolve) => setTimeout(resolve, changingMilliseconds))
    }
    return null
  }

  /** What the signer said it did not sign is recorded, its quota given back and its claim let go. */
  async function recordFailure(
    caller: Caller,
    failed: AuthorizeItem,
    key: SigningKey,
    version: number,
    code: RefusalCode,
  ): Promise<void> {
    const { organization } = caller.credential
    let epoch = organizations.peek(organization.id)?.epoch ?? failed.epoch
    for (let attempt = 0; attempt < maximumDecisions; attempt++) {
      const record = newUuid()
      const stamp = Date.now()
      const leaf: Omit<LeafOf<'key.sign_failed'>, 'v'> = {
        event: 'key.sign_failed',
        log: organization.log,
        id: encodeTypeId('rec', record),
        time: timeText(stamp),
        actor: caller.credential.actor,
        request: caller.request,
        record: encodeTypeId('rec', failed.record),
        key: key.text,
        version,
        code,
      }
      const answer = await authorizer.submit({
        organization: organization.id,
        epoch,
        record,
        stamp,
        leaf: buildLeaf(leaf),
        texts: Buffer.of(0),
        // What was taken in a month that is over is not given back to the next.
        charge: isSameMonth(failed.stamp, stamp) ? -1 : 0,
        limit: null,
        claim: null,
        body: null,
        release: failed.claim,
      })
      if (answer.status === 'epoch') epoch = answer.epoch
      // Nothing was written. A repeat of the request would meet a claim on what came to nothing.
      else if (answer.status === 'busy' || answer.status === 'skewed')
        await new Promise((resolve) => setTimeout(resolve, changingMilliseconds))
      else return
    }
  }

  /**
   * An idempotent repeat: the record, key version and charge of the first time, a signature made again. It is decided again under
   * the state of now, and the signer makes it only for a leaf that a checkpoint covers. `Again` when the first time has come
   * to nothing meanwhile and its claim is gone.
   */
  async function repeat(
    first: Caller,
    keyId: string,
    input: SigningInput,
    claim: Claim,
    index: number,
  ): Promise<Signature | RequestFault | Again> {
    const organization = first.credential.organization.id
    const stored = await readLeaf(pool, organization, index)
    if (!stored) return new RequestFault('record.expired', 'The record of the first time was removed.')
    const leaf = parseLeaf(stored)
    if (leaf.event !== 'key.signed' || leaf.key !== keyId) return bodyMismatch()
    for (let attempt = 2; attempt < 5; attempt++) {
      const checkpoint = await keeper.covering(organization, index + 1, coverMilliseconds)
      if (!checkpoint) break
      if (!(await isClaimed(organization, claim, index))) return new Again(null)
      // Waiting took its time: what was revoked or suspended meanwhile signs nothing.
      const state = await organizations.get(organization, 0)
      const caller = state === first.credential.organization ? first : await first.renew()
      const key = await keyFor(caller, keyId)
      if (!key) return keyNotFound()
      const decision = decide(key, { ...input, scheme: leaf.scheme, key_version: leaf.version })
      if (decision instanceof RequestFault) return decision
      if (decision.digest !== leaf.digest || decision.input !== leaf.input) return bodyMismatch()
      const path = await inclusionPath(await keeper.tree(organization, checkpoint.size), index, checkpoint.size, sha256)
      const item: AuthorizeItem = {
        organization,
        epoch: caller.credential.organization.epoch,
        record: decodeTypeId(leaf.id, 'rec') as Uint8Array,
        stamp: Date.now(),
        leaf: stored,
        texts: caller.texts,
        charge: 0,
        limit: null,
        claim: claim.claim,
        body: claim.body,
      }
      const made = await finish(
        caller,
        key,
        decision,
        item,
        leaf.id,
        { index, committedAt: Date.now() },
        { repeated: { attempt, proof: { size: checkpoint.size, path } } },
      )
      if (!(made instanceof RequestFault) || made.code !== 'receipt.not_ready') return made
    }
    return new RequestFault('receipt.not_ready', 'The record is not covered by a checkpoint yet.', {
      retryAfterSeconds: 1,
    })
  }

  /** Whether the claim still names the record at this index. */
  async function isClaimed(organization: string, { claim }: Claim, index: number): Promise<boolean> {
    const { rowCount } = await pool.query({
      name: 'claimed',
      text: 'select 1 from idempotency where organization_id = $1 and claim = $2 and index = $3',
      values: [organization, claim, index],
    })
    return rowCount === 1
  }

  function refusalFor(error: unknown): RequestFault {
    const fault = faultOf(error)
    if (fault.code === 'internal.error') onError(error)
    return fault
  }

  return {
    find: keyFor,
    async sign(caller, keyId, input, claim) {
      const made = await sign(caller, keyId, input, claim).catch(refusalFor)
      if (made instanceof RequestFault) observe('refused')
      return made
    },
    async signAll(caller, asked) {
      const made = await signAll(caller, asked)
      for (const one of made) if (one instanceof RequestFault) observe('refused')
      return made
    },
  }
}

/** What an item has to be decided anew for: a newer epoch of its organization, or null for something else that has changed. */
class Again {
  readonly epoch: number | null

  constructor(epoch: number | null) {
    this.epoch = epoch
  }
}

/** That a signature is made again, and the proof of its record. */
interface Repeated {
  readonly attempt: number
  readonly proof: InclusionProof
}

function signItemOf(
  decision: Decision,
  item: AuthorizeItem,
  { organizationKey, material }: Sealed,
  at: { readonly index: number; readonly committedAt: number },
  repeated: Repeated | undefined,
): SignItem {
  return {
    recordId: item.record,
    attempt: repeated?.attempt ?? 1,
    leaf: item.leaf,
    index: at.index,
    deadline: at.committedAt + deadlineMilliseconds,
    organizationKey,
    material,
    scheme: decision.scheme.name,
    input: decision.input,
    hash: decision.hash,
    data: decision.data,
    ...(repeated ? { proof: repeated.proof } : {}),
  }
}

/** A key version's material and what opens it. */
interface Sealed {
  readonly organizationKey: Material
  readonly material: Material
}

/** Refusals that are no more once what was sealed anew is handed over. */
const sealedAnew: ReadonlySet<RefusalCode> = new Set([
  'custody.key_destroyed',
  'custody.not_opened',
  'custody.generation_old',
])

function sealedFor(organization: OrganizationState, { material, sealedBy }: SigningKeyVersion): Sealed | null {
  const organizationKey = organization.organizationKeys.get(sealedBy)
  return material && organizationKey ? { organizationKey, material } : null
}

/**
 * The claims of an idempotency key for the items of a request to one route, by their numbers. `bodyHash` is hex of SHA-256 of
 * the body's canonical JSON.
 */
export function claimsOf(
  actor: string,
  route: string,
  idempotencyKey: string,
  bodyHash: string,
): (item: number | string) => Claim {
  const key = digestOf('sha256', idempotencyKey, 'hex')
  const body = uuidOfHash(bodyHash)
  return (item) => ({
    key,
    claim: uuidOfHash(digestOf('sha256', `${actor}\0${route}\0${item}\0${key}`, 'hex')),
    body,
  })
}

function uuidOfHash(hex: string): string {
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20, 32)}`
}

/** Texts of a request, encoded for every record it causes. */
export function textsOf(...texts: readonly Text[]): Uint8Array {
  return encodeTexts(texts)
}

let lastStamp = 0
let lastText = ''

function timeText(stamp: number): string {
  if (stamp !== lastStamp) {
    lastStamp = stamp
    lastText = new Date(stamp).toISOString()
  }
  return lastText
}

/** The refusal for an authorization that was not given, whatever was asked for. */
export function refusalOf(
  answer: Exclude<Authorization, { status: 'authorized' | 'replayed' | 'epoch' }>,
): RequestFault {
  switch (answer.status) {
    case 'quota':
      return new RequestFault('quota.signatures_exceeded', 'The signatures of this month are used up.')
    case 'keys':
      return new RequestFault('quota.keys_exceeded', 'The plan allows no more keys.')
    case 'namespaces':
      return new RequestFault('quota.namespaces_exceeded', 'The plan allows no more namespaces.')
    case 'busy':
      return new RequestFault('organization.busy', 'The organization is held by another change.', {
        retryAfterSeconds: 1,
      })
    case 'skewed':
      return new RequestFault('clock.skewed', 'The clocks of server and database differ by more than 2 s.', {
        retryAfterSeconds: 5,
      })
    case 'unavailable':
      return new RequestFault('database.unavailable', 'The record could not be written.', { retryAfterSeconds: 1 })
  }
}

function custodyRefusal(code: RefusalCode): RequestFault {
  if (code === 'log.behind')
    return new RequestFault('log.behind', 'The log does not extend what the signer has seen.', { retryAfterSeconds: 1 })
  if (code === 'custody.proof_stale')
    return new RequestFault('receipt.not_ready', 'The record is not covered by a checkpoint yet.', {
      retryAfterSeconds: 1,
    })
  if (code === 'custody.key_destroyed') return keyNotFound()
  if (code === 'custody.generation_old')
    return new RequestFault('organization.busy', 'The key was narrowed meanwhile; try again.', { retryAfterSeconds: 1 })
  if (code === 'custody.deadline' || code === 'custody.statement_due' || code === 'custody.ledger_failed')
    return unavailable()
  if (code === 'log.unproven') return unavailable()
  return new RequestFault('custody.refused', `The signer refused: ${code}.`)
}

function changing(): RequestFault {
  return new RequestFault('organization.busy', 'The organization is being changed; try again.', {
    retryAfterSeconds: 1,
  })
}

function keyNotFound(): RequestFault {
  return new RequestFault('key.not_found', 'No key has this id.')
}

function unavailable(): RequestFault {
  return new RequestFault('custody.unavailable', 'The signer did not answer.', { retryAfterSeconds: 1 })
}

function bodyMismatch(): RequestFault {
  return new RequestFault(
    'idempotency.body_mismatch',
    'This Idempotency-Key was used in the last 24 hours with another body.',
  )
}
