"""A PostgreSQL that somebody else runs, at a URL that is a secret: reached by TLS and a password, with no superuser, and changed by others as they like."""
import difflib, random, re, shutil, socket, struct, sys, tempfile

from nodes import *
from admin_test import cli
from database_test import ANN, BOB, project, put, query, titles
from postgres_test import MANY, NOTES, SHOUT, TREE, data, insert, keys, needs, servers, until

sys.path.insert(0, os.path.join(ROOT, "tests", "pg"))
from cluster import Cluster  # noqa: E402

MANIFEST = 'name = "notes"\ndatabase = { secret = "PG" }\n'
FILES = {"migrations/001_notes.sql": NOTES, "migrations/002_shout.sql": SHOUT}
PRIVATE = b"postgres_private = 1\npostgres_connections = 3\n"


@contextlib.contextmanager
def there(roles="createrole"):
    """A server, with a role for the app and a database that it owns; OpenSSL trusts its certificate."""
    before = os.environ.get("SSL_CERT_FILE")
    with Cluster(tcp=True) as pg:
        pg.psql(f"create role app login {roles} password 's3cret-s3cret'; create database notes owner app;")
        os.environ["SSL_CERT_FILE"] = pg.authority
        try:
            yield pg
        finally:
            os.environ.pop("SSL_CERT_FILE")
            if before:
                os.environ["SSL_CERT_FILE"] = before


def url(pg, password="s3cret-s3cret", host="localhost", user="app", database="notes", more="?sslmode=verify-full"):
    return f"postgres://{user}:{password}@{host}:{pg.port}/{database}{more}"


def secret(n, value, app="notes"):
    cli(n, "secrets", "set", app, "PG", data=value.encode())


def private():
    return node("--config", file_of("operator.toml", PRIVATE))


def quiet(n, *words):
    """Nothing of a URL is in what the node says, or keeps readably."""
    said = n.log() + cli(n, "apps", "--json")
    for word in words:
        check(word not in said, word)


def reads(n, role="service_role", **more):
    return data(n, "notes", keys(n)["SUPABASE_SERVICE_ROLE_KEY"], {"query": {"from": "notes", "select": ["title"], "order": [{"column": "id"}]}}, **more)


def memory(pid):
    """What a process has written, as far as root may look."""
    found = b""
    if os.getuid() == 0:
        with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb") as mem:
            for line in maps:
                where, rights = line.split()[:2]
                start, end = (int(x, 16) for x in where.split("-"))
                if rights.startswith("rw") and end - start < 64 << 20:
                    with contextlib.suppress(OSError, ValueError):
                        mem.seek(start)
                        found += mem.read(end - start)
    return found


