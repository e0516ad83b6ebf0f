"""Numbers, vectors and types as a WebAssembly binary spells them."""

ABSTRACT = {"i32": 0x7f, "i64": 0x7e, "f32": 0x7d, "f64": 0x7c, "v128": 0x7b, "i8": 0x78, "i16": 0x77, "funcref": 0x70, "externref": 0x6f,
            "anyref": 0x6e, "eqref": 0x6d, "i31ref": 0x6c, "structref": 0x6b, "arrayref": 0x6a, "exnref": 0x69, "nullref": 0x71}


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


def type_code(t):
    """A value or storage type. "ref N" and "ref null N" are references to the type of that number, "ref i31" to an abstract one."""
    if t in ABSTRACT:
        return bytes([ABSTRACT[t]])
    return bytes([0x63 if " null" in t else 0x64]) + heap(t)


def heap(t):
    """The heap type of a reference type."""
    if t in ABSTRACT:
        return bytes([ABSTRACT[t]])
    last = t.split()[-1]
    return s(int(last)) if last.isdigit() else bytes([ABSTRACT[last + "ref"]])
