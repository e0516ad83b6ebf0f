"""An authority that gives certificates (RFC 8555, RFC 9773), for tests: it verifies signatures, nonces, requests and challenges, and misbehaves as it is told.

Authority(folder, http_port=…, tls_port=…) answers at .directory; .ca is the file with who has signed its own certificate, .root with who signs what it gives.
What it does wrong is a word in .faults, with how often yet (None: always): see FAULTS. Whatever was asked is in .asked."""
import base64, hashlib, http.server, json, os, re, secrets, socket, ssl, subprocess, threading, time

from processes import PATIENCE_S

FAULTS = {"nonce", "wrong", "limited", "500", "garbage", "endless", "redirect", "elsewhere", "other-name", "other-key", "huge", "expired", "hang", "no-terms",
          "unknown-account", "slow"}


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    if not re.fullmatch(r"[A-Za-z0-9_-]*", text):
        raise Problem(400, "malformed", "no base64url")
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def openssl(*args, given=b"", ok=(0,)):
    p = subprocess.run(["openssl", *args], input=given, capture_output=True, timeout=PATIENCE_S)
    if p.returncode not in ok:
        raise RuntimeError(f"openssl {args}: {p.stderr.decode()}")
    return p.stdout


class Problem(Exception):
    def __init__(self, status, kind, detail, **more):
        super().__init__(detail)
        self.status, self.body, self.fields = status, {"type": "urn:ietf:params:acme:error:" + kind, "detail": detail, "status": status}, more


def spki(jwk):
    x, y = unb64(jwk["x"]), unb64(jwk["y"])
    if jwk.get("kty") != "EC" or jwk.get("crv") != "P-256" or len(x) != 32 or len(y) != 32:
        raise Problem(400, "badPublicKey", "P-256 alone")
    return bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200") + b"\4" + x + y


def integer(raw):
    raw = raw.lstrip(b"\0") or b"\0"
    raw = (b"\0" if raw[0] & 0x80 else b"") + raw
    return b"\2" + bytes([len(raw)]) + raw


