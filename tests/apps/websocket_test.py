"""WebSockets of guests (wasmcloud:websocket/handler): the cases of the Autobahn test suite's groups 1 to 7, 9, 10, 12 and 13, and what else may be
asked of who answers one. The suite's own program needs Python 2; these are its cases, as its documents describe them, for a runner of ours: one
node, one program."""
import random, select, struct, zlib

import websocket
from harness import *
from nodes import *
from websocket import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, close, frame

SOCKETS = os.path.join(ROOT, "tests", "guests", "socket3.wasm")
KOSME = "κόσμε".encode()


def deployed(n, app, wasm=SOCKETS, **bounds):
    deploy_function(n, app, wasm, limits(**{"instance_requests": 64, **bounds}))


# ---- Autobahn -------------------------------------------------------------------------------------------------------

STAR = b"*"
FAIL, DATA_FAIL = 1002, 1007  # it is told what is wrong, and hung up on


def good_utf8():
    yield from (b"", "Hello-µ@ßöäüàá-UTF-8!!".encode(), KOSME)
    for lo, hi in ((0, 0x7f), (0x80, 0x7ff), (0x800, 0xffff), (0x10000, 0x10ffff)):  # 6.6, 6.7, 6.9
        yield from (chr(lo).encode(), chr(hi).encode())
    yield from (chr(c).encode() for c in (0xd7ff, 0xe000, 0xfffd, 0xfeff))  # 6.22
    for plane in range(17):  # 6.23
        yield from (chr(plane << 16 | 0xfffe).encode(), chr(plane << 16 | 0xffff).encode())


def bad_utf8():
    broken = b"\xed\xa0\x80edited"
    yield from (KOSME + broken, KOSME + b"\xf4\x90\x80\x80" + b"edited")
    yield from (bytes.fromhex(h) for h in ("f888808080", "fc8480808080", "f7bfbfbf", "fbbfbfbfbf", "fdbfbfbfbfbf", "f4908080",  # 6.8, 6.10, 6.11
                                          "80", "bf", "80bf", "80bf80", "80bf80bf", "80bf80bf80", "80bf80bf80bf"))  # 6.12
    yield bytes(range(0x80, 0xc0))
    yield from (b" ".join(bytes([c]) for c in range(lo, hi + 1)) + b" " for lo, hi in ((0xc0, 0xdf), (0xe0, 0xef), (0xf0, 0xf7), (0xf8, 0xfb), (0xfc, 0xfd)))  # 6.13
    cut = [bytes.fromhex(h) for h in ("c0", "e080", "f08080", "f8808080", "fc80808080", "df", "efbf", "f7bfbf", "fbbfbfbf", "fdbfbfbfbf")]  # 6.14, 6.15
    yield from (*cut, b"".join(cut))
    yield from (bytes.fromhex(h) for h in ("fe", "ff", "fefeffff"))  # 6.16
    yield from (bytes.fromhex(h) for h in ("c0af", "e080af", "f08080af", "f8808080af", "fc80808080af"))  # 6.17
    yield from (bytes.fromhex(h) for h in ("c1bf", "e09fbf", "f08fbfbf", "f887bfbfbf", "fc83bfbfbfbf"))  # 6.18
    yield from (bytes.fromhex(h) for h in ("c080", "e08080", "f0808080", "f880808080", "fc8080808080"))  # 6.19
    yield from (bytes.fromhex(h) for h in ("eda080", "edadbf", "edae80", "edafbf", "edb080", "edbe80", "edbfbf"))  # 6.20
    yield from (bytes.fromhex(h + l) for h in ("eda080", "edadbf", "edae80", "edafbf") for l in ("edb080", "edbfbf"))  # 6.21


def echo_of(*messages):
    return [(op, payload) for op, payload in messages]


