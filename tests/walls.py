#!/usr/bin/env python3
"""Holds every #include, of what is written and of what a build generates, against README's table of rooms: who may use whom, and which
room a third-party header lives in. The picture in docs/architecture.md shows each room of the table, and no other."""
import glob, os, re, sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

def rooms():
    """{room: rooms it may include besides base}: README's table is the one there is."""
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as f:
        table = f.read().split("## Rooms")[1].split("\n## ")[0]
    return {m[1]: m[2].split() for m in re.finditer(r"^\| `(\w+)` \| .* \| ([\w ]*)\|$", table, re.M)}


ROOMS = rooms()
# third-party header prefix: the one room that may include it
THIRD_PARTY = {"openssl/": "crypto", "uv.h": "net", "sqlite3.h": "services"}


def check(path, room):
    bad = []
    inside = os.path.relpath(path, ROOT)
    is_test = path.endswith(("_test.c", "_fuzz.c"))
    for number, line in enumerate(open(path, encoding="utf-8"), 1):
        m = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
        if not m:
            continue
        name = m.group(2)
        where = f"{inside}:{number}"
        for prefix, home in THIRD_PARTY.items():
            if name.startswith(prefix) and room != home and not is_test:
                bad.append(f"{where}: <{name}> belongs to src/{home} alone")
        if m.group(1) == "<":
            continue
        other = name.split("/")[0] if "/" in name else room
        if other not in ROOMS or other == room:
            continue
        if other != "base" and other not in ROOMS[room] and not is_test:
            bad.append(f"{where}: {room} may not include {name}; it may include: base {' '.join(ROOMS[room])}")
        if name.endswith("_int.h"):
            bad.append(f"{where}: {name} is private to src/{other}")
    return bad


def files_of(room):
    """What stands in the room's folder, and what builds have generated there."""
    tops = [os.path.join(ROOT, "src", room)] + glob.glob(os.path.join(ROOT, "build*", "src", room))
    for top in tops:
        for base, _, names in os.walk(top):
            yield from (os.path.join(base, n) for n in names if n.endswith((".c", ".h", ".def", ".S")))


def drawn():
    """The rooms in architecture.md's picture."""
    with open(os.path.join(ROOT, "docs", "architecture.md"), encoding="utf-8") as f:
        return set(re.findall(r"\b\w+\b", f.read().split("```")[1]))


def main():
    bad, files = [], 0
    folders = {n for n in os.listdir(os.path.join(ROOT, "src")) if os.path.isdir(os.path.join(ROOT, "src", n))}
    bad += [f"src/{n}: a room without a line in README's table" for n in sorted(folders - set(ROOMS))]
    bad += [f"README's table has a room {n}, and there is no src/{n}" for n in sorted(set(ROOMS) - folders)]
    bad += [f"docs/architecture.md: its picture lacks {n}" for n in sorted(set(ROOMS) - drawn())]
    for room in sorted(folders & set(ROOMS)):
        for path in files_of(room):
            files += 1
            bad += check(path, room)
    for b in bad:
        print("FAIL " + b)
    print(f"{max(files - len(bad), 0)} passed, {len(bad)} failed, 0 skipped")
    sys.exit(1 if bad else 0)


main()
