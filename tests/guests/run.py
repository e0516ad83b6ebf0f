#!/usr/bin/env python3
"""Serves the real guests of ../shared/guests, made by ordinary toolchains, and asks them over HTTP with curl.

Usage: tests/guests/run.py ORLO [FILTER…]. Prints `ok|FAIL|SKIP GUEST CASE`, and 'N passed, N failed, N skipped'.
"""
import concurrent.futures, hashlib, http.server, json, os, re, select, signal, socket, subprocess, sys, tempfile, threading, time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests"))
import sanitize
from processes import PATIENCE_S, pace, until

GUESTS = os.path.join(ROOT, "..", "shared", "guests")

# guest: (first line of GET /, answer to /compute?n=50 (a part of it), what else it does)
TABLE = {
    "c-cgi": ("Hello from C (WASI preview 1 CGI)", "n=50 x=9d8dbb3a5bde4347 acc=2545.711737", "json echo trap:/trap exit env redirect"),
    "cpp-cgi": ("Hello from C++ (WASI preview 1 CGI)", "n=50 sum=1.96731e+11", "json echo"),
    "rust-cgi": ("Hello from Rust (WASI preview 1 CGI)", "n=50 x=11352936094994678599", "json echo trap:/panic loop gzip"),
    "rust-cli-p2": ("Hello from Rust (WASI preview 1 CGI)", "n=50 x=11352936094994678599", "json echo trap:/panic loop"),
    "go-cgi": ("Hello from Go (WASI preview 1, net/http/cgi)", "n=50 primes=15 sha=1a6562590ef19d10", "json echo"),
    "zig-cgi": ("Hello from Zig (WASI preview 1 CGI)", "n=50 sha=ca3c0b2554f1a2abbf12", "json echo"),
    "as-cgi": ("Hello from AssemblyScript (WASI preview 1 CGI)", "n=50 primes=15 distinct=50", "json echo trap:/throw"),
    "sqlite-cgi": ("Hello from SQLite 3.54.1 (WASI preview 1 CGI)", '{"k":"k73","n":"2","a":"7.15","l":"3","r":"1"}', "json echo count"),
    "quickjs-cgi": ("Hello from JavaScript (QuickJS, WASI preview 1 CGI)", "n=50 primes=15 distinct=50 top=W0,W1,W100 dot=687.5", "json echo"),
    "lua-cgi": ("Hello from Lua 5.4 (WASI preview 1 CGI)", "n=50 primes=15 distinct=50", "json echo lua"),
    "lua-noeh-cgi": ("Hello from Lua 5.4 (WASI preview 1 CGI)", "n=50 primes=15 distinct=50", "json echo trap:/pcall?n=1"),
    "c-raw-p2": ("Hello from C /", None, ""),
    "c-p2": ("Hello from C (WASI 0.2, wit-bindgen)", "n=50 x=9d8dbb3a5bde4347 acc=2545.711737", "json echo fetch sleep trap:/trap noreply"),
    "rust-p2": ("Hello from Rust (WASI 0.2, wstd)", "n=50 primes=15 x=11352936094994678599", "json echo fetch sleep trap:/panic env"),
    "go-p2": ("Hello from Go (WASI 0.2, net/http)", "n=50 primes=15", "json echo fetch sleep"),
    "py-p2": ("Hello from Python (WASI 0.2)", "n=50 primes=15 top=[('w0', 1), ('w1', 1), ('w100', 1)]", "json echo fetch sleep"),
    "js-fetch": ("Hello from JavaScript (WASI 0.2, fetch event)", "n=50 x=2670584965", "json echo fetch sleep upper"),
    "c-raw-p3": ("Hello p3 C /", None, "shared:"),
    "c-raw-p3-stackful": ("Hello p3 C /", None, "shared:"),
    "c-p3": ("Hello from C (WASI 0.3, wit-bindgen)", "n=50 x=9d8dbb3a5bde4347 acc=2545.711737", "json echo upper duplex:/upper shared:/sleep?ms=400 trap:/trap"),
    "rust-p3-030": ("Hello from Rust (WASI 0.3)", "n=50 primes=15 x=11352936094994678599",
                    "json echo upper duplex:/upper duplex:/echo fetch fanout stream shared:/sleep?ms=400 sleep error trap:/panic"),
    "js-qjs-p3": ("Hello from JavaScript (WASI 0.3, QuickJS)", "n=50 x=2670584965",
                  "json echo upper duplex:/upper duplex:/echo stream shared:/sleep?ms=400 sleep throw"),
    "py-p3": ("Hello from Python (WASI 0.3)", "n=50 fib=586268941", "json echo upper duplex:/upper fetch stream shared:/sleep?ms=400 sleep error"),
    "js-hono": ("Hello from Hono (WASI 0.2, StarlingMonkey)", "n=50 primes=15 distinct=50", "json echo fetch teapot"),
}
BODY = os.urandom(400_000)


