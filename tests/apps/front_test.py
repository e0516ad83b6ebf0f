"""What stands before an app's guests: routes, redirects, static folders, two versions at a time, pages of other origins, Supabase's clients, and
functions of an app that call each other."""
import base64, hashlib, hmac, http.client, os, re, shutil, socket, subprocess, threading, time, urllib.parse

from harness import *
from nodes import *

REAL = os.path.join(ROOT, "..", "shared", "guests")


def wasm(name):
    """A guest of this repository, or one in another language; None: it is not there."""
    for path in (os.path.join(ROOT, "tests", "guests", name + ".wasm"), os.path.join(REAL, name + ".wasm")):
        if os.path.exists(path):
            return open(path, "rb").read()
    if os.path.exists(os.path.join(ROOT, "tests", "guests", name + ".c")):
        return open(guest(name), "rb").read()
    return None


def put(n, app, manifest, files={}, **more):
    d = deploy_manifest(n.state, app, manifest, files, **more)
    check(d.get("state") == "done", d, n.log()[-2000:])
    return d


def function(name, source, *more):
    return f'[functions.{name}]\nsource = "{source}"\n' + "\n".join(more) + "\n"


def environ(r):
    """Of the guest that shows it: what a program of CGI sees of its request."""
    return dict(line.split("=", 1) for line in r.text.splitlines() if "=" in line)


# ---- routes ----------------------------------------------------------------------------------------------------------


def test_routes():
    manifest = 'hosts = ["shop.example"]\n'
    manifest += function("all", "a.wasm", 'routes = ["/"]', 'env = { WHO = "all" }')
    manifest += function("users", "a.wasm", 'routes = ["/users/:id", "=/users/:id/env"]', 'env = { WHO = "users" }')
    manifest += function("me", "a.wasm", 'routes = [{ path = "/users/me", strip = true }]', 'env = { WHO = "me" }')
    manifest += '[[redirects]]\nfrom = "/old"\nto = "/new"\nstatus = 308\n'
    manifest += '[[redirects]]\nfrom = "/away"\nto = "https://other.example/x?from=shop"\nstatus = 302\n'
    manifest += '[[redirects]]\nfrom = "/top"\nto = "/"\nstatus = 301\n'
    with node("--workers", "1") as n:
        put(n, "shop", manifest, {"a.wasm": wasm("cgi")})
        eq(environ(n.get("shop", "/env"))["WHO"], "all")
        eq(environ(n.get("shop", "/users/7/env"))["WHO"], "users")
        seen = environ(n.get("shop", "/users/me/env?x=1"))
        eq((seen["WHO"], seen.get("PATH_INFO"), seen.get("QUERY_STRING")), ("me", "/env", "x=1"))
        eq(environ(curl(n.url + "/env", "-H", "Host: SHOP.example:81"))["WHO"], "all")
        for asked, to in (("/old", "/new"), ("/old/a%20b/c?x=y", "/new/a%20b/c?x=y"), ("/away/z?q=1", "https://other.example/x/z?from=shop&q=1"),
                          ("/top//evil.example/x", "/evil.example/x"), ("/top/%2F/evil", "/%2F/evil"), ("/old//evil.example", "/new/evil.example")):
            r = n.get("shop", asked, "--path-as-is")
            check(300 < r.status < 309, asked, r.head)
            eq(r.fields["location"], to)
        has(raw(n.port, b"GET /top/\\evil.example HTTP/1.1\r\nHost: shop.localhost\r\nConnection: close\r\n\r\n"), b"location: /evil.example\r\n")
        eq(n.get("shop", "/older/env").status, 200)  # a prefix ends where a segment does


