#!/usr/bin/env python3
"""Random valid modules, run by testrun with many and few registers, with and without CPU features, with memory, tables and
globals direct and through records: results, traps and memory must be the same everywhere (and as wasmtime's, when on PATH and
asked for by --wasmtime).

usage: modes_test.py TESTRUN [--seed N] [--count N] [--wasmtime]     A failure prints its seed and keeps the module."""
import os, random, struct, subprocess, sys, tempfile

MODES = [[], ["--registers", "1"], ["--registers", "4"], ["--cpu", "0"], ["--checked"], ["--registers", "2", "--cpu", "0", "--checked"]]
I, L, F, D = 0x7F, 0x7E, 0x7D, 0x7C
MEMORY_MASK = 0xFFC


def u(n):
    out = b""
    while True:
        b = n & 0x7F
        n >>= 7
        out += bytes([b | 0x80 if n else b])
        if not n:
            return out


def s(n):
    out = b""
    while True:
        b = n & 0x7F
        n >>= 7
        if (n == 0 and not b & 0x40) or (n == -1 and b & 0x40):
            return out + bytes([b])
        out += bytes([b | 0x80])


def vec(items):
    return u(len(items)) + b"".join(items)


def section(i, body):
    return bytes([i]) + u(len(body)) + body


def op(*codes):
    return bytes(codes)


BINARY = {I: list(range(0x6A, 0x79)), L: list(range(0x7C, 0x8B)), F: [0x92, 0x93, 0x94, 0x95, 0x96, 0x97], D: [0xA0, 0xA1, 0xA2, 0xA3, 0xA4, 0xA5]}
UNARY = {I: [0x67, 0x68, 0x69, 0x45, 0xC0, 0xC1], L: [0x79, 0x7A, 0x7B, 0xC2, 0xC3, 0xC4],
         F: list(range(0x8B, 0x92)), D: list(range(0x99, 0xA0))}
COMPARE = {I: list(range(0x46, 0x50)), L: list(range(0x51, 0x5B)), F: list(range(0x5B, 0x61)), D: list(range(0x61, 0x67))}
CONVERT = {I: [(L, b"\xa7"), (F, b"\xa8"), (F, b"\xa9"), (D, b"\xaa"), (D, b"\xab"), (L, b"\x50"), (F, b"\xfc\x00"), (F, b"\xfc\x01"), (D, b"\xfc\x02"), (D, b"\xfc\x03")],
           L: [(I, b"\xac"), (I, b"\xad"), (I, b"\xac"), (I, b"\xad"), (F, b"\xae"), (F, b"\xaf"), (D, b"\xb0"), (D, b"\xb1"), (F, b"\xfc\x04"), (F, b"\xfc\x05"), (D, b"\xfc\x06"), (D, b"\xfc\x07")],
           F: [(I, b"\xb2"), (I, b"\xb3"), (L, b"\xb4"), (L, b"\xb5"), (D, b"\xb6")],
           D: [(I, b"\xb7"), (I, b"\xb8"), (L, b"\xb9"), (L, b"\xba"), (F, b"\xbb")]}
LOAD = {I: [0x28, 0x2C, 0x2D, 0x2E, 0x2F], L: [0x29, 0x30, 0x31, 0x32, 0x33, 0x34, 0x35]}
STORE = {I: [0x36, 0x3A, 0x3B], L: [0x37, 0x3C, 0x3D, 0x3E]}


