"""Third parties at which an app's users sign in: /auth/v1/oauth, by hand and by npm's openid-client."""
import base64, hashlib, secrets, shutil, threading, urllib.parse

from nodes import *
from admin_test import cli
from database_test import project
from rest_test import ENGINES
from users_test import Asker, LOOSE, PASSWORD, claims, eq, keys_of

BACK = "https://third.example/back"
LOCAL = "http://127.0.0.1:4999/back"


def app(n, engine="sqlite", more="", server="registration = true\n"):
    cli(n, "deploy", project({}, f'name = "shop"\ndatabase = "{engine}"\nhosts = ["127.0.0.1"]\n[auth]\nsite_url = "http://127.0.0.1:{n.port}"\n{LOOSE}{more}[auth.oauth_server]\n{server}'))
    return Asker(n)


def refused(got, status, code, message):
    eq((got[0], got[1].get("code"), got[1].get("message")), (status, code, message), got)


def pkce():
    verifier = secrets.token_urlsafe(48)
    return verifier, base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


class Third:
    """A third party, at whose pages a user of the app's signs in."""

    def __init__(self, ask, client, back=BACK):
        self.ask, self.client, self.back = ask, client, back

    def begin(self, **more):
        self.verifier, challenge = pkce()
        asked = {"client_id": self.client["client_id"], "redirect_uri": self.back, "response_type": "code", "scope": "openid email profile", "state": "st", "nonce": "no",
                 "code_challenge": challenge, "code_challenge_method": "S256", **more}
        status, head, text = self.ask.raw("GET", "/auth/v1/oauth/authorize?" + urllib.parse.urlencode({k: v for k, v in asked.items() if v is not None}), key=None)
        to = urllib.parse.urlsplit(head.get("location", ""))
        return status, to, dict(urllib.parse.parse_qsl(to.query)), text

    def consent(self, user, action="approve", **more):
        id = self.begin(**more)[2]["authorization_id"]
        status, said = self.ask("GET", f"/oauth/authorizations/{id}", bearer=user["access_token"])
        if status == 200 and "redirect_url" not in said:
            status, said = self.ask("POST", f"/oauth/authorizations/{id}/consent", {"action": action}, bearer=user["access_token"])
        eq(status, 200, said)
        return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(said["redirect_url"]).query)), said["redirect_url"]

    def token(self, form, auth=True, **more):
        head = {}
        if auth and "client_secret" in self.client:
            head["Authorization"] = "Basic " + base64.b64encode(f"{self.client['client_id']}:{self.client['client_secret']}".encode()).decode()
        elif auth:
            form = {**form, "client_id": self.client["client_id"]}
        conn = http.client.HTTPConnection("127.0.0.1", self.ask.n.port, timeout=60)
        conn.request("POST", "/auth/v1/oauth/token", urllib.parse.urlencode(form), {"Host": self.ask.host, "Content-Type": "application/x-www-form-urlencoded", "X-Supabase-Api-Version": "2024-01-01", **head, **more})
        r = conn.getresponse()
        got = r.status, json.loads(r.read())
        conn.close()
        return got

    def by_code(self, code, /, **more):
        return self.token({"grant_type": "authorization_code", "code": code, "redirect_uri": self.back, "code_verifier": self.verifier, **more})


def test_openid():
    for engine in ENGINES:
        with node("--workers", "1") as n:
            ask = app(n, engine)
            clients(ask)
            third = Third(ask, ask.admin("POST", "/admin/oauth/clients", {"redirect_uris": [BACK], "client_name": "Third"})[1])
            ann, ben = ask.sign_up("ann@example.com", name="Ann")[1], ask.sign_up("ben@example.com")[1]
            authorizes(ask, third)
            signs_in(ask, third, ann)
            one_decides(ask, third, ann, ben)
            public(ask, ann)
            revokes(ask, third, ann)


