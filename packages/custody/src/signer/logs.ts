import { base64, fromHex, hex, utf8 } from '@popsigner/crypto/bytes'
import { ed25519 } from '@popsigner/crypto/ed25519'
import { sha256 } from '@popsigner/crypto/hash-native'
import { encodeTypeId } from '@popsigner/crypto/typeid'
import {
  assembleNote,
  checkpointBody,
  cosignatureLine,
  cosignatureMessage,
  noteSignatureLine,
} from '@popsigner/transparency/checkpoint'
import { verifyConsistency } from '@popsigner/transparency/merkle'
import { type StatementBody, statementHash, statementMessage } from '@popsigner/transparency/statement'
import type { LogRefusal, Statement } from '../custodian.ts'
import { CustodyFault } from '../faults.ts'
import { emptyLog, type Ledger, type LogState, moveLog } from '../ledger.ts'
import { isRefusal, type OpenedOrganizationKey, type OpenedSigner, type PackedMaterial } from './keyring.ts'
import { blankSpec, materialFields, sealKey } from './keys.ts'
import { bytes, type Fields, fields, listOf, material, nullable, readPayload, size } from './payload.ts'
import { makeOrganizationKey } from './roots.ts'
import type { Session, Signer } from './state.ts'

/** Most logs of one request. */
const listLimit = 1000
/** A path to a tree of 2^53 leaves is no longer. */
const pathLimit = 64
/** From this many runs on a statement is made because of them. */
const runsDue = 128

const extensionFields = {
  organization: bytes(16),
  from: size,
  size,
  root: bytes(32),
  path: listOf(bytes(32), pathLimit),
}
const logFields = { organization: bytes(16) }
const headsFields = { organizations: listOf(bytes(16), listLimit) }
const proveFields = { extensions: listOf(fields(extensionFields), listLimit) }
const checkpointFields = {
  requests: listOf(fields({ ...extensionFields, organization_key: material, log_key: material }), listLimit),
}
const statementFields = {
  requests: listOf(fields({ organization: bytes(16), last: nullable(bytes(32)) }), listLimit),
}

interface Extension {
  readonly organization: Uint8Array
  readonly from: number
  readonly size: number
  readonly root: Uint8Array
  readonly path: readonly Uint8Array[]
}

/**
 * Begins the log of a new organization: its organization key, its log key and its entry in the ledger, on disk before
 * the answer.
 */
export async function createLog(signer: Signer, session: Session, payload: Uint8Array): Promise<Fields> {
  const { organization } = readPayload(payload, logFields)
  const id = hex(organization)
  const { ledger } = signer
  if (ledger.logs.has(id)) throw new CustodyFault('log.exists', null)
  // Behind a ledger that was lost, an organization older than its replacement has a log already: only the host may say
  // where it stands.
  if (ledger.replacedAt !== null && uuidTime(organization) <= ledger.replacedAt)
    throw new CustodyFault('log.behind', null)
  const made = makeOrganizationKey(signer, organization, 1)
  const secret = signer.keyring.take()
  try {
    secret.use((into) => ed25519.generate(signer.entropy, into))
    const key = new Uint8Array(16)
    signer.entropy.fill(key)
    const publicKey = secret.use(ed25519.publicKey)
    const about = { kind: 'log-key', algorithm: ed25519.name, publicKey, origin: 'generated' } as const
    const under = { spec: made.spec, secret: made.secret }
    const logKey = sealKey(signer, under, { ...blankSpec(signer, { organization }, key), ...about }, secret)
    ledger.logs.set(id, emptyLog())
    await ledger.commit()
    session.proven.add(id)
    return {
      organization_key: materialFields(made.material),
      log_key: materialFields(logKey.material),
      log_public_key: publicKey,
    }
  } finally {
    secret.wipe()
    made.secret.wipe()
  }
}

/** Where the ledger says these logs stand, null for those it does not know. */
export function heads(signer: Signer, _session: Session, payload: Uint8Array): Fields {
  const { organizations } = readPayload(payload, headsFields)
  return { heads: organizations.map((organization) => headOf(signer.ledger, organization)) }
}

/** Believes, for this connection, that these logs extend the ledger, each only if that is proven. */
export function prove(signer: Signer, session: Session, payload: Uint8Array): Fields {
  const { extensions } = readPayload(payload, proveFields)
  const results = extensions.map((extension) => {
    const refusal = checkExtension(signer, session, extension)
    if (refusal !== null) return refusalFields(refusal)
    session.proven.add(hex(extension.organization))
    return { kind: 'proven' }
  })
  return { results }
}

/**
 * Signs checkpoints as a witness would: only of logs that extend the ledger's, and after the new state is on disk. One
 * write of the ledger for the list; a log that is refused changes nothing and stops no other.
 */
export async function checkpoint(signer: Signer, session: Session, payload: Uint8Array): Promise<Fields> {
  const { requests } = readPayload(payload, checkpointFields)
  const accepted = requests.map((request) => {
    const refusal = checkExtension(signer, session, request)
    if (refusal !== null) return refusal
    const keys = openLogKey(signer, request)
    if ('code' in keys) return keys
    const log = signer.ledger.logs.get(hex(request.organization)) as LogState
    moveLog(log, request.size, request.root)
    session.proven.add(hex(request.organization))
    return { request, log: keys.organizationKey.log }
  })
  if (accepted.some((result) => 'request' in result)) await signer.ledger.commit()
  const results = accepted.map((result) => {
    if (!('request' in result)) return refusalFields(result)
    // Opened again: during the write the key may have been put out, or destroyed.
    const keys = openLogKey(signer, result.request)
    if ('code' in keys) return refusalFields(keys)
    return { kind: 'signed', note: signNote(signer, result.log, keys.logKey, result.request) }
  })
  return { results }
}

