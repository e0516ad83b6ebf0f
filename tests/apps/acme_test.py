"""Certificates from an authority (tests/acme.py is one, and misbehaves as it is told): had, served, renewed, and whatever goes wrong on the way said in words."""
import contextlib, shutil, socket, sqlite3, ssl, threading, time

from acme import Authority
from harness import *
from nodes import *

HOST = "shop.example.org"


def listening():
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    return s


def conf_of(folder, authority, more="", listen=None):
    """A file for a node; authority: one, or several in turn."""
    all_of = authority if isinstance(authority, (list, tuple)) else [authority]
    path = os.path.join(folder, "node.toml")
    listen = listen or 'listen = [{ address = "127.0.0.1:0", tls = true }, "127.0.0.1:0"]'
    with open(path, "w") as f:
        f.write(f"{listen}\n[acme]\ndirectory = {json.dumps([a.directory for a in all_of])}\nca_file = {json.dumps(all_of[0].ca)}\nterms_agreed = true\nemail = \"me@example.org\"\n{more}\n")
    return path


@contextlib.contextmanager
def acme_node(authority, *flags, more="", state=None, folder=None, known=True):
    """known: the authority knows where the node is."""
    folder = folder or tempfile.mkdtemp(prefix="acme-", dir=WORK)
    n = Node(state or new_state(), "--config", conf_of(folder, authority, more), "--workers", "2", *flags, listen=None)
    n.plain = int(n.wait_event("serving")["also"].rsplit(":", 1)[1])
    for a in authority if isinstance(authority, (list, tuple)) else [authority]:
        if known:
            a.http_port, a.tls_port = n.plain, n.port
    try:
        yield n
        status = n.stop()
        check(not sanitize.report_in(n.log()), sanitize.report_in(n.log()))
        check(status == 0, status, n.log()[-3000:])
    finally:
        if n.proc.poll() is None:
            n.kill()


@contextlib.contextmanager
def an_authority(name="authority", **more):
    a = Authority(tempfile.mkdtemp(prefix=name + "-", dir=WORK), **more)
    try:
        yield a
    finally:
        a.stop()


def deploy(n, app, *hosts):
    n.deploy(app, guest("cgi"), *(w for h in hosts for w in ("--host", h)))


def shown(n, host, ca):
    """The certificate that a client gets who trusts ca, as its serial number; None: none that it trusts."""
    context = ssl.create_default_context(cafile=ca)
    try:
        with socket.create_connection(("127.0.0.1", n.port), timeout=PATIENCE_S) as raw, context.wrap_socket(raw, server_hostname=host) as s:
            return int(s.getpeercert()["serialNumber"], 16)
    except (ssl.SSLError, ConnectionError):
        return None


def certs(n):
    code, out, error = orlo("certs", "--json", "--state", n.state)
    check(code == 0, code, out, error)
    return {c["host"]: c for c in json.loads(out)["certificates"]}


def wait_shown(n, host, ca, other_than=None):
    def there():
        serial = shown(n, host, ca)
        return serial if serial is not None and serial != other_than else None
    return until(there, n)


def until(fn, n, s=PATIENCE_S):
    end = time.monotonic() + s
    while time.monotonic() < end:
        if found := fn():
            return found
        pace(0.1)
    check(False, "it did not come to be", certs(n), n.log()[-6000:])


def due_now(state, host=HOST, **more):
    """While the node is off: what was written down lets the next try begin at once."""
    with contextlib.closing(sqlite3.connect(os.path.join(state, "db", "node.db"))) as db:
        values = {"next": 0, "begun": 0, **more}
        db.execute(f"update acme_hosts set {', '.join(k + ' = ?' for k in values)} where host = ?", (*values.values(), host))
        db.commit()


def row(state, host=HOST):
    with contextlib.closing(sqlite3.connect(os.path.join(state, "db", "node.db"))) as db:
        db.row_factory = sqlite3.Row
        return dict(db.execute("select * from acme_hosts where host = ?", (host,)).fetchone())


