/**
 * Fills an instance's database with keys and records that nobody made one by one, quickly, as large as years of use would
 * leave it. The log stays whole: the new leaves have their batches, tiles and search rows, and the server checkpoints
 * them as it does any other. They are one real leaf over and over (only the rows that people search differ), which makes most
 * tiles alike, and their Merkle roots quick to compute.
 */

import { sha256 } from '@popsigner/crypto/hash-native'
import { TILE_WIDTH, tileRoot } from '@popsigner/transparency/tiles'
import type pg from 'pg'
import { eachLeaf } from '../packages/server/src/log/leaves.ts'
import { hashLeaf } from '../packages/server/src/log/tree.ts'
import { openDatabase } from './database.ts'
import type { Instance } from './instance.ts'

/** What fits several tiles and is a batch that a busy server commits. */
const batchSize = 100
/** The records lie in the days before now; the claims of idempotency keys live for one of them. */
const days = 90

const tables = [
  'batches',
  'records',
  'tiles',
  'idempotency',
  'keys',
  'key_versions',
  'key_parts',
  'key_history',
] as const

/** Adds so many keys and records (a multiple of 100) to the one organization of an instance that is at rest. */
export async function fill(
  instance: Instance,
  keys: number,
  records: number,
  say: (step: string) => void,
): Promise<void> {
  const { client, end } = await openDatabase(instance)
  try {
    const began = performance.now()
    const step = async (what: string, run: () => Promise<unknown>): Promise<void> => {
      await run()
      say(`${what} (${Math.round((performance.now() - began) / 1000)} s)`)
    }
    await client.query('begin')
    // Tables that a transaction truncates are written without a write-ahead log and synced at its end (wal_level minimal).
    await client.query(
      `set local maintenance_work_mem = '512MB'; set local lock_timeout = 0; lock table ${tables.join(', ')}`,
    )
    const facts = await readFacts(client)
    const indexes = await dropIndexes(client)
    await step('tables emptied', () => emptyAndPutBack(client))
    await step(`${keys.toLocaleString('en')} keys`, () => insertKeys(client, facts, keys))
    await step('leaves', () => insertBatches(client, facts, keys, records))
    await step('tiles', () => insertTiles(client, facts, records))
    await step('search rows', () => insertRecords(client, facts, keys, records))
    await step('claims', () => insertClaims(client, facts, records))
    await step('indexes', () => createIndexes(client, indexes))
    await client.query('update projections set size = $2 where organization_id = $1', [
      facts.organization,
      facts.size + records,
    ])
    await step('committed', () => client.query('commit'))
    // What autovacuum would have done bit by bit over the years, and would now do all at once beside what is measured.
    await client.query('alter table batches set (toast.autovacuum_enabled = false)')
    await step('vacuumed', () => client.query(`vacuum (analyze, process_toast false) ${tables.join(', ')}`))
  } finally {
    await end()
  }
}

interface Facts {
  readonly organization: string
  readonly size: number
  /** A signature's leaf, and the search columns of its record. */
  readonly leaf: Buffer
  readonly record: { actor: string; address: string; user_agent: string }
  /** A real key of the same organization. */
  readonly key: string
  /** Leaf hashes after the last complete tile, and above that, by level, roots after the last complete tile. */
  readonly edges: readonly (readonly Buffer[])[]
}

async function readFacts(client: pg.Client): Promise<Facts> {
  const one = async <T extends pg.QueryResultRow>(text: string, values: unknown[] = []): Promise<T> => {
    const { rows } = await client.query<T>(text, values)
    if (!rows[0]) throw new Error('the database to fill is not that of an instance that has signed')
    return rows[0]
  }
  const { id: organization } = await one<{ id: string }>(
    "select id from organizations where id <> '00000000-0000-0000-0000-000000000000'",
  )
  const head = await one<{ size: string; projected: string }>(
    'select max(tree_size) as size, (select size from projections where organization_id = $1) as projected from batches where organization_id = $1',
    [organization],
  )
  if (head.size !== head.projected) throw new Error('the database to fill is not at rest')
  const size = Number(head.size)
  const record = await one<{ leaf: Buffer; actor: string; address: string; user_agent: string; key: string }>(
    `select substring(b.leaves from r.leaf_offset + 1 for r.leaf_length) as leaf, r.actor, r.address, r.user_agent, r.key_id as key
       from records r join batches b on b.organization_id = r.organization_id and b.tree_size = r.batch
      where r.organization_id = $1 and r.event = 'key.signed' order by r.index desc limit 1`,
    [organization],
  )
  const edges = [await leafHashesFrom(client, organization, size - (size % TILE_WIDTH))]
  for (
    let level = 1, tiles = Math.floor(size / TILE_WIDTH);
    tiles > 0;
    level++, tiles = Math.floor(tiles / TILE_WIDTH)
  ) {
    const { rows } = await client.query<{ root: Buffer }>(
      'select root from tiles where organization_id = $1 and level = $2 and index >= $3 order by index',
      [organization, level - 1, tiles - (tiles % TILE_WIDTH)],
    )
    edges.push(rows.map((row) => row.root))
  }
  return { organization, size, leaf: record.leaf, record, key: record.key, edges }
}

