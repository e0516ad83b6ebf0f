#!/usr/bin/env python3
"""Asks a real PostgreSQL about the rows of the room pg that are C functions: each with random and edge arguments, the answers, or the
SQLSTATEs and messages, compared as text.

    tests/pg/oracle.py PG_EVAL [--count N] [--seed S] [--row REGEX] [-v]

Where no PostgreSQL is installed it says so and ends with 77 (skipped). What is known to differ stands in KNOWN, with its reason."""
import argparse, os, random, re, subprocess, sys, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import values
from cluster import Cluster, folder_of_programs

# (what PostgreSQL says, what we say, kind + name + types) as regular expressions: why
KNOWN = [
    (r"= NaN", r"! 22P02 NaN is not supported.*", r".*", "SQLite has no NaN: doubles that would be are refused"),
    (r"= -2147483648", r"! 22003 integer out of range", r"F width_bucket float8.*", "PostgreSQL 15 wraps around where a difference overflows"),
    (r".*", r"! 22008 interval out of range", r"F make_interval .*", "PostgreSQL 15 wraps around, later ones refuse"),
    (r"= .*", r"! 22008 interval out of range", r"O - timestamp(tz)?,timestamp(tz)?", "PostgreSQL 15 wraps around, later ones refuse"),
    (r"= .*", r"! 22008 timestamp out of range", r"F age .*", "PostgreSQL 15 counts with infinity as if it were a time, later ones refuse"),
    (r"! 22[0-9A-Z]{3} .*", r"! 22[0-9A-Z]{3} .*", r"C  text,(date|time|timetz|timestamp|timestamptz|interval)", "which of several faults of one text is named"),
    (r"! 22[0-9A-Z]{3} .*", r"! 22[0-9A-Z]{3} .*", r"F to_(date|timestamp) text,text", "which of several faults of one text is named"),
    (r".*", r".*", r"F to_char interval,text", "PostgreSQL counts days of no year, and of years beyond its own, with numbers that overflow"),
    (r".*", r".*", r"F to_char int[48],text", "PostgreSQL multiplies for V without looking whether it fits; exponents of integers go through doubles"),
    (r"= *NaN.*", r"= *NaN.*", r"F to_char numeric,text", "a sign behind what is no number"),
    (r"! 22P02 \".*\" is not a number", r".*", r"F to_char .*", "ordinals of a picture without places"),
    (r"=.*#.*", r"=.*#.*", r"F to_char float[48],text", "signs behind digits that are crossed out"),
    (r".*", r".*", r"F to_number text,text", "what a picture does with text that is not of it"),
    (r"= .*PB", r"! 22003 bigint out of range", r"F pg_size_pretty numeric", "sizes beyond what a disk has"),
    (r"= -0", r"= 0", r".*", "SQLite stores no negative zero"),
]
# (today is not the same on both sides)
SKIPPED = re.compile(r".*vector\b.*|O [%<>-]*[%-][%<>-]* \['text', 'text'\]|F (.*similarity|unaccent|levenshtein|pg_notify|digest|hmac|crypt|gen_salt|gen_random_bytes|uuid_.*|pg_advisory.*|age \['timestamp(tz)?'\]|random|gen_random_bytes|setseed|now|clock_timestamp|statement_timestamp|transaction_timestamp|timeofday|current_date|localtime.*|current_time.*|current_schemas|auth\..*)( .*)?")

TRY = """
create function try(e text) returns text language plpgsql as $f$
declare r text;
begin
    execute e into r;
    return coalesce('= ' || r, 'null');
exception when others then
    return '! ' || sqlstate || ' ' || sqlerrm;
end $f$;
create table q (n int, e text);
"""


def literal(v, type):
    return f"null::{type}" if v is None else "'" + v.replace("'", "''") + f"'::{type}"


def sql_of(case):
    kind, name, types, args = case
    said = [literal(v, t) for v, t in zip(args, types)]
    if kind == "F":
        if name == "overlaps":
            return f"select (({said[0]}, {said[1]}) overlaps ({said[2]}, {said[3]}))::text"
        name = name if re.fullmatch(r"[\w.]+", name) else f'"{name}"'
        expression = f"pg_catalog.{name}({', '.join(said)})" if "." not in name else f"{name}({', '.join(said)})"
        return "select (" + expression + ")::text"
    if kind == "O":
        return "select (" + (f"{said[0]} {name} {said[1]}" if len(said) > 1 else f"{name} {said[0]}") + ")::text"
    return f"select ({said[0]}::{types[1]})::text"


def escaped(v):
    return v.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t")


def line_of(case):
    kind, name, types, args = case
    return "\t".join([f"{kind} {name}", ",".join(types), *["\\N" if v is None else escaped(v) for v in args]])


