"""Migrations that are malicious or too much: each is refused or stopped with its SQLSTATE, its file and its line, and nothing of it is there."""
from nodes import *
from admin_test import cli
from database_test import ANN, project, put, query

LIMITS = 'name = "bombs"\ndatabase = "sqlite"\n[limits]\nmigration_timeout_ms = 1000\n'
ENDLESS = "with recursive r(n) as (select 1 union all select n + 0 from r) "
# A statement of a migration, and the state that it ends with.
BOMBS = [
    (f"insert into sink {ENDLESS} select count(*)::text from r;", "57014"),
    (f"update sink set t = 'x' where exists ({ENDLESS} select 1 from r where n = 2);", "57014"),
    (f"delete from sink where t in ({ENDLESS} select n::text from r where n = 2);", "57014"),
    (f"create table made as {ENDLESS} select n from r;", "57014|53100|53200"),
    ("insert into sink select sum(a * b)::text from generate_series(1, 1000000000) a, generate_series(1, 1000000000) b;", "57014"),
    ("insert into sink select count(*)::text from generate_series(now(), now() + interval '1000000 years', interval '1 microsecond');", "57014|22008"),
    ("insert into sink select regexp_replace(repeat('a', 1000000), '(a+)+$|(a+)+b', 'x', 'g');", "57014|ok"),
    ("insert into sink select regexp_replace(repeat('a', 1000000), '((?=a*b?)a)*$', 'x');", "57014"),
    ("insert into sink select substring(repeat('a', 1000000) from '(a+)+$');", "57014|ok"),
    ("insert into sink select (repeat('a', 10000000) ilike '%b%c%d')::text;", "57014|ok"),
    ("insert into sink select position(repeat('a', 1000000) || 'b' in repeat('a', 8000000))::text;", "57014|ok"),
    ("insert into sink select (repeat('9', 100000)::numeric * repeat('9', 100000)::numeric)::text;", "57014|22003"),
    ("insert into sink select to_tsvector(repeat('word ', 1000000))::text;", "57014|ok"),
    ("insert into sink select ((select jsonb_agg(i) from generate_series(1, 200000) i) @> (select jsonb_agg(-i) from generate_series(1, 200000) i))::text;", "57014|ok"),
    ("insert into sink select crypt('x', gen_salt('bf', 31));", "0A000"),
    ("insert into sink select repeat('x', 2000000000);", "54000"),
    ("insert into sink select lpad('x', 2000000000, 'y');", "54000"),
    ("insert into sink select rpad('x', 2000000000);", "54000"),
    ("insert into sink select array_fill(1, array[100000, 100000])::text;", "54000"),
    ("insert into sink select array_length(string_to_array(repeat(',', 900000000), ','), 1)::text;", "54000"),
    ("insert into sink select format('%2000000000s', 'x');", "54000|22023"),
    ("insert into sink select (10.0 ^ 1000000000)::text;", "22003"),
    ("insert into sink select exp(100000000.0)::text;", "22003"),
    ("insert into sink select power(repeat('9', 1000)::numeric, 120)::text;", "57014|ok"),
    ("insert into sink select factorial(1000000)::text;", "22003|57014"),
    ("insert into sink select ('1e' || '131072')::numeric::text;", "22003"),
    ("insert into sink select to_char(1, repeat('9', 1000000));", "22023"),
    ("insert into sink select repeat('[', 1000000)::jsonb::text;", "54001"),
    ("insert into sink with recursive d(s) as (select 'xxxxxxxxxxxxxxxx' union all select s || s from d) select max(length(s))::text from d;", "54000|53200|57014"),
    ("insert into sink select string_agg(repeat('x', 10000000), '') from generate_series(1, 1000);", "54000|53200|57014"),
    ("insert into sink select array_agg(repeat('x', 1000000))::text from generate_series(1, 10000);", "54000|53200|57014"),
    ("insert into sink select jsonb_agg(repeat('x', 1000000))::text from generate_series(1, 10000);", "54000|53200|57014"),
    ("insert into sink select replace(repeat('x', 1000000), 'x', repeat('y', 1000000));", "54000|57014"),
    ("insert into sink select count(distinct repeat(i::text, 1000))::text from generate_series(1, 100000000) i;", "57014|53200"),
]


