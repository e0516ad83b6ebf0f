create function positive(x int) returns boolean language plpgsql immutable as $$ begin return x > 0; end $$;
create function code_of(x int) returns text language plpgsql volatile as $$ begin return 'c' || x; end $$;
create table checked (id int primary key, x int check (positive(x)), code text default code_of(7));
create domain small as int check (positive(value));
create table typed (id int primary key, s small);
create view shown as select id, code_of(id) as code from checked where positive(x);
grant all on checked, typed, shown to anon;
alter table checked add column more text default code_of(8);
create function lists() returns setof text language plpgsql stable as $$ begin return next 'a'; return next 'b'; end $$;
create function uses_lists() returns bigint language sql stable as $$ select count(*) from lists() l, checked c $$;
create function lateral_of(n int) returns table (a int, b int) language plpgsql as $$ begin a := n; b := n * n; return next; end $$;
create function joins() returns text language plpgsql as $$ begin return (select string_agg(c.id || ':' || l.b, ',' order by c.id) from checked c, lateral_of(c.id) l); end $$;
create function nested_blocks(x int) returns text language plpgsql as $$
<<blk>>
declare v int := 1; n text := '';
begin
  declare v int := 2;
  begin
    n := n || blk.v || v;
    if x = 1 then exit blk; end if;
    begin
      v := v / (x - 2);
    exception when division_by_zero then
      begin v := 1 / 0; exception when others then n := n || sqlstate; end;
      n := n || sqlerrm;
    end;
  end;
  return n || v;
end $$;
create function loops_and_tries(x int) returns text language plpgsql as $$
declare n text := ''; r record;
begin
  for i in 1..4 loop
    begin
      if i = 2 then continue; end if;
      if i = 4 then exit; end if;
      n := n || i;
      if i = x then raise exception 'at %', i; end if;
    exception when raise_exception then n := n || '!' || sqlerrm;
    end;
  end loop;
  for r in select id from checked order by id loop
    begin
      insert into typed values (r.id, r.id);
      if r.id = 2 then return n || ' returned'; end if;
    exception when unique_violation then n := n || 'u';
    end;
  end loop;
  return n;
end $$;
create function arrays(a int[]) returns text language plpgsql as $$
declare b int[] := '{}'; s text;
begin
  b := array_append(a, 5); b := b || 6;
  if 5 = any(b) then s := 'has'; end if;
  return s || array_length(b, 1) || b[1] || coalesce(b[99]::text, '-') || array_to_string(b[2:3], '|');
end $$;
create function types_of() returns text language plpgsql as $$
declare d date := '2026-02-03'; i interval := '1 day 2 hours'; n numeric(6,2) := 3.14159; u uuid := '00000000-0000-0000-0000-000000000007'; j jsonb := '{"a": [1, 2]}'; c varchar(3) := 'abc'; b boolean := 'yes';
begin
  d := d + 1; n := n * 2; j := jsonb_set(j, '{b}', to_jsonb(d));
  return d || ' ' || i || ' ' || n || ' ' || u || ' ' || (j->>'b') || (j->'a'->>1) || c || b;
end $$;
create function too_long() returns text language plpgsql as $$ declare c varchar(3); begin c := 'abcd'; return c; end $$;
create function bad_cast(x text) returns int language plpgsql as $$ declare i int; begin i := x; return i; end $$;
create function select_none() returns text language plpgsql as $$ declare r record; v text := 'was'; begin select id into v from checked where id = 99; select * into r from checked where id = 99; return coalesce(v, 'null') || (r is null) || found || coalesce(r.code, 'none'); end $$;
create function unassigned() returns text language plpgsql as $$ declare r record; begin return r.x; end $$;
create function stacked() returns jsonb language plpgsql as $$
declare a text; b text; c text; d text; e text;
begin
  raise exception 'm' using detail = 'd', hint = 'h', errcode = '22023', table = 't', column = 'c';
