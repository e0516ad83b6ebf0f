"""Expressions that leave one number: arithmetic, conversions, what reads state. Each says whether its value is settled."""
from encode import heap, s, signed, type_code, u
from operators import BINARY, COMPARES, CONVERT, COPYSIGN, DIVIDE, F32, F64, I32, I64, INTS, REINTERPRET, TRUNC, TRUNC_SAT, UNARY, V128, VECTOR_EXTRACT


class Numeric:
    def expr(self, t, depth):
        if depth <= 0 or self.cost > self.m.cost_max or len(self.code) > self.m.bytes_max:
            return self.leaf(t)
        r = self.rng
        if t not in (I32, I64, F32, F64, V128):
            return self.reference(t, depth)
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

    def leaf(self, t):
        r = self.rng
        if t not in (I32, I64, F32, F64, V128):
            return self.reference(t, 0)
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
        self.op(0x1b) if self.rng.random() < 0.7 else self.op(0x1c, u(1), type_code(t))
        return a and b

    def condition(self, depth):
        self.e_compare(I32, depth) if self.rng.random() < 0.6 else self.expr(I32, depth)

    def e_size(self, t, depth):
        what = self.rng.random()
        memory = self.m.memory()
        if what < 0.5 and (self.m.memories[memory][0]) == (t == I64):
            self.op(0x3f, u(memory))
        elif what < 0.8 and t == I32:
            table = self.rng.choice([0, 1])
            self.op(0xfc, u(16), u(table))
            if table and self.m.table64:
                self.op(0xa7)
        else:
            return self.leaf(t)
        return True

    def index(self, table, depth, then):
        """An index below 8, and then(table)."""
        self.expr(I32, depth - 1), self.const_i32(7), self.op(0x71)
        if table and self.m.table64:
            self.op(0xad)
        then(table)

    def table_const(self, table, v):
        self.op(0x42, s(v)) if table and self.m.table64 else self.const_i32(v)

    def e_ref(self, t, depth):
        if t != I32:
            return self.leaf(t)
        r = self.rng
        self.index(r.choice([0, 1]), depth, self.op_table_get)
        if r.random() < 0.3:
            self.index(r.choice([0, 1]), 2, self.op_table_get)
            self.condition(1)
            self.op(0x1c, u(1), type_code("funcref"))
        self.op(0xd1)
        return True
