"""A function under construction: what the families of instructions share (memory.py, vectors.py, numeric.py, control.py, statements.py,
references.py, exceptions.py). A value is *settled* when its bits follow from the specification: see gen.py."""
import struct

from control import Control
from encode import s, signed, type_code, u, vec
from exceptions import Exceptions
from memory import Memory
from numeric import Numeric
from operators import FLOATS, INTS, F32, F64, I32, I64, V128
from references import References
from statements import Statements
from vectors import Vectors

COST_MAX = 400_000  # instructions a function may run, its callees' included


class Func(Memory, Vectors, Numeric, Control, References, Exceptions, Statements):
    def __init__(self, module, params, results):
        self.m, self.rng, self.params, self.results = module, module.rng, list(params), list(results)
        self.locals = list(params)  # types
        self.settled = [False] * len(params)  # by local
        self.kept = set()  # locals that random code leaves alone: counters, scratch
        self.code, self.labels, self.cost, self.times = bytearray(), [], 0, 1
        self.loops = []  # around: [height in labels, parameters, counter, whether a continue goes there]
        self.scratch = {}

    # -- building blocks --

    def op(self, *parts):
        for p in parts:
            self.code += bytes([p]) if isinstance(p, int) else p
        self.cost += self.times

    def local(self, t, settled=False, kept=False):
        self.locals.append(t)
        self.settled.append(settled)
        if kept:
            self.kept.add(len(self.locals) - 1)
        return len(self.locals) - 1

    def pick(self, t):
        found = [i for i, x in enumerate(self.locals) if x == t and i not in self.kept]
        return self.rng.choice(found) if found else None

    def settle(self, t):
        if t not in (F32, F64):  # vectors always are, references need not be
            return
        if t not in self.scratch:
            self.scratch[t] = u(self.local(t, kept=True))
        x = self.scratch[t]
        self.op(0x22, x)
        self.op(*((0x43, b"\0\0\xc0\x7f") if t == F32 else (0x44, b"\0\0\0\0\0\0\xf8\x7f")))
        self.op(0x20, x), self.op(0x20, x), self.op(0x5b if t == F32 else 0x61), self.op(0x1b)

    def settled_expr(self, t, depth):
        if not self.expr(t, depth):
            self.settle(t)

    def const_i32(self, v):
        self.op(0x41, s(signed(v & 0xffffffff, 32)))

    def const(self, t):
        r = self.rng
        if t == V128:
            lane = r.choice([1, 2, 4, 8])
            self.op(0xfd, u(12), b"".join((r.choice(INTS) & (1 << 8 * lane) - 1).to_bytes(lane, "little") for _ in range(16 // lane)))
            self.quiet(65), self.quiet(71)
        elif t in (I32, I64):
            v = r.choice(INTS) if r.random() < 0.8 else r.getrandbits(64)
            bits = 32 if t == I32 else 64
            self.op(0x41 if t == I32 else 0x42, s(signed(v & (1 << bits) - 1, bits)))
        else:
            v = r.choice(FLOATS) if r.random() < 0.8 else r.uniform(-100, 100)
            if r.random() < 0.04:
                self.op(*((0x43, b"\0\0\xc0\x7f") if t == F32 else (0x44, b"\0\0\0\0\0\0\xf8\x7f")))
            elif t == F32:
                v = v if abs(v) < 3.4e38 or v in (float("inf"), float("-inf")) else 3.4e38
                self.op(0x43, struct.pack("<f", v))
            else:
                self.op(0x44, struct.pack("<d", v))
        return True
    # -- the whole --

    def finish(self, number):
        self.op(0x0b)
        self.number, self.type = number, self.m.type(self.params, self.results)
        runs = []
        for t in self.locals[len(self.params):]:
            if runs and runs[-1][1] == t:
                runs[-1][0] += 1
            else:
                runs.append([1, t])
        body = vec([u(n) + type_code(t) for n, t in runs]) + bytes(self.code)
        self.body = u(len(body)) + body
        self.m.done.append(self)
