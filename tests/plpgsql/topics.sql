-- What PostgreSQL's own tests of PL/pgSQL and of triggers are about (plpgsql.sql, triggers.sql), in words of our own: run.py --table says what of it is equal.
create table acc (id int primary key, name text not null, n int);
insert into acc values (1, 'a', 10), (2, 'b', 20), (3, 'c', null);
create table audit (id int generated always as identity primary key, what text);
grant all on acc, audit to anon;
create function strict_params() returns text language plpgsql as $$
#print_strict_params on
declare x acc%rowtype; p1 int := 2; p3 text := 'none'; d text; m text; begin
  select * into strict x from acc where id = p1 + 5 and name <> p3; return 'not';
  exception when no_data_found then get stacked diagnostics m = message_text, d = pg_exception_detail; return m || '|' || d; end $$;
create function strict_many() returns text language plpgsql as $$ declare x acc%rowtype; h text; m text; begin
  select * into strict x from acc where id > 1; return 'not';
  exception when too_many_rows then get stacked diagnostics m = message_text, h = pg_exception_hint; return m || '|' || h; end $$;
create function strict_writes() returns text language plpgsql as $$ declare x int; begin
  begin update acc set n = 1 where id = 99 returning id into strict x; exception when no_data_found then x := -1; end;
  begin delete from acc where id > 1 returning id into strict x; exception when too_many_rows then x := x - 1; end;
  insert into acc values (9, 'nine', 9) returning id into strict x; delete from acc where id = 9; return x; end $$;
create function shadow(a int) returns int language plpgsql as $$ declare b int := a; begin declare a int := b + 1; b int := 7; begin b := b + a + shadow.a; return b; end; end $$;
create function conflict_error(id int) returns text language plpgsql as $$ declare r text; begin select name into r from acc where acc.id = id; return r; end $$;
create function conflict_column(id int) returns text language plpgsql as $$
#variable_conflict use_column
declare r text; begin select string_agg(name, ',' order by name) into r from acc where acc.id = id; return r; end $$;
create function conflict_variable(id int) returns text language plpgsql as $$
#variable_conflict use_variable
declare r text; begin select name into r from acc where acc.id = id; return r; end $$;
create function outer_label() returns text language plpgsql as $$ <<o>> declare v int := 1; begin declare v int := 2; begin o.v := o.v + v; return o.v || '/' || v || '/' || outer_label.o_is(); exception when undefined_function or invalid_schema_name or undefined_table then return o.v || '-' || v; end; end $$;
create function loops() returns text language plpgsql as $$ declare s text := ''; i int; begin
  <<first>> for i in 1..3 loop for j in reverse 3..1 loop continue first when j = 2 and i = 2; exit when j < i; s := s || i || j || ' '; end loop; end loop;
  <<w>> while true loop s := s || '.'; exit w when length(s) > 30; end loop;
  <<blk>> begin s := s || '<'; exit blk; s := s || 'never'; end; for i in 5..4 loop s := 'no'; end loop; return s || '>' || found; end $$;
create function bounds() returns text language plpgsql as $$ declare s text := ''; begin for i in 1..10 by 3 loop s := s || i || ' '; end loop; for i in reverse 10..1 by 4 loop s := s || i || ' '; end loop; for i in 2147483645..2147483647 loop s := s || '!'; end loop; return s; end $$;
create function bad_by() returns text language plpgsql as $$ begin for i in 1..3 by -1 loop null; end loop; return ''; end $$;
create function null_bound() returns text language plpgsql as $$ begin for i in 1..null loop null; end loop; return ''; end $$;
create function nested_errors() returns text language plpgsql as $$ declare s text := ''; begin
  begin begin perform 1 / 0; exception when division_by_zero then s := s || 'd'; raise exception 'second' using errcode = 'P1234'; end;
  exception when sqlstate 'P1234' then s := s || sqlstate || sqlerrm; begin raise; exception when others then s := s || '[' || sqlerrm || ']'; end; end;
  begin raise unique_violation using message = 'own', detail = 'more', hint = 'do', column = 'c', constraint = 'k', datatype = 't', table = 'tb', schema = 'sc'; exception when unique_violation then
    declare a text; b text; c text; d text; begin get stacked diagnostics a = column_name, b = constraint_name, c = pg_datatype_name, d = table_name; s := s || a || b || c || d; end; end;
  return s; end $$;
