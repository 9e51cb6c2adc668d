-- The first schema. Ids are uuids (UUIDv7); the text form with a prefix exists only outside the database.
-- Nothing on the signing path is updated in place: an organization's head is its newest row in `batches`.

create table instance (
  singleton boolean primary key default true check (singleton),
  name text not null,
  created_at timestamptz not null default now()
);

create table organizations (
  id uuid primary key,
  name text not null unique,
  plan text not null,
  -- Public half of the log's Ed25519 key, 32 bytes.
  log_public_key bytea not null,
  created_at timestamptz not null
);

-- One row per organization that never changes: what the authorizing transaction locks.
create table organization_locks (
  organization_id uuid primary key
);

-- Everything sealed. `spec` is the envelope's authenticated data (CBOR). kind: organization-key, log-key.
create table organization_materials (
  organization_id uuid not null references organizations (id),
  kind text not null,
  id uuid not null,
  spec bytea not null,
  envelope bytea not null,
  current boolean not null,
  created_at timestamptz not null default now(),
  primary key (organization_id, kind, id)
);
create unique index organization_materials_current on organization_materials (organization_id, kind) where current and kind in ('organization-key', 'log-key');

-- The log itself. A row is one authorizing transaction's share for one organization: its leaves, each as u16 big-endian
-- length and bytes; a removed leaf is length 0 and its 32-byte hash. The newest row is the organization's head.
create table batches (
  organization_id uuid not null,
  tree_size bigint not null,
  size integer not null,
  time timestamptz not null,
  epoch bigint not null,
  period date not null,
  used bigint not null,
  keys bigint not null,
  namespaces bigint not null,
  leaves bytea not null,
  -- Which texts open the leaves' commitments: per leaf u8 count, then count x (u8 field, u64 text id).
  texts bytea not null,
  primary key (organization_id, tree_size)
);
alter table batches alter column leaves set storage external;
alter table batches alter column texts set storage external;

-- The values behind commitments, each once per actor and field. Erasing an actor deletes these and its erasure key.
create table texts (
  id bigint generated always as identity primary key,
  organization_id uuid not null,
  actor uuid not null,
  field text not null,
  value text not null
);
create index texts_by_actor on texts (organization_id, actor, field, md5(value));

create table actors (
  organization_id uuid not null,
  -- The API key's id, or that of host, system or signer.
  actor uuid not null,
  erasure_key bytea not null,
  primary key (organization_id, actor)
);

-- Claims of idempotency keys, each with the index of the record it led to. claim: first 16 bytes of SHA-256 over actor, route, key and item; body: of the canonical body.
create table idempotency (
  organization_id uuid not null,
  claim uuid not null,
  body uuid not null,
  index bigint not null,
  time timestamptz not null,
  primary key (organization_id, claim)
);
create index idempotency_by_time on idempotency using brin (time) with (pages_per_range = 16);

create table namespaces (
  id uuid primary key,
  organization_id uuid not null references organizations (id),
  name text not null,
  created_at timestamptz not null,
  deleted_at timestamptz
);
create unique index namespaces_by_name on namespaces (organization_id, name) where deleted_at is null;

create table api_keys (
  id uuid primary key,
  organization_id uuid not null references organizations (id),
  name text not null,
  -- Argon2id of the secret, and 8 bytes of its SHA-256, so that a wrong secret costs one hash.
  hash text not null,
  fingerprint bytea not null,
  -- The secret before the last rotation, good until grace_until.
  previous_hash text,
  previous_fingerprint bytea,
  grace_until timestamptz,
  scopes text[] not null,
  namespaces uuid[],
  expires_at timestamptz,
  revoked_at timestamptz,
  created_at timestamptz not null,
  created_by uuid
);
create index api_keys_by_organization on api_keys (organization_id, id desc);

-- Kept apart from api_keys because it changes without being a change of the key; written at most once a minute per key.
create table api_key_uses (
  api_key_id uuid primary key references api_keys (id),
  last_used_at timestamptz not null
);

create table keys (
  id uuid primary key,
  organization_id uuid not null references organizations (id),
  namespace_id uuid not null references namespaces (id),
  name text not null,
  algorithm text not null,
  schemes text[] not null,
  uses text[] not null,
  -- none, any, or the hex of SHA-256 of the only recipient's key.
  export text not null,
  origin text not null,
  metadata jsonb not null,
  primary_version integer not null,
  rotate_every_days integer,
  rotate_at timestamptz,
  destroy_at timestamptz,
  waiting_days integer,
  deletion_scheduled_at timestamptz,
  -- The state of each version when the deletion was scheduled, to give back if it is cancelled.
  deletion_states jsonb,
  -- Set before the signer is told to destroy: from here there is no way back.
  destroying boolean not null default false,
  destroyed_at timestamptz,
  -- Rises with every change of the row; the ETag.
  revision bigint not null default 1,
  created_at timestamptz not null,
  updated_at timestamptz not null
);
create unique index keys_by_name on keys (organization_id, namespace_id, name) where destroyed_at is null;
create index keys_by_organization on keys (organization_id, id desc);
create index keys_to_destroy on keys (destroy_at) where destroy_at is not null;
create index keys_to_rotate on keys (rotate_at) where rotate_at is not null;

