"""Typed references and what they refer to: structures, arrays, i31, casts, typed function references.

What is taken apart is mostly not null and in bounds; where the module may trap, now and then it is.
"""
from encode import heap, s, type_code, u
from operators import F32, F64, I32, I64, V128

GC = 0xfb
PACKED = {"i8": 0xff, "i16": 0xffff}


class References:
    # -- one reference of type t --

    def reference(self, t, depth):
        if " null" not in t and t not in self.m.references:  # not nullable: only what is made on the spot
            return self.made(t, 0)
        r = self.rng
        x = self.pick(t)
        if x is not None and r.random() < (0.3 if depth > 0 else 0.6):
            self.op(0x20, u(x))
            return True
        if depth <= 0 or self.cost > self.m.cost_max or len(self.code) > self.m.bytes_max:
            return self.null(t)
        what = r.choices(["null", "made", "tee", "global", "part", "cast", "if", "block", "call", "select"],
                         [1, 6, 1, 0.5, 1, 2, 0.5, 0.3, 0.5, 0.5])[0]
        if what == "tee" and x is not None:
            self.reference(t, depth - 1), self.op(0x22, u(x))
        elif what == "global" and (g := [i for i, (gt, _) in enumerate(self.m.globals) if gt == t]):
            self.op(0x23, u(r.choice(g)))
        elif what == "part":
            self.part(t, depth)
        elif what == "cast":
            self.cast(t, depth)
        elif what in ("if", "block", "call"):
            getattr(self, "e_" + what)(t, depth)
        elif what == "select":
            self.reference(t, depth - 1), self.reference(t, depth - 1), self.condition(depth - 1)
            self.op(0x1c, u(1), type_code(t))
        elif what == "made":
            self.made(t, depth)
        else:
            self.null(t)
        return True

    def null(self, t):
        self.op(0xd0, heap(t))
        return True

    def made(self, t, depth):
        """A new object, or a value made from one; never null (but for types that only null is of)."""
        r, last = self.rng, t.split()[-1]
        if last.isdigit():
            number = int(last)
            if self.m.types[number][0] == "func":
                return self.op(0xd2, u(r.choice([f.number for f in self.m.done if f.type == number])))
            return self.new(r.choice(self.m.below(number)), depth)
        if t in ("i31ref", "ref i31", "ref null i31") or (t in ("anyref", "eqref") and r.random() < 0.4):
            self.expr(I32, depth - 1)
            self.op(GC, u(28))
        elif t == "externref":
            self.made("anyref", depth), self.op(GC, u(27))
        elif t == "anyref" and depth > 0 and r.random() < 0.2:
            self.made("externref", depth - 1), self.op(GC, u(26))
        elif t in ("exnref", "nullref"):
            self.null(t)
        else:
            kind = {"structref": ["struct"], "arrayref": ["array"]}.get(t, ["struct", "array"])
            self.new(r.choice([n for n, x in enumerate(self.m.types) if x[0] in kind]), depth)
        return True

    def new(self, number, depth):
        kind, _, fields = self.m.types[number]
        r = self.rng
        if kind == "struct":
            if depth <= 0 or r.random() < 0.2:
                self.op(GC, u(1), u(number))
            else:
                for storage, _ in fields:
                    self.stored(storage, depth - 1)
                self.op(GC, u(0), u(number))
            return True
        storage, what = fields[0][0], r.random()
        if what < 0.3 or depth <= 0:
            self.const_i32(r.choice([0, 1, 3, 8, 17, 40])), self.op(GC, u(7), u(number))
        elif what < 0.6:
            self.stored(storage, depth - 1), self.expr(I32, depth - 1), self.const_i32(31), self.op(0x71), self.op(GC, u(6), u(number))
        elif what < 0.85 or storage not in (I32, I64, F32, F64, V128, *PACKED):
            n = r.choice([0, 1, 2, 5])
            for _ in range(n):
                self.stored(storage, depth - 2)
            self.op(GC, u(8), u(number), u(n))
        else:  # from the passive data segment, 64 bytes long; elements of several bytes may be too many
            self.const_i32(r.choice([0, 1, 7])), self.const_i32(r.choice([0, 1, 3])), self.op(GC, u(9), u(number), u(0))
            if storage in (F32, F64):  # whose bits might be those of any NaN: no longer
                self.op(0x1a), self.const_i32(2), self.op(GC, u(7), u(number))
        return True

    def stored(self, storage, depth):
        self.settled_expr(I32 if storage in PACKED else storage, depth)

    # -- not null --

    def present(self, t, depth):
        """A reference of "ref null N" that is not null."""
        r, bare = self.rng, t.replace(" null", "")
        what = r.random()
        if what < 0.04 and self.m.traps:
            self.reference(t, depth), self.op(0xd4)
        elif what < 0.3:
            self.made(bare, depth)
        elif what < 0.7:
            self.op(0x02, s(self.m.type([], [bare])))
            self.labels.append(None)
            self.reference(t, depth)
            self.op(0xd6, u(0))
            self.labels.pop()
            self.made(bare, 0), self.op(0x0b)
        else:
            self.op(0x02, s(self.m.type([], [bare]))), self.op(0x02, 0x40)
            self.labels += [None, None]
            self.reference(t, depth)
            self.op(0xd5, u(0)), self.op(0x0c, u(1))
            del self.labels[-2:]
            self.op(0x0b), self.made(bare, 0), self.op(0x0b)

    def cast(self, t, depth):
        """From anyref, by any of the instructions that can."""
        r = self.rng
        if t in ("externref", "exnref", "anyref", "nullref") or self.is_function(t):
            return self.made(t, depth) if not self.is_function(t) else self.null(t)
        what = r.random()
        if what < 0.05 and self.m.traps:
            self.reference("anyref", depth - 1), self.op(GC, u(23), heap(t))
            return
        self.op(0x02, type_code(t))
        self.labels.append(None)
        if what < 0.55:  # br_on_cast, nullable on both sides
            self.reference("anyref", depth - 1)
            self.op(GC, u(24), 3, u(0), heap("anyref"), heap(t)), self.op(0x1a)
        else:
            self.op(0x02, type_code("anyref"))
            self.labels.append(None)
            self.reference("anyref", depth - 1)
            self.op(GC, u(25), 3, u(0), heap("anyref"), heap(t)), self.op(0x0c, u(1))
            self.labels.pop()
            self.op(0x0b), self.op(0x1a)
        self.made(t, depth - 1) if r.random() < 0.7 else self.null(t)
        self.labels.pop()
        self.op(0x0b)

    def is_function(self, t):
        last = t.split()[-1]
        return last.isdigit() and self.m.types[int(last)][0] == "func"

    # -- parts of objects --

    def places(self, t):
        """(kind, type number, field) of what holds a value that reads as t."""
        fits = (t, *PACKED) if t == I32 else (t,)
        return [(kind, n, i) for n, (kind, _, fields) in enumerate(self.m.types) if kind != "func" for i, (storage, _) in enumerate(fields)
                if storage in fits]

    def part(self, t, depth):
        """Reads a field or an element."""
        places = self.places(t)
        if not places:
            return self.leaf(t) if t not in self.m.references and " null" not in t else self.null(t)
        kind, number, field = self.rng.choice(places)
        storage = self.m.types[number][2][field][0]
        signs = self.rng.choice([1, 2]) if storage in PACKED else 0
        if kind == "struct":
            self.present(f"ref null {number}", depth - 1)
            self.op(GC, u(2 + signs), u(number), u(field))
        else:
            self.element(number, depth, type_code(t), lambda: self.op(GC, u(11 + signs), u(number)), lambda: self.expr(t, 0))
        return False

    def element(self, number, depth, block, inside, outside):
        """Array and index are on the stack when inside() is called; if the index is beyond the array, outside() instead."""
        array, index = self.local(f"ref null {number}", kept=True), self.local(I32, kept=True)
        self.present(f"ref null {number}", depth - 1), self.op(0x21, u(array))
        self.expr(I32, depth - 1), self.const_i32(15), self.op(0x71), self.op(0x21, u(index))
        checked = not self.m.traps or self.rng.random() < 0.95
        if checked:
            self.op(0x20, u(index)), self.op(0x20, u(array)), self.op(GC, u(15)), self.op(0x49)
            self.op(0x04, block)
            self.labels.append(None)
        self.op(0x20, u(array)), self.op(0x20, u(index))
        inside()
        if checked:
            self.op(0x05)
            outside()
            self.labels.pop()
            self.op(0x0b)

    def e_part(self, t, depth):
        """Of a number's type."""
        if not self.m.gc:
            return self.leaf(t)
        if t == I32 and self.rng.random() < 0.5:
            return self.question(depth)
        return self.part(t, depth)

    def question(self, depth):
        """What references tell: an i32."""
        r = self.rng
        what = r.random()
        if what < 0.2:
            self.reference(r.choice(self.m.references), depth - 1), self.op(0xd1)
        elif what < 0.35:
            self.reference("eqref", depth - 1), self.reference("eqref", depth - 1), self.op(0xd3)
        elif what < 0.5:
            array = [n for n, x in enumerate(self.m.types) if x[0] == "array"]
            self.present(f"ref null {r.choice(array)}", depth - 1), self.op(GC, u(15))
        elif what < 0.7:
            self.present("ref null i31", depth - 1), self.op(GC, u(r.choice([29, 30])))
        elif what < 0.8:  # functions of tables
            self.index(r.choice([0, 1]), depth, self.op_table_get)
            self.op(GC, u(r.choice([20, 21])), s(r.choice([self.m.type([], []), *(f.type for f in self.m.done)])))
        else:
            wanted = r.choice([t for t in self.m.references if t not in ("externref", "exnref") and not self.is_function(t)] + ["nullref"])
            self.reference("anyref", depth - 1), self.op(GC, u(r.choice([20, 21])), heap(wanted))
        return True

    def op_table_get(self, table):
        self.op(0x25, u(table))

    # -- statements --

    def s_object(self, depth):
        """Writes to a field or elements, or a local reference."""
        r = self.rng
        if not self.m.gc:
            return self.s_set(depth)
        what = r.random()
        if what < 0.35:
            t = r.choice(self.m.references)
            x = self.pick(t)
            if x is not None:
                self.reference(t, depth), self.op(0x21, u(x))
            return
        mutable = [(n, i) for n, (kind, _, fields) in enumerate(self.m.types) if kind == "struct" for i, f in enumerate(fields) if f[1]]
        if what < 0.6 and mutable:
            number, field = r.choice(mutable)
            self.present(f"ref null {number}", depth - 1)
            self.stored(self.m.types[number][2][field][0], depth - 1)
            self.op(GC, u(5), u(number), u(field))
            return
        arrays = [n for n, (kind, _, fields) in enumerate(self.m.types) if kind == "array" and fields[0][1]]
        number = r.choice(arrays)
        storage = self.m.types[number][2][0][0]
        if what < 0.8:
            def write():
                self.stored(storage, depth - 1)
                self.op(GC, u(14), u(number))
            return self.element(number, depth, 0x40, write, lambda: None)
        self.elements(number, storage, depth)

    def elements(self, number, storage, depth):
        """fill, copy, init_data over part of an array that is long enough (or not, if it may trap)."""
        r, t = self.rng, f"ref null {number}"
        array = self.local(t, kept=True)
        self.present(t, depth - 1), self.op(0x22, u(array))
        self.op(GC, u(15)), self.const_i32(16 if not self.m.traps or r.random() < 0.95 else 14), self.op(0x4f)
        self.op(0x04, 0x40)
        self.labels.append(None)

        def small():
            self.expr(I32, depth - 2), self.const_i32(7), self.op(0x71)
        self.op(0x20, u(array)), small()
        if r.random() < 0.4:
            self.stored(storage, depth - 2), small(), self.op(GC, u(16), u(number))
        elif r.random() < 0.7 or storage not in (I32, I64, *PACKED):
            self.op(0x20, u(array)), small(), small(), self.op(GC, u(17), u(number), u(number))
        else:
            small(), self.const_i32(r.choice([0, 1, 4])), self.op(GC, u(18), u(number), u(0))
        self.labels.pop()
        self.op(0x0b)
