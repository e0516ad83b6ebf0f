"""WebSockets of guests (wasmcloud:websocket/handler): the cases of the Autobahn test suite's groups 1 to 7, 9, 10, 12 and 13, and what else may be
asked of who answers one. The suite's own program needs Python 2; these are its cases, as its documents describe them, for a runner of ours: one
node, one program."""
import http.client, random, struct, zlib

import http2, websocket
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


# ---- permessage-deflate: groups 12 and 13 ---------------------------------------------------------------------------


def squeezed(data, bits=15, level=6):
    z = zlib.compressobj(level, zlib.DEFLATED, -bits)
    return (z.compress(data) + z.flush(zlib.Z_SYNC_FLUSH))[:-4]


OFFERS = ("permessage-deflate",  # 13.1
          "permessage-deflate; client_no_context_takeover; client_max_window_bits",  # as browsers do; 12
          "permessage-deflate; server_no_context_takeover",  # 13.2
          "permessage-deflate; server_max_window_bits=9; client_max_window_bits",  # 13.3
          "permessage-deflate; server_max_window_bits=15; client_max_window_bits",  # 13.4
          "permessage-deflate; server_no_context_takeover; server_max_window_bits=9; client_max_window_bits",  # 13.5
          "permessage-deflate; server_no_context_takeover; server_max_window_bits=15; client_max_window_bits",  # 13.6
          "permessage-deflate; server_no_context_takeover; server_max_window_bits=9, permessage-deflate; server_no_context_takeover, permessage-deflate")  # 13.7


def test_websocket_deflate():
    text = b"".join(json.dumps({"id": i, "name": f"row {i * 7919 % 1000}", "ok": i % 3 == 0, "at": i * 3600}).encode() for i in range(3000))
    noise = random.Random(7).randbytes(150_000)
    with node("--workers", "1") as n:
        deployed(n, "a", instance_reuse_max=1000000)
        for offer in OFFERS:
            # 12.x.1 to 12.x.18: messages of all sizes, whole or in fragments; those of a row follow one another on one connection.
            with websocket.Client(n.port, "/echo", host="a.localhost", deflate=offer) as c:
                check(c.deflated and "server_no_context_takeover" in c.fields["sec-websocket-extensions"], c.fields)
                bits = 9 if "server_max_window_bits=9" in offer.split(",")[0] else 15
                eq("server_max_window_bits=%d" % bits in c.fields["sec-websocket-extensions"], "server_max_window_bits" in offer.split(",")[0])
                for op, of in ((TEXT, text), (BINARY, noise)):
                    for size, fragment in ((16, 0), (64, 0), (256, 0), (1024, 0), (4096, 0), (8192, 0), (16384, 0), (32768, 0), (65536, 0), (131072, 0), (8192, 256), (16384, 256), (32768, 256), (65536, 256),
                                           (131072, 256), (131072, 4096)):
                        wanted = of[:size]
                        sent = squeezed(wanted)
                        pieces = [sent[i:i + fragment] for i in range(0, len(sent), fragment)] if fragment else [sent]
                        c.send(b"".join(frame(op if i == 0 else CONTINUATION, p, fin=i == len(pieces) - 1, rsv=4 if i == 0 else 0) for i, p in enumerate(pieces)))
                        o, payload, fin, rsv = c.frame()
                        if rsv & 4:
                            z = zlib.decompressobj(-bits)
                            payload = z.decompress(payload + b"\0\0\xff\xff")
                        check((o, fin, payload == wanted) == (op, True, True), offer, size, fragment, o, len(payload))
                        eq(bool(rsv & 4), op == TEXT and size >= 64)  # noise does not get less
                c.send(frame(TEXT, b"as it is") + frame(PING, b"p") + frame(TEXT, squeezed(b"pieces")[:2], rsv=4, fin=False) + frame(PING) + frame(CONTINUATION, squeezed(b"pieces")[2:]))
                eq(sorted(c.frame()[:2] for _ in range(4)), [(TEXT, b"as it is"), (TEXT, b"pieces"), (PONG, b""), (PONG, b"p")])
                c.send(close(1000))
                eq(c.frame()[0], CLOSE)
        for offer in ("permessage-deflate; server_max_window_bits=8", "permessage-deflate; what", "x-webkit-deflate-frame", "permessage-deflate; client_max_window_bits=7"):
            with websocket.Client(n.port, "/echo", host="a.localhost", deflate=offer) as c:
                eq((c.status, c.deflated), (101, False))
                c.send(frame(TEXT, squeezed(b"no"), rsv=4))
                eq(c.frame()[1][:2], struct.pack(">H", FAIL))
        # What is wrong, and bombs: in a frame, in pieces; each of its own connection, and the guest sees none of it.
        for name, sent, code in (("not deflate", frame(TEXT, b"\xff\xff\xff\xff", rsv=4), DATA_FAIL), ("not UTF-8", frame(TEXT, squeezed(b"\xed\xa0\x80"), rsv=4), DATA_FAIL),
                                 ("a piece says it is compressed", frame(TEXT, b"a", fin=False) + frame(CONTINUATION, b"b", rsv=4), FAIL), ("a ping that is compressed", frame(PING, squeezed(b"a"), rsv=4), FAIL),
                                 ("more than a message may be", frame(BINARY, squeezed(bytes(2 << 20)), rsv=4), 1009), ("a bomb", frame(BINARY, squeezed(bytes(900 << 10), level=9), rsv=4), 1009),
                                 ("a bomb in pieces", b"".join(frame(CONTINUATION if i else BINARY, squeezed(bytes(900 << 10), level=9)[i:i + 1], fin=False, rsv=0 if i else 4) for i in range(800)), 1009)):
            with websocket.Client(n.port, "/echo", host="a.localhost", deflate=OFFERS[0]) as c:
                with contextlib.suppress(ConnectionError):
                    c.send(sent)
                found = c.frames()
                eq((name, found[-1][0], found[-1][1][:2]), (name, CLOSE, struct.pack(">H", code)))
        eq((n.events("guest-failed"), n.events("worker-died")), ([], []))