class Authority:
    def __init__(self, folder, http_port=None, tls_port=None, binding=None, informs=True, terms=True):
        os.makedirs(folder, exist_ok=True)
        self.folder, self.http_port, self.tls_port, self.binding, self.informs, self.terms = folder, http_port, tls_port, binding, informs, terms
        self.lock = threading.RLock()
        self.faults, self.asked, self.log = {}, [], []
        self.nonces, self.accounts, self.orders, self.tokens, self.replaced = set(), {}, [], {}, []
        self.window, self.given, self.kid_requests, self.hold = None, [], 0, threading.Event()
        self.hook = lambda step: None
        self.ca, self.root = self.path("ca.pem"), self.path("root.pem")
        if not os.path.exists(self.ca):
            for name in ("ca", "root"):
                openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", self.path(name + ".key"), "-out", self.path(name + ".pem"),
                        "-days", "30", "-subj", f"/CN=test {name}")
            openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", self.path("own.key"), "-out", self.path("own.csr"), "-subj", "/CN=authority")
            self.write("own.ext", b"subjectAltName=DNS:localhost,IP:127.0.0.1\n")
            openssl("x509", "-req", "-in", self.path("own.csr"), "-CA", self.ca, "-CAkey", self.path("ca.key"), "-CAcreateserial", "-days", "20", "-extfile", self.path("own.ext"),
                    "-out", self.path("own.pem"))
        self.server, self.port = None, 0
        self.start()

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, data):
        with open(self.path(name), "wb") as f:
            f.write(data)
        return self.path(name)

    @property
    def directory(self):
        return f"https://127.0.0.1:{self.port}/dir"

    def url(self, path):
        return f"https://127.0.0.1:{self.port}{path}"

    # ---- up and down

    def start(self):
        authority = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 30

            def log_message(self, *args):
                pass

            def do_GET(self):
                authority.serve(self)

            do_POST = do_HEAD = do_GET

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads, allow_reuse_address = True, True

            def handle_error(self, *args):
                pass

            def finish_request(self, request, address):
                request.settimeout(30)
                with context.wrap_socket(request, server_side=True) as s:
                    super().finish_request(s, address)

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path("own.pem"), self.path("own.key"))
        self.server = Server(("127.0.0.1", self.port), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self):
        self.hold.set()
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    # ---- what it does wrong

    def fault(self, name):
        assert name in FAULTS
        with self.lock:
            left = self.faults.get(name, 0)
            if left is None:
                return True
            if left > 0:
                self.faults[name] = left - 1
            return left > 0

    # ---- a request

    def serve(self, h):
        body = h.rfile.read(int(h.headers.get("content-length") or 0))
        with self.lock:
            self.asked.append((time.time(), h.command, h.path))
        fields = {}
        try:
            if h.path not in ("/dir",) and self.fault("hang"):
                self.hold.wait(60)
            if self.fault("500"):
                raise Problem(500, "serverInternal", "out of order")
            if self.fault("redirect"):
                return self.send(h, 302, b"", {"location": "https://example.invalid/"})
            if self.fault("garbage"):
                return self.send(h, 200, b"<html>" + secrets.token_bytes(200), {"content-type": "text/html"})
            if self.fault("endless"):
                return self.endless(h)
            if self.fault("slow"):
                return self.slow(h)
            status, answer, fields = self.answer(h, body)
        except Problem as p:
            status, answer, fields = p.status, p.body, {"content-type": "application/problem+json", **p.fields}
        except (KeyError, ValueError, TypeError, IndexError) as e:
            status, answer = 400, {"type": "urn:ietf:params:acme:error:malformed", "detail": repr(e)}
        if h.path != "/dir" and not h.path.startswith("/info"):
            nonce = secrets.token_urlsafe(16)
            with self.lock:
                self.nonces.add(nonce)
            fields = {"replay-nonce": nonce, **fields}
        raw = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send(h, status, raw, fields)

    def send(self, h, status, raw, fields):
        h.send_response(status)
        for k, v in {"content-type": "application/json", **fields}.items():
            h.send_header(k, v)
        h.send_header("content-length", str(len(raw)))
        h.end_headers()
        if h.command != "HEAD":
            h.wfile.write(raw)

    def endless(self, h):
        h.send_response(200)
        h.end_headers()
        h.close_connection = True
        for _ in range(1 << 12):
            h.wfile.write(b" " * 65536)

    def slow(self, h):
        h.send_response(200)
        h.send_header("content-length", "100000")
        h.end_headers()
        h.close_connection = True
        while not self.hold.wait(0.5):
            h.wfile.write(b" ")
            h.wfile.flush()

    def answer(self, h, body):
        if h.path == "/dir":
            meta = {"termsOfService": self.url("/terms")} if self.terms else {}
            if self.binding:
                meta["externalAccountRequired"] = True
            order = "https://elsewhere.invalid/order" if self.fault("elsewhere") else self.url("/order")
            out = {"newNonce": self.url("/nonce"), "newAccount": self.url("/account"), "newOrder": order, "meta": meta}
            if self.informs:
                out["renewalInfo"] = self.url("/info")
            return 200, out, {}
        if h.path == "/nonce":
            return (200 if h.command == "HEAD" else 204), b"", {"cache-control": "no-store"}
        if h.path.startswith("/info/"):
            return self.info(h.path[6:])
        if h.command != "POST" or h.headers.get("content-type") != "application/jose+json":
            raise Problem(415, "malformed", "application/jose+json alone")
        account, payload = self.verify(h.path, json.loads(body))
        step = h.path.split("/")[1]
        self.hook(step)
        return getattr(self, "do_" + step)(h.path, account, payload)

    def verify(self, path, jws):
        """Whose it is (a URL, or for a new one its key), and what it says."""
        if set(jws) != {"protected", "payload", "signature"}:
            raise Problem(400, "malformed", "no flattened JWS")
        head = json.loads(unb64(jws["protected"]))
        if head.get("url") != self.url(path) or head.get("alg") != "ES256" or ("jwk" in head) == ("kid" in head):
            raise Problem(400, "malformed", f"header {head}")
        with self.lock:
            fresh = head.get("nonce") in self.nonces
            self.nonces.discard(head.get("nonce"))
        if not fresh or self.fault("nonce"):
            raise Problem(400, "badNonce", "it was used, or is none of ours")
        if "jwk" in head and path != "/account":
            raise Problem(400, "malformed", "a key, where an account is wanted")
        if "kid" in head and (head["kid"] not in self.accounts or self.fault("unknown-account")):
            raise Problem(400, "accountDoesNotExist", "there is no such account")
        jwk = head["jwk"] if "jwk" in head else self.accounts[head["kid"]]["jwk"]
        signature = unb64(jws["signature"])
        body = integer(signature[:32]) + integer(signature[32:])
        name = secrets.token_hex(8)
        key, sig = self.write(name + ".der", spki(jwk)), self.write(name + ".sig", b"\x30" + bytes([len(body)]) + body)
        said = openssl("dgst", "-sha256", "-verify", key, "-keyform", "DER", "-signature", sig, given=f"{jws['protected']}.{jws['payload']}".encode(), ok=(0, 1))
        os.unlink(key), os.unlink(sig)
        if b"Verified OK" not in said or len(signature) != 64:
            raise Problem(400, "malformed", "the signature is wrong")
        raw = unb64(jws["payload"])
        return (jwk if "jwk" in head else head["kid"]), (json.loads(raw) if raw else None)

    # ---- accounts, orders

    def do_account(self, path, jwk, payload):
        for url, a in self.accounts.items():
            if a["jwk"] == jwk:
                return 200, {"status": "valid"}, {"location": url}
        if self.terms and not payload.get("termsOfServiceAgreed"):
            raise Problem(403, "userActionRequired", "the terms")
        if self.binding:
            self.check_binding(jwk, payload["externalAccountBinding"])
        url = self.url(f"/acct/{len(self.accounts) + 1}")
        self.accounts[url] = {"jwk": jwk, "contact": payload.get("contact")}
        return 201, {"status": "valid", "contact": payload.get("contact", [])}, {"location": url}

    def check_binding(self, jwk, b):
        import hmac
        head = json.loads(unb64(b["protected"]))
        mac = hmac.new(unb64(self.binding[1]), f"{b['protected']}.{b['payload']}".encode(), hashlib.sha256).digest()
        if head != {"alg": "HS256", "kid": self.binding[0], "url": self.url("/account")} or json.loads(unb64(b["payload"])) != jwk or mac != unb64(b["signature"]):
            raise Problem(403, "unauthorized", "the binding is wrong")

    def do_order(self, path, account, payload):
        if len(path) > 6:
            o = self.orders[int(path.split("/")[2])]
            return 200, self.show(o), {"location": self.url(path), "retry-after": "1"}
        if self.fault("limited"):
            raise Problem(429, "rateLimited", "too many certificates (5) already issued for this host", **{"retry-after": "3600"})
        (identifier,) = payload["identifiers"]
        o = {"n": len(self.orders), "host": identifier["value"], "status": "pending", "account": account, "at": time.time(), "replaces": payload.get("replaces"), "polls": 0}
        o["tokens"] = {kind: secrets.token_urlsafe(24) for kind in ("http-01", "tls-alpn-01")}
        self.orders.append(o)
        return 201, self.show(o), {"location": self.url(f"/order/{o['n']}")}

    def show(self, o):
        if o["status"] == "processing":
            o["polls"] += 1
            if o["polls"] > 1:
                self.issue(o)
        out = {"status": o["status"], "identifiers": [{"type": "dns", "value": o["host"]}], "authorizations": [self.url(f"/authz/{o['n']}")], "finalize": self.url(f"/finalize/{o['n']}")}
        if o["status"] == "valid":
            out["certificate"] = self.url(f"/cert/{o['n']}")
        return out

    def own(self, path, account):
        o = self.orders[int(path.split("/")[2])]
        if o["account"] != account:
            raise Problem(403, "unauthorized", "it is another's")
        return o

    def do_authz(self, path, account, payload):
        o = self.own(path, account)
        status = {"pending": "pending", "checking": "pending", "invalid": "invalid"}.get(o["status"], "valid")
        challenges = [{"type": kind, "url": self.url(f"/challenge/{o['n']}/{kind}"), "token": token, "status": "pending"} for kind, token in o["tokens"].items()]
        for c in challenges:
            if o.get("error") and c["type"] == o["kind"]:
                c["status"], c["error"] = "invalid", o["error"]
        return 200, {"status": status, "identifier": {"type": "dns", "value": o["host"]}, "challenges": challenges}, {"retry-after": "1"}

    def do_challenge(self, path, account, payload):
        o = self.own(path, account)
        kind = path.split("/")[3]
        if o["status"] == "pending":
            o["status"], o["kind"] = "checking", kind
            threading.Thread(target=self.check, args=(o,), daemon=True).start()
        return 200, {"type": kind, "url": self.url(path), "token": o["tokens"][kind], "status": "processing"}, {}

    def thumbprint(self, account):
        jwk = self.accounts[account]["jwk"]
        return b64(hashlib.sha256(json.dumps({k: jwk[k] for k in ("crv", "kty", "x", "y")}, separators=(",", ":")).encode()).digest())

    def check(self, o):
        wanted = f"{o['tokens'][o['kind']]}.{self.thumbprint(o['account'])}"
        try:
            found = self.see_http(o, wanted) if o["kind"] == "http-01" else self.see_tls(o, wanted)
            detail = f"what is there is not what was to be: {found[:100]!r}"
        except OSError as e:
            found, detail = None, f"127.0.0.1: {e}"
        if found == wanted and not self.fault("wrong"):
            o["status"] = "ready"
        else:
            o["error"] = {"type": "urn:ietf:params:acme:error:" + ("connection" if found is None else "unauthorized"), "detail": detail, "status": 403}
            o["status"] = "invalid"

    def see_http(self, o, wanted):
        with socket.create_connection(("127.0.0.1", self.http_port), timeout=PATIENCE_S) as s:
            s.sendall(f"GET /.well-known/acme-challenge/{o['tokens']['http-01']} HTTP/1.1\r\nHost: {o['host']}\r\nConnection: close\r\n\r\n".encode())
            got = b""
            while piece := s.recv(65536):
                got += piece
        head, _, body = got.partition(b"\r\n\r\n")
        return body.decode("latin-1") if head.startswith(b"HTTP/1.1 200") else head.decode("latin-1")[:200]

    def see_tls(self, o, wanted):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["acme-tls/1"])
        with socket.create_connection(("127.0.0.1", self.tls_port), timeout=PATIENCE_S) as raw, context.wrap_socket(raw, server_hostname=o["host"]) as s:
            if s.selected_alpn_protocol() != "acme-tls/1":
                return "another protocol"
            der = s.getpeercert(binary_form=True)
        text = openssl("x509", "-inform", "DER", "-noout", "-ext", "subjectAltName", given=der).decode()
        proof = bytes.fromhex("06082b0601050507011f0101ff04220420") + hashlib.sha256(wanted.encode()).digest()
        return wanted if proof in der and re.findall(r"DNS:([^,\s]+)", text) == [o["host"]] else "another certificate"

    # ---- certificates

    def do_finalize(self, path, account, payload):
        o = self.own(path, account)
        if o["status"] != "ready":
            raise Problem(403, "orderNotReady", o["status"])
        der = unb64(payload["csr"])
        text = openssl("req", "-inform", "DER", "-verify", "-noout", "-text", given=der).decode()
        if re.findall(r"DNS:([^,\s]+)", text) != [o["host"]]:
            raise Problem(400, "badCSR", "it is for others")
        o["csr"], o["status"] = der, "processing"
        return 200, self.show(o), {"location": self.url(f"/order/{o['n']}"), "retry-after": "1"}

    def issue(self, o):
        name = self.path(f"given-{o['n']}")
        host = "other.example.org" if self.fault("other-name") else o["host"]
        with open(name + ".ext", "w") as f:
            f.write(f"subjectAltName=DNS:{host}\nauthorityKeyIdentifier=keyid\nextendedKeyUsage=serverAuth\nbasicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n")
        if self.fault("other-key"):
            openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", name + ".key", "-out", name + ".der", "-outform", "DER", "-subj", "/CN=x")
        else:
            with open(name + ".der", "wb") as f:
                f.write(o["csr"])
        serial = "0x%x" % (1000 + o["n"])
        days = "-1" if self.fault("expired") else "9"
        openssl("x509", "-req", "-inform", "DER", "-in", name + ".der", "-CA", self.root, "-CAkey", self.path("root.key"), "-set_serial", serial, "-days", days, "-extfile", name + ".ext", "-out",
                name + ".pem")
        with open(name + ".pem", "rb") as f, open(self.root, "rb") as root:
            o["chain"] = f.read() + root.read() * (200 if self.fault("huge") else 1)
        o["status"] = "valid"
        self.given.append(o)

    def do_cert(self, path, account, payload):
        return 200, self.own(path, account)["chain"], {"content-type": "application/pem-certificate-chain"}

    def info(self, name):
        with self.lock:
            self.kid_requests += 1
        key, _, serial = name.partition(".")
        if not key or not 1000 <= int.from_bytes(unb64(serial), "big") < 1000 + len(self.orders):
            raise Problem(404, "malformed", "no certificate of ours")
        first, last = self.window or (time.time() + 6 * 86400, time.time() + 7 * 86400)
        stamp = lambda t: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(t))
        return 200, {"suggestedWindow": {"start": stamp(first), "end": stamp(last)}}, {"retry-after": "21600"}
