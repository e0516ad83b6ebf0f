"""What is bad, or means to be, through the real program: migrations, query trees, sizes, bombs, time. Each as a table of cases: what is sent, the SQLSTATE, what is said."""
import shutil

from nodes import *
from admin_test import cli
from database_test import project, put

ANN, BOB = "6f1c0a52-9d5e-4f0c-8f57-0d7b8b0a7a11", "7f1c0a52-9d5e-4f0c-8f57-0d7b8b0a7a12"
MANIFEST = 'name = "notes"\ndatabase = "sqlite"\n'


# ---- migrations ------------------------------------------------------------------------------------------------------

# What may do harm: (statement, SQLSTATE, what is said). None of them is applied, nor what stands beside it; the place is the second line.
MALICIOUS = [
    ("attach database '/tmp/x' as y", "42601", "syntax error"),
    ("detach database main", "42601", "syntax error"),
    ("pragma journal_mode = off", "42601", "syntax error"),
    ("pragma writable_schema = 1", "42601", "syntax error"),
    ("vacuum into '/tmp/x'", "42601", "syntax error"),
    ("reindex", "", ""),
    ("select load_extension('/tmp/x')", "42883", "load_extension"),
    ("select readfile('/etc/passwd')", "42883", "readfile"),
    ("select writefile('/tmp/x', 'x')", "42883", "writefile"),
    ("select pg_read_file('/etc/passwd')", "0A000", "pg_read_file"),
    ("select pg_ls_dir('/')", "0A000", "pg_ls_dir"),
    ("select lo_import('/etc/passwd')", "0A000", "lo_import"),
    ("select pg_sleep(3600)", "0A000", "pg_sleep"),
    ("select pg_terminate_backend(1)", "0A000", "pg_terminate_backend"),
    ("select dblink('host=x', 'select 1')", "42883", "dblink"),
    ("select sqlite_version()", "42883", "sqlite_version"),
    ("select json_extract('{}', '$')", "42883", "json_extract"),
    ("select fts3_tokenizer('x')", "42883", "fts3_tokenizer"),
    ("copy t from program 'id'", "42501", ""),
    ("copy t to program 'id'", "42501", ""),
    ("copy t from '/etc/passwd'", "42501", ""),
    ("copy t to '/tmp/x'", "42501", ""),
    ("set role postgres", "0A000", "leave it out"),
    ("set role service_role", "0A000", "leave it out"),
    ("set session authorization postgres", "0A000", "leave it out"),
    ("alter system set shared_buffers = '1GB'", "42501", ""),
    ("alter database postgres set x.y = 'z'", "", ""),
    ("load '/tmp/x'", "", ""),
    ("create role boss superuser", "42501", ""),
    ("create role boss login bypassrls", "42501", ""),
    ("alter role authenticated bypassrls", "42501", ""),
    ("alter role anon superuser", "42501", ""),
    ("drop role anon", "", ""),
    ("grant service_role to anon", "42501", ""),
    ("grant postgres to authenticated", "42501", ""),
    ("grant supabase_admin to authenticated", "42501", ""),
    ("create or replace function auth.uid() returns uuid language sql as $$ select null::uuid $$", "42501", "auth"),
    ("create function auth.mine() returns uuid language sql as $$ select null::uuid $$", "42501", "auth"),
    ("create or replace function pg_catalog.lower(text) returns text language sql as $$ select $1 $$", "3F000", "pg_catalog"),
    ("create function f() returns int language c as '/tmp/x.so', 'f'", "", ""),
    ("create function f() returns int language internal as 'pg_read_file'", "", ""),
    ("create extension plpython3u", "42501", "reaches outside"),
    ("create language plpython3u", "", ""),
    ("drop function auth.uid()", "", ""),
    ("drop schema auth cascade", "", ""),
    ("drop schema storage cascade", "", ""),
    ("drop schema public cascade", "", ""),
    ("drop schema pg_catalog cascade", "", ""),
    ("drop table auth.users cascade", "42501", ""),
    ("drop table storage.objects", "42501", ""),
    ("alter table auth.users drop column email", "42501", ""),
    ("alter table auth.users disable row level security", "42501", ""),
    ("alter table auth.users owner to anon", "42501", ""),
    ("alter table auth.users rename to people", "42501", ""),
    ("alter table auth.users set schema public", "42501", ""),
    ("alter schema auth rename to a", "", ""),
    ("create table auth.mine (id int)", "42501", ""),
    ("create table pg_catalog.mine (id int)", "3F000", ""),
    ("create table information_schema.mine (id int)", "3F000", ""),
    ("create policy p on auth.users for select using (true)", "42501", ""),
    ("create trigger t after insert on auth.users for each row execute function f()", "", ""),
    ("create index on auth.users (email)", "42501", ""),
    ("drop extension plpgsql", "", ""),
    ("create foreign data wrapper w", "", ""),
    ("create server s foreign data wrapper w", "", ""),
    ("create subscription s connection 'host=x' publication p", "", ""),
    ("create database d", "", ""),
    ("create tablespace s location '/tmp'", "", ""),
    ("create event trigger e on ddl_command_end execute function f()", "", ""),
    ("create rule r as on insert to t do instead nothing", "", ""),
    ("create cast (int as text) without function", "", ""),
    ("create operator = (leftarg = int, rightarg = text, function = f)", "", ""),
    ("select * from sqlite_master", "42P01", "sqlite_master"),
    ("select * from sqlite_schema", "42P01", "sqlite_schema"),
    ("select * from pragma_table_info('t')", "", ""),
    ("select * from dbstat", "42P01", "dbstat"),
    ("insert into sqlite_sequence values ('t', 1)", "42P01", "sqlite_sequence"),
    ("select * from _orlo_meta", "42P01", "_orlo_meta"),
    ("update _orlo_meta set value = ''", "42P01", "_orlo_meta"),
    ("delete from _orlo_migrations", "42P01", "_orlo_migrations"),
    ("drop table _orlo_changes", "42P01", "_orlo_changes"),
    ("create view v as select * from _orlo_meta", "42P01", "_orlo_meta"),
    ("begin; rollback; create table r (id int)", "2D000", "ROLLBACK"),
    ("savepoint s", "", ""),
    ("prepare transaction 'x'", "", ""),
    ("execute p", "", ""),
    ("declare c cursor for select 1", "", ""),
    ("security label on table t is 'x'", "", ""),
    ("import foreign schema s from server x into public", "", ""),
    ("checkpoint", "", ""),
    ("listen x", "", ""),
    ("do $$ begin execute 'copy t to program ''id'''; end $$", "", ""),
    ("select set_config('role', 'postgres', false)", "42501", "permission denied to set parameter"),
    ("select set_config('session_authorization', 'postgres', false)", "42501", ""),
    ("explain analyze select 1", "", ""),
]

