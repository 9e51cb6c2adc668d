-- The authorizing transaction: the one place where "may this be signed?" becomes durable.
--
-- Items arrive grouped by organization (p_orgs ascending; per organization the count, epoch, limit, charge, claims and bytes of its
-- items). For each organization, under its lock: compare the epoch the items were decided under; claim idempotency keys; take
-- quota in item order; give indexes; append the leaves as one row. An organization's answer is one row:
--   status 'done'    first_index, and outcomes null when every item was authorized in order; otherwise per item its index,
--                    -1 (quota), or -2 (already claimed: replayed_index and replayed_match say what by)
--   status 'epoch'   nothing was written; current_epoch is the present one. Also for items stamped in a month that is over.
--   status 'locked'  another transaction holds the organization; nothing was written. Only where there are several: alone, one waits.
--   status 'careful' the quota does not hold them all; nothing was written. Ask again with p_careful.
--   status 'keys' | 'namespaces'  the quota of that resource is used up; nothing was written
-- What hardly ever happens is not looked for: a claim that exists is error 23505, after which the caller asks again with
-- p_careful, which takes the items one by one. p_charges, p_lengths and p_text_lengths are read only then.
-- p_released: claims whose records came to nothing, let go of where the status is 'done'. Error PS001: the clocks of server and database differ by more than 2 s.
drop function if exists authorize;
create function authorize(
  p_careful boolean, p_stamp timestamptz,
  p_orgs uuid[], p_counts integer[], p_epochs bigint[], p_limits bigint[], p_charge_sums integer[], p_claim_counts integer[],
  p_leaf_sizes integer[], p_text_sizes integer[], p_leaves bytea, p_texts bytea, p_claims uuid[], p_bodies uuid[],
  p_charges smallint[], p_lengths integer[], p_text_lengths integer[], p_released uuid[],
  p_bump boolean, p_keys integer, p_key_limit bigint, p_namespaces integer, p_namespace_limit bigint
) returns table (status text, first_index bigint, current_epoch bigint, outcomes bigint[], replayed_index bigint[], replayed_match boolean[])
language plpgsql as $$
#variable_conflict use_column
declare
  v_alone constant boolean := cardinality(p_orgs) = 1;
  v_period date := date_trunc('month', p_stamp at time zone 'UTC')::date;
  v_org uuid; v_locked uuid[]; v_size bigint; v_epoch bigint; v_head_period date; v_used bigint; v_keys bigint; v_namespaces bigint;
  v_item integer := 1; v_last integer; v_leaf_at integer := 1; v_text_at integer := 1;
  v_leaf_size integer; v_text_size integer; v_repeated boolean; v_claim idempotency%rowtype; v_leaves bytea; v_texts bytea;