def test_acme_gives_and_renews():
    """By either challenge; one certificate a host; renewed when the authority says so; what is not asked for, and by whom, has none."""
    with an_authority(binding=("kid-7", "c2VjcmV0LW9mLWEtYmluZGluZw")) as a:
        a.faults["nonce"] = 3
        more = 'hosts = ["*.example.org"]\neab_kid = "kid-7"\neab_hmac_key = "c2VjcmV0LW9mLWEtYmluZGluZw"\n'
        with acme_node(a, more=more + 'challenge = "http-01"') as n:
            deploy(n, "shop", HOST, "elsewhere.example.com")
            first = wait_shown(n, HOST, a.root)
            eq(len(a.accounts), 1)
            eq([o["host"] for o in a.orders], [HOST])
            eq([x["contact"] for x in a.accounts.values()], [["mailto:me@example.org"]])
            eq(a.orders[0]["kind"], "http-01")
            c = certs(n)
            eq(list(c), [HOST])
            eq((c[HOST]["state"], c[HOST]["app"], c[HOST]["from"], c[HOST]["days_left"] in (8, 9)), ("served", "shop", a.directory, True))
            has(orlo("certs", "--state", n.state)[1], HOST)
            # Nothing is left of the challenge: its path is the app's again.
            left = curl(f"http://127.0.0.1:{n.plain}/.well-known/acme-challenge/{a.orders[0]['tokens']['http-01']}", "-H", f"Host: {HOST}")
            check(a.orders[0]["tokens"]["http-01"] + "." not in left.text, left.text)
            code, _, error = orlo("certs", "renew", HOST, "--state", n.state)
            check(code != 0 and "less than a minute" in error, code, error)
            code, _, error = orlo("certs", "renew", "nobody.example.org", "--state", n.state)
            check(code != 0 and "no app" in error, code, error)
            metrics = say(Socket(n.state), "GET", "/metrics").text
            has(metrics, 'orlo_certificate_not_after_seconds{host="shop.example.org"}')
            has(metrics, 'orlo_certificates{state="served"} 1')
        # Another time, the other challenge, and the authority wants it back early.
        a.window = (time.time() - 7200, time.time() - 3600)
        due_now(n.state, informed=0)
        with acme_node(a, more=more + 'challenge = "tls-alpn-01"', state=n.state) as n:
            eq(shown(n, HOST, a.root), first)
            wait_shown(n, HOST, a.root, other_than=first)
            eq((a.orders[1]["kind"], bool(a.orders[1]["replaces"]), len(a.accounts)), ("tls-alpn-01", True, 1))
            # What it was shown, nobody else is.
            until(lambda: certs(n)[HOST]["state"] == "served", n)
            n.delete("shop")
            eq(certs(n)[HOST]["state"], "left")
        eq(len(a.orders), 2)


FAULTS = (("redirect", 1, "leads elsewhere"), ("garbage", None, "no JSON"), ("endless", 1, "longer than any may be"), ("elsewhere", 1, "leads elsewhere"),
          ("500", None, "HTTP 500: serverInternal: out of order"), ("huge", 1, "longer than any may be"),  # each with an authority of its own: one that is away has rest
          ("other-key", 1, "of another key"), ("other-name", 1, "not for the host"), ("expired", 1, "expired"), ("wrong", 1, "http-01: unauthorized"),
          ("limited", 1, "HTTP 429: rateLimited: too many certificates (5)"))


