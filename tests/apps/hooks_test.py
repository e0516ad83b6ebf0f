"""Hooks of /auth/v1: functions of the app, of its database, and webhooks that are signed."""
import base64, contextlib, hashlib, hmac, http.server, re, threading, urllib.parse

from nodes import *
from admin_test import cli
from database_test import project, put
from rest_test import ENGINES
from users_test import Asker, LOOSE, PASSWORD, claims, eq

SQL = """
create table tries (user_id uuid primary key references auth.users (id) on delete cascade, wrong int not null default 0);
alter table tries enable row level security;
grant all on tries to supabase_auth_admin;
create policy own on tries for all to supabase_auth_admin using (true) with check (true);
create table roles (email text primary key, role text not null);
insert into roles values ('admin@example.com', 'boss');
alter table roles enable row level security;
grant select on roles to supabase_auth_admin;
create policy read on roles for select to supabase_auth_admin using (true);

create function token_hook(event jsonb) returns jsonb language plpgsql stable as $$
declare boss text;
begin
  if event #>> '{claims,email}' = 'broken@example.com' then raise exception 'no such thing'; end if;
  select r.role into boss from public.roles r where r.email = event #>> '{claims,email}';
  if event #>> '{claims,email}' = 'own@example.com' then
    return jsonb_build_object('claims', (event -> 'claims') || '{"role": "supabase_auth_admin"}'::jsonb);
  end if;
  return jsonb_build_object('claims', (event -> 'claims') || jsonb_build_object('user_role', coalesce(boss, 'none'), 'by', current_user::text, 'how', event ->> 'authentication_method'));
end $$;
create function gate(event jsonb) returns jsonb language plpgsql as $$
begin
  if event #>> '{user,email}' like '%@evil.example' then
    return '{"error": {"http_code": 403, "message": "nobody of there"}}'::jsonb;
  end if;
  return '{}'::jsonb;
end $$;
create function tried(event jsonb) returns jsonb language plpgsql as $$
declare n int;
begin
  if (event ->> 'valid')::boolean then return '{"decision": "continue"}'::jsonb; end if;
  insert into public.tries as t (user_id, wrong) values ((event ->> 'user_id')::uuid, 1) on conflict (user_id) do update set wrong = t.wrong + 1 returning wrong into n;
  if n > 2 then return '{"decision": "reject", "message": "enough of that", "should_logout_user": true}'::jsonb; end if;
  return '{"decision": "continue"}'::jsonb;
end $$;
revoke execute on function token_hook, gate, tried from public, anon, authenticated, service_role;
grant execute on function token_hook, gate, tried to supabase_auth_admin;
"""


def app(n, hooks, engine="sqlite", more="", sql="", guest_too=True):
    manifest = f'name = "shop"\ndatabase = "{engine}"\n' + ('[functions.gate]\nsource = "hook.wasm"\nroutes = []\n' if guest_too else "") + f"[auth]\n{LOOSE}{more}"
    for name, to in hooks.items():
        manifest += f"[auth.hooks.{name}]\n{to}\n"
    folder = project({"migrations/001.sql": sql}, manifest)
    if guest_too:
        shutil.copy(guest("hook"), os.path.join(folder, "hook.wasm"))
    cli(n, "deploy", folder)
    return Asker(n)


def refused(got, status, code, message):
    eq((got[0], got[1].get("code"), got[1].get("message")), (status, code, message), got)


def event_of(line):
    """What a function was asked, of which a line has the beginning."""
    return {key: (re.search(f'"{key}":"([^"]*)"', line) or [None, None])[1] for key in ("name", "id", "user_id", "email", "handle", "provider", "authentication_method")}


# What a hook's function does, and what the client is told.
SAID = [
    ("do-refuse", 403, "unknown", "not today"),
    ("do-text", 400, "hook_payload_invalid_content_type", "Invalid JSON response. Received content-type: text/plain"),
    ("do-large", 422, "hook_payload_over_size_limit", "Payload size exceeded size limit of 204800 bytes"),
    ("do-status", 500, "unexpected_failure", "Unexpected status code returned from hook: 418"),
    ("do-nonsense", 500, "unexpected_failure", "Error unmarshaling JSON output."),
    ("do-slow", 422, "hook_timeout", "Failed to reach hook within maximum time of 5.000000 seconds"),
]


