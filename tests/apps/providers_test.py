"""Other providers of identities: OAuth 2 and OpenID Connect towards them, their tokens of native apps, linking; doubles of theirs, and npm's oidc-provider."""
import base64, hashlib, hmac, http.server, shutil, subprocess, tempfile, threading, urllib.parse

from nodes import *
from admin_test import cli
from database_test import project
from rest_test import ENGINES
from users_test import LOOSE, PASSWORD, Asker, claims, eq

SITE = "https://app.example"
OPERATOR = b"auth_private = 1\n"


def b64(data):
    return base64.urlsafe_b64encode(data if isinstance(data, bytes) else json.dumps(data).encode()).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def openssl(*args, data=b""):
    return subprocess.run(["openssl", *args], input=data, check=True, capture_output=True).stdout


class Key:
    """One that signs tokens as a provider does, by openssl."""

    def __init__(self, alg, kid):
        self.alg, self.kid, self.file = alg, kid, tempfile.NamedTemporaryFile(suffix=".pem")
        more = ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"] if alg == "RS256" else ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
        self.pem = openssl("genpkey", "-algorithm", *more)
        self.file.write(self.pem), self.file.flush()

    def jwk(self):
        if self.alg == "RS256":
            n = bytes.fromhex(openssl("rsa", "-in", self.file.name, "-noout", "-modulus").decode().strip().split("=")[1])
            return {"kty": "RSA", "kid": self.kid, "use": "sig", "alg": "RS256", "n": b64(n), "e": "AQAB"}
        point = openssl("pkey", "-in", self.file.name, "-pubout", "-outform", "DER")[-64:]
        return {"kty": "EC", "crv": "P-256", "kid": self.kid, "x": b64(point[:32]), "y": b64(point[32:])}

    def sign(self, said, **head):
        what = b64({"alg": self.alg, "kid": self.kid, **head}) + "." + b64(said)
        sig = openssl("dgst", "-sha256", "-sign", self.file.name, data=what.encode())
        if self.alg == "ES256":  # SEQUENCE of two INTEGERs, as JWS has them: 32 bytes each
            r, s = (lambda at: (sig[4:4 + at], sig[6 + at:]))(sig[3])
            sig = b"".join(x.lstrip(b"\0").rjust(32, b"\0") for x in (r, s))
        return what + "." + b64(sig)

    def holds(self, token):
        head, said, sig = token.split(".")
        raw = unb64(sig)
        number = lambda x: (lambda y: b"\x02" + bytes([len(y)]) + y)((b"\0" if x.lstrip(b"\0")[:1] >= b"\x80" else b"") + x.lstrip(b"\0"))
        der = number(raw[:32]) + number(raw[32:])
        with tempfile.NamedTemporaryFile() as f, tempfile.NamedTemporaryFile() as pub:
            f.write(b"\x30" + bytes([len(der)]) + der), f.flush()
            pub.write(openssl("pkey", "-in", self.file.name, "-pubout")), pub.flush()
            openssl("dgst", "-sha256", "-verify", pub.name, "-signature", f.name, data=f"{head}.{said}".encode())
        return json.loads(unb64(head)), json.loads(unb64(said))


class Double:
    """GitHub, Facebook, Discord and those of OpenID Connect, below one address: /NAME/…."""

    def __init__(self):
        self.rsa, self.ec, self.asked, self.codes, self.users, self.broken = Key("RS256", "r1"), Key("ES256", "e1"), [], {}, {}, {}
        self.held, self.waiting, self.lock = {}, 0, threading.Lock()
        self.keys = [self.rsa.jwk(), self.ec.jwk()]
        double = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                double.answer(self)

            do_POST = do_GET

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads, self.server.handle_error = True, lambda *args: None
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.server.shutdown()
        self.server.server_close()

    def answer(self, h):
        body = h.rfile.read(int(h.headers.get("content-length", 0))).decode()
        path, _, query = h.path.partition("?")
        form = dict(urllib.parse.parse_qsl(body))
        self.asked.append((path, form, {k.title(): v for k, v in h.headers.items()}, dict(urllib.parse.parse_qsl(query))))
        name = path.split("/")[1]
        status, said = 404, {"error": "nothing there"}
        bearer = h.headers.get("authorization", "").removeprefix("Bearer ")
        if path in self.held:
            with self.lock:
                self.waiting += 1
            self.held[path].wait(processes.PATIENCE_S)
        if path in self.broken:
            status, said = self.broken[path]
        elif path.endswith("/.well-known/openid-configuration"):
            iss = self.url + path.removesuffix("/.well-known/openid-configuration")
            status, said = 200, {"issuer": iss, "authorization_endpoint": iss + "/auth", "token_endpoint": iss + "/token", "userinfo_endpoint": iss + "/me", "jwks_uri": iss + "/jwks",
                                 "response_types_supported": ["code"], "id_token_signing_alg_values_supported": ["RS256", "ES256"]}
        elif path.endswith("/jwks"):
            status, said = 200, {"keys": self.keys}
        elif path.endswith(("/token", "/access_token", ".token")):
            got = self.codes.pop(form.get("code"), None)
            status, said = (200, got) if got else (400, {"error": "invalid_grant"})
        elif bearer in self.users:
            status, said = 200, self.users[bearer].get(path.split("/", 2)[2], {"error": path})
        out = said if isinstance(said, bytes) else json.dumps(said).encode()
        h.send_response(status)
        h.send_header("content-type", "application/x-www-form-urlencoded" if isinstance(said, bytes) else "application/json")
        h.send_header("content-length", str(len(out)))
        h.end_headers()
        h.wfile.write(out)

    def gives(self, code, access, users=None, **more):
        """What the code is good for, once."""
        self.codes[code] = {"access_token": access, "token_type": "bearer", **more}
        if users:
            self.users[access] = users

    def last(self, end):
        return next(a for a in reversed(self.asked) if a[0].endswith(end))


def manifest(double, engine, more=""):
    at = lambda name, rest="": f'[auth.providers.{name}]\nclient_id = "{name}-client"\nsecret = "ONE"\nurl = "{double.url}/{name}"\n{rest}'
    return (f'name = "shop"\ndatabase = "{engine}"\n[auth]\nsite_url = "{SITE}"\nredirect_urls = ["myapp://**"]\nmanual_linking = true\ncustom_providers = true\n{LOOSE}{more}[auth.mail]\nnotify = ["identity_linked", "identity_unlinked"]\n'
            + at("github") + at("facebook") + at("discord") + at("gitlab") + at("google").replace('"google-client"', '["google-client", "google-ios", "env(ANDROID)"]')
            + at("azure") + at("slack_oidc") + at("keycloak")
            + at("apple", 'team_id = "TEAM"\nkey_id = "KEY"\n').replace('"ONE"', '"APPLE_KEY"')
            + f'[auth.providers.acme]\nclient_id = "acme-client"\nsecret = "ONE"\nissuer = "{double.url}/acme"\n[auth.providers.off]\nenabled = false\nclient_id = "x"\nissuer = "{double.url}/off"\n')


