#!/usr/bin/env python3
"""Runs suites in the format of WebAssembly/wasi-testsuite (doc/specification.md there).

Usage: tests/wasi/run.py ORLO [--only GLOB]… PATH… : a PATH is a folder of .wasm with .json beside them, or one .wasm; of those, the
ones that a GLOB fits by name. Each test has a fresh copy of the folder it works in (fs-tests.dir).
Prints one line for each test that does not pass, and a closing line 'N passed, N failed, N skipped'.
"""
import fnmatch, http.client, http.server, json, os, re, select, shutil, signal, socket, subprocess, sys, tempfile, threading

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import sanitize

TIMEOUT_S = 20

# Tests not run, each with the reason the suite's own expectation files give for it.
EXCLUDED = {}


class Failed(Exception):
    pass


class Endpoint(http.server.BaseHTTPRequestHandler):
    """A server a guest talks to: fixed answers, or an echo of the body or of the head."""
    protocol_version = "HTTP/1.1"

    def handle_any(self):
        body, trailers = self.read_body()
        spec = self.server.routes.get((self.command, self.path))
        if spec is None:
            return self.reply(404, [], body=b"")
        mode = spec.get("mode", "static")
        if mode == "echo-body":
            return self.reply(200, [], body=body)
        if mode == "echo-headers":
            fields = [("x-request-method", self.command), ("x-request-path", self.path)]
            for name in dict.fromkeys(k.lower() for k in self.headers.keys()):
                fields += [("x-echo-" + name, v) for v in self.headers.get_all(name, [])]
            fields += [("x-trailer-" + k, v) for k, v in trailers.items()]
            return self.reply(200, fields, body=b"")
        r = spec.get("response") or {}
        self.reply(r.get("status", 200), list(r.get("headers", {}).items()), r.get("body", "").encode(),
                   r.get("chunks"), r.get("trailers", {}))

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_OPTIONS = handle_any

    def read_body(self):
        if "chunked" not in (self.headers.get("Transfer-Encoding") or "").lower():
            return self.rfile.read(int(self.headers.get("Content-Length") or 0)), {}
        body, trailers = b"", {}
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.read(2)
        while (line := self.rfile.readline()).strip():
            name, _, value = line.decode().partition(":")
            trailers[name.strip().lower()] = value.strip()
        return body, trailers

    def reply(self, status, fields, body, chunks=None, trailers=()):
        self.close_connection = True
        self.send_response(status)
        for name, value in fields:
            self.send_header(name, value)
        self.send_header("Connection", "close")
        if chunks is None:
            self.send_header("Content-Length", str(len(body)))
        else:
            self.send_header("Transfer-Encoding", "chunked")
            if trailers:
                self.send_header("Trailer", ", ".join(trailers))
        self.end_headers()
        if self.command == "HEAD":
            return
        if chunks is None:
            self.wfile.write(body)
            return
        for c in chunks:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(c.encode()), c.encode()))
        self.wfile.write(b"0\r\n" + b"".join(f"{k}: {v}\r\n".encode() for k, v in dict(trailers).items()) + b"\r\n")

    def log_message(self, *args):
        pass


