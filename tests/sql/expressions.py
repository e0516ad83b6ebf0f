#!/usr/bin/env python3
"""Runs statements on a real PostgreSQL and, translated, on SQLite: the rows, or the SQLSTATEs, are the same.

    tests/sql/expressions.py SQL_EVAL [--case REGEX] [--generate N] [--composed N --rows PG_EVAL] [--seed S] [-v]

The statements are those of cases.txt, and N that are made up (generate.py), and of the tables of functions (composed.py). Each runs in a transaction of its own that is undone. Rows of a
statement without ORDER BY are compared as a bag. What is known to differ stands in KNOWN, with its reason; where no PostgreSQL is installed it
says so and ends with 77 (skipped)."""
import argparse, os, random, re, subprocess, sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path += [os.path.join(HERE, "..", "pg"), HERE]
from cluster import Cluster, folder_of_programs
import composed, generate
from known import KNOWN, KNOWN_COMPOSED, KNOWN_ERRORS

COLUMN, ROW = "\x1f", "\x1e"


def cases():
    with open(os.path.join(HERE, "cases.txt"), encoding="utf-8") as f:
        return [line.rstrip("\n") for line in f if line.strip() and not line.startswith("--")]


def from_postgres(pg, statements):
    """[("ok", rows) or ("error", state, message)]"""
    for name in ("citext", "pg_trgm", "unaccent", "fuzzystrmatch"):
        pg.psql(f"create extension if not exists {name}")
    with open(os.path.join(HERE, "schema.sql"), encoding="utf-8") as f:
        pg.psql(f.read())
    script = [f"\\pset fieldsep '\\x1f'\n\\pset recordsep '\\x1e'\n\\pset null '\\\\N'\n"]
    for n, s in enumerate(statements):
        script.append(f"begin;\n\\echo <{n}<\n{s};\n\\echo >:SQLSTATE>:LAST_ERROR_MESSAGE\nrollback;\n")
    out = pg.psql("".join(script), stop=False)
    answers = []
    for n in range(len(statements)):
        m = re.search(rf"<{n}<\n(.*?)>(\w{{5}})>(.*?)\n(?=<{n + 1}<\n|$)", out, re.S)
        rows, state, message = m.groups()
        answers.append(("ok", rows.rstrip("\n").replace("\n", "\\n")) if state == "00000" else ("error", state, message))
    return answers


def from_us(program, statements):
    out = subprocess.run([program, os.path.join(HERE, "schema.sql"), "-v"], input="".join(s + "\n" for s in statements), capture_output=True, text=True)
    answers, sql = [], ""
    for line in out.stdout.split("\n")[:-1]:
        kind, rest = line.split("\t", 1)
        if kind == "sql":
            sql = rest
        else:
            answers.append((("ok", rest) if kind == "ok" else ("error", *rest.split("\t", 1)), sql))
            sql = ""
    if out.returncode or len(answers) != len(statements):
        at = statements[len(answers)] if len(answers) < len(statements) else "the end"
        sys.exit(f"FAIL sql_eval ended with {out.returncode} at: {at}\n{out.stderr[:3000]}")
    return answers


def same(statement, theirs, ours):
    if theirs[0] != ours[0]:
        return False
    if theirs[0] == "error":
        return theirs[1] == ours[1] or (theirs[1][:2] == ours[1][:2] == "22")  # which of two errors comes first, nobody promised
    while (outside := re.sub(r"\([^()]*\)", "", statement)) != statement:
        statement = outside
    if re.search(r"\border by\b", statement, re.I):
        return theirs[1] == ours[1]
    return sorted(theirs[1].split(ROW)) == sorted(ours[1].split(ROW))


def shown(answer):
    return "\t".join(answer).replace(COLUMN, " | ").replace(ROW, " // ")


def known(statement, theirs, ours, is_composed=False):
    said = "\t".join(ours)
    if is_composed and any(re.fullmatch(t, shown(theirs)) and re.fullmatch(o, shown(ours)) for t, o, _ in KNOWN_COMPOSED):
        return True
    if theirs[0] == "error" and any(re.fullmatch(s, theirs[1]) and re.search(o, said) for s, o, _ in KNOWN_ERRORS):
        return True
    return any(re.search(s, statement) and re.search(o, said) for s, o, _ in KNOWN)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("program")
    p.add_argument("--case", default="")
    p.add_argument("--generate", type=int, default=0)
    p.add_argument("--composed", type=int, default=0)
    p.add_argument("--rows", default="")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("-v", action="store_true")
    o = p.parse_args()
    if not folder_of_programs():
        print("SKIP sql/expressions: no PostgreSQL is installed (Debian: postgresql)")
        sys.exit(77)
    seed = o.seed or random.randrange(1 << 32)
    made = generate.statements(random.Random(seed), o.generate)
    of_tables = composed.statements(random.Random(seed), o.composed, o.rows) if o.composed else []
    made += of_tables
    of_tables = set(of_tables)
    statements = [c for c in cases() + made if re.search(o.case, c)]
    ours = from_us(o.program, statements)
    with Cluster() as pg:
        theirs = from_postgres(pg, statements)
    failed = refused = excused = 0
    for s, t, (u, sql) in zip(statements, theirs, ours):
        if same(s, t, u):
            continue
        if known(s, t, u, s in of_tables):
            excused += 1
            continue
        if u[:2] == ("error", "0A000"):
            refused += 1
        failed += 1
        print(f"FAIL {s}\n  PostgreSQL: {shown(t)}\n  SQLite:     {shown(u)}")
        if o.v:
            print(f"  as:         {sql}")
    print(f"{len(statements) - failed} passed ({excused} known to differ), {failed} failed ({refused} refused), seed {seed}")
    sys.exit(1 if failed else 0)


main()
