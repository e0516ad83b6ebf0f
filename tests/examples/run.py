#!/usr/bin/env python3
"""Every example, made by the very commands of its README and served; all of them answer alike.

An example whose tool is not here, or whose packages a registry cannot be asked for, however often, is skipped by name; whatever else goes wrong fails. Work
is done in build/examples/, where what was made is kept until the example changes; by one run at a time.

Usage: tests/examples/run.py ORLO [FILTER]. Prints `ok|FAIL|SKIP NAME` lines, and 'N passed, N failed, N skipped'.
"""
import fcntl, hashlib, http.server, os, re, subprocess, sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness import *
from nodes import node

DOC = open(os.path.join(ROOT, "docs", "getting-started.md")).read()
EXAMPLES = os.path.join(ROOT, "examples")
MADE = os.path.join(ROOT, "build", "examples")
FETCHES = re.compile(r"npm install|python3 -m venv|rustup target add")  # commands that need a registry
# What the tools say where none answers, or not what it should.
NOT_REACHED = re.compile(r"ENOTFOUND|ECONN|ETIMEDOUT|EAI_AGAIN|ENETUNREACH|EHOSTUNREACH|socket hang up|npm error code E[45]\d\d|[Cc]ould not resolve|[Cc]ouldn't resolve|[Tt]imed out|"
                         r"[Tt]imeout|[Tt]emporary failure|[Cc]onnection|[Nn]etwork|HTTP error|status code [45]\d\d|could not download|[Ss]purious")


CRATES = "rustup target add wasm32-wasip2 && cargo fetch --target wasm32-wasip2"
MADE_THERE = {"node_modules", ".venv", "target", "__pycache__", "app.wasm", "core.wasm", "package-lock.json", "Cargo.lock", "dist"}


def files_of(folder):
    """What somebody wrote, not what was made there since."""
    found = []
    for path, folders, names in os.walk(folder):
        folders[:] = [f for f in folders if f not in MADE_THERE]
        found += [os.path.relpath(os.path.join(path, n), folder) for n in names if n not in MADE_THERE]
    return sorted(found)


def commands_of(name):
    """The README's first block of commands: those that make app.wasm, and the one that serves it."""
    with open(os.path.join(EXAMPLES, name, "README.md")) as f:
        lines = re.search(r"^```sh\n(.*?)^```", f.read(), re.M | re.S).group(1).replace("\\\n", " ").splitlines()
    lines = [l.split("  #")[0].strip() for l in lines]
    serve = next(i for i, l in enumerate(lines) if l.startswith("../../build/orlo serve "))
    return [l for l in lines[:serve] if l], lines[serve]


