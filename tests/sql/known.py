"""Where SQLite answers otherwise than PostgreSQL, and why: (what the statement has, what we say: kind, SQLSTATE, message; the reason)."""
KNOWN = [
    (r"\b(min|max)\(.*(price|score|\d\.\d)", r"^ok", "of numerics that are equal and printed otherwise, the last one is PostgreSQL's, the first one ours"),
    (r"array\[code", r"^ok", "char(n)[] and text[] compare: PostgreSQL finds no operator"),
]
# (their SQLSTATE, ours: kind and rows; the reason)
KNOWN_ERRORS = [
    ("22003|22012", r"^ok\t(\\N|0|\x1e| \\N)*$", "PostgreSQL evaluates what is constant before the first row is there, and where there is none"),
]
