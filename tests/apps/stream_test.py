"""Large answers of /rest/v1 and /data/v1 come in parts: in constant memory, at the pace of who reads, whole or visibly broken. Cases in one node an engine."""
import re, signal, threading

from nodes import *
from admin_test import cli
from database_test import project, put
from front_test import keys_of
from rest_test import ENGINES

ROWS = 120_000  # some 8 MB as JSON: what is collected would show
BOUND = (64 if SANITIZED else 4) << 20  # that a process may grow by meanwhile; a sanitizer keeps what was given back for a while
SCHEMA = f"""
create table big (id int primary key, name text not null, note text, mine boolean not null);
insert into big select i, 'the name of ' || i, case when i % 3 = 0 then 'a, "b"' end, i % 2 = 0 from generate_series(1, {ROWS}) as i;
create table half (id int primary key, name text not null, mine boolean not null);
insert into half select id, name, mine from big;
alter table half enable row level security;
create policy mine on half for select to anon using (mine);
create policy all_of on half for select to service_role using (true);
create view breaks with (security_invoker) as select id, name, 1000 / (id - {ROWS * 3 // 4}) as part from big;
create view breaks_early with (security_invoker) as select id, 1000 / (id - 5) as part from big;
create view breaks_hidden with (security_invoker) as select id, name, 1000 / (id - {ROWS * 3 // 4 + 1}) as part from half;
create view slow with (security_invoker) as
  select id, name, case when id > {ROWS * 3 // 4} then (select count(*) from big b where b.name like '%' || (big.id - 1) || '%x') else 0 end as n from big;
create table writes (id int primary key);
grant all on all tables in schema public to anon, authenticated, service_role;
"""
MANIFEST = """name = "shop"
database = "%s"
hosts = ["127.0.0.1"]
limits = { rest_rows = 10000000, data_rows = 10000000, timeout_ms = 120000, data_timeout_ms = 3000, database_mb = 250 }
"""


def asked(n, keys, path, method="GET", body=None, key="anon", **fields):
    conn = http.client.HTTPConnection("127.0.0.1", n.port, timeout=120)
    head = {"apikey": keys["anon"], "Authorization": "Bearer " + keys[key], **{k.replace("_", "-"): v for k, v in fields.items()}}
    conn.request(method, path, body=body, headers=head)
    return conn, conn.getresponse()


def whole(n, keys, path, **more):
    conn, r = asked(n, keys, path, **more)
    body = r.read()
    conn.close()
    return r.status, {k.lower(): v for k, v in r.getheaders()}, body


def broken(n, keys, path, **more):
    """What came of an answer that ends too early."""
    conn, r = asked(n, keys, path, **more)
    eq(r.status, 200)
    try:
        body = r.read()
    except http.client.IncompleteRead as e:
        return e.partial
    except ConnectionError:
        return b""
    finally:
        conn.close()
    raise AssertionError(f"{path} ended well, after {len(body)} bytes: {body[-100:]}")


def row(i):
    return {"id": i, "name": f"the name of {i}", "note": 'a, "b"' if i % 3 == 0 else None, "mine": i % 2 == 0}


def told(rows):
    return "[" + ",".join(json.dumps(r, separators=(",", ":")) for r in rows) + "]"


# ---- memory ------------------------------------------------------------------------------------------------------------


class Peaks:
    """How far the node's processes grew, by name, since it was made."""

    def __init__(self, n):
        self.before = {}
        for pid in n.processes():
            if processes.forget_peak(pid):
                self.before[pid] = processes.memory_kib(pid, "VmRSS", "status")

    def grown(self):
        """In bytes; of who has ended meanwhile what is known is nothing."""
        return {f"{processes.name(pid)} {pid}": (processes.memory_kib(pid, "VmHWM", "status") - before) << 10 for pid, before in self.before.items() if processes.lives(pid)}


def in_constant_memory(n, keys):
    whole(n, keys, "/rest/v1/big")  # pages and catalogues that stay
    for path, more in (("/rest/v1/big?order=id", {}), ("/rest/v1/big?order=id", {"Prefer": "count=exact"}), ("/rest/v1/big?order=id", {"Accept": "text/csv"}),
                       ("/rest/v1/big?order=id", {"method": "HEAD"})):
        peaks = Peaks(n)
        status, head, body = whole(n, keys, path, **more)
        eq((status, len(body) > ROWS * 20 or more.get("method") == "HEAD"), (200, True))
        check(max(peaks.grown().values()) < BOUND, path, more, peaks.grown(), len(body))


# ---- the same bytes, the same head ------------------------------------------------------------------------------------------


