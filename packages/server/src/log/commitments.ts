import { hash } from 'node:crypto'
import type { Pool } from 'pg'
import type { TextField } from './leaves.ts'

/** A text that this actor's commitments can now name: kept beside the log, with what is constant in its commitments. */
export interface Text {
  readonly field: TextField
  readonly id: bigint
  /** `popsigner/v1/commit` ‖ 0 ‖ field ‖ 0 ‖ salt ‖ value; the salt is written in for each record. */
  readonly preimage: Buffer
  readonly saltAt: number
  readonly salts: SaltTemplate
}

interface SaltTemplate {
  readonly inner: Buffer
  readonly outer: Buffer
}

/**
 * Makes one actor's commitments (transparency's `commitment` and `commitmentSalt`, byte for byte). HMAC is written out as
 * two one-shot hashes over prepared blocks: this runs twice for every signature, and a native HMAC object costs ten times as much.
 */
export interface Committer {
  /** The text as stored for this actor, stored now if it was not. */
  text(field: TextField, value: string): Promise<Text>
  /** The text if it is at hand. */
  recall(field: TextField, value: string): Text | undefined
}

const label = 'popsigner/v1/commit'
const blockLength = 64
const recordIdLength = 30
const maximumTexts = 1000

/** The committer of the actor with this erasure key (32 bytes). `actor` is uuid text, the nil uuid for host and system. */
export function createCommitter(pool: Pool, organization: string, actor: string, erasureKey: Buffer): Committer {
  const known = new Map<string, Text>()
  const templates = new Map<TextField, SaltTemplate>()

  function template(field: TextField): SaltTemplate {
    let found = templates.get(field)
    if (!found) {
      const inner = Buffer.alloc(blockLength + recordIdLength + 1 + field.length)
      const outer = Buffer.alloc(blockLength + 32)
      for (let i = 0; i < blockLength; i++) {
        inner[i] = (erasureKey[i] ?? 0) ^ 0x36
        outer[i] = (erasureKey[i] ?? 0) ^ 0x5c
      }
      inner.write(field, blockLength + recordIdLength + 1, 'latin1')
      found = { inner, outer }
      templates.set(field, found)
    }
    return found
  }

  return {
    recall: (field, value) => known.get(`${field}\0${value}`),
    async text(field, value) {
      const name = `${field}\0${value}`
      const found = known.get(name)
      if (found) return found
      const {
        rows: [row],
      } = await pool.query<{ id: string }>(
        `with present as (
           select id from texts where organization_id = $1 and actor = $2 and field = $3 and md5(value) = md5($4) and value = $4 limit 1
         ), made as (
           insert into texts (organization_id, actor, field, value) select $1, $2, $3, $4 where not exists (select 1 from present) returning id
         ) select id from present union all select id from made`,
        [organization, actor, field, value],
      )
      const saltAt = label.length + 1 + field.length + 1
      const bytes = Buffer.from(value, 'utf8')
      const preimage = Buffer.alloc(saltAt + 32 + bytes.length)
      preimage.write(`${label}\0${field}\0`, 0, 'latin1')
      bytes.copy(preimage, saltAt + 32)
      const text: Text = {
        field,
        id: BigInt((row as { id: string }).id),
        preimage,
        saltAt,
        salts: template(field),
      }
      if (known.size >= maximumTexts) known.delete(known.keys().next().value as string)
      known.set(name, text)
      return text
    },
  }
}

/** The commitment to this text in the record with this id (`rec_…`): 43 characters of base64url. */
export function commit(text: Text, record: string): string {
  const { inner, outer } = text.salts
  inner.write(record, blockLength, recordIdLength, 'latin1')
  outer.write(hash('sha256', inner, 'hex'), blockLength, 'hex')
  text.preimage.write(hash('sha256', outer, 'hex'), text.saltAt, 'hex')
  return hash('sha256', text.preimage, 'base64url')
}
