"""Mails to users on their way: from the queue in an app's database by the courier to a relay, whatever that does, and whoever is killed meanwhile."""
import concurrent.futures, re, shutil, subprocess

import processes
from nodes import *
from admin_test import cli
from database_test import project
from rest_test import ENGINES
from smtp import Relay
from users_test import Asker, LOOSE, PASSWORD, eq

CONFIG = 'auth_private = 1\nmail_timeout_ms = 1500\n'


def relay_of(relay, more=""):
    return f'confirm_email = true\n[auth.mail]\nhost = "127.0.0.1"\nport = {relay.port}\nadmin_email = "shop@example.org"\nsender_name = "Käse & \\"Co\\""\n{more}'


def app(n, name, engine, more, secrets={}):
    for key, value in secrets.items():
        cli(n, "secrets", "set", name, key, data=value.encode())
    cli(n, "deploy", project({}, f'name = "{name}"\ndatabase = "{engine}"\n[auth]\n{LOOSE}{more}'))
    return Asker(n, name)


def row(ask, to):
    rows = ask.rows({"schema": "auth", "from": "orlo_mails", "select": ["*"], "where": {"column": "recipient", "op": "eq", "value": to}})
    return rows[0] if rows else None


def test_mails():
    relays = {engine: Relay() for engine in ENGINES}
    with node("--workers", "2", "--config", file_of("operator.toml", CONFIG.encode())) as n:
        asks = {engine: app(n, engine[:4], engine, relay_of(relay)) for engine, relay in relays.items()}

        def all_of(engine):
            ask, relay = asks[engine], relays[engine]
            taken(ask, relay)
            refused(n, ask, relay)
            hostile(n, ask, relay)
            told_once(ask, relay)

        with concurrent.futures.ThreadPoolExecutor() as pool:
            list(pool.map(all_of, ENGINES))
        for role in ("courier", "worker"):
            killed(n, role, [(asks[e], relays[e]) for e in ENGINES])
        turns(n)
    for relay in relays.values():
        relay.close()


def taken(ask, relay):
    eq(ask.sign_up("ann@example.com")[0], 200)
    mail = relay.wait_to("ann@example.com")
    eq((mail["from"], mail["to"], mail["subject"]), ('"Käse & \\"Co\\"" <shop@example.org>', "ann@example.com", "Confirm your email address"))
    link = re.search(r"http://\S+", mail.get_body(("plain",)).get_content())[0]
    status, _, page = ask.raw("GET", link[link.index("/auth/v1"):], key=None)
    eq(status, 200, page)
    kept = processes.until(lambda: (r := row(ask, "ann@example.com"))["sent_at"] and r)
    eq((kept["attempts"], kept["body"], kept["variables"], kept["last_error"]), (1, "", {}, None))
    eq(mail["message-id"], f"<{kept['id']}@example.org>")
    code = re.search(r"\b\d{6}\b", mail.get_body(("plain",)).get_content())[0]
    eq(ask("POST", "/verify", {"type": "signup", "email": "ann@example.com", "token": code})[0], 200)


def refused(n, ask, relay):
    relay.mode = "never"
    eq(ask.sign_up("nobody@example.com")[0], 200)
    eq(ask.sign_up("bob@example.com")[0], 200)
    relay.wait_to("bob@example.com")
    event = n.wait_event("mail-given-up", app=ask.host.split(".")[0], kind="signup")
    eq((event["reason"], event["attempts"]), ("550 5.1.1 has that address", 1))
    check("nobody@example.com" not in n.log(), "addresses are in no log")
    kept = processes.until(lambda: (r := row(ask, "nobody@example.com"))["failed_at"] and r)
    eq((kept["last_error"], kept["body"], kept["sent_at"]), ("550 5.1.1 has that address", "", None))
    relay.mode = "later"
    eq(ask.sign_up("grey@example.com")[0], 200)
    relay.wait_to("grey@example.com")
    processes.until_eq(lambda: (row(ask, "grey@example.com")["attempts"], row(ask, "grey@example.com")["last_error"]), (2, None))


def hostile(n, ask, relay):
    """It does as it likes, one way after the other; the mail comes once it does well, and nothing else waits for it."""
    name = ask.host.split(".")[0]
    for mode, reason in [("silent", "the relay took too long"), ("endless", "the relay says more than a reply has"), ("busy", "421 too busy"), ("drops", "the relay closed the connection")]:
        relay.mode, to = mode, f"{mode}@example.com"
        eq(ask.sign_up(to)[0], 200)
        n.wait_event("mail-put-off", app=name, reason=reason)
        eq(ask("GET", "/health")[0], 200)
    relay.mode = "well"
    for to in ("silent", "endless", "busy", "drops"):
        relay.wait_to(f"{to}@example.com")


