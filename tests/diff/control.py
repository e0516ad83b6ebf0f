"""Blocks, branches and calls."""
from encode import s, type_code, u, vec
from operators import I32, I64, V128


class Control:
    def e_if(self, t, depth):
        self.condition(depth - 1)
        self.op(0x04, type_code(t))
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
        params = [r.choice(self.m.values) for _ in range(r.choice([0, 0, 1, 2, 3, 6]))]
        before, after = ([r.choice(self.m.values) for _ in range(r.choice([0, 0, 0, 1, 2, 4]))] for _ in range(2))
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
        callees = [f for f in self.m.done if t in f.results and self.cost + self.times * f.cost < self.m.cost_max]
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
            self.op(0xd2, u(f.number))
            if r.random() < 0.4:  # by way of a local
                x = self.local(f"ref null {f.type}", kept=True)
                self.op(0x21, u(x)), self.op(0x20, u(x))
            self.op(0x14, u(f.type))
        else:
            self.op(0x10, u(f.number))

    def tail_call(self, depth):
        """False: there is nothing to call so."""
        r = self.rng
        callees = [f for f in self.m.done if f.results == self.results and self.cost + self.times * f.cost < self.m.cost_max]
        if not callees:
            return False
        f = r.choice(callees)
        for p in f.params:
            self.expr(p, min(depth - 1, 2))
        self.cost += self.times * f.cost
        what = r.random()
        if what < 0.3 and self.m.slots.get(f.number):
            self.const_i32(r.choice(self.m.slots[f.number])), self.op(0x13, u(f.type), u(0))
        elif what < 0.5:
            self.op(0xd2, u(f.number)), self.op(0x15, u(f.type))
        else:
            self.op(0x12, u(f.number))
        return True

    def around(self, times, depth):
        """The whole body of a function that calls itself at its end so many times; its first parameter counts."""
        self.op(0x20, u(0)), self.const_i32(times - 1), self.op(0x71), self.op(0x22, u(0)), self.op(0x45)
        self.op(0x04, 0x40)
        for t in self.results:
            self.expr(t, depth)
        self.op(0x0f), self.op(0x0b)
        self.times = times
        self.few(depth)
        self.op(0x20, u(0)), self.const_i32(1), self.op(0x6b)
        for p in self.params[1:]:
            self.expr(p, depth)
        self.op(0x12, u(len(self.m.done)))
        self.times = 1
        self.kept.discard(0)

    def branch(self, depth):
        """An unconditional br, br_table or return to a random label; code behind it cannot be reached."""
        r = self.rng
        if self.m.tail_calls and r.random() < 0.3 and self.tail_call(depth):
            return
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
