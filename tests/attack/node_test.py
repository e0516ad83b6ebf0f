"""A tenant, a deployer with a token and clients of a node against the node and against each other: the tenant's statements and keys in the store's
process, names and numbers in manifests, what clients say of themselves. The guest is tests/guests/spin."""
import http.client, itertools, urllib.parse

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


# ---- what others are told ----------------------------------------------------------------------------------------------


def test_node_sql_errors_are_text():
    with node() as n:
        put(n, "evil")
        names = ["select x." + '"' + "a" * k + "é" * many + '"' for k in (0, 1) for many in (200, 400, 700)]
        names += ["select '" + "é" * 400 + "' x" + "é" * 400 + " y z"]
        for statement in (*names, "select json_extract('{}', cast(x'24ff' as text))", "select json_extract('{}', cast(x'2461ff62' as text))"):
            has(sql(n, "evil", statement), "error Error::Io")
        eq(n.events("guest-failed"), [])


# ---- who deploys with a token of an app's, under an operator's maxima ------------------------------------------------------------


class Deployer:
    """By a token of its own app, at the admin port."""

    def __init__(self, n, app, *hosts):
        owner = Socket(n.state)
        made = say(owner, "POST", "/v1/tokens", {"app": app, "hosts": list(hosts)})
        owner.close()
        self.app, self.place, self.token = app, urllib.parse.urlparse(n.admin).netloc, made.json["token"]

    def say(self, method, path, body=None):
        c = http.client.HTTPConnection(self.place, timeout=60)
        try:
            return say(c, method, path, body, authorization=f"Bearer {self.token}")
        finally:
            c.close()

    def deploy(self, manifest, files):
        listed = [{"path": p, "digest": hashlib.sha256(b).hexdigest(), "bytes": len(b)} for p, b in files.items()]
        for f in {f["digest"]: f for f in listed}.values():
            self.say("PUT", f"/v1/apps/{self.app}/blobs/{f['digest']}", files[f["path"]])
        d = self.say("POST", f"/v1/apps/{self.app}/deployments", {"format": "orlo", "manifest": manifest, "files": listed}).json
        while d.get("state") == "working":
            d = self.say("GET", f"/v1/apps/{self.app}/deployments/{d['id']}?wait_ms=20000&seen={d['seen']}").json
        return d


PAGE = '[[files]]\nroute = "/"\nfolder = "p"\n'
PAGES = {"p/index.html": b"hello"}


def test_node_sql_that_nothing_stops():
    """A call of SQLite's that takes minutes, and cannot be told to end, ends with the store's process: others go on with the next one, and have what they were
    told is kept."""
    rows = "with recursive c (i) as (select 1 union all select i + 1 from c limit 100000)"
    patch = f"{rows} select length(json_patch(json_group_object('a' || i, 1), json_group_object('b' || i, 1))) from c"
    with node("--workers", "1") as n:
        put(n, "evil", limits(data_ms_max=2000, handler_ms_max=3000))
        put(n, "good")
        sql(n, "good", "create table t (n)", "insert into t values (42)")
        n.get("evil", "/sql3?default", data=patch.encode())
        has(sql(n, "good", "select n from t"), "42")  # another database's thread
        e = n.wait_event("data-stuck")
        eq(e["app"], "evil")
        until(lambda: "42" in n.get("good", "/sql3?default", data=b"select n from t").text)
        has(n.get("evil", "/sql3?default", data=b"select 7").text, "7")
        # what SQLite's own would take minutes for is no more than its length
        has(sql(n, "evil", "select 40 + instr(zeroblob(4000000), zeroblob(2000000) || x'01')"), "40")


def test_node_token_takes_no_more_of_the_processor():
    with node() as n:
        d = Deployer(n, "evil")
        eq(d.deploy(PAGE, PAGES)["state"], "done")
        refused = d.deploy("weight = 10000\n" + PAGE, PAGES)
        eq((refused["state"], refused["error"]["code"]), ("failed", "denied"))
        has(refused["error"]["message"], "weight")
        eq(deploy_manifest(n.state, "evil", "weight = 10\n" + PAGE, PAGES)["state"], "done")  # the operator may


