create table notes (id int primary key, owner uuid, title text not null, views int not null default 0, tags text[] default '{}', at timestamptz default '2026-01-01');
alter table notes enable row level security;
grant all on notes to anon, authenticated;
insert into notes (id, owner, title, views) values (1, '00000000-0000-0000-0000-000000000001', 'one', 1), (2, '00000000-0000-0000-0000-000000000001', 'two', 2),
 (3, '00000000-0000-0000-0000-000000000002', 'three', 3);
create table roles_of (id uuid primary key, role text not null);
alter table roles_of enable row level security;
insert into roles_of values ('00000000-0000-0000-0000-000000000002', 'admin'), ('00000000-0000-0000-0000-000000000001', 'user');
create type mood as enum ('sad', 'ok', 'happy');

create function is_admin() returns boolean language plpgsql stable security definer set search_path = '' as $$
declare
  found_role text;
begin
  select r.role into found_role from public.roles_of r where r.id = auth.uid();
  return found_role = 'admin';
end;
$$;
create policy "own or admin" on notes for all to authenticated using (owner = auth.uid() or public.is_admin()) with check (owner = auth.uid());

create function add_up(a int, b int default 10) returns int language plpgsql immutable as $$ begin return a + b; end $$;
create function fact(n int) returns bigint language plpgsql as $$ begin if n < 2 then return 1; end if; return n * fact(n - 1); end $$;
create function forever(n int) returns int language plpgsql as $$ begin return forever(n + 1); end $$;
create function grade(score int) returns text language plpgsql as $$
begin
  if score is null then return 'none';
  elsif score >= 90 then return 'A';
  elsif score >= 80 then return 'B';
  else return 'C';
  end if;
end $$;
create function say(x int) returns text language plpgsql as $$
begin
  case x when 1, 2 then return 'few'; when 3 then return 'three'; else return 'many'; end case;
end $$;
create function no_case(x int) returns text language plpgsql as $$ begin case when x = 1 then return 'one'; end case; end $$;
create function no_return(x int) returns int language plpgsql as $$ begin if x = 1 then return 1; end if; end $$;
create function sums(n int) returns int language plpgsql as $$
declare s int := 0; i int; k constant int := 2;
begin
  for i in 1..n loop s := s + i; end loop;
  for i in reverse n..1 by k loop s := s + i * 100; end loop;
  while s > 100000 loop s := s / 2; end loop;
  <<outer>> loop
    loop
      s := s + 1;
      exit outer when s % 7 = 0;
      continue when s % 2 = 0;
      s := s + 1;
    end loop;
  end loop;
  return s;
end $$;
create function raise_it(level text) returns void language plpgsql as $$
begin
  raise notice 'level %', level;
  if level = 'plain' then raise exception 'plain % of %%', level; end if;
  if level = 'coded' then raise exception 'coded' using errcode = 'P0042', hint = 'a hint', detail = 'a detail: ' || level; end if;
  if level = 'named' then raise unique_violation using message = 'named ' || level; end if;
  if level = 'state' then raise sqlstate '22012'; end if;
  if level = 'name in using' then raise exception using errcode = 'insufficient_privilege', message = 'no'; end if;
  if level = 'types' then raise exception '% % % % %', true, null::text, 1.50, array[1,2], '2026-01-02'::date; end if;
  if level = 'unknown' then raise exception 'x' using errcode = 'no_such_condition'; end if;
end $$;
create function caught(what text) returns text language plpgsql as $$
declare v int; state text; said text;
begin
  begin
    if what = 'zero' then v := 1 / 0; end if;
    if what = 'text' then v := 'x'::int; end if;
    if what = 'raise' then raise exception 'mine'; end if;
    if what = 'strict' then select id into strict v from roles_of r, notes n; end if;
    if what = 'none' then select id into strict v from notes where id = 77; end if;
    if what = 'assert' then assert 1 = 2, 'not so'; end if;
    return 'nothing';
  exception
    when division_by_zero then return 'zero: ' || sqlerrm;
    when invalid_text_representation or raise_exception then
      get stacked diagnostics state = returned_sqlstate, said = message_text;
      return state || ': ' || said;
    when others then return sqlstate || ' ' || sqlerrm;
  end;
end $$;
create function again() returns int language plpgsql as $$
begin
  begin raise exception 'first' using errcode = 'P0007'; exception when others then raise; end;
end $$;
create function titles() returns text language plpgsql as $$
declare r record; all_of text := '';
begin
  for r in select n.id, n.title, n.views * 2 as twice from notes n order by n.id loop
    all_of := all_of || r.id || r.title || r.twice || ';';
  end loop;
  if not found then all_of := 'none'; end if;
  return all_of;
