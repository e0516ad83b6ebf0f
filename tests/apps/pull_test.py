"""A project that was made by hand: `orlo db pull` makes its first migration of a server or of a dump, and it is the same on both engines, with no right more than stood there."""
import glob, time

from nodes import *
from admin_test import cli
from database_test import ANN, BOB, project, put
from server_test import Cluster, there, url

HAND = r"""create schema auth; create schema storage; create schema extensions; create schema app;
create role anon; create role authenticated; create role service_role bypassrls; create role supabase_admin;
create table auth.users (id uuid primary key, email text, raw_user_meta_data jsonb);
create table storage.objects (id uuid primary key default gen_random_uuid(), bucket_id text, name text, owner uuid);
create function auth.uid() returns uuid language sql stable as $$ select nullif(current_setting('request.jwt.claim.sub', true), '')::uuid $$;
create function storage.foldername(name text) returns text[] language sql as $$ select string_to_array(name, '/') $$;
create extension pgcrypto with schema extensions;
create type public.mood as enum ('good', 'bad', 'it''s');
create domain public.email as text check (value like '%@%');
create type app.pair as (a int, b text);
create sequence public.counter start 7;
create table public.kept (id int primary key, secret text);
create table public.profiles (id uuid primary key references auth.users on delete cascade, name text not null default 'no name; really', mail public.email, m public.mood default 'good', at timestamptz default now());
create table app.notes (id bigint generated always as identity primary key, owner uuid not null default auth.uid() references public.profiles, body text check (length(body) < 100), tags text[] default '{}', n int default nextval('public.counter'), twice int generated always as (length(body) * 2) stored);
create index on app.notes (owner) where body is not null;
create unique index on public.profiles (lower(name));
create function public.handle_new_user() returns trigger language plpgsql security definer set search_path = '' as $$ begin insert into public.profiles (id, name) values (new.id, coalesce(new.raw_user_meta_data->>'name', 'x; y')); return new; end $$;
create trigger on_auth_user_created after insert on auth.users for each row execute function public.handle_new_user();
create function public.mine() returns setof app.notes language sql stable as $$ select * from app.notes where owner = auth.uid() $$;
create view public.names with (security_invoker = true) as select id, upper(name) as name from public.profiles;
alter table public.profiles enable row level security;
alter table app.notes enable row level security;
create policy own on public.profiles for all to authenticated using (id = auth.uid()) with check (id = auth.uid());
create policy own on app.notes for select to authenticated using (owner = (select auth.uid()));
create policy files on storage.objects for select to authenticated using (bucket_id = 'pics' and (storage.foldername(name))[1] = auth.uid()::text);
alter table storage.objects enable row level security;
grant usage on schema app to authenticated; grant select, insert on app.notes to authenticated; grant all on public.profiles to anon, authenticated, service_role; revoke execute on function public.mine() from public; grant execute on function public.mine() to authenticated;
grant select on public.names to supabase_admin;
comment on table public.profiles is 'people; all of them';
comment on column app.notes.body is 'it''s';
insert into auth.users values ('6f1c0a52-9d5e-4f0c-8f57-0d7b8b0a7a11', 'a@b.c', '{}');
insert into app.notes (owner, body) values ('6f1c0a52-9d5e-4f0c-8f57-0d7b8b0a7a11', 'one');
"""


def folder_with(text, engine="sqlite", name="notes"):
    return project({"migrations/001_pulled.sql": text}, f'name = "{name}"\ndatabase = "{engine}"\n')


def pulled(source, code=0):
    folder = tempfile.mkdtemp(prefix="pull-", dir=WORK)
    got, out, error = orlo("db", "pull", source, folder, timeout=120)
    check(got == code, got, out, error)
    files = glob.glob(os.path.join(folder, "migrations", "*.sql"))
    return out, error, open(files[0]).read() if files else None


def ask(n, app, who, text):
    got, out, error = orlo("db", "query", text, "--write", "--app", app, "--as", who, "--json", "--state", n.state, timeout=120)
    return json.loads(out)["rows"] if got == 0 else re.search(r"[0-9A-Z]{5}: [^(\n;]*", error)[0].split(": ")[0]


ASKS = [("service_role", f"insert into auth.users (id, email, raw_user_meta_data) values ('{ANN}', 'a@b.c', '{{\"name\": \"Ann\"}}'), ('{BOB}', 'b@b.c', '{{}}')"),
        ("service_role", "select id, name, mail, m from profiles order by id"), (ANN, "select name from profiles"), ("anon", "select name from profiles"),
        (ANN, "insert into app.notes (body) values ('one') returning id, owner, tags, n, twice"), (ANN, "select body from mine()"), (BOB, "select body from app.notes"), ("anon", "select 1 from app.notes"),
        ("anon", "select * from mine()"), ("anon", "select * from kept"), (ANN, "insert into kept values (1)"), ("service_role", "select * from kept"), (ANN, "select name from names"), ("anon", "select name from names"),
        (ANN, "update profiles set mail = 'nothing' where true"), (ANN, "update profiles set m = 'it''s', mail = 'x@y' where true returning m, mail"), (BOB, f"delete from profiles where id = '{ANN}'"),
        (ANN, "insert into app.notes (body) values (repeat('x', 200))"), (ANN, "delete from app.notes"), ("service_role", "select polname from pg_policy order by polname")]