@needs
def test_server_deploy():
    folder = project(FILES, MANIFEST)
    with there() as pg, private() as n:
        has(cli(n, "deploy", folder, code=66), "PG", "not set", "orlo secrets set")
        # What is wrong with a URL is told, and no word of it.
        for wrong, why in (
            ("hunter2-hunter2", "it is no URL"),
            (url(pg, password="hunter2-hunter2"), "password authentication failed"),
            (url(pg, host="nowhere.invalid"), "not known"),
            (url(pg, database="elsewhere"), "does not exist"),
            (url(pg, host="%2Ftmp"), "a folder"),
            (url(pg, more="?passfile=/etc/passwd"), "passfile"),
            (url(pg, host="127.0.0.1"), "certificate"),
            (url(pg, user="postgres", more="?sslmode=require"), "authentication failed"),
        ):
            secret(n, wrong)
            got, _, said = orlo("deploy", folder, "--state", n.state, timeout=120)
            check(got not in (0, -1), got, wrong)
            has(said, why)
            check("hunter2" not in said and "s3cret" not in said and "nowhere" not in said, said)
        secret(n, url(pg))
        has(cli(n, "deploy", folder), "migrated 001_notes.sql", "migrated 002_shout.sql", "version 1")
        eq(servers(n), {})
        eq(n.wait_event("postgres-lacks", app="notes")["sql"], "alter role service_role bypassrls; ")
        pg.psql("alter role service_role bypassrls")
        query(n, {"kind": "insert", "from": "notes", "rows": [{"title": "one"}]}, ANN)
        query(n, {"kind": "insert", "from": "notes", "rows": [{"title": "two"}]}, BOB)
        eq(titles(n, ANN), ["ONE"])
        eq(titles(n, "anon"), [])
        has(query(n, {"kind": "insert", "from": "notes", "rows": [{"title": "x", "owner": BOB}]}, ANN, code=65), "42501")
        eq(pg.psql_in("notes", "select title, rolname from notes, pg_class c, pg_roles r where c.oid = 'notes'::regclass and r.oid = c.relowner order by id").split(), ["ONE|app", "TWO|app"])
        # A file that fails leaves nothing; one that reaches above is refused, as everywhere.
        put(folder, "migrations/003_wrong.sql", "create table more (id int);\nselect 1 / 0;\n")
        has(cli(n, "deploy", folder, code=65), "003_wrong.sql:2", "22012")
        put(folder, "migrations/003_wrong.sql", "create table more (id int primary key);\nset role postgres;\n")
        has(cli(n, "deploy", folder, code=65), "42501")
        eq(pg.psql_in("notes", "select to_regclass('more') is null").strip(), "t")
        os.remove(os.path.join(folder, "migrations/003_wrong.sql"))
        # Nobody but its owner empties it; its rows can be had.
        has(cli(n, "db", "reset", folder, "--yes", code=65), "somebody else runs")
        has(cli(n, "db", "dump", "--app", "notes"), "'ONE'", "'TWO'")
        has(cli(n, "db", "status", folder), "001_notes.sql", "applied")
        kept = tempfile.mkdtemp(prefix="backup-", dir=WORK)
        has(cli(n, "backup", kept, "--no-verify"), "the PostgreSQL of notes is run by somebody else", "its backups are its own")
        # By hand, and which policy lets what through.
        sql = lambda text, *flags, code=0: cli(n, "db", "query", "--write", text, "--app", "notes", *flags, code=code)
        eq(json.loads(sql("update notes set price = 2.5 where title = 'TWO' returning title, price", "--as", BOB)), [{"title": "TWO", "price": 2.5}])
        eq(json.loads(sql("update notes set price = null returning title", "--as", ANN)), [{"title": "ONE"}])
        eq(sorted(r["id"] for r in json.loads(sql("update notes set price = null returning id"))), [1, 2])
        has(sql("create table x (id int)", code=65), "orlo db migrate")
        has(cli(n, "db", "explain-policy", "notes", "--app", "notes", "--as", ANN), '  1 of 2 rows pass; "own notes": 1')
        # A function that forgets what was prepared on its connection fails nobody.
        put(folder, "migrations/003_forgets.sql", "create function forgets() returns void language plpgsql as $$ begin execute 'deallocate all'; end $$;\n")
        cli(n, "deploy", folder)
        key = keys(n)["SUPABASE_SERVICE_ROLE_KEY"]
        for _ in range(6):
            forgets = data(n, "notes", key, {"query": {"kind": "call", "function": "forgets"}})
            check(forgets.status == 200, forgets.text)
            eq([r["title"] for r in reads(n).json], ["ONE", "TWO"])
        quiet(n, "s3cret", "hunter2", "nowhere.invalid")
        for pid in n.workers():
            check(b"s3cret-s3cret" not in memory(pid), "a worker has the URL")
        check(os.getuid() != 0 or b"s3cret-s3cret" in memory(n.role("postgres")), "this looks at nothing")
        n.delete("notes")
        eq(pg.psql_in("notes", "select count(*) from notes").strip(), "2")
        eq(n.events("role-died") + n.events("role-said") + n.events("postgres-plain"), [])


def triggers():
    """As docs/database.md has them, for somebody who may."""
    with open(os.path.join(ROOT, "docs", "database.md"), encoding="utf-8") as f:
        return re.search(r"```sql\n(  create function _orlo\.changed.*?)```", f.read(), re.S)[1]


