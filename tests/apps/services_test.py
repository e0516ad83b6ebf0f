"""What an app keeps with its node: key-value stores, databases, variables, in each version of the interfaces that guests import; and that none
of it is lost, seen by another app, or held up by one. The guest is tests/guests/spin, made with Spin's own SDK."""
import glob, os, signal, threading, time, urllib.parse

from harness import *
from nodes import *

GUEST = os.path.join(ROOT, "tests", "guests", "spin.wasm")


def put(n, app, *more, granted=None):
    """Deploys the guest; with both stores and databases, if nothing else is said."""
    if granted is None:
        granted = grants(stores=("default", "other"), sqlite=("default",), variables={"greeting": "hi", "empty": ""})
    deploy_function(n, app, GUEST, granted, *more)


def ask(n, app, path, *words, data=None, status=200):
    query = "&".join(urllib.parse.quote(w).replace("%2A", "*") for w in words)
    r = n.get(app, f"/{path}?{query}", data=None if data is None else data.encode())
    check(r.status == status, app, path, words, r.status, r.body, n.log()[-3000:])
    return r.body.decode().strip()


def test_keys_of_all_versions():
    with node("--workers", "2") as n:
        put(n, "a")
        put(n, "b")
        for i, path in enumerate(("keys3", "keys2", "keys1", "keys")):
            eq(ask(n, "a", path, "default", "set", f"k{i}", f"by {path}"), "()")
        for path in ("keys3", "keys2", "keys"):
            eq(ask(n, "a", path, "default", "get", "k2"), 'Some("by keys1")')
            eq(ask(n, "a", path, "default", "get", "none"), "None")
        eq(ask(n, "a", "keys1", "default", "get", "k0"), 'Some("by keys3")')
        has(ask(n, "a", "keys1", "default", "get", "none"), "NoSuchKey")
        for path in ("keys3", "keys2", "keys1", "keys"):
            eq(ask(n, "a", path, "default", "exists", "k3"), "true")
            eq(ask(n, "a", path, "other", "exists", "k3"), "false")  # another store of its own
            eq(ask(n, "b", path, "default", "exists", "k3"), "false")  # the same label of another app
            has(ask(n, "a", path, "default", "keys"), '["k0", "k1", "k2", "k3"]')
            has(ask(n, "a", path, "secret", "get", "k0"), "AccessDenied")
        has(ask(n, "a", "keys1", "17", "get", "k0"), "InvalidStore")
        for i, path in enumerate(("keys3", "keys2", "keys1", "keys")):
            eq(ask(n, "a", path, "default", "delete", f"k{i}"), "()")
            eq(ask(n, "a", path, "default", "delete", f"k{i}"), "()")
        eq(ask(n, "a", "keys3", "default", "keys"), "[]")
        eq(ask(n, "a", "keys3", "default", "set", "", "x"), "()")
        eq(ask(n, "a", "keys3", "default", "get", ""), 'Some("x")')


