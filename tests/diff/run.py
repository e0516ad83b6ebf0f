#!/usr/bin/env python3
"""Random modules on Orlo and on Wasmtime: whatever differs is a bug of one of them. `./dev fuzz diff` runs it.

  run.py ORLO_DIFF [--seconds N] [--seed S] [--from I] [--count N] [--kind smith|gen|types]   fuzz; every module follows from S and its number
  run.py ORLO_DIFF --check FILE.wasm [--seed S] [--class TEXT]          runs one; status 0 if the engines differ (in that way)
  run.py ORLO_DIFF --shrink FILE.wasm [--seed S] -o OUT.wasm            the smallest module found that differs in the same way
  run.py ORLO_DIFF --keep NAME FILE.wasm [--seed S]                     makes a regression test of it, with Wasmtime's outcome

Modules come from `wasm-tools smith` (cargo install wasm-tools), gen.py and typegraph.py here; those of the file `seeds` come first. Arguments
of calls follow from S and the export's name, so that they stay the same while a module shrinks. What differs is put in
build-fuzz/diff/.
"""
import argparse, collections, os, random, re, shutil, subprocess, sys, time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
FOUND = os.path.join(ROOT, "build-fuzz", "diff")
VENV = os.path.join(ROOT, "build-fuzz", "venv")


def die(text, status):
    print("diff: " + text, file=sys.stderr)
    sys.exit(status)


def need_wasmtime():
    """The Python package; made available in a virtual environment of build-fuzz when it is not installed."""
    try:
        import wasmtime  # noqa: F401
        return
    except ImportError:
        pass
    python = os.path.join(VENV, "bin", "python")
    if sys.executable == python:
        die("the Python package 'wasmtime' is not in build-fuzz/venv: remove that folder and try again", 69)
    if not os.path.exists(python):
        made = subprocess.run([sys.executable, "-m", "venv", VENV], capture_output=True).returncode == 0
        if not made or subprocess.run([python, "-m", "pip", "install", "-q", "wasmtime"]).returncode:
            shutil.rmtree(VENV, ignore_errors=True)
            die("needs the Python package 'wasmtime' (pip install wasmtime)", 69)
    os.execv(python, [python, os.path.abspath(__file__), *sys.argv[1:]])


need_wasmtime()
sys.path.insert(0, HERE)
import gen  # noqa: E402
import reference  # noqa: E402
import typegraph  # noqa: E402

# ---- modules and calls, from numbers ----

INTERESTING = {
    "i32": [0, 1, 2, 3, 7, 31, 32, 33, 63, 64, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 65532, 65533, 0x7ffffffe, 0x7fffffff,
            0x80000000, 0x80000001, 0xfffffffc, 0xfffffffe, 0xffffffff],
    "i64": [0, 1, 2, 31, 32, 63, 64, 65, 255, 256, 65535, 65536, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 0x7fffffffffffffff,
            0x8000000000000000, 0x8000000000000001, 0xffffffff00000000, 0xffffffff7fffffff, 0xffffffff80000000, 0xffffffffffffffff],
    "f32": [0, 0x80000000, 1, 0x007fffff, 0x00800000, 0x3f800000, 0xbf800000, 0x3f000000, 0x3fc00000, 0x4effffff, 0x4f000000, 0xcf000000,
            0xcf000001, 0x4f7fffff, 0x4f800000, 0x5effffff, 0x5f000000, 0xdf000000, 0x5f7fffff, 0x5f800000, 0x7f7fffff, 0x7f800000,
            0xff800000, 0x7fc00000, 0xbf7fffff],
    "f64": [0, 1 << 63, 1, 0x000fffffffffffff, 0x0010000000000000, 0x3ff0000000000000, 0xbff0000000000000, 0x3fe0000000000000,
            0x41dfffffffc00000, 0x41dfffffffffffff, 0x41e0000000000000, 0xc1e0000000000000, 0xc1e0000000200000, 0xc1e00000001fffff,
            0x41efffffffe00000, 0x41efffffffffffff, 0x41f0000000000000, 0xbfefffffffffffff, 0x43dfffffffffffff, 0x43e0000000000000,
            0xc3e0000000000000, 0x43efffffffffffff, 0x43f0000000000000, 0x7fefffffffffffff, 0x7ff0000000000000, 0xfff0000000000000,
            0x7ff8000000000000, 0x47efffffe0000000, 0x36a0000000000000],
}


