create type two_int4s as (f1 int4, f2 int4);
create type more_int4s as (f0 text, f1 int4, f2 int4);
create type two_int8s as (q1 int8, q2 int8);
create table some_table (id int, data text);
insert into some_table values (1, 'one'), (2, 'two');
create table has_hole (f1 int, f2 int, f3 int);
alter table has_hole drop column f2;
grant all on some_table, has_hole to anon;

create function retc1(x int) returns two_int8s language plpgsql as $$ begin return row(x, 1)::two_int8s; end $$;
create function retc2(x int) returns two_int8s language plpgsql as $$ begin return row(x::int8, 1::int8); end $$;
create function retc3(x int) returns two_int8s language plpgsql as $$ begin return row(x, 1); end $$;
create function retc4(x int) returns two_int8s language plpgsql as $$ begin return row(x::int8, 1::int8, 42); end $$;
create function retc5(x int) returns two_int8s language plpgsql as $$ declare r record; begin r := row(x::int8, 1::int8); return r; end $$;
create function retc6(x int) returns two_int8s language plpgsql as $$ declare r record; begin r := row(x, 1); return r; end $$;
create function retc7(x int) returns two_int8s language plpgsql as $$ declare r record; begin r := row(x::int8, 1::int8, 42); return r; end $$;
create function retc8(x int) returns two_int8s language plpgsql as $$ declare r two_int8s; begin r := row(x::int8, 1::int8, 42); return r; end $$;
create function r_text() returns text language plpgsql as $$ declare c two_int8s; begin c := row(1, 2); return c::text; end $$;
create function r_for() returns text language plpgsql as $$ declare c two_int8s; s text := ''; begin for c in select 1, 2 loop s := s || c::text || c.q1; end loop; return s; end $$;
create function r_across() returns text language plpgsql as $$ declare c4 two_int4s; c8 two_int8s; begin c8 := row(1, 2); c4 := c8; c8 := c4; return c4::text || c8::text; end $$;
create function r_label() returns text language plpgsql as $$ <<b>> declare c two_int8s; begin b.c := row(1, 2); b.c.q1 := 10; return b.c::text || b.c.q1; end $$;
create function r_bad_field() returns int language plpgsql as $$ declare c two_int8s; begin c.x = 1; return 1; end $$;
create function getq1(two_int8s) returns int8 language plpgsql as $$ declare r two_int8s; begin r := $1; return r.q1; end $$;
create function r_pass() returns text language plpgsql as $$
declare r1 two_int8s; r2 record; x int8; y int8;
begin r1 := retc1(345); perform getq1(r1); x := getq1(r1); r2 := retc1(346); y := getq1(r2); return x || ' ' || y; end $$;
create function r_nested() returns int8 language plpgsql as $$ begin return getq1(retc1(344)) + getq1(row(1, 2)); end $$;
create function r_assign() returns text language plpgsql as $$
declare r1 two_int8s; r2 two_int8s; s text := '';
begin
  r1 := row(1, 2); s := s || r1::text;
  r1 := r1; s := s || r1::text;
  r2 := r1; r2.q2 = r1.q1 + 3; s := s || r1::text || r2::text;
  r1 := null; s := s || coalesce(r1::text, 'null') || r2::text;
  r1 := row(7, 11)::two_int8s; r2 := r1; s := s || r2::text;
  return s;
