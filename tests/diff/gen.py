"""Random modules aimed at what a one-pass compiler gets wrong: locals beyond the registers, deep operand stacks, joins with values,
fused compares and addresses, vectors, calls with many arguments, edge values of every operator. Always valid, always ends.

What must not differ between engines is kept from differing here: the bits of NaNs. An operand is *settled* when its bits follow
from the specification; unsettled ones are made so before their bits can be seen (stored, reinterpreted, copied as a sign).
"""
import struct

from operators import *  # noqa: F403

NUMBERS = (I32, I64, F32, F64)
CODE = {I32: 0x7f, I64: 0x7e, F32: 0x7d, F64: 0x7c, V128: 0x7b, "funcref": 0x70, "externref": 0x6f}
COST_MAX = 400_000  # instructions a function may run, its callees' included


def u(v):
    out = bytearray()
    while True:
        b = v & 0x7f
        v >>= 7
        if not v:
            out.append(b)
            return bytes(out)
        out.append(b | 0x80)


def s(v):
    out = bytearray()
    while True:
        b = v & 0x7f
        v >>= 7
        if (v == 0 and not b & 0x40) or (v == -1 and b & 0x40):
            out.append(b)
            return bytes(out)
        out.append(b | 0x80)


def vec(items):
    return u(len(items)) + b"".join(items)


def section(number, content):
    return bytes([number]) + u(len(content)) + content


def signed(v, bits):
    return v - (1 << bits) if v >> (bits - 1) & 1 else v


