import { hash } from 'node:crypto'
import type { SchemeFacts } from '@popsigner/crypto/algorithm-facts'
import { isBn254Point } from '@popsigner/crypto/bn254-plain'
import { digestHex, sha256 } from '@popsigner/crypto/hash-native'
import { commonFields, events } from '@popsigner/transparency/events'
import { verifyInclusion } from '@popsigner/transparency/merkle'
import { addToRuns } from '@popsigner/transparency/statement'
import type { RefusalCode } from '../faults.ts'
import type { LogState } from '../ledger.ts'
import {
  type FramedItem,
  type FramedMaterial,
  type Outcome,
  readPath,
  readSignFrame,
  type SignFrame,
  writeSignAnswer,
} from '../sign-frame.ts'
import { isRefusal, type OpenedOrganizationKey, type OpenedSigner, type PackedMaterial } from './keyring.ts'
import { refuse } from './payload.ts'
import { recordIdText } from './record-id.ts'
import type { Session, Signer } from './state.ts'

/**
 * Signing: in the order of the items, and synchronous but for keys that sign on other threads. An item is signed only when its leaf says what is about to be
 * signed; whatever is wrong with it is its own refusal and touches no other. What is signed for the first time is
 * counted and chained in the same breath, so no signature exists that the next statement does not cover.
 */

/** Deadlines further ahead than this are refused: an authorization is not good for ever. */
const maxDeadlineMs = 60_000
/** From this many runs on the answer asks for a statement. */
const runsDue = 128
/** The most runs that a statement's leaf holds. */
const runsLimit = 192

const leafFields: ReadonlySet<string> = new Set([
  ...Object.keys(commonFields),
  ...Object.keys(events['key.signed'].fields),
])

/** The state of one frame: opened keys are looked up once per frame unless they were put out meanwhile. */
interface Batch {
  readonly signer: Signer
  readonly session: Session
  readonly payload: Buffer
  readonly frame: SignFrame
  readonly organizationKeys: (OpenedOrganizationKey | RefusalCode | undefined)[]
  readonly signers: (OpenedSigner | RefusalCode | undefined)[]
  readonly now: number
  /** Set when one of the outcomes is a promise. */
  later: boolean
}

// Scratch for one digest and for one link of the chain; signing is synchronous, so there is one user at a time.
const digestBytes = Buffer.alloc(32)
const link = Buffer.alloc(72)

/**
 * Answers a sign frame with a whole frame: at once, or later where a key of it signs on another thread. `custody.request_refused` when its structure is not sound; then nothing was
 * signed.
 */
export function sign(signer: Signer, session: Session, payload: Buffer, id: number): Buffer | Promise<Buffer> {
  let frame: SignFrame
  try {
    frame = readSignFrame(payload)
  } catch (error) {
    throw refuse(error instanceof RangeError ? error.message : 'sign')
  }
  const batch: Batch = {
    signer,
    session,
    payload,
    frame,
    organizationKeys: new Array(frame.organizationKeys.length),
    signers: new Array(frame.materials.length),
    now: signer.now(),
    later: false,
  }
  const outcomes = frame.items.map((item) => signItem(batch, item))
  const due = statementsDue(batch)
  if (!batch.later) return writeSignAnswer(id, outcomes as (Outcome | RefusalCode)[], due)
  return Promise.all(outcomes.map((one) => Promise.resolve(one))).then((all) => writeSignAnswer(id, all, due))
}

