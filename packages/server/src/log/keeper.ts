import { sha256 } from '@popsigner/crypto/hash-native'
import { uuidText } from '@popsigner/crypto/typeid'
import type { SignerClient } from '@popsigner/custody/client'
import type { CheckpointRequest } from '@popsigner/custody/custodian'
import { sealedBy } from '@popsigner/custody/envelope'
import { CustodyFault } from '@popsigner/custody/faults'
import { consistencyPath, rootAt } from '@popsigner/transparency/tiles'
import type { Pool } from 'pg'
import type { AppendedBatch, Authorizer } from '../authorize/authorizer.ts'
import { errorFields, type Log } from '../log.ts'
import type { OrganizationState, Organizations } from '../tenants/organization.ts'
import { createStatements } from './statements.ts'
import type { LogTree } from './tree.ts'
import { createTrees } from './trees.ts'

/** The shortest time between two checkpoints of a log. A log that grows is covered within a second. */
const cycleMilliseconds = 400
const sweepMilliseconds = 5_000
const projectionsAtOnce = 4
const reconnectMilliseconds = 2_000
/** Logs in one request to the signer, which takes 1,000 at the most. */
const logsPerRequest = 200

/** A checkpoint as stored: the signed note and the size it covers. */
export interface StoredCheckpoint {
  readonly size: number
  readonly note: string
}

/** What is known of one organization's log in this process. */
interface LogState {
  checkpoint?: StoredCheckpoint
  /** The size the ledger stands at, as far as this process knows. */
  ledgerSize?: number
  /** The signer's run that this log was proven to on the present connection. */
  proven?: string
  proving: Promise<void> | undefined
  behind: boolean
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
  /** A tree of at least `size` leaves. */
  tree(organization: string, size: number): Promise<LogTree>
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
  /** Has logs proven anew before anything more is signed: one, or all when what is behind them may be another now. */
  unprove(organization?: string): void
  /** Forgets what is proven and known of an organization, after the host has accepted a loss. */
  forget(organization: string): void
  close(): Promise<void>
}

