#!/usr/bin/env python3
"""Runs the conformance suites of ../shared/spec and keeps README's table of what passes.

Usage: tools/conformance.py [--write] [--target NAME]
Prints the table; --write also puts it into README.md, between its two markers. A target that is not built here (or cannot be
run: see TARGETS) keeps the rows that README has. tools/test.py runs the same SUITES and fails when README claims more than they gave.
"""
import fnmatch, os, re, shutil, subprocess, sys
from concurrent.futures import ThreadPoolExecutor

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FOLDER = os.path.join(os.path.dirname(ROOT), "shared", "spec")  # as meson.build has it
README = os.path.join(ROOT, "README.md")
START, END = "<!-- conformance: written by ./dev spec --table -->", "<!-- end of conformance -->"

# Name, what the table calls it, folder in ../shared/spec, and which of its tests (all).
SUITES = [
    ("spec/core", "core WebAssembly 3.0", "core"),
    ("spec/component", "component model", "component"),
    ("wasi/p1-c", "WASI preview 1, C", "wasi/p1-c"),
    ("wasi/p1-rust", "WASI preview 1, Rust", "wasi/p1-rust"),
    ("wasi/p1-as", "WASI preview 1, AssemblyScript", "wasi/p1-as"),
    ("wasi/p3-cli", "WASI 0.3: commands, clocks, random", "wasi/p3", "cli-*", "run-*", "*clock*", "random"),
    ("wasi/p3-filesystem", "WASI 0.3: filesystem", "wasi/p3", "filesystem-*"),
    ("wasi/p3-http", "WASI 0.3: HTTP", "wasi/p3", "http-*"),
    ("wasi/p3-sockets", "WASI 0.3: sockets", "wasi/p3", "sockets-*"),
]

# Name, build folder, what runs its programs.
TARGETS = [
    ("x86-64", "build", []),
    ("aarch64", "build-arm64", ["env", "ORLO_ENGINE_RESERVE=1073741824", "qemu-aarch64"]),
]


def folder_of(suite):
    return os.path.join(FOLDER, suite[2])


def command_of(suite, target):
    _, build, runner = target
    if suite[0].startswith("spec/"):
        return runner + [os.path.join(ROOT, build, "tests", "spec", "orlo-spec"), folder_of(suite)]
    only = [a for glob in suite[3:] for a in ("--only", glob)]
    return [sys.executable, os.path.join(ROOT, "tests", "wasi", "run.py"), os.path.join(ROOT, build, "orlo"), *only, folder_of(suite)]


def can_run(suite, target):
    """WASI suites start `orlo` itself, whose sandboxed processes an emulator of one process cannot be."""
    _, build, runner = target
    if not os.path.isdir(folder_of(suite)) or (runner and (not shutil.which(runner[-1]) or not suite[0].startswith("spec/"))):
        return False
    return os.path.exists(os.path.join(ROOT, build, "tests", "spec", "orlo-spec"))


def files_of(suite):
    ends = ".json" if suite[0].startswith("spec/") else ".wasm"
    fits = lambda stem: not suite[3:] or any(fnmatch.fnmatch(stem, glob) for glob in suite[3:])
    return sum(name.endswith(ends) and fits(name[:-len(ends)]) for _, _, names in os.walk(folder_of(suite)) for name in names)


def counts_of(text):
    found = re.findall(r"^(\d+) passed, (\d+) failed, (\d+) skipped\s*$", text, re.M)
    return tuple(map(int, found[-1])) if found else None


def row(suite, target, counts):
    return f"| {suite[1]} | {files_of(suite)} | {target[0]} | " + " | ".join(f"{n:,}" for n in counts) + " |"


def readme_rows():
    """(title, target) -> (line, counts)."""
    with open(README) as f:
        text = f.read()
    if START not in text or END not in text:
        sys.exit(f"conformance: README.md lacks the lines '{START}' and '{END}'")
    rows = {}
    for line in text[text.index(START):text.index(END)].splitlines():
        cells = [c.strip() for c in line.strip("|").split("|")]
        if len(cells) == 6 and cells[1].isdigit():
            rows[cells[0], cells[2]] = line, tuple(int(c.replace(",", "")) for c in cells[3:])
    return rows


def overclaims(suite, target_name, counts):
    """What README says and the counts do not bear out; None if nothing."""
    line, said = readme_rows().get((suite[1], target_name), (None, None))
    if line and (said[0] > counts[0] or said[1] < counts[1] or said[2] < counts[2]):
        return f"README says {said} of {suite[1]} on {target_name}, it is {counts} (passed, failed, skipped)"
    return None


def write(rows):
    with open(README) as f:
        text = f.read()
    head, tail = text[:text.index(START) + len(START)], text[text.index(END):]
    with open(README, "w") as f:
        f.write(head + "\n" + "\n".join(rows) + "\n" + tail)


def run_one(pair):
    suite, target = pair
    out = subprocess.run(command_of(suite, target), cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True).stdout
    return counts_of(out), out


def main():
    only = sys.argv[sys.argv.index("--target") + 1] if "--target" in sys.argv else None
    old = readme_rows()
    pairs = [(s, t) for t in TARGETS for s in SUITES if can_run(s, t) and only in (None, t[0])]
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        fresh = dict(zip([(s[1], t[0]) for s, t in pairs], pool.map(run_one, pairs)))
    rows, bad = ["| suite | files | target | passed | failed | skipped |", "| --- | --- | --- | --- | --- | --- |"], 0
    for target in TARGETS:
        for suite in SUITES:
            counts, out = fresh.get((suite[1], target[0]), (None, ""))
            if out and not counts:
                print(f"conformance: {suite[0]} on {target[0]} ended early:\n{out[-2000:]}", file=sys.stderr)
                bad = 1
            if counts:
                rows.append(row(suite, target, counts))
                bad |= counts[1] != 0
            elif (suite[1], target[0]) in old:
                rows.append(old[suite[1], target[0]][0])
    print("\n".join(rows))
    if "--write" in sys.argv:
        write(rows)
    sys.exit(bad)


if __name__ == "__main__":
    main()
