"""Exceptions: thrown, caught by tag or by all, with and without their reference, thrown again; through frames, functions and modules."""
from encode import s, u


class Exceptions:
    def s_throw(self, depth):
        """On a condition."""
        if not self.m.tags:
            return
        self.condition(depth - 1)
        self.op(0x04, 0x40)
        self.labels.append(None)
        self.throw(depth - 1)
        self.labels.pop()
        self.op(0x0b)

    def throw(self, depth):
        tag = self.rng.randrange(len(self.m.tags))
        for t in self.m.tags[tag]:
            self.expr(t, depth - 1)
        self.op(0x08, u(tag))

    def clauses(self):
        """[(kind, tag or None, values at its label)]: catch, catch_ref, catch_all, catch_all_ref."""
        r, out = self.rng, []
        for _ in range(r.choice([1, 1, 2, 3])):
            kind = r.choice([0, 0, 0, 1, 2, 3])
            tag = r.randrange(len(self.m.tags)) if kind < 2 else None
            values = list(self.m.tags[tag]) if kind < 2 else []
            out.append((kind, tag, values + ["exnref"] * (kind & 1)))
        return out

    def s_try(self, depth):
        """block R  block C1 … block Cn  try_table …: body, R  end  br n  end: what C1 leaves, R, br n-1 … end"""
        if not self.m.tags:
            return
        r = self.rng
        results = [r.choice(self.m.values) for _ in range(r.choice([0, 0, 1, 2, 4]))]
        clauses = self.clauses()
        n = len(clauses)
        self.op(0x02, s(self.m.type([], results)))
        self.labels.append(results)
        for _, _, values in reversed(clauses):
            self.op(0x02, s(self.m.type([], values)))
            self.labels.append(values if "exnref" not in values else None)
        handlers = b"".join(bytes([kind]) + (u(tag) if tag is not None else b"") + u(i) for i, (kind, tag, _) in enumerate(clauses))
        self.op(0x1f, s(self.m.type([], results)), u(n), handlers)
        self.labels.append(results)
        self.few(depth - 1)
        what = r.random()
        if what < 0.25:
            self.throw(depth - 1)
        elif what < 0.6:
            self.s_throw(depth - 1)
        else:
            self.s_call(depth - 1)
        self.few(depth - 1)
        for t in results:
            self.expr(t, depth - 2)
        self.labels.pop()
        self.op(0x0b), self.op(0x0c, u(n))
        for i, (_, _, values) in enumerate(clauses):
            self.labels.pop()
            self.op(0x0b)
            self.caught(values, depth)
            for t in results:
                self.expr(t, depth - 2)
            if i < n - 1:
                self.op(0x0c, u(n - 1 - i))
        self.labels.pop()
        self.op(0x0b)
        self.consume(results)

    def caught(self, values, depth):
        """Uses up what a clause leaves; a reference may be thrown again."""
        if values and values[-1] == "exnref":
            exception = self.local("exnref", kept=True)
            self.op(0x21, u(exception))
            self.consume(values[:-1])
            if self.rng.random() < 0.4:
                self.condition(depth - 2)
                self.op(0x04, 0x40), self.op(0x20, u(exception)), self.op(0x0a), self.op(0x0b)
        else:
            self.consume(values)
        self.few(depth - 2)
