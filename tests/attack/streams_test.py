"""Bodies that break, through a WASI 0.3 guest that hands streams from one side to the other: at any byte, by the client, the upstream or
the guest. What holds: no worker dies, the next request is answered, and the server ends in order."""
import itertools
from harness import *

SERVICE = os.path.join(ROOT, "tests", "guests", "http3.wasm")
END, SHUT, RESET = "end", "shut", "reset"  # the client waits for an answer, ends its side, or is gone

# Bodies that are wrong, and some that are right: (framing, body, how the client goes on)
BODIES = {
    "bad chunk size": (True, b"5\r\nhello\r\nZ\r\n", END),
    "bad first chunk size": (True, b"Z\r\n", END),
    "no line feed after a chunk": (True, b"5\r\nhelloXX5\r\nhello\r\n0\r\n\r\n", END),
    "chunk size too large": (True, b"fffffffffffffffff\r\nhello", END),
    "chunks without an end": (True, b"5\r\nhello\r\n", SHUT),
    "a chunk cut off": (True, b"10\r\nhello", SHUT),
    "bad trailer": (True, b"5\r\nhello\r\n0\r\nX : y\r\n\r\n", END),
    "trailers cut off": (True, b"5\r\nhello\r\n0\r\nX: y", SHUT),
    "shorter than its length": (False, b"hello", SHUT),
    "shorter than its length, reset": (False, b"hello", RESET),
    "longer than its length": (False, b"hello hello hello", END),
    "trailers": (True, b"5\r\nhello\r\n0\r\nX: y\r\n\r\n", END),
    "whole": (False, b"0123456789", END),
    "none": (None, b"", END),
}
# Handed back, copied, copied slowly, passed on as it is, as a request of its own, and that one's answer handed back, too.
PATHS = ("/hand-back", "/echo", "/slow", "/forward", "/proxy", "/proxy-back", "/drop-body", "/half")


def head_of(path, chunked):
    framing = {True: b"Transfer-Encoding: chunked\r\n", False: b"Content-Length: 10\r\n", None: b""}[chunked]
    return b"POST " + path.encode() + b" HTTP/1.1\r\nHost: x\r\n" + framing + b"\r\n"


def client(port, data, how, pieces=()):
    """Sends data, cut at `pieces`; what comes back."""
    got = b""
    with contextlib.suppress(ConnectionError), socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as c:
        c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for a, z in itertools.pairwise((0, *pieces, len(data))):
            c.sendall(data[a:z])
        if how == RESET:
            c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            return got
        if how == SHUT:
            c.shutdown(socket.SHUT_WR)
        got = c.recv(65536)
    return got


class Upstream:
    """answer(connection) plays the server; each connection has a thread."""

    def __init__(self, answer):
        self.answer = answer
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                c = self.listener.accept()[0]
                threading.Thread(target=self.serve, args=(c,), daemon=True).start()

    def serve(self, c):
        with contextlib.suppress(OSError), c:
            c.settimeout(PATIENCE_S)
            self.answer(c)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()


def read_request(c):
    """All of one, as far as it comes."""
    got = b""
    while b"\r\n\r\n" not in got:
        piece = c.recv(65536)
        if not piece:
            return got
        got += piece
    head, body = got.split(b"\r\n\r\n", 1)
    length = re.search(rb"(?i)content-length: (\d+)", head)
    done = (lambda: len(body) >= int(length[1])) if length else (lambda: b"0\r\n" in body and body.endswith(b"\r\n\r\n"))
    if not length and b"chunked" not in head.lower():
        return got
    while not done():
        piece = c.recv(65536)
        if not piece:
            break
        body += piece
    return head + b"\r\n\r\n" + body


OK = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n6\r\nanswer\r\n4\r\nmore\r\n0\r\nX: y\r\n\r\n"


def answer_whole(c):
    while read_request(c):
        c.sendall(OK)


@contextlib.contextmanager
def service(answer=answer_whole, *flags):
    with Upstream(answer) as up, serving(SERVICE, "--workers", "1", "--forward", f"http://127.0.0.1:{up.port}", "--timeout", "20s", *flags) as s:
        s.worker = s.workers()
        yield s
        check_alive(s)


def check_alive(s, *about):
    a = curl(s.url + "/count")
    eq((about, a.status), (about, 200))
    eq((about, s.workers(), s.events("worker-died")), (about, s.worker, []))


def test_streams_broken_bodies():
    for path in PATHS:
        with service() as s:
            for name, (chunked, body, how) in BODIES.items():
                client(s.port, head_of(path, chunked) + body, how)
                check_alive(s, path, name)


