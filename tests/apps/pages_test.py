"""The node's own pages: sign-in, sign-up, recovery, second factor, consent; by a browser without scripts."""
import hashlib, hmac, html, re, struct, urllib.parse

from nodes import *
from admin_test import cli
from database_test import project
from openid_test import BACK, Third, pkce
from users_test import Asker, LOOSE, PASSWORD, claims, eq

import base64


class Browser:
    """Cookies, forms, links; no scripts. What leads on is followed as far as the app's own pages go."""

    def __init__(self, ask, language="en"):
        self.ask, self.jar, self.language = ask, {}, language
        self.url = keys_url(ask)

    def go(self, path, form=None, origin=None, **more):
        path = path.removeprefix(self.url)
        head = {"Host": urllib.parse.urlsplit(self.url).netloc, "Accept-Language": self.language, "Cookie": "; ".join(f"{k}={v}" for k, v in self.jar.items() if path.startswith("/auth/v1/pages"))}
        if form is not None:
            head |= {"Content-Type": "application/x-www-form-urlencoded", "Origin": origin or self.url}
        conn = http.client.HTTPConnection("127.0.0.1", self.ask.n.port, timeout=60)
        conn.request("POST" if form is not None else "GET", path, urllib.parse.urlencode(form) if form is not None else None, {**head, **more})
        r = conn.getresponse()
        self.status, self.head, self.page = r.status, r.headers, r.read().decode()
        conn.close()
        for line in self.head.get_all("set-cookie") or []:
            name, value = line.split(";")[0].split("=", 1)
            check("HttpOnly" in line and "SameSite=Lax" in line and "Path=/auth/v1/pages" in line, line)
            self.jar.pop(name, None) if "Max-Age=0" in line else self.jar.__setitem__(name, value)
        if self.head.get("content-type", "").startswith("text/html") and "/pages/" in path:
            self.look()
        where = self.head.get("location")
        return self.go(where) if where and where.startswith(self.url) else self

    def look(self):
        """What holds of each page."""
        csp, nonce = self.head["content-security-policy"], re.search(r'<style nonce="([^"]+)"', self.page)[1]
        check("default-src 'none'" in csp and f"style-src 'nonce-{nonce}'" in csp and "script" not in csp and "form-action 'self'" in csp and "frame-ancestors 'none'" in csp, csp)
        eq((self.head["cache-control"], self.head["x-content-type-options"], "<script" in self.page), ("no-store", "nosniff", False))
        for id in re.findall(r'<input id="(\w+)"', self.page):
            check(f'<label for="{id}">' in self.page, id)

    def title(self):
        return html.unescape(re.search("<h1>(.*?)</h1>", self.page)[1])

    def alert(self):
        return html.unescape((re.search('role="alert">(.*?)</p>', self.page) or ["", ""])[1])

    def leads(self):
        return html.unescape((re.search('content="0;url=([^"]*)"', self.page) or ["", ""])[1])

    def link(self, words):
        return html.unescape(re.search(rf'<a href="([^"]*)">{words}', self.page)[1])

    def submit(self, **values):
        action = re.search('<form method="post" action="([^"]*)"', self.page)[1]
        if not action.startswith("/"):
            action = "/auth/v1/" + action
        hidden = {html.unescape(k): html.unescape(v) for k, v in re.findall('<input type="hidden" name="([^"]*)" value="([^"]*)"', self.page)}
        return self.go(action, {**hidden, **values})


def keys_url(ask):
    return ask("GET", "/.well-known/openid-configuration", key=None)[1]["issuer"].removesuffix("/auth/v1")


def app(n, more="", tables="[auth.pages]\nname = \"The <shop>\"\ncolour = \"#123456\"\nlogo = \"https://pictures.example/a/logo.png\"\n[auth.oauth_server]\nregistration = true\n"):
    cli(n, "deploy", project({}, f'name = "shop"\ndatabase = "sqlite"\n[auth]\nsite_url = "https://shop.example"\nredirect_urls = ["https://app.example/**", "myapp://**"]\n{LOOSE}{more}{tables}'))
    return Asker(n)


