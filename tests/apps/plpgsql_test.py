"""PL/pgSQL on a node's SQLite: functions and triggers from migrations to requests, in readers and in the writer; what has no end, ends."""
from nodes import *
from admin_test import cli
from database_test import project, query
from database_hostile_test import keys

SCHEMA = """create table profiles (id uuid primary key references auth.users on delete cascade, name text);
create table sink (t text);
alter table profiles enable row level security;
create function is_admin() returns boolean language plpgsql stable security definer set search_path = '' as $$
begin return exists (select 1 from public.profiles where name = 'admin' and id = auth.uid()); end $$;
create policy own on profiles for select to authenticated using (id = auth.uid() or public.is_admin());
grant select on profiles to authenticated; grant all on profiles, sink to service_role;
create function handle_new_user() returns trigger language plpgsql security definer set search_path = public as $$
begin insert into profiles (id, name) values (new.id, new.raw_user_meta_data->>'name'); return new; end $$;
create trigger on_auth_user_created after insert on auth.users for each row execute function handle_new_user();
create function filled() returns int language plpgsql as $$ begin insert into sink values ('by a migration'); return 1; end $$;
select filled();
create function deep(n int) returns int language plpgsql stable as $$ begin if n = 0 then return 0; end if; return 1 + deep(n - 1); end $$;
create function deep_write(n int) returns int language plpgsql as $$ begin if n = 0 then return 0; end if; return 1 + deep_write(n - 1); end $$;
create function endless() returns int language plpgsql as $$ begin loop null; end loop; end $$;
create function endless_stable() returns int language plpgsql stable as $$ declare i int := 0; begin loop i := i + 1; i := i - 1; end loop; end $$;
create function hides() returns int language plpgsql as $$
begin loop begin insert into sink values ('x'); perform pg_sleep(0); raise exception 'again'; exception when others then null; end; end loop; end $$;
create function grows() returns int language plpgsql as $$ declare t text := 'x'; begin loop t := t || t; end loop; end $$;
create function hoards() returns int language plpgsql as $$ declare r record; begin for r in select g from generate_series(1, 100000000) g loop null; end loop; return 1; end $$;
create function counts(n int) returns bigint language plpgsql stable as $$ declare s bigint := 0; begin for i in 1..n loop s := s + i; end loop; return s; end $$;
"""
SEED = """insert into auth.users (id, email, raw_user_meta_data) values ('00000000-0000-0000-0000-000000000001', 'a@example.com', '{"name": "admin"}'),
  ('00000000-0000-0000-0000-000000000002', 'b@example.com', '{"name": "bob"}');
insert into sink select name from profiles order by id;
"""
LIMITS = 'name = "notes"\ndatabase = "sqlite"\n[limits]\ndata_timeout_ms = 1000\n'


def call(function, **args):
    return {"kind": "call", "function": function, "args": args}


def test_plpgsql_from_end_to_end():
    folder = project({"migrations/001_all.sql": SCHEMA, "seed.sql": SEED}, LIMITS)
    with node() as n:
        cli(n, "deploy", folder)
        cli(n, "db", "reset", folder, "--yes")
        eq(query(n, {"from": "sink"}, "service_role"), [{"t": "by a migration"}, {"t": "admin"}, {"t": "bob"}])  # the seed's users had their profiles
        rows = lambda who: [r["name"] for r in query(n, {"from": "profiles", "order": [{"column": "id"}]}, who)]
        eq(rows("00000000-0000-0000-0000-000000000001"), ["admin", "bob"])
        eq(rows("00000000-0000-0000-0000-000000000002"), ["bob"])
        eq(query(n, call("counts", n=1000), "service_role"), 500500)
        eq(query(n, call("deep", n=5), "service_role"), 5)
        eq(query(n, call("deep_write", n=20), "service_role"), 20)
        key = keys(n)["service_role"]
        for function, args, state in (("deep", {"n": 1000000}, "54001"), ("deep_write", {"n": 1000000}, "54001"), ("endless", {}, "57014"), ("endless_stable", {}, "57014"),
                                      ("hides", {}, "57014"), ("grows", {}, "5"), ("hoards", {}, "5")):
            out = n.get("notes", "/rest/v1/rpc/" + function, "-H", "content-type: application/json", "-H", f"apikey: {key}", data=json.dumps(args).encode()).text
            check(state in str(out), function, out)
        eq(query(n, {"from": "sink", "select": [{"aggregate": "count"}]}, "service_role"), [{"count": 3}])  # nothing of what was stopped is there
