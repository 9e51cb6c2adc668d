-- The authorizing transaction: the one place where "may this be signed?" becomes durable.
--
-- Items arrive grouped by organization (p_orgs sorted). For each organization, under its lock: compare the epoch the
-- items were decided under; claim idempotency keys; take quota in item order; give indexes; append the leaves as one row.
-- An organization's answer is one row:
--   status 'done'   first_index, and outcomes null when every item was authorized in order; otherwise per item its index,
--                   -1 (quota), or -2 (already claimed: replayed_index and replayed_match say what by)
--   status 'epoch'  nothing was written; epoch is the present one
--   status 'locked' another transaction holds the organization and p_wait is false; nothing was written
--   status 'keys' | 'namespaces'  the quota of that resource is used up; nothing was written
-- An item that gives a signature back (charge -1) also lets go of the claim it names, whose record came to nothing.
-- Error PS001: the clocks of server and database differ by more than 2 s.
create function authorize(
  p_wait boolean, p_orgs uuid[], p_counts integer[], p_epochs bigint[], p_limits bigint[], p_stamp timestamptz,
  p_charges smallint[], p_claims uuid[], p_bodies uuid[],
  p_lengths integer[], p_leaves bytea, p_text_lengths integer[], p_texts bytea,
  p_bump boolean, p_keys integer, p_key_limit bigint, p_namespaces integer, p_namespace_limit bigint
) returns table (status text, first_index bigint, current_epoch bigint, outcomes bigint[], replayed_index bigint[], replayed_match boolean[])
language plpgsql as $$
#variable_conflict use_column
declare
  head batches%rowtype;
  v_period date := date_trunc('month', p_stamp at time zone 'UTC')::date;
  v_used bigint; v_charge bigint; v_locked uuid[]; v_item integer := 1; v_last integer; v_n integer;
  v_at integer := 1; v_size integer; v_text_at integer := 1; v_text_size integer;
  v_repeated boolean; v_inserted uuid[]; v_claims integer; v_released integer; v_claim idempotency%rowtype; v_index bigint; v_leaves bytea; v_texts bytea; k integer;
