"""HTTP/2 without TLS, by who knows that it is spoken here: requests of many at once, bodies both ways, other cordons' apps, a node that is reloaded."""
import http2
from harness import *
from nodes import *
from contain_test import configured, reload

SERVICE = os.path.join(ROOT, "tests", "guests", "http3.wasm")


def over_h2(n, app, path="/", *args, **named):
    return curl(f"http://127.0.0.1:{n.port}{path}", "--http2-prior-knowledge", "-H", f"Host: {app}.localhost", *args, **named)


def test_http2():
    with node("--workers", "1") as n:
        n.deploy("a", SERVICE, "--instance-concurrency", "8", "--max-body", "2MiB")
        n.deploy("t", guest("tenant"), "--env", "APP=t")
        a = over_h2(n, "a", "/echo", data=b"x" * 1_000_000)
        eq((a.status, len(a.body), a.head.split()[0]), (200, 1_000_000, "HTTP/2"))
        eq((over_h2(n, "t").text, over_h2(n, "nobody").status), ("t\n", 404))
        eq((over_h2(n, "t", "/", "-I").status, over_h2(n, "t", "/", "-I").body[:0]), (200, b""))
        eq(over_h2(n, "a", "/echo", "-H", "Expect: 100-continue", data=b"y" * 4000).text, "y" * 4000)
        h = n.wait_event("request", app="t")
        eq((h["status"], h["client"]), (200, "127.0.0.1"))
        # Many at once on one connection, each with a body of its own, in an order of their own.
        with http2.Client(n.port) as c:
            asked = {c.ask("/slow", bytes([65 + i]) * 40_000, authority="a.localhost"): bytes([65 + i]) * 40_000 for i in range(20)}
            for stream, body in asked.items():
                got = c.answer(stream)
                eq((got.status, got.body == body, got.reset), (200, True, None))
            eq(c.get("/", authority="t.localhost").body, b"t\n")
            for body, more in ((b"x" * (3 << 20), [("content-length", str(3 << 20))]), (b"x" * (3 << 20), [])):  # larger than it may be: what is left of it is not waited for
                got = c.get("/echo", body, more=more, authority="a.localhost")
                check(got.status == 413 or not more, got.status, got.reset)  # who does not say how much has perhaps been answered by then
            # A head of many frames, cookies in crumbs, a body whose end comes late, trailers.
            s, c.next = c.next, c.next + 2
            block = http2.fields("/echo", "POST", "a.localhost", [("cookie", "a=1"), ("cookie", "b=2"), ("x-long", "v" * 20000), ("content-length", "6")])
            c.send(http2.frame(http2.HEADERS, 0, s, block[:10]) + b"".join(http2.frame(http2.CONTINUATION, 0, s, block[i:i + 9000]) for i in range(10, len(block), 9000)) + http2.frame(http2.CONTINUATION, http2.END_HEADERS, s))
            c.send(http2.frame(http2.DATA, 0, s, b"abc"))
            c.send(http2.frame(http2.DATA, 0, s, b"def") + http2.frame(http2.HEADERS, http2.END_HEADERS | http2.END_STREAM, s, http2.literal("x-last", "1")))
            got = c.answer(s)
            eq((got.status, got.body), (200, b"abcdef"))
            eq(c.get("/", authority="t.localhost").status, 200)
        eq(n.events("worker-died"), [])


def test_http2_wrong():
    """What is no request is answered so, or reset, and what is beside it goes on."""
    with serving(SERVICE, "--workers", "1", "--instance-concurrency", "8") as s, http2.Client(s.port) as c:
        for more, want in (([("host", "other")], 400), ([("content-length", "x")], None), ([("connection", "close")], None), ([("Upper", "1")], None), ([("te", "gzip")], None),
                           ([("x", "a\nb")], None), ([("x", "v" * 40_000), ("y", "v" * 40_000)], 431), ([(f"x-{i}", "1") for i in range(200)], 431)):
            block, stream = http2.fields("/count", more=more), c.next
            c.next += 2
            parts = [block[i:i + 16000] for i in range(0, len(block), 16000)]
            for i, part in enumerate(parts):
                c.send(http2.frame(http2.CONTINUATION if i else http2.HEADERS, (http2.END_HEADERS if part is parts[-1] else 0) | (http2.END_STREAM if not i else 0), stream, part))
            got = c.answer(stream)
            eq((more[0][0], got.status if want else got.reset), (more[0][0], want or http2.PROTOCOL_ERROR))
        for method, path, authority, want in (("CONNECT", "/", "a", http2.PROTOCOL_ERROR), ("GET", "x", "a", http2.PROTOCOL_ERROR), ("GET", "/a b", "a", None), ("GET", "/", "u@a", None), ("GET", "/" + "p" * 20_000, "a", None)):
            stream, c.next = c.next, c.next + 2
            block = http2.fields(path, method, authority)
            c.send(http2.frame(http2.HEADERS, http2.END_STREAM, stream, block[:15000]) + http2.frame(http2.CONTINUATION, http2.END_HEADERS, stream, block[15000:]))
            got = c.answer(stream)
            check(got.reset == http2.PROTOCOL_ERROR or got.status in (400, 414, 501), path[:9], got.status, got.reset)
        eq(c.get("/count").status, 200)
        eq(s.events("guest-failed"), [])


def test_http2_cordons():
    """A stream goes to the workers that answer for its app, and its connection stays where it is."""
    path, running = configured('workers = 1\n[cordons.blue]\napps = ["b"]\nworkers = 2\n')
    with running as n:
        n.deploy("a", SERVICE, "--instance-concurrency", "8")
        n.deploy("b", SERVICE, "--instance-concurrency", "8")
        with http2.Client(n.port) as c:
            asked = [(app, i, c.ask("/echo", f"{app}{i}".encode() * 20_000, authority=f"{app}.localhost")) for i in range(12) for app in "ab"]
            for app, i, stream in asked:
                got = c.answer(stream)
                eq((app, i, got.status, got.body == f"{app}{i}".encode() * 20_000), (app, i, 200, True))
            eq(c.get("/", authority="nobody.localhost").status, 404)
        eq({e["client"] for e in n.events("request", app="b")}, {"127.0.0.1"})
        eq(over_h2(n, "b", "/trailers").status, 200)
        n.proc.send_signal(signal.SIGHUP)
        n.wait_event("reloaded")
        eq(over_h2(n, "b", "/count").status, 200)


def test_http2_reload():
    """Workers that change end what they were asked, and say which was the last that they take."""
    path, running = configured("workers = 1\n")
    with running as n, http2.Client(n.port) as c:
        n.deploy("a", SERVICE, "--instance-concurrency", "4")
        eq(c.get("/count", authority="a.localhost").status, 200)
        slow = c.ask("/slow", b"x" * 300_000, authority="a.localhost")
        c.wait(lambda: c.answers.get(slow) and c.answers[slow].statuses)
        for worker in n.workers():
            processes.kill(worker, signal.SIGTERM)
        got = c.answer(slow)
        eq((got.status, len(got.body)), (200, 300_000))
        c.wait(lambda: c.closed)
        eq(c.goaway, http2.NO_ERROR)
        until(lambda: over_h2(n, "a", "/count").status == 200)
