"""A client of HTTP/2 that tests drive frame by frame (RFC 9113): what goes is spelled by the test, what comes is taken apart here. Fields are written
as literals (RFC 7541 §6.2.2); of those that come, none may be of a table that grows: the client says that it has none."""
import socket, struct, threading

from processes import PATIENCE_S

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, END_HEADERS, ACK = 1, 4, 1
NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT, STREAM_CLOSED, FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, CONNECT_ERROR, ENHANCE_YOUR_CALM = range(12)
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
STATIC = """:authority|:method=GET|:method=POST|:path=/|:path=/index.html|:scheme=http|:scheme=https|:status=200|:status=204|:status=206|:status=304|:status=400|:status=404|:status=500|accept-charset|accept-encoding=gzip, deflate
accept-language|accept-ranges|accept|access-control-allow-origin|age|allow|authorization|cache-control|content-disposition|content-encoding|content-language|content-length|content-location|content-range|content-type
cookie|date|etag|expect|expires|from|host|if-match|if-modified-since|if-none-match|if-range|if-unmodified-since|last-modified|link|location|max-forwards|proxy-authenticate|proxy-authorization|range|referer|refresh
retry-after|server|set-cookie|strict-transport-security|transfer-encoding|user-agent|vary|via|www-authenticate""".replace("\n", "|").split("|")  # RFC 7541, appendix A
# Of Huffman's code (appendix B) the lengths are enough, a letter each, e for 9 bits: among those of one length they count up.
LENGTHS = ("isxxxxxxxtzxxzxxxxxxxxzxxxxxxxxxbffhibdgffdgdbbbaaabbbbbbbcdkbhfibccccccccccccccccccccccdcdioijbkabababbbaccbbbabcbaabccccckgjixprpprrrsrssssststtrstssss"
           "qrsrsstrqprrssqsrrtqrssqqrqsrssprrrsrrsvvporsruvvvwwvtuoqvwwvwtqqvvxwwwptpqrqqsrruuttvsvwvvwwwwwxwwwwwvz")


def codes():
    """{(length, code): byte}"""
    out, code, before = {}, 0, 5
    for length, byte in sorted((ord(c) - 92, i) for i, c in enumerate(LENGTHS)):
        code <<= length - before
        out[length, code], code, before = byte, code + 1, length
    return out


CODES = codes()


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def literal(name, value):
    def text(s):
        s = s if isinstance(s, bytes) else s.encode()
        n = len(s)
        if n < 127:
            return bytes([n]) + s
        n, out = n - 127, [127]
        while n >= 128:
            out.append(n % 128 | 128)
            n //= 128
        return bytes([*out, n]) + s
    return b"\0" + text(name) + text(value)


def fields(path="/", method="GET", authority="127.0.0.1", more=()):
    return b"".join(literal(n, v) for n, v in [(":method", method), (":scheme", "http"), (":path", path), (":authority", authority), *more])


def unhuffman(data):
    out, code, length = bytearray(), 0, 0
    for byte in data:
        for bit in range(7, -1, -1):
            code, length = code << 1 | byte >> bit & 1, length + 1
            if (length, code) in CODES:
                out.append(CODES[length, code])
                code, length = 0, 0
    return bytes(out)


def fields_of(block):
    """[(name, value)] of a head that was written with a table of no bytes."""
    at, out = 0, []

    def number(bits):
        nonlocal at
        n, at = block[at] & (1 << bits) - 1, at + 1
        if n < (1 << bits) - 1:
            return n
        for shift in range(0, 35, 7):
            n, at = n + ((block[at] & 127) << shift), at + 1
            if not block[at - 1] & 128:
                return n
        raise ValueError("a number without end")

    def text():
        nonlocal at
        coded = block[at] & 128
        n = number(7)
        at += n
        return (unhuffman(block[at - n:at]) if coded else block[at - n:at]).decode("latin-1")

    while at < len(block):
        if block[at] & 128:
            name, _, value = STATIC[number(7) - 1].partition("=")
            out.append((name, value))
        elif block[at] & 224 == 32:
            number(5)
        else:
            entry = number(6 if block[at] & 64 else 4)
            name = STATIC[entry - 1].partition("=")[0] if entry else text()
            out.append((name, text()))
    return out


class Answer:
    def __init__(self):
        self.statuses, self.body, self.ended, self.reset, self.trailers, self.fields = [], b"", False, None, None, {}

    @property
    def status(self):
        return self.statuses[-1] if self.statuses else None


