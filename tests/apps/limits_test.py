"""Every limit of an app by its key, on real guests: the status, the header, what the log says; and a flood of each kind, beside which a neighbour is
answered as ever."""
import concurrent.futures, http.client, http.server, socket, threading, time

from harness import *
from nodes import *

HERE = os.path.join(ROOT, "tests", "guests")
HTTP, HTTP3, OPS = (os.path.join(HERE, name + ".wasm") for name in ("http", "http3", "httpops"))


def limited(n, app, wasm, granted="", **limits_):
    """Deploys with limits that no flag sets, by their fields in settings.def."""
    deploy_function(n, app, wasm, granted, limits(**limits_))


def refused(a, status, limit=None, retry=False):
    """a was answered by the node, with that status; limit: "KEY=VALUE"."""
    eq((a.status, a.fields.get("x-orlo-limit")), (status, limit))
    check(a.fields["x-request-id"] and a.fields["cache-control"] == "no-store", a.head)
    check(bool(a.fields.get("retry-after")) == retry and int(a.fields.get("retry-after", 1)) >= 1, a.head)
    has(a.text, str(status), a.fields["x-request-id"])


def fields_of(a):
    a.fields = {k.lower(): v for k, _, v in (line.partition(": ") for line in a.head.split("\r\n\r\n")[-2].split("\r\n")[1:])} if a.head else {}
    return a


def get(n, app, path="/", *flags, **more):
    return fields_of(n.get(app, path, *flags, **more))