def small_cases():
    """(name, what is sent, chopped into so many bytes, what comes: messages, pongs, and the code that it is closed with; None: the client closes, and is answered)."""
    for op, group, fill in ((TEXT, "1.1", STAR), (BINARY, "1.2", b"\xfe")):
        for i, (n, chop) in enumerate(((0, 0), (125, 0), (126, 0), (127, 0), (128, 0), (65535, 0), (65536, 0), (65536, 997)), 1):
            yield f"{group}.{i}", frame(op, fill * n), chop, [(op, fill * n)], None
    for i, payload in enumerate((b"", b"Hello, world!", b"\0\xff\xfe\xfd\xfc\xfb\0\xff", b"\xfe" * 125), 1):
        yield f"2.{i}", frame(PING, payload), 0, [(PONG, payload)], None
    yield "2.5", frame(PING, b"\xfe" * 126), 0, [], FAIL
    yield "2.6", frame(PING, b"\xfe" * 125), 1, [(PONG, b"\xfe" * 125)], None
    yield "2.7", frame(PONG), 0, [], None
    yield "2.8", frame(PONG, b"unsolicited pong payload"), 0, [], None
    yield "2.9", frame(PONG, b"unsolicited") + frame(PING, b"ping payload"), 0, [(PONG, b"ping payload")], None
    for case, chop in (("2.10", 0), ("2.11", 1)):
        yield case, b"".join(frame(PING, b"payload-%d" % i) for i in range(10)), chop, [(PONG, b"payload-%d" % i) for i in range(10)], None
    hello, hello_back = frame(TEXT, b"Hello, world!"), (TEXT, b"Hello, world!")
    yield "3.1", frame(TEXT, b"small text", rsv=1), 0, [], FAIL
    for case, rsv, chop in (("3.2", 2, 0), ("3.3", 3, 40), ("3.4", 4, 1)):
        yield case, hello + frame(TEXT, b"small text", rsv=rsv) + frame(PING), chop, [hello_back], FAIL
    yield "3.5", frame(BINARY, b"\0\xff\xfe", rsv=5), 0, [], FAIL
    yield "3.6", frame(PING, b"\0\xff\xfe", rsv=6), 0, [], FAIL
    yield "3.7", frame(CLOSE, b"\x03\xe8", rsv=7), 0, [], FAIL
    for group, ops in (("4.1", (3, 4, 5, 6, 7)), ("4.2", (11, 12, 13, 14, 15))):
        yield f"{group}.1", frame(ops[0]), 0, [], FAIL
        yield f"{group}.2", frame(ops[1], b"reserved opcode payload"), 0, [], FAIL
        for i, (op, chop) in enumerate(zip(ops[2:], (0, 40, 1)), 3):
            yield f"{group}.{i}", hello + frame(op, b"" if i == 3 else b"payload") + frame(PING), chop, [hello_back], FAIL
    first, last = frame(TEXT, b"fragment1", fin=False), frame(CONTINUATION, b"fragment2")
    both = (TEXT, b"fragment1fragment2")
    yield "5.1", frame(PING, b"fragment1", fin=False) + last, 0, [], FAIL
    yield "5.2", frame(PONG, b"fragment1", fin=False) + last, 0, [], FAIL
    for case, chop in (("5.3", 0), ("5.4", 15), ("5.5", 1)):
        yield case, first + last, chop, [both], None
    for case, chop in (("5.6", 0), ("5.7", 15), ("5.8", 1)):
        yield case, first + frame(PING, b"ping payload") + last, chop, [(PONG, b"ping payload"), both], None
    for case, chop in (("5.9", 0), ("5.10", 40), ("5.11", 1)):
        yield case, frame(CONTINUATION, b"non-continuation payload") + hello, chop, [], FAIL
    for case, chop in (("5.12", 0), ("5.13", 40), ("5.14", 1)):
        yield case, frame(CONTINUATION, b"non-continuation payload", fin=False) + hello, chop, [], FAIL
    yield "5.15", first + last + frame(CONTINUATION, b"fragment3", fin=False) + frame(TEXT, b"fragment4"), 0, [both], FAIL
    for case, fin in (("5.16", False), ("5.17", True)):
        yield case, (frame(CONTINUATION, b"fragment1", fin=fin) + frame(TEXT, b"fragment2", fin=False) + frame(CONTINUATION, b"fragment3")) * 2, 0, [], FAIL
    yield "5.18", first + frame(TEXT, b"fragment2"), 0, [], FAIL
    parts = [frame(TEXT if i == 1 else CONTINUATION, b"fragment%d" % i, fin=i == 5) for i in range(1, 6)]
    for case, chop in (("5.19", 0), ("5.20", 30)):
        yield (case, parts[0] + parts[1] + frame(PING, b"pongme 1!") + b"".join(parts[2:4]) + frame(PING, b"pongme 2!") + parts[4], chop,
               [(PONG, b"pongme 1!"), (PONG, b"pongme 2!"), (TEXT, b"".join(b"fragment%d" % i for i in range(1, 6)))], None)
    yield "6.1.1", frame(TEXT), 0, [(TEXT, b"")], None
    yield "6.1.2", frame(TEXT, fin=False) + frame(CONTINUATION, fin=False) + frame(CONTINUATION), 0, [(TEXT, b"")], None
    yield "6.1.3", frame(TEXT, fin=False) + frame(CONTINUATION, b"middle frame payload", fin=False) + frame(CONTINUATION), 0, [(TEXT, b"middle frame payload")], None
    for i, text in enumerate(good_utf8(), 1):
        pieces = b"".join(frame(TEXT if k == 0 else CONTINUATION, text[k:k + 1], fin=False) for k in range(len(text))) + frame(CONTINUATION if text else TEXT)
        yield f"6.good.{i}", frame(TEXT, text), 0, [(TEXT, text)], None
        yield f"6.good.{i} by bytes", pieces, 0, [(TEXT, text)], None
    for i, text in enumerate(bad_utf8(), 1):
        pieces = b"".join(frame(TEXT if k == 0 else CONTINUATION, text[k:k + 1], fin=False) for k in range(len(text))) + frame(CONTINUATION)
        yield f"6.bad.{i}", frame(TEXT, text), 0, [], DATA_FAIL
        yield f"6.bad.{i} by bytes", pieces, 0, [], DATA_FAIL
    ends = close(1000) + frame(PING, b"after") + hello
    yield "7.1.1", hello + close(1000), 0, [hello_back], 1000
    yield "7.1.2", close(1000) + close(1000), 0, [], 1000
    yield "7.1.3", close(1000) + frame(PING), 0, [], 1000
    yield "7.1.4", ends, 0, [], 1000
    yield "7.1.5", first + close(1000) + last, 0, [], 1000
    yield "7.1.6", frame(TEXT, b"BAsd7&jh23" * 26000) + hello + close(1000) + frame(PING), 0, [(TEXT, b"BAsd7&jh23" * 26000), hello_back], 1000
    yield "7.3.1", close(), 0, [], ""
    yield "7.3.2", frame(CLOSE, b"a"), 0, [], FAIL
    yield "7.3.3", close(1000), 0, [], 1000
    yield "7.3.4", close(1000, b"Hello World!"), 0, [], 1000
    yield "7.3.5", close(1000, STAR * 123), 0, [], 1000
    yield "7.3.6", close(1000, STAR * 124), 0, [], FAIL
    yield "7.5.1", close(1000, KOSME + b"\xed\xa0\x80"), 0, [], DATA_FAIL
    for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999):
        yield f"7.7 {code}", close(code), 0, [], code
    for code in (0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65535):
        yield f"7.9 {code}", close(code), 0, [], FAIL
    pieces = [STAR * 65536][0]
    cut = [pieces[i:i + 1300] for i in range(0, 65536, 1300)]
    yield "10.1.1", b"".join(frame(TEXT if i == 0 else CONTINUATION, c, fin=i == len(cut) - 1) for i, c in enumerate(cut)), 0, [(TEXT, pieces)], None
    # Ours: what the suite does not ask.
    yield "not masked", frame(TEXT, b"x", key=None), 0, [], FAIL
    yield "not masked, and empty", frame(PING, key=None), 0, [], FAIL
    yield "length in more bytes than it needs", frame(TEXT, b"x", length=2), 0, [], FAIL
    yield "length in many more", frame(TEXT, b"x" * 300, length=8), 0, [], FAIL
    yield "2^63", b"\x82\xff" + (1 << 63).to_bytes(8, "big") + b"abcd", 0, [], FAIL
    yield "2^63 - 1", b"\x82\xff" + ((1 << 63) - 1).to_bytes(8, "big") + b"abcd", 0, [], 1009
    yield "fragments that are more than a message may be", frame(BINARY, fin=False) + frame(CONTINUATION, b"x" * (1 << 20), fin=False) * 17, 0, [], 1009


