"""Vectors."""
from encode import u
from operators import (F32, F64, I32, V128, VECTOR_BINARY, VECTOR_EXTRACT, VECTOR_F32, VECTOR_F64, VECTOR_REPLACE, VECTOR_SHIFT, VECTOR_SPLAT,
                       VECTOR_UNARY)


class Vectors:
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
        if what < 0.12:
            return self.relaxed(depth)
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

    def masked(self, depth, lane, mask):
        """A vector whose lanes of so many bytes have only the mask's bits."""
        self.expr(V128, depth - 1)
        self.op(0xfd, u(12), mask.to_bytes(lane, "little") * (16 // lane)), self.op(0xfd, u(78))

    def small_floats(self, depth, convert):
        """Floats that are integers below 4096, so that products and sums are exact; no NaN, no -0."""
        self.masked(depth, 4, 0xfff), self.op(0xfd, u(convert))

    def relaxed(self, depth):
        """Relaxed instructions, with operands for which all that they may do is the same."""
        r = self.rng
        what = r.randrange(6)
        convert = r.choice([250, 254])  # to f32x4, to f64x2
        if what == 0:  # swizzle, indices in range
            self.expr(V128, depth - 1), self.masked(depth, 1, 0x0f), self.op(0xfd, u(0x100))
        elif what == 1:  # trunc: f32x4_s, f32x4_u, f64x2_s_zero, f64x2_u_zero
            self.small_floats(depth, convert), self.op(0xfd, u(r.choice([0x101, 0x102]) if convert == 250 else r.choice([0x103, 0x104])))
        elif what == 2:  # madd, nmadd
            for _ in range(3):
                self.small_floats(depth, convert)
            self.op(0xfd, u(r.choice([0x105, 0x106]) if convert == 250 else r.choice([0x107, 0x108])))
        elif what == 3:  # laneselect, by the outcome of a comparison of such lanes
            lane = r.randrange(4)
            self.expr(V128, depth - 1), self.expr(V128, depth - 1)
            self.expr(V128, depth - 1), self.expr(V128, depth - 1), self.op(0xfd, u([35, 45, 55, 214][lane]))
            self.op(0xfd, u(0x109 + lane))
        elif what == 4:  # min, max
            self.small_floats(depth, convert), self.small_floats(depth, convert)
            self.op(0xfd, u(r.choice([0x10d, 0x10e]) if convert == 250 else r.choice([0x10f, 0x110])))
        elif r.random() < 0.5:  # q15mulr, never -1 times -1
            self.expr(V128, depth - 1), self.masked(depth, 2, 0x7fff), self.op(0xfd, u(0x111))
        else:  # dot products with seven bits
            self.expr(V128, depth - 1), self.masked(depth, 1, 0x7f)
            if r.random() < 0.5:
                self.op(0xfd, u(0x112))
            else:
                self.expr(V128, depth - 1), self.op(0xfd, u(0x113))
        return True
