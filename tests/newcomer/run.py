#!/usr/bin/env python3
"""What somebody meets who has just cloned this: ./dev, files that are no guests, what a failure says.

Usage: tests/newcomer/run.py ORLO [FILTER]. Prints `ok|FAIL|SKIP NAME` lines, and 'N passed, N failed, N skipped'.
"""
import os, pty, re, subprocess, sys, tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness import *

DEV = os.path.join(ROOT, "dev")


# ---- ./dev -----------------------------------------------------------------------------------------------------------


def test_dev_helps_before_it_does_anything():
    """With no tool on PATH but the shell's own: whatever a verb would install or build, it could not."""
    bare = os.path.join(WORK, "bare")
    os.makedirs(bare)
    for name in ("bash", "env", "dirname", "cat", "awk", "grep"):
        os.symlink(shutil.which(name), os.path.join(bare, name))
    verbs = re.findall(r"^\./dev (\w+)", subprocess.run([DEV, "help"], capture_output=True, text=True, check=True).stdout, re.M)
    check({"up", "test", "bench", "ci"} <= set(verbs), verbs)
    for verb in verbs:
        for flag in ("--help", "-h"):
            p = subprocess.run([DEV, verb, flag], capture_output=True, text=True, env={"PATH": bare})
            eq((p.returncode, p.stderr), (0, ""))
            has(p.stdout, "./dev " + verb)


def on_terminal(*cmd):
    """What a program prints when its output is a terminal."""
    parent, child = pty.openpty()
    p = subprocess.Popen(cmd, stdin=subprocess.DEVNULL, stdout=child, stderr=child, cwd=ROOT)
    os.close(child)
    got = b""
    with contextlib.suppress(OSError):  # EIO: nobody has the other end any more
        while piece := os.read(parent, 65536):
            got += piece
    os.close(parent)
    return p.wait(60), got.decode("utf-8", "replace")


def test_suites_that_are_not_there():
    """A path mistyped is no suite of which everything passed."""
    p = subprocess.run([sys.executable, os.path.join(ROOT, "tests", "wasi", "run.py"), ORLO, os.path.join(WORK, "nosuch")], capture_output=True, text=True)
    eq((p.returncode, p.stdout), (1, ""))
    has(p.stderr, "nosuch: no such file or folder")


REPORT = """
import sys, importlib.util
sys.argv = ["test.py"]
spec = importlib.util.spec_from_file_location("test", "tools/test.py")
test = importlib.util.module_from_spec(spec)
sys.path.insert(0, "tools")
spec.loader.exec_module(test)
test.LOGS = %r
report = test.Report(3, not sys.stdout.isatty())
for name, code in (("first", "print('ok one'); print('1 passed, 0 failed, 0 skipped')"),
                   ("broken/one", "print('ok this'); print('FAIL that: it is not so'); print('1 passed, 1 failed, 0 skipped'); sys.exit(1)"),
                   ("last", "print('SKIP two: no tool'); print('4 passed, 0 failed, 1 skipped')")):
    report.add(report.run((name, [sys.executable, "-c", "import sys; " + code], {}, 60)))
report.end()
"""


def test_failures_are_said_again_at_the_end():
    script = file_of("report.py", (REPORT % os.path.join(WORK, "logs")).encode())
    p = subprocess.run([sys.executable, script], input="", capture_output=True, text=True, cwd=ROOT)
    eq((p.returncode, p.stderr), (0, ""))
    lines, end = p.stdout.split("What failed:\n")
    has(lines, "ok   first  1 passed", "FAIL broken/one  1 passed, 1 failed", "FAIL that: it is not so", "ok   last  4 passed", "SKIP two: no tool")
    check("ok this" not in p.stdout, p.stdout)
    has(end, "broken/one: 1 of 2;", "FAIL that: it is not so", "broken-one.log", "3 programs in")
    with open(os.path.join(WORK, "logs", "broken-one.log")) as f:
        has(f.read(), "ok this", "FAIL that")


