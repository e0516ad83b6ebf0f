#!/usr/bin/env python3
"""docs/architecture.md's table of processes is what src/node/roles.def says, and its list of messages what wire.def says.
Usage: tests/roles.py [--write]"""
import os, re, sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DOC = os.path.join(ROOT, "docs", "architecture.md")
FILES = {"ALL": "what its user may", "FOLDER": "the folders of records and images", "DATA": "the folder of apps' data", "GRANTED": "what its apps were granted", "NAMES": "what name resolution and TLS read", "NONE": "none"}


def read(name):
    with open(os.path.join(ROOT, "src", "node", name), encoding="utf-8") as f:
        return re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S)


def starts(kind, idle_s):
    return {"BY_USER": "by a person", "ALWAYS": "with the node, and anew when it dies",
            "WANTED": "when it is wanted" + (f", until {idle_s} s after the last time" if idle_s != "0" else "")}[kind]


def roles():
    rows = ["| role | what it does | files | starts |", "| --- | --- | --- | --- |"]
    for name, _, files, kind, idle_s, user, what in re.findall(r'^X\((\w+), ([^,]+), (\w+), (\w+), (\d+), (-?\d+), "([^"]*)"\)', read("roles.def"), re.M):
        rows.append(f"| `{name}` | {what} | {FILES[files]} | {starts(kind, idle_s)} |")
    return rows


def messages():
    ways = {}
    for name, sender, receiver in re.findall(r"^MSG\((\w+), (\w+), (\w+), \d+, \d+\)", read("wire.def"), re.M):
        ways.setdefault((sender, receiver), []).append(f"`{name}`")
    return ["| from | to | messages |", "| --- | --- | --- |"] + [f"| {a} | {b} | {' '.join(names)} |" for (a, b), names in ways.items()]


def main():
    with open(DOC, encoding="utf-8") as f:
        text = whole = f.read()
    passed = failed = 0
    for first, rows in (("| role | what it does", roles()), ("| from | to | messages", messages())):
        found = re.search("^" + re.escape(first) + r".*\n(?:\|.*\n)+", text, re.M)
        wanted = "\n".join(rows) + "\n"
        ok = bool(found) and len(rows) > 4 and found[0] == wanted
        if found and "--write" in sys.argv:
            whole = whole.replace(found[0], wanted)
        passed, failed = passed + ok, failed + (not ok)
        if not ok:
            print(f"FAIL docs/architecture.md: the table that begins '{first}' is not what the .def says; run tests/roles.py --write")
    if "--write" in sys.argv and whole != text:
        with open(DOC, "w", encoding="utf-8") as f:
            f.write(whole)
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return failed != 0


sys.exit(main())