class Flow:
    """What a browser does."""

    def __init__(self, ask, double):
        self.ask, self.double = ask, double

    def begin(self, provider, **params):
        status, head, text = self.ask.raw("GET", "/auth/v1/authorize?" + urllib.parse.urlencode({"provider": provider, **params}), key=None)
        eq(status, 302, text)
        where, _, query = head["location"].partition("?")
        said = dict(urllib.parse.parse_qsl(query))
        eq((said["response_type"], said["redirect_uri"].endswith("/auth/v1/callback")), ("code", True), said)
        self.cookie = head.get("set-cookie", "").partition(";")[0]
        return where, said

    def back(self, post=False, fields=None, **params):
        body = urllib.parse.urlencode(params)
        fields = {**({"Cookie": self.cookie} if getattr(self, "cookie", "") else {}), **(fields or {})}
        if post:
            status, head, text = self.ask.raw("POST", "/auth/v1/callback", body, key=None, Content_Type="application/x-www-form-urlencoded", **fields)
        else:
            status, head, text = self.ask.raw("GET", "/auth/v1/callback?" + body, key=None, **fields)
        check(status in (302, 303), status, text)
        url, _, fragment = head["location"].partition("#")
        url, _, query = url.partition("?")
        return url, dict(urllib.parse.parse_qsl(query)), dict(urllib.parse.parse_qsl(fragment, keep_blank_values=True))

    def whole(self, provider, code, access, users=None, token=None, params=None, **back):
        where, said = self.begin(provider, **(params or {}))
        more = {"id_token": token(said)} if token else {}
        self.double.gives(code, access, users, **more)
        return self.back(state=said["state"], code=code, **back)


def github(login, email, number, verified=True, more=()):
    return {"api/v3/user": {"id": number, "login": login, "name": login.title(), "avatar_url": "https://a.example/x.png"},
            "api/v3/user/emails": [{"email": email, "primary": True, "verified": verified}, *more]}


def user_of(ask, session):
    status, user = ask("GET", "/user", bearer=session["access_token"])
    eq(status, 200, user)
    return user


def deployed(n, double, engine, more="", name="shop"):
    for key, value in (("ONE", b"the client's secret"), ("APPLE_KEY", double.ec.pem), ("ANDROID", b"google-android")):
        cli(n, "secrets", "set", name, key, data=value)
    cli(n, "deploy", project({"migrations/1.sql": "select 1;"}, manifest(double, engine, more).replace('"shop"', f'"{name}"', 1)))
    return Asker(n, name)


def test_providers_doubles():
    """Each engine in one node: GitHub, Facebook, Discord, Google and Apple by doubles; what is refused; linking."""
    for engine in ENGINES:
        with Double() as double, node("--workers", "1", "--config", file_of("operator.toml", OPERATOR)) as n:
            ask = deployed(n, double, engine, "confirm_email = true\nanonymous = true\n[auth.passkeys]\nrp_id = \"shop.example\"\norigins = [\"https://shop.example\"]\n")
            flow = Flow(ask, double)
            by_github(flow)
            by_pkce(flow)
            by_others(flow)
            by_openid(flow)
            refused(flow)
            unsure(flow)
            linked(flow)
            by_token(flow)
            custom(flow)
            log = n.log()
            for word in ("the client's secret", "gh-access", "PRIVATE KEY", "code=c-"):
                check(word not in log, word)


def by_github(flow):
    where, said = flow.begin("github", scopes="repo,gist", redirect_to="myapp://in?x=1", prompt="consent", client_id="mine", state="mine")
    eq(where, flow.double.url + "/github/login/oauth/authorize")
    eq((said["client_id"], said["scope"], said["prompt"], "redirect_to" in said, said["code_challenge_method"]), ("github-client", "user:email repo gist", "consent", False, "S256"), said)
    flow.double.gives("c-1", "gh-access", github("ann", "Ann@Example.com", 17), refresh_token="gh-refresh")
    url, query, session = flow.back(state=said["state"], code="c-1")
    eq((url, query, session["provider_token"], session["provider_refresh_token"], session["token_type"], session["sb"]), ("myapp://in", {"x": "1"}, "gh-access", "gh-refresh", "bearer", ""), session)
    form, head = flow.double.last("/access_token")[1:3]
    eq(b64(hashlib.sha256(form["code_verifier"].encode()).digest()), said["code_challenge"])
    eq((form["client_secret"], form["redirect_uri"], head["User-Agent"].partition("/")[0]), ("the client's secret", said["redirect_uri"], "orlo"), form)
    user = user_of(flow.ask, session)
    eq((user["email"], user["app_metadata"], "email_confirmed_at" in user), ("ann@example.com", {"provider": "github", "providers": ["github"]}, True), user)
    identity = user["identities"][0]
    eq((identity["id"], identity["provider"], identity["email"]), ("17", "github", "ann@example.com"), identity)
    eq(identity["identity_data"], {"iss": flow.double.url + "/github/api/v3", "sub": "17", "provider_id": "17", "name": "Ann", "full_name": "Ann", "preferred_username": "ann", "user_name": "ann",
                                   "avatar_url": "https://a.example/x.png", "email": "ann@example.com", "email_verified": True, "phone_verified": False})
    eq((user["user_metadata"]["user_name"], claims(session["access_token"])["amr"][0]["method"]), ("ann", "oauth"))
    # again: the same user, another name
    url, query, again = flow.whole("github", "c-2", "gh-access-2", {**github("ann", "ann@example.com", 17), "api/v3/user": {"id": 17, "login": "annie", "name": "Annie", "avatar_url": None}})
    eq((url, user_of(flow.ask, again)["id"], user_of(flow.ask, again)["user_metadata"]["user_name"]), (SITE, user["id"], "annie"))
    # who has the address elsewhere, surely: the same user, with two identities
    status, made = flow.ask.admin("POST", "/admin/users", {"email": "ben@example.com", "password": PASSWORD, "email_confirm": True})
    _, _, ben = flow.whole("github", "c-3", "gh-3", github("ben", "ben@example.com", 18))
    user = user_of(flow.ask, ben)
    eq((user["id"], sorted(i["provider"] for i in user["identities"]), user["app_metadata"]["providers"]), (made["id"], ["email", "github"], ["email", "github"]), user)
    eq(flow.ask.sign_in("ben@example.com")[0], 200)
    # a form in place of JSON, as it was
    where, said = flow.begin("github")
    flow.double.codes["c-4"] = b"access_token=gh%2D4&scope=&token_type=bearer"
    flow.double.users["gh-4"] = github("cat", "cat@example.com", 19)
    eq(flow.back(state=said["state"], code="c-4")[2]["provider_token"], "gh-4")


