"""Statements that are made up of the rows of the room pg, each function, operator and cast with operands that are calls again: what tests/pg/oracle.py
asks of one row by itself, through the translator and in queries. Aggregates, CASE, COALESCE, IN and their kin are around them."""
import re, subprocess
from generate import COLUMNS, LITERALS

NAMES = {"int4": "int", "_int4": "int[]", "_text": "text[]"}
LEAVES = {NAMES.get(t, t): list(LITERALS[NAMES.get(t, t)]) + list(COLUMNS.get(NAMES.get(t, t), []))
          for t in ("int4", "numeric", "float8", "text", "bool", "date", "timestamp", "timestamptz", "interval", "_int4", "_text", "jsonb", "uuid", "time")}
LEAVES["int"] = ["0", "1", "-1", "2", "7", "31", "null::int", "id", "age", "2147483647"]
LEAVES["numeric"] += ["12345.678", "-0.5", "1e-3"]
LEAVES["text"] = ["''", "'a'", "'Ann'", "'x y'", "'É'", "'a%'", "null::text", "'42'", "'B'", "name", "email", "note_of_none"][:-1]
LEAVES |= {
    "int8": ["big", "0::int8", "5::int8", "-7::int8", "null::int8", "9223372036854775807::int8"],
    "int2": ["small", "0::int2", "3::int2", "null::int2", "32767::int2"],
    "float4": ["0.5::float4", "1e10::float4", "null::float4", "-2::float4"],
    "json": ["raw", "'{\"a\": [1, 2], \"b\": null}'::json", "'[1, \"x\"]'::json", "null::json"],
    "bytea": ["data", "'\\x00ff'::bytea", "''::bytea", "null::bytea"],
    "citext": ["'ABC'::citext", "name::citext", "null::citext"],
    "varchar": ["email", "'v'::varchar", "name::varchar(3)", "null::varchar"],
    "bpchar": ["code", "'ab'::char(4)", "null::char(3)"],
    "timetz": ["'10:00+02'::timetz", "'23:59:59-05'::timetz", "null::timetz"],
    "inet": ["'10.0.0.1'::inet", "'10.1.0.0/16'::inet", "'::1'::inet", "null::inet"],
    "mood": ["mood", "'ok'::mood"],
}
ELEMENTS = ["int", "text", "numeric", "date", "bool", "uuid", "timestamptz", "int8", "mood"]
ARRAYS = {"int": "int[]", "text": "text[]"}
# What is of the day, of who asks, of chance, or of an order that nobody said; what psql and sql_eval print otherwise.
LEFT_OUT = re.compile(
    r"F (pg_.*|auth\..*|.*\..*|random|gen_.*|uuid_.*|setseed|.*timestamp|timeofday|now|clock.*|current_.*|local.*|nextval|currval|setval|lastval|age|crypt|digest|hmac|set_config|"
    r"similarity|to_(char|number|date|timestamp|tsvector|tsquery)|.*tsquery|.*tsvector|ts_.*|setweight|strip|numnode|querytree|hash.*|txid.*|version|has_.*|obj_.*|col_.*|format_type|overlaps|"
    r"array_fill|generate_.*|unnest|json.*_each.*|json.*_array_elements.*|json.*_object_keys|regexp_matches|regexp_split_to_table|string_to_table|factorial|json.*_(agg|populate|to_record).*|to_reg.*)|O (%|<->|%>|<%|@@|@@@) .*")


def rows_of(program):
    rows = []
    for line in subprocess.run([program, "--rows"], capture_output=True, text=True, check=True).stdout.splitlines():
        kind, name, types, result, flags, how, text = line.split("\t")
        types = [NAMES.get(t, t) for t in types.split(",")] if types else []
        known = all(t in LEAVES or t.startswith("any") for t in types)
        if types and known and not int(flags) & (4 | 32) and not LEFT_OUT.fullmatch(f"{kind} {name} {' '.join(types)}".strip() if kind == "O" else f"{kind} {name}"):
            rows.append((kind, name, types, NAMES.get(result, result), bool(int(flags) & 16)))
    return rows


