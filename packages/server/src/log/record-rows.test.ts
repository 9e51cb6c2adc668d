import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { test } from 'node:test'
import { uuidBytes } from '@popsigner/crypto/typeid'
import pg from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import { migrate } from '../database/migrate.ts'
import { startTestDatabase } from '../supervise/test-database.ts'
import { copyHeader, copyRecords, copyTrailer, type RecordRow, RecordRowWriter } from './record-rows.ts'

test('PostgreSQL reads every row as it was written', async (t) => {
  const database = await startTestDatabase()
  t.after(() => database.stop())
  const { socketDirectory: host, port, user, database: name, password } = database
  const client = new pg.Client({ host, port, user, database: name, password })
  await client.connect()
  await migrate(client)
  const organization = randomUUID()
  const [full, key, actor, id] = [randomUUID(), randomUUID(), randomUUID(), randomUUID()]
  const rows: RecordRow[] = [
    {
      id: uuidBytes(full),
      time: Date.parse('2026-11-25T20:21:22.987Z'),
      event: 'key.signed',
      actor: uuidBytes(actor),
      key: uuidBytes(key),
      dataHash: `ffffffffffffff01${'0'.repeat(48)}`,
      address: 2n ** 40n + 3n,
      userAgent: 7n,
    },
    {
      id: uuidBytes(id),
      time: Date.parse('1999-12-31T23:59:59.999Z'),
      event: 'a.very_long_name_of_an_event_that_has_more_letters_than_a_row_was_reserved_for',
      actor: uuidBytes(actor),
      key: null,
      dataHash: null,
      address: null,
      userAgent: null,
    },
  ]
  const writer = new RecordRowWriter(uuidBytes(organization), 1)
  writer.add(rows[0] as RecordRow, { index: 2 ** 45 + 5, batch: 2 ** 45 + 6, offset: 2, length: 700 })
  writer.add(rows[1] as RecordRow, { index: 2 ** 45 + 6, batch: 2 ** 45 + 7, offset: 702, length: 2 ** 31 - 1 })
  const stream = client.query(copyFrom(copyRecords))
  stream.write(copyHeader)
  stream.write(writer.bytes)
  stream.end(copyTrailer)
  await once(stream, 'finish')
  const { rows: read } = await client.query('select * from records where organization_id = $1 order by index', [
    organization,
  ])
  assert.deepEqual(read[0], {
    organization_id: organization,
    index: String(2 ** 45 + 5),
    id: full,
    time: new Date('2026-11-25T20:21:22.987Z'),
    event: 'key.signed',
    actor,
    key_id: key,
    data_hash: '-255',
    address: '1099511627779',
    user_agent: '7',
    batch: String(2 ** 45 + 6),
    leaf_offset: 2,
    leaf_length: 700,
  })
  assert.deepEqual(
    [read[1].id, read[1].time, read[1].event, read[1].key_id, read[1].data_hash, read[1].address, read[1].leaf_length],
    [id, new Date('1999-12-31T23:59:59.999Z'), rows[1]?.event, null, null, null, 2 ** 31 - 1],
  )
  const damaged = client.query(copyFrom(copyRecords))
  const refused = once(damaged, 'finish')
  damaged.write(copyHeader)
  damaged.end(randomBytes(40))
  await assert.rejects(refused)
  await client.end()
})