create function reraise() returns text language plpgsql as $$ begin begin raise exception 'first %', 1 using hint = 'h'; exception when others then raise; end; exception when raise_exception then return 'got ' || sqlerrm; end $$;
create function raise_forms(k int) returns text language plpgsql as $$ begin
  if k = 1 then raise 'just %%, % and %', 1, 'two'; elsif k = 2 then raise division_by_zero; elsif k = 3 then raise sqlstate '22012'; elsif k = 4 then raise exception using message = 'from ' || k, errcode = 'unique_violation';
  elsif k = 5 then raise notice 'n'; return 'noticed'; elsif k = 8 then raise using errcode = '1234F'; else raise exception 'null %', null::text; end if; return 'x'; end $$;
create function cursors() returns text language plpgsql as $$ declare c cursor (lo int, hi int) for select id, name from acc where id between lo and hi order by id; r record; s text := ''; k int; begin
  open c(hi := 3, lo := 2); fetch c into r; s := s || r.id; fetch next from c into r; s := s || r.name; fetch c into r; s := s || coalesce(r.id::text, 'null') || found; close c;
  for r in c(1, 2) loop s := s || r.name; end loop; open c(1, 3); move forward 2 from c; fetch c into k, s; close c; return s || k; end $$;
create function scrolls() returns text language plpgsql as $$ declare c scroll cursor for select id from acc order by id; i int; s text := ''; begin
  open c; fetch last from c into i; s := s || i; fetch prior from c into i; s := s || i; fetch first from c into i; s := s || i; fetch absolute 3 from c into i; s := s || i; fetch relative -2 from c into i; s := s || i; fetch absolute -1 from c into i; s := s || i; move backward all from c; fetch c into i; close c; return s || i; end $$;
create function ref_loop() returns text language plpgsql as $$ declare c refcursor; r acc%rowtype; s text := ''; begin open c for execute 'select * from acc where id <> $1 order by id desc' using 2; loop fetch c into r; exit when not found; s := s || r.name; end loop; close c; return s; end $$;
create function set_of() returns setof acc language plpgsql as $$ declare r acc; begin for r in select * from acc order by id loop r.n := coalesce(r.n, 0) + 1; return next r; end loop; return query select id + 100, name, n from acc where id = 1; return; end $$;
create function table_of(k int) returns table (id int, double int) language plpgsql as $$ begin for id in 1..k loop double := id * 2; return next; end loop; return query execute 'select $1, $2' using 50, 60; end $$;
create function outs(in a int, out b int, inout c text, out d record) language plpgsql as $$ begin b := a * 2; c := c || '!'; d := row(1, 'x'); end $$;
create function variadics(variadic v int[]) returns text language plpgsql as $$ declare s int := 0; x int; begin foreach x in array v loop s := s + x; end loop; return s || ' of ' || array_length(v, 1); end $$;
create function calls_variadics() returns text language plpgsql as $$ begin return variadics(1, 2, 3) || variadics(variadic array[4, 5]); end $$;
create function cases(x int) returns text language plpgsql as $$ begin case x when 1, 2 then return 'low'; when 3 then return 'three'; else null; end case; case when x > 10 then return 'big'; when x > 5 then return 'mid'; end case; end $$;
create function asserts(x int) returns text language plpgsql as $$ begin assert x > 0, 'x is ' || x; assert x < 100; return 'ok'; exception when assert_failure then return 'caught ' || sqlerrm; when others then return 'others'; end $$;
create function diagnostics() returns text language plpgsql as $$ declare n int; m bigint; begin update acc set n = n; get diagnostics n = row_count; perform 1 from acc where id > 1; get current diagnostics m = row_count; return n || '/' || m || found; end $$;
create function dynamic() returns text language plpgsql as $$ declare s text := ''; n int; r record; begin
  execute 'select count(*) from acc' into n; s := s || n; execute 'update acc set n = n where id = $1' using 1; get diagnostics n = row_count; s := s || n; execute 'select 1 where false' into n; s := s || coalesce(n::text, 'null');
  begin execute 'select 1 where false' into strict n; exception when no_data_found then s := s || 'none'; end; begin execute null; exception when null_value_not_allowed then s := s || 'nil'; end;
  for r in execute 'select name as q from acc order by 1' loop s := s || r.q; end loop; return s; end $$;
