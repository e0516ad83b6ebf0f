"""Modules of nothing but types: random recursion groups, many of them alike but for little, in chains of subtypes; and for an object of each
type the outcome of ref.test against all types, and calls of functions of each type through a table. So two types are one for an
engine exactly if they are for the other."""
from encode import heap, s, section, type_code, u, vec

NUMBERS = ["i32", "i64", "f32", "f64"]
ZERO = {"i32": b"\x41\0", "i64": b"\x42\0", "f32": b"\x43" + bytes(4), "f64": b"\x44" + bytes(8)}


def field(rng, types, group_end):
    """A storage type and mutability; references may lead anywhere up to the group's end."""
    what = rng.random()
    if what < 0.4 or not group_end:
        storage = rng.choice(["i8", "i16", *NUMBERS[:2]])
    elif what < 0.6:
        storage = rng.choice(["anyref", "eqref", "structref", "funcref"])
    else:  # near, so that groups differ in where in them a reference leads
        n = rng.randrange(max(0, group_end - 6), group_end)
        storage = f"ref null {n}" if rng.random() < 0.8 else f"ref {n}"
    return type_code(storage) + bytes([rng.random() < 0.5])


class TypeGraph:
    def __init__(self, rng):
        self.rng = rng
        self.types = []   # (kind, own fields or None, super or None, final)
        self.groups = []  # sizes
        self.default = [] # can it be made with defaults
        templates = []
        total = rng.choice([6, 15, 40, 40, 90, 600])
        while len(self.types) < total:
            if templates and rng.random() < 0.4:
                self.again(rng.choice(templates))
                continue
            start, n = len(self.types), rng.choice([1, 1, 1, 2, 2, 3, 5])
            seed = rng.getrandbits(64)
            templates.append((seed, n))
            self.group(seed, n, start)

    def again(self, template):
        """A group made in the same way at another place: the same types, if it refers only to itself or to the same others."""
        seed, n = template
        self.group(seed, n, len(self.types))

    def group(self, seed, n, start):
        rng = type(self.rng)(seed)
        for i in range(n):
            kind = rng.choices(["struct", "array", "func"], [5, 2, 2])[0]
            final = rng.random() < 0.25
            above = None
            if rng.random() < 0.5:
                here = [k for k in range(max(0, start - 8), start + i) if self.types[k][0] == kind and not self.types[k][3] and self.types[k][4] < 60]
                above = rng.choice(here) if here else None
            inherited = self.types[above][1] if above is not None else None
            if kind == "struct":
                own = (inherited or []) + [field(rng, self.types, start + n) for _ in range(rng.choice([0, 0, 1, 1, 2]))]
            elif kind == "array":
                own = inherited or [field(rng, self.types, start + n)]
            else:
                own = inherited or [[rng.choice(NUMBERS) for _ in range(rng.choice([0, 1, 2]))], [rng.choice(NUMBERS) for _ in range(rng.choice([0, 1]))]]
            self.types.append((kind, own, above, final, self.types[above][4] + 1 if above is not None else 0))
        self.groups.append(n)

    def type_bytes(self, number):
        kind, own, above, final, _ = self.types[number]
        head = bytes([0x4f if final else 0x50]) + vec([u(above)] if above is not None else [])
        if kind == "struct":
            return head + b"\x5f" + vec(own)
        if kind == "array":
            return head + b"\x5e" + own[0]
        return head + b"\x60" + vec([type_code(t) for t in own[0]]) + vec([type_code(t) for t in own[1]])

    def makeable(self, number):
        """Whether defaults will do: no field is a reference that may not be null."""
        kind, own = self.types[number][:2]
        return kind == "array" or (kind == "struct" and all(f[0] != 0x64 for f in own))

    def emit(self):
        rng, n = self.rng, len(self.types)
        first_result = n  # function types of our own come behind: [] -> i64 …, [] -> []
        groups, at = [], 0
        for size in self.groups:
            inside = [self.type_bytes(k) for k in range(at, at + size)]
            groups.append(inside[0] if size == 1 and rng.random() < 0.5 else b"\x4e" + vec(inside))
            at += size
        data = [k for k in range(n) if self.types[k][0] != "func"]
        funcs = [k for k in range(n) if self.types[k][0] == "func"]
        words = lambda of: (len(of) + 63) // 64
        ours = [b"\x60" + vec([]) + vec([type_code("i64")] * words(of)) for of in (data, funcs)]
        ours.append(b"\x60" + vec([type_code("i32")]) + vec([type_code("i32")]))
        subjects = [k for k in range(n) if self.makeable(k) or self.types[k][0] == "func"]
        if len(subjects) > 60:
            subjects = rng.sample(subjects, 60)
        instances = [k for k in range(n) if self.types[k][0] == "func"]  # a function of each function type
        bodies = []
        for k in instances:
            bodies.append(vec([]) + b"".join(ZERO[t] for t in self.types[k][1][1]) + b"\x0b")
        number_of = {k: i for i, k in enumerate(instances)}
        for k in subjects:
            is_func = self.types[k][0] == "func"
            of = funcs if is_func else data
            code = bytearray()
            if is_func:
                code += b"\xd2" + u(number_of[k])
            elif self.types[k][0] == "array":
                code += self.make_array(k)
            else:
                code += b"\xfb\x01" + u(k)
            code += b"\x21\0"
            for w in range(words(of)):
                code += b"\x42\0"
                for j in of[64 * w:64 * w + 64]:
                    code += b"\x42\1\x86"  # what there is, one bit up, and this one
                    code += b"\x20\0\xfb" + u(rng.choice([20, 21])) + s(j) + b"\xad\x84"
            bodies.append(vec([u(1) + type_code("funcref" if is_func else "anyref")]) + bytes(code) + b"\x0b")
        callers = rng.sample(instances, min(len(instances), 12))
        for k in callers:  # what stands below the arguments stays
            params, results = self.types[k][1]
            code = b"\x20\0\x41\3\x6c" + b"".join(ZERO[t] for t in params) + b"\x20\0\x41" + s(len(instances)) + b"\x70\x11" + u(k) + u(0)
            bodies.append(vec([]) + code + b"\x1a" * len(results) + b"\x20\0\x6a\x0b")
        kinds = instances + [first_result + (self.types[k][0] == "func") for k in subjects] + [first_result + 2] * len(callers)
        out = b"\0asm\1\0\0\0" + section(1, vec(groups + ours)) + section(3, vec([u(t) for t in kinds]))
        names = [(f"t{k}", len(instances) + i) for i, k in enumerate(subjects)]
        names += [(f"c{k}", len(instances) + len(subjects) + i) for i, k in enumerate(callers)]
        out += section(4, vec([b"\x70\0" + u(len(instances))]))
        out += section(7, vec([u(len(name)) + name.encode() + b"\0" + u(i) for name, i in names]))
        if instances:
            out += section(9, vec([u(0) + b"\x41\0\x0b" + vec([u(i) for i in range(len(instances))])]))
        return out + section(10, vec([u(len(b)) + b for b in bodies]))

    def make_array(self, k):
        element = self.types[k][1][0]
        if element[0] == 0x64:
            return b"\xfb\x08" + u(k) + u(0)  # none: it has no default
        return b"\x41\2\xfb\x07" + u(k)


def typegraph(rng):
    return TypeGraph(rng).emit()
