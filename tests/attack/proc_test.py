"""Processes: what a job, a worker and the supervisor hold, what they survive, and how they come back."""
import ctypes, os, pty, re, shutil, signal, socket, struct, subprocess, threading, time

from harness import *
from inject import Taken, said


def memory_has(pid, needle):
    """Where these bytes are in the memory of a process."""
    found = []
    try:
        with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
            for line in maps:
                span, perm = line.split()[:2]
                low, high = (int(x, 16) for x in span.split("-"))
                if "r" not in perm or high - low > 1 << 28:
                    continue
                with contextlib.suppress(OSError, ValueError):
                    mem.seek(low)
                    if needle in mem.read(high - low):
                        found.append(line.strip())
    except PermissionError:
        raise Skip("another process's memory can be read by root only")
    return found


def big_module():
    """Valid, and long enough to compile that a job can be caught at it."""
    def leb(n):
        out = b""
        while n > 127:
            out, n = out + bytes([n & 127 | 128]), n >> 7
        return out + bytes([n])
    section = lambda i, b: bytes([i]) + leb(len(b)) + b
    body = b"\x00" + b"\x41\x01\x1a" * 20000 + b"\x0b"
    count = 400
    return file_of("big.wasm", b"\0asm\1\0\0\0" + section(1, b"\x01\x60\x00\x00") + section(3, leb(count) + b"\x00" * count) +
                   section(10, leb(count) + (leb(len(body)) + body) * count))


def caught_job(*flags, **env):
    """(orlo compile, its job, what holds that): the job is stopped, with its sandbox on. It may be done before anybody looks: then another one."""
    for _ in range(100):
        p = subprocess.Popen([ORLO, "compile", big_module(), "-o", os.path.join(WORK, "big.orlo"), *flags], stderr=subprocess.PIPE, env=dict(os.environ, **env))
        found = until(lambda: processes.children(p.pid, "orlo-job") or p.poll() is not None and [None])
        with contextlib.suppress(AssertionError):  # it has ended
            while job := found[0]:
                held = processes.stop(job)
                if "Seccomp:\t2" in processes.read(job, "status"):
                    return p, job, held
                processes.go_on(held)
        p.communicate(timeout=PATIENCE_S)
    raise AssertionError("no job could be caught")


def test_job_holds_no_secrets():
    """The node's key and the environment are not in the memory of the process that parses a stranger's file."""
    state = os.path.join(WORK, "keys")
    os.makedirs(state, 0o700)
    key = os.urandom(32)
    path = os.path.join(state, "node.key")
    with open(path, "wb") as f:
        f.write(key)
    os.chmod(path, 0o600)
    token = os.urandom(16).hex()
    p, job, held = caught_job("--state", state, TOKEN=token)
    fields = processes.stat(job)
    found = memory_has(job, key) + memory_has(job, token.encode()), memory_has(p.pid, key)
    check(processes.go_on(held))
    _, said = p.communicate(timeout=PATIENCE_S)
    eq(p.returncode, 0)
    eq(found, ([], []))
    eq((fields[3], fields[4]), (str(job), "0"))  # a session of its own, no terminal


def test_workers_hold_no_key():
    code, _, said = orlo("compile", guest("cgi"), "-o", os.path.join(WORK, "cgi.orlo"))
    eq((code, said), (0, ""))
    key = open(os.path.join(os.environ["ORLO_STATE"], "node.key"), "rb").read()
    with serving(os.path.join(WORK, "cgi.orlo"), "--workers", "2") as s:
        for pid in [s.proc.pid, *s.workers()]:
            eq(memory_has(pid, key), [])


def test_workers_share_no_pages():
    """The kernel may merge equal pages of whom a service manager says so (MemoryKSM=): a guest's stores would then take longer where another's pages
    hold the same, and a page of zeroes put in place of one that was written would not be found by a reset."""
    prctl = ctypes.CDLL(None).prctl
    if SANITIZED:
        raise Skip("where merging ends the kernel walks all of a sanitizer's shadow, page by page")
    if prctl(67, 1, 0, 0, 0):  # PR_SET_MEMORY_MERGE
        raise Skip("the kernel merges no pages")
    try:
        with serving(guest("cgi"), "--workers", "1") as s:
            eq(one_request(s).status, 200)
            for pid in s.workers():
                eq([l for l in processes.read(pid, "ksm_stat").splitlines(True) if l.startswith("ksm_merge_any")] or ["ksm_merge_any: no\n"], ["ksm_merge_any: no\n"])
    finally:
        prctl(67, 0, 0, 0, 0)


