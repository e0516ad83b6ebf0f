"""HTTP in both directions: guests that abandon what they have begun, at every point; upstreams that frame their answers in two ways, without end,
or before they were asked. The guests are tests/guests/httpops.c and httpops3.c: they do what the path says, letter by letter."""
from harness import *

OPS = os.path.join(ROOT, "tests", "guests", "httpops.wasm")
OPS3 = os.path.join(ROOT, "tests", "guests", "httpops3.wasm")
SERVICE = os.path.join(ROOT, "tests", "guests", "http3.wasm")


class Upstream:
    """An HTTP/1.1 server that takes requests as RFC 9112 frames them. ANSWER(head) gives what it sends, when the head is there (LATE: when
    the body is, too). What it got is in `requests`: (request line, body, whether the body was whole)."""

    def __init__(self, answer=None, serve=None, reads_body=True, late=False):
        self.answer = answer or (lambda head: b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" + (b"" if head.startswith(b"HEAD") else b"ok"))
        self.serve, self.reads_body, self.late = serve or self.talk, reads_body, late
        self.requests, self.opened, self.closed, self.changed = [], 0, 0, threading.Condition()
        self.sock = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.authority = "127.0.0.1:%d" % self.sock.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                c, _ = self.sock.accept()
                with self.changed:
                    self.opened += 1
                threading.Thread(target=self.connection, args=(c,), daemon=True).start()

    def connection(self, c):
        with contextlib.suppress(OSError), c:
            self.serve(c)
        with self.changed:
            self.closed += 1
            self.changed.notify_all()

    def note(self, line, body, whole):
        with self.changed:
            self.requests.append((line, body, whole))
            self.changed.notify_all()

    def wait(self, fits):
        with self.changed:
            check(self.changed.wait_for(lambda: fits(self), PATIENCE_S), self.requests, self.opened, self.closed)

    def talk(self, c):
        f = c.makefile("rb")
        while True:
            lines = []
            while (line := f.readline()) not in (b"\r\n", b""):
                lines.append(line.rstrip(b"\r\n"))
            if not lines:
                return
            fields = {k.lower(): v.strip() for k, v in (l.split(b":", 1) for l in lines[1:])}
            if not self.late:
                c.sendall(self.answer(b"\n".join(lines)))
            if not self.reads_body:
                return
            body, whole = b"", True
            if b"transfer-encoding" in fields:
                while True:
                    size = f.readline()
                    if not size.strip():
                        whole = False
                        break
                    piece = f.read(int(size, 16) + 2)
                    if int(size, 16) == 0:
                        whole = piece == b"\r\n"
                        break
                    body += piece[:-2]
            else:
                n = int(fields.get(b"content-length", b"0"))
                body = f.read(n)
                whole = len(body) == n
            self.note(lines[0].decode(), body, whole)
            if not whole:
                return
            if self.late:
                c.sendall(self.answer(b"\n".join(lines)))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()


def ops(s, program, up=None, method=b"GET", timeout=PATIENCE_S):
    """(status or 0, body, whether it came whole) of a request that has the guest do PROGRAM."""
    path = "/" + program + ("?" + up.authority if up else "")
    got = raw(s.port, b"%s %s HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n" % (method, path.encode()), timeout)
    head, _, body = got.partition(b"\r\n\r\n")
    status = int(head[9:12]) if head.startswith(b"HTTP/1.1 ") else 0
    m = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
    if b"chunked" in head.lower():
        return status, b"".join(p.split(b"\r\n", 1)[1] for p in re.split(rb"(?<=\r\n)(?=[0-9a-f]+\r\n)", body) if p).replace(b"\r\n", b""), body.endswith(b"0\r\n\r\n")
    return status, body, method == b"HEAD" or not m or len(body) == int(m[1])


def told(s, program, up=None):
    """What the guest said of its steps: {step: what came of it}."""
    status, body, whole = ops(s, program, up)
    check(status == 200 and whole, program, status, body)
    return [w for w in body.decode().split()]


def serve_ops(up=None, *flags, wasm=OPS, timeout="20s"):
    return serving(wasm, "--workers", "1", "--timeout", timeout, *(("--allow-http", up.authority) if up else ()), *flags)


# ---- what a guest announces and does not send ---------------------------------------------------------------------------


def test_http_announced_body_is_sent_or_cut():
    """Whatever the method and however a request ends, the next one on the pool is taken for what it is."""
    ends = ["-w-b", "-b-w", "-w!b", "!b", "-f", "-w-f-b", "xx", "", "~f+r", "~f+r+I+S<S", "~f+r-r", ".w-w!b~f+r"]
    with Upstream() as up, serve_ops(up) as s, attacked(s, "/+R"):
        asked = 0
        for method in "012456":
            for length in ("c9", ""):
                for end in ends:
                    status = ops(s, f"{length}m{method}+Q+b+w+f.w{end}", up)[0]
                    check(status in (200, 500), method, length, end, status)
                    before = len(up.requests)
                    eq(told(s, "m4+Q+f~f+r", up)[-1], "+r200")
                    asked += 1
                    up.wait(lambda u: sum(r[0] == "DELETE /made HTTP/1.1" and r[1:] == (b"", True) for r in u.requests) >= asked)
        check(not any(b"HTTP/1.1" in r[1] for r in up.requests), up.requests)


def test_http_announced_body_is_sent_or_cut_3():
    ends = ["-w!d~f", "-w!d-f", "-f", "~f+S<S", "~f-r", "xx", "", ".w-w!d~f", "~f+S-S-U", "-m"]
    with Upstream() as up, serve_ops(up, wasm=OPS3) as s, attacked(s, "/+k"):
        asked = 0
        for method in "0124":
            for length in ("c9", ""):
                for end in ends:
                    status = ops(s, f"{length}m{method}+Q+f.w{end}", up)[0]
                    check(status in (200, 500), method, length, end, status)
                    check(any(w.endswith("f200") for w in told(s, "m4+k+f~f", up)), end)
                    asked += 1
                    up.wait(lambda u: sum(r[0] == "DELETE /made HTTP/1.1" and r[1:] == (b"", True) for r in u.requests) >= asked)
        check(not any(b"HTTP/1.1" in r[1] for r in up.requests), up.requests)


def test_http_abandoned_bodies():
    """A request's body that is given up fails the request at once, with the error that the specification has for it."""
    with Upstream(serve=lambda c: c.recv(1 << 20) and c.recv(1 << 20) and c.recv(1 << 20)) as up, serve_ops(up) as s:
        rows = [("m2+Q+b+w+f.w-w-b~f+r", "+rerror35"), ("m2+Q+b+w+f-w-b~f+r", "+rerror35"), ("m2+Q+b-b+f~f+r", "+rerror35"),
                ("c9m2+Q+b+w+f.w-w!b~f+r", "+rerror17"), ("c9m2+Q+b+w.w-w!b+f~f+r", "+rerror17"), ("c9m2+Q+b+f!b~f+r", "+rerror17")]
        for program, want in rows:
            eq((program, told(s, program, up)[-1]), (program, want))
            up.wait(lambda u: u.opened == u.closed)
        eq(told(s, "c9m2+Q+b+w.w-w!b"), ["c9", "m2", "+Q", "+bok", "+wok", ".wok", "-w", "!berror17"])
        eq(told(s, "c3m2+Q+b+w.w-w!b")[5:], [".werror0", "-w", "!berror17"])
        eq(told(s, "c9+R+B+W.W-W!B")[4:], [".Wok", "-W", "!Berror28"])
        eq(told(s, "c3+R+B+W.W-W!B")[4:], [".Werror0", "-W", "!Berror28"])


def test_http_drop_everything_everywhere():
    """Every object of 0.2, dropped in every state: the request is answered, or its connection closed; nobody waits for a deadline."""
    request = ["m2+Q", "+b", "+w", ".w", "+f", ".w", "~f", "+r", "+I", "+S", ",S"]
    request_whole = ["m2+Q", "+b", "+w", ".w", "-w", "!b", "+f", "~f", "+r", "+I", "+S", "<S", "-S", "+T", "~T", "+t"]
    served = ["+i", "+s", ",s", "-s", "+T", "~T", "+t"]
    response = ["+F", "+R", "+B", "+W", ".W", "!o", ".W", "-W", "!B"]
    with Upstream() as up, serve_ops(up) as s, attacked(s, "/+R"):
        for line in (request, request_whole, served, response):
            for n in range(1, len(line) + 1):
                for x in "qisoTFRBWQbwfrIS":
                    for rest in ("", "".join(line[n:])):
                        program = "".join(line[:n]) + "-" + x + rest
                        check(ops(s, program, up)[0] in (200, 500), program)
        up.wait(lambda u: u.opened - u.closed <= 64)  # at most those that rest
        check(not s.events("request-timeout"), s.log()[-2000:])
        eq([e for e in s.events("request") if e["status"] == 504], [])


def test_http_drop_everything_everywhere_3():
    request = ["m2+Q", ":w", "+f", ".w", "~f", "+S", ",S"]
    request_whole = ["m2+Q", "+f", ".w", "-w", "!d", "~f", "~m", "+S", "<S", "-S", "~U"]
    passed_on = ["p.", "+g", "~f", "+S", "<S"]
    served = ["+s", ",s", "-s", "~T"]
    response = ["+R", ":W", "!o", ".W", "-W", "!D", "~n"]
    with Upstream() as up, serve_ops(up, wasm=OPS3) as s, attacked(s, "/+k"):
        for line in (request, request_whole, passed_on, served, response):
            for n in range(1, len(line) + 1):
                for x in "qsTRWDnQwdmfrSU":
                    for rest in ("", "".join(line[n:])):
                        program = "".join(line[:n]) + "-" + x + rest
                        check(ops(s, program, up)[0] in (200, 500), program)
        up.wait(lambda u: u.opened - u.closed <= 64)
        eq([e for e in s.events("request") if e["status"] == 504], [])


def test_http_dropped_response_is_cut_at_once():
    """The client of a guest that gave up its response's body is told, though the guest goes on."""
    with Upstream(serve=lambda c: c.recv(1 << 20) and c.recv(1 << 20)) as up, serve_ops(up, timeout="600s") as s:
        with socket.create_connection(("127.0.0.1", s.port), timeout=PATIENCE_S) as c:  # the upstream never answers: the guest waits on for long
            c.sendall(f"GET /+R+B+W!o{':W' * 20}-W-Bm0+Q+f~f?{up.authority} HTTP/1.1\r\nHost: t\r\n\r\n".encode())
            got = b""
            with contextlib.suppress(ConnectionResetError):
                while piece := c.recv(65536):
                    got += piece
        check(got.startswith(b"HTTP/1.1 200 OK") and not got.endswith(b"0\r\n\r\n"), got[:200])
        with socket.create_connection(("127.0.0.1", s.port), timeout=PATIENCE_S) as c:  # and if nothing of it has left, with a 500
            c.sendall(f"GET /+R+B+W!o.W-W-Bm0+Q+f~f?{up.authority} HTTP/1.1\r\nHost: t\r\n\r\n".encode())
            has(c.recv(65536).decode(), "HTTP/1.1 500 ")
        s.wait_event("guest-failed")


# ---- what a response may announce ------------------------------------------------------------------------------------------


def test_http_responses_without_a_body():
    """A length may be announced for HEAD and with 304; 204 and 205 have none, whatever is written."""
    with serve_ops() as s:
        for method, program, status, length in [(b"HEAD", "c5+R+B!o!B", 200, 5), (b"HEAD", "c5+R+B+W!o.W-W!B", 200, 5), (b"HEAD", "c5+R!o", 200, 5),
                                                (b"GET", "n9c5+R+B!o!B", 304, 5), (b"GET", "n9c5+R+B!B!o", 304, 5), (b"GET", "n4+R+B+W!o.W-W!B", 204, None),
                                                (b"GET", "n5+R+B+W!o.W-W!B", 205, 0), (b"GET", "n5c5+R+B!o!B", 205, 0)]:
            head = raw(s.port, method + b" /" + program.encode() + b" HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
            m = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
            eq((program, head[9:12], m and int(m[1]), head.endswith(b"\r\n\r\n")), (program, b"%d" % status, length, True))
        eq(ops(s, "c5+R+B!o!B")[0], 500)  # but not otherwise
        eq(ops(s, "c5+R!o")[0], 500)
    with serving(SERVICE, "--workers", "1") as s:
        eq(curl(s.url + "/short", "-I").status, 200)
        eq(curl(s.url + "/short").status, 500)


def test_http_lengths_are_numbers():
    with serve_ops() as s:
        eq(told(s, "cx+R"), ["cx", "+Rrefused"])
        eq(told(s, "c5+Fc5+R"), ["c5", "+F", "c5", "+Rrefused"])
    with serve_ops(wasm=OPS3) as s:
        eq(told(s, "cx+R"), ["cx", "+Rrefused"])


def test_http_lengths_are_kept_3():
    with Upstream(serve=lambda c: c.recv(1 << 20) and c.recv(1 << 20) and c.recv(1 << 20)) as up, serve_ops(up, wasm=OPS3) as s:
        for program in ("c9m2+Q+f.w-w!d~f~m", "c3m2+Q+f.w-w!d~f~m"):
            eq((program, told(s, program, up)[-2:]), (program, ["~ferror17", "~merror17"]))
            up.wait(lambda u: u.opened == u.closed)
        eq(ops(s, "c9+R!o.W-W!D")[0], 500)


def test_http_passed_on_without_a_body():
    """A request without a body that is passed on has none, though its head was changed."""
    heads = []

    def answer(head):
        heads.append(head.lower())
        return b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

    with Upstream(answer) as up, serve_ops(up, wasm=OPS3) as s:
        has(told(s, "p.+g~f", up), "~f200")
        check(heads and not any(b"transfer-encoding" in h or b"content-length" in h for h in heads), heads)


def test_http_body_before_its_message():
    """Written before anybody can take it, it waits: there is room, and not a deadlock."""
    with serve_ops() as s, attacked(s, "/+R"):  # as much as an instance may hold, and then an error
        eq(told(s, "+R+B+W*W")[-1], "*Werror32")
        eq(told(s, "m2+Q+b+w*w")[-1], "*werror32")
    with Upstream(late=True) as up, serve_ops(up) as s:
        status, body, whole = ops(s, "+R+B+W" + ":W" * 60 + "-W!B!o")
        eq((status, len(body), whole), (200, 60 * 4096, True))
        status, body, whole = ops(s, "+R+B+W" + ":W" * 60 + "!o" + ":W" * 60 + "-W!B")
        eq((status, len(body), whole), (200, 120 * 4096, True))
        eq(told(s, "m2+Q+b+w" + ":w" * 60 + "-w!b+f~f+r", up)[-1], "+r200")
        up.wait(lambda u: u.requests and u.requests[-1][1:] == (bytes(60 * 4096), True))


def test_http_authority_without_a_host():
    """A client of HTTP/1.0 need not say whom it asks; the guest is told what it connected to."""
    with serving(guest("cgi"), "--workers", "1") as s:
        got = raw(s.port, b"GET /env HTTP/1.0\r\n\r\n").decode()
        has(got, "SERVER_NAME=127.0.0.1\n", f"SERVER_PORT={s.port}\n")


# ---- upstreams --------------------------------------------------------------------------------------------------------------


def test_http_answer_before_the_request_ends():
    """Its end is told when it is there, whatever the upload does."""
    answers = [b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"HTTP/1.1 413 Large\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
               b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", b"HTTP/1.1 413 Large\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"]
    for answer in answers:
        status = answer[9:12].decode()
        for length in ("c9", ""):
            with Upstream(lambda head: answer) as up, serve_ops(up) as s:
                eq(told(s, length + "m2+Q+b+w+f.w~f+r+I+S<S", up)[-4:], ["+r" + status, "+Iok", "+Sok", "<S5end"])
    with Upstream(lambda head: answers[0]) as up, serve_ops(up) as s:  # the upload goes on after the response
        eq(told(s, "m2+Q+b+w+f.w~f+r+I+S<S.w-w!b", up)[-3:], [".wok", "-w", "!bok"])
        up.wait(lambda u: u.requests and u.requests[-1][1:] == (b"hellohello", True))
    for answer in answers:
        status = answer[9:12].decode()
        for length in ("c9", ""):
            with Upstream(lambda head: answer) as up, serve_ops(up, wasm=OPS3) as s:
                eq(told(s, length + "m2+Q+f.w~f+S<S~U", up)[-4:], ["~f" + status, "+S", "<S5end", "~Uok"])


def test_http_both_ways_at_once():
    def echo(c):
        f = c.makefile("rb")
        while f.readline() not in (b"\r\n", b""):
            pass
        c.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while size := int(f.readline(), 16):
            c.sendall(b"%x\r\n" % size + f.read(size + 2))
        c.sendall(b"0\r\n\r\n")

    with Upstream(serve=echo) as up, serve_ops(up) as s:
        eq(told(s, "m2+Q+b+w+f.w~f+r+I+S,S.w,S.w,S-w!b<S", up)[-9:], ["+Sok", ",S5", ".wok", ",S5", ".wok", ",S5", "-w", "!bok", "<S0end"])
    with Upstream(serve=echo) as up, serve_ops(up, wasm=OPS3) as s:
        eq(told(s, "m2+Q+f.w~f+S,S.w,S.w,S-w!d<S~m", up)[-9:], [",S5", ".w5", ",S5", ".w5", ",S5", "-w", "!d", "<S0end", "~mok"])


def test_http_upstreams_that_mean_two_things():
    ok = b"HTTP/1.1 200 OK\r\n"
    rows = [ok + b"Content-Length: 3\r\nContent-Length: 5\r\n\r\nabcde", ok + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            ok + b"Content-Length: -1\r\n\r\n", ok + b"Content-Length: 99999999999999999999\r\n\r\n", ok + b"X: 1\r\n folded\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", ok + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", b"HTTP/1.1 101 Switching\r\n\r\n"]
    for answer in rows:
        with Upstream(lambda head: answer, reads_body=False) as up, serve_ops(up) as s:
            eq((answer, told(s, "m0+Q+f~f+r", up)[-1]), (answer, "+rerror35"))
            s.wait_event("outgoing-request-failed")


def test_http_upstreams_without_end():
    """Heads, 1xx, extensions, trailers, bodies that never end: bounded memory, an error, and others are answered."""
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    floods = [(b"HTTP/1.1 200 OK\r\n", b"X: " + b"y" * 1000 + b"\r\n", "+rerror26"), (b"HTTP/1.1 200 OK\r\nX: ", b"y" * 1000, "+rerror26"),
              (b"", b"HTTP/1.1 103 Early\r\n\r\n", "+rerror35"), (chunked + b"1;", b"a" * 1000, "<S0error"),
              (chunked + b"0\r\n", b"X: 1\r\n", "<S0error"), (chunked, b"1;a\r\nx\r\n", ",S"), (b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 10000, ",S")]

    def flood(start, again):
        def serve(c):
            c.recv(65536)
            c.sendall(start)
            while True:
                c.sendall(again)
        return serve

    for start, again, want in floods:
        with Upstream(serve=flood(start, again)) as up, serve_ops(up) as s, attacked(s, "/+R"):
            said = told(s, "m0+Q+f~f+r+I+S" + ("~S,S" if want == ",S" else "<S"), up)
            check(any(w.startswith(want) for w in said), start, said)
            up.wait(lambda u: u.opened == u.closed)


if __name__ == "__main__":
    run(globals())
