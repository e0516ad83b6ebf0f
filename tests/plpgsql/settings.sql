create table notes (id int primary key, owner uuid default auth.uid(), t text);
alter table notes enable row level security;
create policy own on notes for all to authenticated, anon using (owner = auth.uid()) with check (owner = auth.uid());
insert into notes values (1, '00000000-0000-0000-0000-000000000001', 'of one'), (2, '00000000-0000-0000-0000-000000000002', 'of two');
grant all on notes to authenticated, anon;
create function uid() returns text language plpgsql stable as $$ begin return coalesce(auth.uid()::text, 'nobody') || ' ' || coalesce(auth.role(), 'none') || ' ' || coalesce(auth.email(), '-'); end $$;
create function as_two() returns text language plpgsql as $$
declare s text := uid();
begin
  perform set_config('request.jwt.claims', '{"sub": "00000000-0000-0000-0000-000000000002", "role": "boss", "email": "two@example.com"}', true);
  return s || '|' || uid() || '|' || (auth.jwt() ->> 'sub') || '|' || (select string_agg(t, ',' order by id) from notes);
end $$;
create function as_two_definer() returns text language plpgsql security definer as $$
begin
  perform set_config('request.jwt.claims', '{"sub": "00000000-0000-0000-0000-000000000002"}', true);
  return uid() || current_user;
end $$;
create function then_sees() returns text language plpgsql as $$ begin perform as_two_definer(); return uid() || (select string_agg(t, ',') from notes); end $$;
create function by_claim() returns text language plpgsql as $$ begin perform set_config('request.jwt.claim.sub', '00000000-0000-0000-0000-000000000003', true); return uid(); end $$;
create function emptied() returns text language plpgsql as $$ begin perform set_config('request.jwt.claims', '', true); return uid() || coalesce(auth.jwt()::text, 'null') || (select count(*) from notes); end $$;
create function broken() returns text language plpgsql as $$ begin perform set_config('request.jwt.claims', 'no json', true); return auth.uid()::text; end $$;
create function not_uuid() returns text language plpgsql as $$ begin perform set_config('request.jwt.claims', '{"sub": "me"}', true); return auth.uid()::text; end $$;
create function undone() returns text language plpgsql as $$
begin
  perform set_config('app.x', 'outer', true);
  begin
    perform set_config('app.x', 'inner', true);
    perform set_config('request.jwt.claims', '{"sub": "00000000-0000-0000-0000-000000000002"}', true);
    insert into notes (id, t) values (50, 'undone');
    raise exception 'back';
  exception when others then
    return current_setting('app.x') || ' ' || uid() || (select count(*) from notes where id = 50);
  end;
end $$;
create function kept() returns text language plpgsql as $$
begin begin perform set_config('app.y', 'kept', true); exception when others then null; end; return current_setting('app.y'); end $$;
create function own_setting() returns text language plpgsql set "app.z" = 'inside' set search_path = public as $$ begin return current_setting('app.z', true); end $$;
create function around() returns text language plpgsql as $$
declare s text := coalesce(current_setting('app.z', true), 'unset');
begin perform set_config('app.z', 'mine', true); return s || ' ' || own_setting() || ' ' || current_setting('app.z', true); end $$;
create function own_claims() returns text language plpgsql set request.jwt.claims = '{"sub": "00000000-0000-0000-0000-000000000002"}' as $$ begin return uid(); end $$;
create function around_claims() returns text language plpgsql as $$ begin return own_claims() || uid(); end $$;
create function fails_inside() returns text language plpgsql set "app.z" = 'inside' as $$ begin raise exception 'x'; end $$;
create function after_failure() returns text language plpgsql as $$
begin perform set_config('app.z', 'before', true); begin perform fails_inside(); exception when others then null; end; return current_setting('app.z'); end $$;
create function local_set() returns text language plpgsql as $$ begin set local app.q = 'by set'; set local statement_timeout = '5s'; return current_setting('app.q'); end $$;
create function role_definer() returns text language plpgsql security definer as $$ begin set local role anon; return current_user; end $$;
create function role_config() returns text language plpgsql security definer as $$ begin perform set_config('role', 'service_role', true); return current_user; end $$;
create function missing() returns text language plpgsql as $$ begin return current_setting('no.such'); end $$;
create function missing_ok() returns text language plpgsql as $$ begin return coalesce(current_setting('no.such', true), 'null'); end $$;
create function null_value() returns text language plpgsql as $$ begin perform set_config('app.n', null, true); return '<' || current_setting('app.n') || '>'; end $$;
-- another schema's function of the same name is not taken by one that says its path
create schema evil;
grant usage on schema evil to anon, authenticated;
create function public.helper() returns text language plpgsql as $$ begin return 'good'; end $$;
create function evil.helper() returns text language plpgsql as $$ begin return 'evil'; end $$;
create function pathed() returns text language plpgsql security definer set search_path = public as $$ begin return helper(); end $$;
create function unpathed() returns text language plpgsql security definer set search_path = '' as $$ begin return public.helper() || coalesce((select t from public.notes where id = 1), 'none'); end $$;
create function lost() returns text language plpgsql security definer set search_path = '' as $$ begin return helper(); end $$;
create function tricks() returns text language plpgsql as $$ begin perform set_config('search_path', 'evil', true); return pathed(); end $$;

-- ask
authenticated:1 uid
authenticated:1 as_two
authenticated:1 uid
authenticated:1 as_two_definer
authenticated:1 then_sees
authenticated:1 by_claim
authenticated:1 emptied
authenticated:1 broken
authenticated:1 not_uuid
authenticated:1 undone
authenticated:1 kept
authenticated:1 around
authenticated:1 around_claims
authenticated:1 after_failure
authenticated:1 local_set
authenticated:1 role_definer
# the same SQLSTATE, in other words
authenticated:1 role_config
# names are bound at deployment: a path that is set while it runs is refused (42501)
authenticated:1 tricks
authenticated:1 missing
authenticated:1 missing_ok
authenticated:1 null_value
authenticated:1 pathed
authenticated:1 unpathed
authenticated:1 lost
anon uid
anon as_two
anon {"from": "notes"}
authenticated:1 {"from": "notes", "select": ["id"]}