def same_as_collected(n, keys):
    want = told(row(i) for i in range(1, ROWS + 1))
    status, head, body = whole(n, keys, "/rest/v1/big?order=id")
    eq((status, head["content-range"], head.get("transfer-encoding"), head["content-type"]), (200, f"0-{ROWS - 1}/*", "chunked", "application/json; charset=utf-8"))
    check(body.decode() == want, len(body), len(want), body[:200], body[-200:])
    status, head, body = whole(n, keys, "/rest/v1/big?order=id", Prefer="count=exact")
    eq((status, head["content-range"], body.decode() == want), (200, f"0-{ROWS - 1}/{ROWS}", True))
    some = told(row(i) for i in range(11, ROWS - 9))
    for more, to in (({}, "*"), ({"Prefer": "count=exact"}, str(ROWS))):
        status, head, body = whole(n, keys, f"/rest/v1/big?order=id&offset=10&limit={ROWS - 20}", **more)
        eq((status, head["content-range"], body.decode() == some), (206 if more else 200, f"10-{ROWS - 11}/{to}", True))
    status, head, body = whole(n, keys, "/rest/v1/big?order=id", Range=f"{ROWS - 50000}-{ROWS + 50000}")
    eq((status, head["content-range"], body.decode() == told(row(i) for i in range(ROWS - 50000 + 1, ROWS + 1))), (200, f"{ROWS - 50000}-{ROWS - 1}/*", True))
    eq(whole(n, keys, f"/rest/v1/big?offset={ROWS + 10}", Prefer="count=exact")[0], 416)
    status, head, body = whole(n, keys, "/rest/v1/big?order=id&select=id,note", Accept="application/vnd.pgrst.array+json;nulls=stripped")
    stripped = told({"id": i, **({"note": 'a, "b"'} if i % 3 == 0 else {})} for i in range(1, ROWS + 1))
    eq((status, body.decode() == stripped), (200, True))
    status, head, body = whole(n, keys, "/rest/v1/big?order=id&select=id,name", Accept="text/csv")
    eq((status, body.decode() == "id,name" + "".join(f'\n{i},"the name of {i}"' for i in range(1, ROWS + 1))), (200, True))
    status, head, body = whole(n, keys, "/rest/v1/big", method="HEAD")
    eq((status, head["content-range"], body), (200, f"0-{ROWS - 1}/*", b""))
    status, head, body = whole(n, keys, "/rest/v1/big?select=n:id.count(),mine&order=mine")  # what is small is told with its length
    eq((status, "content-length" in head), (400, True))
    status, head, body = whole(n, keys, "/rest/v1/big?order=id&limit=30")
    eq((status, head["content-range"], head["content-length"]), (200, "0-29/*", str(len(told(row(i) for i in range(1, 31))))))
    status, head, body = whole(n, keys, "/data/v1/query", method="POST", body=json.dumps({"query": {"from": "big", "order": [{"column": "id"}]}}))
    eq((status, head.get("transfer-encoding"), body.decode() == want), (200, "chunked", True))
    eq(whole(n, keys, "/rest/v1/big", Accept="application/vnd.pgrst.object+json")[0], 406)


# ---- what breaks -------------------------------------------------------------------------------------------------------------