def test_each_function_is_its_own():
    """Grants and limits are a function's; an app's instances are all functions' together."""
    manifest = function("a", "a.wasm", 'routes = ["/a"]', 'env = { ONE = "1" }', 'limits = { body_kb = 1 }')
    manifest += function("b", "a.wasm", 'routes = [{ path = "/b", strip = true }]', 'env = { TWO = "2" }')
    with node("--workers", "1") as n:
        put(n, "two", manifest, {"a.wasm": wasm("cgi")})
        seen = environ(n.get("two", "/b/env"))
        check("ONE" not in seen and seen["TWO"] == "2", seen)
        r = n.get("two", "/a/echo", data=b"x" * 2000)
        eq((r.status, r.fields.get("x-orlo-limit")), (413, "body_kb=1"))
        eq(len(n.get("two", "/b/echo", data=b"x" * 2000).body), 2000)
        eq(n.get("two", "/nothing").status, 404)


# ---- static folders ----------------------------------------------------------------------------------------------------

SITE = {
    "public/index.html": b"<h1>home",
    "public/404.html": b"<h1>not here",
    "public/app.js": b"let a = 1",
    "public/docs/index.html": b"docs",
    "public/a b.txt": b"spaces",
    "public/.well-known/x": b"known",
    "public/large.bin": os.urandom(3 << 20),
    "public/empty.css": b"",
    "public/app.js.br": b"as brotli has it",
    "public/app.js.gz": b"as gzip has it",
}


