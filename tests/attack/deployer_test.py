"""A deployer, and many of his apps at once: what one says or does harms nobody else's."""
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
            told = record(f"a{a}", routes=[(f"/{f}", 0, f) for f in range(each)], functions=[f"f{f}" for f in range(each)])
            eq(deploy_bytes(state, told, *(kind(a * each + f) for f in range(each))), (0, ""))
    with node("--workers", "1", state=state) as n:
        os.kill(n.proc.pid, signal.SIGSTOP)
        clients = []
        for i in range(apps * each):
            clients.append(socket.create_connection(("127.0.0.1", n.port), 20))
            clients[-1].sendall(b"GET /%d HTTP/1.0\r\nHost: a%d.localhost\r\n\r\n" % (i % each, i // each))
        n.wait_taken(clients[-1])
        time.sleep(0.3)
        os.kill(n.proc.pid, signal.SIGCONT)
        answers = [c.recv(1 << 12)[:12] for c in clients]
        eq([a for a in answers if a != b"HTTP/1.1 200"], [])