/**
 * The next statement of each log with anything to state, on disk before the answer. A lost one is answered again, byte
 * for byte.
 */
export async function statement(signer: Signer, _session: Session, payload: Uint8Array): Promise<Fields> {
  const { requests } = readPayload(payload, statementFields)
  const answers = requests.map(({ organization, last }) => {
    const log = signer.ledger.logs.get(hex(organization))
    return { organization, statement: log === undefined ? null : nextStatement(signer, organization, log, last) }
  })
  // Also when all of them are repeats: the write of the first answer may still be under way.
  if (answers.some((answer) => answer.statement !== null)) await signer.ledger.commit()
  return { statements: answers }
}

/**
 * Lets the host say where a log stands, for good or ill: `state` of the ledger, and every connection has to prove it
 * again.
 */
export function acceptCheckpoint(ledger: Ledger, organization: Uint8Array, treeSize: number, root: Uint8Array): void {
  const id = hex(organization)
  const log = ledger.logs.get(id) ?? emptyLog()
  ledger.logs.set(id, log)
  log.recent = []
  log.pending = null
  moveLog(log, treeSize, root)
}

function checkExtension(signer: Signer, session: Session, extension: Extension): LogRefusal | null {
  const id = hex(extension.organization)
  const log = signer.ledger.logs.get(id)
  if (log === undefined) return { kind: 'refused', code: 'log.behind', head: null }
  const head = { size: log.size, root: log.root }
  if (extension.from !== log.size) return { kind: 'refused', code: 'log.moved', head }
  const { size: newSize, root, path } = extension
  if (verifyConsistency(log.size, newSize, log.root, root, path, sha256)) return null
  // What this connection shows is not the log that was signed for: nothing more of it until it is proven again.
  session.proven.delete(id)
  return { kind: 'refused', code: 'log.behind', head }
}

interface LogKeys {
  readonly organizationKey: OpenedOrganizationKey
  readonly logKey: OpenedSigner
}

function openLogKey(
  signer: Signer,
  request: {
    readonly organization: Uint8Array
    readonly organization_key: PackedMaterial
    readonly log_key: PackedMaterial
  },
): LogKeys | LogRefusal {
  const refused = (code: string): LogRefusal => ({
    kind: 'refused',
    code: code === 'custody.wrong_kind' || code === 'custody.key_destroyed' ? code : 'custody.not_opened',
    head: headOf(signer.ledger, request.organization),
  })
  const organizationKey = signer.keyring.organizationKey(request.organization_key)
  if (isRefusal(organizationKey)) return refused(organizationKey)
  if (organizationKey.organizationHex !== hex(request.organization)) return refused('custody.not_opened')
  const logKey = signer.keyring.signer(organizationKey, request.log_key, 'log-key')
  return isRefusal(logKey) ? refused(logKey) : { organizationKey, logKey }
}

function signNote(signer: Signer, log: string, logKey: OpenedSigner, { size: treeSize, root }: Extension): string {
  const body = checkpointBody(log, treeSize, root)
  const seconds = Math.floor(signer.now() / 1000)
  const { identity, instance } = signer
  const own = logKey.handle.sign(utf8(body)).signature
  const timed = identity.handle.sign(cosignatureMessage(body, seconds)).signature
  return assembleNote(body, [
    noteSignatureLine(log, logKey.spec.publicKey as Uint8Array, own),
    cosignatureLine(instance, identity.publicKey, seconds, timed),
  ])
}

function nextStatement(
  signer: Signer,
  organization: Uint8Array,
  log: LogState,
  last: Uint8Array | null,
): string | null {
  const { pending } = log
  const known = hex(last ?? new Uint8Array(32))
  if (pending !== null && hex(pending.previous) === known) return pending.json
  const due = log.restarted && (log.count > 0 || pending !== null)
  if (log.runs.length === 0 && !due) return null
  const body: StatementBody = {
    log: `${signer.instance}/${encodeTypeId('org', organization)}`,
    signer: signer.identity.publicKeyHex,
    boot: signer.boot,
    count: log.count,
    chain: hex(log.chain),
    runs: log.runs,
    previous: hex(log.previous),
    reason: log.restarted ? 'restart' : log.runs.length >= runsDue ? 'runs' : 'minute',
    at: new Date(signer.now()).toISOString(),
  }
  const signature = signer.identity.handle.sign(statementMessage(body)).signature
  const json = JSON.stringify({ ...body, signature: base64(signature) } satisfies Statement)
  log.pending = { previous: log.previous, json }
  log.previous = fromHex(statementHash(body, sha256))
  log.runs = []
  log.restarted = false
  return json
}

function headOf(ledger: Ledger, organization: Uint8Array): { size: number; root: Uint8Array } | null {
  const log = ledger.logs.get(hex(organization))
  return log === undefined ? null : { size: log.size, root: log.root }
}

function refusalFields({ code, head }: LogRefusal): Fields {
  return { kind: 'refused', code, head: head === null ? null : { size: head.size, root: head.root } }
}

/** Milliseconds in a UUIDv7 (RFC 9562 §5.7). */
function uuidTime(id: Uint8Array): number {
  return Number.parseInt(hex(id.subarray(0, 6)), 16)
}
