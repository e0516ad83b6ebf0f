#!/usr/bin/env python3
"""Random valid modules, run by testrun with many and few registers, with and without CPU features, with memory, tables and
globals direct and through records: results, traps and memory must be the same everywhere.

usage: modes_test.py TESTRUN [--seed N] [--count N] [--against OTHER]    OTHER: of x86-64, where TESTRUN is of aarch64     A failure prints its seed and keeps the module."""
import os, random, shlex, struct, subprocess, sys, tempfile

MODES = [[], ["--registers", "1"], ["--registers", "4"], ["--cpu", "0"], ["--checked"], ["--far"], ["--registers", "2", "--cpu", "0", "--checked"]]
I, L, F, D, V = 0x7F, 0x7E, 0x7D, 0x7C, 0x7B
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


# Vector instructions by shape. Those of V_FLOAT give NaNs whose bits may differ: they are made zero at once.
V_BINARY = [0x0E, *range(0x23, 0x4D), 0x4E, 0x4F, 0x50, 0x51, 0x65, 0x66, *range(0x6E, 0x74), *range(0x76, 0x7A), 0x7B, 0x82, 0x85, 0x86,
            *range(0x8E, 0x94), *range(0x95, 0x9A), *range(0x9B, 0xA0), 0xAE, 0xB1, *range(0xB5, 0xBB), *range(0xBC, 0xC0), 0xCE, 0xD1,
            *range(0xD5, 0xE0), 0xEA, 0xEB, 0xF6, 0xF7, 0x112]
V_UNARY = [0x4D, 0x60, 0x61, 0x62, *range(0x7C, 0x82), *range(0x87, 0x8B), 0xA0, 0xA1, *range(0xA7, 0xAB), 0xC0, 0xC1, *range(0xC7, 0xCB),
           0xE0, 0xE1, 0xEC, 0xED, *range(0xF8, 0x100)]
V_SHIFT = [0x6B, 0x6C, 0x6D, 0x8B, 0x8C, 0x8D, 0xAB, 0xAC, 0xAD, 0xCB, 0xCC, 0xCD]
V_FLOAT = {1: [0x5E, 0x5F, 0x67, 0x68, 0x69, 0x6A, 0x74, 0x75, 0x7A, 0x94, 0xE3, 0xEF],
           2: [*range(0xE4, 0xEA), *range(0xF0, 0xF6)]}
V_TO_INT = [0x53, 0x63, 0x64, 0x83, 0x84, 0xA3, 0xA4, 0xC3, 0xC4]
V_LANES = {I: [(0x15, 16), (0x16, 16), (0x18, 8), (0x19, 8), (0x1B, 4)], L: [(0x1D, 2)], F: [(0x1F, 4)], D: [(0x21, 2)]}
V_REPLACE = [(I, 0x17, 16), (I, 0x1A, 8), (I, 0x1C, 4), (L, 0x1E, 2), (F, 0x20, 4), (D, 0x22, 2)]
V_SPLAT = [(I, 0x0F), (I, 0x10), (I, 0x11), (L, 0x12), (F, 0x13), (D, 0x14)]
V_LOAD = [*range(0x00, 0x0B), 0x5C, 0x5D]
SHUFFLES = [[0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23], [24, 8, 25, 9, 26, 10, 27, 11, 28, 12, 29, 13, 30, 14, 31, 15],
            [8, 9, 24, 25, 10, 11, 26, 27, 12, 13, 28, 29, 14, 15, 30, 31], [16, 17, 18, 19, 0, 1, 2, 3, 20, 21, 22, 23, 4, 5, 6, 7],
            [8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31], [*range(5, 21)], [(i + 27) % 32 for i in range(16)],
            [(i + 3) % 16 for i in range(16)], [12, 13, 14, 15, 0, 1, 2, 3, 20, 21, 22, 23, 28, 29, 30, 31], [20, 21, 22, 23] * 2 + [0, 1, 2, 3] * 2,
            [0, 1, 18, 19, 4, 5, 22, 23, 24, 25, 10, 11, 12, 13, 30, 31], [4, 5, 6, 7] * 4, [28, 29, 30, 31, 16, 17, 18, 19] * 2, [*range(16)]]


def vop(code):
    return b"\xfd" + u(code)