# ---- coming back ----------------------------------------------------------------------------------------------------


def one_request(s):
    return curl(s.url + "/hello")


def test_successor_at_once():
    """However often a worker is killed, the next one starts without a pause; the queue of connections is kept."""
    with serving(guest("cgi"), "--workers", "1") as s:
        took = []
        for i in range(6):
            eq(one_request(s).status, 200)
            old = s.workers()
            began = time.monotonic()
            processes.kill(old[0])
            eq(one_request(s).status, 200)  # it waits in the queue
            took.append((time.monotonic() - began) * 1000)
            eq(s.wait_event("worker-died", count=i + 1)["restart_ms"], 0)
            until(lambda: s.workers() and s.workers() != old)
        print(f"     killed to answered: {min(took):.0f} to {max(took):.0f} ms", flush=True)


def test_death_names_requests():
    """The log says which requests a worker that died had, and that the app did it twice."""
    with serving(guest("cgi"), "--workers", "1", "--timeout", "60s") as s:
        for i in range(2):
            threads = [threading.Thread(target=lambda: curl(s.url + "/loop")) for _ in range(2)]
            for t in threads:
                t.start()
            pid = until(lambda: s.workers())[0]
            until(lambda: processes.ticks(pid) > 10)
            processes.kill(pid, signal.SIGABRT)  # a sanitizer has handlers for the others
            died = s.wait_event("worker-died", count=i + 1)
            for t in threads:
                t.join()
            eq((died["signal"], died["doing"], died["restart_ms"]), (6, "guest code", 0))
            eq([len(i) for i in died["requests"].split()], [16, 16])
            eq(one_request(s).status, 200)
        s.wait_event("app-kills-workers")


def test_hung_worker_is_replaced():
    """A worker whose loop no longer turns is replaced; one that only waits, or is stopped, is not."""
    with serving(guest("cgi"), "--workers", "2") as s:
        hung, stopped = s.workers()
        with processes.stopped(stopped):
            with Taken(hung) as t:
                t.hang()
            stuck = s.wait_event("worker-stuck")
            has(stuck, "doing")
            processes.wait_gone(hung)  # it was told of before it was ended
        for _ in range(20):
            eq(one_request(s).status, 200)
        eq(len(s.events("worker-stuck")), 1)


def test_control_comes_back():
    """Control is killed, or says what it does not say: requests go on, it starts anew, and what is asked of it is done."""
    with serving(guest("cgi"), "--workers", "2") as s:
        workers = s.workers()
        for i, end in enumerate(("killed", "nonsense", "empty")):
            control = s.role("control")
            if end == "killed":
                processes.kill(control)
            else:
                with contextlib.suppress(ProcessLookupError), Taken(control) as t:
                    at = t.put(b"\xff" * 64)
                    t.call(SYS["write"], 3, at, 64 if end == "nonsense" else 1)
            s.wait_event("role-died", count=i + 1)
            eq(one_request(s).status, 200)
            until(lambda: s.role("control") != control)
            s.wait_event("reloaded", count=i + 1)  # what it no longer knows it is told again
        eq([e["role"] for e in s.events("role-cut-off")], ["control"] * 2)
        until(lambda: len(s.workers()) == 2)
        s.proc.send_signal(signal.SIGHUP)
        s.wait_event("reloaded", count=4)
        eq(one_request(s).status, 200)
        eq(s.events("worker-died"), [])
        check(not set(workers) & set(s.workers()))


def test_keys_end_when_idle():
    """Who holds the key is there while it is asked, and some seconds more; what it should not say ends it."""
    wasm = guest("cgi")
    with serving(wasm, "--workers", "1") as s:
        first = s.role("keys")
        until(lambda: not s.processes("keys"))
        reloads, taken = 0, False
        while not taken and reloads < 5:  # on a busy machine it may have gone already when it is to be taken
            s.proc.send_signal(signal.SIGHUP)
            second, reloads = s.role("keys"), reloads + 1
            check(first != second)
            s.wait_event("reloaded", count=reloads)
            with contextlib.suppress(ProcessLookupError), Taken(second) as t:
                taken = t.call(SYS["write"], 3, t.put(b"x" * 64), 64) in (64, "killed")
        eq(s.wait_event("role-cut-off")["role"], "keys")
        s.proc.send_signal(signal.SIGHUP)
        s.wait_event("reloaded", count=reloads + 1)
        eq(one_request(s).status, 200)


