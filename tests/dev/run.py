#!/usr/bin/env python3
"""`orlo dev`: what is built, served and shown, what a change does, and that all ends when it does.

Usage: tests/dev/run.py ORLO [FILTER]. Prints `ok|FAIL|SKIP NAME` lines, and 'N passed, N failed, N skipped'.
"""
import http.client, os, sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness import *

HTTP, FETCH = (os.path.join(ROOT, "tests", "guests", n + ".wasm") for n in ("http", "fetch"))
MANIFEST = """name = "shop"
[functions.api]
source = "app.wasm"
routes = [{ path = "/api", strip = true }]
build = { command = "echo made; cp next.wasm app.wasm", watch = ["*.txt", "next.wasm"] }
[[files]]
route = "/"
folder = "public"
"""


def project(manifest=MANIFEST, wasm=HTTP):
    folder = tempfile.mkdtemp(prefix="dev-", dir=WORK)
    put(folder, "orlo.toml", manifest)
    shutil.copyfile(wasm, os.path.join(folder, "next.wasm"))
    os.mkdir(os.path.join(folder, "public"))
    put(folder, "public/index.html", "first\n")
    return folder


def put(folder, name, text):
    with open(os.path.join(folder, name), "w") as f:
        f.write(text)


class Dev:
    def __init__(self, folder, *flags):
        self.log = open(os.path.join(folder, ".log"), "w+")
        self.proc = subprocess.Popen([ORLO, "dev", folder, "--listen", "127.0.0.1:0", *flags], stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT)

    def text(self):
        return open(self.log.name).read()

    def wait(self, said, times=1):
        until(lambda: self.text().count(said) >= times or self.proc.poll() is not None)
        check(self.text().count(said) >= times, said, self.text()[-3000:])

    @property
    def port(self):
        return int(re.search(r"without names +http://127\.0\.0\.1:(\d+)/", self.text())[1])

    def get(self, path, *flags):
        return curl(f"http://127.0.0.1:{self.port}{path}", *flags)


@contextlib.contextmanager
def developing(folder, *flags, wait="without names"):
    d = Dev(folder, *flags)
    try:
        d.wait(wait)
        yield d
        d.proc.send_signal(signal.SIGINT)
        check(d.proc.wait(PATIENCE_S) == 0, d.text()[-2000:])
    finally:
        if d.proc.poll() is None:
            d.proc.kill()
            d.proc.wait()


def test_serves():
    folder = project()
    with developing(folder) as d:
        has(d.text(), "building api", "│ made", "http://shop.localhost:", "/api", "files of public/")
        for host in ("shop.localhost", "192.168.0.7", "anything.example"):
            eq(d.get("/", "-H", f"Host: {host}").text, "first\n")
            eq(d.get("/api/x", "-H", f"Host: {host}").status, 200)
        d.wait("GET /api/x")
        eq(open(os.path.join(folder, ".orlo", ".gitignore")).read(), "*\n")


def test_changes():
    """A page, a source, the manifest: each is served when it was saved, on a connection that stays open."""
    folder = project()
    with developing(folder) as d:
        c = http.client.HTTPConnection("127.0.0.1", d.port, timeout=PATIENCE_S)

        def ask(path):
            c.request("GET", path)
            return c.getresponse().read().decode()

        eq(ask("/"), "first\n")
        put(folder, "public/index.html", "second\n")
        until(lambda: ask("/") == "second\n")
        eq(d.text().count("│ made"), 1)  # nothing was to be built
        put(folder, "notes.txt", "a source")
        d.wait("│ made", 2)
        put(folder, "unrelated.md", "no source")
        put(folder, "orlo.toml", MANIFEST.replace('"/api"', '"/v2"'))
        d.wait("/v2")
        until(lambda: ask("/v2/x") != "second\n")
        check(c.sock, "the connection was closed")
        os.mkdir(os.path.join(folder, "public", "deep"))
        put(folder, "public/deep/a.txt", "deep\n")
        until(lambda: ask("/deep/a.txt") == "deep\n")