def test_hooks_function():
    with node("--workers", "1") as n:
        to = 'function = "gate"'
        ask = app(n, {"before_user_created": to, "custom_access_token": to, "after_user_created": to})
        status, s = ask.sign_up("ann@example.com", handle="ann")
        eq(status, 200, s)
        c = claims(s["access_token"])
        eq((c["plan"], c["sub"], c["email"]), ("gold", s["user"]["id"], "ann@example.com"))
        eq(claims(ask.refresh(s["refresh_token"])[1]["access_token"])["plan"], "gold")
        # it was asked three times, by its name for each: nobody outside reaches it
        asked = until(lambda: (lambda a: a if len(a) >= 4 else None)([event_of(e["text"]) for e in n.events("guest") if e["text"].startswith("/hook ")]))
        eq([a["name"] for a in asked], ["before-user-created", "customize-access-token", "after-user-created", "customize-access-token"])
        eq((asked[0]["email"], asked[0]["handle"], asked[0]["provider"]), ("ann@example.com", "ann", "email"))
        eq((asked[0]["id"], asked[1]["user_id"], asked[2]["id"]), (s["user"]["id"],) * 3)
        eq(asked[1]["authentication_method"], "password")
        eq(ask.raw("POST", "/hook", {})[0], 404)
        for word, status, code, message in SAID:
            refused(ask.sign_up(f"{word[3:]}@example.com", do=word), status, code, message)
            eq(ask.rows({"schema": "auth", "from": "users", "select": ["id"], "where": {"column": "email", "op": "eq", "value": f"{word[3:]}@example.com"}}), [], word)
        eq(ask.sign_up("nothing@example.com", do="do-nothing")[0], 200)
        # a token's claims that may not go
        for word, message in (("do-noclaims", "output claims field is missing"), ("do-fewer", "output claims do not conform to the expected schema: \n- (root): exp is required\n")):
            got = ask.sign_up(f"{word[3:]}@example.com", do=word)
            eq((got[0], got[1]["code"], got[1]["message"][: len(message)]), (500, "unexpected_failure", message), got)
            check("- sub: Invalid type. Expected: string, given: integer\n" in got[1]["message"] or "noclaims" in word, got)
            made = ask.rows({"schema": "auth", "from": "users", "select": ["id", {"embed": "sessions", "select": ["id"]}], "where": {"column": "email", "op": "eq", "value": f"{word[3:]}@example.com"}})
            eq([u["sessions"] for u in made], [[]], "nobody is signed in by it")
        # who is signed in already stays so: what is no refusal passes
        for word, status in (("do-noclaims", 503), ("do-status", 503), ("do-refuse", 403)):
            ask.admin("PUT", "/admin/users/" + s["user"]["id"], {"user_metadata": {"do": word}})
            eq(ask.refresh(s["refresh_token"])[0], status, word)
        ask.admin("PUT", "/admin/users/" + s["user"]["id"], {"user_metadata": {"do": None}})
        eq(claims(ask.refresh(s["refresh_token"])[1]["access_token"])["plan"], "gold")


def test_hooks_sql():
    for engine in ENGINES:
        with node("--workers", "1") as n:
            ask = app(n, {"before_user_created": 'sql = "gate"', "custom_access_token": 'sql = "public.token_hook"', "password_verification_attempt": 'sql = "public.tried"'}, engine, sql=SQL, guest_too=False)
            status, s = ask.sign_up("admin@example.com")
            eq(status, 200, s)
            c = claims(s["access_token"])
            eq((c["user_role"], c["by"], c["how"]), ("boss", "supabase_auth_admin", "password"), c)
            eq(claims(ask.sign_up("ben@example.com")[1]["access_token"])["user_role"], "none")
            refused(ask.sign_up("eve@evil.example"), 403, "unknown", "nobody of there")
            refused(ask.sign_up("broken@example.com"), 500, "unexpected_failure", "Error running hook URI: pg-functions://postgres/public/token_hook")
            n.wait_event("auth-failed", code="P0001")
            for left in (2, 1):
                refused(ask.sign_in("admin@example.com", "wrong"), 400, "invalid_credentials", "Invalid login credentials")
            refused(ask.sign_in("admin@example.com", "wrong"), 400, "invalid_credentials", "enough of that")
            refused(ask.refresh(s["refresh_token"]), 400, "refresh_token_not_found", "Invalid Refresh Token: Refresh Token Not Found")
            # nobody else calls it, nor comes as that role
            eq(ask.raw("POST", "/rest/v1/rpc/gate", {"event": {}})[0], 401)
            check(ask.admin("PUT", "/admin/users/" + s["user"]["id"], {"role": "supabase_auth_admin"})[0] >= 400, "nobody is to be that role")
            status, s = ask.sign_up("own@example.com")
            eq((status, claims(s["access_token"])["role"]), (200, "supabase_auth_admin"))
            eq(ask.rest("POST", "/rpc/gate", s["access_token"], {"event": {}})[0], 403)


