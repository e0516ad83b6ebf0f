"""Whose fault it was: a client's body that breaks is the client's, whatever kind of guest was reading it and whatever that made of it."""
from harness import *

BROKEN = (b"4\r\nabcd\r\nzz\r\n\r\n", b"4\r\nabcdX", b"-1\r\n", b"ffffffffffffffffff\r\n")


def test_broken_bodies_are_the_clients():
    guests = os.path.join(ROOT, "tests", "guests")
    # A program cannot know; one that hands its request's stream back is cut short; two are told, and answer all the same.
    for wasm, path, status in ((guest("cgi"), "/echo", 400), (os.path.join(guests, "http3.wasm"), "/hand-back", 400),
                               (os.path.join(guests, "http.wasm"), "/echo", 200), (os.path.join(guests, "http3.wasm"), "/echo", 200)):
        with serving(wasm, "--workers", "1") as s, attacked(s):
            for body in BROKEN:
                answer = raw(s.port, b"POST " + path.encode() + b" HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
                check(answer == b"" or int(answer.split()[1]) in (status, 400), wasm, body, answer)
            eq(s.events("guest-failed"), [])