@needs
def test_server_changes():
    """What others do there is seen at the next request, or within a second: schemas, its password, its end, its silence."""
    with there() as pg, private() as n:
        pg.psql_in("notes", "create table old (id int primary key, word text); insert into old values (1, 'was here'); alter table old owner to app")
        folder = project({}, MANIFEST)
        cli(n, "deploy", folder, code=66)
        secret(n, url(pg))
        cli(n, "deploy", folder)
        key = keys(n)["SUPABASE_SERVICE_ROLE_KEY"]
        ask = lambda tree, **more: data(n, "notes", key, {"query": tree}, **more)
        pg.psql_in("notes", "grant all on old to service_role")
        all_of = {"from": "old", "select": ["*"]}
        until(lambda: ask(all_of).status == 200)
        eq(ask(all_of).json, [{"id": 1, "word": "was here"}])
        pg.psql_in("notes", "alter table old add column more int default 7")
        until(lambda: ask(all_of).json == [{"id": 1, "word": "was here", "more": 7}])
        pg.psql_in("notes", "alter table old drop column word; create table fresh (id int); grant all on fresh to service_role; create function nine() returns int language plpgsql as $$ begin return 9; end $$")
        until(lambda: ask(all_of).json == [{"id": 1, "more": 7}])
        eq(ask({"from": "fresh", "select": ["*"]}).json, [])
        eq(ask({"kind": "call", "function": "nine"}).json, 9)
        os.mkdir(os.path.join(folder, "migrations"))
        put(folder, "migrations/1.sql", "alter table old add column of_ours text default 'here';\n")  # what was there before can be migrated
        cli(n, "deploy", folder)
        eq(ask(all_of).json, [{"id": 1, "more": 7, "of_ours": "here"}])
        pg.psql_in("notes", "alter table old rename column of_ours to theirs; alter table old alter column more type text; drop table fresh; drop function nine()")
        until(lambda: ask(all_of).json == [{"id": 1, "more": "7", "theirs": "here"}])
        eq((ask({"from": "fresh", "select": ["*"]}).json["code"], ask({"kind": "call", "function": "nine"}).status), ("PGRST205", 404))
        # Somebody who may makes the triggers that docs/database.md has: from then on it says so itself, and is not asked.
        log = lambda: open(os.path.join(pg.folder, "log"), encoding="utf-8", errors="replace").read().count("hashint8extended")
        pg.psql("alter system set log_statement = 'all'")
        pg.psql("select pg_reload_conf()")
        until(lambda: (ask(all_of).status == 200, pace(0.5)) and log() > 2)  # it is asked each second
        pg.psql_in("notes", triggers())
        def rests():
            before = log()
            for _ in range(3):
                eq(ask(all_of).status, 200)
                in_vain(1.1, "the node's question whether anything changed")
            return log() == before
        until(rests)
        for word in ("ein", "zwei"):
            pg.psql_in("notes", f"alter table old add column {word} int default 1")
            until(lambda: word in ask(all_of).json[0])
        pg.psql_in("notes", "alter table old drop column ein, drop column zwei; alter event trigger orlo_changed disable")
        until(lambda: (ask(all_of).status == 200, pace(0.5)) and "zwei" not in ask(all_of).json[0])
        # Another password, in two steps that nobody can do at once: asks under the old one go on, new connections are refused, then all is well.
        pg.psql("alter role app password 'another-one'")
        secret(n, url(pg, password="another-one"))
        until(lambda: ask(all_of).status == 200)
        secret(n, url(pg, password="wrong-wrong"))
        late = until(lambda: (a := ask(all_of)).status == 503 and a)
        eq((late.fields.get("retry-after"), late.json["code"]), ("1", "57P03"))
        has(late.text, "password authentication failed")
        secret(n, url(pg, password="another-one"))
        until(lambda: ask(all_of).status == 200)
        # It ends, and comes back.
        pg.signal(signal.SIGKILL)
        gone = until(lambda: (a := ask(all_of)).status != 200 and a)
        check(gone.status == 503 and gone.fields.get("retry-after") == "1", gone.status, gone.text)
        pace(0.5)
        pg.start()
        until(lambda: ask(all_of).status == 200)
        # It is stopped in its tracks: nobody waits for ever, others are served, and all is well behind it.
        pg.signal(signal.SIGSTOP)
        hung = ask(all_of, timeout=60)
        check(hung.status in (503, 504), hung.status, hung.text)
        pg.signal(signal.SIGCONT)
        until(lambda: ask(all_of).status == 200)
        quiet(n, "another-one", "wrong-wrong")
        eq(n.events("role-died") + n.events("role-said"), [])