LATE = REPORT.split("test.LOGS =")[0].replace('sys.argv = ["test.py"]', "import os") + """
test.LOGS, names = sys.argv[1], sys.argv[2:]
CODE = '''import os, sys
late = not os.path.exists(sys.argv[1]) or "ever" in sys.argv[1]
open(sys.argv[1], "w").close()
print("LATE that: it did not come to that" if late else "ok that")
if "wrong" in sys.argv[1]:
    print("FAIL other: 1 is not 2")
print(f"{int(not late)} passed, {late + ('wrong' in sys.argv[1])} failed")
sys.exit(late)'''
report, tests = test.Report(3, True), [(n, [sys.executable, "-c", CODE, os.path.join(test.LOGS, n + ".mark")], {}, 60) for n in names]
os.makedirs(test.LOGS, exist_ok=True)
test.run_all(tests, report)
test.run_again(tests, report)
report.end()
print(report.total("passed"), report.total("failed"), len(report.again))
"""


def test_what_was_late_is_asked_once_more():
    """A wait that ran out is asked again, alone, and it is said; a wrong answer is not, nor what is late again, nor half of everything."""
    for names, want in ((["once"], "1 0 1"), (["ever"], "0 1 1"), (["wrong"], "0 2 0"), (["a", "b", "c", "d"], "0 4 0"), (["a", "b", "c"], "3 0 3")):
        script = file_of("late.py", LATE.encode())
        p = subprocess.run([sys.executable, script, tempfile.mkdtemp(dir=WORK), *names], capture_output=True, text=True, cwd=ROOT)
        eq((p.returncode, p.stderr, p.stdout.split("\n")[-2:-1]), (0, "", [want]))
        eq("asked once more, alone" in p.stdout, want[-1] != "0")


def test_a_terminal_shows_what_failed_and_a_count():
    script = file_of("report.py", (REPORT % os.path.join(WORK, "logs")).encode())
    code, text = on_terminal(sys.executable, script)
    eq(code, 0)
    has(text, "FAIL broken/one", "Skipped something: last", "2/3 programs, 2 passed, 1 failed")
    shown = [l.rsplit("\r\033[K", 1)[-1] for l in text.replace("\r\n", "\n").split("\n")]
    check(not any(l.startswith("ok ") for l in shown), shown)


def test_guests_are_built_where_binaryen_is_installed():
    """clang runs the wasm-opt it finds, which drops the names that backtraces are made of."""
    folder = os.path.join(WORK, "binaryen")
    os.makedirs(folder)
    with open(os.path.join(folder, "wasm-opt"), "w") as f:
        f.write("#!/bin/sh\nexit 9\n")
    os.chmod(os.path.join(folder, "wasm-opt"), 0o755)
    before = os.environ["PATH"]
    os.environ["PATH"] = folder + ":" + before
    try:
        path = guest("cgi")
    finally:
        os.environ["PATH"] = before
    with open(path, "rb") as f:
        check(b"\x04name" in f.read(), "no names")


def test_packages_name_all_that_is_used():
    """On a machine that has more than tools/packages.txt names, nothing else would notice; tools/fresh.sh tries it out."""
    if not shutil.which("dpkg-query") or not os.path.exists("/etc/debian_version"):
        raise Skip("needs Debian")
    with open("/etc/debian_version") as f:
        if not f.read().startswith("12"):
            raise Skip("tools/packages.txt is for Debian 12")
    import packages
    eq(packages.missing(ROOT), [])
    with open(os.path.join(ROOT, "tools", "packages.txt")) as f:  # it notices
        rows = f.read()
    less = os.path.join(WORK, "less")
    os.makedirs(os.path.join(less, "tools"))
    for name in ("build", "src", "tests"):
        os.symlink(os.path.join(ROOT, name), os.path.join(less, name))
    with open(os.path.join(less, "tools", "packages.txt"), "w") as f:
        f.write(re.sub(r"(?m)^\w+ (libuv1-dev|curl)\n", "", rows))
    text = " ".join(packages.missing(less))
    has(text, "libuv1-dev", "curl: of curl")


# ---- what a failure says ------------------------------------------------------------------------------------------------


def failure(s, path, **more):
    a = curl(s.url + path)
    eq((path, a.status), (path, 500))
    return s.wait_event("guest-failed", request=a.fields["x-request-id"], **more)


def test_failure_has_the_last_of_stderr():
    with serving(guest("newcomer"), "--workers", "1") as s:
        e = failure(s, "/exception")
        eq(e["stderr"], "Error: no such user\n  at handle (app.js:7)\n  at main \x1b[2J")
        e = failure(s, "/chatter")
        check(len(e["stderr"]) <= 1024 and e["stderr"].endswith("line 199\nthe end"), e)
        check("stderr" not in failure(s, "/silent"))


