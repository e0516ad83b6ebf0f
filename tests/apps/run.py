#!/usr/bin/env python3
"""Many apps on one node: each reaches only its own, none harms another, and none of their requests is lost while apps come, change and go.

Usage: tests/apps/run.py ORLO [FILTER]. More of these tests are in tests/apps/PART_test.py. Real guests in several languages are taken from ../shared/guests, where there are any; the rest
is this repository's.
"""
import concurrent.futures, http.client, http.server, os, random, signal, subprocess, sys, threading, time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from harness import *
from nodes import *

GUESTS_HERE = os.path.join(ROOT, "tests", "guests")
GUESTS_REAL = os.path.join(ROOT, "..", "shared", "guests")
# A program in each of eight languages, as far as they are there; the small one of its kind.
LANGUAGES = ["c-p2", "rust-p2", "go-cgi", "py-p2", "js-fetch", "as-cgi", "zig-cgi", "cpp-cgi"]


# ---- clients that ask on ---------------------------------------------------------------------------------------------


class Hammer(threading.Thread):
    """A client that asks an app again and again; what it must not get is kept."""

    def __init__(self, n, app, right, path="/"):
        super().__init__(daemon=True)
        self.n, self.app, self.right, self.path = n, app, right, path
        self.asked, self.wrong, self.seen, self.enough = 0, [], [], threading.Event()

    def run(self):
        conn = None
        while not self.enough.is_set():
            try:
                conn = conn or http.client.HTTPConnection("127.0.0.1", self.n.port, timeout=PATIENCE_S)
                conn.request("GET", self.path, headers={"Host": self.app + ".localhost"})
                r = conn.getresponse()
                status, body = r.status, r.read().decode("utf-8", "replace")
            except (OSError, http.client.HTTPException) as e:
                status, body = 0, repr(e)
                conn.close()
                conn = None
            self.asked += 1
            if not self.right(status, body):
                self.wrong.append((status, body))
            elif not self.seen or self.seen[-1] != (status, body):
                self.seen.append((status, body))
        if conn:
            conn.close()

    def end(self):
        self.enough.set()
        self.join(PATIENCE_S)
        check(not self.is_alive(), "a request was not answered", self.n.log()[-2000:])
        check(not self.wrong, f"{len(self.wrong)} of {self.asked} requests to {self.app} went wrong", self.wrong[:3], self.n.log()[-3000:])
        check(self.asked > 3, self.asked)


@contextlib.contextmanager
def hammering(n, *hammers):
    for h in hammers:
        h.start()
    yield
    for h in hammers:
        h.end()


def here(name):
    return os.path.join(GUESTS_HERE, name + ".wasm")


# ---- deploying ------------------------------------------------------------------------------------------------------


def test_deploy_list_delete():
    with node("--workers", "2") as n:
        eq(n.apps(), {})
        has(orlo("apps", "--state", n.state)[2], "orlo deploy FILE --app NAME")
        eq(n.get("shop").status, 404)
        out = n.deploy("shop", guest("tenant"), "--env", "APP=shop", "--env", "SECRET=xyzzy", "--host", "shop.example.org", "--host", "*.shop.test")
        has(out, f"http://shop.localhost:{n.port}/", "version 1", "--env SECRET")
        check("xyzzy" not in out, out)
        eq(n.get("shop").text, "shop\n")
        for host in ("shop.example.org", "SHOP.example.org:99", "a.b.shop.test"):
            eq(curl(n.url, "-H", "Host: " + host).text, "shop\n")
        for host in ("example.org", "shop.test", "[::1]", "localhost"):
            a = curl(n.url, "-H", "Host: " + host)
            eq(a.status, 404)
            has(a.text, "No app answers for this host.")
        has(n.deploy("shop", guest("tenant"), "--env", "APP=new"), "version 2")
        eq(n.get("shop").text, "new\n")
        eq(curl(n.url, "-H", "Host: shop.example.org").status, 404)
        eq({k: v["version"] for k, v in n.apps().items()}, {"shop": 2})
        n.deploy("other", guest("tenant"), "--env", "APP=other")
        eq(n.get("shop").text, "new\n")
        n.wait_event("app-deployed", app="other")
        check('"app-over","app":"shop","version":2' not in n.log(), n.log())  # what another does ends nothing of it
        n.delete("other")
        n.delete("shop")
        eq(n.get("shop").status, 404)
        eq(n.apps(), {})
        n.wait_event("app-over", app="shop", version=2)