def test_failures_are_told_and_outlived():
    folder = project()
    with developing(folder) as d:
        put(folder, "next.wasm", "no wasm")
        d.wait("the deployment failed; what is served is the version before")
        has(d.text(), "app.wasm")
        eq(d.get("/api").status, 200)
        put(folder, "orlo.toml", MANIFEST.replace("cp next.wasm app.wasm", "echo to no avail >&2; false"))
        d.wait("the build failed; what is served is the version before")
        has(d.text(), "to no avail")
        put(folder, "orlo.toml", MANIFEST.replace("folder =", "fodler ="))
        d.wait("did you mean `folder`")
        eq(d.get("/").text, "first\n")
        shutil.copyfile(HTTP, os.path.join(folder, "next.wasm"))
        put(folder, "orlo.toml", MANIFEST.replace('"/api"', '"/again"'))
        d.wait("/again")
        until(lambda: d.get("/again").status == 200)


def test_not_even_a_first_version():
    """It waits for what is wrong to be mended."""
    folder = project(MANIFEST.replace("cp next", "cp nothing"))
    with developing(folder, wait="nothing is served yet") as d:
        put(folder, "orlo.toml", MANIFEST)
        d.wait("without names")
        eq(d.get("/").text, "first\n")
    d = Dev(project("name = 3\n"))
    check(d.proc.wait(PATIENCE_S) == 65, d.text())
    has(d.text(), "orlo.toml", "name")


def test_error_page():
    folder = project()
    with developing(folder) as d:
        a = d.get("/api/trap?<script>", "-H", "accept: text/html", "-H", "x-mine: <b>&")
        eq(a.status, 500)
        has(a.text, "unreachable", "Backtrace", "/api/trap?&lt;script&gt;", "x-mine: &lt;b&gt;&amp;", "function <code>api</code>")
        check("<script>" not in a.text and "<b>&" not in a.text, a.text)
        has(d.get("/api/trap").text, "unreachable", "Backtrace")
        has(d.get("/api/stderr").text, "")
        d.wait("the guest trapped")


def test_error_page_says_what_was_not_granted():
    folder = project(wasm=FETCH)
    with developing(folder) as d:
        a = d.get("/api/?http://127.0.0.1:9/", "-H", "accept: text/html")
        if a.status >= 500:
            has(a.text, "allow_http", "127.0.0.1:9")
        d.wait("127.0.0.1:9")


def test_ends_whole():
    for how in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        d = Dev(project(MANIFEST.replace("cp next.wasm app.wasm", "cp next.wasm app.wasm")))
        d.wait("without names")
        below = processes.descendants(d.proc.pid)
        check(len(below) >= 3, below)
        d.proc.send_signal(how)
        d.proc.wait(PATIENCE_S)
        processes.wait_gone(*below)


def test_build_that_does_not_end_is_ended():
    folder = project(MANIFEST.replace("cp next.wasm app.wasm", "echo; sleep 1000"))
    d = Dev(folder)
    until(lambda: any("sleep" in processes.arguments(p) for p in processes.descendants(d.proc.pid)))
    below = processes.descendants(d.proc.pid)
    d.proc.send_signal(signal.SIGINT)
    eq(d.proc.wait(PATIENCE_S), 0)
    processes.wait_gone(*below)


def test_node_tells_nobody():
    """The page of `orlo serve` and `orlo node` has nothing of the guest's insides."""
    with serving(HTTP) as s:
        a = curl(s.url + "/trap", "-H", "accept: text/html")
        eq(a.status, 500)
        check("unreachable" not in a.text and "Backtrace" not in a.text, a.text)
    code, _, error = orlo("node", "--dev")
    check(code == 64 and "no flag" in error, error)



# What a document may say; paths are what the page is to ask for.
HOSTILE = {"paths": {"/": {}, '/<img src=x onerror="alert(1)">': {"get": {"summary": "</script><script>alert(1)</script>"}, "post": {}}, "/__proto__": {"get": {}}, "/a/../b?c#d": {"get": {}},
                     "/rpc/f</pre>": {"post": {"parameters": [{"in": "body", "schema": {"properties": {"</script><script>": {"type": "string"}}}}]}}},
           "definitions": {'<img src=x onerror="alert(1)">': {"required": ["</script><script>"], "properties": {"</script><script>": {"format": "text", "description": "<b>"}, "__proto__": {"type": "int"}}}}}