end $$;
create function mine() returns setof notes language plpgsql stable as $$ begin return query select * from notes order by id; end $$;
create function pairs(n int) returns table (k int, v text) language plpgsql as $$
begin
  for i in 1..n loop k := i; v := 'v' || i; return next; end loop;
  return query select 100 + x, 'q' || x from generate_series(1, 2) x;
end $$;
create function firsts(out a int, out b text, inout c int) language plpgsql as $$ begin a := c + 1; b := 'b' || c; c := c * 2; end $$;
create function one_note(which int) returns notes language plpgsql as $$
declare n notes%rowtype;
begin
  select * into n from notes where id = which;
  n.title := upper(n.title);
  return n;
end $$;
create function each_of(list int[]) returns int language plpgsql as $$
declare x int; s int := 0;
begin
  foreach x in array list loop s := s * 10 + x; end loop;
  return s;
end $$;
create function feel(m mood) returns mood language plpgsql as $$ declare n mood := 'ok'; begin if m > n then return m; end if; return 'sad'; end $$;
create function document(j jsonb) returns jsonb language plpgsql as $$
declare v jsonb := '{}'::jsonb; k text;
begin
  for k in select * from jsonb_object_keys(j) order by 1 loop v := v || jsonb_build_object(k, length(j->>k)); end loop;
  return v;
end $$;
create function nulls(x int) returns int language plpgsql strict as $$ begin return 1; end $$;
create function not_null_var() returns int language plpgsql as $$ declare v int not null := 1; begin v := null; return v; end $$;
create function clash(id int) returns int language plpgsql as $$ declare v int; begin select views into v from notes where id = id; return v; end $$;
create function no_clash(id int) returns int language plpgsql as $$
#variable_conflict use_column
declare v int; begin select views into v from notes where id = 2; return v; end $$;
create function missing() returns int language plpgsql as $$ begin return (select count(*) from not_there); end $$;
create function late() returns int language plpgsql as $$ begin return (select count(*) from later); end $$;
create table later (id int);
grant select on later to authenticated;
create function twice(x int) returns int language plpgsql as $$ begin return add_up(x, x); end $$;
create function in_sql(x int) returns int language sql as $$ select twice(x) + 1 $$;
create view doubled with (security_invoker) as select id, twice(views) as d from notes;
grant select on doubled to authenticated;
create function who() returns text language plpgsql as $$ begin return current_user || '/' || coalesce(auth.uid()::text, '-'); end $$;
create function who_defines() returns text language plpgsql security definer as $$ begin return who(); end $$;
create function write_stable() returns int language plpgsql stable as $$ begin insert into later values (1); return 1; end $$;
create function write_it(n int) returns int language plpgsql security definer as $$
declare c int; back int;
begin
  insert into later select g from generate_series(1, n) g;
  get diagnostics c = row_count;
  update later set id = id + 10 where id = 1 returning id into back;
  if not found then return -1; end if;
  delete from later where id > 2;
  return c * 1000 + back;
end $$;
create function undo(n int) returns text language plpgsql security definer as $$
declare was int;
begin
  insert into later values (500);
  begin
    insert into later values (501);
    if n = 1 then raise exception 'back'; end if;
    insert into roles_of values ('00000000-0000-0000-0000-000000000001', 'x');
  exception when unique_violation then was := 23505;
  when others then was := -1;
  end;
  return was || ' ' || (select string_agg(id::text, ',' order by id) from later where id >= 500);
end $$;
create function secret() returns int language plpgsql as $$ begin return 1; end $$;
revoke execute on function secret() from public, anon, authenticated;
create function one_row(which int) returns notes language plpgsql security definer as $$ declare n notes; begin select * into n from notes where id = which; return n; end $$;
create function through_call(which int) returns text language plpgsql as $$
declare n notes; r record;
begin
  n := one_row(which);
  r := one_row(which + 1);
  return n.title || '/' || r.title;
end $$;
create function passes_on(which int) returns notes language plpgsql as $$ begin return one_row(which); end $$;
create function shout(n notes, mark text) returns text language plpgsql as $$ begin n.title := upper(n.title) || mark; return n.title || n.views; end $$;
create function shouts(which int) returns text language plpgsql as $$
declare n notes;
begin
  select * into n from notes where id = which;
  return shout(n, '!') || (select string_agg(shout(x, '?'), ',' order by x.id) from notes x);
