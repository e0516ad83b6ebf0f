"""What one app, one process or one machine's fault may cost others: crashes, cordons, configuration that changes, full disks, and who watches over it all."""
import os, socket, sys, threading, time

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
