create schema priv;
create schema open;
grant usage on schema open to anon;
create table priv.t (id int primary key, v text);
insert into priv.t values (1, 'one');
create table open.t (id int primary key, v text);
insert into open.t values (1, 'seen');
grant all on priv.t, open.t to anon;
create table public.own (id int primary key, v text default 'x');
grant all on own to anon;
alter table own enable row level security;
create function priv.f() returns text language plpgsql as $$ begin return 'of priv'; end $$;
create function priv.s() returns text language sql as $$ select 'sql of priv'::text $$;
create function open.f() returns text language plpgsql as $$ begin return 'of open'; end $$;
create function priv.allowed() returns boolean language plpgsql stable as $$ begin return true; end $$;
create policy p on own for all to anon using (priv.allowed()) with check (priv.allowed());
create view public.through as select t.id, priv.f() as f from priv.t t;
grant select on through to anon;
create function calls() returns text language plpgsql as $$ begin return priv.f(); end $$;
create function calls_sql() returns text language plpgsql as $$ begin return priv.s(); end $$;
create function calls_open() returns text language plpgsql as $$ begin return open.f() || (select v from open.t); end $$;
create function reads() returns text language plpgsql as $$ declare s text; begin select v into s from priv.t; return s; end $$;
create function writes() returns text language plpgsql as $$ begin insert into priv.t values (2, 'two'); return 'done'; end $$;
create function executes(q text) returns text language plpgsql as $$ declare s text; begin execute q into s; return s; end $$;
create function in_sql() returns text language sql as $$ select priv.f() $$;
create function in_sql_reads() returns setof text language sql as $$ select v from priv.t $$;
create function in_sql_writes() returns void language sql as $$ update priv.t set v = 'w' $$;
create function of_definer() returns text language plpgsql security definer as $$ declare s text; begin select v || priv.f() into s from priv.t where id = 1; return s; end $$;
create function of_sql_definer() returns text language sql security definer as $$ select v || priv.s() from priv.t where id = 1 $$;
create function uses_definer() returns text language plpgsql as $$ begin return of_sql_definer() || of_definer(); end $$;
create function caught() returns text language plpgsql as $$ begin return priv.f(); exception when insufficient_privilege then return sqlerrm; end $$;
create function branch(b boolean) returns text language plpgsql as $$ begin if b then return priv.f(); end if; return 'not'; end $$;
create function selects() returns text language plpgsql as $$ declare s text; begin insert into own values (1); select f into s from through; return s || (select count(*) from own); end $$;
create function trg() returns trigger language plpgsql as $$ begin new.v := priv.f(); return new; end $$;
create table trg (id int primary key, v text);
grant all on trg to anon, service_role;
create trigger t before insert on trg for each row execute function trg();
-- ask
anon calls
anon calls_sql
anon calls_open
anon reads
anon writes
anon executes {"q": "select priv.f()"}
anon executes {"q": "select v from priv.t"}
anon executes {"q": "select open.f()"}
anon in_sql
anon in_sql_reads
anon in_sql_writes
anon of_definer
anon of_sql_definer
anon uses_definer
anon caught
anon branch {"b": false}
anon branch {"b": true}
anon selects
anon {"kind": "insert", "from": "trg", "rows": [{"id": 1}]}
anon {"from": "through", "select": ["*"]}
