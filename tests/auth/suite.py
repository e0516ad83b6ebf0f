#!/usr/bin/env python3
"""auth-js's own public tests, against a node of Orlo's in place of GoTrue: what passes, what does not and why.

Usage: tests/auth/suite.py ORLO CHECKOUT [--only TEXT] [--keep FOLDER] [--show]

CHECKOUT: a git folder (bare or not) of supabase/supabase-js, with the commit that COMMIT names; --only: files and names of tests that have TEXT in them; --keep: where
packages and what the tests are stays for another time; --show: what those that fail say. npm brings jest, so it is no part of CI. Its tests want one project as the
Supabase CLI starts it (test/supabase/config.toml, deployed as it is) and four servers without a gateway, each with settings of its own (SERVERS)."""
import argparse, http.client, http.server, json, os, shutil, subprocess, sys, tempfile, threading

HERE = os.path.dirname(os.path.abspath(__file__))
for part in ("..", "../pg", "../apps"):
    sys.path.insert(0, os.path.join(HERE, part))
from nodes import *  # noqa: E402
from admin_test import cli  # noqa: E402
from database_test import project  # noqa: E402
from front_test import keys_of  # noqa: E402

COMMIT = "381bded5"
PACKAGES = ["jest@30.4.2", "ts-jest@^29.4.9", "@types/jest@30.0.0", "@types/node@20.19.9", "typescript@~5.8.3", "prettier@^3.6.2", "tslib@2.8.1", "@faker-js/faker@^9.9.0",
            "@types/jsonwebtoken@^8.5.8", "jest-environment-jsdom@30.4.1", "jest-mock-server@^0.1.0", "jsonwebtoken@^9.0.0"]
SECRET = "37c304f8-51aa-419a-a1af-06154e63707a"  # of the servers without a gateway (docker-tests/clients.ts)
LOOSE = "sign_ins_per_5min = 100000\nrefreshes_per_5min = 100000\ncodes_per_5min = 100000\nanonymous_per_hour = 100000\nmails_per_hour = 100000\nmail_every_s = 0\n"
# By the port at which the tests look for them: what each is like, and whether it signs with RS256.
SERVERS = {
    9999: ("signup-on-confirm", "confirm_email = true\n[auth.sms]\nevery_s = 0\nper_hour = 100000\n", False),
    9998: ("signup-on-auto", "anonymous = true\n[auth.sms]\nconfirm = false\nevery_s = 0\nper_hour = 100000\n", False),
    9997: ("signup-off", "sign_up = false\n", False),
    9996: ("asymmetric", "", True),
}
# Tests that fail on purpose, or by what they themselves are: (file, a part of the name): why.
KNOWN = {
    ("GoTrueClient.test.ts", "pkce flow fails with invalid sms provider"): "where nobody brings messages they are caught, as mails are: asking for one is no error",
}


class Front(http.server.ThreadingHTTPServer):
    """A port at which an app answers as if it were alone there."""
    daemon_threads = True

    def __init__(self, node_port, app, prefix, key):
        self.node_port, self.app, self.prefix, self.key = node_port, app, prefix, key
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def pass_on(self):
        f = self.server
        head = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "connection", "content-length")}
        if "apikey" not in {k.lower() for k in head}:
            head["apikey"] = f.key
        body = self.rfile.read(int(self.headers.get("content-length") or 0)) if "content-length" in self.headers else None
        conn = http.client.HTTPConnection("127.0.0.1", f.node_port, timeout=60)
        conn.request(self.command, f.prefix + self.path, body, {**head, "Host": f"{f.app}.localhost"})
        r = conn.getresponse()
        text = r.read()
        self.send_response_only(r.status)
        for k, v in r.getheaders():
            if k.lower() not in ("content-length", "connection", "transfer-encoding"):
                self.send_header(k, v)
        if r.status not in (204, 304):
            self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
        conn.close()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_HEAD = pass_on


def prepare(checkout, keep):
    """The package with its tests, and what runs them: its folder."""
    archive = subprocess.run(["git", "-C", checkout, "archive", COMMIT, "packages/core/auth-js", "tsconfig.base.json"], capture_output=True, check=True).stdout
    shutil.rmtree(os.path.join(keep, "packages"), ignore_errors=True)
    subprocess.run(["tar", "x", "-C", keep], input=archive, check=True)
    if not os.path.exists(os.path.join(keep, "node_modules", "jest")):
        with open(os.path.join(keep, "package.json"), "w") as f:
            f.write('{"private": true}\n')
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--silent", "--prefix", keep, *PACKAGES], check=True)
    folder = os.path.join(keep, "packages", "core", "auth-js")
    subprocess.run(["node", "generate-signing-keys.js"], cwd=os.path.join(folder, "test"), stdout=subprocess.DEVNULL, check=True)
    os.makedirs(os.path.join(folder, "test", "supabase", "migrations"), exist_ok=True)
    return folder