def test_keys_together():
    with node("--workers", "2") as n:
        put(n, "a")
        eq(ask(n, "a", "keys", "default", "set-many", "x", "1", "y", "2"), "()")
        eq(ask(n, "a", "keys", "default", "many", "y", "no", "x"), '[("y", Some("2")), ("no", None), ("x", Some("1"))]')
        eq(ask(n, "a", "keys", "default", "delete-many", "x", "no"), "()")
        eq(ask(n, "a", "keys", "default", "add", "y", "40"), "42")
        eq(ask(n, "a", "keys", "default", "add", "new", "-3"), "-3")
        has(ask(n, "a", "keys", "default", "set", "word", "x"), "()")
        has(ask(n, "a", "keys", "default", "add", "word", "1"), "error", "no number")
        eq(ask(n, "a", "keys", "default", "swap", "c", "one"), "None swapped")
        eq(ask(n, "a", "keys", "default", "swap", "c", "two"), 'Some("one") swapped')
        eq(ask(n, "a", "keys", "default", "swap", "c", "four", "three"), 'Some("two")() failed Some("three") swapped')
        eq(ask(n, "a", "keys", "default", "get", "c"), 'Some("four")')
        threads = [threading.Thread(target=lambda: [ask(n, "a", "keys", "default", "add", "sum", "1") for _ in range(25)]) for _ in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        eq(ask(n, "a", "keys", "default", "get", "sum"), 'Some("200")')


def test_keys_many_and_large():
    """Lists that take several pages, and values that do not fit into a message."""
    with node("--workers", "1") as n:
        put(n, "a")
        eq(ask(n, "a", "keys", "default", "fill", "9000"), "()")
        for path in ("keys3", "keys2"):
            eq(ask(n, "a", path, "default", "count"), "9000")
        eq(ask(n, "a", "keys", "default", "pages"), "9000 keys in 3 pages")
        eq(ask(n, "a", "keys3", "default", "first"), 'Some("key-00000000")')
        for path in ("keys3", "keys2", "keys1", "keys"):
            eq(ask(n, "a", path, "other", "set", "big", "0123456789*50000"), "()")
            eq(ask(n, "a", path, "other", "get", "big"), 'Some("500000 bytes")')
        eq(ask(n, "a", "keys", "other", "set-many", "big2", "0123456789*90000", "big3", "0123456789*90000"), "()")
        has(ask(n, "a", "keys", "other", "many", "big", "big2", "big3"), '("big3", Some("900000 bytes"))')
        has(ask(n, "a", "keys3", "other", "set", "big", "0123456789*200000"), "error", "store_value_kb")


def test_quotas():
    with node("--workers", "1") as n:
        put(n, "a", limits(store_keys_max=3, store_bytes_max=100000, sqlite_bytes_max=200000))
        put(n, "b")
        for k in "xyz":
            eq(ask(n, "a", "keys3", "default", "set", k, "v"), "()")
        for path in ("keys3", "keys2", "keys1", "keys"):
            has(ask(n, "a", path, "default", "set", "w", "v"), "error", "store_keys")
        has(ask(n, "a", "keys3", "default", "set", "x", "v*100000"), "error", "store_mb")
        eq(ask(n, "a", "keys3", "default", "set", "x", "w"), "()")
        eq(ask(n, "b", "keys3", "default", "set", "w", "v*100000"), "()")
        has(ask(n, "a", "sql3", "default", data="create table t (b)\ninsert into t values (zeroblob(300000))\nselect count(*) from t"),
            "DatabaseFull", "Integer(0)")
        has(ask(n, "a", "sql2", "default", data="insert into t values (zeroblob(300000))"), "DatabaseFull")


def test_sql_of_all_versions():
    with node("--workers", "2") as n:
        put(n, "a")
        put(n, "b")
        said = ask(n, "a", "sql3", "default", data="create table t (id integer primary key, n, s)\n"
                   "insert into t (n, s) values (?, ?)\t7\tseven\n"
                   "insert into t (n, s) values (8, null), (1.5, x'00')\n"
                   "select * from t\n"
                   "update t set n = 0\n"
                   "nonsense")
        lines = said.split("\n")
        eq(lines[1], " 0 rows Ok(()) id 1 changes 1")
        eq(lines[2], " 0 rows Ok(()) id 3 changes 2")
        has(lines[3], 'Value::Integer(1)|Value::Integer(7)|Value::Text("seven")')
        has(lines[5], "Value::Real(1.5)|Value::Blob([0])")
        eq(lines[6], "id,n,s 3 rows Ok(()) id 3 changes 2")
        eq(lines[7], " 0 rows Ok(()) id 3 changes 3")
        has(lines[8], "error", "syntax error")
        has(ask(n, "a", "sql2", "default", data="select count(*) as c from t"), "c [Value::Integer(3)]")
        has(ask(n, "a", "sql1", "default", data="select count(*) as c from t"), "c [Value::Integer(3)]")
        for path in ("sql3", "sql2", "sql1"):
            has(ask(n, "a", path, "secret", data="select 1"), "AccessDenied")
            has(ask(n, "b", path, "default", data="select * from t"), "no such table")
            has(ask(n, "a", path, "default", data="attach 'x' as y\npragma journal_mode = off"), "error", "error")
        has(ask(n, "a", "sql1", "17", data="select 1"), "InvalidConnection")
        # 5,000 rows as a stream; and an answer that is too large
        many = "with recursive r(n) as (select 1 union all select n + 1 from r limit {}) select n, 'some text' from r"
        has(ask(n, "a", "sql3", "default", data=many.format(5000)), "5000 rows Ok(())")
        has(ask(n, "a", "sql3", "default", data=many.format(500000)), "error", "data_answer_kb")
        # A transaction is the connection's, and what is not ended is undone when its handle goes.
        has(ask(n, "a", "sql3", "default", data="begin\ndelete from t\nselect count(*) from t\nrollback\nselect count(*) from t"), "Integer(0)", "Integer(3)")
        has(ask(n, "a", "sql3", "default", data="begin\ndelete from t\nselect count(*) from t"), "Integer(0)")
        has(ask(n, "a", "sql3", "default", data="select count(*) from t"), "Integer(3)")
        has(ask(n, "a", "sql1", "default", data="begin\ndelete from t\nrollback"), "error")
        has(ask(n, "a", "sql2", "default", data="begin\ndelete from t\ncommit\nselect count(*) from t"), "Integer(0)")


def test_variables():
    with node("--workers", "1") as n:
        put(n, "a")
        eq(ask(n, "a", "variable", "greeting").split("\n"), ['"hi"', '"hi"', '"hi"', 'Some("hi")'])
        eq(ask(n, "a", "variable", "empty").split("\n"), ['""', '""', '""', 'Some("")'])
        lines = ask(n, "a", "variable", "other").split("\n")
        has(lines[0], "Undefined"), has(lines[1], "Undefined"), has(lines[2], "Provider"), eq(lines[3], "None")
        for bad in ("invalid-name", "4th", "a__b", "b_", ""):
            lines = ask(n, "a", "variable", bad).split("\n")
            has(lines[0], "InvalidName"), has(lines[1], "InvalidName"), has(lines[2], "InvalidKey"), eq(lines[3], "None")
        has(ask(n, "a", "config"), '("greeting", "hi")', '("empty", "")')


def test_elsewhere():
    """What this node does not have answers so, and traps nobody."""
    with node("--workers", "1") as n:
        put(n, "a", granted=grants())
        lines = ask(n, "a", "elsewhere").split("\n")
        eq(len(lines), 15)
        for line, what in zip(lines, ("InvalidAddress", "InvalidAddress", "Error") + 10 * ("ConnectionFailed",)):
            has(line, "error", what)
        has(lines[13], "ModelNotSupported"), has(lines[14], "ModelNotSupported")
        put(n, "b", granted=grants(net=["*"]))
        has(ask(n, "b", "elsewhere").split("\n")[0], "Other", "no client for it yet")
        eq(n.events("guest-failed"), [])
        for path in ("keys3", "keys2", "keys1", "keys"):
            has(ask(n, "a", path, "default", "get", "k"), "AccessDenied")
        for path in ("sql3", "sql2", "sql1"):
            has(ask(n, "a", path, "default", data="select 1"), "AccessDenied")


def test_store_dies():
    """Killed while it writes, again and again: what was acknowledged is there, nobody waits for ever, and it comes back."""
    with node("--workers", "2") as n:
        put(n, "a")
        eq(ask(n, "a", "keys", "default", "add", "n", "0"), "0")
        acknowledged, errors, enough = [0] * 4, [0] * 4, threading.Event()

        def client(i):
            while not enough.is_set():
                said = ask(n, "a", "keys", "default", "add", f"n{i}", "1")
                if said.startswith("error"):
                    errors[i] += 1
                else:
                    acknowledged[i] += 1

        threads = [threading.Thread(target=client, args=(i,)) for i in range(4)]
        for t in threads:
            t.start()
        for kill in range(5):
            before = sum(acknowledged)
            until(lambda: sum(acknowledged) > before + 20)
            processes.kill(n.role("store"))
            eq(n.wait_event("role-died", count=kill + 1)["role"], "store")
        before = sum(acknowledged)
        until(lambda: sum(acknowledged) > before + 20)
        enough.set()
        for t in threads:
            t.join()
        for i in range(4):
            there = int(ask(n, "a", "keys", "default", "add", f"n{i}", "0"))
            check(acknowledged[i] <= there <= acknowledged[i] + errors[i], i, there, acknowledged, errors)
        eq(n.events("worker-died"), [])
        lines = "begin\ninsert into t values (1)"
        ask(n, "a", "sql3", "default", data="create table t (n)")
        ask(n, "a", "sql3", "default", data=lines)
        has(ask(n, "a", "sql3", "default", data="select count(*) from t"), "Integer(0)")


def test_node_is_killed():
    state = new_state()
    n = Node(state, "--workers", "1")
    put(n, "a")
    eq(ask(n, "a", "keys3", "default", "set", "k", "kept"), "()")
    ask(n, "a", "sql3", "default", data="create table t (n)\ninsert into t values (42)")
    n.kill()
    with node("--workers", "1", state=state) as n:
        eq(ask(n, "a", "keys3", "default", "get", "k"), 'Some("kept")')
        has(ask(n, "a", "sql3", "default", data="select n from t"), "Integer(42)")
        put(n, "a")  # a next version has what the one before had
        eq(ask(n, "a", "keys3", "default", "get", "k"), 'Some("kept")')
        n.delete("a")
        put(n, "a")  # another app that bears its name has not
        eq(ask(n, "a", "keys3", "default", "get", "k"), "None")
        until(lambda: len(os.listdir(os.path.join(state, "data"))) == 1)  # what that one kept is gone from the disk


def test_nobody_holds_others():
    """Endless statements of one app: they end with their requests, and others are answered meanwhile."""
    endless = "with recursive r(n) as (select 1 union all select n + 1 from r) select count(*) from r"
    with node("--workers", "1") as n:
        put(n, "a", limits(handler_ms_max=3000, data_ms_max=600000))
        put(n, "b")
        put(n, "late", limits(data_ms_max=50))
        threads = [threading.Thread(target=lambda: ask(n, "a", "sql3", "default", data=endless, status=504)) for _ in range(6)]
        for t in threads:
            t.start()
        n.role("store")
        beside = 0
        for i in range(20):
            eq(ask(n, "b", "keys", "default", "add", "n", "1"), str(i + 1))
            beside += any(t.is_alive() for t in threads)
        check(beside)
        has(ask(n, "late", "sql3", "default", data=endless + "\nselect 1"), "data_timeout_ms", "Integer(1)")
        for t in threads:
            t.join()
        has(ask(n, "a", "sql3", "default", data="select 1"), "Integer(1)")


def test_spin_toml():
    """A Spin application's own manifest: labels, variables that are made of others, routes, and what it did not ask for."""
    folder = tempfile.mkdtemp(prefix="spin-", dir=WORK)
    shutil.copyfile(GUEST, os.path.join(folder, "guest.wasm"))
    with open(os.path.join(folder, "spin.toml"), "w") as f:
        f.write("""spin_manifest_version = 2
[application]
name = "notes"
version = "0.1.0"
[variables]
who = { default = "you" }
[[trigger.http]]
route = "/..."
component = "main"
[[trigger.http]]
route = "/poor/..."
component = "poor"
[component.main]
source = "guest.wasm"
key_value_stores = ["default"]
sqlite_databases = ["default"]
[component.main.variables]
greeting = "hello {{ who }}"
[component.poor]
source = "guest.wasm"
""")
    with node("--workers", "1") as n:
        code, out, error = orlo("deploy", folder, "--state", n.state, timeout=120)
        check(code == 0, out, error)
        eq(ask(n, "notes", "keys3", "default", "set", "k", "v"), "()")
        has(ask(n, "notes", "sql3", "default", data="select 1"), "Integer(1)")
        eq(ask(n, "notes", "variable", "greeting").split("\n")[0], '"hello you"')
        has(ask(n, "notes", "keys3", "other", "get", "k"), "AccessDenied")


def test_serve():
    """Served from a file, what its flags grant is kept in memory: over a reload, and no longer."""
    for _ in range(2):
        with serving(GUEST, "--workers", "2", "--store", "default", "--sqlite", "default", "--variable", "greeting=hi") as s:
            get = lambda path, *args, **more: curl(f"{s.url}/{path}", *args, **more).text.strip()
            eq(get("keys3?default&get&k"), "None")
            eq(get("keys3?default&set&k&v"), "()")
            eq(get("keys2?default&get&k"), 'Some("v")')
            has(get("keys2?other&get&k"), "AccessDenied")
            has(get("sql3?default", data=b"create table t (n)\ninsert into t values (42)\nselect n from t"), "Integer(42)")
            eq(get("variable?greeting").split("\n")[0], '"hi"')
            s.proc.send_signal(signal.SIGHUP)
            s.wait_event("reloaded")
            eq(get("keys2?default&get&k"), 'Some("v")')
    code, _, error = orlo("serve", GUEST, "--store", "a/b")
    eq(code, 64), has(error, "--store 'a/b'", "letters, digits")


def test_where_data_is():
    """In folders of the store's own, which no other process of the node may open; and a store has no network."""
    with node("--workers", "1") as n:
        put(n, "a")
        ask(n, "a", "keys3", "default", "set", "k", "v")
        ask(n, "a", "sql3", "default", data="select 1")
        files = sorted(os.path.basename(p) for p in glob.glob(os.path.join(n.state, "data", "a.*", "*.db")))
        eq(files, ["keys.db", "sql-default.db"])
        links = processes.files(n.role("store"))
        check(any(l.endswith("/keys.db") for l in links), links)