def value(rng, t):
    if t == "v128":
        return [value(rng, "i64")[0], value(rng, "i64")[0]]
    if t not in INTERESTING:
        return [rng.choice([0, 0, 1, 2]) if t == "externref" else 0]
    bits = 32 if t in ("i32", "f32") else 64
    what = rng.random()
    if what < 0.55:
        v = rng.choice(INTERESTING[t])
    elif what < 0.7 and t[0] == "i":
        v = rng.randrange(-20, 200) & (1 << bits) - 1
    else:
        v = rng.getrandbits(bits)
    if t[0] == "f":  # no other NaN than the canonical: which one comes out of an operation is the engine's choice
        exponent = (0xff << 23) if bits == 32 else (0x7ff << 52)
        if v & exponent == exponent and v & ((1 << 23) - 1 if bits == 32 else (1 << 52) - 1):
            v = exponent | (1 << 22 if bits == 32 else 1 << 51)
    return [v]


def calls_of(exports, seed, rounds):
    calls = []
    for round_ in range(rounds):
        for i, (name, kind, params, _) in enumerate(exports):
            if kind != "func" or any(p.endswith("!") for p in params):
                continue
            rng = random.Random(f"{seed} {name} {round_}")
            calls.append((i, [s for p in params for s in value(rng, p)]))
    return calls


CONFIGS = [
    "snapshot=1 twins=2 slice=20000 again=1",
    "registers=1 again=1",
    "collect=1 twins=2 registers=3",
    "registers=2 slice=20000 twins=3",
    "registers=4 snapshot=1",
    "cpu=0xffff snapshot=1 again=1",
    "threads=3 twins=2",
    "registers=3 cpu=0xffff slice=20000 twins=2",
]


def smith(rng):
    flags = {
        "canonicalize-nans": True, "export-everything": True, "max-imports": 0, "simd-enabled": rng.random() < 0.5, "relaxed-simd-enabled": False,
        "threads-enabled": False, "gc-enabled": rng.random() < 0.3, "exceptions-enabled": rng.random() < 0.3, "tail-call-enabled": rng.random() < 0.4,
        "custom-page-sizes-enabled": False, "custom-descriptors-enabled": False, "wide-arithmetic-enabled": False,
        "compact-imports-enabled": False, "generate-custom-sections": False, "extended-const-enabled": True,
        "memory64-enabled": rng.random() < 0.3, "max-memory32-bytes": 4 << 16, "max-memory64-bytes": 4 << 16, "memory-max-size-required": True,
        "table-max-size-required": True, "max-table-elements": 500, "max-memories": rng.choice([1, 1, 1, 3]), "min-memories": 1,
        "max-tables": rng.choice([1, 3, 5]), "min-funcs": rng.choice([1, 3, 8]), "max-instructions": rng.choice([50, 200, 600, 2000]),
        "disallow-traps": rng.random() < 0.4, "allow-floats": rng.random() < 0.8, "max-globals": 8, "max-type-size": 200,
    }
    arguments = [f"--{k}={str(v).lower()}" for k, v in flags.items()]
    p = subprocess.run(["wasm-tools", "smith", "--ensure-termination", f"--fuel={rng.choice([100, 1000, 20000])}", *arguments],
                       input=rng.randbytes(rng.choice([1000, 4000, 20000])), capture_output=True)
    if p.returncode:
        return None
    return p.stdout


def module_of(seed, number, kind):
    rng = random.Random(f"{seed} {number}")
    which = kind or rng.choices(["smith", "gen", "types"], [8, 11, 1])[0]
    if which == "types":
        return typegraph.typegraph(rng)
    if which == "gen" and rng.random() < 0.25:
        return joined(*gen.pair(rng))
    return smith(rng) if which == "smith" else gen.module(rng)


def joined(first, second):
    """Two modules in one file: "pair" and the first one's size stand in front. (wasm-tools shrinks only single ones.)"""
    return b"pair" + len(first).to_bytes(4, "little") + first + second


def parted(wasm):
    """The first module or None, and the one to run."""
    if wasm[:4] != b"pair":
        return None, wasm
    n = int.from_bytes(wasm[4:8], "little")
    return wasm[8:8 + n], wasm[8 + n:]


# ---- Orlo ----

