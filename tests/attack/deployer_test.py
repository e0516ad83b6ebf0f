"""A deployer, and many of his apps at once: what one says or does harms nobody else's."""
import hashlib, http.client

from inject import held_behind
from nodes import *


def module():
    with open(guest("tenant"), "rb") as f:
        return f.read()


def test_deployer_wants_many_at_once():
    """A client asks for more functions in a moment than the supervisor's socket holds wants: each image comes when it listens again."""
    state, apps, each = new_state(), 4 if SANITIZED else 20, 16
    kind = lambda i: module().replace(b"text/plain", b"text/p%04d" % i)
    with node("--workers", "1", state=state) as n:
        for a in range(apps):
            manifest = "".join(f'[functions.f{f}]\nsource = "{f}.wasm"\nroutes = ["/{f}"]\n' for f in range(each))
            eq(deploy_manifest(state, f"a{a}", manifest, {f"{f}.wasm": kind(a * each + f) for f in range(each)})["state"], "done")
    with node("--workers", "1", state=state) as n:
        with processes.stopped(n.proc.pid):
            clients = []
            for i in range(apps * each):
                clients.append(socket.create_connection(("127.0.0.1", n.port), PATIENCE_S))
                clients[-1].sendall(b"GET /%d HTTP/1.0\r\nHost: a%d.localhost\r\n\r\n" % (i % each, i // each))
            n.wait_taken(clients[-1])
            in_vain(0.3, "an image that nobody can have asked for, let alone got")
        answers = [c.recv(1 << 12)[:12] for c in clients]
        eq([a for a in answers if a != b"HTTP/1.1 200"], [])


def test_deployer_writes_manifests():
    """A manifest grants nothing that could not be granted by flags, and a deployment names no file but its own: each such one is refused with
    words, and nobody dies of it."""
    fn = lambda more="", top="": f'{top}\n[functions.f]\nsource = "f.wasm"\n{more}\n'
    text = lambda v: json.dumps(v)
    hostile = [fn(top="\0"), "[[[[", "a" * 200_000, fn() * 2, "name = 1", fn("source = 2"), fn('routes = ["a"]'), fn('routes = ["/a?b"]'),
               fn('routes = ["/a", "/a"]'), fn(f'routes = ["{"/a" * 70}"]'), fn('dirs = ["tmp::/d"]'), fn('dirs = ["/no/such::/d"]'), fn('dirs = ["/proc::/d"]'),
               fn('dirs = ["/tmp::/d", "/usr::/d"]'), fn(f'dirs = ["/{"a" * 5000}::/d"]'), fn("dirs = " + text([f"/tmp::/{i}" for i in range(300)])),
               fn('env = { "" = "v" }'), fn('env = { "A=B" = "v" }'), fn('env = { "A\\u0000" = "v" }'), fn('forward = "gopher://a"'), fn('forward = "http://a\\r\\nb: c"'),
               fn('allow_http = ["a:443-80"]'), fn('allow_net = ["tcp:a:99999"]'), fn('allow_net = ["tcp:10.0.0.0/200"]'), fn("limits = { timeout_ms = 0 }"),
               fn("limits = { lookups = 1000000 }"), fn("limits = { nothing = 1 }"), fn('functions = ["none"]'),
               *(fn(top=f"hosts = {text([h])}") for h in ("*.", "", "a b", "a:80", ".a", "ok.localhost", "no.localhost", "ok.example"))]
    with node("--workers", "1") as n:
        n.deploy("ok", guest("tenant"), "--env", "APP=ok", "--host", "ok.example")
        before = n.processes()
        for manifest in hostile:
            d = deploy_manifest(n.state, "x", manifest, {"f.wasm": module()})
            check(d.get("state") != "done" and d["error"]["message"], manifest[:200], d, n.log()[-1000:])
            eq(n.get("ok").text, "ok\n")
        for files in ({}, {"g.wasm": module()}, {"../f.wasm": module()}, {"/f.wasm": module()}, {"f.wasm": b""}, {"f.wasm": b"no wasm"}):
            d = deploy_manifest(n.state, "x", fn(), files)
            check(d.get("state") != "done" and d["error"]["message"], files.keys(), d)
        # A file that another app has, and this one has not: known by its digest, and yet not here.
        own = module().replace(b"text/plain", b"text/other")
        eq(deploy_manifest(n.state, "x", fn(), {"f.wasm": own})["state"], "done")
        stolen = [{"path": "f.wasm", "digest": hashlib.sha256(own).hexdigest(), "bytes": len(own)}]
        d = say(Socket(n.state), "POST", "/v1/apps/y/deployments", {"format": "orlo", "manifest": fn(), "files": stolen}).json
        while d["state"] == "working":
            d = say(Socket(n.state), "GET", f"/v1/apps/y/deployments/{d['id']}?wait_ms=1000").json
        eq((d["state"], d["missing"]), ("failed", ["f.wasm"]))
        eq(sorted(n.apps()), ["ok", "x"])
        eq(n.events("role-died"), [])
        check(before[0] in n.processes(), before, n.processes())


def folder_of(app):
    path = os.path.join(tempfile.mkdtemp(dir=WORK), app)
    os.makedirs(path)
    with open(os.path.join(path, "who"), "w") as f:
        f.write(app)
    return path


def test_deployer_folders_have_a_bound():
    """Of all apps together; the one too many is refused, and the others go on."""
    many, few, most = folder_of("many"), folder_of("few"), 256
    for i in range(most):
        os.makedirs(os.path.join(many, str(i)))
    with node("--workers", "1") as n:
        n.deploy("few", guest("tenant"), "--dir", few + "::/data")
        flags = [f for i in range(most - 1) for f in ("--dir", f"{many}/{i}::/{i}")]
        n.deploy("many", guest("tenant"), *flags)
        eq(n.get("few", "/read?who").text, "few")
        code, _, error = orlo("deploy", guest("tenant"), "--app", "more", "--state", n.state, "--dir", f"{many}/{most - 1}::/data")
        check(code != 0 and "at most" in error, code, error)
        eq(n.get("few", "/read?who").text, "few")
        eq(n.events("worker-died") + n.events("role-died"), [])


def test_deployer_folder_goes():
    """An app's folder that goes away keeps nobody else from being deployed, and comes back with the next deployment."""
    gone, other, third = folder_of("gone"), folder_of("other"), folder_of("third")
    with node("--workers", "1") as n:
        n.deploy("gone", guest("tenant"), "--dir", gone + "::/data")
        eq(n.get("gone", "/read?who").text, "gone")
        shutil.rmtree(gone)
        n.deploy("other", guest("tenant"), "--dir", other + "::/data")
        eq(n.get("other", "/read?who").text, "other")
        n.wait_event("folder-missing", folder=gone)
        os.makedirs(gone)
        with open(os.path.join(gone, "who"), "w") as f:
            f.write("again")
        n.deploy("gone", guest("tenant"), "--dir", gone + "::/data")
        eq(n.get("gone", "/read?who").text, "again")
        n.deploy("third", guest("tenant"), "--dir", third + "::/data")
        eq((n.get("gone", "/read?who").text, n.get("third", "/read?who").text), ("again", "third"))


def test_deployer_folder_becomes_a_link():
    """Who may write above another's folder puts a link there: nobody is granted what it leads to, neither then nor after a restart."""
    above, secret, more = folder_of("above"), folder_of("secret"), folder_of("more")
    below, state = os.path.join(above, "below"), new_state()
    os.makedirs(below)
    with node("--workers", "1", state=state) as n:
        n.deploy("a", guest("tenant"), "--dir", below + "::/data")
        os.rename(below, below + "2")
        os.symlink(secret, below)
        n.deploy("b", guest("tenant"), "--dir", more + "::/data")
        eq(n.get("b", "/read?who").text, "more")
        check("secret" not in n.get("a", "/read?who").text)
    with node("--workers", "1", state=state) as n:
        check("secret" not in n.get("a", "/read?who").text)
        eq(n.get("b", "/read?who").text, "more")
        for path, words in (("/proc", "kernel's own"), ("/sys/kernel", "kernel's own")):
            code, _, error = orlo("deploy", guest("tenant"), "--app", "c", "--state", state, "--dir", path + "::/data")
            check(code != 0 and words in error, code, error)


def test_deployer_state_of_others():
    """A folder in which others may write says nothing of who may deploy: no node runs on it, and nobody's socket there is told secrets."""
    for what in ("", "apps", "images"):
        state = new_state()
        os.makedirs(os.path.join(state, what), exist_ok=True)
        for mode in (0o777, 0o770, 0o722):
            os.chmod(os.path.join(state, what), mode)
            code, _, error = orlo("node", "--state", state, "--listen", "127.0.0.1:0")
            check(code != 0 and "by others" in error, what, oct(mode), code, error)
    if os.geteuid() != 0:
        return
    state = new_state()
    os.chown(state, 12345, 12345)
    code, _, error = orlo("node", "--state", state, "--listen", "127.0.0.1:0")
    check(code != 0 and "by others" in error, code, error)
    squatter = subprocess.Popen([sys.executable, "-c", """if True:
        import os, socket, sys
        s = socket.socket(socket.AF_UNIX)
        os.setgid(12345), os.setuid(12345)
        s.bind(sys.argv[1]), s.listen(), print("listens", flush=True)
        print(len(s.accept()[0].recv(9)), flush=True)""", os.path.join(state, "control.sock")], stdout=subprocess.PIPE, text=True)
    os.chmod(WORK, 0o755)
    try:
        eq(squatter.stdout.readline(), "listens\n")
        code, _, error = orlo("deploy", guest("tenant"), "--app", "a", "--state", state, "--env", "SECRET=xyzzy")
        check(code != 0 and "another user's" in error, code, error)
        eq(squatter.communicate(timeout=PATIENCE_S)[0], "0\n")
    finally:
        squatter.kill()


def stop_next(n):
    """Stops the next process that the node starts, as soon as there is one: what holds it, in a list."""
    before, stopped = set(n.processes()), []

    def watch():
        while not stopped and n.proc.poll() is None:
            stopped.extend(map(processes.stop, set(n.processes()) - before))

    threading.Thread(target=watch, daemon=True).start()
    return stopped


def asked_of_one_that_goes(state):
    """(bytes, status) of two requests to an app that is removed while they wait for its image; None: the image was faster."""
    answers = []
    with node("--workers", "1", state=state) as n:
        n.deploy("stays", guest("cgi"), "--host", "*", "--max-body", "1K")
        for p in n.processes("keys"):
            processes.kill_if_there(p)
        until(lambda: not n.processes("keys"))
        stopped = stop_next(n)  # keys, without which nobody gets the app's secret
        ask = lambda size: answers.append((size, n.get("goes", "/echo", data=b"x" * size).status))
        clients = [threading.Thread(target=ask, args=(size,)) for size in (500, 5000)]
        for t in clients:
            t.start()
        until(lambda: stopped)
        in_vain(0.3, "an answer without a secret")
        late = bool(answers)
        if not late:
            n.delete("goes")
            for t in clients:
                t.join()
        processes.go_on(stopped[0])
    return None if late else sorted(answers)


def test_deployer_limits_of_who_answers():
    """A request that waited for an app that goes meanwhile is another's by then, whose limits hold for it."""
    state = new_state()
    with node("--workers", "1", state=state) as n:
        deploy_function(n, "goes", guest("tenant"), 'secrets = ["WORD"]\nlimits = { timeout_ms = 20000 }\n')
        code, _, error = orlo("secrets", "set", "goes", "WORD", "--state", state, data=b"open")
        check(code == 0, error)
    for _ in range(20):
        if answers := asked_of_one_that_goes(state):
            eq(answers, [(500, 200), (5000, 413)])
            return
    raise Skip("this machine's image is always faster")


def test_deployer_says_nothing():
    """Connections on which nobody asks for anything make room."""
    with node("--workers", "1") as n:
        silent = []
        for _ in range(100):
            silent.append(socket.socket(socket.AF_UNIX))
            silent[-1].connect(os.path.join(n.state, "control.sock"))
        n.deploy("a", guest("tenant"), "--env", "APP=a")
        eq((list(n.apps()), n.get("a").text), (["a"], "a\n"))
        for c in silent:
            c.close()


# ---- what is answered is what is served -----------------------------------------------------------------------------------


class Change:
    """Something that is asked of a node, and whether it has been answered."""

    def __init__(self, act):
        self.answer = None
        self.thread = threading.Thread(target=self.on, args=(act,), daemon=True)
        self.thread.start()

    def on(self, act):
        try:
            self.answer = act() or True
        except BaseException as e:
            self.answer = e

    def done(self):
        self.thread.join(120)
        check(not isinstance(self.answer, BaseException) and self.answer, self.answer)


def env(value, more="", top=""):
    return f'{top}[functions.f]\nsource = "f.wasm"\nroutes = ["/"]\nenv = {{ APP = "{value}" }}\n{more}\n'


def api(n, method, path, body=None):
    with contextlib.closing(Socket(n.state)) as c:
        r = say(c, method, path, body)
        check(r.status // 100 == 2, method, path, r.status, r.text)
        return True


def deployed(n, manifest, **more):
    d = deploy_manifest(n.state, "a", manifest, {"f.wasm": module()}, **more)
    return check(d.get("state") == "done", d) or d


class Kept:
    """A connection that is kept, whatever becomes of the worker at its other end."""

    def __init__(self, n, host="a.localhost"):
        self.c, self.host = http.client.HTTPConnection("127.0.0.1", n.port, timeout=60), host

    def ask(self, path="/"):
        self.c.request("GET", path, headers={"Host": self.host})
        r = self.c.getresponse()
        return r.status, r.read().decode()


SECRET = 'secrets = ["TOKEN"]\n'
# What is asked of the node, and what the app answers right behind its answer: (path, status, words).
IN_PLACE = [
    ("a version", lambda n: deployed(n, env("two")), ("/", 200, "two\n")),
    ("a version beside it", lambda n: deployed(n, env("three"), live=False) and api(n, "POST", "/v1/apps/a/promote", {"version": 3}), ("/", 200, "three\n")),
    ("the one before", lambda n: api(n, "POST", "/v1/apps/a/rollback", {"version": 1}), ("/", 200, "one\n")),
    ("a redirect", lambda n: deployed(n, env("four", top='[[redirects]]\nfrom = "/to"\nto = "/there"\nstatus = 308\n')), ("/to", 308, "")),
    ("a function that is told", lambda n: deployed(n, env("five", SECRET)), ("/", 200, "five\n")),
    ("a secret", lambda n: api(n, "PUT", "/v1/apps/a/secrets/TOKEN", {"value": "hush"}), ("/env", 200, "TOKEN=hush")),
    ("another secret", lambda n: api(n, "PUT", "/v1/apps/a/secrets/TOKEN", {"value": "hush-hush"}), ("/env", 200, "TOKEN=hush-hush")),
    ("no secret", lambda n: api(n, "DELETE", "/v1/apps/a/secrets/TOKEN"), ("/env", 200, "APP=five")),
    ("another host", lambda n: deployed(n, env("six", top='hosts = ["b.example"]\n')), ("/", 200, "six\n")),
    ("no app", lambda n: api(n, "DELETE", "/v1/apps/a"), ("/", 404, "")),
    ("an app", lambda n: deployed(n, env("again")), ("/", 200, "again\n")),
]


def changes_and_asks(n, kept, name, act, then, held, go_on):
    path, status, words = then
    change = Change(lambda: act(n))
    held()
    in_vain(0.3, "an answer that comes too early")
    check(change.answer is None, name, "was answered while a worker may answer as before", change.answer)
    go_on()
    change.done()
    got = kept.ask(path)
    check(got[0] == status and words in got[1], name, got)
    if "TOKEN" not in words:
        check("TOKEN" not in got[1], name, got)


def test_deployer_is_answered_when_it_is_served():
    """A change of what is live is answered once no worker answers as before: whatever kind it is, and on connections that were there before, too. The one
    worker stands still between having it ready and hearing that it is live."""
    with node("--workers", "1") as n:
        deployed(n, env("one"))
        kept = Kept(n)
        eq(kept.ask(), (200, "one\n"))
        (worker,) = n.workers()
        for name, act, then in IN_PLACE:
            with contextlib.ExitStack() as until_then:
                there = until_then.enter_context(held_behind(worker, "applied"))
                changes_and_asks(n, kept, name, act, then, lambda: check(there.wait(60), name), until_then.close)
        eq(n.workers(), [worker])


def test_deployer_is_answered_when_successors_serve():
    """The same where new workers take over: by then the old one listens no more, and what comes on its connections is led to the new one."""
    folder, text = folder_of("one"), 'workers = 1\naccess_log = false\n'
    path = file_of("successors.toml", text.encode())

    def configured(n, more):
        with open(path, "w") as f:
            f.write(text + more)
        return api(n, "POST", "/v1/reload")

    dirs = lambda name: env(name, f'dirs = ["{folder_of(name)}::/data"]\n')
    changes = [("a folder", lambda n: deployed(n, dirs("two")), ("/read?who", 200, "two")),
               ("another folder", lambda n: deployed(n, dirs("three")), ("/read?who", 200, "three")),
               ("the configuration", lambda n: configured(n, '[cordons.blue]\napps = ["a"]\n'), ("/read?who", 200, "three")),
               ("and back", lambda n: configured(n, ""), ("/read?who", 200, "three")),
               ("the folder before", lambda n: api(n, "POST", "/v1/apps/a/rollback", {"version": 2}), ("/read?who", 200, "two"))]
    with node("--config", path) as n:
        deployed(n, env("one"))
        kept = Kept(n)
        eq(kept.ask(), (200, "one\n"))
        for name, act, then in changes:
            before = n.workers()
            held = list(map(processes.stop, before))
            others = lambda: [p for p in n.workers() if p not in before and listening(p)]
            changes_and_asks(n, kept, name, act, then, lambda: until(others), lambda: check(all(list(map(processes.go_on, held)))))
            check(all(p not in before for p in others()), name)


def test_deployer_worker_says_nothing():
    """One that does not say that it serves what is live, or rests, is ended: it would go on some day, and answer as before."""
    with node("--workers", "1") as n:
        deployed(n, env("one"))
        kept = Kept(n)
        eq(kept.ask(), (200, "one\n"))
        (worker,) = n.workers()
        with processes.stopped(worker, may_end=True):
            deployed(n, env("two", f'dirs = ["{folder_of("two")}::/data"]\n'))
            n.wait_event("worker-stuck")
            processes.wait_gone(worker)
        eq(n.get("a", "/read?who").text, "two")
        with contextlib.suppress(OSError, http.client.HTTPException):
            kept.ask()
            check(False, "it has another end")