@needs
def test_server_of_supabase():
    """One that has all of it: nothing is overwritten. A superuser's URL is refused; what a role may not make is said as SQL."""
    with there(roles="nocreaterole") as pg, private() as n:
        folder = project(FILES, MANIFEST)
        cli(n, "deploy", folder, code=66)
        pg.psql("create role boss superuser login password 'b'")
        secret(n, url(pg, user="boss", password="b"))
        has(cli(n, "deploy", folder, code=77), "superuser", "create role")
        secret(n, url(pg))
        has(cli(n, "deploy", folder, code=77), "create role anon", "grant anon to", "Somebody who may")
        eq(pg.psql_in("notes", "select count(*) from pg_namespace where nspname in ('auth', '_orlo')").strip(), "0")
        pg.psql_in("notes", """create role anon nologin noinherit; create role authenticated nologin noinherit; create role service_role nologin noinherit bypassrls;
create role authenticator login noinherit; grant anon, authenticated, service_role to authenticator, app;
create schema auth; grant usage on schema auth to anon, authenticated, service_role, app;
create table auth.users (id uuid primary key, email text, own text); insert into auth.users values (gen_random_uuid(), 'a@b.c', 'theirs'); grant select on auth.users to app;
create function auth.uid() returns uuid language sql stable as $$ select nullif(current_setting('request.jwt.claims', true)::jsonb ->> 'sub', '')::uuid $$;
create function auth.jwt() returns jsonb language sql stable as $$ select current_setting('request.jwt.claims', true)::jsonb $$;
comment on function auth.uid() is 'theirs'; create schema extensions; grant usage on schema extensions to app""")
        has(cli(n, "deploy", folder), "migrated 001_notes.sql")
        eq(pg.psql_in("notes", "select obj_description('auth.uid()'::regprocedure), (select own from auth.users)").strip(), "theirs|theirs")
        lacks = n.wait_event("postgres-lacks", app="notes")
        has(lacks["sql"], "create role dashboard_user")
        pg.psql_in("notes", "grant all on notes to authenticated, service_role")
        query(n, {"kind": "insert", "from": "notes", "rows": [{"title": "one"}]}, ANN)
        eq((titles(n, ANN), titles(n, BOB), titles(n, "service_role")), (["ONE"], [], ["ONE"]))


@needs
def test_server_addresses():
    """Where it may be is the operator's: without a word of his not on this machine. One that speaks no TLS is warned about where it is elsewhere."""
    with there() as pg, node() as n:
        folder = project(FILES, MANIFEST)
        cli(n, "deploy", folder, code=66)
        secret(n, url(pg))
        said = orlo("deploy", folder, "--state", n.state, timeout=120)
        check(said[0] not in (0, -1), said)
        has(said[2], "postgres_private = 1")
        # In the manifest itself: it becomes a secret, and that is remarked.
        put(folder, "orlo.toml", f'name = "notes"\ndatabase = "{url(pg)}"\n')
        said = orlo("deploy", folder, "--state", n.state, timeout=120)
        has(said[1] + said[2], "postgres_private = 1")
        has(cli(n, "secrets", "list", "notes"), "DATABASE_URL")
        quiet(n, "s3cret")


class Hostile:
    """What listens where a server is to be: `how` has each connection in a thread of its own, until the end."""

    def __init__(self, how):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port, self.how = self.socket.getsockname()[1], how
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                s, _ = self.socket.accept()
                threading.Thread(target=self.serve, args=(s,), daemon=True).start()

    def serve(self, s):
        with contextlib.suppress(OSError), s:
            self.how(s)


def message(kind, body):
    return kind + struct.pack("!I", len(body) + 4) + body


def says_nothing(s):
    while s.recv(4096):
        pass


def says_nonsense(s):
    s.recv(4096)
    s.sendall(b"E" + struct.pack("!I", 2**31 - 1) + b"x" * 100000)
    says_nothing(s)


def hashes_for_ever(s):
    """SCRAM with 2^31 rounds: libpq begins them, and nothing ends it."""
    s.recv(4096)
    s.sendall(message(b"R", struct.pack("!I", 10) + b"SCRAM-SHA-256\0\0"))
    nonce = s.recv(4096).split(b"r=")[1]
    s.sendall(message(b"R", struct.pack("!I", 11) + b"r=" + nonce + b"more,s=" + b"A" * 22 + b"==,i=2147483647"))
    says_nothing(s)


@needs
def test_server_hostile():
    """Servers that say nothing, nonsense, or have a password hashed 2^31 times: whose app it is is told so in its time, and another app is served meanwhile, and after."""
    with there() as pg, private() as n:
        folder = project(FILES, MANIFEST)
        cli(n, "deploy", folder, code=66)
        secret(n, url(pg))
        cli(n, "deploy", folder)
        told = {}

        def deploys(name, at):
            hostile = project({}, MANIFEST.replace('"notes"', f'"{name}"'))
            orlo("deploy", hostile, "--state", n.state, timeout=120)
            cli(n, "secrets", "set", name, "PG", data=f"postgres://u:p@127.0.0.1:{at.port}/d?sslmode=disable".encode())
            told[name] = orlo("deploy", hostile, "--state", n.state, timeout=120)

        threads = [threading.Thread(target=deploys, args=(how.__name__.replace("_", "-"), Hostile(how))) for how in (says_nothing, says_nonsense, hashes_for_ever)]
        for t in threads:
            t.start()
        asked = 0
        while any(t.is_alive() for t in threads):
            eq(reads(n, timeout=PATIENCE_S).status, 200)
            asked += 1
            pace(0.05)
        for t in threads:
            t.join()
        check(asked > 10, asked)
        for name, (got, _, said) in told.items():
            check(got not in (0, -1), name, got)
            has(said, "the database's server")
        has(told["hashes-for-ever"][2], "more rounds of a password's hash")
        eq(reads(n).status, 200)
        eq(n.events("role-died"), [])


