"""Values of types, as text: edges first, random ones, and texts that are hardly any. For tests/pg/oracle.py; a function's parameters that take
only certain words (formats, units, zones) are in WORDS."""
import random

INTS = {"int2": 15, "int4": 31, "int8": 63}


def integer(rng, bits):
    top = (1 << bits) - 1
    edges = [0, 1, -1, 2, 3, 7, 10, -10, 100, top, -top - 1, top - 1, 12345, -12345]
    return rng.choice(edges) if rng.random() < 0.5 else rng.randint(-(1 << rng.randint(1, bits)), (1 << rng.randint(1, bits)) - 1)


def digits(rng, n):
    return "".join(rng.choice("0123456789") for _ in range(n))


def numeric(rng):
    edges = ["0", "1", "-1", "0.00", "1.10", "10", "-0.5", "0.5", "1.5", "2.5", "-2.5", "0.9", "1.1", "0.99999", "1.000001", "1e10", "1e-10", "1e30", "1.23456789e-30",
             "9999", "10000", "99999999", "0.0001", "123456789012345678901234567890", "NaN", "Infinity", "-Infinity", "2", "3", "-3", "100", "1000", "0.1", "7", "-7.0"]
    if rng.random() < 0.45:
        return rng.choice(edges)
    whole, behind = rng.choice([(1, 0), (2, 2), (4, 4), (5, 9), (12, 3), (1, 20), (0, 8), (30, 10), (8, 0)])
    text = ("-" if rng.random() < 0.3 else "") + (digits(rng, whole) or "0")
    return text + ("." + digits(rng, behind) if behind else "")


def double(rng, single=False):
    edges = ["0", "1", "-1", "0.5", "-0.5", "1.5", "2.5", "1e10", "1e15", "1e14", "123456789012345680", "1e-5", "0.0001", "Infinity", "-Infinity", "0.1", "3.14159",
             "100", "1e20", "-7", "2", "3", "10", "90", "180"]
    edges += ["3.4028235e38", "1e-45", "16777216"] if single else ["1.7976931348623157e308", "5e-324", "9007199254740993", "2.2250738585072014e-308"]
    if rng.random() < 0.4:
        return rng.choice(edges)
    if rng.random() < 0.5:
        return repr(round(rng.uniform(-1000, 1000), rng.randint(0, 6)))
    return f"{rng.uniform(-10, 10):.{8 if single else 16}e}".split("e")[0] + f"e{rng.randint(-30, 30)}"


GENERATORS = {
    "bool": lambda r: r.choice(["t", "f"]),
    "oid": lambda r: str(r.choice([0, 1, 4294967295, r.randrange(1 << 32)])),
    "float4": lambda r: double(r, True),
    "float8": double,
    "numeric": numeric,
    "text": lambda r: r.choice(["", "a", "abc", "12", " 7 ", "1.5", "true"]),
    **{t: (lambda r, b=b: str(integer(r, b))) for t, b in INTS.items()},
}
# (kind, name, index of the parameter): its words
WORDS = {}
# a second parameter that is small, or PostgreSQL takes minutes
SMALL = {("F", "round", 1): 30, ("F", "trunc", 1): 30, ("F", "factorial", 0): 60}
TYPES_READ = ["bool", "int2", "int4", "int8", "oid", "float4", "float8", "numeric"]
PIECES = {
    "numbers": ["1", "0", "-", "+", ".", "e", "E5", "e-3", " ", "nan", "inf", "infinity", "9", "12345678901234567890", "x", "1e400", "0x1", "5.", ".5", "1e-400", "e99999999999", "_"],
    "bool": ["t", "true", "f", "yes", "n", "on", "of", "off", "o", "1", "0", " ", "TRUE", "x", ""],
}


def knows(type):
    return type in GENERATORS


def of(rng, type, kind, name, index):
    if (kind, name, index) in WORDS:
        return WORDS[kind, name, index](rng)
    if (kind, name, index) in SMALL:
        return str(rng.randint(-SMALL[kind, name, index], SMALL[kind, name, index]))
    if kind == "F" and name == "width_bucket" and index == 3:
        return str(rng.choice([-1, 0, 1, 5, 10, 100]))
    return GENERATORS[type](rng)


def texts(rng, type, count):
    """Texts to be read as the type, most of them none."""
    pieces = PIECES.get(type, PIECES["numbers"])
    for _ in range(count):
        if rng.random() < 0.3:
            yield GENERATORS[type](rng)
        else:
            yield "".join(rng.choice(pieces) for _ in range(rng.randint(0, 4)))