exception when others then
  get stacked diagnostics a = message_text, b = pg_exception_detail, c = pg_exception_hint, d = returned_sqlstate, e = table_name;
  return jsonb_build_array(a, b, c, d, e);
end $$;
create procedure proc(x int) language plpgsql as $$ begin insert into typed values (x, x); end $$;
create table items (id int primary key);
create table items2 (id int primary key);
create table items3 (id int primary key, x int);
alter table items3 enable row level security;
create policy p on items3 using (exists (select 1 from items2 where items2.id = items3.id)) with check (true);
insert into items values (1), (2); insert into items2 values (1); insert into items3 values (1, 1), (2, 2);
grant all on items, items2, items3 to anon;
create function first_seen(n int) returns int language plpgsql as $$ begin if n > 0 then return (select count(*) from items3) + n; end if; return 0; end $$;
create function later_seen(n int) returns int language plpgsql as $$ declare v int; begin if n = 2 then update items3 set x = x + 1 returning x into v; return v + first_seen(n); end if; return n; end $$;
create function lists_seen() returns text language sql as $$ select string_agg(later_seen(i.id)::text, ',' order by i.id) from items i $$;
create function set_seen() returns setof items language plpgsql as $$ begin return query select * from items i where first_seen(i.id) > 0 order by i.id; end $$;
create table log (id serial primary key, t text);
grant all on log to anon; grant all on sequence log_id_seq to anon;
create function writes_log(x text) returns int language plpgsql as $$ begin insert into log (t) values (x); return 1; end $$;
create function stable_log() returns int language plpgsql stable as $$ begin return writes_log('8'); end $$;
create view log_view as select writes_log('9') as x;
grant select on log_view to anon;
create function half(how int) returns int language plpgsql as $$
declare n int; r record;
begin
  begin
    if how = 1 then perform writes_log('1'); raise exception 'x'; end if;
    if how = 2 then n := writes_log('2'); raise exception 'x'; end if;
    if how = 3 then if writes_log('3') = 1 then raise exception 'x'; end if; end if;
    if how = 4 then raise exception '%', writes_log('4'); end if;
    if how = 5 then for r in select writes_log('5') loop raise exception 'x'; end loop; end if;
    if how = 6 then return writes_log('6') / 0; end if;
    if how = 7 then select writes_log('7') into n; raise exception 'x'; end if;
    if how = 8 then perform stable_log(); raise exception 'x'; end if;
    if how = 9 then perform x from log_view; raise exception 'x'; end if;
    if how = 10 then n := (select x from log_view); raise exception 'x'; end if;
  exception when others then null;
  end;
  return how;
end $$;
create function branches(a int) returns text language plpgsql as $$ declare r record; begin
  if a = 1 then select 'one' as blocked into r; else select 'two' as blocked into r; end if; return r.blocked; end $$;
create function goes_on() returns int language plpgsql as $$ declare r record; n int := 0; begin
  select 1 as id into r; loop n := n + r.id; exit when r.id >= 4 or n > 1000; select r.id + 1 as id into r; end loop; return n; end $$;
create function shapes(a int) returns text language plpgsql as $$ declare r record; s text := ''; begin
  for r in select 1 as x, 'p' as y loop s := s || r.x || r.y; end loop;
  for r in select 'q' as y, 2 as z loop s := s || r.y || r.z; end loop;
  if a = 1 then select 5 as x into r; else select 6 as x into r; end if;
  return s || r.x;
end $$;
create function same_shape(a int) returns jsonb language plpgsql as $$ declare r record; begin
  if a = 1 then select 1 as a, 'x' as b into r; else select 2 as a, 'y' as b into r; end if; return to_jsonb(r); end $$;
