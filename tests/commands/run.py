#!/usr/bin/env python3
"""Commands of WASI 0.3 and files of every WASI, through `orlo run` and `orlo serve`: what they may do, and that none of it holds
anybody else up.

Usage: tests/commands/run.py ORLO [FILTER…]. Prints `ok|FAIL NAME`, and 'N passed, N failed, N skipped'.
"""
import concurrent.futures, contextlib, http.client, os, pty, re, select, shutil, signal, subprocess, sys, tempfile, threading, time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import wasm_cc
from processes import PATIENCE_S, in_vain

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ORLO = os.path.abspath(sys.argv[1]) if sys.argv[1:] else sys.exit(__doc__)
CLI3 = os.path.join(ROOT, "tests", "guests", "cli3.wasm")
WORK = tempfile.mkdtemp(prefix="orlo-commands-")


class Skip(Exception):
    pass


def eq(got, want):
    if got != want:
        raise AssertionError(f"{got!r:.2000} is not {want!r:.1000}")


def has(text, *parts):
    for part in parts:
        if part not in text:
            raise AssertionError(f"{part!r} is not in {text!r:.2000}")


def guest(name):
    """tests/guests/NAME.c, compiled."""
    out = os.path.join(WORK, name + ".wasm")
    if not os.path.exists(out):
        if not wasm_cc.build(os.path.join(ROOT, "tests", "guests", name + ".c"), out):
            raise Skip("needs clang and wasm-ld")
    return out


def orlo(*args, data=b"", timeout=60):
    p = subprocess.run([ORLO, *args], input=data, capture_output=True, timeout=timeout)
    return p.returncode, p.stdout.decode("utf-8", "replace"), p.stderr.decode("utf-8", "replace")