def test_routes_and_default():
    with node("--workers", "1") as n:
        n.deploy("api", guest("tenant"), "--env", "APP=api", "--route", "/api", "--route", "=/health")
        n.deploy("rest", guest("tenant"), "--env", "APP=rest", "--host", "*")
        for path, status in (("/api", 200), ("/api/x?y=/", 200), ("/health", 200), ("/", 404), ("/apix", 404), ("/health/x", 404)):
            eq((path, n.get("api", path).status), (path, status))
        has(n.get("api", "/nowhere").text, "nothing at this path")
        has(orlo("apps", "--state", n.state)[1], "api.localhost /api =/health\t", "rest.localhost *\t")
        eq(n.get("nobody").text, "rest\n")
        has(raw(n.port, b"GET / HTTP/1.0\r\n\r\n").decode(), " 200 ", "rest")
        has(raw(n.port, b"GET http://api.localhost/health HTTP/1.1\r\nHost: rest.localhost\r\nConnection: close\r\n\r\n").decode(), " 200 ", "api")


def test_refused():
    state = new_state()
    code, _, error = orlo("deploy", guest("tenant"), "--app", "a", "--state", state)
    check(code == 66 and "orlo node" in error, code, error)
    with node("--workers", "1", state=state) as n:
        n.deploy("a", guest("tenant"), "--env", "APP=a", "--host", "x.example")
        bad = file_of("bad.wasm", b"\0asm\1\0\0\0\xff")
        for arguments, status, words in (
            ([bad, "--app", "a"], 65, "bad.wasm"),
            ([file_of("bare.wasm", b"\0asm\1\0\0\0"), "--app", "a"], 65, "exports none of"),
            ([guest("tenant"), "--app", "B!"], 64, "an app's name has"),
            ([guest("tenant"), "--app", "b", "--host", "x.example"], 69, "x.example"),
            ([guest("tenant"), "--app", "b", "--host", "http://x.example"], 64, "no URL"),
            ([guest("tenant"), "--app", "b", "--route", "/a", "--route", "/a/"], 64, "/a stands there twice"),
            ([guest("tenant"), "--app", "b", "--dir", "/no/such::/d"], 66, "/no/such"),
            (["/no/such.wasm", "--app", "b"], 66, "such.wasm"),
        ):
            code, out, error = orlo("deploy", *arguments, "--state", state)
            check(code == status and words in error, arguments, code, status, error, out)
        code, _, error = orlo("delete", "nobody", "--state", state)
        check(code == 66 and "nobody" in error, code, error)
        eq(list(n.apps()), ["a"])
        eq(n.get("a").text, "a\n")
        eq(orlo("node", "--state", state, "--listen", "127.0.0.1:0")[0], 69)  # two nodes on one folder


def test_limits_are_each_apps():
    with node("--workers", "1") as n:
        n.deploy("small", guest("cgi"), "--max-body", "1K", "--timeout", "300ms")
        n.deploy("large", guest("cgi"))
        body = b"x" * 100_000
        eq(n.get("small", "/echo", data=body).status, 413)
        eq(n.get("small", "/echo", "-H", "Transfer-Encoding: chunked", data=body).status, 413)
        eq(n.get("small", "/echo", data=body[:1000]).body, body[:1000])
        eq(n.get("large", "/echo", data=body).body, body)
        eq(n.get("small", "/loop").status, 504)
        eq(n.get("small", "/").status, 200)


def test_waiting_is_each_apps():
    """An app whose only instance is taken keeps its own requests waiting, and nobody else's."""
    with node("--workers", "1") as n:
        n.deploy("busy", guest("cgi"), "--max-instances", "1", "--timeout", "3s")
        n.deploy("for-long", guest("cgi"), "--max-instances", "1", "--timeout", "300s")
        n.deploy("free", guest("cgi"), "--max-instances", "2")
        with contextlib.ExitStack() as clients:
            for _ in range(3):
                c = clients.enter_context(socket.create_connection(("127.0.0.1", n.port)))
                c.sendall(b"GET /loop HTTP/1.1\r\nHost: for-long.localhost\r\n\r\n")
                n.wait_taken(c)
            for _ in range(20):
                eq(n.get("free", timeout=100).status, 200)
        eq(n.get("for-long").status, 200)
        loops = [threading.Thread(target=n.get, args=("busy", "/loop")) for _ in range(6)]
        for t in loops:
            t.start()
        for t in loops:
            t.join()
        eq(n.get("busy").status, 200)
        n.wait_event("no-instance")
        check(n.events("no-instance") and all(e["app"] == "busy" for e in n.events("no-instance")), n.events("no-instance"))