class Function:
    """A body: locals of random types, expressions and statements, loops that end."""

    def __init__(self, r, index, types):
        self.r, self.index, self.types = r, index, types
        self.params, self.results = types[index]
        self.vectors = VECTORS_ON[0]
        self.locals = list(self.params) + [r.choice([I, I, I, L, L, F, D] + [V] * 5 * self.vectors) for _ in range(r.randrange(0, 30))]
        self.counters = [len(self.locals) + k for k in range(4)]
        self.locals += [I] * 4
        if self.vectors:
            self.locals.append(V)
            self.counters.append(len(self.locals) - 1)
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
        if t == V:
            w = r.choice([1, 2, 4, 8, 16])
            k = bytes(r.choice([0, 1, 2, 0x7F, 0x80, 0xFF, r.randrange(256)]) for _ in range(w)) * (16 // w)
            return vop(0x0C) + (k if r.random() < 0.8 else struct.pack("<4f", *[r.choice([0.0, -0.0, 1.5, -2.0, 3e9, -3e9, 5e9, r.uniform(-100, 100)]) for _ in range(4)]))
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
        if self.vectors and self.r.random() < 0.2:
            return self.expr(V, n - 1) + vop(self.r.choice([0x53, 0x63, 0x83, 0xA3, 0xC3])) + self.r.choice([b"", b"\x45"])
        t = self.r.choice([I, I, L, F, D])
        e = self.expr(t, n - 1) + self.expr(t, n - 1) + op(self.r.choice(COMPARE[t]))
        for _ in range(self.r.choice([0, 0, 0, 1, 2])):
            e += b"\x45"
        return e if self.r.random() < 0.7 else self.expr(I, n - 1)

    def number(self, e, f32):
        """The vector e with zeros for NaNs."""
        t = u(self.counters[-1])
        return e + b"\x22" + t + b"\x20" + t + b"\x20" + t + vop(0x41 if f32 else 0x47) + vop(0x4E)

    def vector(self, n):
        r = self.r
        k = r.randrange(20)
        if k < 7:
            return self.expr(V, n - 1) + self.expr(V, n - 1) + vop(r.choice(V_BINARY))
        if k < 9:
            return self.expr(V, n - 1) + vop(r.choice(V_UNARY))
        if k < 11:
            return self.expr(V, n - 1) + (self.const(I) if r.random() < 0.6 else self.expr(I, n - 1)) + vop(r.choice(V_SHIFT))
        if k == 11:
            return self.expr(V, n - 1) + self.expr(V, n - 1) + self.expr(V, n - 1) + vop(0x52)
        if k == 12:
            lanes = r.choice(SHUFFLES) if r.random() < 0.7 else [r.randrange(32) for _ in range(16)]
            return self.expr(V, n - 1) + self.expr(V, n - 1) + vop(0x0D) + bytes(lanes)
        if k in (13, 14):
            count = r.choice([1, 2, 2])
            code = r.choice(V_FLOAT[count])
            f32 = code in (0x5E, 0x67, 0x68, 0x69, 0x6A) or 0xE3 <= code < 0xEC
            return self.number(b"".join(self.expr(V, n - 1) for _ in range(count)) + vop(code), f32)
        if k == 15:
            src, code = r.choice(V_SPLAT)
            e = self.expr(src, n - 1) + vop(code)
        elif k == 16:
            src, code, lanes = r.choice(V_REPLACE)
            e = self.expr(V, n - 1) + self.expr(src, n - 1) + vop(code) + bytes([r.randrange(lanes)])
        elif k == 17:
            lane = r.randrange(4)
            return self.address(n) + self.expr(V, n - 1) + vop(0x54 + lane) + b"\x00" + u(r.choice([0, 8, 300])) + bytes([r.randrange(16 >> lane)])
        else:
            return self.address(n) + vop(r.choice(V_LOAD + [0, 0, 0, 0])) + b"\x00" + u(r.choice([0, 0, 16, 300]))
        return self.number(e, src == F) if src in (F, D) else e

    def expr(self, t, n):
        r = self.r
        if n <= 0 or r.random() < 0.12:
            l = self.local(t)
            return b"\x20" + u(l) if l is not None and r.random() < 0.75 else self.const(t)
        k = r.randrange(16)
        if t == V and k < 9:
            return self.vector(n)
        if t != V and self.vectors and r.random() < 0.15:
            if t == I and r.random() < 0.5:
                return self.expr(V, n - 1) + vop(r.choice(V_TO_INT))
            code, lanes = r.choice(V_LANES[t])
            return self.expr(V, n - 1) + vop(code) + bytes([r.randrange(lanes)])
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
        if k == 5 and self.vectors and r.random() < 0.5:
            lane = r.randrange(4)
            e = self.address(n) + self.expr(V, n)
            if r.random() < 0.7:
                return e + vop(0x0B) + b"\x00" + u(r.choice([0, 0, 16, 200]))
            return e + vop(0x58 + lane) + b"\x00" + u(r.choice([0, 8, 200])) + bytes([r.randrange(16 >> lane)])
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
            if r.random() < 0.4:  # a size known at run time only
                length = self.expr(I, n) + b"\x41" + s(r.choice([15, 31, 63, 127])) + b"\x71"
                if r.random() < 0.5:
                    return self.address(n) + self.address(n) + length + b"\xfc\x0a\x00\x00"
                return self.address(n) + self.expr(I, n) + length + b"\xfc\x0b\x00"
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


VECTORS_ON = [False]  # in the module that is being made


def module(r):
    count = r.randrange(2, 7)
    VECTORS_ON[0] = vectors = r.random() < 0.5
    types = []
    for _ in range(count):
        inner = vectors and len(types) < count - 1 and r.random() < 0.6  # called by others only: it may take and give vectors
        params = [r.choice([I, I, I, L, L, F, D] + [V] * 5 * inner) for _ in range(r.choice([0, 1, 2, 3, 4, 6, 12]))]
        results = [r.choice([I, L, I, L, D] + [V] * 5 * inner) for _ in range(r.choice([0, 1, 1, 1, 1, 2, 3]))]
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
        for i, (params, results) in enumerate(types):
            if V in params + results:
                continue
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
    p = subprocess.run(testrun + mode + ["--spec", "--memory-hash", path], input=lines.encode(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    out = p.stdout.decode().split("\n")
    return p.returncode, [normal(types, i, out[k] if k < len(out) else "") for k, (i, _) in enumerate(calls)], out[len(calls):], p.stderr.decode()


def lane_lists(r):
    """Shuffles of every form that machine instructions have, and some of none."""
    for log2 in range(4):
        for high in (0, 8):
            for swap in (0, 1):
                yield [((i >> log2 & 1) ^ swap) * 16 + high + (i >> log2 + 1 << log2) + (i & (1 << log2) - 1) for i in range(16)]
    for k in range(32):
        yield [(i + k) % 32 for i in range(16)]
        yield [(i + k) % 16 + k // 16 * 16 for i in range(16)]
    for _ in range(60):
        a, b = r.randrange(2), r.randrange(2)
        yield [4 * (r.randrange(4) + 4 * (a if i < 2 else b)) + k for i in range(4) for k in range(4)]
        yield [2 * (i + r.choice([0, 8])) + k for i in range(8) for k in range(2)]
        yield [r.randrange(32) for _ in range(16)]
        yield [r.randrange(16) for _ in range(16)]


def shuffles(testrun):
    """Results of shuffles against what they ought to be: modes share the choice of instructions."""
    lists = list(lane_lists(random.Random(5)))
    x, y = bytes(range(100, 116)), bytes(range(200, 216))
    codes = []
    for k, lanes in enumerate(lists):
        second = b"\x20\x00" if k % 5 == 4 else b"\x20\x01"
        shuffled = b"\x20\x00" + second + vop(0x0D) + bytes(lanes)
        extract = b"\x21\x02\x20\x02" + vop(0x1D) + b"\x00\x20\x02" + vop(0x1D) + b"\x01"
        body = b"\x01" + u(3) + b"\x7b" + vop(0x0C) + x + b"\x21\x00" + vop(0x0C) + y + b"\x21\x01" + shuffled + extract + b"\x0b"
        codes.append(u(len(body)) + body)
    m = b"\0asm\1\0\0\0" + section(1, vec([b"\x60\x00\x02\x7e\x7e"])) + section(3, vec([b"\0"] * len(lists)))
    m += section(7, vec([u(len(n)) + n + b"\0" + u(i) for i, n in ((i, b"f%d" % i) for i in range(len(lists)))])) + section(10, vec(codes))
    with tempfile.NamedTemporaryFile(suffix=".wasm") as f:
        f.write(m)
        f.flush()
        for mode in MODES:
            lines = "".join(("f%d" % i).encode().hex() + "\n" for i in range(len(lists)))
            out = subprocess.run(testrun + mode + ["--spec", f.name], input=lines.encode(), stdout=subprocess.PIPE, check=True).stdout.decode().split("\n")
            for k, lanes in enumerate(lists):
                both = x + (x if k % 5 == 4 else y)
                want = "ok %d %d" % struct.unpack("<QQ", bytes(both[i] for i in lanes))
                if out[k] != want:
                    sys.exit(f"shuffle {lanes}, mode {mode}: {out[k]}, not {want}")


def large(testrun):
    """A function over whose code conditional branches of aarch64 do not reach: it is made twice."""
    n, r = 110_000, random.Random(3)
    numbers = [r.randrange(-1 << 31, 1 << 31) for _ in range(n)]
    filler = b"".join(b"\x20\x01\x41" + s(k) + b"\x73\x21\x01" for k in numbers)
    out = b"\x02\x40"  # block: out if the argument is 0, 1, or has bit 2; else the filler, that many times
    out += b"\x20\x00\x45\x0d\x00" + b"\x20\x00\x41\x01\x46\x0d\x00" + b"\x20\x00\x41\x04\x71\x0d\x00"
    out += b"\x03\x40" + filler + b"\x44" + struct.pack("<d", 1.1) + b"\x20\x02\xa0\x21\x02"
    out += b"\x20\x00\x41\x01\x6b\x22\x00\x0d\x00\x0b\x0b"
    out += b"\x20\x01\x20\x02\xb6\xbc\x6a" + vop(0x0C) + struct.pack("<QQ", 5, 7) + vop(0x1B) + b"\x02\x6a\x0b"
    body = b"\x02\x01\x7f\x01\x7c" + out
    m = b"\0asm\1\0\0\0" + section(1, vec([b"\x60\x01\x7f\x01\x7f"])) + section(3, vec([b"\0"]))
    m += section(7, vec([b"\x02f0\0\0"])) + section(10, vec([u(len(body)) + body]))
    all_of_it = 0
    for k in numbers:
        all_of_it ^= k & 0xFFFFFFFF
    with tempfile.NamedTemporaryFile(suffix=".wasm") as f:
        f.write(m)
        f.flush()
        for mode in ([], ["--registers", "1"]):
            for x in (0, 1, 2, 3, 4, 5, 11):
                rounds = 0 if x in (0, 1) or x & 4 else x
                total = 0.0
                for _ in range(rounds):
                    total += 1.1
                bits, = struct.unpack("<I", struct.pack("<f", total))
                want = "ok %d" % ((all_of_it * (rounds & 1) + bits + 7) & 0xFFFFFFFF)
                got = subprocess.run(testrun + mode + ["--spec", f.name], input=f"6630 {x}\n".encode(), stdout=subprocess.PIPE, check=True).stdout.decode().split("\n")[0]
                if got != want:
                    sys.exit(f"large function of {x}, mode {mode}: {got}, not {want}")


def bulk_sizes(r):
    edges = [k + d for k in (16, 32, 64, 96, 128, 160, 4096) for d in (-1, 0, 1)]
    return [0, 1, 2, 3, 7, 8, 9] + edges + [r.randrange(65, 2000) for _ in range(30)] + [65535, 65536, 65537]


def bulk_calls(r):
    """Copies and fills of all lengths, overlapping by little and much, and what memory is to hold after each: (line, expected line)."""
    memory = bytearray(r.randrange(256) for _ in range(150_000)) + bytearray(4 * 65536 - 150_000)
    for n in bulk_sizes(r):
        for away in (0, 1, -1, 31, -31, r.randrange(-200, 200), -n // 2, n // 2, 70_000):
            src = r.randrange(300, 400)
            dst = src + away if src + away >= 0 else src
            memory[dst:dst + n] = memory[src:src + n]
            yield f"f0 {dst} {src} {n}", "ok"
            low, high = max(0, dst - 70), dst + n + 70
            if n > 4096:
                low = high - 700
            digest = 0
            for byte in memory[low:high]:
                digest = (digest * 31 + byte) & (1 << 64) - 1
            yield f"f2 {low} {high}", f"ok {digest}"
        at, byte = r.randrange(300, 400), r.randrange(1 << 32)
        memory[at:at + n] = bytes([byte & 255]) * n
        yield f"f1 {at} {byte} {n}", "ok"
    end = len(memory)
    for n in (1, 100, 60_000):  # nothing is written by those that trap
        yield f"f0 {end - n + 1} 0 {n}", "trap out of bounds memory access"
        yield f"f0 0 {end - n + 1} {n}", "trap out of bounds memory access"
        yield f"f1 {end - n + 1} 7 {n}", "trap out of bounds memory access"
        yield f"f2 {end - 300} {end}", "ok 0"


def bulk(testrun):
    """memory.copy and memory.fill against what memory ought to hold."""
    r = random.Random(7)
    codes = [b"\0\x20\0\x20\1\x20\2\xfc\x0a\0\0\x0b", b"\0\x20\0\x20\1\x20\2\xfc\x0b\0\x0b"]
    digest = b"\1\1\x7e\3\x40\x20\2\x42\x1f\x7e\x20\0\x31\0\0\x7c\x21\2\x20\0\x41\1\x6a\x22\0\x20\1\x49\x0d\0\x0b\x20\2\x0b"
    calls = list(bulk_calls(random.Random(7)))
    data = bytes(r.randrange(256) for _ in range(150_000))
    m = b"\0asm\1\0\0\0" + section(1, vec([b"\x60\3\x7f\x7f\x7f\0", b"\x60\2\x7f\x7f\1\x7e"])) + section(3, vec([b"\0", b"\0", b"\1"]))
    m += section(5, b"\1\0\4") + section(7, vec([b"\2f%d\0" % i + bytes([i]) for i in range(3)]))
    m += section(10, vec([u(len(c)) + c for c in codes + [digest]])) + section(11, b"\1\0\x41\0\x0b" + u(len(data)) + data)
    lines = "".join("%s %s\n" % (line.split(" ", 1)[0].encode().hex(), line.split(" ", 1)[1]) for line, _ in calls)
    with tempfile.NamedTemporaryFile(suffix=".wasm") as f:
        f.write(m)
        f.flush()
        for mode in MODES:
            out = subprocess.run(testrun + mode + ["--spec", f.name], input=lines.encode(), stdout=subprocess.PIPE, check=True).stdout.decode().split("\n")
            for (line, want), got in zip(calls, out):
                if got != want:
                    sys.exit(f"bulk {line}, mode {mode}: {got}, not {want}")


def main():
    args = sys.argv[1:]
    if not args:
        sys.exit(__doc__)
    testrun, args = shlex.split(os.environ.get("MESON_EXE_WRAPPER", "")) + args[:1], args[1:]
    seed, count, other = 1, 60, None
    while args:
        if args[0] == "--seed":
            seed = int(args[1])
        elif args[0] == "--count":
            count = int(args[1])
        elif args[0] == "--against":
            other = [args[1]]
        args = args[2:]
    shuffles(testrun)
    large(testrun)
    bulk(testrun)
    trapped = returned = 0
    for k in range(seed, seed + count):
        m, types, calls = module(random.Random(k))
        with tempfile.NamedTemporaryFile(suffix=".wasm", delete=False) as f:
            f.write(m)
        first = run(testrun, MODES[0], f.name, calls, types)
        for program, mode in [(testrun, m) for m in MODES] + ([(other, [])] if other else []):
            got = run(program, mode, f.name, calls, types)
            if got[0] or got[:3] != first[:3]:
                print(f"seed {k}, {program} {mode}: exit {got[0]}\n{first[1:3]}\n{got[1:3]}\n{got[3][-400:]}\nmodule: {f.name}")
                sys.exit(1)
        if other:  # and that program makes the very code for this machine
            makes = [subprocess.run(c + ["--dump", f.name], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout
                     for c in (testrun, other + ["--target", "aarch64"])]
            if makes[0] != makes[1]:
                sys.exit(f"seed {k}: {other} makes other code for aarch64 than {testrun}")
        trapped += sum(l.startswith("trap") for l in first[1])
        returned += sum(l.startswith("ok") for l in first[1])
        os.unlink(f.name)
    print(f"{count} modules from seed {seed}, {len(MODES)} modes: {returned} calls returned, {trapped} trapped, all alike")


main()