class Orlo:
    def __init__(self, program):
        self.program, self.process = program, None

    def run(self, wasm, calls, config):
        """Its lines, the last one "end" or "crash …"."""
        if not self.process or self.process.poll() is not None:
            self.process = subprocess.Popen([self.program], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            env=dict(os.environ, UBSAN_OPTIONS="halt_on_error=1", ASAN_OPTIONS="detect_leaks=0"))
        text = "".join(f"{i} {' '.join(f'{s:x}' for s in slots)}\n" for i, slots in calls)
        self.process.stdin.write(f"module {len(wasm)} {len(calls)} {config}\n".encode() + wasm + text.encode())
        self.process.stdin.flush()
        lines = []
        for line in self.process.stdout:
            lines.append(line.decode(errors="replace").rstrip("\n"))
            if lines[-1] == "end" or lines[-1].startswith("crash"):
                return lines
        return lines + ["crash of the server"]


# ---- comparing ----

def comparable(line):
    for ours, common in reference.SAME_TRAP.items():
        line = line.replace("trap " + ours, "trap " + common)
    return line.rstrip()


def is_unsupported(lines):
    return re.match(r"error (ERR_)?UNSUPPORTED", lines[0]) is not None


def difference(want, got):
    """None, or (its class, a text)."""
    if got[-1].startswith("crash"):
        return got[-1], got[-1]
    for w, g in zip(want + ["end"], got):
        w, g = comparable(w), comparable(g)
        if any("stack exhausted" in x or "memory limit" in x for x in (w, g)):
            return None  # depth and heap are the engine's choice, and what follows depends on them
        if w == g:
            continue
        what = [re.sub(r"[0-9a-f]{8,}|nan", "V", re.sub(r"^(\w+) [0-9a-f ]*", r"\1 ", x)) for x in (w, g)]
        if what[0].startswith("call ->") and what[1].startswith("call ->"):
            what = ["call values"]
        return " / ".join(what)[:200], f"want {w}\ngot  {g}"
    return None if len(want) + 1 == len(got) else ("lines", f"{len(want) + 1} lines wanted, {len(got)} got")


class Pair:
    def __init__(self, program):
        self.orlo, self.reference, self.skipped, self.calls = Orlo(program), reference.Reference(), collections.Counter(), 0

    def compare(self, wasm, seed, configs, rounds=2):
        """None, or (class, text, configuration)."""
        first, second = parted(wasm)
        try:
            outer = first and (self.reference.module(first), first, second)
            module = self.reference.module(second)
        except reference.wasmtime.WasmtimeError as e:
            lines = self.orlo.run(wasm, [], configs[0])
            return None if lines[0].startswith("error") else ("validity", f"only Wasmtime refuses it: {str(e)[:300]}", configs[0])
        exports, imports = reference.exports_of(second)
        calls = calls_of(exports, seed, rounds)
        want = self.reference.run(module, calls, exports, imports, outer)
        if want[-1].endswith("time"):
            self.skipped["takes Wasmtime too long"] += 1
            return None
        self.calls += len(calls)
        for config in configs:
            got = self.orlo.run(wasm, calls, config)
            if is_unsupported(got):
                self.skipped[re.sub(r"func \d+( <.*?>)?: |^error \w+: ", "", got[0])] += 1
                return None
            d = difference(want, got)
            if d:
                return d[0], d[1], config
        return None


def report(number, seed, wasm, d):
    os.makedirs(FOUND, exist_ok=True)
    path = os.path.join(FOUND, f"{seed}-{number}.wasm")
    with open(path, "wb") as f:
        f.write(wasm)
    print(f"DIFF module {number} of seed {seed}, {d[2]}: {d[0]}\n{d[1][:1500]}\n  {path}", flush=True)


def numbers_of(a):
    """(seed, number of a module, kind): those of the file `seeds` unless a seed is given, then as many as time allows."""
    if a.seed is None:
        for line in read(os.path.join(HERE, "seeds")).decode().splitlines():
            if line and not line.startswith("#"):
                seed, kind, count = line.split()
                yield from ((seed, i, kind) for i in range(int(count)) if a.kind in (None, kind))
        a.seed = str(random.SystemRandom().randrange(1 << 32))
        print(f"     seed {a.seed}", flush=True)
    number = a.first
    while a.count is None or number < a.first + a.count:
        yield a.seed, number, a.kind
        number += 1


