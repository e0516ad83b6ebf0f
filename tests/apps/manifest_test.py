"""What `orlo check` says of an app before anybody deploys it: its manifest, the files that it names, what its functions import."""
import hashlib, http.server, threading

from harness import *
from nodes import *

GUESTS = os.path.join(ROOT, "tests", "guests")


@contextlib.contextmanager
def app(manifest, name="orlo.toml", **files):
    """A folder with a manifest, and files by their paths: text, or a guest of ours."""
    with tempfile.TemporaryDirectory(prefix="app-", dir=WORK) as folder:
        for path, content in {name: manifest, **files}.items():
            path = os.path.join(folder, path)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            if isinstance(content, tuple):
                shutil.copy(os.path.join(GUESTS, content[0]), path)
            else:
                with open(path, "w") as f:
                    f.write(content)
        yield folder


def problems(folder, *flags):
    """(error?, key, text) of each, and the status."""
    code, out, error = orlo("check", folder, "--json", *flags, timeout=120)
    check(out, code, error)
    told = json.loads(out)
    eq(told["ok"], code == 0)
    return [(p["error"], p["key"], p["text"]) for p in told["problems"]], told, code


def test_check_good():
    manifest = ('name = "shop"\n[functions.api]\nsource = "api.wasm"\nroutes = ["/api"]\nfunctions = ["job"]\n'
                '[functions.job]\nsource = "job.wasm"\n[[files]]\nfolder = "public"\nnot_found = "404.html"\n')
    with app(manifest, **{"api.wasm": ("http3.wasm",), "job.wasm": ("http.wasm",), "public/404.html": "no", "public/index.html": "yes"}) as folder:
        found, told, code = problems(folder)
        eq((found, code, told["app"]), ([], 0, "shop"))
        eq([(f["name"], bool(f["kind"])) for f in told["functions"]], [("api", True), ("job", True)])
        code, out, error = orlo("check", os.path.join(folder, "orlo.toml"))
        eq((code, error), (0, ""))
        check("the app shop: 2 routes" in out, out)


def test_check_what_it_names():
    """Files, folders and imports: all that is wrong at once."""
    manifest = ('name = "shop"\nbuild = "true"\n[functions.gone]\nsource = "gone.wasm"\nroutes = ["/gone"]\n'
                '[functions.text]\nsource = "text.wasm"\nroutes = ["/text"]\n[functions.core]\nsource = "core.wasm"\nroutes = ["/core"]\n'
                '[functions.ok]\nsource = "ok.wasm"\nroutes = ["/ok"]\ndirs = ["nowhere::/data"]\n[[files]]\nroute = "/s"\nfolder = "public"\nspa = true\n')
    with app(manifest, **{"text.wasm": "not wasm", "core.wasm": "\0asm\1\0\0\0", "ok.wasm": ("http.wasm",), "public/x": ""}) as folder:
        found, _, code = problems(folder)
        eq(code, 65)
        told = {key: (error, text) for error, key, text in found}
        eq(told["functions.gone.source"], (False, "gone.wasm is not there yet; its build makes it: true"))
        check(told["functions.text.source"][0] and told["functions.text.source"][1].startswith("text.wasm:"), told)
        check(told["functions.core.source"][0], told)
        check(told["functions.ok.dirs"][0] and "there is none; make it first" in told["functions.ok.dirs"][1], told)
        code, out, _ = orlo("check", folder, timeout=120)
        check(f"{folder}/orlo.toml:3:1: remark: functions.gone.source: gone.wasm is not there yet" in out, out)
        eq(told["files.0"], (True, "the folder public has no index.html, which answers what is not there"))


def test_check_lines():
    with app('name = "shop"\n\n[functions.api.limits]\nmemroy_mb = 64\n') as folder:
        code, out, _ = orlo("check", folder)
        eq(code, 65)
        check(f"{folder}/orlo.toml:4:1: error: functions.api.limits: unknown key `memroy_mb` at line 4, did you mean `memory_mb`?" in out, out)
        check("functions.api: it lacks a source" in out, out)
    with app("x = [\n") as folder:
        code, out, _ = orlo("check", folder)
        check(code == 65 and "orlo.toml:" in out, code, out)