def test_static_files():
    manifest = '[[files]]\nroute = "/"\nfolder = "public"\nindex = "index.html"\nnot_found = "404.html"\n'
    with node("--workers", "1") as n:
        put(n, "site", manifest, SITE)
        r = n.get("site")
        eq((r.status, r.body, r.fields["content-type"]), (200, b"<h1>home", "text/html; charset=utf-8"))
        has(r.fields["cache-control"], "must-revalidate")
        tag, size = r.fields["etag"], r.fields["content-length"]
        eq((tag, size), ('"' + hashlib.sha256(b"<h1>home").hexdigest()[:32] + '"', "8"))
        eq(n.get("site", "/", "-H", f"If-None-Match: W/{tag}").status, 304)
        eq(n.get("site", "/", "-H", "If-None-Match: \"x\"").status, 200)
        if "last-modified" in r.fields:
            eq(n.get("site", "/", "-H", "If-Modified-Since: " + r.fields["last-modified"]).status, 304)
        head = n.get("site", "/", "-I")
        eq((head.status, head.fields["content-length"], head.body), (200, "8", head.head.encode("latin-1")))
        r = n.get("site", "/app.js?v=7")
        eq((r.body, r.fields["content-type"], r.fields["vary"]), (b"let a = 1", "text/javascript; charset=utf-8", "accept-encoding"))
        br = n.get("site", "/app.js", "-H", "Accept-Encoding: gzip, br")
        eq((br.body, br.fields["content-type"], br.fields["content-encoding"], br.fields["vary"]), (b"as brotli has it", r.fields["content-type"], "br", "accept-encoding"))
        eq(n.get("site", "/app.js", "-H", "Accept-Encoding: gzip, br;q=0").fields["content-encoding"], "gzip")
        same = n.get("site", "/app.js", "-H", "Accept-Encoding: br", "-H", f"If-None-Match: {br.fields['etag']}")
        check(same.status == 304 and br.fields["etag"] != r.fields["etag"], same.status)
        eq(n.get("site", "/app.js", "-H", "Accept-Encoding: br", "-H", f"If-None-Match: {r.fields['etag']}").status, 200)
        eq(n.get("site", "/app.js", "-H", "Accept-Encoding: br", "-H", "Range: bytes=3-9").body, b"brotli ")
        eq(n.get("site", "/a%20b.txt").body, b"spaces")
        eq(n.get("site", "/.well-known/x").fields["content-type"], "application/octet-stream")
        eq((n.get("site", "/empty.css").status, n.get("site", "/empty.css").body), (200, b""))
        eq(n.get("site", "/docs/").body, b"docs")
        r = n.get("site", "/docs?a=b")
        eq((r.status, r.fields["location"]), (308, "./docs/?a=b"))
        r = n.get("site", "/nowhere")
        eq((r.status, r.body), (404, b"<h1>not here"))
        r = n.get("site", "/app.js", data=b"x")
        eq((r.status, r.fields["allow"]), (405, "GET, HEAD, OPTIONS"))
        large = SITE["public/large.bin"]
        check(n.get("site", "/large.bin").body == large)
        r = n.get("site", "/large.bin", "-H", "Range: bytes=1000000-2999999")
        check((r.status, r.fields["content-range"]) == (206, f"bytes 1000000-2999999/{len(large)}") and r.body == large[1000000:3000000])
        r = n.get("site", "/large.bin", "-H", "Range: bytes=-5")
        check(r.status == 206 and r.body == large[-5:])
        r = n.get("site", "/large.bin", "-H", f"Range: bytes={len(large)}-")
        eq((r.status, r.fields["content-range"]), (416, f"bytes */{len(large)}"))
        r = n.get("site", "/large.bin", "-H", "Range: bytes=0-1,2000000-2099999, -3")
        boundary = re.fullmatch("multipart/byteranges; boundary=(orlo[0-9a-f]{16})", r.fields["content-type"]).group(1).encode()
        eq((r.status, int(r.fields["content-length"])), (206, len(r.body)))
        head = lambda a, b: b"--" + boundary + f"\r\ncontent-type: application/octet-stream\r\ncontent-range: bytes {a}-{b}/{len(large)}\r\n\r\n".encode()
        last = len(large) - 1
        check(r.body == head(0, 1) + large[:2] + b"\r\n" + head(2000000, 2099999) + large[2000000:2100000] + b"\r\n" + head(last - 2, last) + large[-3:] + b"\r\n--" + boundary + b"--\r\n")
        eq(n.get("site", "/large.bin", "-H", "Range: bytes=" + ",".join("0-" for _ in range(200))).status, 200)
        eq(n.get("site", "/large.bin", "-I", "-H", "Range: bytes=0-1").status, 200)
        for path in ("/../node.key", "/..%2f..%2fnode.key", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd", "/docs/%2e%2e/%2e%2e/x", "/%00", "/%zz"):
            got = raw(n.port, f"GET {path} HTTP/1.1\r\nHost: site.localhost\r\nConnection: close\r\n\r\n".encode())
            check(got.startswith(b"HTTP/1.1 400 "), path, got[:200])


def test_static_files_slowly():
    """A client that reads little by little gets all of it, and holds up nobody; one that goes away leaves nothing."""
    with node("--workers", "1") as n:
        put(n, "site", '[[files]]\nroute = "/"\nfolder = "public"\n', SITE)
        slow = socket.create_connection(("127.0.0.1", n.port))
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)  # a fraction of it
        slow.sendall(b"GET /large.bin HTTP/1.1\r\nHost: site.localhost\r\nConnection: close\r\n\r\n")
        for _ in range(20):
            gone = socket.create_connection(("127.0.0.1", n.port))
            gone.sendall(b"GET /large.bin HTTP/1.1\r\nHost: site.localhost\r\n\r\n")
            gone.recv(100)
            gone.close()
            eq(n.get("site", "/app.js").body, b"let a = 1")
        got = b""
        while piece := slow.recv(20000):
            got += piece
        slow.close()
        check(got.split(b"\r\n\r\n", 1)[1] == SITE["public/large.bin"], len(got))