# ---- coming, changing, going ----------------------------------------------------------------------------------------


def test_changes_lose_nothing():
    with node("--workers", "2") as n:
        n.deploy("still", guest("tenant"), "--env", "APP=still")
        n.deploy("changes", guest("tenant"), "--env", "APP=0")
        numbers = lambda status, body: status == 200 and body.strip().isdigit()
        hammers = [Hammer(n, "changes", numbers) for _ in range(3)]
        hammers.append(Hammer(n, "still", lambda status, body: (status, body) == (200, "still\n")))
        comes = Hammer(n, "comes", lambda status, body: status == 404 or (status, body) == (200, "comes\n"))
        with hammering(n, *hammers, comes):
            for i in range(1, 7):
                n.deploy("changes", guest("tenant"), "--env", f"APP={i}")
                if i % 3 == 1:
                    n.deploy("comes", guest("tenant"), "--env", "APP=comes")
                if i % 3 == 0:
                    n.delete("comes")
        for h in hammers[:3]:
            got = [int(body) for _, body in h.seen]
            check(got == sorted(got) and got[-1] == 6, got)  # of one connection: never back to an older version
        check(len(comes.seen) >= 4, comes.seen)
        for i in range(1, 7):
            n.wait_event("app-over", app="changes", version=i, count=1)


def test_rights_grow():
    """A version that may do more than the workers may gets new ones, and no request is lost."""
    folder = tempfile.mkdtemp(dir=WORK)
    open(os.path.join(folder, "who"), "w").write("me")
    with node("--workers", "2") as n:
        n.deploy("a", guest("tenant"), "--env", "APP=a")
        before = n.workers()
        with hammering(n, Hammer(n, "a", lambda status, body: (status, body) == (200, "a\n"))):
            n.deploy("b", guest("tenant"), "--env", "APP=b", "--dir", folder + "::/data")
            eq(n.get("b", "/read?who").text, "me")
        check(not set(before) & set(n.workers()), before, n.workers())
        has(n.get("a", "/read?who").text, "errno")


def test_old_version_finishes():
    with node("--workers", "1") as n, concurrent.futures.ThreadPoolExecutor(1) as pool:
        n.deploy("a", here("http3"), "--instance-concurrency", "4")
        slow = pool.submit(n.get, "a", "/slow", data=b"x" * 60000)
        n.wait_taken(asked=[slow])
        n.deploy("a", guest("tenant"), "--env", "APP=new")
        eq(n.get("a").text, "new\n")
        eq((slow.result().status, len(slow.result().body)), (200, 60000))
        n.wait_event("app-over", app="a", version=1)


def test_memory_comes_back():
    with node("--workers", "1") as n:
        turn = lambda i: (n.deploy("a", guest("tenant"), "--env", f"APP={i}"), eq(n.get("a").text, f"{i}\n"))
        for i in range(3):
            turn(i)
        n.wait_event("app-over", app="a", version=2)
        before = n.resident_kib()
        for i in range(3, 15):
            turn(i)
        n.wait_event("app-over", app="a", version=14)
        after = n.resident_kib()
        if before is not None and not SANITIZED:
            check(after <= before + 2048, before, after)


# ---- what stays -----------------------------------------------------------------------------------------------------


def test_restart():
    state = new_state()
    with node("--workers", "1", state=state) as n:
        n.deploy("a", guest("tenant"), "--env", "APP=a")
        n.deploy("b", here("http"))
        n.deploy("a", guest("tenant"), "--env", "APP=a2")
    with node("--workers", "2", state=state) as n:
        eq({k: v["version"] for k, v in n.apps().items()}, {"a": 2, "b": 1})
        eq(n.get("a").text, "a2\n")
        eq(n.get("b").status, 200)
        has(n.deploy("a", guest("tenant"), "--env", "APP=a3"), "version 3")


