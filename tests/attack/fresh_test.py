"""What a stranger tried first: peers that speak TLS without end, odd folders, odd flags."""
import struct
from harness import *

FETCH = os.path.join(ROOT, "tests", "guests", "fetch.wasm")
FETCH3 = os.path.join(ROOT, "tests", "guests", "fetch3.wasm")


@contextlib.contextmanager
def peer(talk):
    """A TCP server that talks with each client on a thread; yields its port."""

    def one(c):
        with c, contextlib.suppress(OSError):
            talk(c)

    def accept():
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=one, args=(s.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as s:
        threading.Thread(target=accept, daemon=True).start()
        yield s.getsockname()[1]
        s.shutdown(socket.SHUT_RDWR)


# ---- upstreams that speak TLS ----------------------------------------------------------------------------------------


def test_fresh_tls_handshake_has_an_end():
    """HelloRequests are to be ignored in a handshake (RFC 5246 §7.4.1.1), and yet not for ever: the loop was held by them."""

    def talk(c):
        c.recv(65536)
        while True:
            c.sendall((b"\x16\x03\x03\x40\x00" + bytes(1 << 14)) * 64)

    for wasm in (FETCH, FETCH3):
        with peer(talk) as port, serving(wasm, "--allow-http", "127.0.0.1", "--workers", "1") as s:
            with attacked(s, "/nothing"):
                has(curl(f"{s.url}/https?127.0.0.1:{port}").text, "failed")
            eq(s.wait_event("outgoing-request-failed")["error"], "TLS-protocol-error")


def hello_offers(hello):
    """Of a ClientHello record: cipher suites, groups."""
    at = 5 + 4 + 2 + 32
    at += 1 + hello[at]
    n = struct.unpack_from(">H", hello, at)[0]
    suites = struct.unpack_from(f">{n // 2}H", hello, at + 2)
    at += 2 + n
    at += 1 + hello[at] + 2
    while at < len(hello):
        kind, n = struct.unpack_from(">HH", hello, at)
        if kind == 10:
            return suites, struct.unpack_from(f">{n // 2 - 1}H", hello, at + 6)
        at += 4 + n


def test_fresh_tls_offers_no_finite_fields():
    """Whoever picks the field picks how long the worker computes in it: a second, for 10,000 bits."""
    heard = []

    def talk(c):
        heard.append(c.recv(65536))

    with peer(talk) as port, serving(FETCH, "--allow-http", "127.0.0.1", "--workers", "1") as s:
        has(curl(f"{s.url}/https?127.0.0.1:{port}").text, "failed")
    suites, groups = hello_offers(heard[0])
    check(0x1301 in suites and 0xC02F in suites and 29 in groups, suites, groups)
    eq([hex(x) for x in suites if 0x0010 < x < 0x0017 or 0x0030 < x < 0x0035 or x in (0x39, 0x67, 0x6B, 0x9E, 0x9F, 0xCCAA)], [])
    eq([g for g in groups if 256 <= g < 512], [])


# ---- the operator's files and flags --------------------------------------------------------------------------------


def test_fresh_key_that_is_no_file():
    """Nobody waits for a FIFO in the state folder."""
    state = os.path.join(WORK, "fifo-state")
    os.mkdir(state)
    os.mkfifo(os.path.join(state, "node.key"), 0o600)
    status, _, said = orlo("compile", guest("cgi"), "-o", os.path.join(WORK, "x.orlo"), env={"ORLO_STATE": state})
    has(said, "node.key is no node key: it is no regular file")
    check(status, said)


def test_fresh_output_is_a_file():
    """An image replaces a file, and nothing else: as root it replaced /dev/null."""
    fifo = os.path.join(WORK, "fifo-out")
    os.mkfifo(fifo)
    status, _, said = orlo("compile", guest("cgi"), "-o", fifo)
    has(said, "is no file that an image could replace")
    check(status and os.path.exists(fifo) and not os.path.isfile(fifo), said)
    target = file_of("old.orlo", b"old")
    eq(orlo("compile", guest("cgi"), "-o", target)[0], 0)
    check(os.path.getsize(target) > 100)


def test_fresh_every_address_is_served():
    """As many as are taken; one more was listened on, and nobody accepted."""
    flags = ["--listen", "127.0.0.1:0"] * 15
    with serving(guest("cgi"), *flags, "--workers", "1") as s:
        urls = [s.url] + s.events("serving")[0]["also"].split()
        eq(len(urls), 16)
        for url in urls:
            eq(curl(url).status, 200)
    status, _, said = orlo("serve", guest("cgi"), *flags, *["--listen", "127.0.0.1:0"] * 2)
    has(said, "at most 16 addresses (--listen), not 17")
    eq(status, 64)


# ---- clients that send without end -----------------------------------------------------------------------------------


def pour(port, path, answered):
    """Sends chunks of a byte each for as long as they are taken; what is answered meanwhile goes to the list."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as c:
        c.sendall(b"POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" % path)

        def listen():
            with contextlib.suppress(OSError):
                answered.append(c.recv(65536))

        t = threading.Thread(target=listen, daemon=True)
        t.start()
        until = time.monotonic() + 60
        with contextlib.suppress(OSError):
            while not answered and time.monotonic() < until:
                c.sendall(b"1\r\na\r\n" * 100000)
        t.join(5)  # short: nothing is concluded from it


def test_fresh_bodies_are_dropped_in_pieces():
    """A body that nobody reads is read to its trailers, in turns: who sends faster than it is dropped held the loop, and no deadline passed."""
    flags = ["--workers", "1", "--timeout", "3s", "--max-body", "1024G"]  # the time alone ends it, however fast it is poured
    with serving(os.path.join(ROOT, "tests", "guests", "http3.wasm"), *flags) as s:
        answered = []
        with attacked(s, "/x"):
            pour(s.port, b"/half", answered)
        check(answered and answered[0].startswith(b"HTTP/1.1 504 "), answered[:1])


# ---- one request's leavings and the next request -----------------------------------------------------------------------


def test_fresh_dropped_requests_are_nobody_elses():
    """What a guest left under way was taken from the count of who got its place in the same turn, who then could send nothing."""

    def talk(c):
        if b"POST " not in c.recv(65536):
            c.sendall(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        else:
            c.recv(1)  # until it is given up

    flags = ["--workers", "1", "--max-instances", "1", "--allow-http", "127.0.0.1"]
    with peer(talk) as port, serving(os.path.join(ROOT, "tests", "guests", "httpops.wasm"), *flags) as s:
        for _ in range(4):
            with socket.create_connection(("127.0.0.1", s.port), timeout=PATIENCE_S) as c:
                c.sendall(b"POST /m2+Q+f+i+s<s?127.0.0.1:%d HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\na" % port)
                s.wait_taken(c)
                in_vain(0.2, "an end of what is running, with its request under way")
                said = []
                other = threading.Thread(target=lambda: said.append(curl(f"{s.url}/+Q+f~f+r?127.0.0.1:{port}").text))
                other.start()
                in_vain(0.2, "an instance for the other one, who waits for it")
                c.sendall(b"b")
                while c.recv(65536):
                    pass
                other.join(PATIENCE_S)
            has(said[0], "+r204")


def test_fresh_a_burst_is_answered():
    """Who was accepted in one go with many others, and had said all of a head by then, made room for them without a word."""
    with serving(guest("cgi"), "--workers", "1", "--max-connections", "4") as s:
        (worker,) = s.workers()
        with processes.stopped(worker):
            crowd = [socket.create_connection(("127.0.0.1", s.port), timeout=PATIENCE_S) for _ in range(40)]
            for c in crowd:
                c.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        said = []
        for c in crowd:
            with c:
                try:
                    said.append(c.recv(65536)[:12])
                except OSError as e:
                    said.append(repr(e))
        eq({x for x in said} - {b"HTTP/1.1 200", b"HTTP/1.1 503"}, set())
        check(said.count(b"HTTP/1.1 200") >= 4, said)


def test_fresh_reload_keeps_its_word():
    """A response whose head had left before the reload says nothing of a close: the next request on its connection is answered."""
    with serving(os.path.join(ROOT, "tests", "guests", "http3.wasm"), "--workers", "1") as s:
        with socket.create_connection(("127.0.0.1", s.port), timeout=PATIENCE_S) as c:
            c.sendall(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nabc")
            got = b""
            while b"abc" not in got:
                got += c.recv(65536)
            (old,) = s.workers()
            s.proc.send_signal(signal.SIGHUP)
            s.wait_event("reloaded")
            fresh = curl(s.url + "/x").status  # by the successor
            c.sendall(b"def")
            while not got.endswith(b"0\r\n\r\n"):
                piece = c.recv(65536)
                check(piece, got)
                got += piece
            check(b"onnection: close" not in got, got)
            in_vain(0.2, "a close")
            c.sendall(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n")
            has(c.recv(65536), b"HTTP/1.1 %d " % fresh)