function signItem(batch: Batch, item: FramedItem): Outcome | RefusalCode | Promise<Outcome | RefusalCode> {
  const { signer, session, payload } = batch
  const framed = batch.frame.materials[item.material] as FramedMaterial
  const organizationKey = organizationKeyOf(batch, framed.organizationKey)
  if (isRefusal(organizationKey)) return organizationKey
  const log = signer.ledger.logs.get(organizationKey.organizationHex)
  if (log === undefined) return 'log.behind'
  if (!session.proven.has(organizationKey.organizationHex)) return 'log.unproven'
  if (!signer.ledger.healthy) return 'custody.ledger_failed'
  if (item.deadline < batch.now || item.deadline > batch.now + maxDeadlineMs) return 'custody.deadline'
  const key = signerOf(batch, item.material, organizationKey)
  if (isRefusal(key)) return key
  const scheme = key.schemes.get(item.scheme)
  if (scheme === undefined) return 'custody.scheme_refused'
  const { input } = item.input
  if (!key.uses.includes(input) || (input === 'digest' && !scheme.prehashed)) return 'custody.use_refused'

  const data = payload.subarray(item.dataAt, item.dataEnd)
  if (scheme.ownKey && !data.equals(key.spec.publicKey as Uint8Array)) return 'custody.input_refused'
  // A point that the caller chose is raw, whatever it is called.
  if (scheme.point && (input !== 'raw' || !isBn254Point(data))) return 'custody.input_refused'
  const digest = digestOf(scheme, item, data)
  if (digest === null) return 'custody.input_refused'
  const leaf = payload.toString('latin1', item.leafAt + 1, item.leafEnd)
  const recordId = recordIdText(payload, item.recordIdAt)
  if (!leafSays(leaf, organizationKey.log, key, item, recordId, digest)) return 'custody.leaf_mismatch'

  const first = item.attempt === 1
  if (!first && !isProven(payload, item, log)) return 'custody.proof_stale'
  if (first && log.runs.length >= runsLimit && log.runs.at(-1)?.[1] !== item.index - 1) return 'custody.statement_due'
  if (key.handle.signLater !== undefined) {
    // Counted before: what becomes a signature on another thread is covered by every statement from now on.
    if (first) count(log, item.index, payload.subarray(item.leafAt, item.leafEnd))
    batch.later = true
    return signLater(signer, key, scheme, new Uint8Array(scheme.input === 'message' ? data : digestBytes))
  }
  let outcome: Outcome
  try {
    outcome = key.handle.sign(scheme.input === 'message' ? data : digestBytes, scheme.name)
  } catch {
    return 'custody.sign_failed'
  }
  if (first) count(log, item.index, payload.subarray(item.leafAt, item.leafEnd))
  return outcome
}

/** Signs on another thread. A key that was destroyed meanwhile has signed nothing. */
async function signLater(
  { ledger }: Signer,
  key: OpenedSigner,
  scheme: SchemeFacts,
  input: Uint8Array,
): Promise<Outcome | RefusalCode> {
  let outcome: Outcome | undefined
  try {
    outcome = await key.handle.signLater?.(input, scheme.name)
  } catch {
    return 'custody.sign_failed'
  }
  if (ledger.destroyed.has(key.idHex)) return 'custody.key_destroyed'
  return outcome ?? 'custody.sign_failed'
}

/** What the leaf must say of the data; `data` is null where the codec's caller gave more than is signed. */
interface Digest {
  readonly digest: string
  readonly data: string | null
}

/**
 * The texts of what is signed: `digest` as the leaf has it, and SHA-256 of the data. Leaves the digest's bytes in
 * `digestBytes`.
 */
function digestOf(scheme: SchemeFacts, item: FramedItem, data: Buffer): Digest | null {
  const { input } = item.input
  if (input === 'digest' || (input !== 'raw' && scheme.input === 'digest')) {
    if (data.length !== 32) return null
    digestBytes.set(data)
    return { digest: digestBytes.toString('hex'), data: input === 'digest' ? hash('sha256', data, 'hex') : null }
  }
  if (input !== 'raw') return { digest: hash('sha256', data, 'hex'), data: null }
  const { hash: hashed } = item.input
  const allowed = hashed === null ? scheme.hashes.length === 0 : scheme.hashes.includes(hashed)
  if (!allowed) return null
  const dataHash = hash('sha256', data, 'hex')
  const digest = hashed === null || hashed === 'sha256' ? dataHash : digestHex(hashed, data)
  // What a scheme signs as a digest has 32 bytes; what its library hashes by itself goes to it whole.
  if (scheme.input === 'digest') digestBytes.write(digest, 'hex')
  return { digest, data: dataHash }
}

/**
 * Whether the leaf is canonical JSON and says of this signature exactly what is about to happen. Canonical: writing out
 * what was read gives the same text, and the names ascend. A `key.signed` leaf holds no nested object, so that is all
 * of RFC 8785 §3.2.
 */
