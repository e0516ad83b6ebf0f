"""What SQLite lacks for a function, a view, a policy, a check or a default: it is deployed, raises 0A000 where it is run, and opens nothing. --strict refuses it."""
from nodes import *
from admin_test import cli
from database_test import ANN, BOB, project, put, query

GAUGE = """set check_function_bodies = off;
create extension if not exists postgis;
create function how_many() returns bigint language sql stable as $$ select count(*) from places $$;
create table places (id int primary key, owner uuid, name text, at geography(point, 4326));
create index on places using gist (at);
alter table places enable row level security;
create policy own on places for select to authenticated using (owner = auth.uid());
insert into places (id, owner, name) values (1, '%s', 'here'), (2, '%s', 'there');
create table secrets (id int primary key, owner uuid, note text);
alter table secrets enable row level security;
create function is_near(a int) returns boolean language sql stable as $$ select st_distance(at, at) < 10 from places where id = a $$;
create policy near on secrets for select to authenticated using (is_near(id));
create policy own on secrets for delete to authenticated using (owner = auth.uid() and pg_backend_pid() > 0);
insert into secrets values (1, '%s', 'hidden');
create view nearby as select p.*, pg_column_compression(p.name) as squeezed from places p;
create table strict_ones (id int primary key, doc jsonb check (jsonb_matches_schema('{}', doc)), made text default pg_current_xact_id()::text);
create function called() returns text language plpgsql as $$ begin perform net.http_post('http://example.org/', '{}'::jsonb); return 'done'; end $$;
select cron.schedule('nightly', '0 3 * * *', 'select called()');
create function within(a int) returns setof places language sql as $$ select * from places where st_dwithin(at, at, a) $$;
"""


def test_lenient():
    folder = project({"migrations/001_gauge.sql": "select 1;\n"})
    with node() as n:
        cli(n, "deploy", folder)
        put(folder, "migrations/002_places.sql", GAUGE % (ANN, BOB, BOB))
        has(cli(n, "deploy", folder, "--strict", code=65), "--strict", "SQLite would not run")
        has(cli(n, "db", "migrate", folder, "--strict", code=65), "extension \"postgis\"", "pg_backend_pid", "--strict")
        check("002_places.sql" in cli(n, "db", "status", folder) and "pending" in cli(n, "db", "status", folder))
        out = cli(n, "deploy", folder)
        has(out, "migrations/002_places.sql:2: raises: extension \"postgis\"", "raises: function is_near raises 0A000 when it is called", "raises: policy \"own\" of \"secrets\"",
            "raises: view \"nearby\" raises 0A000 when it is read", "cron.schedule: recorded, runs when jobs are on", "net.http_post: recorded, runs when jobs are on")
        # What is there works as ever.
        eq(query(n, {"from": "places", "select": ["id", "at"]}, ANN), [{"id": 1, "at": None}])
        eq(query(n, {"from": "places", "select": ["id"], "where": {"column": "at", "op": "is", "value": None}, "order": ["id"]}, "service_role"), [{"id": 1}, {"id": 2}])
        eq(json.loads(cli(n, "db", "query", "select how_many() as n", "--app", "notes", "--json")), [{"n": 2}])
        # What is not raises, and nobody is shown anything by it.
        for tree, who in [({"from": "secrets", "select": ["*"]}, ANN), ({"from": "secrets", "select": ["id"]}, BOB), ({"kind": "delete", "from": "secrets", "where": {"column": "id", "op": "gt", "value": 0}}, BOB),
                          ({"from": "nearby", "select": ["*"]}, "service_role"), ({"from": "nearby", "select": ["id"]}, "service_role"),
                          ({"kind": "call", "function": "is_near", "args": {"a": 1}}, "service_role"), ({"kind": "call", "function": "within", "args": {"a": 1}}, "service_role"),
                          ({"kind": "insert", "from": "strict_ones", "rows": [{"id": 1, "made": "x", "doc": {}}]}, "service_role"), ({"kind": "insert", "from": "strict_ones", "rows": [{"id": 1, "doc": None}]}, "service_role"),
                          ({"kind": "insert", "from": "places", "rows": [{"id": 3, "at": "POINT(1 2)"}]}, "service_role")]:
            said = query(n, tree, who, code=65)
            check("0A000" in said and "hidden" not in said, tree, who, said)
        eq(query(n, {"from": "secrets", "select": ["note"]}, "service_role"), [{"note": "hidden"}])
        eq(query(n, {"from": "secrets", "select": ["note"]}, "anon"), [])
        eq(query(n, {"from": "places", "select": ["id"], "order": ["id"]}, "service_role"), [{"id": 1}, {"id": 2}])
        # It is mended by what comes after it: who depends on it is read anew.
        put(folder, "migrations/003_mended.sql", "create or replace function is_near(a int) returns boolean language sql stable as $$ select a = 1 $$;\n")
        cli(n, "deploy", folder)
        eq(query(n, {"from": "secrets", "select": ["note"]}, ANN), [{"note": "hidden"}])


