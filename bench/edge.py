"""The edge of a node beside nginx: ./dev bench edge, or one part: edge-hello edge-files edge-handshakes edge-beside edge-idle edge-download edge-cache edge-websocket. Called by run.py, whose rows these are.

Both serve the same bytes with the same certificate (ECDSA P-256) and the same cipher (TLS_AES_128_GCM_SHA256), each with one worker on the first core, by turns, and the median of the
rounds' ratios counts. CPU is that of all of a server's processes, so of the role that has the keys, too. What this program has no part for yet is skipped by name: a measurement says so by bench.Absent."""
import contextlib, http.client, os, re, resource, select, shutil, socket, ssl, statistics, subprocess, sys, time

bench = sys.modules["__main__"]
import dialect, node as nodes, store as stores

ROUNDS = 5
CIPHER = "TLS_AES_128_GCM_SHA256"
HELLO = "Hello from C /\n"  # what the guest says
SIZES = {"1 KB": 1024, "100 KB": 100 << 10}

# ---- who is measured ------------------------------------------------------------------------------------------------------


def certificate():
    """(certificate, key) for localhost and what is below it."""
    cert, key = (os.path.join(bench.WORK, "edge-" + n) for n in ("cert.pem", "key.pem"))
    if not os.path.exists(cert):
        stores.run(bench.need("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30", "-subj", "/CN=localhost",
                   "-addext", "subjectAltName=DNS:localhost,DNS:*.localhost", "-keyout", key, "-out", cert)
    return cert, key


def files():
    """A folder of the files that both serve: of bytes that no coding makes smaller."""
    folder = os.path.join(bench.WORK, "edge-public")
    if not os.path.exists(folder):
        os.makedirs(folder)
        for n in SIZES.values():
            with open(os.path.join(folder, f"{n}.bin"), "wb") as f:
                f.write(os.urandom(n))
    return folder


GUEST = r"""
#include "p1.h"
static char bytes[65536];
__attribute__((export_name("_start"))) void start(void) {
    load_environ();
    int mib = 0; /* ?N: so many MiB; none: what a cache may keep */
    for (const char *q = variable("QUERY_STRING"); *q >= '0' && *q <= '9'; q++) mib = mib * 10 + *q - '0';
    put(1, mib ? "Content-Type: application/octet-stream\n\n" : "Content-Type: text/plain\nCache-Control: public, max-age=3600\n\n");
    for (int i = 0; i < 1024; i++) bytes[i] = 'x';
    if (!mib) put_bytes(1, bytes, 1024);
    for (int i = 0; i < mib * 16; i++) put_bytes(1, bytes, sizeof bytes);
}
"""


def guest():
    """A CGI guest of this benchmark's own."""
    source, wasm = (os.path.join(bench.WORK, "edge-guest." + e) for e in ("c", "wasm"))
    if not os.path.exists(wasm):
        bench.need("clang"), bench.need("wasm-ld")
        with open(source, "w", encoding="utf-8") as f:
            f.write(GUEST)
        stores.run("clang", "--target=wasm32", "-O2", "-mbulk-memory", "-nostdlib", "-Wl,--no-entry", "-I", os.path.join(bench.ROOT, "tests", "guests"), "-o", wasm, source)
    return wasm


class Edge(nodes.Node):
    """A node with an address for each way to speak to it. `tls`: with one for TLS."""

    def __init__(self, name, tls=False, workers=1, config="", pin=True):
        self.state, self.name = os.path.join(bench.WORK, "state-" + name), name
        self.port, self.tls_port = bench.free_port(), bench.free_port()
        path = os.path.join(bench.WORK, name + ".toml")
        cert, key = certificate()
        with open(path, "w", encoding="utf-8") as f:
            more = f', {{ address = "127.0.0.1:{self.tls_port}", tls = true }}' if tls else ""
            f.write(f'listen = ["127.0.0.1:{self.port}"{more}]\n{config}' + (f'[tls]\ncertificates = [{{ cert = "{cert}", key = "{key}" }}]\n' if tls else ""))
        self.log = open(os.path.join(bench.WORK, name + ".log"), "wb")
        command = [bench.ORLO, "node", "--state", self.state, "--config", path, "--workers", str(workers), "--no-access-log"]
        pinned = ["taskset", "-c", bench.SERVER_CORE] if pin and shutil.which("taskset") else []
        self.proc = subprocess.Popen([*pinned, *command], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, start_new_session=True)
        began = time.monotonic()
        while not self.listens():
            if self.proc.poll() is not None or time.monotonic() - began > 60:
                said = open(self.log.name, errors="replace").read()
                self.stop()
                if tls and "tls" in said:
                    raise bench.Absent("this node speaks no TLS: " + said.strip().split(".toml:")[-1][:120])
                raise RuntimeError(f"{name} does not start: " + said[-600:])
            time.sleep(0.002)

    def put_files(self, name):
        folder = os.path.join(bench.WORK, "app-" + name)
        if not os.path.exists(folder):
            os.makedirs(folder)
            shutil.copytree(files(), os.path.join(folder, "public"))
            with open(os.path.join(folder, "orlo.toml"), "w", encoding="utf-8") as f:
                f.write(f'name = "{name}"\n[[files]]\nroute = "/"\nfolder = "public"\n')
        stores.run(bench.ORLO, "deploy", folder, "--state", self.state)

    def url(self, way, app, path):
        return f"{'https' if way.tls else 'http'}://{app}.localhost:{self.tls_port if way.tls else self.port}{path}"


class Nginx(bench.Server):
    def __init__(self):
        self.port, self.h2c_port, self.tls_port = (bench.free_port() for _ in range(3))
        cert, key = certificate()
        w, conf = bench.WORK, os.path.join(bench.WORK, "edge-nginx.conf")
        temp = " ".join(f"{k}_temp_path {w};" for k in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        where = f"""location = / {{ return 200 "{HELLO.strip()}\\n"; }} location / {{ root {files()}; }}
        location = /cached {{ proxy_pass http://127.0.0.1:{self.port}/{SIZES["1 KB"]}.bin; proxy_cache kept; proxy_cache_valid 200 1h; }}"""
        with open(conf, "w", encoding="utf-8") as f:
            f.write(f"""daemon off; worker_processes 1; master_process off; pid {w}/edge-nginx.pid; error_log {w}/edge-nginx-error.log;
events {{ worker_connections 30000; }}
http {{ access_log off; keepalive_requests 100000000; keepalive_timeout 3600s; default_type text/plain; {temp}
    sendfile on; tcp_nopush on; open_file_cache max=1000 inactive=1h; open_file_cache_valid 1h; proxy_cache_path {w}/edge-cache keys_zone=kept:10m;
    server {{ listen 127.0.0.1:{self.port}; {where} }}
    server {{ listen 127.0.0.1:{self.h2c_port} http2; {where} }}
    server {{ listen 127.0.0.1:{self.tls_port} ssl http2; ssl_certificate {cert}; ssl_certificate_key {key}; ssl_protocols TLSv1.3; ssl_conf_command Ciphersuites {CIPHER}; {where} }}
}}
""")
        super().__init__("edge-nginx", [bench.need("nginx"), "-c", conf], self.port)

    def url(self, way, app, path):
        port = self.tls_port if way.tls else self.h2c_port if way.h2 else self.port
        return f"{'https' if way.tls else 'http'}://{app}.localhost:{port}{path}"


class Way:
    """How a client speaks: requests of `streams` at once on each of `connections`; alone: a connection for each request."""

    def __init__(self, name, tls, h2, connections=8, streams=1, alone=False):
        self.name, self.tls, self.h2, self.connections, self.streams, self.alone = name, tls, h2, connections, streams, alone


H1 = Way("HTTP/1.1", False, False, 32)
H1_ALONE = Way("HTTP/1.1, a connection each", False, False, alone=True)
H1_TLS = Way("HTTP/1.1, TLS 1.3", True, False, 32)
H1_TLS_ALONE = Way("HTTP/1.1, TLS 1.3, a connection each", True, False, alone=True)
H2C, H2C_FEW = Way("h2 without TLS", False, True, 8, 10), Way("h2 without TLS, one stream at a time", False, True)
H2, H2_FEW = Way("h2, TLS 1.3", True, True, 8, 10), Way("h2, TLS 1.3, one stream at a time", True, True)
H2_ALONE = Way("h2, TLS 1.3, a connection each", True, True, alone=True)


def h2load(server, way, app, path, n):
    """µs of the server's CPU for each of n requests."""
    pinned = ["taskset", "-c", bench.LOAD_CORE] if shutil.which("taskset") else []
    many = ["-c", str(n), "-r", str(min(300, n))] if way.alone else ["-c", str(way.connections), "-m", str(way.streams)]
    url = re.sub(r"//[^:/]+:(\d+)", rf"//{app}.localhost:\1", server.url(way, app, path))
    port = re.search(r":(\d+)/", url)[1]
    pids = server.pids()
    before = dialect.spent_ms(pids)
    out = stores.run(*pinned, bench.need("h2load"), "-n", str(n), *many, "--tls13-ciphers", CIPHER, *([] if way.h2 else ["--h1"]), "--connect-to", f"127.0.0.1:{port}", url, timeout=300)
    spent = dialect.spent_ms(pids) - before
    if f"{n} 2xx" not in out:
        raise RuntimeError(f"{server.name}, {way.name}{path}: " + " ".join(l for l in out.splitlines() if l.startswith(("requests:", "status codes:"))))
    if way.tls and CIPHER not in out:
        raise RuntimeError(f"{server.name} chose another cipher: " + "".join(re.findall(r"Cipher: .*", out)))
    return spent * 1000 / n


def beside(ours, peer, way, app, path, n, peer_path=None, rounds=ROUNDS):
    """Rounds of (our µs a request, nginx')."""
    both = ((ours, path), (peer, peer_path or path))
    for s, p in both:
        h2load(s, way, app, p, max(n // 10, 10))
    return [tuple(h2load(s, way, app, p, n) for s, p in both) for _ in range(rounds)]


def row(what, rounds, bar, end=None, unit="µs"):
    mid = lambda i: statistics.median(r[i] for r in rounds)
    bench.row("edge", what + ", × nginx", statistics.median(a / b for a, b in rounds), "×", bar, end, note=f"{mid(0):.1f} to {mid(1):.1f} {unit}")


@contextlib.contextmanager
def both(name, tls):
    with Edge("edge-" + name, tls) as ours, Nginx() as peer:
        yield ours, peer


def with_and_without(name, fn):
    """FN(ours, peer, tls), of a node without TLS, and of one with it where that is to be had."""
    for tls in (False, True):
        try:
            with both(name, tls) as (ours, peer):
                fn(ours, peer, tls)
        except bench.Absent as e:
            bench.skipped("edge", name + (" over TLS" if tls else ""), str(e))


# ---- measurements -----------------------------------------------------------------------------------------------------------


def hello():
    def of(ours, peer, tls):
        ours.deploy("hello", nodes.guest_of("raw"))
        for way in (H1_TLS, H2, H2_FEW, H1_TLS_ALONE, H2_ALONE) if tls else (H2C, H2C_FEW, H1):
            n = 600 if way.alone else 60_000 if way.streams > 1 else 20_000
            row("hello, " + way.name, beside(ours, peer, way, "hello", "/", n), None if way is H1 else 1.5, None if way is H1 else 1.25)

    with_and_without("hello", of)


def static():
    def of(ours, peer, tls):
        ours.put_files("site")
        for way in (H1_TLS, H2) if tls else (H1, H2C):
            for size, n in SIZES.items():
                row(f"a file of {size}, {way.name}", beside(ours, peer, way, "site", f"/{n}.bin", 20_000 if n < 9999 else 3000), 1.2)
        for size, n in SIZES.items() if not tls else ():
            row(f"a file of {size}, {H1_ALONE.name}", beside(ours, peer, H1_ALONE, "site", f"/{n}.bin", 2000), 1.2)

    with_and_without("files", of)


def handshakes():
    """Whole ones, of connections that are resumed by no ticket: how many a second of CPU."""
    bench.need("openssl")

    def a_second(server):
        pids = server.pids()
        before = dialect.spent_ms(pids)
        out = stores.run("openssl", "s_time", "-connect", f"127.0.0.1:{server.tls_port}", "-new", "-tls1_3", "-ciphersuites", CIPHER, "-time", "2", timeout=60)
        return int(re.search(r"(\d+) connections in", out)[1]) / (dialect.spent_ms(pids) - before) * 1000

    with both("handshakes", True) as (ours, peer):
        ours.deploy("hello", nodes.guest_of("raw"))
        rounds = [(a_second(ours), a_second(peer)) for _ in range(ROUNDS)]
        mid = lambda i: statistics.median(r[i] for r in rounds)
        bench.row("edge", "whole handshakes of TLS 1.3 a second of CPU, × nginx", statistics.median(a / b for a, b in rounds), "×", 0.8, least=True, note=f"{mid(0):.0f} to {mid(1):.0f}")


def beside_handshakes():
    """p99 of hello at half load, alone and beside 200 new connections of TLS a second, by turns; on two cores."""
    bench.need("wrk")
    with Edge("edge-beside", True, workers=2, pin=False) as s:
        s.deploy(nodes.VICTIM, nodes.guest_of("raw"))
        half, alone, busy = nodes.at_half(s, nodes.wrk(s, nodes.VICTIM, nodes.CONNECTIONS, 2)["rps"]), [], []
        for _ in range(ROUNDS):
            alone.append(nodes.wrk(s, nodes.VICTIM, nodes.CONNECTIONS, 3, *half)["p99"])
            shakes = subprocess.Popen([bench.need("h2load"), "-n", "900", "-c", "900", "-r", "2", "--rate-period", "10ms", "--connect-to", f"127.0.0.1:{s.tls_port}",
                                       f"https://{nodes.VICTIM}.localhost:{s.tls_port}/"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            time.sleep(0.5)
            busy.append(nodes.wrk(s, nodes.VICTIM, nodes.CONNECTIONS, 3, *half)["p99"])
            said = shakes.communicate(timeout=60)[0]
            if "900 2xx" not in said:
                raise RuntimeError("not all handshakes were done: " + said[-300:])
        bench.row("edge", "p99 of hello beside 200 handshakes of TLS 1.3 a second, × alone", statistics.median(b / a for a, b in zip(alone, busy)), "×", 2,
                  note=f"{statistics.median(alone) / 1000:.2f} to {statistics.median(busy) / 1000:.2f} ms")


IDLE = 10_000


def held(server, tls):
    """Sockets that rest: of TLS, their clients' side of it forgotten."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    start = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
    out = []
    for i in range(IDLE):
        s = socket.create_connection(("127.0.0.1", server.tls_port if tls else server.port), 60)
        if tls:
            w = context.wrap_socket(s, server_hostname="hello.localhost")
            w.sendall(start)
            w.recv(4096)
            s = socket.socket(fileno=w.detach())
        else:
            s.sendall(start)
            s.recv(4096)
        out.append(s)
    return out


def idle():
    """What all of a node holds with so many connections of h2 that have said hello and are silent."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < IDLE + 1000:
        raise bench.Absent(f"this system lets a process have {hard} open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, IDLE + 1000), hard))
    for tls in (False, True):
        what = f"{IDLE:,} idle connections of h2" + (", TLS 1.3" if tls else " without TLS")
        try:
            with Edge("edge-idle", tls, config="connections = 20000\nidle_timeout_ms = 600000\n") as s:
                s.deploy("hello", nodes.guest_of("raw"))
                before = nodes.pss_kib(s.pids())
                open_ones = held(s, tls)
                time.sleep(1)
                after = nodes.pss_kib(s.pids())
                bench.row("edge", what + ", the node in all", after / 1024, "MiB", 400e6 / 2**20, note=f"{(after - before) / IDLE:.1f} KiB each; nobody connected: {before / 1024:.0f} MiB")
                for c in open_ones:
                    c.close()
        except bench.Absent as e:
            bench.skipped("edge", what, str(e))


def peak_kib(pids):
    return sum(bench.memory_kib(p, "status", "VmHWM") for p in pids)


def download():
    """What a worker has held at most after a download of 1 GiB, more than after one of 64 MiB."""
    def of(ours, peer, tls):
        way = H2 if tls else H2C
        ours.deploy("large", guest(), "--timeout", "600s")

        def take(mib):
            url = ours.url(way, "large", f"/?{mib}")
            version = ["-k", "--http2"] if tls else ["--http2-prior-knowledge"]
            got = stores.run(bench.need("curl"), "-s", *version, "--resolve", f"large.localhost:{ours.tls_port if tls else ours.port}:127.0.0.1", "-o", "/dev/null", "-w", "%{http_code} %{size_download} %{http_version}", url, timeout=600)
            if got != f"200 {mib << 20} 2":
                raise RuntimeError("a download ended as " + got)
            return peak_kib(ours.workers())

        small = take(64)
        bench.row("edge", f"a download of 1 GiB, {way.name}: a worker's peak, more than of 64 MiB", (take(1024) - small) / 1024, "MiB", 4, note=f"{small / 1024:.0f} MiB at the peak")

    with_and_without("download", of)


def cache():
    """What a shared cache may keep, of a guest, that has been asked for before: beside nginx' proxy_cache of the same size."""
    def of(ours, peer, tls):
        ours.deploy("cached", guest())
        for _ in range(3):
            c = http.client.HTTPConnection("127.0.0.1", ours.port, timeout=60)
            c.request("GET", "/kept", headers={"Host": "cached.localhost"})
            r = c.getresponse()
            r.read()
        if r.getheader("age") is None and r.getheader("cache-status") is None:
            raise bench.Absent("this node keeps no responses")
        for way in (H2, H1_TLS) if tls else (H1, H2C):
            row(f"a cache's hit of 1 KB, {way.name}", beside(ours, peer, way, "cached", "/kept", 20_000, "/cached"), 1.3)

    with_and_without("cache", of)


WEBSOCKETS = 20_000


def open_files(n):
    """How many of n this system lets a process have; a node has some of its own."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    have = n if hard == resource.RLIM_INFINITY else min(n, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, have), hard))
    return have


def websocket():
    """Connections that each say 32 bytes a second and get them back, from a guest that holds many of them: a worker's processor time, and what each holds."""
    count = min(WEBSOCKETS, open_files(WEBSOCKETS + 4000) - 1000)
    wasm = os.path.join(bench.ROOT, "tests", "guests", "echo3.wasm")
    frame = bytes([0x82, 0x80 | 32, 1, 2, 3, 4]) + bytes(range(32))
    ask = b"GET / HTTP/1.1\r\nHost: echo.localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    folder = os.path.join(bench.WORK, "app-echo")
    os.makedirs(folder, exist_ok=True)
    shutil.copy(wasm, folder)
    with open(os.path.join(folder, "orlo.toml"), "w", encoding="utf-8") as f:
        f.write('name = "echo"\nlimits = { websockets = 30000, websocket_ping_ms = 3600000, instance_concurrency = 900, instance_requests = 1000000, instances = 200, concurrency = 30000 }\n[functions.main]\nsource = "echo3.wasm"\n')
    with Edge("edge-websocket", config="connections = 30000\n") as s:
        stores.run(bench.ORLO, "deploy", folder, "--state", s.state)
        before, sockets, poll = nodes.pss_kib(s.pids()), [], select.epoll()
        for _ in range(count):
            c = socket.create_connection(("127.0.0.1", s.port), 60)
            c.sendall(ask)
            if not c.recv(4096).startswith(b"HTTP/1.1 101"):
                raise RuntimeError(f"after {len(sockets)} WebSockets there were no more")
            c.setblocking(False)
            poll.register(c.fileno(), select.EPOLLIN)
            sockets.append(c)
        by_fd = {c.fileno(): c for c in sockets}
        slices, echoed, began, said = 100, 0, time.monotonic(), 0
        spent = took = None
        while said < 12 * slices:  # the first two seconds are not counted
            if said == 2 * slices:
                spent, echoed, took = bench.cpu_ms_so_far(s.pids()), 0, time.monotonic()
            for c in sockets[said % slices::slices]:
                c.send(frame)
            said += 1
            while (left := began + said / slices - time.monotonic()) > 0 or not left:
                for fd, _ in poll.poll(max(left, 0)):
                    echoed += len(by_fd[fd].recv(4096)) // 34
        took = time.monotonic() - took
        spent = bench.cpu_ms_so_far(s.pids()) - spent
        kib = (nodes.pss_kib(s.pids()) - before) / count
        each_us = spent * 1000 / echoed  # where others hold the machine, fewer come back: what one costs counts
        bench.row("edge", f"{WEBSOCKETS:,} WebSockets that echo once a second, through a guest" + (f" (by {count:,})" if count < WEBSOCKETS else ""), each_us * WEBSOCKETS / 1e4, "% of a core", 60, note=f"{echoed / took:.0f} messages a second, {each_us:.1f} µs each; {kib:.1f} KiB a connection, guest included")
        for c in sockets:
            c.close()


PARTS = {"hello": hello, "files": static, "handshakes": handshakes, "beside": beside_handshakes, "idle": idle, "download": download, "cache": cache, "websocket": websocket}


def measure(name):
    for part, fn in PARTS.items():
        if name in ("edge", "edge-" + part):
            try:
                fn()
            except bench.Absent as e:
                bench.skipped("edge", part, str(e))
            except (RuntimeError, OSError, subprocess.SubprocessError) as e:  # the others are measured all the same
                bench.skipped("edge", part, f"it failed: {e}")