create function quoting() returns text language plpgsql as $q$ begin return format('%s|%I|%L|%%|%2$s', 'a', 'B c', null) || quote_ident('X') || quote_literal(E'a\'b\\') || quote_nullable(null); end $q$;
create function arrays() returns text language plpgsql as $$ declare a int[]; b text[][] := '{{a,b},{c,d}}'; s text := ''; x text; y text[]; begin a[3] := 5; a := a || 7; s := a::text; foreach x in array b loop s := s || x; end loop; foreach y slice 1 in array b loop s := s || y::text; end loop; b[1][2] := 'Z'; return s || b::text || coalesce(array_length(a, 1), 0); end $$;
create function recurses(n int) returns numeric language plpgsql as $$ begin if n <= 1 then return 1; end if; return n * recurses(n - 1); end $$;
create function mutual_a(n int) returns text language plpgsql as $$ begin if n = 0 then return '.'; end if; return 'a' || mutual_b(n - 1); end $$;
create function mutual_b(n int) returns text language plpgsql as $$ begin if n = 0 then return '!'; end if; return 'b' || mutual_a(n - 1); end $$;
create function no_return(x int) returns int language plpgsql as $$ begin if x > 0 then return 1; end if; end $$;
create function constants() returns text language plpgsql as $$ declare a constant int := 5; b int not null := 1; c alias for b; begin c := a + b; b := null; return c; exception when null_value_not_allowed then return 'kept ' || c; end $$;
create function typed() returns text language plpgsql as $$ declare a acc.n%type := '12'; b acc%rowtype; c numeric(5, 2) := 3.14159; d varchar(3); e boolean := 'yes'; begin b.n := 1.6; b.name := a; d := 'abc'; return a || '/' || b.n || '/' || c || '/' || d || e || b.name; end $$;
create function too_long() returns text language plpgsql as $$ declare d varchar(3); begin d := 'abcd'; return d; end $$;
create function bad_cast() returns text language plpgsql as $$ declare d int; begin d := 'x' || 1; return d; end $$;
create function rows_null() returns text language plpgsql as $$ declare r acc; q record; begin select * into r from acc where id = 99; select null::int as a, null::text as b into q; return (r is null)::text || (q is null) || (r.id is null) || (q is not null); end $$;
create function compare_rows() returns text language plpgsql as $$ declare a acc; b acc; begin select * into a from acc where id = 1; b := a; b.n := 11; return ((a.id, a.name) = (b.id, b.name))::text || (row(a.n) < row(b.n)) || (a.n is distinct from b.n); end $$;
create function perform_into() returns text language plpgsql as $$ begin perform name from acc where id = 1; if found then perform 1 from acc where false; return 'was ' || found; end if; return 'no'; end $$;
create function subtransactions() returns text language plpgsql as $$ declare k int; begin
  insert into audit (what) values ('kept'); begin insert into audit (what) values ('gone'); insert into acc values (1, 'again', 1); exception when unique_violation then insert into audit (what) values ('caught'); end;
  for i in 1..3 loop begin insert into audit (what) values ('loop ' || i); if i = 2 then raise exception 'x'; end if; exception when raise_exception then null; end; end loop;
  return (select string_agg(what, ',' order by id) from audit); end $$;
create function trg() returns trigger language plpgsql as $$ begin
  if tg_op = 'DELETE' then insert into audit (what) values (tg_name || ' ' || tg_when || ' ' || tg_level || ' ' || tg_op || ' ' || tg_table_name || ' ' || tg_nargs || coalesce(tg_argv[0], '-') || ' ' || old.id); return old; end if;
  if new.name = 'skip' then return null; end if; new.name := upper(new.name) || coalesce(tg_argv[1], ''); insert into audit (what) values (tg_op || new.id); return new; end $$;