create table key_versions (
  key_id uuid not null references keys (id),
  version integer not null,
  public_key bytea not null,
  -- What Cosmos and Ethereum addresses of the public key encode, 20 bytes each; null where it has none.
  cosmos_account bytea,
  ethereum_account bytea,
  -- pre_active, active, suspended, deactivated, compromised, destroyed (SP 800-57)
  state text not null,
  generation integer not null default 1,
  created_at timestamptz not null,
  primary key (key_id, version)
);
create index key_versions_by_cosmos_account on key_versions (cosmos_account) where cosmos_account is not null;
create index key_versions_by_ethereum_account on key_versions (ethereum_account) where ethereum_account is not null;

-- A key version's material, a row per part; one part for a key that one custodian holds whole.
create table key_parts (
  key_id uuid not null,
  version integer not null,
  party smallint not null default 0,
  custodian text not null,
  spec bytea not null,
  envelope bytea not null,
  -- The organization key that seals it, so that a rotation can count what is left.
  sealed_by uuid not null,
  primary key (key_id, version, party),
  foreign key (key_id, version) references key_versions (key_id, version)
);

-- Every name, metadata and state a key has had, with the record of the change.
create table key_history (
  key_id uuid not null references keys (id),
  revision bigint not null,
  record_id uuid not null,
  event text not null,
  actor text not null,
  name text not null,
  metadata jsonb not null,
  state text not null,
  version integer not null,
  uses text[] not null,
  schemes text[] not null,
  rotate_every_days integer,
  at timestamptz not null,
  primary key (key_id, revision)
);

create table wrapping_keys (
  id uuid primary key,
  organization_id uuid not null references organizations (id),
  public_key bytea not null,
  spec bytea not null,
  envelope bytea not null,
  sealed_by uuid not null,
  signature bytea not null,
  expires_at timestamptz not null,
  used_at timestamptz,
  -- Of the idempotency key of the request that made it, as in idempotency: it has no record that the claim could name.
  claim uuid,
  unique (organization_id, claim)
);

-- Built behind the batches by position, and rebuilt from them by command. Searching is all it is for.
create table records (
  organization_id uuid not null,
  index bigint not null,
  id uuid not null,
  time timestamptz not null,
  event text not null,
  actor uuid not null,
  key_id uuid,
  -- First 8 bytes of data_hash.
  data_hash bigint,
  address bigint,
  user_agent bigint,
  -- Where the leaf lies: the batch's tree_size, byte offset and length in its leaves.
  batch bigint not null,
  leaf_offset integer not null,
  leaf_length integer not null,
  primary key (organization_id, index)
) with (autovacuum_vacuum_insert_scale_factor = 0.05);
create index records_by_content on records using brin (
  id uuid_minmax_ops, time timestamptz_minmax_ops,
  data_hash int8_bloom_ops, key_id uuid_bloom_ops, actor uuid_bloom_ops, address int8_bloom_ops, event text_bloom_ops
) with (pages_per_range = 32, autosummarize = on);

-- What is rare beside signatures is found by its event; it is also how the newest statement of the signer is found.
create index records_by_event on records (organization_id, event, index) where event not in ('key.signed', 'auth.api_key_used');

-- How far the projection and the tree have come, per organization.
create table projections (
  organization_id uuid primary key,
  size bigint not null
);

-- Up to where activity whose retention has passed was removed, per organization.
create table retentions (
  organization_id uuid primary key,
  size bigint not null
);

-- Complete tiles of the Merkle tree: 256 hashes of `level`, and the root over them.
create table tiles (
  organization_id uuid not null,
  level smallint not null,
  index bigint not null,
  root bytea not null,
  hashes bytea not null,
  primary key (organization_id, level, index)
);
alter table tiles alter column hashes set storage external;

create table checkpoints (
  organization_id uuid not null,
  tree_size bigint not null,
  signed_at timestamptz not null,
  note text not null,
  primary key (organization_id, tree_size)
);

-- Days on which a checkpoint was signed: what waiting periods and retention count, so that a jumping clock ends none.
create table checkpoint_days (
  day date primary key
);
