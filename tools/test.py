#!/usr/bin/env python3
"""Runs every test of the project and adds up what they report.

Three sources: the unit tests that meson knows (sanitized build), the programs below, and the conformance suites.
A test program reports in one of three ways: cmocka's closing lines, a line 'N passed, N failed, N skipped', or its exit
status alone (77: skipped, and its last line is the reason).

Usage: tools/test.py [-v] [--names] [FILTER…]. A line for each program, with what was skipped and why; on a terminal, without -v, one line that
moves. What failed is said when it does and again at the end. What failed of a wait that ran out runs once more, alone, and it is said that it did. The whole output of each program is in build-test/logs/.
"""
import json, os, queue, re, shutil, subprocess, sys, threading, time

import conformance

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests"))
import sanitize

LOGS = os.path.join(ROOT, "build-test", "logs")
TIMEOUT_S = 3000
UNIT_TIMEOUT_S = 600  # and more where meson.build says so: its half a minute is for who runs one alone
CORES = os.cpu_count() or 1
# How many at a time: most wait more than they compute, so there are more while cores rest and memory is free.
LEAST, MOST = 2 * CORES, 7 * CORES
# Seconds of those that take long, on two cores: they begin first, so that no long one ends alone. The others as they come.
LONG = {"apps/postgres": 400, "apps/postgres/sanitized": 450, "apps/database/sanitized": 250, "serve/sanitized": 200, "examples": 170, "apps/server/sanitized": 150, "apps/run/sanitized": 140,
        "apps/database_hostile": 110, "apps/server": 110, "attack/node": 90, "apps/admin": 80, "apps/run": 80, "apps/database": 100, "apps/guests": 80, "apps/rest": 60, "apps/contain": 60,
        "apps/store": 60, "serve": 75, "fuzz/clients": 60, "aarch64/spec/core": 120, "aarch64/spec/component": 50, "fuzz/upstreams/canary": 50, "node/steps": 50, "tour": 35, "project": 40,
        "net/server": 37}
# Those of many tests that each wait long run as so many programs, by turns.
SHARES = {"apps/postgres": 3, "apps/database": 2}


def unit_tests():
    """Those of the sanitized build, then those that only the release build has."""
    seen = set()  # (name, command, environment, timeout, folder)
    for folder in ("build-test", "build"):
        out = subprocess.run(["meson", "introspect", "--tests", os.path.join(ROOT, folder)],
                             capture_output=True, text=True, check=True).stdout
        for t in json.loads(out):
            if t["name"] not in seen:
                seen.add(t["name"])
                yield t["name"], t["cmd"], t.get("env") or {}, max(t.get("timeout") or 0, UNIT_TIMEOUT_S), t.get("workdir") or os.path.join(ROOT, folder)


# Unit tests that are made for aarch64 too, and run by qemu-user: those near machine code.
CROSS = {"baseline/modes": "src/baseline/testrun", "engine": "tests/engine_test", "engine/heap": "tests/engine_heap_test",
         "link": "tests/link_test"}


# What crosses threads is run once more under ThreadSanitizer.
THREADS = {"net/work": "tests/net_work_test", "net/client": "tests/net_client_test", "net/sock": "tests/net_sock_test",
           "wasi/fs_file": "tests/wasi_fs_file_test"}


def thread_tests():
    for name, program in THREADS.items():
        yield "threads/" + name, [os.path.join(ROOT, "build-threads", program)], None


def cross_tests():
    """(name, command, path that must exist or None, environment)"""
    arm, emulator = conformance.TARGETS[1][1:]
    arm = os.path.join(ROOT, arm)
    here = shutil.which(emulator[-1]) and os.path.exists(os.path.join(arm, "tests", "spec", "orlo-spec"))
    for name, program in CROSS.items():
        program = os.path.join(arm, program)
        cmd = emulator + [program]
        if name == "baseline/modes":
            cmd = [sys.executable, "src/baseline/modes_test.py", program, "--count", "5", "--against", os.path.join(ROOT, "build", "src", "baseline", "testrun")]
        yield "aarch64/" + name, cmd, program if here else "the cross compiler, or qemu-user"
    for suite in conformance.SUITES:
        if suite[0].startswith("spec/"):
            folder = conformance.folder_of(suite)
            yield "aarch64/" + suite[0], conformance.command_of(suite, conformance.TARGETS[1]), folder if here else "the cross compiler, or qemu-user"