@contextlib.contextmanager
def upstream(answer=b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"):
    """A server that answers each request so, and keeps their heads."""
    heads = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            heads.append((self.path, dict(self.headers)))
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    server.heads, server.authority = heads, f"127.0.0.1:{server.server_address[1]}"
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


# ---- time -----------------------------------------------------------------------------------------------------------


def test_limits_processor_time():
    """Counted where the guest computes, in the host for it as well; not while it sleeps."""
    with node("--workers", "1") as n:
        for app, wasm in (("cgi", guest("cgi")), ("http", HTTP), ("http3", HTTP3)):
            n.deploy(app, wasm, "--max-cpu", "150ms", "--timeout", "20s")
            refused(get(n, app, "/loop"), 500, "cpu_ms=150")
            e = n.wait_event("guest-failed", app=app)
            eq((e["reason"], e["limit"]), ("the guest computed for longer than it may", "cpu_ms=150"))
            eq(get(n, app, "/echo", data=b"it goes on").body, b"it goes on")
        n.deploy("host", guest("slices1"), "--max-cpu", "150ms", "--timeout", "20s")
        n.deploy("host2", os.path.join(HERE, "slices.wasm"), "--max-cpu", "150ms", "--timeout", "20s")
        for app, path in (("host", "/flood?64"), ("host", "/random?64"), ("host2", "/zeroes"), ("host2", "/random?8")):  # one call of the host's
            refused(get(n, app, path), 500, "cpu_ms=150")
        n.deploy("sleeps", HTTP3, "--max-cpu", "100ms", "--timeout", "20s")
        eq(get(n, "sleeps", "/sleep").status, 200)  # for 300 ms


def test_limits_processor_time_is_a_requests():
    """In an instance of several, who computes is counted, and not who sleeps beside him."""
    with node("--workers", "1") as n, concurrent.futures.ThreadPoolExecutor(3) as pool:
        n.deploy("shared", HTTP3, "--instance-concurrency", "4", "--max-cpu", "400ms", "--timeout", "20s")
        for _ in range(30):  # an instance that has served many has used more than any of them may
            eq(get(n, "shared", "/echo", data=bytes(1 << 20)).status, 200)
        loops = pool.submit(get, n, "shared", "/loop")
        refused(loops.result(), 500, "cpu_ms=400")
        eq(get(n, "shared", "/sleep").status, 200)


def test_limits_wall_time():
    with node("--workers", "1") as n:
        n.deploy("a", HTTP3, "--timeout", "200ms")
        refused(get(n, "a", "/never"), 504, "timeout_ms=200")
        eq(n.wait_event("guest-failed", app="a")["limit"], "timeout_ms=200")


# ---- sizes ----------------------------------------------------------------------------------------------------------


def test_limits_request():
    with node("--workers", "1") as n:
        n.deploy("a", guest("cgi"), "--max-body", "2K")
        refused(get(n, "a", "/echo", data=bytes(2049)), 413, "body_kb=2")
        refused(get(n, "a", "/echo", "-H", "Transfer-Encoding: chunked", data=bytes(2049)), 413, "body_kb=2")
        eq(n.wait_event("limit", app="a")["limit"], "body_kb=2")
        eq(get(n, "a", "/echo", data=bytes(2048)).status, 200)
        a = get(n, "a", "/echo", "-H", "Accept: application/json", data=bytes(2049))
        eq({k: v for k, v in json.loads(a.body).items() if k != "request_id"},
           {"status": 413, "error": "Content Too Large", "message": "The request's body is too large.", "limit": "body_kb=2"})
        a = get(n, "a", "/echo", "-H", "Accept: text/html", data=bytes(2049))
        has(a.head, "text/html")
        has(a.text, "<h1>413")


def test_limits_response():
    """One that is too large from the start is an error, one that becomes so is cut off, and known to be."""
    with node("--workers", "1") as n:
        for app, wasm in (("cgi", guest("cgi")), ("http", HTTP), ("http3", HTTP3)):
            n.deploy(app, wasm, "--max-response", "1M")
            a = get(n, app, "/big")
            check(a.code in (18, 56) and a.status == 200 and len(a.body) <= 1 << 20, app, a.code, a.status, len(a.body))
            eq(n.wait_event("guest-failed", app=app)["limit"], "response_kb=1024")
            n.deploy(app, wasm, "--max-response", "3")
            refused(get(n, app, "/echo", data=b"four"), 500, "response_kb=3B")
            eq(get(n, app, "/echo", data=b"all").body, b"all")
            eq(get(n, app, "/big", "-I").status, 200)
        n.deploy("says", OPS, "--max-response", "8")
        refused(get(n, "says", "/c9+R+B!o+W"), 500, "response_kb=8B")  # announced


def test_limits_memory():
    """A memory that may not grow says so to its guest; what cannot even start is refused."""
    with node("--workers", "1") as n:
        n.deploy("a", guest("memory"), "--max-memory", "8M")
        a = get(n, "a", "/grow?100")
        check(a.status == 200 and 0 < int(a.text.split()[-1]) < 8, a.status, a.text)
        n.deploy("b", guest("memory"), "--app-memory", "6M", "--timeout", "1s")
        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            answers = list(pool.map(lambda _: get(n, "b", "/grow?2"), range(12)))
        for a in answers:
            if a.status != 200:
                refused(a, 503, "app_memory_mb=6", retry=True)
        eq(get(n, "a", "/grow?1").status, 200)


def test_limits_log():
    """What a guest prints is logged up to its limit, and counted beyond; both of a request and of all of an app in a second."""
    with node("--workers", "1") as n:
        limited(n, "one", guest("tenant"), log_bytes_max=2048, cpu_ms_max=100)
        get(n, "one", "/flood")
        n.wait_event("guest-lines-dropped", app="one")
        check(sum(len(e["text"]) for e in n.events("guest") if e["app"] == "one") <= 2048 + 200, n.events("guest")[-3:])
        limited(n, "all", guest("tenant"), app_log_bytes_max=4096, cpu_ms_max=60)
        started = time.monotonic()
        for _ in range(10):
            get(n, "all", "/flood")
        seconds = int(time.monotonic() - started) + 2
        n.wait_event("guest-lines-dropped", app="all")
        check(sum(len(e["text"]) for e in n.events("guest") if e["app"] == "all") <= 4096 * seconds, seconds)


# ---- numbers --------------------------------------------------------------------------------------------------------


def test_limits_rate():
    """A token bucket for each app, on all workers together."""
    with node("--workers", "2") as n:
        n.deploy("a", guest("tenant"), "--env", "APP=a", "--max-rate", "1", "--max-burst", "5")
        n.deploy("b", guest("tenant"), "--env", "APP=b")
        started = time.monotonic()
        answers = [get(n, "a") for _ in range(60)]
        took = time.monotonic() - started
        good = [a for a in answers if a.status == 200]
        check(5 <= len(good) <= 5 + took + 1, len(good), took)
        for a in answers:
            if a.status != 200:
                refused(a, 429, "requests_per_second=1", retry=True)
        check(len(good) < 60, took)
        e = n.wait_event("limit", app="a")
        eq((e["limit"], e["status"]), ("requests_per_second=1", 429))
        check(len([e for e in n.events("limit") if e["app"] == "a"]) <= 2 * took + 4, n.events("limit"))  # one a second of each worker
        eq(get(n, "b").status, 200)
        until(lambda: get(n, "a").status == 200)


def test_limits_concurrency():
    with node("--workers", "1") as n, concurrent.futures.ThreadPoolExecutor(8) as pool:
        n.deploy("a", HTTP3, "--max-concurrency", "3", "--timeout", "3s")
        n.deploy("b", HTTP3)
        held = [pool.submit(get, n, "a", "/never") for _ in range(3)]
        a = until(lambda: (a := get(n, "a", "/count")).status != 200 and a)
        refused(a, 503, "concurrency=3", retry=True)
        eq(n.wait_event("limit", app="a")["limit"], "concurrency=3")
        eq(get(n, "b", "/count").status, 200)
        eq([f.result().status for f in held], [504] * 3)
        eq(get(n, "a", "/count").status, 200)


def test_limits_instances():
    with node("--workers", "1") as n, concurrent.futures.ThreadPoolExecutor(4) as pool:
        n.deploy("a", HTTP3, "--max-instances", "1", "--timeout", "700ms")
        answers = [f.result() for f in [pool.submit(get, n, "a", "/never") for _ in range(4)]]
        statuses = sorted(a.status for a in answers)
        check(statuses.count(504) >= 1 and 503 in statuses, statuses)
        for a in answers:
            refused(a, a.status, "timeout_ms=700" if a.status == 504 else "instances=1", retry=a.status == 503)


def test_limits_outgoing():
    """So many requests of a request, then each is an error of wasi:http."""
    with upstream() as up, node("--workers", "1") as n:
        limited(n, "a", OPS, grants(http=[up.authority]), fetches_max=3)
        a = get(n, "a", "/" + "+Q+f~f+r-r-f-Q" * 5 + "?" + up.authority)
        eq((a.status, len(up.heads)), (200, 3))
        eq(a.text.count("+r200"), 3)
        eq(n.wait_event("limit", app="a")["limit"], "outgoing_requests=3")
        until(lambda: 'orlo_limit_hits_total{app="a",limit="outgoing_requests"} 2' in say(Socket(n.state), "GET", "/metrics").text)
        eq(get(n, "a", "/+Q+f~f+r?" + up.authority).text.count("+r200"), 1)  # the next request has its own
        limited(n, "b", OPS, grants(http=[up.authority]), app_outgoing_max=1)
        a = get(n, "b", "/+Q+f~f+r?" + up.authority)
        eq(a.text.count("+r200"), 1)


# ---- in a circle ----------------------------------------------------------------------------------------------------


def test_limits_circle():
    """What comes back to its own node again and again ends at the fifth time; whoever asks says nothing about that, and no guest does."""
    with node("--workers", "2") as n, upstream() as up:
        n.deploy("round", HTTP3, "--host", f"127.0.0.1:{n.port}".split(":")[0], "--forward", f"http://127.0.0.1:{n.port}")
        a = fields_of(curl(n.url + "/forward", "-H", "Host: 127.0.0.1"))
        eq(a.status, 508)
        n.wait_event("request", count=6, path="/forward")
        in_vain(0.1, "a seventh")
        eq([e["status"] for e in n.events("request") if e.get("path") == "/forward"], [508] * 6)
        eq(n.wait_event("limit", app="round")["limit"], "hops=5")
        # A client cannot make a request look as if it had come round, whatever it sends ...
        n.deploy("once", HTTP3, "--forward", f"http://{up.authority}")
        for forged in ("orlo", ", ".join(["orlo"] * 50), "orlo;hops=9;seal=" + "0" * 24, "fastly, foo;x=1"):
            eq(get(n, "once", "/forward", "-H", "CDN-Loop: " + forged).status, 200)
        sent = {k.lower(): v for k, v in up.heads[-1][1].items()}["cdn-loop"]
        has(sent, "fastly, foo;x=1, orlo-", ";hops=1;seal=")
        # ... but what was sealed here counts, and a guest that passes it on does not lose it.
        get(n, "once", "/forward", "-H", "CDN-Loop: " + sent)
        sent = {k.lower(): v for k, v in up.heads[-1][1].items()}["cdn-loop"]
        eq((sent.count("orlo-"), sent.count(";hops=2;")), (2, 2))  # the node's, and its app's


# ---- floods ---------------------------------------------------------------------------------------------------------


class Flood(threading.Thread):
    def __init__(self, fn):
        super().__init__(daemon=True)
        self.fn, self.enough, self.done = fn, threading.Event(), 0

    def run(self):
        while not self.enough.is_set():
            with contextlib.suppress(Exception):
                self.fn()
            self.done += 1

    def end(self):
        self.enough.set()
        self.join(PATIENCE_S)
        check(not self.is_alive() and self.done, "a flood did not flow")


def ask(port, app, path="/", body=None):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        c.request("POST" if body else "GET", path, body=body, headers={"Host": app + ".localhost"})
        r = c.getresponse()
        return r.status, r.read()
    finally:
        c.close()


def connect_and_wait(port):
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as c:
        c.sendall(b"GET / HT")
        pace(0.3)


def beside(n, *floods):
    """A neighbour is answered 200, each time, while those go on."""
    threads = [Flood(f) for f in floods]
    for t in threads:
        t.start()
    try:
        deadline, asked = time.monotonic() + 2, 0
        while time.monotonic() < deadline or asked < 20:
            eq(ask(n.port, "neighbour"), (200, b"neighbour\n"))
            asked += 1
    finally:
        for t in threads:
            t.end()


def test_limits_floods():
    with node("--workers", "1", "--node-memory", "200M", "--max-connections", "200") as n, upstream() as up:
        n.deploy("neighbour", guest("tenant"), "--env", "APP=neighbour")
        n.deploy("loops", HTTP3, "--timeout", "1s", "--max-cpu", "300ms")
        n.deploy("grows", guest("memory"), "--max-memory", "64M")
        n.deploy("prints", guest("tenant"), "--max-cpu", "200ms", "--env", "APP=prints")
        n.deploy("asked", guest("tenant"), "--env", "APP=asked", "--max-rate", "50")
        n.deploy("sends", guest("cgi"), "--max-body", "64K")
        n.deploy("fetches", OPS, "--allow-http", up.authority)
        program = "/" + "+Q+f~f+r-r-f-Q" * 20 + "?" + up.authority
        floods = {
            "requests": lambda: ask(n.port, "asked"),
            "loops": lambda: ask(n.port, "loops", "/loop"),
            "memory": lambda: ask(n.port, "grows", "/grow?60"),
            "lines": lambda: ask(n.port, "prints", "/flood"),
            "bodies": lambda: ask(n.port, "sends", "/echo", bytes(1 << 17)),
            "connections": lambda: connect_and_wait(n.port),
            "outgoing": lambda: ask(n.port, "fetches", program),
        }
        for name_, flood in floods.items():
            beside(n, *[flood] * 6)
            check(n.proc.poll() is None, name_)
        beside(n, *floods.values())
        eq(n.events("worker-died"), [])


# ---- who develops is told -------------------------------------------------------------------------------------------


def test_limits_dev_page():
    """On a node that is developed on a page says all that is known, the grant that was lacking too; elsewhere nothing of it."""
    folder, port = tempfile.mkdtemp(prefix="dev-", dir=WORK), free_port()
    manifest = f'name = "d"\n[limits]\ncpu_ms = 200\n[functions.ops]\nsource = "{OPS}"\nroutes = [{{ path = "/ops", strip = true }}]\n'
    manifest += f'[functions.http]\nsource = "{HTTP}"\nroutes = [{{ path = "/http", strip = true }}]\n'
    for wasm in (OPS, HTTP):
        shutil.copy(wasm, folder)
        manifest = manifest.replace(wasm, os.path.basename(wasm))
    file_of(os.path.join(folder, "orlo.toml"), manifest.encode())
    p = subprocess.Popen([ORLO, "dev", folder, "--listen", f"127.0.0.1:{port}"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        until(lambda: curl(url + "/http/").status == 200)
        a = fields_of(curl(url + "/http/loop"))
        refused(a, 500, "cpu_ms=200")
        has(a.text, "`cpu_ms` in [limits] of orlo.toml", "computed for longer than it may", "handle (", "function http")
        a = fields_of(curl(url + "/http/stderr"))
        a = fields_of(curl(url + "/ops/+Q+fxx?api.example.org", "-H", "Accept: text/html"))
        eq(a.status, 500)
        has(a.text, "<html", "allow_http", "api.example.org:80", "unreachable")
        a = json.loads(curl(url + "/http/loop", "-H", "Accept: application/json").body)
        eq((a["limit"], "orlo.toml" in a["advice"]), ("cpu_ms=200", True))
    finally:
        p.terminate()
        p.wait()
    with node("--workers", "1") as n:
        n.deploy("ops", OPS)
        a = get(n, "ops", "/+Q+fxx?api.example.org", "-H", "Accept: text/html")
        eq(a.status, 500)
        check("api.example.org" not in a.text and "unreachable" not in a.text and "allow_http" not in a.text, a.text)