def by_pkce(flow):
    verifier = "v" * 64
    challenge = b64(hashlib.sha256(verifier.encode()).digest())
    where, said = flow.begin("github", code_challenge=challenge, code_challenge_method="s256", redirect_to="myapp://in")
    eq(flow.cookie, "")
    flow.double.gives("c-p", "gh-p", github("dan", "dan@example.com", 20), refresh_token="gh-pr")
    url, query, fragment = flow.back(state=said["state"], code="c-p")
    eq((url, list(query), fragment), ("myapp://in", ["code"], {}))
    kept = flow.ask.rows({"schema": "auth", "from": "flow_state", "select": ["provider_access_token", "provider_refresh_token"], "where": {"column": "id", "op": "eq", "value": said["state"]}})[0]
    check(all(v.startswith("orlo1.") and "gh-p" not in v for v in kept.values()), kept)
    eq(flow.back(state=said["state"], code="c-p")[1]["error_code"], "flow_state_already_used")
    token = lambda code, v: flow.ask("POST", "/token?grant_type=pkce", {"auth_code": code, "code_verifier": v})
    eq(token(query["code"], "w" * 64)[1]["code"], "bad_code_verifier")
    status, session = token(query["code"], verifier)
    eq((status, session["provider_token"], session["provider_refresh_token"], session["user"]["email"]), (200, "gh-p", "gh-pr", "dan@example.com"), session)
    eq(token(query["code"], verifier)[1]["code"], "flow_state_not_found")
    for params in ({"code_challenge": challenge}, {"code_challenge_method": "s256"}, {"code_challenge": "x", "code_challenge_method": "s256"}, {"code_challenge": challenge, "code_challenge_method": "s512"}):
        eq(flow.ask("GET", "/authorize?" + urllib.parse.urlencode({"provider": "github", **params}), key=None)[1]["code"], "validation_failed", params)


def by_others(flow):
    where, said = flow.begin("facebook")
    eq((where, "code_challenge" in said), (flow.double.url + "/facebook/dialog/oauth", False))
    flow.double.gives("c-f", "fb", {"me": {"id": "f1", "email": "eva@example.com", "first_name": "Eva", "last_name": "Ek", "name": "Eva Ek", "picture": {"data": {"url": "https://p.example"}}}})
    user = user_of(flow.ask, flow.back(state=said["state"], code="c-f")[2])
    data = user["identities"][0]["identity_data"]
    eq((user["email"], data["name"], data["nickname"], data["picture"], data["sub"]), ("eva@example.com", "Eva Ek", "Eva Ek", "https://p.example", "f1"), data)
    eq(flow.double.last("/me")[3]["appsecret_proof"], hmac.new(b"the client's secret", b"fb", "sha256").hexdigest())
    discord = lambda verified: {"api/users/@me": {"id": "80", "username": "fay", "discriminator": "7", "global_name": "Fay", "avatar": "a_1f", "email": "fay@example.com", "verified": verified}}
    _, _, session = flow.whole("discord", "c-d", "dc", discord(True))
    data = user_of(flow.ask, session)["identities"][0]["identity_data"]
    eq((data["name"], data["avatar_url"], data["custom_claims"], data["email_verified"]), ("fay#7", "https://cdn.discordapp.com/avatars/80/a_1f.gif", {"global_name": "Fay"}, True), data)
    _, _, session = flow.whole("gitlab", "c-g", "gl", {"api/v4/user": {"id": 5, "name": "Gil", "email": "gil@example.com", "avatar_url": "https://g.example", "confirmed_at": "2024-01-01"},
                                                       "api/v4/user/emails": [{"id": 1, "email": "other@example.com"}]})
    eq(user_of(flow.ask, session)["email"], "gil@example.com")


    _, _, session = flow.whole("slack_oidc", "c-s", "sl", {"api/openid.connect.userInfo": {"https://slack.com/user_id": "U1", "https://slack.com/team_id": "T1", "email": "sue@example.com", "email_verified": True, "name": "Sue"}})
    data = user_of(flow.ask, session)["identities"][0]["identity_data"]
    eq((data["sub"], data["name"], data["custom_claims"], data["iss"]), ("U1", "Sue", {"https://slack.com/team_id": "T1"}, flow.double.url + "/slack_oidc/api"), data)
    _, _, session = flow.whole("keycloak", "c-k", "kc", {"protocol/openid-connect/userinfo": {"sub": "k1", "email": "kit@example.com", "email_verified": True, "name": "Kit"}})
    eq(user_of(flow.ask, session)["email"], "kit@example.com")
    # Azure: the tenant that the app has named is believed, and no other
    azure = lambda **more: lambda said: token_of(flow.double, "azure/v2.0", said, **{"aud": "azure-client", "sub": "z1", "email": "zoe@example.com", "name": "Zoe", "preferred_username": "zoe", **more})
    _, _, session = flow.whole("azure", "c-z", "az", token=azure())
    data = user_of(flow.ask, session)["identities"][0]["identity_data"]
    eq((data["email"], data["email_verified"], data["full_name"], data["preferred_username"]), ("zoe@example.com", True, "Zoe", "zoe"), data)
    eq(flow.whole("azure", "c-z2", "az", token=azure(sub="z2", email="ann@example.com", xms_edov=False))[1]["error_code"], "provider_email_needs_verification")
    for more in ({"iss": "https://login.microsoftonline.com/evil/v2.0"}, {"iss": flow.double.url + "/azure"}, {"aud": "x"}):
        eq(flow.whole("azure", "c-z3", "az", token=azure(**more))[1]["error"], "server_error", more)


def token_of(double, at, said=None, key=None, **more):
    now = int(time.time())
    return (key or double.rsa).sign({k: v for k, v in {"iss": f"{double.url}/{at}", "aud": f"{at}-client", "iat": now, "exp": now + 300, "nonce": said["nonce"] if said else None, **more}.items() if v is not None})


