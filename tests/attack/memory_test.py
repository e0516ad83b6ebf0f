"""Memory: what guests, files and clients can make exist is paid by somebody, before it exists; when it is gone, it is gone."""
import harness
from harness import *

# ---- modules, by hand ---------------------------------------------------------------------------------------------------


def leb(n):
    out = b""
    while True:
        byte, n = n & 0x7f, n >> 7
        out += bytes([byte | (0x80 if n else 0)])
        if not n:
            return out


def sized(b):
    return leb(len(b)) + b


def name(s):
    return sized(s.encode())


def section(kind, items):
    return bytes([kind]) + sized(leb(len(items)) + b"".join(items))


PREVIEW1 = "wasi_snapshot_preview1"
CORE = b"\0asm\1\0\0\0"
SAYS = b"Content-Type: text/plain\r\n\r\nhello\n"


def module(memories=((1, 1),), tables=(), datas=(), code=b"", locals_=b"\0", types=()):
    """A preview 1 command: tables of funcref, code before it says hello, bytes at (memory, offset)."""
    say = (b"\x41\0\x41" + leb64(1024) + b"\x36\2\0" b"\x41\4\x41" + leb64(len(SAYS)) + b"\x36\2\0"  # an iovec at 0
           b"\x41\1\x41\0\x41\1\x41\x08\x10\0\x1a")
    body = locals_ + code + say + b"\x0b"
    limits = lambda low, high: b"\1" + leb(low) + leb(high) if high is not None else b"\0" + leb(low)
    data = [b"\2" + leb(m) + b"\x41" + leb64(at) + b"\x0b" + sized(b) for m, at, b in (((0, 1024, SAYS),) + tuple(datas))]
    return (CORE + section(1, [b"\x60\4\x7f\x7f\x7f\x7f\1\x7f", b"\x60\0\0", *types]) +
            section(2, [name(PREVIEW1) + name("fd_write") + b"\0\0"]) + section(3, [b"\1"]) +
            (section(4, [b"\x70" + limits(*t) for t in tables]) if tables else b"") +
            section(5, [limits(*m) for m in memories]) +
            section(7, [name("_start") + b"\0\1", name("memory") + b"\2\0"]) +
            section(10, [sized(body)]) + section(11, data))


def leb64(n):
    """Signed."""
    out = b""
    while True:
        byte, n = n & 0x7f, n >> 7
        if (n == 0 and not byte & 0x40) or (n == -1 and byte & 0x40):
            return out + bytes([byte])
        out += bytes([byte | 0x80])


def component(*parts, instances):
    """Core modules, each instantiated so many times; it exports nothing."""
    out = b"\0asm\x0d\0\1\0"
    for p in parts:
        out += b"\1" + sized(p)
    made = [b"\0" + leb(i) + b"\0" for i, n in enumerate(instances) for _ in range(n)]
    return out + b"\2" + sized(leb(len(made)) + b"".join(made))


SHADOW = 400 if harness.SANITIZED else 0  # MiB of a sanitizer's own


def command(*parts, instances, code=b""):
    """The same, with a module in front whose run is wasi:cli/run."""
    main = (CORE + section(1, [b"\x60\0\1\x7f"]) + section(3, [b"\0"]) + section(7, [name("run") + b"\0\0"]) +
            section(10, [sized(b"\1\1\x7f" + code + b"\x41\0\x0b")]))
    return (component(main, *parts, instances=[1, *instances]) + b"\6" + sized(b"\1\0\0\1\0" + name("run")) +
            b"\7" + sized(b"\2\x6a\0\0\x40\0\0\0") + b"\x08" + sized(b"\1\0\0\0\0\1") +
            b"\5" + sized(b"\1\1\1\0" + name("run") + b"\1\0") + b"\x0b" + sized(b"\1\0" + name("wasi:cli/run@0.2.0") + b"\5\0\0"))


# ---- processes ------------------------------------------------------------------------------------------------------------


def anon_mib(pid):
    """What a process has written and nobody else has."""
    return processes.memory_kib(pid, "RssAnon", "status") / 1024


