"""What the whole-system tests share: guests compiled on the spot, an orlo that serves, clients, checks, and the runner.

A test program is `tests/FOLDER/run.py ORLO [FILTER]`: it says `from harness import *` and ends with `run(globals())`, which calls
each `test_…` whose name contains FILTER, prints `ok|FAIL|LATE|SKIP NAME` lines (LATE: it failed, of a wait that ran out) and 'N passed, N failed, N skipped'. `ok` has the seconds that it took, and
those of them that processors computed for it. One that has its tests in files PART_test.py beside it ends with `run_parts(folder, …)`; `run.py ORLO part:PART` runs
those of one file alone, and with share:I/N behind it each N-th of those, from the I-th on.
"""
import contextlib, importlib, json, os, re, resource, shutil, signal, socket, subprocess, sys, tempfile, threading, time, traceback

import processes, sanitize, wasm_cc
from processes import PATIENCE_S, free_port, in_vain, pace, until, until_eq

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ORLO = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else os.path.join(ROOT, "build", "orlo")
WORK = tempfile.mkdtemp(prefix="orlo-test-")
os.environ["ORLO_STATE"] = os.path.join(WORK, "state")
SANITIZED = sanitize.is_sanitized(ORLO)
for name, value in sanitize.OPTIONS.items():
    os.environ.setdefault(name, value)
GUESTS = {}
ANSWER_S = 55  # for an answer: less than the minute that tests give a guest which would go on for ever


class Skip(Exception):
    pass


# ---- guests -------------------------------------------------------------------------------------------------------


def guest(name):
    """The path of tests/guests/NAME.c, compiled."""
    if name not in GUESTS:
        out = os.path.join(WORK, name + ".wasm")
        if not wasm_cc.build(os.path.join(ROOT, "tests", "guests", name + ".c"), out):
            raise Skip("needs clang and wasm-ld")
        GUESTS[name] = out
    return GUESTS[name]


def file_of(name, data):
    path = os.path.join(WORK, name)
    with open(path, "wb") as f:
        f.write(data)
    return path


# ---- running orlo ---------------------------------------------------------------------------------------------------


def orlo(*args, data=b"", env=None, timeout=PATIENCE_S, cwd=None, limit_file_bytes=None):
    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit_file_bytes, limit_file_bytes))

    p = subprocess.run([ORLO, *args], input=data, capture_output=True, timeout=timeout, env=dict(os.environ, **(env or {})), cwd=cwd, preexec_fn=limit if limit_file_bytes is not None else None)
    return p.returncode, p.stdout.decode("utf-8", "replace"), p.stderr.decode("utf-8", "replace")