def by_openid(flow):
    double = flow.double
    where, said = flow.begin("google")
    eq((where, said["scope"], len(said["nonce"])), (double.url + "/google/auth", "openid email profile", 43))
    double.gives("c-o", "go", id_token=token_of(double, "google", said, sub="g1", email="hal@example.com", email_verified=True, name="Hal", picture="https://h.example", hd="example.com",
                                                  at_hash=b64(hashlib.sha256(b"go").digest()[:16])))
    user = user_of(flow.ask, flow.back(state=said["state"], code="c-o")[2])
    eq((user["email"], user["identities"][0]["identity_data"]["custom_claims"]), ("hal@example.com", {"hd": "example.com"}), user)
    # Apple: a secret signed by its key, by POST, a name that is told once
    where, said = flow.begin("apple")
    eq((said["response_mode"], "code_challenge" in said), ("form_post", False))
    double.gives("c-a", "ap", id_token=token_of(double, "apple", said, key=double.ec, sub="a1", email="ida@example.com", is_private_email="true"))
    _, _, session = flow.back(post=True, state=said["state"], code="c-a", user=json.dumps({"name": {"firstName": "Ida", "lastName": "Ib"}, "email": "evil@example.com"}))
    data = user_of(flow.ask, session)["identities"][0]["identity_data"]
    eq((data["name"], data["email"], data["custom_claims"]), ("Ida Ib", "ida@example.com", {"is_private_email": "true"}), data)
    head, made = double.ec.holds(double.last("/apple/token")[1]["client_secret"])
    eq((head["kid"], made["iss"], made["sub"], made["aud"]), ("KEY", "TEAM", "apple-client", double.url + "/apple"), made)
    # one by a name of the app's: what its id_token lacks its userinfo says, of the same one
    who = {"me": {"sub": "x1", "email": "jan@example.com", "email_verified": True, "name": "Jan", "role": "service_role"}}
    _, _, session = flow.whole("custom:acme", "c-x", "ac", who, token=lambda s: token_of(double, "acme", s, sub="x1"))
    user = user_of(flow.ask, session)
    eq((user["email"], user["identities"][0]["provider"], user["role"], "role" in user["user_metadata"]), ("jan@example.com", "custom:acme", "authenticated", False), user)
    eq(double.last("/acme/token")[2]["Authorization"], "Basic " + base64.b64encode(b"acme-client:the+client%27s+secret").decode())
    bad = [("of another one", {"sub": "x2"}, {}), ("nonce", {"nonce": "x"}, {}), ("no nonce", {"nonce": None}, {}), ("issuer", {"iss": double.url + "/google"}, {}), ("audience", {"aud": "google-client"}, {}),
           ("expired", {"exp": 1}, {}), ("no expiry", {"exp": None}, {}), ("of tomorrow", {"iat": int(time.time()) + 86400}, {}), ("no subject", {"sub": None}, {}), ("alg none", {}, {"alg": "none"}),
           ("key confusion", {}, {"alg": "HS256"}), ("another key", {}, {"kid": "r2"}), ("crit", {}, {"crit": ["x"]}), ("at_hash", {"at_hash": "x"}, {})]
    for i, (name, more, head) in enumerate(bad):
        def token(s):
            said = {"iss": f"{double.url}/acme", "aud": "acme-client", "iat": int(time.time()), "exp": int(time.time()) + 300, "nonce": s["nonce"], "sub": "x1", **more}
            return double.rsa.sign({k: v for k, v in said.items() if v is not None}, **head)
        _, query, fragment = flow.whole("custom:acme", f"c-b{i}", "ac", who, token=token)
        eq((query.get("error"), query.get("error_description"), fragment.get("error")), ("server_error", "Error getting user profile from external provider", "server_error"), name)
    # A new key of the provider's is found; who makes one up does not make it be asked each time.
    new, before = Key("RS256", "r9"), len([a for a in double.asked if a[0] == "/acme/jwks"])
    eq(before <= 2, True, before)
    double.keys.append(new.jwk())
    double.asked.clear()


def refused(flow):
    double = flow.double
    said = lambda path: flow.ask("GET", path, key=None)
    for provider, words in (("nope", "Unsupported provider: Provider nope could not be found"), ("off", "Unsupported provider: Provider off could not be found"), 
                            ("twitch", "Unsupported provider: provider is not enabled"), ("custom:nope", "Unsupported provider: custom provider custom:nope not found"), ("", "Unsupported provider: Provider  could not be found")):
        status, got = flow.ask("GET", "/authorize?provider=" + provider, key=None)
        eq((status, got["code"], got["message"]), (400, "validation_failed", words))
    # a state that is none, of another flow, twice, of another browser
    eq(flow.back(code="x"), (SITE, {"error": "invalid_request", "error_code": "bad_oauth_callback", "error_description": "OAuth state parameter missing"}, {}))
    eq(flow.back(code="x", state="x")[1]["error_code"], "bad_oauth_state")
    eq(flow.back(code="x", state="6f1c0a52-9d5e-4f0c-8f57-0d7b8b0a7a11")[1]["error_description"], "OAuth state not found or expired")
    _, _, session = flow.whole("github", "c-r1", "gh-r", github("kim", "kim@example.com", 30))
    state = [a for a in double.asked if a[0].endswith("/access_token")]
    where, begun = flow.begin("github")
    double.gives("c-r2", "gh-r", None)
    eq(flow.back(state=begun["state"], code="c-r2")[0], SITE)
    double.gives("c-r3", "gh-r", None)
    eq(flow.back(state=begun["state"], code="c-r3")[1]["error_code"], "bad_oauth_state")
    check("c-r3" in double.codes, "a flow that is over asks nobody")
    where, begun = flow.begin("github")
    check(flow.cookie.startswith("orlo-flow-"), flow.cookie)
    victim, flow.cookie = flow.cookie, ""
    eq(flow.back(state=begun["state"], code="c-r3", fields={"Sec_Fetch_Mode": "navigate"})[1]["error_code"], "bad_oauth_state")
    eq(flow.back(state=begun["state"], code="c-r3", fields={"Cookie": victim, "Sec_Fetch_Mode": "navigate"})[1]["error_code"], "oauth_client_state_not_found")
    where, begun = flow.begin("github")
    eq(flow.back(state=begun["state"], code="c-r3", fields={"Sec_Fetch_Mode": "navigate"})[2]["provider_token"], "gh-r")
    # what the provider says: where the flow leads, in the query and the fragment
    where, begun = flow.begin("github", redirect_to="myapp://in")
    url, query, fragment = flow.back(state=begun["state"], error="access_denied", error_description="No & <thanks>\r\nx: y")
    eq((url, query, fragment), ("myapp://in", {"error": "access_denied", "error_description": "No & <thanks>\r\nx: y"}, {"error": "access_denied", "error_description": "No & <thanks>\r\nx: y", "sb": ""}))
    where, begun = flow.begin("github")
    eq(flow.back(state=begun["state"])[1]["error_code"], "bad_oauth_callback")
    where, begun = flow.begin("github")
    eq(flow.back(state=begun["state"], code="none-such")[1], {"error": "server_error", "error_code": "unexpected_failure", "error_description": "Unable to exchange external code: none"})
    flow.ask.n.wait_event("auth-failed", what="Unable to exchange external code: none")
    # mix-up: the answer of another provider (RFC 9207)
    where, begun = flow.begin("custom:acme")
    double.gives("c-r4", "ac", None)
    eq((flow.back(state=begun["state"], code="c-r4", iss=double.url + "/google")[1]["error_code"], "c-r4" in double.codes), ("bad_oauth_callback", True))
    # a flow that is too old; a redirect that leads elsewhere
    where, begun = flow.begin("github", redirect_to="https://evil.example")
    flow.ask.rows({"kind": "update", "schema": "auth", "from": "flow_state", "set": {"created_at": "2020-01-01T00:00:00Z"}, "select": ["id"], "where": {"column": "id", "op": "eq", "value": begun["state"]}})
    eq(flow.back(state=begun["state"], code="c-r3"), (SITE, {"error": "invalid_request", "error_code": "bad_oauth_state", "error_description": "OAuth state has expired"}, {}))
    # nonsense, too much, and nothing at all from the provider
    for i, said in enumerate(((200, {"access_token": ["x"]}), (200, {"error": "bad_verification_code"}), (500, {}), (200, b"\xff" * 100), (200, b"x" * 300_000), (302, {}))):
        double.broken["/github/login/oauth/access_token"] = said
        where, begun = flow.begin("github")
        eq(flow.back(state=begun["state"], code="c-n")[1]["error_code"], "unexpected_failure", i)
    double.broken.clear()
    for user in ({"api/v3/user": [], "api/v3/user/emails": []}, {"api/v3/user": {"login": "x"}, "api/v3/user/emails": []}, {"api/v3/user": {"id": 31}, "api/v3/user/emails": []}, {"api/v3/user": {"id": {"x": 1}}, "api/v3/user/emails": {}}):
        eq(flow.whole("github", "c-w", "gh-w", user)[1]["error"], "server_error", user)
    # banned
    user = user_of(flow.ask, session)
    eq(flow.ask.admin("PUT", "/admin/users/" + user["id"], {"ban_duration": "1h"})[0], 200)
    eq(flow.whole("github", "c-ban", "gh-ban", github("kim", "kim@example.com", 30))[1]["error"], "access_denied")