def harness_parts(suite):
    """As tests/harness.py has them."""
    return sorted(f[:-len("_test.py")] for f in os.listdir(os.path.join(ROOT, "tests", suite)) if f.endswith("_test.py"))


def programs():
    """(name, command, path that must exist or None): whole-system tests, on the release build unless their name says otherwise."""
    py = sys.executable
    orlo = os.path.join(ROOT, "build", "orlo")
    spec = os.path.join(ROOT, "build", "tests", "spec", "orlo-spec")
    yield "walls", [py, "tests/walls.py"], None
    yield "roles", [py, "tests/roles.py"], None
    yield "names", [py, "tests/names.py", "build-test"], None
    yield "claims", [py, "tests/claims.py"], None
    yield "patience", [py, "tests/patience.py"], None
    for test, program in (("oracle", "pg_eval"), ("texts", "pg_ask")):
        yield f"pg/{test}", [py, f"tests/pg/{test}.py", os.path.join(ROOT, "build-test", "tests", "pg", program), "--seed", "1"], None
    yield "callgraph", [py, "tests/callgraph.py"], None
    yield "format", [os.path.join(ROOT, "dev"), "fmt", "--check"], None
    checked_orlo = os.path.join(ROOT, "build-test", "orlo")
    for suite in ("build", "newcomer", "examples", "new", "dev", "tour"):
        yield suite, [py, f"tests/{suite}/run.py", orlo], None
    for build, mark in ((orlo, ""), (checked_orlo, "/sanitized")):
        for suite in ("serve", "guests", "commands", "sockets"):
            yield suite + mark, [py, f"tests/{suite}/run.py", build], None
        for suite, own in (("apps", ["run"]), ("attack", [])):
            for part in own + harness_parts(suite):
                shares = SHARES.get(f"{suite}/{part}", 1)
                for i in range(1, shares + 1):
                    share, of = ([f"share:{i}/{shares}"], f":{i}") if shares > 1 else ([], "")
                    yield f"{suite}/{part}{of}{mark}", [py, f"tests/{suite}/run.py", build, "part:" + part, *share], None
    yield "project", [py, "tests/project/run.py", orlo, "build"], None
    for target, seconds in (("clients", 60), ("calls", 30), ("upstreams", 30)):
        fuzz = [py, "tests/fuzz/run.py", checked_orlo, target, "--seed", "1", "--seconds"]
        yield f"fuzz/{target}", [*fuzz, str(seconds)], None
        yield f"fuzz/{target}/canary", [*fuzz, "10", "--canary"], None
    for target, more in (("sql", []), ("twins", ["--twins"])):
        engines = [py, "tests/sql/engines.py", os.path.join(ROOT, "build"), *more, "--seed", "1"]
        yield f"fuzz/{target}", [*engines, "--rounds", "12", "--count", "60"], None
        yield f"fuzz/{target}/canary", [*engines, "--rounds", "40", "--count", "60", "--canary"], None
    suite = os.path.join(conformance.FOLDER, "postgrest")
    yield "spec/rest", [py, "tests/rest/suite.py", os.path.join(ROOT, "build"), suite], suite
    suites = [p for p in (os.path.join(conformance.FOLDER, s) for s in ("core", "component")) if os.path.exists(p)]
    yield "spec/canary", [py, "tests/spec/canary.py", spec, *suites, "--count", "50"], None
    for suite in conformance.SUITES:
        yield suite[0], conformance.command_of(suite, conformance.TARGETS[0]), conformance.folder_of(suite)
    yield from thread_tests()
    yield from cross_tests()
    checked = os.path.join(ROOT, "build-test", "tests", "spec", "orlo-spec")
    for folder in sorted({conformance.folder_of(s) for s in conformance.SUITES if s[0].startswith("wasi/")}):
        yield f"wasi/{os.path.basename(folder)}/sanitized", [py, "tests/wasi/run.py", checked_orlo, folder], folder
    yield "spec/sanitized", [checked, *suites], suites[0] if suites else os.path.join(conformance.FOLDER, "core")