def test_static_files_uncopied():
    """What was read just now goes from the kernel's memory to the socket without a copy (sendfile): whole, in parts, behind one another, to who reads slowly,
    and to who goes away in the midst of it."""
    large = SITE["public/large.bin"]
    with node("--workers", "1") as n:
        put(n, "site", '[[files]]\nfolder = "public"\n', SITE)
        for _ in range(4):
            check(n.get("site", "/large.bin").body == large)
            r = n.get("site", "/large.bin", "-H", "Range: bytes=1000-1999999")
            check((r.status, r.body == large[1000:2000000]) == (206, True), r.status)
            r = n.get("site", "/large.bin", "-H", "Range: bytes=0-99999,2000000-2099999")
            check(large[2000000:2100000] in r.body and large[:100000] in r.body and len(r.body) == int(r.fields["content-length"]))
        slow = socket.create_connection(("127.0.0.1", n.port))
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        ask = b"GET /large.bin HTTP/1.1\r\nHost: site.localhost\r\n"
        slow.sendall(ask + b"\r\n" + ask + b"Range: bytes=-70000\r\n\r\n" + ask + b"Connection: close\r\n\r\n")
        for _ in range(10):
            gone = socket.create_connection(("127.0.0.1", n.port))
            gone.sendall(ask + b"\r\n")
            gone.recv(100)
            gone.close()
        got = b""
        while piece := slow.recv(50000):
            got += piece
        slow.close()
        bodies = [b.split(b"\r\n\r\n", 1)[1] for b in got.split(b"HTTP/1.1 20")[1:]]
        check(bodies == [large, large[-70000:], large], [len(b) for b in bodies])
        eq(n.get("site", "/app.js").body, b"let a = 1")


def test_single_page():
    manifest = '[[files]]\nroute = "/app"\nfolder = "public"\nindex = "index.html"\nspa = true\n' + function("api", "a.wasm", 'routes = ["/app/api"]')
    with node("--workers", "1") as n:
        put(n, "spa", manifest, {**SITE, "a.wasm": wasm("cgi")})
        r = n.get("spa", "/app")
        eq((r.status, r.fields["location"]), (308, "./app/"))
        for path in ("/app/", "/app/users/7", "/app/x.y"):
            eq((n.get("spa", path, "-H", "Accept: text/html").status, n.get("spa", path, "-H", "Accept: text/html").body), (200, b"<h1>home"))
        eq(n.get("spa", "/app/gone.png").status, 404)
        eq(n.get("spa", "/app/api/nothing").status, 200)  # the guest's
        eq(n.get("spa", "/").status, 404)


# ---- two versions ------------------------------------------------------------------------------------------------------


def promote(n, app, version, *flags):
    code, out, error = orlo("promote", app, str(version), "--state", n.state, *flags)
    check(code == 0, code, out, error)


def test_canary():
    pages = lambda text: {"p/index.html": text, "p/part.txt": text}
    manifest = '[[files]]\nroute = "/"\nfolder = "p"\nindex = "index.html"\n'
    with node("--workers", "2") as n:
        put(n, "a", manifest, pages(b"one"))
        check("set-cookie" not in n.get("a").fields)
        put(n, "a", manifest, pages(b"two"), live=False)
        eq({n.get("a").body for _ in range(10)}, {b"one"})
        promote(n, "a", 2, "--share", "30%")
        seen = []
        for _ in range(200):
            r = n.get("a")
            version = re.fullmatch(r"orlo-version=(\d+); Path=/; HttpOnly; SameSite=Lax", r.fields["set-cookie"]).group(1)
            eq(r.body, {"1": b"one", "2": b"two"}[version])
            seen.append(version)
        check(20 < seen.count("2") < 110, seen.count("2"))  # 60, with room for chance
        for version, text in (("1", b"one"), ("2", b"two")):
            for flag in (f"Cookie: x=y; orlo-version={version}", f"x-orlo-version: {version}"):
                for path in ("/", "/part.txt") * 10:
                    r = n.get("a", path, "-H", flag)
                    check(r.body == text and "set-cookie" not in r.fields, flag, path, r.head, r.body)
        eq(n.get("a", "/", "-H", "Cookie: orlo-version=1", "-H", "x-orlo-version: 2").body, b"two")
        for nonsense in ("3", "", "-1", "2x", "18446744073709551618"):
            check(n.get("a", "/", "-H", f"Cookie: orlo-version={nonsense}").fields["set-cookie"], nonsense)
        promote(n, "a", 2)
        r = n.get("a", "/", "-H", "Cookie: orlo-version=1")
        check(r.body == b"two" and "set-cookie" not in r.fields, r.head)


