"""What an app's manifest says of requests before anybody answers them: redirects, header fields, methods, bodies, rates, and what static folders keep from whom;
by HTTP/1.1 and by HTTP/2 alike, and never of another app."""
import concurrent.futures
import http2, websocket

from harness import *
from nodes import *

H2 = "--http2-prior-knowledge"
PAGES = {"p/index.html": b"<h1>home", "p/about.html": b"<h1>about", "p/404.html": b"<h1>none", "p/app.3f9a1c.js": b"let a", "p/img/x.png": b"png", "p/.env": b"SECRET=1",
         "p/.well-known/x": b"known"}
SAFE = {"x-content-type-options": "nosniff", "referrer-policy": "strict-origin-when-cross-origin", "x-frame-options": "SAMEORIGIN"}


def put(n, app, manifest, files={}):
    d = deploy_manifest(n.state, app, manifest, files)
    check(d.get("state") == "done", d, n.log()[-2000:])
    return d


def program(routes='["/"]'):
    return f'[functions.f]\nsource = "a.wasm"\nroutes = {routes}\n'


def cgi():
    return {"a.wasm": open(guest("cgi"), "rb").read()}


def test_static_says():
    """What a folder says by itself, and what the app's own rules make of it."""
    manifest = '[[files]]\nfolder = "p"\nclean_urls = true\ncache = [{ match = "img/*", value = "max-age=60" }]\n'
    rules = '[[headers]]\nset = { x-frame-options = "DENY", x-one = "1" }\nremove = ["referrer-policy"]\n'
    rules += '[[headers]]\nmatch = "/img/*"\nset = { Cache-Control = "max-age=7" }\nappend = { link = "</a>", Link = "</b>" }\n'
    with node("--workers", "1") as n:
        put(n, "site", manifest, PAGES)
        put(n, "ruled", manifest + rules, PAGES)
        for how in ((), (H2,)):
            r = n.get("site", "/", *how)
            eq((r.status, {k: r.fields.get(k) for k in SAFE}), (200, SAFE))
            has(r.fields["cache-control"], "must-revalidate")
            eq(n.get("site", "/app.3f9a1c.js", *how).fields["cache-control"], "public, max-age=31536000, immutable")
            eq(n.get("site", "/img/x.png", *how).fields["cache-control"], "max-age=60")
            r = n.get("site", "/nothing", *how)
            eq((r.status, r.body, r.fields["cache-control"], "etag" in r.fields), (404, b"<h1>none", "no-cache", False))
            for path in ("/.env", "/%2eenv", "/img/../.env"):
                check(b"SECRET" not in n.get("site", path, "--path-as-is", *how).body, path)
            eq(n.get("site", "/.well-known/x", *how).body, b"known")
            eq((n.get("site", "/about", *how).body, n.get("site", "/about.html?a=b", *how).fields["location"]), (b"<h1>about", "./about?a=b"))
            eq((n.get("site", "/about/?x", *how).fields["location"], n.get("site", "/index.html", *how).fields["location"]), ("../about?x", "./"))
            r = n.get("ruled", "/img/x.png", *how)
            eq((r.fields["cache-control"], r.fields["x-frame-options"], r.fields["x-one"], r.head.lower().count("\nlink: ")), ("max-age=7", "DENY", "1", 2))
            check("referrer-policy" not in r.fields and r.head.lower().count("cache-control") == 1, r.head)
            r = n.get("ruled", "/img/gone.png", *how)  # what is not there is not kept as what is
            eq((r.status, r.fields["cache-control"], r.fields["x-one"]), (404, "no-cache", "1"))
        eq({k: curl(n.url, "-H", "Host: nobody.example").fields.get(k) for k in SAFE}, SAFE)  # the node's own page


