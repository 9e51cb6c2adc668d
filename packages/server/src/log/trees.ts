import type { Pool } from 'pg'
import type { AppendedBatch } from '../authorize/authorizer.ts'
import { project, projectBatch, type RecentBatches } from './projection.ts'
import type { LogTree } from './tree.ts'

/** Leaves of which rows are kept in memory until they are projected: about 25 MB at the most. */
const maximumRecentLeaves = 60_000

/** How often, and after how long each time, what another server projects is looked at. */
const looks = 40
const lookMilliseconds = 25

interface TreeState {
  tree?: LogTree
  /** What this process committed and has yet to project. */
  readonly recent: RecentBatches
  bringing: Promise<unknown>
}

/** Every organization's tree and search table, as far as this process has brought them. */
export interface Trees {
  /** Keeps what was just committed, so that it need not be read back. */
  remember(organization: string, batch: AppendedBatch): void
  /** Brings a log's records and tree up to its batches, or as far as another server that is at it has come. */
  bringUp(organization: string): Promise<LogTree>
  /** The same, and waits for that other server, a second at most. `whole`: all that was committed when it was asked is there. */
  bringUpWhole(organization: string): Promise<{ tree: LogTree; whole: boolean }>
  /** A tree of at least `size` leaves, which another server may have projected. */
  current(organization: string, size: number): Promise<LogTree>
  forget(organization: string): void
}

/** Trees over the database. */
export function createTrees(pool: Pool): Trees {
  const states = new Map<string, TreeState>()
  let recentLeaves = 0

  function stateOf(organization: string): TreeState {
    let state = states.get(organization)
    if (!state) {
      state = { recent: new Map(), bringing: Promise.resolve() }
      states.set(organization, state)
    }
    return state
  }

  async function bringUpNow(organization: string, state: TreeState): Promise<LogTree> {
    const before = countLeaves(state.recent)
    const tree = await project(pool, organization, state.tree, state.recent)
    state.tree = tree
    // What another server projected first is of no more use.
    for (const [first, batch] of state.recent) {
      if (batch.end <= tree.size) state.recent.delete(first)
    }
    recentLeaves = Math.max(0, recentLeaves - before + countLeaves(state.recent))
    return tree
  }

  function bringUp(organization: string): Promise<LogTree> {
    const state = stateOf(organization)
    // One after the other: who comes second may need what came after the first had begun.
    const next = state.bringing.then(() => bringUpNow(organization, state))
    state.bringing = next.catch(() => {})
    return next
  }

  async function bringUpWhole(organization: string): Promise<{ tree: LogTree; whole: boolean }> {
    const {
      rows: [head],
    } = await pool.query<{ size: string }>({
      name: 'log-size',
      text: 'select tree_size as size from batches where organization_id = $1 order by tree_size desc limit 1',
      values: [organization],
    })
    const size = Number(head?.size ?? 0)
    let tree = await bringUp(organization)
    for (let i = 0; tree.size < size && i < looks; i++) {
      await new Promise((resolve) => setTimeout(resolve, lookMilliseconds))
      tree = await bringUp(organization)
    }
    return { tree, whole: tree.size >= size }
  }

  return {
    bringUp,
    bringUpWhole,
    remember(organization, batch) {
      recentLeaves += batch.items.length
      // The database has them all: what does not fit is read from there.
      if (recentLeaves > maximumRecentLeaves) {
        for (const state of states.values()) state.recent.clear()
        recentLeaves = 0
        return
      }
      stateOf(organization).recent.set(batch.first, projectBatch(organization, batch))
    },
    async current(organization, size) {
      const { tree } = stateOf(organization)
      return tree && tree.size >= size ? tree : bringUp(organization)
    },
    forget: (organization) => void states.delete(organization),
  }
}

function countLeaves(recent: RecentBatches): number {
  let count = 0
  for (const batch of recent.values()) count += batch.end - batch.first
  return count
}
