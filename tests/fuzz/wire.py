"""HTTP/1.1 as the fuzzers speak it: a connection that says and hears at once, and a strict reader of responses."""
import re, select, socket, struct, time


class Wire:
    """A connection to a server. `got` is what came; `ended`: None, "eof" or the name of an error."""

    def __init__(self, port, receive_buffer=None):
        self.s = socket.socket()
        if receive_buffer:
            self.s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.s.connect(("127.0.0.1", port))
        self.s.setblocking(False)
        self.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.got, self.ended, self.mute = b"", None, False

    def hear(self, seconds, most=65536):
        if self.ended:
            time.sleep(min(seconds, 0.01))
            return
        if not select.select([self.s], [], [], seconds)[0]:
            return
        try:
            piece = self.s.recv(most)
        except BlockingIOError:
            return
        except OSError as e:
            self.ended = type(e).__name__
            return
        if not piece:
            self.ended = "eof"
        self.got += piece

    def say(self, data, seconds=20):
        """As much as the other side takes in this time."""
        deadline = time.monotonic() + seconds
        while data and not self.mute and not (self.ended and self.ended != "eof") and time.monotonic() < deadline:
            readable, writable, _ = select.select([] if self.ended else [self.s], [self.s], [], 0.1)
            if readable:
                self.hear(0)
            if writable:
                try:
                    data = data[self.s.send(data):]
                except BlockingIOError:
                    pass
                except OSError as e:
                    self.mute = True
                    self.broken = type(e).__name__

    def hush(self):
        """No more is said."""
        try:
            self.s.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def until(self, done, seconds):
        """Hears until done() or the end; False: neither came in time."""
        deadline = time.monotonic() + seconds
        while not done() and not self.ended:
            if time.monotonic() > deadline:
                return False
            self.hear(0.2)
        return True

    def close(self):
        self.s.close()

    def reset(self):
        self.s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.s.close()


class Response:
    def __init__(self, status, fields, body, whole, close):
        self.status, self.fields, self.body, self.whole, self.close = status, fields, body, whole, close


class Malformed(Exception):
    pass


HEAD = re.compile(rb"HTTP/1\.1 (\d{3}) [\t\x20-\x7e\x80-\xff]*\r\n((?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*\r\n)*)\r\n")


def chunked(data):
    """(body, bytes used or None if it goes on)."""
    body, at = b"", 0
    while True:
        end = data.find(b"\r\n", at)
        if end < 0:
            if len(data) - at > 100:
                raise Malformed(f"a chunk's size: {data[at:at + 40]!r}")
            return body, None
        if not re.fullmatch(rb"[0-9A-Fa-f]{1,16}", data[at:end]):
            raise Malformed(f"a chunk's size: {data[at:end][:40]!r}")
        n, at = int(data[at:end], 16), end + 2
        if n == 0:
            trailers = re.compile(rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\r\n\0]*\r\n)*\r\n").match(data, at)
            return body, trailers.end() if trailers else None
        body += data[at:at + n]
        if len(data) >= at + n + 2 and data[at + n:at + n + 2] != b"\r\n":
            raise Malformed(f"behind a chunk: {data[at + n:at + n + 10]!r}")
        if len(data) < at + n + 2:
            return body, None
        at += n + 2


def responses(data, methods, ended, more=False):
    """What was answered to requests of these methods, and how many bytes are left behind the last. Raises Malformed for what no server may
    say. More: there were other requests, whose methods nobody knows; what looks malformed behind the known ones may be a body."""
    found = []
    try:
        return found, read_responses(found, data, methods, ended)
    except Malformed:
        if more and len(found) >= len(methods):
            return found, 0
        raise


def read_responses(found, data, methods, ended):
    at = 0
    while at < len(data):
        m = HEAD.match(data, at)
        if not m:
            if b"\r\n\r\n" in data[at:] or not b"HTTP/1.1 "[:len(data) - at].startswith(data[at:at + 9]):
                raise Malformed(f"a head: {data[at:at + 200]!r}")
            return len(data) - at
        status = int(m[1])
        fields = [(k.strip().lower(), v.strip()) for k, v in (l.split(b":", 1) for l in m[2].split(b"\r\n")[:-1])]
        values = lambda name: [v for k, v in fields if k == name]
        at = m.end()
        if 100 <= status < 200 and status != 101:
            continue
        close = b"close" in b",".join(values(b"connection")).lower()
        method = methods[len(found)] if len(found) < len(methods) else "GET"
        lengths, codings = values(b"content-length"), values(b"transfer-encoding")
        if len(lengths) + len(codings) > 1:
            raise Malformed(f"framed twice: {fields!r}")
        if method == "HEAD" or status in (204, 304):
            body, whole = b"", True
        elif codings:
            body, used = chunked(data[at:])
            whole = used is not None
            at = at + used if whole else len(data)
        elif lengths:
            n = int(lengths[0])
            body = data[at:at + n]
            whole = len(body) == n
            at += len(body)
        else:
            body, at, whole = data[at:], len(data), bool(ended)
            close = True
        found.append(Response(status, fields, body, whole, close))
    return 0
