#!/usr/bin/env python3
"""postgrest-js's own tests (github.com/supabase/supabase-js at 381bded, packages/core/postgrest-js/test, under its MIT licence) against an app on a node, on both
engines. It needs the network (npm brings jest, ts-jest and TypeScript), and so is no part of CI:

    git clone https://github.com/supabase/supabase-js && git -C supabase-js checkout 381bded
    tests/rest/postgrest_js.py build/orlo supabase-js [--only FILE] [--engine sqlite|postgres] [--show N]

The schema is as it is there, but that on SQLite int4range is text; what an engine refuses of it (PostGIS, where that is not installed) is left out and listed. The
tests ask at localhost:54321 without a key: what listens there gives each request the anon key, as Supabase's gateway does."""
import argparse, glob, http.client, http.server, json, os, re, shutil, subprocess, sys, tempfile, threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, ".."), os.path.join(HERE, "..", "apps")]
a = argparse.ArgumentParser()
a.add_argument("orlo")
a.add_argument("supabase")
a.add_argument("--only", default="")
a.add_argument("--engine", default="")
a.add_argument("--show", type=int, default=0)
O = a.parse_args()
sys.argv = [sys.argv[0], O.orlo]  # what the harness reads
from split import statements  # noqa: E402
from nodes import *  # noqa: E402,F403
from database_test import project  # noqa: E402
from front_test import keys_of  # noqa: E402

PACKAGES = ["jest@30.4.2", "ts-jest@29.4.9", "@types/jest@30.0.0", "@types/node@20.19.9", "typescript@5.8.3", "prettier@3.6.2", "zod@3.25.76", "type-fest@4.32.0", "tslib@2.8.1"]
MANIFEST = """name = "suite"
database = "%s"
hosts = ["127.0.0.1"]

[rest]
schemas = ["public", "personal"]
aggregates = true
plan = true
"""


def brought(folder):
    """The package with what it needs, in a folder of our own."""
    shutil.copytree(os.path.join(O.supabase, "packages", "core", "postgrest-js"), folder, ignore=shutil.ignore_patterns("node_modules"))
    with open(os.path.join(folder, "package.json"), "w") as f:
        json.dump({"name": "tests", "version": "0.0.0"}, f)
    with open(os.path.join(folder, "tsconfig.test.json"), "w") as f:
        json.dump({"compilerOptions": {"module": "CommonJS", "target": "ES2022", "esModuleInterop": True, "moduleResolution": "Node", "skipLibCheck": True}}, f)
    with open(os.path.join(folder, "jest.config.js"), "w") as f:
        f.write("module.exports = {testEnvironment: 'node', maxWorkers: 1, testTimeout: 30000, testPathIgnorePatterns: ['/v12/'], testSequencer: '<rootDir>/test/testSequencer.js', "
                "transform: {'\\\\.ts$': ['ts-jest', {tsconfig: 'tsconfig.test.json', diagnostics: false, isolatedModules: true}]}}\n")
    os.remove(os.path.join(folder, "jest.config.ts"))
    got = subprocess.run(["npm", "install", "--no-audit", "--no-fund", *PACKAGES], cwd=folder, capture_output=True, text=True)
    if got.returncode:
        sys.exit(f"npm: {got.stderr[-1500:]}")


def deployed(n, engine, folder):
    """What is refused is left out, until nothing is."""
    texts = {"001_schema.sql": "migrations/00000000000000_schema.sql", "002_seed.sql": "seed.sql"}
    all_ = []
    for name, path in texts.items():
        with open(os.path.join(folder, "test", "supabase", path), encoding="utf-8") as f:
            text = f.read().replace("int4range", "text") if engine == "sqlite" else f.read()
        all_ += [(name, s) for _, s in statements(text)]
    left = {}
    for _ in range(20):
        files, lines = {}, {}
        for i, (name, s) in enumerate(all_):
            if i in left:
                continue
            at = files.get(name, "").count("\n") + 1
            for k in range(s.count("\n") + 1):
                lines[name, at + k] = i
            files[name] = files.get(name, "") + s + "\n"
        where = project({f"migrations/{k}": v for k, v in files.items()}, MANIFEST % engine)
        code, out, error = orlo("deploy", where, "--state", n.state, timeout=300)  # noqa: F405
        said = out + error
        if not code:
            for i, why in left.items():
                print(f"  left out: {' '.join(all_[i][1].split())[:90]}\n      {why[:160]}")
            return
        found = 0
        for m in re.finditer(r"(00[12]_\w+\.sql):(\d+)[^\n]*", said):
            i = lines.get((m[1], int(m[2])))
            if i is not None and i not in left:
                left[i] = m[0]
                found += 1
        if not found:
            sys.exit(f"{engine}: {said[-2000:]}\n{n.log()[-1500:]}")


class Gateway(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def go(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        head = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "connection")}
        head.setdefault("apikey", self.server.key)
        c = http.client.HTTPConnection("127.0.0.1", self.server.to, timeout=60)
        c.request(self.command, self.path, body=body, headers=head)
        r = c.getresponse()
        text = r.read()
        self.send_response(r.status, r.reason)
        for k, v in r.getheaders():
            if k.lower() not in ("transfer-encoding", "connection", "content-length"):
                self.send_header(k, v)
        if r.status != 204:
            self.send_header("Content-Length", r.getheader("content-length") if self.command == "HEAD" and r.getheader("content-length") else str(len(text)))
        self.end_headers()
        self.wfile.write(text)
        c.close()

    do_GET = do_HEAD = do_POST = do_PATCH = do_PUT = do_DELETE = do_OPTIONS = go

    def log_message(self, *_):
        pass


def run(engine, folder):
    with node("--workers", "1") as n:  # noqa: F405
        deployed(n, engine, folder)
        gateway = http.server.ThreadingHTTPServer(("127.0.0.1", 54321), Gateway)
        gateway.to, gateway.key = n.port, keys_of(n, "suite")["anon"]
        threading.Thread(target=gateway.serve_forever, daemon=True).start()
        subprocess.run(["npm", "exec", "--", "jest", "--ci", "--runInBand", "--json", "--outputFile=said.json", *([O.only] if O.only else [])], cwd=folder, capture_output=True, text=True)
        gateway.shutdown()
        gateway.server_close()
    with open(os.path.join(folder, "said.json")) as f:
        said = json.load(f)
    print(f"{engine}: {said['numPassedTests']} of {said['numTotalTests'] - said['numPendingTests']} tests pass")
    shown = 0
    for file in said["testResults"]:
        failed = [t for t in file["assertionResults"] if t["status"] == "failed"]
        print(f"  {os.path.basename(file['name'])}: {sum(t['status'] == 'passed' for t in file['assertionResults'])} pass, {len(failed)} do not" + (f": {file['message'][:300]}" if not file["assertionResults"] else ""))
        for t in failed:
            print(f"    {t['fullName']}")
            if shown < O.show:
                shown += 1
                print("      " + re.sub(r"\x1b\[[0-9;]*m", "", t["failureMessages"][0])[:1500].replace("\n", "\n      "))


def main():
    engines = [O.engine] if O.engine else ["sqlite"] + (["postgres"] if glob.glob("/usr/lib/postgresql/1[5-9]/bin/postgres") else [])
    with tempfile.TemporaryDirectory(prefix="orlo-postgrest-js-") as top:
        folder = os.path.join(top, "postgrest-js")
        brought(folder)
        for engine in engines:
            run(engine, folder)


main()