NAMES = ['"a b"', '"a""b"', "\"a'b\"", '"a;drop table t"', '"a]b"', '"a`b"', '"--"', '"/*"', '"ünï"', '"日本"', '"\U0001f600"', '"select"', '"TABLE"', '"a.b"', '"public.t"', '"%s"', '"\\"', '"\u202e"', '"$1"', '"?1"', '" "', '"rowid"', '"_rowid_"',
         '"oid"', '"new"', '"old"', '"excluded"', '"main"', '"temp"', '"json_each"', '"pg_x"', '"auth"', '"a' + "x" * 62 + '"', '"_orlo"', '"c1"', '"a0"', '"value"', '"key"', '"rank"', '"docid"', '"sqlite_master"', '"sqlite_Mine"', '"_orlo_meta"', '"_ORLO_changes"', '"Key"', '"KEY"', '"dbstat"', '"pragma_table_info"']


def test_database_malicious_migrations():
    """Each alone, behind a statement that is good: the place is told, and nothing of either is there."""
    folder = project({"migrations/1_t.sql": "create table t (id int primary key);\n"}, MANIFEST)
    wrong = []
    with node("--workers", "1") as n:
        cli(n, "deploy", folder)
        before = cli(n, "db", "dump", "--app", "notes")
        for statement, state, words in MALICIOUS[::6 if SANITIZED else 1]:
            put(folder, "migrations/2_bad.sql", "create table good (id int primary key);\n" + statement + ";\n")
            code, out, error = orlo("db", "migrate", folder, "--state", n.state, timeout=120)
            said = out + error
            if code != 65 or state not in said or words not in said or "2_bad.sql:2:" not in said:
                wrong.append((statement, state, code, said[:300]))
        check(not wrong, *wrong)
        eq(cli(n, "db", "dump", "--app", "notes"), before)
        eq(n.events("role-died"), [])