def settles(what, below):
    """Waits until it is so; says the last value otherwise."""
    seen = [None]
    try:
        until(lambda: seen.append(what()) or seen[-1] <= below)
    except AssertionError:
        check(False, seen[-1], below)


@contextlib.contextmanager
def peak_of_jobs(pid):
    """The most that the children of a process had, their files in memory included."""
    most, stop = [0.0], threading.Event()

    def watch():
        while not stop.wait(0.005):
            most[0] = max(most[0], sum(processes.memory_kib(p, f, "status") for p in processes.children(pid()) for f in ("RssAnon", "RssShmem")) / 1024)
    t = threading.Thread(target=watch)
    t.start()
    try:
        yield most
    finally:
        stop.set()
        t.join()


class Hold:
    """A request whose body does not end until told."""

    def __init__(self, port, path, fields=""):
        self.s = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.s.sendall(f"POST {path} HTTP/1.0\r\nHost: x\r\nContent-Length: 1\r\nConnection: close\r\n{fields}\r\n".encode())

    def end(self, rest=b"x"):
        if rest:
            self.s.sendall(rest)
        got = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := self.s.recv(65536):
                got += piece
        self.s.close()
        return got.decode("latin-1")


# ---- files ----------------------------------------------------------------------------------------------------------------


def test_declared_tables_are_charged():
    wasm = file_of("tables.wasm", module(tables=((8_000_000, None),)))
    code, _, text = orlo("serve", wasm, "--max-memory", "1M", "--listen", "127.0.0.1:0")
    eq(code, 65)
    has(text, "an instance starts with 62 MiB", "its tables 62 MiB", "1 MiB (--max-memory)")
    code, _, text = orlo("serve", guest("memory"), "--max-memory", "100K", "--listen", "127.0.0.1:0")
    eq(code, 65)
    has(text, "may have 100 KiB (--max-memory)")


def test_declared_memories_are_charged_together():
    """Each fits, all of them do not: a limit is an instance's, whatever it is made of."""
    one = CORE + section(5, [b"\0" + leb(800)])  # 50 MiB
    bomb = file_of("bomb.wasm", component(one, instances=[14]))
    for command in ("serve", "compile"):
        more = ("--listen", "127.0.0.1:0") if command == "serve" else ("-o", os.path.join(WORK, "bomb.image"))
        code, _, text = orlo(command, bomb, "--max-memory", "64M", *more)
        eq(code, 65)
        has(text, "starts with 700 MiB (14 memories have 700 MiB", "64 MiB (--max-memory)")
    own = file_of("own.wasm", module(memories=tuple((800, 800) for _ in range(14))))  # all but the first have an address space each
    code, _, text = orlo("serve", own, "--max-memory", "64M", "--listen", "127.0.0.1:0")
    eq(code, 65)
    has(text, "14 memories have 700 MiB")