def unsure(flow):
    """Who is not sure to have an address is linked to nobody, and has a mail to answer."""
    _, query, _ = flow.whole("github", "c-u1", "gh-u1", github("eve", "ben@example.com", 40, verified=False))
    eq((query["error"], query["error_code"], query["error_description"]), ("access_denied", "provider_email_needs_verification", "Unverified email with github. Verify the email with github in order to sign in"))
    ben = flow.ask.sign_in("ben@example.com")[1]
    eq(len(ben["user"]["identities"]), 2)
    # of two that he has there, the second is surely his, and belongs to nobody here: he is not Ben
    _, query, _ = flow.whole("github", "c-u2", "gh-u2", github("lou", "lou@example.com", 41, verified=False))
    eq(query["error_description"], "Unverified email with github. A confirmation email has been sent to your github email")
    mail = flow.ask.mail("lou@example.com")
    eq(mail["kind"], "signup")
    status, session = flow.ask("POST", "/verify", {"type": "signup", "token": mail["variables"]["Token"], "email": "lou@example.com"})
    eq((status, session["user"]["email"]), (200, "lou@example.com"), session)
    # who signed up with another's address before him has nothing of it once its owner comes
    eq(flow.ask.sign_up("max@example.com", "a password of somebody else's", handle="evil")[0], 200)
    _, _, session = flow.whole("github", "c-u3", "gh-u3", github("max", "max@example.com", 42))
    user = user_of(flow.ask, session)
    eq(([i["provider"] for i in user["identities"]], user["app_metadata"]["providers"], user["user_metadata"].get("handle")), (["github"], ["github"], None), user)
    eq(flow.ask.sign_in("max@example.com", "a password of somebody else's")[1]["code"], "invalid_credentials")
    taken_before(flow)


def taken_before(flow):
    """Who has a session, and another's address that nobody confirmed: by nothing that he left does he come in once its owner is there."""
    ask = flow.ask


    def squats(email, number):
        own = ask("POST", "/signup", {})[1]
        got = ask("GET", "/user/identities/authorize?provider=github&skip_http_redirect=true", bearer=own["access_token"])[1]
        said = dict(urllib.parse.parse_qsl(got["url"].partition("?")[2]))
        flow.double.gives(f"c-t{number}", f"gh-t{number}", github("rob", email, number, verified=False))
        flow.cookie = ""
        eq(flow.back(state=said["state"], code=f"c-t{number}")[1]["error_code"], "email_not_confirmed")
        return own, own["user"]["id"]

    # by a mail that the owner asked for
    own, user = squats("wes@example.com", 45)
    eq(ask("POST", "/recover", {"email": "wes@example.com"})[0], 200)
    status, session = ask("POST", "/verify", {"type": "recovery", "token": ask.mail("wes@example.com")["variables"]["Token"], "email": "wes@example.com"})
    eq((status, session["user"]["id"], session["user"]["app_metadata"]["providers"], [i["provider"] for i in session["user"]["identities"]]), (200, user, ["email"], ["email"]), session)
    eq((ask("GET", "/user", bearer=own["access_token"])[0], ask.refresh(own["refresh_token"])[0], user_of(ask, session)["id"]), (403, 400, user))
    eq(flow.whole("github", "c-t3", "gh-t3", github("rob", "wes@example.com", 45, verified=False))[1]["error_code"], "provider_email_needs_verification")
    # by a provider that is sure
    own, user = squats("vic@example.com", 43)
    eq((user_of(ask, own)["email"], ask.admin("PUT", f"/admin/users/{user}", {"phone": "15550001111", "phone_confirm": True})[0]), ("vic@example.com", 200))
    at = "2026-01-01T00:00:00Z"
    for table, row in (("webauthn_credentials", {"credential_id": "\\x0102", "public_key": "\\x01"}), ("mfa_factors", {"factor_type": "totp", "status": "verified", "secret": "x", "created_at": at, "updated_at": at})):
        ask.rows({"kind": "insert", "schema": "auth", "from": table, "rows": [{"id": user, "user_id": user, **row}], "select": ["id"]})
    _, _, session = flow.whole("github", "c-t2", "gh-t2", github("vic", "vic@example.com", 44))
    seen = user_of(ask, session)
    eq((seen["id"], seen["phone"], seen["is_anonymous"], seen.get("factors", []), [i["id"] for i in seen["identities"]]), (user, "", False, [], ["44"]), seen)
    for table in ("webauthn_credentials", "mfa_factors", "one_time_tokens"):
        eq(ask.rows({"schema": "auth", "from": table, "select": ["id"], "where": {"column": "user_id", "op": "eq", "value": user}}), [], table)
    eq((ask("GET", "/user", bearer=own["access_token"])[0], ask.refresh(own["refresh_token"])[0]), (403, 400))