class Webhook:
    """A double of a webhook: keeps what it is asked, once the signature holds, and answers what it is told to."""

    def __init__(self, *secrets):
        self.asked, self.answers, self.before, outer = [], [], lambda body: None, self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                said = [x.strip() for x in self.headers["webhook-signature"].split(",")]
                signed = f"{self.headers['webhook-id']}.{self.headers['webhook-timestamp']}.".encode() + body
                own = [base64.b64encode(hmac.new(s, signed, hashlib.sha256).digest()).decode() for s in secrets]
                outer.asked.append((json.loads(body), [o in said for o in own]))
                outer.before(json.loads(body))
                status, answer, head = outer.answers.pop(0) if outer.answers else (200, b"{}", {})
                self.send_response(status)
                for k, v in {"content-type": "application/json", "content-length": str(len(answer)), **head}.items():
                    self.send_header(k, v)
                with contextlib.suppress(OSError):  # nobody waits any more
                    self.end_headers()
                    self.wfile.write(answer)

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/users"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def test_hooks_url():
    one, two = b"one-secret-of-hooks-24byt", b"two-secret-of-hooks-24byt"
    hook = Webhook(one, two)
    with node("--workers", "1", "--config", file_of("hooks.toml", b"auth_private = 1\n")) as n:
        to = f'url = "{hook.url}"\nsecret = "HOOK"'
        ask = app(n, {"before_user_created": to, "send_email": to}, more="confirm_email = true\n", guest_too=False)
        refused(ask.sign_up("early@example.com"), 500, "unexpected_failure", "Error generating signatures: the secret HOOK is not set")
        cli(n, "secrets", "set", "shop", "HOOK", data=b"|".join(b"v1,whsec_" + base64.b64encode(s) for s in (one, two)))
        status, user = ask.sign_up("ann@example.com")
        eq((status, user.get("email")), (200, "ann@example.com"), user)
        until(lambda: len(hook.asked) >= 2)
        (first, right), (mail, also) = hook.asked
        eq((right, also, first["metadata"]["name"], mail["metadata"]["name"]), ([True, True], [True, True], "before-user-created", "send-email"))
        data = mail["email_data"]
        eq((mail["user"]["email"], data["email_action_type"], len(data["token"]), data["site_url"].endswith("/auth/v1")), ("ann@example.com", "signup", 6, True), mail)
        eq(ask.rows({"schema": "auth", "from": "orlo_mails", "select": ["id"]}), [])  # nobody else sends it
        status, s = ask("POST", "/verify", {"type": "signup", "email": "ann@example.com", "token": data["token"]})
        eq(status, 200, s)
        # asked again where it says when, refused where it does not
        hook.answers += [(503, b"", {"retry-after": "true"}), (200, b"{}", {})]
        eq(ask.sign_up("ben@example.com")[0], 200)
        until(lambda: len(hook.asked) >= 5)
        hook.answers += [(429, b"", {})]
        refused(ask.sign_up("cay@example.com"), 500, "unexpected_failure", "Service currently unavailable due to hook")
        hook.answers += [(200, b'{"error": {"message": "no"}}', {})]
        refused(ask.sign_up("cay@example.com"), 500, "unexpected_failure", "no")
        # a change of address that both confirm is one mail's, with both codes
        until(lambda: len(hook.asked) >= 7)
        before = len(hook.asked)
        eq(ask("PUT", "/user", {"email": "ann2@example.com"}, bearer=s["access_token"])[0], 200)
        change = hook.asked[before][0]["email_data"]
        eq((len(hook.asked), change["email_action_type"], len(change["token"]), len(change["token_new"])), (before + 1, "email_change", 6, 6))
        eq(ask("POST", "/verify", {"type": "email_change", "email": "ann2@example.com", "token": change["token_new"]})[0], 200)
        eq(ask("POST", "/verify", {"type": "email_change", "email": "ann@example.com", "token": change["token"]})[1]["user"]["email"], "ann2@example.com")
        # who is mailed by it, who is not: the answer comes before, whatever becomes of it
        hook.answers += [(500, b"", {})]
        eq(ask("POST", "/recover", {"email": "ann2@example.com"}), ask("POST", "/recover", {"email": "nobody@example.com"}))
        n.wait_event("auth-failed", what="hook send_email")
        hook.close()
        refused(ask.sign_up("dan@example.com"), 422, "hook_timeout_after_retry", "Failed to reach hook after maximum retries")


