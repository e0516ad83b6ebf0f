"""gRPC through a guest of WASI 0.3: by a client of our own, which is HTTP/2 frame by frame, and by grpcio where that is installed."""
import struct, threading

import http2
from harness import *
from nodes import *

SERVICE = os.path.join(ROOT, "tests", "guests", "http3.wasm")
DEADLINE_EXCEEDED, NOT_FOUND, RESOURCE_EXHAUSTED, UNIMPLEMENTED, INTERNAL, DATA_LOSS = 4, 5, 8, 12, 13, 15


def message(data):
    return struct.pack(">BI", 0, len(data)) + data


def messages(body):
    out = []
    while body:
        n = int.from_bytes(body[1:5], "big")
        check(body[0] == 0 and len(body) >= 5 + n, body[:20])
        out.append(body[5:5 + n])
        body = body[5 + n:]
    return out


class Calls:
    """Of one connection to an app."""

    def __init__(self, n, app="a"):
        self.c, self.app = http2.Client(n.port), app

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.c.__exit__()

    def begin(self, method, *sent, ends=True, more=()):
        stream = self.c.ask("/orlo.test.Echo/" + method, method="POST", ends=False, authority=self.app + ".localhost", more=[("content-type", "application/grpc"), ("te", "trailers"), *more])
        for m in sent:
            for i in range(0, len(m) + 5, 16384):
                self.c.data(stream, message(m)[i:i + 16384])
        if ends:
            self.c.send(http2.frame(http2.DATA, http2.END_STREAM, stream))
        return stream

    def got(self, stream):
        a = self.c.answers.get(stream)
        return messages(a.body) if a else []

    def over(self, stream):
        """(status, message, what came)"""
        a = self.c.answer(stream)
        eq((a.status, a.fields.get("content-type"), a.reset), (200, "application/grpc", None))
        last = a.trailers if a.trailers is not None else a.fields
        return int(last["grpc-status"]), last.get("grpc-message"), messages(a.body)

    def call(self, method, *sent, more=()):
        return self.over(self.begin(method, *sent, more=more))


def test_grpc():
    """Each kind of call; what is refused, has failed or took too long, in its own words; a client that leaves."""
    with node("--workers", "1") as n:
        n.deploy("a", SERVICE, "--instance-concurrency", "32", "--max-body", "2MiB")
        n.deploy("slow", SERVICE, "--timeout", "1s", "--stream-timeout", "1s")
        with Calls(n) as c, Calls(n, "slow") as slow, Calls(n, "nobody") as nobody:
            eq(c.call("Unary", b"hello"), (0, None, [b"hello"]))
            eq(c.call("Unary", b""), (0, None, [b""]))
            eq(c.call("Unary", b"x" * 60_000), (0, None, [b"x" * 60_000]))
            eq(c.call("Collect", *[b"y" * i for i in range(200)]), (0, None, [b"19900"]))
            eq(c.call("Expand", bytes(range(200))), (0, None, [bytes([i]) for i in range(200)]))
            eq(c.call("Nothing"), (NOT_FOUND, "there is no such thing%21", []))
            chat = c.begin("Chat", ends=False)  # each answer comes before the next question goes
            for i in range(20):
                c.c.data(chat, message(b"%d" % i))
                c.c.wait(lambda: len(c.got(chat)) == i + 1)
            c.c.send(http2.frame(http2.DATA, http2.END_STREAM, chat))
            eq(c.over(chat), (0, None, [b"%d" % i for i in range(20)]))
            forever = c.begin("Forever", b"")
            c.c.wait(lambda: len(c.got(forever)) > 2)
            c.c.send(http2.frame(http2.RST_STREAM, 0, forever, struct.pack(">I", http2.CANCEL)))
            until(lambda: c.call("Left") == (0, None, [b"1"]))
            eq(c.call("Trap", b"")[:2], (INTERNAL, "The app failed to answer."))
            eq(slow.call("Sleep", b"")[:2], (DEADLINE_EXCEEDED, "The app took too long to answer."))
            eq(c.call("Sleep", b"", more=[("grpc-timeout", "300m")])[0], DEADLINE_EXCEEDED)
            eq(c.call("Unary", b"a", more=[("grpc-timeout", "1H")]), (0, None, [b"a"]))
            eq(c.call("Unary", b"a", more=[("grpc-timeout", "soon")]), (0, None, [b"a"]))
            eq(nobody.call("Unary", b"a")[:2], (UNIMPLEMENTED, "No app answers for this host."))
            eq(c.over(c.begin("Unary", b"a", more=[("content-length", str(3 << 20))], ends=False))[0], RESOURCE_EXHAUSTED)
            eq(c.call("Collect", *[b"z" * 60_000] * 50)[0], DATA_LOSS)  # the guest saw that it was not whole
        eq([n.wait_event("request", app="slow")["status"]], [504])  # the log has it as it is to everybody else


def test_grpcio():
    """The same by a client that others wrote."""
    try:
        import grpc
    except ImportError:
        raise Skip("grpcio is not installed (pip install grpcio)")
    with node("--workers", "1") as n:
        n.deploy("a", SERVICE, "--instance-concurrency", "32")
        with grpc.insecure_channel(f"127.0.0.1:{n.port}", options=[("grpc.default_authority", "a.localhost"), ("grpc.enable_retries", 0)]) as channel:
            at = "/orlo.test.Echo/"
            eq(channel.unary_unary(at + "Unary")(b"hello", timeout=PATIENCE_S), b"hello")
            eq(channel.unary_unary(at + "Unary")(b"x" * 60_000, timeout=PATIENCE_S), b"x" * 60_000)
            eq(channel.stream_unary(at + "Collect")((b"y" * i for i in range(200)), timeout=PATIENCE_S), b"19900")
            eq(list(channel.unary_stream(at + "Expand")(bytes(range(200)), timeout=PATIENCE_S)), [bytes([i]) for i in range(200)])
            said, turn = [], threading.Semaphore(1)

            def asks():
                for i in range(20):
                    turn.acquire()
                    yield b"%d" % i
            for answer in channel.stream_stream(at + "Chat")(asks(), timeout=PATIENCE_S):
                said.append(answer)
                turn.release()
            eq(said, [b"%d" % i for i in range(20)])

            def status(call, *args, **named):
                try:
                    call(*args, **named)
                except grpc.RpcError as e:
                    return e.code().value[0], e.details()
            eq(status(channel.unary_unary(at + "Nothing"), b"", timeout=PATIENCE_S), (NOT_FOUND, "there is no such thing!"))
            eq(status(channel.unary_unary(at + "Trap"), b"", timeout=PATIENCE_S), (INTERNAL, "The app failed to answer."))
            eq(status(channel.unary_unary(at + "Sleep"), b"", timeout=0.3)[0], DEADLINE_EXCEEDED)
            forever = channel.unary_stream(at + "Forever")(b"")
            eq([next(forever) for _ in range(3)], [b"0\n", b"1\n", b"2\n"])
            forever.cancel()
            until(lambda: channel.unary_unary(at + "Left")(b"", timeout=PATIENCE_S) == b"1")
            with grpc.insecure_channel(f"127.0.0.1:{n.port}", options=[("grpc.default_authority", "nobody.localhost")]) as other:
                eq(status(other.unary_unary(at + "Unary"), b"", timeout=PATIENCE_S), (UNIMPLEMENTED, "No app answers for this host."))
