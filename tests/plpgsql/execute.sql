create table things (id int primary key, name text, price numeric(8,2), kind text default 'plain');
insert into things values (1, 'one', 1.5), (2, 'two', 2.25), (3, 'three', 10);
create table mine (id int primary key, owner uuid, body text);
alter table mine enable row level security;
create policy own on mine for all to authenticated using (owner = auth.uid()) with check (owner = auth.uid());
insert into mine values (1, '00000000-0000-0000-0000-000000000001', 'a'), (2, '00000000-0000-0000-0000-000000000002', 'b');
create table hidden (id int primary key, secret text);
insert into hidden values (1, 'xyz');
grant all on things, mine to anon, authenticated;
revoke all on hidden from public, anon, authenticated;
create table watched (id int primary key, n int default 0, said text);
create function watch() returns trigger language plpgsql as $$ begin new.said := tg_op || coalesce(new.n, -1); return new; end $$;
create trigger watching before insert or update on watched for each row execute function watch();
grant all on watched to anon, authenticated;

create function run(q text) returns text language plpgsql as $$ declare n bigint; begin execute q; get diagnostics n = row_count; return n || ' ' || found; end $$;
create function run_as_owner(q text) returns text language plpgsql security definer as $$ declare n bigint; begin execute q; get diagnostics n = row_count; return n::text; end $$;
create function value_of(q text) returns text language plpgsql as $$ declare v text; begin execute q into v; return coalesce(v, 'nothing') || found; end $$;
create function int_of(q text, a int, b text default null) returns int language plpgsql as $$ declare v int; begin execute q into v using a, b; return v; end $$;
create function strict_of(q text) returns text language plpgsql as $$ declare v text; begin execute q into strict v; return v; end $$;
create function two_of(q text) returns text language plpgsql as $$ declare a int; b text; begin execute q into a, b; return coalesce(a::text, '-') || '/' || coalesce(b, '-'); end $$;
create function row_of(q text) returns text language plpgsql as $$ declare t things%rowtype; begin execute q into t; return coalesce(t.id::text, '-') || t.name || coalesce(t.price::text, '?') || coalesce(t.kind, '!'); end $$;
create function caught(q text) returns text language plpgsql as $$ begin execute q; return 'ran'; exception when others then return sqlstate || ' ' || sqlerrm; end $$;
create function set_of(q text, n int default 1) returns setof things language plpgsql as $$ begin return query execute q using n; end $$;
create function table_of(q text) returns table (a int, b text) language plpgsql as $$ begin return query execute q; end $$;
create function loop_of(q text) returns text language plpgsql as $$ declare a int; b text; n text := ''; begin for a, b in execute q loop n := n || a || b || ','; end loop; return n || found; end $$;
create function loop_using(lo int, hi int) returns text language plpgsql as $$ declare t things; n text := ''; begin
  for t in execute 'select * from things where id between $1 and $2 order by id' using lo, hi loop
    if t.id = 2 then continue; end if;
    n := n || t.name;
  end loop; return n; end $$;
create function counts(t text) returns bigint language plpgsql as $$ declare n bigint; begin execute format('select count(*) from %I', t) into n; return n; end $$;
create function sets(t text, c text, v text, i int) returns text language plpgsql as $$ declare r text; begin
  execute format('update %I set %I = $1 where id = $2 returning %I', t, c, c) into r using v, i; return r; end $$;
create function many_texts(n int) returns int language plpgsql as $$ declare s int := 0; v int; begin
  for i in 1..n loop execute 'select ' || i || ' + $1' into v using 1; s := s + v; end loop; return s; end $$;
create function same_text(n int) returns int language plpgsql as $$ declare s int := 0; v int; begin
  for i in 1..n loop execute 'select $1 * 2' into v using i; s := s + v; end loop; return s; end $$;
create function deep(n int) returns text language plpgsql as $$ declare v text; begin
  if n = 0 then return 'end'; end if;
  execute 'select deep($1 - 1)' into v using n; return n || v; end $$;
create function owner_secret() returns text language sql security definer stable as $$ select secret from hidden where id = 1 $$;
create function owner_rows() returns setof text language sql security definer stable as $$ select secret from hidden order by id $$;
create function owner_add(a int, b int) returns int language sql security definer as $$ select a + b + (select count(*)::int from hidden) $$;
create function owner_says(q text) returns text language plpgsql security definer set search_path = public as $$ declare v text; begin execute q into v; return v; end $$;
create function is_stable(q text) returns text language plpgsql stable as $$ declare v text; begin execute q into v; return v; end $$;
create function try_twice(a text, b text) returns text language plpgsql as $$ declare n int; begin
  begin execute a; execute b; exception when others then return 'undone ' || sqlstate; end;
  select count(*) into n from things; return 'kept ' || n; end $$;