begin
  if current_setting('synchronous_commit') not in ('on', 'remote_apply') then
    perform set_config('synchronous_commit', 'on', true);
  end if;
  if abs(extract(epoch from clock_timestamp() - p_stamp)) > 2 then
    raise exception 'clock skewed' using errcode = 'PS001';
  end if;
  if v_alone then
    perform 1 from organization_locks where organization_id = p_orgs[1] for update;
    if found then v_locked := p_orgs; end if;
  else
    select array_agg(organization_id) into v_locked from (
      select organization_id from organization_locks where organization_id = any (p_orgs) order by organization_id for update skip locked) locked;
  end if;

  for i in 1 .. cardinality(p_orgs) loop
    v_org := p_orgs[i];
    v_last := v_item + p_counts[i] - 1;
    v_size := 0; v_epoch := 0; v_head_period := v_period; v_used := 0; v_keys := 0; v_namespaces := 0;
    select tree_size, epoch, period, used, keys, namespaces into v_size, v_epoch, v_head_period, v_used, v_keys, v_namespaces
      from batches where organization_id = v_org order by tree_size desc limit 1;
    if not found then
      v_size := 0; v_epoch := 0; v_head_period := v_period; v_used := 0; v_keys := 0; v_namespaces := 0;
    end if;
    if v_head_period < v_period then v_used := 0; end if;
    status := 'done'; first_index := v_size; current_epoch := v_epoch;
    outcomes := null; replayed_index := null; replayed_match := null;
    -- What repeats an earlier request takes nothing, so it is answered also where nothing is left.
    v_repeated := (p_keys > 0 or p_namespaces > 0) and exists (
      select 1 from idempotency where organization_id = v_org and claim = any (p_claims[v_item:v_last]) and time >= p_stamp - interval '24 hours');

    if v_locked is null or not (v_org = any (v_locked)) then
      status := 'locked';
    elsif v_epoch <> p_epochs[i] or v_head_period > v_period then
      status := 'epoch';
    elsif not v_repeated and p_keys > 0 and v_keys + p_keys > p_key_limit then
      status := 'keys';
    elsif not v_repeated and p_namespaces > 0 and v_namespaces + p_namespaces > p_namespace_limit then
      status := 'namespaces';
    elsif not p_careful and p_charge_sums[i] > 0 and v_used + p_charge_sums[i] > p_limits[i] then
      status := 'careful';
    elsif not p_careful then
      if p_released is not null then
        delete from idempotency where organization_id = v_org and claim = any (p_released);
      end if;
      if p_claim_counts[i] > 0 then
        insert into idempotency (organization_id, claim, body, index, time)
          select v_org, c, b, v_size + o - 1, p_stamp
          from unnest(
            case when v_alone then p_claims else p_claims[v_item:v_last] end, case when v_alone then p_bodies else p_bodies[v_item:v_last] end
          ) with ordinality t (c, b, o) where c is not null;
      end if;
      if p_bump then v_epoch := v_epoch + 1; end if;
      insert into batches values (v_org, v_size + p_counts[i], p_counts[i], p_stamp, v_epoch, v_period,
        greatest(v_used + p_charge_sums[i], 0), v_keys + p_keys, v_namespaces + p_namespaces,
        case when v_alone then p_leaves else substring(p_leaves from v_leaf_at for p_leaf_sizes[i]) end,
        case when v_alone then p_texts else substring(p_texts from v_text_at for p_text_sizes[i]) end);
    else
      if p_released is not null then
        delete from idempotency where organization_id = v_org and claim = any (p_released);
      end if;
      outcomes := array_fill(null::bigint, array[p_counts[i]]); replayed_index := outcomes;
      replayed_match := array_fill(null::boolean, array[p_counts[i]]);
      v_leaves := ''; v_texts := ''; v_leaf_size := 0; v_text_size := 0;
      for k in v_item .. v_last loop
        v_claim := null;
        if p_claims[k] is not null then
          delete from idempotency where organization_id = v_org and claim = p_claims[k] and time < p_stamp - interval '24 hours';
          select * into v_claim from idempotency where organization_id = v_org and claim = p_claims[k];
        end if;
        if v_claim.claim is not null then
          outcomes[k - v_item + 1] := -2;
          replayed_index[k - v_item + 1] := v_claim.index;
          replayed_match[k - v_item + 1] := v_claim.body = p_bodies[k];
        elsif p_charges[k] > 0 and v_used + p_charges[k] > p_limits[i] then
          outcomes[k - v_item + 1] := -1;
        else
          if p_claims[k] is not null then
            insert into idempotency (organization_id, claim, body, index, time) values (v_org, p_claims[k], p_bodies[k], v_size, p_stamp);
          end if;
          outcomes[k - v_item + 1] := v_size;
          v_size := v_size + 1;
          v_used := greatest(v_used + p_charges[k], 0);
          v_leaves := v_leaves || substring(p_leaves from v_leaf_at + v_leaf_size for p_lengths[k]);
          v_texts := v_texts || substring(p_texts from v_text_at + v_text_size for p_text_lengths[k]);
        end if;
        v_leaf_size := v_leaf_size + p_lengths[k];
        v_text_size := v_text_size + p_text_lengths[k];
      end loop;
      if v_size > first_index then
        if p_bump then v_epoch := v_epoch + 1; end if;
        insert into batches values (v_org, v_size, v_size - first_index, p_stamp, v_epoch, v_period, v_used,
          v_keys + p_keys, v_namespaces + p_namespaces, v_leaves, v_texts);
      end if;
    end if;
    if status = 'done' then current_epoch := v_epoch; end if;
    return next;
    v_item := v_last + 1; v_leaf_at := v_leaf_at + p_leaf_sizes[i]; v_text_at := v_text_at + p_text_sizes[i];
  end loop;
end $$;