def linked(flow):
    ask = flow.ask
    status, made = ask.admin("POST", "/admin/users", {"email": "nan@example.com", "password": PASSWORD, "email_confirm": True})
    nan = ask.sign_in("nan@example.com")[1]
    link = lambda bearer, **more: ask("GET", "/user/identities/authorize?" + urllib.parse.urlencode({"provider": "github", "skip_http_redirect": "true", **more}), bearer=bearer)
    status, got = link(nan["access_token"], redirect_to="myapp://in")
    eq((status, list(got)), (200, ["url"]), got)
    said = dict(urllib.parse.parse_qsl(got["url"].partition("?")[2]))
    flow.double.gives("c-l1", "gh-l1", github("nan", "nan@elsewhere.example", 50))
    flow.cookie = ""
    url, _, session = flow.back(state=said["state"], code="c-l1")
    user = user_of(ask, session)
    eq((url, user["id"], user["email"], user["app_metadata"]["providers"]), ("myapp://in", made["id"], "nan@example.com", ["email", "github"]), user)
    told = lambda: (lambda m: (m["kind"], m["variables"]["Provider"]))(ask.mail("nan@example.com"))
    eq(told(), ("identity_linked", "github"))
    # the same once more, and somebody else's
    for number, words in ((50, "Identity is already linked"), (17, "Identity is already linked to another user")):
        said = dict(urllib.parse.parse_qsl(link(nan["access_token"])[1]["url"].partition("?")[2]))
        flow.double.gives("c-l2", "gh-l2", github("nan", "x@example.com", number))
        query = flow.back(state=said["state"], code="c-l2")[1]
        eq((query["error"], query["error_code"], query["error_description"]), ("server_error", "identity_already_exists", words))
    # away with it; the last one stays
    identities = {i["provider"]: i["identity_id"] for i in user["identities"]}
    delete = lambda which, token=nan["access_token"]: ask("DELETE", f"/user/identities/{which}", bearer=token)
    eq((delete("x")[0], delete("x")[1]["code"]), (404, "validation_failed"))
    eq((delete(made["id"])[0], delete(made["id"])[1]["code"]), (422, "identity_not_found"))
    eq(delete(identities["github"]), (200, {}))
    eq(told(), ("identity_unlinked", "github"))
    eq((delete(identities["email"])[0], delete(identities["email"])[1]["code"]), (422, "single_identity_not_deletable"))
    eq(user_of(ask, nan)["app_metadata"], {"provider": "email", "providers": ["email"]})
    eq(ask("DELETE", "/user/identities/" + identities["email"])[0], 401)


def by_token(flow):
    """Native apps: the provider's token itself, with a nonce whose digest it has."""
    double, ask = flow.double, flow.ask
    grant = lambda token, **more: ask("POST", "/token?grant_type=id_token", {"id_token": token, "provider": "google", **more})
    digest = hashlib.sha256(b"a nonce").hexdigest()
    good = lambda **more: token_of(double, "google", **{"aud": "google-ios", "sub": "t1", "email": "ole@example.com", "email_verified": True, "name": "Ole", "nonce": digest, **more})
    status, session = grant(good(), nonce="a nonce")
    eq((status, session["user"]["email"], session["user"]["identities"][0]["provider"]), (200, "ole@example.com", "google"), session)
    eq(grant(good(aud=["x", "google-android"]), nonce="a nonce")[0], 200)
    eq(grant(token_of(double, "google", key=double.ec, sub="t1", aud="google-client"))[1]["user"]["id"], session["user"]["id"])
    other = lambda status, said: (status, {k: said.get(k) for k in ("error", "error_description")})
    for token, more, error, words in ((good(), {}, "invalid request", "Passed nonce and nonce in id_token should either both exist or not."), (good(), {"nonce": "another"}, "invalid nonce", "Nonces mismatch"),
                                      (good(aud="evil"), {"nonce": "a nonce"}, "invalid request", "Unacceptable audience in id_token: [evil]"), (good(exp=1), {"nonce": "a nonce"}, "invalid request", "Bad ID token"),
                                      (good(iss="https://evil.example"), {"nonce": "a nonce"}, "invalid request", "Bad ID token"), (good(key=Key("RS256", "r1")), {"nonce": "a nonce"}, "invalid request", "Bad ID token"),
                                      ("x.y.z", {}, "invalid request", "Bad ID token"), ("", {}, "invalid request", "id_token required"), (good(sub=None), {"nonce": "a nonce"}, "invalid request", "Missing sub claim in id_token"),
                                      (good(at_hash="x"), {"nonce": "a nonce", "access_token": "y"}, "invalid request", "Bad ID token")):
        eq(other(*grant(token, **more)), (400, {"error": error, "error_description": words}))
    eq(other(*ask("POST", "/token?grant_type=id_token", {"id_token": "x"})), (400, {"error": "invalid request", "error_description": "provider or client_id and issuer required"}))
    for provider, code in (("github", "validation_failed"), ("nope", "validation_failed"), ("custom:nope", "validation_failed")):
        status, said = grant(good(), provider=provider)
        eq((status, said.get("code")), (400, code), provider)
    # added to an account
    status, pia = ask("POST", "/token?grant_type=id_token", {"id_token": token_of(double, "acme", sub="p1", email="pia@example.com", email_verified=True), "provider": "custom:acme"})
    eq(status, 200, pia)
    status, said = ask("POST", "/token?grant_type=id_token", {"id_token": good(sub="t2", email="pia2@example.com"), "nonce": "a nonce", "provider": "google", "link_identity": True}, bearer=pia["access_token"])
    eq((status, said["user"]["id"], said["user"]["app_metadata"]["providers"]), (200, pia["user"]["id"], ["custom:acme", "google"]), said)
    eq(ask("POST", "/token?grant_type=id_token", {"id_token": good(sub="t2"), "nonce": "a nonce", "provider": "google", "link_identity": True}, bearer=pia["access_token"])[1]["code"], "identity_already_exists")
    # keys that are made up do not make the provider be asked each time
    before = len([a for a in double.asked if a[0] == "/google/jwks"])
    for i in range(5):
        grant(double.rsa.sign({"sub": "x"}, kid=f"made-up-{i}"))
    check(len([a for a in double.asked if a[0] == "/google/jwks"]) - before <= 1, "asked each time")


CUSTOM = {"provider_type": "oauth2", "identifier": "custom:ours", "name": "Ours", "client_id": "ours-client", "client_secret": "ours secret", "scopes": ["who"]}