# Functions of numbers and times that take text too; the others with text are tests/pg/texts.py's.
WITH_TEXT = "extract date_part date_trunc timezone to_char to_date to_timestamp to_number make_timestamptz".split()


# What this room's other half has among them.
OTHERS = re.compile(r"pg_(gen_random|uuid|chr|to_hex|repeat|hash|md5|array|json|enum|window|nextval|currval|setval|lastval|pg_).*")


def ours(kind, name, types):
    if kind == "F" and not types:
        return name == "pi"
    if kind == "F" and "text" in types:
        return name in WITH_TEXT
    if kind == "O" and "text" in types:
        return False
    return all(values.knows(t) for t in types) and (not types or kind + types[-1] not in ("Cvarchar", "Cbpchar", "Ctext") or types[0] in ("bool",))


def rows_of(program):
    """[(kind, name, types, how)] of what can be asked without SQLite"""
    rows = []
    for line in subprocess.run([program, "--rows"], capture_output=True, text=True, check=True).stdout.splitlines():
        kind, name, types, result, flags, how, text = line.split("\t")
        asked = how in "1234" or text == "$1"
        types = types.split(",") if types else []
        if asked and not OTHERS.match(text) and not SKIPPED.fullmatch(f"{kind} {name} {types}") and ours(kind, name, types):
            rows.append((kind, name, types))
    return rows


def cases_of(rows, count, seed):
    """Each row's are its own, whatever other rows there are."""
    cases = []
    for kind, name, types in rows:
        rng = random.Random(f"{seed} {kind} {name} {types}")
        taken = types[:1] if kind == "C" else types
        for _ in range(count):
            args = [None if rng.random() < 0.02 else values.of(rng, t, kind, name, i, types[0]) for i, t in enumerate(taken)]
            if name in ("to_date", "to_timestamp") and len(types) == 2:
                args = list(values.read_with(rng))
            if name == "to_number":
                args = list(values.number_with(rng))
            cases.append((kind, name, types, args))
    for t in values.TYPES_READ:
        cases += [("C", "", ["text", t], [v]) for v in values.texts(random.Random(f"{seed} {t}"), t, count * 20)]
    return cases


def ask_postgres(pg, cases, settings):
    lines = "".join(f"{i}\t{escaped(sql_of(c))}\n" for i, c in enumerate(cases))
    pg.psql(f"truncate q;\n\\copy q from stdin\n{lines}\\.\n")
    out = pg.psql(settings + "\n\\copy (select n, try(e) from q order by n) to stdout\n")
    return [line.split("\t", 1)[1] for line in out.splitlines()]


def ask_us(program, cases, now, zone):
    text = "".join(line_of(c) + "\n" for c in cases)
    out = subprocess.run([program, str(now), zone], input=text, capture_output=True, text=True)
    if out.returncode:
        sys.exit(f"FAIL pg_eval ended with {out.returncode}: {out.stderr[:2000]}\nafter {line_of(cases[len(out.stdout.splitlines())])}")
    return out.stdout.splitlines()


def known(case, theirs, ours):
    what = f"{case[0]} {case[1]} {','.join(case[2])}"
    return any(re.fullmatch(a, theirs) and re.fullmatch(b, ours) and re.fullmatch(c, what) for a, b, c, _ in KNOWN)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("program")
    p.add_argument("--count", type=int, default=40)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--row", default="")
    p.add_argument("--zone", default="")
    p.add_argument("-v", action="store_true")
    o = p.parse_args()
    if not folder_of_programs():
        print("SKIP pg/oracle: no PostgreSQL is installed (Debian: postgresql)")
        sys.exit(77)
    seed = o.seed or random.randrange(1 << 32)
    rng = random.Random(seed)
    zone = o.zone or rng.choice(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"])
    rows = [r for r in rows_of(o.program) if re.search(o.row, f"{r[0]} {r[1]} {','.join(r[2])}")]
    cases = cases_of(rows, o.count, seed)
    if o.row:
        cases = [c for c in cases if re.search(o.row, f"{c[0]} {c[1]} {','.join(c[2])}")]
    print(f"{len(rows)} rows, {len(cases)} cases, seed {seed}, zone {zone}")
    with Cluster() as pg:
        pg.psql(TRY)
        theirs = ask_postgres(pg, cases, f"set timezone = '{zone}';")
    answers = ask_us(o.program, cases, int((time.time() - 946684800) * 1e6), zone)  # today: not at midnight
    bad, differs = 0, 0
    for case, a, b in zip(cases, theirs, answers, strict=True):
        if a == b:
            continue
        if known(case, a, b):
            differs += 1
            continue
        bad += 1
        if bad <= (1000 if o.v else 40):
            print(f"FAIL {sql_of(case)}\n    PostgreSQL {a[:300]}\n    ours       {b[:300]}")
    print(f"{len(cases) - bad - differs} passed, {bad} failed, 0 skipped; {differs} known differences")
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