def test_a_job_is_bounded_with_its_files():
    """A small file whose image would be large: snapshots of all memories together stay small, and so does what the job holds."""
    pages = 1024  # 64 MiB, with a byte at its end, so that all of it belongs to the image
    one = CORE + section(5, [b"\0" + leb(pages)]) + section(11, [b"\0\x41" + leb64(pages * 65536 - 1) + b"\x0b" + sized(b"x")])
    wasm = file_of("ends.wasm", component(one, instances=[14]))
    image = os.path.join(WORK, "ends.image")
    proc = subprocess.Popen([ORLO, "compile", wasm, "-o", image, "--max-memory", "2G"], stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    with peak_of_jobs(lambda: proc.pid) as most:
        proc.communicate(timeout=120)
    eq(proc.returncode, 0)
    check(os.stat(image).st_size < 300 << 20, os.stat(image).st_size)
    check(most[0] < 1200, most)
    code, _, text = orlo("compile", wasm, "-o", image, "--max-memory", "2G", "--max-image", "20K")
    eq(code, 65)
    has(text, "its image has", "--max-image")


def test_a_job_has_one_limit_for_memory_and_files():
    """4,000 functions of 50,000 locals, and tables' worth of context: whatever it needs, it has --compile-memory and no more."""
    locals_ = leb(1) + leb(49_000) + b"\x7e"
    body = sized(locals_ + b"\x0b")
    n = 4000
    many = CORE + section(1, [b"\x60\0\0"]) + section(3, [b"\0"] * n) + section(4, [b"\x70\0" + leb(8_000_000)]) + section(10, [body] * n)
    wasm = file_of("locals.wasm", component(many, instances=[4]))
    proc = subprocess.Popen([ORLO, "compile", wasm, "-o", os.path.join(WORK, "locals.image"), "--max-memory", "2G", "--compile-memory", "256M"],
                            stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    with peak_of_jobs(lambda: proc.pid) as most:
        _, text = proc.communicate(timeout=120)
    check(proc.returncode in (0, 65), proc.returncode, text)
    check(proc.returncode == 0 or b"--compile-memory" in text or b"--max-image" in text, text)
    check(most[0] < 256 or SHADOW, most)


# ---- guests ---------------------------------------------------------------------------------------------------------------


def test_a_worker_has_a_budget():
    """Requests that together want more than there is: each gets a part, and all are answered."""
    with serving(guest("memory"), "--workers", "1", "--node-memory", "300M", "--max-memory", "250M") as s:
        worker, = s.workers()
        held = [Hold(s.port, "/hold?200") for _ in range(30)]
        settles(lambda: -anon_mib(worker), -100)  # those that are in have written to theirs
        took = []
        for h in held:
            check(anon_mib(worker) < 310 + SHADOW, anon_mib(worker))
            a = h.end()
            has(a, "200 OK", "holding ")
            took.append(int(a.split()[-1]))
        check(any(n < 200 for n in took), took)
        settles(lambda: 0 if int(curl(s.url + "/grow?150").text.split()[1]) == 150 else 1, 0)
        eq(s.events("worker-died"), [])
        eq(s.events("no-instance"), [])


def test_refused_says_which_limit():
    """A request that waited for room until its time was up: 503 with the limit and its value; the log has the flag, too."""
    with serving(guest("memory"), "--workers", "1", "--app-memory", "5M", "--timeout", "2s") as s:
        held = [Hold(s.port, "/hold?0") for _ in range(20)]  # one has room; their deadlines pass at the same time
        answers = [h.end(None) for h in held]
        refused = [a for a in answers if a.startswith("HTTP/1.0 503") or a.startswith("HTTP/1.1 503")]
        check(refused, answers)
        has(refused[0], "all of the app's memory is in use", "x-orlo-limit: app_memory_mb=5", "retry-after: 1")
        has(s.wait_event("no-instance")["reason"], "all of the app's 5 MiB are in use (--app-memory)")
        eq(curl(s.url + "/").status, 200)


def test_what_cannot_fit_does_not_start():
    code, _, text = orlo("serve", guest("memory"), "--app-memory", "1M", "--max-memory", "1M", "--listen", "127.0.0.1:0")
    eq(code, 65)
    has(text, "do not fit", "1 MiB are in use (--app-memory)")
    code, _, text = orlo("serve", guest("memory"), "--node-memory", "1", "--max-memory", "1M", "--listen", "127.0.0.1:0")
    eq(code, 65)
    has(text, "do not fit", "its part of --node-memory")


def test_a_thousand_memories_each():
    """An instance of a thousand memories has some thousands of mappings, of which the system gives a process few."""
    spin = b"\3\x40\x20\0\x41\1\x6a\x22\0\x41" + leb64(20_000_000) + b"\x48\x0d\0\x0b"  # so that many are alive at once
    wasm = file_of("thousand.wasm", command(CORE + section(5, [b"\0\1"]), instances=[999 - 9], code=spin))
    with serving(wasm, "--workers", "1", "--timeout", "20s") as s:
        crowd = Crowd(s.port, 60, b"GET / HTTP/1.0\r\n\r\n")
        all_are_told(crowd, b"HTTP/1.")
        crowd.close()
        eq(s.events("worker-died"), [])


def test_growth_stops_at_the_budget():
    """memory.grow says no at the first limit that is met, and the guest goes on."""
    with serving(guest("memory"), "--workers", "1", "--app-memory", "100M", "--max-memory", "1G") as s:
        got = int(curl(s.url + "/grow?500").text.split()[1])
        check(80 < got < 100, got)
        until(lambda: curl(s.url + "/grow?50").text == "took 50\n")  # what the first had goes back a piece at a time, behind its answer
    with serving(guest("memory"), "--workers", "1", "--max-memory", "64M") as s:
        got = int(curl(s.url + "/grow?500").text.split()[1])
        check(55 < got < 64, got)


def test_tables_grow_to_the_limit():
    """table.grow says no where memory.grow would, and what many tables took goes back."""
    grow = lambda t: b"\3\x40\xd0\x70\x41" + leb64(300_000) + b"\xfc\x0f" + leb(t) + b"\x41\x7f\x47\x0d\0\x0b"
    wasm = file_of("grows.wasm", module(tables=((0, None),) * 8, code=b"".join(grow(t) for t in range(8))))
    with serving(wasm, "--workers", "1", "--max-memory", "200M") as s:
        worker, = s.workers()
        before = anon_mib(worker)
        for _ in range(3):
            eq(curl(s.url).text, "hello\n")
        check(anon_mib(worker) < before + 260, anon_mib(worker))
        settles(lambda: anon_mib(worker), before + 24)
        eq(s.workers(), [worker])


def test_collected_objects_grow_to_the_limit():
    """Arrays that stay alive until there is no room: a trap, and all of it goes back."""
    keep = b"\3\x40\x20\0\x41" + leb64(1 << 20) + b"\xfb\7\2\xfb\0\3\x21\0\x0c\0\x0b"
    types = (b"\x5e\x78\1", b"\x5f\2\x6e\1\x6e\1")
    wasm = file_of("keeps.wasm", module(types=types, code=keep, locals_=b"\1\1\x6e"))
    with serving(wasm, "--workers", "1", "--max-memory", "200M") as s:
        worker, = s.workers()
        before = anon_mib(worker)
        for _ in range(3):
            eq(curl(s.url).status, 500)
        has(str(s.wait_event("guest-failed", count=3)), "memory")
        check(anon_mib(worker) < before + 260, anon_mib(worker))
        settles(lambda: anon_mib(worker), before + 40)
        eq(s.workers(), [worker])


def test_resources_without_end():
    """A component that makes resources until it is told to stop: its handle table is full long before a million, and gone with it."""
    main = (CORE + section(1, [b"\x60\1\x7f\1\x7f", b"\x60\0\1\x7f"]) + section(2, [name("") + name("new") + b"\0\0"]) + section(3, [b"\1"]) +
            section(7, [name("run") + b"\0\1"]) + section(10, [sized(b"\0\3\x40\x41\7\x10\0\x1a\x0c\0\x0b\x41\0\x0b")]))
    wasm = file_of("resources.wasm", b"\0asm\x0d\0\1\0" + b"\1" + sized(main) +
                   b"\7" + sized(b"\3\x3f\x7f\0\x6a\0\0\x40\0\0\1") +  # a resource, a result, the type of run
                   b"\x08" + sized(b"\1\2\0") +                           # resource.new
                   b"\2" + sized(b"\2" + b"\1\1" + name("new") + b"\0\0" + b"\0\0\1" + name("") + b"\x12\0") +
                   b"\6" + sized(b"\1\0\0\1\1" + name("run")) + b"\x08" + sized(b"\1\0\0\1\0\2") +
                   b"\5" + sized(b"\1\1\1\0" + name("run") + b"\1\0") + b"\x0b" + sized(b"\1\0" + name("wasi:cli/run@0.2.0") + b"\5\0\0"))
    with serving(wasm, "--workers", "1") as s:
        worker, = s.workers()
        before = anon_mib(worker)
        crowd = Crowd(s.port, 100, b"GET / HTTP/1.0\r\n\r\n")
        all_are_told(crowd, b" 500 ")
        crowd.close()
        has(str(s.wait_event("guest-failed")), "handle table is full")
        settles(lambda: anon_mib(worker), before + 64 + SHADOW)
        eq(s.workers(), [worker])


def test_a_big_request_leaves_nothing():
    """400 MiB written: others are answered while they are given back, and then they are."""
    with serving(guest("memory"), "--workers", "1", "--max-memory", "500M", "--node-memory", "2G") as s:
        worker, = s.workers()
        curl(s.url + "/grow?1")
        before = anon_mib(worker)
        for _ in range(3):
            held = [Hold(s.port, "/hold?200") for _ in range(2)]
            settles(lambda: -anon_mib(worker), -350)
            for h in held:
                has(h.end(), "holding 200")
            eq(curl(s.url + "/grow?1").text, "took 1\n")
        settles(lambda: anon_mib(worker), before + 48)
        eq(len(s.workers()), 1)
        eq(s.workers()[0], worker)


def test_deep_stacks_leave_nothing():
    """Many requests that recurse to the depth of their stack, at the same time: little of it stays."""
    with serving(guest("memory"), "--workers", "1") as s:
        worker, = s.workers()
        eq(curl(s.url + "/deep?15000").text, "took 1\n")
        before = anon_mib(worker)
        for _ in range(2):
            held = [Hold(s.port, "/deep?15000") for _ in range(300)]
            for h in held:
                h.end()
        settles(lambda: anon_mib(worker), before + 200)
        eq(s.events("worker-died"), [])


def test_many_slots_keep_little():
    """200 requests at the same time that each write 8 MiB: what they wrote does not stay with 200 free slots."""
    with serving(guest("memory"), "--workers", "1", "--node-memory", "4G") as s:
        worker, = s.workers()
        held = [Hold(s.port, "/hold?8") for _ in range(200)]
        settles(lambda: -anon_mib(worker), -1500)
        for h in held:
            has(h.end(), "holding 8")
        check(anon_mib(worker) < 1700, anon_mib(worker))
        eq(curl(s.url + "/grow?1").text, "took 1\n")
        settles(lambda: anon_mib(worker), 250)


# ---- clients --------------------------------------------------------------------------------------------------------------


class Crowd:
    """Clients that send the same and wait."""

    def __init__(self, port, count, sends):
        self.all = []
        for _ in range(count):
            c = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
            c.sendall(sends)
            c.setblocking(False)
            self.all.append(c)

    def said(self):
        """What each has been told: bytes, with "<closed>" at the end of those that were closed."""
        out = []
        for c in self.all:
            try:
                got = c.recv(4096)
                out.append(got if got else b"<closed>")
            except BlockingIOError:
                out.append(b"")
            except ConnectionError:
                out.append(b"<closed>")
        return out

    def close(self):
        for c in self.all:
            c.close()


def all_are_told(crowd, words):
    """Each client's answer has these words, in the end."""
    told = crowd.said()

    def silent():
        for i, t in enumerate(crowd.said()):
            told[i] += t
        return sum(words not in t for t in told)
    settles(silent, 0)


def test_heads_have_a_budget():
    """Clients that never finish their heads: whoever has sent one for longest makes room; memory stays, and others are answered."""
    with serving(guest("memory"), "--workers", "1", "--node-memory", "64M") as s:
        worker, = s.workers()
        curl(s.url)
        before = anon_mib(worker)
        crowd = Crowd(s.port, 3000, b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 5000)
        eq(curl(s.url + "/grow?1").text, "took 1\n")
        check(anon_mib(worker) < before + 24, anon_mib(worker), before)
        settles(lambda: -sum(b"<closed>" in t for t in crowd.said()), -1000)
        crowd.close()
        eq(curl(s.url + "/grow?1").text, "took 1\n")


def test_many_fields_of_a_name():
    """A program gets the fields of a name as one: copied once, not once for each of them."""
    with serving(guest("memory"), "--workers", "1") as s:
        worker, = s.workers()
        curl(s.url)
        before = anon_mib(worker)
        held = [Hold(s.port, "/hold?1", ("X-Same: " + "a" * 260 + "\r\n") * 110) for _ in range(100)]
        settles(lambda: -anon_mib(worker), -before - 100)
        eq(curl(s.url + "/grow?1").text, "took 1\n")  # who came before has begun
        check(anon_mib(worker) < before + 100 + 60, anon_mib(worker), before)
        for h in held:
            has(h.end(), "holding 1")
    with serving(guest("cgi"), "--workers", "1") as s:
        has(curl(s.url + "/env", "-H", "X-Same: 1", "-H", "X-Other: 3", "-H", "x-same;", "-H", "X-SAME: 2", "-H", "Cookie: a=1", "-H", "Cookie: b=2").text,
            "HTTP_X_SAME=1, , 2\n", "HTTP_X_OTHER=3\n", "HTTP_COOKIE=a=1; b=2\n")


def test_waiting_requests_have_a_budget():
    """Requests with long heads that wait for an instance: what is too much is told so, at once."""
    with serving(guest("memory"), "--workers", "1", "--node-memory", "64M", "--max-instances", "1", "--timeout", "60s") as s:
        worker, = s.workers()
        held = Hold(s.port, "/hold?1")
        before = anon_mib(worker)
        lines = b"".join(b"X-%d: " % i + b"a" * 500 + b"\r\n" for i in range(100))
        crowd = Crowd(s.port, 600, b"GET / HTTP/1.1\r\nHost: x\r\n" + lines + b"\r\n")
        told = [b""] * 600

        def refused():
            for i, t in enumerate(crowd.said()):
                told[i] += t
            return -sum(b"503" in t and b"all memory of connections is in use" in t for t in told)
        settles(refused, -200)
        check(anon_mib(worker) < before + 32, anon_mib(worker), before)
        has(held.end(), "holding 1")
        crowd.close()
        settles(lambda: curl(s.url + "/grow?1").status, 200)


# ---- imports are asked about before anything starts ---------------------------------------------------------------------------


def importing(interface):
    """A component that imports an instance with one function, and lowers it."""
    instance = b"\x42\2" b"\1\x40\0\1\0" b"\4\0" + name("f") + b"\1\0"
    return (b"\0asm\x0d\0\1\0" + b"\7" + sized(b"\1" + instance) + b"\x0a" + sized(b"\1\0" + name(interface) + b"\5\0") +
            b"\6" + sized(b"\1\1\0\0" + name("f")) + b"\x08" + sized(b"\1\1\0\0\0"))


def test_imports_are_checked_by_all():
    image = os.path.join(WORK, "imports.image")
    for interface, says in (("wasi:http/types@9.0.0", "not this version; wasi:http/types@0."), ("acme:shop/cart@1.0.0", "no such interface")):
        wasm = file_of("imports.wasm", importing(interface))
        for args in (("compile", wasm, "-o", image), ("serve", wasm, "--listen", "127.0.0.1:0"), ("run", wasm)):
            code, _, text = orlo(*args)
            eq(code, 65)
            has(text, interface, says, "`orlo inspect` lists all it imports")
        check(not os.path.exists(image))
        code, out, _ = orlo("inspect", wasm)
        has(out, interface, says)
    wrong = file_of("wrong.wasm", CORE + section(1, [b"\x60\1\x7f\0", b"\x60\0\0"]) + section(2, [name(PREVIEW1) + name("fd_write") + b"\0\0"]) +
                    section(3, [b"\1"]) + section(7, [name("_start") + b"\0\1"]) + section(10, [sized(b"\0\x0b")]))
    for args in (("compile", wrong, "-o", image), ("serve", wrong, "--listen", "127.0.0.1:0")):
        code, _, text = orlo(*args)
        eq(code, 65)
        has(text, "fd_write with another type")
