"""A client of WebSockets that tests drive frame by frame (RFC 6455), over HTTP/1.1: what goes is spelled by the test, what comes is taken apart here."""
import base64, hashlib, os, socket, struct, zlib

import http2

from processes import PATIENCE_S

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def masked(payload, key):
    n = len(payload)
    if key == bytes(4) or not n:
        return payload
    return (int.from_bytes(payload, "little") ^ int.from_bytes((key * (n // 4 + 1))[:n], "little")).to_bytes(n, "little")


def frame(op, payload=b"", fin=True, rsv=0, key=b"\x37\xfa\x21\x3d", length=None):
    """key None: not masked. length: what is said of it, in so many bytes (1, 2, 8), where that is otherwise."""
    n, said = len(payload), length or (1 if len(payload) < 126 else 2 if len(payload) < 65536 else 8)
    bit = 0x80 if key is not None else 0
    head = bytes([fin << 7 | rsv << 4 | op]) + (bytes([bit | n]) if said == 1 else bytes([bit | (126 if said == 2 else 127)]) + n.to_bytes(said, "big"))
    return head + payload if key is None else head + key + masked(payload, key)


def close(code=None, reason=b""):
    return frame(CLOSE, b"" if code is None else struct.pack(">H", code) + reason)


def handshake(path="/", host="127.0.0.1", key=None, version="13", more=(), method="GET", drop=()):
    fields = [("Host", host), ("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Key", key or base64.b64encode(os.urandom(16)).decode()), ("Sec-WebSocket-Version", version)]
    return (f"{method} {path} HTTP/1.1\r\n" + "".join(f"{n}: {v}\r\n" for n, v in [f for f in fields if f[0] not in drop] + list(more)) + "\r\n").encode()


class Reader:
    """Frames of what recv gives. A frame is (op, payload, fin, rsv)."""
    buffer = b""

    def more(self, n):
        while len(self.buffer) < n:
            piece = self.piece()
            if not piece:
                raise EOFError
            self.buffer += piece

    def take(self, n):
        self.more(n)
        taken, self.buffer = self.buffer[:n], self.buffer[n:]
        return taken

    def frame(self):
        a, b = self.take(2)
        n = b & 127
        if n > 125:
            n = int.from_bytes(self.take(2 if n == 126 else 8), "big")
        assert not b & 128, "a server's frame is masked"
        if n > 65536:  # in pieces, each looked at once
            parts, have = [self.buffer], len(self.buffer)
            while have < n:
                piece = self.piece()
                if not piece:
                    raise EOFError
                parts.append(piece)
                have += len(piece)
            self.buffer = b"".join(parts)
        return a & 15, self.take(n), bool(a & 128), a >> 4 & 7

    def frames(self):
        """All that come, to the end."""
        found = []
        try:
            while True:
                found.append(self.frame())
                if found[-1][0] == CLOSE:
                    self.answer(found[-1][1])
        except (EOFError, ConnectionError):
            return found


class Client(Reader):
    def __init__(self, port, path="/", more=(), host="127.0.0.1", deflate=None, timeout=PATIENCE_S, small=False, **named):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if small:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.sock.settimeout(timeout)
        self.sock.connect(("127.0.0.1", port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        key = base64.b64encode(os.urandom(16)).decode()
        more = [*more, *([("Sec-WebSocket-Extensions", deflate)] if deflate else [])]
        self.send(handshake(path, host, named.pop("key", key), more=more, **named))
        while b"\r\n\r\n" not in self.buffer:
            piece = self.piece()
            if not piece:
                break
            self.buffer += piece
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split()[1]) if lines[0] else None
        self.fields = {k.lower(): v.strip() for k, _, v in (l.partition(":") for l in lines[1:])}
        if self.status == 101:
            assert self.fields["sec-websocket-accept"] == base64.b64encode(hashlib.sha1(key.encode() + GUID).digest()).decode(), self.fields
            assert self.fields["upgrade"].lower() == "websocket" and self.fields["connection"].lower() == "upgrade", self.fields
        self.deflated = "permessage-deflate" in self.fields.get("sec-websocket-extensions", "")

    def piece(self):
        return self.sock.recv(1 << 18)

    def answer(self, payload):
        """The other half of a goodbye, for who waits for it."""
        try:
            self.send(frame(CLOSE, payload[:2]))
        except OSError:
            pass

    def send(self, data, chop=0, pause=None):
        if not chop:
            self.sock.sendall(data)
            return
        for i in range(0, len(data), chop):
            self.sock.sendall(data[i:i + chop])
            if pause:
                pause()

    def message(self):
        """The next one whole: (op, payload), inflated. Pings and pongs are left out."""
        op, data, squeezed = None, [], False
        while True:
            o, payload, fin, rsv = self.frame()
            if o == CLOSE:
                return CLOSE, payload
            if o in (PING, PONG):
                continue
            if op is None:
                op, squeezed = o, bool(rsv & 4)
            data.append(payload)
            if fin:
                whole = b"".join(data)
                return op, zlib.decompress(whole + b"\0\0\xff\xff\1\0\0\xff\xff", -15) if squeezed else whole

    def __enter__(self):
        return self

    def __exit__(self, *about):
        self.sock.close()


class Stream(Reader):
    """One over HTTP/2 (RFC 8441), as a stream of an http2.Client's."""

    def __init__(self, client, path="/", host="127.0.0.1", more=(), protocol="websocket", version="13"):
        self.client, self.id = client, client.next
        client.next += 2
        block = b"".join(http2.literal(n, v) for n, v in [(":method", "CONNECT"), *([(":protocol", protocol)] if protocol else []), (":scheme", "http"), (":path", path), (":authority", host), ("sec-websocket-version", version), *more])
        client.send(http2.frame(http2.HEADERS, http2.END_HEADERS, self.id, block))
        self.taken = 0
        self.wait(lambda a: a.status)
        self.status, self.fields = self.answer_.status, self.answer_.fields

    @property
    def answer_(self):
        return self.client.answers.setdefault(self.id, http2.Answer())

    def wait(self, done):
        with self.client.changed:
            if not self.client.changed.wait_for(lambda: done(self.answer_) or self.answer_.reset is not None or self.client.closed, PATIENCE_S):
                raise TimeoutError

    def piece(self):
        self.wait(lambda a: len(a.body) > self.taken or a.ended)
        with self.client.changed:
            piece = self.answer_.body[self.taken:]
            self.taken += len(piece)
        return piece

    def send(self, data, ends=False):
        for i in range(0, len(data), 16384):
            self.client.data(self.id, data[i:i + 16384])
        if ends:
            self.client.send(http2.frame(http2.DATA, http2.END_STREAM, self.id))

    def answer(self, payload):
        self.send(frame(CLOSE, payload[:2]))
