"""What a node does for many apps at once: ./dev bench node, or one part: node-neighbour node-idle
node-hello node-deploy node-observe node-suspended node-mixed (--minutes N, 1 by default). That 10,000 routes lead to its apps is ./dev bench routes. Called by run.py, whose rows these are.

A neighbour is judged by what another app's client sees: 8 connections that ask for half of what they could have, p99, alone and beside a flood, in turns. The client that measures has
a real-time priority where that may be had, and who makes the flood the lowest: they share a core, and it is the node that is measured."""
import contextlib, ctypes, http.client, json, math, os, platform, random, re, resource, shutil, signal, socket, statistics, struct, subprocess, sys, threading, time

bench = sys.modules["__main__"]
VICTIM, NOISY, CONNECTIONS = "victim", "noisy", 8


def prefer(pids):
    """What else this machine does is not to be measured: before all of it, with the shortest of slices (sched_setattr, Linux 6.12), where that may be had."""
    attr = struct.pack("<IIQiIQQQ", 48, 0, 0, -19, 0, 100_000, 0, 0)
    number = {"x86_64": 314, "aarch64": 274}.get(platform.machine())
    for pid in pids if os.geteuid() == 0 and number else ():
        ctypes.CDLL(None).syscall(number, pid, attr, 0)


# ---- a node ------------------------------------------------------------------------------------------------------------------------------------


class Node(bench.Server):
    """On the first core, with apps: (name, file, flags of orlo deploy) each."""

    def __init__(self, name, apps, *flags, workers=1, access_log=False, pin=True):
        self.state, port = os.path.join(bench.WORK, "state-" + name), bench.free_port()
        quiet = [] if access_log else ["--no-access-log"]
        command = [bench.ORLO, "node", "--state", self.state, "--listen", f"127.0.0.1:{port}", "--workers", str(workers), *quiet, *flags]
        self.log = open(os.path.join(bench.WORK, name + ".log"), "wb")
        self.name, self.port = name, port
        pinned = ["taskset", "-c", bench.SERVER_CORE] if pin and shutil.which("taskset") else []
        self.started = time.monotonic()
        self.proc = subprocess.Popen([*pinned, *command], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, start_new_session=True)
        while not self.listens():
            if self.proc.poll() is not None or time.monotonic() - self.started > 60:
                self.stop()
                raise RuntimeError(f"{name} does not start: " + open(self.log.name, errors="replace").read()[-600:])
            time.sleep(0.002)
        self.ready_ms = (time.monotonic() - self.started) * 1000
        for app, file, *more in apps:
            self.deploy(app, file, *more)

    def listens(self):
        return b'"serving"' in open(self.log.name, "rb").read() or b" serving " in open(self.log.name, "rb").read()

    def deploy(self, app, file, *flags):
        for _ in range(50):
            p = subprocess.run([bench.ORLO, "deploy", file, "--app", app, "--state", self.state, *flags], capture_output=True, text=True)
            if not p.returncode:
                return
            time.sleep(0.05)
        raise RuntimeError(f"{app} cannot be deployed: {p.stderr}")

    def workers(self):
        return [p for p in self.pids() if open(f"/proc/{p}/comm").read().strip() == "orlo-worker"]

    def ask(self, app, path="/", timeout=30):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        c.request("GET", path, headers={"Host": app + ".localhost"})
        r = c.getresponse()
        return r.status, r.read()


def first(priority, *command):
    """Before others on the core that loads, or after all of them."""
    pinned = ["taskset", "-c", bench.LOAD_CORE] if shutil.which("taskset") else []
    if priority and shutil.which("chrt") and subprocess.run(["chrt", "-f", "10", "true"], capture_output=True).returncode == 0:
        return [*pinned, "chrt", "-f", "10", *command]
    return [*pinned, *(["nice", "-n", "19"] if not priority else []), *command]


