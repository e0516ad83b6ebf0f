"""The program is replaced while it serves (`orlo upgrade`): nothing is refused, nothing acknowledged is lost, and what cannot take over leaves all as it was."""
import random

import http2
from harness import *
from nodes import *

SERVICE = os.path.join(ROOT, "tests", "guests", "http3.wasm")
SCHEMA = "create table notes (id bigint primary key, body text not null);\n"


def upgrade(n, *args):
    return orlo("upgrade", *args, "--state", n.state, timeout=PATIENCE_S * 2)


def deployed(n):
    """An app that computes, and one with a database; the key to that."""
    n.deploy("a", SERVICE, "--instance-concurrency", "8", "--max-body", "64MiB")
    folder = tempfile.mkdtemp(dir=WORK)
    os.mkdir(os.path.join(folder, "migrations"))
    for path, text in (("orlo.toml", 'name = "d"\ndatabase = "sqlite"\n'), ("migrations/001.sql", SCHEMA)):
        with open(os.path.join(folder, path), "w") as f:
            f.write(text)
    code, out, error = orlo("deploy", folder, "--state", n.state)
    check(code == 0, out, error)
    code, out, error = orlo("keys", "d", "--state", n.state)
    return next(line.split("=", 1)[1].strip() for line in out.splitlines() if line.startswith("SUPABASE_SERVICE_ROLE_KEY"))


# ---- clients: each asks on until it is enough, and keeps what it must not get ----------------------------------------------


class Client(threading.Thread):
    def __init__(self, n, key):
        super().__init__(daemon=True)
        self.n, self.key, self.asked, self.wrong, self.enough, self.conn = n, key, 0, [], threading.Event(), None

    def once(self, i):
        raise NotImplementedError

    def run(self):
        i = 0
        while not self.enough.is_set():
            i += 1
            try:
                self.once(i)
            except Exception as e:
                self.wrong.append((i, repr(e)))
                self.conn = None
            self.asked += 1

    def ask(self, method, path, body=None, app="a", fresh=False, **headers):
        if not self.conn or fresh:
            self.conn = http.client.HTTPConnection("127.0.0.1", self.n.port, timeout=PATIENCE_S)
        self.conn.request(method, path, body, {"Host": f"{app}.localhost", **headers})
        r = self.conn.getresponse()
        text = r.read()
        if r.will_close:
            self.conn.close()
            self.conn = None
        return r.status, text

    def end(self):
        self.enough.set()
        self.join(PATIENCE_S)
        check(not self.is_alive(), type(self).__name__, "a request was not answered", self.n.log()[-3000:])
        check(not self.wrong, type(self).__name__, f"{len(self.wrong)} of {self.asked} went wrong", self.wrong[:3], self.n.log()[-4000:])
        check(self.asked > 1, type(self).__name__, self.asked)


class KeptAlive(Client):
    def once(self, i):
        pace(0.01)
        eq(self.ask("POST", "/echo", b"k%d" % i), (200, b"k%d" % i))


class New(Client):
    def once(self, i):
        pace(0.01)
        eq(self.ask("POST", "/echo", b"n%d" % i, fresh=True), (200, b"n%d" % i))


class SlowBody(Client):
    """Two thirds of a second from the first byte to the last."""

    def once(self, i):
        with socket.create_connection(("127.0.0.1", self.n.port), PATIENCE_S) as s:
            s.sendall(b"POST /echo HTTP/1.1\r\nHost: a.localhost\r\nConnection: close\r\nContent-Length: 40\r\n\r\n")
            for piece in range(4):
                pace(0.15)
                s.sendall(b"0123456789")
            r = http.client.HTTPResponse(s)
            r.begin()
            eq((r.status, r.read()), (200, b"0123456789" * 4))


class Download(Client):
    """Of many bytes, taken slowly: longer than an upgrade takes."""

    def once(self, i):
        body = os.urandom(1 << 20)
        conn = http.client.HTTPConnection("127.0.0.1", self.n.port, timeout=PATIENCE_S)
        conn.request("POST", "/echo", body, {"Host": "a.localhost"})
        r = conn.getresponse()
        got = b""
        while piece := r.read(1 << 17):
            got += piece
            pace(0.02)
        check(r.status == 200 and got == body, r.status, len(got))


