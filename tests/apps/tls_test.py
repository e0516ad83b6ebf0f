"""TLS: who the node is to whom, by whose key; what is agreed on, and what is refused."""
import signal, ssl

from harness import *
from nodes import *


def certificate(folder, name, *names, kind=("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"), days=30):
    """Files of a certificate, signed by itself, and of its key."""
    cert, key = os.path.join(folder, name + ".pem"), os.path.join(folder, name + ".key")
    alt = ",".join(("IP:" if n[0].isdigit() else "DNS:") + n for n in names)
    subprocess.run(["openssl", "req", "-x509", *kind, "-nodes", "-keyout", key, "-out", cert, "-days", str(days), "-subj", "/CN=" + name,
                    "-addext", "subjectAltName=" + alt], check=True, capture_output=True)
    return cert, key


def conf_of(folder, *pairs, more=""):
    rows = ", ".join('{ cert = "%s", key = "%s" }' % p for p in pairs)
    path = os.path.join(folder, "node.toml")
    with open(path, "w") as f:
        f.write('listen = [{ address = "127.0.0.1:0", tls = true }, "127.0.0.1:0"]\n%s\n[tls]\ncertificates = [%s]\n' % (more, rows))
    return path


@contextlib.contextmanager
def tls_node(conf, *flags, state=None):
    n = Node(state or new_state(), "--config", conf, *flags, listen=None)
    n.plain = int(n.wait_event("serving")["also"].rsplit(":", 1)[1])
    try:
        yield n
        status = n.stop()
        check(not sanitize.report_in(n.log()), sanitize.report_in(n.log()))
        check(status == 0, status, n.log()[-3000:])
    finally:
        if n.proc.poll() is None:
            n.kill()


def connect(port, host, ca=None, alpn=None, version=None, timeout=PATIENCE_S):
    """A connection, whose certificate is that of ca, if one is said."""
    c = ssl.create_default_context(cafile=ca) if ca else ssl._create_unverified_context()
    if alpn:
        c.set_alpn_protocols(alpn)
    if version:
        c.minimum_version = c.maximum_version = version
    s = socket.create_connection(("127.0.0.1", port), timeout=timeout)
    try:
        return c.wrap_socket(s, server_hostname=host)
    except BaseException:
        s.close()
        raise


