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

-- ask
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