def test_dialect_bombs():
    folder = project({"migrations/001_sink.sql": "create table sink (t text);\ninsert into sink values ('a');\n"}, LIMITS)
    with node() as n:
        cli(n, "deploy", folder)
        for i, (bomb, states) in enumerate(BOMBS):
            name = f"{i + 100}_bomb.sql"
            put(folder, "migrations/" + name, "-- one\n\n" + bomb + "\n")
            got, out, error = orlo("db", "migrate", folder, "--state", n.state, timeout=120)
            if got == 0 and "ok" in states:
                continue
            check(got == 65 and any(f"{name}:3: {state}" in error for state in states.split("|")), bomb, states, out, error, n.log()[-1500:])
            has(cli(n, "db", "status", folder), name, "pending")
            os.remove(os.path.join(folder, "migrations", name))
        for name in os.listdir(os.path.join(folder, "migrations")):  # those that were done in time
            if name.endswith("_bomb.sql"):
                os.remove(os.path.join(folder, "migrations", name))
        put(folder, "seed.sql", "insert into sink values ('a');\n" + BOMBS[0][0] + "\n")
        has(cli(n, "db", "reset", folder, "--yes", code=65), "seed.sql:2: 57014", "nothing was changed")
        eq(n.events("role-died"), [])


def test_dialect_with():
    """Parts of WITH that write are statements of their own, with triggers and tables for a moment, in the node's own connection."""
    text = """create table orders (id int primary key, total numeric(8,2), at timestamptz default now());
create table archive (id int, total numeric(8,2));
alter table archive enable row level security;
insert into orders values (1, 1.50), (2, 20), (3, 7);
with old as (delete from orders where id < 3 returning id, total) insert into archive select * from old;
with more as (insert into orders (id, total) values (9, 2.5) returning id, total * 2 as twice) insert into archive select id, twice from more where twice = 5;
"""
    folder = project({"migrations/001_orders.sql": text}, 'name = "notes"\ndatabase = "sqlite"\n')
    with node() as n:
        cli(n, "deploy", folder)
        rows = query(n, {"from": "archive", "select": ["id", "total"], "order": [{"column": "id"}]}, "service_role")
        eq([(r["id"], float(r["total"])) for r in rows], [(1, 1.5), (2, 20.0), (9, 5.0)])
        query(n, {"kind": "insert", "from": "orders", "rows": [{"id": 4, "total": 1}]}, "service_role")  # nothing is left that listens
        eq(len(query(n, {"from": "archive", "select": ["id"]}, "service_role")), 3)


def test_dialect_quota():
    folder = project({"migrations/001_big.sql": "create table big (id int generated always as identity primary key, t text);\n"}, 'name = "notes"\ndatabase = "sqlite"\n[limits]\ndatabase_mb = "1mb"\n')
    with node() as n:
        cli(n, "deploy", folder)
        put(folder, "migrations/002_full.sql", "\ninsert into big (t) select repeat('x', 10000) from generate_series(1, 500);\n")
        has(cli(n, "db", "migrate", folder, code=65), "002_full.sql:2: 53100: ", "(database_mb). nothing of it was applied")
        fills = "insert into big (t) select repeat('x', 10000) from generate_series(1, 500)"
        has(cli(n, "db", "query", "--write", fills, "--app", "notes", code=65), "53100")
        eq(json.loads(cli(n, "db", "query", "select count(*) from big", "--app", "notes")), [{"count": 0}])
        put(folder, "migrations/002_full.sql", "insert into big (t) values (null);\ninsert into big (t) values ('a');\nalter table big alter t set not null;\n")
        has(cli(n, "db", "migrate", folder, code=65), "002_full.sql", "23502")
        put(folder, "migrations/002_full.sql", "insert into big (id, t) overriding system value values (1, 'a');\ninsert into big (id, t) overriding system value values (1, 'a');\n")
        has(cli(n, "db", "migrate", folder, code=65), "002_full.sql:2: 23505")


DEFAULTS = """create sequence sq start 100;
create function twelve() returns int language sql immutable as $$ select 12 $$;
create domain pos as int default 5 check (value > 0);
create table t (id bigint generated by default as identity primary key, u uuid default gen_random_uuid(), owner uuid default auth.uid(), n timestamptz default now(), s bigint default nextval('sq'),
  f int default twelve(), p pos, js jsonb default jsonb_build_object('a', 1), x int default 1 + 2 * 3, tx text default 'a' || upper('b'), later timestamptz default (now() + interval '7 days'), who text default current_user, k text default null);
create table checked (id bigint generated by default as identity primary key, r double precision not null default random(), check (r >= 0));
create function ins() returns bigint language sql volatile as $$ insert into t (x) values (77) returning id $$;
alter table t enable row level security;
create policy p on t for all to authenticated using (true) with check (true);
alter table checked enable row level security;
create policy half on checked for all to authenticated using (true) with check (r < 0.5);
insert into t default values;
insert into t (x) select 5 from generate_series(1, 2);
insert into t (x, p) values (default, default), (1, 2);
alter table t add column added uuid default gen_random_uuid(), add column more pos;
"""