def totp(secret, at):
    mac = hmac.new(base64.b32decode(secret + "=" * (-len(secret) % 8)), struct.pack(">Q", at // 30), hashlib.sha1).digest()
    o = mac[-1] & 15
    return f"{(struct.unpack('>I', mac[o:o + 4])[0] & 0x7fffffff) % 1000000:06}"


def test_pages():
    with node("--workers", "1") as n:
        ask = app(n)
        b = Browser(ask)
        b.go("/auth/v1/pages/sign-in")
        eq((b.status, b.title(), "The &lt;shop&gt;" in b.page, "img-src https://pictures.example;" in b.head["content-security-policy"], "#123456" in b.page), (200, "Sign in", True, True, True))
        for language, title in (("de-CH, fr;q=0.5", "Anmelden"), ("fr", "Se connecter"), ("es", "Iniciar sesión"), ("xx", "Sign in")):
            eq(Browser(ask, language).go("/auth/v1/pages/sign-in").title(), title)
        eq(Browser(ask).go("/auth/v1/pages/sign-in?lang=de").title(), "Anmelden")
        # a user is made, here and again elsewhere
        b.go(b.link("No account"))
        b.submit(email="ann@example.com", password="short")
        eq((b.status, b.alert()), (400, "This password is too weak."))
        check('value="ann@example.com"' in b.page, "the address is kept")
        b.submit(email="ann@example.com", password=PASSWORD)
        eq((b.status, "ann@example.com" in b.page), (200, True), b.page)
        eq(Browser(ask).go("/auth/v1/pages/sign-up").submit(email="ann@example.com", password=PASSWORD).alert(), "There is an account with this address already.")
        b.submit()  # out
        eq((b.title(), "orlo-session" in b.jar), ("Sign in", False))
        b.submit(email='"><script>alert(1)</script>', password="x")
        eq((b.status, b.alert(), "<script>" in b.page), (400, "The address or the password is wrong.", False))
        # where it leads: with a code, with the session; nowhere else
        verifier, challenge = pkce()
        b.go("/auth/v1/pages/sign-in?" + urllib.parse.urlencode({"redirect_to": "https://app.example/in?a=1", "code_challenge": challenge, "code_challenge_method": "s256"}))
        b.submit(email="ann@example.com", password=PASSWORD)
        check(b.leads().startswith("https://app.example/in?a=1&code="), b.leads())
        code = urllib.parse.parse_qs(urllib.parse.urlsplit(b.leads()).query)["code"][0]
        status, s = ask("POST", "/token?grant_type=pkce", {"auth_code": code, "code_verifier": verifier})
        eq((status, s["user"]["email"], claims(s["access_token"])["amr"][0]["method"]), (200, "ann@example.com", "password"), s)
        b.go("/auth/v1/pages/sign-in?redirect_to=myapp://in%23x")  # he is still signed in here
        check(b.leads().startswith("myapp://in#access_token="), b.leads())
        eq("orlo-session" in b.jar, False)
        token = urllib.parse.parse_qs(b.leads().split("#")[1])["refresh_token"][0]
        eq(ask.refresh(token)[0], 200)
        for evil in ("https://evil.example/", "//evil.example", "javascript:alert(1)", "https://app.example.evil.example/", "data:text/html,x", "https://app.example@evil.example/"):
            other = Browser(ask)
            other.go("/auth/v1/pages/sign-in?" + urllib.parse.urlencode({"redirect_to": evil})).submit(email="ann@example.com", password=PASSWORD)
            eq((other.status, other.leads(), "evil" in other.page), (200, "", False), evil)
        # a challenge that is none is no reason to send the session itself
        eq(ask.raw("GET", "/auth/v1/pages/sign-in?redirect_to=myapp://in&code_challenge=short", key=None)[0], 400)
        # forms of others
        for origin in ("https://evil.example", "null", "http://shop.localhost.evil.example"):
            eq(Browser(ask).go("/auth/v1/pages/sign-in", {"email": "ann@example.com", "password": PASSWORD}, origin=origin).status, 403)
        recovers(ask)
        consents(ask)
        second_factor(ask)


def recovers(ask):
    b = Browser(ask)
    b.go("/auth/v1/pages/recover").submit(email="nobody@example.com")
    nobody = b.page
    b.go("/auth/v1/pages/recover").submit(email="ann@example.com")
    eq(re.sub('nonce="[^"]*"', "", b.page), re.sub('nonce="[^"]*"', "", nobody))
    link = ask.mail("ann@example.com")["variables"]["ConfirmationURL"]
    b.go(link).submit()
    eq(b.title(), "New password", b.page)
    b.submit(password="another horse")
    eq((b.status, "Your password is changed." in b.page), (200, True), b.page)
    eq(ask.sign_in("ann@example.com", "another horse")[0], 200)
    # in another browser it is no use
    b.go("/auth/v1/pages/recover").submit(email="ann@example.com")
    other = Browser(ask)
    other.go(ask.mail("ann@example.com")["variables"]["ConfirmationURL"]).submit()
    eq((other.status, other.alert()), (400, "This link or request is not valid any more. Begin again."))


def consents(ask):
    third = Third(ask, ask.admin("POST", "/admin/oauth/clients", {"redirect_uris": [BACK], "client_name": "<i>Third</i>"})[1])
    status, to, said, _ = third.begin(scope="openid email")
    b = Browser(ask)
    b.go(to.path + "?" + to.query)
    eq(b.title(), "Sign in")
    b.submit(email="ann@example.com", password="another horse")
    eq((b.title(), "&lt;i&gt;Third&lt;/i&gt;" in b.page, "your email address" in b.page, BACK in b.page), ("Allow access?", True, True, True), b.page)
    b.submit(action="deny")
    check(b.leads().startswith(BACK + "?error=access_denied"), b.page)
    _, to, _, _ = third.begin(scope="openid email")
    b.go(to.path + "?" + to.query)
    eq(b.title(), "Allow access?")
    b.submit(action="approve")
    code = urllib.parse.parse_qs(urllib.parse.urlsplit(b.leads()).query)["code"][0]
    eq(third.by_code(code)[0], 200)
    _, to, _, _ = third.begin(scope="email")
    check(b.go(to.path + "?" + to.query).leads().startswith(BACK + "?code="), "he is not asked again")
    eq(b.go("/auth/v1/pages/consent?authorization_id=nothing").status, 400)


def second_factor(ask):
    s = ask.sign_up("ben@example.com")[1]
    factor = ask("POST", "/factors", {"factor_type": "totp"}, bearer=s["access_token"])[1]
    challenge = ask("POST", f"/factors/{factor['id']}/challenge", {}, bearer=s["access_token"])[1]
    now = int(time.time())
    status, raised = ask("POST", f"/factors/{factor['id']}/verify", {"challenge_id": challenge["id"], "code": totp(factor["totp"]["secret"], now)}, bearer=s["access_token"])
    eq(status, 200, raised)
    b = Browser(ask)
    b.go("/auth/v1/pages/sign-in?redirect_to=myapp://in").submit(email="ben@example.com", password=PASSWORD)
    eq((b.title(), b.leads()), ("Second factor", ""))
    b.go("/auth/v1/pages/new-password")
    eq(b.title(), "Second factor")
    b.go("/auth/v1/pages/sign-in?redirect_to=myapp://in").submit(code="000000")
    eq((b.status, b.alert()), (400, "This code is wrong, or too old."))
    b.submit(code=raised["recovery_codes"][0])
    token = urllib.parse.parse_qs(b.leads().split("#")[1])["access_token"][0]
    eq(claims(token)["aal"], "aal2")
    b = Browser(ask)
    b.go("/auth/v1/pages/sign-in?redirect_to=myapp://in").submit(email="ben@example.com", password=PASSWORD)
    b.submit(code=totp(factor["totp"]["secret"], now + 30))  # each is good once
    check(b.leads().startswith("myapp://in#access_token="), b.page)


def test_pages_off():
    with node("--workers", "1") as n:
        ask = app(n, tables="")
        for page in ("sign-in", "sign-up", "recover", "consent", "callback?code=x"):
            eq(ask.raw("GET", "/auth/v1/pages/" + page, key=None)[0], 404)