create table n1 (id int primary key); create table n2 (id int primary key, up int references n1 on delete cascade);
alter table n1 add column back int references n2 on delete cascade;
create function n_gone() returns trigger language plpgsql as $$ begin insert into log (t) values (tg_table_name || old.id); return old; end $$;
create trigger n_gone after delete on n2 for each row execute function n_gone();
insert into n1 (id) values (1); insert into n2 values (1, 1); update n1 set back = 1; insert into n2 values (2, 1);
grant all on n1, n2 to anon;
create table u (id int primary key, owner text, secret text, x text);
alter table u enable row level security;
create policy mine on u using (owner = 'anon') with check (owner = 'anon');
insert into u values (1, 'admin', 'hidden!', 'x'), (2, 'anon', 's2', 'keep'), (3, 'anon', 's3', 'go'), (4, 'anon', 's4', 'go');
create function u_bu() returns trigger language plpgsql as $$ begin if new.x = 'boom' then raise exception 'now it is % of %', old.secret, old.owner; end if; if new.x = 'quiet' then return null; end if; return new; end $$;
create trigger u_bu before update on u for each row execute function u_bu();
create function u_bd() returns trigger language plpgsql as $$ begin if old.x = 'keep' then return null; end if; return old; end $$;
create trigger u_bd before delete on u for each row execute function u_bd();
grant all on u to anon;
create table col (id int primary key, x text, secret text);
insert into col values (1, 'x', 'c-secret');
grant select (id, x), insert (id, x), update (x) on col to anon;
create function col_bu() returns trigger language plpgsql as $$ begin return new; end $$;
create trigger col_bu before update on col for each row execute function col_bu();
create function col_up() returns text language plpgsql as $$ begin insert into col as k (id, x) values (1, 'n') on conflict (id) do update set x = k.secret; return (select x from col where id = 1); end $$;
create function col_where() returns text language plpgsql as $$ begin insert into col as k (id, x) values (1, 'n') on conflict (id) do update set x = 'w' where k.secret like 'c%'; return (select x from col where id = 1); end $$;
create table ins (id int primary key, x text);
insert into ins values (1, 'was');
grant insert, select on ins to anon;
create function ins_up() returns text language plpgsql as $$ begin insert into ins values (1, 'changed') on conflict (id) do update set x = excluded.x; return 'done'; end $$;
create function ins_sql() returns void language sql as $$ insert into ins values (1, 'changed') on conflict (id) do update set x = excluded.x $$;
create table tree (id int primary key, up int references tree on delete cascade);
insert into tree values (1, null), (2, 1), (3, 2), (4, 1);
grant all on tree to anon;
create function felled() returns trigger language plpgsql as $$ begin insert into log (t) values ('tree' || old.id); return old; end $$;
create trigger felled after delete on tree for each row execute function felled();
create table d (id int primary key, word text);
insert into d values (1, 'a'), (2, 'b');
grant select on d to anon;
create function shouted(x d) returns text language plpgsql stable as $$ begin return upper(x.word) || x.id; end $$;
create table given (id serial primary key, t text);
insert into given (id, t) values (2, 'by hand');
grant all on given to anon; grant all on sequence given_id_seq to anon;
create function retries(t text) returns int language plpgsql as $$
declare n int; tries int := 0;
begin
  loop
    tries := tries + 1;
    begin
      insert into given (t) values (retries.t) returning id into n;
      return n * 100 + tries;
    exception when unique_violation then if tries > 9 then return -1; end if;
    end;
  end loop;
end $$;
create function sets() returns text language plpgsql as $$ begin set local "app.x" = 'inside'; return current_setting('app.x', true); end $$;
create table keys_of (id text primary key, rowid int, _rowid_ int, oid int, "_orlo_k" int, "_Orlo_p" int, "_orlo_k#5" int, owner text default 'anon', v int);
alter table keys_of enable row level security;
create policy mine on keys_of using (owner = 'anon') with check (owner = 'anon');
insert into keys_of values ('a', 3, 3, 3, 3, 1, 1, 'x', 1), ('b', 1, 1, 1, 1, 1, 1, 'anon', 1), ('c', 1, 1, 1, 1, 0, 2, 'anon', 1);
create view keys_seen with (security_invoker) as select id, rowid, oid, "_orlo_k", v from keys_of;
grant all on keys_of, keys_seen to anon;

