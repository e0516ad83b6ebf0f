"""Clients of running 0.2, 0.3 and CGI guests: requests that are sound, broken, pipelined, torn, stalled, half closed, reset.

A case is a list of requests and a way to send them. What is held: the requests before the first unsound one are answered in order, each once, with
a status that their path may have (echo: with their body) unless the connection is closed for a reason that is known; whatever is
said is well-formed; and when the client has nothing more to say the server comes to an end.
"""
import random, threading

from harness import *
from wire import *

CUT = None  # it may have any status, or break off: nothing is expected of what follows
PATHS = {
    "0.2": {"/": {200}, "/echo": {200}, "/teapot": {418}, "/counter": {200}, "/trap": {500}, "/noreply": {500}, "/forgets": {500}, "/error": CUT,
            "/stderr": {200}, "/twice": CUT, "/half": CUT, "/unfinished": CUT, "/after": CUT, "/big": CUT},
    "0.3": {"/": {200}, "/echo": {200}, "/slow": {200}, "/fields": CUT, "/forward": CUT, "/held": {200}, "/big": CUT, "/count": {200}, "/after": {200},
            "/trailers": {200}, "/error": CUT, "/status101": CUT, "/silent": {500}, "/trap": {500}, "/late-trap": CUT, "/short": CUT, "/long": CUT,
            "/bad-end": CUT, "/sent": CUT, "/grow": {200}, **{f"/misuse/{n}": CUT for n in (1, 2, 3, 5, 6, 7, 8)}},
    "0.3 mirror": {"/": {200}, "/mirror": {200}},
    "cgi": {"/": {200}, "/echo": {200}, "/env": {200}, "/status": {418}, "/trap": {500}, "/far": {500}, "/exit": CUT, "/nothing": CUT, "/garbage": CUT, "/half": CUT,
            "/stderr": {200}, "/counter": {200}},
}
FLAGS = ["--workers", "1", "--timeout", "20s", "--stream-timeout", "20s", "--header-timeout", "30s", "--body-timeout", "30s", "--max-body", "1M", "--no-access-log"]
ECHOES = ("/echo", "/mirror")  # the body comes back
ENOUGH = 600_000  # bytes that a client reads of what /big and /sent go on saying: then it goes away
TOKEN = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def some(rng, alphabet, most):
    return "".join(rng.choice(alphabet) for _ in range(rng.randint(1, most)))


class Request:
    """One that is sound: its bytes, and what may be answered."""

    def __init__(self, rng, kind):
        paths = PATHS[kind]
        self.path = rng.choice(["/", next(p for p in ECHOES if p in paths), rng.choice(list(paths))])
        self.may, self.body = paths[self.path], b""
        self.method = rng.choice(["GET", "GET", "POST", "POST", "PUT", "HEAD", "DELETE", "OPTIONS", "PATCH", "FROB"])
        if self.path in ECHOES and self.method == "HEAD":
            self.may = CUT
        target = self.path + ("?" + some(rng, TOKEN.replace("#", "") + "/?", 40) if kind in ("0.2", "cgi") and rng.random() < 0.2 else "")
        if rng.random() < 0.05:
            target = "http://example.org" + target
        fields = [("Host", rng.choice(["x", "example.org:80", "[::1]:8080"]))]
        for _ in range(rng.choice([0, 0, 1, 3, 20])):
            fields.append(("x-" + some(rng, TOKEN, 20), some(rng, TOKEN + " \t,;\"()\x80\xff", rng.choice([1, 40, 2000])).strip(" \t")))
        rng.random() < 0.1 and fields.append(("Cookie", some(rng, TOKEN, 100)))
        self.close = rng.random() < 0.15
        if self.close:
            fields.append(("Connection", "close"))
        payload = b""
        if self.method not in ("GET", "HEAD") or rng.random() < 0.1:
            self.body = rng.randbytes(rng.choice([0, 1, 5, 100, 5000, 70000]))
            if rng.random() < 0.5:
                fields.append(("Content-Length", str(len(self.body))))
                payload = self.body
            else:
                fields.append(("Transfer-Encoding", rng.choice(["chunked", "Chunked"])))
                payload = self.chunks(rng)
            if rng.random() < 0.1:
                fields.append(("Expect", "100-continue"))
        rng.shuffle(fields)
        line = lambda k, v: f"{k}:{rng.choice(['', ' ', '  '])}{v}{rng.choice(['', '', ' '])}\r\n"
        self.bytes = (f"{self.method} {target} HTTP/1.1\r\n" + "".join(line(k, v) for k, v in fields) + "\r\n").encode("latin-1") + payload

    def chunks(self, rng):
        out, at = b"", 0
        while at < len(self.body):
            n = rng.choice([1, 2, 100, 4096, 65536])
            n = min(n if len(self.body) < 5000 else max(n, 100), len(self.body) - at)
            extension = rng.choice([b"", b"", b"", b";a=b", b';q="\\" \xff"'])
            out += (rng.choice(["%x", "%X", "0%x"]) % n).encode() + extension + b"\r\n" + self.body[at:at + n] + b"\r\n"
            at += n
        trailers = rng.choice([b"", b"", b"X-Sum: 1\r\n", b"A:\r\nB: \xff\r\n"])
        return out + rng.choice([b"0", b"000"]) + b"\r\n" + trailers + b"\r\n"


