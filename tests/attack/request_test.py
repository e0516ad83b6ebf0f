"""Whose fault it was: a client's body that breaks is the client's, whatever kind of guest was reading it and whatever that made of it."""
from harness import *

BROKEN = (b"4\r\nabcd\r\nzz\r\n\r\n", b"4\r\nabcdX", b"-1\r\n", b"ffffffffffffffffff\r\n")


def test_broken_bodies_are_the_clients():
    guests = os.path.join(ROOT, "tests", "guests")
    for wasm in (guest("cgi"), os.path.join(guests, "http.wasm"), os.path.join(guests, "http3.wasm")):
        with serving(wasm, "--workers", "1") as s, attacked(s):
            for body in BROKEN:
                answer = raw(s.port, b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
                answers = wasm.endswith("http.wasm") and answer.startswith(b"HTTP/1.1 200 ")  # it was told, and answered all the same
                check(answer == b"" or answers or answer.startswith(b"HTTP/1.1 400 "), wasm, body, answer)
            eq(s.events("guest-failed"), [])