class Streams(Client):
    """HTTP/2: what the server says that it has not looked at (GOAWAY) is asked again, as every client does."""
    h2 = None

    def once(self, i):
        pace(0.01)
        for _ in range(50):
            self.h2 = self.h2 or http2.Client(self.n.port)
            bodies = {self.h2.ask("/echo", b"h%d-%d" % (i, k), authority="a.localhost"): b"h%d-%d" % (i, k) for k in range(4)}
            got = {s: self.h2.answer(s) for s in bodies}
            again = [s for s, a in got.items() if not a.statuses and (a.reset == 7 or (self.h2.goaway is not None and s > self.h2.last))]
            left = [(s, a.statuses, a.body, a.reset, self.h2.goaway, self.h2.last) for s, a in got.items() if s not in again and (a.status != 200 or a.body != bodies[s])]
            if self.h2.goaway is not None:
                self.h2.sock.close()
                self.h2 = None
            eq(left, [])
            if not again:
                return
        raise AssertionError("it is told to ask again for ever")


class Writer(Client):
    """Rows: those that were acknowledged are there at the end. """

    def __init__(self, n, key, number):
        super().__init__(n, key)
        self.number, self.acked = number, []

    def once(self, i):
        pace(0.005)
        id = self.number * 1_000_000 + i
        status, text = self.ask("POST", "/rest/v1/notes", json.dumps({"id": id, "body": "x" * 100}), "d", apikey=self.key, **{"content-type": "application/json"})
        eq((status, text), (201, b""))
        self.acked.append(id)


def clients_of(n, key):
    return [KeptAlive(n, key), KeptAlive(n, key), New(n, key), SlowBody(n, key), Download(n, key), Streams(n, key), Writer(n, key, 1), Writer(n, key, 2)]


def rows(n, key):
    got, at = set(), 0
    while True:
        a = curl(f"http://127.0.0.1:{n.port}/rest/v1/notes?select=id&order=id&limit=1000&offset={at}", "-H", "Host: d.localhost", "-H", f"apikey: {key}")
        eq(a.status, 200)
        page = json.loads(a.text)
        got |= {r["id"] for r in page}
        at += len(page)
        if len(page) < 1000:
            return got


def check_rows(n, key, clients):
    there = rows(n, key)
    for w in clients:
        if isinstance(w, Writer):
            eq([i for i in w.acked if i not in there], [])


# ---- what takes over ---------------------------------------------------------------------------------------------------------

PROGRAM = '''#!/usr/bin/env python3
"""Says what a successor says, until a step at which it ends."""
import array, os, re, signal, socket, sys
step, formats = {step!r}, {formats}
if step == "words":
    sys.exit("these are its last words")
s = socket.socket(fileno=int(os.environ["ORLO_HANDOVER"]))


def hear(*verbs):
    while True:
        bytes, fds, _, _ = socket.recv_fds(s, 1 << 17, 250)
        for fd in fds:
            os.close(fd)
        if not bytes:
            sys.exit(9)
        if bytes.split(b"\\n")[0].split()[-1].decode() in verbs:
            return


def say(verb, **fields):
    s.sendmsg([f"orlo 1 {{verb}}\\n".encode() + "".join(f"{{k}} {{v}}\\n" for k, v in fields.items()).encode()])


if step == "nonsense":
    s.sendmsg([b"\\x00" * 100])
    signal.pause()
say("hello", version="9.9", wire="other", rates="x", meters="x", format={formats}, record=999)
hear("offered")
if step == "offered":
    os.kill(os.getpid(), signal.SIGKILL)
if step == "failed":
    say("failed", text="it does not like\\x1b[31m this")
    signal.pause()
say("prepared")
hear("go")
if step == "go":
    os.kill(os.getpid(), signal.SIGKILL)
if step == "writes":
    with open({db!r}, "r+b") as f:
        f.write(b"no database any more")
    sys.exit(7)
say("serving")
if step == "serving":
    os.kill(os.getpid(), signal.SIGKILL)
'''


def successor(n, step, formats):
    path = file_of(f"successor-{step}", PROGRAM.format(step=step, formats=formats, db=os.path.join(n.state, "db", "node.db")).encode())
    os.chmod(path, 0o755)
    return path


def format_of(n):
    with open(os.path.join(SRC, "node", "control", "store.c")) as f:
        return len(re.findall(r"^    /\* (\d+)", f.read(), re.M))


def test_upgrade_check():
    with node("--workers", "1") as n:
        before = n.processes()
        code, out, error = upgrade(n, "--check")
        check(code == 0 and "would take the place" in out and "nothing was changed" in out, code, out, error)
        code, out, error = upgrade(n, "--check", successor(n, "words", 0))
        check(code != 0 and "these are its last words" in error, code, out, error)
        eq((set(before) <= set(n.processes()), n.events("upgraded"), n.events("upgrade-failed")), (True, [], []))
        code, out, error = orlo("upgrade", "--state", new_state())
        check(code != 0 and "no node runs" in error, error)
        code, out, error = upgrade(n, "/nowhere/orlo")
        check(code != 0 and "/nowhere/orlo" in error, error)


