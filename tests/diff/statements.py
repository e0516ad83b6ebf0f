"""Statements: they leave nothing on the stack."""
from encode import s, u, vec
from operators import BINARY, I32, V128, VECTOR_BINARY


class Statements:
    def few(self, depth):
        for _ in range(self.rng.choice([0, 0, 1, 1, 2])):
            self.statement(depth)

    def statement(self, depth):
        if depth <= 0 or self.cost > self.m.cost_max or len(self.code) > self.m.bytes_max:
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
        params = [r.choice(self.m.values) for _ in range(r.randint(1, 5))]
        has_else = r.random() < 0.6
        results = [r.choice(self.m.values) for _ in range(r.randint(0, 5))] if has_else else params
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
        types = [self.rng.choice(self.m.values) for _ in range(self.rng.choice([0, 0, 1, 2, 3]))]
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
        params = [r.choice(self.m.values) for _ in range(r.choice([0, 0, 0, 1, 2, 4]))]
        results = [r.choice(self.m.values) for _ in range(r.choice([0, 0, 1, 3]))]
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
        callees = [f for f in self.m.done if self.cost + self.times * f.cost < self.m.cost_max]
        if callees:
            f = self.rng.choice(callees)
            self.call(f, depth)
            self.consume(f.results)

    def s_table(self, depth):
        r = self.rng
        what = r.random()
        if what < 0.3 and self.m.done:
            self.index(1, 2, lambda table: None)
            self.op(0xd2, u(r.choice(self.m.done).number)) if r.random() < 0.7 else self.op(0xd0, 0x70)
            self.op(0x26, u(1))
        elif what < 0.5:
            source = r.choice([0, 1])
            self.table_const(1, r.randint(0, 4)), self.table_const(source, r.randint(0, 4)), self.table_const(source, r.randint(0, 4))
            self.op(0xfc, u(14), u(1), u(source))
        elif what < 0.7:
            self.table_const(1, r.randint(0, 4)), self.op(0xd0, 0x70), self.table_const(1, r.randint(0, 4)), self.op(0xfc, u(17), u(1))
        elif what < 0.8:
            self.op(0xd0, 0x70), self.table_const(1, r.choice([0, 1, 2, 1 << 20])), self.op(0xfc, u(15), u(1)), self.op(0x1a)
        else:
            self.table_const(1, r.randint(0, 4)), self.const_i32(0), self.const_i32(r.randint(0, 1)), self.op(0xfc, u(12), u(0), u(1))

    def s_stop(self, depth):
        if self.m.traps:
            self.expr(I32, 2), self.const_i32(self.rng.getrandbits(32)), self.op(0x46)
            self.op(0x04, 0x40), self.op(0x00), self.op(0x0b)