# What a move has to bring, and, where it comes to nothing, to take away again: rights of what was there, columns, roles, defaults, casts.
MOODS = """create type calmness as enum ('sad', 'glad');
alter type calmness add value 'calm';
"""
REACH = """create schema work; do $$ begin create role clerk nologin; exception when duplicate_object then null; end $$;
create table work.log (id int generated always as identity primary key, note text, m calmness default 'calm', at timestamptz default now(), above int references work.log (id) deferrable initially deferred);
comment on constraint log_above_fkey on work.log is 'of itself';
alter table work.log enable row level security; alter table work.log force row level security;
create policy logs on work.log to authenticated using (true);
grant usage on schema work to authenticated, service_role; grant select on work.log to authenticated; grant all on work.log to service_role;
create function work.noted() returns trigger language plpgsql as $$ begin raise exception 'it fires'; end $$;
create trigger noted after delete on work.log for each row execute function work.noted();
create policy objects on storage.objects for select to authenticated using (bucket_id = 'public');
alter default privileges in schema public revoke all on tables from anon;
create view work.notes as select note from work.log;
insert into work.log (note) values ('of a migration');
"""


def shape(pg, database="notes"):
    """All that is in a database, with its rows: as pg_dump has it, and roles."""
    said = pg.run("pg_dump", "-h", pg.folder, "-p", str(pg.port), "-U", "postgres", "--exclude-table-data=_orlo.meta", database)
    check(said.returncode == 0, said.stderr)
    return re.sub(r"(?m)^\\(un)?restrict .*$", "", said.stdout) + pg.psql("select rolname, rolbypassrls, rolcanlogin from pg_roles order by 1")


def is_as(pg, was):
    """What a move put there is gone, once the app may be written again."""
    try:
        until(lambda: shape(pg) == was)
    except processes.Late:
        raise AssertionError("\n".join(difflib.unified_diff(was.splitlines(), shape(pg).splitlines(), lineterm="", n=2)))