# ---- who may have one -----------------------------------------------------------------------------------------------


def test_websocket_handshakes():
    with serving(SOCKETS, "--workers", "1", "--instance-concurrency", "8") as s:
        good = websocket.handshake("/opened")
        for name, request, status in (
                ("no key", websocket.handshake(drop=("Sec-WebSocket-Key",)), 400), ("a short key", websocket.handshake(key="c2hvcnQ="), 400), ("no base64", websocket.handshake(key="!" * 24), 400),
                ("two keys", websocket.handshake(more=[("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")]), 400), ("POST", websocket.handshake(method="POST"), 400), ("HEAD", websocket.handshake(method="HEAD"), 400),
                ("no version", websocket.handshake(drop=("Sec-WebSocket-Version",)), 400), ("version 8", websocket.handshake(version="8"), 426), ("versions", websocket.handshake(version="13, 8"), 426),
                ("two versions", websocket.handshake(more=[("Sec-WebSocket-Version", "13")]), 400), ("Connection: close", websocket.handshake(drop=("Connection",), more=[("Connection", "close")]), 400),
                ("no Connection", websocket.handshake(drop=("Connection",)), 400), ("a body", websocket.handshake(more=[("Content-Length", "3")]) + b"abc", 400), ("HTTP/1.0", good.replace(b"HTTP/1.1", b"HTTP/1.0"), 400),
                ("an extension that is none", websocket.handshake(more=[("Sec-WebSocket-Extensions", "a b")]), 400), ("a protocol that is none", websocket.handshake(more=[("Sec-WebSocket-Protocol", "a b")]), 400),
                ("64 protocols", websocket.handshake(more=[("Sec-WebSocket-Protocol", ",".join(["a"] * 64))]), 101), ("65 protocols", websocket.handshake(more=[("Sec-WebSocket-Protocol", ",".join(["a"] * 65))]), 400),
                ("thirty thousand protocols", websocket.handshake(more=[("Sec-WebSocket-Protocol", "a," * 30000)]), 400),
                ("another protocol", websocket.handshake(drop=("Upgrade",), more=[("Upgrade", "h2c")]), 426), ("no upgrade", websocket.handshake(drop=("Upgrade", "Connection")), 426)):
            with socket.create_connection(("127.0.0.1", s.port), timeout=PATIENCE_S) as c:
                c.sendall(request)
                head = b""
                while b"\r\n\r\n" not in head:
                    head += c.recv(4096) or b"\r\n\r\n"
                eq((name, int(head.split()[1] if head.strip() else 0)), (name, status))
                check(status != 426 or b"sec-websocket-version: 13" in head.lower(), name, head)
        # A token among others, names in any case; the first protocol that is asked for; what came behind the request at once.
        with websocket.Client(s.port, "/request?a=1&b=%20", more=[("Sec-WebSocket-Protocol", "chat.v2, chat.v1"), ("sec-websocket-protocol", "json"), ("Origin", "https://example.org"), ("X-Test", "test")]) as c:
            eq((c.status, c.fields.get("sec-websocket-protocol")), (101, "chat.v2"))
            said = [p for o, p, *_ in c.frames() if o == TEXT]
            eq((said[:5], sorted(said[5:])), ([b"/request", b"a=1&b=%20", b"chat.v2", b"chat.v1", b"json"], sorted([b"https://example.org", b"test"])))
        with socket.create_connection(("127.0.0.1", s.port), timeout=PATIENCE_S) as c:
            c.sendall(good.replace(b"/opened", b"/echo").replace(b"Upgrade: websocket", b"uPgRaDe: foo/1, WebSocket").replace(b"Connection: Upgrade", b"Connection: keep-alive, UPGRADE") + frame(TEXT, b"early") + close(1000))
            got = b""
            while piece := c.recv(65536):
                got += piece
            check(got.startswith(b"HTTP/1.1 101") and got.endswith(b"\x81\x05early\x88\x02\x03\xe8"), got)
        eq(s.wait_event("request", path="/request?a=1&b=%20")["status"], 101)
        # A half of it, and nothing more; a hundred of those, and who comes then is served.
        halves = [socket.create_connection(("127.0.0.1", s.port)) for _ in range(100)]
        for h in halves:
            h.sendall(good[:60])
        with websocket.Client(s.port, "/echo") as c:
            c.send(frame(TEXT, b"x"))
            eq(c.frame()[:2], (TEXT, b"x"))
        for h in halves:
            h.close()