def clients(ask):
    status, one = ask.admin("POST", "/admin/oauth/clients", {"redirect_uris": [BACK, "myapp://back"], "client_name": "One", "client_uri": "https://third.example", "grant_types": ["authorization_code"]})
    eq((status, one["client_type"], one["token_endpoint_auth_method"], one["redirect_uris"], one["grant_types"], one["response_types"], one["registration_type"]),
       (201, "confidential", "client_secret_basic", [BACK, "myapp://back"], ["authorization_code"], ["code"], "manual"))
    id = one["client_id"]
    got = ask.admin("GET", "/admin/oauth/clients/" + id)[1]
    eq({**got, "client_secret": one["client_secret"], "client_secret_expires_at": 0}, one)
    eq([c["client_id"] for c in ask.admin("GET", "/admin/oauth/clients")[1]["clients"]], [id])
    eq(ask.admin("PUT", "/admin/oauth/clients/" + id, {"client_name": "Two", "token_endpoint_auth_method": "client_secret_post"})[1]["client_name"], "Two")
    refused(ask.admin("PUT", "/admin/oauth/clients/" + id, {"token_endpoint_auth_method": "none"}), 400, "validation_failed",
            "token_endpoint_auth_method 'none' is not valid for client_type 'confidential'; valid methods: [client_secret_basic client_secret_post]")
    refused(ask.admin("PUT", "/admin/oauth/clients/" + id, {}), 400, "validation_failed", "No fields provided for update")
    status, again = ask.admin("POST", f"/admin/oauth/clients/{id}/regenerate_secret")
    check(status == 200 and again["client_secret"] != one["client_secret"], again)
    eq(ask.admin("DELETE", "/admin/oauth/clients/" + id)[0], 204)
    refused(ask.admin("GET", "/admin/oauth/clients/" + id), 404, "oauth_client_not_found", "OAuth client not found")
    eq(ask("GET", "/admin/oauth/clients")[0], 401)
    for uri, why in [("http://third.example/", "HTTP scheme only allowed for localhost"), ("javascript://x/%0aalert(1)", "scheme 'javascript' is not allowed for security reasons"),
                     ("https://third.example/#x", "fragment not allowed in redirect URI"), ("third", "must have scheme and host"), ("https://a@third.example/", "must have scheme and host"),
                     ("https://third.example/,https://evil.example/", "must have scheme and host"), ("", "redirect URI cannot be empty"), ("https:///x", "must have scheme and host")]:
        refused(ask.admin("POST", "/admin/oauth/clients", {"redirect_uris": [uri]}), 400, "validation_failed", f"invalid redirect_uri '{uri}': {why}")
    for body, message in [({}, "redirect_uris is required"), ({"redirect_uris": [BACK] * 11}, "redirect_uris cannot exceed 10 items"),
                          ({"redirect_uris": [BACK], "grant_types": ["password"]}, "grant_types must only contain 'authorization_code' and/or 'refresh_token'"),
                          ({"redirect_uris": [BACK], "client_type": "public", "token_endpoint_auth_method": "client_secret_post"},
                           "client_type 'public' is inconsistent with token_endpoint_auth_method 'client_secret_post' (expected client_type 'confidential')")]:
        refused(ask.admin("POST", "/admin/oauth/clients", body), 400, "validation_failed", message)


def authorizes(ask, third):
    eq(third.begin()[0], 302)
    for more, message in [({"client_id": None}, "client_id is required"), ({"redirect_uri": None}, "redirect_uri is required"), ({"redirect_uri": BACK + "/"}, "invalid redirect_uri"),
                          ({"redirect_uri": "https://evil.example/"}, "invalid redirect_uri"), ({"client_id": "nobody"}, "invalid client_id format"), ({"client_id": "6f1c0a52-9d5e-4f0c-8f57-0d7b8b0a7a11"}, "invalid client_id")]:
        status, to, _, text = third.begin(**more)
        eq((status, to.netloc, json.loads(text)["message"]), (400, "", message), more)
    for more, why in [({"response_type": "token"}, "only response_type=code is supported"), ({"scope": "openid root"}, "unsupported scope: root"), ({"code_challenge": None}, "PKCE flow requires both code_challenge and code_challenge_method"),
                      ({"code_challenge_method": "S512"}, "code_challenge_method must be 'S256' or 'plain'"), ({"code_challenge": "short"}, "code_challenge must be between 43 and 128 characters"),
                      ({"resource": "https://a.example/#x"}, "resource must not include a fragment component")]:
        status, to, said, _ = third.begin(**more)
        eq((status, to.netloc, said), (302, "third.example", {"error": "invalid_request", "error_description": why, "state": "st"}), more)


