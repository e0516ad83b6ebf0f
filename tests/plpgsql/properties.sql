create type var_record as (f1 int4, f2 int4);
create domain int_nn as int not null;
create domain booltrue as bool check (value is true or value is null);
create domain uint2 as int2 check (value >= 0);
create domain pair as integer[] check (array_length(value, 1) = 2 and value[1] < value[2]);
create domain email as text check (value ~ '@');
create table t (id serial primary key, e email, n uint2 default 1, constraint small check (n < 100));
create table child (id int primary key, t int not null references t);
grant all on t, child to anon;
grant all on all sequences in schema public to anon;

create function const1() returns int language plpgsql as $$ declare x constant int := 42; begin return x; end $$;
create function const_expr() returns text language plpgsql as $$ declare x constant timestamptz := now(); y constant text default 'a' || 'b'; begin return (x = now()) || y; end $$;
create function init_fails() returns int language plpgsql as $$ declare x int := 1 / 0; begin return x; exception when division_by_zero then return -1; end $$;
create function init_outer() returns int language plpgsql as $$ begin declare x int := 1 / 0; begin return x; end; exception when division_by_zero then return -1; end $$;
create function init_array() returns bigint[] language plpgsql as $$ declare x bigint[] := array[1, 3, 5]; begin return x; end $$;
create function init_record() returns text language plpgsql as $$ declare x record := row(1, 2, 3); y var_record := row(1, 2); begin return x::text || y::text; end $$;
create function not_null() returns int language plpgsql as $$ declare x int not null := 42; begin x := null; return x; end $$;
create function not_null_init() returns int language plpgsql as $$ declare x int not null := null; begin return x; end $$;
create function not_null_into() returns int language plpgsql as $$ declare x int not null := 1; begin select null::int into x; return x; end $$;
create function not_null_record() returns text language plpgsql as $$ declare x record not null := row(42); begin x := null; return 'no'; end $$;
create function again() returns text language plpgsql as $$
declare s text := '';
begin
  for i in 1..3 loop
    declare x int; y int := i; r record; c var_record;
    begin
      if i = 1 then x := 42; r := row(i, i + 1); c := row(i, i + 1); end if;
      s := s || coalesce(x::text, '-') || y || coalesce(c.f1::text, '-') || ';';
    end;
  end loop;
  return s;
end $$;
create function dom_nn() returns int language plpgsql as $$ declare x int_nn; begin return x; end $$;
create function dom_nn2() returns int language plpgsql as $$ declare x int_nn := 42; begin x := null; return x; end $$;
create function dom_bool(x bool, y bool) returns booltrue language plpgsql as $$ declare v booltrue := x; begin v := y; return v; end $$;
create function truth() returns boolean[] language plpgsql as $$ begin return array[true]; end $$;
create table flags (id int primary key, b booltrue);
grant all on flags to anon;
create function dom_result(y bool) returns booltrue language plpgsql as $$ begin return y; end $$;
create function dom_uint(x int, y int) returns uint2 language plpgsql as $$ declare v uint2 := x; begin v := y; return v; end $$;
create function dom_pair(x int, y int, z int) returns pair language plpgsql as $$ declare v pair := array[x, y]; begin v[2] := z; return v; end $$;
create function dom_caught(x text) returns text language plpgsql as $$ declare v email; begin v := x; return v; exception when check_violation then return 'bad ' || sqlerrm; end $$;
create function dom_type(x text) returns text language plpgsql as $$ declare v t.e%type; begin v := x; return v; exception when check_violation then return 'bad ' || sqlstate; end $$;

