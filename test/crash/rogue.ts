import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { sha256 } from '@popsigner/crypto/hash-native'
import { decodeTypeId, uuidText } from '@popsigner/crypto/typeid'
import { SignerClient } from '@popsigner/custody/client'
import type { LogExtension, Material } from '@popsigner/custody/custodian'
import { consistencyPath, type TileSource } from '@popsigner/transparency/tiles'
import type { TestInstance } from '../instance.ts'
import { connectionFacts } from './second-server.ts'
import type { WholeLog } from './whole-log.ts'

/** What somebody has who took over the control plane: the proof key, the signer's socket and the database. */
export interface Rogue {
  readonly signer: SignerClient
  /** The organization's id, 16 bytes. */
  readonly organization: Uint8Array
  readonly organizationKey: Material
  readonly logKey: Material
  /** A key version's sealed material. */
  materialOf(key: string, version?: number): Promise<Material>
  /** The statement that the log, as far as it was read, extends what the signer has seen. */
  extension(log: WholeLog): Promise<LogExtension>
  close(): Promise<void>
}

/** Connects to a running instance's signer as its server does. */
export async function becomeRogue(instance: TestInstance, organization: string): Promise<Rogue> {
  const { name, sockets, proofFile } = connectionFacts(instance)
  const id = decodeTypeId(organization, 'org') as Uint8Array
  const database = await instance.database()
  const {
    rows: [term],
  } = await database
    .query<{ term: string }>('select timeline_id as term from pg_control_checkpoint()')
    .catch(() => ({ rows: [{ term: '1' }] }))
  const signer = new SignerClient({
    socket: join(sockets, 'signer/signer.sock'),
    instance: name,
    proof: readFileSync(proofFile),
    term: Number(term?.term ?? 1),
  })
  await signer.connect()
  const sealed = async (kind: string): Promise<Material> => {
    const {
      rows: [row],
    } = await database.query<Material>(
      'select spec, envelope from organization_materials where organization_id = $1 and kind = $2 and current',
      [uuidText(id), kind],
    )
    if (!row) throw new Error(`the organization has no ${kind}`)
    return row
  }
  return {
    signer,
    organization: id,
    organizationKey: await sealed('organization-key'),
    logKey: await sealed('log-key'),
    async materialOf(key, version = 1) {
      const {
        rows: [row],
      } = await database.query<Material>('select spec, envelope from key_parts where key_id = $1 and version = $2', [
        uuidText(decodeTypeId(key, 'key') as Uint8Array),
        version,
      ])
      if (!row) throw new Error('the key has no material')
      return row
    },
    async extension(log) {
      const [head] = await signer.heads([id])
      // The ledger may be further than what was read when it was asked.
      await log.readTo(head?.size ?? 0)
      const size = log.leaves.length
      const tiles: TileSource = {
        hashes: async (level, index) => {
          const width = 256 ** level
          const complete = Math.floor(size / width)
          const some = Array.from({ length: Math.min(256, complete - index * 256) }, (_, i) =>
            rootOf(log.hashes.slice((index * 256 + i) * width, (index * 256 + i + 1) * width)),
          )
          return new Uint8Array(Buffer.concat(some))
        },
      }
      const from = head?.size ?? 0
      return {
        organization: id,
        from,
        size,
        root: log.rootAt(size),
        path: from === 0 || from === size ? [] : await consistencyPath(tiles, from, size, sha256),
      }
    },
    async close() {
      await signer.close()
      await database.end()
    },
  }
}

/** The root of a complete subtree (RFC 6962 §2.1). */
function rootOf(hashes: readonly Uint8Array[]): Uint8Array {
  let row = hashes
  while (row.length > 1)
    row = Array.from({ length: row.length / 2 }, (_, i) =>
      sha256(Uint8Array.of(1), row[2 * i] as Uint8Array, row[2 * i + 1] as Uint8Array),
    )
  return row[0] as Uint8Array
}
