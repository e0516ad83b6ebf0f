"""HTTP/2 by clients that mean harm: what costs them little and a server much (RFC 9113 §10.5, and what was made of it since)."""
import random, struct

import http2
from harness import *

SERVICE = os.path.join(ROOT, "tests", "guests", "http3.wasm")


@contextlib.contextmanager
def victim(*flags, path="/count", **more):
    with serving(SERVICE, "--workers", "1", "--instance-concurrency", "8", *flags) as s, attacked(s, path, **more):
        yield s


def until_thrown_out(s, make, least=1):
    """MAKE(client, i) sends a lot, again and again, until the server has had enough."""
    for _ in range(least):
        with http2.Client(s.port) as c:
            i = 0
            while not c.closed and c.goaway is None:
                check(make(c, i) or c.closed or True)
                i += 1
                check(i < 200_000, "it lets that go on for ever")
            c.wait(lambda: c.closed)
            eq(c.goaway in (None, http2.ENHANCE_YOUR_CALM, http2.PROTOCOL_ERROR, http2.FLOW_CONTROL_ERROR, http2.COMPRESSION_ERROR, http2.INTERNAL_ERROR, http2.STREAM_CLOSED, http2.FRAME_SIZE_ERROR), True)


def test_http2_floods():
    """Frames that move nothing, in any number: the connection ends, and others are answered meanwhile."""
    many = lambda f: f * 50
    with victim() as s:
        for name, make in (("ping", lambda c, i: c.send(many(http2.frame(http2.PING, 0, 0, b"12345678")))),
                           ("settings", lambda c, i: c.send(many(http2.frame(http2.SETTINGS)))),
                           ("settings of many", lambda c, i: c.send(many(http2.frame(http2.SETTINGS, 0, 0, struct.pack(">HI", 4, 65535) * 30)))),
                           ("empty data", lambda c, i: c.send(http2.frame(http2.HEADERS, http2.END_HEADERS, 1, http2.fields("/echo", "POST")) if not i else many(http2.frame(http2.DATA, 0, 1)))),
                           ("priority", lambda c, i: c.send(many(http2.frame(http2.PRIORITY, 0, 2 * i + 1, struct.pack(">IB", 0, 1))))),
                           ("window", lambda c, i: c.send(many(http2.frame(http2.WINDOW_UPDATE, 0, 0, struct.pack(">I", 1))))),
                           ("window too large", lambda c, i: c.send(http2.frame(http2.WINDOW_UPDATE, 0, 0, struct.pack(">I", 0x7fffffff)))),
                           ("unknown", lambda c, i: c.send(many(http2.frame(0x42, 0xff, 0, b"x")))),
                           ("ping by a slow reader", lambda c, i: c.send(many(http2.frame(http2.PING, 0, 0, b"12345678"))))):
            until_thrown_out(s, make)


def test_http2_rapid_reset():
    """CVE-2023-44487: requests that are taken back at once. Those that run count as open until they are over, and resets have their price."""
    with victim(timeout_s=120) as s:
        def make(c, i):
            head = http2.frame(http2.HEADERS, http2.END_HEADERS | http2.END_STREAM, c.next, http2.fields("/sleep"))
            ok = c.send(head + http2.frame(http2.RST_STREAM, 0, c.next, struct.pack(">I", http2.CANCEL)))
            c.next += 2
            return ok
        until_thrown_out(s, make, least=3)

        def made_to(c, i):  # CVE-2025-8671: the server is made to reset
            head = http2.frame(http2.HEADERS, http2.END_HEADERS, c.next, http2.fields("/sleep", "POST"))
            ok = c.send(head + http2.frame(http2.WINDOW_UPDATE, 0, c.next, struct.pack(">I", 0)))
            c.next += 2
            return ok
        until_thrown_out(s, made_to, least=3)