def test_database_hostile_names():
    """Tables, columns, indexes, policies and keys of names that mean something elsewhere: they are names, and the rows are found by them."""
    folder = project({"migrations/1_t.sql": "create table t (id int primary key);\n"}, MANIFEST)
    sql, plain = "", [json.loads(x.replace('""', '\\"').replace("\\\\", "\\").replace("\\", "\\\\") if "\\" in x else x.replace('""', "\\u0022")) for x in NAMES]
    for name in NAMES:
        sql += f"create table {name} ({name} int primary key, n int);\nalter table {name} enable row level security;\ncreate policy {name} on {name} using ({name} = n);\n"
        sql += f"insert into {name} ({name}, n) values (1, 1), (2, 1);\ncreate index on {name} (n, {name});\n"
    folder = project({"migrations/1_t.sql": "create schema app; grant usage on schema app to anon;" + sql}, MANIFEST)
    with node("--workers", "1") as n:
        cli(n, "deploy", folder)
        for name in plain:
            eq((name, ask(n, "anon", {"from": name, "select": [name, {"column": name, "as": name + "'\";--"}], "where": {"column": name, "op": "gte", "value": 0}, "order": [name]})), (name, [{name: 1, name + "'\";--": 1}]))
            eq(ask(n, "anon", {"kind": "update", "from": name, "set": {"n": 1}, "where": {"column": name, "op": "eq", "value": 1}, "select": [name]}), [{name: 1}])
            eq(state_of(ask(n, "anon", {"kind": "insert", "from": name, "rows": [{name: 3, "n": 4}]})), "42501")
        dump = cli(n, "db", "dump", "--app", "notes")
        path = os.path.join(WORK, "names.sql")
        with open(path, "w") as f:
            f.write(dump)
        cli(n, "db", "restore", path, "--app", "notes", "--yes")
        eq(cli(n, "db", "dump", "--app", "notes"), dump)
        has(cli(n, "db", "types", "--app", "notes"), "Database")


# Names that are refused, or are the same as another: (file, SQLSTATE, what is said).
CLASHES = [
    ("create table t (id int);", "42P07", '"t" already exists'), ('create table "a\\0b" (id int)' + "\0;", "22021", "0x00"),
    ("create table u (id int, id int);", "42701", ""), ("create type e as enum ('a', 'a');", "", ""), ("create table u ();alter table u add column id int, add column id int;", "42701", ""), ("create function f() returns int language sql as 'select 1'; create function f() returns int language sql as 'select 2';", "42723", ""),
    ("create index i on t (id); create index i on t (id);", "42P07", ""), ("create policy p on t using (true); create policy p on t using (true);", "42710", ""), ("create view t as select 1 as id;", "", "t"), ("create schema app; create schema app;", "42P06", ""), ("create role r1; create role r1;", "42710", ""), ("create sequence t;", "42P07", ""),
    ('create table "' + "x" * 64 + '" (id int); create table "' + "x" * 63 + 'y" (id int);', "42P07", ""),
]


def test_database_names_that_clash():
    folder = project({"migrations/1_t.sql": "create table t (id int primary key);\n"}, MANIFEST)
    wrong = []
    with node("--workers", "1") as n:
        cli(n, "deploy", folder)
        for sql, state, words in CLASHES:
            put(folder, "migrations/2_bad.sql", sql)
            code, out, error = orlo("db", "migrate", folder, "--state", n.state, timeout=120)
            if code != 65 or state not in out + error or words not in out + error:
                wrong.append((sql[:80], state, code, (out + error)[-300:]))
        check(not wrong, *wrong)


# ---- query trees -----------------------------------------------------------------------------------------------------


def ask(n, who, tree, **more):
    """The answer, or {"code": …}: as `orlo db query --as` asks."""
    path = os.path.join(WORK, "hostile.json")
    with open(path, "w") as f:
        f.write(tree if isinstance(tree, str) else json.dumps({"query": tree, **more}))
    code, out, error = orlo("db", "query", path, "--app", "notes", "--as", who, "--state", n.state, timeout=120)
    return json.loads(out) if code == 0 and out.strip() else None if code == 0 else {"code": error}


def state_of(answer):
    found = re.search(r"\b([0-9A-Z]{5}|PGRST\d+)\b", answer["code"]) if isinstance(answer, dict) else None
    return found and found[1]


def door(n, body, key, app="notes", **fields):
    """POST /data/v1/query: (status, JSON)."""
    c = http.client.HTTPConnection("127.0.0.1", n.port, timeout=120)
    headers = {"Host": f"{app}.localhost", "content-type": "application/json", **({"apikey": key} if key else {}), **fields}
    c.request("POST", "/data/v1/query", body if isinstance(body, (str, bytes)) else json.dumps(body), headers)
    r = c.getresponse()
    text = r.read()
    c.close()
    try:
        return r.status, json.loads(text) if text else None
    except ValueError:
        return r.status, {"code": "no JSON", "message": text[:200].decode("utf-8", "replace")}


