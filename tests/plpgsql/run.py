#!/usr/bin/env python3
"""PL/pgSQL on SQLite and on PostgreSQL: the same functions, the same calls, the same answers, SQLSTATEs and messages.

    run.py BUILD [FILTER] [--show] [--table]

A case is a file of this folder: migrations first, then behind each line `-- ask` what is asked of them, one request a line: `ROLE [CLAIMS-JSON] {tree}`, where ROLE:N stands for user N.
A line `# why` above one says that it is known to differ, and why; it is an error if it does not. Requests of a case are run one after the other, each in a transaction that is kept
if it did not fail. --table: what of each case is equal, and what is not and why. Without a PostgreSQL it is skipped, by name."""
import glob, json, os, re, subprocess, sys, tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
for other in ("pg", "sql"):
    sys.path.insert(0, os.path.join(HERE, "..", other))
from cluster import Cluster
from engines import Failed, World

USER = "00000000-0000-0000-0000-0000000000%02d"


def read(path):
    with open(path, encoding="utf-8") as f:
        sql, _, asked = f.read().partition("\n-- ask\n")
    lines, known, why = [], {}, None
    for line in asked.splitlines():
        if line.startswith("# "):
            why = line[2:]
        elif line.strip() and not line.startswith("--"):
            if why:
                known[len(lines)] = why
            lines.append(request(line))
            why = None
    return sql + "\n", lines, known


def request(line):
    who, _, tree = line.partition(" ")
    role, _, number = who.partition(":")
    tree = re.sub(r"\$U(\d)", lambda m: USER % int(m[1]), tree)
    if not tree.startswith("{"):  # f(a, b): {"a": …}
        name, _, args = tree.partition(" ")
        tree = json.dumps({"kind": "call", "function": name, "args": json.loads(args or "{}")})
    claims = {"role": role, **({"sub": USER % int(number)} if number else {})}
    return {"role": role, "claims": claims, "query": json.loads(tree)}


def same(a, b):
    """A message is its SQLSTATE and words; details are compared where both have them."""
    if a.startswith(("PGRST1", "XX")):  # of the table itself
        return False
    if a == b:
        return True
    (x, said), (y, theirs) = a.split("\t", 1), b.split("\t", 1)
    if x != y or x == "ok":
        return False
    one, other = json.loads(said), json.loads(theirs)
    return one["message"] == other["message"] and all(one[k] == other[k] or not one[k] for k in ("details", "hint"))


def refused(build, cluster, show):
    """(how many are equal, how many are not): what CREATE FUNCTION refuses, of all by one `orlo db check`."""
    asked, known, why = [], {}, None
    with open(os.path.join(HERE, "refused.txt"), encoding="utf-8") as f:
        for line in f:
            if line.startswith("# "):
                why = line[2:].strip()
            elif line.startswith("create "):
                known.update({len(asked): why} if why else {})
                asked.append(line.strip().replace("\\n", "\n").replace(" x(", f" x{len(asked)}(", 1))
                why = None
    with tempfile.TemporaryDirectory(prefix="orlo-refused-") as folder:
        os.mkdir(os.path.join(folder, "migrations"))
        for i, sql in enumerate(asked):
            with open(os.path.join(folder, "migrations", f"{i:03}.sql"), "w", encoding="utf-8") as f:
                f.write(sql)
        with open(os.path.join(folder, "orlo.toml"), "w") as f:
            f.write('name = "a"\ndatabase = "sqlite"\n')
        p = subprocess.run([os.path.join(build, "orlo"), "db", "check", folder, "--engine", "sqlite", "--json"], capture_output=True, text=True)
        mine = {int(x["file"][:3]): (x["code"], x["text"]) for x in json.loads(p.stdout)["problems"] if x["kind"] == "error"}
    cluster.psql("create database refused")
    failed = 0
    for i, sql in enumerate(asked):
        p = cluster.run("psql", "-X", "-h", cluster.folder, "-U", "postgres", "-d", "refused", "-v", "VERBOSITY=verbose", "-c", sql)
        said = re.search(r"ERROR:  (\w{5}): (.*)", p.stderr)
        theirs = said.groups() if said else None
        ok = (mine.get(i) == theirs) != (i in known)
        failed += not ok
        if show or not ok:
            print(f"{'ok  ' if ok else 'FAIL'} refused: {sql}\n  SQLite:     {mine.get(i)}\n  PostgreSQL: {theirs}")
    return len(asked) - failed, failed


def main():
    args = [a for a in sys.argv[1:] if not a.startswith("--")]
    show, wanted = "--show" in sys.argv, args[1] if len(args) > 1 else ""
    passed = failed = 0
    if not Cluster.installed():
        print("skipped: plpgsql: no PostgreSQL is installed\n0 passed, 0 failed, 1 skipped")
        return
    with Cluster() as cluster:
        world = World(args[0], cluster, None)
        world.begin()
        for path in sorted(glob.glob(os.path.join(HERE, "*.sql"))):
            name = os.path.splitext(os.path.basename(path))[0]
            if wanted not in name:
                continue
            sql, lines, known = read(path)
            equal = 0
            try:
                said = world.ask(name, sql, lines)
            except (Failed, AssertionError) as e:
                print(f"FAIL {name}: {e}")
                failed += 1
                continue
            for i, (line, (mine, theirs)) in enumerate(zip(lines, said)):
                ok = same(mine, theirs) != (i in known)
                equal += same(mine, theirs)
                passed, failed = passed + ok, failed + (not ok)
                if show or not ok:
                    print(f"{'ok  ' if ok else 'FAIL'} {name}: {line['role']} {json.dumps(line['query'])}\n  SQLite:     {mine}\n  PostgreSQL: {theirs}")
            if world.said and show:
                print(world.said)
            if "--table" in sys.argv:
                print(f"{name}: {equal} of {len(lines)} equal" + "".join(f"\n    {lines[i]['query'].get('function', '')}: {why}" for i, why in known.items()))
        if wanted in "refused":
            well, badly = refused(args[0], cluster, show)
            passed, failed = passed + well, failed + badly
    print(f"{passed} passed, {failed} failed, 0 skipped")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
