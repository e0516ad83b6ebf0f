"""A module under construction: which types, functions, memories, tables, globals and tags it has, and its bytes."""
from encode import heap, s, section, type_code, u, vec
from func import COST_MAX, Func
from operators import F32, F64, I32, I64, V128

NUMBERS = (I32, I64, F32, F64)


class Module:
    def __init__(self, rng):
        self.rng, self.types, self.done, self.slots, self.imports = rng, [], [], {}, 0
        self.cost_max = COST_MAX
        self.outer = None
        self.traps = rng.random() < 0.6
        self.simd = rng.random() < 0.4
        self.tail_calls, self.exceptions, self.gc, self.table64 = (rng.random() < p for p in (0.4, 0.35, 0.35, 0.15))
        self.numbers = NUMBERS + (V128,) * self.simd
        self.references = self.heap_types() if self.gc else []
        self.values = self.numbers * (3 if self.references else 1) + tuple(self.references)
        self.tags = []
        for _ in range(rng.randint(1, 4) if self.exceptions else 0):
            self.tags.append([rng.choice(self.values) for _ in range(rng.choice([0, 1, 1, 2, 5]))])
            self.type(self.tags[-1], [])
        self.bytes_max = rng.choice([300, 2000, 8000])
        # (64-bit?, pages, maximum)
        self.memories = [(rng.random() < 0.12, rng.choice([1, 1, 2]), 3)]
        if rng.random() < 0.2:
            self.memories += [(rng.random() < 0.3, 1, 2) for _ in range(rng.randint(1, 2))]
        self.globals = [(t, True) for t in self.numbers] + [(rng.choice(self.values), rng.random() < 0.7) for _ in range(rng.randint(0, 6))]
        self.zero = len(self.globals)  # always 0
        self.globals_all = self.globals + [(I32, True)]
        self.table_size = 32
        w = lambda **kinds: (list(kinds), [v and max(0.05, v * rng.choice([0.2, 1, 1, 3])) for v in kinds.values()])
        self.weights_int = w(leaf=2, tee=2, unary=1.5, binary=6, divide=1, part=2 * self.gc,
                             compare=2, convert=1.5, trunc=0.7, reinterpret=0.5, load=2, select=1.2,
                             block=0.5, call=0.6, size=0.2, ref=0.2, **{"if": 0.7})
        self.weights_float = w(leaf=2, tee=2, unary=2, binary=5, part=1.5 * self.gc,
                               convert=1.5, reinterpret=0.7, copysign=0.5, load=1.5, select=1.2, block=0.5, call=0.6,
                               **{"if": 0.7})
        self.weights_statement = w(set=4, update=3, move=0.7, store=3, bulk=0.5, drop=0.5, if_values=0.6, br_if=1, switch=0.5, loop=1.5, call=1,
                                   table=0.3, stop=0.1, object=3 * self.gc, throw=self.exceptions,
                                   **{"global": 1, "if": 1.5, "continue": 0.7, "try": 1.5 * self.exceptions})

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
        self.simd, self.numbers, self.gc, self.tags, self.exceptions = outer.simd, outer.numbers, outer.gc, outer.tags, outer.exceptions
        self.types, self.references, self.values, self.table64 = list(outer.types), outer.references, outer.values, outer.table64
        for number, source in enumerate(outer.done[:12]):
            f = Func(self, source.params, source.results)
            f.number, f.source, f.type, f.cost = number, source.number, self.type(f.params, f.results), source.cost
            self.done.append(f)
        self.imports = len(self.done)

    def fill(self):
        if self.rng.random() < 0.5:
            self.micro()
        if self.tail_calls and self.rng.random() < 0.5:
            self.tail_loops()
        if len(self.done) == self.imports or self.rng.random() < 0.4:
            self.large()

    def memory(self):
        return self.rng.randrange(len(self.memories))

    def heap_types(self):
        """Makes structure and array types; gives the types of references that random code uses."""
        r = self.rng

        def field(mutable=0.7):
            storage = r.choice(["i8", "i16", *self.numbers, *self.numbers, "anyref", "eqref", "i31ref", "structref", "arrayref", "externref", *made])
            return storage, r.random() < mutable
        made = []
        for number in range(r.randint(2, 7)):
            structs = [n for n, x in enumerate(self.types) if x[0] == "struct"]
            if number == 0 or (number != 1 and r.random() < 0.55):
                above = r.choice(structs) if structs and r.random() < 0.5 else None
                inherited = list(self.types[above][2]) if above is not None else []
                itself = [(f"ref null {number}", True)] if r.random() < 0.3 else []
                self.types.append(("struct", above, tuple(inherited + [field() for _ in range(r.choice([0, 1, 2, 3, 6]))] + itself)))
            else:
                self.types.append(("array", None, (field(1.0),)))
            made.append(f"ref null {number}")
        return ["anyref", "eqref", "i31ref", "structref", "arrayref", "externref", *made]

    def below(self, number):
        """The type and its subtypes."""
        out = [number]
        for n, x in enumerate(self.types):
            if x[0] == "struct" and x[1] in out:
                out.append(n)
        return out

    def type(self, params, results):
        key = ("func", tuple(params), tuple(results))
        if key not in self.types:
            self.types.append(key)
        return self.types.index(key)

    def signature(self):
        r = self.rng
        params = [r.choice(self.values) for _ in range(r.choice([0, 1, 2, 3, 4, 6, 10, 20]))]
        results = [r.choice(self.values) for _ in range(r.choice([0, 1, 1, 1, 2, 3, 8, 16]))]
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

    def tail_loops(self):
        """Functions that call themselves at their end, often enough to run out of any stack."""
        r = self.rng
        for _ in range(r.randint(1, 3)):
            params = [r.choice(self.values) for _ in range(r.choice([0, 1, 3, 8, 14]))]
            f = Func(self, [I32] + params, [r.choice(self.values) for _ in range(r.choice([0, 1, 3]))])
            f.kept.add(0)
            f.around(r.choice([8, 256, 4096, 16384]), 2)
            self.add(f)

    def locals(self, f, most):
        for t in self.numbers:
            for _ in range(self.rng.randint(0, most)):
                f.local(t, settled=self.rng.random() < 0.5)
        for t in self.references:
            for _ in range(self.rng.randint(0, min(most, 2))):
                f.local(t)

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

    @staticmethod
    def type_bytes(kind, first, second):
        if kind == "func":
            return b"\x60" + vec([type_code(t) for t in first]) + vec([type_code(t) for t in second])
        fields = [type_code(t) + bytes([mutable]) for t, mutable in second]
        if kind == "array":
            return b"\x5e" + fields[0]
        return b"\x50" + vec([u(first)] if first is not None else []) + b"\x5f" + vec(fields)

    def emit(self):
        r = self.rng
        elems = []
        for number, slots in self.slots.items():
            for slot in slots:
                elems.append(u(0) + b"\x41" + s(slot) + b"\x0b" + vec([u(number)]))
        passive = [u(1) + b"\0" + vec([u(r.choice(self.done).number)])]
        elems = passive + elems
        limits = lambda is64, low, high: bytes([1 | (4 if is64 else 0)]) + u(low) + u(high)
        zero = {t: b"\xd0" + heap(t) for t in self.references}
        zero |= {I32: b"\x41\0", I64: b"\x42\0", F32: b"\x43" + bytes(4), F64: b"\x44" + bytes(8), V128: b"\xfd\x0c" + bytes(16)}
        data = [u(1) + vec([bytes([b]) for b in r.randbytes(64)])]
        for i, (is64, pages, _) in enumerate(self.memories):
            where = (b"\x42" if is64 else b"\x41") + s(r.choice([0, 64, 0x4000, (pages << 16) - 600])) + b"\x0b"
            data.append((u(0) if not i else u(2) + u(i)) + where + vec([bytes([b]) for b in r.randbytes(r.choice([16, 600]))]))
        exports = [(f"f{f.number}", 0, f.number) for f in self.done] + [(f"m{i}", 2, i) for i in range(len(self.memories))]
        exports += [(f"g{i}", 3, i) for i in range(len(self.globals_all))] + [("t0", 1, 0), ("t1", 1, 1)]
        exports += [(f"x{i}", 4, i) for i in range(len(self.tags))]
        out = b"\0asm\1\0\0\0"
        out += section(1, vec([self.type_bytes(*x) for x in self.types]))
        tables = [b"\x70" + limits(False, self.table_size, self.table_size), b"\x70" + limits(self.table64, 8, 10)]
        memories = [limits(*m) for m in self.memories]
        tags = [b"\0" + u(self.type(params, [])) for params in self.tags]
        globals_ = [type_code(t) + bytes([mutable]) for t, mutable in self.globals_all]
        imports = [(f"f{f.source}", b"\0" + u(f.type)) for f in self.done[:self.imports]]
        if self.outer:
            imports += [(f"{letter}{i}", bytes([kind]) + d) for letter, kind, all_ in (("t", 1, tables), ("m", 2, memories), ("g", 3, globals_), ("x", 4, tags))
                        for i, d in enumerate(all_)]
        out += section(2, vec([b"\1h" + u(len(n)) + n.encode() + d for n, d in imports]))
        out += section(3, vec([u(f.type) for f in self.done[self.imports:]]))
        if not self.outer:
            out += section(4, vec(tables)) + section(5, vec(memories))
            if self.tags:
                out += section(13, vec(tags))
            out += section(6, vec([d + zero[t] + b"\x0b" for d, (t, _) in zip(globals_, self.globals_all)]))
        out += section(7, vec([u(len(n)) + n.encode() + bytes([k]) + u(i) for n, k, i in exports]))
        out += section(9, vec(elems + [u(3) + b"\0" + vec([u(f.number) for f in self.done])]))
        out += section(12, u(len(data)))
        out += section(10, vec([f.body for f in self.done[self.imports:]]))
        out += section(11, vec(data))
        return out