def keys(n, app="notes"):
    c = Socket(n.state)
    got = say(c, "GET", f"/v1/apps/{app}/keys").json
    c.close()
    return got


DOOR = """create table t (id int primary key, owner uuid, title text, j jsonb, n numeric, body text);
alter table t enable row level security;
create policy own on t using (owner = auth.uid());
create policy pub on t for select using (title = 'public');
insert into t select i, case when i %% 2 = 0 then '%s'::uuid else '%s'::uuid end, case when i <= 3 then 'public' else 'hidden ' || i end, '{"a": 1}', i, repeat('a', 100) from generate_series(1, 200) as g (i);
create function slow(n int) returns bigint language sql stable as $$ select count(*) from generate_series(1, n) a, generate_series(1, n) b $$;
create function deep(n int) returns bigint language sql stable as $$ with recursive r (i) as (select 1 union all select i + 1 from r where i < n) select count(*) from r $$;
create function big(n int) returns text language sql stable as $$ select repeat('x', n) $$;
create function rows_of(n int) returns setof int language sql stable as $$ select generate_series(1, n) $$;
create function pattern(a text, b text) returns boolean language sql stable as $$ select a ~ b $$;
create table locked (id int primary key, secret text);
alter table locked enable row level security;
insert into locked values (1, 'hidden');
revoke all on locked from anon, authenticated;
create table counters (id int primary key, n int, secret text);
insert into counters values (1, 0, 'hidden');
revoke all on counters from anon, authenticated;
create function bump(i int) returns setof text language sql as $$ update counters set n = n + 1 where id = i returning secret $$;
""" % (ANN, BOB)


def nested(levels, leaf='{"column": "id", "op": "eq", "value": 1}'):
    return '{"query": {"from": "t", "select": ["id"], "where": ' + '{"not": ' * levels + leaf + "}" * levels + "}}"


