"""What was granted and what was not: names that lead elsewhere, addresses in other clothes, files that are no files, and clients
that take on the gateway's names or hold its connections."""
import concurrent.futures, http.server, stat
import harness
from harness import *

FETCH = [os.path.join(ROOT, "tests", "guests", n) for n in ("fetch.wasm", "fetch3.wasm")]
DENIED, PROHIBITED, REFUSED, NO_NAME, BAD_URI = ("failed 0%02d\n" % n for n in (15, 4, 6, 1, 19))


class Upstream(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.seen.append(self.headers["Host"])
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args):
        pass


@contextlib.contextmanager
def upstream():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    server.daemon_threads = True
    server.seen = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server, server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def hosts(text):
    """An orlo whose /etc/hosts says this."""
    own = harness.ORLO
    wrapper = file_of("orlo-with-hosts", f"""#!/bin/sh
exec unshare -rm sh -c 'mount --bind {file_of("hosts", text.encode())} /etc/hosts && exec "$0" "$@"' {own} "$@"
""".encode())
    os.chmod(wrapper, 0o755)
    if not shutil.which("unshare") or subprocess.run([wrapper, "--version"], capture_output=True).returncode:
        raise Skip("needs unshare -rm")
    harness.ORLO = wrapper
    try:
        yield
    finally:
        harness.ORLO = own


# ---- outgoing requests -----------------------------------------------------------------------------------------------


def test_http_names_open_public_addresses_only():
    """Whoever owns a granted name may point it anywhere; it opens nothing but public addresses, and the log names the grant."""
    with hosts("127.0.0.1 localhost rebound.example.org\n10.9.8.7 db.internal\n169.254.169.254 metadata\n::1 six.example.org\n"), \
            upstream() as (server, port):
        for wasm in FETCH:
            for rules in (["*"], ["*.example.org", "db.internal", "metadata"], ["*", "10.9.8.6/32", "127.0.0.2"]):
                flags = [w for r in rules for w in ("--allow-http", r)]
                with serving(wasm, *flags, "--workers", "1") as s:
                    for name, address in (("rebound.example.org", "127.0.0.1"), ("db.internal", "10.9.8.7"),
                                          ("metadata", "169.254.169.254"), ("six.example.org", "[::1]")):
                        eq((rules, name, curl(f"{s.url}/http?{name}:{port}").text), (rules, name, PROHIBITED))
                        line = s.wait_event("outgoing-request-denied", host=name, level="warn")
                        eq((line["port"], line["grant"]), (port, f"--allow-http {address}:{port}"))
                        check(line["reason"] and line["request"], line)
        eq(server.seen, [])


def test_http_private_ranges_by_address():
    """A name and an address range, each granted: a request goes there."""
    with hosts("127.0.0.1 localhost\n127.0.0.1 db.internal\n"), upstream() as (server, port):
        for wasm in FETCH:
            with serving(wasm, "--allow-http", "db.internal", "--allow-http", "127.0.0.0/8", "--workers", "1") as s:
                eq(curl(f"{s.url}/http?db.internal:{port}").text, "status 204\n")
                eq(curl(f"{s.url}/http?other.internal:{port}").text, DENIED)


def test_http_scheme():
    """A grant with a scheme is of requests with that scheme alone, at its usual port unless another stands there."""
    with upstream() as (server, port):
        for wasm in FETCH:
            for rules, text in (([f"http://127.0.0.1:{port}"], "status 204\n"), ([f"https://127.0.0.1:{port}"], DENIED),
                                (["http://127.0.0.1"], DENIED), (["https://*", "http://127.0.0.1:*"], "status 204\n")):
                with serving(wasm, *(w for r in rules for w in ("--allow-http", r)), "--workers", "1") as s:
                    eq((rules, curl(f"{s.url}/http?127.0.0.1:{port}").text), (rules, text))


def test_http_by_address_and_localhost():
    """What a newcomer grants for a server on the same machine works, whichever way the guest spells it."""
    with upstream() as (server, port):
        for wasm in FETCH:
            for rule in (f"127.0.0.1:{port}", f"localhost:{port}", "127.0.0.0/8", "127.0.0.1"):
                with serving(wasm, "--allow-http", rule, "--workers", "1") as s:
                    for host in ("127.0.0.1", "localhost", "LOCALHOST"):
                        eq((rule, host, curl(f"{s.url}/http?{host}:{port}").text), (rule, host, "status 204\n"))
                    eq(curl(f"{s.url}/http?10.0.0.1:{port}").text, DENIED)
            with serving(wasm, "--allow-http", "*", "--workers", "1") as s:
                eq(curl(f"{s.url}/http?localhost:{port}").text, DENIED)
                eq(s.wait_event("outgoing-request-denied")["grant"], f"--allow-http localhost:{port}")


