#!/usr/bin/env python3
"""Holds every #include, of what is written and of what a build generates, against README's table of rooms: who may use whom, and which
room a third-party header lives in. The picture in docs/architecture.md shows each room of the table, and no other. What a room's
objects define for the linker is called by the room's name."""
import glob, os, re, subprocess, sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

def rooms():
    """{room: rooms it may include besides base}: README's table is the one there is."""
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as f:
        table = f.read().split("## Rooms")[1].split("\n## ")[0]
    return {m[1]: m[2].split() for m in re.finditer(r"^\| `(\w+)` \| .* \| ([\w ]*)\|$", table, re.M)}


ROOMS = rooms()
# third-party header prefix: the one room that may include it
THIRD_PARTY = {"openssl/": "crypto", "jansson.h": "base", "uv.h": "net", "toml++/": "manifest", "sqlite3.h": "db", "libpq-fe.h": "postgres", "pg_query": "sql",
               "pcre2.h": "pg", "crypt.h": "crypto", "sodium.h": "crypto", "qrencode.h": "auth", "libstemmer.h": "pg", "brotli/": "coding", "zstd.h": "coding", "zlib.h": "coding"}

# What a room's globals may be called besides room_…, and why.
OTHER_NAMES = {
    "base": (r"(arena|buf|clock|diag|err|json|log|map|rd|str|text)_\w+", "the house's own vocabulary, in every file of it"),
    "baseline": (r"\w+", "emit_, target_, simd_ and a hundred verbs of one pass; they are there twice, the second time as other_"),
    "component": (r"(plan|pbuild|c(dec|core|names?|rd|scope|entity|sub|flat|ptrs|subst|types?))_\w+", "a prefix a file"),
    "engine": (r"(heap_\w+|rt_[A-Z_]+)", "heap.h's; what rtcall.def names"),
    "net": (r"(http[12]|websocket)_\w+", "codecs, which know nothing of net"),
    "node": (r"demangle_\w+", "a library of its own"),
    "pg": (r"pj_\w+", "a JSON value of PostgreSQL's, a prefix a file"),
    "spin": (r"fermyon_spin_\w+", "bindings of the interfaces that bear that name"),
    "tables": (r"orlo_database_\w+", "bindings of the interface that bears that name"),
    "wasi": (r"(wasi3|wasmcloud_websocket)_\w+", "bindings of WASI 0.3 and of WebSockets, as their generator calls them"),
    "wasm": (r"wv_\w+", "the validator's"),
}


def check_names(room):
    """Held against the archives of the release build: test programs are not in them."""
    archives = glob.glob(os.path.join(ROOT, "build", "src", room, f"lib{room}*.a"))
    said = subprocess.run(["nm", "-g", "--defined-only", *archives], capture_output=True, text=True).stdout if archives else ""
    names = set(re.findall(r"^[0-9a-f]+ [A-Z] ([a-z]\w*)$", said, re.M))
    allowed = re.compile(rf"{room}_\w+|" + OTHER_NAMES.get(room, ("$", ""))[0])
    return [f"src/{room}: {n} lacks the room's prefix" for n in sorted(names) if not allowed.fullmatch(n)]


def check(path, room):
    bad = []
    inside = os.path.relpath(path, ROOT)
    is_test = path.endswith(("_test.c", "_test.h", "_fuzz.c"))
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
        if name.endswith("_int.h") or name.count("/") > 1:  # what stands in a room's own folder is its own
            bad.append(f"{where}: {name} is private to src/{other}")
    return bad


def files_of(room):
    """What stands in the room's folder, and what builds have generated there."""
    tops = [os.path.join(ROOT, "src", room)] + glob.glob(os.path.join(ROOT, "build*", "src", room))
    for top in tops:
        for base, _, names in os.walk(top):
            yield from (os.path.join(base, n) for n in names if n.endswith((".c", ".cc", ".h", ".def", ".S")))


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
        bad += check_names(room)
    for b in bad:
        print("FAIL " + b)
    print(f"{max(files - len(bad), 0)} passed, {len(bad)} failed, 0 skipped")
    sys.exit(1 if bad else 0)


main()