def test_dialect_defaults():
    """Defaults are right whoever writes the row, and are evaluated once."""
    folder = project({"migrations/001_t.sql": DEFAULTS, "seed.sql": "insert into t (x) values (1000);\n"}, 'name = "notes"\ndatabase = "sqlite"\n')
    with node() as n:
        cli(n, "deploy", folder)
        cli(n, "db", "reset", folder, "--yes")
        query(n, {"kind": "insert", "from": "t", "rows": [{}]}, ANN)
        query(n, {"kind": "insert", "from": "t", "rows": [{"x": 1}, {"x": 2}]}, ANN)
        eq(query(n, {"kind": "call", "function": "ins"}, "service_role"), 10)
        rows = query(n, {"from": "t", "select": ["id", "u", "owner", "s", "f", "p", "js", "x", "tx", "who", "k", "added", "more"], "order": [{"column": "id"}]}, "service_role")
        eq([r["id"] for r in rows], list(range(1, 11)))
        eq([r["s"] for r in rows], list(range(100, 110)))
        eq([r["x"] for r in rows], [7, 5, 5, 7, 1, 1000, 7, 1, 2, 77])
        eq([r["p"] for r in rows], [5, 5, 5, 5, 2, 5, 5, 5, 5, 5])
        eq([len({str(r[c]) for r in rows}) for c in ("u", "added", "f", "js", "tx", "k", "more")], [10, 10, 1, 1, 1, 1, 1])
        eq([r["owner"] for r in rows], [None] * 6 + [ANN] * 3 + [None])
        eq([r["who"] for r in rows], ["postgres"] * 6 + ["authenticated"] * 3 + ["service_role"])
        # What a policy has checked is what is written: one random number, not two.
        wrote = 0
        while wrote < 12:
            path = os.path.join(WORK, "query.json")
            with open(path, "w") as f:
                json.dump({"query": {"kind": "insert", "from": "checked", "rows": [{}]}}, f)
            wrote += orlo("db", "query", path, "--app", "notes", "--as", ANN, "--state", n.state, timeout=60)[0] == 0
        rows = query(n, {"from": "checked", "select": ["r"]}, "service_role")
        check(len(rows) == 12 and all(r["r"] < 0.5 for r in rows), rows)


VECTORS = """create extension if not exists vector with schema extensions;
create table documents (id bigint generated always as identity primary key, content text, embedding extensions.vector(3), free vector);
create index on documents using hnsw (embedding vector_cosine_ops) with (m = 16, ef_construction = 64);
create index docs_ivf on documents using ivfflat (embedding vector_ip_ops) with (lists = 100);
alter table documents enable row level security;
create policy seen on documents for select to authenticated using (content <> 'hidden');
create function match_documents(query_embedding vector(3), match_threshold float, match_count int) returns table (id bigint, content text, similarity float)
language plpgsql stable as $$ begin return query select d.id, d.content, 1 - (d.embedding <=> query_embedding) as similarity from documents d
  where 1 - (d.embedding <=> query_embedding) > match_threshold order by d.embedding <=> query_embedding limit match_count; end $$;
insert into documents (content, embedding) values ('x', '[1,0,0]'), ('y', '[0,1,0]'), ('hidden', '[1,0.01,0]'), ('zero', '[0,0,0]');
"""


