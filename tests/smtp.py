"""A relay for mails, as they are and as they should not be: what tests let a node's courier speak to."""
import base64, email, email.policy, socket, ssl, threading

import processes


class Relay:
    """On a port of its own; `mode` says how it behaves from the next connection, or command, on.

    well; later (451 to each recipient, once); never (550 to recipients that begin with "no"); busy (421); silent; endless (a banner without end); drops (closes behind DATA, having taken nothing);
    hangs (says nothing behind a message, which it has)."""

    def __init__(self, certificate=None, login=None):
        self.mode, self.certificate, self.login = "well", certificate, login
        self.mails, self.sessions, self.signed_in, self.put_off, self.lines = [], 0, [], set(), []
        self.lock = threading.Lock()
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def accept(self):
        try:
            while True:
                threading.Thread(target=self.serve, args=(self.socket.accept()[0],), daemon=True).start()
        except OSError:
            pass

    def serve(self, c):
        with self.lock:
            self.sessions += 1
        try:
            with c:
                self.talk(c)
        except OSError:
            pass

    def talk(self, c):
        if self.mode == "silent":
            c.recv(1)
            return
        while self.mode == "endless":
            c.sendall(b"220-and on\r\n" * 100)
        if self.mode == "busy":
            c.sendall(b"421 too busy\r\n")
            return
        c.sendall(b"220-double\r\n220 ESMTP\r\n")
        f, secure, to, known = c.makefile("rb"), False, None, not self.login
        while line := f.readline():
            word, _, rest = line.decode("latin-1").rstrip("\r\n").partition(" ")
            with self.lock:
                self.lines.append(line)
            if word == "EHLO":
                can = (["STARTTLS"] if self.certificate and not secure else []) + ([f"AUTH {self.login[2]}"] if self.login and (secure or not self.certificate) else [])
                c.sendall("".join(f"250-{w}\r\n" for w in ["double", "SIZE 1000000", *can]).encode() + b"250 HELP\r\n")
            elif word == "STARTTLS":
                c.sendall(b"220 go on\r\n")
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(*self.certificate)
                c = context.wrap_socket(c, server_side=True)
                f, secure = c.makefile("rb"), True
            elif word == "AUTH":
                if rest == "LOGIN":
                    c.sendall(b"334 VXNlcm5hbWU6\r\n")
                    user = base64.b64decode(f.readline())
                    c.sendall(b"334 UGFzc3dvcmQ6\r\n")
                    got = (user.decode(), base64.b64decode(f.readline()).decode())
                else:
                    got = tuple(base64.b64decode(rest.partition(" ")[2]).decode().split("\0")[1:])
                known = got == self.login[:2]
                with self.lock:
                    self.signed_in.append(got)
                c.sendall(b"235 yes\r\n" if known else b"535 5.7.8 no such user\r\n")
            elif word == "RCPT":
                to = rest
                if self.mode == "later" and rest not in self.put_off:
                    self.put_off.add(rest)
                    c.sendall(b"451 4.7.1 later\r\n")
                elif self.mode == "never" and rest.lower().startswith("to:<no"):
                    c.sendall(b"550-5.1.1 nobody\r\n550 5.1.1 has that address\r\n")
                else:
                    c.sendall(b"250 yes\r\n" if known else b"530 sign in first\r\n")
            elif word == "DATA":
                c.sendall(b"354 go on\r\n")
                if self.mode == "drops":
                    return
                data = b""
                while (line := f.readline()) != b".\r\n":
                    if not line:
                        return
                    data += line[1:] if line.startswith(b".") else line
                with self.lock:
                    self.mails.append((to, data))
                if self.mode == "hangs":
                    f.read(1)
                    return
                c.sendall(b"250 queued\r\n")
            elif word == "QUIT":
                c.sendall(b"221 bye\r\n")
                return
            else:
                c.sendall(b"250 yes\r\n")

    def to(self, address):
        """What has come for him, as a mail client reads it."""
        with self.lock:
            return [email.message_from_bytes(data, policy=email.policy.default) for to, data in self.mails if to == f"TO:<{address}>"]

    def wait_to(self, address, count=1):
        processes.until(lambda: len(self.to(address)) >= count)
        return self.to(address)[-1]
