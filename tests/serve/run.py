#!/usr/bin/env python3
"""Whole-system tests of the orlo program: commands, bad input, serving, failing guests, dying workers, logs.

Usage: tests/serve/run.py ORLO [FILTER]. Its guests are built from tests/guests with clang and wasm-ld.
Prints `ok|FAIL|SKIP NAME` lines, and 'N passed, N failed, N skipped'.
"""
import concurrent.futures, contextlib, hashlib, json, os, platform, re, resource, select, shutil, signal, socket, stat, struct, subprocess, sys, tempfile, threading, time, traceback

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness import *


# ---- commands ----------------------------------------------------------------------------------------------------------


def test_version():
    code, out, errors = orlo("--version")
    eq(code, 0)
    check(re.fullmatch(r"orlo \d+\.\d+\.\d+\n", out), out)


def test_help():
    for args in (["--help"], ["help"], ["serve", "--help"], ["help", "run"], ["inspect", "-h"], ["compile", "--help"]):
        code, out, errors = orlo(*args)
        eq((code, errors), (0, ""))
        check(len(out) > 200 and "orlo" in out, args, out)


def test_wrong_use():
    for args, says in (([], "orlo --help"), (["serve"], "which file?"), (["srve", "x"], "did you mean serve?"),
                       (["serve", "x", "--lisen", "1"], "did you mean --listen?"), (["serve", "x", "--workers", "no"], "--workers"),
                       (["serve", "x", "--listen", "1:2:x]"], ""), (["compile", "x"], "-o IMAGE"), (["app.wasm"], "orlo serve app.wasm"),
                       (["serve", "x", "--env", "NOT_SET_ANYWHERE"], "NOT_SET_ANYWHERE"), (["serve", "x", "--log-level", "loud"], "loud")):
        code, out, errors = orlo(*args)
        check(code in (64, 66) and out == "", args, code, out)
        has(errors, "orlo: ", says)
        check(len(errors.splitlines()) == 1, errors)


def test_wrong_files_and_folders():
    own, state = file_of("own.wasm", MODULE), file_of("no-folder", b"")
    for args, status, says in (
            (["serve", "https://example.org/app.wasm"], 66, "there is no such file; of a URL, download the file first"),
            (["run", "-"], 66, "there is no such file; standard input is not read, name a file"),
            (["serve", own, "--dir", own + "::/d"], 66, f"the folder {own} cannot be granted (--dir): it is a file; name the folder it is in"),
            (["run", own, "--dir", os.path.join(WORK, "no") + "::/d"], 66, "cannot be granted (--dir): there is none; make it first"),
            (["serve", own, "--dir", WORK + "::/d", "--dir", "/tmp::/d:ro"], 64,
             "--dir '/tmp::/d:ro': another folder has that name for the guest; write --dir /tmp::/d2:ro"),
            (["serve", own, "--dir", WORK + "::/d", "--dir", "/tmp::/d/"], 64, "write --dir /tmp::/d2"),
            (["serve", file_of("bare.wasm", MODULE)], 65, "exports none of wasi:http/incoming-handler, wasi:http/handler, wasmcloud:websocket/handler, wasi:cli/run and _start"),
            (["serve", own, "--workers", "1000"], 64, "--workers takes a number up to 256, not 1000"),
            (["compile", guest("cgi"), "-o", os.path.join(WORK, "x.orlo"), "--state", state], 73,
             f"the state folder {state} cannot be written to: Not a directory; name another with --state"),
            (["compile", guest("cgi"), "-o", os.path.join(WORK, "x.orlo"), "--state", state + "/below"], 73,
             f"the state folder {state}/below cannot be made: Not a directory; name another with --state")):
        code, out, errors = orlo(*args)
        eq((args, code, out, errors.count("\n")), (args, status, "", 1))
        has(errors, says)


def test_refusal_is_said_once():
    """Each worker finds for itself that it cannot serve a file: the first is believed, and nobody is told of the others."""
    for _ in range(20):
        code, out, errors = orlo("serve", file_of("bare.wasm", MODULE), "--workers", "8")
        eq((code, out, errors.count("\n")), (65, "", 1))