def test_dialect_vector():
    """pgvector's type: stored, searched by distance under policies, refused where its dimensions are others."""
    folder = project({"migrations/001_vectors.sql": VECTORS}, 'name = "notes"\ndatabase = "sqlite"\n')
    with node() as n:
        has(cli(n, "db", "check", folder), "exact search")
        cli(n, "deploy", folder)
        query(n, {"kind": "insert", "from": "documents", "rows": [{"content": "xy", "embedding": [0.5, 0.5, 0], "free": "[1, 2]"}]}, "service_role")
        found = {"kind": "call", "function": "match_documents", "args": {"query_embedding": [1, 0, 0], "match_threshold": 0.5, "match_count": 5}}
        eq([(r["content"], round(r["similarity"], 4)) for r in query(n, found, "authenticated")], [("x", 1.0), ("xy", 0.7071)])
        eq([r["content"] for r in query(n, found, "service_role")], ["x", "hidden", "xy"])
        rows = json.loads(cli(n, "db", "query", "select content, embedding, free from documents where content = 'xy'", "--app", "notes"))
        eq(rows, [{"content": "xy", "embedding": "[0.5,0.5,0]", "free": "[1,2]"}])
        for what, state in (("'[1,2]'", "22000"), ("'[1,2'", "22P02"), ("array[1,2,3,4]::vector", "22000")):
            has(cli(n, "db", "query", "--write", f"insert into documents (embedding) values ({what})", "--app", "notes", code=65), state)
        put(folder, "migrations/002_more.sql", "alter table documents add column more vector(2) not null default '[0,0]';\nupdate documents set embedding = array[1,2,3] where content = 'y';\n")
        cli(n, "db", "migrate", folder)
        eq(json.loads(cli(n, "db", "query", "select avg(embedding) a, sum(more) s from documents where content in ('x', 'y')", "--app", "notes")), [{"a": "[1,1,1.5]", "s": "[0,0]"}])
        put(folder, "migrations/003_young.sql", "create domain pos as int check (value > 0 and (value is not null or value < 9)::text = 'true');\ncreate type pair as (a int, b pos);\nalter table documents add column p pos, add column day date default (now() at time zone 'utc')::date;\n")
        cli(n, "db", "migrate", folder)
        dump = cli(n, "db", "dump", "--app", "notes")
        has(dump, "vector(3)", "[0.5,0.5,0]", "(now() AT TIME ZONE 'utc')::date", "(value IS NOT NULL OR value < 9)::text")
        check(dump.index("create domain") < dump.index("create type") < dump.index("create table"), "an older table has a column of a younger type", dump)


TEMPORARY = """create table orgs (id int primary key, slug text);
create table members (org int references orgs, name text);
insert into orgs values (1, 'a'), (2, 'a'), (3, 'b');
insert into members values (1, 'x'), (2, 'y'), (2, 'z'), (3, 'w');
begin;
create temp table moved on commit drop as select o.id as old, (select min(k.id) from orgs k where k.slug = o.slug) as kept from orgs o;
create index on moved (old);
create temporary table seen (n int default 7, what text);
insert into seen (what) select slug from orgs where id in (select kept from moved);
create function pg_temp.twice(n int) returns int language sql as $$ select n * 2 $$;
create function pg_temp.same(n int) returns int language plpgsql as $$ begin return pg_temp.twice(n) - n + (select count(*) from pg_temp.moved where false); end $$;
select pg_temp.same(3);
update members m set org = pg_temp.same(v.kept) from moved v where v.old = m.org and v.kept <> v.old;
do $$ declare n int; begin
  select count(*) into n from moved v where v.old <> v.kept;
  if n <> 1 then raise exception 'moved %', n; end if;
  delete from orgs o using moved v where o.id = v.old and v.kept <> v.old;
end $$;
commit;
create table after_all as select n + pg_temp.twice(4) as n, what from seen;
create temp table moved (other text);
insert into moved values ('of its own');
insert into after_all (n, what) select 1, other from moved;
"""


def test_dialect_temporary():
    """Temporary tables, and what is put into pg_temp, are there while the files are read, and nowhere afterwards."""
    folder = project({"migrations/001_orgs.sql": TEMPORARY, "migrations/002_more.sql": "create temp table moved2 as select 1 as x;\ninsert into after_all (n) select x from moved2;\n"}, 'name = "notes"\ndatabase = "sqlite"\n')
    with node() as n:
        cli(n, "deploy", folder)
        asked = lambda sql: json.loads(cli(n, "db", "query", sql, "--app", "notes"))
        eq(asked("select org, name from members order by name"), [{"org": 3, "name": "w"}, {"org": 1, "name": "x"}, {"org": 1, "name": "y"}, {"org": 1, "name": "z"}])
        eq(asked("select n, what from after_all order by n, what"), [{"n": 1, "what": "of its own"}, {"n": 1, "what": None}, {"n": 15, "what": "a"}, {"n": 15, "what": "b"}])
        eq(asked("select relname from pg_class where relname in ('moved', 'seen', 'moved2')"), [])
        eq(asked("select nspname from pg_namespace where nspname = 'pg_temp'"), [])
        has(cli(n, "db", "query", "select * from moved", "--app", "notes", code=65), "42P01")
        put(folder, "migrations/003_again.sql", "create temp table moved as select 1 as x;\nselect * from seen;\n")
        has(cli(n, "db", "migrate", folder, code=65), "42P01")


