"""An upstream that does to each connection what its plan says, sound or not."""
import random, socket, struct, threading, time

from clients import cut, delete, flip, insert

MARK = b"NOT-ASKED-FOR"  # in what no request asked for: nobody may ever be answered with it


class Plan:
    """How requests are answered; `nonce` is what a sound answer says."""

    def __init__(self, rng):
        self.nonce = b"%016x" % rng.getrandbits(64)
        self.sound = rng.random() < 0.4
        self.body = self.nonce * rng.choice([1, 1, 10, 5000])
        self.status = rng.choice([200, 200, 200, 404, 500]) if self.sound else rng.choice([200, 204, 304, 413, 500, 101, 199, 999, 100])
        self.reads = "all" if self.sound else rng.choice(["all", "all", "head", "nothing", "some"])
        self.answer = self.sound_answer(rng) if self.sound else self.any_answer(rng)
        self.pieces = rng.choice([1, 1, 2, 10])
        self.pause = rng.choice([0, 0, 0.001, 0.02])
        self.then = "keep" if self.sound else rng.choice(["keep", "keep", "close", "reset", "stall"])
        self.at = random.Random(rng.random())

    def sound_answer(self, rng):
        head = b"HTTP/1.1 %d X\r\nx-nonce: %s\r\n" % (self.status, self.nonce)
        interim = rng.choice([b"", b"", b"", b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"])
        if rng.random() < 0.5:
            return interim + head + b"Content-Length: %d\r\n\r\n" % len(self.body) + self.body
        return interim + head + b"Transfer-Encoding: chunked\r\n\r\n" + self.chunks(rng) + b"0\r\n" + rng.choice([b"", b"x-t: 1\r\n"]) + b"\r\n"

    def chunks(self, rng):
        out, at = b"", 0
        while at < len(self.body):
            n = rng.choice([1, 16, 4096, 65536]) if len(self.body) < 1000 else rng.choice([4096, 65536])
            out += b"%x\r\n" % len(self.body[at:at + n]) + self.body[at:at + n] + b"\r\n"
            at += n
        return out

    def any_answer(self, rng):
        head = b"HTTP/1.1 %d X\r\n" % self.status
        extra = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(MARK) + MARK
        return rng.choice([
            lambda: b"",
            lambda: rng.randbytes(rng.choice([1, 100, 5000])),
            lambda: flip(rng, self.sound_answer(rng)),
            lambda: insert(rng, self.sound_answer(rng)),
            lambda: delete(rng, self.sound_answer(rng)),
            lambda: cut(rng, self.sound_answer(rng)),
            lambda: self.sound_answer(rng) + extra,  # for whoever is next on this connection
            lambda: head + b"Content-Length: 3\r\n\r\n" + b"abc" + extra,
            lambda: head + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
            lambda: head + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + extra,
            lambda: head + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
            lambda: head + b"Transfer-Encoding: gzip\r\n\r\nxxx",
            lambda: head + b"Content-Length: 99999999999999999999\r\n\r\nx",
            lambda: head + b"Content-Length: -1\r\n\r\nx",
            lambda: head + b"Content-Length: 1000000\r\n\r\nshort",
            lambda: head + b"Transfer-Encoding: chunked\r\n\r\n" + rng.choice([b"Z\r\n", b"ffffffffffffffff\r\n", b"5\r\nhelloX", b"5\r\nhello\r\n0\r\nbad trailer\r\n\r\n", b"5;" + b"e" * 100000 + b"\r\n", b"0\r\n" + b"x: y\r\n" * 5000 + b"\r\n"]),
            lambda: head + b"x: " + b"y" * rng.choice([10000, 300000, 2000000]) + b"\r\n\r\n",
            lambda: head + b"x: y\r\n" * rng.choice([200, 5000]) + b"\r\n",
            lambda: b"HTTP/1.1 100 Continue\r\n\r\n" * rng.choice([1, 100, 5000]),
            lambda: b"HTTP/1.1 103 Early Hints\r\n" + b"x: y\r\n" * 50 + b"\r\n" + self.sound_answer(rng),
            lambda: b"HTTP/1.0 200 OK\r\n\r\n" + self.body,
            lambda: b"HTTP/0.9\r\n\r\n",
            lambda: b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
            lambda: head + b"Connection: close\r\nContent-Encoding: gzip\r\nContent-Length: 9\r\n\r\n\x1f\x8b\x08xxxxxx",
            lambda: head + b"Location: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
            lambda: head + b"a: \0\r\nb: \xff\r\n: c\r\n d\r\nContent-Length: 0\r\n\r\n",
            lambda: head + b"Connection: close\r\n\r\n" + b"endless " * 100000,
        ])()


class Upstream:
    """A listener whose connections follow the plan that it has at the time."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port = self.listener.getsockname()[1]
        self.plan, self.heard, self.open = Plan(random.Random(0)), [], set()
        threading.Thread(target=self.accept, daemon=True).start()

    def arm(self, plan):
        self.plan, self.heard = plan, []

    def settle(self):
        """A connection on which not all was heard, or that is about to be closed, is no place for somebody else's request."""
        if self.plan.reads == "all" and self.plan.then == "keep":
            return
        for c in list(self.open):
            try:
                c.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        time.sleep(0.02)

    def accept(self):
        while True:
            c, _ = self.listener.accept()
            self.open.add(c)
            threading.Thread(target=self.serve, args=(c,), daemon=True).start()

    def serve(self, c):
        try:
            while self.one(c):
                pass
        except (OSError, ValueError):
            pass
        self.open.discard(c)
        c.close()

    def one(self, c):
        """One request of a connection; whether there may be another."""
        c.settimeout(30)
        first = c.recv(65536)  # a connection that was kept waits for its next request, and that one's plan
        plan, data = self.plan, first
        if not data:
            return False
        if plan.reads in ("all", "head", "some"):
            while b"\r\n\r\n" not in data:
                if not (piece := c.recv(65536)):
                    return False
                data += piece
        head, _, rest = data.partition(b"\r\n\r\n")
        if plan.reads == "all":
            body = self.body(c, head.lower(), rest)
            if body is None:
                return False
            self.heard.append(body)
        answer, n = plan.answer, max(1, len(plan.answer) // plan.pieces)
        for i in range(0, len(answer), n):
            c.sendall(answer[i:i + n])
            time.sleep(plan.pause)
        if plan.reads == "some":
            c.settimeout(0.05)
            try:
                c.recv(65536)
            except TimeoutError:
                pass
        if plan.then == "reset":
            c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if plan.then == "stall":
            c.settimeout(1)
            try:
                while c.recv(65536):
                    pass
            except TimeoutError:
                pass
        return plan.then == "keep"

    def body(self, c, head, rest):
        """None: it broke off."""
        def more():
            nonlocal rest
            piece = c.recv(65536)
            rest += piece
            return bool(piece)
        if b"transfer-encoding: chunked" in head:
            body = b""
            while True:
                while b"\r\n" not in rest:
                    if not more():
                        return None
                line, _, rest = rest.partition(b"\r\n")
                n = int(line.split(b";")[0], 16)
                while len(rest) < n + 2:
                    if not more():
                        return None
                if n == 0:
                    while b"\r\n" not in rest or (rest[:2] != b"\r\n" and b"\r\n\r\n" not in rest):
                        if not more():
                            return None
                    return body
                body += rest[:n]
                rest = rest[n + 2:]
        n = 0
        for line in head.split(b"\r\n"):
            if line.startswith(b"content-length:"):
                n = int(line[15:])
        while len(rest) < n:
            if not more():
                return None
        return rest[:n]
