#!/usr/bin/env python3
"""Baseline code against native code: bench/kernels/*.c, built by clang -O2 both ways, processor time, ratios in one run.

usage: bench/kernels.py [--runner COMMAND] [--rounds N] [NAME...]
COMMAND runs FILE.wasm (default: build/orlo run, else a testrun in a build folder). Wasmtime is measured too when on PATH.
Prints time ratios to native per kernel and their geometric mean; fails when an output differs."""
import math, os, resource, shutil, subprocess, sys, tempfile

root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def pick(*names):
    return next((n for n in names if shutil.which(n)), None)


def cpu_of(command):
    """(user + system seconds, stdout) of the command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    r = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if r.returncode:
        sys.exit(f"{' '.join(command)}: exit {r.returncode}\n{r.stderr.decode()[-500:]}")
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, r.stdout


def main():
    args, runner, rounds = sys.argv[1:], None, 3
    while args and args[0].startswith("--"):
        if args[0] == "--runner":
            runner = args[1].split()
        elif args[0] == "--rounds":
            rounds = int(args[1])
        else:
            sys.exit(__doc__)
        args = args[2:]
    clang = pick("clang-19", "clang")
    if not clang:
        print("kernels: no clang: skipped")
        return
    if not runner:
        orlo, dev = os.path.join(root, "build/orlo"), os.path.join(root, "build/src/baseline/testrun")
        runner = [orlo, "run"] if os.path.exists(orlo) else [dev]
    wasmtime = shutil.which("wasmtime")
    names = args or sorted(f[:-2] for f in os.listdir(os.path.join(root, "bench/kernels")) if f.endswith(".c"))
    logs, logs_w = [], []
    with tempfile.TemporaryDirectory() as tmp:
        for name in names:
            source = os.path.join(root, "bench/kernels", name + ".c")
            native, wasm = os.path.join(tmp, name), os.path.join(tmp, name + ".wasm")
            subprocess.run([clang, "-O2", "-w", source, "-o", native, "-lm"], check=True)
            vectors = ["-msimd128"] if name.startswith("simd") else []
            subprocess.run([clang, "--target=wasm32-wasi", "-O2", "-w", *vectors, source, "-o", wasm, "-lm"], check=True)
            commands = [[native], runner + [wasm]]
            if wasmtime:
                cached = os.path.join(tmp, name + ".cwasm")
                subprocess.run([wasmtime, "compile", "-o", cached, wasm], check=True)
                commands.append([wasmtime, "run", "--allow-precompiled", cached])
            best, outputs = [math.inf] * len(commands), [b""] * len(commands)
            for _ in range(rounds):
                for i, command in enumerate(commands):
                    t, outputs[i] = cpu_of(command)
                    best[i] = min(best[i], t)
            if any(o != outputs[0] for o in outputs):
                sys.exit(f"{name}: outputs differ: {outputs}")
            logs.append(math.log(best[1] / best[0]))
            line = f"{name:10} native {best[0] * 1000:6.0f} ms   orlo {best[1] / best[0]:5.2f}"
            if wasmtime:
                logs_w.append(math.log(best[2] / best[0]))
                line += f"   wasmtime {best[2] / best[0]:5.2f}"
            print(line, flush=True)
    line = f"{'geomean':10} {'':18}orlo {math.exp(sum(logs) / len(logs)):5.2f}"
    if logs_w:
        line += f"   wasmtime {math.exp(sum(logs_w) / len(logs_w)):5.2f}"
    print(line)


main()