# ---- pages of other origins ----------------------------------------------------------------------------------------------


def test_cors():
    manifest = function("f", "a.wasm", 'routes = ["/"]') + '[[files]]\nroute = "/static"\nfolder = "public"\n'
    manifest += '[cors]\norigins = ["https://shop.example"]\nheaders = ["x-one"]\nexpose = ["x-total"]\ncredentials = true\n'
    with node("--workers", "1") as n:
        put(n, "c", manifest, {**SITE, "a.wasm": wasm("cgi")})
        ask = lambda path, origin, *flags: n.get("c", path, "-H", "Origin: " + origin, *flags)
        for path in ("/env", "/static/app.js", "/status", "/trap"):  # whoever answers
            r = ask(path, "https://shop.example")
            eq((r.fields.get("access-control-allow-origin"), r.fields.get("access-control-allow-credentials")), ("https://shop.example", "true"))
            eq((r.fields["access-control-expose-headers"], r.fields["vary"]), ("x-total", "Origin"))
            r = ask(path, "https://evil.example")
            check("access-control-allow-origin" not in r.fields and r.fields["vary"] == "Origin", r.head)
        preflight = ("-X", "OPTIONS", "-H", "Access-Control-Request-Method: DELETE", "-H", "Access-Control-Request-Headers: X-One")
        r = ask("/env", "https://shop.example", *preflight)
        eq((r.status, r.body, r.fields["access-control-allow-methods"], r.fields["access-control-allow-headers"]), (204, b"", "DELETE", "X-One"))
        check("access-control-max-age" in r.fields and "Access-Control-Request-Headers" in r.fields["vary"], r.head)
        eq(ask("/env", "https://evil.example", *preflight).status, 403)
        eq(ask("/env", "https://shop.example", *preflight[:5], "Access-Control-Request-Headers: x-two").status, 403)


# ---- Supabase's clients -----------------------------------------------------------------------------------------------------


def token(key, **claims):
    part = lambda b: base64.urlsafe_b64encode(b).rstrip(b"=").decode()
    text = part(b'{"alg":"HS256","typ":"JWT"}') + "." + part(json.dumps(claims).encode())
    return text + "." + part(hmac.new(key, text.encode(), hashlib.sha256).digest())


def keys_of(n, app):
    c = Socket(n.state)
    got = say(c, "GET", f"/v1/apps/{app}/keys").json
    c.close()
    check(got, n.log()[-2000:])
    return got


SUPABASE = function("hello", "a.wasm", "supabase = true") + function("open", "a.wasm", "supabase = true", "verify_jwt = false")


