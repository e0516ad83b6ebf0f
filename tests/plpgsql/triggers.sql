create table profiles (id uuid primary key references auth.users on delete cascade, email text, name text, role text not null default 'user', created_at timestamptz default '2026-01-01');
create table notes (id int primary key, owner uuid, title text, views int not null default 0, slug text, tags text[] default '{}', doubled int generated always as (views * 2) stored, updated_at timestamptz default '2026-01-01');
create table audit (n serial primary key, tbl text, op text, who text, was jsonb, is_now jsonb, note text);
create table counters (name text primary key, n int not null default 0);
create table serials (id serial primary key, word text unique, hits int default 1);
create table kids (id int primary key, note int references notes on delete cascade);
alter table notes enable row level security;
grant all on all tables in schema public to anon, authenticated, service_role;
grant all on all sequences in schema public to anon, authenticated, service_role;
grant all on auth.users to service_role;
create policy own on notes for all to authenticated using (owner = auth.uid()) with check (owner = auth.uid());
create policy reads on notes for select to anon using (views > 100);

create function handle_new_user() returns trigger language plpgsql security definer set search_path = public as $$
begin
  insert into public.profiles (id, email, name) values (new.id, new.email, coalesce(new.raw_user_meta_data->>'name', split_part(new.email, '@', 1)));
  return new;
exception when unique_violation then
  insert into audit (tbl, op, note) values ('users', 'again', sqlerrm);
  return new;
end $$;
create trigger on_auth_user_created after insert on auth.users for each row execute function public.handle_new_user();

create function set_updated_at() returns trigger language plpgsql as $$ begin new.updated_at = '2027-01-01'::timestamptz; return new; end $$;
create trigger b_updated before update on notes for each row execute function set_updated_at();

create function make_slug() returns trigger language plpgsql as $$
declare base text;
begin
  base := lower(regexp_replace(new.title, '[^a-zA-Z0-9]+', '-', 'g'));
  if new.title is null then raise exception 'a note has a title' using errcode = '23502', hint = 'give one'; end if;
  if new.title = 'skip' then return null; end if;
  new.slug := base || '-' || new.id || repeat('~', pg_trigger_depth() - 1);
  if tg_op = 'UPDATE' and old.title is distinct from new.title then new.views := new.views + 1; end if;
  return new;
end $$;
create trigger a_slug before insert or update of title on notes for each row execute function make_slug();

create function log_it() returns trigger language plpgsql security definer as $$
begin
  if tg_op = 'DELETE' then
    insert into audit (tbl, op, who, was, note) values (tg_table_name, tg_op, auth.uid()::text, to_jsonb(old), tg_argv[0]);
    return coalesce(new, old);
  end if;
  insert into audit (tbl, op, who, was, is_now, note)
  values (tg_table_schema || '.' || tg_table_name, tg_op, auth.uid()::text, case when tg_op = 'UPDATE' then jsonb_build_object('title', old.title, 'views', old.views) end,
          jsonb_build_object('title', new.title, 'views', new.views, 'doubled', new.doubled, 'slug', new.slug), tg_name || ' ' || tg_when || ' ' || tg_level || ' ' || tg_nargs);
  return new;
end $$;
create trigger z_audit after insert or update or delete on notes for each row execute function log_it('first', 'second');
create trigger y_popular after update on notes for each row when (new.views > 10 and old.views <= 10) execute function log_it();

create function count_it() returns trigger language plpgsql security definer as $$
begin
  if tg_op = 'INSERT' then
    insert into counters (name, n) values ('notes', 1) on conflict (name) do update set n = counters.n + 1;
  elsif tg_op = 'DELETE' then
    update counters set n = n - 1 where name = 'notes';
  end if;
  return null;
end $$;
create trigger x_count after insert or delete on notes for each row execute function count_it();
create function stmt() returns trigger language plpgsql security definer as $$
begin insert into audit (tbl, op, note) values (tg_table_name, tg_op, tg_when || ' ' || tg_level || ' ' || (select count(*) from notes)); return null; end $$;
create trigger s_before before insert or update on notes for each statement execute function stmt();
create trigger s_after after insert on notes execute function stmt();
create function no_delete() returns trigger language plpgsql as $$ begin if old.title = 'keep' then raise exception 'kept %', old.id; end if; if old.title = 'quiet' then return null; end if; return old; end $$;
create trigger d before delete on notes for each row execute function no_delete();
create function bump() returns trigger language plpgsql as $$ begin if tg_op = 'UPDATE' then new.hits := old.hits + 10; else new.word := upper(new.word); end if; return new; end $$;
create trigger bump before insert or update on serials for each row execute function bump();
create function loops() returns trigger language plpgsql as $$ begin update counters set n = n + 1 where name = new.name; return new; end $$;
create table twin (like counters);
create trigger loops after update on counters for each row when (new.name = 'loop') execute function loops();
insert into counters values ('loop', 0);