def fuzz(a, pair):
    if a.kind in (None, "smith") and not shutil.which("wasm-tools"):
        print("diff: wasm-tools is not on PATH (cargo install wasm-tools): only the generator of tests/diff is used", file=sys.stderr)
        a.kind = "gen"
    started = said = time.monotonic()
    modules = found = no_module = 0
    for seed_of_all, number, kind in numbers_of(a):
        if time.monotonic() - started > a.seconds or found >= a.findings:
            break
        seed = f"{seed_of_all}-{number}"
        wasm = module_of(seed_of_all, number, kind)
        rng = random.Random("configuration " + seed)
        modules += 1
        if wasm is None:
            no_module += 1
        else:
            d = pair.compare(wasm, seed, rng.sample(CONFIGS, 2))
            if d:
                found += 1
                report(number, seed_of_all, wasm, d)
        if time.monotonic() - said > 60:
            said = time.monotonic()
            print(f"     {modules} modules, {pair.calls} calls, {found} differences", flush=True)
    print(f"{modules} modules ({no_module} not made, {sum(pair.skipped.values())} not run), {pair.calls} calls, "
          f"{modules / (time.monotonic() - started):.1f} modules a second; {found} differences", flush=True)
    for why, n in pair.skipped.most_common(10):
        print(f"     {n} not run: {why}")
    return found != 0


def find_difference(pair, wasm, seed, configs=CONFIGS):
    for config in configs:
        d = pair.compare(wasm, seed, [config])
        if d:
            return d
    return None


def read(path):
    with open(path, "rb") as f:
        return f.read()


def check(a, pair):
    d = find_difference(pair, read(a.file), a.seed, [a.config] if a.config else CONFIGS)
    if d:
        print(f"{d[2]}: {d[0]}\n{d[1]}")
    return not d or (a.klass is not None and d[0] != a.klass)


def shrink(a, pair):
    d = find_difference(pair, read(a.file), a.seed)
    if not d:
        die("nothing differs", 1)
    print(f"{d[2]}: {d[0]}")
    script = a.out + ".sh"
    with open(script, "w") as f:
        f.write(f"#!/bin/sh\nexec '{sys.executable}' '{os.path.abspath(__file__)}' '{a.orlo_diff}' --seed '{a.seed}' --class '{d[0]}' --config '{d[2]}' --check \"$1\"\n")
    os.chmod(script, 0o755)
    code = subprocess.run(["wasm-tools", "shrink", "-a", str(a.attempts), script, a.file, "-o", a.out]).returncode
    os.unlink(script)
    return code


def keep(a, pair):
    name, file = a.keep
    wasm = read(file)
    first, second = parted(wasm)
    outer = first and (pair.reference.module(first), first, second)
    exports, imports = reference.exports_of(second)
    calls = calls_of(exports, a.seed, 2)
    want = pair.reference.run(pair.reference.module(second), calls, exports, imports, outer) + ["end"]
    got = pair.orlo.run(wasm, calls, "")
    want = [g if comparable(g) == comparable(w) else w for w, g in zip(want, got + [""] * len(want))]
    folder = os.path.join(HERE, "regressions")
    shutil.copy(file, os.path.join(folder, name + ".wasm"))
    with open(os.path.join(folder, name + ".expect"), "w") as f:
        f.write("\n".join(want) + "\n")
    print(f"regressions/{name}: {len(want)} lines" + ("" if want == got else ", which do not come out yet"))
    return 0


def main():
    p = argparse.ArgumentParser(description="Random modules on Orlo and on Wasmtime.")
    p.add_argument("orlo_diff", metavar="ORLO_DIFF")
    p.add_argument("--seconds", type=float, default=60)
    p.add_argument("--seed", default=None)
    p.add_argument("--from", dest="first", type=int, default=0)
    p.add_argument("--count", type=int)
    p.add_argument("--kind", choices=["smith", "gen", "types"])
    p.add_argument("--findings", type=int, default=10, help="stop after so many")
    p.add_argument("--check", dest="file")
    p.add_argument("--config")
    p.add_argument("--class", dest="klass")
    p.add_argument("--shrink")
    p.add_argument("--attempts", type=int, default=400)
    p.add_argument("--keep", nargs=2, metavar=("NAME", "FILE"))
    p.add_argument("-o", dest="out", default="shrunk.wasm")
    a = p.parse_args()
    pair = Pair(a.orlo_diff)
    if a.shrink:
        a.file = a.shrink
        sys.exit(shrink(a, pair))
    if a.keep:
        sys.exit(keep(a, pair))
    if a.file:
        sys.exit(check(a, pair))
    sys.exit(fuzz(a, pair))


if __name__ == "__main__":
    main()