def test_hooks_round():
    """A hook that signs up by itself is asked again for that, and so on: nobody is held by it longer than a hook's time, and nobody else at all."""
    hook = Webhook(b"x" * 24)
    deepest = [0]
    with node("--workers", "1", "--config", file_of("hooks.toml", b"auth_private = 1\n")) as n:
        ask = app(n, {"before_user_created": f'url = "{hook.url}"\nsecret = "HOOK"'}, guest_too=False)
        cli(n, "secrets", "set", "shop", "HOOK", data=b"v1,whsec_" + base64.b64encode(b"x" * 24))

        def again(body):
            if body["user"]["email"].endswith("@once.example"):
                return
            depth = deepest[0] = deepest[0] + 1
            with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
                ask.sign_up(f"deep{depth}@example.com")

        hook.before = again
        got = []
        t = threading.Thread(target=lambda: got.append(ask.sign_up("deep@example.com")))
        t.start()
        until(lambda: deepest[0] > 3)
        eq(ask("GET", "/health", key=None)[0], 200)
        t.join(PATIENCE_S)
        check(got[0][0] in (200, 422), got)  # the innermost was refused in time for all of them, or the outermost's time was over before
        hook.before = lambda body: None
        eq(until(lambda: (lambda r: r if r[0] == 200 else None)(ask.sign_up("ann@once.example")))[0], 200)
        hook.close()


def test_hooks_captcha():
    """Who signs up or in brings what hCaptcha's double takes; refreshes and the service_role need not."""
    asked = []

    class Judge(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            form = dict(urllib.parse.parse_qsl(self.rfile.read(int(self.headers["content-length"])).decode()))
            asked.append(form)
            answer = {"good": b'{"success": true}', "spent": b'{"success": false, "error-codes": ["timeout-or-duplicate", "x"]}'}.get(form["response"], b"<html>")
            self.send_response(200)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *args):
            pass

    judge = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Judge)
    threading.Thread(target=judge.serve_forever, daemon=True).start()
    with node("--workers", "1", "--config", file_of("hooks.toml", b"auth_private = 1\n")) as n:
        cli(n, "deploy", project({}, f'name = "shop"\ndatabase = "sqlite"\n[auth]\n{LOOSE}[auth.captcha]\nprovider = "hcaptcha"\nsecret = "CAPTCHA"\nurl = "http://127.0.0.1:{judge.server_address[1]}/siteverify"\n'))
        cli(n, "secrets", "set", "shop", "CAPTCHA", data=b"0xsecret\n")
        ask = Asker(n)
        body = {"email": "ann@example.com", "password": PASSWORD}
        proof = lambda token: {"gotrue_meta_security": {"captcha_token": token}}
        refused(ask("POST", "/signup", body), 400, "captcha_failed", "captcha protection: request disallowed (no captcha_token found)")
        refused(ask("POST", "/signup", {**body, **proof("spent")}), 400, "captcha_failed", "captcha protection: request disallowed (timeout-or-duplicate, x)")
        refused(ask("POST", "/signup", {**body, **proof("odd")}), 503, "unexpected_failure", "captcha verification process failed")
        status, s = ask("POST", "/signup", {**body, **proof(" good ")})
        eq((status, asked[-1]), (200, {"secret": "0xsecret", "response": "good", "remoteip": "127.0.0.1"}), s)
        for path, more in (("/token?grant_type=password", {"password": PASSWORD}), ("/token/?grant_type=password", {"password": PASSWORD}), ("/signup//", {"password": PASSWORD}), ("/recover", {}), ("/otp", {}), ("/magiclink", {}), ("/resend", {"type": "signup"})):
            eq(ask("POST", path, {"email": "ann@example.com", **more})[1]["code"], "captcha_failed", path)
        eq(ask("POST", "/token?grant_type=password", {**body, **proof("good")})[0], 200)
        eq(ask.refresh(s["refresh_token"])[0], 200)
        eq(ask.admin("POST", "/signup", {"email": "ben@example.com", "password": PASSWORD})[0], 200)
        judge.shutdown(), judge.server_close()
        refused(ask("POST", "/token?grant_type=password", {**body, **proof("good")}), 503, "unexpected_failure", "captcha verification process failed")