# ---- what guests do -------------------------------------------------------------------------------------------------


def ending(port, path, sent=b"", **more):
    """What came, messages and then (code, reason) of the close frame; None: it was none."""
    with websocket.Client(port, path, **more) as c:
        eq((path, c.status), (path, 101))
        c.send(sent)
        found = [f[:2] for f in c.frames()]
    last = found[-1] if found and found[-1][0] == CLOSE else None
    return [p for o, p in found if o in (TEXT, BINARY)], last and ((struct.unpack(">H", last[1][:2])[0] if last[1] else None), last[1][2:].decode())


def test_websocket_guests():
    with serving(SOCKETS, "--workers", "1", "--max-cpu", "300ms", "--timeout", "2s") as s:
        for path, sent, messages, end in (
                ("/push", b"", [b"0", b"1", b"2"], (4001, "that was all")), ("/no-code", b"", [], (None, "")), ("/bad-code", b"", [], (1011, "no such code")), ("/refuse", b"", [], (1011, "")),
                ("/trap", b"", [], (1011, "")), ("/nothing", b"", [], (1011, "")), ("/traps", frame(TEXT, b"x"), [], (1011, "")), ("/loops", frame(TEXT, b"x"), [], (1011, "")),
                ("/before", frame(TEXT, b"first"), [b"first"], (1000, "")), ("/deaf", frame(TEXT, b"unheard") * 100, [b"still here"] * 5, (1000, "")), ("/keeps", b"", [], (1011, "")),
                ("/large", b"", [], (1009, "a message of the service is larger than it may be")), ("/opened", b"", [b"1"], (1000, "")), ("/push", close(1000), None, (1000, ""))):
            got, said = ending(s.port, path, sent)
            eq((path, said), (path, end))
            check(messages is None or got == messages, path, got)
        got, said = ending(s.port, "/long-reason")
        eq((said[0], said[1]), (4002, "é" * 61))
        eq(s.wait_event("websocket-failed")["reason"], "not today")
        s.wait_event("guest-failed", count=4)
        # As long with each message as a request may compute in all.
        with websocket.Client(s.port, "/works") as c:
            for _ in range(12):
                c.send(frame(TEXT, b"work"))
                eq(c.message(), (TEXT, b"work"))
            c.send(close(3000))
            eq(c.frame()[:2], (CLOSE, struct.pack(">H", 3000)))
        # Longer than a request may take; pings meanwhile are answered without the guest.
        with websocket.Client(s.port, "/slow") as c:
            c.send(frame(TEXT, b"a") * 8 + frame(PING, b"p"))
            eq([c.message() for _ in range(8)], [(TEXT, b"a")] * 8)
        # A client that goes without a word: its guest hears so, and is ended if it does not end.
        for path in ("/lingers", "/silent", "/flood", "/echo"):
            with websocket.Client(s.port, path) as c:
                c.send(frame(TEXT, b"x"))
        with websocket.Client(s.port, "/flood") as c:
            check(len(c.frame()[1]) == 65536)
            c.send(close(1000))
            check(c.frames()[-1][0] == CLOSE)
        eq(ending(s.port, "/opened")[1], (1000, ""))
        eq(s.events("worker-died"), [])