def wrk(server, app, connections, seconds, *more, path="/"):
    prefer(server.workers())
    out = subprocess.run(first(True, "wrk", "-t1", f"-c{connections}", f"-d{seconds}", "--latency", "-H", f"Host: {app}.localhost", *more, f"http://127.0.0.1:{server.port}{path}"),
                         capture_output=True, text=True, check=True, timeout=seconds + 20).stdout
    percentile = lambda p: (lambda m: float(m.group(1)) * {"us": 1, "ms": 1000, "s": 1e6}[m.group(2)])(re.search(rf"{p}%\s+([\d.]+)(us|ms|s)", out))
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    return {"rps": float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1)), "p50": percentile(50), "p99": percentile(99), "bad": int(bad.group(1)) if bad else 0}


def at_half(server, full, connections=CONNECTIONS):
    """wrk's flags with which it asks for about half of that."""
    script, rests = os.path.join(bench.WORK, "half-node.lua"), 0.5
    for _ in range(8):
        with open(script, "w", encoding="utf-8") as f:
            f.write(f"function delay() return math.random() < {rests:.4f} and 1 or 0 end\n")
        got = wrk(server, VICTIM, connections, 1, "-s", script)["rps"]
        if abs(got / full - 0.5) < 0.03:
            break
        gap = connections / got - connections / full
        rests = min(max(rests * (connections / (full / 2) - connections / full) / max(gap, 1e-9), 0.001), 1.0)
    return "-s", script


