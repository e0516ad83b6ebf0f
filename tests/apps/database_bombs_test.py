"""Migrations that would take all of memory, stack or time."""
from nodes import *
from admin_test import cli
from database_test import project, put

MANIFEST = 'name = "notes"\ndatabase = "sqlite"\n[limits]\nmigration_timeout_ms = "4s"\n'

# ---- bombs -----------------------------------------------------------------------------------------------------------

# Files that are large, deep, or go round: (what, SQL, SQLSTATEs that may be said; none: it is applied).
BOMBS = [
    ("deep parentheses", "select " + "(" * 5000 + "1" + ")" * 5000, []),
    ("deep not", "select " + "not " * 20000 + "true", ["54001"]),
    ("deep case", "select " + "case when true then " * 3000 + "1" + " end" * 3000, ["54001", "42601"]),
    ("deep subqueries", "select " + "(select " * 2000 + "1" + ")" * 2000, ["54001", "42601"]),
    ("many operands", "select " + "+".join(["1"] * 50000), ["54001"]),
    ("many columns", "create table w (" + ",".join(f"c{i} int" for i in range(3000)) + ")", ["54011"]),
    ("views of views", "create view v0 as select id from t;" + "".join(f"create view v{i + 1} as select a.id from v{i} a join v{i} b on a.id = b.id;" for i in range(40)) + "select count(*) from v40", ["54001", "54000", "57014"]),
    ("functions of functions", "create function f0(a int) returns int language sql immutable as 'select a';" + "".join(f"create function f{i + 1}(a int) returns int language sql immutable as 'select f{i}(a) + f{i}(a)';" for i in range(40)) + "select f40(1)", ["54001", "54000", "57014"]),
    ("a function of itself", "create function f(a int) returns int language sql as 'select case when a > 0 then f(a - 1) else 0 end'; select f(5)", ["42883", "0A000", "54001"]),
    ("a view of itself", "create view v as select 1 as id; create or replace view v as select id from v; select * from v", ["42P17", "54001"]),
    ("a policy of itself", "alter table t enable row level security; create policy p on t using (exists (select 1 from t as u)); select count(*) from t", []),
    ("ctes of ctes", "with a0 as (select 1 as x)" + "".join(f", a{i + 1} as (select a.x from a{i} a, a{i} b)" for i in range(60)) + " select count(*) from a60", ["54001"]),
    ("a product", "select count(*) from generate_series(1, 100000) a, generate_series(1, 100000) b", ["57014"]),
    ("an endless recursion", "with recursive r (n) as (select 1 union all select n from r) select count(*) from r", ["57014"]),
    ("rows without end", "create table g as select g as id from generate_series(1, 1000000000000) g", ["57014", "53000", "53100"]),
    ("a text without end", "select length(repeat('x', 2000000000))", ["54000", "53200", "22023"]),
    ("a text that doubles", "with recursive r (n, s) as (select 1, 'x' union all select n + 1, s || s from r where n < 64) select max(length(s)) from r", ["54000", "57014", "53200"]),
    ("a regular expression", "select '" + "a" * 40 + "' ~ '(a|aa|a?)+$b'", ["2201B", ""]),
    ("a pattern", "select '" + "a" * 5000 + "' like '" + "%a" * 2000 + "b'", ["57014", ""]),
    ("a great number", "select 10::numeric ^ 200000", ["22003"]),
    ("a great factorial", "select (10::numeric ^ 1000) * (10::numeric ^ 1000)", []),
    ("deep json", "select '" + "[" * 20000 + "]" * 20000 + "'::jsonb", ["54001", "22P02", "54000"]),
    ("a wide array", "select array_fill(0, array[100000000])", ["54000"]),
    ("a format", "select format('%1000000000s', 'x')", ["54000", "22023", "53200"]),
    ("a pad", "select lpad('x', 2000000000)", ["54000"]),
    ("many files of one", "select 1;" * 20000, [""]),
]


def test_database_bombs():
    """Files that would take all memory, stack or time: each ends, with an SQLSTATE; the node and its neighbours go on."""
    if SANITIZED:
        raise Skip("limits of time and memory are those of a release build")
    folder = project({"migrations/1_t.sql": "create table t (id int primary key);\n"}, MANIFEST)
    wrong = []
    with node("--workers", "1") as n:
        cli(n, "deploy", folder)
        for what, sql, states in BOMBS:
            put(folder, "migrations/2_bad.sql", sql + ";\n")
            code, out, error = orlo("db", "check", folder, timeout=120)
            if code == 0:
                code, out, error = orlo("db", "migrate", folder, "--state", n.state, timeout=300)
                if code == 0:
                    cli(n, "db", "reset", project({"migrations/1_t.sql": "create table t (id int primary key);\n"}, MANIFEST), "--yes")
            said = out + error
            good = code == 0 and (not states or "" in states) or code == 65 and any(s and s in said for s in states)
            if not good:
                wrong.append((what, states, code, said[-300:]))
        check(not wrong, *wrong)
        eq([e for e in n.events("role-died") if e.get("role") != "job"], [])