def custom(flow):
    """Those that the service_role makes."""
    ask, double = flow.ask, flow.double
    at = double.url + "/ours"
    urls = {"authorization_url": at + "/auth", "token_url": at + "/token", "userinfo_url": at + "/me"}
    admin = lambda method, path="", body=None: ask.admin(method, "/admin/custom-providers" + path, body)
    eq(admin("GET"), (200, {"providers": []}))
    for body, words in (({**CUSTOM}, "authorization_url is required for OAuth2 providers"), ({**CUSTOM, **urls, "identifier": "ours"}, "identifier must start with 'custom:' prefix, e.g. 'custom:ours'"),
                        ({**CUSTOM, **urls, "identifier": "custom:A b"}, "identifier has up to"), ({**CUSTOM, **urls, "client_secret": ""}, "client_secret is required"), ({**CUSTOM, "provider_type": "x"}, "provider_type must be either"),
                        ({**CUSTOM, **urls, "authorization_params": {"state": "x"}}, "Cannot override reserved OAuth parameter: state"), ({**CUSTOM, **urls, "authorization_params": {"a": 1}}, 'Authorization parameter "a" must be a string'),
                        ({**CUSTOM, **urls, "attribute_mapping": {"role": "x"}}, "Cannot map to protected system field: role"), ({**CUSTOM, **urls, "custom_claims_allowlist": [" "]}, "custom_claims_allowlist entries"),
                        ({**CUSTOM, **urls, "token_url": "ftp://x"}, "URL must use HTTPS"), ({**CUSTOM, **urls, "token_url": "https://"}, "URL must have a valid hostname"),
                        ({**CUSTOM, "provider_type": "oidc"}, "issuer is required for OIDC providers"), ({**CUSTOM, "provider_type": "oidc", "issuer": double.url + "/x", "discovery_url": double.url + "/z/.well-known/openid-configuration"}, "issuer mismatch")):
        status, got = admin("POST", "", body)
        check(status == 400 and got["code"] == "validation_failed" and words in got["message"], words, status, got)
    eq(admin("POST", "", {**CUSTOM, "scopes": "x"})[1]["code"], "bad_json")
    eq(ask("GET", "/admin/custom-providers", bearer=ask.keys["anon"])[0], 403)
    status, made = admin("POST", "", {**CUSTOM, **urls, "attribute_mapping": {"email": "mail", "name": "label"}, "custom_claims_allowlist": ["team"], "authorization_params": {"audience": "a&b"}})
    eq((status, "client_secret" in made, made["pkce_enabled"], made["scopes"]), (201, False, True, ["who"]), made)
    eq(admin("POST", "", {**CUSTOM, **urls})[1]["code"], "conflict")
    kept = ask.rows({"schema": "auth", "from": "custom_oauth_providers", "select": ["client_secret"]})[0]["client_secret"]
    check(kept.startswith("orlo1.") and "secret" not in kept, kept)
    who = {"me": {"id": 77, "mail": "quy@example.com", "email_verified": True, "label": "Quy", "team": {"a": 1}, "app_metadata": {"x": 1}}}
    where, said = flow.begin("custom:ours", scopes="more")
    eq((where, said["scope"], said["audience"], "code_challenge" in said, "nonce" in said), (at + "/auth", "more", "a&b", True, False), said)
    double.gives("c-c1", "ou", who)
    _, _, session = flow.back(state=said["state"], code="c-c1")
    user = user_of(ask, session)
    eq((user["email"], user["user_metadata"]["name"], user["user_metadata"]["custom_claims"], user["app_metadata"]), ("quy@example.com", "Quy", {"team": {"a": 1}}, {"provider": "custom:ours", "providers": ["custom:ours"]}), user)
    eq(double.last("/ours/token")[1]["client_secret"], "ours secret")
    status, oidc = admin("POST", "", {**CUSTOM, "provider_type": "oidc", "identifier": "custom:op-2", "issuer": double.url + "/op2", "acceptable_client_ids": ["op2-ios"], "scopes": ["email"]})
    eq((status, oidc["scopes"], oidc["discovery_document"]["token_endpoint"]), (201, ["openid", "email"], double.url + "/op2/token"), oidc)
    now = int(time.time())
    status, got = ask("POST", "/token?grant_type=id_token", {"provider": "custom:op-2", "id_token": double.ec.sign({"iss": double.url + "/op2", "aud": "op2-ios", "sub": "z", "exp": now + 60, "email": "rae@example.com", "email_verified": True})})
    eq((status, got["user"]["email"]), (200, "rae@example.com"), got)
    eq([p["identifier"] for p in admin("GET", "?type=oidc")[1]["providers"]], ["custom:op-2"])
    eq((admin("GET", "?type=x")[0], admin("GET", "/custom:nope")[1]["code"], admin("GET", "/nope")[0]), (400, "custom_provider_not_found", 400))
    status, got = admin("PUT", "/custom%3Aours", {"enabled": False, "name": "Theirs"})
    eq((status, got["enabled"], got["name"], got["token_url"]), (200, False, "Theirs", at + "/token"), got)
    eq(ask("GET", "/authorize?provider=custom:ours", key=None)[1]["message"], "Unsupported provider: custom provider custom:ours is disabled")
    eq((admin("DELETE", "/custom:ours")[0], admin("DELETE", "/custom:ours")[0]), (204, 404))
    # where nobody allows it, no address that is private is asked; and no other one where [auth] names nobody
    check("auth-call-failed" in ask.n.log(), "nobody was told why")


def all_of(n, fn):
    """What each of n said, who asked at once."""
    out, start = [None] * n, threading.Barrier(n)

    def one(i):
        start.wait()
        out[i] = fn(i)
    threads = [threading.Thread(target=one, args=(i,)) for i in range(n)]
    [t.start() for t in threads]
    return out, threads


def test_providers_at_once():
    """Several at once: of one flow, of one new user, of a provider that does not answer; and where nobody allows private addresses."""
    with Double() as double, node("--workers", "2", "--config", file_of("operator.toml", OPERATOR)) as n:
        for engine in ENGINES:
            ask = deployed(n, double, engine, "confirm_email = true\n", name=engine)
            flow = Flow(ask, double)
            # a flow that comes back eight times at once is good for one
            where, said = flow.begin("github")
            double.codes.update({f"w{i}": {"access_token": "gh-w"} for i in range(8)})
            double.users["gh-w"] = github("una", "una@example.com", 60)
            got, threads = all_of(8, lambda i: flow.back(state=said["state"], code=f"w{i}"))
            [t.join() for t in threads]
            eq(sorted(bool(session.get("access_token")) for _, _, session in got), [False] * 7 + [True], got)
            check({query.get("error_code") for _, query, _ in got} <= {None, "oauth_client_state_not_found", "bad_oauth_state"}, got)  # taken by another, or over by then
            eq(len([c for c in double.codes if c.startswith("w")]), 7)
            # one who is new, by six flows at once: one user
            double.users["gh-v"] = github("vic", "vic@example.com", 61)
            states = [flow.begin("github")[1]["state"] for _ in range(6)]
            double.codes.update({f"v{i}": {"access_token": "gh-v"} for i in range(6)})
            flow.cookie = ""
            got, threads = all_of(6, lambda i: flow.back(state=states[i], code=f"v{i}"))
            [t.join() for t in threads]
            check(all(session.get("access_token") for _, _, session in got), got)
            eq(len({claims(session["access_token"])["sub"] for _, _, session in got}), 1)
            eq(len(ask.rows({"schema": "auth", "from": "users", "select": ["id"], "where": {"column": "email", "op": "eq", "value": "vic@example.com"}})), 1)
            double.codes.clear()
    with Double() as double, Double() as elsewhere, node("--workers", "1", "--config", file_of("operator.toml", OPERATOR)) as n:
        ask = deployed(n, double, "sqlite", f'[auth.providers.else]\nclient_id = "x"\nauthorize_url = "{elsewhere.url}/e/auth"\ntoken_url = "{elsewhere.url}/e/token"\nuserinfo_url = "{elsewhere.url}/e/me"\n')
        flow = Flow(ask, double)
        eq(ask.sign_up("wim@example.com")[0], 200)
        # a provider that does not answer: those who wait for it are so many, and hold nobody else
        double.held["/github/login/oauth/access_token"] = threading.Event()
        double.users["gh-x"] = github("xan", "xan@example.com", 62)
        states = [flow.begin("github")[1]["state"] for _ in range(40)]
        double.codes.update({f"x{i}": {"access_token": "gh-x"} for i in range(40)})
        flow.cookie = ""
        got, threads = all_of(40, lambda i: flow.back(state=states[i], code=f"x{i}"))
        until(lambda: double.waiting == 24 and len([g for g in got if g]) == 16)
        eq({(query["error"], query["error_code"]) for _, query, _ in filter(None, got)}, {("temporarily_unavailable", "unexpected_failure")})
        eq(ask.sign_in("wim@example.com")[0], 200)
        check(Flow(ask, elsewhere).whole("custom:else", "y", "el", {"me": {"sub": "81", "email": "y@example.com", "email_verified": True}})[2].get("access_token"), "another provider")
        double.held["/github/login/oauth/access_token"].set()
        [t.join() for t in threads]
        eq(len([g for g in got if g[2].get("access_token")]), 24)
        # one that goes on for ever, and one that is gone
        double.broken["/github/login/oauth/access_token"] = (200, b"x" * 5_000_000)
        where, said = flow.begin("github")
        eq(flow.back(state=said["state"], code="z")[1]["error"], "server_error")
    with Double() as double, node("--workers", "1") as n:
        ask = deployed(n, double, "sqlite")
        flow = Flow(ask, double)
        where, said = flow.begin("github")
        double.gives("p", "gh-p", github("pim", "pim@example.com", 63))
        eq((flow.back(state=said["state"], code="p")[1]["error"], double.asked), ("server_error", []))
        check("auth_private" in n.wait_event("auth-call-failed")["reason"], n.log())
        eq(ask("GET", "/authorize?provider=google", key=None)[0], 400)