def test_redirects():
    manifest = 'hosts = ["www.shop.example", "shop.example"]\n' + program()
    for one in ('host = "www.shop.example"\nto = "https://shop.example"\nstatus = 301', 'from = "/item"\nquery = { id = ":id", old = "" }\nto = "/items/:id"',
                'from = "/search"\nquery = { kind = "all" }\nto = "/all"', 'from = "/blog/:slug"\nto = "/posts/:slug"', 'from = "/old/*"\nto = "/new/:splat?from=old"',
                'from = "/loose/*"\nto = "/:splat"', 'from = "/kept"\nto = "/else"', 'host = "shop.example"\nfrom = "/only"\nto = "/there"'):
        manifest += f"[[redirects]]\n{one}\n"
    table = [("www.shop.example", "/a/b?c=d", "https://shop.example/a/b?c=d"), ("WWW.shop.example:80", "/", "https://shop.example/"), ("shop.example", "/a", None),
             ("shop.example", "/item?x=1&old=&id=7", "/items/7"), ("shop.example", "/item?id=7", None), ("shop.example", "/search?kind=all", "/all"),
             ("shop.example", "/search?kind=all2", None), ("shop.example", "/blog/x-1?a", "/posts/x-1?a"), ("shop.example", "/old/a/b", "/new/a/b?from=old"),
             ("shop.example", "/old/a?q=1", "/new/a?from=old&q=1"), ("shop.example", "/loose//evil.example", "/evil.example"), ("shop.example", "/loose/%5C%5Cevil", "/%5C%5Cevil"),
             ("shop.example", "/kept/b", "/else/b"), ("shop.example", "/only", "/there"), ("r.localhost", "/only", None),
             ("www.shop.example", "//evil.example/x", "https://shop.example/evil.example/x")]
    with node("--workers", "1") as n:
        put(n, "r", manifest, cgi())
        put(n, "other", program(), cgi())
        for host, path, to in table:
            for how in ((), (H2,)):
                r = curl(n.url + path, "-H", "Host: " + host, "--path-as-is", *how)
                eq((host, path, r.fields.get("location")), (host, path, to))
        eq(n.get("other", "/blog/x-1").fields.get("location"), None)


def test_https():
    """Who comes without TLS is led to it; a proxy before the node that says https has nothing to be led to, and is told to stay."""
    manifest = 'hosts = ["s.example"]\nhttps = "redirect"\n[hsts]\nmax_age_s = 31536000\ninclude_subdomains = true\n' + program()
    with node("--workers", "1", "--trusted-proxy", "127.0.0.1") as n:
        put(n, "s", manifest, cgi())
        for how in ((), (H2,)):
            r = curl(n.url + "/a?b", "-H", "Host: s.example:8080", *how)
            eq((r.status, r.fields["location"], "strict-transport-security" in r.fields), (308, "https://s.example/a?b", False))
            for path, status in (("/env", 200), ("/status", 418)):
                r = curl(n.url + path, "-H", "Host: s.example", "-H", "X-Forwarded-Proto: https", *how)
                eq(r.fields.get("strict-transport-security"), "max-age=31536000; includeSubDomains")


def test_what_a_path_takes():
    manifest = program() + '[[rules]]\nmatch = "/api/*"\nmethods = ["GET", "POST"]\n[[rules]]\nmatch = "/api/small"\nbody_kb = 1\n'
    manifest += '[[cors]]\nmatch = "/api/open/*"\norigins = ["*"]\nprivate_network = true\n[[cors]]\norigins = ["https://a.example"]\nmethods = ["PUT"]\n'
    with node("--workers", "1") as n:
        put(n, "t", manifest, cgi())
        put(n, "other", program(), cgi())
        for how in ((), (H2,)):
            ask = lambda path, *more: n.get("t", path, "--path-as-is", *how, *more)
            for path in ("/api/x", "/%61pi/x", "//api/x", "/x/../api/x", "/api", "/\\api/x", "/api/../x", "/%61pi/%2e%2e/x"):  # however it is written
                r = ask(path, "-X", "DELETE")
                eq((path, r.status, r.fields.get("allow")), (path, 405, "GET, HEAD, POST"))
            eq((ask("/env", "-X", "DELETE").status, n.get("other", "/api/x", *how, "-X", "DELETE").status), (200, 200))
            eq((ask("/api/x", "-I").status, ask("/api/x", "-X", "POST").status), (200, 200))
            big = n.get("t", "/api/small", *how, data=b"x" * 1025)
            eq((big.status, big.fields.get("x-orlo-limit")), (413, "body_kb=1"))
            if not how:  # a guest that leaves the body unread
                eq((n.get("t", "/api/small", data=b"x" * 1024).status, n.get("t", "/api/large", data=b"x" * 1025).status), (200, 200))
            preflight = ("-X", "OPTIONS", "-H", "Access-Control-Request-Method: PUT", "-H", "Access-Control-Request-Private-Network: true")
            r = ask("/api/open/x", "-H", "Origin: https://b.example", *preflight)
            eq((r.status, r.fields["access-control-allow-origin"], r.fields.get("access-control-allow-private-network")), (204, "*", "true"))
            eq(ask("/api/x", "-H", "Origin: https://b.example", *preflight).status, 403)
            r = ask("/api/x", "-H", "Origin: https://a.example", *preflight)
            eq((r.status, r.fields.get("access-control-allow-private-network")), (204, None))
        with http2.Client(n.port) as c:  # a WebSocket's CONNECT is a GET to rules: a guest that answers none says so itself
            eq((websocket.Stream(c, "/api/x", "t.localhost").status, c.get("/api/x", authority="t.localhost").status), (501, 200))


