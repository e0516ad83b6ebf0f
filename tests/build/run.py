#!/usr/bin/env python3
"""How the program is built: without what only tests need, again when a WIT file is added, and with all of the guards that meson.build names.

Usage: tests/build/run.py ORLO [FILTER]
"""
import json, os, re, shutil, subprocess, sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from harness import *

ALONE = os.path.join(ROOT, "build-alone")  # kept, so that only what changed is built again
NEEDED = ("libuv", "libssl", "libcrypto", "openssl", "sqlite3", "libpq", "libpcre2-8", "libqrencode", "jansson")


def said(*command, **more):
    return subprocess.run(command, capture_output=True, text=True, check=True, **more).stdout


def packages_folder():
    """pkg-config's view of a machine on which nothing is installed that only tests need."""
    folder = os.path.join(WORK, "pkgconfig")
    os.makedirs(folder, exist_ok=True)
    for name in NEEDED:
        shutil.copy(os.path.join(said("pkg-config", "--variable=pcfiledir", name).strip(), name + ".pc"), folder)
    return folder


def test_without_tests():
    """-Dtests=false needs no cmocka, and makes no test program."""
    env = {**os.environ, "PKG_CONFIG_LIBDIR": packages_folder()}
    if not os.path.exists(os.path.join(ALONE, "build.ninja")):
        said("meson", "setup", ALONE, "-Dtests=false", "-Dwerror=true", cwd=ROOT, env=env)
    said("ninja", "-C", ALONE, "--quiet", env=env)
    targets = json.loads(said("meson", "introspect", "--targets", ALONE))
    made = [t["name"] for t in targets if t["build_by_default"] and t["type"] == "executable"]
    eq(sorted(made), ["orlo", "orlo-wit-bindgen"])
    names = {d["name"] for d in json.loads(said("meson", "introspect", "--dependencies", ALONE)) if d.get("version") not in ("unknown", "none", "", None)}
    check("cmocka" not in names, names)
    has(said(os.path.join(ALONE, "orlo"), "--version"), "orlo")
    check(not re.search("cmocka|stdc", said("ldd", os.path.join(ALONE, "orlo"))))


def test_new_wit_is_seen():
    """A file added to a WIT folder is a reason to build: what bindings were made of names the folders too."""
    build = os.path.dirname(ORLO)
    for part in ("2", "3"):
        deps = said("ninja", "-C", build, "-t", "deps", f"src/wasi/wasi_p{part}.h")
        lines = {os.path.relpath(l.strip(), ROOT) for l in deps.splitlines()[1:] if l.strip()}
        for folder, _, names in os.walk(os.path.join(ROOT, "wit", f"wasi-0.{part}")):
            here = os.path.relpath(folder, ROOT)
            check(here in lines, here, lines)
            check(all(os.path.join(here, n) in lines for n in names if n.endswith(".wit")), here, names, lines)


def test_units():
    """What systemd starts is a command that there is, with flags that it has."""
    for unit, verb in (("orlo.service", "serve"), ("orlo-node.service", "node")):
        with open(os.path.join(os.path.dirname(ORLO), unit), encoding="utf-8") as f:
            start = re.search(r"^ExecStart=/\S+/orlo (\w+) (.*)$", f.read(), re.M)
        check(start and start[1] == verb, unit)
        has(said(ORLO, verb, "--help"), *re.findall(r"--[\w-]+", start[2]))


def test_guards():
    """In the program as it is: what the linker was told, and calls to what the compiler was."""
    if SANITIZED:
        raise Skip("a sanitized program is built without")
    elf = said("readelf", "-hldW", ORLO)
    has(elf, "DYN (Position-Independent Executable file)", "GNU_RELRO", "BIND_NOW", "NOW PIE")
    eq(re.findall(r"^ *GNU_STACK .* (R[W ]E?) ", elf, re.M)[0].strip(), "RW")
    eq([l for l in elf.splitlines() if re.match(r" *LOAD .* RWE ", l)], [])
    symbols = said("nm", "-D", ORLO)
    has(symbols, "__stack_chk_fail", "_chk@GLIBC")
    code = said("objdump", "-d", "--no-show-raw-insn", ORLO)
    if os.uname().machine == "x86_64":
        # CET: who is called by address begins with a landing pad; a stack clash probe touches a page of each that a function takes
        check(code.count("endbr64") > 1000, code.count("endbr64"))
        probes = len(re.findall(r"orq +\$0x0,(?:0x[0-9a-f]+)?\(%rsp\)", code))
        check(probes > 20, probes)


run(globals())