# What is asked at the door by anon: (what, body, status, code, part of the message).
TREES = [
    ("nothing", "", 400, "", ""), ("no json", "{", 400, "PGRST102", "line 1, column 2"), ("not an object", "[]", 400, "", ""), ("a number", "7", 400, "", ""), ("no query", "{}", 400, "PGRST100", ""), ("both", '{"query": {"from": "t"}, "batch": []}', 400, "PGRST100", ""), ("unknown member", '{"query": {"from": "t"}, "x": 1}', 400, "PGRST100", "x"),
    ("unknown in the tree", '{"query": {"from": "t", "wehre": []}}', 400, "PGRST100", "wehre"), ("a kind", '{"query": {"kind": "drop", "from": "t"}}', 400, "PGRST100", ""), ("no from", '{"query": {"kind": "select"}}', 400, "PGRST100", ""), ("from a number", '{"query": {"from": 1}}', 400, "PGRST100", ""), ("an operator", {"query": {"from": "t", "where": {"column": "id", "op": "; drop", "value": 1}}}, 400, "PGRST100", ""),
    ("bad utf-8", b'{"query": {"from": "t\xff"}}', 400, "", ""), ("a nul", '{"query": {"from": "t\\u0000"}}', 400, "", ""), ("half a surrogate", '{"query": {"from": "t\\ud800"}}', 400, "", ""), ("trailing", '{"query": {"from": "t"}} x', 400, "PGRST102", "line 1"), ("a comment", '{"query": {"from": "t"} /* */}', 400, "PGRST102", ""),
    ("deep json", "[" * 100000, 500, "54001", "levels"), ("deep where", nested(5000), 500, "54001", "levels"), ("where as deep as may be", nested(30), 200, "", ""), ("an embed in itself", '{"query": {"from": "t", "select": [' + '{"embed": "t", "select": [' * 20 + '"id"' + "]}" * 20 + "]}}", 500, "54001", "embeds of more than 8 levels"), ("a long batch", {"batch": [{"from": "t", "limit": 1}] * 1001}, 400, "PGRST100", "a batch has at most 1000 queries"),
    ("many items", {"query": {"from": "t", "select": ["id"] * 5000}}, 400, "", ""), ("many values", {"query": {"from": "t", "select": ["id"], "where": {"column": "id", "op": "in", "values": list(range(40000))}}}, 400, "", ""), ("a long name", {"query": {"from": "x" * 100000}}, 400, "PGRST100", ""), ("a name that is SQL", {"query": {"from": 't" where 1=1; drop table t;--'}}, 404, "", ""),
    ("a schema that is SQLite's", {"query": {"schema": "main", "from": "t"}}, 404, "PGRST205", ""), ("temp", {"query": {"schema": "temp", "from": "t"}}, 404, "PGRST205", ""), ("sqlite_master", {"query": {"from": "sqlite_master"}}, 404, "", ""), ("sqlite_schema", {"query": {"from": "sqlite_schema"}}, 404, "", ""), ("the platform's", {"query": {"from": "_orlo_meta"}}, 404, "", ""), ("changes", {"query": {"from": "_orlo_changes"}}, 404, "", ""),
    ("a stored name", {"query": {"from": "auth.users"}}, 404, "", ""), ("auth", {"query": {"schema": "auth", "from": "users"}}, 401, "42501", ""), ("locked", {"query": {"from": "locked"}}, 401, "42501", "permission denied for table locked"), ("a column that is SQL", {"query": {"from": "t", "select": ['id" from locked--']}}, 400, "42703", ""), ("rowid", {"query": {"from": "t", "select": ["rowid"]}}, 400, "42703", ""),
    ("_orlo_p", {"query": {"from": "t", "select": ["_orlo_p"]}}, 400, "42703", ""), ("_orlo_k", {"query": {"from": "t", "select": ["_orlo_k"], "where": {"column": "_orlo_p", "op": "eq", "value": 0}}}, 400, "42703", ""), ("ctid", {"query": {"from": "t", "select": ["ctid"]}}, 400, "42703", ""), ("a cast that is SQL", {"query": {"from": "t", "select": [{"column": "id", "cast": "text); drop table t"}]}}, 400, "42704", ""),
    ("an aggregate that is SQL", {"query": {"from": "t", "select": [{"aggregate": "count(*) from locked--"}]}}, 400, "", ""), ("load_extension", {"query": {"kind": "call", "function": "load_extension", "args": {"a": "x"}}}, 404, "", ""), ("a function of SQLite's", {"query": {"kind": "call", "function": "sqlite_version", "args": {}}}, 404, "", ""), ("pg_nextval", {"query": {"kind": "call", "function": "pg_nextval", "args": {"a": 1}}}, 404, "", ""),
    ("current_setting", {"query": {"kind": "call", "schema": "pg_catalog", "function": "set_config", "args": {"a": "role", "b": "postgres", "c": True}}}, 404, "PGRST202", ""), ("a value that is SQL", {"query": {"from": "t", "select": ["id"], "where": {"column": "title", "op": "eq", "value": "' or 1=1 --"}}}, 200, "", "[]"), ("a limit that is text", {"query": {"from": "t", "limit": "1; drop table t"}}, 400, "PGRST100", ""),
    ("a limit without end", '{"query": {"from": "t", "select": ["id"], "order": ["id"], "limit": 99999999999999999999}}', 400, "", ""), ("a limit of a half", {"query": {"from": "t", "limit": 0.5}}, 400, "", ""), ("a regular expression", {"query": {"kind": "call", "function": "pattern", "args": {"a": "a" * 60, "b": "(a|aa|a?)+$b"}}}, 200, "", "false"), ("a broken one", {"query": {"from": "t", "where": {"column": "title", "op": "match", "value": "["}}}, 400, "2201B", ""),
    ("a great one", {"query": {"from": "t", "select": ["id"], "where": {"column": "title", "op": "match", "value": "(" * 10000 + ")" * 10000}}}, 400, "", ""), ("one that repeats", {"query": {"from": "t", "select": ["id"], "where": {"column": "title", "op": "match", "value": "(((x{1,255}){1,255}){1,255}){1,255}"}}}, 400, "", ""), ("a pattern", {"query": {"from": "t", "select": ["id"], "where": {"column": "body", "op": "like", "value": "%a" * 10000 + "b"}}}, 200, "", "[]"),
    ("a product", {"query": {"kind": "call", "function": "slow", "args": {"n": 1000000}}}, 504, "57014", "canceling statement due to statement timeout"), ("a recursion", {"query": {"kind": "call", "function": "deep", "args": {"n": 2000000000}}}, 504, "57014", ""), ("a great text", {"query": {"kind": "call", "function": "big", "args": {"n": 1000000000}}}, 500, "54000", ""), ("a text of 20 MB", {"query": {"kind": "call", "function": "big", "args": {"n": 20000000}}}, 500, "54000", ""),
    ("rows without end", {"query": {"kind": "call", "function": "rows_of", "args": {"n": 2000000000}}}, None, "", ""), ("search without words", {"query": {"from": "t", "select": ["id"], "where": {"column": "title", "op": "fts", "value": "&" * 1000}}}, 400, "42601", ""), ("a deep search", {"query": {"from": "t", "select": ["id"], "where": {"column": "title", "op": "fts", "value": "(" * 50000 + "a" + ")" * 50000}}}, 500, "54001", "stack depth limit exceeded"),
    ("json that is deep", {"query": {"from": "t", "select": ["id"], "where": {"column": "j", "op": "cs", "value": "[" * 10000 + "]" * 10000}}}, 500, "54001", ""), ("an array that is wide", {"query": {"kind": "insert", "from": "t", "rows": [{"id": i} for i in range(20000)]}}, 401, "42501", ""), ("a path of a path", {"query": {"from": "t", "select": [{"column": "j", "path": ["a"] * 1000}]}}, None, "", ""), ("an index of a path", '{"query": {"from": "t", "select": [{"column": "j", "path": [99999999999999999999999]}], "limit": 1}}', 400, "", ""),
    # What is taken for something that it is not.
    ("rows that are none", {"query": {"kind": "insert", "from": "t", "rows": [[1]]}}, 400, "PGRST102", ""),
    ("a row that is a number", {"query": {"kind": "insert", "from": "t", "rows": [7, {"id": 1}]}}, 400, "PGRST102", ""),
    ("an update by a list", {"query": {"kind": "update", "from": "t", "values": [1], "where": {"column": "id", "op": "eq", "value": 1}}}, 400, "", ""),
    ("a row of many members", {"query": {"kind": "insert", "from": "t", "rows": [{f"a{i}": 1 for i in range(100000)}]}}, 500, "54011", ""),
    ("nothing of a plain value", {"query": {"kind": "call", "function": "pattern", "args": {"a": "a", "b": "a"}, "select": [], "readOnly": True}}, None, "", ""),
    ("nothing of a plain value, written", {"query": {"kind": "call", "function": "pattern", "args": {"a": "a", "b": "a"}, "select": []}}, None, "", ""),
    ("the key of a plain value", {"query": {"kind": "call", "function": "pattern", "args": {"a": "a", "b": "a"}, "select": [{"key": True}]}}, None, "", ""),
    *((f"an average as {to}", {"query": {"from": "t", "select": [{"aggregate": "avg", "column": "id", "castAfter": to}]}}, 400, "42846", "") for to in ("time", "date", "timestamptz", "uuid", "bytea")),
    *((f"a count as {to}", {"query": {"from": "t", "select": [{"aggregate": "count", "castAfter": to}]}}, 400, "42846", "") for to in ("bytea", "integer[]", "interval", "jsonb")),
    ("what a locked table is", {"query": {"kind": "describe", "from": "locked"}}, 200, "", '"tables": []'),
    ("a function that writes what its caller may not", {"query": {"kind": "call", "function": "bump", "args": {"i": 1}}}, 401, "42501", "counters"),
]