def test_lenient_mistakes():
    """What PostgreSQL would refuse, too, is no lack of SQLite's."""
    with node() as n:
        for text, state in [("create function f() returns int language sql as 'select nothing_like_it()';", "nothing_like_it"), ("create table t (at geography);", "geography"),
                            ("create function f() returns bigint language sql as 'select count(*) from nowhere';", "nowhere"), ("create table t (id int); create policy p on t using (idd = 1);", "idd"),
                            ("insert into auth.users (id) select pg_backend_pid()::text::uuid;", "pg_backend_pid"), ("create unique index on auth.users (pg_column_compression(id));", "")]:
            folder = project({"migrations/001_a.sql": text})
            has(cli(n, "deploy", folder, code=65), state)
        eq(n.apps(), {})


def test_lenient_check():
    folder = project({"migrations/001_a.sql": GAUGE % (ANN, BOB, BOB), "migrations/002_b.sql": "begin;\nset statement_timeout = 0;\ncreate table k (id int primary key);\ncommit;\ncreate policy later on secrets for update using (true);\nvacuum;\n"})
    code, out, error = orlo("db", "check", folder, "--json")
    said = json.loads(out)
    eq((code, said["ok"], said["needs"]), (0, True, "sqlite-but-for"))
    verdicts = {(s["file"], s["line"]): s["verdict"] for s in said["statements"]}
    lines = {text.split("(")[0][:40]: i + 1 for i, text in enumerate((GAUGE % (ANN, BOB, BOB)).split("\n"))}
    for text, verdict in [("set check", "ignored"), ("create extension", "raises"), ("create function how", "runs"), ("create index", "ignored"), ("create function is_near", "raises"),
                          ("create policy near", "runs"), ("create policy own on secrets", "raises"), ("create view", "raises"), ("create table strict", "raises"), ("select cron", "recorded"),
                          ("create function called", "recorded"), ("insert into places", "runs")]:
        line = next(i for t, i in lines.items() if t.startswith(text))
        eq((text, verdicts["001_a.sql", line]), (text, verdict))
    eq([verdicts["002_b.sql", i] for i in range(1, 7)], ["ignored", "ignored", "runs", "ignored", "runs", "ignored"])
    eq(sum(said["verdicts"].values()), len(said["statements"]))
    code, out, error = orlo("db", "check", folder, "--no-lint")
    has(out, "SQLite runs it but for", "1 recorded" if "1 recorded" in out else "2 recorded")
    check(": lint: " not in out, out)
    kinds = [line.split(": ")[1] for line in out.splitlines() if re.match(r"\S+:\d+:\d+: ", line)]
    eq(kinds, sorted(kinds, key=["remark", "ignored", "recorded", "needs-postgres", "raises", "error"].index))
    code, out, error = orlo("db", "check", folder, "--strict")
    check(code == 65 and ": error: " in out.splitlines()[-3] and "It needs database" in out, code, out)
    code, out, error = orlo("db", "check", folder, "--statements", "--no-lint")
    has(out, "002_b.sql:3: runs: CREATE TABLE", "002_b.sql:6: ignored: VACUUM")
    # A manifest that is refused is no reason to look elsewhere.
    put(folder, "orlo.toml", 'name = "notes"\ndatabase = "sqlite"\nnonsense = 1\nmigrations = 4\n')
    code, out, error = orlo("db", "check", folder)
    check(code != 0 and "orlo.toml" in error, code, out, error)