end $$;
create function r_records() returns text language plpgsql as $$
declare r3 record; r4 record; s text := '';
begin r3 := row(1, 2); r4 := r3; s := r3::text || r4::text; r4.f1 := r4.f1 + 3; return s || r3::text || r4::text; end $$;
create function r_unset() returns text language plpgsql as $$ declare r1 two_int8s; begin return coalesce(r1.q1::text, 'none') || (r1 is null); end $$;
create function r_unset_text() returns text language plpgsql as $$ declare r1 two_int8s; begin return coalesce(r1::text, 'none'); end $$;
create function r_unassigned() returns text language plpgsql as $$ declare r1 record; begin return r1.f1; end $$;
create function r_unassigned_whole() returns text language plpgsql as $$ declare r1 record; begin return coalesce(r1::text, 'none'); end $$;
create function r_no_field() returns text language plpgsql as $$ declare r1 record; begin r1 := row(1, 2); return r1.nosuchfield; end $$;
create function r_type() returns text language plpgsql as $$ <<blk>> declare v int; r two_int8s; v1 v%type; v2 v%type; r1 two_int8s; r2 two_int8s; begin v1 := '5'; v2 := v1 + 1; r1 := row(1, 2); r2 := r1; return v2 || r2::text; end $$;
create function r_repeat() returns text language plpgsql as $$ declare r some_table; begin r := (23, 'skidoo'); for i in 1..10 loop r.id := r.id + i; r.data := r.data || ' ' || i; end loop; return r::text; end $$;
create function returnsrecord(x int) returns record language plpgsql as $$ begin return row(x, x + 1); end $$;
create function use_record() returns text language plpgsql as $$ declare s text; begin select a + b into s from returnsrecord(42) as r(a int, b int); return s; end $$;
create function getf1(x record) returns int language plpgsql as $$ begin return x.f1; end $$;
create function r_coerce() returns text language plpgsql as $$ declare r two_int8s; s text := ''; begin for r in select i, i + 1 from generate_series(1, 4) i loop s := s || r::text; end loop; return s; end $$;
create function holes1() returns setof has_hole language plpgsql as $$
declare r record; h has_hole;
begin return next h; r := (1, 2); h := (3, 4); return next r; return next h; return next row(5, 6); return query select 9, 10; end $$;
create function holes2() returns setof has_hole language plpgsql as $$ declare r record; begin return next r; end $$;
create function holes3() returns setof has_hole language plpgsql as $$ begin return next row(1, 2, 3); end $$;
create function holes4() returns setof has_hole language plpgsql as $$ begin return query select 1, 2.0; end $$;
create function holes5() returns setof has_hole language plpgsql as $$ begin return query select 1, 2, 3; end $$;
create function r_eq() returns text language plpgsql as $$
declare a two_int8s := row(1, 2); b two_int8s := row(1, 3); c record;
begin c := a; return (a = b)::text || (a < b) || (a is distinct from b) || (a = c) || (a <> b) || (a is not null) || (row(a.*) = row(1, 2)); end $$;
create function r_in_sql() returns text language plpgsql as $$
declare t some_table; s text; begin select * into t from some_table where id = 2; insert into some_table values (t.*); insert into some_table select (t).*; select string_agg(x.data, ',' order by x.id) into s from some_table x; return s || (t).data; end $$;
create function r_json() returns jsonb language plpgsql as $$ declare t some_table; r record; begin select * into t from some_table where id = 1; select 5 as five, 'x' as word into r; return jsonb_build_array(to_jsonb(t), row_to_json(r), to_jsonb(r)); end $$;
create function r_wide(t some_table) returns text language plpgsql as $$ begin return t.id || t.data; end $$;
create function r_wide_all() returns text language plpgsql as $$ begin return (select string_agg(r_wide(t), ',' order by t.id) from some_table t where id = 1); end $$;
create function r_loop_all() returns text language plpgsql as $$ declare t some_table; s text := ''; begin for t in select * from some_table order by id limit 2 loop s := s || r_wide(t) || ';'; end loop; return s; end $$;
create function out2(a int, out b int, out c text) language plpgsql as $$ begin b := a + 1; c := 'c' || a; end $$;
create function r_out() returns text language plpgsql as $$ declare r record; x int; y text; begin r := out2(1); select * into x, y from out2(5); return r.b || r.c || x || y || (out2(7)).c || (select o.b from out2(8) o); end $$;
create function r_star() returns text language plpgsql as $$ declare s text; begin select string_agg(b || c, ',' order by b) into s from (select (out2(i)).* from generate_series(1, 3) i) q; return s; end $$;
create function r_lateral() returns text language plpgsql as $$ declare s text; begin select string_agg(o.c, ',' order by o.b) into s from generate_series(1, 3) i, out2(i) o; return s; end $$;
create function r_return_call(x int) returns two_int8s language plpgsql as $$ begin return retc1(x); end $$;
create function r_return_row(x int) returns some_table language plpgsql as $$ declare t some_table; begin select * into t from some_table where id = x; if not found then return null; end if; return t; end $$;
create function r_return_select(x int) returns some_table language plpgsql as $$ begin return (select t from some_table t where t.id = x); end $$;
create function r_set() returns setof some_table language plpgsql as $$ declare t some_table; begin for t in select * from some_table order by id loop t.data := upper(t.data); return next t; end loop; end $$;
create function r_next_record() returns setof some_table language plpgsql as $$ declare r record; begin for r in select * from some_table order by id loop return next r; end loop; return; end $$;
create function r_next_scalar() returns setof int language plpgsql as $$ begin for i in 1..3 loop return next i * 2; end loop; end $$;
create function r_table() returns table (n int, word text) language plpgsql as $$ begin n := 1; word := 'a'; return next; n := 2; return next; return query select 3, 'c'; return query values (4, 'd'); end $$;
create function r_sum() returns bigint language plpgsql as $$ begin return (select sum(n) from r_table()); end $$;
create function r_into_mixed() returns text language plpgsql as $$ declare a int; b text; begin select 1, 'x', 'extra' into a, b; return a || b; end $$;
create function r_into_few() returns text language plpgsql as $$ declare a int; b text := 'was'; begin select 1 into a, b; return a || coalesce(b, 'null'); end $$;
create function r_case() returns text language plpgsql as $$ declare r record; begin select case when true then 1 end as x, null as y into r; return r.x || coalesce(r.y, 'n'); end $$;
create function r_not_null_field() returns text language plpgsql as $$ declare r some_table%rowtype; begin r.id := 1; return r.id || coalesce(r.data, '-'); end $$;
create function r_row_ctor() returns text language plpgsql as $$ declare r record; begin r := row('a', 1, true, null); return r::text; end $$;
create function r_quote() returns text language plpgsql as $$ declare r record; begin select 'a b' as x, 'c"d' as y, '' as z, 'p,q' as w into r; return r::text; end $$;
create function r_in_array() returns text language plpgsql as $$ declare t some_table; s text; begin select * into t from some_table where id = 1; return format('%s|%s', t, t.id); end $$;
create function r_concat() returns text language plpgsql as $$ declare t some_table; begin t := (1, 'x'); raise exception 'row is %', t; end $$;
create function r_exists() returns text language plpgsql as $$ declare t some_table; begin select * into t from some_table where id = 77; return (t is null)::text || (t.id is null); end $$;