COMPOSITES = r"""create type pair as (a int, b text, at date, f float8, raw bytea, ok boolean);
create type outerp as (p pair, n numeric(6,2), tags text[]);
create table holders (id int primary key, p pair, q pair default row(7, 'd', null, 0.5, '\x01', true)::pair, o outerp, many pair[]);
insert into holders (id, p) values (1, row(1, 'x,"y', '2024-01-02', 1.1, '\x00ff', true));
insert into holders (id, p, o) values (2, '(2,"a b",,,,f)', row(row(5, 'in', null, null, null, null)::pair, 1.239, array['t', 'u']));
insert into holders select 3, row(3, 'z', null, null, null, null)::pair, null, null, array[row(1, 'm', null, null, null, null)::pair, null];
update holders set p.b = 'new', p.f = 2 where id = 3;
create view seen as select id, p, (p).b as pb from holders;
"""


def test_dialect_composite():
    """Columns of composite types, within each other and in arrays: what PostgreSQL 15 says of them."""
    folder = project({"migrations/001_pairs.sql": COMPOSITES}, 'name = "notes"\ndatabase = "sqlite"\n')
    with node() as n:
        cli(n, "deploy", folder)
        asked = lambda sql: [tuple(r.values()) for r in json.loads(cli(n, "db", "query", sql, "--app", "notes"))]
        eq(asked("select p::text, o::text, many::text from holders order by id"), [(r'(1,"x,""y",2024-01-02,1.1,"\\x00ff",t)', None, None), ('(2,"a b",,,,f)', '("(5,in,,,,)",1.24,"{t,u}")', None), ("(3,new,,2,,)", None, '{"(1,m,,,,)",NULL}')])
        eq(asked("select (p).a, (p).at, (p).f, (p).raw, (p).ok, (q).b as x, ((o).p).b as y from holders order by id"), [(1, "2024-01-02", 1.1, "\\x00ff", True, "d", None), (2, None, None, None, False, "d", "in"), (3, None, 2, None, None, None, None)])
        eq(asked("select id, pb, (p).b as x from seen where (p).a > 1 order by id"), [(2, "a b", "a b"), (3, "new", "new")])
        eq(asked("select (many[1]).b, to_jsonb(p) ->> 'b' from holders where id = 3"), [("m", "new")])
        eq(query(n, {"from": "holders", "select": ["p"], "where": {"column": "id", "op": "eq", "value": 2}}, "service_role"), [{"p": {"a": 2, "b": "a b", "at": None, "f": None, "raw": None, "ok": False}}])
        query(n, {"kind": "insert", "from": "holders", "rows": [{"id": 10, "p": {"b": "via \"json\"", "a": 1}, "many": [{"a": 2}, "(3,text,,,,)"], "o": {"p": {"b": "in"}, "tags": ["x"]}}]}, "service_role")
        eq(asked("select p::text, many::text, o::text from holders where id = 10"), [('(1,"via ""json""",,,,)', '{"(2,,,,,)","(3,text,,,,)"}', '("(,in,,,,)",,{x})')])
        for bad, state in (("'(1,2)'", "22P02"), ("'1'", "22P02"), ("row(1)", "42804"), ("'(x,b,,,,)'", "22P02")):
            has(cli(n, "db", "query", "--write", f"insert into holders (id, p) values (99, {bad})", "--app", "notes", code=65), state)
        nulls = "select id, p is null as a, p is not null as b, (many[1] is null) as c, (o).p is null as d, not (o is null) as e from holders order by id"
        query(n, {"kind": "insert", "from": "holders", "rows": [{"id": 11, "p": "(,,,,,)", "o": "(,,)"}]}, "service_role")
        eq(asked(nulls), [(1, False, True, True, True, False), (2, False, False, True, False, True), (3, False, False, False, True, False), (10, False, False, False, False, True), (11, True, False, True, True, False)])
        put(folder, "migrations/002_drop.sql", "drop type pair;\n")
        has(cli(n, "db", "migrate", folder, code=65), "2BP01")