def test_all_end_with_the_supervisor():
    """Killed, it leaves nobody behind: workers finish what they have, the others end at once."""
    s = Server(guest("cgi"), "--workers", "2")
    eq(one_request(s).status, 200)
    pids = s.processes()
    check(len(pids) >= 3, pids)
    s.proc.kill()
    s.proc.wait()
    processes.wait_gone(*pids)


# ---- signals --------------------------------------------------------------------------------------------------------


def test_user_signals_do_nothing():
    with serving(guest("cgi"), "--workers", "1") as s:
        for sig in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGPIPE):
            for pid in [s.proc.pid, *s.workers()]:
                processes.kill(pid, sig)
        eq(one_request(s).status, 200)
        eq(s.events("worker-died"), [])


def test_reload():
    """SIGHUP: the file is read again, requests go on, none is lost; a bad file changes nothing and is reported."""
    path = os.path.join(WORK, "reload.wasm")
    shutil.copy(guest("cgi"), path)
    with serving(path, "--workers", "2") as s:
        old, failed, stop, count = set(s.workers()), [], threading.Event(), [0]

        def load():
            while not stop.is_set():
                a = one_request(s)
                count[0] += 1
                if a.status != 200:
                    failed.append((a.code, a.status))

        threads = [threading.Thread(target=load) for _ in range(4)]
        held = socket.create_connection(("127.0.0.1", s.port), timeout=PATIENCE_S)  # a connection that stays open over it
        ask = b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"
        held.sendall(ask)
        has(held.recv(65536), b" 200 ")
        for t in threads:
            t.start()
        s.proc.send_signal(signal.SIGHUP)
        s.wait_event("reloaded")
        for _ in range(3):  # it goes on, with the new workers
            held.sendall(ask)
            answer = held.recv(65536)
            check(b" 200 " in answer and b"onnection: close" not in answer, answer)
        held.close()
        with open(path, "wb") as f:
            f.write(b"\0asm\1\0\0\0\xff")
        s.proc.send_signal(signal.SIGHUP)
        has(s.wait_event("reload-failed")["reason"], "section")
        seen = count[0]
        until(lambda: count[0] > seen + 20)
        stop.set()
        for t in threads:
            t.join()
        eq(failed, [])
        until(lambda: not old & set(s.workers()))
        eq(len(s.workers()), 2)
        shutil.copy(os.path.join(ROOT, "tests", "guests", "http.wasm"), path)
        s.proc.send_signal(signal.SIGHUP)
        s.wait_event("reloaded", count=2)
        eq(s.events("worker-died"), [])