def breaks(n, keys):
    status, head, body = whole(n, keys, "/rest/v1/breaks_early?order=id")
    eq((status, json.loads(body)["code"]), (400, "22012"))
    for path, code in (("/rest/v1/breaks?order=id", "22012"), ("/rest/v1/slow?order=id", "57014")):
        before = len(n.events("answer-broken"))
        got = broken(n, keys, path)
        check(got.startswith(b'[{"id":1,') and len(got) > ROWS * 20, path, len(got))
        told = n.wait_event("answer-broken", count=before + 1)
        eq((told["app"], told["code"]), ("shop", code))
    # an error of a row that nobody shows is none
    status, head, body = whole(n, keys, "/rest/v1/breaks_hidden?order=id")
    eq((status, head["content-range"], len(json.loads(body))), (200, f"0-{ROWS // 2 - 1}/*", ROWS // 2))
    broken(n, keys, "/rest/v1/breaks_hidden?order=id", key="service_role")


def slow_readers(n, keys):
    """Four that take nothing, and more that come and go: small ones have their answer, memory stays, and all is given back."""
    peaks = Peaks(n)
    held = []
    for i in range(12):
        conn, r = asked(n, keys, "/rest/v1/big")
        if r.status == 200:
            held.append((conn, r))
        else:
            eq((r.status, json.loads(r.read())["code"], r.headers["retry-after"]), (503, "53300", "1"))
            conn.close()
        eq(whole(n, keys, f"/rest/v1/big?id=eq.{i + 1}")[0], 200)
    check(0 < len(held) < 12, len(held))
    status, _, _ = whole(n, keys, "/rest/v1/writes", method="POST", body='{"id": 1}')
    eq(status, 201)
    check(max(peaks.grown().values()) < 3 * BOUND, peaks.grown())  # eight connections, each with its pages; collected it would be 8 MB for each reader
    conn, r = held.pop()
    eq(len(json.loads(r.read())), ROWS)  # it waited for us, and is whole
    conn.close()
    for conn, r in held:
        conn.close()
    eq(len(json.loads(until(lambda: (a := whole(n, keys, "/rest/v1/big"))[0] == 200 and a[2]))), ROWS)


def log_grows(n, keys):
    """What is written while nobody reads on stays in SQLite's log: who keeps it there is cut before it is large."""
    conn, r = asked(n, keys, "/rest/v1/big?order=id")
    r.read(100_000)
    before = len([e for e in n.events("answer-broken") if e["code"] == "57014"])
    for i in range(60):
        eq(whole(n, keys, f"/rest/v1/big?id=lt.{ROWS // 2}", method="PATCH", body=json.dumps({"name": "x" * 100 + str(i)}), key="service_role", Prefer="return=minimal")[0], 204)
        if len([e for e in n.events("answer-broken") if e["code"] == "57014"]) > before:
            break
    try:
        r.read()
        raise AssertionError("the log grew, and who reads slowly went on")
    except (http.client.IncompleteRead, ConnectionError):
        conn.close()


def backends(n):
    """PostgreSQL's processes that serve this node's asks."""
    return [pid for pid in processes.descendants(n.proc.pid) if processes.arguments(pid).startswith("postgres: authenticator")]


def server_dies(n, keys):
    conn, r = asked(n, keys, "/rest/v1/big?order=id")
    r.read(100_000)
    before, there = len(n.events("answer-broken")), backends(n)
    check(there, n.log()[-2000:])
    for pid in there:
        processes.kill_if_there(pid)
    try:
        r.read()
        raise AssertionError("what was cut off ended well")
    except (http.client.IncompleteRead, ConnectionError):
        conn.close()
    check(n.wait_event("answer-broken", count=before + 1)["code"] in ("57P03", "08006", "57P02"), n.events("answer-broken")[-1])
    until(lambda: whole(n, keys, "/rest/v1/big?limit=1")[0] == 200)


def in_between(n, keys, folder, engine):
    """A deployment meanwhile: who has begun ends as he began. Then the worker is killed."""
    conn, r = asked(n, keys, "/rest/v1/big?order=id&select=id,name")
    first = r.read(100_000)
    put(folder, "migrations/002_more.sql", "alter table big add column more int;")
    cli(n, "deploy", folder)  # while nobody reads on
    eq(whole(n, keys, "/rest/v1/big?limit=1&select=more")[0], 200)
    if engine == "sqlite":
        eq(len(json.loads(first + r.read())), ROWS)
    else:  # it would wait for who reads the table, and all who ask for it
        try:
            r.read()
            raise AssertionError("what was given up ended well")
        except (http.client.IncompleteRead, ConnectionError):
            pass
        eq(n.wait_event("answer-broken", code="40001")["app"], "shop")
        eq(len(json.loads(whole(n, keys, "/rest/v1/big")[2])), ROWS)
    conn.close()
    if engine == "postgres":
        server_dies(n, keys)
    conn, r = asked(n, keys, "/rest/v1/big?order=id")
    r.read(100_000)
    processes.kill(n.role("worker"))
    try:
        r.read()
        raise AssertionError("what was cut off ended well")
    except (http.client.IncompleteRead, ConnectionError):
        conn.close()


def on(engine):
    with node("--workers", "1") as n:
        folder = project({"migrations/001_schema.sql": SCHEMA}, MANIFEST % engine)
        cli(n, "deploy", folder)
        keys = keys_of(n, "shop")
        until(lambda: whole(n, keys, "/rest/v1/big?limit=1")[0] == 200)  # a server of the app's starts
        same_as_collected(n, keys)
        in_constant_memory(n, keys)
        breaks(n, keys)
        slow_readers(n, keys)
        in_between(n, keys, folder, engine)
        if engine == "sqlite":
            log_grows(n, keys)


def test_stream_sqlite():
    on("sqlite")


def test_stream_postgres():
    if "postgres" in ENGINES:
        on("postgres")