def signs_in(ask, third, ann):
    id = third.begin()[2]["authorization_id"]
    eq(ask("GET", f"/oauth/authorizations/{id}")[0], 401)
    status, said = ask("GET", f"/oauth/authorizations/{id}", bearer=ann["access_token"])
    eq((status, said["client"]["name"], said["user"], said["scope"], said["redirect_uri"]), (200, "Third", {"id": ann["user"]["id"], "email": "ann@example.com"}, "openid email profile", BACK), said)
    refused(ask("GET", f"/oauth/authorizations/{id}", bearer=ann["access_token"], Origin="https://evil.example"), 400, "validation_failed", "unauthorized request origin")
    refused(ask("POST", f"/oauth/authorizations/{id}/consent", {"action": "maybe"}, bearer=ann["access_token"]), 400, "validation_failed", "action must be 'approve' or 'deny'")
    denied, _ = third.consent(ann, "deny")
    eq(denied, {"error": "access_denied", "error_description": "User denied the request", "state": "st"})
    status, said = ask("POST", f"/oauth/authorizations/{id}/consent", {"action": "approve"}, bearer=ann["access_token"])
    check(status == 200 and said["redirect_url"].startswith(BACK + "?code="), said)
    refused(ask("POST", f"/oauth/authorizations/{id}/consent", {"action": "approve"}, bearer=ann["access_token"]), 400, "validation_failed", "authorization request is no longer pending")
    # that consent holds for the next time, not for more than it was of
    back, url = third.consent(ann)
    eq(back["state"], "st")
    id = third.begin(scope="openid email profile phone")[2]["authorization_id"]
    check("redirect_url" not in ask("GET", f"/oauth/authorizations/{id}", bearer=ann["access_token"])[1], "more is asked about anew")
    back, url = third.consent(ann)
    for more, why in [({"code_verifier": "x" * 50}, "PKCE verification failed: code challenge does not match previously saved code verifier"), ({"redirect_uri": BACK + "?"}, "Invalid redirect_uri"), ({"code": "nothing"}, "Invalid authorization code")]:
        eq(third.by_code(back["code"], **more), (400, {"error": "invalid_grant", "error_description": why}))
    refused(third.token({"grant_type": "authorization_code", "client_id": third.client["client_id"], "client_secret": "wrong"}, auth=False), 400, "invalid_credentials",
            "invalid authentication method: client is registered for 'client_secret_basic' but 'client_secret_post' was used")
    # two at once with one code: one of them has it
    got = []
    threads = [threading.Thread(target=lambda: got.append(third.by_code(back["code"]))) for _ in range(4)]
    [t.start() for t in threads], [t.join() for t in threads]
    eq(sorted(g[0] for g in got), [200, 400, 400, 400], got)
    tokens = next(g[1] for g in got if g[0] == 200)
    eq(sorted(tokens), ["access_token", "expires_in", "id_token", "refresh_token", "token_type"])
    c, i = claims(tokens["access_token"]), claims(tokens["id_token"])
    eq((c["client_id"], c["scope"], c["sub"], c["amr"][0]["method"]), (third.client["client_id"], "openid email profile", ann["user"]["id"], "oauth_provider/authorization_code"))
    eq((i["aud"], i["nonce"], i["sub"], i["email"], i["name"], i["iss"]), (third.client["client_id"], "no", ann["user"]["id"], "ann@example.com", "Ann", c["iss"]), i)
    check("phone_number" not in i, i)
    status, info = ask("GET", "/oauth/userinfo", key=None, bearer=tokens["access_token"])
    eq((status, info["sub"], info["email"], info["name"]), (200, ann["user"]["id"], "ann@example.com", "Ann"), info)
    eq(ask("GET", "/oauth/userinfo", bearer=ann["access_token"]), (200, {"sub": ann["user"]["id"]}))
    # it sees who he is, and changes nothing of his
    for method, path, body in (("PUT", "/user", {"password": "another one"}), ("GET", "/user/oauth/grants", None), ("POST", "/factors", {"factor_type": "totp"})):
        refused(ask(method, path, body, bearer=tokens["access_token"]), 403, "not_admin", "A third party's token does not do that")
    # renewed by the third party alone
    status, newer = third.token({"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]})
    eq((status, sorted(newer), claims(newer["access_token"])["scope"]), (200, ["access_token", "expires_in", "refresh_token", "token_type"], "openid email profile"))
    eq(ask.refresh(newer["refresh_token"]), (400, {"error": "invalid_client", "error_description": "Client authentication required for OAuth session"}))
    eq(third.token({"grant_type": "refresh_token", "refresh_token": ann["refresh_token"]}), (400, {"error": "invalid_client", "error_description": "Client authentication not allowed for non-OAuth session"}))
    other = Third(ask, ask.admin("POST", "/admin/oauth/clients", {"redirect_uris": [BACK]})[1])
    eq(other.token({"grant_type": "refresh_token", "refresh_token": newer["refresh_token"]}), (400, {"error": "invalid_client", "error_description": "Client does not match the session's OAuth client"}))
    back, _ = third.consent(ann)
    other.verifier = third.verifier
    eq(other.by_code(back["code"])[1]["error_description"], "Authorization code was not issued for this client")
    # what it ends is its own session, and none of the user's
    back, _ = third.consent(ann)
    own = third.by_code(back["code"])[1]["access_token"]
    eq((ask("POST", "/logout?scope=global", bearer=own)[0], ask("GET", "/user", bearer=own)[0], ask("GET", "/user", bearer=ann["access_token"])[0]), (204, 403, 200))


def one_decides(ask, third, ann, ben):
    """Who takes it first has it."""
    id = third.begin(scope="openid phone")[2]["authorization_id"]
    eq(ask("GET", f"/oauth/authorizations/{id}", bearer=ann["access_token"])[0], 200)
    for got in (ask("GET", f"/oauth/authorizations/{id}", bearer=ben["access_token"]), ask("POST", f"/oauth/authorizations/{id}/consent", {"action": "approve"}, bearer=ben["access_token"]),
                ask("GET", "/oauth/authorizations/nothing", bearer=ben["access_token"])):
        refused(got, 404, "oauth_authorization_not_found", "authorization not found")
    got = []
    threads = [threading.Thread(target=lambda a=a: got.append(ask("POST", f"/oauth/authorizations/{id}/consent", {"action": a}, bearer=ann["access_token"])[0])) for a in ("approve", "deny", "approve")]
    [t.start() for t in threads], [t.join() for t in threads]
    eq(sorted(got), [200, 400, 400])


def public(ask, ann):
    status, client = ask("POST", "/oauth/clients/register", {"redirect_uris": ["myapp://back", LOCAL], "token_endpoint_auth_method": "none", "client_name": "<b>"}, key=None)
    eq((status, client["client_type"], client["registration_type"], "client_secret" in client), (201, "public", "dynamic", False), client)
    third = Third(ask, client, "myapp://back")
    back, url = third.consent(ann, scope="email")
    check(url.startswith("myapp://back?code="), url)
    eq(third.token({"grant_type": "authorization_code", "code": back["code"], "client_secret": "x"})[1]["message"], "invalid authentication method: client is registered for 'none' but 'client_secret_post' was used")
    status, tokens = third.by_code(back["code"])
    eq((status, "id_token" in tokens), (200, False), tokens)


def revokes(ask, third, ann):
    back, _ = third.consent(ann)
    tokens = third.by_code(back["code"])[1]
    grants = ask("GET", "/user/oauth/grants", bearer=ann["access_token"])[1]
    eq(sorted(g["client"]["name"] for g in grants), ["<b>", "Third"])
    waits, _ = third.consent(ann)
    eq(ask("DELETE", "/user/oauth/grants?client_id=" + third.client["client_id"], bearer=ann["access_token"])[0], 204)
    refused(ask("DELETE", "/user/oauth/grants?client_id=" + third.client["client_id"], bearer=ann["access_token"]), 404, "oauth_consent_not_found", "No active grant found for this client")
    eq(third.token({"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]})[0], 400)
    eq(ask("GET", "/oauth/userinfo", bearer=tokens["access_token"])[0], 403)
    eq(third.by_code(waits["code"])[1]["error"], "invalid_grant")
    id = third.begin()[2]["authorization_id"]
    check("redirect_url" not in ask("GET", f"/oauth/authorizations/{id}", bearer=ann["access_token"])[1], "he is asked anew")


def test_openid_off():
    with node("--workers", "1") as n:
        ask = app(n, server="enabled = false\n")
        for method, path in (("GET", "/oauth/authorize"), ("POST", "/oauth/clients/register"), ("GET", "/.well-known/oauth-authorization-server")):
            refused(ask(method, path, {} if method == "POST" else None, key=None), 404, "feature_disabled", "OAuth server is disabled")
        eq(ask("GET", "/.well-known/openid-configuration", key=None)[0], 200)
        ask = app(n, server="")
        refused(ask("POST", "/oauth/clients/register", {"redirect_uris": [BACK]}, key=None), 403, "oauth_dynamic_client_registration_disabled", "Dynamic client registration is not enabled")


CLIENT = """
import * as client from 'openid-client'
const [url, user, apikey] = process.argv.slice(2)
const here = (u) => String(u).replace('//shop.localhost:', '//127.0.0.1:') // which nothing here looks up
const options = { execute: [client.allowInsecureRequests], [client.customFetch]: (u, o) => fetch(here(u), o) }
const config = await client.dynamicClientRegistration(new URL(url + '/auth/v1'), { redirect_uris: ['http://127.0.0.1:4999/back'], client_name: 'js', token_endpoint_auth_method: 'client_secret_post' }, undefined, options)
const verifier = client.randomPKCECodeVerifier(), nonce = client.randomNonce(), state = client.randomState()
const to = client.buildAuthorizationUrl(config, { redirect_uri: 'http://127.0.0.1:4999/back', scope: 'openid email profile', code_challenge: await client.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256', nonce, state })
const led = await fetch(here(to), { redirect: 'manual' })
const id = new URL(led.headers.get('location')).searchParams.get('authorization_id')
const head = { authorization: 'Bearer ' + user, apikey, 'content-type': 'application/json' }
const about = await (await fetch(`${here(url)}/auth/v1/oauth/authorizations/${id}`, { headers: head })).json()
const said = await (await fetch(`${here(url)}/auth/v1/oauth/authorizations/${id}/consent`, { method: 'POST', headers: head, body: '{"action":"approve"}' })).json()
const tokens = await client.authorizationCodeGrant(config, new URL(said.redirect_url), { pkceCodeVerifier: verifier, expectedNonce: nonce, expectedState: state, idTokenExpected: true })
const info = await client.fetchUserInfo(config, tokens.access_token, tokens.claims().sub)
const newer = await client.refreshTokenGrant(config, tokens.refresh_token)
console.log(JSON.stringify({ client: about.client.name, email: tokens.claims().email, info: info.email, newer: newer.access_token !== tokens.access_token, led: new URL(led.headers.get('location')).pathname }))
"""


def test_openid_client_javascript():
    """npm's openid-client: it looks the provider up, registers, checks the id_token's signature against its keys."""
    if not shutil.which("npm"):
        raise Skip("there is no npm")
    folder = os.path.join(WORK, "openid-client")
    os.makedirs(folder, exist_ok=True)
    if subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--prefix", folder, "openid-client@6"], capture_output=True, timeout=180).returncode:
        raise Skip("npm cannot bring openid-client")
    with open(os.path.join(folder, "openid.mjs"), "w") as f:
        f.write(CLIENT)
    with node("--workers", "1") as n:
        ask = app(n)
        ann = ask.sign_up("ann@example.com")[1]
        issuer = ask("GET", "/.well-known/openid-configuration", key=None)[1]["issuer"]
        said = subprocess.run(["node", "openid.mjs", issuer.removesuffix("/auth/v1"), ann["access_token"], ask.keys["anon"]], cwd=folder, capture_output=True, text=True, timeout=120)
        check(said.returncode == 0, said.stderr[-3000:] + n.log()[-2000:])
        eq(json.loads(said.stdout.splitlines()[-1]), {"client": "js", "email": "ann@example.com", "info": "ann@example.com", "newer": True, "led": "/auth/v1/pages/consent"})