create function for_by() returns text language plpgsql as $$ declare s text := ''; begin for i in 1..10 by 3 loop s := s || i || ','; end loop; for i in reverse 10..0 by 3 loop s := s || i || ','; end loop; for i in 2147483620..2147483647 by 10 loop s := s || i || ','; end loop; for i in 3..1 loop s := s || 'never'; end loop; return s; end $$;
create function for_by0() returns int language plpgsql as $$ begin for i in 1..3 by 0 loop return i; end loop; return 0; end $$;
create function for_null() returns int language plpgsql as $$ begin for i in 1..null loop return i; end loop; return 0; end $$;
create function for_shadow() returns text language plpgsql as $$ declare i int := 50; begin for i in 1..2 loop null; end loop; return i::text; end $$;
create function for_bounds() returns text language plpgsql as $$ declare n int := 3; s text := ''; begin for i in 1..n loop n := 10; s := s || i; end loop; return s || n; end $$;
create function for_assign() returns text language plpgsql as $$ declare s text := ''; begin for i in 1..5 loop s := s || i; i := i + 1; end loop; return s; end $$;
create function labels() returns text language plpgsql as $$
declare s text := ''; i int := 0;
begin
  <<outermost>> while i < 3 loop
    i := i + 1;
    <<inner_one>> for j in 1..3 loop
      continue outermost when j = 2 and i = 1;
      exit outermost when i = 3;
      s := s || i || j || ' ';
    end loop inner_one;
  end loop outermost;
  <<blk>> begin exit blk; s := 'never'; end blk;
  return s;
end $$;
create function exit_in_block() returns text language plpgsql as $$ declare s text := ''; begin for i in 1..5 loop begin if i = 3 then exit; end if; s := s || i; exception when others then null; end; end loop; return s; end $$;
create function case_search(x bigint) returns text language plpgsql immutable as $$ declare a int = 10; b int = 1; begin case x when 1 then return 'one'; when 3, 4, 3 + 5 then return 'several'; when a then return 'ten'; when a + b, a + b + 1 then return 'more'; end case; end $$;
create function case_caught() returns text language plpgsql as $$ begin return case_search(6); exception when case_not_found then return sqlstate || sqlerrm; end $$;
create function case_null(x int) returns text language plpgsql as $$ begin case x when null then return 'null'; else return 'else'; end case; end $$;
create function case_types(x text) returns text language plpgsql as $$ begin case x when 'a' then return 'A'; when 'b' then return 'B'; else return 'none'; end case; end $$;

create function trap(what text) returns text language plpgsql as $$
declare a text; b text; c text; d text; e text; f text; g text; h text;
begin
  if what = 'unique' then insert into t (id, e) values (1, 'a@b'), (1, 'c@d'); end if;
  if what = 'check' then insert into t (e, n) values ('a@b', 1000); end if;
  if what = 'domain' then insert into t (e) values ('ab'); end if;
  if what = 'fk' then insert into child values (1, 77); end if;
  if what = 'null' then insert into child values (1, null); end if;
  if what = 'raise' then raise exception 'msg' using detail = 'some detail', hint = 'some hint', errcode = 'ZX123', column = 'col', constraint = 'con', table = 'tab', schema = 'sch', datatype = 'typ'; end if;
  if what = 'cast' then perform 'x'::int; end if;
  if what = 'array' then perform ('{1,2'::text)::int[]; end if;
  if what = 'json' then perform '{'::jsonb; end if;
  if what = 'date' then perform '2020-13-01'::date; end if;
  if what = 'range' then perform 100000::int2; end if;
  if what = 'table' then perform 1 from no_such_table; end if;
  if what = 'column' then perform no_such from t; end if;
  if what = 'function' then perform no_such_function(); end if;
  if what = 'substring' then perform substring('x' from 1 for -1); end if;
  if what = 'sqrt' then perform sqrt(-1); end if;
  if what = 'assert' then assert false, 'asserted'; end if;
  return 'nothing';
exception
  when unique_violation then get stacked diagnostics a = constraint_name, b = table_name; return 'unique ' || a || b || sqlstate;
  when check_violation then get stacked diagnostics a = constraint_name, b = table_name, c = column_name; return 'check ' || a || '|' || sqlstate;
  when foreign_key_violation or not_null_violation then get stacked diagnostics a = returned_sqlstate, b = column_name; return a || b;
  when sqlstate 'ZX123' then
    get stacked diagnostics a = message_text, b = pg_exception_detail, c = pg_exception_hint, d = returned_sqlstate, e = column_name, f = constraint_name, g = table_name, h = schema_name;
    return a || b || c || d || e || f || g || h;
  when data_exception then return 'data ' || sqlstate || ' ' || sqlerrm;
  when syntax_error_or_access_rule_violation then return 'syntax ' || sqlstate || ' ' || sqlerrm;
