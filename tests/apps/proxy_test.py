"""A proxy before the node: where a request comes from is what a proxy says that is trusted, in a PROXY header or in fields, and nothing that a
client says."""
import socket, struct, subprocess, time

import http2
from harness import *
from nodes import *

HTTP3 = os.path.join(ROOT, "tests", "guests", "http3.wasm")
V2 = b"\r\n\r\n\0\r\nQUIT\n"


def v2(source, port=5000):
    return V2 + b"\x21\x11\0\x0c" + socket.inet_aton(source) + socket.inet_aton("127.0.0.1") + struct.pack(">HH", port, 80)


def ask(port, head, path="/env", pieces=1, fields=b""):
    """What is answered to head and a request behind it, sent in so many pieces."""
    sent = head + b"GET %s HTTP/1.1\r\nHost: x\r\n%sConnection: close\r\n\r\n" % (path.encode(), fields)
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as c:
        got = b""
        with contextlib.suppress(ConnectionError):
            step = max(len(sent) // pieces, 1)
            for i in range(0, len(sent), step):
                c.sendall(sent[i : i + step])
                if pieces > 1:
                    pace(0.002)
            while piece := c.recv(1 << 16):
                got += piece
    return got.decode("latin-1")


def variables(answer):
    return dict(line.split("=", 1) for line in answer.partition("\r\n\r\n")[2].splitlines() if "=" in line)


def test_proxy_protocol():
    with serving(guest("cgi"), "--workers", "1", "--proxy-protocol", "--trusted-proxy", "127.0.0.0/8") as s:
        heads = {"192.0.2.9": b"PROXY TCP4 192.0.2.9 127.0.0.1 5000 80\r\n", "2001:db8::9": b"PROXY TCP6 2001:db8::9 ::1 5000 80\r\n",
                 "203.0.113.4": v2("203.0.113.4"), "127.0.0.1": b"PROXY UNKNOWN\r\n"}
        for client, head in heads.items():
            for pieces in (1, 50):
                eq((client, variables(ask(s.port, head, pieces=pieces)).get("REMOTE_ADDR")), (client, client))
            s.wait_event("request", client=client)
        eq(variables(ask(s.port, V2 + b"\x20\0\0\0")).get("REMOTE_ADDR"), "127.0.0.1")  # the proxy's own
        # A second request of the connection comes from there as well, and a second header is none.
        with socket.create_connection(("127.0.0.1", s.port), timeout=PATIENCE_S) as c:
            c.sendall(heads["192.0.2.9"] + b"GET /env HTTP/1.1\r\nHost: x\r\n\r\n" * 2 + heads["192.0.2.9"])
            got = b""
            while piece := c.recv(1 << 16):
                got += piece
        eq((got.count(b"REMOTE_ADDR=192.0.2.9\n"), got.count(b"HTTP/1.1 400")), (2, 1))


def test_proxy_protocol_broken():
    """Who says no header, or a broken one, gets no answer; who says nothing is not waited for."""
    with serving(guest("cgi"), "--workers", "1", "--proxy-protocol", "--trusted-proxy", "127.0.0.1", "--header-timeout", "500ms") as s:
        for head in (b"", b"PROXY TCP4 192.0.2.9\r\n", b"PROXY TCP4 192.0.2.9 127.0.0.1 5000 80 \r\n", b"PROXY " + b"x" * 200 + b"\r\n",
                     V2 + b"\x21\x11\xff\xff" + bytes(70000), V2 + b"\x31\x11\0\0", b"\x16\3\1"):
            eq((head[:40], ask(s.port, head)), (head[:40], ""))
        for half in (b"", b"PROXY TCP4 192.0.2.9 127.", V2[:7]):
            with socket.create_connection(("127.0.0.1", s.port), timeout=PATIENCE_S) as c:
                c.sendall(half)
                with contextlib.suppress(ConnectionError):
                    check(b"200" not in c.recv(1 << 16), half)
        eq(variables(ask(s.port, v2("192.0.2.1"))).get("REMOTE_ADDR"), "192.0.2.1")


def tlv(kind, value):
    return bytes([kind]) + struct.pack(">H", len(value)) + value


def v2_tls(source, flags=1):
    more = tlv(0x20, bytes([flags, 0, 0, 0, 0])) + tlv(2, b"a.localhost") + tlv(1, b"h2")
    head = v2(source)
    return head[:14] + struct.pack(">H", 12 + len(more)) + head[16:] + more


def test_proxy_protocol_of_tls():
    """A proxy that ends TLS says so: for HTTP/1.1, HTTP/2 and apps of other cordons. A stranger's word is none."""
    path = file_of("cordons.toml", b'[cordons.own]\napps = ["far"]\n')
    with node("--workers", "1", "--config", path, "--proxy-protocol", "--trusted-proxy", "127.0.0.1") as n:
        for app in ("near", "far"):
            n.deploy(app, guest("cgi"))
        for app in ("near", "far"):
            for head, https in ((v2_tls("192.0.2.9"), True), (v2_tls("192.0.2.9", 0), False), (v2("192.0.2.9"), False), (b"PROXY TCP4 192.0.2.9 127.0.0.1 5000 80\r\n", False)):
                with socket.create_connection(("127.0.0.1", n.port), PATIENCE_S) as s:
                    s.sendall(head + b"GET /env HTTP/1.1\r\nHost: %s.localhost\r\nConnection: close\r\n\r\n" % app.encode())
                    got = b""
                    while piece := s.recv(1 << 16):
                        got += piece
                v = variables(got.decode("latin-1"))
                eq((app, v.get("REMOTE_ADDR"), "HTTPS" in v), (app, "192.0.2.9", https))
                s = socket.create_connection(("127.0.0.1", n.port), PATIENCE_S)
                s.sendall(head)
                with http2.Client(n.port, sock=s) as c:
                    v = variables("\r\n\r\n" + c.get("/env", authority=f"{app}.localhost").body.decode("latin-1"))
                eq((app, "h2", v.get("REMOTE_ADDR"), "HTTPS" in v), (app, "h2", "192.0.2.9", https))
        odd = v2("192.0.2.9")
        eq(ask(n.port, odd[:14] + struct.pack(">H", 14) + odd[16:] + b"\x20\0"), "")  # what it says besides does not come out even
    with node("--workers", "1", "--proxy-protocol", "--trusted-proxy", "192.0.2.0/24") as n:
        eq(ask(n.port, v2_tls("192.0.2.1")), "")


def test_proxy_protocol_is_for_those_who_are_trusted():
    with serving(guest("cgi"), "--workers", "1", "--proxy-protocol", "--trusted-proxy", "192.0.2.0/24") as s:
        eq(ask(s.port, v2("192.0.2.1")), "")
        eq(ask(s.port, b""), "")
        s.wait_event("request-refused", client="127.0.0.1")
    code, _, error = orlo("serve", guest("cgi"), "--proxy-protocol")
    check(code == 64 and "--trusted-proxy" in error, code, error)
    with serving(guest("cgi"), "--workers", "1", "--trusted-proxy", "127.0.0.1") as s:  # where it is not configured it is nothing
        has(ask(s.port, b"PROXY TCP4 192.0.2.9 127.0.0.1 5000 80\r\n"), " 400 ")


def fields_of(answer):
    return [line.partition("=")[0].lower() for line in answer.partition("\r\n\r\n")[2].splitlines() if "=" in line]


SPOOFED = (b"X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil.example\r\nX-Forwarded-Port: 8443\r\n"
           b"X-Real-IP: 203.0.113.9\r\nForwarded: for=203.0.113.8;proto=https;host=evil.example\r\n")


def test_forwarded_of_strangers_is_nothing():
    """Neither in the log, nor for routing, nor for a guest."""
    for trusted in ((), ("--trusted-proxy", "192.0.2.0/24")):
        with node("--workers", "1", *trusted) as n:
            n.deploy("here", HTTP3, "--host", "x")
            n.deploy("evil", guest("cgi"), "--host", "evil.example")
            got = ask(n.port, b"", "/fields", fields=SPOOFED + b"X-Other: stays\r\n")
            names = fields_of(got)
            check(" 200 " in got and "x-other" in names, got)
            check(not [f for f in names if "forwarded" in f or f == "x-real-ip"], names)
            n.wait_event("request", app="here", client="127.0.0.1")
        with serving(guest("cgi"), "--workers", "1", *trusted) as s:
            v = variables(ask(s.port, b"", fields=SPOOFED))
            eq((v["REMOTE_ADDR"], v.get("HTTPS"), v["SERVER_NAME"]), ("127.0.0.1", None, "x"))
            check(not [k for k in v if "FORWARDED" in k], v)


def test_forwarded_of_a_proxy():
    with node("--workers", "1", "--trusted-proxy", "127.0.0.1", "--trusted-proxy", "10.0.0.0/8") as n:
        n.deploy("shop", guest("cgi"), "--host", "shop.example.org")
        n.deploy("x", guest("cgi"), "--host", "x")
        for fields, client, host, https in (
            (b"X-Forwarded-For: 1.1.1.1, 203.0.113.9, 10.0.0.4\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: shop.example.org\r\n", "203.0.113.9", "shop.example.org", True),
            (b"X-Forwarded-For: 203.0.113.9\r\n", "203.0.113.9", "x", False),
            (b"X-Forwarded-For: rubbish\r\n", "127.0.0.1", "x", False),
            (b"Forwarded: for=1.1.1.1, for=\"[2001:db8::5]:99\";proto=https;host=shop.example.org\r\n", "2001:db8::5", "shop.example.org", True),
            (b"Forwarded: for=1.1.1.1\r\nX-Forwarded-For: 203.0.113.9\r\n", "203.0.113.9", "x", False),
        ):
            got = ask(n.port, b"", fields=fields)
            v = variables(got)
            eq((fields, v.get("REMOTE_ADDR"), v.get("SERVER_NAME"), "HTTPS" in v), (fields, client, host, https))
            check(not (b"X-Forw" in fields and "HTTP_FORWARDED" in v), v)
        n.wait_event("request", app="shop", client="203.0.113.9")


NGINX = """
daemon off; master_process off; pid %(dir)s/pid; error_log %(dir)s/error.log;
events {}
http {
    access_log off; client_body_temp_path %(dir)s/b; proxy_temp_path %(dir)s/p; fastcgi_temp_path %(dir)s/f; uwsgi_temp_path %(dir)s/u; scgi_temp_path %(dir)s/s;
    server {
        listen 127.0.0.1:%(front)d;
        location / {
            proxy_pass http://127.0.0.1:%(back)d;
            proxy_http_version 1.1;
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Host $host;
            proxy_set_header Forwarded "";
        }
    }
}
"""
STREAM = """
daemon off; master_process off; pid %(dir)s/pid; error_log %(dir)s/error.log;%(load)s
events {}
stream { server { listen 127.0.0.1:%(front)d; proxy_pass 127.0.0.1:%(back)d; proxy_protocol on; } }
"""


@contextlib.contextmanager
def nginx(text, back):
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    if not os.path.exists(program):
        raise Skip("needs nginx")
    folder = tempfile.mkdtemp(prefix="nginx-", dir=WORK)
    front = free_port()
    module = "/usr/lib/nginx/modules/ngx_stream_module.so"
    load = f"\nload_module {module};" if os.path.exists(module) else ""
    conf = file_of(os.path.join(folder, "nginx.conf"), (text % {"dir": folder, "front": front, "back": back, "load": load}).encode())
    if subprocess.run([program, "-t", "-c", conf, "-p", folder], capture_output=True).returncode:
        raise Skip("nginx lacks a module that this needs")
    p = subprocess.Popen([program, "-c", conf, "-p", folder], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: any(port == front and state == "0A" for _, port, _, state, _, _ in sockets()))
        yield front
    finally:
        p.terminate()
        p.wait()


def test_behind_nginx():
    """A client's own fields make nobody else of him, whatever he says."""
    with serving(guest("cgi"), "--workers", "1", "--trusted-proxy", "127.0.0.1") as s, nginx(NGINX, s.port) as front:
        v = variables(ask(front, b""))
        eq((v["REMOTE_ADDR"], v["SERVER_NAME"]), ("127.0.0.1", "x"))
        v = variables(ask(front, b"", fields=b"X-Forwarded-For: 203.0.113.9\r\nForwarded: for=203.0.113.8\r\nX-Forwarded-Proto: https\r\n"))
        eq((v["REMOTE_ADDR"], "HTTPS" in v), ("203.0.113.9", False))  # this client is at a trusted address himself, so what he says of another is believed
        v = variables(ask(front, b"", fields=b"X-Forwarded-For: 203.0.113.9, 198.51.100.3\r\n"))
        eq(v["REMOTE_ADDR"], "198.51.100.3")


def test_behind_nginx_by_proxy_protocol():
    with serving(guest("cgi"), "--workers", "1", "--proxy-protocol", "--trusted-proxy", "127.0.0.1") as s, nginx(STREAM, s.port) as front:
        v = variables(ask(front, b""))
        eq(v["REMOTE_ADDR"], "127.0.0.1")
        check(v["REMOTE_PORT"] != "0" if "REMOTE_PORT" in v else True, v)


def test_external_url():
    """Where a URL is made, it is the one that the world sees."""
    with node("--workers", "1", "--url", "https://apps.example.org/") as n:
        has(n.deploy("shop", guest("cgi")), "https://")
    conf = file_of("proxy.toml", b'listen = [{ address = "127.0.0.1:0", proxy_protocol = true }]\nurl = "https://apps.example.org"\ndomain = "apps.example.org"\ntrusted_proxies = ["127.0.0.0/8"]\n')
    n = Node(new_state(), "--config", conf, listen=None)
    try:
        has(n.deploy("shop", guest("cgi")), "https://shop.apps.example.org/")
        head = v2("192.0.2.77") + b"GET /env HTTP/1.1\r\nHost: shop.apps.example.org\r\nConnection: close\r\n\r\n"
        has(raw(n.port, head).decode(), "REMOTE_ADDR=192.0.2.77")
    finally:
        n.stop()
    for url in ("example.org", "ftp://example.org", "https://", "https://example.org/path"):
        code, _, error = orlo("node", "--url", url, "--state", new_state())
        check(code == 64 and "--url" in error, url, code, error)