class Client:
    """A connection, whose frames a thread reads: answers by stream, the error of a GOAWAY, what else came by kind."""

    def __init__(self, port, settings=((1, 0),), window=1 << 20, host="127.0.0.1", sock=None, starts=True, pongs=True):
        self.sock = sock or socket.create_connection((host, port), PATIENCE_S)
        self.answers, self.goaway, self.last, self.closed, self.came, self.pongs = {}, None, None, False, [], pongs  # last: stream that GOAWAY says is looked at
        self.goaways = []  # the same of each that came
        self.room, self.initial = {0: 65535}, 65535  # what the server lets come: in all, of each stream
        self.window, self.next, self.changed = window, 1, threading.Condition()
        threading.Thread(target=self.read, daemon=True).start()
        if starts:
            self.send(PREFACE + frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", k, v) for k, v in settings)))
            if window > 65535:
                self.send(frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", window - 65535)))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, data):
        """False: it has ended."""
        try:
            self.sock.sendall(data)
            return True
        except OSError:
            return False

    def read(self):
        got = b""
        try:
            while piece := self.sock.recv(1 << 16):
                got += piece
                while len(got) >= 9 and len(got) >= 9 + (n := int.from_bytes(got[:3], "big")):
                    self.take(got[3], got[4], int.from_bytes(got[5:9], "big") & 0x7fffffff, got[9:9 + n])
                    got = got[9 + n:]
        except OSError:
            pass
        with self.changed:
            self.closed = True
            self.changed.notify_all()

    def take(self, kind, flags, stream, payload):
        with self.changed:
            self.came.append(kind)
            a = self.answers.setdefault(stream, Answer())
            if kind == HEADERS:
                said = dict(fields_of(payload))
                if a.statuses and a.status >= 200:
                    a.trailers = said
                else:
                    a.fields = said
                    a.statuses.append(int(said[":status"]))
            elif kind == DATA:
                a.body += payload
                if self.window and payload and not flags & END_STREAM:  # 0: nothing is ever taken
                    self.send(frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", len(payload))) + frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", len(payload))))
            elif kind == RST_STREAM:
                a.reset = int.from_bytes(payload, "big")
            elif kind == GOAWAY:
                self.goaway, self.last = int.from_bytes(payload[4:8], "big"), int.from_bytes(payload[:4], "big")
                self.goaways.append(int.from_bytes(payload[:4], "big") & 0x7fffffff)
            elif kind == PING and not flags & ACK and self.pongs:
                self.send(frame(PING, ACK, 0, payload))
            elif kind == WINDOW_UPDATE:
                self.room[stream] = self.room.get(stream, self.initial) + int.from_bytes(payload, "big")
            elif kind == SETTINGS and not flags & ACK:
                self.initial = next((v for k, v in struct.iter_unpack(">HI", payload) if k == 4), self.initial)
                self.send(frame(SETTINGS, ACK))
            a.ended = a.ended or (kind in (HEADERS, DATA) and bool(flags & END_STREAM))
            self.changed.notify_all()

    def wait(self, condition):
        with self.changed:
            if not self.changed.wait_for(condition, PATIENCE_S):
                raise AssertionError("it did not come to that")

    def ask(self, path="/", body=None, method=None, more=(), authority="127.0.0.1", ends=True):
        """The number of a stream that asks; body None: none."""
        stream, self.next = self.next, self.next + 2
        head = frame(HEADERS, END_HEADERS | (END_STREAM if body is None and ends else 0), stream, fields(path, method or ("GET" if body is None and ends else "POST"), authority, more))
        self.send(head)
        for i in range(0, len(body or b""), 16384):
            self.data(stream, body[i:i + 16384])
        if body is not None and ends:
            self.send(frame(DATA, END_STREAM, stream))
        return stream

    def data(self, stream, piece):
        """Once there is room for it; nothing where it was answered before."""
        self.wait(lambda: self.over(stream) or min(self.room[0], self.room.get(stream, self.initial)) >= len(piece))
        if self.over(stream):
            return
        self.room[0] -= len(piece)
        self.room[stream] = self.room.get(stream, self.initial) - len(piece)
        self.send(frame(DATA, 0, stream, piece))

    def over(self, stream):
        return self.closed or (a := self.answers.get(stream)) and (a.ended or a.reset is not None)

    def answer(self, stream):
        self.wait(lambda: self.over(stream))
        return self.answers.get(stream) or Answer()

    def get(self, *args, **named):
        return self.answer(self.ask(*args, **named))
