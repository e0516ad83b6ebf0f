create table test1 (a int, b text default 'd');
create table logged (id serial primary key, v text not null, at text);
grant all on all tables in schema public to anon;
grant all on all sequences in schema public to anon;
create function set_at() returns trigger language plpgsql as $$ begin if new.v = 'skip' then return null; end if; new.at := 'at ' || new.v; return new; end $$;
create trigger set_at before insert or update on logged for each row execute function set_at();

create procedure p_plain(x int) language plpgsql as $$ begin insert into test1 values (x); end $$;
create procedure p_nested(y int) language plpgsql as $$ begin call p_plain(y); call p_plain($1 + 1); end $$;
create procedure p_inout(inout a text) language plpgsql as $$ begin a := a || '+' || a; end $$;
create procedure p_two(a int, inout b int, inout c int) language plpgsql as $$ begin b := b * a; c := c * a; end $$;
create procedure p_default(inout a int, inout b int, inout c int default 11) language plpgsql as $$ begin a := a * 10; b := b + 10; c := c * -10; end $$;
create procedure p_out(a int, out b int) language plpgsql as $$ begin b := a * 2; end $$;
create procedure p_recursive(x int, inout a int, inout b numeric) language plpgsql as $$ begin if x > 1 then a := x / 10; b := x / 2; call p_recursive(b::int, a, b); end if; end $$;
create function c_plain() returns bigint language plpgsql as $$ begin call p_plain(5); call p_nested(6); return (select sum(a) from test1); end $$;
create function c_inout() returns text language plpgsql as $$ declare t text := 'x'; begin call p_inout(t); return t; end $$;
create function c_two() returns text language plpgsql as $$ declare x int := 3; y int := 4; begin call p_two(2, x, y); return x || ' ' || y; end $$;
create function c_loop() returns text language plpgsql as $$ declare x int := 3; y int := 4; s text := ''; begin for i in 1..5 loop call p_two(i, x, y); s := s || x || ',' || y || ';'; end loop; return s; end $$;
create function c_expression() returns text language plpgsql as $$ declare x int := 3; y int := 4; begin call p_two(2, x + 1, y); return x || ' ' || y; end $$;
create function c_named() returns text language plpgsql as $$ declare _a int := 10; _b int := 30; _c int := 50; begin call p_default(_a, c => _c, b => _b); call p_default(c => _c, b => _b, a => _a); return _a || ' ' || _b || ' ' || _c; end $$;
create function c_missing() returns text language plpgsql as $$ declare _a int := 10; _b int := 30; begin call p_default(_a, _b); return 'no'; end $$;
create function c_out() returns int language plpgsql as $$ declare r int; begin call p_out(21, r); return r; end $$;
create function c_field() returns text language plpgsql as $$ declare t test1; begin t.a := 7; call p_two(3, t.a, t.a); return t.a::text; end $$;
create function c_recursive() returns text language plpgsql as $$ declare a int := -1; b numeric := -1; begin call p_recursive(100, a, b); return a || ' ' || b; end $$;

create function f_default(a int, b int default 2, c text default 'c') returns text language plpgsql as $$ begin return a || ' ' || b || ' ' || c; end $$;
create function f_named() returns text language plpgsql as $$ begin return f_default(1) || '|' || f_default(1, 5) || '|' || f_default(a => 1, c => 'x') || '|' || f_default(1, c := 'y') || '|' || f_default(c => 'z', a => 9); end $$;
create function f_variadic(variadic xs int[]) returns text language plpgsql as $$ declare s int := 0; x int; begin foreach x in array xs loop s := s + x; end loop; return array_length(xs, 1) || ':' || s; end $$;
create function f_variadics() returns text language plpgsql as $$ begin return f_variadic(1, 2, 3) || ' ' || f_variadic(variadic array[4, 5]) || ' ' || f_variadic(7); end $$;
create function f_poly(a anyelement, b anyelement) returns anyelement language plpgsql as $$ begin if a > b then return a; end if; return b; end $$;
create function f_polys() returns text language plpgsql as $$ begin return f_poly(1, 2) || ' ' || f_poly('a'::text, 'b') || ' ' || f_poly(1.5, 2) || ' ' || f_poly('2020-01-01'::date, '2019-01-01'); end $$;
create function f_polyarray(x anyelement) returns anyarray language plpgsql as $$ begin return array[x, x]; end $$;
create function f_first(x anyarray) returns anyelement language plpgsql as $$ begin return x[1]; end $$;
create function f_polyarrays() returns text language plpgsql as $$ begin return f_polyarray(3)::text || f_polyarray('q'::text)::text || f_first(array[7, 8]) || f_first(array['x', 'y']); end $$;
create function f_overload(a int) returns text language plpgsql as $$ begin return 'int'; end $$;
create function f_overload(a text) returns text language plpgsql as $$ begin return 'text'; end $$;
create function f_overload(a int, b int) returns text language plpgsql as $$ begin return 'two'; end $$;
create function f_overloads() returns text language plpgsql as $$ begin return f_overload(1) || f_overload('x') || f_overload(1, 2) || f_overload('x'::text); end $$;
create function f_alias(int, text) returns text language plpgsql as $$ declare n alias for $1; t alias for $2; m alias for n; begin return m || t || n; end $$;
create function f_qualified(n int) returns text language plpgsql as $$ <<outer_block>> declare n int := 2; begin declare n int := 3; begin return f_qualified.n || ' ' || outer_block.n || ' ' || n; end; end $$;
create function f_nested_labels() returns int language plpgsql as $$
<<a>> declare x int := 1; begin <<b>> declare x int := 10; begin <<c>> declare x int := 100; begin a.x := a.x + b.x + x; b.x := 0; end; return a.x + b.x; end; end $$;
create function f_conflict_variable(v text) returns bigint language plpgsql as $$ #variable_conflict use_variable
begin return (select count(*) from logged where v = v); end $$;
create function f_conflict_column(v text) returns bigint language plpgsql as $$ #variable_conflict use_column
begin return (select count(*) from logged where v = v); end $$;
create function f_conflict_error(v text) returns bigint language plpgsql as $$ begin return (select count(*) from logged where v = v); end $$;
create function f_out_update(out id int, out v text) language plpgsql as $$ #variable_conflict use_column
begin id := 1; update logged set v = v || '.' where id = 1; v := 'done'; end $$;