async function leafHashesFrom(client: pg.Client, organization: string, first: number): Promise<Buffer[]> {
  const { rows } = await client.query<{ tree_size: string; size: number; leaves: Buffer }>(
    'select tree_size, size, leaves from batches where organization_id = $1 and tree_size > $2 order by tree_size',
    [organization, first],
  )
  return rows.flatMap((row) => {
    const hashes: Buffer[] = []
    eachLeaf(row.leaves, (leaf) => hashes.push(hashLeaf(leaf)))
    return hashes.slice(Math.max(0, first - (Number(row.tree_size) - row.size)))
  })
}

/** Removes constraints and indexes, and answers the statements that make them again. */
async function dropIndexes(client: pg.Client): Promise<string[]> {
  const { rows: constraints } = await client.query<{ holder: string; name: string; kind: string; definition: string }>(
    `select conrelid::regclass::text as holder, conname as name, contype as kind, pg_get_constraintdef(oid) as definition from pg_constraint
      where (conrelid = any ($1::regclass[]) and contype in ('p', 'u', 'f')) or (confrelid = any ($1::regclass[]) and contype = 'f') order by contype = 'f' desc`,
    [tables],
  )
  for (const { holder, name } of constraints) await client.query(`alter table ${holder} drop constraint ${name}`)
  const { rows: indexes } = await client.query<{ name: string; definition: string }>(
    'select indexrelid::regclass::text as name, pg_get_indexdef(indexrelid) as definition from pg_index where indrelid = any ($1::regclass[])',
    [tables],
  )
  for (const { name } of indexes) await client.query(`drop index ${name}`)
  const add = constraints
    .toReversed()
    .map(({ holder, name, definition }) => `alter table ${holder} add constraint ${name} ${definition}`)
  const isForeign = (text: string): boolean => / foreign key /i.test(text)
  return [
    ...add.filter((text) => !isForeign(text)),
    ...indexes.map((index) => index.definition),
    ...add.filter(isForeign),
  ]
}

async function createIndexes(client: pg.Client, statements: readonly string[]): Promise<void> {
  for (const statement of statements) await client.query(statement)
}

async function emptyAndPutBack(client: pg.Client): Promise<void> {
  for (const table of tables) await client.query(`create temp table kept_${table} on commit drop as table ${table}`)
  await client.query(`truncate ${tables.join(', ')}`)
  for (const table of tables) await client.query(`insert into ${table} table kept_${table}`)
}

/** The id of the key of this number, as SQL: of the form of a UUIDv7. */
function keyId(number: string): string {
  return `('01900000-0000-7000-8000-' || lpad(to_hex(${number}), 12, '0'))::uuid`
}

async function insertKeys(client: pg.Client, { organization, key }: Facts, count: number): Promise<void> {
  const numbers = `generate_series(1, ${count}) g`
  await client.query(
    `insert into keys (id, organization_id, namespace_id, name, algorithm, schemes, uses, export, origin, metadata, primary_version, created_at, updated_at)
     select ${keyId('g')}, k.organization_id, k.namespace_id, 'large-' || g, k.algorithm, k.schemes, k.uses, k.export, k.origin, k.metadata, 1, k.created_at, k.updated_at
       from keys k, ${numbers} where k.id = $1 and k.organization_id = $2`,
    [key, organization],
  )
  await client.query(
    `insert into key_versions (key_id, version, public_key, cosmos_account, ethereum_account, state, created_at)
     select ${keyId('g')}, 1, v.public_key, substring(sha256(('c' || g)::bytea) for 20), substring(sha256(('e' || g)::bytea) for 20), 'active', v.created_at
       from key_versions v, ${numbers} where v.key_id = $1 and v.version = 1`,
    [key],
  )
  await client.query(
    `insert into key_parts (key_id, version, party, custodian, spec, envelope, sealed_by)
     select ${keyId('g')}, 1, 0, p.custodian, p.spec, p.envelope, p.sealed_by from key_parts p, ${numbers} where p.key_id = $1 and p.version = 1`,
    [key],
  )
  await client.query(
    `insert into key_history (key_id, revision, record_id, event, actor, name, metadata, state, version, uses, schemes, rotate_every_days, at)
     select ${keyId('g')}, 1, h.record_id, h.event, h.actor, 'large-' || g, h.metadata, h.state, 1, h.uses, h.schemes, h.rotate_every_days, h.at
       from key_history h, ${numbers} where h.key_id = $1 and h.revision = 1`,
    [key],
  )
}

