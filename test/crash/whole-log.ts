import { sha256 } from '@popsigner/crypto/hash-native'
import { decodeTypeId, uuidText } from '@popsigner/crypto/typeid'
import { decodeVerifierKey, verifyCheckpoint } from '@popsigner/transparency/checkpoint'
import { createFrontier, leafHash } from '@popsigner/transparency/merkle'
import { type LeafOf, type LeafRecord, parseLeaf } from '@popsigner/transparency/record'
import { createStatementAuditor, type StatementReport } from '@popsigner/transparency/statements'
import type pg from 'pg'
import { call, pause } from '../instance.ts'

/** A checkpoint that was handed out, its signatures verified. */
export interface HandedOut {
  readonly size: number
  readonly root: Uint8Array
}

/** Whom to ask. `url` is read at every call: a server that was started again may have another port. */
export interface Reader {
  readonly url: string
  readonly token: string
}

/** An organization's whole log as the API gives it to anybody who may read it, read on with every `read`. */
export interface WholeLog {
  readonly leaves: readonly LeafRecord[]
  readonly hashes: readonly Uint8Array[]
  readonly signed: ReadonlyMap<string, { readonly index: number; readonly leaf: LeafOf<'key.signed'> }>
  /** Ids of `key.signed` records that a `key.sign_failed` names. */
  readonly failed: ReadonlySet<string>
  readonly created: ReadonlySet<string>
  /** Reads what was appended since. */
  read(): Promise<void>
  /** Reads until nothing of this size or below is missing. */
  readTo(size: number): Promise<void>
  /** The root over the first `size` leaves. */
  rootAt(size: number): Uint8Array
  /** What an auditor of the signer's statements says of all that was read. */
  audit(): StatementReport
}

/** Begins reading at the first leaf. The log's key and the signer's identity are pinned here. */
export async function openWholeLog(reader: Reader): Promise<WholeLog & { checkpoint(): Promise<HandedOut | null> }> {
  // The route is answered while a signer is connected; one that was killed is back within seconds.
  const until = Date.now() + 20_000
  let answer = await call(reader.url, reader.token, 'GET', '/v1/audit/log-key')
  while (answer.status !== 200 && Date.now() < until) {
    await pause(100)
    answer = await call(reader.url, reader.token, 'GET', '/v1/audit/log-key')
  }
  const { body: logKey } = answer
  const auditor = createStatementAuditor({
    log: logKey.origin,
    signer: Buffer.from(logKey.instance.public_key, 'hex'),
    hasher: sha256,
  })
  const keys = {
    log: decodeVerifierKey(logKey.verifier_key),
    identity: decodeVerifierKey(logKey.instance.verifier_key),
  }
  const leaves: LeafRecord[] = []
  const hashes: Uint8Array[] = []
  const signed = new Map<string, { index: number; leaf: LeafOf<'key.signed'> }>()
  const failed = new Set<string>()
  const created = new Set<string>()

  async function read(): Promise<void> {
    for (;;) {
      const after =
        leaves.length === 0
          ? ''
          : `&cursor=${Buffer.from(JSON.stringify([String(leaves.length - 1)])).toString('base64url')}`
      const { status, body } = await call(
        reader.url,
        reader.token,
        'GET',
        `/v1/audit/logs?order=asc&include=leaf&limit=1000${after}`,
      )
      if (status !== 200) throw new Error(`reading the log: ${status} ${JSON.stringify(body)}`)
      for (const record of body.logs) take(new Uint8Array(Buffer.from(record.leaf_data, 'base64')))
      if (body.next_cursor === null) return
    }
  }

  function take(bytes: Uint8Array): void {
    const index = leaves.length
    const leaf = parseLeaf(bytes)
    auditor.add(bytes)
    hashes.push(leafHash(bytes, sha256))
    leaves.push(leaf)
    if (leaf.event === 'key.signed') signed.set(leaf.id, { index, leaf })
    else if (leaf.event === 'key.sign_failed') failed.add(leaf.record)
    else if (leaf.event === 'key.created') created.add(leaf.key)
  }

  return {
    leaves,
    hashes,
    signed,
    failed,
    created,
    read,
    async readTo(size) {
      for (let i = 0; i < 100; i++) {
        await read()
        if (leaves.length >= size) return
        await pause(200)
      }
      throw new Error(`the log does not come to ${size} records; ${leaves.length} can be read`)
    },
    rootAt(size) {
      const frontier = createFrontier(undefined, sha256)
      for (let i = 0; i < size; i++) frontier.append(hashes[i] as Uint8Array)
      return frontier.root()
    },
    audit: () => auditor.report(),
    async checkpoint() {
      const { status, body } = await call(reader.url, reader.token, 'GET', '/v1/audit/checkpoint')
      if (status === 503) return null
      if (status !== 200) throw new Error(`a checkpoint: ${status} ${JSON.stringify(body)}`)
      const verified = verifyCheckpoint(body.checkpoint, keys.log, [keys.identity])
      if (!verified) throw new Error('a checkpoint whose signatures do not verify was handed out')
      return { size: verified.size, root: verified.root }
    },
  }
}

/** An organization's newest row of `batches`. */
export interface Head {
  readonly size: number
  readonly used: number
  readonly keys: number
  readonly epoch: number
}

/** Reads the head of an organization (`org_…`) from the database. */
export async function readHead(database: pg.Client, organization: string): Promise<Head> {
  const {
    rows: [row],
  } = await database.query<{ tree_size: string; used: string; keys: string; epoch: string }>(
    'select tree_size, used, keys, epoch from batches where organization_id = $1 order by tree_size desc limit 1',
    [uuidText(decodeTypeId(organization, 'org') as Uint8Array)],
  )
  if (!row) throw new Error('the organization has no log')
  return { size: Number(row.tree_size), used: Number(row.used), keys: Number(row.keys), epoch: Number(row.epoch) }
}