# As much of a browser as the page needs; what it has put in, and what it has asked for.
BROWSER = """
const node = (tag) => ({ tag, children: [], dataset: {}, append(...c) { this.children.push(...c); }, replaceChildren(...c) { this.children = c; },
  querySelectorAll(t) { return this.children.filter((c) => c.tag === t); } });
const places = { nav: node("nav"), main: node("main") }, asked = [], kept = {};
const element = (tag) => (tag === "select" ? Object.defineProperty(node(tag), "value", { get() { return this.children[0].value; } }) : node(tag));
globalThis.document = { getElementById: (id) => places[id], createElement: element };
globalThis.sessionStorage = { getItem: (k) => kept[k], setItem: (k, v) => { kept[k] = v; } };
globalThis.history = { replaceState() {} };
globalThis.location = { hash: "#key", pathname: "/_orlo/rest" };
const said = JSON.parse(require("fs").readFileSync(0, "utf8"));
globalThis.fetch = async (url, o) => (asked.push([o.method, url, o.headers.apikey]), { ok: true, status: 200, statusText: "OK", headers: { get: () => null }, text: async () => JSON.stringify(said.document) });
const texts = (n) => (typeof n === "string" ? [n] : [n.textContent, n.value, ...n.children.flatMap(texts)]).filter((t) => t);
const all = (n) => (typeof n === "string" ? [] : [n, ...n.children.flatMap(all)]);
(async () => {
  new Function(said.script)();
  for (let i = 0; i < 5; i++) await new Promise((r) => setTimeout(r, 5));
  const seen = texts(places.nav);
  for (const link of places.nav.children.filter((c) => c.tag === "a")) {
    link.onclick({ preventDefault() {} });
    seen.push(...texts(places.main));
    await all(places.main).find((n) => n.tag === "button").onclick();
  }
  console.log(JSON.stringify({ seen, asked, tags: [...new Set([...all(places.nav), ...all(places.main)].map((n) => n.tag))] }));
})();
"""


def page_shows(page, document, *wanted):
    """What the page makes of a document has these texts, as texts; and it asks nowhere but below /rest/v1."""
    if not shutil.which("node"):
        return
    script = re.search(r"<script nonce=[^>]*>(.*)</script>", page, re.S)[1]
    p = subprocess.run(["node", "-e", BROWSER], input=json.dumps({"script": script, "document": document}), capture_output=True, text=True, timeout=60)
    check(p.returncode == 0, p.stderr[-2000:])
    got = json.loads(p.stdout)
    for text in wanted:
        check(text in got["seen"], text, got["seen"])
    check(set(got["tags"]) <= set("nav main small input h2 a h1 p table tr th td div select option button textarea pre".split()), got["tags"])
    eq(got["asked"][0], ["GET", "/rest/v1/", "key"])
    check(len(got["asked"]) == len([p for p in document["paths"] if p != "/"]) + 1, got)
    for _, url, _ in got["asked"][1:]:
        path = url.removeprefix("/rest/v1/").removesuffix("?select=*&limit=10")
        check(url.startswith("/rest/v1/") and not set(path) & set("<> \"#?") and ".." not in path.split("/"), url)


def test_mails_are_caught():
    """What an app sends to its users is shown, whatever relay it has, and can be read on a page where nothing that it says runs."""
    folder = tempfile.mkdtemp(prefix="dev-", dir=WORK)
    put(folder, "orlo.toml", 'name = "shop"\ndatabase = "sqlite"\n[auth]\nconfirm_email = true\n[auth.sms]\n[auth.mail]\nhost = "127.0.0.1"\nport = 1\nadmin_email = "a@b.c"\n'
                             '[auth.templates.confirmation]\nsubject = "Hi {{ .Data.name }}"\n')
    with developing(folder) as d:
        keys = orlo("keys", "shop", "--state", os.path.join(folder, ".orlo"))
        key = re.search(r"SUPABASE_ANON_KEY=(\S+)", keys[1])
        check(key, keys)
        key = key[1]
        said = json.dumps({"email": "ann@example.com", "password": "correct horse", "data": {"name": "</iframe><script>x()</script>\"'"}})
        head = ("-H", "Host: shop.localhost", "-H", f"apikey: {key}")
        has(d.get("/auth/v1/mails", *head).text, "None so far")
        eq(d.get("/auth/v1/signup", *head, "-d", said).status, 200)
        eq(d.get("/auth/v1/otp", *head, "-d", '{"phone": "15550100"}').status, 200)
        d.wait("mail (signup) to ann@example.com")
        d.wait("(sms) to 15550100")
        page = d.get("/auth/v1/mails", "-H", "Host: shop.localhost")
        has(page.text, "Hi &lt;/iframe&gt;&lt;script&gt;", "<iframe sandbox=", "15550100", "Your code is ", "/auth/v1/confirm?token=")
        check("<script" not in page.text and page.text.count("<iframe") == 1, page.text)
        check(re.search(r"code <code>\d{6}</code>", page.text), page.text)


