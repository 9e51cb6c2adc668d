import { hash as digestOf } from 'node:crypto'
import { sha256 } from '@popsigner/crypto/hash-native'
import { decodeTypeId, encodeTypeId, uuidText } from '@popsigner/crypto/typeid'
import type { SignerClient } from '@popsigner/custody/client'
import type { InclusionProof, SignItem, SignResult } from '@popsigner/custody/custodian'
import type { RefusalCode } from '@popsigner/custody/faults'
import { buildLeaf, type LeafOf, parseLeaf } from '@popsigner/transparency/record'
import { createSignedLeafBuilder, type SignedLeafBuilder } from '@popsigner/transparency/signed-leaf'
import { inclusionPath } from '@popsigner/transparency/tiles'
import type { Pool } from 'pg'
import type { Authorization, AuthorizeItem, Authorizer } from '../authorize/authorizer.ts'
import { faultOf } from '../http/faults-of.ts'
import { RequestFault } from '../http/request-fault.ts'
import { newUuid } from '../ids.ts'
import { commit, type Text } from '../log/commitments.ts'
import type { Keeper } from '../log/keeper.ts'
import { encodeTexts } from '../log/leaves.ts'
import { dataHashColumn } from '../log/projection.ts'
import { readLeaf } from '../log/read-leaf.ts'
import type { Credential } from '../tenants/credential.ts'
import type { Organizations } from '../tenants/organization.ts'
import { findSigningKey, type SigningKey, type SigningKeyVersion } from '../tenants/signing-key.ts'
import { type Decision, decide, type SigningInput } from './decide.ts'

/** How long after its commit a signature may still be made. */
const deadlineMilliseconds = 10_000
const maximumDecisions = 6
const coverMilliseconds = 2_000

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
  /** One signature, or why there is none. Never rejects for what the item itself can be refused for. */
  sign(caller: Caller, keyId: string, input: SigningInput, claim: Claim | null): Promise<Signature | RequestFault>
}

interface Waiting {
  readonly item: SignItem
  readonly organization: string
  readonly settle: (result: SignResult) => void
}