def readme_test(results):
    """Does README say no more than these results bear out?"""
    r = Result("readme/conformance")
    counts = {x.name: (x.passed, x.failed, x.skipped) for x in results}
    for suite in conformance.SUITES:
        if suite[0] in counts and os.path.exists(conformance.folder_of(suite)):
            claim = conformance.overclaims(suite, conformance.TARGETS[0][0], counts[suite[0]])
            r.passed, r.failed = r.passed + (not claim), r.failed + bool(claim)
            r.notes += [claim + "; ./dev spec --table writes it anew"] if claim else []
    return r


class Result:
    def __init__(self, name):
        self.name, self.passed, self.failed, self.skipped, self.notes = name, 0, 0, 0, []
        self.late = 0  # of those that failed: waits that ran out
        self.seconds = self.computed = 0.0  # until it ended; of all processors, for it and what it waited for
        self.output, self.reasons = "", []  # what it printed but for what passed; the lines that say what failed


def read_report(r, code, text):
    plain = re.findall(r"^(?:\w+: )?(\d+) passed, (\d+) failed(?:, (\d+) skipped)?\s*$", text, re.M)
    cmocka_pass = re.findall(r"^\[  PASSED  \] (\d+) test", text, re.M)
    cmocka_fail = re.findall(r"^\[  FAILED  \] (\d+) test", text, re.M)
    cmocka_skip = re.findall(r"^\[  SKIPPED \] (\d+) test", text, re.M)
    if plain:
        r.passed, r.failed, r.skipped = (int(x or 0) for x in plain[-1])
    elif cmocka_pass:
        r.passed = sum(map(int, cmocka_pass))
        r.failed = sum(map(int, cmocka_fail))
        r.skipped = sum(map(int, cmocka_skip))
    elif code == 77:
        r.skipped = 1
        r.notes.append((text.strip().splitlines() or ["no reason given"])[-1])
    elif code == 0:
        r.passed = 1
    if code not in (0, 77) and r.failed == 0:
        r.failed = 1
        r.notes.append(f"exit status {code}")


def run_one(name, cmd, env, timeout, cwd=ROOT):
    r = Result(name)
    started = time.monotonic()
    full = {**os.environ, **sanitize.OPTIONS, **env}
    os.makedirs(LOGS, exist_ok=True)
    log = os.path.join(LOGS, name.replace("/", "-") + ".log")
    try:
        with open(log, "wb") as f:
            p = subprocess.Popen(cmd, cwd=cwd, env=full, stdin=subprocess.DEVNULL, stdout=f, stderr=subprocess.STDOUT)
        late = threading.Timer(timeout, p.kill)
        late.start()
        _, status, used = os.wait4(p.pid, 0)
        p.returncode = code = os.waitstatus_to_exitcode(status)
        late.cancel()
        r.computed = used.ru_utime + used.ru_stime
        with open(log, errors="replace") as f:
            text = f.read()
        if code == -9 and time.monotonic() - started >= timeout:
            code = f"timeout after {timeout} s"
    except OSError as e:
        text, code = str(e), 127
    if "--canary" in cmd:  # breaks a property on purpose, and has to notice
        code, text = ((0, "") if isinstance(code, int) and code != 0 else (1, "it ended as if all were well: its target checks nothing\n" + text))
    read_report(r, code, text)
    r.seconds = time.monotonic() - started
    skips = [l for l in text.splitlines() if re.match(r"(SKIP|skipped?)\b", l)]
    r.notes += [s for s in skips[:20] if s not in r.notes]
    if r.failed:
        r.late = 1 if isinstance(code, str) else len(re.findall(r"^LATE ", text, re.M))  # a program that has to be ended waits, too
        lines = [l for l in text.splitlines() if not re.match(r"ok |\[ RUN  |\[       OK", l)]
        r.output = "\n".join(lines)[-6000:]
        r.reasons = list(dict.fromkeys(l[:400] for l in lines if re.match(r"FAIL|LATE|\[  FAILED  \] \D|.*(ERROR: \w+Sanitizer|runtime error:)", l)))[:20]
    return r