def test_http2_made_to_reset():
    """CVE-2025-8671: requests that go on at the guest, whose streams the server is made to reset, each way that there is to do so."""
    ask = lambda c, ends=True: http2.frame(http2.HEADERS, http2.END_HEADERS | (http2.END_STREAM if ends else 0), c.next, http2.fields("/sleep", "POST"))
    number = lambda n: struct.pack(">I", n)
    with victim(timeout_s=120) as s:
        for name, frames in (("a window that grows by nothing", lambda c: ask(c, False) + http2.frame(http2.WINDOW_UPDATE, 0, c.next, number(0))),
                             ("a window beyond 2^31", lambda c: ask(c) + http2.frame(http2.WINDOW_UPDATE, 0, c.next, number(0x7fffffff))),
                             ("a priority of another length", lambda c: ask(c) + http2.frame(http2.PRIORITY, 0, c.next, b"1234")),
                             ("a priority upon itself", lambda c: ask(c) + http2.frame(http2.PRIORITY, 0, c.next, number(c.next) + b"x")),
                             ("data behind the end", lambda c: ask(c) + http2.frame(http2.DATA, 0, c.next, b"x")),
                             ("a head behind the end", lambda c: ask(c) + ask(c)),
                             ("a body of another length", lambda c: http2.frame(http2.HEADERS, http2.END_HEADERS, c.next, http2.fields("/sleep", "POST", more=[("content-length", "5")]))
                              + http2.frame(http2.DATA, http2.END_STREAM, c.next, b"x")),
                             ("a malformed head", lambda c: http2.frame(http2.HEADERS, http2.END_HEADERS | http2.END_STREAM, c.next, http2.fields(more=[("connection", "x")])))):
            def make(c, i):
                ok = c.send(frames(c))
                c.next += 2
                return ok
            until_thrown_out(s, make)


def test_http2_small_change():
    """CVE-2019-9511, 9513, 9516 and RFC 9218's own: windows of a byte, priorities that change, names of no bytes."""
    many = lambda f: f * 50
    with victim() as s:
        for name, make in (("priorities of streams that are not", lambda c, i: c.send(b"".join(http2.frame(0x10, 0, 0, struct.pack(">I", 2 * k + 1) + b"u=%d" % (k % 8)) for k in range(i * 50, i * 50 + 50)))),
                           ("priorities of one that is", lambda c, i: c.send(http2.frame(http2.HEADERS, http2.END_HEADERS | http2.END_STREAM, 1, http2.fields("/sleep")) if not i else many(http2.frame(0x10, 0, 0, struct.pack(">I", 1) + b"u=1, i")))),
                           ("fields without a name", lambda c, i: (c.send(http2.frame(http2.HEADERS, http2.END_HEADERS | http2.END_STREAM, 2 * i + 1, http2.fields() + http2.literal("", "") * 50))))):
            until_thrown_out(s, make)
        with http2.Client(s.port, settings=((1, 0), (4, 1)), window=0) as c:  # a byte of the answer at a time: as much work as a request, and no more
            stream = c.ask("/big")
            for i in range(3000):
                c.send(http2.frame(http2.WINDOW_UPDATE, 0, stream, struct.pack(">I", 1)))
            c.wait(lambda: c.closed or len(c.answers.get(stream, http2.Answer()).body) == 3001)


def test_http2_unread():
    """CVE-2019-9517: windows as large as they may be, and a connection that is not read: what waits of it is bounded."""
    with victim("--timeout", "20s", grows_kib=32 << 10, timeout_s=120) as s, contextlib.ExitStack() as all_of_them:
        for _ in range(10):
            c = all_of_them.enter_context(socket.create_connection(("127.0.0.1", s.port), PATIENCE_S))
            c.sendall(http2.PREFACE + http2.frame(http2.SETTINGS, 0, 0, struct.pack(">HI", 4, 0x7fffffff)) + http2.frame(http2.WINDOW_UPDATE, 0, 0, struct.pack(">I", 0x7fff0000))
                      + b"".join(http2.frame(http2.HEADERS, http2.END_HEADERS | http2.END_STREAM, 2 * i + 1, http2.fields("/big")) for i in range(30)))
        with http2.Client(s.port) as c:
            until(lambda: c.get("/count").status == 200)