class Func:
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
        if t not in (F32, F64):  # vectors always are
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

    # -- memory --

    def memarg(self, memory, align, offset):
        align = self.rng.randint(0, align)
        return (u(align | 0x40) + u(memory) if memory else u(align)) + u(offset)

    def mask(self, v, is64):
        if is64:
            self.op(0x42, s(v)), self.op(0x83)
        else:
            self.const_i32(v), self.op(0x71)

    def address(self, memory, depth):
        """An address and a constant offset, mostly within the memory."""
        r, is64, pages = self.rng, self.m.memories[memory][0], self.m.memories[memory][1]
        t = I64 if is64 else I32
        end = pages << 16
        what = r.random()
        add, sub, shl = (0x7c, 0x7d, 0x86) if is64 else (0x6a, 0x6b, 0x74)
        if what < 0.04 and self.m.traps:  # anything
            self.expr(t, depth)
            return r.choice([0, 4, end - 4, (1 << 25) - 1, (1 << 25) - 16, 1 << 25, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, (1 << 32) - 8])
        if what < 0.2:  # constant
            v = r.choice([0, 1, 8, 1000, end - 64, end - 16, end - 8])
            if self.m.traps and r.random() < 0.1:
                v = r.choice([end - 1, end - 2, end - 4, end, end + 1, (1 << 31) - 1, (1 << 32) - 1, 1 << 31, 1 << 25])
            self.op(0x42, s(v)) if is64 else self.const_i32(v)
            return r.choice([0, 0, 1, 4]) if v < end else r.choice([0, 1, 1 << 25, (1 << 32) - 1])
        if what < 0.35 and len(self.locals) < 200:  # a sum whose parts are anything, but which wraps to something small
            x = self.pick(t)
            if x is not None:
                small = self.local(t, kept=True)
                self.expr(t, depth - 1), self.mask(0x7ff8, is64), self.op(0x21, u(small))
                if r.random() < 0.5:  # x + (small - x)
                    self.op(0x20, u(x)), self.op(0x20, u(small)), self.op(0x20, u(x)), self.op(sub), self.op(add)
                else:  # small + x - x
                    self.op(0x20, u(small)), self.op(0x20, u(x)), self.op(add), self.op(0x20, u(x)), self.op(sub)
                return r.choice([0, 0, 8, 100])
        if what < 0.45:  # base + index << shift
            self.expr(t, depth - 1), self.mask(0x3fff, is64)
            self.expr(t, depth - 1), self.mask(0x3ff, is64)
            self.op(0x42 if is64 else 0x41, s(r.randint(0, 4))), self.op(shl), self.op(add)
            return r.choice([0, 0, 0, 4, 16])
        self.expr(t, depth - 1), self.mask(r.choice([0x7fff, 0xff, 0x7ff8]), is64)
        return r.choice([0, 0, 1, 4, 8, 255, 256, 4096, 0x7000])

    def load(self, t, depth):
        memory = self.m.memory()
        if t == V128:
            code, align = self.rng.choice(VECTOR_LOADS)
            offset = self.address(memory, depth)
            self.op(0xfd, u(code), self.memarg(memory, align, offset))
            return True
        code, align = self.rng.choice(LOADS[t])
        offset = self.address(memory, depth)
        self.op(code, self.memarg(memory, align, offset))
        return True

    def store(self, depth):
        t = self.rng.choice(self.m.numbers)
        memory = self.m.memory()
        if t == V128:
            lane = self.rng.choice([None, 0, 1, 2, 3])
            offset = self.address(memory, depth)
            self.expr(V128, depth - 1)
            if lane is None:
                self.op(0xfd, u(11), self.memarg(memory, 4, offset))
            else:
                self.op(0xfd, u(88 + lane), self.memarg(memory, lane, offset), self.rng.randrange(16 >> lane))
            return
        code, align = self.rng.choice(STORES[t])
        offset = self.address(memory, depth)
        self.settled_expr(t, depth - 1)
        self.op(code, self.memarg(memory, align, offset))

    def bulk(self):
        r, memory = self.rng, self.m.memory()
        is64 = self.m.memories[memory][0]
        t, const, add = (I64, 0x42, 0x7c) if is64 else (I32, 0x41, 0x6a)
        n = r.choice([0, 1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 24, 31, 32, 33, 48, 63, 64, 65, 100, 128, 129, 300])

        def size():
            if r.random() < 0.7:
                self.op(const, s(n))
            else:
                self.expr(t, 1), self.mask(127, is64)
        end = self.m.memories[memory][1] << 16

        def place():
            """Somewhere, or at the end: where it just fits, or traps and leaves no byte changed."""
            if r.random() < 0.7:
                self.expr(t, 2), self.mask(0x7fff, is64)
            else:
                self.op(const, s(end - (r.choice([0, 1, 2, 7, n, n, n + 1, 31, 64, 127]) if self.m.traps else 300)))
        what = r.random()
        if what < 0.4:
            place(), self.expr(I32, 2), size(), self.op(0xfc, u(11), u(memory))
        elif what < 0.55:
            place(), place(), size(), self.op(0xfc, u(10), u(memory), u(memory))
        elif what < 0.85:
            x = self.local(t, kept=True) if len(self.locals) < 150 else None
            if x is not None:  # overlapping
                self.expr(t, 2), self.mask(0x7fff, is64), self.op(0x22, u(x))
                self.op(const, s(r.choice([0, 0, 1, 2, 3, 5, 8, 15, 16, 33]))), self.op(add)
                self.op(0x20, u(x)), self.op(const, s(r.choice([0, 1, 2, 4, 7, 8, 16, 31]))), self.op(add), size(), self.op(0xfc, u(10), u(memory), u(memory))
            else:
                self.expr(t, 1), self.mask(0xff, is64), self.expr(t, 1), self.mask(0xff, is64), size(), self.op(0xfc, u(10), u(memory), u(memory))
        elif what < 0.95:
            self.expr(t, 1), self.mask(0x7fff, is64), self.const_i32(r.choice([0, 1, 5])), self.const_i32(r.choice([0, 1, 3, 8])), self.op(0xfc, u(8), u(0), u(memory))
        else:
            self.expr(t, 1), self.mask(1, is64), self.op(0x40, u(memory)), self.op(0x1a)

    # -- expressions: one value of type t; True if settled --

    def expr(self, t, depth):
        if depth <= 0 or self.cost > COST_MAX or len(self.code) > self.m.bytes_max:
            return self.leaf(t)
        r = self.rng
        if t == V128 and r.random() < 0.75:
            return self.vector(depth)
        if self.m.simd and t != V128 and r.random() < 0.12:
            code, lanes = r.choice(VECTOR_EXTRACT[t])
            self.expr(V128, depth - 1)
            self.op(0xfd, u(code), *([r.randrange(lanes)] if lanes else []))
            return True
        if t == V128:
            return getattr(self, "e_" + r.choice(["leaf", "tee", "select", "if", "block", "call", "load", "load"]))(t, depth)
        kinds = self.m.weights_int if t in (I32, I64) else self.m.weights_float
        return getattr(self, "e_" + r.choices(kinds[0], kinds[1])[0])(t, depth)

    def quiet(self, equal):
        """Makes the NaNs of a vector's lanes one value; `equal`: the comparison of those lanes."""
        if V128 not in self.scratch:
            self.scratch[V128] = u(self.local(V128, kept=True))
        x = self.scratch[V128]
        self.op(0x22, x)
        self.op(0xfd, u(12), b"\0\0\xc0\x7f" * 4 if equal == 65 else b"\0\0\0\0\0\0\xf8\x7f" * 2)
        self.op(0x20, x), self.op(0x20, x), self.op(0xfd, u(equal)), self.op(0xfd, u(82))

    def vector(self, depth):
        r = self.rng
        what = r.random()
        if what < 0.35:
            self.expr(V128, depth - 1), self.expr(V128, depth - 1)
            self.op(0xfd, u(r.choice(VECTOR_BINARY)))
        elif what < 0.5:
            self.expr(V128, depth - 1)
            self.op(0xfd, u(r.choice(VECTOR_UNARY)))
        elif what < 0.6:
            self.expr(V128, depth - 1), self.expr(I32, depth - 1)
            self.op(0xfd, u(r.choice(VECTOR_SHIFT)))
        elif what < 0.72:
            table, equal = r.choice([(VECTOR_F32, 65), (VECTOR_F64, 71)])
            operands = r.choice([1, 2, 2])
            for _ in range(operands):
                self.expr(V128, depth - 1)
            code = r.choice(table[operands])
            self.op(0xfd, u(code))
            self.quiet(65 if code == 94 else 71 if code == 95 else equal)
        elif what < 0.78:
            self.expr(V128, depth - 1), self.expr(V128, depth - 1), self.expr(V128, depth - 1)
            self.op(0xfd, u(82))
        elif what < 0.84:
            self.expr(V128, depth - 1), self.expr(V128, depth - 1)
            patterns = [[r.randrange(32) for _ in range(16)], [(r.randrange(8) * 4 + i % 4) if not i % 4 else 0 for i in range(16)],
                        [(i + 5) % 32 for i in range(16)], [i // 2 + 16 * (i % 2) for i in range(16)]]
            self.op(0xfd, u(13), bytes(r.choice(patterns)))
        elif what < 0.92:
            code = r.choice(list(VECTOR_SPLAT))
            self.settled_expr(VECTOR_SPLAT[code], depth - 1)
            self.op(0xfd, u(code))
        elif what < 0.98:
            code = r.choice(list(VECTOR_REPLACE))
            t, lanes = VECTOR_REPLACE[code]
            self.expr(V128, depth - 1)
            self.settled_expr(t, depth - 1)
            self.op(0xfd, u(code), r.randrange(lanes))
        else:
            lane, memory = r.randint(0, 3), self.m.memory()
            offset = self.address(memory, depth)
            self.expr(V128, depth - 1)
            self.op(0xfd, u(84 + lane), self.memarg(memory, lane, offset), r.randrange(16 >> lane))
        return True

    def leaf(self, t):
        r = self.rng
        x = self.pick(t)
        if x is not None and r.random() < 0.65:
            self.op(0x20, u(x))
            return self.settled[x] or t in (I32, I64, V128)
        g = [i for i, (gt, _) in enumerate(self.m.globals) if gt == t]
        if g and r.random() < 0.15:
            self.op(0x23, u(r.choice(g)))
            return True
        return self.const(t)

    def e_leaf(self, t, depth):
        return self.leaf(t)

    def e_tee(self, t, depth):
        x = self.pick(t)
        if x is None:
            return self.leaf(t)
        settled = self.expr(t, depth - 1)
        if self.settled[x] and not settled:
            self.settle(t)
            settled = True
        self.op(0x22, u(x))
        return settled

    def e_unary(self, t, depth):
        settled = self.expr(t, depth - 1)
        code = self.rng.choice(UNARY[t])
        self.op(code)
        return t in (I32, I64) or (settled and code in (0x8b, 0x8c, 0x99, 0x9a))

    def e_binary(self, t, depth):
        self.expr(t, depth - 1)
        if self.rng.random() < 0.25:
            self.const(t)
        else:
            self.expr(t, depth - 1)
        self.op(self.rng.choice(BINARY[t]))
        return t in (I32, I64, V128)

    def e_divide(self, t, depth):
        self.expr(t, depth - 1)
        if self.rng.random() < 0.4:
            v = self.rng.choice([x for x in INTS if x & (0xffffffff if t == I32 else (1 << 64) - 1)])
            bits = 32 if t == I32 else 64
            self.op(0x41 if t == I32 else 0x42, s(signed(v & (1 << bits) - 1, bits)))
        else:
            self.expr(t, depth - 1)
            if not self.m.traps or self.rng.random() < 0.8:
                self.op(0x41 if t == I32 else 0x42, s(1)), self.op(0x72 if t == I32 else 0x84)
        # min / -1 may be left: then it traps
        self.op(self.rng.choice(DIVIDE[t]))
        return True

    def e_compare(self, t, depth):
        code, operands = self.rng.choice(COMPARES)
        for x in operands:
            self.expr(x, depth - 1)
        self.op(code)
        if t == I64:
            self.op(0xad)
        return True

    def e_convert(self, t, depth):
        code, source = self.rng.choice(CONVERT[t])
        self.expr(source, depth - 1)
        self.op(code)
        return source in (I32, I64)

    def e_trunc(self, t, depth):
        if self.m.traps and self.rng.random() < 0.2:
            code, source = self.rng.choice(TRUNC[t])
            self.expr(source, depth - 1)
            self.op(code)
        else:
            code, source = self.rng.choice(TRUNC_SAT[t])
            self.expr(source, depth - 1)
            self.op(0xfc, u(code))
        return True

    def e_reinterpret(self, t, depth):
        code, source = REINTERPRET[t]
        self.settled_expr(source, depth - 1)
        self.op(code)
        return True

    def e_copysign(self, t, depth):
        settled = self.expr(t, depth - 1)
        self.settled_expr(t, depth - 1)
        self.op(COPYSIGN[t])
        return settled

    def e_load(self, t, depth):
        return self.load(t, depth)

    def e_select(self, t, depth):
        a, b = self.expr(t, depth - 1), self.expr(t, depth - 1)
        self.condition(depth - 1)
        self.op(0x1b) if self.rng.random() < 0.7 else self.op(0x1c, u(1), CODE[t])
        return a and b

    def condition(self, depth):
        self.e_compare(I32, depth) if self.rng.random() < 0.6 else self.expr(I32, depth)

    def e_if(self, t, depth):
        self.condition(depth - 1)
        self.op(0x04, CODE[t])
        self.labels.append([t])
        self.few(depth - 1), self.expr(t, depth - 1)
        self.op(0x05)
        self.few(depth - 1), self.expr(t, depth - 1)
        self.labels.pop()
        self.op(0x0b)
        return t in (I32, I64, V128)

    def e_block(self, t, depth):
        """A block with parameters and several results, of which all but t are used up behind it."""
        r = self.rng
        params = [r.choice(self.m.numbers) for _ in range(r.choice([0, 0, 1, 2, 3, 6]))]
        before, after = ([r.choice(self.m.numbers) for _ in range(r.choice([0, 0, 0, 1, 2, 4]))] for _ in range(2))
        results = before + [t] + after
        for p in params:
            self.expr(p, depth - 2)
        self.op(0x02, s(self.m.type(params, results)))
        self.labels.append(results)
        self.consume(params)
        self.few(depth - 1)
        for i, x in enumerate(results):
            self.expr(x, depth - 2)
            if i == len(results) - 1 and r.random() < 0.5:
                self.condition(depth - 2)
                self.op(0x0d, u(0))
        if r.random() < 0.1:
            self.op(0x0c, u(0))
            self.junk(results)
        self.labels.pop()
        self.op(0x0b)
        self.consume(after)
        if before:
            keep = self.local(t, kept=True)
            self.op(0x21, u(keep))
            self.consume(before)
            self.op(0x20, u(keep))
        return t in (I32, I64, V128)

    def junk(self, results):
        """Unreachable code that leaves the given types."""
        if self.rng.random() < 0.5:
            for x in results:
                self.expr(x, 1)

    def consume(self, types):
        """Takes values off the stack, the last one first."""
        for t in reversed(types):
            x = self.pick(t)
            if x is None or self.rng.random() < 0.3:
                self.op(0x1a)
            else:
                if self.settled[x]:
                    self.settle(t)
                self.op(0x21, u(x))

    def e_call(self, t, depth):
        callees = [f for f in self.m.done if t in f.results and self.cost + self.times * f.cost < COST_MAX]
        if not callees:
            return self.leaf(t)
        f = self.rng.choice(callees)
        self.call(f, depth)
        at = f.results.index(t)
        self.consume(f.results[at + 1:])
        if at:
            keep = self.local(t, kept=True)
            self.op(0x21, u(keep))
            self.consume(f.results[:at])
            self.op(0x20, u(keep))
        return t in (I32, I64, V128)

    def call(self, f, depth):
        r = self.rng
        for p in f.params:
            self.expr(p, min(depth - 1, 2))
        self.cost += self.times * f.cost
        what = r.random()
        if what < 0.2 and self.m.slots.get(f.number):
            slot = r.choice(self.m.slots[f.number])
            if self.m.traps and r.random() < 0.02:
                slot = r.choice([0, 1, self.m.table_size - 1, self.m.table_size, (1 << 32) - 1])
            self.const_i32(slot)
            if r.random() < 0.5:  # not seen as a constant
                self.op(0x23, u(self.m.zero)), self.op(0x6a)
            self.op(0x11, u(f.type), u(0))
        elif what < 0.3:
            self.op(0xd2, u(f.number)), self.op(0x14, u(f.type))
        else:
            self.op(0x10, u(f.number))

    def e_size(self, t, depth):
        what = self.rng.random()
        memory = self.m.memory()
        if what < 0.5 and (self.m.memories[memory][0]) == (t == I64):
            self.op(0x3f, u(memory))
        elif what < 0.8 and t == I32:
            self.op(0xfc, u(16), u(self.rng.choice([0, 1])))
        else:
            return self.leaf(t)
        return True

    def e_ref(self, t, depth):
        if t != I32:
            return self.leaf(t)
        r = self.rng
        self.expr(I32, depth - 1), self.const_i32(7), self.op(0x71)
        self.op(0x25, u(r.choice([0, 1])))
        if r.random() < 0.3:
            self.expr(I32, 1), self.const_i32(7), self.op(0x71)
            self.op(0x25, u(r.choice([0, 1])))
            self.condition(1)
            self.op(0x1c, u(1), CODE["funcref"])
        self.op(0xd1)
        return True

    # -- statements --

    def few(self, depth):
        for _ in range(self.rng.choice([0, 0, 1, 1, 2])):
            self.statement(depth)

    def statement(self, depth):
        if depth <= 0 or self.cost > COST_MAX or len(self.code) > self.m.bytes_max:
            return self.s_set(1)
        kinds = self.m.weights_statement
        getattr(self, "s_" + self.rng.choices(kinds[0], kinds[1])[0])(depth)

    def s_set(self, depth):
        t = self.rng.choice(self.m.numbers)
        x = self.pick(t)
        if x is None:
            return
        settled = self.expr(t, depth)
        if self.settled[x] and not settled:
            self.settle(t)
        self.op(0x21, u(x))

    def s_update(self, depth):
        """x = x op y, as compilers write it."""
        t = self.rng.choice(self.m.numbers)
        x = self.pick(t)
        if x is None:
            return
        first = self.rng.random() < 0.6
        if first:
            self.op(0x20, u(x))
        self.expr(t, depth - 2)
        if not first:
            self.op(0x20, u(x))
        if t == V128:
            self.op(0xfd, u(self.rng.choice(VECTOR_BINARY)))
        else:
            self.op(self.rng.choice(BINARY[t]))
        if self.settled[x]:
            self.settle(t)
        self.op(0x22 if self.rng.random() < 0.3 else 0x21, u(x))
        if self.code[-1 - len(u(x))] == 0x22:
            self.op(0x1a)

    def s_move(self, depth):
        """Gets of several locals, then sets in another order: moves that must not trample each other."""
        t = self.rng.choice(self.m.numbers)
        xs = [self.pick(t) for _ in range(self.rng.randint(2, 6))]
        if xs[0] is None:
            return
        for x in xs:
            self.op(0x20, u(x))
        self.rng.shuffle(xs)
        for x in xs:
            if self.settled[x]:
                self.settle(t)
            self.op(0x21, u(x))

    def s_global(self, depth):
        g = [i for i, (_, mutable) in enumerate(self.m.globals) if mutable]
        i = self.rng.choice(g)
        self.settled_expr(self.m.globals[i][0], depth - 1)
        self.op(0x24, u(i))

    def s_store(self, depth):
        self.store(depth)

    def s_bulk(self, depth):
        self.bulk()

    def s_drop(self, depth):
        self.expr(self.rng.choice(self.m.numbers), depth - 1)
        self.op(0x1a)

    def s_if(self, depth):
        self.condition(depth - 1)
        self.op(0x04, 0x40)
        self.labels.append([])
        self.few(depth - 1)
        if self.rng.random() < 0.3:
            self.branch(depth - 1)
        elif self.rng.random() < 0.5:
            self.op(0x05)
            self.few(depth - 1)
        self.labels.pop()
        self.op(0x0b)

    def s_if_values(self, depth):
        """An if with parameters and results, with or without an else."""
        r = self.rng
        params = [r.choice(self.m.numbers) for _ in range(r.randint(1, 5))]
        has_else = r.random() < 0.6
        results = [r.choice(self.m.numbers) for _ in range(r.randint(0, 5))] if has_else else params
        for p in params:
            self.expr(p, depth - 2)
        self.condition(depth - 1)
        self.op(0x04, s(self.m.type(params, results)))
        self.labels.append(results)
        for arm in range(1 + has_else):
            if arm:
                self.op(0x05)
            if has_else or r.random() < 0.5:
                self.consume(params)
                self.few(depth - 1)
                for x in results:
                    self.expr(x, depth - 2)
        self.labels.pop()
        self.op(0x0b)
        self.consume(results)

    def branch(self, depth):
        """An unconditional br, br_table or return to a random label; code behind it cannot be reached."""
        r = self.rng
        if r.random() < 0.2:
            for x in self.results:
                self.expr(x, depth - 1)
            self.op(0x0f)
            return
        targets = [i for i, l in enumerate(reversed(self.labels)) if l is not None]
        if not targets:
            return
        at = r.choice(targets)
        types = self.labels[-1 - at]
        for x in types:
            self.expr(x, depth - 1)
        same = [i for i in targets if self.labels[-1 - i] == types]
        if r.random() < 0.5:
            self.expr(I32, depth - 1)
            if r.random() < 0.8:
                self.const_i32(7), self.op(0x71)
            self.op(0x0e, vec([u(r.choice(same)) for _ in range(r.choice([0, 1, 2, 5, 9]))]), u(r.choice(same)))
        else:
            self.op(0x0c, u(at))

    def s_br_if(self, depth):
        """br_if with values, which stay when it is not taken."""
        targets = [i for i, l in enumerate(reversed(self.labels)) if l is not None]
        if not targets:
            return
        at = self.rng.choice(targets)
        types = self.labels[-1 - at]
        for x in types:
            self.expr(x, depth - 2)
        self.condition(depth - 1)
        self.op(0x0d, u(at))
        self.consume(types)

    def s_switch(self, depth):
        """Nested blocks, one br_table into them."""
        n = self.rng.randint(1, 12)
        types = [self.rng.choice(self.m.numbers) for _ in range(self.rng.choice([0, 0, 1, 2, 3]))]
        for _ in range(n):
            self.op(0x02, s(self.m.type([], types)))
            self.labels.append(types)
        for x in types:
            self.expr(x, 1)
        self.expr(I32, depth - 1)
        if self.rng.random() < 0.8:
            self.const_i32(15), self.op(0x71)
        self.op(0x0e, vec([u(self.rng.randrange(n)) for _ in range(self.rng.randint(1, 16))]), u(self.rng.randrange(n)))
        for i in range(n):
            self.labels.pop()
            self.op(0x0b)
            self.consume(types)
            if i < n - 1:
                self.few(min(depth - 1, 2))
                for x in types:
                    self.expr(x, 1)

    def s_loop(self, depth):
        r = self.rng
        times = r.choice([1, 2, 3, 7, 20])
        if depth <= 2 and r.random() < 0.15:
            times = r.choice([200, 2000])
        if self.times * times > 20000:
            return self.s_set(depth)
        counter = self.local(I32, kept=True)
        params = [r.choice(self.m.numbers) for _ in range(r.choice([0, 0, 0, 1, 2, 4]))]
        results = [r.choice(self.m.numbers) for _ in range(r.choice([0, 0, 1, 3]))]
        self.const_i32(times), self.op(0x21, u(counter))
        for p in params:
            self.expr(p, depth - 2)
        loop = [len(self.labels), params, counter, False]
        if r.random() < 0.25 and not params and not results:
            return self.while_loop(depth, times, loop)
        self.op(0x03, s(self.m.type(params, results)))
        self.labels.append(None)  # only counted branches go back
        self.loops.append(loop)
        before, self.times = self.times, self.times * times
        self.consume(params)
        self.few(depth - 1)
        self.statement(depth - 1)
        for p in params:
            self.expr(p, depth - 2)
        self.op(0x20, u(counter)), self.const_i32(0xffffffff), self.op(0x6a), self.op(0x22, u(counter))
        self.loops.pop()
        what = 0.5 if loop[3] else r.random()  # a continue may have left it below 0
        if what < 0.4:
            self.op(0x0d, u(0))
        elif what < 0.7:
            self.const_i32(0), self.op(0x4a if loop[3] else r.choice([0x47, 0x4b, 0x4a])), self.op(0x0d, u(0))
        else:
            self.op(0x45), self.op(0x45), self.op(0x0d, u(0))
        self.times = before
        self.consume(params)
        for x in results:
            self.expr(x, depth - 2)
        self.labels.pop()
        self.op(0x0b)
        self.consume(results)

    def while_loop(self, depth, times, loop):
        """block loop (counter <= 0: out) … br 0"""
        counter = u(loop[2])
        loop[0] += 1
        self.op(0x02, 0x40), self.op(0x03, 0x40)
        self.labels += [[], None]
        self.loops.append(loop)
        before, self.times = self.times, self.times * times
        self.op(0x20, counter), self.const_i32(0), self.op(0x4c), self.op(0x0d, u(1))
        self.statement(depth - 1)
        self.few(depth - 1)
        self.op(0x20, counter), self.const_i32(1), self.op(0x6b), self.op(0x21, counter)
        self.op(0x0c, u(0))
        self.times = before
        self.loops.pop()
        del self.labels[-2:]
        self.op(0x0b), self.op(0x0b)

    def s_continue(self, depth):
        """To the start of a loop around, maybe over others; counted like its end."""
        if not self.loops:
            return
        loop = self.rng.choice(self.loops)
        height, params, counter, _ = loop
        loop[3] = True
        for p in params:
            self.expr(p, depth - 2)
        self.condition(depth - 1)
        self.op(0x04, s(self.m.type(params, params)))
        self.labels.append(None)
        self.op(0x20, u(counter)), self.const_i32(0xffffffff), self.op(0x6a), self.op(0x22, u(counter))
        self.const_i32(0), self.op(0x4a), self.op(0x0d, u(len(self.labels) - 1 - height))
        self.labels.pop()
        self.op(0x0b)
        self.consume(params)

    def s_call(self, depth):
        callees = [f for f in self.m.done if self.cost + self.times * f.cost < COST_MAX]
        if callees:
            f = self.rng.choice(callees)
            self.call(f, depth)
            self.consume(f.results)

    def s_table(self, depth):
        r = self.rng
        what = r.random()
        if what < 0.3 and self.m.done:
            self.expr(I32, 1), self.const_i32(7), self.op(0x71)
            self.op(0xd2, u(r.choice(self.m.done).number)) if r.random() < 0.7 else self.op(0xd0, 0x70)
            self.op(0x26, u(1))
        elif what < 0.5:
            self.const_i32(r.randint(0, 4)), self.const_i32(r.randint(0, 4)), self.const_i32(r.randint(0, 4))
            self.op(0xfc, u(14), u(1), u(r.choice([0, 1])))
        elif what < 0.7:
            self.const_i32(r.randint(0, 4)), self.op(0xd0, 0x70), self.const_i32(r.randint(0, 4)), self.op(0xfc, u(17), u(1))
        elif what < 0.8:
            self.op(0xd0, 0x70), self.const_i32(r.choice([0, 1, 2, 1 << 20])), self.op(0xfc, u(15), u(1)), self.op(0x1a)
        else:
            self.const_i32(r.randint(0, 4)), self.const_i32(0), self.const_i32(r.randint(0, 1)), self.op(0xfc, u(12), u(0), u(1))

    def s_stop(self, depth):
        if self.m.traps:
            self.expr(I32, 2), self.const_i32(self.rng.getrandbits(32)), self.op(0x46)
            self.op(0x04, 0x40), self.op(0x00), self.op(0x0b)

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
        body = vec([u(n) + bytes([CODE[t]]) for n, t in runs]) + bytes(self.code)
        self.body = u(len(body)) + body
        self.m.done.append(self)


class Module:
    def __init__(self, rng):
        self.rng, self.types, self.done, self.slots, self.imports = rng, [], [], {}, 0
        self.outer = None
        self.traps = rng.random() < 0.6
        self.simd = rng.random() < 0.4
        self.numbers = NUMBERS + (V128,) * self.simd
        self.bytes_max = rng.choice([300, 2000, 8000])
        # (64-bit?, pages, maximum)
        self.memories = [(rng.random() < 0.12, rng.choice([1, 1, 2]), 3)]
        if rng.random() < 0.2:
            self.memories += [(rng.random() < 0.3, 1, 2) for _ in range(rng.randint(1, 2))]
        self.globals = [(t, True) for t in self.numbers] + [(rng.choice(self.numbers), rng.random() < 0.7) for _ in range(rng.randint(0, 6))]
        self.zero = len(self.globals)  # always 0
        self.globals_all = self.globals + [(I32, True)]
        self.table_size = 32
        w = lambda **kinds: (list(kinds), [max(0.05, v * rng.choice([0.2, 1, 1, 3])) for v in kinds.values()])
        self.weights_int = w(leaf=2, tee=2, unary=1.5, binary=6, divide=1, compare=2, convert=1.5, trunc=0.7, reinterpret=0.5, load=2, select=1.2,
                             block=0.5, call=0.6, size=0.2, ref=0.2, **{"if": 0.7})
        self.weights_float = w(leaf=2, tee=2, unary=2, binary=5, convert=1.5, reinterpret=0.7, copysign=0.5, load=1.5, select=1.2, block=0.5, call=0.6,
                               **{"if": 0.7})
        self.weights_statement = w(set=4, update=3, move=0.7, store=3, bulk=0.5, drop=0.5, if_values=0.6, br_if=1, switch=0.5, loop=1.5, call=1,
                                   table=0.3, stop=0.1, **{"global": 1, "if": 1.5, "continue": 0.7})

    def host(self):
        """Functions of the host's: results are a hash of the arguments (reference.py, orlo-diff.c)."""
        for number in range(self.rng.choice([0, 0, 1, 2, 4])):
            f = Func(self, *([self.rng.choice(NUMBERS) for _ in range(self.rng.choice(n))] for n in ([0, 1, 2, 3, 6, 12], [0, 1, 1, 2, 5])))
            f.number, f.source, f.type, f.cost = number, number, self.type(f.params, f.results), 200
            self.done.append(f)
            self.imports += 1

    def share(self, outer):
        """All memories, tables and globals are another module's, and some functions."""
        self.outer, self.memories, self.globals, self.globals_all, self.zero = outer, outer.memories, outer.globals, outer.globals_all, outer.zero
        self.simd, self.numbers = outer.simd, outer.numbers
        for number, source in enumerate(outer.done[:12]):
            f = Func(self, source.params, source.results)
            f.number, f.source, f.type, f.cost = number, source.number, self.type(f.params, f.results), source.cost
            self.done.append(f)
        self.imports = len(self.done)

    def fill(self):
        if self.rng.random() < 0.5:
            self.micro()
        if len(self.done) == self.imports or self.rng.random() < 0.4:
            self.large()

    def memory(self):
        return self.rng.randrange(len(self.memories))

    def type(self, params, results):
        key = (tuple(params), tuple(results))
        if key not in self.types:
            self.types.append(key)
        return self.types.index(key)

    def signature(self):
        r = self.rng
        params = [r.choice(self.numbers) for _ in range(r.choice([0, 1, 2, 3, 4, 6, 10, 20]))]
        results = [r.choice(self.numbers) for _ in range(r.choice([0, 1, 1, 1, 2, 3, 8, 16]))]
        return params, results

    def micro(self):
        """A few operators on the parameters themselves, each a function of its own."""
        r = self.rng
        for _ in range(r.randint(10, 50)):
            params = [r.choice(self.numbers) for _ in range(r.choice([1, 2, 2, 3, 4]))]
            f = Func(self, params, [r.choice(self.numbers) for _ in range(r.choice([1, 1, 2, 3]))])
            if r.random() < 0.3:
                self.locals(f, 3)
            for t in f.results:
                if r.random() < 0.15:
                    f.statement(2)
                f.expr(t, r.randint(1, 3))
            self.add(f)

    def locals(self, f, most):
        for t in self.numbers:
            for _ in range(self.rng.randint(0, most)):
                f.local(t, settled=self.rng.random() < 0.5)

    def large(self):
        r = self.rng
        for _ in range(r.randint(2, 8)):
            f = Func(self, *self.signature())
            if len(self.done) > self.imports and r.random() < 0.3:
                like = self.done[self.imports]
                f.params, f.results = like.params, like.results  # so that tables hold several of a type
                f.locals, f.settled = list(f.params), [False] * len(f.params)
            self.locals(f, r.choice([1, 3, 8, 20]))
            f.labels.append(f.results)
            depth = r.randint(2, 6)
            for _ in range(r.choice([1, 3, 8, 20])):
                f.statement(depth)
            for t in f.results:
                f.expr(t, depth - 1)
            self.add(f)

    def add(self, f):
        f.finish(len(self.done))
        if self.rng.random() < 0.5 and len(self.slots) < 12:
            taken = {x for v in self.slots.values() for x in v}
            free = [i for i in range(self.table_size) if i not in taken]
            self.slots.setdefault(f.number, []).append(self.rng.choice(free))

    def emit(self):
        r = self.rng
        elems = []
        for number, slots in self.slots.items():
            for slot in slots:
                elems.append(u(0) + b"\x41" + s(slot) + b"\x0b" + vec([u(number)]))
        passive = [u(1) + b"\0" + vec([u(r.choice(self.done).number)])]
        elems = passive + elems
        limits = lambda is64, low, high: bytes([1 | (4 if is64 else 0)]) + u(low) + u(high)
        zero = {I32: b"\x41\0", I64: b"\x42\0", F32: b"\x43" + bytes(4), F64: b"\x44" + bytes(8), V128: b"\xfd\x0c" + bytes(16)}
        data = [u(1) + vec([bytes([b]) for b in r.randbytes(64)])]
        for i, (is64, pages, _) in enumerate(self.memories):
            where = (b"\x42" if is64 else b"\x41") + s(r.choice([0, 64, 0x4000, (pages << 16) - 600])) + b"\x0b"
            data.append((u(0) if not i else u(2) + u(i)) + where + vec([bytes([b]) for b in r.randbytes(r.choice([16, 600]))]))
        exports = [(f"f{f.number}", 0, f.number) for f in self.done] + [(f"m{i}", 2, i) for i in range(len(self.memories))]
        exports += [(f"g{i}", 3, i) for i in range(len(self.globals_all))] + [("t0", 1, 0), ("t1", 1, 1)]
        out = b"\0asm\1\0\0\0"
        out += section(1, vec([b"\x60" + vec([bytes([CODE[t]]) for t in p]) + vec([bytes([CODE[t]]) for t in q]) for p, q in self.types]))
        tables = [b"\x70" + limits(False, self.table_size, self.table_size), b"\x70" + limits(False, 8, 10)]
        memories = [limits(*m) for m in self.memories]
        globals_ = [bytes([CODE[t], mutable]) for t, mutable in self.globals_all]
        imports = [(f"f{f.source}", b"\0" + u(f.type)) for f in self.done[:self.imports]]
        if self.outer:
            imports += [(f"{letter}{i}", bytes([kind]) + d) for letter, kind, all_ in (("t", 1, tables), ("m", 2, memories), ("g", 3, globals_))
                        for i, d in enumerate(all_)]
        out += section(2, vec([b"\1h" + u(len(n)) + n.encode() + d for n, d in imports]))
        out += section(3, vec([u(f.type) for f in self.done[self.imports:]]))
        if not self.outer:
            out += section(4, vec(tables)) + section(5, vec(memories))
            out += section(6, vec([d + zero[t] + b"\x0b" for d, (t, _) in zip(globals_, self.globals_all)]))
        out += section(7, vec([u(len(n)) + n.encode() + bytes([k]) + u(i) for n, k, i in exports]))
        out += section(9, vec(elems + [u(3) + b"\0" + vec([u(f.number) for f in self.done])]))
        out += section(12, u(len(data)))
        out += section(10, vec([f.body for f in self.done[self.imports:]]))
        out += section(11, vec(data))
        return out


def module(rng):
    m = Module(rng)
    m.host()
    m.fill()
    return m.emit()


def pair(rng):
    """Two modules: the second one works with the memories, tables, globals and functions of the first."""
    first, second = Module(rng), Module(rng)
    first.fill()
    second.share(first)
    second.fill()
    return first.emit(), second.emit()