def test_check_other_formats():
    spin = 'spin_manifest_version = 2\n[application]\nname = "s"\n[[trigger.http]]\nroute = "/..."\ncomponent = "c"\n[component.c]\nsource = "c.wasm"\n'
    with app(spin, "spin.toml", **{"c.wasm": ("http.wasm",)}) as folder:
        eq(problems(folder)[0], [])
    supabase = 'project_id = "p"\n[functions.pay]\nentrypoint = "functions/pay/app.wasm"\n'
    with app(supabase, "supabase/config.toml", **{"supabase/functions/pay/app.wasm": ("http.wasm",), "supabase/functions/deno/index.ts": ""}) as folder:
        eq(problems(folder)[0], [(False, "functions.deno", "supabase/functions/deno/index.ts is a function of Deno's, which does not run here yet")])
    with app("wrokers = 1\n", "node.toml") as folder:
        code, out, _ = orlo("check", os.path.join(folder, "node.toml"))
        check(code == 65 and "did you mean `workers`?" in out, code, out)
        code, _, error = orlo("check", folder)
        check(code == 66 and "has no orlo.toml" in error, code, error)


class Released(http.server.BaseHTTPRequestHandler):
    """A release page: /v1 leads to the file, /loop to itself."""

    def do_GET(self):
        self.server.asked.append(self.path)
        to = {"/v1": "/file", "/loop": "/loop"}.get(self.path)
        body = self.server.file if self.path == "/file" else b""
        self.send_response(302 if to else 200 if self.path == "/file" else 404)
        if to:
            self.send_header("Location", to)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def test_check_fetches():
    """A component by URL and digest is fetched once, and is what the digest says, or refused."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Released)
    server.asked = []
    with open(os.path.join(GUESTS, "http.wasm"), "rb") as f:
        server.file = f.read()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    digest = hashlib.sha256(server.file).hexdigest()
    spin = ('spin_manifest_version = 2\n[application]\nname = "s"\n[[trigger.http]]\nroute = "/..."\ncomponent = "c"\n[component.c]\n'
            'source = {{ url = "http://127.0.0.1:%d{}", digest = "sha256:{}" }}\n' % server.server_address[1])
    with tempfile.TemporaryDirectory(prefix="cache-", dir=WORK) as cache:
        env = {**os.environ, "XDG_CACHE_HOME": cache}

        def checked(path, digest):
            with app(spin.format(path, digest), "spin.toml") as folder:
                p = subprocess.run([ORLO, "check", folder], capture_output=True, text=True, env=env, timeout=120)
                return p.returncode, p.stdout

        code, out = checked("/loop", digest)
        check(code == 65 and "leads on and on" in out, code, out)
        code, out = checked("/gone", digest)
        check(code == 65 and "answers with status 404" in out, code, out)
        code, out = checked("/v1", "0" * 64)
        check(code == 65 and "is not what the manifest's digest says" in out, code, out)
        eq(os.listdir(os.path.join(cache, "orlo")), [])
        code, out = checked("/v1", digest)
        check(code == 0 and "c: c.wasm" in out, code, out)
        server.asked.clear()
        eq(checked("/v1", digest)[0], 0)
        eq(server.asked, [])
        cached = os.path.join(cache, "orlo", digest + ".wasm")
        with open(cached, "ab") as f:
            f.write(b"x")
        eq(checked("/v1", digest)[0], 0)
        eq(server.asked, ["/v1", "/file"])
        server.shutdown()
        os.remove(cached)
        server.server_close()
        code, out = checked("/v1", digest)
        check(code == 65 and "cannot be fetched" in out, code, out)


def test_check_hostile():
    """A manifest that is too much is refused by the job, and says so; nothing hangs."""
    for text in ("x = " + "[" * 100000, "a" + ".a" * 100000 + " = 1", "#" * 300000, "x = \"\0\"", "a = 1\n" * 20000):
        with app(text) as folder:
            code, out, error = orlo("check", folder, timeout=60)
            check(code == 65 and "error" in out, code, out[:300], error[:300])


def test_schemas_for_editors():
    """They are schemas, and take what the parser takes: all manifests of ours that are right."""
    try:
        import jsonschema, tomllib
    except ImportError:
        raise Skip("needs the Python packages jsonschema and tomllib")
    for name, format in (("orlo", "0"), ("node", "3")):
        with open(os.path.join(ROOT, "docs", name + ".schema.json")) as f:
            schema = json.load(f)
        jsonschema.Draft202012Validator.check_schema(schema)
        v = jsonschema.Draft202012Validator(schema)
        corpus = os.path.join(ROOT, "tests", "corpus", "manifest")
        seen = 0
        for file in os.listdir(corpus):
            with open(os.path.join(corpus, file), encoding="utf-8", errors="replace") as f:
                text = f.read()
            if text[0] == format and "wrong" not in file and "broken" not in file:
                eq((file, [e.message for e in v.iter_errors(tomllib.loads(text[1:]))]), (file, []))
                seen += 1
        check(seen, name)
        check(list(v.iter_errors({"nmae": 1})), "an unknown key is none")


def test_spin_application():
    """A Spin application's own manifest is deployed: a component from its release page, routes, variables, and files that the node serves itself."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Released)
    server.asked = []
    with open(os.path.join(GUESTS, "http.wasm"), "rb") as f:
        server.file = f.read()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    spin = f"""
spin_manifest_version = 2
[application]
name = "Spin_App"
[variables]
who = {{ default = "world" }}
[[trigger.http]]
route = "/api/..."
component = "api"
[component.api]
source = {{ url = "http://127.0.0.1:{server.server_address[1]}/v1", digest = "sha256:{hashlib.sha256(server.file).hexdigest()}" }}
allowed_outbound_hosts = ["https://{{{{ who }}}}.example.org"]
variables = {{ who = "{{{{ who }}}}" }}
[[trigger.http]]
route = "/..."
component = "site"
[component.site]
source = {{ url = "https://example.org/spin_static_fs.wasm", digest = "sha256:{"0" * 64}" }}
files = [{{ source = "assets", destination = "/" }}]
[[trigger.redis]]
channel = "c"
component = "api"
"""
    os.environ["XDG_CACHE_HOME"] = os.path.join(WORK, "cache-of-spin")
    os.makedirs(os.environ["XDG_CACHE_HOME"], exist_ok=True)
    try:
        with app(spin, "spin.toml", **{"assets/a.txt": "an asset"}) as folder, node() as n:
            code, out, error = orlo("deploy", folder, "--state", n.state, timeout=120)
            eq(code, 0)
            for told in ("spin.toml:4:8: application.name: the app is called spin-app here", "what the component site does, the node does itself",
                         "nothing happens on redis"):
                check(told in error, told, error)
            check("--allow-http https://world.example.org:443" in out and "variable who" in out, out)
            eq(n.get("spin-app", "/a.txt").text, "an asset")
            eq(n.get("spin-app", "/api/x").status, 200)
            eq(n.get("spin-app", "/nothing").status, 404)
    finally:
        del os.environ["XDG_CACHE_HOME"]
        server.shutdown()
        server.server_close()