def test_http_addresses_in_other_clothes():
    """Numbers that some read as addresses, escapes, mapped and translated addresses lead nowhere that was not granted."""
    with upstream() as (server, port):
        for wasm in FETCH:
            with serving(wasm, "--allow-http", "*", "--allow-http", "10.0.0.0/8", "--workers", "1") as s:
                for host in ("2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0", "l%6fcalhost", "%31%32%37.0.0.1", "localhost%00"):
                    eq((host, curl(f"{s.url}/http?{host}:{port}").text), (host, BAD_URI))
                for host in ("0.0.0.0", "[::]", "169.254.169.254", "[::ffff:169.254.169.254]", "[64:ff9b::169.254.169.254]", "[64:ff9b:1::a9fe:a9fe]",
                             "[2002:a9fe:a9fe::1]", "[2001:0:4136:e378:8000:63bf:5601:5601]", "[fe80::1]", "[fd00:ec2::254]", "224.0.0.1"):
                    eq((host, curl("-g", f"{s.url}/http?{host}:{port}").text), (host, DENIED))
                eq(s.wait_event("outgoing-request-denied", host="0.0.0.0")["grant"], f"--allow-http 127.0.0.1:{port}")
        eq(server.seen, [])


def test_http_port_is_part_of_a_grant():
    with upstream() as (server, port):
        with serving(FETCH[0], "--allow-http", f"127.0.0.1:{port % 65535 + 1}", "--workers", "1") as s:
            eq(curl(f"{s.url}/http?127.0.0.1:{port}").text, DENIED)
            eq(s.wait_event("outgoing-request-denied")["grant"], f"--allow-http 127.0.0.1:{port}")


# ---- what went wrong outside -------------------------------------------------------------------------------------------


def test_failed_requests_are_in_the_log():
    """Refused, no such name, no TLS: a warning with host, port, reason and the request's id; the same once a minute."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = closed.getsockname()[1]
        with upstream() as (server, port):
            for wasm in FETCH:
                with serving(wasm, "--allow-http", "127.0.0.1", "--allow-http", "*.invalid", "--workers", "1") as s:
                    for path, host, number, error in (("http", "127.0.0.1", nobody, "connection-refused"),
                                                      ("https", "127.0.0.1", port, "TLS-protocol-error"),
                                                      ("http", "nowhere.invalid", 80, "DNS-error")):
                        for _ in range(3):
                            has(curl(f"{s.url}/{path}?{host}:{number}").text, "failed ")
                        line = s.wait_event("outgoing-request-failed", host=host, port=number, error=error, level="warn")
                        check(line["reason"] and line["request"] in [r["request"] for r in s.events("request")], line)
                        eq(len([l for l in s.events("outgoing-request-failed") if l["port"] == number]), 1)


def test_denials_do_not_flood_the_log():
    """A guest that asks for another host each time: a worker says so many times a minute, and no more."""
    for wasm in FETCH:
        with serving(wasm, "--workers", "1") as s, concurrent.futures.ThreadPoolExecutor(8) as pool:
            eq({a.text for a in pool.map(lambda i: curl(f"{s.url}/http?h{i}.example.org"), range(200))}, {DENIED})
            eq(len(s.events("outgoing-request-denied")), 64)


# ---- granted folders -----------------------------------------------------------------------------------------------------

COMMANDS = [os.path.join(ROOT, "tests", "guests", n) for n in ("cli.wasm", "cli3.wasm")]


def test_files_only():
    """No device, FIFO or socket in a granted folder is opened, by whatever interface, and nobody waits for one."""
    root = tempfile.mkdtemp(dir=WORK)
    os.mkfifo(root + "/fifo")
    names = ["fifo", "socket", "link"]
    os.symlink("fifo", root + "/link")
    own = socket.socket(socket.AF_UNIX)
    here = os.getcwd()
    os.chdir(root)
    own.bind("socket")
    own.listen()
    os.chdir(here)
    with contextlib.suppress(PermissionError):
        os.mknod(root + "/null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        names.append("null")
    for name in names:
        code, out, errors = orlo("run", guest("files"), "--dir", root + "::/", "--", f"read:3:{name}", f"write:3:{name}:x", timeout=PATIENCE_S)
        eq((name, code, out, errors), (name, 0, "errno 63\nerrno 63\n", ""))
        for wasm, error in zip(COMMANDS, (31, 30)):
            code, out, errors = orlo("run", wasm, "--dir", root + "::/", "--", f"read:{name}", f"write:{name}:x", timeout=PATIENCE_S)
            eq((wasm, name, code, out, errors), (wasm, name, 0, f"error {error}\n" * 2, ""))
    with serving(guest("files"), "--dir", root + "::/", "--workers", "1") as s:
        eq(curl(s.url + "/?read:3:fifo").text, "errno 63\n")


def test_nothing_of_the_kernel():
    """A folder of proc is not granted, and one that is mounted beneath a granted folder stays shut: a worker's memory is a "file" there."""
    for command in ("run", "serve"):
        code, out, errors = orlo(command, guest("files"), "--dir", "/proc/self::/p")
        eq((code, out, len(errors.splitlines())), (77, "", 1))
        has(errors, "/proc/self cannot be granted", "kernel")
    root = tempfile.mkdtemp(dir=WORK)
    os.mkdir(root + "/inner")
    mount = ["unshare", "-rm", "sh", "-c", 'mount --rbind /proc "$1" && shift && exec "$@"', "sh", root + "/inner"]
    if not shutil.which("unshare") or subprocess.run([*mount, "true"], capture_output=True).returncode:
        raise Skip("needs unshare -rm")
    p = subprocess.run([*mount, ORLO, "run", guest("files"), "--dir", root + "::/", "--", "read:3:inner/self/mem", "read:3:inner/self/environ",
                        "write:3:inner/self/oom_score_adj:0", "read:3:inner/self/root/etc/passwd", "mkdir:3:inner/x"], capture_output=True, timeout=60)
    eq((p.returncode, p.stderr), (0, b""))
    check(all(l in ("errno 63", "errno 32") for l in p.stdout.decode().splitlines()), p.stdout)


