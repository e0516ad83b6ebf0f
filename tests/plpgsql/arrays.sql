create type complex as (r float8, i float8);
create table onecol (f1 int[]);
insert into onecol values (array[1, 2]);
create table shelf (id int primary key, tags text[] default '{}', nums int[]);
grant all on onecol, shelf to anon;

create function a_append() returns int[] language plpgsql as $$ declare a int[]; begin a := array[1, 2]; a[3] := 4; return a; end $$;
create function a_from_nothing() returns int[] language plpgsql as $$ declare a int[]; begin a[1] := 4; a[2] := 5; return a; end $$;
create function a_gap() returns text language plpgsql as $$ declare a int[] := '{1}'; begin a[4] := 9; return array_to_string(a, ',', 'null'); end $$;
create function a_lax() returns int[] language plpgsql as $$ declare a int[]; begin a[1] := 23::text; return a; end $$;
create function a_bad() returns int[] language plpgsql as $$ declare a int[]; begin a[1] := 'x'::text; return a; end $$;
create function a_null_index() returns int[] language plpgsql as $$ declare a int[] := '{1}'; begin a[null] := 1; return a; end $$;
create function a_slice() returns int[] language plpgsql as $$ declare a int[]; begin a := array[1, 2]; a[2:3] := array[3, 4]; return a; end $$;
create function a_slice_new() returns int[] language plpgsql as $$ declare a int[]; begin a[1:2] := array[3, 4]; return a; end $$;
create function a_slice_short() returns int[] language plpgsql as $$ declare a int[] := '{1,2,3}'; begin a[1:3] := array[3, 4]; return a; end $$;
create function a_slice_open() returns int[] language plpgsql as $$ declare a int[] := '{1,2,3}'; begin a[:2] := array[8, 9]; a[3:] := array[7]; return a; end $$;
create function a_slice_scalar() returns int[] language plpgsql as $$ declare a int[]; begin a[1:2] := 4; return a; end $$;
create function a_self() returns int[] language plpgsql as $$ declare a int[] := array[1, 2]; begin a[2] := a[2] + 1; return a; end $$;
create function a_two() returns int[] language plpgsql as $$ declare a int[] := array[[1, 2], [3, 4]]; begin a[2][1] := 9; return a; end $$;
create function a_wrong_dims() returns int[] language plpgsql as $$ declare a int[] := array[[1, 2], [3, 4]]; begin a[2] := 9; return a; end $$;
create function a_agg() returns int[] language plpgsql as $$ declare a int[]; begin a := array_agg(x) from (values (1), (2), (3)) v(x); return a; end $$;
create function a_from_table() returns int[] language plpgsql as $$ declare a int[]; begin a := f1 from onecol; return a; end $$;
create function a_two_columns() returns int[] language plpgsql as $$ declare a int[]; begin a := f1, f1 from onecol; return a; end $$;
create function a_many_rows() returns int[] language plpgsql as $$ declare a int[]; begin a := x from (values (array[1]), (array[2])) v(x); return a; end $$;
create function a_not_array() returns real language plpgsql as $$ declare a real; begin a[1] := 2; return a; end $$;
create function a_text() returns text[] language plpgsql as $$ declare a text[] := '{}'; begin for i in 1..3 loop a[i] := 'n' || i; end loop; a[2] := null; a[3] := 'q"uo,te'; return a; end $$;
create function a_loop_index() returns int[] language plpgsql as $$ declare a int[] := '{}'; n int := 0; begin for i in reverse 5..1 loop n := n + 1; a[n] := i * i; end loop; return a; end $$;
create function a_jsonb() returns jsonb[] language plpgsql as $$ declare a jsonb[] := '{}'; begin a[1] := '{"a": 1}'; a[2] := to_jsonb('x'::text); return a; end $$;
create function a_bool() returns boolean[] language plpgsql as $$ declare a boolean[]; begin a := array_fill(true, array[3]); a[2] := false; return a; end $$;
create function sieve(n int) returns int[] language plpgsql as $$
declare isp boolean[]; p int[] := '{}'; i int; j int;
begin
  isp := array_fill(true, array[n]);
  for i in 2..n loop
    if isp[i] then
      p := p || i;
      j := i * i;
      while j <= n loop isp[j] := false; j := j + i; end loop;
    end if;
  end loop;
  return p;