begin
  if current_setting('synchronous_commit') not in ('on', 'remote_apply') then
    perform set_config('synchronous_commit', 'on', true);
  end if;
  if abs(extract(epoch from clock_timestamp() - p_stamp)) > 2 then
    raise exception 'clock skewed' using errcode = 'PS001';
  end if;
  if p_wait then
    select array_agg(organization_id) into v_locked from (
      select organization_id from organization_locks where organization_id = any (p_orgs) order by organization_id for update) locked;
  else
    select array_agg(organization_id) into v_locked from (
      select organization_id from organization_locks where organization_id = any (p_orgs) order by organization_id for update skip locked) locked;
  end if;

  for i in 1 .. cardinality(p_orgs) loop
    v_n := p_counts[i];
    v_last := v_item + v_n - 1;
    if cardinality(p_orgs) = 1 then
      v_size := length(p_leaves); v_text_size := length(p_texts);
    else
      select coalesce(sum(l), 0) into v_size from unnest(p_lengths[v_item:v_last]) l;
      select coalesce(sum(l), 0) into v_text_size from unnest(p_text_lengths[v_item:v_last]) l;
    end if;
    status := 'done'; outcomes := null; replayed_index := null; replayed_match := null;

    select * into head from batches where organization_id = p_orgs[i] order by tree_size desc limit 1;
    first_index := coalesce(head.tree_size, 0);
    current_epoch := coalesce(head.epoch, 0);
    v_used := case when head.period = v_period then head.used else 0 end;
    -- What repeats an earlier request takes nothing, so it is answered also where nothing is left.
    v_repeated := (p_keys > 0 or p_namespaces > 0) and exists (
      select 1 from idempotency where organization_id = p_orgs[i] and claim = any (p_claims[v_item:v_last]) and time >= p_stamp - interval '24 hours');

    if v_locked is null or not (p_orgs[i] = any (v_locked)) then
      status := 'locked';
    elsif current_epoch <> p_epochs[i] then
      status := 'epoch';
    elsif not v_repeated and p_keys > 0 and p_key_limit is not null and coalesce(head.keys, 0) + p_keys > p_key_limit then
      status := 'keys';
    elsif not v_repeated and p_namespaces > 0 and p_namespace_limit is not null and coalesce(head.namespaces, 0) + p_namespaces > p_namespace_limit then
      status := 'namespaces';
    else
      with taken as (
        insert into idempotency (organization_id, claim, body, index, time)
        select p_orgs[i], c, b, first_index + o - 1, p_stamp
        from unnest(p_claims[v_item:v_last], p_bodies[v_item:v_last], p_charges[v_item:v_last]) with ordinality t (c, b, ch, o)
        where c is not null and ch >= 0
        on conflict do nothing returning claim)
      select array_agg(claim) into v_inserted from taken;
      select count(c) filter (where ch >= 0), count(c) filter (where ch < 0), sum(ch) into v_claims, v_released, v_charge
        from unnest(p_claims[v_item:v_last], p_charges[v_item:v_last]) t (c, ch);

      if v_released > 0 then
        delete from idempotency where organization_id = p_orgs[i] and claim in (
          select c from unnest(p_claims[v_item:v_last], p_charges[v_item:v_last]) t (c, ch) where ch < 0);
      end if;

      if coalesce(cardinality(v_inserted), 0) = v_claims and (p_limits[i] is null or v_charge <= 0 or v_used + v_charge <= p_limits[i]) then
        insert into batches values (p_orgs[i], first_index + v_n, v_n, p_stamp,
          current_epoch + case when p_bump then 1 else 0 end, v_period, greatest(v_used + v_charge, 0),
          coalesce(head.keys, 0) + p_keys, coalesce(head.namespaces, 0) + p_namespaces,
          case when cardinality(p_orgs) = 1 then p_leaves else substring(p_leaves from v_at for v_size) end,
          case when cardinality(p_orgs) = 1 then p_texts else substring(p_texts from v_text_at for v_text_size) end);
      else
        -- Some item is a repeat or over quota: take them one by one, in order.
        delete from idempotency where organization_id = p_orgs[i] and claim = any (v_inserted);
        v_index := first_index; v_leaves := ''; v_texts := '';
        outcomes := array_fill(null::bigint, array[v_n]); replayed_index := outcomes;
        replayed_match := array_fill(null::boolean, array[v_n]);
        v_size := 0; v_text_size := 0;
        for k in v_item .. v_last loop
          v_claim := null;
          if p_claims[k] is not null and p_charges[k] >= 0 then
            delete from idempotency where organization_id = p_orgs[i] and claim = p_claims[k] and time < p_stamp - interval '24 hours';
            select * into v_claim from idempotency where organization_id = p_orgs[i] and claim = p_claims[k];
          end if;
          if v_claim.claim is not null then
            outcomes[k - v_item + 1] := -2;
            replayed_index[k - v_item + 1] := v_claim.index;
            replayed_match[k - v_item + 1] := v_claim.body = p_bodies[k];
          elsif p_limits[i] is not null and p_charges[k] > 0 and v_used + p_charges[k] > p_limits[i] then
            outcomes[k - v_item + 1] := -1;
          else
            if p_claims[k] is not null and p_charges[k] >= 0 then
              insert into idempotency values (p_orgs[i], p_claims[k], p_bodies[k], v_index, p_stamp);
            end if;
            outcomes[k - v_item + 1] := v_index;
            v_index := v_index + 1;
            v_used := greatest(v_used + p_charges[k], 0);
            v_leaves := v_leaves || substring(p_leaves from v_at + v_size for p_lengths[k]);
            v_texts := v_texts || substring(p_texts from v_text_at + v_text_size for p_text_lengths[k]);
          end if;
          v_size := v_size + p_lengths[k];
          v_text_size := v_text_size + p_text_lengths[k];
        end loop;
        if v_index > first_index then
          insert into batches values (p_orgs[i], v_index, v_index - first_index, p_stamp,
            current_epoch + case when p_bump then 1 else 0 end, v_period, v_used,
            coalesce(head.keys, 0) + p_keys, coalesce(head.namespaces, 0) + p_namespaces, v_leaves, v_texts);
        end if;
      end if;
      if p_bump then current_epoch := current_epoch + 1; end if;
    end if;
    return next;
    v_item := v_last + 1; v_at := v_at + v_size; v_text_at := v_text_at + v_text_size;
  end loop;
end $$;