def test_rates():
    """So many, whichever worker is asked: and none by another's rule."""
    manifest = program() + '[[rates]]\nname = "slow"\nmatch = "/slow/*"\nrequests = 60\nper_s = 86400\n'
    manifest += '[[rates]]\nname = "write"\nmethods = ["POST"]\nrequests = 3\nper_s = 86400\nby = "header:x-who"\n'
    manifest += '[cors]\norigins = ["https://a.example"]\n'
    with node("--workers", "4", "--trusted-proxy", "127.0.0.1") as n:
        put(n, "r", manifest, cgi())
        put(n, "other", program(), cgi())
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            ask = lambda i: n.get("r", "/slow/x" if i % 3 else "/%73low//x", *((H2,) if i % 2 else ()), "--path-as-is").status
            got = list(pool.map(ask, range(150)))
        eq((got.count(200), got.count(429)), (60, 90))
        r = n.get("r", "/slow/x", "-H", "Origin: https://a.example")
        eq((r.status, r.fields["ratelimit-policy"], r.fields["access-control-allow-origin"]), (429, '"slow";q=60;w=86400', "https://a.example"))
        check(re.fullmatch('"slow";r=0;t=[0-9]+', r.fields["ratelimit"]) and 0 < int(r.fields["retry-after"]) <= 1440, r.head)
        eq((n.get("r", "/fast").status, n.get("other", "/slow/x").status), (200, 200))
        of = lambda client, path="/slow/x": n.get("r", path, "-H", "X-Forwarded-For: " + client)
        eq(of("192.0.2.1").fields["ratelimit"].split(";")[:2], ['"slow"', "r=59"])
        eq([of(a).fields["ratelimit"].split(";")[1] for a in ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", "2001:db8:0:2::1")], ["r=59", "r=58", "r=59"])
        post = lambda path, *who: n.get("r", path, *who, data=b"x")
        eq([post("/a", "-H", "x-who: ann").status for _ in range(4)] + [post("/a", "-H", "x-who: bob").status], [200, 200, 200, 429, 200])
        eq([post("/a").status for _ in range(4)], [200, 200, 200, 429])  # who says nobody is counted by his address
        before = of("192.0.2.7").fields["ratelimit"]
        eq(n.get("r", "/slow/x", "-H", "X-Forwarded-For: 192.0.2.7", "-H", "x-who: ann", data=b"x").status, 429)
        eq((before.split(";")[1], of("192.0.2.7").fields["ratelimit"].split(";")[1]), ("r=59", "r=58"))  # who is refused by one has not used up the other
        put(n, "bare", program() + '[[rates]]\nrequests = 2\nper_s = 86400\n', cgi())  # without CORS a guest answers what looks like a preflight: it counts
        preflight = ("-X", "OPTIONS", "-H", "Origin: https://a.example", "-H", "Access-Control-Request-Method: PUT")
        eq([n.get("bare", "/x", *preflight).status for _ in range(3)], [200, 200, 429])
        eq([n.get("r", "/slow/x", *preflight).status for _ in range(2)], [204, 204])  # what the node answers counts for nothing


def test_earlier_assets():
    """Pages of a version that is live no more find their own chunks, and nothing else of it; a rollback brings all of it back."""
    manifest = '[[files]]\nfolder = "p"\n'
    with node("--workers", "2") as n:
        put(n, "s", manifest, {"p/index.html": b"one", "p/app-1a2b3c4d.js": b"chunk one", "p/plain.js": b"plain one", "p/gone-0a1b2c3d.html": b"page"})
        eq(n.get("s", "/app-1a2b3c4d.js").body, b"chunk one")
        put(n, "s", manifest, {"p/index.html": b"two", "p/app-2b3c4d5e.js": b"chunk two", "p/404.html": b"none"})
        for version, text, plain in ((1, b"one", 200), (2, b"two", 404)):
            code, out, error = orlo("promote", "s", str(version), "--state", n.state)
            check(code == 0, out, error)
            eq((n.get("s", "/").body, n.get("s", "/plain.js").status), (text, plain))
        for i in range(3, 8):
            for chunk, text in (("1a2b3c4d", b"chunk one"), ("2b3c4d5e", b"chunk two")):
                for how in ((), (H2,), ("-H", "Range: bytes=0-8")):
                    r = n.get("s", f"/app-{chunk}.js", *how)
                    eq((r.status in (200, 206), r.body, r.fields["cache-control"]), (True, text, "public, max-age=31536000, immutable"))
            for path in ("/plain.js", "/gone-0a1b2c3d.html", "/app-ffffff00.js", "/.x/app-1a2b3c4d.js"):
                eq((path, n.get("s", path).status, n.get("s", path).body), (path, 404, b"none"))
            put(n, "s", manifest, {"p/index.html": b"%d" % i, "p/404.html": b"none"})
        for i in range(8, 12):
            put(n, "s", manifest, {"p/index.html": b"%d" % i, "p/404.html": b"none"})
        eq((n.get("s", "/app-1a2b3c4d.js").status, n.get("s", "/").body), (404, b"11"))  # too many versions ago


def test_by_tls():
    """The same by TLS, where https is what it is led to and told to stay at."""
    import tls_test
    folder = new_state() + "-tls"
    os.makedirs(folder)
    pair = tls_test.certificate(folder, "site", "s.example", "*.localhost")
    manifest = 'hosts = ["s.example", "www.s.example"]\nhttps = "redirect"\n[hsts]\n[[files]]\nfolder = "p"\n'
    manifest += '[[redirects]]\nhost = "www.s.example"\nto = "https://s.example"\n[[rules]]\nmatch = "/img/*"\nmethods = ["GET"]\n[[rates]]\nmatch = "/about.html"\nrequests = 2\nper_s = 86400\n'
    with tls_test.tls_node(tls_test.conf_of(folder, pair), "--workers", "2") as n:
        put(n, "s", manifest, PAGES)
        ask = lambda host, path, *more: curl(f"https://{host}:{n.port}{path}", "-k", "--connect-to", f"::127.0.0.1:{n.port}", *more)
        for how in ("--http1.1", "--http2"):
            r = ask("s.example", "/", how)
            eq((r.status, r.body, r.fields.get("strict-transport-security")), (200, b"<h1>home", "max-age=15552000"))
            eq(ask("www.s.example", "/a?b", how).fields["location"], "https://s.example/a?b")
            eq((ask("s.example", "/img/x.png", how, "-X", "PUT").status, ask("s.example", "/img/x.png", how, "-H", "Range: bytes=0-0,2-2").status), (405, 206))
        eq(sorted(ask("s.example", "/about.html", how).status for how in ("--http1.1", "--http2") * 2), [200, 200, 429, 429])
        r = curl(f"http://127.0.0.1:{n.plain}/x?y", "-H", "Host: s.example")
        eq((r.status, r.fields["location"], "strict-transport-security" in r.fields), (308, "https://s.example/x?y", False))