-- ask
anon {"kind": "update", "from": "keys_of", "set": {"v": 6}, "where": {"column": "id", "op": "eq", "value": "c"}, "select": ["id", "v"]}
anon {"kind": "insert", "from": "keys_of", "rows": [{"id": "new", "_orlo_k": 1, "rowid": 1}], "select": ["id", "_orlo_k", "rowid"]}
anon {"kind": "update", "from": "keys_seen", "set": {"rowid": 7}, "where": {"column": "_orlo_k", "op": "eq", "value": 1}, "select": ["id", "rowid", "_orlo_k"]}
anon {"kind": "delete", "from": "keys_of", "where": {"column": "id", "op": "eq", "value": "new"}, "select": ["id"]}
anon {"from": "keys_of", "order": [{"column": "id"}]}
anon retries {"t": "a"}
anon retries {"t": "b"}
anon retries {"t": "c"}
anon sets
anon {"from": "d", "select": ["id", "shouted"], "order": [{"column": "shouted", "desc": true}]}
anon {"from": "d", "select": ["id"], "where": {"column": "shouted", "op": "eq", "value": "B2"}}
anon {"kind": "delete", "from": "tree", "where": {"column": "id", "op": "eq", "value": 1}}
anon {"from": "log", "select": ["t"], "order": [{"column": "t"}]}
anon {"from": "tree"}
anon {"kind": "insert", "from": "u", "conflict": {"do": "merge"}, "rows": [{"id": 1, "owner": "anon", "x": "boom"}]}
anon {"kind": "insert", "from": "u", "conflict": {"do": "merge"}, "rows": [{"id": 1, "owner": "anon", "x": "quiet"}]}
anon {"kind": "insert", "from": "u", "conflict": {"do": "merge"}, "rows": [{"id": 3, "owner": "anon", "x": "set"}], "select": ["id", "x"]}
anon {"kind": "delete", "from": "u", "select": ["id", "x"], "order": [{"column": "id"}]}
anon {"from": "u", "select": ["id"]}
anon col_up
anon col_where
anon ins_up
anon ins_sql
anon {"from": "ins"}
anon half {"how": 1}
anon half {"how": 2}
anon half {"how": 3}
anon half {"how": 4}
anon half {"how": 5}
anon half {"how": 6}
anon half {"how": 7}
anon half {"how": 8}
anon half {"how": 9}
anon half {"how": 10}
anon {"from": "log", "select": ["t"]}
anon branches {"a": 1}
anon branches {"a": 2}
anon goes_on
anon shapes {"a": 1}
anon shapes {"a": 2}
anon same_shape {"a": 1}
anon same_shape {"a": 2}
anon {"kind": "delete", "from": "n1", "where": {"column": "id", "op": "eq", "value": 1}}
anon {"from": "log", "select": ["t"], "order": [{"column": "t"}]}
anon {"kind": "call", "function": "set_seen", "args": {}, "select": ["id"], "order": [{"column": "id"}]}
anon lists_seen
anon later_seen {"n": 2}
anon {"kind": "insert", "from": "checked", "rows": [{"id": 1, "x": 1}, {"id": 2, "x": 2}]}
anon {"kind": "insert", "from": "checked", "rows": [{"id": 3, "x": -1}]}
anon {"kind": "insert", "from": "typed", "rows": [{"id": 1, "s": -1}]}
anon {"from": "checked", "order": [{"column": "id"}]}
anon {"from": "shown", "order": [{"column": "id"}]}
anon lists
anon uses_lists
anon joins
anon nested_blocks {"x": 1}
anon nested_blocks {"x": 2}
anon nested_blocks {"x": 3}
anon loops_and_tries {"x": 3}
anon loops_and_tries {"x": 9}
anon {"from": "typed", "order": [{"column": "id"}]}
anon arrays {"a": [1, 2, 3]}
anon types_of
anon too_long
anon bad_cast {"x": "12"}
anon bad_cast {"x": "1x"}
anon select_none
anon unassigned
anon stacked
