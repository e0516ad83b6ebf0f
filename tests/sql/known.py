"""Where SQLite answers otherwise than PostgreSQL, and why: (what the statement has, what we say: kind, SQLSTATE, message; the reason)."""
KNOWN = [
    (r"\b(min|max)\(.*(price|score|\d\.\d)", r"^ok", "of numerics that are equal and printed otherwise, the last one is PostgreSQL's, the first one ours"),
    (r"array\[code", r"^ok", "char(n)[] and text[] compare: PostgreSQL finds no operator"),
]
# Of statements that are made of the tables of functions: (PostgreSQL's answer, ours; the reason)
KNOWN_COMPOSED = [
    (r"error\t(22...|54000)\t.*", r"ok\t.*", "PostgreSQL evaluates what is constant when it plans, whatever the rows are"),
    (r"ok\t(\d+ \| )?(\\N|f|t)?( // ((\d+|f|t|\\N) \| )?\\N)*", r"error\t(22.*|54000\tnull character not permitted)", "PostgreSQL finds when it plans that a call is null, and evaluates none of its arguments"),
    (r"ok\t.*NaN.*", r"error\t22P02\tNaN.*", "a double of SQLite's has no NaN"),
    (r"ok\t.*(mons|years).*", r"error\t22008\tinterval out of range", "PostgreSQL 15 wraps around, later ones refuse"),
]
# (their SQLSTATE, ours: kind and rows; the reason)
KNOWN_ERRORS = [
    ("22003|22012", r"^ok\t(\\N|0|\x1e| \\N)*$", "PostgreSQL evaluates what is constant before the first row is there, and where there is none"),
]