@contextlib.contextmanager
def serving(wasm, *flags):
    """Yields HOST:PORT."""
    p = subprocess.Popen([ORLO, "serve", wasm, "--listen", "127.0.0.1:0", "--workers", "1", *flags], stdin=subprocess.DEVNULL,
                         stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    text, address = b"", None
    while address is None and (piece := os.read(p.stderr.fileno(), 65536)):
        text += piece
        if m := re.search(rb"http://([0-9.:]+)", text):
            address = m.group(1).decode()
    more = []
    reader = threading.Thread(target=lambda: more.append(p.stderr.read()), daemon=True)
    reader.start()
    try:
        if not address:
            raise AssertionError(text)
        yield address
    finally:
        p.send_signal(signal.SIGTERM)
        try:
            code = p.wait(120)
        except subprocess.TimeoutExpired:
            p.kill()
            code = "killed"
        reader.join(120)
        said = b"".join(more).decode("utf-8", "replace")
        if "Sanitizer" in said or "runtime error" in said or "worker-died" in said:
            raise AssertionError(said[:3000])
        if address:
            eq(code, 0)


def ask(address, path, body=None, timeout=20, chunked=False):
    c = http.client.HTTPConnection(address, timeout=timeout)
    c.request("POST" if body is not None else "GET", path, iter([body[:1000], body[1000:]]) if chunked else body, encode_chunked=chunked,
              headers={"Transfer-Encoding": "chunked"} if chunked else {})
    r = c.getresponse()
    return r.status, r.read()


def folders():
    """mine (writable), shown (read-only), hidden (not granted), with links that lead out; and the flags that grant them."""
    root = tempfile.mkdtemp(dir=WORK)
    for d in ("mine/sub", "shown/sub", "hidden"):
        os.makedirs(os.path.join(root, d))
    for path, text in (("mine/note", "0123456789"), ("shown/note", "read me"), ("hidden/note", "hidden")):
        with open(os.path.join(root, path), "w") as f:
            f.write(text)
    for link, target in (("mine/out", "../hidden/note"), ("mine/outdir", "../hidden"), ("mine/link", "note"), ("mine/abs", "/etc/passwd"),
                         ("shown/out", "../hidden/note")):
        os.symlink(target, os.path.join(root, link))
    return root, ("--dir", root + "/mine::/mine", "--dir", root + "/shown::/shown:ro")


# ---- a 0.3 command --------------------------------------------------------------------------------------------------


def test_surroundings():
    code, out, errors = orlo("run", CLI3, "--env", "A=1", "--env", "B=\u00e9", "--", "hello", "env", "cwd", "terminals", "err:oops")
    eq((code, out, errors), (0, "hello\nA=1 B=\u00e9 \n0\n00\n0\n", "oops"))
    code, out, errors = orlo("run", CLI3, "--", "sleep:20", "nosleep", "random:100", "random:0", "wall")
    *lines, wall = out.splitlines()
    eq((code, lines, errors), (0, ["quick late late", "4 soon", "100 11", "0 21"], ""))
    if abs(int(wall) - time.time()) > 60:
        raise AssertionError(wall)


def test_exit():
    for verb, status in (("exit:0", 0), ("exit:1", 1), ("code:42", 42), ("fail", 1), ("hello", 0)):
        code, out, errors = orlo("run", CLI3, "--", verb)
        eq((verb, code, errors), (verb, status, ""))


def test_streams():
    data = os.urandom(300_000).hex().encode()
    eq(orlo("run", CLI3, "--", "cat", data=data), (0, data.decode() + "0\n", ""))
    eq(orlo("run", CLI3, "--", "splice", data=data), (0, data.decode() + "00\n", ""))
    path = os.path.join(WORK, "input")
    with open(path, "wb") as f:
        f.write(data)
    with open(path) as stdin, open(path + ".out", "wb") as stdout:
        p = subprocess.run([ORLO, "run", CLI3, "--", "cat"], stdin=stdin, stdout=stdout, timeout=60)
    with open(path + ".out", "rb") as f:
        eq((p.returncode, f.read()), (0, data + b"0\n"))


def test_input_taken_back():
    p = subprocess.Popen([ORLO, "run", CLI3, "--", "takeback"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    eq((p.stdout.read(), p.wait(120)), (b"blocked 2 0\n", 0)) # CANCELLED, nothing read; dropping the stream is no error
    p.stdin.close()


def test_nobody_reads():
    """The other end of standard output is closed: the guest is told, as error-code::pipe."""
    p = subprocess.Popen([ORLO, "run", CLI3, "--", "gush"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    eq(p.stdout.read(10), bytes(10))
    p.stdout.close()
    eq(p.wait(120), 12)


def test_closed_streams():
    """Started without its standard streams, a command has empty ones, not the next file that is opened."""
    root, grants = folders()
    for closed in ("0", "1", "2", "012"):
        def close(closed=closed):
            for fd in closed:
                os.close(int(fd))
        p = subprocess.run([ORLO, "run", CLI3, *grants, "--", "hello", "err:oops", "cat", "write:note:text"], stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=close, timeout=120)
        eq((p.returncode, p.stdout, p.stderr), (0, b"" if "1" in closed else b"hello\n0\n0\n\n", b"" if "2" in closed else b"oops"))
        with open(root + "/mine/note") as f:
            eq(f.read(), "text")


def test_slow_reader():
    """A pipe that is full stops the guest's write; nothing is lost."""
    data = b"x" * 1_000_000
    p = subprocess.Popen([ORLO, "run", CLI3, "--", "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    threading.Thread(target=lambda: (p.stdin.write(data), p.stdin.close()), daemon=True).start()
    in_vain(0.5, "a byte that goes astray, of who cannot write on")
    eq((p.stdout.read(), p.wait(120)), (data + b"0\n", 0))


def test_terminal():
    """Whoever started a command finds its terminal as it was."""
    ours, theirs = pty.openpty()
    before = os.get_blocking(theirs)
    p = subprocess.Popen([ORLO, "run", CLI3, "--", "terminals", "cat"], stdin=theirs, stdout=theirs)
    got, deadline = b"", time.monotonic() + 30
    for typed, answer in ((b"", b"11\r\n"), (b"typed\n", b"typed\r\ntyped\r\n"), (b"\x04", b"0\r\n")):
        os.write(ours, typed)
        while answer not in got and time.monotonic() < deadline:
            if select.select([ours], [], [], 0.2)[0]:
                got += os.read(ours, 4096)
        has(got, answer)
        got = b""
    eq((p.wait(120), os.get_blocking(theirs)), (0, before))
    os.write(ours, b"early\n\x04") # a terminal ends once; what is typed later would be another input
    eq(subprocess.run([ORLO, "run", CLI3, "--", "cat"], stdin=theirs, stdout=subprocess.PIPE, timeout=120).stdout, b"early\n0\n")
    os.close(ours), os.close(theirs)


def test_deadlock():
    code, out, errors = orlo("run", CLI3, "--", "deadlock")
    eq((code, out), (70, ""))
    has(errors, "waits for something that cannot happen")


def test_flood():
    code, out, errors = orlo("run", CLI3, "--", "flood")
    eq((code, out), (70, ""))
    has(errors, "handle table is full")


def test_folders():
    """As the tests of 0.2, through 0.3."""
    root, grants = folders()

    def files(*rows):
        """Rows: (operation, what it prints)."""
        code, out, errors = orlo("run", CLI3, *grants, "--", *(r[0] for r in rows))
        eq((code, errors), (0, ""))
        for row, got in zip(rows, out.split("\n")):
            eq((row[0], " ".join(sorted(got.split())) if "=" in got else got), row)

    BADF, EXIST, INVALID, DIRECTORY, NOENT, NOTDIR, PERM, ROFS = (f"error {n}" for n in (2, 6, 11, 13, 19, 23, 30, 32))
    files(("read:note", "0123456789"), ("read:note:5", "56789"), ("read:note:99", ""), ("write:new:hello", ""), ("append:new:_world", ""),
          ("read:new", "hello_world"), ("patch:new:XX", ""), ("read:new", "heXXo_world"), ("size:new:4", ""), ("read:new", "heXX"),
          ("touch:new", ""), ("stat:new", "5 4 1 1000"), ("badtime:new", INVALID), ("type:sub", "2"), ("type:note", "5"),
          ("flags:note", "1"), ("flags:sub", "1"), ("mutable:sub", "33"), ("ls:sub", ""), ("ls:note", NOTDIR),
          ("ls:.", "abs=4 link=4 new=5 note=5 out=4 outdir=4 sub=2"), ("same:note:note", "11"), ("same:note:link", "11"),
          ("same:note:new", "00"), ("read:sub", DIRECTORY), ("readlink:link", "note"), ("readlink:note", INVALID), ("mkdir:sub", EXIST),
          ("mkdir:sub/a", ""), ("rename:sub/a:sub/b", ""), ("rmdir:sub/b", ""), ("unlink:new", ""), ("unlink:sub", DIRECTORY),
          ("link:note:twin", ""), ("same:note:twin", "11"), ("link:sub:twins", PERM), ("symlink:note:again", ""), ("readlink:again", "note"),
          ("write:sub:x", DIRECTORY), ("read:missing", NOENT), ("drop:note", "1"), ("sync:note", ""))
    files(*((verb, PERM) for verb in ("read:out", "read:../hidden/note", "read:/etc/passwd", "read:outdir/note", "readlink:abs",
                                      "symlink:/etc/passwd:mine", "write:out:x", "write:../x:y", "mkdir:../x", "mkdir:outdir/x",
                                      "unlink:../hidden/note", "rename:note:../hidden/x", "rename:note:outdir/x", "rmdir:outdir/",
                                      "link:../hidden/note:taken", "append:out:x", "stat:out", "ls:..", "ls:outdir/")))
    files(("dir:1", ""), ("read:note", "read me"), ("flags:sub", "1"), ("ls:.", "note=5 out=4 sub=2"), ("read:out", PERM),
          *((verb, ROFS) for verb in ("write:new:x", "write:note:x", "append:note:x", "size:note:1", "touch:note", "mkdir:x", "rmdir:sub",
                                      "unlink:note", "rename:note:x", "link:note:x", "symlink:note:x", "mutable:sub")),
          ("dir:0", ""), ("give:note:taken", ROFS))
    for path, text in (("mine/note", "0123456789"), ("shown/note", "read me"), ("hidden/note", "hidden")):
        with open(os.path.join(root, path)) as f:
            eq(f.read(), text)


def test_large_files():
    root, grants = folders()
    code, out, errors = orlo("run", CLI3, *grants, "--", "big:large:160", "syncs:large:500", "cancel:large", "unlink:large")
    eq((code, out, errors), (0, "10485760 same\n1 0\n1\n\n", ""))


def test_long_transfer():
    """The host alone moves a file into another; its worker serves others meanwhile."""
    root, grants = folders()
    data = os.urandom(5_000_000)
    with open(root + "/mine/large", "wb") as f:
        f.write(data)
    code, out, errors = orlo("run", CLI3, *grants, "--", "transfer:large:copy", "transfer:note:missing/x")
    eq((code, out, errors), (0, "\nerror 19\n", ""))
    with open(root + "/mine/copy", "rb") as f:
        eq(f.read() == data, True)
    with open(root + "/mine/long", "wb") as f:
        f.truncate(256 << 20)
    with serving(CLI3, *grants, "--timeout", "60s") as address, concurrent.futures.ThreadPoolExecutor(2) as pool:
        long = [pool.submit(ask, address, f"/?transfer:long:copy{i}", timeout=60) for i in range(2)]
        meanwhile = 0
        while not all(f.done() for f in long) or not meanwhile:
            eq(ask(address, "/?read:note"), (200, b"0123456789"))
            meanwhile += 1
        for f in long:
            f.result()
    for i in range(2):
        os.unlink(f"{root}/mine/copy{i}")


def test_left_behind():
    """What a guest leaves under way when it exits or traps: bytes that were accepted are written, the rest is forgotten."""
    root, grants = folders()
    for how, status in (("exit", 0), ("drop", 0), ("trap", 70)):
        code, out, errors = orlo("run", CLI3, *grants, "--", f"abandon:left-{how}:{how}")
        eq((how, code, os.path.getsize(f"{root}/mine/left-{how}")), (how, status, 50000))
    with serving(CLI3, *grants) as address, concurrent.futures.ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(ask, address, f"/?abandon:served{i}:{how}") for i in range(20) for how in ("exit", "drop", "trap")]
        for f in asked:
            with contextlib.suppress(http.client.HTTPException, OSError): # a trap behind its head cuts the connection
                f.result()
        eq(ask(address, "/?read:note"), (200, b"0123456789"))
    eq({os.path.getsize(f"{root}/mine/served{i}") for i in range(20)}, {50000})


def test_open_files_are_counted():
    """Also those that only a stream still holds."""
    root, grants = folders()
    code, out, errors = orlo("run", CLI3, *grants, "--", "openall:note")
    eq((code, out.split(" ", 1)[1], errors), (0, "error 21\n", "")) # insufficient-memory, as 0.2 says too many files
    if not 100 < int(out.split()[0]) <= 1024:
        raise AssertionError(out)


def test_huge_folder():
    root, grants = folders()
    for i in range(5000):
        open(f"{root}/mine/sub/{'n' * 150}{i}", "w").close()
    code, out, errors = orlo("run", CLI3, *grants, "--", "ls:sub")
    eq((code, len(out.split()), len(set(out.split())), errors), (0, 5000, 5000, ""))


# ---- preview 1 ------------------------------------------------------------------------------------------------------


def test_p1_wait_for_file():
    root, grants = folders()
    eq(orlo("run", guest("files"), *grants, "--", "wait:3:note:9999"), (0, "1\n", ""))


# ---- served as CGI --------------------------------------------------------------------------------------------------


def test_served():
    root, grants = folders()
    body = os.urandom(200_000).hex().encode()
    with serving(CLI3, *grants) as address:
        eq(ask(address, "/some/path"), (200, b"GET\n/some/path\n0"))
        eq(ask(address, "/x", body), (200, b"POST\n/x\n" + body + b"0"))
        eq(ask(address, "/x", body, chunked=True), (200, b"POST\n/x\n" + body + b"0"))
        eq(ask(address, "/?read:note"), (200, b"0123456789"))
        eq(ask(address, "/?code:3")[0], 200)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            for got in pool.map(lambda i: ask(address, f"/?big:big{i}:20"), range(8)):
                eq(got, (200, b"1310720 same"))
        eq(ask(address, "/?ls:sub"), (200, b""))


def test_deadline():
    """A served command that waits is stopped at its deadline, whatever it waits for."""
    root, grants = folders()
    with serving(CLI3, *grants, "--timeout", "1s", "--stream-timeout", "1s") as address, concurrent.futures.ThreadPoolExecutor(8) as pool:
        for query in ("sleep:60000", "flood", "deadlock"):
            started = time.monotonic()
            for f in [pool.submit(ask, address, "/?" + query) for _ in range(4)]:
                with contextlib.suppress(http.client.HTTPException, OSError): # its head is out
                    f.result()
            if time.monotonic() - started > 10:
                raise AssertionError(query)
            eq(ask(address, "/?read:note"), (200, b"0123456789"))


def main():
    passed = failed = skipped = 0
    try:
        for name, fn in list(globals().items()):
            if not name.startswith("test_") or (sys.argv[2:] and not any(f in name for f in sys.argv[2:])):
                continue
            try:
                fn()
                passed += 1
                print("ok", name[5:], flush=True)
            except Skip as e:
                skipped += 1
                print(f"SKIP {name[5:]}: {e}", flush=True)
            except Exception as e:
                failed += 1
                print(f"FAIL {name[5:]} (line {e.__traceback__.tb_next.tb_lineno}): {type(e).__name__}: {str(e)[:3000]}", flush=True)
    finally:
        shutil.rmtree(WORK, ignore_errors=True)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    sys.exit(1 if failed else 0)


main()