-- ask
anon retc1 {"x": 42}
anon retc2 {"x": 42}
anon retc3 {"x": 42}
anon retc4 {"x": 42}
anon retc5 {"x": 42}
anon retc6 {"x": 42}
anon retc7 {"x": 42}
anon retc8 {"x": 42}
anon r_text
anon r_for
anon r_across
anon r_label
anon r_bad_field
# a record is of no named type, though a row of one was put into it
anon r_pass
# a row that a function gives is no value
anon r_nested
anon r_assign
anon r_records
anon r_unset
anon r_unset_text
anon r_unassigned
# the whole of a record that nothing was put into is told as such
anon r_unassigned_whole
anon r_no_field
anon r_type
anon r_repeat
# a function that returns record has no columns
anon use_record
anon r_coerce
anon holes1
anon holes2
anon holes3
anon holes4
anon holes5
anon r_eq
anon r_in_sql
anon r_json
anon r_wide_all
anon r_loop_all
# a row that a function gives is no value
anon r_out
# a row that a function gives is no value
anon r_star
anon r_lateral
anon r_return_call {"x": 3}
anon r_return_row {"x": 1}
anon r_return_row {"x": 99}
# a row that a subquery gives is no value
anon r_return_select {"x": 1}
anon r_set
anon r_next_record
anon r_next_scalar
anon r_table
anon r_sum
anon r_into_mixed
anon r_into_few
anon r_case
anon r_not_null_field
anon r_row_ctor
anon r_quote
anon r_in_array
anon r_concat
anon r_exists