create table grand (id int primary key, kid int references kids on delete cascade);
grant all on grand to service_role;
create function gone() returns trigger language plpgsql as $$
begin insert into audit (tbl, op, note, who) values (tg_table_name, tg_op, old.id, current_user); return old; end $$;
create trigger gone after delete on kids for each row execute function gone();
create trigger gone_before before delete on grand for each row execute function gone();
create function touch(which int) returns int language plpgsql as $$
declare v int;
begin
  update notes set title = title || '!' where id = which returning views into v;
  return v;
end $$;
create function mine_too(which int, t text) returns text language plpgsql as $$
declare r record;
begin
  insert into notes (id, owner, title) values (which, auth.uid(), t) returning * into r;
  return r.slug || ' ' || r.doubled || ' ' || r.updated_at;
end $$;
create function steal(which int) returns int language plpgsql as $$
declare n int;
begin
  insert into notes (id, owner, title) values (which, '00000000-0000-0000-0000-000000000009', 'theirs');
  return 1;
end $$;
create function clear_mine() returns int language plpgsql as $$ declare n int; begin delete from notes where id in (10, 12) and title not in ('keep'); get diagnostics n = row_count; return n; end $$;
create function many(n int) returns text language plpgsql as $$
begin
  insert into serials (word) select 'w' || g from generate_series(1, n) g on conflict (word) do update set hits = serials.hits + excluded.hits;
  insert into serials (word) values ('w1'), ('w9') on conflict (word) do nothing;
  return (select string_agg(word || hits, ',' order by id) from serials);
end $$;
create function renamed() returns int language plpgsql as $$
declare c int;
begin
  update notes n set title = k.name from counters k where k.name = 'notes' and n.id in (1, 2);
  get diagnostics c = row_count;
  return c;
end $$;
create function by_sql(which int, t text) returns text language sql as $$ insert into notes (id, owner, title) values (which, auth.uid(), t) returning slug $$;

