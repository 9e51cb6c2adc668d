import type { Pool } from 'pg'
import { CustodyFault } from '@popsigner/custody/faults'
import type { CheckpointRequest } from '@popsigner/custody/custodian'
import type { SignerClient } from '@popsigner/custody/client'
import { fromHex, hex } from '@popsigner/crypto/bytes'
import { sha256 } from '@popsigner/crypto/hash-native'
import { parseCheckpoint } from '@popsigner/transparency/checkpoint'
import { buildLeaf, parseLeaf, type LeafInput } from '@popsigner/transparency/record'
import { statementHash } from '@popsigner/transparency/statement'
import { consistencyPath, rootAt } from '@popsigner/transparency/tiles'
import type { AppendedBatch, Authorizer } from '../authorize/authorizer.ts'
import { newUuid } from '../ids.ts'
import { errorFields, type Log } from '../log.ts'
import type { OrganizationState, Organizations } from '../tenants/organization.ts'
import { encodeTypeId } from '@popsigner/crypto/typeid'
import { project, type RecentBatches } from './projection.ts'
import type { LogTree } from './tree.ts'

/** The shortest time between two checkpoints of a log. A log that grows is covered within a second. */
const cycleMilliseconds = 400
const statementMilliseconds = 60_000
const sweepMilliseconds = 5_000
const reconnectMilliseconds = 2_000
/** Leaves kept in memory until they are projected: about 50 MB at the most. */
const maximumRecentLeaves = 60_000

/** A checkpoint as stored: the signed note and the size it covers. */
export interface StoredCheckpoint {
  readonly size: number
  readonly note: string
}

/** What is known of one organization's log in this process. */
interface LogState {
  tree?: LogTree
  bringing?: Promise<unknown>
  /** What this process committed and has yet to project. */
  recent: RecentBatches
  checkpoint?: StoredCheckpoint
  /** The size the ledger stands at, as far as this process knows. */
  ledgerSize?: number
  /** The signer's run that this log was proven to on the present connection. */
  proven?: string
  proving: Promise<void> | undefined
  behind: boolean
  statementAt: number
  /** Something was signed since the last statement, as far as this process knows. */
  signed: boolean
  waiting: { size: number; resolve: (checkpoint: StoredCheckpoint) => void }[]
}

export interface KeeperOptions {
  readonly pool: Pool
  readonly signer: SignerClient
  readonly organizations: Organizations
  readonly authorizer: Authorizer
  readonly log: Log
}

/** Keeps every organization's log: its tree, its search table, its checkpoints and the signer's statements. */
export interface Keeper {
  /** An organization's log has grown to this size. */
  appended(organization: string, size: number, batch?: AppendedBatch): void
  /** Something of the organization was signed; its statement is due within a minute, or at once. */
  signed(organization: string, due: boolean): void
  /** Whether the log is proven to the signer's ledger on this connection, without waiting. */
  isProven(organization: string): boolean
  /** Proves it now. Rejects with `CustodyFault('log.behind')`, or 'custody.unavailable' when there is no signer. */
  prove(state: OrganizationState): Promise<void>
  /** The tree as far as it is projected now. */
  tree(organization: string): Promise<LogTree>
  /** Brings the searchable records up to the batches now, not within a second. */
  refresh(organization: string): Promise<LogTree>
  /** The newest checkpoint, or null before the first. */
  checkpoint(organization: string): Promise<StoredCheckpoint | null>
  /** The first checkpoint to cover `size` leaves, waited for at most `milliseconds`; null when it did not come. */
  covering(organization: string, size: number, milliseconds: number): Promise<StoredCheckpoint | null>
  /** Organizations whose log does not extend the ledger: nothing of them is signed. */
  behind(): readonly string[]
  /** Records after the projection, of all organizations together, in milliseconds of the oldest; for readiness and the bench. */
  lagMilliseconds(): number
  /** Forgets what is proven and known of an organization, after the host has accepted a loss. */
  forget(organization: string): void
  close(): Promise<void>
}

