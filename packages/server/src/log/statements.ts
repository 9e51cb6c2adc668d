import { fromHex, utf8 } from '@popsigner/crypto/bytes'
import { sha256 } from '@popsigner/crypto/hash-native'
import { encodeTypeId, uuidText } from '@popsigner/crypto/typeid'
import type { SignerClient } from '@popsigner/custody/client'
import { buildLeaf, type LeafInput, parseLeaf } from '@popsigner/transparency/record'
import { statementHash } from '@popsigner/transparency/statement'
import type { Pool } from 'pg'
import type { Authorizer } from '../authorize/authorizer.ts'
import { newUuid } from '../ids.ts'
import type { OrganizationState } from '../tenants/organization.ts'
import type { Trees } from './trees.ts'

const everyMilliseconds = 60_000
const maximumAttempts = 5

interface StatementState {
  /** When the last statement was fetched; 0 when one is due at once. */
  at: number
  /** Something was signed since, as far as this process knows. */
  signed: boolean
}

/** Makes records of what the signer says it signed: for each minute with a signature, and after a restart. */
export interface Statements {
  /** Something of the organization was signed. `due`: the signer asks to be asked soon. */
  signed(organization: string, due: boolean): void
  /** The signer was started again: whatever it has yet to state is due. */
  restarted(organization: string): void
  isDue(organization: string): boolean
  /** Fetches and records what is due of these; answers those that have to be tried again. */
  collect(organizations: readonly OrganizationState[]): Promise<readonly OrganizationState[]>
}

/** Statements of `signer`, appended through `authorizer`. */
export function createStatements(pool: Pool, signer: SignerClient, authorizer: Authorizer, trees: Trees): Statements {
  const states = new Map<string, StatementState>()

  function stateOf(organization: string): StatementState {
    let state = states.get(organization)
    if (!state) {
      state = { at: Date.now(), signed: false }
      states.set(organization, state)
    }
    return state
  }

  function isDue(organization: string): boolean {
    const state = states.get(organization)
    return state?.signed === true && Date.now() - state.at >= everyMilliseconds
  }

  async function record(due: readonly OrganizationState[]): Promise<OrganizationState[]> {
    const requests = await Promise.all(
      due.map(async (organization) => ({ organization: organization.bytes, last: await newest(organization) })),
    )
    // Before the answer: what is signed while it is on its way may have come too late for it.
    for (const organization of due) states.set(organization.id, { at: Date.now(), signed: false })
    const answers = await signer.statement(requests).catch((error: unknown) => {
      for (const organization of due) states.set(organization.id, { at: 0, signed: true })
      throw error
    })
    const again: OrganizationState[] = []
    for (const [i, organization] of due.entries()) {
      const statement = answers[i]?.statement
      if (!statement) continue
      const { log, signer: identity, boot, count, chain, runs, previous, reason, at, signature } = statement
      const body = { log, signer: identity, boot, count, chain, runs, previous, reason, at, signature }
      // Not written: the signer gives the same statement again when it is told the one before.
      if (!(await append(organization, { event: 'signer.statement', ...body }))) {
        states.set(organization.id, { at: 0, signed: true })
        again.push(organization)
      }
    }
    return again
  }

  async function append(
    organization: OrganizationState,
    fields: Omit<Extract<LeafInput, { event: 'signer.statement' }>, 'id' | 'time' | 'actor'>,
  ): Promise<boolean> {
    const id = newUuid()
    const stamp = Date.now()
    const time = new Date(stamp).toISOString()
    const leaf = buildLeaf({ ...fields, id: encodeTypeId('rec', id), time, actor: 'signer' })
    // Whatever is asked twice, the log takes a statement once.
    const claim = uuidText(sha256(utf8(fields.signature)).subarray(0, 16))
    let epoch = organization.epoch
    for (let attempt = 0; attempt < maximumAttempts; attempt++) {
      const answer = await authorizer.submit({
        organization: organization.id,
        epoch,
        record: id,
        stamp,
        leaf,
        texts: Buffer.of(0),
        charge: 0,
        limit: null,
        claim,
        body: claim,
      })
      if (answer.status === 'authorized' || answer.status === 'replayed') return true
      if (answer.status !== 'epoch') return false
      epoch = answer.epoch
    }
    return false
  }

  /** Hash of the newest statement in the log, null when there is none. */
  async function newest(organization: OrganizationState): Promise<Uint8Array | null> {
    // Statements are rare, and the newest may lie after the projection: asked for what follows an older one, the signer would
    // give one that the log has already.
    if (!(await trees.bringUpWhole(organization.id)).whole) throw new Error('the projection is behind the log')
    const {
      rows: [row],
    } = await pool.query<{ leaf: Buffer }>(
      `select substring(b.leaves from r.leaf_offset + 1 for r.leaf_length) as leaf from records r
         join batches b on b.organization_id = r.organization_id and b.tree_size = r.batch
       where r.organization_id = $1 and r.event = 'signer.statement' and r.event not in ('key.signed', 'auth.api_key_used')
       order by r.index desc limit 1`,
      [organization.id],
    )
    if (!row) return null
    const leaf = parseLeaf(row.leaf)
    if (leaf.event !== 'signer.statement') throw new Error('the projection names a record that is no statement')
    return fromHex(statementHash(leaf))
  }

  return {
    isDue,
    signed(organization, due) {
      const state = stateOf(organization)
      state.signed = true
      if (due) state.at = 0
    },
    restarted(organization) {
      states.set(organization, { at: 0, signed: true })
    },
    async collect(organizations) {
      const due = organizations.filter((organization) => isDue(organization.id))
      if (due.length === 0) return []
      // Two servers at it would both be given the same statement: one of them does it.
      const client = await pool.connect()
      try {
        const {
          rows: [lock],
        } = await client.query<{ mine: boolean }>('select pg_try_advisory_lock(731005) as mine')
        if (!lock?.mine) return due
        try {
          return await record(due)
        } finally {
          await client.query('select pg_advisory_unlock(731005)')
        }
      } finally {
        client.release()
      }
    },
  }
}
