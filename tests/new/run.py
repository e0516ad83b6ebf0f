#!/usr/bin/env python3
"""`orlo new`: every template whole, under the name of its folder; and what it leaves alone.

Usage: tests/new/run.py ORLO. Prints `ok|FAIL NAME` lines, and 'N passed, N failed, N skipped'.
"""
import os, re, sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness import *

EXAMPLES = os.path.join(ROOT, "examples")
MANIFESTS = {"orlo.toml", "spin.toml"}
TEMPLATES = sorted(n for n in os.listdir(EXAMPLES) if any(os.path.exists(os.path.join(EXAMPLES, n, m)) for m in MANIFESTS))


def fresh():
    return tempfile.mkdtemp(prefix="new-", dir=WORK)


def tree(folder):
    return {os.path.relpath(os.path.join(at, n), folder) for at, _, names in os.walk(folder) for n in names}


def test_list():
    code, out, _ = orlo("new", "--list")
    check(code == 0 and [l.split()[0] for l in out.splitlines()] == TEMPLATES, out)
    check(all(len(l.split(None, 1)) == 2 for l in out.splitlines()), out)


def test_templates_whole():
    for name in TEMPLATES:
        there = os.path.join(fresh(), "My Shop")
        code, out, error = orlo("new", name, there)
        check(code == 0 and "my-shop" in out, name, out, error)
        files = tree(there)
        check("README.md" in files and files & MANIFESTS, name, files)
        for f in files:
            theirs, ours = (open(os.path.join(d, f), "rb").read() for d in (there, os.path.join(EXAMPLES, name)))
            if f in MANIFESTS:
                ours = re.sub(rb'\nname = "[^"]*"\n', b'\nname = "my-shop"\n', ours, count=1)
                check(b'name = "my-shop"' in theirs, name, theirs)
            if f == "README.md":
                ours = ours.replace(b"../../build/orlo", b"orlo")
            check(theirs == ours, name, f)
            mode = os.stat(os.path.join(EXAMPLES, name, f)).st_mode & 0o100
            check(os.stat(os.path.join(there, f)).st_mode & 0o100 == mode, name, f)


def test_refusals():
    full = fresh()
    open(os.path.join(full, "mine"), "w").write("kept")
    for args, status, says in ((["new"], 64, "which folder?"), (["new", "jvascript", "x"], 64, "did you mean 'javascript'"), (["new", full], 69, "something in it"),
                               (["new", "rust"], 64, "orlo new rust DIR"),
                               (["new", os.path.join(full, "mine")], 74, "no folder"), (["new", os.path.join(fresh(), "---")], 64, "no name for an app"),
                               (["new", "c", "a", "b"], 64, "what is 'b'?"), (["new", "/proc/new-one"], 74, "cannot be written")):
        code, out, error = orlo(*args)
        check(code == status and says in error, args, code, error)
    check(tree(full) == {"mine"}, tree(full))


def test_disk_full():
    """Nothing is left of a project that could not be written."""
    there = os.path.join(fresh(), "shop")
    code, _, error = orlo("new", "c", there, limit_file_bytes=2000)
    check(code != 0 and not os.path.exists(there), code, error, os.path.exists(there) and tree(there))


def test_here():
    there = os.path.join(fresh(), "corner-shop")
    os.mkdir(there)
    code, out, error = orlo("new", "c", ".", cwd=there)
    check(code == 0 and 'name = "corner-shop"' in open(os.path.join(there, "orlo.toml")).read(), error)


if __name__ == "__main__":
    run(globals())