def test_hangup_of_a_terminal_ends_it():
    """SIGHUP from a terminal that is gone: it ends, as programs do, unless it was started by nohup."""
    wasm = guest("cgi")
    for ignored in (False, True):
        port_file = os.path.join(WORK, "tty-%d" % ignored)
        pid, fd = pty.fork()
        if pid == 0:
            signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)  # whatever these tests were started by
            err = os.open(port_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(err, 2)
            os.execv(ORLO, [ORLO, "serve", wasm, "--listen", "127.0.0.1:0", "--workers", "1", "--log-format", "json"])
        until(lambda: "serving" in open(port_file).read() if os.path.exists(port_file) else False)
        os.close(fd)
        if ignored:
            until(lambda: '"reloaded"' in open(port_file).read())
            processes.kill(pid, signal.SIGTERM)
        eq(os.waitpid(pid, 0)[1], 0)
        check(('"signal":"SIGHUP"' in open(port_file).read()) != ignored)


# ---- logs -----------------------------------------------------------------------------------------------------------


class Quiet(Server):
    """A server whose log nobody reads, until `listen` is set."""

    def read(self):
        while b"serving" not in self.text:
            with self.changed:
                self.text += os.read(self.proc.stderr.fileno(), 4096)
                self.changed.notify_all()
        self.listen = threading.Event()
        self.listen.wait()
        super().read()


def test_log_reader_that_stops():
    """Nobody waits for who reads the log; lines are whole, and those that are lost are counted."""
    s = Quiet(guest("cgi"), "--workers", "2")
    try:
        path = "/hello?" + "x" * 7000
        n = 0
        for _ in range(40):  # of a few MB: more than pipe, sockets and supervisor hold
            with socket.create_connection(("127.0.0.1", s.port), timeout=60) as c:
                for _ in range(20):
                    c.sendall(b"GET " + path.encode() + b" HTTP/1.1\r\nHost: x\r\n\r\n")
                    got = b""
                    whole = lambda: got.endswith(b"\r\n0\r\n\r\n") or ((m := re.search(rb"(?i)content-length: (\d+)\r\n(?:.*?\r\n)?\r\n", got, re.S)) and len(got) >= m.end() + int(m[1]))
                    while not whole():
                        piece = c.recv(65536)
                        check(piece, "closed", n)
                        got += piece
                    has(got, b" 200 ")
                    n += 1
        s.listen.set()
        lost = s.wait_event("log-lost")
        s.stop()
        until(lambda: s.ended)
        for line in s.text.decode().splitlines():
            json.loads(line)
        found = sum(e["lines"] for e in s.events("log-lost")) + len(s.events("request"))
        others = sum(not s.events(e) for e in ("draining", "stopped"))  # lines as others, and lost as they are
        check(n <= found <= n + others, found, n, others, s.text[-600:])
    finally:
        s.listen.set()
        if s.proc.poll() is None:
            s.proc.kill()
            s.proc.wait()


def test_ids_are_unrelated():
    """From one request's id the next cannot be computed: no two differ as a counter's would, whatever undoes the old mixing."""
    def unmix(x):
        m = (1 << 64) - 1
        x ^= x >> 31 ^ x >> 62
        x = x * 0x319642B2D24D8EC3 & m
        x ^= x >> 27 ^ x >> 54
        x = x * 0x96DE1B173F119089 & m
        return x ^ x >> 30 ^ x >> 60
    with serving(guest("cgi"), "--workers", "1") as s:
        for _ in range(70):
            one_request(s)
        ids = [int(e["request"], 16) for e in (s.wait_event("request", count=70), s.events("request"))[1]]
        eq(len(set(ids)), 70)
        for values in (ids, [unmix(i) for i in ids]):
            steps = {b - a & (1 << 64) - 1 for a, b in zip(values, values[1:])}
            eq(len(steps), 69)


# ---- what code that took over a process could do --------------------------------------------------------------------

# The numbers of x86-64, where injecting is possible.
SYS = dict(read=0, write=1, open=2, mmap=9, mprotect=10, ioctl=16, pipe=22, socket=41, connect=42, sendto=44, bind=49, listen=50, socketpair=53,
           setsockopt=54, clone=56, fork=57, vfork=58, execve=59, kill=62, fcntl=72, truncate=76, rename=82, mkdir=83, link=86, unlink=87,
           chmod=90, chown=92, ptrace=101, setuid=105, capset=126, sigqueue=129, mknod=133, personality=135, setpriority=141, prctl=157, arch_prctl=158,
           setrlimit=160, chroot=161, mount=165, tkill=200, setxattr=188, timer_create=222, tgkill=234, openat=257, mkdirat=258, unlinkat=263,
           unshare=272, splice=275, pipe2=293, process_vm_readv=310, setns=308, prlimit64=302, memfd_create=319, bpf=321, userfaultfd=323,
           execveat=322, io_uring_setup=425, pidfd_send_signal=424, pidfd_open=434, clone3=435, openat2=437, process_madvise=440, landlock=444)
PTY, AT_FDCWD, EXEC_ONLY = 0x5412, (1 << 64) - 100, 4


def attempts(t, supervisor, folder=""):
    """(what, call, arguments): none of them may work in any process that touches what strangers sent."""
    path = t.put(os.path.join(folder, "/etc/passwd").encode() + b"\0")
    here = t.put(b"/etc/passwd\0")
    return [
        ("types into the terminal", "ioctl", 0, PTY, here),
        ("takes a terminal", "ioctl", 0, 0x540E, 0),  # TIOCSCTTY
        ("asks for signals by ioctl", "ioctl", 2, 0x5452, here),  # FIOASYNC
        ("names who gets signals", "ioctl", 2, 0x8901, here),  # FIOSETOWN
        ("names who gets signals", "fcntl", 2, 8, supervisor),  # F_SETOWN
        ("names who gets signals", "fcntl", 2, 15, here),  # F_SETOWN_EX
        ("chooses the signal", "fcntl", 2, 10, 9),  # F_SETSIG
        ("asks for signals", "fcntl", 2, 4, 0x2000),  # O_ASYNC
        ("takes a lease", "fcntl", 2, 1024, 0),
        ("kills the supervisor", "kill", supervisor, 9),
        ("kills everybody", "kill", (1 << 64) - 1, 9),
        ("kills its group", "kill", 0, 9),
        ("kills a thread", "tgkill", supervisor, supervisor, 9),
        ("kills a thread", "tkill", supervisor, 9),
        ("queues a signal", "sigqueue", supervisor, 9, here),
        ("opens a process", "pidfd_open", supervisor, 0),
        ("signals by descriptor", "pidfd_send_signal", 3, 9, 0, 0),
        ("makes local sockets", "socketpair", 1, 2, 0, here),
        ("makes local sockets", "socketpair", 1, 5, 0, here),
        ("makes pairs of sockets that are not local", "socketpair", 2, 1, 0, here),
        ("maps what is writable and executable", "mmap", 0, 4096, 7, 0x22, (1 << 64) - 1, 0),
        ("maps what is executable", "mmap", 0, 4096, 5, 0x22, (1 << 64) - 1, 0),
        ("opens a file", "open", here, 0),
        ("truncates", "truncate", here, 0),
        ("makes a folder", "mkdir", here, 0o700),
        ("removes", "unlink", here),
        ("renames", "rename", here, here),
        ("changes a mode", "chmod", here, 0o777),
        ("changes an owner", "chown", here, 0, 0),
        ("makes a device", "mknod", here, 0o020666, 0x101),
        ("sets an attribute", "setxattr", here, here, here, 1, 0),
        ("changes its user", "setuid", 0),
        ("takes capabilities", "capset", here, here),
        ("changes how it is run", "personality", 0x0400000),
        ("changes limits", "setrlimit", 7, here),
        ("changes limits", "prlimit64", 0, 7, here, 0),
        ("reads others' limits", "prlimit64", supervisor, 7, 0, here),
        ("becomes dumpable", "prctl", 4, 1),
        ("changes a priority", "setpriority", 0, 0, -5),
        ("sees faults", "userfaultfd", 0),
        ("advises another", "process_madvise", 3, here, 1, 4, 0),
        ("makes a ring", "io_uring_setup", 8, here),
        ("makes a huge file", "memfd_create", here, 4),
        ("moves data", "splice", 0, 0, 1, 0, 1, 0),
        ("makes a process", "clone3", here, 88),
    ]


DEADLY = [("execs", "execve", 0, 0, 0), ("execs", "execveat", 0, 0, 0, 0, 0), ("traces", "ptrace", 0, 0, 0, 0), ("reads another's memory", "process_vm_readv", 1, 0, 0, 0, 0, 0),
          ("mounts", "mount", 0, 0, 0, 0, 0), ("changes its root", "chroot", 0), ("loads a program into the kernel", "bpf", 0, 0, 0), ("leaves its namespaces", "unshare", 0x10000000),
          ("joins others' namespaces", "setns", 3, 0)]
REFUSED = {"EPERM", "ENOENT", "ENOSYS", "EACCES"}


def refuses(pid, supervisor, fork_kills=False):
    with Taken(pid) as t:
        for what, call, *args in attempts(t, supervisor):
            got = said(t.call(SYS[call], *args))
            check(got in REFUSED, what, call, got)
        status = processes.read(pid, "status")
        eq(re.findall(r"^Cap(?:Inh|Prm|Eff|Bnd|Amb):\s+(\w+)", status, re.M), ["0" * 16] * 5)
        has(status, "NoNewPrivs:\t1", "Seccomp:\t2")
        if not fork_kills:
            for call, *args in (("fork",), ("vfork",), ("clone", 17, 0, 0, 0, 0), ("clone", 0x10000000 | 0x10000, 0, 0, 0, 0)):
                check(said(t.call(SYS[call], *args)) in REFUSED, call)


def test_worker_refuses():
    """Each call that would lead out of a worker, made from within: refused; the worst end it. Whatever it was granted."""
    folder = os.path.join(WORK, "granted")
    os.makedirs(folder, exist_ok=True)
    for flags in ([], ["--allow-http", "example.org"], ["--dir", folder + "::/"], ["--dir", folder + "::/:ro"], ["--allow-net", "*"]):
        with serving(guest("cgi"), "--workers", "1", *flags) as s:
            eq(one_request(s).status, 200)
            pid, = s.workers()
            fields = processes.stat(pid)
            eq((fields[3], fields[4]), (str(pid), "0"))  # a session of its own, no terminal
            refuses(pid, s.proc.pid)
            with Taken(pid) as t:
                path = t.put(b"/etc/passwd\0")
                check(said(t.call(SYS["openat"], AT_FDCWD, path, 0)) in REFUSED)
                check(said(t.call(SYS["openat"], AT_FDCWD, path, 0o1000)) in REFUSED)  # O_TRUNC
                for kind in (1, 2, 3):
                    check(said(t.call(SYS["socket"], 1, kind, 0)) in REFUSED, "AF_UNIX")
                    check(said(t.call(SYS["socket"], 2, kind, 132)) in REFUSED, "SCTP")
                check(said(t.call(SYS["socket"], 17, 3, 0)) in REFUSED, "AF_PACKET")
                if not flags or flags[0] == "--dir":
                    check(said(t.call(SYS["socket"], 2, 1, 0)) in REFUSED, "AF_INET")
                    check(said(t.call(SYS["sendto"], 2, path, 4, 0, path, 13)) in REFUSED, "an address")
                elif flags[0] == "--allow-http":
                    check(said(t.call(SYS["listen"], 4, 1)) in REFUSED, "listen")
                inside = t.put(os.path.join(folder, "new").encode() + b"\0")
                made = said(t.call(SYS["openat"], AT_FDCWD, inside, 0o102, 0o600))
                eq(made in REFUSED, flags[1:] != [folder + "::/"])
            eq(one_request(s).status, 200)
            eq(s.events("worker-died"), [])


def test_worker_truncates_nothing():
    """What was granted for reading is not truncated by a worker that was taken over, also where Landlock is too old to know of that."""
    folder = os.path.join(WORK, "reading")
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "file")
    for most in ("2", None):
        with open(path, "w") as f:
            f.write("text")
        os.chmod(path, 0o666)
        os.environ.update({"ORLO_LANDLOCK_MAX": most} if most else {})
        try:
            with serving(guest("cgi"), "--workers", "1", "--dir", folder + "::/data:ro") as s, Taken(s.workers()[0]) as t:
                folder_fd = next(fd for fd, of in processes.descriptors(t.pid).items() if of == os.path.realpath(folder))
                for flags in (0o1000, 0o1001, 0o1002, 0o1101, 1, 2):  # O_TRUNC, and ways to write
                    how = t.put(struct.pack("=QQQ", flags, 0, 0) + b"file\0")
                    check(said(t.call(SYS["openat2"], folder_fd, how + 24, how, 24)) in REFUSED, "openat2", most, flags)
                    check(said(t.call(SYS["openat"], folder_fd, how + 24, flags, 0o666)) in REFUSED, "openat", most, flags)
                check(said(t.call(SYS["truncate"], how + 24, 0)) in REFUSED)
        finally:
            os.environ.pop("ORLO_LANDLOCK_MAX", None)
        eq(open(path).read(), "text")


