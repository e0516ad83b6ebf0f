#!/usr/bin/env python3
"""Guests that use sockets, WASI 0.2 and 0.3, against servers and clients of this program: what they say, what is granted, what is not.

Usage: tests/sockets/run.py ORLO [FILTER…]. Prints `ok|FAIL CASE`, and 'N passed, N failed, N skipped'.
The guests are tests/guests/net2.wasm and net3.wasm; tests/guests/sockets has their source. Nothing leaves this machine.
"""
import concurrent.futures, http.client, os, re, select, signal, socket, struct, subprocess, sys, threading, time, traceback, urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NET2, NET3 = (os.path.join(ROOT, "tests", "guests", g) for g in ("net2.wasm", "net3.wasm"))
sys.path.insert(0, os.path.join(ROOT, "tests"))
import processes
from processes import PATIENCE_S, pace, until

ORLO = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else sys.exit(__doc__)


def eq(got, want):
    if got != want:
        raise AssertionError(f"got {got!r:.600}, expected {want!r:.600}")


def pattern(n):
    return bytes((i * 7 + i // 251) & 255 for i in range(n))


def checksum(data):
    s = 17
    for b in data:
        s = (s * 31 + b) & 0xffffffff
    return f"{len(data)} {s:08x}"


def wait(condition):
    """Whether it comes true in time."""
    try:
        return bool(until(condition))
    except AssertionError:
        return False


# ---- servers ----

def server(handle, host="127.0.0.1"):
    """A TCP server; handle(connection) on a thread each. Its address."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    s = socket.create_server((host, 0), family=family, backlog=512)

    def serve(c):
        try:
            handle(c)
        except OSError:
            pass
        c.close()

    def loop():
        while True:
            try:
                c, _ = s.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(c,), daemon=True).start()
    threading.Thread(target=loop, daemon=True).start()
    port = s.getsockname()[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def echo(c):
    while data := c.recv(65536):
        c.sendall(data)


def reset(c):
    c.recv(2)
    c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def udp_echo(host="127.0.0.1"):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((host, 0))

    def loop():
        while True:
            data, peer = s.recvfrom(65536)
            s.sendto(b"you said " + data[:100], peer)
    threading.Thread(target=loop, daemon=True).start()
    return "%s:%d" % s.getsockname()


def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return "127.0.0.1:%d" % s.getsockname()[1]


ECHO, RESET, UDP = server(echo), server(reset), udp_echo()
SILENT = server(lambda c: pace(60))
HAS_V6 = socket.has_ipv6
try:
    ECHO6 = server(echo, "::1")
except OSError:
    HAS_V6 = False


# ---- guests ----

def run(wasm, *verbs, allow=("*",), timeout=60):
    """(lines, log) of a command."""
    argv = [ORLO, "run", wasm] + [a for rule in allow for a in ("--allow-net", rule)] + ["--", *verbs]
    p = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout)
    if p.returncode:
        raise AssertionError(f"exit status {p.returncode}: {p.stderr.decode()[-600:]}")
    return p.stdout.decode().splitlines(), p.stderr.decode()


def say(wasm, *verbs, allow=("*",)):
    return run(wasm, *verbs, allow=allow)[0]


class Running:
    """A command that prints where it listens first."""
    def __init__(self, wasm, *verbs, allow=("*",)):
        argv = [ORLO, "run", wasm] + [a for rule in allow for a in ("--allow-net", rule)] + ["--", *verbs]
        self.p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.first = self.p.stdout.readline().decode().strip()
        self.port = int(self.first.rsplit(":", 1)[-1])

    def rest(self):
        out, err = self.p.communicate(timeout=PATIENCE_S)
        eq(self.p.returncode, 0)
        return out.decode().splitlines()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.p.poll() is None:
            self.p.kill()
            self.p.communicate()


class Served:
    def __init__(self, wasm, *flags):
        self.p = subprocess.Popen([ORLO, "serve", wasm, "--listen", "127.0.0.1:0", "--workers", "1", "--log-format", "text", *flags],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.log, self.url = b"", None
        while not self.url and select.select([self.p.stderr], [], [], 60)[0]:
            piece = os.read(self.p.stderr.fileno(), 65536)
            self.log += piece
            found = re.search(rb"http://[0-9.:]+", self.log)
            self.url = found and found.group(0).decode()
            if not piece:
                raise AssertionError(self.log.decode())
        threading.Thread(target=self.drain, daemon=True).start()

    def drain(self):
        while piece := os.read(self.p.stderr.fileno(), 65536):
            self.log += piece

    def get(self, query, path="/"):
        try:
            with urllib.request.urlopen(self.url + path + "?" + query, timeout=PATIENCE_S) as r:
                return r.status, r.read().decode().splitlines()
        except urllib.error.HTTPError as e:
            return e.code, []
        except http.client.HTTPException:
            return 0, []  # cut off after the head

    def worker_sockets(self):
        """Descriptors of sockets that the worker has."""
        return sum(of.startswith("socket:") for child in processes.children(self.p.pid) for of in processes.files(child))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.p.send_signal(signal.SIGTERM)
        try:
            self.p.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.p.kill()


# ---- WASI 0.2 ----

def test_client():
    want = checksum(pattern(1_000_000))
    eq(say(NET2, f"get={ECHO},1000000", f"get=localhost:{ECHO.split(':')[1]},10"), [want, checksum(pattern(10))])
    if HAS_V6:
        eq(say(NET2, f"get={ECHO6},1000"), [checksum(pattern(1000))])
    eq(say(NET2, f"connect={closed_port()}", f"connect={ECHO}"), ["error: connection-refused", "connected"])


def test_server():
    data = pattern(300_000)
    with Running(NET2, "echo=127.0.0.1:0,3") as g:
        for n in (0, 5, len(data)):
            with socket.create_connection(("127.0.0.1", g.port), timeout=PATIENCE_S) as s:
                threading.Thread(target=lambda: (s.sendall(data[:n]), s.shutdown(socket.SHUT_WR)), daemon=True).start()
                got = b""
                while piece := s.recv(65536):
                    got += piece
                eq(got == data[:n], True)
        eq(g.rest(), [f"echoed {len(data) + 5}"])


def test_datagrams():
    eq(say(NET2, f"udp={UDP}"), [f"you said ping from {UDP}"])
    with Running(NET2, "udp-serve=127.0.0.1:0,3") as g, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(PATIENCE_S)
        s.bind(("127.0.0.1", 0))
        for n in (0, 1, 60_000):
            s.sendto(bytes(n), ("127.0.0.1", g.port))
            eq(s.recvfrom(100)[0].decode(), f"{n} 127.0.0.1:{s.getsockname()[1]}")
        eq(g.rest(), ["served"])
    eq(say(NET2, f"datagram={UDP},65507", f"datagram={UDP},65508", f"datagram={UDP},65536", "datagram=0.0.0.0:9,1"),
       ["1 sent", "error: datagram-too-large", "error: datagram-too-large", "error: invalid-argument"])


def test_names():
    eq(say(NET2, "lookup=127.0.0.1", "lookup=::1", "lookup=[::1]", allow=()), ["127.0.0.1", "::1", "::1"])
    eq("127.0.0.1" in say(NET2, "lookup=LOCALHOST")[0].split(), True)
    for bad in ("a..b", "a b", "256.1.1.1", "127.1"):
        eq("nvalid argument" in say(NET2, f"lookup={bad}")[0], True)
    begun, refused = map(int, re.fullmatch(r"(\d+) begun, (\d+) refused, true", say(NET2, "lookups=localhost,50")[0]).groups())
    eq((begun >= 16, begun + refused), (True, 50))  # 16 at once; those that end meanwhile make room for others


STATES = ("finish-bind=not-in-progress finish-listen=not-in-progress finish-connect=not-in-progress listen-unbound=invalid-state "
          "accept-unbound=invalid-state local-unbound=invalid-state remote-unbound=invalid-state shutdown-unbound=invalid-state "
          "bind-mapped=invalid-argument bind-v6=invalid-argument bind=ok bind-twice=concurrency-conflict "
          "listen-while-binding=concurrency-conflict bound=ok bind-again=invalid-state connect-port-0=invalid-argument "
          "connect-any=invalid-argument connect-multicast=invalid-argument connect=ok connect-twice=concurrency-conflict "
          "listen-while-connecting=concurrency-conflict connected=ok finish-again=not-in-progress listen-connected=invalid-state "
          "backlog-connected=invalid-state remote=ok shutdown=ok shutdown-again=ok hop-limit-0=invalid-argument")


def test_states():
    eq(say(NET2, f"states={ECHO}"), [STATES])


def test_misuse():
    eq(say(NET2, f"drops={ECHO}", "itself", f"connect={ECHO}"), ["after its socket 2", "4 bytes from itself", "connected"])
    eq(say(NET2, "bind=tcp,192.0.2.1:0", f"bind=listen,{ECHO}", "connect=224.0.0.1:1", "connect=255.255.255.255:1"),
       ["error: address-not-bindable", "error: address-in-use", "error: invalid-argument", "error: invalid-argument"])
    eq(say(NET2, f"reset={RESET}")[0].split(";")[0], "read: the connection was reset")


def test_limits():
    eq(say(NET2, f"hold={ECHO}"), ["256 then new-socket-limit, then connected"])
    eq(say(NET2, f"flood={ECHO},2000"), ["2000 connections"])


def test_what_was_written_arrives():
    """The guest ends right after its last write; the peer reads late, through a small window."""
    got, done = [], threading.Event()

    def slow(c):
        c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        pace(0.5)
        data = b""
        while piece := c.recv(65536):
            data += piece
        got.append(data)
        done.set()
    at = server(slow)
    eq(say(NET2, f"send={at},8000000"), ["8000000 written"])
    eq(done.wait(PATIENCE_S), True)
    eq(got[0] == pattern(8_000_000), True)


# ---- WASI 0.3 ----

def test_client3():
    eq(say(NET3, f"get={ECHO},3000000", f"connect={closed_port()}", f"outlive={ECHO}", f"udp={UDP}", "datagrams", "lookup=localhost",
           "lookup=a..b"),
       ["3000000 bytes, the same: true", "error: ConnectionRefused", "still there", f"you said ping from {UDP.split(':')[1]}",
        "[0, 1, 60000] DatagramTooLarge", "some found", "error: InvalidArgument"])


def test_server3():
    data = pattern(200_000)

    def ask(port):
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as s:
            threading.Thread(target=lambda: (s.sendall(data), s.shutdown(socket.SHUT_WR)), daemon=True).start()
            got = b""
            while piece := s.recv(65536):
                got += piece
            return got == data
    with Running(NET3, "echo=127.0.0.1:0,30") as g, concurrent.futures.ThreadPoolExecutor(30) as pool:
        eq(list(pool.map(lambda _: ask(g.port), range(30))), [True] * 30)
        eq(g.rest(), ["30 of 30 ended well"])


def test_misuse3():
    eq(say(NET3, f"drops={ECHO}", f"connect={ECHO}"), ["dropped", "connected"])
    line = say(NET3, f"reset={RESET}")[0]
    eq(re.sub("Connection(Reset|Broken)", "gone", line), "0 bytes; read: gone; write: gone; stopped: true")
    eq(say(NET3, "hold=100"), ["255 then OutOfMemory; 100 accepted"])


# ---- grants ----

def denied(wasm, verb, *allow):
    """The guest is refused; the rule that the log proposes."""
    lines, log = run(wasm, verb, allow=allow)
    eq(bool(re.search(r"error: (access-denied|AccessDenied|.*[Pp]ermission denied.*)", lines[-1])), True)
    m = re.search(r'network-denied .*grant="--allow-net ([^"]*)"', log)
    return m and m.group(1)


def test_denied():
    host, port = ECHO.split(":")
    for wasm in (NET2, NET3):
        eq(denied(wasm, f"connect={ECHO}"), f"tcp:{ECHO}")
        eq(denied(wasm, f"connect={ECHO}", f"{host}:{int(port) + 1}"), f"tcp:{ECHO}")
        eq(denied(wasm, f"connect={ECHO}", f"udp:{ECHO}"), f"tcp:{ECHO}")
        eq(denied(wasm, f"connect={ECHO}", f"listen:{ECHO}", "lookup:*"), f"tcp:{ECHO}")
        eq(denied(wasm, f"connect={ECHO}", "tcp:10.0.0.0/8"), f"tcp:{ECHO}")
        eq(denied(wasm, "connect=169.254.169.254:80", "*"), "tcp:169.254.169.254:80")
        eq(denied(wasm, "connect=169.254.169.254:80", "tcp:0.0.0.0/0"), "tcp:169.254.169.254:80")
        eq(denied(wasm, "lookup=localhost", "tcp:127.0.0.1"), "lookup:localhost")
        eq(denied(wasm, f"udp={UDP}", f"tcp:{UDP}"), f"udp:{UDP}" if wasm == NET3 else "listen-udp:0.0.0.0:0")
    eq(denied(NET2, "bind=listen,127.0.0.1:0", "tcp:*"), "listen:127.0.0.1:0")
    eq(denied(NET2, f"bind=tcp,{closed_port()}", "tcp:*", "listen:1")[:17], "listen:127.0.0.1:")
    eq(denied(NET2, "bind=listen,0.0.0.0:0", "listen:127.0.0.1"), "listen:0.0.0.0:0")
    eq(denied(NET2, "datagram=255.255.255.255:9,1", "*"), "udp:255.255.255.255:9")
    eq(denied(NET2, "datagram=224.0.0.1:9,1", "*"), "udp:224.0.0.1:9")
    lines, log = run(NET2, *[f"connect=127.0.0.1:{p}" for p in range(1, 51)], allow=())
    eq((lines, log.count("network-denied")), (["error: access-denied"] * 50, 8))


def test_granted():
    for wasm in (NET2, NET3):
        for rule in (ECHO, f"tcp:{ECHO}", "tcp:127.0.0.0/8", "tcp:*", f"localhost:{ECHO.split(':')[1]}", "*"):
            eq(say(wasm, f"connect={ECHO}", allow=(rule,)), ["connected"])
        eq(say(wasm, f"udp={UDP}", allow=(f"udp:{UDP}",))[0][:13], "you said ping")
    eq(say(NET2, f"get=localhost:{ECHO.split(':')[1]},10", allow=("tcp:localhost",)), [checksum(pattern(10))])
    eq(say(NET2, "bind=listen,127.0.0.1:0", allow=("listen:127.0.0.1:0",)), ["bound"])
    at = closed_port()
    eq(say(NET2, f"bind=listen,{at}", allow=(f"listen:{at.split(':')[1]}",)), ["bound"])
    eq(say(NET2, "bind=udp,127.0.0.1:0", allow=("listen-udp:127.0.0.1",)), ["bound"])


def test_a_service_answers_who_wrote():
    """A socket that may only listen answers its callers, and nobody else."""
    with Running(NET2, "udp-serve=127.0.0.1:0,1", allow=("listen-udp:127.0.0.1",)) as g, \
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(PATIENCE_S)
        s.sendto(b"hi", ("127.0.0.1", g.port))
        eq(s.recv(100)[:2], b"2 ")
        eq(g.rest(), ["served"])
    eq(denied(NET2, f"udp={UDP}", "listen-udp:0.0.0.0:0"), f"udp:{UDP}")


# ---- orlo serve ----

def test_served():
    for wasm in (NET2, NET3):
        with Served(wasm, "--allow-net", f"tcp:{ECHO}", "--allow-net", "lookup:localhost") as s:
            want = checksum(pattern(1000)) if wasm == NET2 else "1000 bytes, the same: true"
            eq(s.get(f"get={ECHO},1000&lookup=localhost")[0], 200)
            with concurrent.futures.ThreadPoolExecutor(16) as pool:
                got = list(pool.map(lambda _: s.get(f"get={ECHO},1000"), range(64)))
            eq(got, [(200, [want])] * 64)
            status, lines = s.get(f"connect={RESET}")
            eq((status, lines[0].lower().replace("-", "")), (200, "error: accessdenied"))
            eq(wait(lambda: b"network-denied" in s.log and f"--allow-net tcp:{RESET}".encode() in s.log), True)


def test_served_to_the_end():
    """A guest whose peer never answers is stopped by the deadline, and nothing of it stays open."""
    for wasm in (NET2, NET3):
        with Served(wasm, "--allow-net", "*", "--timeout", "2s", "--stream-timeout", "2s") as s:
            s.get(f"connect={ECHO}")
            before = s.worker_sockets()
            with concurrent.futures.ThreadPoolExecutor(20) as pool:
                codes = list(pool.map(lambda _: s.get(f"get={SILENT},10")[0], range(20)))
            eq(set(codes) <= {504, 0}, True)
            eq(wait(lambda: s.worker_sockets() <= before), True)
            eq(wait(lambda: s.get(f"connect={ECHO}") == (200, ["connected"])), True)


def test_addresses_of_requests():
    """0.0.0.0, which would lead to this machine, is no way to anything, as it is none for sockets."""
    fetches = os.path.join(ROOT, "..", "shared", "guests", "c-p2.wasm")
    if not os.path.exists(fetches):
        return
    port = server(lambda c: (c.recv(1000), c.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"))).split(":")[1]
    for rule in ("*", "0.0.0.0/0"):
        with Served(fetches, "--allow-http", rule) as s:
            eq(s.get(f"url=http://0.0.0.0:{port}/", path="/fetch")[0], 502)
            eq(s.get(f"url=http://127.0.0.1:{port}/", path="/fetch")[0], 200)


def main():
    cases = [(n[5:], f) for n, f in globals().items() if n.startswith("test_") and (not sys.argv[2:] or any(a in n for a in sys.argv[2:]))]
    failed = 0
    for name, f in cases:
        try:
            f()
            print("ok", name, flush=True)
        except Exception as e:
            failed += 1
            line = traceback.extract_tb(e.__traceback__)[1].lineno if len(traceback.extract_tb(e.__traceback__)) > 1 else 0
            print(f"FAIL {name} (line {line}): {type(e).__name__}: {e}", flush=True)
    print(f"{len(cases) - failed} passed, {failed} failed, 0 skipped")
    sys.stdout.flush()
    os._exit(1 if failed else 0)


main()
