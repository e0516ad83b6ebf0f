"""What tests of a node with many apps share: one that runs, and a deployer who says what he likes."""
import hashlib, http.client, re

from harness import *


# ---- a node ---------------------------------------------------------------------------------------------------------


class Node(Server):
    def __init__(self, state, *flags, listen="127.0.0.1:0"):
        self.state = state
        admin = () if "--admin" in flags else ("--admin", "127.0.0.1:0")
        self.proc = subprocess.Popen([ORLO, "node", "--state", state, *(("--listen", listen) if listen else ()), "--log-format", "json", *admin, *flags],
                                     stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.text, self.url, self.ended = bytearray(), None, False
        self.changed = threading.Condition()
        threading.Thread(target=self.read, daemon=True).start()
        serving = self.wait_event("serving")
        self.url, self.admin = serving["url"], serving.get("admin")
        self.port = int(self.url.rsplit(":", 1)[1])

    def deploy(self, app, wasm, *flags):
        code, out, error = orlo("deploy", wasm, "--app", app, "--state", self.state, *flags, timeout=120)
        check(code == 0, code, out, error, self.log()[-2000:])
        return out

    def delete(self, app):
        code, out, error = orlo("delete", app, "--state", self.state)
        check(code == 0, code, out, error)

    def apps(self):
        code, out, error = orlo("apps", "--json", "--state", self.state)
        check(code == 0, code, error)
        return {a["name"]: a for a in json.loads(out)}

    def get(self, app, path="/", *flags, **more):
        return curl(self.url + path, "-H", f"Host: {app}.localhost", *flags, **more)

    def kill_control(self):
        before = len(self.events("role-died", role="control"))
        processes.kill(self.role("control"))
        self.wait_event("role-died", count=before + 1, role="control")

    def kill(self):
        """As if the machine's power went: nobody has a word to say."""
        children = self.processes()
        self.proc.kill()
        for pid in children:
            processes.kill_if_there(pid)
        self.proc.wait()
        processes.wait_gone(*children)


def deployment_s(wasm):
    """How long a deployment takes here and now, for who wants to fall into one."""
    with node("--workers", "1") as n:
        n.deploy("first", wasm)
        started = time.monotonic()
        n.deploy("second", wasm)
        return time.monotonic() - started


def new_state():
    return tempfile.mkdtemp(prefix="node-", dir=WORK)


@contextlib.contextmanager
def node(*flags, state=None):
    n = Node(state or new_state(), *flags)
    try:
        yield n
        status = n.stop()
        check(not sanitize.report_in(n.log()), sanitize.report_in(n.log()))
        check(status == 0, status, n.log()[-3000:])
    finally:
        if n.proc.poll() is None:
            n.kill()


# ---- a deployer by himself: the admin API, by the node's socket ---------------------------------------------------------

SRC = os.path.join(ROOT, "src")


class Socket(http.client.HTTPConnection):
    """To a node's control.sock."""

    def __init__(self, state):
        super().__init__("node", timeout=60)
        self.path = os.path.join(state, "control.sock")

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)  # as long as others stand in line
        self.sock.settimeout(self.timeout)


class Reply:
    def __init__(self, r, body):
        self.status, self.body, self.fields = r.status, body, {k.lower(): v for k, v in r.getheaders()}
        self.text = body.decode("utf-8", "replace")
        self.json = json.loads(body) if self.fields.get("content-type") == "application/json" and body else None

    def code(self):
        return (self.json or {}).get("error", {}).get("code")


def say(connection, method, path, body=None, **fields):
    """What is answered to it."""
    head = {k.replace("_", "-"): v for k, v in fields.items()}
    if isinstance(body, (dict, list)):
        body, head["content-type"] = json.dumps(body).encode(), "application/json"
    connection.request(method, "/_orlo" + path, body, head)
    r = connection.getresponse()
    return Reply(r, r.read())


def deploy_manifest(state, app, manifest, files={}, **more):
    """How it ended, as the API says it; what was refused at once is there as the answer's `error`. files: {path: bytes}."""
    c = Socket(state)
    try:
        listed = [{"path": p, "digest": hashlib.sha256(b).hexdigest(), "bytes": len(b)} for p, b in files.items()]
        for f in listed:
            with contextlib.closing(Socket(state)) as each:  # of what is there already nothing is read, and the connection ends
                say(each, "PUT", f"/v1/apps/{app}/blobs/{f['digest']}", files[f["path"]])
        wanted = {"format": "orlo", "manifest": manifest, "files": listed, **more}
        d = say(c, "POST", f"/v1/apps/{app}/deployments", wanted).json
        while d.get("state") == "working":
            d = say(c, "GET", f"/v1/apps/{app}/deployments/{d['id']}?wait_ms=20000&seen={d['seen']}").json
        return d
    finally:
        c.close()


SETTINGS = {field: (kind, key) for field, kind, key in re.findall(r'^SETTING\(APP, (\w+), (\w+), [^"]*"(\w+)"', open(os.path.join(SRC, "app", "settings.def")).read(), re.M)}


def limits(**fields):
    """As a manifest says them, by their fields in settings.def, whose units they have."""
    unit = {"COUNT": "%d", "BYTES": '"%dB"', "MS": '"%dms"'}
    return "limits = { " + ", ".join(f"{SETTINGS[f][1]} = {unit[SETTINGS[f][0]] % v}" for f, v in fields.items()) + " }\n"


def grants(env={}, http=(), net=(), stores=(), sqlite=(), variables={}):
    """As a manifest says them."""
    table = lambda t: "{ " + ", ".join(f"{json.dumps(k)} = {json.dumps(v)}" for k, v in t.items()) + " }"
    said = (("allow_http", http), ("allow_net", net), ("stores", stores), ("sqlite", sqlite))
    out = "".join(f"{key} = {json.dumps(list(v))}\n" for key, v in said if v)
    return out + "".join(f"{key} = {table(v)}\n" for key, v in (("env", env), ("variables", variables)) if v)


def deploy_function(n, app, wasm, *more):
    """A component with all paths, and lines of its manifest."""
    with open(wasm, "rb") as f:
        of_app, own = ("".join(m for m in more if m.startswith("limits") == which) for which in (True, False))
        d = deploy_manifest(n.state, app, f'{of_app}[functions.main]\nsource = "main.wasm"\n{own}', {"main.wasm": f.read()})
    check(d.get("state") == "done", d, n.log()[-2000:])