def test_streams_handed_back():
    """What is whole arrives whole: bytes, and trailers where the framing has them."""
    whole = head_of("/hand-back", True).replace(b"Host", b"Connection: close\r\nHost") + b"5\r\nhello\r\n0\r\nX: y\r\n\r\n"
    data = os.urandom(3_000_000)
    with service() as s:
        check(raw(s.port, whole).endswith(b"5\r\nhello\r\n0\r\nX: y\r\n\r\n"))
        eq(curl(s.url + "/hand-back", data=data).body == data, True)
        for path in ("/proxy", "/proxy-back", "/forward"):
            a = raw(s.port, head_of(path, False).replace(b"Host", b"Connection: close\r\nHost") + b"0123456789")
            check(a.endswith((b"\r\n\r\na\r\nanswermore\r\n0\r\nX: y\r\n\r\n", b"\r\n\r\n6\r\nanswer\r\n4\r\nmore\r\n0\r\nX: y\r\n\r\n")), path, a)


def test_streams_client_at_any_byte():
    """The client sends so many bytes and ends, or is gone; or the rest comes later."""
    for path, (chunked, body) in itertools.product(("/hand-back", "/proxy", "/proxy-back"), ((True, b"5\r\nhello\r\n0\r\nX: y\r\n\r\n"), (False, b"0123456789"))):
        data = head_of(path, chunked) + body
        start = len(data) - len(body)
        with service() as s:
            for cut in range(start, len(data)):
                client(s.port, data[:cut], RESET)
                client(s.port, data[:cut], SHUT)
                client(s.port, data, END, (cut,))
            check_alive(s, path, chunked)


def test_streams_upstream_at_any_byte():
    """The upstream ends its answer after so many bytes, once it has all of the request, its head, or nothing."""
    cuts = iter(())

    def answer(c):
        cut, read = next(cuts, (len(OK), True))
        if read is None:
            c.recv(1)
        elif read:
            read_request(c)
        c.sendall(OK[:cut])

    for path in ("/proxy", "/proxy-back", "/forward"):
        with service(answer) as s:
            for read in (True, None, False):
                cuts = iter([(cut, read) for cut in range(len(OK) + 1)])
                for cut in range(len(OK) + 1):
                    client(s.port, head_of(path, True) + b"5\r\nhello\r\n0\r\n\r\n", END)
                check_alive(s, path, read)


def test_streams_upstream_stops_reading():
    """More than all buffers hold is sent to an upstream that answers, or is gone, in the middle of it; and the client breaks off."""
    for path, leave in itertools.product(("/proxy", "/proxy-back", "/forward"), ("close", "answer", "wait")):
        gone = threading.Event()

        def answer(c):
            c.recv(65536)
            if leave == "answer":
                c.sendall(OK)
            if leave != "close":
                gone.wait(PATIENCE_S)

        with service(answer) as s:
            chunk = b"4000\r\n" + b"x" * 0x4000 + b"\r\n"
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", s.port), timeout=1) as c:  # short: whatever is answered
                c.sendall(head_of(path, True))
                for _ in range(300):
                    c.sendall(chunk)
            for end in (b"Z\r\n", b"0\r\n\r\n"):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", s.port), timeout=1) as c:  # short: whatever is answered
                    c.sendall(head_of(path, True) + chunk * 4 + end)
                    c.recv(1000)
            gone.set()
            check_alive(s, path, leave)


def test_streams_chains():
    """Futures that each resolve the next, as many as a guest can make: they take no stack."""
    with service() as s:
        eq(curl(s.url + "/chain?3000").text, "hello from /chain?3000\n")
        eq(curl(s.url + "/chaintrap?5000").status, 500)
        eq(curl(s.url + "/chain?15000").text, "hello from /chain?15000\n")
        eq(curl(s.url + "/chaintrap?15000").status, 500)
        check_alive(s)


def test_streams_whose_trap():
    """A trap after the response: the line says whose request it was, and which others were in the instance."""
    after = "the guest trapped after its response"
    with serving(SERVICE, "--workers", "1", "--instance-concurrency", "4", "--timeout", "300s") as s, socket.create_connection(("127.0.0.1", s.port)) as held:
        held.sendall(b"GET /never HTTP/1.1\r\nHost: x\r\n\r\n")
        for tries in range(1, 100):  # until it happens where that one is: a busy instance is passed over
            eq(curl(s.url + "/answer-then-trap").status, 200)
            line = s.wait_event("guest-failed", count=tries, reason=after)
            if len(line["requests"].split()) > 1:
                break
        held.settimeout(60)
        has(held.recv(65536), b" 500 ")
        never = s.wait_event("request", path="/never")["request"]
        check(line["request"] in [e["request"] for e in s.events("request") if e["path"] == "/answer-then-trap"], line)
        check(never in line["requests"].split(), line)
        has(s.wait_event("guest-failed", request=never)["detail"], line["request"])