end $$;
create function a_record() returns text language plpgsql as $$ declare r record; begin select 1 as n, array[1, 2] as a into r; r.a[2] := 7; r.a[3] := 8; return r.n || ':' || r.a::text; end $$;
create function a_row() returns text language plpgsql as $$ declare s shelf; begin s.tags[1] := 'x'; s.nums[1] := 1; s.nums[2] := 2; return s.tags::text || s.nums::text; end $$;
create function a_constant() returns int[] language plpgsql as $$ declare x constant int[] := '{1}'; begin return x; end $$;
create function a_jsub() returns jsonb language plpgsql as $$ declare j jsonb := '{"a": {"b": 1}}'; begin j['a']['b'] := '2'; j['c'] := '"new"'; return j; end $$;
create function a_jsub_read() returns jsonb language plpgsql as $$ declare j jsonb := '{"a": [1, {"b": 2}]}'; begin return j['a'][1]['b']; end $$;
create function each1() returns text language plpgsql as $$ declare x int; s text := ''; begin foreach x in array array[1, 2, 3] loop s := s || x || ';'; end loop; return s; end $$;
create function each_slice(n int) returns text language plpgsql as $$
declare x int[]; s text := '';
begin
  foreach x slice 1 in array array[[1, 2], [3, 4], [5, 6]] loop s := s || x::text || ';' || array_length(x, 1); end loop;
  return s;
end $$;
create function each_slice2() returns text language plpgsql as $$
declare x int[]; s text := ''; begin foreach x slice 2 in array array[[1, 2], [3, 4]] loop s := s || x::text || ';'; end loop; return s; end $$;
create function each_flat() returns text language plpgsql as $$ declare x int; s text := ''; begin foreach x in array array[[1, 2], [3, 4]] loop s := s || x || ';'; end loop; return s; end $$;
create function each_slice_far() returns text language plpgsql as $$
declare x int[]; begin foreach x slice 3 in array array[1, 2] loop return x::text; end loop; return 'none'; end $$;
create function each_slice_scalar() returns text language plpgsql as $$
declare x int; begin foreach x slice 1 in array array[1, 2] loop return x::text; end loop; return 'none'; end $$;
create function each_not_array() returns text language plpgsql as $$
declare x int; begin foreach x in array 5 loop return x::text; end loop; return 'none'; end $$;
create function each_found() returns text language plpgsql as $$
declare x int; begin foreach x in array '{}'::int[] loop null; end loop; if found then return 'found'; end if; foreach x in array '{1}'::int[] loop null; end loop; return found::text; end $$;
create function a_updates() returns text[] language plpgsql as $$
begin
  insert into shelf (id, tags, nums) values (1, '{a,b}', '{1,2,3}');
  update shelf set tags[2] = 'z', nums[4] = 4 where id = 1;
  return (select tags || nums::text[] from shelf where id = 1);
end $$;
create function new_tag() returns trigger language plpgsql as $$ begin new.tags[1] := upper(new.tags[1]); new.nums[2] = coalesce(new.nums[2], 0) + 1; return new; end $$;
create trigger new_tag before insert or update on shelf for each row execute function new_tag();
create function a_trigger() returns text language plpgsql as $$ declare s text; begin insert into shelf values (7, '{low,b}', '{1}') returning tags::text || nums::text into s; return s; end $$;
create function a_big() returns int language plpgsql as $$ declare a int[] := '{}'; begin a[3000000000] := 1; return 1; exception when numeric_value_out_of_range then return 2; end $$;
create function a_grow(n int) returns bigint language plpgsql as $$ declare a int[] := '{}'; s bigint := 0; x int; begin for i in 1..n loop a[i] := i; end loop; foreach x in array a loop s := s + x; end loop; return s; end $$;
create type level as enum ('low', 'high');
create function a_enum() returns level[] language plpgsql as $$ declare a level[]; begin a[1] := 'high'; a[2] := 'low'; return a; end $$;
create function a_length_type() returns text[] language plpgsql as $$ declare a varchar(3)[]; begin a[1] := 'abc'; a[2] := 'toolong'; return a; end $$;
create function a_of_type() returns text language plpgsql as $$ declare s shelf.tags%type; begin s[1] := 'x'; s := s || 'y'::text; return s::text; end $$;

-- ask
anon a_append
anon a_from_nothing
anon a_gap
anon a_lax
anon a_bad
anon a_null_index
anon a_slice
anon a_slice_new
anon a_slice_short
anon a_slice_open
anon a_slice_scalar
anon a_self
anon a_two
anon a_wrong_dims
anon a_agg
anon a_from_table
anon a_two_columns
anon a_many_rows
anon a_text
anon a_loop_index
anon a_jsonb
anon a_bool
anon sieve {"n": 60}
anon a_record
anon a_row
anon a_constant
anon a_jsub
anon a_jsub_read
anon each1
anon each_slice {"n": 1}
anon each_slice2
anon each_flat
anon each_slice_far
anon each_slice_scalar
anon each_not_array
anon each_found
anon a_updates
anon a_trigger
anon a_big
anon a_grow {"n": 2000}
anon a_enum
anon a_length_type
anon a_of_type