def play(n, name, sent, chop, wanted, code, host):
    with websocket.Client(n.port, "/echo", host=host) as c:
        eq((name, c.status), (name, 101))
        with contextlib.suppress(ConnectionError):  # it hung up on the rest
            c.send(sent, chop)
        if code is None:
            got = []
            for op, payload in wanted:
                got.append(c.frame()[:2])
            eq((name, got == wanted, got if sum(len(p) for _, p in got) < 1000 else ""), (name, True, wanted if sum(len(p) for _, p in got) < 1000 else ""))
            c.send(close(1000, b"bye"))
            code, wanted = 1000, []
        found = [f[:2] for f in c.frames()]
        data, last = found[:-1], found[-1] if found else None
        # What came before is answered, unless the end came first: whoever answers hears of it later.
        if code in (FAIL, DATA_FAIL):
            check(all(f in wanted for f in data), name, data)
        else:
            eq((name, data == wanted), (name, True))
        check(last and last[0] == CLOSE, name, last)
        eq((name, last[1][:2]), (name, b"" if code == "" else struct.pack(">H", code)))


def large_cases():
    """(name, op, payload, size of fragments, of pieces that it is chopped into)"""
    meg = 1 << 20
    for op, whole, pieces, chopped in ((TEXT, "9.1", "9.3", "9.5"), (BINARY, "9.2", "9.4", "9.6")):
        for i, n in enumerate((64 << 10, 256 << 10, meg, 4 * meg, 8 * meg, 16 * meg), 1):
            yield f"{whole}.{i}", op, STAR * n, 0, 0
        for i, n in enumerate((64, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, meg, 4 * meg), 1):
            yield f"{pieces}.{i}", op, STAR * (4 * meg), n, 0
        for i, n in enumerate((64, 128, 256, 512, 1024, 2048), 1):
            yield f"{chopped}.{i}", op, STAR * meg, 0, n