def test_node_maxima_hold_for_who_says_nothing():
    config = os.path.join(new_state(), "node.toml")
    with open(config, "w") as f:
        f.write("[max]\nrequests_per_second = 3\nburst = 5\n")
    with node("--config", config) as n:
        refused = deploy_manifest(n.state, "evil", "limits = { requests_per_second = 4 }\n" + PAGE, PAGES)
        has(refused["error"]["message"], "limits.requests_per_second")
        eq(deploy_manifest(n.state, "evil", PAGE, PAGES)["state"], "done")
        said = [n.get("evil").status for _ in range(40)]
        check(429 in said, said)


def test_node_sql_names_of_columns_are_part_of_the_answer():
    with node("--workers", "1") as n:
        put(n, "evil")
        put(n, "good")
        wide = "select * from " + ", ".join(f"v a{i}" for i in range(60))
        sql(n, "evil", f"create view v as select 1 as \"{'n' * 900000}\"")
        sql(n, "good", "create table t (n)", "insert into t values (42)")
        slow = f"with recursive c (n) as (select 1 union all select n + 1 from c where n < {1000000 if SANITIZED else 3000000}) select max(n), 42 from c"
        said = []
        asks = [threading.Thread(target=lambda: said.append(sql(n, "good", slow))) for _ in range(4)]
        for t in asks:
            t.start()
        for _ in range(6):
            has(sql(n, "evil", wide), "error", "data_answer_kb")
        for t in asks:
            t.join()
        eq(["error" in s for s in said], [False] * 4)


def test_node_folders_within_folders_are_counted():
    """One file that lies in many static folders is kept once for each."""
    with node() as n:
        d = Deployer(n, "evil")
        folders = ["/".join(["d"] * k) for k in range(1, 120)]
        page = lambda k, f: f'[[files]]\nroute = "/{k}"\nfolder = "{f}"\n'
        small = "limits = { deployment_mb = 8 }\n"
        refused = d.deploy(small + "".join(page(k, f) for k, f in enumerate(folders)), {folders[-1] + "/big.bin": b"x" * 1000000})
        eq((refused["state"], refused["error"]["code"]), ("failed", "limit"))
        has(refused["error"]["message"], "deployment_mb")
        names = {f"{folders[-1]}/{k}": b"" for k in range(2000)}
        refused = d.deploy(small + "".join(page(k, f) for k, f in enumerate(folders)), names)  # nothing but names
        eq((refused["state"], refused["error"]["code"]), ("failed", "limit"))
        eq(d.deploy(small + "".join(page(k, "d") for k in range(100)), {"d/big.bin": b"x" * 1000000})["state"], "done")  # it is there once
        eq(n.get("evil", "/77/big.bin").status, 200)


def test_node_what_did_not_go_live_leaves_nothing():
    """What was compiled and packed for a deployment that failed, or was only tried, goes, however often there are others."""
    with node() as n:
        d = Deployer(n, "evil")
        two = '[[files]]\nroute = "/a"\nfolder = "a"\n[[files]]\nroute = "/b"\nfolder = "a/b"\n[functions.main]\nsource = "main.wasm"\nroutes = ["/f"]\n'
        files = lambda k: {"a/b/x": b"%d" % k * 700000, "main.wasm": open(guest("tenant"), "rb").read()}
        left = lambda: sorted(os.listdir(os.path.join(n.state, "packs")) + os.listdir(os.path.join(n.state, "images")))
        for k in range(3):
            refused = d.deploy("limits = { deployment_mb = 1 }\n" + two, files(k))
            eq(refused["error"]["code"], "limit")
        tried = deploy_manifest(n.state, "evil", "limits = { memory_mb = 9 }\n" + two, files(9), dry_run=True)
        eq(tried["state"], "done")
        check(left())
        large = lambda: [f for f in left() if any(os.path.getsize(p) > 10000 for p in [os.path.join(n.state, of, f) for of in ("packs", "images")] if os.path.exists(p))]
        k = itertools.count()

        def gone():  # another's come and go meanwhile
            eq(deploy_manifest(n.state, "good", "limits = { versions_kept = 1 }\n" + PAGE, {"p/index.html": b"%d" % next(k)})["state"], "done")
            pace(0.2)
            return not large()
        until(gone)
