"""The admin API: what is asked, by whom, and how badly."""
import hashlib, http.client, threading, urllib.parse

from nodes import *

DEF = open(os.path.join(SRC, "node", "control", "api.def")).read()
ROWS = re.findall(r'^API\((\w+), (\w+), "([^"]+)", (\w+), (\w+), (\d+), (\w+),', DEF, re.M)
READS, WRITES = ("READ_APP", "READ_NODE", "ANY", "OPEN"), ("WRITE_APP", "WRITE_NODE")


class Tcp(http.client.HTTPConnection):
    def __init__(self, n):
        super().__init__(urllib.parse.urlparse(n.admin).netloc, timeout=60)


def ask(n, method, path, body=None, token=None, fields={}, how=None):
    """Over the socket; with a token (or how) over TCP."""
    c = how or (Socket(n.state) if token is None else Tcp(n))
    try:
        return say(c, method, path, body, **({"authorization": "Bearer " + token} if token else {}), **fields)
    finally:
        if not how:
            c.close()


def sha(data):
    return hashlib.sha256(data).hexdigest()


# ---- uploads ----------------------------------------------------------------------------------------------------------


def test_admin_uploads():
    data = os.urandom(3 << 20)
    at = f"/v1/apps/shop/blobs/{sha(data)}"
    missing = lambda n: ask(n, "POST", "/v1/apps/shop/blobs", {"digests": [sha(data)]}).json["missing"]
    with node() as n:
        eq(missing(n), [{"digest": sha(data), "offset": 0}])
        eq(ask(n, "HEAD", at).status, 404)
        part = ask(n, "PUT", at, data[:1_000_000], fields={"content-range": f"bytes 0-999999/{len(data)}"})
        eq((part.status, part.fields["upload-offset"], part.fields["upload-complete"]), (202, "1000000", "?0"))
        eq(missing(n), [{"digest": sha(data), "offset": 1_000_000}])
        # Not where it ends, not of this length, not a range at all.
        for range_, status in ((f"bytes 5-{len(data) - 1}/{len(data)}", 409), (f"bytes 0-9/{len(data)}", 400), ("bytes 9-3/10", 400),
                               (f"bytes */{len(data)}", 400), ("lines 0-1/2", 400)):
            piece = data[5:] if status == 409 else data[:5]
            eq((range_, ask(n, "PUT", at, piece, fields={"content-range": range_}).status), (range_, status))
        eq(missing(n)[0]["offset"], 1_000_000)
        rest = ask(n, "PUT", at, data[1_000_000:], fields={"content-range": f"bytes 1000000-{len(data) - 1}/{len(data)}"})
        eq((rest.status, rest.fields["upload-complete"]), (201, "?1"))
        eq(missing(n), [])
        eq(ask(n, "HEAD", at).fields["upload-complete"], "?1")
        eq(ask(n, "PUT", at, data).status, 201)  # it is there
        # Another app has nothing by knowing the digest.
        eq(ask(n, "HEAD", at.replace("shop", "other")).status, 404)
        # Of another digest than it says, at once and in pieces: thrown away.
        wrong = f"/v1/apps/shop/blobs/{sha(b'else')}"
        r = ask(n, "PUT", wrong, b"something")
        eq((r.status, r.code()), (422, "invalid"))
        eq(ask(n, "HEAD", wrong).status, 404)
        eq(ask(n, "PUT", wrong, b"some", fields={"content-range": "bytes 0-3/9"}).status, 202)
        eq(ask(n, "PUT", wrong, b"thing", fields={"content-range": "bytes 4-8/9"}).status, 422)
        eq(ask(n, "HEAD", wrong).status, 404)
        empty = f"/v1/apps/shop/blobs/{sha(b'')}"
        eq(ask(n, "PUT", empty, b"").status, 201)
        eq(ask(n, "PUT", f"/v1/apps/shop/blobs/{'0' * 64}", fields={"content-length": str(1 << 40)}, body=b"x").status, 413)
        eq(sorted(os.listdir(os.path.join(n.state, "blobs"))), sorted(f"shop.{sha(d)}" for d in (data, b"")))