# ---- names of different trust -------------------------------------------------------------------------------------------


def variables(port, request):
    answer = raw(port, request)
    check(answer.startswith(b"HTTP/1.1 200"), answer)
    return [tuple(l.split("=", 1)) for l in answer.decode().split("\r\n\r\n", 1)[1].splitlines()]


def test_cgi_names_have_one_owner():
    """The gateway's variables, the operator's, the client's, in this order; no name twice, whatever a client spells."""
    flags = [w for pair in ("HTTP_X_ROLE=operator", "HTTP_PROXY=http://mine", "REQUEST_METHOD=DELETE", "CONTENT_LENGTH=77", "HTTPS=on", "REMOTE_ADDR=10.0.0.1",
                            "HTTP_X_REQUEST_ID=fixed", "TOKEN=t", "HTTP_HOST=operators") for w in ("--env", pair)]
    with serving(guest("cgi"), "--workers", "1", *flags) as s:
        got = variables(s.port, b"GET https://evil.example:99/env?q HTTP/1.1\r\nHost: h:1234\r\nX-Role: client\r\nX-Role: two\r\nX-Request-Id: 1\r\n"
                                b"x-request-id: 2\r\nX_Request_Id: 3\r\nX_Role: client\r\nProxy: http://evil\r\nTOKEN: evil\r\nX-Two: 1\r\nx-two: 2\r\n"
                                b"Https: on\r\nContent-Type: a/a\r\nContent-Type: b/b\r\nCookie: a\r\nCookie: b\r\nConnection: close\r\n\r\n")
        eq(len(got), len(dict(got)))
        got = dict(got)
        want = {"HTTP_X_ROLE": "operator", "HTTP_PROXY": "http://mine", "REQUEST_METHOD": "GET", "CONTENT_LENGTH": None, "HTTPS": None, "REMOTE_ADDR": "127.0.0.1",
                "TOKEN": "t", "HTTP_TOKEN": "evil", "HTTP_X_TWO": "1, 2", "HTTP_COOKIE": "a; b", "CONTENT_TYPE": "a/a", "REQUEST_SCHEME": "http",
                "SERVER_PORT": str(s.port), "SERVER_NAME": "evil.example", "HTTP_HOST": "operators", "HTTP_HTTPS": "on",
                "HTTP_X_REQUEST_ID": s.wait_event("request")["request"]}
        for k, v in want.items():
            eq((k, got.get(k)), (k, v))
    with serving(guest("cgi"), "--workers", "1") as s:
        got = dict(variables(s.port, b"GET http://one.example/env HTTP/1.1\r\nHost: two.example\r\nProxy: http://evil\r\nConnection: close\r\n\r\n"))
        eq((got["HTTP_HOST"], got["SERVER_NAME"], got.get("HTTP_PROXY")), ("one.example", "one.example", None))


