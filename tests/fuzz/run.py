#!/usr/bin/env python3
"""Fuzzes a running server from outside: clients.py (HTTP requests), calls.py (what a guest calls), upstreams.py (servers that a guest asks).

Usage: tests/fuzz/run.py ORLO TARGET [--seconds N] [--seed S] [--case I] [--canary]

Case I of seed S is always the same bytes: --case I runs it alone. Cases are tried twelve at a time until the seconds (60) are over or one
of them complains. A target holds its servers (one worker each) to the same as any attack: a bystander is answered all the while, the
worker is never another one, no sanitizer reports; and memory does not grow from case to case. --canary does harm to a server on purpose,
which has to be noticed: it ends with status 1 then, and with 0 if it was not.
"""
import argparse, importlib, os, random, sys, threading, time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]
# What a sanitizer keeps of freed memory would look like a leak.
os.environ["ASAN_OPTIONS"] = "quarantine_size_mb=8:malloc_context_size=12"
import sanitize
os.environ["ASAN_OPTIONS"] += ":" + sanitize.OPTIONS["ASAN_OPTIONS"]
from harness import *

TARGETS = ("clients", "calls", "upstreams")
AT_ONCE, GROWS_KIB = 12, 64 << 10
HELD_S = 30  # by a canary that holds a worker: a bystander's patience is shorter then


class Run:
    def __init__(self, target, args):
        self.target, self.args = target, args
        self.lock, self.next, self.done, self.complaint, self.flying = threading.Lock(), 0, 0, None, {}
        self.ends = time.monotonic() + args.seconds

    def over(self):
        return self.complaint or time.monotonic() > self.ends or not all(s.proc.poll() is None for s in self.servers)

    def take(self):
        with self.lock:
            if self.over() or (self.args.case is not None and self.next):
                return None
            self.next += 1
            return self.next - 1 if self.args.case is None else self.args.case

    def work(self, name):
        while (i := self.take()) is not None:
            self.flying[name] = i
            try:
                said = self.target.case(random.Random(f"{self.args.seed}/{i}"))
            except Exception as e:
                said = "".join(traceback.format_exception(e))[-1500:]
            with self.lock:
                self.done += 1
                del self.flying[name]
                if said and not self.complaint:
                    self.complaint = f"case {i}: {said}"

    def turns(self):
        threads = [threading.Thread(target=self.work, args=(k,), daemon=True) for k in range(AT_ONCE)]
        for t in threads:
            t.start()
        middle, harmed = None, False
        began, lasts = time.monotonic(), self.args.seconds
        while any(t.is_alive() for t in threads):
            time.sleep(0.1)
            past = time.monotonic() - began
            if middle is None and past > lasts / 2:
                middle = self.memory()
            if self.args.canary and not harmed and past > 1:
                harmed = True
                self.target.harm(self.servers, HELD_S)
            for s in self.servers:
                if not self.complaint and any(f'"event":"{e}"'.encode() in s.text for e in FATAL):
                    said = [e for e in s.events() if e["event"] in FATAL]
                    self.complaint = f"{said[0]} while these cases were tried: {sorted(self.flying.values())}\n{sanitize.report_in(s.log()) or ''}"
            if past > lasts + 60:
                return f"cases {sorted(self.flying.values())} do not end"
        after = self.memory()
        if not self.complaint and middle and after and after > middle + GROWS_KIB and lasts >= 10:
            return f"the workers held {middle} KiB in the middle and {after} KiB at the end"
        return self.complaint

    def memory(self):
        kib = [s.resident_kib() for s in self.servers]
        return None if None in kib else sum(kib)

    def run(self):
        """None, or what is wrong."""
        with contextlib.ExitStack() as stack:
            try:
                self.servers = self.target.start(stack)
                for s in self.servers:
                    patience_s = HELD_S - 10 if self.args.canary else 60
                    stack.enter_context(attacked(s, status=self.target.bystanders.get(s, 200), timeout_s=patience_s, grows_kib=GROWS_KIB))
                said = self.turns()
                if said:
                    raise AssertionError(said)
            except AssertionError as e:
                said = str(e)
                raise
        return None


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("orlo")
    p.add_argument("target", choices=TARGETS)
    p.add_argument("--seconds", type=int, default=60)
    p.add_argument("--seed", type=int, default=int(time.time()))
    p.add_argument("--case", type=int)
    p.add_argument("--canary", action="store_true")
    args = p.parse_args()
    target = importlib.import_module(args.target).Target(args)
    run, why = Run(target, args), None
    try:
        run.run()
    except Skip as e:
        print(f"SKIP {args.target}: {e}")
        print("0 passed, 0 failed, 1 skipped")
        sys.exit(0)
    except (AssertionError, OSError) as e:
        why = run.complaint or ""
        why += "\n" + str(e) if str(e) not in why else ""
    finally:
        shutil.rmtree(WORK, ignore_errors=True)
    print(f"     {run.done} cases of seed {args.seed}")
    if why:
        print(f"FAIL {args.target}: {why.strip()[:6000]}")
        print(f"replay: python3 tests/fuzz/run.py {os.path.relpath(ORLO)} {args.target} --seed {args.seed}" + " [--case I]")
    print(f"{0 if why else 1} passed, {1 if why else 0} failed, 0 skipped")
    sys.exit(1 if why else 0)


if __name__ == "__main__":
    main()