create table trg (id int primary key, name text, n int default 5);
grant all on trg to anon;
create trigger a before insert or update or delete on trg for each row execute function trg('one', 'two');
create trigger z after delete on trg for each row when (old.n > 5) execute function trg();
create function triggers() returns text language plpgsql as $$ begin delete from audit; insert into trg values (1, 'x'), (2, 'skip'), (3, 'y', 9); update trg set name = 'skip' where id = 1; update trg set id = 4 where id = 3; delete from trg where id in (1, 4);
  return (select string_agg(what, ',' order by id) from audit) || (select count(*) from trg); end $$;
create function upd_of() returns trigger language plpgsql as $$ begin insert into audit (what) values ('of ' || old.n || new.n); return null; end $$;
create table ofs (id int primary key, n int, m int);
grant all on ofs to anon;
create trigger c after update of n on ofs for each row execute function upd_of();
create trigger d after update on ofs for each row when (old.* is distinct from new.*) execute function upd_of();
create function update_ofs() returns text language plpgsql as $$ begin delete from audit; insert into ofs values (1, 1, 1); update ofs set m = 2; update ofs set n = n; update ofs set n = 3; return (select string_agg(what, ',' order by id) from audit); end $$;
create function returns_void() returns void language plpgsql as $$ begin return; end $$;
create function any_of(x anyelement) returns text language plpgsql as $$ begin return x::text || pg_typeof(x); end $$;
create function calls_any() returns text language plpgsql as $$ begin return any_of(1) || any_of('t'::text) || any_of(1.5); end $$;
create function context() returns text language plpgsql as $$ declare s text; begin perform 1 / 0; return 'no'; exception when others then get stacked diagnostics s = returned_sqlstate; return s; end $$;
create function savepoints() returns text language plpgsql as $$ begin commit; return 'no'; end $$;
create function deep_blocks() returns int language plpgsql as $$ declare a int := 1; begin declare b int := a + 1; begin declare c int := b + 1; begin a := a + b + c; end; end; return a; end $$;
create function merge_like(k int, v int) returns text language plpgsql as $$ begin loop update trg set n = v where id = k; if found then return 'updated'; end if; begin insert into trg (id, name, n) values (k, 'm', v); return 'inserted'; exception when unique_violation then null; end; end loop; end $$;
-- ask
# what a STRICT query was asked with is not told
anon strict_params
anon strict_many
anon strict_writes
anon shadow {"a": 4}
anon conflict_error {"id": 1}
anon conflict_column {"id": 1}
anon conflict_variable {"id": 2}
anon outer_label
anon loops
anon bounds
anon bad_by
anon null_bound
# the type that RAISE names is not kept
anon nested_errors
anon reraise
anon raise_forms {"k": 1}
anon raise_forms {"k": 2}
anon raise_forms {"k": 3}
anon raise_forms {"k": 4}
anon raise_forms {"k": 5}
anon raise_forms {"k": 8}
anon raise_forms {"k": 9}
anon cursors
anon scrolls
anon ref_loop
anon set_of
anon table_of {"k": 3}
anon calls_variadics
anon cases {"x": 2}
anon cases {"x": 7}
anon cases {"x": 4}
anon asserts {"x": -1}
anon asserts {"x": 500}
anon asserts {"x": 5}
anon diagnostics
anon dynamic
anon quoting
# lower bounds are 1
anon arrays
anon recurses {"n": 20}
anon mutual_a {"n": 5}
anon no_return {"x": 1}
anon no_return {"x": 0}
anon constants
anon typed
anon too_long
anon bad_cast
anon rows_null
anon compare_rows
anon perform_into
anon subtransactions
anon triggers
anon update_ofs
anon returns_void
# a body is compiled once, and knows of anyelement nothing but that
anon calls_any
anon context
anon savepoints
anon deep_blocks
anon merge_like {"k": 70, "v": 1}
anon merge_like {"k": 70, "v": 2}