/** Authorize, then sign: a decision, a durable record, and only then the custodian. */
export function createSigning(options: SigningOptions): Signing {
  const { pool, organizations, authorizer, signer, keeper, observe, onError } = options
  const builders = new WeakMap<SigningKeyVersion, Map<string, SignedLeafBuilder>>()
  let departing: Waiting[] = []

  /** Everything that one commit authorized goes to the custodian in one frame. */
  function handOver(waiting: Waiting): void {
    departing.push(waiting)
    if (departing.length === 1) queueMicrotask(depart)
  }

  function depart(): void {
    const batch = departing
    departing = []
    signer.sign(batch.map((w) => w.item)).then(
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
    const name = `${caller.credential.actor} ${decision.input} ${decision.hash}`
    let builder = byActor.get(name)
    if (!builder) {
      builder = createSignedLeafBuilder({
        log: caller.credential.organization.log,
        actor: caller.credential.actor,
        key: key.text,
        version: decision.version.version,
        public_key: decision.version.publicKeyHex,
        algorithm: key.algorithm,
        scheme: decision.scheme,
        input: decision.input,
        ...(decision.hash === null ? {} : { hash: decision.hash }),
      })
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
          id: uuidText(record),
          time: timeText(stamp),
          event: 'key.signed',
          actor: caller.credential.apiKey,
          key: key.id,
          dataHash: dataHashColumn(decision.dataHash),
          address: caller.address.idText,
          userAgent: caller.userAgent.idText,
          leafHash: digestOf('sha256', bytes, 'hex'),
        },
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
      const { organization, namespaces } = caller.credential
      const key = organization.keys.get(keyId) ?? (await findSigningKey(pool, organization, keyId))
      if (!key || (namespaces !== null && !namespaces.has(key.namespace))) return keyNotFound()
      const decision = decide(key, input)
      if (decision instanceof RequestFault) return decision
      if (!keeper.isProven(organization.id)) await keeper.prove(organization)
      const { item, record } = itemFor(caller, key, decision, claim)
      const answer = await new Promise<Authorization>((resolve) => authorizer.enqueue(item, resolve))
      if (answer.status === 'authorized') return finish(caller, key, decision, item, record, answer)
      if (answer.status === 'replayed')
        return answer.sameBody ? repeat(caller, key, input, claim as Claim, answer.index) : bodyMismatch()
      if (answer.status !== 'epoch') return refusalOf(answer)
      organizations.supersede(organization.id, answer.epoch)
      caller = await caller.renew()
    }
    return new RequestFault('organization.busy', 'The organization is being changed; try again.', {
      retryAfterSeconds: 1,
    })
  }

  async function finish(
    caller: Caller,
    key: SigningKey,
    decision: Decision,
    item: AuthorizeItem,
    record: string,
    at: { index: number; committedAt: number },
    repeated?: { attempt: number; proof: InclusionProof },
  ): Promise<Signature | RequestFault> {
    const { organization } = caller.credential
    const material = decision.version.material
    const organizationKey = organization.organizationKeys.get(decision.version.sealedBy)
    if (!material || !organizationKey)
      return new RequestFault('custody.refused', 'The key has no material that can be opened.')
    const result = await new Promise<SignResult>((settle) =>
      handOver({
        settle,
        organization: organization.id,
        item: {
          recordId: item.record,
          attempt: repeated?.attempt ?? 1,
          leaf: item.leaf,
          index: at.index,
          deadline: at.committedAt + deadlineMilliseconds,
          organizationKey,
          material,
          scheme: decision.scheme,
          input: decision.input,
          hash: decision.hash,
          data: decision.data,
          ...(repeated ? { proof: repeated.proof } : {}),
        },
      }),
    )
    if (result.kind === 'signed') {
      observe('signed')
      return {
        key: key.text,
        signature: result.signature,
        recovery: result.recovery,
        publicKey: decision.version.publicKeyHex,
        version: decision.version.version,
        record,
      }
    }
    if (result.kind === 'unknown') {
      observe('unknown')
      return unavailable()
    }
    observe('failed')
    if (!repeated) recordFailure(caller, item, key, decision.version.version, result.code)
    return custodyRefusal(result.code)
  }

  /** What the signer said it did not sign is recorded, and its quota given back. */
  function recordFailure(
    caller: Caller,
    failed: AuthorizeItem,
    key: SigningKey,
    version: number,
    code: RefusalCode,
    attempt = 0,
  ): void {
    const record = newUuid()
    const stamp = Date.now()
    const { organization } = caller.credential
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
    authorizer.enqueue(
      {
        ...failed,
        record,
        stamp,
        leaf: buildLeaf(leaf),
        texts: Buffer.of(0),
        charge: -1,
        claim: null,
        body: null,
        epoch: organizations.peek(organization.id)?.epoch ?? failed.epoch,
      },
      (answer) => {
        if (answer.status === 'epoch' && attempt < maximumDecisions)
          recordFailure(caller, { ...failed, epoch: answer.epoch }, key, version, code, attempt + 1)
      },
    )
  }

  /**
   * An idempotent repeat: the record, key version and charge of the first time, a signature made again. It is decided again under
   * the state of now, and the signer makes it only for a leaf that a checkpoint covers.
   */
  async function repeat(
    caller: Caller,
    key: SigningKey,
    input: SigningInput,
    claim: Claim,
    index: number,
  ): Promise<Signature | RequestFault> {
    const { organization } = caller.credential
    const stored = await readLeaf(pool, organization.id, index)
    if (!stored) return new RequestFault('record.expired', 'The record of the first time was removed.')
    const leaf = parseLeaf(stored)
    if (leaf.event !== 'key.signed' || leaf.key !== key.text) return bodyMismatch()
    const decision = decide(key, { ...input, key_version: leaf.version })
    if (decision instanceof RequestFault) return decision
    if (decision.digest !== leaf.digest || decision.input !== leaf.input) return bodyMismatch()
    for (let attempt = 2; attempt < 5; attempt++) {
      const checkpoint = await keeper.covering(organization.id, index + 1, coverMilliseconds)
      if (!checkpoint) break
      const path = await inclusionPath(await keeper.tree(organization.id), index, checkpoint.size, sha256)
      const item: AuthorizeItem = {
        organization: organization.id,
        epoch: organization.epoch,
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
        { attempt, proof: { size: checkpoint.size, path } },
      )
      if (!(made instanceof RequestFault) || made.code !== 'receipt.not_ready') return made
    }
    return new RequestFault('receipt.not_ready', 'The record is not covered by a checkpoint yet.', {
      retryAfterSeconds: 1,
    })
  }

  return {
    async sign(caller, keyId, input, claim) {
      let made: Signature | RequestFault
      try {
        made = await sign(caller, keyId, input, claim)
      } catch (error) {
        made = faultOf(error)
        if (made.code === 'internal.error') onError(error)
      }
      if (made instanceof RequestFault) observe('refused')
      return made
    },
  }
}

/** SHA-256 of a body's canonical JSON, and the claim of an idempotency key for one item of one route. */
export function claimOf(actor: string, route: string, idempotencyKey: string, item: number, bodyHash: string): Claim {
  const key = digestOf('sha256', idempotencyKey, 'hex')
  return {
    key,
    claim: uuidOfHash(digestOf('sha256', `${actor}\0${route}\0${item}\0${key}`, 'hex')),
    body: uuidOfHash(bodyHash),
  }
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
  if (code === 'log.behind' || code === 'log.unproven')
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
  return new RequestFault('custody.refused', `The signer refused: ${code}.`)
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