def test_a_database():
    """The template with a database: its tables and seeds are there at once, a new migration when it is saved, and an edited one is told kindly."""
    folder = os.path.join(tempfile.mkdtemp(prefix="dev-", dir=WORK), "book")
    check(orlo("new", "database", folder)[0] == 0)
    with developing(folder) as d:
        d.wait("SUPABASE_SERVICE_ROLE_KEY=")
        key = re.search(r"SUPABASE_ANON_KEY=(\S+)", d.text())[1]

        def ask(method, path, body=None):
            c = http.client.HTTPConnection("127.0.0.1", d.port, timeout=60)
            c.request(method, "/rest/v1/" + path, json.dumps(body) if body else None, {"apikey": key, "content-type": "application/json"})
            r = c.getresponse()
            return r.status, json.loads(r.read() or "null")

        eq(ask("GET", "entries?select=name"), (200, [{"name": "Ada"}]))
        d.wait("/_orlo/rest#" + key)
        page = d.get("/_orlo/rest", "-H", "Host: book.localhost")
        nonce = re.search(r"script-src 'nonce-([^']+)'", page.fields["content-security-policy"])[1]
        check(page.status == 200 and page.fields["content-security-policy"].startswith("default-src 'none'; ") and f"<script nonce={nonce}>" in page.text, page.head)
        check("NONCE" not in page.text and not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|https?://", page.text))
        c = http.client.HTTPConnection("127.0.0.1", d.port, timeout=60)
        c.request("GET", "/rest/v1/", headers={"apikey": key})
        page_shows(page.text, json.loads(c.getresponse().read()), "entries", "message")
        page_shows(page.text, HOSTILE, '<img src=x onerror="alert(1)">', "</script><script>", "__proto__", "a/../b?c#d", "f</pre>()")
        eq(ask("POST", "entries", {"name": "Grace", "message": "Hello."})[0], 201)
        eq(ask("POST", "entries", {"name": "Eve", "message": "I hide.", "hidden": True})[1]["code"], "42501")
        eq(ask("GET", "entries?select=name&order=id"), (200, [{"name": "Ada"}, {"name": "Grace"}]))
        put(folder, "migrations/002_likes.sql", "alter table entries add column likes int not null default 7;\n")
        d.wait("migrated 002_likes.sql")
        eq(ask("GET", "entries?select=name,likes&limit=1"), (200, [{"name": "Ada", "likes": 7}]))
        put(folder, "migrations/003_wrong.sql", "create table t (\n  id nosuchtype);\n")
        d.wait("003_wrong.sql:2:")
        os.remove(os.path.join(folder, "migrations", "003_wrong.sql"))
        with open(os.path.join(folder, "migrations", "001_entries.sql"), "a") as f:
            f.write("-- edited\n")
        d.wait("was applied, and has been edited since")
        d.wait("orlo db reset")
        put(folder, "seed.sql", "insert into entries (name, message) values ('Joan', 'Anew.');\n")
        d.wait("the seeds have changed")
        code, out, error = orlo("db", "reset", folder, "--yes", "--state", os.path.join(folder, ".orlo"))
        check(code == 0, out, error)
        eq(ask("GET", "entries?select=name"), (200, [{"name": "Joan"}]))
    with developing(folder) as d:  # the database is there: its rows stay
        d.wait("SUPABASE_SERVICE_ROLE_KEY=")
        eq(ask("GET", "entries?select=name"), (200, [{"name": "Joan"}]))
        check("seeds" not in d.text(), d.text())


if __name__ == "__main__":
    run(globals())