class Composer:
    def __init__(self, rng, program):
        self.rng, self.rows, self.by = rng, rows_of(program), {}
        for row in self.rows:
            self.by.setdefault(row[3], []).append(row)

    def bound(self, types, result, wanted):
        """Those that may be anything become something."""
        e = self.rng.choice(["int", "text"] if any("array" in t for t in types + [result]) else ELEMENTS)
        if wanted in ELEMENTS and result in ("anyelement", "anycompatible"):
            e = wanted if wanted in ("int", "text") or not any("array" in t for t in types) else e
        a = ARRAYS.get(e, "int[]")
        return [a if t in ("anyarray", "anycompatiblearray") else self.rng.choice(ELEMENTS) if t == "any" else e if t.startswith("any") else t for t in types]

    def of_row(self, row, depth, wanted=None):
        kind, name, types, result, variadic = row
        types = self.bound(types, result, wanted)
        if variadic:
            types = types[:-1] + [types[-1].removesuffix("[]")] * self.rng.randrange(1, 4)
        args = [self.of(t, depth - 1) for t in types]
        if kind == "F":
            return f"{name}({', '.join(args)})"
        if kind == "O":
            return f"({args[0]} {name} {args[1]})" if len(args) > 1 else f"({name} {args[0]})"
        return f"({args[0]})::{result}"

    def around(self, type, depth):
        n = self.rng.randrange(8)
        if n == 0:
            return f"case when {self.of('bool', depth - 1)} then {self.of(type, depth - 1)} else {self.of(type, depth - 1)} end"
        if n == 1:
            return f"coalesce({self.of(type, depth - 1)}, {self.of(type, depth - 1)})"
        if n == 2 and type not in ("json",):
            return f"nullif({self.of(type, depth - 1)}, {self.of(type, depth - 1)})"
        if n == 3 and type not in ("json", "jsonb", "bool", "mood"):
            return f"{self.rng.choice(['greatest', 'least'])}({self.of(type, depth - 1)}, {self.of(type, depth - 1)})"
        if n == 4 and type == "bool":
            of = self.rng.choice([t for t in LEAVES if t != "json"])
            return f"({self.of(of, depth - 1)} {self.rng.choice(['in', 'not in'])} ({self.of(of, depth - 1)}, {self.of(of, depth - 1)}))"
        if n == 5 and type == "bool":
            return f"({self.of('bool', depth - 1)} {self.rng.choice(['and', 'or'])} {self.of('bool', depth - 1)})"
        return None

    def of(self, type, depth):
        rows = self.by.get(type, [])
        if depth <= 0 or self.rng.random() < 0.15 or not rows:
            return self.rng.choice(LEAVES.get(type, ["null"]))
        return (self.rng.random() < 0.15 and self.around(type, depth)) or self.of_row(self.rng.choice(rows), depth, type)


AGGREGATES = ["count({int})", "count(distinct {text})", "sum({int})", "sum({numeric})", "sum({interval})", "avg({int})", "avg({numeric})", "min({date})", "max({text})", "min({int})", "max({timestamptz})",
              "bool_and({bool})", "bool_or({bool})", "string_agg({text}, ',' order by id)", "array_agg({int} order by id)", "array_agg({text} order by id desc)", "jsonb_agg({jsonb} order by id)",
              "json_agg({text} order by id)", "jsonb_object_agg(id, {text})", "percentile_disc(0.5) within group (order by {int})", "percentile_cont(0.5) within group (order by {float8})",
              "mode() within group (order by active)", "sum({int}) filter (where {bool})", "count(*) filter (where {bool})", "bit_or({int})", "stddev({int})", "var_pop({numeric})"]


def statements(rng, count, program):
    c = Composer(rng, program)
    out = []
    fill = lambda template, depth: re.sub(r"\{([^}]*)\}", lambda m: c.of(m[1], depth), template)
    for i in range(count):
        row = c.rows[i % len(c.rows)] if rng.random() < 0.8 else rng.choice(c.rows)
        e, shape = c.of_row(row, rng.choice([1, 2, 2, 3])), rng.randrange(10)
        if shape < 7:
            out.append(f"select id, {e} as v from people order by id")
        elif shape == 7:
            out.append(f"select id from people where {c.of('bool', 2)} order by id")
        elif shape == 8:
            out.append(f"select {fill(rng.choice(AGGREGATES), 2)} as v from people")
        else:
            out.append(f"select active, {fill(rng.choice(AGGREGATES), 1)} as v from people group by active order by active")
    return out
