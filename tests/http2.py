"""A client of HTTP/2 that tests drive frame by frame (RFC 9113): what goes is spelled by the test, what comes is taken apart here. Fields are written
as literals (RFC 7541 §6.2.2), and of those that come the status alone is read."""
import socket, struct, threading

from processes import PATIENCE_S

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, END_HEADERS, ACK = 1, 4, 1
NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT, STREAM_CLOSED, FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, CONNECT_ERROR, ENHANCE_YOUR_CALM = range(12)
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
STATUSES = {0x88: 200, 0x89: 204, 0x8a: 206, 0x8b: 304, 0x8c: 400, 0x8d: 404, 0x8e: 500}
DIGITS = {"00000": "0", "00001": "1", "00010": "2", **{f"{25 + i:06b}": str(3 + i) for i in range(7)}}  # of Huffman's code (RFC 7541, appendix B)


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


def status_of(block):
    """Of a head as nghttp2 writes it with a table of no bytes: what says the table's size first, then :status."""
    while block and block[0] >> 5 == 1:
        block = block[1:]
    if block[0] in STATUSES:
        return STATUSES[block[0]]
    n, text = block[1] & 127, block[2:]  # a literal whose name is of the static table
    if not block[1] & 128:
        return int(text[:n])
    bits, said = "".join(f"{b:08b}" for b in text[:n]), ""
    while len(said) < 3:
        n = 5 if bits[:5] in DIGITS else 6
        said, bits = said + DIGITS[bits[:n]], bits[n:]
    return int(said)


class Answer:
    def __init__(self):
        self.statuses, self.body, self.ended, self.reset, self.trailers = [], b"", False, None, False

    @property
    def status(self):
        return self.statuses[-1] if self.statuses else None


class Client:
    """A connection, whose frames a thread reads: answers by stream, the error of a GOAWAY, what else came by kind."""

    def __init__(self, port, settings=((1, 0),), window=1 << 20, host="127.0.0.1", sock=None, starts=True):
        self.sock = sock or socket.create_connection((host, port), PATIENCE_S)
        self.answers, self.goaway, self.closed, self.came = {}, None, False, []
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
                if a.statuses and a.status >= 200:
                    a.trailers = True
                else:
                    a.statuses.append(status_of(payload))
            elif kind == DATA:
                a.body += payload
                if self.window and payload and not flags & END_STREAM:  # 0: nothing is ever taken
                    self.send(frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", len(payload))) + frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", len(payload))))
            elif kind == RST_STREAM:
                a.reset = int.from_bytes(payload, "big")
            elif kind == GOAWAY:
                self.goaway = int.from_bytes(payload[4:8], "big")
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
