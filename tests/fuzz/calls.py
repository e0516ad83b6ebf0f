"""Guests that call whatever wasi:http 0.2 and 0.3 has, in whatever order: programs of calls, sent as requests to tests/guests/calls.

A program is made of pieces that make sense (a request that is made and sent, a response with its body, a wait), torn, repeated and mixed with
calls of any kind. What is held: a trap, an error, a 500 or the deadline are all fine; but the client is answered once or its connection
is closed, the worker lives, and others are answered.
"""
import json, queue

import hostile
from harness import *
from wire import *

FLAGS = ["--workers", "1", "--timeout", "2s", "--stream-timeout", "2s", "--no-access-log", "--max-memory", "16M"]
SOME, NONE, OK, AUTHORITY = 1, 0, 0, 100
# Pieces of programs: calls with their operands, where 0 is the newest handle of its type (tests/guests/calls/calls.h).
PIECES = {
    2: [
        [("[constructor]fields",), ("[constructor]outgoing-request", 0), ("[method]outgoing-request.set-authority", 0, SOME, AUTHORITY),
         ("[method]outgoing-request.set-path-with-query", 0, SOME, 1), ("[method]outgoing-request.set-scheme", 0, SOME, 0),
         ("[method]outgoing-request.set-method", 0, "r9"), ("[method]outgoing-request.body", 0)],
        [("outgoing-handler.handle", 0, NONE)],
        [("[constructor]request-options",), ("[method]request-options.set-first-byte-timeout", 0, SOME, 10), ("outgoing-handler.handle", 0, SOME, 0)],
        [("[method]outgoing-body.write", 0), ("[method]output-stream.blocking-write-and-flush", 0, "t")],
        [("[method]output-stream.check-write", 0), ("[method]output-stream.write", 0, "t"), ("[method]output-stream.subscribe", 0), ("[method]pollable.block", 0)],
        [("[resource-drop]output-stream", 0), ("[static]outgoing-body.finish", 0, NONE)],
        [("[resource-drop]output-stream", 0), ("[constructor]fields",), ("[static]outgoing-body.finish", 0, SOME, 0)],
        [("[resource-drop]output-stream", 0), ("[resource-drop]outgoing-body", 0)],
        [("[method]future-incoming-response.subscribe", 0), ("[method]pollable.block", 0), ("[resource-drop]pollable", 0), ("[method]future-incoming-response.get", 0)],
        [("[method]incoming-response.consume", 0), ("[method]incoming-body.stream", 0), ("[method]input-stream.blocking-read", 0, "n")],
        [("[method]incoming-request.consume", 0), ("[method]incoming-body.stream", 0), ("[method]input-stream.blocking-read", 0, "n")],
        [("[method]output-stream.blocking-splice", 0, 0, "n")],
        [("[resource-drop]input-stream", 0), ("[static]incoming-body.finish", 0), ("[method]future-trailers.subscribe", 0), ("[method]pollable.block", 0), ("[method]future-trailers.get", 0)],
        [("[constructor]fields",), ("[constructor]outgoing-response", 0), ("[method]outgoing-response.body", 0), ("[static]response-outparam.set", 0, OK, 0)],
        [("[constructor]fields",), ("[method]fields.append", 0, "t", "t"), ("[constructor]outgoing-response", 0), ("[static]response-outparam.set", 0, OK, 0)],
        [("[method]incoming-request.headers", 0), ("[method]fields.clone", 0), ("[method]fields.set", 0, "t", "r4", "t", "t", "t"), ("[method]fields.entries", 0)],
        [("monotonic-clock.subscribe-duration", "n"), ("[method]input-stream.subscribe", 0), ("poll.poll", "r4", "r3", "r3", "r3")],
        [("[resource-drop]future-incoming-response", 0)],
        [("[resource-drop]incoming-response", 0)],
        [("[resource-drop]incoming-request", 0)],
    ],
    3: [
        [("[constructor]fields",), ("stream.new",), ("trailers.new",), ("[static]request.new", 0, SOME, 0, 0, NONE), ("[method]request.set-authority", 0, SOME, AUTHORITY),
         ("[method]request.set-path-with-query", 0, SOME, 1), ("[method]request.set-scheme", 0, SOME, 0), ("[method]request.set-method", 0, "r9")],
        [("[constructor]fields",), ("trailers.new",), ("[static]request.new", 0, NONE, 0, NONE), ("[method]request.set-authority", 0, SOME, AUTHORITY), ("[method]request.set-scheme", 0, SOME, 0)],
        [("client.send", 0)],
        [("stream.write", 0, "t")],
        [("stream.drop-writable", 0), ("trailers.write", 0, "r3", 0)],
        [("trailers.drop-writable", 0)],
        [("set.new",), ("join", "r7", 0, 0, 0), ("set.wait", 0)],
        [("set.new",), ("join", 0, 0, 0, 0), ("set.wait", 0), ("set.wait", 0)],
        [("set.new",), ("join", "r7", "r3", 0, 0), ("join", "r7", 0, 0, 0), ("wait-for", "r9"), ("join", 0, 0, 0, 0), ("set.wait", 0), ("set.poll", 0)],
        [("sent.new",), ("[static]response.consume-body", 0, 0), ("stream.read", 0, "n")],
        [("sent.new",), ("[static]request.consume-body", 0, 0), ("stream.read", 0, "n"), ("trailers.read", 0)],
        [("sent.write", 0, "r2", 0)],
        [("sent.drop-readable", 0)],
        [("sent.read", 0), ("sent.cancel-read", 0)],
        [("[constructor]fields",), ("stream.new",), ("trailers.new",), ("[static]response.new", 0, SOME, 0, 0), ("task.return", 0, 0)],
        [("[constructor]fields",), ("[method]fields.append", 0, "t", "t"), ("trailers.new",), ("[static]response.new", 0, NONE, 0), ("task.return", 0, 0)],
        [("sent.new",), ("[static]request.consume-body", 0, 0), ("[constructor]fields",), ("[static]response.new", 0, SOME, 0, 0), ("task.return", 0, 0)],  # handed back
        [("[constructor]fields",), ("trailers.new",), ("[static]response.new", 0, NONE, 0), ("sent.new",), ("[static]response.consume-body", 0, 0)],  # a chain
        [("stream.cancel-write", 0)], [("stream.cancel-read", 0)], [("stream.drop-readable", 0)], [("subtask.cancel", 0), ("subtask.drop", 0)],
        [("trailers.read", 0), ("trailers.cancel-read", 0), ("trailers.drop-readable", 0)],
    ],
}