def fetch(command, cwd, what=None):
    """Three times; skips where no registry is reached."""
    for left in (2, 1, 0):
        try:
            p = subprocess.run(["bash", "-c", command], cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
            if p.returncode == 0:
                return
            said = p.stdout
        except subprocess.TimeoutExpired:
            said = "timed out: five minutes"
        if left:
            pace(5 * (3 - left))
    check(NOT_REACHED.search(said), command, said[-3000:])
    raise Skip(f"{what or command}: no registry is reached: {(said.strip().splitlines() or ['?'])[-1][:200]}")


@contextlib.contextmanager
def alone():
    """Nobody else makes anything in build/examples/ meanwhile. What Rust's examples have in common is compiled once, and not optimized: that is for who deploys them."""
    os.environ["CARGO_PROFILE_RELEASE_OPT_LEVEL"] = "0"
    for name in ("rust", "spin", "stock"):
        os.makedirs(os.path.join(MADE, name), exist_ok=True)
        os.makedirs(os.path.join(MADE, "target"), exist_ok=True)
        if not os.path.lexists(os.path.join(MADE, name, "target")):
            os.symlink("../target", os.path.join(MADE, name, "target"))

    with open(os.path.join(MADE, ".lock"), "w") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


def make(name, *tools):
    """app.wasm of an example."""
    for tool in tools:
        if not shutil.which(tool):
            raise Skip(f"needs {tool}")
    with alone():
        return make_alone(name)


def make_alone(name):
    source, work = os.path.join(EXAMPLES, name), os.path.join(MADE, name)
    digest = hashlib.sha256()
    for n in files_of(source):
        with open(os.path.join(source, n), "rb") as f:
            digest.update(n.encode() + b"\0" + f.read() + b"\0")
    stamp, wasm = os.path.join(work, ".made"), os.path.join(work, "app.wasm")
    if os.path.exists(stamp) and open(stamp).read() == digest.hexdigest():
        return wasm
    for n in files_of(source):
        os.makedirs(os.path.dirname(os.path.join(work, n)), exist_ok=True)
        shutil.copyfile(os.path.join(source, n), os.path.join(work, n))
    for command in commands_of(name)[0]:
        if FETCHES.match(command):
            fetch(command, work)
            continue
        p = subprocess.run(["bash", "-c", command], cwd=work, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=1200)
        check(p.returncode == 0, command, p.stdout[-3000:])
    with open(stamp, "w") as f:
        f.write(digest.hexdigest())
    return wasm


@contextlib.contextmanager
def upstream():
    """The address of a server that answers everything with its path."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = f"upstream has {self.path}\n".encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def answers(wasm):
    with upstream() as address, serving(wasm, "--workers", "1", "--env", "GREETING=Moin", "--allow-http", address) as s:
        for _ in range(3):  # a new instance each
            a = curl(s.url + "/hello/J%C3%BCrgen")
            eq((a.status, json.loads(a.text)), (200, {"greeting": "Moin", "name": "J\u00fcrgen"}))
            has(a.fields["content-type"], "application/json")
        a = curl(f"{s.url}/fetch?url=http://{address}/some/where")
        eq((a.status, a.text), (200, "upstream has /some/where\n"))
        eq(curl(s.url + "/nowhere").status, 404)
        eq(s.events("guest-failed"), [])
    with serving(wasm, "--workers", "1") as s:  # nothing granted
        eq(json.loads(curl(s.url + "/hello/you").text), {"greeting": "Hello", "name": "you"})
        check(curl(s.url + "/fetch?url=http://127.0.0.1:9/").status >= 500)


def test_javascript():
    wasm = make("javascript", "node", "npm")
    answers(wasm)
    with serving(wasm, "--workers", "1") as s:  # an exception that nothing catches: the event says which, and where
        a = curl(s.url + "/fetch?url=http://127.0.0.1:9/")
        e = s.wait_event("guest-failed", request=a.fields["x-request-id"])
        eq((a.status, e["head_sent"]), (500, False))
        has(e["stderr"], "Error while running request handler", "app.js:")


def test_typescript():
    wasm = make("typescript-hono", "node", "npm")
    answers(wasm)
    p = subprocess.run(["npm", "run", "check"], cwd=os.path.dirname(wasm), capture_output=True, text=True)
    check(p.returncode == 0, p.stdout, p.stderr)


def test_python():
    answers(make("python", "python3"))


def test_go():
    answers(make("go", "go", "node", "npm"))


def test_rust():
    answers(make("rust", "cargo", "rustup"))


def test_spin():
    """Deployed by its own manifest, which has the build command."""
    for tool in ("cargo", "rustup"):
        if not shutil.which(tool):
            raise Skip(f"needs {tool}")
    source, work, state = os.path.join(EXAMPLES, "spin"), os.path.join(MADE, "spin"), os.path.join(WORK, "spin-state")
    for n in files_of(source):
        os.makedirs(os.path.dirname(os.path.join(work, n)), exist_ok=True)
        shutil.copyfile(os.path.join(source, n), os.path.join(work, n))
    with alone(), node(state=state) as n:
        fetch(CRATES, work, "its crates")
        code, out, error = orlo("deploy", work, "--state", state, timeout=1200)
        check(code == 0, out, error)
        for i in range(3):
            eq(n.get("notes").text, f"Hello, visitor {i + 1}\n")
        eq(n.get("notes", "/notes", data=b'{"text":"first"}').status, 201)
        eq(n.get("notes", "/notes", data=b"text").status, 400)
        eq(json.loads(n.get("notes", "/notes").text), [{"id": 1, "text": "first"}])
        eq(n.get("notes", "/nowhere").status, 404)
    with node(state=state) as n:
        eq(json.loads(n.get("notes", "/notes").text), [{"id": 1, "text": "first"}])


def test_stock():
    """Called as a function of the database's: all of an order, or nothing of it."""
    for tool in ("cargo", "rustup"):
        if not shutil.which(tool):
            raise Skip(f"needs {tool}")
    source, work, state = os.path.join(EXAMPLES, "stock"), os.path.join(MADE, "stock"), os.path.join(WORK, "stock-state")
    for n in files_of(source):
        os.makedirs(os.path.dirname(os.path.join(work, n)), exist_ok=True)
        shutil.copyfile(os.path.join(source, n), os.path.join(work, n))
    with alone(), node(state=state) as n:
        fetch(CRATES, work, "its crates")
        code, out, error = orlo("deploy", work, "--state", state, timeout=1200)
        check(code == 0, out, error)
        keys = orlo("keys", "stock", "--state", state)[1]
        key = re.search("SUPABASE_ANON_KEY=(.*)", keys)[1].strip()
        order = lambda **args: (lambda a: (a.status, json.loads(a.text)))(n.get("stock", "/rest/v1/rpc/order", "-H", "apikey: " + key, "-H", "content-type: application/json", data=json.dumps(args).encode()))
        eq(order(item="book", count=2), (200, {"order": 1, "left": 1}))
        eq(order(item="book", count=2)[0], 409)
        eq(order(item="pen", count=1)[0], 409)
        eq(order(item="book", count=-5)[1]["code"], "23514")  # what was done before it is undone
        eq(json.loads(n.get("stock", "/rest/v1/items", "-H", "apikey: " + key).text), [{"name": "book", "stock": 1}])


def test_c():
    if not os.path.isdir("/usr/include/wasm32-wasi"):
        raise Skip("needs wasi-libc")
    answers(make("c", "clang", "wasm-ld", "node", "npm"))


def test_c_of_the_docs():
    """The program and the commands of docs/getting-started.md, as written."""
    if not os.path.isdir("/usr/include/wasm32-wasi") or not shutil.which("clang") or not shutil.which("wasm-ld"):
        raise Skip("needs clang and wasi-libc")
    source, commands = re.search(r"### C\n\n```c\n(.*?)```\n\n```sh\n(.*?)```", DOC, re.S).groups()
    folder = os.path.join(WORK, "docs-c")
    os.makedirs(folder)
    with open(os.path.join(folder, "hello.c"), "w") as f:
        f.write(source)
    for command in commands.splitlines():
        if command.startswith("clang"):
            subprocess.run(command, shell=True, cwd=folder, check=True)
    has(commands, "build/orlo serve hello.wasm")
    with serving(os.path.join(folder, "hello.wasm")) as s:
        eq(curl(s.url + "/?you").text, "Hello, you!\n")


def test_readmes():
    """Each says how to serve it, with the flags that it needs, and is short."""
    for name in sorted(os.listdir(EXAMPLES)):
        manifest = os.path.join(EXAMPLES, name, "orlo.toml")
        if os.path.exists(manifest) and "[functions" in (text := open(manifest).read()) and "\ndatabase" not in text:
            made, serve = commands_of(name)
            check(made, name)
            has(serve, "app.wasm", "--env GREETING=", "--allow-http")
            told = re.search(rf"```sh\ncd examples/{name}\n(.*?)```", DOC, re.S)  # docs say the same
            if told:
                eq([l for line in told.group(1).splitlines() if (l := line.split("  #")[0].strip()) and not l.startswith("curl")], made + [serve])


def test_interfaces_are_the_same():
    seen = {}
    for name in sorted(os.listdir(EXAMPLES)):
        folder = os.path.join(EXAMPLES, name, "wit")
        if os.path.isdir(folder) and name not in ("stock", "notes"):
            seen[name] = {n: open(os.path.join(folder, n)).read() for n in files_of(folder)}
    for name, of in (("stock/wit/database.wit", "wit/orlo/deps/database/client.wit"), ("notes/wit/deps/database/client.wit", "wit/orlo/deps/database/client.wit"),
                     *((f"notes/wit/{f}", f"examples/javascript/wit/{f}") for f in files_of(os.path.join(EXAMPLES, "javascript", "wit")) if f != "app.wit")):
        eq(open(os.path.join(EXAMPLES, name)).read(), open(os.path.join(ROOT, of)).read())
    check(len(seen) > 1 and all(v == seen["javascript"] for v in seen.values()), list(seen))


if __name__ == "__main__":
    run_parts(os.path.dirname(os.path.abspath(__file__)), globals())
