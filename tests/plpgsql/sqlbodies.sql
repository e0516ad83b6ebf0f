-- Functions of language sql that do more than one select, called within queries and by PL/pgSQL.
create table log (id serial primary key, what text, n int);
grant all on log to service_role;
grant usage on sequence log_id_seq to service_role;
create table counter (id int primary key, n int not null default 0);
grant all on counter to service_role;
insert into counter values (1, 0);
create function note(x text) returns void language sql as $$ insert into log (what) values (x) $$;
create function noted(x text) returns int language sql as $$ insert into log (what) values (x); select count(*)::int from log; $$;
create function made(x text, n int) returns log language sql as $$ insert into log (what, n) values (x, n) returning * $$;
create function next_one() returns int language sql as $$ update counter set n = n + 1 where id = 1 returning n $$;
create function all_of() returns setof log language sql as $$ update log set n = coalesce(n, 0) + 1; select * from log order by id; $$;
create function strictly(x text) returns int language sql strict as $$ insert into log (what) values ('strict ' || x) returning id $$;
create function defined(x text) returns int language sql security definer set search_path = public as $$ insert into log (what) values (x || ' as ' || current_user); select 1 $$;
create function outs(x text, out a int, out b text) language sql as $$ insert into log (what, n) values (x, 3) returning n, what $$;
create function uses() returns text language plpgsql as $$ declare a int; b int; r record; begin
  perform note('one');
  a := noted('two');
  select noted('three') + next_one() into b;
  perform noted('x' || i) from generate_series(1, 2) i;
  perform defined('me');
  select * into r from made('four', 4);
  return a || ' ' || b || ' ' || r.n || ' ' || next_one();
end $$;
create table cold (id int primary key, n int);
grant all on cold to service_role;
create function first_time(k int) returns int language sql as $$ insert into cold values (k, k * 2); select n from cold where id = k $$;
create function colds() returns bigint language plpgsql as $$ begin return (select sum(first_time(i)) from generate_series(1, 5) i); end $$;
create function undoes() returns int language plpgsql as $$ begin
  begin perform note('gone'); perform next_one(); raise exception 'x'; exception when raise_exception then perform note('kept'); end;
  return (select n from counter);
end $$;
create function rows_of() returns text language sql as $$ select string_agg(what || coalesce(n, -1), ',' order by id) from all_of() $$;
create function turns(k int) returns int language sql as $$ insert into log (what) values ('turn ' || k); select case when k > 1 then turns(k - 1) else 0 end $$;
create function frames(back int) returns text language plpgsql stable as $$ declare x text; begin
  select string_agg(round(s::numeric, 3)::text, ' ' order by g) into x from (select g, stddev(g::float8) over (order by g range between back preceding and 1 following) as s from generate_series(1, 6) g) q;
  return x || ' ' || (select string_agg(g::text, ',' order by g) from (select g from generate_series(1, 9) g order by g / 3 desc fetch first 2 rows with ties) q);
end $$;
create function leans() returns text language sql stable as $$ select round(corr(y, x)::numeric, 6) || ' ' || round(regr_slope(y, x)::numeric, 6) || ' ' || (percentile_disc(array[0.1, 0.9]) within group (order by x))::text from (values (1.0, 2.0), (2, 3), (4, 9)) v (x, y) $$;

create function parts_of(n int) returns text language plpgsql stable as $$ begin return (select string_agg(t::text, ',') from (select ntile(n) over (order by g) as t from generate_series(1, 5) g) q); end $$;
create function nths(n int) returns text language plpgsql stable as $$ begin return (select string_agg(t::text, ',') from (select nth_value(g, n) over (order by g) as t from generate_series(1, 5) g) q); end $$;
create function computed(n int) returns text language plpgsql stable as $$ begin return (select string_agg(t::text, ',') from (select sum(g) over (order by g rows n + 1 preceding) as t from generate_series(1, 5) g) q); end $$;

create function recs(k int) returns setof record language sql stable as $$ select g, g::text from generate_series(1, k) g $$;
create function rec(k int) returns record language sql immutable as $$ select k, k * 1.5 $$;
create function of_recs(k int) returns text language plpgsql stable as $$ begin return (select string_agg(a || b || '-' || c, ',' order by a) from recs(k) as t (a int, b text), rec(k) as u (c int, d numeric)); end $$;
create function lateral_recs() returns text language sql stable as $$ select string_agg(x || ':' || r.b, ' ' order by x, r.a) from (values (1), (2)) v (x), recs(v.x) as r (a bigint, b text) $$;
create function recs_bare() returns bigint language plpgsql as $$ begin return (select count(*) from recs(1)); end $$;
create function recs_few() returns bigint language plpgsql as $$ begin return (select count(*) from recs(1) as t (a int)); end $$;
create function recs_other() returns bigint language plpgsql as $$ begin return (select count(*) from recs(1) as t (a int, b uuid)); end $$;
create function recs_none() returns bigint language plpgsql as $$ begin return (select count(*) from lateral_recs() as t (a text)); end $$;

-- ask
service_role colds
service_role uses
service_role undoes
service_role rows_of
service_role strictly {"x": null}
service_role strictly {"x": "a"}
service_role outs {"x": "o"}
service_role {"kind": "select", "from": "log", "order": [{"column": "id"}]}
service_role {"kind": "select", "from": "counter"}
service_role frames {"back": 2}
service_role frames {"back": 0}
service_role leans
# RANGE says it in other words
service_role frames {"back": -1}
service_role parts_of {"n": 2}
service_role parts_of {"n": 0}
service_role nths {"n": 2}
service_role nths {"n": 0}
# an offset is a constant or a variable
service_role computed {"n": 1}
service_role of_recs {"k": 3}
service_role lateral_recs
service_role recs_bare
service_role recs_few
service_role recs_other
service_role recs_none