def test_http2_heads():
    """Heads without end, of many frames or of few bytes: CVE-2024-24549 and its kin, HPACK's own table as a lever."""
    with victim() as s:
        def without_end(c, i):
            return c.send(http2.frame(http2.HEADERS, http2.END_STREAM, 1, http2.fields()) if not i else http2.frame(http2.CONTINUATION, 0, 1, http2.literal(f"x-{i}", "v" * 100) * 50))
        until_thrown_out(s, without_end)
        until_thrown_out(s, lambda c, i: c.send(http2.frame(http2.HEADERS, http2.END_STREAM, 1, http2.fields()) if not i else http2.frame(http2.CONTINUATION, 0, 1) * 50))
        with http2.Client(s.port) as c:  # one large entry of the table, and 16,000 times its number
            bomb = b"\x40" + http2.literal("x", "v" * 4000)[1:] + b"\xbe" * 12_000
            block = http2.fields() + bomb
            c.send(http2.frame(http2.HEADERS, http2.END_STREAM, 1, block[:16000]) + http2.frame(http2.CONTINUATION, http2.END_HEADERS, 1, block[16000:]))
            got = c.answer(1)
            check(got.status == 431 or got.reset is not None or c.closed, got.status, got.reset)
        for garbage in (b"\xff" * 200, b"\x3f\xff\xff\xff\xff\xff\xff", b"\x00\x7f\xff\xff\xff\xff\xff\xffaa", b"\x80", b"\xc8"):
            with http2.Client(s.port) as c:
                c.send(http2.frame(http2.HEADERS, http2.END_STREAM | http2.END_HEADERS, 1, garbage))
                c.wait(lambda: c.closed)
                eq(c.goaway, http2.COMPRESSION_ERROR)


def test_http2_takes_nothing():
    """Many large answers asked for and none taken: each waits for so long, holds a queue, and goes; the same of bodies that nobody reads."""
    with victim("--timeout", "3s", grows_kib=24 << 10, timeout_s=120) as s:
        with contextlib.ExitStack() as all_of_them:
            clients = [all_of_them.enter_context(http2.Client(s.port, settings=((1, 0), (4, 0)), window=0)) for _ in range(4)]
            for c in clients:
                for _ in range(100):
                    c.ask("/big")
            for c in clients:
                c.wait(lambda: c.closed or sum(a.reset is not None or a.ended for n, a in c.answers.items() if n) >= 100)
            uploads = all_of_them.enter_context(http2.Client(s.port))
            for _ in range(30):
                stream = uploads.ask("/sleep", ends=False)
                uploads.send(http2.frame(http2.DATA, 0, stream, b"x" * 16384))
            uploads.wait(lambda: uploads.closed or all(a.ended or a.reset is not None for n, a in uploads.answers.items() if n))


def test_http2_half_said():
    """Frames that do not end, and what is none of HTTP/2: each connection has its time, and no more."""
    seed = random.Random(1)
    with victim("--header-timeout", "1s", "--idle-timeout", "1s", timeout_s=120) as s:
        halves = [http2.PREFACE[:10], http2.PREFACE, http2.PREFACE + http2.frame(http2.SETTINGS)[:5], http2.PREFACE + http2.frame(http2.SETTINGS) + http2.frame(http2.HEADERS, 0, 1, http2.fields()),
                  http2.PREFACE + http2.frame(http2.SETTINGS) + http2.frame(http2.HEADERS, 4, 1, http2.fields())[:20]]
        with contextlib.ExitStack() as all_of_them:
            slow = [all_of_them.enter_context(http2.Client(s.port, starts=False)) for h in halves for _ in range(20)]
            for c, h in zip(slow, halves * 20):
                c.send(h)
            for c in slow:
                c.wait(lambda: c.closed)
        for _ in range(200):  # noise behind a good beginning
            with http2.Client(s.port) as c:
                for _ in range(seed.randrange(1, 20)):
                    n = seed.choice((0, 1, 4, 5, 8, 9, 30, 200))
                    c.send(http2.frame(seed.randrange(11), seed.choice((0, 1, 4, 5, 8, 32, 255)), seed.choice((0, 1, 1, 2, 3, 5, 7, 2**31 - 1)), seed.randbytes(n) if seed.random() < 0.6 else http2.fields()[:n]))
                    if seed.random() < 0.3:
                        c.ask("/count")
