"""Processes: what a job, a worker and the supervisor hold, what they survive, and how they come back."""
import os, signal, subprocess, time

from harness import *


def children(pid, name=None):
    out = subprocess.run(["ps", "--ppid", str(pid), "-o", "pid=,comm="], capture_output=True, text=True).stdout
    return [int(l.split()[0]) for l in out.splitlines() if name is None or l.split()[1] == name]


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


def until(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not (got := condition()):
        check(time.monotonic() < deadline, "it did not come to pass")
        time.sleep(0.001)
    return got


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
    p = subprocess.Popen([ORLO, "compile", big_module(), "-o", os.path.join(WORK, "big.orlo"), "--state", state],
                         stderr=subprocess.PIPE, env=dict(os.environ, TOKEN=token))
    job = until(lambda: children(p.pid, "orlo-job"))[0]
    time.sleep(0.05)
    os.kill(job, signal.SIGSTOP)
    fields = open(f"/proc/{job}/stat").read().rsplit(")", 1)[1].split()
    found = memory_has(job, key) + memory_has(job, token.encode()), memory_has(p.pid, key)
    os.kill(job, signal.SIGCONT)
    _, said = p.communicate(timeout=60)
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
