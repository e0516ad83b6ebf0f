"""What tests of a node with many apps share: one that runs, and a deployer who says what he likes."""
import array, re, struct

from harness import *


# ---- a node ---------------------------------------------------------------------------------------------------------


class Node(Server):
    def __init__(self, state, *flags, listen="127.0.0.1:0"):
        self.state = state
        self.proc = subprocess.Popen([ORLO, "node", "--state", state, "--listen", listen, "--log-format", "json", *flags],
                                     stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.text, self.url, self.ended = bytearray(), None, False
        self.changed = threading.Condition()
        threading.Thread(target=self.read, daemon=True).start()
        self.url = self.wait_event("serving", 60)["url"]
        self.port = int(self.url.rsplit(":", 1)[1])

    def deploy(self, app, wasm, *flags):
        code, out, error = orlo("deploy", wasm, "--app", app, "--state", self.state, *flags, timeout=120)
        check(code == 0, code, out, error, self.log()[-2000:])
        return out

    def delete(self, app):
        code, out, error = orlo("delete", app, "--state", self.state)
        check(code == 0, code, out, error)

    def apps(self):
        code, out, error = orlo("apps", "--json", "--state", self.state)
        check(code == 0, code, error)
        return {a["name"]: a for a in json.loads(out)}

    def get(self, app, path="/", *flags, **more):
        return curl(self.url + path, "-H", f"Host: {app}.localhost", *flags, **more)

    def processes(self):
        out = subprocess.run(["ps", "--ppid", str(self.proc.pid), "-o", "pid="], capture_output=True, text=True).stdout
        return [int(p) for p in out.split()]

    def kill(self):
        """As if the machine's power went: nobody has a word to say."""
        children = self.processes()
        self.proc.kill()
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.proc.wait()
        for pid in children:
            while os.path.exists(f"/proc/{pid}"):
                time.sleep(0.01)


def new_state():
    return tempfile.mkdtemp(prefix="node-", dir=WORK)


@contextlib.contextmanager
def node(*flags, state=None):
    n = Node(state or new_state(), *flags)
    try:
        yield n
        status = n.stop()
        check(not sanitize.report_in(n.log()), sanitize.report_in(n.log()))
        check(status == 0, status, n.log()[-3000:])
    finally:
        if n.proc.poll() is None:
            n.kill()


# ---- a deployer by himself: records and messages as bytes -------------------------------------------------------------

SRC = os.path.join(ROOT, "src")
MESSAGES = re.findall(r"^MSG\((\w+),", open(os.path.join(SRC, "node", "wire.def")).read(), re.M)
SETTINGS = dict(re.findall(r'^SETTING\(APP, (\w+), [^"]*"(\w+)"', open(os.path.join(SRC, "app", "settings.def")).read(), re.M))


def u32(v):
    return struct.pack("<I", v)


def name(s):
    s = s.encode("utf-8", "surrogateescape") if isinstance(s, str) else s
    return u32(len(s)) + s


def limits(**others):
    return u32(len(others)) + b"".join(name(SETTINGS[field]) + struct.pack("<Q", v) for field, v in others.items())


def rule(uses=1, any=1, host="", bits=0, ports=(0, 65535)):
    return u32(uses) + u32(any) + name(host) + u32(0) + bytes(16) + u32(bits) + u32(ports[0] << 16 | ports[1])


def grants(env={}, dirs=(), http=(), net=(), forward=("", ""), stores=(), sqlite=(), variables={}):
    """dirs: (host, guest, read only). stores, sqlite: labels."""
    out = u32(len(env)) + b"".join(name(k) + name(v) for k, v in env.items())
    out += u32(len(dirs)) + b"".join(name(h) + name(g) + u32(ro) for h, g, ro in dirs)
    out += u32(len(http)) + b"".join(http) + u32(len(net)) + b"".join(net)
    out += name(forward[0]) + name(forward[1]) + u32(0)
    for labels in (stores, sqlite):
        out += u32(len(labels)) + b"".join(name(label) * 2 for label in labels)
    return out + u32(0) + u32(len(variables)) + b"".join(name(k) + name(v) + u32(0) for k, v in variables.items())


def record(app, hosts=None, routes=(("/", 0, 0),), functions=("main",), granted=grants(), limited=limits(), behind=b""):
    """routes: (path, exact, function)."""
    hosts = [app + ".localhost"] if hosts is None else hosts
    out = u32(2) + u32(0) + u32(0) + bytes(8) + name(app) + u32(0) + u32(1) + u32(len(functions)) + u32(0) + u32(0)
    out += u32(len(hosts)) + b"".join(name(h) for h in hosts)
    out += u32(len(routes)) + b"".join(name(p) + u32(exact) + u32(function) for p, exact, function in routes)
    out += b"".join(name(f) + name("") + bytes(64) + u32(0) + granted + limited + u32(0) for f in functions)
    return out + u32(0) + 6 * u32(0) + limited + u32(1) + behind


def say(state, message, payload=b"", fds=()):
    """The connection on which it was said to the node."""
    c = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    c.settimeout(60)
    c.connect(os.path.join(state, "control.sock"))
    c.sendmsg([bytes([MESSAGES.index(message)]) + payload], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else [])
    return c


def memory_file(data):
    fd = os.memfd_create("told")
    os.write(fd, data)
    return fd


def deploy_bytes(state, told, *modules):
    """Deploys: a number, 0 if it is live, and the words; None: it was hung up on."""
    fds = [memory_file(told), *(memory_file(m) for m in modules)]
    try:
        c = say(state, "deploy", b"", fds)
    finally:
        for fd in fds:
            os.close(fd)
    with c:
        while answer := c.recv(1 << 16):
            if MESSAGES[answer[0]] == "deployed":
                status, _, n = struct.unpack_from("<IQI", answer, 1)
                return status, answer[17 : 17 + n].decode("utf-8", "replace")
    return None
