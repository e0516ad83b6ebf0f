"""HTTP/2 without TLS, by who knows that it is spoken here: requests of many at once, bodies both ways, other cordons' apps, a node that is reloaded."""
import re, struct

import http2
from harness import *
from nodes import *
from browser import browser
from contain_test import configured, reload
from tls_test import certificate, conf_of, tls_node

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


def test_http2_slow_readers():
    """Many responses (an app has 2,000 under way at most) that nobody takes hold what the client's windows have room for, and no more; one that is taken goes on beside them."""
    folder = os.path.join(WORK, "slow-readers")
    os.makedirs(os.path.join(folder, "public"))
    for name, text in (("orlo.toml", b'name = "site"\n[[files]]\nroute = "/"\nfolder = "public"\n'), ("public/large.bin", os.urandom(1 << 20))):
        with open(os.path.join(folder, name), "wb") as f:
            f.write(text)
    with node("--workers", "1") as n, contextlib.ExitStack() as all_of_them:
        orlo("deploy", folder, "--state", n.state)
        memory = lambda: sum(int(re.search(r"^Private_Dirty:\s+(\d+)", processes.read(w, "smaps_rollup"), re.M)[1]) for w in n.workers())
        with http2.Client(n.port) as first:
            got = first.get("/large.bin", authority="site.localhost")
            eq((got.status, len(got.body), got.body[:200] if got.status != 200 else b""), (200, 1 << 20, b""))
        before = memory()
        for windows in (((4, 65535),), ((4, 0x7fffffff),)):  # as they are at first: the connection's is full at once; and for ever
            slow = [all_of_them.enter_context(http2.Client(n.port, settings=((1, 0), *windows), window=0)) for _ in range(9)]
            for c in slow:
                for _ in range(100):
                    c.ask("/large.bin", authority="site.localhost")
            for c in slow:
                c.wait(lambda: sum(bool(a.statuses) for a in c.answers.values()) == 100)
        with http2.Client(n.port) as last:
            eq(len(last.get("/large.bin", authority="site.localhost").body), 1 << 20)
        grown = memory() - before
        check(SANITIZED or grown < 40 << 10, f"{grown} KiB of 1,800 responses")  # a window of each stream's would be 115 MB


def test_http2_priorities():
    """RFC 9218: what is more urgent has the window, by the request, by PRIORITY_UPDATE, by the response."""
    folder = os.path.join(WORK, "priorities")
    os.makedirs(os.path.join(folder, "public"))
    manifest = b'name = "site"\n[[files]]\nroute = "/"\nfolder = "public"\n[[headers]]\nmatch = "/late.bin"\nset = { priority = "u=6" }\n'
    for name, text in (("orlo.toml", manifest), ("public/late.bin", os.urandom(1 << 20)), ("public/soon.bin", os.urandom(1 << 20))):
        with open(os.path.join(folder, name), "wb") as f:
            f.write(text)
    with node("--workers", "1") as n:
        orlo("deploy", folder, "--state", n.state)
        n.deploy("a", SERVICE, "--instance-concurrency", "8")
        for said, later in ((("u=5", "u=1"), None), (("u=1", "u=1"), b"u=6"), ((None, "u=2, i"), None), (None, None)):
            with http2.Client(n.port, settings=((1, 0), (4, 8 << 20)), window=0) as c:
                if said:
                    late, soon = (c.ask("/big", authority="a.localhost", more=[("priority", p)] if p else []) for p in said)
                else:
                    late, soon = (c.ask(path, authority="site.localhost") for path in ("/late.bin", "/soon.bin"))
                came = lambda s: len(c.answers[s].body) if s in c.answers else 0
                c.wait(lambda: came(late) + came(soon) == 65535 and all(s in c.answers and c.answers[s].statuses for s in (late, soon)))
                if later:
                    c.send(http2.frame(0x10, 0, 0, struct.pack(">I", late) + later))
                was = came(soon)
                for i in range(1, 21):
                    c.send(http2.frame(http2.WINDOW_UPDATE, 0, 0, struct.pack(">I", 40_000)))
                    c.wait(lambda: came(late) + came(soon) == 65535 + i * 40_000)
                check(came(soon) - was > 600_000, said, later, came(soon) - was)  # of 800,000: what another has ready while its maker makes more goes


def test_http2_drain():
    """A server that goes says so twice: what was on its way when it began to say so is answered."""
    path, running = configured("workers = 1\n")
    with running as n, http2.Client(n.port, pongs=False) as c:
        n.deploy("a", SERVICE, "--instance-concurrency", "4")
        eq(c.get("/count", authority="a.localhost").status, 200)
        slow = c.ask("/slow", b"x" * 100_000, authority="a.localhost")
        c.wait(lambda: c.answers.get(slow) and c.answers[slow].statuses)
        for worker in n.workers():
            processes.kill(worker, signal.SIGTERM)
        c.wait(lambda: c.goaways)
        eq(c.goaways[0], 0x7fffffff)
        more = c.ask("/count", authority="a.localhost")
        c.wait(lambda: len(c.goaways) > 1 or c.closed)
        last = c.goaways[-1]
        eq((c.answer(slow).status, len(c.answer(slow).body)), (200, 100_000))
        if more <= last:  # it came before the second
            eq(c.answer(more).status, 200)
        c.wait(lambda: c.closed)
        eq((c.goaway, last in (slow, more)), (http2.NO_ERROR, True))


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


def test_http2_others():
    """Over TLS, by those whom others wrote: Chromium for a page and what is on it; h2spec, all of it, where that is on PATH."""
    with tempfile.TemporaryDirectory(dir=WORK) as d, tls_node(conf_of(d, certificate(d, "first", "localhost", "*.localhost"))) as n:
        page = b"<!doctype html><title>slow</title>" + b"".join(b"<script src=/%d.js></script>" % i for i in range(20)) + b"<script>document.title = window.n</script>"
        files = {"public/index.html": page, **{f"public/{i}.js": b"window.n = (window.n || 0) + 1; //" + b"x" * 50_000 for i in range(20)}}
        os.makedirs(os.path.join(d, "site", "public"))
        for name, text in (("orlo.toml", b'name = "site"\n[[files]]\nroute = "/"\nfolder = "public"\n'), *files.items()):
            with open(os.path.join(d, "site", name), "wb") as f:
                f.write(text)
        code, out, err = orlo("deploy", os.path.join(d, "site"), "--state", n.state)
        eq((code, err if code else ""), (0, ""))
        n.deploy("a", SERVICE, "--host", "*")
        if spec := shutil.which("h2spec"):
            p = subprocess.run([spec, "-t", "-k", "-h", "127.0.0.1", "-p", str(n.port)], capture_output=True, text=True, timeout=PATIENCE_S)
            has(p.stdout, "146 tests, 146 passed")
        with browser() as b:
            page = b.page("about:blank")
            page.send("Security.setIgnoreCertificateErrors", ignore=True)
            page.go(f"https://site.localhost:{n.port}/")
            page.wait("document.title == '20'")
            eq(page.run("[...new Set([...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource').filter(e => e.name.endsWith('.js'))].map(e => e.nextHopProtocol))].join()"), "h2")