def test_head_sent_is_true():
    """Of the last responses nothing has left when they are taken back; of the first the client has the head."""
    with serving(guest("cgi"), "--workers", "1") as s:
        curl(s.url + "/half")
        eq(s.wait_event("guest-failed")["head_sent"], True)
    with serving(os.path.join(ROOT, "tests", "guests", "http.wasm"), "--workers", "1") as s:
        e = failure(s, "/unfinished")
        eq(e["head_sent"], False)
        has(e["detail"], "finishing the body of its response, whose status is 200")


def test_cgi_without_a_header():
    with serving(guest("newcomer"), "--workers", "1") as s:
        for path, what in (("/headless", "it ended before its header did"), ("/html", "its first line is no header"),
                           ("/empty-header", "its header is empty"), ("/silent", "it printed nothing")):
            eq(failure(s, path)["detail"], what + ": print Content-Type and an empty line first, then the body")


def leb(n):
    out = b""
    while n >= 128:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def module_that_traps(*names):
    """A program whose functions call each other, the last traps, and are named so."""
    vec = lambda items: leb(len(items)) + b"".join(items)
    section = lambda kind, body: bytes([kind]) + leb(len(body)) + body
    string = lambda s: leb(len(s)) + s
    bodies = [leb(len(b)) + b for b in (b"\0\x10" + leb(i + 1) + b"\x0b" if i + 1 < len(names) else b"\0\0\x0b" for i in range(len(names)))]
    functions = section(1, vec([leb(i) + string(n) for i, n in enumerate(names)]))
    return (b"\0asm\1\0\0\0" + section(1, b"\1\x60\0\0") + section(3, vec([b"\0"] * len(names))) + section(7, vec([string(b"_start") + b"\0\0"]))
            + section(10, vec(bodies)) + section(0, string(b"name") + functions))


NAMES = ((b"_start", "_start"), (b"_RNvNtC4demo3web6handle", "demo::web::handle"),
         (b"_ZN4demo5store4load17h0123456789abcdefE", "demo::store::load"), (b"_ZN4demo3App6handleERKNS_7RequestE", "demo::App::handle"),
         (b"evil\x1b[2J\nname", "evil?[2J?name"), (b"_ZTV3foo", "_ZTV3foo"))


def test_backtrace_has_names_of_the_source():
    wasm = file_of("names.wasm", module_that_traps(*(n for n, _ in NAMES)))
    want = [n for _, n in reversed(NAMES)]
    with serving(wasm, "--workers", "1") as s:
        curl(s.url)
        frames = s.wait_event("guest-failed")["backtrace"].split("\n")
        eq([f.rsplit(" (", 1)[0] for f in frames], want)
    code, out, errors = orlo("run", wasm)
    eq((code, out), (70, ""))
    eq([l.strip().rsplit(" (", 1)[0] for l in errors.split("\n")[:len(want)]], want)
    has(errors, "orlo: " + wasm + ": the guest trapped: unreachable")


def test_a_terminal_shows_a_frame_a_line():
    """The same on a terminal: the event, then its lines; nothing of a name is obeyed."""
    wasm = file_of("names.wasm", module_that_traps(*(n for n, _ in NAMES)))
    parent, child = pty.openpty()
    p = subprocess.Popen([ORLO, "serve", wasm, "--listen", "127.0.0.1:0", "--workers", "1"], stdin=subprocess.DEVNULL, stdout=child, stderr=child)
    os.close(child)
    got, asked = b"", None
    with contextlib.suppress(OSError):
        while piece := os.read(parent, 65536):
            got += piece
            if not asked and (asked := re.search(rb"http://[0-9.:]+", got) if b"\n" in got else None):
                eq(curl(asked.group().decode()).status, 500)
                p.send_signal(signal.SIGTERM)
    os.close(parent)
    eq(p.wait(120), 0)
    lines = got.decode().replace("\r\n", "\n").split("\n")
    at = lines.index("    backtrace:")
    has(lines[at - 1], " error guest-failed request=", 'reason="the guest trapped" head_sent=false')
    eq([l.rsplit(" (", 1)[0] for l in lines[at + 1:at + 1 + len(NAMES)]], ["      " + n for _, n in reversed(NAMES)])