class Upstream(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = b"upstream says " + self.path.encode() + b"\n" + b"x" * 100_000
        self.send_response(203)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class Served:
    def __init__(self, orlo, wasm, *flags):
        self.log = tempfile.TemporaryFile()
        self.proc = subprocess.Popen([orlo, "serve", wasm, "--listen", "127.0.0.1:0", *flags], stdin=subprocess.DEVNULL,
                                     stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.base, deadline, line = None, time.monotonic() + 60, b""
        while time.monotonic() < deadline:
            if not select.select([self.proc.stderr], [], [], 1)[0]:
                continue
            piece = os.read(self.proc.stderr.fileno(), 65536)
            line += piece
            if not piece or (m := re.search(rb"http://[0-9.:]+", line)):
                self.base = m.group(0).decode() if piece else None
                break
        self.text = line
        threading.Thread(target=self.drain, daemon=True).start()

    def drain(self):
        while piece := os.read(self.proc.stderr.fileno(), 65536):
            self.text += piece

    def stop(self):
        self.proc.send_signal(signal.SIGTERM)
        try:
            return self.proc.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            return "had to be killed"


def curl(url, *args, data=None, timeout=60):
    """(status, body) by curl."""
    p = subprocess.run(["curl", "-s", "-m", str(timeout), "-w", "\n%{http_code}", *args,
                        *(["--data-binary", "@-", "-H", "Content-Type: application/octet-stream"] if data is not None else []), url],
                       input=data, stdout=subprocess.PIPE)
    body, _, code = p.stdout.rpartition(b"\n")
    return int(code), body


class Cases:
    orlo = wasm = None  # of the guest that is tested

    def __init__(self, s, name, upstream):
        self.s, self.name, self.upstream = s, name, upstream

    def expect(self, got, want):
        if got != want:
            raise AssertionError(f"got {got!r:.300}, expected {want!r:.200}")

    def hello(self, first):
        code, body = curl(self.s.base + "/")
        self.expect((code, body.decode().splitlines()[:1]), (200, [first]))

    def compute(self, part):
        code, body = curl(self.s.base + "/compute?n=50")
        self.expect((code, part in body.decode()), (200, True))

    def not_found(self):
        self.expect(curl(self.s.base + "/nowhere")[0], 404)

    def json(self):
        code, body = curl(self.s.base + "/json?name=Ada")
        self.expect((code, json.loads(body)["hello"]), (200, "Ada"))

    def echo(self):
        code, body = curl(self.s.base + "/echo", data=BODY)
        self.expect((code, len(body), body == BODY), (200, len(BODY), True))
        code, body = curl(self.s.base + "/echo", "-H", "Transfer-Encoding: chunked", data=BODY)
        self.expect((code, body == BODY), (200, True))

    def upper(self):
        self.expect(curl(self.s.base + "/upper", data=b"abcXYZ1"), (200, b"ABCXYZ1"))

    def fetch(self):
        code, body = curl(self.s.base + "/fetch?url=" + self.upstream + "/some/path")
        self.expect((code, body[:24], len(body)), (203, b"upstream says /some/path", 100_025))

    def sleep(self):
        started = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            codes = [r[0] for r in pool.map(lambda _: curl(self.s.base + "/sleep?ms=400"), range(16))]
        self.expect(codes, [200] * 16)
        took = time.monotonic() - started
        if took > 4:  # one after another would be 6.4 s
            raise AssertionError(f"16 concurrent sleeps of 0.4 s took {took:.1f} s")

    def duplex(self, path):
        """The response's beginning comes while the request is still on its way."""
        host, port = self.s.base[7:].split(":")
        with socket.create_connection((host, int(port)), PATIENCE_S) as c:
            c.sendall(b"POST " + path.encode() + b" HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            got = b""
            for piece in (b"ABC", b"DEF", b"GHI"):
                c.sendall(b"3\r\n" + piece + b"\r\n")
                while piece not in got:
                    more = c.recv(65536)
                    if not more:
                        raise AssertionError(f"closed after {got!r}")
                    got += more
            c.sendall(b"0\r\n\r\n")
            while not got.endswith(b"0\r\n\r\n"):
                more = c.recv(65536)
                if not more:
                    raise AssertionError(f"closed after {got!r}")
                got += more
        self.expect(got[:12], b"HTTP/1.1 200")

    def stream(self):
        code, body = curl(self.s.base + "/stream?n=4&ms=5")
        self.expect((code, body), (200, b"".join(b"data: line %d\n\n" % i for i in range(4))))

    def fanout(self):
        self.expect(curl(self.s.base + "/fanout?n=5&url=" + self.upstream + "/x"), (200, b"[203, 203, 203, 203, 203]\n"))

    def error(self):
        self.expect(curl(self.s.base + "/error")[0], 500)

    def throw(self):
        self.expect(curl(self.s.base + "/throw")[0], 500)

    def shared(self, path=""):
        """One instance alone serves requests at the same time, and others after them."""
        s = Served(self.orlo, self.wasm, "--instance-concurrency", "8", "--max-instances", "1", "--workers", "1")
        try:
            c = Cases(s, self.name, self.upstream)
            started = time.monotonic()
            with concurrent.futures.ThreadPoolExecutor(8) as pool:
                codes = [r[0] for r in pool.map(lambda _: curl(s.base + (path or "/")), range(8))]
            took = time.monotonic() - started
            self.expect(codes, [200] * 8)
            if path and took > 2:  # one after another would be 3.2 s
                raise AssertionError(f"8 concurrent sleeps of 0.4 s took {took:.1f} s")
            for _ in range(3):
                c.hello(TABLE[self.name][0])
            if self.name in ("js-qjs-p3", "py-p3"):
                self.expect(json.loads(curl(s.base + "/json?name=Ada")[1])["count"], 12)
            self.expect(b"guest-failed" in s.text, False)
        finally:
            self.expect(s.stop(), 0)

    def concurrent(self, first):
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            got = set(pool.map(lambda _: (lambda r: (r[0], r[1].decode().splitlines()[0]))(curl(self.s.base + "/")), range(64)))
        self.expect(got, {(200, first)})

    def trap(self, path):
        self.expect(curl(self.s.base + path)[0], 500)
        until(lambda: re.search(rb"trap|exit", self.s.text))
        self.expect(bool(re.search(rb"trap|exit", self.s.text)), True)

    def exit(self):
        self.expect(curl(self.s.base + "/exit?code=3")[0], 500)

    def noreply(self):
        self.expect(curl(self.s.base + "/noreply")[0], 500)

    def teapot(self):
        self.expect(curl(self.s.base + "/teapot"), (418, b"short and stout\n"))

    def redirect(self):
        p = subprocess.run(["curl", "-s", "-i", "-m", "60", self.s.base + "/redirect?url=https://example.org/x"], stdout=subprocess.PIPE)
        self.expect((p.stdout[:12], b"ocation: https://example.org/x" in p.stdout), (b"HTTP/1.1 302", True))

    def env(self):
        body = curl(self.s.base + ("/json" if self.name == "c-cgi" else "/env"))[1]
        self.expect((b"GREETING=hi" in body, b"HOME=" in body), (True, False))

    def lua(self):
        """setjmp and longjmp are exceptions here."""
        self.expect(curl(self.s.base + "/pcall?n=100000"), (200, b"n=100000 caught=100000\n"))
        self.expect(curl(self.s.base + "/coroutines?n=1000"), (200, b"n=1000 sum=500500\n"))
        code, body = curl(self.s.base + "/error")
        self.expect((code, b"asked to" in body), (500, True))

    def count(self):
        self.expect([b'"n":"%d"' % i in curl(self.s.base + "/count")[1] for i in (1, 2, 3)], [True] * 3)

    def gzip(self):
        code, body = curl(self.s.base + "/gzip", "--compressed", data=BODY)
        self.expect((code, body == BODY), (200, True))

    def loop(self):
        """A guest that never ends holds up nobody, and ends by its deadline."""
        p = subprocess.Popen(["curl", "-s", "-m", "100", "-o", "/dev/null", "-w", "%{http_code}", self.s.base + "/loop"], stdout=subprocess.PIPE)
        pace(0.3)
        self.expect(curl(self.s.base + "/", timeout=PATIENCE_S)[0], 200)
        self.expect(p.poll(), None)  # before the other one's deadline
        self.expect(p.communicate()[0] in (b"504", b"500"), True)


def run_guest(orlo, name, upstream, report):
    first, compute, extra = TABLE[name]
    wasm = os.path.join(GUESTS, name + ".wasm")
    flags = ["--env", "GREETING=hi", "--allow-http", upstream.split("//")[1], "--timeout", "8s"]
    data = tempfile.mkdtemp(prefix="orlo-guest-")
    if "count" in extra.split():
        flags += ["--dir", data + "::/data", "--env", "DB=/data/x.db", "--workers", "1"]
    s = Served(orlo, wasm, *flags)
    if not s.base:
        return report(name, "serve", f"no address; exit status {s.proc.poll()}: {s.text[-1500:].decode('utf-8', 'replace')}")
    report(name, "serve", None)
    Cases.orlo, Cases.wasm = orlo, wasm
    c = Cases(s, name, upstream)
    todo = [("hello", (first,)), ("concurrent", (first,))] + ([("compute", (compute,)), ("not_found", ())] if compute else [])
    for word in extra.split():
        case, _, arg = word.partition(":")
        todo.append((case, (arg,) if arg else ()))
    todo.append(("hello", (first,)))
    for case, args in todo:
        try:
            getattr(c, case)(*args)
            report(name, case, None)
        except Exception as e:
            report(name, case, f"{type(e).__name__}: {e}")
    code = s.stop()
    said = sanitize.report_in(s.text.decode("utf-8", "replace"))
    report(name, "stop", said if said else None if code == 0 else f"exit status {code}; {s.text[-1000:].decode('utf-8', 'replace')}")


def main():
    orlo, filters = os.path.abspath(sys.argv[1]), sys.argv[2:]
    if not os.path.isdir(GUESTS):
        print("SKIP guests: ../shared/guests is not here")
        print(f"0 passed, 0 failed, {len(TABLE)} skipped")
        return
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # a guest that is cut off while it fetches
    threading.Thread(target=server.serve_forever, daemon=True).start()
    upstream = "http://127.0.0.1:%d" % server.server_address[1]
    passed = failed = 0

    def report(guest, case, why):
        nonlocal passed, failed
        passed, failed = passed + (why is None), failed + (why is not None)
        print(f"FAIL {guest} {case}: {why}" if why else f"ok {guest} {case}", flush=True)

    for name in TABLE:
        if not filters or any(f in name for f in filters):
            run_guest(orlo, name, upstream, report)
    print(f"{passed} passed, {failed} failed, 0 skipped")
    sys.exit(1 if failed else 0)


main()