def play_large(n, name, op, payload, fragment, chop, host):
    zero = bytes(4)
    if fragment:
        count = len(payload) // fragment
        middle = frame(CONTINUATION, payload[:fragment], fin=False, key=zero)
        sent = frame(op, payload[:fragment], fin=count == 1, key=zero) + middle * (count - 2) + (frame(CONTINUATION, payload[:fragment], key=zero) if count > 1 else b"")
    else:
        sent = frame(op, payload, key=zero)
    with websocket.Client(n.port, "/echo", host=host) as c:
        sender = threading.Thread(target=c.send, args=(sent, chop), daemon=True)
        sender.start()
        got = c.message()
        sender.join()
        check(got == (op, payload), name, got[0], len(got[1]))
        c.send(close(1000))
        eq((name, c.frame()[0]), (name, CLOSE))


def test_websocket_autobahn():
    with node("--workers", "1") as n:
        deployed(n, "a", websocket_message_bytes_max=16 << 20, host_bytes_max=128 << 20, instance_reuse_max=1000000)
        count = 0
        for case in small_cases():
            play(n, *case, "a.localhost")
            count += 1
        for case in large_cases():
            play_large(n, *case, "a.localhost")
            count += 1
        for op, group in ((TEXT, "9.7"), (BINARY, "9.8")):  # one after the other
            for size in (0, 16, 64, 256, 1024, 4096):
                with websocket.Client(n.port, "/echo", host="a.localhost") as c:
                    sent = frame(op, STAR * size)
                    for _ in range(200):
                        c.send(sent)
                        eq((group, size, c.frame()[:2] == (op, STAR * size)), (group, size, True))
                    count += 1
        check(count > 300, count)
        eq((n.events("guest-failed"), n.events("worker-died")), ([], []))