def test_functions_of_supabase():
    with node("--workers", "1") as n:
        put(n, "s", SUPABASE, {"a.wasm": wasm("cgi")})
        keys = keys_of(n, "s")
        anon, service = keys["anon"], keys["service_role"]
        bearer = lambda t: ("-H", "Authorization: Bearer " + t)
        seen = environ(n.get("s", "/functions/v1/open/env?x=1"))
        eq(seen.get("PATH_INFO"), "/open/env")  # as Supabase's functions see it
        for name in ("SUPABASE_URL", "SUPABASE_ANON_KEY", "SUPABASE_SERVICE_ROLE_KEY"):
            check(name in seen, seen)
        eq(seen["SUPABASE_ANON_KEY"], anon)
        for flags in (bearer(anon), bearer(service), ("-H", "apikey: " + anon), (*bearer("sb_publishable_x"), "-H", "apikey: " + anon)):
            eq(n.get("s", "/functions/v1/hello", *flags).status, 200)
        eq(n.get("s", "/functions/v1/hello?apikey=" + anon).status, 200)
        head, claims, signature = anon.split(".")
        none = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
        for flags, code in (((), "UNAUTHORIZED_NO_AUTH_HEADER"), (bearer("x"), "UNAUTHORIZED_INVALID_JWT_FORMAT"),
                            (bearer(f"{head}.{claims}.{signature[:-2]}AA"), "UNAUTHORIZED_INVALID_JWT_SIGNATURE"),
                            (bearer(token(b"guessed", role="anon")), "UNAUTHORIZED_INVALID_JWT_SIGNATURE"),
                            (bearer(f"{none}.{claims}."), "UNAUTHORIZED_UNSUPPORTED_TOKEN_ALGORITHM"),
                            (("-H", "apikey: sb_secret_guessed"), "UNAUTHORIZED_INVALID_API_KEY"), (("-H", "Authorization: Basic " + anon), "UNAUTHORIZED_NO_AUTH_HEADER")):
            r = n.get("s", "/functions/v1/hello", *flags)
            eq((r.status, json.loads(r.body)["code"], r.fields["access-control-allow-origin"]), (401, code, "*"))
            check(r.fields["www-authenticate"].startswith("Bearer"), r.fields)
        eq(n.get("s", "/functions/v1/nobody", *bearer(anon)).status, 404)
        r = n.get("s", "/functions/v1/hello", "-X", "OPTIONS", "-H", "Origin: https://page.example", "-H", "Access-Control-Request-Method: POST",
                  "-H", "Access-Control-Request-Headers: authorization, apikey, x-client-info")  # without a token: it has no place for one
        eq((r.status, r.body, r.fields["access-control-allow-origin"]), (204, b"", "*"))
        eq(r.fields["access-control-allow-headers"], "authorization, apikey, x-client-info")


CLIENT = """
import { createClient } from '@supabase/supabase-js'
import ws from 'ws'
const [url, key] = process.argv.slice(2)
const call = async (key, name, options) => {
  const { data, error } = await createClient(url, key, { realtime: { transport: ws } }).functions.invoke(name, options)
  if (!error) return [data instanceof Blob ? await data.text() : data, null]
  if (error.name !== 'FunctionsHttpError') return [null, String(error)]
  const text = await error.context.text()
  return [error.context.status, text.startsWith('{') ? JSON.parse(text).message : text]
}
console.log(JSON.stringify([await call(key, 'hello/echo', { body: { a: 1 } }), await call('wrong', 'hello/echo', { body: 'x' }), await call(key, 'hello/status')]))
process.exit(0)
"""


def test_client_of_supabase():
    """The real one, where npm can bring it."""
    if not shutil.which("npm"):
        raise Skip("there is no npm")
    folder = os.path.join(WORK, "supabase-js")
    os.makedirs(folder, exist_ok=True)
    wanted = ["@supabase/supabase-js@2", "ws@8"]
    got = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--prefix", folder, *wanted], capture_output=True, text=True, timeout=180)
    if got.returncode:
        raise Skip("npm cannot bring @supabase/supabase-js")
    with open(os.path.join(folder, "client.mjs"), "w") as f:
        f.write(CLIENT)
    with node("--workers", "1") as n:
        put(n, "s", 'hosts = ["127.0.0.1"]\n' + SUPABASE, {"a.wasm": wasm("cgi")})  # Node may know no names below localhost
        said = subprocess.run(["node", "client.mjs", n.url, keys_of(n, "s")["anon"]], cwd=folder, capture_output=True, text=True, timeout=60)
        check(said.returncode == 0, said.stderr, n.log()[-2000:])
        eq(json.loads(said.stdout.splitlines()[-1]), [['{"a":1}', None], [401, "Invalid JWT"], [418, "short and stout\n"]])


# ---- functions that call each other ---------------------------------------------------------------------------------------------