create function q_insert(w text) returns setof logged language plpgsql as $$ begin return query insert into logged (v) values (w), ('skip'), (w || w) returning *; end $$;
create function q_update(w text) returns table (num int, word text) language plpgsql as $$ begin return query update logged set v = w where v like 'a%' returning id, at; if not found then return query select 0, 'none'; end if; end $$;
create function q_delete() returns setof int language plpgsql as $$ declare n int; begin return query delete from logged where id < 2 returning id; get diagnostics n = row_count; return next n * 100; end $$;
create function q_with() returns setof text language plpgsql as $$ begin return query with w as (select v from logged) select v from w order by v; end $$;
create function q_into() returns text language plpgsql as $$ declare r logged; begin insert into logged (v) values ('into') returning * into r; return r.v || r.at; end $$;
create function q_into_none() returns text language plpgsql as $$ declare r logged; begin insert into logged (v) values ('skip') returning * into r; return coalesce(r.v, 'none') || found; end $$;
create function q_into_strict() returns text language plpgsql as $$ declare r logged; begin update logged set v = 'q' where id = -1 returning * into strict r; return r.v; end $$;
create function q_into_many() returns text language plpgsql as $$ declare r logged; begin update logged set v = v || 'q' returning * into r; return r.v; end $$;
create function q_for() returns text language plpgsql as $$ declare r record; s text := ''; begin for r in insert into logged (v) values ('f1'), ('f2') returning v, at loop s := s || r.v || r.at; end loop; return s; end $$;
create function q_count() returns text language plpgsql as $$ declare n int; m int; begin update logged set at = at; get diagnostics n = row_count; delete from logged where v = 'nothing'; get diagnostics m := row_count; perform 1 from logged; return (n > 0) || ' ' || m || found; end $$;
create function q_perform() returns text language plpgsql as $$ begin perform q_into(); perform v from logged where id = -1; return found::text; end $$;
create function q_set_scalar() returns setof text language plpgsql as $$ declare r record; begin for r in select v from logged order by id limit 2 loop return next r.v; end loop; return next 'end'; return; return next 'never'; end $$;
create function q_type() returns setof logged language plpgsql as $$ begin return query select 1; end $$;
create function q_type2() returns setof int language plpgsql as $$ begin return query select 'x'::text; end $$;
create function q_assert(x int) returns int language plpgsql as $$ begin assert x > 0, format('x is %s', x); assert x < 10; assert null::boolean; return x; end $$;
create function q_immutable() returns int language plpgsql immutable as $$ begin insert into test1 values (1); return 1; end $$;

-- ask
anon c_plain
anon c_inout
anon c_two
anon c_loop
anon c_expression
anon c_named
anon c_missing
anon c_out
anon c_field
anon c_recursive
anon f_named
anon f_variadics
anon f_polys
# a body is compiled once, and knows of anyelement nothing but that
anon f_polyarrays
anon f_overloads
anon f_qualified {"n": 1}
anon f_nested_labels
anon q_insert {"w": "a"}
anon f_conflict_variable {"v": "zz"}
anon f_conflict_column {"v": "zz"}
anon f_conflict_error {"v": "zz"}
anon f_out_update
anon {"kind": "call", "function": "q_update", "args": {"w": "ab"}, "order": [{"column": "num"}]}
anon {"kind": "call", "function": "q_update", "args": {"w": "zz"}, "order": [{"column": "num"}]}
anon q_update {"w": "zz"}
anon q_delete
anon q_with
anon q_into
anon q_into_none
anon q_into_strict
anon q_into_many
anon q_for
anon q_count
anon q_perform
anon q_set_scalar
anon q_type
anon q_type2
anon q_assert {"x": 1}
anon q_assert {"x": 0}
anon q_assert {"x": 20}
anon q_immutable
anon {"from": "test1", "order": [{"column": "a"}]}
anon {"from": "logged", "order": [{"column": "id"}]}