@needs
def test_server_move():
    """An app's database goes from SQLite to a server of somebody's, to the node's own and back: all of it, or nothing is left there."""
    files = {"migrations/001_notes.sql": NOTES.replace("a text[], ", ""), "migrations/002_tree.sql": TREE, "migrations/003_moods.sql": MOODS, "migrations/004_reach.sql": REACH}
    folder = project(files, MANIFEST.replace('{ secret = "PG" }', '"sqlite"'))
    with there() as pg, private() as n:
        cli(n, "deploy", folder)
        ask = lambda tree, **more: query(n, tree, "service_role", **more)
        ask({"kind": "insert", "from": "tree", "rows": [{"name": "b", "above": 1}, {"name": "ü 'x' \\n", "above": None}]})
        ask({"kind": "update", "from": "tree", "set": {"above": 3}, "where": {"column": "id", "op": "eq", "value": 2}})  # a row before the one that it refers to
        query(n, {"kind": "insert", "from": "notes", "rows": [{"title": "one", "price": 1.5}]}, ANN)
        cli(n, "db", "query", "--write", "update work.log set above = id", "--app", "notes")
        move = lambda to, *flags, code=0: cli(n, "db", "move", folder, "--to", to, *flags, code=code)
        everything = lambda: [json.loads(cli(n, "db", "query", f"select * from {t} order by 1", "--app", "notes")) for t in ("tree", "notes", "work.log", "work.notes")] + [json.loads(cli(n, "db", "query", "select id, email, raw_user_meta_data from auth.users order by 1", "--app", "notes"))]
        before = everything()
        # It is not let in, or is let in where something is: the app goes on as it was, and no secret is left.
        has(move(url(pg, password="hunter2-hunter2"), code=70), "nothing was moved", "password authentication failed")
        eq(cli(n, "secrets", "list", "notes").count("DATABASE_URL"), 0)
        query(n, {"kind": "insert", "from": "notes", "rows": [{"title": "two"}]}, ANN)
        before = everything()
        pg.psql_in("notes", "create table mine (id int)")
        has(move(url(pg), code=65), "nothing was moved", "the table public.mine is in its database already")
        pg.psql_in("notes", "drop table mine; insert into auth.users (id, email) values (gen_random_uuid(), 'x@example.org')")
        has(move(url(pg), code=65), "the table auth.users has rows in its database already")
        pg.psql_in("notes", "delete from auth.users; alter role service_role bypassrls; create schema work")
        # A migration that fails there, behind others that did not and one that was committed, leaves nothing: nor does a row.
        was = shape(pg)
        has(move(url(pg), code=65), "nothing was moved", "004_reach.sql", "42P06")
        is_as(pg, was)
        pg.psql_in("notes", "drop schema work")
        was = shape(pg)
        pg.psql_in("notes", "create function public.refuses() returns event_trigger language plpgsql as $$ begin if to_regclass('_orlo.held') is not null and tg_tag = 'ALTER TABLE' and to_regclass('work.log') is not null "
                            "and not exists (select from pg_constraint where conname = 'log_above_fkey') then raise exception 'not here'; end if; end $$; create schema aside; alter function public.refuses() set schema aside;"
                            "create event trigger refuses on ddl_command_end execute function aside.refuses()")
        with_it = shape(pg)
        has(move(url(pg), code=65), "nothing was moved", "not here")
        is_as(pg, with_it)
        pg.psql_in("notes", "drop event trigger refuses; drop schema aside cascade")
        eq(shape(pg), was)
        eq(everything(), before)
        # And with nothing in its way.
        said = move(url(pg))
        has(said, "moved 3 rows of public.tree", "moved 1 row of auth.users", "moved 1 row of work.log", "notes is on a server of yours")
        has(open(os.path.join(folder, "orlo.toml")).read(), 'database = { secret = "DATABASE_URL" }')
        check("s3cret" not in said + n.log())
        eq(everything(), before)
        eq(pg.psql_in("notes", "select count(*) from public.tree union all select count(*) from auth.users union all select count(*) from work.log union all select count(*) from pg_trigger where tgenabled <> 'O' "
                               "union all select count(*) from pg_class where relname in ('held', 'before') union all select count(*) from pg_constraint where conname = 'log_above_fkey' and condeferred "
                               "and obj_description(oid) = 'of itself' union all select count(*) from pg_class where relname = 'log' and relforcerowsecurity").split(), ["3", "1", "1", "0", "0", "1", "1"])
        eq(ask({"kind": "insert", "from": "tree", "rows": [{"name": "next"}], "select": ["id", "double"]}), [{"id": 4, "double": "nextnext"}])
        has(ask({"kind": "insert", "from": "tree", "rows": [{"name": "x", "above": 99}]}, code=65), "23503")
        has(cli(n, "db", "query", "--write", "delete from work.log", "--app", "notes", code=65), "it fires")
        eq(titles(n, ANN), ["one", "two"])
        eq(titles(n, BOB), [])
        check("migrated" not in cli(n, "deploy", folder))
        has(move("secret:DATABASE_URL", code=65), "on a server of yours already")
        has(move(url(pg), code=65), "DATABASE_URL is set already")
        has(cli(n, "rollback", "notes", "1", code=65), "orlo db move --engine sqlite")
        has(cli(n, "db", "move", "--drop-old", "--app", "notes", "--yes"), "is gone")
        before = everything()
        # To the node's own, to another server, and back to SQLite; a server that was left is not emptied, nor gone into again.
        has(move("postgres"), "notes is on postgres")
        eq(everything(), before)
        has(cli(n, "db", "move", "--drop-old", "--app", "notes", "--yes", code=65), "nothing is dropped from here")
        has(move("secret:DATABASE_URL", code=65), "migrations of an app stand in its database already")
        pg.psql("create database more owner app")
        cli(n, "secrets", "set", "notes", "MORE", data=url(pg, database="more").encode())
        has(move("secret:MORE"), "notes is on a server of yours")
        eq(everything(), before)
        has(open(os.path.join(folder, "orlo.toml")).read(), 'database = { secret = "MORE" }')
        has(move("sqlite"), "notes is on sqlite")
        eq(everything(), before)
        ask({"kind": "insert", "from": "tree", "rows": [{"name": "last"}]})
        eq(n.events("role-died"), [])


