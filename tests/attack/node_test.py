"""A tenant, a deployer with a token and clients of a node against the node and against each other: the tenant's statements and keys in the store's
process, names and numbers in manifests, what clients say of themselves. The guest is tests/guests/spin."""
from harness import *
from nodes import *

GUEST = os.path.join(ROOT, "tests", "guests", "spin.wasm")


def put(n, app, *more):
    deploy_function(n, app, GUEST, grants(stores=("default",), sqlite=("default",)), *more)


def sql(n, app, *statements, status=200):
    r = n.get(app, "/sql3?default", data="\n".join(statements).encode())
    check(r.status == status, app, statements[0][:100], r.status, r.body[-300:], n.log()[-3000:])
    return r.body.decode()


def said_of_store(n):
    return [e for e in n.events("role-died") + n.events("role-cut-off") if e.get("role") == "store"]


# ---- statements that nest ---------------------------------------------------------------------------------------------


def test_node_sql_nests_no_deeper_than_the_stack():
    with node() as n:
        put(n, "evil")
        put(n, "good")
        sql(n, "good", "create table t (n)", "insert into t values (42)")
        many = 2000
        views = ["create table v0 (x)"] + [f"create view v{i} as select x from v{i - 1} limit 5" for i in range(1, many)]
        tables = [f"create table t{i} (x)" for i in range(many)]
        triggers = [f"create trigger g{i} after insert on t{i} begin insert into t{i + 1} values (new.x); end" for i in range(many - 1)]
        keys = ["create table k0 (x primary key)"] + [f"create table k{i} (x primary key references k{i - 1} (x) on update cascade)" for i in range(1, many)]
        ctes = "with c0 (x) as (select 1)" + "".join(f", c{i} (x) as (select x from c{i - 1} limit 5)" for i in range(1, many)) + f" select * from c{many - 1}"
        for lines, last in ((views, f"select * from v{many - 1}"), (tables + triggers, "insert into t0 values (1)"), (keys, "update k0 set x = 1"), ([], ctes)):
            for at in range(0, len(lines), 500):
                sql(n, "evil", "begin", *lines[at : at + 500], "commit")
            has(sql(n, "evil", last), "error")
            eq(said_of_store(n), [])
        has(sql(n, "good", "select n from t"), "Integer(42)")


# ---- what statements hold of memory --------------------------------------------------------------------------------------


def test_node_sql_of_one_takes_no_memory_from_others():
    with node() as n:
        put(n, "evil")
        put(n, "good")
        sql(n, "good", "create table t (b)", "insert into t values (1)")
        fill = "insert into h select randomblob({0}) from (with recursive c (n) as (select 1 union all select n + 1 from c) select n from c limit {1})"
        steps = ((1000000, 30, 30), (10000, 300, 20), (1000, 100, 30), (100, 10, 30))
        has(sql(n, "evil", "create temp table h (b)", *(fill.format(size, count) for size, count, times in steps for _ in range(times))), "error")
        out = sql(n, "good", "create table u (b)", "insert into u values (zeroblob(3000000))", "select length(b) from u order by b")
        check("error" not in out and "Integer(3000000)" in out, out)
        eq(said_of_store(n), [])
