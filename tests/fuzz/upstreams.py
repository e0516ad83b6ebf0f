"""Upstreams of guests that pass a request on and the answer back, 0.2 and 0.3: sound ones, and such that answer early, late, twice, wrongly, not
at all, or break off.

What is held: the client is answered once, with something well-formed, or its connection is closed, within the time that a request has; a
sound upstream's answer arrives whole, and what it heard is what the client said; nobody is given what his upstream did not say for him
(an upstream that says too much on a connection has spoilt that connection).
"""
import queue

import hostile
from harness import *
from wire import *

FLAGS = ["--workers", "1", "--timeout", "5s", "--stream-timeout", "5s", "--no-access-log", "--max-memory", "64M"]


class Target:
    bystanders = {}  # server: what its bystander may be answered, if not only 200

    def __init__(self, args):
        self.free = queue.Queue()
        self.upstreams = [hostile.Upstream() for _ in range(16)]
        for u in self.upstreams:
            self.free.put(u)

    def start(self, stack):
        grants = [x for u in self.upstreams for x in ("--allow-http", f"127.0.0.1:{u.port}")]
        self.servers = [stack.enter_context(serving(os.path.join(ROOT, "tests", "guests", "calls", f"calls{n}.wasm"), *FLAGS, *grants)) for n in (2, 3)]
        return self.servers

    def harm(self, servers, held_s):
        held = processes.stop(servers[1].role("worker"))
        threading.Timer(held_s, processes.go_on, (held,)).start()

    def case(self, rng):
        plan, s = hostile.Plan(rng), rng.choice(self.servers)
        body = plan.nonce * rng.choice([0, 1, 100, 20000])
        upstream = self.free.get()
        upstream.arm(plan)
        wire = Wire(s.port)
        try:
            head = f"POST /proxy?{upstream.port} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n".encode()
            if rng.random() < 0.5:
                request = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
            else:
                request = head + b"Transfer-Encoding: chunked\r\n\r\n" + (b"%x\r\n%s\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n"
            leaves = not plan.sound and rng.random() < 0.2
            if leaves:
                wire.say(request[:rng.randrange(len(request))], 1)
                wire.hear(rng.choice([0, 0.01, 0.1]))
                wire.reset() if rng.random() < 0.5 else wire.hush()
                return None
            wire.say(request)
            if not wire.until(lambda: len(wire.got) > 2_000_000, 60):
                return f"no end: {wire.got[:300]!r}"
            return self.judge(plan, upstream, wire, body)
        finally:
            wire.close()
            upstream.settle()
            self.free.put(upstream)

    def judge(self, plan, upstream, wire, body):
        about = f"; the upstream {plan.reads} {plan.then} {plan.answer[:300]!r}, heard {[len(h) for h in upstream.heard]}"
        if hostile.MARK in wire.got and hostile.MARK not in plan.answer:
            return f"a response that nobody asked for: {wire.got[:300]!r}" + about
        try:
            found, rest = responses(wire.got, ["POST"], wire.ended)
        except Malformed as e:
            return f"malformed: {e}" + about
        if len(found) > 1:
            return f"{len(found)} responses: {wire.got[:500]!r}" + about
        if plan.sound:
            if not found or found[0].status != plan.status or found[0].body != plan.body or not found[0].whole:
                return f"a sound upstream: {wire.got[:500]!r}, {len(wire.got)} bytes, instead of {plan.status} and {len(plan.body)}" + about
            if body not in upstream.heard:
                return f"the upstream did not hear what was said, {len(body)} bytes" + about
        return None