def test_two_nodes_on_one_folder():
    """The second is refused in words, and changes nothing; once the first is gone, however it went, the next one starts at once."""
    state = new_state()
    n = Node(state, "--workers", "1")
    try:
        n.deploy("a", guest("tenant"))
        code, out, error = orlo("node", "--state", state, "--listen", "127.0.0.1:0")
        eq((code, out), (69, ""))
        has(error, "another node runs on the state folder " + state)
        eq(n.get("a").status, 200)
        n.deploy("b", guest("tenant"))  # commands still reach the first
        n.proc.kill()  # the supervisor alone: the others end by themselves
        n.proc.wait()
        with node("--workers", "1", state=state) as next_one:
            eq(sorted(next_one.apps()), ["a", "b"])
            eq(next_one.get("b").status, 200)
    finally:
        if n.proc.poll() is None:
            n.kill()


def test_roles_die():
    """Whoever of a node's processes is killed: apps go on being served, and what is deployed meanwhile or afterwards is."""
    with node("--workers", "2") as n:
        n.deploy("a", guest("tenant"))
        hammer = Hammer(n, "a", lambda status, body: status == 200)
        hammer.start()
        for i in range(4):
            n.kill_control()
            until(lambda: orlo("deploy", guest("tenant"), "--app", "b", "--state", n.state)[0] == 0)  # until there is somebody to ask
            eq(n.apps()["b"]["version"], i + 1)
            eq(n.get("b").status, 200)
        hammer.enough.set()
        hammer.join()
        check(hammer.asked > 20 and not hammer.wrong, hammer.asked, hammer.wrong[:3])
        eq(n.events("worker-died"), [])


def test_killed_at_any_moment():
    """The version before, or the next, whole; and who was told that it is live finds it again."""
    state, told, rounds, each = new_state(), 0, 6 if SANITIZED else 12, deployment_s(guest("tenant"))
    for i in range(1, rounds + 1):
        n = Node(state, "--workers", "1")
        try:
            if told:
                now = int(n.get("a").text)
                check(now >= told, now, told)
            deploying = subprocess.Popen([ORLO, "deploy", guest("tenant"), "--app", "a", "--state", state, "--env", f"APP={i}"],
                                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            pace(random.Random(i).uniform(0, 1.5 * each))
            if deploying.poll() == 0:
                told = i
        finally:
            n.kill()
        if deploying.wait(PATIENCE_S) == 0:
            told = i
    with node("--workers", "1", state=state) as n:
        if told:
            check(int(n.get("a").text) >= told)
        n.deploy("a", guest("tenant"), "--env", "APP=99")
        eq(n.get("a").text, "99\n")


def test_image_is_gone():
    state = new_state()
    with node("--workers", "1", state=state) as n:
        n.deploy("a", guest("tenant"), "--env", "APP=a")
        n.deploy("b", here("http"))
    for name in os.listdir(os.path.join(state, "images")):
        path = os.path.join(state, "images", name)
        with open(path, "r+b") as f:
            f.seek(5000)
            byte = f.read(1)
            f.seek(5000)
            f.write(bytes([byte[0] ^ 1]))
    with node("--workers", "1", state=state) as n:
        eq(n.get("a").status, 503)
        eq(n.get("b").status, 503)
        n.wait_event("app-not-loaded", app="a")
        eq(n.get("nobody").status, 404)
        n.deploy("a", guest("tenant"), "--env", "APP=again")
        eq(n.get("a").text, "again\n")


def test_worker_comes_back_without_images():
    """A worker that starts anew serves at once what it can, whether or not the images are to be had just then."""
    with node("--workers", "1") as n:
        n.deploy("a", guest("tenant"), "--env", "APP=a")
        with processes.stopped(n.role("control")):
            processes.kill(n.role("worker"))
            n.wait_event("worker-died")
            until(lambda: nobody_answers(n))
        eq(n.get("a").text, "a\n")


def nobody_answers(n):
    try:
        return n.get("nobody").status == 404
    except OSError:  # of the worker that was killed
        return False


# ---- a hundred ------------------------------------------------------------------------------------------------------


class Upstreams:
    """A server that listens at many ports, and says at which."""

    def __init__(self, count):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *args):
                pass

        self.servers = [http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) for _ in range(count)]
        self.ports = [s.server_address[1] for s in self.servers]
        for s in self.servers:
            threading.Thread(target=s.serve_forever, daemon=True).start()

    def close(self):
        for s in self.servers:
            s.shutdown()


