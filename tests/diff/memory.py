"""Loads, stores and bulk operations, at addresses that are mostly within a memory."""
from encode import s, u
from operators import I32, I64, LOADS, STORES, V128, VECTOR_LOADS


class Memory:
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
        if r.random() < 0.1:  # as much as the target's helper does, and a byte more
            n = r.choice([4095, 32767, 65535, 65536, 65537])

        def size():
            if r.random() < 0.7:
                self.op(const, s(n))
            else:
                self.expr(t, 1), self.mask(r.choice([127, 127, 0x1ff, 0x1ffff]), is64)
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