class Target:
    bystanders = {}  # server: what its bystander may be answered, if not only 200

    def __init__(self, args):
        self.free = queue.Queue()
        self.upstreams = [hostile.Upstream() for _ in range(16)]
        for u in self.upstreams:
            self.free.put(u)
        self.ops = {}
        for n in PIECES:
            with open(os.path.join(ROOT, "tests", "guests", "calls", f"calls{n}.json")) as f:
                self.ops[n] = {name: i for i, name in enumerate(json.load(f))}

    def start(self, stack):
        grants = [x for u in self.upstreams for x in ("--allow-http", f"127.0.0.1:{u.port}")]
        self.servers = {n: stack.enter_context(serving(os.path.join(ROOT, "tests", "guests", "calls", f"calls{n}.wasm"), *FLAGS, *grants)) for n in PIECES}
        return list(self.servers.values())

    def harm(self, servers, held_s):
        processes.kill(servers[0].role("worker"))

    def operand(self, rng, x):
        if isinstance(x, str):
            return {"t": lambda: rng.choice([0, 1, 2, 4, rng.randrange(256), 250, 253, 255]), "n": lambda: rng.randrange(14)}.get(x, lambda: rng.randrange(int(x[1:])))()
        return x if rng.random() < 0.97 else rng.choice([1, 2, 251, 253, 255, rng.randrange(256)])

    def program(self, rng, n):
        calls, ops = [], self.ops[n]
        for _ in range(rng.choice([2, 5, 10, 20])):
            if rng.random() < 0.8:
                piece = list(rng.choice(PIECES[n]))
                if rng.random() < 0.15:
                    del piece[rng.randrange(len(piece))]
                if rng.random() < 0.15:
                    rng.shuffle(piece)
                calls += piece * rng.choice([1, 1, 1, 1, 2, 40])
                if rng.random() < 0.05:
                    calls.append(("again", sum(map(len, piece)), "r256"))
            else:
                calls.append((rng.choice(list(ops)), *(rng.choice([0, 0, 0, 1, rng.randrange(256)]) for _ in range(rng.randrange(5)))))
        return bytes(b for name, *operands in calls for b in (ops[name], *(self.operand(rng, x) for x in operands)))[:2500]

    def case(self, rng):
        n = rng.choice(list(PIECES))
        program, plan = self.program(rng, n), hostile.Plan(rng)
        upstream = self.free.get()
        upstream.arm(plan)
        wire = Wire(self.servers[n].port)
        try:
            wire.say(f"POST /p?{upstream.port}.{program.hex()} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n".encode())
            body = rng.choice([b"", b"x", b"y" * 100, b"z" * 70000])
            if rng.random() < 0.5:
                wire.say(b"Content-Length: %d\r\n\r\n" % len(body) + body)
            else:
                wire.say(b"Transfer-Encoding: chunked\r\n\r\n" + (b"%x\r\n%s\r\n" % (len(body), body) if body else b"") +
                         rng.choice([b"0\r\n\r\n", b"0\r\n\r\n", b"0\r\nx: y\r\n\r\n", b"Z\r\n", b""]))
            if rng.random() < 0.1:
                wire.hear(0.05)
                wire.reset()
                return None
            if not wire.until(lambda: len(wire.got) > 2_000_000, 60):
                return f"0.{n}: no end: {wire.got[:300]!r} to {program.hex()}"
            try:
                found, _ = responses(wire.got, ["POST"], wire.ended, more=True)
            except Malformed as e:
                return f"0.{n}: malformed: {e} to {program.hex()}"
            return f"0.{n}: {len(found)} responses to {program.hex()}" if len(found) > 1 else None
        finally:
            wire.close()
            upstream.settle()
            self.free.put(upstream)