end $$;
create function whole(which int) returns jsonb language plpgsql as $$ begin return (select to_jsonb(n.*) - 'at' from notes n where n.id = which); end $$;
create function sets_path() returns int language plpgsql as $$ begin set local search_path = other; return (select count(*) from things); end $$;
create schema other;
create table other.things (id int);
grant usage on schema other to authenticated; grant select on other.things to authenticated;
create function other.from_here() returns int language plpgsql security definer as $$ begin return (select count(*) from things); end $$;
grant execute on function other.from_here() to authenticated;
create function depth_of() returns int language plpgsql as $$ begin return pg_trigger_depth(); end $$;
create function raise_more(x int) returns void language plpgsql as $$
begin
  if x = 1 then raise exception 'one % '
    'line', x; end if;
  if x = 2 then raise exception 'two' using message = 'again'; end if;
end $$;
create view mine_now with (security_invoker) as select id, title from notes;
grant select on mine_now to anon, authenticated;
create function looks() returns text language plpgsql as $$ begin return current_user || coalesce((select string_agg(title, ',' order by id) from mine_now), ' none'); end $$;
create function looks_as_owner() returns text language sql security definer as $$ select looks() $$;
create function takes_rows() returns text language plpgsql as $$
declare n notes;
begin
  perform one_row(1);
  if not found then return 'none'; end if;
  select * into n from one_row(2);
  return n.title || n.views;
end $$;

-- ask
authenticated:1 takes_rows
anon looks
anon looks_as_owner
authenticated:1 looks
authenticated:2 looks_as_owner
authenticated:2 looks
authenticated:1 looks_as_owner
authenticated:1 looks
anon looks
anon raise_more {"x": 1}
anon raise_more {"x": 2}
authenticated:1 through_call {"which": 1}
authenticated:1 passes_on {"which": 3}
authenticated:1 passes_on {"which": 33}
authenticated:1 shouts {"which": 2}
authenticated:1 whole {"which": 2}
authenticated:1 sets_path
authenticated:1 depth_of
authenticated:1 is_admin
authenticated:2 is_admin
authenticated:1 {"from": "notes", "select": ["id", "title"], "order": [{"column": "id"}]}
authenticated:2 {"from": "notes", "select": ["id", "title"], "order": [{"column": "id"}]}
anon {"from": "notes", "select": ["id"]}
authenticated:1 add_up {"a": 5}
authenticated:1 add_up {"a": 2147483647, "b": 1}
anon fact {"n": 10}
anon forever {"n": 1}
anon grade {"score": 95}
anon grade {"score": 85}
anon grade {"score": null}
anon grade {"score": 3}
anon say {"x": 2}
anon say {"x": 3}
anon say {"x": 4}
anon no_case {"x": 1}
anon no_case {"x": 2}
anon no_return {"x": 1}
anon no_return {"x": 2}
anon sums {"n": 10}
anon sums {"n": 0}
anon sums {"n": null}
anon raise_it {"level": "none"}
anon raise_it {"level": "plain"}
anon raise_it {"level": "coded"}
anon raise_it {"level": "named"}
anon raise_it {"level": "state"}
anon raise_it {"level": "name in using"}
anon raise_it {"level": "types"}
anon raise_it {"level": "unknown"}
authenticated:2 caught {"what": "zero"}
authenticated:2 caught {"what": "text"}
authenticated:2 caught {"what": "raise"}
authenticated:2 caught {"what": "strict"}
authenticated:2 caught {"what": "none"}
authenticated:2 caught {"what": "assert"}
authenticated:2 caught {"what": "nothing"}
anon again
authenticated:1 titles
authenticated:2 titles
anon titles
authenticated:1 mine
authenticated:1 {"kind": "call", "function": "mine", "args": {}, "select": ["id"], "where": {"column": "views", "op": "gt", "value": 1}}
anon pairs {"n": 2}
anon firsts {"c": 4}
authenticated:1 one_note {"which": 2}
authenticated:1 one_note {"which": 3}
anon each_of {"list": [1, 2, 3]}
anon each_of {"list": null}
anon feel {"m": "happy"}
anon feel {"m": "sad"}
anon document {"j": {"b": "xx", "a": "yyy"}}
anon nulls {"x": null}
anon nulls {"x": 1}
anon not_null_var
authenticated:1 clash {"id": 1}
authenticated:1 no_clash {"id": 1}
anon missing
authenticated:1 late
anon late
authenticated:1 in_sql {"x": 3}
authenticated:1 {"from": "doubled", "order": [{"column": "id"}]}
authenticated:1 who
authenticated:1 who_defines
authenticated:1 write_stable
authenticated:1 write_it {"n": 3}
authenticated:1 late
authenticated:1 undo {"n": 1}
authenticated:1 undo {"n": 2}
authenticated:1 secret
