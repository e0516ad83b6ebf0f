create table t (id int primary key, n int default 0, up int references t on delete cascade on update cascade);
create table big (id int primary key, v text);
create view v as select id, n from t;
create function again() returns trigger language plpgsql as $$ begin update t set n = n + 1 where id = new.id; return new; end $$;
create trigger again after update of n on t for each row execute function again();
create function del() returns trigger language plpgsql as $$ begin return old; end $$;
create trigger del after delete on t for each row execute function del();
create function viewed() returns trigger language plpgsql as $$ begin insert into v (id) values (new.id + 1); return new; end $$;
create trigger viewed instead of insert on v for each row execute function viewed();
create function tr() returns trigger language plpgsql as $$ begin if (select min(id) from added) < 100000 then insert into big select id + 100000, v from added where id < 100000 order by id limit 1; end if; perform count(*) from added a, added b where a.id = b.id and a.id < 10; return null; end $$;
create trigger tr after insert on big referencing new table as added for each statement execute function tr();
grant all on t, big, v to anon;
create function a_update() returns int language plpgsql as $$ begin insert into t (id) values (1); update t set n = 1 where id = 1; return 1; end $$;
create function a_view() returns int language plpgsql as $$ begin insert into v (id) values (1); return 1; end $$;
create function a_view_caught() returns text language plpgsql as $$ begin insert into v (id) values (1); return 'no'; exception when others then return 'caught ' || sqlstate; end $$;
create function a_chain(n int) returns bigint language plpgsql as $$
begin
  insert into t (id, up) select i, nullif(i - 1, 0) from generate_series(1, n) i;
  delete from t where id = 1;
  return (select count(*) from t);
end $$;
create function a_moved(n int) returns bigint language plpgsql as $$
begin
  insert into t (id, up) select i, nullif(i - 1, 0) from generate_series(1, n) i;
  update t set id = -1 where id = 1;
  return (select count(*) from t where up = -1);
end $$;
create function a_json() returns int language plpgsql as $$ declare j jsonb := '[]'; begin j[499998] := '1'; j[499999] := '2'; return jsonb_array_length(j); end $$;
create function a_json_far() returns text language plpgsql as $$ declare j jsonb := '[]'; begin j[2000000000] := '1'; return 'no'; exception when others then return sqlstate; end $$;
create function a_array_far() returns text language plpgsql as $$ declare a int[] := '{1}'; begin a[2000000000] := 1; return 'no'; exception when others then return sqlstate; end $$;
create function a_array_low() returns text language plpgsql as $$ declare a int[] := '{1}'; begin a[-2147483648] := 1; return 'no'; exception when others then return sqlstate; end $$;
create function a_array_slice() returns text language plpgsql as $$ declare a int[] := '{1}'; begin a[1:2147483647] := array[1]; return 'no'; exception when others then return sqlstate; end $$;
create function a_array_slice2() returns text language plpgsql as $$ declare a int[] := '{1}'; begin a[-2147483648:2147483647] := array[1]; return 'no'; exception when others then return sqlstate; end $$;
create function a_array_slice3() returns text language plpgsql as $$ declare a int[] := array[[1,2],[3,4]]; begin a[1:2][2:1] := array[1]; return a::text; exception when others then return sqlstate; end $$;
create function a_array_slice4() returns text language plpgsql as $$ declare a int[]; begin a[1:0] := array[1]; return a::text; exception when others then return sqlstate; end $$;
create function a_array_many() returns text language plpgsql as $$ declare a int[]; begin a[1][1][1][1][1][1][1] := 1; return a::text; exception when others then return sqlstate; end $$;
create function a_slice_zero() returns text language plpgsql as $$ declare x int[]; begin foreach x slice 1 in array '{}'::int[] loop return 'no'; end loop; return 'none'; exception when others then return sqlstate; end $$;
create function a_perform() returns text language plpgsql as $$ begin perform; return 'ok'; end $$;
create function a_wide(n int) returns bigint language plpgsql as $$ begin insert into big select i, 'v' from generate_series(1, n) i; return (select count(*) from big); end $$;

-- ask
anon a_update
anon a_view
# what ran out of stack is caught by nobody
anon a_view_caught
anon a_chain {"n": 50}
# keys lead to rows of their own table a thousand times at most
anon a_chain {"n": 3000}
anon a_moved {"n": 40}
anon a_json
# too large is 54000
anon a_json_far
anon a_array_far
# lower bounds are 1
anon a_array_low
anon a_array_slice
# lower bounds are 1
anon a_array_slice2
anon a_array_slice3
anon a_array_slice4
anon a_array_many
anon a_slice_zero
anon a_perform
anon a_wide {"n": 20000}
