-- A key that is about to be narrowed, committed before the signer is asked and gone with the narrowing itself: what is left
-- here may be narrower in the signer's ledger than in these tables.
create table narrowings (
  id uuid primary key,
  key_id uuid not null references keys (id),
  begun_at timestamptz not null default now()
);