OIDC = r"""
import Provider from "oidc-provider";
import { generateKeyPairSync } from "node:crypto";
const [, , url, callback] = process.argv;
const port = Number(new URL(url).port);
const key = (kind, options, more) => ({ ...generateKeyPairSync(kind, options).privateKey.export({ format: "jwk" }), ...more });
const provider = new Provider(url, {
  clients: [{ client_id: "shop", client_secret: "a client's secret: & %", redirect_uris: [callback], token_endpoint_auth_method: "client_secret_basic", id_token_signed_response_alg: process.argv[4] }],
  jwks: { keys: [key("rsa", { modulusLength: 2048 }, { kid: "r", use: "sig" }), key("ec", { namedCurve: "P-256" }, { kid: "e", use: "sig", alg: "ES256" })] },
  pkce: { required: () => true },
  claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"] },
  features: { devInteractions: { enabled: true } },
  findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id, email: `${id}@oidc.example`, email_verified: true, name: id.toUpperCase() }) }),
});
provider.listen(port, "127.0.0.1", () => console.log("ready"));
"""


class Browser:
    """Follows redirects, keeps cookies by port, fills in the provider's two pages."""

    def __init__(self):
        self.cookies = {}

    def go(self, url, form=None, stop=""):
        for _ in range(20):
            if stop and url.startswith(stop):
                return url, None
            at = urllib.parse.urlsplit(url)
            conn = http.client.HTTPConnection("127.0.0.1", at.port, timeout=60)
            jar = self.cookies.setdefault(at.netloc, {})
            head = {"Host": at.netloc, **({"Cookie": "; ".join(f"{k}={v}" for k, v in jar.items())} if jar else {}), **({"Content-Type": "application/x-www-form-urlencoded"} if form is not None else {})}
            conn.request("POST" if form is not None else "GET", at.path + ("?" + at.query if at.query else ""), body=urllib.parse.urlencode(form) if form is not None else None, headers=head)
            r = conn.getresponse()
            body = r.read().decode()
            for name, value in r.getheaders():
                if name.lower() == "set-cookie":
                    key, _, rest = value.partition("=")
                    jar[key] = rest.partition(";")[0]
            conn.close()
            if r.status not in (302, 303):
                return url, body
            url, form = urllib.parse.urljoin(url, r.getheader("location")), None
        raise AssertionError("in a circle")


def test_providers_oidc_provider():
    """npm's oidc-provider as the other side: discovery, PKCE, nonce, consent, RS256 and ES256, userinfo."""
    if not shutil.which("npm"):
        raise Skip("there is no npm")
    folder = project({"provider.mjs": OIDC})
    got = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--prefix", folder, "oidc-provider@9"], capture_output=True, text=True, timeout=180)
    if got.returncode:
        raise Skip("npm cannot bring oidc-provider")
    with node("--workers", "1", "--config", file_of("operator.toml", OPERATOR)) as n:
        cli(n, "secrets", "set", "shop", "ONE", data=b"a client's secret: & %")
        for alg in ("RS256", "ES256"):
            url, callback = f"http://127.0.0.1:{free_port()}", f"http://shop.localhost:{n.port}/auth/v1/callback"
            there = subprocess.Popen(["node", "provider.mjs", url, callback, alg], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            try:
                check(there.stdout.readline().strip() == "ready", "it does not come up")
                cli(n, "deploy", project({"migrations/1.sql": "select 1;"}, f'name = "shop"\ndatabase = "sqlite"\n[auth]\nsite_url = "{SITE}"\n{LOOSE}[auth.providers.op]\nclient_id = "shop"\nsecret = "ONE"\n'
                                                                           f'issuer = "{url}"\nscopes = ["openid", "email", "profile"]\nredirect_url = "{callback}"\n'))
                ask, browser = Asker(n, "shop"), Browser()
                for who in ("ann", "ben"):
                    browser.cookies.pop(urllib.parse.urlsplit(url).netloc, None)
                    at, page = browser.go(f"http://shop.localhost:{n.port}/auth/v1/authorize?provider=custom:op")
                    check('name="login"' in page, page)
                    at, page = browser.go(urllib.parse.urljoin(at, re.search(r'action="([^"]+)"', page)[1]), {"prompt": "login", "login": who, "password": "x"})
                    check('value="consent"' in page, page)
                    at, _ = browser.go(urllib.parse.urljoin(at, re.search(r'action="([^"]+)"', page)[1]), {"prompt": "consent"}, stop=SITE)
                    session = dict(urllib.parse.parse_qsl(at.partition("#")[2]))
                    user = user_of(ask, session)
                    eq((user["email"], user["user_metadata"]["name"], user["identities"][0]["provider"], "email_confirmed_at" in user), (f"{who}@oidc.example", who.upper(), "custom:op", True), at)
            finally:
                there.kill()
                there.communicate()