def test_websocket_shared():
    """An instance of many: each has its own, a trap ends all of its instance, and its limits hold for all together."""
    with node("--workers", "1") as n:
        deployed(n, "a", websockets_max=20)
        sockets = [websocket.Client(n.port, "/echo", host="a.localhost") for _ in range(20)]
        for i, c in enumerate(sockets):
            c.send(frame(TEXT, b"%d" % i))
        eq([c.message() for c in sockets], [(TEXT, b"%d" % i) for i in range(20)])
        refused = websocket.Client(n.port, "/echo", host="a.localhost")
        eq(refused.status, 503)
        sockets[3].send(close(4321, b"bye"))
        eq(sockets[3].frames()[-1][:2], (CLOSE, struct.pack(">H", 4321)))
        until_eq(lambda: (lambda c: c.status)(websocket.Client(n.port, "/closed-with", host="a.localhost")), 101)
        eq(ending(n.port, "/closed-with", host="a.localhost")[0], [b"4321"])
        # One of them traps.
        sockets[3] = websocket.Client(n.port, "/traps", host="a.localhost")
        sockets[3].send(frame(TEXT, b"x"))
        for c in sockets:
            eq(c.frames()[-1][:2], (CLOSE, struct.pack(">H", 1011)))
            c.sock.close()
        n.wait_event("guest-failed", app="a")
        eq(ending(n.port, "/opened", host="a.localhost")[0], [b"1"])
        # A new version: the old one's are told, and have time; the guest has the last word.
        farewell = websocket.Client(n.port, "/farewell", host="a.localhost")
        busy = websocket.Client(n.port, "/echo", host="a.localhost")
        busy.send(frame(TEXT, b"there?"))
        eq(busy.message(), (TEXT, b"there?"))
        deployed(n, "a", websockets_max=21)
        eq([f[:2] for f in farewell.frames()], [(TEXT, b"farewell"), (TEXT, b"1001"), (CLOSE, struct.pack(">H", 1001))])
        eq(busy.frames()[-1][1][:2], struct.pack(">H", 1001))
        eq(ending(n.port, "/opened", host="a.localhost")[0], [b"1"])
        # And a node that stops.
        farewell = websocket.Client(n.port, "/farewell", host="a.localhost")
        n.proc.send_signal(signal.SIGTERM)
        eq([f[:2] for f in farewell.frames()], [(TEXT, b"farewell"), (TEXT, b"1001"), (CLOSE, struct.pack(">H", 1001))])


# ---- over HTTP/2 (RFC 8441) ------------------------------------------------------------------------------------------