/** Starts the keeper's work in the background. */
export function createKeeper({ pool, signer, organizations, authorizer, log }: KeeperOptions): Keeper {
  const logs = new Map<string, LogState>()
  let recentLeaves = 0
  const dirty = new Map<string, number>()
  let running: Promise<void> | undefined
  let timer: NodeJS.Timeout | undefined
  let lastCycle = 0
  let closed = false

  function stateOf(organization: string): LogState {
    let state = logs.get(organization)
    if (!state) {
      state = { recent: new Map(), proving: undefined, behind: false, statementAt: 0, signed: false, waiting: [] }
      logs.set(organization, state)
    }
    return state
  }

  const onConnected = (): void => {
    for (const state of logs.values()) delete state.proven
    void sweep()
  }
  signer.on('connected', onConnected)

  function remember(state: LogState, batch: AppendedBatch): void {
    recentLeaves += batch.items.length
    // The database has them all: what does not fit is read from there.
    if (recentLeaves > maximumRecentLeaves) {
      for (const one of logs.values()) one.recent.clear()
      recentLeaves = 0
      return
    }
    state.recent.set(batch.first, batch)
  }

  /** Brings a log's records and tree up to its batches. */
  function bringUp(organization: string): Promise<LogTree> {
    const state = stateOf(organization)
    // One after the other: who comes second may need what came after the first had begun.
    const next = (state.bringing ?? Promise.resolve()).then(() => bringUpNow(organization, state))
    state.bringing = next.catch(() => {})
    return next
  }

  async function bringUpNow(organization: string, state: LogState): Promise<LogTree> {
    const before = countLeaves(state.recent)
    state.tree = await project(pool, organization, state.tree, state.recent)
    // What another server projected first is of no more use.
    for (const [first, batch] of state.recent) if (first + batch.items.length <= state.tree.size) state.recent.delete(first)
    recentLeaves = Math.max(0, recentLeaves - before + countLeaves(state.recent))
    return state.tree
  }

  function schedule(): void {
    if (closed || timer || running) return
    timer = setTimeout(() => {
      timer = undefined
      running = cycle().catch((error: unknown) => log.warn('keeping the logs failed', errorFields(error))).finally(() => {
        running = undefined
        if (dirty.size > 0) schedule()
      })
    }, Math.max(0, lastCycle + cycleMilliseconds - Date.now()))
  }

  async function cycle(): Promise<void> {
    lastCycle = Date.now()
    const names = [...dirty.keys()]
    const grown: OrganizationState[] = []
    for (const name of names) {
      const since = dirty.get(name) as number
      dirty.delete(name)
      try {
        const state = stateOf(name)
        await bringUp(name)
        const organization = await organizations.get(name, Number.POSITIVE_INFINITY)
        if (organization) grown.push(organization)
      } catch (error) {
        log.warn('a log was not projected', errorFields(error))
        dirty.set(name, since)
      }
    }
    await signCheckpoints(grown)
    await collectStatements(grown)
  }

  // A day counts for waiting periods when a checkpoint was signed on it: one is signed though nothing happened.
  let heartbeat = false

  /** Checkpoints for all of these whose newest does not cover the projection, in one call: one write of the ledger. */
  async function signCheckpoints(grown: readonly OrganizationState[]): Promise<void> {
    const requests: CheckpointRequest[] = []
    const asked: OrganizationState[] = []
    for (const organization of grown) {
      const state = stateOf(organization.id)
      try {
        await prove(organization)
        const known = await newestCheckpoint(organization.id)
        const size = (state.tree as LogTree).size
        if (known && known.size >= size && !(heartbeat && grown.length === 1)) {
          publish(organization.id, known)
          continue
        }
        const from = state.ledgerSize ?? 0
        requests.push({
          organization: organization.bytes, organizationKey: sealingKey(organization), logKey: organization.logKey, from, size,
          root: await rootAt(state.tree as LogTree, size, sha256), path: await consistencyPath(state.tree as LogTree, from, size, sha256),
        })
        asked.push(organization)
      } catch (error) {
        retry(organization.id, state, error)
      }
    }
    if (requests.length === 0) return
    let results: Awaited<ReturnType<SignerClient['checkpoint']>>
    try {
      results = await signer.checkpoint(requests)
    } catch (error) {
      for (const organization of asked) retry(organization.id, stateOf(organization.id), error)
      return
    }
    for (let i = 0; i < asked.length; i++) {
      const organization = asked[i] as OrganizationState
      const result = results[i]
      if (result?.kind === 'signed') await keep(organization, { size: (requests[i] as CheckpointRequest).size, note: result.note })
      else if (result) {
        // Another server was faster, or the host changed the ledger: look at both again.
        const state = stateOf(organization.id)
        delete state.checkpoint
        retry(organization.id, state, new CustodyFault(result.code as 'log.behind', null))
      }
    }
  }

  function retry(organization: string, state: LogState, error: unknown): void {
    const code = error instanceof CustodyFault ? error.code : undefined
    if (code === 'log.behind') {
      // Only the host can end this; the sweep looks again.
      log.error('a log does not extend the ledger', { organization })
      return
    }
    log.warn('a checkpoint was not signed', { organization, ...errorFields(error) })
    dirty.set(organization, dirty.get(organization) ?? Date.now())
    delete state.proven
  }

  async function keep(organization: OrganizationState, checkpoint: StoredCheckpoint): Promise<void> {
    await pool.query('insert into checkpoints (organization_id, tree_size, signed_at, note) values ($1, $2, now(), $3) on conflict (organization_id, tree_size) do update set note = excluded.note, signed_at = excluded.signed_at',
      [organization.id, checkpoint.size, checkpoint.note])
    await pool.query('insert into checkpoint_days (day) values ((now() at time zone \'UTC\')::date) on conflict do nothing')
    heartbeat = false
    stateOf(organization.id).ledgerSize = checkpoint.size
    publish(organization.id, checkpoint)
  }

  function publish(organization: string, checkpoint: StoredCheckpoint): void {
    const state = stateOf(organization)
    if (!state.checkpoint || state.checkpoint.size < checkpoint.size) state.checkpoint = checkpoint
    const served = state.waiting.filter((w) => w.size <= checkpoint.size)
    state.waiting = state.waiting.filter((w) => w.size > checkpoint.size)
    for (const w of served) w.resolve(checkpoint)
  }

  async function newestCheckpoint(organization: string): Promise<StoredCheckpoint | null> {
    const state = stateOf(organization)
    if (state.checkpoint) return state.checkpoint
    const { rows: [row] } = await pool.query<{ tree_size: string; note: string }>(
      'select tree_size, note from checkpoints where organization_id = $1 order by tree_size desc limit 1', [organization])
    if (!row) return null
    state.checkpoint = { size: Number(row.tree_size), note: row.note }
    return state.checkpoint
  }

  async function collectStatements(candidates: readonly OrganizationState[]): Promise<void> {
    const now = Date.now()
    const due = candidates.filter((organization) => {
      const state = stateOf(organization.id)
      return state.signed && now - state.statementAt >= statementMilliseconds
    })
    if (due.length > 0) await recordStatements(due)
  }

  /** Fetches the statements of these logs and makes each a record. */
  async function recordStatements(due: readonly OrganizationState[]): Promise<void> {
    const requests = await Promise.all(due.map(async (organization) => ({ organization: organization.bytes, last: await lastStatement(organization) })))
    const answers = await signer.statement(requests)
    for (let i = 0; i < due.length; i++) {
      const organization = due[i] as OrganizationState
      const state = stateOf(organization.id)
      state.statementAt = Date.now()
      state.signed = false
      const statement = answers[i]?.statement
      if (!statement) continue
      const id = newUuid()
      const stamp = Date.now()
      const leaf: LeafInput = {
        event: 'signer.statement', log: statement.log, id: encodeTypeId('rec', id), time: new Date(stamp).toISOString(), actor: 'signer',
        signer: statement.signer, boot: statement.boot, count: statement.count, chain: statement.chain, runs: statement.runs,
        previous: statement.previous, reason: statement.reason, at: statement.at, signature: statement.signature,
      }
      const answer = await appendForSystem(organization, id, stamp, buildLeaf(leaf))
      // Not written: the signer gives the same statement again when it is told the one before.
      if (!answer) {
        state.signed = true
        dirty.set(organization.id, Date.now())
      }
    }
  }

  async function appendForSystem(organization: OrganizationState, record: Uint8Array, stamp: number, leaf: Uint8Array): Promise<boolean> {
    let epoch = organization.epoch
    for (let attempt = 0; attempt < 5; attempt++) {
      const answer = await authorizer.submit({
        organization: organization.id, epoch, record, stamp, leaf, texts: Buffer.of(0), charge: 0, limit: null, claim: null, body: null,
      })
      if (answer.status === 'authorized') return true
      if (answer.status !== 'epoch') return false
      epoch = answer.epoch
    }
    return false
  }

  async function lastStatement(organization: OrganizationState): Promise<Uint8Array | null> {
    const state = stateOf(organization.id)
    // Statements are rare, and the newest may lie after the projection.
    await bringUp(organization.id)
    const { rows: [row] } = await pool.query<{ leaf: Buffer }>(
      `select substring(b.leaves from r.leaf_offset + 1 for r.leaf_length) as leaf from records r
         join batches b on b.organization_id = r.organization_id and b.tree_size = r.batch
       where r.organization_id = $1 and r.event = 'signer.statement' and r.event not in ('key.signed', 'auth.api_key_used')
       order by r.index desc limit 1`, [organization.id])
    if (!row) return null
    const leaf = parseLeaf(row.leaf)
    if (leaf.event !== 'signer.statement') throw new Error('the projection names a record that is no statement')
    return fromHex(statementHash(leaf))
  }

  function prove(organization: OrganizationState): Promise<void> {
    const state = stateOf(organization.id)
    const boot = signer.capabilities?.boot
    if (boot !== undefined && state.proven === boot) return Promise.resolve()
    state.proving ??= proveNow(organization, state).finally(() => {
      state.proving = undefined
    })
    return state.proving
  }

  async function proveNow(organization: OrganizationState, state: LogState): Promise<void> {
    await signerIsThere(signer)
    const boot = signer.capabilities?.boot
    if (boot === undefined) throw new CustodyFault('custody.unavailable', null)
    const [head] = await signer.heads([organization.bytes])
    const tree = await bringUp(organization.id)
    const size = tree.size
    let proven = false
    if (head && head.size <= size) {
      const root = await rootAt(tree, size, sha256)
      const path = await consistencyPath(tree, head.size, size, sha256)
      const [result] = await signer.prove([{ organization: organization.bytes, from: head.size, size, root, path }])
      proven = result?.kind === 'proven'
      if (!proven && result?.kind === 'refused' && result.code === 'log.moved') return proveNow(organization, state)
    }
    state.behind = !proven
    if (head) state.ledgerSize = head.size
    if (!proven) throw new CustodyFault('log.behind', null)
    // The ledger may have moved on with a checkpoint that was signed and never stored.
    if (head && head.size > ((await newestCheckpoint(organization.id))?.size ?? 0)) dirty.set(organization.id, Date.now())
    state.proven = boot
  }

  /** What other servers appended, what a crash left unprojected, and what the signer has yet to state. */
  async function sweep(): Promise<void> {
    if (closed || !signer.capabilities) return
    try {
      const { rows } = await pool.query<{ id: string; size: string; projected: string | null; covered: string | null }>(
        `select o.id, coalesce(head.tree_size, 0) as size, p.size as projected, covered.tree_size as covered from organizations o
           left join lateral (select tree_size from batches where organization_id = o.id order by tree_size desc limit 1) head on true
           left join projections p on p.organization_id = o.id
           left join lateral (select tree_size from checkpoints where organization_id = o.id order by tree_size desc limit 1) covered on true`)
      for (const row of rows) {
        const known = stateOf(row.id)
        if (Number(row.size) > Number(row.projected ?? 0) || Number(row.size) > Number(row.covered ?? 0)) dirty.set(row.id, dirty.get(row.id) ?? Date.now())
        else if (known.signed && Date.now() - known.statementAt >= statementMilliseconds) dirty.set(row.id, dirty.get(row.id) ?? Date.now())
        const boot = signer.capabilities?.boot
        if (boot !== undefined && known.proven !== boot && !known.behind) {
          // After a restart the signer may have something to state.
          known.signed = true
          known.statementAt = 0
          dirty.set(row.id, dirty.get(row.id) ?? Date.now())
        } else if (known.behind) {
          dirty.set(row.id, dirty.get(row.id) ?? Date.now())
        }
      }
      const { rows: [today] } = await pool.query(`select 1 from checkpoint_days where day = (now() at time zone 'UTC')::date`)
      const first = rows[0]
      if (!today && first && dirty.size === 0 && Number(first.size) > 0) {
        heartbeat = true
        dirty.set(first.id, Date.now())
      }
      if (dirty.size > 0) schedule()
    } catch (error) {
      log.warn('looking for grown logs failed', errorFields(error))
    }
  }

  const sweeper = setInterval(() => void sweep(), sweepMilliseconds)
  void sweep()

  return {
    appended(organization, _size, batch) {
      if (batch) remember(stateOf(organization), batch)
      if (!dirty.has(organization)) dirty.set(organization, Date.now())
      schedule()
    },
    signed(organization, due) {
      const state = stateOf(organization)
      if (!state.signed) {
        state.signed = true
        if (state.statementAt === 0) state.statementAt = Date.now()
      }
      if (due) state.statementAt = 0
    },
    isProven(organization) {
      const boot = signer.capabilities?.boot
      return boot !== undefined && logs.get(organization)?.proven === boot
    },
    prove,
    async tree(organization) {
      return stateOf(organization).tree ?? (await bringUp(organization))
    },
    refresh: bringUp,
    checkpoint: newestCheckpoint,
    async covering(organization, size, milliseconds) {
      const known = await newestCheckpoint(organization)
      if (known && known.size >= size) return known
      const state = stateOf(organization)
      dirty.set(organization, dirty.get(organization) ?? Date.now())
      schedule()
      return new Promise((resolve) => {
        const waiting = { size, resolve: (checkpoint: StoredCheckpoint) => { clearTimeout(limit); resolve(checkpoint) } }
        const limit = setTimeout(() => {
          state.waiting = state.waiting.filter((w) => w !== waiting)
          resolve(null)
        }, milliseconds)
        state.waiting.push(waiting)
      })
    },
    behind: () => [...logs].filter(([, state]) => state.behind).map(([organization]) => organization),
    lagMilliseconds() {
      let oldest = 0
      for (const since of dirty.values()) oldest = Math.max(oldest, Date.now() - since)
      return oldest
    },
    forget(organization) {
      logs.delete(organization)
      dirty.set(organization, Date.now())
      schedule()
    },
    async close() {
      closed = true
      clearInterval(sweeper)
      clearTimeout(timer)
      signer.off('connected', onConnected)
      await running
    },
  }

  function sealingKey(organization: OrganizationState): CheckpointRequest['organizationKey'] {
    const material = organization.organizationKeys.get(organization.currentOrganizationKey)
    if (!material) throw new Error('an organization without its current key')
    return material
  }
}

function countLeaves(recent: RecentBatches): number {
  let count = 0
  for (const batch of recent.values()) count += batch.items.length
  return count
}

/** Waits a moment for a signer that is being started again. */
export async function signerIsThere(signer: SignerClient): Promise<void> {
  if (signer.capabilities) return
  await new Promise<void>((resolve) => {
    const end = (): void => {
      clearTimeout(limit)
      signer.off('connected', end)
      resolve()
    }
    const limit = setTimeout(end, reconnectMilliseconds)
    signer.on('connected', end)
  })
}

/** The root that a stored checkpoint names, hex. */
export function rootOfCheckpoint(checkpoint: StoredCheckpoint): string {
  return hex(parseCheckpoint(checkpoint.note).root)
}