class Function:
    """A body: locals of random types, expressions and statements, loops that end."""

    def __init__(self, r, index, types):
        self.r, self.index, self.types = r, index, types
        self.params, self.results = types[index]
        self.locals = list(self.params) + [r.choice([I, I, I, L, L, F, D]) for _ in range(r.randrange(0, 30))]
        self.counters = [len(self.locals) + k for k in range(4)]
        self.locals += [I] * 4
        self.depth, self.loops, self.calls = 0, 0, 3
        self.labels = [[t for t in self.results]]

    def local(self, t, write=False):
        found = [i for i, x in enumerate(self.locals) if x == t and not (write and i in self.counters)]
        return self.r.choice(found) if found else None

    def const(self, t):
        r = self.r
        if t == I:
            return b"\x41" + s(r.choice([0, 1, -1, 2, 7, 10, 255, 256, 65535, -2147483648, 2147483647, r.randrange(-2**31, 2**31), r.randrange(-200, 200)]))
        if t == L:
            return b"\x42" + s(r.choice([0, 1, -1, 3, 10, 255, 1 << 32, (1 << 32) - 1, -2**63, 2**63 - 1, r.randrange(-2**63, 2**63), r.randrange(-200, 200)]))
        v = r.choice([0.0, 1.0, -1.0, 0.5, -0.0, 3.75, 1e10, -2.5e9, 1e19, r.uniform(-1000, 1000)])
        return b"\x43" + struct.pack("<f", v) if t == F else b"\x44" + struct.pack("<d", v)

    def address(self, n):
        r = self.r
        k = r.random()
        if k < 0.3:  # what compilers make of an index into a table
            e = self.expr(I, n - 1) + (b"\x41\xff\x00\x71" if r.random() < 0.6 else b"\x41" + s(r.randrange(25, 32)) + b"\x76")
            if r.random() < 0.6:
                e += b"\x41" + s(r.randrange(0, 4)) + b"\x74"
            return e + b"\x41" + s(r.choice([0, 16, 1000, 60000, 65400, 70000000])) + b"\x6a"
        if k < 0.4:  # base + (index << n), which may wrap
            return self.expr(I, n - 1) + self.expr(I, n - 1) + b"\x41" + s(r.randrange(1, 4)) + b"\x74\x6a" + (b"" if r.random() < 0.1 else b"\x41" + s(MEMORY_MASK) + b"\x71")
        return self.expr(I, n - 1) + b"\x41" + s(MEMORY_MASK) + b"\x71"

    def condition(self, n):
        t = self.r.choice([I, I, L, F, D])
        e = self.expr(t, n - 1) + self.expr(t, n - 1) + op(self.r.choice(COMPARE[t]))
        for _ in range(self.r.choice([0, 0, 0, 1, 2])):
            e += b"\x45"
        return e if self.r.random() < 0.7 else self.expr(I, n - 1)

    def expr(self, t, n):
        r = self.r
        if n <= 0 or r.random() < 0.12:
            l = self.local(t)
            return b"\x20" + u(l) if l is not None and r.random() < 0.75 else self.const(t)
        k = r.randrange(16)
        if k < 5:
            b = self.const(t) if r.random() < 0.3 else self.expr(t, n - 1)
            code = r.choice(BINARY[t])
            if t in (I, L) and code in (0x6D, 0x6E, 0x6F, 0x70, 0x7F, 0x80, 0x81, 0x82) and r.random() < 0.97:
                b += b"\x41\x07\x71\x41\x01\x72" if t == I else b"\x42\x07\x83\x42\x01\x84"  # 1, 3, 5 or 7
                if r.random() < 0.6:
                    b = self.const(t)
                    b = b if b[1:] not in (b"\x00", b"\x7f") else b[:1] + b"\x09"
            return self.expr(t, n - 1) + b + op(code)
        if k == 5:
            return self.expr(t, n - 1) + op(r.choice(UNARY[t]))
        if k == 6 and t == I:
            return self.condition(n)
        if k in (6, 7):
            src, code = r.choice(CONVERT[t])
            if 0xA8 <= code[0] <= 0xB1 and code[0] not in (0xAC, 0xAD) and r.random() < 0.95:
                src, code = r.choice([x for x in CONVERT[t] if x[1][0] == 0xFC])
            return self.expr(src, n - 1) + code
        if k == 8 and t in LOAD:
            return self.address(n) + op(r.choice(LOAD[t]), 0) + u(r.choice([0, 0, 4, 8, 300]))
        if k == 9:
            return self.expr(t, n - 1) + self.expr(t, n - 1) + self.condition(n) + b"\x1b"
        if k == 10:
            l = self.local(t, True)
            return self.expr(t, n - 1) + (b"\x22" + u(l) if l is not None else b"")
        if k == 11:
            self.labels.append([t])
            e = op(0x02, t) + self.statements(n - 1, 2) + self.expr(t, n - 1)
            if r.random() < 0.5:
                e += self.condition(n - 1) + b"\x0d\x00"
            self.labels.pop()
            return e + b"\x0b"
        if k == 12:
            c = self.condition(n)
            self.labels.append([t])
            e = c + op(0x04, t) + self.statements(n - 2, 1) + self.expr(t, n - 1) + b"\x05" + self.expr(t, n - 1) + b"\x0b"
            self.labels.pop()
            return e
        if k == 13:
            fits = [i for i in range(self.index) if self.types[i][1] == [t]]
            if fits and self.calls:
                return self.call(r.choice(fits), n)
        if k == 14 and t == I:
            return b"\x23\x00"
        if k == 14 and t == L:
            return b"\x23\x01"
        return self.expr(t, n - 1)

    def call(self, f, n):
        self.calls -= 1
        e = b"".join(self.expr(p, n - 2) for p in self.types[f][0])
        if self.r.random() < 0.4:
            return e + b"\x41" + s(f) + b"\x11" + u(f) + b"\x00"
        return e + b"\x10" + u(f)

    def statement(self, n):
        r = self.r
        k = r.randrange(14)
        if k < 5:
            l = r.choice([i for i in range(len(self.locals)) if i not in self.counters] or [None])
            if l is None:
                return b"\x01"
            return self.expr(self.locals[l], n) + b"\x21" + u(l)
        if k == 5:
            t = r.choice([I, L])
            return self.address(n) + self.expr(t, n) + op(r.choice(STORE[t]), 0) + u(r.choice([0, 0, 8, 200]))
        if k == 6:
            t = r.choice([I, L])
            return self.expr(t, n) + b"\x24" + u(0 if t == I else 1)
        if k == 7:
            self.labels.append([])
            e = op(0x02, 0x40) + self.statements(n - 1, 3) + self.condition(n) + b"\x0d\x00" + self.statements(n - 1, 3) + b"\x0b"
            self.labels.pop()
            return e
        if k == 8:
            e = self.condition(n)
            self.labels.append([])
            e += op(0x04, 0x40) + self.statements(n - 1, 3)
            if r.random() < 0.5:
                e += b"\x05" + self.statements(n - 1, 2)
            self.labels.pop()
            return e + b"\x0b"
        if k == 9 and self.loops < 3:
            c = self.counters[self.loops]
            self.loops += 1
            self.labels.append(None)
            e = b"\x41" + s(r.randrange(1, 6)) + b"\x21" + u(c) + op(0x03, 0x40) + self.statements(n - 1, 4)
            e += b"\x20" + u(c) + b"\x41\x7f\x6a" + b"\x22" + u(c) + b"\x0d\x00\x0b"
            self.labels.pop()
            self.loops -= 1
            return e
        if k == 10:
            depths = [d for d, x in enumerate(reversed(self.labels)) if x == []]
            if depths:
                picks = [r.choice(depths) for _ in range(r.randrange(1, 9))]
                self.labels.append([])
                index = self.expr(I, n)
                self.labels.pop()
                return op(0x02, 0x40) + index + b"\x41\x07\x71" + b"\x0e" + u(len(picks)) + b"".join(u(d + 1) for d in picks) + b"\x00" + b"\x0b"
        if k == 11:
            depths = [d for d, x in enumerate(reversed(self.labels)) if x == []]
            if depths:
                return self.condition(n) + b"\x0d" + u(r.choice(depths))
        if k == 12:
            fits = [i for i in range(self.index) if len(self.types[i][1]) != 1 and self.calls]
            if fits:
                f = r.choice(fits)
                e = self.call(f, n)
                for t in reversed(self.types[f][1]):
                    l = self.local(t, True)
                    e += b"\x21" + u(l) if l is not None else b"\x1a"
                return e
        if k == 13:
            size = r.choice([0, 1, 3, 4, 7, 8, 12, 15, 16, 20, 24, 31, 32, 33, 47, 48, 64, 100])
            if r.random() < 0.5:
                return self.address(n) + self.address(n) + b"\x41" + s(size) + b"\xfc\x0a\x00\x00"
            return self.address(n) + b"\x41" + s(r.choice([0, 0, 5, -1])) + b"\x41" + s(size) + b"\xfc\x0b\x00"
        return self.expr(r.choice([I, L]), n) + b"\x1a"

    def statements(self, n, most):
        return b"".join(self.statement(n) for _ in range(self.r.randrange(0, most + 1))) if n > 0 else b""

    def code(self):
        body = b"".join(self.statement(4) for _ in range(self.r.randrange(1, 9)))
        body += b"".join(self.expr(t, 4) for t in self.results) + b"\x0b"
        declared = vec([u(1) + op(t) for t in self.locals[len(self.params):]])
        return u(len(declared) + len(body)) + declared + body