def test_websocket_http2():
    with node("--workers", "1") as n:
        deployed(n, "a", websocket_message_bytes_max=4 << 20)
        deploy_function(n, "plain", os.path.join(ROOT, "tests", "guests", "http3.wasm"))
        n.deploy("cgi", guest("tenant"), "--env", "APP=t")
        with http2.Client(n.port) as c:
            open_ = lambda path, **more: websocket.Stream(c, path, "a.localhost", **more)
            many = [open_("/echo", more=[("sec-websocket-protocol", "one, two"), ("origin", "https://example.org")]) for _ in range(30)]
            for i, s in enumerate(many):
                eq((s.status, s.fields.get("sec-websocket-protocol"), "sec-websocket-accept" in s.fields, "content-length" in s.fields), (200, "one", False, False))
                s.send(frame(TEXT, b"%d" % i) + frame(BINARY, bytes([i]) * 100_000) + frame(PING, b"p"))
            for i, s in enumerate(many):
                eq(sorted(s.frame()[:2] for _ in range(3)), sorted([(TEXT, b"%d" % i), (BINARY, bytes([i]) * 100_000), (PONG, b"p")]))
            # Requests beside them, on the same connection; what they are refused with; every end there is.
            eq(c.get("/", authority="a.localhost").status, 426)
            eq((open_("/x", version="8").status, open_("/x", protocol="connect-udp").status, open_("/x", protocol=None).answer_.reset is not None), (426, 501, True))
            for app in ("plain", "cgi"):
                eq((app, websocket.Stream(c, "/", app + ".localhost").status), (app, 501))
            many[0].send(close(1000, b"bye"))
            eq(many[0].frames(), [(CLOSE, struct.pack(">H", 1000), True, 0)])
            many[1].send(b"", ends=True)  # without a word
            check(all(f[0] != TEXT for f in many[1].frames()))
            c.send(http2.frame(http2.RST_STREAM, 0, many[2].id, struct.pack(">I", http2.CANCEL)))
            many[3].send(frame(TEXT, b"\xff"))
            eq(many[3].frames()[-1][1][:2], struct.pack(">H", DATA_FAIL))
            eq([f[1] for f in open_("/push").frames()], [b"0", b"1", b"2", struct.pack(">H", 4001) + b"that was all"])
            trap = open_("/traps")  # with it go all of its instance
            trap.send(frame(TEXT, b"x"))
            for s in (trap, many[4], many[29]):
                eq(s.frames()[-1][1][:2], struct.pack(">H", 1011))
            # Who does not read holds up its own stream.
            flood = open_("/flood")
            eq(flood.status, 200)
            echo = open_("/echo")
            echo.send(frame(TEXT, b"beside"))
            eq(echo.frame()[:2], (TEXT, b"beside"))
            flood.send(close(1000))
            check(flood.frames()[-1][0] == CLOSE)
            # One that leaves with all of them open, and a node that stops.
            farewell = open_("/farewell")
            n.proc.send_signal(signal.SIGTERM)
            eq([f[1] for f in farewell.frames()], [b"farewell", b"1001", struct.pack(">H", 1001)])
        eq(n.events("worker-died"), [])


# ---- server-sent events ---------------------------------------------------------------------------------------------


class EventSource:
    """As a browser's: what an event says, and where it goes on from when it comes back."""

    def __init__(self, n, path, host, last=None):
        self.conn = http.client.HTTPConnection("127.0.0.1", n.port, timeout=PATIENCE_S)
        self.conn.request("GET", path, headers={"Host": host, "Accept": "text/event-stream", **({"Last-Event-ID": str(last)} if last else {})})
        self.r = self.conn.getresponse()
        self.last = last or 0

    def event(self):
        """The next one's number. EOFError: it ended in order."""
        while True:
            line = self.r.readline()
            if not line:
                raise EOFError
            if line.startswith(b"data: "):
                eq(int(line[6:]), self.last + 1)
                self.last += 1
                return self.last

    def to_end(self):
        try:
            while True:
                self.event()
        except EOFError:
            self.conn.close()
            return self