def test_names_of_a_file_are_not_obeyed():
    """What a file calls its imports is shown by an error, and by inspect, on somebody's terminal."""
    name = b"\x1b[2J\xc2\x9b2J\x07evil"
    imports = b"\1" + bytes([len(name)]) + name + b"\1f\0\0"
    wasm = file_of("evil.wasm", b"\0asm\1\0\0\0\1\4\1\x60\0\0\2" + bytes([len(imports)]) + imports + b"\3\2\1\0\7\x0a\1\6_start\0\1\x0a\4\1\2\0\x0b")
    for verb in ("serve", "run", "inspect"):
        code, out, errors = orlo(verb, wasm)
        has(out + errors, "?[2J??2J?evil")
        check(not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", out + errors), out, errors)


# ---- files that are no guests -------------------------------------------------------------------------------------------

SECTIONS = re.findall(r"^###? (.*)$", open(os.path.join(ROOT, "docs", "getting-started.md")).read(), re.M)
FOREIGN = [  # name, its first bytes, what is said
    ("app", b"\x7fELF\2\1\1" + bytes(9) + b"\3\0", "a native Linux program, not WebAssembly"),
    ("app.o", b"\x7fELF\2\1\1" + bytes(9) + b"\1\0", "a native object file, not WebAssembly"),
    ("app.exe", b"MZ\x90\0", "a native Windows program"),
    ("image.tar", b"manifest.json".ljust(257, b"\0") + b"ustar\x0000", "an archive, perhaps a container image"),
    ("image.tar.gz", b"\x1f\x8b\x08\0", "gzip-compressed, perhaps an archive or a container image"),
    ("app.wasm.zst", b"\x28\xb5\x2f\xfd", "zstd-compressed"),
    ("app.zip", b"PK\3\4", "a zip archive"),
    ("app.a", b"!<arch>\n", "a static library"),
    ("app.bc", b"BC\xc0\xde", "LLVM bitcode"),
    ("pulled.wasm", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "a pointer that Git LFS left"),
    ("download.wasm", b"\n<!DOCTYPE html>\n", "an HTML page"),
    ("app.js", b"export default {}\n", "JavaScript, not WebAssembly: make a component of it with jco"),
    ("app.ts", b"let x: number = 1\n", "TypeScript, not WebAssembly: bundle it"),
    ("app.py", b"#!/usr/bin/env python3\n", "Python, not WebAssembly: make a component of it with componentize-py"),
    ("main.rs", b"fn main() {}\n", "Rust, not WebAssembly: cargo build --release --target wasm32-wasip2"),
    ("main.go", b"package main\n", "Go, not WebAssembly: GOOS=wasip1 GOARCH=wasm go build"),
    ("main.C", b"int main(void) {}\n", "C, not WebAssembly: clang --target=wasm32-wasi"),
    ("app.wat", b"(module)\n", "WebAssembly's text format, not WebAssembly: make it binary first"),
    ("text", b";; hi\n(module)\n", "WebAssembly's text format"),
    ("package.json", b"{}\n", "a description of an npm package"),
    ("wrangler.toml", b"name = 'x'\n", "a configuration for Cloudflare Workers"),
    ("spin.toml", b"spin_manifest_version = 2\n", "a Spin manifest"),
    ("Cargo.toml", b"[package]\n", "a Rust package"),
    ("Dockerfile", b"FROM scratch\n", "a recipe for a container image"),
    ("deploy.yaml", b"a: b\n", "YAML"),
    ("config", b" { }\n", "JSON"),
    ("start.sh", b"#!/bin/sh\n", "a script"),
    ("notes", b"hello there\n", "plain text, not WebAssembly"),
    ("noise", b"\1\2\3\4", "not WebAssembly: that starts with 00 61 73 6d, this with 01 02 03 04"),
]


def test_foreign_files():
    for name, begin, what in FOREIGN:
        path = file_of(name, begin)
        for verb in (["serve", path], ["run", path], ["inspect", path], ["compile", path, "-o", path + ".orlo"]):
            code, out, errors = orlo(*verb)
            eq((code, out, errors.count("\n")), (65, "", 1))
            has(errors, f"orlo: {path}: it is {what}")
            for section in re.findall(r'docs/getting-started.md, "(.*?)"', errors):
                check(section in SECTIONS, section, SECTIONS)
    for path, what in ((WORK, "it is a folder; name the .wasm file in it"), (file_of("nothing.wasm", b""), "the file is empty"),
                       (file_of("cut.wasm", b"\0asm\1"), "unexpected end-of-file"), ("/dev/null", "no regular file")):
        code, out, errors = orlo("serve", path)
        check(code in (65, 66) and what in errors, code, errors)


if __name__ == "__main__":
    run(globals())