def test_worker_connects_to_granted_ports():
    """Where the kernel can hold ports (Landlock 4), a worker connects by TCP to those that were granted, and to no others."""
    import ctypes
    if ctypes.CDLL(None).syscall(444, None, 0, 1) < 4:
        raise Skip("this kernel's Landlock knows no ports")
    there, other = socket.create_server(("127.0.0.1", 0)), socket.create_server(("127.0.0.1", 0))
    with there, other, serving(guest("cgi"), "--workers", "1", "--allow-http", "127.0.0.1:%d" % there.getsockname()[1]) as s:
        with Taken(s.workers()[0]) as t:
            for to, want in ((there, 0), (other, "EACCES")):
                fd = t.call(SYS["socket"], 2, 1, 0)
                address = t.put(struct.pack("=H", 2) + struct.pack(">H4s8x", to.getsockname()[1], socket.inet_aton("127.0.0.1")))
                eq(said(t.call(SYS["connect"], fd, address, 16)), want)
            address = t.put(struct.pack("=H", 2) + struct.pack(">H4s8x", 8099, socket.inet_aton("127.0.0.1")))
            eq(said(t.call(SYS["bind"], t.call(SYS["socket"], 2, 1, 0), address, 16)), "EACCES")


def test_worker_dies_of_the_worst():
    with serving(guest("cgi"), "--workers", "1") as s:
        for i, (what, call, *args) in enumerate(DEADLY):
            eq(one_request(s).status, 200)
            pid = until(lambda: s.workers())[0]
            with Taken(pid) as t:
                eq((what, t.call(SYS[call], *args)), (what, "killed"))
            eq(s.wait_event("worker-died", count=i + 1)["signal"], signal.SIGSYS)