create function logs() returns trigger language plpgsql as $$ begin
  execute format('insert into %I (id, name) values ($1, $2)', tg_argv[0]) using new.id + 100, 'from ' || tg_relname; return new; end $$;
create table noted (id int primary key);
create trigger noting after insert on noted for each row execute function logs('things');
grant all on noted to anon;
create schema other;
create table other.things (id int, name text);
insert into other.things values (9, 'nine');
grant usage on schema other to anon, authenticated; grant all on other.things to anon, authenticated;
create function in_other(q text) returns text language plpgsql set search_path = other as $$ declare v text; begin execute q into v; return v; end $$;
create type pair as (a int, b text);
create function pair_of(q text) returns pair language plpgsql as $$ declare p pair; begin execute q into p; p.a := p.a + 1; return p; end $$;

create function static_null() returns text language plpgsql as $$ declare b boolean; begin insert into things (id, name) values (77, 'x'); delete from things where id = 77 returning price is null into b; return b; end $$;

-- ask
anon static_null {}
anon run {"q": "select * from things"}
anon run {"q": "insert into things (id, name) values (4, 'four'), (5, 'five')"}
anon run {"q": "update things set price = 3 where id > 3"}
anon run {"q": "delete from things where id > 3"}
anon run {"q": "insert into watched (id) values (1); update watched set n = n + 5; insert into watched values (2, 2) on conflict (id) do nothing"}
anon value_of {"q": "select said from watched where id = 1"}
anon value_of {"q": "insert into watched values (3) returning said || id"}
anon value_of {"q": "insert into watched values (3, 8) on conflict (id) do update set n = excluded.n + watched.n returning said"}
anon value_of {"q": "insert into things values (7, 'x') on conflict (id) do update set name = excluded.name || things.name returning name"}
anon value_of {"q": "insert into things values (7, 'y') on conflict (id) do update set name = excluded.name || things.name returning name"}
anon value_of {"q": "delete from things where id = 7 returning price is null"}
anon value_of {"q": "select 1 where false"}
anon value_of {"q": "select name from things order by id desc"}
anon value_of {"q": "select null"}
anon value_of {"q": "update things set name = name where id = 1"}
anon value_of {"q": "select 2.50"}
anon value_of {"q": "select now() > '2020-01-01'"}
anon value_of {"q": ""}
anon run {"q": ""}
anon run {"q": null}
anon run {"q": " -- nothing\n"}
anon int_of {"q": "select $1 + 1", "a": 41}
anon int_of {"q": "select length($2) + $1", "a": 2, "b": "abc"}
anon int_of {"q": "select id from things where name = $2 or id = $1 order by id", "a": 3, "b": "one"}
anon int_of {"q": "select $3", "a": 1}
anon int_of {"q": "select '12'", "a": 1}
anon int_of {"q": "select 'x'", "a": 1}
anon int_of {"q": "select 2.6", "a": 1}
anon int_of {"q": "insert into things (id, name, price) values (6, 'six', 6.6) returning price", "a": 1}
anon run {"q": "delete from things where id = 6"}
anon strict_of {"q": "select 'a' where false"}
anon strict_of {"q": "select id::text from things"}
anon strict_of {"q": "select name from things where id = 2"}
anon strict_of {"q": "update things set name = name returning name"}
anon two_of {"q": "select 1"}
anon two_of {"q": "select 1, 2, 3"}
anon two_of {"q": "select id, name from things where id = 3"}
anon two_of {"q": "update things set name = name where id = 3 returning id, name"}
anon row_of {"q": "select * from things where id = 1"}
anon row_of {"q": "select 5, 'f'"}
anon row_of {"q": "select id, name, price, kind, 7 from things where id = 2"}
anon row_of {"q": "update things set kind = 'k' where id = 2 returning *"}
anon caught {"q": "select 1/0"}
anon caught {"q": "selec 1"}
anon caught {"q": "select * from nowhere"}
anon caught {"q": "select no_such(1)"}
anon caught {"q": "select nothing from things"}
anon caught {"q": "insert into things values (1, 'again')"}
anon caught {"q": "insert into things values (40, 'x'); insert into things values (1, 'again')"}
anon counts {"t": "things"}
anon caught {"q": "commit"}
anon caught {"q": "rollback"}
anon caught {"q": "begin"}
anon caught {"q": "savepoint a"}
anon caught {"q": "copy things to stdout"}
anon caught {"q": "select * from hidden"}
anon caught {"q": "update hidden set secret = 'z'"}
anon caught {"q": "insert into mine values (9, null, 'x')"}
anon caught {"q": "select set_config('my.key', 'v', true)"}
anon value_of {"q": "select coalesce(current_setting('my.none', true), 'none')"}
authenticated:1 value_of {"q": "select string_agg(body, ',') from mine"}
authenticated:2 value_of {"q": "select string_agg(body, ',') from mine"}
authenticated:2 value_of {"q": "update mine set body = body || '!' returning body"}
authenticated:2 caught {"q": "insert into mine values (5, '$U1', 'stolen')"}
authenticated:2 run {"q": "insert into mine values (5, '$U2', 'own') on conflict (id) do update set body = 'twice'"}
authenticated:1 caught {"q": "insert into mine values (5, '$U1', 'own') on conflict (id) do update set body = 'stolen'"}
authenticated:1 run {"q": "delete from mine"}
authenticated:2 value_of {"q": "select count(*) from mine"}
authenticated:1 run_as_owner {"q": "select * from mine"}
authenticated:1 owner_says {"q": "select secret from hidden"}
authenticated:1 owner_says {"q": "select string_agg(body, ',' order by id) from mine"}
authenticated:1 owner_says {"q": "select owner_secret()"}
authenticated:1 value_of {"q": "select owner_secret()"}
authenticated:1 value_of {"q": "select string_agg(x, '') || owner_add(1, 2) from owner_rows() x"}
authenticated:1 value_of {"q": "select secret from hidden"}
authenticated:1 value_of {"q": "select current_user"}
authenticated:1 owner_says {"q": "select current_user"}
anon set_of {"q": "select * from things where id > $1 order by id"}
anon set_of {"q": "select id, name from things"}
anon set_of {"q": "select name, id, price, kind from things"}
anon set_of {"q": "update things set kind = 'u' where id = $1 returning *", "n": 3}
anon table_of {"q": "select id, name from things order by id"}
anon table_of {"q": "select 1, 'x'::text union all select 2, null"}
anon table_of {"q": "select 1::bigint, 'x'::text"}
anon table_of {"q": "values (1, 'x'), (2, 'y')"}
anon loop_of {"q": "select id, name from things order by id"}
anon loop_of {"q": "select 1, 'a' where false"}
anon loop_of {"q": "update things set name = name where id < 3 returning id, name"}
anon loop_of {"q": "insert into things values (8, 'eight')"}
anon loop_of {"q": "select 1, 'a'; select 2, 'b'"}
anon loop_using {"lo": 1, "hi": 3}
anon counts {"t": "things"}
anon counts {"t": "things; delete from things"}
anon counts {"t": "hidden"}
anon sets {"t": "things", "c": "name", "v": "it's \"new\"; --", "i": 1}
anon sets {"t": "watched", "c": "said", "v": "mine", "i": 1}
anon caught {"q": "update things set no = 1"}
anon many_texts {"n": 300}
anon same_text {"n": 300}
anon deep {"n": 5}
anon is_stable {"q": "select name from things where id = 2"}
anon is_stable {"q": "delete from things returning name"}
anon try_twice {"a": "delete from things", "b": "select 1/0"}
anon try_twice {"a": "insert into things values (50, 'fifty')", "b": "delete from things where id = 50"}
anon {"kind": "insert", "from": "noted", "rows": [{"id": 1}]}
anon value_of {"q": "select name from things where id = 101"}
anon in_other {"q": "select name from things"}
anon in_other {"q": "select name from public.things where id = 2"}
anon pair_of {"q": "select 1, 'x'"}
anon value_of {"q": "with t as (select 1 as a union all select 2) select sum(a) from t"}
anon value_of {"q": "select string_agg(format('%s-%s', g, $$it's$$), ';') from generate_series(1, 3) g"}
anon value_of {"q": "select (select max(id) from things t2 where t2.id <> t.id) from things t order by id limit 1"}
anon value_of {"q": "select jsonb_agg(to_jsonb(t) - 'price' order by id) from things t where id in (1, 2)"}
anon value_of {"q": "update things set price = s.p from (select 2 as i, 9.99 as p) s where things.id = s.i returning price"}
anon value_of {"q": "delete from watched using things where watched.id = things.id and things.id = 3 returning watched.id"}
anon value_of {"q": "insert into watched (id, n) select id + 20, id from things where id < 3 returning said"}