def test_operators_maxima():
    """What the node's configuration allows at most is the most that anybody is granted; a Supabase project's function is where its clients ask."""
    config = os.path.join(WORK, "maxima.toml")
    with open(config, "w") as f:
        f.write('domain = "apps.test"\n[max]\nmemory_mb = 600\n[allow]\nhttp = ["https://*.example.org"]\ndirs = []\n')
    supabase = 'project_id = "proj"\n[storage]\nenabled = true\n[functions.pay]\nentrypoint = "./functions/pay/app.wasm"\n'
    with node("--config", config) as n:
        with app(supabase, "supabase/config.toml", **{"supabase/functions/pay/app.wasm": ("http.wasm",)}) as folder:
            code, _, error = orlo("deploy", folder, "--state", n.state, timeout=120)
            check(code == 0 and "storage: not honoured (1 key)" in error, code, error)
            eq(curl(n.url + "/functions/v1/pay", "-H", "Host: proj.apps.test").status, 401)
        for keys, told in (("limits = { memory_mb = 700 }", "functions.f.limits.memory_mb: 700M is more than this node's operator allows, 600M"),
                           ('allow_http = ["https://evil.org"]', "functions.f.allow_http: https://evil.org:443 is more than"),
                           (f'dirs = ["{WORK}::/data:ro"]', "functions.f.dirs: "), ('allow_http = ["https://a.example.org"]', None)):
            with app(f'name = "big"\n[functions.f]\nsource = "a.wasm"\n{keys}\n', **{"a.wasm": ("http.wasm",)}) as folder:
                code, _, error = orlo("deploy", folder, "--state", n.state, timeout=120)
                check((code == 0) == (told is None) and (told is None or told in error), keys, code, error)