def test_port_that_needs_a_right():
    with open("/proc/sys/net/ipv4/ip_unprivileged_port_start") as f:
        if int(f.read()) <= 80:
            raise Skip("every user may have port 80 here")
    who = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
    wasm = tempfile.NamedTemporaryFile(suffix=".wasm")
    with open(guest("cgi"), "rb") as f:
        wasm.write(f.read())
    wasm.flush()
    os.chmod(wasm.name, 0o644)
    try:
        p = subprocess.run([ORLO, "serve", wasm.name, "--listen", "127.0.0.1:80"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, **who)
    except PermissionError:
        raise Skip("another user may not run the program here")
    eq((p.returncode, p.stdout), (77, ""))
    has(p.stderr, "port 80 may not be used by this user: choose one above 1023 with --listen")


def test_empty_arguments():
    for args, says in ((["serve", ""], "which file?"), (["run", "", "--", "x"], "which file?"), (["compile", "x", "-o", ""], "--output needs a value"),
                       (["compile", "x", "-o", "y", "--state", ""], "--state needs a value"), (["serve", "x", "--log-level", ""], "--log-level needs a value")):
        code, out, errors = orlo(*args)
        eq((args, code, out, errors.count("\n")), (args, 64, "", 1))
        has(errors, says)


def test_folder_of_another_user():
    """Root may enter it by a capability, which no worker has: the guest would find it shut."""
    if os.geteuid():
        raise Skip("needs root")
    folder = os.path.join(WORK, "theirs")
    os.mkdir(folder, 0o700)
    os.chown(folder, 65534, 65534)
    for verb in ("serve", "run"):
        code, out, errors = orlo(verb, guest("command"), "--dir", folder + "::/d")
        eq((verb, code, out), (verb, 77, ""))
        has(errors, f"the folder {folder} cannot be granted (--dir): only another user may enter it")
    os.chmod(folder, 0o711)
    eq(orlo("run", guest("command"), "--dir", folder + "::/d")[0], 0)


def test_memory_that_is_not_there():
    """A job that has no memory for its first object says so, and speaks of no bug."""
    if SANITIZED:
        raise Skip("a sanitizer's address space has no limit")
    code, out, errors = orlo("compile", guest("cgi"), "-o", os.path.join(WORK, "x.orlo"), "--compile-memory", "1M")
    eq(code, 65)
    has(errors, "--compile-memory")
    check("bug" not in errors, errors)


def test_flags_without_use():
    with serving(guest("cgi"), "--workers", "1", "--instance-concurrency", "4", "--instance-idle", "3s", "--forward", "http://127.0.0.1:9") as s:
        s.wait_event("flag-without-use", count=3)
        eq([e["flag"] for e in s.events("flag-without-use")], ["--instance-concurrency", "--instance-idle", "--forward"])
    with serving(SERVICE, "--workers", "1", "--instance-concurrency", "4", "--instance-idle", "3s") as s:
        eq(curl(s.url).status, 200)
        eq(s.events("flag-without-use"), [])


def test_output_that_cannot_be_written():
    if not os.path.exists("/dev/full"):
        raise Skip("needs /dev/full")
    with open("/dev/full", "wb") as full:
        for args in (["help"], ["--version"], ["serve", "--help"]):
            p = subprocess.run([ORLO, *args], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
            eq((args, p.returncode), (args, 74))
            has(p.stderr, "cannot be written")


def test_event_table():
    """Every event that the program logs is in the docs, with its level, and no other."""
    logged, fields = {}, {}
    for folder, _, names in os.walk(os.path.join(ROOT, "src")):
        for name in names:
            if not name.endswith(".c") or name.endswith("_test.c") or name == "log.c":
                continue
            with open(os.path.join(folder, name), encoding="utf-8") as f:
                text = f.read()
            calls = re.findall(r'\blog_(?:event|emit)\(\s*LOG_(\w+),\s*"([^"]+)"', text)
            eq((name, len(calls)), (name, len(re.findall(r"\blog_(?:event|emit)\(", text))))  # each names its event and level there
            calls += re.findall(r'\blog_format\([^,]*,\s*LOG_(\w+),\s*"([^"]+)"', text)
            for level, event in calls:
                logged.setdefault(event, set()).add(level.lower())
            for call in re.findall(r'\blog_event\(.*?\);', text, re.S):
                fields.setdefault(re.search(r'"([^"]+)"', call)[1], set()).update(re.findall(r'\bLF_\w+\("(\w+)"', call))
    with open(os.path.join(ROOT, "docs", "configuration.md"), encoding="utf-8") as f:
        table = f.read().split("## Log events")[1].split("\n## ")[0]
    rows = [(re.findall(r"`([a-z-]+)`", e), level, rest) for e, level, rest in re.findall(r"^\| (`[^|]+) \| (\w+) \|(.*)\|$", table, re.M)]
    documented = {name: (level, rest) for names, level, rest in rows for name in names}
    eq(sorted(documented), sorted(logged))
    for event, (level, rest) in documented.items():
        eq((event, logged[event]), (event, {level}))
        missing = {n for n in fields.get(event, ()) if f"`{n}`" not in rest}
        eq((event, missing), (event, set()))


def test_wrong_values():
    """A value that is almost right is given back as it was meant, ready to be pasted."""
    for flags, better in ((["--dir", "data:/data"], "--dir data::/data"), (["--dir", "data:/data:ro"], "--dir data::/data:ro"),
                          (["--dir", "data::/data:rw"], "--dir data::/data"), (["--dir", "data::data"], "--dir data::/data"),
                          (["--dir", "./data"], "--dir ./data::/data"), (["--dir", ".."], "--dir ..::/"), (["--dir", "../../data"], "--dir ../../data::/data"), (["--dir", "::/data"], "--dir ./data::/data"), (["--dir", "data::"], "--dir data::/data"),
                          (["--dir", "data:rw"], "--dir data::/data"), (["--allow-http", "http://127.0.0.1:3000/x?y"], "--allow-http http://127.0.0.1:3000"),
                          (["--allow-http", "ftp://api.example.org"], "--allow-http api.example.org"), (["--allow-http", "x.org/path"], "--allow-http x.org"),
                          (["--allow-http", "x.org:99999"], "--allow-http x.org:9999"), (["--allow-http", "x.org:0"], "--allow-http x.org:8080"),
                          (["--allow-http", "0.0.0.0:3000"], "--allow-http 127.0.0.1:3000"), (["--allow-net", "tcp:x.org:99999"], "--allow-net tcp:x.org:9999"), (["--allow-net", "http://x.org:80/"], "--allow-net tcp:x.org:80"),
                          (["--listen", "99999"], "--listen 127.0.0.1:9999"), (["--listen", "0.0.0.0:99999"], "--listen 0.0.0.0:9999"),
                          (["--listen", "http://localhost:3000/"], "--listen localhost:3000"), (["--listen", "[::1]:99999"], "--listen [::1]:9999"),
                          (["--port", "3000"], "--listen 127.0.0.1:3000"), (["-p", "3000"], "--listen 127.0.0.1:3000"), (["--env", "=x"], "--env NAME=x"),
                          (["--env", "NOT_SET_ANYWHERE"], "--env NOT_SET_ANYWHERE=VALUE"), (["--forward", "next:80/x"], "--forward http://next:80")):
        code, out, errors = orlo("serve", guest("cgi"), *flags)
        eq((flags, code, out, len(errors.splitlines())), (flags, 64, "", 1))
        check(errors.endswith(f"write {better}\n"), flags, errors)
        check(errors.startswith("orlo: --") or flags[0] in ("--port", "-p"), errors)


def test_configuration_reference():
    code, out, errors = orlo("help", "--markdown")
    eq(code, 0)
    with open(os.path.join(ROOT, "docs", "configuration.md"), encoding="utf-8") as f:
        page = f.read()
    begin, end = "<!-- orlo help --markdown -->\n", "<!-- end -->"
    inside = page.split(begin)[1].split(end)[0]
    check(inside == out, "docs/configuration.md is not up to date: put the output of `orlo help --markdown` between its two marks")


def test_manual_page():
    code, page, errors = orlo("help", "--man")
    eq((code, errors), (0, ""))
    flags = set(re.findall(r"^  --([a-z-]+)", "".join(orlo(c, "--help")[1] for c in ("serve", "run", "inspect", "compile")), re.M))
    check(len(flags) > 20, flags)
    for flag in flags:
        has(page, "\\fB\\-\\-" + flag.replace("-", "\\-") + "\\fR")
    if man := shutil.which("groff"):
        p = subprocess.run([man, "-Kutf8", "-man", "-Tutf8", "-ww"], input=page.encode(), capture_output=True)
        eq((p.returncode, p.stderr), (0, b""))


# ---- bad files ------------------------------------------------------------------------------------------------------------

MODULE = b"\0asm\1\0\0\0"


def section(number, body):
    return bytes([number, len(body)]) + body


def refused(path, status, *parts):
    for command in (["serve", path, "--listen", "127.0.0.1:0"], ["run", path], ["compile", path, "-o", os.path.join(WORK, "never.image")]):
        code, out, errors = orlo(*command)
        check(code == status, command, code, errors)
        has(errors, "orlo: ", *parts)
        check(out == "" and len(errors.splitlines()) == 1, errors)
        check(not os.path.exists(os.path.join(WORK, "never.image")))


def test_no_such_file():
    refused(os.path.join(WORK, "nowhere.wasm"), 66, "nowhere.wasm", "no such file")


def test_folder():
    refused(WORK, 66, "folder")


def test_empty_file():
    refused(file_of("empty.wasm", b""), 65, "empty")


def test_text_file():
    refused(file_of("text.wasm", b"(module)\n"), 65, "text")
    refused(file_of("page.wasm", b"<!doctype html><p>not found"), 65, "page.wasm")


def test_foreign_elf():
    for command in (["serve", "/bin/true", "--listen", "127.0.0.1:0"], ["run", "/bin/true"]):
        code, out, errors = orlo(*command)
        check(code == 65, code, errors)
        has(errors, "/bin/true", "native Linux program")


def test_truncated():
    with open(guest("cgi"), "rb") as f:
        data = f.read()
    refused(file_of("cut.wasm", data[: len(data) // 2]), 65, "at byte ")
    refused(file_of("head.wasm", data[:6]), 65, "head.wasm")


def test_every_cut():
    """A file cut anywhere is refused in words, by a job that does not crash."""
    with open(os.path.join(ROOT, "examples", "hello", "hello.wasm"), "rb") as f:
        data = f.read()
    for n in range(0, len(data), 7):
        code, out, errors = orlo("inspect", file_of("cut.wasm", data[:n]))
        if n > 8 and code == 0:
            continue  # cut between two sections
        check(code == 65 and "died" not in errors, n, code, errors)


def test_invalid_body():
    # (func (export "_start") i32.add)
    body = section(1, b"\1\x60\0\0") + section(3, b"\1\0") + section(7, b"\1\6_start\0\0") + section(10, b"\1\3\0\x6a\x0b")
    refused(file_of("invalid.wasm", MODULE + body), 65, "at byte ")


def test_no_kind():
    body = section(1, b"\1\x60\0\0") + section(3, b"\1\0") + section(7, b"\1\3run\0\0") + section(10, b"\1\2\0\x0b")
    path = file_of("kind.wasm", MODULE + body)
    for command in (["serve", path, "--listen", "127.0.0.1:0"], ["run", path]):
        code, out, errors = orlo(*command)
        check(code == 65, code, errors)
        has(errors, "_start", "wasi:http/incoming-handler")


def test_missing_import():
    name = b"\x16wasi_snapshot_preview1\x08fd_wrtie"
    body = section(1, b"\1\x60\0\0") + section(2, b"\1" + name + b"\0\0") + section(3, b"\1\0") + section(7, b"\1\6_start\0\1") + section(10, b"\1\2\0\x0b")
    path = file_of("import.wasm", MODULE + body)
    for command in (["serve", path, "--listen", "127.0.0.1:0"], ["run", path]):
        code, out, errors = orlo(*command)
        check(code == 65, code, errors)
        has(errors, "fd_wrtie", "fd_write")


def test_wrong_import_type():
    name = b"\x16wasi_snapshot_preview1\x08fd_write"
    body = section(1, b"\1\x60\0\0") + section(2, b"\1" + name + b"\0\0") + section(3, b"\1\0") + section(7, b"\1\6_start\0\1") + section(10, b"\1\2\0\x0b")
    code, out, errors = orlo("run", file_of("type.wasm", MODULE + body))
    check(code == 65, code, errors)
    has(errors, "fd_write")


def test_port_in_use():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        port = s.getsockname()[1]
        code, out, errors = orlo("serve", guest("cgi"), "--listen", f"127.0.0.1:{port}")
    eq(code, 69)
    has(errors, str(port), "in use")


def test_port_of_another_orlo():
    with serving(guest("cgi")) as s:
        code, out, errors = orlo("serve", guest("cgi"), "--listen", f"127.0.0.1:{s.port}")
        eq(code, 69)
        has(errors, "in use")


def test_missing_folder():
    code, out, errors = orlo("serve", guest("cgi"), "--listen", "127.0.0.1:0", "--dir", os.path.join(WORK, "nothing") + "::/data")
    check(code in (66, 77), code)
    has(errors, "nothing")


# ---- inspect, compile, run ---------------------------------------------------------------------------------------------------


def test_inspect():
    code, out, errors = orlo("inspect", guest("cgi"))
    eq((code, errors), (0, ""))
    has(out, "preview 1 command", "fd_write", "_start", "--env", "sha256:")


def test_inspect_json():
    with open(guest("cgi"), "rb") as f:
        data = f.read()
    code, out, errors = orlo("inspect", guest("cgi"), "--json")
    eq((code, errors), (0, ""))
    j = json.loads(out)
    eq(j["digest"], "sha256:" + hashlib.sha256(data).hexdigest())
    eq((j["kind"], j["bytes"], j["serves"], j["runs"]), ("P1_COMMAND", len(data), True, True))
    check({"module": "wasi_snapshot_preview1", "name": "proc_exit", "type": "func(i32)"} in j["imports"], j["imports"])
    check(any(e["name"] == "_start" for e in j["exports"]))
    check(j["memories"][0]["pages"] >= 1 and j["not_offered"] is None, j)


def test_inspect_image():
    with tempfile.TemporaryDirectory() as folder:
        image, state = os.path.join(folder, "a.orlo"), os.path.join(folder, "state")
        eq(orlo("compile", guest("cgi"), "-o", image, "--state", state)[0], 0)
        code, out, errors = orlo("inspect", image, "--state", state)
        eq((code, errors), (0, ""))
        with open(guest("cgi"), "rb") as f:
            digest = "sha256:" + hashlib.sha256(f.read()).hexdigest()
        has(out, "preview 1 command", "fd_write", "_start", digest, platform.machine().replace("_", "-"))
        j = json.loads(orlo("inspect", image, "--json", "--state", state)[1])
        eq((j["format"], j["digest"], j["bytes"], j["serves"]), ("image", digest, os.path.getsize(image), True))
        check(j["functions"] > 10 and j["code_bytes"] > 1000, j)
        eq(orlo("inspect", image, "--wat", "--state", state)[0], 65)
        code, out, errors = orlo("inspect", image, "--state", os.path.join(folder, "another"))
        check(code == 65 and "key" in errors and not out, code, out, errors)
        with open(image, "r+b") as f:
            f.seek(5000)
            f.write(b"!")
        code, out, errors = orlo("inspect", image, "--state", state)
        check(code == 65 and "signature" in errors and not out, code, out, errors)


def test_inspect_wat():
    code, out, errors = orlo("inspect", guest("cgi"), "--wat")
    eq((code, errors), (0, ""))
    has(out, "(module", "fd_write", "unreachable")


def test_compile_and_serve():
    image = os.path.join(WORK, "cgi.image")
    code, out, errors = orlo("compile", guest("cgi"), "-o", image)
    eq((code, errors), (0, ""))
    key = os.path.join(os.environ["ORLO_STATE"], "node.key")
    eq(stat.S_IMODE(os.stat(key).st_mode), 0o600)
    with open(image, "rb") as f:
        data = bytearray(f.read())
    eq(bytes(data[:4]), b"\x7fELF")
    with serving(image) as s:
        eq(curl(s.url).status, 200)
    code, out, errors = orlo("serve", image, "--listen", "127.0.0.1:0", "--state", os.path.join(WORK, "other"))
    check(code == 65, code, errors)
    data[len(data) // 2] ^= 1
    for bad in (bytes(data), bytes(data[:-100])):
        code, out, errors = orlo("serve", file_of("bad.image", bad), "--listen", "127.0.0.1:0")
        check(code == 65, code, errors)
        has(errors, "signature")


def test_compile_replaces_nothing_but_an_image():
    """The output is put in place by a rename, which would take that of a device, too."""
    with open(guest("cgi"), "rb") as f:
        data = f.read()
    own, fifo, link = file_of("own.wasm", data), os.path.join(WORK, "fifo"), os.path.join(WORK, "link.wasm")
    os.mkfifo(fifo)
    os.symlink(own, link)
    for source, to, says in ((own, own, "is the file to compile"), (own, os.path.join(WORK, ".", "own.wasm"), "is the file to compile"),
                             (link, own, "is the file to compile"), (own, link, "is the file to compile"),
                             (own, fifo, "is no file that an image could replace"), (own, WORK, "it is a folder"),
                             (own, os.path.join(WORK, "nowhere", "a.orlo"), "cannot be written: No such file")):
        before = os.lstat(to) if os.path.lexists(to) else None
        code, out, errors = orlo("compile", source, "-o", to)
        eq((to, code, out), (to, 73, ""))
        has(errors, "orlo: " + to, says)
        eq(before and before.st_ino, before and os.lstat(to).st_ino)
    with open(own, "rb") as f:
        check(f.read() == data)
    eq([n for n in os.listdir(WORK) if n.endswith(".part")], [])
    image = os.path.join(WORK, "again.orlo")
    for _ in range(2):
        eq(orlo("compile", own, "-o", image), (0, "", ""))


def test_run():
    g = guest("command")
    eq(orlo("run", g), (0, "no arguments\n", ""))
    eq(orlo("run", g, "--", "args", "a b", "--env"), (0, "command.wasm\nargs\na b\n--env\n", ""))
    eq(orlo("run", g, "--", "env"), (0, "", ""))
    eq(orlo("run", g, "--env", "A=1", "--env", "HOME", "--", "env", env={"HOME": "/h"}), (0, "A=1\nHOME=/h\n", ""))
    eq(orlo("run", g, "--", "exit"), (7, "", "leaving\n"))
    data = os.urandom(300_000).hex().encode()
    code, out, errors = orlo("run", g, "--", "cat", data=data)
    eq((code, out == data.decode(), errors), (0, True, ""))


def test_output_closed():
    """Who writes to a pipe that nobody reads is told so, and can end."""
    for g, status in ((guest("command"), 0), (COMMAND, 70)): # the one stops, the other takes it for a trap
        with open("/dev/zero") as zero:
            p = subprocess.Popen([ORLO, "run", g, "--", "cat"], stdin=zero, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            eq(p.stdout.read(10), bytes(10))
            p.stdout.close()
            try:
                eq(p.wait(timeout=PATIENCE_S), status)
            finally:
                p.kill()


def test_run_trap():
    code, out, errors = orlo("run", guest("command"), "--", "trap")
    eq((code, out), (70, ""))
    has(errors, "unreachable", "start")


def test_folders():
    """A guest reaches what lies in the folders it was granted, as it was granted, and nothing else."""
    root = tempfile.mkdtemp(dir=WORK)
    for d in ("mine", "shown", "hidden"):
        os.mkdir(os.path.join(root, d))
        with open(os.path.join(root, d, "note"), "w") as f:
            f.write("in " + d)
    for d in ("mine", "shown"):
        os.symlink("../hidden/note", os.path.join(root, d, "out"))
        os.symlink(os.path.join(root, "hidden"), os.path.join(root, d, "hidden"))
    os.mkdir(os.path.join(root, "shown", "sub"))

    def files(*operations):
        code, out, errors = orlo("run", guest("files"), "--dir", root + "/mine::/mine", "--dir", root + "/shown::/shown:ro", "--", *operations)
        eq((code, errors), (0, ""))
        return out.split("\n")[:-1]

    BADF, EXIST, NOENT, PERM, ROFS = 8, 20, 44, 63, 69
    eq(files("name:3", "name:4", "name:5", "read:3:note", "read:4:note", "write:3:new:text", "read:3:new", "read:3:missing"),
       ["/mine", "/shown", f"errno {BADF}", "in mine", "in shown", "", "text", f"errno {NOENT}"])
    eq(open(os.path.join(root, "mine", "new")).read(), "text")
    ways_out = ("../hidden/note", "/etc/passwd", "out", "hidden/note", "sub/../../hidden/note", "./../mine/note")
    for fd in "34":
        eq(files("mkdir:3:sub", *(f"{verb}:{fd}:{path}" for verb in ("read", "stat") for path in ways_out))[1:], [f"errno {PERM}"] * 12)
    eq(files(*(f"{verb}:3:{path}:text" for verb in ("write", "truncate", "over") for path in ways_out)), [f"errno {PERM}"] * 18)
    eq(files("rename:3:note:../hidden/taken", "link:3:../hidden/note:taken", "symlink:3:new-link:/etc/passwd", "mkdir:3:../hidden/made",
             "unlink:3:../hidden/note", "rmdir:3:../hidden"), [f"errno {PERM}"] * 6)
    eq(files("write:4:new:text", "over:4:note:text", "truncate:4:note", "mkdir:4:made", "rmdir:4:sub", "unlink:4:note", "touch:4:note",
             "rename:4:note:renamed", "link:4:note:linked", "symlink:4:link:note", "give:3:note:given"), [f"errno {ROFS}"] * 11)
    eq(files("rename:3:new:renamed", "link:3:renamed:linked", "symlink:3:link:linked", "read:3:link", "readlink:3:link", "mkdir:3:sub",
             "rmdir:3:sub", "unlink:3:linked", "read:3:link"), ["", "", "", "text", "linked", f"errno {EXIST}", "", "", f"errno {NOENT}"])
    eq(files("openall:3:note"), ["1024 errno 33"])
    for d, names in (("mine", ["hidden", "link", "note", "out", "renamed"]), ("shown", ["hidden", "note", "out", "sub"]), ("hidden", ["note"])):
        eq((sorted(os.listdir(os.path.join(root, d))), open(os.path.join(root, d, "note")).read()), (names, "in " + d))


def test_folders_where_landlock_is_old():
    """The same where Landlock knows nothing of truncation: paths are walked by the guest's host, for the kernel's own way is not to be had."""
    os.environ["ORLO_LANDLOCK_MAX"] = "2"
    try:
        test_folders()
    finally:
        del os.environ["ORLO_LANDLOCK_MAX"]


# ---- serving -------------------------------------------------------------------------------------------------------------------


def test_serve():
    with serving(guest("cgi")) as s:
        a = curl(s.url + "/")
        eq((a.status, a.text, a.fields["x-guest"], a.fields["content-type"]), (200, "hello from /\n", "cgi", "text/plain"))
        a = curl(s.url + "/status")
        eq((a.status, a.text), (418, "short and stout\n"))
        head = raw(s.port, b"HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        check(head.startswith(b"HTTP/1.1 200") and head.endswith(b"\r\n\r\n"), head)
        a = curl(s.url + "/big")
        eq((a.status, len(a.body)), (200, 16 << 20))


def test_example():
    with serving(os.path.join(ROOT, "examples", "hello", "hello.wasm")) as s:
        a = curl(s.url)
        eq(a.status, 200)
        has(a.text, "Hello from WebAssembly")


def test_echo():
    body = os.urandom(3_000_000)
    with serving(guest("cgi")) as s:
        a = curl(s.url + "/echo", data=body)
        eq((a.status, a.body == body), (200, True))
        a = curl(s.url + "/echo", "-H", "transfer-encoding: chunked", data=body)
        eq((a.status, a.body == body), (200, True))
        a = curl(s.url + "/echo", data=b"")
        eq((a.status, a.body), (200, b""))


def test_hostile():
    """Guests that mean harm (hostile/*.wat, beside what wasm-tools parse makes of them): each ends in an error, and no worker with it."""
    folder = os.path.join(ROOT, "tests", "serve", "hostile")
    for name in sorted(n for n in os.listdir(folder) if n.endswith(".wasm")):
        with serving(os.path.join(folder, name), "--workers", "1", "--timeout", "200ms", "--max-memory", "128M") as s:
            with concurrent.futures.ThreadPoolExecutor(2) as pool:
                answers = [a.status for a in pool.map(lambda _: curl(s.url), range(2))]
            check(all(a in (500, 504) for a in answers), name, answers)
            s.wait_event("guest-failed", count=2)
            eq((name, s.events("worker-died")), (name, []))


def test_cgi_variables():
    with serving(guest("cgi"), "--env", "GREETING=ciao") as s:
        a = curl(s.url + "/env?q=1&r=%20", "-H", "X-One: two", "-H", "Proxy: evil", data=b"12345")
        lines = dict(l.split("=", 1) for l in a.text.splitlines())
        for k, v in {"REQUEST_METHOD": "POST", "PATH_INFO": "/env", "QUERY_STRING": "q=1&r=%20", "HTTP_X_ONE": "two", "CONTENT_LENGTH": "5",
                     "GATEWAY_INTERFACE": "CGI/1.1", "SERVER_PROTOCOL": "HTTP/1.1", "GREETING": "ciao", "REMOTE_ADDR": "127.0.0.1"}.items():
            check(lines.get(k) == v, k, lines.get(k), v)
        check("HTTP_PROXY" not in lines and "PATH" not in lines and "HOME" not in lines, lines)


def test_cgi_redirects():
    """A Location alone with a path is answered from here (RFC 3875 §6.2.2); any other is the client's business."""
    with serving(guest("cgi"), "--workers", "1") as s:
        a = curl(s.url + "/redirect?5", "-H", "X-One: two", "-H", "Content-Type: a/b", data=b"12345")
        eq(a.status, 200)
        lines = dict(l.split("=", 1) for l in a.text.splitlines())
        for k, v in {"REQUEST_METHOD": "GET", "PATH_INFO": "/env", "QUERY_STRING": "left=0", "REQUEST_URI": "/env?left=0", "HTTP_X_ONE": "two",
                     "CONTENT_LENGTH": None, "CONTENT_TYPE": None}.items():
            eq((k, lines.get(k)), (k, v))
        eq(curl(s.url + "/redirect?3", "-I").status, 200)
        a = curl(s.url + "/circle")
        eq((a.status, s.wait_event("guest-failed")["reason"]), (500, "the guest redirects in a circle"))
        for path, status, to in (("/away", 302, "//example.org/env"), ("/fragment", 302, "/env#there"), ("/more", 302, "/env"), ("/moved", 301, "/env")):
            a = curl(s.url + path)
            eq((path, a.status, a.fields.get("location")), (path, status, to))
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            eq({a.status for a in pool.map(lambda _: curl(s.url + "/redirect?9"), range(40))}, {200})
    with serving(guest("cgi"), "--workers", "1", "--max-instances", "1") as s:
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            eq({a.status for a in pool.map(lambda _: curl(s.url + "/redirect?9"), range(20))}, {200})


def test_no_folder_granted():
    """A guest that looks for a folder where none is granted: said once, with the flag."""
    def on_terminal(*operations):
        ours, theirs = os.openpty()
        with os.fdopen(ours, "rb", 0) as terminal:
            code = subprocess.run([ORLO, "run", guest("files"), "--", *operations], stdout=subprocess.DEVNULL, stderr=theirs, timeout=60).returncode
            os.write(theirs, b"end")
            text = b""
            while not text.endswith(b"end"):
                text += terminal.read(4096)
            os.close(theirs)
        return code, text.decode()[:-3]

    eq(on_terminal("exit:7"), (7, ""))  # it looked for none
    eq(on_terminal("read:3:note"), (0, ""))  # it got by without
    code, errors = on_terminal("read:3:note", "exit:7")
    has(errors, "no-folder-granted", 'grant="--dir ./data::/data"')
    eq((code, orlo("run", guest("files"), "--", "read:3:note", "exit:7")), (7, (7, "errno 8\n", "")))  # nobody is looking
    with serving(COMMAND, "--workers", "1") as s:
        for _ in range(3):
            curl(s.url + "/?read:note")
        eq(s.wait_event("no-folder-granted")["grant"], "--dir ./data::/data")
        eq(len(s.events("no-folder-granted")), 1)


def test_no_env_granted():
    """A guest that looked at its environment, in which nothing is granted, and then failed: said once, with the flag."""
    with serving(guest("cgi"), "--workers", "1") as s:
        eq(curl(s.url).status, 200)
        eq(s.events("no-env-granted"), [])
        for _ in range(2):
            eq(curl(s.url + "/trap").status, 500)
        s.wait_event("guest-failed", count=2)
        eq(s.wait_event("no-env-granted")["grant"], "--env KEY=VALUE")
        eq(len(s.events("no-env-granted")), 1)
    with serving(guest("cgi"), "--workers", "1", "--env", "A=b") as s:
        eq(curl(s.url + "/trap").status, 500)
        s.wait_event("guest-failed")
        eq(s.events("no-env-granted"), [])


def test_fresh_instances():
    with serving(guest("cgi"), "--workers", "1") as s:
        for i in range(20):
            eq(curl(s.url + "/counter").text, "1")


def test_failures():
    """Each bad guest is answered with 500 and an id that the log knows; nobody else notices."""
    with serving(guest("cgi"), "--workers", "1") as s:
        for path, reason, detail in (("/trap", "trapped", "unreachable"), ("/far", "trapped", "out of bounds"), ("/deep", "trapped", "exhausted"),
                                     ("/exit", None, None), ("/nothing", None, None), ("/garbage", None, None)):
            a = curl(s.url + path)
            eq((path, a.status), (path, 500))
            request = a.fields["x-request-id"]
            has(a.text, request)
            e = s.wait_event("guest-failed", request=request)
            if reason:
                has(e["reason"], reason)
                has(e["detail"], detail)
                has(e["backtrace"], "start" if path != "/deep" else "recurse")
            eq(s.wait_event("request", request=request)["status"], 500)
            eq(curl(s.url).status, 200)
        eq(s.events("worker-died"), [])


def test_error_page_forms():
    with serving(guest("cgi")) as s:
        a = curl(s.url + "/trap", "-H", "accept: text/html,*/*")
        check("text/html" in a.fields["content-type"] and a.fields["x-request-id"] in a.text, a.text)
        a = curl(s.url + "/trap", "-H", "accept: application/json")
        eq(json.loads(a.text)["request_id"], a.fields["x-request-id"])


def test_death_mid_body():
    with serving(guest("cgi")) as s:
        a = curl(s.url + "/half")
        check(a.status == 200 and a.code != 0, a.status, a.code)  # cut off, not ended in order
        check(s.wait_event("guest-failed")["head_sent"] is True)
        eq(curl(s.url).status, 200)


def test_endless_loop():
    with serving(guest("cgi"), "--workers", "1", "--timeout", "100s") as s, contextlib.ExitStack() as open_:
        for _ in range(3):  # they loop until their clients go
            open_.enter_context(socket.create_connection(("127.0.0.1", s.port))).sendall(b"GET /loop HTTP/1.1\r\nHost: x\r\n\r\n")
        eq(curl(s.url).status, 200)
        open_.close()
        s.wait_event("request", count=3, status=499)
    with serving(guest("cgi"), "--workers", "1", "--timeout", "700ms") as s:
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for a in pool.map(lambda _: curl(s.url + "/loop"), range(3)):
                eq(a.status, 504)
        e = s.wait_event("guest-failed", count=3)
        has(e["reason"], "deadline")


def test_client_goes_away():
    with serving(guest("cgi"), "--workers", "1", "--timeout", "20s") as s:
        with socket.create_connection(("127.0.0.1", s.port)) as c:
            c.sendall(b"GET /loop HTTP/1.1\r\nHost: x\r\n\r\n")
            s.wait_taken(c)
            c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # reset
        eq(s.wait_event("request", path="/loop")["status"], 499)
        eq(curl(s.url).status, 200)


def test_guest_lines():
    with serving(guest("cgi")) as s:
        eq(curl(s.url + "/stderr").status, 200)
        s.wait_event("guest", count=3)
        lines = s.events("guest")
        eq([l["text"] for l in lines], ["first line", "second line", "unfinished"])
        eq({l["stream"] for l in lines}, {"stderr"})
        eq({l["request"] for l in lines}, {s.wait_event("request", path="/stderr")["request"]})


def test_access_log():
    with serving(guest("cgi")) as s:
        curl(s.url + "/echo?x=1", data=b"12345")
        e = s.wait_event("request")
        eq((e["method"], e["path"], e["status"], e["bytes_in"], e["bytes_out"], e["client"]), ("POST", "/echo?x=1", 200, 5, 5, "127.0.0.1"))
        check(e["ms"] >= 0 and len(e["request"]) == 16 and e["level"] == "info" and e["time"].endswith("Z"))
    with serving(guest("cgi"), "--no-access-log") as s:
        eq(curl(s.url).status, 200)
        eq(curl(s.url + "/trap").status, 500)
        s.wait_event("guest-failed")
        eq(s.events("request"), [])


def test_body_limit():
    with serving(guest("cgi"), "--max-body", "1K") as s:
        eq(curl(s.url + "/echo", data=b"x" * 1024).status, 200)
        eq(curl(s.url + "/echo", data=b"x" * 1025).status, 413)


def test_malformed_http():
    with serving(guest("cgi")) as s:
        for request, status in ((b"nonsense\r\n\r\n", b"400"), (b"GET / HTTP/1.1\r\n\r\n", b"400"), (b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", b"505"),
                                (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", b"400"),
                                (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 2\r\n\r\n", b"400")):
            check(raw(s.port, request).startswith(b"HTTP/1.1 " + status), request, raw(s.port, request)[:80])
            e = s.wait_event("request-refused", status=int(status))
            check(e["reason"] and e["client"] == "127.0.0.1")
        check(raw(s.port, b"PRI * HTTP/2.0\r\nHost: x\r\n\r\n").startswith(b"HTTP/1.1 505 "))
        eq(curl(s.url).status, 200)


def test_idle_connections():
    count = 5000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count + 200:
        raise Skip(f"only {hard} descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (count + 200 if soft != resource.RLIM_INFINITY and soft < count + 200 else soft, hard))
    with serving(guest("cgi"), "--no-access-log") as s:
        idle = []
        try:
            for i in range(count):
                c = socket.create_connection(("127.0.0.1", s.port))
                if i % 2:
                    c.sendall(b"GET / HTT")
                idle.append(c)
            for _ in range(20):
                eq(curl(s.url).status, 200)
        finally:
            for c in idle:
                c.close()


def test_concurrent():
    with serving(guest("cgi")) as s, concurrent.futures.ThreadPoolExecutor(16) as pool:
        bodies = [os.urandom(100_000) for _ in range(60)]
        for body, a in zip(bodies, pool.map(lambda b: curl(s.url + "/echo", data=b), bodies)):
            eq((a.status, a.body == body), (200, True))


def test_more_requests_than_instances():
    with serving(guest("cgi"), "--workers", "1", "--max-instances", "2") as s, concurrent.futures.ThreadPoolExecutor(24) as pool:
        for a in pool.map(lambda _: curl(s.url + "/big"), range(48)):
            eq((a.status, len(a.body)), (200, 16 << 20))
    with serving(guest("cgi"), "--workers", "1", "--max-instances", "2", "--timeout", "1s") as s, concurrent.futures.ThreadPoolExecutor(8) as pool:
        loops = [pool.submit(curl, s.url + "/loop") for _ in range(2)]
        s.wait_taken(asked=loops)
        waiting = [pool.submit(curl, s.url) for _ in range(3)]
        with socket.create_connection(("127.0.0.1", s.port)) as c:  # one that waits and goes away
            c.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            s.wait_taken(c)
            c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        eq([l.result().status for l in loops], [504, 504])
        for w in waiting:
            check(w.result().status in (200, 503), w.result().status)
        eq(curl(s.url).status, 200)


# ---- a component -----------------------------------------------------------------------------------------------------------------

COMPONENT = os.path.join(ROOT, "tests", "guests", "http.wasm")
COMMAND = os.path.join(ROOT, "tests", "guests", "cli.wasm")


def test_collected_guest():
    """Kotlin: objects, exceptions and casts; nothing of a request is left for the next; what stays reachable meets the limit."""
    with serving(os.path.join(ROOT, "tests", "guests", "kotlin.wasm"), "--workers", "1", "--max-memory", "64M") as s:
        hello = "Hello from Kotlin (WASI preview 1 CGI), seen 0\n"
        compute = "n=20 counts=500 top=key415:60,key68:60,key321:59 trees=35.0 failures=20 words=[w9, w8]\n"
        for _ in range(3):
            eq(curl(s.url + "/").text, hello)
            eq(curl(s.url + "/compute?n=20").text, compute)
        curl(s.url + "/leak")
        has(s.wait_event("guest-failed")["detail"], "memory limit")
        eq(curl(s.url + "/cast").status, 500)
        eq(curl(s.url + "/").text, hello)
        eq(curl(s.url + "/compute?n=20").text, compute)


def test_component():
    with serving(COMPONENT) as s:
        eq(s.events("serving")[0]["kind"], "WASI 0.2 HTTP component (wasi:http/incoming-handler)")
        a = curl(s.url + "/some/path?q")
        eq((a.status, a.text, a.fields["content-type"]), (200, "hello from /some/path?q\n", "text/plain"))
        eq(curl(s.url + "/teapot").status, 418)
        a = curl(s.url + "/big")
        eq((a.status, len(a.body)), (200, (16 << 20) + len("hello from /big\n")))
        for i in range(5):
            eq(curl(s.url + "/counter").text, "hello from /counter\n1")
        curl(s.url + "/stderr")
        s.wait_event("guest", count=2)
        eq([e["text"] for e in s.events("guest")], ["one", "two"])


def test_component_echo():
    body = os.urandom(5_000_000)
    with serving(COMPONENT, "--workers", "1") as s, concurrent.futures.ThreadPoolExecutor(8) as pool:
        for a in pool.map(lambda i: curl(s.url + "/echo", data=body), range(8)):
            eq((a.status, a.body == body), (200, True))
        a = curl(s.url + "/echo", "-H", "transfer-encoding: chunked", data=body)
        eq((a.status, a.body == body), (200, True))


def test_component_failures():
    with serving(COMPONENT, "--workers", "1", "--timeout", "1s") as s:
        for path, status in (("/trap", 500), ("/noreply", 500), ("/forgets", 500), ("/error", 500), ("/loop", 504)):
            a = curl(s.url + path)
            eq((path, a.status), (path, status))
            has(a.text, a.fields["x-request-id"])
            e = s.wait_event("guest-failed", request=a.fields["x-request-id"])
            check(path != "/trap" or "handle" in e["backtrace"], e)
            eq(curl(s.url).status, 200)
        for path in ("/half", "/unfinished", "/after", "/twice"):
            before = len(s.events("guest-failed"))
            a = curl(s.url + path)
            # an error page if nothing was sent yet, else a connection cut off; never an answer that looks whole
            check(a.status == 500 or a.code != 0 or path == "/after", path, a.status, a.code, a.text)
            s.wait_event("guest-failed", count=before + 1)
            eq(curl(s.url).status, 200)
        eq(s.events("worker-died"), [])


def test_component_image():
    image = os.path.join(WORK, "http.image")
    eq(orlo("compile", COMPONENT, "-o", image)[0], 0)
    with serving(image) as s:
        eq(curl(s.url).text, "hello from /\n")


def test_component_inspect():
    code, out, errors = orlo("inspect", COMPONENT)
    eq((code, errors), (0, ""))
    has(out, "WASI 0.2 HTTP component", "wasi:http/types@0.2.12", "handle")
    j = json.loads(orlo("inspect", COMPONENT, "--json")[1])
    eq((j["kind"], j["format"], j["serves"], j["runs"]), ("P2_HTTP", "component", True, False))
    check(any(i["interface"] == "wasi:http/types@0.2.12" for i in j["imports"]) and j["not_offered"] is None, j)
    has(orlo("inspect", COMPONENT, "--wat")[1], "(component", "wasi:http/types@0.2.12")


def test_command_component():
    code, out, errors = orlo("run", COMMAND, "--env", "A=1", "--env", "B=\u00e9", "--", "hello", "env", "cwd", "terminals", "sockets")
    eq((code, out), (0, "hello\nA=1 B=\u00e9 \n0\n00\n  error 1\n"))  # sockets can be made; what would use the network is denied
    eq((errors.count("\n"), "--allow-net lookup:localhost" in errors), (1, True))
    code, out, errors = orlo("run", COMMAND, "--", "sleep:20", "random:100", "random:0", "wall")
    *lines, wall = out.split()
    eq((code, lines, errors), (0, ["11", "late", "late", "100", "111", "0", "211"], ""))
    check(abs(int(wall) - time.time()) < 60, wall)
    data = os.urandom(300_000).hex().encode()
    code, out, errors = orlo("run", COMMAND, "--", "cat", data=data)
    eq((code, out == data.decode() + "\n", errors), (0, True, ""))
    for verb, status in (("exit:0", 0), ("exit:1", 1), ("code:42", 42), ("fail", 1)):
        eq(orlo("run", COMMAND, "--", verb), (status, "", ""))
    for verb, why in (("overwrite", "check-write permitted 65536"), ("random:99999999999", "more than a call may return")):
        code, out, errors = orlo("run", COMMAND, "--", verb)
        eq((code, out), (70, ""))
        has(errors, why)


def test_command_component_folders():
    """As test_folders, through wasi:filesystem."""
    root = tempfile.mkdtemp(dir=WORK)
    for d in ("mine/sub", "shown/sub", "hidden"):
        os.makedirs(os.path.join(root, d))
    for path, text in (("mine/note", "0123456789"), ("shown/note", "read me"), ("hidden/note", "hidden")):
        with open(os.path.join(root, path), "w") as f:
            f.write(text)
    for link, target in (("mine/out", "../hidden/note"), ("mine/link", "note"), ("mine/abs", "/etc/passwd"), ("shown/out", "../hidden/note")):
        os.symlink(target, os.path.join(root, link))

    def files(*rows):
        """Rows: (operation, what it prints)."""
        code, out, errors = orlo("run", COMMAND, "--dir", root + "/mine::/mine", "--dir", root + "/shown::/shown:ro", "--", *(r[0] for r in rows))
        eq((code, errors), (0, ""))
        for row, got in zip(rows, out.split("\n")):
            eq((row[0], " ".join(sorted(got.split())) if "=" in got else got), row)

    EXIST, INVALID, DIRECTORY, NOTDIR, PERM, ROFS = (f"error {n}" for n in (7, 12, 14, 24, 31, 33))
    files(("read:note", "0123456789"), ("stream:note", "0123456789closed"), ("stream:note:5", "56789closed"), ("stream:note:99", "closed"),
          ("write:new:hello", "5"), ("append:new:_world", ""), ("read:new", "hello_world"), ("patch:new:XX", ""), ("read:new", "heXXo_world"),
          ("size:new:4", ""), ("read:new", "heXX"), ("touch:new", ""), ("stat:new", "6 4 1000"), ("badtime:new", INVALID), ("type:sub", "3"),
          ("type:note", "6"), ("flags:note", "1"), ("flags:sub", "1"), ("mutable:sub", "33"), ("ls:sub", ""), ("ls:note", NOTDIR),
          ("ls:.", "abs=5 link=5 new=6 note=6 out=5 sub=3"), ("same:note:note", "11"), ("same:note:link", "11"), ("same:note:new", "00"),
          ("read:sub", DIRECTORY), ("readlink:link", "note"), ("readlink:note", INVALID), ("mkdir:sub", EXIST), ("mkdir:sub/a", ""),
          ("rename:sub/a:sub/b", ""), ("rmdir:sub/b", ""), ("unlink:new", ""), ("unlink:sub", DIRECTORY), ("link:note:twin", ""),
          ("same:note:twin", "11"), ("symlink:note:again", ""), ("readlink:again", "note"), ("write:sub:x", DIRECTORY))
    files(*((verb, PERM) for verb in ("read:out", "read:../hidden/note", "read:/etc/passwd", "readlink:abs", "symlink:/etc/passwd:mine",
                                      "write:out:x", "write:../x:y", "mkdir:../x", "unlink:../hidden/note", "rename:note:../hidden/x",
                                      "link:../hidden/note:taken", "append:out:x", "stat:out", "ls:..")))
    files(("dir:1", ""), ("read:note", "read me"), ("flags:sub", "1"), ("ls:.", "note=6 out=5 sub=3"), ("read:out", PERM),
          *((verb, ROFS) for verb in ("write:new:x", "write:note:x", "append:note:x", "size:note:1", "touch:note", "mkdir:x", "rmdir:sub",
                                      "unlink:note", "rename:note:x", "link:note:x", "symlink:note:x", "mutable:sub")),
          ("dir:0", ""), ("give:note:taken", ROFS))
    for path, text in (("mine/note", "0123456789"), ("shown/note", "read me"), ("hidden/note", "hidden")):
        eq(open(os.path.join(root, path)).read(), text)


def test_component_is_no_command():
    code, out, errors = orlo("run", COMPONENT)
    eq(code, 65)
    has(errors, "orlo serve")


# ---- a WASI 0.3 service ----------------------------------------------------------------------------------------------------------

SERVICE = os.path.join(ROOT, "tests", "guests", "http3.wasm")
WAITER = os.path.join(ROOT, "tests", "guests", "http3wait.wasm")


def test_service():
    with serving(SERVICE, "--workers", "1") as s:
        eq(s.events("serving")[0]["kind"], "WASI 0.3 HTTP component (wasi:http/handler)")
        a = curl(s.url + "/some/path?q")
        eq((a.status, a.text, a.fields["content-type"]), (200, "hello from /some/path?q\n", "text/plain"))
        has(curl(s.url + "/fields", "-H", "X-Mine: 1", "-H", "X-Mine: 2").text, "X-Mine=1\nX-Mine=2\n")
        a = curl(s.url + "/big")
        eq((a.status, len(a.body)), (200, 16 << 20))
        eq([curl(s.url + "/count").text for _ in range(3)], ["1\n"] * 3)  # each in a fresh instance
        eq(raw(s.port, b"GET /trailers HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").endswith(b"0\r\nx-sum: 7\r\n\r\n"), True)
        body = b"4\r\nbody\r\n0\r\nX-T: 1\r\n\r\n"
        a = raw(s.port, b"POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
        check(a.endswith(b"4\r\nbody\r\n0\r\nX-T: 1\r\n\r\n"), a)
        eq(curl(s.url + "/echo", data=b"").body, b"")
        eq(s.events("guest-failed"), [])


def test_service_echo():
    body = os.urandom(3_000_000)
    with serving(SERVICE, "--workers", "1") as s, concurrent.futures.ThreadPoolExecutor(8) as pool:
        for path in ("/echo", "/slow"):
            sent = body if path == "/echo" else body[:300_000]
            for a in pool.map(lambda i: curl(s.url + path, data=sent), range(8)):
                eq((a.status, a.body == sent), (200, True))


def resident_kib(pid, field="VmHWM"):
    return processes.memory_kib(pid, field, "status")


def test_service_holds_back():
    """A guest that reads slowly stops the client; one that is not read from is stopped itself. Memory stays as it was."""
    with serving(SERVICE, "--workers", "1", "--timeout", "60s", "--max-body", "1G") as s:
        worker = s.workers()[0]
        curl(s.url + "/echo", data=os.urandom(4 << 20))
        before = resident_kib(worker)
        with socket.create_connection(("127.0.0.1", s.port)) as c:
            c.sendall(b"POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n")
            c.settimeout(1)  # short: who does not take more
            sent, started = 0, time.monotonic()
            with contextlib.suppress(TimeoutError):
                while time.monotonic() - started < 3:
                    sent += c.send(bytes(1 << 20))
            check(sent < 64 << 20, f"{sent} bytes were taken from the client")  # 50 pieces a second of 16 KiB, and what buffers hold
        with socket.create_connection(("127.0.0.1", s.port)) as c:
            c.sendall(b"GET /sent HTTP/1.1\r\nHost: x\r\n\r\n")  # 65 MB that nobody reads
            in_vain(0.5, "what is taken of the guest though nobody reads it")
            eq(curl(s.url).status, 200)
        check(resident_kib(worker) - before < 8 << 10, resident_kib(worker), before)


def test_service_gigabyte():
    """1 GiB through an echo, in both directions at once, in constant memory."""
    with serving(SERVICE, "--workers", "1", "--timeout", "120s", "--max-body", "2G", "--max-response", "2G", "--max-cpu", "120s") as s:
        worker = s.workers()[0]
        curl(s.url + "/echo", data=os.urandom(8 << 20))
        before = resident_kib(worker)
        size, block = 1 << 30, os.urandom(1 << 20)
        with socket.create_connection(("127.0.0.1", s.port)) as c:
            c.sendall(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % size)

            def send():
                for _ in range(size >> 20):
                    c.sendall(block)

            sender = threading.Thread(target=send)
            sender.start()
            got, buffer = 0, bytearray(1 << 20)
            while n := c.recv_into(buffer):
                got += n
            sender.join()
        check(got > size, got)
        check(resident_kib(worker) - before < 8 << 10, resident_kib(worker), before)  # of which the heap keeps 4 MiB (base/heap.c)


def test_service_failures():
    with serving(SERVICE, "--workers", "1", "--timeout", "1s", "--stream-timeout", "1s") as s:
        rows = [("/trap", 500, "unreachable"), ("/silent", 500, "without returning a result"), ("/stuck", 500, "deadlock"),
                ("/error", 500, "TLS-protocol-error"), ("/status101", 500, "cannot be sent"), ("/never", 504, ""), ("/loop", 504, ""),
                ("/forward", 500, "configuration-error"), ("/long", 500, "content-length"), ("/short", 500, "content-length"), ("/bad-end", 500, "internal-error"),
                ("/misuse/2", 500, "unknown handle"), ("/misuse/3", 500, "was called already"), ("/misuse/4", 500, "handle table is full"),
                ("/misuse/5", 500, "without first writing a value"), ("/misuse/8", 500, "unknown handle"), ("/misuse/9", 500, "handle table is full")]
        for path, status, detail in rows:
            a = curl(s.url + path)
            eq((path, a.status), (path, status))
            e = s.wait_event("guest-failed", request=a.fields["x-request-id"])
            has(e.get("detail", ""), detail)
            eq(curl(s.url).status, 200)
        for path, detail in (("/misuse/1", "busy stream"), ("/misuse/6", "out of bounds")):  # with a body that does not come whole
            before = len(s.events("guest-failed"))
            with socket.create_connection(("127.0.0.1", s.port), timeout=PATIENCE_S) as c:
                c.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n".encode())
                has(c.recv(65536).decode(), "500 Internal")
            has(s.wait_event("guest-failed", count=before + 1)["detail"], detail)
        for path in ("/late-trap", "/forgets", "/misuse/7"):
            before = len(s.events("guest-failed"))
            a = curl(s.url + path)
            check(a.code != 0, path, a.status, a.code)  # cut off: never an answer that looks whole
            s.wait_event("guest-failed", count=before + 1)
            eq(curl(s.url).status, 200)
        eq(s.events("worker-died"), [])


def test_service_goes_on():
    """What a task does after its response; it sees the request though the exchange has ended."""
    with serving(SERVICE, "--workers", "1", "--instance-concurrency", "4", "--max-instances", "1") as s:
        for path in ("/after", "/held"):
            eq(curl(s.url + path).status, 200)
        until(lambda: curl(s.url + "/later").text == "2\n")
        eq(curl(s.url + "/sent").status, 200)
        with socket.create_connection(("127.0.0.1", s.port)) as c:
            c.sendall(b"GET /sent HTTP/1.1\r\nHost: x\r\n\r\n")
            c.recv(1000)
        until(lambda: curl(s.url + "/sent-failed").text == "1\n")
        eq((curl(s.url + "/sent-ok").text, curl(s.url + "/sent-failed").text), ("1\n", "1\n"))
        eq(s.events("guest-failed"), [])


def test_service_cancel():
    """A client that goes away cancels its task alone, and only that."""
    def give_up(path):
        with socket.create_connection(("127.0.0.1", s.port)) as c:
            c.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            s.wait_taken(c)

    with serving(WAITER, "--workers", "1", "--instance-concurrency", "8", "--max-instances", "1") as s:
        give_up("/wait")
        give_up("/wait")
        s.wait_event("request", count=2, status=499)
        eq(curl(s.url).status, 202)
        s.wait_event("request", status=202)
        eq([e["status"] for e in s.events("request")], [499, 499, 202])
        eq(s.events("guest-failed"), [])
    with serving(WAITER, "--workers", "1", "--max-instances", "1") as s:  # what does not listen is stopped, and makes room
        give_up("/deaf")
        until(lambda: curl(s.url).status == 200)
    with serving(WAITER, "--workers", "1", "--instance-concurrency", "8", "--max-instances", "1", "--timeout", "1s") as s:
        eq(curl(s.url + "/wait").status, 504)
        eq(curl(s.url).status in (200, 201), True)


def test_service_shared():
    """Several requests in one instance, that goes on being used; and what ends that."""
    flags = ["--workers", "1", "--max-instances", "1", "--instance-concurrency", "8"]
    with serving(SERVICE, *flags, "--timeout", "3s") as s, concurrent.futures.ThreadPoolExecutor(16) as pool:
        eq([a.status for a in pool.map(lambda _: curl(s.url + "/sleep"), range(8))], [200] * 8)
        eq(curl(s.url + "/count").text, "9\n")
        eq([a.status for a in pool.map(lambda _: curl(s.url + "/sleep"), range(20))], [200] * 20)  # more than at a time: they wait
        eq(curl(s.url + "/count").text, "30\n")
        sleeping = [pool.submit(curl, s.url + "/never") for _ in range(3)]
        until(lambda: [rx for port, _, rx in connections() if port == s.port].count(0) >= 3)
        a = curl(s.url + "/trap")  # takes its instance with it: each request gets a status of its own
        eq(a.status, 500)
        eq([f.result().status for f in sleeping], [500] * 3)
        s.wait_event("guest-failed", count=4)
        failed = {e["request"]: e for e in s.events("guest-failed")}
        eq(len(failed), 4)
        has(failed[a.fields["x-request-id"]]["backtrace"], "handle")
        eq(sorted("another request" in e.get("detail", "") for e in failed.values()), [False, True, True, True])
        eq(curl(s.url + "/count").text, "1\n")
    with serving(SERVICE, *flags, "--instance-requests", "3") as s:
        eq([curl(s.url + "/count").text for _ in range(7)], ["1\n", "2\n", "3\n", "1\n", "2\n", "3\n", "1\n"])
    with serving(SERVICE, *flags, "--instance-growth", "1M") as s:
        eq(curl(s.url + "/count").text, "1\n")
        for path, says in (("/grow", "grown\n"), ("/leak", "leaked\n")):
            eq(curl(s.url + path).text, says)
            until(lambda: curl(s.url + "/count").text == "1\n")  # its task ends behind its answer
    with serving(SERVICE, *flags, "--instance-idle", "200ms") as s:
        eq([curl(s.url + "/count").text for _ in range(2)], ["1\n", "2\n"])
        until(lambda: curl(s.url + "/count").text == "1\n" or pace(0.3))


def test_service_who_calls():
    """What a guest does is laid to the request it does it for, though its instance serves others at the time."""
    fetch = os.path.join(os.path.dirname(SERVICE), "fetch3.wasm")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        upstream = f"127.0.0.1:{silent.getsockname()[1]}"
        with serving(fetch, "--workers", "1", "--instance-concurrency", "8", "--max-instances", "1", "--timeout", "5s", "--allow-http", upstream) as s, \
                concurrent.futures.ThreadPoolExecutor(1) as pool:
            waits = pool.submit(curl, f"{s.url}/?{upstream}")
            silent.accept()[0].detach()  # it waits for the answer
            for i in range(4):
                has(curl(f"{s.url}/?h{i}.example").text, "failed")
            eq(waits.result().status, 504)
            s.wait_event("outgoing-request-denied", count=4)
            s.wait_event("request", count=5)
            came = {e["path"]: e["request"] for e in s.events("request")}
            eq({f"/?{e['host']}": e["request"] for e in s.events("outgoing-request-denied")}, {p: i for p, i in came.items() if p != f"/?{upstream}"})


def test_service_fair():
    """A request that computes, or whose guest asks not to be called, does not hold up others: they go to another instance."""
    for _ in range(20):
        with serving(SERVICE, "--workers", "1", "--instance-concurrency", "4") as s, concurrent.futures.ThreadPoolExecutor(8) as pool:
            alone = pool.submit(curl, s.url + "/alone")
            s.wait_taken(asked=[alone])
            in_vain(0.1, "the guest's own word that it holds its instance")
            got = [curl(s.url + "/count").text, alone.result().text]
        if got != ["2\n", "1\n"]:  # so it is where the one was over before this machine asked for the other
            break
    eq(got, ["1\n", "1\n"])
    with serving(SERVICE, "--workers", "1", "--instance-concurrency", "4", "--timeout", "5s") as s, concurrent.futures.ThreadPoolExecutor(8) as pool:
        loop = pool.submit(curl, s.url + "/loop")
        for _ in range(10):  # before its deadline or after
            eq(curl(s.url).status, 200)
        eq(loop.result().status, 504)
        eq(curl(s.url).status, 200)
        eq(s.events("worker-died"), [])


def test_service_forward():
    """A middleware's next handler is the server that --forward names."""
    with serving(SERVICE, "--workers", "1") as next_one:
        with serving(SERVICE, "--workers", "1", "--forward", next_one.url) as s:
            a = curl(s.url + "/forward")
            eq((a.status, s.events("guest-failed")), (500, []))  # /forward of the next has none after it, and its page is passed on
            has(a.text, next_one.wait_event("guest-failed")["request"])
        with serving(SERVICE, "--workers", "1", "--forward", "http://127.0.0.1:1") as s:
            eq(curl(s.url + "/forward").status, 500)
    code, out, errors = orlo("serve", SERVICE, "--forward", "next:80")
    eq((code, out), (64, ""))
    has(errors, "--forward http://next:80")


# ---- processes --------------------------------------------------------------------------------------------------------------------


def test_workers():
    with serving(guest("cgi"), "--workers", "3") as s:
        eq(len(s.workers()), 3)


def test_worker_dies():
    with serving(guest("cgi"), "--workers", "1") as s:
        for i in range(2):
            old = s.workers()
            processes.kill(old[0])
            eq(s.wait_event("worker-died", count=i + 1)["signal"], 9)
            eq(curl(s.url, "--retry", "3", "--retry-connrefused").status, 200)
            until(lambda: s.workers() not in ([], old))


def test_queue_survives_worker():
    """Connections that a dead worker had not accepted are answered by its successor."""
    with serving(guest("cgi"), "--workers", "1") as s:
        worker, = s.workers()
        with processes.stopped(worker, may_end=True), concurrent.futures.ThreadPoolExecutor(5) as pool:
            waiting = [pool.submit(curl, s.url) for _ in range(5)]
            until(lambda: sum(rx > 0 for _, port, _, state, rx, inode in sockets() if port == s.port and state == "01" and not inode) == 5)
            processes.kill(worker)
            eq([w.result().status for w in waiting], [200] * 5)


def test_supervisor_dies():
    s = Server(guest("cgi"), "--workers", "2")
    workers = s.workers()
    s.proc.kill()
    s.proc.wait()
    processes.wait_gone(*workers)


def test_drain():
    for sig in (signal.SIGTERM, signal.SIGINT):
        s = Server(guest("cgi"), "--workers", "2")
        with socket.create_connection(("127.0.0.1", s.port), timeout=PATIENCE_S) as c:
            c.sendall(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab")
            s.wait_taken(c)
            s.proc.send_signal(sig)
            until(lambda: not any(port == s.port and state == "0A" for _, port, _, state, _, _ in sockets()))
            c.sendall(b"cd")
            got = b"".join(iter(lambda: c.recv(65536), b""))
            check(got.startswith(b"HTTP/1.1 200") and b"ab" in got and b"cd" in got, got)
        eq(s.proc.wait(PATIENCE_S), 0)
        s.wait_event("stopped")
        with contextlib.suppress(ConnectionRefusedError):
            raw(s.port, b"")
            raise AssertionError("it still listens")
        eq([e["event"] for e in s.events()][-1], "stopped")


def test_drain_and_who_rests():
    """Who has just been answered may ask once more when the server stops, and hears that it was the last time; nobody's silence holds it up."""
    s = Server(guest("cgi"), "--workers", "1")
    with socket.create_connection(("127.0.0.1", s.port), timeout=PATIENCE_S) as asks, socket.create_connection(("127.0.0.1", s.port), timeout=PATIENCE_S) as rests:
        def ask(c):
            c.sendall(b"GET /env HTTP/1.1\r\nHost: a\r\n\r\n")
            got = b""
            while b"\r\n\r\n" not in got or len(got.split(b"\r\n\r\n", 1)[1]) < int(re.search(rb"(?i)content-length: (\d+)", got)[1]):
                got += c.recv(65536)
            return got
        ask(rests)
        check(b"onnection: close" not in ask(asks))
        s.proc.send_signal(signal.SIGTERM)
        s.wait_event("draining")
        got = until(lambda: (answer := ask(asks)) and b"Connection: close\r\n" in answer and answer)  # the worker hears of it a moment later
        check(got.startswith(b"HTTP/1.1 200"), got)
        eq((asks.recv(1), rests.recv(1)), (b"", b""))
    eq(s.proc.wait(PATIENCE_S), 0)
    s.wait_event("stopped")
    eq([e["event"] for e in s.events()][-1], "stopped")


def test_several_addresses():
    with serving(guest("cgi"), "--listen", "[::1]:0", "--listen", ":0") as s:
        also = s.wait_event("serving")["also"].split()
        eq(len(also), 2)
        check(re.fullmatch(r"http://\[::1\]:\d+", also[0]) and re.fullmatch(r"http://localhost:\d+", also[1]), also)
        for url in also:
            eq(curl(url, "-g").status, 200)
        ports = listening(s.proc.pid)
        eq(sorted({p for _, p in ports}), sorted(int(u.rsplit(":", 1)[1]) for u in [s.url, *also]))
        for is_v6, port in ports:
            eq(curl(f"http://{'[::1]' if is_v6 else '127.0.0.1'}:{port}/", "-g").status, 200)


def test_text_log():
    p = subprocess.Popen([ORLO, "serve", guest("cgi"), "--listen", "127.0.0.1:0", "--log-format", "text"], stderr=subprocess.PIPE, text=True)
    try:
        line = p.stderr.readline()
        check(re.match(r"\d{4}-\d\d-\d\dT[\d:.]+Z info  serving url=http://127\.0\.0\.1:\d+ file=", line), line)
        curl(re.search(r"http://[0-9.:]+", line).group(0) + "/x y".replace(" ", "%20"))
        line = p.stderr.readline()
        has(line, " info  request request=", " method=GET path=/x%20y status=200 ")
    finally:
        p.terminate()
        p.wait()


def test_drain_deadline():
    s = Server(guest("cgi"), "--workers", "1", "--drain-timeout", "500ms", "--timeout", "60s")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        loop = pool.submit(curl, s.url + "/loop")
        s.wait_taken(asked=[loop])
        eq(s.stop(timeout=45), 0)  # which waits for less than the guest's deadline
        check(loop.result().status != 200)


def test_second_signal():
    s = Server(guest("cgi"), "--workers", "1", "--drain-timeout", "60s", "--timeout", "60s")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        loop = pool.submit(curl, s.url + "/loop")
        s.wait_taken(asked=[loop])
        s.proc.send_signal(signal.SIGINT)
        until(lambda: not any(port == s.port and state == "0A" for _, port, _, state, _, _ in sockets()))
        check(s.proc.poll() is None)
        eq(s.stop(signal.SIGINT, timeout=45), 0)
        loop.result()


def test_idle_memory():
    """Supervisor and one worker together, as the kernel shares their pages out."""
    if SANITIZED:
        raise Skip("a sanitizer's bookkeeping is larger than what it keeps")
    with serving(os.path.join(ROOT, "examples", "hello", "hello.wasm"), "--workers", "1") as s:
        eq(curl(s.url).status, 200)
        def kib():
            try:
                return sum(map(processes.memory_kib, [s.proc.pid, *s.workers()]))
            except PermissionError:
                raise Skip("smaps of a worker may not be read by this user") from None
        until(lambda: kib() <= 16 << 10)
        print(f"     idle node: {kib()} KiB resident")


run(globals())