def test_database_door_hostile():
    folder = project({"migrations/1_t.sql": DOOR}, MANIFEST + f'[limits]\ndata_timeout_ms = "{10 if SANITIZED else 2}s"\n')
    wrong = []
    with node("--workers", "1") as n:
        cli(n, "deploy", folder)
        key = keys(n)["anon"]
        good = (200, [{"id": 1}, {"id": 2}, {"id": 3}])
        for what, body, status, code, words in TREES:
            got = door(n, body, key)
            text = json.dumps(got[1])
            check("no JSON" not in text, what, got)
            if status and got[0] != status or not status and got[0] >= 500 and got[0] != 504 and got[1].get("code") != "53200" or got[0] != 200 and (code not in got[1].get("code", "") or words not in text) or got[0] == 200 and words not in text or "XX" in str(got[1])[:20] or "sqlite" in text.lower() and what not in ("sqlite_master", "sqlite_schema", "a function of SQLite's"):
                wrong.append((what, status, code, got[0], text[:300]))
        check(not wrong, *wrong)
        # REST's own ways in: bodies and addresses of very many small pieces.
        for method, path, kind, body in (("POST", "/rest/v1/t", "text/csv", "a\n" + '""\n' * 100000), ("POST", "/rest/v1/t", "application/json", json.dumps({f"a{i}": 1 for i in range(100000)})),
                                         ("GET", "/rest/v1/t?select=id&id=in.(" + ",".join(['"1"'] * 1000) + ")", "application/json", ""),
                                         ("GET", "/rest/v1/t?select=id&limit=9223372036854775807&offset=9223372036854775807", "application/json", "")):
            c = http.client.HTTPConnection("127.0.0.1", n.port, timeout=120)
            c.request(method, path, body, {"Host": "notes.localhost", "apikey": key, "content-type": kind, "range": "0-9"})
            r = c.getresponse()
            said = r.read()
            check(r.status in (200, 400, 401, 413, 416) or b"54011" in said, method, path[:60], r.status, said[:300])
            c.close()
        eq(door(n, {"query": {"from": "t", "select": ["id"], "order": ["id"]}}, key), good)
        eq(n.events("role-died"), [])
        # No key, a wrong one, another app's, another method, too much.
        eq(door(n, {"query": {"from": "t"}}, None)[0], 401)
        eq(door(n, {"query": {"from": "t"}}, "guessed")[0], 401)
        eq(door(n, b'{"query": {"from": "t", "where": {"column": "title", "op": "eq", "value": "' + b"x" * (17 << 20) + b'"}}}', key)[0], 413)