def flip(rng, b):
    i = rng.randrange(len(b))
    return b[:i] + bytes([b[i] ^ 1 << rng.randrange(8)]) + b[i + 1:]


def delete(rng, b):
    i = rng.randrange(len(b))
    return b[:i] + b[i + rng.choice([1, 2, 20]):]


def insert(rng, b):
    i = rng.randrange(len(b) + 1)
    return b[:i] + rng.choice([b"\r\n", b"\n", b"\r", b"\0", b" ", b":", b"\r\n\r\n", b"0\r\n\r\n", b"Z\r\n", b"GET / HTTP/1.1\r\n", rng.randbytes(9)]) + b[i:]


def field(rng, b):
    """Another line behind the first: two framings, two hosts, a field that is none, one without an end."""
    line = rng.choice([b"Content-Length: 5", b"Content-Length: -1", b"Content-Length: 99999999999999999999", b"Content-Length: 5, 5", b"Content-Length: 0x5", b"Content-Length:",
                       b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: identity", b"Transfer-Encoding : chunked",
                       b"Host: y", b"Host:", b" folded", b": empty", b"no colon", b"x: \0", b"Connection: \xff, close, keep-alive, upgrade", b"Upgrade: h2c", b"Expect: 200-ok",
                       b"TE: trailers", b"x: " + b"y" * 70000, b"\r\n".join(b"a: b" for _ in range(500))])
    at = b.find(b"\r\n") + 2
    return b[:at] + line + b"\r\n" + b[at:]


def size(rng, b):
    """A chunk's size that is none, or too large."""
    at = b.find(b"\r\n\r\n") + 4
    return b[:at] + rng.choice([b"Z\r\n", b"-1\r\n", b"ffffffffffffffff\r\nx", b"10000000000000000\r\n", b"5 \r\nhello\r\n", b"5\nhello\n", b"5;\r\nhello!!\r\n", b"fffffff\r\n", b";\r\n", b"0\r\nX : y\r\n\r\n",
                            b"1" * 300 + b"\r\n", b"5;" + b"e" * 9000 + b"\r\nhello\r\n0\r\n\r\n"]) + b[at:]


def cut(rng, b):
    return b[:rng.randrange(len(b))]


