"""What one app, one process or one machine's fault may cost others: crashes, cordons, configuration that changes, full disks, and who watches over it all."""
import http.client, os, signal, socket, sys, threading, time

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
        threading.Thread(target=self.read, daemon=True).start()

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
            with contextlib.suppress(OSError):
                check(b"NOTIFY_SOCKET" not in open(f"/proc/{pid}/environ", "rb").read(), pid)
        os.kill(n.proc.pid, signal.SIGSTOP)
        time.sleep(0.3)
        while True:  # what it had said before it was stopped
            before = len(m.said)
            time.sleep(0.5)
            if len(m.said) == before:
                break
        os.kill(n.proc.pid, signal.SIGCONT)
        m.wait("WATCHDOG=1", m.lines().count("WATCHDOG=1") + 1)
    m.wait("STOPPING=1")
    m.enough.set()


def test_service_manager_that_does_not_listen():
    m = Manager("deaf")
    m.enough.set()
    time.sleep(0.3)  # nobody reads any more: its queue is full after a few
    with environment(NOTIFY_SOCKET=m.path, WATCHDOG_USEC="20000", WATCHDOG_PID="1"), node("--workers", "1") as n:
        m.wait("READY=1") if m.said else None
        n.deploy("a", guest("tenant"), "--env", "APP=a")
        eq(n.get("a").text, "a\n")
    with environment(NOTIFY_SOCKET="/nowhere/at/all"), node("--workers", "1") as n:
        n.wait_event("not-notified")
    with environment(NOTIFY_SOCKET="@" + os.path.basename(WORK)):
        abstract = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        abstract.bind("\0" + os.path.basename(WORK))
        abstract.settimeout(30)
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
                c = c or http.client.HTTPConnection("127.0.0.1", n.port, timeout=30)
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
    state["thread"].join(40)
    check(not state["thread"].is_alive() and state["asked"] > 3, state["asked"])
    return state["wrong"]


def busy_worker(n):
    """The one that computes."""
    def spent(pid):
        return sum(map(int, open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[11:13]))
    before = {p: spent(p) for p in n.workers()}
    time.sleep(0.3)
    return max(n.workers(), key=lambda p: spent(p) - before.get(p, 0))


def kill_by(n, app):
    """A worker dies while this app's guest runs."""
    c = socket.create_connection(("127.0.0.1", n.port))
    c.sendall(f"GET /loop HTTP/1.1\r\nHost: {app}.localhost\r\n\r\n".encode())
    died = len(n.events("worker-died"))
    os.kill(busy_worker(n), signal.SIGSEGV)
    n.wait_event("worker-died", 10, died + 1)
    c.close()


def test_who_kills_workers_gets_his_own():
    with node("--workers", "1") as n:
        for app in ("bad", "good", "other"):
            n.deploy(app, guest("tenant"), "--env", "APP=" + app, "--timeout", "60s")
        kill_by(n, "bad")
        eq(n.get("bad").text, "bad\n")
        check(not n.events("app-quarantined"), n.log())
        kill_by(n, "bad")
        n.wait_event("app-quarantined", 10, app="bad")
        until(lambda: len(n.workers()) == 2)
        eq(n.get("bad").text, "bad\n")
        bystander = hammer(n, "good")
        until(lambda: bystander["asked"] > 20)
        mine, = [p for p in n.workers()][:1]
        for _ in range(3):  # it kills on, and hurts itself alone
            kill_by(n, "bad")
        eq(ended(bystander), [])
        eq(n.get("bad").text, "bad\n")
        conn = http.client.HTTPConnection("127.0.0.1", n.port, timeout=30)  # one connection, two processes in turn
        for i in range(40):
            app = ("bad", "good", "other")[i % 3]
            conn.request("GET", "/", headers={"Host": app + ".localhost"})
            r = conn.getresponse()
            eq((r.status, r.read().decode()), (200, app + "\n"))
        os.kill(next(p for p in n.processes() if open(f"/proc/{p}/comm").read().strip() == "orlo-control"), signal.SIGKILL)
        n.wait_event("role-died", 10, role="control")
        eq(n.get("bad").text, "bad\n")
        check(len(n.workers()) == 2, n.workers())  # that is kept
        bystander = hammer(n, "bad")
        until(lambda: bystander["asked"] > 20)
        n.deploy("bad", guest("tenant"), "--env", "APP=bad", "--timeout", "60s")
        until(lambda: len(n.workers()) == 1)
        eq(ended(bystander), [])
        eq(n.get("bad").text, "bad\n")