/** The time of the batch of this number of so many, as SQL. */
function timeOf(number: string, count: number): string {
  return `now() - interval '${days} days' * (1 - (${number}) / ${count}::float8)`
}

async function insertBatches(
  client: pg.Client,
  { organization, size, leaf }: Facts,
  keys: number,
  records: number,
): Promise<void> {
  const length = Buffer.alloc(2)
  length.writeUInt16BE(leaf.length)
  const leaves = Buffer.concat(Array.from({ length: batchSize }, () => Buffer.concat([length, leaf])))
  const count = records / batchSize
  await client.query(
    `insert into batches (organization_id, tree_size, size, time, epoch, period, used, keys, namespaces, leaves, texts)
     select h.organization_id, h.tree_size + g * ${batchSize}, ${batchSize}, ${timeOf('g', count)}, h.epoch, h.period, h.used, h.keys + $3, h.namespaces, $4, $5
       from (select * from batches where organization_id = $1 and tree_size = $2) h, generate_series(1, ${count}) g`,
    [organization, size, keys, leaves, Buffer.alloc(batchSize)],
  )
}

async function insertRecords(
  client: pg.Client,
  { organization, size, leaf, record }: Facts,
  keys: number,
  records: number,
): Promise<void> {
  const count = records / batchSize
  await client.query(
    `insert into records (organization_id, index, id, time, event, actor, key_id, data_hash, address, user_agent, batch, leaf_offset, leaf_length)
     select $1, $2::bigint + i, uuidv7(-interval '${days} days' * (1 - g / ${count}::float8)), ${timeOf('g', count)}, 'key.signed', $3::uuid,
            ${keyId(`1 + (i * 7919) % ${keys}`)}, hashint8extended(i, 1), $4::bigint, $5::bigint,
            $2::bigint + g * ${batchSize}, 2 + (i % ${batchSize})::integer * ${leaf.length + 2}, ${leaf.length}
       from (select i, i / ${batchSize} + 1 as g from generate_series(0::bigint, ${records - 1}) i) t`,
    [organization, size, record.actor, record.address, record.user_agent],
  )
}

/** What signatures of the last day have claimed. */
async function insertClaims(client: pg.Client, { organization, size }: Facts, records: number): Promise<void> {
  const count = Math.floor(records / days)
  await client.query(
    `insert into idempotency (organization_id, claim, body, index, time)
     select $1, md5('claim' || i)::uuid, md5('body' || i)::uuid, $2::bigint + ${records - count} + i, now() - interval '1 day' * (1 - i / ${count}::float8)
       from generate_series(0, ${count - 1}) i`,
    [organization, size],
  )
}

async function insertTiles(
  client: pg.Client,
  { organization, size, leaf, edges }: Facts,
  records: number,
): Promise<void> {
  const text = `insert into tiles (organization_id, level, index, root, hashes) select $1, $2, g, $3, $4 from generate_series($5::bigint, $6::bigint) g`
  const put = (level: number, from: number, to: number, hashes: Buffer): Promise<unknown> =>
    client.query(text, [organization, level, Buffer.from(tileRoot(hashes, sha256)), hashes, from, to])
  let first = [...(edges[0] ?? [])]
  let repeated = hashLeaf(leaf)
  let times = records
  let index = Math.floor(size / TILE_WIDTH)
  for (let level = 0; first.length + times >= TILE_WIDTH; level++) {
    const tiles = Math.floor((first.length + times) / TILE_WIDTH)
    // The first tile begins with what was there before; those after it hold the repeated hash alone.
    const mixed = Buffer.concat([
      ...first,
      ...Array.from({ length: Math.max(0, TILE_WIDTH - first.length) }, () => repeated),
    ])
    const alike = Buffer.concat(Array.from({ length: TILE_WIDTH }, () => repeated))
    await put(level, index, index, mixed)
    if (tiles > 1) await put(level, index + 1, index + tiles - 1, alike)
    first = [...(edges[level + 1] ?? []), Buffer.from(tileRoot(mixed, sha256))]
    repeated = Buffer.from(tileRoot(alike, sha256))
    times = tiles - 1
    index = Math.floor(index / TILE_WIDTH)
  }
}