def module(r):
    count = r.randrange(2, 7)
    types = []
    for _ in range(count):
        params = [r.choice([I, I, I, L, L, F, D]) for _ in range(r.choice([0, 1, 2, 3, 4, 6, 12]))]
        results = [r.choice([I, L, I, L, D])for _ in range(r.choice([0, 1, 1, 1, 1, 2, 3]))]
        types.append((params, results))
    codes = [Function(r, i, types).code() for i in range(count)]
    m = b"\0asm\1\0\0\0"
    m += section(1, vec([b"\x60" + vec([op(t) for t in p]) + vec([op(t) for t in q]) for p, q in types]))
    m += section(3, vec([u(i) for i in range(count)]))
    m += section(4, vec([op(0x70, 0x00) + u(count)]))
    m += section(5, vec([op(0x00, 0x01)]))
    m += section(6, vec([b"\x7f\x01\x41\x05\x0b", b"\x7e\x01\x42\x07\x0b"]))
    names = [b"f%d" % i for i in range(count)]
    m += section(7, vec([u(len(n)) + n + b"\0" + u(i) for i, n in enumerate(names)]))
    m += section(9, vec([b"\0\x41\x00\x0b" + vec([u(i) for i in range(count)])]))
    m += section(10, vec(codes))
    m += section(11, vec([b"\0\x41\x00\x0b" + vec([bytes([(i * 37) & 255]) for i in range(600)])]))
    calls = []
    for _ in range(3):
        for i, (params, _) in enumerate(types):
            args = []
            for t in params:
                if t == I:
                    args.append(r.choice([0, 1, 2**32 - 1, r.randrange(2**32)]))
                elif t == L:
                    args.append(r.choice([0, 1, 2**64 - 1, r.randrange(2**64)]))
                elif t == F:
                    args.append(struct.unpack("<I", struct.pack("<f", r.uniform(-1e6, 1e6)))[0])
                else:
                    args.append(struct.unpack("<Q", struct.pack("<d", r.uniform(-1e6, 1e6)))[0])
            calls.append((i, args))
    return m, types, calls