end $$;
create function reraise() returns text language plpgsql as $$ begin begin raise exception 'first' using errcode = 'P0099'; exception when others then raise; end; exception when sqlstate 'P0099' then return 'again ' || sqlerrm; end $$;
create function reraise_other() returns text language plpgsql as $$ begin begin perform 1 / 0; exception when others then raise exception 'wrapped: %', sqlerrm using errcode = sqlstate; end; exception when division_by_zero then return sqlerrm; end $$;
create function in_handler() returns text language plpgsql as $$ begin perform 1 / 0; exception when others then begin perform 'x'::int; exception when others then return sqlstate || '<' || sqlerrm; end; end $$;
create function outer_error() returns text language plpgsql as $$ begin begin perform 1 / 0; exception when others then begin raise exception 'in'; exception when others then null; end; return sqlstate || sqlerrm; end; end $$;
create function handler_return() returns int language plpgsql as $$ begin for i in 1..5 loop begin if i = 3 then raise exception 'x'; end if; exception when others then return i; end; end loop; return 0; end $$;
create function no_handler() returns int language plpgsql as $$ begin begin raise exception 'through' using errcode = 'P0077', hint = 'h'; exception when division_by_zero then return 1; end; return 2; end $$;
create function raise_forms(n int) returns int language plpgsql as $$
begin
  if n = 1 then raise 'plain %', n; end if;
  if n = 2 then raise exception division_by_zero; end if;
  if n = 3 then raise sqlstate '12345' using message = 'own'; end if;
  if n = 4 then raise using message = 'u', errcode = '22012'; end if;
  if n = 5 then raise exception '%%% and %', n, 'x'; end if;
  if n = 6 then raise exception using message = 'M' || n, detail = n::text; end if;
  if n = 7 then raise notice 'n %', n; raise warning 'w'; raise info 'i'; raise debug 'd'; raise log 'l'; return 7; end if;
  if n = 8 then raise exception 'null %', null::int; end if;
  if n = 9 then raise exception 'x' using errcode = null; end if;
  if n = 10 then raise exception 'types % % % %', 1.50, true, '{1,2}'::int[], '2020-01-01'::timestamp; end if;
  if n = 11 then raise exception '%', '{"a": 1}'::jsonb; end if;
  if n = 12 then raise exception 'dup' using message = 'again'; end if;
  return 0;
end $$;
create function diag() returns text language plpgsql as $$ declare n bigint; m int; c text; begin insert into t (e) values ('x@y'), ('z@w'); get diagnostics n = row_count; update t set n = 5; get current diagnostics m = row_count; return n || ' ' || (m >= 2) || found; end $$;
create function found_all() returns text language plpgsql as $$
declare s text := found::text; x int;
begin
  select 1 into x where false; s := s || found; perform 1; s := s || found; update t set n = 1 where id = -1; s := s || found;
  for x in select 1 where false loop null; end loop; s := s || found; for x in 1..2 loop null; end loop; s := s || found;
  delete from t where id = -1; s := s || found; return s;