def killed(n, role, askers):
    """Who has a part in it: the mail comes, at least once, as the same one."""
    to = f"{role}@example.com"
    for ask, relay in askers:
        relay.mode = "hangs"
        eq(ask.sign_up(to)[0], 200)
        relay.wait_to(to)
    for pid in n.workers() if role == "worker" else [n.role("courier")]:
        processes.kill_if_there(pid)
    for ask, relay in askers:
        relay.mode = "well"
    for ask, relay in askers:
        processes.until(lambda: (row(ask, to) or {}).get("sent_at"))
        ids = [m["message-id"] for m in relay.to(to)]
        check(len(ids) >= 2 and len(set(ids)) == 1, ids)


def told_once(ask, relay):
    """Of two who look at the queue at the same time one has it."""
    before = len(relay.mails)
    for i in range(20):
        eq(ask("POST", "/otp", {"email": f"u{i}@example.com"})[0], 200)
    for i in range(20):
        relay.wait_to(f"u{i}@example.com")
    processes.until_eq(lambda: len(ask.rows({"schema": "auth", "from": "orlo_mails", "select": ["id"], "where": [{"column": "recipient", "op": "like", "value": "u*@example.com"}, {"column": "sent_at", "op": "is", "value": "not_null"}]})), 20)
    eq(len(relay.mails) - before, 20)


def turns(n):
    """An app whose relay never answers holds nobody else's mails."""
    slow, well = Relay(), Relay()
    slow.mode = "silent"
    first, second = app(n, "slow", "sqlite", relay_of(slow)), app(n, "quick", "sqlite", relay_of(well))
    for i in range(30):
        eq(first("POST", "/otp", {"email": f"u{i}@example.com"})[0], 200)
    eq(second("POST", "/otp", {"email": "one@example.com"})[0], 200)
    well.wait_to("one@example.com")
    check(slow.sessions and not slow.mails and slow.sessions < 30, slow.sessions)
    slow.close(), well.close()


def test_mails_secure():
    """TLS and a password, which is a secret; what is not secure is left; the node's own relay; where apps may not reach."""
    if not shutil.which("openssl"):
        raise Skip("needs openssl")
    cert, key = os.path.join(WORK, "relay.pem"), os.path.join(WORK, "relay.key")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=relay",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert], check=True, capture_output=True)
    os.chmod(WORK, 0o711)  # the courier is a user of its own
    os.environ["SSL_CERT_FILE"] = cert
    secure, bare, own = Relay((cert, key), ("me", "pässword", "PLAIN")), Relay(), Relay()
    signed = 'tls = "starttls"\nuser = "me"\npassword = { secret = "SMTP_PASSWORD" }\n'
    operator = f'[mail]\nhost = "127.0.0.1"\nport = {own.port}\nfrom = "node@node.example"\nper_app_hour = 2\n'
    try:
        with node("--workers", "1", "--config", file_of("operator.toml", (CONFIG + operator).encode())) as n:
            ask = app(n, "shop", "sqlite", relay_of(secure, signed), {"SMTP_PASSWORD": "wrong"})
            eq(ask.sign_up("ann@example.com")[0], 200)
            n.wait_event("mail-put-off", app="shop", reason="535 5.7.8 no such user")
            cli(n, "secrets", "set", "shop", "SMTP_PASSWORD", data="pässword".encode())
            secure.wait_to("ann@example.com")
            eq(secure.signed_in[-1], ("me", "pässword"))
            check("pässword" not in n.log() and "wrong" not in n.log(), "the password is in the log")
            bare_ask = app(n, "bare", "sqlite", relay_of(bare, signed), {"SMTP_PASSWORD": "pw"})
            eq(bare_ask.sign_up("ann@example.com")[0], 200)
            n.wait_event("mail-put-off", app="bare", reason="the relay has no TLS (STARTTLS), and tls does not say that it need not")
            check(all(line.split()[0] == b"EHLO" for line in bare.lines), bare.lines)
            # who has none goes by the node's, from its address, so many in an hour
            plain = app(n, "plain", "sqlite", "confirm_email = true\n")
            for i in range(3):
                eq(plain.sign_up(f"u{i}@example.com")[0], 200)
            own.wait_to("u0@example.com")
            eq(own.wait_to("u1@example.com")["from"], "plain <node@node.example>")
            n.wait_event("mail-put-off", app="plain", reason="the node's relay takes no more of the app's for now")
        with node("--workers", "1") as n:
            ask = app(n, "shop", "sqlite", relay_of(bare))
            eq(ask.sign_up("far@example.com")[0], 200)
            event = n.wait_event("mail-put-off", app="shop")
            check("apps may not reach" in event["reason"], event)
            check(not bare.to("far@example.com"), bare.mails)
    finally:
        del os.environ["SSL_CERT_FILE"]
        for relay in (secure, bare, own):
            relay.close()


