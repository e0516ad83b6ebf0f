create table log (n serial primary key, said text not null);
create table t (id int primary key, a int, b text, doubled int generated always as (a * 2) stored);
create table u (id int primary key, t int references t on delete cascade, a int);
create table totals (k text primary key, n bigint not null default 0);
create table stamped (id int primary key, v text, updated_at timestamptz default '2020-01-01', made timestamp default '2020-01-01');
create table docs (id int primary key, title text, body text, search tsvector, config regconfig default 'simple', other tsvector);
create table same (id int primary key, v text, w int);
insert into totals values ('t', 0);
insert into same values (1, 'x', 1), (2, null, 2);
grant all on all tables in schema public to anon;
grant all on all sequences in schema public to anon;
create extension if not exists moddatetime schema extensions;

create function t_ins() returns trigger language plpgsql as $$
declare r record; s text := '';
begin
  for r in select * from added order by id loop s := s || r.id || ':' || coalesce(r.a::text, '-') || ':' || coalesce(r.doubled::text, '-') || ' '; end loop;
  insert into log (said) values (tg_name || ' ' || tg_op || ' ' || tg_level || ' ' || s || (select count(*) from added) || ' ' || coalesce((select sum(x.a) from added x join t on t.id = x.id), 0));
  update totals set n = n + (select count(*) from added) where k = 't';
  return null;
end $$;
create trigger t_ins after insert on t referencing new table as added for each statement execute function t_ins();
create function t_upd() returns trigger language plpgsql as $$
begin
  insert into log (said) select tg_name || ' ' || o.id || ' ' || o.a || '->' || n.a || coalesce(n.b, '?') from was o join "Is Now" n using (id) order by o.id;
  if not found then insert into log (said) values (tg_name || ' none'); end if;
  return null;
end $$;
create trigger t_upd after update on t referencing old table as was new table as "Is Now" for each statement execute function t_upd();
create function t_del() returns trigger language plpgsql as $$
begin
  insert into log (said) values ('gone ' || coalesce((select string_agg(id::text, ',' order by id) from gone), 'none'));
  return null;
end $$;
create trigger t_del after delete on t referencing old table as gone execute function t_del();
create function t_row() returns trigger language plpgsql as $$
begin insert into log (said) values ('row ' || new.id || ' of ' || (select count(*) from added)); return new; end $$;
create trigger a_row after insert on t referencing new table as added for each row when (new.a > 100) execute function t_row();
create function u_del() returns trigger language plpgsql as $$
begin insert into log (said) select 'u ' || count(*) || ' ' || coalesce(sum(a), 0) from gone_u; return null; end $$;
create trigger u_del after delete on u referencing old table as gone_u for each statement execute function u_del();
create function before_t() returns trigger language plpgsql as $$ begin if new.a = 13 then return null; end if; new.b := coalesce(new.b, 'set'); return new; end $$;
create trigger before_t before insert on t for each row execute function before_t();
create function nest() returns trigger language plpgsql as $$
begin
  if (select count(*) from n_new) > 0 and (select min(a) from n_new) < 3 then
    update u set a = a + 1 where id in (select id from n_new);
  end if;
  insert into log (said) select 'nest ' || string_agg(id || '=' || a, ' ' order by id) from n_new;
  return null;
end $$;
create trigger nest after update on u referencing new table as n_new for each statement execute function nest();

create trigger stamp before update on stamped for each row execute procedure extensions.moddatetime(updated_at);
create trigger stamp2 before update on stamped for each row execute function extensions.moddatetime('made');
create trigger tsv before insert or update on docs for each row execute function tsvector_update_trigger(search, 'pg_catalog.english', title, body);
create trigger tsv2 before insert or update on docs for each row execute function tsvector_update_trigger_column(other, config, title);
create trigger z_same before update on same for each row execute function suppress_redundant_updates_trigger();

create function said() returns setof text language sql as $$ select said from log order by n $$;
create function quiet() returns void language sql as $$ delete from log where true $$;
create function ins() returns bigint language plpgsql as $$ declare n bigint; begin insert into t (id, a) values (1, 1), (2, 20), (3, 300), (4, 13); get diagnostics n = row_count; insert into u values (1, 1, 1), (2, 1, 2), (3, 2, 3); return n; end $$;
create function upd(lim int) returns bigint language plpgsql as $$ declare n bigint; begin update t set a = a + 1 where id <= lim; get diagnostics n = row_count; return n; end $$;
create function ups() returns void language plpgsql as $$ begin insert into t (id, a) values (3, 5), (7, 7) on conflict (id) do update set a = excluded.a; end $$;
create function del(lim int) returns bigint language plpgsql as $$ declare n bigint; begin delete from t where id <= lim; get diagnostics n = row_count; return n; end $$;
create function upd_u() returns void language plpgsql as $$ begin update u set a = a + 1; end $$;
create function total() returns bigint language sql as $$ select n from totals where k = 't' $$;
create function stamps() returns text language plpgsql as $$
declare s text; begin
  insert into stamped (id, v) values (1, 'a'), (2, 'b');
  update stamped set v = 'c' where id = 1;
  select string_agg((updated_at = now())::text || (made = now()::timestamp)::text || v, ',' order by id) into s from stamped;
  return s;
end $$;
create function texts() returns text language plpgsql as $$
declare s text; begin
  insert into docs (id, title, body) values (1, 'The running cats', 'and dogs'), (2, null, 'only bodies');
  update docs set title = 'jumped' where id = 2;
  select string_agg(search::text || '|' || coalesce(other::text, '-'), ' ; ' order by id) into s from docs;
  return s;
end $$;
create function redundant() returns text language plpgsql as $$
declare n int; m int; begin
  update same set v = v; get diagnostics n = row_count;
  update same set v = coalesce(v, 'y'), w = w; get diagnostics m = row_count;
  return n || ' ' || m;
end $$;

-- ask
anon ins
anon said
anon total
anon quiet
anon {"kind": "insert", "from": "t", "rows": [{"id": 50, "a": 5}, {"id": 51, "a": 500}, {"id": 52, "a": 13}], "select": ["id", "b"]}
anon said
anon quiet
anon upd {"lim": 2}
anon upd {"lim": 0}
anon {"kind": "update", "from": "t", "set": {"b": "rest"}, "where": {"column": "id", "op": "gt", "value": 50}}
anon said
anon quiet
anon ups
anon said
anon quiet
anon upd_u
anon said
anon quiet
anon del {"lim": 1}
anon said
anon quiet
anon del {"lim": 0}
anon stamps
anon texts
anon redundant
