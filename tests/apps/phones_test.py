"""Users by their telephones: sign-up, codes, changes of a number; and who brings messages, as they answer and as they should not."""
import base64, http.server, re, urllib.parse

import processes
from nodes import *
from admin_test import cli
from database_test import project
from mails_test import CONFIG, row
from rest_test import ENGINES
from users_test import Asker, LOOSE, PASSWORD, claims, eq

QUICK = "[auth.sms]\nevery_s = 0\nper_hour = 100000\n"


class Bringer(http.server.ThreadingHTTPServer):
    """Who takes messages, by HTTP: `answers` are given one after the other, the last one on and on."""

    def __init__(self):
        self.asked, self.answers = [], [(201, {})]
        super().__init__(("127.0.0.1", 0), Taking)
        threading.Thread(target=self.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def close(self):
        self.shutdown(), self.server_close()


class Taking(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        said = json.loads(body) if body.startswith("{") else dict(urllib.parse.parse_qsl(body))
        self.server.asked.append((self.path, self.headers.get("authorization"), said))
        status, answer = self.server.answers.pop(0) if len(self.server.answers) > 1 else self.server.answers[0]
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


def app(n, name, engine, more, secrets={}):
    for key, value in secrets.items():
        cli(n, "secrets", "set", name, key, data=value.encode())
    cli(n, "deploy", project({}, f'name = "{name}"\ndatabase = "{engine}"\n[auth]\nanonymous = true\nconfirm_email = true\n{LOOSE}{more}'))
    return Asker(n, name)


def code(ask, phone):
    rows = ask.rows({"schema": "auth", "from": "orlo_mails", "select": ["variables", "body", "channel", "kind"], "where": {"column": "recipient", "op": "eq", "value": phone},
                     "order": [{"column": "created_at", "desc": True}], "limit": 1})
    check(rows, phone)
    return rows[0]["variables"]["Code"]


def test_phones():
    for engine in ENGINES:
        with node("--workers", "1") as n:
            ask = app(n, "shop", engine, QUICK + 'message = "{{ .Code }} is yours"\n[auth.sms.test_codes]\n"+15550001" = "123456"\n')
            by_password(ask)
            by_code(ask)
            changed(ask)
            for_tests(ask)
            before_its_owner(ask)
            refused(ask)
            check("15550" not in n.log(), "numbers are in no log")


def by_password(ask):
    status, u = ask("POST", "/signup", {"phone": "+1 5550100", "password": PASSWORD, "data": {"handle": "ann"}})
    eq((status, "access_token" in u, u.get("phone"), u.get("email"), "phone_confirmed_at" in u, u["app_metadata"]), (200, False, "15550100", "", False, {"provider": "phone", "providers": ["phone"]}), u)
    sign_in = {"phone": "15550100", "password": PASSWORD}
    eq(ask("POST", "/token?grant_type=password", sign_in), (400, {"code": "phone_not_confirmed", "message": "Phone not confirmed"}))
    right = code(ask, "15550100")
    eq(ask.rows({"schema": "auth", "from": "orlo_mails", "select": ["body"], "where": {"column": "recipient", "op": "eq", "value": "15550100"}}), [{"body": f"{right} is yours"}])
    wrong = "000000" if right != "000000" else "000001"
    eq(ask("POST", "/verify", {"type": "sms", "phone": "15550100", "token": wrong})[1]["code"], "otp_expired")
    status, s = ask("POST", "/verify", {"type": "sms", "phone": "+15550100", "token": right})
    eq((status, s["user"]["phone"], "phone_confirmed_at" in s["user"], claims(s["access_token"])["amr"][0]["method"], claims(s["access_token"])["phone"]), (200, "15550100", True, "otp", "15550100"), s)
    eq(ask("POST", "/verify", {"type": "sms", "phone": "15550100", "token": right})[1]["code"], "otp_expired")
    status, s = ask("POST", "/token?grant_type=password", sign_in)
    eq((status, claims(s["access_token"])["amr"][0]["method"]), (200, "password"), s)
    eq(ask("POST", "/token?grant_type=password", {**sign_in, "password": "wrong wrong"})[1]["code"], "invalid_credentials")
    # who signs up again is told of a user that is nowhere
    status, again = ask("POST", "/signup", {"phone": "15550100", "password": PASSWORD})
    eq((status, again["identities"], again["id"] != s["user"]["id"]), (200, [], True), again)
    status, made = ask("POST", "/token?grant_type=refresh_token", {"refresh_token": s["refresh_token"]})
    eq(status, 200, made)


def by_code(ask):
    eq(ask("POST", "/otp", {"phone": "15550200", "data": {"handle": "cod"}}), (200, {}))
    eq(ask("POST", "/resend", {"type": "sms", "phone": "15550200"}), (200, {}))
    status, s = ask("POST", "/verify", {"type": "sms", "phone": "15550200", "token": code(ask, "15550200")})
    eq((status, s["user"]["user_metadata"]["handle"], [i["provider"] for i in s["user"]["identities"]]), (200, "cod", ["phone"]), s)
    eq(ask("POST", "/otp", {"phone": "15550200"}), (200, {}))
    eq(ask("POST", "/verify", {"type": "sms", "phone": "15550200", "token": code(ask, "15550200")})[0], 200)
    eq(ask("POST", "/otp", {"phone": "15550299", "create_user": False}), (422, {"code": "otp_disabled", "message": "Signups not allowed for otp"}))
    for nobody in ("15550298", "15550200"):  # one who is nobody, one who has nothing to confirm
        eq(ask("POST", "/resend", {"type": "sms", "phone": nobody}), (200, {}))
    eq(row(ask, "15550298"), None)


def changed(ask):
    eq(ask.sign_up("cho@example.com")[0], 200)
    s = ask("POST", "/verify", {"type": "signup", "email": "cho@example.com", "token": ask.mail("cho@example.com")["variables"]["Token"]})[1]
    status, u = ask("PUT", "/user", {"phone": "+15550300"}, bearer=s["access_token"])
    eq((status, u.get("phone"), u["new_phone"], "phone_change_sent_at" in u), (200, "", "15550300", True), u)
    eq(ask("POST", "/resend", {"type": "phone_change", "phone": "15550300"})[0], 200)
    status, s = ask("POST", "/verify", {"type": "phone_change", "phone": "15550300", "token": code(ask, "15550300")})
    eq((status, s["user"]["phone"], s["user"].get("new_phone"), sorted(i["provider"] for i in s["user"]["identities"]), s["user"]["app_metadata"]["providers"]),
       (200, "15550300", None, ["email", "phone"], ["email", "phone"]), s)
    eq(ask("PUT", "/user", {"phone": "15550100"}, bearer=s["access_token"]), (422, {"code": "phone_exists", "message": "A user with this phone number has already been registered"}))
    # a new password ends a change that waits
    eq(ask("PUT", "/user", {"phone": "15550301"}, bearer=s["access_token"])[0], 200)
    waits = code(ask, "15550301")
    eq(ask("PUT", "/user", {"password": "another one"}, bearer=s["access_token"])[0], 200)
    eq(ask("POST", "/verify", {"type": "phone_change", "phone": "15550301", "token": waits})[1]["code"], "otp_expired")
    # an anonymous user becomes one with a number
    s = ask("POST", "/signup", {})[1]
    eq(ask("PUT", "/user", {"phone": "15550302"}, bearer=s["access_token"])[0], 200)
    status, s = ask("POST", "/verify", {"type": "phone_change", "phone": "15550302", "token": code(ask, "15550302")})
    eq((status, s["user"]["is_anonymous"], s["user"]["phone"]), (200, False, "15550302"), s)
    eq(ask("GET", "/reauthenticate", bearer=s["access_token"]), (200, {}))


def for_tests(ask):
    """A number with a code of its own gets no message."""
    eq(ask("POST", "/otp", {"phone": "15550001"}), (200, {}))
    status, s = ask("POST", "/verify", {"type": "sms", "phone": "15550001", "token": "123456"})
    eq((status, s["user"]["phone"]), (200, "15550001"), s)
    eq(ask("POST", "/otp", {"phone": "15550001"}), (200, {"message_id": "test-otp"}))
    eq(ask("POST", "/verify", {"type": "sms", "phone": "15550001", "token": "123456"})[0], 200)
    eq(ask("POST", "/verify", {"type": "sms", "phone": "15550001", "token": "123457"})[1]["code"], "otp_expired")
    eq(row(ask, "15550001"), None)


def before_its_owner(ask):
    """Who signs up with another's number has nothing of it: his password is gone once a second hand competes with it."""
    eq(ask("POST", "/signup", {"phone": "15550400", "password": "of a thief"})[0], 200)
    eq(ask("POST", "/otp", {"phone": "15550400"}), (200, {}))
    eq(ask("POST", "/verify", {"type": "sms", "phone": "15550400", "token": code(ask, "15550400")})[0], 200)
    eq(ask("POST", "/token?grant_type=password", {"phone": "15550400", "password": "of a thief"})[1]["code"], "invalid_credentials")


def refused(ask):
    bad = "Invalid phone number format (E.164 required)"
    for phone in ("0123", "1", "+", "12345678901234567", "1555x", "1555\n", "１５５５", "1;2"):
        eq(ask("POST", "/otp", {"phone": phone}), (400, {"code": "validation_failed", "message": bad}), phone)
    eq(ask("POST", "/otp", {"phone": "15550500", "channel": "whatsapp"})[1]["code"], "validation_failed")
    eq(ask("POST", "/signup", {"phone": "15550500", "password": PASSWORD, "code_challenge": "x" * 43, "code_challenge_method": "s256"})[1]["message"], "PKCE not supported for phone signups")
    eq(ask("POST", "/verify", {"type": "email", "phone": "15550100", "token": "123456"})[1]["code"], "otp_expired")
    eq(ask("POST", "/verify", {"type": "sms", "email": "cho@example.com", "token": "123456"})[1]["code"], "otp_expired")
    eq([ask("POST", "/verify", {"type": "sms", "phone": "15550501", "token": "000000"})[1]["code"] for _ in range(11)][-1], "over_request_rate_limit")
    eq(ask("GET", "/settings")[1]["external"]["phone"], True)


def test_phones_brought():
    """Each who brings messages is asked as he wants to be; what he does not take now comes later, and what he refuses is given up."""
    b = Bringer()
    with node("--workers", "1", "--config", file_of("operator.toml", CONFIG.encode())) as n:
        def brings(name, provider, more=""):
            return app(n, name, "sqlite", QUICK + f'provider = "{provider}"\ntoken = {{ secret = "TOKEN" }}\nfrom = "Shop"\nurl = "{b.url}"\nmessage = "Ihr Code für ä: {{{{ .Code }}}}"\n{more}', {"TOKEN": "s3cret&x"})

        def one(ask, phone, **more):
            before = len(b.asked)
            eq(ask("POST", "/otp", {"phone": phone, **more}), (200, {}))
            return processes.until(lambda: len(b.asked) > before and b.asked[before])

        ask = brings("twilio", "twilio", 'account = "AC1/x"\n')
        path, authorization, form = one(ask, "15550100")
        eq((path, base64.b64decode(authorization.split()[1]).decode(), form["To"], form["From"]), ("/2010-04-01/Accounts/AC1%2Fx/Messages.json", "AC1/x:s3cret&x", "+15550100", "Shop"))
        sent = processes.until(lambda: (r := row(ask, "15550100"))["sent_at"] and r)
        eq((sent["channel"], sent["body"], sent["variables"]), ("sms", "", {}))
        eq(ask("POST", "/verify", {"type": "sms", "phone": "15550100", "token": re.fullmatch(r"Ihr Code für ä: (\d{6})", form["Body"])[1]})[0], 200)
        eq(one(ask, "15550101", channel="whatsapp")[2]["To"], "whatsapp:+15550101")
        b.answers = [(400, {"code": 21211, "message": "The 'To' number is not a valid phone number."}), (201, {})]
        one(ask, "15550102")
        eq(n.wait_event("mail-given-up", app="twilio")["reason"], "twilio answered 400: The 'To' number is not a valid phone number.")
        b.answers = [(503, {}), (201, {"status": "queued"})]
        one(ask, "15550103")
        eq(n.wait_event("mail-put-off", app="twilio")["reason"], "twilio answered 503")
        processes.until(lambda: row(ask, "15550103")["sent_at"])
        b.answers = [(200, {"messages": [{"status": "0"}]})]
        path, authorization, form = one(brings("vonage", "vonage", 'account = "key"\n'), "15550100")
        eq((path, authorization, form["api_key"], form["api_secret"], form["to"], form["type"]), ("/sms/json", None, "key", "s3cret&x", "15550100", "unicode"))
        b.answers = [(200, {"messages": [{"status": "4", "error-text": "Invalid credentials"}]})]
        one(Asker(n, "vonage"), "15550101")
        eq(n.wait_event("mail-put-off", app="vonage")["reason"], "vonage answered 200: Invalid credentials")
        b.answers = [(201, {})]
        path, authorization, form = one(brings("bird", "messagebird"), "15550100")
        eq((path, authorization, form["recipients"], form["originator"]), ("/messages", "AccessKey s3cret&x", "15550100", "Shop"))
        b.answers = [(200, {"status": "success"})]
        eq(one(brings("local", "textlocal"), "15550100")[2]["numbers"], "15550100")
        b.answers = [(200, {})]
        ask = app(n, "hooked", "sqlite", QUICK + f'[auth.hooks.send_sms]\nurl = "{b.url}/sms"\nsecret = "HOOK"\n', {"HOOK": "v1,whsec_" + base64.b64encode(b"k" * 32).decode()})
        before = len(b.asked)
        eq(ask("POST", "/otp", {"phone": "15550100"}), (200, {}))
        path, _, said = processes.until(lambda: len(b.asked) > before and b.asked[before])
        eq((path, said["sms"]["phone"], said["user"]["phone"], row(ask, "15550100")), ("/sms", "15550100", "15550100", None), said)
        eq(ask("POST", "/verify", {"type": "sms", "phone": "15550100", "token": said["sms"]["otp"]})[0], 200)
        check("s3cret" not in n.log() and "1555" not in n.log(), "what is secret, and numbers, are in no log")
    b.close()


def test_phones_limits():
    with node("--workers", "1") as n:
        ask = app(n, "shop", "sqlite", "[auth.sms]\nper_hour = 2\n")
        eq(ask("POST", "/otp", {"phone": "15550100"})[0], 200)
        status, e = ask("POST", "/otp", {"phone": "15550100"})
        eq((status, e["code"]), (429, "over_sms_send_rate_limit"), e)
        check(re.fullmatch(r"For security purposes, you can only request this after \d+ seconds.", e["message"]), e)
        eq(ask("POST", "/otp", {"phone": "15550101"})[0], 200)
        eq(ask("POST", "/otp", {"phone": "15550102"}), (429, {"code": "over_sms_send_rate_limit", "message": "SMS rate limit exceeded"}))
        # a change that waits is sent again to its own number: so often, whoever asks by which number
        ask = app(n, "pumped", "sqlite", "[auth.sms]\nper_hour = 100\n")
        eq(ask.admin("POST", "/admin/users", {"phone": "15550400", "password": PASSWORD, "phone_confirm": True})[0], 200)
        s = ask("POST", "/token?grant_type=password", {"phone": "15550400", "password": PASSWORD})[1]
        eq(ask("PUT", "/user", {"phone": "15550401"}, bearer=s["access_token"])[0], 200)
        eq(ask("POST", "/resend", {"type": "phone_change", "phone": "15550400"}), (200, {}))
        eq(len(ask.rows({"schema": "auth", "from": "orlo_mails", "select": ["id"], "where": {"column": "recipient", "op": "eq", "value": "15550401"}})), 1)
        # numbers that need no confirmation
        ask = app(n, "open", "sqlite", "[auth.sms]\nconfirm = false\n")
        status, s = ask("POST", "/signup", {"phone": "15550100", "password": PASSWORD})
        eq((status, s["user"]["phone"], "phone_confirmed_at" in s["user"]), (200, "15550100", True), s)
        eq(ask("POST", "/signup", {"phone": "15550100", "password": PASSWORD})[1]["code"], "user_already_exists")
        eq(ask("PUT", "/user", {"phone": "15550101"}, bearer=s["access_token"])[1]["phone"], "15550101")
        off = app(n, "off", "sqlite", "")
        eq(off("POST", "/otp", {"phone": "15550100"})[1]["code"], "phone_provider_disabled")
        eq(off("POST", "/token?grant_type=password", {"phone": "15550100", "password": PASSWORD})[1]["code"], "phone_provider_disabled")