def real_guests():
    return [p for p in (os.path.join(GUESTS_REAL, g + ".wasm") for g in LANGUAGES) if os.path.exists(p)]


def deploy_hundred(n, count, upstreams):
    """Apps by turns: one with a variable and a folder, one with an outgoing host, one of this repository or in another language."""
    real, kinds = real_guests(), []
    others = real or [here("http"), here("http3")]
    for i in range(count):
        kind = ("tenant", "fetch", "other")[i % 3]
        if kind == "tenant":
            folder = os.path.join(WORK, f"folder{i}")
            os.makedirs(folder, exist_ok=True)
            with open(os.path.join(folder, "who"), "w") as f:
                f.write(f"file of {i}")
            n.deploy(f"app{i}", guest("tenant"), "--env", f"APP=app{i}", "--dir", folder + "::/data", "--timeout", "2s", "--max-memory", "32M")
        elif kind == "fetch":
            n.deploy(f"app{i}", here("fetch"), "--allow-http", f"127.0.0.1:{upstreams.ports[i % len(upstreams.ports)]}")
        else:
            n.deploy(f"app{i}", others[i // 3 % len(others)], "--timeout", "20s")
        kinds.append(kind)
    return kinds


def check_own(n, i, kinds, upstreams):
    if kinds[i] == "tenant":
        eq(n.get(f"app{i}").text, f"app{i}\n")
        env = n.get(f"app{i}", "/env").text
        eq([l for l in env.splitlines() if l.startswith("APP=")], [f"APP=app{i}"])
        eq(n.get(f"app{i}", "/read?who").text, f"file of {i}")
        for other in ("../folder0/who", "/etc/passwd", f"../folder{(i + 3) % len(kinds)}/who"):
            has(n.get(f"app{i}", "/read?" + other).text, "errno")
        eq(n.get(f"app{i}", "/write?mine").text, "written\n")
        eq(open(os.path.join(WORK, f"folder{i}", "mine")).read(), f"app{i}")
    elif kinds[i] == "fetch":
        own, other = (upstreams.ports[k % len(upstreams.ports)] for k in (i, i + 3))
        eq(n.get(f"app{i}", f"/http?127.0.0.1:{own}").text, "status 200\n")
        if other != own:
            has(n.get(f"app{i}", f"/http?127.0.0.1:{other}").text, "failed")
        has(n.get(f"app{i}", f"/http?127.0.0.1:{n.port}").text, "failed")
    else:
        eq(n.get(f"app{i}").status, 200)


def test_hundred():
    count = 100 if not SANITIZED else 15
    upstreams = Upstreams(11)
    with node("--workers", "1") as n:
        kinds = deploy_hundred(n, count, upstreams)
        eq(len(n.apps()), count)
        for i in range(count):
            check_own(n, i, kinds, upstreams)
        tenants = [i for i, k in enumerate(kinds) if k == "tenant"]
        right = lambda i: (lambda status, body: (status, body) == (200, f"app{i}\n"))
        bystanders = [Hammer(n, f"app{i}", right(i)) for i in tenants[-3:]]
        with hammering(n, *bystanders):
            for path, status in (("/trap", 500), ("/loop", 504), ("/flood", 200), ("/grow", 500)):
                got = []
                attackers = [threading.Thread(target=lambda i=i: got.append(n.get(f"app{i}", path).status)) for i in tenants[:-3]]
                for t in attackers:
                    t.start()
                for t in attackers:
                    t.join()
                check(set(got) <= {status, 504} and len(got) == len(attackers), path, got)  # 504: it had not even failed in time
        for i in range(count):
            check_own(n, i, kinds, upstreams)
        check(not [e for e in n.events() if e["event"] in FATAL], [e for e in n.events() if e["event"] in FATAL])
        for e in n.events("guest-failed"):
            check(int(e["app"][3:]) in tenants[:-3], e)
    upstreams.close()


if __name__ == "__main__":
    run_parts(os.path.dirname(os.path.abspath(__file__)), globals())