@needs
def test_server_move_killed():
    """kill -9 of control, of both databases' roles, of the server's sessions and of the node while rows go there: the app is on one of them, whole, and can be written; what is on the server is all, or nothing once it is reached."""
    folder = project({"migrations/001_notes.sql": NOTES.replace("a text[], ", ""), "migrations/002_many.sql": MANY}, MANIFEST.replace('{ secret = "PG" }', '"sqlite"'))
    rng = random.Random(seed := random.randrange(1 << 32))
    print("seed", seed)
    state = new_state()
    config = file_of("operator.toml", PRIVATE)
    with there() as pg:
        pg.psql("create role service_role nologin bypassrls; grant service_role to app with admin option")
        n = Node(state, "--config", config)
        cli(n, "deploy", folder)
        key = keys(n)["SUPABASE_SERVICE_ROLE_KEY"]
        query(n, {"kind": "call", "function": "fill", "args": {"n": 6000}}, "service_role")  # two pieces
        done, moved = [], 0
        for i, victim in enumerate(("control", "store", "postgres", "sessions", "node", "control", "none")):
            until(lambda: data(n, "notes", key, insert(f"before-{i}"), timeout=60).status == 200)
            done.append(f"before-{i}")
            pg.psql(f"create database d{i} owner app")
            cli(n, "secrets", "set", "notes", f"D{i}", data=url(pg, database=f"d{i}").encode())
            engine = json.loads(cli(n, "db", "status", "--app", "notes", "--json"))["engine"]
            to = f"secret:D{i}" if engine != "server" else "sqlite"
            move = subprocess.Popen([ORLO, "db", "move", "--app", "notes", "--to", to, "--state", state], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            pace(rng.uniform(0, 2.5))
            if victim == "node":
                n.kill()
            elif victim == "sessions":
                pg.psql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'app'")
            elif victim != "none":
                for pid in n.processes(victim):
                    processes.kill_if_there(pid)
            move.wait(240)
            if victim == "node":
                n = Node(state, "--config", config)
            until(lambda: data(n, "notes", key, insert(f"after-{i}"), timeout=60).status == 200)
            done.append(f"after-{i}")
            now = json.loads(cli(n, "db", "status", "--app", "notes", "--json"))["engine"]
            moved += now != engine
            eq(sorted(r["title"] for r in data(n, "notes", key, {"query": {"from": "notes", "select": ["title"]}}).json), sorted(done))
            eq(json.loads(cli(n, "db", "query", "select count(*) as n from many", "--app", "notes"))[0]["n"], 6000)
            if to != "sqlite" and now != "server":
                until(lambda: orlo("db", "move", "--app", "notes", "--to", to, "--state", state, timeout=240)[0] == 0)  # what was left there is no hindrance
                until(lambda: data(n, "notes", key, {"query": {"from": "notes", "select": ["title"]}}, timeout=60).status == 200)
                cli(n, "db", "move", "--app", "notes", "--to", "sqlite")
        n.stop()
        print("moved", moved)


@needs
def test_server_beside():
    """The first of its kind on a node whose broker may speak to nobody else: it makes room for one that may, and nobody's request is lost. At the next start that is known."""
    with there() as pg:
        with private() as n:
            cli(n, "deploy", project(FILES, 'name = "own"\ndatabase = "postgres"\n'))
            key, odd, ends = keys(n, "own")["SUPABASE_SERVICE_ROLE_KEY"], [], threading.Event()

            def asks():
                while not ends.is_set():
                    a = data(n, "own", key, {"query": {"from": "notes", "select": ["title"]}}, timeout=60)
                    if a.status != 200 and (a.status, a.fields.get("retry-after")) != (503, "1"):
                        odd.append((a.status, a.text))

            threads = [threading.Thread(target=asks) for _ in range(2)]
            for t in threads:
                t.start()
            folder = project(FILES, MANIFEST)
            cli(n, "deploy", folder, code=66)
            secret(n, url(pg))
            cli(n, "deploy", folder)
            eq(reads(n).status, 200)
            ends.set()
            for t in threads:
                t.join()
            eq(odd, [])
            eq(data(n, "own", key, {"query": {"from": "notes", "select": ["title"]}}, timeout=60).status, 200)
            eq(n.events("role-died"), [])
            state = n.state
        with node("--config", file_of("operator.toml", PRIVATE), state=state) as n:
            eq(reads(n, timeout=60).status, 200)


@contextlib.contextmanager
def pooled(pg, mode="transaction"):
    """PgBouncer before it: as many connections to the server as fit two of its clients at a time. Its port, and what ends and begins it again."""
    folder = tempfile.mkdtemp(prefix="orlo-pool-")
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
    files = {"users.txt": '"app" "s3cret-s3cret"\n',
             "pool.ini": f"[databases]\nnotes = host={pg.folder} port={pg.port} dbname=notes user=app\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = scram-sha-256\n"
                         f"auth_file = {folder}/users.txt\npool_mode = {mode}\ndefault_pool_size = 2\nmax_client_conn = 50\nserver_idle_timeout = 5\n"}
    for name, text in files.items():
        with open(os.path.join(folder, name), "w") as f:
            f.write(text)
    who = {}
    if os.getuid() == 0:  # it does not run as root
        subprocess.run(["chown", "-R", pg.user, folder], check=True)
        who = {"user": pg.user}
    program = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
    running = []

    def begin():
        running[:] = [subprocess.Popen([program, os.path.join(folder, "pool.ini")], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **who)]

    def end():
        running[0].kill()
        running[0].wait()

    begin()
    try:
        yield port, begin, end
    finally:
        end()
        shutil.rmtree(folder, ignore_errors=True)


@needs
def test_server_pooled():
    """PgBouncer before it, which gives each transaction another of two connections: migrations, policies, claims and prepared statements are as without. It ends, and comes again."""
    if not (shutil.which("pgbouncer") or os.path.exists("/usr/sbin/pgbouncer")):
        raise Skip("PgBouncer is not installed")
    with there() as pg, pooled(pg) as (port, begin, end), private() as n:
        folder = project(FILES, MANIFEST)
        cli(n, "deploy", folder, code=66)
        secret(n, f"postgres://app:s3cret-s3cret@127.0.0.1:{port}/notes?sslmode=disable")
        cli(n, "deploy", folder)
        has(cli(n, "db", "status", folder), "001_notes.sql", "applied")
        pg.psql_in("notes", "alter role app set search_path = public, extensions; alter role service_role bypassrls; " + triggers())
        service = keys(n)["SUPABASE_SERVICE_ROLE_KEY"]
        eq(data(n, "notes", service, {"query": {"kind": "insert", "from": "notes", "rows": [{"title": f"{who[-1]}{i}", "owner": who} for who in (ANN, BOB) for i in range(5)]}}).status, 200)
        users = {who: cli(n, "keys", "token", "notes", "--as", who).strip() for who in (ANN, BOB)}
        own = {who: [f"{who[-1]}{i}".upper() for i in range(5)] for who in users}
        odd, ends = [], threading.Event()

        def asks(who, i):
            rng, key = random.Random(i), users[who]
            while not ends.is_set():
                j = rng.randrange(6)
                where = {"column": "title", "op": rng.choice(["eq", "like"]), "value": f"{who[-1]}{j}".upper()} if j < 5 else {"column": "id", "op": "gt", "value": "0"}
                a = n.get("notes", "/data/v1/query", "-H", f"apikey: {service}", "-H", f"authorization: Bearer {key}", "-H", "content-type: application/json", "-X", "POST",
                          data=json.dumps({"query": {"from": "notes", "select": ["title"], "where": where, "order": [{"column": "id"}]}}).encode())
                want = own[who] if j == 5 else [own[who][j]]
                if a.status != 200 or [r["title"] for r in json.loads(a.text)] != want:
                    odd.append((who, where, a.status, a.text[:300]))

        threads = [threading.Thread(target=asks, args=(who, i)) for i, who in enumerate([ANN, BOB] * 2)]
        for t in threads:
            t.start()
        pace(1)
        pg.psql_in("notes", "alter table notes add column more int default 7")
        until(lambda: data(n, "notes", service, {"query": {"from": "notes", "select": ["more"], "limit": 1}}).text == '[{"more":7}]')
        put(folder, "migrations/003.sql", "alter table notes add column still int default 8;\n")
        cli(n, "deploy", folder)
        eq(data(n, "notes", service, {"query": {"from": "notes", "select": ["still"], "limit": 1}}).text, '[{"still":8}]')
        ends.set()
        for t in threads:
            t.join()
        eq(odd, [])
        end()
        gone = until(lambda: (a := reads(n)).status != 200 and a)
        eq((gone.status, gone.fields.get("retry-after")), (503, "1"))
        begin()
        until(lambda: reads(n).status == 200)
        eq(n.events("role-died"), [])
