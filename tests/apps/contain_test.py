"""What one app, one process or one machine's fault may cost others: crashes, cordons, configuration that changes, full disks, and who watches over it all."""
import http.client, os, resource, signal, socket, sys, threading, time

from harness import *
from nodes import *


# ---- systemd ----------------------------------------------------------------------------------------------------------


class Manager:
    """The socket at which a service manager hears what its service says."""

    def __init__(self, name):
        self.path = os.path.join(WORK, name)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(0.2)
        self.said, self.enough = [], threading.Event()
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        while not self.enough.is_set():
            with contextlib.suppress(TimeoutError):
                self.said.append(self.socket.recv(4096).decode())

    def lines(self):
        return [line for packet in list(self.said) for line in packet.splitlines()]

    def wait(self, begin, count=1):
        until(lambda: len([l for l in self.lines() if l.startswith(begin)]) >= count)


@contextlib.contextmanager
def environment(**variables):
    before = {k: os.environ.get(k) for k in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for k, v in before.items():
            os.environ.pop(k) if v is None else os.environ.update({k: v})


def test_service_manager_is_told():
    m = Manager("notify")
    with environment(NOTIFY_SOCKET=m.path, WATCHDOG_USEC="200000"), node("--workers", "1") as n:
        m.wait("READY=1")
        has("\n".join(m.lines()), f"STATUS=serving at {n.url} with 1 workers")
        m.wait("WATCHDOG=1", 4)
        for pid in n.processes():  # it is nobody else's to speak for the node
            check("NOTIFY_SOCKET" not in processes.read(pid, "environ"), pid)
        with processes.stopped(n.proc.pid):
            said = None
            while said != len(m.said):  # what it had said before it was stopped
                said = len(m.said)
                in_vain(0.5, "a word of who stands still")
        m.wait("WATCHDOG=1", m.lines().count("WATCHDOG=1") + 1)
    m.wait("STOPPING=1")
    m.enough.set()


def test_service_manager_that_does_not_listen():
    m = Manager("deaf")
    m.enough.set()
    m.thread.join()  # nobody reads any more: its queue is full after a few
    with environment(NOTIFY_SOCKET=m.path, WATCHDOG_USEC="20000", WATCHDOG_PID="1"), node("--workers", "1") as n:
        m.wait("READY=1") if m.said else None
        n.deploy("a", guest("tenant"), "--env", "APP=a")
        eq(n.get("a").text, "a\n")
    with environment(NOTIFY_SOCKET="/nowhere/at/all"), node("--workers", "1") as n:
        n.wait_event("not-notified")
    with environment(NOTIFY_SOCKET="@" + os.path.basename(WORK)):
        abstract = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        abstract.bind("\0" + os.path.basename(WORK))
        abstract.settimeout(PATIENCE_S)
        with node("--workers", "1"):
            has(abstract.recv(4096).decode(), "READY=1")


# ---- apps that kill workers ---------------------------------------------------------------------------------------------


def hammer(n, app, path="/", host=None):
    """A client that keeps its connection, and asks one app: (asked, wrong answers); ends when `enough` is set."""
    state = {"asked": 0, "wrong": [], "enough": threading.Event()}

    def on():
        c = None
        while not state["enough"].is_set():
            try:
                c = c or http.client.HTTPConnection("127.0.0.1", n.port, timeout=PATIENCE_S)
                c.request("GET", path, headers={"Host": app + ".localhost"})
                r = c.getresponse()
                got = (r.status, r.read().decode())
            except (OSError, http.client.HTTPException) as e:
                got = (0, repr(e))
                c and c.close()
                c = None
            state["asked"] += 1
            if got != (200, app + "\n"):
                state["wrong"].append(got)

    state["thread"] = threading.Thread(target=on, daemon=True)
    state["thread"].start()
    return state


def ended(state):
    state["enough"].set()
    state["thread"].join(PATIENCE_S)
    check(not state["thread"].is_alive() and state["asked"] > 3, state["asked"])
    return state["wrong"]


def only_one(found):
    return found[0] if len(found) == 1 else None


def kill_by(n, app, isolated=False):
    """A worker dies while this app's guest runs: the only one, or that of those apps which kill (who does not listen: others hand on to it)."""
    pid = until(lambda: only_one([p for p in n.workers() if not (isolated and listening(p))]))
    died, before = len(n.events("worker-died")), processes.ticks(pid)
    with socket.create_connection(("127.0.0.1", n.port)) as c:
        c.sendall(f"GET /loop HTTP/1.1\r\nHost: {app}.localhost\r\n\r\n".encode())
        until(lambda: processes.ticks(pid) > before + 20)  # nobody else asks this one for anything
        processes.kill(pid, signal.SIGSEGV)
        n.wait_event("worker-died", count=died + 1)


def test_who_kills_workers_gets_his_own():
    with node("--workers", "1") as n:
        for app in ("bad", "good", "other"):
            n.deploy(app, guest("tenant"), "--env", "APP=" + app, "--timeout", "60s")
        kill_by(n, "bad")
        eq(n.get("bad").text, "bad\n")
        check(not n.events("app-quarantined"), n.log())
        kill_by(n, "bad")
        n.wait_event("app-quarantined", app="bad")
        until(lambda: len(n.workers()) == 2)
        eq(n.get("bad").text, "bad\n")
        bystander = hammer(n, "good")
        until(lambda: bystander["asked"] > 20)
        for _ in range(3):  # it kills on, and hurts itself alone
            kill_by(n, "bad", isolated=True)
        eq(ended(bystander), [])
        eq(n.get("bad").text, "bad\n")
        conn = http.client.HTTPConnection("127.0.0.1", n.port, timeout=PATIENCE_S)  # one connection, two processes in turn
        for i in range(40):
            app = ("bad", "good", "other")[i % 3]
            conn.request("GET", "/", headers={"Host": app + ".localhost"})
            r = conn.getresponse()
            eq((r.status, r.read().decode()), (200, app + "\n"))
        n.kill_control()
        eq(n.get("bad").text, "bad\n")
        check(len(n.workers()) == 2, n.workers())  # that is kept
        bystander = hammer(n, "bad")
        until(lambda: bystander["asked"] > 20)
        n.deploy("bad", guest("tenant"), "--env", "APP=bad", "--timeout", "60s")
        until(lambda: len(n.workers()) == 1)
        eq(ended(bystander), [])
        eq(n.get("bad").text, "bad\n")


# ---- cordons and configuration -------------------------------------------------------------------------------------------


def configured(text, *flags, state=None):
    path = file_of(f"node-{len(os.listdir(WORK))}.toml", text.encode())
    n = node("--config", path, *flags, state=state)
    return path, n


def write(path, text):
    with open(path + ".new", "w") as f:
        f.write(text)
    os.rename(path + ".new", path)


def reload(n, ok=True):
    event = "reloaded" if ok else "reload-failed"
    before = len(n.events(event))
    n.proc.send_signal(signal.SIGHUP)
    return n.wait_event(event, count=before + 1)


def images_of(pid):
    """The memory files with code of apps that a process has mapped."""
    lines = [l.split() for l in processes.read(pid, "maps").splitlines()]
    return {l[4] for l in lines if len(l) > 5 and "memfd:" in l[5] and "image" in l[5]}


def test_cordons_share_no_process():
    another = file_of("tenant-of-b.wasm", open(guest("tenant"), "rb").read() + b"\0\x05\x01xabc")  # the same with a section more
    path, running = configured('workers = 1\n[cordons.blue]\napps = ["b", "b-*"]\nworkers = 2\n')
    with running as n:
        for app in ("a", "b", "b-2", "c"):
            n.deploy(app, another if app[0] == "b" else guest("tenant"), "--env", "APP=" + app)
        eq(len(n.workers()), 3)
        clients = [hammer(n, app) for app in ("a", "b", "b-2", "c", "b")]
        until(lambda: all(c["asked"] > 50 for c in clients))
        eq([w for c in clients for w in ended(c)], [])
        listening_ones = [p for p in n.workers() if listening(p)]
        eq(len(listening_ones), 1)  # the others take what that one hands on
        general = images_of(listening_ones[0])
        blue = set().union(*(images_of(p) for p in n.workers() if p not in listening_ones))
        check(general and blue and not general & blue, general, blue)  # no page of the one's code or memory is mapped by the other
        conn = http.client.HTTPConnection("127.0.0.1", n.port, timeout=PATIENCE_S)
        body = b"x" * 100_000
        for i in range(60):
            app = ("a", "b", "c", "b-2")[i % 4]
            conn.request("POST" if i % 3 else "GET", "/", body=body if i % 3 else None, headers={"Host": app + ".localhost"})
            r = conn.getresponse()
            eq((r.status, r.read().decode()), (200, app + "\n"))
        both = b"".join(f"GET / HTTP/1.1\r\nHost: {app}.localhost\r\n\r\n".encode() for app in ("a", "b", "a", "b-2", "c", "b") * 20)
        got = raw(n.port, both + b"GET / HTTP/1.1\r\nHost: b.localhost\r\nConnection: close\r\n\r\n")
        eq(re.findall(rb"\r\n\r\n([a-z0-9-]+)\n", got), [b"a", b"b", b"a", b"b-2", b"c", b"b"] * 20 + [b"b"])


def test_a_cordon_that_has_stopped():
    """A request for an app of a cordon whose workers have ended before, as the node stops: it is answered."""
    path, running = configured('workers = 1\n[cordons.blue]\napps = ["b"]\n')
    with running as n:
        n.deploy("b", guest("tenant"), "--env", "APP=b")
        eq(n.get("b").text, "b\n")
        with socket.create_connection(("127.0.0.1", n.port), PATIENCE_S) as c:
            c.sendall(b"GET / HTTP/1.1\r\nHost: b.localhost\r\n")
            n.wait_taken(c)
            (blue,) = [p for p in n.workers() if not listening(p)]
            n.proc.send_signal(signal.SIGTERM)
            until(lambda: blue not in n.workers())
            c.sendall(b"\r\n")
            has(c.recv(65536), b"HTTP/1.1 503")
        n.proc.wait(PATIENCE_S)


def test_a_cordon_that_is_killed():
    path, running = configured('workers = 2\n[cordons.blue]\napps = ["b"]\n')
    with running as n:
        for app in ("a", "b"):
            n.deploy(app, guest("tenant"), "--env", "APP=" + app)
        general = [hammer(n, "a") for _ in range(3)]
        until(lambda: all(c["asked"] > 20 for c in general))
        for _ in range(10):
            blue = next(p for p in n.workers() if not listening(p))
            beside = [hammer(n, "b") for _ in range(4)]
            until(lambda: all(c["asked"] > 20 for c in beside))
            died = len(n.events("worker-died"))
            processes.kill(blue)
            n.wait_event("worker-died", count=died + 1)
            until(lambda: all(c["asked"] > 40 for c in beside))
            for c in beside:  # what it had, and no more: one request of each connection
                check(len(ended(c)) <= 1, ended(c))
        eq([w for c in general for w in ended(c)], [])
        eq(n.get("b").text, "b\n")


def test_configuration_that_changes():
    first, second = free_port(), free_port()
    path = file_of("changes.toml", f'listen = ["127.0.0.1:{first}"]\nworkers = 1\n'.encode())
    state = new_state()
    n = Node.__new__(Node)
    n.state = state
    n.proc = subprocess.Popen([ORLO, "node", "--state", state, "--config", path, "--log-format", "json"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    n.text, n.url, n.ended = bytearray(), None, False
    n.changed = threading.Condition()
    threading.Thread(target=n.read, daemon=True).start()
    n.url = n.wait_event("serving")["url"]
    n.port = first
    try:
        for app in ("a", "b"):
            n.deploy(app, guest("tenant"), "--env", "APP=" + app)
        clients = [hammer(n, app) for app in ("a", "b", "a", "b")]
        until(lambda: all(c["asked"] > 20 for c in clients))
        write(path, f'listen = ["127.0.0.1:{first}", "127.0.0.1:{second}"]\nworkers = 3\n[cordons.blue]\napps = ["b"]\n')
        eq(reload(n)["workers"], 4)
        until(lambda: len(n.workers()) == 4)
        has(raw(second, b"GET / HTTP/1.1\r\nHost: b.localhost\r\nConnection: close\r\n\r\n").decode(), "b\n")
        pids = sorted(n.workers())
        for text, line in (('workers = 0\n', "1:"), ('workers = 2\nlisten = 7\nwrokers = 1\n', "3:"), ('= = =', "1:"), ('listen = ["127.0.0.1:1"]\n', "") if os.geteuid() else ('x = 1', "1:")):
            write(path, text)
            has(reload(n, ok=False)["reason"], line)
            eq(sorted(n.workers()), pids)
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen(1)
            write(path, f'listen = ["127.0.0.1:{first}", "127.0.0.1:{taken.getsockname()[1]}"]\n')
            has(reload(n, ok=False)["reason"], "in use")
        eq(sorted(n.workers()), pids)
        write(path, f'listen = ["127.0.0.1:{first}"]\nworkers = 2\n[cordons.red]\napps = ["a"]\n')
        before = len(n.events("reloaded"))
        n.proc.send_signal(signal.SIGHUP)
        n.proc.send_signal(signal.SIGHUP)  # two at once
        n.wait_event("reloaded", count=before + 1)
        until(lambda: len(n.workers()) == 3)
        until(lambda: not any(second == port for p in n.workers() for _, port in listening(p)))
        n.kill_control()
        reload(n)
        seen = [c["asked"] for c in clients]
        until(lambda: all(c["asked"] > k + 20 for c, k in zip(clients, seen)))
        eq([w for c in clients for w in ended(c)], [])
        eq(n.stop(), 0)
    finally:
        if n.proc.poll() is None:
            n.kill()


def test_configuration_that_is_bad_at_the_start():
    for text, said in (("workers = 0\n", "bad-0.toml:1:"), ("[cordons.x]\nworkers = 1\napps = 3\n", ":3:"), ("wrokers = 2\n", "workers")):
        path = file_of("bad-0.toml", text.encode())
        code, out, error = orlo("node", "--state", new_state(), "--config", path, "--listen", "127.0.0.1:0")
        check(code and said in error, code, error)
    code, _, error = orlo("node", "--state", new_state(), "--config", "/nowhere.toml")
    check(code == 66, code, error)


# ---- a disk that is full -------------------------------------------------------------------------------------------------


def test_full_disk_is_read_and_not_written():
    state = new_state()
    with node("--workers", "1", state=state) as n:
        n.deploy("a", guest("tenant"), "--env", "APP=old")
        n.deploy("a", guest("tenant"), "--env", "APP=a")
        n.deploy("b", guest("tenant"), "--env", "APP=b")
    path, running = configured("disk_percent = 1\nworkers = 1\n", state=state)  # every disk is fuller than that
    with running as n:
        eq(n.get("a").text, "a\n")
        code, out, error = orlo("deploy", guest("tenant"), "--app", "a", "--state", state)
        check(code and "disk_percent" in error and "full" in error, code, error)
        code, out, error = orlo("secrets", "set", "a", "KEY", "--state", state, data=b"value\n")
        check(code and "disk_percent" in error, code, error)
        eq(set(n.apps()), {"a", "b"})
        code, out, error = orlo("rollback", "a", "--state", state)
        check(code == 0, code, error)
        until(lambda: n.get("a").text == "old\n")
        n.delete("b")
        write(path, "disk_percent = 100\nworkers = 1\n")
        reload(n)
        n.deploy("c", guest("tenant"), "--env", "APP=c")
        eq(n.get("c").text, "c\n")


def test_full_disk_of_stores():
    """What apps keep: writes get their interface's error, whatever its version; reads and removals go on."""
    state, spin = new_state(), os.path.join(ROOT, "tests", "guests", "spin.wasm")

    def ask(n, path, *words, data=None):
        query = "&".join(w.replace(" ", "%20") for w in words)
        r = n.get("a", f"/{path}?{query}", data=None if data is None else data.encode())
        check(r.status == 200, r.status, r.text, n.log()[-2000:])
        return r.text.strip()

    with node("--workers", "1", state=state) as n:
        deploy_function(n, "a", spin, grants(stores=("default",), sqlite=("default",)))
        for key in ("k", "gone"):
            eq(ask(n, "keys3", "default", "set", key, "v"), "()")
        ask(n, "sql3", "default", data="create table t (n)\ninsert into t values (7)")
    _, running = configured("disk_percent = 1\nworkers = 1\n", state=state)
    with running as n:
        for path in ("keys3", "keys2", "keys1", "keys"):
            has(ask(n, path, "default", "set", "k", "w"), "disk_percent")
            eq(ask(n, path, "default", "exists", "new"), "false")
        for words in (("set-many", "k", "w"), ("add", "n", "1"), ("swap", "k", "w")):
            has(ask(n, "keys", "default", *words), "disk_percent")
        eq(ask(n, "keys3", "default", "get", "k"), 'Some("v")')
        eq(ask(n, "keys3", "default", "delete", "gone"), "()")
        eq(ask(n, "keys3", "default", "exists", "gone"), "false")
        for path in ("sql3", "sql2", "sql1"):
            has(ask(n, path, "default", data="insert into t values (8)"), "DatabaseFull" if path != "sql1" else "rror")
            has(ask(n, path, "default", data="select sum(n) as s from t"), "Integer(7)")


# ---- the kernel's limits ------------------------------------------------------------------------------------------------


def test_mappings_of_a_process():
    """Instances that wait until the kernel gives a worker no more mappings: refused with the sysctl's name, there and in `orlo status`, and all goes on."""
    limit = int(open("/proc/sys/vm/max_map_count").read())
    count = limit // 4 * 3 // 8 + 600  # eight mappings are counted for an instance of this guest
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if count > 10_000 or hard < count + 500:
        raise Skip(f"vm.max_map_count is {limit}, and a process may have {hard} files: it takes {count} connections to meet that")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with node("--workers", "1", "--node-memory", "64G", "--max-connections", "20000") as n, contextlib.ExitStack() as held:
        wasm = open(os.path.join(ROOT, "tests", "guests", "http3wait.wasm"), "rb").read()
        function = '[functions.{0}]\nsource = "m.wasm"\nroutes = ["/{0}"]\nlimits = {{ timeout_ms = "{1}s", instances = 20000 }}\n'
        d = deploy_manifest(n.state, "waits", "[limits]\nconcurrency = 20000\ninstances = 20000\n" + function.format("long", 60) + function.format("short", 1), {"m.wasm": wasm})
        eq(d.get("state"), "done")
        for i in range(count):
            c = held.enter_context(socket.create_connection(("127.0.0.1", n.port)))
            c.sendall(f"GET /{'short' if i > count - 100 else 'long'} HTTP/1.1\r\nHost: waits.localhost\r\n\r\n".encode())
        has(n.wait_event("no-instance")["reason"], "vm.max_map_count")
        code, out, error = orlo("status", "--state", n.state)
        check(code == 0, code, error)
        has(out, "vm.max_map_count", "Kernel limits")
        held.close()
        until(lambda: n.get("waits", "/short").status == 504)  # it had an instance, and its time
        eq(n.events("worker-died"), [])


# ---- hosts --------------------------------------------------------------------------------------------------------------


def test_hosts_belong_to_one():
    """To who has them in what is live, or in what is tried beside it; they are free once neither has them, whatever came between."""
    def deployed(app, *hosts, live=True):
        more = [] if live else ["--not-live"]
        for h in hosts:
            more += ["--host", h]
        code, out, error = orlo("deploy", guest("tenant"), "--app", app, "--state", n.state, "--env", f"APP={app}", *more)
        return "" if code == 0 else error

    with node("--workers", "1") as n:
        many = [f"h{i}.example" for i in range(60)]
        eq(deployed("a", "a.example", *many), "")
        for host in ("a.example", "h0.example", "h59.example"):
            has(deployed("b", host), host, "belongs to the app a")
        eq(deployed("b", "b.example", "*.b.example"), "")
        eq(deployed("a", "a.example", "c.example", live=False), "")
        code, out, error = orlo("promote", "a", "2", "--share", "5%", "--state", n.state)
        check(code == 0, code, error)
        has(deployed("b", "c.example"), "c.example", "belongs to the app a")  # the canary's
        has(deployed("b", "h7.example"), "belongs to the app a")  # of what is live still
        has(deployed("a", "*.b.example"), "belongs to the app b")
        code, out, error = orlo("promote", "a", "2", "--state", n.state)
        check(code == 0, code, error)
        eq(deployed("b", "h7.example"), "")
        has(deployed("b", "a.example"), "belongs to the app a")
        eq(deployed("d", "*"), "")
        has(deployed("b", "*"), "the host * belongs to the app d")
        n.kill_control()  # the next one knows it from the database
        has(deployed("b", "c.example"), "belongs to the app a")
        has(deployed("b", "*"), "the host * belongs to the app d")
        n.delete("a")
        n.delete("d")
        eq(deployed("b", "a.example", "c.example", "*"), "")


# ---- a node that is killed again and again ----------------------------------------------------------------------------------


def test_killed_again_and_again():
    """Under requests and deployments; what was acknowledged is there, whole, after each start."""
    each = deployment_s(guest("tenant"))
    state, kept, said = new_state(), {"a": 0, "b": 0}, []
    times = int(os.environ.get("ORLO_TEST_KILLS", "12"))  # 50 take two minutes
    i = 0
    while i < times or kept["a"] + kept["b"] <= 5 and i < 10 * times:  # a loaded machine is given more and longer rounds, until enough was acknowledged
        n = Node(state, "--workers", "2")
        try:
            there = {k: v["version"] for k, v in n.apps().items()}
            for app, version in kept.items():
                check(there.get(app, 0) >= version, app, there, kept)
                if version:
                    got = int(n.get(app).text)
                    check(got >= version, app, got, kept)
            enough = threading.Event()

            def deploys(app):
                while not enough.is_set():
                    wanted = kept[app] + 1
                    code, out, error = orlo("deploy", guest("tenant"), "--app", app, "--state", state, "--env", f"APP={wanted}")
                    if code == 0:
                        kept[app] = wanted

            def asks(app):
                while not enough.is_set():
                    with contextlib.suppress(OSError, http.client.HTTPException):
                        c = http.client.HTTPConnection("127.0.0.1", n.port, timeout=PATIENCE_S)
                        c.request("GET", "/", headers={"Host": app + ".localhost"})
                        r = c.getresponse()
                        said.append((r.status, r.read()))
                        c.close()

            threads = [threading.Thread(target=t, args=(app,), daemon=True) for t in (deploys, asks) for app in kept]
            for t in threads:
                t.start()
            pace(each * (i % 12) * (1 + i // times) / 2)  # up to some deployments
            i += 1
            n.kill()
            enough.set()
            for t in threads:
                t.join(PATIENCE_S)
        finally:
            if n.proc.poll() is None:
                n.kill()
    check(kept["a"] + kept["b"] > 5, kept)
    check({s for s, _ in said} <= {200, 404, 503}, {s for s, _ in said})