LATE_MAX = 3  # more programs than that are late of something else than this machine


class Report:
    """Says what comes of the programs."""

    def __init__(self, count, verbose):
        self.count, self.verbose, self.results, self.running = count, verbose, [], []
        self.again = []  # (as it was, as it was alone) of those that were late
        self.started, self.lock = time.monotonic(), threading.RLock()

    def total(self, what):
        return sum(getattr(r, what) for r in self.results)

    def status(self):
        """The line that moves."""
        if not self.verbose:
            s = int(time.monotonic() - self.started)
            line = f"{len(self.results)}/{self.count} programs, {self.total('passed')} passed, {self.total('failed')} failed, {s // 60}:{s % 60:02}  {', '.join(self.running)}"
            print("\r\033[K" + line[:shutil.get_terminal_size().columns - 1], end="", flush=True)

    def run(self, test):
        with self.lock:
            self.running.append(test[0])
            self.status()
        r = run_one(*test)
        with self.lock:
            self.running.remove(test[0])
        return r

    def add(self, r):
        with self.lock:
            self.results.append(r)
            if r.failed or self.verbose:
                status = "FAIL" if r.failed else "skip" if r.skipped and not r.passed else "ok"
                print("" if self.verbose else "\r\033[K", end="")
                print(f"{status:4} {r.name}  {r.passed} passed, {r.failed} failed, {r.skipped} skipped  ({r.seconds:.1f} s, {r.computed:.1f} of a processor)")
                for note in r.notes + ([r.output] if self.verbose and r.output else [] if self.verbose else r.reasons):
                    print("     " + note.replace("\n", "\n     "), flush=True)
            self.status()

    def end(self):
        failed = [r for r in self.results if r.failed]
        skipped = [r.name for r in self.results if r.skipped]
        if not self.verbose:
            print("\r\033[K", end="")
            if skipped:
                print(f"Skipped something: {', '.join(skipped)}  (-v says what and why)")
        if self.again:
            print("\nWhat came too late beside all others, and was asked once more, alone:")
        for r, then in self.again:
            print(f"  {r.name}: {then.passed} passed, {then.failed} failed then; before:")
            for line in r.reasons:
                print("    " + line)
        if failed:
            print("\nWhat failed:")
        for r in failed:
            print(f"  {r.name}: {r.failed} of {r.passed + r.failed}; its output: {os.path.relpath(LOGS, ROOT)}/{r.name.replace('/', '-')}.log")
            for line in [n for n in r.notes if not n.startswith("SKIP")] + (r.reasons or r.output.splitlines()[-20:]):
                print("    " + line)
        s = time.monotonic() - self.started
        print(f"\n{len(self.results)} programs in {int(s // 60)} min {s % 60:.0f} s")


class Room:
    """Whether one more may begin beside those that run."""

    def __init__(self):
        self.before = self.read()

    @staticmethod
    def read():
        """(ticks of all processors, those of them that nobody used), since the machine was started."""
        try:
            with open("/proc/stat") as f:
                ticks = list(map(int, f.readline().split()[1:9]))
            return sum(ticks), ticks[3] + ticks[4]
        except OSError:
            return 0, 0

    @staticmethod
    def memory_is_free():
        try:
            with open("/proc/meminfo") as f:
                return int(re.search(r"^MemAvailable:\s+(\d+)", f.read(), re.M)[1]) > 3 << 20
        except (OSError, TypeError):
            return False

    def is_there(self, running):
        now, before = self.read(), self.before
        self.before = now
        rests = now[0] > before[0] and (now[1] - before[1]) / (now[0] - before[0]) > 0.12
        return running < LEAST or (running < MOST and rests and self.memory_is_free())


