-- WITH whose parts write.
create table a (id int primary key, n numeric, t text default 'x');
create table b (id int, n numeric, t text);
create table log (id serial primary key, what text);
grant all on a, b, log to service_role;
grant usage on sequence log_id_seq to service_role;
insert into a (id, n) values (1, 1.50), (2, 2), (3, 3), (4, 4.0);

create function fired() returns trigger language plpgsql as $$ begin insert into log (what) values (tg_op || coalesce(new.id, old.id)); return coalesce(new, old); end $$;
create trigger fired after insert or delete on a for each row execute function fired();

create function moves(k int) returns int language plpgsql as $$ declare m int; begin
  with gone as (delete from a where id = k returning *) insert into b select * from gone;
  get diagnostics m = row_count;
  return m;
end $$;
create function names() returns text language plpgsql as $$ declare x text; begin
  with made (k, twice) as (insert into a (id, n) values (10, 5) returning id, n * 2), more as (select k, twice + 1 as up from made) select string_agg(k || ':' || up, ',') into x from more where up = 11.0;
  return x;
end $$;
create function before() returns text language plpgsql as $$ declare x text; begin
  with gone as (delete from a where id = 3 returning id) select (select count(*) from a) || ' ' || (select count(*) from gone) || ' ' || (select string_agg(id::text, ',' order by id) from a) into x;
  return x || ' ' || (select count(*) from a);
end $$;
create function upsert(k int) returns int language plpgsql as $$ declare x int; begin
  with ins as (insert into a (id, t) values (k, 'new') on conflict (id) do nothing returning id) select id into x from (select id from ins union all select id + 100 from a where id = k limit 1) q;
  return x;
end $$;
create function qualified() returns text language plpgsql as $$ declare x text; begin
  with up as (insert into public.a (id, t) values (2, 'up'), (45, 'up') on conflict (id) do update set t = excluded.t returning id, t)
    select string_agg(q.id || q.t, ',' order by q.id, q.t) into x from (select id, t from up union select a.id, a.t from public.a where a.id = 2) q;
  return x;
end $$;
create function loops() returns text language plpgsql as $$ declare r record; x text := ''; begin
  for r in with up as (update a set t = t || '!' where id > 1 returning id, t), n as (select count(*) as c from up) select up.id, up.t, n.c from up, n order by 1 loop x := x || r.id || r.t || r.c || ';'; end loop;
  return x;
end $$;
create function rows() returns table (id int, t text) language plpgsql as $$ begin
  return query with up as (insert into b (id, t) values (70, 'q'), (71, 'r') returning b.id, b.t) select up.id, up.t from up order by 1;
end $$;
create function undone() returns text language plpgsql as $$ declare x text; begin
  begin
    with gone as (delete from b returning id) insert into a (id) select 1 from gone;
  exception when unique_violation then return sqlstate || (select count(*) from b);
  end;
  return 'not';
end $$;
create function nested() returns int language plpgsql as $$ declare x int; begin
  with one as (insert into log (what) values ('one') returning id), two as (insert into log (what) select 'two ' || count(*) from one returning what), three as (insert into log (what) select what || ' three' from two) select count(*) into x from one, two;
  return x;
end $$;
create function wrong() returns int language plpgsql as $$ begin with gone as (delete from a) select * from gone; return 1; end $$;
create function wrong_column() returns int language plpgsql as $$ declare x int; begin with gone as (delete from a returning nothing) select count(*) into x from gone; return x; end $$;

-- ask
service_role moves {"k": 1}
service_role moves {"k": 99}
service_role names
service_role before
service_role upsert {"k": 2}
service_role upsert {"k": 44}
service_role qualified
service_role loops
service_role rows
service_role undone
service_role nested
service_role wrong_column
service_role {"kind": "select", "from": "log", "order": [{"column": "id"}]}
service_role {"kind": "select", "from": "a", "order": [{"column": "id"}]}
service_role {"kind": "select", "from": "b", "order": [{"column": "id"}]}