def test_functions_call_each_other():
    manifest = function("front", "fetch.wasm", 'routes = [{ path = "/front", strip = true }]', 'functions = ["back"]')
    manifest += function("back", "http.wasm")
    manifest += function("lone", "fetch.wasm", 'routes = [{ path = "/lone", strip = true }]', 'allow_http = ["*"]')
    with node("--workers", "1") as n:
        put(n, "a", manifest, {"fetch.wasm": wasm("fetch"), "http.wasm": wasm("http")})
        put(n, "b", function("back", "http.wasm"), {"http.wasm": wasm("http")})
        eq(n.get("a", "/front/http?back.internal").text.strip(), "status 200")
        eq(n.get("a", "/front/http?BACK.spin.internal:80").text.strip(), "status 200")
        check(n.get("a", "/front/http?lone.internal").text.startswith("failed"))
        check(n.get("a", "/lone/http?back.internal").text.startswith("failed"))  # whatever else it may reach
        denied = n.wait_event("outgoing-request-denied", app="a", grant='functions = ["back"]')
        check(denied)
        check(n.get("a", "/front/https?back.internal").text.startswith("failed"))
        check(n.get("a", "/front/http?nobody.internal").text.startswith("failed"))
        eq(n.get("a", "/back").status, 404)  # no route leads to it


def nested(url, depth):
    for _ in range(depth):
        url = "http://a.internal/fetch?url=" + urllib.parse.quote(url, safe="")
    return "/fetch?url=" + urllib.parse.quote(url, safe="")


def test_circles_end():
    """A function that calls itself, on and on: 508 at the fifth; one that waits for an instance that only it could give back: 503, at once."""
    program = wasm("rust-p2")
    if not program:
        raise Skip("the guests in other languages are not there")
    with node("--workers", "1") as n:
        put(n, "c", function("a", "a.wasm", 'routes = ["/"]', 'functions = ["a"]'), {"a.wasm": program})
        r = n.get("c", nested("http://a.internal/", 2))
        check(r.status == 200 and b"508" not in r.body, r.status, r.body[:300])
        has(n.get("c", nested("http://a.internal/", 7)).text, "508")
        put(n, "one", function("a", "a.wasm", 'routes = ["/"]', 'functions = ["a"]') + "[limits]\ninstances = 1\n", {"a.wasm": program})
        r = n.get("one", nested("http://a.internal/", 0))
        has(r.text + str(r.status), "503")
        eq(n.get("one", "/").status, 200)
        counts = []
        many = [threading.Thread(target=lambda: counts.append(n.get("c", nested("http://a.internal/", 3), timeout=60).status)) for _ in range(30)]
        for t in many:
            t.start()
        for t in many:
            t.join(PATIENCE_S)
        eq(counts, [200] * 30)


# ---- Spin ---------------------------------------------------------------------------------------------------------------------------


SPIN = """spin_manifest_version = 2
[application]
name = "sp"
version = "0.1.0"
[[trigger.http]]
route = "/users/:id/..."
component = "c"
[[trigger.http]]
route = "/exact"
component = "c"
[component.c]
source = "a.wasm"
"""


def test_headers_of_spin():
    with node("--workers", "1") as n:
        put(n, "sp", SPIN, {"a.wasm": wasm("cgi")}, format="spin")
        seen = environ(n.get("sp", "/users/7/env?x=y", "-H", "spin-path-info: /forged", "-H", "spin-other: forged"))
        want = {"PATH_INFO": "/env", "MATCHED_ROUTE": "/users/:id/...", "BASE_PATH": "/", "COMPONENT_ROUTE": "/users/:id",
                "RAW_COMPONENT_ROUTE": "/users/:id/...", "PATH_MATCH_ID": "7", "FULL_URL": f"http://sp.localhost/users/7/env?x=y"}
        eq({k: seen.get("HTTP_SPIN_" + k) for k in want}, want)
        check("HTTP_SPIN_OTHER" not in seen and re.fullmatch(r"127\.0\.0\.1:\d+", seen["HTTP_SPIN_CLIENT_ADDR"]), seen)
        eq(n.get("sp", "/exact/").status, 200)
        eq(n.get("sp", "/exact/x").status, 404)