def test_upgrade_fails():
    """At each step of it: all is as before, and says why."""
    with node("--workers", "2") as n:
        key = deployed(n)
        known = format_of(n)
        clients = [KeptAlive(n, key), New(n, key), Writer(n, key, 1)]
        for c in clients:
            c.start()
        for at, (step, formats, why) in enumerate((("words", 0, "these are its last words"), ("nonsense", known, "signal"), ("old", known - 1, "older"), ("offered", known, "signal 9"),
                                                   ("failed", known, "it does not like"), ("go", known, "signal 9"), ("writes", known + 1, "status 7"))):
            path = "/bin/false" if step == "false" else successor(n, step, formats)
            if step == "nonsense":
                continue
            code, out, error = upgrade(n, path)
            check(code != 0 and why in error and "nothing was changed" in error and "\x1b" not in error, step, code, out, error, n.log()[-2000:])
            for c in clients:
                asked = c.asked
                until(lambda: c.asked > asked)
            until(lambda: "d" in n.apps())  # control is there again, with what it knew
        for c in clients:
            c.end()
        check_rows(n, key, clients)
        eq((n.events("worker-died"), len(n.events("upgrade-failed")), n.events("upgraded")), ([], 6, []))
        eq([f for f in os.listdir(os.path.join(n.state, "db")) if "before" in f], [])
        n.deploy("late", SERVICE)
        eq(n.get("late", "/echo", data=b"x").text, "x")


def test_upgrade():
    """Ten times in a row, beside clients of each kind; then the process that was started ends as the node does."""
    with node("--workers", "2") as n:
        key = deployed(n)
        clients = clients_of(n, key)
        for c in clients:
            c.start()
        for i in range(10 if not SANITIZED else 3):
            if i % 3 == 1:
                code, out, error = upgrade(n, successor(n, "words", 0))
                check(code != 0, out)
            until(lambda: upgrade(n)[0] == 0)  # who came before finishes what it has first
            n.wait_event("upgraded", count=i + 1)
            for c in clients:
                asked = c.asked
                until(lambda: c.asked > asked + 1)
        for c in clients:
            c.end()
        check_rows(n, key, clients)
        eq(([e for e in n.events() if e["event"] in ("worker-died", "role-died", "worker-stuck", "role-cut-off")]), [])
        n.deploy("late", SERVICE)
        eq(n.get("late", "/echo", data=b"x").text, "x")


def test_upgrade_killed():
    """kill -9 of the old or the new one, at some moment of it: one of them serves, and has all."""
    for who in ("old", "new") * (4 if not SANITIZED else 1):
        n = Node(new_state(), "--workers", "1", listen=f"127.0.0.1:{free_port()}")
        all = set()
        try:
            key = deployed(n)
            w = Writer(n, key, 1)
            w.start()
            until(lambda: len(w.acked) > 5)
            asks = threading.Thread(target=upgrade, args=(n,), daemon=True)
            asks.start()
            new = until(lambda: processes.children(n.proc.pid, "orlo")).pop()
            pace(random.random() * 0.2)
            all = {*processes.descendants(n.proc.pid), n.proc.pid}
            processes.kill_if_there(n.proc.pid if who == "old" else new)
            asks.join(PATIENCE_S)

            def serves():
                with contextlib.suppress(OSError, AssertionError, http.client.HTTPException, ValueError):
                    return rows(n, key)

            def is_over():  # the new one was the node already, and the old one nothing but its parent
                return n.proc.poll() is not None and n.events("left")
            over = until(lambda: (who == "new" and is_over()) or serves()) is not True and who == "new" and is_over()
            w.enough.set()
            w.join(PATIENCE_S)
            check(not [e for _, e in w.wrong if "RemoteDisconnected" in e], who, w.wrong)  # what a worker had begun is answered, whoever is gone
            if not over:
                there = until(lambda: (who == "new" and is_over() and {"over"}) or serves())
                check("over" in there or not [i for i in w.acked if i not in there], w.acked, there)
        finally:
            w.enough.set()
            for pid in {*all, *(p for pid in all for p in processes.descendants(pid))}:
                processes.kill_if_there(pid)
            n.proc.wait()
