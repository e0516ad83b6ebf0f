#!/usr/bin/env python3
"""Holds docs/security.md to its word: each of its numbered claims names tests that bear it out, and the tests that it names exist.

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


def main():
    with open(os.path.join(ROOT, "docs", "security.md"), encoding="utf-8") as f:
        bad, count = check(f.read())
    there = {name for f in glob.glob(os.path.join(ROOT, "tests", "*", "*.py")) for name in defined(os.path.relpath(f, ROOT))}
    bad += [f"tests/sanitize.py: {name} is no test" for name in sanitize.SPARED if name not in there]
    # The check itself: what is wrong here has to be seen.
    wrong, _ = check("1. **A** holds.\n2. **B** (test: tests/no_such.py, x).\n3. **C** (test: tests/claims.py, check, no_such).\n")
    if len(wrong) != 3:
        bad.append(f"tests/claims.py: of three wrong claims it sees {len(wrong)}: {wrong}")
    for line in bad:
        print("FAIL " + line)
    print(f"{count + 1 - len(bad)} passed, {len(bad)} failed, 0 skipped")
    sys.exit(1 if bad else 0)


main()