def normal(types, i, line):
    """NaNs are equal whatever their bits."""
    words = line.split()
    if words[:1] != ["ok"]:
        return line
    for k, t in enumerate(types[i][1]):
        v = int(words[1 + k])
        if t == D and v & 0x7FF0000000000000 == 0x7FF0000000000000 and v & 0xFFFFFFFFFFFFF:
            words[1 + k] = "nan"
        if t == F:
            words[1 + k] = str(v & 0xFFFFFFFF)
    return " ".join(words)


def run(testrun, mode, path, calls, types):
    lines = "".join(("f%d" % i).encode().hex() + "".join(f" {a}" for a in args) + "\n" for i, args in calls)
    p = subprocess.run([testrun] + mode + ["--spec", "--memory-hash", path], input=lines.encode(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    out = p.stdout.decode().split("\n")
    return p.returncode, [normal(types, i, out[k] if k < len(out) else "") for k, (i, _) in enumerate(calls)], out[len(calls):], p.stderr.decode()


def main():
    args = sys.argv[1:]
    if not args:
        sys.exit(__doc__)
    testrun, args = args[0], args[1:]
    seed, count = 1, 60
    while args:
        if args[0] == "--seed":
            seed = int(args[1])
        elif args[0] == "--count":
            count = int(args[1])
        args = args[2:]
    trapped = returned = 0
    for k in range(seed, seed + count):
        m, types, calls = module(random.Random(k))
        with tempfile.NamedTemporaryFile(suffix=".wasm", delete=False) as f:
            f.write(m)
        first = run(testrun, MODES[0], f.name, calls, types)
        for mode in MODES:
            got = run(testrun, mode, f.name, calls, types)
            if got[0] or got[:3] != first[:3]:
                print(f"seed {k}, mode {mode}: exit {got[0]}\n{first[1:3]}\n{got[1:3]}\n{got[3][-400:]}\nmodule: {f.name}")
                sys.exit(1)
        trapped += sum(l.startswith("trap") for l in first[1])
        returned += sum(l.startswith("ok") for l in first[1])
        os.unlink(f.name)
    print(f"{count} modules from seed {seed}, {len(MODES)} modes: {returned} calls returned, {trapped} trapped, all alike")


main()