TEMPLATES = """
[auth.templates.confirmation]
subject = "Willkommen{{ if .Data.handle }}, {{ .Data.handle }}{{ end }}"
html = "mails/confirm.html"
text = "mails/confirm.txt"
[auth.templates.confirmation.languages.fr]
subject = "Bienvenue"
text = "mails/confirm.fr.txt"
[auth.templates.password_changed]
subject = "Neues Passwort für {{ .Email }}"
"""
WORDS = {
    "mails/confirm.html": '<p title="{{ .Data.handle }}">{{ .Data.handle }}</p>\n<a href="{{ .ConfirmationURL }}">ja</a>\n<a href="{{ .SiteURL }}/in?token_hash={{ .TokenHash }}&to={{ .RedirectTo }}">auch</a>',
    "mails/confirm.txt": "Hallo {{ .Data.handle }}: {{ .Token }}\n",
    "mails/confirm.fr.txt": "Bonjour: {{ .Token }}\n",
}


def test_mails_templates():
    """Words of the app's own, in the user's language, escaped by where they stand; what is wrong with them is said at deployment, by file and line."""
    relay = Relay()
    manifest = f'name = "shop"\ndatabase = "sqlite"\n[auth]\nsite_url = "https://shop.example"\n{LOOSE}' + relay_of(relay, 'notify = ["password_changed", "email_changed"]\n') + TEMPLATES
    with node("--workers", "1", "--config", file_of("operator.toml", CONFIG.encode())) as n:
        for name, text, why in [("mails/confirm.html", "<p>\n{{ .Nope }}", "mails/confirm.html:2:1: there is no .Nope here"),
                                ("mails/confirm.fr.txt", "a\nb\n{{ range .Data.x }}", "mails/confirm.fr.txt:3:1: range is not there"),
                                ("mails/confirm.html", "<script>{{ .Token }}</script>", "mails/confirm.html:1:1: in <script> nothing can be put safely")]:
            has(cli(n, "deploy", project({**WORDS, name: text}, manifest), code=65), why)
        eq(n.apps(), {})
        has(cli(n, "deploy", project({k: v for k, v in WORDS.items() if "fr" not in k}, manifest), code=66), "confirm.fr.txt")
        has(cli(n, "deploy", project(WORDS, manifest.replace("Willkommen", "{{ .Nope }}")), code=65), "auth.templates.confirmation: subject: there is no .Nope here")
        cli(n, "deploy", project(WORDS, manifest))
        ask = Asker(n, "shop")
        eq(ask.sign_up("ann@example.com", handle='<b>"Ann"\r\nBcc: x@y.z')[0], 200)
        mail = relay.wait_to("ann@example.com")
        eq((mail["subject"], mail["bcc"]), ('Willkommen, <b>"Ann"  Bcc: x@y.z', None))
        html = mail.get_body(("html",)).get_content()
        has(html, '<p title="&lt;b&gt;&#34;Ann&#34;  Bcc: x@y.z">&lt;b&gt;', 'href="https://shop.example/in?token_hash=', "&to=https%3A%2F%2Fshop.example")
        code = re.search(r"^Hallo .*: (\d{6})\s*$", mail.get_body(("plain",)).get_content(), re.M)[1]
        status, s = ask("POST", "/verify", {"type": "signup", "email": "ann@example.com", "token": code})
        eq(status, 200, s)
        # another language, by what the user says of himself, or by the request
        eq(ask.sign_up("bea@example.com", locale="fr_CA")[0], 200)
        mail = relay.wait_to("bea@example.com")
        eq((mail["subject"], mail.get_body(("plain",)).get_content()[:8]), ("Bienvenue", "Bonjour:"))
        eq(ask("POST", "/signup", {"email": "cec@example.com", "password": PASSWORD}, Accept_Language="fr-FR,de;q=0.5")[0], 200)
        eq(relay.wait_to("cec@example.com")["subject"], "Bienvenue")
        # what was done is told
        eq(ask("PUT", "/user", {"password": "another one"}, bearer=s["access_token"])[0], 200)
        eq(relay.wait_to("ann@example.com", 2)["subject"], "Neues Passwort für ann@example.com")
        # what has no words of the app's has the node's own, in HTML and text
        eq(ask("POST", "/recover", {"email": "ann@example.com"})[0], 200)
        mail = relay.wait_to("ann@example.com", 3)
        eq(mail["subject"], "Reset your password")
        has(mail.get_body(("html",)).get_content(), 'href="http://', "Reset my password</a>")
        has(mail.get_body(("plain",)).get_content(), "/auth/v1/confirm?token=", "Your code: ")
    relay.close()


if __name__ == "__main__":
    run(globals())
