#!/usr/bin/env python3
"""Real projects, really deployed. Usage: deploy.py ORLO FOLDER ENGINE [--only NAME] [--errors N]

Each project of FOLDER (one a folder, with a supabase/ of its own) becomes an app of one node on ENGINE (sqlite or postgres), with its
migrations and its seed, and goes again. Prints what the deployment said of those that were refused, and the reasons by projects."""
import argparse, collections, os, re, shutil, sys, tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, ".."))
a = argparse.ArgumentParser()
a.add_argument("orlo")
a.add_argument("folder")
a.add_argument("engine", choices=["sqlite", "postgres"])
a.add_argument("--only", default="")
a.add_argument("--errors", type=int, default=3, help="lines of each refusal")
o = a.parse_args()
sys.argv = [sys.argv[0], o.orlo]
from nodes import *


def deploy(n, k, folder):
    d = tempfile.mkdtemp(dir=WORK)
    shutil.copytree(os.path.join(folder, "supabase"), os.path.join(d, "supabase"))
    shutil.rmtree(os.path.join(d, "supabase", "functions"), ignore_errors=True)
    with open(os.path.join(d, "orlo.toml"), "w") as f:
        f.write(f'name = "p{k}"\ndatabase = "{o.engine}"\nmigrations = "supabase/migrations"\n')
        if os.path.exists(os.path.join(d, "supabase", "seed.sql")):
            f.write('seed = "supabase/seed.sql"\n')
    code, out, error = orlo("deploy", d, "--state", n.state, timeout=900)
    if not code and os.path.exists(os.path.join(d, "supabase", "seed.sql")):
        code, out, error = orlo("db", "reset", d, "--yes", "--state", n.state, timeout=900)
    shutil.rmtree(d)
    return code, re.sub(r"\x1b\[[0-9;]*m", "", out + error)


held = collections.Counter()
fine = many = 0
with node("--workers", "1") as n:
    for k, name in enumerate(sorted(os.listdir(o.folder))):
        if o.only not in name:
            continue
        many += 1
        started = time.monotonic()
        code, said = deploy(n, k, os.path.join(o.folder, name))
        took = time.monotonic() - started
        fine += code == 0
        print(f"{'ok  ' if code == 0 else 'held'} {name} ({took:.1f} s)", flush=True)
        if code:
            lines = [l for l in said.splitlines() if re.search(r"error|refused|\b[0-9A-Z]{5}:", l) and "lint" not in l] or said.splitlines()[-3:]
            for l in lines[: o.errors]:
                print("     " + l[:300])
            held[re.sub(r'"[^"]*"', "…", re.sub(r"^\S+: ", "", lines[0]))[:140]] += 1
        else:
            n.delete(f"p{k}")
for reason, count in held.most_common():
    print(f"{count:3} {reason}")
print(f"{fine} of {many} projects deploy on {o.engine}")