def test_acme_misbehaves():
    """An authority that does what none may: refused, said in words, and what was there goes on."""
    with contextlib.ExitStack() as stack:
        all_of = [stack.enter_context(an_authority(f"a{i}")) for i in range(7)]
        for a in all_of[1:]:  # of one issuer each; of its own certificate the same
            a.stop()
            for name in ("ca.pem", "own.pem", "own.key"):
                shutil.copy(all_of[0].path(name), a.path(name))
            a.start()
        good = all_of[6]
        n = stack.enter_context(acme_node(all_of, more='challenge = "http-01"'))
        for i, (fault, times, words) in enumerate(FAULTS):
            a, host = all_of[min(i, 6)], f"h{i}.example.org"
            a.faults[fault] = times
            deploy(n, f"app{i}", host)
            told = n.wait_event("certificate-not-given", host=host)
            has(told["reason"], words)
            check(told["next_s"] >= (3000 if fault == "limited" else 60), told)
            eq((told["authority"], shown(n, host, good.root)), (a.directory, None))
            a.faults.clear()
        found = certs(n)
        for i, (fault, _, words) in enumerate(FAULTS):
            c = found[f"h{i}.example.org"]
            eq((c["state"], c["failures"]), ("failed", 1))
            has(c["error"], words)
            check("next_try" in c, c)
        code, out, _ = orlo("status", "--state", n.state)
        has(out, "app9: h9.example.org: there is no certificate yet; next try")
        # All had their turn, and have rest: nothing is begun, and nobody's name makes them begin.
        orders = sum(len(a.orders) for a in all_of)
        for i in range(200):
            eq(shown(n, f"x{i}.example.org", good.root), None)
        eq((sum(len(a.orders) for a in all_of), len(certs(n))), (orders, len(FAULTS)))
        # An app that names more than it may.
        deploy(n, "greedy", *(f"g{i}.example.org" for i in range(150)))
        until(lambda: len(certs(n)) > len(FAULTS), n)
        eq(sum(h.startswith("g") for h in certs(n)), 100)


def test_acme_whoever_dies():
    """A node that is killed at each step of an order, and an authority that is away: never two tries in a minute, and what was there is served."""
    with an_authority() as a, an_authority("other") as other:
        state, at = new_state(), []
        for step in ("account", "order", "authz", "challenge", "finalize", "cert", None):
            reached = threading.Event()

            def hook(name, step=step, reached=reached):
                if name == step:
                    reached.set()
                    a.hold.wait(PATIENCE_S)

            a.hook = hook
            a.hold.clear()
            folder = tempfile.mkdtemp(prefix="acme-", dir=WORK)
            n = Node(state, "--config", conf_of(folder, a, 'challenge = "http-01"'), "--workers", "1", listen=None)
            a.http_port, a.tls_port = int(n.wait_event("serving")["also"].rsplit(":", 1)[1]), n.port
            if step == "account":
                deploy(n, "shop", HOST)
            if step is None:
                break
            check(reached.wait(PATIENCE_S), step, n.log()[-3000:])
            n.kill()
            a.hold.set()
            written = row(state)
            check(written["next"] >= written["begun"] + 60, written)
            at.append(written["failures"])
            # The next one knows, and waits.
            before = len(a.asked)
            with acme_node(a, state=state, known=False) as again:
                c = certs(again)[HOST]
                check(c["state"] in ("due", "failed") and "next_try" in c, c)  # whoever dies last may have seen the others die
                pace(2)
                eq(len(a.asked), before)
            due_now(state)
        eq(at, [1, 2, 3, 4, 5, 6])
        a.hook = lambda step: None
        first = wait_shown(n, HOST, a.root)
        eq((len(a.accounts), n.stop()), (1, 0))
        # The authority is away, and it is time.
        a.stop()
        due_now(state, renew_from=1, renew_to=2)
        with acme_node(a, state=state) as n:
            n.wait_event("certificate-not-given", host=HOST)
            eq(shown(n, HOST, a.root), first)
            has(orlo("status", "--state", n.state)[1], f"shop: {HOST}: the certificate was not renewed, and the old one is served; next try")
            has(certs(n)[HOST]["error"], "the authority does not answer")
        # There is another one, whose turn it is after that.
        for name in ("ca.pem", "own.pem", "own.key"):
            shutil.copy(a.path(name), other.path(name))
        other.stop()
        other.start()
        due_now(state, renew_from=1, renew_to=2)
        with acme_node([a, other], state=state) as n:
            wait_shown(n, HOST, other.root)
            eq((certs(n)[HOST]["from"], len(other.orders)), (other.directory, 1))