class Case:
    def __init__(self, orlo, wasm):
        self.orlo, self.wasm = orlo, wasm
        spec = wasm[:-5] + ".json"
        self.config = json.load(open(spec)) if os.path.exists(spec) else {}
        self.world = self.config.get("world", "wasi:cli/command")
        self.proc, self.scratch, self.sockets, self.servers, self.base = None, [], {}, [], None
        self.stderr = b""

    def operations(self):
        c = self.config
        if "operations" in c:
            return c["operations"]
        steps = [dict(c, type="run")]
        steps += [{"type": "read", "id": i, "payload": c[i]} for i in ("stdout", "stderr") if c.get(i)]
        return steps + [{"type": "wait", "exit_code": c.get("exit_code", 0)}]

    def start_servers(self):
        env = {}
        for s in self.config.get("servers", []):
            key = "HTTP_SERVER_" + s["name"].upper()
            if s.get("kind", "listening") == "closed":
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", 0))
                    env[key] = "127.0.0.1:%d" % probe.getsockname()[1]
                continue
            server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
            server.daemon_threads = True
            server.routes = {(e.get("method", "GET"), e.get("path", "/")): e for e in s.get("endpoints", [])}
            threading.Thread(target=server.serve_forever, daemon=True).start()
            self.servers.append(server)
            env[key] = "127.0.0.1:%d" % server.server_address[1]
        return env

    def op_run(self, op):
        serve = self.world == "wasi:http/service"
        argv = [self.orlo] + (["serve", "--listen", "127.0.0.1:0", "--workers", "1"] if serve else ["run"])
        for k, v in {**op.get("env", {}), **self.start_servers()}.items():
            argv += ["--env", f"{k}={v}"]
        if op.get("root"):
            copy = tempfile.mkdtemp(prefix="orlo-wasi-")
            self.scratch.append(copy)
            root = os.path.join(copy, "root")
            shutil.copytree(os.path.join(os.path.dirname(self.wasm), op["root"]), root, symlinks=True)
            for base, names, files in os.walk(root):
                for n in names + files:
                    os.chmod(os.path.join(base, n), 0o755 if n in names else 0o644)
            os.chmod(root, 0o755)
            argv += ["--dir", root + "::/"]
        proposals = self.config.get("proposals", [])
        if "http" in proposals:
            argv += ["--allow-http", "*"]
        if "sockets" in proposals:
            argv += ["--allow-net", "*"]
        argv += [self.wasm]
        if op.get("args"):
            argv += ["--"] + op["args"]
        self.proc = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def read_some(self, pipe, n):
        got = b""
        while len(got) < n:
            if not select.select([pipe], [], [], TIMEOUT_S)[0]:
                raise Failed(f"timed out reading, had {got!r}")
            piece = os.read(pipe.fileno(), n - len(got))
            if not piece:
                break
            got += piece
        return got

    def read_line(self, pipe):
        line = b""
        while not line.endswith(b"\n"):
            c = self.read_some(pipe, 1)
            if not c:
                break
            line += c
        return line.decode("utf-8", "replace")

    def op_read(self, op):
        want = op.get("payload", "").encode()
        got = self.read_some(getattr(self.proc, op.get("id", "stdout")), len(want))
        if got != want:
            raise Failed(f"{op.get('id', 'stdout')}: expected {want!r}, got {got!r}")

    def op_write(self, op):
        self.proc.stdin.write(op.get("payload", "").encode())
        self.proc.stdin.flush()

    def op_connect(self, op):
        line = self.read_line(self.proc.stdout).strip()
        host, _, port = line.rpartition(":")
        if not port.isdigit():
            raise Failed(f"expected HOST:PORT on stdout, got {line!r}")
        self.sockets[op.get("id", "server")] = socket.create_connection((host, int(port)), timeout=TIMEOUT_S)

    def op_send(self, op):
        self.sockets[op["id"]].sendall(op.get("payload", "").encode())

    def op_recv(self, op):
        want = op.get("payload", "").encode()
        got = b""
        while len(got) < len(want) and (piece := self.sockets[op["id"]].recv(len(want) - len(got))):
            got += piece
        if got != want:
            raise Failed(f"received {got!r}, expected {want!r}")

    def op_request(self, op):
        if self.base is None:
            line = self.read_line(self.proc.stderr)
            m = re.search(r"http://([^/\s\"]+)", line)
            if not m:
                raise Failed(f"no http:// address in the first line of stderr: {line!r}")
            self.base = m.group(1)
        c = http.client.HTTPConnection(self.base, timeout=120)
        body = op.get("body") or None
        c.request(op.get("method", "GET"), op.get("path", "/"), body.encode() if body else None, op.get("headers", {}))
        r = c.getresponse()
        text = r.read().decode("utf-8", "replace")
        want = op.get("response", {})
        if r.status != want.get("status", 200):
            raise Failed(f"{op.get('method', 'GET')} {op.get('path', '/')}: expected {want.get('status', 200)}, got {r.status}: {text[:200]}")
        for k, v in want.get("headers", {}).items():
            if r.getheader(k) != v:
                raise Failed(f"header {k}: expected {v!r}, got {r.getheader(k)!r}")
        if text != want.get("body", ""):
            raise Failed(f"body: expected {want.get('body', '')!r}, got {text[:300]!r}")
        c.close()

    def op_kill(self, op):
        self.proc.send_signal(getattr(signal, op.get("signal", "SIGTERM")))

    def op_wait(self, op):
        try:
            out, err = self.proc.communicate(timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise Failed("timed out waiting for the end")
        self.stderr = err
        if report := sanitize.report_in(err.decode("utf-8", "replace")):
            raise Failed(report)
        if self.proc.returncode != op.get("exit_code", 0):
            raise Failed(f"exit status {self.proc.returncode}, expected {op.get('exit_code', 0)}; stdout {out[-300:]!r}")

    def run(self):
        try:
            for op in self.operations():
                getattr(self, "op_" + op["type"])(op)
        except (Failed, OSError, http.client.HTTPException, AttributeError) as e:
            return str(e) or repr(e)
        finally:
            self.close()

    def close(self):
        if self.proc and self.proc.poll() is None:
            self.proc.kill()
            self.stderr = self.proc.communicate()[1]
        for s in self.sockets.values():
            s.close()
        for s in self.servers:
            s.shutdown()
            s.server_close()
        for d in self.scratch:
            shutil.rmtree(d, ignore_errors=True)


def main():
    orlo, paths, globs = sys.argv[1] if sys.argv[1:] else "", [], []
    args = iter(sys.argv[2:])
    for arg in args:
        if arg == "--only":
            globs.append(next(args, ""))
        else:
            paths.append(arg)
    if not paths:
        sys.exit(__doc__)
    passed = failed = skipped = 0
    for path in paths:
        path = os.path.abspath(path)
        if not os.path.exists(path):
            sys.exit(f"run.py: {path}: no such file or folder")
        files = [path] if path.endswith(".wasm") else sorted(
            os.path.join(b, f) for b, _, fs in os.walk(path) for f in fs if f.endswith(".wasm"))
        for wasm in files:
            if globs and not any(fnmatch.fnmatch(os.path.basename(wasm)[:-5], g) for g in globs):
                continue
            name = os.path.relpath(wasm, os.path.dirname(os.path.dirname(wasm)))[:-5]
            if name in EXCLUDED:
                print(f"SKIP {name}: {EXCLUDED[name]}")
                skipped += 1
                continue
            case = Case(os.path.abspath(orlo), wasm)
            why = case.run()
            if why:
                failed += 1
                print(f"FAIL {name}: {why}")
                for line in case.stderr.decode("utf-8", "replace").splitlines()[-8:]:
                    print("     " + line)
            else:
                passed += 1
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    sys.exit(1 if failed else 0)


main()