def test_websocket_events():
    with node("--workers", "1", "--drain-timeout", "2s") as n:
        n.deploy("long", guest("events"), "--timeout", "400ms", "--stream-timeout", "60s", "--max-cpu", "5s")
        n.deploy("short", guest("events"), "--timeout", "400ms", "--stream-timeout", "900ms")
        n.deploy("echo", os.path.join(ROOT, "tests", "guests", "http3.wasm"), "--timeout", "30s")
        # Each piece leaves at once: the next is sent only when the last one has come back.
        with socket.create_connection(("127.0.0.1", n.port), timeout=PATIENCE_S) as c:
            c.sendall(b"POST /echo HTTP/1.1\r\nHost: echo.localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
            got = b""
            for i in range(20):
                c.sendall(b"9\r\npiece %03d\r\n" % i)
                while b"piece %03d" % i not in got:
                    got += c.recv(65536)
        with http2.Client(n.port) as c:
            stream = c.ask("/echo", method="POST", authority="echo.localhost", ends=False)
            for i in range(20):
                c.data(stream, b"piece %03d" % i)
                c.wait(lambda: b"piece %03d" % i in c.answers.get(stream, http2.Answer()).body)
        # Beyond the time that a whole answer has, by either protocol; cut at the limit of its own: events in order, so that their client comes back and
        # goes on where it was; what is no events visibly.
        es = EventSource(n, "/events", "long.localhost")
        for _ in range(15):
            es.event()
        es.conn.close()
        n.wait_event("request", app="long", status=499)
        with http2.Client(n.port) as c:
            stream = c.ask("/events", authority="long.localhost")
            c.wait(lambda: b"data: 12" in c.answers.get(stream, http2.Answer()).body)
            short = c.answer(c.ask("/events", authority="short.localhost"))
            eq((short.status, short.ended, short.reset), (200, True, None))
        es = EventSource(n, "/events", "short.localhost").to_end()
        check(es.last >= 2, es.last)
        n.wait_event("request", app="short", status=200)
        again = EventSource(n, "/events", "short.localhost", es.last).to_end()
        check(again.last > es.last, es.last, again.last)
        a = curl(f"http://127.0.0.1:{n.port}/dots", "-H", "Host: short.localhost")
        check(a.status == 200 and a.code != 0, a.status, a.code)
        eq(n.wait_event("guest-failed", app="short")["limit"], "stream_timeout_ms=900")
        eq(len(n.events("guest-failed")), 1)
        # A deployment leaves them alone; a node that stops lets them go on for a while, and then they end in order.
        es = EventSource(n, "/events", "long.localhost")
        es.event()
        n.deploy("long", guest("events"), "--timeout", "300ms", "--stream-timeout", "60s")
        for _ in range(5):
            es.event()
        other = EventSource(n, "/events", "long.localhost", 100)
        eq(other.event(), 101)
        n.proc.send_signal(signal.SIGTERM)
        at = es.last
        check(es.to_end().last >= at + 3, at, es.last)
        other.to_end()
        eq(len(n.events("guest-failed")), 1)


# ---- attacks --------------------------------------------------------------------------------------------------------


def test_websocket_hang_up():
    """A client hangs up while its message is being copied into a guest, which takes several turns: what is copied stays where it is until then."""
    with serving(SOCKETS, "--workers", "1", "--instance-concurrency", "8") as s:
        workers = s.workers()
        large = frame(BINARY, bytes(1 << 20), key=bytes(4))
        for i in range(60):
            with websocket.Client(s.port, "/echo") as c:
                c.send(large)
                c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # and a reset
                pace(i % 6 / 2000)
        with websocket.Client(s.port, "/echo") as c:
            c.send(frame(TEXT, b"there"))
            eq(c.message()[-1], b"there")
        eq(s.workers(), workers)


def test_websocket_attacks():
    """Who sends much, little, badly or never reads costs himself alone: a bystander is answered, and what workers hold comes back."""
    with serving(SOCKETS, "--workers", "1", "--instance-concurrency", "64") as s:
        with attacked(s, "/", 426, grows_kib=24 << 10):
            # Pieces of a byte, pieces of nothing, pings, without end and without reading.
            for sent in (frame(TEXT, b"x", fin=False) + frame(CONTINUATION, b"x", fin=False) * 300_000, frame(TEXT, fin=False) + frame(CONTINUATION, fin=False) * 300_000, frame(PING, b"x" * 125) * 50_000, frame(PONG) * 200_000,
                         frame(TEXT, b"m") * 100_000):
                with websocket.Client(s.port, "/echo", small=True) as c:
                    c.sock.settimeout(3)  # short: it does not read: at some time nothing of it is taken any more, which is as it should be
                    with contextlib.suppress(OSError):
                        c.send(sent)
            # Guests that do not read, clients that do not read, guests that write without end, to many.
            mute = [websocket.Client(s.port, path, small=True) for path in ("/silent", "/flood") for _ in range(10)]
            for c in mute:
                c.sock.setblocking(False)
                with contextlib.suppress(BlockingIOError, ConnectionError):
                    while True:
                        c.sock.send(frame(BINARY, bytes(65000), key=bytes(4)))
            pace(1)
            # Close storms: open, say so, go; and half of a frame, and go.
            for i in range(400):
                with websocket.Client(s.port, "/echo") as c:
                    c.send((close(1000), b"\x81", b"\x82\xff" + bytes(8), close(1000) * 50)[i % 4])
            for c in mute:
                c.sock.close()
        eq(s.events("guest-failed", detail="all fuel consumed"), [])