def test_database_apps_apart():
    """Two apps of the same tables: the key of one opens nothing of the other, whatever host is named."""
    files = {"migrations/1_t.sql": "create table t (id int primary key, what text); alter table t enable row level security; create policy p on t using (true);"}
    with node("--workers", "2") as n:
        for app in ("one", "two"):
            cli(n, "deploy", project(files, f'name = "{app}"\ndatabase = "sqlite"\n'))
            path = os.path.join(WORK, "apart.json")
            with open(path, "w") as f:
                json.dump({"query": {"kind": "insert", "from": "t", "rows": [{"id": 1, "what": app}]}}, f)
            cli(n, "db", "query", path, "--app", app, "--as", "service_role")
        one, two = keys(n, "one"), keys(n, "two")
        tree = {"query": {"from": "t"}}
        for app, key, status in (("one", one["anon"], 200), ("two", two["anon"], 200), ("one", two["anon"], 401), ("two", one["service_role"], 401), ("one", two["service_role"], 401)):
            got = door(n, tree, key, app)
            eq((app, got[0]), (app, status))
            if status == 200:
                eq(got[1], [{"id": 1, "what": app}])
        eq(door(n, tree, one["service_role"], "one", **{"x-forwarded-host": "two.localhost", "authorization": "Bearer " + two["anon"]})[0], 401)  # what Authorization has counts


def test_database_that_computes_and_its_neighbour():
    """Anybody's queries that end never, by the dozen and by the batch: each is ended or given up when its time is over, and another app is answered meanwhile."""
    manifest = 'name = "{}"\ndatabase = "sqlite"\n[limits]\ndata_timeout_ms = "3s"\n'
    slow = {"kind": "call", "function": "slow", "args": {"n": 1000000}}
    with node("--workers", "1") as n:
        for app in ("notes", "calm"):
            cli(n, "deploy", project({"migrations/1_t.sql": DOOR + "create table w (id int); grant all on w to anon;"}, manifest.format(app)))
        key, calm = keys(n)["anon"], keys(n, "calm")["anon"]
        bodies = [{"query": slow}] * 6 + [{"batch": [slow] * 1000}] * 2 + [{"batch": [{"kind": "insert", "from": "w", "rows": [{"id": 1}]}, slow, slow]}] * 2
        got = [None] * len(bodies)
        threads = [threading.Thread(target=lambda i=i: got.__setitem__(i, door(n, bodies[i], key))) for i in range(len(bodies))]
        for t in threads:
            t.start()
        asked = 0
        while any(t.is_alive() for t in threads):
            eq(door(n, {"query": {"from": "t", "select": ["id"], "order": ["id"], "limit": 1}}, calm, "calm"), (200, [{"id": 1}]))
            eq(door(n, {"batch": [{"kind": "insert", "from": "w", "rows": [{"id": 2}]}]}, calm, "calm")[0], 200)
            asked += 1
        check(asked >= 3, asked)
        for status, answer in got:
            check((status, answer["code"]) in ((504, "57014"), (503, "08007")), got)  # those that the others left no time are given up
        for _ in range(100):  # what the store had begun ends, too
            if (said := door(n, {"query": {"from": "w"}}, key))[0] == 200:
                break
        eq(said, (200, []))  # what was written before is undone
        eq(n.events("role-died"), [])


