#!/usr/bin/env python3
"""Holds every #include against the table of rooms: who may use whom, and which room a third-party header lives in."""
import os, re, sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# room: rooms it may include besides base. Keep in step with the picture in docs/architecture.md.
ROOMS = {
    "base": "",
    "crypto": "",
    "wasm": "",
    "component": "wasm",
    "wit": "component",
    "abi": "wasm crypto",
    "baseline": "abi wasm",
    "engine": "abi wasm",
    "link": "baseline engine component abi wasm crypto",
    "host": "engine component abi wasm",
    "net": "crypto",
    "wasi": "host engine component abi net",
    "node": "wasi host engine link component abi wasm net crypto",
    "cli": "node wit component wasm",
}
# third-party header prefix: the one room that may include it
THIRD_PARTY = {"openssl/": "crypto", "uv.h": "net", "curl/": "net", "sqlite3.h": "services"}


def check(path, room):
    bad = []
    inside = os.path.relpath(path, os.path.join(ROOT, "src"))
    is_test = path.endswith(("_test.c", "_fuzz.c"))
    for number, line in enumerate(open(path, encoding="utf-8"), 1):
        m = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
        if not m:
            continue
        name = m.group(2)
        where = f"src/{inside}:{number}"
        for prefix, home in THIRD_PARTY.items():
            if name.startswith(prefix) and room != home and not is_test:
                bad.append(f"{where}: <{name}> belongs to src/{home} alone")
        if m.group(1) == "<":
            continue
        other = name.split("/")[0] if "/" in name else room
        if other not in ROOMS or other == room:
            continue
        if other != "base" and other not in ROOMS[room].split() and not is_test:
            bad.append(f"{where}: {room} may not include {name}; it may include: base {ROOMS[room]}")
        if name.endswith("_int.h"):
            bad.append(f"{where}: {name} is private to src/{other}")
    return bad


def main():
    bad, files = [], 0
    for room in sorted(os.listdir(os.path.join(ROOT, "src"))):
        folder = os.path.join(ROOT, "src", room)
        if not os.path.isdir(folder):
            continue
        if room not in ROOMS:
            bad.append(f"src/{room}: a room without a line in tests/walls.py")
            continue
        for base, _, names in os.walk(folder):
            for n in names:
                if n.endswith((".c", ".h", ".def", ".S")):
                    files += 1
                    bad += check(os.path.join(base, n), room)
    for b in bad:
        print("FAIL " + b)
    print(f"{files - len(bad) if len(bad) < files else 0} passed, {len(bad)} failed, 0 skipped")
    sys.exit(1 if bad else 0)


main()
