#!/usr/bin/env python3
"""Measurements with their bars, peers measured in the same run: ./dev bench [NAME…] [--json]

Names: js-start compile hello routes guests p3 lifecycle kernels exceptions collected echo idle hostile; none means all of these. By its name
alone: hardening and lto, which build the program a second time, and node, which takes a quarter of an hour (bench/node.py has its parts), store, rest, dialect, identity and edge, which have files of their own. A row is a figure, its bar, where it must end,
and a verdict; rows without a bar are there to be read. Times are processor time where requests are counted: other work on the
machine then disturbs least; rounds of ours and the peer's alternate, and the median of their ratios counts. Servers run on the
first core, what loads them on the last. Peers (nginx, wasmtime, clang) are measured when on PATH. Nothing here fails a build.
"""
import contextlib, hashlib, json, os, re, shutil, signal, socket, statistics, subprocess, sys, tempfile, threading, time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(ROOT, "build")
ORLO = os.environ.get("ORLO_BENCH_PROGRAM", os.path.join(BUILD, "orlo"))
GUESTS = os.path.join(ROOT, "..", "shared", "guests")
HTTP_GUEST = os.path.join(ROOT, "tests", "guests", "http.wasm")
TARGETS = ["src/engine/lifecycle_bench", "bench/compile_bench", "bench/store_peer", "bench/store_read"]  # that ./dev builds before
CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, LOAD_CORE = str(CORES[0]), str(CORES[-1])
TICK_US = 1e6 / os.sysconf("SC_CLK_TCK")
WORK = tempfile.mkdtemp(prefix="orlo-bench-")
ROWS, JSON = [], False


class Absent(Exception):
    """What a measurement needs is not here."""


# ---- rows ----------------------------------------------------------------------------------------------------------------------------------


def row(bench, name, value, unit, bar=None, end=None, least=False, note=""):
    """bar, end: at most this (least: at least)."""
    good = lambda limit: limit is None or (value >= limit if least else value <= limit)
    verdict = "" if bar is None else "MISSED" if not good(bar) else "met" if good(end) else "bar met"
    ROWS.append({"bench": bench, "name": name, "value": value, "unit": unit, "bar": bar, "end": end, "verdict": verdict, "note": note})
    if not JSON:
        sign = "≥" if least else "≤"
        limits = f"{sign} {bar:g}" + (f", end {end:g}" if end is not None else "") if bar is not None else ""
        print(f"{bench:9} {name:56} {value:>11,.2f} {unit:12} {limits:18} {verdict:8} {note}".rstrip(), flush=True)


def skipped(bench, name, why):
    ROWS.append({"bench": bench, "name": name, "verdict": "skipped", "note": why})
    if not JSON:
        print(f"{bench:9} {name:56} skipped: {why}", flush=True)


def need(program):
    if not shutil.which(program):
        raise Absent(f"{program} is not on PATH")
    return program


def guest(name):
    path = os.path.join(GUESTS, name + ".wasm")
    if not os.path.exists(path):
        raise Absent(f"../shared/guests/{name}.wasm is not here")
    return path


# ---- servers ---------------------------------------------------------------------------------------------------------------------------------


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def pids_below(pid):
    found = [pid]
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            for child in open(f"/proc/{pid}/task/{task}/children").read().split():
                found += pids_below(int(child))
    return found


def cpu_us(pids):
    """Of each that is still there: what is started for a job, and ends, serves no request."""
    spent = {}
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
            spent[pid] = (int(fields[11]) + int(fields[12])) * TICK_US
    return spent


def cpu_ms_so_far(pids):
    """With what their ended children spent."""
    return sum(sum(map(int, open(f"/proc/{p}/stat").read().rsplit(")", 1)[1].split()[11:15])) for p in pids) * TICK_US / 1000


def memory_kib(pid, file, field):
    return int(re.search(rf"^{field}:\s+(\d+)", open(f"/proc/{pid}/{file}").read(), re.M).group(1))