def other(rng, b):
    return rng.choice([b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + rng.randbytes(200), b"GET /\r\n", b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
                       b"\r\n" * 100 + b, b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n", b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
                       b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", rng.randbytes(500)])


def pieces(rng, data):
    """How the bytes are torn: (bytes, pause in seconds)…"""
    how = rng.choice(["whole", "whole", "whole", "two", "some", "bytes", "lines"])
    if how == "bytes" and len(data) < 600:
        return [(data[i:i + 1], 0) for i in range(len(data))]
    if how == "lines" and data.count(b"\n") < 100:
        return [(p, 0.001) for p in re.split(rb"(?<=\n)", data) if p]
    if how in ("two", "some"):
        cuts = sorted({rng.randrange(len(data) + 1) for _ in range(1 if how == "two" else rng.randint(2, 12))})
        edges = [0, *cuts, len(data)]
        return [(data[a:b], rng.choice([0, 0.001, 0.02])) for a, b in zip(edges, edges[1:])]
    return [(data, 0)]


class Plan:
    def __init__(self, rng, kind):
        self.requests = [Request(rng, kind) for _ in range(rng.choice([1, 1, 1, 2, 3, 6]))]
        self.sound = len(self.requests)
        parts = [r.bytes for r in self.requests]
        self.broken = rng.random() < 0.5
        if self.broken:
            i = self.sound = rng.randrange(len(parts))
            for _ in range(rng.choice([1, 1, 2])):
                parts[i] = rng.choice([flip, flip, delete, insert, insert, field, field, size, cut, other])(rng, parts[i] or b"x")
        self.data = b"".join(parts)
        self.methods = [r.method for r in self.requests[:self.sound]]
        for i, r in enumerate(self.requests[:self.sound]):
            if r.close or r.may is CUT:
                self.sound = i + 1
                break
        self.pieces = pieces(rng, self.data) if self.data else []
        self.end = rng.choice(["wait", "wait", "wait", "wait", "hush", "hush", "reset", "close", "slow"])
        self.buffer = 4096 if self.end == "slow" else None
        self.stop_at = rng.randint(0, len(self.pieces)) if self.end in ("reset", "close") else None


def judged(plan, wire, strict):
    """What is wrong with what was answered, or None."""
    try:
        found, rest = responses(wire.got, plan.methods, wire.ended, plan.broken)
    except Malformed as e:
        return f"malformed: {e}"
    if len(found) > len(plan.requests) and not plan.broken:
        return f"{len(found)} responses to {len(plan.requests)} requests: {wire.got[:1000]!r}"
    if not strict:
        return None
    for i, r in enumerate(plan.requests[:plan.sound]):
        last = i == plan.sound - 1
        if r.may is CUT:
            return None if i < len(found) or wire.ended else "no answer"
        if i >= len(found):
            # A reset, which what is unsound may bring about, takes with it what was said before.
            if wire.ended != "eof" and plan.broken and wire.ended:
                return None
            return f"request {i} ({r.method} {r.path}) was not answered; the end: {wire.ended}; heard {wire.got[-300:]!r}"
        got = found[i]
        if got.status not in r.may:
            return f"request {i} ({r.method} {r.path}): status {got.status}; {got.body[:200]!r}"
        if not got.whole and not (plan.broken and wire.ended != "eof"):
            return f"request {i} ({r.method} {r.path}): its response breaks off after {len(got.body)} bytes; the end: {wire.ended}"
        if r.path in ECHOES and got.whole and got.body != r.body:
            return f"request {i} ({r.method} {r.path}): {len(got.body)} bytes came back of {len(r.body)}"
        if got.close:
            return None
    return None


def try_plan(plan, port, loose):
    wire = Wire(port, plan.buffer)
    try:
        for i, (piece, pause) in enumerate(plan.pieces):
            if plan.stop_at is not None and i >= plan.stop_at:
                break
            wire.say(piece)
            if pause:
                wire.hear(pause)
        if plan.end == "reset":
            wire.reset()
            return None
        if plan.end == "close":
            return None
        if plan.end == "slow":
            for _ in range(20):
                wire.hear(0.005, 7)
        def answered():
            if len(wire.got) > ENOUGH:
                return True
            found, _ = responses(wire.got, plan.methods, wire.ended, plan.broken)
            return len([f for f in found if f.whole]) >= plan.sound
        if plan.end == "hush":
            wire.hush()
        try:
            if not wire.until(answered, 40):
                return f"nothing but silence: {wire.got[-300:]!r} to {plan.data[:600]!r}"
            if len(wire.got) > ENOUGH:
                return None
            if plan.end != "hush":
                wire.hush()
            if not wire.until(lambda: len(wire.got) > ENOUGH, 40):
                return f"no end after the client's: {wire.got[-300:]!r} to {plan.data[:600]!r}"
        except Malformed as e:
            return f"malformed: {e} to {plan.data[:600]!r}"
        if len(wire.got) > ENOUGH:
            return None
        # Whoever says no more than this may have gone away: a server need not go on.
        said = judged(plan, wire, plan.end != "hush" and not loose)
        return said and f"{said}\nsaid: {plan.data[:1000]!r} {plan.end}"
    finally:
        wire.close()


class Target:
    bystanders = {}  # server: what its bystander may be answered, if not only 200

    def __init__(self, args):
        self.canary = args.canary

    def start(self, stack):
        at = lambda name: os.path.join(ROOT, "tests", "guests", name)
        if self.canary:
            self.ports = [("0.2", careless(), False)]
            return [stack.enter_context(serving(at("http.wasm"), *FLAGS))]
        servers = [stack.enter_context(serving(wasm, *FLAGS, *more)) for wasm, more in (
            (at("http.wasm"), ()), (at("http3.wasm"), ()), (guest("cgi"), ()), (at("calls/calls3.wasm"), ()), (at("http3.wasm"), ("--instance-concurrency", "4")))]
        self.ports = [(kind, s.port, i == 4) for i, (kind, s) in enumerate(zip(("0.2", "0.3", "cgi", "0.3 mirror", "0.3"), servers))]
        self.bystanders = {servers[4]: (200, 500)}  # a trap of one request ends all that share its instance
        return servers

    def harm(self, servers, held_s):
        pass

    def case(self, rng):
        kind, port, loose = rng.choice(self.ports)
        said = try_plan(Plan(rng, kind), port, loose)
        return said and f"{kind}{' shared' if loose else ''}: {said}"


def careless():
    """The canary: a server that knows nothing of bodies, so that a client can hide a request in one. Its port."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=100)

    def serve(c):
        data = b""
        with contextlib.suppress(OSError):
            while piece := c.recv(65536):
                data += piece
                while b"\r\n\r\n" in data:
                    data = data.split(b"\r\n\r\n", 1)[1]
                    c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        c.close()

    def loop():
        while True:
            threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
    threading.Thread(target=loop, daemon=True).start()
    return listener.getsockname()[1]