def expected_s(name):
    whole = re.sub(r":\d+(?=/|$)", "", name)  # of shares
    return LONG.get(whole, LONG.get(whole.removesuffix("/sanitized"), 0)) / SHARES.get(whole.removesuffix("/sanitized"), 1)


def run_all(tests, report):
    """Each on a thread, as there is room."""
    ended, running, room = queue.Queue(), 0, Room()
    begin = lambda test: threading.Thread(target=lambda: ended.put(report.run(test)), daemon=True).start()
    waiting = sorted(tests, key=lambda t: -expected_s(t[0]))
    while waiting or running:
        while waiting and room.is_there(running):
            begin(waiting.pop(0))
            running += 1
            if running >= LEAST:  # one more for each look at how busy it is
                break
        try:
            report.add(ended.get(timeout=0.5 if waiting else None))
            running -= 1
        except queue.Empty:
            pass


def run_again(tests, report):
    """What failed of nothing but waits that ran out, where everything else ran beside it, once more, alone: late again is failed. It is said which."""
    late = [r for r in report.results if r.failed and r.failed == r.late]
    for r in late if len(late) <= LATE_MAX else []:
        report.again.append((r, report.run(next(t for t in tests if t[0] == r.name))))
        report.results.remove(r)
        report.add(report.again[-1][1])


def main():
    if sys.argv[1:] in (["--cross-targets"], ["--thread-targets"]):  # for tools/dev.sh
        print(*(CROSS if sys.argv[1] == "--cross-targets" else THREADS).values())
        return
    filters = [a for a in sys.argv[1:] if not a.startswith("-")]
    verbose = "-v" in sys.argv or "--verbose" in sys.argv or not sys.stdout.isatty()
    chosen = lambda name: not filters or any(f in name for f in filters)
    lanes, absent, suites_absent = [], [], []
    known = [t[0] for t in unit_tests()] + [p[0] for p in programs()]
    unknown = [f for f in filters if not any(f in name for name in known)]
    if unknown:
        print(f"No test's name contains {' or '.join(unknown)}. There are: {', '.join(sorted(known))}", file=sys.stderr)
        sys.exit(64)
    if "--names" in sys.argv:  # what there is to run
        print(*filter(chosen, known), sep="\n")
        return
    for test in unit_tests():
        needs = next((a for a in test[1][1:] if a.startswith(conformance.FOLDER) and not os.path.exists(a)), None)
        if chosen(test[0]):
            suites_absent.append(test[0]) if needs else lanes.append(test)
    for name, cmd, needs in programs():
        if not chosen(name):
            continue
        if needs and needs.startswith(conformance.FOLDER) and not os.path.exists(needs):
            suites_absent.append(name)
        elif needs and not os.path.exists(needs):
            r = Result(name)
            r.skipped = 1
            r.notes.append(f"SKIP {name}: {os.path.relpath(needs, ROOT)} is not here")
            absent.append(r)
        else:
            lanes.append((name, cmd, {"MESON_EXE_WRAPPER": " ".join(conformance.TARGETS[1][2])} if name.startswith("aarch64/") else {}, TIMEOUT_S))

    report = Report(len(lanes) + len(absent), verbose)
    for r in absent:
        report.add(r)
    run_all(lanes, report)
    run_again(lanes, report)
    r = readme_test(report.results)
    if r.passed or r.failed:
        report.add(r)
    if suites_absent:
        print(f"\nNot here, and so not run: the public suites of {', '.join(suites_absent)} (README, Conformance, says where they come from)")
    report.end()
    total = [report.total(k) for k in ("passed", "failed", "skipped")]
    print("%d passed, %d failed, %d skipped" % tuple(total))
    sys.exit(1 if total[1] or not total[0] else 0)


if __name__ == "__main__":
    main()