def test_pull():
    if not Cluster.installed():
        return
    with there() as pg, node() as n:
        pg.psql("create database hand")
        pg.psql_in("hand", HAND)
        pg.psql("alter role postgres password 's3cret-s3cret'")
        dump = os.path.join(WORK, "hand-dump.sql")
        made = pg.run("pg_dump", "-h", pg.folder, "-p", str(pg.port), "-U", "postgres", "hand")
        eq(made.returncode, 0)
        open(dump, "w").write(made.stdout)
        out, error, by_dump = pulled(dump)
        has(out, "statements", "left out")
        check("cannot be read" not in error, error)
        out, error, by_url = pulled(url(pg, user="postgres", database="hand"))
        for text in (by_dump, by_url):
            for word in ("auth.uid() returns", "supabase_admin", "6f1c0a52", "OWNER TO", "setval"):
                check(word.lower() not in text.lower(), word)
            for word in ("on_auth_user_created", "files", "it''s", "handle_new_user", "app.pair"):
                check(word in text, word)
        answers = []
        for k, (text, engine) in enumerate([(by_dump, "postgres"), (by_url, "sqlite"), (by_dump, "sqlite")]):
            name = f"app{k}"
            cli(n, "deploy", folder_with(text, engine, name))
            answers.append([(who, sql, ask(n, name, who, sql)) for who, sql in ASKS])
        for other in answers[1:]:
            for one, two in zip(answers[0], other):
                eq(one, two)
        said = {(who, sql): answer for who, sql, answer in answers[0]}
        eq(said["service_role", "select id, name, mail, m from profiles order by id"], [{"id": ANN, "name": "Ann", "mail": None, "m": "good"}, {"id": BOB, "name": "x; y", "mail": None, "m": "good"}])
        for who, sql in [("anon", "select 1 from app.notes"), ("anon", "select * from mine()"), ("anon", "select * from kept"), (ANN, "insert into kept values (1)"), (ANN, "select name from names")]:
            eq((sql, said[who, sql]), (sql, "42501"))
        # Where there is one already, it is no first one; a server that is not there, or not ours to read.
        folder = folder_with("select 1;")
        got, out, error = orlo("db", "pull", dump, folder)
        check(got != 0 and "already" in error, got, error)
        got, out, error = orlo("db", "pull", url(pg, user="postgres", database="hand", password="wrong"), tempfile.mkdtemp(dir=WORK), timeout=120)
        check(got != 0 and "wrong" not in error, got, error)


HOSTILE = [("", 65), ("PGDMP\1\2\3", 65), ("copy t from program 'id';\nalter system set x = 1;\ncreate subscription s connection 'x' publication p;", 65), ("\0\0\0", 65), ("$a$" * 1000, 65),
           ("create table auth.mine (id int); grant all on auth.users to anon; create policy p on auth.users using (true);", 65), ("COPY public.t FROM stdin;\n1\tcreate table x (id int);\n\\.\nselect 1;", 65),
           ("(" * 100000, 65), ("create table public.t (id int); /* " + "x" * 100000, 0), ("create schema \"a\"\"; drop table x; --\";", 0),
           ("\\! rm -rf /\n\\connect other\ncreate table public.t (id int);", 0), ("create table t (id int);\n" * 20000, 0), ("create event trigger e on ddl_command_end execute function f();", 65)]


def test_pull_hostile():
    for k, (text, code) in enumerate(HOSTILE):
        path = os.path.join(WORK, f"hostile{k}.sql")
        open(path, "w").write(text)
        out, error, made = pulled(path, code)
        check("Traceback" not in error and len(error) < 100000, k, error[:500])
        if made:
            check("rm -rf" not in made and "drop table x;\n" not in made, made[:500])
            got, out, error = orlo("db", "check", os.path.dirname(glob.glob(os.path.join(WORK, "pull-*", "migrations", "*.sql"))[0]), "--json", timeout=120)
    for source in ("/no/such/file", WORK, "/dev/zero", "postgres://", "postgres://u:p@127.0.0.1:1/x?sslmode=disable"):
        got, out, error = orlo("db", "pull", source, tempfile.mkdtemp(dir=WORK), timeout=120)
        check(got != 0 and error and "u:p" not in error, source, got, error)