function leafSays(
  text: string,
  log: string,
  key: OpenedSigner,
  item: FramedItem,
  recordId: string,
  digest: Digest,
): boolean {
  let leaf: Record<string, unknown>
  try {
    leaf = JSON.parse(text) as Record<string, unknown>
  } catch {
    return false
  }
  if (leaf === null || typeof leaf !== 'object' || JSON.stringify(leaf) !== text) return false
  let previous = ''
  for (const name in leaf) {
    if (name <= previous || !leafFields.has(name)) return false
    previous = name
  }
  const { spec } = key
  const { input } = item
  return (
    leaf['digest'] === digest.digest &&
    (digest.data === null ? saysChain(leaf) : leaf['data_hash'] === digest.data) &&
    leaf['id'] === recordId &&
    leaf['key'] === key.keyText &&
    leaf['version'] === spec.version &&
    leaf['public_key'] === key.publicKeyHex &&
    leaf['algorithm'] === spec.algorithm &&
    leaf['scheme'] === item.scheme &&
    leaf['input'] === input.input &&
    (input.hash === null ? !('hash' in leaf) : leaf['hash'] === input.hash) &&
    leaf['log'] === log &&
    leaf['event'] === 'key.signed' &&
    leaf['v'] === 1
  )
}

/** A transaction or a message: the leaf names the chain and the effects, and the hash of what the caller gave, which is not here. */
function saysChain(leaf: Record<string, unknown>): boolean {
  return isHash(leaf['data_hash']) && isHash(leaf['effects']) && typeof leaf['chain'] === 'string'
}

function isHash(value: unknown): boolean {
  return typeof value === 'string' && /^[0-9a-f]{64}$/.test(value)
}

function isProven(payload: Buffer, item: FramedItem, log: LogState): boolean {
  const checkpoint = log.recent.find(({ size }) => size === item.proofSize)
  if (checkpoint === undefined) return false
  const leafHash = sha256(payload.subarray(item.leafAt, item.leafEnd))
  return verifyInclusion(item.index, checkpoint.size, leafHash, readPath(payload, item), checkpoint.root, sha256)
}

/** Counts one signature: `prefixedLeaf` is 0x00 and the leaf, as its hash in the log is computed. */
function count(log: LogState, index: number, prefixedLeaf: Buffer): void {
  log.chain.copy(link)
  link.writeUInt32BE(Math.floor(index / 0x1_0000_0000), 32)
  link.writeUInt32BE(index % 0x1_0000_0000, 36)
  link.write(hash('sha256', prefixedLeaf, 'binary'), 40, 'latin1')
  log.chain.write(hash('sha256', link, 'binary'), 'latin1')
  log.count++
  addToRuns(log.runs, index)
}

function organizationKeyOf(batch: Batch, i: number): OpenedOrganizationKey | RefusalCode {
  const held = batch.organizationKeys[i]
  if (held !== undefined && (isRefusal(held) || !held.closed)) return held
  const packed = packedAt(batch, batch.frame.organizationKeys[i] as FramedMaterial)
  const opened = batch.signer.keyring.organizationKey(packed)
  batch.organizationKeys[i] = opened
  return opened
}

function signerOf(batch: Batch, i: number, under: OpenedOrganizationKey): OpenedSigner | RefusalCode {
  const held = batch.signers[i]
  if (held !== undefined && (isRefusal(held) || !held.closed)) return held
  const packed = packedAt(batch, batch.frame.materials[i] as FramedMaterial)
  const opened = batch.signer.keyring.signer(under, packed, 'signing-key')
  batch.signers[i] = opened
  return opened
}

function packedAt({ payload }: Batch, { at, specEnd, end }: FramedMaterial): PackedMaterial {
  return {
    packed: payload.subarray(at, end),
    spec: payload.subarray(at + 4, specEnd),
    envelope: payload.subarray(specEnd, end),
  }
}

function statementsDue({ signer, organizationKeys }: Batch): Uint8Array[] {
  const due: Uint8Array[] = []
  for (const key of organizationKeys) {
    if (key === undefined || isRefusal(key)) continue
    const log = signer.ledger.logs.get(key.organizationHex)
    if (log === undefined) continue
    // Counts of this frame reach the file within about a second.
    signer.ledger.touch()
    if (log.runs.length >= runsDue) due.push(key.organization)
  }
  return due
}
