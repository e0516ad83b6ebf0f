#!/usr/bin/env python3
"""Fuzzes what reads untrusted bytes: ./dev fuzz [TARGET…] [--seconds N]

Every src/ROOM/NAME_fuzz.c whose corpus a meson test replays is a target; it is built with clang, libFuzzer, ASan and UBSan in
build-fuzz/. For each in turn: the canary must be found first (else the target checks nothing), then N seconds (60) from the
checked-in corpus and what earlier runs added in build-fuzz/corpus/. What fails is left in build-fuzz/found/ with the command
that replays it. Exit status 1 when anything did.

./dev fuzz diff [--seconds N] [--seed S] runs random modules on Orlo and on Wasmtime instead: see tests/diff/run.py.
./dev fuzz sql|twins [--seconds N] [--seed S] asks SQLite and PostgreSQL random trees, or two databases that differ in what is hidden: see
tests/sql/engines.py.
./dev fuzz store-kill [--seconds N] [--kills N] [--seed S] kills the store, workers and the node while clients write: see tests/apps/kills.py.
./dev fuzz clients|calls|upstreams [--seconds N] [--seed S] attacks a sanitized orlo that serves: see tests/fuzz/run.py.
"""
import json, os, shutil, subprocess, sys, time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(ROOT, "build-fuzz")
ENV = dict(os.environ, ASAN_OPTIONS="detect_leaks=1:allocator_may_return_null=1", UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1")


def die(text, status):
    print("fuzz: " + text, file=sys.stderr)
    sys.exit(status)


def configure():
    clang = next((c for c in ("clang", "clang-19", "clang-14") if shutil.which(c)), None)
    if not clang:
        die("needs clang", 69)
    if os.path.exists(os.path.join(BUILD, "build.ninja")):
        return
    p = subprocess.run(["meson", "setup", BUILD, "-Dfuzz=true", "-Dbuildtype=debugoptimized", "-Db_sanitize=address,undefined", "-Db_lundef=false"],
                       cwd=ROOT, env=dict(os.environ, CC=clang, CXX=clang.replace("clang", "clang++")), capture_output=True, text=True)
    if p.returncode:
        die("meson setup failed:\n" + p.stdout[-3000:] + p.stderr[-3000:], 70)


def targets():
    """{name: (program, corpus)}: the tests that replay a corpus, by the program's name without _fuzz."""
    tests = json.loads(subprocess.run(["meson", "introspect", "--tests", BUILD], capture_output=True, text=True, check=True).stdout)
    found = {}
    for t in tests:
        program = os.path.basename(t["cmd"][0])
        if program.endswith("_fuzz") and "--canary" not in t["cmd"]:
            found[program[:-5]] = (t["cmd"][0], t["cmd"][-1])
    return found


def canary_is_found(program, corpus):
    p = subprocess.run([program, "-runs=0", "-artifact_prefix=" + os.path.join(BUILD, "canary-"), corpus], env=dict(ENV, ORLO_FUZZ_CANARY="1"),
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=300)
    return p.returncode != 0


def fuzz(name, program, corpus, seconds):
    """None, or what went wrong."""
    if not canary_is_found(program, corpus):
        return "its canary was not found: the target checks nothing"
    grown, found = os.path.join(BUILD, "corpus", name), os.path.join(BUILD, "found")
    os.makedirs(grown, exist_ok=True)
    os.makedirs(found, exist_ok=True)
    log = os.path.join(BUILD, name + ".log")
    before = set(os.listdir(found))
    words = [f"-dict={corpus}.dict"] if os.path.exists(corpus + ".dict") else []
    with open(log, "wb") as out:
        code = subprocess.run([program, *words, f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1",
                               "-artifact_prefix=" + os.path.join(found, name + "-"), grown, corpus],
                              env=ENV, stdout=out, stderr=subprocess.STDOUT).returncode
    with open(log, encoding="utf-8", errors="replace") as f:
        text = f.read()
    runs = next((l.split()[-1] for l in text.splitlines() if l.startswith("stat::number_of_executed_units")), "?")
    print(f"     {runs} runs, {len(os.listdir(grown))} inputs added to {os.path.relpath(grown, ROOT)}", flush=True)
    if code == 0:
        return None
    new = sorted(set(os.listdir(found)) - before)
    replay = "\n".join(f"replay: {os.path.relpath(program, ROOT)} {os.path.relpath(os.path.join(found, n), ROOT)}" for n in new)
    start = next((i for i, l in enumerate(text.splitlines()) if "ERROR:" in l or "runtime error" in l or "panic" in l), None)
    why = text.splitlines()[start:start + 25] if start is not None else text.splitlines()[-25:]
    return "\n".join(why) + "\n" + replay


def diff(args):
    """Compiled code against another engine's, with options of its own (tests/diff/run.py)."""
    build = os.path.join(ROOT, "build")
    if not os.path.exists(os.path.join(build, "build.ninja")):
        subprocess.run(["meson", "setup", build], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    program = os.path.join(build, "tests", "diff", "orlo-diff")
    subprocess.run(["ninja", "-C", build, "--quiet", os.path.relpath(program, build)], check=True)
    sys.exit(subprocess.run([sys.executable, os.path.join(ROOT, "tests", "diff", "run.py"), program, *args]).returncode)


def engines(args):
    """The same trees on SQLite and on PostgreSQL, or on twins (tests/sql/engines.py); as it is built for people."""
    build = os.path.join(ROOT, "build")
    if not os.path.exists(os.path.join(build, "build.ninja")):
        subprocess.run(["meson", "setup", build], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", build, "--quiet", "tests/sql/engines"], check=True)
    sys.exit(subprocess.run([sys.executable, os.path.join(ROOT, "tests", "sql", "engines.py"), build, *args]).returncode)


def kills(args):
    """As it is built for people: deaths are found at the speed of use."""
    build = os.path.join(ROOT, "build")
    if not os.path.exists(os.path.join(build, "build.ninja")):
        subprocess.run(["meson", "setup", build], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", build, "--quiet", "orlo"], check=True)
    sys.exit(subprocess.run([sys.executable, os.path.join(ROOT, "tests", "apps", "kills.py"), os.path.join(build, "orlo"), *args]).returncode)


SERVED = ("clients", "calls", "upstreams")


def served(args):
    """Against an orlo that serves, in the sanitized build of the tests."""
    build = os.path.join(ROOT, "build-test")
    if not os.path.exists(os.path.join(build, "build.ninja")):
        subprocess.run(["meson", "setup", build, "-Dbuildtype=debugoptimized", "-Db_sanitize=address,undefined", "-Db_lundef=false"],
                       cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", build, "--quiet", "orlo"], check=True)
    sys.exit(subprocess.run([sys.executable, os.path.join(ROOT, "tests", "fuzz", "run.py"), os.path.join(build, "orlo"), *args]).returncode)


def main():
    wanted, seconds, args = [], 60, sys.argv[1:]
    if args[:1] == ["diff"]:
        diff(args[1:])
    if args[:1] == ["sql"]:
        engines(args[1:])
    if args[:1] == ["twins"]:
        engines(["--twins", *args[1:]])
    if args[:1] == ["store-kill"]:
        kills(args[1:])
    if args and args[0] in SERVED:
        served(args)
    while args:
        a = args.pop(0)
        if a == "--seconds" and args and args[0].isdigit():
            seconds = int(args.pop(0))
        elif a.startswith("-"):
            die(f"no option '{a}'; usage: ./dev fuzz [TARGET…] [--seconds N]", 64)
        else:
            wanted.append(a)
    configure()
    all_targets = targets()
    chosen = {n: t for n, t in all_targets.items() if not wanted or any(w in n for w in wanted)}
    if not chosen:
        die(f"no target has '{' '.join(wanted)}' in its name; there are: {' '.join(all_targets)}", 64)
    subprocess.run(["ninja", "-C", BUILD, "--quiet", *(os.path.relpath(t[0], BUILD) for t in chosen.values())], check=True)
    failed = 0
    for name, (program, corpus) in chosen.items():
        started = time.monotonic()
        why = fuzz(name, program, corpus, seconds)
        failed += why is not None
        print(f"{'FAIL' if why else 'ok':4} {name}  ({time.monotonic() - started:.0f} s){': ' + why if why else ''}", flush=True)
    print(f"{len(chosen) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


main()