/** Starts the keeper's work in the background. */
export function createKeeper({ pool, signer, organizations, authorizer, log }: KeeperOptions): Keeper {
  const logs = new Map<string, LogState>()
  const trees = createTrees(pool)
  const statements = createStatements(pool, signer, authorizer, trees)
  /** Organizations whose log has grown, and since when; those being projected are moved over. */
  const dirty = new Map<string, number>()
  const projecting = new Map<string, number>()
  let running: Promise<void> | undefined
  let timer: NodeJS.Timeout | undefined
  let lastCycle = 0
  let closed = false

  function stateOf(organization: string): LogState {
    let state = logs.get(organization)
    if (!state) {
      state = { proving: undefined, behind: false, waiting: [] }
      logs.set(organization, state)
    }
    return state
  }

  /** Rises when proofs lose their worth, so that one that is under way then is not believed either. */
  let era = 0

  function unprove(organization?: string): void {
    era++
    if (organization === undefined) for (const state of logs.values()) delete state.proven
    else delete stateOf(organization).proven
  }

  const onConnected = (): void => {
    unprove()
    void sweep()
  }
  signer.on('connected', onConnected)

  function schedule(): void {
    if (closed || timer || running) return
    timer = setTimeout(
      () => {
        timer = undefined
        running = cycle()
          .catch((error: unknown) => log.warn('keeping the logs failed', errorFields(error)))
          .finally(() => {
            running = undefined
            if (dirty.size > 0) schedule()
          })
      },
      Math.max(0, lastCycle + cycleMilliseconds - Date.now()),
    )
  }

  async function cycle(): Promise<void> {
    lastCycle = Date.now()
    const names = [...dirty.keys()]
    const grown: OrganizationState[] = []
    const next = names.values()
    // A few at a time: one organization's slow log does not hold up the others'.
    await Promise.all(Array.from({ length: projectionsAtOnce }, () => projectAll(next, grown)))
    for (let i = 0; i < grown.length; i += logsPerRequest) {
      const some = grown.slice(i, i + logsPerRequest)
      await signCheckpoints(some)
      for (const organization of await statements.collect(some)) mark(organization.id)
    }
  }

  async function projectAll(names: Iterator<string>, grown: OrganizationState[]): Promise<void> {
    for (let step = names.next(); !step.done; step = names.next()) {
      const name = step.value
      const since = dirty.get(name) ?? Date.now()
      dirty.delete(name)
      projecting.set(name, since)
      try {
        await trees.bringUp(name)
        const organization = await organizations.get(name, Number.POSITIVE_INFINITY)
        if (organization) grown.push(organization)
      } catch (error) {
        log.warn('a log was not projected', errorFields(error))
        dirty.set(name, since)
      } finally {
        projecting.delete(name)
      }
    }
  }

  function mark(organization: string): void {
    if (!dirty.has(organization)) dirty.set(organization, Date.now())
  }

  // A day counts for waiting periods when a checkpoint was signed on it: one is signed though nothing happened.
  let heartbeat = false

  /** Checkpoints for all of these whose newest does not cover the projection, in one call: one write of the ledger. */
  async function signCheckpoints(grown: readonly OrganizationState[], again = true): Promise<void> {
    const requests: CheckpointRequest[] = []
    const asked: OrganizationState[] = []
    for (const organization of grown) {
      const state = stateOf(organization.id)
      try {
        await prove(organization)
        const known = await newestCheckpoint(organization.id)
        const tree = await trees.current(organization.id, state.ledgerSize ?? 0)
        const size = tree.size
        if (known && known.size >= size && !(heartbeat && grown.length === 1)) {
          publish(organization.id, known)
          continue
        }
        const from = state.ledgerSize ?? 0
        requests.push({
          organization: organization.bytes,
          organizationKey: sealingKey(organization),
          logKey: organization.logKey,
          from,
          size,
          root: await rootAt(tree, size, sha256),
          path: await consistencyPath(tree, from, size, sha256),
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
    const moved: OrganizationState[] = []
    for (const [i, organization] of asked.entries()) {
      const result = results[i]
      const state = stateOf(organization.id)
      if (result?.kind === 'signed') {
        const { size } = requests[i] as CheckpointRequest
        await keep(organization, { size, note: result.note }).catch((error) => retry(organization.id, state, error))
      } else if (result) {
        delete state.checkpoint
        if (result.code === 'log.moved' && result.head && again) {
          // Another server was faster: this one goes on from what that one has made.
          state.ledgerSize = result.head.size
          moved.push(organization)
          continue
        }
        // The keys may be those of before a rotation.
        if (result.code.startsWith('custody.')) organizations.supersede(organization.id, -1)
        retry(organization.id, state, new CustodyFault(result.code as 'log.behind', null))
      }
    }
    if (moved.length > 0) await signCheckpoints(moved, false)
  }

  function retry(organization: string, state: LogState, error: unknown): void {
    const code = error instanceof CustodyFault ? error.code : undefined
    if (code === 'log.behind') {
      // Only the host can end this; the sweep looks again.
      log.error('a log does not extend the ledger', { organization })
      return
    }
    log.warn('a checkpoint was not signed', { organization, ...errorFields(error) })
    mark(organization)
    delete state.proven
  }

  async function keep(organization: OrganizationState, checkpoint: StoredCheckpoint): Promise<void> {
    await pool.query(
      'insert into checkpoints (organization_id, tree_size, signed_at, note) values ($1, $2, now(), $3) on conflict (organization_id, tree_size) do update set note = excluded.note, signed_at = excluded.signed_at',
      [organization.id, checkpoint.size, checkpoint.note],
    )
    await pool.query(
      "insert into checkpoint_days (day) values ((now() at time zone 'UTC')::date) on conflict do nothing",
    )
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
    const {
      rows: [row],
    } = await pool.query<{ tree_size: string; note: string }>(
      'select tree_size, note from checkpoints where organization_id = $1 order by tree_size desc limit 1',
      [organization],
    )
    if (!row) return null
    state.checkpoint = { size: Number(row.tree_size), note: row.note }
    return state.checkpoint
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
    const began = era
    const boot = signer.capabilities?.boot
    if (boot === undefined) throw new CustodyFault('custody.unavailable', null)
    const [head] = await signer.heads([organization.bytes])
    const tree = await trees.bringUp(organization.id)
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
    if (head && head.size > ((await newestCheckpoint(organization.id))?.size ?? 0)) mark(organization.id)
    if (began !== era) return proveNow(organization, state)
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
           left join lateral (select tree_size from checkpoints where organization_id = o.id order by tree_size desc limit 1) covered on true`,
      )
      for (const row of rows) {
        const known = stateOf(row.id)
        const boot = signer.capabilities?.boot
        const grown = Number(row.size) > Number(row.projected ?? 0) || Number(row.size) > Number(row.covered ?? 0)
        const restarted = boot !== undefined && known.proven !== boot && !known.behind
        if (restarted) statements.restarted(row.id)
        if (grown || restarted || known.behind || statements.isDue(row.id)) mark(row.id)
      }
      const {
        rows: [today],
      } = await pool.query(`select 1 from checkpoint_days where day = (now() at time zone 'UTC')::date`)
      const first = rows[0]
      if (!today && first && dirty.size === 0 && Number(first.size) > 0) {
        heartbeat = true
        mark(first.id)
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
      if (batch) trees.remember(organization, batch)
      mark(organization)
      schedule()
    },
    signed(organization, due) {
      statements.signed(organization, due)
      if (!due) return
      mark(organization)
      schedule()
    },
    isProven(organization) {
      const boot = signer.capabilities?.boot
      return boot !== undefined && logs.get(organization)?.proven === boot
    },
    prove,
    tree: trees.current,
    unprove,
    refresh: async (organization) => (await trees.bringUpWhole(organization)).tree,
    checkpoint: newestCheckpoint,
    async covering(organization, size, milliseconds) {
      const known = await newestCheckpoint(organization)
      if (known && known.size >= size) return known
      const state = stateOf(organization)
      mark(organization)
      schedule()
      return new Promise((resolve) => {
        const waiting = {
          size,
          resolve: (checkpoint: StoredCheckpoint) => {
            clearTimeout(limit)
            resolve(checkpoint)
          },
        }
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
      for (const since of [...dirty.values(), ...projecting.values()]) oldest = Math.max(oldest, Date.now() - since)
      return oldest
    },
    forget(organization) {
      logs.delete(organization)
      trees.forget(organization)
      mark(organization)
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
    // During a rotation this is not yet the current one.
    const id = sealedBy(organization.logKey.envelope)
    const material = id && organization.organizationKeys.get(uuidText(id))
    if (!material) throw new Error('a log key that no key of its organization sealed')
    return material
  }
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