-- ask
service_role {"kind": "insert", "from": "users", "schema": "auth", "rows": [{"id": "$U1", "email": "ann@example.com", "raw_user_meta_data": {"name": "Ann"}}, {"id": "$U2", "email": "bob@example.com", "raw_user_meta_data": null}]}
service_role {"from": "profiles", "order": [{"column": "id"}]}
authenticated:1 {"kind": "insert", "from": "notes", "rows": [{"id": 1, "owner": "$U1", "title": "Hello World"}, {"id": 2, "owner": "$U1", "title": "skip"}, {"id": 3, "owner": "$U1", "title": "Three"}], "select": ["id", "slug", "doubled"], "order": [{"column": "id"}]}
authenticated:1 {"kind": "insert", "from": "notes", "rows": [{"id": 4, "owner": "$U1"}]}
authenticated:1 {"kind": "insert", "from": "notes", "rows": [{"id": 4, "owner": "$U2", "title": "not mine"}]}
authenticated:1 {"kind": "insert", "from": "notes", "rows": [{"id": 1, "owner": "$U1", "title": "twice"}]}
authenticated:1 {"kind": "update", "from": "notes", "set": {"views": 20}, "where": {"column": "id", "op": "eq", "value": 1}, "select": ["id", "slug", "views", "doubled", "updated_at"]}
authenticated:1 {"kind": "update", "from": "notes", "set": {"title": "New Title"}, "where": {"column": "id", "op": "eq", "value": 1}, "select": ["id", "slug", "views", "doubled", "updated_at"]}
authenticated:2 {"kind": "update", "from": "notes", "set": {"title": "stolen"}, "where": {"column": "id", "op": "eq", "value": 1}}
authenticated:1 {"kind": "update", "from": "notes", "set": {"owner": "$U2"}, "where": {"column": "id", "op": "eq", "value": 1}}
anon {"from": "notes", "select": ["id"]}
authenticated:1 {"from": "audit", "order": [{"column": "n"}], "select": ["tbl", "op", "who", "was", "is_now", "note"]}
authenticated:1 {"kind": "insert", "from": "notes", "conflict": {"do": "merge"}, "rows": [{"id": 1, "owner": "$U1", "title": "merged"}, {"id": 5, "owner": "$U1", "title": "keep"}], "select": ["id", "slug", "views"], "order": [{"column": "id"}]}
authenticated:1 {"kind": "insert", "from": "notes", "conflict": {"do": "ignore"}, "rows": [{"id": 1, "owner": "$U1", "title": "ignored"}, {"id": 6, "owner": "$U1", "title": "quiet"}], "select": ["id", "slug"]}
authenticated:1 {"kind": "insert", "from": "notes", "conflict": {"do": "merge"}, "rows": [{"id": 7, "owner": "$U1", "title": "a"}, {"id": 7, "owner": "$U1", "title": "b"}]}
authenticated:1 {"kind": "delete", "from": "notes", "where": {"column": "id", "op": "eq", "value": 5}}
authenticated:1 {"kind": "delete", "from": "notes", "where": {"column": "id", "op": "eq", "value": 6}}
authenticated:1 {"kind": "delete", "from": "notes", "where": {"column": "id", "op": "eq", "value": 3}, "select": ["id", "title"]}
authenticated:1 {"from": "notes", "order": [{"column": "id"}]}
authenticated:1 touch {"which": 1}
authenticated:2 touch {"which": 1}
authenticated:1 mine_too {"which": 10, "t": "By Function"}
authenticated:1 steal {"which": 11}
authenticated:1 renamed
authenticated:1 by_sql {"which": 12, "t": "By Sql"}
authenticated:1 clear_mine
authenticated:1 many {"n": 3}
authenticated:1 many {"n": 4}
service_role {"from": "serials", "order": [{"column": "id"}]}
service_role {"kind": "insert", "from": "serials", "rows": [{"word": "new"}, {"word": null}], "select": ["id", "word", "hits"]}
service_role {"kind": "update", "from": "serials", "set": {"hits": 0}, "select": ["id", "hits"], "order": [{"column": "id"}]}
service_role {"kind": "insert", "from": "kids", "rows": [{"id": 1, "note": 12}, {"id": 2, "note": 77}]}
authenticated:1 {"from": "audit", "order": [{"column": "n"}], "select": ["tbl", "op", "who", "was", "is_now", "note"]}
authenticated:1 {"from": "counters", "order": [{"column": "name"}]}
service_role {"kind": "update", "from": "counters", "set": {"n": 1}, "where": {"column": "name", "op": "eq", "value": "loop"}}
service_role {"kind": "insert", "from": "users", "schema": "auth", "rows": [{"id": "$U3", "email": "eve@example.com"}]}
service_role {"kind": "insert", "from": "profiles", "rows": [{"id": "$U1", "email": "x"}]}
service_role {"kind": "insert", "from": "users", "schema": "auth", "conflict": {"do": "merge"}, "rows": [{"id": "$U1", "email": "ann2@example.com"}], "select": ["id", "email"]}
service_role {"kind": "insert", "from": "notes", "rows": [{"id": 50, "owner": "$U1", "title": "parent"}, {"id": 51, "owner": "$U1", "title": "other"}]}
service_role {"kind": "insert", "from": "kids", "rows": [{"id": 10, "note": 50}, {"id": 11, "note": 50}, {"id": 12, "note": 51}]}
service_role {"kind": "insert", "from": "grand", "rows": [{"id": 20, "kid": 10}, {"id": 21, "kid": 12}]}
authenticated:1 {"kind": "delete", "from": "notes", "where": {"column": "id", "op": "eq", "value": 50}}
service_role {"from": "kids", "order": [{"column": "id"}]}
service_role {"from": "grand", "order": [{"column": "id"}]}
service_role {"from": "audit", "where": {"column": "tbl", "op": "in", "values": ["kids", "grand"]}, "order": [{"column": "tbl"}, {"column": "note"}], "select": ["tbl", "op", "note", "who"]}
service_role {"kind": "delete", "from": "kids", "where": {"column": "id", "op": "eq", "value": 12}, "select": ["id"]}
service_role {"from": "grand"}