def test_request_id_is_the_gateways():
    """What a component finds in x-request-id is the id in the log, not what a client sends."""
    with serving(os.path.join(ROOT, "tests", "guests", "http3.wasm"), "--workers", "1") as s:
        answer = raw(s.port, b"GET /fields HTTP/1.1\r\nHost: a\r\nX-Request-Id: one\r\nA: b\r\nx-request-id: two\r\nConnection: close\r\n\r\n")
        ident = s.wait_event("request")["request"]
        eq((answer.count(ident.encode()), b"one" in answer, b"two" in answer), (1, False, False))


def test_malformed_body_of_a_program():
    """A chunked body that is none is answered 400, or the connection is cut if the answer has begun: no program's 200 stands for it."""
    with serving(guest("cgi"), "--workers", "1", "--max-body", "3M") as s:
        with attacked(s, "/hello"):
            head = b"POST /%s HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            for path in (b"echo", b"env", b"nothing", b"trap"):
                for body in (b"5\r\nhello\r\nXYZ\r\n", b"5\r\nhelloX", b"-1\r\n", b"ffffffffffffffffff\r\n"):
                    check(raw(s.port, head % path + body).startswith(b"HTTP/1.1 400 "), path, body)
            has(s.wait_event("request-refused", count=16, status=400)["reason"], "malformed")
            long = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
            answer = raw(s.port, head % b"echo" + 2 * long + b"XYZ\r\n")
            check(answer.startswith(b"HTTP/1.1 400 ") or not answer.endswith(b"0\r\n\r\n"), answer[:100], answer[-20:])
            answer = raw(s.port, head % b"echo" + 4 * long + b"0\r\n\r\n")
            check(answer.startswith(b"HTTP/1.1 413 ") or not answer.endswith(b"0\r\n\r\n"), answer[:100], answer[-20:])
        eq(s.events("guest-failed"), [])
        eq(curl(s.url + "/echo", data=b"fine").text, "fine")


def test_redirects_in_circles():
    """A program that redirects to itself for ever costs eleven runs, not a worker; what it writes besides goes nowhere."""
    with serving(guest("cgi"), "--workers", "1", "--max-instances", "3") as s:
        with attacked(s, "/hello"), concurrent.futures.ThreadPoolExecutor(8) as pool:
            eq({a.status for a in pool.map(lambda i: curl(s.url + ("/circle", "/redirect?9")[i % 2]), range(40))}, {200, 500})
        eq({e["reason"] for e in s.events("guest-failed")}, {"the guest redirects in a circle"})


# ---- connections -----------------------------------------------------------------------------------------------------------


def test_idle_connections_keep_nobody_out():
    """As many idle or silent connections as a worker takes, and new clients are answered all the same."""
    with serving(guest("cgi"), "--workers", "1", "--max-connections", "20", "--idle-timeout", "10m", "--header-timeout", "10m") as s:
        for said in (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"", b"GET / HTTP/1.1\r\nHost: a\r\nX: "):
            held = [socket.create_connection(("127.0.0.1", s.port), timeout=PATIENCE_S) for _ in range(20)]
            for c in held:
                c.sendall(said)
                if said.endswith(b"\r\n\r\n"):
                    check(c.recv(65536).startswith(b"HTTP/1.1 200"))
            with attacked(s):
                for _ in range(30):
                    eq(curl(s.url + "/", timeout=PATIENCE_S).status, 200)
            for c in held:
                c.close()
        eq([r for r in s.events("request") if r["status"] != 200], [])


def test_tls_on_a_plain_port():
    """Whoever comes with https:// is told so, in the log too."""
    with serving(guest("cgi"), "--workers", "1") as s:
        answer = raw(s.port, bytes.fromhex("16030102000100") + b"\x01\xfc\x03\x03" + b"r" * 40)
        has(answer, b"HTTP/1.1 400 ", b"this port speaks plain HTTP, not TLS; use http://")
        has(s.wait_event("request-refused", status=400)["reason"], "use http://")
        check(curl(s.url.replace("http:", "https:")).code != 0)