def pebble():
    """Let's Encrypt's authority for tests (go install github.com/letsencrypt/pebble/v2/cmd/pebble@v2.10.3, and pebble-challtestsrv, for its DNS)."""
    found = [shutil.which(name) or os.path.expanduser("~/go/bin/" + name) for name in ("pebble", "pebble-challtestsrv")]
    if not all(os.access(f, os.X_OK) for f in found):
        raise Skip("pebble and pebble-challtestsrv are not there")
    return found


@contextlib.contextmanager
def running(*command, until_said, **more):
    p = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)
    said = []
    threading.Thread(target=lambda: [said.append(line) for line in p.stdout], daemon=True).start()
    try:
        end = time.monotonic() + PATIENCE_S
        while not any(until_said in line for line in said):
            check(p.poll() is None and time.monotonic() < end, said)
            pace(0.1)
        yield said
    finally:
        p.kill()
        p.wait()


def test_acme_pebble():
    """The same with Pebble, which rejects half of all nonces: both challenges, renewal information, an order again."""
    authority, names = pebble()
    with an_authority() as own:  # its certificate is Pebble's here
        port, management, dns, http01, tls01 = (free_port() for _ in range(5))
        config = {"pebble": {"listenAddress": f"127.0.0.1:{port}", "managementListenAddress": f"127.0.0.1:{management}", "certificate": own.path("own.pem"), "privateKey": own.path("own.key"),
                             "httpPort": http01, "tlsPort": tls01, "retryAfter": {"authz": 1, "order": 1}, "keyAlgorithm": "ecdsa", "profiles": {"default": {"description": "", "validityPeriod": 7776000}}}}
        path = own.write("pebble.json", json.dumps(config).encode())
        own.directory_is = f"https://127.0.0.1:{port}/dir"
        with running(names, "-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", "", "-dnsserver", f"127.0.0.1:{dns}", "-management", "", "-defaultIPv6", "", until_said="Starting"), \
             running(authority, "-config", path, "-dnsserver", f"127.0.0.1:{dns}", until_said="listening", env={**os.environ, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "50"}) as said:
            state, folder = new_state(), tempfile.mkdtemp(prefix="acme-", dir=WORK)
            for round, challenge in enumerate(("http-01", "tls-alpn-01")):
                conf = os.path.join(folder, "node.toml")
                with open(conf, "w") as f:
                    f.write(f'listen = [{{ address = "127.0.0.1:{tls01}", tls = true }}, "127.0.0.1:{http01}"]\n[acme]\ndirectory = "{own.directory_is}"\nca_file = "{own.ca}"\n'
                            f'terms_agreed = true\nchallenge = "{challenge}"\n')
                if round:
                    due_now(state, informed=0, renew_from=1, renew_to=2)
                n = Node(state, "--config", conf, "--workers", "1", listen=None)
                try:
                    if not round:
                        deploy(n, "shop", HOST)
                    told = n.wait_event("certificate-given", host=HOST)
                    eq(told["authority"], own.directory_is)
                    c = certs(n)[HOST]
                    eq((c["state"], c["days_left"] in (88, 89, 90)), ("served", True))
                    with socket.create_connection(("127.0.0.1", n.port), timeout=PATIENCE_S) as raw, ssl._create_unverified_context().wrap_socket(raw, server_hostname=HOST) as s:
                        has(subprocess.run(["openssl", "x509", "-inform", "DER", "-noout", "-text"], input=s.getpeercert(binary_form=True), capture_output=True).stdout.decode(), "DNS:" + HOST)
                    eq(n.stop(), 0)
                finally:
                    if n.proc.poll() is None:
                        n.kill()
                due_now(state, informed=1)
            # What it says of renewal is taken.
            n = Node(state, "--config", conf, "--workers", "1", listen=None)
            try:
                until(lambda: certs(n)[HOST]["renew_at"] != c["renew_at"], n)
                eq(n.stop(), 0)
            finally:
                if n.proc.poll() is None:
                    n.kill()
            check(any("badNonce" in line or "invalid anti-replay nonce" in line or "nonce" in line.lower() for line in said), said[-20:])