class Server:
    """A server on `port` in a process group of its own; ready when it answers `path` with 200."""

    def __init__(self, name, command, port, path="/", pin=True, ready_s=60):
        self.name, self.port = name, port
        self.log = open(os.path.join(WORK, name + ".log"), "wb")
        pinned = ["taskset", "-c", SERVER_CORE] if pin and shutil.which("taskset") else []
        self.started = time.monotonic()
        self.proc = subprocess.Popen([*pinned, *command], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, start_new_session=True)
        while not self.answers(path):
            if self.proc.poll() is not None or time.monotonic() - self.started > ready_s:
                self.stop()
                raise RuntimeError(f"{name} does not serve: " + open(self.log.name, errors="replace").read()[-600:])
            time.sleep(0.0005)
        self.ready_ms = (time.monotonic() - self.started) * 1000

    def answers(self, path):
        with contextlib.suppress(OSError):
            with socket.create_connection(("127.0.0.1", self.port), timeout=30) as s:
                s.sendall(f"GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n".encode())
                return s.recv(12).startswith(b"HTTP/1.1 200")
        return False

    def pids(self):
        return pids_below(self.proc.pid)

    def load(self, path, connections, seconds, *wrk):
        """{cpu: µs of processor time a request, rps, p50, p99 in µs}, of one round."""
        pinned = ["taskset", "-c", LOAD_CORE] if shutil.which("taskset") else []
        pids = self.pids()
        before = cpu_us(pids)
        out = subprocess.run([*pinned, "wrk", "-t1", f"-c{connections}", f"-d{seconds}", "--latency", *wrk, f"http://127.0.0.1:{self.port}{path}"],
                             capture_output=True, text=True, check=True).stdout
        spent = sum(us - before.get(pid, us) for pid, us in cpu_us(pids).items())
        requests = int(re.search(r"(\d+) requests in", out).group(1))
        bad = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
        if bad or not requests:
            raise RuntimeError(f"{self.name}{path}: {bad.group(0) if bad else 'no answer at all'}")
        percentile = lambda p: (lambda m: float(m.group(1)) * {"us": 1, "ms": 1000, "s": 1e6}[m.group(2)])(re.search(rf"{p}%\s+([\d.]+)(us|ms|s)", out))
        return {"cpu": spent / requests, "rps": float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1)), "p50": percentile(50), "p99": percentile(99)}

    def stop(self):
        with contextlib.suppress(OSError):
            os.killpg(self.proc.pid, signal.SIGTERM)
        try:
            self.proc.wait(timeout=15)
        except subprocess.TimeoutExpired:
            os.killpg(self.proc.pid, signal.SIGKILL)
            self.proc.wait()
        self.log.close()

    def __enter__(self):
        return self

    def __exit__(self, *about):
        self.stop()


def orlo(wasm, *flags, workers=1, program=None, **more):
    port = free_port()
    count = ["--workers", str(workers)] if workers else []
    return Server("orlo", [program or ORLO, "serve", wasm, "--listen", f"127.0.0.1:{port}", *count, "--no-access-log", *flags], port, **more)


