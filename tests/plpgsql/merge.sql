-- MERGE: what is done with which row, triggers, policies, and what it refuses.
create table stock (id int primary key, n int not null default 1, note text default 'new', at date generated always as (null::date) stored);
create table moves (item int, delta int, what text);
create table pairs (a int, b text, n int, primary key (a, b));
create table kept (id int unique not null, owner uuid, t text);
create table log (id serial primary key, what text);
create view seen as select * from stock;
insert into stock (id, n) values (1, 10), (2, 5), (3, 0), (4, 7);
insert into moves values (1, 5, 'in'), (2, -5, 'out'), (5, 3, 'in'), (6, null, 'odd');
insert into pairs values (1, 'a', 1), (1, 'b', 2);
insert into kept values (1, '00000000-0000-0000-0000-000000000001', 'mine'), (2, '00000000-0000-0000-0000-000000000002', 'his');
grant all on stock, moves, pairs, kept, log, seen to service_role, authenticated;
grant usage on sequence log_id_seq to service_role, authenticated;
alter table kept enable row level security;
create policy own on kept to authenticated using (owner = auth.uid()) with check (owner = auth.uid());
create function logged() returns trigger language plpgsql as $$ begin insert into log (what) values (tg_op || ' ' || coalesce(old.id::text, '-') || ' ' || coalesce(new.n::text, '-')); return coalesce(new, old); end $$;
create trigger logged before insert or update or delete on stock for each row execute function logged();

create function merges() returns int language plpgsql as $$ declare c int; begin
  merge into stock as s using moves m on s.id = m.item
    when matched and s.n + m.delta <= 0 then delete
    when matched then update set n = s.n + m.delta, note = m.what
    when not matched and m.delta is null then do nothing
    when not matched then insert (id, n, note) values (m.item, m.delta, default);
  get diagnostics c = row_count;
  return c;
end $$;
create function state() returns text language sql as $$ select string_agg(id || ':' || n || ':' || coalesce(note, '-'), ' ' order by id) from stock $$;
create function logs() returns text language sql as $$ select string_agg(what, ',' order by what) from log $$;
create function nothing_found() returns text language plpgsql as $$ begin
  merge into stock using (select 99 as k) q on id = q.k when matched then delete;
  return found::text;
end $$;
create function values_(k int) returns text language plpgsql as $$ begin
  merge into stock t using (values (k, 1), (k + 1, 2)) as v (id, d) on t.id = v.id
    when not matched then insert values (v.id, v.d * 10)
    when matched and t.n > 100 then do nothing
    when matched then update set n = t.n + v.d, note = default;
  return found || ' ' || (select string_agg(id || ':' || n || ':' || coalesce(note, '-'), ' ' order by id) from stock);
end $$;
create function two_keys() returns text language plpgsql as $$ begin
  with src as (select 1 as a, x as b from unnest(array['a', 'c']) x)
  merge into pairs p using src s on p.a = s.a and p.b = s.b
    when matched then update set (n, b) = (p.n + 100, p.b || '!')
    when not matched then insert (b, a, n) values (s.b, s.a, (select count(*) from moves));
  return (select string_agg(a || b || n, ' ' order by a, b) from pairs);
end $$;
create function twice() returns int language plpgsql as $$ begin
  merge into stock s using (values (1), (1)) v (id) on s.id = v.id when matched then update set n = 0; return 1;
end $$;
create function twice_nothing() returns int language plpgsql as $$ begin
  merge into stock s using (values (1), (1)) v (id) on s.id = v.id when matched then do nothing; return 1;
end $$;
create function twice_new() returns int language plpgsql as $$ begin
  merge into stock s using (values (50), (50)) v (id) on s.id = v.id when not matched then insert (id) values (v.id); return 1;
end $$;
create function caught() returns text language plpgsql as $$ begin
  begin merge into stock s using (values (1), (70)) v (id) on s.id = v.id when matched then delete when not matched then insert (id, n) values (v.id, null);
  exception when not_null_violation then return sqlstate || ' ' || (select count(*) from stock where id = 1); end;
  return 'not';
end $$;
create function dynamic(t text) returns text language plpgsql as $$ declare c int; begin
  execute t using 3; get diagnostics c = row_count; return c || ' ' || state();
end $$;
create function owns() returns text language plpgsql as $$ begin
  merge into kept k using (values (1, 'one'), (3, 'three')) v (id, t) on k.id = v.id
    when matched then update set t = v.t when not matched then insert (id, owner, t) values (v.id, auth.uid(), v.t);
  return (select string_agg(id || t, ' ' order by id) from kept);
end $$;
create function gives_away() returns text language plpgsql as $$ begin
  merge into kept k using (values (1)) v (id) on k.id = v.id when matched then update set owner = '00000000-0000-0000-0000-000000000009'; return 'given';