def ask(s, host, path="/", method="GET", more=""):
    s.sendall(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{more}\r\n".encode())
    got = b""
    while piece := s.recv(1 << 16):
        got += piece
    return got.decode("latin-1")


def shown(port, host):
    """What a client is shown that asks for host."""
    with connect(port, host) as s:
        return ssl.DER_cert_to_PEM_cert(s.getpeercert(binary_form=True)).strip()


def text(path):
    with open(path) as f:
        return f.read().strip()


def test_who_asks_for_whom():
    with tempfile.TemporaryDirectory(dir=WORK) as d:
        pairs = [certificate(d, "first", "localhost", "shop.localhost", "127.0.0.1"), certificate(d, "shop", "shop.example", kind=("-newkey", "rsa:2048")),
                 certificate(d, "star", "*.star.example", kind=("-newkey", "ed25519")),
                 certificate(d, "large", "large.test", kind=("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"))]
        with tls_node(conf_of(d, *pairs), "--workers", "2") as n:
            check(n.url.startswith("https://"), n.url)
            n.deploy("shop", guest("cgi"))
            for host, which in ((None, 0), ("localhost", 0), ("shop.localhost", 0), ("unknown.org", 0), ("shop.example", 1), ("SHOP.example", 1), ("a.star.example", 2),
                                ("a.b.star.example", 0), ("star.example", 0), ("large.test", 3)):
                eq((host, shown(n.port, host)), (host, text(pairs[which][0])))
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                for host, which in (("shop.localhost", 0), ("shop.example", 1), ("a.star.example", 2), ("large.test", 3)):
                    with connect(n.port, host, pairs[which][0], version=version) as s:
                        has(ask(s, host, "/env"), *(["HTTPS=on"] if which == 0 else [" 404 "]))
            with connect(n.port, "shop.localhost", alpn=["http/1.1"]) as s:
                eq(s.selected_alpn_protocol(), "http/1.1")
                has(ask(s, "shop.localhost", "/env"), " 200 ")
            two = curl(n.url + "/env", "--http2", "-k", "-H", "Host: shop.localhost")
            eq((two.status, two.head.split()[0]), (200, "HTTP/2"))
            with connect(n.port, "shop.localhost", alpn=["h2"]) as s:
                eq(s.selected_alpn_protocol(), "h2")
            has(raw(n.port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").decode(), "https://")
            has(curl(f"http://127.0.0.1:{n.plain}/env", "-H", "Host: shop.localhost").text, "REQUEST_METHOD")


def test_what_is_wrong_is_refused_with_its_file():
    with tempfile.TemporaryDirectory(dir=WORK) as d:
        good, other, late = (certificate(d, name, host) for name, host in (("good", "localhost"), ("other", "other.example"), ("late", "late.example")))
        subprocess.run(["openssl", "x509", "-in", late[0], "-signkey", late[1], "-days", "-1", "-out", late[0] + ".new"], check=True, capture_output=True)
        os.replace(late[0] + ".new", late[0])
        no_name = certificate(d, "weak", "weak.example", kind=("-newkey", "rsa:1024"))
        empty = file_of("empty.pem", b"")
        cases = (((good[0], other[1]), "other.key: it is the key of another certificate"), (late, "late.pem: the certificate has expired"),
                 (no_name, "weak.pem: its RSA key"), ((good[0], d + "/none"), "none: No such file"), ((empty, good[1]), "empty.pem: it holds no certificate"),
                 ((good[1], good[1]), "good.key: it holds no certificate"), ((good[0], good[0]), "good.pem: it holds no private key"))
        for pair, words in cases:
            code, _, error = orlo("node", "--config", conf_of(d, good, pair), "--state", new_state())
            check(code != 0 and words in error, code, words, error)
        # The same while it serves: nothing has changed, and who asked is told.
        with tls_node(conf_of(d, good), "--workers", "1") as n:
            for pair, words in cases[:3]:
                conf_of(d, other, pair)
                code, _, error = orlo("reload", "--state", n.state)
                check(code != 0 and words in error, code, words, error)
                eq(shown(n.port, "other.example"), text(good[0]))
            conf_of(d, other, good)
            with connect(n.port, "localhost", good[0]) as before:
                code, _, error = orlo("reload", "--state", n.state)
                eq((code, error), (0, ""))
                eq(shown(n.port, "other.example"), text(other[0]))
                eq(shown(n.port, "nobody.example"), text(other[0]))
                has(ask(before, "localhost"), " 404 ")


def resumed(port, host, context, session):
    """(whether it was, the session to go on with)"""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as s, context.wrap_socket(s, server_hostname=host, session=session) as t:
        ask(t, host)  # tickets of TLS 1.3 come with what is read
        return t.session_reused, t.session


def test_tickets_are_of_all_workers():
    """Any worker takes them, of whichever generation; other names' do not."""
    with tempfile.TemporaryDirectory(dir=WORK) as d:
        conf = conf_of(d, certificate(d, "good", "localhost"), certificate(d, "other", "other.example"))
        with tls_node(conf, "--workers", "2") as n:
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                c = ssl._create_unverified_context()
                c.minimum_version = c.maximum_version = version
                until(lambda: resumed(n.port, "localhost", c, resumed(n.port, "localhost", c, None)[1])[0])  # there is a key, soon
                was, session = resumed(n.port, "localhost", c, None)
                eq(was, False)
                for _ in range(6):
                    was, session = resumed(n.port, "localhost", c, session)
                    eq((version, was), (version, True))
                eq(resumed(n.port, "other.example", c, session)[0], False)
                orlo("reload", "--state", n.state)
                was, session = resumed(n.port, "localhost", c, session)
                eq((version, was), (version, True))
                for pid in n.processes("worker"):
                    processes.kill_if_there(pid)
                n.wait_event("worker-died", count=2)
                eq((version, resumed(n.port, "localhost", c, session)[0]), (version, True))


def test_a_connection_is_for_whom_it_was_made():
    """SNI and Host: of one certificate they may differ, else 421; what is another cordon's goes there, whole or by the request."""
    with tempfile.TemporaryDirectory(dir=WORK) as d:
        conf = conf_of(d, certificate(d, "first", "one.localhost", "two.localhost", "far.localhost"), certificate(d, "second", "three.localhost"),
                       more="[cordons.far]\napps = [\"far\"]\n")
        with tls_node(conf, "--workers", "1") as n:
            for app in ("one", "two", "three", "far"):
                n.deploy(app, guest("cgi"))
            for sni, host, status in (("one.localhost", "one.localhost", 200), ("one.localhost", "TWO.localhost:443", 200), ("one.localhost", "three.localhost", 421),
                                      ("three.localhost", "three.localhost.", 200), ("three.localhost", "one.localhost", 421), (None, "three.localhost", 200),
                                      ("one.localhost", "far.localhost", 200), ("far.localhost", "far.localhost", 200), ("far.localhost", "one.localhost", 200),
                                      ("far.localhost", "three.localhost", 421), ("unknown.example", "unknown.example", 404)):
                with connect(n.port, sni) as s:
                    answer = ask(s, host, "/env")
                    eq((sni, host, int(answer.split()[1])), (sni, host, status))
                    if status == 200:
                        has(answer, "REQUEST_METHOD=GET")
            # What is relayed keeps its body and its client.
            with connect(n.port, "one.localhost") as s:
                body = "x" * 5000
                s.sendall(f"POST /env HTTP/1.1\r\nHost: far.localhost\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
                got = b""
                while piece := s.recv(1 << 16):
                    got += piece
                has(got.decode(), "CONTENT_LENGTH=5000", "REMOTE_ADDR=127.0.0.1")


def test_keys_that_die_are_asked_again():
    with tempfile.TemporaryDirectory(dir=WORK) as d:
        pair = certificate(d, "good", "localhost")
        with tls_node(conf_of(d, pair), "--workers", "1") as n:
            for _ in range(3):
                eq(shown(n.port, "localhost"), text(pair[0]))
                processes.kill(n.role("keys"))
            eq(shown(n.port, "localhost"), text(pair[0]))


def tls_error(fn):
    """What TLS says is wrong; "" where nothing is."""
    try:
        fn()
    except ssl.SSLError as e:
        return str(e)
    except ConnectionError as e:
        return str(e)
    return ""


def test_who_means_harm():
    """Nonsense, half handshakes, what nobody speaks any more, keys that are gone: an alert or the end, and others are served."""
    with tempfile.TemporaryDirectory(dir=WORK) as d:
        pair = certificate(d, "good", "localhost", "shop.localhost")
        with tls_node(conf_of(d, pair, more='header_timeout_ms = "1s"\n'), "--workers", "1") as n:
            n.deploy("shop", guest("cgi"))
            hello = ssl.MemoryBIO(), ssl.MemoryBIO()
            client = ssl._create_unverified_context().wrap_bio(*hello, server_hostname="localhost")
            with contextlib.suppress(ssl.SSLWantReadError):
                client.do_handshake()
            first = hello[1].read()
            long = b"\x16\x03\x01\x40\x00" + b"\x01\x00\x7f\xff" + bytes(16380)
            decode, name = b"\x15\x03\x03\x00\x02\x02\x32", b"\x15\x03\x03\x00\x02\x02"
            for sent, answer in ((b"\x80\x2e\x01\x00\x02" + bytes(60), decode), (b"\x16\x03\x01\xff\xff" + bytes(100), decode), (long * 3, decode), (b"\0" * 4000, decode),
                                 (os.urandom(1) and b"\xff" * 70000, decode), (first[:5] + b"\x02" + first[6:], decode), (first.replace(b"localhost", b"local\0ost"), decode),
                                 (b"SSH-2.0-x\r\n", b"HTTP/1.1 400 "), (b"\x16\x03\x01\x00\x00", decode)):
                got = raw(n.port, sent)
                check(got.startswith(answer), sent[:20], got)
            got = raw(n.port, first + b"\x17\x03\x03\x00\x20" + bytes(32))  # the handshake broken off in its midst
            check(got[:1] == b"\x16" and b"HTTP/" not in got, got[:40])
            # Who is slow is closed, wherever he stands: the time counts from when he connected.
            began = time.monotonic()
            slow = [socket.create_connection(("127.0.0.1", n.port), timeout=PATIENCE_S) for _ in range(4)]
            for s, part in zip(slow, (b"", first[:3], first[:100], first)):
                s.sendall(part)
            for s in slow:
                while s.recv(1 << 16):
                    pass
                s.close()
            check(time.monotonic() - began > 0.5, "they were not waited for")
            for version in ("-tls1_1", "-tls1"):
                p = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{n.port}", version, "-cipher", "ALL:@SECLEVEL=0"], stdin=subprocess.DEVNULL, capture_output=True)
                check(p.returncode != 0 and b"Cipher is (NONE)" in p.stdout, p.stdout[-300:])
            p = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{n.port}", "-tls1_2"], input=b"R\n", capture_output=True, timeout=PATIENCE_S)
            has(p.stderr.decode() + p.stdout.decode(), "no renegotiation")
            p = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{n.port}", "-tls1_2", "-fallback_scsv"], stdin=subprocess.DEVNULL, capture_output=True)
            has(p.stderr.decode(), "inappropriate fallback")
            for i in range(300):  # as many names as somebody likes
                with connect(n.port, f"n{i}.example") as s:
                    pass
            # keys cannot open what is sealed: nobody is served by TLS, all others are.
            seal = os.path.join(n.state, "seal.key")
            os.rename(seal, seal + ".away")
            with open(seal, "wb") as f:
                f.write(os.urandom(32))
            os.chmod(seal, 0o600)
            processes.kill(n.role("keys"))
            until(lambda: "ALERT" in (said := tls_error(lambda: connect(n.port, "localhost").close()).upper()) and said)
            has(curl(f"http://127.0.0.1:{n.plain}/env", "-H", "Host: shop.localhost").text, "REQUEST_METHOD")
            os.rename(seal + ".away", seal)
            processes.kill(n.role("keys"))
            until(lambda: not tls_error(lambda: connect(n.port, "localhost").close()))
            eq(n.events("worker-died"), [])


def test_what_status_says_of_certificates():
    """And an OCSP answer that goes along where there is one."""
    with tempfile.TemporaryDirectory(dir=WORK) as d:
        run = lambda *args, **more: subprocess.run(["openssl", *args], check=True, capture_output=True, cwd=d, **more)
        run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=CA", "-days", "9")
        for name, more in (("good", ""), ("must", "tlsfeature=status_request\n")):
            run("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", name + ".key", "-out", "csr", "-subj", "/CN=x")
            with open(os.path.join(d, "ext"), "w") as f:
                f.write(f"subjectAltName=DNS:{name}.localhost\n" + more)
            run("x509", "-req", "-in", "csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "3", "-extfile", "ext", "-out", "leaf.pem")
            with open(os.path.join(d, name + ".pem"), "w") as f:
                f.write(text(os.path.join(d, "leaf.pem")) + "\n" + text(os.path.join(d, "ca.pem")) + "\n")
            serial = run("x509", "-in", "leaf.pem", "-noout", "-serial").stdout.decode().strip().split("=")[1]
            with open(os.path.join(d, "index"), "w") as f:
                f.write(f"V\t301231000000Z\t\t{serial}\tunknown\t/CN=x\n")
            run("ocsp", "-issuer", "ca.pem", "-cert", "leaf.pem", "-reqout", "req.der")
            run("ocsp", "-index", "index", "-CA", "ca.pem", "-rsigner", "ca.pem", "-rkey", "ca.key", "-reqin", "req.der", "-respout", name + ".ocsp", "-ndays", "1")
        conf = os.path.join(d, "node.toml")

        def write(**ocsp):
            rows = ", ".join('{ cert = "%s/%s.pem", key = "%s/%s.key"%s }' % (d, n, d, n, f', ocsp = "{d}/{ocsp[n]}.ocsp"' if n in ocsp else "") for n in ("good", "must"))
            with open(conf, "w") as f:
                f.write('listen = [{ address = "127.0.0.1:0", tls = true }, "127.0.0.1:0"]\n[tls]\ncertificates = [%s]\n' % rows)

        for ocsp, words in (({}, "must.pem: the certificate demands"), ({"must": "good"}, "good.ocsp: it is the OCSP answer of another"), ({"must": "none"}, "none.ocsp: No such")):
            write(**ocsp)
            code, _, error = orlo("node", "--config", conf, "--state", new_state())
            check(code != 0 and words in error, code, words, error)
        write(must="must")
        with tls_node(conf, "--workers", "1") as n:
            for host, stapled in (("must.localhost", "OCSP Response Status: successful"), ("good.localhost", "no response sent")):
                p = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{n.port}", "-servername", host, "-status", "-CAfile", d + "/ca.pem"], stdin=subprocess.DEVNULL, capture_output=True)
                has(p.stdout.decode(), stapled, "Verify return code: 0 (ok)")
            code, out, error = orlo("status", "--state", n.state)
            check(code == 0 and "must.localhost for" in out and "operator" in out and " expires in " in out, out, error)
            code, out, error = orlo("status", "--json", "--state", n.state)
            certificates = json.loads(out)["node"]["certificates"]
            eq([(c["names"], c["stapled"], c["source"]) for c in certificates], [(["good.localhost"], False, "operator"), (["must.localhost"], True, "operator")])


def test_who_administers_shows_a_certificate():
    """With authorities of clients the admin API is TLS for theirs alone, wherever it listens; a token is asked for all the same."""
    with tempfile.TemporaryDirectory(dir=WORK) as d:
        run = lambda *args: subprocess.run(["openssl", *args], check=True, capture_output=True, cwd=d)
        for ca, who in (("ours", "alice"), ("others", "mallory")):
            run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", ca + ".key", "-out", ca + ".pem", "-subj", "/CN=" + ca, "-days", "9")
            run("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", who + ".key", "-out", "csr", "-subj", "/CN=" + who)
            run("x509", "-req", "-in", "csr", "-CA", ca + ".pem", "-CAkey", ca + ".key", "-CAcreateserial", "-days", "3", "-out", who + ".pem")
        pair = certificate(d, "good", "localhost", "127.0.0.1")
        rows = conf_of(d, pair) and text(conf_of(d, pair)) + f'\nclient_ca = "{d}/ours.pem"\n'
        with open(d + "/node.toml", "w") as f:
            f.write(rows)
        with tls_node(d + "/node.toml", "--admin", "0.0.0.0:0", "--workers", "1") as n:
            check(n.admin.startswith("https://"), n.admin)
            port, token = int(n.admin.rsplit(":", 1)[1]), n.wait_event("first-token")["token"]

            def asked(who, token):
                c = ssl.create_default_context(cafile=pair[0])
                if who:
                    c.load_cert_chain(f"{d}/{who}.pem", f"{d}/{who}.key")
                with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as s, c.wrap_socket(s, server_hostname="localhost") as t:
                    return ask(t, "localhost", "/_orlo/v1/status", more=f"Authorization: Bearer {token}\r\n" if token else "")

            has(asked("alice", token), " 200 ", '"certificates"')
            has(asked("alice", None), " 401 ")
            for who in (None, "mallory"):
                check(tls_error(lambda: check(not asked(who, token), "it was answered")), who)
            has(raw(port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").decode(), " 400 ")
            own = {"ORLO_CA": pair[0], "ORLO_TOKEN": token}
            for who, ok in (("alice", True), ("mallory", False), (None, False)):
                code, out, error = orlo("apps", "--to", f"https://localhost:{port}", env=dict(own, **({"ORLO_CLIENT_CERT": f"{d}/{who}.pem", "ORLO_CLIENT_KEY": f"{d}/{who}.key"} if who else {})))
                check((code == 0) == ok, who, out, error)
            n.kill_control()
            until(lambda: not tls_error(lambda: asked("alice", token)))
        code, _, error = orlo("node", "--admin", "0.0.0.0:0", "--state", new_state())
        check(code == 64 and "client_ca" in error, code, error)