# ---- floods: each a thing to start, and to end ---------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def process(*command):
    p = subprocess.Popen(first(False, *command), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        p.kill()
        p.wait()


def flood_requests(s):
    return process("wrk", "-t1", "-c128", "-d600", "-H", f"Host: {NOISY}.localhost", f"http://127.0.0.1:{s.port}/")


ASKS_AGAIN = """
import socket, sys, threading
port, host, path, count = int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
request = f"GET {path} HTTP/1.1\\r\\nHost: {host}\\r\\nConnection: close\\r\\n\\r\\n".encode()
def ask():
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port)) as c:
                c.sendall(request)
                while c.recv(65536): pass
        except OSError: pass
for _ in range(count): threading.Thread(target=ask, daemon=True).start()
threading.Event().wait()
"""


def flood_of(path, count=16):
    return lambda s: process(sys.executable, "-c", ASKS_AGAIN, str(s.port), NOISY + ".localhost", path, str(count))


CONNECTS = """
import socket, sys
port, held = int(sys.argv[1]), []
while True:
    try:
        c = socket.create_connection(("127.0.0.1", port))
        c.sendall(b"GET / HTTP/1.1\\r\\nHost: x\\r\\n")
        held.append(c)
    except OSError: pass
    if len(held) > 2000: held.pop(0).close()
"""


def flood_connections(s):
    return process(sys.executable, "-c", CONNECTS, str(s.port))


@contextlib.contextmanager
def flood_deployments(s):
    enough = threading.Event()

    def on():
        file, n = guest_of("flood"), 0
        while not enough.is_set():
            n += 1
            subprocess.run(first(False, bench.ORLO, "deploy", file, "--app", NOISY, "--state", s.state, "--env", f"N={n}"), capture_output=True)

    t = threading.Thread(target=on)
    t.start()
    try:
        yield
    finally:
        enough.set()
        t.join()


def guest_of(kind):
    here = os.path.join(bench.ROOT, "tests", "guests")
    if kind == "flood":
        out = os.path.join(bench.WORK, "tenant.wasm")
        if not os.path.exists(out):
            subprocess.run(["clang", "--target=wasm32", "-O2", "-nostdlib", "-Wl,--no-entry", "-o", out, os.path.join(here, "tenant.c")], check=True)
        return out
    wasm = os.path.join(bench.GUESTS, "c-raw-p2.wasm")
    return wasm if os.path.exists(wasm) else bench.HTTP_GUEST


UPSTREAM = """
import socket, sys, threading, time
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(("127.0.0.1", int(sys.argv[1])))
server.listen(4096)
def answer(c):
    try:
        c.settimeout(5)
        c.recv(65536)
        time.sleep(0.2)
        c.sendall(b"HTTP/1.1 200 OK\\r\\ncontent-length: 2\\r\\nconnection: close\\r\\n\\r\\nok")
    except OSError: pass
    c.close()
while True: threading.Thread(target=answer, args=(server.accept()[0],), daemon=True).start()
"""
SLOW_PORT = bench.free_port()


@contextlib.contextmanager
def flood_outgoing(s):
    """64 that ask an app which asks an upstream that takes its time, over and over."""
    with process(sys.executable, "-c", UPSTREAM, str(SLOW_PORT)):
        time.sleep(0.3)
        with flood_of(f"/http?127.0.0.1:{SLOW_PORT}", 64)(s):
            time.sleep(0.3)
            status, body = s.ask(NOISY, f"/http?127.0.0.1:{SLOW_PORT}")
            if body.strip() != b"status 200":
                raise RuntimeError(f"the flood reaches no upstream: {status} {body[:80]}")
            yield


FLOODS = {
    "requests": ("raw", flood_requests, ()),
    "endless loops": ("http", flood_of("/loop", 64), ("--timeout", "2s")),
    "memory growth": ("flood", flood_of("/grow"), ()),
    "log lines": ("flood", flood_of("/flood"), ()),
    "connections": ("raw", flood_connections, ()),
    "outgoing requests": ("fetch", flood_outgoing, ("--allow-http", f"127.0.0.1:{SLOW_PORT}")),
    "deployments": ("flood", flood_deployments, ()),
}


def neighbour():
    bench.need("wrk")
    rounds, seconds = int(os.environ.get("ORLO_BENCH_ROUNDS", "9")), 1
    only = os.environ.get("ORLO_BENCH_FLOOD")
    for name, (kind, flood, flags) in FLOODS.items():
        if flood is None or (only and only not in name):
            continue
        file = {"raw": guest_of("raw"), "http": bench.HTTP_GUEST, "flood": guest_of("flood"),
                "fetch": os.path.join(bench.ROOT, "tests", "guests", "fetch.wasm")}[kind]
        with Node("neighbour-" + name.split()[0], [(VICTIM, guest_of("raw")), (NOISY, file, *flags)]) as s:
            wrk(s, VICTIM, CONNECTIONS, 1)
            full = wrk(s, VICTIM, CONNECTIONS, 1)["rps"]
            half = at_half(s, full)
            alone, beside = [], []
            for _ in range(rounds):
                alone.append(wrk(s, VICTIM, CONNECTIONS, seconds, *half))
                with flood(s):
                    time.sleep(0.5)
                    beside.append(wrk(s, VICTIM, CONNECTIONS, seconds, *half))
                time.sleep(0.3)
            mid = lambda rs, key: statistics.quantiles([r[key] for r in rs], n=4)[0]  # the better rounds: others' doings only add
            bench.row("node", f"victim's p99 beside a flood of {name}, × alone", mid(beside, "p99") / mid(alone, "p99"), "×", 2,
                      note=f"{mid(alone, 'p99'):.0f} to {mid(beside, 'p99'):.0f} µs; p50 {mid(alone, 'p50'):.0f} to {mid(beside, 'p50'):.0f}; "
                           f"{mid(alone, 'rps'):.0f} to {mid(beside, 'rps'):.0f} requests/s, {sum(r['bad'] for r in beside)} refused")

# ---- many apps of which nobody asks anything -------------------------------------------------------------------------------------------------------


def pss_kib(pids):
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            total += int(re.search(r"^Pss:\s+(\d+)", open(f"/proc/{pid}/smaps_rollup").read(), re.M)[1])
    return total


def idle():
    """--apps N of them, 1,000 by default: what they hold, what they make the node do, how long the first request to one takes, and how long a node with all of them needs to start."""
    count, file = int(os.environ.get("ORLO_BENCH_APPS", "1000")), guest_of("raw")
    with Node("idle", [("first", file)], "--app-idle", "2s", pin=False) as s:
        s.ask("first")
        time.sleep(4)
        before = pss_kib(s.pids())
        todo = iter(range(count))
        lock = threading.Lock()

        def on():
            while True:
                with lock:
                    i = next(todo, None)
                if i is None:
                    return
                s.deploy(f"app{i}", file, "--host", f"app{i}.example.org")

        threads = [threading.Thread(target=on) for _ in range(4)]
        started = time.monotonic()
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        deployed = time.monotonic() - started
        time.sleep(4)  # a version that is new is loaded, which is over then
        bench.row("node", f"an idle app of {count}, resident", (pss_kib(s.pids()) - before) / count, "KiB", 64, note=f"deployed in {deployed:.0f} s")
        spent = bench.cpu_ms_so_far(s.pids())
        time.sleep(5)
        bench.row("node", f"{count} idle apps, processor time", (bench.cpu_ms_so_far(s.pids()) - spent) / 5, "ms/s", 10)
        ask = lambda app: (lambda t: (s.ask(app), (time.perf_counter() - t) * 1000)[1])(time.perf_counter())
        cold = [ask(f"app{i}") for i in random.sample(range(count), 50)]
        warm = [ask("first") for _ in range(50)]
        bench.row("node", "first request to an idle app, more than a warm one, p50", statistics.median(cold) - statistics.median(warm), "ms", 1,
                  note=f"{statistics.median(cold):.2f} to {statistics.median(warm):.2f} ms")
        for i in range(count):
            s.ask(f"app{i}")
        time.sleep(5)
        bench.row("node", f"an app of {count} that was asked and is idle again, resident", (pss_kib(s.pids()) - before) / count, "KiB", 64)
        state = s.state
    again = Node.__new__(Node)
    again.__init__("idle", [], pin=False)
    with again as s:
        bench.row("node", f"ready after start, with {count} apps", s.ready_ms, "ms", 2000)


def hello():
    """Through a node, by the app's host, against nginx."""
    bench.need("wrk"), bench.need("nginx")
    with Node("hello", [("bench", guest_of("raw"), "--host", "*")]) as ours, bench.nginx() as peer:
        ratio, us, them = bench.against(ours, peer, "/", 64, 1, 7)
        bench.row("node", "hello through a node: processor time, × nginx return 200", ratio, "×", 1.5, 1.25,
                  note=f"{bench.median(us, 'cpu'):.2f} µs to {bench.median(them, 'cpu'):.2f} µs a request")


def deploy():
    """From the command to the answer that it is live; the second version with the module compiled already."""
    file = bench.guest("js-fetch")
    with Node("deploy", [], pin=False) as s:
        times = []
        for i in range(2):
            started = time.perf_counter()
            s.deploy("js", file, "--env", f"N={i}")
            times.append((time.perf_counter() - started) * 1000)
        bench.row("node", "a deployment of js-fetch (14.4 MB), live", times[0], "ms", 1000)
        bench.row("node", "its second version, live", times[1], "ms", 300)


# ---- instances that wait ---------------------------------------------------------------------------------------------------------------------------


WANTED, MAPPINGS_EACH = 30_000, 8
WAITS = """
import resource, socket, sys, time
port, count = int(sys.argv[1]), int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
held = []
for i in range(count):
    c = socket.socket()
    c.bind((f"127.0.0.{1 + i // 20000}", 0)) # so many ports an address has
    c.connect(("127.0.0.1", port))
    c.sendall(b"GET /wait HTTP/1.1\\r\\nHost: waits.localhost\\r\\n\\r\\n")
    held.append(c)
print("all", flush=True)
sys.stdin.read()
"""


def lies(pid):
    """PSS in KiB: of the process's own heap, and of the anonymous mappings in which instances and their stacks are."""
    heap = rest = 0
    for block in re.split(r"^(?=[0-9a-f]+-[0-9a-f]+ )", open(f"/proc/{pid}/smaps").read(), flags=re.M)[1:]:
        head, kib = block.split("\n", 1)[0].split(), int(re.search(r"^Pss:\s+(\d+)", block, re.M)[1])
        if head[5:] == ["[heap]"]:
            heap += kib
        elif not head[5:]:
            rest += kib
    return heap, rest


def suspended():
    """Guests that wait for a timer, one to a connection, in one worker; as many of the 30,000 as this kernel lets it have."""
    mappings, files = int(open("/proc/sys/vm/max_map_count").read()), resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    may = min(WANTED, mappings // 4 * 3 // MAPPINGS_EACH - 50, files - 1000)
    file = os.path.join(bench.ROOT, "tests", "guests", "http3wait.wasm")
    with Node("suspended", [], "--max-connections", "40000", "--node-memory", "64G", pin=False) as s:
        s.deploy("waits", file, "--timeout", "600s", "--max-instances", "40000", "--max-concurrency", "40000")
        s.ask("waits")
        worker = s.workers()[0]
        before = lies(worker)
        p = subprocess.Popen([sys.executable, "-c", WAITS, str(s.port), str(may)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            p.stdout.readline()
            time.sleep(2)
            after = lies(worker)
            metrics = s.ask("waits")[0]
        finally:
            p.stdin.close()
            p.wait()
        heap, rest = ((a - b) / may for a, b in zip(after, before))
        if s.workers() != [worker] or metrics not in (200, 503):
            raise RuntimeError("the worker did not outlive it")
        bench.row("node", f"a suspended instance and its stack, of {may}", rest, "KiB", 24, note=f"and {heap:.1f} KiB of its connection, request and host objects")
        if may < WANTED:
            bench.skipped("node", f"{WANTED:,} suspended in one worker", f"this kernel lets it have {may}: needs sysctl vm.max_map_count >= {WANTED * MAPPINGS_EACH * 4 // 3 + 10_000} (is {mappings}) "
                          f"and a hard limit of {WANTED + 1000} open files (is {files}); docs/operations.md, Kernel limits")
        else:
            bench.row("node", "suspended in one worker", may, "instances", WANTED, least=True)


# ---- apps of many languages, for a while -----------------------------------------------------------------------------------------------------------


ASKS_ALL = """
import asyncio, collections, json, random, sys, time
port, apps, rate, seconds = int(sys.argv[1]), json.loads(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
seen, odd = collections.Counter(), []
async def one(r, w, app):
    w.write(f"GET / HTTP/1.1\\r\\nHost: {app}.localhost\\r\\n\\r\\n".encode())
    head = (await r.readuntil(b"\\r\\n\\r\\n")).decode("latin-1")
    status, fields = int(head[9:12]), dict(l.lower().split(": ", 1) for l in head.split("\\r\\n")[1:] if ": " in l)
    if fields.get("transfer-encoding") == "chunked":
        while n := int(await r.readline(), 16): await r.readexactly(n + 2)
        await r.readline()
    else: await r.readexactly(int(fields.get("content-length", 0)))
    named = "x-orlo-limit" in fields or "retry-after" in fields
    seen[str(status) + (" by a limit" if named and status >= 400 else "")] += 1
    if status >= 400 and not named and len(odd) < 5: odd.append(f"{app} {status}")
    return fields.get("connection") != "close"
async def client(until, gap):
    r = w = None
    due = time.monotonic() + random.random() * gap
    while (now := time.monotonic()) < until:
        if due > now: await asyncio.sleep(due - now)
        due = max(due + gap, now) if gap else now
        try:
            if not w: r, w = await asyncio.open_connection("127.0.0.1", port)
            if not await asyncio.wait_for(one(r, w, random.choice(apps)), 60): w.close(); w = None
        except Exception as e:
            seen["broken: " + type(e).__name__] += 1
            w = None
async def main():
    until, started = time.monotonic() + seconds, time.monotonic()
    await asyncio.gather(*(client(until, CLIENTS / rate if rate else 0) for _ in range(CLIENTS)))
    print(json.dumps({"seen": seen, "odd": odd, "rate": sum(seen.values()) / (time.monotonic() - started)}))
CLIENTS = 32
asyncio.run(main())
"""
LANGUAGES = {"c-raw-p2": 40, "c-p2": 10, "c-raw-p3": 12, "as-cgi": 8, "zig-cgi": 8, "rust-p2": 8, "cpp-cgi": 4, "lua-cgi": 4, "rust-cgi": 3, "quickjs-cgi": 2, "js-fetch": 0.3, "go-cgi": 0.5, "py-p2": 0.2}


def asked(s, apps, rate, seconds):
    return subprocess.Popen(first(True, sys.executable, "-c", ASKS_ALL, str(s.port), json.dumps(apps), str(rate), str(seconds)), stdout=subprocess.PIPE, text=True)


def mixed():
    """ORLO_BENCH_APPS of them (1,000 by default), in languages by weight, each asked as often as the others, at 80 % of what the node can."""
    count, seconds = int(os.environ.get("ORLO_BENCH_APPS", "1000")), 60 * float(os.environ.get("ORLO_BENCH_MINUTES", "1"))
    there = {k: v for k, v in LANGUAGES.items() if os.path.exists(os.path.join(bench.GUESTS, k + ".wasm"))}
    if not there:
        raise bench.Absent("../shared/guests has no guests")
    total, langs = sum(there.values()), []
    for lang, weight in there.items():
        langs += [lang] * max(1, round(count * weight / total))
    langs, apps = langs[:count], [f"app{i}" for i in range(len(langs[:count]))]
    with Node("mixed", [], workers=2, pin=False) as s:
        for app, lang in zip(apps, langs):
            s.deploy(app, bench.guest(lang))
        for app in apps:  # each is loaded
            status, _ = s.ask(app)
            if status != 200:
                raise RuntimeError(f"{app} ({langs[apps.index(app)]}) answers {status}")
        full = json.loads(asked(s, apps, 0, min(10, seconds / 4)).communicate()[0])["rate"]
        p, started, sizes = asked(s, apps, full * 0.8, seconds), time.monotonic(), {}
        for part in (0.5, 0.98):
            time.sleep(max(0.0, started + seconds * part - time.monotonic()))
            sizes[part] = pss_kib(s.pids()) / 1024
        got = json.loads(p.communicate()[0])
        bad = sum(n for k, n in got["seen"].items() if k.startswith("broken") or (k.isdigit() and int(k) >= 400))
        bench.row("node", f"{len(apps)} apps of {len(there)} languages: errors that no limit explains", bad, "requests", 0,
                  note=f"{seconds / 60:g} min at {got['rate']:.0f}/s of {full:.0f}/s: {got['seen']} {' '.join(got['odd'])}")
        bench.row("node", f"{len(apps)} mixed apps: memory at the end, more than at half", (sizes[0.98] / sizes[0.5] - 1) * 100, "%", 2,
                  note=f"{sizes[0.5]:.0f} to {sizes[0.98]:.0f} MiB (PSS of the node)")
        if len(s.workers()) != 2 or b"worker-died" in open(s.log.name, "rb").read():
            raise RuntimeError("a worker died")


# ---- what it costs to be watched -------------------------------------------------------------------------------------------------------------------


COLLECTOR = """
import http.server
class Takes(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()
    def log_message(self, *args): pass
http.server.ThreadingHTTPServer(("127.0.0.1", %d), Takes).serve_forever()
"""


def worker_ns(server):
    return sum(int(open(f"/proc/{p}/schedstat").read().split()[0]) for p in server.workers())


def observe():
    """Processor time of a worker for a request of hello, traced at 1 % beside not traced; both count, which cannot be switched off."""
    bench.need("wrk")
    port = bench.free_port()
    with process(sys.executable, "-c", COLLECTOR % port), Node("plain", [(VICTIM, guest_of("raw"))]) as plain, \
            Node("traced", [(VICTIM, guest_of("raw"))], "--otlp", f"http://127.0.0.1:{port}", "--otlp-sample", "1%") as traced:
        spent = {plain: [], traced: []}
        for round in range(10):
            for s in (plain, traced) if round % 2 else (traced, plain):
                before = worker_ns(s)
                rps = wrk(s, VICTIM, 32, 1)["rps"]
                spent[s].append((worker_ns(s) - before) / rps / 1000)
        ratio = statistics.median(t / p for p, t in zip(spent[plain], spent[traced]))
        bench.row("node", "hello traced at 1 %, processor time of the worker, × not traced", ratio, "×", 1.03,
                  note=f"{statistics.median(spent[plain]):.2f} to {statistics.median(spent[traced]):.2f} µs a request; at best {min(spent[traced]) / min(spent[plain]):.3f} ×")


PARTS = {"neighbour": neighbour, "idle": idle, "hello": hello, "deploy": deploy, "observe": observe, "suspended": suspended, "mixed": mixed}


def run(name):
    for part, fn in PARTS.items():
        if name in ("node", "node-" + part):
            try:
                fn()
            except bench.Absent as e:
                bench.skipped("node", part, str(e))