end $$;
create function not_his() returns text language plpgsql as $$ begin
  merge into kept k using (values (9)) v (id) on k.id = v.id when not matched then insert (id, owner) values (v.id, '00000000-0000-0000-0000-000000000009'); return 'given';
end $$;
create function of_a_view() returns int language plpgsql as $$ begin merge into seen s using moves m on s.id = m.item when matched then delete; return 1; end $$;
create function unreachable() returns int language plpgsql as $$ begin merge into stock s using moves m on s.id = m.item when matched then delete when matched then do nothing; return 1; end $$;
create function no_table() returns int language plpgsql as $$ begin merge into nope s using (values (1)) v (id) on s.id = v.id when matched then delete; return 1; end $$;
create function no_column() returns int language plpgsql as $$ begin merge into stock s using (values (1)) v (id) on s.id = v.nope when matched then delete; return 1; end $$;
create function no_target() returns int language plpgsql as $$ begin merge into stock s using (values (1)) v (id) on s.id = v.id when not matched then insert (id, nope) values (v.id, 1); return 1; end $$;
create function too_few() returns int language plpgsql as $$ begin merge into stock s using (values (1)) v (id) on s.id = v.id when not matched then insert (id, n) values (v.id); return 1; end $$;
create function too_many() returns int language plpgsql as $$ begin merge into stock s using (values (1)) v (id) on s.id = v.id when not matched then insert (id) values (v.id, 1); return 1; end $$;
create function reads_itself() returns text language plpgsql as $$ begin
  merge into stock s using (values (1), (80)) v (id) on s.id = v.id
    when matched then update set n = 1000
    when not matched then insert (id, n) values (v.id, (select sum(n) from stock));
  return state();
end $$;
create function self() returns text language plpgsql as $$ begin
  merge into stock s using (select id + 1 as id, n from stock) o on s.id = o.id when matched then update set n = o.n when not matched then insert (id, n) values (o.id, o.n);
  return state();
end $$;
merge into stock using (select 4 as k, 70 as v) q on id = k when matched then update set n = v when not matched then insert (id) values (k);

create function not_there(k int) returns text language plpgsql as $$ begin
  if k = 1 then merge into stock t using (values (1000)) v (id) on t.id = v.id when not matched and t.n = 1 then insert (id) values (v.id);
  elsif k = 2 then merge into stock t using (values (1000)) v (id) on t.id = v.id when not matched and note = 'x' then insert (id) values (v.id);
  elsif k = 3 then merge into stock t using (values (1000)) v (id) on t.id = v.id when not matched then insert (id, n) values (v.id, t.n);
  elsif k = 4 then merge into stock t using (values (1000, 1)) v (id, n) on t.id = v.id when matched and n > 1 then delete;
  elsif k = 5 then merge into stock t1 using stock t2 on t1.id = t2.id when matched then update set n = t1.n + t2.n when not matched then insert values (t2.id, t2.n);
  elsif k = 6 then merge into stock t using generate_series(1, 3) as i on t.id = i when matched then update set n = t.n + i when not matched then insert (id, n) values (i, -1);
  elsif k = 7 then merge into stock t using seen s on t.id = s.id and (select count(*) > 0 from stock) when matched and (select count(*) > 2 from stock) then update set n = (select count(*) from stock);
  elsif k = 8 then merge into stock t using (select item, max(delta) as delta from moves group by item having count(*) = 1 order by item) as s on t.id = s.item when not matched and s.delta = 3 then insert (id, n) values (s.item, s.delta);
  end if;
  return state();
end $$;

-- ask
service_role state
service_role merges
service_role state
service_role logs
service_role nothing_found
service_role values_ {"k": 1}
service_role values_ {"k": 20}
service_role values_ {"k": 20}
service_role two_keys
service_role twice
service_role twice_nothing
service_role twice_new
service_role state
service_role caught
# EXECUTE takes statements that SQLite has
service_role dynamic {"t": "merge into stock s using (values ($1::int)) v (id) on s.id = v.id when matched then do nothing"}
authenticated:1 owns
authenticated:2 owns
authenticated:1 gives_away
authenticated:1 not_his
service_role of_a_view
service_role no_table
service_role no_column
service_role no_target
service_role too_few
service_role too_many
service_role unreachable
service_role self
service_role reads_itself
service_role logs
# PostgreSQL says in other words that the target is not to be seen there
service_role not_there {"k": 1}
service_role not_there {"k": 2}
# PostgreSQL says in other words that the target is not to be seen there
service_role not_there {"k": 3}
service_role not_there {"k": 4}
service_role not_there {"k": 5}
service_role not_there {"k": 6}
service_role not_there {"k": 7}
service_role not_there {"k": 8}
