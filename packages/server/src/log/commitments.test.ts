import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { commitment, commitmentSalt } from '@popsigner/transparency/record'
import type { Pool } from 'pg'
import { newId } from '../ids.ts'
import { commit, createCommitter } from './commitments.ts'

test('commitments are those of the transparency package, byte for byte', async () => {
  const key = randomBytes(32)
  // The only query it makes stores the text and answers its id.
  const pool = { query: async () => ({ rows: [{ id: '7' }] }) } as unknown as Pool
  const committer = createCommitter(pool, 'o', 'a', key)
  for (const field of ['address', 'user_agent', 'name', 'metadata'] as const) {
    for (const value of ['127.0.0.1', '', 'Zürich 鍵', 'x'.repeat(300)]) {
      const text = await committer.text(field, value)
      for (let i = 0; i < 3; i++) {
        const record = newId('rec')
        assert.equal(commit(text, record), commitment(field, commitmentSalt(key, record, field), value))
      }
    }
  }
})
