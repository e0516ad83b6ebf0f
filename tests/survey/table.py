#!/usr/bin/env python3
"""One table of real projects. Usage: table.py ORLO FOLDER [--only NAME] [--no-postgres]

Each project of FOLDER (one a folder, with a supabase/ of its own): what `orlo db check` says strictly and leniently, and whether a deployment of its migrations on
SQLite and on PostgreSQL is taken; then the reasons, sorted by how many projects each holds back. What PostgreSQL itself refuses for another reason than an extension
that is not installed is the project's own (made by hand in a dashboard, rows that no migration makes, mistakes): it is counted apart. Seeds are not run by a
deployment; what holds only them back does not count here (deploy.py runs them). No project's text is kept."""
import argparse, collections, json, os, re, shutil, subprocess, sys, tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, ".."))
a = argparse.ArgumentParser()
a.add_argument("orlo")
a.add_argument("folder")
a.add_argument("--only", default="")
a.add_argument("--no-postgres", action="store_true")
o = a.parse_args()
sys.argv = [sys.argv[0], o.orlo]
from nodes import *
from check import reason


def without_seed(folder):
    d = tempfile.mkdtemp(dir=WORK)
    shutil.copytree(os.path.join(folder, "supabase"), os.path.join(d, "supabase"))
    for name in ("functions", "seed.sql", "config.toml"):
        path = os.path.join(d, "supabase", name)
        (shutil.rmtree if os.path.isdir(path) else os.remove if os.path.exists(path) else lambda p: None)(path)
    return d


def checked(d, *flags):
    code, out, error = orlo("db", "check", os.path.join(d, "supabase", "migrations"), "--json", "--no-lint", *flags, timeout=600)
    try:
        said = json.loads(out)
    except ValueError:
        return [{"kind": "error", "code": "XXXXX", "text": (error or out)[-200:], "file": "", "line": 0}], 0, 0
    errors = [p for p in said["problems"] if p["kind"] == "error"]
    return errors, said["verdicts"]["raises"], len(said["statements"])


def deployed(n, app, engine, d):
    with open(os.path.join(d, "orlo.toml"), "w") as f:
        f.write(f'name = "{app}"\ndatabase = "{engine}"\nmigrations = "supabase/migrations"\n')
    began = time.monotonic()
    code, out, error = orlo("deploy", d, "--state", n.state, timeout=900)
    took = time.monotonic() - began
    if code == 0:
        n.delete(app)
    lines = [l for l in re.sub(r"\x1b\[[0-9;]*m", "", error).splitlines() if l.startswith("orlo: ")]
    return (None if code == 0 else (lines or [error[-300:]])[0][6:]), took


names = [x for x in sorted(os.listdir(o.folder)) if o.only in x and os.path.isdir(os.path.join(o.folder, x, "supabase", "migrations"))]
fine = {"strict": set(), "lenient": set(), "sqlite": set(), "postgres": set()}
own, extensions, held = [], [], collections.defaultdict(set)
print(f"{'project':44} {'statements':>10}  strict  lenient  sqlite    s  postgres")
with node("--workers", "1") as n:
    for k, name in enumerate(names):
        d = without_seed(os.path.join(o.folder, name))
        bad_strict, _, _ = checked(d, "--strict")
        bad, raises, statements = checked(d)
        lite, took = deployed(n, f"s{k}", "sqlite", d)
        pg = None if o.no_postgres else deployed(n, f"p{k}", "postgres", d)[0]
        shutil.rmtree(d)
        why = ""
        if pg:
            missing = re.search(r'extension "([^"]+)" is not available', pg)
            (extensions if missing else own).append(name)
            why = f"needs {missing[1]}" if missing else "own: " + re.sub(r"\s+", " ", pg)[:150]
        for kind, is_fine in (("strict", not bad_strict), ("lenient", not bad and lite is None), ("sqlite", lite is None), ("postgres", pg is None)):
            if is_fine:
                fine[kind].add(name)
        for e in bad_strict:
            held[reason(e)].add(name)
        if lite and not bad:
            held["(when it is applied) " + re.sub(r'"[^"]*"|\d+', "…", lite)[-150:]].add(name)
        print(f"{name:44} {statements:10}  {'ok' if not bad_strict else len(bad_strict):>6}  {('ok' if not bad else str(len(bad))) + (f' +{raises}' if raises else ''):>7}  "
              f"{'ok' if lite is None else 'held':>6} {took:4.1f}  {'ok' if pg is None and not o.no_postgres else '-' if pg is None else why}", flush=True)
        if lite:
            print("     " + lite[:220], flush=True)
for r, who in sorted(held.items(), key=lambda x: -len(x[1]))[:60]:
    print(f"{len(who):3} {r}   {sorted(who)[0]}")
whole = set(names) - set(own)
print(f"{len(names)} projects; {len(own)} are not whole by themselves, PostgreSQL refuses them: {', '.join(own) or 'none'}")
for kind, of in (("postgres", whole - set(extensions)), ("strict", whole), ("lenient", whole)):
    some = len(fine[kind] & of)
    print(f"{kind:8} {some} of {len(of)} ({100 * some / max(1, len(of)):.0f} %)" + (f", without {len(extensions)} that need an extension which is not installed here" if kind == "postgres" and extensions else ""))