def test_command_refuses():
    """`orlo run` is a worker of one command."""
    p = subprocess.Popen([ORLO, "run", guest("cgi"), "--env", "PATH_INFO=/loop"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        until(lambda: "Seccomp:\t2" in processes.read(p.pid, "status") and processes.ticks(p.pid) > 20)
        refuses(p.pid, os.getpid())
    finally:
        p.kill()
        p.wait()


def users(supervisor):
    """{role: users of its processes}"""
    found = {}
    for pid in processes.children(supervisor):
        if m := re.search(r"^Uid:\s+(.*)$", processes.read(pid, "status"), re.M):
            found.setdefault(processes.name(pid), set()).update(m[1].split())
    return found


def test_each_role_its_user():
    """Started as root, each role is a user of its own; but workers stay root where they would not get at a granted folder, which is said."""
    if os.geteuid() != 0 or not os.stat(ORLO).st_mode & 1:
        raise Skip("root alone may become others")
    theirs, roots = os.path.join(WORK, "theirs"), os.path.join(WORK, "roots")
    for folder in (theirs, roots):
        os.makedirs(folder, exist_ok=True)
    os.chmod(roots, 0o755)
    with serving(guest("cgi"), "--workers", "2") as s:
        found = users(s.proc.pid)
        worker, = found["orlo-worker"]
        eq(len({worker, *found["orlo-control"], "0"}), 3)
        eq(one_request(s).status, 200)
        eq(s.events("role-as-root"), [])
    os.chown(theirs, int(worker), -1)
    for folder, more, user in ((theirs, "", worker), (roots, ":ro", worker), (roots, "", "0")):
        with serving(guest("cgi"), "--workers", "1", "--dir", folder + "::/data" + more) as s:
            eq((folder, users(s.proc.pid)["orlo-worker"]), (folder, {user}))
            eq([(e["role"], e["path"]) for e in s.events("role-as-root")], [("worker", roots)] if user == "0" else [])
            eq(one_request(s).status, 200)


def test_job_refuses():
    for what, call, *args in [(None, None)] + DEADLY + [("makes a process", "fork"), ("makes a process", "clone", 17, 0, 0, 0, 0), ("makes a socket", "socket", 2, 1, 0)]:
        p, job, held = caught_job()
        if not what:
            refuses(job, p.pid, fork_kills=True)
        else:
            with Taken(job) as t:
                eq((what, t.call(SYS[call], *args)), (what, "killed"))
        processes.go_on(held)
        _, errors = p.communicate(timeout=120)
        eq((what, p.returncode), (what, 65 if what else 0))


def test_supervisor_hears_nonsense():
    """What a worker should not say ends that worker, and nobody else; what it says in words cannot steer a terminal."""
    with serving(guest("cgi"), "--workers", "1") as s:
        eq(one_request(s).status, 200)
        pid, = s.workers()
        with contextlib.suppress(ProcessLookupError), Taken(pid) as t:
            for words in (b'\x01{"event":"forged\x1b[2J"}\n', b"words\x1b[2J\n"):
                eq(t.call(SYS["write"], 2, t.put(words), len(words)), len(words))
            at = t.put(b"x" * 64)
            with contextlib.suppress(ProcessLookupError):  # it may be gone before the call is seen to return
                check(t.call(SYS["write"], 3, at, 64) in (64, "killed"))
        eq(s.wait_event("role-cut-off")["role"], "worker")
        s.wait_event("worker-died")
        s.wait_event("worker-said")
        s.wait_event("forged?[2J")
        check(b"\x1b" not in s.text)
        eq(one_request(s).status, 200)
