#!/usr/bin/env python3
"""Holds docs/security.md and docs/security-identity.md to their word: each numbered claim names tests that bear it out, and the tests that it names exist.

A claim says (test: FILE, NAME, NAME…; FILE, NAME…), where a NAME is a function of that file, with or without its test_. Where there is no FILE
it is the one that 'Tests without a file are in FILE' gives. That the tests pass is for tools/test.py to say, and that they hold what the sentence says for who reads them.
"""
import glob, os, re, sys

import sanitize

WHOLE = "the rest"
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def claims(text):
    """(title, text) of each numbered paragraph, whose title is in bold, and of what else there is."""
    parts = re.split(r"^(?=\d+\. )", text, flags=re.M)
    for part in parts[1:]:
        part, _, rest = part.partition("\n\n")
        yield re.sub(r"\s+", " ", re.match(r"\d+\.\s+(.*?\*\*.*?\*\*)", part, re.S)[1]), part
        parts[0] += rest
    yield None, parts[0]


def named(text, otherwise):
    """(file, name) of each test that a text names."""
    for inside in re.findall(r"\(test:\s*(.*?)\)", text, re.S):
        for group in inside.split(";"):
            names = [n.strip() for n in re.sub(r"[\s`]+", " ", group).split(",")]
            path = names.pop(0) if "/" in names[0] else otherwise
            for name in names or [""]:
                yield path, name.removeprefix("test_")


def defined(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return {n.removeprefix("test_") for n in re.findall(r"^(?:def|static void) (\w+)\(", f.read(), re.M)}


def check(text):
    bad, seen, count = [], {}, 0
    otherwise = (re.search(r"Tests without a file are in ([\w/.]+\w)", text) or [None, "docs/security.md"])[1]
    for title, part in claims(text):
        tests = list(named(part, otherwise))
        if not tests and title:
            bad.append(f"docs/security.md: {title} names no test: (test: FILE, NAME)")
        for path, name in tests:
            count += 1
            if path not in seen:
                seen[path] = defined(path) if os.path.isfile(os.path.join(ROOT, path)) else None
            if seen[path] is None:
                bad.append(f"docs/security.md: {title or WHOLE} names {path}, which is not here")
            elif name not in seen[path]:
                bad.append(f"docs/security.md: {title or WHOLE} names {path}, {name}: there is no such function")
    return bad, count


# How many requirements each section of ASVS 5.0 has.
ASVS = {"6.1": 3, "6.2": 12, "6.3": 8, "6.4": 6, "6.5": 8, "6.6": 4, "6.7": 2, "6.8": 4, "7.1": 3, "7.2": 4, "7.3": 2, "7.4": 5, "7.5": 3, "7.6": 2, "9.1": 3, "9.2": 4,
        "10.1": 2, "10.2": 3, "10.3": 5, "10.4": 16, "10.5": 5, "10.6": 2, "10.7": 3}


def check_identity(text, asvs=ASVS):
    """A row for each requirement: what holds, by tests that there are (`NAME:FUNCTION`) or by a link, and of what does not, why."""
    where, bad, seen = dict(re.findall(r"`(\w+)` is ([\w/.]+\w)", text)), [], []
    for number, what, state, held in re.findall(r"^\| (\d+\.\d+\.\d+) \| (.*?) \| (.*?) \| (.*) \|$", text, re.M):
        seen.append(number)
        if state not in ("yes", "app", "no", "-") or not what or len(held) < 8:
            bad.append(f"docs/security-identity.md: {number} is {state!r}, and says {held!r}")
        for file, name in re.findall(r"`(\w+):(\w+)`", held):
            path = where.get(file)
            if not path or not os.path.isfile(os.path.join(ROOT, path)):
                bad.append(f"docs/security-identity.md: {number} names {file}, which is no file of tests")
            elif name.removeprefix("test_") not in defined(path):
                bad.append(f"docs/security-identity.md: {number} names {path}, {name}: there is no such function")
    wanted = [f"{section}.{i}" for section, n in asvs.items() for i in range(1, n + 1)]
    if seen != wanted:
        bad.append(f"docs/security-identity.md: lacks {sorted(set(wanted) - set(seen))}, or has {sorted(set(seen) - set(wanted))} too much, or in another order")
    return bad, len(seen)


def main():
    with open(os.path.join(ROOT, "docs", "security.md"), encoding="utf-8") as f:
        bad, count = check(f.read())
    with open(os.path.join(ROOT, "docs", "security-identity.md"), encoding="utf-8") as f:
        of_identity, rows = check_identity(f.read())
    bad, count = bad + of_identity, count + rows
    there = {name for f in glob.glob(os.path.join(ROOT, "tests", "*", "*.py")) for name in defined(os.path.relpath(f, ROOT))}
    bad += [f"tests/sanitize.py: {name} is no test" for name in sanitize.SPARED if name not in there]
    # The check itself: what is wrong here has to be seen.
    wrong, _ = check("1. **A** holds.\n2. **B** (test: tests/no_such.py, x).\n3. **C** (test: tests/claims.py, check, no_such).\n")
    if len(wrong) != 3:
        bad.append(f"tests/claims.py: of three wrong claims it sees {len(wrong)}: {wrong}")
    wrong, _ = check_identity("`a` is tests/claims.py.\n| 1.1.1 | it | yes | `a:check_identity` |\n| 1.1.2 | it | yes | `a:no_such` |\n| 1.1.3 | it | perhaps | `b:x` here |\n", {"1.1": 4})
    if len(wrong) != 4:
        bad.append(f"tests/claims.py: of four wrong rows it sees {len(wrong)}: {wrong}")
    for line in bad:
        print("FAIL " + line)
    print(f"{count + 1 - len(bad)} passed, {len(bad)} failed, 0 skipped")
    sys.exit(1 if bad else 0)


main()
