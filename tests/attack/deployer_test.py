"""A deployer, and many of his apps at once: what one says or does harms nobody else's."""
from nodes import *


def module():
    with open(guest("tenant"), "rb") as f:
        return f.read()


def test_deployer_wants_many_at_once():
    """A client asks for more functions in a moment than the supervisor's socket holds wants: each image comes when it listens again."""
    state, apps, each = new_state(), 4 if SANITIZED else 20, 16
    kind = lambda i: module().replace(b"text/plain", b"text/p%04d" % i)
    with node("--workers", "1", state=state) as n:
        for a in range(apps):
            told = record(f"a{a}", routes=[(f"/{f}", 0, f) for f in range(each)], functions=[f"f{f}" for f in range(each)])
            eq(deploy_bytes(state, told, *(kind(a * each + f) for f in range(each))), (0, ""))
    with node("--workers", "1", state=state) as n:
        os.kill(n.proc.pid, signal.SIGSTOP)
        clients = []
        for i in range(apps * each):
            clients.append(socket.create_connection(("127.0.0.1", n.port), 20))
            clients[-1].sendall(b"GET /%d HTTP/1.0\r\nHost: a%d.localhost\r\n\r\n" % (i % each, i // each))
        n.wait_taken(clients[-1])
        time.sleep(0.3)
        os.kill(n.proc.pid, signal.SIGCONT)
        answers = [c.recv(1 << 12)[:12] for c in clients]
        eq([a for a in answers if a != b"HTTP/1.1 200"], [])


def test_deployer_writes_records():
    """Bytes grant nothing that could not be said as text: each such record is refused with words, and nobody dies of it."""
    folders = lambda *dirs: record("x", granted=grants(dirs=dirs))
    hostile = [b"", record("x")[:50], record("x", behind=b"z"), record("x\0y"), record("X"), record("x", functions=()),
               folders(("/" + "a" * 5000, "/d", 0)), folders(("/tmp\0/x", "/d", 0)), folders(("", "/d", 0)), folders(("tmp", "/d", 0)),
               folders(("/tmp", "", 0)), folders(("/tmp", "/d\0", 0)), folders(("/tmp", "/d", 0), ("/usr", "/d", 1)),
               folders(*(("/tmp", f"/{i}", 0) for i in range(300))), folders(("/no/such", "/d", 0)),
               *(record("x", granted=grants(env=env)) for env in ({"": "v"}, {"A=B": "v"}, {"A\0": "v"}, {"A": "v\0"})),
               *(record("x", granted=grants(forward=f)) for f in (("gopher", "a"), ("http", ""), ("http", "a\r\nb: c"), ("", "a"))),
               record("x", granted=grants(http=[rule(ports=(443, 80))])), record("x", granted=grants(net=[rule(any=0, host="a\0b")])),
               record("x", granted=grants(net=[rule(uses=1 << 20)])), record("x", granted=grants(net=[rule(bits=200)])),
               *(record("x", limited=limits(**l)) for l in ({"handler_ms_max": 0}, {"handler_ms_max": 1 << 63}, {"lookups_max": 1 << 20})),
               *(record("x", routes=[(r, 0, 0)]) for r in ("", "a", "/a/", "/a\0b", "/\x1b[2J", "/a?b", "/a" * 65, "/" + "a" * 1024)),
               record("x", routes=[("/", 0, 1)]), record("x", routes=[("/a", 0, 0), ("/a", 0, 0)]),
               *(record("x", hosts=[h]) for h in ("*", "*.", "", "A.b", "a.", ".a", "a:80", "a b", "ok.localhost", "no.localhost", "ok.example"))]
    with node("--workers", "1") as n:
        n.deploy("ok", guest("tenant"), "--env", "APP=ok", "--host", "ok.example")
        before = n.processes()
        for told in hostile:
            answer = deploy_bytes(n.state, told, module())
            check(answer and answer[0] and answer[1], told[:100], answer, n.log()[-1000:])
            eq(n.get("ok").text, "ok\n")
        eq(deploy_bytes(n.state, record("x"), module(), module())[0] != 0, True)
        has(orlo("apps", "--state", n.state)[1], "ok")
        eq(n.events("role-died"), [])
        check(before[0] in n.processes(), before, n.processes())
        eq(deploy_bytes(n.state, record("x", functions=["\x1b[2Jx\n"]), module()), (0, ""))
        check("\x1b" not in orlo("apps", "--state", n.state)[1])


def folder_of(app):
    path = os.path.join(tempfile.mkdtemp(dir=WORK), app)
    os.makedirs(path)
    with open(os.path.join(path, "who"), "w") as f:
        f.write(app)
    return path


def test_deployer_folders_have_a_bound():
    """Of all apps together; the one too many is refused, and the others go on."""
    many, few, most = folder_of("many"), folder_of("few"), 256
    for i in range(most):
        os.makedirs(os.path.join(many, str(i)))
    with node("--workers", "1") as n:
        n.deploy("few", guest("tenant"), "--dir", few + "::/data")
        flags = [f for i in range(most - 1) for f in ("--dir", f"{many}/{i}::/{i}")]
        n.deploy("many", guest("tenant"), *flags)
        eq(n.get("few", "/read?who").text, "few")
        code, _, error = orlo("deploy", guest("tenant"), "--app", "more", "--state", n.state, "--dir", f"{many}/{most - 1}::/data")
        check(code != 0 and "at most" in error, code, error)
        eq(n.get("few", "/read?who").text, "few")
        eq(n.events("worker-died") + n.events("role-died"), [])


def test_deployer_folder_goes():
    """An app's folder that goes away keeps nobody else from being deployed, and comes back with the next deployment."""
    gone, other, third = folder_of("gone"), folder_of("other"), folder_of("third")
    with node("--workers", "1") as n:
        n.deploy("gone", guest("tenant"), "--dir", gone + "::/data")
        eq(n.get("gone", "/read?who").text, "gone")
        shutil.rmtree(gone)
        n.deploy("other", guest("tenant"), "--dir", other + "::/data")
        eq(n.get("other", "/read?who").text, "other")
        n.wait_event("folder-missing", folder=gone)
        os.makedirs(gone)
        with open(os.path.join(gone, "who"), "w") as f:
            f.write("again")
        n.deploy("gone", guest("tenant"), "--dir", gone + "::/data")
        eq(n.get("gone", "/read?who").text, "again")
        n.deploy("third", guest("tenant"), "--dir", third + "::/data")
        eq((n.get("gone", "/read?who").text, n.get("third", "/read?who").text), ("again", "third"))


def test_deployer_folder_becomes_a_link():
    """Who may write above another's folder puts a link there: nobody is granted what it leads to, neither then nor after a restart."""
    above, secret, more = folder_of("above"), folder_of("secret"), folder_of("more")
    below, state = os.path.join(above, "below"), new_state()
    os.makedirs(below)
    with node("--workers", "1", state=state) as n:
        n.deploy("a", guest("tenant"), "--dir", below + "::/data")
        os.rename(below, below + "2")
        os.symlink(secret, below)
        n.deploy("b", guest("tenant"), "--dir", more + "::/data")
        eq(n.get("b", "/read?who").text, "more")
        check("secret" not in n.get("a", "/read?who").text)
    with node("--workers", "1", state=state) as n:
        check("secret" not in n.get("a", "/read?who").text)
        eq(n.get("b", "/read?who").text, "more")
        for path, words in (("/proc", "kernel's own"), ("/sys/kernel", "kernel's own")):
            code, _, error = orlo("deploy", guest("tenant"), "--app", "c", "--state", state, "--dir", path + "::/data")
            check(code != 0 and words in error, code, error)


def test_deployer_state_of_others():
    """A folder in which others may write says nothing of who may deploy: no node runs on it, and nobody's socket there is told secrets."""
    for what in ("", "apps", "images"):
        state = new_state()
        os.makedirs(os.path.join(state, what), exist_ok=True)
        for mode in (0o777, 0o770, 0o722):
            os.chmod(os.path.join(state, what), mode)
            code, _, error = orlo("node", "--state", state, "--listen", "127.0.0.1:0")
            check(code != 0 and "by others" in error, what, oct(mode), code, error)
    if os.geteuid() != 0:
        return
    state = new_state()
    os.chown(state, 12345, 12345)
    code, _, error = orlo("node", "--state", state, "--listen", "127.0.0.1:0")
    check(code != 0 and "by others" in error, code, error)
    squatter = subprocess.Popen([sys.executable, "-c", """if True:
        import os, socket, sys
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        os.setgid(12345), os.setuid(12345)
        s.bind(sys.argv[1]), s.listen(), print("listens", flush=True)
        print(len(s.accept()[0].recv(9)), flush=True)""", os.path.join(state, "control.sock")], stdout=subprocess.PIPE, text=True)
    os.chmod(WORK, 0o755)
    try:
        eq(squatter.stdout.readline(), "listens\n")
        code, _, error = orlo("deploy", guest("tenant"), "--app", "a", "--state", state, "--env", "SECRET=xyzzy")
        check(code != 0 and "another user's" in error, code, error)
        eq(squatter.communicate(timeout=10)[0], "0\n")
    finally:
        squatter.kill()


def stop_next(n):
    """Stops the next process that the node starts, as soon as there is one: its number, in a list."""
    children = lambda: set(map(int, open(f"/proc/{n.proc.pid}/task/{n.proc.pid}/children").read().split()))
    before, stopped = children(), []

    def watch():
        while not stopped and n.proc.poll() is None:
            stopped.extend(children() - before)
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)

    threading.Thread(target=watch, daemon=True).start()
    return stopped


def asked_of_one_that_goes(state):
    """(bytes, status) of two requests to an app that is removed while they wait for its image; None: the image was faster."""
    answers = []
    with node("--workers", "1", state=state) as n:
        n.deploy("stays", guest("cgi"), "--host", "*", "--max-body", "1K")
        is_keys = lambda p: os.path.exists(f"/proc/{p}") and open(f"/proc/{p}/comm").read() == "orlo-keys\n"
        for p in filter(is_keys, n.processes()):
            os.kill(p, signal.SIGKILL)
        until(lambda: not [p for p in n.processes() if is_keys(p)])
        stopped = stop_next(n)  # keys, without which no image is handed out that was deployed before
        ask = lambda size: answers.append((size, n.get("goes", "/echo", data=b"x" * size).status))
        clients = [threading.Thread(target=ask, args=(size,)) for size in (500, 5000)]
        for t in clients:
            t.start()
        until(lambda: stopped)
        time.sleep(0.3)
        late = bool(answers)
        if not late:
            n.delete("goes")
            for t in clients:
                t.join()
        os.kill(stopped[0], signal.SIGCONT)
    return None if late else sorted(answers)


def test_deployer_limits_of_who_answers():
    """A request that waited for an app that goes meanwhile is another's by then, whose limits hold for it."""
    state = new_state()
    with node("--workers", "1", state=state) as n:
        n.deploy("goes", guest("tenant"), "--timeout", "20s")
    for _ in range(20):
        if answers := asked_of_one_that_goes(state):
            eq(answers, [(500, 200), (5000, 413)])
            return
    raise Skip("this machine's image is always faster")


def test_deployer_says_nothing():
    """Connections on which nobody asks for anything make room."""
    with node("--workers", "1") as n:
        silent = []
        for _ in range(100):
            silent.append(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
            silent[-1].connect(os.path.join(n.state, "control.sock"))
        n.deploy("a", guest("tenant"), "--env", "APP=a")
        eq((list(n.apps()), n.get("a").text), (["a"], "a\n"))
        for c in silent:
            c.close()