def nginx():
    port = free_port()
    conf = os.path.join(WORK, "nginx.conf")
    temp = " ".join(f"{k}_temp_path {WORK};" for k in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    with open(conf, "w") as f:
        f.write(f"daemon off; worker_processes 1; master_process off; pid {WORK}/nginx.pid; error_log {WORK}/nginx-error.log;\n"
                f"events {{ worker_connections 20000; }}\nhttp {{ access_log off; keepalive_requests 100000000; default_type text/plain; {temp}\n"
                f"server {{ listen 127.0.0.1:{port}; location / {{ return 200 \"Hello from C /\\n\"; }} }} }}\n")
    return Server("nginx", [need("nginx"), "-c", conf], port)


def wasmtime(wasm):
    """wasmtime serve, of a file compiled before; that is kept, since it takes long."""
    need("wasmtime")
    version = subprocess.run(["wasmtime", "--version"], capture_output=True).stdout
    digest = hashlib.sha256(version + open(wasm, "rb").read()).hexdigest()[:16]
    kept = os.path.join(BUILD, "bench-cache", digest + ".cwasm")
    if not os.path.exists(kept):
        os.makedirs(os.path.dirname(kept), exist_ok=True)
        subprocess.run(["wasmtime", "compile", "-o", kept + ".part", wasm], check=True, stderr=subprocess.DEVNULL)
        os.rename(kept + ".part", kept)
    port = free_port()
    return Server("wasmtime", ["wasmtime", "serve", "--allow-precompiled", "-S", "cli", "--addr", f"127.0.0.1:{port}", kept], port)


def against(ours, peer, path, connections, seconds, rounds):
    """Rounds in turn: (median of the ratios of processor time, our rounds, the peer's). peer: None measures us alone."""
    us, them = [], []
    for s in (ours, peer):
        if s:
            s.load(path, connections, 1)
    for _ in range(rounds):
        us.append(ours.load(path, connections, seconds))
        if peer:
            them.append(peer.load(path, connections, seconds))
    ratio = statistics.median(a["cpu"] / b["cpu"] for a, b in zip(us, them)) if peer else None
    return ratio, us, them


def median(rounds, key):
    return statistics.median(r[key] for r in rounds)


# ---- measurements ---------------------------------------------------------------------------------------------------------------------------------


def js_start():
    wasm = guest("js-fetch")
    open(wasm, "rb").read()
    times, spent = [], []
    for _ in range(5):
        with orlo(wasm, workers=0, pin=False) as s:
            times.append(s.ready_ms)
            spent.append(cpu_ms_so_far(s.pids()))
    row("js-start", "bytes to first answer, js-fetch (14.4 MB)", statistics.median(times), "ms", 500, 200,
        note=f"best {min(times):.0f}; processor time {statistics.median(spent):.0f} ms on {len(CORES)} cores")


def compile_speed():
    for name in ("js-fetch", "go-p2", "py-p2"):
        try:
            wasm = guest(name)
        except Absent as e:
            skipped("compile", name, str(e))
            continue
        out = subprocess.run([os.path.join(BUILD, "bench", "compile_bench"), wasm], capture_output=True, text=True, check=True).stdout
        s = json.loads(out)
        row("compile", f"{name}: validation and compilation, per core", s["code_bytes"] / 1e3 / (s["decode_ms"] + s["compile_ms"]), "MB/s", 60, 100, least=True,
            note=f"{s['code_bytes'] / 1e6:.1f} MB of code, {s['functions']} functions")
        row("compile", f"{name}: image", s["image_bytes"] / s["wasm_bytes"], "bytes/byte", note=f"of wasm; snapshot {'whole' if s['snapshot'] else 'in part'}, {s['snapshot_ms']:.0f} ms")


HELLO = ["c-raw-p2", "c-cgi"]  # a component and a preview 1 command; the first with all of its figures


def hello():
    """Rounds in turn: of the figures, the least is what disturbs nobody, the median of the ratios what both had alike."""
    need("wrk")
    todo = [(name, os.path.join(GUESTS, name + ".wasm")) for name in HELLO]
    todo = [t for t in todo if os.path.exists(t[1])] or [("tests' http", HTTP_GUEST)]
    for at, (name, wasm) in enumerate(todo):
        with contextlib.ExitStack() as stack:
            ours = stack.enter_context(orlo(wasm))
            peer = stack.enter_context(nginx()) if shutil.which("nginx") else None
            ratio, us, them = against(ours, peer, "/", 64, 1, 7)
            if peer:
                best = [min(r["cpu"] for r in rounds) for rounds in (us, them)]
                row("hello", f"{name}: processor time, × nginx return 200", ratio, "×", 2, 1.25,
                    note=f"{median(us, 'cpu'):.2f} µs to {median(them, 'cpu'):.2f} µs a request; at best {best[0]:.2f} to {best[1]:.2f}, {best[0] / best[1]:.2f} ×")
            else:
                skipped("hello", f"{name}: × nginx return 200", "nginx is not on PATH")
            if at:
                continue
            row("hello", "requests a second, one worker on one core", median(us, "rps"), "1/s", note=f"nginx {median(them, 'rps'):.0f}" if peer else "")
            row("hello", "p50, 64 connections", median(us, "p50"), "µs", note=f"nginx {median(them, 'p50'):.0f}" if peer else "")
            row("hello", "p99, 64 connections", median(us, "p99"), "µs", note=f"nginx {median(them, 'p99'):.0f}" if peer else "")


def node_with(name, wasm, *flags, path="/r0/x", beside=()):
    """A node that serves one app for all hosts, and those beside it, (name, file, flags) each."""
    apps = [("bench", wasm, ("--host", "*", *flags)), *beside]
    state, port = os.path.join(WORK, "state-" + name), free_port()
    first = subprocess.Popen([ORLO, "node", "--state", state, "--listen", f"127.0.0.1:{port}", "--workers", "1"], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        for app, file, more in apps:
            while subprocess.run([ORLO, "deploy", file, "--app", app, "--state", state, *more], capture_output=True).returncode:
                if time.monotonic() > deadline:
                    raise RuntimeError("the app cannot be deployed")
                time.sleep(0.1)
    finally:
        first.terminate()
        first.wait()
    return Server(name, [ORLO, "node", "--state", state, "--listen", f"127.0.0.1:{port}", "--workers", "1", "--no-access-log"], port, path=path)


def routes():
    """The same guest at the same path, which 1 or 10,000 routes lead to."""
    need("wrk")
    wasm = os.path.join(GUESTS, "c-raw-p2.wasm")
    wasm = wasm if os.path.exists(wasm) else HTTP_GUEST
    many = [flag for i in range(10000) for flag in ("--route", f"/r{i}/x")]
    with node_with("one", wasm, "--route", "/r0/x") as one, node_with("many", wasm, *many) as several:
        _, us, them = against(several, one, "/r0/x", 64, 1, 9)
        row("routes", "hello by one of 10,000 routes, more than by the only one", statistics.median(a["cpu"] - b["cpu"] for a, b in zip(us, them)), "µs", 1, 1,
            note=f"{median(us, 'cpu'):.2f} µs to {median(them, 'cpu'):.2f} µs a request; at best {min(r['cpu'] for r in us):.2f} to {min(r['cpu'] for r in them):.2f}")


SHARE_LOOPS, SHARE_CONNECTIONS = 64, 8


def at_half(server, full, connections):
    """wrk's flags with which it asks for about half of what the server can do: each connection rests a millisecond after some of its requests."""
    script, rests = os.path.join(WORK, "half.lua"), 0.5
    for _ in range(6):
        with open(script, "w", encoding="utf-8") as f:
            f.write(f"function delay() return math.random() < {rests:.4f} and 1 or 0 end\n")
        got = server.load("/", connections, 1, "-s", script)["rps"]
        if abs(got / full - 0.5) < 0.02:
            break
        gap = connections / got - connections / full  # of a request of a connection, in seconds, that rests have cost so far
        rests = min(max(rests * (connections / (full / 2) - connections / full) / max(gap, 1e-9), 0.001), 1.0)
    return "-s", script


def share():
    """Two apps in one worker on one core: hello alone, and beside 64 instances of another app that loop for ever. In turns, as the machine has
    its moods; the load comes from another core. Two shares of the same weight: hello may have half of the core."""
    need("wrk")
    wasm = os.path.join(GUESTS, "c-raw-p2.wasm")
    wasm = wasm if os.path.exists(wasm) else HTTP_GUEST
    ratios = {"p99": [], "half": [], "full": []}
    notes = []
    with node_with("share", wasm, path="/", beside=[("loops", HTTP_GUEST, ("--timeout", "600s", "--max-cpu", "600s"))]) as s:
        s.load("/", SHARE_CONNECTIONS, 1)
        full = s.load("/", SHARE_CONNECTIONS, 2)["rps"]
        half = at_half(s, full, SHARE_CONNECTIONS)
        for _ in range(5):
            alone, alone_full = s.load("/", SHARE_CONNECTIONS, 2, *half), s.load("/", SHARE_CONNECTIONS, 1)
            loops = [send_and_leave(s.port, "/loop", host="loops.localhost") for _ in range(SHARE_LOOPS)]
            time.sleep(0.5)
            beside, beside_full = s.load("/", SHARE_CONNECTIONS, 2, *half), s.load("/", SHARE_CONNECTIONS, 1)
            if any(answered(c) for c in loops):
                raise RuntimeError("a loop has ended")
            for c in loops:
                c.close()
            time.sleep(0.5)
            for key, value in (("p99", beside["p99"] / alone["p99"]), ("half", beside["rps"] / alone["rps"]), ("full", beside_full["rps"] / alone_full["rps"])):
                ratios[key].append(value)
            notes.append((alone, beside, alone_full, beside_full))
    mid = lambda i, key: statistics.median(n[i][key] for n in notes)
    row("share", f"p99 of hello at half load beside {SHARE_LOOPS} looping instances of another app, × alone", statistics.median(ratios["p99"]), "×", 2, 2,
        note=f"{mid(0, 'p99'):.0f} µs to {mid(1, 'p99'):.0f} µs; p50 {mid(0, 'p50'):.0f} µs to {mid(1, 'p50'):.0f} µs")
    row("share", "requests a second of it at half load, × alone", statistics.median(ratios["half"]), "×", 0.9, 0.9, least=True,
        note=f"{mid(0, 'rps'):.0f} to {mid(1, 'rps'):.0f}")
    row("share", "requests a second of it at full load, × alone", statistics.median(ratios["full"]), "×", 0.45, 0.45, least=True,
        note=f"{mid(2, 'rps'):.0f} to {mid(3, 'rps'):.0f}; of the worker's time the loops had {100 * (1 - mid(2, 'cpu') / mid(3, 'cpu')):.0f} %")


def guests():
    need("wrk")
    for name in ("js-fetch", "go-p2", "py-p2"):
        try:
            wasm = guest(name)
        except Absent as e:
            skipped("guests", name, str(e))
            continue
        with contextlib.ExitStack() as stack:
            ours = stack.enter_context(orlo(wasm))
            peer = stack.enter_context(wasmtime(wasm)) if shutil.which("wasmtime") else None
            for path in ("/", "/json?name=Ada"):
                ratio, us, them = against(ours, peer, path, 4, 2, 3)
                note = f"{median(us, 'cpu'):.0f} µs a request, {median(us, 'rps'):.0f}/s, p50 {median(us, 'p50') / 1000:.1f} ms, p99 {median(us, 'p99') / 1000:.1f} ms"
                if peer:
                    row("guests", f"{name} {path}: time, × wasmtime serve", ratio, "×", 0.6, 0.3, note=note + f"; wasmtime {median(them, 'cpu'):.0f} µs")
                else:
                    skipped("guests", f"{name} {path}: × wasmtime serve", "wasmtime is not on PATH; " + note)


def p3():
    """WASI 0.3 in C: instances that are used again against wasmtime's, which reuses them too; a fresh one per request against 0.2."""
    need("wrk")
    for name, before in (("c-raw-p3", "c-raw-p2"), ("c-p3", "c-p2")):
        with contextlib.ExitStack() as stack:
            ours = stack.enter_context(orlo(guest(name), "--instance-concurrency", "16"))
            peer = stack.enter_context(wasmtime(guest(name))) if shutil.which("wasmtime") else None
            ratio, us, them = against(ours, peer, "/", 16, 1, 5)
            if peer:
                row("p3", f"{name}: instances reused, time, × wasmtime serve", ratio, "×", 0.5, 0.3, note=f"{median(us, 'cpu'):.2f} µs to {median(them, 'cpu'):.2f} µs a request")
            else:
                skipped("p3", f"{name}: × wasmtime serve", f"wasmtime is not on PATH; {median(us, 'cpu'):.2f} µs a request")
        with orlo(guest(name)) as fresh, orlo(guest(before)) as older:
            ratio, us, them = against(fresh, older, "/", 16, 1, 5)
            row("p3", f"{name}: fresh instance per request, time, × {before}", ratio, "×", 1.2, note=f"{median(us, 'cpu'):.2f} µs to {median(them, 'cpu'):.2f} µs a request")


def lifecycle():
    """The program's own lines: 'name   p50 X  p99 Y us  bar p50 A, p99 B'."""
    runs = []
    for _ in range(3):
        pinned = ["taskset", "-c", LOAD_CORE] if shutil.which("taskset") else []
        runs.append(subprocess.run([*pinned, os.path.join(BUILD, TARGETS[0])], capture_output=True, text=True, check=True).stdout.splitlines())
    for lines in zip(*runs):
        found = [re.match(r"(.+?)\s+p50\s+([\d.]+)\s+p99\s+([\d.]+) us\s*(.*)", l) for l in lines]
        if not all(found) or not re.search(r"bar|^small|^engine_call|^yield|^the same|121|534", lines[0]):
            continue
        for p, group in (("p50", 2), ("p99", 3)):
            bar = re.search(p + r" (\d+)", found[0].group(4))
            if bar or p == "p50":
                row("lifecycle", f"{found[0].group(1).replace('engine_call ', 'call ')[:52]} {p}", statistics.median(float(m.group(group)) for m in found), "µs", float(bar.group(1)) if bar else None)


def kernels():
    if not shutil.which("clang-19") and not shutil.which("clang"):
        raise Absent("clang is not on PATH")
    p = subprocess.run([sys.executable, os.path.join(ROOT, "bench", "kernels.py"), "--rounds", "2"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if p.returncode:
        raise Absent("kernels.py: " + (p.stderr.strip() or p.stdout.strip())[-300:])
    ratios = {}
    for line in p.stdout.splitlines():
        m = re.match(r"(\w+)\s.*orlo\s+([\d.]+)(?:\s+wasmtime\s+([\d.]+))?", line)
        if m:
            ratios[m.group(1)] = (float(m.group(2)), float(m.group(3)) if m.group(3) else None)
    whole, theirs = ratios.pop("geomean")
    row("kernels", f"{len(ratios)} kernels, geomean, × clang -O2", whole, "×", 1.5, 1.25,
        note="worst " + ", ".join(f"{n} {r[0]:.2f}" for n, r in sorted(ratios.items(), key=lambda i: -i[1][0])[:4]))
    if theirs:
        row("kernels", "the same, × wasmtime", whole / theirs, "×", 1, note=f"wasmtime {theirs:.2f} × clang -O2")
    else:
        skipped("kernels", "the same, × wasmtime", "wasmtime is not on PATH")
    vectors = {n: r[0] for n, r in ratios.items() if n.startswith("simd")}
    row("kernels", "the slower of the vector kernels, × clang's SSE code", max(vectors.values()), "×", 1.5,
        note=", ".join(f"{n} {r:.2f}" for n, r in sorted(vectors.items())))


LUA_LOOP = ("local n, caught = tonumber(arg[1]), 0 for i = 1, n do local ok = pcall(function() if i % 2 == 0 then error('x' .. i) "
            "else local t = nil; return t.x end end) if not ok then caught = caught + 1 end end print(caught)")  # lua-cgi's /pcall


def spent_s(command):
    """Processor time of a program that ends by itself."""
    before = os.times()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    after = os.times()
    return after.children_user - before.children_user + after.children_system - before.children_system


def exceptions():
    """Caught errors in Lua: setjmp and longjmp natively, throw and try_table in the guest. Both without their start."""
    need("lua5.4")
    wasm, script, n = guest("lua-cgi"), os.path.join(WORK, "pcall.lua"), 1_000_000
    with open(script, "w") as f:
        f.write(LUA_LOOP)
    cgi = lambda n: ["--env", "REQUEST_METHOD=GET", "--env", "PATH_INFO=/pcall", "--env", f"QUERY_STRING=n={n}", wasm]
    peers = {"native Lua": (lambda n: ["lua5.4", script, str(n)], n, 2)}
    if shutil.which("wasmtime"):
        peers["wasmtime"] = (lambda n: ["wasmtime", "run", "-W", "exceptions=y", *cgi(n)], n // 20, 1)
    per = lambda command, n: (spent_s(command(n)) - spent_s(command(0))) / n * 1e6
    rounds = [{"ours": per(lambda n: [ORLO, "run", *cgi(n)], n), **{k: per(*p[:2]) for k, p in peers.items()}} for _ in range(7)]
    for name, (_, _, bar) in peers.items():
        row("exceptions", f"lua-cgi: a caught error, × {name}", statistics.median(r["ours"] / r[name] for r in rounds), "×", bar,
            note=f"{median(rounds, 'ours'):.2f} µs to {median(rounds, name):.2f} µs of processor time")


def collected():
    """bench/gc/*.wat: the instructions of garbage collection, against Wasmtime with its own collector; both run compiled files."""
    need("wasm-tools"), need("wasmtime")
    features = "gc=y,function-references=y,tail-call=y"
    for name in sorted(f[:-4] for f in os.listdir(os.path.join(ROOT, "bench", "gc")) if f.endswith(".wat")):
        wasm, image, cached = (os.path.join(WORK, name + "." + e) for e in ("wasm", "image", "cwasm"))
        subprocess.run(["wasm-tools", "parse", os.path.join(ROOT, "bench", "gc", name + ".wat"), "-o", wasm], check=True)
        subprocess.run([ORLO, "compile", wasm, "-o", image], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        subprocess.run(["wasmtime", "compile", "-W", features, "-o", cached, wasm], check=True)
        rounds = [(spent_s([ORLO, "run", image]), spent_s(["wasmtime", "run", "-W", features, "--allow-precompiled", cached])) for _ in range(5)]
        row("collected", f"{name}: processor time, × wasmtime", statistics.median(ours / theirs for ours, theirs in rounds), "×", 1,
            note=f"{min(r[0] for r in rounds) * 1000:.0f} ms to {min(r[1] for r in rounds) * 1000:.0f} ms")


def post(port, mib):
    """Posts so many MiB to /echo by chunks and reads them back; seconds."""
    piece = bytes(1 << 20)
    started = time.monotonic()
    with socket.create_connection(("127.0.0.1", port)) as s:
        s.sendall(f"POST /echo HTTP/1.1\r\nHost: bench\r\nContent-Length: {mib << 20}\r\nConnection: close\r\n\r\n".encode())

        def send():
            with contextlib.suppress(OSError):  # what does not arrive does not come back either
                for _ in range(mib):
                    s.sendall(piece)

        threading.Thread(target=send, daemon=True).start()
        got, head, buffer = 0, b"", bytearray(1 << 20)
        while n := s.recv_into(buffer):
            if b"\r\n\r\n" not in head:
                head += bytes(buffer[:n])
                n = len(head.split(b"\r\n\r\n", 1)[1]) if b"\r\n\r\n" in head else 0
            got += n
    if not head.startswith(b"HTTP/1.1 200") or got < mib << 20:
        raise RuntimeError(f"echo: {got} bytes came back of {mib << 20}: {head[:200]!r}")
    return time.monotonic() - started


def echo():
    # JavaScript leaves its handles to a collector that does not run in time for more (nor under Wasmtime): to be read only.
    todo = [("tests' http", HTTP_GUEST, 1024, 4), ("js-fetch", os.path.join(GUESTS, "js-fetch.wasm"), 256, None),
            ("WASI 0.3, through its memory", os.path.join(ROOT, "tests", "guests", "http3.wasm"), 1024, 4),
            ("WASI 0.3, rust-p3-030, stream handed back", os.path.join(GUESTS, "rust-p3-030.wasm"), 1024, 4)]
    for name, wasm, mib, bar in todo:
        if not os.path.exists(wasm):
            skipped("echo", name, "../shared/guests is not here")
            continue
        with orlo(wasm, "--timeout", "600s", "--max-cpu", "600s", "--max-body", "2G", "--max-response", "2G") as s:
            worker = s.pids()[-1]
            post(s.port, 32)
            small = memory_kib(worker, "status", "VmHWM")
            seconds = post(s.port, mib)
            peak = memory_kib(worker, "status", "VmHWM")
            row("echo", f"{name}: growth of peak RSS, 32 MiB to {mib} MiB", (peak - small) / 1024, "MiB", bar, note=f"peak {peak / 1024:.1f} MiB, {mib / seconds:.0f} MiB/s")


def idle():
    with orlo(os.path.join(ROOT, "examples", "hello", "hello.wasm"), workers=0, pin=False) as s:
        time.sleep(0.5)
        pids = s.pids()
        try:
            pss = sum(memory_kib(p, "smaps_rollup", "Pss") for p in pids) / 1024
        except OSError as e:
            pss = None
        rss = [memory_kib(p, "status", "VmRSS") / 1024 for p in pids]
        note = f"RSS of supervisor {rss[0]:.1f}, each worker {max(rss[1:], default=0):.1f}"
        if pss is None:
            row("idle", f"node with {len(pids) - 1} workers, resident (RSS)", sum(rss), "MiB", 16, note=note)
        else:
            row("idle", f"node with {len(pids) - 1} workers, resident (PSS)", pss, "MiB", 16, note=note)
            row("idle", "supervisor and one worker, RSS", sum(rss[:2]), "MiB", 16, note="counts what they share twice")


# ---- hostile ------------------------------------------------------------------------------------------------------------------------------------


def ask_ms(port, path="/", timeout_s=60):
    """How long a request takes that has a connection of its own."""
    started = time.perf_counter()
    with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as s:
        s.sendall(f"GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n".encode())
        while s.recv(65536):
            pass
    return (time.perf_counter() - started) * 1000


def asked(port, seconds, busy=lambda: True):
    """The times of hello, one after the other, sorted."""
    times, end = [], time.monotonic() + seconds
    while time.monotonic() < end and busy():
        times.append(ask_ms(port))
        time.sleep(0.002)
    return sorted(times)


def at(times, share):
    return times[min(int(len(times) * share), len(times) - 1)] if times else 0.0


def send_and_leave(port, path, body_too=False, host="bench"):
    """A request whose answer nobody waits for yet."""
    s = socket.create_connection(("127.0.0.1", port))
    more = "Content-Length: 10\r\n" if body_too else ""
    s.sendall(f"{'POST' if body_too else 'GET'} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{more}\r\n".encode())
    return s


def answered(s):
    """Whether anything has come, or the connection has ended."""
    s.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        s.recv(1)
        return True
    return False


def fair():
    """Hello beside requests that loop, on one worker; in turns, as the machine has its moods."""
    ratios, alone, beside = [], [], []
    for _ in range(5):
        with orlo(HTTP_GUEST, "--timeout", "600s", "--max-cpu", "600s") as s:
            asked(s.port, 0.3)
            alone.append(asked(s.port, 2))
            loops = [send_and_leave(s.port, "/loop") for _ in range(16)]
            asked(s.port, 0.3)
            beside.append(asked(s.port, 2))
            for c in loops:
                c.close()
            ratios.append(at(beside[-1], 0.99) / at(alone[-1], 0.99))
    mid = lambda rounds, share: statistics.median(at(r, share) for r in rounds)
    row("hostile", "hello's p99 beside 16 looping requests, × alone", statistics.median(ratios), "×", 5,
        note=f"{mid(alone, 0.99):.2f} ms to {mid(beside, 0.99):.2f} ms; p50 {mid(alone, 0.5):.2f} ms to {mid(beside, 0.5):.2f} ms")


HOSTILE = ["/zeroes", "/lines?64", "/has?64", "/append?64", "/random?8", "/poll?400000", "/handles?60000"]  # of tests/guests/slices.c
HOSTILE_P1 = ["/flood?64", "/control", "/poll?1", "/random?64", "/fill?64"]  # of tests/guests/slices1.c


def waits(wasm, paths):
    """(path, how much longer than alone hello takes while a request for it is under way: p99 in ms)."""
    for path in paths:
        with orlo(wasm, "--timeout", "2s") as s:
            usual = at(asked(s.port, 0.5), 0.5)
            times = []
            for _ in range(6):
                c = send_and_leave(s.port, path, "poll" in path)
                done = threading.Event()
                threading.Thread(target=lambda: (c.recv(64), done.set()), daemon=True).start()
                times += asked(s.port, 2, lambda: not done.is_set())
                c.close()
                if len(times) > 400:
                    break
            yield path, max(at(sorted(times), 0.99) - usual, 0)


def steps():
    found = list(waits(os.path.join(ROOT, "tests", "guests", "slices.wasm"), HOSTILE))
    if shutil.which("clang") and shutil.which("wasm-ld"):
        wasm = os.path.join(WORK, "slices1.wasm")
        subprocess.run(["clang", "--target=wasm32", "-O2", "-nostdlib", "-Wl,--no-entry", "-o", wasm, os.path.join(ROOT, "tests", "guests", "slices1.c")], check=True)
        found += [("preview 1 " + path, ms) for path, ms in waits(wasm, HOSTILE_P1)]
    worst = sorted(found, key=lambda f: -f[1])
    row("hostile", f"longest wait for the end of a step, of {len(found)} host calls, p99", worst[0][1], "ms", 2,
        note=", ".join(f"{path} {ms:.2f}" for path, ms in worst[:4]))


def successor():
    """From the death of the only worker to an answer."""
    times = []
    for _ in range(5):
        with orlo(HTTP_GUEST, pin=False) as s:
            ask_ms(s.port)
            worker = next(p for p in s.pids() if "worker" in open(f"/proc/{p}/comm").read())
            os.kill(worker, signal.SIGKILL)
            started = time.perf_counter()
            while not s.answers("/"):
                time.sleep(0.001)
            times.append((time.perf_counter() - started) * 1000)
    row("hostile", "a killed worker's successor answers after", statistics.median(times), "ms", 100, note=f"worst of {len(times)}: {max(times):.0f}")


def hostile():
    fair()
    steps()
    successor()


def built(folder, targets, *options):
    """Another build of this tree; its folder."""
    path = os.path.join(ROOT, folder)
    if not os.path.exists(os.path.join(path, "build.ninja")):
        subprocess.run(["meson", "setup", path, "-Dtests=false", *options], cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
    subprocess.run(["ninja", "-C", path, "--quiet", *targets], check=True)
    return path


def lto():
    """What optimisation over all files when linking gives, as programs are built to be installed (README); each link takes it 14 s of a core."""
    need("wrk")
    whole = built("build-lto", ["orlo"], "-Db_lto=true")
    for name in HELLO:
        with orlo(guest(name), program=os.path.join(whole, "orlo")) as ours, orlo(guest(name)) as plain, nginx() as peer:
            rounds = {s: [] for s in (ours, plain, peer)}
            for s in rounds:
                s.load("/", 64, 1)
            for _ in range(9):
                for s, of in rounds.items():
                    of.append(s.load("/", 64, 1)["cpu"])
            ratio = lambda a, b: statistics.median(x / y for x, y in zip(rounds[a], rounds[b]))
            row("lto", f"{name}: processor time, × without", ratio(ours, plain), "×", note=f"at best {min(rounds[ours]):.2f} to {min(rounds[plain]):.2f} µs a request")
            row("lto", f"{name}: processor time, × nginx return 200", ratio(ours, peer), "×", 2, 1.25, note=f"at best {min(rounds[ours]):.2f} to {min(rounds[peer]):.2f} µs, {min(rounds[ours]) / min(rounds[peer]):.2f} ×")


def hardening():
    """What the compiler's and the linker's guards cost (meson.build), by processor time, rounds in turn. position-independent code too."""
    need("wrk")
    soft = built("build-soft", ["orlo", "bench/compile_bench"], "-Dhardening=false", "-Db_pie=false")
    with orlo(HTTP_GUEST) as hard, orlo(HTTP_GUEST, program=os.path.join(soft, "orlo")) as without:
        ratio, us, them = against(hard, without, "/", 64, 1, 9)
        row("hardening", "hello: processor time, × without", ratio, "×", note=f"at best {min(r['cpu'] for r in us):.2f} to {min(r['cpu'] for r in them):.2f} µs a request")
    wasm = next((p for p in (os.path.join(GUESTS, "js-fetch.wasm"), HTTP_GUEST) if os.path.exists(p)))
    best = {BUILD: float("inf"), soft: float("inf")}
    for _ in range(5):
        for build in best:
            out = subprocess.run(["taskset", "-c", SERVER_CORE, os.path.join(build, "bench", "compile_bench"), wasm], capture_output=True, text=True, check=True).stdout
            s = json.loads(out)
            best[build] = min(best[build], s["decode_ms"] + s["compile_ms"])
    row("hardening", f"{os.path.basename(wasm)[:-5]}: validation and compilation, × without", best[BUILD] / best[soft], "×", note=f"at best {best[BUILD]:.1f} to {best[soft]:.1f} ms")
    sizes = [os.path.getsize(p) for p in (ORLO, os.path.join(soft, "orlo"))]
    row("hardening", "the program's file, × without", sizes[0] / sizes[1], "×", note=f"{sizes[0] >> 10} to {sizes[1] >> 10} KiB")


def node(name):
    def measure():
        import node as parts

        parts.run(name)

    return measure


NODE = ["node", *("node-" + part for part in ("neighbour", "idle", "hello", "deploy", "observe", "suspended", "mixed"))]
def store(name):
    def measure():
        import store as parts

        parts.measure(name)

    return measure


STORE = ["store", *("store-" + part for part in ("writes", "reads", "idle", "many", "migrate", "backup"))]
def rest(name):
    def measure():
        import rest as parts

        parts.measure(name)

    return measure


REST = ["rest", *("rest-" + part for part in ("rivals", "postgres", "beside", "lists"))]


def dialect(name):
    def measure():
        import dialect as parts

        parts.measure(name)

    return measure


def identity(name):
    def measure():
        import identity as parts

        parts.measure(name)

    return measure


def edge(name):
    def measure():
        import edge as parts

        parts.measure(name)

    return measure


EDGE = ["edge", *("edge-" + part for part in ("hello", "files", "handshakes", "beside", "idle", "download", "cache", "websocket"))]
IDENTITY = ["identity", *("identity-" + part for part in ("refresh", "verify", "beside", "million"))]
DIALECT = ["dialect", *("dialect-" + part for part in ("loops", "triggers", "deploy"))]
BY_NAME = {**{name: edge(name) for name in EDGE}, **{name: identity(name) for name in IDENTITY}, **{name: dialect(name) for name in DIALECT}, **{name: rest(name) for name in REST}, "hardening": hardening, "lto": lto, **{name: node(name) for name in NODE}, **{name: store(name) for name in STORE}}
BENCHES = {"js-start": js_start, "compile": compile_speed, "hello": hello, "routes": routes, "share": share, "guests": guests, "p3": p3, "lifecycle": lifecycle, "kernels": kernels, "exceptions": exceptions, "collected": collected, "echo": echo, "idle": idle, "hostile": hostile}


def main():
    global JSON
    args = sys.argv[1:]
    if "--targets" in args:
        print(" ".join(TARGETS))
        return 0
    JSON = "--json" in args
    if "--minutes" in args[:-1]:  # of node-mixed
        at = args.index("--minutes")
        os.environ["ORLO_BENCH_MINUTES"] = args[at + 1]
        del args[at : at + 2]
    names = [a for a in args if a != "--json"]
    unknown = [n for n in names if n not in {**BENCHES, **BY_NAME}]
    if unknown:
        print(f"bench: no measurement '{unknown[0]}'; there are: {' '.join({**BENCHES, **BY_NAME})}", file=sys.stderr)
        return 64
    os.environ["ORLO_STATE"] = os.path.join(WORK, "state")
    started, broken = time.monotonic(), 0
    for name in names or BENCHES:
        try:
            {**BENCHES, **BY_NAME}[name]()
        except Absent as e:
            skipped(name, name, str(e))
        except (RuntimeError, OSError, subprocess.SubprocessError) as e:
            broken += 1
            skipped(name, name, f"it failed: {e}")
    shutil.rmtree(WORK, ignore_errors=True)
    verdicts = [r["verdict"] for r in ROWS]
    if JSON:
        print(json.dumps({"cores": len(CORES), "load_before": os.getloadavg()[2], "seconds": round(time.monotonic() - started, 1), "rows": ROWS}, indent=1))
    else:
        print(f"{verdicts.count('met')} met to the end, {verdicts.count('bar met')} at their bar, {verdicts.count('MISSED')} missed, "
              f"{verdicts.count('skipped')} skipped  ({time.monotonic() - started:.0f} s, load {os.getloadavg()[0]:.1f})")
    return 1 if broken else 0


sys.exit(main())