end $$;
create function strict_none() returns int language plpgsql as $$ declare x int; begin select id into strict x from t where id = -1; return x; end $$;
create function strict_many() returns int language plpgsql as $$ declare x int; begin select id into strict x from t; return x; end $$;
create function empty_body() returns void language plpgsql as $$ begin end $$;
create function comments() returns int language plpgsql as $$ -- a comment
/* another /* nested */ */ declare x /* type */ int -- of it
:= 1; begin /* here */ return x -- end
; end; $$;
create function quoted() returns text language plpgsql as $$ declare "Strange Name" text := 'it''s'; "select" int := 2; begin return "Strange Name" || "select" || e'\t' || $q$dollar$q$; end $$;
create function deep(n int) returns int language plpgsql as $$ begin if n = 0 then return 0; end if; return 1 + deep(n - 1); end $$;
create function null_statement() returns text language plpgsql as $$ begin null; if true then null; else null; end if; return 'ok'; end $$;
create function return_void() returns void language plpgsql as $$ begin return; end $$;
create function text_to_int(x text) returns int language plpgsql as $$ declare n int; begin n := x; return n; end $$;
create function float_to_int() returns text language plpgsql as $$ declare n int; m numeric(5, 2); v varchar(3); c char(5); begin n := 2.5; m := 3.14159; c := 'ab'; v := 'abc'; return n || ' ' || m || ' ' || v || ' <' || c || '>'; end $$;
create function varchar_long() returns text language plpgsql as $$ declare v varchar(3); begin v := 'abcd'; return v; end $$;
create function scope_of_exception() returns text language plpgsql as $$ declare x int := 1; begin begin x := 2; declare x int := 3; begin x := 4; raise exception 'e'; end; exception when others then return x::text; end; end $$;

-- ask
anon const1
anon const_expr
anon init_fails
anon init_outer
anon init_array
anon init_record
anon not_null
anon not_null_init
anon not_null_into
anon not_null_record
anon again
anon dom_nn
anon dom_nn2
anon dom_bool {"x": true, "y": true}
anon dom_bool {"x": true, "y": false}
anon dom_bool {"x": false, "y": true}
anon dom_result {"y": false}
anon {"kind": "insert", "from": "flags", "rows": [{"id": 1, "b": true}, {"id": 2, "b": null}], "select": ["id", "b"]}
anon truth
anon dom_uint {"x": 100, "y": 50}
anon dom_uint {"x": 100, "y": -50}
anon dom_uint {"x": null, "y": 1}
anon dom_pair {"x": 1, "y": 2, "z": 3}
anon dom_pair {"x": 1, "y": 2, "z": 0}
anon dom_pair {"x": 2, "y": 1, "z": 3}
anon dom_caught {"x": "a@b"}
anon dom_caught {"x": "ab"}
anon dom_type {"x": "ab"}
anon for_by
anon for_by0
anon for_null
anon for_shadow
anon for_bounds
anon for_assign
anon labels
anon exit_in_block
anon case_search {"x": 8}
anon case_search {"x": 12}
anon case_search {"x": 13}
anon case_caught
anon case_null {"x": null}
anon case_types {"x": "b"}
anon trap {"what": "unique"}
anon trap {"what": "check"}
# the constraint of a domain is in its message alone
anon trap {"what": "domain"}
anon trap {"what": "fk"}
anon trap {"what": "null"}
anon trap {"what": "raise"}
anon trap {"what": "cast"}
anon trap {"what": "array"}
anon trap {"what": "json"}
anon trap {"what": "date"}
anon trap {"what": "range"}
anon trap {"what": "table"}
anon trap {"what": "column"}
anon trap {"what": "function"}
anon trap {"what": "substring"}
anon trap {"what": "sqrt"}
anon trap {"what": "assert"}
anon reraise
anon reraise_other
anon in_handler
anon outer_error
anon handler_return
anon no_handler
anon raise_forms {"n": 1}
anon raise_forms {"n": 2}
anon raise_forms {"n": 3}
anon raise_forms {"n": 4}
anon raise_forms {"n": 5}
anon raise_forms {"n": 6}
anon raise_forms {"n": 7}
anon raise_forms {"n": 8}
anon raise_forms {"n": 9}
anon raise_forms {"n": 10}
anon raise_forms {"n": 11}
anon raise_forms {"n": 12}
anon diag
anon found_all
anon strict_none
anon strict_many
anon empty_body
anon comments
anon quoted
anon deep {"n": 5}
anon null_statement
anon return_void
anon text_to_int {"x": "42"}
anon text_to_int {"x": "4x"}
anon float_to_int
anon varchar_long
anon scope_of_exception