def test_database_filled_by_anybody():
    """A table that anybody may write to, until there is no room: 53100, nothing of that request is there, and what is deleted makes room again."""
    sql = "create table w (id bigint generated by default as identity primary key, t text); alter table w enable row level security; create policy p on w using (true);"
    with node("--workers", "1") as n:
        cli(n, "deploy", project({"migrations/1_t.sql": sql}, MANIFEST + "[limits]\ndatabase_mb = 8\n"))
        cli(n, "deploy", project({"migrations/1_t.sql": sql}, 'name = "calm"\ndatabase = "sqlite"\n'))
        key, calm = keys(n)["anon"], keys(n, "calm")["anon"]
        big, rows = {"query": {"kind": "insert", "from": "w", "rows": [{"t": "x" * 500000}, {"t": "y" * 500000}]}}, 0
        while (said := door(n, big, key))[0] == 200:
            rows += 2
            check(rows < 40, rows)
        eq((said[0], said[1]["code"]), (507, "53100"))
        check(rows >= 4, rows)
        eq(door(n, {"query": {"from": "w", "select": [{"aggregate": "count"}]}}, key), (200, [{"count": rows}]))
        eq(door(n, big, calm, "calm")[0], 200)
        eq(door(n, {"query": {"kind": "delete", "from": "w"}}, key)[0], 200)
        eq(door(n, big, key)[0], 200)
        eq(n.events("role-died"), [])


def test_database_migrations_out_of_order():
    """Edited, gone, early, half valid, the same name in other letters, no name, links out of the folder."""
    good = "create table t (id int primary key);\n"
    folder = project({"migrations/1_a.sql": good, "migrations/3_c.sql": "create table c (id int);\n"}, MANIFEST)
    with node("--workers", "1") as n:
        cli(n, "deploy", folder)
        cases = [({"1_a.sql": good + " "}, "edited since"), ({"2_b.sql": "create table b (id int);"}, "a later name"), ({"3_c.sql": None}, "put the file back"), ({"4_d.sql": "create table d (id int); create table d (id int);"}, "4_d.sql:1:"), ({"4_d.sql": "create table d (id int", "5_e.sql": "create table e (id int);"}, "4_d.sql:1:"),
                 ({"4_d.sql": "\xff\xfe".encode("latin-1")}, "4_d.sql"), ({"4_d.sql": b"\0" * 100}, "4_d.sql"), ({"4_d.sql": b"create table d (id int); -- \xff"}, "4_d.sql")]
        for files, words in cases:
            kept = {name: open(os.path.join(folder, "migrations", name), "rb").read() for name in os.listdir(os.path.join(folder, "migrations"))}
            for name, text in files.items():
                path = os.path.join(folder, "migrations", name)
                if text is None:
                    os.remove(path)
                else:
                    with open(path, "wb") as f:
                        f.write(text if isinstance(text, bytes) else text.encode())
            code, out, error = orlo("deploy", folder, "--state", n.state, timeout=120)
            check(code == 65 and words in out + error, files, code, out, error)
            shutil.rmtree(os.path.join(folder, "migrations"))
            os.makedirs(os.path.join(folder, "migrations"))
            for name, text in kept.items():
                with open(os.path.join(folder, "migrations", name), "wb") as f:
                    f.write(text)
        has(cli(n, "db", "diff", folder), "the database is what the migrations make")
        eq(n.apps()["notes"]["version"], 1)


def test_database_migration_killed():
    """The store, then the node, is killed while a file's last statement goes on: nothing of the file is there, it may be edited, and is applied then."""
    begins = "create table b (id int primary key);\ninsert into b select g from generate_series(1, 1000) as g;\n"
    files = {"migrations/1_t.sql": "create table t (id int primary key);\n"}
    folder, state = project(files, MANIFEST), new_state()

    def begin(n):
        put(folder, "migrations/2_b.sql", begins + "select count(*) from generate_series(1, 1000000) a, generate_series(1, 1000000) b;\n")
        asks = subprocess.Popen([ORLO, "db", "migrate", folder, "--state", n.state], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(lambda: asks.poll() is not None or any(processes.ticks(p) > 50 for p in n.processes("store")))  # it computes: half a second
        check(asks.poll() is None, "it ended before it was killed")
        return asks

    with node(state=state) as n:
        cli(n, "deploy", folder)
        asks = begin(n)
        processes.kill(n.role("store"))
        check(asks.wait(timeout=120) != 0)
        has(cli(n, "db", "status", folder), "2_b.sql", "pending")
        eq(state_of(ask(n, "service_role", {"from": "b"})), "PGRST205")
    n = Node(state)
    asks = begin(n)
    n.kill()
    check(asks.wait(timeout=120) != 0)
    with node(state=state) as n:
        has(cli(n, "db", "status", folder), "2_b.sql", "pending")
        eq(state_of(ask(n, "service_role", {"from": "b"})), "PGRST205")
        put(folder, "migrations/2_b.sql", begins)
        has(cli(n, "db", "migrate", folder), "applied 2_b.sql")
        eq(ask(n, "service_role", {"from": "b", "select": [{"aggregate": "count"}]}), [{"count": 1000}])