def test_admin_upload_cut_off():
    """A client that is gone in the middle loses what was under way, and no more; one that hangs makes room."""
    data = os.urandom(4 << 20)
    at = f"/v1/apps/shop/blobs/{sha(data)}"
    with node() as n:
        c = Socket(n.state)
        c.connect()
        c.sock.sendall(f"PUT /_orlo{at} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data[: 3 << 20])
        until(lambda: int(ask(n, "HEAD", at).fields.get("upload-offset", 0)) >= 2 << 20)
        eq(ask(n, "PUT", at, data).code(), "busy")
        c.close()
        until(lambda: ask(n, "GET", "/v1/status").json["uploads"] == 0)
        offset = int(ask(n, "HEAD", at).fields["upload-offset"])
        hangs = Socket(n.state)
        hangs.connect()
        hangs.sock.sendall(f"PUT /_orlo{at} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data[: 1 << 20])
        until(lambda: ask(n, "HEAD", at).fields.get("upload-offset") == str(1 << 20))
        until(lambda: ask(n, "PUT", at, data).status == 201)  # nothing has come from the other one for too long
        has(hangs.sock.recv(4096).decode(), "409 ")
        hangs.close()
        check(offset >= 0)
    # Killed in the middle, what had been written is there.
    n = Node(new_state())
    c = Socket(n.state)
    c.connect()
    c.sock.sendall(f"PUT /_orlo{at} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data[: 3 << 20])
    until(lambda: int(ask(n, "HEAD", at).fields.get("upload-offset", 0)) >= 2 << 20)
    n.kill()
    with node(state=n.state) as again:
        got = int(ask(again, "HEAD", at).fields["upload-offset"])
        check(got >= 2 << 20, got)
        rest = ask(again, "PUT", at, data[got:], fields={"content-range": f"bytes {got}-{len(data) - 1}/{len(data)}"})
        eq(rest.status, 201)


# ---- hostile HTTP -------------------------------------------------------------------------------------------------------


def test_admin_bad_bodies():
    with node() as n:
        post = lambda body, path="/v1/tokens", **more: ask(n, "POST", path, body, **more)
        json_ = {"content-type": "application/json"}
        for body, status, key in ((b"", 201, None), (b"{", 400, None), (b"[]", 400, None), (b"null", 400, None), (b'{"app": 1}', 400, "app"),
                                  (b'{"ap": "x"}', 400, "ap"), (b'{"app": "UPPER"}', 400, "app"), (b'{"hosts": "x"}', 400, "hosts"),
                                  (b'{"hosts": [1]}', 400, "hosts[0]"), (b'{"read_only": 1}', 400, "read_only"), (b'{"expires_s": 0}', 400, "expires_s"),
                                  (b'{"expires_s": 1.5}', 400, "expires_s"), (b'{"expires_s": -1}', 400, "expires_s"), (b'{"app": "a", "app": "b"}', 400, None),
                                  (b'{"app": null}', 400, "app"), (b"[" * 100 + b"]" * 100, 400, None), (b'{"hosts": ["*"]}', 422, None),
                                  (b'{"app": "a", "hosts": ["a b"]}', 422, None)):
            r = post(body, fields=json_)
            eq((body, r.status, (r.json or {}).get("error", {}).get("key") if status != 201 else None), (body, status, key))
        eq(post(b"{}", fields={"content-type": "text/plain"}).status, 415)
        eq(post(b" " * (300 << 10), fields=json_).status, 413)
        eq(post({"digests": ["0" * 63]}, "/v1/apps/a/blobs").json["error"]["key"], "digests[0]")
        eq(len(post({"digests": [f"{i:064x}" for i in range(65_536)]}, "/v1/apps/a/blobs").json["missing"]), 65_536)
        eq(post({"digests": ["0" * 64] * 65_537}, "/v1/apps/a/blobs").status, 400)
        eq(ask(n, "PATCH", "/v1/tokens").fields["allow"], "GET, HEAD, POST")
        eq(ask(n, "HEAD", "/v1/status").body, b"")


def test_admin_hostile_clients():
    """Slow, many, vanishing: meanwhile others are answered."""
    with node() as n:
        clients = []
        for what in (b"", b"GET ", b"POST /_orlo/v1/tokens HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\nContent-Type: application/json\r\n\r\n{",
                     b"PUT /_orlo/v1/apps/a/blobs/" + b"0" * 64 + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nx"):
            for _ in range(40):
                c = Socket(n.state)
                c.connect()
                c.sock.sendall(what)
                clients.append(c)
                eq(ask(n, "GET", "/v1/status").status, 200)
        for c in clients:
            c.close()
        until(lambda: ask(n, "GET", "/v1/status").json["uploads"] == 0)
        for _ in range(100):  # gone before the answer
            c = Socket(n.state)
            c.connect()
            c.sock.sendall(b"GET /_orlo/v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
            c.close()
        eq(ask(n, "GET", "/v1/status").status, 200)
        eq(n.events("role-died"), [])


# ---- tokens -------------------------------------------------------------------------------------------------------------

BODIES = {"NONE": None, "BYTES": b"x", "TokenWanted": {}, "RollbackWanted": {}, "PromoteWanted": {"version": 1}, "Digests": {"digests": []},
          "DeploymentWanted": {"format": "orlo", "manifest": "", "files": []}, "SecretWanted": {"value": "x"}, "ApiKeyWanted": {"name": "x", "type": "secret"}, "ApiKeyRotated": {}, "SigningKeyWanted": {}, "SigningRotate": {}, "UserTokenWanted": {}, "MoveWanted": {"engine": "sqlite"}, "ClusterWanted": {"app": 1, "does": "at"},
          "MigrationsWanted": {"files": []}, "QueryWanted": {"role": "anon", "query": "{}"}, "ExplainWanted": {"role": "anon", "table": "t"}}
PARAMS = {"{app}": "shop", "{secret}": "KEY", "{digest}": "0" * 64, "{deployment}": "999", "{token}": "999", "{key}": "999", "{host}": "shop.example.org"}


def make_token(n, **wanted):
    r = ask(n, "POST", "/v1/tokens", wanted)
    eq(r.status, 201)
    return r.json["token"]


def call(n, row, token):
    name, method, path, access, body, status, answer = row
    for place, value in PARAMS.items():
        path = path.replace(place, value)
    path = {"logs": path + "?lines=0", "deployment": path + "?wait_ms=0", "backup": path + "?hold=false"}.get(name, path)
    how = Tcp(n)
    try:
        return ask(n, method, path, BODIES[body], token or None, how=how)
    finally:
        how.close()


def test_admin_scopes():
    """Every row of the table with every kind of token."""
    with node() as n:
        first = n.wait_event("first-token")["token"]
        kinds = {
            "node": first,
            "node reader": make_token(n, read_only=True),
            "app": make_token(n, app="shop"),
            "app reader": make_token(n, app="shop", read_only=True),
            "other app": make_token(n, app="other"),
        }
        gone = ask(n, "POST", "/v1/tokens", {}).json
        eq(ask(n, "DELETE", f"/v1/tokens/{gone['id']}").status, 204)
        short = make_token(n, expires_s=1)
        until(lambda: ask(n, "GET", "/v1/status", token=short).code() == "token_expired")
        nobody = {"none": "", "revoked": gone["token"], "expired": short, "made up": "orlo_1_" + "0" * 64, "another's secret": "orlo_2_" + first.split("_")[2],
                  "no token at all": "x"}
        checked = 0
        for row in ROWS:
            access = row[3]
            for kind, token in nobody.items():
                r = call(n, row, token)
                if access == "OPEN":
                    check(r.status not in (401, 403, 429), row, kind, r.status)
                else:
                    check(r.status in ((401,) if kind == "none" else (401, 429)), row, kind, r.status)
                    check("www-authenticate" in r.fields or r.status == 429, row, kind)
                checked += 1
            for kind, token in kinds.items():
                may = access in ("OPEN", "ANY") or kind == "node" or (kind == "node reader" and access in ("READ_APP", "READ_NODE"))
                may |= (kind == "app" and access in ("READ_APP", "WRITE_APP")) or (kind == "app reader" and access == "READ_APP")
                r = call(n, row, token)
                if may:
                    check(r.status not in (401, 403, 405, 415, 429) and r.status < 500, row, kind, r.status, r.text)
                else:
                    check(r.status == 403, row, kind, r.status)
                checked += 1
        eq(checked, len(ROWS) * (len(nobody) + len(kinds)))
        eq(len(ROWS), len(re.findall(r"^API\(", DEF, re.M)))
        # What a token of an app sees is its app's, and one that is for reading changes nothing.
        eq(n.events("role-died"), [])


def test_admin_tokens():
    with node() as n:
        first = n.wait_event("first-token")["token"]
        check(re.fullmatch(r"orlo_1_[0-9a-f]{64}", first), first)
        code, out, error = orlo("tokens", "create", "--app", "shop", "--host", "shop.example.org", "--expires", "90d", "--state", n.state)
        eq((code, error), (0, ""))
        check(re.fullmatch(r"orlo_2_[0-9a-f]{64}\n", out), out)
        listed = json.loads(orlo("tokens", "--json", "--state", n.state)[1])
        eq([(t["id"], t["scope"], t.get("app"), t["hosts"], t["read_only"]) for t in listed],
           [(1, "node", None, [], False), (2, "app", "shop", ["shop.example.org"], False)])
        code, out, error = orlo("tokens", "--to", n.admin, env={"ORLO_TOKEN": first})
        eq((code, len(out.splitlines())), (0, 3))  # with their head
        check("shop.example.org" in out and first not in out, out)
        # What is at rest is no token.
        for base, _, names in os.walk(n.state):
            for name in names:
                with contextlib.suppress(OSError), open(os.path.join(base, name), "rb") as f:
                    check(first.encode() not in f.read(), name)
        eq(orlo("tokens", "revoke", "2", "--state", n.state)[0], 0)
        eq(orlo("tokens", "revoke", "2", "--state", n.state)[0], 66)
        # Control that is killed knows them again, and there is no second first one.
        n.kill_control()
        until(lambda: orlo("status", "--to", n.admin, "--token", first)[0] == 0)
        eq(len(n.events("first-token")), 1)
        code, out, error = orlo("status", "--to", n.admin, "--token", "orlo_1_" + "1" * 64)
        eq(code, 77)
        has(error, "this token is none")
        code, _, error = orlo("status", "--to", n.admin)
        eq(code, 64)
        has(error, "--token", "ORLO_TOKEN")
        # A number is not given again.
        check(orlo("tokens", "create", "--state", n.state)[1].startswith("orlo_3_"))
    with node(state=n.state) as again:
        eq(orlo("status", "--to", again.admin, "--token", first)[0], 0)
        eq(again.events("first-token"), [])


def test_admin_failed_tokens():
    """Who brings tokens that are none again and again is told to wait; who has one is not held up."""
    with node() as n:
        first = n.wait_event("first-token")["token"]
        got = [ask(n, "GET", "/v1/status", token=f"orlo_1_{i:064x}").status for i in range(40)]
        eq(got[0], 401)
        check(429 in got, got)
        eq(ask(n, "GET", "/v1/status", token=first).status, 200)
        check(len(n.events("token-refused")) < 40)


def test_admin_listens_here_alone():
    for where in ("0.0.0.0:0", ":0", "[::]:0"):
        code, _, error = orlo("node", "--state", new_state(), "--listen", "127.0.0.1:0", "--admin", where)
        eq((where, code), (where, 64))
        has(error, "plain text")
    with node("--admin", "off") as n:
        eq(n.admin, None)
        eq(orlo("status", "--state", n.state)[0], 0)
    code, _, error = orlo("apps", "--to", "http://192.0.2.1:8089", "--token", "x")
    eq(code, 77)
    has(error, "plain text")
    code, _, error = orlo("apps", "--to", "http://127.0.0.1:9", "--token", "x")
    eq(code, 69)
    has(error, "nobody answers at http://127.0.0.1:9", "--admin")


def test_admin_commands_elsewhere():
    """What answers is no node: said so, and nothing hangs."""
    import http.server

    class Other(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = {"/_orlo/v1/status": b"<html>", "/_orlo/v1/apps?after=0": b'{"apps": 7'}.get(self.path, b"")
            self.send_response(200 if body else 404)
            self.send_header("Content-Type", "application/json" if b"apps" in body else "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Other)
    threading.Thread(target=s.serve_forever, daemon=True).start()
    to = ("--to", f"http://127.0.0.1:{s.server_port}", "--token", "x")
    code, _, error = orlo("apps", *to)
    eq(code, 69)
    has(error, "no node of Orlo's")
    code, _, error = orlo("tokens", *to)
    eq(code, 65)
    has(error, "no node of Orlo's, or an older one")
    s.shutdown()


# ---- the description ------------------------------------------------------------------------------------------------------

SCHEMATHESIS = "schemathesis==4.32.5"


def schemathesis():
    """The program, in an environment of its own beside the build; made once."""
    venv = os.path.join(ROOT, "build", "schemathesis")
    program = os.path.join(venv, "bin", "schemathesis")
    if not os.path.exists(program):
        made = subprocess.run([sys.executable, "-m", "venv", venv], capture_output=True)
        if made.returncode == 0:
            subprocess.run([os.path.join(venv, "bin", "pip"), "install", "-q", SCHEMATHESIS], capture_output=True, timeout=600)
    if not os.path.exists(program):
        raise Skip(f"needs {SCHEMATHESIS} from PyPI")
    return program


def test_admin_schemathesis():
    """Whatever the OpenAPI document allows and what it does not: each answer is one that the document has, and no server error. What a schema
    cannot say (a manifest's own rules) may be refused. An answer that goes on (logs, backup) is others' tests'. Tokens that are none are test_admin_scopes's: many of them are answered 429. Its token is not among the numbers that it is likely to revoke."""
    program = schemathesis()
    with node() as n:
        for _ in range(99):
            token = make_token(n)
        n.wait_event("first-token")
        # A body too large is refused as such, whatever else is wrong with it.
        rules = os.path.join(WORK, "schemathesis.toml")
        with open(rules, "w") as out:
            out.write("[checks]\nnegative_data_rejection.expected-statuses = [400, 401, 403, 404, 405, 406, 409, 413, 415, 422, 428, 429]\n")
        p = subprocess.run([program, "--config-file", rules, "run", n.admin + "/_orlo/v1/openapi.json", "-H", f"Authorization: Bearer {token}", "--no-color",
                            "--exclude-operation-id", "logs", "--exclude-operation-id", "backup", "--exclude-operation-id", "token_revoke", "--exclude-checks", "positive_data_acceptance,ignored_auth",
                            "--max-examples", os.environ.get("ORLO_SCHEMATHESIS_EXAMPLES", "3" if SANITIZED else "8"), "--request-timeout", "30"],
                           capture_output=True, text=True, cwd=WORK, timeout=1200)
        check(p.returncode == 0, "\n".join(line[:400] for line in (p.stdout + p.stderr).splitlines()))
        has(p.stdout, "Test cases")
        eq(n.events("role-died"), [])
        eq(ask(n, "GET", "/v1/status", token=token).status, 200)


def test_admin_document():
    with node() as n:
        d = ask(n, "GET", "/v1/openapi.json").json
        eq(d["openapi"], "3.1.0")
        told = {(method.upper(), path, op["operationId"]) for path, item in d["paths"].items() for method, op in item.items()}
        eq(told, {(method, path, name) for name, method, path, *_ in ROWS})
        used = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(d)))
        check(used <= set(d["components"]["schemas"]), used)
        # docs/admin-api.md names every call.
        doc = open(os.path.join(ROOT, "docs", "admin-api.md"), encoding="utf-8").read()
        for name, method, path, *_ in ROWS:
            has(doc, f"`{method} /_orlo{path}`")


# ---- commands, from the folder to the node ----------------------------------------------------------------------------------


def project(name, build=True, app=None):
    """A folder with a manifest: a function, made by its build command, and a static folder."""
    folder = tempfile.mkdtemp(prefix="project-", dir=WORK)
    os.makedirs(os.path.join(folder, "public", "deep"))
    for path, text in (("index.html", "<h1>here</h1>"), ("deep/a.txt", "deep"), (".hidden", "never")):
        with open(os.path.join(folder, "public", path), "w") as f:
            f.write(text)
    command = f"cp {guest(name)} made.wasm"
    with open(os.path.join(folder, "orlo.toml"), "w") as f:
        f.write(f'name = "{app or "shop"}"\n[functions.api]\nsource = "made.wasm"\nroutes = ["/api"]\nenv = {{ APP = "first" }}\n' +
                (f"build = {{ command = {json.dumps(command)} }}\n" if build else "") + '[[files]]\nroute = "/"\nfolder = "public"\n')
    return folder


def cli(n, *args, code=0, token=None, **more):
    got, out, error = orlo(*args, *(("--to", n.admin, "--token", token) if token else ("--state", n.state)), timeout=120, **more)
    check(got == code, args, got, out, error, n.log()[-1500:])
    return out if code == 0 else error


def test_admin_deploy_folder():
    folder = project("tenant")
    with node() as n:
        has(cli(n, "deploy", folder, "--no-build", code=66), "made.wasm", "without --no-build")
        has(cli(n, "deploy", folder, "--dry-run"), "would be deployed")
        eq(n.apps(), {})
        out = cli(n, "deploy", folder)
        has(out, "http://shop.localhost:", "version 1", "granted\n  --env APP\n")
        eq(n.get("shop", "/api").text, "first\n")
        eq(n.get("shop", "/").text, "<h1>here</h1>")
        eq(n.get("shop", "/deep/a.txt").text, "deep")
        eq(n.get("shop", "/.hidden").status, 404)
        # Flags beside a manifest; as JSON; kept and not live; a share; all; back.
        d = json.loads(cli(n, "deploy", folder, "--host", "x.example", "--env", "APP=second", "--not-live", "--json"))
        eq((d["state"], d["version"], d["compiled"]), ("done", 2, 0))
        eq(n.get("shop", "/api").text, "first\n")
        has(cli(n, "promote", "shop", "2", "--share", "50%"), "version 2 has 50 %")
        eq(n.apps()["shop"]["canary"], {"version": 2, "permille": 500})
        until(lambda: {n.get("shop", "/api").text for _ in range(40)} == {"first\n", "second\n"})
        has(cli(n, "promote", "shop", "2"), "serves version 2")
        eq(curl(n.url + "/api", "-H", "Host: x.example").text, "second\n")
        has(cli(n, "rollback", "shop"), "serves version 1")
        eq(n.get("shop", "/api").text, "first\n")
        eq([(v["version"], v["live"]) for v in json.loads(cli(n, "versions", "shop", "--json"))], [(2, False), (1, True)])
        has(cli(n, "rollback", "shop", "7", code=66), "7")
        has(cli(n, "versions", "nobody", code=66), "nobody")
        # The build command fails: nothing is deployed.
        with open(os.path.join(folder, "orlo.toml")) as f:
            text = f.read()
        with open(os.path.join(folder, "orlo.toml"), "w") as f:
            f.write(re.sub("cp [^\"]*", "exit 3", text))
        has(cli(n, "deploy", folder, code=65), "status 3")
        with open(os.path.join(folder, "orlo.toml"), "w") as f:
            f.write(text.replace("source", "sauce").replace("folder", "fodler"))
        has(cli(n, "deploy", folder, code=65), "orlo.toml:3:1:", "did you mean `source`?", "did you mean `folder`?", "mistakes")
        cli(n, "delete", "shop")
        eq(n.apps(), {})
        eq(n.get("shop", "/api").status, 404)
        eq([b for b in os.listdir(os.path.join(n.state, "blobs")) if b.startswith("shop.")], [])


def test_admin_secrets():
    folder = project("tenant")
    with open(os.path.join(folder, "orlo.toml"), "a") as f:
        f.write("")
    with open(os.path.join(folder, "orlo.toml")) as f:
        text = f.read().replace('env = { APP = "first" }', 'secrets = { APP = "GREETING" }')
    with open(os.path.join(folder, "orlo.toml"), "w") as f:
        f.write(text)
    with node() as n:
        cli(n, "secrets", "set", "shop", "GREETING", data=b"hush-hush\n")
        cli(n, "deploy", folder)
        eq(n.get("shop", "/api").text, "hush-hush\n")
        cli(n, "secrets", "set", "shop", "GREETING", data=b"another")
        eq(n.get("shop", "/api").text, "another\n")
        eq([s["key"] for s in json.loads(cli(n, "secrets", "list", "shop", "--json"))], ["GREETING"])
        has(cli(n, "secrets", "set", "shop", "A=b", code=64), "command line")
        has(cli(n, "secrets", "set", "shop", "1A", data=b"x", code=65), "{secret}")
        has(cli(n, "secrets", "set", "shop", "A", data=b"\xff\xfe", code=65), "UTF-8")
        cli(n, "secrets", "rm", "shop", "GREETING")
        has(cli(n, "secrets", "rm", "shop", "GREETING", code=66), "GREETING")
        check("hush-hush" not in n.log() and "another" not in n.log())


def test_admin_two_deployers():
    """The same app and others from several at once: each is told a version of its own, and what is served is one of them, whole."""
    folders = [project("tenant", build=False) for _ in range(4)]
    for i, folder in enumerate(folders):
        shutil.copy(guest("tenant"), os.path.join(folder, "made.wasm"))
        with open(os.path.join(folder, "public", "index.html"), "w") as f:
            f.write(f"v{i}" * 100_000)
    with node() as n:
        outs = []
        threads = [threading.Thread(target=lambda i=i, f=f: outs.append(cli(n, "deploy", f, "--env", f"APP=v{i}", "--json"))) for i, f in enumerate(folders)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        eq(sorted(json.loads(o)["version"] for o in outs), [1, 2, 3, 4])
        text = n.get("shop", "/api").text.strip()
        eq(n.get("shop", "/").text, text * 100_000)


class Cutting(threading.Thread):
    """Between a command and a node: each connection is cut off after so many bytes of the client's, as long as there are cuts left."""

    def __init__(self, n, after, cuts):
        super().__init__(daemon=True)
        self.to, self.after, self.cuts, self.bytes = urllib.parse.urlparse(n.admin).port, after, cuts, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.start()

    def run(self):
        while True:
            client, _ = self.listener.accept()
            threading.Thread(target=self.pass_on, args=(client,), daemon=True).start()

    def pass_on(self, client):
        with client, socket.create_connection(("127.0.0.1", self.to)) as node:
            threading.Thread(target=self.back, args=(node, client), daemon=True).start()
            seen = 0
            with contextlib.suppress(OSError):
                while piece := client.recv(65536):
                    seen += len(piece)
                    self.bytes += len(piece)
                    node.sendall(piece)
                    if seen > self.after and self.cuts > 0:
                        self.cuts -= 1
                        for s in (client, node):
                            s.shutdown(socket.SHUT_RDWR)
                        return

    def back(self, node, client):
        with contextlib.suppress(OSError):
            while piece := node.recv(65536):
                client.sendall(piece)
            client.shutdown(socket.SHUT_RDWR)


def test_admin_deploy_goes_on():
    """A connection that breaks again and again: the upload goes on where it was, not from the start."""
    folder = project("tenant")
    size = 12 << 20
    with open(os.path.join(folder, "public", "large"), "wb") as f:
        f.write(os.urandom(size))
    with node() as n:
        token = make_token(n, app="shop")
        between = Cutting(n, after=3 << 20, cuts=3)
        code, out, error = orlo("deploy", folder, "--to", between.url, "--token", token, timeout=120)
        eq((code, between.cuts), (0, 0))
        check(between.bytes < size * 3 // 2, between.bytes)
        eq(hashlib.sha256(n.get("shop", "/large").body).hexdigest(), sha(open(os.path.join(folder, "public", "large"), "rb").read()))
        # What is there is not sent again.
        before = between.bytes
        cli(n, "deploy", folder, token=token)
        eq(orlo("deploy", folder, "--to", between.url, "--token", token, timeout=120)[0], 0)
        check(between.bytes - before < 1 << 20, between.bytes - before)


def test_admin_tokens_of_apps():
    """A token of an app deploys that app alone, at the hosts it was given."""
    folder, other = project("tenant"), project("tenant", app="other")
    with node() as n:
        token, reader = make_token(n, app="shop", hosts=["*.shop.example"]), make_token(n, app="shop", read_only=True)
        cli(n, "deploy", folder, "--host", "a.shop.example", token=token)
        has(cli(n, "deploy", folder, "--host", "b.example", code=77, token=token), "b.example")
        has(cli(n, "deploy", other, code=77, token=token), "another app's")
        has(cli(n, "deploy", folder, code=77, token=reader), "for reading only")
        cli(n, "deploy", other)
        eq(sorted(json.loads(cli(n, "apps", "--json"))[i]["name"] for i in range(2)), ["other", "shop"])
        eq([a["name"] for a in json.loads(cli(n, "apps", "--json", token=token))], ["shop"])
        eq(json.loads(cli(n, "status", "--json", token=reader))["apps"], 1)
        has(cli(n, "delete", "other", code=77, token=token), "another app's")
        has(cli(n, "keys", "shop", code=77, token=reader), "for reading only")
        eq([e for e in n.events("admin-call") if e["app"] == "other" and e["token"]], [])
        check([e for e in n.events("admin-call") if e["app"] == "shop" and e["token"] == 2], n.events("admin-call"))


def test_admin_deployer_dies():
    """In the middle of it: what was begun ends by itself, and the next one is not held up."""
    folder = project("tenant", build=False)
    shutil.copy("/dev/null", os.path.join(folder, "made.wasm"))
    with open(guest("tenant"), "rb") as f:
        wasm = f.read()
    with node() as n:
        for i in range(6):
            with open(os.path.join(folder, "made.wasm"), "wb") as f:
                f.write(wasm.replace(b"text/plain", b"text/p%04d" % i))
            p = subprocess.Popen([ORLO, "deploy", folder, "--state", n.state], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            pace(0.03 * i)
            p.kill()
            p.wait()
        cli(n, "deploy", folder)
        eq(n.get("shop", "/api").text, "first\n")
        until(lambda: ask(n, "GET", "/v1/status").json["deployments"] == 0 and ask(n, "GET", "/v1/status").json["uploads"] == 0)
        eq(n.events("role-died"), [])