class Server:
    def __init__(self, wasm, *flags, listen="127.0.0.1:0"):
        self.proc = subprocess.Popen([ORLO, "serve", wasm, "--listen", listen, "--log-format", "json", *flags], stdin=subprocess.DEVNULL,
                                     stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.text, self.url, self.ended = bytearray(), None, False
        self.changed = threading.Condition()
        threading.Thread(target=self.read, daemon=True).start()
        line = self.wait_event("serving")
        self.url = line["url"]
        self.port = int(self.url.rsplit(":", 1)[1])

    def read(self):
        while piece := os.read(self.proc.stderr.fileno(), 65536):
            with self.changed:
                self.text += piece
                self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def events(self, name=None, **fields):
        lines = [json.loads(l) for l in self.text.decode("utf-8", "replace").split("\n")[:-1] if l.startswith("{")]
        return [l for l in lines if (name is None or l["event"] == name) and all(l.get(k) == v for k, v in fields.items())]

    def wait_event(self, name, count=1, **fields):
        deadline = time.monotonic() + PATIENCE_S
        with self.changed:
            while True:
                found = self.events(name, **fields)
                if len(found) >= count:
                    return found[-1]
                left = deadline - time.monotonic()
                if left <= 0 or (self.proc.poll() is not None and self.ended):
                    raise (processes.Late if left <= 0 else AssertionError)(f"no event {name} {fields} in:\n{self.text.decode('utf-8', 'replace')}")
                self.changed.wait(min(left, 0.2))

    def log(self):
        return self.text.decode("utf-8", "replace")

    def workers(self):
        return self.processes("worker")

    def processes(self, role=None):
        """The node's children; role: of this one."""
        return processes.children(self.proc.pid, role and "orlo-" + role)

    def role(self, name):
        """The process of a role of which there is one, once there is."""
        return until(lambda: self.processes(name))[0]

    def stop(self, sig=signal.SIGTERM, timeout=PATIENCE_S):
        if self.proc.poll() is None:
            self.proc.send_signal(sig)
        try:
            return self.proc.wait(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.wait()
            raise AssertionError("it had to be killed")


    def wait_taken(self, client=None, asked=()):
        """Until what the client (a socket; None: any) has sent was read, or one of those asked (futures) is answered already."""
        mine = client and client.getsockname()[1]
        until(lambda: any(a.done() for a in asked) or any(port == self.port and rx == 0 and mine in (None, peer) for port, peer, rx in connections()))

    def resident_kib(self):
        """What the workers hold of memory, as the kernel shares their pages out; None where this user may not know."""
        kib = 0
        for pid in self.workers():
            try:
                kib += processes.memory_kib(pid)
            except PermissionError:
                return None
        return kib


def sockets():
    """(local address as hex, port, the peer's port, state, bytes that nobody has read, inode) of each TCP socket."""
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError), open("/proc/net/" + table) as f:
            for fields in map(str.split, f.readlines()[1:]):
                address, port = fields[1].split(":")
                yield address, int(port, 16), int(fields[2].split(":")[1], 16), fields[3], int(fields[4].split(":")[1], 16), int(fields[9])


def connections():
    """(the server's port, the client's, bytes that the server has not read) of each that was accepted."""
    return [(port, peer, rx) for _, port, peer, state, rx, inode in sockets() if state == "01" and inode]


def listening(pid):
    """{(is IPv6, port)} of what a process listens on."""
    held = {int(m[1]) for m in (re.fullmatch(r"socket:\[(\d+)\]", of) for of in processes.files(pid)) if m}
    return {(len(address) > 8, port) for address, port, _, state, _, inode in sockets() if state == "0A" and inode in held}


@contextlib.contextmanager
def serving(wasm, *flags, **more):
    s = Server(wasm, *flags, **more)
    try:
        yield s
        status = s.stop()
        check(not sanitize.report_in(s.log()), sanitize.report_in(s.log()))
        check(status == 0, status, s.log())
    except Exception as e:  # a worker that dies of a sanitizer's report is seen as a request without an answer
        report = sanitize.report_in(s.log())
        if report and report not in str(e):
            raise AssertionError(f"{type(e).__name__}: {e}\n{report}") from e
        raise
    finally:
        if s.proc.poll() is None:
            s.proc.kill()
            s.proc.wait()


# Events that say that a worker did not survive.
FATAL = ("worker-died", "worker-exited", "worker-failed", "worker-stuck", "worker-not-started")


class Bystander(threading.Thread):
    """A client of the server that knows nothing of the attack: asks PATH again and again, on a connection each, and keeps count."""

    def __init__(self, s, path, status, timeout_s):
        super().__init__(daemon=True)
        self.s, self.path, self.timeout_s = s, path, timeout_s
        self.status = status if isinstance(status, tuple) else (status,)
        self.asked, self.wrong, self.enough = 0, [], threading.Event()

    def ask(self):
        request = f"GET {self.path} HTTP/1.1\r\nHost: bystander\r\nConnection: close\r\n\r\n".encode()
        try:
            got = raw(self.s.port, request, self.timeout_s)
        except OSError as e:
            got = repr(e).encode()
        self.asked += 1
        if not re.match(b"HTTP/1.1 (?:%s) " % "|".join(map(str, self.status)).encode(), got) or b"\r\n\r\n" not in got:
            self.wrong.append(got[:200])

    def run(self):
        while not self.enough.wait(0.02):
            self.ask()


@contextlib.contextmanager
def attacked(s, path="/", status=200, timeout_s=60, grows_kib=8 << 10):
    """What is inside attacks this server. Meanwhile a bystander asks PATH, and is answered STATUS (or one of them) each time, within a time that only a
    held worker exceeds; afterwards the same workers are there, no sanitizer has said anything, and they hold no more memory than before
    but for GROWS_KIB (a sanitizer keeps what was freed: there the memory is not judged). Yields the bystander."""
    by = Bystander(s, path, status, timeout_s)
    for _ in range(8):  # so that each worker has what a first request makes
        by.ask()
    workers, before, started = s.workers(), s.resident_kib(), len(s.log())
    by.start()
    yield by
    by.enough.set()
    by.join(timeout_s + 10)
    check(not by.is_alive(), "the bystander's request was not answered, nor its connection closed", s.log()[-3000:])
    for _ in range(4):
        by.ask()
    report = sanitize.report_in(s.log())
    check(not report, report)
    said = [e for e in s.events() if e["event"] in FATAL]
    check(not said, said, s.log()[started:][-3000:])
    check(not by.wrong, f"{len(by.wrong)} of {by.asked} requests of a bystander were not answered {status}", by.wrong[:3], s.log()[-3000:])
    eq(s.workers(), workers)
    if SANITIZED or before is None:
        return
    deadline = time.monotonic() + PATIENCE_S
    while (now := s.resident_kib()) > before + grows_kib and time.monotonic() < deadline:
        by.ask()
        pace(0.1)
    check(now <= before + grows_kib, f"the workers held {before} KiB before the attack and hold {now} KiB after it")


class Answer:
    pass


def curl(url, *args, data=None, timeout=ANSWER_S):
    head = tempfile.NamedTemporaryFile(dir=WORK, delete=False)
    if data is not None:
        args = (*args, "--data-binary", "@-")
    p = subprocess.run(["curl", "-s", "-m", str(timeout), "-D", head.name, "-o", "-", *args, url], input=data, capture_output=True)
    a = Answer()
    a.code, a.body = p.returncode, p.stdout
    a.text = p.stdout.decode("utf-8", "replace")
    a.head = head.read().decode("latin-1")
    head.close()
    os.unlink(head.name)
    heads = [b for b in a.head.split("\r\n\r\n") if b]
    a.status = int(heads[-1].split()[1]) if heads else 0
    a.fields = {k.lower(): v.strip() for k, v in (l.split(":", 1) for l in (heads[-1] if heads else "").split("\r\n")[1:] if ":" in l)}
    return a


def raw(port, request, timeout=ANSWER_S):
    """What a server says to these bytes until it closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as s:
        s.sendall(request)
        got = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := s.recv(65536):
                got += piece
        return got


def check(condition, *about):
    if not condition:
        raise AssertionError(" ".join(map(repr, about)))


def eq(a, b):
    if a != b:
        raise AssertionError(f"{a!r} is not {b!r}")


def has(text, *parts):
    for p in parts:
        if p not in text:
            raise AssertionError(f"{p!r} is not in {text!r}")


# ---- the runner -----------------------------------------------------------------------------------------------------


def computed_s():
    """What this process and all that it has waited for computed."""
    return sum(u.ru_utime + u.ru_stime for u in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))


def parts_of(folder):
    """The parts of a test program that has its tests in files."""
    return sorted(f[:-len("_test.py")] for f in os.listdir(folder) if f.endswith("_test.py"))


def option(mark):
    """What stands behind this mark among the arguments, and no more there."""
    found = next((a for a in sys.argv[2:] if a.startswith(mark)), None)
    if found:
        sys.argv.remove(found)
    return found and found[len(mark):]


def run_parts(folder, own=None):
    """own: the globals of run.py itself, part `run`; None: it has no tests."""
    part = option("part:")
    sys.path.insert(0, folder)
    run(*([own] if own and part in (None, "run") else []), *(vars(importlib.import_module(p + "_test")) for p in parts_of(folder) if part in (None, p)))


def run(*spaces):
    """Calls the tests of these globals(), and exits."""
    at, shares = map(int, (option("share:") or "1/1").split("/"))
    wanted = sys.argv[2] if len(sys.argv) > 2 else ""
    passed = failed = skipped = 0
    try:
        for name, fn in [item for space in spaces for item in list(space.items()) if item[0].startswith("test_") and wanted in item[0]][at - 1::shares]:
            started, computed = time.monotonic(), computed_s()
            try:
                if SANITIZED and name[5:] in sanitize.SPARED:
                    raise Skip(sanitize.SPARED[name[5:]])
                fn()
                passed += 1
                print(f"ok {name[5:]} ({time.monotonic() - started:.1f} s, {computed_s() - computed:.1f} of a processor)", flush=True)
            except Skip as e:
                skipped += 1
                print(f"SKIP {name[5:]}: {e}", flush=True)
            except Exception as e:
                failed += 1
                where = traceback.extract_tb(e.__traceback__)
                line = next((f.lineno for f in reversed(where) if f.name == name), 0)
                print(f"{'LATE' if isinstance(e, (processes.Late, subprocess.TimeoutExpired)) else 'FAIL'} {name[5:]} (line {line}): {type(e).__name__}: {str(e)[:3000]}", flush=True)
    finally:
        shutil.rmtree(WORK, ignore_errors=True)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    sys.exit(1 if failed else 0)