def replace(path, pairs):
    with open(path) as f:
        text = f.read()
    for old, new in pairs:
        assert old in text, (path, old)
        text = text.replace(old, new)
    with open(path, "w") as f:
        f.write(text)


def sign_with(n, app, key):
    """A key that signs from now on."""
    cli(n, "keys", "import", app, "--standby", data=key.encode())
    cli(n, "keys", "rotate", app)


def front(n, app, prefix=""):
    """A port of it. What stands before a project that runs on one's own machine lets through who has no key: some tests have none."""
    return Front(n.port, app, prefix, keys_of(n, app)["anon"]).server_address[1]


def set_up(n, folder):
    """The apps, and their ports in the tests' clients."""
    test = os.path.join(folder, "test")
    with open(os.path.join(test, "supabase", "signing_keys.json")) as f:
        rsa = json.dumps(json.load(f)[0])
    cli(n, "deploy", test)
    sign_with(n, "auth-js-test", rsa)
    replace(os.path.join(test, "lib", "clients.ts"), [("127.0.0.1:54321", f"127.0.0.1:{front(n, 'auth-js-test')}")])
    pairs = []
    for port, (app, settings, asymmetric) in SERVERS.items():
        cli(n, "deploy", project({"migrations/001.sql": "create table t (id int);"}, f'name = "{app}"\ndatabase = "sqlite"\n[auth]\nsite_url = "http://localhost:{port}"\n{LOOSE}{settings}'))
        sign_with(n, app, rsa if asymmetric else SECRET)
        pairs.append((f"http://localhost:{port}", f"http://127.0.0.1:{front(n, app, '/auth/v1')}"))
    replace(os.path.join(test, "docker-tests", "clients.ts"), pairs)


def run(folder, only):
    out = os.path.join(folder, "results.json")
    args = ["npx", "jest", "--silent", "--coverage=false", "--forceExit", "--workerThreads=false", "--maxWorkers=1", "--json", "--outputFile", out, *([only] if only and only.endswith(".ts") else [])]
    if only and not only.endswith(".ts"):
        args += ["-t", only]
    subprocess.run(args, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with open(out) as f:
        return json.load(f)


def why_known(file, name):
    return next((why for (f, part), why in KNOWN.items() if f == file and part in name), None)


def told(results, folder, show):
    """A row a file; whether nothing failed that KNOWN does not have."""
    total, seen, wrong = [0, 0, 0, 0], set(), []
    print(f"{'':48}  passed  known  failed  skipped")
    for suite in sorted(results["testResults"], key=lambda s: s["name"]):
        file, row = os.path.relpath(suite["name"], os.path.join(folder, "test")), [0, 0, 0, 0]
        if suite["status"] == "failed" and not suite["assertionResults"]:
            wrong.append((file, "(as a whole)", [suite["message"]]))
            row[2] += 1
        for t in suite["assertionResults"]:
            known = why_known(file, t["fullName"])
            at = {"passed": 0, "failed": 2}.get(t["status"], 3)
            if at == 2 and known:
                at = 1
                seen |= {k for k in KNOWN if k[0] == file and k[1] in t["fullName"]}
            row[at] += 1
            if at == 2:
                wrong.append((file, t["fullName"], t["failureMessages"]))
        print(f"{file:48}" + "".join(f"{n:8}" for n in row))
        total = [a + b for a, b in zip(total, row)]
    for file, name, messages in wrong:
        print(f"FAILED {file}: {name}")
        if show:
            print("    " + "\n".join(messages)[:1500].replace("\n", "\n    "))
    for key, why in KNOWN.items():
        print(f"known  {key[0]}: {key[1]}: {why}" + ("" if key in seen else " (it did not fail)"))
    print(f"{total[0] + total[1]} passed, {total[2]} failed, {total[3]} skipped")
    return total[2] == 0 and total[0] > 0


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("orlo"), p.add_argument("checkout"), p.add_argument("--only"), p.add_argument("--keep"), p.add_argument("--show", action="store_true")
    a = p.parse_args()
    keep = a.keep or os.path.join(WORK, "auth-js")
    os.makedirs(keep, exist_ok=True)
    folder = prepare(os.path.abspath(a.checkout), os.path.abspath(keep))
    with node("--workers", "1") as n:
        set_up(n, folder)
        results = run(folder, a.only)
        good = told(results, folder, a.show)
    return not good


if __name__ == "__main__":
    sys.exit(main())
